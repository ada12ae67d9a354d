// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes as people write them.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "librmai.h"

static const char units[] = "KMGTP";

int rmai_parse_size(const char *s, uint64_t *bytes)
{
	unsigned long long n;
	unsigned int shift = 0;
	const char *unit;
	double frac = 0;
	char *end;

	if (!isdigit((unsigned char)*s)) {
		errno = EINVAL;
		return -1;
	}
	errno = 0;
	n = strtoull(s, &end, 0);
	if (errno)
		return -1;
	if (*end == '.' && isdigit((unsigned char)end[1])) {
		const char *from = end;

		/* Only digits: strtod() would take an exponent, too */
		end += 1 + strspn(end + 1, "0123456789");
		if (*end == '\0' || strchr("eE", *end)) {
			errno = EINVAL;
			return -1;
		}
		frac = strtod(from, NULL);
	}
	while (*end == ' ')
		end++;
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (unit) {
		shift = 10 * (unit - units + 1);
		end++;
		if (!strcasecmp(end, "iB"))
			end += 2;
	}
	if (!strcasecmp(end, "B"))
		end++;
	if (*end || (frac && !shift)) {
		errno = EINVAL;
		return -1;
	}
	if (shift && n >> (64 - shift)) {
		errno = ERANGE;
		return -1;
	}
	*bytes = ((uint64_t)n << shift) + (uint64_t)(frac * (1ULL << shift));
	return 0;
}

const char *rmai_format_size(uint64_t bytes, char *buf, size_t size)
{
	unsigned int shift = 0, i = 0;

	while (i < strlen(units) && bytes >> (shift + 10)) {
		shift += 10;
		i++;
	}
	if (!i)
		snprintf(buf, size, "%llu B", (unsigned long long)bytes);
	else if (!(bytes & ((1ULL << shift) - 1)))
		snprintf(buf, size, "%llu %ciB",
			 (unsigned long long)(bytes >> shift), units[i - 1]);
	else
		snprintf(buf, size, "%.2f %ciB", (double)bytes / (1ULL << shift),
			 units[i - 1]);
	return buf;
}

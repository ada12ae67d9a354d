// SPDX-License-Identifier: GPL-2.0
/* A pull parser for the JSON of safetensors headers; see json.h */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

void json_init(struct json *j, const char *buf, u64 len)
{
	j->start = buf;
	j->p = buf;
	j->end = buf + len;
	j->err[0] = '\0';
}

static int fail(struct json *j, const char *what)
{
	if (!j->err[0])
		snprintf(j->err, sizeof(j->err), "%s at byte %zu of the header",
			 what, (size_t)(j->p - j->start));
	return -1;
}

static void skip_space(struct json *j)
{
	while (j->p < j->end &&
	       (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'))
		j->p++;
}

int json_expect(struct json *j, char c)
{
	char what[32];

	skip_space(j);
	if (j->p < j->end && *j->p == c) {
		j->p++;
		return 0;
	}
	snprintf(what, sizeof(what), "expected '%c'", c);
	return fail(j, what);
}

int json_end(struct json *j)
{
	skip_space(j);
	return j->p == j->end ? 0 : fail(j, "bytes behind the object");
}

int json_more(struct json *j, char close, unsigned int *n)
{
	skip_space(j);
	if (j->p < j->end && *j->p == close) {
		j->p++;
		return 0;
	}
	if ((*n)++ && json_expect(j, ','))
		return -1;
	return 1;
}

int json_u64(struct json *j, u64 *val)
{
	u64 v = 0;
	const char *first;

	skip_space(j);
	first = j->p;
	while (j->p < j->end && *j->p >= '0' && *j->p <= '9') {
		unsigned int digit = *j->p - '0';

		/* beyond 2^63 no file offset can be meant */
		if (v > ((u64)INT64_MAX - digit) / 10)
			return fail(j, "number too large");
		v = v * 10 + digit;
		j->p++;
	}
	if (j->p == first)
		return fail(j, "expected a non-negative integer");
	if (*first == '0' && j->p - first > 1)
		return fail(j, "number with a leading zero");
	if (j->p < j->end && (*j->p == '.' || *j->p == 'e' || *j->p == 'E'))
		return fail(j, "expected an integer");
	*val = v;
	return 0;
}

static int hex4(struct json *j, unsigned int *code)
{
	int i;

	*code = 0;
	if (j->end - j->p < 4)
		return fail(j, "short \\u escape");
	for (i = 0; i < 4; i++) {
		char c = *j->p;

		*code <<= 4;
		if (c >= '0' && c <= '9')
			*code |= c - '0';
		else if (c >= 'a' && c <= 'f')
			*code |= c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			*code |= c - 'A' + 10;
		else
			return fail(j, "bad \\u escape");
		j->p++;
	}
	return 0;
}

/* The code point of a \u escape, of which "\u" was consumed, as UTF-8 */
static int unicode(struct json *j, char **out)
{
	unsigned int code, low;
	char *o = *out;

	if (hex4(j, &code))
		return -1;
	if (!code)
		return fail(j, "NUL in a string");
	if (code >= 0xdc00 && code <= 0xdfff)
		return fail(j, "lone surrogate");
	if (code >= 0xd800 && code <= 0xdbff) {
		if (j->end - j->p < 6 || j->p[0] != '\\' || j->p[1] != 'u')
			return fail(j, "lone surrogate");
		j->p += 2;
		if (hex4(j, &low))
			return -1;
		if (low < 0xdc00 || low > 0xdfff)
			return fail(j, "lone surrogate");
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	if (code < 0x80) {
		*o++ = code;
	} else if (code < 0x800) {
		*o++ = 0xc0 | (code >> 6);
		*o++ = 0x80 | (code & 0x3f);
	} else if (code < 0x10000) {
		*o++ = 0xe0 | (code >> 12);
		*o++ = 0x80 | ((code >> 6) & 0x3f);
		*o++ = 0x80 | (code & 0x3f);
	} else {
		*o++ = 0xf0 | (code >> 18);
		*o++ = 0x80 | ((code >> 12) & 0x3f);
		*o++ = 0x80 | ((code >> 6) & 0x3f);
		*o++ = 0x80 | (code & 0x3f);
	}
	*out = o;
	return 0;
}

static int unescape(struct json *j, char **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *hit;

	if (j->p == j->end)
		return fail(j, "unterminated string");
	if (*j->p == 'u') {
		j->p++;
		return unicode(j, out);
	}
	hit = *j->p ? strchr(from, *j->p) : NULL;
	if (!hit)
		return fail(j, "bad escape");
	j->p++;
	*(*out)++ = to[hit - from];
	return 0;
}

char *json_string(struct json *j)
{
	const char *close;
	char *str, *o;

	if (json_expect(j, '"'))
		return NULL;

	/* no escape decodes to more bytes than it takes */
	for (close = j->p; close < j->end && *close != '"'; close++)
		if (*close == '\\' && ++close == j->end)
			break;
	if (close >= j->end) {
		fail(j, "unterminated string");
		return NULL;
	}
	str = malloc(close - j->p + 1);
	if (!str) {
		fail(j, "out of memory");
		return NULL;
	}

	o = str;
	while (*j->p != '"') {
		if ((u8)*j->p < 0x20) {
			fail(j, "control character in a string");
			goto err;
		}
		if (*j->p != '\\') {
			*o++ = *j->p++;
			continue;
		}
		j->p++;
		if (unescape(j, &o))
			goto err;
	}
	j->p++;
	*o = '\0';
	return str;
err:
	free(str);
	return NULL;
}

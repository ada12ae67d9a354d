// SPDX-License-Identifier: GPL-2.0
/*
 * This node's counters, one to a file in sysfs.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "librmai.h"

static int counter_file(const char *dir, const char *name, int64_t *value)
{
	char path[4096];
	long long v;
	FILE *f;
	int n;

	n = snprintf(path, sizeof(path), "%s/stats/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	f = fopen(path, "re");
	if (!f)
		return -1;
	n = fscanf(f, "%lld", &v);
	fclose(f);
	if (n != 1) {
		errno = EIO;
		return -1;
	}
	*value = v;
	return 0;
}

int64_t rmai_counter(const char *sysfs, const char *name)
{
	int64_t value;

	if (counter_file(sysfs ? sysfs : RMAI_SYSFS, name, &value))
		return -1;
	errno = 0;
	return value;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct rmai_counter *)a)->name,
		      ((const struct rmai_counter *)b)->name);
}

int rmai_counters(const char *sysfs, struct rmai_counter **list)
{
	struct rmai_counter *c = NULL, *more;
	char path[4096];
	struct dirent *de;
	int nr = 0;
	DIR *dir;

	if (!sysfs)
		sysfs = RMAI_SYSFS;
	snprintf(path, sizeof(path), "%s/stats", sysfs);
	dir = opendir(path);
	if (!dir)
		return -1;
	while ((de = readdir(dir))) {
		if (de->d_name[0] == '.' || strlen(de->d_name) >= sizeof(c->name))
			continue;
		more = realloc(c, (nr + 1) * sizeof(*c));
		if (!more)
			goto fail;
		c = more;
		snprintf(c[nr].name, sizeof(c[nr].name), "%.31s", de->d_name);
		if (counter_file(sysfs, de->d_name, &c[nr].value))
			goto fail;
		nr++;
	}
	closedir(dir);
	if (nr)
		qsort(c, nr, sizeof(*c), by_name);
	*list = c;
	return nr;
fail:
	nr = errno;
	free(c);
	closedir(dir);
	errno = nr;
	return -1;
}

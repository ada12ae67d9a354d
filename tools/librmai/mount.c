// SPDX-License-Identifier: GPL-2.0
/*
 * Where rmaifs is mounted, by /proc/self/mountinfo.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "librmai.h"

/* The kernel writes blanks, tabs, newlines and backslashes as \ooo */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' &&
		    s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to++ = (s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0');
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* id parent major:minor root DIR options [fields...] - TYPE source options */
static char *mount_dir(char *line)
{
	char *type = strstr(line, " - ");
	char *save, *dir;
	int i;

	if (!type || strncmp(type + 3, "rmaifs ", 7))
		return NULL;
	dir = strtok_r(line, " ", &save);
	for (i = 0; dir && i < 4; i++)
		dir = strtok_r(NULL, " ", &save);
	if (dir)
		unescape(dir);
	return dir;
}

int rmai_each_mount(int (*fn)(const char *dir, void *arg), void *arg)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *dir;
	size_t size = 0;
	int ret = 0;

	if (!f)
		return -1;
	while (!ret && getline(&line, &size, f) > 0) {
		dir = mount_dir(line);
		if (dir)
			ret = fn(dir, arg);
	}
	free(line);
	fclose(f);
	return ret;
}

struct found {
	char	*dir;
	size_t	size;
	int	err;
};

static int take(const char *dir, void *arg)
{
	struct found *f = arg;
	int usual = !strcmp(dir, "/rmai");

	if (f->err != ENOENT && !usual)
		return 0;
	f->err = (size_t)snprintf(f->dir, f->size, "%s", dir) < f->size ? 0 : ERANGE;
	return usual;
}

int rmai_find_mount(char *dir, size_t size)
{
	struct found f = { .dir = dir, .size = size, .err = ENOENT };

	if (rmai_each_mount(take, &f) < 0)
		return -1;
	errno = f.err;
	return f.err ? -1 : 0;
}

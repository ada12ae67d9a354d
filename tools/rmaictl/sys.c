// SPDX-License-Identifier: GPL-2.0
/*
 * One value per file: configfs and sysfs.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rmaictl.h"

/* On success the file descriptor */
static int vopen(int flags, const char *fmt, va_list ap)
{
	char path[4096];
	int n, fd;

	n = vsnprintf(path, sizeof(path), fmt, ap);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : fd;
}

static int read_value(int fd, char *val, size_t size)
{
	ssize_t n;
	int err;

	*val = '\0';
	if (fd < 0)
		return fd;
	n = read(fd, val, size - 1);
	err = n < 0 ? -errno : 0;
	close(fd);
	if (err)
		return err;
	while (n && isspace((unsigned char)val[n - 1]))
		n--;
	val[n] = '\0';
	return 0;
}

int sys_read(char *val, size_t size, const char *fmt, ...)
{
	va_list ap;
	int fd;

	va_start(ap, fmt);
	fd = vopen(O_RDONLY, fmt, ap);
	va_end(ap);
	return read_value(fd, val, size);
}

uint64_t sys_read_u64(const char *fmt, ...)
{
	char val[VALUE_MAX];
	va_list ap;
	int fd;

	va_start(ap, fmt);
	fd = vopen(O_RDONLY, fmt, ap);
	va_end(ap);
	return read_value(fd, val, sizeof(val)) ? 0 : strtoull(val, NULL, 0);
}

int sys_write(const char *val, const char *fmt, ...)
{
	va_list ap;
	ssize_t n;
	int fd, err;

	va_start(ap, fmt);
	/* O_CREAT as a shell's redirection has it: for a directory of a test */
	fd = vopen(O_WRONLY | O_CREAT | O_TRUNC, fmt, ap);
	va_end(ap);
	if (fd < 0)
		return fd;
	/* One write: configfs takes the whole value in the first */
	n = write(fd, val, strlen(val));
	err = n < 0 ? -errno : 0;
	close(fd);
	return err;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int sys_node_dirs(const char *dir, int ids[NODES])
{
	struct dirent *de;
	int nr = 0, id;
	char *end;
	DIR *d;

	d = opendir(dir);
	if (!d)
		return -errno;
	while (nr < NODES && (de = readdir(d))) {
		id = strtol(de->d_name, &end, 10);
		if (!*end && id >= 1 && id <= NODES)
			ids[nr++] = id;
	}
	closedir(d);
	qsort(ids, nr, sizeof(*ids), by_number);
	return nr;
}

bool sys_online(void)
{
	char val[VALUE_MAX];

	return !sys_read(val, sizeof(val), "%s/state", ctl.sysfs) &&
	       !strcmp(val, "online");
}

static void node_read(struct node_state *node, const char *name, char *val)
{
	sys_read(val, VALUE_MAX, "%s/nodes/%d/%s", ctl.sysfs, node->id, name);
}

int node_states(struct node_state nodes[NODES])
{
	struct node_state *node = nodes;
	char path[4096];
	int ids[NODES], nr, i;

	snprintf(path, sizeof(path), "%s/nodes", ctl.sysfs);
	nr = sys_node_dirs(path, ids);
	for (i = 0; i < nr; i++, node++) {
		node->id = ids[i];
		node_read(node, "state", node->state);
		node_read(node, "role", node->role);
		node_read(node, "addr", node->addr);
		node_read(node, "last_error", node->last_error);
		node->epoch = sys_read_u64("%s/nodes/%d/epoch", ctl.sysfs,
					   node->id);
		node->pool_bytes = sys_read_u64("%s/nodes/%d/pool_bytes",
						ctl.sysfs, node->id);
		node->pool_used_bytes =
			sys_read_u64("%s/nodes/%d/pool_used_bytes", ctl.sysfs,
				     node->id);
	}
	return nr;
}

bool node_is_up(const struct node_state *node)
{
	return !strcmp(node->state, "up") || !strcmp(node->state, "self");
}

struct json_object *node_json(const struct node_state *node)
{
	struct json_object *obj = json_object_new_object();

	add_u64(obj, "id", node->id);
	add_string(obj, "state", node->state);
	add_u64(obj, "epoch", node->epoch);
	add_string(obj, "role", node->role);
	add_string(obj, "addr", node->addr);
	add_u64(obj, "pool_bytes", node->pool_bytes);
	add_u64(obj, "pool_used_bytes", node->pool_used_bytes);
	add_string(obj, "last_error", node->last_error);
	return obj;
}

void node_table(const struct node_state *nodes, int nr)
{
	struct table t = { .cols = 8, .right = 1 << 0 | 1 << 5 | 1 << 6 };
	static const char * const head[] = {
		"NODE", "STATE", "ROLE", "ADDRESS", "EPOCH", "POOL", "USED",
		"LAST ERROR",
	};
	char buf[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(head); i++)
		table_cell(&t, "%s", head[i]);
	for (; nr > 0; nr--, nodes++) {
		table_cell(&t, "%d", nodes->id);
		table_cell(&t, "%s", nodes->state);
		table_cell(&t, "%s", nodes->role);
		table_cell(&t, "%s", *nodes->addr ? nodes->addr : "-");
		if (nodes->epoch)
			table_cell(&t, "%llu", (unsigned long long)nodes->epoch);
		else
			table_cell(&t, "-");
		if (strstr(nodes->role, "memory") && nodes->pool_bytes) {
			table_cell(&t, "%s", rmai_format_size(nodes->pool_bytes,
							      buf, sizeof(buf)));
			table_cell(&t, "%s (%.0f %%)",
				   rmai_format_size(nodes->pool_used_bytes, buf,
						    sizeof(buf)),
				   100.0 * nodes->pool_used_bytes /
				   nodes->pool_bytes);
		} else {
			table_cell(&t, "-");
			table_cell(&t, "-");
		}
		table_cell(&t, "%s", *nodes->last_error ? nodes->last_error : "-");
	}
	table_print(&t);
}

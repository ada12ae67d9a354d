// SPDX-License-Identifier: GPL-2.0
/*
 * rmaictl ls, stat: attributes of regions, for people and for programs.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rmaictl.h"

static const char *on_loss_text(uint32_t on_loss)
{
	return on_loss < ON_LOSS_NAMES ? on_loss_names[on_loss] : "?";
}

static const char *layout_text(const struct rmai_attr *attr, char *buf,
			       size_t size)
{
	size_t used = 0;
	unsigned int i;

	*buf = '\0';
	for (i = 0; i < attr->nr_nodes && i < NODES && used < size; i++)
		used += snprintf(buf + used, size - used, "%s%u", i ? "," : "",
				 attr->nodes[i]);
	return buf;
}

static const char *fetch_text(uint32_t fetch, char *buf, size_t size)
{
	size_t used = 0;
	unsigned int i;

	snprintf(buf, size, "none");
	for (i = 0; i < FETCH_NAMES && used < size; i++)
		if (fetch & 1U << i)
			used += snprintf(buf + used, size - used, "%s%s", used ? "," : "",
					 fetch_names[i]);
	return buf;
}

static struct json_object *fetch_json(uint32_t fetch)
{
	struct json_object *list = json_object_new_array();
	unsigned int i;

	for (i = 0; i < FETCH_NAMES; i++)
		if (fetch & 1U << i)
			json_object_array_add(list, json_object_new_string(fetch_names[i]));
	return list;
}

static struct json_object *attr_json(const char *name,
				     const struct rmai_attr *attr)
{
	struct json_object *obj = json_object_new_object();
	struct json_object *list = json_object_new_array();
	unsigned int i;

	add_string(obj, "name", name);
	add_u64(obj, "size", attr->size);
	add_u64(obj, "vmr_size", attr->vmr_size);
	add_bool(obj, "sealed", attr->flags & RMAI_REGION_SEALED);
	add_hex(obj, "addr", attr->addr);
	add_u64(obj, "length", attr->length);
	for (i = 0; i < attr->nr_nodes && i < NODES; i++)
		json_object_array_add(list, json_object_new_int(attr->nodes[i]));
	json_object_object_add(obj, "layout", list);
	add_u64(obj, "stripe", attr->stripe);
	add_u64(obj, "owner", attr->owner);
	add_hex(obj, "region_id", attr->region_id);
	add_u64(obj, "generation", attr->generation);
	add_u64(obj, "seals", attr->seals);
	add_string(obj, "on_loss", on_loss_text(attr->on_loss));
	json_object_object_add(obj, "fetch", fetch_json(attr->fetch));
	add_u64(obj, "cache_min", attr->cache_min);
	add_u64(obj, "cache_max", attr->cache_max);
	add_bool(obj, "anonymous", attr->flags & RMAI_REGION_ANON);
	add_bool(obj, "lost", attr->flags & RMAI_REGION_LOST);
	return obj;
}

static struct json_object *stat_json(const struct rmai_region_stat *st)
{
	struct json_object *obj = json_object_new_object();

	add_u64(obj, "home_bytes", st->home_bytes);
	add_u64(obj, "replica_bytes", st->replica_bytes);
	add_u64(obj, "fault_major", st->fault_major);
	add_u64(obj, "fault_minor", st->fault_minor);
	add_u64(obj, "fetch_vmrs", st->fetch_vmrs);
	add_u64(obj, "fetch_bytes", st->fetch_bytes);
	add_u64(obj, "fetch_errors", st->fetch_errors);
	add_u64(obj, "rdma_reads", st->rdma_reads);
	add_u64(obj, "fault_wait_ns", st->fault_wait_ns);
	add_u64(obj, "fetch_size", st->fetch_size);
	add_u64(obj, "huge_bytes", st->huge_bytes);
	add_u64(obj, "prefetch_advice_hits", st->prefetch_advice_hits);
	add_u64(obj, "prefetch_advice_waste", st->prefetch_advice_waste);
	add_u64(obj, "prefetch_seq_hits", st->prefetch_seq_hits);
	add_u64(obj, "prefetch_seq_waste", st->prefetch_seq_waste);
	add_u64(obj, "prefetch_schedule_hits", st->prefetch_schedule_hits);
	add_u64(obj, "prefetch_schedule_waste", st->prefetch_schedule_waste);
	add_u64(obj, "prefetch_next_hits", st->prefetch_next_hits);
	add_u64(obj, "prefetch_next_waste", st->prefetch_next_waste);
	add_u64(obj, "prefetch_late", st->prefetch_late);
	return obj;
}

static void seals_text(uint32_t seals, char *buf, size_t size)
{
	static const struct {
		uint32_t	seal;
		const char	*name;
	} names[] = {
		{ F_SEAL_SEAL, "seal" }, { F_SEAL_SHRINK, "shrink" },
		{ F_SEAL_GROW, "grow" }, { F_SEAL_WRITE, "write" },
	};
	size_t used = 0, i;

	snprintf(buf, size, "none");
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (seals & names[i].seal)
			used += snprintf(buf + used, size - used, "%s%s",
					 used ? " " : "", names[i].name);
}

static void stat_print(const char *path, const struct rmai_attr *attr,
		       const struct rmai_region_stat *st)
{
	char b[32], b2[32], layout[256];

	printf("%s\n", path);
#define LINE(name, ...) (printf("  %-14s ", name), printf(__VA_ARGS__), putchar('\n'))
#define SIZE(n) rmai_format_size(n, b, sizeof(b))
	LINE("region id", "%#llx", (unsigned long long)attr->region_id);
	LINE("generation", "%u", attr->generation);
	LINE("owner", "node %u%s%s", attr->owner,
	     attr->flags & RMAI_REGION_ANON ? ", anonymous" : "",
	     attr->flags & RMAI_REGION_LOST ?
	     ", LOST: a node that it was on has rebooted" : "");
	LINE("size", "%s (%llu bytes)", SIZE(attr->size),
	     (unsigned long long)attr->size);
	if (attr->addr)
		LINE("address", "%#llx, %s reserved",
		     (unsigned long long)attr->addr, SIZE(attr->length));
	else
		LINE("address", "none yet: the first mmap() gets one");
	LINE("VMR size", "%s", SIZE(attr->vmr_size));
	LINE("layout", "node%s %s, stripe %s", attr->nr_nodes == 1 ? "" : "s",
	     layout_text(attr, layout, sizeof(layout)), SIZE(attr->stripe));
	seals_text(attr->seals, layout, sizeof(layout));
	LINE("seals", "%s%s", layout,
	     attr->flags & RMAI_REGION_SEALED ? " (sealed)" : " (open)");
	LINE("on loss", "%s", on_loss_text(attr->on_loss));
	LINE("fetch ahead", "%s", fetch_text(attr->fetch, layout, sizeof(layout)));
	if (attr->cache_min || attr->cache_max)
		LINE("budget", "at least %s, at most %s", SIZE(attr->cache_min),
		     attr->cache_max ? rmai_format_size(attr->cache_max, b2, sizeof(b2)) :
				       "what the node has");
	LINE("on this node", "%s at home, %s of replicas", SIZE(st->home_bytes),
	     rmai_format_size(st->replica_bytes, b2, sizeof(b2)));
	LINE("huge", "%s in folios that a PMD entry maps (%.0f %%)", SIZE(st->huge_bytes),
	     st->home_bytes + st->replica_bytes ?
	     100.0 * st->huge_bytes / (st->home_bytes + st->replica_bytes) : 0.0);
	LINE("faults", "%llu major, %llu minor, waited %.3f ms",
	     (unsigned long long)st->fault_major,
	     (unsigned long long)st->fault_minor, st->fault_wait_ns / 1e6);
	LINE("fetches", "%llu VMRs, %s, %llu RDMA reads, %llu errors",
	     (unsigned long long)st->fetch_vmrs, SIZE(st->fetch_bytes),
	     (unsigned long long)st->rdma_reads,
	     (unsigned long long)st->fetch_errors);
	LINE("fetch size", "%s%s", SIZE(st->fetch_size),
	     attr->fetch & RMAI_FETCH_AUTO ? " (auto)" : "");
#define AHEAD(what, by)								\
	do {									\
		if (st->prefetch_##by##_hits || st->prefetch_##by##_waste)	\
			LINE(what, "%llu VMRs used, %llu not",			\
			     (unsigned long long)st->prefetch_##by##_hits,	\
			     (unsigned long long)st->prefetch_##by##_waste);	\
	} while (0)
	AHEAD("by advice", advice);
	AHEAD("by runs", seq);
	AHEAD("by schedule", schedule);
	AHEAD("by followers", next);
#undef AHEAD
	if (st->prefetch_late)
		LINE("late", "%llu of these were still on their way",
		     (unsigned long long)st->prefetch_late);
#undef SIZE
#undef LINE
}

/* Attributes of an open region; with --json as an object, else in words */
int region_show(const char *path, int fd, const char *what)
{
	struct rmai_attr attr;
	char b[32], b2[32], layout[256];

	if (rmai_get_attr(fd, &attr))
		return fail("%s: %s%s", path, strerror(errno), region_advice(errno));
	if (ctl.json)
		return print_json(attr_json(path, &attr));
	printf("%s %s: %s, VMRs of %s, on node%s %s\n", path, what,
	       rmai_format_size(attr.size, b, sizeof(b)),
	       rmai_format_size(attr.vmr_size, b2, sizeof(b2)),
	       attr.nr_nodes == 1 ? "" : "s",
	       layout_text(&attr, layout, sizeof(layout)));
	return EXIT_SUCCESS;
}

/* stat */

static const struct argp stat_argp = {
	mount_options, names_parse, "NAME...",
	"Shows all attributes of regions, and what this node did for them.",
	ctl_argp_child, NULL, NULL
};

int cmd_stat(int argc, char **argv)
{
	struct names_args args = { .min = 1, .max = INT32_MAX };
	struct json_object *list = NULL, *obj;
	struct rmai_region_stat st;
	int i, fd, ret = EXIT_SUCCESS;
	struct rmai_attr attr;
	char path[4096];

	if (argp_parse(&stat_argp, argc, argv, 0, NULL, &args))
		return EXIT_USAGE;
	if (ctl.json && args.nr > 1)
		list = json_object_new_array();
	for (i = 0; i < args.nr; i++) {
		if (region_path(path, sizeof(path), args.mount, args.names[i]))
			return EXIT_FAILURE;
		fd = region_open(path, O_RDONLY);
		if (fd < 0) {
			ret = EXIT_FAILURE;
			continue;
		}
		if (rmai_get_attr(fd, &attr) || rmai_get_stat(fd, &st)) {
			ret = fail("%s: %s%s", path, strerror(errno),
				   region_advice(errno));
		} else if (ctl.json) {
			obj = attr_json(path, &attr);
			json_object_object_add(obj, "stat", stat_json(&st));
			if (list)
				json_object_array_add(list, obj);
			else
				ret |= print_json(obj);
		} else {
			stat_print(path, &attr, &st);
		}
		close(fd);
	}
	if (list)
		ret |= print_json(list);
	return ret;
}

/* ls */

static const struct argp ls_argp = {
	mount_options, names_parse, NULL,
	"Lists the regions of the cluster.",
	ctl_argp_child, NULL, NULL
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char * const *)a, *(char * const *)b);
}

/*
 * The names in a directory, sorted; *@nr of them. Where a memory node cannot be
 * asked for its names, the others' are listed, and then comes an error: a
 * positive errno, or 0.
 */
static int read_names(DIR *dir, char ***list, size_t *nr)
{
	struct dirent *de;
	char **more;
	int err;

	*list = NULL;
	*nr = 0;
	while (errno = 0, (de = readdir(dir))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		more = realloc(*list, (*nr + 1) * sizeof(**list));
		if (!more)
			break;
		*list = more;
		more[*nr] = strdup(de->d_name);
		if (!more[*nr])
			break;
		++*nr;
	}
	err = errno;
	if (*nr)
		qsort(*list, *nr, sizeof(**list), by_name);
	return err;
}

static void ls_row(struct table *t, const char *name,
		   const struct rmai_attr *attr)
{
	char b[32], layout[256];

	table_cell(t, "%s", name);
	table_cell(t, "%s", rmai_format_size(attr->size, b, sizeof(b)));
	table_cell(t, "%s", rmai_format_size(attr->vmr_size, b, sizeof(b)));
	table_cell(t, "%u", attr->generation);
	table_cell(t, "%s%s", attr->flags & RMAI_REGION_SEALED ? "sealed" : "open",
		   attr->flags & RMAI_REGION_LOST ? ", LOST" : "");
	if (attr->addr)
		table_cell(t, "%#llx", (unsigned long long)attr->addr);
	else
		table_cell(t, "-");
	layout_text(attr, layout, sizeof(layout));
	if (attr->nr_nodes > 1)
		table_cell(t, "%s by %s", layout,
			   rmai_format_size(attr->stripe, b, sizeof(b)));
	else
		table_cell(t, "%s", layout);
}

/* One that may not be opened, or cannot be had just now, is listed all the same */
static void ls_bad(struct table *t, struct json_object *list, const char *name,
		   int err)
{
	struct json_object *obj;

	if (list) {
		obj = json_object_new_object();
		add_string(obj, "name", name);
		add_string(obj, "error", strerror(err));
		json_object_array_add(list, obj);
		return;
	}
	table_cell(t, "%s", name);
	table_cell(t, "-");
	table_cell(t, "-");
	table_cell(t, "-");
	table_cell(t, "%s", strerror(err));
	table_cell(t, "-");
	table_cell(t, "-");
}

static void ls_one(struct table *t, struct json_object *list, int dirfd,
		   const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	struct rmai_attr attr;

	if (fd < 0 || rmai_get_attr(fd, &attr)) {
		/* Another node may have removed it since */
		if (errno != ENOENT && errno != ESTALE)
			ls_bad(t, list, name, errno);
	} else if (list) {
		json_object_array_add(list, attr_json(name, &attr));
	} else {
		ls_row(t, name, &attr);
	}
	if (fd >= 0)
		close(fd);
}

int cmd_ls(int argc, char **argv)
{
	static const char * const head[] = {
		"NAME", "SIZE", "VMR", "GEN", "STATE", "ADDRESS", "LAYOUT",
	};
	struct table t = { .cols = 7, .right = 1 << 1 | 1 << 2 | 1 << 3 };
	struct names_args args = { 0 };
	struct json_object *list = NULL;
	char path[4096], **names;
	size_t nr, i;
	DIR *dir;
	int err;

	if (argp_parse(&ls_argp, argc, argv, 0, NULL, &args))
		return EXIT_USAGE;
	if (mount_dir(path, sizeof(path), args.mount))
		return EXIT_FAILURE;
	dir = opendir(path);
	if (!dir)
		return fail("%s: %s%s", path, strerror(errno), region_advice(errno));
	if (rmai_is_region(dirfd(dir)) != 1) {
		closedir(dir);
		return fail("%s is not an rmaifs", path);
	}
	if (ctl.json)
		list = json_object_new_array();
	for (i = 0; !list && i < ARRAY_SIZE(head); i++)
		table_cell(&t, "%s", head[i]);
	err = read_names(dir, &names, &nr);
	for (i = 0; i < nr; i++) {
		ls_one(&t, list, dirfd(dir), names[i]);
		free(names[i]);
	}
	free(names);
	closedir(dir);
	if (!list)
		table_print(&t);
	else if (err)
		json_object_put(list);
	else
		print_json(list);
	return err ? fail("%s: the list is not complete: %s%s", path,
			  strerror(err), region_advice(err)) : EXIT_SUCCESS;
}

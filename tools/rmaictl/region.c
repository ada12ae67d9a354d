// SPDX-License-Identifier: GPL-2.0
/*
 * rmaictl create, seal, ls, stat: regions by their names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rmaictl.h"

enum {
	KEY_SIZE = 0x4000, KEY_VMR, KEY_LAYOUT, KEY_STRIPE, KEY_ON_LOSS,
	KEY_MOUNT,
};

static const char * const on_loss_names[] = {
	[RMAI_ON_LOSS_DEFAULT]	= "default",
	[RMAI_ON_LOSS_BLOCK]	= "block",
	[RMAI_ON_LOSS_SIGBUS]	= "sigbus",
};

/* "1,2,4": ids, in stripe order */
static bool parse_layout(struct rmai_attr *attr, const char *arg)
{
	unsigned int i;
	char *end;
	long id;

	attr->nr_nodes = 0;
	for (;; arg = end + 1) {
		id = strtol(arg, &end, 10);
		if (end == arg || id < 1 || id > NODES || attr->nr_nodes == NODES)
			return false;
		for (i = 0; i < attr->nr_nodes; i++)
			if (attr->nodes[i] == id)
				return false;
		attr->nodes[attr->nr_nodes++] = id;
		if (!*end)
			return true;
		if (*end != ',')
			return false;
	}
}

const char *region_option(struct region_opts *opts, int key, const char *arg)
{
	struct rmai_attr *attr = &opts->attr;
	unsigned int i;
	uint64_t n;

	switch (key) {
	case KEY_VMR:
		if (rmai_parse_size(arg, &n) || n < RMAI_VMR_MIN ||
		    n > RMAI_VMR_MAX || n % RMAI_VMR_MIN)
			return "--vmr takes a multiple of 4K from 4K to 1G";
		attr->vmr_size = n;
		attr->mask |= RMAI_ATTR_VMR_SIZE;
		break;
	case KEY_STRIPE:
		if (rmai_parse_size(arg, &n) || n % RMAI_VMR_MIN)
			return "--stripe takes a multiple of the VMR size, or 0 for the default";
		attr->stripe = n;
		attr->mask |= RMAI_ATTR_STRIPE;
		break;
	case KEY_LAYOUT:
		if (!parse_layout(attr, arg))
			return "--layout takes ids of different memory nodes, such as 1,2";
		attr->mask |= RMAI_ATTR_LAYOUT;
		break;
	case KEY_ON_LOSS:
		for (i = 0; i < ARRAY_SIZE(on_loss_names); i++)
			if (!strcmp(arg, on_loss_names[i]))
				break;
		if (i == ARRAY_SIZE(on_loss_names))
			return "--on-loss takes block, sigbus or default";
		attr->on_loss = i;
		attr->mask |= RMAI_ATTR_ON_LOSS;
		break;
	}
	return NULL;
}

static error_t region_parse(int key, char *arg, struct argp_state *state)
{
	struct region_opts *opts = state->input;
	const char *wrong;

	switch (key) {
	case KEY_VMR:
	case KEY_STRIPE:
	case KEY_LAYOUT:
	case KEY_ON_LOSS:
		wrong = region_option(opts, key, arg);
		if (wrong)
			argp_error(state, "%s, not '%s'", wrong, arg);
		return 0;
	case ARGP_KEY_SUCCESS:
		/* Where both are given; else the kernel knows the other one */
		if ((opts->attr.mask & RMAI_ATTR_VMR_SIZE) &&
		    opts->attr.stripe % opts->attr.vmr_size)
			argp_error(state, "the stripe is not a multiple of the VMR size");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp_option region_argp_options[] = {
	{ "vmr", KEY_VMR, "SIZE", 0,
	  "Unit of transfer, a multiple of 4K up to 1G (2M)", 0 },
	{ "vmr-size", KEY_VMR, NULL, OPTION_ALIAS, NULL, 0 },
	{ "layout", KEY_LAYOUT, "ID,...", 0,
	  "Memory nodes that are to hold it, in stripe order (all, this one first)", 0 },
	{ "stripe", KEY_STRIPE, "SIZE", 0,
	  "Bytes that go to one node before the next one's turn, a multiple of the VMR size", 0 },
	{ "on-loss", KEY_ON_LOSS, "block|sigbus|default", 0,
	  "What a fault does whose data cannot be had", 0 },
	{ 0 }
};

const struct argp region_argp = {
	.options	= region_argp_options,
	.parser		= region_parse,
};

/* @mount, or the mount that there is */
static int mount_dir(char *dir, size_t size, const char *mount)
{
	if (mount) {
		if ((size_t)snprintf(dir, size, "%s", mount) >= size)
			return fail("%.20s...: the path is too long", mount);
		return 0;
	}
	if (!rmai_find_mount(dir, size))
		return 0;
	if (errno != ENOENT)
		return fail("/proc/self/mountinfo: %s", strerror(errno));
	return fail("no rmaifs is mounted: try \"mount -t rmaifs rmai /rmai\"");
}

int region_path(char *path, size_t size, const char *mount, const char *name)
{
	char dir[3072];

	if (strchr(name, '/')) {
		if ((size_t)snprintf(path, size, "%s", name) >= size)
			return fail("%.20s...: the path is too long", name);
		return 0;
	}
	if (!*name || strlen(name) > RMAI_NAME_MAX)
		return fail("'%.20s': a name has 1 to %d bytes", name,
			    RMAI_NAME_MAX);
	if (mount_dir(dir, sizeof(dir), mount))
		return EXIT_FAILURE;
	snprintf(path, size, "%s/%s", dir, name);
	return 0;
}

/* What to do about an error with a region */
static const char *advice(int err)
{
	switch (err) {
	case ENOENT:
		return "; see rmaictl ls";
	case ENODEV:
	case ESHUTDOWN:
		return "; this node is offline: rmaictl join";
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ETIMEDOUT:
		return "; a memory node that it needs is not reachable: see rmaictl status";
	case ENOSPC:
		return "; a memory node's pool is full: see rmaictl status";
	case EPERM:
		return "; it is sealed, or belongs to somebody else";
	case EBUSY:
		return "; it is mapped for writing, or not empty";
	default:
		return "";
	}
}

static int open_region(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	struct stat st;

	if (fd < 0) {
		fail("%s: %s%s", path, strerror(errno), advice(errno));
		return -1;
	}
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && rmai_is_region(fd) == 1)
		return fd;
	fail("%s is not a region: it is not a file of an rmaifs", path);
	close(fd);
	return -1;
}

void region_remove(const char *path)
{
	if (unlink(path))
		note("%s could not be removed again: %s", path, strerror(errno));
}

int region_create(const char *path, struct region_opts *opts)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0) {
		fail("%s: %s%s", path, strerror(errno), errno == EEXIST ?
		     "; remove it first, if it may go" : advice(errno));
		return -1;
	}
	if (rmai_is_region(fd) != 1) {
		fail("%s: this is not on an rmaifs", path);
		goto remove;
	}
	if (opts->attr.mask && rmai_set_attr(fd, &opts->attr)) {
		fail("%s: cannot set its attributes: %s%s", path, strerror(errno),
		     errno == EINVAL ?
		     "; is the stripe a multiple of the VMR size, is every node a memory node?" :
		     advice(errno));
		goto remove;
	}
	if (opts->has_size && ftruncate(fd, opts->size)) {
		fail("%s: cannot make it %llu bytes: %s%s", path,
		     (unsigned long long)opts->size, strerror(errno),
		     advice(errno));
		goto remove;
	}
	return fd;
remove:
	close(fd);
	region_remove(path);
	return -1;
}

/* Showing */

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
	add_u64(obj, "seals", attr->seals);
	add_string(obj, "on_loss", attr->on_loss < ARRAY_SIZE(on_loss_names) ?
		   on_loss_names[attr->on_loss] : "?");
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
	LINE("on loss", "%s", attr->on_loss < ARRAY_SIZE(on_loss_names) ?
	     on_loss_names[attr->on_loss] : "?");
	LINE("on this node", "%s at home, %s of replicas", SIZE(st->home_bytes),
	     rmai_format_size(st->replica_bytes, b2, sizeof(b2)));
	LINE("faults", "%llu major, %llu minor, waited %.3f ms",
	     (unsigned long long)st->fault_major,
	     (unsigned long long)st->fault_minor, st->fault_wait_ns / 1e6);
	LINE("fetches", "%llu VMRs, %s, %llu RDMA reads, %llu errors",
	     (unsigned long long)st->fetch_vmrs, SIZE(st->fetch_bytes),
	     (unsigned long long)st->rdma_reads,
	     (unsigned long long)st->fetch_errors);
#undef SIZE
#undef LINE
}

/* create */

struct names_args {
	struct region_opts	opts;
	const char		*mount;
	char			**names;
	int			nr;
	int			min, max;
	bool			creates;
};

static error_t names_parse(int key, char *arg, struct argp_state *state)
{
	struct names_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		if (args->creates)	/* region_argp's place in region_children */
			state->child_inputs[1] = &args->opts;
		return 0;
	case KEY_MOUNT:
		args->mount = arg;
		return 0;
	case KEY_SIZE:
		if (rmai_parse_size(arg, &args->opts.size) ||
		    args->opts.size > INT64_MAX)
			argp_error(state, "--size takes bytes, or such as 512M or 48G, not '%s'",
				   arg);
		args->opts.has_size = true;
		return 0;
	case ARGP_KEY_ARGS:
		args->names = state->argv + state->next;
		args->nr = state->argc - state->next;
		state->next = state->argc;
		if (args->nr > args->max)
			argp_error(state, "'%s' is too much",
				   args->names[args->max]);
		return 0;
	case ARGP_KEY_END:
		if (args->nr < args->min)
			argp_error(state, "the name of a region is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

#define MOUNT_OPTION							\
	{ "mount", KEY_MOUNT, "DIR", 0,					\
	  "Where rmaifs is mounted (default: found out, /rmai first)", 0 }

static const struct argp_option mount_options[] = {
	MOUNT_OPTION,
	{ 0 }
};

static const struct argp_option create_options[] = {
	{ "size", KEY_SIZE, "SIZE", 0,
	  "Bytes; K, M, G and T are powers of 1024 (0)", 0 },
	MOUNT_OPTION,
	{ 0 }
};

static const struct argp_child region_children[] = {
	{ &ctl_argp, 0, NULL, 0 },
	{ &region_argp, 0, NULL, 0 },
	{ 0 }
};

static const struct argp create_argp = {
	create_options, names_parse, "NAME",
	"Makes an empty region. NAME is in the rmaifs, or a path if it has a '/'.",
	region_children, NULL, NULL
};

/* Attributes of an open region; with --json as an object, else in words */
static int show_new(const char *path, int fd, const char *what)
{
	struct rmai_attr attr;
	char b[32], b2[32], layout[256];

	if (rmai_get_attr(fd, &attr))
		return fail("%s: %s%s", path, strerror(errno), advice(errno));
	if (ctl.json)
		return print_json(attr_json(path, &attr));
	printf("%s %s: %s, VMRs of %s, on node%s %s\n", path, what,
	       rmai_format_size(attr.size, b, sizeof(b)),
	       rmai_format_size(attr.vmr_size, b2, sizeof(b2)),
	       attr.nr_nodes == 1 ? "" : "s",
	       layout_text(&attr, layout, sizeof(layout)));
	return EXIT_SUCCESS;
}

int cmd_create(int argc, char **argv)
{
	struct names_args args = { .min = 1, .max = 1, .creates = true };
	char path[4096];
	int fd, ret;

	if (argp_parse(&create_argp, argc, argv, 0, NULL, &args))
		return EXIT_USAGE;
	if (region_path(path, sizeof(path), args.mount, args.names[0]))
		return EXIT_FAILURE;
	fd = region_create(path, &args.opts);
	if (fd < 0)
		return EXIT_FAILURE;
	ret = show_new(path, fd, "made");
	close(fd);
	return ret;
}

/* seal */

static const struct argp seal_argp = {
	mount_options, names_parse, "NAME...",
	"Makes regions immutable, for good: no writes, no other size.",
	ctl_argp_child, NULL, NULL
};

int cmd_seal(int argc, char **argv)
{
	struct names_args args = { .min = 1, .max = INT32_MAX };
	char path[4096];
	int i, fd, ret = EXIT_SUCCESS;

	if (argp_parse(&seal_argp, argc, argv, 0, NULL, &args))
		return EXIT_USAGE;
	for (i = 0; i < args.nr; i++) {
		if (region_path(path, sizeof(path), args.mount, args.names[i]))
			return EXIT_FAILURE;
		fd = open_region(path, O_RDWR);
		if (fd < 0) {
			ret = EXIT_FAILURE;
			continue;
		}
		if (rmai_seal(fd))
			ret = fail("%s: cannot seal it: %s%s", path,
				   strerror(errno), errno == EBUSY ?
				   "; it is mapped writable: see fuser(1)" :
				   advice(errno));
		else
			ret |= show_new(path, fd, "sealed");
		close(fd);
	}
	return ret;
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
		fd = open_region(path, O_RDONLY);
		if (fd < 0) {
			ret = EXIT_FAILURE;
			continue;
		}
		if (rmai_get_attr(fd, &attr) || rmai_get_stat(fd, &st)) {
			ret = fail("%s: %s%s", path, strerror(errno),
				   advice(errno));
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

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_hidden(const struct dirent *de)
{
	return strcmp(de->d_name, ".") && strcmp(de->d_name, "..");
}

static void ls_row(struct table *t, const char *name,
		   const struct rmai_attr *attr)
{
	char b[32], layout[256];

	table_cell(t, "%s", name);
	table_cell(t, "%s", rmai_format_size(attr->size, b, sizeof(b)));
	table_cell(t, "%s", rmai_format_size(attr->vmr_size, b, sizeof(b)));
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
	table_cell(t, "%s", strerror(err));
	table_cell(t, "-");
	table_cell(t, "-");
}

int cmd_ls(int argc, char **argv)
{
	static const char * const head[] = {
		"NAME", "SIZE", "VMR", "STATE", "ADDRESS", "LAYOUT",
	};
	struct table t = { .cols = 6, .right = 1 << 1 | 1 << 2 };
	struct names_args args = { 0 };
	struct json_object *list = NULL;
	struct rmai_attr attr;
	struct dirent **de;
	char dir[4096];
	int dirfd, fd, nr, i;
	size_t j;

	if (argp_parse(&ls_argp, argc, argv, 0, NULL, &args))
		return EXIT_USAGE;
	if (mount_dir(dir, sizeof(dir), args.mount))
		return EXIT_FAILURE;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	nr = dirfd < 0 ? -1 : scandir(dir, &de, not_hidden, by_name);
	if (nr < 0)
		return fail("%s: %s%s", dir, strerror(errno), advice(errno));
	if (rmai_is_region(dirfd) != 1) {
		for (i = 0; i < nr; i++)
			free(de[i]);
		free(de);
		close(dirfd);
		return fail("%s is not an rmaifs", dir);
	}
	if (ctl.json)
		list = json_object_new_array();
	else
		for (j = 0; j < ARRAY_SIZE(head); j++)
			table_cell(&t, "%s", head[j]);
	for (i = 0; i < nr; i++) {
		const char *name = de[i]->d_name;

		fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || rmai_get_attr(fd, &attr)) {
			/* Another node may have removed it since */
			if (errno != ENOENT && errno != ESTALE)
				ls_bad(&t, list, name, errno);
		} else if (list) {
			json_object_array_add(list, attr_json(name, &attr));
		} else {
			ls_row(&t, name, &attr);
		}
		if (fd >= 0)
			close(fd);
		free(de[i]);
	}
	free(de);
	close(dirfd);
	if (list)
		return print_json(list);
	table_print(&t);
	return EXIT_SUCCESS;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * rmaictl create, set, seal: regions by their names.
 */
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
	KEY_MOUNT, KEY_FETCH, KEY_CACHE_MIN, KEY_CACHE_MAX,
};

const char * const on_loss_names[] = {
	[RMAI_ON_LOSS_DEFAULT]	= "default",
	[RMAI_ON_LOSS_BLOCK]	= "block",
	[RMAI_ON_LOSS_SIGBUS]	= "sigbus",
};

const char * const fetch_names[] = { "advice", "seq", "schedule", "next", "auto", "long" };

/* "seq,next": names of RMAI_FETCH_* */
static bool parse_fetch(struct rmai_attr *attr, const char *arg)
{
	unsigned int i;

	attr->fetch = 0;
	if (!strcmp(arg, "none"))
		return true;
	if (!strcmp(arg, "default")) {
		attr->fetch = RMAI_FETCH_DEFAULT;
		return true;
	}
	for (;; arg++) {
		size_t len = strcspn(arg, ",");

		for (i = 0; i < FETCH_NAMES; i++)
			if (strlen(fetch_names[i]) == len && !strncmp(arg, fetch_names[i], len))
				break;
		if (i == FETCH_NAMES || attr->fetch & 1U << i)
			return false;
		attr->fetch |= 1U << i;
		arg += len;
		if (!*arg)
			return true;
	}
}

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
		for (i = 0; i < ON_LOSS_NAMES; i++)
			if (!strcmp(arg, on_loss_names[i]))
				break;
		if (i == ON_LOSS_NAMES)
			return "--on-loss takes block, sigbus or default";
		attr->on_loss = i;
		attr->mask |= RMAI_ATTR_ON_LOSS;
		break;
	case KEY_FETCH:
		if (!parse_fetch(attr, arg))
			return "--fetch: none, default, or of advice,long,seq,schedule,next,auto";
		attr->mask |= RMAI_ATTR_FETCH;
		break;
	case KEY_CACHE_MIN:
		if (rmai_parse_size(arg, &n))
			return "--cache-min takes bytes, or such as 512M";
		attr->cache_min = n;
		opts->has_cache_min = true;
		attr->mask |= RMAI_ATTR_CACHE;
		break;
	case KEY_CACHE_MAX:
		if (rmai_parse_size(arg, &n))
			return "--cache-max takes bytes, or such as 512M; 0: no limit";
		attr->cache_max = n;
		opts->has_cache_max = true;
		attr->mask |= RMAI_ATTR_CACHE;
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
	case KEY_FETCH:
	case KEY_CACHE_MIN:
	case KEY_CACHE_MAX:
		wrong = region_option(opts, key, arg);
		if (wrong)
			argp_error(state, "%s, not '%s'", wrong, arg);
		return 0;
	case ARGP_KEY_SUCCESS:
		/* Where both are given; else the kernel knows the other one */
		if ((opts->attr.mask & RMAI_ATTR_VMR_SIZE) &&
		    opts->attr.stripe % opts->attr.vmr_size)
			argp_error(state, "the stripe is not a multiple of the VMR size");
		if (opts->has_cache_min && opts->attr.cache_max &&
		    opts->attr.cache_min > opts->attr.cache_max)
			argp_error(state, "--cache-min is more than --cache-max");
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
	  "Memory nodes that are to hold it, in stripe order (all that are up)", 0 },
	{ "stripe", KEY_STRIPE, "SIZE", 0,
	  "Bytes that go to one node before the next one's turn, a multiple of the VMR size", 0 },
	{ "on-loss", KEY_ON_LOSS, "block|sigbus|default", 0,
	  "What a fault does whose data cannot be had", 0 },
	{ "fetch", KEY_FETCH, "LIST", 0,
	  "What is fetched ahead: none, default, or of advice,long,seq,schedule,next,auto", 0 },
	{ "cache-min", KEY_CACHE_MIN, "SIZE", 0,
	  "Of its replicas a node keeps so much while others have more than theirs (0)", 0 },
	{ "cache-max", KEY_CACHE_MAX, "SIZE", 0,
	  "And no more than that; 0: what the node's budget allows (0)", 0 },
	{ 0 }
};

const struct argp region_argp = {
	.options	= region_argp_options,
	.parser		= region_parse,
};

/* @mount, or the mount that there is */
int mount_dir(char *dir, size_t size, const char *mount)
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
const char *region_advice(int err)
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

int region_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	struct stat st;

	if (fd < 0) {
		fail("%s: %s%s", path, strerror(errno), region_advice(errno));
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
		     "; remove it first, if it may go" : region_advice(errno));
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
		     region_advice(errno));
		goto remove;
	}
	if (opts->has_size && ftruncate(fd, opts->size)) {
		fail("%s: cannot make it %llu bytes: %s%s", path,
		     (unsigned long long)opts->size, strerror(errno),
		     region_advice(errno));
		goto remove;
	}
	return fd;
remove:
	close(fd);
	region_remove(path);
	return -1;
}

/* create */

error_t names_parse(int key, char *arg, struct argp_state *state)
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

const struct argp_option mount_options[] = {
	MOUNT_OPTION,
	{ 0 }
};

const struct argp names_argp = {
	.options	= mount_options,
	.parser		= names_parse,
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
	ret = region_show(path, fd, "made");
	close(fd);
	return ret;
}

/* set */

static const struct argp set_argp = {
	mount_options, names_parse, "NAME...",
	"Changes attributes of regions. What is stored already keeps its VMR size, stripe and layout.",
	region_children, NULL, NULL
};

static int region_set(const char *path, int fd, struct rmai_attr attr,
		      const struct region_opts *opts)
{
	struct rmai_attr old;

	if (rmai_get_attr(fd, &old))
		return fail("%s: %s%s", path, strerror(errno), region_advice(errno));
	/* The kernel takes both, or none */
	if (!opts->has_cache_min)
		attr.cache_min = old.cache_min;
	if (!opts->has_cache_max)
		attr.cache_max = old.cache_max;
	if (rmai_set_attr(fd, &attr))
		return fail("%s: cannot set its attributes: %s%s", path, strerror(errno),
			    errno == EINVAL ? "; is cache-min more than cache-max?" :
			    region_advice(errno));
	return region_show(path, fd, "set");
}

int cmd_set(int argc, char **argv)
{
	struct names_args args = { .min = 1, .max = INT32_MAX, .creates = true };
	char path[4096];
	int i, fd, ret = EXIT_SUCCESS;

	if (argp_parse(&set_argp, argc, argv, 0, NULL, &args))
		return EXIT_USAGE;
	if (!args.opts.attr.mask) {
		fail("set: what? See rmaictl set --help");
		return EXIT_USAGE;
	}
	for (i = 0; i < args.nr; i++) {
		if (region_path(path, sizeof(path), args.mount, args.names[i]))
			return EXIT_FAILURE;
		fd = region_open(path, O_RDWR);
		if (fd < 0) {
			ret = EXIT_FAILURE;
			continue;
		}
		ret |= region_set(path, fd, args.opts.attr, &args.opts);
		close(fd);
	}
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
		fd = region_open(path, O_RDWR);
		if (fd < 0) {
			ret = EXIT_FAILURE;
			continue;
		}
		if (rmai_seal(fd))
			ret = fail("%s: cannot seal it: %s%s", path,
				   strerror(errno), errno == EBUSY ?
				   "; it is mapped writable: see fuser(1)" :
				   region_advice(errno));
		else
			ret |= region_show(path, fd, "sealed");
		close(fd);
	}
	return ret;
}

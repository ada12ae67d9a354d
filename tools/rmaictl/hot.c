// SPDX-License-Identifier: GPL-2.0
/*
 * rmaictl hot, poison: single VMRs of open regions: those that nodes take from each
 * other, and those that were lost with the node that was writing them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rmaictl.h"

/* "1,3": from a mask */
static const char *nodes_text(uint64_t mask, char *buf, size_t size)
{
	size_t used = 0;
	int i;

	snprintf(buf, size, "-");
	for (i = 0; i < NODES && used < size; i++)
		if (mask & (1ULL << i))
			used += snprintf(buf + used, size - used, "%s%d", used ? "," : "",
					 i + 1);
	return buf;
}

static struct json_object *nodes_json(uint64_t mask)
{
	struct json_object *list = json_object_new_array();
	int i;

	for (i = 0; i < NODES; i++)
		if (mask & (1ULL << i))
			json_object_array_add(list, json_object_new_int(i + 1));
	return list;
}

static struct json_object *vmr_json(const struct rmai_vmr *v, uint64_t vmr_size)
{
	struct json_object *obj = json_object_new_object();

	add_u64(obj, "vmr", v->vmr);
	add_u64(obj, "offset", v->vmr * vmr_size);
	add_u64(obj, "home", v->home);
	if (v->owner)
		add_u64(obj, "owner", v->owner);
	add_u64(obj, "moves", v->moves);
	add_u64(obj, "recalls", v->recalls);
	add_u64(obj, "invalidations", v->invs);
	json_object_object_add(obj, "writers", nodes_json(v->writers));
	json_object_object_add(obj, "readers", nodes_json(v->readers));
	return obj;
}

/* Homes that did not answer: the list is not complete */
static int say_missing(const char *path, uint64_t missing)
{
	char nodes[256];

	if (!missing)
		return EXIT_SUCCESS;
	return fail("%s: not complete: node %s could not be asked; see rmaictl status", path,
		    nodes_text(missing, nodes, sizeof(nodes)));
}

static int open_names(struct names_args *args, char *path, size_t size, int flags,
		      struct rmai_attr *attr)
{
	int fd;

	if (region_path(path, size, args->mount, args->names[0]))
		return -1;
	fd = region_open(path, flags);
	if (fd < 0)
		return -1;
	if (!rmai_get_attr(fd, attr))
		return fd;
	fail("%s: %s%s", path, strerror(errno), region_advice(errno));
	close(fd);
	return -1;
}

/* hot */

static const struct argp hot_argp = {
	mount_options, names_parse, "NAME",
	"Shows the VMRs of an open region that nodes take from each other, the worst first, and who gets them.",
	ctl_argp_child, NULL, NULL
};

static void hot_row(struct table *t, const struct rmai_vmr *v, uint64_t vmr_size)
{
	char nodes[256];

	table_cell(t, "%llu", (unsigned long long)v->vmr);
	table_cell(t, "%#llx", (unsigned long long)(v->vmr * vmr_size));
	table_cell(t, "%u", v->moves);
	table_cell(t, "%u", v->recalls);
	table_cell(t, "%u", v->invs);
	table_cell(t, "%u", v->home);
	if (v->owner)
		table_cell(t, "%u", v->owner);
	else
		table_cell(t, "-");
	table_cell(t, "%s", nodes_text(v->writers, nodes, sizeof(nodes)));
	table_cell(t, "%s", nodes_text(v->readers, nodes, sizeof(nodes)));
}

int cmd_hot(int argc, char **argv)
{
	static const char * const head[] = {
		"VMR", "OFFSET", "MOVES", "RECALLS", "INVS", "HOME", "OWNER", "WRITERS",
		"READERS",
	};
	struct table t = { .cols = 9, .right = 0x7f };
	struct names_args args = { .min = 1, .max = 1 };
	struct rmai_vmr vmrs[RMAI_VMRS_MAX];
	struct json_object *list = NULL;
	uint64_t first = 0, missing;
	struct rmai_attr attr;
	char path[4096];
	int fd, i, nr;
	size_t c;

	if (argp_parse(&hot_argp, argc, argv, 0, NULL, &args))
		return EXIT_USAGE;
	fd = open_names(&args, path, sizeof(path), O_RDONLY, &attr);
	if (fd < 0)
		return EXIT_FAILURE;
	nr = rmai_get_vmrs(fd, RMAI_VMRS_HOT, vmrs, RMAI_VMRS_MAX, &first, &missing);
	close(fd);
	if (nr < 0)
		return fail("%s: %s%s", path, strerror(errno), region_advice(errno));
	if (ctl.json)
		list = json_object_new_array();
	else if (!nr)
		printf("%s: no VMR was taken from a node%s\n", path,
		       attr.flags & RMAI_REGION_SEALED ? ": it is sealed" : "");
	for (c = 0; !list && nr && c < ARRAY_SIZE(head); c++)
		table_cell(&t, "%s", head[c]);
	for (i = 0; i < nr; i++) {
		if (list)
			json_object_array_add(list, vmr_json(&vmrs[i], attr.vmr_size));
		else
			hot_row(&t, &vmrs[i], attr.vmr_size);
	}
	if (list && missing)
		json_object_put(list);
	else if (list)
		print_json(list);
	else
		table_print(&t);
	return say_missing(path, missing);
}

/* poison */

enum { KEY_RESET = 0x7000 };

struct poison_args {
	struct names_args	names;
	bool			reset;
};

static error_t poison_parse(int key, char *arg, struct argp_state *state)
{
	struct poison_args *args = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[1] = &args->names;
		return 0;
	case KEY_RESET:
		args->reset = true;
		return 0;
	case ARGP_KEY_END:
		if (!args->reset && args->names.nr > 1)
			argp_error(state, "'%s' is too much without --reset",
				   args->names.names[1]);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option poison_options[] = {
	{ "reset", KEY_RESET, NULL, 0,
	  "Make them usable again, those of these numbers or all", 0 },
	{ 0 }
};

static const struct argp_child poison_children[] = {
	{ &ctl_argp, 0, NULL, 0 },
	{ &names_argp, 0, NULL, 0 },
	{ 0 }
};

static const struct argp poison_argp = {
	poison_options, poison_parse, "NAME [VMR...]",
	"Lists the VMRs of an open region that were lost with the node that was writing them: to touch them is SIGBUS or EIO.\vAfter --reset they hold what their homes have: what was last written back, or written with write(2), and zeros where nothing was. What the lost node had stored since is gone.",
	poison_children, NULL, NULL
};

static void poison_print(const struct rmai_vmr *v, uint64_t vmr_size)
{
	printf("VMR %llu, offset %#llx: lost with node %u; stored on node %u\n",
	       (unsigned long long)v->vmr, (unsigned long long)(v->vmr * vmr_size),
	       v->owner, v->home);
}

/* All that there are, in turns */
static int poison_list(const char *path, int fd, const struct rmai_attr *attr)
{
	struct json_object *list = ctl.json ? json_object_new_array() : NULL;
	uint64_t first = 0, missing = 0, some;
	struct rmai_vmr vmrs[RMAI_VMRS_MAX];
	bool any = false;
	int i, nr;

	do {
		nr = rmai_get_vmrs(fd, RMAI_VMRS_LOST, vmrs, RMAI_VMRS_MAX, &first, &some);
		if (nr < 0) {
			if (list)
				json_object_put(list);
			return fail("%s: %s%s", path, strerror(errno),
				    region_advice(errno));
		}
		missing |= some;
		for (i = 0; i < nr; i++) {
			any = true;
			if (list)
				json_object_array_add(list, vmr_json(&vmrs[i], attr->vmr_size));
			else
				poison_print(&vmrs[i], attr->vmr_size);
		}
	} while (first);
	if (list && missing)
		json_object_put(list);
	else if (list)
		print_json(list);
	else if (!any && !missing)
		printf("%s: no VMR is lost\n", path);
	return say_missing(path, missing);
}

static int poison_report(const char *path, uint64_t done)
{
	struct json_object *obj;

	if (!ctl.json) {
		printf("%s: %llu VMR%s can be used again\n", path, (unsigned long long)done,
		       done == 1 ? "" : "s");
		return EXIT_SUCCESS;
	}
	obj = json_object_new_object();
	add_string(obj, "name", path);
	add_u64(obj, "reset", done);
	return print_json(obj);
}

static int poison_reset(const char *path, int fd, const struct poison_args *args,
			const struct rmai_attr *attr)
{
	uint64_t all = (attr->size + attr->vmr_size - 1) / attr->vmr_size, done = 0;
	unsigned long long vmr;
	int64_t n;
	char *end;
	int i;

	if (args->names.nr == 1) {
		n = all ? rmai_reset_vmrs(fd, 0, all) : 0;
		if (n < 0)
			return fail("%s: %s%s", path, strerror(errno),
				    region_advice(errno));
		return poison_report(path, n);
	}
	for (i = 1; i < args->names.nr; i++) {
		const char *arg = args->names.names[i];

		errno = 0;
		vmr = strtoull(arg, &end, 0);
		if (*arg < '0' || *arg > '9' || *end || errno || vmr >= all)
			return fail("%s: '%s' is not one of its %llu VMRs", path, arg,
				    (unsigned long long)all);
		n = rmai_reset_vmrs(fd, vmr, 1);
		if (n < 0)
			return fail("%s: VMR %llu: %s%s", path, vmr, strerror(errno),
				    region_advice(errno));
		done += n;
	}
	return poison_report(path, done);
}

int cmd_poison(int argc, char **argv)
{
	struct poison_args args = { .names = { .min = 1, .max = INT32_MAX } };
	struct rmai_attr attr;
	char path[4096];
	int fd, ret;

	if (argp_parse(&poison_argp, argc, argv, 0, NULL, &args))
		return EXIT_USAGE;
	fd = open_names(&args.names, path, sizeof(path), args.reset ? O_RDWR : O_RDONLY,
			&attr);
	if (fd < 0)
		return EXIT_FAILURE;
	ret = args.reset ? poison_reset(path, fd, &args, &attr) :
			   poison_list(path, fd, &attr);
	close(fd);
	return ret;
}

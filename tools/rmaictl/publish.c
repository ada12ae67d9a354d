// SPDX-License-Identifier: GPL-2.0
/*
 * rmaictl publish: a sealed region takes the place of another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rmaictl.h"

static const char *publish_advice(int err)
{
	switch (err) {
	case EINVAL:
		return "; both must be sealed, and not the same: see rmaictl ls";
	case ESTALE:
		return "; somebody else has published there, or removed it";
	case EBUSY:
		return "; somebody else is publishing there just now";
	case EXDEV:
		return "; they are not on the same rmaifs";
	case EPERM:
	case EACCES:
		return "; the directory is sticky, and the region somebody else's";
	case ENOENT:
		return "; one of them has lost its name";
	default:
		return region_advice(err);
	}
}

int region_publish(const char *path, int fd, int old, uint32_t *generation)
{
	int64_t gen = rmai_publish(fd, strrchr(path, '/') + 1, old);

	if (gen < 0)
		return fail("cannot publish it as %s: %s%s", path, strerror(errno),
			    publish_advice(errno));
	*generation = gen;
	return EXIT_SUCCESS;
}

enum { KEY_REPLACES = 0x6000 };

struct publish_args {
	struct names_args	names;
	uint32_t		replaces;
};

static error_t publish_parse(int key, char *arg, struct argp_state *state)
{
	struct publish_args *args = state->input;
	unsigned long n;
	char *end;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[1] = &args->names;
		return 0;
	case KEY_REPLACES:
		errno = 0;
		n = strtoul(arg, &end, 10);
		if (*arg < '0' || *arg > '9' || *end || errno || !n || n > UINT32_MAX)
			argp_error(state, "--replaces takes a generation, not '%s'", arg);
		args->replaces = n;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option publish_options[] = {
	{ "replaces", KEY_REPLACES, "GENERATION", 0,
	  "Only if NAME is of this generation still", 0 },
	{ 0 }
};

static const struct argp_child publish_children[] = {
	{ &ctl_argp, 0, NULL, 0 },
	{ &names_argp, 0, NULL, 0 },
	{ 0 }
};

static const struct argp publish_argp = {
	publish_options, publish_parse, "NEW NAME",
	"Lets the sealed region NEW take the place, and the name, of the sealed region NAME.\vWho has the old one open or mapped keeps it until it opens NAME again. \"rmaictl load --replace\" makes the new region, too.",
	publish_children, NULL, NULL
};

int cmd_publish(int argc, char **argv)
{
	struct publish_args args = { .names = { .min = 2, .max = 2 } };
	char new_path[4096], path[4096];
	struct json_object *obj;
	struct rmai_attr attr;
	uint32_t generation;
	int fd, old, ret;

	if (argp_parse(&publish_argp, argc, argv, 0, NULL, &args))
		return EXIT_USAGE;
	if (region_path(new_path, sizeof(new_path), args.names.mount, args.names.names[0]) ||
	    region_path(path, sizeof(path), args.names.mount, args.names.names[1]))
		return EXIT_FAILURE;
	/* First the old one: from then on nobody else gets between */
	old = region_open(path, O_RDONLY);
	if (old < 0)
		return EXIT_FAILURE;
	fd = region_open(new_path, O_RDONLY);
	if (fd < 0) {
		close(old);
		return EXIT_FAILURE;
	}
	if (rmai_get_attr(old, &attr))
		ret = fail("%s: %s%s", path, strerror(errno), region_advice(errno));
	else if (args.replaces && attr.generation != args.replaces)
		ret = fail("%s is of generation %u, not %u", path, attr.generation,
			   args.replaces);
	else
		ret = region_publish(path, fd, old, &generation);
	close(fd);
	close(old);
	if (ret)
		return ret;
	if (!ctl.json) {
		printf("%s published: generation %u\n", path, generation);
		return EXIT_SUCCESS;
	}
	obj = json_object_new_object();
	add_string(obj, "name", path);
	add_u64(obj, "generation", generation);
	return print_json(obj);
}

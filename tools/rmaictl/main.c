// SPDX-License-Identifier: GPL-2.0
/*
 * rmaictl: brings a node into an RMAI cluster, and works with regions.
 *
 * This file picks the command; each has its own argp, with the options that all
 * of them share.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rmaictl.h"

struct ctl ctl = {
	.name		= "",
	.configfs	= RMAI_CONFIGFS,
	.sysfs		= RMAI_SYSFS,
};

static const struct command {
	const char	*name;
	int		(*run)(int argc, char **argv);
	const char	*help;
} commands[] = {
	{ "join",	cmd_join,	"configure this node and bring it online" },
	{ "leave",	cmd_leave,	"take this node offline" },
	{ "status",	cmd_status,	"this node, its cluster and the state of all nodes" },
	{ "create",	cmd_create,	"make an empty region" },
	{ "load",	cmd_load,	"copy a file into a new region and seal it" },
	{ "set",	cmd_set,	"change attributes of regions" },
	{ "seal",	cmd_seal,	"make regions immutable" },
	{ "publish",	cmd_publish,	"let a sealed region take the place of another" },
	{ "ls",		cmd_ls,		"list regions" },
	{ "stat",	cmd_stat,	"attributes of regions, and what this node did for them" },
	{ "hot",	cmd_hot,	"VMRs of an open region that nodes fight over" },
	{ "poison",	cmd_poison,	"VMRs that were lost with a node; to use them again" },
	{ "stats",	cmd_stats,	"counters of this node" },
};

enum { KEY_JSON = 0x1000, KEY_CONFIGFS, KEY_SYSFS };

static const struct argp_option ctl_options[] = {
	{ "json", KEY_JSON, NULL, 0, "Output for programs", -2 },
	/* For tests: directories that look like the kernel's */
	{ "configfs", KEY_CONFIGFS, "DIR", OPTION_HIDDEN, NULL, 0 },
	{ "sysfs", KEY_SYSFS, "DIR", OPTION_HIDDEN, NULL, 0 },
	{ 0 }
};

static error_t ctl_parse(int key, char *arg, struct argp_state *state)
{
	(void)state;
	switch (key) {
	case KEY_JSON:
		ctl.json = true;
		return 0;
	case KEY_CONFIGFS:
		ctl.configfs = arg;
		return 0;
	case KEY_SYSFS:
		ctl.sysfs = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp ctl_argp = {
	.options	= ctl_options,
	.parser		= ctl_parse,
};

const struct argp_child ctl_argp_child[] = {
	{ &ctl_argp, 0, NULL, 0 },
	{ 0 }
};

static void print_usage(FILE *f)
{
	size_t i;

	fputs("Usage: rmaictl COMMAND [OPTION...]\n"
	      "Remote shared memory for AI inference: clusters and regions.\n\n",
	      f);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\n\"rmaictl COMMAND --help\" tells its options; every command takes --json.\n"
	      "Exit status: 0 success, 1 failure, 2 wrong usage. See rmaictl(8).\n",
	      f);
}

int main(int argc, char **argv)
{
	char name[64];
	size_t i;

	argp_err_exit_status = EXIT_USAGE;
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?") ||
	    !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_usage(stdout);
		return EXIT_SUCCESS;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		/* argp takes the program's name from here for its messages */
		snprintf(name, sizeof(name), "rmaictl %s", commands[i].name);
		ctl.name = commands[i].name;
		argv[1] = name;
		return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "rmaictl: '%s' is no command; see rmaictl --help\n",
		argv[1]);
	return EXIT_USAGE;
}

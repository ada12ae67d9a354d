// SPDX-License-Identifier: GPL-2.0
/*
 * rmaictl status, stats: what sysfs shows of this node.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rmaictl.h"

static error_t no_args_parse(int key, char *arg, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	argp_error(state, "'%s' is too much", arg);
	return 0;
}

static const struct argp status_argp = {
	NULL, no_args_parse, NULL,
	"Shows this node, and the state of all nodes of its cluster.",
	ctl_argp_child, NULL, NULL
};

static int no_rmai(void)
{
	return fail("%s: %s%s", ctl.sysfs, strerror(errno), errno == ENOENT ?
		    ": this kernel has no RMAI (CONFIG_RMAI)" : "");
}

static void memory_sum(const struct node_state *nodes, int nr, uint64_t *total,
		       uint64_t *used)
{
	*total = 0;
	*used = 0;
	for (; nr > 0; nr--, nodes++) {
		if (!node_is_up(nodes))
			continue;
		*total += nodes->pool_bytes;
		*used += nodes->pool_used_bytes;
	}
}

int cmd_status(int argc, char **argv)
{
	static struct node_state nodes[NODES];
	char state[VALUE_MAX], cluster[VALUE_MAX], b1[32], b2[32];
	uint64_t id, epoch, total, used;
	struct json_object *obj, *list;
	int nr, i, up = 0;

	if (argp_parse(&status_argp, argc, argv, 0, NULL, NULL))
		return EXIT_USAGE;
	errno = -sys_read(state, sizeof(state), "%s/state", ctl.sysfs);
	if (errno)
		return no_rmai();
	id = sys_read_u64("%s/node_id", ctl.sysfs);
	epoch = sys_read_u64("%s/epoch", ctl.sysfs);
	/* configfs need not be mounted to look */
	sys_read(cluster, sizeof(cluster), "%s/cluster", ctl.configfs);
	nr = node_states(nodes);
	for (i = 0; i < nr; i++)
		up += node_is_up(&nodes[i]);
	memory_sum(nodes, nr, &total, &used);

	if (ctl.json) {
		obj = json_object_new_object();
		add_string(obj, "state", state);
		add_u64(obj, "node_id", id);
		add_u64(obj, "epoch", epoch);
		add_string(obj, "cluster", cluster);
		add_u64(obj, "pool_bytes", total);
		add_u64(obj, "pool_used_bytes", used);
		list = json_object_new_array();
		for (i = 0; i < nr; i++)
			json_object_array_add(list, node_json(&nodes[i]));
		json_object_object_add(obj, "nodes", list);
		return print_json(obj);
	}
	if (nr <= 0) {
		printf("this node is %s; rmaictl join brings it online\n", state);
		return EXIT_SUCCESS;
	}
	printf("node %llu is %s%s%s, epoch %llu; %d of %d nodes up; pool %s, %s used\n\n",
	       (unsigned long long)id, state,
	       *cluster ? " in cluster " : "", cluster,
	       (unsigned long long)epoch, up, nr,
	       rmai_format_size(total, b1, sizeof(b1)),
	       rmai_format_size(used, b2, sizeof(b2)));
	node_table(nodes, nr);
	return EXIT_SUCCESS;
}

/* stats */

enum { KEY_DELTA = 0x3000, KEY_WATCH };

struct stats_args {
	double	seconds;
	bool	watch;
};

static error_t stats_parse(int key, char *arg, struct argp_state *state)
{
	struct stats_args *args = state->input;
	char *end;

	switch (key) {
	case KEY_DELTA:
	case KEY_WATCH:
		args->seconds = strtod(arg, &end);
		if (end == arg || *end ||
		    !(args->seconds > 0 && args->seconds <= 3600))
			argp_error(state, "'%s' is not a number of seconds up to an hour", arg);
		args->watch = key == KEY_WATCH;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option stats_options[] = {
	{ "delta", KEY_DELTA, "S", 0, "By how much they change in S seconds", 0 },
	{ "watch", KEY_WATCH, "S", 0, "The same, every S seconds until interrupted", 0 },
	{ 0 }
};

static const struct argp stats_argp = {
	stats_options, stats_parse, NULL,
	"Shows the counters of this node, which begin at 0 when it boots.\vWhat they count is in Documentation/ABI/testing/sysfs-kernel-mm-rmai.",
	ctl_argp_child, NULL, NULL
};

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && !strcmp(s + len - n, end);
}

/* Units are in the names; a person wants them in the values */
static void counter_cell(struct table *t, const char *name, int64_t value)
{
	const char *sign = value < 0 ? "-" : "";
	uint64_t v = value < 0 ? -(uint64_t)value : (uint64_t)value;
	char buf[32];

	if (ends_with(name, "_bytes"))
		table_cell(t, "%s%s", sign, rmai_format_size(v, buf, sizeof(buf)));
	else if (ends_with(name, "_pages"))
		table_cell(t, "%s%s", sign,
			   rmai_format_size(v * sysconf(_SC_PAGESIZE), buf,
					    sizeof(buf)));
	else if (ends_with(name, "_ns"))
		table_cell(t, "%s%.3f ms", sign, v / 1e6);
	else
		table_cell(t, "%s", "");
}

static int stats_show(const struct rmai_counter *c, int nr)
{
	struct table t = { .cols = 3, .right = 1 << 1 | 1 << 2 };
	struct json_object *obj;
	int i;

	if (ctl.json) {
		obj = json_object_new_object();
		for (i = 0; i < nr; i++)
			json_object_object_add(obj, c[i].name,
					       json_object_new_int64(c[i].value));
		return print_json(obj);
	}
	for (i = 0; i < nr; i++) {
		table_cell(&t, "%s", c[i].name);
		table_cell(&t, "%lld", (long long)c[i].value);
		counter_cell(&t, c[i].name, c[i].value);
	}
	table_print(&t);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int cmd_stats(int argc, char **argv)
{
	struct stats_args args = { 0 };
	struct rmai_counter *c, *before;
	int64_t value;
	int nr, i, ret;

	if (argp_parse(&stats_argp, argc, argv, 0, NULL, &args))
		return EXIT_USAGE;
	nr = rmai_counters(ctl.sysfs, &c);
	if (nr < 0)
		return no_rmai();
	if (!args.seconds) {
		ret = stats_show(c, nr);
		free(c);
		return ret;
	}
	do {
		before = c;
		usleep(args.seconds * 1e6);
		i = nr;
		nr = rmai_counters(ctl.sysfs, &c);
		if (nr != i) {
			free(before);
			return nr < 0 ? no_rmai() :
			       fail("the set of counters has changed");
		}
		for (i = 0; i < nr; i++) {
			value = c[i].value;
			c[i].value -= before[i].value;
			before[i].value = value;
		}
		ret = stats_show(c, nr);
		/* From here on @c are the values, and @before is not needed */
		for (i = 0; i < nr; i++)
			c[i].value = before[i].value;
		free(before);
		if (args.watch && !ctl.json)
			putchar('\n');
	} while (args.watch && !ret);
	free(c);
	return ret;
}

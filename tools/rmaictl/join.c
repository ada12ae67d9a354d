// SPDX-License-Identifier: GPL-2.0
/*
 * rmaictl join, leave: write the configuration to configfs and go online, or
 * offline. What the kernel has to say about a refusal is in its log, so that is
 * shown too.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rmaictl.h"

#define CONF_FILE	"/etc/rmai.conf"
#define MOUNT_DIR	"/rmai"

enum {
	KEY_ID = 0x2000, KEY_NODE, KEY_CLUSTER, KEY_POOL, KEY_LOSS_TMO,
	KEY_ON_LOSS, KEY_WAIT, KEY_CONFIG, KEY_MOUNT, KEY_UNMOUNT,
};

/* The kernel's log from now on; -1 where it may not be read */
static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* Adds what RMAI has said since, one line each, and closes @fd */
static void log_said(int fd, char *buf, size_t size)
{
	char rec[8192], *text;
	size_t used = 0;
	ssize_t n;

	*buf = '\0';
	if (fd < 0)
		return;
	for (;;) {
		n = read(fd, rec, sizeof(rec) - 1);
		if (n < 0 && errno == EPIPE)	/* overwritten meanwhile */
			continue;
		if (n <= 0)
			break;
		rec[n] = '\0';
		/* prio,seq,time,flags;TEXT\n KEY=VALUE... */
		text = strchr(rec, ';');
		if (!text || strncmp(text + 1, "rmai: ", 6))
			continue;
		text[strcspn(text, "\n")] = '\0';
		n = snprintf(buf + used, size - used, "\n  kernel: %s", text + 7);
		if (n < 0 || (size_t)n >= size - used)
			break;
		used += n;
	}
	close(fd);
}

static int configfs_ready(void)
{
	char path[4096], *slash;

	if (!access(ctl.configfs, F_OK))
		return 0;
	/* Only the real one can be mounted */
	if (strcmp(ctl.configfs, RMAI_CONFIGFS))
		return fail("%s: %s", ctl.configfs, strerror(errno));
	snprintf(path, sizeof(path), "%s", ctl.configfs);
	slash = strrchr(path, '/');
	*slash = '\0';
	if (mount("none", path, "configfs", 0, NULL) && errno != EBUSY)
		return fail("cannot mount configfs at %s: %s%s", path,
			    strerror(errno), errno == EPERM ?
			    "; this takes root" : "");
	if (access(ctl.configfs, F_OK))
		return fail("%s is not there: this kernel has no RMAI (CONFIG_RMAI)",
			    ctl.configfs);
	return 0;
}

static const char *advice(int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
		return "; this takes root";
	case EBUSY:
		return "; is the node online? See rmaictl status and leave";
	case ENODEV:
		return "; no RDMA device has this node's address: see \"rdma link\"";
	case EADDRINUSE:
		return "; another program, or another node, has the address and port";
	case EOPNOTSUPP:
		return "; there is no such transport: is the module rmai_rdma loaded?";
	default:
		return "";
	}
}

/* Nodes of an earlier configuration would keep their addresses taken */
static int remove_nodes(void)
{
	char path[4096];
	int ids[NODES], nr, i;

	snprintf(path, sizeof(path), "%s/nodes", ctl.configfs);
	nr = sys_node_dirs(path, ids);
	if (nr < 0)
		return fail("%s: %s", path, strerror(-nr));
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/nodes/%d", ctl.configfs, ids[i]);
		if (rmdir(path))
			return fail("cannot remove %s: %s%s", path,
				    strerror(errno), advice(errno));
	}
	return 0;
}

static int write_node_value(int id, const char *name, const char *value)
{
	int log = log_open(), err;
	char said[2048];

	if (!*value) {
		close(log);
		return 0;
	}
	err = sys_write(value, "%s/nodes/%d/%s", ctl.configfs, id, name);
	log_said(log, said, sizeof(said));
	if (err)
		return fail("node %d: cannot set %s to %s: %s%s%s", id, name,
			    value, strerror(-err), advice(-err), said);
	return 0;
}

static int write_node(const struct conf_node *node)
{
	char path[4096], port[16] = "";

	snprintf(path, sizeof(path), "%s/nodes/%d", ctl.configfs, node->id);
	if (mkdir(path, 0755))
		return fail("cannot make %s: %s%s", path, strerror(errno),
			    advice(errno));
	if (node->port)
		snprintf(port, sizeof(port), "%d", node->port);
	/* The port first: address and port are checked together */
	return write_node_value(node->id, "port", port) ||
	       write_node_value(node->id, "addr", node->addr) ||
	       write_node_value(node->id, "role", node->role) ||
	       write_node_value(node->id, "transport", node->transport);
}

/*
 * Some are valid only beside others (window_start and window_size, heartbeat_ms
 * and dead_ms), so that the right order depends on what is set already. Try all
 * until a round brings nothing.
 */
static int write_settings(const struct conf *conf)
{
	bool done[CONF_SETTINGS] = { false };
	int i, err, bad, last_bad = CONF_SETTINGS;
	char said[2048];

	for (;;) {
		int log = log_open(), first = -1, first_err = 0;

		bad = 0;
		for (i = 0; conf_settings[i].name; i++) {
			if (done[i] || !*conf->set[i])
				continue;
			err = sys_write(conf->set[i], "%s/%s", ctl.configfs,
					conf_settings[i].name);
			done[i] = !err;
			if (err && !bad++) {
				first = i;
				first_err = -err;
			}
		}
		log_said(log, said, sizeof(said));
		if (!bad)
			return 0;
		if (bad == last_bad)
			return fail("cannot set %s to %s: %s%s%s",
				    conf_settings[first].name, conf->set[first],
				    strerror(first_err), advice(first_err), said);
		last_bad = bad;
	}
}

/* The transport may be a module. No harm if it is not, or is there already */
static void load_transport(const struct conf *conf)
{
	char words[][16] = { "modprobe", "-q", "rmai_rdma" };
	char *const argv[] = { words[0], words[1], words[2], NULL };
	posix_spawn_file_actions_t fa;
	bool rdma = false;
	pid_t pid;
	int i;

	for (i = 0; i < NODES; i++)
		rdma |= conf->nodes[i].id &&
			strcmp(conf->nodes[i].transport, "loop");
	if (!rdma || strcmp(ctl.configfs, RMAI_CONFIGFS) ||
	    !access("/sys/module/rmai_rdma", F_OK))
		return;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
	if (!posix_spawnp(&pid, "modprobe", &fa, NULL, argv, environ))
		waitpid(pid, NULL, 0);
	posix_spawn_file_actions_destroy(&fa);
}

static int go_online(void)
{
	int log = log_open(), err;
	char said[4096];

	err = sys_write("1", "%s/online", ctl.configfs);
	log_said(log, said, sizeof(said));
	if (err)
		return fail("cannot go online: %s%s%s", strerror(-err),
			    advice(-err), said);
	return 0;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int down_nodes(const struct node_state *nodes, int nr)
{
	int down = 0;

	for (; nr > 0; nr--, nodes++)
		down += !node_is_up(nodes);
	return down;
}

/* How many peers are not up at the end; *@nodes: all */
static int wait_for_peers(double seconds, struct node_state *nodes, int *nr)
{
	double until = now() + seconds;
	bool tty = isatty(2);
	int down;

	for (;;) {
		*nr = node_states(nodes);
		down = down_nodes(nodes, *nr);
		if (!down || now() >= until)
			break;
		if (tty)
			fprintf(stderr, "\rwaiting for %d of %d nodes, %.0f s left \033[K",
				down, *nr, until - now());
		usleep(100 * 1000);
	}
	if (tty)
		fputs("\r\033[K", stderr);
	return down;
}

static int mount_rmaifs(const char *dir)
{
	if (mkdir(dir, 0755) && errno != EEXIST)
		return fail("this node is online, but %s cannot be made: %s", dir,
			    strerror(errno));
	if (mount("rmai", dir, "rmaifs", 0, NULL))
		return fail("this node is online, but rmaifs cannot be mounted at %s: %s",
			    dir, strerror(errno));
	return 0;
}

struct join_args {
	struct conf	opts;		/* of the command line */
	const char	*config;
	const char	*mount;
	double		wait;
	bool		has_nodes;
};

static error_t join_parse(int key, char *arg, struct argp_state *state)
{
	static const struct {
		int		key;
		const char	*name;
	} settings[] = {
		{ KEY_ID,	"node_id" },
		{ KEY_CLUSTER,	"cluster" },
		{ KEY_POOL,	"pool_bytes" },
		{ KEY_LOSS_TMO,	"loss_tmo_ms" },
		{ KEY_ON_LOSS,	"on_loss" },
	};
	struct join_args *args = state->input;
	const char *wrong = NULL;
	char *end;
	size_t i;

	switch (key) {
	case KEY_NODE:
		args->has_nodes = true;
		wrong = conf_node_option(&args->opts, arg);
		break;
	case KEY_WAIT:
		args->wait = strtod(arg, &end);
		if (end == arg || *end || !(args->wait >= 0 && args->wait < 1e6))
			wrong = "--wait takes a number of seconds";
		break;
	case KEY_CONFIG:
		args->config = arg;
		break;
	case KEY_MOUNT:
		args->mount = arg ? arg : MOUNT_DIR;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		break;
	default:
		for (i = 0; i < ARRAY_SIZE(settings); i++)
			if (settings[i].key == key)
				break;
		if (i == ARRAY_SIZE(settings))
			return ARGP_ERR_UNKNOWN;
		wrong = conf_set(&args->opts, settings[i].name, arg);
	}
	if (wrong)
		argp_error(state, "%s", wrong);
	return 0;
}

/* On one line, as the text is found by those who look for it */
#define NODE_HELP \
	"A node, ID=ADDR[:PORT][,role=memory|compute|memory+compute][,transport=rdma|loop]; give all, this one too"

static const struct argp_option join_options[] = {
	{ "id", KEY_ID, "N", 0,
	  "This node's id, 1 to 64 (default: the node whose address this machine has)", 0 },
	{ "node", KEY_NODE, "NODE", 0, NODE_HELP, 0 },
	{ "cluster", KEY_CLUSTER, "NAME", 0, "Name of the cluster", 0 },
	{ "pool", KEY_POOL, "SIZE", 0,
	  "Memory that this node offers if it is a memory node; 0: three quarters of its RAM", 0 },
	{ "loss-tmo", KEY_LOSS_TMO, "MS", 0,
	  "An unreachable node counts as lost after this many ms", 0 },
	{ "on-loss", KEY_ON_LOSS, "block|sigbus", 0,
	  "What a fault does whose data cannot be had", 0 },
	{ "config", KEY_CONFIG, "FILE", 0,
	  "Read FILE first (default: " CONF_FILE ", if it is there and no --node is given)", 0 },
	{ "wait", KEY_WAIT, "S", 0,
	  "Wait so many seconds for the other nodes (10); 0: do not", 0 },
	{ "mount", KEY_MOUNT, "DIR", OPTION_ARG_OPTIONAL,
	  "Mount rmaifs at DIR (" MOUNT_DIR "), too", 0 },
	{ 0 }
};

static const struct argp join_argp = {
	join_options, join_parse, NULL,
	"Configures this node and brings it online.\vWhat is not given stays as it is in configfs; nodes are replaced by those given.",
	ctl_argp_child, NULL, NULL
};

/* The file's configuration with the command line's on top; exit status */
static int conf_merge(const struct join_args *args, struct conf *conf)
{
	const char *wrong, *file = args->config;
	int i, id, nr = 0;

	if (!file && !args->has_nodes && !access(CONF_FILE, F_OK))
		file = CONF_FILE;
	if (file) {
		wrong = conf_file(conf, file);
		if (wrong)
			return fail("%s", wrong);
	}
	for (i = 0; i < CONF_SETTINGS; i++)
		if (*args->opts.set[i])
			copy_value(conf->set[i], sizeof(conf->set[i]),
				   args->opts.set[i]);
	for (i = 0; i < NODES; i++)
		if (args->opts.nodes[i].id)
			conf->nodes[i] = args->opts.nodes[i];
	for (i = 0; i < NODES; i++) {
		const struct conf_node *node = &conf->nodes[i];

		nr += !!node->id;
		if (node->id && !*node->addr && strcmp(node->transport, "loop"))
			return fail("node %d has no address", node->id);
	}
	if (!nr)
		return fail("there are no nodes: give --node ID=ADDR for each, or --config FILE");
	if (!*conf->set[0]) {
		id = conf_guess_id(conf, &wrong);
		if (!id)
			return fail("which node is this? %s; give --id", wrong);
		snprintf(conf->set[0], sizeof(conf->set[0]), "%d", id);
	}
	id = atoi(conf->set[0]);
	if (!conf->nodes[id - 1].id)
		return fail("this node, %d, is not among the nodes: add --node %d=ADDR",
			    id, id);
	return 0;
}

static int join_report(const struct conf *conf, const struct node_state *nodes,
		       int nr, int down, double waited)
{
	struct json_object *obj, *list;
	int i;

	if (ctl.json) {
		obj = json_object_new_object();
		add_u64(obj, "node_id", atoi(conf->set[0]));
		add_string(obj, "state", "online");
		list = json_object_new_array();
		for (i = 0; i < nr; i++)
			json_object_array_add(list, node_json(&nodes[i]));
		json_object_object_add(obj, "nodes", list);
		add_u64(obj, "nodes_down", down);
		print_json(obj);
	}
	if (!down) {
		if (!ctl.json)
			printf("node %s is online, with all %d nodes up\n",
			       conf->set[0], nr);
		return EXIT_SUCCESS;
	}
	for (i = 0; i < nr; i++)
		if (!node_is_up(&nodes[i]))
			note("node %d (%s) is %s%s%s", nodes[i].id,
			     nodes[i].addr, nodes[i].state,
			     *nodes[i].last_error ? ": " : "",
			     nodes[i].last_error);
	if (!waited)
		return EXIT_SUCCESS;
	note("node %s is online, but after %.0f s %d of %d nodes were not up; see rmaictl status",
	     conf->set[0], waited, down, nr);
	return EXIT_FAILURE;
}

int cmd_join(int argc, char **argv)
{
	struct join_args args = { .wait = 10 };
	static struct node_state nodes[NODES];
	static struct conf conf;
	char online[VALUE_MAX];
	int err, i, nr, down;

	err = argp_parse(&join_argp, argc, argv, 0, NULL, &args);
	if (err)
		return EXIT_USAGE;
	if (conf_merge(&args, &conf) || configfs_ready())
		return EXIT_FAILURE;
	if (!sys_read(online, sizeof(online), "%s/online", ctl.configfs) &&
	    !strcmp(online, "1"))
		return fail("this node is online already; rmaictl leave first");

	load_transport(&conf);
	if (remove_nodes())
		return EXIT_FAILURE;
	err = write_settings(&conf);
	for (i = 0; i < NODES && !err; i++)
		if (conf.nodes[i].id)
			err = write_node(&conf.nodes[i]);
	if (!err)
		err = go_online();
	if (err) {
		ctl.json = false;	/* that has been said */
		remove_nodes();
		return EXIT_FAILURE;
	}
	down = wait_for_peers(args.wait, nodes, &nr);
	if (nr <= 0)
		return fail("this node is online, but %s/nodes shows no nodes",
			    ctl.sysfs);
	if (args.mount && mount_rmaifs(args.mount))
		return EXIT_FAILURE;
	return join_report(&conf, nodes, nr, down, args.wait);
}

/* leave */

static error_t leave_parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case KEY_UNMOUNT:
		*(bool *)state->input = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option leave_options[] = {
	{ "unmount", KEY_UNMOUNT, NULL, 0,
	  "Unmount rmaifs first, wherever it is mounted", 0 },
	{ 0 }
};

static const struct argp leave_argp = {
	leave_options, leave_parse, NULL,
	"Takes this node offline. What a memory node holds is gone then.",
	ctl_argp_child, NULL, NULL
};

static int add_mount(const char *dir, void *arg)
{
	char *list = arg;
	size_t used = strlen(list);

	snprintf(list + used, 1024 - used, "%s%s", used ? ", " : "", dir);
	return 0;
}

static int unmount_all(void)
{
	char dir[4096];

	while (!rmai_find_mount(dir, sizeof(dir)))
		if (umount2(dir, UMOUNT_NOFOLLOW))
			return fail("cannot unmount %s: %s%s", dir,
				    strerror(errno), errno == EBUSY ?
				    "; \"fuser -vm\" tells who uses it" :
				    advice(errno));
	return 0;
}

int cmd_leave(int argc, char **argv)
{
	char mounts[1024] = "", said[2048];
	struct json_object *obj;
	bool unmount = false;
	int err, log;

	if (argp_parse(&leave_argp, argc, argv, 0, NULL, &unmount))
		return EXIT_USAGE;
	if (configfs_ready())
		return EXIT_FAILURE;
	if (unmount && unmount_all())
		return EXIT_FAILURE;
	log = log_open();
	err = sys_write("0", "%s/online", ctl.configfs);
	log_said(log, said, sizeof(said));
	if (err == -EBUSY) {
		rmai_each_mount(add_mount, mounts);
		return fail("regions are in use on this node%s%s%s%s",
			    *mounts ? ": rmaifs is mounted at " : "", mounts,
			    *mounts ? "; unmount it first, or rmaictl leave --unmount" :
			    "; end the programs that map them", said);
	}
	if (err)
		return fail("cannot go offline: %s%s%s", strerror(-err),
			    advice(-err), said);
	if (!ctl.json) {
		puts("this node is offline");
		return EXIT_SUCCESS;
	}
	obj = json_object_new_object();
	add_string(obj, "state", "offline");
	return print_json(obj);
}

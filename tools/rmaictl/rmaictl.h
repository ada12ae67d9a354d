/* SPDX-License-Identifier: GPL-2.0 */
/*
 * rmaictl: what its files have in common.
 */
#ifndef _RMAICTL_H
#define _RMAICTL_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>
#include <librmai.h>

/* Exit status; sysexits' EX_USAGE would not be what getopt programs do */
#define EXIT_USAGE	2

#define NODES		RMAI_MAX_NODES
#define VALUE_MAX	128	/* bytes of a value in configfs or sysfs, at most */
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/**
 * struct ctl - what every command has
 * @name: command
 * @json: output for programs
 * @configfs: the directory rmai/ in configfs
 * @sysfs: likewise in sysfs
 */
struct ctl {
	const char	*name;
	bool		json;
	const char	*configfs;
	const char	*sysfs;
};

extern struct ctl ctl;

/* Keys of the options that every command has (main.c) */
extern const struct argp ctl_argp;
extern const struct argp_child ctl_argp_child[];

/* Commands: exit status */
int cmd_join(int argc, char **argv);
int cmd_leave(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_create(int argc, char **argv);
int cmd_set(int argc, char **argv);
int cmd_seal(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_load(int argc, char **argv);
int cmd_publish(int argc, char **argv);
int cmd_hot(int argc, char **argv);
int cmd_poison(int argc, char **argv);

/* out.c */

/* Copies @from, which fits: its length was checked, or it came from a like place */
void copy_value(char *to, size_t size, const char *from);

/* Says what is wrong, on stderr and with --json on stdout too; EXIT_FAILURE */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints and frees @obj */
int print_json(struct json_object *obj);
void add_string(struct json_object *obj, const char *key, const char *val);
void add_u64(struct json_object *obj, const char *key, uint64_t val);
void add_hex(struct json_object *obj, const char *key, uint64_t val);
void add_bool(struct json_object *obj, const char *key, bool val);

/**
 * struct table - rows of cells that are printed aligned
 * @cols: number of columns
 * @right: bit n: column n is aligned to the right
 * @cells: row by row
 * @nr: cells
 */
struct table {
	unsigned int	cols;
	unsigned int	right;
	char		**cells;
	size_t		nr;
};

void table_cell(struct table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void table_print(struct table *t);	/* and frees what is in it */

/* sys.c: configfs and sysfs. Negative errno on failure */

int sys_read(char *val, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
uint64_t sys_read_u64(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
int sys_write(const char *val, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Fills in @ids, sorted, with the numbers that are the names of directories */
int sys_node_dirs(const char *dir, int ids[NODES]);
bool sys_online(void);

/**
 * struct node_state - what sysfs shows of a node
 */
struct node_state {
	int		id;
	char		state[VALUE_MAX];
	char		role[VALUE_MAX];
	char		addr[VALUE_MAX];
	char		last_error[VALUE_MAX];
	uint64_t	epoch;
	uint64_t	pool_bytes;
	uint64_t	pool_used_bytes;
};

int node_states(struct node_state nodes[NODES]);	/* how many */
bool node_is_up(const struct node_state *node);
struct json_object *node_json(const struct node_state *node);
void node_table(const struct node_state *nodes, int nr);

/* conf.c: what join is to write */

struct conf_node {
	int	id;		/* 0: none */
	char	addr[64];
	int	port;		/* 0: default */
	char	role[16];	/* "": default */
	char	transport[8];	/* "": default */
};

struct conf_setting {
	const char	*name;	/* file in configfs */
	const char	*help;	/* what it is */
};

extern const struct conf_setting conf_settings[];
#define CONF_SETTINGS	14

/**
 * struct conf - a configuration
 * @set: values by index into conf_settings, "": leave it as it is
 * @nodes: by id - 1
 */
struct conf {
	char		set[CONF_SETTINGS][64];
	struct conf_node nodes[NODES];
};

/* Each returns NULL, or what is wrong (in static memory) */
const char *conf_set(struct conf *conf, const char *name, const char *value);
const char *conf_node_set(struct conf_node *node, const char *name,
			  const char *value);
const char *conf_node_option(struct conf *conf, const char *arg);
/* "FILE:LINE: what is wrong" */
const char *conf_file(struct conf *conf, const char *path);
/* Which node is this machine? Its id; 0 and *why: cannot tell */
int conf_guess_id(const struct conf *conf, const char **why);

/* region.c */

/**
 * struct region_opts - of new regions, and of those that are changed
 */
struct region_opts {
	struct rmai_attr	attr;	/* with its mask */
	uint64_t		size;
	bool			has_size;
	bool			has_cache_min;
	bool			has_cache_max;
};

/* For an option of create and load; what is wrong, or NULL */
const char *region_option(struct region_opts *opts, int key, const char *arg);
extern const struct argp_option region_argp_options[];
extern const struct argp region_argp;

/**
 * struct names_args - of commands that take names of regions
 * @opts: for those that make some
 * @mount: --mount, or NULL
 * @names: as given
 * @nr: how many
 * @min: at least
 * @max: at most
 * @creates: region_argp is the second child: they are made, or changed
 */
struct names_args {
	struct region_opts	opts;
	const char		*mount;
	char			**names;
	int			nr;
	int			min, max;
	bool			creates;
};

error_t names_parse(int key, char *arg, struct argp_state *state);
extern const struct argp_option mount_options[];
/* As a child of a command's own: names, and --mount */
extern const struct argp names_argp;
#define ON_LOSS_NAMES	3
extern const char * const on_loss_names[];	/* by enum rmai_on_loss */
#define FETCH_NAMES	6
extern const char * const fetch_names[];	/* by bit of RMAI_FETCH_* */

/* Where rmaifs is mounted: @mount, or where it is found */
int mount_dir(char *dir, size_t size, const char *mount);
/* Path of region @name: on the mount (@mount or the one there is) unless it has a '/' */
int region_path(char *path, size_t size, const char *mount, const char *name);
/* Makes a region; a file descriptor, or -1 when all is said */
int region_create(const char *path, struct region_opts *opts);
void region_remove(const char *path);
int region_open(const char *path, int flags);	/* likewise */
/* What to do about an errno, to be put behind it */
const char *region_advice(int err);

/* publish.c: @fd takes the place, and the name, of @old (or -1). Exit status */
int region_publish(const char *path, int fd, int old, uint32_t *generation);

/* show.c */
int region_show(const char *path, int fd, const char *what);

#endif /* _RMAICTL_H */

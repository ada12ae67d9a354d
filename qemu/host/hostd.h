/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hostd: supervises the guests of one qemu/run.
 *
 * One process, one poll loop. main.c has the loop, options and the verdict;
 * node.c starts and reaps guests; ctl.c speaks with what runs inside them (one
 * line per request, one per answer); fault.c kills, pauses and cuts; switch.c
 * moves Ethernet frames when there is no bridge; attach.c is a terminal for a console.
 */
#ifndef HOSTD_H
#define HOSTD_H

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MAX_NODES	64
#define NR_CTL		9	/* port 0 is the guest's init, the others rmai-ctl's */
#define LINE_LEN	4096

/* main.c: the poll loop */
struct watch {
	int fd;				/* -1: free */
	bool want_out;
	void (*cb)(struct watch *w, short revents);
	void *arg;
};

struct watch *watch_add(int fd, void (*cb)(struct watch *w, short revents), void *arg);
void watch_del(struct watch *w);	/* closes the descriptor */
double now(void);
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void abort_run(void);			/* send home those who wait for others */
extern bool aborted;

struct options {
	int nr_nodes;
	int on;				/* the only node that runs the script, 0: all */
	int timeout_s;			/* 0: none (qemu/shell) */
	bool tap;			/* else the switch in this process */
	bool verbose;
	const char *dir;		/* holds node<N>.args, gets node<N>.console */
	const char *out;
};

extern struct options opt;

/* ctl.c: a line-based connection, to a guest's port or from qemu/fault */
struct node;
struct link {
	struct watch *w;
	struct node *node;		/* NULL: qemu/fault */
	int idx;			/* port */
	void (*line)(struct link *l, char *line);
	size_t len;
	char buf[LINE_LEN];
};

struct link *link_new(int fd, struct node *node, int idx, void (*line)(struct link *l, char *line));
void link_del(struct link *l);
void link_write(struct link *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ctl_line(struct link *l, char *line);
void ctl_check(void);			/* answer what can be answered now */
void ctl_forget(struct link *l);

/* node.c */
enum node_state {
	NODE_OFF,			/* no process */
	NODE_BOOT,
	NODE_READY,			/* network and cluster are up */
	NODE_RUN,			/* the script runs */
	NODE_DONE,			/* has given its verdict */
	NODE_BYE,			/* has said that it powers off */
};

struct node {
	int id;
	pid_t pid;
	enum node_state state;
	int boots;			/* so far */
	bool excused;			/* killed on purpose */
	bool dying;			/* SIGKILL sent, not reaped yet */
	bool restart;			/* boot again once reaped */
	bool paused;
	int verdict;			/* of the script; -1: none yet */
	struct link *ctl[NR_CTL];
	struct link *qmp;
	struct watch *console;
	int console_log;
	struct swport *port;
	struct qmp_wait *qmp_head, **qmp_tail;
};

extern struct node nodes[MAX_NODES + 1];

bool runs_script(const struct node *n);
bool node_alive(const struct node *n);	/* is there, or is about to be */
void node_start(struct node *n);
void node_kill(struct node *n);
void node_reap(void);
void node_dump_blocked(struct node *n);	/* sysrq w on the console */

/* fault.c */
struct qmp_wait {
	struct qmp_wait *next;
	void (*done)(void *arg, const char *error);
	void *arg;
};

void qmp_line(struct link *l, char *line);
void qmp_send(struct node *n, const char *json, void (*done)(void *arg, const char *error),
	      void *arg);
void qmp_drop(struct node *n);		/* the guest is gone: fail what waits */
void fault_request(struct link *l, const char *id, const char *action, int node);
void fault_forget(struct link *l);
void fault_poll(void);			/* answer what has taken effect */
void fault_listen(void);
int fault_client(const char *dir, const char *action, const char *node);

/* attach.c */
int attach(const char *path);

/* switch.c */
struct swport *switch_port(int fd);
void switch_del(struct swport *p);
void switch_block(struct swport *p, bool block);
unsigned long switch_dropped(void);

#endif /* HOSTD_H */

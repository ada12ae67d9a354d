// SPDX-License-Identifier: GPL-2.0
/*
 * Faults from outside: what a machine room does to a node.
 *
 * They come from a guest (rmai-fault) or from the host (qemu/fault), and are
 * answered when they have taken effect.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "hostd.h"

struct request {
	struct request *next;
	struct link *l;			/* NULL: who asked is gone */
	struct node *n;
	char id[64];
	bool until_up;			/* for the process to run, else for it to be gone */
	bool qmp;
};

static struct request *requests;

static struct request *request_new(struct link *l, const char *id, struct node *n)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		die("out of memory");
	r->l = l;
	r->n = n;
	snprintf(r->id, sizeof(r->id), "%s", id);
	r->next = requests;
	requests = r;
	return r;
}

static void request_end(struct request *r, const char *error)
{
	struct request **pp = &requests;

	while (*pp != r)
		pp = &(*pp)->next;
	*pp = r->next;
	if (r->l)
		link_write(r->l, "%s %d %s", r->id, !!error, error ? error : "done");
	free(r);
}

void fault_poll(void)
{
	struct request *r, *next;

	for (r = requests; r; r = next) {
		next = r->next;
		if (!r->qmp && r->until_up == !!r->n->pid && !r->n->dying)
			request_end(r, NULL);
	}
}

void fault_forget(struct link *l)
{
	for (struct request *r = requests; r; r = r->next)
		if (r->l == l)
			r->l = NULL;
}

static void qmp_done(void *arg, const char *error)
{
	request_end(arg, error);
}

void qmp_send(struct node *n, const char *json, void (*done)(void *arg, const char *error),
	      void *arg)
{
	struct qmp_wait *wait = calloc(1, sizeof(*wait));

	if (!wait)
		die("out of memory");
	wait->done = done;
	wait->arg = arg;
	*n->qmp_tail = wait;
	n->qmp_tail = &wait->next;
	link_write(n->qmp, "%s", json);
}

static void qmp_pop(struct node *n, const char *error)
{
	struct qmp_wait *wait = n->qmp_head;

	if (!wait)
		return;
	n->qmp_head = wait->next;
	if (!n->qmp_head)
		n->qmp_tail = &n->qmp_head;
	if (wait->done)
		wait->done(wait->arg, error);
	free(wait);
}

/* Answers come in the order of the commands; greeting and events are no answers */
void qmp_line(struct link *l, char *line)
{
	if (!strncmp(line, "{\"return\"", 9))
		qmp_pop(l->node, NULL);
	else if (!strncmp(line, "{\"error\"", 8))
		qmp_pop(l->node, line);
}

void qmp_drop(struct node *n)
{
	while (n->qmp_head)
		qmp_pop(n, "the node is gone");
}

static int ip_link(struct node *n, const char *what)
{
	char cmd[64];

	snprintf(cmd, sizeof(cmd), "ip link set dev tap%d %s", n->id, what);
	return system(cmd);
}

/* Frames to and from the node vanish; nobody sees a carrier go */
static const char *black_hole(struct node *n, bool on)
{
	if (opt.tap)
		return ip_link(n, on ? "down" : "up") ? "ip link failed" : NULL;
	if (n->port)
		switch_block(n->port, on);
	return NULL;
}

void fault_request(struct link *l, const char *id, const char *action, int node)
{
	const char *json = NULL, *error = NULL;
	struct node *n = &nodes[node];
	struct request *r;

	if (node < 1 || node > opt.nr_nodes) {
		link_write(l, "%s 1 no such node", id);
		return;
	}
	if (!strcmp(action, "start") ? node_alive(n) : !n->pid) {
		link_write(l, "%s 1 node%d is %s", id, node, n->pid ? "running" : "off");
		return;
	}
	say("node%d: fault: %s", node, action);

	if (!strcmp(action, "pause")) {
		n->paused = true;
		json = "{\"execute\":\"stop\"}";
	} else if (!strcmp(action, "resume")) {
		n->paused = false;
		json = "{\"execute\":\"cont\"}";
	} else if (!strcmp(action, "cut")) {
		json = "{\"execute\":\"set_link\",\"arguments\":{\"name\":\"n0\",\"up\":false}}";
	} else if (!strcmp(action, "heal")) {
		error = black_hole(n, false);
		json = "{\"execute\":\"set_link\",\"arguments\":{\"name\":\"n0\",\"up\":true}}";
	} else if (!strcmp(action, "blackhole")) {
		error = black_hole(n, true);
	} else if (strcmp(action, "kill") && strcmp(action, "reset") && strcmp(action, "start")) {
		error = "no such fault";
	}

	if (error) {
		link_write(l, "%s 1 %s", id, error);
		return;
	}

	r = request_new(l, id, n);
	if (json) {
		r->qmp = true;
		qmp_send(n, json, qmp_done, r);
	} else if (!strcmp(action, "blackhole")) {
		request_end(r, NULL);
	} else if (!strcmp(action, "start")) {
		r->until_up = true;
		node_start(n);
	} else {
		n->excused = true;
		n->restart = !strcmp(action, "reset");
		r->until_up = n->restart;
		node_kill(n);
	}
	fault_poll();
	ctl_check();
}

static void client_line(struct link *l, char *line)
{
	char action[32];
	int node;

	if (sscanf(line, "%31s %d", action, &node) != 2)
		link_write(l, "0 1 usage: ACTION NODE");
	else
		fault_request(l, "0", action, node);
}

static void client_new(struct watch *w, short revents)
{
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)revents;
	if (fd >= 0)
		link_new(fd, NULL, 0, client_line);
}

void fault_listen(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "fault.sock" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* Relative to opt.dir, which may be longer than a socket's path can be */
	unlink(addr.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 8))
		die("%s/fault.sock: %s", opt.dir, strerror(errno));
	watch_add(fd, client_new, NULL);
}

int fault_client(const char *dir, const char *action, const char *node)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "fault.sock" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char buf[LINE_LEN];
	ssize_t len;

	if (fd < 0 || chdir(dir) || connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		fprintf(stderr, "fault: nothing runs in %s: %s\n", dir, strerror(errno));
		return 1;
	}
	len = snprintf(buf, sizeof(buf), "%s %s\n", action, node);
	if (write(fd, buf, len) != len)
		return 1;
	len = read(fd, buf, sizeof(buf) - 1);
	if (len <= 0) {
		fprintf(stderr, "fault: no answer\n");
		return 1;
	}
	buf[len] = 0;
	if (!strncmp(buf, "0 0 ", 4))
		return 0;
	fprintf(stderr, "fault: %s", len > 4 ? buf + 4 : buf);
	return 1;
}

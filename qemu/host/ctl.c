// SPDX-License-Identifier: GPL-2.0
/*
 * The control channel: requests of guests, and when they are answered.
 *
 * A request is a line "ID COMMAND ARG...", its answer a line "ID STATUS TEXT".
 * A guest's init goes, on port 0, through
 *
 *	hello -> ready -> [script] -> verdict -> sync... -> bye
 *
 * where ready is answered when every node is, and verdict when every script
 * has ended: no node goes away while another one may still need it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "hostd.h"

enum wait_kind { WAIT_READY, WAIT_VERDICT, WAIT_SYNC, WAIT_BARRIER };

struct pending {
	struct pending *next;
	struct link *l;
	enum wait_kind kind;
	int want;			/* arrivals; 0: one from each node */
	char id[64];
	char name[128];
};

static struct pending *pending;
static bool all_ready;			/* has been reached once */

static void link_event(struct watch *w, short revents)
{
	struct link *l = w->arg;
	size_t start = 0;
	ssize_t n;

	(void)revents;
	n = recv(w->fd, l->buf + l->len, sizeof(l->buf) - l->len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		link_del(l);
		return;
	}
	l->len += n;
	for (size_t i = l->len - n; i < l->len; i++) {
		if (l->buf[i] != '\n')
			continue;
		l->buf[i] = 0;
		if (i > start && l->buf[i - 1] == '\r')
			l->buf[i - 1] = 0;
		l->line(l, l->buf + start);
		if (!l->w)
			return;		/* deleted by what the line asked for */
		start = i + 1;
	}
	memmove(l->buf, l->buf + start, l->len - start);
	l->len -= start;
	if (l->len == sizeof(l->buf))
		l->len = 0;		/* a line that long is not ours */
}

struct link *link_new(int fd, struct node *node, int idx, void (*line)(struct link *l, char *line))
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l)
		die("out of memory");
	l->node = node;
	l->idx = idx;
	l->line = line;
	l->w = watch_add(fd, link_event, l);
	return l;
}

/* @l itself is kept: link_event() may be on the stack. There are few. */
void link_del(struct link *l)
{
	struct node *n = l->node;

	ctl_forget(l);
	fault_forget(l);
	watch_del(l->w);
	l->w = NULL;
	if (n && n->qmp == l)
		n->qmp = NULL;
	if (n && l->idx >= 0 && n->ctl[l->idx] == l)
		n->ctl[l->idx] = NULL;
}

void link_write(struct link *l, const char *fmt, ...)
{
	char buf[LINE_LEN];
	va_list ap;
	int len;

	if (!l || !l->w)
		return;
	va_start(ap, fmt);
	len = vsnprintf(buf, sizeof(buf) - 1, fmt, ap);
	va_end(ap);
	if (len > (int)sizeof(buf) - 2)
		len = sizeof(buf) - 2;
	buf[len++] = '\n';
	send(l->w->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void ctl_forget(struct link *l)
{
	struct pending **pp = &pending, *p;

	while ((p = *pp)) {
		if (p->l != l) {
			pp = &p->next;
			continue;
		}
		*pp = p->next;
		free(p);
	}
}

static void wait_for(struct link *l, const char *id, enum wait_kind kind, const char *name,
		     int want)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (!p)
		die("out of memory");
	p->l = l;
	p->kind = kind;
	p->want = want;
	snprintf(p->id, sizeof(p->id), "%s", id);
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->next = pending;
	pending = p;
}

/* Answers all of @kind and, unless NULL, @name */
static void answer(enum wait_kind kind, const char *name, int status, const char *text)
{
	struct pending **pp = &pending, *p;
	char copy[128];

	if (name)		/* it may belong to what is freed here */
		snprintf(copy, sizeof(copy), "%s", name);
	while ((p = *pp)) {
		if (p->kind != kind || (name && strcmp(p->name, copy))) {
			pp = &p->next;
			continue;
		}
		*pp = p->next;
		link_write(p->l, "%s %d %s", p->id, status, text);
		free(p);
	}
}

static int count(enum wait_kind kind, const char *name)
{
	int n = 0;

	for (struct pending *p = pending; p; p = p->next)
		n += p->kind == kind && (!name || !strcmp(p->name, name));
	return n;
}

static bool waits(const struct node *n, enum wait_kind kind, const char *name)
{
	for (struct pending *p = pending; p; p = p->next)
		if (p->l->node == n && p->kind == kind && (!name || !strcmp(p->name, name)))
			return true;
	return false;
}

static bool all_alive(enum node_state state)
{
	for (int i = 1; i <= opt.nr_nodes; i++)
		if (node_alive(&nodes[i]) && (nodes[i].dying || nodes[i].state < state))
			return false;
	return true;
}

/* True if something was answered: then @pending has changed */
static bool check_barrier(struct pending *b)
{
	int want = b->want;

	if (want) {
		if (count(b->kind, b->name) < want)
			return false;
		answer(b->kind, b->name, 0, "go");
		return true;
	}
	for (int i = 1; i <= opt.nr_nodes; i++) {
		struct node *n = &nodes[i];
		char text[64];

		if (!node_alive(n) || waits(n, b->kind, b->name))
			continue;
		if (b->kind == WAIT_BARRIER && !runs_script(n))
			continue;
		if (b->kind != WAIT_BARRIER || n->state < NODE_DONE)
			return false;
		snprintf(text, sizeof(text), "node %d has ended and will not come", i);
		answer(b->kind, b->name, 1, text);
		return true;
	}
	answer(b->kind, b->name, 0, "go");
	return true;
}

void ctl_check(void)
{
	struct pending *p;

	if (aborted) {
		answer(WAIT_READY, NULL, 1, "abort");
		answer(WAIT_VERDICT, NULL, 1, "abort");
		answer(WAIT_SYNC, NULL, 1, "abort");
		answer(WAIT_BARRIER, NULL, 1, "abort");
		return;
	}
	if (count(WAIT_READY, NULL) && (all_ready || all_alive(NODE_READY))) {
		if (!all_ready)
			say("all nodes are up");
		all_ready = true;
		for (p = pending; p; p = p->next)
			if (p->kind == WAIT_READY)
				p->l->node->state = NODE_RUN;
		answer(WAIT_READY, NULL, 0, "go");
	}
	if (count(WAIT_VERDICT, NULL) && all_alive(NODE_DONE))
		answer(WAIT_VERDICT, NULL, 0, "finish");
again:
	for (p = pending; p; p = p->next)
		if ((p->kind == WAIT_SYNC || p->kind == WAIT_BARRIER) && check_barrier(p))
			goto again;
}

void ctl_line(struct link *l, char *line)
{
	char *id, *cmd, *arg, *save;
	struct node *n = l->node;

	id = strtok_r(line, " ", &save);
	cmd = strtok_r(NULL, " ", &save);
	if (!id || !cmd)
		return;
	if (strlen(id) > 60)
		id[60] = 0;

	if (!strcmp(cmd, "barrier")) {
		char *name = strtok_r(NULL, " ", &save);

		arg = strtok_r(NULL, " ", &save);
		if (!name) {
			link_write(l, "%s 2 a barrier needs a name", id);
			return;
		}
		wait_for(l, id, WAIT_BARRIER, name, arg ? atoi(arg) : 0);
	} else if (!strcmp(cmd, "fault")) {
		char *action = strtok_r(NULL, " ", &save);

		arg = strtok_r(NULL, " ", &save);
		if (!action || !arg)
			link_write(l, "%s 2 usage: fault ACTION NODE", id);
		else
			fault_request(l, id, action, atoi(arg));
		return;
	} else if (!strcmp(cmd, "alive")) {
		char list[MAX_NODES * 12] = "";
		size_t len = 0;

		for (int i = 1; i <= opt.nr_nodes; i++)
			if (node_alive(&nodes[i]))
				len += snprintf(list + len, sizeof(list) - len, " %d", i);
		link_write(l, "%s 0%s", id, list);
		return;
	} else if (l->idx) {
		link_write(l, "%s 2 no such command: %s", id, cmd);
	} else if (!strcmp(cmd, "hello")) {
		link_write(l, "%s 0 %d", id, n->boots - 1);
	} else if (!strcmp(cmd, "ready")) {
		arg = strtok_r(NULL, " ", &save);
		n->state = NODE_READY;
		wait_for(l, id, WAIT_READY, "", 0);
		if (arg && atoi(arg)) {
			fail("node%d: did not come up: %s", n->id, save ? save : "?");
			abort_run();
		} else {
			say("node%d: is up", n->id);
		}
	} else if (!strcmp(cmd, "verdict")) {
		arg = strtok_r(NULL, " ", &save);
		n->state = NODE_DONE;
		if (runs_script(n)) {
			n->verdict = arg ? atoi(arg) : 1;
			if (n->verdict && n->verdict != 4)
				fail("node%d: script exit status %d", n->id, n->verdict);
			else
				say("node%d: script has ended", n->id);
		}
		wait_for(l, id, WAIT_VERDICT, "", 0);
	} else if (!strcmp(cmd, "sync")) {
		arg = strtok_r(NULL, " ", &save);
		wait_for(l, id, WAIT_SYNC, arg ? arg : "", 0);
	} else if (!strcmp(cmd, "bye")) {
		arg = strtok_r(NULL, " ", &save);
		if (arg && atoi(arg))
			fail("node%d: %s", n->id, save ? save : "bad end");
		n->state = NODE_BYE;
		node_kill(n);
		return;
	}
	ctl_check();
}

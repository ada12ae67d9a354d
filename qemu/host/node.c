// SPDX-License-Identifier: GPL-2.0
/*
 * Guests as processes: start, console, end.
 *
 * Every channel of a guest is a socket pair that QEMU inherits, so that there
 * are no paths to clean up and a guest that starts again finds nothing stale.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "hostd.h"

#define MAX_ARGS	512

struct node nodes[MAX_NODES + 1];

/* One end for us, close-on-exec; the number of the other one for QEMU */
static int channel(int *theirs)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
		die("socketpair: %s", strerror(errno));
	fcntl(sv[0], F_SETFD, FD_CLOEXEC);
	*theirs = sv[1];
	return sv[0];
}

bool runs_script(const struct node *n)
{
	return !opt.on || opt.on == n->id;
}

bool node_alive(const struct node *n)
{
	return n->pid || n->restart;
}

static void console_event(struct watch *w, short revents)
{
	struct node *n = w->arg;
	char buf[16384];
	ssize_t len;

	(void)revents;
	len = recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (len > 0) {
		if (write(n->console_log, buf, len) < 0)
			die("node%d.console: %s", n->id, strerror(errno));
		return;
	}
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	watch_del(w);
	n->console = NULL;
}

static char **read_args(struct node *n, char **argv, int argc)
{
	char path[32], *line = NULL;
	size_t cap = 0;
	ssize_t len;
	FILE *f;

	snprintf(path, sizeof(path), "node%d.args", n->id);
	f = fopen(path, "re");
	if (!f)
		die("%s/%s: %s", opt.dir, path, strerror(errno));
	while ((len = getline(&line, &cap, f)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = 0;
		if (argc == MAX_ARGS)
			die("%s: too many arguments", path);
		argv[argc++] = strdup(line);
	}
	free(line);
	fclose(f);
	argv[argc] = NULL;
	return argv;
}

void node_start(struct node *n)
{
	int fds[NR_CTL + 3], nr = 0, argc = 0, fd;
	char *argv[MAX_ARGS + 64], path[32];

#define ARG(...) do { \
	if (asprintf(&argv[argc++], __VA_ARGS__) < 0) \
		die("out of memory"); \
} while (0)

	/* argv[0] is the first line of the file; ours go behind its own */
	read_args(n, argv, 0);
	while (argv[argc])
		argc++;

	fd = channel(&fds[nr]);
	n->console = watch_add(fd, console_event, n);
	ARG("-chardev");
	ARG("socket,id=console,fd=%d", fds[nr++]);
	ARG("-serial");
	ARG("chardev:console");

	fd = channel(&fds[nr]);
	n->qmp = link_new(fd, n, -1, qmp_line);
	ARG("-chardev");
	ARG("socket,id=qmp,fd=%d", fds[nr++]);
	ARG("-mon");
	ARG("chardev=qmp,mode=control");

	ARG("-device");
	ARG("virtio-serial-pci,id=ctl,max_ports=%d", NR_CTL + 2);
	for (int i = 0; i < NR_CTL; i++) {
		fd = channel(&fds[nr]);
		n->ctl[i] = link_new(fd, n, i, ctl_line);
		ARG("-chardev");
		ARG("socket,id=ctl%d,fd=%d", i, fds[nr++]);
		ARG("-device");
		ARG("virtserialport,bus=ctl.0,chardev=ctl%d,name=rmai.ctl.%d", i, i);
	}

	ARG("-netdev");
	if (opt.tap) {
		ARG("tap,id=n0,ifname=tap%d,script=no,downscript=no", n->id);
	} else {
		n->port = switch_port(channel(&fds[nr]));
		ARG("stream,id=n0,server=off,addr.type=fd,addr.str=%d", fds[nr++]);
	}
	argv[argc] = NULL;
#undef ARG

	if (!n->console_log) {
		snprintf(path, sizeof(path), "../node%d.console", n->id);
		n->console_log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
				      0666);
		if (n->console_log < 0)
			die("%s: %s", path, strerror(errno));
	}

	n->qmp_head = NULL;
	n->qmp_tail = &n->qmp_head;
	qmp_send(n, "{\"execute\":\"qmp_capabilities\"}", NULL, NULL);

	n->pid = fork();
	if (n->pid < 0)
		die("fork: %s", strerror(errno));
	if (!n->pid) {
		sigset_t none;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		/* Errors of QEMU itself belong beside the guest's last words */
		fd = open("/dev/null", O_RDONLY);
		dup2(fd, 0);
		dup2(n->console_log, 1);
		dup2(n->console_log, 2);
		execvp(argv[0], argv);
		dprintf(2, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	for (int i = 0; i < nr; i++)
		close(fds[i]);
	for (int i = 0; argv[i]; i++)
		free(argv[i]);

	n->state = NODE_BOOT;
	n->boots++;
	n->verdict = -1;
	n->excused = false;
	n->restart = false;
	n->dying = false;
	n->paused = false;
	say("node%d: %s", n->id, n->boots > 1 ? "boots again" : "boots");
}

void node_kill(struct node *n)
{
	if (n->pid && !n->dying) {
		n->dying = true;
		kill(n->pid, SIGKILL);
	}
}

static void node_gone(struct node *n, int status)
{
	n->pid = 0;
	while (n->console)
		console_event(n->console, POLLIN);
	qmp_drop(n);
	if (n->qmp)
		link_del(n->qmp);
	for (int i = 0; i < NR_CTL; i++)
		if (n->ctl[i])
			link_del(n->ctl[i]);
	if (n->port)
		switch_del(n->port);

	if (n->state != NODE_BYE && !n->dying) {
		if (WIFEXITED(status))
			fail("node%d: died (qemu exit status %d); see node%d.console", n->id,
			     WEXITSTATUS(status), n->id);
		else
			fail("node%d: died (qemu got signal %d)", n->id, WTERMSIG(status));
		abort_run();
	}
	n->state = NODE_OFF;
	n->dying = false;
	if (n->restart)
		node_start(n);
}

void node_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 1; i <= opt.nr_nodes; i++)
			if (nodes[i].pid == pid)
				node_gone(&nodes[i], status);
	ctl_check();
}

static void send_w(void *arg, const char *error)
{
	struct node *n = arg;

	if (!error && n->console)
		send(n->console->fd, "w", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void node_dump_blocked(struct node *n)
{
	static const char json[] =
		"{\"execute\":\"chardev-send-break\",\"arguments\":{\"id\":\"console\"}}";

	if (n->pid && !n->paused)
		qmp_send(n, json, send_w, n);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * hostd [options] DIR: run the guests whose QEMU command lines are in
 * DIR/node<N>.args and judge them. hostd --fault DIR ACTION NODE: see fault.c;
 * hostd --attach SOCKET: see attach.c.
 *
 * Exit status: 0 every script succeeded, 4 one skipped and none failed, 1 else.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/signalfd.h>

#include "hostd.h"

#define MAX_WATCHES	(MAX_NODES * (NR_CTL + 4) + 64)
#define ABORT_S		5	/* for the guests to write down what they know */
#define DUMP_S		3	/* for a hung guest to print its blocked tasks */

struct options opt = { .nr_nodes = 1, .timeout_s = 120 };
bool aborted;

static struct watch watches[MAX_WATCHES];
static int nr_watches;
static bool failed;
static double t0, deadline;

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void message(FILE *f, const char *fmt, va_list ap)
{
	fprintf(f, "[%6.1f] ", now() - t0);
	vfprintf(f, fmt, ap);
	fputc('\n', f);
	fflush(f);
}

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(stderr, fmt, ap);
	va_end(ap);
	exit(1);
}

void say(const char *fmt, ...)
{
	va_list ap;

	if (!opt.verbose)
		return;
	va_start(ap, fmt);
	message(stdout, fmt, ap);
	va_end(ap);
}

void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(stderr, fmt, ap);
	va_end(ap);
	failed = true;
}

void abort_run(void)
{
	if (aborted)
		return;
	aborted = true;
	deadline = now() + ABORT_S;
	ctl_check();
}

struct watch *watch_add(int fd, void (*cb)(struct watch *w, short revents), void *arg)
{
	struct watch *w;

	for (w = watches; w < watches + nr_watches; w++)
		if (w->fd < 0)
			break;
	if (w == watches + nr_watches && nr_watches++ == MAX_WATCHES)
		die("too many descriptors");
	*w = (struct watch){ .fd = fd, .cb = cb, .arg = arg };
	return w;
}

void watch_del(struct watch *w)
{
	close(w->fd);
	w->fd = -1;
}

static void poll_once(int timeout_ms)
{
	struct pollfd pfd[MAX_WATCHES];
	int nr = nr_watches;

	for (int i = 0; i < nr; i++) {
		pfd[i].fd = watches[i].fd;
		pfd[i].events = POLLIN | (watches[i].want_out ? POLLOUT : 0);
		pfd[i].revents = 0;
	}
	if (poll(pfd, nr, timeout_ms) < 0 && errno != EINTR)
		die("poll: %s", strerror(errno));
	for (int i = 0; i < nr; i++)
		if (pfd[i].revents && watches[i].fd == pfd[i].fd && pfd[i].fd >= 0)
			watches[i].cb(&watches[i], pfd[i].revents);
}

static void signal_event(struct watch *w, short revents)
{
	struct signalfd_siginfo si;

	(void)revents;
	if (read(w->fd, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo != SIGCHLD) {
		fail("interrupted");
		for (int i = 1; i <= opt.nr_nodes; i++)
			node_kill(&nodes[i]);
		deadline = now();
		aborted = true;
		return;
	}
	node_reap();
	fault_poll();
}

static bool any_alive(void)
{
	for (int i = 1; i <= opt.nr_nodes; i++)
		if (node_alive(&nodes[i]))
			return true;
	return false;
}

static void time_out(void)
{
	static const char * const where[] = {
		[NODE_OFF] = "off", [NODE_BOOT] = "boots", [NODE_READY] = "waits for the others",
		[NODE_RUN] = "runs its script", [NODE_DONE] = "has ended its script",
		[NODE_BYE] = "powers off",
	};
	double end;

	for (int i = 1; i <= opt.nr_nodes && !aborted; i++) {
		struct node *n = &nodes[i];

		if (!node_alive(n))
			continue;
		fail("node%d: timeout after %d s: %s%s", i, opt.timeout_s, where[n->state],
		     n->paused ? " (paused)" : "");
		if (n->state < NODE_DONE)
			node_dump_blocked(n);
	}
	end = now() + (aborted ? 0 : DUMP_S);
	while (now() < end)
		poll_once(100);
	for (int i = 1; i <= opt.nr_nodes; i++) {
		nodes[i].restart = false;
		node_kill(&nodes[i]);
	}
	while (any_alive())
		poll_once(100);
}

static int judge(void)
{
	bool skipped = false;

	for (int i = 1; i <= opt.nr_nodes; i++) {
		struct node *n = &nodes[i];

		if (n->excused || !runs_script(n))
			continue;
		if (n->verdict < 0 && !failed)
			fail("node%d: no verdict", i);
		skipped |= n->verdict == 4;
	}
	return failed ? 1 : skipped ? 4 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "nodes", 1, NULL, 'n' }, { "on", 1, NULL, 'k' }, { "timeout", 1, NULL, 't' },
		{ "tap", 0, NULL, 'T' }, { "verbose", 0, NULL, 'v' }, { "fault", 0, NULL, 'f' },
		{ "attach", 1, NULL, 'a' },
		{ }
	};
	bool client = false;
	sigset_t set;
	int c;

	while ((c = getopt_long(argc, argv, "v", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			opt.nr_nodes = atoi(optarg);
			break;
		case 'k':
			opt.on = atoi(optarg);
			break;
		case 't':
			opt.timeout_s = atoi(optarg);
			break;
		case 'T':
			opt.tap = true;
			break;
		case 'v':
			opt.verbose = true;
			break;
		case 'f':
			client = true;
			break;
		case 'a':
			return attach(optarg);
		default:
			return 2;
		}
	}
	if (client)
		return optind + 3 == argc ?
			fault_client(argv[optind], argv[optind + 1], argv[optind + 2]) : 2;
	if (optind + 1 != argc || opt.nr_nodes < 1 || opt.nr_nodes > MAX_NODES ||
	    opt.on < 0 || opt.on > opt.nr_nodes) {
		fprintf(stderr, "usage: %s [--nodes N] [--on K] [--timeout S] [--tap] DIR\n",
			argv[0]);
		return 2;
	}
	opt.dir = argv[optind];
	if (chdir(opt.dir))
		die("%s: %s", opt.dir, strerror(errno));
	t0 = now();
	deadline = opt.timeout_s ? t0 + opt.timeout_s : 0;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	watch_add(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), signal_event, NULL);

	fault_listen();
	for (int i = 1; i <= opt.nr_nodes; i++) {
		nodes[i].id = i;
		node_start(&nodes[i]);
	}

	while (any_alive()) {
		if (deadline && now() >= deadline) {
			time_out();
			break;
		}
		poll_once(200);
	}
	if (switch_dropped())
		printf("switch: %lu frames dropped (a guest did not take them)\n",
		       switch_dropped());
	unlink("fault.sock");
	return judge();
}

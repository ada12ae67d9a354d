// SPDX-License-Identifier: GPL-2.0
/*
 * hostd --attach SOCKET: a guest's console on this terminal; Ctrl-] leaves it.
 * What comes from a pipe instead of a terminal is sent as it is.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "hostd.h"

#define LEAVE	0x1d		/* Ctrl-] */

static struct termios saved;

static void restore(void)
{
	tcsetattr(0, TCSADRAIN, &saved);
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *name = strrchr(path, '/');
	char dir[LINE_LEN];
	int fd;

	/* A path can be longer than the address of a socket */
	if (name) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(name - path) + 1, path);
		if (chdir(dir))
			die("%s: %s", dir, strerror(errno));
		path = name + 1;
	}
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("no console there: %s: %s", path, strerror(errno));
	return fd;
}

static bool copy(int from, int to, bool keys)
{
	char buf[4096], *leave;
	ssize_t n = read(from, buf, sizeof(buf));

	if (n <= 0)
		return false;
	leave = keys ? memchr(buf, LEAVE, n) : NULL;
	if (leave)
		n = leave - buf;
	return write(to, buf, n) == n && !leave;
}

int attach(const char *path)
{
	int fd = connect_to(path);
	struct pollfd p[2] = {
		{ .fd = 0, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};

	if (isatty(0)) {
		struct termios raw;

		tcgetattr(0, &saved);
		raw = saved;
		cfmakeraw(&raw);
		tcsetattr(0, TCSADRAIN, &raw);
		atexit(restore);
		fprintf(stderr, "(Ctrl-] leaves this console)\r\n");
		/* The shell prints its prompt anew */
		if (write(fd, "\n", 1) != 1)
			return 1;
	}
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return 1;
		if (p[1].revents && !copy(fd, 1, false))
			return 0;
		if (p[0].revents && !copy(0, fd, true)) {
			if (isatty(0))
				return 0;
			p[0].fd = -1;	/* answers may still come */
		}
	}
}

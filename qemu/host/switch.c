// SPDX-License-Identifier: GPL-2.0
/*
 * An Ethernet switch between "-netdev stream" sockets, on which each frame has
 * its length in front (32 bits, big endian). It learns addresses and does not
 * drop: a port's queue is deeper than the windows of all RDMA connections to
 * it, so that it overflows only when its guest has stopped for good.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include "hostd.h"

#define FRAME_MAX	(68 * 1024)
#define QUEUE_MAX	(64u << 20)
#define NR_MACS		256

struct swport {
	struct watch *w;
	struct swport *next;
	bool blocked;
	size_t in_len;
	uint8_t in[4 + FRAME_MAX];
	uint8_t *q;
	size_t q_head, q_len, q_cap;
};

static struct swport *ports;
static struct { uint8_t mac[6]; struct swport *port; } macs[NR_MACS];
static unsigned int nr_macs;
static unsigned long dropped;

static void flush(struct swport *p)
{
	while (p->q_len) {
		ssize_t n = send(p->w->fd, p->q + p->q_head, p->q_len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			break;
		p->q_head += n;
		p->q_len -= n;
	}
	if (!p->q_len)
		p->q_head = 0;
	p->w->want_out = p->q_len;
}

static void queue(struct swport *p, const uint8_t *data, size_t len)
{
	if (p->blocked)
		return;
	if (p->q_len + len > QUEUE_MAX) {
		dropped++;
		return;
	}
	if (p->q_head + p->q_len + len > p->q_cap) {
		memmove(p->q, p->q + p->q_head, p->q_len);
		p->q_head = 0;
	}
	if (p->q_len + len > p->q_cap) {
		p->q_cap = p->q_cap ? 2 * p->q_cap : 256 * 1024;
		while (p->q_cap < p->q_len + len)
			p->q_cap *= 2;
		p->q = realloc(p->q, p->q_cap);
		if (!p->q)
			die("out of memory");
	}
	memcpy(p->q + p->q_head + p->q_len, data, len);
	p->q_len += len;
	flush(p);
}

static struct swport *lookup(const uint8_t *mac)
{
	for (unsigned int i = 0; i < nr_macs; i++)
		if (!memcmp(macs[i].mac, mac, 6))
			return macs[i].port;
	return NULL;
}

static void learn(const uint8_t *mac, struct swport *p)
{
	unsigned int i;

	if (mac[0] & 1)
		return;
	for (i = 0; i < nr_macs; i++)
		if (!memcmp(macs[i].mac, mac, 6))
			break;
	if (i == NR_MACS)
		return;
	if (i == nr_macs)
		nr_macs++;
	memcpy(macs[i].mac, mac, 6);
	macs[i].port = p;
}

static void forward(struct swport *from, const uint8_t *data, size_t len)
{
	struct swport *to;

	if (from->blocked || len < 4 + 14)
		return;
	learn(data + 4 + 6, from);
	to = lookup(data + 4);
	if (to && to != from) {
		queue(to, data, len);
		return;
	}
	for (to = ports; to; to = to->next)
		if (to != from)
			queue(to, data, len);
}

static void port_event(struct watch *w, short revents)
{
	struct swport *p = w->arg;
	size_t off = 0;
	ssize_t n;

	if (revents & POLLOUT)
		flush(p);
	if (!(revents & (POLLIN | POLLHUP | POLLERR)))
		return;

	n = recv(w->fd, p->in + p->in_len, sizeof(p->in) - p->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* The guest is gone; node.c ends the port when it has reaped it */
		shutdown(w->fd, SHUT_RDWR);
		switch_del(p);
		return;
	}
	p->in_len += n;

	while (p->in_len - off >= 4) {
		uint32_t len;

		memcpy(&len, p->in + off, 4);
		len = ntohl(len);
		if (len > FRAME_MAX)
			die("switch: a frame of %u bytes", len);
		if (p->in_len - off < 4 + len)
			break;
		forward(p, p->in + off, 4 + len);
		off += 4 + len;
	}
	memmove(p->in, p->in + off, p->in_len - off);
	p->in_len -= off;
}

struct swport *switch_port(int fd)
{
	struct swport *p = calloc(1, sizeof(*p));

	if (!p)
		die("out of memory");
	p->w = watch_add(fd, port_event, p);
	p->next = ports;
	ports = p;
	return p;
}

void switch_del(struct swport *p)
{
	struct swport **pp;

	for (pp = &ports; *pp; pp = &(*pp)->next) {
		if (*pp != p)
			continue;
		*pp = p->next;
		for (unsigned int i = 0; i < nr_macs; i++)
			if (macs[i].port == p)
				macs[i].port = NULL;
		for (int i = 1; i <= opt.nr_nodes; i++)
			if (nodes[i].port == p)
				nodes[i].port = NULL;
		watch_del(p->w);
		free(p->q);
		free(p);
		return;
	}
}

void switch_block(struct swport *p, bool block)
{
	p->blocked = block;
}

unsigned long switch_dropped(void)
{
	return dropped;
}

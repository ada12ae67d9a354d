// SPDX-License-Identifier: GPL-2.0
/*
 * bench-raw serve ADDR PORT: offers memory for RDMA READs to one client, asleep.
 * bench-raw read [OPTION...] ADDR PORT: reads from it, and prints how fast as one
 * line of JSON.
 *
 * What the fabric gives a reader that sleeps while it waits: READs into ordinary
 * memory, some of them outstanding, a completion channel, no polling. The limit
 * that page faults over the same fabric are compared with.
 */
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <endian.h>
#include <infiniband/verbs.h>
#include <linux/types.h>
#include <rdma/rdma_cma.h>

#define SERVED		(16UL << 20)	/* bytes on offer */
#define MAX_DEPTH	64
#define CM_TIMEOUT_MS	5000
#define CONNECT_TRIES	100		/* for a server that is still starting */
#define ACK_TIMEOUT	18		/* 4.096 us << 18: about a second */
#define MAX_KICKS	10		/* before the first READ is answered */
#define KICK_MS		500

/* Private data of the server's answer */
struct offer {
	__u64	addr;
	__u64	len;
	__u32	rkey;
	__u32	reserved;
};

struct conn {
	struct rdma_event_channel	*events;
	struct rdma_cm_id		*id;
	struct ibv_comp_channel		*channel;
	struct ibv_pd			*pd;
	struct ibv_cq			*cq;
	struct ibv_mr			*mr;
	char				*buf;
	__u8				reads;	/* outstanding, at most */
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static struct rdma_cm_event *next_event(struct conn *c)
{
	struct rdma_cm_event *ev;

	if (rdma_get_cm_event(c->events, &ev))
		err(1, "rdma_get_cm_event");
	return ev;
}

/* 0, or -1 if another event came */
static int expect(struct conn *c, enum rdma_cm_event_type type)
{
	struct rdma_cm_event *ev = next_event(c);
	int ok = ev->event == type;

	if (!ok)
		warnx("%s (%d) instead of %s", rdma_event_str(ev->event), ev->status,
		      rdma_event_str(type));
	rdma_ack_cm_event(ev);
	return ok ? 0 : -1;
}

/* A QP, and memory of @len bytes for @access */
static void set_up(struct conn *c, size_t len, int depth, int access)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = IBV_QPT_RC,
		.cap = {
			.max_send_wr = depth + MAX_KICKS,
			.max_recv_wr = 1,
			.max_send_sge = 1,
			.max_recv_sge = 1,
		},
	};
	struct ibv_device_attr dev;
	__u8 timeout = ACK_TIMEOUT;
	int n;

	if (ibv_query_device(c->id->verbs, &dev))
		err(1, "ibv_query_device");
	n = dev.max_qp_rd_atom < dev.max_qp_init_rd_atom ?
	    dev.max_qp_rd_atom : dev.max_qp_init_rd_atom;
	c->reads = n < MAX_DEPTH ? n : MAX_DEPTH;
	/* Of RoCE only, and only a hint: soft RDMA on a slow machine takes its time */
	rdma_set_option(c->id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &timeout,
			sizeof(timeout));
	c->pd = ibv_alloc_pd(c->id->verbs);
	c->channel = ibv_create_comp_channel(c->id->verbs);
	if (!c->pd || !c->channel)
		err(1, "PD or completion channel");
	c->cq = ibv_create_cq(c->id->verbs, depth + MAX_KICKS, NULL, c->channel, 0);
	if (!c->cq)
		err(1, "CQ");
	attr.send_cq = c->cq;
	attr.recv_cq = c->cq;
	if (rdma_create_qp(c->id, c->pd, &attr))
		err(1, "QP");
	c->buf = aligned_alloc(sysconf(_SC_PAGESIZE), len);
	if (!c->buf)
		err(1, "memory");
	memset(c->buf, 0x5a, len);
	c->mr = ibv_reg_mr(c->pd, c->buf, len, access);
	if (!c->mr)
		err(1, "MR of %zu bytes", len);
}

static void tear_down(struct conn *c)
{
	rdma_destroy_qp(c->id);
	ibv_dereg_mr(c->mr);
	ibv_destroy_cq(c->cq);
	ibv_destroy_comp_channel(c->channel);
	ibv_dealloc_pd(c->pd);
	rdma_destroy_id(c->id);
	free(c->buf);
}

static struct sockaddr *resolve(const char *addr, const char *port)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	struct addrinfo *res;
	int rc = getaddrinfo(addr, port, &hints, &res);

	if (rc)
		errx(1, "%s: %s", addr, gai_strerror(rc));
	return res->ai_addr;
}

static void serve(const char *addr, const char *port)
{
	struct rdma_conn_param param = { .retry_count = 6, .rnr_retry_count = 6 };
	struct rdma_cm_id *listener;
	struct rdma_cm_event *ev;
	struct conn c = { 0 };
	struct offer offer = { 0 };

	c.events = rdma_create_event_channel();
	if (!c.events || rdma_create_id(c.events, &listener, NULL, RDMA_PS_TCP))
		err(1, "rdma_create_id");
	if (rdma_bind_addr(listener, resolve(addr, port)) || rdma_listen(listener, 1))
		err(1, "listen on %s:%s", addr, port);
	ev = next_event(&c);
	if (ev->event != RDMA_CM_EVENT_CONNECT_REQUEST)
		errx(1, "%s", rdma_event_str(ev->event));
	c.id = ev->id;
	param.responder_resources = ev->param.conn.responder_resources;
	rdma_ack_cm_event(ev);
	set_up(&c, SERVED, 1, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
	if (param.responder_resources > c.reads)
		param.responder_resources = c.reads;
	offer.addr = htobe64((uintptr_t)c.buf);
	offer.len = htobe64(SERVED);
	offer.rkey = htobe32(c.mr->rkey);
	param.private_data = &offer;
	param.private_data_len = sizeof(offer);
	if (rdma_accept(c.id, &param))
		err(1, "rdma_accept");
	if (expect(&c, RDMA_CM_EVENT_ESTABLISHED) ||
	    expect(&c, RDMA_CM_EVENT_DISCONNECTED))
		exit(1);
	rdma_disconnect(c.id);
	tear_down(&c);
	rdma_destroy_id(listener);
	rdma_destroy_event_channel(c.events);
}

/* One try: 0, or -1 if nobody listens yet */
static int try_connect(struct conn *c, struct sockaddr *to, size_t len, int depth,
		       struct offer *offer)
{
	struct rdma_conn_param param = { .retry_count = 6, .rnr_retry_count = 6 };
	struct rdma_cm_event *ev;

	if (rdma_create_id(c->events, &c->id, NULL, RDMA_PS_TCP))
		err(1, "rdma_create_id");
	if (rdma_resolve_addr(c->id, NULL, to, CM_TIMEOUT_MS))
		err(1, "rdma_resolve_addr");
	if (expect(c, RDMA_CM_EVENT_ADDR_RESOLVED))
		exit(1);
	if (rdma_resolve_route(c->id, CM_TIMEOUT_MS))
		err(1, "rdma_resolve_route");
	if (expect(c, RDMA_CM_EVENT_ROUTE_RESOLVED))
		exit(1);
	/* To iWARP the sink of a READ is a remote write */
	set_up(c, len, depth, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	param.initiator_depth = c->reads;
	param.responder_resources = c->reads;
	if (rdma_connect(c->id, &param))
		err(1, "rdma_connect");
	ev = next_event(c);
	if (ev->event != RDMA_CM_EVENT_ESTABLISHED) {
		rdma_ack_cm_event(ev);
		tear_down(c);
		return -1;
	}
	if (!ev->param.conn.private_data ||
	    ev->param.conn.private_data_len < sizeof(*offer))
		errx(1, "not a server of ours");
	memcpy(offer, ev->param.conn.private_data, sizeof(*offer));
	rdma_ack_cm_event(ev);
	return 0;
}

/* READ number @n, into one of @nr_bufs places */
static void post(struct conn *c, const struct offer *offer, __u64 n, __u32 size,
		 __u64 nr_bufs)
{
	__u64 places = be64toh(offer->len) / size;
	struct ibv_sge sge = {
		.addr = (uintptr_t)c->buf + n % nr_bufs * size,
		.length = size,
		.lkey = c->mr->lkey,
	};
	struct ibv_send_wr *bad, wr = {
		.wr_id = n,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_READ,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma.remote_addr = be64toh(offer->addr) + n % places * size,
		.wr.rdma.rkey = be32toh(offer->rkey),
	};
	int rc = ibv_post_send(c->id->qp, &wr, &bad);

	if (rc)
		errx(1, "ibv_post_send: %s", strerror(rc));
}

/* Sleeps for at least one completion; how many came */
static unsigned int wait_some(struct conn *c)
{
	struct ibv_wc wc[MAX_DEPTH];
	unsigned int done = 0;
	struct ibv_cq *cq;
	void *context;
	int i, n;

	while (!done) {
		if (ibv_get_cq_event(c->channel, &cq, &context))
			err(1, "ibv_get_cq_event");
		ibv_ack_cq_events(cq, 1);
		if (ibv_req_notify_cq(cq, 0))
			errx(1, "ibv_req_notify_cq");
		while ((n = ibv_poll_cq(cq, MAX_DEPTH, wc)) > 0) {
			for (i = 0; i < n; i++)
				if (wc[i].status != IBV_WC_SUCCESS)
					errx(1, "READ %llu: %s",
					     (unsigned long long)wc[i].wr_id,
					     ibv_wc_status_str(wc[i].status));
			done += n;
		}
		if (n < 0)
			errx(1, "ibv_poll_cq");
	}
	return done;
}

/*
 * The connection's first READ, not timed. siw's accepting side does not notice what
 * arrives before its accept has finished, until something else arrives: so say it
 * again.
 */
static void first_read(struct conn *c, const struct offer *offer)
{
	struct pollfd p = { .fd = c->channel->fd, .events = POLLIN };
	int kicks, done = 0, rc = 0;

	for (kicks = 0; !rc && kicks < MAX_KICKS; kicks++) {
		post(c, offer, 0, 1, 1);
		rc = poll(&p, 1, KICK_MS);
	}
	if (rc < 0)
		err(1, "poll");
	if (!rc)
		errx(1, "the first READ is not answered");
	while (done < kicks)
		done += wait_some(c);
}

static void read_from(const char *addr, const char *port, __u32 size,
		      unsigned int depth, __u64 total, __u64 nr_bufs)
{
	__u64 nr = (total + size - 1) / size, posted = 0, done = 0, i;
	struct sockaddr *to = resolve(addr, port);
	struct conn c = { 0 };
	struct offer offer;
	double t0, t1;
	int try;

	c.events = rdma_create_event_channel();
	if (!c.events)
		err(1, "rdma_create_event_channel");
	for (try = 0; try_connect(&c, to, size * nr_bufs, depth, &offer); try++) {
		if (try == CONNECT_TRIES)
			errx(1, "%s:%s: nobody answers", addr, port);
		usleep(100000);
	}
	if (ibv_req_notify_cq(c.cq, 0))
		errx(1, "ibv_req_notify_cq");
	first_read(&c, &offer);
	memset(c.buf, 0, size * nr_bufs);
	t0 = now();
	while (done < nr) {
		while (posted < nr && posted - done < depth)
			post(&c, &offer, posted++, size, nr_bufs);
		done += wait_some(&c);
	}
	t1 = now();
	for (i = 0; i < size && i < (__u64)size * nr; i += 4096)
		if (c.buf[i] != 0x5a)
			errx(1, "wrong data at byte %llu", i);
	printf("{\"size\": %u, \"depth\": %u, \"reads\": %llu, \"bytes\": %llu, ",
	       size, depth, nr, nr * size);
	printf("\"seconds\": %.6f, \"mb_per_s\": %.3f}\n", t1 - t0,
	       (double)nr * size / (t1 - t0) / 1e6);
	rdma_disconnect(c.id);
	expect(&c, RDMA_CM_EVENT_DISCONNECTED);
	tear_down(&c);
	rdma_destroy_event_channel(c.events);
}

static void usage(void)
{
	fputs("usage: bench-raw serve ADDR PORT\n"
	      "       bench-raw read [-s BYTES] [-t DEPTH] [-n TOTAL] [-w] ADDR PORT\n"
	      "  -s BYTES  of one READ (2097152)\n"
	      "  -t DEPTH  READs outstanding (2)\n"
	      "  -n TOTAL  bytes to read in all (134217728)\n"
	      "  -w        each READ into memory of its own, not DEPTH buffers in turn\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	unsigned long long size = 2 << 20, depth = 2, total = 128 << 20;
	bool wide = false;
	int opt;

	if (argc < 2)
		usage();
	argc--;
	argv++;
	while ((opt = getopt(argc, argv, "s:t:n:w")) != -1) {
		switch (opt) {
		case 's':
			size = strtoull(optarg, NULL, 0);
			break;
		case 't':
			depth = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			total = strtoull(optarg, NULL, 0);
			break;
		case 'w':
			wide = true;
			break;
		default:
			usage();
		}
	}
	if (argc != optind + 2 || !size || size > SERVED || !depth || depth > MAX_DEPTH ||
	    !total)
		usage();
	/* Lines that a log has, whatever becomes of this process */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "serve"))
		serve(argv[optind], argv[optind + 1]);
	else if (!strcmp(what, "read"))
		read_from(argv[optind], argv[optind + 1], size, depth, total,
			  wide ? (total + size - 1) / size : depth);
	else
		usage();
	return 0;
}

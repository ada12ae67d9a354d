// SPDX-License-Identifier: GPL-2.0
/*
 * garbage: a peer that breaks the protocol, over RDMA from user space.
 *
 *	garbage ADDRESS MODE [COUNT [ID [REGION]]]
 *
 * ADDRESS is a node of a cluster. Status 0: that node has done what it must (mostly:
 * end the connection, in time); what it did is printed. See modes[].
 */
#include <poll.h>
#include <rdma/rdma_cma.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "wire_user.h"
#include "wire_format.h"
#include "wire_gen.h"

#define PORT		"5471"
#define NR_RECVS	72		/* what the transport expects of a peer */
#define NR_SENDS	32		/* in turn: a device may read one a while after the call */
#define BUF		8192
#define PATIENCE	15000		/* ms that a node may take for anything */

/* What a peer says when it connects, and as it greets: drivers/infiniband/ulp/rmai/cm.c */
struct greeting {
	__le32	magic;
	__le16	version;
	__le16	nr_recvs;
	__le32	msg_max;
	__le32	flags;			/* 1: the last one */
};

static const struct greeting private_data = {
	.magic		= RMAI_WIRE_MAGIC,
	.version	= 1,
	.nr_recvs	= NR_RECVS,
	.msg_max	= RMAI_WIRE_MAX,
};

struct conn {
	struct rdma_event_channel *ec;
	struct rdma_cm_id *id;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_mr *mr;
	unsigned char *mem;		/* NR_RECVS buffers, and NR_SENDS more */
	unsigned int sends;
	bool ended;
	const char *why;
	unsigned int recvs;
	struct ibv_wc early[NR_RECVS];	/* messages that came before a send was acknowledged */
	unsigned int nr_early;
};

static const char *address;
static u64 rng = 1;

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	exit(1);
}

static long long now_ms(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return tv.tv_sec * 1000LL + tv.tv_usec / 1000;
}

static void ended(struct conn *c, const char *why)
{
	if (!c->ended)
		c->why = why;
	c->ended = true;
}

/* The next event within @ms; -1: none */
static int event(struct conn *c, int ms)
{
	struct pollfd p = { .fd = c->ec->fd, .events = POLLIN };
	struct rdma_cm_event *ev;
	int type;

	if (poll(&p, 1, ms) <= 0 || rdma_get_cm_event(c->ec, &ev))
		return -1;
	type = ev->event;
	rdma_ack_cm_event(ev);
	if (type == RDMA_CM_EVENT_DISCONNECTED || type == RDMA_CM_EVENT_TIMEWAIT_EXIT ||
	    type == RDMA_CM_EVENT_CONNECT_ERROR || type == RDMA_CM_EVENT_REJECTED)
		ended(c, rdma_event_str(type));
	return type;
}

static bool expect(struct conn *c, int want)
{
	return event(c, PATIENCE) == want;
}

static void conn_close(struct conn *c)
{
	if (c->id && c->id->qp) {
		rdma_disconnect(c->id);
		rdma_destroy_qp(c->id);
	}
	if (c->cq)
		ibv_destroy_cq(c->cq);
	if (c->mr)
		ibv_dereg_mr(c->mr);
	if (c->pd)
		ibv_dealloc_pd(c->pd);
	if (c->id)
		rdma_destroy_id(c->id);
	if (c->ec)
		rdma_destroy_event_channel(c->ec);
	free(c->mem);
	free(c);
}

static void post_recv(struct conn *c, unsigned int i)
{
	struct ibv_sge sge = { (uintptr_t)c->mem + i * BUF, BUF, c->mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = i, .sg_list = &sge, .num_sge = 1 }, *bad;

	ibv_post_recv(c->id->qp, &wr, &bad);
}

/* NULL: refused (or gone before it was there) */
static struct conn *conn_open_with(const void *private, size_t len, unsigned int recvs)
{
	struct rdma_conn_param param = {
		.private_data = private, .private_data_len = len,
		.responder_resources = 1, .initiator_depth = 1,
		.retry_count = 6, .rnr_retry_count = 6,
	};
	struct ibv_qp_init_attr qp = {
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = 256, .max_recv_wr = NR_RECVS,
			 .max_send_sge = 1, .max_recv_sge = 1 },
	};
	struct rdma_addrinfo hints = { .ai_port_space = RDMA_PS_TCP }, *ai;
	struct conn *c = calloc(1, sizeof(*c));
	unsigned int i;

	if (rdma_getaddrinfo(address, PORT, &hints, &ai))
		die("%s: no such address", address);
	c->ec = rdma_create_event_channel();
	if (!c->ec || rdma_create_id(c->ec, &c->id, NULL, RDMA_PS_TCP))
		die("no RDMA connection manager: %m");
	if (rdma_resolve_addr(c->id, NULL, ai->ai_dst_addr, 2000) ||
	    !expect(c, RDMA_CM_EVENT_ADDR_RESOLVED) || rdma_resolve_route(c->id, 2000) ||
	    !expect(c, RDMA_CM_EVENT_ROUTE_RESOLVED))
		die("%s cannot be reached", address);
	rdma_freeaddrinfo(ai);
	c->pd = ibv_alloc_pd(c->id->verbs);
	c->cq = ibv_create_cq(c->id->verbs, 512, NULL, NULL, 0);
	c->mem = aligned_alloc(4096, (NR_RECVS + NR_SENDS) * BUF);
	c->mr = c->pd && c->mem ? ibv_reg_mr(c->pd, c->mem, (NR_RECVS + NR_SENDS) * BUF,
					     IBV_ACCESS_LOCAL_WRITE) : NULL;
	qp.send_cq = c->cq;
	qp.recv_cq = c->cq;
	if (!c->mr || !c->cq || rdma_create_qp(c->id, c->pd, &qp))
		die("no queue pair: %m");
	c->recvs = recvs;
	for (i = 0; i < recvs; i++)
		post_recv(c, i);
	if (rdma_connect(c->id, &param) || !expect(c, RDMA_CM_EVENT_ESTABLISHED)) {
		conn_close(c);
		return NULL;
	}
	return c;
}

static struct conn *conn_open(void)
{
	struct conn *c = conn_open_with(&private_data, sizeof(private_data), NR_RECVS);

	if (!c)
		die("%s has refused the connection", address);
	return c;
}

/* Post a message; the completion is not awaited */
static void conn_post(struct conn *c, const void *buf, size_t len)
{
	unsigned char *mem = c->mem + (NR_RECVS + c->sends++ % NR_SENDS) * BUF;
	struct ibv_sge sge = { (uintptr_t)mem, len, c->mr->lkey };
	struct ibv_send_wr wr = {
		.wr_id = NR_RECVS, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
	}, *bad;

	memcpy(mem, buf, len);
	if (ibv_post_send(c->id->qp, &wr, &bad))
		ended(c, "cannot send");
}

/* The next completion within @ms: 1; 0: none; -1: the connection has ended */
static int conn_poll(struct conn *c, struct ibv_wc *wc, int ms)
{
	long long end = now_ms() + ms;

	while (!ibv_poll_cq(c->cq, 1, wc)) {
		event(c, 1);
		if (c->ended)
			return -1;
		if (now_ms() > end)
			return 0;
	}
	if (wc->status == IBV_WC_SUCCESS)
		return 1;
	ended(c, ibv_wc_status_str(wc->status));
	return -1;
}

/* A message that has come within @ms: its length; 0: none; -1: the connection has ended */
static int conn_recv(struct conn *c, void *buf, int ms)
{
	long long end = now_ms() + ms;
	struct ibv_wc wc;
	int ret = 1;

	if (c->nr_early) {
		wc = c->early[0];
		memmove(c->early, c->early + 1, --c->nr_early * sizeof(wc));
	} else {
		do {
			ret = conn_poll(c, &wc, end - now_ms());
		} while (ret > 0 && wc.wr_id == NR_RECVS);
	}
	if (ret <= 0)
		return ret;
	memcpy(buf, c->mem + wc.wr_id * BUF, wc.byte_len);
	if (c->recvs == NR_RECVS)
		post_recv(c, wc.wr_id);
	return wc.byte_len;
}

/* Send, and wait until it is there; an answer may be faster than the acknowledgment */
static void conn_send(struct conn *c, const void *buf, size_t len)
{
	struct ibv_wc wc;

	conn_post(c, buf, len);
	while (conn_poll(c, &wc, PATIENCE) > 0 && wc.wr_id != NR_RECVS) {
		if (c->nr_early < NR_RECVS)
			c->early[c->nr_early++] = wc;
	}
}

/* Greet until answered; once more to say that what follows are messages */
static bool greet(struct conn *c)
{
	struct greeting last = private_data;
	unsigned char in[BUF];
	int i;

	last.flags = htole32(1);
	for (i = 0; i < 50 && !c->ended; i++) {
		conn_post(c, &private_data, sizeof(private_data));
		if (conn_recv(c, in, 200) > 0) {
			conn_send(c, &last, sizeof(last));
			return !c->ended;
		}
	}
	return false;
}

/* Has the node ended the connection, in time? */
static bool conn_ends(struct conn *c, int ms)
{
	long long end = now_ms() + ms;
	unsigned char buf[BUF];

	while (!c->ended && now_ms() < end)
		conn_recv(c, buf, 10);
	return c->ended;
}

/* A connection that the node's core knows of */
static struct conn *conn_greeted(unsigned int recvs)
{
	struct conn *c = conn_open_with(&private_data, sizeof(private_data), recvs);

	if (!c || !greet(c))
		die("%s does not greet", address);
	return c;
}

static void send_msg(struct conn *c, const struct rmai_msg *msg)
{
	unsigned char buf[RMAI_WIRE_MAX];
	int len = rmai_wire_encode(msg, buf);

	if (len < 0)
		die("cannot encode a %s", rmai_msg_name(msg->type));
	conn_send(c, buf, len);
}

/* The next message within @ms */
static bool recv_msg(struct conn *c, struct rmai_msg *msg, int ms)
{
	unsigned char buf[BUF];
	int len = conn_recv(c, buf, ms);

	if (len > 0 && rmai_wire_decode(buf, len, msg))
		die("the node has sent something that does not decode");
	return len > 0;
}

/* The reply to what was asked; what the node asks by itself is passed over */
static bool recv_reply(struct conn *c, struct rmai_msg *msg, int ms)
{
	long long end = now_ms() + ms;

	while (!c->ended && now_ms() < end) {
		if (recv_msg(c, msg, 100) && (msg->flags & RMAI_MSG_F_REPLY))
			return true;
	}
	return false;
}

/* What a right HELLO of node @id to this address says: asked for by a wrong one */
static struct rmai_msg hello;

static void hello_learn(u16 id)
{
	struct rmai_msg msg = { .type = RMAI_MSG_HELLO, .src = 63, .dst = 1, .xid = 1,
				.epoch = now_ms() };
	struct conn *c = conn_greeted(NR_RECVS);

	msg.hello.window_start = 48ULL << 40;
	msg.hello.window_size = 32ULL << 40;
	msg.hello.page_size = 4096;
	msg.hello.key_pages = 512;
	msg.hello.role = RMAI_ROLE_COMPUTE;
	memcpy(msg.hello.cluster, "rmai", 5);
	send_msg(c, &msg);
	if (!recv_reply(c, &hello, PATIENCE))
		die("no answer to HELLO: %s", c->ended ? c->why : "in time");
	conn_close(c);
	hello.flags = 0;
	hello.dst = hello.src;
	hello.src = id;
	hello.dst_epoch = 0;
	hello.status = 0;
	/* Each run is another incarnation */
	hello.epoch = now_ms();
	hello.hello.refusal = 0;
	hello.hello.role = RMAI_ROLE_COMPUTE;
}

static u64 node_epoch;

/* A connection on which HELLO was said and accepted */
static struct conn *conn_up(unsigned int recvs)
{
	struct rmai_msg rep;
	struct conn *c = conn_greeted(recvs);

	send_msg(c, &hello);
	if (!recv_reply(c, &rep, PATIENCE))
		die("no answer to HELLO: %s", c->ended ? c->why : "in time");
	if (rep.hello.refusal)
		die("HELLO was refused: %s", rmai_refusal_name(rep.hello.refusal));
	node_epoch = rep.epoch;
	return c;
}

static void address_to_node(struct rmai_msg *msg)
{
	msg->src = hello.src;
	msg->dst = hello.dst;
	msg->epoch = hello.epoch;
	msg->dst_epoch = node_epoch;
}

static void request(struct rmai_msg *msg, u8 type)
{
	memset(msg, 0, sizeof(*msg));
	msg->type = type;
	msg->xid = 7;
	address_to_node(msg);
}

static void ping(struct rmai_msg *msg)
{
	request(msg, RMAI_MSG_PING);
}

/* Modes */

static int count = 10, id;
static u64 region;

static void must_end(struct conn *c, const char *what)
{
	if (!conn_ends(c, PATIENCE))
		die("%s: the connection lives on", what);
	conn_close(c);
}

static void not_rmai(void)
{
	if (conn_open_with("something else", 14, NR_RECVS) || conn_open_with(NULL, 0, NR_RECVS))
		die("accepted");
	printf("refused\n");
}

static bool greeted;

static void random_bytes(void)
{
	unsigned char buf[RMAI_WIRE_MAX];
	int i, n, len;

	for (n = 0; n < count; n++) {
		struct conn *c = greeted ? conn_greeted(NR_RECVS) : conn_open();

		len = 1 + gen_below(&rng, sizeof(buf));
		for (i = 0; i < len; i++)
			buf[i] = gen_u64(&rng);
		/* Half of them look right at first */
		if (n % 2) {
			u32 magic = RMAI_WIRE_MAGIC;

			memcpy(buf, &magic, 4);
			buf[4] = RMAI_WIRE_VERSION;
		}
		conn_send(c, buf, len);
		must_end(c, "random bytes");
	}
	printf("%d connections, all dropped\n", n);
}

static void random_greeted(void)
{
	greeted = true;
	random_bytes();
}

static void oversize(void)
{
	static unsigned char buf[BUF];
	struct conn *c = conn_greeted(NR_RECVS);

	memset(buf, 0x55, sizeof(buf));
	conn_send(c, buf, sizeof(buf));
	must_end(c, "8192 bytes");
	printf("dropped\n");
}

static void version(void)
{
	unsigned char buf[RMAI_WIRE_MAX];
	struct conn *c = conn_greeted(NR_RECVS);
	int len;

	len = rmai_wire_encode(&hello, buf);
	if (len < 0)
		die("encode");
	((struct wire_hdr *)buf)->version = RMAI_WIRE_VERSION + 1;
	conn_send(c, buf, len);
	must_end(c, "another version");
	printf("dropped\n");
}

static void no_hello(void)
{
	struct conn *c = conn_greeted(NR_RECVS);
	struct rmai_msg msg;

	ping(&msg);
	send_msg(c, &msg);
	must_end(c, "no HELLO");
	printf("dropped\n");
}

static void silent(void)
{
	struct conn *c = conn_open(), *g = conn_greeted(NR_RECVS);
	long long start = now_ms();

	must_end(g, "silence after the greeting");
	printf("dropped %lld ms after the greeting, ", now_ms() - start);
	must_end(c, "silence");
	printf("%lld ms without one\n", now_ms() - start);
}

/* HELLOs that are well-formed, and wrong */
static void wrong_hello(void)
{
	static const struct { const char *what; u16 src, dst, want; } wrong[] = {
		{ "an unknown id", 62, 0, RMAI_REFUSE_UNKNOWN },
		{ "the node's own id", 0, 0, RMAI_REFUSE_DUPLICATE },
		{ "another destination", 2, 60, RMAI_REFUSE_NOT_ME },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct rmai_msg msg = hello, rep;
		struct conn *c = conn_greeted(NR_RECVS);

		msg.src = wrong[i].src ?: hello.dst;
		msg.dst = wrong[i].dst ?: hello.dst;
		send_msg(c, &msg);
		if (!recv_reply(c, &rep, PATIENCE))
			die("%s: no answer", wrong[i].what);
		if (rep.hello.refusal != wrong[i].want)
			die("%s: refusal %u", wrong[i].what, rep.hello.refusal);
		must_end(c, wrong[i].what);
	}
	printf("refused and dropped\n");
}

static void good(void)
{
	struct conn *c = conn_up(NR_RECVS);
	struct rmai_msg msg;

	ping(&msg);
	send_msg(c, &msg);
	if (!recv_reply(c, &msg, PATIENCE) || msg.type != RMAI_MSG_PING || msg.status)
		die("a PING after a right HELLO is not answered");
	conn_close(c);
	printf("HELLO and PING answered\n");
}

static void twice(void)
{
	struct conn *c = conn_up(NR_RECVS);
	struct rmai_msg msg;

	ping(&msg);
	send_msg(c, &msg);
	send_msg(c, &hello);
	must_end(c, "a second HELLO");
	printf("dropped\n");
}

/* The reply to a request of @type; the node is told that this one knows nothing */
static bool recv_reply_knowing_nothing(struct conn *c, u8 type, struct rmai_msg *msg)
{
	long long end = now_ms() + 4 * PATIENCE;

	while (!c->ended && now_ms() < end) {
		if (!recv_msg(c, msg, 100))
			continue;
		if (msg->flags & RMAI_MSG_F_REPLY) {
			if (msg->type == type)
				return true;
			continue;
		}
		msg->flags = RMAI_MSG_F_REPLY;
		msg->status = msg->type == RMAI_MSG_PING ? 0 : -ESTALE;
		address_to_node(msg);
		send_msg(c, msg);
	}
	return false;
}

/*
 * A node that has a region open boots again instead of saying that it has heard of the
 * end that the region was cut off: that holds up neither HELLO nor, in the end, the rest
 */
static void reborn(void)
{
	struct conn *old = conn_up(NR_RECVS), *c;
	static struct rmai_msg msg;
	long long start, greeted_ms;
	u64 size;

	request(&msg, RMAI_MSG_OPEN);
	msg.open.id = region;
	send_msg(old, &msg);
	if (!recv_reply(old, &msg, PATIENCE) || msg.type != RMAI_MSG_OPEN || msg.status)
		die("the region cannot be opened: %d", msg.status);
	size = msg.attr.attr.size / 2;
	memmove(&msg.setattr.attr, &msg.attr.attr, sizeof(msg.attr.attr));
	msg.type = RMAI_MSG_SETATTR;
	msg.flags = 0;
	msg.setattr.id = region;
	msg.setattr.owner_epoch = node_epoch;
	msg.setattr.mask = RMAI_SET_SIZE;
	msg.setattr.attr.size = size;
	address_to_node(&msg);
	send_msg(old, &msg);
	for (start = now_ms(); !recv_msg(old, &msg, 100) || msg.type != RMAI_MSG_TRUNC;)
		if (old->ended || now_ms() > start + PATIENCE)
			die("not asked to cut the region off");

	hello.epoch++;
	start = now_ms();
	c = conn_up(NR_RECVS);
	ping(&msg);
	send_msg(c, &msg);
	if (!recv_reply_knowing_nothing(c, RMAI_MSG_PING, &msg))
		die("PING is not answered: %s", c->ended ? c->why : "in time");
	greeted_ms = now_ms() - start;
	request(&msg, RMAI_MSG_GETATTR);
	msg.id.id = region;
	msg.id.owner_epoch = node_epoch;
	send_msg(c, &msg);
	if (!recv_reply_knowing_nothing(c, RMAI_MSG_GETATTR, &msg) || msg.status)
		die("the region is not to be had: %s", c->ended ? c->why : "in time");
	if (msg.attr.attr.size != size)
		die("the region has not been cut off");
	conn_close(c);
	conn_close(old);
	printf("HELLO took %lld ms, the region %lld ms\n", greeted_ms, now_ms() - start);
}

/* Answers to what was not asked, and requests for another node, or from one */
static void wrong_header(void)
{
	struct rmai_msg msg;
	struct conn *c;
	int i;

	for (i = 0; i < 5; i++) {
		c = conn_up(NR_RECVS);
		ping(&msg);
		switch (i) {
		case 0:
			msg.flags = RMAI_MSG_F_REPLY;
			msg.xid = 0x12345678;
			break;
		case 1:
			msg.dst++;
			break;
		case 2:
			msg.src++;
			break;
		case 3:
			msg.epoch++;
			break;
		case 4:
			msg.dst_epoch++;
			break;
		}
		send_msg(c, &msg);
		must_end(c, "a wrong header");
	}
	printf("dropped\n");
}

/* More requests than a peer may have outstanding, and no room for the answers */
static void flood(void)
{
	struct conn *c = conn_up(4);
	unsigned char buf[RMAI_WIRE_MAX];
	struct rmai_msg msg;
	int len, i;

	ping(&msg);
	for (i = 0; i < 250 && !c->ended; i++) {
		msg.xid = i + 1;
		len = rmai_wire_encode(&msg, buf);
		conn_post(c, buf, len);
	}
	if (!conn_ends(c, 2 * PATIENCE))
		die("%d requests without room for answers: the connection lives on", i);
	conn_close(c);
	printf("dropped\n");
}

/* Well-formed messages of all types, half of them with a byte changed */
static void mutants(void)
{
	int n, replies = 0, dropped = 0, len;
	unsigned char buf[RMAI_WIRE_MAX];
	static struct rmai_msg msg, rep;
	struct conn *c = NULL;

	for (n = 0; n < count; n++) {
		u8 type = 2 + gen_below(&rng, RMAI_MSG_NR - 2);

		if (!c)
			c = conn_up(NR_RECVS);
		gen_msg(&rng, type, gen_below(&rng, 8) == 0, 0, &msg);
		address_to_node(&msg);
		/* The first 8 bytes of most bodies are the region */
		if (region && !(msg.flags & RMAI_MSG_F_REPLY) && gen_bool(&rng)) {
			switch (type) {
			case RMAI_MSG_GETATTR: case RMAI_MSG_CLOSE: case RMAI_MSG_OPEN:
			case RMAI_MSG_SETATTR: case RMAI_MSG_SEAL: case RMAI_MSG_ADDR:
			case RMAI_MSG_TRUNC: case RMAI_MSG_FREEZE: case RMAI_MSG_FREE:
			case RMAI_MSG_KEYS: case RMAI_MSG_WRITE: case RMAI_MSG_PUT:
			case RMAI_MSG_GET_S: case RMAI_MSG_GET_X: case RMAI_MSG_INV:
			case RMAI_MSG_RECALL:
				msg.id.id = region;
			}
			if (type == RMAI_MSG_KEYS)
				msg.keys.home_epoch = node_epoch;
			if (type >= RMAI_MSG_WRITE && type <= RMAI_MSG_PUT)
				msg.io.home_epoch = node_epoch;
		}
		len = rmai_wire_encode(&msg, buf);
		if (len < 0)
			continue;
		if (gen_bool(&rng))
			buf[gen_below(&rng, len)] ^= 1 << gen_below(&rng, 8);
		conn_send(c, buf, len);
		if (!c->ended && recv_reply(c, &rep, PATIENCE)) {
			replies++;
			continue;
		}
		if (!c->ended)
			die("message %d (%s, seed %#llx): neither an answer nor an end", n,
			    rmai_msg_name(type), (unsigned long long)rng);
		conn_close(c);
		c = NULL;
		dropped++;
	}
	if (c)
		conn_close(c);
	printf("%d messages: %d answered, %d ended their connection\n", n, replies, dropped);
}

/* Connections that come and go, some without a word of goodbye */
static void storm(void)
{
	int n, refused = 0;

	for (n = 0; n < count; n++) {
		struct conn *c = conn_open_with(&private_data, sizeof(private_data), NR_RECVS);

		if (!c) {
			refused++;
			continue;
		}
		if (n % 3 == 0)
			conn_post(c, "garbage", 7);
		if (n % 2) {
			rdma_destroy_qp(c->id);
			c->id->qp = NULL;
		}
		conn_close(c);
	}
	printf("%d connections, %d of them refused\n", n, refused);
}

static const struct {
	const char *name;
	bool learn;
	void (*run)(void);
} modes[] = {
	{ "not-rmai", false, not_rmai },	/* no private data of RMAI */
	{ "random", false, random_bytes },	/* as the first message */
	{ "random-greeted", false, random_greeted },	/* as the first one of the core */
	{ "oversize", false, oversize },	/* larger than a receive buffer */
	{ "version", true, version },
	{ "no-hello", true, no_hello },
	{ "silent", false, silent },
	{ "wrong-hello", true, wrong_hello },
	{ "good", true, good },
	{ "twice", true, twice },
	{ "reborn", true, reborn },		/* REGION is cut off */
	{ "wrong-header", true, wrong_header },
	{ "flood", true, flood },
	{ "mutants", true, mutants },
	{ "storm", false, storm },
};

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc < 3)
		die("usage: garbage ADDRESS MODE [COUNT [ID [REGION]]]");
	address = argv[1];
	if (argc > 3)
		count = atoi(argv[3]);
	id = argc > 4 ? atoi(argv[4]) : 2;
	region = argc > 5 ? strtoull(argv[5], NULL, 0) : 0;
	rng = now_ms() | 1;
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strcmp(modes[i].name, argv[2]))
			continue;
		if (modes[i].learn)
			hello_learn(id);
		modes[i].run();
		return 0;
	}
	die("no such mode: %s", argv[2]);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * RMAI over RDMA: how two nodes get connected, and their queue pairs.
 *
 *   connects                             listens
 *   resolve address, then route
 *   worker: queue pair, receives,
 *           rdma_connect()  -- hello ->  connect request: a new connection
 *                                        worker: queue pair, receives,
 *   established             <- hello --          rdma_accept()
 *                           ---------->  established
 *   worker:                 - greeting ->
 *                           <- greeting - worker
 *   worker: UP              - last ----> worker: UP
 *
 * The hellos are RDMA CM private data. They keep strangers, and nodes whose
 * transport is another version, from costing more than a message in the log.
 *
 * The greetings are the first messages. On iWARP the side that connects must
 * send first (RFC 5044, 7.1.2), while the core may do so on either side. And siw
 * begins to listen for messages shortly after it has answered a connect: one
 * that comes in between lies there until the next one comes. So the side that
 * connects greets until it is answered.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <rdma/ib_cm.h>
#include <uapi/linux/rmai.h>

#include "rmai_rdma.h"

/* Time for address, and for route resolution */
#define RMAI_RDMA_RESOLVE_MS	2000

/*
 * Time until an unacknowledged packet is sent again: 4.096 us * 2^18 = 1.07 s
 * (InfiniBand Architecture Specification vol. 1, 9.9.2.1.1). Short enough for
 * one lost packet to be a hiccup, long enough for a software device on a busy
 * emulated CPU. With the retries below a silent peer is given up after 8 to 30
 * seconds (a device may wait up to four times as long as it was told); the
 * core's heartbeat is faster. Retry counts stop short of 7: rxe takes 7 for "for
 * ever", as does the specification for the second.
 */
#define RMAI_RDMA_ACK_TIMEOUT	18
#define RMAI_RDMA_RETRIES	6
#define RMAI_RDMA_RNR_RETRIES	6
/* Receiver not ready: 2.56 ms (same, table 45). It never is with a good peer. */
#define RMAI_RDMA_MIN_RNR_TIMER	16

/* READs under way at once on a queue pair */
#define RMAI_RDMA_MAX_READS	16

/* RDMA CM private data, both ways and in a refusal: who is there */
#define RMAI_RDMA_MAGIC		0x49414d52	/* "RMAI" */
#define RMAI_RDMA_VERSION	1

struct rmai_rdma_hello {
	__le32	magic;
	__le16	version;
	__le16	nr_recvs;
	__le32	msg_max;
	__le32	flags;
};

/* Of the last greeting: what follows is for the core */
#define RMAI_RDMA_HELLO_LAST	1

/* Time until a greeting is repeated, at first; then twice as long each time */
#define RMAI_RDMA_GREET_MS	50

static_assert(sizeof(struct rmai_rdma_hello) == 16);

static const struct rmai_rdma_hello rmai_rdma_hello = {
	.magic		= cpu_to_le32(RMAI_RDMA_MAGIC),
	.version	= cpu_to_le16(RMAI_RDMA_VERSION),
	.nr_recvs	= cpu_to_le16(RMAI_NR_RECVS),
	.msg_max	= cpu_to_le32(RMAI_MSG_MAX),
};

/* Is this a peer that one can talk to? InfiniBand pads private data. */
static bool rmai_rdma_hello_ok(struct rmai_rdma_xprt *xprt, const void *peer,
			       const void *data, unsigned int len)
{
	struct rmai_rdma_hello h;

	if (data && len >= sizeof(h)) {
		memcpy(&h, data, sizeof(h));
		if (!memcmp(&h, &rmai_rdma_hello, sizeof(h)))
			return true;
		if (h.magic == rmai_rdma_hello.magic) {
			pr_warn_ratelimited("%s: peer %pISpc speaks version %u of the transport, %u messages of %u bytes; this node %u, %u of %u\n",
					    xprt->name, peer,
					    le16_to_cpu(h.version),
					    le16_to_cpu(h.nr_recvs),
					    le32_to_cpu(h.msg_max),
					    RMAI_RDMA_VERSION, RMAI_NR_RECVS,
					    RMAI_MSG_MAX);
			return false;
		}
	}
	pr_warn_ratelimited("%s: peer %pISpc does not speak RMAI\n",
			    xprt->name, peer);
	return false;
}

/* A CM event's status may be 0, or a reject reason, where an errno is wanted */
static int rmai_rdma_errno(int status, int fallback)
{
	return status < 0 && status >= -MAX_ERRNO ? status : fallback;
}

static void rmai_rdma_qp_event(struct ib_event *event, void *context)
{
	struct rmai_rdma_conn *conn = context;

	switch (event->event) {
	case IB_EVENT_COMM_EST:
		/* The peer's first message overtook its last CM packet */
		rdma_notify(conn->id, event->event);
		break;
	case IB_EVENT_QP_FATAL:
	case IB_EVENT_QP_REQ_ERR:
	case IB_EVENT_QP_ACCESS_ERR:
	case IB_EVENT_DEVICE_FATAL:
		pr_warn_ratelimited("%s: peer %pISpc: %s\n", conn->xprt->name,
				    &conn->conn.addr,
				    ib_event_msg(event->event));
		rmai_rdma_conn_kill(conn, -EIO);
		break;
	default:
		break;
	}
}

static int rmai_rdma_conn_make_qp(struct rmai_rdma_conn *conn)
{
	struct ib_device *dev = conn->xprt->dev;
	struct ib_qp_init_attr attr = {
		.event_handler	= rmai_rdma_qp_event,
		.qp_context	= conn,
		.sq_sig_type	= IB_SIGNAL_REQ_WR,
		.qp_type	= IB_QPT_RC,
		.port_num	= conn->id->port_num,
	};
	/* Messages, registrations, and ib_drain_qp()'s own */
	const unsigned int nr_other = RMAI_NR_RECVS + RMAI_RDMA_NR_REGS + 1;
	unsigned int nr_cqe;
	int ret;

	ret = rmai_rdma_msg_alloc(conn);
	if (ret)
		return ret;
	conn->port_num = conn->id->port_num;
	attr.cap.max_recv_wr = RMAI_NR_RECVS + 1;
	attr.cap.max_recv_sge = 1;
	attr.cap.max_send_wr = nr_other;
	rmai_rdma_rw_attr(conn, &attr);

	/*
	 * One queue for both directions. Softirq, as what waits for most
	 * completions is a page fault: on adapters the interrupt goes straight
	 * on to the upcall, without a worker thread in between.
	 */
	nr_cqe = attr.cap.max_recv_wr + nr_other + rmai_rdma_rw_max_wr(conn);
	conn->cq = ib_alloc_cq_any(dev, conn,
				   min_t(int, nr_cqe, dev->attrs.max_cqe),
				   IB_POLL_SOFTIRQ);
	if (IS_ERR(conn->cq)) {
		ret = PTR_ERR(conn->cq);
		conn->cq = NULL;
		return ret;
	}
	attr.send_cq = conn->cq;
	attr.recv_cq = conn->cq;
	ret = rdma_create_qp(conn->id, conn->xprt->pd, &attr);
	if (ret)
		return ret;
	conn->qp = conn->id->qp;
	if (attr.cap.max_send_wr <= nr_other)
		return -ENOMEM;
	rmai_rdma_rw_limits(conn, attr.cap.max_send_wr - nr_other);

	rdma_set_ack_timeout(conn->id, RMAI_RDMA_ACK_TIMEOUT);
	rdma_set_min_rnr_timer(conn->id, RMAI_RDMA_MIN_RNR_TIMER);
	return rmai_rdma_msg_post_recvs(conn);
}

/**
 * rmai_rdma_conn_free_qp - drain and free the queue pair, if there is one
 * @conn: dead connection that no thread uses
 *
 * Every operation has called back afterwards. Sleeps.
 */
void rmai_rdma_conn_free_qp(struct rmai_rdma_conn *conn)
{
	if (conn->qp) {
		ib_drain_qp(conn->qp);
		rmai_rdma_rw_stop(conn);
		rdma_destroy_qp(conn->id);
	}
	conn->qp = NULL;
	if (conn->cq)
		ib_free_cq(conn->cq);
	conn->cq = NULL;
	rmai_rdma_rw_end(conn);
}

static void rmai_rdma_conn_param(struct rmai_rdma_conn *conn,
				 struct rdma_conn_param *param)
{
	const struct ib_device_attr *attrs = &conn->xprt->dev->attrs;
	int reads = RMAI_RDMA_MAX_READS;

	if (conn->peer_reads)
		reads = min(reads, conn->peer_reads);
	memset(param, 0, sizeof(*param));
	param->private_data = &rmai_rdma_hello;
	param->private_data_len = sizeof(rmai_rdma_hello);
	param->responder_resources = min(reads, attrs->max_qp_rd_atom);
	param->initiator_depth = min(reads, attrs->max_qp_init_rd_atom);
	param->flow_control = 1;
	param->retry_count = RMAI_RDMA_RETRIES;
	param->rnr_retry_count = RMAI_RDMA_RNR_RETRIES;
}

/**
 * rmai_rdma_connect_work - make the queue pair, and connect or accept
 * @work: of the connection
 *
 * All that can sleep for long, or needs much memory, of getting connected.
 */
void rmai_rdma_connect_work(struct work_struct *work)
{
	struct rmai_rdma_conn *conn =
		container_of(work, struct rmai_rdma_conn, connect_work);
	struct rdma_conn_param param;
	int ret;

	if (READ_ONCE(conn->state) == RMAI_RDMA_DEAD)
		return;
	ret = rmai_rdma_conn_make_qp(conn);
	if (ret)
		goto out;
	rmai_rdma_conn_param(conn, &param);
	if (conn->conn.incoming) {
		rdma_lock_handler(conn->id);
		ret = rdma_accept(conn->id, &param);
		rdma_unlock_handler(conn->id);
	} else {
		ret = rdma_connect(conn->id, &param);
	}
out:
	if (ret)
		rmai_rdma_conn_kill(conn, ret);
}

/* Begin that, unless the connection has died: nothing would stop it then */
static void rmai_rdma_conn_start(struct rmai_rdma_conn *conn)
{
	spin_lock_irq(&conn->lock);
	if (conn->state == RMAI_RDMA_CONNECTING)
		queue_work(rmai_rdma_wq, &conn->connect_work);
	spin_unlock_irq(&conn->lock);
}

static void rmai_rdma_conn_established(struct rmai_rdma_conn *conn)
{
	spin_lock_irq(&conn->lock);
	if (conn->state == RMAI_RDMA_CONNECTING) {
		WRITE_ONCE(conn->state, RMAI_RDMA_GREETING);
		conn->greet_due = !conn->conn.incoming;
		queue_work(rmai_rdma_wq, &conn->work);
	}
	spin_unlock_irq(&conn->lock);
}

/**
 * rmai_rdma_greet_timer - ask for another greeting
 * @work: of the connection
 */
void rmai_rdma_greet_timer(struct work_struct *work)
{
	struct rmai_rdma_conn *conn =
		container_of(to_delayed_work(work), struct rmai_rdma_conn,
			     greet);

	spin_lock_irq(&conn->lock);
	if (conn->state == RMAI_RDMA_GREETING) {
		conn->greet_due = true;
		queue_work(rmai_rdma_wq, &conn->work);
	}
	spin_unlock_irq(&conn->lock);
}

static void rmai_rdma_send_greeting(struct rmai_rdma_conn *conn, u32 flags)
{
	struct rmai_rdma_hello h = rmai_rdma_hello;
	int ret;

	h.flags = cpu_to_le32(flags);
	ret = rmai_rdma_msg_greet(conn, &h, sizeof(h));
	if (ret == -EAGAIN)
		rmai_rdma_conn_kill(conn, -EPROTO);
}

/* Look at a greeting. Return: true if it was the last one */
static bool rmai_rdma_greeting(struct rmai_rdma_conn *conn,
			       struct rmai_rdma_recv *r)
{
	struct rmai_rdma_hello *h = r->recv.buf;
	bool last = false;

	if (r->recv.len == sizeof(*h)) {
		last = h->flags & cpu_to_le32(RMAI_RDMA_HELLO_LAST);
		h->flags &= ~cpu_to_le32(RMAI_RDMA_HELLO_LAST);
	}
	if (!rmai_rdma_hello_ok(conn->xprt, &conn->conn.addr, h,
				r->recv.len)) {
		rmai_rdma_conn_kill(conn, -EPROTO);
		return false;
	}
	if (conn->conn.incoming) {
		if (!conn->greeted)
			rmai_rdma_send_greeting(conn, 0);
	} else {
		rmai_rdma_send_greeting(conn, RMAI_RDMA_HELLO_LAST);
		last = true;
	}
	conn->greeted = true;
	return last;
}

/**
 * rmai_rdma_greet - greet, and look at the peer's greetings
 * @conn: connection that was RMAI_RDMA_GREETING; perhaps RMAI_RDMA_UP afterwards
 *
 * Context: conn->work
 */
void rmai_rdma_greet(struct rmai_rdma_conn *conn)
{
	struct rmai_rdma_recv *r;
	bool last = false, due;

	while (!last && READ_ONCE(conn->state) == RMAI_RDMA_GREETING) {
		r = rmai_rdma_msg_held(conn);
		if (!r)
			break;
		last = rmai_rdma_greeting(conn, r);
		if (rmai_rdma_post_recv(conn, r))
			rmai_rdma_conn_kill(conn, -ECONNRESET);
	}

	spin_lock_irq(&conn->lock);
	due = conn->greet_due && conn->state == RMAI_RDMA_GREETING && !last;
	conn->greet_due = false;
	if (last && conn->state == RMAI_RDMA_GREETING) {
		WRITE_ONCE(conn->state, RMAI_RDMA_UP);
		conn->was_up = true;
	}
	spin_unlock_irq(&conn->lock);

	if (due) {
		rmai_rdma_send_greeting(conn, 0);
		conn->greet_ms = conn->greet_ms ? 2 * conn->greet_ms :
						  RMAI_RDMA_GREET_MS;
		queue_delayed_work(rmai_rdma_wq, &conn->greet,
				   msecs_to_jiffies(conn->greet_ms));
	}
}

static void rmai_rdma_conn_rejected(struct rmai_rdma_conn *conn,
				    struct rdma_cm_event *event)
{
	const struct rmai_rdma_hello *h;
	u8 len = 0;

	/* A peer that says who it is has refused for that reason: log it */
	h = rdma_consumer_reject_data(conn->id, event, &len);
	if (!conn->conn.incoming && h && len >= sizeof(*h) &&
	    h->magic == rmai_rdma_hello.magic)
		rmai_rdma_hello_ok(conn->xprt, &conn->conn.addr, h, len);
	rmai_rdma_conn_kill(conn, -ECONNREFUSED);
}

/**
 * rmai_rdma_cm_handler - RDMA CM events of a connection
 * @id: its identifier
 * @event: event; on an error the connection is killed
 *
 * Return: 0: @id lives on until the connection's end
 */
int rmai_rdma_cm_handler(struct rdma_cm_id *id, struct rdma_cm_event *event)
{
	struct rmai_rdma_conn *conn = id->context;
	struct rmai_rdma_xprt *xprt = conn->xprt;
	int ret = 0;

	switch (event->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		if (id->device == xprt->dev)
			ret = rdma_resolve_route(id, RMAI_RDMA_RESOLVE_MS);
		else
			ret = -ENODEV;
		break;
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		rmai_rdma_conn_start(conn);
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		if (conn->conn.incoming ||
		    rmai_rdma_hello_ok(xprt, &conn->conn.addr,
				       event->param.conn.private_data,
				       event->param.conn.private_data_len))
			rmai_rdma_conn_established(conn);
		else
			ret = -EPROTO;
		break;
	case RDMA_CM_EVENT_REJECTED:
		rmai_rdma_conn_rejected(conn, event);
		break;
	case RDMA_CM_EVENT_ADDR_ERROR:
	case RDMA_CM_EVENT_ROUTE_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
		ret = rmai_rdma_errno(event->status, -EHOSTUNREACH);
		break;
	case RDMA_CM_EVENT_CONNECT_ERROR:
		ret = rmai_rdma_errno(event->status, -ECONNREFUSED);
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_ADDR_CHANGE:
		ret = -ECONNRESET;
		break;
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		ret = -ENODEV;
		break;
	default:
		break;
	}
	if (ret)
		rmai_rdma_conn_kill(conn, ret);
	return 0;
}

/**
 * rmai_rdma_connect - begin to connect; see struct rmai_transport_ops
 * @rx: endpoint
 * @addr: peer's listener
 * @priv: the core's
 *
 * Return: the connection; or ERR_PTR: -ENODEV if the device is gone, -EINVAL or
 * -EAFNOSUPPORT for an address of another family, -ENOMEM
 */
struct rmai_conn *rmai_rdma_connect(struct rmai_xprt *rx,
				    const struct sockaddr_storage *addr,
				    void *priv)
{
	struct rmai_rdma_xprt *xprt = to_rdma_xprt(rx);
	struct sockaddr_storage src = xprt->addr;
	struct rmai_rdma_conn *conn;
	int ret;

	if (addr->ss_family != src.ss_family)
		return ERR_PTR(-EAFNOSUPPORT);
	/* From the listener's address: other routes may leave by other devices */
	if (src.ss_family == AF_INET)
		((struct sockaddr_in *)&src)->sin_port = 0;
	else
		((struct sockaddr_in6 *)&src)->sin6_port = 0;

	conn = rmai_rdma_conn_alloc(xprt, NULL, addr);
	if (IS_ERR(conn))
		return ERR_CAST(conn);
	kref_get(&conn->ref);	/* the core's */
	conn->conn.priv = priv;
	ret = rdma_resolve_addr(conn->id, (struct sockaddr *)&src,
				(const struct sockaddr *)addr,
				RMAI_RDMA_RESOLVE_MS);
	/* As if it had failed a moment later: one way to report it is enough */
	if (ret)
		rmai_rdma_conn_kill(conn, ret);
	rmai_rdma_conn_exit(conn);
	return &conn->conn;
}

/* A peer wants to connect. Return: 0, or an errno: the RDMA CM destroys @id. */
static int rmai_rdma_conn_request(struct rmai_rdma_xprt *xprt,
				  struct rdma_cm_id *id,
				  const struct rdma_conn_param *param)
{
	const void *peer = &id->route.addr.dst_addr;
	struct rmai_rdma_conn *conn;
	int ret;

	if (id->device != xprt->dev)
		return -ENODEV;
	if (!rmai_rdma_hello_ok(xprt, peer, param->private_data,
				param->private_data_len)) {
		rdma_reject(id, &rmai_rdma_hello, sizeof(rmai_rdma_hello),
			    IB_CM_REJ_CONSUMER_DEFINED);
		return -EPROTO;
	}
	conn = rmai_rdma_conn_alloc(xprt, id, peer);
	if (IS_ERR(conn)) {
		ret = PTR_ERR(conn);
		pr_warn_ratelimited("%s: no room for a connection from %pISpc (%d)\n",
				    xprt->name, peer, ret);
		return ret;
	}
	/*
	 * Which of the two limits our READs and which the peer's is told
	 * differently for InfiniBand and iWARP; their minimum suits both.
	 */
	conn->peer_reads = min(param->responder_resources,
			       param->initiator_depth);
	id->context = conn;
	id->event_handler = rmai_rdma_cm_handler;
	rmai_rdma_conn_start(conn);
	rmai_rdma_conn_exit(conn);
	return 0;
}

/**
 * rmai_rdma_listen_handler - RDMA CM events of a listener
 * @id: listener, or for a connect request a new identifier
 * @event: event
 *
 * Return: 0, or an errno to have @id destroyed
 */
int rmai_rdma_listen_handler(struct rdma_cm_id *id, struct rdma_cm_event *event)
{
	struct rmai_rdma_xprt *xprt = id->context;

	switch (event->event) {
	case RDMA_CM_EVENT_CONNECT_REQUEST:
		return rmai_rdma_conn_request(xprt, id, &event->param.conn);
	case RDMA_CM_EVENT_ADDR_CHANGE:
		pr_warn("%s: the listener's address has moved to another interface, peers cannot connect until this node goes offline and online\n",
			xprt->name);
		return 0;
	default:
		return 0;
	}
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Requests and replies between nodes.
 *
 * A caller waits killably, until its request is answered or the node counts as
 * lost (loss_tmo_ms); when the connection breaks before that it sends the
 * request again over the next one, for every request is idempotent. A caller
 * that is killed leaves its call behind, which keeps its slot until it is
 * answered or the connection ends: so a peer never gets more than
 * RMAI_MAX_REQS at once.
 *
 * INV, RECALL and KEYS have slots and a workqueue of their own: other requests wait
 * for them, but they for no other request. So two nodes that are homes for each
 * other do not wait in a circle.
 *
 * Requests that stand in line at a home, or that make it wait for others, are not
 * given up while the home is there.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/slab.h>

#include "internal.h"
#include <trace/events/rmai.h>

/**
 * struct rmai_call_state - a request in flight
 * @ref: the caller's and the table's
 * @done: answered, or the connection has ended
 * @err: -ENOTCONN for the latter
 * @link: connection it went out on, only to be compared
 * @slot: that it took
 * @msg: request, then reply
 */
struct rmai_call_state {
	refcount_t		ref;
	struct completion	done;
	int			err;
	const struct rmai_link	*link;
	struct semaphore	*slot;
	struct rmai_msg		msg;
};

/* A request on its way to its handler */
struct rmai_request {
	struct work_struct	work;
	struct rmai_link	*link;
	struct rmai_msg		msg;
};

/**
 * rmai_msg_init() - zero a message, for another request than it was
 * @msg: message
 * @type: enum rmai_msg_type
 */
void rmai_msg_init(struct rmai_msg *msg, u8 type)
{
	memset(msg, 0, sizeof(*msg));
	msg->type = type;
}

/**
 * rmai_msg_alloc() - a zeroed message
 * @gfp: flags
 * @type: enum rmai_msg_type
 *
 * Return: to be freed with kfree(), or NULL.
 */
struct rmai_msg *rmai_msg_alloc(gfp_t gfp, u8 type)
{
	struct rmai_msg *msg = kzalloc(sizeof(*msg), gfp);

	if (msg)
		msg->type = type;
	return msg;
}

static void rmai_call_put(struct rmai_call_state *call)
{
	if (refcount_dec_and_test(&call->ref))
		kfree(call);
}

static int rmai_send(struct rmai_link *link, struct rmai_msg *msg)
{
	void *buf;
	int len, err;

	msg->src = link->rc->self;
	msg->epoch = link->rc->epoch;
	if (rmai_msg_lost(msg))
		return -ENOTCONN;
	buf = kmalloc(RMAI_WIRE_MAX, GFP_NOFS);
	if (!buf)
		return -ENOMEM;
	len = rmai_wire_encode(msg, buf);
	err = len;
	if (len >= 0) {
		trace_rmai_msg_send(msg);
		err = link->conn->xprt->ops->send(link->conn, buf, len);
		if (!err)
			rmai_count(msgs_sent, 1);
	}
	kfree(buf);
	return err;
}

/**
 * rmai_send_hello() - introduce this node to a peer that was connected to
 * @link: connection, in use by the caller
 * @dst: whom it should be
 *
 * Return: 0 or a negative errno.
 */
int rmai_send_hello(struct rmai_link *link, u16 dst)
{
	struct rmai_msg *msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_HELLO);
	int err;

	if (!msg)
		return -ENOMEM;
	msg->dst = dst;
	rmai_hello_fill(link->rc, &msg->hello);
	err = rmai_send(link, msg);
	kfree(msg);
	return err;
}

/* Does anybody who holds something up wait for this? */
static bool rmai_is_urgent(u8 type)
{
	return type == RMAI_MSG_INV || type == RMAI_MSG_RECALL || type == RMAI_MSG_KEYS;
}

static bool rmai_is_patient(u8 type)
{
	switch (type) {
	case RMAI_MSG_TRUNC:
	case RMAI_MSG_FREEZE:
	case RMAI_MSG_SETATTR:
	case RMAI_MSG_SEAL:
	case RMAI_MSG_WRITE:
	case RMAI_MSG_GET_S:
	case RMAI_MSG_GET_X:
	case RMAI_MSG_PUT:
	case RMAI_MSG_INV:
	case RMAI_MSG_RECALL:
		return true;
	}
	return false;
}

/* When a node that is away now counts as lost to a request */
static unsigned long rmai_call_deadline(struct rmai_peer *peer, u8 type)
{
	unsigned long tmo = msecs_to_jiffies(READ_ONCE(rmai_config.loss_tmo_ms));

	/* What it was granted has ended by then */
	if ((type == RMAI_MSG_INV || type == RMAI_MSG_RECALL) &&
	    READ_ONCE(peer->state) != RMAI_PEER_UP)
		return rmai_lease_end(peer);
	return jiffies + tmo;
}

/* The table's reference to a call has ended, and with it its slot */
static void rmai_call_end(struct rmai_call_state *call)
{
	struct semaphore *slot = call->slot;

	complete(&call->done);
	rmai_call_put(call);
	up(slot);
}

/**
 * rmai_calls_fail() - a connection has ended: so have its calls
 * @peer: the peer
 * @link: the connection
 */
void rmai_calls_fail(struct rmai_peer *peer, struct rmai_link *link)
{
	struct rmai_call_state *call;
	unsigned long xid;

	xa_lock_irq(&peer->calls);
	xa_for_each(&peer->calls, xid, call) {
		if (call->link != link)
			continue;
		__xa_erase(&peer->calls, xid);
		call->err = -ENOTCONN;
		rmai_call_end(call);
	}
	xa_unlock_irq(&peer->calls);
}

/* Send a request. -ENOTCONN: again; otherwise what to tell the caller */
static int rmai_call_start(struct rmai_peer *peer, const struct rmai_msg *msg,
			   struct rmai_call_state **out)
{
	struct rmai_call_state *call;
	struct rmai_link *link;
	u32 xid;
	int err;

	link = rmai_peer_link_get(peer);
	if (!link)
		return -ENOTCONN;
	err = -ENOMEM;
	call = kmalloc(sizeof(*call), GFP_NOFS);
	if (!call)
		goto put_link;
	refcount_set(&call->ref, 1);
	init_completion(&call->done);
	call->err = 0;
	call->link = link;
	call->msg = *msg;
	call->msg.dst = peer->id;
	call->msg.dst_epoch = READ_ONCE(peer->epoch);

	/* Slots come back with replies, or when the connection ends */
	call->slot = rmai_is_urgent(msg->type) ? &peer->coh_slots : &peer->slots;
	err = down_killable(call->slot);
	if (err)
		goto put_call;
	refcount_inc(&call->ref);
	err = xa_alloc_cyclic_irq(&peer->calls, &xid, call, xa_limit_32b,
				  &peer->next_xid, GFP_NOFS);
	if (err < 0) {
		up(call->slot);
		rmai_call_put(call);
		goto put_call;
	}
	call->msg.xid = xid;
	/*
	 * If the link dies from here on, rmai_calls_fail() ends the call: the
	 * link cannot go before it is put. But it may have been called already.
	 */
	err = READ_ONCE(link->dead) ? -ENOTCONN : rmai_send(link, &call->msg);
	if (err) {
		if (xa_erase_irq(&peer->calls, xid))
			rmai_call_end(call);
		if (err != -ENOMEM && err != -EINVAL)
			rmai_link_kill(link, "send failed");
		goto put_call;
	}
	if (READ_ONCE(link->dead) && xa_erase_irq(&peer->calls, xid)) {
		call->err = -ENOTCONN;
		rmai_call_end(call);
	}
	rmai_link_put(link);
	*out = call;
	return 0;

put_call:
	rmai_call_put(call);
put_link:
	rmai_link_put(link);
	return err;
}

/* Wait for the answer to what was sent. -ENOTCONN: again */
static int rmai_call_finish(struct rmai_peer *peer, struct rmai_call_state *call,
			    struct rmai_msg *msg, unsigned long deadline)
{
	long left;
	int err;

	do {
		left = max_t(long, deadline - jiffies, 1);
		left = wait_for_completion_killable_timeout(&call->done, left);
		deadline = jiffies + HZ / 5;
	} while (!left && rmai_is_patient(msg->type) &&
		 READ_ONCE(peer->state) == RMAI_PEER_UP);
	if (left < 0)
		err = -EINTR;
	else if (!left)
		err = -EHOSTDOWN;
	else
		err = call->err;
	if (!err)
		*msg = call->msg;
	rmai_call_put(call);
	return err;
}

/* One attempt */
static int rmai_call_once(struct rmai_peer *peer, struct rmai_msg *msg,
			  unsigned long deadline)
{
	struct rmai_call_state *call;
	int err = rmai_call_start(peer, msg, &call);

	return err ?: rmai_call_finish(peer, call, msg, deadline);
}

/* A call to this node itself */
static int rmai_call_self(struct rmai_cluster *rc, struct rmai_msg *msg)
{
	struct rmai_msg *rep = rmai_msg_alloc(GFP_KERNEL, msg->type);
	int err;

	if (!rep)
		return -ENOMEM;
	err = rmai_serve(rc, NULL, msg, rep);
	if (!err)
		*msg = *rep;
	kfree(rep);
	return err;
}

/**
 * rmai_call() - ask a node, wait for the answer
 * @rc: membership
 * @node: whom; may be this node
 * @msg: request (type and body); on success the reply
 *
 * Context: may sleep; killable. No lock that a handler needs is held.
 * Return: 0; the handler's errno; -EHOSTDOWN when the node could not be had within
 * loss_tmo_ms, -EINTR after a fatal signal, -ENOMEM.
 */
int rmai_call(struct rmai_cluster *rc, u16 node, struct rmai_msg *msg)
{
	struct rmai_peer *peer = rmai_peer(rc, node);
	unsigned long deadline, tmo;
	int err;

	if (node == rc->self)
		return rmai_call_self(rc, msg);
	if (!peer)
		return -EHOSTDOWN;
	tmo = msecs_to_jiffies(READ_ONCE(rmai_config.loss_tmo_ms));
	deadline = jiffies + tmo;
	if (msg->type == RMAI_MSG_PING && READ_ONCE(peer->state) != RMAI_PEER_UP)
		return -EHOSTDOWN;
	/* A node that has been away that long already is lost: say so at once */
	if (READ_ONCE(peer->state) != RMAI_PEER_UP &&
	    time_after(jiffies, READ_ONCE(peer->down_since) + tmo))
		return -EHOSTDOWN;
	do {
		/* A patient one may have waited long before the connection broke */
		if (rmai_is_patient(msg->type))
			deadline = rmai_call_deadline(peer, msg->type);
		err = rmai_peer_wait_up(peer, deadline);
		if (!err)
			err = rmai_call_once(peer, msg, deadline);
		if (err != -ENOTCONN)
			break;
		err = rmai_peer_pause(peer, rmai_is_patient(msg->type) ? jiffies + HZ :
							      deadline);
	} while (!err);
	if (err)
		return err;
	return msg->status;
}

/**
 * rmai_call_all() - ask several nodes at once, wait for all answers
 * @rc: membership
 * @calls: whom and what; their @err is set as rmai_call() would return it
 * @nr: how many
 *
 * Context: see rmai_call(). Some of it may still be under way at a peer after -EINTR.
 */
void rmai_call_all(struct rmai_cluster *rc, struct rmai_call_one *calls, int nr)
{
	unsigned long deadline = jiffies +
		msecs_to_jiffies(READ_ONCE(rmai_config.loss_tmo_ms));
	int i;

	for (i = 0; i < nr; i++) {
		struct rmai_peer *peer = rmai_peer(rc, calls[i].node);

		calls[i].state = NULL;
		calls[i].err = !peer || READ_ONCE(peer->state) != RMAI_PEER_UP ?
			       -ENOTCONN :
			       rmai_call_start(peer, calls[i].msg, &calls[i].state);
	}
	for (i = 0; i < nr; i++) {
		if (calls[i].state)
			calls[i].err = rmai_call_finish(rmai_peer(rc, calls[i].node),
							calls[i].state, calls[i].msg,
							deadline);
		if (!calls[i].err)
			calls[i].err = calls[i].msg->status;
	}
	/* These one by one: most often there are none */
	for (i = 0; i < nr; i++) {
		if (calls[i].err == -ENOTCONN)
			calls[i].err = rmai_call(rc, calls[i].node, calls[i].msg);
	}
}

/* Receiving */

static void rmai_reply_in(struct rmai_link *link, struct rmai_msg *msg)
{
	struct rmai_peer *peer = READ_ONCE(link->peer);
	struct rmai_call_state *call;

	if (!peer)
		return;
	xa_lock_irq(&peer->calls);
	call = xa_load(&peer->calls, msg->xid);
	if (call && call->link == link && call->msg.type == msg->type)
		__xa_erase(&peer->calls, msg->xid);
	else
		call = NULL;
	xa_unlock_irq(&peer->calls);
	if (!call) {
		pr_warn_ratelimited("node %u: node %u answered what was not asked: %s\n",
				    link->rc->self, peer->id,
				    rmai_msg_name(msg->type));
		rmai_link_kill(link, "answered what was not asked");
		return;
	}
	call->msg = *msg;
	rmai_call_end(call);
}

static void rmai_request_work(struct work_struct *work)
{
	struct rmai_request *rq = container_of(work, struct rmai_request, work);
	struct rmai_link *link = rq->link;
	struct rmai_cluster *rc = link->rc;
	struct rmai_msg *rep = NULL;
	int err = -ENOTCONN;

	if (rq->msg.type == RMAI_MSG_HELLO && (rq->msg.flags & RMAI_MSG_F_REPLY)) {
		rmai_peer_hello_reply(link, &rq->msg);
		err = 0;
		goto out;
	}
	/* But for what others wait for, and what shows that this node lives */
	if (rq->msg.type != RMAI_MSG_HELLO && rq->msg.type != RMAI_MSG_PING &&
	    !rmai_is_urgent(rq->msg.type) && rmai_forget_wait(link, &rq->msg))
		goto out;
	rep = rmai_msg_alloc(GFP_KERNEL, rq->msg.type);
	if (!rep)
		goto out;
	if (rq->msg.type == RMAI_MSG_HELLO)
		rmai_peer_hello(link, &rq->msg, rep);
	else
		rep->status = rmai_serve(rc, link, &rq->msg, rep);
	rep->type = rq->msg.type;
	rep->flags = RMAI_MSG_F_REPLY;
	rep->dst = rq->msg.src;
	rep->dst_epoch = rq->msg.epoch;
	rep->xid = rq->msg.xid;
	err = rmai_send(link, rep);
out:
	/* A request that gets no answer would wait for one for ever */
	if (err)
		rmai_link_kill(link, "a reply could not be sent");
	kfree(rep);
	kfree(rq);
	rmai_link_put(link);
}

/* Is this message from whom the connection belongs to, and meant for us? */
static const char *rmai_rx_check(struct rmai_link *link, const struct rmai_msg *msg)
{
	struct rmai_cluster *rc = link->rc;
	struct rmai_peer *peer = READ_ONCE(link->peer);

	if (msg->type == RMAI_MSG_HELLO) {
		bool reply = msg->flags & RMAI_MSG_F_REPLY;

		/* One HELLO a connection, from the side that connected */
		if (reply == link->conn->incoming ||
		    (peer && READ_ONCE(peer->state) == RMAI_PEER_UP &&
		     READ_ONCE(peer->link) == link))
			return "a HELLO out of place";
		return NULL;
	}
	if (!peer || READ_ONCE(peer->link) != link)
		return READ_ONCE(link->dead) ? "late" : "no HELLO before it";
	if (msg->src != peer->id || msg->epoch != READ_ONCE(peer->epoch))
		return "not from the node that said HELLO";
	if (msg->dst != rc->self || msg->dst_epoch != rc->epoch)
		return "meant for another node";
	if (READ_ONCE(peer->state) != RMAI_PEER_UP) {
		if (!link->conn->incoming)
			return "no answer to HELLO before it";
		rmai_peer_established(link);
	}
	return NULL;
}

static void rmai_rx_work(struct work_struct *work)
{
	struct rmai_recv *recv = container_of(work, struct rmai_recv, work);
	struct rmai_link *link = recv->conn->priv;
	const struct rmai_transport_ops *ops = recv->conn->xprt->ops;
	struct rmai_request *rq;
	const char *why;
	int err;

	rq = kmalloc(sizeof(*rq), GFP_NOFS);
	err = rq ? rmai_wire_decode(recv->buf, recv->len, &rq->msg) : -ENOMEM;
	ops->recv_done(recv);
	rmai_count(msgs_received, 1);
	if (err) {
		why = err == -ENOMEM ? "out of memory" :
		      err == -EPROTONOSUPPORT ? "another version of the protocol" :
		      "not a message";
		goto bad;
	}
	trace_rmai_msg_recv(&rq->msg);
	why = rmai_rx_check(link, &rq->msg);
	if (why)
		goto bad;
	rmai_peer_heard(link);
	if ((rq->msg.flags & RMAI_MSG_F_REPLY) && rq->msg.type != RMAI_MSG_HELLO) {
		rmai_reply_in(link, &rq->msg);
		kfree(rq);
		rmai_link_put(link);
		return;
	}
	rq->link = link;
	INIT_WORK(&rq->work, rmai_request_work);
	queue_work(rmai_is_urgent(rq->msg.type) ? link->rc->coh_wq :
		   link->rc->serve_wq, &rq->work);
	return;
bad:
	if (!READ_ONCE(link->dead)) {
		rmai_count(msgs_bad, 1);
		pr_warn_ratelimited("node %u: dropped %pISpc: %s\n",
				    link->rc->self, &link->conn->addr, why);
	}
	rmai_link_kill(link, why);
	kfree(rq);
	rmai_link_put(link);
}

/**
 * rmai_rx() - upcall: a message has come
 * @recv: the message, lent
 *
 * Context: any.
 */
void rmai_rx(struct rmai_recv *recv)
{
	struct rmai_link *link = recv->conn->priv;

	if (!link || !rmai_link_enter(link)) {
		recv->conn->xprt->ops->recv_done(recv);
		return;
	}
	INIT_WORK(&recv->work, rmai_rx_work);
	queue_work(link->rc->rx_wq, &recv->work);
}

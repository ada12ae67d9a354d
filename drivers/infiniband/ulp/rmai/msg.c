// SPDX-License-Identifier: GPL-2.0
/*
 * RMAI over RDMA: messages.
 *
 * Each side posts RMAI_NR_RECVS buffers before the other can send, and posts a
 * buffer again when the core gives it back; there are as many send slots. A
 * peer that sends more than it may finds no buffer, and its own end of the
 * connection fails after the receiver-not-ready retries (iWARP: ours, at once).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "rmai_rdma.h"

static void rmai_rdma_send_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rmai_rdma_send *s =
		container_of(wc->wr_cqe, struct rmai_rdma_send, cqe);
	struct rmai_rdma_conn *conn = s->conn;
	unsigned long flags;

	rmai_rdma_conn_wc_err(conn, wc, "send");
	spin_lock_irqsave(&conn->lock, flags);
	list_add(&s->node, &conn->send_free);
	spin_unlock_irqrestore(&conn->lock, flags);
	wake_up(&conn->send_wait);
}

/* Return: a slot, ERR_PTR(-ENOTCONN), or NULL: wait */
static struct rmai_rdma_send *rmai_rdma_send_slot(struct rmai_rdma_conn *conn)
{
	struct rmai_rdma_send *s;

	spin_lock_irq(&conn->lock);
	if (conn->state != RMAI_RDMA_UP) {
		s = ERR_PTR(-ENOTCONN);
	} else {
		s = list_first_entry_or_null(&conn->send_free,
					     struct rmai_rdma_send, node);
		if (s)
			list_del(&s->node);
	}
	spin_unlock_irq(&conn->lock);
	return s;
}

/* Post @s, a free slot, with a copy of @buf; on failure the connection ends */
static int rmai_rdma_post_send(struct rmai_rdma_conn *conn,
			       struct rmai_rdma_send *s, const void *buf,
			       u32 len)
{
	struct ib_device *dev = conn->xprt->dev;
	struct ib_sge sge = {
		.addr	= s->dma,
		.length	= len,
		.lkey	= conn->xprt->pd->local_dma_lkey,
	};
	struct ib_send_wr wr = {
		.wr_cqe		= &s->cqe,
		.opcode		= IB_WR_SEND,
		.send_flags	= IB_SEND_SIGNALED,
		.sg_list	= &sge,
		.num_sge	= 1,
	};

	ib_dma_sync_single_for_cpu(dev, s->dma, len, DMA_TO_DEVICE);
	memcpy(s->buf, buf, len);
	ib_dma_sync_single_for_device(dev, s->dma, len, DMA_TO_DEVICE);
	if (!ib_post_send(conn->qp, &wr, NULL))
		return 0;
	/* The slot is lost: it does not matter any more */
	rmai_rdma_conn_kill(conn, -ECONNRESET);
	return -ENOTCONN;
}

/**
 * rmai_rdma_send - send a message; see struct rmai_transport_ops
 * @rc: connection
 * @buf: bytes, copied
 * @len: how many, 1 to RMAI_MSG_MAX
 *
 * Return: 0, -EINVAL for a bad @len, -ENOTCONN, or -EINTR if a fatal signal
 * came while waiting for a slot (nothing was sent).
 */
int rmai_rdma_send(struct rmai_conn *rc, const void *buf, u32 len)
{
	struct rmai_rdma_conn *conn = to_rdma_conn(rc);
	struct rmai_rdma_send *s;
	int ret;

	if (!len || len > RMAI_MSG_MAX)
		return -EINVAL;
	if (rmai_rdma_should_fail(RMAI_RDMA_FAIL_SEND))
		return -EIO;
	if (!rmai_rdma_conn_enter(conn))
		return -ENOTCONN;
	ret = wait_event_killable(conn->send_wait,
				  (s = rmai_rdma_send_slot(conn)));
	if (ret)
		ret = -EINTR;
	else if (IS_ERR(s))
		ret = PTR_ERR(s);
	else
		ret = rmai_rdma_post_send(conn, s, buf, len);
	rmai_rdma_conn_exit(conn);
	return ret;
}

/**
 * rmai_rdma_msg_greet - send a message before the core does
 * @conn: connection that is RMAI_RDMA_GREETING
 * @buf: bytes
 * @len: how many
 *
 * Return: 0, -EAGAIN: no slot is free, -ENOTCONN
 * Context: conn->work
 */
int rmai_rdma_msg_greet(struct rmai_rdma_conn *conn, const void *buf, u32 len)
{
	struct rmai_rdma_send *s;

	spin_lock_irq(&conn->lock);
	s = list_first_entry_or_null(&conn->send_free, struct rmai_rdma_send,
				     node);
	if (s)
		list_del(&s->node);
	spin_unlock_irq(&conn->lock);
	return s ? rmai_rdma_post_send(conn, s, buf, len) : -EAGAIN;
}

/**
 * rmai_rdma_post_recv - let a message be received
 * @conn: connection whose queue pair stays meanwhile
 * @r: buffer
 *
 * Return: 0 or what ib_post_recv() said
 * Context: any
 */
int rmai_rdma_post_recv(struct rmai_rdma_conn *conn, struct rmai_rdma_recv *r)
{
	struct ib_sge sge = {
		.addr	= r->dma,
		.length	= RMAI_MSG_MAX,
		.lkey	= conn->xprt->pd->local_dma_lkey,
	};
	struct ib_recv_wr wr = {
		.wr_cqe		= &r->cqe,
		.sg_list	= &sge,
		.num_sge	= 1,
	};

	ib_dma_sync_single_for_device(conn->xprt->dev, r->dma, RMAI_MSG_MAX,
				      DMA_FROM_DEVICE);
	return ib_post_recv(conn->qp, &wr, NULL);
}

static void rmai_rdma_deliver(struct rmai_rdma_conn *conn,
			      struct rmai_rdma_recv *r)
{
	kref_get(&conn->ref);
	conn->conn.xprt->events->recv(&r->recv);
}

static void rmai_rdma_recv_wc(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rmai_rdma_recv *r =
		container_of(wc->wr_cqe, struct rmai_rdma_recv, cqe);
	struct rmai_rdma_conn *conn = to_rdma_conn(r->recv.conn);
	unsigned long flags;
	bool open;

	if (rmai_rdma_conn_wc_err(conn, wc, "receive"))
		return;
	if (wc->opcode != IB_WC_RECV || !wc->byte_len ||
	    wc->byte_len > RMAI_MSG_MAX ||
	    wc->wc_flags & (IB_WC_WITH_IMM | IB_WC_WITH_INVALIDATE)) {
		pr_warn_ratelimited("%s: peer %pISpc sent what is no message (opcode %d, flags %#x, %u bytes), closing\n",
				    conn->xprt->name, &conn->conn.addr,
				    wc->opcode, wc->wc_flags, wc->byte_len);
		rmai_rdma_conn_kill(conn, -EPROTO);
		return;
	}
	ib_dma_sync_single_for_cpu(conn->xprt->dev, r->dma, wc->byte_len,
				   DMA_FROM_DEVICE);
	r->recv.len = wc->byte_len;

	spin_lock_irqsave(&conn->lock, flags);
	open = conn->recv_open;
	if (!open) {
		list_add_tail(&r->node, &conn->held);
		if (conn->state == RMAI_RDMA_GREETING)
			queue_work(rmai_rdma_wq, &conn->work);
	}
	spin_unlock_irqrestore(&conn->lock, flags);
	if (open)
		rmai_rdma_deliver(conn, r);
}

/**
 * rmai_rdma_msg_held - take the first of the messages that are held back
 * @conn: connection
 *
 * Return: the message, or NULL
 */
struct rmai_rdma_recv *rmai_rdma_msg_held(struct rmai_rdma_conn *conn)
{
	struct rmai_rdma_recv *r;

	spin_lock_irq(&conn->lock);
	r = list_first_entry_or_null(&conn->held, struct rmai_rdma_recv, node);
	if (r)
		list_del(&r->node);
	spin_unlock_irq(&conn->lock);
	return r;
}

/**
 * rmai_rdma_msg_open - give the core the messages that came early
 * @conn: connection that the core now knows
 *
 * They come in order: until the last of them is with the core, new ones queue
 * behind it. Stops when the core has detached itself.
 *
 * Context: conn->work
 */
void rmai_rdma_msg_open(struct rmai_rdma_conn *conn)
{
	struct rmai_rdma_recv *r;

	spin_lock_irq(&conn->lock);
	while (!READ_ONCE(conn->detached)) {
		r = list_first_entry_or_null(&conn->held,
					     struct rmai_rdma_recv, node);
		if (!r) {
			conn->recv_open = true;
			break;
		}
		list_del(&r->node);
		spin_unlock_irq(&conn->lock);
		rmai_rdma_deliver(conn, r);
		spin_lock_irq(&conn->lock);
	}
	spin_unlock_irq(&conn->lock);
}

/**
 * rmai_rdma_recv_done - post a message's buffer again
 * @recv: message
 *
 * Context: any
 */
void rmai_rdma_recv_done(struct rmai_recv *recv)
{
	struct rmai_rdma_recv *r =
		container_of(recv, struct rmai_rdma_recv, recv);
	struct rmai_rdma_conn *conn = to_rdma_conn(recv->conn);

	if (rmai_rdma_conn_enter(conn)) {
		if (rmai_rdma_post_recv(conn, r))
			rmai_rdma_conn_kill(conn, -ECONNRESET);
		rmai_rdma_conn_exit(conn);
	}
	rmai_rdma_conn_put(conn);
}

/**
 * rmai_rdma_msg_post_recvs - post every receive buffer
 * @conn: connection whose queue pair is new
 *
 * Return: 0 or what ib_post_recv() said
 */
int rmai_rdma_msg_post_recvs(struct rmai_rdma_conn *conn)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < conn->nr_recvs; i++)
		ret = rmai_rdma_post_recv(conn, &conn->recvs[i]);
	return ret;
}

/**
 * rmai_rdma_msg_alloc - make and map a connection's buffers
 * @conn: connection
 *
 * Return: 0 or -ENOMEM; rmai_rdma_msg_unmap() and rmai_rdma_msg_free() clean up
 * in either case.
 */
int rmai_rdma_msg_alloc(struct rmai_rdma_conn *conn)
{
	struct ib_device *dev = conn->xprt->dev;
	unsigned int i;

	conn->sends = kcalloc(RMAI_NR_RECVS, sizeof(*conn->sends), GFP_KERNEL);
	conn->recvs = kcalloc(RMAI_NR_RECVS, sizeof(*conn->recvs), GFP_KERNEL);
	if (!conn->sends || !conn->recvs)
		return -ENOMEM;

	for (i = 0; i < RMAI_NR_RECVS; i++) {
		struct rmai_rdma_send *s = &conn->sends[i];

		s->buf = kmalloc(RMAI_MSG_MAX, GFP_KERNEL);
		if (!s->buf)
			return -ENOMEM;
		s->dma = ib_dma_map_single(dev, s->buf, RMAI_MSG_MAX,
					   DMA_TO_DEVICE);
		if (ib_dma_mapping_error(dev, s->dma)) {
			kfree(s->buf);
			return -ENOMEM;
		}
		s->cqe.done = rmai_rdma_send_done;
		s->conn = conn;
		list_add(&s->node, &conn->send_free);
		conn->nr_sends++;
	}

	for (i = 0; i < RMAI_NR_RECVS; i++) {
		struct rmai_rdma_recv *r = &conn->recvs[i];

		r->recv.buf = kmalloc(RMAI_MSG_MAX, GFP_KERNEL);
		if (!r->recv.buf)
			return -ENOMEM;
		r->dma = ib_dma_map_single(dev, r->recv.buf, RMAI_MSG_MAX,
					   DMA_FROM_DEVICE);
		if (ib_dma_mapping_error(dev, r->dma)) {
			kfree(r->recv.buf);
			return -ENOMEM;
		}
		r->cqe.done = rmai_rdma_recv_wc;
		r->recv.conn = &conn->conn;
		conn->nr_recvs++;
	}
	return 0;
}

/**
 * rmai_rdma_msg_unmap - the device has done with the buffers
 * @conn: connection whose queue pair is gone
 *
 * Those that are lent stay the core's to use: they were synced when the message
 * came, and unmapping must not write to them, as that of a bounce buffer would.
 */
void rmai_rdma_msg_unmap(struct rmai_rdma_conn *conn)
{
	struct ib_device *dev = conn->xprt->dev;
	unsigned int i;

	for (i = 0; i < conn->nr_sends; i++) {
		ib_dma_unmap_single(dev, conn->sends[i].dma, RMAI_MSG_MAX,
				    DMA_TO_DEVICE);
		kfree(conn->sends[i].buf);
	}
	conn->nr_sends = 0;
	kfree(conn->sends);
	conn->sends = NULL;

	for (i = 0; i < conn->nr_recvs; i++) {
		if (ib_uses_virt_dma(dev))
			continue;
		dma_unmap_single_attrs(dev->dma_device, conn->recvs[i].dma,
				       RMAI_MSG_MAX, DMA_FROM_DEVICE,
				       DMA_ATTR_SKIP_CPU_SYNC);
	}
}

/**
 * rmai_rdma_msg_free - free the receive buffers
 * @conn: connection of which no message is lent any more
 *
 * Context: any
 */
void rmai_rdma_msg_free(struct rmai_rdma_conn *conn)
{
	unsigned int i;

	for (i = 0; i < conn->nr_recvs; i++)
		kfree(conn->recvs[i].recv.buf);
	kfree(conn->recvs);
}

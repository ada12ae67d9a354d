// SPDX-License-Identifier: GPL-2.0
/*
 * RMAI over RDMA: one-sided operations.
 *
 * The kernel's rdma_rw API turns a scatterlist into work requests, through an
 * MR where the device needs one (iWARP READs) or prefers one. An operation goes
 * to it whole if it can, else in parts that fit the send queue and one MR each.
 * Parts wait in conn->queue for room in the send queue, first come first
 * served, and are started by ->rdma() itself or, as others complete, by a
 * worker: rdma_rw allocates memory, and most completions come in softirq.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <rdma/rw.h>

#include "rmai_rdma.h"

/*
 * MRs that operations have between them, where the device needs any, and send
 * queue entries beyond the up to three that rdma_rw reserves for each. Enough
 * for more data in flight than any link holds, with order-0 pages too: 2 MiB
 * are 17 entries on rxe (32 pages each), 86 WRITE entries on siw (6).
 */
#define RMAI_RDMA_NR_CTXS	32
#define RMAI_RDMA_NR_EXTRA_WR	256

/* Pages of one entry; more make every entry of the queue larger */
#define RMAI_RDMA_MAX_SGE	32U

/* rdma_rw makes no larger MRs (rdma_rw_fr_page_list_len()) */
#define RMAI_RDMA_RW_MR_PAGES	256U

/* A part of an operation: what one rdma_rw context does */
struct rmai_rdma_part {
	struct rmai_rdma_io	*io;
	struct list_head	node;
	struct ib_cqe		cqe;
	struct rdma_rw_ctx	ctx;
	struct scatterlist	*sgl;
	unsigned int		nents;
	u64			offset;
	int			nr_wr;	/* 0: @ctx is not initialized */
};

/* An operation under way */
struct rmai_rdma_io {
	struct rmai_rdma_conn	*conn;
	struct rmai_rdma	*op;
	atomic_t		remaining;
	int			err;
	struct sg_table		sgt;	/* if it goes in parts: the same, cut */
	unsigned int		nr_parts;
	struct rmai_rdma_part	parts[] __counted_by(nr_parts);
};

static enum dma_data_direction rmai_rdma_dir(const struct rmai_rdma *op)
{
	return op->write ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
}

/* A part is over, in whatever way; after the last one the caller is told */
static void rmai_rdma_part_end(struct rmai_rdma_part *part, int err)
{
	struct rmai_rdma_io *io = part->io;
	struct rmai_rdma *op = io->op;

	if (err)
		cmpxchg(&io->err, 0, err);
	if (!atomic_dec_and_test(&io->remaining))
		return;
	err = io->err;
	sg_free_table(&io->sgt);
	kfree(io);
	op->done(op, err);
}

/* The device has done with a part, or never had it */
static void rmai_rdma_part_destroy(struct rmai_rdma_part *part)
{
	struct rmai_rdma_conn *conn = part->io->conn;

	if (part->nr_wr)
		rdma_rw_ctx_destroy(&part->ctx, conn->qp, conn->port_num,
				    part->sgl, part->nents,
				    rmai_rdma_dir(part->io->op));
	part->nr_wr = 0;
}

static void rmai_rdma_rw_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rmai_rdma_part *part =
		container_of(wc->wr_cqe, struct rmai_rdma_part, cqe);
	struct rmai_rdma_conn *conn = part->io->conn;
	int nr_wr = part->nr_wr;
	unsigned long flags;
	int err;

	err = rmai_rdma_conn_wc_err(conn, wc,
				    part->io->op->write ? "WRITE" : "READ");
	if (!err && rmai_rdma_should_fail(RMAI_RDMA_FAIL_RDMA))
		err = -EIO;

	/* First what may be short of, then the look at who waits for it */
	rmai_rdma_part_destroy(part);
	spin_lock_irqsave(&conn->lock, flags);
	list_del(&part->node);
	conn->wr_avail += nr_wr;
	conn->nr_inflight--;
	if (!list_empty(&conn->queue) && conn->state == RMAI_RDMA_UP)
		queue_work(rmai_rdma_wq, &conn->start_work);
	spin_unlock_irqrestore(&conn->lock, flags);

	rmai_rdma_part_end(part, err);
}

/* Prepare a part. Return: 0; -EAGAIN: no MR is free; or what has failed */
static int rmai_rdma_part_init(struct rmai_rdma_conn *conn,
			       struct rmai_rdma_part *part)
{
	const struct rmai_rdma *op = part->io->op;
	int ret;

	if (part->nr_wr)
		return 0;
	ret = rdma_rw_ctx_init(&part->ctx, conn->qp, conn->port_num, part->sgl,
			       part->nents, 0, op->key.addr + part->offset,
			       op->key.rkey, rmai_rdma_dir(op));
	if (ret < 0)
		return ret;
	part->nr_wr = ret;
	part->cqe.done = rmai_rdma_rw_done;
	return 0;
}

static void rmai_rdma_part_post(struct rmai_rdma_conn *conn,
				struct rmai_rdma_part *part)
{
	if (!rdma_rw_ctx_post(&part->ctx, conn->qp, conn->port_num, &part->cqe,
			      NULL))
		return;
	/*
	 * Part of the chain may be with the device, and without the last of it
	 * there is no completion: it stays in conn->posted until the queue pair's
	 * end.
	 */
	rmai_rdma_conn_kill(conn, -ECONNRESET);
}

/*
 * Start queued parts while there is room. The caller is between
 * rmai_rdma_conn_enter() and _exit(). A part stays on the queue until it can be
 * posted, so that a completion sees that it waits.
 */
static void rmai_rdma_rw_start(struct rmai_rdma_conn *conn)
{
	struct rmai_rdma_part *part;
	bool was_idle = false;
	unsigned int nofs;
	int ret;

	/* What waits for these operations may be what reclaim waits for */
	nofs = memalloc_nofs_save();
	mutex_lock(&conn->start_lock);
	for (;;) {
		spin_lock_irq(&conn->lock);
		part = list_first_entry_or_null(&conn->queue,
						struct rmai_rdma_part, node);
		if (conn->state != RMAI_RDMA_UP)
			part = NULL;
		spin_unlock_irq(&conn->lock);
		if (!part)
			break;

		ret = rmai_rdma_part_init(conn, part);
		if (ret == -EAGAIN) {
			bool idle;

			/* A completion that brings an MR finds the queue */
			spin_lock_irq(&conn->lock);
			idle = !conn->nr_inflight;
			spin_unlock_irq(&conn->lock);
			if (!idle)
				break;
			/* They have all come meanwhile: now or never */
			if (!was_idle) {
				was_idle = true;
				continue;
			}
			ret = -ENOMEM;
		}
		was_idle = false;

		spin_lock_irq(&conn->lock);
		if (!ret && part->nr_wr > conn->wr_avail) {
			if (part->nr_wr <= conn->wr_max) {
				spin_unlock_irq(&conn->lock);
				break;
			}
			ret = -EINVAL;
		}
		if (ret) {
			list_del(&part->node);
		} else {
			list_move_tail(&part->node, &conn->posted);
			conn->wr_avail -= part->nr_wr;
			conn->nr_inflight++;
		}
		spin_unlock_irq(&conn->lock);

		if (ret) {
			rmai_rdma_part_destroy(part);
			rmai_rdma_part_end(part, ret);
		} else {
			rmai_rdma_part_post(conn, part);
		}
	}
	mutex_unlock(&conn->start_lock);
	memalloc_nofs_restore(nofs);
}

static void rmai_rdma_start_work(struct work_struct *work)
{
	struct rmai_rdma_conn *conn =
		container_of(work, struct rmai_rdma_conn, start_work);

	if (!rmai_rdma_conn_enter(conn))
		return;
	rmai_rdma_rw_start(conn);
	rmai_rdma_conn_exit(conn);
}

/* Will rdma_rw use MRs for this? (rdma_rw_io_needs_mr()) */
static bool rmai_rdma_needs_mr(struct rmai_rdma_conn *conn,
			       const struct rmai_rdma *op)
{
	struct ib_device *dev = conn->xprt->dev;

	if (op->write)
		return false;
	return rdma_protocol_iwarp(dev, conn->port_num) ||
	       (dev->attrs.max_sgl_rd && op->nents > dev->attrs.max_sgl_rd);
}

/* Where the cut of an operation's scatterlist stands */
struct rmai_rdma_cut {
	struct rmai_rdma_part	*parts;	/* NULL: only count */
	struct scatterlist	*to;
	unsigned int		nr_parts;
	unsigned int		nr_ents;
	unsigned int		part_ents;
	unsigned int		part_pages;
	u64			offset;
	unsigned int		end;	/* in its page, of the last piece */
};

/* One piece of memory more: it begins a part if the last one is full */
static void rmai_rdma_cut_piece(struct rmai_rdma_conn *conn,
				struct rmai_rdma_cut *c, struct page *page,
				unsigned int off, unsigned int len, bool mr)
{
	bool gap = mr && (off || c->end);

	if (!c->nr_parts || gap || c->part_ents == conn->part_ents ||
	    (mr && c->part_pages == conn->part_pages)) {
		c->part_ents = 0;
		c->part_pages = 0;
		c->nr_parts++;
		if (c->parts) {
			c->parts[c->nr_parts - 1].sgl = c->to;
			c->parts[c->nr_parts - 1].offset = c->offset;
		}
	}
	if (c->parts) {
		sg_set_page(c->to, page, len, off);
		c->to = sg_next(c->to);
		c->parts[c->nr_parts - 1].nents++;
	}
	c->nr_ents++;
	c->part_ents++;
	c->part_pages += PFN_UP(off + len);
	c->offset += len;
	c->end = offset_in_page(off + len);
}

/*
 * Cut an operation into parts, each of which rdma_rw can do: not too many
 * entries for the send queue; if MRs are used (@mr) also not too many pages for
 * one, and no gap, which most devices' MRs cannot have.
 */
static void rmai_rdma_cut(struct rmai_rdma_conn *conn,
			  const struct rmai_rdma *op, struct rmai_rdma_cut *c,
			  bool mr)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sg(op->sgl, sg, op->nents, i) {
		struct page *page = nth_page(sg_page(sg), PFN_DOWN(sg->offset));
		unsigned int off = offset_in_page(sg->offset);
		unsigned int left = sg->length;

		while (left) {
			unsigned int len = left, pages;

			if (mr) {
				pages = conn->part_pages;
				if (c->nr_parts && c->part_pages < pages &&
				    !off && !c->end)
					pages -= c->part_pages;
				len = min_t(u64, left,
					    (u64)pages * PAGE_SIZE - off);
			}
			rmai_rdma_cut_piece(conn, c, page, off, len, mr);
			page = nth_page(page, PFN_DOWN(off + len));
			off = offset_in_page(off + len);
			left -= len;
		}
	}
}

/* Does @sgl have @key.len bytes, as it must? */
static bool rmai_rdma_op_ok(const struct rmai_rdma *op)
{
	struct scatterlist *sg;
	unsigned int i;
	u64 len = 0;

	for_each_sg(op->sgl, sg, op->nents, i) {
		if (!sg->length)
			return false;
		len += sg->length;
	}
	return len && len == op->key.len;
}

/* Return: @op with its parts, or NULL: no memory */
static struct rmai_rdma_io *rmai_rdma_io_alloc(struct rmai_rdma_conn *conn,
					       struct rmai_rdma *op)
{
	struct rmai_rdma_cut c = { };
	bool mr = rmai_rdma_needs_mr(conn, op);
	struct rmai_rdma_io *io;
	unsigned int i;

	rmai_rdma_cut(conn, op, &c, mr);
	io = kzalloc(struct_size(io, parts, c.nr_parts), GFP_KERNEL);
	if (!io)
		return NULL;
	io->nr_parts = c.nr_parts;
	io->conn = conn;
	io->op = op;
	atomic_set(&io->remaining, c.nr_parts);
	for (i = 0; i < c.nr_parts; i++)
		io->parts[i].io = io;
	if (c.nr_parts == 1) {
		io->parts[0].sgl = op->sgl;
		io->parts[0].nents = op->nents;
		return io;
	}

	if (sg_alloc_table(&io->sgt, c.nr_ents, GFP_KERNEL)) {
		kfree(io);
		return NULL;
	}
	c = (struct rmai_rdma_cut){ .parts = io->parts, .to = io->sgt.sgl };
	rmai_rdma_cut(conn, op, &c, mr);
	return io;
}

/**
 * rmai_rdma_rw - start a one-sided operation; see struct rmai_transport_ops
 * @rc: connection
 * @op: operation
 *
 * The allocations are GFP_KERNEL: a caller whom reclaim may wait for sets
 * memalloc_nofs_save() or memalloc_noio_save(), which they keep to.
 *
 * Return: 0, -ENOTCONN, -ENOMEM, -EINVAL: the length of @op->sgl is not that of
 * @op->key
 */
int rmai_rdma_rw(struct rmai_conn *rc, struct rmai_rdma *op)
{
	struct rmai_rdma_conn *conn = to_rdma_conn(rc);
	struct rmai_rdma_io *io;
	unsigned int i;
	int ret = 0;

	if (!rmai_rdma_op_ok(op))
		return -EINVAL;
	if (!rmai_rdma_conn_enter(conn))
		return -ENOTCONN;
	rmai_rdma_inject_loss(conn);

	io = rmai_rdma_io_alloc(conn, op);
	if (!io) {
		ret = -ENOMEM;
		goto out;
	}
	op->conn = rc;
	op->priv = io;
	spin_lock_irq(&conn->lock);
	for (i = 0; i < io->nr_parts; i++)
		list_add_tail(&io->parts[i].node, &conn->queue);
	spin_unlock_irq(&conn->lock);
	rmai_rdma_rw_start(conn);
out:
	rmai_rdma_conn_exit(conn);
	return ret;
}

/**
 * rmai_rdma_rw_init - initialize a connection's fields
 * @conn: connection
 */
void rmai_rdma_rw_init(struct rmai_rdma_conn *conn)
{
	mutex_init(&conn->start_lock);
	INIT_WORK(&conn->start_work, rmai_rdma_start_work);
	INIT_LIST_HEAD(&conn->queue);
	INIT_LIST_HEAD(&conn->posted);
}

/**
 * rmai_rdma_rw_attr - what operations need of a queue pair
 * @conn: connection
 * @attr: is added to; rdma_rw itself adds its MRs' entries on creation
 */
void rmai_rdma_rw_attr(struct rmai_rdma_conn *conn,
		       struct ib_qp_init_attr *attr)
{
	const struct ib_device_attr *attrs = &conn->xprt->dev->attrs;

	attr->cap.max_rdma_ctxs = RMAI_RDMA_NR_CTXS;
	attr->cap.max_send_wr =
		min_t(u32, attr->cap.max_send_wr + RMAI_RDMA_NR_EXTRA_WR,
		      attrs->max_qp_wr);
	attr->cap.max_send_sge = clamp_t(u32, attrs->max_send_sge, 1,
					 RMAI_RDMA_MAX_SGE);
}

/**
 * rmai_rdma_rw_max_wr - most send queue entries that operations have at a time
 * @conn: connection
 *
 * Return: that, for the size of the completion queue
 */
unsigned int rmai_rdma_rw_max_wr(struct rmai_rdma_conn *conn)
{
	/* register, transfer, invalidate */
	return RMAI_RDMA_NR_EXTRA_WR + 3 * RMAI_RDMA_NR_CTXS;
}

/**
 * rmai_rdma_rw_limits - the queue pair is made: how much can be started?
 * @conn: connection
 * @nr_wr: send queue entries for operations, at least 1
 */
void rmai_rdma_rw_limits(struct rmai_rdma_conn *conn, unsigned int nr_wr)
{
	const struct ib_device_attr *attrs = &conn->xprt->dev->attrs;
	unsigned int sge = min(conn->qp->max_read_sge, conn->qp->max_write_sge);

	conn->wr_max = min(nr_wr, rmai_rdma_rw_max_wr(conn));
	conn->wr_avail = conn->wr_max;
	conn->part_pages = min(RMAI_RDMA_RW_MR_PAGES,
			       attrs->max_fast_reg_page_list_len);
	/* At least two parts fit; and none is longer than a key */
	conn->part_ents = min(max(conn->wr_max / 2, 1U) * max(sge, 1U),
			      conn->conn.xprt->max_key_pages + 1);
}

/* The completion of what was given up already; its part is freed after the queue */
static void rmai_rdma_rw_late(struct ib_cq *cq, struct ib_wc *wc)
{
}

/**
 * rmai_rdma_rw_stop - take back what operations have of a queue pair
 * @conn: connection whose queue pair is drained, and about to be destroyed
 *
 * All that was posted should have completed by now. A device that has lost some
 * of it must not make those who wait for it wait for ever.
 */
void rmai_rdma_rw_stop(struct rmai_rdma_conn *conn)
{
	struct rmai_rdma_part *part;
	unsigned int lost = 0;

	cancel_work_sync(&conn->start_work);
	spin_lock_irq(&conn->lock);
	list_for_each_entry(part, &conn->posted, node) {
		part->cqe.done = rmai_rdma_rw_late;
		lost++;
	}
	list_splice_tail_init(&conn->posted, &conn->queue);
	spin_unlock_irq(&conn->lock);
	if (lost)
		pr_warn("%s: peer %pISpc: %u operations did not complete\n",
			conn->xprt->name, &conn->conn.addr, lost);
	list_for_each_entry(part, &conn->queue, node)
		rmai_rdma_part_destroy(part);
}

/**
 * rmai_rdma_rw_end - call back all operations that were cut short
 * @conn: connection whose queue pair and completion queue are gone: the device
 *	does not touch memory any more
 */
void rmai_rdma_rw_end(struct rmai_rdma_conn *conn)
{
	struct rmai_rdma_part *part, *next;

	list_for_each_entry_safe(part, next, &conn->queue, node) {
		list_del(&part->node);
		rmai_rdma_part_end(part, -ECONNRESET);
	}
}

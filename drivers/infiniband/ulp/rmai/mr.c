// SPDX-License-Identifier: GPL-2.0
/*
 * RMAI over RDMA: memory that peers may reach.
 *
 * A registration is a fast-registration MR that a work request on some
 * connection's queue pair makes valid for the whole protection domain. It ends
 * by ib_dereg_mr(), not by LOCAL_INV and a pool: that would need a live queue
 * pair, and the last of them may be gone just when memory must be taken back.
 * Deregistration is the one way that always works; it is synchronous, and costs
 * a device command per key of up to 2 MiB, on a path where a region is freed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "rmai_rdma.h"

/**
 * struct rmai_rdma_mr - a registration
 * @mr: what the core sees
 * @node: in xprt->mrs
 * @ib_mr: NULL once the device is gone
 * @sgt: what is DMA mapped; empty on devices that need no unmapping
 * @dir: direction of that
 */
struct rmai_rdma_mr {
	struct rmai_mr		mr;
	struct list_head	node;
	struct ib_mr		*ib_mr;
	struct sg_table		sgt;
	enum dma_data_direction	dir;
};

/* The REG_MR work request, while a thread waits for it */
struct rmai_rdma_reg_wait {
	struct ib_cqe		cqe;
	struct rmai_rdma_conn	*conn;
	struct completion	done;
	int			err;
};

static void rmai_rdma_reg_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rmai_rdma_reg_wait *w =
		container_of(wc->wr_cqe, struct rmai_rdma_reg_wait, cqe);

	w->err = rmai_rdma_conn_wc_err(w->conn, wc, "registration");
	complete(&w->done);
}

/* Return: 1 with a slot, -ENOTCONN, or 0: wait */
static int rmai_rdma_reg_slot(struct rmai_rdma_conn *conn)
{
	int ret = 0;

	spin_lock_irq(&conn->lock);
	if (conn->state != RMAI_RDMA_UP) {
		ret = -ENOTCONN;
	} else if (conn->reg_avail) {
		conn->reg_avail--;
		ret = 1;
	}
	spin_unlock_irq(&conn->lock);
	return ret;
}

/*
 * Make @mr valid, and wait until it is: a peer's READ may overtake. If the
 * connection dies its completion comes all the same, flushed.
 */
static int rmai_rdma_reg_post(struct rmai_rdma_conn *conn, struct ib_mr *mr,
			      int access)
{
	struct rmai_rdma_reg_wait w = {
		.cqe.done	= rmai_rdma_reg_done,
		.conn		= conn,
		.done		= COMPLETION_INITIALIZER_ONSTACK(w.done),
	};
	struct ib_reg_wr wr = {
		.wr.opcode	= IB_WR_REG_MR,
		.wr.wr_cqe	= &w.cqe,
		.wr.send_flags	= IB_SEND_SIGNALED,
		.mr		= mr,
		.key		= mr->rkey,
		.access		= access,
	};
	int ret;

	wait_event(conn->send_wait, (ret = rmai_rdma_reg_slot(conn)));
	if (ret < 0)
		return ret;
	ret = ib_post_send(conn->qp, &wr.wr, NULL);
	if (ret) {
		rmai_rdma_conn_kill(conn, -ECONNRESET);
		return -ENOTCONN;
	}
	wait_for_completion(&w.done);

	spin_lock_irq(&conn->lock);
	conn->reg_avail++;
	spin_unlock_irq(&conn->lock);
	wake_up(&conn->send_wait);
	if (w.err)
		return w.err == -ECONNRESET ? -ENOTCONN : -EIO;
	return 0;
}

/*
 * Check that @sgl is one stretch of memory but for its first and last byte.
 * Return: its pages, or -EINVAL
 */
static int rmai_rdma_reg_pages(struct rmai_rdma_xprt *xprt,
			       struct scatterlist *sgl, unsigned int nents)
{
	struct scatterlist *sg;
	u64 pages = 0;
	unsigned int i;

	for_each_sg(sgl, sg, nents, i) {
		if (!sg->length || (i && offset_in_page(sg->offset)) ||
		    (i + 1 < nents && !PAGE_ALIGNED(sg->offset + sg->length)))
			return -EINVAL;
		pages += PFN_UP(offset_in_page(sg->offset) + (u64)sg->length);
	}
	if (!pages || pages > xprt->xprt.max_key_pages)
		return -EINVAL;
	return pages;
}

/*
 * DMA map @sgl. It is the caller's, to forget after ->reg(); unmapping needs it
 * once more. So it is copied, but for software devices, which have nothing to
 * unmap. Return: mapped entries at *@mapped, or a negative errno
 */
static int rmai_rdma_reg_map(struct rmai_rdma_mr *m, struct ib_device *dev,
			     struct scatterlist *sgl, unsigned int nents,
			     struct scatterlist **mapped)
{
	struct scatterlist *sg, *to;
	unsigned int i;
	int n;

	if (!ib_uses_virt_dma(dev)) {
		if (sg_alloc_table(&m->sgt, nents, GFP_KERNEL))
			return -ENOMEM;
		to = m->sgt.sgl;
		for_each_sg(sgl, sg, nents, i) {
			sg_set_page(to, sg_page(sg), sg->length, sg->offset);
			to = sg_next(to);
		}
		sgl = m->sgt.sgl;
	}
	n = ib_dma_map_sg(dev, sgl, nents, m->dir);
	if (n <= 0) {
		sg_free_table(&m->sgt);
		return -EIO;
	}
	*mapped = sgl;
	return n;
}

static void rmai_rdma_reg_unmap(struct rmai_rdma_mr *m, struct ib_device *dev)
{
	if (m->sgt.sgl)
		ib_dma_unmap_sg(dev, m->sgt.sgl, m->sgt.orig_nents, m->dir);
	sg_free_table(&m->sgt);
}

/* End a registration on the device. On failure the memory stays reachable. */
static void rmai_rdma_mr_end(struct rmai_rdma_xprt *xprt,
			     struct rmai_rdma_mr *m)
{
	int ret = ib_dereg_mr(m->ib_mr);

	if (ret)
		pr_err("%s: key %#x was not deregistered (%d), its memory stays open to peers\n",
		       xprt->name, m->mr.key.rkey, ret);
	m->ib_mr = NULL;
	rmai_rdma_reg_unmap(m, xprt->dev);
}

/**
 * rmai_rdma_reg - register memory for peers; see struct rmai_transport_ops
 * @rc: connection whose queue pair does it; the key outlives it
 * @sgl: memory; the list itself is only used during the call
 * @nents: its entries
 * @write: peers may write it too
 *
 * Return: the registration; or ERR_PTR: -EINVAL if @sgl is too long or has
 * gaps, -ENOTCONN, -ENOMEM, -EIO
 * Context: sleeps; for a place in the send queue no longer than @rc lives
 */
struct rmai_mr *rmai_rdma_reg(struct rmai_conn *rc, struct scatterlist *sgl,
			      unsigned int nents, bool write)
{
	struct rmai_rdma_conn *conn = to_rdma_conn(rc);
	struct rmai_rdma_xprt *xprt = conn->xprt;
	struct scatterlist *mapped;
	struct rmai_rdma_mr *m;
	int access = IB_ACCESS_REMOTE_READ;
	int pages, n, ret;

	pages = rmai_rdma_reg_pages(xprt, sgl, nents);
	if (pages < 0)
		return ERR_PTR(pages);
	if (rmai_rdma_should_fail(RMAI_RDMA_FAIL_REG))
		return ERR_PTR(-EIO);
	/* While the connection is in use the device stays, and xprt->pd */
	if (!rmai_rdma_conn_enter(conn))
		return ERR_PTR(-ENOTCONN);
	rmai_rdma_inject_loss(conn);

	ret = -ENOMEM;
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		goto out;
	m->dir = DMA_TO_DEVICE;
	if (write) {
		m->dir = DMA_BIDIRECTIONAL;
		access |= IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE;
	}
	n = rmai_rdma_reg_map(m, xprt->dev, sgl, nents, &mapped);
	if (n < 0) {
		ret = n;
		goto out_free;
	}
	m->ib_mr = ib_alloc_mr(xprt->pd, IB_MR_TYPE_MEM_REG, pages);
	if (IS_ERR(m->ib_mr)) {
		ret = PTR_ERR(m->ib_mr);
		goto out_unmap;
	}
	ret = -EIO;
	if (ib_map_mr_sg(m->ib_mr, mapped, n, NULL, PAGE_SIZE) != n)
		goto out_mr;
	/*
	 * Peers need not know where the memory is (on software devices: in the
	 * kernel's address space), and should not hit upon a key's successor.
	 */
	m->ib_mr->iova = offset_in_page(m->ib_mr->iova);
	ib_update_fast_reg_key(m->ib_mr, get_random_u8());

	ret = rmai_rdma_reg_post(conn, m->ib_mr, access);
	if (ret)
		goto out_mr;
	m->mr.key.addr = m->ib_mr->iova;
	m->mr.key.rkey = m->ib_mr->rkey;
	m->mr.key.len = m->ib_mr->length;
	spin_lock_irq(&xprt->lock);
	list_add_tail(&m->node, &xprt->mrs);
	spin_unlock_irq(&xprt->lock);
	rmai_rdma_conn_exit(conn);
	return &m->mr;

out_mr:
	ib_dereg_mr(m->ib_mr);
out_unmap:
	rmai_rdma_reg_unmap(m, xprt->dev);
out_free:
	kfree(m);
out:
	rmai_rdma_conn_exit(conn);
	return ERR_PTR(ret);
}

/**
 * rmai_rdma_dereg - end a registration; see struct rmai_transport_ops
 * @rx: endpoint
 * @mr: registration; freed
 */
void rmai_rdma_dereg(struct rmai_xprt *rx, struct rmai_mr *mr)
{
	struct rmai_rdma_mr *m = container_of(mr, struct rmai_rdma_mr, mr);
	struct rmai_rdma_xprt *xprt = to_rdma_xprt(rx);

	down_read(&xprt->dev_sem);
	if (m->ib_mr) {
		spin_lock_irq(&xprt->lock);
		list_del(&m->node);
		spin_unlock_irq(&xprt->lock);
		rmai_rdma_mr_end(xprt, m);
	}
	up_read(&xprt->dev_sem);
	kfree(m);
}

/**
 * rmai_rdma_mrs_end - end all registrations: the device is going
 * @xprt: endpoint without connections, its dev_sem held for writing
 *
 * The core frees what is left of them by rmai_rdma_dereg(), as ever.
 */
void rmai_rdma_mrs_end(struct rmai_rdma_xprt *xprt)
{
	struct rmai_rdma_mr *m, *next;

	lockdep_assert_held_write(&xprt->dev_sem);
	list_for_each_entry_safe(m, next, &xprt->mrs, node)
		rmai_rdma_mr_end(xprt, m);
	INIT_LIST_HEAD(&xprt->mrs);
}

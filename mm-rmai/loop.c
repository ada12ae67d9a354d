// SPDX-License-Identifier: GPL-2.0
/*
 * The loop transport: peers inside the same kernel. A message is copied to a
 * buffer of the other side, a one-sided operation is a copy between pages; both
 * happen in a work item, so that all is as asynchronous as over a wire. What is
 * left is the software's own cost.
 */
#define pr_fmt(fmt) "rmai: loop: " fmt

#include <linux/in.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "internal.h"

/**
 * struct rmai_loop_xprt - an endpoint
 * @x: for the core
 * @id: address
 * @list: in rmai_loop_xprts
 * @mrs: registrations by rkey; guarded by its own lock
 */
struct rmai_loop_xprt {
	struct rmai_xprt	x;
	u32			id;
	struct list_head	list;
	struct xarray		mrs;
};

/* A registration; @users counts copies under way */
struct rmai_loop_mr {
	struct rmai_mr		mr;
	struct scatterlist	*sgl;
	unsigned int		nents;
	bool			write;
	refcount_t		users;
	struct completion	idle;
};

/**
 * struct rmai_loop_conn - one end of a connection
 * @c: for the core
 * @ref: the core's, the peer end's, and one for each thing under way
 * @peer: other end; never changes once connected
 * @dead: no more traffic
 * @closed: the core has been told
 * @pending: work items under way
 * @idle: for @pending to become 0
 * @wq: carries messages in order, and operations
 * @event: connected or closed upcall
 * @err: for closed
 */
struct rmai_loop_conn {
	struct rmai_conn	c;
	refcount_t		ref;
	struct rmai_loop_conn	*peer;
	bool			dead;
	atomic_t		closed;
	atomic_t		pending;
	wait_queue_head_t	idle;
	struct workqueue_struct	*wq;
	struct work_struct	event;
	int			err;
};

struct rmai_loop_recv {
	struct rmai_recv	r;
	struct work_struct	work;
	struct rmai_loop_conn	*lc;
	u8			buf[RMAI_MSG_MAX];
};

struct rmai_loop_op {
	struct work_struct	work;
	struct rmai_loop_conn	*lc;
	struct rmai_rdma	*op;
};

static struct rmai_transport_ops rmai_loop_ops;
static LIST_HEAD(rmai_loop_xprts);
static DEFINE_MUTEX(rmai_loop_lock);

/**
 * rmai_loop_addr() - the address of a loop node
 * @id: node
 * @addr: filled in
 */
void rmai_loop_addr(u16 id, struct sockaddr_storage *addr)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)addr;

	memset(addr, 0, sizeof(*addr));
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(id);
}

static u32 rmai_loop_id(const struct sockaddr_storage *addr)
{
	return ntohl(((const struct sockaddr_in *)addr)->sin_addr.s_addr);
}

static struct rmai_loop_conn *rmai_loop_conn(struct rmai_conn *conn)
{
	return container_of(conn, struct rmai_loop_conn, c);
}

static struct rmai_xprt *rmai_loop_open(const struct sockaddr_storage *addr,
					const struct rmai_xprt_events *events,
					void *context)
{
	struct rmai_loop_xprt *lx = kzalloc(sizeof(*lx), GFP_KERNEL), *other;

	if (!lx)
		return ERR_PTR(-ENOMEM);
	lx->x.ops = &rmai_loop_ops;
	lx->x.events = events;
	lx->x.context = context;
	lx->x.max_key_pages = 512;
	lx->x.dev_name = "loop";
	lx->id = rmai_loop_id(addr);
	xa_init_flags(&lx->mrs, XA_FLAGS_ALLOC1);
	mutex_lock(&rmai_loop_lock);
	list_for_each_entry(other, &rmai_loop_xprts, list) {
		if (other->id == lx->id) {
			mutex_unlock(&rmai_loop_lock);
			kfree(lx);
			return ERR_PTR(-EADDRINUSE);
		}
	}
	list_add(&lx->list, &rmai_loop_xprts);
	mutex_unlock(&rmai_loop_lock);
	return &lx->x;
}

static void rmai_loop_close(struct rmai_xprt *xprt)
{
	struct rmai_loop_xprt *lx = container_of(xprt, struct rmai_loop_xprt, x);

	mutex_lock(&rmai_loop_lock);
	list_del(&lx->list);
	mutex_unlock(&rmai_loop_lock);
	WARN_ON(!xa_empty(&lx->mrs));
	xa_destroy(&lx->mrs);
	kfree(lx);
}

static void rmai_loop_put(struct rmai_loop_conn *lc)
{
	if (!refcount_dec_and_test(&lc->ref))
		return;
	kfree(lc);
}

static void rmai_loop_done(struct rmai_loop_conn *lc)
{
	if (atomic_dec_and_test(&lc->pending))
		wake_up_all(&lc->idle);
}

/* Something is to happen on a connection; false when it is dead */
static bool rmai_loop_begin(struct rmai_loop_conn *lc)
{
	atomic_inc(&lc->pending);
	/* Pairs with rmai_loop_disconnect(): dead is set, then pending awaited */
	smp_mb__after_atomic();
	if (!READ_ONCE(lc->dead))
		return true;
	rmai_loop_done(lc);
	return false;
}

static void rmai_loop_event(struct work_struct *work)
{
	struct rmai_loop_conn *lc = container_of(work, struct rmai_loop_conn, event);
	const struct rmai_xprt_events *ev = lc->c.xprt->events;

	if (!lc->err)
		ev->connected(&lc->c);
	else if (!atomic_xchg(&lc->closed, 1))
		ev->closed(&lc->c, lc->err);
	rmai_loop_done(lc);
}

static struct rmai_loop_conn *rmai_loop_conn_new(struct rmai_xprt *xprt)
{
	struct rmai_loop_conn *lc = kzalloc(sizeof(*lc), GFP_KERNEL);

	if (!lc)
		return NULL;
	lc->wq = alloc_ordered_workqueue("rmai_loop", WQ_MEM_RECLAIM);
	if (!lc->wq) {
		kfree(lc);
		return NULL;
	}
	lc->c.xprt = xprt;
	refcount_set(&lc->ref, 1);
	atomic_set(&lc->pending, 0);
	init_waitqueue_head(&lc->idle);
	INIT_WORK(&lc->event, rmai_loop_event);
	return lc;
}

/* Both ends hold each other */
static int rmai_loop_pair(struct rmai_loop_conn *lc, struct rmai_loop_xprt *to)
{
	struct rmai_loop_conn *end = rmai_loop_conn_new(&to->x);
	int err;

	if (!end)
		return -ENOMEM;
	end->c.incoming = true;
	rmai_loop_addr(container_of(lc->c.xprt, struct rmai_loop_xprt, x)->id,
		       &end->c.addr);
	end->peer = lc;
	refcount_inc(&lc->ref);
	err = to->x.events->accept(&end->c);
	if (err) {
		destroy_workqueue(end->wq);
		rmai_loop_put(lc);
		kfree(end);
		return -ECONNREFUSED;
	}
	lc->peer = end;
	refcount_inc(&end->ref);
	return 0;
}

static struct rmai_conn *rmai_loop_connect(struct rmai_xprt *xprt,
					   const struct sockaddr_storage *addr,
					   void *priv)
{
	struct rmai_loop_conn *lc = rmai_loop_conn_new(xprt);
	struct rmai_loop_xprt *to;

	if (!lc)
		return ERR_PTR(-ENOMEM);
	lc->c.priv = priv;
	lc->c.addr = *addr;
	lc->err = -ECONNREFUSED;
	mutex_lock(&rmai_loop_lock);
	list_for_each_entry(to, &rmai_loop_xprts, list) {
		if (to->id == rmai_loop_id(addr)) {
			lc->err = rmai_loop_pair(lc, to);
			break;
		}
	}
	mutex_unlock(&rmai_loop_lock);
	atomic_inc(&lc->pending);
	queue_work(lc->wq, &lc->event);
	return &lc->c;
}

/* The end of a connection, as one end sees it: no more traffic, tell its core */
static void rmai_loop_break(struct rmai_loop_conn *lc)
{
	atomic_inc(&lc->pending);
	if (!xchg(&lc->dead, true)) {
		lc->err = -ECONNRESET;
		if (queue_work(lc->wq, &lc->event))
			return;
	}
	rmai_loop_done(lc);
}

static void rmai_loop_abort(struct rmai_conn *conn)
{
	struct rmai_loop_conn *lc = rmai_loop_conn(conn);

	WRITE_ONCE(lc->dead, true);
	if (lc->peer)
		rmai_loop_break(lc->peer);
}

static void rmai_loop_disconnect(struct rmai_conn *conn)
{
	struct rmai_loop_conn *lc = rmai_loop_conn(conn);
	struct rmai_loop_conn *peer;

	rmai_loop_abort(conn);
	atomic_set(&lc->closed, 1);
	wait_event(lc->idle, !atomic_read(&lc->pending));
	destroy_workqueue(lc->wq);
	lc->wq = NULL;
	peer = lc->peer;
	if (peer)
		rmai_loop_put(peer);
	rmai_loop_put(lc);
}

static void rmai_loop_deliver(struct work_struct *work)
{
	struct rmai_loop_recv *lr = container_of(work, struct rmai_loop_recv, work);
	struct rmai_loop_conn *lc = lr->lc;

	if (READ_ONCE(lc->dead)) {
		rmai_loop_put(lc);
		kfree(lr);
	} else {
		lc->c.xprt->events->recv(&lr->r);
	}
	rmai_loop_done(lc);
}

static int rmai_loop_send(struct rmai_conn *conn, const void *buf, u32 len)
{
	struct rmai_loop_conn *to = rmai_loop_conn(conn)->peer;
	struct rmai_loop_recv *lr;

	if (READ_ONCE(rmai_loop_conn(conn)->dead))
		return -ENOTCONN;
	if (len > RMAI_MSG_MAX)
		return -EMSGSIZE;
	lr = kmalloc(sizeof(*lr), GFP_NOFS);
	if (!lr)
		return -ENOMEM;
	if (!rmai_loop_begin(to)) {
		kfree(lr);
		return -ENOTCONN;
	}
	refcount_inc(&to->ref);
	lr->lc = to;
	lr->r.conn = &to->c;
	lr->r.buf = lr->buf;
	lr->r.len = len;
	memcpy(lr->buf, buf, len);
	INIT_WORK(&lr->work, rmai_loop_deliver);
	queue_work(to->wq, &lr->work);
	return 0;
}

static void rmai_loop_recv_done(struct rmai_recv *recv)
{
	struct rmai_loop_recv *lr = container_of(recv, struct rmai_loop_recv, r);

	rmai_loop_put(lr->lc);
	kfree(lr);
}

/* Copy between @op's memory, from where @mine is, and @part. Return: bytes */
static size_t rmai_loop_copy_part(struct rmai_rdma *op, struct sg_mapping_iter *mine,
				  struct scatterlist *part, size_t left)
{
	struct sg_mapping_iter theirs;
	size_t done = 0, n;

	sg_miter_start(&theirs, part, 1,
		       SG_MITER_ATOMIC | (op->write ? SG_MITER_TO_SG : SG_MITER_FROM_SG));
	while (done < left && sg_miter_next(&theirs)) {
		if (!sg_miter_next(mine))
			break;
		n = min3(mine->length, theirs.length, left - done);
		if (op->write)
			memcpy(theirs.addr, mine->addr, n);
		else
			memcpy(mine->addr, theirs.addr, n);
		mine->consumed = n;
		theirs.consumed = n;
		done += n;
	}
	sg_miter_stop(&theirs);
	return done;
}

/* Copy between @op's memory and what is at @off of a registration */
static void rmai_loop_copy(struct rmai_rdma *op, struct rmai_loop_mr *lm, u64 off)
{
	struct sg_mapping_iter mine;
	struct scatterlist *sg, part;
	size_t left = op->key.len;
	u64 begin = ktime_get_ns();

	sg_miter_start(&mine, op->sgl, op->nents,
		       SG_MITER_ATOMIC | (op->write ? SG_MITER_FROM_SG : SG_MITER_TO_SG));
	sg_init_table(&part, 1);
	for (sg = lm->sgl; sg && left; sg = sg_next(sg)) {
		/* An iterator would look at each page that is to be left out */
		if (off >= sg->length) {
			off -= sg->length;
			continue;
		}
		sg_set_page(&part, nth_page(sg_page(sg), (sg->offset + off) >> PAGE_SHIFT),
			    sg->length - off, offset_in_page(sg->offset + off));
		off = 0;
		left -= rmai_loop_copy_part(op, &mine, &part, left);
	}
	sg_miter_stop(&mine);
	/* So that what the rest costs can be told from what a device would do */
	rmai_count(loop_copy_ns, ktime_get_ns() - begin);
}

static void rmai_loop_mr_put(struct rmai_loop_mr *lm)
{
	if (refcount_dec_and_test(&lm->users))
		complete(&lm->idle);
}

static void rmai_loop_op_work(struct work_struct *work)
{
	struct rmai_loop_op *lo = container_of(work, struct rmai_loop_op, work);
	struct rmai_loop_conn *lc = lo->lc;
	struct rmai_loop_xprt *to = container_of(lc->peer->c.xprt,
						 struct rmai_loop_xprt, x);
	struct rmai_rdma *op = lo->op;
	struct rmai_loop_mr *lm;
	int err = -ECONNRESET;
	u64 off;

	/* The peer's endpoint is there while its end of the connection is */
	if (!READ_ONCE(lc->dead) && rmai_loop_begin(lc->peer)) {
		xa_lock(&to->mrs);
		lm = xa_load(&to->mrs, op->key.rkey);
		if (lm && !refcount_inc_not_zero(&lm->users))
			lm = NULL;
		xa_unlock(&to->mrs);
		err = -EACCES;
		if (lm) {
			off = op->key.addr - lm->mr.key.addr;
			if (op->key.addr >= lm->mr.key.addr &&
			    off + op->key.len <= lm->mr.key.len &&
			    (lm->write || !op->write)) {
				rmai_loop_copy(op, lm, off);
				err = 0;
			}
			rmai_loop_mr_put(lm);
		}
		rmai_loop_done(lc->peer);
	}
	op->done(op, err);
	kfree(lo);
	/* As with a queue pair: an access that is refused ends the connection */
	if (err == -EACCES) {
		rmai_loop_break(lc->peer);
		rmai_loop_break(lc);
	}
	rmai_loop_done(lc);
}

static int rmai_loop_rdma(struct rmai_conn *conn, struct rmai_rdma *op)
{
	struct rmai_loop_conn *lc = rmai_loop_conn(conn);
	struct rmai_loop_op *lo;

	lo = kmalloc(sizeof(*lo), GFP_NOFS);
	if (!lo)
		return -ENOMEM;
	if (!rmai_loop_begin(lc)) {
		kfree(lo);
		return -ENOTCONN;
	}
	op->conn = conn;
	lo->lc = lc;
	lo->op = op;
	INIT_WORK(&lo->work, rmai_loop_op_work);
	queue_work(lc->wq, &lo->work);
	return 0;
}

static struct rmai_mr *rmai_loop_reg(struct rmai_conn *conn,
				     struct scatterlist *sgl, unsigned int nents,
				     bool write)
{
	struct rmai_loop_xprt *lx = container_of(conn->xprt,
						 struct rmai_loop_xprt, x);
	struct rmai_loop_mr *lm;
	struct scatterlist *sg;
	unsigned int i;
	u64 len = 0;
	u32 rkey;
	int err;

	if (READ_ONCE(rmai_loop_conn(conn)->dead))
		return ERR_PTR(-ENOTCONN);
	lm = kzalloc(sizeof(*lm), GFP_KERNEL);
	if (!lm)
		return ERR_PTR(-ENOMEM);
	for_each_sg(sgl, sg, nents, i)
		len += sg->length;
	lm->sgl = sgl;
	lm->nents = nents;
	lm->write = write;
	refcount_set(&lm->users, 1);
	init_completion(&lm->idle);
	lm->mr.key.addr = sg_phys(sgl);
	lm->mr.key.len = len;
	err = xa_alloc(&lx->mrs, &rkey, lm, xa_limit_32b, GFP_KERNEL);
	if (err) {
		kfree(lm);
		return ERR_PTR(err);
	}
	lm->mr.key.rkey = rkey;
	return &lm->mr;
}

static void rmai_loop_dereg(struct rmai_xprt *xprt, struct rmai_mr *mr)
{
	struct rmai_loop_xprt *lx = container_of(xprt, struct rmai_loop_xprt, x);
	struct rmai_loop_mr *lm = container_of(mr, struct rmai_loop_mr, mr);

	xa_erase(&lx->mrs, lm->mr.key.rkey);
	rmai_loop_mr_put(lm);
	wait_for_completion(&lm->idle);
	kfree(lm);
}

static struct rmai_transport_ops rmai_loop_ops = {
	.owner		= THIS_MODULE,
	.name		= "loop",
	.open		= rmai_loop_open,
	.close		= rmai_loop_close,
	.connect	= rmai_loop_connect,
	.abort		= rmai_loop_abort,
	.disconnect	= rmai_loop_disconnect,
	.send		= rmai_loop_send,
	.recv_done	= rmai_loop_recv_done,
	.rdma		= rmai_loop_rdma,
	.reg		= rmai_loop_reg,
	.dereg		= rmai_loop_dereg,
};

int __init rmai_loop_init(void)
{
	return rmai_transport_register(&rmai_loop_ops);
}

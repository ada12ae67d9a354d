// SPDX-License-Identifier: GPL-2.0
/*
 * RMAI over RDMA: connections.
 *
 * Whatever ends a connection (RDMA CM, a failed work request, the core, the
 * device's removal) calls rmai_rdma_conn_kill(), in any context; all else is
 * done by conn->work, once: tell the core, take the queue pair to its error
 * state, wait until no thread can post and the device has let go of every
 * buffer, call back what was cut short, free. A thread that posts is between
 * rmai_rdma_conn_enter() and _exit().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <uapi/linux/rmai.h>

#include "rmai_rdma.h"

/* Time for a whole connect */
#define RMAI_RDMA_CONNECT_MS	10000

/* Connections that peers may have open: a cluster's, and their successors */
#define RMAI_RDMA_MAX_INCOMING	(2 * RMAI_MAX_NODES)

static void rmai_rdma_conn_release(struct kref *ref)
{
	struct rmai_rdma_conn *conn =
		container_of(ref, struct rmai_rdma_conn, ref);

	rmai_rdma_msg_free(conn);
	rmai_rdma_xprt_put(conn->xprt);
	kfree(conn);
}

/**
 * rmai_rdma_conn_put - give back a reference to a connection
 * @conn: connection; may be freed
 *
 * Context: any. The last one does nothing but free memory.
 */
void rmai_rdma_conn_put(struct rmai_rdma_conn *conn)
{
	kref_put(&conn->ref, rmai_rdma_conn_release);
}

/**
 * rmai_rdma_conn_enter - begin to use a connection's queue pair
 * @conn: connection
 *
 * Return: false if it is dead; true: rmai_rdma_conn_exit() must follow
 * Context: any
 */
bool rmai_rdma_conn_enter(struct rmai_rdma_conn *conn)
{
	if (!refcount_inc_not_zero(&conn->users))
		return false;
	if (READ_ONCE(conn->state) == RMAI_RDMA_UP)
		return true;
	rmai_rdma_conn_exit(conn);
	return false;
}

/**
 * rmai_rdma_conn_exit - end that use
 * @conn: connection
 *
 * Context: any
 */
void rmai_rdma_conn_exit(struct rmai_rdma_conn *conn)
{
	if (refcount_dec_and_test(&conn->users))
		complete(&conn->users_gone);
}

static void __rmai_rdma_conn_kill(struct rmai_rdma_conn *conn, int err)
{
	lockdep_assert_held(&conn->lock);

	if (conn->state == RMAI_RDMA_DEAD)
		return;
	conn->err = err;
	WRITE_ONCE(conn->state, RMAI_RDMA_DEAD);
	/* Queued under the lock: see rmai_rdma_conn_work() */
	queue_work(rmai_rdma_wq, &conn->work);
	wake_up_all(&conn->send_wait);
}

/**
 * rmai_rdma_conn_kill - end a connection
 * @conn: connection, in any state
 * @err: why; a negative errno. The first one counts.
 *
 * Context: any
 */
void rmai_rdma_conn_kill(struct rmai_rdma_conn *conn, int err)
{
	unsigned long flags;

	spin_lock_irqsave(&conn->lock, flags);
	__rmai_rdma_conn_kill(conn, err);
	spin_unlock_irqrestore(&conn->lock, flags);
}

/**
 * rmai_rdma_conn_wc_err - look at a completion's status
 * @conn: connection; ended if the status is bad
 * @wc: completion
 * @what: for the message
 *
 * Return: 0 or a negative errno
 * Context: softirq
 */
int rmai_rdma_conn_wc_err(struct rmai_rdma_conn *conn, const struct ib_wc *wc,
			  const char *what)
{
	int err;

	switch (wc->status) {
	case IB_WC_SUCCESS:
		return 0;
	case IB_WC_WR_FLUSH_ERR:
		/* The consequence of something else */
		rmai_rdma_conn_kill(conn, -ECONNRESET);
		return -ECONNRESET;
	case IB_WC_RETRY_EXC_ERR:
	case IB_WC_RESP_TIMEOUT_ERR:
	case IB_WC_RNR_RETRY_EXC_ERR:
		err = -ETIMEDOUT;
		break;
	case IB_WC_REM_ACCESS_ERR:
	case IB_WC_REM_INV_REQ_ERR:
	case IB_WC_REM_OP_ERR:
		err = -EREMOTEIO;
		break;
	default:
		err = -EIO;
		break;
	}
	pr_warn_ratelimited("%s: peer %pISpc: %s failed: %s (%d)\n",
			    conn->xprt->name, &conn->conn.addr, what,
			    ib_wc_status_msg(wc->status), wc->status);
	rmai_rdma_conn_kill(conn, err);
	return err;
}

static void rmai_rdma_conn_deadline(struct work_struct *work)
{
	struct rmai_rdma_conn *conn =
		container_of(to_delayed_work(work), struct rmai_rdma_conn,
			     deadline);

	spin_lock_irq(&conn->lock);
	if (conn->state != RMAI_RDMA_UP)
		__rmai_rdma_conn_kill(conn, -ETIMEDOUT);
	spin_unlock_irq(&conn->lock);
}

/* The connection is up: tell the core, then hand it what came meanwhile */
static void rmai_rdma_conn_announce(struct rmai_rdma_conn *conn)
{
	const struct rmai_xprt_events *events = conn->conn.xprt->events;
	int ret = 0;

	mutex_lock(&conn->upcall_lock);
	if (conn->announced || conn->detached) {
		mutex_unlock(&conn->upcall_lock);
		return;
	}
	conn->announced = true;
	if (conn->conn.incoming) {
		kref_get(&conn->ref);	/* the core's */
		ret = events->accept(&conn->conn);
	} else {
		events->connected(&conn->conn);
	}
	if (ret)
		conn->detached = true;
	mutex_unlock(&conn->upcall_lock);

	if (ret) {
		rmai_rdma_conn_kill(conn, -ECONNREFUSED);
		rmai_rdma_conn_put(conn);
		return;
	}
	rmai_rdma_msg_open(conn);
}

/* The connection is dead: end it; see the top of the file */
static void rmai_rdma_conn_finish(struct rmai_rdma_conn *conn)
{
	struct rmai_rdma_xprt *xprt = conn->xprt;

	cancel_delayed_work_sync(&conn->deadline);
	cancel_delayed_work_sync(&conn->greet);
	/*
	 * Say goodbye, and have everything flushed, whatever the RDMA CM did to
	 * that end: threads wait for it. None do if it never was up.
	 */
	if (conn->was_up) {
		struct ib_qp_attr attr = { .qp_state = IB_QPS_ERR };

		/*
		 * In this order: rdma_disconnect() takes siw's queue pair through
		 * CLOSING, from where ERROR does not flush READs that wait for
		 * the peer.
		 */
		ib_modify_qp(conn->qp, &attr, IB_QP_STATE);
		rdma_disconnect(conn->id);
	}

	mutex_lock(&conn->upcall_lock);
	if (!conn->detached && (conn->announced || !conn->conn.incoming))
		conn->conn.xprt->events->closed(&conn->conn, conn->err);
	mutex_unlock(&conn->upcall_lock);

	cancel_work_sync(&conn->connect_work);
	rmai_rdma_conn_exit(conn);
	wait_for_completion(&conn->users_gone);

	rmai_rdma_conn_free_qp(conn);
	rdma_destroy_id(conn->id);
	rmai_rdma_msg_unmap(conn);

	spin_lock_irq(&xprt->lock);
	list_del(&conn->node);
	if (conn->conn.incoming)
		xprt->nr_incoming--;
	spin_unlock_irq(&xprt->lock);
	wake_up_all(&xprt->idle);

	complete_all(&conn->torn);
	rmai_rdma_conn_put(conn);
}

static void rmai_rdma_conn_work(struct work_struct *work)
{
	struct rmai_rdma_conn *conn =
		container_of(work, struct rmai_rdma_conn, work);
	enum rmai_rdma_state state;

	spin_lock_irq(&conn->lock);
	state = conn->state;
	spin_unlock_irq(&conn->lock);

	if (state == RMAI_RDMA_GREETING)
		rmai_rdma_greet(conn);
	if (READ_ONCE(conn->state) == RMAI_RDMA_UP)
		rmai_rdma_conn_announce(conn);
	if (state != RMAI_RDMA_DEAD)
		return;
	/*
	 * If death came after this work was queued for something else it has
	 * been queued once more, under the lock; not again after that.
	 */
	cancel_work(&conn->work);
	rmai_rdma_conn_finish(conn);
}

/**
 * rmai_rdma_conn_alloc - make a connection
 * @xprt: endpoint
 * @id: of an incoming one, whose handler is running; NULL for an outgoing one
 * @addr: struct sockaddr of the peer
 *
 * The caller is using it, as if between rmai_rdma_conn_enter() and _exit(). It
 * can die at once, by its deadline or the endpoint's end.
 *
 * Return: the connection, with one reference, which is its own; or ERR_PTR:
 * -ENODEV the endpoint is going down, -EMFILE peers have too many, -ENOMEM
 */
struct rmai_rdma_conn *rmai_rdma_conn_alloc(struct rmai_rdma_xprt *xprt,
					    struct rdma_cm_id *id,
					    const void *addr)
{
	struct rmai_rdma_conn *conn;
	bool incoming = id;
	int ret = 0;

	conn = kzalloc(sizeof(*conn), GFP_KERNEL);
	if (!conn)
		return ERR_PTR(-ENOMEM);
	if (!incoming) {
		id = rdma_create_id(&init_net, rmai_rdma_cm_handler, conn,
				    RDMA_PS_TCP, IB_QPT_RC);
		if (IS_ERR(id)) {
			kfree(conn);
			return ERR_CAST(id);
		}
	}
	conn->id = id;
	conn->conn.xprt = &xprt->xprt;
	conn->conn.incoming = incoming;
	memcpy(&conn->conn.addr, addr, rdma_addr_size(addr));
	conn->xprt = rmai_rdma_xprt_get(xprt);
	kref_init(&conn->ref);
	INIT_WORK(&conn->work, rmai_rdma_conn_work);
	INIT_WORK(&conn->connect_work, rmai_rdma_connect_work);
	INIT_DELAYED_WORK(&conn->deadline, rmai_rdma_conn_deadline);
	INIT_DELAYED_WORK(&conn->greet, rmai_rdma_greet_timer);
	refcount_set(&conn->users, 2);
	init_completion(&conn->users_gone);
	init_completion(&conn->torn);
	mutex_init(&conn->upcall_lock);
	spin_lock_init(&conn->lock);
	INIT_LIST_HEAD(&conn->send_free);
	init_waitqueue_head(&conn->send_wait);
	INIT_LIST_HEAD(&conn->held);
	conn->reg_avail = RMAI_RDMA_NR_REGS;
	rmai_rdma_rw_init(conn);

	/* On the list it can be killed, and keeps the device */
	spin_lock_irq(&xprt->lock);
	if (xprt->down) {
		ret = -ENODEV;
	} else if (incoming && xprt->nr_incoming >= RMAI_RDMA_MAX_INCOMING) {
		ret = -EMFILE;
	} else {
		list_add_tail(&conn->node, &xprt->conns);
		xprt->nr_incoming += incoming;
		queue_delayed_work(rmai_rdma_wq, &conn->deadline,
				   msecs_to_jiffies(RMAI_RDMA_CONNECT_MS));
	}
	spin_unlock_irq(&xprt->lock);
	if (!ret)
		return conn;

	if (!incoming)
		rdma_destroy_id(id);
	rmai_rdma_conn_put(conn);
	return ERR_PTR(ret);
}

/**
 * rmai_rdma_abort - make all that goes on end soon; see struct rmai_transport_ops
 * @rc: connection
 */
void rmai_rdma_abort(struct rmai_conn *rc)
{
	rmai_rdma_conn_kill(to_rdma_conn(rc), -ECONNRESET);
}

/**
 * rmai_rdma_disconnect - end a connection; see struct rmai_transport_ops
 * @rc: connection
 *
 * One that never came up may take seconds to let go (software iWARP connects
 * its TCP socket synchronously); nothing in it concerns the core, so that is
 * left to the worker, and to ->close() to wait for.
 */
void rmai_rdma_disconnect(struct rmai_conn *rc)
{
	struct rmai_rdma_conn *conn = to_rdma_conn(rc);

	mutex_lock(&conn->upcall_lock);
	conn->detached = true;
	mutex_unlock(&conn->upcall_lock);

	rmai_rdma_conn_kill(conn, -ECONNRESET);
	if (conn->was_up)
		wait_for_completion(&conn->torn);
	rmai_rdma_conn_put(conn);
}

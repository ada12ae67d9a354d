// SPDX-License-Identifier: GPL-2.0
/*
 * RMAI over RDMA: endpoints, devices that come and go, module.
 *
 * An endpoint is an address on one RDMA device, with one protection domain for
 * all its connections. When the device goes, so do its connections and
 * registrations, at once; the endpoint itself stays, dead, until the core
 * closes it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <net/ipv6.h>
#include <uapi/linux/rmai.h>

#include "rmai_rdma.h"

/* Most pages of one key: what struct rmai_xprt promises */
#define RMAI_RDMA_MAX_KEY_PAGES	512U

struct workqueue_struct *rmai_rdma_wq;

static DEFINE_MUTEX(rmai_rdma_mutex);
static LIST_HEAD(rmai_rdma_xprts);

/* Endpoints that exist: lent messages may outlive ->close() */
static atomic_t rmai_rdma_nr_xprts = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(rmai_rdma_exit_wait);

static void rmai_rdma_xprt_release(struct kref *ref)
{
	kfree(container_of(ref, struct rmai_rdma_xprt, ref));
	if (atomic_dec_and_test(&rmai_rdma_nr_xprts))
		wake_up_all(&rmai_rdma_exit_wait);
}

/**
 * rmai_rdma_xprt_get - hold an endpoint's memory
 * @xprt: endpoint
 *
 * Return: @xprt
 */
struct rmai_rdma_xprt *rmai_rdma_xprt_get(struct rmai_rdma_xprt *xprt)
{
	kref_get(&xprt->ref);
	return xprt;
}

/**
 * rmai_rdma_xprt_put - give that back
 * @xprt: endpoint; may be freed
 *
 * Context: any
 */
void rmai_rdma_xprt_put(struct rmai_rdma_xprt *xprt)
{
	kref_put(&xprt->ref, rmai_rdma_xprt_release);
}

/* No new connections, and the end of those that there are */
static void rmai_rdma_xprt_stop(struct rmai_rdma_xprt *xprt, int err)
{
	struct rmai_rdma_conn *conn;

	lockdep_assert_held(&rmai_rdma_mutex);

	if (xprt->listen_id)
		rdma_destroy_id(xprt->listen_id);
	xprt->listen_id = NULL;

	spin_lock_irq(&xprt->lock);
	xprt->down = true;
	list_for_each_entry(conn, &xprt->conns, node)
		rmai_rdma_conn_kill(conn, err);
	spin_unlock_irq(&xprt->lock);
}

/*
 * Let go of the device. In whatever order ->close() and the device's removal
 * come, the second finds nothing left.
 */
static void rmai_rdma_xprt_end(struct rmai_rdma_xprt *xprt)
{
	lockdep_assert_held(&rmai_rdma_mutex);

	wait_event(xprt->idle, list_empty_careful(&xprt->conns));
	down_write(&xprt->dev_sem);
	if (xprt->pd) {
		rmai_rdma_mrs_end(xprt);
		ib_dealloc_pd(xprt->pd);
		xprt->pd = NULL;
	}
	up_write(&xprt->dev_sem);
}

/* May ->close() return? Only what the core never saw may linger. */
static bool rmai_rdma_xprt_settled(struct rmai_rdma_xprt *xprt)
{
	struct rmai_rdma_conn *conn;
	bool settled = true;

	spin_lock_irq(&xprt->lock);
	list_for_each_entry(conn, &xprt->conns, node) {
		if (conn->was_up)
			settled = false;
	}
	spin_unlock_irq(&xprt->lock);
	return settled;
}

static void rmai_rdma_close_work(struct work_struct *work)
{
	struct rmai_rdma_xprt *xprt =
		container_of(work, struct rmai_rdma_xprt, close_work);

	wait_event(xprt->idle, list_empty_careful(&xprt->conns));
	mutex_lock(&rmai_rdma_mutex);
	list_del(&xprt->node);
	rmai_rdma_xprt_end(xprt);
	mutex_unlock(&rmai_rdma_mutex);
	rmai_rdma_xprt_put(xprt);
}

static int rmai_rdma_check_device(const struct ib_device *dev)
{
	if (!(dev->attrs.device_cap_flags & IB_DEVICE_MEM_MGT_EXTENSIONS) ||
	    !dev->attrs.max_fast_reg_page_list_len) {
		pr_err("%s: device cannot register memory by work request\n",
		       dev_name(&dev->dev));
		return -ENODEV;
	}
	return 0;
}

static int rmai_rdma_listen(struct rmai_rdma_xprt *xprt,
			    const struct sockaddr_storage *addr)
{
	struct sockaddr_storage sa = *addr;
	struct rdma_cm_id *id;
	int ret;

	if (sa.ss_family != AF_INET && sa.ss_family != AF_INET6)
		return -EAFNOSUPPORT;

	id = rdma_create_id(&init_net, rmai_rdma_listen_handler, xprt,
			    RDMA_PS_TCP, IB_QPT_RC);
	if (IS_ERR(id))
		return PTR_ERR(id);
	xprt->listen_id = id;

	ret = rdma_set_reuseaddr(id, 1);
	if (!ret && sa.ss_family == AF_INET6)
		ret = rdma_set_afonly(id, 1);
	if (!ret)
		ret = rdma_bind_addr(id, (struct sockaddr *)&sa);
	/* No such address on this host, or one without a device (any: none) */
	if (ret == -EADDRNOTAVAIL || (!ret && !id->device))
		ret = -ENODEV;
	if (!ret)
		ret = rmai_rdma_check_device(id->device);
	if (ret)
		return ret;

	xprt->addr = *addr;
	xprt->dev = id->device;
	strscpy(xprt->name, dev_name(&id->device->dev), sizeof(xprt->name));
	xprt->xprt.max_key_pages =
		min(RMAI_RDMA_MAX_KEY_PAGES,
		    xprt->dev->attrs.max_fast_reg_page_list_len);
	xprt->pd = ib_alloc_pd(xprt->dev, 0);
	if (IS_ERR(xprt->pd)) {
		ret = PTR_ERR(xprt->pd);
		xprt->pd = NULL;
		return ret;
	}
	return rdma_listen(id, RMAI_MAX_NODES);
}

static struct rmai_transport_ops rmai_rdma_transport;

static struct rmai_xprt *rmai_rdma_open(const struct sockaddr_storage *addr,
					const struct rmai_xprt_events *events,
					void *context)
{
	struct rmai_rdma_xprt *xprt;
	int ret;

	xprt = kzalloc(sizeof(*xprt), GFP_KERNEL);
	if (!xprt)
		return ERR_PTR(-ENOMEM);
	atomic_inc(&rmai_rdma_nr_xprts);
	xprt->xprt.ops = &rmai_rdma_transport;
	xprt->xprt.events = events;
	xprt->xprt.context = context;
	xprt->xprt.dev_name = xprt->name;
	kref_init(&xprt->ref);
	init_rwsem(&xprt->dev_sem);
	spin_lock_init(&xprt->lock);
	INIT_LIST_HEAD(&xprt->conns);
	INIT_LIST_HEAD(&xprt->mrs);
	init_waitqueue_head(&xprt->idle);
	INIT_WORK(&xprt->close_work, rmai_rdma_close_work);

	/* The mutex keeps the device from going between here and the list */
	mutex_lock(&rmai_rdma_mutex);
	ret = rmai_rdma_listen(xprt, addr);
	if (!ret)
		list_add_tail(&xprt->node, &rmai_rdma_xprts);
	if (ret) {
		rmai_rdma_xprt_stop(xprt, ret);
		rmai_rdma_xprt_end(xprt);
	}
	mutex_unlock(&rmai_rdma_mutex);
	if (ret) {
		rmai_rdma_xprt_put(xprt);
		return ERR_PTR(ret);
	}
	return &xprt->xprt;
}

/*
 * A connect that was given up may be inside the device driver for a minute yet
 * (software iWARP connects its TCP socket synchronously). The protection domain
 * must stay for it, but the core need not wait.
 */
static void rmai_rdma_close(struct rmai_xprt *rx)
{
	struct rmai_rdma_xprt *xprt = to_rdma_xprt(rx);

	mutex_lock(&rmai_rdma_mutex);
	rmai_rdma_xprt_stop(xprt, -ECONNRESET);
	wait_event(xprt->idle, rmai_rdma_xprt_settled(xprt));
	mutex_unlock(&rmai_rdma_mutex);

	if (list_empty_careful(&xprt->conns))
		rmai_rdma_close_work(&xprt->close_work);
	else
		queue_work(rmai_rdma_wq, &xprt->close_work);
}

/*
 * Comes before the RDMA CM's own RDMA_CM_EVENT_DEVICE_REMOVAL, as clients are
 * removed in reverse order; that event would leave the registrations.
 */
static void rmai_rdma_remove_device(struct ib_device *dev, void *client_data)
{
	struct rmai_rdma_xprt *xprt;

	mutex_lock(&rmai_rdma_mutex);
	list_for_each_entry(xprt, &rmai_rdma_xprts, node) {
		if (!xprt->pd || xprt->dev != dev)
			continue;
		if (!xprt->down)
			pr_warn("%s: device removed, its connections are closed\n",
				xprt->name);
		rmai_rdma_xprt_stop(xprt, -ENODEV);
		rmai_rdma_xprt_end(xprt);
	}
	mutex_unlock(&rmai_rdma_mutex);
}

static struct ib_client rmai_rdma_client = {
	.name	= "rmai_rdma",
	.remove	= rmai_rdma_remove_device,
};

static struct rmai_transport_ops rmai_rdma_transport = {
	.owner		= THIS_MODULE,
	.name		= "rdma",
	.open		= rmai_rdma_open,
	.close		= rmai_rdma_close,
	.connect	= rmai_rdma_connect,
	.abort		= rmai_rdma_abort,
	.disconnect	= rmai_rdma_disconnect,
	.send		= rmai_rdma_send,
	.recv_done	= rmai_rdma_recv_done,
	.rdma		= rmai_rdma_rw,
	.reg		= rmai_rdma_reg,
	.dereg		= rmai_rdma_dereg,
};

static int __init rmai_rdma_init(void)
{
	int ret;

	rmai_rdma_wq = alloc_workqueue("rmai_rdma", WQ_UNBOUND | WQ_MEM_RECLAIM,
				       0);
	if (!rmai_rdma_wq)
		return -ENOMEM;
	rmai_rdma_fault_init();
	ret = ib_register_client(&rmai_rdma_client);
	if (ret)
		goto out_fault;
	ret = rmai_transport_register(&rmai_rdma_transport);
	if (ret)
		goto out_client;
	return 0;

out_client:
	ib_unregister_client(&rmai_rdma_client);
out_fault:
	rmai_rdma_fault_exit();
	destroy_workqueue(rmai_rdma_wq);
	return ret;
}

static void __exit rmai_rdma_exit(void)
{
	rmai_transport_unregister(&rmai_rdma_transport);
	ib_unregister_client(&rmai_rdma_client);
	wait_event(rmai_rdma_exit_wait, !atomic_read(&rmai_rdma_nr_xprts));
	rmai_rdma_fault_exit();
	destroy_workqueue(rmai_rdma_wq);
}

module_init(rmai_rdma_init);
module_exit(rmai_rdma_exit);

MODULE_DESCRIPTION("RMAI transport over RDMA");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * A node's membership: going online and offline, and the transports.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/delay.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/rmai.h>

static LIST_HEAD(rmai_transports);
static DEFINE_MUTEX(rmai_transports_lock);

/* The configured one first, then those of loop peers */
static LIST_HEAD(rmai_clusters);
static DEFINE_MUTEX(rmai_clusters_lock);
static struct rmai_cluster __rcu *rmai_main;

/**
 * rmai_transport_register() - make a transport available
 * @ops: the transport; stays valid until unregistered
 *
 * Context: process. Return: 0 or -EEXIST.
 */
int rmai_transport_register(struct rmai_transport_ops *ops)
{
	struct rmai_transport_ops *t;
	int err = 0;

	mutex_lock(&rmai_transports_lock);
	list_for_each_entry(t, &rmai_transports, list) {
		if (!strcmp(t->name, ops->name))
			err = -EEXIST;
	}
	if (!err)
		list_add_tail(&ops->list, &rmai_transports);
	mutex_unlock(&rmai_transports_lock);
	return err;
}
EXPORT_SYMBOL_GPL(rmai_transport_register);

/**
 * rmai_transport_unregister() - take a transport away
 * @ops: what was registered; no node uses it, for a node online holds its module
 */
void rmai_transport_unregister(struct rmai_transport_ops *ops)
{
	mutex_lock(&rmai_transports_lock);
	list_del(&ops->list);
	mutex_unlock(&rmai_transports_lock);
}
EXPORT_SYMBOL_GPL(rmai_transport_unregister);

static const struct rmai_transport_ops *rmai_transport_get(const char *name)
{
	struct rmai_transport_ops *t, *found = NULL;

	mutex_lock(&rmai_transports_lock);
	list_for_each_entry(t, &rmai_transports, list) {
		if (!strcmp(t->name, name) && try_module_get(t->owner)) {
			found = t;
			break;
		}
	}
	mutex_unlock(&rmai_transports_lock);
	return found;
}

/**
 * rmai_memory_nodes() - configured memory nodes in order of their ids
 * @rc: membership
 * @ids: room for RMAI_WIRE_NODES
 *
 * Return: how many.
 */
int rmai_memory_nodes(struct rmai_cluster *rc, u16 *ids)
{
	int i, n = 0;

	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		if (rc->cfg.nodes[i].role & RMAI_ROLE_MEMORY)
			ids[n++] = i + 1;
	}
	return n;
}

/**
 * rmai_cluster_get_main() - the membership that the administrator configured
 *
 * Return: to be put with rmai_cluster_put(), and online until then; NULL when
 * offline.
 */
struct rmai_cluster *rmai_cluster_get_main(void)
{
	struct rmai_cluster *rc;

	rcu_read_lock();
	rc = rcu_dereference(rmai_main);
	if (rc)
		atomic_inc(&rc->users);
	rcu_read_unlock();
	return rc;
}

/**
 * rmai_cluster_put() - done with it
 * @rc: from rmai_cluster_get_main()
 */
void rmai_cluster_put(struct rmai_cluster *rc)
{
	atomic_dec(&rc->users);
}

/* Pages in the caches of all regions that are not homed here */
s64 rmai_replica_pages(void)
{
	struct rmai_cluster *rc;
	struct inode *inode;
	s64 sum = 0;

	mutex_lock(&rmai_clusters_lock);
	list_for_each_entry(rc, &rmai_clusters, list) {
		struct super_block *sb = READ_ONCE(rc->sb);

		if (!sb)
			continue;
		spin_lock(&sb->s_inode_list_lock);
		list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
			if (S_ISREG(inode->i_mode))
				sum += (s64)READ_ONCE(inode->i_mapping->nrpages) -
				       atomic64_read(&RMAI_I(inode)->home_pages);
		}
		spin_unlock(&sb->s_inode_list_lock);
	}
	mutex_unlock(&rmai_clusters_lock);
	return sum;
}

u64 rmai_cluster_epoch(struct rmai_cluster *rc)
{
	return rc->epoch;
}

bool rmai_node_is_online(void)
{
	return rcu_access_pointer(rmai_main);
}

static void rmai_cluster_destroy(struct rmai_cluster *rc)
{
	mutex_lock(&rmai_clusters_lock);
	list_del(&rc->list);
	mutex_unlock(&rmai_clusters_lock);
	WRITE_ONCE(rc->stopping, true);
	rmai_peers_stop(rc);
	cancel_delayed_work_sync(&rc->owed_work);
	/* What is left of freed regions gives up at its next turn */
	while (atomic_read(&rc->freeing))
		msleep(20);
	if (rc->serve_wq)
		drain_workqueue(rc->serve_wq);
	if (rc->coh_wq)
		drain_workqueue(rc->coh_wq);
	if (rc->fetch_wq)
		drain_workqueue(rc->fetch_wq);
	if (rc->rx_wq)
		drain_workqueue(rc->rx_wq);
	rmai_peers_free(rc);
	rmai_owner_destroy(rc);
	rmai_names_destroy(rc);
	rmai_owed_destroy(rc);
	if (rc->mnt)
		kern_unmount(rc->mnt);
	if (rc->xprt) {
		struct module *owner = rc->xprt->ops->owner;

		rc->xprt->ops->close(rc->xprt);
		module_put(owner);
	}
	if (rc->rx_wq)
		destroy_workqueue(rc->rx_wq);
	if (rc->serve_wq)
		destroy_workqueue(rc->serve_wq);
	if (rc->coh_wq)
		destroy_workqueue(rc->coh_wq);
	if (rc->fetch_wq)
		destroy_workqueue(rc->fetch_wq);
	rmai_space_destroy(&rc->space);
	kfree(rc);
}

static struct rmai_cluster *rmai_cluster_create(const struct rmai_config *cfg,
						u16 self, bool loop)
{
	const struct rmai_node_config *me = &cfg->nodes[self - 1];
	const struct rmai_transport_ops *ops;
	struct sockaddr_storage addr;
	struct rmai_cluster *rc;
	u64 start, size;
	int err;

	rc = kzalloc(sizeof(*rc), GFP_KERNEL);
	if (!rc)
		return ERR_PTR(-ENOMEM);
	rc->cfg = *cfg;
	rc->self = self;
	/* Microseconds of real time: grows from boot to boot, and is never 0 */
	rc->epoch = ktime_get_real_ns() / NSEC_PER_USEC;
	atomic64_set(&rc->next_token, rc->epoch);
	if (!(me->role & RMAI_ROLE_MEMORY))
		rc->cfg.pool_bytes = 0;
	mutex_init(&rc->names_lock);
	init_waitqueue_head(&rc->names_wait);
	hash_init(rc->names);
	INIT_LIST_HEAD(&rc->owed);
	INIT_DELAYED_WORK(&rc->owed_work, rmai_owed_work);
	xa_init_flags(&rc->names_by_cookie, XA_FLAGS_ALLOC1);
	xa_init(&rc->regions);
	mutex_init(&rc->made_lock);
	/* Ids are not reused by the next incarnation: seconds, then a count */
	atomic64_set(&rc->next_id, ((u64)self << 56) |
		     ((rc->epoch / USEC_PER_SEC & 0xffffffff) << 24));
	err = rmai_window_slice(cfg->window_start, cfg->window_size, self,
				&start, &size);
	spin_lock_init(&rc->links_lock);
	INIT_LIST_HEAD(&rc->links);
	init_waitqueue_head(&rc->links_wait);
	mutex_lock(&rmai_clusters_lock);
	list_add_tail(&rc->list, &rmai_clusters);
	mutex_unlock(&rmai_clusters_lock);
	rmai_space_init(&rc->space, start, size, &rmai_config.quarantine_ms);
	if (err)
		goto fail;

	err = -ENOMEM;
	rc->rx_wq = alloc_workqueue("rmai_rx/%u", WQ_UNBOUND | WQ_HIGHPRI |
				    WQ_MEM_RECLAIM, 0, self);
	/* Work on these may wait for a node that is away, others must go on */
	rc->serve_wq = alloc_workqueue("rmai_serve/%u", WQ_UNBOUND,
				       WQ_MAX_ACTIVE, self);
	rc->fetch_wq = alloc_workqueue("rmai_fetch/%u", WQ_UNBOUND |
				       WQ_HIGHPRI, WQ_MAX_ACTIVE, self);
	rc->coh_wq = alloc_workqueue("rmai_coh/%u", WQ_UNBOUND | WQ_HIGHPRI |
				     WQ_MEM_RECLAIM, WQ_MAX_ACTIVE, self);
	if (!rc->rx_wq || !rc->serve_wq || !rc->fetch_wq || !rc->coh_wq)
		goto fail;

	err = rmai_mount_internal(rc);
	if (err)
		goto fail;

	err = -EOPNOTSUPP;
	ops = rmai_transport_get(loop ? "loop" : "rdma");
	if (!ops) {
		pr_warn("node %u: no transport for RDMA: is CONFIG_RMAI_RDMA built, its module loaded?\n",
			self);
		goto fail;
	}
	if (loop)
		rmai_loop_addr(self, &addr);
	else
		addr = me->addr;
	rc->xprt = ops->open(&addr, &rmai_xprt_events, rc);
	if (IS_ERR(rc->xprt)) {
		err = PTR_ERR(rc->xprt);
		rc->xprt = NULL;
		module_put(ops->owner);
		pr_warn("node %u: cannot listen at %pISpc: error %d%s\n", self,
			&addr, err, err == -ENODEV ?
			": no RDMA device has this address" : "");
		goto fail;
	}
	err = rmai_peers_start(rc);
	if (err)
		goto fail;
	return rc;
fail:
	rmai_cluster_destroy(rc);
	return ERR_PTR(err);
}

static int rmai_config_check(const struct rmai_config *cfg, bool *loop)
{
	const struct rmai_node_config *me;
	int i, memory = 0, loops = 0, others = 0;

	if (!cfg->node_id) {
		pr_warn("cannot go online: node_id is not set\n");
		return -EINVAL;
	}
	me = &cfg->nodes[cfg->node_id - 1];
	if (!me->id) {
		pr_warn("cannot go online: this node, %u, is not in nodes/\n",
			cfg->node_id);
		return -EINVAL;
	}
	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		const struct rmai_node_config *nc = &cfg->nodes[i];

		if (!nc->id)
			continue;
		memory += !!(nc->role & RMAI_ROLE_MEMORY);
		if (nc == me)
			continue;
		others++;
		loops += nc->loop;
		if (!nc->loop && !nc->addr.ss_family) {
			pr_warn("cannot go online: node %u has no addr\n", nc->id);
			return -EINVAL;
		}
	}
	if (!memory) {
		pr_warn("cannot go online: no node has the role memory\n");
		return -EINVAL;
	}
	if (loops && loops != others) {
		pr_warn("cannot go online: transport loop for some peers and rdma for others\n");
		return -EINVAL;
	}
	*loop = (others && loops == others) || me->loop;
	if (!*loop && !me->addr.ss_family) {
		pr_warn("cannot go online: this node, %u, has no addr\n",
			cfg->node_id);
		return -EINVAL;
	}
	return 0;
}

static void rmai_clusters_destroy(void)
{
	struct rmai_cluster *rc, *tmp;

	list_for_each_entry_safe(rc, tmp, &rmai_clusters, list)
		rmai_cluster_destroy(rc);
}

/**
 * rmai_node_online() - join the cluster
 * @cfg: configuration, copied
 *
 * Context: rmai_config_lock is held; may sleep.
 * Return: 0; -EINVAL for a configuration that lacks something (a message says
 * what), -EBUSY when online, -ENODEV or -EADDRINUSE for the address,
 * -EOPNOTSUPP without the transport, -ENOMEM.
 */
int rmai_node_online(const struct rmai_config *cfg)
{
	struct rmai_cluster *rc;
	bool loop;
	int err, i;

	lockdep_assert_held(&rmai_config_lock);
	if (rcu_access_pointer(rmai_main))
		return -EBUSY;
	err = rmai_config_check(cfg, &loop);
	if (err)
		return err;
	rc = rmai_cluster_create(cfg, cfg->node_id, loop);
	if (IS_ERR(rc))
		return PTR_ERR(rc);
	for (i = 0; loop && i < RMAI_WIRE_NODES; i++) {
		struct rmai_cluster *peer;

		if (!cfg->nodes[i].id || i + 1 == cfg->node_id)
			continue;
		peer = rmai_cluster_create(cfg, i + 1, true);
		if (IS_ERR(peer)) {
			rmai_clusters_destroy();
			return PTR_ERR(peer);
		}
	}
	err = rmai_sysfs_online(rc);
	if (err) {
		rmai_clusters_destroy();
		return err;
	}
	rcu_assign_pointer(rmai_main, rc);
	pr_info("node %u of cluster \"%s\" is online, epoch %llu, %s\n",
		rc->self, rc->cfg.cluster, rc->epoch, rc->xprt->dev_name);
	return 0;
}

/**
 * rmai_node_offline() - leave the cluster
 *
 * Context: rmai_config_lock is held; may sleep.
 * Return: 0 (also when offline already), or -EBUSY while a user has rmaifs
 * mounted or a region open or mapped on this node.
 */
int rmai_node_offline(void)
{
	struct rmai_cluster *rc;

	lockdep_assert_held(&rmai_config_lock);
	rc = rcu_dereference_protected(rmai_main, true);
	if (!rc)
		return 0;
	/* The loss of a name, and a last close(), may still be on their way to the owner */
	flush_delayed_work(&rc->owed_work);
	flush_workqueue(rc->serve_wq);
	/* Nobody begins to use it from here on */
	RCU_INIT_POINTER(rmai_main, NULL);
	synchronize_rcu();
	if (atomic_read(&rc->users) || atomic_read(&rc->sb->s_active) > 1) {
		pr_warn("cannot go offline: %d regions are open or mapped on this node%s\n",
			atomic_read(&rc->users),
			atomic_read(&rc->sb->s_active) > 1 ?
			", and rmaifs is mounted" : "");
		rcu_assign_pointer(rmai_main, rc);
		return -EBUSY;
	}
	rmai_sysfs_offline(rc);
	rmai_clusters_destroy();
	pr_info("offline\n");
	return 0;
}

static int __init rmai_init(void)
{
	int err;

	BUILD_BUG_ON(RMAI_MSG_MAX != RMAI_WIRE_MAX);
	err = rmai_cache_init();
	if (!err)
		err = rmai_loop_init();
	if (!err)
		err = rmai_sysfs_init();
	if (!err)
		err = rmai_configfs_init();
	if (!err)
		err = rmai_super_init();
	return err;
}
fs_initcall(rmai_init);

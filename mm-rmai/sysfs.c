// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/mm/rmai/: state of this node, its counters, and what it knows of
 * the others.
 *
 *	{state,node_id,epoch}
 *	stats/<counter>
 *	nodes/<id>/{state,epoch,role,addr,pool_bytes,pool_used_bytes,last_error}
 *
 * Everything is read only, one value per file; configfs is where things are
 * set. Nothing here takes rmai_config_lock, under which nodes/ comes and goes:
 * kobject_del() waits for readers. What is read of rmai_config is frozen for as
 * long as nodes/ is there.
 */
#include <linux/cleanup.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "config.h"
#include "stats.h"

/**
 * struct rmai_node_kobj - nodes/<id>/
 * @kobj: sysfs' part
 * @rc: valid until kobject_del() has returned
 * @id: of the node
 */
struct rmai_node_kobj {
	struct kobject		kobj;
	struct rmai_cluster	*rc;
	u16			id;
};

static struct kobject *rmai_kobj;

/* Guards the next three */
static DEFINE_MUTEX(rmai_sysfs_lock);
static struct rmai_cluster *rmai_sysfs_rc;	/* NULL: offline */
static struct kobject *rmai_nodes_kobj;
static struct rmai_node_kobj *rmai_node_kobjs[RMAI_WIRE_NODES];

/* This node */

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  rmai_node_is_online() ? "online" : "offline");
}

static ssize_t node_id_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(rmai_config.node_id));
}

static ssize_t epoch_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	u64 epoch = 0;

	scoped_guard(mutex, &rmai_sysfs_lock)
		if (rmai_sysfs_rc)
			epoch = rmai_cluster_epoch(rmai_sysfs_rc);
	return sysfs_emit(buf, "%llu\n", epoch);
}

static struct kobj_attribute state_attr = __ATTR_RO(state);
static struct kobj_attribute node_id_attr = __ATTR_RO(node_id);
static struct kobj_attribute epoch_attr = __ATTR_RO(epoch);

static struct attribute *rmai_attrs[] = {
	&state_attr.attr,
	&node_id_attr.attr,
	&epoch_attr.attr,
	NULL,
};

static const struct attribute_group rmai_group = {
	.attrs	= rmai_attrs,
};

/* stats/: arrays by enum rmai_stat */

static ssize_t rmai_stat_show(struct kobject *kobj,
			      struct kobj_attribute *attr, char *buf);

static struct kobj_attribute rmai_stat_attr[RMAI_STAT_NR] = {
#define X(name)								\
	[RMAI_STAT_##name] = __ATTR(name, 0444, rmai_stat_show, NULL),
	RMAI_EVENTS(X)
	RMAI_GAUGES(X)
#undef X
};

static struct attribute *rmai_stat_attrs[RMAI_STAT_NR + 1] = {
#define X(name)								\
	[RMAI_STAT_##name] = &rmai_stat_attr[RMAI_STAT_##name].attr,
	RMAI_EVENTS(X)
	RMAI_GAUGES(X)
#undef X
};

static ssize_t rmai_stat_show(struct kobject *kobj,
			      struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lld\n", rmai_stat_sum(attr - rmai_stat_attr));
}

static const struct attribute_group rmai_stat_group = {
	.name	= "stats",
	.attrs	= rmai_stat_attrs,
};

static const struct attribute_group *rmai_groups[] = {
	&rmai_group,
	&rmai_stat_group,
	NULL,
};

/* nodes/<id>/ */

struct rmai_node_attr {
	struct attribute	attr;
	ssize_t			(*show)(const struct rmai_node_info *info,
					char *buf);
};

static ssize_t rmai_node_show(struct kobject *kobj, struct attribute *attr,
			      char *buf)
{
	struct rmai_node_kobj *node = container_of(kobj, struct rmai_node_kobj,
						   kobj);
	struct rmai_node_attr *na = container_of(attr, struct rmai_node_attr,
						 attr);
	struct rmai_node_info info = {};
	int err;

	err = rmai_node_info(node->rc, node->id, &info);
	return err ?: na->show(&info, buf);
}

static ssize_t rmai_node_state_show(const struct rmai_node_info *info,
				    char *buf)
{
	return sysfs_emit(buf, "%s\n", info->state);
}

static ssize_t rmai_node_epoch_show(const struct rmai_node_info *info,
				    char *buf)
{
	return sysfs_emit(buf, "%llu\n", info->epoch);
}

static ssize_t rmai_node_role_show(const struct rmai_node_info *info,
				   char *buf)
{
	static const char * const names[] = {
		[0]					= "",
		[RMAI_ROLE_MEMORY]			= "memory",
		[RMAI_ROLE_COMPUTE]			= "compute",
		[RMAI_ROLE_MEMORY | RMAI_ROLE_COMPUTE]	= "memory,compute",
	};

	return sysfs_emit(buf, "%s\n",
			  names[info->role & (ARRAY_SIZE(names) - 1)]);
}

static ssize_t rmai_node_addr_show(const struct rmai_node_info *info,
				   char *buf)
{
	const struct sockaddr_storage *addr =
		&rmai_config.nodes[info->id - 1].addr;

	if (!addr->ss_family)
		return sysfs_emit(buf, "\n");
	return sysfs_emit(buf, "%pISpc\n", addr);
}

static ssize_t rmai_node_pool_bytes_show(const struct rmai_node_info *info,
					 char *buf)
{
	return sysfs_emit(buf, "%llu\n", info->pool_total);
}

static ssize_t rmai_node_pool_used_bytes_show(const struct rmai_node_info *info,
					      char *buf)
{
	return sysfs_emit(buf, "%llu\n", info->pool_used);
}

static ssize_t rmai_node_last_error_show(const struct rmai_node_info *info,
					 char *buf)
{
	return sysfs_emit(buf, "%s\n", info->last_error);
}

#define RMAI_NODE_ATTR(_name)						\
static struct rmai_node_attr rmai_node_attr_##_name = {			\
	.attr	= { .name = __stringify(_name), .mode = 0444 },		\
	.show	= rmai_node_##_name##_show,				\
}

RMAI_NODE_ATTR(state);
RMAI_NODE_ATTR(epoch);
RMAI_NODE_ATTR(role);
RMAI_NODE_ATTR(addr);
RMAI_NODE_ATTR(pool_bytes);
RMAI_NODE_ATTR(pool_used_bytes);
RMAI_NODE_ATTR(last_error);

static struct attribute *rmai_node_attrs[] = {
	&rmai_node_attr_state.attr,
	&rmai_node_attr_epoch.attr,
	&rmai_node_attr_role.attr,
	&rmai_node_attr_addr.attr,
	&rmai_node_attr_pool_bytes.attr,
	&rmai_node_attr_pool_used_bytes.attr,
	&rmai_node_attr_last_error.attr,
	NULL,
};
ATTRIBUTE_GROUPS(rmai_node);

static void rmai_node_kobj_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct rmai_node_kobj, kobj));
}

static const struct sysfs_ops rmai_node_sysfs_ops = {
	.show	= rmai_node_show,
};

static const struct kobj_type rmai_node_ktype = {
	.release	= rmai_node_kobj_release,
	.sysfs_ops	= &rmai_node_sysfs_ops,
	.default_groups	= rmai_node_groups,
};

static int rmai_sysfs_add_node(struct rmai_cluster *rc, u16 id)
{
	struct rmai_node_kobj *node;
	int err;

	node = kzalloc(sizeof(*node), GFP_KERNEL);
	if (!node)
		return -ENOMEM;
	node->rc = rc;
	node->id = id;
	err = kobject_init_and_add(&node->kobj, &rmai_node_ktype,
				   rmai_nodes_kobj, "%u", id);
	if (err) {
		kobject_put(&node->kobj);
		return err;
	}
	rmai_node_kobjs[id - 1] = node;
	return 0;
}

static void rmai_sysfs_del_nodes(void)
{
	unsigned int i;

	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		if (!rmai_node_kobjs[i])
			continue;
		/* Whoever has a file open may hold the last reference; not @rc */
		kobject_del(&rmai_node_kobjs[i]->kobj);
		kobject_put(&rmai_node_kobjs[i]->kobj);
		rmai_node_kobjs[i] = NULL;
	}
	kobject_put(rmai_nodes_kobj);
	rmai_nodes_kobj = NULL;
}

/**
 * rmai_sysfs_online() - show a cluster and its nodes
 * @rc: the one that the administrator configured; stays valid until
 *	rmai_sysfs_offline() has returned
 *
 * Context: process context, under rmai_config_lock; may sleep. From here on
 * rmai_node_info() and rmai_cluster_epoch() are called for @rc.
 * Return: 0, -EBUSY when one is shown already, -ENOMEM.
 */
int rmai_sysfs_online(struct rmai_cluster *rc)
{
	struct rmai_node_info info;
	unsigned int id;
	int err = 0;

	guard(mutex)(&rmai_sysfs_lock);
	if (rmai_sysfs_rc)
		return -EBUSY;
	rmai_nodes_kobj = kobject_create_and_add("nodes", rmai_kobj);
	if (!rmai_nodes_kobj)
		return -ENOMEM;
	for (id = 1; id <= RMAI_WIRE_NODES && !err; id++)
		if (!rmai_node_info(rc, id, &info))
			err = rmai_sysfs_add_node(rc, id);
	if (err) {
		rmai_sysfs_del_nodes();
		return err;
	}
	rmai_sysfs_rc = rc;
	return 0;
}

/**
 * rmai_sysfs_offline() - no longer show a cluster
 * @rc: the cluster; nothing happens if it is not shown
 *
 * Context: process context, under rmai_config_lock; waits for readers.
 */
void rmai_sysfs_offline(struct rmai_cluster *rc)
{
	guard(mutex)(&rmai_sysfs_lock);
	if (rmai_sysfs_rc != rc)
		return;
	rmai_sysfs_rc = NULL;
	rmai_sysfs_del_nodes();
}

/**
 * rmai_sysfs_init() - make /sys/kernel/mm/rmai/
 *
 * Context: process context at boot, once /sys/kernel/mm is there.
 * Return: 0, -ENOMEM.
 */
int __init rmai_sysfs_init(void)
{
	int err;

	rmai_kobj = kobject_create_and_add("rmai", mm_kobj);
	if (!rmai_kobj)
		return -ENOMEM;
	err = sysfs_create_groups(rmai_kobj, rmai_groups);
	if (err) {
		kobject_put(rmai_kobj);
		rmai_kobj = NULL;
	}
	return err;
}

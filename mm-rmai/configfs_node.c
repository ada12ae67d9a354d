// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/config/rmai/nodes/<id>/{addr,port,role,transport}: the nodes of
 * the cluster, this one among them.
 *
 * A node's directory must not go while this node is online, but ->drop_item()
 * has no way to refuse. So going online makes configfs depend on each of them,
 * which turns rmdir into EBUSY before anything is torn down.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/cleanup.h>
#include <linux/configfs.h>
#include <linux/ctype.h>
#include <linux/in.h>
#include <linux/inet.h>
#include <linux/kstrtox.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <net/ipv6.h>

#include "config.h"
#include "configfs.h"

/**
 * struct rmai_node_item - a directory below nodes/
 * @item: configfs' part
 * @id: node; its configuration is rmai_config.nodes[@id - 1]
 * @port: kept here too, as it may be written before the address
 * @depended: rmdir is refused, because the node is online
 */
struct rmai_node_item {
	struct config_item	item;
	u16			id;
	u16			port;
	bool			depended;
};

/* By id - 1; guarded by rmai_config_lock */
static struct rmai_node_item *rmai_node_items[RMAI_WIRE_NODES];

static struct rmai_node_item *to_rmai_node(struct config_item *item)
{
	return container_of(item, struct rmai_node_item, item);
}

static struct rmai_node_config *rmai_node_cfg(struct rmai_node_item *node)
{
	return &rmai_config.nodes[node->id - 1];
}

static ssize_t rmai_node_addr_show(struct config_item *item, char *page)
{
	const struct rmai_node_config *cfg = rmai_node_cfg(to_rmai_node(item));
	const struct sockaddr_in6 *in6 = (const void *)&cfg->addr;

	guard(mutex)(&rmai_config_lock);
	if (!cfg->addr.ss_family)
		return sysfs_emit(page, "\n");
	if (cfg->addr.ss_family == AF_INET6 && in6->sin6_scope_id)
		return sysfs_emit(page, "%pISc%%%u\n", in6, in6->sin6_scope_id);
	return sysfs_emit(page, "%pISc\n", &cfg->addr);
}

static bool rmai_addr_same(const struct sockaddr_storage *a,
			   const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (!a->ss_family || a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr &&
		       a4->sin_port == b4->sin_port;
	return ipv6_addr_equal(&a6->sin6_addr, &b6->sin6_addr) &&
	       a6->sin6_port == b6->sin6_port &&
	       a6->sin6_scope_id == b6->sin6_scope_id;
}

static int rmai_node_set_addr(struct rmai_node_item *node,
			      const struct sockaddr_storage *addr)
{
	struct rmai_node_config *cfg = rmai_config.nodes;
	unsigned int i;

	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		if (!cfg[i].id || cfg[i].id == node->id ||
		    !rmai_addr_same(&cfg[i].addr, addr))
			continue;
		pr_warn_ratelimited("node %u: %pISpc is already the address of node %u\n",
				    node->id, addr, cfg[i].id);
		return -EADDRINUSE;
	}
	rmai_node_cfg(node)->addr = *addr;
	return 0;
}

/* The address of one host, and nothing after it */
static int rmai_parse_addr(const char *val, struct sockaddr_storage *addr)
{
	struct sockaddr_in *in4 = (void *)addr;
	struct sockaddr_in6 *in6 = (void *)addr;
	const char *end;
	__be32 a;
	int type;

	if (in4_pton(val, -1, (u8 *)&a, -1, &end)) {
		if (*end || ipv4_is_zeronet(a) || ipv4_is_multicast(a) ||
		    ipv4_is_lbcast(a))
			return -EINVAL;
		in4->sin_family = AF_INET;
		in4->sin_addr.s_addr = a;
		return 0;
	}
	if (inet_pton_with_scope(&init_net, AF_INET6, val, NULL, addr))
		return -EINVAL;
	type = ipv6_addr_type(&in6->sin6_addr);
	/* inet_pton_with_scope() passes over the scope of any other address */
	if (strchr(val, '%') && !(type & IPV6_ADDR_LINKLOCAL))
		return -EINVAL;
	if (!(type & IPV6_ADDR_UNICAST) || (type & IPV6_ADDR_MAPPED))
		return -EINVAL;
	return 0;
}

static ssize_t rmai_node_addr_store(struct config_item *item,
				    const char *page, size_t len)
{
	struct rmai_node_item *node = to_rmai_node(item);
	struct sockaddr_storage addr = {};
	char val[RMAI_VALUE_MAX];
	int err;

	err = rmai_value("addr", page, val);
	if (err)
		return err;
	err = rmai_parse_addr(val, &addr);
	if (err) {
		pr_warn_ratelimited("node %u: '%s' is not the IPv4 or IPv6 address of a host\n",
				    node->id, val);
		return err;
	}
	guard(mutex)(&rmai_config_lock);
	err = rmai_frozen("addr");
	if (err)
		return err;
	((struct sockaddr_in *)&addr)->sin_port = htons(node->port);
	err = rmai_node_set_addr(node, &addr);
	return err ?: len;
}
CONFIGFS_ATTR(rmai_node_, addr);

static ssize_t rmai_node_port_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", READ_ONCE(to_rmai_node(item)->port));
}

static ssize_t rmai_node_port_store(struct config_item *item,
				    const char *page, size_t len)
{
	struct rmai_node_item *node = to_rmai_node(item);
	struct sockaddr_storage addr;
	char val[RMAI_VALUE_MAX];
	u16 port;
	int err;

	err = rmai_value("port", page, val);
	if (err)
		return err;
	err = kstrtou16(val, 10, &port);
	if (!err && !port)
		err = -EINVAL;
	if (err) {
		pr_warn_ratelimited("node %u: port '%s' is not a number from 1 to 65535\n",
				    node->id, val);
		return err;
	}
	guard(mutex)(&rmai_config_lock);
	err = rmai_frozen("port");
	if (err)
		return err;
	addr = rmai_node_cfg(node)->addr;
	if (addr.ss_family) {
		((struct sockaddr_in *)&addr)->sin_port = htons(port);
		err = rmai_node_set_addr(node, &addr);
		if (err)
			return err;
	}
	WRITE_ONCE(node->port, port);
	return len;
}
CONFIGFS_ATTR(rmai_node_, port);

static const char * const rmai_role_names[] = {
	[RMAI_ROLE_MEMORY]			= "memory",
	[RMAI_ROLE_COMPUTE]			= "compute",
	[RMAI_ROLE_MEMORY | RMAI_ROLE_COMPUTE]	= "memory,compute",
};

static ssize_t rmai_node_role_show(struct config_item *item, char *page)
{
	const struct rmai_node_config *cfg = rmai_node_cfg(to_rmai_node(item));

	return sysfs_emit(page, "%s\n", rmai_role_names[READ_ONCE(cfg->role)]);
}

static ssize_t rmai_node_role_store(struct config_item *item,
				    const char *page, size_t len)
{
	struct rmai_node_item *node = to_rmai_node(item);
	char val[RMAI_VALUE_MAX];
	u16 role;
	int err;

	err = rmai_value("role", page, val);
	if (err)
		return err;
	for (role = RMAI_ROLE_MEMORY; role < ARRAY_SIZE(rmai_role_names); role++)
		if (!strcmp(val, rmai_role_names[role]))
			break;
	if (role == ARRAY_SIZE(rmai_role_names)) {
		pr_warn_ratelimited("node %u: role '%s' is not memory, compute or memory,compute\n",
				    node->id, val);
		return -EINVAL;
	}
	guard(mutex)(&rmai_config_lock);
	err = rmai_frozen("role");
	if (err)
		return err;
	WRITE_ONCE(rmai_node_cfg(node)->role, role);
	return len;
}
CONFIGFS_ATTR(rmai_node_, role);

static ssize_t rmai_node_transport_show(struct config_item *item, char *page)
{
	const struct rmai_node_config *cfg = rmai_node_cfg(to_rmai_node(item));

	return sysfs_emit(page, "%s\n", READ_ONCE(cfg->loop) ? "loop" : "rdma");
}

static ssize_t rmai_node_transport_store(struct config_item *item,
					 const char *page, size_t len)
{
	struct rmai_node_item *node = to_rmai_node(item);
	char val[RMAI_VALUE_MAX];
	bool loop;
	int err;

	err = rmai_value("transport", page, val);
	if (err)
		return err;
	loop = !strcmp(val, "loop");
	if (!loop && strcmp(val, "rdma")) {
		pr_warn_ratelimited("node %u: transport '%s' is neither rdma nor loop\n",
				    node->id, val);
		return -EINVAL;
	}
	guard(mutex)(&rmai_config_lock);
	err = rmai_frozen("transport");
	if (err)
		return err;
	WRITE_ONCE(rmai_node_cfg(node)->loop, loop);
	return len;
}
CONFIGFS_ATTR(rmai_node_, transport);

static struct configfs_attribute *rmai_node_attrs[] = {
	&rmai_node_attr_addr,
	&rmai_node_attr_port,
	&rmai_node_attr_role,
	&rmai_node_attr_transport,
	NULL,
};

static void rmai_node_release(struct config_item *item)
{
	kfree(to_rmai_node(item));
}

static struct configfs_item_operations rmai_node_item_ops = {
	.release	= rmai_node_release,
};

static const struct config_item_type rmai_node_type = {
	.ct_item_ops	= &rmai_node_item_ops,
	.ct_attrs	= rmai_node_attrs,
};

static struct config_item *rmai_nodes_make(struct config_group *group,
					   const char *name)
{
	struct rmai_node_item *node;
	u16 id;
	int err;

	/* No sign and no leading zero: a node has one directory */
	if (!isdigit(*name) || *name == '0' || kstrtou16(name, 10, &id) ||
	    id > RMAI_WIRE_NODES) {
		pr_warn_ratelimited("nodes/%s: the name must be a node's id, 1 to %u\n",
				    name, RMAI_WIRE_NODES);
		return ERR_PTR(-EINVAL);
	}
	guard(mutex)(&rmai_config_lock);
	err = rmai_frozen("the list of nodes");
	if (err)
		return ERR_PTR(err);
	node = kzalloc(sizeof(*node), GFP_KERNEL);
	if (!node)
		return ERR_PTR(-ENOMEM);
	node->id = id;
	node->port = RMAI_DEFAULT_PORT;
	config_item_init_type_name(&node->item, name, &rmai_node_type);
	*rmai_node_cfg(node) = (struct rmai_node_config) {
		.id	= id,
		.role	= RMAI_ROLE_MEMORY | RMAI_ROLE_COMPUTE,
	};
	rmai_node_items[id - 1] = node;
	return &node->item;
}

static void rmai_nodes_drop(struct config_group *group,
			    struct config_item *item)
{
	struct rmai_node_item *node = to_rmai_node(item);

	scoped_guard(mutex, &rmai_config_lock) {
		rmai_node_items[node->id - 1] = NULL;
		*rmai_node_cfg(node) = (struct rmai_node_config) {};
	}
	config_item_put(item);
}

static struct configfs_group_operations rmai_nodes_ops = {
	.make_item	= rmai_nodes_make,
	.drop_item	= rmai_nodes_drop,
};

static const struct config_item_type rmai_nodes_type = {
	.ct_group_ops	= &rmai_nodes_ops,
};

/**
 * rmai_nodes_undepend() - allow rmdir of nodes again
 *
 * Context: rmai_config_lock is held.
 */
void rmai_nodes_undepend(void)
{
	struct rmai_node_item *node;
	unsigned int i;

	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		node = rmai_node_items[i];
		if (!node || !node->depended)
			continue;
		node->depended = false;
		configfs_undepend_item(&node->item);
	}
}

/**
 * rmai_nodes_depend() - refuse rmdir of nodes
 * @subsys: to which they belong
 *
 * Context: rmai_config_lock is held.
 * Return: 0; -EBUSY: a mkdir or rmdir is under way.
 */
int rmai_nodes_depend(struct configfs_subsystem *subsys)
{
	struct rmai_node_item *node;
	unsigned int i;
	int err;

	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		node = rmai_node_items[i];
		if (!node)
			continue;
		err = configfs_depend_item_unlocked(subsys, &node->item);
		if (err) {
			/* -ENOENT: between mkdir or rmdir and its end */
			pr_warn_ratelimited("node %u is just being made or removed; try again\n",
					    node->id);
			rmai_nodes_undepend();
			return -EBUSY;
		}
		node->depended = true;
	}
	return 0;
}

static struct config_group rmai_nodes_group;

/**
 * rmai_nodes_init() - make nodes/
 * @parent: below this group
 */
void __init rmai_nodes_init(struct config_group *parent)
{
	config_group_init_type_name(&rmai_nodes_group, "nodes",
				    &rmai_nodes_type);
	configfs_add_default_group(&rmai_nodes_group, parent);
}

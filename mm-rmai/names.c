// SPDX-License-Identifier: GPL-2.0
/*
 * The names that hash to this node: name -> region. A region's owner is the node
 * that its first name hashed to; after a rename the name may stand elsewhere.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/jhash.h>
#include <linux/slab.h>

#include "internal.h"

/**
 * struct rmai_name - a name
 * @hash: in rc->names
 * @id: region
 * @owner_epoch: incarnation of its owner
 * @cookie: place in the order of readdir
 * @len: bytes of @name
 * @name: not terminated
 */
struct rmai_name {
	struct hlist_node	hash;
	u64			id;
	u64			owner_epoch;
	u32			cookie;
	u16			len;
	char			name[];
};

static u32 rmai_name_hash(const char *name, size_t len)
{
	return jhash(name, len, 0x524d4149);
}

/**
 * rmai_name_node() - the memory node that keeps a name
 * @rc: membership
 * @name: the name
 * @len: its bytes
 *
 * Return: node id; the same on all nodes, for HELLO compares the memory nodes.
 */
u16 rmai_name_node(struct rmai_cluster *rc, const char *name, size_t len)
{
	u16 ids[RMAI_WIRE_NODES];
	int n = rmai_memory_nodes(rc, ids);

	return ids[rmai_name_hash(name, len) % n];
}

static struct rmai_name *rmai_name_find(struct rmai_cluster *rc,
					const struct rmai_msg_name *nm)
{
	u32 key = rmai_name_hash(nm->name, nm->len);
	struct rmai_name *n;

	hash_for_each_possible(rc->names, n, hash, key) {
		if (n->len == nm->len && !memcmp(n->name, nm->name, nm->len))
			return n;
	}
	return NULL;
}

int rmai_names_lookup(struct rmai_cluster *rc, const struct rmai_msg_name *nm,
		      struct rmai_msg_id *out)
{
	struct rmai_name *n;

	mutex_lock(&rc->names_lock);
	n = rmai_name_find(rc, nm);
	if (n) {
		out->id = n->id;
		out->owner_epoch = n->owner_epoch;
	}
	mutex_unlock(&rc->names_lock);
	return n ? 0 : -ENOENT;
}

/**
 * rmai_names_add() - give a region a name
 * @rc: this node
 * @nm: the name
 * @id: region
 * @owner_epoch: of its owner
 * @excl: do not replace what the name stands for now
 * @old: the region that lost the name; id 0 for none
 *
 * Return: 0 (also when the name stands for @id already), -EEXIST, -ENOMEM, or
 * -EXDEV when the name does not hash to this node, -EINVAL for a region that no
 * configured memory node can own.
 */
int rmai_names_add(struct rmai_cluster *rc, const struct rmai_msg_name *nm,
		   u64 id, u64 owner_epoch, bool excl, struct rmai_msg_id *old)
{
	struct rmai_name *n, *fresh;
	u16 owner = rmai_id_owner(id);
	int err = 0;

	old->id = 0;
	old->owner_epoch = 0;
	if (owner < 1 || owner > RMAI_WIRE_NODES ||
	    !(rc->cfg.nodes[owner - 1].role & RMAI_ROLE_MEMORY))
		return -EINVAL;
	if (rmai_name_node(rc, nm->name, nm->len) != rc->self)
		return -EXDEV;
	fresh = kmalloc(struct_size(fresh, name, nm->len), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return -ENOMEM;
	fresh->id = id;
	fresh->owner_epoch = owner_epoch;
	fresh->len = nm->len;
	memcpy(fresh->name, nm->name, nm->len);

	mutex_lock(&rc->names_lock);
	n = rmai_name_find(rc, nm);
	if (!n) {
		err = xa_alloc_cyclic(&rc->names_by_cookie, &fresh->cookie, fresh,
				      xa_limit_31b, &rc->next_cookie, GFP_KERNEL);
		if (err >= 0) {
			hash_add(rc->names, &fresh->hash,
				 rmai_name_hash(nm->name, nm->len));
			fresh = NULL;
			err = 0;
		}
	} else if (n->id != id) {
		if (excl) {
			err = -EEXIST;
		} else {
			old->id = n->id;
			old->owner_epoch = n->owner_epoch;
			n->id = id;
			n->owner_epoch = owner_epoch;
		}
	}
	mutex_unlock(&rc->names_lock);
	kfree(fresh);
	return err;
}

static void rmai_name_del(struct rmai_cluster *rc, struct rmai_name *n)
{
	hash_del(&n->hash);
	xa_erase(&rc->names_by_cookie, n->cookie);
	kfree(n);
}

/**
 * rmai_names_remove() - take a name from a region
 * @rc: this node
 * @nm: the name, and the region that it should stand for
 *
 * Return: 0 or -ENOENT.
 */
int rmai_names_remove(struct rmai_cluster *rc, const struct rmai_msg_name *nm)
{
	struct rmai_name *n;
	int err = -ENOENT;

	mutex_lock(&rc->names_lock);
	n = rmai_name_find(rc, nm);
	if (n && n->id == nm->id) {
		rmai_name_del(rc, n);
		err = 0;
	}
	mutex_unlock(&rc->names_lock);
	return err;
}

/**
 * rmai_names_list() - names after a cookie
 * @rc: this node
 * @rd: in: cookie; out: entries
 *
 * Return: 0.
 */
int rmai_names_list(struct rmai_cluster *rc, struct rmai_msg_readdir *rd)
{
	unsigned long cookie = rd->cookie;
	struct rmai_name *n;

	rd->eof = 1;
	mutex_lock(&rc->names_lock);
	xa_for_each_start(&rc->names_by_cookie, cookie, n, cookie + 1) {
		if (rmai_wire_add_dirent(rd, n->id, n->cookie, n->name, n->len)) {
			rd->eof = 0;
			break;
		}
		rd->cookie = n->cookie;
	}
	mutex_unlock(&rc->names_lock);
	return 0;
}

/**
 * rmai_names_purge() - drop names of regions that went with their owner
 * @rc: this node
 * @owner: node that has rebooted
 * @epoch: its new incarnation
 */
void rmai_names_purge(struct rmai_cluster *rc, u16 owner, u64 epoch)
{
	unsigned long cookie;
	struct rmai_name *n;

	mutex_lock(&rc->names_lock);
	xa_for_each(&rc->names_by_cookie, cookie, n) {
		if (rmai_id_owner(n->id) != owner || n->owner_epoch == epoch)
			continue;
		pr_warn("node %u: region %llx \"%.*s\" is gone with node %u\n",
			rc->self, n->id, n->len, n->name, owner);
		rmai_name_del(rc, n);
	}
	mutex_unlock(&rc->names_lock);
}

void rmai_names_destroy(struct rmai_cluster *rc)
{
	unsigned long cookie;
	struct rmai_name *n;

	mutex_lock(&rc->names_lock);
	xa_for_each(&rc->names_by_cookie, cookie, n)
		rmai_name_del(rc, n);
	mutex_unlock(&rc->names_lock);
	xa_destroy(&rc->names_by_cookie);
}

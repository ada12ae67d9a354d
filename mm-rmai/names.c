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
 * @claim: region that is about to take its place, or 0
 * @claim_epoch: incarnation of that one's owner
 * @lost: the owner of @id has rebooted since it was claimed
 * @claim_lost: the owner of @claim has
 * @cookie: place in the order of readdir
 * @len: bytes of @name
 * @name: not terminated
 */
struct rmai_name {
	struct hlist_node	hash;
	u64			id;
	u64			owner_epoch;
	u64			claim;
	u64			claim_epoch;
	bool			lost;
	bool			claim_lost;
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

static struct rmai_name *rmai_name_find(struct rmai_cluster *rc, const char *name,
					size_t len)
{
	u32 key = rmai_name_hash(name, len);
	struct rmai_name *n;

	hash_for_each_possible(rc->names, n, hash, key) {
		if (n->len == len && !memcmp(n->name, name, len))
			return n;
	}
	return NULL;
}

int rmai_names_lookup(struct rmai_cluster *rc, const struct rmai_msg_name *nm,
		      struct rmai_msg_id *out)
{
	struct rmai_name *n;

	mutex_lock(&rc->names_lock);
	n = rmai_name_find(rc, nm->name, nm->len);
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
 * Return: 0 (also when the name stands for @id already), -EEXIST, -ENOMEM, -EBUSY (a
 * region is being published under it) or
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
	fresh->claim = 0;
	fresh->lost = false;
	fresh->claim_lost = false;
	fresh->len = nm->len;
	memcpy(fresh->name, nm->name, nm->len);

	mutex_lock(&rc->names_lock);
	n = rmai_name_find(rc, nm->name, nm->len);
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
		} else if (n->claim) {
			err = -EBUSY;
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
 * Return: 0, -ENOENT, or -EBUSY (a region is being published under it).
 */
int rmai_names_remove(struct rmai_cluster *rc, const struct rmai_msg_name *nm)
{
	struct rmai_name *n;
	int err = -ENOENT;

	mutex_lock(&rc->names_lock);
	n = rmai_name_find(rc, nm->name, nm->len);
	if (n && n->id == nm->id && n->claim) {
		err = -EBUSY;
	} else if (n && n->id == nm->id) {
		rmai_name_del(rc, n);
		err = 0;
	}
	mutex_unlock(&rc->names_lock);
	return err;
}

/**
 * rmai_names_claim() - a region is about to take the place of another
 * @rc: this node
 * @p: name, the region that it must stand for, and the one that is to have it
 *
 * From then on nobody else changes the name, until rmai_names_settle().
 *
 * Return: 0; 1: it has it already; -ENOENT, -ESTALE (the name stands for another
 * region), -EBUSY (another region is about to have it), -EAGAIN (this very one is).
 */
int rmai_names_claim(struct rmai_cluster *rc, const struct rmai_msg_publish *p)
{
	struct rmai_name *n;
	int err = 0;

	mutex_lock(&rc->names_lock);
	n = rmai_name_find(rc, p->name, p->len);
	if (!n) {
		err = -ENOENT;
	} else if (n->id == p->id) {
		err = 1;
	} else if (n->claim) {
		err = n->claim == p->id ? -EAGAIN : -EBUSY;
	} else if (n->id != p->old) {
		err = -ESTALE;
	} else {
		n->claim = p->id;
		n->claim_epoch = p->owner_epoch;
	}
	mutex_unlock(&rc->names_lock);
	return err;
}

/* The region of a name is gone with its owner, and so is the name */
static void rmai_name_lost(struct rmai_cluster *rc, struct rmai_name *n)
{
	pr_warn("node %u: region %llx \"%.*s\" is gone with node %u\n",
		rc->self, n->id, n->len, n->name, rmai_id_owner(n->id));
	rmai_name_del(rc, n);
}

/**
 * rmai_names_settle() - it has taken its place, or does not
 * @rc: this node
 * @p: as claimed
 * @take: it has
 */
void rmai_names_settle(struct rmai_cluster *rc, const struct rmai_msg_publish *p,
		       bool take)
{
	struct rmai_name *n;

	mutex_lock(&rc->names_lock);
	n = rmai_name_find(rc, p->name, p->len);
	if (n && n->claim == p->id) {
		bool lost = take ? n->claim_lost : n->lost;

		if (take) {
			n->id = n->claim;
			n->owner_epoch = n->claim_epoch;
		}
		n->claim = 0;
		n->lost = false;
		n->claim_lost = false;
		if (lost)
			rmai_name_lost(rc, n);
	}
	mutex_unlock(&rc->names_lock);
	wake_up_all(&rc->names_wait);
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
 *
 * One that is claimed goes, if it has to, when that is settled.
 */
void rmai_names_purge(struct rmai_cluster *rc, u16 owner, u64 epoch)
{
	unsigned long cookie;
	struct rmai_name *n;

	mutex_lock(&rc->names_lock);
	xa_for_each(&rc->names_by_cookie, cookie, n) {
		bool lost = rmai_id_owner(n->id) == owner && n->owner_epoch != epoch;

		if (n->claim) {
			n->lost |= lost;
			n->claim_lost |= rmai_id_owner(n->claim) == owner &&
					 n->claim_epoch != epoch;
		} else if (lost) {
			rmai_name_lost(rc, n);
		}
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

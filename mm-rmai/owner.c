// SPDX-License-Identifier: GPL-2.0
/*
 * Regions owned by this node: attributes, who has them open, their addresses,
 * their end.
 *
 * A region lives while it has a name or some node has it open. Then its owner
 * tells every node that may hold bytes of it to drop them, until each has
 * answered or has rebooted.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "internal.h"

#define RMAI_FREE_RETRY	(2 * HZ)

static u64 rmai_slice_size(struct rmai_cluster *rc)
{
	return rc->space.size;
}

static struct rmai_region *rmai_region_get(struct rmai_cluster *rc, u64 id)
{
	struct rmai_region *r;

	rcu_read_lock();
	r = xa_load(&rc->regions, id);
	if (r && !refcount_inc_not_zero(&r->ref))
		r = NULL;
	rcu_read_unlock();
	return r;
}

static void rmai_region_put(struct rmai_region *r)
{
	if (refcount_dec_and_test(&r->ref))
		kfree_rcu(r, rcu);
}

/* Fills in what the creator left open. Nodes: the memory nodes that are there */
static int rmai_region_layout(struct rmai_cluster *rc, struct rmai_wire_attr *a)
{
	u16 ids[RMAI_WIRE_NODES];
	struct rmai_geom g;
	int i, n;

	if (!a->vmr_size)
		a->vmr_size = RMAI_VMR_DEFAULT;
	if (!a->nr_nodes) {
		n = rmai_memory_nodes(rc, ids);
		for (i = 0; i < n; i++) {
			struct rmai_peer *peer = rmai_peer(rc, ids[i]);

			if (ids[i] == rc->self ||
			    READ_ONCE(peer->state) == RMAI_PEER_UP)
				a->nodes[a->nr_nodes++].id = ids[i];
		}
	}
	for (i = 0; i < a->nr_nodes; i++) {
		u16 id = a->nodes[i].id;

		if (!(rc->cfg.nodes[id - 1].role & RMAI_ROLE_MEMORY))
			return -EINVAL;
		a->nodes[i].epoch = rmai_node_epoch(rc, id);
		if (!a->nodes[i].epoch)
			return -EHOSTDOWN;
	}
	if (!a->stripe)
		a->stripe = rmai_default_stripe(a->vmr_size);
	g.size = a->size;
	g.vmr_size = a->vmr_size;
	g.stripe = a->stripe;
	g.nr_nodes = a->nr_nodes;
	return rmai_geom_valid(&g) ? 0 : -EINVAL;
}

static void rmai_region_touch(struct rmai_region *r, bool data)
{
	r->attr.ctime_ns = ktime_get_real_ns();
	if (data)
		r->attr.mtime_ns = r->attr.ctime_ns;
	r->attr.change++;
}

/**
 * rmai_owner_create() - make a region
 * @rc: this node
 * @src: for whom
 * @nm: what is wanted
 * @out: attributes
 *
 * Return: 0 (also for a repeat of a request, with the region of the first),
 * -EINVAL, -EFBIG, -EHOSTDOWN (a node of the layout has not been seen), -ENOMEM.
 */
int rmai_owner_create(struct rmai_cluster *rc, u16 src,
		      const struct rmai_msg_name *nm, struct rmai_wire_attr *out)
{
	struct rmai_region *r = NULL;
	int i, err;

	if (!(rc->cfg.nodes[rc->self - 1].role & RMAI_ROLE_MEMORY))
		return -EINVAL;
	if (nm->attr.size > rmai_slice_size(rc))
		return -EFBIG;
	mutex_lock(&rc->made_lock);
	for (i = 0; i < ARRAY_SIZE(rc->made) && !r; i++) {
		if (rc->made[i].token == nm->token && nm->token)
			r = rmai_region_get(rc, rc->made[i].id);
	}
	if (r) {
		mutex_unlock(&rc->made_lock);
		goto out;
	}

	err = -ENOMEM;
	r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	if (!r)
		goto unlock;
	refcount_set(&r->ref, 2);	/* the table's and ours */
	mutex_init(&r->lock);
	r->attr = nm->attr;
	r->attr.flags &= RMAI_REGION_ANON;
	r->attr.owner = rc->self;
	r->attr.owner_epoch = rc->epoch;
	r->attr.addr = 0;
	r->attr.length = 0;
	r->attr.seals = 0;
	r->attr.fetch = RMAI_FETCH_DEFAULT;
	r->attr.generation = 1;
	r->attr.cache_min = 0;
	r->attr.cache_max = 0;
	r->attr.nlink = nm->len ? 1 : 0;
	err = rmai_region_layout(rc, &r->attr);
	if (err)
		goto free;
	rmai_region_touch(r, true);
	__set_bit(src - 1, r->knowers);
	if (!nm->len)
		__set_bit(src - 1, r->openers);
	r->id = atomic64_inc_return(&rc->next_id);
	r->attr.id = r->id;
	err = xa_err(xa_store(&rc->regions, r->id, r, GFP_KERNEL));
	if (err)
		goto free;
	rc->made[rc->made_next].token = nm->token;
	rc->made[rc->made_next].id = r->id;
	rc->made_next = (rc->made_next + 1) % ARRAY_SIZE(rc->made);
	mutex_unlock(&rc->made_lock);
	rmai_count(regions, 1);
out:
	mutex_lock(&r->lock);
	*out = r->attr;
	mutex_unlock(&r->lock);
	rmai_region_put(r);
	return 0;
free:
	kfree(r);
unlock:
	mutex_unlock(&rc->made_lock);
	return err;
}

/* Find and lock; NULL when it is gone */
static struct rmai_region *rmai_region_lock(struct rmai_cluster *rc, u64 id)
{
	struct rmai_region *r = rmai_region_get(rc, id);

	if (!r)
		return NULL;
	mutex_lock(&r->lock);
	if (!r->gone)
		return r;
	mutex_unlock(&r->lock);
	rmai_region_put(r);
	return NULL;
}

static void rmai_region_unlock(struct rmai_region *r)
{
	mutex_unlock(&r->lock);
	rmai_region_put(r);
}

/* Tell nodes to drop all of the region; the ones not told stay in knowers */
static void rmai_region_tell_free(struct rmai_cluster *rc, struct rmai_region *r,
				  bool wait)
{
	struct rmai_msg *msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_FREE);
	unsigned int bit;

	if (!msg)
		return;
	for_each_set_bit(bit, r->knowers, RMAI_WIRE_NODES) {
		struct rmai_peer *peer = rmai_peer(rc, bit + 1);
		int err;

		if (peer && !wait && READ_ONCE(peer->state) != RMAI_PEER_UP)
			continue;
		rmai_msg_init(msg, RMAI_MSG_FREE);
		msg->id.id = r->id;
		msg->id.owner_epoch = rc->epoch;
		err = rmai_call(rc, bit + 1, msg);
		if (!err || (err != -EHOSTDOWN && err != -EINTR && err != -ENOMEM))
			__clear_bit(bit, r->knowers);
	}
	kfree(msg);
}

static void rmai_region_free_work(struct work_struct *work)
{
	struct rmai_region *r = container_of(work, struct rmai_region,
					     free_work.work);
	struct rmai_cluster *rc = r->rc;

	mutex_lock(&r->lock);
	rmai_region_tell_free(rc, r, false);
	if (!bitmap_empty(r->knowers, RMAI_WIRE_NODES) &&
	    !READ_ONCE(rc->stopping)) {
		/* A node that is away keeps its pages until it hears of it */
		queue_delayed_work(rc->serve_wq, &r->free_work, RMAI_FREE_RETRY);
		mutex_unlock(&r->lock);
		return;
	}
	mutex_unlock(&r->lock);
	if (r->attr.addr)
		rmai_space_free(&rc->space, r->attr.addr);
	rmai_count(address_bytes, -(s64)r->attr.length);
	rmai_count(regions, -1);
	atomic_dec(&rc->freeing);
	rmai_region_put(r);
}

/* No name and not open anywhere: it ends. r->lock is held; consumes nothing */
static bool rmai_region_maybe_free(struct rmai_cluster *rc, struct rmai_region *r)
{
	int i;

	if (r->attr.nlink || !bitmap_empty(r->openers, RMAI_WIRE_NODES))
		return false;
	r->gone = true;
	xa_erase(&rc->regions, r->id);	/* its reference goes to free_work */
	for (i = 0; i < r->attr.nr_nodes; i++)
		__set_bit(r->attr.nodes[i].id - 1, r->knowers);
	r->rc = rc;
	atomic_inc(&rc->freeing);
	INIT_DELAYED_WORK(&r->free_work, rmai_region_free_work);
	rmai_region_tell_free(rc, r, false);
	queue_delayed_work(rc->serve_wq, &r->free_work, 0);
	return true;
}

int rmai_owner_getattr(struct rmai_cluster *rc, u16 src, u64 id, u64 epoch,
		       struct rmai_wire_attr *out)
{
	struct rmai_region *r = rmai_region_lock(rc, id);

	if (!r)
		return -ESTALE;
	__set_bit(src - 1, r->knowers);
	*out = r->attr;
	rmai_region_unlock(r);
	return 0;
}

int rmai_owner_open(struct rmai_cluster *rc, u16 src, u64 id,
		    struct rmai_wire_attr *out)
{
	struct rmai_region *r = rmai_region_lock(rc, id);

	if (!r)
		return -ESTALE;
	__set_bit(src - 1, r->openers);
	__set_bit(src - 1, r->knowers);
	*out = r->attr;
	rmai_region_unlock(r);
	return 0;
}

int rmai_owner_close(struct rmai_cluster *rc, u16 src, u64 id)
{
	struct rmai_region *r = rmai_region_lock(rc, id);

	if (!r)
		return 0;
	__clear_bit(src - 1, r->openers);
	rmai_region_maybe_free(rc, r);
	rmai_region_unlock(r);
	return 0;
}

int rmai_owner_unref(struct rmai_cluster *rc, u64 id)
{
	struct rmai_region *r = rmai_region_lock(rc, id);

	if (!r)
		return 0;
	if (r->attr.nlink) {
		r->attr.nlink--;
		rmai_region_touch(r, false);
	}
	rmai_region_maybe_free(rc, r);
	rmai_region_unlock(r);
	return 0;
}

static int rmai_region_ask(struct rmai_cluster *rc, struct rmai_region *r, u16 node,
			   u8 type, u64 size, u32 seals, struct rmai_msg *msg)
{
	rmai_msg_init(msg, type);
	msg->setattr.id = r->id;
	msg->setattr.owner_epoch = rc->epoch;
	msg->setattr.attr = r->attr;
	msg->setattr.attr.size = size;
	msg->setattr.attr.seals = seals;
	return rmai_call(rc, node, msg);
}

/*
 * Ask each node that has it open, then each home; stops at the first error. Who has it
 * open and cannot be had does not count: nothing that it was granted is left then.
 */
static int rmai_region_ask_all(struct rmai_cluster *rc, struct rmai_region *r,
			       u8 type, u64 size, u32 seals)
{
	struct rmai_msg *msg = rmai_msg_alloc(GFP_KERNEL, type);
	DECLARE_BITMAP(homes, RMAI_WIRE_NODES);
	unsigned int bit;
	int i, err = 0;

	if (!msg)
		return -ENOMEM;
	bitmap_zero(homes, RMAI_WIRE_NODES);
	for (i = 0; i < r->attr.nr_nodes; i++)
		__set_bit(r->attr.nodes[i].id - 1, homes);
	for_each_set_bit(bit, r->openers, RMAI_WIRE_NODES) {
		if (test_bit(bit, homes))
			continue;
		err = rmai_region_ask(rc, r, bit + 1, type, size, seals, msg);
		if (err && err != -EHOSTDOWN && err != -ESTALE)
			goto out;
	}
	err = 0;
	for_each_set_bit(bit, homes, RMAI_WIRE_NODES) {
		err = rmai_region_ask(rc, r, bit + 1, type, size, seals, msg);
		if (err)
			break;
	}
out:
	kfree(msg);
	return err;
}

static int rmai_region_set_size(struct rmai_cluster *rc, struct rmai_region *r,
				u64 size)
{
	int err;

	if (size == r->attr.size)
		return 0;
	if (size > r->attr.size && (r->attr.seals & F_SEAL_GROW))
		return -EPERM;
	if (size < r->attr.size && (r->attr.seals & F_SEAL_SHRINK))
		return -EPERM;
	if (size > rmai_slice_size(rc) || (r->attr.addr && size > r->attr.length))
		return -EFBIG;
	if (size < r->attr.size) {
		err = rmai_region_ask_all(rc, r, RMAI_MSG_TRUNC, size,
					  r->attr.seals);
		if (err)
			return err;
	}
	r->attr.size = size;
	rmai_region_touch(r, true);
	return 0;
}

static int rmai_region_set_layout(struct rmai_cluster *rc, struct rmai_region *r,
				  const struct rmai_wire_attr *want, u32 mask)
{
	struct rmai_wire_attr *a;
	int err;

	if (r->attr.size || r->attr.addr || r->attr.seals)
		return -EBUSY;
	a = kmemdup(&r->attr, sizeof(*a), GFP_KERNEL);
	if (!a)
		return -ENOMEM;
	if (mask & RMAI_SET_VMR_SIZE) {
		a->vmr_size = want->vmr_size;
		a->stripe = 0;
	}
	if (mask & RMAI_SET_STRIPE)
		a->stripe = want->stripe;
	if (mask & RMAI_SET_LAYOUT) {
		a->nr_nodes = want->nr_nodes;
		memcpy(a->nodes, want->nodes, sizeof(a->nodes));
	}
	err = rmai_region_layout(rc, a);
	if (!err)
		r->attr = *a;
	kfree(a);
	return err;
}

static int rmai_region_set_addr(struct rmai_cluster *rc, struct rmai_region *r,
				u64 want)
{
	u64 len = max(want, r->attr.size), addr;
	int err;

	if (r->attr.addr)
		return 0;
	if (!len)
		return -EINVAL;
	len = ALIGN(len, PMD_SIZE);
	err = rmai_space_alloc(&rc->space, len, PMD_SIZE, xa_mk_value(r->id),
			       &addr);
	if (err)
		return err;
	r->attr.addr = addr;
	r->attr.length = len;
	rmai_count(address_bytes, len);
	r->attr.change++;
	return 0;
}

static int rmai_region_seal(struct rmai_cluster *rc, struct rmai_region *r,
			    u32 seals)
{
	u32 new = r->attr.seals | seals;
	int err;

	if (r->attr.seals & F_SEAL_SEAL)
		return -EPERM;
	if ((new & RMAI_SEALED) == RMAI_SEALED && r->attr.size) {
		err = rmai_region_set_addr(rc, r, 0);
		if (err)
			return err;
	}
	if ((new & F_SEAL_WRITE) && !(r->attr.seals & F_SEAL_WRITE)) {
		err = rmai_region_ask_all(rc, r, RMAI_MSG_FREEZE,
					  r->attr.size, new);
		if (err) {
			/* All or none of them */
			rmai_region_ask_all(rc, r, RMAI_MSG_FREEZE,
					    r->attr.size, r->attr.seals);
			return err;
		}
	}
	r->attr.seals = new;
	rmai_region_touch(r, false);
	return 0;
}

static int rmai_region_set(struct rmai_cluster *rc, struct rmai_region *r,
			   u32 mask, const struct rmai_wire_attr *want)
{
	int err = 0;

	/* It is about to get another's name; without any it would end with its last user */
	if ((mask & RMAI_SET_GENERATION) && !r->attr.nlink)
		return -ENOENT;
	if ((mask & RMAI_SET_GENERATION) && (r->attr.seals & RMAI_SEALED) != RMAI_SEALED)
		return -EINVAL;
	if (mask & (RMAI_SET_VMR_SIZE | RMAI_SET_STRIPE | RMAI_SET_LAYOUT))
		err = rmai_region_set_layout(rc, r, want, mask);
	if (!err && (mask & RMAI_SET_SIZE))
		err = rmai_region_set_size(rc, r, want->size);
	if (!err && (mask & RMAI_SET_EXTEND) && want->size > r->attr.size)
		err = rmai_region_set_size(rc, r, want->size);
	if (err)
		return err;
	if (mask & RMAI_SET_MODE)
		r->attr.mode = want->mode;
	if (mask & RMAI_SET_UID)
		r->attr.uid = want->uid;
	if (mask & RMAI_SET_GID)
		r->attr.gid = want->gid;
	if (mask & RMAI_SET_ON_LOSS)
		r->attr.on_loss = want->on_loss;
	if (mask & RMAI_SET_FETCH)
		r->attr.fetch = want->fetch;
	if (mask & RMAI_SET_CACHE) {
		r->attr.cache_min = want->cache_min;
		r->attr.cache_max = want->cache_max;
	}
	/* Never back: an attempt to publish it that failed leaves a gap */
	if (mask & RMAI_SET_GENERATION)
		r->attr.generation = max(r->attr.generation, want->generation);
	rmai_region_touch(r, false);
	if (mask & RMAI_SET_MTIME)
		r->attr.mtime_ns = want->mtime_ns;
	return 0;
}

/**
 * rmai_owner_setattr() - SETATTR, SEAL and ADDR
 * @rc: this node
 * @src: who asks
 * @type: which of them
 * @sa: request
 * @out: attributes after it
 *
 * Return: 0; -ESTALE; -EPERM (seals), -EFBIG (slice, or reserved range), -EBUSY
 * (geometry of a region that is not empty; a home has it mapped writable),
 * -ENOMEM (address space, memory), -EINVAL (also: a generation of what is not sealed),
 * -ENOENT (or has no name), or the error of a home.
 */
int rmai_owner_setattr(struct rmai_cluster *rc, u16 src, u8 type,
		       const struct rmai_msg_setattr *sa,
		       struct rmai_wire_attr *out)
{
	struct rmai_region *r = rmai_region_lock(rc, sa->id);
	int err;

	if (!r)
		return -ESTALE;
	__set_bit(src - 1, r->knowers);
	if (type == RMAI_MSG_SEAL)
		err = rmai_region_seal(rc, r, sa->attr.seals);
	else if (type == RMAI_MSG_ADDR)
		err = rmai_region_set_addr(rc, r, sa->attr.length);
	else
		err = rmai_region_set(rc, r, sa->mask, &sa->attr);
	*out = r->attr;
	rmai_region_unlock(r);
	return err;
}

/**
 * rmai_owner_attach() - a node maps an address
 * @rc: this node
 * @src: which node
 * @op: address, and who wants which access
 * @out: attributes of the region
 *
 * Return: 0, -ENOENT (nothing there), -EACCES.
 */
int rmai_owner_attach(struct rmai_cluster *rc, u16 src,
		      const struct rmai_msg_open *op, struct rmai_wire_attr *out)
{
	struct rmai_region *r = NULL;
	void *entry = rmai_space_lookup(&rc->space, op->addr);
	u32 mode;
	int err = 0;

	if (xa_is_value(entry))
		r = rmai_region_lock(rc, xa_to_value(entry));
	if (!r)
		return -ENOENT;
	mode = r->attr.mode;
	if (op->uid == r->attr.uid)
		mode >>= 6;
	else if (op->gid == r->attr.gid)
		mode >>= 3;
	if (op->uid && (op->access & mode & 7) != op->access) {
		err = -EACCES;
	} else {
		__set_bit(src - 1, r->openers);
		__set_bit(src - 1, r->knowers);
		*out = r->attr;
	}
	rmai_region_unlock(r);
	return err;
}

/**
 * rmai_owner_node_gone() - a node has a new incarnation: it has nothing open
 * @rc: this node
 * @node: which
 */
void rmai_owner_node_gone(struct rmai_cluster *rc, u16 node)
{
	struct rmai_region *r;
	unsigned long id;

	xa_for_each(&rc->regions, id, r) {
		r = rmai_region_lock(rc, id);
		if (!r)
			continue;
		__clear_bit(node - 1, r->openers);
		__clear_bit(node - 1, r->knowers);
		rmai_region_maybe_free(rc, r);
		rmai_region_unlock(r);
	}
}

/**
 * rmai_owner_destroy() - going offline: regions end with their node
 * @rc: this node; nothing runs any more
 */
void rmai_owner_destroy(struct rmai_cluster *rc)
{
	struct rmai_region *r;
	unsigned long id;

	xa_for_each(&rc->regions, id, r) {
		xa_erase(&rc->regions, id);
		rmai_count(address_bytes, -(s64)r->attr.length);
		rmai_count(regions, -1);
		rmai_region_put(r);
	}
	xa_destroy(&rc->regions);
}

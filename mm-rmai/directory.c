// SPDX-License-Identifier: GPL-2.0
/*
 * The directory: what a home knows of the VMRs that other nodes have of its open
 * regions, and who may have them next.
 *
 * Whatever changes an entry (a request of a node, a fault of this one, write(2),
 * truncation) is a transaction, which has the entry to itself; others wait in line,
 * first come first served, so that neither readers nor writers starve. A
 * transaction waits for other nodes, but these carry out INV and RECALL without
 * waiting for any entry: so all end. Who takes several entries takes them in the
 * order of their VMRs.
 *
 * The state is set before the pages follow: who maps a page checks the state, or
 * whether the page is uptodate, under the folio lock that rmai_home_revoke() takes
 * afterwards for every folio of the VMR.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include "directory.h"
#include "internal.h"
#include <trace/events/rmai.h>

/* In line for an entry */
struct rmai_dir_wait {
	struct list_head	list;
	struct completion	turn;
};

static void rmai_dir_set(struct rmai_inode *ri, struct rmai_dir *e,
			 enum rmai_dir_state state, u16 node)
{
	if (e->state == state && !node)
		return;
	trace_rmai_dir_state(ri->rc->self, ri->id, e->vmr, e->state, state, node, e->seq);
	/* Read under the lock, or by who has the entry */
	xa_lock(&ri->dirs);
	e->state = state;
	if (rmai_dir_home_writes(state) || state == RMAI_DIR_POISONED)
		e->wanted = false;
	xa_unlock(&ri->dirs);
}

/**
 * rmai_dir_lock() - have an entry to oneself
 * @ri: region
 * @vmr: index
 * @killable: give up after a fatal signal
 *
 * Context: may sleep, for whoever has it. Who takes several takes them in the order of
 * their VMRs.
 * Return: the entry, to be given back with rmai_dir_unlock(); ERR_PTR: -EINTR, -ENOMEM.
 */
struct rmai_dir *rmai_dir_lock(struct rmai_inode *ri, u64 vmr, bool killable)
{
	struct rmai_dir_wait w;
	struct rmai_dir *e;
	int err;

	for (;;) {
		xa_lock(&ri->dirs);
		e = xa_load(&ri->dirs, vmr);
		if (e)
			break;
		xa_unlock(&ri->dirs);
		e = kzalloc(sizeof(*e), GFP_KERNEL);
		if (!e)
			return ERR_PTR(-ENOMEM);
		e->vmr = vmr;
		e->busy = true;
		INIT_LIST_HEAD(&e->queue);
		err = xa_insert(&ri->dirs, vmr, e, GFP_KERNEL);
		if (!err)
			return e;
		kfree(e);
		if (err != -EBUSY)
			return ERR_PTR(err);
	}
	if (!e->busy) {
		e->busy = true;
		xa_unlock(&ri->dirs);
		return e;
	}
	init_completion(&w.turn);
	list_add_tail(&w.list, &e->queue);
	xa_unlock(&ri->dirs);
	if (!killable) {
		wait_for_completion(&w.turn);
		return e;
	}
	if (!wait_for_completion_killable(&w.turn))
		return e;
	xa_lock(&ri->dirs);
	if (!completion_done(&w.turn)) {
		list_del(&w.list);
		xa_unlock(&ri->dirs);
	} else {
		xa_unlock(&ri->dirs);
		rmai_dir_unlock(ri, e);
	}
	return ERR_PTR(-EINTR);
}

/* Only for what it counts? Fought over, and there is room to remember it */
static bool rmai_dir_keeps(struct rmai_inode *ri, struct rmai_dir *e)
{
	if (!e->heat.moves && e->heat.invs < 2)
		return false;
	if (!e->kept && ri->dirs_kept < RMAI_DIRS_KEPT) {
		e->kept = true;
		ri->dirs_kept++;
	}
	return e->kept;
}

/**
 * rmai_dir_unlock() - a transaction has ended: the next one's turn
 * @ri: region
 * @e: its entry; gone, if it says nothing and nobody waits for it
 */
void rmai_dir_unlock(struct rmai_inode *ri, struct rmai_dir *e)
{
	struct rmai_dir_wait *w;

	xa_lock(&ri->dirs);
	w = list_first_entry_or_null(&e->queue, struct rmai_dir_wait, list);
	if (w) {
		list_del(&w->list);
		complete(&w->turn);
	} else if (e->state == RMAI_DIR_UNUSED && !e->hold.granted_ns &&
		   !rmai_dir_keeps(ri, e)) {
		__xa_erase(&ri->dirs, e->vmr);
		kfree(e);
	} else {
		e->busy = false;
	}
	xa_unlock(&ri->dirs);
}

/**
 * rmai_dir_may() - may this node, the home, read or write a page now?
 * @ri: region, open
 * @index: page that is homed here
 * @write: write
 *
 * Context: any that may take a spinlock; the answer holds as long as the lock of the
 * page's folio is held.
 */
bool rmai_dir_may(struct rmai_inode *ri, pgoff_t index, bool write)
{
	u64 vmr = rmai_vmr_index(&ri->geom, (u64)index << PAGE_SHIFT);
	struct rmai_dir *e;
	bool may = true;

	xa_lock(&ri->dirs);
	e = xa_load(&ri->dirs, vmr);
	if (e) {
		may = write ? rmai_dir_home_writes(e->state) :
			      rmai_dir_home_reads(e->state);
		if (may && (write || !e->hold.write))
			rmai_hold_use(&e->hold);
	}
	xa_unlock(&ri->dirs);
	return may;
}

/**
 * rmai_dir_wanted() - is a store of this node waiting for a VMR?
 * @ri: region, open
 * @index: page that is homed here
 * @set: it is, from now on, until this node gets it
 *
 * Context: any that may take a spinlock.
 */
bool rmai_dir_wanted(struct rmai_inode *ri, pgoff_t index, bool set)
{
	u64 vmr = rmai_vmr_index(&ri->geom, (u64)index << PAGE_SHIFT);
	struct rmai_dir *e;
	bool wanted = false;

	xa_lock(&ri->dirs);
	e = xa_load(&ri->dirs, vmr);
	if (e && set)
		e->wanted = !rmai_dir_home_writes(e->state);
	if (e)
		wanted = e->wanted;
	xa_unlock(&ri->dirs);
	return wanted;
}

/**
 * rmai_dir_lost() - was what is stored of a page lost with its last writer?
 * @ri: region
 * @index: page that is homed here
 */
bool rmai_dir_lost(struct rmai_inode *ri, pgoff_t index)
{
	u64 vmr = rmai_vmr_index(&ri->geom, (u64)index << PAGE_SHIFT);
	struct rmai_dir *e;
	bool lost;

	xa_lock(&ri->dirs);
	e = xa_load(&ri->dirs, vmr);
	lost = e && e->state == RMAI_DIR_POISONED;
	xa_unlock(&ri->dirs);
	return lost;
}

/**
 * rmai_dir_poison() - a VMR is lost with the node that was writing it
 * @ri: region
 * @e: entry, which the caller has
 */
void rmai_dir_poison(struct rmai_inode *ri, struct rmai_dir *e)
{
	pr_warn("node %u: region %llx VMR %llu is lost with node %u, which was writing it\n",
		ri->rc->self, ri->id, e->vmr, e->line.owner);
	e->line.state = RMAI_DIR_POISONED;
	rmai_dir_set(ri, e, RMAI_DIR_POISONED, e->line.owner);
	rmai_count(vmrs_poisoned, 1);
}

/* Carrying out plans */

static void rmai_dir_seq(struct rmai_inode *ri, struct rmai_dir *e)
{
	e->seq = atomic64_inc_return(&ri->dir_seq);
}

static void rmai_dir_grant(struct rmai_dir *e, u16 node)
{
	e->recent[e->next_recent].node = node;
	e->recent[e->next_recent].seq = e->seq;
	e->next_recent = (e->next_recent + 1) % RMAI_DIR_RECENT;
}

/* The last grant to a node, if it was of late: else it has that long since */
static u64 rmai_dir_granted(const struct rmai_dir *e, u16 node)
{
	u64 seq = 0;
	int i;

	for (i = 0; i < RMAI_DIR_RECENT; i++)
		if (e->recent[i].node == node)
			seq = max(seq, e->recent[i].seq);
	return seq;
}

/* One INV message, or more, for each node that has some of these VMRs */
static int rmai_dir_inv(struct rmai_inode *ri, struct rmai_dir_txn *t, int nr)
{
	struct rmai_call_one *calls = NULL;
	int i, n, node, first, err = 0, nr_calls = 0, max = 0;
	u64 nodes = 0;

	for (i = 0; i < nr; i++) {
		if (t[i].err || !t[i].plan.inv)
			continue;
		nodes |= t[i].plan.inv;
		rmai_dir_seq(ri, t[i].e);
		rmai_dir_set(ri, t[i].e, RMAI_DIR_INVALIDATING, 0);
		max++;
	}
	if (!nodes)
		return 0;
	max = hweight64(nodes) * DIV_ROUND_UP(max, RMAI_WIRE_INVS);
	calls = kvcalloc(max, sizeof(*calls), GFP_KERNEL);
	if (!calls)
		return -ENOMEM;
	for (node = 1; node <= RMAI_WIRE_NODES; node++) {
		struct rmai_msg *msg = NULL;

		if (!(nodes & BIT_ULL(node - 1)))
			continue;
		for (i = 0; i < nr; i++) {
			if (t[i].err || !(t[i].plan.inv & BIT_ULL(node - 1)))
				continue;
			if (!msg || msg->inv.nr == RMAI_WIRE_INVS) {
				msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_INV);
				if (!msg) {
					err = -ENOMEM;
					goto out;
				}
				msg->inv.id = ri->id;
				msg->inv.owner_epoch = ri->attr.owner_epoch;
				calls[nr_calls].node = node;
				calls[nr_calls++].msg = msg;
			}
			n = msg->inv.nr++;
			msg->inv.vmrs[n].vmr = t[i].e->vmr;
			msg->inv.vmrs[n].seq = t[i].e->seq;
			msg->inv.vmrs[n].grant = rmai_dir_granted(t[i].e, node);
		}
	}
	rmai_count(inv_sent, nr_calls);
	atomic64_add(nr_calls, &ri->stat.inv_sent);
	rmai_call_all(ri->rc, calls, nr_calls);
	for (first = 0; first < nr_calls; first++) {
		err = calls[first].err;
		/* Who cannot be had for that long has dropped it by itself: see lease.c */
		if (err == -EHOSTDOWN)
			err = rmai_lease_wait(ri->rc, calls[first].node);
		if (!err)
			continue;
		for (i = 0; i < nr; i++) {
			if (t[i].plan.inv & BIT_ULL(calls[first].node - 1))
				t[i].err = t[i].err ?: err;
		}
	}
	err = 0;
out:
	for (i = 0; i < nr_calls; i++)
		kfree(calls[i].msg);
	kvfree(calls);
	return err;
}

static int rmai_dir_recall(struct rmai_inode *ri, struct rmai_dir_txn *t)
{
	struct rmai_dir *e = t->e;
	int err;

	if (rmai_node_lost(ri->rc, e->line.owner, e->line.owner_epoch)) {
		rmai_dir_poison(ri, e);
		return -EHWPOISON;
	}
	rmai_dir_seq(ri, e);
	rmai_dir_set(ri, e, RMAI_DIR_RECALLING, 0);
	err = rmai_recall(ri, e, t->plan.drop);
	/* An answer from another incarnation is none: that one had nothing to write */
	if (rmai_node_lost(ri->rc, e->line.owner, e->line.owner_epoch))
		err = -EHWPOISON;
	if (err == -EHOSTDOWN) {
		err = rmai_lease_wait(ri->rc, t->plan.recall);
		if (!err)
			err = -EHWPOISON;
	}
	if (err == -EHWPOISON)
		rmai_dir_poison(ri, e);
	return err;
}

/* What it has cost that @node gets it */
static void rmai_dir_heat(struct rmai_inode *ri, const struct rmai_dir_txn *t,
			  enum rmai_dir_state was, u16 node)
{
	bool moved = was == RMAI_DIR_EXCLUSIVE && t->plan.recall && t->plan.recall != node;
	struct rmai_heat *heat = &t->e->heat;

	if (moved) {
		rmai_count(pingpongs, 1);
		atomic64_inc(&ri->stat.pingpongs);
	}
	xa_lock(&ri->dirs);
	heat->moves += moved;
	heat->invs += t->plan.inv != 0;
	heat->recalls += t->plan.recall != 0;
	if (t->plan.next.state == RMAI_DIR_SHARED)
		heat->readers |= BIT_ULL(node - 1);
	else
		heat->writers |= BIT_ULL(node - 1);
	xa_unlock(&ri->dirs);
}

/* All that the plan needed is done: the entry and the home's pages follow */
static int rmai_dir_apply(struct rmai_inode *ri, struct rmai_dir_txn *t, u16 node)
{
	struct rmai_dir *e = t->e;
	enum rmai_dir_state was = e->line.state, next = t->plan.next.state;
	bool refill = was == RMAI_DIR_EXCLUSIVE || was == RMAI_DIR_POISONED;
	int err = 0;

	/* What it has already keeps its number, which a RECALL will name */
	if (t->plan.keep)
		e->seq = e->line.owner_seq;
	else
		rmai_dir_seq(ri, e);
	/* What this node has just got itself, it may use once */
	if (next == RMAI_DIR_EXCLUSIVE) {
		rmai_hold_wait(&e->hold);
		rmai_dir_set(ri, e, next, node);
		err = rmai_home_revoke(ri, e->vmr, true);
	} else if (next == RMAI_DIR_SHARED && was == RMAI_DIR_UNUSED) {
		rmai_hold_wait(&e->hold);
		rmai_dir_set(ri, e, next, node);
		err = rmai_home_revoke(ri, e->vmr, false);
	}
	if (err) {
		if (!refill)
			rmai_home_refill(ri, e->vmr);
		return err;
	}
	if (refill && next != RMAI_DIR_EXCLUSIVE)
		rmai_home_refill(ri, e->vmr);
	rmai_dir_heat(ri, t, was, node ?: ri->rc->self);
	/* Under the lock for rmai_dir_vmrs() */
	xa_lock(&ri->dirs);
	e->line = t->plan.next;
	e->line.owner_seq = next == RMAI_DIR_EXCLUSIVE ? e->seq : 0;
	xa_unlock(&ri->dirs);
	rmai_dir_set(ri, e, next, node);
	return 0;
}

/**
 * rmai_dir_carry_out() - do what the plans of some entries say
 * @ri: region
 * @t: entries, which the caller has, and plans; @t->err is set to 0, or to why not:
 *	-EHWPOISON, -EINTR, -ENOMEM, -EIO; then the entry is as before, or poisoned
 * @nr: how many
 * @node: for whom; 0: for this one
 */
void rmai_dir_carry_out(struct rmai_inode *ri, struct rmai_dir_txn *t, int nr, u16 node)
{
	int i, err;

	for (i = 0; i < nr; i++)
		t[i].err = t[i].plan.err;
	err = rmai_dir_inv(ri, t, nr);
	for (i = 0; i < nr; i++) {
		if (t[i].plan.same)
			continue;
		if (!t[i].err && t[i].plan.inv)
			t[i].err = err;
		if (!t[i].err && t[i].plan.recall)
			t[i].err = rmai_dir_recall(ri, &t[i]);
		if (!t[i].err)
			t[i].err = rmai_dir_apply(ri, &t[i], node);
		if (t[i].err)
			rmai_dir_set(ri, t[i].e, t[i].e->line.state, 0);
	}
}

/* For other nodes */

/* Can this VMR be had at all? The caller has its entry */
static int rmai_dir_check(struct rmai_inode *ri, u64 vmr, bool write)
{
	u64 off = vmr * ri->geom.vmr_size;

	if (READ_ONCE(ri->freed))
		return -ESTALE;
	if (write && READ_ONCE(ri->frozen))
		return -EPERM;
	/* Being cut off: ask again when it is known what is left */
	return off + ri->geom.vmr_size > READ_ONCE(ri->trunc_from) ? -EAGAIN : 0;
}

/**
 * rmai_dir_serve() - GET_S, GET_X and PUT of a node
 * @rc: this node
 * @link: connection that it came on
 * @msg: request
 * @rep: reply
 *
 * Context: may sleep, for other nodes.
 * Return: 0; -ESTALE (region, or incarnation of this node); -EINVAL (not homed
 * here), -EPERM (sealed), -EAGAIN (ask again), -EHWPOISON, -ENOSPC, -ENOMEM, -EIO.
 */
int rmai_dir_serve(struct rmai_cluster *rc, const struct rmai_link *link,
		   const struct rmai_msg *msg, struct rmai_msg *rep)
{
	const struct rmai_msg_get *get = &msg->get;
	u16 src = msg->src;
	bool hole = false;
	enum rmai_dir_event event;
	struct rmai_dir_txn t = {};
	struct rmai_inode *ri;
	u64 off;
	int err;

	if (get->home_epoch != rc->epoch || !link)
		return -ESTALE;
	ri = rmai_home_get(rc, get->id);
	if (IS_ERR(ri))
		return PTR_ERR(ri);
	err = -EINVAL;
	if (check_mul_overflow(get->vmr, ri->geom.vmr_size, &off) ||
	    off >= rc->space.size || get->size > rc->space.size || !rmai_is_home(ri, off))
		goto put;
	event = msg->type == RMAI_MSG_GET_S ? RMAI_DIR_GET_S :
		msg->type == RMAI_MSG_GET_X ? RMAI_DIR_GET_X :
		get->flags & RMAI_VMR_DROP ? RMAI_DIR_PUT_DROP : RMAI_DIR_PUT;
	/* The directory lives in the inode: kept until FREE */
	if (!test_and_set_bit(RMAI_HOME_HELD, &ri->flags))
		ihold(&ri->vfs);
	t.e = rmai_dir_lock(ri, get->vmr, false);
	err = PTR_ERR_OR_ZERO(t.e);
	if (err)
		goto put;
	err = rmai_dir_check(ri, get->vmr, event == RMAI_DIR_GET_X);
	/* Nobody waits for the answer to a request of a connection that has ended */
	if (!err && READ_ONCE(link->dead))
		err = -ENOTCONN;
	if (!err && (event == RMAI_DIR_GET_S || event == RMAI_DIR_GET_X)) {
		rmai_size_grow(ri, get->size);
		t.e->end = max(t.e->end, min(ALIGN(get->size, PAGE_SIZE),
					     off + ri->geom.vmr_size));
		hole = event == RMAI_DIR_GET_S && rmai_home_hole(ri, get->vmr);
		if (!hole)
			err = rmai_home_fill(ri, get->vmr, t.e->end);
	}
	if (err)
		goto unlock;
	if (t.e->line.state == RMAI_DIR_EXCLUSIVE &&
	    rmai_node_lost(rc, t.e->line.owner, t.e->line.owner_epoch))
		rmai_dir_poison(ri, t.e);
	t.plan = rmai_dir_plan(&t.e->line, event, src, msg->epoch,
			       get->seq);
	rmai_dir_carry_out(ri, &t, 1, src);
	err = t.err;
	if (!err && msg->type != RMAI_MSG_PUT) {
		rmai_dir_grant(t.e, src);
		rep->get = *get;
		rep->get.seq = t.e->seq;
		rep->get.gen = READ_ONCE(ri->keys_gen);
		rep->get.flags = (t.plan.have ? RMAI_VMR_HAVE : 0) |
				 (hole ? RMAI_VMR_HOLE : 0);
		rmai_count(grants, 1);
	}
unlock:
	rmai_dir_unlock(ri, t.e);
put:
	iput(&ri->vfs);
	return err;
}

/**
 * rmai_dir_next() - walk over entries
 * @ri: region
 * @vmr: index
 *
 * Return: the first VMR from @vmr on that has an entry, or U64_MAX.
 */
u64 rmai_dir_next(struct rmai_inode *ri, u64 vmr)
{
	unsigned long index = vmr;

	return xa_find(&ri->dirs, &index, ULONG_MAX, XA_PRESENT) ? index : U64_MAX;
}

/**
 * rmai_dir_destroy() - forget all
 * @ri: region, being evicted: nothing is under way
 */
void rmai_dir_destroy(struct rmai_inode *ri)
{
	struct rmai_dir *e;
	unsigned long vmr;

	xa_for_each(&ri->dirs, vmr, e)
		kfree(e);
	xa_destroy(&ri->dirs);
}

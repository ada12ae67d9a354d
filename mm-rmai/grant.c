// SPDX-License-Identifier: GPL-2.0
/*
 * What this node may do with VMRs of open regions that are homed elsewhere: asked
 * for with GET_S and GET_X, given back with PUT. invalidate.c is how it ends.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/delay.h>
#include <linux/slab.h>

#include "grant.h"
#include "internal.h"
#include <trace/events/rmai.h>

/* The lock of the xarray is held */
void rmai_replica_set(struct rmai_inode *ri, u64 vmr, struct rmai_replica *rep,
		      enum rmai_replica_state state, u64 seq)
{
	if (rep->state != state)
		trace_rmai_replica_state(ri->rc->self, ri->id, vmr, rep->state, state, seq);
	rep->state = state;
}

/* It is in state I: no need to remember it. The lock of the xarray is held */
void rmai_replica_forget(struct rmai_inode *ri, u64 vmr, struct rmai_replica *rep)
{
	__xa_erase(&ri->replicas, vmr);
	kfree(rep);
}

/**
 * rmai_replica_may() - may a page be read or written here now?
 * @ri: region, open, homed elsewhere
 * @index: page, uptodate
 * @write: write; a page that is uptodate may always be read
 *
 * Context: any that may take a spinlock; the answer holds as long as the lock of the
 * page's folio is held.
 */
bool rmai_replica_may(struct rmai_inode *ri, pgoff_t index, bool write)
{
	u64 vmr = rmai_vmr_index(&ri->geom, (u64)index << PAGE_SHIFT);
	struct rmai_replica *rep;
	bool may = !write;

	xa_lock(&ri->replicas);
	rep = xa_load(&ri->replicas, vmr);
	if (rep) {
		may = !rep->stopped && (!write || rmai_replica_writes(rep->state));
		if (may && (write || !rep->hold.write))
			rmai_hold_use(&rep->hold);
	}
	xa_unlock(&ri->replicas);
	return may;
}

/**
 * rmai_replica_owned() - is a VMR this node's to write?
 * @ri: region, open, homed elsewhere
 * @vmr: index
 *
 * Only asked: unlike rmai_replica_may(), it is not taken for a use.
 *
 * Context: any that may take a spinlock.
 */
bool rmai_replica_owned(struct rmai_inode *ri, u64 vmr)
{
	struct rmai_replica *rep;
	bool owned;

	xa_lock(&ri->replicas);
	rep = xa_load(&ri->replicas, vmr);
	owned = rep && !rep->stopped && rmai_replica_writes(rep->state);
	xa_unlock(&ri->replicas);
	return owned;
}

/**
 * rmai_replica_wanted() - is a store waiting for a VMR?
 * @ri: region, open
 * @index: page that is homed elsewhere
 * @set: it is, from now on, until this node gets it or loses it
 *
 * Context: any that may take a spinlock.
 */
bool rmai_replica_wanted(struct rmai_inode *ri, pgoff_t index, bool set)
{
	u64 vmr = rmai_vmr_index(&ri->geom, (u64)index << PAGE_SHIFT);
	struct rmai_replica *rep;
	bool wanted = false;

	xa_lock(&ri->replicas);
	rep = xa_load(&ri->replicas, vmr);
	if (rep && set)
		rep->wanted = !rmai_replica_writes(rep->state);
	if (rep)
		wanted = rep->wanted;
	xa_unlock(&ri->replicas);
	return wanted;
}

/* Have an entry for a VMR; it may be gone again when the lock is taken */
static int rmai_replica_make(struct rmai_inode *ri, u64 vmr)
{
	struct rmai_replica *rep;
	int err;

	if (xa_load(&ri->replicas, vmr))
		return 0;
	rep = kzalloc(sizeof(*rep), GFP_KERNEL);
	if (!rep)
		return -ENOMEM;
	err = xa_insert(&ri->replicas, vmr, rep, GFP_KERNEL);
	if (err)
		kfree(rep);
	return err == -EBUSY ? 0 : err;
}

/*
 * What is here of a VMR is not good, the home says. -EHWPOISON: it was written here,
 * and that is lost; whoever comes next gets what the home has.
 */
static int rmai_replica_lose(struct rmai_inode *ri, u64 vmr)
{
	struct rmai_replica *rep;
	bool lost = false;

	xa_lock(&ri->replicas);
	rep = xa_load(&ri->replicas, vmr);
	if (rep && rep->state == RMAI_REPLICA_X) {
		lost = true;
		rmai_replica_set(ri, vmr, rep, RMAI_REPLICA_I, rep->seq);
		rmai_replica_forget(ri, vmr, rep);
	} else if (rep) {
		rep->have = false;
	}
	xa_unlock(&ri->replicas);
	rmai_replica_drop(ri, vmr, 1);
	if (!lost)
		return 0;
	pr_warn("node %u: region %llx VMR %llu: what was written here is lost\n",
		ri->rc->self, ri->id, vmr);
	return -EHWPOISON;
}

/* The answer to a GET has come. -EAGAIN: it is void */
static int rmai_grant_accept(struct rmai_inode *ri, u64 vmr, u64 end, bool write,
			     bool wait, struct rmai_peer *home, u32 lapses,
			     const struct rmai_msg_get *get)
{
	struct rmai_replica *rep;
	bool resume = false;
	int err = -EAGAIN;

	xa_lock(&ri->replicas);
	rep = xa_load(&ri->replicas, vmr);
	/* Asked for before a lapse: the home may have waited this node out since */
	if (rep && rep->state != RMAI_REPLICA_WRITEBACK &&
	    READ_ONCE(home->lapses) == lapses &&
	    (get->seq > rep->inv_seq ||
	     (rmai_replica_writes(rep->state) && get->seq == rep->seq))) {
		rep->seq = get->seq;
		rep->end = max(rep->end, end);
		rep->have = true;
		rep->hold.granted_ns = 0;
		if (wait)
			rmai_hold_begin(&rep->hold, write);
		if (write)
			rep->wanted = false;
		rmai_replica_set(ri, vmr, rep, write ? RMAI_REPLICA_X :
				 RMAI_REPLICA_S, get->seq);
		/* What an INV before this one has made void begins afresh */
		rmai_fetch_void(ri, vmr, false);
		resume = rep->stopped;
		rep->stopped = false;
		err = 0;
	}
	xa_unlock(&ri->replicas);
	if (resume)
		rmai_replica_resume(ri, vmr);
	return err;
}

/**
 * rmai_grant_get() - be allowed to read, or write, a VMR
 * @ri: region, open
 * @vmr: index, homed elsewhere; the caller's fetch of it is in ri->fetches
 * @end: byte up to which it is wanted
 * @write: write, too
 * @wait: somebody waits for it
 * @gen: set to the generation that keys must have at least
 * @hole: set if there are only zeros to be had
 *
 * Context: may sleep, for the network.
 * Return: 0; see rmai_dir_serve() and rmai_call().
 */
int rmai_grant_get(struct rmai_inode *ri, u64 vmr, u64 end, bool write, bool wait,
		   u32 *gen, bool *hole)
{
	u64 off = vmr * ri->geom.vmr_size, epoch, held;
	struct rmai_peer *peer = rmai_fetch_peer(ri, off, &epoch);
	struct rmai_replica *rep;
	struct rmai_msg *msg;
	bool have, ask_x, stopped = false;
	int err, tries = 0;
	u32 lapses;

	msg = rmai_msg_alloc(GFP_KERNEL, 0);
	if (!msg)
		return -ENOMEM;
	*gen = 0;
	*hole = false;
	do {
		err = rmai_replica_make(ri, vmr);
		if (err)
			break;
		xa_lock(&ri->replicas);
		rep = xa_load(&ri->replicas, vmr);
		if (!rep) {
			xa_unlock(&ri->replicas);
			err = -EAGAIN;
			continue;
		}
		if (rep->state == RMAI_REPLICA_WRITEBACK) {
			xa_unlock(&ri->replicas);
			err = -EAGAIN;
			if (++tries > 100)
				break;
			usleep_range(100, 200);
			continue;
		}
		if (rep->end >= end && !rep->stopped &&
		    (write ? rmai_replica_writes(rep->state) :
			     rmai_replica_reads(rep->state))) {
			rmai_fetch_void(ri, vmr, false);
			xa_unlock(&ri->replicas);
			err = 0;
			break;
		}
		/* It writes already, but the region has grown: that does not end */
		ask_x = write || rmai_replica_writes(rep->state);
		if (rmai_replica_reads(rep->state))
			rep->have = true;
		have = rep->have;
		held = have ? rep->seq : 0;
		stopped = rep->stopped;
		lapses = READ_ONCE(peer->lapses);
		rmai_replica_set(ri, vmr, rep, rmai_replica_asks(rep->state, ask_x), 0);
		xa_unlock(&ri->replicas);

		rmai_msg_init(msg, ask_x ? RMAI_MSG_GET_X : RMAI_MSG_GET_S);
		msg->get.id = ri->id;
		msg->get.owner_epoch = ri->attr.owner_epoch;
		msg->get.home_epoch = epoch;
		msg->get.vmr = vmr;
		msg->get.size = i_size_read(&ri->vfs);
		msg->get.flags = have ? RMAI_VMR_HAVE : 0;
		msg->get.seq = held;
		if (ask_x) {
			rmai_count(get_x, 1);
			atomic64_inc(&ri->stat.get_x);
		} else {
			rmai_count(get_s, 1);
			atomic64_inc(&ri->stat.get_s);
		}
		err = rmai_call(ri->rc, peer->id, msg);
		/* What was written here is what the home has given up for lost */
		if (err == -EHWPOISON && stopped)
			rmai_replica_lose(ri, vmr);
		if (err)
			break;
		*gen = msg->get.gen;
		*hole = msg->get.flags & RMAI_VMR_HOLE;
		/* The home has forgotten that this node has it: so has somebody written */
		if (have && !(msg->get.flags & RMAI_VMR_HAVE)) {
			err = rmai_replica_lose(ri, vmr);
			if (err)
				break;
		}
		err = rmai_grant_accept(ri, vmr, end, ask_x, wait, peer, lapses,
					&msg->get);
	} while (err == -EAGAIN);
	kfree(msg);
	return err;
}

/**
 * rmai_grant_settle() - nobody asks any more
 * @ri: region
 * @vmr: index
 */
void rmai_grant_settle(struct rmai_inode *ri, u64 vmr)
{
	struct rmai_replica *rep;

	xa_lock(&ri->replicas);
	rep = xa_load(&ri->replicas, vmr);
	if (rep && (rep->state == RMAI_REPLICA_FETCH_S ||
		    rep->state == RMAI_REPLICA_FETCH_X)) {
		rmai_replica_set(ri, vmr, rep, rep->have ? RMAI_REPLICA_S :
				 RMAI_REPLICA_I, rep->seq);
		if (rep->state == RMAI_REPLICA_I)
			rmai_replica_forget(ri, vmr, rep);
	}
	xa_unlock(&ri->replicas);
}

/**
 * rmai_grants_put() - what was written here goes home
 * @ri: region
 * @off: first byte
 * @end: byte after the last
 * @drop: nothing stays here; else it may be read on
 *
 * Context: may sleep, for the network.
 * Return: 0, -EIO (lost), or the error of a call; all is tried.
 */
int rmai_grants_put(struct rmai_inode *ri, u64 off, u64 end, bool drop)
{
	struct rmai_replica *rep;
	struct rmai_msg *msg;
	unsigned long vmr;
	u64 last;
	int err = 0, ret;

	if (off >= end || xa_empty(&ri->replicas))
		return 0;
	msg = rmai_msg_alloc(GFP_KERNEL, 0);
	if (!msg)
		return -ENOMEM;
	vmr = rmai_vmr_index(&ri->geom, off);
	last = rmai_vmr_index(&ri->geom, end - 1);
	xa_lock(&ri->replicas);
	for (rep = xa_find(&ri->replicas, &vmr, last, XA_PRESENT); rep;
	     rep = xa_find_after(&ri->replicas, &vmr, last, XA_PRESENT)) {
		struct rmai_peer *peer;
		u64 epoch;

		if (rep->state != RMAI_REPLICA_X && rep->state != RMAI_REPLICA_WRITEBACK)
			continue;
		xa_unlock(&ri->replicas);
		peer = rmai_fetch_peer(ri, (u64)vmr * ri->geom.vmr_size, &epoch);
		rmai_msg_init(msg, RMAI_MSG_PUT);
		msg->get.id = ri->id;
		msg->get.owner_epoch = ri->attr.owner_epoch;
		msg->get.home_epoch = epoch;
		msg->get.vmr = vmr;
		msg->get.size = i_size_read(&ri->vfs);
		msg->get.flags = drop ? RMAI_VMR_DROP : 0;
		do {
			ret = rmai_call(ri->rc, peer->id, msg);
		} while (ret == -EAGAIN && !fatal_signal_pending(current));
		err = err ?: ret;
		xa_lock(&ri->replicas);
	}
	xa_unlock(&ri->replicas);
	kfree(msg);
	return err == -EHWPOISON || err == -ESTALE ? -EIO : err;
}

/**
 * rmai_replicas_destroy() - forget all
 * @ri: region, being evicted
 */
void rmai_replicas_destroy(struct rmai_inode *ri)
{
	struct rmai_replica *rep;
	unsigned long vmr;

	xa_for_each(&ri->replicas, vmr, rep)
		kfree(rep);
	xa_destroy(&ri->replicas);
}

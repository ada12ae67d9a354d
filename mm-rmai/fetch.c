// SPDX-License-Identifier: GPL-2.0
/*
 * Fetching a VMR: one transfer at a time for each VMR, which all who need something
 * of it join. That of an open region begins with a request to its home for the
 * right to read or to write it; if that is withdrawn while data is on its way,
 * the data is void: the fetch ends without it, and whoever waits begins another.
 *
 * A fault waits for the chunk that it touched: that is posted first, from the fault itself
 * if its key is known, also when others have begun the fetch. The rest of the VMR follows,
 * from a work item, as does all that needs calls to other nodes; stream.c sees to it that
 * there is never much of that before a chunk that somebody waits for. A READ goes straight
 * into the folios of the page cache, which are locked from before it is posted until
 * the transport has called back, and become uptodate only if it succeeded.
 *
 *	posting --in flight 0, nothing failed--> done (leaves the table)
 *	   ^  \--in flight 0, some failed--> waiting for the home --+
 *	   +--------------------------------------------------------+
 *	                    \--deadline, home reborn, nobody waits--> failed
 *
 * A failed fetch stays in the table, so that the fault that is retried after it
 * finds out (a fault that waited can only return VM_FAULT_RETRY); the next new
 * fault replaces it.
 */
#include <linux/memcontrol.h>
#include <linux/slab.h>

#include "fetch.h"
#include <trace/events/rmai.h>

static void rmai_fetch_destroy(struct rmai_fetch *f)
{
	struct rmai_want *w, *next;

	list_for_each_entry_safe(w, next, &f->wants, node)
		if (w != &f->first)
			kfree(w);
	mem_cgroup_put(f->memcg);
	mutex_destroy(&f->post);
	kfree(f);
}

/**
 * rmai_fetch_free() - drop a reference
 * @f: fetch
 *
 * Context: any.
 */
void rmai_fetch_free(struct rmai_fetch *f)
{
	if (refcount_dec_and_test(&f->ref))
		rmai_fetch_destroy(f);
}

/**
 * rmai_on_loss_blocks() - is what cannot be had waited for, for ever?
 * @ri: region
 */
bool rmai_on_loss_blocks(struct rmai_inode *ri)
{
	u32 policy = READ_ONCE(ri->attr.on_loss);

	if (policy == RMAI_ON_LOSS_DEFAULT)
		policy = READ_ONCE(rmai_config.on_loss);
	return policy == RMAI_ON_LOSS_BLOCK;
}

/**
 * rmai_fetch_until() - until when what is asked for now may take
 *
 * Return: jiffies.
 */
unsigned long rmai_fetch_until(void)
{
	return jiffies + msecs_to_jiffies(READ_ONCE(rmai_config.loss_tmo_ms));
}

static struct rmai_fetch *rmai_fetch_alloc(struct rmai_inode *ri, u64 off, bool write,
					   bool user)
{
	struct rmai_fetch *f = kzalloc(sizeof(*f), GFP_KERNEL);
	u64 unit = ri->geom.vmr_size, skip = RMAI_NO_SKIP;

	if (!f)
		return NULL;
	refcount_set(&f->ref, user ? 3 : 2);	/* table, work, caller */
	atomic_set(&f->users, user);
	f->ri = ri;
	f->peer = rmai_fetch_peer(ri, off, NULL);
	f->vmr = rmai_vmr_index(&ri->geom, off);
	f->span = rmai_vmr_span(&ri->geom, off);
	if (user)
		unit = rmai_fetch_unit(ri, off, &skip);
	f->chunk = rmai_chunk_bytes(ri->geom.vmr_size, unit);
	f->open = !rmai_is_sealed(ri);
	f->write = write;
	mutex_init(&f->post);
	INIT_LIST_HEAD(&f->wants);
	if (off < f->span.off + f->span.len) {
		rmai_want_begin(&f->first, rmai_chunk_span(f->span, unit, off), f->chunk,
				off, user);
		f->first.skip = skip;
		list_add(&f->first.node, &f->wants);
	}
	f->max_order = mapping_max_folio_order(ri->vfs.i_mapping);
	f->posting = true;
	atomic_set(&f->in_flight, 1);
	INIT_LIST_HEAD(&f->stream);
	spin_lock_init(&f->lock);
	INIT_LIST_HEAD(&f->ops);
	INIT_LIST_HEAD(&f->failed);
	init_waitqueue_head(&f->wait);
	f->memcg = get_mem_cgroup_from_mm(current->mm);
	INIT_WORK(&f->work, rmai_fetch_work);
	f->deadline = rmai_fetch_until();
	/* A home that has been away that long is lost already */
	if (READ_ONCE(f->peer->state) != RMAI_PEER_UP)
		f->deadline += READ_ONCE(f->peer->down_since) - jiffies;
	return f;
}

/* The fetch of a VMR that is in the table, if it serves; takes a reference */
static struct rmai_fetch *rmai_fetch_find(struct rmai_inode *ri, u64 vmr, bool again,
					  bool write)
{
	struct rmai_fetch *f;
	unsigned long flags;

	xa_lock_irqsave(&ri->fetches, flags);
	f = xa_load(&ri->fetches, vmr);
	if (f && rmai_fetch_is_done(f) && (!again || f->write != write)) {
		__xa_erase(&ri->fetches, vmr);
		rmai_fetch_free(f);
		f = NULL;
	}
	if (f) {
		refcount_inc(&f->ref);
		atomic_inc(&f->users);
	}
	xa_unlock_irqrestore(&ri->fetches, flags);
	return f;
}

/* Has what is stored of a region at @off gone with a node? */
static bool rmai_fetch_lost(struct rmai_inode *ri, u64 off)
{
	struct rmai_peer *peer;
	u64 epoch;

	peer = rmai_fetch_peer(ri, off, &epoch);
	return !peer || rmai_owner_lost(ri) || rmai_node_lost(ri->rc, peer->id, epoch);
}

/*
 * A new fetch, in the table, for somebody who waits (@user) or for whoever may come.
 * NULL: there is one; ERR_PTR: -ENOMEM, -ESTALE.
 */
static struct rmai_fetch *rmai_fetch_insert(struct rmai_inode *ri, u64 off, bool write,
					    bool user)
{
	struct rmai_fetch *f = rmai_fetch_alloc(ri, off, write, user), *old;

	if (!f)
		return ERR_PTR(-ENOMEM);
	if (off >= f->span.off + f->span.len) {
		/* Cut off since the caller looked */
		rmai_fetch_destroy(f);
		return ERR_PTR(-ESTALE);
	}
	old = xa_cmpxchg_irq(&ri->fetches, f->vmr, NULL, f, GFP_KERNEL);
	if (old) {
		rmai_fetch_destroy(f);
		return xa_is_err(old) ? ERR_PTR(xa_err(old)) : NULL;
	}
	ihold(&ri->vfs);
	f->begun = rmai_prefetch_begun(ri);
	trace_rmai_fetch_begin(ri->id, f->vmr, f->span.off, f->span.len, 0);
	return f;
}

/* Post the first chunk of a new fetch from here if that can be done without a call */
static void rmai_fetch_start(struct rmai_fetch *f)
{
	struct rmai_want *w = &f->first;
	bool more, wait = false;
	int err;

	mutex_lock(&f->post);
	if (w->urgent && !f->open) {
		err = rmai_want_post(f, w, rmai_chunk_span(w->goal, w->chunk, w->pos));
		if (err && err != -EAGAIN)
			f->err = err;
		/* What follows would take CPUs and link from what somebody waits for */
		wait = !err && !list_empty(&f->wants) && rmai_stream_wait(f, 0, true);
	}
	/* The work goes on posting, or ends it when nothing is in flight */
	more = f->err || !list_empty(&f->wants);
	if (!wait)
		WRITE_ONCE(f->posting, more);
	mutex_unlock(&f->post);
	if (wait)
		return;
	if (more || atomic_dec_and_test(&f->in_flight))
		queue_work(f->ri->rc->fetch_wq, &f->work);
}

/*
 * A page of a VMR of which a fetch is under way was touched. If the page is not on its
 * way yet, its chunk goes before what nobody waits for.
 */
static void rmai_fetch_join(struct rmai_fetch *f, u64 off, bool write)
{
	struct rmai_inode *ri = f->ri;
	struct rmai_want *w;
	struct rmai_span piece;
	u64 unit, chunk, skip;
	int err = -EAGAIN;
	bool rest;

	if (rmai_fetch_is_done(f))
		return;
	if (write && (!f->write ||
		      (READ_ONCE(f->granted) && !rmai_replica_owned(ri, f->vmr)))) {
		/* Another one is to follow, soon */
		WRITE_ONCE(f->stop, true);
		rmai_stream_kick(f);
		return;
	}
	if (filemap_range_has_page(ri->vfs.i_mapping, off, off))
		return;
	w = kmalloc(sizeof(*w), GFP_KERNEL);
	if (!w)
		return;
	/* That it is not here yet, though others are, says nothing of how they are used */
	unit = rmai_fetch_size(ri);
	skip = RMAI_NO_SKIP;
	if (off == f->first.skip || off < f->first.goal.off ||
	    off >= f->first.goal.off + f->first.goal.len)
		unit = rmai_fetch_unit(ri, off, &skip);
	chunk = rmai_chunk_bytes(ri->geom.vmr_size, unit);
	/* What all of the VMR is fetched for comes anyway */
	if (unit == ri->geom.vmr_size && f->first.goal.len == f->span.len)
		unit = chunk;
	rmai_want_begin(w, rmai_chunk_span(f->span, unit, off), chunk, off, true);
	w->skip = skip;
	piece = rmai_chunk_span(w->goal, chunk, off);
	rest = piece.len < w->goal.len;
	mutex_lock(&f->post);
	WRITE_ONCE(f->chunk, min(f->chunk, chunk));
	/* It has failed, or what comes is not good: whoever waits begins another */
	if (f->err || READ_ONCE(f->is_void)) {
		mutex_unlock(&f->post);
		kfree(w);
		return;
	}
	list_add_tail(&w->node, &f->wants);
	if (!READ_ONCE(f->overdue) && READ_ONCE(f->peer->state) == RMAI_PEER_UP)
		WRITE_ONCE(f->deadline, rmai_fetch_until());
	/* Nothing in flight: the work ends it, or finds what is wanted now */
	if (!atomic_inc_not_zero(&f->in_flight)) {
		mutex_unlock(&f->post);
		return;
	}
	if (!f->open || f->granted)
		err = rmai_want_post(f, w, piece);
	if ((err || rest) && !f->posting) {
		/* What was counted here is its now */
		WRITE_ONCE(f->posting, true);
		mutex_unlock(&f->post);
		queue_work(ri->rc->fetch_wq, &f->work);
		return;
	}
	mutex_unlock(&f->post);
	if (err)
		rmai_stream_kick(f);
	if (atomic_dec_and_test(&f->in_flight))
		queue_work(ri->rc->fetch_wq, &f->work);
}

/**
 * rmai_fetch_get() - begin or join the transfer of a VMR
 * @ri: region; its file is open
 * @index: page that is wanted; its chunk comes first
 * @again: the caller has waited for it before: a failure of late is its answer
 * @write: it is to be written (an open region); a fetch that is joined may not
 *	bring that: then the next one will
 *
 * Context: may sleep for memory, never for the network.
 * Return: to be put with rmai_fetch_put(); ERR_PTR: -ENOMEM, -ESTALE (what is
 * wanted is gone with a node).
 */
struct rmai_fetch *rmai_fetch_get(struct rmai_inode *ri, pgoff_t index, bool again,
				  bool write)
{
	u64 off = (u64)index << PAGE_SHIFT;
	struct rmai_fetch *f;

	if (rmai_fetch_lost(ri, off))
		return ERR_PTR(-ESTALE);
	for (;;) {
		f = rmai_fetch_find(ri, rmai_vmr_index(&ri->geom, off), again, write);
		if (f) {
			rmai_fetch_join(f, off, write);
			return f;
		}
		f = rmai_fetch_insert(ri, off, write, true);
		if (IS_ERR(f))
			return f;
		if (f) {
			rmai_fetch_start(f);
			return f;
		}
	}
}

/**
 * rmai_fetch_begin() - begin the transfer of a VMR that nobody waits for yet
 * @ri: region; held
 * @index: page of it, with which it begins
 *
 * What somebody waits for goes before it. It is given up at the first error, unless
 * somebody has joined it.
 *
 * Context: may sleep for memory, never for the network.
 * Return: 0, also if it is under way; -ENOMEM; -ESTALE.
 */
int rmai_fetch_begin(struct rmai_inode *ri, pgoff_t index)
{
	u64 off = (u64)index << PAGE_SHIFT;
	struct rmai_fetch *f;

	if (rmai_fetch_lost(ri, off))
		return -ESTALE;
	f = rmai_fetch_find(ri, rmai_vmr_index(&ri->geom, off), false, false);
	if (f) {
		rmai_fetch_put(f);
		return 0;
	}
	f = rmai_fetch_insert(ri, off, false, false);
	if (IS_ERR_OR_NULL(f))
		return PTR_ERR_OR_ZERO(f);
	rmai_fetch_start(f);
	return 0;
}

/**
 * rmai_fetch_put() - a user of a fetch is done with it
 * @f: fetch
 */
void rmai_fetch_put(struct rmai_fetch *f)
{
	atomic_dec(&f->users);
	rmai_fetch_free(f);
}

/**
 * rmai_fetch_void() - what is on its way of a VMR is no longer good, or is again
 * @ri: region
 * @vmr: index
 * @is_void: no longer good; else it was granted anew, before anything was posted
 *
 * Context: any.
 */
void rmai_fetch_void(struct rmai_inode *ri, u64 vmr, bool is_void)
{
	struct rmai_fetch *f;
	unsigned long flags;

	xa_lock_irqsave(&ri->fetches, flags);
	f = xa_load(&ri->fetches, vmr);
	if (f && !rmai_fetch_is_done(f)) {
		spin_lock(&f->lock);
		f->is_void = is_void;
		spin_unlock(&f->lock);
	}
	xa_unlock_irqrestore(&ri->fetches, flags);
}

/**
 * rmai_fetch_coming() - are READs under way of a VMR that somebody waits for?
 * @ri: region, open
 * @vmr: index, granted
 *
 * READs end by themselves. What has none yet, for want of a key, may wait for who wants
 * to know.
 *
 * Context: any.
 */
bool rmai_fetch_coming(struct rmai_inode *ri, u64 vmr)
{
	struct rmai_fetch *f;
	unsigned long flags;
	bool coming;

	xa_lock_irqsave(&ri->fetches, flags);
	f = xa_load(&ri->fetches, vmr);
	coming = f && !rmai_fetch_is_done(f) && !READ_ONCE(f->is_void) &&
		 atomic_read(&f->users) &&
		 atomic_read(&f->in_flight) > READ_ONCE(f->posting);
	xa_unlock_irqrestore(&ri->fetches, flags);
	return coming;
}

/**
 * rmai_fetch_failed() - has a fetch ended in an error, or will it?
 * @f: fetch
 *
 * Return: the error, or 0.
 */
int rmai_fetch_failed(struct rmai_fetch *f)
{
	if (rmai_fetch_is_done(f))
		return f->err;
	return READ_ONCE(f->overdue) && !rmai_on_loss_blocks(f->ri) ? -EHOSTDOWN : 0;
}

/*
 * Has what a fault waits for arrived? That is a chunk, also where a device needs two
 * keys, and so two READs, for one: so the number of faults does not depend on the device.
 */
static bool rmai_chunk_here(struct rmai_fetch *f, pgoff_t index, bool write)
{
	struct rmai_span span = rmai_chunk_span(f->span, READ_ONCE(f->chunk),
						(u64)index << PAGE_SHIFT);
	u64 last = span.off + span.len - 1;

	/* Granted, and not recalled since: else the fault would come again at once */
	if (write && !(f->write && READ_ONCE(f->granted) &&
		       rmai_replica_owned(f->ri, f->vmr)))
		return false;
	if (!rmai_page_here(f->ri, index))
		return false;
	/* Where less than all of the VMR is fetched, whether a chunk is whole is not asked */
	if (f->first.goal.len < f->span.len || f->first.skip != RMAI_NO_SKIP)
		return true;
	return rmai_page_here(f->ri, span.off >> PAGE_SHIFT) &&
	       rmai_page_here(f->ri, last >> PAGE_SHIFT);
}

/* Is the home there, and others have their turn before this node? */
static bool rmai_fetch_in_line(struct rmai_fetch *f)
{
	return READ_ONCE(f->asking) && READ_ONCE(f->peer->state) == RMAI_PEER_UP;
}

/**
 * rmai_fetch_wait() - wait for a page of a VMR that is on its way
 * @f: fetch
 * @index: page
 * @write: and the right to write it
 *
 * Context: may sleep, for the network: no lock that mm knows is held.
 * Return: 0 (the page is there, or was), -EINTR after a fatal signal, or why the
 * fetch failed; -EHOSTDOWN when it is overdue.
 */
int rmai_fetch_wait(struct rmai_fetch *f, pgoff_t index, bool write)
{
	struct rmai_inode *ri = f->ri;
	long left;

	for (;;) {
		left = max_t(long, READ_ONCE(f->deadline) - jiffies, 1);
		if (rmai_on_loss_blocks(ri) || rmai_fetch_in_line(f))
			left = HZ / 5;
		left = wait_event_killable_timeout(f->wait,
						   rmai_fetch_is_done(f) ||
						   rmai_chunk_here(f, index, write),
						   left);
		if (left < 0)
			return -EINTR;
		if (rmai_fetch_is_done(f))
			return rmai_page_here(ri, index) ? 0 : f->err;
		if (left)
			return 0;
		if (rmai_on_loss_blocks(ri) || rmai_fetch_in_line(f))
			continue;
		if (time_before(jiffies, READ_ONCE(f->deadline)))
			continue;
		/* Not there in time: end what is in flight, and the fetch with it */
		if (!READ_ONCE(f->overdue)) {
			rmai_peer_drop(f->peer, "did not answer within loss_tmo_ms");
			left = wait_event_killable_timeout(f->wait,
							   rmai_fetch_is_done(f),
							   HZ);
			if (left < 0)
				return -EINTR;
			if (left)
				continue;
			/* The transport takes its time; whoever waits need not */
			WRITE_ONCE(f->overdue, true);
		}
		return rmai_page_here(ri, index) ? 0 : -EHOSTDOWN;
	}
}

/**
 * rmai_fetches_destroy() - forget failures
 * @ri: region, being evicted: nothing is under way
 */
void rmai_fetches_destroy(struct rmai_inode *ri)
{
	struct rmai_fetch *f;
	unsigned long nr;

	xa_for_each(&ri->fetches, nr, f)
		rmai_fetch_free(f);
	xa_destroy(&ri->fetches);
}

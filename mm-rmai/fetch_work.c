// SPDX-License-Identifier: GPL-2.0
/*
 * What the work item of a fetch does: all that may wait for other nodes. It asks for keys
 * and grants, posts what a fault could not, tries again what failed, and ends the fetch.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "fetch.h"
#include <trace/events/rmai.h>

static void rmai_fetch_end(struct rmai_fetch *f, int err)
{
	struct rmai_inode *ri = f->ri;
	struct rmai_fetch_op *op, *next;
	unsigned long flags;

	list_for_each_entry(op, &f->failed, node)
		rmai_fetch_op_abandon(op);
	INIT_LIST_HEAD(&f->failed);
	list_for_each_entry_safe(op, next, &f->ops, all)
		kvfree(op);
	INIT_LIST_HEAD(&f->ops);
	if (f->open)
		rmai_grant_settle(ri, f->vmr);
	trace_rmai_fetch_end(ri->id, f->vmr, f->span.off, f->span.len, err);
	if (err) {
		rmai_count(fetch_errors, 1);
		atomic64_inc(&ri->stat.fetch_errors);
		pr_warn_ratelimited("node %u: region %llx VMR %llu cannot be had from node %u: error %d\n",
				    ri->rc->self, ri->id, f->vmr, f->peer->id, err);
	}
	/* Also what came before an error is to leave again */
	if (!err || f->arrived)
		rmai_cache_add(ri, f->vmr, f->memcg);
	f->err = err;
	/* Pairs with rmai_fetch_is_done() */
	smp_store_release(&f->done, true);
	xa_lock_irqsave(&ri->fetches, flags);
	/* A failure is of interest to who waited for it */
	if ((!err || !atomic_read(&f->users)) && xa_load(&ri->fetches, f->vmr) == f) {
		__xa_erase(&ri->fetches, f->vmr);
		refcount_dec(&f->ref);	/* the work's own is left */
	}
	xa_unlock_irqrestore(&ri->fetches, flags);
	wake_up_all(&f->wait);
	rmai_prefetch_ended(ri, f->vmr, f->begun, f->span.len, err);
	rmai_fetch_free(f);
	iput(&ri->vfs);
}

/*
 * After an error: 0 when it is worth another try (and the home is up), else what
 * the fetch ends with.
 */
static int rmai_fetch_again(struct rmai_fetch *f, int err)
{
	struct rmai_inode *ri = f->ri;
	unsigned long until;
	u64 epoch;

	rmai_fetch_peer(ri, f->span.off, &epoch);
	switch (err) {
	case -ENOMEM:
	case -ESTALE:
	case -EPROTO:
	case -EINVAL:
	case -EPERM:
	case -ENOSPC:
	case -EHWPOISON:
		return err;
	case -EAGAIN:
		/* The home is there, and will have it */
		WRITE_ONCE(f->deadline, rmai_fetch_until());
		break;
	}
	for (;;) {
		if (READ_ONCE(ri->rc->stopping) || !atomic_read(&f->users))
			return err;
		if (rmai_owner_lost(ri) || rmai_node_lost(ri->rc, f->peer->id, epoch))
			return -ESTALE;
		if (!rmai_on_loss_blocks(ri) && time_after_eq(jiffies, f->deadline))
			return err;
		/* In slices, for all of that may change */
		until = jiffies + HZ / 5;
		if (!rmai_on_loss_blocks(ri) && time_after(until, f->deadline))
			until = f->deadline;
		if (!rmai_peer_wait_up(f->peer, until))
			break;
	}
	rmai_count(fetch_retries, 1);
	/* What fails at once, again and again, must not spin */
	schedule_timeout_uninterruptible(HZ / 50);
	return 0;
}

/* Post failed operations again, with new keys: the old one may be why */
static int rmai_fetch_repost(struct rmai_fetch *f)
{
	struct rmai_inode *ri = f->ri;
	struct rmai_fetch_op *op;
	struct rmai_span span;
	struct rmai_key key;
	unsigned long flags;
	u32 key_bytes;
	u64 off, nr;
	int err;

	for (;;) {
		spin_lock_irqsave(&f->lock, flags);
		op = list_first_entry_or_null(&f->failed, struct rmai_fetch_op,
					      node);
		spin_unlock_irqrestore(&f->lock, flags);
		if (!op || READ_ONCE(f->is_void))
			return 0;
		off = (u64)op->index << PAGE_SHIFT;
		err = -ENOTCONN;
		do {
			err = rmai_fetch_again(f, err);
			if (err)
				return err;
			key_bytes = READ_ONCE(f->peer->key_bytes);
			nr = rmai_key_number(&ri->geom, key_bytes, off);
			rmai_key_forget(ri, nr);
			err = rmai_keys_get(ri, off, off + ((u64)op->nr << PAGE_SHIFT));
			if (!err && !rmai_key_cached(ri, nr, 0, &key))
				err = -EPROTO;
		} while (err);
		span = rmai_key_span(&ri->geom, key_bytes, nr);
		spin_lock_irqsave(&f->lock, flags);
		list_del(&op->node);
		spin_unlock_irqrestore(&f->lock, flags);
		rmai_fetch_op_post(op, &key, span.off);
	}
}

/* An open region: be allowed to have it */
static int rmai_fetch_grant(struct rmai_fetch *f)
{
	struct rmai_inode *ri = f->ri;
	int err;

	/* Sealed since? Then the owner knows */
	if (READ_ONCE(ri->frozen))
		rmai_inode_refresh(ri);
	while (!f->granted) {
		WRITE_ONCE(f->asking, true);
		err = rmai_grant_get(ri, f->vmr, f->span.off + f->span.len, f->write,
				     atomic_read(&f->users), &f->gen, &f->hole);
		WRITE_ONCE(f->deadline, jiffies +
			   msecs_to_jiffies(READ_ONCE(rmai_config.loss_tmo_ms)));
		WRITE_ONCE(f->asking, false);
		if (err) {
			err = rmai_fetch_again(f, err);
			if (err)
				return err;
			continue;
		}
		/* With it what a fault needs that posts: f->gen and f->hole */
		mutex_lock(&f->post);
		WRITE_ONCE(f->granted, true);
		mutex_unlock(&f->post);
	}
	return 0;
}

/* Have the keys of a part of the VMR */
static int rmai_fetch_keys(struct rmai_fetch *f, struct rmai_span part)
{
	u32 key_bytes = READ_ONCE(f->peer->key_bytes);
	u64 off = part.off, end = part.off + part.len;
	struct rmai_inode *ri = f->ri;
	int err = 0;

	if (!key_bytes)
		return -EHOSTDOWN;
	while (off < end && !err) {
		u64 nr = rmai_key_number(&ri->geom, key_bytes, off);
		struct rmai_span span = rmai_key_span(&ri->geom, key_bytes, nr);
		u64 stop = min(span.off + span.len, f->span.off + f->span.len);
		struct rmai_key key;

		/* Cut off since */
		if (!span.len)
			return -ESTALE;
		if (!rmai_key_cached(ri, nr, f->gen, &key) || key.len < stop - span.off)
			err = rmai_keys_get(ri, off, f->span.off + f->span.len);
		off = span.off + span.len;
	}
	return err;
}

/* What is to be posted next: what was touched, in turn; then what goes with it */
static struct rmai_want *rmai_fetch_next(struct rmai_fetch *f, struct rmai_span *piece)
{
	struct address_space *mapping = f->ri->vfs.i_mapping;
	struct rmai_want *w;

	list_for_each_entry(w, &f->wants, node)
		if (w->urgent)
			goto found;
	w = list_first_entry_or_null(&f->wants, struct rmai_want, node);
	if (!w || f->stop)
		return NULL;
found:
	*piece = rmai_chunk_span(w->goal, w->chunk, w->pos);
	if (!w->urgent && rmai_chunk_block(w->goal, w->chunk, w->pos) &&
	    !filemap_range_has_page(mapping, w->pos, w->pos + RMAI_BLOCK - 1))
		piece->len = RMAI_BLOCK;
	return w;
}

/* Post pieces until nothing is wanted any more. -EINPROGRESS: @f stands in line */
static int rmai_fetch_go_on(struct rmai_fetch *f)
{
	struct rmai_span piece;
	struct rmai_want *w;
	bool urgent;
	int err;

	if (f->open) {
		err = rmai_fetch_grant(f);
		if (err)
			return err;
	}
	for (;;) {
		err = rmai_fetch_repost(f);
		if (err)
			return err;
		mutex_lock(&f->post);
		w = READ_ONCE(f->is_void) ? NULL : rmai_fetch_next(f, &piece);
		if (!w) {
			WRITE_ONCE(f->posting, false);
			mutex_unlock(&f->post);
			return 0;
		}
		urgent = w->urgent;
		if (!urgent && rmai_stream_wait(f, piece.len, false)) {
			mutex_unlock(&f->post);
			return -EINPROGRESS;
		}
		err = rmai_want_post(f, w, piece);
		if (err == -ENOMEM && !urgent) {
			/* Nobody has asked for it */
			f->stop = true;
			err = 0;
		}
		mutex_unlock(&f->post);
		if (err == -EAGAIN)
			err = rmai_fetch_keys(f, piece);
		if (err)
			err = rmai_fetch_again(f, err);
		if (err)
			return err;
	}
}

/**
 * rmai_fetch_work() - go on with a fetch, or end it
 * @work: its work item
 */
void rmai_fetch_work(struct work_struct *work)
{
	struct rmai_fetch *f = container_of(work, struct rmai_fetch, work);
	struct mem_cgroup *old = set_active_memcg(f->memcg);
	struct rmai_peer *peer = f->peer;
	int err;

	mutex_lock(&f->post);
	err = f->err;
	if (!f->posting) {
		WRITE_ONCE(f->posting, true);
		atomic_inc(&f->in_flight);
	}
	mutex_unlock(&f->post);
	if (!err)
		err = rmai_fetch_go_on(f);
	set_active_memcg(old);
	if (err == -EINPROGRESS)
		return;
	if (err) {
		mutex_lock(&f->post);
		f->err = err;
		WRITE_ONCE(f->posting, false);
		mutex_unlock(&f->post);
	}
	rmai_stream_next(peer);
	/* What is in flight ends first: its callback queues this work again */
	if (!atomic_dec_and_test(&f->in_flight))
		return;
	if (!err && !list_empty(&f->failed) && !f->is_void) {
		queue_work(f->ri->rc->fetch_wq, &f->work);
		return;
	}
	rmai_fetch_end(f, err);
}

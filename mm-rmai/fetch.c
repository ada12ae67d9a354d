// SPDX-License-Identifier: GPL-2.0
/*
 * Fetching a VMR of a sealed region: one transfer at a time for each VMR, which
 * all who need something of it join.
 *
 * Pieces (what one key covers) are posted one READ each, the one that was asked
 * for first: from the fault itself when its key is known, the rest and all that
 * needs calls to other nodes from a work item. A READ goes straight into the
 * folios of the page cache, which are locked from before it is posted until the
 * transport has called back, and become uptodate only if it succeeded.
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
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/mm.h>
#include <linux/pagevec.h>
#include <linux/slab.h>

#include "internal.h"
#include <trace/events/rmai.h>

#define RMAI_CHUNK	(2ULL << 20)	/* what a fault waits for, bytes */

/**
 * struct rmai_fetch - transfer of a VMR
 * @ref: the table's and each user's
 * @ri: region; its inode is held until @done
 * @vmr: index
 * @span: the VMR, page-rounded
 * @pos: next piece to post
 * @left: bytes that no piece was posted for yet
 * @posting: somebody posts, and counts in @in_flight
 * @in_flight: operations, plus @posting
 * @lock: guards @failed; softirq safe
 * @ops: all operations
 * @failed: of these, the ones to be tried again
 * @err: why it failed; valid when @done
 * @done: nothing is in flight any more
 * @deadline: jiffies when what cannot be had counts as lost
 * @users: who may still want it
 * @wait: for pages, and for @done
 * @work: posts what a fault could not, retries, ends
 */
struct rmai_fetch {
	refcount_t		ref;
	struct rmai_inode	*ri;
	u64			vmr;
	struct rmai_span	span;
	u64			pos;
	u64			left;
	bool			posting;
	atomic_t		in_flight;
	spinlock_t		lock;
	struct list_head	ops;
	struct list_head	failed;
	int			err;
	bool			done;
	unsigned long		deadline;
	atomic_t		users;
	wait_queue_head_t	wait;
	struct work_struct	work;
};

/**
 * struct rmai_fetch_op - one READ
 * @rdma: operation
 * @f: of which fetch
 * @all: in f->ops
 * @node: in f->failed
 * @index: first page
 * @nr: pages
 * @nents: entries of @sgl, one for each folio
 * @sgl: locked folios that are not uptodate; unlocked when the READ has succeeded
 */
struct rmai_fetch_op {
	struct rmai_rdma	rdma;
	struct rmai_fetch	*f;
	struct list_head	all;
	struct list_head	node;
	pgoff_t			index;
	pgoff_t			nr;
	unsigned int		nents;
	struct scatterlist	sgl[];
};

static bool rmai_fetch_is_done(const struct rmai_fetch *f)
{
	/* Pairs with rmai_fetch_end(): f->err is valid */
	return smp_load_acquire(&f->done);
}

static void rmai_fetch_free(struct rmai_fetch *f)
{
	if (refcount_dec_and_test(&f->ref))
		kfree(f);
}

/* Operations */

static void rmai_fetch_op_done(struct rmai_rdma *rdma, int err)
{
	struct rmai_fetch_op *op = container_of(rdma, struct rmai_fetch_op, rdma);
	struct rmai_fetch *f = op->f;
	struct scatterlist *sg;
	unsigned long flags;
	unsigned int i;

	trace_rmai_read_done(f->ri->id, f->vmr, (u64)op->index << PAGE_SHIFT,
			     (u64)op->nr << PAGE_SHIFT, err);
	if (err) {
		spin_lock_irqsave(&f->lock, flags);
		list_add_tail(&op->node, &f->failed);
		spin_unlock_irqrestore(&f->lock, flags);
	} else {
		for_each_sg(op->sgl, sg, op->nents, i) {
			struct folio *folio = page_folio(sg_page(sg));

			folio_mark_uptodate(folio);
			folio_unlock(folio);
			folio_put(folio);
		}
		count_vm_events(RMAI_FETCH_PAGES, op->nr);
		rmai_count(fetch_bytes, (u64)op->nr << PAGE_SHIFT);
		rmai_count(rdma_read_bytes, (u64)op->nr << PAGE_SHIFT);
		atomic64_add((u64)op->nr << PAGE_SHIFT, &f->ri->stat.fetch_bytes);
		wake_up_all(&f->wait);
	}
	/* The last access to f, unless this queues the work */
	if (atomic_dec_and_test(&f->in_flight))
		queue_work(f->ri->rc->fetch_wq, &f->work);
}

static void rmai_fetch_op_post(struct rmai_fetch_op *op, const struct rmai_key *key,
			       u64 key_off)
{
	struct rmai_fetch *f = op->f;
	u64 off = (u64)op->index << PAGE_SHIFT;
	struct rmai_peer *peer = rmai_fetch_peer(f->ri, off, NULL);
	struct rmai_link *link = rmai_peer_link_get(peer);
	int err = -ENOTCONN;

	op->rdma.key.addr = key->addr + (off - key_off);
	op->rdma.key.rkey = key->rkey;
	op->rdma.key.len = op->nr << PAGE_SHIFT;
	op->rdma.sgl = op->sgl;
	op->rdma.nents = op->nents;
	op->rdma.write = false;
	op->rdma.done = rmai_fetch_op_done;
	atomic_inc(&f->in_flight);
	trace_rmai_read_post(f->ri->id, f->vmr, off, (u64)op->nr << PAGE_SHIFT, 0);
	if (link) {
		rmai_count(rdma_reads, 1);
		atomic64_inc(&f->ri->stat.rdma_reads);
		err = link->conn->xprt->ops->rdma(link->conn, &op->rdma);
		rmai_link_put(link);
	}
	if (err)
		rmai_fetch_op_done(&op->rdma, err);
}

/* Locked folios for pages [index, end), in a list; how many, or -ENOMEM */
static int rmai_fetch_folios(struct rmai_inode *ri, pgoff_t index, pgoff_t end,
			     gfp_t gfp, struct list_head *list)
{
	unsigned int max = mapping_max_folio_order(ri->vfs.i_mapping), order;
	struct folio *folio;
	int n = 0;

	while (index < end) {
		order = rmai_folio_order(index, end, max);
		folio = filemap_alloc_folio(order ? gfp | __GFP_NORETRY |
					    __GFP_NOWARN : gfp, order);
		if (!folio) {
			if (!order)
				return -ENOMEM;
			/* Fragmented: do not try this size again for this run */
			max = order > 2 ? order - 2 : 0;
			continue;
		}
		list_add_tail(&folio->lru, list);
		index += 1UL << order;
		n++;
	}
	return n;
}

/* Fetch pages [index, end), none of which is here, with one READ */
static int rmai_fetch_run(struct rmai_fetch *f, pgoff_t index, pgoff_t end,
			  const struct rmai_key *key, u64 key_off)
{
	struct address_space *mapping = f->ri->vfs.i_mapping;
	gfp_t gfp = mapping_gfp_mask(mapping);
	struct rmai_fetch_op *op = NULL;
	struct folio *folio, *next;
	LIST_HEAD(folios);
	int n, err;

	n = rmai_fetch_folios(f->ri, index, end, gfp, &folios);
	err = n < 0 ? n : 0;
	if (!err)
		op = kvmalloc(struct_size(op, sgl, n), GFP_KERNEL);
	if (!op) {
		err = -ENOMEM;
		goto free;
	}
	op->f = f;
	op->index = index;
	op->nr = 0;
	op->nents = 0;
	sg_init_table(op->sgl, n);
	list_for_each_entry_safe(folio, next, &folios, lru) {
		list_del(&folio->lru);
		err = filemap_add_folio(mapping, folio, index + op->nr, gfp);
		if (err) {
			folio_put(folio);
			break;
		}
		sg_set_folio(&op->sgl[op->nents++], folio, folio_size(folio), 0);
		op->nr += folio_nr_pages(folio);
	}
	if (op->nents) {
		sg_mark_end(&op->sgl[op->nents - 1]);
		list_add_tail(&op->all, &f->ops);
		rmai_fetch_op_post(op, key, key_off);
	} else {
		kvfree(op);
	}
free:
	list_for_each_entry_safe(folio, next, &folios, lru) {
		list_del(&folio->lru);
		folio_put(folio);
	}
	return err;
}

/* Post the piece at f->pos. -EAGAIN: its key is not known, and calls are not allowed */
static int rmai_fetch_piece(struct rmai_fetch *f, bool may_call)
{
	struct rmai_inode *ri = f->ri;
	struct rmai_peer *peer = rmai_fetch_peer(ri, f->pos, NULL);
	u32 key_bytes = READ_ONCE(peer->key_bytes);
	struct folio_batch fbatch;
	struct rmai_span span;
	struct rmai_key key;
	pgoff_t index, end;
	u64 stop, nr;
	int err = 0;

	if (!key_bytes)
		return may_call ? -EHOSTDOWN : -EAGAIN;
	nr = rmai_key_number(&ri->geom, key_bytes, f->pos);
	span = rmai_key_span(&ri->geom, key_bytes, nr);
	while (!rmai_key_cached(ri, nr, &key)) {
		if (!may_call)
			return -EAGAIN;
		err = rmai_keys_get(ri, f->pos);
		if (err)
			return err;
	}
	stop = min(span.off + span.len, f->span.off + f->span.len);
	index = f->pos >> PAGE_SHIFT;
	end = stop >> PAGE_SHIFT;
	folio_batch_init(&fbatch);
	while (index < end && !err) {
		pgoff_t from = index, next = end;

		if (filemap_get_folios(ri->vfs.i_mapping, &from, end - 1, &fbatch)) {
			struct folio *folio = fbatch.folios[0];

			next = max(index, folio->index);
			from = folio_next_index(folio);
			folio_batch_release(&fbatch);
		} else {
			from = end;
		}
		if (next > index)
			err = rmai_fetch_run(f, index, next, &key, span.off);
		index = from;
	}
	if (err)
		return err;
	f->left -= min(f->left, stop - f->pos);
	f->pos = stop == f->span.off + f->span.len ? f->span.off : stop;
	return 0;
}

/* Ends */

/* Folios of an operation that will not be tried again: they never held anything */
static void rmai_fetch_op_abandon(struct rmai_fetch_op *op)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sg(op->sgl, sg, op->nents, i) {
		struct folio *folio = page_folio(sg_page(sg));

		filemap_remove_folio(folio);
		folio_unlock(folio);
		folio_put(folio);
	}
}

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
	trace_rmai_fetch_end(ri->id, f->vmr, f->span.off, f->span.len, err);
	if (err) {
		rmai_count(fetch_errors, 1);
		atomic64_inc(&ri->stat.fetch_errors);
		pr_warn_ratelimited("node %u: region %llx VMR %llu cannot be had from node %u: error %d\n",
				    ri->rc->self, ri->id, f->vmr,
				    rmai_fetch_peer(ri, f->span.off, NULL)->id,
				    err);
	}
	f->err = err;
	/* Pairs with rmai_fetch_is_done() */
	smp_store_release(&f->done, true);
	xa_lock_irqsave(&ri->fetches, flags);
	if (!err && xa_load(&ri->fetches, f->vmr) == f) {
		__xa_erase(&ri->fetches, f->vmr);
		refcount_dec(&f->ref);	/* the work's own is left */
	}
	xa_unlock_irqrestore(&ri->fetches, flags);
	wake_up_all(&f->wait);
	rmai_fetch_free(f);
	iput(&ri->vfs);
}

static bool rmai_on_loss_blocks(struct rmai_inode *ri)
{
	u32 policy = READ_ONCE(ri->attr.on_loss);

	if (policy == RMAI_ON_LOSS_DEFAULT)
		policy = READ_ONCE(rmai_config.on_loss);
	return policy == RMAI_ON_LOSS_BLOCK;
}

/*
 * After an error: 0 when it is worth another try (and the home is up), else what
 * the fetch ends with.
 */
static int rmai_fetch_again(struct rmai_fetch *f, u64 off, int err)
{
	struct rmai_inode *ri = f->ri;
	struct rmai_peer *peer;
	unsigned long until;
	u64 epoch;

	peer = rmai_fetch_peer(ri, off, &epoch);
	switch (err) {
	case -ENOMEM:
	case -ESTALE:
	case -EPROTO:
	case -EINVAL:
	case -EOPNOTSUPP:
		return err;
	}
	for (;;) {
		if (READ_ONCE(ri->rc->stopping) || !atomic_read(&f->users))
			return err;
		if (rmai_owner_lost(ri) || rmai_node_lost(ri->rc, peer->id, epoch))
			return -ESTALE;
		if (!rmai_on_loss_blocks(ri) && time_after_eq(jiffies, f->deadline))
			return err;
		/* In slices, for all of that may change */
		until = jiffies + HZ / 5;
		if (!rmai_on_loss_blocks(ri) && time_after(until, f->deadline))
			until = f->deadline;
		if (!rmai_peer_wait_up(peer, until))
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
		if (!op)
			return 0;
		off = (u64)op->index << PAGE_SHIFT;
		err = -ENOTCONN;
		do {
			err = rmai_fetch_again(f, off, err);
			if (err)
				return err;
			key_bytes = READ_ONCE(rmai_fetch_peer(ri, off, NULL)->key_bytes);
			nr = rmai_key_number(&ri->geom, key_bytes, off);
			rmai_key_forget(ri, nr);
			err = rmai_keys_get(ri, off);
			if (!err && !rmai_key_cached(ri, nr, &key))
				err = -EPROTO;
		} while (err);
		span = rmai_key_span(&ri->geom, key_bytes, nr);
		spin_lock_irqsave(&f->lock, flags);
		list_del(&op->node);
		spin_unlock_irqrestore(&f->lock, flags);
		rmai_fetch_op_post(op, &key, span.off);
	}
}

static int rmai_fetch_post_rest(struct rmai_fetch *f)
{
	struct rmai_inode *ri = f->ri;
	int err;

	while (!READ_ONCE(ri->sealed)) {
		err = rmai_inode_refresh(ri);
		if (!err && !READ_ONCE(ri->sealed))
			return -EOPNOTSUPP;
		if (err)
			err = rmai_fetch_again(f, f->pos, err);
		if (err)
			return err;
	}
	while (f->left) {
		err = rmai_fetch_piece(f, true);
		if (err)
			err = rmai_fetch_again(f, f->pos, err);
		if (err)
			return err;
	}
	return 0;
}

static void rmai_fetch_work(struct work_struct *work)
{
	struct rmai_fetch *f = container_of(work, struct rmai_fetch, work);
	int err = f->err;

	if (!f->posting) {
		f->posting = true;
		atomic_inc(&f->in_flight);
	}
	if (!err)
		err = rmai_fetch_post_rest(f);
	if (!err)
		err = rmai_fetch_repost(f);
	f->err = err;
	f->posting = false;
	/* What is in flight ends first: its callback queues this work again */
	if (!atomic_dec_and_test(&f->in_flight))
		return;
	if (!err && !list_empty(&f->failed)) {
		queue_work(f->ri->rc->fetch_wq, &f->work);
		return;
	}
	rmai_fetch_end(f, err);
}

/* Begins */

static struct rmai_fetch *rmai_fetch_alloc(struct rmai_inode *ri, u64 off)
{
	struct rmai_fetch *f = kzalloc(sizeof(*f), GFP_KERNEL);
	struct rmai_peer *peer = rmai_fetch_peer(ri, off, NULL);
	unsigned long tmo = msecs_to_jiffies(READ_ONCE(rmai_config.loss_tmo_ms));
	u32 key_bytes;
	u64 nr;

	if (!f)
		return NULL;
	refcount_set(&f->ref, 3);	/* table, work, caller */
	atomic_set(&f->users, 1);
	f->ri = ri;
	f->vmr = rmai_vmr_index(&ri->geom, off);
	f->span = rmai_vmr_span(&ri->geom, off);
	f->left = f->span.len;
	f->pos = f->span.off;
	/* Begin with the piece that holds off */
	key_bytes = READ_ONCE(peer->key_bytes);
	if (key_bytes) {
		nr = rmai_key_number(&ri->geom, key_bytes, off);
		f->pos = max(f->pos, rmai_key_span(&ri->geom, key_bytes, nr).off);
	}
	f->posting = true;
	atomic_set(&f->in_flight, 1);
	spin_lock_init(&f->lock);
	INIT_LIST_HEAD(&f->ops);
	INIT_LIST_HEAD(&f->failed);
	init_waitqueue_head(&f->wait);
	INIT_WORK(&f->work, rmai_fetch_work);
	f->deadline = jiffies + tmo;
	/* A home that has been away that long is lost already */
	if (READ_ONCE(peer->state) != RMAI_PEER_UP)
		f->deadline = READ_ONCE(peer->down_since) + tmo;
	return f;
}

/* The fetch of a VMR that is in the table, if it serves; takes a reference */
static struct rmai_fetch *rmai_fetch_find(struct rmai_inode *ri, u64 vmr, bool again)
{
	struct rmai_fetch *f;
	unsigned long flags;

	xa_lock_irqsave(&ri->fetches, flags);
	f = xa_load(&ri->fetches, vmr);
	if (f && rmai_fetch_is_done(f) && !again) {
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

/**
 * rmai_fetch_get() - begin or join the transfer of a VMR
 * @ri: region; its file is open
 * @index: page that is wanted
 * @again: the caller has waited for it before: a failure of late is its answer
 *
 * Context: may sleep for memory, never for the network.
 * Return: to be put with rmai_fetch_put(); ERR_PTR: -ENOMEM, -ESTALE (what is
 * wanted is gone with a node).
 */
struct rmai_fetch *rmai_fetch_get(struct rmai_inode *ri, pgoff_t index, bool again)
{
	u64 off = (u64)index << PAGE_SHIFT, epoch;
	struct rmai_peer *peer = rmai_fetch_peer(ri, off, &epoch);
	struct rmai_fetch *f, *old;
	int err;

	if (!peer || rmai_owner_lost(ri) ||
	    rmai_node_lost(ri->rc, peer->id, epoch))
		return ERR_PTR(-ESTALE);
	for (;;) {
		f = rmai_fetch_find(ri, rmai_vmr_index(&ri->geom, off), again);
		if (f)
			return f;
		f = rmai_fetch_alloc(ri, off);
		if (!f)
			return ERR_PTR(-ENOMEM);
		old = xa_cmpxchg_irq(&ri->fetches, f->vmr, NULL, f, GFP_KERNEL);
		if (!old)
			break;
		kfree(f);
		if (xa_is_err(old))
			return ERR_PTR(xa_err(old));
	}
	ihold(&ri->vfs);
	rmai_count(fetch_vmrs, 1);
	count_vm_event(RMAI_FETCH_VMR);
	atomic64_inc(&ri->stat.fetch_vmrs);
	trace_rmai_fetch_begin(ri->id, f->vmr, f->span.off, f->span.len, 0);
	err = rmai_is_sealed(ri) ? rmai_fetch_piece(f, false) : -EAGAIN;
	if (err || f->left) {
		/* The work goes on posting, or ends it when nothing is in flight */
		if (err && err != -EAGAIN)
			f->err = err;
		queue_work(ri->rc->fetch_wq, &f->work);
		return f;
	}
	f->posting = false;
	if (atomic_dec_and_test(&f->in_flight))
		queue_work(ri->rc->fetch_wq, &f->work);
	return f;
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
 * rmai_fetch_failed() - has a fetch ended in an error?
 * @f: fetch
 *
 * Return: the error, or 0.
 */
int rmai_fetch_failed(struct rmai_fetch *f)
{
	return rmai_fetch_is_done(f) ? f->err : 0;
}

/*
 * Has what a fault waits for arrived? That is a chunk of RMAI_CHUNK bytes, also
 * where a device needs two keys, and so two READs, for one: so the number of
 * faults does not depend on the device.
 */
static bool rmai_chunk_here(struct rmai_fetch *f, pgoff_t index)
{
	u64 off = ((u64)index << PAGE_SHIFT) - f->span.off;
	u64 first = f->span.off + round_down(off, RMAI_CHUNK);
	u64 last = min(first + RMAI_CHUNK, f->span.off + f->span.len) - 1;

	return rmai_page_here(f->ri, index) &&
	       rmai_page_here(f->ri, first >> PAGE_SHIFT) &&
	       rmai_page_here(f->ri, last >> PAGE_SHIFT);
}

/**
 * rmai_fetch_wait() - wait for a page of a VMR that is on its way
 * @f: fetch
 * @index: page
 *
 * Context: may sleep, for the network: no lock that mm knows is held.
 * Return: 0 (the page is there, or was), -EINTR after a fatal signal, or why the
 * fetch failed.
 */
int rmai_fetch_wait(struct rmai_fetch *f, pgoff_t index)
{
	struct rmai_inode *ri = f->ri;
	long left;

	for (;;) {
		left = max_t(long, f->deadline - jiffies, 1);
		if (rmai_on_loss_blocks(ri))
			left = HZ;
		left = wait_event_killable_timeout(f->wait,
						   rmai_fetch_is_done(f) ||
						   rmai_chunk_here(f, index),
						   left);
		if (left < 0)
			return -EINTR;
		if (rmai_fetch_is_done(f))
			return rmai_page_here(ri, index) ? 0 : f->err;
		if (left)
			return 0;
		/* Not there in time: end what is in flight, and the fetch with it */
		if (!rmai_on_loss_blocks(ri)) {
			rmai_peer_drop(rmai_fetch_peer(ri, (u64)index << PAGE_SHIFT,
						       NULL),
				       "did not answer within loss_tmo_ms");
			left = wait_event_killable_timeout(f->wait,
							   rmai_fetch_is_done(f),
							   HZ);
			if (left < 0)
				return -EINTR;
		}
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

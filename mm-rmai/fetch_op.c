// SPDX-License-Identifier: GPL-2.0
/*
 * The READs of a fetch: folios for them in the page cache, locked until the transport
 * has called back, and uptodate only if the READ has succeeded.
 */
#include <linux/mm.h>
#include <linux/pagevec.h>
#include <linux/slab.h>

#include "fetch.h"
#include <trace/events/rmai.h>

static void rmai_fetch_op_done(struct rmai_rdma *rdma, int err)
{
	struct rmai_fetch_op *op = container_of(rdma, struct rmai_fetch_op, rdma);
	struct rmai_fetch *f = op->f;
	struct scatterlist *sg;
	unsigned long flags;
	unsigned int i;

	atomic64_sub((u64)op->nr << PAGE_SHIFT, &f->peer->reading);
	rmai_stream_next(f->peer);
	trace_rmai_read_done(f->ri->id, f->vmr, (u64)op->index << PAGE_SHIFT,
			     (u64)op->nr << PAGE_SHIFT, err);
	/* Whoever makes it void sees either that, or uptodate folios */
	spin_lock_irqsave(&f->lock, flags);
	if (err || f->is_void) {
		list_add_tail(&op->node, &f->failed);
		err = err ?: -ECANCELED;
	} else {
		f->arrived = true;
		for_each_sg(op->sgl, sg, op->nents, i)
			folio_mark_uptodate(page_folio(sg_page(sg)));
	}
	spin_unlock_irqrestore(&f->lock, flags);
	if (err) {
		rmai_stream_kick(f);
	} else {
		for_each_sg(op->sgl, sg, op->nents, i) {
			struct folio *folio = page_folio(sg_page(sg));

			folio_unlock(folio);
			folio_put(folio);
		}
		count_vm_events(RMAI_FETCH_PAGES, op->nr);
		rmai_count(fetch_bytes, (u64)op->nr << PAGE_SHIFT);
		rmai_count(rdma_read_bytes, (u64)op->nr << PAGE_SHIFT);
		atomic64_add((u64)op->nr << PAGE_SHIFT, &f->ri->stat.fetch_bytes);
		/* What comes later has as long again */
		WRITE_ONCE(f->deadline, rmai_fetch_until());
		wake_up_all(&f->wait);
	}
	/* The last access to f, unless this queues the work */
	if (atomic_dec_and_test(&f->in_flight))
		queue_work(f->ri->rc->fetch_wq, &f->work);
}

/**
 * rmai_fetch_op_post() - post a READ, or post it again
 * @op: its folios are locked and in the page cache
 * @key: memory of the home
 * @key_off: byte at which that begins
 *
 * Context: may sleep for memory. @op is the transport's from here on.
 */
void rmai_fetch_op_post(struct rmai_fetch_op *op, const struct rmai_key *key,
			u64 key_off)
{
	struct rmai_fetch *f = op->f;
	u64 off = (u64)op->index << PAGE_SHIFT;
	struct rmai_link *link = rmai_peer_link_get(f->peer);
	int err = -ENOTCONN;

	op->rdma.key.addr = key->addr + (off - key_off);
	op->rdma.key.rkey = key->rkey;
	op->rdma.key.len = op->nr << PAGE_SHIFT;
	op->rdma.sgl = op->sgl;
	op->rdma.nents = op->nents;
	op->rdma.write = false;
	op->rdma.done = rmai_fetch_op_done;
	atomic_inc(&f->in_flight);
	atomic64_add((u64)op->nr << PAGE_SHIFT, &f->peer->reading);
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
static int rmai_fetch_folios(struct rmai_fetch *f, pgoff_t index, pgoff_t end,
			     gfp_t gfp, struct list_head *list)
{
	unsigned int max = f->max_order, order;
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

	rmai_cache_make_room(f->ri, (u64)(end - index) << PAGE_SHIFT);
	n = rmai_fetch_folios(f, index, end, gfp, &folios);
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
		/* Who came just too late to join the one before may find all here */
		if (list_empty(&f->ops)) {
			rmai_count(fetch_vmrs, 1);
			count_vm_event(RMAI_FETCH_VMR);
			atomic64_inc(&f->ri->stat.fetch_vmrs);
		}
		list_add_tail(&op->all, &f->ops);
		rmai_cache_grown(op->nr);
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

/* Pages [index, end), none of which is here, of what was never stored */
static int rmai_fetch_zeros(struct rmai_fetch *f, pgoff_t index, pgoff_t end)
{
	struct address_space *mapping = f->ri->vfs.i_mapping;
	gfp_t gfp = mapping_gfp_mask(mapping);
	struct folio *folio, *next;
	unsigned long flags;
	LIST_HEAD(folios);
	bool is_void;
	int err;

	rmai_cache_make_room(f->ri, (u64)(end - index) << PAGE_SHIFT);
	err = rmai_fetch_folios(f, index, end, gfp, &folios);
	err = min(err, 0);
	list_for_each_entry_safe(folio, next, &folios, lru) {
		list_del(&folio->lru);
		folio_zero_range(folio, 0, folio_size(folio));
		if (!err)
			err = filemap_add_folio(mapping, folio, index, gfp);
		if (!err) {
			index = folio_next_index(folio);
			spin_lock_irqsave(&f->lock, flags);
			is_void = f->is_void;
			if (!is_void) {
				f->arrived = true;
				folio_mark_uptodate(folio);
			}
			spin_unlock_irqrestore(&f->lock, flags);
			if (is_void)
				filemap_remove_folio(folio);
			else
				rmai_cache_grown(folio_nr_pages(folio));
			folio_unlock(folio);
		}
		folio_put(folio);
	}
	wake_up_all(&f->wait);
	return err;
}

/* Post what is missing from @off to @end, or to the end of its key, where @next is then */
static int rmai_fetch_piece(struct rmai_fetch *f, u64 off, u64 end_off, u64 *next_off)
{
	struct rmai_inode *ri = f->ri;
	u32 key_bytes = READ_ONCE(f->peer->key_bytes);
	struct folio_batch fbatch;
	struct rmai_span span;
	struct rmai_key key;
	pgoff_t index, end;
	u64 stop, nr;
	int err = 0;

	/* Connected to once, and from then on for ever */
	if (!key_bytes)
		return -EAGAIN;
	nr = rmai_key_number(&ri->geom, key_bytes, off);
	span = rmai_key_span(&ri->geom, key_bytes, nr);
	stop = min(span.off + span.len, end_off);
	/* Cut off since */
	if (stop <= off)
		return -ESTALE;
	if (!f->hole && (!rmai_key_cached(ri, nr, f->gen, &key) ||
			 key.len < stop - span.off))
		return -EAGAIN;
	index = off >> PAGE_SHIFT;
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
			err = f->hole ? rmai_fetch_zeros(f, index, next) :
			      rmai_fetch_run(f, index, next, &key, span.off);
		/*
		 * A memory cgroup may have room for small folios only, and makes
		 * some, by whatever means, for those only. What was added is found.
		 */
		if (err == -ENOMEM && f->max_order) {
			f->max_order = f->max_order > 2 ? f->max_order - 2 : 0;
			err = 0;
			continue;
		}
		index = from;
	}
	*next_off = stop;
	return err;
}

/* Post what is missing of a part of a VMR */
static int rmai_fetch_post(struct rmai_fetch *f, u64 off, u64 end)
{
	int err = 0;

	while (off < end && !err)
		err = rmai_fetch_piece(f, off, end, &off);
	return err;
}

/**
 * rmai_want_post() - post the next piece of what is wanted
 * @f: fetch
 * @w: in f->wants; when all of it has been posted it leaves, and is freed
 * @piece: begins at w->pos
 *
 * Context: f->post is held. May sleep for memory, never for the network.
 * Return: 0; -EAGAIN: a key is not known; -ENOMEM; -ESTALE. After an error what was posted
 * stays so, and is not posted again by who comes once more.
 */
int rmai_want_post(struct rmai_fetch *f, struct rmai_want *w, struct rmai_span piece)
{
	u64 end = piece.off + piece.len;
	int err;

	if (w->skip >= piece.off && w->skip < end) {
		err = rmai_fetch_post(f, piece.off, w->skip);
		if (!err)
			err = rmai_fetch_post(f, w->skip + PAGE_SIZE, end);
	} else {
		err = rmai_fetch_post(f, piece.off, end);
	}
	if (err)
		return err;
	rmai_want_posted(w, piece);
	if (w->left)
		return 0;
	list_del(&w->node);
	if (w != &f->first)
		kfree(w);
	return 0;
}

/**
 * rmai_fetch_op_abandon() - an operation that will not be tried again
 * @op: failed; its folios never held anything
 */
void rmai_fetch_op_abandon(struct rmai_fetch_op *op)
{
	struct scatterlist *sg;
	unsigned int i;

	rmai_cache_grown(-(long)op->nr);
	for_each_sg(op->sgl, sg, op->nents, i) {
		struct folio *folio = page_folio(sg_page(sg));

		filemap_remove_folio(folio);
		folio_unlock(folio);
		folio_put(folio);
	}
}

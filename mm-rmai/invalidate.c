// SPDX-License-Identifier: GPL-2.0
/*
 * INV and RECALL, as a node carries them out that has VMRs homed elsewhere.
 *
 * The state goes first, under the lock of rmai_inode.replicas; then the page tables: of a
 * single VMR in one pass, of several folio by folio, with one TLB flush for all VMRs of
 * the message; then each folio is locked, unmapped again if a fault that was under way
 * has mapped it, and taken out of the page cache. Faults map a page only after they have
 * seen, under its folio's lock, that it is still in there, and writable only if the state
 * says so. What is on its way here is not waited for: it becomes void (rmai_fetch_void()).
 *
 * Nothing here waits for other requests, so that those who wait for this get on.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/pagevec.h>
#include <linux/rmap.h>
#include <linux/slab.h>

#include "../internal.h"		/* try_to_unmap_flush() */
#include "grant.h"
#include "internal.h"
#include <trace/events/rmai.h>

#define RMAI_GRANT_WAIT_NS	(100 * NSEC_PER_MSEC)

static bool rmai_inv_from_home(struct rmai_inode *ri, u16 src, u64 vmr)
{
	u64 off;

	return !check_mul_overflow(vmr, ri->geom.vmr_size, &off) &&
	       ri->attr.nodes[rmai_home_slot(&ri->geom, off)].id == src;
}

/* Being fetched: locked until it is here. What is dirty was only stopped */
static bool rmai_on_its_way(const struct folio *folio)
{
	return !folio_test_uptodate(folio) && !folio_test_dirty(folio);
}

static int rmai_folio_remove(struct address_space *mapping, struct folio *folio, void *arg)
{
	if ((rmai_on_its_way(folio) && folio_test_locked(folio)) ||
	    !rmai_folio_take(mapping, folio, false))
		return 0;
	folio_cancel_dirty(folio);
	filemap_remove_folio(folio);
	folio_unlock(folio);
	return 0;
}

/* The pages of these VMRs: out of the page cache, if they have arrived */
static void rmai_replica_remove(struct rmai_inode *ri, u64 first, u64 nr)
{
	rmai_for_folios(ri, first, nr, rmai_folio_remove, NULL);
}

/* Out of all page tables: one TLB flush for each that has any of them mapped */
static void rmai_replica_unmap(struct rmai_inode *ri, u64 first, u64 nr)
{
	unmap_mapping_pages(ri->vfs.i_mapping, first * ri->geom.vmr_size >> PAGE_SHIFT,
			    nr * ri->geom.vmr_size >> PAGE_SHIFT, false);
}

static int rmai_folio_unmap_later(struct address_space *mapping, struct folio *folio,
				  void *arg)
{
	enum ttu_flags flags = TTU_BATCH_FLUSH | TTU_IGNORE_MLOCK;

	/* What is on its way is not mapped, and stays locked for long */
	if (!folio_mapped(folio))
		return 0;
	folio_lock(folio);
	if (folio->mapping == mapping && folio_mapped(folio))
		try_to_unmap(folio, flags | (folio_test_pmd_mappable(folio) ?
					     TTU_SPLIT_HUGE_PMD : 0));
	folio_unlock(folio);
	return 0;
}

/* The same for what is mapped of one VMR, but the flush: try_to_unmap_flush() */
static void rmai_replica_unmap_later(struct rmai_inode *ri, u64 vmr)
{
	rmai_for_folios(ri, vmr, 1, rmai_folio_unmap_later, NULL);
}

/**
 * rmai_replica_drop() - what is here of some VMRs is no longer good
 * @ri: region
 * @first: first VMR
 * @nr: how many
 *
 * Context: may sleep, not for the network.
 */
void rmai_replica_drop(struct rmai_inode *ri, u64 first, u64 nr)
{
	rmai_replica_unmap(ri, first, nr);
	rmai_replica_remove(ri, first, nr);
}

/*
 * What was just granted is kept until it was used, also when the READ takes long. The
 * GRANT itself may have been overtaken: without this those who contend for a VMR would
 * take it from each other before anyone gets to use it. While no grant was given there
 * is nothing to wait for: the request may stand in line behind this very INV.
 */
static void rmai_inv_hold(struct rmai_inode *ri, u64 vmr, u64 grant)
{
	u64 now = ktime_get_ns(), until = now + RMAI_GRANT_WAIT_NS;
	u64 come = now + (u64)READ_ONCE(rmai_config.loss_tmo_ms) * NSEC_PER_MSEC;
	struct rmai_replica *rep;
	u64 left;

	for (;; now = ktime_get_ns()) {
		left = 0;
		xa_lock(&ri->replicas);
		rep = xa_load(&ri->replicas, vmr);
		if (rep && rmai_replica_reads(rep->state)) {
			if (now < come && rmai_fetch_coming(ri, vmr))
				rmai_hold_renew(&rep->hold);
			left = rmai_hold_left_ns(&rep->hold);
			if (!left && rep->hold.granted_ns && !rep->hold.used_ns) {
				/* Once, also if the home has to ask again */
				rep->hold.granted_ns = 0;
				rmai_count(unused_grants, 1);
			}
		} else if (rep && grant > rep->seq && grant > rep->inv_seq && now < until) {
			left = 100 * NSEC_PER_USEC;
		}
		xa_unlock(&ri->replicas);
		if (!left)
			return;
		rmai_count(holdoffs, 1);
		left = min_t(u64, div_u64(left, NSEC_PER_USEC) + 1, 1000);
		usleep_range(left, left + 50);
	}
}

/*
 * The state of a VMR that is to be dropped. 1: its pages are to follow; 0: there is
 * nothing to do; -EAGAIN: it is being written back.
 */
static int rmai_inv_one(struct rmai_inode *ri, u64 vmr, u64 seq)
{
	struct rmai_replica *rep;
	int drop = 0;

	xa_lock(&ri->replicas);
	rep = xa_load(&ri->replicas, vmr);
	/* A late copy of one that was carried out is older than what was granted since */
	if (rep && seq > rep->seq && rep->busy) {
		drop = -EAGAIN;
	} else if (rep && seq > rep->seq) {
		drop = 1;
		rep->inv_seq = max(rep->inv_seq, seq);
		rep->have = false;
		rmai_fetch_void(ri, vmr, true);
		/* To a writer: what it wrote was cut off */
		if (rmai_replica_reads(rep->state)) {
			rmai_replica_set(ri, vmr, rep, RMAI_REPLICA_I, seq);
			rmai_replica_forget(ri, vmr, rep);
		}
	}
	xa_unlock(&ri->replicas);
	return drop;
}

/*
 * One TLB flush for all of them: through the page tables for a single one, else folio
 * by folio with the flush left to the end, for they need not be neighbours, and a pass
 * over so many pages would flush more than once. A fault that was under way may have
 * mapped some of it again: rmai_replica_remove() sees to that.
 */
static void rmai_inv_drop(struct rmai_inode *ri, const struct rmai_msg_inv *inv,
			  const unsigned long *drop)
{
	unsigned int i;

	if (bitmap_weight(drop, inv->nr) == 1) {
		i = find_first_bit(drop, inv->nr);
		rmai_replica_drop(ri, inv->vmrs[i].vmr, 1);
		return;
	}
	for_each_set_bit(i, drop, inv->nr)
		rmai_replica_unmap_later(ri, inv->vmrs[i].vmr);
	try_to_unmap_flush();
	for_each_set_bit(i, drop, inv->nr)
		rmai_replica_remove(ri, inv->vmrs[i].vmr, 1);
}

/**
 * rmai_inv_serve() - INV of a home
 * @rc: this node
 * @src: which home
 * @inv: VMRs to be dropped
 * @ack: reply
 *
 * Context: may sleep, not for the network. Return: 0, -EPERM, -EAGAIN.
 */
int rmai_inv_serve(struct rmai_cluster *rc, u16 src, const struct rmai_msg_inv *inv,
		   struct rmai_msg_ack *ack)
{
	struct rmai_inode *ri = rmai_inode_known(rc, inv->id);
	DECLARE_BITMAP(drop, RMAI_WIRE_INVS);
	int i, ret, err = 0;

	ack->bytes = 0;
	if (!ri)
		return 0;
	bitmap_zero(drop, RMAI_WIRE_INVS);
	for (i = 0; i < inv->nr && !err; i++)
		err = rmai_inv_from_home(ri, src, inv->vmrs[i].vmr) ? 0 : -EPERM;
	if (err)
		goto out;
	rmai_count(inv_received, 1);
	atomic64_inc(&ri->stat.inv_received);
	for (i = 0; i < inv->nr; i++)
		rmai_inv_hold(ri, inv->vmrs[i].vmr, inv->vmrs[i].grant);
	for (i = 0; i < inv->nr; i++) {
		ret = rmai_inv_one(ri, inv->vmrs[i].vmr, inv->vmrs[i].seq);
		if (ret > 0)
			__set_bit(i, drop);
		else
			err = ret ?: err;
	}
	rmai_inv_drop(ri, inv, drop);
out:
	iput(&ri->vfs);
	return err;
}

/* Write-back */

struct rmai_writeback {
	struct rmai_inode	*ri;
	struct rmai_link	*link;
	struct scatterlist	*sgl;
	unsigned int		nr;
	u64			bytes;
};

/* Pages that follow each other, to where a key says */
static int rmai_writeback_run(struct rmai_writeback *wb, const struct rmai_wire_key *key,
			      u64 key_off, u64 off, u64 len)
{
	struct rmai_key to = {
		.addr = key->addr + (off - key_off),
		.rkey = key->rkey,
		.len = len,
	};
	unsigned int i;
	int err;

	sg_mark_end(&wb->sgl[wb->nr - 1]);
	err = rmai_rdma_wait(wb->link, &to, wb->sgl, wb->nr, true);
	sg_unmark_end(&wb->sgl[wb->nr - 1]);
	for (i = 0; i < wb->nr; i++)
		folio_put(page_folio(sg_page(&wb->sgl[i])));
	if (!err)
		wb->bytes += len;
	wb->nr = 0;
	return err;
}

/* What is dirty of the bytes that a key covers */
static int rmai_writeback_key(struct rmai_writeback *wb, const struct rmai_wire_key *key,
			      u64 key_off)
{
	struct address_space *mapping = wb->ri->vfs.i_mapping;
	u64 end = key_off + key->len, run = key_off, pos = key_off;
	pgoff_t index = key_off >> PAGE_SHIFT;
	struct folio_batch fbatch;
	int i, err = 0;

	folio_batch_init(&fbatch);
	wb->nr = 0;
	while (!err && filemap_get_folios(mapping, &index, (end - 1) >> PAGE_SHIFT,
					  &fbatch)) {
		for (i = 0; i < folio_batch_count(&fbatch) && !err; i++) {
			struct folio *folio = fbatch.folios[i];
			u64 from = max_t(u64, folio_pos(folio), key_off);
			u64 to = min_t(u64, folio_pos(folio) + folio_size(folio), end);

			if (!folio_test_dirty(folio))
				continue;
			if (wb->nr && from != pos)
				err = rmai_writeback_run(wb, key, key_off, run,
							 pos - run);
			if (!wb->nr)
				run = from;
			pos = to;
			folio_get(folio);
			sg_set_folio(&wb->sgl[wb->nr++], folio, to - from,
				     from - folio_pos(folio));
		}
		folio_batch_release(&fbatch);
	}
	if (!err && wb->nr)
		err = rmai_writeback_run(wb, key, key_off, run, pos - run);
	return err;
}

static int rmai_folio_quiet(struct address_space *mapping, struct folio *folio, void *arg)
{
	if (rmai_on_its_way(folio))
		return 0;
	if (!rmai_folio_take(mapping, folio, true))
		return folio->mapping == mapping ? -EAGAIN : 0;
	folio_unlock(folio);
	return 0;
}

/* All of a VMR: not mapped, not pinned. It stays so: nobody may write it now */
static int rmai_writeback_take(struct rmai_inode *ri, u64 vmr)
{
	rmai_replica_unmap(ri, vmr, 1);
	return rmai_for_folios(ri, vmr, 1, rmai_folio_quiet, NULL);
}

static int rmai_folio_clean(struct address_space *mapping, struct folio *folio, void *arg)
{
	if (!folio_test_dirty(folio))
		return 0;
	folio_lock(folio);
	if (folio->mapping == mapping)
		folio_cancel_dirty(folio);
	folio_unlock(folio);
	return 0;
}

/* It is at home now */
static void rmai_writeback_clean(struct rmai_inode *ri, u64 vmr)
{
	rmai_for_folios(ri, vmr, 1, rmai_folio_clean, NULL);
}

static int rmai_writeback(struct rmai_inode *ri, u16 home,
			  const struct rmai_msg_recall *r, u64 *bytes)
{
	struct rmai_writeback wb = { .ri = ri };
	struct rmai_peer *peer = rmai_peer(ri->rc, home);
	u64 off = r->off;
	u32 most = 0;
	int i, err;

	err = rmai_writeback_take(ri, r->vmr);
	if (err)
		return err;
	for (i = 0; i < r->nr; i++)
		most = max(most, r->keys[i].len >> PAGE_SHIFT);
	wb.sgl = kvmalloc_array(most, sizeof(*wb.sgl), GFP_NOFS);
	if (!wb.sgl)
		return -ENOMEM;
	sg_init_table(wb.sgl, most);
	wb.link = rmai_peer_link_get(peer);
	if (!wb.link)
		err = -ENOTCONN;
	for (i = 0; i < r->nr && !err; i++) {
		err = rmai_writeback_key(&wb, &r->keys[i], off);
		off += r->keys[i].len;
	}
	if (wb.link)
		rmai_link_put(wb.link);
	kvfree(wb.sgl);
	*bytes = wb.bytes;
	return err;
}

/**
 * rmai_recall_serve() - RECALL of a home
 * @rc: this node
 * @src: which home
 * @r: VMR, and where what was written of it goes
 * @ack: reply
 *
 * Context: may sleep, for the home to take what is written to it.
 * Return: 0; -EAGAIN (a page is pinned), -EPERM, -ENOMEM, or the error of the WRITE;
 * then it stays as it was, to be recalled again.
 */
int rmai_recall_serve(struct rmai_cluster *rc, u16 src, const struct rmai_msg_recall *r,
		      struct rmai_msg_ack *ack)
{
	struct rmai_inode *ri = rmai_inode_known(rc, r->id);
	bool drop = r->flags & RMAI_VMR_DROP, gone = false, lapsed;
	struct rmai_replica *rep;
	u64 bytes = 0;
	int err = 0;

	ack->bytes = 0;
	if (!ri)
		return 0;
	if (!rmai_inv_from_home(ri, src, r->vmr)) {
		err = -EPERM;
		goto out;
	}
	rmai_count(recalls, 1);
	atomic64_inc(&ri->stat.recalls);
	rmai_inv_hold(ri, r->vmr, r->grant);

	xa_lock(&ri->replicas);
	rep = xa_load(&ri->replicas, r->vmr);
	if (!rep || r->seq <= rep->seq) {
		/* Never had, or had and written back */
		xa_unlock(&ri->replicas);
		goto out;
	}
	rep->inv_seq = max(rep->inv_seq, r->seq);
	if (drop) {
		rep->have = false;
		rmai_fetch_void(ri, r->vmr, true);
	}
	if (rep->busy) {
		xa_unlock(&ri->replicas);
		err = -EAGAIN;
		goto out;
	}
	if (rmai_replica_writes(rep->state) && r->grant != rep->seq) {
		/* From before the home gave it up for lost: nobody wants it now */
		rmai_replica_set(ri, r->vmr, rep, RMAI_REPLICA_I, r->seq);
		rmai_fetch_void(ri, r->vmr, true);
		rmai_replica_forget(ri, r->vmr, rep);
		xa_unlock(&ri->replicas);
		pr_warn("node %u: region %llx VMR %llu: what was written here is lost\n",
			rc->self, ri->id, r->vmr);
		rmai_replica_drop(ri, r->vmr, 1);
		goto out;
	}
	rmai_replica_set(ri, r->vmr, rep, rmai_replica_told(rep->state, drop), r->seq);
	gone = drop && rep->state != RMAI_REPLICA_WRITEBACK;
	if (rep->state == RMAI_REPLICA_I) {
		rmai_replica_forget(ri, r->vmr, rep);
		rep = NULL;
	} else if (rep->state == RMAI_REPLICA_WRITEBACK) {
		rep->busy = true;
	} else {
		rep = NULL;
	}
	xa_unlock(&ri->replicas);
	if (gone)
		rmai_replica_drop(ri, r->vmr, 1);
	if (!rep)
		goto out;

	err = rmai_writeback(ri, src, r, &bytes);
	if (!err && (r->flags & RMAI_VMR_LAST)) {
		rmai_writeback_clean(ri, r->vmr);
		if (drop)
			rmai_replica_remove(ri, r->vmr, 1);
	}
	if (bytes) {
		rmai_count(writebacks, 1);
		rmai_count(writeback_bytes, bytes);
		atomic64_inc(&ri->stat.writebacks);
	}
	xa_lock(&ri->replicas);
	rep->busy = false;
	/* A lapse meanwhile: what is clean goes */
	lapsed = rep->stopped && !err && (r->flags & RMAI_VMR_LAST) && !drop;
	drop |= lapsed;
	if (err) {
		rmai_replica_set(ri, r->vmr, rep, RMAI_REPLICA_X, r->seq);
	} else if (r->flags & RMAI_VMR_LAST) {
		rmai_replica_set(ri, r->vmr, rep, drop ? RMAI_REPLICA_I :
				 RMAI_REPLICA_S, r->seq);
		rep->seq = r->seq;
		if (drop)
			rmai_replica_forget(ri, r->vmr, rep);
	}
	xa_unlock(&ri->replicas);
	if (lapsed)
		rmai_replica_drop(ri, r->vmr, 1);
	ack->bytes = bytes;
out:
	iput(&ri->vfs);
	return err;
}

/* The lease of a home has lapsed: nothing of it is to be used, and nothing written lost */

static int rmai_folio_stop(struct address_space *mapping, struct folio *folio, void *arg)
{
	bool *dirty = arg;

	if (rmai_on_its_way(folio) || !rmai_folio_take(mapping, folio, false))
		return 0;
	*dirty |= folio_test_dirty(folio);
	folio_clear_uptodate(folio);
	folio_unlock(folio);
	return 0;
}

/* Of a VMR that was written: not to be mapped, nor read; true if some of it is dirty */
static bool rmai_replica_stop(struct rmai_inode *ri, u64 vmr)
{
	bool dirty = false;

	rmai_for_folios(ri, vmr, 1, rmai_folio_stop, &dirty);
	return dirty;
}

/**
 * rmai_replica_resume() - what was stopped may be used again
 * @ri: region
 * @vmr: index
 */
void rmai_replica_resume(struct rmai_inode *ri, u64 vmr)
{
	rmai_home_refill(ri, vmr);
}

static void rmai_replica_lapse(struct rmai_inode *ri, u64 vmr)
{
	struct rmai_replica *rep;
	bool stop = false;

	xa_lock(&ri->replicas);
	rep = xa_load(&ri->replicas, vmr);
	if (!rep) {
		xa_unlock(&ri->replicas);
		return;
	}
	rep->have = false;
	rmai_fetch_void(ri, vmr, true);
	if (rep->state == RMAI_REPLICA_X || rep->state == RMAI_REPLICA_WRITEBACK) {
		rep->stopped = true;
		stop = true;
	} else if (rep->state == RMAI_REPLICA_S) {
		rmai_replica_set(ri, vmr, rep, RMAI_REPLICA_I, rep->seq);
		rmai_replica_forget(ri, vmr, rep);
	}
	xa_unlock(&ri->replicas);
	if (!stop) {
		rmai_replica_remove(ri, vmr, 1);
		return;
	}
	if (rmai_replica_stop(ri, vmr))
		return;
	/* It was granted for writing, but nothing was written */
	xa_lock(&ri->replicas);
	rep = xa_load(&ri->replicas, vmr);
	if (rep && rep->state == RMAI_REPLICA_X && rep->stopped) {
		rmai_replica_set(ri, vmr, rep, RMAI_REPLICA_I, rep->seq);
		rmai_replica_forget(ri, vmr, rep);
	} else {
		rep = NULL;
	}
	xa_unlock(&ri->replicas);
	if (rep)
		rmai_replica_remove(ri, vmr, 1);
}

/**
 * rmai_replicas_lapse() - a home may have given up this node
 * @ri: region
 * @home: node
 *
 * What was only read is dropped; what was written stays, but is not used until the
 * home has been asked.
 *
 * Context: may sleep, not for the network.
 */
void rmai_replicas_lapse(struct rmai_inode *ri, u16 home)
{
	unsigned long vmr = 0;
	void *rep;

	if (rmai_is_sealed(ri))
		return;
	/* All at once, and quickly; what is of other homes is mapped again */
	unmap_mapping_pages(ri->vfs.i_mapping, 0, 0, false);
	for (rep = xa_find(&ri->replicas, &vmr, ULONG_MAX, XA_PRESENT); rep;
	     rep = xa_find_after(&ri->replicas, &vmr, ULONG_MAX, XA_PRESENT)) {
		if (rmai_inv_from_home(ri, home, vmr))
			rmai_replica_lapse(ri, vmr);
		cond_resched();
	}
}

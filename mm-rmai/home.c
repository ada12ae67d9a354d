// SPDX-License-Identifier: GPL-2.0
/*
 * The store: bytes of regions that live on this node, and access to them for
 * other nodes.
 *
 * Homed pages are ordinary page cache pages of the region's inode, always
 * uptodate and dirty, so that reclaim leaves them alone; the inode is held while
 * it has any. A hole reads as zeros and takes no memory. Peers only ever get
 * read-only keys, of sealed regions; everything else is moved by this node.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/highmem.h>
#include <linux/pagevec.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "internal.h"

/**
 * struct rmai_home_mr - a key given to peers
 * @mr: registration
 * @sgl: the memory
 * @nr_folios: entries of @folios
 * @folios: references: what a peer can reach is neither migrated nor freed
 */
struct rmai_home_mr {
	struct rmai_mr		*mr;
	struct scatterlist	*sgl;
	unsigned int		nr_folios;
	struct folio		*folios[];
};

bool rmai_is_home(const struct rmai_inode *ri, u64 off)
{
	u32 slot = rmai_home_slot(&ri->geom, off);

	return ri->attr.nodes[slot].id == ri->rc->self;
}

static int rmai_pool_charge(struct rmai_cluster *rc, long nr)
{
	u64 limit = rc->cfg.pool_bytes >> PAGE_SHIFT;

	if (atomic64_add_return(nr, &rc->pool_used) <= limit)
		return 0;
	atomic64_sub(nr, &rc->pool_used);
	pr_warn_ratelimited("node %u: the pool of %llu MiB is full\n", rc->self,
			    rc->cfg.pool_bytes >> 20);
	return -ENOSPC;
}

static void rmai_home_account(struct rmai_inode *ri, long nr)
{
	atomic64_add(nr, &ri->home_pages);
	rmai_count(home_pages, nr);
}

/**
 * rmai_home_folio() - the folio that stores a page, made if there is none
 * @ri: region
 * @index: page
 * @end: the folio may be large, but ends at or before this page
 * @gfp: flags
 *
 * Context: may sleep; ri->home_sem is held for reading.
 * Return: an uptodate folio with a reference, or ERR_PTR(-ENOSPC, -ENOMEM).
 */
struct folio *rmai_home_folio(struct rmai_inode *ri, pgoff_t index, u64 end,
			      gfp_t gfp)
{
	struct address_space *mapping = ri->vfs.i_mapping;
	struct folio *folio;
	unsigned int order;
	int err;

	order = rmai_folio_order(index, end, mapping_max_folio_order(mapping));
	for (;;) {
		folio = filemap_get_folio(mapping, index);
		if (!IS_ERR(folio))
			return folio;
		err = rmai_pool_charge(ri->rc, 1L << order);
		if (err && order) {
			order = 0;
			continue;
		}
		if (err)
			return ERR_PTR(err);
		folio = filemap_alloc_folio(order ? gfp | __GFP_NORETRY |
					    __GFP_NOWARN : gfp, order);
		if (!folio) {
			atomic64_sub(1L << order, &ri->rc->pool_used);
			if (!order)
				return ERR_PTR(-ENOMEM);
			order = order > 2 ? order - 2 : 0;
			continue;
		}
		folio_zero_range(folio, 0, folio_size(folio));
		__folio_mark_uptodate(folio);
		err = filemap_add_folio(mapping, folio,
					round_down(index, 1UL << order), gfp);
		if (!err)
			break;
		folio_put(folio);
		atomic64_sub(1L << order, &ri->rc->pool_used);
		if (err == -EEXIST && order)
			order = 0;
		else if (err != -EEXIST)
			return ERR_PTR(err);
	}
	folio_mark_dirty(folio);
	rmai_home_account(ri, folio_nr_pages(folio));
	if (!test_and_set_bit(RMAI_HOME_HELD, &ri->flags))
		ihold(&ri->vfs);
	folio_unlock(folio);
	return folio;
}

/* Pages in the cache from @from on that are homed here */
static long rmai_home_count(struct rmai_inode *ri, pgoff_t from)
{
	struct address_space *mapping = ri->vfs.i_mapping;
	struct folio_batch fbatch;
	pgoff_t index = from;
	long nr = 0;
	int i;

	folio_batch_init(&fbatch);
	while (filemap_get_folios(mapping, &index, ULONG_MAX, &fbatch)) {
		for (i = 0; i < folio_batch_count(&fbatch); i++) {
			struct folio *folio = fbatch.folios[i];

			if (rmai_is_home(ri, (u64)folio->index << PAGE_SHIFT))
				nr += folio_nr_pages(folio);
		}
		folio_batch_release(&fbatch);
		cond_resched();
	}
	return nr;
}

/* Drop what is cached and stored from byte @from on; home_sem is held for writing */
static void rmai_home_drop(struct rmai_inode *ri, u64 from)
{
	long before = atomic64_read(&ri->home_pages), after;

	truncate_pagecache(&ri->vfs, from);
	if (!before)
		return;
	after = from ? rmai_home_count(ri, 0) : 0;
	rmai_home_account(ri, after - before);
	atomic64_sub(before - after, &ri->rc->pool_used);
}

/* The inode of a region that a peer names; -ESTALE when it is gone */
static struct rmai_inode *rmai_home_get(struct rmai_cluster *rc, u64 id)
{
	struct inode *inode = rmai_iget(rc, id);

	if (IS_ERR(inode))
		return ERR_CAST(inode);
	if (S_ISREG(inode->i_mode))
		return RMAI_I(inode);
	iput(inode);
	return ERR_PTR(-ESTALE);
}

/* Only the owner may drop or freeze */
static bool rmai_from_owner(u16 src, u64 id)
{
	return src == rmai_id_owner(id);
}

int rmai_home_trunc(struct rmai_cluster *rc, u16 src,
		    const struct rmai_msg_setattr *sa)
{
	struct rmai_inode *ri;
	struct inode *inode;

	if (!rmai_from_owner(src, sa->id))
		return -EPERM;
	inode = ilookup(rc->sb, sa->id);
	if (!inode)
		return 0;
	ri = RMAI_I(inode);
	down_write(&ri->home_sem);
	if (i_size_read(inode) > sa->attr.size)
		i_size_write(inode, sa->attr.size);
	rmai_home_drop(ri, sa->attr.size);
	up_write(&ri->home_sem);
	iput(inode);
	return 0;
}

int rmai_home_freeze(struct rmai_cluster *rc, u16 src,
		     const struct rmai_msg_setattr *sa)
{
	struct rmai_inode *ri;
	struct inode *inode;
	int err = 0;

	if (!rmai_from_owner(src, sa->id))
		return -EPERM;
	/* From what came with the request: the owner cannot be asked, it waits */
	inode = rmai_iget_attr(rc, &sa->attr);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	ri = RMAI_I(inode);
	down_write(&ri->home_sem);
	WRITE_ONCE(ri->frozen, sa->attr.seals & F_SEAL_WRITE);
	/* Pairs with rmai_file_mmap(): it sees frozen, or we see its mapping */
	smp_mb();
	if (ri->frozen && mapping_writably_mapped(inode->i_mapping)) {
		WRITE_ONCE(ri->frozen, false);
		err = -EBUSY;
	}
	up_write(&ri->home_sem);
	/* Stores that began before; a connection's end ends them, too */
	wait_var_event(&ri->stores, !atomic_read(&ri->stores));
	iput(inode);
	return err;
}

static void rmai_home_mr_free(struct rmai_inode *ri, struct rmai_home_mr *hm)
{
	struct rmai_xprt *xprt = ri->rc->xprt;
	unsigned int i;

	if (!IS_ERR_OR_NULL(hm->mr)) {
		xprt->ops->dereg(xprt, hm->mr);
		rmai_count(mrs, -1);
	}
	for (i = 0; i < hm->nr_folios; i++)
		folio_put(hm->folios[i]);
	kvfree(hm->sgl);
	kvfree(hm);
}

/**
 * rmai_home_free() - the owner has freed a region: drop all of it
 * @rc: this node
 * @src: who says so
 * @id: region
 */
void rmai_home_free(struct rmai_cluster *rc, u16 src, u64 id)
{
	struct rmai_home_mr *hm;
	struct rmai_inode *ri;
	struct inode *inode;
	unsigned long nr;

	if (!rmai_from_owner(src, id))
		return;
	inode = ilookup(rc->sb, id);
	if (!inode)
		return;
	ri = RMAI_I(inode);
	mutex_lock(&ri->mrs_lock);
	down_write(&ri->home_sem);
	WRITE_ONCE(ri->freed, true);
	WRITE_ONCE(ri->frozen, true);
	up_write(&ri->home_sem);
	xa_for_each(&ri->mrs, nr, hm) {
		xa_erase(&ri->mrs, nr);
		rmai_home_mr_free(ri, hm);
	}
	mutex_unlock(&ri->mrs_lock);
	down_write(&ri->home_sem);
	rmai_home_drop(ri, 0);
	up_write(&ri->home_sem);
	if (inode->i_nlink)
		clear_nlink(inode);
	if (test_and_clear_bit(RMAI_HOME_HELD, &ri->flags))
		iput(inode);
	iput(inode);
}

/**
 * rmai_home_free_owned() - drop the regions of an owner that has rebooted
 * @rc: this node
 * @owner: node; 0: all regions of all owners
 * @epoch: its new incarnation
 */
void rmai_home_free_owned(struct rmai_cluster *rc, u16 owner, u64 epoch)
{
	struct super_block *sb = rc->sb;
	struct inode *inode, *prev = NULL;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		struct rmai_inode *ri = RMAI_I(inode);

		if (!ri->id || (owner && (rmai_id_owner(ri->id) != owner ||
					  ri->attr.owner_epoch == epoch)))
			continue;
		if (!igrab(inode))
			continue;
		/* Held: so it stays on the list while the lock is dropped */
		spin_unlock(&sb->s_inode_list_lock);
		iput(prev);
		WRITE_ONCE(ri->lost, true);
		rmai_home_free(rc, rmai_id_owner(ri->id), ri->id);
		prev = inode;
		spin_lock(&sb->s_inode_list_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(prev);
}

/* Register the memory of a key for peers; mrs_lock is held */
static struct rmai_home_mr *rmai_home_mr_make(struct rmai_inode *ri,
					      struct rmai_conn *conn,
					      struct rmai_span span)
{
	pgoff_t index = span.off >> PAGE_SHIFT;
	pgoff_t end = (span.off + span.len) >> PAGE_SHIFT;
	struct address_space *mapping = ri->vfs.i_mapping;
	struct rmai_home_mr *hm;
	struct rmai_mr *mr;
	unsigned int n = 0;

	hm = kvzalloc(struct_size(hm, folios, end - index), GFP_KERNEL);
	if (!hm)
		return ERR_PTR(-ENOMEM);
	hm->sgl = kvmalloc_array(end - index, sizeof(*hm->sgl), GFP_KERNEL);
	if (!hm->sgl) {
		kvfree(hm);
		return ERR_PTR(-ENOMEM);
	}
	sg_init_table(hm->sgl, end - index);
	while (index < end) {
		struct folio *folio = filemap_get_folio(mapping, index);
		pgoff_t off, nr;

		if (IS_ERR(folio)) {
			sg_set_page(&hm->sgl[n++], ZERO_PAGE(0), PAGE_SIZE, 0);
			index++;
			continue;
		}
		off = index - folio->index;
		nr = min_t(pgoff_t, folio_nr_pages(folio) - off, end - index);
		hm->folios[hm->nr_folios++] = folio;
		sg_set_page(&hm->sgl[n++], folio_page(folio, off),
			    nr << PAGE_SHIFT, 0);
		index += nr;
	}
	sg_mark_end(&hm->sgl[n - 1]);
	mr = conn->xprt->ops->reg(conn, hm->sgl, n, false);
	hm->mr = mr;
	if (IS_ERR(mr)) {
		rmai_home_mr_free(ri, hm);
		return ERR_CAST(mr);
	}
	rmai_count(mrs, 1);
	return hm;
}

/**
 * rmai_home_keys() - give a peer the keys of a sealed region
 * @rc: this node
 * @src: peer
 * @req: first key wanted, and how many of the ones homed here from it on
 * @rep: keys
 *
 * Return: 0 with at least one key; -ESTALE (region or incarnation gone), -EAGAIN
 * (not sealed), -EINVAL (nothing of it is homed here), -ENOTCONN, -ENOMEM.
 */
int rmai_home_keys(struct rmai_cluster *rc, u16 src,
		   const struct rmai_msg_keys *req, struct rmai_msg_keys *rep)
{
	u32 key_bytes = rc->xprt->max_key_pages << PAGE_SHIFT;
	struct rmai_peer *peer = rmai_peer(rc, src);
	struct rmai_link *link;
	struct rmai_inode *ri;
	int err = 0;
	u64 nr;

	if (req->home_epoch != rc->epoch)
		return -ESTALE;
	ri = rmai_home_get(rc, req->id);
	if (IS_ERR(ri))
		return PTR_ERR(ri);
	if (!READ_ONCE(ri->sealed)) {
		err = rmai_inode_refresh(ri);
		if (!err && !READ_ONCE(ri->sealed))
			err = -EAGAIN;
		if (err)
			goto put;
	}
	link = peer ? rmai_peer_link_get(peer) : NULL;
	if (!link) {
		err = -ENOTCONN;
		goto put;
	}
	rep->id = req->id;
	rep->owner_epoch = req->owner_epoch;
	rep->home_epoch = req->home_epoch;
	rep->first = req->first;
	rep->nr = 0;
	mutex_lock(&ri->mrs_lock);
	for (nr = req->first; rep->nr < req->nr; nr++) {
		struct rmai_span span = rmai_key_span(&ri->geom, key_bytes, nr);
		struct rmai_home_mr *hm;

		if (!span.len || READ_ONCE(ri->freed))
			break;
		if (!rmai_is_home(ri, span.off))
			continue;
		hm = xa_load(&ri->mrs, nr);
		if (!hm) {
			hm = rmai_home_mr_make(ri, link->conn, span);
			if (!IS_ERR(hm))
				err = xa_err(xa_store(&ri->mrs, nr, hm,
						      GFP_KERNEL));
			else
				err = PTR_ERR(hm);
			if (err) {
				if (!IS_ERR(hm))
					rmai_home_mr_free(ri, hm);
				break;
			}
			/* Registrations, too, keep the inode until FREE */
			if (!test_and_set_bit(RMAI_HOME_HELD, &ri->flags))
				ihold(&ri->vfs);
		}
		rep->keys[rep->nr].addr = hm->mr->key.addr;
		rep->keys[rep->nr].rkey = hm->mr->key.rkey;
		rep->keys[rep->nr].len = hm->mr->key.len;
		rep->nr++;
	}
	mutex_unlock(&ri->mrs_lock);
	rmai_link_put(link);
	if (rep->nr)
		err = 0;
	else if (!err)
		err = READ_ONCE(ri->freed) ? -ESTALE : -EINVAL;
put:
	iput(&ri->vfs);
	return err;
}

/* One-sided operation that its caller waits for */
struct rmai_sync_op {
	struct rmai_rdma	op;
	struct completion	done;
	int			err;
};

static void rmai_sync_done(struct rmai_rdma *op, int err)
{
	struct rmai_sync_op *so = container_of(op, struct rmai_sync_op, op);

	so->err = err;
	complete(&so->done);
}

/**
 * rmai_home_io() - READ or WRITE of stored bytes for a peer
 * @rc: this node
 * @src: peer
 * @io: which bytes, and the peer's memory
 * @write: peer's memory to store
 *
 * Context: may sleep, for as long as the connection lives.
 * Return: 0; -ESTALE; -EPERM (sealed); -EINVAL (not homed here); -ENOSPC, -ENOMEM,
 * -EIO or the transport's error.
 */
int rmai_home_io(struct rmai_cluster *rc, u16 src, const struct rmai_msg_io *io,
		 bool write)
{
	struct rmai_peer *peer = rmai_peer(rc, src);
	pgoff_t index = io->off >> PAGE_SHIFT;
	pgoff_t end = (io->off + io->len + PAGE_SIZE - 1) >> PAGE_SHIFT;
	unsigned int n = 0, nr_folios = 0, i;
	struct rmai_sync_op so = {};
	struct scatterlist *sgl;
	struct folio **folios;
	struct rmai_link *link;
	struct rmai_inode *ri;
	u64 pos = io->off;
	int err;

	if (io->home_epoch != rc->epoch)
		return -ESTALE;
	ri = rmai_home_get(rc, io->id);
	if (IS_ERR(ri))
		return PTR_ERR(ri);
	err = -EINVAL;
	if (!rmai_is_home(ri, io->off) ||
	    rmai_home_run(&ri->geom, io->off, io->len) != io->len ||
	    io->off + io->len > rc->space.size)
		goto put;
	err = -ENOTCONN;
	link = peer ? rmai_peer_link_get(peer) : NULL;
	if (!link)
		goto put;
	err = -ENOMEM;
	sgl = kvmalloc_array(end - index, sizeof(*sgl), GFP_KERNEL);
	folios = kvmalloc_array(end - index, sizeof(*folios), GFP_KERNEL);
	if (!sgl || !folios)
		goto free;
	sg_init_table(sgl, end - index);

	down_read(&ri->home_sem);
	err = READ_ONCE(ri->freed) ? -ESTALE :
	      write && READ_ONCE(ri->frozen) ? -EPERM : 0;
	while (!err && pos < io->off + io->len) {
		u64 stop = io->off + io->len;
		struct folio *folio;

		if (write)
			folio = rmai_home_folio(ri, index, end, GFP_KERNEL);
		else
			folio = filemap_get_folio(ri->vfs.i_mapping, index);
		if (!IS_ERR(folio)) {
			folios[nr_folios++] = folio;
			stop = min_t(u64, stop, folio_pos(folio) + folio_size(folio));
			sg_set_page(&sgl[n++],
				    folio_page(folio, index - folio->index),
				    stop - pos, offset_in_page(pos));
		} else if (write) {
			err = PTR_ERR(folio);
		} else {
			stop = min_t(u64, stop, ((u64)index + 1) << PAGE_SHIFT);
			sg_set_page(&sgl[n++], ZERO_PAGE(0), stop - pos,
				    offset_in_page(pos));
		}
		pos = stop;
		index = pos >> PAGE_SHIFT;
	}
	if (write)
		atomic_inc(&ri->stores);
	/* Nobody waits for the network under home_sem */
	up_read(&ri->home_sem);
	if (!err) {
		sg_mark_end(&sgl[n - 1]);
		so.op.key.addr = io->key.addr;
		so.op.key.rkey = io->key.rkey;
		so.op.key.len = io->len;
		so.op.sgl = sgl;
		so.op.nents = n;
		so.op.write = !write;
		so.op.done = rmai_sync_done;
		init_completion(&so.done);
		err = link->conn->xprt->ops->rdma(link->conn, &so.op);
		if (!err) {
			wait_for_completion(&so.done);
			err = so.err;
		}
	}
	if (!err && write) {
		spin_lock(&ri->vfs.i_lock);
		if (i_size_read(&ri->vfs) < io->off + io->len)
			i_size_write(&ri->vfs, io->off + io->len);
		spin_unlock(&ri->vfs.i_lock);
	}
	if (write && atomic_dec_and_test(&ri->stores))
		wake_up_var(&ri->stores);
	for (i = 0; i < nr_folios; i++)
		folio_put(folios[i]);
free:
	kvfree(sgl);
	kvfree(folios);
	rmai_link_put(link);
put:
	iput(&ri->vfs);
	return err;
}

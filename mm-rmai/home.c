// SPDX-License-Identifier: GPL-2.0
/*
 * The store: bytes of regions that live on this node, and access to them for
 * other nodes.
 *
 * Homed pages are ordinary page cache pages of the region's inode, always dirty, so
 * that reclaim leaves them alone; the inode is held while it has any. They are
 * uptodate unless another node writes the VMR (directory.c). A hole reads as zeros
 * and takes no memory, until a peer gets a key of it (home_keys.c). What write(2) stores is
 * moved by this node.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/highmem.h>
#include <linux/pagevec.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "directory.h"
#include "internal.h"

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
 * @end: the folio may be large, but ends at or before this page, and with the VMR
 * @gfp: flags
 *
 * Context: may sleep; ri->home_sem is held for reading.
 * Return: a folio with a reference, uptodate if it is new; ERR_PTR(-ENOSPC, -ENOMEM),
 * -EHWPOISON if memory of one of these pages has broken.
 */
struct folio *rmai_home_folio(struct rmai_inode *ri, pgoff_t index, u64 end,
			      gfp_t gfp)
{
	struct address_space *mapping = ri->vfs.i_mapping;
	struct folio *folio;
	u64 vmr_end = (rmai_vmr_index(&ri->geom, (u64)index << PAGE_SHIFT) + 1) *
		      ri->geom.vmr_size;
	unsigned int order;
	int err;

	/* Peers' keys pin it for as long as the region lives */
	gfp &= ~__GFP_MOVABLE;
	order = rmai_folio_order(index, min(end, vmr_end >> PAGE_SHIFT),
				 mapping_max_folio_order(mapping));
	for (;;) {
		folio = rmai_whole_folio(mapping, index, end - index);
		if (folio != ERR_PTR(-ENOENT))
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
		else if (err == -ENOMEM && order)
			order = order > 2 ? order - 2 : 0;
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

	if (before)
		rmai_broken_split(ri->vfs.i_mapping, DIV_ROUND_UP(from, PAGE_SIZE));
	truncate_pagecache(&ri->vfs, from);
	if (!before)
		return;
	after = from ? rmai_home_count(ri, 0) : 0;
	rmai_home_account(ri, after - before);
	atomic64_sub(before - after, &ri->rc->pool_used);
}

/* The inode of a region that a peer names; -ESTALE when it is gone */
struct rmai_inode *rmai_home_get(struct rmai_cluster *rc, u64 id)
{
	struct inode *inode = rmai_iget(rc, id);

	if (IS_ERR(inode))
		return ERR_CAST(inode);
	if (S_ISREG(inode->i_mode))
		return RMAI_I(inode);
	iput(inode);
	return ERR_PTR(-ESTALE);
}

/**
 * rmai_size_grow() - a region is at least this long
 * @ri: region, open
 * @size: bytes
 */
void rmai_size_grow(struct rmai_inode *ri, u64 size)
{
	spin_lock(&ri->vfs.i_lock);
	if (i_size_read(&ri->vfs) < size)
		i_size_write(&ri->vfs, size);
	if (ri->geom.size < size)
		ri->geom.size = size;
	spin_unlock(&ri->vfs.i_lock);
}

/* Only the owner may drop or freeze */
static bool rmai_from_owner(u16 src, u64 id)
{
	return src == rmai_id_owner(id);
}

/*
 * Take back what a cut concerns: the VMR that it goes through, and those that share a
 * key with what goes, for that key is void then; what is past it nobody wants.
 */
static int rmai_home_cut(struct rmai_inode *ri, u64 size)
{
	u32 key_bytes = ri->rc->xprt->max_key_pages << PAGE_SHIFT;
	struct rmai_home_mr *hm;
	struct rmai_span span;
	u64 first, after;
	unsigned long nr;
	int err;

	nr = rmai_key_number(&ri->geom, key_bytes, size);
	span = rmai_key_span(&ri->geom, key_bytes, nr);
	first = rmai_vmr_index(&ri->geom, span.len ? span.off : size);
	after = rmai_vmr_index(&ri->geom, size + ri->geom.vmr_size - 1);
	err = rmai_dir_from(ri, RMAI_DIR_HOME_WRITE, first, after);
	if (err && err != -EHWPOISON)
		return err;
	/*
	 * Once it has begun it is not given up: who has been told to drop what it wrote
	 * has dropped it, and what is stored is from before.
	 */
	do {
		err = rmai_dir_from(ri, RMAI_DIR_RESET, after, U64_MAX);
		if (err)
			schedule_timeout_uninterruptible(HZ / 50);
	} while (err && !READ_ONCE(ri->rc->stopping) && !READ_ONCE(ri->freed));
	mutex_lock(&ri->mrs_lock);
	WRITE_ONCE(ri->keys_gen, ri->keys_gen + 1);
	xa_for_each_start(&ri->mrs, nr, hm, nr) {
		xa_erase(&ri->mrs, nr);
		rmai_home_mr_free(ri, hm);
	}
	mutex_unlock(&ri->mrs_lock);
	return 0;
}

int rmai_home_trunc(struct rmai_cluster *rc, u16 src,
		    const struct rmai_msg_setattr *sa)
{
	struct rmai_inode *ri;
	struct inode *inode;
	int err;

	if (!rmai_from_owner(src, sa->id))
		return -EPERM;
	inode = ilookup(rc->sb, sa->id);
	if (!inode)
		return 0;
	ri = RMAI_I(inode);
	/* From here on no node is granted anything of what goes */
	WRITE_ONCE(ri->trunc_from, sa->attr.size);
	err = rmai_home_cut(ri, sa->attr.size);
	if (!err) {
		down_write(&ri->home_sem);
		spin_lock(&inode->i_lock);
		if (i_size_read(inode) > sa->attr.size) {
			i_size_write(inode, sa->attr.size);
			ri->geom.size = sa->attr.size;
		}
		spin_unlock(&inode->i_lock);
		rmai_home_drop(ri, sa->attr.size);
		up_write(&ri->home_sem);
	}
	WRITE_ONCE(ri->trunc_from, U64_MAX);
	iput(inode);
	return err;
}

int rmai_home_freeze(struct rmai_cluster *rc, u16 src,
		     struct rmai_msg_setattr *sa)
{
	bool was, freeze = sa->attr.seals & F_SEAL_WRITE;
	struct rmai_inode *ri;
	struct inode *inode;
	int err = 0;

	if (!rmai_from_owner(src, sa->id))
		return -EPERM;
	/*
	 * From what came with the request: the owner cannot be asked, it waits. The
	 * seal is not known to hold before all nodes have agreed to it.
	 */
	sa->attr.seals &= ~F_SEAL_WRITE;
	inode = rmai_iget_attr(rc, &sa->attr);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	ri = RMAI_I(inode);
	down_write(&ri->home_sem);
	was = ri->frozen;
	WRITE_ONCE(ri->frozen, freeze);
	/* Pairs with rmai_file_mmap(): it sees frozen, or we see its mapping */
	smp_mb();
	if (freeze && mapping_writably_mapped(inode->i_mapping))
		err = -EBUSY;
	up_write(&ri->home_sem);
	/* Stores that began before; a connection's end ends them, too */
	wait_var_event(&ri->stores, !atomic_read(&ri->stores));
	/* And what other nodes have written; they may go on reading */
	if (freeze && !err)
		err = rmai_dir_from(ri, RMAI_DIR_HOME_READ, 0, U64_MAX);
	if (err)
		WRITE_ONCE(ri->frozen, was);
	iput(inode);
	return err;
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
 * rmai_rdma_wait() - one one-sided operation, and wait for its end
 * @link: connection, in use by the caller
 * @key: the peer's memory
 * @sgl: ours
 * @nents: entries of @sgl
 * @write: to the peer
 *
 * Context: may sleep, for as long as the connection lives.
 * Return: 0 or the transport's error.
 */
int rmai_rdma_wait(struct rmai_link *link, const struct rmai_key *key,
		   struct scatterlist *sgl, unsigned int nents, bool write)
{
	struct rmai_sync_op so = {
		.op = {
			.key = *key,
			.sgl = sgl,
			.nents = nents,
			.write = write,
			.done = rmai_sync_done,
		},
	};
	int err;

	init_completion(&so.done);
	err = link->conn->xprt->ops->rdma(link->conn, &so.op);
	if (err)
		return err;
	wait_for_completion(&so.done);
	return so.err;
}

/* READ from a peer's memory into what is stored; the caller has the VMRs */
static int rmai_home_store(struct rmai_inode *ri, struct rmai_link *link,
			   const struct rmai_msg_io *io)
{
	pgoff_t index = io->off >> PAGE_SHIFT;
	pgoff_t end = (io->off + io->len + PAGE_SIZE - 1) >> PAGE_SHIFT;
	struct rmai_key key = { io->key.addr, io->key.rkey, io->len };
	unsigned int n = 0, i;
	struct scatterlist *sgl;
	u64 pos = io->off;
	int err = 0;

	sgl = kvmalloc_array(end - index, sizeof(*sgl), GFP_KERNEL);
	if (!sgl)
		return -ENOMEM;
	sg_init_table(sgl, end - index);
	down_read(&ri->home_sem);
	if (READ_ONCE(ri->freed))
		err = -ESTALE;
	else if (READ_ONCE(ri->frozen))
		err = -EPERM;
	while (!err && pos < io->off + io->len) {
		struct folio *folio = rmai_home_folio(ri, index, end, GFP_KERNEL);
		u64 stop;

		if (IS_ERR(folio)) {
			err = PTR_ERR(folio);
			break;
		}
		stop = min_t(u64, io->off + io->len, folio_pos(folio) + folio_size(folio));
		sg_set_page(&sgl[n++], folio_page(folio, index - folio->index),
			    stop - pos, offset_in_page(pos));
		pos = stop;
		index = pos >> PAGE_SHIFT;
	}
	atomic_inc(&ri->stores);
	/* Nobody waits for the network under home_sem */
	up_read(&ri->home_sem);
	if (!err) {
		sg_mark_end(&sgl[n - 1]);
		err = rmai_rdma_wait(link, &key, sgl, n, false);
	}
	if (!err)
		rmai_size_grow(ri, io->off + io->len);
	if (atomic_dec_and_test(&ri->stores))
		wake_up_var(&ri->stores);
	for (i = 0; i < n; i++)
		folio_put(page_folio(sg_page(&sgl[i])));
	kvfree(sgl);
	return err;
}

/*
 * A WRITE that was carried out, though its writer has not heard so, may not be
 * again: others may have read it meanwhile, and written something else.
 */
static bool rmai_home_stored(struct rmai_peer *peer, u64 token, bool now)
{
	unsigned long flags;
	bool stored = false;
	int i;

	spin_lock_irqsave(&peer->lock, flags);
	for (i = 0; i < ARRAY_SIZE(peer->stored) && !stored; i++)
		stored = peer->stored[i] == token;
	if (now)
		peer->stored[peer->next_stored++ % ARRAY_SIZE(peer->stored)] = token;
	spin_unlock_irqrestore(&peer->lock, flags);
	return stored;
}

/**
 * rmai_home_write() - WRITE of a peer: it goes here, and no replica of it stays
 * @rc: this node
 * @src: peer
 * @io: which bytes, and the peer's memory
 *
 * Context: may sleep, for as long as the connection lives.
 * Return: 0; -ESTALE; -EPERM (sealed); -EINVAL (not homed here); -EHWPOISON; -ENOSPC,
 * -ENOMEM, -EIO or the transport's error.
 */
int rmai_home_write(struct rmai_cluster *rc, u16 src, const struct rmai_msg_io *io)
{
	struct rmai_peer *peer = rmai_peer(rc, src);
	struct rmai_dir_range range;
	struct rmai_link *link;
	struct rmai_inode *ri;
	int err;

	if (io->home_epoch != rc->epoch)
		return -ESTALE;
	ri = rmai_home_get(rc, io->id);
	if (IS_ERR(ri))
		return PTR_ERR(ri);
	err = -EINVAL;
	if (!peer || !rmai_is_home(ri, io->off) || io->ahead > rc->space.size ||
	    rmai_home_run(&ri->geom, io->off, io->len) != io->len ||
	    io->off + io->len > rc->space.size)
		goto put;
	/* A hint: if it fails for some, whoever comes to write them is told */
	if (io->ahead > io->len)
		rmai_dir_ahead(ri, io->off, io->ahead);
	err = rmai_dir_range_begin(ri, io->off, io->len, &range);
	link = rmai_peer_link_get(peer);
	if (!err && !rmai_home_stored(peer, io->token, false)) {
		err = link ? rmai_home_store(ri, link, io) : -ENOTCONN;
		if (!err)
			rmai_home_stored(peer, io->token, true);
	}
	if (link)
		rmai_link_put(link);
	rmai_dir_range_end(ri, &range);
put:
	iput(&ri->vfs);
	return err;
}

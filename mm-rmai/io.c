// SPDX-License-Identifier: GPL-2.0
/*
 * read(2) and write(2) of regions.
 *
 * Regions are read through the page cache. They are written at their homes: a piece
 * at a time the home reads from a buffer of ours that it was given a key of, when
 * no node has a replica of that piece any more. What is homed here is copied from
 * and to the page cache, which is the store.
 */
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/uio.h>

#include "directory.h"
#include "internal.h"

/**
 * struct rmai_bounce - memory for one piece on its way
 * @sgl: of @folios
 * @nr: how many
 * @folios: the memory, each physically contiguous
 */
struct rmai_bounce {
	struct scatterlist	sgl[RMAI_WIRE_DATA_MAX >> PAGE_SHIFT];
	unsigned int		nr;
	struct folio		*folios[RMAI_WIRE_DATA_MAX >> PAGE_SHIFT];
};

static void rmai_bounce_free(struct rmai_bounce *b)
{
	unsigned int i;

	if (!b)
		return;
	for (i = 0; i < b->nr; i++)
		folio_put(b->folios[i]);
	kvfree(b);
}

static struct rmai_bounce *rmai_bounce_alloc(size_t len)
{
	struct rmai_bounce *b = kvmalloc(sizeof(*b), GFP_KERNEL);
	size_t left = ALIGN(len, PAGE_SIZE);

	if (!b)
		return NULL;
	b->nr = 0;
	sg_init_table(b->sgl, ARRAY_SIZE(b->sgl));
	while (left) {
		unsigned int order = min_t(unsigned int, ilog2(left >> PAGE_SHIFT),
					   MAX_PAGE_ORDER);
		struct folio *folio;

		do {
			folio = folio_alloc(order ? GFP_KERNEL | __GFP_NORETRY |
					    __GFP_NOWARN : GFP_KERNEL, order);
		} while (!folio && order && order--);
		if (!folio) {
			rmai_bounce_free(b);
			return NULL;
		}
		b->folios[b->nr] = folio;
		sg_set_page(&b->sgl[b->nr++], folio_page(folio, 0),
			    min(left, folio_size(folio)), 0);
		left -= folio_size(folio);
	}
	/* The last entry may be a part of a page */
	b->sgl[b->nr - 1].length -= ALIGN(len, PAGE_SIZE) - len;
	sg_mark_end(&b->sgl[b->nr - 1]);
	return b;
}

static bool rmai_bounce_fill(struct rmai_bounce *b, size_t len, struct iov_iter *from)
{
	unsigned int i;

	for (i = 0; i < b->nr && len; i++) {
		size_t n = min(len, folio_size(b->folios[i]));

		if (copy_page_from_iter(folio_page(b->folios[i], 0), 0, n, from) != n)
			return false;
		len -= n;
	}
	return true;
}

/**
 * struct rmai_ahead - what homes were told of a write(2) that goes on
 * @end: of the VMRs that one INV takes, for each home
 * @told: homes that know, by slot
 */
struct rmai_ahead {
	u64	end;
	u64	told;
};

/* Bytes from @pos on, of @left that will be written, to tell the home of @pos; or 0 */
static u64 rmai_io_ahead(struct rmai_inode *ri, struct rmai_ahead *a, u64 pos, u64 left)
{
	u64 first = rmai_vmr_index(&ri->geom, pos) * ri->geom.vmr_size;
	u32 slot = rmai_home_slot(&ri->geom, pos);

	if (pos >= a->end) {
		a->end = min(pos + left, first + (u64)RMAI_WIRE_INVS *
			     ri->geom.vmr_size * ri->geom.nr_nodes);
		a->told = 0;
	}
	if (a->told & BIT_ULL(slot))
		return 0;
	a->told |= BIT_ULL(slot);
	return a->end - pos;
}

/* One WRITE call to a home, data from @b */
static int rmai_io_call(struct rmai_inode *ri, u16 node, u64 epoch, u64 pos,
			size_t len, u64 ahead, struct rmai_bounce *b)
{
	struct rmai_cluster *rc = ri->rc;
	struct rmai_peer *peer = rmai_peer(rc, node);
	unsigned long deadline = jiffies +
		msecs_to_jiffies(READ_ONCE(rmai_config.loss_tmo_ms));
	u64 token = atomic64_inc_return(&rc->next_token);
	struct rmai_link *link;
	struct rmai_msg *msg;
	struct rmai_mr *mr;
	int err;

	if (!peer)
		return -EIO;
	msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_WRITE);
	if (!msg)
		return -ENOMEM;
	for (;;) {
		err = rmai_peer_wait_up(peer, deadline);
		if (err)
			break;
		link = rmai_peer_link_get(peer);
		mr = link ? link->conn->xprt->ops->reg(link->conn, b->sgl, b->nr,
						       false) :
			    ERR_PTR(-ENOTCONN);
		if (link)
			rmai_link_put(link);
		err = PTR_ERR_OR_ZERO(mr);
		if (err != -ENOTCONN)
			break;
		err = rmai_peer_pause(peer, deadline);
		if (err)
			break;
	}
	if (err)
		goto out;
	rmai_count(mrs, 1);
	do {
		rmai_msg_init(msg, RMAI_MSG_WRITE);
		msg->io.id = ri->id;
		msg->io.owner_epoch = ri->attr.owner_epoch;
		msg->io.home_epoch = epoch;
		msg->io.off = pos;
		msg->io.token = token;
		msg->io.len = len;
		msg->io.ahead = ahead;
		msg->io.key.addr = mr->key.addr;
		msg->io.key.rkey = mr->key.rkey;
		msg->io.key.len = len;
		err = rmai_call(rc, node, msg);
	} while (err == -EAGAIN && !fatal_signal_pending(current));
	/* Also ends what the home may still be doing for a call that was given up */
	rc->xprt->ops->dereg(rc->xprt, mr);
	rmai_count(mrs, -1);
	if (!err)
		rmai_count(io_write_bytes, len);
out:
	kfree(msg);
	return err == -ENOTCONN || err == -EHWPOISON ? -EIO : err;
}

static ssize_t rmai_io_remote(struct rmai_inode *ri, u64 pos, size_t len, u64 ahead,
			      struct iov_iter *from)
{
	u32 slot = rmai_home_slot(&ri->geom, pos);
	struct rmai_bounce *b;
	int err = 0;

	len = min_t(size_t, len, RMAI_WIRE_DATA_MAX);
	len = min_t(size_t, len, (size_t)ri->rc->xprt->max_key_pages << PAGE_SHIFT);
	b = rmai_bounce_alloc(len);
	if (!b)
		return -ENOMEM;
	if (!rmai_bounce_fill(b, len, from))
		err = -EFAULT;
	if (!err)
		err = rmai_io_call(ri, ri->attr.nodes[slot].id,
				   ri->attr.nodes[slot].epoch, pos, len, ahead, b);
	rmai_bounce_free(b);
	return err ?: len;
}

/* Copy from a folio, and let go of it; nothing is read from memory that has broken */
static ssize_t rmai_io_copy(struct folio *folio, u64 pos, size_t len, struct iov_iter *to)
{
	size_t off = offset_in_folio(folio, pos), done;

	if (rmai_pages_broken(folio, pos >> PAGE_SHIFT, 1)) {
		folio_put(folio);
		return -EIO;
	}
	if (folio_contain_hwpoisoned_page(folio))
		len = min_t(size_t, len, PAGE_SIZE - offset_in_page(pos));
	len = min(len, folio_size(folio) - off);
	done = copy_folio_to_iter(folio, off, len, to);
	folio_put(folio);
	return done ?: -EFAULT;
}

/* Bytes that are homed here, within a page or large folio */
static ssize_t rmai_io_local_read(struct rmai_inode *ri, u64 pos, size_t len,
				  struct iov_iter *to)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	struct folio *folio;
	size_t done;
	int err;

	for (;;) {
		folio = filemap_get_folio(ri->vfs.i_mapping, index);
		if (IS_ERR(folio)) {
			len = min_t(size_t, len, PAGE_SIZE - offset_in_page(pos));
			done = iov_iter_zero(len, to);
			return done ?: -EFAULT;
		}
		if (folio_test_uptodate(folio))
			break;
		/* Another node writes it */
		folio_put(folio);
		err = rmai_dir_home(ri, index, false);
		if (err && err != -EAGAIN)
			return err == -EHWPOISON ? -EIO : err;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	if (!rmai_is_sealed(ri))
		rmai_dir_may(ri, index, false);
	return rmai_io_copy(folio, pos, len, to);
}

/* Copy into what is stored; the caller has the VMRs */
static ssize_t rmai_io_local_store(struct rmai_inode *ri, u64 pos, size_t len,
				   struct iov_iter *from)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	pgoff_t end = (pos + len + PAGE_SIZE - 1) >> PAGE_SHIFT;
	size_t done = 0, off, n;
	struct folio *folio;

	while (done < len) {
		down_read(&ri->home_sem);
		if (READ_ONCE(ri->frozen)) {
			up_read(&ri->home_sem);
			return done ?: READ_ONCE(ri->freed) ? -ESTALE : -EPERM;
		}
		index = (pos + done) >> PAGE_SHIFT;
		folio = rmai_home_folio(ri, index, end,
					mapping_gfp_mask(ri->vfs.i_mapping));
		up_read(&ri->home_sem);
		if (IS_ERR(folio))
			return done ?: PTR_ERR(folio);
		off = offset_in_folio(folio, pos + done);
		n = min(len - done, folio_size(folio) - off);
		/* It may come from this very region: no fault while the caller has it */
		n = copy_folio_from_iter_atomic(folio, off, n, from);
		folio_put(folio);
		if (!n)
			break;
		done += n;
	}
	return done;
}

static ssize_t rmai_io_local_write(struct rmai_inode *ri, u64 pos, size_t len, u64 ahead,
				   struct iov_iter *from)
{
	struct rmai_dir_range range;
	ssize_t done;
	int err;

	/* What it does not get now it gets below */
	if (ahead > RMAI_WIRE_DATA_MAX)
		rmai_dir_ahead(ri, pos, ahead);
	do {
		len = min_t(size_t, len, RMAI_WIRE_DATA_MAX);
		len -= fault_in_iov_iter_readable(from, len);
		if (!len)
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		err = rmai_dir_range_begin(ri, pos, len, &range);
		done = err ?: rmai_io_local_store(ri, pos, len, from);
		rmai_dir_range_end(ri, &range);
		cond_resched();
	} while (!done || done == -EAGAIN);
	return done == -EHWPOISON ? -EIO : done;
}

/* Homed elsewhere */
static ssize_t rmai_io_replica(struct rmai_inode *ri, u64 pos, size_t len,
			       struct iov_iter *to)
{
	struct folio *folio = rmai_replica_folio(ri, pos >> PAGE_SHIFT);

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	folio_mark_accessed(folio);
	/* What was written here may be lost with the memory that it was in */
	return rmai_io_copy(folio, pos, len, to);
}

ssize_t rmai_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct rmai_inode *ri = RMAI_I(inode);
	ssize_t done = 0, n = 0;

	if (iocb->ki_flags & IOCB_DIRECT)
		return -EINVAL;
	while (iov_iter_count(to)) {
		u64 pos = iocb->ki_pos, size = i_size_read(inode);
		size_t len;

		if (pos >= size && !done && !READ_ONCE(ri->sealed)) {
			/* Has somebody made it longer? */
			n = rmai_inode_refresh(ri);
			if (n)
				break;
			size = i_size_read(inode);
		}
		if (pos >= size)
			break;
		len = min_t(u64, iov_iter_count(to), size - pos);
		len = rmai_home_run(&ri->geom, pos, len);
		if (rmai_is_home(ri, pos))
			n = rmai_io_local_read(ri, pos, len, to);
		else
			n = rmai_io_replica(ri, pos, len, to);
		if (n <= 0)
			break;
		iocb->ki_pos += n;
		done += n;
		if (fatal_signal_pending(current)) {
			n = -EINTR;
			break;
		}
		cond_resched();
	}
	return done ?: n;
}

ssize_t rmai_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct rmai_inode *ri = RMAI_I(inode);
	struct rmai_ahead ahead = {};
	ssize_t done = 0, n;

	if (iocb->ki_flags & IOCB_DIRECT)
		return -EINVAL;
	if (down_write_killable(&inode->i_rwsem))
		return -EINTR;
	if (iocb->ki_flags & IOCB_APPEND) {
		n = rmai_inode_refresh(ri);
		if (n)
			goto out;
	}
	n = generic_write_checks(iocb, from);
	while (n > 0 && iov_iter_count(from)) {
		u64 pos = iocb->ki_pos, end, tell;
		size_t len;

		n = -EPERM;
		if (READ_ONCE(ri->attr.seals) & F_SEAL_WRITE)
			break;
		len = rmai_home_run(&ri->geom, pos, iov_iter_count(from));
		end = pos + len;
		if (end > i_size_read(inode)) {
			if (READ_ONCE(ri->attr.seals) & F_SEAL_GROW)
				break;
			n = -EFBIG;
			if (ri->attr.addr && end > ri->attr.length)
				break;
		}
		tell = rmai_io_ahead(ri, &ahead, pos, iov_iter_count(from));
		if (rmai_is_home(ri, pos))
			n = rmai_io_local_write(ri, pos, len, tell, from);
		else
			n = rmai_io_remote(ri, pos, len, tell, from);
		if (n <= 0)
			break;
		iocb->ki_pos += n;
		done += n;
		if (iocb->ki_pos > i_size_read(inode)) {
			WRITE_ONCE(ri->size_dirty, true);
			rmai_size_grow(ri, iocb->ki_pos);
		}
		if (fatal_signal_pending(current)) {
			n = -EINTR;
			break;
		}
		cond_resched();
	}
	if (done)
		inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
out:
	inode_unlock(inode);
	if (done && iocb_is_dsync(iocb))
		n = rmai_inode_flush_size(ri);
	return done ?: n;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * read(2) and write(2) of regions.
 *
 * A sealed region is read through the page cache. An open one is read and
 * written through, at its homes: a piece at a time the home reads from, or
 * writes into, a buffer of ours that it was given a key of. What is homed here is
 * copied from and to the page cache, which is the store.
 */
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/uio.h>

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

static bool rmai_bounce_copy(struct rmai_bounce *b, size_t len,
			     struct iov_iter *iter, bool to_user)
{
	unsigned int i;

	for (i = 0; i < b->nr && len; i++) {
		size_t n = min(len, folio_size(b->folios[i]));
		size_t done;

		if (to_user)
			done = copy_folio_to_iter(b->folios[i], 0, n, iter);
		else
			done = copy_page_from_iter(folio_page(b->folios[i], 0), 0,
						   n, iter);
		if (done != n)
			return false;
		len -= n;
	}
	return true;
}

/* One READ or WRITE call to a home, data in or from @b */
static int rmai_io_call(struct rmai_inode *ri, u16 node, u64 epoch, u64 pos,
			size_t len, struct rmai_bounce *b, bool write)
{
	struct rmai_cluster *rc = ri->rc;
	struct rmai_peer *peer = rmai_peer(rc, node);
	unsigned long deadline = jiffies +
		msecs_to_jiffies(READ_ONCE(rmai_config.loss_tmo_ms));
	struct rmai_link *link;
	struct rmai_msg *msg;
	struct rmai_mr *mr;
	int err;

	if (!peer)
		return -EIO;
	msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_READ);
	if (!msg)
		return -ENOMEM;
	do {
		err = rmai_peer_wait_up(peer, deadline);
		if (err)
			break;
		link = rmai_peer_link_get(peer);
		mr = link ? link->conn->xprt->ops->reg(link->conn, b->sgl, b->nr,
						       !write) :
			    ERR_PTR(-ENOTCONN);
		if (link)
			rmai_link_put(link);
		err = PTR_ERR_OR_ZERO(mr);
	} while (err == -ENOTCONN);
	if (err)
		goto out;
	rmai_count(mrs, 1);
	memset(msg, 0, sizeof(*msg));
	msg->type = write ? RMAI_MSG_WRITE : RMAI_MSG_READ;
	msg->io.id = ri->id;
	msg->io.owner_epoch = ri->attr.owner_epoch;
	msg->io.home_epoch = epoch;
	msg->io.off = pos;
	msg->io.len = len;
	msg->io.key.addr = mr->key.addr;
	msg->io.key.rkey = mr->key.rkey;
	msg->io.key.len = len;
	err = rmai_call(rc, node, msg);
	/* Also ends what the home may still be doing for a call that was given up */
	rc->xprt->ops->dereg(rc->xprt, mr);
	rmai_count(mrs, -1);
	if (!err && write)
		rmai_count(io_write_bytes, len);
	else if (!err)
		rmai_count(io_read_bytes, len);
out:
	kfree(msg);
	return err == -ENOTCONN ? -EIO : err;
}

static ssize_t rmai_io_remote(struct rmai_inode *ri, u64 pos, size_t len,
			      struct iov_iter *iter, bool write)
{
	u32 slot = rmai_home_slot(&ri->geom, pos);
	struct rmai_bounce *b;
	int err = 0;

	len = min_t(size_t, len, RMAI_WIRE_DATA_MAX);
	len = min_t(size_t, len, (size_t)ri->rc->xprt->max_key_pages << PAGE_SHIFT);
	b = rmai_bounce_alloc(len);
	if (!b)
		return -ENOMEM;
	if (write && !rmai_bounce_copy(b, len, iter, false))
		err = -EFAULT;
	if (!err)
		err = rmai_io_call(ri, ri->attr.nodes[slot].id,
				   ri->attr.nodes[slot].epoch, pos, len, b, write);
	if (!err && !write && !rmai_bounce_copy(b, len, iter, true))
		err = -EFAULT;
	rmai_bounce_free(b);
	return err ?: len;
}

/* Bytes that are homed here, within a page or large folio */
static ssize_t rmai_io_local(struct rmai_inode *ri, u64 pos, size_t len,
			     struct iov_iter *iter, bool write)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	pgoff_t end = (pos + len + PAGE_SIZE - 1) >> PAGE_SHIFT;
	struct folio *folio;
	size_t off, done;

	down_read(&ri->home_sem);
	if (write && READ_ONCE(ri->frozen)) {
		up_read(&ri->home_sem);
		return READ_ONCE(ri->freed) ? -ESTALE : -EPERM;
	}
	if (write)
		folio = rmai_home_folio(ri, index, end,
					mapping_gfp_mask(ri->vfs.i_mapping));
	else
		folio = filemap_get_folio(ri->vfs.i_mapping, index);
	/* The copy may fault on this very region: not under the semaphore */
	up_read(&ri->home_sem);
	if (IS_ERR(folio)) {
		if (write)
			return PTR_ERR(folio);
		len = min_t(size_t, len, PAGE_SIZE - offset_in_page(pos));
		done = iov_iter_zero(len, iter);
		return done ?: -EFAULT;
	}
	off = offset_in_folio(folio, pos);
	len = min(len, folio_size(folio) - off);
	if (write)
		done = copy_page_from_iter(folio_page(folio, off >> PAGE_SHIFT),
					   offset_in_page(off), len, iter);
	else
		done = copy_folio_to_iter(folio, off, len, iter);
	folio_put(folio);
	return done ?: -EFAULT;
}

/* A replica: sealed, homed elsewhere */
static ssize_t rmai_io_replica(struct rmai_inode *ri, u64 pos, size_t len,
			       struct iov_iter *to)
{
	struct folio *folio = rmai_replica_folio(ri, pos >> PAGE_SHIFT);
	size_t off, done;

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	off = offset_in_folio(folio, pos);
	len = min(len, folio_size(folio) - off);
	done = copy_folio_to_iter(folio, off, len, to);
	folio_mark_accessed(folio);
	folio_put(folio);
	return done ?: -EFAULT;
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
			n = rmai_io_local(ri, pos, len, to, false);
		else if (rmai_is_sealed(ri))
			n = rmai_io_replica(ri, pos, len, to);
		else
			n = rmai_io_remote(ri, pos, len, to, false);
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
		u64 pos = iocb->ki_pos, end;
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
		if (rmai_is_home(ri, pos))
			n = rmai_io_local(ri, pos, len, from, true);
		else
			n = rmai_io_remote(ri, pos, len, from, true);
		if (n <= 0)
			break;
		iocb->ki_pos += n;
		done += n;
		spin_lock(&inode->i_lock);
		if (iocb->ki_pos > i_size_read(inode)) {
			i_size_write(inode, iocb->ki_pos);
			WRITE_ONCE(ri->size_dirty, true);
		}
		spin_unlock(&inode->i_lock);
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

// SPDX-License-Identifier: GPL-2.0
/*
 * The pages of a home, while other nodes have them: memory for all of a VMR before
 * it is granted, out of this node's page tables and out of date while another one
 * writes it, and back again by RECALL.
 *
 * What a writer has written comes back by RDMA WRITE, into the pages of the store. The
 * key for that is made for one RECALL and is void after it: peers have no other
 * keys that let them write.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/slab.h>

#include "directory.h"
#include "internal.h"

#define RMAI_RECALL_PART	16	/* keys made at once */

/**
 * rmai_home_fill() - have memory for all of a VMR
 * @ri: region, homed here
 * @vmr: index
 * @end: byte up to which it is granted
 *
 * A hole that a peer has a key of could not be filled behind its back.
 *
 * Context: may sleep for memory. Return: 0, -ENOSPC, -ENOMEM, -ESTALE.
 */
int rmai_home_fill(struct rmai_inode *ri, u64 vmr, u64 end)
{
	pgoff_t index = vmr * ri->geom.vmr_size >> PAGE_SHIFT;
	pgoff_t stop = end >> PAGE_SHIFT;
	struct folio *folio;
	int err = 0;

	down_read(&ri->home_sem);
	if (READ_ONCE(ri->freed))
		err = -ESTALE;
	while (!err && index < stop) {
		folio = rmai_home_folio(ri, index, stop,
					mapping_gfp_mask(ri->vfs.i_mapping));
		if (IS_ERR(folio)) {
			err = PTR_ERR(folio);
			break;
		}
		index = folio_next_index(folio);
		folio_put(folio);
	}
	up_read(&ri->home_sem);
	return err;
}

/**
 * rmai_home_hole() - is nothing of a VMR stored?
 * @ri: region, homed here
 * @vmr: index; the caller has its entry, so that nothing will be
 */
bool rmai_home_hole(struct rmai_inode *ri, u64 vmr)
{
	pgoff_t index = vmr * ri->geom.vmr_size >> PAGE_SHIFT;

	return !filemap_range_has_page(ri->vfs.i_mapping, (loff_t)index << PAGE_SHIFT,
				       ((loff_t)index << PAGE_SHIFT) +
				       ri->geom.vmr_size - 1);
}

/* Not mapped here any more, nor written to by a device */
static int rmai_folio_revoke(struct address_space *mapping, struct folio *folio, void *arg)
{
	const bool *all = arg;

	if (!rmai_folio_take(mapping, folio, true))
		return folio->mapping == mapping ? -EAGAIN : 0;
	if (*all)
		folio_clear_uptodate(folio);
	folio_unlock(folio);
	return 0;
}

/**
 * rmai_home_revoke() - other nodes have a VMR: this one no longer writes it
 * @ri: region; the directory says so already
 * @vmr: index
 * @all: nor reads it: what is stored is about to be out of date
 *
 * Context: may sleep. Return: 0, or -EAGAIN when a page stays pinned.
 */
int rmai_home_revoke(struct rmai_inode *ri, u64 vmr, bool all)
{
	struct address_space *mapping = ri->vfs.i_mapping;
	pgoff_t index = vmr * ri->geom.vmr_size >> PAGE_SHIFT;

	if (mapping_mapped(mapping))
		unmap_mapping_pages(mapping, index, ri->geom.vmr_size >> PAGE_SHIFT, false);
	return rmai_for_folios(ri, vmr, 1, rmai_folio_revoke, &all);
}

static int rmai_folio_refill(struct address_space *mapping, struct folio *folio, void *arg)
{
	folio_lock(folio);
	if (folio->mapping == mapping && !folio_test_uptodate(folio))
		folio_mark_uptodate(folio);
	folio_unlock(folio);
	return 0;
}

/**
 * rmai_home_refill() - what is stored of a VMR is good again
 * @ri: region
 * @vmr: index
 */
void rmai_home_refill(struct rmai_inode *ri, u64 vmr)
{
	rmai_for_folios(ri, vmr, 1, rmai_folio_refill, NULL);
}

/* Keys to write to [off, end) with, as many as fit @hms; sets the message's */
static int rmai_recall_keys(struct rmai_inode *ri, struct rmai_peer *peer, u64 off,
			    u64 end, struct rmai_home_mr **hms, struct rmai_msg_recall *r)
{
	u32 key_bytes = ri->rc->xprt->max_key_pages << PAGE_SHIFT;
	unsigned long deadline = jiffies +
		msecs_to_jiffies(READ_ONCE(rmai_config.loss_tmo_ms));
	struct rmai_geom geom = ri->geom;
	struct rmai_home_mr *hm;
	struct rmai_link *link;
	struct rmai_span span;
	int err = 0;

	/* What is known here of the size may lag */
	geom.size = max(geom.size, end);
	r->off = off;
	r->nr = 0;
	while (off < end && r->nr < RMAI_RECALL_PART) {
		err = rmai_peer_wait_up(peer, deadline);
		if (err)
			break;
		span = rmai_key_span(&geom, key_bytes,
				     rmai_key_number(&geom, key_bytes, off));
		span.len = min(span.off + span.len, end) - off;
		span.off = off;
		link = rmai_peer_link_get(peer);
		hm = link ? rmai_home_mr_make(ri, link->conn, span, true) :
			    ERR_PTR(-ENOTCONN);
		if (link)
			rmai_link_put(link);
		if (PTR_ERR_OR_ZERO(hm) == -ENOTCONN) {
			err = rmai_peer_pause(peer, deadline);
			if (err)
				break;
			continue;
		}
		if (IS_ERR(hm)) {
			err = PTR_ERR(hm);
			break;
		}
		hms[r->nr] = hm;
		r->keys[r->nr].addr = hm->mr->key.addr;
		r->keys[r->nr].rkey = hm->mr->key.rkey;
		r->keys[r->nr++].len = span.len;
		off += span.len;
	}
	return err;
}

/**
 * rmai_recall() - have a node write back what it wrote
 * @ri: region
 * @e: entry: says which node, under which grant, and the number of this recall
 * @drop: it is not even to read it any more
 *
 * Context: may sleep, for the node; killable.
 * Return: 0; -EHOSTDOWN when it cannot be had, -EINTR, -ENOMEM, -EIO.
 */
int rmai_recall(struct rmai_inode *ri, const struct rmai_dir *e, bool drop)
{
	struct rmai_peer *peer = rmai_peer(ri->rc, e->line.owner);
	struct rmai_home_mr *hms[RMAI_RECALL_PART];
	u64 first = e->vmr * ri->geom.vmr_size, off = first;
	struct rmai_msg_recall *r;
	struct rmai_msg *msg;
	int i, err = 0, nr, tries = 0;

	if (!peer)
		return -EHOSTDOWN;
	msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_RECALL);
	if (!msg)
		return -ENOMEM;
	r = &msg->recall;
	while (off < e->end) {
		rmai_msg_init(msg, RMAI_MSG_RECALL);
		r->id = ri->id;
		r->owner_epoch = ri->attr.owner_epoch;
		r->vmr = e->vmr;
		r->seq = e->seq;
		r->grant = e->line.owner_seq;
		err = rmai_recall_keys(ri, peer, off, e->end, hms, r);
		nr = r->nr;
		if (!err) {
			for (i = 0; i < nr; i++)
				off += r->keys[i].len;
			r->flags = (drop ? RMAI_VMR_DROP : 0) |
				   (off == e->end ? RMAI_VMR_LAST : 0);
			err = rmai_call(ri->rc, e->line.owner, msg);
		}
		/* Ends what the node may still be writing, if nobody waits for it */
		for (i = 0; i < nr; i++)
			rmai_home_mr_free(ri, hms[i]);
		if (!err)
			continue;
		/* A page is pinned there, or the connection broke in mid-WRITE */
		if ((err != -EAGAIN && err != -ENOTCONN && err != -EIO) || ++tries > 100)
			break;
		off = first;
		err = rmai_peer_pause(peer, jiffies + HZ);
		if (err)
			break;
	}
	kfree(msg);
	rmai_count(recalls_sent, 1);
	return err;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Keys of what is stored on this node: registrations of it, by key number, with which other
 * nodes READ it. They are made when somebody asks for them, and read-only.
 */
#include <linux/slab.h>

#include "internal.h"

/**
 * rmai_home_mr_free() - a key ends: no peer can reach the memory any more
 * @ri: region
 * @hm: key, and the ones before it
 */
void rmai_home_mr_free(struct rmai_inode *ri, struct rmai_home_mr *hm)
{
	struct rmai_xprt *xprt = ri->rc->xprt;
	struct rmai_home_mr *old;
	unsigned int i;

	for (; hm; hm = old) {
		if (!IS_ERR_OR_NULL(hm->mr)) {
			xprt->ops->dereg(xprt, hm->mr);
			rmai_count(mrs, -1);
		}
		for (i = 0; i < hm->nr_folios; i++)
			folio_put(hm->folios[i]);
		old = hm->old;
		kvfree(hm->sgl);
		kvfree(hm);
	}
}

/**
 * rmai_home_mr_make() - register memory for peers
 * @ri: region
 * @conn: a connection, for the transport
 * @span: bytes, whole pages
 * @write: peers may write it, too
 *
 * What may still be written must not have holes: they would be filled behind the key.
 *
 * Context: may sleep. Return: key; ERR_PTR(-ENOMEM, -ENOSPC, -ENOTCONN, -EIO,
 * -EHWPOISON).
 */
struct rmai_home_mr *rmai_home_mr_make(struct rmai_inode *ri, struct rmai_conn *conn,
				       struct rmai_span span, bool write)
{
	pgoff_t index = span.off >> PAGE_SHIFT;
	pgoff_t end = (span.off + span.len) >> PAGE_SHIFT;
	struct address_space *mapping = ri->vfs.i_mapping;
	bool sealed = rmai_is_sealed(ri);
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
		struct folio *folio;
		pgoff_t off, nr;

		if (sealed) {
			folio = rmai_whole_folio(mapping, index, end - index);
		} else {
			down_read(&ri->home_sem);
			folio = rmai_home_folio(ri, index, end, mapping_gfp_mask(mapping));
			up_read(&ri->home_sem);
		}
		if (folio == ERR_PTR(-ENOENT)) {
			sg_set_page(&hm->sgl[n++], ZERO_PAGE(0), PAGE_SIZE, 0);
			index++;
			continue;
		}
		if (IS_ERR(folio)) {
			rmai_home_mr_free(ri, hm);
			return ERR_CAST(folio);
		}
		off = index - folio->index;
		nr = min_t(pgoff_t, folio_nr_pages(folio) - off, end - index);
		hm->folios[hm->nr_folios++] = folio;
		sg_set_page(&hm->sgl[n++], folio_page(folio, off),
			    nr << PAGE_SHIFT, 0);
		index += nr;
	}
	sg_mark_end(&hm->sgl[n - 1]);
	hm->len = span.len;
	mr = conn->xprt->ops->reg(conn, hm->sgl, n, write);
	hm->mr = mr;
	if (IS_ERR(mr)) {
		rmai_home_mr_free(ri, hm);
		return ERR_CAST(mr);
	}
	rmai_count(mrs, 1);
	return hm;
}

/* Has memory broken since that was registered? */
static bool rmai_home_mr_broken(const struct rmai_home_mr *hm)
{
	unsigned int i;

	for (i = 0; i < hm->nr_folios; i++) {
		if (folio_contain_hwpoisoned_page(hm->folios[i]))
			return true;
	}
	return false;
}

/* The key of a piece; mrs_lock is held */
static struct rmai_home_mr *rmai_home_key(struct rmai_inode *ri, struct rmai_conn *conn,
					  u64 nr, struct rmai_span span)
{
	struct rmai_home_mr *hm = xa_load(&ri->mrs, nr), *new;
	int err;

	if (hm && rmai_home_mr_broken(hm)) {
		xa_erase(&ri->mrs, nr);
		WRITE_ONCE(ri->keys_gen, ri->keys_gen + 1);
		rmai_home_mr_free(ri, hm);
		return ERR_PTR(-EHWPOISON);
	}
	if (hm && hm->len >= span.len)
		return hm;
	new = rmai_home_mr_make(ri, conn, span, false);
	if (IS_ERR(new))
		return new;
	err = xa_err(xa_store(&ri->mrs, nr, new, GFP_KERNEL));
	if (err) {
		rmai_home_mr_free(ri, new);
		return ERR_PTR(err);
	}
	/* Registrations, too, keep the inode until FREE */
	if (!test_and_set_bit(RMAI_HOME_HELD, &ri->flags))
		ihold(&ri->vfs);
	if (hm) {
		/* The region has grown. Reads that were just begun end well still */
		WRITE_ONCE(ri->keys_gen, ri->keys_gen + 1);
		rmai_home_mr_free(ri, hm->old);
		hm->old = NULL;
		new->old = hm;
	}
	return new;
}

/**
 * rmai_home_key_revoke() - no peer shall read there with a key that it has got
 * @ri: region
 * @off: byte
 *
 * Context: may sleep.
 */
void rmai_home_key_revoke(struct rmai_inode *ri, u64 off)
{
	u32 key_bytes = ri->rc->xprt->max_key_pages << PAGE_SHIFT;
	struct rmai_home_mr *hm;

	mutex_lock(&ri->mrs_lock);
	hm = xa_erase(&ri->mrs, rmai_key_number(&ri->geom, key_bytes, off));
	if (hm) {
		WRITE_ONCE(ri->keys_gen, ri->keys_gen + 1);
		rmai_home_mr_free(ri, hm);
	}
	mutex_unlock(&ri->mrs_lock);
}

/**
 * rmai_home_keys() - give a peer the keys of a region
 * @rc: this node
 * @src: peer
 * @req: first key wanted, and how many of the ones homed here from it on
 * @rep: keys
 *
 * Return: 0 with at least one key; -EAGAIN (being truncated), -ESTALE (region or
 * incarnation gone), -EINVAL (nothing of it is homed here), -ENOTCONN, -ENOMEM, -ENOSPC,
 * -EHWPOISON (memory of the first one has broken).
 */
int rmai_home_keys(struct rmai_cluster *rc, u16 src,
		   const struct rmai_msg_keys *req, struct rmai_msg_keys *rep)
{
	u32 key_bytes = rc->xprt->max_key_pages << PAGE_SHIFT;
	struct rmai_peer *peer = rmai_peer(rc, src);
	struct rmai_link *link;
	struct rmai_inode *ri;
	struct rmai_geom geom;
	int err = 0;
	u64 nr;

	if (req->home_epoch != rc->epoch)
		return -ESTALE;
	ri = rmai_home_get(rc, req->id);
	if (IS_ERR(ri))
		return PTR_ERR(ri);
	if (req->size > rc->space.size) {
		err = -EINVAL;
		goto put;
	}
	/* It may have been sealed, and this node not know it yet */
	if (!rmai_is_sealed(ri) && READ_ONCE(ri->frozen))
		rmai_inode_refresh(ri);
	geom = ri->geom;
	if (!rmai_is_sealed(ri))
		geom.size = max(geom.size, req->size);
	link = peer ? rmai_peer_link_get(peer) : NULL;
	if (!link) {
		err = -ENOTCONN;
		goto put;
	}
	rep->id = req->id;
	rep->owner_epoch = req->owner_epoch;
	rep->home_epoch = req->home_epoch;
	rep->first = req->first;
	rep->size = req->size;
	rep->nr = 0;
	mutex_lock(&ri->mrs_lock);
	for (nr = req->first; rep->nr < req->nr; nr++) {
		struct rmai_span span = rmai_key_span(&geom, key_bytes, nr);
		struct rmai_home_mr *hm;

		if (!span.len || READ_ONCE(ri->freed))
			break;
		/* Being cut off: ask again when it is known what is left */
		if (span.off + span.len > READ_ONCE(ri->trunc_from)) {
			err = -EAGAIN;
			break;
		}
		if (!rmai_is_home(ri, span.off))
			continue;
		hm = rmai_home_key(ri, link->conn, nr, span);
		if (IS_ERR(hm)) {
			err = PTR_ERR(hm);
			break;
		}
		rep->keys[rep->nr].addr = hm->mr->key.addr;
		rep->keys[rep->nr].rkey = hm->mr->key.rkey;
		rep->keys[rep->nr].len = hm->mr->key.len;
		rep->nr++;
	}
	rep->gen = ri->keys_gen;
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

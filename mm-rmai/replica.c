// SPDX-License-Identifier: GPL-2.0
/*
 * Replicas in the page cache, for those who are not faults: read(2), fetching
 * ahead; and how large their folios are.
 */
#include <linux/slab.h>
#include <linux/swap.h>

#include "internal.h"

/**
 * rmai_folio_order() - how large a folio may be
 * @index: page it must hold
 * @end: page at or before which it must end
 * @max: largest order wanted
 *
 * Return: the largest order for which a folio that starts at @index is aligned
 * and ends in time.
 */
unsigned int rmai_folio_order(pgoff_t index, pgoff_t end, unsigned int max)
{
	unsigned int order = min_t(unsigned int, max, ilog2(end - index));

	if (index)
		order = min_t(unsigned int, order, __ffs(index));
	/* Page cache folios of order 1 exist, but some of mm is happier without */
	return order == 1 ? 0 : order;
}

/**
 * rmai_page_here() - is a page in the page cache, with its data?
 * @ri: region
 * @index: page
 *
 * Context: any.
 */
bool rmai_page_here(struct rmai_inode *ri, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(ri->vfs.i_mapping, index);
	bool here;

	if (IS_ERR(folio))
		return false;
	here = folio_test_uptodate(folio);
	folio_put(folio);
	return here;
}

/**
 * rmai_replica_folio() - a page of a sealed region that is homed elsewhere
 * @ri: region
 * @index: page
 *
 * Context: may sleep, for the network.
 * Return: uptodate folio with a reference; ERR_PTR: -EIO (lost), -EINTR, -ENOMEM.
 */
struct folio *rmai_replica_folio(struct rmai_inode *ri, pgoff_t index)
{
	struct rmai_fetch *f;
	struct folio *folio;
	int err;

	for (;;) {
		folio = filemap_get_folio(ri->vfs.i_mapping, index);
		if (!IS_ERR(folio)) {
			if (folio_test_uptodate(folio))
				return folio;
			folio_put(folio);
		}
		f = rmai_fetch_get(ri, index, false);
		if (IS_ERR(f))
			return PTR_ERR(f) == -ENOMEM ? ERR_CAST(f) : ERR_PTR(-EIO);
		err = rmai_fetch_wait(f, index);
		rmai_fetch_put(f);
		if (err)
			return ERR_PTR(err == -EINTR || err == -ENOMEM ? err : -EIO);
	}
}

/**
 * rmai_fetch_ahead() - begin to fetch a range
 * @ri: region
 * @off: first byte
 * @end: byte after the last
 *
 * Stops when half of the memory that is available has been asked for.
 *
 * Context: may sleep for memory, never for the network.
 * Return: 0, also when not all of it was begun; -ENOMEM.
 */
int rmai_fetch_ahead(struct rmai_inode *ri, u64 off, u64 end)
{
	u64 room = ((u64)si_mem_available() << PAGE_SHIFT) / 2;
	struct rmai_span span;
	struct rmai_fetch *f;

	end = min_t(u64, end, i_size_read(&ri->vfs));
	if (!rmai_is_sealed(ri))
		return 0;
	for (; off < end; off = span.off + span.len) {
		span = rmai_vmr_span(&ri->geom, off);
		if (rmai_is_home(ri, off) ||
		    (rmai_page_here(ri, span.off >> PAGE_SHIFT) &&
		     rmai_page_here(ri, (span.off + span.len - 1) >> PAGE_SHIFT)))
			continue;
		if (span.len > room)
			break;
		room -= span.len;
		f = rmai_fetch_get(ri, off >> PAGE_SHIFT, false);
		if (IS_ERR(f))
			return PTR_ERR(f) == -ENOMEM ? -ENOMEM : 0;
		rmai_fetch_put(f);
	}
	return 0;
}

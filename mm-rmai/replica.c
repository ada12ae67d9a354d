// SPDX-License-Identifier: GPL-2.0
/*
 * Replicas in the page cache, for those who are not faults: read(2), advice that they
 * are not needed; how large their folios are; and walks over those of whole VMRs.
 */
#include <linux/delay.h>
#include <linux/pagevec.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "../internal.h"
#include "internal.h"

#define RMAI_PIN_WAIT_MS	200	/* short pins end in that time, or all is tried again */

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
 * rmai_replica_folio() - a page that is homed elsewhere, to be read
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
			if (folio_test_uptodate(folio)) {
				if (!rmai_is_sealed(ri))
					rmai_replica_may(ri, index, false);
				rmai_prefetch_touch(ri, index, NULL);
				return folio;
			}
			folio_put(folio);
		}
		rmai_prefetch_miss(ri, index, NULL);
		f = rmai_fetch_get(ri, index, false, false);
		if (IS_ERR(f))
			return PTR_ERR(f) == -ENOMEM ? ERR_CAST(f) : ERR_PTR(-EIO);
		err = rmai_fetch_wait(f, index, false);
		rmai_fetch_put(f);
		if (err)
			return ERR_PTR(err == -EINTR || err == -ENOMEM ? err : -EIO);
	}
}

/**
 * rmai_replicas_drop() - drop replicas that nobody has mapped
 * @ri: region
 * @first: page
 * @last: page, the last one; ULONG_MAX: to the end
 * @all_cpus: also what is new, and so in other CPUs' batches for the LRU; costs
 *	a work item on each
 *
 * What is stored here, or was written here, is dirty, and stays. That a replica of an
 * open region is gone its home need not know: an INV finds nothing.
 *
 * Context: may sleep for @all_cpus, never for the network.
 */
void rmai_replicas_drop(struct rmai_inode *ri, pgoff_t first, pgoff_t last,
			bool all_cpus)
{
	unsigned long stay = 0;

	lru_add_drain();
	mapping_try_invalidate(ri->vfs.i_mapping, first, last, &stay);
	if (stay && all_cpus) {
		lru_add_drain_all();
		invalidate_mapping_pages(ri->vfs.i_mapping, first, last);
	}
	rmai_prefetch_recount(ri);
}

/**
 * rmai_for_folios() - do something with what is in the page cache of some VMRs
 * @ri: region
 * @first: first VMR
 * @nr: how many
 * @fn: is called for each folio, which is held but not locked, until it returns other
 *	than 0
 * @arg: for @fn
 *
 * Context: may sleep. Return: what @fn returned last, or 0.
 */
int rmai_for_folios(struct rmai_inode *ri, u64 first, u64 nr,
		    int (*fn)(struct address_space *mapping, struct folio *folio, void *arg),
		    void *arg)
{
	struct address_space *mapping = ri->vfs.i_mapping;
	pgoff_t index = first * ri->geom.vmr_size >> PAGE_SHIFT;
	pgoff_t last = index + (nr * ri->geom.vmr_size >> PAGE_SHIFT) - 1;
	struct folio_batch fbatch;
	int i, ret = 0;

	folio_batch_init(&fbatch);
	while (!ret && filemap_get_folios(mapping, &index, last, &fbatch)) {
		for (i = 0; i < folio_batch_count(&fbatch) && !ret; i++)
			ret = fn(mapping, fbatch.folios[i], arg);
		folio_batch_release(&fbatch);
		cond_resched();
	}
	return ret;
}

/**
 * rmai_folio_take() - take a folio from all page tables
 * @mapping: that it was found in
 * @folio: held
 * @pins: and see to it that no device writes to it
 *
 * Context: may sleep. Return: true: it is locked; false: it stays pinned, or is no
 * longer in @mapping.
 */
bool rmai_folio_take(struct address_space *mapping, struct folio *folio, bool pins)
{
	int tries = 0;

	for (;;) {
		folio_lock(folio);
		if (folio->mapping != mapping)
			break;
		if (folio_mapped(folio))
			unmap_mapping_pages(mapping, folio->index,
					    folio_nr_pages(folio), false);
		if (!pins || !folio_maybe_dma_pinned(folio))
			return true;
		/* Not under the lock, which the end of the I/O may need */
		folio_unlock(folio);
		if (++tries > RMAI_PIN_WAIT_MS)
			return false;
		usleep_range(1000, 1500);
	}
	folio_unlock(folio);
	return false;
}

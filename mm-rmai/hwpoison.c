// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that has broken under a region.
 *
 * A replica is dropped, and fetched again when it is touched. What is stored here is the
 * only copy: in its place there must be no hole, which would read as zeros. So it stays in
 * the page cache, poisoned: mappings get SIGBUS, read(2) and write(2) EIO, and peers get no
 * key that covers it, and so the same. mm says so of small folios only, if peers have keys:
 * what they read with a key of a large one that they have already is for the device to
 * refuse.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/mm.h>
#include <linux/huge_mm.h>
#include <linux/page-flags.h>
#include <linux/pagemap.h>
#include <linux/pagevec.h>
#include <linux/slab.h>

#include "internal.h"

/**
 * rmai_pages_broken() - has the memory of one of these pages broken?
 * @folio: of the page cache
 * @index: first page, in @folio
 * @nr: pages, of which those in @folio are looked at
 *
 * Context: any.
 */
bool rmai_pages_broken(struct folio *folio, pgoff_t index, pgoff_t nr)
{
	if (likely(!folio_contain_hwpoisoned_page(folio)))
		return false;
	for (nr = min(nr, folio_next_index(folio) - index); nr; nr--, index++) {
		if (PageHWPoison(folio_file_page(folio, index)))
			return true;
	}
	return false;
}

/**
 * rmai_whole_folio() - the folio of a page, if no memory has broken
 * @mapping: of a region
 * @index: page
 * @nr: pages from there on, of which those in the same folio are looked at
 *
 * Context: any.
 * Return: folio with a reference; ERR_PTR: -ENOENT (there is none), -EHWPOISON.
 */
struct folio *rmai_whole_folio(struct address_space *mapping, pgoff_t index, pgoff_t nr)
{
	struct folio *folio = filemap_get_folio(mapping, index);

	if (IS_ERR(folio) || !rmai_pages_broken(folio, index, nr))
		return folio;
	folio_put(folio);
	return ERR_PTR(-EHWPOISON);
}

/**
 * rmai_broken_split() - pages are about to be freed
 * @mapping: of a region
 * @index: first of them
 *
 * mm does not use a broken page again if it is freed as such, not in a large folio. It
 * splits them itself when memory breaks, but cannot if peers have keys of them.
 *
 * Context: may sleep; nobody has keys of them any more.
 */
void rmai_broken_split(struct address_space *mapping, pgoff_t index)
{
	struct folio_batch fbatch;
	unsigned int i;

	folio_batch_init(&fbatch);
	while (filemap_get_folios(mapping, &index, ULONG_MAX, &fbatch)) {
		for (i = 0; i < folio_batch_count(&fbatch); i++) {
			struct folio *folio = fbatch.folios[i];

			if (!folio_test_large(folio) ||
			    !folio_contain_hwpoisoned_page(folio))
				continue;
			folio_lock(folio);
			if (folio->mapping == mapping && split_folio(folio))
				pr_warn("broken memory of %zu bytes may be used again\n",
					folio_size(folio));
			folio_unlock(folio);
		}
		folio_batch_release(&fbatch);
		cond_resched();
	}
}

/**
 * struct rmai_breakage - keys that are to be taken back
 * @ri: region; held
 * @index: page that has broken
 * @work: does it
 */
struct rmai_breakage {
	struct rmai_inode	*ri;
	pgoff_t			index;
	struct work_struct	work;
};

static void rmai_breakage_work(struct work_struct *work)
{
	struct rmai_breakage *b = container_of(work, struct rmai_breakage, work);

	rmai_home_key_revoke(b->ri, (u64)b->index << PAGE_SHIFT);
	iput(&b->ri->vfs);
	kfree(b);
}

/**
 * rmai_error_remove_folio() - memory has broken
 * @mapping: of a region
 * @folio: locked, unmapped
 *
 * Context: as address_space_operations.error_remove_folio.
 * Return: 0 if that was dealt with.
 */
int rmai_error_remove_folio(struct address_space *mapping, struct folio *folio)
{
	struct rmai_inode *ri = RMAI_I(mapping->host);
	struct rmai_breakage *b;

	if (!folio_test_dirty(folio))
		return generic_error_remove_folio(mapping, folio);
	pr_warn_ratelimited("node %u: region %llx: the memory of page %lu has broken\n",
			    ri->rc->self, ri->id, folio->index);
	if (!rmai_is_home(ri, folio_pos(folio)))
		return 0;
	b = kmalloc(sizeof(*b), GFP_NOFS);
	if (!b)
		return 0;
	b->ri = ri;
	b->index = folio->index;
	/* Who holds the folio for peers is not to be waited for under its lock */
	ihold(&ri->vfs);
	INIT_WORK(&b->work, rmai_breakage_work);
	queue_work(ri->rc->serve_wq, &b->work);
	return 0;
}

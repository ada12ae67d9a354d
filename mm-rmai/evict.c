// SPDX-License-Identifier: GPL-2.0
/*
 * Dropping replicas, whole VMRs at a time and many VMRs with one TLB flush.
 *
 * Folios are unmapped with the flush deferred, as reclaim does it, then flushed
 * once for all processes that had them mapped, then taken out of the page cache. All
 * of that is local: no other node is waited for. What is locked, dirty, pinned or in
 * a mapping that is mlock()ed stays.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pagevec.h>
#include <linux/rmap.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "../internal.h"
#include "internal.h"
#include <trace/events/rmai.h>

/* Folios between one flush and the next: 64 page tables full of the smallest */
#define RMAI_EVICT_FOLIOS	(64 * PTRS_PER_PTE)
#define RMAI_EVICT_FEW		32

/**
 * struct rmai_eviction - folios that are being dropped
 * @folios: locked, with a reference each; @few when there is no memory for more
 * @max: how many fit
 * @nr: how many there are
 * @pages: dropped so far
 * @few: see @folios
 */
struct rmai_eviction {
	struct folio	**folios;
	unsigned int	max;
	unsigned int	nr;
	unsigned long	pages;
	struct folio	*few[RMAI_EVICT_FEW];
};

static struct rmai_span rmai_cached_span(const struct rmai_cached *e)
{
	return rmai_vmr_span(&e->ri->geom, e->vmr * e->ri->geom.vmr_size);
}

/* What rmai_folio_used() finds out */
struct rmai_usage {
	bool	used;
	bool	locked;
};

static bool rmai_usage_one(struct folio *folio, struct vm_area_struct *vma,
			   unsigned long addr, void *arg)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, addr, 0);
	struct rmai_usage *usage = arg;

	if (vma->vm_flags & VM_LOCKED)
		usage->locked = true;
	while (page_vma_mapped_walk(&pvmw)) {
		if (pvmw.pte)
			usage->used |= ptep_clear_young_notify(vma, pvmw.address,
							       pvmw.pte);
		else if (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
			usage->used |= pmdp_clear_young_notify(vma, pvmw.address,
							       pvmw.pmd);
	}
	return true;
}

/*
 * Unlike folio_referenced() this does not flush the TLB for each PMD entry: as with PTEs,
 * an access that the TLB hides only makes a VMR look a little colder.
 */
static void rmai_folio_used(struct folio *folio, struct rmai_usage *usage)
{
	struct rmap_walk_control rwc = {
		.arg		= usage,
		.rmap_one	= rmai_usage_one,
		.try_lock	= true,
	};

	if (folio_test_clear_referenced(folio))
		usage->used = true;
	if (!folio_mapped(folio))
		return;
	if (!folio_trylock(folio)) {
		usage->used = true;
		return;
	}
	if (folio->mapping)
		rmap_walk(folio, &rwc);
	folio_unlock(folio);
	/* Somebody is changing the mappings; so it is in use */
	if (rwc.contended)
		usage->used = true;
}

/**
 * rmai_evict_used() - has a VMR been used since this was last asked?
 * @e: isolated
 * @locked: set to whether somebody has it mlock()ed
 *
 * By the access bits of all its mappings, and read(2)'s mark; clears them.
 *
 * Context: may sleep.
 */
bool rmai_evict_used(const struct rmai_cached *e, bool *locked)
{
	struct rmai_span span = rmai_cached_span(e);
	pgoff_t index = span.off >> PAGE_SHIFT;
	pgoff_t last = ((span.off + span.len) >> PAGE_SHIFT) - 1;
	struct folio_batch fbatch;
	struct rmai_usage usage = {};
	int i;

	*locked = false;
	if (!span.len)
		return false;
	folio_batch_init(&fbatch);
	while (filemap_get_folios(e->ri->vfs.i_mapping, &index, last, &fbatch)) {
		for (i = 0; i < folio_batch_count(&fbatch); i++)
			rmai_folio_used(fbatch.folios[i], &usage);
		folio_batch_release(&fbatch);
		cond_resched();
	}
	*locked = usage.locked;
	return usage.used;
}

/* Flush once, and drop what is no longer mapped */
static void rmai_evict_flush(struct rmai_eviction *ev)
{
	unsigned int i;

	if (!ev->nr)
		return;
	try_to_unmap_flush();
	rmai_count(evict_flushes, 1);
	for (i = 0; i < ev->nr; i++) {
		struct folio *folio = ev->folios[i];
		long nr = folio_nr_pages(folio);

		/* It fails if somebody else has a reference, or has dirtied it */
		if (!folio_mapped(folio) && remove_mapping(folio->mapping, folio))
			ev->pages += nr;
		folio_unlock(folio);
		folio_put(folio);
	}
	ev->nr = 0;
}

/* Is anything of a VMR left? */
static bool rmai_evict_left(const struct rmai_cached *e)
{
	struct rmai_span span = rmai_cached_span(e);
	unsigned long index = span.off >> PAGE_SHIFT;

	return span.len && xa_find(&e->ri->vfs.i_mapping->i_pages, &index,
				   ((span.off + span.len) >> PAGE_SHIFT) - 1, XA_PRESENT);
}

/* Unmap what can be dropped of a VMR */
static void rmai_evict_vmr(struct rmai_eviction *ev, const struct rmai_cached *e)
{
	struct address_space *mapping = e->ri->vfs.i_mapping;
	struct rmai_span span = rmai_cached_span(e);
	pgoff_t index = span.off >> PAGE_SHIFT;
	pgoff_t last = ((span.off + span.len) >> PAGE_SHIFT) - 1;
	struct folio_batch fbatch;
	int i;

	if (!span.len)
		return;
	folio_batch_init(&fbatch);
	while (filemap_get_folios(mapping, &index, last, &fbatch)) {
		for (i = 0; i < folio_batch_count(&fbatch); i++) {
			struct folio *folio = fbatch.folios[i];

			if (!folio_trylock(folio))
				continue;
			if (folio->mapping != mapping || !folio_test_uptodate(folio) ||
			    folio_test_dirty(folio) || folio_maybe_dma_pinned(folio)) {
				folio_unlock(folio);
				continue;
			}
			if (folio_mapped(folio))
				try_to_unmap(folio, TTU_BATCH_FLUSH |
					     (folio_test_pmd_mappable(folio) ?
					      TTU_SPLIT_HUGE_PMD : 0));
			folio_get(folio);
			ev->folios[ev->nr++] = folio;
			if (ev->nr == ev->max)
				rmai_evict_flush(ev);
		}
		folio_batch_release(&fbatch);
		cond_resched();
	}
}

/**
 * rmai_evict() - drop VMRs
 * @victims: isolated entries; those whose VMR is gone stay here
 * @left: gets the others
 *
 * Context: may sleep, but not for the network; takes i_mmap_rwsem.
 * Return: pages dropped.
 */
unsigned long rmai_evict(struct list_head *victims, struct list_head *left)
{
	struct rmai_eviction ev = { .max = RMAI_EVICT_FOLIOS };
	struct rmai_cached *e, *next;

	/* What was added of late is not on an LRU list yet: the batch has a reference */
	lru_add_drain();
	ev.folios = kvmalloc_array(ev.max, sizeof(*ev.folios),
				   GFP_NOWAIT | __GFP_NOWARN);
	if (!ev.folios) {
		ev.folios = ev.few;
		ev.max = RMAI_EVICT_FEW;
	}
	list_for_each_entry(e, victims, lru)
		rmai_evict_vmr(&ev, e);
	rmai_evict_flush(&ev);
	list_for_each_entry_safe(e, next, victims, lru) {
		bool stays = rmai_evict_left(e);

		trace_rmai_evict(e->ri->id, e->vmr, stays);
		if (stays)
			list_move_tail(&e->lru, left);
		else
			rmai_count(evict_vmrs, 1);
	}
	if (ev.folios != ev.few)
		kvfree(ev.folios);
	rmai_count(evict_bytes, (u64)ev.pages << PAGE_SHIFT);
	return ev.pages;
}

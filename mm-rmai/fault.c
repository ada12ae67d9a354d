// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults on regions.
 *
 * A fault whose page is here maps all of the VMR that has arrived, through
 * ->map_pages. One whose page is not begins or joins the fetch of its VMR, drops
 * the lock it came with, waits killably and has the fault tried again.
 *
 * A page of an open region is mapped writable only by ->page_mkwrite, which sees
 * under the folio's lock that this node may write the VMR; it cannot wait for that
 * (it does not know which lock it would have to drop). If it may not, the page is
 * unmapped and the VMR is marked as wanted, so that the next fault on it, which may be
 * for reading (an instruction that does both may fault twice), comes to ->fault and
 * waits for the right to write. Who has got it keeps it until that has happened: see
 * lease.c.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/vmstat.h>

#include "internal.h"
#include <trace/events/rmai.h>

static void rmai_count_minor(struct rmai_inode *ri)
{
	rmai_count(fault_minor, 1);
	count_vm_event(RMAI_FAULT_MINOR);
	atomic64_inc(&ri->stat.fault_minor);
}

/* May this node read, or write, a page that is here? Then it counts as used */
static bool rmai_may_access(struct rmai_inode *ri, pgoff_t index, bool write)
{
	if (rmai_is_home(ri, (u64)index << PAGE_SHIFT))
		return rmai_dir_may(ri, index, write);
	return rmai_replica_may(ri, index, write);
}

/* Does a store wait to be allowed to write this page? */
static bool rmai_wanted(struct rmai_inode *ri, pgoff_t index, bool set)
{
	if (rmai_is_home(ri, (u64)index << PAGE_SHIFT))
		return rmai_dir_wanted(ri, index, set);
	return rmai_replica_wanted(ri, index, set);
}

/* Is this fault about to write to the region itself? */
static bool rmai_fault_writes(const struct vm_fault *vmf)
{
	return (vmf->flags & FAULT_FLAG_WRITE) && (vmf->vma->vm_flags & VM_SHARED);
}

/**
 * rmai_map_pages() - map what is here of the VMR around a fault
 * @vmf: the fault
 * @start: first page that do_fault_around() would map
 * @end: last one
 *
 * Widens the range to the VMR, within the mapping and the page table.
 *
 * Context: as vm_operations_struct.map_pages: under RCU, does not sleep.
 */
vm_fault_t rmai_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	struct vm_area_struct *vma = vmf->vma;
	struct rmai_inode *ri = RMAI_I(file_inode(vma->vm_file));
	pgoff_t below = pte_index(vmf->address);
	pgoff_t above = PTRS_PER_PTE - 1 - below;
	struct rmai_span vmr;
	vm_fault_t ret;

	if (!rmai_is_sealed(ri) && rmai_wanted(ri, vmf->pgoff, false))
		return 0;
	vmr = rmai_vmr_span(&ri->geom, (u64)vmf->pgoff << PAGE_SHIFT);
	/* Its neighbours are to fault for themselves */
	if (vmr.len && rmai_prefetch_watches(ri)) {
		start = max(start, (pgoff_t)(vmr.off >> PAGE_SHIFT));
		end = min(end, (pgoff_t)((vmr.off + vmr.len) >> PAGE_SHIFT) - 1);
	}
	if (vmr.len) {
		below = min3(below, vmf->pgoff - vma->vm_pgoff,
			     vmf->pgoff - (pgoff_t)(vmr.off >> PAGE_SHIFT));
		above = min3(above, vma->vm_pgoff + vma_pages(vma) - 1 - vmf->pgoff,
			     (pgoff_t)((vmr.off + vmr.len) >> PAGE_SHIFT) - 1 -
			     vmf->pgoff);
		start = min(start, vmf->pgoff - below);
		end = max(end, vmf->pgoff + above);
	}
	ret = filemap_map_pages(vmf, start, end);
	if (ret & VM_FAULT_NOPAGE)
		rmai_prefetch_touch(ri, vmf->pgoff, vma);
	if ((ret & VM_FAULT_NOPAGE) && !rmai_is_sealed(ri))
		rmai_may_access(ri, vmf->pgoff, false);
	/* The second try of a fault that waited has been counted */
	if ((ret & VM_FAULT_NOPAGE) && !(vmf->flags & FAULT_FLAG_TRIED))
		rmai_count_minor(ri);
	return ret;
}

/* The page is here: hand it to mm, locked */
static vm_fault_t rmai_fault_here(struct vm_fault *vmf, struct folio *folio)
{
	struct rmai_inode *ri = RMAI_I(file_inode(vmf->vma->vm_file));

	folio_lock(folio);
	if (unlikely(folio->mapping != vmf->vma->vm_file->f_mapping ||
		     !folio_test_uptodate(folio))) {
		folio_unlock(folio);
		folio_put(folio);
		return 0;
	}
	if (!rmai_is_sealed(ri) && !rmai_fault_writes(vmf))
		rmai_may_access(ri, vmf->pgoff, false);
	rmai_prefetch_touch(ri, vmf->pgoff, vmf->vma);
	vmf->page = folio_file_page(folio, vmf->pgoff);
	if (!(vmf->flags & FAULT_FLAG_TRIED))
		rmai_count_minor(ri);
	return VM_FAULT_LOCKED;
}

/* Homed here, and not stored yet: zeros, as many as the VMR has */
static vm_fault_t rmai_fault_home(struct vm_fault *vmf, struct rmai_inode *ri)
{
	struct rmai_span vmr = rmai_vmr_span(&ri->geom, (u64)vmf->pgoff << PAGE_SHIFT);
	pgoff_t end = (vmr.off + vmr.len) >> PAGE_SHIFT;
	pgoff_t index = vmf->pgoff;
	unsigned int order;
	struct folio *folio;

	/* The largest folio that holds the page and stays in its VMR */
	for (order = mapping_max_folio_order(ri->vfs.i_mapping); order; order--) {
		index = round_down(vmf->pgoff, 1UL << order);
		if (index >= vmr.off >> PAGE_SHIFT && index + (1UL << order) <= end)
			break;
	}
	if (!order)
		index = vmf->pgoff;

	down_read(&ri->home_sem);
	folio = READ_ONCE(ri->freed) ? ERR_PTR(-ESTALE) :
		rmai_home_folio(ri, index, index + (1UL << order),
				mapping_gfp_mask(ri->vfs.i_mapping));
	if (!IS_ERR(folio) && folio_next_index(folio) <= vmf->pgoff) {
		folio_put(folio);
		folio = rmai_home_folio(ri, vmf->pgoff, vmf->pgoff + 1,
					mapping_gfp_mask(ri->vfs.i_mapping));
	}
	up_read(&ri->home_sem);
	if (IS_ERR(folio))
		return PTR_ERR(folio) == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
	return rmai_fault_here(vmf, folio);
}

/* After a wait without the lock that the fault came with */
static vm_fault_t rmai_fault_waited(struct rmai_inode *ri, pgoff_t index,
				    unsigned long address, ktime_t begin, int err)
{
	s64 ns = ktime_to_ns(ktime_sub(ktime_get(), begin));

	rmai_count(fault_major, 1);
	count_vm_event(RMAI_FAULT_MAJOR);
	rmai_count(fault_wait_ns, ns);
	atomic64_inc(&ri->stat.fault_major);
	atomic64_add(ns, &ri->stat.fault_wait_ns);
	trace_rmai_fault_wait(ri->id, rmai_vmr_index(&ri->geom, (u64)index << PAGE_SHIFT),
			      address, ns, err);
	iput(&ri->vfs);
	/* The fault comes again from within the kernel, and may find all as it was */
	cond_resched();
	/* MAJOR makes the retry after a per-VMA-lock fault a FAULT_FLAG_TRIED one */
	return VM_FAULT_RETRY | VM_FAULT_MAJOR;
}

/* Homed here, but another node has it: get it back */
static vm_fault_t rmai_fault_recall(struct vm_fault *vmf, struct rmai_inode *ri,
				    bool write)
{
	unsigned long address = vmf->address;
	pgoff_t index = vmf->pgoff;
	ktime_t begin;
	int err;

	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY) || rmai_dir_lost(ri, index))
		return VM_FAULT_SIGBUS;
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	ihold(&ri->vfs);
	count_vm_event(PGMAJFAULT);
	count_memcg_event_mm(vmf->vma->vm_mm, PGMAJFAULT);
	release_fault_lock(vmf);
	begin = ktime_get();
	err = rmai_dir_home(ri, index, write);
	/* Whatever it is, the fault comes again: not at once */
	if (err && err != -EINTR)
		schedule_timeout_killable(HZ / 50);
	return rmai_fault_waited(ri, index, address, begin, err);
}

/* Not here: fetch it. The fault is tried again, or ends in a signal */
static vm_fault_t rmai_fault_fetch(struct vm_fault *vmf, struct rmai_inode *ri,
				   bool write)
{
	unsigned long address = vmf->address;
	pgoff_t index = vmf->pgoff;
	struct rmai_fetch *f;
	ktime_t begin;
	int err;

	/* Who cannot let go of mmap_lock cannot wait: as with userfaultfd */
	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY))
		return VM_FAULT_SIGBUS;
	rmai_prefetch_miss(ri, index, vmf->vma);
	f = rmai_fetch_get(ri, index, vmf->flags & FAULT_FLAG_TRIED, write);
	if (IS_ERR(f))
		return PTR_ERR(f) == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT) {
		rmai_fetch_put(f);
		return VM_FAULT_RETRY;
	}
	err = rmai_fetch_failed(f);
	if (err && (vmf->flags & FAULT_FLAG_TRIED)) {
		rmai_fetch_put(f);
		return err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
	}

	/* From here on vmf and its vma are not ours any more; the fetch holds ri */
	ihold(&ri->vfs);
	count_vm_event(PGMAJFAULT);
	count_memcg_event_mm(vmf->vma->vm_mm, PGMAJFAULT);
	release_fault_lock(vmf);
	begin = ktime_get();
	err = rmai_fetch_wait(f, index, write);
	rmai_fetch_put(f);
	return rmai_fault_waited(ri, index, address, begin, err);
}

/**
 * rmai_fault() - a page that ->map_pages did not find, or that is to be written
 * @vmf: the fault
 *
 * Context: as vm_operations_struct.fault.
 */
vm_fault_t rmai_fault(struct vm_fault *vmf)
{
	struct rmai_inode *ri = RMAI_I(file_inode(vmf->vma->vm_file));
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	bool home, here, write;
	struct folio *folio;
	vm_fault_t ret = 0;

	write = !rmai_is_sealed(ri) &&
		(rmai_fault_writes(vmf) || rmai_wanted(ri, vmf->pgoff, false));
	home = rmai_is_home(ri, (u64)vmf->pgoff << PAGE_SHIFT);
	while (!ret) {
		if (vmf->pgoff >= DIV_ROUND_UP(i_size_read(&ri->vfs), PAGE_SIZE) ||
		    READ_ONCE(ri->freed)) {
			ret = VM_FAULT_SIGBUS;
			break;
		}
		folio = filemap_get_folio(mapping, vmf->pgoff);
		here = !IS_ERR(folio) && folio_test_uptodate(folio);
		/* Only asked here: ->page_mkwrite sees to it */
		if (here && (!write || rmai_may_access(ri, vmf->pgoff, true))) {
			ret = rmai_fault_here(vmf, folio);
			continue;
		}
		if (!IS_ERR(folio))
			folio_put(folio);
		if (!home)
			ret = rmai_fault_fetch(vmf, ri, write);
		else if (!IS_ERR(folio) || !rmai_dir_may(ri, vmf->pgoff, write))
			ret = rmai_fault_recall(vmf, ri, write);
		else
			ret = rmai_fault_home(vmf, ri);
	}
	if (ret & VM_FAULT_SIGBUS)
		rmai_count(fault_sigbus, 1);
	return ret;
}

/**
 * rmai_page_mkwrite() - a page that is mapped read-only is about to be written
 * @vmf: the fault; its page is held
 *
 * Context: as vm_operations_struct.page_mkwrite.
 * Return: VM_FAULT_LOCKED; VM_FAULT_NOPAGE: the fault is to come again, to ->fault;
 * VM_FAULT_SIGBUS when the region is sealed.
 */
vm_fault_t rmai_page_mkwrite(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	struct folio *folio = page_folio(vmf->page);
	struct rmai_inode *ri = RMAI_I(mapping->host);

	if (READ_ONCE(ri->frozen))
		return VM_FAULT_SIGBUS;
	file_update_time(vmf->vma->vm_file);
	folio_lock(folio);
	if (folio->mapping == mapping && folio_test_uptodate(folio) &&
	    rmai_may_access(ri, vmf->pgoff, true))
		return VM_FAULT_LOCKED;
	folio_unlock(folio);
	rmai_wanted(ri, vmf->pgoff, true);
	unmap_mapping_pages(mapping, vmf->pgoff, 1, false);
	return VM_FAULT_NOPAGE;
}

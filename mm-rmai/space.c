// SPDX-License-Identifier: GPL-2.0
/*
 * The symmetric address space: windows, slices, and a slice's allocator.
 *
 * A range is one entry of the maple tree from its allocation to the end of its
 * quarantine, and is described by one struct rmai_range all that time. So giving
 * a range back needs no memory and cannot fail; only leaving the quarantine
 * changes the tree, and if there is no memory for that the range just stays.
 *
 * rmai_space.lock is a leaf but for the allocator's locks.
 */
#include <linux/align.h>
#include <linux/bug.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "space.h"
#include "wire.h"

/*
 * struct rmai_range - addresses in use or in quarantine
 * @list: in rmai_space.quarantine when @owner is NULL
 * @start: first address
 * @size: bytes
 * @owner: whose they are; NULL: in quarantine
 * @freed: jiffies when they went there
 */
struct rmai_range {
	struct list_head	list;
	u64			start;
	u64			size;
	void			*owner;
	unsigned long		freed;
};

/**
 * rmai_window_valid() - can nodes use this window?
 * @window_start: first address
 * @window_size: bytes
 *
 * Return: true if it is a range of user addresses that can be cut in
 * RMAI_WIRE_NODES slices of whole PMDs.
 */
bool rmai_window_valid(u64 window_start, u64 window_size)
{
	u64 in_slices;

	div64_u64_rem(window_size, RMAI_WIRE_NODES * PMD_SIZE, &in_slices);
	return window_start && IS_ALIGNED(window_start, PMD_SIZE) &&
	       window_size && !in_slices && window_start < TASK_SIZE_MAX &&
	       window_size <= TASK_SIZE_MAX - window_start;
}

/**
 * rmai_window_slice() - a node's part of the window
 * @window_start: first address of the window
 * @window_size: bytes of the window
 * @node: 1 .. RMAI_WIRE_NODES
 * @start: set to the first address of the slice
 * @size: set to the bytes of it
 *
 * Return: 0, or -EINVAL for no such node or a window that is not valid.
 */
int rmai_window_slice(u64 window_start, u64 window_size, unsigned int node,
		      u64 *start, u64 *size)
{
	if (!node || node > RMAI_WIRE_NODES ||
	    !rmai_window_valid(window_start, window_size))
		return -EINVAL;
	*size = window_size / RMAI_WIRE_NODES;
	*start = window_start + (node - 1) * *size;
	return 0;
}

/**
 * rmai_window_node() - whose slice is an address in?
 * @window_start: first address of the window
 * @window_size: bytes of the window, which must be valid
 * @addr: any address
 *
 * Return: 1 .. RMAI_WIRE_NODES, or 0 for an address outside the window.
 */
unsigned int rmai_window_node(u64 window_start, u64 window_size, u64 addr)
{
	if (addr < window_start || addr - window_start >= window_size)
		return 0;
	return div64_u64(addr - window_start, window_size / RMAI_WIRE_NODES) + 1;
}

/**
 * rmai_space_init() - begin to hand out a slice
 * @sp: the space
 * @start: first address
 * @size: bytes
 * @quarantine_ms: where it says how long freed ranges rest; may change, and then
 *	holds for those already resting too
 */
void rmai_space_init(struct rmai_space *sp, u64 start, u64 size,
		     const unsigned int *quarantine_ms)
{
	sp->start = start;
	sp->size = size;
	mutex_init(&sp->lock);
	mt_init_flags(&sp->mt, MT_FLAGS_ALLOC_RANGE | MT_FLAGS_LOCK_EXTERN);
	mt_set_external_lock(&sp->mt, &sp->lock);
	INIT_LIST_HEAD(&sp->quarantine);
	sp->quarantine_ms = quarantine_ms;
	sp->used = 0;
}

/**
 * rmai_space_destroy() - end it; ranges still in use are forgotten
 * @sp: the space
 *
 * Context: may sleep.
 */
void rmai_space_destroy(struct rmai_space *sp)
{
	struct rmai_range *range;
	unsigned long index = 0;

	mutex_lock(&sp->lock);
	mt_for_each(&sp->mt, range, index, ULONG_MAX)
		kfree(range);
	__mt_destroy(&sp->mt);
	INIT_LIST_HEAD(&sp->quarantine);
	sp->used = 0;
	mutex_unlock(&sp->lock);
	mutex_destroy(&sp->lock);
}

/* End the quarantine of @range. -ENOMEM: the tree could not be changed */
static int release_range(struct rmai_space *sp, struct rmai_range *range)
{
	MA_STATE(mas, &sp->mt, range->start, range->start + range->size - 1);
	int err = mas_store_gfp(&mas, NULL, GFP_KERNEL);

	if (err)
		return err;
	list_del(&range->list);
	kfree(range);
	return 0;
}

static struct rmai_range *oldest_freed(struct rmai_space *sp)
{
	return list_first_entry_or_null(&sp->quarantine, struct rmai_range, list);
}

static void release_expired(struct rmai_space *sp)
{
	unsigned long rest = msecs_to_jiffies(READ_ONCE(*sp->quarantine_ms));
	struct rmai_range *range;

	while ((range = oldest_freed(sp))) {
		if (time_before(jiffies, range->freed + rest))
			break;
		if (release_range(sp, range))
			break;
	}
}

/*
 * First fit. Sizes are multiples of @align, but gaps need not begin at one.
 * -EBUSY: there is none.
 */
static int find_gap(struct rmai_space *sp, u64 size, u64 align, u64 *start)
{
	MA_STATE(mas, &sp->mt, 0, 0);
	u64 last = sp->start + sp->size - 1;
	u64 from = ALIGN(sp->start, align);

	while (from >= sp->start && from <= last && last - from >= size - 1) {
		mas_reset(&mas);
		if (mas_empty_area(&mas, from, last, size))
			return -EBUSY;
		from = ALIGN(mas.index, align);
		if (from == mas.index) {
			*start = from;
			return 0;
		}
	}
	return -EBUSY;
}

/**
 * rmai_space_alloc() - hand out addresses
 * @sp: the space
 * @len: bytes, rounded up to @align
 * @align: a power of two, at least PMD_SIZE
 * @owner: for rmai_space_lookup(); not NULL
 * @addr: set to the first address, a multiple of @align
 *
 * Context: may sleep.
 * Return: 0; -EINVAL for a bad @len, @align or @owner; -ENOMEM when the slice has
 * no such gap, even without quarantine, or there is no memory.
 */
int rmai_space_alloc(struct rmai_space *sp, u64 len, u64 align, void *owner,
		     u64 *addr)
{
	MA_STATE(mas, &sp->mt, 0, 0);
	struct rmai_range *range, *freed;
	u64 start, size;
	int err;

	if (!len || !owner || !is_power_of_2(align) || align < PMD_SIZE)
		return -EINVAL;
	if (len > sp->size || align > sp->size)
		return -ENOMEM;
	size = ALIGN(len, align);
	range = kmalloc(sizeof(*range), GFP_KERNEL);
	if (!range)
		return -ENOMEM;

	mutex_lock(&sp->lock);
	release_expired(sp);
	while (find_gap(sp, size, align, &start)) {
		freed = oldest_freed(sp);
		if (!freed || release_range(sp, freed)) {
			err = -ENOMEM;
			goto out;
		}
	}
	INIT_LIST_HEAD(&range->list);
	range->start = start;
	range->size = size;
	range->owner = owner;
	mas_set_range(&mas, start, start + size - 1);
	err = mas_store_gfp(&mas, range, GFP_KERNEL);
	if (err)
		goto out;
	sp->used += size;
	*addr = start;
	range = NULL;
out:
	mutex_unlock(&sp->lock);
	kfree(range);
	return err;
}

/**
 * rmai_space_free() - give addresses back, into quarantine
 * @sp: the space
 * @addr: what rmai_space_alloc() gave
 *
 * Context: takes @sp->lock, does not allocate.
 */
void rmai_space_free(struct rmai_space *sp, u64 addr)
{
	struct rmai_range *range;

	mutex_lock(&sp->lock);
	range = mtree_load(&sp->mt, addr);
	if (!WARN_ON_ONCE(!range || !range->owner || range->start != addr)) {
		range->owner = NULL;
		range->freed = jiffies;
		list_add_tail(&range->list, &sp->quarantine);
		sp->used -= range->size;
	}
	mutex_unlock(&sp->lock);
}

/**
 * rmai_space_lookup() - whose is an address?
 * @sp: the space
 * @addr: any address
 *
 * The owner may be gone as soon as this returns, unless the caller's own locks
 * keep it.
 *
 * Context: takes @sp->lock.
 * Return: the owner, or NULL for an address that is free or in quarantine.
 */
void *rmai_space_lookup(struct rmai_space *sp, u64 addr)
{
	struct rmai_range *range;
	void *owner;

	mutex_lock(&sp->lock);
	range = mtree_load(&sp->mt, addr);
	owner = range ? range->owner : NULL;
	mutex_unlock(&sp->lock);
	return owner;
}

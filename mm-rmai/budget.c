// SPDX-License-Identifier: GPL-2.0
/*
 * How much of what lives elsewhere may stay here: cache_bytes, for all regions. A region
 * may have a budget of its own: what is above its cache_max goes, and while it has no
 * more than its cache_min others do not take from it. Which VMRs go is said by cache.c.
 */
#include <linux/workqueue.h>

#include "internal.h"

static struct {
	atomic_long_t	pages;		/* at most so many; see rmai_cache_over() */
	unsigned long	summed;		/* jiffies when @pages was exact */
} rmai_budget = {
	.summed	= INITIAL_JIFFIES,
};

/**
 * rmai_cache_grown() - pages are being added
 * @pages: how many; less than 0: they have gone
 */
void rmai_cache_grown(long pages)
{
	atomic_long_add(pages, &rmai_budget.pages);
}

/**
 * rmai_cache_pages() - how many pages of replicas are here
 *
 * Return: at most so many; see rmai_cache_over().
 */
long rmai_cache_pages(void)
{
	return atomic_long_read(&rmai_budget.pages);
}

/*
 * Pages by which the budget would be exceeded with @need more. mm takes pages without
 * a word, so that what is counted is too much at worst; the exact sum is made when
 * that matters.
 */
static long rmai_cache_over(unsigned long need)
{
	u64 budget = READ_ONCE(rmai_config.cache_bytes) >> PAGE_SHIFT;
	long over;

	if (!budget)
		return 0;
	over = rmai_cache_pages() + need - budget;
	if (over > 0 && time_after(jiffies, READ_ONCE(rmai_budget.summed) + HZ / 20)) {
		WRITE_ONCE(rmai_budget.summed, jiffies);
		atomic_long_set(&rmai_budget.pages, rmai_replica_pages());
		over = rmai_cache_pages() + need - budget;
	}
	return max(over, 0);
}

/* What is kept free, so that a fault rarely has to wait for an eviction */
static unsigned long rmai_cache_slack(void)
{
	return READ_ONCE(rmai_config.cache_bytes) >> (PAGE_SHIFT + 6);
}

/* Pages by which a region would have more than its cache_max with @need more */
static long rmai_region_over(const struct rmai_inode *ri, unsigned long need)
{
	u64 max = READ_ONCE(ri->attr.cache_max);
	long over;

	if (!max)
		return 0;
	over = rmai_region_pages(ri) + need - (max >> PAGE_SHIFT);
	return max(over, 0);
}

static void rmai_cache_ahead_work(struct work_struct *work)
{
	long over = rmai_cache_over(2 * rmai_cache_slack());

	if (over)
		rmai_cache_shrink(NULL, false, over);
}

static DECLARE_WORK(rmai_cache_ahead_item, rmai_cache_ahead_work);

/**
 * rmai_cache_ahead() - have what is too much dropped, in the background
 */
void rmai_cache_ahead(void)
{
	queue_work(system_unbound_wq, &rmai_cache_ahead_item);
}

/**
 * rmai_cache_make_room() - a VMR is about to come
 * @ri: region
 * @bytes: of it
 *
 * If nothing can be dropped the budget is exceeded, by what those who fault just now
 * have begun to fetch.
 *
 * Context: may sleep, but not for the network.
 */
void rmai_cache_make_room(struct rmai_inode *ri, u64 bytes)
{
	unsigned long need = bytes >> PAGE_SHIFT, pages;
	long over = rmai_region_over(ri, need);

	if (over) {
		rmai_count(evict_waits, 1);
		rmai_cache_shrink(ri, false, over);
	}
	over = rmai_cache_over(need);
	if (over) {
		rmai_count(evict_waits, 1);
		pages = rmai_cache_shrink(NULL, false, over);
		/* What all the others have they may keep */
		if (pages < over && rmai_region_protected(ri))
			rmai_cache_shrink(ri, false, over - pages);
	}
	if (rmai_cache_over(need + rmai_cache_slack()))
		rmai_cache_ahead();
}

/**
 * rmai_cache_admit() - may a VMR be fetched ahead of use?
 * @ri: region
 * @bytes: of it, and of what else is on its way
 *
 * Drops what is cold if that makes room.
 *
 * Context: may sleep, but not for the network.
 */
bool rmai_cache_admit(struct rmai_inode *ri, u64 bytes)
{
	unsigned long need = bytes >> PAGE_SHIFT;
	long over = rmai_region_over(ri, need);

	if (over && rmai_cache_shrink(ri, true, over) < over)
		return false;
	/* What faults are to find free stays free */
	over = rmai_cache_over(need + 2 * rmai_cache_slack());
	return !over || rmai_cache_shrink(NULL, true, over) >= over;
}

/**
 * rmai_cache_budget() - how many bytes of a region may be on this node
 * @ri: region
 *
 * Return: bytes; 0: no limit.
 */
u64 rmai_cache_budget(const struct rmai_inode *ri)
{
	return min_not_zero(READ_ONCE(rmai_config.cache_bytes), READ_ONCE(ri->attr.cache_max));
}

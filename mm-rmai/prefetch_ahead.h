/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What prefetch.c and prefetch_ahead.c know of a region.
 */
#ifndef _RMAI_PREFETCH_AHEAD_H
#define _RMAI_PREFETCH_AHEAD_H

#include <linux/xarray.h>

#include "internal.h"

#define RMAI_PENDING	XA_MARK_0	/* foretold, and neither touched nor wrong */

/* A value entry of rmai_prefetch.ahead */
#define RMAI_AHEAD_BY(v)	((v) & 3)
#define RMAI_AHEAD_IS_WRONG	4
#define RMAI_AHEAD_CLOCK(v)	((u32)((v) >> 3))

/**
 * struct rmai_prefetch - of a region, made when it is first needed
 * @lock: guards the rest; taken under RCU: nobody sleeps with it
 * @ri: region
 * @work: fetches; holds the inode while @queued
 * @queued: it is queued
 * @memcg: who pays: whoever touched the region last
 * @last: VMR touched last
 * @clock: touches
 * @ahead: VMRs that were fetched ahead: RMAI_AHEAD_*
 * @pending: of these, how many are marked RMAI_PENDING
 * @missed: touches in a row that were not foretold
 * @window: how many may be @pending
 * @blocked: jiffies until which nothing is fetched ahead
 * @sequential: a mapping with MADV_SEQUENTIAL has been used, so runs are followed
 * @sure: there was a run that is long enough for RMAI_FETCH_LONG
 * @pace: how fast VMRs come
 * @runs: RMAI_BY_SEQ
 * @order: RMAI_BY_SCHEDULE; NULL as long as it is not wanted
 * @next: RMAI_BY_NEXT; likewise
 * @plan: what the work is to fetch; its own, but for presence()
 * @ranges: RMAI_BY_ADVICE
 * @nr_ranges: entries of @ranges
 */
struct rmai_prefetch {
	spinlock_t		lock;
	struct rmai_inode	*ri;
	struct work_struct	work;
	bool			queued;
	struct mem_cgroup	*memcg;
	u64			last;
	u32			clock;
	struct xarray		ahead;
	unsigned int		pending;
	unsigned int		missed;
	unsigned int		window;
	unsigned long		blocked;
	bool			sequential;
	bool			sure;
	struct rmai_pace	pace;
	struct rmai_runs	runs;
	struct rmai_order	*order;
	struct rmai_next	*next;
	struct rmai_plan	plan;
	struct list_head	ranges;
	unsigned int		nr_ranges;
};

static inline struct rmai_prefetch *rmai_prefetch_of(struct rmai_inode *ri)
{
	/* Pairs with rmai_prefetch_get() */
	return smp_load_acquire(&ri->prefetch);
}

void rmai_prefetch_count(struct rmai_inode *ri, enum rmai_foresight by, bool hit);
unsigned long rmai_ahead_remove(struct rmai_prefetch *pf, u64 vmr);
void rmai_ahead_hit(struct rmai_prefetch *pf, unsigned long v, bool late);
void rmai_ahead_waste(struct rmai_prefetch *pf, unsigned long v);
void rmai_ahead_expire(struct rmai_prefetch *pf, u32 age, int by);

#endif /* _RMAI_PREFETCH_AHEAD_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * What was fetched ahead, and has not been used yet.
 *
 * It is in an xarray, as value entries: why, since which touch, and whether it has turned
 * out to be wrong: then it is the first to be dropped. It is a hit when it is touched, and
 * waste when it goes before.
 */
#include "prefetch_ahead.h"

/**
 * rmai_prefetch_count() - what was fetched ahead was used, or was not
 * @ri: region
 * @by: why it was fetched
 * @hit: it was used
 */
void rmai_prefetch_count(struct rmai_inode *ri, enum rmai_foresight by, bool hit)
{
	static_assert(RMAI_STAT_prefetch_next_waste ==
		      RMAI_STAT_prefetch_advice_hits + 2 * RMAI_FORESIGHTS - 1);

	this_cpu_inc(rmai_stats.v[RMAI_STAT_prefetch_advice_hits + 2 * by + !hit]);
	atomic64_inc(hit ? &ri->stat.prefetch_hits[by] : &ri->stat.prefetch_waste[by]);
}

/**
 * rmai_ahead_remove() - a VMR is no longer ahead
 * @pf: its lock is held
 * @vmr: index
 *
 * Return: for rmai_ahead_hit() or rmai_ahead_waste(); 0: it was not ahead.
 */
unsigned long rmai_ahead_remove(struct rmai_prefetch *pf, u64 vmr)
{
	bool pending = xa_get_mark(&pf->ahead, vmr, RMAI_PENDING);
	void *e = xa_erase(&pf->ahead, vmr);

	if (!e)
		return 0;
	pf->pending -= pending;
	rmai_cache_touch(pf->ri, vmr);
	/* The lowest bit tells entry from none */
	return xa_to_value(e) << 1 | 1;
}

/**
 * rmai_ahead_hit() - it was used
 * @pf: its lock is held
 * @v: from rmai_ahead_remove()
 * @late: it is still on its way
 */
void rmai_ahead_hit(struct rmai_prefetch *pf, unsigned long v, bool late)
{
	struct rmai_inode *ri = pf->ri;

	rmai_prefetch_count(ri, RMAI_AHEAD_BY(v >> 1), true);
	if (!late)
		return;
	rmai_count(prefetch_late, 1);
	atomic64_inc(&ri->stat.prefetch_late);
	pf->window = min(2 * pf->window, RMAI_PLAN_MAX);
}

/**
 * rmai_ahead_waste() - it went before it was used
 * @pf: its lock is held
 * @v: from rmai_ahead_remove()
 */
void rmai_ahead_waste(struct rmai_prefetch *pf, unsigned long v)
{
	rmai_prefetch_count(pf->ri, RMAI_AHEAD_BY(v >> 1), false);
	if (RMAI_AHEAD_BY(v >> 1) != RMAI_BY_ADVICE)
		pf->window = max(pf->window / 2, 2);
}

/**
 * rmai_ahead_expire() - what was foretold is wrong
 * @pf: its lock is held
 * @age: what was so more than that many touches ago
 * @by: or for this reason; -1: none
 */
void rmai_ahead_expire(struct rmai_prefetch *pf, u32 age, int by)
{
	unsigned long vmr;
	void *e;

	xa_for_each_marked(&pf->ahead, vmr, e, RMAI_PENDING) {
		unsigned long v = xa_to_value(e);

		if (pf->clock - RMAI_AHEAD_CLOCK(v) <= age && RMAI_AHEAD_BY(v) != by)
			continue;
		xa_clear_mark(&pf->ahead, vmr, RMAI_PENDING);
		/* In the place of an entry: needs no memory */
		xa_store(&pf->ahead, vmr, xa_mk_value(v | RMAI_AHEAD_IS_WRONG), GFP_NOWAIT);
		pf->pending--;
		/* Its turn comes from now on */
		rmai_cache_touch(pf->ri, vmr);
	}
}

/* What the cache asks and tells */

/**
 * rmai_prefetch_state() - was a VMR fetched ahead, and not used yet?
 * @ri: region
 * @vmr: index
 *
 * Context: any.
 */
enum rmai_ahead_state rmai_prefetch_state(struct rmai_inode *ri, u64 vmr)
{
	struct rmai_prefetch *pf = rmai_prefetch_of(ri);
	void *e = pf ? xa_load(&pf->ahead, vmr) : NULL;

	if (!e)
		return RMAI_AHEAD_NOT;
	return xa_to_value(e) & RMAI_AHEAD_IS_WRONG ? RMAI_AHEAD_WRONG : RMAI_AHEAD_WANTED;
}

/**
 * rmai_prefetch_touched() - is a VMR the one that was touched last?
 * @ri: region
 * @vmr: index
 *
 * Context: any.
 */
bool rmai_prefetch_touched(struct rmai_inode *ri, u64 vmr)
{
	struct rmai_prefetch *pf = rmai_prefetch_of(ri);

	return pf && READ_ONCE(pf->last) == vmr;
}

/* It was used, or dropped */
static void rmai_prefetch_gone(struct rmai_inode *ri, u64 vmr, bool hit)
{
	struct rmai_prefetch *pf = rmai_prefetch_of(ri);
	unsigned long v;

	if (!pf || xa_empty(&pf->ahead))
		return;
	spin_lock(&pf->lock);
	v = rmai_ahead_remove(pf, vmr);
	if (v && hit)
		rmai_ahead_hit(pf, v, false);
	else if (v)
		rmai_ahead_waste(pf, v);
	spin_unlock(&pf->lock);
}

/**
 * rmai_prefetch_used() - a VMR is found to have been used, without a fault
 * @ri: region
 * @vmr: index
 */
void rmai_prefetch_used(struct rmai_inode *ri, u64 vmr)
{
	rmai_prefetch_gone(ri, vmr, true);
}

/**
 * rmai_prefetch_dropped() - a VMR was dropped
 * @ri: region
 * @vmr: index
 */
void rmai_prefetch_dropped(struct rmai_inode *ri, u64 vmr)
{
	rmai_prefetch_gone(ri, vmr, false);
}

/**
 * rmai_prefetch_recount() - much of a region was dropped
 * @ri: region
 *
 * Context: any process.
 */
void rmai_prefetch_recount(struct rmai_inode *ri)
{
	struct rmai_prefetch *pf = rmai_prefetch_of(ri);
	unsigned long vmr, v;
	void *e;

	if (!pf)
		return;
	spin_lock(&pf->lock);
	pf->last = U64_MAX;
	xa_for_each(&pf->ahead, vmr, e) {
		if (rmai_page_here(ri, (vmr * ri->geom.vmr_size) >> PAGE_SHIFT) ||
		    xa_load(&ri->fetches, vmr))
			continue;
		v = rmai_ahead_remove(pf, vmr);
		if (v)
			rmai_ahead_waste(pf, v);
	}
	spin_unlock(&pf->lock);
}

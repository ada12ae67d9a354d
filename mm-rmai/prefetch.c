// SPDX-License-Identifier: GPL-2.0
/*
 * Fetching ahead of use: what is asked for, and what is foretold by the VMRs that were
 * touched.
 *
 * A touch is noticed where it faults, on a VMR that is not here or not mapped yet; what
 * was fetched ahead is not mapped. Touches teach the sources that the region's attributes
 * allow (enum rmai_foresight), and queue a work item that fetches what they foretell. How
 * much is on its way is bounded by bandwidth times latency as measured, how much is ahead
 * of use by a window, that grows when something came late and shrinks when something was
 * of no use. There is a budget, too: to fetch ahead only what is cold may be dropped, or
 * else it stops.
 *
 * What is foretold is of sealed regions only: to fetch from an open one may take it from who
 * is writing to it. Advice works for both.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "internal.h"
#include "prefetch_ahead.h"
#include <trace/events/rmai.h>

#define RMAI_RANGES_MAX	1024		/* of advice that wait */
#define RMAI_MISSED_MAX	8		/* touches; then what was foretold is wrong */
#define RMAI_LONG_BYTES	(12ULL << 20)	/* of a run, for RMAI_FETCH_LONG */
#define RMAI_RUNS_BITS	(RMAI_FETCH_SEQ | RMAI_FETCH_LONG)
#define RMAI_WATCHED	(RMAI_RUNS_BITS | RMAI_FETCH_SCHEDULE | RMAI_FETCH_NEXT)

/**
 * struct rmai_range - VMRs that were asked for
 * @node: in rmai_prefetch.ranges
 * @vmr: first one that has not been looked at
 * @end: one after the last
 * @room: bytes that may be fetched for it, where there is no budget
 */
struct rmai_range {
	struct list_head	node;
	u64			vmr;
	u64			end;
	u64			room;
};

static u32 rmai_prefetch_mask(const struct rmai_inode *ri)
{
	return READ_ONCE(ri->attr.fetch);
}

static u64 rmai_prefetch_vmrs(const struct rmai_inode *ri)
{
	return DIV_ROUND_UP_ULL(i_size_read(&ri->vfs), ri->geom.vmr_size);
}

/*
 * What is foretold of this region? Bits of rmai_attr.fetch. @pf may be NULL; @vma, too:
 * through which it is used just now
 */
static u32 rmai_prefetch_watched(const struct rmai_inode *ri, const struct rmai_prefetch *pf,
				 const struct vm_area_struct *vma)
{
	bool sequential = (pf && READ_ONCE(pf->sequential)) ||
			  (vma && vma->vm_flags & VM_SEQ_READ);
	u32 mask = rmai_prefetch_mask(ri);

	/* MADV_SEQUENTIAL is an advice like others */
	if (sequential && (mask & RMAI_FETCH_ADVICE))
		mask |= RMAI_FETCH_SEQ;
	/* What is fetched ahead are whole VMRs */
	if ((mask & RMAI_FETCH_SEQ) || rmai_fetch_size(ri) < ri->geom.vmr_size)
		mask &= ~RMAI_FETCH_LONG;
	mask &= RMAI_WATCHED;
	return mask && rmai_is_sealed(ri) && rmai_prefetch_vmrs(ri) < RMAI_NO_VMR ? mask : 0;
}

/* Steps of a run that is long enough for RMAI_FETCH_LONG */
static u32 rmai_prefetch_sure(const struct rmai_inode *ri)
{
	return max_t(u64, DIV_ROUND_UP_ULL(RMAI_LONG_BYTES, ri->geom.vmr_size), 2);
}

/* Of what is @watched, may something be foretold? With RMAI_FETCH_LONG seldom. Under @lock */
static bool rmai_prefetch_foretells(const struct rmai_prefetch *pf, u32 watched)
{
	return (watched & ~RMAI_FETCH_LONG) || (watched && pf->sure);
}

/* What is here */

static enum rmai_presence rmai_vmr_presence(struct rmai_prefetch *pf, u64 vmr)
{
	struct rmai_inode *ri = pf->ri;
	u64 off = vmr * ri->geom.vmr_size;
	struct rmai_span span;

	if (xa_get_mark(&pf->ahead, vmr, RMAI_PENDING))
		return RMAI_COMING;
	/* Being fetched, or that failed of late */
	if (rmai_is_home(ri, off) || xa_load(&ri->fetches, vmr))
		return RMAI_HERE;
	span = rmai_vmr_span(&ri->geom, off);
	return span.len && rmai_page_here(ri, span.off >> PAGE_SHIFT) &&
	       rmai_page_here(ri, (span.off + span.len - 1) >> PAGE_SHIFT) ?
	       RMAI_HERE : RMAI_MISSING;
}

static enum rmai_presence rmai_plan_presence(const struct rmai_plan *plan, u32 vmr)
{
	return rmai_vmr_presence(container_of(plan, struct rmai_prefetch, plan), vmr);
}

/* Touches */

/* Under @lock */
static void rmai_prefetch_kick(struct rmai_prefetch *pf)
{
	struct rmai_inode *ri = pf->ri;

	if (pf->queued || time_before(jiffies, pf->blocked) || READ_ONCE(ri->rc->stopping))
		return;
	pf->queued = true;
	ihold(&ri->vfs);
	queue_work(ri->rc->fetch_wq, &pf->work);
}

/* Under @lock */
static void rmai_prefetch_pays(struct rmai_prefetch *pf)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(current->mm);

	mem_cgroup_put(pf->memcg);
	pf->memcg = memcg;
}

/**
 * rmai_prefetch_touch() - somebody uses a page
 * @ri: region
 * @index: page
 * @vma: through this mapping; NULL: read(2)
 *
 * Context: any process, also under RCU.
 */
void rmai_prefetch_touch(struct rmai_inode *ri, pgoff_t index,
			 const struct vm_area_struct *vma)
{
	struct rmai_prefetch *pf = rmai_prefetch_of(ri);
	u64 vmr = rmai_vmr_index(&ri->geom, (u64)index << PAGE_SHIFT);
	bool told = vma && (vma->vm_flags & VM_SEQ_READ) &&
		    (rmai_prefetch_mask(ri) & RMAI_FETCH_ADVICE);
	bool taught;
	unsigned long v;
	u32 watched;

	if (!pf || READ_ONCE(pf->last) == vmr)
		return;
	watched = rmai_prefetch_watched(ri, pf, vma);
	spin_lock(&pf->lock);
	WRITE_ONCE(pf->last, vmr);
	pf->clock++;
	if (vma && vma->vm_flags & VM_SEQ_READ)
		WRITE_ONCE(pf->sequential, true);
	v = rmai_ahead_remove(pf, vmr);
	if (v && rmai_page_here(ri, index))
		rmai_ahead_hit(pf, v, false);
	else if (v && xa_load(&ri->fetches, vmr))
		rmai_ahead_hit(pf, v, true);
	else if (v)
		rmai_ahead_waste(pf, v);	/* mm took it, without a word */
	if (v && RMAI_AHEAD_BY(v >> 1) != RMAI_BY_ADVICE) {
		pf->missed = 0;
	} else if (rmai_prefetch_foretells(pf, watched) && ++pf->missed == RMAI_MISSED_MAX) {
		rmai_ahead_expire(pf, 0, -1);
		rmai_runs_doubt(&pf->runs);
		pf->sure = false;
	}
	/* What was here before is used again: that is no long run */
	taught = (watched & RMAI_FETCH_SEQ) ||
		 ((watched & RMAI_FETCH_LONG) && (v || !rmai_page_here(ri, index)));
	/* MADV_RANDOM: no run */
	if (taught && !(vma && vma->vm_flags & VM_RAND_READ) &&
	    rmai_runs_touch(&pf->runs, vmr, told) >= rmai_prefetch_sure(ri))
		pf->sure = true;
	if ((watched & RMAI_FETCH_SCHEDULE) && pf->order &&
	    !rmai_order_touch(pf->order, vmr, &pf->plan))
		rmai_ahead_expire(pf, U32_MAX, RMAI_BY_SCHEDULE);
	if ((watched & RMAI_FETCH_NEXT) && pf->next)
		rmai_next_touch(pf->next, vmr);
	if (rmai_prefetch_foretells(pf, watched)) {
		rmai_prefetch_pays(pf);
		rmai_prefetch_kick(pf);
	}
	spin_unlock(&pf->lock);
}

static void rmai_prefetch_work(struct work_struct *work);

/* Makes it, and what the sources need; NULL: no memory */
static struct rmai_prefetch *rmai_prefetch_get(struct rmai_inode *ri)
{
	struct rmai_prefetch *pf = rmai_prefetch_of(ri), *old;
	u32 watched = rmai_prefetch_watched(ri, NULL, NULL);
	struct rmai_order *order = NULL;
	struct rmai_next *next = NULL;

	if (!pf) {
		pf = kzalloc(sizeof(*pf), GFP_KERNEL);
		if (!pf)
			return NULL;
		spin_lock_init(&pf->lock);
		pf->ri = ri;
		INIT_WORK(&pf->work, rmai_prefetch_work);
		pf->last = U64_MAX;
		xa_init(&pf->ahead);
		pf->window = 4;
		pf->plan.presence = rmai_plan_presence;
		pf->blocked = jiffies;
		INIT_LIST_HEAD(&pf->ranges);
		/* Pairs with rmai_prefetch_of() */
		old = cmpxchg_release(&ri->prefetch, NULL, pf);
		if (old) {
			kfree(pf);
			pf = old;
		}
	}
	if ((watched & RMAI_FETCH_SCHEDULE) && !READ_ONCE(pf->order))
		order = rmai_order_alloc(rmai_prefetch_vmrs(ri));
	if ((watched & RMAI_FETCH_NEXT) && !READ_ONCE(pf->next))
		next = rmai_next_alloc();
	if (!order && !next)
		return pf;
	spin_lock(&pf->lock);
	if (!pf->order)
		swap(pf->order, order);
	if (!pf->next)
		swap(pf->next, next);
	spin_unlock(&pf->lock);
	rmai_order_free(order);
	rmai_next_free(next);
	return pf;
}

/**
 * rmai_prefetch_miss() - somebody needs a page that is not here
 * @ri: region
 * @index: page
 * @vma: through this mapping; NULL: read(2)
 *
 * Context: may sleep for memory. Before rmai_fetch_get().
 */
void rmai_prefetch_miss(struct rmai_inode *ri, pgoff_t index,
			const struct vm_area_struct *vma)
{
	if (rmai_prefetch_watched(ri, NULL, vma))
		rmai_prefetch_get(ri);
	rmai_prefetch_touch(ri, index, vma);
}

/**
 * rmai_prefetch_watches() - is it to be noticed which VMRs of a region are used?
 * @ri: region
 *
 * A long run is one, whether or not each of its VMRs is noticed.
 *
 * Context: any.
 */
bool rmai_prefetch_watches(struct rmai_inode *ri)
{
	const struct rmai_prefetch *pf = rmai_prefetch_of(ri);

	return pf && (rmai_prefetch_watched(ri, pf, NULL) & ~RMAI_FETCH_LONG);
}

/* Fetching */

/* How many VMRs may be ahead of use? A quarter of the budget at most. Under @lock */
static unsigned int rmai_prefetch_limit(const struct rmai_prefetch *pf)
{
	const struct rmai_inode *ri = pf->ri;
	u64 budget = rmai_cache_budget(ri), vmr_size = ri->geom.vmr_size;
	unsigned int limit;

	limit = clamp(pf->window, rmai_pace_depth(&pf->pace, vmr_size), RMAI_PLAN_MAX);
	if (budget)
		limit = clamp_t(u64, div64_u64(budget / 4, vmr_size), 1, limit);
	return limit;
}

static void rmai_ranges_drop(struct rmai_prefetch *pf)
{
	struct rmai_range *r, *next;
	LIST_HEAD(ranges);

	spin_lock(&pf->lock);
	list_splice_init(&pf->ranges, &ranges);
	pf->nr_ranges = 0;
	spin_unlock(&pf->lock);
	list_for_each_entry_safe(r, next, &ranges, node)
		kfree(r);
}

/* Begin to fetch a VMR. False: no more for now */
static bool rmai_prefetch_begin(struct rmai_prefetch *pf, u64 vmr, enum rmai_foresight by)
{
	struct rmai_inode *ri = pf->ri;
	struct rmai_span span = rmai_vmr_span(&ri->geom, vmr * ri->geom.vmr_size);
	unsigned int flying;
	bool room;

	spin_lock(&pf->lock);
	flying = pf->pace.in_flight;
	room = flying < rmai_pace_depth(&pf->pace, ri->geom.vmr_size);
	spin_unlock(&pf->lock);
	/* As one ends this is queued again */
	if (!room || !span.len)
		return false;
	/* Of those under way not all pages may be there yet */
	room = rmai_cache_admit(ri, span.len * (flying + 1));
	/* There may be when they have come, for not all of them is on its way any more */
	if (!room && flying)
		return false;
	spin_lock(&pf->lock);
	if (!room || xa_is_err(xa_store(&pf->ahead, vmr,
					xa_mk_value(by | (unsigned long)pf->clock << 3),
					GFP_NOWAIT))) {
		pf->blocked = jiffies + HZ / 50;
		spin_unlock(&pf->lock);
		return false;
	}
	if (by != RMAI_BY_ADVICE) {
		xa_set_mark(&pf->ahead, vmr, RMAI_PENDING);
		pf->pending++;
	}
	if (pf->last == vmr)
		pf->last = U64_MAX;
	spin_unlock(&pf->lock);
	trace_rmai_prefetch(ri->id, vmr, by);
	if (!rmai_fetch_begin(ri, span.off >> PAGE_SHIFT))
		return true;
	spin_lock(&pf->lock);
	rmai_ahead_remove(pf, vmr);
	pf->blocked = jiffies + HZ;
	spin_unlock(&pf->lock);
	return false;
}

/* What the sources foretell. False: no more for now */
static bool rmai_prefetch_foretold(struct rmai_prefetch *pf)
{
	struct rmai_inode *ri = pf->ri;
	u32 watched = rmai_prefetch_watched(ri, pf, NULL);
	struct rmai_plan *plan = &pf->plan;
	unsigned int i, limit, pending;

	spin_lock(&pf->lock);
	if (!rmai_prefetch_foretells(pf, watched)) {
		spin_unlock(&pf->lock);
		return true;
	}
	limit = rmai_prefetch_limit(pf);
	if (pf->pending >= limit)
		rmai_ahead_expire(pf, limit + limit / 4 + 8, -1);
	plan->vmrs = rmai_prefetch_vmrs(ri);
	plan->ahead = limit;
	plan->sure = watched & RMAI_FETCH_LONG ? rmai_prefetch_sure(ri) : 0;
	plan->nr = 0;
	if ((watched & RMAI_FETCH_SCHEDULE) && pf->order)
		rmai_order_plan(pf->order, plan);
	if ((watched & RMAI_RUNS_BITS) && plan->nr < limit)
		rmai_runs_plan(&pf->runs, plan);
	if ((watched & RMAI_FETCH_NEXT) && pf->next && plan->nr < limit)
		rmai_next_plan(pf->next, plan);
	pending = pf->pending;
	spin_unlock(&pf->lock);
	for (i = 0; i < plan->nr && pending < limit; i++, pending++)
		if (!rmai_prefetch_begin(pf, plan->v[i].vmr, plan->v[i].by))
			return false;
	return true;
}

/* What was asked for. It is given up where there is no room for it */
static void rmai_prefetch_advised(struct rmai_prefetch *pf)
{
	struct rmai_inode *ri = pf->ri;
	u64 vmrs = rmai_prefetch_vmrs(ri);
	struct rmai_range *r;

	for (;;) {
		spin_lock(&pf->lock);
		r = list_first_entry_or_null(&pf->ranges, struct rmai_range, node);
		if (r) {
			list_del(&r->node);
			pf->nr_ranges--;
		}
		spin_unlock(&pf->lock);
		if (!r)
			return;
		for (; r->vmr < min(r->end, vmrs); r->vmr++) {
			cond_resched();
			if (rmai_vmr_presence(pf, r->vmr) != RMAI_MISSING)
				continue;
			if (r->room < ri->geom.vmr_size)
				break;
			if (!rmai_prefetch_begin(pf, r->vmr, RMAI_BY_ADVICE))
				goto full;
			r->room -= ri->geom.vmr_size;
		}
		kfree(r);
	}
full:
	spin_lock(&pf->lock);
	/* Nothing else will go on with it: no room, an error, nobody left */
	if (time_before(jiffies, pf->blocked) || !atomic_read(&ri->opens)) {
		spin_unlock(&pf->lock);
		kfree(r);
		rmai_ranges_drop(pf);
		return;
	}
	list_add(&r->node, &pf->ranges);
	pf->nr_ranges++;
	/* What was under way may have ended since */
	if (!pf->pace.in_flight)
		rmai_prefetch_kick(pf);
	spin_unlock(&pf->lock);
}

static void rmai_prefetch_work(struct work_struct *work)
{
	struct rmai_prefetch *pf = container_of(work, struct rmai_prefetch, work);
	struct rmai_inode *ri = pf->ri;
	struct mem_cgroup *memcg = NULL, *old;

	spin_lock(&pf->lock);
	pf->queued = false;
	if (mem_cgroup_tryget(pf->memcg))
		memcg = pf->memcg;
	spin_unlock(&pf->lock);
	old = set_active_memcg(memcg);
	if (atomic_read(&ri->opens) && !READ_ONCE(ri->freed) && !READ_ONCE(ri->rc->stopping) &&
	    rmai_prefetch_foretold(pf))
		rmai_prefetch_advised(pf);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	iput(&ri->vfs);
}

/**
 * rmai_prefetch_begun() - a transfer of a region's VMR begins
 * @ri: region
 *
 * Return: when, in ns, for rmai_prefetch_ended(); 0 if it need not be told.
 */
u64 rmai_prefetch_begun(struct rmai_inode *ri)
{
	struct rmai_prefetch *pf = rmai_prefetch_of(ri);
	u64 now;

	if (!pf)
		return 0;
	now = ktime_get_ns();
	spin_lock(&pf->lock);
	rmai_pace_begin(&pf->pace, now);
	spin_unlock(&pf->lock);
	return now;
}

/**
 * rmai_prefetch_ended() - it has ended
 * @ri: region
 * @vmr: index
 * @begun: from rmai_prefetch_begun()
 * @bytes: of the VMR
 * @err: what it ended with
 *
 * Context: process.
 */
void rmai_prefetch_ended(struct rmai_inode *ri, u64 vmr, u64 begun, u64 bytes, int err)
{
	struct rmai_prefetch *pf = rmai_prefetch_of(ri);
	u64 now = ktime_get_ns();

	if (!begun)
		return;
	spin_lock(&pf->lock);
	rmai_pace_end(&pf->pace, now, now - begun, err ? 0 : bytes);
	if (!err) {
		if (pf->nr_ranges ||
		    rmai_prefetch_foretells(pf, rmai_prefetch_watched(ri, pf, NULL)))
			rmai_prefetch_kick(pf);
	} else if (rmai_ahead_remove(pf, vmr)) {
		/* Nobody has asked for it yet; let who does find out */
		pf->blocked = jiffies + HZ;
	}
	spin_unlock(&pf->lock);
}

/**
 * rmai_fetch_ahead() - fetch a range ahead of use
 * @ri: region
 * @off: first byte
 * @end: byte after the last
 *
 * As much of it as the budget, or half of the memory that is available, has room for.
 *
 * Context: may sleep for memory, never for the network.
 * Return: 0, also when not all of it will be fetched; -ENOMEM.
 */
int rmai_fetch_ahead(struct rmai_inode *ri, u64 off, u64 end)
{
	struct rmai_prefetch *pf;
	struct rmai_range *r, *last;

	end = min_t(u64, end, i_size_read(&ri->vfs));
	if (off >= end || !(rmai_prefetch_mask(ri) & RMAI_FETCH_ADVICE))
		return 0;
	pf = rmai_prefetch_get(ri);
	r = kmalloc(sizeof(*r), GFP_KERNEL);
	if (!pf || !r) {
		kfree(r);
		return -ENOMEM;
	}
	r->vmr = rmai_vmr_index(&ri->geom, off);
	r->end = rmai_vmr_index(&ri->geom, end - 1) + 1;
	r->room = rmai_cache_budget(ri) ? U64_MAX :
		  ((u64)si_mem_available() << PAGE_SHIFT) / 2;
	spin_lock(&pf->lock);
	last = list_empty(&pf->ranges) ? NULL :
	       list_last_entry(&pf->ranges, struct rmai_range, node);
	if (last && r->vmr >= last->vmr && r->vmr <= last->end) {
		last->end = max(last->end, r->end);
	} else if (pf->nr_ranges < RMAI_RANGES_MAX) {
		list_add_tail(&r->node, &pf->ranges);
		pf->nr_ranges++;
		r = NULL;
	}
	rmai_prefetch_pays(pf);
	/* Who asks knows better than what did not work just now */
	pf->blocked = jiffies;
	rmai_prefetch_kick(pf);
	spin_unlock(&pf->lock);
	kfree(r);
	return 0;
}

/**
 * rmai_prefetch_closed() - nobody has the region open on this node any more
 * @ri: region
 *
 * What is known of its order stays, for who opens it next; runs were of programs that are gone.
 */
void rmai_prefetch_closed(struct rmai_inode *ri)
{
	struct rmai_prefetch *pf = rmai_prefetch_of(ri);
	struct mem_cgroup *memcg;

	if (!pf)
		return;
	rmai_ranges_drop(pf);
	spin_lock(&pf->lock);
	memcg = pf->memcg;
	pf->memcg = NULL;
	memset(&pf->runs, 0, sizeof(pf->runs));
	pf->sure = false;
	WRITE_ONCE(pf->sequential, false);
	spin_unlock(&pf->lock);
	mem_cgroup_put(memcg);
}

/**
 * rmai_prefetch_destroy() - a region is leaving this node
 * @ri: region; nobody holds it
 */
void rmai_prefetch_destroy(struct rmai_inode *ri)
{
	struct rmai_prefetch *pf = ri->prefetch;
	unsigned long vmr;
	void *e;

	if (!pf)
		return;
	xa_for_each(&pf->ahead, vmr, e)
		rmai_prefetch_count(ri, RMAI_AHEAD_BY(xa_to_value(e)), false);
	xa_destroy(&pf->ahead);
	rmai_ranges_drop(pf);
	rmai_order_free(pf->order);
	rmai_next_free(pf->next);
	mem_cgroup_put(pf->memcg);
	kfree(pf);
	ri->prefetch = NULL;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Which replicas stay, and which go first. How many may stay is said by budget.c.
 *
 * VMRs that have come are in one of two lists. "fresh" is a queue: a VMR that has not
 * been used again by the time its turn comes, twice, goes; one that has moves to
 * "kept". So a sweep over a whole region, which uses everything once, only ever
 * pushes out its own. In "kept" each turn in which a VMR was used is good for one
 * turn more, up to RMAI_FREQ_MAX: those that are used most stay longest. A VMR
 * that went and comes back before half as many others have gone as are kept was
 * worth keeping, and goes to "kept" at once.
 *
 * An entry whose turn does not come goes to the end of its list, so that the next one who
 * looks does not come by it again; and no lock is held over more than RMAI_CACHE_LOOKS
 * entries. For who takes from one region alone there are the same two lists for each.
 *
 * What was fetched ahead of its use stays in "fresh" until it is used, without a turn, or
 * turns out to be wrong. To fetch ahead only what is cold goes: a few are looked at, and
 * none that was looked at just before.
 *
 * The lists are list_lrus, so that the shrinker takes from those of the memory cgroup
 * that is short. An entry belongs to its list, or to whoever has isolated it and
 * holds its inode. It is found by VMR in rmai_inode.cached; one that was dropped
 * leaves a value entry there, the number of its eviction.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/rwsem.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "internal.h"

#define RMAI_FREQ_MAX		7
#define RMAI_FRESH_SHARE	20	/* one in so many may be fresh */
#define RMAI_COLD_LOOKS		16	/* for each that is to be fetched ahead */
#define RMAI_COLD_AGE		(HZ / 10)	/* since it was looked at */
#define RMAI_EVICT_BATCH	64	/* VMRs isolated at a time */
#define RMAI_CACHE_LOOKS	128	/* entries of a list that one lock is held over */
#define RMAI_EVICTION_MAX	(LONG_MAX >> 1)	/* fits a value entry */

static struct {
	struct rw_semaphore	sem;	/* write: a super block goes; read: entries isolated */
	struct list_lru		fresh;
	struct list_lru		kept;
	struct shrinker		*shrinker;
	atomic_long_t		early;		/* of "fresh", those not used yet */
	atomic_long_t		evictions;	/* numbers them */
} rmai_cache;

static struct lock_class_key rmai_lru_key;

static struct list_lru *rmai_cached_lru(const struct rmai_cached *e)
{
	return e->kept ? &rmai_cache.kept : &rmai_cache.fresh;
}

static unsigned long rmai_cached_pages(const struct rmai_cached *e)
{
	return e->ri->geom.vmr_size >> PAGE_SHIFT;
}

/* For others to find: last in the lists where it belongs */
static void rmai_cached_list(struct rmai_cached *e)
{
	list_lru_add(rmai_cached_lru(e), &e->lru, e->nid, e->memcg);
	/* Not before it is in that: who takes it from here takes it from there */
	xa_lock(&e->ri->cached);
	list_add_tail(&e->own, &e->ri->own[e->kept]);
	xa_unlock(&e->ri->cached);
}

static void rmai_cached_put_back(struct rmai_cached *e)
{
	struct inode *inode = &e->ri->vfs;

	atomic_long_sub(rmai_cached_pages(e), &e->ri->isolated);
	rmai_cached_list(e);
	/* Not before it is in a list: rmai_cache_forget() takes it from there */
	iput(inode);
}

static void rmai_cached_not_early(struct rmai_cached *e)
{
	if (test_and_clear_bit(RMAI_CACHED_EARLY, &e->flags))
		atomic_long_dec(&rmai_cache.early);
}

static void rmai_cached_free(struct rmai_cached *e)
{
	rmai_cached_not_early(e);
	mem_cgroup_put(e->memcg);
	kfree_rcu(e, rcu);
}

/**
 * rmai_cache_add() - a VMR has come
 * @ri: region; held
 * @vmr: index
 * @memcg: whose pages they are
 *
 * Without memory for an entry the VMR stays until mm itself reclaims its pages.
 *
 * Context: may sleep.
 */
void rmai_cache_add(struct rmai_inode *ri, u64 vmr, struct mem_cgroup *memcg)
{
	struct rmai_cached *e;
	void *old;

	/* Under the lock an entry that is found stays */
	xa_lock(&ri->cached);
	old = xa_load(&ri->cached, vmr);
	if (old && !xa_is_value(old)) {
		e = old;
		WRITE_ONCE(e->more, true);
	}
	xa_unlock(&ri->cached);
	if (old && !xa_is_value(old))
		return;
	e = kzalloc(sizeof(*e), GFP_KERNEL);
	if (!e)
		return;
	INIT_LIST_HEAD(&e->lru);
	INIT_LIST_HEAD(&e->own);
	e->ri = ri;
	e->vmr = vmr;
	e->nid = numa_mem_id();
	e->looked = jiffies;
	e->kept = old && (atomic_long_read(&rmai_cache.evictions) & RMAI_EVICTION_MAX) -
		  xa_to_value(old) <= list_lru_count(&rmai_cache.kept) / 2;
	if (rmai_prefetch_state(ri, vmr) == RMAI_AHEAD_WANTED) {
		e->kept = false;
		__set_bit(RMAI_CACHED_EARLY, &e->flags);
		atomic_long_inc(&rmai_cache.early);
	}
	if (memcg_list_lru_alloc(memcg, &rmai_cache.fresh, GFP_KERNEL) ||
	    memcg_list_lru_alloc(memcg, &rmai_cache.kept, GFP_KERNEL) ||
	    xa_cmpxchg(&ri->cached, vmr, old, e, GFP_KERNEL) != old) {
		rmai_cached_not_early(e);
		kfree(e);
		return;
	}
	/* Touched meanwhile? */
	if (rmai_prefetch_state(ri, vmr) != RMAI_AHEAD_WANTED)
		rmai_cached_not_early(e);
	/* Whoever fetched it holds it */
	if (mem_cgroup_tryget(memcg))
		e->memcg = memcg;
	rmai_cached_list(e);
}

/**
 * rmai_cache_touch() - what was fetched ahead is used, or turned out to be wrong
 * @ri: region
 * @vmr: index
 *
 * Context: any process, also under RCU.
 */
void rmai_cache_touch(struct rmai_inode *ri, u64 vmr)
{
	struct rmai_cached *e;

	rcu_read_lock();
	e = xa_load(&ri->cached, vmr);
	if (e && !xa_is_value(e))
		rmai_cached_not_early(e);
	rcu_read_unlock();
}

/**
 * rmai_cache_forget() - a region is leaving this node
 * @ri: region; nobody holds it, so nobody has isolated an entry of it
 */
void rmai_cache_forget(struct rmai_inode *ri)
{
	struct rmai_cached *e;
	unsigned long vmr;

	xa_for_each(&ri->cached, vmr, e) {
		if (xa_is_value(e))
			continue;
		list_lru_del(rmai_cached_lru(e), &e->lru, e->nid, e->memcg);
		rmai_cached_free(e);
	}
	xa_destroy(&ri->cached);
}

/**
 * rmai_region_pages() - how much of a region is here
 * @ri: region
 *
 * Return: pages of replicas, but for those that are about to go.
 */
long rmai_region_pages(const struct rmai_inode *ri)
{
	return READ_ONCE(ri->vfs.i_mapping->nrpages) - atomic64_read(&ri->home_pages) -
	       atomic_long_read(&ri->isolated);
}

/**
 * rmai_region_protected() - would a VMR less be less than others have to leave a region?
 * @ri: region
 */
bool rmai_region_protected(const struct rmai_inode *ri)
{
	u64 min = READ_ONCE(ri->attr.cache_min);

	return min && ((rmai_region_pages(ri) << PAGE_SHIFT) - (s64)ri->geom.vmr_size) < (s64)min;
}

/**
 * struct rmai_shrink - how entries are looked for
 * @only: of this region alone; NULL: of all
 * @cold: to fetch ahead: only what has not been used of late
 * @any: whoever comes, used or not, and not used yet
 * @ignore_min: also of regions that have no more than their cache_min
 * @max: entries to be isolated at most
 * @nr: entries in @isolated
 * @isolated: entries, each with a reference to its inode
 * @list: of which list entries are being looked at
 * @looks: how many were since its lock was taken
 * @first: of those that have gone to its end since, the first
 * @more: of some list not all were
 */
struct rmai_shrink {
	struct rmai_inode	*only;
	bool			cold;
	bool			any;
	bool			ignore_min;
	unsigned int		max;
	unsigned int		nr;
	struct list_head	isolated;
	const void		*list;
	unsigned int		looks;
	const struct rmai_cached *first;
	bool			more;
};

/* Has a list been looked at once, or its lock been held for long enough? */
static bool rmai_cache_seen(struct rmai_shrink *sh, const void *list,
			    const struct rmai_cached *e)
{
	if (sh->list != list) {
		sh->list = list;
		sh->looks = 0;
		sh->first = NULL;
	}
	if (e == sh->first)
		return true;
	if (sh->looks == RMAI_CACHE_LOOKS) {
		sh->more = true;
		return true;
	}
	sh->looks++;
	rmai_count(evict_looks, 1);
	return false;
}

/* LRU_REMOVED: it is to be isolated; LRU_ROTATE: not its turn; LRU_SKIP: not just now */
static enum lru_status rmai_cache_turn(struct rmai_shrink *sh, const struct rmai_cached *e)
{
	if (!sh->only && !sh->ignore_min && rmai_region_protected(e->ri))
		return LRU_ROTATE;
	if (sh->cold && (time_before(jiffies, e->looked + RMAI_COLD_AGE) ||
			 rmai_prefetch_touched(e->ri, e->vmr)))
		return LRU_SKIP;
	/* Not by RMAI_CACHED_EARLY: mm may have taken its pages before it came again */
	if (!sh->any && rmai_prefetch_state(e->ri, e->vmr) == RMAI_AHEAD_WANTED)
		return LRU_ROTATE;
	return LRU_REMOVED;
}

static enum lru_status rmai_cache_isolate(struct list_head *item,
					  struct list_lru_one *list,
					  spinlock_t *lock, void *arg)
{
	struct rmai_cached *e = list_entry(item, struct rmai_cached, lru);
	struct rmai_shrink *sh = arg;
	enum lru_status turn;

	if (sh->nr == sh->max)
		return LRU_STOP;
	if (rmai_cache_seen(sh, list, e))
		return LRU_STOP;
	turn = rmai_cache_turn(sh, e);
	if (turn == LRU_ROTATE && !sh->first)
		sh->first = e;
	if (turn != LRU_REMOVED)
		return turn;
	/* Whoever has taken it from ri->own is about to take it from here */
	xa_lock(&e->ri->cached);
	if (!list_empty(&e->own) && igrab(&e->ri->vfs))
		list_del_init(&e->own);
	else
		turn = LRU_SKIP;
	xa_unlock(&e->ri->cached);
	if (turn == LRU_SKIP)
		return turn;
	atomic_long_add(rmai_cached_pages(e), &e->ri->isolated);
	list_lru_isolate_move(list, item, &sh->isolated);
	sh->nr++;
	return LRU_REMOVED;
}

/* One of sh->only that is to be isolated; it is in no list of the region's then */
static struct rmai_cached *rmai_cache_own(struct rmai_shrink *sh, bool kept)
{
	struct list_head *own = &sh->only->own[kept];
	struct rmai_cached *e, *next, *found = NULL;
	enum lru_status turn;

	xa_lock(&sh->only->cached);
	list_for_each_entry_safe(e, next, own, own) {
		if (rmai_cache_seen(sh, own, e))
			break;
		turn = rmai_cache_turn(sh, e);
		if (turn == LRU_REMOVED) {
			list_del_init(&e->own);
			found = e;
			break;
		}
		if (turn == LRU_ROTATE) {
			list_move_tail(&e->own, own);
			sh->first = sh->first ?: e;
		}
	}
	xa_unlock(&sh->only->cached);
	return found;
}

static void rmai_cache_take_own(struct rmai_shrink *sh, bool kept)
{
	struct rmai_cached *e;

	while (sh->nr < sh->max && (e = rmai_cache_own(sh, kept))) {
		ihold(&e->ri->vfs);
		list_lru_del(rmai_cached_lru(e), &e->lru, e->nid, e->memcg);
		atomic_long_add(rmai_cached_pages(e), &e->ri->isolated);
		list_add_tail(&e->lru, &sh->isolated);
		sh->nr++;
	}
}

/* What is to become of an entry that was isolated? True: it goes */
static bool rmai_cache_judge(const struct rmai_shrink *sh, struct rmai_cached *e)
{
	bool locked, used = rmai_evict_used(e, &locked);
	bool wrong = rmai_prefetch_state(e->ri, e->vmr) == RMAI_AHEAD_WRONG;

	e->looked = jiffies;
	if (used)
		rmai_prefetch_used(e->ri, e->vmr);
	if (locked) {
		e->kept = true;
		e->freq = RMAI_FREQ_MAX;
		return false;
	}
	if (sh->any || (wrong && !used))
		return true;
	/* More of it has come: that it is not yet all used says nothing */
	if (READ_ONCE(e->more)) {
		WRITE_ONCE(e->more, false);
		return false;
	}
	if (!e->kept) {
		/*
		 * The access that brought it says nothing; and has yet to be made,
		 * if the one who waits for it has not run since.
		 */
		if (!e->seen) {
			if (used || ++e->freq == RMAI_FREQ_MAX) {
				e->seen = true;
				e->freq = 0;
			}
			return false;
		}
		if (!used)
			return true;
		e->kept = true;
		e->freq = 1;
		return false;
	}
	if (used) {
		e->freq = min(e->freq + 1, RMAI_FREQ_MAX);
		return false;
	}
	if (!e->freq)
		return true;
	e->freq--;
	return false;
}

/* Drop @victims; gives back the entries that could not be. Return: pages dropped */
static unsigned long rmai_cache_drop(struct list_head *victims)
{
	struct rmai_cached *e, *next;
	unsigned long pages;
	LIST_HEAD(left);

	if (list_empty(victims))
		return 0;
	pages = rmai_evict(victims, &left);
	rmai_cache_grown(-(long)pages);
	list_for_each_entry_safe(e, next, victims, lru) {
		struct inode *inode = &e->ri->vfs;
		long nr = atomic_long_inc_return(&rmai_cache.evictions);

		list_del_init(&e->lru);
		rmai_prefetch_dropped(e->ri, e->vmr);
		atomic_long_sub(rmai_cached_pages(e), &e->ri->isolated);
		/* In the place of an entry: needs no memory */
		xa_store(&e->ri->cached, e->vmr, xa_mk_value(nr & RMAI_EVICTION_MAX),
			 GFP_NOWAIT);
		rmai_cached_free(e);
		iput(inode);
	}
	list_for_each_entry_safe(e, next, &left, lru) {
		list_del_init(&e->lru);
		e->kept = true;
		e->freq = 1;
		rmai_cached_put_back(e);
	}
	return pages;
}

static long rmai_cache_fresh(const struct rmai_shrink *sh)
{
	/* Those whose turn does not come do not count */
	long early = sh->any ? 0 : atomic_long_read(&rmai_cache.early);

	return max((long)list_lru_count(&rmai_cache.fresh) - early, 0);
}

/* Isolate up to @max entries of the list whose turn it is; of the other if it has none */
static bool rmai_cache_take(struct rmai_shrink *sh, unsigned int max)
{
	long fresh = rmai_cache_fresh(sh), kept = list_lru_count(&rmai_cache.kept);
	bool from_kept = kept && fresh * RMAI_FRESH_SHARE <= fresh + kept;
	unsigned long rounds;
	int i;

	sh->nr = 0;
	sh->max = max;
	for (i = 0; i < 2 && !sh->nr; i++, from_kept = !from_kept) {
		struct list_lru *lru = from_kept ? &rmai_cache.kept : &rmai_cache.fresh;

		/* To fetch ahead a few are looked at */
		rounds = sh->cold ? 1 : list_lru_count(lru) / RMAI_CACHE_LOOKS + 1;
		do {
			sh->list = NULL;
			sh->more = false;
			if (sh->only)
				rmai_cache_take_own(sh, from_kept);
			else
				list_lru_walk(lru, rmai_cache_isolate, sh, ULONG_MAX);
			cond_resched();
		} while (!sh->nr && sh->more && --rounds);
	}
	return sh->nr;
}

/* Judge entries: to @victims, or back to a list */
static void rmai_cache_sort(struct rmai_shrink *sh, struct list_head *victims)
{
	struct rmai_cached *e, *next;

	list_for_each_entry_safe(e, next, &sh->isolated, lru) {
		if (rmai_cache_judge(sh, e)) {
			list_move_tail(&e->lru, victims);
		} else {
			list_del_init(&e->lru);
			rmai_cached_put_back(e);
		}
	}
}

/**
 * rmai_cache_shrink() - drop VMRs
 * @only: of this region alone; NULL: of all
 * @cold: only what has not been used of late
 * @want: until that many pages are gone, or nothing is left that may be
 *
 * Context: may sleep, but not for the network.
 * Return: pages dropped.
 */
unsigned long rmai_cache_shrink(struct rmai_inode *only, bool cold, unsigned long want)
{
	struct rmai_shrink sh = { .only = only, .cold = cold };
	unsigned long pages = 0, looks = 0, total, max, each;
	LIST_HEAD(victims);

	INIT_LIST_HEAD(&sh.isolated);
	down_read(&rmai_cache.sem);
	total = list_lru_count(&rmai_cache.fresh) + list_lru_count(&rmai_cache.kept);
	each = max(rmai_cache_pages() / (long)max(total, 1UL), 1);
	if (sh.only) {
		each = sh.only->geom.vmr_size >> PAGE_SHIFT;
		total = rmai_region_pages(sh.only) / each + 1;
	}
	/* As often as an entry can be passed over; then whoever comes */
	max = total * (RMAI_FREQ_MAX + 2);
	if (sh.cold)
		max = RMAI_COLD_LOOKS * DIV_ROUND_UP(want, each) / 2;
	while (pages < want && looks <= 2 * max) {
		/* No more than may be needed: to be looked at is to lose one's turn */
		if (!rmai_cache_take(&sh, clamp(DIV_ROUND_UP(want - pages, each), 1,
						RMAI_EVICT_BATCH))) {
			if (sh.any || sh.cold)
				break;
			sh.any = true;
			continue;
		}
		looks += sh.nr;
		sh.any |= looks > max && !sh.cold;
		rmai_cache_sort(&sh, &victims);
		pages += rmai_cache_drop(&victims);
	}
	up_read(&rmai_cache.sem);
	return pages;
}

static unsigned long rmai_shrink_count(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	unsigned long nr = list_lru_shrink_count(&rmai_cache.fresh, sc) +
			   list_lru_shrink_count(&rmai_cache.kept, sc);

	return nr ?: SHRINK_EMPTY;
}

static unsigned long rmai_shrink_scan(struct shrinker *shrinker,
				      struct shrink_control *sc)
{
	/* Who is short of memory does not care for budgets */
	struct rmai_shrink sh = { .ignore_min = true, .max = UINT_MAX };
	LIST_HEAD(victims);
	unsigned long nr;

	if (!(sc->gfp_mask & __GFP_FS) || !down_read_trylock(&rmai_cache.sem))
		return SHRINK_STOP;
	INIT_LIST_HEAD(&sh.isolated);
	list_lru_shrink_walk(&rmai_cache.fresh, sc, rmai_cache_isolate, &sh);
	if (!sh.nr)
		list_lru_shrink_walk(&rmai_cache.kept, sc, rmai_cache_isolate, &sh);
	sc->nr_scanned = sh.nr;
	rmai_cache_sort(&sh, &victims);
	nr = list_count_nodes(&victims);
	rmai_cache_drop(&victims);
	up_read(&rmai_cache.sem);
	/* Of nothing there is no end: the caller counts what was looked at */
	return sc->nr_scanned ? nr : SHRINK_STOP;
}

/**
 * rmai_cache_pause() - a super block goes: no inode is to be held here
 *
 * Until rmai_cache_resume().
 */
void rmai_cache_pause(void)
{
	down_write(&rmai_cache.sem);
}

/**
 * rmai_cache_resume() - it has gone
 */
void rmai_cache_resume(void)
{
	up_write(&rmai_cache.sem);
}

/**
 * rmai_cache_init() - at boot
 *
 * Return: 0, -ENOMEM.
 */
int __init rmai_cache_init(void)
{
	init_rwsem(&rmai_cache.sem);
	rmai_cache.shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE,
					     "rmai");
	if (!rmai_cache.shrinker)
		return -ENOMEM;
	if (__list_lru_init(&rmai_cache.fresh, true, &rmai_lru_key, rmai_cache.shrinker) ||
	    __list_lru_init(&rmai_cache.kept, true, &rmai_lru_key, rmai_cache.shrinker)) {
		list_lru_destroy(&rmai_cache.fresh);
		shrinker_free(rmai_cache.shrinker);
		return -ENOMEM;
	}
	rmai_cache.shrinker->count_objects = rmai_shrink_count;
	rmai_cache.shrinker->scan_objects = rmai_shrink_scan;
	rmai_cache.shrinker->seeks = DEFAULT_SEEKS;
	shrinker_register(rmai_cache.shrinker);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much of regions that live elsewhere this node keeps (budget.c), which VMRs these
 * are (cache.c), and how others are dropped (evict.c).
 */
#ifndef _RMAI_CACHE_H
#define _RMAI_CACHE_H

#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/types.h>

struct folio;
struct mem_cgroup;
struct rmai_inode;

/**
 * struct rmai_cached - a VMR of which there is a replica here
 * @lru: in a list of cache.c, or in one of whoever has isolated it
 * @rcu: for freeing
 * @own: in ri->own, unless isolated; under the lock of ri->cached
 * @ri: region; not held, but while isolated
 * @vmr: index
 * @memcg: whose list it is in; held. NULL for the root's
 * @nid: likewise
 * @kept: which list: it was used again after it came
 * @seen: its access bits were cleared since it came
 * @more: a part of it has come since it was looked at
 * @freq: how often it was found used, up to RMAI_FREQ_MAX
 * @flags: RMAI_CACHED_EARLY
 * @looked: jiffies when it came, or its access bits were read last
 */
struct rmai_cached {
	union {
		struct list_head	lru;
		struct rcu_head		rcu;
	};
	struct list_head	own;
	struct rmai_inode	*ri;
	u64			vmr;
	struct mem_cgroup	*memcg;
	int			nid;
	bool			kept;
	bool			seen;
	bool			more;
	u8			freq;
	unsigned long		flags;
	unsigned long		looked;
};

/* rmai_cached.flags: it was fetched ahead of its use, and has not been used yet */
#define RMAI_CACHED_EARLY	0

/* cache.c */
int rmai_cache_init(void);
void rmai_cache_add(struct rmai_inode *ri, u64 vmr, struct mem_cgroup *memcg);
void rmai_cache_touch(struct rmai_inode *ri, u64 vmr);
long rmai_region_pages(const struct rmai_inode *ri);
bool rmai_region_protected(const struct rmai_inode *ri);
unsigned long rmai_cache_shrink(struct rmai_inode *only, bool cold, unsigned long want);
void rmai_cache_forget(struct rmai_inode *ri);
void rmai_cache_pause(void);
void rmai_cache_resume(void);

/* budget.c */
void rmai_cache_make_room(struct rmai_inode *ri, u64 bytes);
bool rmai_cache_admit(struct rmai_inode *ri, u64 bytes);
u64 rmai_cache_budget(const struct rmai_inode *ri);
void rmai_cache_ahead(void);
void rmai_cache_grown(long pages);
long rmai_cache_pages(void);

/* evict.c */
bool rmai_evict_used(const struct rmai_cached *e, bool *locked);
unsigned long rmai_evict(struct list_head *victims, struct list_head *left);

#endif /* _RMAI_CACHE_H */

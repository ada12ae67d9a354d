/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fetching ahead of use: what is learned from the VMRs of a region that are touched, and
 * what is foretold by it. prefetch.c fetches; prefetch_run.c, prefetch_order.c and
 * prefetch_next.c are pure logic, without locks.
 *
 * VMRs are numbered by 32 bits here: larger regions are not foretold.
 */
#ifndef _RMAI_PREFETCH_H
#define _RMAI_PREFETCH_H

#include <linux/types.h>
#include <uapi/linux/rmai.h>

struct vm_area_struct;

#define RMAI_NO_VMR	U32_MAX
#define RMAI_PLAN_MAX	64	/* VMRs ahead of use, at most */

/**
 * enum rmai_foresight - why a VMR is fetched ahead
 * @RMAI_BY_ADVICE: madvise(2), posix_fadvise(2) or readahead(2) asked for it
 * @RMAI_BY_SEQ: it continues a run
 * @RMAI_BY_SCHEDULE: it came next in the last pass
 * @RMAI_BY_NEXT: it has followed what is used now
 * @RMAI_FORESIGHTS: how many there are
 */
enum rmai_foresight {
	RMAI_BY_ADVICE,
	RMAI_BY_SEQ,
	RMAI_BY_SCHEDULE,
	RMAI_BY_NEXT,
	RMAI_FORESIGHTS
};

/**
 * enum rmai_presence - is a VMR here?
 * @RMAI_HERE: yes, and it was used
 * @RMAI_COMING: it was fetched ahead, and has not been used yet
 * @RMAI_MISSING: no
 */
enum rmai_presence {
	RMAI_HERE,
	RMAI_COMING,
	RMAI_MISSING,
};

/**
 * struct rmai_plan - what is to be fetched next, most urgent first
 * @vmrs: how many the region has
 * @ahead: how many may be ahead of use, up to RMAI_PLAN_MAX
 * @sure: steps in a row of a run that is believed, for a quarter as many more; 0: two, for
 *	twice as many
 * @presence: of a VMR; does not sleep
 * @nr: entries of @v
 * @v: VMRs that are missing, and why they are in the plan
 */
struct rmai_plan {
	u32			vmrs;
	unsigned int		ahead;
	u32			sure;
	enum rmai_presence	(*presence)(const struct rmai_plan *plan, u32 vmr);
	unsigned int		nr;
	struct {
		u32			vmr;
		enum rmai_foresight	by;
	} v[RMAI_PLAN_MAX];
};

bool rmai_plan_add(struct rmai_plan *plan, u32 vmr, enum rmai_foresight by);
bool rmai_plan_next(struct rmai_plan *plan, u32 vmr, enum rmai_foresight by,
		    unsigned int *ahead);

/* prefetch_run.c: sequential and strided runs, and how fast things come */

#define RMAI_RUNS		8	/* that are followed at once: threads, tensors */
#define RMAI_STRIDE_MAX		64	/* VMRs */

/**
 * struct rmai_run - VMRs that are the same distance apart
 * @first: where it began
 * @last: touched last
 * @stride: distance, may be negative
 * @steps: how often it was that; 0: @stride is not known yet
 * @exact: of these, how many in a row without one left out
 * @used: value of rmai_runs.clock when it last went on; 0: never, free
 */
struct rmai_run {
	u32	first;
	u32	last;
	s32	stride;
	u32	steps;
	u32	exact;
	u32	used;
};

/**
 * struct rmai_runs - runs of a region
 * @run: they
 * @clock: counts touches
 * @doubt: what is told is not believed, until a run goes on
 */
struct rmai_runs {
	struct rmai_run	run[RMAI_RUNS];
	u32		clock;
	bool		doubt;
};

u32 rmai_runs_touch(struct rmai_runs *runs, u32 vmr, bool told);
void rmai_runs_doubt(struct rmai_runs *runs);
void rmai_runs_plan(const struct rmai_runs *runs, struct rmai_plan *plan);

/**
 * struct rmai_pace - how fast a region's VMRs come
 * @in_flight: transfers under way
 * @since: ns, since when @bytes have come, while something was under way
 * @bytes: of ended transfers
 * @least_ns: that a transfer took, of late
 * @bytes_per_s: most that came, of late
 */
struct rmai_pace {
	unsigned int	in_flight;
	u64		since;
	u64		bytes;
	u64		least_ns;
	u64		bytes_per_s;
};

void rmai_pace_begin(struct rmai_pace *pace, u64 now);
void rmai_pace_end(struct rmai_pace *pace, u64 now, u64 took, u64 bytes);
unsigned int rmai_pace_depth(const struct rmai_pace *pace, u64 vmr_size);

/* prefetch_order.c: the order of the last pass */

#define RMAI_ORDER_MAX	BIT(20)	/* VMRs of a region that it is kept for */
#define RMAI_ORDER_NEAR	64		/* VMRs of it that may be left out */

/**
 * struct rmai_order - VMRs in the order in which they were touched, a circle
 * @vmrs: how many the region has
 * @at: touched last
 * @trust: touches that came as foretold, since the last that did not
 * @news: touches in a row that were each the first of their VMR
 * @next: by VMR, the one that comes after it; RMAI_NO_VMR: not in the circle
 * @prev: and before it
 */
struct rmai_order {
	u32	vmrs;
	u32	at;
	u32	trust;
	u32	news;
	u32	*next;
	u32	*prev;
};

struct rmai_order *rmai_order_alloc(u32 vmrs);
void rmai_order_free(struct rmai_order *order);
bool rmai_order_touch(struct rmai_order *order, u32 vmr, const struct rmai_plan *plan);
void rmai_order_plan(const struct rmai_order *order, struct rmai_plan *plan);

/* prefetch_next.c: what followed what */

#define RMAI_GROUPS	1024	/* that are remembered; in sets of */
#define RMAI_GROUP_WAYS	4
#define RMAI_FOLLOWERS	4
#define RMAI_GROUP_MAX	16	/* VMRs of a group that are fetched ahead */

/**
 * struct rmai_group - neighbours that are touched one after the other, such as an expert
 * @head: first VMR; RMAI_NO_VMR: none
 * @len: VMRs, as of late
 * @used: value of rmai_next.clock
 * @next: heads of groups that followed it, and how often (halved when one is full)
 */
struct rmai_group {
	u32	head;
	u32	len;
	u32	used;
	struct {
		u32	head;
		u32	count;
	} next[RMAI_FOLLOWERS];
};

/**
 * struct rmai_next - what followed what
 * @clock: groups touched
 * @head: of the group that is being touched; RMAI_NO_VMR: none yet
 * @len: VMRs of it so far
 * @groups: a hash table
 */
struct rmai_next {
	u32			clock;
	u32			head;
	u32			len;
	struct rmai_group	groups[RMAI_GROUPS];
};

struct rmai_next *rmai_next_alloc(void);
void rmai_next_free(struct rmai_next *next);
void rmai_next_touch(struct rmai_next *next, u32 vmr);
void rmai_next_plan(const struct rmai_next *next, struct rmai_plan *plan);

/* prefetch.c, prefetch_ahead.c */

struct rmai_inode;

/**
 * enum rmai_ahead_state - what the cache is told of a VMR
 * @RMAI_AHEAD_NOT: it was not fetched ahead, or was used since
 * @RMAI_AHEAD_WANTED: it was fetched ahead, and is still expected to be used
 * @RMAI_AHEAD_WRONG: it was, but is not
 */
enum rmai_ahead_state {
	RMAI_AHEAD_NOT,
	RMAI_AHEAD_WANTED,
	RMAI_AHEAD_WRONG,
};

void rmai_prefetch_touch(struct rmai_inode *ri, pgoff_t index,
			 const struct vm_area_struct *vma);
void rmai_prefetch_miss(struct rmai_inode *ri, pgoff_t index,
			const struct vm_area_struct *vma);
bool rmai_prefetch_watches(struct rmai_inode *ri);
u64 rmai_prefetch_begun(struct rmai_inode *ri);
void rmai_prefetch_ended(struct rmai_inode *ri, u64 vmr, u64 begun, u64 bytes, int err);
enum rmai_ahead_state rmai_prefetch_state(struct rmai_inode *ri, u64 vmr);
bool rmai_prefetch_touched(struct rmai_inode *ri, u64 vmr);
void rmai_prefetch_used(struct rmai_inode *ri, u64 vmr);
void rmai_prefetch_dropped(struct rmai_inode *ri, u64 vmr);
void rmai_prefetch_recount(struct rmai_inode *ri);
void rmai_prefetch_closed(struct rmai_inode *ri);
void rmai_prefetch_destroy(struct rmai_inode *ri);
int rmai_fetch_ahead(struct rmai_inode *ri, u64 off, u64 end);

#endif /* _RMAI_PREFETCH_H */

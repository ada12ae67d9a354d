/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The directory of a home, and what its parts say to each other: directory.c has
 * the entries, dir_home.c what the home does with them itself, dir_vmrs.c shows them,
 * recall.c has the pages.
 */
#ifndef _RMAI_DIRECTORY_H
#define _RMAI_DIRECTORY_H

#include <linux/list.h>
#include <linux/types.h>

#include "coherence.h"

struct rmai_inode;

/**
 * struct rmai_hold - what was just obtained is kept a little
 * @granted_ns: when it was obtained, for somebody who waits for it; 0: it need not be
 *	kept
 * @used_ns: when it was first used since, or 0
 * @write: used means written
 *
 * Kept for holdoff_us from its first use, so that the instruction that faulted is
 * carried out, or until it is clear that nobody uses it.
 */
struct rmai_hold {
	u64	granted_ns;
	u64	used_ns;
	bool	write;
};

/* Which VMR is the hottest? Moves cost most: a write-back and a transfer each */
static inline u64 rmai_heat_of(u32 moves, u32 invs, u32 recalls)
{
	return 4ULL * moves + 2ULL * recalls + invs;
}

void rmai_hold_begin(struct rmai_hold *hold, bool write);
void rmai_hold_renew(struct rmai_hold *hold);
void rmai_hold_use(struct rmai_hold *hold);
u64 rmai_hold_left_ns(const struct rmai_hold *hold);
void rmai_hold_wait(struct rmai_hold *hold);

#define RMAI_DIR_RECENT		4

/* Entries of a region that say nothing any more but what they have counted */
#define RMAI_DIRS_KEPT		4096

/**
 * struct rmai_heat - what a VMR has cost, and whom
 * @readers: nodes that have got it to read, by id - 1; the home among them
 * @writers: to write
 * @moves: how often it went from one writer to another node
 * @invs: how often readers were told to drop it
 * @recalls: how often a writer had to write it back
 */
struct rmai_heat {
	u64			readers;
	u64			writers;
	u32			moves;
	u32			invs;
	u32			recalls;
};

/**
 * struct rmai_dir - entry of a VMR, in rmai_inode.dirs by its index
 * @vmr: index
 * @line: what it says; changed by who has it
 * @state: @line.state, or what is going on; written under the lock of the xarray, too
 * @busy: somebody has it; under that lock
 * @queue: who waits for it; likewise
 * @seq: of the last grant, INV or RECALL
 * @end: byte up to which it was granted
 * @recent: the last grants: the GRANT may still be on its way when an INV follows
 * @next_recent: the entry of @recent to be used next
 * @hold: of what this node itself has got
 * @wanted: a store of this node's has found that it may not write it; under the lock of
 *	the xarray
 * @heat: what it has cost; under that lock
 * @kept: in rmai_inode.dirs_kept; likewise
 */
struct rmai_dir {
	u64			vmr;
	struct rmai_dir_line	line;
	enum rmai_dir_state	state;
	bool			busy;
	struct list_head	queue;
	u64			seq;
	u64			end;
	struct {
		u16		node;
		u64		seq;
	} recent[RMAI_DIR_RECENT];
	u8			next_recent;
	struct rmai_hold	hold;
	bool			wanted;
	struct rmai_heat	heat;
	bool			kept;
};

/* An entry that a transaction has, what it does with it, and how that ended */
struct rmai_dir_txn {
	struct rmai_dir		*e;
	struct rmai_dir_plan	plan;
	int			err;
};

/* Entries of some bytes */
struct rmai_dir_range {
	struct rmai_dir_txn	*t;
	int			nr;
	struct rmai_dir_txn	few[2];
};

/* directory.c */
struct rmai_dir *rmai_dir_lock(struct rmai_inode *ri, u64 vmr, bool killable);
void rmai_dir_unlock(struct rmai_inode *ri, struct rmai_dir *e);
void rmai_dir_poison(struct rmai_inode *ri, struct rmai_dir *e);
void rmai_dir_carry_out(struct rmai_inode *ri, struct rmai_dir_txn *t, int nr, u16 node);
u64 rmai_dir_next(struct rmai_inode *ri, u64 vmr);

/* dir_home.c */
int rmai_dir_range_begin(struct rmai_inode *ri, u64 off, u64 len,
			 struct rmai_dir_range *range);
void rmai_dir_range_end(struct rmai_inode *ri, struct rmai_dir_range *range);

/* recall.c */
int rmai_recall(struct rmai_inode *ri, const struct rmai_dir *e, bool drop);
int rmai_home_fill(struct rmai_inode *ri, u64 vmr, u64 end);
bool rmai_home_hole(struct rmai_inode *ri, u64 vmr);
int rmai_home_revoke(struct rmai_inode *ri, u64 vmr, bool all);
void rmai_home_refill(struct rmai_inode *ri, u64 vmr);

#endif /* _RMAI_DIRECTORY_H */

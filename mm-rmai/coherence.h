/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherence of open regions: the states of a VMR, and pure functions that say what
 * follows from a state and an event. No locks, no messages; those who carry it out
 * are directory.c and recall.c (at the home), grant.c and invalidate.c (elsewhere).
 *
 * Home: one entry for each VMR that some other node has, or had of late.
 *
 *	UNUSED --GET_S--> SHARED --GET_X--> INVALIDATING --ACKs--> EXCLUSIVE
 *	   ^                 ^  \                                   |     |
 *	   |                 |   \--a write at the home, write(2)---+--+  |
 *	   |                 |                                      |  |  |
 *	   |                 +------GET_S, read at the home--RECALLING |  |
 *	   +---------------------------------------------------+------+  |
 *	POISONED <--------------its owner is lost with what it wrote------+
 *
 * Any other node:
 *
 *	I --GET_S--> FETCH_S --grant--> S --GET_X--> FETCH_X --grant--> X
 *	^               ^               |              |                |
 *	+---------------+------INV------+--------------+            RECALL
 *	^                               ^                               |
 *	+-------------------------------+----- written back ------- WRITEBACK
 *
 * Every grant, INV and RECALL of a VMR has a number of its own, and they grow: so a
 * node knows that a grant is void if an INV that it has carried out already has a
 * larger one, in whatever order the two were received; and that an INV is an old copy,
 * received before, if its own grant has a larger one.
 */
#ifndef _RMAI_COHERENCE_H
#define _RMAI_COHERENCE_H

#include "wire.h"

/**
 * enum rmai_dir_state - what the home of a VMR knows of it
 * @RMAI_DIR_UNUSED: no other node has it
 * @RMAI_DIR_SHARED: a set of nodes may read it, and so may the home
 * @RMAI_DIR_EXCLUSIVE: one node may write it; what the home stores is out of date
 * @RMAI_DIR_POISONED: that node is lost, and what it wrote with it
 * @RMAI_DIR_INVALIDATING: readers are being told to drop it
 * @RMAI_DIR_RECALLING: its writer is being asked to write it back
 */
enum rmai_dir_state {
	RMAI_DIR_UNUSED,
	RMAI_DIR_SHARED,
	RMAI_DIR_EXCLUSIVE,
	RMAI_DIR_POISONED,
	RMAI_DIR_INVALIDATING,
	RMAI_DIR_RECALLING,
};

/**
 * enum rmai_replica_state - what another node may do with a VMR
 * @RMAI_REPLICA_I: nothing
 * @RMAI_REPLICA_FETCH_S: nothing yet: it has asked to read it
 * @RMAI_REPLICA_FETCH_X: read what it has: it has asked to write it
 * @RMAI_REPLICA_S: read
 * @RMAI_REPLICA_X: read and write
 * @RMAI_REPLICA_WRITEBACK: read: what it wrote is on its way home
 */
enum rmai_replica_state {
	RMAI_REPLICA_I,
	RMAI_REPLICA_FETCH_S,
	RMAI_REPLICA_FETCH_X,
	RMAI_REPLICA_S,
	RMAI_REPLICA_X,
	RMAI_REPLICA_WRITEBACK,
};

/**
 * enum rmai_dir_event - what happens to a VMR at its home
 * @RMAI_DIR_GET_S: a node wants to read it
 * @RMAI_DIR_GET_X: a node wants to write it
 * @RMAI_DIR_PUT: a node gives back what it wrote, and goes on reading
 * @RMAI_DIR_PUT_DROP: a node gives it back
 * @RMAI_DIR_HOME_READ: the home wants to read it
 * @RMAI_DIR_HOME_WRITE: the home wants to write it, or write(2) is to
 * @RMAI_DIR_RESET: it is cut off, or the administrator gives up what was lost
 */
enum rmai_dir_event {
	RMAI_DIR_GET_S,
	RMAI_DIR_GET_X,
	RMAI_DIR_PUT,
	RMAI_DIR_PUT_DROP,
	RMAI_DIR_HOME_READ,
	RMAI_DIR_HOME_WRITE,
	RMAI_DIR_RESET,
};

/**
 * struct rmai_dir_line - a VMR's entry in the directory of its home
 * @state: not a transient one
 * @sharers: nodes that may have it (SHARED), by id - 1
 * @owner: node that may write it (EXCLUSIVE), or was lost with it (POISONED)
 * @owner_epoch: incarnation of @owner
 * @owner_seq: number of its grant
 */
struct rmai_dir_line {
	enum rmai_dir_state	state;
	u64			sharers;
	u16			owner;
	u64			owner_epoch;
	u64			owner_seq;
};

/**
 * struct rmai_dir_plan - what an event needs
 * @err: it cannot be had: -EHWPOISON
 * @inv: nodes that must drop it first, by id - 1
 * @recall: node that must write it back first, or 0
 * @drop: and must drop it, too
 * @have: what the requester has already is good
 * @keep: it is granted what it has already: under the same number
 * @same: the entry stays as it is, with the number of its owner's grant
 * @next: the entry when all that is done
 */
struct rmai_dir_plan {
	int			err;
	u64			inv;
	u16			recall;
	bool			drop;
	bool			have;
	bool			keep;
	bool			same;
	struct rmai_dir_line	next;
};

struct rmai_dir_plan rmai_dir_plan(const struct rmai_dir_line *line,
				   enum rmai_dir_event event, u16 node, u64 epoch,
				   u64 held);

/* May the home read what it stores, may it write that? */
static inline bool rmai_dir_home_reads(enum rmai_dir_state state)
{
	return state == RMAI_DIR_UNUSED || state == RMAI_DIR_SHARED ||
	       state == RMAI_DIR_INVALIDATING;
}

static inline bool rmai_dir_home_writes(enum rmai_dir_state state)
{
	return state == RMAI_DIR_UNUSED;
}

/* May a node in this state begin to read, begin to write? */
static inline bool rmai_replica_reads(enum rmai_replica_state state)
{
	return state >= RMAI_REPLICA_S;
}

static inline bool rmai_replica_writes(enum rmai_replica_state state)
{
	return state == RMAI_REPLICA_X;
}

enum rmai_replica_state rmai_replica_asks(enum rmai_replica_state state, bool write);
enum rmai_replica_state rmai_replica_told(enum rmai_replica_state state, bool drop);

const char *rmai_dir_state_name(enum rmai_dir_state state);
const char *rmai_replica_state_name(enum rmai_replica_state state);

#endif /* _RMAI_COHERENCE_H */

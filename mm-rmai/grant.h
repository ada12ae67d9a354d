/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What this node was granted of open regions that are homed elsewhere.
 */
#ifndef _RMAI_GRANT_H
#define _RMAI_GRANT_H

#include <linux/types.h>

#include "coherence.h"
#include "directory.h"

/**
 * struct rmai_replica - a VMR that this node has or wants, in rmai_inode.replicas by
 *	its index; guarded by that xarray's lock
 * @state: enum rmai_replica_state
 * @have: what is in the page cache is good (FETCH_S, FETCH_X)
 * @busy: it is being written back (WRITEBACK)
 * @stopped: the lease has lapsed, and something was written here that is not at home
 *	yet (X, WRITEBACK): its pages are not uptodate until the home says that it
 *	is this node's still
 * @wanted: a store has found that it may not write it
 * @seq: of the grant that it has, or of the RECALL that left it what it has
 * @inv_seq: of the last INV or RECALL: grants before it are void
 * @end: byte up to which it was granted; it may have grown since
 * @hold: it is kept a little
 */
struct rmai_replica {
	enum rmai_replica_state	state;
	bool			have;
	bool			busy;
	bool			stopped;
	bool			wanted;
	u64			seq;
	u64			inv_seq;
	u64			end;
	struct rmai_hold	hold;
};

void rmai_replica_set(struct rmai_inode *ri, u64 vmr, struct rmai_replica *rep,
		      enum rmai_replica_state state, u64 seq);
void rmai_replica_forget(struct rmai_inode *ri, u64 vmr, struct rmai_replica *rep);

/* invalidate.c */
void rmai_replica_drop(struct rmai_inode *ri, u64 first, u64 nr);

#endif /* _RMAI_GRANT_H */

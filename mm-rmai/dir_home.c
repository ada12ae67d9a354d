// SPDX-License-Identifier: GPL-2.0
/*
 * The directory, for the home itself: it reads and writes as any other node does, and
 * takes VMRs away from others, to store to them or to cut them off.
 */
#include <linux/slab.h>

#include "directory.h"
#include "internal.h"

/**
 * rmai_dir_home() - this node, the home, wants to read or write a page
 * @ri: region
 * @index: page
 * @write: write
 *
 * Context: may sleep, for other nodes; killable. No lock that mm knows is held.
 * Return: 0 (it could: it may be somebody else's again), -EHWPOISON, -EINTR, -ENOMEM,
 * -EIO.
 */
int rmai_dir_home(struct rmai_inode *ri, pgoff_t index, bool write)
{
	u64 vmr = rmai_vmr_index(&ri->geom, (u64)index << PAGE_SHIFT);
	struct rmai_dir_txn t = {};

	t.e = rmai_dir_lock(ri, vmr, true);
	if (IS_ERR(t.e))
		return PTR_ERR(t.e);
	t.plan = rmai_dir_plan(&t.e->line, write ? RMAI_DIR_HOME_WRITE :
			       RMAI_DIR_HOME_READ, 0, 0, 0);
	rmai_dir_carry_out(ri, &t, 1, 0);
	if (!t.err)
		rmai_hold_begin(&t.e->hold, write);
	rmai_dir_unlock(ri, t.e);
	return t.err;
}

/**
 * rmai_dir_range_begin() - have some bytes, to store there
 * @ri: region
 * @off: first byte
 * @len: bytes, homed here
 * @range: to be ended with rmai_dir_range_end(), also on error
 *
 * No other node has any of them, nor gets it, until the range is ended.
 *
 * Context: see rmai_dir_home().
 * Return: likewise.
 */
int rmai_dir_range_begin(struct rmai_inode *ri, u64 off, u64 len,
			 struct rmai_dir_range *range)
{
	u64 first = rmai_vmr_index(&ri->geom, off);
	u64 last = rmai_vmr_index(&ri->geom, off + len - 1);
	struct rmai_dir *e;
	int i, err = 0;

	range->nr = 0;
	range->t = range->few;
	if (last - first >= ARRAY_SIZE(range->few))
		range->t = kvcalloc(last - first + 1, sizeof(*range->t), GFP_KERNEL);
	if (!range->t)
		return -ENOMEM;
	while (first + range->nr <= last) {
		e = rmai_dir_lock(ri, first + range->nr, true);
		if (IS_ERR(e))
			return PTR_ERR(e);
		range->t[range->nr].e = e;
		range->t[range->nr++].plan =
			rmai_dir_plan(&e->line, RMAI_DIR_HOME_WRITE, 0, 0, 0);
	}
	rmai_dir_carry_out(ri, range->t, range->nr, 0);
	for (i = 0; i < range->nr && !err; i++)
		err = range->t[i].err;
	return err;
}

/**
 * rmai_dir_range_end() - done with them
 * @ri: region
 * @range: what was begun
 */
void rmai_dir_range_end(struct rmai_inode *ri, struct rmai_dir_range *range)
{
	int i;

	for (i = 0; i < range->nr; i++)
		rmai_dir_unlock(ri, range->t[i].e);
	if (range->t != range->few)
		kvfree(range->t);
}

/**
 * rmai_dir_from() - take VMRs away from other nodes
 * @ri: region
 * @event: RMAI_DIR_HOME_READ: they may go on reading; RMAI_DIR_HOME_WRITE: they may
 *	not; RMAI_DIR_RESET: nor is what they wrote wanted
 * @first: VMR
 * @end: VMR after the last
 *
 * What is asked for meanwhile is not seen: the caller has seen to it that nothing is.
 *
 * Context: see rmai_dir_home(). Return: likewise; all is tried.
 */
int rmai_dir_from(struct rmai_inode *ri, enum rmai_dir_event event, u64 first, u64 end)
{
	struct rmai_dir_txn *t;
	int i, nr, err = 0;
	struct rmai_dir *e;

	t = kvcalloc(RMAI_WIRE_INVS, sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	do {
		for (nr = 0; nr < RMAI_WIRE_INVS; first++) {
			first = rmai_dir_next(ri, first);
			if (first >= end)
				break;
			e = rmai_dir_lock(ri, first, true);
			if (IS_ERR(e)) {
				err = PTR_ERR(e);
				end = first;
				break;
			}
			t[nr].e = e;
			t[nr++].plan = rmai_dir_plan(&e->line, event, 0, 0, 0);
		}
		rmai_dir_carry_out(ri, t, nr, 0);
		for (i = 0; i < nr; i++) {
			err = err ?: t[i].err;
			rmai_dir_unlock(ri, t[i].e);
		}
	} while (first < end);
	kvfree(t);
	return err;
}

/**
 * rmai_dir_ahead() - bytes are going to be written, piece by piece: take them away at once
 * @ri: region
 * @off: first byte
 * @len: bytes; of them, those homed here
 *
 * One INV to each node that has any, for up to RMAI_WIRE_INVS VMRs. Who asks for them
 * again before they are written gets them again.
 *
 * Context: see rmai_dir_home().
 */
void rmai_dir_ahead(struct rmai_inode *ri, u64 off, u64 len)
{
	rmai_dir_from(ri, RMAI_DIR_HOME_WRITE, rmai_vmr_index(&ri->geom, off),
		      rmai_vmr_index(&ri->geom, off + len - 1) + 1);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The directory, for those who look at it: VMRs that are fought over, and those that
 * were lost with their writers, and how these can be used again.
 */
#include "directory.h"
#include "internal.h"

/* Was it lost with its writer, whether or not somebody has found that out? */
static bool rmai_dir_is_lost(struct rmai_inode *ri, const struct rmai_dir *e)
{
	return e->state == RMAI_DIR_POISONED ||
	       (e->state == RMAI_DIR_EXCLUSIVE &&
		rmai_node_lost(ri->rc, e->line.owner, e->line.owner_epoch));
}

/* As rmai_vmrs_serve() shows it; the lock of the xarray is held */
static void rmai_dir_show(const struct rmai_dir *e, struct rmai_msg_vmrs *v, int i)
{
	bool owned = e->state == RMAI_DIR_EXCLUSIVE || e->state == RMAI_DIR_RECALLING ||
		     e->state == RMAI_DIR_POISONED;

	v->vmrs[i].vmr = e->vmr;
	v->vmrs[i].readers = e->heat.readers;
	v->vmrs[i].writers = e->heat.writers;
	v->vmrs[i].moves = e->heat.moves;
	v->vmrs[i].invs = e->heat.invs;
	v->vmrs[i].recalls = e->heat.recalls;
	v->vmrs[i].owner = owned ? e->line.owner : 0;
}

/* Among those shown, if it is hotter than the last of them or there is room */
static void rmai_dir_show_hot(const struct rmai_dir *e, struct rmai_msg_vmrs *v)
{
	u64 heat = rmai_heat_of(e->heat.moves, e->heat.invs, e->heat.recalls);
	int i;

	if (!heat)
		return;
	for (i = v->nr; i > 0; i--) {
		if (rmai_heat_of(v->vmrs[i - 1].moves, v->vmrs[i - 1].invs,
				 v->vmrs[i - 1].recalls) >= heat)
			break;
		if (i < RMAI_WIRE_VMRS)
			v->vmrs[i] = v->vmrs[i - 1];
	}
	if (i == RMAI_WIRE_VMRS)
		return;
	rmai_dir_show(e, v, i);
	v->nr = min_t(u16, v->nr + 1, RMAI_WIRE_VMRS);
}

/**
 * rmai_dir_vmrs() - VMRs that are fought over, or lost
 * @ri: region that is stored here, or some of it
 * @v: in: what, and from where on; out: VMRs
 *
 * Context: may sleep, for a CPU.
 */
void rmai_dir_vmrs(struct rmai_inode *ri, struct rmai_msg_vmrs *v)
{
	unsigned long vmr = v->first;
	unsigned int n = 0;
	struct rmai_dir *e;

	v->nr = 0;
	xa_lock(&ri->dirs);
	for (e = xa_find(&ri->dirs, &vmr, ULONG_MAX, XA_PRESENT); e;
	     e = xa_find_after(&ri->dirs, &vmr, ULONG_MAX, XA_PRESENT)) {
		if (v->what == RMAI_VMRS_HOT)
			rmai_dir_show_hot(e, v);
		else if (rmai_dir_is_lost(ri, e))
			rmai_dir_show(e, v, v->nr++);
		if (v->what == RMAI_VMRS_LOST && v->nr == RMAI_WIRE_VMRS)
			break;
		/* Entries are freed under the lock; indices stay what they are */
		if (++n % 256 == 0) {
			xa_unlock(&ri->dirs);
			cond_resched();
			xa_lock(&ri->dirs);
		}
	}
	xa_unlock(&ri->dirs);
}

/**
 * rmai_dir_reset() - lost VMRs may be used again, as they are stored
 * @ri: region that is stored here, or some of it
 * @first: VMR
 * @end: VMR after the last
 * @nr: set to how many of them were lost
 *
 * Context: see rmai_dir_home(). Return: likewise.
 */
int rmai_dir_reset(struct rmai_inode *ri, u64 first, u64 end, u64 *nr)
{
	struct rmai_dir_txn t;
	int err = 0;

	*nr = 0;
	for (first = rmai_dir_next(ri, first); first < end && !err;
	     first = rmai_dir_next(ri, first + 1)) {
		memset(&t, 0, sizeof(t));
		t.e = rmai_dir_lock(ri, first, true);
		if (IS_ERR(t.e))
			return PTR_ERR(t.e);
		if (rmai_dir_is_lost(ri, t.e)) {
			if (t.e->state != RMAI_DIR_POISONED)
				rmai_dir_poison(ri, t.e);
			t.plan = rmai_dir_plan(&t.e->line, RMAI_DIR_RESET, 0, 0, 0);
			rmai_dir_carry_out(ri, &t, 1, 0);
			err = t.err;
			*nr += !err;
		}
		rmai_dir_unlock(ri, t.e);
	}
	return err;
}

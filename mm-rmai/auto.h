/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much of a VMR to fetch at a time: what is learnt from what is touched.
 */
#ifndef _RMAI_AUTO_H
#define _RMAI_AUTO_H

#include <linux/types.h>

#include "vmr.h"

struct rmai_inode;

#define RMAI_AUTO_RUNS	4

/**
 * struct rmai_auto - of a region, on a node
 * @unit: what is fetched at a time, in bytes: the VMR size or a power of two below it;
 *	0: nothing was fetched yet
 * @ends: where the units fetched of late end: one that begins there goes on with a run
 * @last: which of @ends is the latest
 * @run: units that went on with one, in turn
 * @runs: units that went on with one, since @firsts was 0
 * @firsts: units of which nothing was here, since @unit has this size
 * @pairs: of these, the ones whose other half of twice the size was here
 * @probes: pages that were left out
 * @hits: of these, the ones that were touched later
 * @since: units fetched since the last probe
 * @known: most of a unit is used
 * @random: for choosing pages to leave out
 */
struct rmai_auto {
	u64	unit;
	u64	ends[RMAI_AUTO_RUNS];
	u8	last;
	u8	run;
	u8	runs;
	u8	firsts;
	u8	pairs;
	u8	probes;
	u8	hits;
	u8	since;
	bool	known;
	u32	random;
};

/**
 * struct rmai_auto_touch - a page that is missing
 * @unit: rmai_auto_unit()
 * @span: the unit that it is in
 * @off: where it is
 * @part: something of @span is here
 * @other: something of the other half of what is twice as large is here
 */
struct rmai_auto_touch {
	u64			unit;
	struct rmai_span	span;
	u64			off;
	bool			part;
	bool			other;
};

#define RMAI_NO_SKIP	U64_MAX

u64 rmai_auto_unit(const struct rmai_auto *a, u64 vmr_size);
u64 rmai_auto_next(struct rmai_auto *a, u64 vmr_size, const struct rmai_auto_touch *t);

u64 rmai_fetch_unit(struct rmai_inode *ri, u64 off, u64 *skip);
u64 rmai_fetch_size(const struct rmai_inode *ri);

#endif /* _RMAI_AUTO_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * RMAI_FETCH_AUTO: how much of a VMR to fetch at a time.
 *
 * A larger unit pays if what it brings beside the page that was touched is used before it
 * is dropped. Faults tell, for what was fetched and has not been dropped is here:
 *
 *  - Now and then a page of a unit is left out. If it is touched later that is seen as
 *    a fault which finds the rest of its unit here. So the share of such pages is the share
 *    of a unit that is used. Below a half of it, the unit shrinks: at once to an eighth if
 *    next to nothing is used.
 *  - If units are used, but the neighbour with which one would be twice as large is here
 *    at more than one in four first touches, more than every second neighbour is used (of
 *    two that are touched, the second finds the first): then the unit doubles.
 *  - Units touched in turn, each where one before ended, make it grow sooner, if what was
 *    left out of them was used: a stride of one unit looks like that, too.
 *
 * A page that is left out and used costs a fault and the PMD entry of its unit: so that is
 * done often only while nothing is known, or where a run has ended. Nothing depends
 * on access bits, which on x86 say little: entries that are mapped around a fault are
 * born accessed.
 */
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/pagemap.h>

#include "auto.h"
#include "chunk.h"
#include "internal.h"

#define RMAI_AUTO_FIRST	(64ULL << 10)	/* to begin with */
#define RMAI_AUTO_LOOK	8	/* units after which doubling is decided */
#define RMAI_AUTO_PAIRS	3	/* of these, with a neighbour */
#define RMAI_AUTO_RUN	3	/* in turn: sequential */
#define RMAI_AUTO_ALL	2	/* pages left out of which each was used: enough */
#define RMAI_AUTO_NONE	4	/* pages left out of which none was used: enough */
#define RMAI_AUTO_MANY	8	/* else so many */
#define RMAI_AUTO_SOON	2	/* units from one to the next until it is known */
#define RMAI_AUTO_LATER	16	/* and then */
#define RMAI_AUTO_RARE	32	/* in a run */

/**
 * rmai_auto_unit() - what is fetched at a time
 * @a: what has been learnt
 * @vmr_size: of the region
 *
 * Return: bytes: @vmr_size, or a power of two below it.
 */
u64 rmai_auto_unit(const struct rmai_auto *a, u64 vmr_size)
{
	return READ_ONCE(a->unit) ?: min(RMAI_AUTO_FIRST, vmr_size);
}

static void rmai_auto_set(struct rmai_auto *a, u64 unit, bool known)
{
	WRITE_ONCE(a->unit, unit);
	a->run = 0;
	a->runs = 0;
	a->firsts = 0;
	a->pairs = 0;
	a->probes = 0;
	a->hits = 0;
	a->since = 0;
	a->known = known || unit == PAGE_SIZE;
}

/* Enough pages were left out: are units used? */
static void rmai_auto_judge(struct rmai_auto *a)
{
	u64 unit = rounddown_pow_of_two(a->unit);

	if (2 * a->hits >= a->probes) {
		a->known = true;
		a->probes = 0;
		a->hits = 0;
	} else if (8 * a->hits <= a->probes) {
		rmai_auto_set(a, max_t(u64, unit / 8, PAGE_SIZE), false);
	} else {
		rmai_auto_set(a, unit == a->unit ? unit / 2 : unit, false);
	}
}

/* A page to leave out of a unit: any but the one that was touched */
static u64 rmai_auto_skip(struct rmai_auto *a, const struct rmai_auto_touch *t)
{
	u64 page;

	a->random = a->random * 1664525 + 1013904223;
	page = mul_u64_u32_shr(t->span.len / PAGE_SIZE - 1, a->random, 32);
	page = t->span.off + page * PAGE_SIZE;
	return page < t->off ? page : page + PAGE_SIZE;
}

/* Does a unit go on where one before ended? */
static bool rmai_auto_runs(struct rmai_auto *a, struct rmai_span span)
{
	int i;

	for (i = 0; i < RMAI_AUTO_RUNS; i++) {
		if (a->ends[i] == span.off && span.off) {
			a->ends[i] = span.off + span.len;
			return true;
		}
	}
	a->last = (a->last + 1) % RMAI_AUTO_RUNS;
	a->ends[a->last] = span.off + span.len;
	return false;
}

/**
 * rmai_auto_next() - a page that is missing was touched: its unit is going to be fetched
 * @a: what has been learnt, and is to be
 * @vmr_size: of the region
 * @t: the touch
 *
 * Return: the page of the unit that is to be left out, or RMAI_NO_SKIP.
 */
u64 rmai_auto_next(struct rmai_auto *a, u64 vmr_size, const struct rmai_auto_touch *t)
{
	bool used;
	u8 often;

	if (!a->unit)
		rmai_auto_set(a, rmai_auto_unit(a, vmr_size), false);
	if (t->unit != a->unit)
		return RMAI_NO_SKIP;
	if (t->part) {
		a->hits = min(a->hits + 1, a->probes);
		return RMAI_NO_SKIP;
	}

	if (rmai_auto_runs(a, t->span)) {
		a->run = min(a->run + 1, RMAI_AUTO_RUN);
		a->runs++;
	} else {
		/* What was known of a run says nothing of what comes now */
		if (a->run == RMAI_AUTO_RUN)
			a->known = a->unit == PAGE_SIZE;
		a->run = 0;
	}
	a->firsts++;
	a->pairs += t->other;
	used = a->known || (a->hits && 2 * a->hits >= a->probes);
	if (used && a->unit < vmr_size) {
		u64 more = 0;

		if (a->run == RMAI_AUTO_RUN)
			more = 4 * a->unit;
		else if (a->runs >= RMAI_AUTO_PAIRS)
			more = 2 * a->unit;
		else if (a->firsts >= RMAI_AUTO_LOOK && a->known &&
			 a->pairs >= RMAI_AUTO_PAIRS)
			more = 2 * a->unit;
		if (more) {
			rmai_auto_set(a, min(more, vmr_size), false);
			return RMAI_NO_SKIP;
		}
	}
	if (a->firsts >= RMAI_AUTO_LOOK) {
		a->firsts = 0;
		a->pairs = 0;
		a->runs = 0;
	}

	often = !a->known ? RMAI_AUTO_SOON : a->run ? RMAI_AUTO_RARE : RMAI_AUTO_LATER;
	if (++a->since < often || t->span.len <= PAGE_SIZE)
		return RMAI_NO_SKIP;
	/* The last one has had time, too */
	if (a->probes >= RMAI_AUTO_MANY ||
	    (a->probes >= RMAI_AUTO_ALL && a->hits == a->probes) ||
	    (a->probes >= RMAI_AUTO_NONE && !a->hits)) {
		rmai_auto_judge(a);
		/* Shrunk; or known, and then one goes on asking, but not soon */
		if (a->unit != t->unit)
			return RMAI_NO_SKIP;
	}
	a->since = 0;
	a->probes++;
	return rmai_auto_skip(a, t);
}

/* Is something of it in the page cache? */
static bool rmai_auto_here(struct rmai_inode *ri, struct rmai_span span)
{
	return span.len && filemap_range_has_page(ri->vfs.i_mapping, span.off,
						  span.off + span.len - 1);
}

static bool rmai_is_auto(const struct rmai_inode *ri)
{
	return rmai_is_sealed(ri) && READ_ONCE(ri->attr.fetch) & RMAI_FETCH_AUTO;
}

/**
 * rmai_fetch_unit() - how much to fetch for a page that is missing
 * @ri: region
 * @off: where the page begins
 * @skip: set to where a page begins that is to be left out of it, or RMAI_NO_SKIP
 *
 * Context: any that may take a spinlock.
 * Return: bytes, aligned, of its VMR: the VMR size, or a power of two below it.
 */
u64 rmai_fetch_unit(struct rmai_inode *ri, u64 off, u64 *skip)
{
	u64 vmr_size = ri->geom.vmr_size;
	struct rmai_auto_touch t = { .off = off };
	struct rmai_span vmr, two;

	*skip = RMAI_NO_SKIP;
	if (!rmai_is_auto(ri))
		return vmr_size;
	vmr = rmai_vmr_span(&ri->geom, off);
	t.unit = rmai_auto_unit(&ri->fetch_auto, vmr_size);
	t.span = rmai_chunk_span(vmr, t.unit, off);
	t.part = rmai_auto_here(ri, t.span);
	/* The half that it is not in */
	two = rmai_chunk_span(vmr, 2 * rounddown_pow_of_two(t.unit), off);
	if (two.off == t.span.off)
		two.off += t.span.len;
	two.len -= min(two.len, t.span.len);
	t.other = rmai_auto_here(ri, two);
	spin_lock(&ri->auto_lock);
	*skip = rmai_auto_next(&ri->fetch_auto, vmr_size, &t);
	spin_unlock(&ri->auto_lock);
	return t.unit;
}

/**
 * rmai_fetch_size() - what a fault on a page that is missing fetches
 * @ri: region
 *
 * Return: bytes.
 */
u64 rmai_fetch_size(const struct rmai_inode *ri)
{
	u64 vmr_size = ri->geom.vmr_size;

	return rmai_is_auto(ri) ? rmai_auto_unit(&ri->fetch_auto, vmr_size) : vmr_size;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * VMR and layout arithmetic. Also compiles in user space, for the fuzzer.
 *
 * Sizes and offsets are below RMAI_WIRE_SIZE_LIMIT (2^62), so that rounding one
 * up to a VMR or a page never overflows. Nothing here is a power of two, but
 * the page.
 */
#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <uapi/linux/rmai.h>
#include "vmr.h"

static_assert(PAGE_SIZE == RMAI_VMR_MIN);
#else
#include "wire_user.h"
#include "vmr.h"
#endif

/*
 * Stripes of at least this much: one node's turn is worth a full memory key
 * (512 pages), and regions of a few MiB already spread over all their nodes.
 */
#define STRIPE_MIN	(2ULL << 20)

/* Where the region ends, in whole pages */
static u64 geom_end(const struct rmai_geom *g)
{
	return (g->size + RMAI_VMR_MIN - 1) & ~(RMAI_VMR_MIN - 1);
}

/* What of @start .. @start + @len - 1 lies inside the region */
static struct rmai_span cut(const struct rmai_geom *g, u64 start, u64 len)
{
	u64 end = geom_end(g);

	if (start >= end)
		return (struct rmai_span){ .off = start };
	return (struct rmai_span){ start, min(len, end - start) };
}

static u64 keys_per_unit(const struct rmai_geom *g, u32 key_bytes)
{
	return div64_u64(g->stripe - 1, key_bytes) + 1;
}

/**
 * rmai_geom_valid() - can the other functions be asked about this geometry?
 * @g: the geometry
 *
 * Return: true if all of @g is within the limits of uapi/linux/rmai.h and the
 * stripe is a multiple of the VMR size.
 */
bool rmai_geom_valid(const struct rmai_geom *g)
{
	u64 rest;

	if (g->size >= RMAI_WIRE_SIZE_LIMIT || g->stripe >= RMAI_WIRE_SIZE_LIMIT ||
	    !g->stripe || !g->nr_nodes || g->nr_nodes > RMAI_MAX_NODES)
		return false;
	if (g->vmr_size < RMAI_VMR_MIN || g->vmr_size > RMAI_VMR_MAX ||
	    g->vmr_size % RMAI_VMR_MIN)
		return false;
	div64_u64_rem(g->stripe, g->vmr_size, &rest);
	return !rest;
}

/**
 * rmai_default_stripe() - stripe of a region whose maker did not choose one
 * @vmr_size: valid VMR size
 *
 * Return: the smallest multiple of @vmr_size that is at least 2 MiB.
 */
u64 rmai_default_stripe(u64 vmr_size)
{
	return (div64_u64(STRIPE_MIN - 1, vmr_size) + 1) * vmr_size;
}

/**
 * rmai_vmr_span() - the VMR that holds a byte
 * @g: valid geometry
 * @off: byte of the region
 *
 * Return: the VMR, cut at the region's end rounded up to a page; len 0 when all
 * of it is past that.
 */
struct rmai_span rmai_vmr_span(const struct rmai_geom *g, u64 off)
{
	u64 in_vmr;

	div64_u64_rem(off, g->vmr_size, &in_vmr);
	return cut(g, off - in_vmr, g->vmr_size);
}

/**
 * rmai_vmr_index() - number of the VMR that holds a byte
 * @g: valid geometry
 * @off: byte of the region, or past it
 *
 * Return: the number, from 0.
 */
u64 rmai_vmr_index(const struct rmai_geom *g, u64 off)
{
	return div64_u64(off, g->vmr_size);
}

/**
 * rmai_home_slot() - which of the region's nodes is a byte's home
 * @g: valid geometry
 * @off: byte of the region, or past it
 *
 * Return: index into the region's nodes, below @g->nr_nodes.
 */
u32 rmai_home_slot(const struct rmai_geom *g, u64 off)
{
	u64 slot;

	div64_u64_rem(div64_u64(off, g->stripe), g->nr_nodes, &slot);
	return slot;
}

/**
 * rmai_home_run() - how far the home of a byte goes on
 * @g: valid geometry
 * @off: byte of the region, or past it
 * @len: bytes of interest
 *
 * Return: how many of the @len bytes from @off on have the same home without
 * another one's between them. Not cut at the region's end: writes may extend it.
 */
u64 rmai_home_run(const struct rmai_geom *g, u64 off, u64 len)
{
	u64 in_unit;

	if (g->nr_nodes == 1)
		return len;
	div64_u64_rem(off, g->stripe, &in_unit);
	return min(len, g->stripe - in_unit);
}

/**
 * rmai_key_number() - number of the key that covers a byte
 * @g: valid geometry
 * @key_bytes: what one key covers at most: whole pages, not 0
 * @off: byte of the region
 *
 * Return: the number; numbers are the region's, not the home's.
 */
u64 rmai_key_number(const struct rmai_geom *g, u32 key_bytes, u64 off)
{
	u64 unit, in_unit;

	unit = div64_u64_rem(off, g->stripe, &in_unit);
	return unit * keys_per_unit(g, key_bytes) + div64_u64(in_unit, key_bytes);
}

/**
 * rmai_key_span() - what a key covers
 * @g: valid geometry
 * @key_bytes: what one key covers at most: whole pages, not 0
 * @nr: any number, it may come from a peer
 *
 * Return: the bytes, cut at the end of their stripe unit and at the region's end
 * rounded up to a page; len 0 when there is no such key.
 */
struct rmai_span rmai_key_span(const struct rmai_geom *g, u32 key_bytes, u64 nr)
{
	u64 unit, k, in_unit;

	unit = div64_u64_rem(nr, keys_per_unit(g, key_bytes), &k);
	if (unit > div64_u64(geom_end(g), g->stripe))
		return (struct rmai_span){};
	in_unit = k * key_bytes;
	return cut(g, unit * g->stripe + in_unit,
		   min(key_bytes, g->stripe - in_unit));
}

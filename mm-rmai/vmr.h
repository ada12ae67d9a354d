/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMR and layout arithmetic: pure functions from a region's geometry and an
 * offset to VMRs, homes and keys. No state, no locks.
 *
 * A region's bytes are dealt to its nodes in stripe units: unit u (bytes
 * u * stripe .. (u + 1) * stripe - 1) lives on nodes[u % nr_nodes]. A stripe is a
 * multiple of the VMR size, so a VMR has one home. A home registers a sealed
 * unit's memory in keys of at most key_bytes each, counted from the unit's
 * start, so key numbers are global to the region: unit * keys_per_unit + k.
 */
#ifndef _RMAI_VMR_H
#define _RMAI_VMR_H

#include "wire.h"

/**
 * struct rmai_geom - what the arithmetic needs of a region
 * @size: bytes
 * @vmr_size: bytes, a multiple of the page size
 * @stripe: bytes, a multiple of @vmr_size
 * @nr_nodes: how many nodes share it, at least 1
 */
struct rmai_geom {
	u64	size;
	u64	vmr_size;
	u64	stripe;
	u32	nr_nodes;
};

/**
 * struct rmai_span - a piece of a region
 * @off: first byte
 * @len: bytes
 */
struct rmai_span {
	u64	off;
	u64	len;
};

bool rmai_geom_valid(const struct rmai_geom *g);
u64 rmai_default_stripe(u64 vmr_size);

/* The VMR that holds @off, cut at the region's end (page-rounded up) */
struct rmai_span rmai_vmr_span(const struct rmai_geom *g, u64 off);
u64 rmai_vmr_index(const struct rmai_geom *g, u64 off);

/* Index into the region's nodes of the home of @off */
u32 rmai_home_slot(const struct rmai_geom *g, u64 off);
/* Bytes from @off that have the same home and are contiguous, within @len */
u64 rmai_home_run(const struct rmai_geom *g, u64 off, u64 len);

/* Keys: @key_bytes is what one key of the home covers at most */
u64 rmai_key_number(const struct rmai_geom *g, u32 key_bytes, u64 off);
/* What key number @nr covers, cut at the region's end (page-rounded up); len 0: nothing */
struct rmai_span rmai_key_span(const struct rmai_geom *g, u32 key_bytes, u64 nr);

#endif /* _RMAI_VMR_H */

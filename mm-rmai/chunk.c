// SPDX-License-Identifier: GPL-2.0
/*
 * What of a VMR is waited for, and in which pieces the rest follows.
 *
 * Chunks are cut at multiples of their size counted from the start of the region, not of
 * the VMR, as folios are: so a chunk is one folio, if the VMR does not begin or end in it.
 */
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/minmax.h>

#include "chunk.h"

/**
 * rmai_chunk_bytes() - how much is waited for at a time
 * @vmr_size: of the region
 * @unit: what is fetched of a VMR at a time; @vmr_size, or a power of two below it
 *
 * Return: bytes; if that is @vmr_size, a VMR is a chunk; else a power of two.
 */
u64 rmai_chunk_bytes(u64 vmr_size, u64 unit)
{
	return min(unit, vmr_size > RMAI_BLOCK ? RMAI_CHUNK : vmr_size);
}

/**
 * rmai_chunk_span() - the chunk that holds a byte
 * @goal: what is fetched
 * @chunk: bytes; @goal.len or more: all of it, else a power of two
 * @off: byte in @goal
 */
struct rmai_span rmai_chunk_span(struct rmai_span goal, u64 chunk, u64 off)
{
	u64 from, end;

	if (chunk >= goal.len)
		return goal;
	from = max(goal.off, round_down(off, chunk));
	end = min(goal.off + goal.len, round_down(off, chunk) + chunk);
	return (struct rmai_span){ from, end - from };
}

/**
 * rmai_chunk_block() - may more than a chunk come at once?
 * @goal: what is fetched
 * @chunk: bytes
 * @pos: byte in @goal
 *
 * Return: whether a whole RMAI_BLOCK begins at @pos. It should come as such if nothing
 * of it is here, for then it can be a single folio.
 */
bool rmai_chunk_block(struct rmai_span goal, u64 chunk, u64 pos)
{
	return chunk == RMAI_CHUNK && IS_ALIGNED(pos, RMAI_BLOCK) &&
	       pos + RMAI_BLOCK <= goal.off + goal.len;
}

/**
 * rmai_want_begin() - a part of a VMR is to be fetched
 * @w: to be filled in
 * @goal: the part
 * @chunk: bytes of a chunk
 * @off: byte in @goal to begin with
 * @urgent: somebody waits for it
 */
void rmai_want_begin(struct rmai_want *w, struct rmai_span goal, u64 chunk, u64 off,
		     bool urgent)
{
	w->goal = goal;
	w->chunk = chunk;
	w->pos = rmai_chunk_span(goal, chunk, off).off;
	w->left = goal.len;
	w->urgent = urgent;
	w->skip = U64_MAX;
}

/**
 * rmai_want_posted() - a piece is on its way
 * @w: of which
 * @piece: what began at @w->pos
 */
void rmai_want_posted(struct rmai_want *w, struct rmai_span piece)
{
	u64 end = piece.off + piece.len;

	w->urgent = false;
	w->left -= min(w->left, piece.len);
	w->pos = end == w->goal.off + w->goal.len ? w->goal.off : end;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of a VMR is waited for, and in which pieces the rest follows: pure functions.
 */
#ifndef _RMAI_CHUNK_H
#define _RMAI_CHUNK_H

#include "vmr.h"

/* What is waited for of a large VMR */
#define RMAI_CHUNK	(256ULL << 10)
/*
 * Most that one READ brings, and one folio of x86 holds. A VMR that is no larger is waited
 * for whole: so it costs one fault.
 */
#define RMAI_BLOCK	(2ULL << 20)

u64 rmai_chunk_bytes(u64 vmr_size, u64 unit);
struct rmai_span rmai_chunk_span(struct rmai_span goal, u64 chunk, u64 off);
bool rmai_chunk_block(struct rmai_span goal, u64 chunk, u64 pos);

/**
 * struct rmai_want - a part of a VMR that is to be fetched
 * @node: in rmai_fetch.wants
 * @goal: all of it
 * @chunk: bytes that are waited for at a time
 * @pos: what comes next; it goes from what was touched to the end, then from the start
 * @left: bytes that are still to come
 * @urgent: somebody waits for the chunk at @pos
 * @skip: where a page begins that is not fetched; ~0: none
 */
struct rmai_want {
	struct list_head	node;
	struct rmai_span	goal;
	u64			chunk;
	u64			pos;
	u64			left;
	bool			urgent;
	u64			skip;
};

void rmai_want_begin(struct rmai_want *w, struct rmai_span goal, u64 chunk, u64 off,
		     bool urgent);
void rmai_want_posted(struct rmai_want *w, struct rmai_span piece);

#endif /* _RMAI_CHUNK_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Histories of operations on words, as linear records and checks them.
 *
 * A log is of one process (a thread, really), in text; a file may hold several:
 *
 *	linear proc 3 clock host	all times are of one machine's clock; or
 *	linear proc 3 clock FILE	of one that FILE, beside the log, has samples of
 *	r WORD VALUE INV RESP		read
 *	w WORD VALUE INV RESP		written
 *	c WORD EXPECT NEW OLD INV RESP	compared and exchanged if OLD is EXPECT
 *	end				ended in order; without it, it was killed
 *
 * INV and RESP are nanoseconds, before and after. RESP (and a VALUE read, or OLD) is
 * "?" if the operation failed: it may have happened, at any time after INV. A word
 * is 0 at first; any other value is written once: it is PROC << 32 | N, with N
 * counting from 1 in each process, so that a value tells who wrote it even if the end
 * of his log is lost.
 */
#ifndef _COHERENCE_HISTORY_H
#define _COHERENCE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEVER	INT64_MAX	/* response of what may not have happened */

enum op_kind { OP_READ, OP_WRITE, OP_CAS };

/**
 * struct op - an operation
 * @kind: what it was; a compare and exchange that failed is an OP_READ
 * @known: it has succeeded
 * @proc: who did it
 * @seq: its number among those of @proc, in program order
 * @word: what it was done to
 * @reads: the value found (OP_READ, OP_CAS)
 * @writes: the value left (OP_WRITE, OP_CAS)
 * @inv: it began at this time or later
 * @resp: it ended at this time or earlier
 */
struct op {
	enum op_kind	kind;
	bool		known;
	uint32_t	proc;
	uint32_t	seq;
	uint64_t	word;
	uint64_t	reads;
	uint64_t	writes;
	int64_t		inv;
	int64_t		resp;
};

/**
 * struct proc - a log
 * @id: of the process
 * @ended: in order: it has written nothing that is not in its log
 * @last_n: the highest N of a value in its log
 * @last_inv: the latest invocation in it
 */
struct proc {
	uint32_t	id;
	bool		ended;
	uint32_t	last_n;
	int64_t		last_inv;
};

struct history {
	struct op	*ops;
	size_t		nr_ops, max_ops;
	struct proc	*procs;
	size_t		nr_procs, max_procs;
	size_t		nr_unknown;
	int64_t		stall_ns;	/* see began(); 0: a clock never stands still */
	size_t		nr_stalled;	/* reads that this made longer */
	int64_t		max_widened;	/* by clocks: median and greatest, per operation */
	int64_t		median_widened;
};

void history_read(struct history *h, int nr_files, char **files);
const struct proc *history_proc(const struct history *h, uint32_t id);

/* 0: linearizable; otherwise what is wrong has been printed, unless @quiet */
int check_history(struct history *h, bool quiet);
int check_word(const struct history *h, struct op *ops, size_t nr, bool quiet,
	       uint64_t *order, size_t *nr_order);
int check_self(uint64_t seed, uint64_t rounds);
int check_plant(struct history *h, uint64_t seed, unsigned int count);

#endif /* _COHERENCE_HISTORY_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The litmus tests: short programs of a few threads, the outcomes that sequential
 * consistency between nodes forbids, and whether a CPU may show one of them anyway.
 *
 * Accesses are acquire loads and release stores: plain MOVs on x86, and the plainest
 * that are in order on weaker CPUs. What a CPU's store buffer does is not RMAI's: SB
 * without fences is weak between the threads of one machine, and so it is here.
 *
 * A variable holds 0 (whatever it was), 1 or 2 (written in this round). Each is a
 * number of its own in every round, so nothing has to be cleared between rounds.
 */
#ifndef _COHERENCE_LITMUS_TESTS_H
#define _COHERENCE_LITMUS_TESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "litmus_access.h"

#define MAX_THREADS	4
#define MAX_REGS	2
#define MAX_VARS	2

/**
 * struct round - what a thread gets
 * @var: the variables: x is 0, y is 1
 * @base: 1 and 2 are base + 1 and base + 2
 * @reg: what it has read
 */
struct round {
	uint64_t	*var[MAX_VARS];
	uint64_t	base;
	uint64_t	reg[MAX_REGS];
};

/* r[t][i]: register i of thread t; v[k]: variable k in the end */
struct outcome {
	int	r[MAX_THREADS][MAX_REGS];
	int	v[MAX_VARS];
};

/*
 * struct litmus - a test
 * @name: as in the literature
 * @nr_threads: threads of it
 * @nr_vars: variables of it
 * @nr_regs: of each thread
 * @thread: what they do
 * @bad: is this the outcome that sequential consistency forbids?
 * @weak: a CPU may show it all the same: it is counted
 * @what: for people
 */
struct litmus {
	const char	*name;
	int		nr_threads;
	int		nr_vars;
	int		nr_regs[MAX_THREADS];

	void		(*const thread[MAX_THREADS])(struct round *r);
	bool		(*bad)(const struct outcome *o);
	bool		weak;
	const char	*what;
};

#define THREAD(name) static void name(struct round *r)
#define X	r->var[0]
#define Y	r->var[1]

THREAD(write_x)		{ ST(X, 1); }
THREAD(write_y)		{ ST(Y, 1); }
THREAD(write_xx)	{ ST(X, 1); ST(X, 2); }
THREAD(write_xy)	{ ST(X, 1); ST(Y, 1); }
THREAD(read_xx)		{ LD(0, X); LD(1, X); }
THREAD(read_xy)		{ LD(0, X); LD(1, Y); }
THREAD(read_yx)		{ LD(0, Y); LD(1, X); }
THREAD(sb_xy)		{ ST(X, 1); LD(0, Y); }
THREAD(sb_yx)		{ ST(Y, 1); LD(0, X); }
THREAD(sb_fence_xy)	{ ST(X, 1); FENCE(); LD(0, Y); }
THREAD(sb_fence_yx)	{ ST(Y, 1); FENCE(); LD(0, X); }
THREAD(sb_xchg_xy)	{ XCHG(X, 1); LD(0, Y); }
THREAD(sb_xchg_yx)	{ XCHG(Y, 1); LD(0, X); }
THREAD(lb_xy)		{ LD(0, X); ST(Y, 1); }
THREAD(lb_yx)		{ LD(0, Y); ST(X, 1); }
THREAD(w22_xy)		{ ST(X, 1); ST(Y, 2); }
THREAD(w22_yx)		{ ST(Y, 1); ST(X, 2); }

static bool bad_mp(const struct outcome *o)
{
	return o->r[1][0] == 1 && o->r[1][1] == 0;
}

static bool bad_sb(const struct outcome *o)
{
	return o->r[0][0] == 0 && o->r[1][0] == 0;
}

static bool bad_lb(const struct outcome *o)
{
	return o->r[0][0] == 1 && o->r[1][0] == 1;
}

static bool bad_iriw(const struct outcome *o)
{
	return o->r[2][0] == 1 && o->r[2][1] == 0 && o->r[3][0] == 1 && o->r[3][1] == 0;
}

static bool bad_wrc(const struct outcome *o)
{
	return o->r[1][0] == 1 && o->r[2][0] == 1 && o->r[2][1] == 0;
}

static bool bad_corr(const struct outcome *o)
{
	return o->r[1][0] > o->r[1][1];
}

static bool bad_coww(const struct outcome *o)
{
	return o->v[0] != 2 || o->r[1][0] > o->r[1][1];
}

static bool bad_2_2w(const struct outcome *o)
{
	return o->v[0] == 1 && o->v[1] == 1;
}

static const struct litmus litmus_tests[] = {
	{ "MP", 2, 2, { 0, 2 }, { write_xy, read_yx }, bad_mp, false,
	  "who sees a message sees what was written before it" },
	{ "SB", 2, 2, { 1, 1 }, { sb_xy, sb_yx }, bad_sb, true,
	  "stores wait in the CPU's store buffer: weak, as between threads" },
	{ "SB+fence", 2, 2, { 1, 1 }, { sb_fence_xy, sb_fence_yx }, bad_sb, false,
	  "a fence completes them" },
	{ "SB+xchg", 2, 2, { 1, 1 }, { sb_xchg_xy, sb_xchg_yx }, bad_sb, false,
	  "so does an atomic exchange" },
	{ "LB", 2, 2, { 1, 1 }, { lb_xy, lb_yx }, bad_lb, false,
	  "nothing is read before it is written" },
	{ "IRIW", 4, 2, { 0, 0, 2, 2 }, { write_x, write_y, read_xy, read_yx }, bad_iriw, false,
	  "two readers see two writes in one order" },
	{ "WRC", 3, 2, { 0, 1, 2 }, { write_x, lb_xy, read_yx }, bad_wrc, false,
	  "what is passed on has been seen by all" },
	{ "CoRR", 2, 1, { 0, 2 }, { write_x, read_xx }, bad_corr, false,
	  "a variable does not go back" },
	{ "CoWW", 2, 1, { 0, 2 }, { write_xx, read_xx }, bad_coww, false,
	  "two stores of a thread are not turned round" },
	{ "2+2W", 2, 2, { 0, 0 }, { w22_xy, w22_yx }, bad_2_2w, false,
	  "two writers of two variables: somebody is last" },
};

#define NR_TESTS	(sizeof(litmus_tests) / sizeof(litmus_tests[0]))

#endif /* _COHERENCE_LITMUS_TESTS_H */

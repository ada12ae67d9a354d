// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is not coherent, for the proof that litmus finds that. It is broken in
 * one of the ways in which a protocol could be:
 *
 * order	accesses of a thread take effect in any order (an answer is
 *		not waited for)
 * stale	a read may give what was there when the variable was read before (an
 *		invalidation was lost)
 * lost		a write may be overwritten by what was there before (a write-back of
 *		somebody who is not the owner any more)
 * late		after a pass, a worker may still see what was there before it
 */
#include <sched.h>
#include <stdbool.h>
#include <string.h>

#include "shared.h"
#include "litmus_access.h"

#define MAX_OPS		4
#define CACHE		65536	/* stale values, by cache line */

static struct op {
	uint64_t *reg;		/* NULL: a store */
	uint64_t *p;
	uint64_t v;
} ops[MAX_OPS];
static int nr_ops;
static struct {
	uint64_t *p;
	uint64_t v;
} cache[CACHE];

void broken_store(uint64_t *p, uint64_t v)
{
	ops[nr_ops++] = (struct op){ .p = p, .v = v };
}

void broken_load(uint64_t *reg, uint64_t *p)
{
	ops[nr_ops++] = (struct op){ .reg = reg, .p = p };
}

/* So that others come between, even if they have to share a CPU with this one */
static void delay(uint64_t *seed)
{
	uint64_t n = rnd(seed) % 2000;

	if (n % 2)
		sched_yield();
	for (; n; n--)
		__asm__ volatile("" ::: "memory");
}

static uint64_t load(const char *how, uint64_t *p, uint64_t *seed)
{
	uint64_t v = __atomic_load_n(p, __ATOMIC_SEQ_CST), old;
	unsigned int i = (uintptr_t)p / LINE % CACHE;
	bool known = cache[i].p == p;

	old = cache[i].v;
	cache[i].p = p;
	cache[i].v = v;
	return known && !strcmp(how, "stale") && rnd(seed) % 4 == 0 ? old : v;
}

static void store(const char *how, uint64_t *p, uint64_t v, uint64_t *seed)
{
	uint64_t old = __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);

	if (!strcmp(how, "lost") && rnd(seed) % 8 == 0) {
		delay(seed);
		__atomic_store_n(p, old, __ATOMIC_SEQ_CST);
	}
}

void broken_run(const char *how, uint64_t *seed)
{
	while (nr_ops) {
		int i = !strcmp(how, "order") ? rnd(seed) % nr_ops : 0;
		struct op op = ops[i];

		memmove(&ops[i], &ops[i + 1], (--nr_ops - i) * sizeof(op));
		if (op.reg)
			*op.reg = load(how, op.p, seed);
		else
			store(how, op.p, op.v, seed);
		delay(seed);
	}
}

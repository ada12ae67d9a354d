// SPDX-License-Identifier: GPL-2.0
/*
 * Is the checker right? On small random histories it has to agree with one that tries
 * all orders (Wing and Gong 1993); in large recorded ones it has to find stale reads
 * that are planted there.
 */
#include <string.h>

#include "history.h"
#include "shared.h"

#define MAX_SMALL	8

static bool precedes(const struct op *a, const struct op *b)
{
	return a->known && (a->resp < b->inv || (a->proc == b->proc && a->seq < b->seq));
}

/* All orders of what is not in @done, from a cell that holds @v */
static bool try_all(const struct op *ops, int nr, unsigned int done, uint64_t v)
{
	bool all = true;

	for (int i = 0; i < nr; i++) {
		bool first = true;

		if (done & 1 << i)
			continue;
		/* What failed need not have happened */
		all = all && !ops[i].known;
		for (int j = 0; j < nr; j++)
			if (j != i && !(done & 1 << j) && precedes(&ops[j], &ops[i]))
				first = false;
		if (!first)
			continue;
		/* A failed compare and exchange may have found anything, and left it */
		if (ops[i].kind != OP_WRITE && ops[i].reads != v)
			continue;
		if (try_all(ops, nr, done | 1 << i, ops[i].kind == OP_READ ? v : ops[i].writes))
			return true;
	}
	return all;
}

/* Some processes at one cell; now and then one is told something else */
static int random_history(struct op *ops, uint64_t *seed)
{
	int64_t end[4] = {};
	uint32_t seq[4] = {}, n = 0;
	uint64_t v = 0, seen[MAX_SMALL + 1] = {};
	int nr = 1 + rnd(seed) % MAX_SMALL, nr_seen = 1;

	for (int i = 0; i < nr; i++) {
		struct op *op = &ops[i];
		int64_t at = 10 * i + 10;

		memset(op, 0, sizeof(*op));
		op->kind = rnd(seed) % 3;
		op->proc = 1 + rnd(seed) % 3;
		op->seq = seq[op->proc]++;
		op->known = rnd(seed) % 5;
		/* It takes effect at @at, and takes some time around it */
		op->inv = at - rnd(seed) % 30;
		if (op->inv < end[op->proc])
			op->inv = end[op->proc];
		op->resp = (op->inv > at ? op->inv : at) + rnd(seed) % 30;
		end[op->proc] = op->resp + 1;
		if (op->kind != OP_READ)
			op->writes = (uint64_t)op->proc << 32 | ++n;
		op->reads = rnd(seed) % 4 ? v : seen[rnd(seed) % nr_seen];
		if (!op->known) {
			op->resp = NEVER;
			if (rnd(seed) % 2)
				continue;
		}
		if (op->kind == OP_WRITE || (op->kind == OP_CAS && op->reads == v))
			v = op->writes;
		seen[nr_seen++] = v;
	}
	return nr;
}

/**
 * check_self() - compare the checker with one that tries all orders
 * @seed: of the histories
 * @rounds: how many
 *
 * Return: 0, or 1 if the two disagree.
 */
int check_self(uint64_t seed, uint64_t rounds)
{
	uint64_t good = 0;

	for (uint64_t i = 0; i < rounds; i++) {
		struct proc procs[3] = { { .id = 1, .ended = true }, { .id = 2, .ended = true },
					 { .id = 3, .ended = true } };
		struct history h = { .procs = procs, .nr_procs = 3 };
		uint64_t state = seed + i;
		struct op ops[MAX_SMALL];
		int nr = random_history(ops, &state);
		bool is = try_all(ops, nr, 0, 0);

		good += is;
		if (is == !check_word(&h, ops, nr, true, NULL, NULL))
			continue;
		printf("# seed %llu: %s, says who tries all orders; the checker does not agree\n",
		       (unsigned long long)(seed + i), is ? "linearizable" : "not linearizable");
		check_word(&h, ops, nr, false, NULL, NULL);
		for (int j = 0; j < nr; j++)
			printf("#   %s: process %u.%u %c %#llx %#llx %lld..%lld\n",
			       ops[j].known ? "known" : "unknown", ops[j].proc, ops[j].seq,
			       "rwc"[ops[j].kind],
			       (unsigned long long)ops[j].reads,
			       (unsigned long long)ops[j].writes,
			       (long long)ops[j].inv, (long long)ops[j].resp);
		return 1;
	}
	printf("%llu histories of up to %d operations, %llu of them linearizable: agreed\n",
	       (unsigned long long)rounds, MAX_SMALL, (unsigned long long)good);
	return 0;
}

/* The value that the word had @late writes before it had @v; v if there is none */
static uint64_t earlier(const uint64_t *order, size_t nr, uint64_t v, size_t late)
{
	for (size_t i = late; i < nr; i++)
		if (order[i] == v)
			return order[i - late];
	return v;
}

/**
 * check_plant() - put stale reads into a history, one at a time, and see them found
 * @h: a history that is linearizable; sorted by word
 * @seed: which reads
 * @count: how many, for each of several ages
 *
 * An age is in writes of the word: a read that is one write late may be
 * indistinguishable from a read that was early enough, one that is 20 late should not
 * be. The figures say how sharp the checker's eyes are with this history and its
 * clocks.
 *
 * Return: 0 if at least nine of ten of the oldest ones were found.
 */
int check_plant(struct history *h, uint64_t seed, unsigned int count)
{
	static const size_t ages[] = { 1, 2, 5, 20 };
	uint64_t *order = malloc((2 * h->nr_ops + 1) * sizeof(*order));
	unsigned int oldest = 0, oldest_found = 0;

	if (!order)
		die("no memory");
	printf("stale reads found, of %u each:", count);
	for (unsigned int a = 0; a < sizeof(ages) / sizeof(ages[0]); a++) {
		unsigned int planted = 0, found = 0;

		for (unsigned int i = 0; i < 50 * count && planted < count && h->nr_ops; i++) {
			size_t at = rnd(&seed) % h->nr_ops, start = at, end = at, nr;
			struct op *op = &h->ops[at];
			uint64_t old = op->reads;

			if (op->kind != OP_READ || !op->known)
				continue;
			while (start && h->ops[start - 1].word == op->word)
				start--;
			while (end < h->nr_ops && h->ops[end].word == op->word)
				end++;
			check_word(h, h->ops + start, end - start, true, order, &nr);
			op->reads = earlier(order, nr, old, ages[a]);
			if (op->reads != old) {
				planted++;
				found += check_word(h, h->ops + start, end - start, true,
						    NULL, NULL);
			}
			op->reads = old;
		}
		printf("%s %u", a ? "," : "", found);
		if (planted < count)
			printf(" of %u", planted);
		printf(" (%zu write%s late)", ages[a], ages[a] > 1 ? "s" : "");
		/* Words that are not written as often have none */
		if (planted * 2 >= count) {
			oldest = planted;
			oldest_found = found;
		}
	}
	printf("\n");
	free(order);
	return oldest && oldest_found * 10 >= oldest * 9 ? 0 : 1;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What must hold, and the bookkeeping in C. Included by rmai.pml.
 */
hidden byte t_from;
hidden byte t_to;
hidden byte t_ev;
hidden byte t_ok;
hidden byte t_ack;

c_decl {
\#include <stdio.h>
\#include <stdlib.h>

struct row {
	int from, ev, to;
	const char *name;
	unsigned long taken;
};

static struct row home_rows[] = {
#define home(from, ev, to, name) { from, ev, to, name, 0 },
#define replica(from, ev, to, name)
#include "table.h"
#undef home
#undef replica
	{ -1 }
};

static struct row replica_rows[] = {
#define home(from, ev, to, name)
#define replica(from, ev, to, name) { from, ev, to, name, 0 },
#include "table.h"
#undef home
#undef replica
	{ -1 }
};

static void taken(struct row *r, const char *who)
{
	for (; r->from >= 0; r++)
		if (r->taken)
			printf("taken: %s %s %lu\n", who, r->name, r->taken);
}

static void report(void)
{
	taken(home_rows, "home");
	taken(replica_rows, "replica");
}

static int step(struct row *r, int from, int ev, int to, const char *who)
{
	static int once;

	if (!once) {
		once = 1;
		atexit(report);
	}
	for (; r->from >= 0; r++) {
		if (r->from == from && r->ev == ev && r->to == to) {
			r->taken++;
			return 1;
		}
	}
#ifndef SEEDED
	printf("why: no such transition: %s %d, event %d -> %d\n", who, from, ev, to);
	return 0;
#else
	return 1;
#endif
}
}

c_code {
static int replica_step(void)
{
	return step(replica_rows, t_from, t_ev, t_to, "replica");
}

static int dir_step(void)
{
	return step(home_rows, t_from, t_ev, t_to, "home");
}

/*
 * Make the numbers in use dense. Only their order counts, and 0 stands for none.
 */
static void norm_seq(unsigned char **seq, int nr)
{
	unsigned char used[256] = { 0 };
	int i, n = 0;

	for (i = 0; i < nr; i++)
		used[*seq[i]] = 1;
	used[0] = 0;
	for (i = 1; i < 256; i++)
		if (used[i])
			used[i] = ++n;
	for (i = 0; i < nr; i++)
		*seq[i] = used[*seq[i]];
}

static void norm(void)
{
	unsigned char *seq[3 + 5 * NR];
	int v, i, n;

	for (v = 0; v < NV; v++) {
		n = 0;
		seq[n++] = &now.dseq[v];
		seq[n++] = &now.tseq[v];
		seq[n++] = &now.gseq[v];
		for (i = v * NR; i < (v + 1) * NR; i++) {
			seq[n++] = &now.rseq[i];
			seq[n++] = &now.iseq[i];
			seq[n++] = &now.rqs[i];
			seq[n++] = &now.oseq[i];
			if (now.rq[i] <= GET_X_HAVE)
				seq[n++] = &now.gs[i];
		}
		norm_seq(seq, n);
	}
}

static int why(const char *what, int nr)
{
	printf("why: %s (%d)\n", what, nr);
	return 1;
}

#ifdef PAUSES
#define GOES_ON(i)	(!now.paused[(i) % NR])
#else
#define GOES_ON(i)	1
#endif

/* May a process of node i load from its replica, or store to it? */
static int can_load(int i)
{
	return now.have[i] && !now.stop[i] && GOES_ON(i) &&
	       (now.rst[i] == RMAI_REPLICA_S || now.rst[i] == RMAI_REPLICA_X ||
		(now.rst[i] == RMAI_REPLICA_FETCH_X));
}

static int can_store(int i)
{
	return now.have[i] && !now.stop[i] && GOES_ON(i) && now.rst[i] == RMAI_REPLICA_X;
}

static int broken(void)
{
	int v, i, loads, stores, out;

	for (v = 0; v < NV; v++) {
		loads = now.hmap[v] >= 1;
		stores = now.hmap[v] == 2;
		out = 0;
		if (now.hmap[v] && now.hval[v] != now.lat[v])
			return why("the home reads stale bytes", v);
		for (i = v * NR; i < (v + 1) * NR; i++) {
			loads += can_load(i);
			stores += can_store(i);
			if (can_load(i) && now.val[i] != now.lat[v])
				return why("a node reads stale bytes", i);
			/* Replicas that the directory does not know */
			if ((can_load(i) || (now.rd[i] && !now.rvoid[i] && GOES_ON(i))) &&
			    !(now.set[v] & (1 << (i - v * NR))))
				out++;
		}
		if (stores > 1 || (stores && loads > 1))
			return why("a writer is not alone", v);
		(void)out;
#ifndef SEEDED
		if (out)
			return why("a replica is not in the directory", v);
#endif
		if ((now.dst[v] == RMAI_DIR_UNUSED || now.dst[v] == RMAI_DIR_SHARED) &&
		    now.hval[v] != now.lat[v])
			return why("an update is lost", v);
	}
	return 0;
}

/* spin takes a call for a side effect */
\#define BROKEN	broken()

#ifdef OPS
static int at_rest(void)
{
	int v, i;

	for (i = 0; i < NI; i++)
		if (now.rq[i] || now.acc[i] || now.inv[i] || now.ack[i] || now.rd[i] || now.wb[i])
			return !why("a node waits for ever", i);
	for (v = 0; v < NV; v++)
		if (now.tt[v])
			return !why("a directory entry waits for ever", v);
#ifdef HOME_OPS
	for (v = 0; v < NV; v++)
		if (now.hacc[v])
			return !why("the home waits for ever", v);
#endif
	return 1;
}
#endif
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Is there an order of all operations in which each word behaves as one memory cell,
 * and which does not turn round operations of which one had ended before the other
 * began, nor those of one process?
 *
 * Linearizability is local (Herlihy and Wing 1990): words are checked one by one. In
 * general that is NP-complete; but here each value is written once, so a read says
 * which write it read from, and it is a matter of sorting (Gibbons and Korach 1997,
 * who do it for intervals; this takes any partial order):
 *
 * - A write and the reads of its value stand together in the order, the write first:
 *   another write in between would take the value away.
 * - A compare and exchange of u for v stands between the reads of u and those of v,
 *   with nothing else around it. So values are linked to chains, and a chain stands
 *   together as well. Two that exchange the same u are wrong at once.
 * - Within a chain the order is given: it must not contradict what precedes what.
 * - Chains can be put in a row if "an operation of this one precedes one of that" has
 *   no cycle. By time, chain U has to stand before V if the first end in U is before
 *   the last beginning in V, so there is no need to look at pairs of operations.
 *
 * An operation that failed may have happened. It has, if its value was seen; then it
 * never ended, as far as time is concerned. If it was not seen, leaving it out is always
 * as good. The same goes for what a killed process has done since its log ends.
 *
 * O(n log n), so a word may have any number of operations.
 */
#include <string.h>

#include "history.h"
#include "shared.h"

#define NONE		UINT32_MAX
#define BEFORE_ALL	(-2)	/* even before -1: "began before the first sample of a clock" */

/* A value of the word, its write, and where it stands */
struct value {
	uint64_t	v;
	const struct op	*write;		/* NULL: initial, or of a log's lost end */
	uint32_t	proc;		/* who wrote it, 0: initial */
	uint32_t	next;		/* the value it was exchanged for */
	uint32_t	from;		/* the value that it was exchanged for */
	uint32_t	chain;
	uint32_t	pos;		/* in it */
};

struct chain {
	int64_t		min_resp, max_inv;
	int64_t		lost_inv;	/* if its first write's log is lost: not before this */
	const struct op	*first_end, *last_begin;	/* NULL: initial, or a lost write */
	uint32_t	prev, next;	/* by min_resp, of those that are left */
	uint32_t	waits;		/* edges from those that are left */
	bool		in_time;	/* no other one that is left has to come before */
	bool		done;
	uint32_t	head;		/* its first value */
};

struct edge {				/* by program order */
	uint32_t	from, to;
	const struct op	*a, *b;
};

struct word {
	const struct history *h;
	struct op	*ops;
	size_t		nr;
	bool		quiet;
	struct value	*values;
	uint32_t	nr_values;
	uint32_t	*hash, mask;	/* of value + 1 */
	struct chain	*chains;
	uint32_t	nr_chains;
	struct edge	*edges;
	uint32_t	nr_edges;
	uint32_t	*edge_start;	/* by chain, into edges */
};

static void *array(size_t nr, size_t size)
{
	void *p = calloc(nr ? nr : 1, size);

	if (!p)
		die("no memory");
	return p;
}

static void print_op(const struct op *op)
{
	static const char * const names[] = { "read", "write", "cmpxchg" };

	if (!op) {
		printf("#     the initial 0, or a write whose log is lost\n");
		return;
	}
	printf("#     process %u, its %u., %s", op->proc, op->seq, names[op->kind]);
	if (op->kind != OP_WRITE)
		printf(" %#llx", (unsigned long long)op->reads);
	if (op->kind == OP_CAS)
		printf(" ->");
	if (op->kind != OP_READ)
		printf(" %#llx", (unsigned long long)op->writes);
	printf(" in %lld..", (long long)op->inv);
	if (op->resp == NEVER)
		printf("?\n");
	else
		printf("%lld\n", (long long)op->resp);
}

static int wrong(struct word *w, const char *what, const struct op *a, const struct op *b)
{
	if (w->quiet)
		return 1;
	printf("# word %llu: %s\n", (unsigned long long)w->ops[0].word, what);
	if (a)
		print_op(a);
	if (b)
		print_op(b);
	return 1;
}

static uint32_t *slot(struct word *w, uint64_t v)
{
	uint32_t i = (v * 0x9e3779b97f4a7c15ULL >> 32) & w->mask;

	while (w->hash[i] && w->values[w->hash[i] - 1].v != v)
		i = (i + 1) & w->mask;
	return &w->hash[i];
}

static uint32_t find(struct word *w, uint64_t v)
{
	return *slot(w, v) - 1;
}

static struct value *add_value(struct word *w, uint64_t v)
{
	struct value *value = &w->values[w->nr_values];

	*slot(w, v) = ++w->nr_values;
	*value = (struct value){ .v = v, .next = NONE, .from = NONE, .chain = NONE };
	return value;
}

static bool happened(const struct op *op)
{
	return op->known || (op->kind != OP_READ && op->seq != NONE);
}

/*
 * What was written: 0, what is known to have succeeded, and what did not but was seen.
 * Operations that are left out get no say: their seq becomes NONE in w's copy.
 */
static int find_values(struct word *w)
{
	uint32_t size = 16, *wanted, nr_wanted = 0;
	struct word maybe = {};

	while (size < 4 * w->nr + 4)
		size *= 2;
	w->mask = size - 1;
	w->hash = array(size, sizeof(*w->hash));
	w->values = array(2 * w->nr + 1, sizeof(*w->values));
	maybe = *w;
	maybe.hash = array(size, sizeof(*w->hash));
	maybe.values = array(w->nr + 1, sizeof(*w->values));
	wanted = array(w->nr, sizeof(*wanted));
	add_value(w, 0);
	for (size_t i = 0; i < w->nr; i++) {
		struct op *op = &w->ops[i];
		struct word *to = op->known ? w : &maybe;
		struct value *v;

		if (op->kind == OP_READ)
			continue;
		if (find(w, op->writes) != NONE || find(&maybe, op->writes) != NONE)
			die("value %#llx is written twice", (unsigned long long)op->writes);
		v = add_value(to, op->writes);
		v->write = op;
		v->proc = op->proc;
	}
	for (size_t i = 0; i < w->nr; i++)
		if (w->ops[i].known && w->ops[i].kind != OP_WRITE)
			wanted[nr_wanted++] = i;
	for (uint32_t i = 0; i < nr_wanted; i++) {
		const struct op *op = &w->ops[wanted[i]];
		const struct proc *p;
		struct value *v;
		uint32_t m;

		if (find(w, op->reads) != NONE)
			continue;
		m = find(&maybe, op->reads);
		if (m != NONE) {
			v = add_value(w, op->reads);
			v->write = maybe.values[m].write;
			v->proc = v->write->proc;
			/* What it exchanged was there, too */
			if (v->write->kind == OP_CAS)
				wanted[nr_wanted++] = v->write - w->ops;
			continue;
		}
		p = history_proc(w->h, op->reads >> 32);
		if (!p || p->ended || (uint32_t)op->reads <= p->last_n)
			return wrong(w, "a value that nobody has written", op, NULL);
		v = add_value(w, op->reads);
		v->proc = p->id;
	}
	/* What was not seen is left out */
	for (size_t i = 0; i < w->nr; i++)
		if (!w->ops[i].known && (w->ops[i].kind == OP_READ ||
					 find(w, w->ops[i].writes) == NONE))
			w->ops[i].seq = NONE;
	free(maybe.hash);
	free(maybe.values);
	free(wanted);
	return 0;
}

static int link_chains(struct word *w)
{
	uint32_t left = w->nr_values;

	for (uint32_t i = 0; i < w->nr_values; i++) {
		const struct op *op = w->values[i].write;
		uint32_t from;

		if (!op || op->kind != OP_CAS)
			continue;
		from = find(w, op->reads);
		if (w->values[from].next != NONE)
			return wrong(w, "two cmpxchg have exchanged the same value", op,
				     w->values[w->values[from].next].write);
		w->values[from].next = i;
		w->values[i].from = from;
	}
	w->chains = array(w->nr_values, sizeof(*w->chains));
	for (uint32_t i = 0; i < w->nr_values; i++) {
		uint32_t pos = 0;

		if (w->values[i].from != NONE)
			continue;
		w->chains[w->nr_chains] = (struct chain){ .min_resp = NEVER, .max_inv = -1,
							  .lost_inv = -1, .head = i };
		for (uint32_t v = i; v != NONE; v = w->values[v].next) {
			w->values[v].chain = w->nr_chains;
			w->values[v].pos = pos++;
			left--;
		}
		w->nr_chains++;
	}
	if (left)
		return wrong(w, "cmpxchg go round in a circle", NULL, NULL);
	return 0;
}

static uint32_t value_of(struct word *w, const struct op *op)
{
	return find(w, op->kind == OP_READ ? op->reads : op->writes);
}

/* Where an operation stands in its chain: reads after the write of their value */
static uint32_t rank(struct word *w, const struct op *op)
{
	return 2 * w->values[value_of(w, op)].pos + (op->kind == OP_READ);
}

static struct word *sorting;

static int by_rank(const void *a, const void *b)
{
	const struct op *x = *(const struct op * const *)a, *y = *(const struct op * const *)b;
	const struct value *v = &sorting->values[value_of(sorting, x)];
	const struct value *u = &sorting->values[value_of(sorting, y)];
	uint32_t i, j;

	if (v->chain != u->chain)
		return v->chain < u->chain ? -1 : 1;
	i = rank(sorting, x);
	j = rank(sorting, y);
	return (i > j) - (i < j);
}

static int by_program(const void *a, const void *b)
{
	const struct op *x = *(const struct op * const *)a, *y = *(const struct op * const *)b;

	if (x->proc != y->proc)
		return x->proc < y->proc ? -1 : 1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* The ends of a chain; and in it, nothing that ended may stand after what began later */
static int check_times(struct word *w, const struct op **ops, size_t nr)
{
	const struct op *latest = NULL, *pending = NULL;
	uint32_t chain = NONE, last_rank = 0;

	for (uint32_t i = 0; i < w->nr_values; i++) {
		struct value *v = &w->values[i];
		struct chain *c = &w->chains[v->chain];

		if (v->write)
			continue;
		/* Initial: before all. Lost: began after what its process has logged. */
		if (!v->proc) {
			c->min_resp = BEFORE_ALL;
		} else {
			c->lost_inv = history_proc(w->h, v->proc)->last_inv;
			c->max_inv = c->lost_inv;
		}
	}
	sorting = w;
	qsort(ops, nr, sizeof(*ops), by_rank);
	for (size_t i = 0; i < nr; i++) {
		const struct op *op = ops[i];
		struct value *v = &w->values[value_of(w, op)];
		struct chain *c = &w->chains[v->chain];

		if (v->chain != chain || rank(w, op) != last_rank) {
			if (v->chain != chain)
				latest = NULL;
			else if (pending && (!latest || pending->inv > latest->inv))
				latest = pending;
			pending = NULL;
		}
		chain = v->chain;
		last_rank = rank(w, op);
		if (!pending || op->inv > pending->inv)
			pending = op;
		if (latest && op->resp < latest->inv)
			return wrong(w, "read or exchanged before it was written", op, latest);
		if (op->resp < c->lost_inv)
			return wrong(w, "read before it was written (log lost)", op, NULL);
		if (op->resp < c->min_resp) {
			c->min_resp = op->resp;
			c->first_end = op;
		}
		if (op->inv > c->max_inv) {
			c->max_inv = op->inv;
			c->last_begin = op;
		}
	}
	return 0;
}

static int by_from(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

/*
 * Program order. What is not known to have ended comes after what its process did
 * before it, and before nothing.
 */
static int find_edges(struct word *w, const struct op **ops, size_t nr)
{
	const struct op *last = NULL;

	qsort(ops, nr, sizeof(*ops), by_program);
	w->edges = array(nr, sizeof(*w->edges));
	for (size_t i = 0; i < nr; i++) {
		const struct op *op = ops[i];

		if (last && last->proc == op->proc) {
			uint32_t from = w->values[value_of(w, last)].chain;
			uint32_t to = w->values[value_of(w, op)].chain;

			if (from != to) {
				w->edges[w->nr_edges++] = (struct edge){ from, to, last, op };
				w->chains[to].waits++;
			} else if (rank(w, op) < rank(w, last)) {
				return wrong(w, "a process has seen it go back", last, op);
			}
		}
		if (op->known)
			last = op;
	}
	qsort(w->edges, w->nr_edges, sizeof(*w->edges), by_from);
	w->edge_start = array(w->nr_chains + 1, sizeof(*w->edge_start));
	for (uint32_t e = 0, c = 0; c <= w->nr_chains; c++) {
		while (e < w->nr_edges && w->edges[e].from < c)
			e++;
		w->edge_start[c] = e;
	}
	return 0;
}

/* A chain that is left and has to come before @c, and why */
static uint32_t before(struct word *w, uint32_t c, uint32_t first, struct edge *why)
{
	uint32_t u = first == c ? w->chains[first].next : first;

	if (u != NONE && w->chains[u].min_resp < w->chains[c].max_inv) {
		*why = (struct edge){ u, c, w->chains[u].first_end, w->chains[c].last_begin };
		return u;
	}
	for (uint32_t e = 0; e < w->nr_edges; e++) {
		if (w->edges[e].to == c && !w->chains[w->edges[e].from].done) {
			*why = w->edges[e];
			return w->edges[e].from;
		}
	}
	return NONE;
}

static int print_cycle(struct word *w, uint32_t first)
{
	bool *seen = array(w->nr_chains, sizeof(*seen));
	uint32_t c = first, from;
	struct edge why;

	if (w->quiet) {
		free(seen);
		return 1;
	}
	while (!seen[c]) {
		seen[c] = true;
		c = before(w, c, first, &why);
	}
	wrong(w, "stale: each of these has to come before the next, the last before the first",
	      NULL, NULL);
	from = c;
	do {
		c = before(w, c, first, &why);
		print_op(why.b);
		printf("#       comes after, by %s\n",
		       why.a && why.b && why.a->proc == why.b->proc ? "program order" : "time");
		print_op(why.a);
	} while (c != from);
	free(seen);
	return 1;
}

static struct chain *sorting_chains;

static int by_resp(const void *a, const void *b)
{
	int64_t x = sorting_chains[*(const uint32_t *)a].min_resp;
	int64_t y = sorting_chains[*(const uint32_t *)b].min_resp;

	return (x > y) - (x < y);
}

static int by_inv(const void *a, const void *b)
{
	int64_t x = sorting_chains[*(const uint32_t *)a].max_inv;
	int64_t y = sorting_chains[*(const uint32_t *)b].max_inv;

	return (x > y) - (x < y);
}

/* Kahn's topological sort; chains that have to wait by time are found by two sorted lists */
static int sort_chains(struct word *w, uint64_t *order, size_t *nr_order)
{
	uint32_t *list = array(w->nr_chains, sizeof(*list)), nr_ready = 0, looked = 0;
	uint32_t *ready = array(w->nr_chains, sizeof(*ready)), first, rc = 0;

	sorting_chains = w->chains;
	for (uint32_t c = 0; c < w->nr_chains; c++)
		list[c] = c;
	qsort(list, w->nr_chains, sizeof(*list), by_resp);
	for (uint32_t i = 0; i < w->nr_chains; i++) {
		w->chains[list[i]].prev = i ? list[i - 1] : NONE;
		w->chains[list[i]].next = i + 1 < w->nr_chains ? list[i + 1] : NONE;
	}
	first = list[0];
	qsort(list, w->nr_chains, sizeof(*list), by_inv);
	while (first != NONE) {
		struct chain *f = &w->chains[first], *c;
		uint32_t n;

		for (; looked < w->nr_chains; looked++) {
			c = &w->chains[list[looked]];
			if (c->max_inv > f->min_resp)
				break;
			if (c->in_time)
				continue;
			c->in_time = true;
			if (!c->waits)
				ready[nr_ready++] = list[looked];
		}
		/* The first one to end waits for the others only */
		if (!f->in_time && (f->next == NONE ||
				    f->max_inv <= w->chains[f->next].min_resp)) {
			f->in_time = true;
			if (!f->waits)
				ready[nr_ready++] = first;
		}
		if (!nr_ready) {
			rc = print_cycle(w, first);
			break;
		}
		n = ready[--nr_ready];
		c = &w->chains[n];
		c->done = true;
		if (c->prev != NONE)
			w->chains[c->prev].next = c->next;
		else
			first = c->next;
		if (c->next != NONE)
			w->chains[c->next].prev = c->prev;
		for (uint32_t e = w->edge_start[n]; e < w->edge_start[n + 1]; e++) {
			struct chain *to = &w->chains[w->edges[e].to];

			if (!--to->waits && to->in_time)
				ready[nr_ready++] = w->edges[e].to;
		}
		for (uint32_t v = c->head; order && v != NONE; v = w->values[v].next)
			order[(*nr_order)++] = w->values[v].v;
	}
	free(list);
	free(ready);
	return rc;
}

/**
 * check_word() - check the operations of one word
 * @h: whose processes these are
 * @all: the operations, in any order
 * @nr: how many
 * @quiet: do not print what is wrong
 * @order: NULL, or room for @nr + 1 values: an order in which the word may have had them
 * @nr_order: NULL, or how many these are
 *
 * Return: 0 if they are linearizable, else 1.
 */
int check_word(const struct history *h, struct op *all, size_t nr, bool quiet,
	       uint64_t *order, size_t *nr_order)
{
	struct op *ops = array(nr, sizeof(*ops));
	struct word w = { .h = h, .ops = ops, .nr = nr, .quiet = quiet };
	const struct op **list = array(nr, sizeof(*list));
	size_t nr_list = 0;
	int rc;

	memcpy(ops, all, nr * sizeof(*ops));
	if (nr_order)
		*nr_order = 0;
	rc = find_values(&w);
	if (!rc)
		rc = link_chains(&w);
	for (size_t i = 0; i < nr && !rc; i++)
		if (happened(&ops[i]))
			list[nr_list++] = &ops[i];
	if (!rc)
		rc = check_times(&w, list, nr_list);
	if (!rc)
		rc = find_edges(&w, list, nr_list);
	if (!rc)
		rc = sort_chains(&w, order, nr_order);
	free(w.hash);
	free(w.values);
	free(w.chains);
	free(w.edges);
	free(w.edge_start);
	free(list);
	free(ops);
	return rc;
}

static int by_word(const void *a, const void *b)
{
	const struct op *x = a, *y = b;

	if (x->word != y->word)
		return x->word < y->word ? -1 : 1;
	if (x->proc != y->proc)
		return x->proc < y->proc ? -1 : 1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

/**
 * check_history() - check all words
 * @h: the history; its operations are sorted by word
 * @quiet: do not print what is wrong
 *
 * Return: words that are wrong.
 */
int check_history(struct history *h, bool quiet)
{
	int bad = 0;

	qsort(h->ops, h->nr_ops, sizeof(*h->ops), by_word);
	for (size_t i = 0, n; i < h->nr_ops; i += n) {
		for (n = 1; i + n < h->nr_ops && h->ops[i + n].word == h->ops[i].word; n++)
			;
		bad += check_word(h, &h->ops[i], n, quiet || bad >= 5, NULL, NULL);
	}
	return bad;
}

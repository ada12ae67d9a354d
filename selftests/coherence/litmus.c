// SPDX-License-Identifier: GPL-2.0
/*
 * litmus: what can be seen of writes by others, and in which order? See usage() and
 * litmus_tests.h.
 *
 * A round is one run of a test on variables of its own. Workers do many rounds between
 * two barriers (a pass): each in the same order, and at about the same time, for they
 * aim at a time for each round that follows from how long the last pass took. (Where a
 * miss is cheap, on one machine, that is not near enough: --in-step has them meet before
 * each round; where there are to be many rounds, --period bounds what each may take, and so
 * how often a VMR moves.) Roles go round: in pass p worker w is thread (w + p) % workers of the
 * test, so that all nodes are writers and readers of the same VMRs. If a test has more
 * threads than there are workers, a worker is several of them, one after the other.
 *
 * Registers, and what each worker finds in the variables after the pass, go into the
 * shared file, where worker 0 reads them, after a barrier, and counts outcomes. An
 * "old" value has to be the one that was there at the end of the pass before, for all
 * workers have seen that: anything else is a replica that should have been dropped.
 */
#include <string.h>

#include "shared.h"
#include "litmus_tests.h"

#define MAX_KINDS	64	/* of outcomes of a test */
#define NAP_NS		200000	/* more than that is slept through */
#define STALE		9	/* no value that a variable may have */

static uint64_t nr_rounds = 1000, nr_pass, nr_pack, max_period_ns = UINT64_MAX;
static const char *only, *layout;
static const char *broken = "";
static bool quiet, in_step;

/* What a worker has seen of a round */
struct seen {
	uint64_t	reg[MAX_THREADS][MAX_REGS];
	uint64_t	end[MAX_VARS];
};

struct report {
	uint64_t	busy_ns;	/* of the last pass */
	struct seen	seen[];
};

struct run {
	struct shared	*s;
	uint64_t	sense;
	uint64_t	seed;		/* differs between workers */
	uint64_t	base;		/* grows by 4 with each pass of any test */
	uint64_t	period_ns;	/* between rounds */
	uint64_t	*last;		/* by round and variable, 0: not known */
	struct seen	**all;		/* worker 0's copies */
	unsigned int	failed, nr;
};

struct histogram {
	struct outcome	o[MAX_KINDS];
	uint64_t	count[MAX_KINDS];
	int		nr;
	uint64_t	rounds, bad, stale, split;
};

static struct report *report_of(struct run *run, unsigned int worker)
{
	uint64_t bytes = sizeof(struct report) + nr_pass * sizeof(struct seen);
	struct shared *s = run->s;

	return (struct report *)(s->base + s->size - (worker + 1) * shared_vmrs(s, bytes) * s->vmr);
}

/* Same: the variables of a round share a VMR, but no cache line. Split: they do not. */
static uint64_t *variable(struct run *run, bool split, uint64_t i, int k)
{
	uint64_t vmr = 1 + i / nr_pack * (split ? MAX_VARS : 1) + (split ? k : 0);
	uint64_t line = i % nr_pack * MAX_VARS + k;

	return (uint64_t *)(run->s->base + vmr * run->s->vmr + line * LINE);
}

/* When each round is to begin, for all at about the same time */
static void pace(struct run *run, uint64_t start, uint64_t i)
{
	uint64_t when = start + i * run->period_ns, now = now_ns();
	struct timespec ts = {};

	if (run->period_ns > 1000)
		when += rnd(&run->seed) % run->period_ns;
	/* The CPU is better used by the fabric, and by other guests */
	if (when > now + NAP_NS) {
		ts.tv_nsec = (when - now - NAP_NS / 2) % 1000000000;
		ts.tv_sec = (when - now - NAP_NS / 2) / 1000000000;
		nanosleep(&ts, NULL);
	}
	while (now_ns() < when)
		;
}

/* Nobody begins a round before all others do; then each waits for a moment */
static void meet(struct run *run, uint64_t i)
{
	uint64_t at = run->base * nr_pass + i + 1;
	struct shared *s = run->s;
	unsigned int spins = 0;

	__atomic_store_n(shared_word(s, s->worker), at, __ATOMIC_SEQ_CST);
	for (unsigned int w = 0; w < s->workers; w++)
		while (__atomic_load_n(shared_word(s, w), __ATOMIC_ACQUIRE) < at)
			shared_wait(s, &spins, "a round");
	for (uint64_t n = rnd(&run->seed) % 128; n; n--)
		__asm__ volatile("" ::: "memory");
}

static void one_round(struct run *run, const struct litmus *t, struct round *r, uint64_t pass,
		      struct seen *seen)
{
	unsigned int n = run->s->workers, w = (run->s->worker + pass) % n;

	for (int th = w; th < t->nr_threads; th += n) {
		t->thread[th](r);
#ifdef LITMUS_BROKEN
		broken_run(broken, &run->seed);
#endif
		memcpy(seen->reg[th], r->reg, sizeof(r->reg));
		/* The next thread must not see this one's stores before others do */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
}

static uint64_t one_pass(struct run *run, const struct litmus *t, bool split, uint64_t pass,
			 struct seen *seen)
{
	uint64_t start = now_ns(), busy = 0;
	struct round r = { .base = run->base };

	for (uint64_t i = 0; i < nr_pass; i++) {
		uint64_t begin;

		for (int k = 0; k < t->nr_vars; k++)
			r.var[k] = variable(run, split, i, k);
		if (in_step)
			meet(run, i);
		else if (run->period_ns)
			pace(run, start, i);
		begin = now_ns();
		one_round(run, t, &r, pass, &seen[i]);
		busy += now_ns() - begin;
	}
	return busy;
}

static void look(struct run *run, const struct litmus *t, bool split, struct seen *seen)
{
	struct round round = { .base = 0 }, *r = &round;

	for (uint64_t i = 0; i < nr_pass; i++) {
		for (int k = 0; k < t->nr_vars; k++) {
			LD(0, variable(run, split, i, k));
#ifdef LITMUS_BROKEN
			broken_run(strcmp(broken, "late") ? "" : "stale", &run->seed);
#endif
			seen[i].end[k] = r->reg[0];
		}
	}
}

/* A value as tests know it */
static int known(struct run *run, uint64_t v, uint64_t last)
{
	if (v > run->base && v <= run->base + 2)
		return v - run->base;
	if (v == last || (!last && v <= run->base))
		return 0;
	return STALE;
}

static bool is_stale(const struct litmus *t, const struct outcome *o)
{
	for (int th = 0; th < t->nr_threads; th++)
		for (int i = 0; i < t->nr_regs[th]; i++)
			if (o->r[th][i] == STALE)
				return true;
	for (int k = 0; k < t->nr_vars; k++)
		if (o->v[k] == STALE || !o->v[k])	/* every variable is written */
			return true;
	return false;
}

static void count_round(struct run *run, const struct litmus *t, uint64_t pass, uint64_t i,
			struct histogram *h)
{
	unsigned int n = run->s->workers;
	struct outcome o = {};
	int kind;

	for (int th = 0; th < t->nr_threads; th++) {
		/* Who was it? (w + pass) % n == th % n */
		unsigned int w = (th % n + n - pass % n) % n;

		for (int j = 0; j < t->nr_regs[th]; j++) {
			uint64_t *last = run->last + i * MAX_VARS;
			uint64_t v = run->all[w][i].reg[th][j];

			/* Old is old, of whichever variable it is */
			o.r[th][j] = known(run, v, last[0]);
			if (o.r[th][j] == STALE)
				o.r[th][j] = known(run, v, last[1]);
		}
	}
	for (int k = 0; k < t->nr_vars; k++) {
		uint64_t end = run->all[0][i].end[k];

		o.v[k] = known(run, end, 0);
		run->last[i * MAX_VARS + k] = end;
		for (unsigned int w = 1; w < n; w++)
			if (run->all[w][i].end[k] != end)
				h->split++;
	}
	if (t->nr_vars < MAX_VARS)
		run->last[i * MAX_VARS + 1] = run->last[i * MAX_VARS];
	for (kind = 0; kind < h->nr; kind++)
		if (!memcmp(&h->o[kind], &o, sizeof(o)))
			break;
	if (kind == h->nr && h->nr < MAX_KINDS)
		h->o[h->nr++] = o;
	if (kind < MAX_KINDS)
		h->count[kind]++;
	h->rounds++;
	if (is_stale(t, &o))
		h->stale++;
	else if (t->bad(&o))
		h->bad++;
}

static void print_outcome(const struct litmus *t, const struct outcome *o, uint64_t count)
{
	printf("#   ");
	for (int th = 0; th < t->nr_threads; th++)
		for (int i = 0; i < t->nr_regs[th]; i++)
			printf("%d:r%d=%d ", th, i, o->r[th][i]);
	for (int k = 0; k < t->nr_vars; k++)
		printf("%c=%d ", "xy"[k], o->v[k]);
	printf("%12llu%s\n", (unsigned long long)count,
	       is_stale(t, o) ? "  NEITHER OLD NOR NEW" :
	       !t->bad(o) ? "" : t->weak ? "  weak" : "  FORBIDDEN");
}

static void print_result(struct run *run, const struct litmus *t, bool split,
			 const struct histogram *h)
{
	bool ok = !h->stale && !h->split && (t->weak || !h->bad);

	run->failed += !ok;
	for (int i = 0; i < h->nr && !(ok && quiet); i++)
		print_outcome(t, &h->o[i], h->count[i]);
	printf("%sok %u %s, %s: %llu rounds by %u workers, %llu ", ok ? "" : "not ", ++run->nr,
	       t->name, split ? "VMRs of their own" : "one VMR", (unsigned long long)h->rounds,
	       run->s->workers, (unsigned long long)h->bad);
	printf(t->weak ? "weak (allowed)" : "forbidden");
	if (h->stale || h->split)
		printf(", %llu with old bytes, %llu seen differently in the end",
		       (unsigned long long)h->stale, (unsigned long long)h->split);
	printf("; %s\n", t->what);
	fflush(stdout);
}

static void run_test(struct run *run, const struct litmus *t, bool split)
{
	struct shared *s = run->s;
	struct report *mine = report_of(run, s->worker);
	size_t bytes = nr_pass * sizeof(struct seen);
	struct seen *seen = calloc(1, bytes);
	struct histogram h = {};

	if (!seen)
		die("no memory");
	memset(run->last, 0, nr_pass * MAX_VARS * sizeof(*run->last));
	for (uint64_t pass = 0; pass * nr_pass < nr_rounds; pass++) {
		uint64_t busy, max = 0;

		run->base += 4;
		shared_barrier(s, &run->sense, s->workers);
		busy = one_pass(run, t, split, pass, seen);
		shared_barrier(s, &run->sense, s->workers);
		look(run, t, split, seen);
		mine->busy_ns = busy;
		memcpy(mine->seen, seen, bytes);
		shared_barrier(s, &run->sense, s->workers);
		for (unsigned int w = 0; w < s->workers; w++) {
			struct report *r = report_of(run, w);

			if (r->busy_ns > max)
				max = r->busy_ns;
			if (!s->worker)
				memcpy(run->all[w], r->seen, bytes);
		}
		/* Time enough to catch up: who is always late is always second */
		run->period_ns = 2 * max / nr_pass;
		if (run->period_ns > max_period_ns)
			run->period_ns = max_period_ns;
		for (uint64_t i = 0; i < nr_pass && !s->worker; i++)
			count_round(run, t, pass, i, &h);
	}
	if (!s->worker)
		print_result(run, t, split, &h);
	free(seen);
}

static bool wanted(const char *name)
{
	size_t len = strlen(name);

	for (const char *p = only; p; p = strchr(p, ',')) {
		if (*p == ',')
			p++;
		if (!strncmp(p, name, len) && (!p[len] || p[len] == ','))
			return true;
	}
	return !only;
}

static int work(struct shared *s)
{
	struct run run = { .s = s, .seed = s->seed + s->worker };

	shared_open(s);
	run.last = calloc(nr_pass * MAX_VARS, sizeof(*run.last));
	run.all = calloc(s->workers, sizeof(*run.all));
	if (!run.last || !run.all)
		die("no memory");
	for (unsigned int w = 0; w < s->workers; w++) {
		run.all[w] = malloc(nr_pass * sizeof(struct seen));
		if (!run.all[w])
			die("no memory");
	}
	for (unsigned int i = 0; i < NR_TESTS; i++) {
		if (!wanted(litmus_tests[i].name))
			continue;
		if (!layout || !strcmp(layout, "same"))
			run_test(&run, &litmus_tests[i], false);
		if ((!layout || !strcmp(layout, "split")) && litmus_tests[i].nr_vars > 1)
			run_test(&run, &litmus_tests[i], true);
	}
	if (s->worker)
		return 0;
	printf("1..%u\n", run.nr);
	if (!run.nr)
		die("no test of that name");
	return run.failed ? 1 : 0;
}

static void usage(void)
{
	fputs("usage: litmus --file PATH [OPTION...]\n"
	      SHARED_USAGE
	      "  --rounds N      of each test (1000)\n"
	      "  --pass N        rounds between two barriers (50)\n"
	      "  --pack N        rounds that share a VMR (1)\n"
	      "  --period US     at most, between two rounds of a pass (as long as they need)\n"
	      "  --in-step       workers meet before each round, not only before a pass\n"
	      "  --test A,B...   only these\n"
	      "  --layout L      only same (variables in one VMR) or split\n"
	      "  --quiet         no histogram of what is right\n"
#ifdef LITMUS_BROKEN
	      "  --broken HOW    order, stale, lost or late\n"
#endif
	      "Status: 0, 1 if something forbidden was seen, 2 if it could not be run.\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, 'R' },
		{ "pass", required_argument, NULL, 'P' },
		{ "pack", required_argument, NULL, 'K' },
		{ "period", required_argument, NULL, 'T' },
		{ "in-step", no_argument, NULL, 'E' },
		{ "test", required_argument, NULL, 'O' },
		{ "layout", required_argument, NULL, 'L' },
		{ "quiet", no_argument, NULL, 'Q' },
#ifdef LITMUS_BROKEN
		{ "broken", required_argument, NULL, 'B' },
#endif
		{ }
	};
	struct shared s;
	int c;

	shared_defaults(&s, 2);
	nr_pass = 50;
	nr_pack = 1;
	while ((c = shared_getopt(&s, argc, argv, options)) != -1) {
		switch (c) {
		case 'R':
			nr_rounds = shared_num(optarg);
			break;
		case 'P':
			nr_pass = shared_num(optarg);
			break;
		case 'K':
			nr_pack = shared_num(optarg);
			break;
		case 'T':
			max_period_ns = shared_num(optarg) * 1000;
			break;
		case 'E':
			in_step = true;
			break;
		case 'O':
			only = optarg;
			break;
		case 'L':
			layout = optarg;
			break;
		case 'Q':
			quiet = true;
			break;
		case 'B':
			broken = optarg;
			break;
		default:
			usage();
		}
	}
	if (argc > optind || !nr_rounds || !nr_pass || !nr_pack)
		usage();
	if (layout && strcmp(layout, "same") && strcmp(layout, "split"))
		usage();
	if (nr_pack * MAX_VARS * LINE > s.vmr)
		die("--pack %llu: a VMR of %llu bytes holds %llu rounds",
		    (unsigned long long)nr_pack, (unsigned long long)s.vmr,
		    (unsigned long long)(s.vmr / LINE / MAX_VARS));
	s.size = 1 + (nr_pass + nr_pack - 1) / nr_pack * MAX_VARS;
	s.size += s.workers * shared_vmrs(&s, sizeof(struct report) +
					  nr_pass * sizeof(struct seen));
	s.size *= s.vmr;
	if (!s.alone || !s.worker) {
		printf("TAP version 13\n");
		printf("# seed %llu, VMRs of %llu bytes, passes of %llu rounds%s%s\n",
		       (unsigned long long)s.seed, (unsigned long long)s.vmr,
		       (unsigned long long)nr_pass, *broken ? ", memory broken: " : "", broken);
	}
	return shared_run(&s, work);
}

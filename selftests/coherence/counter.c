// SPDX-License-Identifier: GPL-2.0
/*
 * counter: threads on all nodes count together, in each of the ways in which threads
 * of a program do, and no count may be lost. See usage().
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "shared.h"

static uint64_t nr_counts = 1000, nr_threads = 2;
static bool plain;

/**
 * struct counters - all in one VMR, as they would be in a program
 * @added: by an atomic addition
 * @exchanged: by a loop of compare and exchange
 * @lock: guards @locked
 * @locked: by a plain addition
 * @own: of each thread, by plain additions, several in each cache line
 */
struct counters {
	uint64_t	added;
	uint64_t	exchanged;
	uint64_t	lock;
	uint64_t	locked;
	uint64_t	own[];
};

struct counting {
	pthread_t	thread;
	struct shared	*s;
	unsigned int	nr;	/* among all threads */
	uint64_t	sense;
};

static struct counters *counters(struct shared *s)
{
	return (struct counters *)(s->base + s->vmr);
}

static void add(uint64_t *p)
{
	if (!plain) {
		__atomic_add_fetch(p, 1, __ATOMIC_SEQ_CST);
	} else {
		uint64_t v = __atomic_load_n(p, __ATOMIC_RELAXED);

		/* On one CPU others come between seldom */
		if (v % 64 == 0)
			sched_yield();
		__atomic_store_n(p, v + 1, __ATOMIC_RELAXED);
	}
}

static void exchange(uint64_t *p)
{
	uint64_t v = __atomic_load_n(p, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(p, &v, v + 1, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED))
		;
}

static void count_locked(struct shared *s, struct counters *c)
{
	unsigned int spins = 0;

	while (__atomic_exchange_n(&c->lock, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&c->lock, __ATOMIC_RELAXED))
			shared_wait(s, &spins, "the lock");
	c->locked++;
	__atomic_store_n(&c->lock, 0, __ATOMIC_RELEASE);
}

static void *count(void *arg)
{
	struct counting *me = arg;
	struct counters *c = counters(me->s);

	shared_barrier(me->s, &me->sense, me->s->workers * nr_threads);
	for (uint64_t i = 0; i < nr_counts; i++) {
		add(&c->added);
		exchange(&c->exchanged);
		count_locked(me->s, c);
		__atomic_store_n(&c->own[me->nr], c->own[me->nr] + 1, __ATOMIC_RELAXED);
	}
	shared_barrier(me->s, &me->sense, me->s->workers * nr_threads);
	return NULL;
}

static int compare(const struct shared *s, const char *what, uint64_t is, uint64_t want)
{
	if (is == want)
		return 0;
	printf("# worker %u: %s: %llu, not %llu\n", s->worker, what, (unsigned long long)is,
	       (unsigned long long)want);
	return 1;
}

static int work(struct shared *s)
{
	struct counting *threads = calloc(nr_threads, sizeof(*threads));
	uint64_t all = s->workers * nr_threads * nr_counts, start, own = 0;
	struct counters *c;
	int bad;

	if (!threads)
		die("no memory");
	shared_open(s);
	c = counters(s);
	start = now_ns();
	for (unsigned int i = 0; i < nr_threads; i++) {
		threads[i] = (struct counting){ .s = s, .nr = s->worker * nr_threads + i };
		if (pthread_create(&threads[i].thread, NULL, count, &threads[i]))
			die("no thread");
	}
	for (unsigned int i = 0; i < nr_threads; i++)
		pthread_join(threads[i].thread, NULL);
	for (unsigned int i = 0; i < s->workers * nr_threads; i++)
		own += c->own[i];
	bad = compare(s, "atomic additions", c->added, all);
	bad += compare(s, "compare and exchange", c->exchanged, all);
	bad += compare(s, "under a lock", c->locked, all);
	bad += compare(s, "each thread's own word", own, all);
	if (!s->worker || bad)
		printf("worker %u: %u workers x %llu threads x %llu, 4 ways: %s, %.1f s\n",
		       s->worker, s->workers, (unsigned long long)nr_threads,
		       (unsigned long long)nr_counts, bad ? "counts are lost" : "exact",
		       (now_ns() - start) / 1e9);
	return bad ? 1 : 0;
}

static void usage(void)
{
	fputs("usage: counter --file PATH [OPTION...]\n"
	      SHARED_USAGE
	      "  --threads N     of each worker (2)\n"
	      "  --counts N      of each thread, each way (1000)\n"
	      "  --plain         without atomics: counts are lost\n"
	      "Status: 0 exact, 1 not, 2 could not be run.\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "threads", required_argument, NULL, 'T' },
		{ "counts", required_argument, NULL, 'C' },
		{ "plain", no_argument, NULL, 'P' },
		{ }
	};
	struct shared s;
	int c;

	shared_defaults(&s, 3);
	while ((c = shared_getopt(&s, argc, argv, options)) != -1) {
		switch (c) {
		case 'T':
			nr_threads = shared_num(optarg);
			break;
		case 'C':
			nr_counts = shared_num(optarg);
			break;
		case 'P':
			plain = true;
			break;
		default:
			usage();
		}
	}
	if (argc > optind || !nr_threads)
		usage();
	s.size = s.vmr + shared_vmrs(&s, sizeof(struct counters) +
				     s.workers * nr_threads * sizeof(uint64_t)) * s.vmr;
	return shared_run(&s, work);
}

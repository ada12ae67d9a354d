// SPDX-License-Identifier: GPL-2.0
/*
 * queue: producers and consumers on all nodes share a lock-free queue that was written
 * for the threads of one process (ms_queue.c). All that is different is the allocator:
 * memory comes out of the region, and pointers hold everywhere since it is mapped at
 * one address. Nothing may be lost or come twice, and what a consumer gets of one
 * producer must come in the order in which it was put. See usage().
 *
 *	VMR 1		struct hall
 *	then, for each worker, an arena of elements, and what its consumer got
 */
#include <pthread.h>
#include <string.h>

#include "ms_queue.h"
#include "shared.h"

static uint64_t nr_items = 1000;
static bool use_malloc;

struct hall {
	struct ms_queue queue;
	uint64_t producing;
};

/* What a worker's consumer got, in order */
struct got {
	uint64_t	nr;
	uint64_t	item[];
};

static __thread uint8_t *arena, *arena_end;

static void *arena_alloc(size_t size)
{
	void *p = arena;

	if (use_malloc)
		return malloc(size);
	size = (size + 15) / 16 * 16;
	if (size > (size_t)(arena_end - arena))
		return NULL;
	arena += size;
	return p;
}

static uint64_t arena_size(const struct shared *s)
{
	return shared_vmrs(s, (nr_items + 1) * ((sizeof(struct ms_node) + 15) / 16 * 16)) * s->vmr;
}

static uint64_t got_size(const struct shared *s)
{
	/* One may get all */
	return shared_vmrs(s, sizeof(struct got) + s->workers * nr_items * 8) * s->vmr;
}

static struct hall *hall(struct shared *s)
{
	return (struct hall *)(s->base + s->vmr);
}

static uint64_t place(const struct shared *s, unsigned int worker)
{
	return (1 + shared_vmrs(s, sizeof(struct hall))) * s->vmr +
	       worker * (arena_size(s) + got_size(s));
}

static struct got *got(struct shared *s, unsigned int worker)
{
	return (struct got *)(s->base + place(s, worker) + arena_size(s));
}

struct party {
	pthread_t	thread;
	struct shared	*s;
	unsigned int	worker;
	uint64_t	sense;
};

static void open_arena(const struct party *p)
{
	arena = p->s->base + place(p->s, p->worker);
	arena_end = arena + arena_size(p->s);
}

static unsigned int nr_parties(const struct shared *s)
{
	return 2 * s->workers;
}

static void *produce(void *arg)
{
	struct party *p = arg;
	struct hall *h = hall(p->s);

	open_arena(p);
	if (!p->worker) {
		if (!ms_init(&h->queue, arena_alloc))
			die("no memory");
		h->producing = p->s->workers;
	}
	shared_barrier(p->s, &p->sense, nr_parties(p->s));
	for (uint64_t i = 1; i <= nr_items; i++)
		if (!ms_put(&h->queue, (void *)((p->worker + 1ULL) << 32 | i), arena_alloc))
			die("no memory");
	__atomic_sub_fetch(&h->producing, 1, __ATOMIC_SEQ_CST);
	shared_barrier(p->s, &p->sense, nr_parties(p->s));
	return NULL;
}

static void *consume(void *arg)
{
	struct party *p = arg;
	struct got *mine = got(p->s, p->worker);
	struct hall *h = hall(p->s);
	unsigned int spins = 0;
	uint64_t nr = 0;

	shared_barrier(p->s, &p->sense, nr_parties(p->s));
	for (;;) {
		/* In this order: empty after the last producer has gone is empty for good */
		uint64_t producing = __atomic_load_n(&h->producing, __ATOMIC_SEQ_CST);
		void *item;

		if (ms_get(&h->queue, &item)) {
			/* More than there are, so some came twice */
			if (nr == p->s->workers * nr_items)
				break;
			mine->item[nr++] = (uintptr_t)item;
			spins = 0;
			continue;
		}
		if (!producing)
			break;
		shared_wait(p->s, &spins, "something to consume");
	}
	mine->nr = nr;
	shared_barrier(p->s, &p->sense, nr_parties(p->s));
	return NULL;
}

static int look_at(struct shared *s, const struct got *g, unsigned int consumer, uint8_t *seen)
{
	uint64_t last[s->workers], disorder = 0, twice = 0, strange = 0;

	memset(last, 0, sizeof(last));
	for (uint64_t i = 0; i < g->nr; i++) {
		uint64_t producer = (g->item[i] >> 32) - 1, nr = (uint32_t)g->item[i];

		if (producer >= s->workers || !nr || nr > nr_items) {
			strange++;
			continue;
		}
		disorder += nr <= last[producer];
		last[producer] = nr;
		twice += seen[producer * nr_items + nr - 1]++ > 0;
	}
	if (!disorder && !twice && !strange)
		return 0;
	printf("# consumer %u: %llu came twice, %llu in disorder, %llu were never put\n", consumer,
	       (unsigned long long)twice, (unsigned long long)disorder,
	       (unsigned long long)strange);
	return 1;
}

/* By every worker: all have to find the same */
static int check(struct shared *s, double seconds)
{
	uint8_t *seen = calloc(s->workers, nr_items);
	uint64_t lost = 0, most = 0;
	int bad = 0;

	if (!seen)
		die("no memory");
	for (unsigned int w = 0; w < s->workers; w++) {
		bad += look_at(s, got(s, w), w, seen);
		if (got(s, w)->nr > most)
			most = got(s, w)->nr;
	}
	for (uint64_t i = 0; i < s->workers * nr_items; i++)
		lost += !seen[i];
	if (lost)
		printf("# %llu are lost\n", (unsigned long long)lost);
	bad += lost > 0;
	if (!s->worker || bad)
		printf("worker %u: %u producers x %llu, %u consumers, one got %llu: %s, %.1f s\n",
		       s->worker, s->workers, (unsigned long long)nr_items, s->workers,
		       (unsigned long long)most, bad ? "not a queue" : "right", seconds);
	free(seen);
	return bad ? 1 : 0;
}

/* A producer and a consumer of each of these workers */
static void run(struct shared *s, unsigned int first, unsigned int nr)
{
	struct party *p = calloc(2 * nr, sizeof(*p));

	if (!p)
		die("no memory");
	for (unsigned int i = 0; i < 2 * nr; i++) {
		p[i] = (struct party){ .s = s, .worker = first + i / 2 };
		if (pthread_create(&p[i].thread, NULL, i % 2 ? consume : produce, &p[i]))
			die("no thread");
	}
	for (unsigned int i = 0; i < 2 * nr; i++)
		pthread_join(p[i].thread, NULL);
	free(p);
}

static int work(struct shared *s)
{
	uint64_t start;

	shared_open(s);
	start = now_ns();
	run(s, s->worker, 1);
	return check(s, (now_ns() - start) / 1e9);
}

/* As it was written: threads of one process, and malloc() */
static int work_in_threads(struct shared *s)
{
	uint64_t start = now_ns();

	s->base = calloc(1, s->size);
	if (!s->base)
		die("no memory");
	s->sync = (struct sync *)s->base;
	run(s, 0, s->workers);
	return check(s, (now_ns() - start) / 1e9);
}

static void usage(void)
{
	fputs("usage: queue --file PATH [OPTION...]\n"
	      SHARED_USAGE
	      "  --items N       of each worker's producer (1000)\n"
	      "  --malloc        without a file: workers are threads, and memory is malloc's\n"
	      "Status: 0 right, 1 not, 2 could not be run.\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "items", required_argument, NULL, 'I' },
		{ "malloc", no_argument, NULL, 'M' },
		{ }
	};
	struct shared s;
	int c;

	shared_defaults(&s, 3);
	while ((c = shared_getopt(&s, argc, argv, options)) != -1) {
		switch (c) {
		case 'I':
			nr_items = shared_num(optarg);
			break;
		case 'M':
			use_malloc = true;
			break;
		default:
			usage();
		}
	}
	if (argc > optind || !nr_items)
		usage();
	s.fixed = true;
	s.size = place(&s, s.workers);
	return use_malloc ? work_in_threads(&s) : shared_run(&s, work);
}

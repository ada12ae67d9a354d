// SPDX-License-Identifier: GPL-2.0
/*
 * bench-hits [-t THREADS] [-n ACCESSES] [-z EXPONENT] [-s SEED] [-w SWEEPS] NAME BUDGET
 *
 * Threads pick VMRs of a sealed region by a Zipf distribution, as tokens pick
 * experts, and read a word of each page. Says how many VMRs had to be fetched, beside
 * an exact LRU of the same size on the same trace; the most that was ever resident; and,
 * when in between the whole region is swept over, how much of the hot set survived.
 * BUDGET is what cache_bytes was set to. One line of JSON.
 */
#include <err.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/rmai.h>

#define PAGE	4096UL
#define STATS	"/sys/kernel/mm/rmai/stats/"

static unsigned int threads = 8, sweeps;
static uint64_t accesses = 20000, seed = 1;
static double exponent = 1.5;

static volatile char *region;
static uint64_t vmr_size, vmrs;
static double *cumulated;		/* probability of a rank or a smaller one */
static uint32_t *vmr_of;		/* rank -> VMR: the hot ones are scattered */
static uint32_t *trace;
static atomic_ullong traced;
static atomic_bool done;
static uint64_t most_pages;

static uint64_t next_random(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static void make_distribution(void)
{
	uint64_t s = seed;
	double sum = 0;
	uint64_t i;

	cumulated = calloc(vmrs, sizeof(*cumulated));
	vmr_of = calloc(vmrs, sizeof(*vmr_of));
	if (!cumulated || !vmr_of)
		err(1, "memory");
	for (i = 0; i < vmrs; i++) {
		sum += pow(i + 1, -exponent);
		cumulated[i] = sum;
		vmr_of[i] = i;
	}
	for (i = 0; i < vmrs; i++)
		cumulated[i] /= sum;
	for (i = vmrs - 1; i; i--) {
		uint64_t j = next_random(&s) % (i + 1);
		uint32_t t = vmr_of[i];

		vmr_of[i] = vmr_of[j];
		vmr_of[j] = t;
	}
}

static uint32_t pick(uint64_t *s)
{
	double p = (next_random(s) >> 11) / 9007199254740992.0;
	uint64_t lo = 0, hi = vmrs - 1;

	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;

		if (cumulated[mid] < p)
			lo = mid + 1;
		else
			hi = mid;
	}
	return vmr_of[lo];
}

static void use(uint32_t vmr)
{
	volatile char *p = region + vmr * vmr_size;
	uint64_t off;

	trace[atomic_fetch_add(&traced, 1)] = vmr;
	for (off = 0; off < vmr_size; off += PAGE)
		(void)p[off];
}

static void *infer(void *arg)
{
	uint64_t s = seed + 1 + (uintptr_t)arg, n;

	for (n = 0; n < accesses / threads; n++)
		use(pick(&s));
	return NULL;
}

static long long stat_value(const char *name)
{
	char path[128];
	long long v;
	FILE *f;

	snprintf(path, sizeof(path), STATS "%s", name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lld", &v) != 1)
		err(1, "%s", path);
	fclose(f);
	return v;
}

/* How much is ever resident */
static void *watch(void *arg)
{
	(void)arg;
	while (!atomic_load(&done)) {
		uint64_t pages = stat_value("replica_pages");

		if (pages > most_pages)
			most_pages = pages;
		usleep(500);
	}
	return NULL;
}

/* Share of the hottest VMRs, as many as half of the budget holds, that is all here */
static double hot_resident(uint64_t budget)
{
	uint64_t n = budget / vmr_size / 2, here = 0, i, j;
	unsigned char *map = malloc(vmr_size / PAGE);

	for (i = 0; i < n; i++) {
		char *p = (char *)region + vmr_of[i] * vmr_size;
		bool all = true;

		if (mincore(p, vmr_size, map))
			err(1, "mincore");
		for (j = 0; j < vmr_size / PAGE; j++)
			all = all && (map[j] & 1);
		here += all;
	}
	free(map);
	return (double)here / n;
}

/* Misses of an exact LRU of @room VMRs on the trace */
static uint64_t lru_misses(uint64_t room)
{
	uint64_t *last = calloc(vmrs, sizeof(*last)), n = traced, resident = 0;
	uint64_t misses = 0, i, v;

	if (!last)
		err(1, "memory");
	for (i = 0; i < n; i++) {
		if (!last[trace[i]]) {
			misses++;
			if (resident == room) {
				uint64_t oldest = UINT64_MAX, victim = 0;

				for (v = 0; v < vmrs; v++) {
					if (last[v] && last[v] < oldest) {
						oldest = last[v];
						victim = v;
					}
				}
				last[victim] = 0;
			} else {
				resident++;
			}
		}
		last[trace[i]] = i + 1;
	}
	free(last);
	return misses;
}

static void run_threads(void)
{
	pthread_t *t = calloc(threads, sizeof(*t));
	uintptr_t i;

	for (i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, infer, (void *)(i + seed * 1000)))
			errx(1, "pthread_create");
	for (i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	free(t);
}

int main(int argc, char **argv)
{
	double before = 1, after = 1, kept = 1;
	uint64_t budget, misses, lru, i, k;
	struct rmai_attr attr;
	pthread_t watcher;
	int opt, fd;

	while ((opt = getopt(argc, argv, "t:n:z:s:w:")) != -1) {
		switch (opt) {
		case 't':
			threads = atoi(optarg);
			break;
		case 'n':
			accesses = strtoull(optarg, NULL, 0);
			break;
		case 'z':
			exponent = atof(optarg);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'w':
			sweeps = atoi(optarg);
			break;
		default:
			errx(2, "usage: bench-hits [OPTION...] NAME BUDGET");
		}
	}
	if (argc - optind != 2 || !threads)
		errx(2, "usage: bench-hits [OPTION...] NAME BUDGET");
	if (chdir(getenv("RMAI_MNT") ?: "/rmai"))
		err(1, "/rmai");
	fd = open(argv[optind], O_RDONLY);
	if (fd < 0 || ioctl(fd, RMAI_IOC_GETATTR, &attr))
		err(1, "%s", argv[optind]);
	budget = strtoull(argv[optind + 1], NULL, 0);
	vmr_size = attr.vmr_size;
	vmrs = attr.size / vmr_size;
	region = mmap(NULL, attr.size, PROT_READ, MAP_SHARED, fd, 0);
	if (region == MAP_FAILED)
		err(1, "mmap");
	trace = calloc(accesses * (sweeps + 1) + vmrs * sweeps, sizeof(*trace));
	if (!trace)
		err(1, "memory");
	make_distribution();

	misses = stat_value("fetch_vmrs");
	if (pthread_create(&watcher, NULL, watch, NULL))
		errx(1, "pthread_create");
	run_threads();
	for (k = 0; k < sweeps; k++) {
		before = hot_resident(budget);
		for (i = 0; i < vmrs; i++)
			use(i);
		after = hot_resident(budget);
		if (before && after / before < kept)
			kept = after / before;
		seed++;
		run_threads();
	}
	atomic_store(&done, true);
	pthread_join(watcher, NULL);
	misses = stat_value("fetch_vmrs") - misses;
	lru = lru_misses(budget / vmr_size);
	printf("{ \"accesses\": %llu, \"misses\": %llu, \"lru_misses\": %llu, ",
	       (unsigned long long)traced, (unsigned long long)misses,
	       (unsigned long long)lru);
	printf("\"hit_ratio\": %.5f, \"lru_hit_ratio\": %.5f, \"over_lru\": %.5f, ",
	       1 - (double)misses / traced, 1 - (double)lru / traced,
	       (1 - (double)misses / traced) / (1 - (double)lru / traced));
	printf("\"hot_kept\": %.3f, \"most_pages\": %llu, \"limit_pages\": %llu }\n", kept,
	       (unsigned long long)most_pages,
	       (unsigned long long)((budget + threads * vmr_size) / PAGE));
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * bench-auto [-n COUNT] [-s SECONDS] [-r SEED] PATTERN NAME: uses a region that bench-touch
 * has made, of which nothing is here when it begins, and prints what that cost as one
 * line of JSON. It ends after COUNT uses, or SECONDS, and leaves nothing here: what is left
 * of one region would take from the budget of the next one.
 *
 * sequential: all pages in order; strided: 64 KiB in order of each MiB; zipf: experts of
 * 2 MiB, all of one in order, chosen by a Zipf(1) distribution; random: single pages.
 */
#include <math.h>
#include <stdbool.h>

#include "region.h"

#define KIB	1024ULL
#define MIB	(KIB * KIB)

static struct region r;
static uint64_t count, seed = 1, touched;
static double limit = 4;

static bool touch(uint64_t off, uint64_t len)
{
	uint64_t page;

	for (page = off / PAGE; page < (off + len) / PAGE; page++)
		check_page(&r, page);
	touched += len;
	return true;
}

static uint64_t zipf(uint64_t n)
{
	static double *sum;
	double p;
	uint64_t i;

	if (!sum) {
		sum = calloc(n, sizeof(*sum));
		if (!sum)
			err(1, "memory");
		for (i = 0; i < n; i++)
			sum[i] = (i ? sum[i - 1] : 0) + 1.0 / (i + 1);
	}
	p = (next_random(&seed) >> 11) / 9007199254740992.0 * sum[n - 1];
	for (i = 0; i < n - 1 && sum[i] < p; i++)
		;
	/* The hot ones are scattered */
	return i * 37 % n;
}

/* Use number @i of a pattern; false: there is none */
static bool use(const char *pattern, uint64_t i)
{
	if (!strcmp(pattern, "sequential"))
		return (i + 1) * 64 * KIB <= r.size && touch(i * 64 * KIB, 64 * KIB);
	if (!strcmp(pattern, "strided"))
		return (i + 1) * MIB <= r.size && touch(i * MIB, 64 * KIB);
	if (!strcmp(pattern, "zipf"))
		return touch(zipf(r.size / (2 * MIB)) * 2 * MIB, 2 * MIB);
	if (!strcmp(pattern, "random"))
		return touch(next_random(&seed) % (r.size / PAGE) * PAGE, PAGE);
	errx(2, "no pattern \"%s\"", pattern);
}

static void stat_region(struct rmai_region_stat *st)
{
	if (ioctl(r.fd, RMAI_IOC_STAT, st))
		err(1, "%s: STAT", r.name);
}

int main(int argc, char **argv)
{
	struct rmai_region_stat before, after;
	double begin, seconds;
	uint64_t i;
	int opt;

	count = UINT64_MAX;
	while ((opt = getopt(argc, argv, "n:s:r:")) != -1) {
		switch (opt) {
		case 'n':
			count = strtoull(optarg, NULL, 0);
			break;
		case 's':
			limit = atof(optarg);
			break;
		case 'r':
			seed = strtoull(optarg, NULL, 0);
			break;
		default:
			argc = 0;
		}
	}
	if (argc - optind != 2)
		errx(2, "usage: bench-auto [-n COUNT] [-s SECONDS] [-r SEED] PATTERN NAME");
	enter_mount();
	open_region(&r, argv[optind + 1]);
	make_cold(&r);
	stat_region(&before);
	begin = now();
	for (i = 0; i < count && now() - begin < limit; i++)
		if (!use(argv[optind], i))
			break;
	seconds = now() - begin;
	stat_region(&after);
	make_cold(&r);
	after.fetch_bytes -= before.fetch_bytes;
	after.fault_major -= before.fault_major;
	after.fault_minor -= before.fault_minor;
	after.rdma_reads -= before.rdma_reads;
	after.fault_wait_ns -= before.fault_wait_ns;
	printf("{ \"pattern\": \"%s\", \"vmr_size\": %llu, \"uses\": %llu, \"touched\": %llu, ",
	       argv[optind], (unsigned long long)r.vmr_size, (unsigned long long)i,
	       (unsigned long long)touched);
	printf("\"fetched\": %llu, \"faults\": %llu, \"minor\": %llu, \"reads\": %llu, ",
	       (unsigned long long)after.fetch_bytes, (unsigned long long)after.fault_major,
	       (unsigned long long)after.fault_minor, (unsigned long long)after.rdma_reads);
	printf("\"wait_s\": %.3f, \"fetch_size\": %llu, ", after.fault_wait_ns / 1e9,
	       (unsigned long long)after.fetch_size);
	printf("\"seconds\": %.4f, \"mb_per_s\": %.4f, \"faults_per_mb\": %.4f, ",
	       seconds, touched / seconds / 1e6, after.fault_major / (touched / 1e6));
	printf("\"fetched_over_touched\": %.4f }\n", (double)after.fetch_bytes / touched);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * bench-layers NAME LAYER_BYTES
 *
 * Sweeps over the layers of a sealed region that is larger than cache_bytes, as inference
 * does: reads a word of each page of a layer, then computes. The computing is that of an
 * accelerator: this CPU sleeps meanwhile, for to soft RDMA it is the network adapter. It takes
 * as long in all as to bring the region takes, which is measured by a sweep without
 * computing and without fetching ahead, right before the second of two passes that is
 * timed: once for each way of fetching ahead. One line of JSON.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/rmai.h>

#define PAGE	4096UL

static volatile char *region;
static uint64_t size, layer_bytes;
static double computed;
static struct rmai_region_stat before, after;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void compute(double seconds)
{
	struct timespec t = { seconds, (seconds - (time_t)seconds) * 1e9 };
	double begin = now();

	nanosleep(&t, NULL);
	computed += now() - begin;
}

/* One pass; seconds */
static double sweep(double compute_s)
{
	double begin = now();
	uint64_t off;

	computed = 0;
	for (off = 0; off < size; off += PAGE) {
		(void)region[off];
		if (compute_s && (off + PAGE) % layer_bytes == 0)
			compute(compute_s);
	}
	return now() - begin;
}

static double second_pass(int fd, uint32_t fetch, double compute_s)
{
	struct rmai_attr attr = { .mask = RMAI_ATTR_FETCH, .fetch = fetch };
	double total;

	if (ioctl(fd, RMAI_IOC_SETATTR, &attr))
		err(1, "SETATTR");
	sweep(compute_s);
	if (ioctl(fd, RMAI_IOC_STAT, &before))
		err(1, "STAT");
	total = sweep(compute_s);
	if (ioctl(fd, RMAI_IOC_STAT, &after))
		err(1, "STAT");
	return total;
}

/* Of the second pass, over the larger one of transfer and computing */
static void measure(int fd, const char *name, uint32_t fetch)
{
	double transfer, total;

	transfer = second_pass(fd, 0, 0);
	total = second_pass(fd, fetch, transfer / (size / layer_bytes));
	printf("\"%s_transfer_s\": %.3f, \"%s_compute_s\": %.3f, \"%s_s\": %.3f, \"%s\": %.4f",
	       name, transfer, name, computed, name, total, name,
	       total / (computed > transfer ? computed : transfer));
	printf(", \"%s_faults\": %llu, \"%s_late\": %llu, \"%s_mb\": %.1f, \"%s_wait_s\": %.3f",
	       name, (unsigned long long)(after.fault_major - before.fault_major),
	       name, (unsigned long long)(after.prefetch_late - before.prefetch_late),
	       name, (after.fetch_bytes - before.fetch_bytes) / 1e6,
	       name, (after.fault_wait_ns - before.fault_wait_ns) / 1e9);
}

int main(int argc, char **argv)
{
	struct rmai_attr attr;
	int fd;

	if (argc != 3)
		errx(2, "usage: bench-layers NAME LAYER_BYTES");
	if (chdir(getenv("RMAI_MNT") ?: "/rmai"))
		err(1, "/rmai");
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || ioctl(fd, RMAI_IOC_GETATTR, &attr))
		err(1, "%s", argv[1]);
	size = attr.size;
	layer_bytes = strtoull(argv[2], NULL, 0);
	if (!layer_bytes || layer_bytes % PAGE || size % layer_bytes)
		errx(2, "%s: %llu bytes are no layers of %s", argv[1], (unsigned long long)size,
		     argv[2]);
	region = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (region == MAP_FAILED)
		err(1, "mmap");

	printf("{ \"layers\": %llu, ", (unsigned long long)(size / layer_bytes));
	measure(fd, "none", 0);
	printf(", ");
	measure(fd, "seq", RMAI_FETCH_SEQ);
	printf(", ");
	measure(fd, "schedule", RMAI_FETCH_SCHEDULE);
	printf(" }\n");
	return 0;
}

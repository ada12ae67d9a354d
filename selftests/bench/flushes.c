// SPDX-License-Identifier: GPL-2.0
/*
 * bench-flushes [-p] [-s] [-w | -t] NAME COUNT
 *
 * How many TLB flushes it takes to evict COUNT mapped VMRs of a process that runs on
 * all CPUs; -w: to overwrite them with one write(2), -t: to cut them off (both: of an
 * open region, which is as long as before afterwards). -p: mapped by PTEs (at an address
 * that no PMD entry can map), else at the symmetric address; -s: scattered, every other
 * VMR. Counts the kernel's own tlb_flush trace events: flushes that CPUs were asked for
 * by others, and those asked for. One line of JSON.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
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
#define TRACING	"/sys/kernel/tracing/"
#define STATS	"/sys/kernel/mm/rmai/stats/"
#define BUDGET	"/sys/kernel/config/rmai/cache_bytes"

static atomic_bool done;

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
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

/* Keeps the process running on a CPU; touches nothing of the region */
static void *spin(void *arg)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((uintptr_t)arg, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "CPU %lu", (unsigned long)(uintptr_t)arg);
	while (!atomic_load(&done))
		;
	return NULL;
}

/* Bytes of a mapping that PMD entries map */
static unsigned long long pmd_mapped(const void *addr)
{
	unsigned long long kb = 0, start;
	bool ours = false;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "r");

	if (!f)
		err(1, "smaps");
	while (fgets(line, sizeof(line), f)) {
		if (strchr(line, '-') && sscanf(line, "%llx-", &start) == 1 &&
		    strstr(line, " r"))
			ours = start == (uintptr_t)addr;
		if (ours && sscanf(line, "FilePmdMapped: %llu kB", &kb) == 1)
			break;
	}
	fclose(f);
	return kb << 10;
}

enum how { EVICT, OVERWRITE, CUT };

static void evict(void)
{
	int n = 0;

	put(BUDGET, "4096");
	/* All but what the last turn leaves over */
	while (stat_value("replica_pages") > 1 && n++ < 600)
		usleep(50000);
}

static void overwrite(int fd, size_t len, const char *buf)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pwrite(fd, buf + done, len - done, done);
		if (n <= 0)
			err(1, "pwrite");
		done += n;
	}
}

static void usage(void)
{
	errx(2, "usage: bench-flushes [-p] [-s] [-w | -t] NAME COUNT");
}

int main(int argc, char **argv)
{
	unsigned long long asked = 0, remote = 0, local = 0, evicted, flushes, pmd;
	unsigned long cpus = sysconf(_SC_NPROCESSORS_ONLN), i, count;
	long long invs, acked;
	bool ptes = false, scattered = false;
	enum how how = EVICT;
	char line[512], *buf = NULL;
	struct rmai_attr attr;
	volatile char *p;
	pthread_t t[64];
	int opt, fd;
	size_t off;
	FILE *f;

	while ((opt = getopt(argc, argv, "pswt")) != -1) {
		if (opt == 'p')
			ptes = true;
		else if (opt == 's')
			scattered = true;
		else if (opt == 'w')
			how = OVERWRITE;
		else if (opt == 't')
			how = CUT;
		else
			usage();
	}
	if (argc - optind != 2 || cpus > 64)
		usage();
	count = strtoul(argv[optind + 1], NULL, 0);
	if (chdir(getenv("RMAI_MNT") ?: "/rmai"))
		err(1, "/rmai");
	fd = open(argv[optind], how == EVICT ? O_RDONLY : O_RDWR);
	if (fd < 0 || ioctl(fd, RMAI_IOC_GETATTR, &attr))
		err(1, "%s", argv[optind]);
	if (count * (scattered ? 2 : 1) * attr.vmr_size > attr.size)
		errx(2, "the region has not so many VMRs");
	if (ptes) {
		char *hole = mmap(NULL, attr.size + (4 << 20), PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		hole = (char *)(((uintptr_t)hole & ~((2UL << 20) - 1)) + (2 << 20) + PAGE);
		p = mmap(hole, attr.size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	} else {
		p = mmap(NULL, attr.size, PROT_READ, MAP_SHARED, fd, 0);
	}
	if (p == MAP_FAILED)
		err(1, "mmap");
	/* They come, and the mappings are made whole */
	for (i = 0; i < count; i++)
		for (off = 0; off < attr.vmr_size; off += PAGE)
			(void)p[i * (scattered ? 2 : 1) * attr.vmr_size + off];
	pmd = pmd_mapped((const void *)p);
	for (i = 0; i < cpus; i++)
		if (pthread_create(&t[i], NULL, spin, (void *)i))
			errx(1, "pthread_create");
	usleep(300000);

	if (how == OVERWRITE) {
		buf = malloc(count * attr.vmr_size);
		if (!buf)
			err(1, "memory");
		memset(buf, 1, count * attr.vmr_size);
	}
	evicted = stat_value("evict_vmrs");
	flushes = stat_value("evict_flushes");
	invs = stat_value("inv_sent");
	acked = stat_value("inv_received");
	put(TRACING "trace", "");
	put(TRACING "events/tlb/tlb_flush/enable", "1");
	if (how == OVERWRITE)
		overwrite(fd, count * attr.vmr_size, buf);
	else if (how == EVICT)
		evict();
	else if (ftruncate(fd, 0))
		err(1, "ftruncate");
	put(TRACING "events/tlb/tlb_flush/enable", "0");
	put(BUDGET, "0");
	if (how == CUT && ftruncate(fd, attr.size))
		err(1, "ftruncate");
	invs = stat_value("inv_sent") - invs;
	acked = stat_value("inv_received") - acked;
	evicted = how == EVICT ? stat_value("evict_vmrs") - evicted : count;
	flushes = stat_value("evict_flushes") - flushes;
	atomic_store(&done, true);
	for (i = 0; i < cpus; i++)
		pthread_join(t[i], NULL);

	f = fopen(TRACING "trace", "r");
	if (!f)
		err(1, "trace");
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "remote ipi send"))
			asked++;
		else if (strstr(line, "remote shootdown"))
			remote++;
		else if (strstr(line, "local"))
			local++;
	}
	fclose(f);
	printf("{ \"vmrs\": %llu, \"pmd_bytes\": %llu, \"flushes\": %llu, ", evicted, pmd,
	       flushes);
	printf("\"invs\": %lld, \"acks\": %lld, ", invs, acked);
	printf("\"asked\": %llu, \"remote\": %llu, \"local\": %llu, \"cpus\": %lu }\n", asked,
	       remote, local, cpus);
	return 0;
}

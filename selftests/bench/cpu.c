// SPDX-License-Identifier: GPL-2.0
/*
 * bench-cpu [-r] FILE: maps all of FILE and touches a word of each page, in order, and
 * prints what that took as one line of JSON. -r: reads them, after dropping what is here;
 * else they are written.
 *
 * For a guest with one CPU whose clock counts instructions (qemu/run --icount): what
 * the CPU did, for whomever, is the time that has passed less the time that it idled.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Of all CPUs, since boot */
static long long idle_ns(void)
{
	long long ticks = -1;
	FILE *f = fopen("/proc/stat", "r");

	if (!f || fscanf(f, "cpu %*s %*s %*s %lld", &ticks) != 1)
		errx(1, "/proc/stat");
	fclose(f);
	return ticks * (1000000000LL / sysconf(_SC_CLK_TCK));
}

static int some_here(volatile char *p, size_t size)
{
	size_t pages = size / PAGE;
	unsigned char *vec = malloc(pages);

	if (!vec || mincore((void *)p, size, vec))
		err(1, "mincore");
	while (pages && !(vec[pages - 1] & 1))
		pages--;
	free(vec);
	return pages > 0;
}

int main(int argc, char **argv)
{
	int reads = argc > 1 && !strcmp(argv[1], "-r"), fd;
	long long begin, idle, took;
	struct rusage r0, r1;
	volatile char *p;
	struct stat st;

	if (argc != 2 + reads)
		errx(2, "usage: bench-cpu [-r] FILE");
	fd = open(argv[1 + reads], reads ? O_RDONLY : O_RDWR);
	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", argv[1 + reads]);
	p = mmap(NULL, st.st_size, reads ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		err(1, "mmap");
	/* Cold; what is new in LRU batches has to be in the lists to go */
	if (reads && (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) || some_here(p, st.st_size)))
		errx(1, "some of %s is here already", argv[1 + reads]);
	getrusage(RUSAGE_SELF, &r0);
	idle = idle_ns();
	begin = now_ns();
	for (off_t off = 0; off < st.st_size; off += PAGE) {
		if (reads)
			(void)p[off];
		else
			p[off] = 1;
	}
	took = now_ns() - begin;
	idle = idle_ns() - idle;
	getrusage(RUSAGE_SELF, &r1);
	printf("{ \"bytes\": %lld, \"ns\": %lld, \"idle_ns\": %lld, ",
	       (long long)st.st_size, took, idle);
	printf("\"majflt\": %ld, \"minflt\": %ld }\n", r1.ru_majflt - r0.ru_majflt,
	       r1.ru_minflt - r0.ru_minflt);
	return 0;
}

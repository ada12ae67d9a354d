/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs that touch regions have in common. Every page of theirs begins with a
 * word that tells which page it is, so that a fast answer that is wrong is an error.
 */
#ifndef _BENCH_REGION_H
#define _BENCH_REGION_H

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/rmai.h>

#define PAGE	4096ULL		/* RMAI's unit */
#define BLOCK	(2ULL << 20)	/* its largest transfer */

struct region {
	const char	*name;
	volatile char	*map;
	uint64_t	size;
	uint64_t	vmr_size;
	int		fd;
};

static inline uint64_t page_word(uint64_t page)
{
	return (page + 1) * 0x9e3779b97f4a7c15ULL;
}

static inline double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static inline uint64_t next_random(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* Relative to /rmai, or $RMAI_MNT */
static inline void enter_mount(void)
{
	const char *mnt = getenv("RMAI_MNT");

	if (chdir(mnt ? mnt : "/rmai"))
		err(1, "%s", mnt ? mnt : "/rmai");
}

static inline void open_region(struct region *r, const char *name)
{
	struct rmai_attr attr = { 0 };

	r->name = name;
	r->fd = open(name, O_RDONLY);
	if (r->fd < 0 || ioctl(r->fd, RMAI_IOC_GETATTR, &attr))
		err(1, "%s", name);
	r->size = attr.size;
	r->vmr_size = attr.vmr_size;
	r->map = mmap(NULL, r->size, PROT_READ, MAP_SHARED, r->fd, 0);
	if (r->map == MAP_FAILED)
		err(1, "%s: mmap", name);
}

/* Pages that are here, or on their way */
static inline uint64_t resident(struct region *r, uint64_t off, uint64_t len)
{
	unsigned char vec[BLOCK / PAGE];
	uint64_t n = 0, i, step;

	for (; len; off += step, len -= step) {
		step = len < BLOCK ? len : BLOCK;
		if (mincore((char *)r->map + off, step, vec))
			err(1, "mincore");
		for (i = 0; i < step / PAGE; i++)
			n += vec[i] & 1;
	}
	return n;
}

/* Nothing of it here, and nothing on its way */
static inline void make_cold(struct region *r)
{
	int tries;

	if (madvise((char *)r->map, r->size, MADV_DONTNEED))
		err(1, "madvise");
	for (tries = 0; tries < 1000; tries++) {
		errno = posix_fadvise(r->fd, 0, 0, POSIX_FADV_DONTNEED);
		if (errno)
			err(1, "fadvise");
		if (!resident(r, 0, r->size))
			return;
		usleep(10000);
	}
	errx(1, "%s does not get cold", r->name);
}

static inline void check_page(struct region *r, uint64_t page)
{
	if (*(volatile uint64_t *)(r->map + page * PAGE) != page_word(page))
		errx(1, "%s: page %llu has wrong data", r->name, (unsigned long long)page);
}

#endif /* _BENCH_REGION_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests have in common: regions with a pattern in them that tells of
 * every byte where it belongs, counters, faults that are survived.
 */
#ifndef _RMAI_TEST_H
#define _RMAI_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <linux/rmai.h>

#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE	3
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT		26
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS		1033
#define F_GET_SEALS		1034
#define F_SEAL_SEAL		1
#define F_SEAL_SHRINK		2
#define F_SEAL_GROW		4
#define F_SEAL_WRITE		8
#endif

#define RMAI_SEALS	(F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)
#define RMAI_FLAGS	(MAP_SHARED_VALIDATE | MAP_RMAI)
#define KIB		(1ULL << 10)
#define MIB		(1ULL << 20)
#define PAGE		4096ULL		/* of what RMAI runs on */

/* A debug kernel on an emulated CPU is slow: this is for hangs only */
#define RMAI_TIMEOUT	240

/* What a system call fails with; for who includes kselftest_harness.h */
#define EXPECT_ERRNO(err, call)						\
	do {								\
		errno = 0;						\
		EXPECT_EQ(-1, (long)(call));				\
		EXPECT_EQ(err, errno);					\
	} while (0)

static inline const char *rmai_mnt(void)
{
	const char *mnt = getenv("RMAI_MNT");

	return mnt ? mnt : "/rmai";
}

/* NULL, or why nothing can be tested here */
static inline const char *rmai_missing(void)
{
	struct statfs fs;

	if (statfs(rmai_mnt(), &fs) || fs.f_type != RMAI_SUPER_MAGIC)
		return "no rmaifs is mounted at /rmai or $RMAI_MNT (single.sh does it)";
	return NULL;
}

static inline const char *rmai_path(const char *name)
{
	static char path[8][PATH_MAX];
	static unsigned int n;
	char *p = path[n++ % 8];

	snprintf(p, PATH_MAX, "%s/%s", rmai_mnt(), name);
	return p;
}

/* Node of this machine, and one that is another; 0: none */
static inline int rmai_self(void)
{
	FILE *f = fopen("/sys/kernel/mm/rmai/node_id", "r");
	int id = 0;

	if (f) {
		if (fscanf(f, "%d", &id) != 1)
			id = 0;
		fclose(f);
	}
	return id;
}

static inline void rmai_node_attr(int id, const char *attr, char *buf, size_t len)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/rmai/nodes/%d/%s", id, attr);
	buf[0] = 0;
	f = fopen(path, "r");
	if (!f)
		return;
	if (!fgets(buf, len, f))
		buf[0] = 0;
	buf[strcspn(buf, "\n")] = 0;
	fclose(f);
}

static inline bool rmai_is_memory(int id)
{
	char role[32];

	rmai_node_attr(id, "role", role, sizeof(role));
	return strstr(role, "memory");
}

/* The n-th memory node (from 0) that is not this one; 0: there are not so many */
static inline int rmai_remote(int n)
{
	int id, self = rmai_self();

	for (id = 1; id <= RMAI_MAX_NODES; id++)
		if (id != self && rmai_is_memory(id) && !n--)
			return id;
	return 0;
}

/* A counter or gauge of the node; -1: there is none of that name */
static inline long long rmai_stat(const char *name)
{
	char path[128];
	long long v = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/rmai/stats/%s", name);
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (fscanf(f, "%lld", &v) != 1)
		v = -1;
	fclose(f);
	return v;
}

static inline double rmai_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Wait until a counter has a value, at most so many seconds */
static inline bool rmai_stat_becomes(const char *name, long long want, double s)
{
	double end = rmai_now() + s;

	while (rmai_stat(name) != want) {
		if (rmai_now() > end)
			return false;
		usleep(20000);
	}
	return true;
}

/* Pattern: the byte at an offset depends on all bits of it, and on a seed */
static inline uint64_t rmai_word(uint64_t word, uint64_t seed)
{
	uint64_t x = (word + 1) * 0x9e3779b97f4a7c15ULL ^ seed * 0xc2b2ae3d27d4eb4fULL;

	return x ^ x >> 29;
}

static inline uint8_t rmai_byte(uint64_t off, uint64_t seed)
{
	return rmai_word(off >> 3, seed) >> ((off & 7) * 8);
}

static inline void rmai_fill(void *buf, size_t len, uint64_t off, uint64_t seed)
{
	uint8_t *p = buf;

	while (len && (off & 7 || len < 8)) {
		*p++ = rmai_byte(off++, seed);
		len--;
	}
	for (; len >= 8; len -= 8, off += 8, p += 8) {
		uint64_t w = rmai_word(off >> 3, seed);

		memcpy(p, &w, 8);
	}
	while (len--)
		*p++ = rmai_byte(off++, seed);
}

/* Index of the first byte that is wrong, or -1 */
static inline ssize_t rmai_wrong(const void *buf, size_t len, uint64_t off, uint64_t seed)
{
	const uint8_t *p = buf;
	size_t i = 0;

	while (i < len) {
		if (!(off & 7) && len - i >= 8) {
			uint64_t w = rmai_word(off >> 3, seed), is;

			memcpy(&is, p + i, 8);
			if (is == w) {
				i += 8;
				off += 8;
				continue;
			}
		}
		if (p[i] != rmai_byte(off, seed))
			return i;
		i++;
		off++;
	}
	return -1;
}

/* All of a buffer the same byte? Index of the first that is not, or -1 */
static inline ssize_t rmai_not(const void *buf, size_t len, uint8_t c)
{
	const uint8_t *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != c)
			return i;
	return -1;
}

/**
 * struct rmai_spec - of a region to be made
 * @vmr_size: 0: default
 * @stripe: 0: the owner chooses
 * @nodes: memory nodes, the first 0 ends the list; none: the owner chooses
 */
struct rmai_spec {
	uint64_t	vmr_size;
	uint64_t	stripe;
	int		nodes[RMAI_MAX_NODES];
};

/* A new, empty region; -1 and errno */
static inline int rmai_create(const char *name, const struct rmai_spec *spec)
{
	struct rmai_attr attr = {};
	int fd, err;

	fd = open(rmai_path(name), O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || !spec)
		return fd;
	if (spec->vmr_size) {
		attr.mask |= RMAI_ATTR_VMR_SIZE;
		attr.vmr_size = spec->vmr_size;
	}
	if (spec->stripe) {
		attr.mask |= RMAI_ATTR_STRIPE;
		attr.stripe = spec->stripe;
	}
	while (spec->nodes[attr.nr_nodes]) {
		attr.mask |= RMAI_ATTR_LAYOUT;
		attr.nodes[attr.nr_nodes] = spec->nodes[attr.nr_nodes];
		attr.nr_nodes++;
	}
	if (ioctl(fd, RMAI_IOC_SETATTR, &attr)) {
		err = errno;
		close(fd);
		unlink(rmai_path(name));
		errno = err;
		return -1;
	}
	return fd;
}

/* 0, or -1 and errno */
static inline int rmai_write_pattern(int fd, uint64_t off, uint64_t len, uint64_t seed)
{
	size_t bufsize = 1 << 20;
	char *buf = malloc(bufsize);
	ssize_t n = -1;

	if (!buf)
		return -1;
	while (len) {
		size_t want = len < bufsize ? len : bufsize;

		rmai_fill(buf, want, off, seed);
		n = pwrite(fd, buf, want, off);
		if (n <= 0)
			break;
		off += n;
		len -= n;
	}
	free(buf);
	return len ? -1 : 0;
}

static inline int rmai_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, RMAI_SEALS);
}

/* Made, filled, sealed, and open for reading and writing */
static inline int rmai_sealed(const char *name, const struct rmai_spec *spec,
			      uint64_t size, uint64_t seed)
{
	int fd = rmai_create(name, spec), err;

	if (fd < 0)
		return -1;
	if (!rmai_write_pattern(fd, 0, size, seed) && !rmai_seal(fd))
		return fd;
	err = errno;
	close(fd);
	unlink(rmai_path(name));
	errno = err;
	return -1;
}

static inline int rmai_getattr(int fd, struct rmai_attr *attr)
{
	return ioctl(fd, RMAI_IOC_GETATTR, attr);
}

/* Accesses that may end in a signal */
static sigjmp_buf rmai_jump;
static volatile sig_atomic_t rmai_signal;

static inline void rmai_on_signal(int sig)
{
	rmai_signal = sig;
	siglongjmp(rmai_jump, 1);
}

/* 0, or the signal that reading (writing) a byte ended in; *c is the byte */
static inline int rmai_access(volatile uint8_t *p, bool write, uint8_t *c)
{
	struct sigaction sa = { .sa_handler = rmai_on_signal }, bus, segv;

	rmai_signal = 0;
	sigaction(SIGBUS, &sa, &bus);
	sigaction(SIGSEGV, &sa, &segv);
	if (!sigsetjmp(rmai_jump, 1)) {
		if (write)
			*p = *c;
		else
			*c = *p;
	}
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return rmai_signal;
}

static inline int rmai_peek(const void *p)
{
	uint8_t c;

	return rmai_access((uint8_t *)p, false, &c);
}

static inline int rmai_poke(void *p, uint8_t c)
{
	return rmai_access(p, true, &c);
}

/* Page faults of this process */
static inline void rmai_faults(long *major, long *minor)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	*major = ru.ru_majflt;
	*minor = ru.ru_minflt;
}

#endif /* _RMAI_TEST_H */

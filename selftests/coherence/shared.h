/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of coherence have in common: a file that is mapped MAP_SHARED by
 * several workers, on one machine (a file of tmpfs) or on many (an open region of
 * rmaifs), and barriers between them that are nothing but atomics in that file.
 *
 * A worker is a process. Without --worker all of them are started here, by fork; with
 * it this process is that one, and the others are on other nodes.
 *
 *	VMR 0		struct sync, a word of each worker
 *	VMR 1...	the test's own
 */
#ifndef _COHERENCE_SHARED_H
#define _COHERENCE_SHARED_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

#define LINE	64	/* bytes of a cache line */

/*
 * struct sync - at the start of the file
 * @magic: set by worker 0 when all else is ready; says what the workers must agree about
 * @base: where worker 0 has it mapped
 * @failed: a worker has given up, so nobody need wait for it
 * @count: parties that have arrived at the barrier
 * @sense: is flipped when the last one has
 *
 * Each in a cache line of its own.
 */
struct sync {
	uint64_t	magic;
	uint64_t	base;
	uint64_t	pad1[LINE / 8 - 2];
	uint64_t	failed;
	uint64_t	pad2[LINE / 8 - 1];
	uint64_t	count;
	uint64_t	pad3[LINE / 8 - 1];
	uint64_t	sense;
	uint64_t	pad4[LINE / 8 - 1];
};

/**
 * struct shared - a worker's view of the file
 * @path: of the file
 * @vmr: bytes of a VMR: what has to be apart is laid out by it
 * @size: bytes needed; the test sets it before shared_open()
 * @workers: processes that take part
 * @worker: which of them this one is
 * @alone: the others are elsewhere (--worker was given)
 * @seed: of all that is random
 * @timeout_s: longest wait for another worker
 * @fixed: the test needs one address in all workers
 * @fd: the file, from shared_open() on; likewise
 * @base: where it is mapped
 * @sync: the same
 */
struct shared {
	const char	*path;
	uint64_t	vmr;
	uint64_t	size;
	unsigned int	workers;
	unsigned int	worker;
	bool		alone;
	uint64_t	seed;
	unsigned int	timeout_s;
	bool		fixed;
	int		fd;
	uint8_t		*base;
	struct sync	*sync;
};

/* Of all tests: see shared_getopt() */
#define SHARED_USAGE \
	"  --file PATH     what is shared: new or empty, of tmpfs or rmaifs\n" \
	"  --vmr BYTES     size of its VMRs (4K); K, M, G\n" \
	"  --workers N     processes that take part\n" \
	"  --worker I      this is number I, from 0; others run elsewhere. Default: fork all\n" \
	"  --seed N        replays what was random (default: taken from the clock)\n" \
	"  --timeout S     longest wait for another worker (120)\n"

#define die(...)						\
	do {							\
		fprintf(stderr, "# " __VA_ARGS__);		\
		fputc('\n', stderr);				\
		shared_fail();					\
		exit(2);					\
	} while (0)

void shared_defaults(struct shared *s, unsigned int workers);
int shared_getopt(struct shared *s, int argc, char **argv, const struct option *own);
int shared_run(struct shared *s, int (*work)(struct shared *s));
void shared_fork(struct shared *s, pid_t *pids, int (*work)(struct shared *s));
void shared_open(struct shared *s);
void shared_fail(void);
void shared_barrier(struct shared *s, uint64_t *sense, unsigned int parties);
void shared_wait(struct shared *s, unsigned int *spins, const char *what);
uint64_t shared_num(const char *arg);

/* A word of each worker's own in VMR 0 */
static inline uint64_t *shared_word(struct shared *s, unsigned int worker)
{
	return (uint64_t *)(s->base + sizeof(struct sync) + worker * LINE);
}

/* Bytes rounded up to whole VMRs */
static inline uint64_t shared_vmrs(const struct shared *s, uint64_t bytes)
{
	return (bytes + s->vmr - 1) / s->vmr;
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* splitmix64: any seed will do, also one that counts */
static inline uint64_t rnd(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

#endif /* _COHERENCE_SHARED_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * Faults by VMR: sizes that are powers of two and ones that are not, regions that
 * end inside a VMR, mappings that begin and end there; how many faults and bytes it
 * takes, and that each byte is where it belongs.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "rmai_test.h"
#include "../kselftest_harness.h"

#define NAME "t_fault"
#define SEED 42
#define CHUNK (256 * KIB)	/* of a VMR larger than 2 MiB: what a fault waits for */

FIXTURE(fault) {
	int fd;
	uint64_t vmrs;		/* of the region */
	uint64_t pages;
	struct rmai_attr attr;
};

FIXTURE_VARIANT(fault) {
	uint64_t vmr_size;
	uint64_t size;
	uint64_t stripe;	/* 0: on one node */
};

FIXTURE_VARIANT_ADD(fault, vmr_4k) {
	.vmr_size = 4 * KIB, .size = 300 * KIB + 123,
};

FIXTURE_VARIANT_ADD(fault, vmr_64k) {
	.vmr_size = 64 * KIB, .size = 3 * MIB + 20 * KIB,
};

FIXTURE_VARIANT_ADD(fault, vmr_2m) {
	.vmr_size = 2 * MIB, .size = 9 * MIB + 4097,
};

FIXTURE_VARIANT_ADD(fault, vmr_3m_4k) {
	.vmr_size = 3 * MIB + 4 * KIB, .size = 11 * MIB + 1,
};

FIXTURE_VARIANT_ADD(fault, vmr_12k_striped) {
	.vmr_size = 12 * KIB, .size = 700 * KIB + 1, .stripe = 36 * KIB,
};

FIXTURE_VARIANT_ADD(fault, vmr_2m_striped) {
	.vmr_size = 2 * MIB, .size = 12 * MIB, .stripe = 2 * MIB,
};

FIXTURE_VARIANT_ADD(fault, larger_than_region) {
	.vmr_size = 64 * MIB, .size = 5 * MIB + 5,
};

FIXTURE_SETUP(fault)
{
	struct rmai_spec spec = {
		.vmr_size = variant->vmr_size, .stripe = variant->stripe,
		.nodes = { rmai_remote(0) },
	};
	const char *missing = rmai_missing();

	self->fd = -1;
	if (missing)
		SKIP(return, "%s", missing);
	if (!rmai_remote(0))
		SKIP(return, "no other memory node");
	if (variant->stripe) {
		spec.nodes[1] = rmai_remote(1);
		if (!spec.nodes[1])
			SKIP(return, "no two other memory nodes");
	}
	unlink(rmai_path(NAME));
	self->fd = rmai_sealed(NAME, &spec, variant->size, SEED);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, rmai_getattr(self->fd, &self->attr));
	self->vmrs = (variant->size - 1) / variant->vmr_size + 1;
	self->pages = (variant->size - 1) / PAGE + 1;
}

FIXTURE_TEARDOWN(fault)
{
	close(self->fd);
	unlink(rmai_path(NAME));
}

struct counts {
	long long major, minor, vmrs, bytes, errors;
	long p_major, p_minor;
};

static void count(struct counts *c)
{
	c->major = rmai_stat("fault_major");
	c->minor = rmai_stat("fault_minor");
	c->vmrs = rmai_stat("fetch_vmrs");
	c->bytes = rmai_stat("fetch_bytes");
	c->errors = rmai_stat("fetch_errors");
	/* Last, and first in count_since(): reading the files faults, too */
	rmai_faults(&c->p_major, &c->p_minor);
}

static void count_since(struct counts *c)
{
	struct counts now;

	rmai_faults(&now.p_major, &now.p_minor);
	c->p_major = now.p_major - c->p_major;
	c->p_minor = now.p_minor - c->p_minor;
	c->major = rmai_stat("fault_major") - c->major;
	c->minor = rmai_stat("fault_minor") - c->minor;
	c->vmrs = rmai_stat("fetch_vmrs") - c->vmrs;
	c->bytes = rmai_stat("fetch_bytes") - c->bytes;
	c->errors = rmai_stat("fetch_errors") - c->errors;
}

static char *counts(const struct counts *c)
{
	static char buf[256];

	snprintf(buf, sizeof(buf),
		 "%ld major, %ld minor faults (%lld, %lld counted by RMAI), %lld VMRs, %lld KiB",
		 c->p_major, c->p_minor, c->major, c->minor, c->vmrs, c->bytes / 1024);
	return buf;
}

static void touch(const volatile uint8_t *p, uint64_t pages)
{
	uint64_t i;

	for (i = 0; i < pages; i++)
		(void)p[i * PAGE];
}

/* Page tables that VMRs lie in, counted for each VMR: what one fault can map at most */
static uint64_t pieces(uint64_t addr, uint64_t size, uint64_t vmr_size)
{
	uint64_t off, n = 0;

	for (off = 0; off < size; off += vmr_size) {
		uint64_t end = off + vmr_size < size ? off + vmr_size : size;

		n += (addr + end - 1) / (2 * MIB) - (addr + off) / (2 * MIB) + 1;
	}
	return n;
}

TEST_F_TIMEOUT(fault, sequential, RMAI_TIMEOUT)
{
	uint64_t len = self->pages * PAGE;
	struct counts c;
	uint8_t *p;
	long noise, most;

	p = mmap(NULL, len, PROT_READ, RMAI_FLAGS, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(self->attr.addr, (uintptr_t)p);
	count(&c);
	touch(p, self->pages);
	count_since(&c);
	TH_LOG("cold: %s", counts(&c));
	/* All was fetched, once, nothing else */
	EXPECT_EQ(self->vmrs, c.vmrs);
	EXPECT_EQ(len, c.bytes);
	EXPECT_EQ(0, c.errors);
	/*
	 * A VMR takes one fault for each page table that it lies in. One that is larger
	 * than 2 MiB comes in chunks, each of which may have to be awaited.
	 */
	EXPECT_LE(self->vmrs, c.p_major);
	most = pieces((uintptr_t)p, variant->size, variant->vmr_size);
	if (variant->vmr_size > 2 * MIB)
		most += variant->size / CHUNK + 2 * self->vmrs;
	else
		most *= 2;
	EXPECT_GE(most, c.p_major + c.p_minor);
	EXPECT_LE(c.major + c.minor, c.p_major + c.p_minor);
	noise = c.p_major - c.major;
	EXPECT_LE(0, noise);
	EXPECT_EQ(-1, rmai_wrong(p, variant->size, 0, SEED));
	EXPECT_EQ(-1, rmai_not(p + variant->size, len - variant->size, 0));

	/* Warm: mapped again, nothing comes over the wire, no fault waits */
	munmap(p, len);
	p = mmap(NULL, len, PROT_READ, RMAI_FLAGS, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	count(&c);
	touch(p, self->pages);
	count_since(&c);
	TH_LOG("warm: %s", counts(&c));
	EXPECT_EQ(0, c.vmrs);
	EXPECT_EQ(0, c.bytes);
	EXPECT_EQ(0, c.major);
	EXPECT_EQ(0, c.p_major);
	EXPECT_GE(pieces((uintptr_t)p, variant->size, variant->vmr_size), c.minor);
	EXPECT_EQ(-1, rmai_wrong(p, variant->size, 0, SEED));
	munmap(p, len);
}

TEST_F_TIMEOUT(fault, one_byte, RMAI_TIMEOUT)
{
	uint64_t len = self->pages * PAGE, at = variant->size * 5 / 7, start, end;
	double give_up = rmai_now() + 30;
	struct rmai_region_stat st;
	struct counts c;
	uint8_t *p;

	/* One byte brings its VMR and nothing else */
	p = mmap(NULL, len, PROT_READ, RMAI_FLAGS, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	start = at / variant->vmr_size * variant->vmr_size;
	end = start + variant->vmr_size < len ? start + variant->vmr_size : len;
	count(&c);
	EXPECT_EQ(rmai_byte(at, SEED), p[at]);
	/* Not all of it needs to have arrived when the byte has */
	do {
		ASSERT_EQ(0, ioctl(self->fd, RMAI_IOC_STAT, &st));
	} while (st.fetch_bytes < end - start && rmai_now() < give_up);
	count_since(&c);
	TH_LOG("one byte: %s", counts(&c));
	EXPECT_EQ(1, c.vmrs);
	EXPECT_EQ(end - start, c.bytes);
	EXPECT_EQ(1, c.major);
	EXPECT_EQ(end - start, st.replica_bytes);
	munmap(p, len);
}

TEST_F_TIMEOUT(fault, backwards, RMAI_TIMEOUT)
{
	uint64_t len = self->pages * PAGE, i, wrong = 0;
	struct counts c;
	uint8_t *p;

	p = mmap(NULL, len, PROT_READ, RMAI_FLAGS, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	count(&c);
	for (i = self->pages; i--;)
		wrong += p[i * PAGE] != rmai_byte(i * PAGE, SEED);
	EXPECT_EQ(0, wrong);
	count_since(&c);
	TH_LOG("backwards: %s", counts(&c));
	EXPECT_EQ(self->vmrs, c.vmrs);
	EXPECT_EQ(len, c.bytes);
	EXPECT_EQ(-1, rmai_wrong(p, variant->size, 0, SEED));
	munmap(p, len);
}

TEST_F_TIMEOUT(fault, inside_a_vmr, RMAI_TIMEOUT)
{
	/* From the second page of the second VMR (or of all) to the last but one */
	uint64_t from = self->vmrs > 1 && variant->vmr_size > PAGE ? variant->vmr_size + PAGE :
			PAGE;
	uint64_t to = (self->pages - 1) * PAGE, half = (to - from) / 2 / PAGE * PAGE;
	struct counts c;
	uint8_t *p;

	p = mmap(NULL, to - from, PROT_READ, RMAI_FLAGS, self->fd, from);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(self->attr.addr + from, (uintptr_t)p);
	count(&c);
	EXPECT_EQ(-1, rmai_wrong(p, to - from, from, SEED));
	count_since(&c);
	TH_LOG("a part: %s", counts(&c));
	EXPECT_EQ((to - 1) / variant->vmr_size - from / variant->vmr_size + 1, c.vmrs);
	/* Nothing outside was mapped */
	EXPECT_EQ(SIGSEGV, rmai_peek(p - 1));
	EXPECT_EQ(SIGSEGV, rmai_peek(p + (to - from)));
	/* A mapping cut in two stays right */
	munmap(p + half, PAGE);
	EXPECT_EQ(SIGSEGV, rmai_peek(p + half));
	madvise(p, half, MADV_DONTNEED);
	EXPECT_EQ(-1, rmai_wrong(p, half, from, SEED));
	EXPECT_EQ(-1, rmai_wrong(p + half + PAGE, to - from - half - PAGE, from + half + PAGE,
				 SEED));
	munmap(p, to - from);
}

TEST_F_TIMEOUT(fault, read, RMAI_TIMEOUT)
{
	uint8_t *buf = malloc(variant->size);
	uint64_t odd = variant->size / 3 | 1;
	struct counts c;

	/* read(2) goes through the same replicas */
	ASSERT_NE(NULL, buf);
	count(&c);
	ASSERT_EQ(variant->size - odd, pread(self->fd, buf, variant->size, odd));
	EXPECT_EQ(-1, rmai_wrong(buf, variant->size - odd, odd, SEED));
	ASSERT_EQ(variant->size, pread(self->fd, buf, variant->size, 0));
	EXPECT_EQ(-1, rmai_wrong(buf, variant->size, 0, SEED));
	ASSERT_EQ(variant->size, pread(self->fd, buf, variant->size, 0));
	count_since(&c);
	EXPECT_EQ(self->vmrs, c.vmrs);
	EXPECT_EQ(self->pages * PAGE, c.bytes);
	TH_LOG("read twice: %lld VMRs, %lld KiB", c.vmrs, c.bytes / 1024);
	free(buf);
}

struct job {
	pthread_barrier_t	*barrier;
	const uint8_t		*p;
	uint64_t		off, len;
	ssize_t			wrong;
};

static void *job_run(void *arg)
{
	struct job *j = arg;

	pthread_barrier_wait(j->barrier);
	j->wrong = rmai_wrong(j->p + j->off, j->len, j->off, SEED);
	return NULL;
}

#define THREADS 16

TEST_F_TIMEOUT(fault, threads_one_vmr, RMAI_TIMEOUT)
{
	uint64_t len = self->pages * PAGE, vmr, i;
	struct job job[THREADS];
	pthread_barrier_t barrier;
	pthread_t t[THREADS];
	struct counts c;
	uint8_t *p;

	p = mmap(NULL, len, PROT_READ, RMAI_FLAGS, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	vmr = variant->vmr_size < len ? variant->vmr_size : len;
	pthread_barrier_init(&barrier, NULL, THREADS);
	count(&c);
	for (i = 0; i < THREADS; i++) {
		/* Each begins at another page of it */
		uint64_t pages = vmr / PAGE;

		job[i] = (struct job){ &barrier, p, i * pages / THREADS * PAGE, PAGE, 0 };
		if (job[i].off + job[i].len > variant->size)
			job[i].len = variant->size - job[i].off;
		ASSERT_EQ(0, pthread_create(&t[i], NULL, job_run, &job[i]));
	}
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(t[i], NULL));
		EXPECT_EQ(-1, job[i].wrong);
	}
	count_since(&c);
	TH_LOG("%d threads on one cold VMR: %lld fetched, %lld faults waited", THREADS, c.vmrs,
	       c.major);
	EXPECT_EQ(1, c.vmrs);
	EXPECT_EQ(0, c.errors);
	EXPECT_GE(THREADS, c.major);
	munmap(p, len);
	pthread_barrier_destroy(&barrier);
}

TEST_F_TIMEOUT(fault, threads_all, RMAI_TIMEOUT)
{
	uint64_t len = self->pages * PAGE;
	struct job job[THREADS];
	pthread_barrier_t barrier;
	pthread_t t[THREADS];
	struct counts c;
	uint8_t *p;
	int i;

	p = mmap(NULL, len, PROT_READ, RMAI_FLAGS, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	pthread_barrier_init(&barrier, NULL, THREADS);
	count(&c);
	for (i = 0; i < THREADS; i++) {
		uint64_t from = variant->size * i / THREADS;

		job[i] = (struct job){ &barrier, p, from,
				       variant->size * (i + 1) / THREADS - from, 0 };
		ASSERT_EQ(0, pthread_create(&t[i], NULL, job_run, &job[i]));
	}
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(t[i], NULL));
		EXPECT_EQ(-1, job[i].wrong);
	}
	count_since(&c);
	EXPECT_EQ(self->vmrs, c.vmrs);
	EXPECT_EQ(len, c.bytes);
	EXPECT_EQ(0, c.errors);
	munmap(p, len);
	pthread_barrier_destroy(&barrier);
}

TEST_F_TIMEOUT(fault, processes, RMAI_TIMEOUT)
{
	uint64_t len = self->pages * PAGE;
	struct counts c;
	int i, status;
	uint8_t *p;

	/* Of several mm, each with its own page tables: one copy, one fetch */
	count(&c);
	for (i = 0; i < 4; i++) {
		pid_t pid = fork();

		if (pid)
			continue;
		p = mmap(NULL, len, PROT_READ, RMAI_FLAGS, self->fd, 0);
		if (p == MAP_FAILED || (uintptr_t)p != self->attr.addr)
			_exit(1);
		_exit(rmai_wrong(p, variant->size, 0, SEED) < 0 ? 0 : 2);
	}
	for (i = 0; i < 4; i++) {
		ASSERT_LT(0, wait(&status));
		EXPECT_EQ(0, status);
	}
	count_since(&c);
	EXPECT_EQ(self->vmrs, c.vmrs);
	EXPECT_EQ(len, c.bytes);
}

TEST_F_TIMEOUT(fault, dropped_under_readers, RMAI_TIMEOUT)
{
	uint64_t len = self->pages * PAGE;
	struct job job[4];
	pthread_barrier_t barrier;
	pthread_t t[4];
	uint8_t *p;
	int i, n;

	/* Replicas and page tables go while threads read: no byte is ever wrong */
	p = mmap(NULL, len, PROT_READ, RMAI_FLAGS, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	pthread_barrier_init(&barrier, NULL, 4);
	for (n = 0; n < 3; n++) {
		for (i = 0; i < 4; i++) {
			job[i] = (struct job){ &barrier, p, 0, variant->size, 0 };
			ASSERT_EQ(0, pthread_create(&t[i], NULL, job_run, &job[i]));
		}
		for (i = 0; i < 20; i++) {
			madvise(p, len, MADV_DONTNEED);
			posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED);
		}
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(0, pthread_join(t[i], NULL));
			EXPECT_EQ(-1, job[i].wrong);
		}
	}
	munmap(p, len);
	pthread_barrier_destroy(&barrier);
}

TEST_HARNESS_MAIN

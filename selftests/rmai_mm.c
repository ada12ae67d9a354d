// SPDX-License-Identifier: GPL-2.0
/*
 * What changes an address space, on mappings of regions: fork, exec, mprotect, mremap,
 * munmap of parts, mlock and its kin, msync, MAP_POPULATE.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "rmai_mm.h"

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT	1
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT	4
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

MM_TEST(fork)
{
	uint8_t was = rmai_byte(3 * VMR, 1), now = ~was;
	int go[2], back[2];
	pid_t pid;
	char c;

	/* Half of it is here when the child is made, and half is not */
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN / 2, 0, 1));
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(back));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (rmai_wrong(self->p, LEN, 0, 1) >= 0)
			_exit(1);
		if (self->writable)
			self->p[3 * VMR] = now;
		if (write(back[1], "c", 1) != 1 || read(go[0], &c, 1) != 1)
			_exit(2);
		/* The parent has stored since */
		if (self->p[7 * VMR] != (self->writable && self->shared ? 77 :
					 rmai_byte(7 * VMR, 1)))
			_exit(3);
		_exit(0);
	}
	ASSERT_EQ(1, read(back[0], &c, 1));
	EXPECT_EQ(self->writable && self->shared ? now : was, self->p[3 * VMR]);
	if (self->writable)
		self->p[7 * VMR] = 77;
	ASSERT_EQ(1, write(go[1], "p", 1));
	EXPECT_EQ(0, mm_wait(pid));
	if (self->writable) {
		self->p[7 * VMR] = rmai_byte(7 * VMR, 1);
		self->p[3 * VMR] = was;
	}
}

struct sweeper {
	const FIXTURE_DATA(mm) * self;
	atomic_bool stop;
	atomic_long sweeps, wrong;
};

static void *sweep(void *arg)
{
	struct sweeper *s = arg;

	while (!s->stop) {
		madvise(s->self->p, LEN, MADV_PAGEOUT);
		if (rmai_wrong(s->self->p, LEN, 0, s->self->seed) >= 0)
			s->wrong++;
		s->sweeps++;
	}
	return NULL;
}

#define SWEEPERS 4

MM_TEST(fork_exec)
{
	struct sweeper s = { .self = self };
	pthread_t t[SWEEPERS];
	double end = rmai_now() + 30;
	int i, n;
	pid_t pid;

	/* Of a program whose threads fault all the time */
	for (i = 0; i < SWEEPERS; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, sweep, &s));
	for (n = 0; n < 20 || (s.sweeps < SWEEPERS && rmai_now() < end); n++) {
		pid = n & 1 ? vfork() : fork();
		if (!pid) {
			execl("/bin/sh", "sh", "-c", "exit 7", NULL);
			_exit(1);
		}
		ASSERT_LT(0, pid);
		EXPECT_EQ(7, mm_wait(pid));
	}
	s.stop = true;
	for (i = 0; i < SWEEPERS; i++)
		EXPECT_EQ(0, pthread_join(t[i], NULL));
	EXPECT_EQ(0, s.wrong);
	EXPECT_LT(0, s.sweeps);
}

MM_TEST(exec_of_threads)
{
	int n, i;
	pid_t pid;

	/* exec ends the other threads, in the midst of their faults */
	for (n = 0; n < 10; n++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			struct sweeper s = { .self = self };
			pthread_t t[SWEEPERS];

			for (i = 0; i < SWEEPERS; i++)
				if (pthread_create(&t[i], NULL, sweep, &s))
					_exit(1);
			usleep(2000 * n);
			execl("/bin/sh", "sh", "-c", "exit 7", NULL);
			_exit(2);
		}
		EXPECT_EQ(7, mm_wait(pid));
	}
}

MM_TEST(mprotect)
{
	uint8_t *p = self->p, c = 0;

	if (!self->writable) {
		EXPECT_ERRNO(EACCES, mprotect(p, LEN, RW));
		EXPECT_EQ(SIGSEGV, rmai_poke(p, 1));
	}
	/* A part of a VMR; what was touched before, and what was not */
	EXPECT_EQ(-1, rmai_wrong(p, 2 * VMR, 0, 1));
	EXPECT_EQ(0, mprotect(p + VMR + PAGE, VMR, PROT_NONE));
	EXPECT_EQ(SIGSEGV, rmai_peek(p + VMR + PAGE));
	EXPECT_EQ(SIGSEGV, rmai_peek(p + 2 * VMR));
	EXPECT_EQ(0, rmai_peek(p + 2 * VMR + PAGE));
	EXPECT_EQ(3, mm_vmas(p, LEN));
	EXPECT_EQ(0, mprotect(p + VMR + PAGE, VMR, self->writable ? RW : PROT_READ));
	/* One mapping again */
	EXPECT_EQ(1, mm_vmas(p, LEN));
	EXPECT_RIGHT();
	if (!self->writable)
		return;
	mm_store(self, 2);
	EXPECT_EQ(0, mprotect(p, LEN, PROT_READ));
	EXPECT_EQ(SIGSEGV, rmai_poke(p + 5 * VMR, 1));
	EXPECT_EQ(SIGSEGV, rmai_poke(p + LEN - 1, 1));
	EXPECT_RIGHT();
	EXPECT_EQ(0, mprotect(p, LEN, RW));
	c = rmai_byte(5 * VMR, 2);
	EXPECT_EQ(0, rmai_access(p + 5 * VMR, true, &c));
}

MM_TEST(mremap_stays)
{
	uint8_t *p = self->p, *to;

	/* At its address in the cluster a mapping can shrink, and that is all */
	to = mmap(NULL, LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, to);
	EXPECT_ERRNO(EINVAL, mremap(p, LEN, LEN + VMR, 0));
	EXPECT_ERRNO(EINVAL, mremap(p, LEN, LEN + VMR, MREMAP_MAYMOVE));
	EXPECT_ERRNO(EINVAL, mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_ERRNO(EINVAL, mremap(p + VMR, VMR, VMR, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_ERRNO(EINVAL, mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	EXPECT_ERRNO(EINVAL, mremap(p, 0, LEN, MREMAP_MAYMOVE));
	EXPECT_RIGHT();
	EXPECT_EQ(p, mremap(p, LEN, 5 * VMR, 0));
	EXPECT_EQ(-1, rmai_wrong(p, 5 * VMR, 0, 1));
	EXPECT_EQ(SIGSEGV, rmai_peek(p + 5 * VMR));
	munmap(to, LEN);
	munmap(p, 5 * VMR);
	self->p = NULL;
}

MM_TEST(mremap_elsewhere)
{
	int flags = self->shared ? MAP_SHARED : MAP_PRIVATE;
	uint8_t *room, *p, *q;

	/* Elsewhere it is a mapping of a file like any other */
	munmap(self->p, LEN);
	room = mmap(NULL, 4 * LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, room);
	p = mmap(room, LEN, self->writable ? RW : PROT_READ, flags | MAP_FIXED, self->fd, 0);
	ASSERT_EQ(room, p);
	self->p = p;
	if (self->writable)
		mm_store(self, 2);
	q = mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, room + 2 * LEN);
	ASSERT_EQ(room + 2 * LEN, q);
	self->p = q;
	EXPECT_RIGHT();
	EXPECT_EQ(SIGSEGV, rmai_peek(p));
	/* Growing is into what lies behind the end of the file */
	ASSERT_EQ(0, munmap(q + LEN, VMR));
	EXPECT_EQ(q, mremap(q, LEN, LEN + VMR, 0));
	EXPECT_EQ(SIGBUS, rmai_peek(q + LEN));
	EXPECT_EQ(q, mremap(q, LEN + VMR, LEN, 0));
	EXPECT_RIGHT();
	/* A second one of the same pages; of a private one no copies are taken along */
	p = mremap(q, 0, LEN, MREMAP_MAYMOVE);
	if (self->shared) {
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, rmai_wrong(p, LEN, 0, self->seed));
		munmap(p, LEN);
	} else {
		EXPECT_EQ(MAP_FAILED, p);
		EXPECT_EQ(EINVAL, errno);
	}
	/* What it leaves behind is empty, and faults as before */
	p = mremap(q, LEN, LEN, MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED, room);
	ASSERT_EQ(room, p);
	self->p = p;
	EXPECT_EQ(-1, rmai_wrong(q, LEN, 0, self->file_seed));
	EXPECT_RIGHT();
	munmap(room, 4 * LEN);
	self->p = NULL;
}

MM_TEST(munmap_parts)
{
	int flags = self->shared ? RMAI_FLAGS : MAP_PRIVATE | MAP_FIXED;
	uint8_t *p = self->p, *q;

	mm_store(self, 2);
	/* A page inside of a VMR; from the middle of one to the middle of another; the ends */
	ASSERT_EQ(0, munmap(p + 5 * VMR + PAGE, PAGE));
	ASSERT_EQ(0, munmap(p + 2 * VMR + 2 * PAGE, VMR));
	ASSERT_EQ(0, munmap(p, PAGE));
	ASSERT_EQ(0, munmap(p + LEN - VMR, VMR));
	EXPECT_EQ(SIGSEGV, rmai_peek(p));
	EXPECT_EQ(SIGSEGV, rmai_peek(p + 5 * VMR + PAGE));
	EXPECT_EQ(SIGSEGV, rmai_peek(p + 2 * VMR + 2 * PAGE));
	EXPECT_EQ(SIGSEGV, rmai_peek(p + 3 * VMR + 2 * PAGE - 1));
	EXPECT_EQ(SIGSEGV, rmai_peek(p + LEN - VMR));
	EXPECT_EQ(-1, rmai_wrong(p + PAGE, 2 * VMR + PAGE, PAGE, self->seed));
	EXPECT_EQ(-1, rmai_wrong(p + 3 * VMR + 2 * PAGE, 2 * VMR - PAGE, 3 * VMR + 2 * PAGE,
				 self->seed));
	EXPECT_EQ(-1, rmai_wrong(p + 5 * VMR + 2 * PAGE, 4 * VMR - 2 * PAGE,
				 5 * VMR + 2 * PAGE, self->seed));
	/* And back */
	q = mmap(self->shared ? NULL : p + 2 * VMR, 2 * PAGE + VMR, PROT_READ, flags, self->fd,
		 2 * VMR);
	if (self->shared) {
		EXPECT_EQ(MAP_FAILED, q);
		EXPECT_EQ(EEXIST, errno);
	} else {
		EXPECT_EQ(p + 2 * VMR, q);
	}
	q = mmap(self->shared ? NULL : p + 2 * VMR + 2 * PAGE, VMR, PROT_READ, flags, self->fd,
		 2 * VMR + 2 * PAGE);
	ASSERT_EQ(p + 2 * VMR + 2 * PAGE, q);
	EXPECT_EQ(-1, rmai_wrong(q, VMR, 2 * VMR + 2 * PAGE, self->file_seed));
	munmap(p, LEN);
	EXPECT_EQ(SIGSEGV, rmai_peek(p + 5 * VMR));
	self->p = NULL;
}

MM_TEST(mlock)
{
	long long vmrs = rmai_stat("fetch_vmrs");

	/* Fetches, and keeps, whatever the advice */
	ASSERT_EQ(0, mlock(self->p, LEN));
	EXPECT_EQ(LEN / KIB, smaps_kb(self->p, "Locked", NULL, 0));
	EXPECT_TRUE(mm_vmflag(self->p, " lo"));
	EXPECT_EQ(PAGES, mm_resident(self->p, LEN));
	if (!self->shared || !self->writable)
		EXPECT_EQ(vmrs + VMRS, rmai_stat("fetch_vmrs"));
	vmrs = rmai_stat("fetch_vmrs");
	EXPECT_ERRNO(EINVAL, madvise(self->p, LEN, MADV_DONTNEED));
	EXPECT_ERRNO(EINVAL, madvise(self->p, LEN, MADV_PAGEOUT));
	EXPECT_ERRNO(EINVAL, madvise(self->p, LEN, MADV_COLD));
	EXPECT_EQ(0, posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED));
	if (mm_write_file("/proc/sys/vm/drop_caches", "3"))
		TH_LOG("cannot drop caches");
	if (self->shared)
		EXPECT_EQ(PAGES, mm_resident(self->p, LEN));
	mm_store(self, 2);
	EXPECT_RIGHT();
	/* A private one that was stored to holds copies, the region is read anew then */
	if (self->shared)
		EXPECT_EQ(vmrs, rmai_stat("fetch_vmrs"));
	ASSERT_EQ(0, munlock(self->p, LEN));
	EXPECT_EQ(0, smaps_kb(self->p, "Locked", NULL, 0));
	if (!self->writable) {
		mm_drop(self);
		EXPECT_EQ(0, mm_resident(self->p, LEN));
	}
}

MM_TEST(mlock_unmapped)
{
	/* What is unmapped while locked is let go, in parts, too */
	ASSERT_EQ(0, mlock(self->p, LEN));
	ASSERT_EQ(0, munmap(self->p + VMR, 3 * VMR));
	EXPECT_EQ(VMR / KIB, smaps_kb(self->p, "Locked", NULL, 0));
	ASSERT_EQ(0, munlock(self->p, VMR));
	ASSERT_EQ(0, munmap(self->p, LEN));
	self->p = NULL;
	if (!self->writable || !self->shared) {
		mm_drop(self);
		EXPECT_EQ(0, mm_resident(self->other, LEN));
	}
}

MM_TEST(mlock2_onfault)
{
	long long vmrs = rmai_stat("fetch_vmrs");
	int before = mm_resident(self->p, LEN);

	/* Nothing is fetched for it, and what is touched stays */
	ASSERT_EQ(0, syscall(SYS_mlock2, self->p, LEN, MLOCK_ONFAULT));
	EXPECT_EQ(before, mm_resident(self->p, LEN));
	EXPECT_EQ(vmrs, rmai_stat("fetch_vmrs"));
	EXPECT_EQ(rmai_byte(4 * VMR, 1), self->p[4 * VMR]);
	if (!before)
		EXPECT_EQ(VMR_PAGES, mm_resident(self->p, LEN));
	EXPECT_ERRNO(EINVAL, madvise(self->p, LEN, MADV_PAGEOUT));
	posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (!before)
		EXPECT_EQ(VMR_PAGES, mm_resident(self->p, LEN));
	mm_store(self, 2);
	EXPECT_RIGHT();
	ASSERT_EQ(0, munlock(self->p, LEN));
}

/* In a child, for it is for the whole process */
static int lock_all(FIXTURE_DATA(mm) * self)
{
	int all = PAGES;
	uint8_t *q;

	if (mlockall(MCL_CURRENT))
		return 1;
	if (mm_resident(self->p, LEN) != all)
		return 2;
	/* A share of what both mappings have locked, but for private copies */
	if (smaps_kb(self->p, "Locked", NULL, 0) != LEN / KIB / (self->shared ? 2 : 1))
		return 3;
	munlockall();
	mm_drop(self);
	/* Mappings to come: populated, or locked as they are touched */
	if (mlockall(MCL_FUTURE))
		return 4;
	q = mmap(NULL, LEN, PROT_READ, MAP_SHARED, self->fd, 0);
	if (q == MAP_FAILED || mm_resident(q, LEN) != all ||
	    smaps_kb(q, "Rss", NULL, 0) != LEN / KIB)
		return 5;
	munmap(q, LEN);
	munlockall();
	mm_drop(self);
	if (mlockall(MCL_FUTURE | MCL_ONFAULT))
		return 6;
	q = mmap(NULL, LEN, PROT_READ, MAP_SHARED, self->fd, 0);
	if (q == MAP_FAILED || smaps_kb(q, "Rss", NULL, 0) != 0)
		return 7;
	if (rmai_wrong(q, LEN, 0, 1) >= 0 || smaps_kb(q, "Locked", NULL, 0) != LEN / KIB)
		return 8;
	return 0;
}

MM_TEST(mlockall)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(lock_all(self));
	EXPECT_EQ(0, mm_wait(pid));
}

MM_TEST(msync)
{
	mm_store(self, 2);
	EXPECT_EQ(0, msync(self->p, LEN, MS_ASYNC));
	EXPECT_EQ(0, msync(self->p, LEN, MS_SYNC));
	EXPECT_EQ(0, msync(self->p + VMR, PAGE, MS_SYNC | MS_INVALIDATE));
	EXPECT_RIGHT();
	EXPECT_EQ(0, fsync(self->fd));
	EXPECT_EQ(0, fdatasync(self->fd));
	EXPECT_ERRNO(EINVAL, msync(self->p, LEN, MS_SYNC | MS_ASYNC));
	ASSERT_EQ(0, mlock(self->p, PAGE));
	EXPECT_ERRNO(EBUSY, msync(self->p, PAGE, MS_INVALIDATE));
	ASSERT_EQ(0, munlock(self->p, PAGE));
	ASSERT_EQ(0, munmap(self->p + VMR, PAGE));
	EXPECT_ERRNO(ENOMEM, msync(self->p, LEN, MS_SYNC));
	munmap(self->p, LEN);
	self->p = NULL;
}

MM_TEST(populate)
{
	int flags = self->shared ? RMAI_FLAGS : MAP_PRIVATE;
	int prot = self->writable ? RW : PROT_READ;
	long major, minor, major2, minor2;

	/* The file is populated before the mapping is there, then the mapping from it */
	munmap(self->p, LEN);
	posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED);
	self->p = mmap(NULL, LEN, prot, flags | MAP_POPULATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	EXPECT_EQ(LEN / KIB, smaps_kb(self->p, "Rss", NULL, 0));
	rmai_faults(&major, &minor);
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, 1));
	rmai_faults(&major2, &minor2);
	EXPECT_EQ(major, major2);
	EXPECT_GE(minor + 8, minor2);
	mm_store(self, 2);
}

TEST_HARNESS_MAIN

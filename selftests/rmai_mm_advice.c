// SPDX-License-Identifier: GPL-2.0
/*
 * Advice on mappings of regions: each that madvise(2) knows (but those about broken
 * memory: rmai_mm_page.c), process_madvise(2), posix_fadvise(2), and what mincore(2)
 * tells of it.
 */
#include <sys/uio.h>

#include "rmai_mm.h"

#ifndef MADV_COLD
#define MADV_COLD		20
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

/* Are the bytes somewhere else, and what is here replicas of them? */
static bool replicas(enum mm_kind kind)
{
	return kind != MM_HOME;
}

/* ... that may be dropped at will? */
static bool sealed(enum mm_kind kind)
{
	return kind == MM_SEALED || kind == MM_PRIVATE;
}

MM_TEST(access_pattern)
{
	double end = rmai_now() + 30;

	EXPECT_EQ(0, madvise(self->p, LEN, MADV_RANDOM));
	EXPECT_EQ(rmai_byte(VMR, 1), self->p[VMR]);
	/* VMRs stay what is fetched */
	if (replicas(variant->kind))
		EXPECT_EQ(VMR_PAGES, mm_resident(self->p, LEN));
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_SEQUENTIAL));
	EXPECT_EQ(rmai_byte(3 * VMR, 1), self->p[3 * VMR]);
	/* What follows is fetched ahead, and nothing else */
	if (sealed(variant->kind)) {
		while (mm_resident(self->p + 3 * VMR, LEN - 3 * VMR) < 2 * VMR_PAGES &&
		       rmai_now() < end)
			usleep(5000);
		EXPECT_LE(2 * VMR_PAGES, mm_resident(self->p + 3 * VMR, LEN - 3 * VMR));
		EXPECT_EQ(VMR_PAGES, mm_resident(self->p, 3 * VMR));
	}
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_NORMAL));
	EXPECT_EQ(1, mm_vmas(self->p, LEN));
	mm_store(self, 2);
}

MM_TEST(willneed)
{
	long long vmrs = rmai_stat("fetch_vmrs");
	double end = rmai_now() + 30;

	/* Of a part: the VMRs that it touches, and without a wait for them */
	EXPECT_EQ(0, madvise(self->p + VMR, 2 * VMR, MADV_WILLNEED));
	if (sealed(variant->kind)) {
		while (mm_resident(self->p, LEN) < 2 * VMR_PAGES && rmai_now() < end)
			usleep(5000);
		EXPECT_EQ(2 * VMR_PAGES, mm_resident(self->p, LEN));
		EXPECT_EQ(vmrs + 2, rmai_stat("fetch_vmrs"));
	}
	/* Nothing is mapped by it */
	EXPECT_EQ(0, smaps_kb(self->p, "Rss", NULL, 0));
	EXPECT_EQ(-1, rmai_wrong(self->p + VMR, 2 * VMR, VMR, 1));
	if (sealed(variant->kind))
		EXPECT_EQ(vmrs + 2, rmai_stat("fetch_vmrs"));
	/* What is here already is not fetched again */
	EXPECT_EQ(0, madvise(self->p + VMR, 2 * VMR, MADV_WILLNEED));
	if (sealed(variant->kind))
		EXPECT_EQ(vmrs + 2, rmai_stat("fetch_vmrs"));
}

MM_TEST(dontneed)
{
	mm_store(self, 2);
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, self->seed));
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_DONTNEED));
	EXPECT_EQ(0, smaps_kb(self->p, "Rss", NULL, 0));
	/* Replicas of a sealed region are gone, what is stored here is not */
	if (sealed(variant->kind))
		EXPECT_EQ(0, mm_resident(self->p, LEN));
	if (!replicas(variant->kind))
		EXPECT_EQ(PAGES, mm_resident(self->p, LEN));
	/* What was private is lost, as it is with any file */
	self->seed = self->file_seed;
	EXPECT_RIGHT();
}

MM_TEST(dontneed_part)
{
	/* Of VMRs that somebody else has mapped nothing is dropped */
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, 1));
	EXPECT_EQ(-1, rmai_wrong(self->other + 5 * VMR, VMR, 5 * VMR, 1));
	EXPECT_EQ(0, madvise(self->p + 2 * VMR + PAGE, 6 * VMR, MADV_DONTNEED));
	if (replicas(variant->kind)) {
		unsigned char vec[PAGES];

		ASSERT_EQ(0, mincore(self->p, LEN, vec));
		/*
		 * Folios may be as large as a VMR: only whole ones go. The other mapping
		 * is where there was room: faults on VMR 5 may have mapped pages of its
		 * neighbours, which lie in the same 64 KiB there.
		 */
		EXPECT_EQ(1, vec[2 * VMR_PAGES]);
		EXPECT_EQ(0, vec[3 * VMR_PAGES]);
		EXPECT_EQ(1, vec[5 * VMR_PAGES]);
		EXPECT_EQ(0, vec[7 * VMR_PAGES]);
		EXPECT_EQ(1, vec[9 * VMR_PAGES]);
	}
}

MM_TEST(dontneed_locked)
{
	ASSERT_EQ(0, mlock(self->p, LEN));
	EXPECT_ERRNO(EINVAL, madvise(self->p, LEN, MADV_DONTNEED));
	EXPECT_EQ(PAGES, mm_resident(self->p, LEN));
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_DONTNEED_LOCKED));
	EXPECT_EQ(0, smaps_kb(self->p, "Rss", NULL, 0));
	if (replicas(variant->kind))
		EXPECT_EQ(0, mm_resident(self->p, LEN));
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, 1));
	/* What is touched again is locked again */
	EXPECT_EQ(LEN / KIB, smaps_kb(self->p, "Locked", NULL, 0));
	EXPECT_EQ(0, munlock(self->p, LEN));
}

MM_TEST(free)
{
	mm_store(self, 2);
	EXPECT_ERRNO(EINVAL, madvise(self->p, LEN, MADV_FREE));
}

MM_TEST(remove)
{
	mm_store(self, 2);
	/* No holes are punched: EACCES for who may not write anyhow */
	EXPECT_ERRNO(self->shared && self->writable ? EOPNOTSUPP : EACCES,
		     madvise(self->p + VMR, VMR, MADV_REMOVE));
}

MM_TEST(dontfork)
{
	pid_t pid;

	ASSERT_EQ(0, madvise(self->p + VMR, VMR, MADV_DONTFORK));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(rmai_peek(self->p + VMR) != SIGSEGV ||
		      rmai_wrong(self->p, VMR, 0, 1) >= 0 ||
		      rmai_wrong(self->p + 2 * VMR, VMR, 2 * VMR, 1) >= 0);
	EXPECT_EQ(0, mm_wait(pid));
	ASSERT_EQ(0, madvise(self->p + VMR, VMR, MADV_DOFORK));
	EXPECT_EQ(1, mm_vmas(self->p, LEN));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(rmai_wrong(self->p, LEN, 0, 1) >= 0);
	EXPECT_EQ(0, mm_wait(pid));
}

MM_TEST(wipeonfork)
{
	EXPECT_ERRNO(EINVAL, madvise(self->p, LEN, MADV_WIPEONFORK));
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_KEEPONFORK));
}

MM_TEST(dump)
{
	/* Not in core files, unless that is asked for */
	EXPECT_TRUE(mm_vmflag(self->p, " dd"));
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_DODUMP));
	EXPECT_FALSE(mm_vmflag(self->p, " dd"));
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_DONTDUMP));
	EXPECT_TRUE(mm_vmflag(self->p, " dd"));
}

MM_TEST(huge)
{
	if (madvise(self->p, LEN, MADV_HUGEPAGE) && errno == EINVAL)
		SKIP(return, "no CONFIG_TRANSPARENT_HUGEPAGE");
	EXPECT_TRUE(mm_vmflag(self->p, " hg"));
	EXPECT_RIGHT();
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_NOHUGEPAGE));
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_DONTNEED));
	EXPECT_RIGHT();
	mm_store(self, 2);
}

MM_TEST(cold)
{
	mm_store(self, 2);
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, self->seed));
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_COLD));
	/* First to go, but here */
	EXPECT_EQ(PAGES, mm_resident(self->p, LEN));
	EXPECT_EQ(LEN / KIB, smaps_kb(self->p, "Rss", NULL, 0));
	EXPECT_EQ(0, smaps_kb(self->p, "Referenced", NULL, 0));
}

MM_TEST(pageout)
{
	long long vmrs;

	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, self->seed));
	vmrs = rmai_stat("fetch_vmrs");
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_PAGEOUT));
	if (sealed(variant->kind)) {
		EXPECT_EQ(0, mm_resident(self->p, LEN));
		EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, self->seed));
		EXPECT_EQ(vmrs + VMRS, rmai_stat("fetch_vmrs"));
	} else if (!replicas(variant->kind)) {
		EXPECT_EQ(PAGES, mm_resident(self->p, LEN));
	}
	mm_store(self, 2);
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_PAGEOUT));
	EXPECT_RIGHT();
	/* What others have mapped stays */
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_PAGEOUT));
	EXPECT_EQ(PAGES, mm_resident(self->other, LEN));
}

MM_TEST(populate_read)
{
	long long vmrs = rmai_stat("fetch_vmrs");

	EXPECT_EQ(0, madvise(self->p + VMR, 3 * VMR, MADV_POPULATE_READ));
	EXPECT_EQ(3 * VMR / KIB, smaps_kb(self->p, "Rss", NULL, 0));
	if (sealed(variant->kind))
		EXPECT_EQ(vmrs + 3, rmai_stat("fetch_vmrs"));
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_POPULATE_READ));
	EXPECT_EQ(LEN / KIB, smaps_kb(self->p, "Rss", NULL, 0));
	if (sealed(variant->kind))
		EXPECT_EQ(vmrs + VMRS, rmai_stat("fetch_vmrs"));
	/* Beyond the end of the file there is nothing to be had */
	ASSERT_EQ(self->p, mremap(self->p, LEN, LEN - VMR, 0));
	EXPECT_ERRNO(ENOMEM, madvise(self->p, LEN, MADV_POPULATE_READ));
	munmap(self->p, LEN - VMR);
	self->p = NULL;
}

MM_TEST(populate_write)
{
	if (!self->writable) {
		EXPECT_ERRNO(EINVAL, madvise(self->p, LEN, MADV_POPULATE_WRITE));
		return;
	}
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_POPULATE_WRITE));
	EXPECT_EQ(LEN / KIB, smaps_kb(self->p, "Rss", NULL, 0));
	if (!self->shared)
		EXPECT_EQ(LEN / KIB, smaps_kb(self->p, "Anonymous", NULL, 0));
	EXPECT_RIGHT();
	mm_store(self, 2);
}

MM_TEST(process_madvise)
{
	struct iovec iov = { self->p, LEN };
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0);

	ASSERT_LE(0, pidfd);
	EXPECT_EQ(LEN, syscall(SYS_process_madvise, pidfd, &iov, 1, MADV_WILLNEED, 0));
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, 1));
	EXPECT_EQ(LEN, syscall(SYS_process_madvise, pidfd, &iov, 1, MADV_COLD, 0));
	EXPECT_EQ(PAGES, mm_resident(self->p, LEN));
	EXPECT_EQ(LEN, syscall(SYS_process_madvise, pidfd, &iov, 1, MADV_PAGEOUT, 0));
	if (sealed(variant->kind))
		EXPECT_EQ(0, mm_resident(self->p, LEN));
	EXPECT_ERRNO(EINVAL, syscall(SYS_process_madvise, pidfd, &iov, 1, MADV_DONTNEED, 0));
	close(pidfd);
}

MM_TEST(mincore)
{
	unsigned char vec[PAGES];

	if (sealed(variant->kind)) {
		/* A VMR comes at a time */
		EXPECT_EQ(0, mm_resident(self->p, LEN));
		EXPECT_EQ(rmai_byte(2 * VMR + 7, 1), self->p[2 * VMR + 7]);
		ASSERT_EQ(0, mincore(self->p, LEN, vec));
		EXPECT_EQ(0, vec[2 * VMR_PAGES - 1]);
		EXPECT_EQ(1, vec[2 * VMR_PAGES]);
		EXPECT_EQ(1, vec[3 * VMR_PAGES - 1]);
		EXPECT_EQ(0, vec[3 * VMR_PAGES]);
	} else if (variant->kind == MM_HOME) {
		EXPECT_EQ(PAGES, mm_resident(self->p, LEN));
	}
	EXPECT_EQ(-1, rmai_wrong(self->other, LEN, 0, 1));
	EXPECT_EQ(PAGES, mm_resident(self->p, LEN));
	ASSERT_EQ(0, munmap(self->p + VMR, PAGE));
	EXPECT_ERRNO(ENOMEM, mincore(self->p, LEN, vec));
	munmap(self->p, LEN);
	self->p = NULL;
}

MM_TEST(fadvise)
{
	double end = rmai_now() + 30;
	int n, fd;

	EXPECT_EQ(0, posix_fadvise(self->fd, 0, 0, POSIX_FADV_NORMAL));
	EXPECT_EQ(0, posix_fadvise(self->fd, 0, 0, POSIX_FADV_SEQUENTIAL));
	EXPECT_EQ(0, posix_fadvise(self->fd, 0, 0, POSIX_FADV_RANDOM));
	EXPECT_EQ(0, posix_fadvise(self->fd, 0, 0, POSIX_FADV_NOREUSE));
	EXPECT_EQ(EINVAL, posix_fadvise(self->fd, 0, 0, 77));
	EXPECT_EQ(EINVAL, posix_fadvise(self->fd, 0, -1, POSIX_FADV_DONTNEED));
	EXPECT_EQ(0, posix_fadvise(self->fd, 2 * VMR, VMR, POSIX_FADV_WILLNEED));
	if (sealed(variant->kind)) {
		while ((n = mm_resident(self->p, LEN)) < VMR_PAGES && rmai_now() < end)
			usleep(5000);
		EXPECT_EQ(VMR_PAGES, n);
	}
	EXPECT_RIGHT();
	/* Mapped: stays. Then: whole pages of the range, not one more */
	EXPECT_EQ(0, posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED));
	EXPECT_EQ(PAGES, mm_resident(self->p, LEN));
	munmap(self->p, LEN);
	self->p = NULL;
	munmap(self->other, LEN);
	self->other = mmap(NULL, LEN, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->other);
	EXPECT_EQ(PAGES, mm_resident(self->other, LEN));
	EXPECT_EQ(0, posix_fadvise(self->fd, 0, 100, POSIX_FADV_DONTNEED));
	EXPECT_EQ(PAGES, mm_resident(self->other, LEN));
	EXPECT_EQ(0, posix_fadvise(self->fd, VMR, 2 * VMR, POSIX_FADV_DONTNEED));
	if (replicas(variant->kind))
		EXPECT_EQ(PAGES - 2 * VMR_PAGES, mm_resident(self->other, LEN));
	EXPECT_EQ(0, posix_fadvise(self->fd, 5 * VMR, LLONG_MAX, POSIX_FADV_DONTNEED));
	if (replicas(variant->kind))
		EXPECT_EQ(3 * VMR_PAGES, mm_resident(self->other, LEN));
	EXPECT_EQ(0, posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED));
	EXPECT_EQ(replicas(variant->kind) ? 0 : PAGES, mm_resident(self->other, LEN));
	/* readahead(2) is WILLNEED */
	EXPECT_EQ(0, readahead(self->fd, 0, LEN));
	/* On a descriptor that is open for something else than reading */
	fd = open(rmai_path(MM_NAME), O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED));
	close(fd);
}

TEST_HARNESS_MAIN

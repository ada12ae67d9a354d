// SPDX-License-Identifier: GPL-2.0
/*
 * mmap_rmai(2): MAP_RMAI, what it refuses, and what becomes of mappings: addresses,
 * protection, moves, forks, the end of a file, its last name. rmai_mmap_data.c is about
 * what is seen through them.
 */
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>

#include "rmai_mmap.h"

#define ANON(flags) mmap(NULL, MIB, PROT_READ | PROT_WRITE, (flags) | MAP_ANONYMOUS, -1, 0)

static uint64_t addr_of(int fd)
{
	struct rmai_attr attr;

	return rmai_getattr(fd, &attr) ? 0 : attr.addr;
}

TEST_F_TIMEOUT(map, wrong_type, RMAI_TIMEOUT)
{
	/* With these an old kernel would not see the flag: so no kernel takes them */
	EXPECT_ERRNO(EINVAL, NAMED(self->remote, MAP_SHARED | MAP_RMAI));
	EXPECT_ERRNO(EINVAL, NAMED(self->remote, MAP_PRIVATE | MAP_RMAI));
	EXPECT_ERRNO(EINVAL, NAMED(self->home, MAP_SHARED | MAP_RMAI));
	EXPECT_ERRNO(EINVAL, ANON(MAP_SHARED | MAP_RMAI));
	EXPECT_ERRNO(EINVAL, ANON(MAP_PRIVATE | MAP_RMAI));
	EXPECT_ERRNO(EINVAL, ANON(MAP_RMAI));
	EXPECT_ERRNO(EINVAL, ANON(RMAI_FLAGS | MAP_HUGETLB));
	EXPECT_ERRNO(EOPNOTSUPP, NAMED(self->remote, MAP_SHARED_VALIDATE | MAP_SYNC));
	EXPECT_ERRNO(EOPNOTSUPP, NAMED(self->remote, RMAI_FLAGS | MAP_SYNC));
	/* The VMR size is the region's */
	EXPECT_ERRNO(EINVAL, NAMED(self->remote, RMAI_FLAGS | 21 << MAP_HUGE_SHIFT));
	EXPECT_ERRNO(EBADF, NAMED(-1, RMAI_FLAGS));
}

TEST_F_TIMEOUT(map, other_files, RMAI_TIMEOUT)
{
	int fd = syscall(SYS_memfd_create, "t", 0);
	void *p;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, MAPPED));
	EXPECT_ERRNO(EOPNOTSUPP, NAMED(fd, RMAI_FLAGS));
	/* Unknown bits were always ignored there */
	p = NAMED(fd, MAP_SHARED | MAP_RMAI);
	EXPECT_NE(MAP_FAILED, p);
	munmap(p, MAPPED);
	p = NAMED(fd, MAP_PRIVATE | MAP_RMAI);
	EXPECT_NE(MAP_FAILED, p);
	munmap(p, MAPPED);
	close(fd);
	fd = open("/proc/self/exe", O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EOPNOTSUPP, mmap(NULL, 4096, PROT_READ, RMAI_FLAGS, fd, 0));
	close(fd);
}

TEST_F_TIMEOUT(map, protection, RMAI_TIMEOUT)
{
	int ro = open(rmai_path(HOME), O_RDONLY), wo = open(rmai_path(HOME), O_WRONLY), open_;
	struct rmai_spec spec = { .vmr_size = VMR, .nodes = { rmai_remote(0) } };
	uint8_t *p;

	ASSERT_LE(0, ro);
	ASSERT_LE(0, wo);
	EXPECT_ERRNO(EACCES, mmap(NULL, VMR, PROT_READ | PROT_WRITE, RMAI_FLAGS, ro, 0));
	EXPECT_ERRNO(EACCES, mmap(NULL, VMR, PROT_WRITE, RMAI_FLAGS, ro, 0));
	EXPECT_ERRNO(EACCES, mmap(NULL, VMR, PROT_READ, RMAI_FLAGS, wo, 0));
	/* Sealed: not writable */
	EXPECT_ERRNO(EPERM, mmap(NULL, VMR, PROT_READ | PROT_WRITE, RMAI_FLAGS,
				 self->remote, 0));
	EXPECT_ERRNO(EPERM, mmap(NULL, VMR, PROT_WRITE, MAP_SHARED, self->remote, 0));
	/* Open, and stored elsewhere: like one that is stored here */
	unlink(rmai_path("t_mmap_open"));
	open_ = rmai_create("t_mmap_open", &spec);
	ASSERT_LE(0, open_);
	ASSERT_EQ(0, rmai_write_pattern(open_, 0, VMR, 3));
	p = mmap(NULL, VMR, PROT_READ | PROT_WRITE, RMAI_FLAGS, open_, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, rmai_wrong(p, VMR, 0, 3));
	EXPECT_EQ(0, rmai_poke(p, 'w'));
	EXPECT_EQ('w', p[0]);
	munmap(p, VMR);
	close(open_);
	unlink(rmai_path("t_mmap_open"));
	close(ro);
	close(wo);
}

TEST_F_TIMEOUT(map, address, RMAI_TIMEOUT)
{
	uint64_t addr = addr_of(self->remote);
	uint8_t *p, *q;
	int fd;

	/* Sealing has given it one: in the window, on a huge page */
	ASSERT_NE(0, addr);
	EXPECT_LE(48ULL << 40, addr);
	EXPECT_GT(80ULL << 40, addr);
	EXPECT_EQ(0, addr % (2 * MIB));
	p = NAMED(self->remote, RMAI_FLAGS);
	EXPECT_EQ(addr, (uintptr_t)p);
	/* Taken, by whatever it is */
	EXPECT_ERRNO(EEXIST, NAMED(self->remote, RMAI_FLAGS));
	EXPECT_ERRNO(EEXIST, mmap((void *)addr, VMR, PROT_READ, RMAI_FLAGS | MAP_FIXED,
				  self->remote, 0));
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 2));
	munmap(p, MAPPED);
	q = mmap((void *)(addr + VMR), 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0);
	ASSERT_EQ(addr + VMR, (uintptr_t)q);
	EXPECT_ERRNO(EEXIST, NAMED(self->remote, RMAI_FLAGS));
	munmap(q, 4096);

	/* A part is where it is in the whole */
	p = mmap(NULL, 4096, PROT_READ, RMAI_FLAGS, self->remote, VMR + 4096);
	EXPECT_EQ(addr + VMR + 4096, (uintptr_t)p);
	EXPECT_EQ(-1, rmai_wrong(p, 4096, VMR + 4096, 2));
	munmap(p, 4096);
	EXPECT_ERRNO(EINVAL, syscall(SYS_mmap, NULL, 4096, PROT_READ, RMAI_FLAGS,
				     self->remote, 512));
	/* A hint does not move it; a fixed address elsewhere cannot be had */
	p = mmap((void *)0x10000000, VMR, PROT_READ, RMAI_FLAGS, self->remote, 0);
	EXPECT_EQ(addr, (uintptr_t)p);
	munmap(p, VMR);
	EXPECT_ERRNO(EINVAL, mmap((void *)0x10000000, VMR, PROT_READ, RMAI_FLAGS | MAP_FIXED,
				  self->remote, 0));
	EXPECT_ERRNO(EINVAL, mmap((void *)(addr + 4096), VMR, PROT_READ,
				  RMAI_FLAGS | MAP_FIXED, self->remote, 0));
	p = mmap((void *)addr, VMR, PROT_READ, RMAI_FLAGS | MAP_FIXED, self->remote, 0);
	EXPECT_EQ(addr, (uintptr_t)p);
	munmap(p, VMR);
	/* More than is reserved */
	EXPECT_ERRNO(EINVAL, mmap(NULL, 1ULL << 32, PROT_READ, RMAI_FLAGS, self->remote, 0));
	EXPECT_ERRNO(EINVAL, mmap(NULL, 4096, PROT_READ, RMAI_FLAGS, self->remote, 1ULL << 32));
	EXPECT_ERRNO(EINVAL, mmap(NULL, 0, PROT_READ, RMAI_FLAGS, self->remote, 0));

	/* It is the same for everybody, and for good */
	fd = open(rmai_path(REMOTE), O_RDONLY);
	ASSERT_LE(0, fd);
	p = NAMED(fd, RMAI_FLAGS);
	EXPECT_EQ(addr, (uintptr_t)p);
	munmap(p, MAPPED);
	close(fd);

	/* An open one gets its own when it is mapped at first */
	EXPECT_EQ(0, addr_of(self->home));
	p = NAMED(self->home, RMAI_FLAGS);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(addr_of(self->home), (uintptr_t)p);
	EXPECT_NE(addr, (uintptr_t)p);
	munmap(p, MAPPED);
}

TEST_F_TIMEOUT(map, without_the_flag, RMAI_TIMEOUT)
{
	uint64_t addr = addr_of(self->remote);
	uint8_t *p, *q, *r;

	/* At the symmetric address, if it is free and no other is asked for */
	p = NAMED(self->remote, MAP_SHARED);
	EXPECT_EQ(addr, (uintptr_t)p);
	q = NAMED(self->remote, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_NE(addr, (uintptr_t)q);
	r = mmap((void *)0x10000000, MAPPED, PROT_READ, MAP_SHARED, self->remote, 0);
	EXPECT_EQ(0x10000000, (uintptr_t)r);
	EXPECT_EQ(-1, rmai_wrong(r, SIZE, 0, 2));
	EXPECT_EQ(-1, rmai_wrong(q, SIZE, 0, 2));
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 2));
	munmap(p, MAPPED);
	munmap(q, MAPPED);
	/* Away from its address, a mapping is as one of any file: it may move and grow */
	q = mmap(NULL, MAPPED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(q, mremap(r, MAPPED, MAPPED, MREMAP_MAYMOVE | MREMAP_FIXED, q));
	EXPECT_EQ(-1, rmai_wrong(q, SIZE, 0, 2));
	q = mremap(q, MAPPED, MAPPED + VMR, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(-1, rmai_wrong(q, SIZE, 0, 2));
	EXPECT_EQ(SIGBUS, rmai_peek(q + MAPPED));
	munmap(q, MAPPED + VMR);
}

TEST_F_TIMEOUT(map, anonymous, RMAI_TIMEOUT)
{
	int dir = open(rmai_mnt(), O_RDONLY | O_DIRECTORY), fd, log2;
	struct rmai_open_addr oa = { .flags = O_RDWR };
	long long regions = rmai_stat("regions");
	struct rmai_attr attr;
	uint8_t *p, *q;

	ASSERT_LE(0, dir);
	for (log2 = 0; log2 < 64; log2++) {
		p = ANON(RMAI_FLAGS | (unsigned int)log2 << MAP_HUGE_SHIFT);
		if (log2 && (log2 < 12 || log2 > 30)) {
			EXPECT_EQ(MAP_FAILED, p);
			EXPECT_EQ(EINVAL, errno);
			continue;
		}
		ASSERT_NE(MAP_FAILED, p) {
			TH_LOG("log2 %d: errno %d", log2, errno);
		}
		oa.addr = (uintptr_t)p + 4096;
		fd = ioctl(dir, RMAI_IOC_OPEN_ADDR, &oa);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, rmai_getattr(fd, &attr));
		EXPECT_EQ(log2 ? 1ULL << log2 : RMAI_VMR_DEFAULT, attr.vmr_size);
		EXPECT_EQ((uintptr_t)p, attr.addr);
		EXPECT_EQ(MIB, attr.size);
		EXPECT_EQ(RMAI_REGION_ANON, attr.flags);
		close(fd);
		EXPECT_EQ(0, p[0]);
		rmai_fill(p, MIB, 0, log2);
		EXPECT_EQ(-1, rmai_wrong(p, MIB, 0, log2));
		munmap(p, MIB);
	}
	/* Gone with the last mapping */
	EXPECT_TRUE(rmai_stat_becomes("regions", regions, 20));

	EXPECT_ERRNO(EINVAL, mmap(NULL, 0, PROT_READ, RMAI_FLAGS | MAP_ANONYMOUS, -1, 0));
	EXPECT_ERRNO(EINVAL, mmap((void *)0x10000000, MIB, PROT_READ,
				  RMAI_FLAGS | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	p = mmap(NULL, 1ULL << 46, PROT_READ, RMAI_FLAGS | MAP_ANONYMOUS, -1, 0);
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_TRUE(errno == ENOMEM || errno == EFBIG);
	/* No whole page */
	p = mmap(NULL, 5000, PROT_READ | PROT_WRITE, RMAI_FLAGS | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	p[8191] = 7;
	EXPECT_EQ(7, p[8191]);
	munmap(p, 5000);
	/* Two of them are two */
	p = ANON(RMAI_FLAGS);
	q = ANON(RMAI_FLAGS);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	p[0] = 1;
	EXPECT_EQ(0, q[0]);
	munmap(p, MIB);
	munmap(q, MIB);
	close(dir);
}

TEST_F_TIMEOUT(map, attach, RMAI_TIMEOUT)
{
	int flags = RMAI_FLAGS | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, go[2], status;
	uint64_t addr = addr_of(self->remote);
	uint8_t *p, *q, c;
	pid_t pid;
	int i;

	/* A named region, too, can be mapped by its address */
	p = mmap((void *)addr, MAPPED, PROT_READ, flags, -1, 0);
	ASSERT_EQ(addr, (uintptr_t)p);
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 2));
	EXPECT_ERRNO(EEXIST, mmap((void *)addr, MAPPED, PROT_READ, flags, -1, 0));
	munmap(p, MAPPED);
	p = mmap((void *)(addr + VMR + 4096), 8192, PROT_READ, flags, -1, 0);
	ASSERT_EQ(addr + VMR + 4096, (uintptr_t)p);
	EXPECT_EQ(-1, rmai_wrong(p, 8192, VMR + 4096, 2));
	munmap(p, 8192);
	EXPECT_ERRNO(EPERM, mmap((void *)addr, MAPPED, PROT_READ | PROT_WRITE, flags, -1, 0));
	EXPECT_ERRNO(EINVAL, mmap((void *)(addr + 1), 4096, PROT_READ, flags, -1, 0));
	EXPECT_ERRNO(EINVAL, mmap((void *)addr, 1ULL << 32, PROT_READ, flags, -1, 0));
	EXPECT_ERRNO(ENOENT, mmap((void *)(addr + (64ULL << 30)), VMR, PROT_READ, flags, -1, 0));
	EXPECT_ERRNO(EINVAL, mmap((void *)0x10000000, VMR, PROT_READ, flags, -1, 0));

	/* Another process, that shares nothing but the number */
	p = ANON(RMAI_FLAGS);
	ASSERT_NE(MAP_FAILED, p);
	p[5] = 55;
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	if (!pid) {
		munmap(p, MIB);
		q = mmap(p, MIB, PROT_READ | PROT_WRITE, flags, -1, 0);
		if (q != p || q[5] != 55)
			_exit(1);
		q[6] = 66;
		_exit(write(go[1], "x", 1) == 1 ? 0 : 2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, read(go[0], &c, 1));
	EXPECT_EQ(66, p[6]);
	munmap(p, MIB);
	/* The owner is told of the last close by a work item */
	for (i = 0; i < 500; i++) {
		q = mmap(p, MIB, PROT_READ, flags, -1, 0);
		if (q == MAP_FAILED)
			break;
		munmap(q, MIB);
		usleep(10000);
	}
	EXPECT_ERRNO(ENOENT, mmap(p, MIB, PROT_READ, flags, -1, 0));
	close(go[0]);
	close(go[1]);
}

TEST_F_TIMEOUT(map, private, RMAI_TIMEOUT)
{
	int ro = open(rmai_path(REMOTE), O_RDONLY), status;
	uint8_t *p, *q;
	char buf[16];
	pid_t pid;

	ASSERT_LE(0, ro);
	p = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0);
	ASSERT_NE(MAP_FAILED, p);
	q = NAMED(self->remote, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, q);
	/* Write first, to a page that is not here; and to one that is */
	p[VMR + 10] = ~rmai_byte(VMR + 10, 2);
	EXPECT_EQ(-1, rmai_wrong(p + VMR, 10, VMR, 2));
	EXPECT_EQ(-1, rmai_wrong(p + VMR + 11, VMR, VMR + 11, 2));
	p[3 * VMR] = p[3 * VMR] + 1;
	EXPECT_EQ(-1, rmai_wrong(q, SIZE, 0, 2));
	EXPECT_EQ(16, pread(ro, buf, 16, VMR));
	EXPECT_EQ(-1, rmai_wrong(buf, 16, VMR, 2));
	pid = fork();
	if (!pid) {
		if (p[VMR + 10] != (uint8_t)~rmai_byte(VMR + 10, 2))
			_exit(1);
		p[5 * VMR] = 0;
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(rmai_byte(5 * VMR, 2), p[5 * VMR]);
	munmap(p, MAPPED);
	munmap(q, MAPPED);
	/* Private mappings do not keep a region from being sealed */
	p = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->home, 0);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 1;
	EXPECT_EQ(0, rmai_seal(self->home));
	munmap(p, MAPPED);
	close(ro);
}

TEST_F_TIMEOUT(map, mprotect, RMAI_TIMEOUT)
{
	uint8_t *p = NAMED(self->remote, RMAI_FLAGS);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_ERRNO(EACCES, mprotect(p, MAPPED, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, mprotect(p + VMR, VMR, PROT_NONE));
	EXPECT_EQ(SIGSEGV, rmai_peek(p + VMR));
	EXPECT_EQ(0, mprotect(p + VMR, VMR, PROT_READ));
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 2));
	EXPECT_EQ(SIGSEGV, rmai_poke(p, 1));
	munmap(p, MAPPED);

	p = mmap(NULL, MAPPED, PROT_READ, RMAI_FLAGS, self->home, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(SIGSEGV, rmai_poke(p, 1));
	EXPECT_EQ(0, mprotect(p, MAPPED, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, rmai_poke(p, 1));
	munmap(p, MAPPED);
}

TEST_F_TIMEOUT(map, mremap, RMAI_TIMEOUT)
{
	uint8_t *p = NAMED(self->remote, RMAI_FLAGS), *q;

	ASSERT_NE(MAP_FAILED, p);
	q = mmap(NULL, 2 * MAPPED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_ERRNO(EINVAL, mremap(p, MAPPED, MAPPED + VMR, 0));
	EXPECT_ERRNO(EINVAL, mremap(p, MAPPED, MAPPED + VMR, MREMAP_MAYMOVE));
	EXPECT_ERRNO(EINVAL, mremap(p, MAPPED, MAPPED, MREMAP_MAYMOVE | MREMAP_FIXED, q));
	EXPECT_ERRNO(EINVAL, mremap(p, MAPPED, VMR, MREMAP_MAYMOVE | MREMAP_FIXED, q));
	EXPECT_ERRNO(EINVAL, mremap(p, MAPPED, MAPPED, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	EXPECT_ERRNO(EINVAL, mremap(p, 0, MAPPED, MREMAP_MAYMOVE));
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 2));
	EXPECT_EQ(p, mremap(p, MAPPED, 5 * VMR, 0));
	EXPECT_EQ(-1, rmai_wrong(p, 5 * VMR, 0, 2));
	EXPECT_EQ(SIGSEGV, rmai_peek(p + 5 * VMR));
	munmap(p, 5 * VMR);
	munmap(q, 2 * MAPPED);
	/* Anonymous ones, too */
	p = ANON(RMAI_FLAGS);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_ERRNO(EINVAL, mremap(p, MIB, 2 * MIB, MREMAP_MAYMOVE));
	EXPECT_EQ(p, mremap(p, MIB, 4096, 0));
	munmap(p, 4096);
}

TEST_F_TIMEOUT(map, fork, RMAI_TIMEOUT)
{
	uint8_t *p = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, RMAI_FLAGS, self->home, 0);
	uint8_t *q = NAMED(self->remote, RMAI_FLAGS);
	int status;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	pid = fork();
	if (!pid) {
		/* The child's faults bring what it was not born with */
		if (rmai_wrong(q, SIZE, 0, 2) >= 0)
			_exit(1);
		p[VMR] = 99;
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(99, p[VMR]);
	EXPECT_EQ(-1, rmai_wrong(q, SIZE, 0, 2));
	munmap(p, MAPPED);
	munmap(q, MAPPED);
}

TEST_F_TIMEOUT(map, munmap_parts, RMAI_TIMEOUT)
{
	uint8_t *p = NAMED(self->remote, RMAI_FLAGS);

	ASSERT_NE(MAP_FAILED, p);
	/* From the middle of one VMR to the middle of another */
	ASSERT_EQ(0, munmap(p + VMR + 8192, 2 * VMR));
	EXPECT_EQ(-1, rmai_wrong(p, VMR + 8192, 0, 2));
	EXPECT_EQ(-1, rmai_wrong(p + 3 * VMR + 8192, VMR, 3 * VMR + 8192, 2));
	EXPECT_EQ(SIGSEGV, rmai_peek(p + VMR + 8192));
	EXPECT_EQ(SIGSEGV, rmai_peek(p + 3 * VMR + 8191));
	EXPECT_EQ(p + 2 * VMR, mmap(NULL, 4096, PROT_READ, RMAI_FLAGS, self->remote, 2 * VMR));
	EXPECT_EQ(-1, rmai_wrong(p + 2 * VMR, 4096, 2 * VMR, 2));
	munmap(p, MAPPED);
}

TEST_F_TIMEOUT(map, end_of_file, RMAI_TIMEOUT)
{
	const uint64_t end = (SIZE + 4095) & ~4095ULL;
	int fds[2] = { self->home, self->remote }, i;
	long long sigbus;
	uint8_t *p;

	for (i = 0; i < 2; i++) {
		p = NAMED(fds[i], RMAI_FLAGS);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 1 + i));
		EXPECT_EQ(-1, rmai_not(p + SIZE, end - SIZE, 0));
		sigbus = rmai_stat("fault_sigbus");
		EXPECT_EQ(SIGBUS, rmai_peek(p + end));
		EXPECT_EQ(SIGBUS, rmai_peek(p + MAPPED - 1));
		EXPECT_LT(sigbus, rmai_stat("fault_sigbus"));
		munmap(p, MAPPED);
	}
	/* Cut while it is mapped, and longer again */
	p = NAMED(self->home, RMAI_FLAGS);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 1));
	ASSERT_EQ(0, ftruncate(self->home, VMR + 100));
	EXPECT_EQ(-1, rmai_wrong(p, VMR + 100, 0, 1));
	EXPECT_EQ(-1, rmai_not(p + VMR + 100, 4096 - 100, 0));
	EXPECT_EQ(SIGBUS, rmai_peek(p + VMR + 4096));
	ASSERT_EQ(0, ftruncate(self->home, SIZE));
	EXPECT_EQ(0, rmai_peek(p + VMR + 4096));
	EXPECT_EQ(-1, rmai_not(p + VMR + 100, SIZE - VMR - 100, 0));
	munmap(p, MAPPED);
}

TEST_F_TIMEOUT(map, userfaultfd, RMAI_TIMEOUT)
{
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_api api = { .api = UFFD_API };
	uint8_t *p;

	if (fd < 0)
		SKIP(return, "no userfaultfd");
	p = NAMED(self->remote, RMAI_FLAGS);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	reg.range.start = (uintptr_t)p;
	reg.range.len = MAPPED;
	EXPECT_ERRNO(EINVAL, ioctl(fd, UFFDIO_REGISTER, &reg));
	munmap(p, MAPPED);
	close(fd);
}

TEST_F_TIMEOUT(map, unlinked, RMAI_TIMEOUT)
{
	uint8_t *p = NAMED(self->remote, RMAI_FLAGS);
	long long regions = rmai_stat("regions");

	/* A mapping keeps the region, whatever becomes of name and file descriptor */
	ASSERT_NE(MAP_FAILED, p);
	close(self->remote);
	self->remote = -1;
	ASSERT_EQ(0, unlink(rmai_path(REMOTE)));
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 2));
	EXPECT_EQ(regions, rmai_stat("regions"));
	munmap(p, MAPPED);
	EXPECT_TRUE(rmai_stat_becomes("regions", regions - 1, 20));
}

TEST_HARNESS_MAIN

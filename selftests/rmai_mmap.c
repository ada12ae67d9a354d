// SPDX-License-Identifier: GPL-2.0
/*
 * mmap_rmai(2): MAP_RMAI, what it refuses, and how a mapping of a region answers to
 * the other calls that mm has. Here are regions stored on this node ("home") and on
 * another one ("remote", sealed).
 */
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/userfaultfd.h>

#include "rmai_test.h"
#include "../kselftest_harness.h"

#define HOME "t_mmap_home"
#define REMOTE "t_mmap_remote"
#define VMR (64 * KIB)
#define SIZE (10 * VMR + 1696)		/* ends in a page, that ends in a VMR */
#define MAPPED (11 * VMR)

FIXTURE(map) {
	int home, remote;
};

FIXTURE_SETUP(map)
{
	struct rmai_spec spec = { .vmr_size = VMR };
	const char *missing = rmai_missing();

	self->home = -1;
	self->remote = -1;
	if (missing)
		SKIP(return, "%s", missing);
	if (!rmai_is_memory(rmai_self()) || !rmai_remote(0))
		SKIP(return, "this and another node must be memory nodes");
	unlink(rmai_path(HOME));
	unlink(rmai_path(REMOTE));
	spec.nodes[0] = rmai_self();
	self->home = rmai_create(HOME, &spec);
	ASSERT_LE(0, self->home);
	ASSERT_EQ(0, rmai_write_pattern(self->home, 0, SIZE, 1));
	spec.nodes[0] = rmai_remote(0);
	self->remote = rmai_sealed(REMOTE, &spec, SIZE, 2);
	ASSERT_LE(0, self->remote);
}

FIXTURE_TEARDOWN(map)
{
	close(self->home);
	close(self->remote);
	unlink(rmai_path(HOME));
	unlink(rmai_path(REMOTE));
}

#define EXPECT_ERRNO(err, call)						\
	do {								\
		errno = 0;						\
		EXPECT_EQ(-1, (long)(call));				\
		EXPECT_EQ(err, errno);					\
	} while (0)

static uint64_t addr_of(int fd)
{
	struct rmai_attr attr;

	return rmai_getattr(fd, &attr) ? 0 : attr.addr;
}

#define ANON(flags) mmap(NULL, MIB, PROT_READ | PROT_WRITE, (flags) | MAP_ANONYMOUS, -1, 0)
#define NAMED(fd, flags) mmap(NULL, MAPPED, PROT_READ, (flags), (fd), 0)

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

	ASSERT_LE(0, ro);
	ASSERT_LE(0, wo);
	EXPECT_ERRNO(EACCES, mmap(NULL, VMR, PROT_READ | PROT_WRITE, RMAI_FLAGS, ro, 0));
	EXPECT_ERRNO(EACCES, mmap(NULL, VMR, PROT_WRITE, RMAI_FLAGS, ro, 0));
	EXPECT_ERRNO(EACCES, mmap(NULL, VMR, PROT_READ, RMAI_FLAGS, wo, 0));
	/* Sealed: not writable */
	EXPECT_ERRNO(EPERM, mmap(NULL, VMR, PROT_READ | PROT_WRITE, RMAI_FLAGS,
				 self->remote, 0));
	EXPECT_ERRNO(EPERM, mmap(NULL, VMR, PROT_WRITE, MAP_SHARED, self->remote, 0));
	/* Open, and stored elsewhere: not yet */
	unlink(rmai_path("t_mmap_open"));
	open_ = rmai_create("t_mmap_open", &spec);
	ASSERT_LE(0, open_);
	ASSERT_EQ(0, rmai_write_pattern(open_, 0, VMR, 3));
	EXPECT_ERRNO(EOPNOTSUPP, mmap(NULL, VMR, PROT_READ | PROT_WRITE, RMAI_FLAGS, open_, 0));
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
	/* Away from its address, a mapping may move; none grows */
	q = mmap(NULL, MAPPED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(q, mremap(r, MAPPED, MAPPED, MREMAP_MAYMOVE | MREMAP_FIXED, q));
	EXPECT_EQ(-1, rmai_wrong(q, SIZE, 0, 2));
	EXPECT_ERRNO(EFAULT, mremap(q, MAPPED, MAPPED + VMR, MREMAP_MAYMOVE));
	munmap(q, MAPPED);
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

TEST_F_TIMEOUT(map, open_elsewhere, RMAI_TIMEOUT)
{
	struct rmai_spec spec = { .vmr_size = VMR, .nodes = { rmai_remote(0) } };
	uint8_t *p;
	int fd;

	/* A region that is open, and not stored here, has no replicas to be mapped */
	unlink(rmai_path("t_mmap_open"));
	fd = rmai_create("t_mmap_open", &spec);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rmai_write_pattern(fd, 0, 3 * VMR, 4));
	p = mmap(NULL, 3 * VMR, PROT_READ, RMAI_FLAGS, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(SIGBUS, rmai_peek(p));
	/* It has when it is sealed: the same mapping works then */
	ASSERT_EQ(0, rmai_seal(fd));
	EXPECT_EQ(0, rmai_peek(p));
	EXPECT_EQ(-1, rmai_wrong(p, 3 * VMR, 0, 4));
	munmap(p, 3 * VMR);
	close(fd);
	unlink(rmai_path("t_mmap_open"));
}

TEST_F_TIMEOUT(map, home_writes, RMAI_TIMEOUT)
{
	uint8_t *p = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, RMAI_FLAGS, self->home, 0);
	static uint8_t buf[SIZE];

	ASSERT_NE(MAP_FAILED, p);
	/* A store is seen by read(2), a write(2) by loads */
	rmai_fill(p, SIZE, 0, 11);
	ASSERT_EQ(SIZE, pread(self->home, buf, SIZE, 0));
	EXPECT_EQ(-1, rmai_wrong(buf, SIZE, 0, 11));
	ASSERT_EQ(0, rmai_write_pattern(self->home, 0, SIZE, 12));
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 12));
	EXPECT_EQ(0, msync(p, MAPPED, MS_SYNC));
	munmap(p, MAPPED);
}

TEST_F_TIMEOUT(map, buffers, RMAI_TIMEOUT)
{
	uint8_t *r = NAMED(self->remote, RMAI_FLAGS), *h;
	static uint8_t buf[SIZE];

	ASSERT_NE(MAP_FAILED, r);
	/* write(2) from a mapping that is not here yet */
	ASSERT_EQ(SIZE, pwrite(self->home, r, SIZE, 0));
	ASSERT_EQ(SIZE, pread(self->home, buf, SIZE, 0));
	EXPECT_EQ(-1, rmai_wrong(buf, SIZE, 0, 2));
	munmap(r, MAPPED);
	h = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, RMAI_FLAGS, self->home, 0);
	ASSERT_NE(MAP_FAILED, h);
	/* read(2) into a mapping: of one region into another, and into itself */
	ASSERT_EQ(0, rmai_write_pattern(self->home, 0, SIZE, 13));
	ASSERT_EQ(SIZE, pread(self->remote, h, SIZE, 0));
	EXPECT_EQ(-1, rmai_wrong(h, SIZE, 0, 2));
	ASSERT_EQ(VMR, pread(self->home, h + 5 * VMR, VMR, VMR));
	EXPECT_EQ(-1, rmai_wrong(h + 5 * VMR, VMR, VMR, 2));
	ASSERT_EQ(VMR, pwrite(self->home, h + VMR, VMR, 7 * VMR));
	EXPECT_EQ(-1, rmai_wrong(h + 7 * VMR, VMR, VMR, 2));
	/* ... into and from pages of itself that do not exist yet */
	ASSERT_EQ(0, ftruncate(self->home, 0));
	ASSERT_EQ(0, ftruncate(self->home, SIZE));
	ASSERT_EQ(VMR, pwrite(self->home, h + VMR, VMR, 3 * VMR));
	ASSERT_EQ(VMR, pread(self->home, h + 5 * VMR, VMR, 8 * VMR));
	EXPECT_EQ(-1, rmai_not(h, SIZE, 0));
	munmap(h, MAPPED);
	/* A private mapping as the buffer for what it maps */
	r = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->remote, 0);
	ASSERT_NE(MAP_FAILED, r);
	ASSERT_EQ(VMR, pread(self->remote, r + 9 * VMR, VMR, 0));
	EXPECT_EQ(-1, rmai_wrong(r + 9 * VMR, VMR, 0, 2));
	EXPECT_EQ(-1, rmai_wrong(r, 9 * VMR, 0, 2));
	munmap(r, MAPPED);
}

/* A line of smaps of the mapping at an address */
static bool smaps(const void *p, const char *field, char *line, size_t len)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	bool here = false, found = false;
	unsigned long start, end;

	while (f && !found && fgets(line, len, f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)p && (uintptr_t)p < end;
		else if (here && !strncmp(line, field, strlen(field)))
			found = true;
	}
	if (f)
		fclose(f);
	return found;
}

TEST_F_TIMEOUT(map, smaps, RMAI_TIMEOUT)
{
	uint8_t *p = NAMED(self->remote, RMAI_FLAGS);
	char line[512];
	int kb;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, rmai_peek(p));
	ASSERT_TRUE(smaps(p, "VmFlags:", line, sizeof(line)));
	EXPECT_NE(NULL, strstr(line, " dd"));
	EXPECT_NE(NULL, strstr(line, " de"));
	EXPECT_EQ(NULL, strstr(line, " mw"));
	ASSERT_TRUE(smaps(p, "Rss:", line, sizeof(line)));
	kb = atoi(line + strlen("Rss:"));
	/* One fault has mapped its VMR */
	EXPECT_EQ(64, kb);
	munmap(p, MAPPED);
}

TEST_F_TIMEOUT(map, other_eyes, RMAI_TIMEOUT)
{
	uint8_t *p = NAMED(self->remote, RMAI_FLAGS);
	static uint8_t buf[2 * VMR];
	struct iovec local = { buf, sizeof(buf) }, remote = { p, sizeof(buf) };
	int mem = open("/proc/self/mem", O_RDONLY);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_LE(0, mem);
	/* /proc/PID/mem (and ptrace) cannot wait for what is not here */
	EXPECT_ERRNO(EIO, pread(mem, buf, 4096, (uintptr_t)p));
	/* process_vm_readv() can */
	EXPECT_EQ(sizeof(buf), process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(-1, rmai_wrong(buf, sizeof(buf), 0, 2));
	memset(buf, 0, sizeof(buf));
	EXPECT_EQ(4096, pread(mem, buf, 4096, (uintptr_t)p));
	EXPECT_EQ(-1, rmai_wrong(buf, 4096, 0, 2));
	/* From another process, whose pages it are */
	pid = fork();
	if (!pid) {
		for (;;)
			pause();
	}
	remote.iov_base = p + 5 * VMR;
	memset(buf, 0, sizeof(buf));
	EXPECT_EQ(sizeof(buf), process_vm_readv(pid, &local, 1, &remote, 1, 0));
	EXPECT_EQ(-1, rmai_wrong(buf, sizeof(buf), 5 * VMR, 2));
	/* A sealed region is not to be written by anybody */
	EXPECT_EQ(-1, process_vm_writev(pid, &local, 1, &remote, 1, 0));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(mem);
	munmap(p, MAPPED);
}

static int resident(void *p, size_t len)
{
	unsigned char vec[MAPPED / 4096];
	size_t i, n = 0;

	if (mincore(p, len, vec))
		return -1;
	for (i = 0; i < (len + 4095) / 4096; i++)
		n += vec[i] & 1;
	return n;
}

TEST_F_TIMEOUT(map, madvise, RMAI_TIMEOUT)
{
	uint8_t *p = NAMED(self->remote, RMAI_FLAGS);
	const int all = (SIZE + 4095) / 4096;
	double end = rmai_now() + 30;
	long long vmrs;

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, resident(p, MAPPED));
	/* WILLNEED: begins to fetch, and does not wait */
	vmrs = rmai_stat("fetch_vmrs");
	EXPECT_EQ(0, madvise(p, 3 * VMR, MADV_WILLNEED));
	while (resident(p, MAPPED) < 48 && rmai_now() < end)
		usleep(10000);
	EXPECT_EQ(48, resident(p, MAPPED));
	EXPECT_EQ(vmrs + 3, rmai_stat("fetch_vmrs"));
	EXPECT_EQ(-1, rmai_wrong(p, 3 * VMR, 0, 2));
	EXPECT_EQ(vmrs + 3, rmai_stat("fetch_vmrs"));
	/* POPULATE_READ: waits */
	EXPECT_EQ(0, madvise(p, MAPPED - VMR, MADV_POPULATE_READ));
	EXPECT_EQ(160, resident(p, MAPPED));
	/* These change nothing that a program can see in its bytes */
	EXPECT_EQ(0, madvise(p, MAPPED, MADV_RANDOM));
	EXPECT_EQ(0, madvise(p, MAPPED, MADV_SEQUENTIAL));
	EXPECT_EQ(0, madvise(p, MAPPED, MADV_NORMAL));
	EXPECT_EQ(0, madvise(p, MAPPED, MADV_COLD));
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 2));
	EXPECT_EQ(all, resident(p, MAPPED));
	EXPECT_EQ(0, madvise(p, MAPPED, MADV_DONTNEED));
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 2));
	EXPECT_EQ(0, madvise(p, MAPPED, MADV_PAGEOUT));
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 2));
	/* Nor may it be thrown away, or made fit for a core file */
	EXPECT_EQ(-1, madvise(p, MAPPED, MADV_REMOVE));
	EXPECT_ERRNO(EINVAL, madvise(p, MAPPED, MADV_FREE));
	EXPECT_ERRNO(EINVAL, madvise(p, MAPPED, MADV_DODUMP));
	munmap(p, MAPPED);
	/* Beyond the end there is nothing to fetch */
	p = NAMED(self->home, RMAI_FLAGS);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, madvise(p, MAPPED, MADV_WILLNEED));
	munmap(p, MAPPED);
}

TEST_F_TIMEOUT(map, populate, RMAI_TIMEOUT)
{
	struct rusage before, after;
	uint8_t *p;

	p = mmap(NULL, 10 * VMR, PROT_READ, RMAI_FLAGS | MAP_POPULATE, self->remote, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(160, resident(p, 10 * VMR));
	getrusage(RUSAGE_SELF, &before);
	EXPECT_EQ(-1, rmai_wrong(p, 10 * VMR, 0, 2));
	getrusage(RUSAGE_SELF, &after);
	EXPECT_EQ(before.ru_majflt, after.ru_majflt);
	TH_LOG("after MAP_POPULATE: %ld minor faults for 160 pages",
	       after.ru_minflt - before.ru_minflt);
	munmap(p, 10 * VMR);
	p = mmap(NULL, 10 * VMR, PROT_READ, RMAI_FLAGS, self->remote, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, mlock(p, 10 * VMR));
	EXPECT_EQ(-1, rmai_wrong(p, 10 * VMR, 0, 2));
	EXPECT_EQ(0, munlock(p, 10 * VMR));
	munmap(p, 10 * VMR);
}

TEST_F_TIMEOUT(map, fadvise, RMAI_TIMEOUT)
{
	uint8_t *p = NAMED(self->remote, RMAI_FLAGS);
	long long pages = rmai_stat("replica_pages");

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, posix_fadvise(self->remote, 0, 0, POSIX_FADV_WILLNEED));
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 2));
	munmap(p, MAPPED);
	EXPECT_EQ(0, posix_fadvise(self->remote, 0, 0, POSIX_FADV_DONTNEED));
	EXPECT_EQ(pages, rmai_stat("replica_pages"));
	p = NAMED(self->remote, RMAI_FLAGS);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, resident(p, MAPPED));
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 2));
	munmap(p, MAPPED);
	/* What is stored here is no cache */
	EXPECT_EQ(0, posix_fadvise(self->home, 0, 0, POSIX_FADV_DONTNEED));
	p = NAMED(self->home, RMAI_FLAGS);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, rmai_wrong(p, SIZE, 0, 1));
	munmap(p, MAPPED);
	EXPECT_EQ(EINVAL, posix_fadvise(self->remote, 0, 0, 77));
}

TEST_F_TIMEOUT(map, drop_caches, RMAI_TIMEOUT)
{
	uint8_t *h = NAMED(self->home, RMAI_FLAGS), *r = NAMED(self->remote, RMAI_FLAGS);
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY), i;

	if (fd < 0)
		SKIP(return, "cannot write /proc/sys/vm/drop_caches");
	ASSERT_NE(MAP_FAILED, h);
	ASSERT_NE(MAP_FAILED, r);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-1, rmai_wrong(h, SIZE, 0, 1));
		EXPECT_EQ(-1, rmai_wrong(r, SIZE, 0, 2));
		madvise(h, MAPPED, MADV_DONTNEED);
		madvise(r, MAPPED, MADV_DONTNEED);
		ASSERT_EQ(1, write(fd, "3", 1));
	}
	close(fd);
	munmap(h, MAPPED);
	munmap(r, MAPPED);
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

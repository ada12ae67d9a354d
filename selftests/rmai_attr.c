// SPDX-License-Identifier: GPL-2.0
/*
 * RMAI_IOC_GETATTR, SETATTR, STAT and OPEN_ADDR.
 */
#include <grp.h>
#include <sys/wait.h>

#include "rmai_test.h"
#include "../kselftest_harness.h"

#define NAME "t_attr"

FIXTURE(attr) {
	int fd;
};

FIXTURE_SETUP(attr)
{
	const char *missing = rmai_missing();

	self->fd = -1;
	if (missing)
		SKIP(return, "%s", missing);
	unlink(rmai_path(NAME));
	self->fd = rmai_create(NAME, NULL);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(attr)
{
	close(self->fd);
	unlink(rmai_path(NAME));
}

TEST_F_TIMEOUT(attr, defaults, RMAI_TIMEOUT)
{
	struct rmai_attr a, b;
	struct stat st;
	int i, fd;

	memset(&a, 0xff, sizeof(a));
	ASSERT_EQ(0, rmai_getattr(self->fd, &a));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(0, a.mask);
	EXPECT_EQ(0, a.flags);
	EXPECT_EQ(st.st_ino, a.region_id);
	EXPECT_EQ(0, a.addr);
	EXPECT_EQ(0, a.length);
	EXPECT_EQ(0, a.size);
	EXPECT_EQ(RMAI_VMR_DEFAULT, a.vmr_size);
	EXPECT_EQ(0, a.stripe % a.vmr_size);
	EXPECT_LT(0, a.stripe);
	EXPECT_TRUE(rmai_is_memory(a.owner));
	EXPECT_EQ(0, a.seals);
	EXPECT_EQ(RMAI_ON_LOSS_DEFAULT, a.on_loss);
	EXPECT_EQ(RMAI_FETCH_DEFAULT, a.fetch);
	EXPECT_EQ(1, a.generation);
	EXPECT_EQ(0, a.cache_min);
	EXPECT_EQ(0, a.cache_max);
	ASSERT_LT(0, a.nr_nodes);
	for (i = 0; i < RMAI_MAX_NODES; i++) {
		EXPECT_EQ(i < (int)a.nr_nodes, a.nodes[i] != 0);
		EXPECT_TRUE(!a.nodes[i] || rmai_is_memory(a.nodes[i]));
	}
	EXPECT_EQ(-1, rmai_not(a.reserved, sizeof(a.reserved), 0));
	/* A region id is not used again */
	close(self->fd);
	ASSERT_EQ(0, unlink(rmai_path(NAME)));
	fd = rmai_create(NAME, NULL);
	self->fd = fd;
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rmai_getattr(fd, &b));
	EXPECT_NE(a.region_id, b.region_id);
}

TEST_F_TIMEOUT(attr, set, RMAI_TIMEOUT)
{
	struct rmai_attr a = { .mask = RMAI_ATTR_VMR_SIZE, .vmr_size = 3 * MIB + 4096 }, b;
	int fd;

	/* The stripe follows, and the answer says what it is now */
	ASSERT_EQ(0, ioctl(self->fd, RMAI_IOC_SETATTR, &a));
	EXPECT_EQ(3 * MIB + 4096, a.vmr_size);
	EXPECT_EQ(0, a.stripe % a.vmr_size);
	fd = open(rmai_path(NAME), O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rmai_getattr(fd, &b));
	EXPECT_EQ(a.vmr_size, b.vmr_size);
	EXPECT_EQ(a.stripe, b.stripe);
	close(fd);

	memset(&a, 0, sizeof(a));
	a.mask = RMAI_ATTR_STRIPE | RMAI_ATTR_VMR_SIZE;
	a.vmr_size = 8192;
	a.stripe = 24576;
	ASSERT_EQ(0, ioctl(self->fd, RMAI_IOC_SETATTR, &a));
	EXPECT_EQ(24576, a.stripe);

	memset(&a, 0, sizeof(a));
	a.mask = RMAI_ATTR_LAYOUT;
	a.nr_nodes = 1;
	a.nodes[0] = rmai_remote(0) ?: rmai_self();
	fd = a.nodes[0];
	ASSERT_EQ(0, ioctl(self->fd, RMAI_IOC_SETATTR, &a));
	EXPECT_EQ(1, a.nr_nodes);
	EXPECT_EQ(fd, a.nodes[0]);
	EXPECT_EQ(0, a.nodes[1]);
	EXPECT_EQ(24576, a.stripe);

	memset(&a, 0, sizeof(a));
	a.mask = RMAI_ATTR_ON_LOSS;
	a.on_loss = RMAI_ON_LOSS_SIGBUS;
	ASSERT_EQ(0, ioctl(self->fd, RMAI_IOC_SETATTR, &a));
	EXPECT_EQ(RMAI_ON_LOSS_SIGBUS, a.on_loss);

	memset(&a, 0, sizeof(a));
	a.mask = RMAI_ATTR_FETCH | RMAI_ATTR_CACHE;
	a.fetch = RMAI_FETCH_SEQ | RMAI_FETCH_AUTO;
	a.cache_min = 1 << 20;
	a.cache_max = 1 << 21;
	ASSERT_EQ(0, ioctl(self->fd, RMAI_IOC_SETATTR, &a));
	EXPECT_EQ(RMAI_FETCH_SEQ | RMAI_FETCH_AUTO, a.fetch);
	EXPECT_EQ(1 << 20, a.cache_min);
	EXPECT_EQ(1 << 21, a.cache_max);
	EXPECT_EQ(RMAI_ON_LOSS_SIGBUS, a.on_loss);

	/* Nothing to set is no error */
	memset(&a, 0, sizeof(a));
	ASSERT_EQ(0, ioctl(self->fd, RMAI_IOC_SETATTR, &a));
	EXPECT_EQ(8192, a.vmr_size);

	/* The limits */
	memset(&a, 0, sizeof(a));
	a.mask = RMAI_ATTR_VMR_SIZE;
	a.vmr_size = RMAI_VMR_MIN;
	EXPECT_EQ(0, ioctl(self->fd, RMAI_IOC_SETATTR, &a));
	memset(&a, 0, sizeof(a));
	a.mask = RMAI_ATTR_VMR_SIZE;
	a.vmr_size = RMAI_VMR_MAX;
	EXPECT_EQ(0, ioctl(self->fd, RMAI_IOC_SETATTR, &a));
}

TEST_F_TIMEOUT(attr, set_wrong, RMAI_TIMEOUT)
{
	static const uint64_t bad_vmr[] = { 0, 1, 4095, 4097, 6144, 1ULL << 31,
					    RMAI_VMR_MAX + 4096, ~0ULL };
	static const uint64_t bad_stripe[] = { 4096, RMAI_VMR_DEFAULT + 4096, 1, ~0ULL };
	struct rmai_attr before, a;
	unsigned int i;
	int no;

	ASSERT_EQ(0, rmai_getattr(self->fd, &before));
#define WRONG(...)							\
	do {								\
		a = (struct rmai_attr){ __VA_ARGS__ };			\
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, RMAI_IOC_SETATTR, &a)); \
	} while (0)
	for (i = 0; i < sizeof(bad_vmr) / 8; i++)
		WRONG(.mask = RMAI_ATTR_VMR_SIZE, .vmr_size = bad_vmr[i]);
	for (i = 0; i < sizeof(bad_stripe) / 8; i++)
		WRONG(.mask = RMAI_ATTR_STRIPE, .stripe = bad_stripe[i]);
	WRONG(.mask = RMAI_ATTR_LAYOUT);
	WRONG(.mask = RMAI_ATTR_LAYOUT, .nr_nodes = 1);
	WRONG(.mask = RMAI_ATTR_LAYOUT, .nr_nodes = 65);
	WRONG(.mask = RMAI_ATTR_LAYOUT, .nr_nodes = 1, .nodes = { 65 });
	WRONG(.mask = RMAI_ATTR_LAYOUT, .nr_nodes = 1, .nodes = { 255 });
	WRONG(.mask = RMAI_ATTR_LAYOUT, .nr_nodes = 2,
	      .nodes = { before.nodes[0], before.nodes[0] });
	/* A node that is not configured, or no memory node */
	for (no = 1; rmai_is_memory(no); no++)
		;
	WRONG(.mask = RMAI_ATTR_LAYOUT, .nr_nodes = 1, .nodes = { no });
	WRONG(.mask = RMAI_ATTR_ON_LOSS, .on_loss = 3);
	WRONG(.mask = RMAI_ATTR_ALL + 1);
	WRONG(.mask = RMAI_ATTR_FETCH, .fetch = RMAI_FETCH_ALL + 1);
	WRONG(.mask = RMAI_ATTR_CACHE, .cache_min = 2, .cache_max = 1);
	WRONG(.mask = RMAI_ATTR_ON_LOSS, .flags = RMAI_REGION_SEALED);
	WRONG(.reserved = { 1 });
	/* One that is wrong spoils those that are right */
	WRONG(.mask = RMAI_ATTR_VMR_SIZE | RMAI_ATTR_ON_LOSS, .vmr_size = 8192, .on_loss = 3);
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, RMAI_IOC_SETATTR, (void *)8));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, RMAI_IOC_GETATTR, (void *)8));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IO(RMAI_IOC_MAGIC, 99)));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, 0x5401, &a));
	ASSERT_EQ(0, rmai_getattr(self->fd, &a));
	EXPECT_EQ(before.vmr_size, a.vmr_size);
	EXPECT_EQ(before.stripe, a.stripe);
	EXPECT_EQ(before.nr_nodes, a.nr_nodes);
	EXPECT_EQ(before.on_loss, a.on_loss);
}

TEST_F_TIMEOUT(attr, set_too_late, RMAI_TIMEOUT)
{
	struct rmai_attr a;
	void *p;

#define LATE(err, ...)							\
	do {								\
		a = (struct rmai_attr){ __VA_ARGS__ };			\
		EXPECT_ERRNO(err, ioctl(self->fd, RMAI_IOC_SETATTR, &a)); \
	} while (0)
	ASSERT_EQ(1, write(self->fd, "x", 1));
	LATE(EBUSY, .mask = RMAI_ATTR_VMR_SIZE, .vmr_size = 8192);
	LATE(EBUSY, .mask = RMAI_ATTR_STRIPE, .stripe = RMAI_VMR_DEFAULT * 7);
	LATE(EBUSY, .mask = RMAI_ATTR_LAYOUT, .nr_nodes = 1,
	     .nodes = { rmai_remote(0) ?: rmai_self() });
	/* Emptied, it can be changed again ... */
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	a = (struct rmai_attr){ .mask = RMAI_ATTR_VMR_SIZE, .vmr_size = 8192 };
	EXPECT_EQ(0, ioctl(self->fd, RMAI_IOC_SETATTR, &a));
	/* ... but not when it has an address, that is, was mapped */
	p = mmap(NULL, 8192, PROT_READ, RMAI_FLAGS, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	munmap(p, 8192);
	LATE(EBUSY, .mask = RMAI_ATTR_VMR_SIZE, .vmr_size = 4096);
	/* What happens on a loss can be changed at any time */
	ASSERT_EQ(1, write(self->fd, "x", 1));
	ASSERT_EQ(0, rmai_seal(self->fd));
	a = (struct rmai_attr){ .mask = RMAI_ATTR_ON_LOSS, .on_loss = RMAI_ON_LOSS_BLOCK };
	EXPECT_EQ(0, ioctl(self->fd, RMAI_IOC_SETATTR, &a));
	EXPECT_EQ(RMAI_ON_LOSS_BLOCK, a.on_loss);
}

TEST_F_TIMEOUT(attr, stat, RMAI_TIMEOUT)
{
	struct rmai_spec spec = { .vmr_size = 64 * KIB, .nodes = { rmai_remote(0) } };
	const size_t size = 20 * 64 * KIB;
	struct rmai_region_stat st;
	volatile uint8_t *p;
	size_t i;
	int fd;

	if (!spec.nodes[0])
		SKIP(return, "no other memory node");
	close(self->fd);
	ASSERT_EQ(0, unlink(rmai_path(NAME)));
	fd = rmai_sealed(NAME, &spec, size, 1);
	self->fd = fd;
	ASSERT_LE(0, fd);
	memset(&st, 0xff, sizeof(st));
	ASSERT_EQ(0, ioctl(fd, RMAI_IOC_STAT, &st));
	EXPECT_EQ(0, st.home_bytes);
	EXPECT_EQ(0, st.replica_bytes);
	EXPECT_EQ(0, st.fetch_vmrs);
	EXPECT_EQ(0, st.fetch_bytes);
	p = mmap(NULL, size, PROT_READ, RMAI_FLAGS, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < size; i += 4096)
		(void)p[i];
	ASSERT_EQ(0, ioctl(fd, RMAI_IOC_STAT, &st));
	EXPECT_EQ(0, st.home_bytes);
	EXPECT_EQ(size, st.replica_bytes);
	EXPECT_EQ(20, st.fetch_vmrs);
	EXPECT_EQ(size, st.fetch_bytes);
	EXPECT_EQ(0, st.fetch_errors);
	EXPECT_EQ(20, st.rdma_reads);
	EXPECT_EQ(20, st.fault_major);
	EXPECT_LT(0, st.fault_wait_ns);
	TH_LOG("20 VMRs: %llu major, %llu minor faults, %llu us waited",
	       st.fault_major, st.fault_minor, st.fault_wait_ns / 1000);
	munmap((void *)p, size);
	EXPECT_ERRNO(EFAULT, ioctl(fd, RMAI_IOC_STAT, (void *)8));
}

static int nobody_opens(int dir, uint64_t addr)
{
	struct rmai_open_addr oa = { .addr = addr, .flags = O_RDONLY };
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534))
			_exit(255);
		_exit(ioctl(dir, RMAI_IOC_OPEN_ADDR, &oa) < 0 ? errno : 0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 254;
	return WEXITSTATUS(status);
}

TEST_F_TIMEOUT(attr, open_addr, RMAI_TIMEOUT)
{
	struct rmai_open_addr oa = { .flags = O_RDWR | O_CLOEXEC };
	int dir = open(rmai_mnt(), O_RDONLY | O_DIRECTORY), fd;
	struct rmai_attr a, b;
	char c;

	ASSERT_LE(0, dir);
	ASSERT_EQ(0, rmai_write_pattern(self->fd, 0, 100000, 4));
	ASSERT_EQ(0, rmai_seal(self->fd));
	ASSERT_EQ(0, rmai_getattr(self->fd, &a));
	ASSERT_NE(0, a.addr);

	oa.addr = a.addr + 77777;
	fd = ioctl(dir, RMAI_IOC_OPEN_ADDR, &oa);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rmai_getattr(fd, &b));
	EXPECT_EQ(a.region_id, b.region_id);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(O_RDWR, fcntl(fd, F_GETFL) & O_ACCMODE);
	ASSERT_EQ(1, pread(fd, &c, 1, 5));
	EXPECT_EQ(rmai_byte(5, 4), (uint8_t)c);
	close(fd);
	oa.flags = O_RDONLY;
	fd = ioctl(self->fd, RMAI_IOC_OPEN_ADDR, &oa);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, fcntl(fd, F_GETFD));
	EXPECT_EQ(O_RDONLY, fcntl(fd, F_GETFL) & O_ACCMODE);
	close(fd);

	oa.flags = O_WRONLY;
	EXPECT_ERRNO(EINVAL, ioctl(dir, RMAI_IOC_OPEN_ADDR, &oa));
	oa.flags = O_RDONLY | O_TRUNC;
	EXPECT_ERRNO(EINVAL, ioctl(dir, RMAI_IOC_OPEN_ADDR, &oa));
	oa.flags = O_RDONLY;
	oa.reserved = 1;
	EXPECT_ERRNO(EINVAL, ioctl(dir, RMAI_IOC_OPEN_ADDR, &oa));
	oa.reserved = 0;
	oa.addr = 0;
	EXPECT_ERRNO(EINVAL, ioctl(dir, RMAI_IOC_OPEN_ADDR, &oa));
	oa.addr = (uintptr_t)&oa;
	EXPECT_ERRNO(EINVAL, ioctl(dir, RMAI_IOC_OPEN_ADDR, &oa));
	oa.addr = ~0ULL;
	EXPECT_ERRNO(EINVAL, ioctl(dir, RMAI_IOC_OPEN_ADDR, &oa));
	/* In the same slice, where nothing is */
	oa.addr = a.addr + (64ULL << 30);
	EXPECT_ERRNO(ENOENT, ioctl(dir, RMAI_IOC_OPEN_ADDR, &oa));
	EXPECT_ERRNO(EFAULT, ioctl(dir, RMAI_IOC_OPEN_ADDR, (void *)8));
	/* Only these make sense on a directory */
	EXPECT_ERRNO(ENOTTY, ioctl(dir, RMAI_IOC_GETATTR, &a));
	EXPECT_ERRNO(ENOTTY, ioctl(dir, RMAI_IOC_STAT, &a));
	if (!getuid()) {
		EXPECT_EQ(EACCES, nobody_opens(dir, a.addr));
		ASSERT_EQ(0, fchmod(self->fd, 0604));
		EXPECT_EQ(0, nobody_opens(dir, a.addr));
	}
	close(dir);
}

TEST_HARNESS_MAIN

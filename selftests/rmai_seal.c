// SPDX-License-Identifier: GPL-2.0
/*
 * F_ADD_SEALS and F_GET_SEALS: a region answers as a memfd does.
 */
#include "rmai_test.h"
#include "../kselftest_harness.h"

#define NAME "t_seal"

FIXTURE(seal) {
	int fd;
};

/* Where the bytes are: that must not make a difference */
FIXTURE_VARIANT(seal) {
	bool here;
};

FIXTURE_VARIANT_ADD(seal, here) { .here = true };
FIXTURE_VARIANT_ADD(seal, remote) { .here = false };

FIXTURE_SETUP(seal)
{
	struct rmai_spec spec = { .vmr_size = 64 * KIB };
	const char *missing = rmai_missing();

	self->fd = -1;
	if (missing)
		SKIP(return, "%s", missing);
	spec.nodes[0] = variant->here ? rmai_self() : rmai_remote(0);
	if (!rmai_is_memory(spec.nodes[0]))
		SKIP(return, "no memory node of that kind");
	unlink(rmai_path(NAME));
	self->fd = rmai_create(NAME, &spec);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, rmai_write_pattern(self->fd, 0, 100000, 1));
}

FIXTURE_TEARDOWN(seal)
{
	close(self->fd);
	unlink(rmai_path(NAME));
}

/* What each seal forbids and allows, for all sixteen sets of them */
TEST_F_TIMEOUT(seal, all_sets, RMAI_TIMEOUT)
{
	struct rmai_spec spec = { .vmr_size = 64 * KIB, .nodes = {
		variant->here ? rmai_self() : rmai_remote(0) } };
	int seals, fd;
	char c;

	for (seals = 0; seals < 16; seals++) {
		int want_write = seals & F_SEAL_WRITE ? EPERM : 0;
		int want_grow = seals & F_SEAL_GROW ? EPERM : 0;
		int want_shrink = seals & F_SEAL_SHRINK ? EPERM : 0;

		close(self->fd);
		ASSERT_EQ(0, unlink(rmai_path(NAME)));
		fd = rmai_create(NAME, &spec);
		self->fd = fd;
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, rmai_write_pattern(fd, 0, 100000, seals));
		ASSERT_EQ(0, fcntl(fd, F_GET_SEALS));
		ASSERT_EQ(0, fcntl(fd, F_ADD_SEALS, seals));
		ASSERT_EQ(seals, fcntl(fd, F_GET_SEALS));

		errno = 0;
		EXPECT_EQ(want_write ? -1 : 1, pwrite(fd, "x", 1, 50000));
		EXPECT_EQ(want_write, errno);
		errno = 0;
		EXPECT_EQ(want_write || want_grow ? -1 : 1, pwrite(fd, "x", 1, 100000));
		EXPECT_EQ(want_write || want_grow ? EPERM : 0, errno);
		errno = 0;
		EXPECT_EQ(want_grow ? -1 : 0, ftruncate(fd, 200000));
		EXPECT_EQ(want_grow, errno);
		errno = 0;
		EXPECT_EQ(want_shrink ? -1 : 0, ftruncate(fd, 70000));
		EXPECT_EQ(want_shrink, errno);
		/* Reading is never forbidden, and sees what is there */
		ASSERT_EQ(1, pread(fd, &c, 1, 50000));
		EXPECT_EQ(want_write ? rmai_byte(50000, seals) : 'x', (uint8_t)c);
		/* More seals can come, unless F_SEAL_SEAL is there */
		errno = 0;
		EXPECT_EQ(seals & F_SEAL_SEAL ? -1 : 0, fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
		EXPECT_EQ(seals & F_SEAL_SEAL ? EPERM : 0, errno);
		EXPECT_EQ(seals & F_SEAL_SEAL ? seals : seals | F_SEAL_GROW,
			  fcntl(fd, F_GET_SEALS));
	}
}

TEST_F_TIMEOUT(seal, errors, RMAI_TIMEOUT)
{
	int ro = open(rmai_path(NAME), O_RDONLY);

	ASSERT_LE(0, ro);
	EXPECT_ERRNO(EPERM, fcntl(ro, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(0, fcntl(ro, F_GET_SEALS));
	EXPECT_ERRNO(EINVAL, fcntl(self->fd, F_ADD_SEALS, 0x80));
	EXPECT_ERRNO(EINVAL, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE | 0x40000000));
	/* F_SEAL_FUTURE_WRITE and F_SEAL_EXEC: not for regions */
	EXPECT_ERRNO(EINVAL, fcntl(self->fd, F_ADD_SEALS, 0x10));
	EXPECT_ERRNO(EINVAL, fcntl(self->fd, F_ADD_SEALS, 0x20));
	EXPECT_EQ(0, fcntl(self->fd, F_GET_SEALS));
	/* Twice is once */
	EXPECT_EQ(0, rmai_seal(self->fd));
	EXPECT_EQ(0, rmai_seal(self->fd));
	EXPECT_EQ(RMAI_SEALS, fcntl(self->fd, F_GET_SEALS));
	EXPECT_EQ(0, fcntl(self->fd, F_ADD_SEALS, F_SEAL_SEAL));
	EXPECT_ERRNO(EPERM, fcntl(self->fd, F_ADD_SEALS, F_SEAL_SEAL));
	close(ro);
	/* The directory has no seals */
	ro = open(rmai_mnt(), O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, ro);
	EXPECT_ERRNO(EINVAL, fcntl(ro, F_GET_SEALS));
	close(ro);
}

TEST_F_TIMEOUT(seal, writable_mapping, RMAI_TIMEOUT)
{
	void *p = mmap(NULL, 64 * KIB, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, rmai_poke(p, 'q'));
	EXPECT_ERRNO(EBUSY, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(0, fcntl(self->fd, F_GET_SEALS));
	/* The failure has left it writable */
	EXPECT_EQ(1, pwrite(self->fd, "r", 1, 1));
	/* What does not concern bytes is no matter */
	EXPECT_EQ(0, fcntl(self->fd, F_ADD_SEALS, F_SEAL_GROW));
	/* Made read-only it can still be made writable again: so still EBUSY */
	ASSERT_EQ(0, mprotect(p, 64 * KIB, PROT_READ));
	EXPECT_ERRNO(EBUSY, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
	munmap(p, 64 * KIB);
	EXPECT_EQ(0, rmai_seal(self->fd));

	/* From now on none may write, and none of the mappings learn to */
	p = mmap(NULL, 64 * KIB, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(EPERM, errno);
	p = mmap(NULL, 64 * KIB, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ('q', *(char *)p);
	EXPECT_EQ('r', ((char *)p)[1]);
	EXPECT_ERRNO(EACCES, mprotect(p, 64 * KIB, PROT_READ | PROT_WRITE));
	munmap(p, 64 * KIB);
}

TEST_F_TIMEOUT(seal, sealed_through_another_fd, RMAI_TIMEOUT)
{
	int fd = open(rmai_path(NAME), O_RDWR);
	struct rmai_attr attr;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rmai_seal(fd));
	EXPECT_ERRNO(EPERM, pwrite(self->fd, "x", 1, 0));
	EXPECT_ERRNO(EPERM, ftruncate(self->fd, 1));
	EXPECT_ERRNO(EPERM, truncate(rmai_path(NAME), 1));
	EXPECT_ERRNO(EPERM, open(rmai_path(NAME), O_RDWR | O_TRUNC));
	ASSERT_EQ(0, rmai_getattr(self->fd, &attr));
	EXPECT_EQ(RMAI_REGION_SEALED, attr.flags);
	EXPECT_EQ(RMAI_SEALS, attr.seals);
	EXPECT_NE(0, attr.addr);
	/* Names and permissions are not sealed */
	EXPECT_EQ(0, fchmod(self->fd, 0444));
	EXPECT_EQ(0, rename(rmai_path(NAME), rmai_path("t_seal2")));
	EXPECT_EQ(0, rename(rmai_path("t_seal2"), rmai_path(NAME)));
	close(fd);
}

TEST_F_TIMEOUT(seal, empty, RMAI_TIMEOUT)
{
	char c;

	ASSERT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_EQ(0, rmai_seal(self->fd));
	EXPECT_EQ(0, pread(self->fd, &c, 1, 0));
	EXPECT_ERRNO(EPERM, pwrite(self->fd, "x", 1, 0));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * RMAI_IOC_PUBLISH, RMAI_IOC_VMRS and RMAI_IOC_RESET: what they do, and what they refuse.
 * Several nodes at once are the business of cluster_publish.sh and cluster_vmrs.sh.
 */
#include "rmai_test.h"
#include "../kselftest_harness.h"

#define NAME	"t_publish"
#define NEXT	"t_publish_next"
#define OPEN	"t_publish_open"
#define SIZE	(300 * KIB)

FIXTURE(publish) {
	int old;
	int next;
};

/* Where the bytes are: that must not make a difference */
FIXTURE_VARIANT(publish) {
	bool here;
};

FIXTURE_VARIANT_ADD(publish, here) { .here = true };
FIXTURE_VARIANT_ADD(publish, remote) { .here = false };

static void gone(const char *name)
{
	unlink(rmai_path(name));
}

FIXTURE_SETUP(publish)
{
	struct rmai_spec spec = { .vmr_size = 64 * KIB };
	const char *missing = rmai_missing();

	self->old = -1;
	self->next = -1;
	if (missing)
		SKIP(return, "%s", missing);
	spec.nodes[0] = variant->here ? rmai_self() : rmai_remote(0);
	if (!rmai_is_memory(spec.nodes[0]))
		SKIP(return, "no memory node of that kind");
	gone(NAME);
	gone(NEXT);
	self->old = rmai_sealed(NAME, &spec, SIZE, 1);
	ASSERT_LE(0, self->old);
	self->next = rmai_sealed(NEXT, &spec, SIZE, 2);
	ASSERT_LE(0, self->next);
}

FIXTURE_TEARDOWN(publish)
{
	close(self->old);
	close(self->next);
	gone(NAME);
	gone(NEXT);
}

static int publish(int fd, const char *name, int old, uint32_t *generation)
{
	struct rmai_publish p = { .old = old };
	int ret;

	memcpy(p.name, name, strlen(name));
	ret = ioctl(fd, RMAI_IOC_PUBLISH, &p);
	if (generation)
		*generation = p.generation;
	return ret;
}

/* With the rights of another user */
static int publish_as(uid_t uid, int fd, const char *name)
{
	int ret, err;

	if (seteuid(uid))
		return -1;
	ret = publish(fd, name, -1, NULL);
	err = errno;
	if (seteuid(0))
		return -1;
	errno = err;
	return ret;
}

/* A region that is not sealed, new */
static int open_region(const struct rmai_spec *spec)
{
	gone(OPEN);
	return rmai_create(OPEN, spec);
}

/* Do the first bytes of an open file, and of what a name stands for, have this seed? */
static bool has(int fd, uint64_t seed)
{
	uint8_t buf[8192];

	return pread(fd, buf, sizeof(buf), 100000) == sizeof(buf) &&
	       rmai_wrong(buf, sizeof(buf), 100000, seed) < 0;
}

static bool name_has(const char *name, uint64_t seed)
{
	int fd = open(rmai_path(name), O_RDONLY);
	bool ret = fd >= 0 && has(fd, seed);

	close(fd);
	return ret;
}

TEST_F_TIMEOUT(publish, replaces, RMAI_TIMEOUT)
{
	struct rmai_attr was, is;
	uint32_t generation;
	struct stat st;
	uint8_t *p;

	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, self->old, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(rmai_byte(0, 1), p[0]);
	ASSERT_EQ(0, rmai_getattr(self->next, &is));
	EXPECT_EQ(1, is.generation);
	ASSERT_EQ(0, publish(self->next, NAME, self->old, &generation));
	EXPECT_EQ(2, generation);
	EXPECT_ERRNO(ENOENT, open(rmai_path(NEXT), O_RDONLY));
	EXPECT_TRUE(name_has(NAME, 2));
	/* Who has the old one keeps it, also what it has not touched yet */
	EXPECT_TRUE(has(self->old, 1));
	EXPECT_EQ(rmai_byte(200000, 1), p[200000]);
	ASSERT_EQ(0, rmai_getattr(self->old, &was));
	ASSERT_EQ(0, rmai_getattr(self->next, &is));
	EXPECT_EQ(1, was.generation);
	EXPECT_EQ(2, is.generation);
	EXPECT_NE(was.region_id, is.region_id);
	ASSERT_EQ(0, fstat(self->old, &st));
	EXPECT_EQ(0, st.st_nlink);
	ASSERT_EQ(0, fstat(self->next, &st));
	EXPECT_EQ(1, st.st_nlink);
	munmap(p, SIZE);
}

TEST_F_TIMEOUT(publish, old_one_is_freed, RMAI_TIMEOUT)
{
	long long regions = rmai_stat("regions");

	ASSERT_EQ(0, publish(self->next, NAME, -1, NULL));
	EXPECT_EQ(regions, rmai_stat("regions"));
	close(self->old);
	self->old = -1;
	EXPECT_TRUE(rmai_stat_becomes("regions", regions - 1, 20));
	EXPECT_TRUE(name_has(NAME, 2));
}

TEST_F_TIMEOUT(publish, generations_grow, RMAI_TIMEOUT)
{
	struct rmai_spec spec = { .vmr_size = 64 * KIB };
	uint32_t generation = 0, i;
	int fd;

	ASSERT_EQ(0, publish(self->next, NAME, -1, &generation));
	for (i = 3; i < 8; i++) {
		fd = rmai_sealed(NEXT, &spec, SIZE, i);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, publish(fd, NAME, -1, &generation));
		EXPECT_EQ(i, generation);
		close(fd);
		EXPECT_TRUE(name_has(NAME, i));
	}
	/* Under another name it does not fall either */
	fd = rmai_sealed(NEXT, &spec, SIZE, 9);
	ASSERT_LE(0, fd);
	close(fd);
	fd = open(rmai_path(NAME), O_RDONLY);
	ASSERT_EQ(0, publish(fd, NEXT, -1, &generation));
	EXPECT_EQ(7, generation);
	close(fd);
}

TEST_F_TIMEOUT(publish, arguments, RMAI_TIMEOUT)
{
	struct rmai_publish p = { .name = NAME, .old = -1, .reserved = 1 };
	int fd;

	EXPECT_ERRNO(EINVAL, ioctl(self->next, RMAI_IOC_PUBLISH, &p));
	memset(&p, 'x', sizeof(p));
	p.reserved = 0;
	p.old = -1;
	EXPECT_ERRNO(EINVAL, ioctl(self->next, RMAI_IOC_PUBLISH, &p));
	EXPECT_ERRNO(EFAULT, ioctl(self->next, RMAI_IOC_PUBLISH, (void *)8));
	EXPECT_ERRNO(EINVAL, publish(self->next, "", -1, NULL));
	EXPECT_ERRNO(EINVAL, publish(self->next, ".", -1, NULL));
	EXPECT_ERRNO(EINVAL, publish(self->next, "..", -1, NULL));
	EXPECT_ERRNO(EINVAL, publish(self->next, "a/" NAME, -1, NULL));
	EXPECT_ERRNO(EINVAL, publish(self->next, NAME, -2, NULL));
	EXPECT_ERRNO(EBADF, publish(self->next, NAME, 4321, NULL));
	fd = open("/proc/self/exe", O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EXDEV, publish(self->next, NAME, fd, NULL));
	close(fd);
	fd = open(rmai_mnt(), O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, fd);
	EXPECT_ERRNO(ENOTTY, publish(fd, NAME, -1, NULL));
	EXPECT_ERRNO(ESTALE, publish(self->next, NAME, fd, NULL));
	close(fd);
	EXPECT_TRUE(name_has(NAME, 1));
	EXPECT_TRUE(name_has(NEXT, 2));
}

TEST_F_TIMEOUT(publish, wrong_regions, RMAI_TIMEOUT)
{
	struct rmai_attr attr;
	int open_fd;

	EXPECT_ERRNO(ENOENT, publish(self->next, "t_publish_none", -1, NULL));
	EXPECT_ERRNO(EINVAL, publish(self->next, NEXT, -1, NULL));
	EXPECT_ERRNO(ESTALE, publish(self->next, NAME, self->next, NULL));
	open_fd = open_region(NULL);
	ASSERT_LE(0, open_fd);
	EXPECT_ERRNO(EINVAL, publish(open_fd, NAME, -1, NULL));
	EXPECT_ERRNO(EINVAL, publish(self->next, OPEN, -1, NULL));
	close(open_fd);
	gone(OPEN);
	ASSERT_EQ(0, rmai_getattr(self->next, &attr));
	EXPECT_EQ(1, attr.generation);
	/* What has lost its name does not get another */
	gone(NEXT);
	EXPECT_ERRNO(ENOENT, publish(self->next, NAME, -1, NULL));
	EXPECT_TRUE(name_has(NAME, 1));
}

TEST_F_TIMEOUT(publish, permission, RMAI_TIMEOUT)
{
	if (geteuid())
		SKIP(return, "must be root");
	/* The directory is sticky, and both regions are root's */
	ASSERT_EQ(0, fchmod(self->next, 0666));
	ASSERT_EQ(0, fchmod(self->old, 0666));
	EXPECT_ERRNO(EPERM, publish_as(12345, self->next, NAME));
	/* One's own may be replaced by one's own */
	ASSERT_EQ(0, fchown(self->next, 12345, -1));
	EXPECT_ERRNO(EPERM, publish_as(12345, self->next, NAME));
	ASSERT_EQ(0, fchown(self->old, 12345, -1));
	EXPECT_EQ(0, publish_as(12345, self->next, NAME));
	EXPECT_EQ(0, geteuid());
	EXPECT_TRUE(name_has(NAME, 2));
}

static int vmrs(int fd, struct rmai_vmrs *v, struct rmai_vmr *list)
{
	v->vmrs = (uintptr_t)list;
	return ioctl(fd, RMAI_IOC_VMRS, v);
}

TEST_F_TIMEOUT(publish, vmrs, RMAI_TIMEOUT)
{
	struct rmai_vmr list[RMAI_VMRS_MAX];
	struct rmai_spec spec = { .vmr_size = 64 * KIB };
	struct rmai_reset r = { .nr = 5 };
	int fd, ro;

#define VMRS(...) vmrs(self->next, &(struct rmai_vmrs){ __VA_ARGS__ }, list)
	EXPECT_ERRNO(EINVAL, VMRS(.what = 0, .nr = 1));
	EXPECT_ERRNO(EINVAL, VMRS(.what = 3, .nr = 1));
	EXPECT_ERRNO(EINVAL, VMRS(.what = RMAI_VMRS_HOT));
	EXPECT_ERRNO(EINVAL, VMRS(.what = RMAI_VMRS_HOT, .nr = RMAI_VMRS_MAX + 1));
	EXPECT_ERRNO(EINVAL, VMRS(.what = RMAI_VMRS_HOT, .nr = 1, .first = 1));
	EXPECT_ERRNO(EINVAL, VMRS(.what = RMAI_VMRS_LOST, .nr = 1, .first = 1ULL << 50));
	EXPECT_ERRNO(EINVAL, VMRS(.what = RMAI_VMRS_HOT, .nr = 1, .missing = 1));
	EXPECT_ERRNO(EFAULT, ioctl(self->next, RMAI_IOC_VMRS, (void *)8));
	EXPECT_EQ(0, VMRS(.what = RMAI_VMRS_LOST, .nr = RMAI_VMRS_MAX));

	/* A mapping of this node's writes, then write(2): the home has to recall it */
	spec.nodes[0] = variant->here ? rmai_self() : rmai_remote(0);
	fd = open_region(&spec);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, SIZE));
	if (!variant->here) {
		struct rmai_vmrs v = { .what = RMAI_VMRS_HOT, .nr = RMAI_VMRS_MAX };
		uint8_t *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, rmai_poke(p + 70000, 'x'));
		ASSERT_EQ(1, pwrite(fd, "y", 1, 70001));
		ASSERT_EQ(0, vmrs(fd, &v, list));
		ASSERT_EQ(1, v.nr);
		EXPECT_EQ(1, list[0].vmr);
		EXPECT_EQ(1, list[0].recalls);
		EXPECT_EQ(1, list[0].moves);
		EXPECT_EQ(0, list[0].owner);
		EXPECT_EQ(spec.nodes[0], list[0].home);
		EXPECT_EQ(1ULL << (rmai_self() - 1) | 1ULL << (spec.nodes[0] - 1),
			  list[0].writers);
		v.nr = 1;
		v.what = RMAI_VMRS_LOST;
		ASSERT_EQ(0, vmrs(fd, &v, list));
		EXPECT_EQ(0, v.nr);
		EXPECT_EQ(0, v.first);
		EXPECT_EQ('x', p[70000]);
		munmap(p, SIZE);
	}
	/* None is lost */
	ASSERT_EQ(0, ioctl(fd, RMAI_IOC_RESET, &r));
	EXPECT_EQ(0, r.nr);
	EXPECT_ERRNO(EINVAL, ioctl(fd, RMAI_IOC_RESET, &r));
	r.nr = 2;
	r.first = (1ULL << 50) - 1;
	EXPECT_ERRNO(EINVAL, ioctl(fd, RMAI_IOC_RESET, &r));
	r.first = 0;
	EXPECT_ERRNO(EFAULT, ioctl(fd, RMAI_IOC_RESET, (void *)8));
	ro = open(rmai_path(OPEN), O_RDONLY);
	ASSERT_LE(0, ro);
	EXPECT_ERRNO(EBADF, ioctl(ro, RMAI_IOC_RESET, &r));
	close(ro);
	close(fd);
	gone(OPEN);
}

TEST_HARNESS_MAIN

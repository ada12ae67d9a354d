// SPDX-License-Identifier: GPL-2.0
/*
 * Who takes pages of a mapping for itself: get_user_pages() in its kinds, direct I/O,
 * io_uring's registered buffers, vmsplice(2), futexes.
 *
 * RMAI_BLOCK (single.sh sets it) is a file on a disk, or a disk, that may be written.
 */
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sys/uio.h>

#include "rmai_mm.h"

/* Of mm/gup_test.h, which is not for user space */
struct gup_test {
	__u64 get_delta_usec, put_delta_usec;
	__u64 addr, size;
	__u32 nr_pages_per_call, gup_flags, test_flags;
	__u32 which_pages[8];
};

struct pin_longterm_test {
	__u64 addr, size;
	__u32 flags;
};

#define GUP_FAST	_IOWR('g', 1, struct gup_test)
#define PIN_FAST	_IOWR('g', 2, struct gup_test)
#define PIN_LONGTERM	_IOWR('g', 3, struct gup_test)
#define GUP_SLOW	_IOWR('g', 4, struct gup_test)
#define PIN_SLOW	_IOWR('g', 5, struct gup_test)
#define PIN_HOLD	_IOW('g', 7, struct pin_longterm_test)
#define PIN_RELEASE	_IO('g', 8)
#define PIN_READ	_IOW('g', 9, __u64)
#define FOLL_WRITE	1
#define HOLD_WRITE	1
#define HOLD_FAST	2

/* Does a read fault bring data from another node, which only some can wait for? */
static bool absent(enum mm_kind kind)
{
	return kind != MM_HOME;
}

/*
 * Is a long-lived pin for writing refused? As for any file whose mappings are told of
 * the first store: an open region that can be mapped anywhere.
 */
static bool tracked(enum mm_kind kind)
{
	return kind == MM_OPEN || (kind == MM_HOME && mm_coherent());
}

static int gup_open(void)
{
	return open("/sys/kernel/debug/gup_test", O_RDWR);
}

/* Bytes that could be had, of LEN */
static long gup(int fd, unsigned long cmd, const void *p, unsigned int flags)
{
	struct gup_test t = {
		.addr = (uintptr_t)p, .size = LEN, .nr_pages_per_call = PAGES,
		.gup_flags = flags,
	};

	return ioctl(fd, cmd, &t) ? -errno : t.size;
}

MM_TEST(gup_fast)
{
	int fd = gup_open();

	if (fd < 0)
		SKIP(return, "no CONFIG_GUP_TEST, or debugfs is not mounted");
	/* Falls back to faults, which may wait */
	EXPECT_EQ(LEN, gup(fd, GUP_FAST, self->p, 0));
	EXPECT_EQ(LEN, gup(fd, GUP_FAST, self->p, 0));
	mm_drop(self);
	EXPECT_EQ(LEN, gup(fd, PIN_FAST, self->p, 0));
	EXPECT_EQ(PAGES, mm_resident(self->p, LEN));
	EXPECT_RIGHT();
	EXPECT_EQ(self->writable ? LEN : 0, gup(fd, GUP_FAST, self->p, FOLL_WRITE));
	EXPECT_EQ(self->writable ? LEN : 0, gup(fd, PIN_FAST, self->p, FOLL_WRITE));
	close(fd);
	mm_store(self, 2);
}

MM_TEST(gup_slow)
{
	int fd = gup_open();

	if (fd < 0)
		SKIP(return, "no CONFIG_GUP_TEST, or debugfs is not mounted");
	/* Under mmap_lock, and with nothing that says it may be dropped */
	if (absent(variant->kind)) {
		EXPECT_EQ(0, gup(fd, GUP_SLOW, self->p, 0));
		EXPECT_EQ(0, gup(fd, PIN_SLOW, self->p, 0));
		EXPECT_EQ(0, gup(fd, PIN_LONGTERM, self->p, 0));
	}
	EXPECT_EQ(-1, rmai_wrong(self->other, LEN, 0, 1));
	EXPECT_EQ(LEN, gup(fd, GUP_SLOW, self->p, 0));
	EXPECT_EQ(LEN, gup(fd, PIN_SLOW, self->p, 0));
	EXPECT_EQ(LEN, gup(fd, PIN_LONGTERM, self->p, 0));
	if (variant->kind != MM_OPEN) {
		EXPECT_EQ(self->writable ? LEN : 0, gup(fd, GUP_SLOW, self->p, FOLL_WRITE));
		EXPECT_EQ(self->writable ? LEN : 0, gup(fd, PIN_SLOW, self->p, FOLL_WRITE));
	}
	close(fd);
	mm_store(self, 2);
}

/* What is pinned may be asked to go by all means, and stays */
static void squeeze(const FIXTURE_DATA(mm) * self)
{
	madvise(self->p, LEN, MADV_PAGEOUT);
	mm_drop(self);
	mm_write_file("/proc/sys/vm/drop_caches", "3");
	mm_write_file("/proc/sys/vm/compact_memory", "1");
}

MM_TEST(longterm_pin)
{
	struct pin_longterm_test t = { .addr = (uintptr_t)self->p, .size = LEN,
				       .flags = HOLD_FAST };
	static uint8_t buf[LEN];
	uint64_t at = (uintptr_t)buf;
	int fd = gup_open();

	if (fd < 0)
		SKIP(return, "no CONFIG_GUP_TEST, or debugfs is not mounted");
	memset(buf, 0, LEN);
	ASSERT_EQ(0, ioctl(fd, PIN_HOLD, &t));
	squeeze(self);
	/* A private page is copied first: what is pinned must be what the process sees */
	if (variant->kind == MM_SEALED || variant->kind == MM_HOME)
		EXPECT_EQ(PAGES, mm_resident(self->p, LEN));
	ASSERT_EQ(0, ioctl(fd, PIN_READ, &at));
	EXPECT_EQ(-1, rmai_wrong(buf, LEN, 0, 1));
	if (variant->kind == MM_HOME) {
		mm_store(self, 2);
		ASSERT_EQ(0, ioctl(fd, PIN_READ, &at));
		EXPECT_EQ(-1, rmai_wrong(buf, LEN, 0, 2));
	}
	EXPECT_RIGHT();
	/* Also when the mapping goes first */
	munmap(self->p, LEN);
	self->p = NULL;
	mm_drop(self);
	ASSERT_EQ(0, ioctl(fd, PIN_READ, &at));
	EXPECT_EQ(-1, rmai_wrong(buf, LEN, 0, self->seed));
	ASSERT_EQ(0, ioctl(fd, PIN_RELEASE));
	close(fd);
	mm_drop(self);
	if (variant->kind == MM_SEALED)
		EXPECT_EQ(0, mm_resident(self->other, LEN));
}

MM_TEST(longterm_pin_write)
{
	struct pin_longterm_test t = { .addr = (uintptr_t)self->p, .size = LEN,
				       .flags = HOLD_FAST | HOLD_WRITE };
	static uint8_t buf[LEN];
	uint64_t at = (uintptr_t)buf;
	int fd = gup_open(), status;
	pid_t pid;

	if (fd < 0)
		SKIP(return, "no CONFIG_GUP_TEST, or debugfs is not mounted");
	if (!self->writable || tracked(variant->kind)) {
		EXPECT_ERRNO(EFAULT, ioctl(fd, PIN_HOLD, &t));
		close(fd);
		return;
	}
	ASSERT_EQ(0, ioctl(fd, PIN_HOLD, &t));
	/* Copy-on-write must not part the process from what is pinned */
	pid = fork();
	if (!pid)
		_exit(rmai_wrong(self->p, LEN, 0, 1) >= 0);
	mm_store(self, 2);
	status = mm_wait(pid);
	EXPECT_TRUE(self->shared || !status);
	squeeze(self);
	ASSERT_EQ(0, ioctl(fd, PIN_READ, &at));
	EXPECT_EQ(-1, rmai_wrong(buf, LEN, 0, 2));
	ASSERT_EQ(0, ioctl(fd, PIN_RELEASE));
	/* To the process MADV_DONTNEED in squeeze() has lost its copies */
	self->seed = self->file_seed;
	close(fd);
}

/* O_DIRECT on a disk, for LEN bytes; -1: there is none */
static int disk(void)
{
	const char *path = getenv("RMAI_BLOCK");

	return path ? open(path, O_RDWR | O_DIRECT) : -1;
}

#define NO_DISK	"RMAI_BLOCK names no file on a disk (single.sh makes one of /dev/ram0)"

static void *aligned(void)
{
	void *p = mmap(NULL, LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

MM_TEST(direct_write)
{
	int fd = disk();
	uint8_t *buf;

	if (fd < 0)
		SKIP(return, NO_DISK);
	buf = aligned();
	ASSERT_NE(NULL, buf);
	mm_store(self, 2);
	/* From memory that has to be fetched for it */
	ASSERT_EQ(LEN, pwrite(fd, self->p, LEN, 0));
	ASSERT_EQ(LEN, pread(fd, buf, LEN, 0));
	EXPECT_EQ(-1, rmai_wrong(buf, LEN, 0, self->seed));
	/* Parts of VMRs */
	ASSERT_EQ(VMR, pwrite(fd, self->p + 3 * VMR + PAGE, VMR, PAGE));
	ASSERT_EQ(VMR, pread(fd, buf, VMR, PAGE));
	EXPECT_EQ(-1, rmai_wrong(buf, VMR, 3 * VMR + PAGE, self->seed));
	munmap(buf, LEN);
	close(fd);
}

MM_TEST(direct_read)
{
	int fd = disk();
	uint8_t *buf;

	if (fd < 0)
		SKIP(return, NO_DISK);
	buf = aligned();
	ASSERT_NE(NULL, buf);
	rmai_fill(buf, LEN, 0, 3);
	ASSERT_EQ(LEN, pwrite(fd, buf, LEN, 0));
	if (!self->writable) {
		EXPECT_ERRNO(EFAULT, pread(fd, self->p, LEN, 0));
	} else {
		/* Into memory that has not been touched before */
		ASSERT_EQ(LEN, pread(fd, self->p, LEN, 0));
		self->seed = 3;
		if (self->shared)
			self->file_seed = 3;
		EXPECT_RIGHT();
	}
	munmap(buf, LEN);
	close(fd);
}

MM_TEST(direct_on_region)
{
	/* The page cache is where the data is: there is nothing to go past it to */
	EXPECT_ERRNO(EINVAL, open(rmai_path(MM_NAME), O_RDONLY | O_DIRECT));
}

/* As little of io_uring as it takes: one operation at a time */
struct ring {
	int fd;
	struct io_uring_params p;
	uint8_t *sq, *cq;
	struct io_uring_sqe *sqe;
};

static bool ring_open(struct ring *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = syscall(SYS_io_uring_setup, 4, &r->p);
	if (r->fd < 0)
		return false;
	r->sq = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_CQ_RING);
	r->sqe = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQES);
	return r->sq != MAP_FAILED && r->cq != MAP_FAILED && r->sqe != MAP_FAILED;
}

static void ring_close(struct ring *r)
{
	munmap(r->sq, PAGE);
	munmap(r->cq, PAGE);
	munmap(r->sqe, PAGE);
	close(r->fd);
}

/* Result of the operation */
static int ring_do(struct ring *r, int op, int fd, void *buf, size_t len, uint64_t off)
{
	uint32_t *sq_tail = (uint32_t *)(r->sq + r->p.sq_off.tail);
	uint32_t *array = (uint32_t *)(r->sq + r->p.sq_off.array);
	uint32_t *cq_head = (uint32_t *)(r->cq + r->p.cq_off.head);
	uint32_t *cq_tail = (uint32_t *)(r->cq + r->p.cq_off.tail);
	struct io_uring_cqe *cqes = (void *)(r->cq + r->p.cq_off.cqes);
	uint32_t tail = *sq_tail, head = *cq_head, i = tail & (r->p.sq_entries - 1);
	struct io_uring_sqe *sqe = &r->sqe[i];
	int res;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)buf;
	sqe->len = len;
	sqe->off = off;
	array[i] = i;
	__atomic_store_n(sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -errno;
	if (head == __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE))
		return -ENODATA;
	res = cqes[head & (r->p.cq_entries - 1)].res;
	__atomic_store_n(cq_head, head + 1, __ATOMIC_RELEASE);
	return res;
}

MM_TEST(uring_registered)
{
	struct iovec iov = { self->p, LEN };
	int fd = syscall(SYS_memfd_create, "t", 0);
	static uint8_t buf[LEN];
	struct ring r;

	ASSERT_LE(0, fd);
	if (!ring_open(&r))
		SKIP(return, "no io_uring");
	/* Registered buffers are pinned for writing, for as long as it takes */
	if (!self->writable || tracked(variant->kind)) {
		EXPECT_ERRNO(EFAULT, syscall(SYS_io_uring_register, r.fd,
					     IORING_REGISTER_BUFFERS, &iov, 1));
		goto out;
	}
	ASSERT_EQ(0, syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &iov, 1));
	squeeze(self);
	/* From it, and into it */
	EXPECT_EQ(LEN, ring_do(&r, IORING_OP_WRITE_FIXED, fd, self->p, LEN, 0));
	EXPECT_EQ(LEN, pread(fd, buf, LEN, 0));
	EXPECT_EQ(-1, rmai_wrong(buf, LEN, 0, 1));
	rmai_fill(buf, LEN, 0, 4);
	EXPECT_EQ(LEN, pwrite(fd, buf, LEN, 0));
	EXPECT_EQ(LEN, ring_do(&r, IORING_OP_READ_FIXED, fd, self->p, LEN, 0));
	/* A private mapping sees it, too: MADV_DONTNEED in squeeze() took that away */
	if (self->shared) {
		self->seed = 4;
		self->file_seed = 4;
	}
	EXPECT_RIGHT();
	EXPECT_EQ(0, syscall(SYS_io_uring_register, r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
out:
	ring_close(&r);
	close(fd);
}

MM_TEST(uring)
{
	int fd = syscall(SYS_memfd_create, "t", 0);
	static uint8_t buf[LEN];
	struct ring r;

	ASSERT_LE(0, fd);
	if (!ring_open(&r))
		SKIP(return, "no io_uring");
	/* The region as a file, and as an ordinary buffer */
	EXPECT_EQ(LEN, ring_do(&r, IORING_OP_READ, self->fd, buf, LEN, 0));
	EXPECT_EQ(-1, rmai_wrong(buf, LEN, 0, 1));
	mm_drop(self);
	EXPECT_EQ(LEN, ring_do(&r, IORING_OP_WRITE, fd, self->p, LEN, 0));
	EXPECT_EQ(LEN, pread(fd, buf, LEN, 0));
	EXPECT_EQ(-1, rmai_wrong(buf, LEN, 0, 1));
	EXPECT_EQ(0, ring_do(&r, IORING_OP_MADVISE, 0, self->p, LEN, 0));
	ring_close(&r);
	close(fd);
}

MM_TEST(vmsplice)
{
	struct iovec iov = { self->p + VMR + 100, VMR };
	static uint8_t buf[VMR];
	int pipefd[2];
	size_t n;

	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_LE(VMR + PAGE, fcntl(pipefd[0], F_SETPIPE_SZ, 4 * VMR));
	/* Pages in a pipe outlive their mapping, and their place in the page cache */
	ASSERT_EQ(VMR, vmsplice(pipefd[1], &iov, 1, 0));
	mm_drop(self);
	munmap(self->p, LEN);
	self->p = NULL;
	madvise(self->other, LEN, MADV_PAGEOUT);
	for (n = 0; n < VMR; n += PAGE)
		ASSERT_EQ(PAGE, read(pipefd[0], buf + n, PAGE));
	EXPECT_EQ(-1, rmai_wrong(buf, VMR, VMR + 100, 1));
	/* As a gift, which is not taken: they are the region's */
	iov.iov_base = self->other;
	ASSERT_EQ(VMR, vmsplice(pipefd[1], &iov, 1, SPLICE_F_GIFT));
	for (n = 0; n < VMR; n += PAGE)
		ASSERT_EQ(PAGE, read(pipefd[0], buf + n, PAGE));
	EXPECT_EQ(-1, rmai_wrong(buf, VMR, 0, 1));
	close(pipefd[0]);
	close(pipefd[1]);
}

MM_TEST(splice)
{
	int fd = syscall(SYS_memfd_create, "t", 0), pipefd[2];
	static uint8_t buf[LEN];
	loff_t off = 0;
	size_t n = 0;
	ssize_t got;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe(pipefd));
	while (n < LEN) {
		got = splice(self->fd, &off, pipefd[1], NULL, LEN - n, 0);
		ASSERT_LT(0, got);
		ASSERT_EQ(got, splice(pipefd[0], NULL, fd, NULL, got, 0));
		n += got;
	}
	ASSERT_EQ(LEN, pread(fd, buf, LEN, 0));
	EXPECT_EQ(-1, rmai_wrong(buf, LEN, 0, 1));
	close(pipefd[0]);
	close(pipefd[1]);
	close(fd);
}

static void *futex_waiter(void *arg)
{
	uint32_t *word = arg, is = *(volatile uint32_t *)word;
	struct timespec tmo = { 60, 0 };

	return (void *)(long)syscall(SYS_futex, word, FUTEX_WAIT, is, &tmo, NULL, 0);
}

MM_TEST(futex)
{
	double end = rmai_now() + 60;
	pthread_t t;
	void *res;

	/* One futex in all mappings of the file, and another in a private copy */
	ASSERT_EQ(0, pthread_create(&t, NULL, futex_waiter, self->other + 4 * VMR));
	if (!self->shared) {
		self->p[4 * VMR]++;
		usleep(50000);
		EXPECT_EQ(0, syscall(SYS_futex, self->p + 4 * VMR, FUTEX_WAKE, 1, NULL, NULL, 0));
		self->p[4 * VMR]--;
		while (!syscall(SYS_futex, self->other + 4 * VMR, FUTEX_WAKE, 1, NULL, NULL, 0) &&
		       rmai_now() < end)
			usleep(1000);
	} else {
		while (!syscall(SYS_futex, self->p + 4 * VMR, FUTEX_WAKE, 1, NULL, NULL, 0) &&
		       rmai_now() < end)
			usleep(1000);
	}
	ASSERT_EQ(0, pthread_join(t, &res));
	EXPECT_EQ(NULL, res);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * What is seen through a mapping of a region, by whom, and when it is fetched: stores and
 * write(2), buffers in regions, /proc, madvise(2) and fadvise(2).
 */
#include "rmai_mmap.h"

TEST_F_TIMEOUT(map, open_elsewhere, RMAI_TIMEOUT)
{
	struct rmai_spec spec = { .vmr_size = VMR, .nodes = { rmai_remote(0) } };
	uint8_t *p;
	int fd;

	/* A region that is open, and not stored here */
	unlink(rmai_path("t_mmap_open"));
	fd = rmai_create("t_mmap_open", &spec);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rmai_write_pattern(fd, 0, 3 * VMR, 4));
	p = mmap(NULL, 3 * VMR, PROT_READ, RMAI_FLAGS, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, rmai_wrong(p, 3 * VMR, 0, 4));
	/* What write(2) stores at its home is seen here */
	ASSERT_EQ(0, rmai_write_pattern(fd, 0, 3 * VMR, 5));
	EXPECT_EQ(-1, rmai_wrong(p, 3 * VMR, 0, 5));
	/* It could be made writable: as with a memfd that keeps it from being sealed */
	EXPECT_ERRNO(EBUSY, rmai_seal(fd));
	munmap(p, 3 * VMR);
	ASSERT_EQ(0, rmai_seal(fd));
	p = mmap(NULL, 3 * VMR, PROT_READ, RMAI_FLAGS, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, rmai_wrong(p, 3 * VMR, 0, 5));
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
	/* Nor may it be thrown away */
	EXPECT_EQ(-1, madvise(p, MAPPED, MADV_REMOVE));
	EXPECT_ERRNO(EINVAL, madvise(p, MAPPED, MADV_FREE));
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

TEST_HARNESS_MAIN

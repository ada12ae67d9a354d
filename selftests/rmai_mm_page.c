// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of the pages themselves: broken memory, huge pages that are split and
 * made, KSM, compaction, migration to another NUMA node, memory that goes offline.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "rmai_mm.h"

#ifndef MADV_HWPOISON
#define MADV_HWPOISON		100
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#define MPOL_MF_MOVE_ALL	4
#define KPF_COMPOUND		(3ULL << 15)	/* head or tail */

static volatile sig_atomic_t signals;

static void count_signal(int sig)
{
	signals++;
}

/* A memory failure at an address; 0, or errno; signals: how many SIGBUS it was to us */
static int poison(void *p)
{
	struct sigaction sa = { .sa_handler = count_signal }, old;
	int err;

	signals = 0;
	sigaction(SIGBUS, &sa, &old);
	err = madvise(p, PAGE, MADV_HWPOISON) ? errno : 0;
	sigaction(SIGBUS, &old, NULL);
	return err;
}

MM_TEST(hwpoison_replica)
{
	uint8_t *at = self->p + 3 * VMR + 5 * PAGE;
	uint64_t pfn;
	int err;

	if (variant->kind == MM_HOME)
		SKIP(return, "there are no replicas where a region is stored");
	EXPECT_RIGHT();
	pfn = PM_PFN(pagemap_entry(at));
	err = poison(at);
	if (err == EINVAL)
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	/* Nobody is told: it is fetched again, to other memory */
	EXPECT_EQ(0, err);
	EXPECT_EQ(0, signals);
	EXPECT_EQ(0, rmai_peek(at));
	EXPECT_RIGHT();
	EXPECT_NE(pfn, PM_PFN(pagemap_entry(at)));
}

MM_TEST(hwpoison_only_copy)
{
	const size_t off = 3 * VMR + 5 * PAGE;
	uint8_t *at = self->p + off;
	int err;

	if (!self->writable)
		SKIP(return, "a sealed region can always be fetched again");
	mm_store(self, 2);
	EXPECT_RIGHT();
	err = poison(at);
	if (err == EINVAL)
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	EXPECT_EQ(0, err);
	/* A large folio is split first, which unmaps it: then only the next touch tells */
	if (!self->shared)
		EXPECT_LT(0, signals);
	/* It is lost: no zeros, and nothing older, for as long as the mapping lives */
	EXPECT_EQ(SIGBUS, rmai_peek(at));
	EXPECT_EQ(SIGBUS, rmai_peek(at + PAGE - 1));
	EXPECT_EQ(SIGBUS, rmai_poke(at, 1));
	EXPECT_EQ(-1, rmai_wrong(self->p, off, 0, 2));
	EXPECT_EQ(-1, rmai_wrong(at + PAGE, LEN - off - PAGE, off + PAGE, 2));
	self->seed = 0;
	if (!self->shared)
		return;
	self->file_seed = 0;
	EXPECT_EQ(SIGBUS, rmai_peek(self->other + off));
	EXPECT_EQ(-1, rmai_wrong(self->other, off, 0, 2));
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_DONTNEED));
	EXPECT_EQ(SIGBUS, rmai_peek(at));
}

MM_TEST(soft_offline)
{
	uint8_t *at = self->p + 6 * VMR + PAGE;
	uint64_t pfn;

	mm_store(self, 2);
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, self->seed));
	pfn = PM_PFN(pagemap_entry(at));
	if (madvise(at, PAGE, MADV_SOFT_OFFLINE) && errno == EINVAL)
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	/* Moved away from memory that is about to break, and nobody noticed */
	EXPECT_RIGHT();
	EXPECT_NE(pfn, PM_PFN(pagemap_entry(at)));
}

/* Is the page behind an address part of a large folio? -1: cannot be told */
static int compound(const void *p)
{
	uint64_t e = pagemap_entry(p), flags;
	int fd = open("/proc/kpageflags", O_RDONLY), ret = -1;

	if (fd >= 0 && PM_PFN(e) && pread(fd, &flags, 8, PM_PFN(e) * 8) == 8)
		ret = !!(flags & KPF_COMPOUND);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int split(const void *p, size_t len, int order)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "%d,0x%lx,0x%lx,%d", getpid(), (long)p, (long)p + len,
		 order);
	return mm_write_file("/sys/kernel/debug/split_huge_pages", cmd);
}

MM_TEST(thp_split)
{
	int large = 0, i;

	if (access("/sys/kernel/debug/split_huge_pages", W_OK))
		SKIP(return, "no split_huge_pages in debugfs");
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, 1));
	for (i = 0; i < PAGES; i++)
		large += compound(self->p + i * PAGE) == 1;
	TH_LOG("%d of %d pages in large folios", large, (int)PAGES);
	EXPECT_EQ(0, split(self->p, LEN, 2));
	EXPECT_RIGHT();
	EXPECT_EQ(0, split(self->p, LEN, 0));
	for (large = 0, i = 0; i < PAGES; i++)
		large += compound(self->p + i * PAGE) == 1;
	EXPECT_EQ(0, large);
	EXPECT_RIGHT();
	mm_store(self, 2);
	/* And fetched as small ones or large ones, they are the same bytes */
	mm_drop(self);
	if (!self->shared)
		self->seed = self->file_seed;
}

struct reader {
	const FIXTURE_DATA(mm) * self;
	atomic_bool stop;
	atomic_long wrong, rounds;
};

static void *read_all(void *arg)
{
	struct reader *r = arg;
	uint8_t buf[PAGE];
	size_t off;

	while (!r->stop) {
		if (rmai_wrong(r->self->p, LEN, 0, r->self->seed) >= 0 ||
		    rmai_wrong(r->self->other, LEN, 0, r->self->file_seed) >= 0)
			r->wrong++;
		off = r->rounds % PAGES * PAGE;
		if (pread(r->self->fd, buf, PAGE, off) != PAGE ||
		    rmai_wrong(buf, PAGE, off, r->self->file_seed) >= 0)
			r->wrong++;
		r->rounds++;
	}
	return NULL;
}

/* PFNs of all pages; how many have changed since */
static int moved(const FIXTURE_DATA(mm) * self, uint64_t *pfn)
{
	int i, n = 0;

	for (i = 0; i < PAGES; i++) {
		uint64_t is = PM_PFN(pagemap_entry(self->p + i * PAGE));

		n += pfn[i] && pfn[i] != is;
		pfn[i] = is;
	}
	return n;
}

MM_TEST(compaction)
{
	struct reader r = { .self = self };
	uint64_t pfn[PAGES] = {};
	int i, j, n = 0;
	pthread_t t;
	void *hole;

	if (access("/proc/sys/vm/compact_memory", W_OK))
		SKIP(return, "no CONFIG_COMPACTION");
	mm_store(self, 2);
	EXPECT_RIGHT();
	moved(self, pfn);
	ASSERT_EQ(0, pthread_create(&t, NULL, read_all, &r));
	for (i = 0; i < 10; i++) {
		/* Holes to be closed */
		hole = mmap(NULL, 16 * MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
			    -1, 0);
		for (j = 0; hole != MAP_FAILED && j < 16 * MIB / PAGE; j += 2)
			madvise(hole + j * PAGE, PAGE, MADV_DONTNEED);
		EXPECT_EQ(0, mm_write_file("/proc/sys/vm/compact_memory", "1"));
		n += moved(self, pfn);
		munmap(hole, 16 * MIB);
	}
	r.stop = true;
	ASSERT_EQ(0, pthread_join(t, NULL));
	TH_LOG("%d pages moved, read %ld times meanwhile", n, r.rounds);
	EXPECT_EQ(0, r.wrong);
}

/* Have pages moved to a NUMA node; how many are there afterwards, or -errno */
static int move_to(const FIXTURE_DATA(mm) * self, int node)
{
	static int nodes[PAGES], status[PAGES];
	static void *pages[PAGES];
	long ret;
	int i, n = 0;

	for (i = 0; i < PAGES; i++) {
		pages[i] = self->p + i * PAGE;
		nodes[i] = node;
		status[i] = -1;
	}
	ret = syscall(SYS_move_pages, 0, PAGES, pages, nodes, status, MPOL_MF_MOVE_ALL);
	/* For a page whose large folio is being moved already that says EBUSY: ask again */
	if (ret >= 0)
		ret = syscall(SYS_move_pages, 0, PAGES, pages, NULL, status, 0);
	if (ret < 0)
		return -errno;
	for (i = 0; i < PAGES; i++)
		n += status[i] == node;
	return n;
}

MM_TEST(move_pages)
{
	struct reader r = { .self = self };
	uint64_t pfn[PAGES] = {};
	pthread_t t;
	int i;

	mm_store(self, 2);
	EXPECT_RIGHT();
	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "one NUMA node, or no CONFIG_NUMA (numa=fake=2 makes two)");
	EXPECT_EQ(PAGES, move_to(self, 0));
	moved(self, pfn);
	EXPECT_EQ(PAGES, move_to(self, 1));
	EXPECT_EQ(PAGES, moved(self, pfn));
	EXPECT_RIGHT();
	/* Under readers: who is in the way of one attempt is not of the next */
	ASSERT_EQ(0, pthread_create(&t, NULL, read_all, &r));
	for (i = 0; i < 10; i++)
		EXPECT_LT(0, move_to(self, i & 1));
	r.stop = true;
	ASSERT_EQ(0, pthread_join(t, NULL));
	EXPECT_EQ(0, r.wrong);
}

MM_TEST(mbind)
{
	unsigned long mask = 1UL << 1;

	mm_store(self, 2);
	EXPECT_RIGHT();
	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "one NUMA node, or no CONFIG_NUMA (numa=fake=2 makes two)");
	/* MPOL_BIND, MPOL_MF_STRICT | MPOL_MF_MOVE_ALL */
	EXPECT_EQ(0, syscall(SYS_mbind, self->p, LEN, 2, &mask, 64, 1 | MPOL_MF_MOVE_ALL));
	EXPECT_EQ(PAGES, move_to(self, 1));
	EXPECT_RIGHT();
}

static long block_bytes(void)
{
	FILE *f = fopen("/sys/devices/system/memory/block_size_bytes", "r");
	long n = 0;

	if (f && fscanf(f, "%lx", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

static void wake(int sig)
{
}

/* Put a block of memory offline, or give up after some time: 0, or errno */
static int offline(long nr)
{
	struct sigaction sa = { .sa_handler = wake }, old;
	char path[96];
	int err;

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%ld/state", nr);
	/* It is tried for as long as something in it cannot be moved */
	sigaction(SIGALRM, &sa, &old);
	alarm(10);
	err = mm_write_file(path, "offline") ? errno : 0;
	alarm(0);
	sigaction(SIGALRM, &old, NULL);
	return err;
}

static int online(long nr)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%ld/state", nr);
	return mm_write_file(path, "online_movable") ? mm_write_file(path, "online") : 0;
}

/* Can all of a block's memory be moved, as far as its zone goes? */
static bool movable(long nr)
{
	char path[96], zone[16] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%ld/valid_zones", nr);
	f = fopen(path, "r");
	if (f && fscanf(f, "%15s", zone) != 1)
		zone[0] = 0;
	if (f)
		fclose(f);
	return !strcmp(zone, "Movable");
}

#define HOGS 40
#define HOG_BYTES (8 * MIB)

MM_TEST(memory_offline)
{
	long block = block_bytes(), nr = 0;
	int i, n, inside = 0;
	bool gone = false;
	void *hog[HOGS];

	if (!block)
		SKIP(return, "no CONFIG_MEMORY_HOTPLUG");
	if (variant->kind == MM_HOME)
		SKIP(return, "what is stored here is not in memory that may go");
	/* Until the pages come to lie in a block that is all movable: take what is in front */
	for (n = 0; n < HOGS; n++) {
		mm_store(self, 2);
		EXPECT_RIGHT();
		nr = PM_PFN(pagemap_entry(self->p)) * PAGE / block;
		/* The last block of a node has what the kernel took at boot: EBUSY */
		gone = movable(nr) && !offline(nr);
		if (gone)
			break;
		EXPECT_RIGHT();
		/* What is open goes when it has been written home, and is mapped once */
		madvise(self->other, LEN, MADV_DONTNEED);
		msync(self->p, LEN, MS_SYNC);
		madvise(self->p, LEN, MADV_POPULATE_READ);
		madvise(self->p, LEN, MADV_PAGEOUT);
		mm_drop(self);
		self->seed = self->file_seed;
		hog[n] = mmap(NULL, HOG_BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
			      -1, 0);
		ASSERT_NE(MAP_FAILED, hog[n]);
	}
	for (i = 0; i < n; i++)
		munmap(hog[i], HOG_BYTES);
	if (!gone)
		SKIP(return, "in no block that can go: %s (1536 MiB, movablecore=900M help)",
		     movable(nr) ? "busy" : "not movable");
	TH_LOG("block %ld, with %d MiB taken before", nr, (int)(n * HOG_BYTES / MIB));
	EXPECT_RIGHT();
	for (i = 0; i < PAGES; i++)
		inside += PM_PFN(pagemap_entry(self->p + i * PAGE)) * PAGE / block == nr;
	EXPECT_EQ(0, inside);
	/* What is fetched now comes to lie elsewhere */
	mm_drop(self);
	if (!self->shared)
		self->seed = self->file_seed;
	EXPECT_RIGHT();
	/* Back, unless a test before has broken a page of it */
	EXPECT_TRUE(!online(nr) || errno == EHWPOISON);
}

static long ksm_value(const char *name)
{
	char path[96];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/ksm/%s", name);
	f = fopen(path, "r");
	if (f && fscanf(f, "%ld", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	return n;
}

MM_TEST(ksm)
{
	double end = rmai_now() + 60;
	size_t i;

	if (ksm_value("run") < 0)
		SKIP(return, "no CONFIG_KSM");
	/* Pages that are all the same, where they may be stored */
	if (!self->shared)
		for (i = 0; i < LEN; i += PAGE)
			rmai_fill(self->p + i, PAGE, 0, 5);
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_MERGEABLE));
	/* Pages of a file are not for KSM, the private copies of them are */
	EXPECT_EQ(!self->shared, mm_vmflag(self->p, " mg"));
	mm_write_file("/sys/kernel/mm/ksm/sleep_millisecs", "10");
	mm_write_file("/sys/kernel/mm/ksm/pages_to_scan", "2000");
	ASSERT_EQ(0, mm_write_file("/sys/kernel/mm/ksm/run", "1"));
	if (!self->shared) {
		self->seed = 0;
		while (ksm_value("pages_sharing") < (long)PAGES - 1 && rmai_now() < end)
			usleep(10000);
		EXPECT_EQ(PAGES - 1, ksm_value("pages_sharing"));
		for (i = 0; i < LEN; i += PAGE)
			EXPECT_EQ(-1, rmai_wrong(self->p + i, PAGE, 0, 5));
		/* A store parts one from the others */
		rmai_fill(self->p + VMR, PAGE, 0, 6);
		EXPECT_EQ(-1, rmai_wrong(self->p, PAGE, 0, 5));
		EXPECT_EQ(-1, rmai_wrong(self->p + VMR, PAGE, 0, 6));
	} else {
		/* Without a page of somebody's that it may have, ksmd does not scan */
		uint8_t *bait = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		long scans = ksm_value("full_scans");

		ASSERT_NE(MAP_FAILED, bait);
		rmai_fill(bait, PAGE, 0, 7);
		ASSERT_EQ(0, madvise(bait, PAGE, MADV_MERGEABLE));
		mm_store(self, 2);
		while (ksm_value("full_scans") < scans + 2 && rmai_now() < end)
			usleep(10000);
		EXPECT_LE(scans + 2, ksm_value("full_scans"));
		EXPECT_EQ(0, ksm_value("pages_sharing"));
		munmap(bait, PAGE);
	}
	EXPECT_EQ(0, madvise(self->p, LEN, MADV_UNMERGEABLE));
	EXPECT_EQ(0, mm_write_file("/sys/kernel/mm/ksm/run", "2"));
	EXPECT_EQ(0, mm_write_file("/sys/kernel/mm/ksm/run", "0"));
}

/* Huge pages: a region whose VMRs are as large, and that nobody has open for writing */

#define HUGE (2 * MIB)
#define HUGE_LEN (2 * HUGE)

FIXTURE(huge) {
	int fd;
	uint8_t *p;
};

FIXTURE_VARIANT(huge) {
	bool here;	/* stored on this node */
};

FIXTURE_VARIANT_ADD(huge, sealed) { .here = false, };
FIXTURE_VARIANT_ADD(huge, home) { .here = true, };

FIXTURE_SETUP(huge)
{
	struct rmai_spec spec = { .vmr_size = HUGE };
	const char *missing = rmai_missing();

	self->fd = -1;
	if (missing)
		SKIP(return, "%s", missing);
	if (!rmai_is_memory(rmai_self()) || !rmai_remote(0))
		SKIP(return, "this and another node must be memory nodes");
	spec.nodes[0] = variant->here ? rmai_self() : rmai_remote(0);
	unlink(rmai_path(MM_NAME));
	self->fd = rmai_sealed(MM_NAME, &spec, HUGE_LEN, 1);
	ASSERT_LE(0, self->fd);
	close(self->fd);
	self->fd = open(rmai_path(MM_NAME), O_RDONLY);
	ASSERT_LE(0, self->fd);
	self->p = mmap(NULL, HUGE_LEN, PROT_READ, RMAI_FLAGS, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	EXPECT_EQ(-1, rmai_wrong(self->p, HUGE_LEN, 0, 1));
}

FIXTURE_TEARDOWN(huge)
{
	if (self->fd < 0)
		return;
	EXPECT_EQ(-1, rmai_wrong(self->p, HUGE_LEN, 0, 1));
	munmap(self->p, HUGE_LEN);
	close(self->fd);
	unlink(rmai_path(MM_NAME));
}

TEST_F_TIMEOUT(huge, pmd_split, RMAI_TIMEOUT)
{
	uint8_t *p = self->p;
	long kb = smaps_kb(p, "FilePmdMapped", NULL, 0);

	TH_LOG("%ld of %lld KiB mapped by PMDs", kb, HUGE_LEN / KIB);
	if (kb <= 0)
		SKIP(return, "no huge folio could be had");
	/* By what is done to parts of the mapping: the folios stay */
	ASSERT_EQ(0, mprotect(p + PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(kb - HUGE / KIB, smaps_kb(p + HUGE, "FilePmdMapped", NULL, 0));
	EXPECT_EQ(0, smaps_kb(p, "FilePmdMapped", NULL, 0));
	EXPECT_EQ(-1, rmai_wrong(p, PAGE, 0, 1));
	EXPECT_EQ(1, compound(p));
	ASSERT_EQ(0, mprotect(p + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(-1, rmai_wrong(p, HUGE_LEN, 0, 1));
	ASSERT_EQ(0, mlock(p + 5 * PAGE, PAGE));
	ASSERT_EQ(0, munlock(p + 5 * PAGE, PAGE));
	ASSERT_EQ(0, munmap(p + HUGE + 3 * PAGE, PAGE));
	EXPECT_EQ(-1, rmai_wrong(p, HUGE + 3 * PAGE, 0, 1));
	EXPECT_EQ(-1, rmai_wrong(p + HUGE + 4 * PAGE, HUGE - 4 * PAGE, HUGE + 4 * PAGE, 1));
	ASSERT_EQ(p + HUGE + 3 * PAGE, mmap(NULL, PAGE, PROT_READ, RMAI_FLAGS, self->fd,
					    HUGE + 3 * PAGE));
}

TEST_F_TIMEOUT(huge, collapse, RMAI_TIMEOUT)
{
	uint8_t *p = self->p;

	if (split(p, HUGE_LEN, 0))
		SKIP(return, "no split_huge_pages in debugfs");
	EXPECT_EQ(-1, rmai_wrong(p, HUGE_LEN, 0, 1));
	EXPECT_EQ(0, compound(p));
	if (madvise(p, HUGE_LEN, MADV_COLLAPSE)) {
		/* What is stored here is dirty, and stays as it is */
		if (errno == EINVAL && !variant->here)
			SKIP(return, "no CONFIG_READ_ONLY_THP_FOR_FS");
		EXPECT_TRUE(variant->here);
		return;
	}
	EXPECT_EQ(-1, rmai_wrong(p, HUGE_LEN, 0, 1));
	EXPECT_EQ(HUGE_LEN / KIB, smaps_kb(p, "FilePmdMapped", NULL, 0));
	/* Dropped as one, and fetched again */
	EXPECT_EQ(0, madvise(p, HUGE_LEN, MADV_DONTNEED));
}

TEST_F_TIMEOUT(huge, khugepaged, RMAI_TIMEOUT)
{
	const char *dir = "/sys/kernel/mm/transparent_hugepage/khugepaged";
	double end = rmai_now() + 60;
	char path[128];
	long kb = 0;

	if (variant->here)
		SKIP(return, "what is stored here is dirty, and left alone");
	snprintf(path, sizeof(path), "%s/scan_sleep_millisecs", dir);
	if (mm_write_file(path, "50"))
		SKIP(return, "no khugepaged");
	if (split(self->p, HUGE_LEN, 0))
		SKIP(return, "no split_huge_pages in debugfs");
	EXPECT_EQ(-1, rmai_wrong(self->p, HUGE_LEN, 0, 1));
	if (madvise(self->p, HUGE_LEN, MADV_COLLAPSE) && errno == EINVAL)
		SKIP(return, "no CONFIG_READ_ONLY_THP_FOR_FS");
	ASSERT_EQ(0, split(self->p, HUGE_LEN, 0));
	ASSERT_EQ(0, madvise(self->p, HUGE_LEN, MADV_HUGEPAGE));
	while (kb < (long)(HUGE_LEN / KIB) && rmai_now() < end) {
		EXPECT_EQ(-1, rmai_wrong(self->p, HUGE_LEN, 0, 1));
		usleep(50000);
		kb = smaps_kb(self->p, "FilePmdMapped", NULL, 0);
	}
	EXPECT_EQ(HUGE_LEN / KIB, kb);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * Who pays for replicas, and what becomes of them: memory cgroups that are too small,
 * that are left, that are removed; OOM kills; and suspend, which is refused.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "rmai_mm.h"

#define BIG (24 * MIB)
#define SMALL "10485760"	/* memory.max, bytes */

FIXTURE(cgroup) {
	int fd;
	uint8_t *p;
	char root[128], a[160], b[160];
};

static int write_in(const char *dir, const char *name, const char *word)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return mm_write_file(path, word);
}

/* Value of a key of a file like memory.events, or the only one; -1: there is none */
static long read_in(const char *dir, const char *name, const char *key)
{
	char path[256], word[64];
	long n = -1, value;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (!key && fscanf(f, "%ld", &n) != 1)
		n = -1;
	while (key && n < 0 && fscanf(f, "%63s %ld", word, &value) == 2)
		if (!strcmp(word, key))
			n = value;
	fclose(f);
	return n;
}

/* Where cgroup2 is mounted, with the memory controller for its children */
static bool cgroup_root(char *root)
{
	FILE *f = fopen("/proc/mounts", "r");
	char line[512], type[64];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %127s %63s", root, type) == 2 &&
			!strcmp(type, "cgroup2") &&
			!write_in(root, "cgroup.subtree_control", "+memory");
	if (f)
		fclose(f);
	return found;
}

FIXTURE_SETUP(cgroup)
{
	struct rmai_spec spec = { .vmr_size = 256 * KIB };
	const char *missing = rmai_missing();

	self->fd = -1;
	if (missing)
		SKIP(return, "%s", missing);
	if (!rmai_remote(0))
		SKIP(return, "no other memory node");
	if (!cgroup_root(self->root))
		SKIP(return, "no cgroup2 with a memory controller is mounted");
	snprintf(self->a, sizeof(self->a), "%s/rmai_t_a", self->root);
	snprintf(self->b, sizeof(self->b), "%s/rmai_t_b", self->root);
	ASSERT_EQ(0, mkdir(self->a, 0755));
	ASSERT_EQ(0, mkdir(self->b, 0755));
	ASSERT_EQ(0, write_in(self->a, "memory.max", SMALL));
	spec.nodes[0] = rmai_remote(0);
	unlink(rmai_path(MM_NAME));
	self->fd = rmai_sealed(MM_NAME, &spec, BIG, 1);
	ASSERT_LE(0, self->fd);
	self->p = mmap(NULL, BIG, PROT_READ, RMAI_FLAGS, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
}

static bool removed(const char *dir)
{
	double end = rmai_now() + 20;

	while (rmdir(dir) && errno != ENOENT) {
		if (rmai_now() > end)
			return false;
		usleep(10000);
	}
	return true;
}

FIXTURE_TEARDOWN(cgroup)
{
	if (self->fd < 0)
		return;
	EXPECT_EQ(-1, rmai_wrong(self->p, BIG, 0, 1));
	munmap(self->p, BIG);
	close(self->fd);
	unlink(rmai_path(MM_NAME));
	EXPECT_TRUE(removed(self->a));
	EXPECT_TRUE(removed(self->b));
}

/* A child in a group; it goes on when it is there */
static pid_t fork_in(const char *dir)
{
	pid_t pid = fork();

	if (!pid && write_in(dir, "cgroup.procs", "0"))
		_exit(99);
	return pid;
}

TEST_F_TIMEOUT(cgroup, too_small, RMAI_TIMEOUT)
{
	long oom = read_in(self->a, "memory.events", "oom_kill");
	pid_t pid = fork_in(self->a);

	/* Replicas make room for replicas: a sweep takes longer, and ends well */
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(rmai_wrong(self->p, BIG, 0, 1) >= 0 || rmai_wrong(self->p, BIG, 0, 1) >= 0);
	EXPECT_EQ(0, mm_wait(pid));
	EXPECT_EQ(oom, read_in(self->a, "memory.events", "oom_kill"));
	EXPECT_GE(atol(SMALL), read_in(self->a, "memory.peak", NULL));
	TH_LOG("two sweeps over %lld MiB with at most %ld KiB", BIG / MIB,
	       read_in(self->a, "memory.peak", NULL) / 1024);
}

/* How a child ended that is to be killed; when it takes too long, 0 */
static int killed(pid_t pid)
{
	double end = rmai_now() + 60;
	int status;

	while (rmai_now() < end) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return 0;
}

static void *sweep(void *arg)
{
	for (;;)
		if (rmai_wrong(arg, BIG, 0, 1) >= 0)
			_exit(1);
	return NULL;
}

TEST_F_TIMEOUT(cgroup, oom_kill, RMAI_TIMEOUT)
{
	pid_t pid = fork_in(self->a);
	pthread_t t[4];
	char *hog;
	int i;

	/* With threads in the midst of faults */
	ASSERT_LE(0, pid);
	if (!pid) {
		for (i = 0; i < 4; i++)
			if (pthread_create(&t[i], NULL, sweep, self->p))
				_exit(2);
		hog = mmap(NULL, 4 * BIG, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(hog, 1, 4 * BIG);
		_exit(0);
	}
	EXPECT_EQ(SIGKILL, killed(pid));
	EXPECT_LT(0, read_in(self->a, "memory.events", "oom_kill"));
}

TEST_F_TIMEOUT(cgroup, oom_kill_of_mlock, RMAI_TIMEOUT)
{
	pid_t pid = fork_in(self->a);

	/* What may not be dropped counts like memory of one's own */
	ASSERT_LE(0, pid);
	if (!pid) {
		mlock(self->p, BIG);
		_exit(rmai_wrong(self->p, BIG, 0, 1) >= 0);
	}
	EXPECT_EQ(SIGKILL, killed(pid));
	EXPECT_LT(0, read_in(self->a, "memory.events", "oom_kill"));
}

TEST_F_TIMEOUT(cgroup, move_and_remove, RMAI_TIMEOUT)
{
	int go[2], back[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, write_in(self->a, "memory.max", "max"));
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(back));
	pid = fork_in(self->a);
	ASSERT_LE(0, pid);
	if (!pid) {
		if (rmai_wrong(self->p, BIG, 0, 1) >= 0 || write(back[1], "x", 1) != 1 ||
		    read(go[0], &c, 1) != 1)
			_exit(1);
		/* In b now, and a is gone */
		if (rmai_wrong(self->p, BIG, 0, 1) >= 0)
			_exit(2);
		madvise(self->p, BIG, MADV_PAGEOUT);
		if (rmai_wrong(self->p, BIG, 0, 1) >= 0 || write(back[1], "x", 1) != 1 ||
		    read(go[0], &c, 1) != 1)
			_exit(3);
		_exit(0);
	}
	ASSERT_EQ(1, read(back[0], &c, 1));
	/* Who touched it pays, and goes on paying when the process has left */
	EXPECT_LE(BIG, read_in(self->a, "memory.stat", "file"));
	snprintf(self->root, sizeof(self->root), "%d", pid);
	ASSERT_EQ(0, write_in(self->b, "cgroup.procs", self->root));
	EXPECT_LE(BIG, read_in(self->a, "memory.stat", "file"));
	EXPECT_GE(MIB, read_in(self->b, "memory.stat", "file"));
	EXPECT_TRUE(removed(self->a));
	ASSERT_EQ(1, write(go[1], "x", 1));
	ASSERT_EQ(1, read(back[0], &c, 1));
	/* What is fetched since is for the new one */
	EXPECT_LE(BIG, read_in(self->b, "memory.stat", "file"));
	ASSERT_EQ(1, write(go[1], "x", 1));
	EXPECT_EQ(0, mm_wait(pid));
}

TEST_F_TIMEOUT(cgroup, dying, RMAI_TIMEOUT)
{
	double end = rmai_now() + 30;
	long before = read_in(self->root, "cgroup.stat", "nr_dying_descendants"), now = before;
	pid_t pid = fork_in(self->b);

	/* A group that is gone is kept by what it paid for, and by nothing else */
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(rmai_wrong(self->p, BIG, 0, 1) >= 0);
	EXPECT_EQ(0, mm_wait(pid));
	EXPECT_TRUE(removed(self->b));
	EXPECT_EQ(-1, rmai_wrong(self->p, BIG, 0, 1));
	EXPECT_EQ(0, madvise(self->p, BIG, MADV_DONTNEED));
	do {
		posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED);
		mm_write_file("/proc/sys/vm/drop_caches", "2");
		usleep(20000);
		now = read_in(self->root, "cgroup.stat", "nr_dying_descendants");
	} while (now > before && rmai_now() < end);
	EXPECT_GE(before, now);
}

TEST(suspend)
{
	if (rmai_missing())
		SKIP(return, "%s", rmai_missing());
	if (access("/sys/power/state", W_OK))
		SKIP(return, "no CONFIG_SUSPEND");
	/* If it were not refused: back at once */
	if (mm_write_file("/sys/module/suspend/parameters/pm_test_delay", "0") ||
	    mm_write_file("/sys/power/pm_test", "freezer"))
		SKIP(return, "no CONFIG_PM_DEBUG");
	EXPECT_EQ(-1, mm_write_file("/sys/power/state", "freeze"));
	EXPECT_EQ(EBUSY, errno);
	mm_write_file("/sys/power/pm_test", "none");
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * What was taken is given back: after many regions were made, mapped, touched,
 * sealed, unmapped and unlinked, the gauges stand where they stood before.
 * RMAI_CYCLES is how many.
 */
#include <sys/wait.h>

#include "rmai_test.h"
#include "../kselftest_harness.h"

static const char * const gauges[] = {
	"regions", "regions_open", "home_pages", "replica_pages", "mrs", "address_bytes",
};

#define NR_GAUGES ((int)(sizeof(gauges) / sizeof(gauges[0])))

FIXTURE(leak) {
	long long before[NR_GAUGES];
	int cycles;
	int nodes[3];
};

FIXTURE_SETUP(leak)
{
	const char *missing = rmai_missing(), *cycles = getenv("RMAI_CYCLES");
	int i, n = 0;

	if (missing)
		SKIP(return, "%s", missing);
	self->cycles = cycles ? atoi(cycles) : 30;
	if (rmai_is_memory(rmai_self()))
		self->nodes[n++] = rmai_self();
	for (i = 0; n < 3 && rmai_remote(i); i++)
		self->nodes[n++] = rmai_remote(i);
	for (i = 0; i < NR_GAUGES; i++) {
		self->before[i] = rmai_stat(gauges[i]);
		ASSERT_LE(0, self->before[i]);
	}
}

FIXTURE_TEARDOWN(leak)
{
	int i;

	/* Owners are told of the last close a little later */
	for (i = 0; i < NR_GAUGES; i++) {
		EXPECT_TRUE(rmai_stat_becomes(gauges[i], self->before[i], 20)) {
			TH_LOG("%s: %lld before, %lld now", gauges[i], self->before[i],
			       rmai_stat(gauges[i]));
		}
	}
}

/* One region; what is done to it depends on the number of the cycle */
static int cycle(int i, const int *nodes)
{
	struct rmai_spec spec = { .vmr_size = i % 2 ? 64 * KIB : 12 * KIB, };
	const uint64_t size = 200 * KIB + i;
	char name[64];
	uint8_t *p;
	int fd, err = 0;

	spec.nodes[0] = nodes[i % 3];
	if (i % 5 == 0)
		spec.nodes[1] = nodes[(i + 1) % 3];
	if (spec.nodes[0] == spec.nodes[1])
		spec.nodes[1] = 0;
	snprintf(name, sizeof(name), "t_leak_%d_%d", getpid(), i);
	fd = rmai_create(name, spec.nodes[0] ? &spec : NULL);
	if (fd < 0 || rmai_write_pattern(fd, 0, size, i))
		err = 1;
	if (!err && i % 7 && rmai_seal(fd))
		err = 2;
	if (!err && i % 11) {
		p = mmap(NULL, size, PROT_READ, RMAI_FLAGS, fd, 0);
		if (p == MAP_FAILED)
			err = 3;
		else if (i % 7 && rmai_wrong(p, size, 0, i) >= 0)
			err = 4;
		/* What is mapped still when the process ends is unmapped, too */
		if (!err && i % 13)
			munmap(p, size);
	}
	if (i % 3 == 0 && unlink(rmai_path(name)))
		err = err ?: 5;
	close(fd);
	if (i % 3 && unlink(rmai_path(name)))
		err = err ?: 6;
	return err;
}

TEST_F_TIMEOUT(leak, cycles, RMAI_TIMEOUT * 2)
{
	double start = rmai_now();
	int status, i, p;

	for (p = 0; p < 2; p++) {
		if (fork())
			continue;
		for (i = p; i < self->cycles; i += 2) {
			int err = cycle(i, self->nodes);

			if (err) {
				fprintf(stderr, "# cycle %d: step %d: %m\n", i, err);
				_exit(err);
			}
		}
		_exit(0);
	}
	for (p = 0; p < 2; p++) {
		ASSERT_LT(0, wait(&status));
		EXPECT_EQ(0, status);
	}
	TH_LOG("%d cycles by 2 processes in %.1f s", self->cycles, rmai_now() - start);
}

TEST_F_TIMEOUT(leak, anonymous, RMAI_TIMEOUT)
{
	int i;

	for (i = 0; i < self->cycles; i++) {
		uint8_t *p = mmap(NULL, 100 * KIB, PROT_READ | PROT_WRITE,
				  RMAI_FLAGS | MAP_ANONYMOUS | 13 << MAP_HUGE_SHIFT, -1, 0);

		ASSERT_NE(MAP_FAILED, p);
		rmai_fill(p, 100 * KIB, 0, i);
		EXPECT_EQ(-1, rmai_wrong(p, 100 * KIB, 0, i));
		ASSERT_EQ(0, munmap(p, 100 * KIB));
	}
}

TEST_F_TIMEOUT(leak, failures, RMAI_TIMEOUT)
{
	struct rmai_spec wrong = { .vmr_size = 5000 };
	int i;

	/* Calls that fail leave nothing behind */
	for (i = 0; i < self->cycles; i++) {
		EXPECT_EQ(-1, rmai_create("t_leak_wrong", &wrong));
		EXPECT_EQ(MAP_FAILED, mmap(NULL, MIB, PROT_READ, RMAI_FLAGS | MAP_ANONYMOUS |
					   5 << MAP_HUGE_SHIFT, -1, 0));
		EXPECT_EQ(MAP_FAILED, mmap(NULL, 1ULL << 46, PROT_READ,
					   RMAI_FLAGS | MAP_ANONYMOUS, -1, 0));
		EXPECT_EQ(MAP_FAILED, mmap((void *)(49ULL << 40), MIB, PROT_READ,
					   RMAI_FLAGS | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
					   -1, 0));
	}
}

TEST_F_TIMEOUT(leak, killed, RMAI_TIMEOUT)
{
	char c;
	int i, to[2];

	/* A process that dies with everything open and mapped */
	for (i = 0; i < self->cycles / 3 + 1; i++) {
		pid_t pid;

		ASSERT_EQ(0, pipe(to));
		pid = fork();
		if (!pid) {
			int fd = rmai_sealed("t_leak_killed", NULL, 100 * KIB, 1);
			uint8_t *p = mmap(NULL, 100 * KIB, PROT_READ, RMAI_FLAGS, fd, 0);

			unlink(rmai_path("t_leak_killed"));
			if (p != MAP_FAILED && rmai_wrong(p, 100 * KIB, 0, 1) < 0 &&
			    write(to[1], "x", 1) == 1)
				pause();
			_exit(1);
		}
		close(to[1]);
		EXPECT_EQ(1, read(to[0], &c, 1));
		close(to[0]);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

TEST_HARNESS_MAIN

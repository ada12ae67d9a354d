// SPDX-License-Identifier: GPL-2.0
/*
 * A mapped file that workers share, see shared.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared.h"

#define MAGIC		0x696d6172ULL
#define MAX_OPTIONS	40
#define RMAI_MAGIC	0x524d4149	/* f_type of rmaifs, see linux/rmai.h */

/* Of tmpfs files: beyond what brk and mmap use */
#define FIXED_ADDR	((void *)0x200000000000)

static struct sync *shared_sync;	/* for who fails */
static __thread uint64_t wait_end;	/* of a thread's shared_wait() */

/**
 * shared_num() - a number with an optional K, M or G
 * @arg: of the command line
 *
 * Return: the number; ends the program if it is none.
 */
uint64_t shared_num(const char *arg)
{
	char *end;
	uint64_t n = strtoull(arg, &end, 0);

	if (end != arg && *end && !end[1]) {
		switch (*end++) {
		case 'G':
			n <<= 10;
			/* fall through */
		case 'M':
			n <<= 10;
			/* fall through */
		case 'K':
			n <<= 10;
			break;
		default:
			end--;
		}
	}
	if (end == arg || *end)
		die("%s: not a number", arg);
	return n;
}

/**
 * shared_defaults() - before options are read
 * @s: to be filled in
 * @workers: unless --workers says otherwise
 */
void shared_defaults(struct shared *s, unsigned int workers)
{
	memset(s, 0, sizeof(*s));
	s->vmr = 4096;
	s->workers = workers;
	s->seed = now_ns() % 1000000007;
	s->timeout_s = 120;
}

/* An option of SHARED_USAGE */
static bool is_shared(struct shared *s, int c)
{
	switch (c) {
	case 'f':
		s->path = optarg;
		return true;
	case 'v':
		s->vmr = shared_num(optarg);
		if (!s->vmr || s->vmr % 4096)
			die("--vmr %s: not a multiple of 4096", optarg);
		return true;
	case 'n':
		s->workers = shared_num(optarg);
		if (!s->workers)
			die("--workers 0");
		return true;
	case 'i':
		s->worker = shared_num(optarg);
		s->alone = true;
		return true;
	case 's':
		s->seed = shared_num(optarg);
		return true;
	case 't':
		s->timeout_s = shared_num(optarg);
		return true;
	}
	return false;
}

/**
 * shared_getopt() - the next option that is the test's own
 * @s: takes those that all tests have
 * @argc: of main()
 * @argv: of main()
 * @own: the test's, as for getopt_long(), with capital letters as values
 *
 * Return: as getopt_long().
 */
int shared_getopt(struct shared *s, int argc, char **argv, const struct option *own)
{
	struct option all[MAX_OPTIONS] = {
		{ "file", required_argument, NULL, 'f' },
		{ "vmr", required_argument, NULL, 'v' },
		{ "workers", required_argument, NULL, 'n' },
		{ "worker", required_argument, NULL, 'i' },
		{ "seed", required_argument, NULL, 's' },
		{ "timeout", required_argument, NULL, 't' },
	};
	int c, n = 6;

	while (own->name && n < MAX_OPTIONS - 1)
		all[n++] = *own++;
	do {
		c = getopt_long(argc, argv, "", all, NULL);
	} while (is_shared(s, c));
	return c;
}

static uint64_t deadline(const struct shared *s)
{
	return now_ns() + s->timeout_s * 1000000000ULL;
}

/**
 * shared_fail() - tell the other workers not to wait for this one
 *
 * Context: from die(); the file may be gone as well, then nobody can be told.
 */
void shared_fail(void)
{
	if (!shared_sync)
		return;
	signal(SIGBUS, SIG_DFL);
	__atomic_store_n(&shared_sync->failed, 1, __ATOMIC_SEQ_CST);
}

/**
 * shared_wait() - between two looks at something that another worker will change
 * @s: an open file
 * @spins: 0 at first
 * @what: is waited for
 *
 * Spins for a while, which keeps workers in step; but there may be more workers than
 * CPUs, and in a guest the CPU that spins is the one that serves the fabric. Ends the
 * program if another worker has failed or it takes too long.
 */
void shared_wait(struct shared *s, unsigned int *spins, const char *what)
{
	struct timespec ts = { .tv_nsec = 50000 };

	if (++*spins < 2000)
		return;
	if (*spins < 2010) {
		wait_end = deadline(s);
		sched_yield();
		return;
	}
	nanosleep(&ts, NULL);
	if (__atomic_load_n(&s->sync->failed, __ATOMIC_RELAXED))
		die("worker %u: another worker has given up", s->worker);
	if (now_ns() > wait_end)
		die("worker %u: waited %u s for %s", s->worker, s->timeout_s, what);
}

/**
 * shared_barrier() - wait for all parties
 * @s: an open file
 * @sense: this party's own, 0 at first
 * @parties: how many meet; the same for all of them
 */
void shared_barrier(struct shared *s, uint64_t *sense, unsigned int parties)
{
	struct sync *b = s->sync;
	unsigned int spins = 0;

	*sense = !*sense;
	if (__atomic_add_fetch(&b->count, 1, __ATOMIC_SEQ_CST) == parties) {
		__atomic_store_n(&b->count, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&b->sense, *sense, __ATOMIC_SEQ_CST);
		return;
	}
	while (__atomic_load_n(&b->sense, __ATOMIC_ACQUIRE) != *sense)
		shared_wait(s, &spins, "a barrier");
}

static bool is_rmaifs(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == RMAI_MAGIC;
}

static void map(struct shared *s)
{
	/* rmaifs gives a region the same address everywhere, tmpfs has to be asked for it */
	bool ask = s->fixed && !is_rmaifs(s->fd);

	s->base = mmap(ask ? FIXED_ADDR : NULL, s->size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | (ask ? MAP_FIXED_NOREPLACE : 0), s->fd, 0);
	if (s->base == MAP_FAILED)
		die("%s: mmap: %s", s->path, strerror(errno));
	s->sync = (struct sync *)s->base;
	shared_sync = s->sync;
}

/**
 * shared_open() - open and map the file; the first worker makes it ready
 * @s: with all options and the size
 *
 * Return: when the file is mapped and ready; ends the program if that cannot be had.
 */
void shared_open(struct shared *s)
{
	uint64_t magic = MAGIC + (s->size << 32) + s->workers, end = deadline(s), is;
	struct stat st;

	if (!s->path)
		die("--file is missing");
	if (s->worker >= s->workers)
		die("--worker %u: there are %u", s->worker, s->workers);
	if (s->size >> 40)
		die("%s: %llu bytes are too many", s->path, (unsigned long long)s->size);
	do {
		s->fd = open(s->path, O_RDWR | (s->worker ? 0 : O_CREAT), 0600);
		if (s->fd < 0 && (errno != ENOENT || now_ns() > end))
			die("%s: %s", s->path, strerror(errno));
	} while (s->fd < 0 && !usleep(10000));
	if (!s->worker) {
		if (ftruncate(s->fd, s->size))
			die("%s: ftruncate: %s", s->path, strerror(errno));
		map(s);
		if (s->sync->magic)
			die("%s: has been used before", s->path);
		s->sync->base = (uintptr_t)s->base;
		__atomic_store_n(&s->sync->magic, magic, __ATOMIC_SEQ_CST);
		return;
	}
	/* By the path: sizes travel close-to-open */
	while (!stat(s->path, &st) && (uint64_t)st.st_size < s->size) {
		if (now_ns() > end)
			die("%s: has %llu bytes, not %llu", s->path,
			    (unsigned long long)st.st_size, (unsigned long long)s->size);
		usleep(10000);
	}
	map(s);
	while (!(is = __atomic_load_n(&s->sync->magic, __ATOMIC_ACQUIRE))) {
		usleep(1000);
		if (now_ns() > end)
			die("%s: worker 0 has not made it ready in %u s", s->path, s->timeout_s);
	}
	if (is != magic)
		die("%s: worker 0 has other options than worker %u", s->path, s->worker);
	if (s->fixed && s->sync->base != (uintptr_t)s->base)
		die("%s: at %p here, at %#llx in worker 0", s->path, (void *)s->base,
		    (unsigned long long)s->sync->base);
}

/**
 * shared_fork() - start this worker as a process of its own
 * @s: whose worker says which
 * @pid: set to the process
 * @work: what it does; its return value is the process' status
 */
void shared_fork(struct shared *s, pid_t *pid, int (*work)(struct shared *s))
{
	int rc;

	fflush(stdout);
	*pid = fork();
	if (*pid < 0)
		die("fork: %s", strerror(errno));
	if (*pid)
		return;
	rc = work(s);
	fflush(stdout);
	_exit(rc);
}

/**
 * shared_run() - be one worker, or all of them
 * @s: with all options
 * @work: what a worker does
 *
 * Return: 0, or the highest status of a worker.
 */
int shared_run(struct shared *s, int (*work)(struct shared *s))
{
	int status, worst = 0;
	pid_t *pids;

	if (s->alone)
		return work(s);
	if (s->path && !access(s->path, F_OK))
		die("%s: exists", s->path);
	pids = calloc(s->workers, sizeof(*pids));
	if (!pids)
		die("no memory");
	for (s->worker = 0; s->worker < s->workers; s->worker++)
		shared_fork(s, &pids[s->worker], work);
	for (unsigned int i = 0; i < s->workers; i++) {
		if (waitpid(pids[i], &status, 0) != pids[i])
			die("waitpid: %s", strerror(errno));
		if (WIFSIGNALED(status)) {
			printf("# worker %u: %s\n", i, strsignal(WTERMSIG(status)));
			worst = 2;
		} else if (WEXITSTATUS(status) > worst) {
			worst = WEXITSTATUS(status);
		}
	}
	unlink(s->path);
	free(pids);
	return worst;
}

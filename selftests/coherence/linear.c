// SPDX-License-Identifier: GPL-2.0
/*
 * linear: reads, writes and exchanges words at random, from any number of processes;
 * logs what it saw, and when; and checks logs for linearizability. See usage(),
 * history.h (the logs), clock.h (times of several machines), linear_check.c.
 *
 * Processes do not wait for each other, so any of them may be paused, killed or
 * started while others run. An access that ends in SIGBUS is logged as one that may
 * have happened.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "history.h"
#include "shared.h"

#define BURST		8	/* operations on one VMR, at most */
#define FLUSH_NS	100000000
#define AVOID_NS	2000000000LL /* after SIGBUS */

static uint64_t nr_ops = 10000, nr_vmrs = 16, nr_words = 8, first_proc = 1, nr_threads = 1;
static uint64_t evict_ms, kill_ms, pace_us, syscalls, sample_ms = 5;
static int64_t skew_ms, stall_ms;
static const char *dir = ".", *server, *stop_file;
static bool broken;

/* What a thread of the test has */
struct actor {
	struct shared	*s;
	pthread_t	thread;
	uint32_t	proc;
	uint32_t	n;		/* values written */
	uint64_t	seed;
	uint64_t	done;		/* operations */
	uint64_t	failed;
	FILE		*log;
	int64_t		flushed;
	uint64_t	*last;		/* what it saw in each word */
	int64_t		*avoid;		/* VMRs that have failed, until when */
	int64_t		looked;		/* for the file that says stop */
	sigjmp_buf	jump;
	struct op	op;		/* that is under way */
	uint64_t	found;		/* by it */
};

static __thread struct actor *me;

static void on_sigbus(int sig)
{
	/* Not by an access of the test: there is nobody to come back to */
	if (!me) {
		signal(sig, SIG_DFL);
		return;
	}
	siglongjmp(me->jump, 1);
}

static uint64_t offset_of(const struct shared *s, uint64_t word)
{
	return (1 + word / nr_words) * s->vmr + word % nr_words * (s->vmr / nr_words / 8 * 8);
}

static void log_op(struct actor *a, bool known)
{
	const struct op *op = &a->op;

	switch (op->kind) {
	case OP_READ:
		fprintf(a->log, "r %llu ", (unsigned long long)op->word);
		if (known)
			fprintf(a->log, "%llu", (unsigned long long)op->reads);
		else
			fputc('?', a->log);
		break;
	case OP_WRITE:
		fprintf(a->log, "w %llu %llu", (unsigned long long)op->word,
			(unsigned long long)op->writes);
		break;
	case OP_CAS:
		fprintf(a->log, "c %llu %llu %llu ", (unsigned long long)op->word,
			(unsigned long long)op->reads, (unsigned long long)op->writes);
		if (known)
			fprintf(a->log, "%llu", (unsigned long long)a->found);
		else
			fputc('?', a->log);
		break;
	}
	fprintf(a->log, " %lld ", (long long)op->inv);
	if (known)
		fprintf(a->log, "%lld\n", (long long)op->resp);
	else
		fputs("?\n", a->log);
	/* A process that is killed loses what is not in the file */
	if (op->resp - a->flushed > FLUSH_NS) {
		fflush(a->log);
		a->flushed = op->resp;
	}
}

/* 0, or -1 if it failed like a mapping does by SIGBUS */
static int by_syscall(struct actor *a, struct op *op)
{
	off_t off = offset_of(a->s, op->word);

	if (op->kind == OP_WRITE) {
		if (pwrite(a->s->fd, &op->writes, 8, off) != 8)
			return -1;
	} else if (pread(a->s->fd, &op->reads, 8, off) != 8) {
		return -1;
	}
	return 0;
}

static int access_word(struct actor *a, struct op *op, uint64_t *p)
{
	uint64_t *last = &a->last[op->word], sees = op->reads;

	op->inv = clock_local();
	if (op->kind != OP_CAS && rnd(&a->seed) % 100 < syscalls) {
		if (by_syscall(a, op))
			return -1;
		sees = op->kind == OP_READ ? op->reads : op->writes;
	} else if (op->kind == OP_READ) {
		sees = __atomic_load_n(p, __ATOMIC_SEQ_CST);
	} else if (op->kind == OP_WRITE) {
		__atomic_store_n(p, op->writes, __ATOMIC_SEQ_CST);
		sees = op->writes;
	} else {
		__atomic_compare_exchange_n(p, &sees, op->writes, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
	}
	op->resp = clock_local();
	/* For the proof that it is found: a replica that should have been dropped */
	if (broken && op->kind == OP_READ && rnd(&a->seed) % 1000 == 0)
		sees = *last;
	if (op->kind == OP_READ)
		op->reads = sees;
	*last = op->kind == OP_CAS && sees == op->reads ? op->writes : sees;
	a->found = sees;
	return 0;
}

static void one_op(struct actor *a, uint64_t word)
{
	struct op *op = &a->op;
	unsigned int dice = rnd(&a->seed) % 4;

	memset(op, 0, sizeof(*op));
	op->word = word;
	op->kind = dice < 2 ? OP_READ : dice == 2 ? OP_WRITE : OP_CAS;
	if (op->kind == OP_CAS)
		op->reads = a->last[word];
	if (op->kind != OP_READ)
		op->writes = (uint64_t)a->proc << 32 | ++a->n;
	if (access_word(a, op, (uint64_t *)(a->s->base + offset_of(a->s, word))))
		siglongjmp(a->jump, 1);
	log_op(a, true);
	a->done++;
}

static bool stopped(struct actor *a)
{
	if (a->done + a->failed < nr_ops)
		return false;
	if (!stop_file)
		return true;
	if (a->looked && clock_local() - a->looked < FLUSH_NS)
		return false;
	a->looked = clock_local();
	return !access(stop_file, F_OK);
}

static void *act(void *arg)
{
	struct actor *a = arg;

	if (sigsetjmp(a->jump, 1)) {
		a->failed++;
		a->op.resp = clock_local();
		log_op(a, false);
		/* What is gone may come back; meanwhile others have to do */
		a->avoid[a->op.word / nr_words] = a->op.resp + AVOID_NS;
	}
	me = a;
	while (!stopped(a)) {
		uint64_t burst = 1 + rnd(&a->seed) % BURST, vmr = rnd(&a->seed);

		/* Half of all in a quarter of the VMRs */
		vmr = vmr & 1 ? vmr / 2 % nr_vmrs : vmr / 2 % (nr_vmrs / 4 + 1);
		if (a->avoid[vmr] > clock_local()) {
			usleep(1000);
			continue;
		}
		while (burst--)
			one_op(a, vmr * nr_words + rnd(&a->seed) % nr_words);
		if (pace_us)
			usleep(rnd(&a->seed) % (2 * pace_us));
	}
	me = NULL;
	fputs("end\n", a->log);
	if (fclose(a->log))
		die("log of process %u: %s", a->proc, strerror(errno));
	return NULL;
}

/* Replicas go and come back; what is only here goes home first */
static void *evict(void *arg)
{
	struct shared *s = arg;
	uint64_t seed = s->seed ^ s->worker << 8;

	for (;;) {
		uint64_t off = (1 + rnd(&seed) % nr_vmrs) * s->vmr;
		uint64_t len = rnd(&seed) % 8 ? s->vmr : s->size - off;

		switch (rnd(&seed) % 3) {
		case 0:
			posix_fadvise(s->fd, off, len, POSIX_FADV_DONTNEED);
			break;
		case 1:
			madvise(s->base + off, len, MADV_DONTNEED);
			break;
		case 2:
			msync(s->base + off, len, MS_SYNC);
			break;
		}
		usleep(evict_ms * 1000);
	}
	return NULL;
}

static void start_actor(struct actor *a, struct shared *s, uint32_t proc, const char *clock)
{
	char path[4096];

	*a = (struct actor){ .s = s, .proc = proc, .seed = s->seed * 1000 + proc };
	a->last = calloc(nr_vmrs * nr_words, sizeof(*a->last));
	a->avoid = calloc(nr_vmrs, sizeof(*a->avoid));
	snprintf(path, sizeof(path), "%s/%u.log", dir, proc);
	a->log = fopen(path, "w");
	if (!a->last || !a->avoid || !a->log)
		die("%s: %s", path, strerror(errno));
	fprintf(a->log, "linear proc %u clock %s\n# seed %llu\n", proc, clock,
		(unsigned long long)s->seed);
	fflush(a->log);
}

static int work(struct shared *s)
{
	uint32_t proc = first_proc + s->worker * nr_threads;
	struct actor *actors = calloc(nr_threads, sizeof(*actors));
	char clock[64] = "host", path[4096];
	uint64_t done = 0, failed = 0;
	pthread_t evictor;

	if (!actors)
		die("no memory");
	shared_open(s);
	if (skew_ms)
		clock_skew(skew_ms * 1000000 * (proc % 7), skew_ms * (proc % 5));
	if (server) {
		snprintf(clock, sizeof(clock), "%u.clock", proc);
		snprintf(path, sizeof(path), "%s/%s", dir, clock);
		clock_start(server, path, sample_ms);
	}
	signal(SIGBUS, on_sigbus);
	if (evict_ms && pthread_create(&evictor, NULL, evict, s))
		die("no thread");
	for (unsigned int i = 0; i < nr_threads; i++)
		start_actor(&actors[i], s, proc + i, clock);
	for (unsigned int i = 0; i < nr_threads; i++)
		if (pthread_create(&actors[i].thread, NULL, act, &actors[i]))
			die("no thread");
	for (unsigned int i = 0; i < nr_threads; i++) {
		pthread_join(actors[i].thread, NULL);
		done += actors[i].done;
		failed += actors[i].failed;
	}
	if (server)
		clock_stop();
	printf("process %u%s: %llu operations, %llu failed\n", proc,
	       nr_threads > 1 ? "..." : "", (unsigned long long)done, (unsigned long long)failed);
	return 0;
}

/* Without a cluster: workers are killed, and new ones take their place */
static int run_and_kill(struct shared *s)
{
	pid_t *pids = calloc(s->workers, sizeof(*pids));
	uint64_t seed = s->seed, kills = 0, gone = 0;
	int status;

	if (!pids)
		die("no memory");
	for (s->worker = 0; s->worker < s->workers; s->worker++)
		shared_fork(s, &pids[s->worker], work);
	while (gone < s->workers) {
		unsigned int w = rnd(&seed) % s->workers;
		/* Not worker 0, who makes the file, nor for ever */
		bool doomed = w && kills < 5ULL * s->workers;

		usleep(kill_ms * 1000);
		if (!pids[w])
			continue;
		if (doomed)
			kill(pids[w], SIGKILL);
		if (waitpid(pids[w], &status, doomed ? 0 : WNOHANG) != pids[w])
			continue;
		if (WIFEXITED(status)) {
			if (WEXITSTATUS(status))
				return WEXITSTATUS(status);
			pids[w] = 0;
			gone++;
			continue;
		}
		kills++;
		first_proc += s->workers * nr_threads;
		s->worker = w;
		shared_fork(s, &pids[w], work);
	}
	printf("%llu processes were killed\n", (unsigned long long)kills);
	unlink(s->path);
	free(pids);
	return 0;
}

static int check(int nr_files, char **files, uint64_t min_ops, uint64_t plant, uint64_t seed)
{
	struct history h = { .stall_ns = stall_ms * 1000000 };
	size_t words = 0, killed = 0;
	int bad;

	history_read(&h, nr_files, files);
	bad = check_history(&h, false);
	for (size_t i = 0; i < h.nr_ops; i++)
		words += !i || h.ops[i].word != h.ops[i - 1].word;
	for (size_t i = 0; i < h.nr_procs; i++)
		killed += !h.procs[i].ended;
	printf("%zu operations (%zu may have happened) of %zu processes (%zu killed) on %zu words",
	       h.nr_ops, h.nr_unknown, h.nr_procs, killed, words);
	if (h.max_widened)
		printf(", times widened by %.1f ms (median), %.1f ms (most)",
		       h.median_widened / 1e6, h.max_widened / 1e6);
	if (h.nr_stalled)
		printf(", %zu reads just after a clock had stood still", h.nr_stalled);
	printf(": %d words are not linearizable\n", bad);
	if (h.nr_ops - h.nr_unknown < min_ops) {
		printf("# less than %llu operations\n", (unsigned long long)min_ops);
		bad++;
	}
	if (!bad && plant)
		bad = check_plant(&h, seed, plant);
	return bad ? 1 : 0;
}

static void usage(void)
{
	fputs("usage: linear --file PATH [OPTION...]     run; logs are DIR/PROC.log\n"
	      "       linear --check [--min-ops N] [--plant N] [--stall MS] LOG...\n"
	      "       linear --self-test N               the checker, on N small histories\n"
	      "       linear --referee PORT              the clock, see clock.h\n"
	      SHARED_USAGE
	      "  --ops N         of each thread (10000)\n"
	      "  --vmrs N        VMRs used (16)\n"
	      "  --words N       in each of them (8)\n"
	      "  --threads N     of each worker (1)\n"
	      "  --proc N        number of the first thread of worker 0 (1); has to be a new one\n"
	      "                  whenever a worker is started again\n"
	      "  --dir DIR       of the logs (.)\n"
	      "  --clock A:PORT  of the referee; without it, all is on one machine\n"
	      "  --sample MS     between questions to it (5)\n"
	      "  --stop FILE     go on until it exists\n"
	      "  --pace US       wait for so long, on average, after up to 8 operations on a VMR\n"
	      "  --syscalls P    so many percent of reads and writes by read(2), write(2) (0)\n"
	      "  --evict MS      drop or write back some VMR every so often\n"
	      "  --kill MS       kill a worker every so often, and start another\n"
	      "  --skew MS       let clocks be wrong and drift\n"
	      "  --broken        let some reads be stale\n"
	      "  --min-ops N     check: it is wrong if less have succeeded\n"
	      "  --plant N       check: how many of N planted stale reads would be found?\n"
	      "  --stall MS      check: reads of a machine whose clock has stood still may be as\n"
	      "                  old as when it stopped, for so long after it has gone on (0)\n"
	      "Status: 0; 1 if not linearizable; 2 if it could not be run.\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ops", required_argument, NULL, 'O' },
		{ "vmrs", required_argument, NULL, 'V' },
		{ "words", required_argument, NULL, 'W' },
		{ "threads", required_argument, NULL, 'T' },
		{ "proc", required_argument, NULL, 'P' },
		{ "dir", required_argument, NULL, 'D' },
		{ "clock", required_argument, NULL, 'C' },
		{ "sample", required_argument, NULL, 'S' },
		{ "stop", required_argument, NULL, 'X' },
		{ "pace", required_argument, NULL, 'Q' },
		{ "syscalls", required_argument, NULL, 'Y' },
		{ "evict", required_argument, NULL, 'E' },
		{ "kill", required_argument, NULL, 'K' },
		{ "skew", required_argument, NULL, 'A' },
		{ "broken", no_argument, NULL, 'B' },
		{ "check", no_argument, NULL, 'H' },
		{ "min-ops", required_argument, NULL, 'I' },
		{ "plant", required_argument, NULL, 'L' },
		{ "stall", required_argument, NULL, 'Z' },
		{ "self-test", required_argument, NULL, 'F' },
		{ "referee", required_argument, NULL, 'R' },
		{ }
	};
	uint64_t min_ops = 0, plant = 0, self = 0;
	bool checks = false;
	struct shared s;
	int c;

	shared_defaults(&s, 2);
	while ((c = shared_getopt(&s, argc, argv, options)) != -1) {
		switch (c) {
		case 'O':
			nr_ops = shared_num(optarg);
			break;
		case 'V':
			nr_vmrs = shared_num(optarg);
			break;
		case 'W':
			nr_words = shared_num(optarg);
			break;
		case 'T':
			nr_threads = shared_num(optarg);
			break;
		case 'P':
			first_proc = shared_num(optarg);
			break;
		case 'D':
			dir = optarg;
			break;
		case 'C':
			server = optarg;
			break;
		case 'S':
			sample_ms = shared_num(optarg);
			break;
		case 'X':
			stop_file = optarg;
			break;
		case 'Q':
			pace_us = shared_num(optarg);
			break;
		case 'Y':
			syscalls = shared_num(optarg);
			break;
		case 'E':
			evict_ms = shared_num(optarg);
			break;
		case 'K':
			kill_ms = shared_num(optarg);
			break;
		case 'A':
			skew_ms = shared_num(optarg);
			break;
		case 'B':
			broken = true;
			break;
		case 'H':
			checks = true;
			break;
		case 'I':
			min_ops = shared_num(optarg);
			break;
		case 'L':
			plant = shared_num(optarg);
			break;
		case 'Z':
			stall_ms = shared_num(optarg);
			break;
		case 'F':
			self = shared_num(optarg);
			break;
		case 'R':
			return clock_referee(shared_num(optarg));
		default:
			usage();
		}
	}
	if (self)
		return check_self(s.seed, self);
	if (checks && optind < argc)
		return check(argc - optind, argv + optind, min_ops, plant, s.seed);
	if (checks || optind < argc || !nr_vmrs || !nr_words || !nr_threads || !first_proc ||
	    nr_words * 8 > s.vmr)
		usage();
	s.size = (1 + nr_vmrs) * s.vmr;
	printf("seed %llu\n", (unsigned long long)s.seed);
	if (kill_ms && !s.alone)
		return run_and_kill(&s);
	return shared_run(&s, work);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The referee and those who ask it, see clock.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "history.h"
#include "shared.h"

#define STALL_NS	100000000	/* clocks do not drift by that between samples */
#define REFEREE_MAGIC	0x524d414952454631ULL

/* All of it in the byte order of the machines, which is the same for all of a cluster */
struct datagram {
	uint64_t	magic;
	uint64_t	seq;
	uint64_t	id;	/* 0 in a question */
	int64_t		stamp;
};

static int64_t skew_ns, skew_ppm;
static pthread_t sampler;
static int sampler_fd = -1;
static FILE *sampler_log;
static unsigned int sampler_period_ms;
static uint64_t nr_samples;
static bool sampler_stop;

/**
 * clock_skew() - make this machine's clock wrong, to show that it does not matter
 * @offset_ns: added
 * @drift_ppm: runs faster by that
 */
void clock_skew(int64_t offset_ns, int64_t drift_ppm)
{
	skew_ns = offset_ns;
	skew_ppm = drift_ppm;
}

/**
 * clock_local() - this machine's time
 *
 * Nothing is moved across it, by compiler or CPU: what is done before is done, what is
 * done after has not begun.
 *
 * Return: nanoseconds since something.
 */
int64_t clock_local(void)
{
	int64_t t;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	t = now_ns();
#ifdef __x86_64__
	/* Loads must not be done before the time is taken */
	__asm__ volatile("lfence" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
	if (skew_ppm)
		t += t / 1000000 * skew_ppm;
	return t + skew_ns;
}

/**
 * clock_referee() - answer questions, until killed
 * @port: of UDP
 *
 * Return: a status, if it cannot.
 */
int clock_referee(uint16_t port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint64_t id = now_ns() << 16 | (getpid() & 0xffff);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("UDP port %u: %s", port, strerror(errno));
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		struct datagram d;
		ssize_t n = recvfrom(fd, &d, sizeof(d), 0, (struct sockaddr *)&from, &len);

		if (n != sizeof(d) || d.magic != REFEREE_MAGIC)
			continue;
		d.id = id;
		d.stamp = now_ns();
		sendto(fd, &d, sizeof(d), 0, (struct sockaddr *)&from, len);
	}
}

/* One question; an answer that comes too late is dropped, so samples are in order */
static bool ask(struct datagram *d, int64_t *send_ns, int64_t *recv_ns)
{
	struct pollfd p = { .fd = sampler_fd, .events = POLLIN };
	static uint64_t seq;

	*d = (struct datagram){ .magic = REFEREE_MAGIC, .seq = ++seq };
	*send_ns = clock_local();
	if (send(sampler_fd, d, sizeof(*d), 0) != sizeof(*d))
		return false;
	while (poll(&p, 1, 100) == 1) {
		ssize_t n = recv(sampler_fd, d, sizeof(*d), 0);

		*recv_ns = clock_local();
		if (n < 0)
			return false;
		if (n == sizeof(*d) && d->magic == REFEREE_MAGIC && d->seq == seq)
			return true;
	}
	return false;
}

static void *sample(void *arg)
{
	uint64_t id = 0;

	(void)arg;
	for (int more = 20; more > 0;) {
		int64_t send_ns, recv_ns;
		struct datagram d;

		/* One more at the end, after the last operation */
		if (__atomic_load_n(&sampler_stop, __ATOMIC_ACQUIRE))
			more--;
		if (ask(&d, &send_ns, &recv_ns)) {
			if (!id)
				fprintf(sampler_log, "referee %llu\n", (unsigned long long)d.id);
			else if (d.id != id)
				die("the referee has been started anew");
			id = d.id;
			fprintf(sampler_log, "s %lld %lld %lld\n", (long long)send_ns,
				(long long)d.stamp, (long long)recv_ns);
			/* Line by line: this machine may be gone at any time */
			fflush(sampler_log);
			__atomic_add_fetch(&nr_samples, 1, __ATOMIC_RELEASE);
			if (more < 20)
				break;
		}
		usleep(sampler_period_ms * 1000);
	}
	fclose(sampler_log);
	return NULL;
}

/**
 * clock_start() - begin to ask
 * @server: ADDRESS:PORT of the referee
 * @path: of the log of samples
 * @period_ms: between questions
 *
 * Return: when there is a first sample; ends the program if there is none for a time.
 */
void clock_start(const char *server, const char *path, unsigned int period_ms)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	const char *colon = strrchr(server, ':');
	char ip[64];

	if (!colon)
		die("%s: not ADDRESS:PORT", server);
	snprintf(ip, sizeof(ip), "%.*s", (int)(colon - server), server);
	addr.sin_port = htons(atoi(colon + 1));
	if (inet_pton(AF_INET, ip, &addr.sin_addr) != 1)
		die("%s: not ADDRESS:PORT", server);
	sampler_fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (sampler_fd < 0 || connect(sampler_fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("%s: %s", server, strerror(errno));
	sampler_log = fopen(path, "w");
	if (!sampler_log)
		die("%s: %s", path, strerror(errno));
	sampler_period_ms = period_ms;
	if (pthread_create(&sampler, NULL, sample, NULL))
		die("no thread");
	for (int i = 0; !__atomic_load_n(&nr_samples, __ATOMIC_ACQUIRE); i++) {
		if (i == 3000)
			die("%s: the referee does not answer", server);
		usleep(10000);
	}
}

/**
 * clock_stop() - a last sample, after all operations
 */
void clock_stop(void)
{
	__atomic_store_n(&sampler_stop, true, __ATOMIC_RELEASE);
	pthread_join(sampler, NULL);
	close(sampler_fd);
}

/**
 * clock_read() - a log of samples; of one that was cut short, what is whole
 * @log: filled in
 * @path: of the file
 */
void clock_read(struct clock_log *log, const char *path)
{
	FILE *f = fopen(path, "r");
	size_t max = 0;
	char line[256];

	if (!f)
		die("%s: %s", path, strerror(errno));
	memset(log, 0, sizeof(*log));
	while (fgets(line, sizeof(line), f) && strchr(line, '\n')) {
		struct clock_sample s, *prev = log->nr ? &log->samples[log->nr - 1] : NULL;
		long long send_ns, stamp, recv_ns;
		unsigned long long id;

		if (*line == '#')
			continue;
		if (sscanf(line, "referee %llu", &id) == 1) {
			log->id = id;
			continue;
		}
		if (sscanf(line, "s %lld %lld %lld", &send_ns, &stamp, &recv_ns) != 3)
			die("%s: not a sample: %s", path, line);
		s = (struct clock_sample){ send_ns, stamp, recv_ns };
		if (s.recv < s.send || (prev && (s.send < prev->recv || s.stamp < prev->stamp)))
			die("%s: a clock ran backwards: %s", path, line);
		if (log->nr == max) {
			max = max ? 2 * max : 1024;
			log->samples = realloc(log->samples, max * sizeof(s));
			if (!log->samples)
				die("no memory");
		}
		log->samples[log->nr++] = s;
	}
	fclose(f);
}

/**
 * clock_before() - a stamp that was made before a local time
 * @log: of that machine
 * @t: local time
 *
 * Return: the latest that surely was; -1 if none is known.
 */
int64_t clock_before(const struct clock_log *log, int64_t t)
{
	size_t low = 0, high = log->nr;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (log->samples[mid].recv <= t)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? log->samples[low - 1].stamp : -1;
}

/* Has the clock stood still between two samples? Then the referee's went on by more */
static bool stood_still(const struct clock_sample *a, const struct clock_sample *b)
{
	return b->stamp - a->stamp > b->recv - a->send + STALL_NS;
}

/**
 * clock_stalled() - had the machine just gone on, after its clock had stood still?
 * @log: of that machine
 * @t: local time
 * @within: nanoseconds, as that clock measures them
 *
 * Return: a stamp from before it stood still; -1 if it did not within @within before @t.
 */
int64_t clock_stalled(const struct clock_log *log, int64_t t, int64_t within)
{
	for (size_t i = log->nr; i-- > 1;) {
		const struct clock_sample *s = &log->samples[i - 1];

		if (s->send > t)
			continue;
		/* It went on when the second was received, or before */
		if (s[1].recv + within < t)
			break;
		if (stood_still(s, s + 1))
			return s->stamp;
	}
	return -1;
}

/**
 * clock_after() - a stamp that was made after a local time
 * @log: of that machine
 * @t: local time
 *
 * Return: the first that surely was; NEVER if none is known.
 */
int64_t clock_after(const struct clock_log *log, int64_t t)
{
	size_t low = 0, high = log->nr;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (log->samples[mid].send >= t)
			high = mid;
		else
			low = mid + 1;
	}
	return low < log->nr ? log->samples[low].stamp : NEVER;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Loads and stores in a region that is mapped writable, for the tests of clusters.
 *
 *	share load FILE OFF			value=
 *	share store FILE OFF VALUE
 *	share fill FILE OFF LEN SEED		by stores
 *	share check FILE OFF LEN SEED		by loads; status 3: other bytes
 *	share touch FILE OFF LEN STEP		a load each
 *	share add FILE OFF THREADS COUNT	atomic increments by each thread
 *	share pwrite FILE OFF LEN SEED		by write(2)
 *	share pread FILE OFF LEN SEED		by read(2); status 3: other bytes
 *	share sync FILE OFF LEN			msync(2)
 *	share stat FILE				counters of the region
 *	share hold FILE OFF VALUE		stores, says so, and waits for stdin to end
 *	share until FILE OFF VALUE SECONDS	loads until it has that value
 */
#include <pthread.h>
#include <stdatomic.h>

#include "rmai_test.h"

static int fd;
static uint8_t *map;
static size_t size;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t number(const char *s)
{
	char *end;
	uint64_t v = strtoull(s, &end, 0);

	switch (*end) {
	case 'K':
		v <<= 10;
		break;
	case 'M':
		v <<= 20;
		break;
	case 0:
		break;
	default:
		fprintf(stderr, "not a number: %s\n", s);
		exit(2);
	}
	return v;
}

static _Atomic uint64_t *word(const char *off)
{
	uint64_t o = number(off);

	if (o % 8 || o + 8 > size) {
		fprintf(stderr, "no word at %s\n", off);
		exit(2);
	}
	return (_Atomic uint64_t *)(map + o);
}

static void range(char **argv, uint64_t *off, uint64_t *len)
{
	*off = number(argv[0]);
	*len = number(argv[1]);
	if (*off + *len > size) {
		fprintf(stderr, "%s + %s is past the end, %zu\n", argv[0], argv[1], size);
		exit(2);
	}
}

static void open_file(const char *name, int prot)
{
	struct stat st;

	fd = open(name, O_RDWR);
	if (fd < 0 || fstat(fd, &st))
		die(name);
	size = st.st_size;
	if (!prot)
		return;
	map = mmap(NULL, size, prot, RMAI_FLAGS, fd, 0);
	if (map == MAP_FAILED)
		die("mmap");
}

struct adder {
	pthread_t		thread;
	_Atomic uint64_t	*word;
	uint64_t		count;
};

static void *add(void *arg)
{
	struct adder *a = arg;
	uint64_t i;

	for (i = 0; i < a->count; i++)
		atomic_fetch_add(a->word, 1);
	return NULL;
}

static int adders(_Atomic uint64_t *w, int threads, uint64_t count)
{
	struct adder a[16];
	double start = rmai_now();
	int i;

	for (i = 0; i < threads && i < 16; i++) {
		a[i].word = w;
		a[i].count = count;
		if (pthread_create(&a[i].thread, NULL, add, &a[i]))
			die("pthread_create");
	}
	for (i = 0; i < threads && i < 16; i++)
		pthread_join(a[i].thread, NULL);
	printf("seconds=%.2f\n", rmai_now() - start);
	return 0;
}

static int compare(const uint8_t *buf, uint64_t len, uint64_t off, uint64_t seed)
{
	ssize_t bad = rmai_wrong(buf, len, off, seed);

	if (bad < 0)
		return 0;
	printf("wrong byte at %llu: %#x, not %#x\n", (unsigned long long)off + bad,
	       buf[bad], rmai_byte(off + bad, seed));
	return 3;
}

static int io(bool write, char **argv, uint64_t seed)
{
	uint64_t off = number(argv[0]), len = number(argv[1]), done = 0;
	uint8_t *buf = malloc(len);
	ssize_t n;

	if (!buf)
		die("malloc");
	if (write)
		rmai_fill(buf, len, off, seed);
	while (done < len) {
		n = write ? pwrite(fd, buf + done, len - done, off + done) :
			    pread(fd, buf + done, len - done, off + done);
		if (n <= 0)
			die(write ? "pwrite" : "pread");
		done += n;
	}
	return write ? 0 : compare(buf, len, off, seed);
}

static int show_stat(void)
{
	struct rmai_region_stat st;

	if (ioctl(fd, RMAI_IOC_STAT, &st))
		die("RMAI_IOC_STAT");
#define SHOW(field) printf(#field "=%llu\n", (unsigned long long)st.field)
	SHOW(home_bytes);
	SHOW(replica_bytes);
	SHOW(fault_major);
	SHOW(fault_minor);
	SHOW(fetch_vmrs);
	SHOW(fetch_bytes);
	SHOW(fetch_errors);
	SHOW(rdma_reads);
	SHOW(get_s);
	SHOW(get_x);
	SHOW(inv_sent);
	SHOW(inv_received);
	SHOW(recalls);
	SHOW(writebacks);
	SHOW(pingpongs);
	SHOW(fetch_size);
	SHOW(huge_bytes);
	SHOW(prefetch_advice_hits);
	SHOW(prefetch_advice_waste);
	SHOW(prefetch_seq_hits);
	SHOW(prefetch_seq_waste);
	SHOW(prefetch_schedule_hits);
	SHOW(prefetch_schedule_waste);
	SHOW(prefetch_next_hits);
	SHOW(prefetch_next_waste);
	SHOW(prefetch_late);
	return 0;
}

int main(int argc, char **argv)
{
	const char *cmd = argc > 2 ? argv[1] : "";
	uint64_t off, len, seed;
	volatile uint8_t sum = 0;
	char c;

	argv += 3;
	argc -= 3;
	if (!strcmp(cmd, "stat")) {
		open_file(argv[-1], 0);
		return show_stat();
	}
	if (argc == 1 && !strcmp(cmd, "load")) {
		open_file(argv[-1], PROT_READ);
		printf("value=%llu\n", (unsigned long long)atomic_load(word(argv[0])));
		return 0;
	}
	if (argc == 2 && !strcmp(cmd, "store")) {
		open_file(argv[-1], PROT_READ | PROT_WRITE);
		atomic_store(word(argv[0]), number(argv[1]));
		return 0;
	}
	if (argc == 2 && !strcmp(cmd, "hold")) {
		open_file(argv[-1], PROT_READ | PROT_WRITE);
		atomic_store(word(argv[0]), number(argv[1]));
		printf("stored\n");
		fflush(stdout);
		while (read(0, &c, 1) > 0)
			;
		return 0;
	}
	if (argc == 3 && !strcmp(cmd, "until")) {
		double end = rmai_now() + number(argv[2]);

		open_file(argv[-1], PROT_READ);
		while (atomic_load(word(argv[0])) != number(argv[1])) {
			if (rmai_now() > end) {
				printf("still %llu\n",
				       (unsigned long long)atomic_load(word(argv[0])));
				return 1;
			}
		}
		return 0;
	}
	if (argc == 3 && !strcmp(cmd, "add")) {
		open_file(argv[-1], PROT_READ | PROT_WRITE);
		return adders(word(argv[0]), number(argv[1]), number(argv[2]));
	}
	if (argc == 3 && (!strcmp(cmd, "fill") || !strcmp(cmd, "check"))) {
		bool fill = cmd[0] == 'f';

		open_file(argv[-1], fill ? PROT_READ | PROT_WRITE : PROT_READ);
		range(argv, &off, &len);
		seed = number(argv[2]);
		if (!fill)
			return compare(map + off, len, off, seed);
		rmai_fill(map + off, len, off, seed);
		return 0;
	}
	if (argc == 3 && !strcmp(cmd, "touch")) {
		open_file(argv[-1], PROT_READ);
		range(argv, &off, &len);
		for (seed = 0; seed < len; seed += number(argv[2]))
			sum += map[off + seed];
		return 0;
	}
	if (argc == 3 && (!strcmp(cmd, "pwrite") || !strcmp(cmd, "pread"))) {
		open_file(argv[-1], 0);
		return io(cmd[1] == 'w', argv, number(argv[2]));
	}
	if (argc == 2 && !strcmp(cmd, "sync")) {
		open_file(argv[-1], PROT_READ | PROT_WRITE);
		range(argv, &off, &len);
		if (msync(map + off, len, MS_SYNC))
			die("msync");
		return 0;
	}
	fprintf(stderr, "usage: share COMMAND FILE ...: see the source\n");
	return 2;
}

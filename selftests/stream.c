// SPDX-License-Identifier: GPL-2.0
/*
 * Regions of large VMRs, of which parts arrive before others.
 *
 *	stream read FILE SEED THREADS ROUNDS [pageout]
 *		threads check all pages in an order of their own; replicas are dropped before
 *		each round, and with "pageout" also some each time that CHECKS more pages have
 *		been checked: of what is dropped faster than it comes nobody sees the end
 *	stream partial FILE SEED READY
 *		begins to fetch all; when an eighth has arrived makes READY, and when READY is
 *		gone checks what has arrived, and that some of the rest gives SIGBUS
 *
 * Patterns are those of rmai_test.h. A byte that is wrong: status 3.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "rmai_test.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

#define CHECKS		2048

static const char *name;
static uint8_t *map;
static uint64_t size, pages, seed, vmr_size;
static int fd;
static atomic_bool done;
static atomic_llong wrong, checked;

static void die(const char *what)
{
	fprintf(stderr, "stream: %s: %s: %s\n", name, what, strerror(errno));
	exit(1);
}

static void open_file(const char *path)
{
	struct rmai_attr a;

	name = path;
	fd = open(path, O_RDONLY);
	if (fd < 0 || rmai_getattr(fd, &a))
		die("open");
	size = a.size;
	vmr_size = a.vmr_size;
	pages = (size + PAGE - 1) / PAGE;
	map = mmap(NULL, size, PROT_READ, RMAI_FLAGS, fd, 0);
	if (map == MAP_FAILED)
		die("mmap");
}

static uint64_t next_random(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static bool page_is_right(uint64_t page)
{
	uint64_t off = page * PAGE, len = size - off < PAGE ? size - off : PAGE;
	ssize_t bad = rmai_wrong(map + off, len, off, seed);

	if (bad < 0)
		return true;
	fprintf(stderr, "stream: %s: the byte at %llu is wrong\n", name,
		(unsigned long long)off + bad);
	atomic_fetch_add(&wrong, 1);
	return false;
}

/* All pages, by steps that are prime to their number, from anywhere */
static void *read_all(void *arg)
{
	uint64_t s = (uintptr_t)arg, page, step, a, b, t, i;

	do {
		step = next_random(&s) % pages | 1;
		for (a = pages, b = step; b; t = a % b, a = b, b = t)
			;
	} while (a != 1);
	page = next_random(&s) % pages;
	for (i = 0; i < pages; i++) {
		if (!page_is_right(page))
			break;
		atomic_fetch_add(&checked, 1);
		page = (page + step) % pages;
	}
	return NULL;
}

static void *drop_some(void *arg)
{
	uint64_t s = (uintptr_t)arg, n = 0;

	while (!atomic_load(&done)) {
		uint64_t first, nr;

		if (atomic_load(&checked) < (long long)(n + 1) * CHECKS) {
			usleep(1000);
			continue;
		}
		first = next_random(&s) % pages;
		nr = next_random(&s) % (MIB / PAGE) + 1;
		nr = nr < pages - first ? nr : pages - first;
		if (madvise(map + first * PAGE, nr * PAGE, MADV_PAGEOUT))
			die("madvise");
		n++;
	}
	return (void *)(uintptr_t)n;
}

static uint64_t resident(unsigned char *vec)
{
	uint64_t n = 0, i;

	if (mincore(map, size, vec))
		die("mincore");
	for (i = 0; i < pages; i++)
		n += vec[i] & 1;
	return n;
}

static int cmd_read(char **argv)
{
	int threads = atoi(argv[2]), rounds = atoi(argv[3]), i, k;
	pthread_t *t = calloc(threads, sizeof(*t)), dropper;
	long long fetched = rmai_stat("fetch_bytes");
	unsigned char *vec = malloc(pages);
	double begin = rmai_now();
	void *drops = NULL;

	if (argv[4] && pthread_create(&dropper, NULL, drop_some, NULL))
		die("thread");
	for (k = 0; k < rounds; k++) {
		if (madvise(map, size, MADV_DONTNEED) ||
		    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
			die("drop");
		for (i = 0; i < threads; i++)
			if (pthread_create(&t[i], NULL, read_all,
					   (void *)(uintptr_t)(k * threads + i + 1)))
				die("thread");
		for (i = 0; i < threads; i++)
			pthread_join(t[i], NULL);
	}
	atomic_store(&done, true);
	if (argv[4])
		pthread_join(dropper, &drops);
	printf("resident=%llu\ndrops=%llu\nfetched=%lld\nseconds=%.3f\n",
	       (unsigned long long)resident(vec), (unsigned long long)(uintptr_t)drops,
	       rmai_stat("fetch_bytes") - fetched, rmai_now() - begin);
	return wrong ? 3 : 0;
}

static int cmd_partial(char **argv)
{
	uint64_t here, i, lost = 0, tried = 0;
	unsigned char *vec = malloc(pages);
	double begin = rmai_now();
	int ready;

	if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) || madvise(map, size, MADV_WILLNEED))
		die("advice");
	while (resident(vec) < pages / 8) {
		if (rmai_now() > begin + RMAI_TIMEOUT)
			die("nothing comes");
		usleep(1000);
	}
	ready = open(argv[2], O_CREAT | O_WRONLY, 0600);
	if (ready < 0)
		die(argv[2]);
	close(ready);
	while (!access(argv[2], F_OK))
		usleep(1000);
	here = resident(vec);
	for (i = 0; i < pages; i++) {
		if (!(vec[i] & 1))
			continue;
		/* mincore(2) counts what is on its way */
		if (rmai_peek(map + i * PAGE)) {
			here--;
			vec[i] = 0;
			lost++;
			tried++;
		} else if (!page_is_right(i)) {
			return 3;
		}
	}
	for (i = 0; i < pages && tried < 64; i += 97) {
		if (vec[i] & 1)
			continue;
		tried++;
		if (rmai_peek(map + i * PAGE) == SIGBUS)
			lost++;
		else if (!page_is_right(i))
			return 3;
	}
	printf("pages=%llu\nhere=%llu\ntried=%llu\nlost=%llu\nseconds=%.3f\n",
	       (unsigned long long)pages, (unsigned long long)here,
	       (unsigned long long)tried, (unsigned long long)lost, rmai_now() - begin);
	return here && lost && lost == tried ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fputs("usage: stream read FILE SEED THREADS ROUNDS [pageout]\n"
		      "       stream partial FILE SEED READY\n", stderr);
		return 2;
	}
	seed = strtoull(argv[3], NULL, 0);
	open_file(argv[2]);
	if (!strcmp(argv[1], "read") && argc >= 6)
		return cmd_read(argv + 2);
	if (!strcmp(argv[1], "partial"))
		return cmd_partial(argv + 2);
	return 2;
}

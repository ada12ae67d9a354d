// SPDX-License-Identifier: GPL-2.0
/*
 * bench-touch make [-v VMR_SIZE] NAME SIZE: writes a region and seals it.
 * bench-touch touch [-k] NAME: maps it, reads a word of each page in order, and
 * prints what that cost as one line of JSON.
 *
 * Sizes may end in K, M or G. Every page begins with a word that tells which page
 * it is, so that a fast answer that is wrong is an error. NAME is relative to
 * /rmai, or $RMAI_MNT.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/rmai.h>

#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE	3
#endif

#define PAGE		4096ULL		/* RMAI's unit */
#define STATS		"/sys/kernel/mm/rmai/stats"
#define MAX_COUNTERS	64

struct counter {
	char		name[64];
	long long	value;
};

static __u64 page_word(__u64 page)
{
	return (page + 1) * 0x9e3779b97f4a7c15ULL;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static __u64 parse_size(const char *s)
{
	static const char suffixes[] = "KMG";
	char *end;
	const char *p;
	__u64 n;

	errno = 0;
	n = strtoull(s, &end, 0);
	p = *end ? strchr(suffixes, *end) : NULL;
	if (errno || end == s || !n || (*end && (!p || end[1])))
		errx(2, "%s: not a size", s);
	return p ? n << (10 * (p - suffixes + 1)) : n;
}

/* All counters of this node; how many */
static int read_counters(struct counter *list)
{
	struct dirent *d;
	int n = 0;
	DIR *dir;

	dir = opendir(STATS);
	if (!dir)
		err(1, STATS);
	while ((d = readdir(dir))) {
		char path[512];
		FILE *f;

		if (d->d_name[0] == '.')
			continue;
		if (n == MAX_COUNTERS)
			errx(1, "more than %d counters", MAX_COUNTERS);
		snprintf(path, sizeof(path), "%s/%s", STATS, d->d_name);
		snprintf(list[n].name, sizeof(list[n].name), "%.63s", d->d_name);
		f = fopen(path, "r");
		if (!f || fscanf(f, "%lld", &list[n].value) != 1)
			errx(1, "cannot read %s", path);
		fclose(f);
		n++;
	}
	closedir(dir);
	return n;
}

static void make(const char *name, __u64 size, __u64 vmr_size)
{
	struct rmai_attr attr = { .mask = RMAI_ATTR_VMR_SIZE, .vmr_size = vmr_size };
	__u64 step = 1 << 20, off, i;
	char *buf;
	int fd;

	buf = aligned_alloc(PAGE, step);
	if (!buf)
		err(1, "memory");
	/* Not zeros: nobody shall get away with not moving them */
	for (i = 0; i < step; i++)
		buf[i] = i * 31 + 7;
	fd = open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (fd < 0)
		err(1, "%s", name);
	if (ioctl(fd, RMAI_IOC_SETATTR, &attr))
		err(1, "%s: VMR size %llu", name, vmr_size);
	for (off = 0; off < size; off += step) {
		__u64 len = size - off < step ? size - off : step;

		for (i = 0; i < len; i += PAGE)
			*(__u64 *)(buf + i) = page_word((off + i) / PAGE);
		if (write(fd, buf, len) != (ssize_t)len)
			err(1, "%s: write", name);
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK))
		err(1, "%s: seal", name);
	if (close(fd))
		err(1, "%s: close", name);
	free(buf);
}

/* First page that is not what it should be, or @nr */
static __u64 touch_pages(const char *p, __u64 nr)
{
	__u64 i;

	for (i = 0; i < nr; i++)
		if (*(const volatile __u64 *)(p + i * PAGE) != page_word(i))
			break;
	return i;
}

/* Code, stack and clock are not to be counted: use them once before */
static void warm_up(void)
{
	__u64 *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	*p = page_word(0);
	if (touch_pages((char *)p, 1) != 1)
		errx(1, "touch_pages() is wrong");
	now();
	munmap(p, PAGE);
}

static __u64 resident(void *p, __u64 len)
{
	__u64 nr = len / PAGE, i, n = 0;
	unsigned char *vec = malloc(nr);

	if (!vec || mincore(p, len, vec))
		err(1, "mincore");
	for (i = 0; i < nr; i++)
		n += vec[i] & 1;
	free(vec);
	return n;
}

/* keep: do not drop what is here already */
static void touch(const char *name, bool keep)
{
	struct counter before[MAX_COUNTERS], after[MAX_COUNTERS];
	struct rmai_attr attr = { 0 };
	struct rusage u0, u1;
	__u64 len, here, bad;
	double t0, t1;
	int fd, n, i;
	char *p;

	fd = open(name, O_RDONLY);
	if (fd < 0)
		err(1, "%s", name);
	if (ioctl(fd, RMAI_IOC_GETATTR, &attr))
		err(1, "%s: attributes", name);
	len = (attr.size + PAGE - 1) / PAGE * PAGE;
	if (!keep) {
		errno = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		if (errno)
			err(1, "%s: fadvise", name);
	}
	p = mmap(NULL, len, PROT_READ, MAP_SHARED_VALIDATE | MAP_RMAI, fd, 0);
	if (p == MAP_FAILED)
		err(1, "%s: mmap", name);
	here = resident(p, len);
	if (here && !keep)
		errx(1, "%s: not cold: %llu of %llu pages are here", name,
		     here, (len / PAGE));
	warm_up();
	n = read_counters(before);
	getrusage(RUSAGE_SELF, &u0);
	t0 = now();
	bad = touch_pages(p, len / PAGE);
	t1 = now();
	getrusage(RUSAGE_SELF, &u1);
	if (read_counters(after) != n)
		errx(1, "counters come and go");
	if (bad != len / PAGE)
		errx(1, "%s: page %llu has wrong data", name, bad);

	printf("{\"bytes\": %llu, \"vmr_size\": %llu, \"resident_before\": %llu, ",
	       len, attr.vmr_size,
	       here);
	printf("\"seconds\": %.6f, \"mb_per_s\": %.3f, \"majflt\": %ld, \"minflt\": %ld, ",
	       t1 - t0, len / (t1 - t0) / 1e6, u1.ru_majflt - u0.ru_majflt,
	       u1.ru_minflt - u0.ru_minflt);
	printf("\"counters\": {");
	for (i = 0; i < n; i++)
		printf("%s\"%s\": %lld", i ? ", " : "", after[i].name,
		       after[i].value - before[i].value);
	printf("}}\n");
	munmap(p, len);
	close(fd);
}

static void usage(void)
{
	fputs("usage: bench-touch make [-v VMR_SIZE] NAME SIZE\n"
	      "       bench-touch touch [-k] NAME\n"
	      "  -k  keep: replicas that are here already are not dropped first\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	const char *mnt = getenv("RMAI_MNT"), *what = argc > 1 ? argv[1] : "";
	__u64 vmr_size = RMAI_VMR_DEFAULT;
	bool keep = false;
	int opt;

	if (argc < 2)
		usage();
	argc--;
	argv++;
	while ((opt = getopt(argc, argv, "kv:")) != -1) {
		switch (opt) {
		case 'k':
			keep = true;
			break;
		case 'v':
			vmr_size = parse_size(optarg);
			break;
		default:
			usage();
		}
	}
	if (chdir(mnt ? mnt : "/rmai"))
		err(1, "%s", mnt ? mnt : "/rmai");
	if (!strcmp(what, "make") && argc == optind + 2)
		make(argv[optind], parse_size(argv[optind + 1]), vmr_size);
	else if (!strcmp(what, "touch") && argc == optind + 1)
		touch(argv[optind], keep);
	else
		usage();
	return 0;
}

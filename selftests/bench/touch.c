// SPDX-License-Identifier: GPL-2.0
/*
 * bench-touch make [-afo] [-v VMR_SIZE] [-n NODE] NAME SIZE: writes a region and seals it
 *	(-o: leaves it open).
 * bench-touch touch [-ks] NAME: maps it, reads a word of each page in order, and
 * prints what that cost as one line of JSON.
 *
 * Sizes may end in K, M or G. Every page begins with a word that tells which page
 * it is, so that a fast answer that is wrong is an error. NAME is relative to
 * /rmai, or $RMAI_MNT.
 */
#include <dirent.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "region.h"

#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE	3
#endif

#define STATS		"/sys/kernel/mm/rmai/stats"
#define MAX_COUNTERS	64

struct counter {
	char		name[64];
	long long	value;
};

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

static void make(const char *name, __u64 size, __u64 vmr_size, int node, __u32 fetch,
		 bool open_region)
{
	struct rmai_attr attr = {
		.mask = RMAI_ATTR_VMR_SIZE | RMAI_ATTR_FETCH,
		.vmr_size = vmr_size,
		.fetch = fetch,
	};
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
	if (node) {
		attr.mask |= RMAI_ATTR_LAYOUT;
		attr.nr_nodes = 1;
		attr.nodes[0] = node;
	}
	if (ioctl(fd, RMAI_IOC_SETATTR, &attr))
		err(1, "%s: VMR size %llu, node %d", name, vmr_size, node);
	for (off = 0; off < size; off += step) {
		__u64 len = size - off < step ? size - off : step;

		for (i = 0; i < len; i += PAGE)
			*(__u64 *)(buf + i) = page_word((off + i) / PAGE);
		if (write(fd, buf, len) != (ssize_t)len)
			err(1, "%s: write", name);
	}
	if (!open_region &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK))
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

/* keep: do not drop what is here already */
static void touch(const char *name, bool keep, bool sequential)
{
	struct counter before[MAX_COUNTERS], after[MAX_COUNTERS];
	struct rusage u0, u1;
	__u64 len, here, bad;
	struct region r;
	double t0, t1;
	int n, i;

	open_region(&r, name);
	len = (r.size + PAGE - 1) / PAGE * PAGE;
	if (!keep)
		make_cold(&r);
	if (sequential && madvise((void *)r.map, len, MADV_SEQUENTIAL))
		err(1, "%s: madvise", name);
	here = resident(&r, 0, len);
	warm_up();
	n = read_counters(before);
	getrusage(RUSAGE_SELF, &u0);
	t0 = now();
	bad = touch_pages((const char *)r.map, len / PAGE);
	t1 = now();
	getrusage(RUSAGE_SELF, &u1);
	if (read_counters(after) != n)
		errx(1, "counters come and go");
	if (bad != len / PAGE)
		errx(1, "%s: page %llu has wrong data", name, bad);

	printf("{\"bytes\": %llu, \"vmr_size\": %llu, \"resident_before\": %llu, ",
	       (unsigned long long)len, (unsigned long long)r.vmr_size,
	       (unsigned long long)here);
	printf("\"seconds\": %.6f, \"mb_per_s\": %.3f, \"majflt\": %ld, \"minflt\": %ld, ",
	       t1 - t0, len / (t1 - t0) / 1e6, u1.ru_majflt - u0.ru_majflt,
	       u1.ru_minflt - u0.ru_minflt);
	printf("\"counters\": {");
	for (i = 0; i < n; i++)
		printf("%s\"%s\": %lld", i ? ", " : "", after[i].name,
		       after[i].value - before[i].value);
	printf("}}\n");
}

static void usage(void)
{
	fputs("usage: bench-touch make [-afo] [-v VMR_SIZE] [-n NODE] NAME SIZE\n"
	      "       bench-touch touch [-ks] NAME\n"
	      "  -a  the size of fetches is chosen by what is used\n"
	      "  -f  what faults is fetched, and nothing ahead\n"
	      "  -k  keep: replicas that are here already are not dropped first\n"
	      "  -s  madvise(MADV_SEQUENTIAL)\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	__u64 vmr_size = RMAI_VMR_DEFAULT;
	bool keep = false, open_region = false, sequential = false;
	__u32 fetch = RMAI_FETCH_DEFAULT;
	int opt, node = 0;

	if (argc < 2)
		usage();
	argc--;
	argv++;
	while ((opt = getopt(argc, argv, "afkosv:n:")) != -1) {
		switch (opt) {
		case 'a':
			fetch |= RMAI_FETCH_AUTO;
			break;
		case 'f':
			fetch = 0;
			break;
		case 'k':
			keep = true;
			break;
		case 's':
			sequential = true;
			break;
		case 'o':
			open_region = true;
			break;
		case 'v':
			vmr_size = parse_size(optarg);
			break;
		case 'n':
			node = atoi(optarg);
			break;
		default:
			usage();
		}
	}
	enter_mount();
	if (!strcmp(what, "make") && argc == optind + 2)
		make(argv[optind], parse_size(argv[optind + 1]), vmr_size, node,
		     fetch, open_region);
	else if (!strcmp(what, "touch") && argc == optind + 1)
		touch(argv[optind], keep, sequential);
	else
		usage();
	return 0;
}

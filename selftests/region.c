// SPDX-License-Identifier: GPL-2.0
/*
 * region: what the tests of clusters do to regions, as commands for scripts.
 * See usage(). Patterns are those of rmai_test.h: a byte tells its offset, and a seed.
 */
#include <getopt.h>

#include "rmai_test.h"

#define die(...)							\
	do {								\
		fprintf(stderr, "region: " __VA_ARGS__);		\
		fputc('\n', stderr);					\
		exit(1);						\
	} while (0)

static void usage(void)
{
	fputs("usage: region COMMAND ...\n"
	      "  create PATH [vmr=N] [stripe=N] [nodes=ID,ID...] [on_loss=block|sigbus]\n"
	      "         [fetch=advice,seq,schedule,next,auto,long|none] [cache_min=N] [cache_max=N]\n"
	      "  set PATH ...            change them: what create takes\n"
	      "  fill PATH SIZE SEED     write a pattern\n"
	      "  seal PATH\n"
	      "  publish PATH NAME [old=PATH] [nth=N]  says the generation, or what errno; the\n"
	      "                          NTH allocation fails, or is not made\n"
	      "  attr PATH               attributes, \"name=value\" lines\n"
	      "  drop PATH               drop replicas\n"
	      "  break PATH OFF          the memory of a page breaks (MADV_HWPOISON)\n"
	      "  read PATH SEED          check the pattern through read(2)\n"
	      "  map PATH SEED [from=N] [len=N] [step=N] [cold]\n"
	      "                          check it through a mapping at the symmetric address;\n"
	      "                          step: a byte each so many; cold: drop replicas first\n"
	      "  touch PATH SEED VMRS [pause=MS] [passes=N] [advice=sequential|random]\n"
	      "                          check a byte of each page of VMRs: \"3,7,0-15,60-0/4\";\n"
	      "                          pause: after each of them; advice: of madvise(2)\n"
	      "  willneed PATH [from=N] [len=N]  fetch it ahead\n"
	      "  populate PATH           map it with MAP_POPULATE, and unmap it\n"
	      "  loop PATH SEED SECONDS  map, drop, map ... until then; says how often\n"
	      "  anon SIZE SEED LOG2 FILE  make, fill and seal an anonymous region, write its\n"
	      "                          address to FILE, end when stdin does\n"
	      "  attach ADDR SIZE SEED   map it by its address, and check\n"
	      "  cycle COUNT PREFIX SIZE VMR  create, fill, seal, map, check, unmap, unlink\n"
	      "  put PATH TEXT           write it, as echo would\n"
	      "  rename FROM TO NTH      rename(2) in which the NTH allocation fails\n"
	      "  try CALL...             what errno: mmap-anon SIZE, creat PATH, ...\n"
	      "Sizes may end in K, M or G. A byte that is wrong: status 3, and where.\n"
	      "An error: status 1; SIGBUS: status 7; how long it took is printed for all.\n"
	      "With RMAI_FAIL set faults may be injected into it (/proc/self/make-it-fail).\n",
	      stderr);
	exit(2);
}

#ifndef MADV_HWPOISON
#define MADV_HWPOISON	100
#endif

static uint64_t num(const char *s)
{
	char *end;
	uint64_t n = strtoull(s, &end, 0);

	switch (*end) {
	case 'G':
		n <<= 10;
		/* fall through */
	case 'M':
		n <<= 10;
		/* fall through */
	case 'K':
		n <<= 10;
		end++;
	}
	if (end == s || *end)
		die("%s: not a number", s);
	return n;
}

/* The value of an argument "name=value", or NULL */
static const char *opt(char **argv, const char *name)
{
	size_t len = strlen(name);

	for (; *argv; argv++) {
		if (!strncmp(*argv, name, len) && (*argv)[len] == '=')
			return *argv + len + 1;
		if (!strcmp(*argv, name))
			return "";
	}
	return NULL;
}

static double started, last_seen;	/* when bytes came, at last */

static void took(void)
{
	printf("seconds=%.3f\n", rmai_now() - started);
	fflush(stdout);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	char buf[128];
	int n;

	(void)sig;
	(void)context;
	n = snprintf(buf, sizeof(buf), "sigbus=%p\nwaited=%.3f\nseconds=%.3f\n", info->si_addr,
		     rmai_now() - last_seen, rmai_now() - started);
	if (write(1, buf, n) != n)
		_exit(1);
	_exit(7);
}

static int open_region(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd < 0)
		die("%s: %m", path);
	return fd;
}

/* "advice,seq": names of bits, in their order */
static uint32_t fetch_bits(const char *list)
{
	static const char * const names[] = { "advice", "seq", "schedule", "next", "auto", "long" };
	uint32_t bits = 0;
	unsigned int i;

	if (!strcmp(list, "none"))
		return 0;
	while (*list) {
		size_t len = strcspn(list, ",");

		for (i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (strlen(names[i]) == len && !strncmp(list, names[i], len))
				break;
		if (i == sizeof(names) / sizeof(*names))
			die("%s: no such source", list);
		bits |= 1U << i;
		list += len + (list[len] == ',');
	}
	return bits;
}

static void set_attr(const char *path, int fd, char **argv)
{
	struct rmai_attr attr = {};
	const char *v;

	v = opt(argv, "vmr");
	if (v) {
		attr.mask |= RMAI_ATTR_VMR_SIZE;
		attr.vmr_size = num(v);
	}
	v = opt(argv, "stripe");
	if (v) {
		attr.mask |= RMAI_ATTR_STRIPE;
		attr.stripe = num(v);
	}
	v = opt(argv, "on_loss");
	if (v) {
		attr.mask |= RMAI_ATTR_ON_LOSS;
		attr.on_loss = !strcmp(v, "block") ? RMAI_ON_LOSS_BLOCK : RMAI_ON_LOSS_SIGBUS;
	}
	for (v = opt(argv, "nodes"); v && *v; v += strcspn(v, ","), v += *v == ',') {
		attr.mask |= RMAI_ATTR_LAYOUT;
		attr.nodes[attr.nr_nodes++] = atoi(v);
	}
	v = opt(argv, "fetch");
	if (v) {
		attr.mask |= RMAI_ATTR_FETCH;
		attr.fetch = fetch_bits(v);
	}
	v = opt(argv, "cache_min");
	if (v) {
		attr.mask |= RMAI_ATTR_CACHE;
		attr.cache_min = num(v);
	}
	v = opt(argv, "cache_max");
	if (v) {
		attr.mask |= RMAI_ATTR_CACHE;
		attr.cache_max = num(v);
	}
	if (ioctl(fd, RMAI_IOC_SETATTR, &attr))
		die("%s: SETATTR: %m", path);
}

static void unlink_created(int status, void *path)
{
	if (status)
		unlink(path);
}

static int cmd_create(char **argv)
{
	int fd = open_region(argv[0], O_RDWR | O_CREAT | O_EXCL);

	on_exit(unlink_created, argv[0]);
	set_attr(argv[0], fd, argv);
	close(fd);
	return 0;
}

static int cmd_set(char **argv)
{
	set_attr(argv[0], open_region(argv[0], O_RDWR), argv);
	return 0;
}

static int cmd_fill(char **argv)
{
	int fd = open_region(argv[0], O_RDWR | O_CREAT);

	if (rmai_write_pattern(fd, 0, num(argv[1]), num(argv[2])))
		die("%s: write: %m", argv[0]);
	if (close(fd))
		die("%s: close: %m", argv[0]);
	return 0;
}

static int cmd_seal(char **argv)
{
	int fd = open_region(argv[0], O_RDWR);

	if (rmai_seal(fd))
		die("%s: seal: %m", argv[0]);
	return 0;
}

/*
 * The @nth allocation from here on fails; 0: none. Return: whether the one of the last
 * call has been made, and has failed
 */
static bool fail_nth(const char *nth)
{
	static int fd = -1;
	char left[16] = "";

	if (fd < 0)
		fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fd < 0 || pread(fd, left, sizeof(left) - 1, 0) < 0 ||
	    pwrite(fd, nth, strlen(nth), 0) < 0)
		die("/proc/thread-self/fail-nth: %m");
	return !strcmp(left, "0\n");
}

static int cmd_publish(char **argv)
{
	struct rmai_publish p = { .old = -1 };
	int fd = open_region(argv[0], O_RDONLY);
	const char *old = opt(argv + 2, "old"), *nth = opt(argv + 2, "nth");
	bool failed = false;
	int ret, err;

	if (old)
		p.old = open_region(old, O_RDONLY);
	if (strlen(argv[1]) >= sizeof(p.name))
		die("%s: too long", argv[1]);
	memcpy(p.name, argv[1], strlen(argv[1]));
	if (nth)
		fail_nth(nth);
	ret = ioctl(fd, RMAI_IOC_PUBLISH, &p);
	err = errno;
	/* What follows is not meant: it may be a file system's that does not survive it */
	if (nth)
		failed = fail_nth("0");
	if (ret) {
		printf("errno=%s\n", strerrorname_np(err));
		return 1;
	}
	printf("generation=%u%s\n", p.generation, nth && !failed ? " nth=unused" : "");
	return 0;
}

static int cmd_drop(char **argv)
{
	int fd = open_region(argv[0], O_RDONLY);

	if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		die("%s: fadvise", argv[0]);
	return 0;
}

static void told(int sig)
{
	(void)sig;
}

static int cmd_break(char **argv)
{
	int fd = open_region(argv[0], O_RDONLY);
	volatile uint8_t *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, num(argv[1]));

	if (p == MAP_FAILED)
		die("%s: mmap: %m", argv[0]);
	(void)*p;
	/* Whoever has it mapped is to be told */
	signal(SIGBUS, told);
	/* EHWPOISON: it is, but mm could not split the folio that it is in */
	if (madvise((void *)p, PAGE, MADV_HWPOISON) && errno != EHWPOISON)
		die("%s: MADV_HWPOISON: %m", argv[0]);
	return 0;
}

static int cmd_attr(char **argv)
{
	int fd = open_region(argv[0], O_RDONLY);
	struct rmai_attr a;
	unsigned int i;

	if (rmai_getattr(fd, &a))
		die("%s: GETATTR: %m", argv[0]);
	printf("region_id=%#llx\naddr=%#llx\nlength=%llu\nsize=%llu\nvmr_size=%llu\n",
	       a.region_id, a.addr, a.length, a.size, a.vmr_size);
	printf("fetch=%u\ncache_min=%llu\ncache_max=%llu\n", a.fetch, a.cache_min, a.cache_max);
	printf("generation=%u\n", a.generation);
	printf("stripe=%llu\nowner=%u\nseals=%u\non_loss=%u\nflags=%u\nnodes=", a.stripe,
	       a.owner, a.seals, a.on_loss, a.flags);
	for (i = 0; i < a.nr_nodes; i++)
		printf("%s%u", i ? "," : "", a.nodes[i]);
	putchar('\n');
	return 0;
}

static void is_wrong(const char *how, uint64_t off)
{
	printf("wrong=%llu\n", (unsigned long long)off);
	fprintf(stderr, "region: %s: the byte at %llu is wrong\n", how,
		(unsigned long long)off);
	exit(3);
}

static int cmd_read(char **argv)
{
	int fd = open_region(argv[0], O_RDONLY);
	size_t bufsize = 1 << 20;
	uint8_t *buf = malloc(bufsize);
	uint64_t off = 0, seed = num(argv[1]);
	ssize_t n, bad;

	while ((n = read(fd, buf, bufsize)) > 0) {
		bad = rmai_wrong(buf, n, off, seed);
		if (bad >= 0)
			is_wrong(argv[0], off + bad);
		off += n;
	}
	if (n < 0)
		die("%s: read: %m", argv[0]);
	printf("bytes=%llu\n", (unsigned long long)off);
	return 0;
}

/* Check a mapping: all of it, or a byte each @step bytes */
static void check(const char *how, const uint8_t *p, uint64_t len, uint64_t off, uint64_t seed,
		  uint64_t step)
{
	ssize_t bad;
	uint64_t i;

	if (!step) {
		for (i = 0; i < len; i += PAGE) {
			uint64_t n = len - i < PAGE ? len - i : PAGE;

			last_seen = rmai_now();
			bad = rmai_wrong(p + i, n, off + i, seed);
			if (bad >= 0)
				is_wrong(how, off + i + bad);
		}
		return;
	}
	for (i = 0; i < len; i += step)
		if (p[i] != rmai_byte(off + i, seed))
			is_wrong(how, off + i);
}

static int cmd_map(char **argv)
{
	long long vmrs = rmai_stat("fetch_vmrs"), bytes = rmai_stat("fetch_bytes");
	long major, minor, major2, minor2;
	uint64_t from = 0, len, step = 0;
	struct rmai_attr a;
	const char *v;
	uint8_t *p;
	int fd;

	fd = open_region(argv[0], O_RDONLY);
	if (opt(argv, "cold") && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		die("%s: fadvise", argv[0]);
	if (rmai_getattr(fd, &a))
		die("%s: GETATTR: %m", argv[0]);
	v = opt(argv, "from");
	if (v)
		from = num(v);
	len = a.size - from;
	v = opt(argv, "len");
	if (v)
		len = num(v);
	v = opt(argv, "step");
	if (v)
		step = num(v);
	p = mmap(NULL, len, PROT_READ, RMAI_FLAGS, fd, from);
	if (p == MAP_FAILED)
		die("%s: mmap: %m", argv[0]);
	if (a.addr && (uintptr_t)p != a.addr + from)
		die("%s: mapped at %p, not at %#llx", argv[0], p, a.addr + from);
	/* The first use of a function faults, too */
	(void)rmai_now();
	rmai_faults(&major, &minor);
	check(argv[0], p, len, from, num(argv[1]), step);
	rmai_faults(&major2, &minor2);
	printf("addr=%p\nbytes=%llu\nmajor=%ld\nminor=%ld\nfetch_vmrs=%lld\nfetch_bytes=%lld\n", p,
	       (unsigned long long)len, major2 - major, minor2 - minor,
	       rmai_stat("fetch_vmrs") - vmrs, rmai_stat("fetch_bytes") - bytes);
	return 0;
}

static uint8_t *map_all(const char *path, int fd, struct rmai_attr *a, int flags)
{
	uint8_t *p;

	if (rmai_getattr(fd, a))
		die("%s: GETATTR: %m", path);
	p = mmap(NULL, a->size, PROT_READ, RMAI_FLAGS | flags, fd, 0);
	if (p == MAP_FAILED)
		die("%s: mmap: %m", path);
	return p;
}

static void touch_vmr(char **argv, const uint8_t *p, const struct rmai_attr *a, uint64_t vmr,
		      unsigned int pause_ms)
{
	uint64_t off = vmr * a->vmr_size, len = a->vmr_size;

	if (off >= a->size)
		die("%s has no VMR %llu", argv[0], (unsigned long long)vmr);
	if (len > a->size - off)
		len = a->size - off;
	last_seen = rmai_now();
	check(argv[0], p + off, len, off, num(argv[1]), PAGE);
	usleep(pause_ms * 1000);
}

static int cmd_touch(char **argv)
{
	const char *pause = opt(argv, "pause"), *passes = opt(argv, "passes"), *s;
	const char *advice = opt(argv, "advice");
	unsigned int ms = pause ? num(pause) : 0, n = passes ? num(passes) : 1;
	long long vmrs = rmai_stat("fetch_vmrs");
	struct rmai_attr a;
	uint8_t *p;

	p = map_all(argv[0], open_region(argv[0], O_RDONLY), &a, 0);
	if (advice && madvise(p, a.size, strcmp(advice, "random") ? MADV_SEQUENTIAL : MADV_RANDOM))
		die("%s: madvise: %m", argv[0]);
	while (n--) {
		for (s = argv[2]; *s; s += *s == ',') {
			long from, to, step = 1;
			char *end;

			from = strtol(s, &end, 10);
			to = from;
			if (*end == '-')
				to = strtol(end + 1, &end, 10);
			if (*end == '/')
				step = strtol(end + 1, &end, 10);
			if (end == s || step < 1 || (*end && *end != ','))
				die("%s: which VMRs?", argv[2]);
			s = end;
			if (from <= to)
				for (; from <= to; from += step)
					touch_vmr(argv, p, &a, from, ms);
			else
				for (; from >= to; from -= step)
					touch_vmr(argv, p, &a, from, ms);
		}
	}
	printf("fetch_vmrs=%lld\n", rmai_stat("fetch_vmrs") - vmrs);
	return 0;
}

static int cmd_willneed(char **argv)
{
	const char *from = opt(argv, "from"), *len = opt(argv, "len");
	int fd = open_region(argv[0], O_RDONLY);
	char c;

	errno = posix_fadvise(fd, from ? num(from) : 0, len ? num(len) : 0,
			      POSIX_FADV_WILLNEED);
	if (errno)
		die("%s: fadvise: %m", argv[0]);
	/* With the last close it would end */
	while (read(0, &c, 1) > 0)
		;
	return 0;
}

static int cmd_populate(char **argv)
{
	struct rmai_attr a;
	uint8_t *p;

	p = map_all(argv[0], open_region(argv[0], O_RDONLY), &a, MAP_POPULATE);
	munmap(p, a.size);
	return 0;
}

static int cmd_loop(char **argv)
{
	double end = rmai_now() + atof(argv[2]), worst = 0;
	int fd = open_region(argv[0], O_RDONLY), n = 0;
	struct rmai_attr a;
	uint8_t *p;

	if (rmai_getattr(fd, &a))
		die("%s: GETATTR: %m", argv[0]);
	while (rmai_now() < end) {
		double begin = rmai_now();

		p = mmap(NULL, a.size, PROT_READ, RMAI_FLAGS, fd, 0);
		if (p == MAP_FAILED)
			die("%s: mmap: %m", argv[0]);
		check(argv[0], p, a.size, 0, num(argv[1]), 0);
		munmap(p, a.size);
		if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
			die("%s: fadvise", argv[0]);
		if (rmai_now() - begin > worst)
			worst = rmai_now() - begin;
		n++;
	}
	printf("rounds=%d\nworst=%.3f\n", n, worst);
	return 0;
}

static int cmd_anon(char **argv)
{
	int dir = open_region(rmai_mnt(), O_RDONLY | O_DIRECTORY), fd, flags;
	struct rmai_open_addr oa = { .flags = O_RDWR };
	uint64_t size = num(argv[0]);
	char tmp[PATH_MAX], c;
	uint8_t *p;
	FILE *f;

	flags = RMAI_FLAGS | MAP_ANONYMOUS | atoi(argv[2]) << MAP_HUGE_SHIFT;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (p == MAP_FAILED)
		die("mmap: %m");
	rmai_fill(p, size, 0, num(argv[1]));
	/* A file descriptor keeps it while it is not mapped: writable, it cannot be sealed */
	oa.addr = (uintptr_t)p;
	fd = ioctl(dir, RMAI_IOC_OPEN_ADDR, &oa);
	if (fd < 0)
		die("OPEN_ADDR: %m");
	munmap(p, size);
	if (rmai_seal(fd))
		die("seal: %m");
	if (mmap(p, size, PROT_READ, RMAI_FLAGS | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != p)
		die("attach: %m");
	if (rmai_wrong(p, size, 0, num(argv[1])) >= 0)
		is_wrong("anonymous", rmai_wrong(p, size, 0, num(argv[1])));
	snprintf(tmp, sizeof(tmp), "%s.tmp", argv[3]);
	f = fopen(tmp, "w");
	if (!f || fprintf(f, "%p\n", p) < 0 || fclose(f) || rename(tmp, argv[3]))
		die("%s: %m", argv[3]);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}

static int cmd_attach(char **argv)
{
	void *addr = (void *)num(argv[0]), *p;
	uint64_t size = num(argv[1]);

	p = mmap(addr, size, PROT_READ, RMAI_FLAGS | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p == MAP_FAILED)
		die("%p: %m", addr);
	printf("addr=%p\n", p);
	check("attached", p, size, 0, num(argv[2]), 0);
	return 0;
}

static int cmd_cycle(char **argv)
{
	uint64_t size = num(argv[2]), vmr = num(argv[3]);
	int count = atoi(argv[0]), i;

	for (i = 0; i < count; i++) {
		struct rmai_spec spec = { .vmr_size = vmr };
		char name[64];
		uint8_t *p;
		int fd;

		snprintf(name, sizeof(name), "%s-%d", argv[1], i);
		fd = rmai_sealed(name, &spec, size, i);
		if (fd < 0)
			die("cycle %d: create: %m", i);
		p = mmap(NULL, size, PROT_READ, RMAI_FLAGS, fd, 0);
		if (p == MAP_FAILED)
			die("cycle %d: mmap: %m", i);
		check(name, p, size, 0, i, 0);
		munmap(p, size);
		/* Before the last close, or after it */
		if (i % 2)
			close(fd);
		if (unlink(rmai_path(name)))
			die("cycle %d: unlink: %m", i);
		if (i % 2 == 0)
			close(fd);
	}
	printf("cycles=%d\n", i);
	return 0;
}

static int cmd_put(char **argv)
{
	int fd = open_region(argv[0], O_WRONLY);

	if (write(fd, argv[1], strlen(argv[1])) < 0)
		die("%s: %m", argv[0]);
	return 0;
}

static int cmd_rename(char **argv)
{
	int ret;

	fail_nth(argv[2]);
	ret = rename(argv[0], argv[1]);
	fail_nth("0");
	if (ret)
		die("%s: not renamed", argv[1]);
	return 0;
}

static int cmd_try(char **argv)
{
	long ret = -1;

	if (!strcmp(argv[0], "mmap-anon"))
		ret = (long)mmap(NULL, num(argv[1]), PROT_READ | PROT_WRITE,
				 RMAI_FLAGS | MAP_ANONYMOUS, -1, 0);
	else if (!strcmp(argv[0], "creat"))
		ret = open(argv[1], O_RDWR | O_CREAT, 0600);
	else if (!strcmp(argv[0], "open"))
		ret = open(argv[1], O_RDONLY);
	else
		usage();
	printf("%s\n", ret == -1 ? strerrorname_np(errno) : "OK");
	return 0;
}

static const struct {
	const char *name;
	int nr_args;
	int (*run)(char **argv);
} commands[] = {
	{ "create", 1, cmd_create },
	{ "set", 1, cmd_set },
	{ "fill", 3, cmd_fill },
	{ "seal", 1, cmd_seal },
	{ "publish", 2, cmd_publish },
	{ "drop", 1, cmd_drop },
	{ "break", 2, cmd_break },
	{ "attr", 1, cmd_attr },
	{ "read", 2, cmd_read },
	{ "map", 2, cmd_map },
	{ "touch", 3, cmd_touch },
	{ "willneed", 1, cmd_willneed },
	{ "populate", 1, cmd_populate },
	{ "loop", 3, cmd_loop },
	{ "anon", 4, cmd_anon },
	{ "attach", 3, cmd_attach },
	{ "cycle", 4, cmd_cycle },
	{ "put", 2, cmd_put },
	{ "rename", 3, cmd_rename },
	{ "try", 2, cmd_try },
};

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	unsigned int i;
	int ret;

	if (argc < 2)
		usage();
	sigaction(SIGBUS, &sa, NULL);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, argv[1]))
			continue;
		if (argc - 2 < commands[i].nr_args)
			usage();
		started = rmai_now();
		last_seen = started;
		/* From here on failslab and the like may fail what this process does */
		if (getenv("RMAI_FAIL")) {
			FILE *f = fopen("/proc/self/make-it-fail", "w");

			if (!f || fputs("1", f) < 0 || fclose(f))
				die("/proc/self/make-it-fail: %m");
		}
		ret = commands[i].run(argv + 2);
		if (strcmp(argv[1], "try") && strcmp(argv[1], "attr"))
			took();
		return ret;
	}
	usage();
}

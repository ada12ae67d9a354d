// SPDX-License-Identifier: GPL-2.0
/*
 * rmaictl load: a file becomes a sealed region. Until it is sealed and complete
 * nothing stays behind under its name, nor does another region lose it (--replace).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rmaictl.h"

#define COPY_BYTES	(4UL << 20)	/* of one write() */
#define LINE_S		10		/* between lines, where there is no terminal */

enum { KEY_MOUNT = 0x5000, KEY_VERIFY, KEY_REPLACE, KEY_QUIET = 'q' };

struct load_args {
	struct region_opts	opts;
	const char		*mount;
	const char		*file;
	const char		*name;
	bool			quiet;
	bool			verify;
	bool			replace;
};

static sig_atomic_t stop_signal;

static void stop(int sig)
{
	__atomic_store_n(&stop_signal, sig, __ATOMIC_RELAXED);
}

/* The signal that wants an end, or 0 */
static int stopped(void)
{
	return __atomic_load_n(&stop_signal, __ATOMIC_RELAXED);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/**
 * struct progress - of a copy
 * @what: in a word
 * @total: bytes
 * @begin: when it began, s
 * @last: when something was last shown
 * @tty: one line that changes, or lines now and then
 * @quiet: neither
 */
struct progress {
	const char	*what;
	uint64_t	total;
	double		begin;
	double		last;
	bool		tty;
	bool		quiet;
};

static void progress_begin(struct progress *p, const char *what, uint64_t total,
			   bool quiet)
{
	p->what = what;
	p->total = total;
	p->begin = now();
	p->last = p->begin;
	p->tty = isatty(2);
	p->quiet = quiet;
}

static void progress_show(struct progress *p, uint64_t done)
{
	double t = now(), s = t - p->begin, rate;
	char b1[32], b2[32], bar[21];
	unsigned int eta, fill;

	if (p->quiet || t - p->last < (p->tty ? 0.2 : LINE_S))
		return;
	p->last = t;
	rate = done / s;
	eta = rate > 0 ? (p->total - done) / rate + 0.5 : 0;
	fill = p->total ? done * (sizeof(bar) - 1) / p->total : 0;
	memset(bar, ' ', sizeof(bar) - 1);
	memset(bar, '=', fill);
	bar[sizeof(bar) - 1] = '\0';
	fprintf(stderr, "%s%s [%s] %3.0f %%  %s of %s  %.1f MB/s  ETA %u:%02u%s",
		p->tty ? "\r" : "", p->what, bar,
		p->total ? 100.0 * done / p->total : 100.0,
		rmai_format_size(done, b1, sizeof(b1)),
		rmai_format_size(p->total, b2, sizeof(b2)), rate / 1e6,
		eta / 60, eta % 60, p->tty ? "\033[K" : "\n");
	fflush(stderr);
}

static void progress_end(const struct progress *p)
{
	if (p->tty && !p->quiet)
		fputs("\r\033[K", stderr);
}

static int write_all(int fd, const char *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, buf, len);
		if (n < 0 && errno == EINTR && !stopped())
			continue;
		if (n < 0)
			return -1;
		buf += n;
		len -= n;
	}
	return 0;
}

/* Fills @buf, unless the file ends before; -1 with errno */
static ssize_t read_full(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size) {
		n = read(fd, buf + len, size - len);
		if (n < 0 && errno == EINTR && !stopped())
			continue;
		if (n < 0)
			return -1;
		if (!n)
			break;
		len += n;
	}
	return len;
}

static int say_stopped(void)
{
	return fail("interrupted by %s", strsignal(stopped()));
}

static int copy(const struct load_args *args, const char *path, int src, int dst,
		uint64_t size, char *buf)
{
	struct progress p;
	uint64_t done = 0;
	ssize_t n;

	progress_begin(&p, "loading", size, args->quiet);
	while (!stopped()) {
		n = read_full(src, buf, COPY_BYTES);
		if (n < 0)
			break;
		if (!n) {
			progress_end(&p);
			return 0;
		}
		/* Growing while it is read: what was asked for is not clear any more */
		if (n + done > size) {
			progress_end(&p);
			return fail("%s grows while it is read", args->file);
		}
		if (write_all(dst, buf, n)) {
			int err = errno;

			progress_end(&p);
			if (stopped())
				return say_stopped();
			return fail("%s: cannot write at %llu: %s%s", path,
				    (unsigned long long)done, strerror(err),
				    err == ENOSPC ?
				    "; a memory node's pool is full: see rmaictl status" :
				    err == EHOSTDOWN ?
				    "; a memory node is not reachable: see rmaictl status" : "");
		}
		done += n;
		progress_show(&p, done);
	}
	n = errno;
	progress_end(&p);
	if (stopped())
		return say_stopped();
	return fail("%s: cannot read: %s", args->file, strerror(n));
}

/* Reads both again */
static int compare(const struct load_args *args, const char *path, int src,
		   int dst, uint64_t size, char *buf)
{
	char *buf2 = buf + COPY_BYTES;
	struct progress p;
	uint64_t done = 0;
	ssize_t n, n2;
	int ret = 0;

	if (lseek(src, 0, SEEK_SET) || lseek(dst, 0, SEEK_SET))
		return fail("%s: cannot read again: %s", path, strerror(errno));
	progress_begin(&p, "verifying", size, args->quiet);
	do {
		n = read_full(src, buf, COPY_BYTES);
		n2 = n < 0 ? 0 : read_full(dst, buf2, COPY_BYTES);
		if (stopped())
			ret = say_stopped();
		else if (n < 0 || n2 < 0)
			ret = fail("%s: cannot read again: %s",
				   n < 0 ? args->file : path, strerror(errno));
		else if (n != n2 || memcmp(buf, buf2, n))
			ret = fail("%s differs from %s between %llu and %llu", path,
				   args->file, (unsigned long long)done,
				   (unsigned long long)(done + n));
		if (!ret) {
			done += n;
			progress_show(&p, done);
		}
	} while (!ret && n > 0);
	progress_end(&p);
	return ret;
}

static int check_length(const struct load_args *args, const char *path, int src,
			int dst, uint64_t size)
{
	struct stat from, to;

	if (fstat(src, &from) || fstat(dst, &to))
		return fail("%s: %s", path, strerror(errno));
	if ((uint64_t)from.st_size != size)
		return fail("%s has changed its size while it was read, from %llu to %llu bytes",
			    args->file, (unsigned long long)size,
			    (unsigned long long)from.st_size);
	if ((uint64_t)to.st_size != size)
		return fail("%s has %llu bytes, not the %llu of %s", path,
			    (unsigned long long)to.st_size,
			    (unsigned long long)size, args->file);
	return 0;
}

static int load(const struct load_args *args, const char *path, int src, int dst,
		uint64_t size)
{
	char *buf;
	int ret;

	if (posix_memalign((void **)&buf, sysconf(_SC_PAGESIZE), 2 * COPY_BYTES))
		return fail("out of memory");
	posix_fadvise(src, 0, 0, POSIX_FADV_SEQUENTIAL);
	ret = copy(args, path, src, dst, size, buf);
	if (!ret)
		ret = check_length(args, path, src, dst, size);
	if (!ret && args->verify)
		ret = compare(args, path, src, dst, size, buf);
	free(buf);
	if (!ret && stopped())
		ret = say_stopped();
	if (!ret && rmai_seal(dst))
		ret = fail("%s: cannot seal it: %s", path, strerror(errno));
	return ret;
}

static error_t load_parse(int key, char *arg, struct argp_state *state)
{
	struct load_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[1] = &args->opts;
		return 0;
	case KEY_MOUNT:
		args->mount = arg;
		return 0;
	case KEY_QUIET:
		args->quiet = true;
		return 0;
	case KEY_REPLACE:
		args->replace = true;
		return 0;
	case KEY_VERIFY:
		args->verify = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0)
			args->file = arg;
		else if (state->arg_num == 1)
			args->name = arg;
		else
			argp_error(state, "'%s' is too much", arg);
		return 0;
	case ARGP_KEY_END:
		if (!args->name)
			argp_error(state, "%s is missing", args->file ?
				   "the name of the region" : "the file");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option load_options[] = {
	{ "mount", KEY_MOUNT, "DIR", 0,
	  "Where rmaifs is mounted (default: found out, /rmai first)", 0 },
	{ "replace", KEY_REPLACE, NULL, 0,
	  "Publish it in place of a sealed region of that name, with its attributes", 0 },
	{ "quiet", KEY_QUIET, NULL, 0, "Show no progress", 0 },
	{ "verify", KEY_VERIFY, NULL, 0,
	  "Read both again and compare them, before it is sealed", 0 },
	{ 0 }
};

static const struct argp_child load_children[] = {
	{ &ctl_argp, 0, NULL, 0 },
	{ &region_argp, 0, NULL, 0 },
	{ 0 }
};

static const struct argp load_argp = {
	load_options, load_parse, "FILE NAME",
	"Copies FILE into a new region and seals it. NAME is in the rmaifs, or a path if it has a '/'. FILE may be a region, too.\vIf anything goes wrong, the region is removed again.",
	load_children, NULL, NULL
};

/* What is not asked for otherwise is as with the region that is replaced */
static void inherit(struct region_opts *opts, const struct rmai_attr *old)
{
	struct rmai_attr *attr = &opts->attr;
	uint32_t given = attr->mask;

	attr->mask = RMAI_ATTR_ALL;
	if (!(given & RMAI_ATTR_STRIPE))
		attr->stripe = given & RMAI_ATTR_VMR_SIZE ? 0 : old->stripe;
	if (!(given & RMAI_ATTR_VMR_SIZE))
		attr->vmr_size = old->vmr_size;
	if (!(given & RMAI_ATTR_LAYOUT)) {
		attr->nr_nodes = old->nr_nodes;
		memcpy(attr->nodes, old->nodes, sizeof(attr->nodes));
	}
	if (!(given & RMAI_ATTR_ON_LOSS))
		attr->on_loss = old->on_loss;
	if (!(given & RMAI_ATTR_FETCH))
		attr->fetch = old->fetch;
	if (!(given & RMAI_ATTR_CACHE)) {
		attr->cache_min = old->cache_min;
		attr->cache_max = old->cache_max;
	}
}

/*
 * The region that is to be replaced, open, and in @tmp a name beside it for the new one
 * until it is complete
 */
static int open_replaced(struct load_args *args, const char *path, char *tmp, size_t size)
{
	int fd = region_open(path, O_RDONLY), dir = strrchr(path, '/') + 1 - path;
	struct rmai_attr attr;
	uint64_t random;

	if (fd < 0)
		return -1;
	if (rmai_get_attr(fd, &attr)) {
		fail("%s: %s%s", path, strerror(errno), region_advice(errno));
		close(fd);
		return -1;
	}
	inherit(&args->opts, &attr);
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = now() * 1e9;
	if ((size_t)snprintf(tmp, size, "%.*s.%.200s.%016llx", dir, path, path + dir,
			     (unsigned long long)random) < size)
		return fd;
	fail("%.20s...: the path is too long", path);
	close(fd);
	return -1;
}

/* Who may read and write the old one may do so with the new one */
static int take_mode(const char *path, int dst, int old)
{
	struct stat st;

	if (!fstat(old, &st) && !fchmod(dst, st.st_mode & 07777))
		return 0;
	return fail("%s: cannot have the mode of what it replaces: %s", path, strerror(errno));
}

static int report(const char *path, uint64_t size, double s, uint32_t generation)
{
	struct json_object *obj;
	char b[32];

	if (!ctl.json) {
		printf("%s loaded and sealed: %s in %.1f s, %.1f MB/s", path,
		       rmai_format_size(size, b, sizeof(b)), s, size / s / 1e6);
		if (generation)
			printf("; published as generation %u", generation);
		putchar('\n');
		return EXIT_SUCCESS;
	}
	obj = json_object_new_object();
	add_string(obj, "name", path);
	add_u64(obj, "size", size);
	add_bool(obj, "sealed", true);
	if (generation)
		add_u64(obj, "generation", generation);
	json_object_object_add(obj, "seconds", json_object_new_double(s));
	return print_json(obj);
}

int cmd_load(int argc, char **argv)
{
	struct load_args args = { 0 };
	struct sigaction sa = { .sa_handler = stop };	/* no SA_RESTART */
	char path[4096], tmp[4096], *made = path;
	int src, dst, ret, old = -1;
	uint32_t generation = 0;
	struct stat st;
	double begin;

	if (argp_parse(&load_argp, argc, argv, 0, NULL, &args))
		return EXIT_USAGE;
	if (region_path(path, sizeof(path), args.mount, args.name))
		return EXIT_FAILURE;
	src = open(args.file, O_RDONLY | O_CLOEXEC);
	if (src < 0 || fstat(src, &st))
		return fail("%s: %s", args.file, strerror(errno));
	if (!S_ISREG(st.st_mode) || !st.st_size) {
		close(src);
		return fail("%s is %s", args.file, S_ISREG(st.st_mode) ?
			    "empty" : "not a regular file");
	}
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	begin = now();
	if (args.replace) {
		made = tmp;
		old = open_replaced(&args, path, tmp, sizeof(tmp));
	}
	dst = args.replace && old < 0 ? -1 : region_create(made, &args.opts);
	if (dst < 0) {
		if (old >= 0)
			close(old);
		close(src);
		return EXIT_FAILURE;
	}
	ret = old < 0 ? 0 : take_mode(path, dst, old);
	if (!ret)
		ret = load(&args, made, src, dst, st.st_size);
	if (!ret && old >= 0)
		ret = region_publish(path, dst, old, &generation);
	close(src);
	close(dst);
	if (old >= 0)
		close(old);
	if (ret) {
		region_remove(made);
		return ret;
	}
	return report(path, st.st_size, now() - begin, generation);
}

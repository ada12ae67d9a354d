// SPDX-License-Identifier: GPL-2.0
/*
 * moe-tune: changes the experts' weights of a model where they are, as a step of
 * fine-tuning would: by stores to the mapped file, and to nothing but experts.
 *
 * There is no gradient: each weight is multiplied by a number near 1 that follows from
 * the step, the tensor's name and the element. So a model and a number of steps have
 * one result, on every machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "safetensors.h"

static __noreturn __printf(1, 2)
void die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "moe-tune: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* splitmix64, of Vigna; public domain */
static u64 next(u64 *state)
{
	u64 z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* A stream of its own for each step and name (FNV-1a) */
static u64 stream(u64 step, const char *name)
{
	u64 h = 0xcbf29ce484222325;

	for (; *name; name++)
		h = (h ^ (u8)*name) * 0x100000001b3;
	h ^= step * 0xc2b2ae3d27d4eb4f;
	return next(&h);
}

/* 1 - @rate .. 1 + @rate */
static float factor(u64 *state, float rate)
{
	return 1 + rate * ((int)(next(state) >> 48) - 32768) / 32768;
}

static void tune_f32(u8 *p, u64 nr, u64 state, float rate)
{
	float w;
	u64 i;

	for (i = 0; i < nr; i++, p += sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		w *= factor(&state, rate);
		memcpy(p, &w, sizeof(w));
	}
}

static void tune_bf16(u8 *p, u64 nr, u64 state, float rate)
{
	u32 bits;
	float w;
	u64 i;

	for (i = 0; i < nr; i++, p += 2) {
		bits = (u32)p[0] << 16 | (u32)p[1] << 24;
		memcpy(&w, &bits, sizeof(w));
		w *= factor(&state, rate);
		memcpy(&bits, &w, sizeof(bits));
		/* to nearest, ties to even; there are no NaNs */
		bits += 0x7fff + (bits >> 16 & 1);
		p[0] = bits >> 16;
		p[1] = bits >> 24;
	}
}

/* All experts; how many bytes that were */
static u64 tune(struct st_file *st, u8 *base, u64 step, float rate)
{
	u64 bytes = 0, state;
	size_t i;

	for (i = 0; i < st->nr_tensors; i++) {
		const struct st_tensor *t = &st->tensors[i];

		if (!strstr(t->name, ".experts."))
			continue;
		state = stream(step, t->name);
		if (t->dtype == ST_F32)
			tune_f32(base + t->begin, (t->end - t->begin) / 4, state, rate);
		else if (t->dtype == ST_BF16)
			tune_bf16(base + t->begin, (t->end - t->begin) / 2, state, rate);
		else
			die("%s has elements of type %s, not F32 or BF16", t->name,
			    st_dtype_name(t->dtype));
		bytes += t->end - t->begin;
	}
	return bytes;
}

static const struct option options[] = {
	{ "model", required_argument, NULL, 'm' },
	{ "step", required_argument, NULL, 's' },
	{ "rate", required_argument, NULL, 'r' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void print_help(void)
{
	puts("Usage: moe-tune --model FILE --step N [--rate X]\n"
	     "Change the weights of a model's experts where they are, on any file system.\n"
	     "The same model and step give the same bytes on every machine.\n"
	     "\n"
	     "  --model FILE  safetensors file, as moe-gen writes; mapped writable\n"
	     "  --step N      which step: other numbers, other changes\n"
	     "  --rate X      by how much at most: 0.5 is half of a weight (0.5)\n"
	     "  --help        this text");
}

int main(int argc, char **argv)
{
	const char *path = NULL;
	struct st_file st;
	struct stat sb;
	float rate = 0.5f;
	u64 step = 0, bytes;
	char *end = NULL;
	u8 *base;
	int opt, fd;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'm':
			path = optarg;
			break;
		case 's':
			errno = 0;
			step = strtoull(optarg, &end, 10);
			if (*optarg < '0' || *optarg > '9' || *end || errno || !step)
				die("--step: \"%s\" is not a number from 1 on", optarg);
			break;
		case 'r':
			rate = strtof(optarg, &end);
			if (end == optarg || *end || !(rate > 0 && rate < 1))
				die("--rate: \"%s\" is not between 0 and 1", optarg);
			break;
		case 'h':
			print_help();
			return 0;
		default:
			die("try moe-tune --help");
		}
	}
	if (optind < argc || !path || !step)
		die("%s; try moe-tune --help", optind < argc ? "takes options only" :
		    path ? "--step is missing" : "--model is missing");
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &sb))
		die("%s: %s", path, strerror(errno));
	if (!S_ISREG(sb.st_mode) || !sb.st_size)
		die("%s: %s", path, sb.st_size ? "not a regular file" : "empty");
	base = mmap(NULL, sb.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		die("%s: mmap: %s", path, strerror(errno));
	if (st_parse(&st, base, sb.st_size))
		die("%s: %s", path, st.err);
	bytes = tune(&st, base, step, rate);
	st_free(&st);
	if (!bytes)
		die("%s: no experts in it", path);
	if (msync(base, sb.st_size, MS_SYNC) || munmap(base, sb.st_size))
		die("%s: msync: %s", path, strerror(errno));
	printf("step %llu: %llu bytes of experts changed\n", (unsigned long long)step,
	       (unsigned long long)bytes);
	return 0;
}

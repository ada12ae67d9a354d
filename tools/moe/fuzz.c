// SPDX-License-Identifier: GPL-2.0
/*
 * moe-fuzz: feeds damaged headers to the safetensors parser and to what looks
 * for a model in the result. For builds with sanitizers (make SAN=1): there it
 * fails by crashing. Every input lies in a buffer of exactly its size.
 */
#include <stdlib.h>
#include <string.h>

#include "model.h"

static u64 state;

static u64 next(void)
{
	u64 z = (state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static u8 *load(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	u8 *buf;
	long size = -1;

	if (f && !fseek(f, 0, SEEK_END)) {
		size = ftell(f);
		rewind(f);
	}
	buf = size < 8 ? NULL : malloc(size);
	if (!buf || fread(buf, 1, size, f) != (size_t)size) {
		fprintf(stderr, "moe-fuzz: %s: cannot be read\n", path);
		exit(1);
	}
	fclose(f);
	*len = size;
	return buf;
}

/* A few edits of bytes, digits, structure; or another length */
static void damage(u8 *buf, size_t *len, size_t header)
{
	static const char marks[] = "{}[]\",:\\u0123456789-.eE \t\n\001\377";
	unsigned int edits = next() % 4 + 1;
	size_t at, n;

	while (edits--) {
		at = next() % (header + 8);
		switch (next() % 6) {
		case 0:
			buf[at] = next();
			break;
		case 1:
			buf[at] ^= 1 << next() % 8;
			break;
		case 2:
		case 3:
			buf[at] = marks[next() % (sizeof(marks) - 1)];
			break;
		case 4:
			/* repeat some bytes from elsewhere */
			n = next() % 64;
			if (at + n <= header && header > n)
				memmove(buf + at, buf + next() % (header - n), n);
			break;
		default:
			if (!(next() % 8))
				*len = next() % (*len + 1);
			else
				buf[next() % 8] = next();
		}
		if (*len < header + 8)
			return;
	}
}

int main(int argc, char **argv)
{
	unsigned long runs, i, parsed = 0, bound = 0;
	u8 *seed, *buf;
	struct moe_model m;
	struct st_file st;
	size_t size, len;
	u64 header = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: moe-fuzz MODEL RUNS SEED\n");
		return 1;
	}
	seed = load(argv[1], &size);
	runs = strtoul(argv[2], NULL, 0);
	state = strtoull(argv[3], NULL, 0);
	for (i = 0; i < 8; i++)
		header |= (u64)seed[i] << (8 * i);
	if (header > size - 8) {
		fprintf(stderr, "moe-fuzz: %s: not a safetensors file\n", argv[1]);
		return 1;
	}

	for (i = 0; i < runs; i++) {
		buf = malloc(size);
		if (!buf)
			return 1;
		memcpy(buf, seed, size);
		len = size;
		/* the first is left whole: it must be understood */
		if (i)
			damage(buf, &len, header);
		if (len < size) {
			u8 *cut = malloc(len ? len : 1);

			if (!cut)
				return 1;
			memcpy(cut, buf, len);
			free(buf);
			buf = cut;
		}
		if (!st_parse(&st, buf, len)) {
			parsed++;
			bound += !moe_model_bind(&m, &st);
			moe_model_free(&m);
		}
		st_free(&st);
		free(buf);
		if (!i && !bound) {
			fprintf(stderr, "moe-fuzz: %s: %s\n", argv[1], st.err);
			return 1;
		}
	}
	printf("%lu inputs: %lu parsed, %lu of them a model\n", runs, parsed, bound);
	free(seed);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * hog MIB: takes so much memory, uses all of it again and again, and takes a little more each
 * time, until it is killed.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB	(1UL << 20)
#define MORE	(8 * MIB)
#define MOST	(1UL << 40)

int main(int argc, char **argv)
{
	unsigned long len = argc == 2 ? strtoul(argv[1], NULL, 0) * MIB : 0, off;
	volatile char *p;

	if (!len)
		errx(2, "usage: hog MIB");
	p = mmap(NULL, MOST, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		err(1, "mmap");
	printf("begins with %lu MiB\n", len / MIB);
	fflush(stdout);
	for (; len < MOST; len += MORE) {
		for (off = 0; off < len; off += 4096)
			p[off]++;
		usleep(200000);
	}
	return 0;
}

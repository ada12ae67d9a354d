// SPDX-License-Identifier: GPL-2.0
/*
 * What a fault waits for in a VMR that is large.
 *
 * bench-stream first NAME NAME: touches a byte of a cold VMR of each region in turn, each
 * time another VMR and another place in it, and prints the medians of how long that took,
 * and the second one's over the first one's.
 * bench-stream chunks NAME: as many threads as there are 2 MiB in a VMR, up to 8, touch one
 * cold VMR at once, each in another 2 MiB. Prints the first one's and the last one's wait,
 * and how long a VMR takes on the wire: that of touching all of another one in order.
 *
 * NAME is a region that bench-touch has made, relative to /rmai, or $RMAI_MNT.
 */
#include <pthread.h>
#include <stdbool.h>

#include "region.h"

#define THREADS	8
#define VMRS	7	/* of each region, */
#define SAMPLES	(3 * VMRS)

static void wait_for(struct region *r, uint64_t off)
{
	double end = now() + 60;

	while (resident(r, off, r->vmr_size) != r->vmr_size / PAGE) {
		if (now() > end)
			errx(1, "%s: what follows a chunk does not come", r->name);
		usleep(1000);
	}
}

static double touch(struct region *r, uint64_t off)
{
	double t = now();

	check_page(r, off / PAGE);
	return now() - t;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void first(const char *small, const char *large)
{
	double t[2][SAMPLES];
	struct region r[2];
	int i, k;

	open_region(&r[0], small);
	open_region(&r[1], large);
	for (k = 0; k < 2; k++) {
		if (r[k].size < VMRS * r[k].vmr_size)
			errx(2, "%s: fewer than %d VMRs", r[k].name, VMRS);
		/* Keys are asked for once */
		for (i = 0; i < VMRS; i++)
			touch(&r[k], i * r[k].vmr_size);
		for (i = 0; i < VMRS; i++)
			wait_for(&r[k], i * r[k].vmr_size);
	}
	for (i = 0; i < SAMPLES; i++) {
		for (k = 0; k < 2; k++) {
			uint64_t vmr = i % VMRS * r[k].vmr_size;

			if (!(i % VMRS))
				make_cold(&r[k]);
			t[k][i] = touch(&r[k], vmr + i * (r[k].vmr_size / SAMPLES));
			wait_for(&r[k], vmr);
		}
	}
	for (k = 0; k < 2; k++)
		qsort(t[k], SAMPLES, sizeof(double), compare);
	printf("{ \"vmr_size\": [%llu, %llu], \"first_ms\": %.3f, \"second_ms\": %.3f, ",
	       (unsigned long long)r[0].vmr_size, (unsigned long long)r[1].vmr_size,
	       t[0][SAMPLES / 2] * 1e3, t[1][SAMPLES / 2] * 1e3);
	printf("\"ratio\": %.3f }\n", t[1][SAMPLES / 2] / t[0][SAMPLES / 2]);
}

struct toucher {
	pthread_t		thread;
	pthread_barrier_t	*start;
	struct region		*r;
	uint64_t		off;
	double			wait;
};

static void *touch_chunk(void *arg)
{
	struct toucher *t = arg;

	pthread_barrier_wait(t->start);
	t->wait = touch(t->r, t->off);
	return NULL;
}

static void chunks(const char *name)
{
	double t0, wire, first_wait, last_wait;
	struct toucher t[THREADS];
	pthread_barrier_t start;
	uint64_t off, n, i;
	struct region r;

	open_region(&r, name);
	n = r.vmr_size / BLOCK < THREADS ? r.vmr_size / BLOCK : THREADS;
	if (!n || r.size < 2 * r.vmr_size)
		errx(2, "%s: fewer than 2 VMRs, or below 2 MiB", name);
	touch(&r, 0);
	touch(&r, r.vmr_size);
	wait_for(&r, 0);
	wait_for(&r, r.vmr_size);
	make_cold(&r);

	t0 = now();
	for (off = 0; off < r.vmr_size; off += PAGE)
		check_page(&r, off / PAGE);
	wire = now() - t0;

	if (pthread_barrier_init(&start, NULL, n))
		errx(1, "barrier");
	for (i = 0; i < n; i++) {
		t[i].start = &start;
		t[i].r = &r;
		/* Somewhere in its 2 MiB */
		t[i].off = r.vmr_size + i * BLOCK + (i * 7 + 3) % 8 * (BLOCK / 8);
		if (pthread_create(&t[i].thread, NULL, touch_chunk, &t[i]))
			errx(1, "pthread_create");
	}
	first_wait = 1e9;
	last_wait = 0;
	for (i = 0; i < n; i++) {
		pthread_join(t[i].thread, NULL);
		first_wait = t[i].wait < first_wait ? t[i].wait : first_wait;
		last_wait = t[i].wait > last_wait ? t[i].wait : last_wait;
	}
	wait_for(&r, r.vmr_size);
	printf("{ \"vmr_size\": %llu, \"threads\": %llu, \"wire_ms\": %.3f, ",
	       (unsigned long long)r.vmr_size, (unsigned long long)n, wire * 1e3);
	printf("\"first_ms\": %.3f, \"last_ms\": %.3f, \"first\": %.4f, \"last\": %.4f }\n",
	       first_wait * 1e3, last_wait * 1e3, first_wait / wire, last_wait / wire);
}

int main(int argc, char **argv)
{
	enter_mount();
	if (argc == 4 && !strcmp(argv[1], "first"))
		first(argv[2], argv[3]);
	else if (argc == 3 && !strcmp(argv[1], "chunks"))
		chunks(argv[2]);
	else
		errx(2, "usage: bench-stream first NAME NAME | chunks NAME");
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit test of what is fetched of a VMR: in which pieces, and how much. The latter on
 * a model of a page cache, with programs that use a region in different ways.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/string.h>
#include "auto.h"
#include "chunk.h"

#define K	1024ULL
#define M	(K * K)
#define P	4096ULL

/* VMRs that are whole, short, large, and not aligned to anything but pages */
static const struct rmai_span vmrs[] = {
	{ 0, P }, { 3 * P, P }, { 0, 256 * K }, { 5 * M, 2 * M }, { 0, 16 * M },
	{ 16 * M, 9 * M + P }, { 3 * M, 3 * M }, { 2 * M + P, 2 * M + P },
	{ 5 * (5 * M + P), 5 * M + P }, { 7 * P, 300 * K },
};

static const u64 chunks[] = { P, 64 * K, RMAI_CHUNK, RMAI_BLOCK, 32 * M };

static void chunk_span_test(struct kunit *test)
{
	int v, c;
	u64 off;

	for (v = 0; v < ARRAY_SIZE(vmrs); v++) {
		for (c = 0; c < ARRAY_SIZE(chunks); c++) {
			struct rmai_span vmr = vmrs[v], last = { vmr.off, 0 };
			u64 end = vmr.off + vmr.len;

			/* Chunks follow each other without a gap, to the end */
			for (off = vmr.off; off < end; off += P) {
				struct rmai_span s = rmai_chunk_span(vmr, chunks[c], off);

				KUNIT_ASSERT_LE(test, s.off, off);
				KUNIT_ASSERT_LT(test, off, s.off + s.len);
				if (s.off != last.off || !last.len)
					KUNIT_ASSERT_EQ(test, s.off, last.off + last.len);
				if (chunks[c] < vmr.len) {
					KUNIT_ASSERT_LE(test, s.len, chunks[c]);
					KUNIT_ASSERT_TRUE(test, s.off == vmr.off ||
							  IS_ALIGNED(s.off, chunks[c]));
				}
				last = s;
			}
			KUNIT_ASSERT_EQ(test, last.off + last.len, end);
		}
	}
}

static void chunk_bytes_test(struct kunit *test)
{
	/* Small VMRs are waited for whole: so they cost one fault */
	KUNIT_EXPECT_EQ(test, rmai_chunk_bytes(P, P), P);
	KUNIT_EXPECT_EQ(test, rmai_chunk_bytes(2 * M, 2 * M), 2 * M);
	KUNIT_EXPECT_EQ(test, rmai_chunk_bytes(2 * M, 64 * K), 64 * K);
	KUNIT_EXPECT_EQ(test, rmai_chunk_bytes(2 * M + P, 2 * M + P), 256 * K);
	KUNIT_EXPECT_EQ(test, rmai_chunk_bytes(16 * M, 16 * M), 256 * K);
	KUNIT_EXPECT_EQ(test, rmai_chunk_bytes(16 * M, P), P);
}

/* From wherever it begins, all comes once, what was touched first, in READs that fit */
static void want_test(struct kunit *test)
{
	int v, c, begin;

	for (v = 0; v < ARRAY_SIZE(vmrs); v++) {
		struct rmai_span vmr = vmrs[v];
		u64 pages = vmr.len / P;
		unsigned long *here = bitmap_zalloc(pages, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, here);
		for (c = 0; c < ARRAY_SIZE(chunks) * 3; c++) {
			u64 chunk = chunks[c / 3], off;
			struct rmai_want w;

			begin = c % 3;
			off = vmr.off + begin * (pages - 1) / 2 * P;
			bitmap_zero(here, pages);
			rmai_want_begin(&w, vmr, chunk, off, true);
			KUNIT_ASSERT_TRUE(test, w.urgent);
			while (w.left) {
				struct rmai_span s = rmai_chunk_span(w.goal, w.chunk, w.pos);

				if (!w.urgent && rmai_chunk_block(w.goal, w.chunk, w.pos) &&
				    find_next_bit(here, pages, (w.pos - vmr.off) / P) >=
				    (w.pos - vmr.off + RMAI_BLOCK) / P)
					s.len = RMAI_BLOCK;
				KUNIT_ASSERT_EQ(test, s.off, w.pos);
				KUNIT_ASSERT_GE(test, s.off, vmr.off);
				KUNIT_ASSERT_LE(test, s.off + s.len, vmr.off + vmr.len);
				if (w.urgent)
					KUNIT_ASSERT_TRUE(test, s.off <= off &&
							  off < s.off + s.len);
				bitmap_set(here, (s.off - vmr.off) / P, s.len / P);
				rmai_want_posted(&w, s);
			}
			KUNIT_ASSERT_TRUE(test, bitmap_full(here, pages));
		}
		bitmap_free(here);
	}
}

/* A region, and what of it is here */
struct model {
	struct rmai_auto	a;
	u64			vmr_size;
	u64			pages;
	unsigned long		*here;
	u64			fetched;	/* bytes */
	u64			faults;
};

static bool model_here(struct model *m, struct rmai_span s)
{
	return s.len && find_next_bit(m->here, m->pages, s.off / P) < (s.off + s.len) / P;
}

static void model_touch(struct model *m, u64 page)
{
	struct rmai_auto_touch t = { .off = page * P };
	struct rmai_span vmr, two;
	u64 skip, i;

	if (test_bit(page, m->here))
		return;
	vmr.off = t.off - t.off % m->vmr_size;
	vmr.len = min(m->vmr_size, m->pages * P - vmr.off);
	t.unit = rmai_auto_unit(&m->a, m->vmr_size);
	t.span = rmai_chunk_span(vmr, t.unit, t.off);
	two = rmai_chunk_span(vmr, 2 * rounddown_pow_of_two(t.unit), t.off);
	if (two.off == t.span.off)
		two.off += t.span.len;
	two.len -= min(two.len, t.span.len);
	t.part = model_here(m, t.span);
	t.other = model_here(m, two);
	skip = rmai_auto_next(&m->a, m->vmr_size, &t);
	for (i = t.span.off / P; i < (t.span.off + t.span.len) / P; i++)
		if (i != skip / P && !__test_and_set_bit(i, m->here))
			m->fetched += P;
	m->faults++;
}

static u32 model_random(u32 *s)
{
	*s = *s * 1664525 + 1013904223;
	return *s >> 8;
}

static struct model *model_new(struct kunit *test, u64 vmr_size, u64 size)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->vmr_size = vmr_size;
	m->pages = size / P;
	m->here = kunit_kzalloc(test, BITS_TO_LONGS(m->pages) * sizeof(long), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m->here);
	return m;
}

static void auto_sequential_test(struct kunit *test)
{
	static const u64 sizes[] = { P, 64 * K, 2 * M, 3 * M, 5 * M + P, 16 * M };
	int k;
	u64 i;

	for (k = 0; k < ARRAY_SIZE(sizes); k++) {
		struct model *m = model_new(test, sizes[k], 256 * M);

		for (i = 0; i < m->pages; i++)
			model_touch(m, i);
		KUNIT_EXPECT_EQ(test, m->a.unit, sizes[k]);
		/* A few more than with VMRs that are fetched whole */
		KUNIT_EXPECT_LE(test, m->faults, 256 * M / sizes[k] * 9 / 8 + 24);
	}
}

static void auto_backward_test(struct kunit *test)
{
	struct model *m = model_new(test, 2 * M, 256 * M);
	u64 i;

	for (i = m->pages; i--; )
		model_touch(m, i);
	KUNIT_EXPECT_EQ(test, m->a.unit, 2 * M);
}

static void auto_random_test(struct kunit *test)
{
	struct model *m = model_new(test, 2 * M, 256 * M);
	u64 n, before;
	u32 s = 1;

	for (n = 0; n < 2000; n++)
		model_touch(m, model_random(&s) % m->pages);
	KUNIT_EXPECT_EQ(test, m->a.unit, P);
	KUNIT_EXPECT_LE(test, m->fetched, 2 * n * P);

	/* The same after a sweep has made it large, and all of that has been dropped */
	m->a = (struct rmai_auto){ .unit = 2 * M, .known = true, .run = 3 };
	bitmap_zero(m->here, m->pages);
	before = m->fetched;
	for (n = 0; n < 4000; n++)
		model_touch(m, model_random(&s) % m->pages);
	kunit_info(test, "random after a sweep: unit %llu, %llu bytes for %llu touched\n",
		   m->a.unit, m->fetched - before, n * P);
	KUNIT_EXPECT_LE(test, m->a.unit, 8 * K);
}

/* Some KiB at the start of each 256 KiB */
static void auto_strided_test(struct kunit *test)
{
	static const u64 runs[] = { P, 16 * K, 64 * K, 128 * K };
	int k;
	u64 off, i;

	for (k = 0; k < ARRAY_SIZE(runs); k++) {
		struct model *m = model_new(test, 2 * M, 256 * M);

		for (off = 0; off < 256 * M; off += 256 * K)
			for (i = 0; i < runs[k]; i += P)
				model_touch(m, (off + i) / P);
		kunit_info(test, "%llu of 262144: unit %llu\n", runs[k], m->a.unit);
		KUNIT_EXPECT_LE(test, m->a.unit, 2 * runs[k]);
		KUNIT_EXPECT_GE(test, 2 * m->a.unit, runs[k]);
		KUNIT_EXPECT_LE(test, m->fetched, 2 * 1024 * runs[k]);
	}
}

/* A page of each unit: a run to look at, but nothing of it is used */
static void auto_sparse_test(struct kunit *test)
{
	static const u64 strides[] = { 16 * K, 64 * K, 256 * K, 2 * M };
	u64 off, touched;
	int k;

	for (k = 0; k < ARRAY_SIZE(strides); k++) {
		struct model *m = model_new(test, 2 * M, 512 * M);

		for (off = 0; off < 512 * M; off += strides[k])
			model_touch(m, off / P);
		touched = 512 * M / strides[k] * P;
		kunit_info(test, "4096 of %llu: unit %llu, %llu bytes for %llu\n",
			   strides[k], m->a.unit, m->fetched, touched);
		KUNIT_EXPECT_LE(test, m->a.unit, 16 * K);
		KUNIT_EXPECT_LE(test, m->fetched, 4 * touched + 4 * M);
	}
}

/* Experts, each used whole, in any order, and some of them dropped again */
static void auto_experts_test(struct kunit *test)
{
	static const u64 sizes[] = { 128 * K, 512 * K, 2 * M };
	int k, n;

	for (k = 0; k < ARRAY_SIZE(sizes); k++) {
		struct model *m = model_new(test, 2 * M, 256 * M);
		u64 pages = sizes[k] / P, experts = 256 * M / sizes[k], e, i, least;
		u32 s = k + 1;

		least = 0;
		for (n = 0; n < 512; n++) {
			e = model_random(&s) % experts;
			if (!test_bit(e * pages, m->here))
				least++;
			for (i = 0; i < pages; i++)
				model_touch(m, e * pages + i);
			/* Room for a quarter or so */
			e = model_random(&s) % experts;
			bitmap_clear(m->here, e * pages, pages);
		}
		kunit_info(test, "experts of %llu: unit %llu, %llu faults for %llu\n",
			   sizes[k], m->a.unit, m->faults, least);
		KUNIT_EXPECT_GE(test, m->a.unit, sizes[k] / 2);
		KUNIT_EXPECT_LE(test, m->faults, 2 * least + 64);
	}
}

static struct kunit_case chunk_cases[] = {
	KUNIT_CASE(chunk_span_test),
	KUNIT_CASE(chunk_bytes_test),
	KUNIT_CASE(want_test),
	KUNIT_CASE(auto_sequential_test),
	KUNIT_CASE(auto_backward_test),
	KUNIT_CASE(auto_random_test),
	KUNIT_CASE(auto_strided_test),
	KUNIT_CASE(auto_sparse_test),
	KUNIT_CASE(auto_experts_test),
	{}
};

static struct kunit_suite chunk_suite = {
	.name = "rmai_chunk",
	.test_cases = chunk_cases,
};

kunit_test_suite(chunk_suite);

MODULE_DESCRIPTION("KUnit test of what is fetched of a VMR");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit test of VMR and layout arithmetic: properties over many geometries, and
 * a model that deals out a region's pages one by one, without any division.
 */
#include <kunit/test.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>
#include <uapi/linux/rmai.h>
#include "vmr.h"
#include "wire_gen.h"

#define K	1024ULL
#define M	(K * K)
#define P	RMAI_VMR_MIN

/* Sizes and VMR sizes that are powers of two and not, equal, larger, smaller */
static const struct rmai_geom small[] = {
	/* size, vmr_size, stripe, nr_nodes */
	{ 0, P, P, 1 },
	{ 1, P, P, 1 },
	{ P, P, P, 3 },
	{ P + 1, P, P, 2 },
	{ 100 * P, P, P, 64 },
	{ 100 * P - 1, 3 * P, 3 * P, 2 },
	{ 100 * P + 1, 3 * P, 21 * P, 3 },
	{ 101 * P, 7 * P, 7 * P, 5 },
	{ 97 * P + 5, 11 * P, 22 * P, 2 },
	{ 5 * P, 1 * M, 2 * M, 2 },		/* one VMR, not even whole */
	{ 2 * M, 2 * M, 2 * M, 2 },
	{ 7 * M + 3, 2 * M, 4 * M, 2 },
	{ 9 * M, 3 * M + P, 3 * M + P, 2 },	/* more pages than a key of 512 */
	{ 13 * M + 17, 3 * M, 9 * M, 3 },
};

static const u32 key_bytes[] = { P, 3 * P, 256 * P, 512 * P, RMAI_VMR_MAX };

static u64 pages_of(const struct rmai_geom *g)
{
	return g->size / P + !!(g->size % P);
}

/* Deal the pages out as the layout says, and see that the arithmetic agrees */
static void against_a_model(struct kunit *test)
{
	const struct rmai_geom *g;
	u64 page, off, vmr, vmr_start, left_vmr, left_unit;
	u32 slot;

	for (g = small; g < small + ARRAY_SIZE(small); g++) {
		vmr = 0;
		vmr_start = 0;
		slot = 0;
		left_vmr = g->vmr_size;
		left_unit = g->stripe;
		for (page = 0; page < pages_of(g); page++) {
			struct rmai_span span;

			off = page * P;
			span = rmai_vmr_span(g, off + off % 4093);
			KUNIT_ASSERT_EQ(test, vmr_start, span.off);
			KUNIT_ASSERT_EQ(test, min(g->vmr_size, pages_of(g) * P - vmr_start),
					span.len);
			KUNIT_ASSERT_EQ(test, vmr, rmai_vmr_index(g, off));
			KUNIT_ASSERT_EQ(test, vmr, rmai_vmr_index(g, off + P - 1));
			KUNIT_ASSERT_EQ(test, slot, rmai_home_slot(g, off));
			KUNIT_ASSERT_EQ(test, slot, rmai_home_slot(g, off + P - 1));
			if (g->nr_nodes > 1)
				KUNIT_ASSERT_EQ(test, left_unit,
						rmai_home_run(g, off, U64_MAX));
			left_vmr -= P;
			left_unit -= P;
			if (!left_vmr) {
				vmr++;
				vmr_start = off + P;
				left_vmr = g->vmr_size;
			}
			if (!left_unit) {
				slot = slot + 1 == g->nr_nodes ? 0 : slot + 1;
				left_unit = g->stripe;
			}
		}
	}
}

/* VMRs, and keys, tile the region: each byte in exactly one, each in one home */
static void tiling(struct kunit *test)
{
	const struct rmai_geom *g;
	struct rmai_span span;
	u64 off, nr, last, end;
	int i;

	for (g = small; g < small + ARRAY_SIZE(small); g++) {
		end = pages_of(g) * P;
		for (off = 0, nr = 0; off < end; off += span.len, nr++) {
			span = rmai_vmr_span(g, off);
			KUNIT_ASSERT_EQ(test, off, span.off);
			KUNIT_ASSERT_NE(test, 0, span.len);
			KUNIT_ASSERT_EQ(test, nr, rmai_vmr_index(g, off));
			KUNIT_ASSERT_EQ(test, span.len, rmai_home_run(g, off, span.len));
			KUNIT_ASSERT_EQ(test, rmai_home_slot(g, off),
					rmai_home_slot(g, off + span.len - 1));
		}
		KUNIT_EXPECT_EQ(test, end, off);
		KUNIT_EXPECT_EQ(test, 0, rmai_vmr_span(g, end + g->vmr_size).len);

		for (i = 0; i < ARRAY_SIZE(key_bytes); i++) {
			u32 kb = key_bytes[i];

			last = 0;
			for (off = 0; off < end; off += span.len) {
				nr = rmai_key_number(g, kb, off);
				if (off)
					KUNIT_ASSERT_GT(test, nr, last);
				last = nr;
				span = rmai_key_span(g, kb, nr);
				KUNIT_ASSERT_EQ(test, off, span.off);
				KUNIT_ASSERT_NE(test, 0, span.len);
				KUNIT_ASSERT_LE(test, span.len, kb);
				KUNIT_ASSERT_EQ(test, 0, span.len % P);
				KUNIT_ASSERT_EQ(test, nr,
						rmai_key_number(g, kb, off + span.len - 1));
				KUNIT_ASSERT_EQ(test, rmai_home_slot(g, off),
						rmai_home_slot(g, off + span.len - 1));
				KUNIT_ASSERT_EQ(test, span.len,
						rmai_home_run(g, off, span.len));
			}
			KUNIT_EXPECT_EQ(test, end, off);
			/* numbers past the last name nothing */
			for (nr = end ? last + 1 : 0; nr < last + 600; nr++)
				KUNIT_ASSERT_EQ(test, 0, rmai_key_span(g, kb, nr).len);
		}
	}
}

/* Numbers between the first and the last key are dense inside a stripe unit */
static void key_numbers(struct kunit *test)
{
	/* 3 MiB + 4 KiB in keys of 2 MiB: two keys in each unit */
	struct rmai_geom g = { 9 * M, 3 * M + P, 3 * M + P, 2 };
	struct rmai_span s;
	u64 off;

	KUNIT_EXPECT_EQ(test, 0, rmai_key_number(&g, 2 * M, 2 * M - 1));
	KUNIT_EXPECT_EQ(test, 1, rmai_key_number(&g, 2 * M, 2 * M));
	KUNIT_EXPECT_EQ(test, 1, rmai_key_number(&g, 2 * M, 3 * M + P - 1));
	KUNIT_EXPECT_EQ(test, 2, rmai_key_number(&g, 2 * M, 3 * M + P));
	s = rmai_key_span(&g, 2 * M, 1);
	KUNIT_EXPECT_EQ(test, 2 * M, s.off);
	KUNIT_EXPECT_EQ(test, M + P, s.len);
	s = rmai_key_span(&g, 2 * M, 5);
	KUNIT_EXPECT_EQ(test, 2 * (3 * M + P) + 2 * M, s.off);
	KUNIT_EXPECT_EQ(test, M - 2 * P, s.len);
	KUNIT_EXPECT_EQ(test, 0, rmai_key_span(&g, 2 * M, 6).len);

	/* where keys fill their unit, no number is left out */
	g = (struct rmai_geom){ 16 * M, 2 * M, 4 * M, 3 };
	for (off = 0; off < g.size; off += 2 * M)
		KUNIT_EXPECT_EQ(test, off / (2 * M), rmai_key_number(&g, 2 * M, off));
}

/* The same properties at random places of random geometries up to the limits */
static void random_geometries(struct kunit *test)
{
	u64 rng = 0x766d72, off, nr;
	struct rmai_span v, k;
	struct rmai_geom g;
	int i;
	u32 kb;

	for (i = 0; i < 20000; i++) {
		g.vmr_size = gen_vmr_size(&rng);
		g.stripe = g.vmr_size * (1 + gen_size(&rng, 1000));
		g.nr_nodes = 1 + gen_below(&rng, RMAI_WIRE_NODES);
		g.size = gen_size(&rng, RMAI_WIRE_SIZE_LIMIT);
		KUNIT_ASSERT_TRUE(test, rmai_geom_valid(&g));
		if (!g.size)
			continue;
		off = gen_below(&rng, g.size);
		kb = key_bytes[gen_below(&rng, ARRAY_SIZE(key_bytes))];

		v = rmai_vmr_span(&g, off);
		KUNIT_ASSERT_TRUE(test, v.off <= off && off - v.off < v.len);
		KUNIT_ASSERT_TRUE(test, v.len <= g.vmr_size && v.len % P == 0);
		KUNIT_ASSERT_EQ(test, v.off, rmai_vmr_index(&g, off) * g.vmr_size);
		KUNIT_ASSERT_LT(test, rmai_home_slot(&g, off), g.nr_nodes);
		KUNIT_ASSERT_EQ(test, v.len, rmai_home_run(&g, v.off, v.len));

		nr = rmai_key_number(&g, kb, off);
		k = rmai_key_span(&g, kb, nr);
		KUNIT_ASSERT_TRUE(test, k.off <= off && off - k.off < k.len);
		KUNIT_ASSERT_TRUE(test, k.len <= kb && k.len % P == 0);
		KUNIT_ASSERT_EQ(test, nr, rmai_key_number(&g, kb, k.off + k.len - 1));
		KUNIT_ASSERT_EQ(test, k.len, rmai_home_run(&g, k.off, k.len));

		/* numbers from a peer: nothing, or a key of that number */
		nr = gen_u64(&rng) >> gen_below(&rng, 64);
		k = rmai_key_span(&g, kb, nr);
		KUNIT_ASSERT_TRUE(test, !k.len || (k.off < g.size && k.len <= kb &&
						   rmai_key_number(&g, kb, k.off) == nr));
	}
}

static void limits(struct kunit *test)
{
	struct rmai_geom g = { RMAI_WIRE_SIZE_LIMIT - 1, P, P, RMAI_WIRE_NODES };
	struct rmai_geom bad;
	struct rmai_span s;

	KUNIT_EXPECT_TRUE(test, rmai_geom_valid(&g));
	s = rmai_vmr_span(&g, g.size - 1);
	KUNIT_EXPECT_EQ(test, RMAI_WIRE_SIZE_LIMIT - P, s.off);
	KUNIT_EXPECT_EQ(test, P, s.len);
	KUNIT_EXPECT_EQ(test, 0, rmai_vmr_span(&g, RMAI_WIRE_SIZE_LIMIT).len);
	KUNIT_EXPECT_EQ(test, 0, rmai_key_span(&g, P, U64_MAX).len);
	KUNIT_EXPECT_EQ(test, 0, rmai_key_span(&g, RMAI_VMR_MAX, U64_MAX).len);
	KUNIT_EXPECT_EQ(test, P, rmai_home_run(&g, 0, U64_MAX));
	KUNIT_EXPECT_EQ(test, 1, rmai_home_run(&g, P - 1, U64_MAX));
	KUNIT_EXPECT_EQ(test, 0, rmai_home_run(&g, 0, 0));
	g.nr_nodes = 1;
	KUNIT_EXPECT_EQ(test, U64_MAX, rmai_home_run(&g, 0, U64_MAX));

	/* an empty region has no VMR and no key, but homes for what will come */
	g = (struct rmai_geom){ 0, 2 * M, 2 * M, 2 };
	KUNIT_EXPECT_TRUE(test, rmai_geom_valid(&g));
	KUNIT_EXPECT_EQ(test, 0, rmai_vmr_span(&g, 0).len);
	KUNIT_EXPECT_EQ(test, 0, rmai_key_span(&g, 2 * M, 0).len);
	KUNIT_EXPECT_EQ(test, 1, rmai_home_slot(&g, 2 * M));

#define INVALID(change) do {						\
		bad = (struct rmai_geom){ 8 * M, 2 * M, 4 * M, 2 };	\
		KUNIT_EXPECT_TRUE(test, rmai_geom_valid(&bad));		\
		bad.change;						\
		KUNIT_EXPECT_FALSE_MSG(test, rmai_geom_valid(&bad), #change); \
	} while (0)
	INVALID(size = RMAI_WIRE_SIZE_LIMIT);
	INVALID(vmr_size = 0);
	INVALID(vmr_size = P + 1);
	INVALID(vmr_size = RMAI_VMR_MAX + P);
	INVALID(stripe = 0);
	INVALID(stripe = 3 * M);
	INVALID(stripe = P);
	INVALID(stripe = RMAI_WIRE_SIZE_LIMIT);
	INVALID(nr_nodes = 0);
	INVALID(nr_nodes = RMAI_WIRE_NODES + 1);
#undef INVALID
}

static void default_stripe(struct kunit *test)
{
	u64 rng = 0x737472, vmr_size, stripe;
	int i;

	KUNIT_EXPECT_EQ(test, 2 * M, rmai_default_stripe(P));
	KUNIT_EXPECT_EQ(test, 2 * M, rmai_default_stripe(2 * M));
	KUNIT_EXPECT_EQ(test, 3 * M + P, rmai_default_stripe(3 * M + P));
	KUNIT_EXPECT_EQ(test, RMAI_VMR_MAX, rmai_default_stripe(RMAI_VMR_MAX));
	for (i = 0; i < 1000; i++) {
		vmr_size = gen_vmr_size(&rng);
		stripe = rmai_default_stripe(vmr_size);
		KUNIT_ASSERT_EQ(test, 0, stripe % vmr_size);
		KUNIT_ASSERT_GE(test, stripe, 2 * M);
		KUNIT_ASSERT_LT(test, stripe - vmr_size, 2 * M);
	}
}

static struct kunit_case vmr_cases[] = {
	KUNIT_CASE(against_a_model),
	KUNIT_CASE(tiling),
	KUNIT_CASE(key_numbers),
	KUNIT_CASE(random_geometries),
	KUNIT_CASE(limits),
	KUNIT_CASE(default_stripe),
	{}
};

static struct kunit_suite vmr_suite = {
	.name = "rmai_vmr",
	.test_cases = vmr_cases,
};

kunit_test_suite(vmr_suite);

MODULE_DESCRIPTION("KUnit test of RMAI's VMR and layout arithmetic");
MODULE_LICENSE("GPL");

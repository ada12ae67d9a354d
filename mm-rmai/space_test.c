// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit test of windows, slices and the address allocator.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/linux/rmai.h>
#include "config.h"
#include "space.h"
#include "wire_gen.h"

#define START		RMAI_DEFAULT_WINDOW_START
#define HOUR_MS		(3600 * 1000)

/* What the spaces of these tests are told to quarantine for */
static unsigned int rest_ms;

static void windows(struct kunit *test)
{
	u64 start, size, next = RMAI_DEFAULT_WINDOW_START, unused;
	unsigned int node;

	KUNIT_ASSERT_TRUE(test, rmai_window_valid(RMAI_DEFAULT_WINDOW_START,
						  RMAI_DEFAULT_WINDOW_SIZE));
	for (node = 1; node <= RMAI_WIRE_NODES; node++) {
		KUNIT_ASSERT_EQ(test, 0, rmai_window_slice(START,
							   RMAI_DEFAULT_WINDOW_SIZE,
							   node, &start, &size));
		KUNIT_EXPECT_EQ(test, next, start);
		KUNIT_EXPECT_EQ(test, 512ULL << 30, size);
		next = start + size;
#define NODE_OF(addr) rmai_window_node(START, RMAI_DEFAULT_WINDOW_SIZE, addr)
		KUNIT_EXPECT_EQ(test, node, NODE_OF(start));
		KUNIT_EXPECT_EQ(test, node, NODE_OF(start + size / 2 + 1));
		KUNIT_EXPECT_EQ(test, node, NODE_OF(next - 1));
	}
	KUNIT_EXPECT_EQ(test, RMAI_DEFAULT_WINDOW_START + RMAI_DEFAULT_WINDOW_SIZE, next);
	KUNIT_EXPECT_EQ(test, 0, NODE_OF(next));
	KUNIT_EXPECT_EQ(test, 0, NODE_OF(RMAI_DEFAULT_WINDOW_START - 1));
	KUNIT_EXPECT_EQ(test, 0, NODE_OF(0));
	KUNIT_EXPECT_EQ(test, 0, NODE_OF(U64_MAX));
#undef NODE_OF

	size = RMAI_DEFAULT_WINDOW_SIZE;
	KUNIT_EXPECT_EQ(test, -EINVAL,
			rmai_window_slice(START, size, 0, &unused, &unused));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			rmai_window_slice(START, size, RMAI_WIRE_NODES + 1, &unused,
					  &unused));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			rmai_window_slice(START + 1, size, 1, &unused, &unused));
}

static void bad_windows(struct kunit *test)
{
	const u64 smallest = RMAI_WIRE_NODES * PMD_SIZE;

	KUNIT_EXPECT_TRUE(test, rmai_window_valid(PMD_SIZE, smallest));
	KUNIT_EXPECT_TRUE(test, rmai_window_valid(START, 3 * smallest));
	KUNIT_EXPECT_FALSE(test, rmai_window_valid(0, smallest));
	KUNIT_EXPECT_FALSE(test, rmai_window_valid(START, 0));
	KUNIT_EXPECT_FALSE(test, rmai_window_valid(START + PAGE_SIZE, smallest));
	KUNIT_EXPECT_FALSE(test, rmai_window_valid(START, smallest - PMD_SIZE));
	KUNIT_EXPECT_FALSE(test, rmai_window_valid(START, smallest + PMD_SIZE));
	KUNIT_EXPECT_FALSE(test, rmai_window_valid(START, U64_MAX & PMD_MASK));
	KUNIT_EXPECT_FALSE(test, rmai_window_valid(U64_MAX & PMD_MASK, smallest));
	KUNIT_EXPECT_FALSE(test, rmai_window_valid(TASK_SIZE_MAX & PMD_MASK, smallest));
	KUNIT_EXPECT_FALSE(test, rmai_window_valid((TASK_SIZE_MAX & PMD_MASK) - PMD_SIZE,
						   smallest));
	KUNIT_EXPECT_FALSE(test, rmai_window_valid(-smallest, smallest));
}

static int space_init(struct kunit *test)
{
	struct rmai_space *sp = kunit_kzalloc(test, sizeof(*sp), GFP_KERNEL);

	if (!sp)
		return -ENOMEM;
	rest_ms = HOUR_MS;
	rmai_space_init(sp, START, 64 * PMD_SIZE, &rest_ms);
	test->priv = sp;
	return 0;
}

static void space_exit(struct kunit *test)
{
	if (test->priv)
		rmai_space_destroy(test->priv);
}

/* Owners are only compared */
static void *owner(unsigned long n)
{
	return (void *)(n + 1);
}

static void alloc_and_lookup(struct kunit *test)
{
	struct rmai_space *sp = test->priv;
	u64 a, b;

	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 1, PMD_SIZE, owner(1), &a));
	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, PMD_SIZE + 1, PMD_SIZE, owner(2), &b));
	KUNIT_EXPECT_EQ(test, 3 * PMD_SIZE, sp->used);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(a, PMD_SIZE) && IS_ALIGNED(b, PMD_SIZE));
	KUNIT_EXPECT_PTR_EQ(test, owner(1), rmai_space_lookup(sp, a));
	KUNIT_EXPECT_PTR_EQ(test, owner(1), rmai_space_lookup(sp, a + PMD_SIZE - 1));
	KUNIT_EXPECT_PTR_EQ(test, owner(2), rmai_space_lookup(sp, b));
	KUNIT_EXPECT_PTR_EQ(test, owner(2), rmai_space_lookup(sp, b + 2 * PMD_SIZE - 1));
	KUNIT_EXPECT_NULL(test, rmai_space_lookup(sp, b + 2 * PMD_SIZE));
	KUNIT_EXPECT_NULL(test, rmai_space_lookup(sp, START - 1));
	KUNIT_EXPECT_NULL(test, rmai_space_lookup(sp, START + sp->size));
	KUNIT_EXPECT_NULL(test, rmai_space_lookup(sp, 0));
	KUNIT_EXPECT_NULL(test, rmai_space_lookup(sp, U64_MAX));
	rmai_space_free(sp, a);
	KUNIT_EXPECT_NULL(test, rmai_space_lookup(sp, a));
	KUNIT_EXPECT_PTR_EQ(test, owner(2), rmai_space_lookup(sp, b));
	rmai_space_free(sp, b);
	KUNIT_EXPECT_EQ(test, 0, sp->used);
}

static void bad_requests(struct kunit *test)
{
	struct rmai_space *sp = test->priv;
	u64 a = 42;

	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_space_alloc(sp, 0, PMD_SIZE, owner(1), &a));
	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_space_alloc(sp, 1, 0, owner(1), &a));
	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_space_alloc(sp, 1, PAGE_SIZE, owner(1), &a));
	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_space_alloc(sp, 1, 3 * PMD_SIZE, owner(1), &a));
	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_space_alloc(sp, 1, PMD_SIZE, NULL, &a));
	KUNIT_EXPECT_EQ(test, -ENOMEM, rmai_space_alloc(sp, sp->size + 1, PMD_SIZE,
							owner(1), &a));
	KUNIT_EXPECT_EQ(test, -ENOMEM, rmai_space_alloc(sp, U64_MAX, PMD_SIZE,
							owner(1), &a));
	KUNIT_EXPECT_EQ(test, -ENOMEM, rmai_space_alloc(sp, 1, 1ULL << 63, owner(1), &a));
	KUNIT_EXPECT_EQ(test, 42, a);
	KUNIT_EXPECT_EQ(test, 0, sp->used);
	/* all of it at once is fine */
	KUNIT_EXPECT_EQ(test, 0, rmai_space_alloc(sp, sp->size, PMD_SIZE, owner(1), &a));
	KUNIT_EXPECT_EQ(test, START, a);
	KUNIT_EXPECT_EQ(test, -ENOMEM, rmai_space_alloc(sp, 1, PMD_SIZE, owner(2), &a));
	rmai_space_free(sp, START);
}

/* An aligned gap is found behind one that is large enough but not aligned */
static void alignment(struct kunit *test)
{
	const u64 align = 8 * PMD_SIZE;
	struct rmai_space *sp = test->priv;
	u64 a, b, c;

	/* the slice itself begins between two multiples of align */
	rmai_space_destroy(sp);
	rest_ms = HOUR_MS;
	rmai_space_init(sp, START + PMD_SIZE, 32 * PMD_SIZE, &rest_ms);
	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 1, align, owner(1), &a));
	KUNIT_EXPECT_EQ(test, START + align, a);
	KUNIT_EXPECT_EQ(test, align, sp->used);
	/* seven PMDs before it are free, one more is not */
	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 7 * PMD_SIZE, PMD_SIZE, owner(2), &b));
	KUNIT_EXPECT_EQ(test, START + PMD_SIZE, b);
	/* take one from the middle of the next unit: the unit after it is found */
	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 1, PMD_SIZE, owner(3), &c));
	KUNIT_EXPECT_EQ(test, START + 2 * align, c);
	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, align, align, owner(4), &c));
	KUNIT_EXPECT_EQ(test, START + 3 * align, c);
	/* 8 PMDs are still free, but no aligned unit of them */
	KUNIT_EXPECT_EQ(test, -ENOMEM, rmai_space_alloc(sp, align, align, owner(5), &c));
	KUNIT_EXPECT_EQ(test, 0, rmai_space_alloc(sp, 7 * PMD_SIZE, PMD_SIZE, owner(5), &c));
}

static void quarantine(struct kunit *test)
{
	struct rmai_space *sp = test->priv;
	u64 a, b, c;
	int i;

	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 1, PMD_SIZE, owner(1), &a));
	rmai_space_free(sp, a);
	/* not reused while there is anything else */
	for (i = 1; i < 64; i++) {
		KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 1, PMD_SIZE, owner(i), &b));
		KUNIT_ASSERT_NE(test, a, b);
	}
	KUNIT_EXPECT_EQ(test, 63 * PMD_SIZE, sp->used);
	/* but rather than fail */
	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 1, PMD_SIZE, owner(99), &b));
	KUNIT_EXPECT_EQ(test, a, b);
	KUNIT_EXPECT_EQ(test, -ENOMEM, rmai_space_alloc(sp, 1, PMD_SIZE, owner(1), &b));

	/* the oldest goes first, and no more than needed */
	rmai_space_free(sp, START + 9 * PMD_SIZE);
	rmai_space_free(sp, START + 5 * PMD_SIZE);
	rmai_space_free(sp, START + 7 * PMD_SIZE);
	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 1, PMD_SIZE, owner(1), &b));
	KUNIT_EXPECT_EQ(test, START + 9 * PMD_SIZE, b);
	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 1, PMD_SIZE, owner(1), &b));
	KUNIT_EXPECT_EQ(test, START + 5 * PMD_SIZE, b);
	/* two that are adjacent make room for one that is larger */
	rmai_space_free(sp, START + 8 * PMD_SIZE);
	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 2 * PMD_SIZE, PMD_SIZE, owner(1), &c));
	KUNIT_EXPECT_EQ(test, START + 7 * PMD_SIZE, c);
}

/* Time in quarantine: not before it is up, and soon after */
static void quarantine_time(struct kunit *test)
{
	struct rmai_space *sp = test->priv;
	u64 first, a = 0;
	ktime_t freed;
	int tries;

	rest_ms = 100;
	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 1, PMD_SIZE, owner(1), &first));
	freed = ktime_get();
	rmai_space_free(sp, first);
	for (tries = 0; tries < 1000 && a != first; tries++) {
		KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 1, PMD_SIZE, owner(1), &a));
		if (a == first)
			break;
		rmai_space_free(sp, a);
		msleep(20);
	}
	KUNIT_EXPECT_EQ(test, first, a);
	/* jiffies: up to one tick early by this clock */
	KUNIT_EXPECT_GE(test, ktime_ms_delta(ktime_get(), freed),
			100 - (s64)jiffies_to_msecs(1) - 1);
	rmai_space_free(sp, first);
	/* a shorter time holds at once */
	rest_ms = 0;
	KUNIT_ASSERT_EQ(test, 0, rmai_space_alloc(sp, 1, PMD_SIZE, owner(1), &a));
	KUNIT_EXPECT_EQ(test, first, a);
}

/* Many of all sizes, against a map of the slice's PMDs */
static void at_random(struct kunit *test)
{
	enum { PMDS = 512, ROUNDS = 4000 };
	struct rmai_space *sp = test->priv;
	u64 rng = 0x7370, a, size, used = 0;
	unsigned long i, n, failed = 0;
	u16 *map;

	rmai_space_destroy(sp);
	rest_ms = 0;
	rmai_space_init(sp, START, PMDS * PMD_SIZE, &rest_ms);
	map = kunit_kcalloc(test, PMDS, sizeof(*map), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, map);
	for (n = 1; n <= ROUNDS; n++) {
		if (gen_bool(&rng)) {
			u64 align = PMD_SIZE << gen_below(&rng, 4);

			size = 1 + gen_size(&rng, 40 * PMD_SIZE);
			if (rmai_space_alloc(sp, size, align, owner(n), &a)) {
				failed++;
				continue;
			}
			size = ALIGN(size, align);
			KUNIT_ASSERT_TRUE(test, IS_ALIGNED(a, align));
			KUNIT_ASSERT_TRUE(test, a >= START && size <= sp->size &&
					  a - START <= sp->size - size);
			used += size;
			for (i = (a - START) / PMD_SIZE; size; i++, size -= PMD_SIZE) {
				KUNIT_ASSERT_EQ(test, 0, map[i]);
				map[i] = n;
			}
		} else {
			u16 victim;

			i = gen_below(&rng, PMDS);
			victim = map[i];
			KUNIT_ASSERT_PTR_EQ(test, victim ? owner(victim) : NULL,
					    rmai_space_lookup(sp, START + i * PMD_SIZE));
			if (!victim)
				continue;
			while (i && map[i - 1] == victim)
				i--;
			rmai_space_free(sp, START + i * PMD_SIZE);
			for (; i < PMDS && map[i] == victim; i++) {
				map[i] = 0;
				used -= PMD_SIZE;
			}
		}
		KUNIT_ASSERT_EQ(test, used, sp->used);
	}
	for (i = 0; i < PMDS; i++)
		KUNIT_EXPECT_PTR_EQ(test, map[i] ? owner(map[i]) : NULL,
				    rmai_space_lookup(sp, START + (i + 1) * PMD_SIZE - 1));
	kunit_info(test, "%lu of %d rounds found the slice full", failed, ROUNDS);
	KUNIT_EXPECT_GT(test, failed, 0);
}

static struct kunit_case space_cases[] = {
	KUNIT_CASE(windows),
	KUNIT_CASE(bad_windows),
	KUNIT_CASE(alloc_and_lookup),
	KUNIT_CASE(bad_requests),
	KUNIT_CASE(alignment),
	KUNIT_CASE(quarantine),
	KUNIT_CASE(quarantine_time),
	KUNIT_CASE(at_random),
	{}
};

static struct kunit_suite space_suite = {
	.name = "rmai_space",
	.init = space_init,
	.exit = space_exit,
	.test_cases = space_cases,
};

kunit_test_suite(space_suite);

MODULE_DESCRIPTION("KUnit test of RMAI's address space");
MODULE_LICENSE("GPL");

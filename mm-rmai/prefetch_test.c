// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what is foretold: runs, the order of the last pass, what followed what, and
 * how much may be on its way.
 */
#include <kunit/test.h>
#include <linux/time64.h>

#include "prefetch.h"

/* A region of 1000 VMRs, with what is here of it */
struct world {
	struct rmai_plan	plan;
	u8			presence[1000];
};

static enum rmai_presence world_presence(const struct rmai_plan *plan, u32 vmr)
{
	return container_of(plan, struct world, plan)->presence[vmr];
}

static struct world *world_make(struct kunit *test, unsigned int ahead)
{
	struct world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	memset(w->presence, RMAI_MISSING, sizeof(w->presence));
	w->plan.vmrs = ARRAY_SIZE(w->presence);
	w->plan.ahead = ahead;
	w->plan.presence = world_presence;
	return w;
}

static void expect_plan(struct kunit *test, struct world *w, enum rmai_foresight by,
			unsigned int nr, const u32 *vmrs)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, w->plan.nr, nr);
	for (i = 0; i < min(nr, w->plan.nr); i++) {
		KUNIT_EXPECT_EQ(test, w->plan.v[i].vmr, vmrs[i]);
		KUNIT_EXPECT_EQ(test, w->plan.v[i].by, by);
	}
	w->plan.nr = 0;
}

#define EXPECT_PLAN(test, w, by, ...)					\
	expect_plan(test, w, by, sizeof((u32[]){ __VA_ARGS__ }) / sizeof(u32),	\
		    (u32[]){ __VA_ARGS__ })

static void plan_adds(struct kunit *test)
{
	struct world *w = world_make(test, 2);

	KUNIT_EXPECT_TRUE(test, rmai_plan_add(&w->plan, 7, RMAI_BY_SEQ));
	KUNIT_EXPECT_TRUE(test, rmai_plan_add(&w->plan, 7, RMAI_BY_NEXT));
	KUNIT_EXPECT_FALSE(test, rmai_plan_add(&w->plan, 8, RMAI_BY_SEQ));
	KUNIT_EXPECT_FALSE(test, rmai_plan_add(&w->plan, 9, RMAI_BY_SEQ));
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 7, 8);
}

/* Runs */

static void runs_touch(struct rmai_runs *runs, const u32 *vmrs, unsigned int nr)
{
	while (nr--)
		rmai_runs_touch(runs, *vmrs++, false);
}

#define RUNS_TOUCH(runs, ...)						\
	runs_touch(runs, (u32[]){ __VA_ARGS__ }, sizeof((u32[]){ __VA_ARGS__ }) / sizeof(u32))

static void runs_sequential(struct kunit *test)
{
	struct world *w = world_make(test, 8);
	struct rmai_runs runs = {};

	RUNS_TOUCH(&runs, 10, 11);
	rmai_runs_plan(&runs, &w->plan);
	KUNIT_EXPECT_EQ(test, w->plan.nr, 0);
	/* Known by the third; foretold twice as far as it was right */
	RUNS_TOUCH(&runs, 12);
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 13, 14);
	/* The same once more changes nothing; one that is left out does not end it */
	RUNS_TOUCH(&runs, 12, 14);
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 15, 16, 17, 18);
	/* What is here is passed over, what is coming counts */
	w->presence[15] = RMAI_HERE;
	w->presence[16] = RMAI_COMING;
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 17, 18, 19);
}

static void runs_strided(struct kunit *test)
{
	struct world *w = world_make(test, 4);
	struct rmai_runs runs = {};

	RUNS_TOUCH(&runs, 100, 107, 114, 121);
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 128, 135, 142, 149);
	memset(&runs, 0, sizeof(runs));
	RUNS_TOUCH(&runs, 21, 14, 7);
	rmai_runs_plan(&runs, &w->plan);
	/* Not before the beginning, nor beyond the end */
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 0);
	memset(&runs, 0, sizeof(runs));
	RUNS_TOUCH(&runs, 995, 996, 997, 998);
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 999);
}

/* Several threads, each with a run of its own */
static void runs_interleaved(struct kunit *test)
{
	struct world *w = world_make(test, 16);
	struct rmai_runs runs = {};
	u32 i;

	for (i = 0; i < 4; i++) {
		rmai_runs_touch(&runs, 100 + i, false);
		rmai_runs_touch(&runs, 300 + 2 * i, false);
		rmai_runs_touch(&runs, 500 - i, false);
	}
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 496, 495, 494, 493, 308, 310, 312, 314,
		    104, 105, 106, 107);
}

/* A thread that comes a little behind begins no run; who comes much later does */
static void runs_behind(struct kunit *test)
{
	struct world *w = world_make(test, 4);
	struct rmai_runs runs = {};
	u32 i, pass;

	RUNS_TOUCH(&runs, 10, 11, 12, 13, 10, 14, 11);
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 15, 16, 17, 18);
	/* The same VMRs in pass after pass: none hides in what the others have left */
	for (pass = 0; pass < 4 * RMAI_RUNS; pass++) {
		for (i = 0; i < 16; i++)
			rmai_runs_touch(&runs, i, false);
		rmai_runs_plan(&runs, &w->plan);
		KUNIT_EXPECT_EQ_MSG(test, w->plan.v[0].vmr, 16, "pass %u", pass);
		w->plan.nr = 0;
		/* Elsewhere, in no order */
		for (i = 0; i < 16; i++)
			rmai_runs_touch(&runs, 500 + i * i * 7 % 401, false);
	}
}

/* A run that nothing follows is not believed for longer */
static void runs_doubted(struct kunit *test)
{
	struct world *w = world_make(test, 4);
	struct rmai_runs runs = {};

	RUNS_TOUCH(&runs, 10, 11, 12, 13);
	rmai_runs_doubt(&runs);
	rmai_runs_plan(&runs, &w->plan);
	KUNIT_EXPECT_EQ(test, w->plan.nr, 0);
	/* Until it goes on */
	RUNS_TOUCH(&runs, 14);
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 15, 16);
}

/* One of some length is known again where it began, whoever goes on with the first */
static void runs_again(struct kunit *test)
{
	struct world *w = world_make(test, 8);
	struct rmai_runs runs = {};
	u32 i;

	for (i = 0; i < 9; i++)
		rmai_runs_touch(&runs, 900 - 7 * i, false);
	RUNS_TOUCH(&runs, 900);
	w->plan.ahead = 2;
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 893, 886);
	RUNS_TOUCH(&runs, 900 - 7 * i);
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 900 - 7 * i - 7, 900 - 7 * i - 14);
	/* Not a short one, nor where it did not begin, nor if all are in doubt */
	memset(&runs, 0, sizeof(runs));
	RUNS_TOUCH(&runs, 10, 11, 12, 13, 14, 15, 16, 10);
	KUNIT_EXPECT_EQ(test, runs.run[1].steps, 0);
	memset(&runs, 0, sizeof(runs));
	for (i = 0; i < 9; i++)
		rmai_runs_touch(&runs, 10 + i, false);
	rmai_runs_touch(&runs, 11, false);
	KUNIT_EXPECT_EQ(test, runs.run[1].steps, 0);
	rmai_runs_doubt(&runs);
	rmai_runs_touch(&runs, 10, false);
	rmai_runs_plan(&runs, &w->plan);
	KUNIT_EXPECT_EQ(test, w->plan.nr, 0);
}

/* MADV_SEQUENTIAL: a run from its first touch on */
static void runs_told(struct kunit *test)
{
	struct world *w = world_make(test, 8);
	struct rmai_runs runs = {};

	rmai_runs_touch(&runs, 10, true);
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 11, 12, 13, 14);
	rmai_runs_touch(&runs, 11, true);
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 12, 13, 14, 15, 16, 17);
	/* It is not so: what is told counts for nothing, what is seen does */
	rmai_runs_doubt(&runs);
	rmai_runs_touch(&runs, 500, true);
	rmai_runs_touch(&runs, 510, true);
	rmai_runs_plan(&runs, &w->plan);
	KUNIT_EXPECT_EQ(test, w->plan.nr, 0);
	rmai_runs_touch(&runs, 520, true);
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 530, 540);
	/* A run went on: there may be others */
	rmai_runs_touch(&runs, 800, true);
	w->plan.ahead = 2;
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 801, 802);
}

/* RMAI_FETCH_LONG: for long, and then not far */
static void runs_long(struct kunit *test)
{
	struct world *w = world_make(test, 8);
	struct rmai_runs runs = {};
	u32 i;

	w->plan.sure = 10;
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_EQ(test, rmai_runs_touch(&runs, 100 + i, false), i);
	rmai_runs_plan(&runs, &w->plan);
	KUNIT_EXPECT_EQ(test, w->plan.nr, 0);
	KUNIT_EXPECT_EQ(test, rmai_runs_touch(&runs, 110, false), 10);
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 111, 112);
	for (; i < 25; i++)
		rmai_runs_touch(&runs, 100 + i, false);
	rmai_runs_plan(&runs, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SEQ, 125, 126, 127, 128, 129, 130);
	/* One is left out: it begins anew */
	KUNIT_EXPECT_EQ(test, rmai_runs_touch(&runs, 126, false), 0);
	rmai_runs_plan(&runs, &w->plan);
	KUNIT_EXPECT_EQ(test, w->plan.nr, 0);
}

static void runs_random(struct kunit *test)
{
	struct world *w = world_make(test, 16);
	struct rmai_runs runs = {};
	u64 rng = 1;
	u32 i, planned = 0;

	for (i = 0; i < 1000; i++) {
		rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
		rmai_runs_touch(&runs, (rng >> 33) % 1000, false);
		rmai_runs_plan(&runs, &w->plan);
		planned += w->plan.nr;
		w->plan.nr = 0;
	}
	/* Far less than one for a touch would be, and would be cancelled */
	KUNIT_EXPECT_LT(test, planned, 2000);
}

/* Pace */

static void pace(struct kunit *test)
{
	struct rmai_pace pace = {};
	u64 now = 1000, i;

	KUNIT_EXPECT_EQ(test, rmai_pace_depth(&pace, 1 << 20), 2);
	/* 1 MiB takes 10 ms, however many are on their way: 100 MiB/s for each */
	for (i = 0; i < 100; i++) {
		unsigned int depth = rmai_pace_depth(&pace, 1 << 20), n;

		for (n = 0; n < min(depth, 5); n++)
			rmai_pace_begin(&pace, now);
		now += 10 * NSEC_PER_MSEC;
		while (n--)
			rmai_pace_end(&pace, now, 10 * NSEC_PER_MSEC, 1 << 20);
	}
	/* Five is all that the way takes: it settles at twice that, and two */
	KUNIT_EXPECT_EQ(test, rmai_pace_depth(&pace, 1 << 20), 12);
	KUNIT_EXPECT_EQ(test, pace.in_flight, 0);
	/* One at a time is all that it takes now: forgotten after a while */
	for (i = 0; i < 100; i++) {
		rmai_pace_begin(&pace, now);
		now += 10 * NSEC_PER_MSEC;
		rmai_pace_end(&pace, now, 10 * NSEC_PER_MSEC, 1 << 20);
	}
	KUNIT_EXPECT_EQ(test, rmai_pace_depth(&pace, 1 << 20), 4);
	/* Failures tell nothing; there is a most */
	rmai_pace_begin(&pace, now);
	rmai_pace_end(&pace, now + 1, 1, 0);
	KUNIT_EXPECT_EQ(test, rmai_pace_depth(&pace, 1 << 20), 4);
	KUNIT_EXPECT_EQ(test, rmai_pace_depth(&pace, 4096), RMAI_PLAN_MAX);
}

/* Order */

static struct rmai_order *order_make(struct kunit *test, u32 vmrs)
{
	struct rmai_order *order = rmai_order_alloc(vmrs);

	KUNIT_ASSERT_NOT_NULL(test, order);
	return order;
}

static void order_bounds(struct kunit *test)
{
	KUNIT_EXPECT_NULL(test, rmai_order_alloc(0));
	KUNIT_EXPECT_NULL(test, rmai_order_alloc(RMAI_ORDER_MAX + 1));
	rmai_order_free(NULL);
}

/* A pass in some order, and again; the nth VMR of it is n * 7 modulo 100 */
static void order_replays(struct kunit *test)
{
	struct rmai_order *order = order_make(test, 1000);
	struct world *w = world_make(test, 4);
	u32 i;

	for (i = 0; i < 100; i++) {
		rmai_order_touch(order, i * 7 % 100, &w->plan);
		/* Nothing is known in the first pass */
		rmai_order_plan(order, &w->plan);
		KUNIT_EXPECT_EQ(test, w->plan.nr, 0);
	}
	/* Where the first began the second does */
	KUNIT_EXPECT_TRUE(test, rmai_order_touch(order, 0, &w->plan));
	rmai_order_plan(order, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SCHEDULE, 7, 14, 21, 28);
	KUNIT_EXPECT_TRUE(test, rmai_order_touch(order, 7, &w->plan));
	rmai_order_plan(order, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SCHEDULE, 14, 21, 28, 35);
	/* What stayed is not touched: that is no reason to lose it */
	w->presence[14] = RMAI_HERE;
	w->presence[21] = RMAI_HERE;
	KUNIT_EXPECT_TRUE(test, rmai_order_touch(order, 28, &w->plan));
	w->presence[35] = RMAI_COMING;
	rmai_order_plan(order, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SCHEDULE, 42, 49, 56);
	/* From the end of a pass to the beginning of the next */
	for (i = 5; i < 100; i++)
		KUNIT_EXPECT_TRUE(test, rmai_order_touch(order, i * 7 % 100, &w->plan));
	rmai_order_plan(order, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SCHEDULE, 0, 7, 28);
	rmai_order_free(order);
}

/* A few new ones between two touches of one VMR are no pass */
static void order_no_pass(struct kunit *test)
{
	struct rmai_order *order = order_make(test, 1000);
	struct world *w = world_make(test, 4);
	u32 i, n;

	for (i = 0, n = 1; i < 20; i++) {
		KUNIT_EXPECT_TRUE(test, rmai_order_touch(order, n++, &w->plan));
		KUNIT_EXPECT_TRUE(test, rmai_order_touch(order, n++, &w->plan));
		rmai_order_touch(order, 0, &w->plan);
		rmai_order_plan(order, &w->plan);
		KUNIT_EXPECT_EQ(test, w->plan.nr, 0);
	}
	rmai_order_free(order);
}

/* Another order than the last time: nothing is foretold until it has been seen */
static void order_changes(struct kunit *test)
{
	struct rmai_order *order = order_make(test, 1000);
	struct world *w = world_make(test, 4);
	unsigned int wrong = 0, planned = 0;
	u32 i;

	for (i = 0; i < 500; i++)
		rmai_order_touch(order, i, &w->plan);
	for (i = 0; i < 500; i++) {
		wrong += !rmai_order_touch(order, i * 181 % 500, &w->plan);
		rmai_order_plan(order, &w->plan);
		planned += w->plan.nr;
		w->plan.nr = 0;
	}
	KUNIT_EXPECT_GT(test, wrong, 400);
	KUNIT_EXPECT_LT(test, planned, 50);
	/* After one more pass it is known */
	for (i = 0; i < 500; i++)
		rmai_order_touch(order, i * 181 % 500, &w->plan);
	wrong = 0;
	for (i = 0; i < 500; i++)
		wrong += !rmai_order_touch(order, i * 181 % 500, &w->plan);
	KUNIT_EXPECT_LT(test, wrong, 10);
	rmai_order_free(order);
}

/* One jump does not spoil it */
static void order_jump(struct kunit *test)
{
	struct rmai_order *order = order_make(test, 1000);
	struct world *w = world_make(test, 3);
	u32 i;

	for (i = 0; i < 600; i++)
		rmai_order_touch(order, i, &w->plan);
	for (i = 0; i < 10; i++)
		rmai_order_touch(order, i, &w->plan);
	KUNIT_EXPECT_FALSE(test, rmai_order_touch(order, 300, &w->plan));
	rmai_order_plan(order, &w->plan);
	KUNIT_EXPECT_EQ(test, w->plan.nr, 0);
	rmai_order_touch(order, 301, &w->plan);
	rmai_order_touch(order, 302, &w->plan);
	rmai_order_plan(order, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SCHEDULE, 303, 304, 305);
	/* A thread that is behind is no jump, and what is out of range nothing at all */
	KUNIT_EXPECT_TRUE(test, rmai_order_touch(order, 300, &w->plan));
	KUNIT_EXPECT_TRUE(test, rmai_order_touch(order, 1000, &w->plan));
	rmai_order_plan(order, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_SCHEDULE, 303, 304, 305);
	rmai_order_free(order);
}

/* What followed what */

/* A group of three VMRs from @head on */
static void next_group(struct rmai_next *next, u32 head)
{
	u32 i;

	for (i = 0; i < 3; i++)
		rmai_next_touch(next, head + i);
}

static void next_follows(struct kunit *test)
{
	struct rmai_next *next = rmai_next_alloc();
	struct world *w = world_make(test, 16);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, next);
	rmai_next_plan(next, &w->plan);
	KUNIT_EXPECT_EQ(test, w->plan.nr, 0);
	/* 100 is followed by 200 or by 300 in turn, these by 400, and that by 100 */
	for (i = 0; i < 8; i++) {
		next_group(next, 100);
		next_group(next, i % 2 ? 200 : 300);
		next_group(next, 400);
	}
	rmai_next_touch(next, 100);
	rmai_next_plan(next, &w->plan);
	/* First the rest of this one */
	EXPECT_PLAN(test, w, RMAI_BY_NEXT, 101, 102, 300, 301, 302, 200, 201, 202,
		    400, 401, 402, 100);
	rmai_next_touch(next, 101);
	rmai_next_touch(next, 101);
	rmai_next_touch(next, 102);
	w->presence[300] = RMAI_HERE;
	w->presence[201] = RMAI_COMING;
	w->plan.ahead = 4;
	rmai_next_plan(next, &w->plan);
	EXPECT_PLAN(test, w, RMAI_BY_NEXT, 301, 302, 200, 202);
	rmai_next_free(next);
}

/* Many more groups than there is room for, in no order: nothing is foretold */
static void next_bounded(struct kunit *test)
{
	struct rmai_next *next = rmai_next_alloc();
	struct world *w = world_make(test, 16);
	unsigned int planned = 0;
	u64 rng = 1;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, next);
	for (i = 0; i < 20000; i++) {
		rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
		rmai_next_touch(next, (rng >> 33) % 1000000);
		rmai_next_plan(next, &w->plan);
		planned += w->plan.nr;
		w->plan.nr = 0;
	}
	KUNIT_EXPECT_LT(test, planned, 100);
	/* What comes often then finds its place */
	for (i = 0; i < 10; i++) {
		rmai_next_touch(next, 5);
		rmai_next_touch(next, 700);
	}
	rmai_next_touch(next, 5);
	rmai_next_plan(next, &w->plan);
	KUNIT_EXPECT_GT(test, w->plan.nr, 0);
	KUNIT_EXPECT_EQ(test, w->plan.v[0].vmr, 700);
	rmai_next_free(next);
}

static struct kunit_case prefetch_cases[] = {
	KUNIT_CASE(plan_adds),
	KUNIT_CASE(runs_sequential),
	KUNIT_CASE(runs_strided),
	KUNIT_CASE(runs_interleaved),
	KUNIT_CASE(runs_behind),
	KUNIT_CASE(runs_doubted),
	KUNIT_CASE(runs_again),
	KUNIT_CASE(runs_told),
	KUNIT_CASE(runs_long),
	KUNIT_CASE(runs_random),
	KUNIT_CASE(pace),
	KUNIT_CASE(order_bounds),
	KUNIT_CASE(order_replays),
	KUNIT_CASE(order_no_pass),
	KUNIT_CASE(order_changes),
	KUNIT_CASE(order_jump),
	KUNIT_CASE(next_follows),
	KUNIT_CASE(next_bounded),
	{}
};

static struct kunit_suite prefetch_suite = {
	.name		= "rmai_prefetch",
	.test_cases	= prefetch_cases,
};

kunit_test_suite(prefetch_suite);

MODULE_DESCRIPTION("KUnit tests of RMAI's prefetching");
MODULE_LICENSE("GPL");

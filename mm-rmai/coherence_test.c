// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit test of the coherence protocol's transitions: what must hold of every one,
 * for all states and events that there are with three nodes, and some by name.
 */
#include <kunit/test.h>
#include <linux/module.h>

#include "coherence.h"
#include "directory.h"

#define NODES	3
#define EPOCH	7
#define SEQ	100

static u64 bit_of(u16 node)
{
	return 1ULL << (node - 1);
}

/* The n-th of all entries there can be; false: there are no more */
static bool line_of(int n, struct rmai_dir_line *line)
{
	*line = (struct rmai_dir_line){};
	if (n < 1 << NODES) {
		line->state = n ? RMAI_DIR_SHARED : RMAI_DIR_UNUSED;
		line->sharers = n;
		return true;
	}
	n -= 1 << NODES;
	line->state = n < NODES ? RMAI_DIR_EXCLUSIVE : RMAI_DIR_POISONED;
	line->owner = 1 + n % NODES;
	line->owner_epoch = EPOCH;
	line->owner_seq = SEQ;
	return n < 2 * NODES;
}

/* Nodes that may have the VMR when the plan has been carried out */
static u64 left(const struct rmai_dir_line *line, const struct rmai_dir_plan *plan)
{
	u64 had = line->state == RMAI_DIR_SHARED ? line->sharers :
		  line->state == RMAI_DIR_EXCLUSIVE ? bit_of(line->owner) : 0;

	had &= ~plan->inv;
	if (plan->recall && plan->drop)
		had &= ~bit_of(plan->recall);
	return had;
}

static bool is_get(enum rmai_dir_event event)
{
	return event == RMAI_DIR_GET_S || event == RMAI_DIR_GET_X;
}

static void check_plan(struct kunit *test, const struct rmai_dir_line *line,
		       enum rmai_dir_event event, u16 node,
		       const struct rmai_dir_plan *plan)
{
	u64 may = left(line, plan), granted = is_get(event) ? bit_of(node) : 0;

	/* Only what was lost is refused, and that is not forgotten but on request */
	KUNIT_EXPECT_EQ(test, !!plan->err, line->state == RMAI_DIR_POISONED &&
			event != RMAI_DIR_RESET);
	if (plan->err) {
		KUNIT_EXPECT_MEMEQ(test, line, &plan->next, sizeof(*line));
		KUNIT_EXPECT_EQ(test, 0, plan->inv);
		KUNIT_EXPECT_EQ(test, 0, plan->recall);
		return;
	}
	switch (plan->next.state) {
	case RMAI_DIR_UNUSED:
		KUNIT_EXPECT_EQ(test, 0, may | granted);
		break;
	case RMAI_DIR_SHARED:
		/* The set has all that may have it, and nobody writes */
		KUNIT_EXPECT_EQ(test, 0, (may | granted) & ~plan->next.sharers);
		KUNIT_EXPECT_NE(test, 0, plan->next.sharers);
		if (line->state == RMAI_DIR_EXCLUSIVE && line->owner != node)
			KUNIT_EXPECT_EQ(test, line->owner, plan->recall);
		break;
	case RMAI_DIR_EXCLUSIVE:
		/* Nobody but the writer has it */
		KUNIT_EXPECT_EQ(test, 0, (may | granted) &
				~bit_of(plan->next.owner));
		break;
	default:
		KUNIT_FAIL(test, "state %d", plan->next.state);
	}
	/* Nobody loses what it wrote, but by a cut or because it never had it */
	if (line->state == RMAI_DIR_EXCLUSIVE && event != RMAI_DIR_RESET &&
	    line->owner != node)
		KUNIT_EXPECT_TRUE(test, plan->recall == line->owner ||
				  plan->next.state == RMAI_DIR_EXCLUSIVE);
	if (event == RMAI_DIR_HOME_WRITE)
		KUNIT_EXPECT_EQ(test, RMAI_DIR_UNUSED, plan->next.state);
	if (event == RMAI_DIR_HOME_READ)
		KUNIT_EXPECT_TRUE(test, rmai_dir_home_reads(plan->next.state));
	/* Who asks is not told to drop what it is being granted */
	if (is_get(event))
		KUNIT_EXPECT_EQ(test, 0, plan->inv & bit_of(node));
	if (plan->keep)
		KUNIT_EXPECT_MEMEQ(test, line, &plan->next, sizeof(*line));
	/* No owner's grant gets another number behind its back */
	if (line->state == RMAI_DIR_EXCLUSIVE && plan->next.state == RMAI_DIR_EXCLUSIVE &&
	    plan->next.owner == line->owner && node != line->owner)
		KUNIT_EXPECT_TRUE(test, plan->same);
	if (plan->same) {
		KUNIT_EXPECT_MEMEQ(test, line, &plan->next, sizeof(*line));
		KUNIT_EXPECT_EQ(test, 0, plan->inv | plan->recall | granted);
	}
}

static void all_plans(struct kunit *test)
{
	static const u64 held[] = { 0, SEQ - 1, SEQ };
	struct rmai_dir_plan plan;
	struct rmai_dir_line line;
	int n, event, node, i;

	for (n = 0; line_of(n, &line); n++) {
		for (event = 0; event <= RMAI_DIR_RESET; event++) {
			for (node = 1; node <= NODES; node++) {
				/* What the home wants is for nobody else */
				bool home = event >= RMAI_DIR_HOME_READ;

				for (i = 0; i < ARRAY_SIZE(held); i++) {
					plan = rmai_dir_plan(&line, event,
							     home ? 0 : node, EPOCH,
							     held[i]);
					check_plan(test, &line, event,
						   home ? 0 : node, &plan);
				}
			}
		}
	}
}

static void by_name(struct kunit *test)
{
	struct rmai_dir_line line = { .state = RMAI_DIR_SHARED, .sharers = 7 };
	struct rmai_dir_plan plan;

	/* An upgrade: the two others are told, what it has stays */
	plan = rmai_dir_plan(&line, RMAI_DIR_GET_X, 2, EPOCH, 5);
	KUNIT_EXPECT_EQ(test, 5, plan.inv);
	KUNIT_EXPECT_TRUE(test, plan.have);
	KUNIT_EXPECT_FALSE(test, plan.keep);
	/* One that was told to drop it meanwhile does not have it */
	line.sharers = 5;
	plan = rmai_dir_plan(&line, RMAI_DIR_GET_X, 2, EPOCH, 5);
	KUNIT_EXPECT_FALSE(test, plan.have);
	/* A writer goes on if it has it under that very grant, and not otherwise */
	line_of((1 << NODES) + 1, &line);
	plan = rmai_dir_plan(&line, RMAI_DIR_GET_X, 2, EPOCH, SEQ);
	KUNIT_EXPECT_TRUE(test, plan.have && plan.keep);
	plan = rmai_dir_plan(&line, RMAI_DIR_GET_X, 2, EPOCH, SEQ - 1);
	KUNIT_EXPECT_FALSE(test, plan.have || plan.keep);
	/* To read, it goes on reading; to write, it drops it */
	plan = rmai_dir_plan(&line, RMAI_DIR_GET_S, 1, EPOCH, 0);
	KUNIT_EXPECT_EQ(test, 2, plan.recall);
	KUNIT_EXPECT_FALSE(test, plan.drop);
	KUNIT_EXPECT_EQ(test, 3, plan.next.sharers);
	plan = rmai_dir_plan(&line, RMAI_DIR_GET_X, 1, EPOCH, 0);
	KUNIT_EXPECT_TRUE(test, plan.recall == 2 && plan.drop);
	/* PUT of what it no longer has changes nothing */
	plan = rmai_dir_plan(&line, RMAI_DIR_PUT_DROP, 3, EPOCH, 0);
	KUNIT_EXPECT_MEMEQ(test, &line, &plan.next, sizeof(line));
	KUNIT_EXPECT_EQ(test, 0, plan.recall);
	/* Not even the number of the grant, which its owner has to be asked with */
	KUNIT_EXPECT_TRUE(test, plan.same);
	plan = rmai_dir_plan(&line, RMAI_DIR_PUT, 3, EPOCH, 0);
	KUNIT_EXPECT_TRUE(test, plan.same);
	plan = rmai_dir_plan(&line, RMAI_DIR_PUT, 2, EPOCH, 0);
	KUNIT_EXPECT_FALSE(test, plan.same);
}

static void replicas(struct kunit *test)
{
	enum rmai_replica_state s;

	for (s = RMAI_REPLICA_I; s <= RMAI_REPLICA_WRITEBACK; s++) {
		enum rmai_replica_state to = rmai_replica_told(s, true);

		/* Asking gives no right, and takes none from a writer */
		KUNIT_EXPECT_EQ(test, rmai_replica_writes(s),
				rmai_replica_writes(rmai_replica_asks(s, true)));
		KUNIT_EXPECT_EQ(test, rmai_replica_writes(s),
				rmai_replica_writes(rmai_replica_asks(s, false)));
		/* Nobody who was told writes on */
		KUNIT_EXPECT_FALSE(test, rmai_replica_writes(to));
		KUNIT_EXPECT_FALSE(test, rmai_replica_writes(rmai_replica_told(s, false)));
		/* What was written is written back before it goes */
		if (s == RMAI_REPLICA_X)
			KUNIT_EXPECT_EQ(test, RMAI_REPLICA_WRITEBACK, to);
		KUNIT_EXPECT_STRNEQ(test, "?", rmai_replica_state_name(s));
	}
	KUNIT_EXPECT_EQ(test, RMAI_REPLICA_I, rmai_replica_told(RMAI_REPLICA_S, true));
	KUNIT_EXPECT_EQ(test, RMAI_REPLICA_S, rmai_replica_told(RMAI_REPLICA_S, false));
	KUNIT_EXPECT_STREQ(test, "POISONED", rmai_dir_state_name(RMAI_DIR_POISONED));
}

static void hold(struct kunit *test)
{
	struct rmai_hold hold = {};
	u64 left;

	/* Nobody waits for it */
	rmai_hold_renew(&hold);
	KUNIT_EXPECT_EQ(test, 0, rmai_hold_left_ns(&hold));
	rmai_hold_begin(&hold, true);
	left = rmai_hold_left_ns(&hold);
	KUNIT_EXPECT_GT(test, left, 0);
	/* Who waited does not come: in vain; but not while it is still on its way */
	hold.granted_ns -= left;
	KUNIT_EXPECT_EQ(test, 0, rmai_hold_left_ns(&hold));
	rmai_hold_renew(&hold);
	KUNIT_EXPECT_GT(test, rmai_hold_left_ns(&hold), 0);
	/* The use is what counts, once there was one */
	rmai_hold_use(&hold);
	hold.used_ns -= rmai_hold_left_ns(&hold);
	KUNIT_EXPECT_EQ(test, 0, rmai_hold_left_ns(&hold));
	rmai_hold_renew(&hold);
	KUNIT_EXPECT_EQ(test, 0, rmai_hold_left_ns(&hold));
}

static struct kunit_case coherence_cases[] = {
	KUNIT_CASE(all_plans),
	KUNIT_CASE(by_name),
	KUNIT_CASE(replicas),
	KUNIT_CASE(hold),
	{}
};

static struct kunit_suite coherence_suite = {
	.name = "rmai_coherence",
	.test_cases = coherence_cases,
};

kunit_test_suite(coherence_suite);

MODULE_DESCRIPTION("KUnit test of RMAI's coherence protocol");
MODULE_LICENSE("GPL");

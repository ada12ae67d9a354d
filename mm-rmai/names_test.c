// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit test of names whose regions go with their owners while somebody publishes.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "internal.h"

#define SELF	1
#define OTHER	2
#define ID(node, nr) ((u64)(node) << 56 | (nr))

/* Node 1 of two, with a name "a" that it keeps; it stands for region 1 of @owner */
struct names {
	struct rmai_cluster	*rc;
	struct rmai_msg_publish	*p;
};

static void names_exit(void *rc)
{
	rmai_names_destroy(rc);
}

static struct names names_init(struct kunit *test, u16 owner)
{
	struct rmai_cluster *rc = kunit_kzalloc(test, sizeof(*rc), GFP_KERNEL);
	struct rmai_msg_name *nm = kunit_kzalloc(test, sizeof(*nm), GFP_KERNEL);
	struct names n = { .rc = rc };
	struct rmai_msg_id old;

	n.p = kunit_kzalloc(test, sizeof(*n.p), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, rc);
	KUNIT_ASSERT_NOT_NULL(test, nm);
	KUNIT_ASSERT_NOT_NULL(test, n.p);
	rc->self = SELF;
	rc->cfg.nodes[SELF - 1].role = RMAI_ROLE_MEMORY;
	rc->cfg.nodes[OTHER - 1].role = RMAI_ROLE_MEMORY;
	mutex_init(&rc->names_lock);
	init_waitqueue_head(&rc->names_wait);
	hash_init(rc->names);
	xa_init_flags(&rc->names_by_cookie, XA_FLAGS_ALLOC1);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, names_exit, rc));
	nm->len = 1;
	for (nm->name[0] = 'a'; rmai_name_node(rc, nm->name, 1) != SELF; nm->name[0]++)
		KUNIT_ASSERT_LT(test, nm->name[0], 'z');
	KUNIT_ASSERT_EQ(test, 0, rmai_names_add(rc, nm, ID(owner, 1), 10, true, &old));
	n.p->len = 1;
	n.p->name[0] = nm->name[0];
	n.p->old = ID(owner, 1);
	n.p->owner_epoch = 10;
	return n;
}

/* The region that the name stands for, or 0 */
static u64 name_is(struct kunit *test, struct names n)
{
	struct rmai_msg_name *nm = kunit_kzalloc(test, sizeof(*nm), GFP_KERNEL);
	struct rmai_msg_id id;

	KUNIT_ASSERT_NOT_NULL(test, nm);
	nm->len = 1;
	nm->name[0] = n.p->name[0];
	return rmai_names_lookup(n.rc, nm, &id) ? 0 : id.id;
}

static void not_claimed(struct kunit *test)
{
	struct names n = names_init(test, OTHER);

	rmai_names_purge(n.rc, SELF, 11);
	rmai_names_purge(n.rc, OTHER, 10);
	KUNIT_EXPECT_EQ(test, ID(OTHER, 1), name_is(test, n));
	rmai_names_purge(n.rc, OTHER, 11);
	KUNIT_EXPECT_EQ(test, 0, name_is(test, n));
}

/* @owner of the old region, and who reboots while it is claimed for one of node 1 */
static u64 settled(struct kunit *test, u16 owner, u16 reboots, bool take)
{
	struct names n = names_init(test, owner);

	n.p->id = ID(SELF, 2);
	KUNIT_ASSERT_EQ(test, 0, rmai_names_claim(n.rc, n.p));
	KUNIT_EXPECT_EQ(test, -EAGAIN, rmai_names_claim(n.rc, n.p));
	rmai_names_purge(n.rc, reboots, 11);
	KUNIT_EXPECT_EQ(test, n.p->old, name_is(test, n));
	rmai_names_settle(n.rc, n.p, take);
	return name_is(test, n);
}

static void claimed(struct kunit *test)
{
	/* The old one's owner: only the new one is good */
	KUNIT_EXPECT_EQ(test, 0, settled(test, OTHER, OTHER, false));
	KUNIT_EXPECT_EQ(test, ID(SELF, 2), settled(test, OTHER, OTHER, true));
	/* The new one's */
	KUNIT_EXPECT_EQ(test, ID(OTHER, 1), settled(test, OTHER, SELF, false));
	KUNIT_EXPECT_EQ(test, 0, settled(test, OTHER, SELF, true));
	/* That of both */
	KUNIT_EXPECT_EQ(test, 0, settled(test, SELF, SELF, false));
	KUNIT_EXPECT_EQ(test, 0, settled(test, SELF, SELF, true));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(not_claimed),
	KUNIT_CASE(claimed),
	{}
};

static struct kunit_suite suite = {
	.name = "rmai_names",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("KUnit test of RMAI's names");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * The order in which a region's VMRs were touched: recorded and replayed. Pure logic; the
 * caller has a lock.
 *
 * It is kept as a circle, so that the end of a pass leads to its beginning, and that
 * which stayed in memory, and so is not noticed when it is used again, keeps its place. A
 * touch of one of the next that are not here goes on from there. One somewhere else is a
 * jump; after two of them in a row the order is no longer what it was: what is touched
 * then moves behind what was touched before it. Who has touched many VMRs for the first
 * time, and then where the circle began, is on the second pass: that is foretold at once.
 */
#include <linux/kernel.h>
#include <linux/slab.h>

#include "prefetch.h"

#define RMAI_TRUST_MAX	RMAI_PLAN_MAX
#define RMAI_TRUST_LEAST	2	/* from there on something is foretold */
#define RMAI_ORDER_SLIP	4	/* places by which threads may be out of step */
#define RMAI_ORDER_PASS	8	/* new VMRs in turn that make a pass */

/**
 * rmai_order_alloc() - an empty one
 * @vmrs: how many the region has
 *
 * Context: may sleep.
 * Return: to be freed with rmai_order_free(); NULL: no memory, or too many.
 */
struct rmai_order *rmai_order_alloc(u32 vmrs)
{
	struct rmai_order *order;

	if (!vmrs || vmrs > RMAI_ORDER_MAX)
		return NULL;
	order = kzalloc(sizeof(*order), GFP_KERNEL);
	if (!order)
		return NULL;
	order->vmrs = vmrs;
	order->at = RMAI_NO_VMR;
	order->next = kvmalloc_array(vmrs, 2 * sizeof(*order->next), GFP_KERNEL);
	if (!order->next) {
		kfree(order);
		return NULL;
	}
	memset(order->next, 0xff, vmrs * 2 * sizeof(*order->next));
	order->prev = order->next + vmrs;
	return order;
}

/**
 * rmai_order_free() - done with it
 * @order: order, or NULL
 */
void rmai_order_free(struct rmai_order *order)
{
	if (!order)
		return;
	kvfree(order->next);
	kfree(order);
}

static void rmai_order_insert(struct rmai_order *order, u32 vmr)
{
	u32 at = order->at;

	order->next[vmr] = order->next[at];
	order->prev[vmr] = at;
	order->prev[order->next[at]] = vmr;
	order->next[at] = vmr;
}

static void rmai_order_remove(struct rmai_order *order, u32 vmr)
{
	order->next[order->prev[vmr]] = order->next[vmr];
	order->prev[order->next[vmr]] = order->prev[vmr];
}

/* Is @vmr one of the next? No more than a few that are not here may have been left out */
static bool rmai_order_ahead(const struct rmai_order *order, u32 vmr,
			     const struct rmai_plan *plan)
{
	unsigned int i, missing = 0;
	u32 next = order->at;

	for (i = 0; i < RMAI_ORDER_NEAR && missing <= RMAI_ORDER_SLIP; i++) {
		next = order->next[next];
		if (next == vmr)
			return true;
		missing += plan->presence(plan, next) != RMAI_HERE;
	}
	return false;
}

/* Was it one of the last? Then it is of a thread that comes behind */
static bool rmai_order_behind(const struct rmai_order *order, u32 vmr)
{
	u32 prev = order->at;
	unsigned int i;

	for (i = 0; i < RMAI_ORDER_SLIP; i++) {
		prev = order->prev[prev];
		if (prev == vmr)
			return true;
	}
	return false;
}

/**
 * rmai_order_touch() - a VMR was touched
 * @order: order
 * @vmr: index
 * @plan: tells what is here
 *
 * Return: false when another one was to come, so that what was foretold is wrong.
 */
bool rmai_order_touch(struct rmai_order *order, u32 vmr, const struct rmai_plan *plan)
{
	bool again;

	if (vmr >= order->vmrs || vmr == order->at)
		return true;
	if (order->at == RMAI_NO_VMR) {
		order->next[vmr] = vmr;
		order->prev[vmr] = vmr;
		order->at = vmr;
		return true;
	}
	if (order->next[vmr] == RMAI_NO_VMR) {
		rmai_order_insert(order, vmr);
		order->at = vmr;
		order->trust /= 2;
		order->news = min(order->news + 1, RMAI_ORDER_PASS);
		return true;
	}
	again = order->news == RMAI_ORDER_PASS && order->next[order->at] == vmr;
	order->news = 0;
	if (rmai_order_ahead(order, vmr, plan)) {
		order->at = vmr;
		order->trust = again ? max(order->trust, RMAI_TRUST_LEAST) :
				       min(order->trust + 1, RMAI_TRUST_MAX);
		return true;
	}
	if (order->trust && rmai_order_behind(order, vmr))
		return true;
	if (!order->trust) {
		rmai_order_remove(order, vmr);
		rmai_order_insert(order, vmr);
	}
	order->at = vmr;
	order->trust = 0;
	return false;
}

/**
 * rmai_order_plan() - what comes next
 * @order: order
 * @plan: gets it
 */
void rmai_order_plan(const struct rmai_order *order, struct rmai_plan *plan)
{
	unsigned int ahead = min(plan->ahead, 2 * order->trust);
	unsigned int looks = ahead + 2 * RMAI_ORDER_NEAR;
	u32 vmr = order->at;

	if (order->trust < RMAI_TRUST_LEAST)
		return;
	while (ahead && looks--) {
		vmr = order->next[vmr];
		if (vmr == order->at ||
		    !rmai_plan_next(plan, vmr, RMAI_BY_SCHEDULE, &ahead))
			break;
	}
}

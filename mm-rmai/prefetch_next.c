// SPDX-License-Identifier: GPL-2.0
/*
 * What followed what: groups of neighbouring VMRs that are touched one after the other,
 * such as the tensors of an expert, and the groups that followed each. Pure logic; the
 * caller has a lock.
 *
 * The table does not grow: in each of its sets the group that was used least of late makes
 * room. Of the followers of a group the rarest one does.
 */
#include <linux/hash.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/slab.h>

#include "prefetch.h"

#define RMAI_GROUP_SETS		(RMAI_GROUPS / RMAI_GROUP_WAYS)
#define RMAI_COUNT_MAX		255
#define RMAI_NEXT_DEEP		3	/* groups foretold one after the other */

/**
 * rmai_next_alloc() - an empty table
 *
 * Context: may sleep.
 * Return: to be freed with rmai_next_free(); NULL: no memory.
 */
struct rmai_next *rmai_next_alloc(void)
{
	struct rmai_next *next = kvzalloc(sizeof(*next), GFP_KERNEL);
	unsigned int i;

	if (!next)
		return NULL;
	next->head = RMAI_NO_VMR;
	for (i = 0; i < RMAI_GROUPS; i++)
		next->groups[i].head = RMAI_NO_VMR;
	return next;
}

/**
 * rmai_next_free() - done with it
 * @next: table, or NULL
 */
void rmai_next_free(struct rmai_next *next)
{
	kvfree(next);
}

static unsigned int rmai_group_set(u32 head)
{
	return hash_32(head, ilog2(RMAI_GROUP_SETS)) * RMAI_GROUP_WAYS;
}

static const struct rmai_group *rmai_group_find(const struct rmai_next *next, u32 head)
{
	unsigned int i, set = rmai_group_set(head);

	for (i = set; i < set + RMAI_GROUP_WAYS; i++)
		if (next->groups[i].head == head)
			return &next->groups[i];
	return NULL;
}

/* Find it, or put it in the place of the one that was used least of late */
static struct rmai_group *rmai_group_get(struct rmai_next *next, u32 head)
{
	unsigned int i, set = rmai_group_set(head);
	struct rmai_group *g = &next->groups[set];

	for (i = set; i < set + RMAI_GROUP_WAYS; i++) {
		if (next->groups[i].head == head)
			return &next->groups[i];
		if (next->groups[i].used < g->used)
			g = &next->groups[i];
	}
	memset(g, 0, sizeof(*g));
	g->head = head;
	g->len = 1;
	return g;
}

static void rmai_group_follow(struct rmai_group *g, u32 head)
{
	unsigned int i, least = 0;

	for (i = 0; i < RMAI_FOLLOWERS; i++) {
		if (g->next[i].count && g->next[i].head == head)
			break;
		if (g->next[i].count < g->next[least].count)
			least = i;
	}
	if (i < RMAI_FOLLOWERS) {
		if (++g->next[i].count < RMAI_COUNT_MAX)
			return;
		for (i = 0; i < RMAI_FOLLOWERS; i++)
			g->next[i].count /= 2;
		return;
	}
	/* One that came once does not push out one that comes often, but wears it down */
	if (g->next[least].count > 1) {
		g->next[least].count--;
		return;
	}
	g->next[least].head = head;
	g->next[least].count = 1;
}

/**
 * rmai_next_touch() - a VMR was touched
 * @next: table
 * @vmr: index
 */
void rmai_next_touch(struct rmai_next *next, u32 vmr)
{
	struct rmai_group *g;

	if (next->head != RMAI_NO_VMR && vmr >= next->head && vmr - next->head <= next->len) {
		if (vmr - next->head < next->len)
			return;		/* once more */
		if (next->len < RMAI_GROUP_MAX) {
			next->len++;
			return;
		}
	}
	next->clock++;
	if (next->head != RMAI_NO_VMR) {
		g = rmai_group_get(next, next->head);
		g->len = next->len;
		g->used = next->clock;
		rmai_group_follow(g, vmr);
	}
	next->head = vmr;
	next->len = 1;
}

/* A group's VMRs from @from on; false: no more room */
static bool rmai_group_plan(u32 head, u32 from, u32 len, struct rmai_plan *plan)
{
	for (; from < len && head + from < plan->vmrs; from++)
		if (plan->presence(plan, head + from) == RMAI_MISSING &&
		    !rmai_plan_add(plan, head + from, RMAI_BY_NEXT))
			return false;
	return true;
}

/**
 * rmai_next_plan() - what comes next
 * @next: table
 * @plan: gets it: the rest of this group, those that followed it at least twice and in one
 *	of four cases, and those that followed the one that did most often
 */
void rmai_next_plan(const struct rmai_next *next, struct rmai_plan *plan)
{
	const struct rmai_group *g;
	unsigned int deep, i, sum;
	u32 at = next->head;

	if (at == RMAI_NO_VMR)
		return;
	g = rmai_group_find(next, at);
	if (g && !rmai_group_plan(at, next->len, g->len, plan))
		return;
	for (deep = 0; g && deep < RMAI_NEXT_DEEP; deep++) {
		const struct rmai_group *f;
		unsigned int best = 0;

		sum = 0;
		for (i = 0; i < RMAI_FOLLOWERS; i++) {
			sum += g->next[i].count;
			if (g->next[i].count > g->next[best].count)
				best = i;
		}
		if (g->next[best].count < 2)
			return;
		for (i = 0; i < RMAI_FOLLOWERS; i++) {
			if (g->next[i].count < 2 || g->next[i].count * 4 < sum)
				continue;
			f = rmai_group_find(next, g->next[i].head);
			if (!rmai_group_plan(g->next[i].head, 0, f ? f->len : 1, plan))
				return;
		}
		g = rmai_group_find(next, g->next[best].head);
	}
}

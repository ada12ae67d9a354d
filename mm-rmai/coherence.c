// SPDX-License-Identifier: GPL-2.0
/*
 * The coherence protocol's transitions, as pure functions: see coherence.h.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "coherence.h"

static u64 bit_of(u16 node)
{
	return 1ULL << (node - 1);
}

static struct rmai_dir_line shared_by(u64 sharers)
{
	return (struct rmai_dir_line) {
		.state = sharers ? RMAI_DIR_SHARED : RMAI_DIR_UNUSED,
		.sharers = sharers,
	};
}

/**
 * rmai_dir_plan() - what the home of a VMR has to do
 * @line: its entry now, in no transient state
 * @event: what is wanted
 * @node: who wants it (not the home); of no concern for what the home wants
 * @epoch: incarnation of @node
 * @held: number of the grant under which it says it has the VMR, or 0
 *
 * Return: the plan. When something that it needs cannot be done, nothing of it holds.
 */
struct rmai_dir_plan rmai_dir_plan(const struct rmai_dir_line *line,
				   enum rmai_dir_event event, u16 node, u64 epoch,
				   u64 held)
{
	bool exclusive = line->state == RMAI_DIR_EXCLUSIVE;
	bool mine = exclusive && line->owner == node;
	struct rmai_dir_plan plan = { .next = *line };
	u64 sharers = line->state == RMAI_DIR_SHARED ? line->sharers : 0;

	if (event == RMAI_DIR_RESET) {
		plan.inv = exclusive ? bit_of(line->owner) : sharers;
		plan.next = shared_by(0);
		return plan;
	}
	if (line->state == RMAI_DIR_POISONED) {
		plan.err = -EHWPOISON;
		return plan;
	}
	/*
	 * A node that asks for what it could write has never had that grant, unless it
	 * says under which it has it: a node asks once at a time for a VMR, and a
	 * request of a connection that has ended is not served.
	 */
	switch (event) {
	case RMAI_DIR_GET_S:
		if (exclusive && !mine) {
			plan.recall = line->owner;
			sharers = bit_of(line->owner);
		}
		plan.have = held && (sharers & bit_of(node));
		plan.next = shared_by(sharers | bit_of(node));
		break;
	case RMAI_DIR_GET_X:
		if (exclusive && !mine) {
			plan.recall = line->owner;
			plan.drop = true;
		}
		if (mine && held == line->owner_seq) {
			plan.have = true;
			plan.keep = true;
			break;
		}
		plan.inv = sharers & ~bit_of(node);
		plan.have = held && (sharers & bit_of(node));
		plan.next = (struct rmai_dir_line) {
			.state = RMAI_DIR_EXCLUSIVE,
			.owner = node,
			.owner_epoch = epoch,
		};
		break;
	case RMAI_DIR_PUT:
		if (mine) {
			plan.recall = node;
			plan.next = shared_by(bit_of(node));
		} else {
			/* It was recalled before this came, and may be somebody else's */
			plan.same = true;
		}
		break;
	case RMAI_DIR_PUT_DROP:
		if (mine) {
			plan.recall = node;
			plan.drop = true;
			plan.next = shared_by(0);
		} else if (sharers & bit_of(node)) {
			plan.inv = bit_of(node);
			plan.next = shared_by(sharers & ~bit_of(node));
		} else {
			plan.same = true;
		}
		break;
	case RMAI_DIR_HOME_READ:
		if (exclusive) {
			plan.recall = line->owner;
			plan.next = shared_by(bit_of(line->owner));
		}
		break;
	case RMAI_DIR_HOME_WRITE:
		if (exclusive) {
			plan.recall = line->owner;
			plan.drop = true;
		}
		plan.inv = sharers;
		plan.next = shared_by(0);
		break;
	case RMAI_DIR_RESET:
		break;
	}
	return plan;
}

/**
 * rmai_replica_asks() - a node is about to send GET_S or GET_X
 * @state: of the VMR there
 * @write: it is GET_X
 *
 * Return: state until the answer comes.
 */
enum rmai_replica_state rmai_replica_asks(enum rmai_replica_state state, bool write)
{
	switch (state) {
	case RMAI_REPLICA_X:
	case RMAI_REPLICA_WRITEBACK:
		/* It has what nobody else has: that does not stop being so */
		return state;
	default:
		return write ? RMAI_REPLICA_FETCH_X : RMAI_REPLICA_FETCH_S;
	}
}

/**
 * rmai_replica_told() - a node has been told INV or RECALL
 * @state: of the VMR there
 * @drop: it may not even read any more
 *
 * Return: state in which it carries that out. Who is waiting for an answer goes on
 * waiting: whether that is void is told by its number.
 */
enum rmai_replica_state rmai_replica_told(enum rmai_replica_state state, bool drop)
{
	switch (state) {
	case RMAI_REPLICA_X:
	case RMAI_REPLICA_WRITEBACK:
		return RMAI_REPLICA_WRITEBACK;
	case RMAI_REPLICA_S:
		return drop ? RMAI_REPLICA_I : RMAI_REPLICA_S;
	default:
		return state;
	}
}

const char *rmai_dir_state_name(enum rmai_dir_state state)
{
	static const char * const names[] = {
		[RMAI_DIR_UNUSED]	= "UNUSED",
		[RMAI_DIR_SHARED]	= "SHARED",
		[RMAI_DIR_EXCLUSIVE]	= "EXCLUSIVE",
		[RMAI_DIR_POISONED]	= "POISONED",
		[RMAI_DIR_INVALIDATING]	= "INVALIDATING",
		[RMAI_DIR_RECALLING]	= "RECALLING",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "?";
}

const char *rmai_replica_state_name(enum rmai_replica_state state)
{
	static const char * const names[] = {
		[RMAI_REPLICA_I]		= "I",
		[RMAI_REPLICA_FETCH_S]		= "FETCH_S",
		[RMAI_REPLICA_FETCH_X]		= "FETCH_X",
		[RMAI_REPLICA_S]		= "S",
		[RMAI_REPLICA_X]		= "X",
		[RMAI_REPLICA_WRITEBACK]	= "WRITEBACK",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "?";
}

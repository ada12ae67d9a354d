// SPDX-License-Identifier: GPL-2.0
/*
 * Links: connections as the core sees them. A link is torn down in its kill_work, when
 * no thread is inside a call of the transport for it; what the transport still had in
 * flight has called back by then.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/slab.h>

#include "internal.h"

/**
 * rmai_link_free() - a reference to a link is not needed any more
 * @link: link
 */
void rmai_link_free(struct rmai_link *link)
{
	if (refcount_dec_and_test(&link->ref))
		kfree(link);
}

/**
 * rmai_link_detach() - take a link from its peer
 * @link: any
 * @state: of the peer from now on
 * @why: for the log and last_error
 *
 * Return: true for the one who is to kill it.
 */
bool rmai_link_detach(struct rmai_link *link, enum rmai_peer_state state, const char *why)
{
	struct rmai_peer *peer = link->peer;
	unsigned long flags;
	bool first, was_up = false;

	if (!peer) {
		first = !xchg(&link->dead, true);
		return first;
	}
	spin_lock_irqsave(&peer->lock, flags);
	first = !link->dead;
	link->dead = true;
	if (first && peer->link == link) {
		was_up = peer->state == RMAI_PEER_UP;
		peer->link = NULL;
		rmai_peer_state(peer, state, why);
	}
	spin_unlock_irqrestore(&peer->lock, flags);
	if (was_up)
		pr_warn("node %u: lost node %u: %s\n", peer->rc->self, peer->id,
			why);
	return first;
}

static void rmai_link_kill_work(struct work_struct *work)
{
	struct rmai_link *link = container_of(work, struct rmai_link,
					      kill_work.work);
	const struct rmai_transport_ops *ops = link->rc->xprt->ops;
	struct rmai_cluster *rc = link->rc;

	if (!READ_ONCE(link->dead)) {
		/* The time for a HELLO is up: has it come? */
		if (READ_ONCE(link->peer))
			return;
		if (!rmai_link_detach(link, RMAI_PEER_DOWN, "no HELLO"))
			return;
		pr_warn_ratelimited("node %u: dropped %pISpc: no HELLO\n",
				    rc->self, &link->conn->addr);
	}
	wait_for_completion(&link->has_conn);
	ops->abort(link->conn);
	if (link->peer) {
		rmai_calls_fail(link->peer, link);
		wake_up_all(&link->peer->wait);
	}
	if (!atomic_dec_and_test(&link->users))
		wait_for_completion(&link->idle);
	ops->disconnect(link->conn);
	spin_lock(&rc->links_lock);
	list_del(&link->node);
	spin_unlock(&rc->links_lock);
	rmai_link_free(link);
	wake_up_all(&rc->links_wait);
}

/**
 * rmai_link_new() - a connection is going to be made, or has been asked for
 * @rc: membership
 * @peer: to whom, or NULL: HELLO will tell
 *
 * Return: the link, or NULL: no memory, or the node goes offline.
 */
struct rmai_link *rmai_link_new(struct rmai_cluster *rc, struct rmai_peer *peer)
{
	struct rmai_link *link = kzalloc(sizeof(*link), GFP_KERNEL);

	if (!link)
		return NULL;
	refcount_set(&link->ref, 1);
	atomic_set(&link->users, 1);
	link->rc = rc;
	link->peer = peer;
	link->opened = jiffies;
	init_completion(&link->idle);
	init_completion(&link->has_conn);
	INIT_DELAYED_WORK(&link->kill_work, rmai_link_kill_work);
	spin_lock(&rc->links_lock);
	if (READ_ONCE(rc->stopping)) {
		spin_unlock(&rc->links_lock);
		kfree(link);
		return NULL;
	}
	list_add_tail(&link->node, &rc->links);
	spin_unlock(&rc->links_lock);
	return link;
}

/**
 * rmai_link_enter() - a thread is going to use a link
 * @link: link, which cannot go at the moment
 *
 * Return: true: rmai_link_put() is to follow; false: it is being torn down.
 */
bool rmai_link_enter(struct rmai_link *link)
{
	if (!atomic_inc_not_zero(&link->users))
		return false;
	refcount_inc(&link->ref);
	return true;
}

/**
 * rmai_link_put() - end of a thread's use of a link
 * @link: from rmai_peer_link_get()
 */
void rmai_link_put(struct rmai_link *link)
{
	if (atomic_dec_and_test(&link->users))
		complete(&link->idle);
	rmai_link_free(link);
}

/**
 * rmai_link_kill() - end a connection
 * @link: any
 * @why: for the log and last_error
 *
 * Context: any; the work is done elsewhere.
 */
void rmai_link_kill(struct rmai_link *link, const char *why)
{
	if (rmai_link_detach(link, RMAI_PEER_DOWN, why))
		mod_delayed_work(system_unbound_wq, &link->kill_work, 0);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Incarnations of the peers. One that has booted again says HELLO with another epoch; from
 * then on nothing is expected of the last one (rmai_node_lost()).
 *
 * What that had open, its names and its regions are forgotten by a work item: for that it takes
 * the locks of regions, whose holders may be waiting for any node, this one not least. HELLO
 * waits for none of it. But what the new incarnation asks for is served after it, since a
 * region tells nodes from each other, not their incarnations.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include "internal.h"

u64 rmai_node_epoch(struct rmai_cluster *rc, u16 id)
{
	struct rmai_peer *peer = rmai_peer(rc, id);

	if (id == rc->self)
		return rc->epoch;
	return peer ? READ_ONCE(peer->epoch) : 0;
}

/* Has that incarnation of a node ended, as far as this node knows? */
bool rmai_node_lost(struct rmai_cluster *rc, u16 id, u64 epoch)
{
	u64 now = rmai_node_epoch(rc, id);

	return now && now != epoch;
}

/**
 * rmai_incarnation_seen() - a peer has said who it is
 * @peer: the peer; its lock is held
 * @epoch: its incarnation
 */
void rmai_incarnation_seen(struct rmai_peer *peer, u64 epoch)
{
	lockdep_assert_held(&peer->lock);
	if (peer->epoch == epoch)
		return;
	if (!peer->epoch) {
		peer->forgot = epoch;
	} else {
		pr_warn("node %u: node %u has rebooted: what it held is lost\n",
			peer->rc->self, peer->id);
		queue_work(system_unbound_wq, &peer->forget_work);
	}
	WRITE_ONCE(peer->epoch, epoch);
}

/* Is anything that came over an earlier connection still being served? */
static bool rmai_peer_busy(struct rmai_peer *peer)
{
	struct rmai_cluster *rc = peer->rc;
	struct rmai_link *link;
	bool busy = false;

	spin_lock(&rc->links_lock);
	list_for_each_entry(link, &rc->links, node)
		busy |= READ_ONCE(link->peer) == peer && READ_ONCE(link->dead);
	spin_unlock(&rc->links_lock);
	return busy;
}

/**
 * rmai_forget_work() - forget the incarnations of a peer that have ended
 * @work: of the peer
 */
void rmai_forget_work(struct work_struct *work)
{
	struct rmai_peer *peer = container_of(work, struct rmai_peer, forget_work);
	struct rmai_cluster *rc = peer->rc;
	u64 epoch;

	spin_lock_irq(&peer->lock);
	epoch = peer->epoch;
	spin_unlock_irq(&peer->lock);
	/* What it asked for last would be carried out after it was forgotten */
	wait_event(rc->links_wait, !rmai_peer_busy(peer));
	rmai_owner_node_gone(rc, peer->id);
	rmai_names_purge(rc, peer->id, epoch);
	rmai_home_free_owned(rc, peer->id, epoch);
	spin_lock_irq(&peer->lock);
	peer->forgot = epoch;
	wake_up_all(&peer->wait);
	spin_unlock_irq(&peer->lock);
}

static bool rmai_peer_forgot(struct rmai_peer *peer, u64 epoch)
{
	bool forgot;

	spin_lock_irq(&peer->lock);
	forgot = peer->forgot == epoch;
	spin_unlock_irq(&peer->lock);
	return forgot;
}

/**
 * rmai_forget_wait() - before a request is served: are earlier incarnations forgotten?
 * @link: connection that it came on
 * @msg: the request
 *
 * Context: may sleep, as long as those who have regions locked wait for other nodes.
 * Return: 0; -ENOTCONN when the connection has ended: nobody waits for an answer.
 */
int rmai_forget_wait(struct rmai_link *link, const struct rmai_msg *msg)
{
	struct rmai_peer *peer = link->peer;

	wait_event(peer->wait, rmai_peer_forgot(peer, msg->epoch) || READ_ONCE(link->dead));
	return rmai_peer_forgot(peer, msg->epoch) ? 0 : -ENOTCONN;
}

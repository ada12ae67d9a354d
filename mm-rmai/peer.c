// SPDX-License-Identifier: GPL-2.0
/*
 * Peers: connections, the HELLO that opens each, heartbeat, reconnect.
 *
 *	DOWN --connect--> CONNECTING --HELLO accepted--> UP
 *	  ^                   |    \--HELLO refused--> REFUSED --tick--> CONNECTING
 *	  +---closed, silent--+--------------------------+
 *
 * Of two nodes the one with the higher id connects. Connections are links: link.c.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/jhash.h>
#include <linux/hash.h>
#include <linux/slab.h>
#include <net/ipv6.h>

#include "internal.h"
#include <trace/events/rmai.h>

#define RMAI_REFUSED_RETRY	(5 * HZ)
#define RMAI_HELLO_TIMEOUT	(5 * HZ)

static const char * const rmai_peer_states[] = {
	[RMAI_PEER_DOWN]	= "down",
	[RMAI_PEER_CONNECTING]	= "connecting",
	[RMAI_PEER_REFUSED]	= "refused",
	[RMAI_PEER_UP]		= "up",
};

/* The same on all nodes that were told the same memory nodes */
static u64 rmai_members_hash(struct rmai_cluster *rc)
{
	u16 ids[RMAI_WIRE_NODES];
	int n = rmai_memory_nodes(rc, ids);

	return (u64)jhash(ids, n * sizeof(ids[0]), 0) << 8 | n;
}

static bool rmai_same_host(const struct sockaddr_storage *a,
			   const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET6)
		return ipv6_addr_equal(&((struct sockaddr_in6 *)a)->sin6_addr,
				       &((struct sockaddr_in6 *)b)->sin6_addr);
	return ((struct sockaddr_in *)a)->sin_addr.s_addr ==
	       ((struct sockaddr_in *)b)->sin_addr.s_addr;
}

static void rmai_node_addr(struct rmai_cluster *rc, u16 id,
			   struct sockaddr_storage *addr)
{
	/* Loop is all or nothing, see rmai_config_check() */
	if (!strcmp(rc->xprt->ops->name, "loop"))
		rmai_loop_addr(id, addr);
	else
		*addr = rc->cfg.nodes[id - 1].addr;
}

/**
 * rmai_peer_state() - the connection to a peer is in another state
 * @peer: the peer; its lock is held
 * @state: the state
 * @why: for the log and last_error, or NULL
 */
void rmai_peer_state(struct rmai_peer *peer, enum rmai_peer_state state, const char *why)
{
	lockdep_assert_held(&peer->lock);
	if (peer->state == RMAI_PEER_UP && state != RMAI_PEER_UP)
		peer->down_since = jiffies;
	peer->retry_at = jiffies +
			 (state == RMAI_PEER_REFUSED ? RMAI_REFUSED_RETRY : 0);
	peer->state = state;
	if (why)
		strscpy(peer->last_error, why, sizeof(peer->last_error));
	trace_rmai_peer_state(peer->rc->self, peer->id,
			      rmai_peer_states[state], why ?: "");
	wake_up_all(&peer->wait);
}

/**
 * rmai_peer_link_get() - the connection of a peer that is up
 * @peer: the peer
 *
 * Return: the link, to be put soon, or NULL.
 */
struct rmai_link *rmai_peer_link_get(struct rmai_peer *peer)
{
	struct rmai_link *link = NULL;
	unsigned long flags;

	spin_lock_irqsave(&peer->lock, flags);
	if (peer->state == RMAI_PEER_UP && rmai_link_enter(peer->link))
		link = peer->link;
	spin_unlock_irqrestore(&peer->lock, flags);
	return link;
}

/**
 * rmai_peer_drop() - cut the connection, so that operations in flight end
 * @peer: the peer
 * @why: for the log
 */
void rmai_peer_drop(struct rmai_peer *peer, const char *why)
{
	struct rmai_link *link = rmai_peer_link_get(peer);

	if (!link)
		return;
	rmai_link_kill(link, why);
	rmai_link_put(link);
}

/* Something came in over a link */
void rmai_peer_heard(struct rmai_link *link)
{
	struct rmai_peer *peer = READ_ONCE(link->peer);

	if (peer)
		WRITE_ONCE(peer->last_rx, jiffies);
}

/**
 * rmai_peer_wait_up() - wait until a peer is up
 * @peer: the peer
 * @deadline: jiffies
 *
 * Return: 0, -EINTR after a fatal signal, -EHOSTDOWN at the deadline.
 */
int rmai_peer_wait_up(struct rmai_peer *peer, unsigned long deadline)
{
	long left = (long)(deadline - jiffies);

	if (READ_ONCE(peer->state) == RMAI_PEER_UP)
		return 0;
	if (left <= 0)
		return -EHOSTDOWN;
	left = wait_event_killable_timeout(peer->wait,
					   READ_ONCE(peer->state) == RMAI_PEER_UP ||
					   READ_ONCE(peer->rc->stopping), left);
	if (left < 0)
		return -EINTR;
	return READ_ONCE(peer->state) == RMAI_PEER_UP ? 0 : -EHOSTDOWN;
}

/**
 * rmai_peer_pause() - an operation has ended for want of a connection: before the next try
 * @peer: the peer
 * @deadline: jiffies
 *
 * What has broken counts as a connection until it is taken down, by work items: they have
 * to get a CPU. Waits for that, but not for long.
 *
 * Context: may sleep.
 * Return: 0, -EINTR after a fatal signal, -EHOSTDOWN at the deadline.
 */
int rmai_peer_pause(struct rmai_peer *peer, unsigned long deadline)
{
	long left = wait_event_killable_timeout(peer->wait,
						READ_ONCE(peer->state) != RMAI_PEER_UP,
						HZ / 50);

	if (left < 0)
		return -EINTR;
	return time_after(jiffies, deadline) ? -EHOSTDOWN : 0;
}

/* HELLO */

/**
 * rmai_hello_fill() - what this node says of itself
 * @rc: membership
 * @h: filled in
 */
void rmai_hello_fill(struct rmai_cluster *rc, struct rmai_msg_hello *h)
{
	memset(h, 0, sizeof(*h));
	h->window_start = rc->cfg.window_start;
	h->window_size = rc->cfg.window_size;
	h->members = rmai_members_hash(rc);
	h->pool_total = rc->cfg.pool_bytes;
	h->pool_used = (u64)atomic64_read(&rc->pool_used) << PAGE_SHIFT;
	h->lease_ms = READ_ONCE(rmai_config.lease_ms);
	h->page_size = PAGE_SIZE;
	h->key_pages = rc->xprt->max_key_pages;
	h->role = rc->cfg.nodes[rc->self - 1].role;
	strscpy(h->cluster, rc->cfg.cluster, sizeof(h->cluster));
}

static enum rmai_refusal rmai_hello_check(struct rmai_link *link,
					  const struct rmai_msg *msg)
{
	struct rmai_cluster *rc = link->rc;
	const struct rmai_msg_hello *h = &msg->hello;
	struct sockaddr_storage addr;

	if (strcmp(h->cluster, rc->cfg.cluster))
		return RMAI_REFUSE_CLUSTER;
	if (msg->dst != rc->self)
		return RMAI_REFUSE_NOT_ME;
	if (msg->src == rc->self)
		return RMAI_REFUSE_DUPLICATE;
	if (!rmai_peer(rc, msg->src))
		return RMAI_REFUSE_UNKNOWN;
	rmai_node_addr(rc, msg->src, &addr);
	if (!rmai_same_host(&addr, &link->conn->addr))
		return RMAI_REFUSE_DUPLICATE;
	if (h->window_start != rc->cfg.window_start ||
	    h->window_size != rc->cfg.window_size || h->page_size != PAGE_SIZE)
		return RMAI_REFUSE_WINDOW;
	if (h->role != rc->cfg.nodes[msg->src - 1].role)
		return RMAI_REFUSE_ROLE;
	if (h->members != rmai_members_hash(rc))
		return RMAI_REFUSE_MEMBERS;
	return RMAI_REFUSE_NONE;
}

static void rmai_peer_set_up(struct rmai_peer *peer)
{
	lockdep_assert_held(&peer->lock);
	if (peer->was_up)
		rmai_count(reconnects, 1);
	peer->was_up = true;
	rmai_lease_begin(peer);
	atomic_set(&peer->ping_out, 0);
	rmai_peer_state(peer, RMAI_PEER_UP, NULL);
	pr_info("node %u: node %u is up, epoch %llu\n", peer->rc->self,
		peer->id, peer->epoch);
}

/*
 * A peer has said who it is. The side that connected is up at once; the other
 * one when the first message after the HELLO shows that its reply has arrived.
 */
static void rmai_peer_known(struct rmai_peer *peer, struct rmai_link *link,
			    const struct rmai_msg *msg)
{
	struct rmai_link *old;
	unsigned long flags;

	spin_lock_irqsave(&peer->lock, flags);
	if (link->dead) {
		spin_unlock_irqrestore(&peer->lock, flags);
		return;
	}
	old = peer->link;
	if (old == link)
		old = NULL;
	if (old)
		old->dead = true;
	peer->link = link;
	link->peer = peer;
	rmai_incarnation_seen(peer, msg->epoch);
	peer->key_bytes = msg->hello.key_pages << PAGE_SHIFT;
	peer->pool_total = msg->hello.pool_total;
	peer->pool_used = msg->hello.pool_used;
	peer->lease_ms = msg->hello.lease_ms;
	peer->last_rx = jiffies;
	peer->last_error[0] = '\0';
	if (!link->conn->incoming)
		rmai_peer_set_up(peer);
	else
		rmai_peer_state(peer, RMAI_PEER_CONNECTING, NULL);
	spin_unlock_irqrestore(&peer->lock, flags);
	if (old)
		mod_delayed_work(system_unbound_wq, &old->kill_work, 0);
	if (!link->conn->incoming)
		mod_delayed_work(system_unbound_wq, &peer->tick, 0);
}

/**
 * rmai_peer_established() - a message has come after the HELLO
 * @link: connection that a peer made, and said HELLO on
 */
void rmai_peer_established(struct rmai_link *link)
{
	struct rmai_peer *peer = link->peer;
	unsigned long flags;

	spin_lock_irqsave(&peer->lock, flags);
	if (peer->link == link && peer->state == RMAI_PEER_CONNECTING)
		rmai_peer_set_up(peer);
	spin_unlock_irqrestore(&peer->lock, flags);
}

/**
 * rmai_peer_hello() - a peer that has connected introduces itself
 * @link: connection
 * @req: its HELLO
 * @rep: reply to be sent
 */
void rmai_peer_hello(struct rmai_link *link, const struct rmai_msg *req,
		     struct rmai_msg *rep)
{
	enum rmai_refusal why = rmai_hello_check(link, req);

	rmai_hello_fill(link->rc, &rep->hello);
	rep->hello.refusal = why;
	if (why) {
		pr_warn_ratelimited("node %u: refused %pISpc (node %u): %s\n",
				    link->rc->self, &link->conn->addr, req->src,
				    rmai_refusal_name(why));
		/* The peer closes when it has read why; if not, we do */
		if (rmai_link_detach(link, RMAI_PEER_DOWN, "refused"))
			mod_delayed_work(system_unbound_wq, &link->kill_work,
					 HZ);
		return;
	}
	rmai_peer_known(rmai_peer(link->rc, req->src), link, req);
}

/**
 * rmai_peer_hello_reply() - a peer answers our HELLO
 * @link: connection
 * @rep: its answer
 */
void rmai_peer_hello_reply(struct rmai_link *link, const struct rmai_msg *rep)
{
	struct rmai_peer *peer = link->peer;
	enum rmai_refusal why = rep->hello.refusal;
	char text[96];

	if (!peer)
		return;
	if (!why && rep->src == peer->id) {
		why = rmai_hello_check(link, rep);
		if (!why) {
			rmai_peer_known(peer, link, rep);
			return;
		}
	} else if (!why) {
		why = RMAI_REFUSE_NOT_ME;
	}
	snprintf(text, sizeof(text), "refused: %s", rmai_refusal_name(why));
	pr_warn_ratelimited("node %u: node %u at %pISpc: %s\n", peer->rc->self,
			    peer->id, &link->conn->addr, text);
	if (rmai_link_detach(link, RMAI_PEER_REFUSED, text))
		mod_delayed_work(system_unbound_wq, &link->kill_work, 0);
}

/* Upcalls of the transport */

static int rmai_ev_accept(struct rmai_conn *conn)
{
	struct rmai_cluster *rc = conn->xprt->context;
	struct rmai_link *link;

	/* Too early: still going online. The peer tries again */
	if (!READ_ONCE(rc->xprt))
		return -EAGAIN;
	link = rmai_link_new(rc, NULL);
	if (!link)
		return -ENOMEM;
	link->conn = conn;
	complete_all(&link->has_conn);
	conn->priv = link;
	mod_delayed_work(system_unbound_wq, &link->kill_work, RMAI_HELLO_TIMEOUT);
	return 0;
}

static void rmai_ev_connected(struct rmai_conn *conn)
{
	struct rmai_link *link = conn->priv;

	if (link && rmai_link_enter(link)) {
		wait_for_completion(&link->has_conn);
		if (rmai_send_hello(link, link->peer->id))
			rmai_link_kill(link, "HELLO could not be sent");
		rmai_link_put(link);
	}
}

static void rmai_ev_closed(struct rmai_conn *conn, int err)
{
	struct rmai_link *link = conn->priv;
	char why[64];

	if (!link)
		return;
	snprintf(why, sizeof(why), "connection %s (%d)",
		 err == -ECONNREFUSED ? "refused: is it online?" :
		 err == -ETIMEDOUT || err == -EHOSTUNREACH ? "timed out" :
		 "closed", err);
	rmai_link_kill(link, why);
}

const struct rmai_xprt_events rmai_xprt_events = {
	.accept		= rmai_ev_accept,
	.connected	= rmai_ev_connected,
	.recv		= rmai_rx,
	.closed		= rmai_ev_closed,
};

/* The clock of a peer: connect, ping, notice silence */

static void rmai_peer_connect(struct rmai_peer *peer)
{
	struct rmai_cluster *rc = peer->rc;
	struct sockaddr_storage addr;
	struct rmai_conn *conn;
	struct rmai_link *link;
	unsigned long flags;
	char why[32];

	link = rmai_link_new(rc, peer);
	if (!link)
		return;
	rmai_node_addr(rc, peer->id, &addr);
	spin_lock_irqsave(&peer->lock, flags);
	if (peer->link) {
		spin_unlock_irqrestore(&peer->lock, flags);
		goto unused;
	}
	peer->link = link;
	rmai_peer_state(peer, RMAI_PEER_CONNECTING, NULL);
	spin_unlock_irqrestore(&peer->lock, flags);

	conn = rc->xprt->ops->connect(rc->xprt, &addr, link);
	if (!IS_ERR(conn)) {
		/* The upcalls may have killed the link already: only now it has conn */
		link->conn = conn;
		complete_all(&link->has_conn);
		return;
	}
	spin_lock_irqsave(&peer->lock, flags);
	peer->link = NULL;
	snprintf(why, sizeof(why), "cannot connect (%ld)", PTR_ERR(conn));
	rmai_peer_state(peer, RMAI_PEER_DOWN, why);
	spin_unlock_irqrestore(&peer->lock, flags);
unused:
	spin_lock(&rc->links_lock);
	list_del(&link->node);
	spin_unlock(&rc->links_lock);
	rmai_link_free(link);
	wake_up_all(&rc->links_wait);
}

static void rmai_ping_work(struct work_struct *work)
{
	struct rmai_peer *peer = container_of(work, struct rmai_peer, ping_work);
	struct rmai_cluster *rc = peer->rc;
	struct rmai_msg *msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_PING);
	unsigned long flags, since;
	u32 lease_ms;

	if (!msg)
		goto out;
	msg->ping.pool_total = rc->cfg.pool_bytes;
	msg->ping.pool_used = (u64)atomic64_read(&rc->pool_used) << PAGE_SHIFT;
	lease_ms = READ_ONCE(rmai_config.lease_ms);
	msg->ping.lease_ms = lease_ms;
	since = jiffies;
	if (!rmai_call(rc, peer->id, msg)) {
		rmai_lease_extend(peer, since, lease_ms);
		spin_lock_irqsave(&peer->lock, flags);
		peer->pool_total = msg->ping.pool_total;
		peer->pool_used = msg->ping.pool_used;
		spin_unlock_irqrestore(&peer->lock, flags);
	}
	kfree(msg);
out:
	atomic_set(&peer->ping_out, 0);
}

static void rmai_peer_tick(struct work_struct *work)
{
	struct rmai_peer *peer = container_of(work, struct rmai_peer, tick.work);
	struct rmai_cluster *rc = peer->rc;
	unsigned long next = msecs_to_jiffies(READ_ONCE(rmai_config.heartbeat_ms));
	unsigned long dead = msecs_to_jiffies(READ_ONCE(rmai_config.dead_ms));
	struct rmai_link *stuck = NULL;
	enum rmai_peer_state state;
	bool connect = false;
	unsigned long flags;

	spin_lock_irqsave(&peer->lock, flags);
	state = peer->state;
	switch (state) {
	case RMAI_PEER_REFUSED:
		if (time_before(jiffies, peer->retry_at))
			break;
		fallthrough;
	case RMAI_PEER_DOWN:
		connect = peer->id < rc->self;
		break;
	case RMAI_PEER_CONNECTING:
		if (peer->link && time_after(jiffies, peer->link->opened +
					     RMAI_HELLO_TIMEOUT)) {
			stuck = peer->link;
			refcount_inc(&stuck->ref);
		}
		break;
	case RMAI_PEER_UP:
		break;
	}
	spin_unlock_irqrestore(&peer->lock, flags);

	if (stuck) {
		rmai_link_kill(stuck, "no answer");
		rmai_link_free(stuck);
	} else if (connect) {
		rmai_peer_connect(peer);
	} else if (state == RMAI_PEER_UP) {
		if (time_after(jiffies, READ_ONCE(peer->last_rx) + dead))
			rmai_peer_drop(peer, "silent");
		else if (!atomic_cmpxchg(&peer->ping_out, 0, 1))
			queue_work(rc->serve_wq, &peer->ping_work);
	}
	if (!READ_ONCE(rc->stopping))
		queue_delayed_work(system_unbound_wq, &peer->tick, max(next, 1UL));
}

/**
 * rmai_peers_start() - begin to connect
 * @rc: membership
 *
 * Return: 0 or -ENOMEM.
 */
int rmai_peers_start(struct rmai_cluster *rc)
{
	struct rmai_peer *peer;
	int i;

	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		if (!rc->cfg.nodes[i].id || i + 1 == rc->self)
			continue;
		peer = kzalloc(sizeof(*peer), GFP_KERNEL);
		if (!peer)
			return -ENOMEM;
		peer->rc = rc;
		peer->id = i + 1;
		spin_lock_init(&peer->lock);
		peer->down_since = jiffies;
		xa_init_flags(&peer->calls, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_IRQ);
		sema_init(&peer->slots, RMAI_MAX_REQS - RMAI_COH_REQS);
		sema_init(&peer->coh_slots, RMAI_COH_REQS);
		init_waitqueue_head(&peer->wait);
		INIT_DELAYED_WORK(&peer->tick, rmai_peer_tick);
		INIT_WORK(&peer->ping_work, rmai_ping_work);
		INIT_WORK(&peer->forget_work, rmai_forget_work);
		INIT_DELAYED_WORK(&peer->lease_work, rmai_lease_work);
		INIT_LIST_HEAD(&peer->streams);
		rc->peers[i] = peer;
	}
	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		if (rc->peers[i])
			queue_delayed_work(system_unbound_wq,
					   &rc->peers[i]->tick, 0);
	}
	return 0;
}

/**
 * rmai_peers_stop() - disconnect from all
 * @rc: membership, stopping
 */
void rmai_peers_stop(struct rmai_cluster *rc)
{
	struct rmai_link *link;
	int i;

	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		if (!rc->peers[i])
			continue;
		wake_up_all(&rc->peers[i]->wait);
		cancel_delayed_work_sync(&rc->peers[i]->tick);
		cancel_delayed_work_sync(&rc->peers[i]->lease_work);
	}
	spin_lock(&rc->links_lock);
	list_for_each_entry(link, &rc->links, node)
		rmai_link_kill(link, "going offline");
	spin_unlock(&rc->links_lock);
	wait_event(rc->links_wait, list_empty(&rc->links));
	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		if (rc->peers[i])
			cancel_work_sync(&rc->peers[i]->forget_work);
	}
}

/**
 * rmai_peers_free() - forget peers
 * @rc: membership; stopped, and its workqueues drained
 */
void rmai_peers_free(struct rmai_cluster *rc)
{
	int i;

	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		if (!rc->peers[i])
			continue;
		cancel_delayed_work_sync(&rc->peers[i]->lease_work);
		xa_destroy(&rc->peers[i]->calls);
		kfree(rc->peers[i]);
		rc->peers[i] = NULL;
	}
}

/**
 * rmai_node_info() - what sysfs shows of a node
 * @rc: membership
 * @id: node
 * @info: filled in
 *
 * Return: 0 or -ENOENT.
 */
int rmai_node_info(struct rmai_cluster *rc, u16 id, struct rmai_node_info *info)
{
	struct rmai_peer *peer = rmai_peer(rc, id);

	if (id < 1 || id > RMAI_WIRE_NODES || !rc->cfg.nodes[id - 1].id)
		return -ENOENT;
	memset(info, 0, sizeof(*info));
	info->id = id;
	info->role = rc->cfg.nodes[id - 1].role;
	if (id == rc->self) {
		info->state = "self";
		info->epoch = rc->epoch;
		info->pool_total = rc->cfg.pool_bytes;
		info->pool_used = (u64)atomic64_read(&rc->pool_used) << PAGE_SHIFT;
		return 0;
	}
	spin_lock_irq(&peer->lock);
	info->state = rmai_peer_states[peer->state];
	info->epoch = peer->epoch;
	info->pool_total = peer->pool_total;
	info->pool_used = peer->pool_used;
	memcpy(info->last_error, peer->last_error, sizeof(info->last_error));
	spin_unlock_irq(&peer->lock);
	return 0;
}

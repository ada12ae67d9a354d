// SPDX-License-Identifier: GPL-2.0
/*
 * For how long a node has what it was granted: at least until it was used
 * (hold-off), and not after its home may count it as lost (lease).
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/delay.h>
#include <linux/ktime.h>

#include "directory.h"
#include "internal.h"

/* Who waited for it, and has not come to use it after so long, is gone */
#define RMAI_HOLD_MAX_NS	(300 * NSEC_PER_MSEC)

/**
 * rmai_hold_begin() - something was granted for which somebody waits
 * @hold: of that
 * @write: to be written
 */
void rmai_hold_begin(struct rmai_hold *hold, bool write)
{
	hold->write = write;
	hold->granted_ns = ktime_get_ns();
	hold->used_ns = 0;
}

/**
 * rmai_hold_renew() - it has not come yet: the time to use it begins later
 * @hold: of that
 */
void rmai_hold_renew(struct rmai_hold *hold)
{
	if (hold->granted_ns && !hold->used_ns)
		hold->granted_ns = ktime_get_ns();
}

/**
 * rmai_hold_use() - it is being used
 * @hold: of that
 */
void rmai_hold_use(struct rmai_hold *hold)
{
	if (hold->granted_ns && !hold->used_ns)
		hold->used_ns = ktime_get_ns();
}

/**
 * rmai_hold_left_ns() - how long must it still be kept?
 * @hold: of that
 */
u64 rmai_hold_left_ns(const struct rmai_hold *hold)
{
	u64 used = READ_ONCE(hold->used_ns), until;
	u64 now = ktime_get_ns();

	if (!hold->granted_ns)
		return 0;
	until = used ? used + (u64)READ_ONCE(rmai_config.holdoff_us) * NSEC_PER_USEC :
		       hold->granted_ns + RMAI_HOLD_MAX_NS;
	return until > now ? until - now : 0;
}

/**
 * rmai_hold_wait() - wait until it need not be kept any more
 * @hold: of that; changed by nobody else but in rmai_hold_use()
 */
void rmai_hold_wait(struct rmai_hold *hold)
{
	u64 left;

	while ((left = rmai_hold_left_ns(hold))) {
		rmai_count(holdoffs, 1);
		/* In steps: its first use may come meanwhile */
		left = min_t(u64, div_u64(left, NSEC_PER_USEC) + 1, 1000);
		usleep_range(left, left + 50);
	}
	hold->granted_ns = 0;
}

/*
 * Leases. A node may use what a home has granted it until lease_ms after it sent the
 * last PING that the home has answered; the home has heard that PING later than it
 * was sent, and waits for lease_ms and a margin after it has last heard of a node that is
 * silent. So when it goes on without that node, nothing is left there. Clocks must
 * run at about the same rate for that. A machine that was stopped, and its clock with it,
 * does not know that its time is up. But a home goes on without a node only while there is no
 * connection: so a lease ends with the connection, too, as soon as there is another.
 */

/* Gives the node time to drop what it has, and is more than clocks differ */
static unsigned long rmai_lease_margin(unsigned long lease)
{
	return max(lease / 4, (unsigned long)HZ / 2);
}

/**
 * rmai_lease_begin() - a connection to a home is up
 * @peer: the home; its lock is held
 *
 * What it granted before has ended, and has been dropped or is about to be. The new lease
 * counts from when the connection was made, which the home heard later.
 */
void rmai_lease_begin(struct rmai_peer *peer)
{
	unsigned long lease = msecs_to_jiffies(READ_ONCE(rmai_config.lease_ms));

	lockdep_assert_held(&peer->lock);
	if (READ_ONCE(peer->rc->stopping))
		return;
	if (peer->lease_until)
		peer->lease_broken = true;
	peer->lease_until = (peer->link->opened + lease) ?: 1;
	mod_delayed_work(peer->rc->coh_wq, &peer->lease_work, peer->lease_broken ? 0 : lease);
}

/**
 * rmai_lease_extend() - a home has answered a PING
 * @peer: the home
 * @since: jiffies when it was sent
 * @lease_ms: lease that it told of
 *
 * What has ended already has ended: that is dropped first.
 *
 * Context: may sleep.
 */
void rmai_lease_extend(struct rmai_peer *peer, unsigned long since, u32 lease_ms)
{
	unsigned long until = since + msecs_to_jiffies(lease_ms), flags;
	bool lapsed;

	spin_lock_irqsave(&peer->lock, flags);
	lapsed = peer->lease_broken ||
		 (peer->lease_until && time_after(jiffies, peer->lease_until));
	spin_unlock_irqrestore(&peer->lock, flags);
	if (lapsed) {
		mod_delayed_work(peer->rc->coh_wq, &peer->lease_work, 0);
		flush_delayed_work(&peer->lease_work);
	}
	spin_lock_irqsave(&peer->lock, flags);
	peer->lease_until = until ?: 1;
	spin_unlock_irqrestore(&peer->lock, flags);
	if (!READ_ONCE(peer->rc->stopping))
		mod_delayed_work(peer->rc->coh_wq, &peer->lease_work, until - since);
}

/**
 * rmai_lease_work() - a lease has ended, unless it was extended
 * @work: of a peer
 */
void rmai_lease_work(struct work_struct *work)
{
	struct rmai_peer *peer = container_of(work, struct rmai_peer, lease_work.work);
	struct super_block *sb = peer->rc->sb;
	struct inode *inode, *prev = NULL;
	unsigned long flags, left = 0;
	bool lapsed;

	spin_lock_irqsave(&peer->lock, flags);
	if (peer->lease_until && time_before(jiffies, peer->lease_until))
		left = peer->lease_until - jiffies;
	else
		peer->lease_until = 0;
	lapsed = !left || peer->lease_broken;
	peer->lease_broken = false;
	if (lapsed)
		WRITE_ONCE(peer->lapses, peer->lapses + 1);
	spin_unlock_irqrestore(&peer->lock, flags);
	if (left && !READ_ONCE(peer->rc->stopping))
		queue_delayed_work(peer->rc->coh_wq, &peer->lease_work, left);
	if (!lapsed)
		return;
	rmai_count(leases_lapsed, 1);
	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		if (!S_ISREG(inode->i_mode) || xa_empty(&RMAI_I(inode)->replicas) ||
		    !igrab(inode))
			continue;
		/* Held: so it stays on the list while the lock is dropped */
		spin_unlock(&sb->s_inode_list_lock);
		iput(prev);
		rmai_replicas_lapse(RMAI_I(inode), peer->id);
		prev = inode;
		spin_lock(&sb->s_inode_list_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(prev);
}

/**
 * rmai_lease_end() - when a node has dropped what this one granted it, if it stays silent
 * @peer: the node
 *
 * Return: jiffies.
 */
unsigned long rmai_lease_end(struct rmai_peer *peer)
{
	unsigned long lease = msecs_to_jiffies(max(READ_ONCE(peer->lease_ms),
						   READ_ONCE(rmai_config.lease_ms)));

	return READ_ONCE(peer->last_rx) + lease + rmai_lease_margin(lease);
}

/**
 * rmai_lease_wait() - wait until a silent node has dropped what it was granted
 * @rc: this node, the home
 * @node: which is silent
 *
 * Context: may sleep. Return: 0; -EAGAIN when it is back, and is to be asked again;
 * -EINTR after a fatal signal.
 */
int rmai_lease_wait(struct rmai_cluster *rc, u16 node)
{
	struct rmai_peer *peer = rmai_peer(rc, node);
	unsigned long until;

	if (!peer)
		return 0;
	for (;;) {
		if (READ_ONCE(peer->state) == RMAI_PEER_UP)
			return -EAGAIN;
		until = rmai_lease_end(peer);
		if (time_after(jiffies, until) || READ_ONCE(rc->stopping))
			return 0;
		/* In slices, for it may come back */
		schedule_timeout_killable(min(until - jiffies + 1, (unsigned long)HZ / 10));
		if (fatal_signal_pending(current))
			return -EINTR;
	}
}

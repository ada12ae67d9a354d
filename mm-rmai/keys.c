// SPDX-License-Identifier: GPL-2.0
/*
 * Keys of homes: what they gave of them is kept in rmai_inode.keys, by key number,
 * until it fails or the inode goes. Those of open regions may become too short, when
 * the region grows, or void, when it is cut: grants say from which generation on
 * keys are good.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/slab.h>

#include "internal.h"

#define RMAI_KEYS_ASKED	64	/* keys in one call: what comes next needs them, too */

/* A peer's key, as cached in ri->keys */
struct rmai_cached_key {
	struct rmai_key		key;
	u32			gen;
	struct rcu_head		rcu;
};

/**
 * rmai_fetch_peer() - where the data of an offset comes from
 * @ri: region
 * @off: byte, not homed here
 * @epoch: incarnation of the node that holds it, or NULL
 */
struct rmai_peer *rmai_fetch_peer(struct rmai_inode *ri, u64 off, u64 *epoch)
{
	u32 slot = rmai_home_slot(&ri->geom, off);

	if (epoch)
		*epoch = ri->attr.nodes[slot].epoch;
	return rmai_peer(ri->rc, ri->attr.nodes[slot].id);
}

/**
 * rmai_key_cached() - is the key of a piece known?
 * @ri: region
 * @nr: key number
 * @gen: and is it at least of this generation
 * @key: filled in if so
 */
bool rmai_key_cached(struct rmai_inode *ri, u64 nr, u32 gen, struct rmai_key *key)
{
	struct rmai_cached_key *ck;
	bool good;

	rcu_read_lock();
	ck = xa_load(&ri->keys, nr);
	good = ck && (s32)(ck->gen - gen) >= 0;
	if (good)
		*key = ck->key;
	rcu_read_unlock();
	return good;
}

/**
 * rmai_key_forget() - a key has failed
 * @ri: region
 * @nr: key number
 */
void rmai_key_forget(struct rmai_inode *ri, u64 nr)
{
	struct rmai_cached_key *ck = xa_erase(&ri->keys, nr);

	if (ck)
		kfree_rcu(ck, rcu);
}

static int rmai_key_store(struct rmai_inode *ri, u64 nr, u32 gen,
			  const struct rmai_wire_key *wk)
{
	struct rmai_cached_key *ck = kmalloc(sizeof(*ck), GFP_KERNEL), *old;

	if (!ck)
		return -ENOMEM;
	ck->key.addr = wk->addr;
	ck->key.rkey = wk->rkey;
	ck->key.len = wk->len;
	ck->gen = gen;
	old = xa_store(&ri->keys, nr, ck, GFP_KERNEL);
	if (xa_is_err(old)) {
		kfree(ck);
		return xa_err(old);
	}
	if (old)
		kfree_rcu(old, rcu);
	return 0;
}

/**
 * rmai_keys_get() - ask a home for a key and the next ones
 * @ri: region
 * @off: byte whose key is wanted
 * @end: byte after the last that is wanted; of a sealed region what follows is asked
 *	for, too
 *
 * Context: may sleep, for the network.
 * Return: 0; -EPROTO (the home gave keys of another length); see rmai_home_keys()
 * and rmai_call().
 */
int rmai_keys_get(struct rmai_inode *ri, u64 off, u64 end)
{
	bool sealed = rmai_is_sealed(ri);
	u64 epoch, nr;
	struct rmai_peer *peer = rmai_fetch_peer(ri, off, &epoch);
	u32 key_bytes = READ_ONCE(peer->key_bytes);
	struct rmai_msg *msg;
	int err, i = 0;

	msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_KEYS);
	if (!msg)
		return -ENOMEM;
	nr = rmai_key_number(&ri->geom, key_bytes, off);
	msg->keys.id = ri->id;
	msg->keys.owner_epoch = ri->attr.owner_epoch;
	msg->keys.home_epoch = epoch;
	msg->keys.first = nr;
	msg->keys.size = i_size_read(&ri->vfs);
	msg->keys.nr = RMAI_KEYS_ASKED;
	/* Keys of an open region take memory there: only what is needed */
	if (!sealed)
		msg->keys.nr = min_t(u64, RMAI_KEYS_ASKED,
				     rmai_key_number(&ri->geom, key_bytes, end - 1) -
				     nr + 1);
	err = rmai_call(ri->rc, peer->id, msg);
	for (; !err && i < msg->keys.nr; nr++) {
		struct rmai_span span = rmai_key_span(&ri->geom, key_bytes, nr);

		if (span.len && rmai_fetch_peer(ri, span.off, NULL) != peer)
			continue;
		/* An open region may be longer than is known here, or there */
		if (!span.len || (sealed ? msg->keys.keys[i].len != span.len :
				  msg->keys.keys[i].len < span.len))
			err = -EPROTO;
		else
			err = rmai_key_store(ri, nr, msg->keys.gen,
					     &msg->keys.keys[i++]);
	}
	if (err == -EPROTO)
		pr_warn_ratelimited("node %u: node %u gave keys of another length for region %llx\n",
				    ri->rc->self, peer->id, ri->id);
	kfree(msg);
	return err;
}

/**
 * rmai_keys_destroy() - forget all keys
 * @ri: region, being evicted
 */
void rmai_keys_destroy(struct rmai_inode *ri)
{
	struct rmai_cached_key *ck;
	unsigned long nr;

	xa_for_each(&ri->keys, nr, ck)
		kfree_rcu(ck, rcu);
	xa_destroy(&ri->keys);
}

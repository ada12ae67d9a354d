// SPDX-License-Identifier: GPL-2.0
/*
 * The wire protocol's codec: bytes to struct rmai_msg and back.
 *
 * A message is a header and at most one body; which one follows from the type
 * and from whether it is a reply (the table at the end). For each body there are
 * three functions:
 *
 *	get	bytes -> message; checks only what it needs to stay inside both
 *	ok	is this message within the limits? Used in both directions, so
 *		that what is sent is what would be accepted
 *	put	message -> bytes
 *
 * Every accepted sequence of bytes is the only encoding of its message: there
 * is no padding, reserved bits are 0, and counts are exact.
 */
#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/string.h>
#include <uapi/linux/rmai.h>
#include "wire.h"
#else
#include "wire_user.h"
#endif
#include "wire_format.h"

static_assert(RMAI_MAX_NODES == RMAI_WIRE_NODES);
static_assert(RMAI_NAME_MAX == RMAI_WIRE_NAME);

#define PAGE_MIN	RMAI_VMR_MIN	/* smallest page that a node can have */
#define SEALS_ALL	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define ACCESS_ALL	(4 | 2)		/* MAY_READ | MAY_WRITE */

/* What of the received bytes has not been decoded yet */
struct input {
	const u8	*p;
	size_t		left;
};

static const void *take(struct input *in, size_t len)
{
	const u8 *p = in->p;

	if (in->left < len)
		return NULL;
	in->p += len;
	in->left -= len;
	return p;
}

static bool is_reply(const struct rmai_msg *msg)
{
	return msg->flags & RMAI_MSG_F_REPLY;
}

static bool node_ok(u16 id)
{
	return id >= 1 && id <= RMAI_WIRE_NODES;
}

static bool is_multiple(u64 value, u64 of)
{
	u64 rest;

	div64_u64_rem(value, of, &rest);
	return !rest;
}

static bool range_ok(u64 addr, u64 len)
{
	return len && addr <= U64_MAX - len;
}

/**
 * rmai_wire_name_ok() - may a region have this name?
 * @name: need not be terminated
 * @len: bytes of it
 *
 * Return: true for 1 .. RMAI_WIRE_NAME bytes without '/' and NUL that are
 * neither "." nor "..".
 */
bool rmai_wire_name_ok(const char *name, size_t len)
{
	if (!len || len > RMAI_WIRE_NAME)
		return false;
	if (memchr(name, '/', len) || memchr(name, 0, len))
		return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

/**
 * rmai_wire_cluster_ok() - may a cluster have this name?
 * @name: need not be terminated
 * @len: bytes of it
 *
 * The name of a cluster is written to logs before its sender is trusted.
 *
 * Return: true for 1 .. RMAI_WIRE_CLUSTER printable ASCII characters, no space.
 */
bool rmai_wire_cluster_ok(const char *name, size_t len)
{
	size_t i;

	if (!len || len > RMAI_WIRE_CLUSTER)
		return false;
	for (i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return true;
}

/* HELLO */

static bool hello_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_hello *h = &msg->hello;
	size_t len = strnlen(h->cluster, sizeof(h->cluster));

	return h->window_start < RMAI_WIRE_SIZE_LIMIT &&
	       h->window_size < RMAI_WIRE_SIZE_LIMIT &&
	       h->pool_total < RMAI_WIRE_SIZE_LIMIT &&
	       h->pool_used < RMAI_WIRE_SIZE_LIMIT &&
	       h->page_size >= PAGE_MIN && h->page_size <= RMAI_VMR_MAX &&
	       is_power_of_2(h->page_size) &&
	       h->key_pages && h->key_pages <= RMAI_VMR_MAX / h->page_size &&
	       h->role && !(h->role & ~(RMAI_ROLE_MEMORY | RMAI_ROLE_COMPUTE)) &&
	       h->refusal < (is_reply(msg) ? RMAI_REFUSE_NR : 1) &&
	       rmai_wire_cluster_ok(h->cluster, len);
}

static void *hello_put(const struct rmai_msg *msg, void *p)
{
	const struct rmai_msg_hello *h = &msg->hello;
	size_t len = strnlen(h->cluster, RMAI_WIRE_CLUSTER);
	struct wire_hello *w = p;

	w->window_start = cpu_to_le64(h->window_start);
	w->window_size = cpu_to_le64(h->window_size);
	w->members = cpu_to_le64(h->members);
	w->pool_total = cpu_to_le64(h->pool_total);
	w->pool_used = cpu_to_le64(h->pool_used);
	w->page_size = cpu_to_le32(h->page_size);
	w->key_pages = cpu_to_le32(h->key_pages);
	w->role = cpu_to_le16(h->role);
	w->refusal = cpu_to_le16(h->refusal);
	memset(w->cluster, 0, sizeof(w->cluster));
	memcpy(w->cluster, h->cluster, len);
	return w + 1;
}

static bool hello_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_hello *w = take(in, sizeof(*w));
	struct rmai_msg_hello *h = &msg->hello;
	size_t i;

	if (!w)
		return false;
	h->window_start = le64_to_cpu(w->window_start);
	h->window_size = le64_to_cpu(w->window_size);
	h->members = le64_to_cpu(w->members);
	h->pool_total = le64_to_cpu(w->pool_total);
	h->pool_used = le64_to_cpu(w->pool_used);
	h->page_size = le32_to_cpu(w->page_size);
	h->key_pages = le32_to_cpu(w->key_pages);
	h->role = le16_to_cpu(w->role);
	h->refusal = le16_to_cpu(w->refusal);
	memcpy(h->cluster, w->cluster, sizeof(w->cluster));
	h->cluster[RMAI_WIRE_CLUSTER] = 0;
	for (i = strnlen(w->cluster, sizeof(w->cluster)); i < sizeof(w->cluster); i++)
		if (w->cluster[i])
			return false;
	return true;
}

/* PING */

static bool ping_ok(const struct rmai_msg *msg)
{
	return msg->ping.pool_total < RMAI_WIRE_SIZE_LIMIT &&
	       msg->ping.pool_used < RMAI_WIRE_SIZE_LIMIT;
}

static void *ping_put(const struct rmai_msg *msg, void *p)
{
	struct wire_ping *w = p;

	w->pool_total = cpu_to_le64(msg->ping.pool_total);
	w->pool_used = cpu_to_le64(msg->ping.pool_used);
	return w + 1;
}

static bool ping_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_ping *w = take(in, sizeof(*w));

	if (!w)
		return false;
	msg->ping.pool_total = le64_to_cpu(w->pool_total);
	msg->ping.pool_used = le64_to_cpu(w->pool_used);
	return true;
}

/* Attributes: part of several bodies */

static bool layout_ok(const struct rmai_wire_attr *a)
{
	u64 seen = 0, bit;
	u16 i;

	if (a->nr_nodes > RMAI_WIRE_NODES)
		return false;
	for (i = 0; i < a->nr_nodes; i++) {
		if (!node_ok(a->nodes[i].id))
			return false;
		bit = 1ULL << (a->nodes[i].id - 1);
		if (seen & bit)
			return false;
		seen |= bit;
	}
	return true;
}

/*
 * Attributes of which some may be absent (0) or of no concern, but none is out
 * of bounds. Whether a stripe that is asked for fits the VMR size depends on what
 * else the region has: its owner knows.
 */
static bool some_attr_ok(const struct rmai_wire_attr *a)
{
	return a->size < RMAI_WIRE_SIZE_LIMIT &&
	       a->addr < RMAI_WIRE_SIZE_LIMIT && !(a->addr % PAGE_MIN) &&
	       a->length < RMAI_WIRE_SIZE_LIMIT &&
	       a->vmr_size <= RMAI_VMR_MAX && !(a->vmr_size % RMAI_VMR_MIN) &&
	       a->stripe < RMAI_WIRE_SIZE_LIMIT && !(a->stripe % PAGE_MIN) &&
	       a->mode <= 07777 && a->uid != (u32)-1 && a->gid != (u32)-1 &&
	       !(a->seals & ~SEALS_ALL) && a->on_loss <= RMAI_ON_LOSS_SIGBUS &&
	       !(a->flags & ~RMAI_REGION_ANON) &&
	       a->owner <= RMAI_WIRE_NODES && layout_ok(a);
}

/* Attributes of a region, as its owner tells them */
static bool whole_attr_ok(const struct rmai_wire_attr *a)
{
	return some_attr_ok(a) && a->id && a->owner && a->nr_nodes &&
	       a->vmr_size && a->stripe && is_multiple(a->stripe, a->vmr_size) &&
	       !(a->length % PAGE_MIN) &&
	       !a->addr == !a->length;
}

static void *attr_put(const struct rmai_wire_attr *a, void *p)
{
	struct wire_attr *w = p;
	u16 i;

	w->id = cpu_to_le64(a->id);
	w->owner_epoch = cpu_to_le64(a->owner_epoch);
	w->size = cpu_to_le64(a->size);
	w->addr = cpu_to_le64(a->addr);
	w->length = cpu_to_le64(a->length);
	w->vmr_size = cpu_to_le64(a->vmr_size);
	w->stripe = cpu_to_le64(a->stripe);
	w->ctime_ns = cpu_to_le64(a->ctime_ns);
	w->mtime_ns = cpu_to_le64(a->mtime_ns);
	w->change = cpu_to_le64(a->change);
	w->mode = cpu_to_le32(a->mode);
	w->uid = cpu_to_le32(a->uid);
	w->gid = cpu_to_le32(a->gid);
	w->nlink = cpu_to_le32(a->nlink);
	w->seals = cpu_to_le32(a->seals);
	w->on_loss = cpu_to_le32(a->on_loss);
	w->flags = cpu_to_le32(a->flags);
	w->owner = cpu_to_le16(a->owner);
	w->nr_nodes = cpu_to_le16(a->nr_nodes);
	for (i = 0; i < a->nr_nodes; i++) {
		w->nodes[i].epoch = cpu_to_le64(a->nodes[i].epoch);
		w->nodes[i].id = cpu_to_le16(a->nodes[i].id);
	}
	return &w->nodes[i];
}

static bool attr_get(struct rmai_wire_attr *a, struct input *in)
{
	const struct wire_attr *w = take(in, sizeof(*w));
	const struct wire_node *n;
	u16 i;

	if (!w)
		return false;
	a->id = le64_to_cpu(w->id);
	a->owner_epoch = le64_to_cpu(w->owner_epoch);
	a->size = le64_to_cpu(w->size);
	a->addr = le64_to_cpu(w->addr);
	a->length = le64_to_cpu(w->length);
	a->vmr_size = le64_to_cpu(w->vmr_size);
	a->stripe = le64_to_cpu(w->stripe);
	a->ctime_ns = le64_to_cpu(w->ctime_ns);
	a->mtime_ns = le64_to_cpu(w->mtime_ns);
	a->change = le64_to_cpu(w->change);
	a->mode = le32_to_cpu(w->mode);
	a->uid = le32_to_cpu(w->uid);
	a->gid = le32_to_cpu(w->gid);
	a->nlink = le32_to_cpu(w->nlink);
	a->seals = le32_to_cpu(w->seals);
	a->on_loss = le32_to_cpu(w->on_loss);
	a->flags = le32_to_cpu(w->flags);
	a->owner = le16_to_cpu(w->owner);
	a->nr_nodes = le16_to_cpu(w->nr_nodes);
	if (a->nr_nodes > RMAI_WIRE_NODES)
		return false;
	n = take(in, a->nr_nodes * sizeof(*n));
	if (!n)
		return false;
	for (i = 0; i < a->nr_nodes; i++) {
		a->nodes[i].epoch = le64_to_cpu(n[i].epoch);
		a->nodes[i].id = le16_to_cpu(n[i].id);
	}
	return true;
}

/* Replies that tell a region's attributes */

static bool region_ok(const struct rmai_msg *msg)
{
	return whole_attr_ok(&msg->attr.attr);
}

static void *region_put(const struct rmai_msg *msg, void *p)
{
	return attr_put(&msg->attr.attr, p);
}

static bool region_get(struct rmai_msg *msg, struct input *in)
{
	return attr_get(&msg->attr.attr, in);
}

/* LOOKUP, CREATE, LINK, UNLINK */

static bool create_ok(const struct rmai_msg_name *n)
{
	bool anon = n->attr.flags & RMAI_REGION_ANON;
	u16 i;

	if (n->id || !some_attr_ok(&n->attr) || anon != !n->len)
		return false;
	if (n->len && !rmai_wire_name_ok(n->name, n->len))
		return false;
	for (i = 0; i < n->attr.nr_nodes; i++)
		if (n->attr.nodes[i].epoch)
			return false;
	return true;
}

static bool name_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_name *n = &msg->name;
	u32 flags = 0;

	switch (msg->type) {
	case RMAI_MSG_CREATE:
		return !n->flags && create_ok(n);
	case RMAI_MSG_LOOKUP:
		if (n->id || n->token)
			return false;
		break;
	case RMAI_MSG_LINK:
		flags = RMAI_NAME_EXCL;
		if (!n->id)
			return false;
		break;
	case RMAI_MSG_UNLINK:
		flags = RMAI_NAME_RENAMED;
		if (!n->id || n->token)
			return false;
		break;
	}
	return !(n->flags & ~flags) && rmai_wire_name_ok(n->name, n->len);
}

static void *name_put(const struct rmai_msg *msg, void *p)
{
	const struct rmai_msg_name *n = &msg->name;
	struct wire_name *w = p;

	w->id = cpu_to_le64(n->id);
	w->token = cpu_to_le64(n->token);
	w->flags = cpu_to_le32(n->flags);
	w->len = cpu_to_le16(n->len);
	memcpy(w->name, n->name, n->len);
	p = w->name + n->len;
	return msg->type == RMAI_MSG_CREATE ? attr_put(&n->attr, p) : p;
}

static bool name_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_name *w = take(in, sizeof(*w));
	struct rmai_msg_name *n = &msg->name;
	const char *name;

	if (!w)
		return false;
	n->id = le64_to_cpu(w->id);
	n->token = le64_to_cpu(w->token);
	n->flags = le32_to_cpu(w->flags);
	n->len = le16_to_cpu(w->len);
	if (n->len > RMAI_WIRE_NAME)
		return false;
	name = take(in, n->len);
	if (!name)
		return false;
	memcpy(n->name, name, n->len);
	n->name[n->len] = 0;
	return msg->type != RMAI_MSG_CREATE || attr_get(&n->attr, in);
}

/* GETATTR, CLOSE, UNREF, FREE; replies to LOOKUP, LINK, UNLINK */

static bool id_ok(const struct rmai_msg *msg)
{
	return msg->id.id || (msg->type == RMAI_MSG_LINK && is_reply(msg));
}

static void *id_put(const struct rmai_msg *msg, void *p)
{
	struct wire_id *w = p;

	w->id = cpu_to_le64(msg->id.id);
	w->owner_epoch = cpu_to_le64(msg->id.owner_epoch);
	return w + 1;
}

static bool id_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_id *w = take(in, sizeof(*w));

	if (!w)
		return false;
	msg->id.id = le64_to_cpu(w->id);
	msg->id.owner_epoch = le64_to_cpu(w->owner_epoch);
	return true;
}

/* OPEN, ATTACH */

static bool open_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_open *o = &msg->open;

	if (msg->type == RMAI_MSG_OPEN)
		return o->id && !o->addr && !o->uid && !o->gid && !o->access;
	return !o->id && o->addr && o->addr < RMAI_WIRE_SIZE_LIMIT &&
	       o->uid != (u32)-1 && o->gid != (u32)-1 &&
	       !(o->access & ~ACCESS_ALL);
}

static void *open_put(const struct rmai_msg *msg, void *p)
{
	struct wire_open *w = p;

	w->id = cpu_to_le64(msg->open.id);
	w->addr = cpu_to_le64(msg->open.addr);
	w->uid = cpu_to_le32(msg->open.uid);
	w->gid = cpu_to_le32(msg->open.gid);
	w->access = cpu_to_le32(msg->open.access);
	return w + 1;
}

static bool open_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_open *w = take(in, sizeof(*w));

	if (!w)
		return false;
	msg->open.id = le64_to_cpu(w->id);
	msg->open.addr = le64_to_cpu(w->addr);
	msg->open.uid = le32_to_cpu(w->uid);
	msg->open.gid = le32_to_cpu(w->gid);
	msg->open.access = le32_to_cpu(w->access);
	return true;
}

/* SETATTR, SEAL, ADDR, TRUNC, FREEZE */

static bool setattr_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_setattr *s = &msg->setattr;
	u32 sizes = s->mask & (RMAI_SET_SIZE | RMAI_SET_EXTEND);

	if (!s->id || !some_attr_ok(&s->attr))
		return false;
	if (s->mask & ~(msg->type == RMAI_MSG_SETATTR ? RMAI_SET_ALL : 0))
		return false;
	if (sizes == (RMAI_SET_SIZE | RMAI_SET_EXTEND))
		return false;
	if ((s->mask & RMAI_SET_VMR_SIZE) && !s->attr.vmr_size)
		return false;
	return !(s->mask & RMAI_SET_LAYOUT) || s->attr.nr_nodes;
}

static void *setattr_put(const struct rmai_msg *msg, void *p)
{
	struct wire_setattr *w = p;

	w->id = cpu_to_le64(msg->setattr.id);
	w->owner_epoch = cpu_to_le64(msg->setattr.owner_epoch);
	w->mask = cpu_to_le32(msg->setattr.mask);
	return attr_put(&msg->setattr.attr, w + 1);
}

static bool setattr_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_setattr *w = take(in, sizeof(*w));

	if (!w)
		return false;
	msg->setattr.id = le64_to_cpu(w->id);
	msg->setattr.owner_epoch = le64_to_cpu(w->owner_epoch);
	msg->setattr.mask = le32_to_cpu(w->mask);
	return attr_get(&msg->setattr.attr, in);
}

/* READDIR */

int rmai_wire_dirent(const struct rmai_msg_readdir *rd, size_t *pos, u64 *id,
		     u64 *cookie, const char **name)
{
	struct input in = { rd->data, rd->bytes };
	const struct wire_dirent *w;

	if (rd->bytes > sizeof(rd->data) || !take(&in, *pos))
		return 0;
	w = take(&in, sizeof(*w));
	if (!w)
		return 0;
	*name = take(&in, w->len);
	if (!*name)
		return 0;
	*id = le64_to_cpu(w->id);
	*cookie = le64_to_cpu(w->cookie);
	*pos += sizeof(*w) + w->len;
	return w->len;
}

int rmai_wire_add_dirent(struct rmai_msg_readdir *rd, u64 id, u64 cookie,
			 const char *name, size_t len)
{
	struct wire_dirent *w;

	if (!id || !cookie || (rd->nr && cookie <= rd->cookie) ||
	    !rmai_wire_name_ok(name, len))
		return -EINVAL;
	if (sizeof(*w) + len > sizeof(rd->data) - rd->bytes)
		return -ENOSPC;
	w = (struct wire_dirent *)(rd->data + rd->bytes);
	w->id = cpu_to_le64(id);
	w->cookie = cpu_to_le64(cookie);
	w->len = len;
	memcpy(w->name, name, len);
	rd->bytes += sizeof(*w) + len;
	rd->cookie = cookie;
	rd->nr++;
	return 0;
}

/*
 * Cookies grow from entry to entry, the last is the reply's, and a reply without
 * entries is the last one: so a reader that goes on after it always gets on.
 */
static bool readdir_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_readdir *rd = &msg->readdir;
	u64 id, cookie, last = 0;
	const char *name;
	size_t pos = 0;
	u16 nr = 0;
	int len;

	if (!is_reply(msg))
		return true;
	if (rd->bytes > sizeof(rd->data) || rd->eof > 1)
		return false;
	if (!rd->nr)
		return !rd->bytes && rd->eof;
	while ((len = rmai_wire_dirent(rd, &pos, &id, &cookie, &name))) {
		if (!id || cookie <= last || !rmai_wire_name_ok(name, len))
			return false;
		last = cookie;
		nr++;
	}
	return pos == rd->bytes && nr == rd->nr && last == rd->cookie;
}

static void *readdir_put(const struct rmai_msg *msg, void *p)
{
	const struct rmai_msg_readdir *rd = &msg->readdir;
	struct wire_readdir *w = p;

	w->cookie = cpu_to_le64(rd->cookie);
	if (!is_reply(msg))
		return p + sizeof(w->cookie);
	w->nr = cpu_to_le16(rd->nr);
	w->eof = cpu_to_le16(rd->eof);
	w->bytes = cpu_to_le16(rd->bytes);
	memcpy(w->data, rd->data, rd->bytes);
	return w->data + rd->bytes;
}

static bool readdir_get(struct rmai_msg *msg, struct input *in)
{
	struct rmai_msg_readdir *rd = &msg->readdir;
	const struct wire_readdir *w;
	const u8 *data;

	w = take(in, is_reply(msg) ? sizeof(*w) : sizeof(w->cookie));
	if (!w)
		return false;
	rd->cookie = le64_to_cpu(w->cookie);
	rd->nr = 0;
	rd->eof = 0;
	rd->bytes = 0;
	if (!is_reply(msg))
		return true;
	rd->nr = le16_to_cpu(w->nr);
	rd->eof = le16_to_cpu(w->eof);
	rd->bytes = le16_to_cpu(w->bytes);
	if (rd->bytes > sizeof(rd->data))
		return false;
	data = take(in, rd->bytes);
	if (!data)
		return false;
	memcpy(rd->data, data, rd->bytes);
	return true;
}

/* KEYS */

static bool keys_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_keys *k = &msg->keys;
	u16 i;

	if (!k->id || !k->nr || k->nr > RMAI_WIRE_KEYS || !range_ok(k->first, k->nr))
		return false;
	for (i = 0; is_reply(msg) && i < k->nr; i++)
		if (k->keys[i].len % PAGE_MIN || k->keys[i].len > RMAI_VMR_MAX ||
		    !range_ok(k->keys[i].addr, k->keys[i].len))
			return false;
	return true;
}

static void *key_put(const struct rmai_wire_key *key, void *p)
{
	struct wire_key *w = p;

	w->addr = cpu_to_le64(key->addr);
	w->rkey = cpu_to_le32(key->rkey);
	w->len = cpu_to_le32(key->len);
	return w + 1;
}

static bool key_get(struct rmai_wire_key *key, struct input *in)
{
	const struct wire_key *w = take(in, sizeof(*w));

	if (!w)
		return false;
	key->addr = le64_to_cpu(w->addr);
	key->rkey = le32_to_cpu(w->rkey);
	key->len = le32_to_cpu(w->len);
	return true;
}

static void *keys_put(const struct rmai_msg *msg, void *p)
{
	const struct rmai_msg_keys *k = &msg->keys;
	struct wire_keys *w = p;
	u16 i;

	w->id = cpu_to_le64(k->id);
	w->owner_epoch = cpu_to_le64(k->owner_epoch);
	w->home_epoch = cpu_to_le64(k->home_epoch);
	w->first = cpu_to_le64(k->first);
	w->nr = cpu_to_le16(k->nr);
	p = w + 1;
	for (i = 0; is_reply(msg) && i < k->nr; i++)
		p = key_put(&k->keys[i], p);
	return p;
}

static bool keys_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_keys *w = take(in, sizeof(*w));
	struct rmai_msg_keys *k = &msg->keys;
	u16 i;

	if (!w)
		return false;
	k->id = le64_to_cpu(w->id);
	k->owner_epoch = le64_to_cpu(w->owner_epoch);
	k->home_epoch = le64_to_cpu(w->home_epoch);
	k->first = le64_to_cpu(w->first);
	k->nr = le16_to_cpu(w->nr);
	if (k->nr > RMAI_WIRE_KEYS)
		return false;
	for (i = 0; is_reply(msg) && i < k->nr; i++)
		if (!key_get(&k->keys[i], in))
			return false;
	return true;
}

/* READ, WRITE */

static bool io_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_io *io = &msg->io;

	if (!io->id || !io->len || io->len > RMAI_WIRE_DATA_MAX ||
	    io->off >= RMAI_WIRE_SIZE_LIMIT - io->len)
		return false;
	return is_reply(msg) || (io->key.len == io->len &&
				 range_ok(io->key.addr, io->key.len));
}

static void *io_put(const struct rmai_msg *msg, void *p)
{
	const struct rmai_msg_io *io = &msg->io;
	struct wire_io *w = p;

	w->id = cpu_to_le64(io->id);
	w->owner_epoch = cpu_to_le64(io->owner_epoch);
	w->home_epoch = cpu_to_le64(io->home_epoch);
	w->off = cpu_to_le64(io->off);
	w->len = cpu_to_le32(io->len);
	return is_reply(msg) ? w + 1 : key_put(&io->key, w + 1);
}

static bool io_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_io *w = take(in, sizeof(*w));
	struct rmai_msg_io *io = &msg->io;

	if (!w)
		return false;
	io->id = le64_to_cpu(w->id);
	io->owner_epoch = le64_to_cpu(w->owner_epoch);
	io->home_epoch = le64_to_cpu(w->home_epoch);
	io->off = le64_to_cpu(w->off);
	io->len = le32_to_cpu(w->len);
	io->key = (struct rmai_wire_key){};
	return is_reply(msg) || key_get(&io->key, in);
}

/* Replies that say only that it was done */

static bool none_ok(const struct rmai_msg *msg)
{
	return true;
}

static void *none_put(const struct rmai_msg *msg, void *p)
{
	return p;
}

static bool none_get(struct rmai_msg *msg, struct input *in)
{
	return true;
}

struct body {
	bool (*ok)(const struct rmai_msg *msg);
	void *(*put)(const struct rmai_msg *msg, void *p);	/* returns its end */
	bool (*get)(struct rmai_msg *msg, struct input *in);
};

#define BODY(b) static const struct body b##_body = { b##_ok, b##_put, b##_get }
BODY(hello);
BODY(ping);
BODY(region);
BODY(name);
BODY(id);
BODY(open);
BODY(setattr);
BODY(readdir);
BODY(keys);
BODY(io);
BODY(none);

static const struct {
	const char		*name;
	const struct body	*request;
	const struct body	*reply;
} types[RMAI_MSG_NR] = {
	[RMAI_MSG_HELLO]	= { "HELLO",   &hello_body,    &hello_body },
	[RMAI_MSG_PING]		= { "PING",    &ping_body,     &ping_body },
	[RMAI_MSG_LOOKUP]	= { "LOOKUP",  &name_body,     &id_body },
	[RMAI_MSG_CREATE]	= { "CREATE",  &name_body,     &region_body },
	[RMAI_MSG_LINK]		= { "LINK",    &name_body,     &id_body },
	[RMAI_MSG_UNLINK]	= { "UNLINK",  &name_body,     &id_body },
	[RMAI_MSG_READDIR]	= { "READDIR", &readdir_body,  &readdir_body },
	[RMAI_MSG_GETATTR]	= { "GETATTR", &id_body,       &region_body },
	[RMAI_MSG_SETATTR]	= { "SETATTR", &setattr_body,  &region_body },
	[RMAI_MSG_SEAL]		= { "SEAL",    &setattr_body,  &region_body },
	[RMAI_MSG_OPEN]		= { "OPEN",    &open_body,     &region_body },
	[RMAI_MSG_CLOSE]	= { "CLOSE",   &id_body,       &none_body },
	[RMAI_MSG_UNREF]	= { "UNREF",   &id_body,       &none_body },
	[RMAI_MSG_ADDR]		= { "ADDR",    &setattr_body,  &region_body },
	[RMAI_MSG_ATTACH]	= { "ATTACH",  &open_body,     &region_body },
	[RMAI_MSG_TRUNC]	= { "TRUNC",   &setattr_body,  &none_body },
	[RMAI_MSG_FREEZE]	= { "FREEZE",  &setattr_body,  &none_body },
	[RMAI_MSG_FREE]		= { "FREE",    &id_body,       &none_body },
	[RMAI_MSG_KEYS]		= { "KEYS",    &keys_body,     &keys_body },
	[RMAI_MSG_READ]		= { "READ",    &io_body,       &io_body },
	[RMAI_MSG_WRITE]	= { "WRITE",   &io_body,       &io_body },
};

static const struct body *body_of(const struct rmai_msg *msg)
{
	if (!is_reply(msg))
		return types[msg->type].request;
	if (msg->status && msg->type != RMAI_MSG_HELLO)
		return &none_body;
	return types[msg->type].reply;
}

static bool header_ok(const struct rmai_msg *msg)
{
	if (msg->type >= RMAI_MSG_NR || !types[msg->type].name ||
	    msg->flags & ~RMAI_MSG_F_REPLY)
		return false;
	if (!node_ok(msg->src) || !node_ok(msg->dst) || !msg->epoch)
		return false;
	if (is_reply(msg))
		return msg->status <= 0 && msg->status >= -4095;
	return !msg->status && (msg->type != RMAI_MSG_HELLO || !msg->dst_epoch);
}

int rmai_wire_encode(const struct rmai_msg *msg, void *buf)
{
	const struct body *body;
	struct wire_hdr *w = buf;
	u32 length;

	if (!header_ok(msg))
		return -EINVAL;
	body = body_of(msg);
	if (!body->ok(msg))
		return -EINVAL;
	length = (u8 *)body->put(msg, w + 1) - (u8 *)buf;
	w->magic = cpu_to_le32(RMAI_WIRE_MAGIC);
	w->version = RMAI_WIRE_VERSION;
	w->type = msg->type;
	w->flags = msg->flags;
	w->reserved = 0;
	w->length = cpu_to_le32(length);
	w->xid = cpu_to_le32(msg->xid);
	w->src = cpu_to_le16(msg->src);
	w->dst = cpu_to_le16(msg->dst);
	w->status = cpu_to_le32(msg->status);
	w->epoch = cpu_to_le64(msg->epoch);
	w->dst_epoch = cpu_to_le64(msg->dst_epoch);
	return length;
}

int rmai_wire_decode(const void *buf, size_t len, struct rmai_msg *msg)
{
	struct input in = { buf, len };
	const struct wire_hdr *w = buf;
	const struct body *body;

	msg->type = 0;
	msg->src = 0;
	msg->dst = 0;
	if (len <= offsetof(struct wire_hdr, version) || len > RMAI_WIRE_MAX ||
	    le32_to_cpu(w->magic) != RMAI_WIRE_MAGIC)
		return -EPROTO;
	if (!take(&in, sizeof(*w)))
		return w->version == RMAI_WIRE_VERSION ? -EPROTO : -EPROTONOSUPPORT;
	msg->type = w->type;
	msg->flags = w->flags;
	msg->src = le16_to_cpu(w->src);
	msg->dst = le16_to_cpu(w->dst);
	msg->epoch = le64_to_cpu(w->epoch);
	msg->dst_epoch = le64_to_cpu(w->dst_epoch);
	msg->xid = le32_to_cpu(w->xid);
	msg->status = (s32)le32_to_cpu(w->status);
	if (w->version != RMAI_WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (w->reserved || le32_to_cpu(w->length) != len || !header_ok(msg))
		return -EPROTO;
	body = body_of(msg);
	return body->get(msg, &in) && !in.left && body->ok(msg) ? 0 : -EPROTO;
}

const char *rmai_msg_name(u8 type)
{
	return type < RMAI_MSG_NR && types[type].name ? types[type].name : "?";
}

const char *rmai_refusal_name(u16 refusal)
{
	static const char * const names[RMAI_REFUSE_NR] = {
		[RMAI_REFUSE_NONE]	= "not refused",
		[RMAI_REFUSE_VERSION]	= "speaks another version of the wire protocol",
		[RMAI_REFUSE_CLUSTER]	= "belongs to another cluster",
		[RMAI_REFUSE_WINDOW]	= "has another address window or page size",
		[RMAI_REFUSE_MEMBERS]	= "has another list of memory nodes",
		[RMAI_REFUSE_NOT_ME]	= "expects a node of another id here",
		[RMAI_REFUSE_UNKNOWN]	= "is not configured here",
		[RMAI_REFUSE_DUPLICATE]	= "has an id that another node has",
		[RMAI_REFUSE_ROLE]	= "has another role in the configuration here",
	};

	return refusal < RMAI_REFUSE_NR ? names[refusal] : "unknown reason";
}

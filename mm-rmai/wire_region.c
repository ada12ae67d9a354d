// SPDX-License-Identifier: GPL-2.0
/*
 * The wire protocol's codec: bodies of messages about names, and about regions as a
 * whole. wire.c says what the functions of a body are for.
 */
#include "wire_codec.h"

static_assert(RMAI_NAME_MAX == RMAI_WIRE_NAME);

#define SEALS_ALL	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define ACCESS_ALL	(4 | 2)		/* MAY_READ | MAY_WRITE */

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
	       !(a->flags & ~RMAI_REGION_ANON) && !(a->fetch & ~RMAI_FETCH_ALL) &&
	       (!a->cache_max || a->cache_min <= a->cache_max) &&
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
	w->cache_min = cpu_to_le64(a->cache_min);
	w->cache_max = cpu_to_le64(a->cache_max);
	w->mode = cpu_to_le32(a->mode);
	w->uid = cpu_to_le32(a->uid);
	w->gid = cpu_to_le32(a->gid);
	w->nlink = cpu_to_le32(a->nlink);
	w->seals = cpu_to_le32(a->seals);
	w->on_loss = cpu_to_le32(a->on_loss);
	w->flags = cpu_to_le32(a->flags);
	w->fetch = cpu_to_le32(a->fetch);
	w->generation = cpu_to_le32(a->generation);
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
	a->cache_min = le64_to_cpu(w->cache_min);
	a->cache_max = le64_to_cpu(w->cache_max);
	a->mode = le32_to_cpu(w->mode);
	a->uid = le32_to_cpu(w->uid);
	a->gid = le32_to_cpu(w->gid);
	a->nlink = le32_to_cpu(w->nlink);
	a->seals = le32_to_cpu(w->seals);
	a->on_loss = le32_to_cpu(w->on_loss);
	a->flags = le32_to_cpu(w->flags);
	a->fetch = le32_to_cpu(w->fetch);
	a->generation = le32_to_cpu(w->generation);
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

/* A name with a NUL behind it */
static bool text_get(char *text, u16 len, struct input *in)
{
	const char *from;

	if (len > RMAI_WIRE_NAME)
		return false;
	from = take(in, len);
	if (!from)
		return false;
	memcpy(text, from, len);
	text[len] = 0;
	return true;
}

static bool name_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_name *w = take(in, sizeof(*w));
	struct rmai_msg_name *n = &msg->name;

	if (!w)
		return false;
	n->id = le64_to_cpu(w->id);
	n->token = le64_to_cpu(w->token);
	n->flags = le32_to_cpu(w->flags);
	n->len = le16_to_cpu(w->len);
	if (!text_get(n->name, n->len, in))
		return false;
	return msg->type != RMAI_MSG_CREATE || attr_get(&n->attr, in);
}

/* GETATTR, CLOSE, UNREF, FREE; replies to LOOKUP, LINK, UNLINK, PUBLISH */

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

/* PUBLISH */

static bool publish_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_publish *p = &msg->publish;

	return p->id && p->old && p->id != p->old && p->generation &&
	       rmai_wire_name_ok(p->name, p->len) &&
	       rmai_wire_name_ok(p->from, p->from_len);
}

static void *publish_put(const struct rmai_msg *msg, void *p)
{
	const struct rmai_msg_publish *pub = &msg->publish;
	struct wire_publish *w = p;

	w->id = cpu_to_le64(pub->id);
	w->owner_epoch = cpu_to_le64(pub->owner_epoch);
	w->old = cpu_to_le64(pub->old);
	w->generation = cpu_to_le32(pub->generation);
	w->len = cpu_to_le16(pub->len);
	w->from_len = cpu_to_le16(pub->from_len);
	memcpy(w->names, pub->name, pub->len);
	memcpy(w->names + pub->len, pub->from, pub->from_len);
	return w->names + pub->len + pub->from_len;
}

static bool publish_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_publish *w = take(in, sizeof(*w));
	struct rmai_msg_publish *p = &msg->publish;

	if (!w)
		return false;
	p->id = le64_to_cpu(w->id);
	p->owner_epoch = le64_to_cpu(w->owner_epoch);
	p->old = le64_to_cpu(w->old);
	p->generation = le32_to_cpu(w->generation);
	p->len = le16_to_cpu(w->len);
	p->from_len = le16_to_cpu(w->from_len);
	return text_get(p->name, p->len, in) && text_get(p->from, p->from_len, in);
}

BODY(region);
BODY(name);
BODY(id);
BODY(open);
BODY(setattr);
BODY(readdir);
BODY(publish);

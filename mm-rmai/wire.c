// SPDX-License-Identifier: GPL-2.0
/*
 * The wire protocol's codec: bytes to struct rmai_msg and back.
 *
 * A message is a header and at most one body; which one follows from the type
 * and from whether it is a reply (the table at the end). Here are the bodies of what
 * concerns nodes; those about names and whole regions are in wire_region.c, those about
 * their bytes in wire_bytes.c.
 * For each body there are three functions:
 *
 *	get	bytes -> message; checks only what it needs to stay inside both
 *	ok	is this message within the limits? Used in both directions, so
 *		that what is sent is what would be accepted
 *	put	message -> bytes
 *
 * Every accepted sequence of bytes is the only encoding of its message: there
 * is no padding, reserved bits are 0, and counts are exact.
 */
#include "wire_codec.h"

static_assert(RMAI_MAX_NODES == RMAI_WIRE_NODES);

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
	       h->lease_ms <= RMAI_WIRE_LEASE_MAX &&
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
	w->lease_ms = cpu_to_le32(h->lease_ms);
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
	h->lease_ms = le32_to_cpu(w->lease_ms);
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
	       msg->ping.pool_used < RMAI_WIRE_SIZE_LIMIT &&
	       msg->ping.lease_ms <= RMAI_WIRE_LEASE_MAX;
}

static void *ping_put(const struct rmai_msg *msg, void *p)
{
	struct wire_ping *w = p;

	w->pool_total = cpu_to_le64(msg->ping.pool_total);
	w->pool_used = cpu_to_le64(msg->ping.pool_used);
	w->lease_ms = cpu_to_le32(msg->ping.lease_ms);
	return w + 1;
}

static bool ping_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_ping *w = take(in, sizeof(*w));

	if (!w)
		return false;
	msg->ping.pool_total = le64_to_cpu(w->pool_total);
	msg->ping.pool_used = le64_to_cpu(w->pool_used);
	msg->ping.lease_ms = le32_to_cpu(w->lease_ms);
	return true;
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

static BODY(hello);
static BODY(ping);
static BODY(none);

static const struct {
	const char		*name;
	const struct body	*request;
	const struct body	*reply;
} types[RMAI_MSG_NR] = {
	[RMAI_MSG_HELLO]	= { "HELLO",   &rmai_hello_body,    &rmai_hello_body },
	[RMAI_MSG_PING]		= { "PING",    &rmai_ping_body,     &rmai_ping_body },
	[RMAI_MSG_LOOKUP]	= { "LOOKUP",  &rmai_name_body,     &rmai_id_body },
	[RMAI_MSG_CREATE]	= { "CREATE",  &rmai_name_body,     &rmai_region_body },
	[RMAI_MSG_LINK]		= { "LINK",    &rmai_name_body,     &rmai_id_body },
	[RMAI_MSG_UNLINK]	= { "UNLINK",  &rmai_name_body,     &rmai_id_body },
	[RMAI_MSG_READDIR]	= { "READDIR", &rmai_readdir_body,  &rmai_readdir_body },
	[RMAI_MSG_GETATTR]	= { "GETATTR", &rmai_id_body,       &rmai_region_body },
	[RMAI_MSG_SETATTR]	= { "SETATTR", &rmai_setattr_body,  &rmai_region_body },
	[RMAI_MSG_SEAL]		= { "SEAL",    &rmai_setattr_body,  &rmai_region_body },
	[RMAI_MSG_OPEN]		= { "OPEN",    &rmai_open_body,     &rmai_region_body },
	[RMAI_MSG_CLOSE]	= { "CLOSE",   &rmai_id_body,       &rmai_none_body },
	[RMAI_MSG_UNREF]	= { "UNREF",   &rmai_id_body,       &rmai_none_body },
	[RMAI_MSG_ADDR]		= { "ADDR",    &rmai_setattr_body,  &rmai_region_body },
	[RMAI_MSG_ATTACH]	= { "ATTACH",  &rmai_open_body,     &rmai_region_body },
	[RMAI_MSG_TRUNC]	= { "TRUNC",   &rmai_setattr_body,  &rmai_none_body },
	[RMAI_MSG_FREEZE]	= { "FREEZE",  &rmai_setattr_body,  &rmai_none_body },
	[RMAI_MSG_FREE]		= { "FREE",    &rmai_id_body,       &rmai_none_body },
	[RMAI_MSG_KEYS]		= { "KEYS",    &rmai_keys_body,     &rmai_keys_body },
	[RMAI_MSG_WRITE]	= { "WRITE",   &rmai_io_body,       &rmai_io_body },
	[RMAI_MSG_GET_S]	= { "GET_S",   &rmai_get_body,      &rmai_get_body },
	[RMAI_MSG_GET_X]	= { "GET_X",   &rmai_get_body,      &rmai_get_body },
	[RMAI_MSG_PUT]		= { "PUT",     &rmai_get_body,      &rmai_none_body },
	[RMAI_MSG_INV]		= { "INV",     &rmai_inv_body,      &rmai_ack_body },
	[RMAI_MSG_RECALL]	= { "RECALL",  &rmai_recall_body,   &rmai_ack_body },
	[RMAI_MSG_PUBLISH]	= { "PUBLISH", &rmai_publish_body,  &rmai_id_body },
	[RMAI_MSG_VMRS]		= { "VMRS",    &rmai_vmrs_body,     &rmai_vmrs_body },
	[RMAI_MSG_RESET]	= { "RESET",   &rmai_reset_body,    &rmai_reset_body },
};

static const struct body *body_of(const struct rmai_msg *msg)
{
	if (!is_reply(msg))
		return types[msg->type].request;
	if (msg->status && msg->type != RMAI_MSG_HELLO)
		return &rmai_none_body;
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

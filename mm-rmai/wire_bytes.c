// SPDX-License-Identifier: GPL-2.0
/*
 * The wire protocol's codec: bodies of messages about the bytes of regions, and about
 * VMRs: who may reach them, who has them, what became of them. wire.c says what the
 * functions of a body are for.
 */
#include "wire_codec.h"

/* KEYS */

static bool keys_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_keys *k = &msg->keys;
	u16 i;

	if (!k->id || !k->nr || k->nr > RMAI_WIRE_KEYS || !range_ok(k->first, k->nr) ||
	    k->size >= RMAI_WIRE_SIZE_LIMIT || (!is_reply(msg) && k->gen))
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
	w->size = cpu_to_le64(k->size);
	w->gen = cpu_to_le32(k->gen);
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
	k->size = le64_to_cpu(w->size);
	k->gen = le32_to_cpu(w->gen);
	k->nr = le16_to_cpu(w->nr);
	if (k->nr > RMAI_WIRE_KEYS)
		return false;
	for (i = 0; is_reply(msg) && i < k->nr; i++)
		if (!key_get(&k->keys[i], in))
			return false;
	return true;
}

/* WRITE */

static bool io_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_io *io = &msg->io;

	if (!io->id || !io->token || !io->len || io->len > RMAI_WIRE_DATA_MAX ||
	    io->off >= RMAI_WIRE_SIZE_LIMIT - io->len)
		return false;
	if (is_reply(msg) ? io->ahead : io->ahead >= RMAI_WIRE_SIZE_LIMIT - io->off)
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
	w->token = cpu_to_le64(io->token);
	w->len = cpu_to_le32(io->len);
	w->ahead = cpu_to_le64(io->ahead);
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
	io->token = le64_to_cpu(w->token);
	io->len = le32_to_cpu(w->len);
	io->ahead = le64_to_cpu(w->ahead);
	io->key = (struct rmai_wire_key){};
	return is_reply(msg) || key_get(&io->key, in);
}

/* GET_S, GET_X, PUT */

static bool get_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_get *g = &msg->get;
	u32 flags = msg->type == RMAI_MSG_PUT ? RMAI_VMR_DROP : RMAI_VMR_HAVE;

	if (is_reply(msg) && msg->type == RMAI_MSG_GET_S)
		flags |= RMAI_VMR_HOLE;

	if (!g->id || g->size >= RMAI_WIRE_SIZE_LIMIT ||
	    g->vmr >= RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN || (g->flags & ~flags))
		return false;
	if (is_reply(msg))
		return g->seq;
	return !g->gen && !g->seq == !(g->flags & RMAI_VMR_HAVE);
}

static void *get_put(const struct rmai_msg *msg, void *p)
{
	const struct rmai_msg_get *g = &msg->get;
	struct wire_get *w = p;

	w->id = cpu_to_le64(g->id);
	w->owner_epoch = cpu_to_le64(g->owner_epoch);
	w->home_epoch = cpu_to_le64(g->home_epoch);
	w->vmr = cpu_to_le64(g->vmr);
	w->size = cpu_to_le64(g->size);
	w->seq = cpu_to_le64(g->seq);
	w->gen = cpu_to_le32(g->gen);
	w->flags = cpu_to_le32(g->flags);
	return w + 1;
}

static bool get_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_get *w = take(in, sizeof(*w));
	struct rmai_msg_get *g = &msg->get;

	if (!w)
		return false;
	g->id = le64_to_cpu(w->id);
	g->owner_epoch = le64_to_cpu(w->owner_epoch);
	g->home_epoch = le64_to_cpu(w->home_epoch);
	g->vmr = le64_to_cpu(w->vmr);
	g->size = le64_to_cpu(w->size);
	g->seq = le64_to_cpu(w->seq);
	g->gen = le32_to_cpu(w->gen);
	g->flags = le32_to_cpu(w->flags);
	return true;
}

/* INV */

static bool inv_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_inv *v = &msg->inv;
	u16 i;

	if (!v->id || !v->nr || v->nr > RMAI_WIRE_INVS)
		return false;
	for (i = 0; i < v->nr; i++)
		if (!v->vmrs[i].seq || (i && v->vmrs[i].vmr <= v->vmrs[i - 1].vmr))
			return false;
	return v->vmrs[v->nr - 1].vmr < RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN;
}

static void *inv_put(const struct rmai_msg *msg, void *p)
{
	const struct rmai_msg_inv *v = &msg->inv;
	struct wire_inv *w = p;
	u16 i;

	w->id = cpu_to_le64(v->id);
	w->owner_epoch = cpu_to_le64(v->owner_epoch);
	w->nr = cpu_to_le16(v->nr);
	for (i = 0; i < v->nr; i++) {
		w->vmrs[i].vmr = cpu_to_le64(v->vmrs[i].vmr);
		w->vmrs[i].seq = cpu_to_le64(v->vmrs[i].seq);
		w->vmrs[i].grant = cpu_to_le64(v->vmrs[i].grant);
	}
	return &w->vmrs[i];
}

static bool inv_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_inv *w = take(in, sizeof(*w));
	struct rmai_msg_inv *v = &msg->inv;
	u16 i;

	if (!w)
		return false;
	v->id = le64_to_cpu(w->id);
	v->owner_epoch = le64_to_cpu(w->owner_epoch);
	v->nr = le16_to_cpu(w->nr);
	if (v->nr > RMAI_WIRE_INVS || !take(in, v->nr * sizeof(w->vmrs[0])))
		return false;
	for (i = 0; i < v->nr; i++) {
		v->vmrs[i].vmr = le64_to_cpu(w->vmrs[i].vmr);
		v->vmrs[i].seq = le64_to_cpu(w->vmrs[i].seq);
		v->vmrs[i].grant = le64_to_cpu(w->vmrs[i].grant);
	}
	return true;
}

/* RECALL */

static bool recall_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_recall *r = &msg->recall;
	u16 i;

	if (!r->id || !r->seq || !r->grant || !r->nr || r->nr > RMAI_WIRE_RECALL_KEYS ||
	    r->vmr >= RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN ||
	    r->off >= RMAI_WIRE_SIZE_LIMIT || r->off % PAGE_MIN ||
	    (r->flags & ~(RMAI_VMR_DROP | RMAI_VMR_LAST)))
		return false;
	for (i = 0; i < r->nr; i++)
		if (r->keys[i].len % PAGE_MIN || r->keys[i].len > RMAI_VMR_MAX ||
		    !range_ok(r->keys[i].addr, r->keys[i].len))
			return false;
	return true;
}

static void *recall_put(const struct rmai_msg *msg, void *p)
{
	const struct rmai_msg_recall *r = &msg->recall;
	struct wire_recall *w = p;
	u16 i;

	w->id = cpu_to_le64(r->id);
	w->owner_epoch = cpu_to_le64(r->owner_epoch);
	w->vmr = cpu_to_le64(r->vmr);
	w->seq = cpu_to_le64(r->seq);
	w->grant = cpu_to_le64(r->grant);
	w->off = cpu_to_le64(r->off);
	w->flags = cpu_to_le32(r->flags);
	w->nr = cpu_to_le16(r->nr);
	p = w + 1;
	for (i = 0; i < r->nr; i++)
		p = key_put(&r->keys[i], p);
	return p;
}

static bool recall_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_recall *w = take(in, sizeof(*w));
	struct rmai_msg_recall *r = &msg->recall;
	u16 i;

	if (!w)
		return false;
	r->id = le64_to_cpu(w->id);
	r->owner_epoch = le64_to_cpu(w->owner_epoch);
	r->vmr = le64_to_cpu(w->vmr);
	r->seq = le64_to_cpu(w->seq);
	r->grant = le64_to_cpu(w->grant);
	r->off = le64_to_cpu(w->off);
	r->flags = le32_to_cpu(w->flags);
	r->nr = le16_to_cpu(w->nr);
	if (r->nr > RMAI_WIRE_RECALL_KEYS)
		return false;
	for (i = 0; i < r->nr; i++)
		if (!key_get(&r->keys[i], in))
			return false;
	return true;
}

/* Replies to INV, RECALL */

static bool ack_ok(const struct rmai_msg *msg)
{
	return msg->ack.bytes < RMAI_WIRE_SIZE_LIMIT;
}

static void *ack_put(const struct rmai_msg *msg, void *p)
{
	struct wire_ack *w = p;

	w->bytes = cpu_to_le64(msg->ack.bytes);
	return w + 1;
}

static bool ack_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_ack *w = take(in, sizeof(*w));

	if (!w)
		return false;
	msg->ack.bytes = le64_to_cpu(w->bytes);
	return true;
}

/* VMRS */

static bool vmrs_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_vmrs *v = &msg->vmrs;
	bool lost = v->what == RMAI_VMRS_LOST;
	u16 i;

	if (!v->id || (!lost && (v->what != RMAI_VMRS_HOT || v->first)) ||
	    v->first >= RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN ||
	    v->nr > (is_reply(msg) ? RMAI_WIRE_VMRS : 0))
		return false;
	for (i = 0; i < v->nr; i++) {
		if (v->vmrs[i].vmr >= RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN ||
		    v->vmrs[i].owner > RMAI_WIRE_NODES)
			return false;
		/* So who goes on after the last one gets on */
		if (lost && v->vmrs[i].vmr < (i ? v->vmrs[i - 1].vmr + 1 : v->first))
			return false;
	}
	return true;
}

static void *vmrs_put(const struct rmai_msg *msg, void *p)
{
	const struct rmai_msg_vmrs *v = &msg->vmrs;
	struct wire_vmrs *w = p;
	u16 i;

	w->id = cpu_to_le64(v->id);
	w->owner_epoch = cpu_to_le64(v->owner_epoch);
	w->home_epoch = cpu_to_le64(v->home_epoch);
	w->first = cpu_to_le64(v->first);
	w->what = cpu_to_le16(v->what);
	w->nr = cpu_to_le16(v->nr);
	for (i = 0; i < v->nr; i++) {
		w->vmrs[i].vmr = cpu_to_le64(v->vmrs[i].vmr);
		w->vmrs[i].readers = cpu_to_le64(v->vmrs[i].readers);
		w->vmrs[i].writers = cpu_to_le64(v->vmrs[i].writers);
		w->vmrs[i].moves = cpu_to_le32(v->vmrs[i].moves);
		w->vmrs[i].invs = cpu_to_le32(v->vmrs[i].invs);
		w->vmrs[i].recalls = cpu_to_le32(v->vmrs[i].recalls);
		w->vmrs[i].owner = cpu_to_le16(v->vmrs[i].owner);
	}
	return &w->vmrs[i];
}

static bool vmrs_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_vmrs *w = take(in, sizeof(*w));
	struct rmai_msg_vmrs *v = &msg->vmrs;
	u16 i;

	if (!w)
		return false;
	v->id = le64_to_cpu(w->id);
	v->owner_epoch = le64_to_cpu(w->owner_epoch);
	v->home_epoch = le64_to_cpu(w->home_epoch);
	v->first = le64_to_cpu(w->first);
	v->what = le16_to_cpu(w->what);
	v->nr = le16_to_cpu(w->nr);
	if (v->nr > RMAI_WIRE_VMRS || !take(in, v->nr * sizeof(w->vmrs[0])))
		return false;
	for (i = 0; i < v->nr; i++) {
		v->vmrs[i].vmr = le64_to_cpu(w->vmrs[i].vmr);
		v->vmrs[i].readers = le64_to_cpu(w->vmrs[i].readers);
		v->vmrs[i].writers = le64_to_cpu(w->vmrs[i].writers);
		v->vmrs[i].moves = le32_to_cpu(w->vmrs[i].moves);
		v->vmrs[i].invs = le32_to_cpu(w->vmrs[i].invs);
		v->vmrs[i].recalls = le32_to_cpu(w->vmrs[i].recalls);
		v->vmrs[i].owner = le16_to_cpu(w->vmrs[i].owner);
	}
	return true;
}

/* RESET */

static bool reset_ok(const struct rmai_msg *msg)
{
	const struct rmai_msg_reset *r = &msg->reset;

	return r->id && r->first < RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN &&
	       r->nr <= RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN - r->first &&
	       (r->nr || is_reply(msg));
}

static void *reset_put(const struct rmai_msg *msg, void *p)
{
	const struct rmai_msg_reset *r = &msg->reset;
	struct wire_reset *w = p;

	w->id = cpu_to_le64(r->id);
	w->owner_epoch = cpu_to_le64(r->owner_epoch);
	w->home_epoch = cpu_to_le64(r->home_epoch);
	w->first = cpu_to_le64(r->first);
	w->nr = cpu_to_le64(r->nr);
	return w + 1;
}

static bool reset_get(struct rmai_msg *msg, struct input *in)
{
	const struct wire_reset *w = take(in, sizeof(*w));
	struct rmai_msg_reset *r = &msg->reset;

	if (!w)
		return false;
	r->id = le64_to_cpu(w->id);
	r->owner_epoch = le64_to_cpu(w->owner_epoch);
	r->home_epoch = le64_to_cpu(w->home_epoch);
	r->first = le64_to_cpu(w->first);
	r->nr = le64_to_cpu(w->nr);
	return true;
}

BODY(keys);
BODY(io);
BODY(get);
BODY(inv);
BODY(recall);
BODY(ack);
BODY(vmrs);
BODY(reset);

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random valid messages of every type, for the codec's KUnit test and for the
 * fuzzer. Written from wire.h, not from the codec: what this makes must be
 * accepted. Only included by tests.
 */
#ifndef _RMAI_WIRE_GEN_H
#define _RMAI_WIRE_GEN_H

/* xorshift64*: the same numbers everywhere for a seed, which must not be 0 */
static u64 gen_u64(u64 *rng)
{
	*rng ^= *rng >> 12;
	*rng ^= *rng << 25;
	*rng ^= *rng >> 27;
	return *rng * 0x2545f4914f6cdd1dULL;
}

/* 0 .. @n - 1 */
static u64 gen_below(u64 *rng, u64 n)
{
	return (gen_u64(rng) >> 1) % n;
}

static bool gen_bool(u64 *rng)
{
	return gen_u64(rng) >> 63;
}

/* Of any magnitude below @limit, so that small values are as likely as large */
static u64 gen_size(u64 *rng, u64 limit)
{
	u64 v = gen_u64(rng) >> gen_below(rng, 64);

	return v < limit ? v : limit - 1 - gen_below(rng, 3);
}

static u64 gen_nonzero(u64 *rng)
{
	return gen_u64(rng) ?: 1;
}

static u16 gen_name(u64 *rng, char *name)
{
	static const u16 lens[] = { 1, 2, 3, 8, 31, 254, RMAI_WIRE_NAME };
	u16 len = lens[gen_below(rng, ARRAY_SIZE(lens))], i;

	for (i = 0; i < len; i++) {
		do {
			name[i] = gen_u64(rng);
		} while (!name[i] || name[i] == '/');
	}
	if (len < 3 && name[0] == '.')
		name[0] = '_';
	name[len] = 0;
	return len;
}

static u64 gen_vmr_size(u64 *rng)
{
	static const u64 sizes[] = {
		RMAI_VMR_MIN, RMAI_VMR_DEFAULT, RMAI_VMR_MAX,
		RMAI_VMR_MAX - RMAI_VMR_MIN, 3 * RMAI_VMR_DEFAULT / 2 + RMAI_VMR_MIN,
	};

	if (gen_bool(rng))
		return sizes[gen_below(rng, ARRAY_SIZE(sizes))];
	return RMAI_VMR_MIN * (1 + gen_below(rng, RMAI_VMR_MAX / RMAI_VMR_MIN));
}

static void gen_layout(u64 *rng, struct rmai_wire_attr *a, bool epochs)
{
	u16 i, j, id;

	a->nr_nodes = gen_bool(rng) ? 1 + gen_below(rng, 3) :
				      1 + gen_below(rng, RMAI_WIRE_NODES);
	for (i = 0; i < RMAI_WIRE_NODES; i++)
		a->nodes[i].id = i + 1;
	for (i = 0; i < a->nr_nodes; i++) {
		j = i + gen_below(rng, RMAI_WIRE_NODES - i);
		id = a->nodes[i].id;
		a->nodes[i].id = a->nodes[j].id;
		a->nodes[j].id = id;
		a->nodes[i].epoch = epochs ? gen_u64(rng) : 0;
	}
}

/* As an owner tells them (@whole), or as they are asked for */
static void gen_attr(u64 *rng, struct rmai_wire_attr *a, bool whole)
{
	a->id = gen_nonzero(rng);
	a->owner_epoch = gen_u64(rng);
	a->size = gen_size(rng, RMAI_WIRE_SIZE_LIMIT);
	a->addr = 0;
	a->length = 0;
	if (gen_bool(rng)) {
		a->addr = RMAI_VMR_MIN * (1 + gen_below(rng, 1ULL << 40));
		a->length = RMAI_VMR_MIN * (1 + gen_below(rng, 1ULL << 40));
	}
	a->vmr_size = gen_vmr_size(rng);
	a->stripe = a->vmr_size * (1 + gen_below(rng, 1000));
	a->ctime_ns = gen_u64(rng);
	a->mtime_ns = gen_u64(rng);
	a->change = gen_u64(rng);
	a->mode = gen_below(rng, 010000);
	a->uid = gen_size(rng, (u32)-1);
	a->gid = gen_size(rng, (u32)-1);
	a->nlink = gen_size(rng, (u32)-1);
	a->seals = gen_below(rng, 16);
	a->on_loss = gen_below(rng, 3);
	a->flags = gen_bool(rng) ? RMAI_REGION_ANON : 0;
	a->fetch = gen_below(rng, RMAI_FETCH_ALL + 1);
	a->generation = gen_below(rng, 1ULL << 32);
	a->cache_min = gen_u64(rng);
	a->cache_max = gen_bool(rng) ? a->cache_min : 0;
	a->owner = 1 + gen_below(rng, RMAI_WIRE_NODES);
	gen_layout(rng, a, whole);
	if (whole)
		return;
	if (gen_bool(rng))
		a->stripe = gen_bool(rng) ? 3 * RMAI_VMR_MIN : 0;
	if (gen_bool(rng))
		a->vmr_size = 0;
	if (gen_bool(rng))
		a->nr_nodes = 0;
}

static void gen_hello(u64 *rng, struct rmai_msg_hello *h, bool reply)
{
	u32 page_shift = 12 + 2 * gen_below(rng, 3);
	u32 len = 1 + gen_below(rng, RMAI_WIRE_CLUSTER), i;

	h->window_start = gen_size(rng, RMAI_WIRE_SIZE_LIMIT);
	h->window_size = gen_size(rng, RMAI_WIRE_SIZE_LIMIT);
	h->members = gen_u64(rng);
	h->pool_total = gen_size(rng, RMAI_WIRE_SIZE_LIMIT);
	h->pool_used = gen_size(rng, RMAI_WIRE_SIZE_LIMIT);
	h->lease_ms = gen_size(rng, RMAI_WIRE_LEASE_MAX);
	h->page_size = 1U << page_shift;
	h->key_pages = 1 + gen_below(rng, 512);
	h->role = 1 + gen_below(rng, 3);
	h->refusal = reply ? gen_below(rng, RMAI_REFUSE_NR) : 0;
	for (i = 0; i < len; i++)
		h->cluster[i] = '!' + gen_below(rng, '~' - '!' + 1);
	h->cluster[len] = 0;
}

static void gen_name_body(u64 *rng, u8 type, struct rmai_msg_name *n)
{
	n->len = gen_name(rng, n->name);
	n->id = 0;
	n->token = 0;
	n->flags = 0;
	switch (type) {
	case RMAI_MSG_CREATE:
		n->token = gen_u64(rng);
		gen_attr(rng, &n->attr, false);
		if (n->attr.flags & RMAI_REGION_ANON)
			n->len = 0;
		break;
	case RMAI_MSG_LINK:
		n->flags = gen_bool(rng) ? RMAI_NAME_EXCL : 0;
		n->id = gen_nonzero(rng);
		n->token = gen_u64(rng);
		break;
	case RMAI_MSG_UNLINK:
		n->flags = gen_bool(rng) ? RMAI_NAME_RENAMED : 0;
		n->id = gen_nonzero(rng);
		break;
	}
}

static void gen_setattr(u64 *rng, u8 type, struct rmai_msg_setattr *s)
{
	s->id = gen_nonzero(rng);
	s->owner_epoch = gen_u64(rng);
	s->mask = 0;
	gen_attr(rng, &s->attr, false);
	if (type != RMAI_MSG_SETATTR)
		return;
	s->mask = gen_below(rng, RMAI_SET_ALL + 1);
	if (s->mask & RMAI_SET_SIZE)
		s->mask &= ~RMAI_SET_EXTEND;
	if (!s->attr.vmr_size)
		s->mask &= ~RMAI_SET_VMR_SIZE;
	if (!s->attr.nr_nodes)
		s->mask &= ~RMAI_SET_LAYOUT;
}

static void gen_readdir(u64 *rng, struct rmai_msg_readdir *rd, bool reply)
{
	u64 wanted = gen_size(rng, 300), cookie = 0;
	char name[RMAI_WIRE_NAME + 1];

	rd->cookie = gen_u64(rng);
	rd->nr = 0;
	rd->eof = 0;
	rd->bytes = 0;
	if (!reply)
		return;
	while (rd->nr < wanted) {
		u16 len = gen_name(rng, name);

		cookie += 1 + gen_size(rng, 1ULL << 50);
		if (rmai_wire_add_dirent(rd, gen_nonzero(rng), cookie, name, len))
			break;
	}
	rd->eof = !rd->nr || gen_bool(rng);
}

static void gen_keys(u64 *rng, struct rmai_msg_keys *k, bool reply)
{
	u16 i;

	k->id = gen_nonzero(rng);
	k->owner_epoch = gen_u64(rng);
	k->home_epoch = gen_u64(rng);
	k->first = gen_size(rng, 1ULL << 50);
	k->size = gen_size(rng, RMAI_WIRE_SIZE_LIMIT);
	k->gen = reply ? gen_u64(rng) : 0;
	k->nr = gen_bool(rng) ? 1 : 1 + gen_below(rng, RMAI_WIRE_KEYS);
	for (i = 0; reply && i < k->nr; i++) {
		k->keys[i].addr = gen_u64(rng) >> 8;
		k->keys[i].rkey = gen_u64(rng);
		k->keys[i].len = RMAI_VMR_MIN * (1 + gen_below(rng, 512));
	}
}

static void gen_io(u64 *rng, struct rmai_msg_io *io, bool reply)
{
	io->id = gen_nonzero(rng);
	io->owner_epoch = gen_u64(rng);
	io->home_epoch = gen_u64(rng);
	io->len = 1 + gen_size(rng, RMAI_WIRE_DATA_MAX);
	io->token = gen_nonzero(rng);
	io->off = gen_size(rng, RMAI_WIRE_SIZE_LIMIT - RMAI_WIRE_DATA_MAX);
	io->ahead = reply || gen_bool(rng) ? 0 : gen_size(rng, RMAI_WIRE_SIZE_LIMIT - io->off);
	io->key.addr = gen_u64(rng) >> 8;
	io->key.rkey = gen_u64(rng);
	io->key.len = io->len;
}

static void gen_get(u64 *rng, u8 type, struct rmai_msg_get *g, bool reply)
{
	g->id = gen_nonzero(rng);
	g->owner_epoch = gen_u64(rng);
	g->home_epoch = gen_u64(rng);
	g->vmr = gen_size(rng, RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN);
	g->size = gen_size(rng, RMAI_WIRE_SIZE_LIMIT);
	g->gen = reply ? gen_u64(rng) : 0;
	g->flags = !gen_bool(rng) ? 0 :
		   type == RMAI_MSG_PUT ? RMAI_VMR_DROP : RMAI_VMR_HAVE;
	g->seq = reply || (g->flags & RMAI_VMR_HAVE) ? gen_nonzero(rng) : 0;
	if (reply && type == RMAI_MSG_GET_S && gen_bool(rng))
		g->flags |= RMAI_VMR_HOLE;
}

static void gen_inv(u64 *rng, struct rmai_msg_inv *v)
{
	u64 vmr = gen_size(rng, 1ULL << 40);
	u16 i;

	v->id = gen_nonzero(rng);
	v->owner_epoch = gen_u64(rng);
	v->nr = gen_bool(rng) ? 1 : 1 + gen_below(rng, RMAI_WIRE_INVS);
	for (i = 0; i < v->nr; i++) {
		v->vmrs[i].vmr = vmr;
		v->vmrs[i].seq = gen_nonzero(rng);
		v->vmrs[i].grant = gen_bool(rng) ? gen_u64(rng) : 0;
		vmr += 1 + gen_size(rng, 1ULL << 30);
	}
}

static void gen_recall(u64 *rng, struct rmai_msg_recall *r)
{
	u16 i;

	r->id = gen_nonzero(rng);
	r->owner_epoch = gen_u64(rng);
	r->vmr = gen_size(rng, RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN);
	r->seq = gen_nonzero(rng);
	r->grant = gen_nonzero(rng);
	r->off = gen_size(rng, RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN) * RMAI_VMR_MIN;
	r->flags = 2 * gen_below(rng, 4);
	r->nr = gen_bool(rng) ? 1 : 1 + gen_below(rng, RMAI_WIRE_RECALL_KEYS);
	for (i = 0; i < r->nr; i++) {
		r->keys[i].addr = gen_u64(rng) >> 8;
		r->keys[i].rkey = gen_u64(rng);
		r->keys[i].len = RMAI_VMR_MIN * (1 + gen_below(rng, 512));
	}
}

static void gen_publish(u64 *rng, struct rmai_msg_publish *p)
{
	p->id = 2 + gen_size(rng, (u64)-3);
	p->owner_epoch = gen_u64(rng);
	p->old = gen_bool(rng) ? p->id - 1 : p->id + 1;
	p->generation = 1 + gen_size(rng, (u32)-1);
	p->len = gen_name(rng, p->name);
	p->from_len = gen_name(rng, p->from);
}

static void gen_vmrs(u64 *rng, struct rmai_msg_vmrs *v, bool reply)
{
	u64 vmr;
	u16 i;

	v->id = gen_nonzero(rng);
	v->owner_epoch = gen_u64(rng);
	v->home_epoch = gen_u64(rng);
	v->what = gen_bool(rng) ? RMAI_VMRS_HOT : RMAI_VMRS_LOST;
	v->first = v->what == RMAI_VMRS_LOST ? gen_size(rng, 1ULL << 40) : 0;
	v->nr = reply ? gen_below(rng, RMAI_WIRE_VMRS + 1) : 0;
	vmr = v->first;
	for (i = 0; i < v->nr; i++) {
		v->vmrs[i].vmr = v->what == RMAI_VMRS_LOST ? vmr :
				 gen_size(rng, RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN);
		vmr += 1 + gen_size(rng, 1ULL << 30);
		v->vmrs[i].readers = gen_u64(rng);
		v->vmrs[i].writers = gen_u64(rng);
		v->vmrs[i].moves = gen_u64(rng);
		v->vmrs[i].invs = gen_u64(rng);
		v->vmrs[i].recalls = gen_u64(rng);
		v->vmrs[i].owner = gen_below(rng, RMAI_WIRE_NODES + 1);
	}
}

static void gen_reset(u64 *rng, struct rmai_msg_reset *r, bool reply)
{
	u64 limit = RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN;

	r->id = gen_nonzero(rng);
	r->owner_epoch = gen_u64(rng);
	r->home_epoch = gen_u64(rng);
	r->first = gen_size(rng, limit - 8);
	r->nr = 1 + gen_size(rng, limit - r->first);
	if (reply && gen_bool(rng))
		r->nr = 0;
}

/* What goes with @msg's header, which is made already */
static void gen_body(u64 *rng, struct rmai_msg *msg)
{
	bool reply = msg->flags & RMAI_MSG_F_REPLY;

	switch (msg->type) {
	case RMAI_MSG_HELLO:
		gen_hello(rng, &msg->hello, reply);
		return;
	case RMAI_MSG_PING:
		msg->ping.pool_total = gen_size(rng, RMAI_WIRE_SIZE_LIMIT);
		msg->ping.pool_used = gen_size(rng, RMAI_WIRE_SIZE_LIMIT);
		msg->ping.lease_ms = gen_size(rng, RMAI_WIRE_LEASE_MAX);
		return;
	case RMAI_MSG_READDIR:
		gen_readdir(rng, &msg->readdir, reply);
		return;
	case RMAI_MSG_KEYS:
		gen_keys(rng, &msg->keys, reply);
		return;
	case RMAI_MSG_WRITE:
		gen_io(rng, &msg->io, reply);
		return;
	case RMAI_MSG_GET_S:
	case RMAI_MSG_GET_X:
	case RMAI_MSG_PUT:
		gen_get(rng, msg->type, &msg->get, reply);
		return;
	case RMAI_MSG_INV:
	case RMAI_MSG_RECALL:
		if (reply)
			msg->ack.bytes = gen_size(rng, RMAI_WIRE_SIZE_LIMIT);
		else if (msg->type == RMAI_MSG_INV)
			gen_inv(rng, &msg->inv);
		else
			gen_recall(rng, &msg->recall);
		return;
	case RMAI_MSG_VMRS:
		gen_vmrs(rng, &msg->vmrs, reply);
		return;
	case RMAI_MSG_RESET:
		gen_reset(rng, &msg->reset, reply);
		return;
	case RMAI_MSG_PUBLISH:
		if (!reply) {
			gen_publish(rng, &msg->publish);
			return;
		}
		break;
	case RMAI_MSG_LOOKUP:
	case RMAI_MSG_LINK:
	case RMAI_MSG_UNLINK:
		if (!reply) {
			gen_name_body(rng, msg->type, &msg->name);
			return;
		}
		break;
	case RMAI_MSG_CREATE:
		if (reply)
			gen_attr(rng, &msg->attr.attr, true);
		else
			gen_name_body(rng, msg->type, &msg->name);
		return;
	case RMAI_MSG_OPEN:
	case RMAI_MSG_ATTACH:
		if (reply) {
			gen_attr(rng, &msg->attr.attr, true);
			return;
		}
		memset(&msg->open, 0, sizeof(msg->open));
		if (msg->type == RMAI_MSG_OPEN) {
			msg->open.id = gen_nonzero(rng);
			return;
		}
		msg->open.addr = 1 + gen_size(rng, RMAI_WIRE_SIZE_LIMIT - 1);
		msg->open.uid = gen_size(rng, (u32)-1);
		msg->open.gid = gen_size(rng, (u32)-1);
		msg->open.access = 2 * gen_below(rng, 4);
		return;
	case RMAI_MSG_SETATTR:
	case RMAI_MSG_SEAL:
	case RMAI_MSG_ADDR:
	case RMAI_MSG_TRUNC:
	case RMAI_MSG_FREEZE:
		if (!reply)
			gen_setattr(rng, msg->type, &msg->setattr);
		else if (msg->type < RMAI_MSG_TRUNC)
			gen_attr(rng, &msg->attr.attr, true);
		return;
	case RMAI_MSG_GETATTR:
		if (reply) {
			gen_attr(rng, &msg->attr.attr, true);
			return;
		}
		break;
	}
	msg->id.id = gen_nonzero(rng);
	msg->id.owner_epoch = gen_u64(rng);
}

/* A message of @type; @status: for replies, see struct rmai_msg */
static inline void gen_msg(u64 *rng, u8 type, bool reply, s32 status,
			   struct rmai_msg *msg)
{
	msg->type = type;
	msg->flags = reply ? RMAI_MSG_F_REPLY : 0;
	msg->src = 1 + gen_below(rng, RMAI_WIRE_NODES);
	msg->dst = 1 + gen_below(rng, RMAI_WIRE_NODES);
	msg->epoch = gen_nonzero(rng);
	msg->dst_epoch = type == RMAI_MSG_HELLO && !reply ? 0 : gen_u64(rng);
	msg->xid = gen_u64(rng);
	msg->status = reply ? status : 0;
	gen_body(rng, msg);
}

#endif /* _RMAI_WIRE_GEN_H */

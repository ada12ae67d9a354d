// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit test of the wire protocol's codec. The fuzzer of the selftests does the
 * same with many more inputs, in user space.
 */
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>
#include <uapi/linux/rmai.h>
#include "wire.h"
#include "wire_format.h"
#include "wire_gen.h"

/* Each test has its own numbers, the same at every run */
#define SEED		0x524d4149ULL

struct codec {
	struct rmai_msg	msg;		/* generated */
	struct rmai_msg	out;		/* decoded */
	u8		wire[RMAI_WIRE_MAX + 64];
	u8		again[RMAI_WIRE_MAX];
	int		len;		/* of @wire */
};

static int codec_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct codec), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static struct wire_hdr *hdr_of(struct codec *c)
{
	return (struct wire_hdr *)c->wire;
}

static void *body_of(struct codec *c)
{
	return hdr_of(c) + 1;
}

/* Encode a generated message of the type into c->wire */
static void make(struct kunit *test, u64 *rng, u8 type, bool reply, s32 status)
{
	struct codec *c = test->priv;

	gen_msg(rng, type, reply, status, &c->msg);
	c->len = rmai_wire_encode(&c->msg, c->wire);
	KUNIT_ASSERT_GE_MSG(test, c->len, (int)sizeof(struct wire_hdr), "%s %s",
			    rmai_msg_name(type), reply ? "reply" : "request");
	KUNIT_ASSERT_LE(test, c->len, RMAI_WIRE_MAX);
}

static int decode(struct codec *c)
{
	hdr_of(c)->length = cpu_to_le32(c->len);
	return rmai_wire_decode(c->wire, c->len, &c->out);
}

/* Decode; what is accepted must encode to the same bytes. -EBADMSG: it does not */
static int decode_and_back(struct codec *c, size_t len)
{
	int ret;

	memset(&c->out, 0xa5, sizeof(c->out));
	ret = rmai_wire_decode(c->wire, len, &c->out);
	if (ret)
		return ret;
	ret = rmai_wire_encode(&c->out, c->again);
	return ret == len && !memcmp(c->again, c->wire, len) ? 0 : -EBADMSG;
}

/* Requests and replies of all types, counted through: which is it? */
#define NR_KINDS	(2 * (RMAI_MSG_NR - 1))

static u8 type_of(int kind)
{
	return kind / 2 + 1;
}

static bool reply_of(int kind)
{
	return kind & 1;
}

static void round_trip(struct kunit *test)
{
	struct codec *c = test->priv;
	u64 rng = SEED;
	int i, kind;

	for (kind = 0; kind < NR_KINDS; kind++) {
		for (i = 0; i < 20; i++) {
			make(test, &rng, type_of(kind), reply_of(kind),
			     i % 4 ? 0 : -ENOENT);
			KUNIT_ASSERT_EQ_MSG(test, 0, decode_and_back(c, c->len),
					    "%s %d", rmai_msg_name(type_of(kind)),
					    reply_of(kind));
			KUNIT_EXPECT_EQ(test, c->msg.type, c->out.type);
			KUNIT_EXPECT_EQ(test, c->msg.flags, c->out.flags);
			KUNIT_EXPECT_EQ(test, c->msg.src, c->out.src);
			KUNIT_EXPECT_EQ(test, c->msg.dst, c->out.dst);
			KUNIT_EXPECT_EQ(test, c->msg.epoch, c->out.epoch);
			KUNIT_EXPECT_EQ(test, c->msg.dst_epoch, c->out.dst_epoch);
			KUNIT_EXPECT_EQ(test, c->msg.xid, c->out.xid);
			KUNIT_EXPECT_EQ(test, c->msg.status, c->out.status);
		}
	}
}

/* That fields land in their own places, and not only back where they came from */
static void fields(struct kunit *test)
{
	struct codec *c = test->priv;
	u64 rng = SEED;
	int i;

	make(test, &rng, RMAI_MSG_HELLO, false, 0);
	KUNIT_ASSERT_EQ(test, 0, decode(c));
	KUNIT_EXPECT_MEMEQ(test, c->wire, "RMAI\x03\x01\x00\x00", 8);
	KUNIT_EXPECT_STREQ(test, c->msg.hello.cluster, c->out.hello.cluster);
	KUNIT_EXPECT_EQ(test, c->msg.hello.window_start, c->out.hello.window_start);
	KUNIT_EXPECT_EQ(test, c->msg.hello.window_size, c->out.hello.window_size);
	KUNIT_EXPECT_EQ(test, c->msg.hello.members, c->out.hello.members);
	KUNIT_EXPECT_EQ(test, c->msg.hello.pool_total, c->out.hello.pool_total);
	KUNIT_EXPECT_EQ(test, c->msg.hello.pool_used, c->out.hello.pool_used);
	KUNIT_EXPECT_EQ(test, c->msg.hello.lease_ms, c->out.hello.lease_ms);
	KUNIT_EXPECT_EQ(test, c->msg.hello.page_size, c->out.hello.page_size);
	KUNIT_EXPECT_EQ(test, c->msg.hello.key_pages, c->out.hello.key_pages);
	KUNIT_EXPECT_EQ(test, c->msg.hello.role, c->out.hello.role);

	make(test, &rng, RMAI_MSG_GETATTR, true, 0);
	KUNIT_ASSERT_EQ(test, 0, decode(c));
	KUNIT_ASSERT_EQ(test, c->msg.attr.attr.nr_nodes, c->out.attr.attr.nr_nodes);
	KUNIT_EXPECT_MEMEQ(test, &c->msg.attr.attr, &c->out.attr.attr,
			   offsetof(struct rmai_wire_attr, nodes) +
			   c->msg.attr.attr.nr_nodes *
			   sizeof(c->msg.attr.attr.nodes[0]));

	make(test, &rng, RMAI_MSG_WRITE, false, 0);
	KUNIT_ASSERT_EQ(test, 0, decode(c));
	KUNIT_EXPECT_EQ(test, c->msg.io.id, c->out.io.id);
	KUNIT_EXPECT_EQ(test, c->msg.io.owner_epoch, c->out.io.owner_epoch);
	KUNIT_EXPECT_EQ(test, c->msg.io.home_epoch, c->out.io.home_epoch);
	KUNIT_EXPECT_EQ(test, c->msg.io.off, c->out.io.off);
	KUNIT_EXPECT_EQ(test, c->msg.io.len, c->out.io.len);
	KUNIT_EXPECT_EQ(test, c->msg.io.key.addr, c->out.io.key.addr);
	KUNIT_EXPECT_EQ(test, c->msg.io.key.rkey, c->out.io.key.rkey);
	KUNIT_EXPECT_EQ(test, c->msg.io.key.len, c->out.io.key.len);

	make(test, &rng, RMAI_MSG_GET_X, true, 0);
	KUNIT_ASSERT_EQ(test, 0, decode(c));
	KUNIT_EXPECT_MEMEQ(test, &c->msg.get, &c->out.get, sizeof(c->msg.get));

	make(test, &rng, RMAI_MSG_INV, false, 0);
	KUNIT_ASSERT_EQ(test, 0, decode(c));
	KUNIT_EXPECT_EQ(test, c->msg.inv.id, c->out.inv.id);
	KUNIT_ASSERT_EQ(test, c->msg.inv.nr, c->out.inv.nr);
	KUNIT_EXPECT_MEMEQ(test, c->msg.inv.vmrs, c->out.inv.vmrs,
			   c->msg.inv.nr * sizeof(c->msg.inv.vmrs[0]));

	make(test, &rng, RMAI_MSG_RECALL, false, 0);
	KUNIT_ASSERT_EQ(test, 0, decode(c));
	KUNIT_EXPECT_MEMEQ(test, &c->msg.recall, &c->out.recall,
			   offsetof(struct rmai_msg_recall, nr));
	KUNIT_ASSERT_EQ(test, c->msg.recall.nr, c->out.recall.nr);
	KUNIT_EXPECT_MEMEQ(test, c->msg.recall.keys, c->out.recall.keys,
			   c->msg.recall.nr * sizeof(c->msg.recall.keys[0]));

	make(test, &rng, RMAI_MSG_RECALL, true, 0);
	KUNIT_ASSERT_EQ(test, 0, decode(c));
	KUNIT_EXPECT_EQ(test, c->msg.ack.bytes, c->out.ack.bytes);

	make(test, &rng, RMAI_MSG_PUBLISH, false, 0);
	KUNIT_ASSERT_EQ(test, 0, decode(c));
	KUNIT_EXPECT_MEMEQ(test, &c->msg.publish, &c->out.publish,
			   offsetof(struct rmai_msg_publish, name));
	KUNIT_EXPECT_STREQ(test, c->msg.publish.name, c->out.publish.name);
	KUNIT_EXPECT_STREQ(test, c->msg.publish.from, c->out.publish.from);

	make(test, &rng, RMAI_MSG_RESET, false, 0);
	KUNIT_ASSERT_EQ(test, 0, decode(c));
	KUNIT_EXPECT_MEMEQ(test, &c->msg.reset, &c->out.reset, sizeof(c->msg.reset));

	make(test, &rng, RMAI_MSG_VMRS, true, 0);
	KUNIT_ASSERT_EQ(test, 0, decode(c));
	KUNIT_EXPECT_EQ(test, c->msg.vmrs.first, c->out.vmrs.first);
	KUNIT_EXPECT_EQ(test, c->msg.vmrs.what, c->out.vmrs.what);
	KUNIT_ASSERT_EQ(test, c->msg.vmrs.nr, c->out.vmrs.nr);
	for (i = 0; i < c->msg.vmrs.nr; i++)
		KUNIT_EXPECT_MEMEQ(test, &c->msg.vmrs.vmrs[i], &c->out.vmrs.vmrs[i],
				   offsetofend(typeof(c->msg.vmrs.vmrs[i]), owner));

	make(test, &rng, RMAI_MSG_KEYS, true, 0);
	KUNIT_ASSERT_EQ(test, 0, decode(c));
	KUNIT_EXPECT_EQ(test, c->msg.keys.size, c->out.keys.size);
	KUNIT_EXPECT_EQ(test, c->msg.keys.gen, c->out.keys.gen);
	KUNIT_EXPECT_EQ(test, c->msg.keys.id, c->out.keys.id);
	KUNIT_EXPECT_EQ(test, c->msg.keys.first, c->out.keys.first);
	KUNIT_ASSERT_EQ(test, c->msg.keys.nr, c->out.keys.nr);
	KUNIT_EXPECT_MEMEQ(test, c->msg.keys.keys, c->out.keys.keys,
			   c->msg.keys.nr * sizeof(c->msg.keys.keys[0]));
}

static void truncated(struct kunit *test)
{
	struct codec *c = test->priv;
	u64 rng = SEED;
	int kind, len;

	for (kind = 0; kind < NR_KINDS; kind++) {
		make(test, &rng, type_of(kind), reply_of(kind), 0);
		for (len = 0; len < c->len; len++) {
			/* both as it was sent, and with a length that agrees */
			hdr_of(c)->length = cpu_to_le32(c->len);
			KUNIT_ASSERT_EQ(test, -EPROTO, decode_and_back(c, len));
			hdr_of(c)->length = cpu_to_le32(len);
			KUNIT_ASSERT_EQ_MSG(test, -EPROTO, decode_and_back(c, len),
					    "%s %d cut from %d to %d",
					    rmai_msg_name(type_of(kind)),
					    reply_of(kind), c->len, len);
		}
		hdr_of(c)->length = cpu_to_le32(c->len);
		KUNIT_EXPECT_EQ(test, 0, decode_and_back(c, c->len));
		KUNIT_EXPECT_EQ(test, -EPROTO, decode_and_back(c, c->len + 1));
		hdr_of(c)->length = cpu_to_le32(c->len + 1);
		KUNIT_EXPECT_EQ(test, -EPROTO, decode_and_back(c, c->len + 1));
	}
}

/* A flipped bit makes another message or none, but never one with two encodings */
static void bit_flips(struct kunit *test)
{
	int kind, ret, bit, step, accepted = 0, rejected = 0;
	struct codec *c = test->priv;
	u64 rng = SEED;

	for (kind = 0; kind < NR_KINDS; kind++) {
		make(test, &rng, type_of(kind), reply_of(kind), 0);
		/* all bits of the header and most bodies, some of the long ones */
		for (bit = 0; bit < c->len * 8; bit += step) {
			step = bit < 256 * 8 ? 1 : 37;
			c->wire[bit / 8] ^= 1 << (bit % 8);
			ret = decode_and_back(c, c->len);
			KUNIT_ASSERT_NE_MSG(test, -EBADMSG, ret, "%s %d bit %d",
					    rmai_msg_name(type_of(kind)),
					    reply_of(kind), bit);
			if (bit / 8 == offsetof(struct wire_hdr, version))
				KUNIT_EXPECT_EQ(test, -EPROTONOSUPPORT, ret);
			else if (bit / 8 < offsetof(struct wire_hdr, version) ||
				 bit / 8 == offsetof(struct wire_hdr, reserved))
				KUNIT_EXPECT_EQ(test, -EPROTO, ret);
			accepted += !ret;
			rejected += !!ret;
			c->wire[bit / 8] ^= 1 << (bit % 8);
		}
	}
	KUNIT_EXPECT_GT(test, accepted, 0);
	KUNIT_EXPECT_GT(test, rejected, 0);
	kunit_info(test, "%d accepted, %d rejected", accepted, rejected);
}

static void other_version(struct kunit *test)
{
	struct codec *c = test->priv;
	u64 rng = SEED;

	make(test, &rng, RMAI_MSG_HELLO, false, 0);
	hdr_of(c)->version = RMAI_WIRE_VERSION + 1;
	/* its length, and what follows the header, may mean anything */
	hdr_of(c)->length = cpu_to_le32(7);
	KUNIT_EXPECT_EQ(test, -EPROTONOSUPPORT,
			rmai_wire_decode(c->wire, sizeof(struct wire_hdr), &c->out));
	KUNIT_EXPECT_EQ(test, c->msg.type, c->out.type);
	KUNIT_EXPECT_EQ(test, c->msg.src, c->out.src);
	KUNIT_EXPECT_EQ(test, c->msg.dst, c->out.dst);
	/* without a whole header: no version's message, but nothing stale either */
	KUNIT_EXPECT_EQ(test, -EPROTONOSUPPORT, rmai_wire_decode(c->wire, 5, &c->out));
	KUNIT_EXPECT_EQ(test, 0, c->out.src);
	KUNIT_EXPECT_EQ(test, -EPROTO, rmai_wire_decode(c->wire, 4, &c->out));
	hdr_of(c)->magic = 0;
	KUNIT_EXPECT_EQ(test, -EPROTO, rmai_wire_decode(c->wire, c->len, &c->out));
	KUNIT_EXPECT_EQ(test, -EPROTO, rmai_wire_decode(c->wire, 0, &c->out));
}

/* Counts larger than arrays, with as many bytes behind them as they ask for */
static void hostile_counts(struct kunit *test)
{
	struct codec *c = test->priv;
	struct wire_readdir *rd = body_of(c);
	struct wire_attr *attr = body_of(c);
	struct wire_name *name = body_of(c);
	struct wire_keys *keys = body_of(c);
	static const u16 counts[] = { 65, 193, 256, 3841, 4042, 0x7fff, 0xffff };
	u64 rng = SEED;
	int i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		make(test, &rng, RMAI_MSG_GETATTR, true, 0);
		attr->nr_nodes = cpu_to_le16(counts[i]);
		KUNIT_EXPECT_EQ(test, -EPROTO, decode(c));
		c->len = RMAI_WIRE_MAX;
		KUNIT_EXPECT_EQ(test, -EPROTO, decode(c));
		if (counts[i] == 65) {
			c->len = sizeof(struct wire_hdr) + sizeof(*attr) +
				 65 * sizeof(struct wire_node);
			KUNIT_EXPECT_EQ(test, -EPROTO, decode(c));
		}

		make(test, &rng, RMAI_MSG_LOOKUP, false, 0);
		memset(name->name, 'x', RMAI_WIRE_MAX - sizeof(struct wire_hdr) -
					sizeof(*name));
		name->len = cpu_to_le16(counts[i]);
		c->len = min_t(u32, RMAI_WIRE_MAX, sizeof(struct wire_hdr) +
						   sizeof(*name) + counts[i]);
		KUNIT_EXPECT_EQ(test, counts[i] <= RMAI_WIRE_NAME ? 0 : -EPROTO,
				decode(c));

		make(test, &rng, RMAI_MSG_KEYS, true, 0);
		keys->nr = cpu_to_le16(counts[i]);
		KUNIT_EXPECT_EQ(test, -EPROTO, decode(c));
		c->len = min_t(u32, RMAI_WIRE_MAX, sizeof(struct wire_hdr) +
			       sizeof(*keys) + counts[i] * sizeof(struct wire_key));
		if (counts[i] > RMAI_WIRE_KEYS)
			KUNIT_EXPECT_EQ(test, -EPROTO, decode(c));

		make(test, &rng, RMAI_MSG_READDIR, true, 0);
		rd->bytes = cpu_to_le16(counts[i]);
		c->len = min_t(u32, RMAI_WIRE_MAX, sizeof(struct wire_hdr) +
						   sizeof(*rd) + counts[i]);
		if (counts[i] > RMAI_WIRE_DIRENTS)
			KUNIT_EXPECT_EQ(test, -EPROTO, decode(c));
	}
}

/* Encode refuses what decode would (they share these checks) */
static void expect_refusal(struct kunit *test, const char *what)
{
	struct codec *c = test->priv;

	KUNIT_EXPECT_EQ_MSG(test, -EINVAL, rmai_wire_encode(&c->msg, c->again),
			    "%s", what);
}

static void bad_header(struct kunit *test)
{
	struct codec *c = test->priv;
	struct rmai_msg *m = &c->msg;
	u64 rng = SEED;

#define BAD(type, reply, change) do {					\
		make(test, &rng, type, reply, 0);			\
		change;							\
		expect_refusal(test, #change);			\
	} while (0)

	BAD(RMAI_MSG_PING, 0, m->type = 0);
	BAD(RMAI_MSG_PING, 0, m->type = RMAI_MSG_NR);
	BAD(RMAI_MSG_PING, 0, m->type = 255);
	BAD(RMAI_MSG_PING, 0, m->flags = 2);
	BAD(RMAI_MSG_PING, 0, m->src = 0);
	BAD(RMAI_MSG_PING, 0, m->src = RMAI_WIRE_NODES + 1);
	BAD(RMAI_MSG_PING, 0, m->dst = 0);
	BAD(RMAI_MSG_PING, 0, m->dst = 0xffff);
	BAD(RMAI_MSG_PING, 0, m->epoch = 0);
	BAD(RMAI_MSG_PING, 0, m->status = -EIO);
	BAD(RMAI_MSG_PING, 1, m->status = 1);
	BAD(RMAI_MSG_PING, 1, m->status = -4096);
	BAD(RMAI_MSG_HELLO, 0, m->dst_epoch = 1);
}

static void bad_bodies(struct kunit *test)
{
	struct codec *c = test->priv;
	struct rmai_msg *m = &c->msg;
	struct rmai_wire_attr *a = &m->attr.attr;
	u64 rng = SEED;

	BAD(RMAI_MSG_HELLO, 0, m->hello.cluster[0] = 0);
	BAD(RMAI_MSG_HELLO, 0, m->hello.cluster[0] = ' ');
	BAD(RMAI_MSG_HELLO, 0, m->hello.cluster[0] = '\n');
	BAD(RMAI_MSG_HELLO, 0, memset(m->hello.cluster, 'x', RMAI_WIRE_CLUSTER + 1));
	BAD(RMAI_MSG_HELLO, 0, m->hello.role = 0);
	BAD(RMAI_MSG_HELLO, 0, m->hello.role = 4);
	BAD(RMAI_MSG_HELLO, 0, m->hello.refusal = RMAI_REFUSE_CLUSTER);
	BAD(RMAI_MSG_HELLO, 1, m->hello.refusal = RMAI_REFUSE_NR);
	BAD(RMAI_MSG_HELLO, 0, m->hello.page_size = 0);
	BAD(RMAI_MSG_HELLO, 0, m->hello.page_size = 4097);
	BAD(RMAI_MSG_HELLO, 0, m->hello.key_pages = 0);
	BAD(RMAI_MSG_HELLO, 0, m->hello.key_pages = 0x80000000);
	BAD(RMAI_MSG_PING, 0, m->ping.pool_used = 1ULL << 62);
	BAD(RMAI_MSG_PING, 0, m->ping.lease_ms = RMAI_WIRE_LEASE_MAX + 1);
	BAD(RMAI_MSG_HELLO, 0, m->hello.lease_ms = RMAI_WIRE_LEASE_MAX + 1);

	BAD(RMAI_MSG_LOOKUP, 0, m->name.len = 0);
	BAD(RMAI_MSG_LOOKUP, 0, m->name.len = RMAI_WIRE_NAME + 1);
	BAD(RMAI_MSG_LOOKUP, 0, m->name.name[0] = '/');
	BAD(RMAI_MSG_LOOKUP, 0, m->name.name[0] = 0);
	BAD(RMAI_MSG_LOOKUP, 0, (m->name.len = 1, m->name.name[0] = '.'));
	BAD(RMAI_MSG_LOOKUP, 0, (m->name.len = 2, memcpy(m->name.name, "..", 3)));
	BAD(RMAI_MSG_LOOKUP, 0, m->name.id = 1);
	BAD(RMAI_MSG_LOOKUP, 0, m->name.token = 1);
	BAD(RMAI_MSG_LINK, 0, m->name.id = 0);
	BAD(RMAI_MSG_LINK, 0, m->name.flags = RMAI_NAME_RENAMED);
	BAD(RMAI_MSG_UNLINK, 0, m->name.flags = RMAI_NAME_EXCL);
	BAD(RMAI_MSG_UNLINK, 0, m->name.id = 0);
	BAD(RMAI_MSG_CREATE, 0, m->name.flags = RMAI_NAME_EXCL);
	BAD(RMAI_MSG_CREATE, 0, m->name.id = 1);
	BAD(RMAI_MSG_CREATE, 0, m->name.attr.flags ^= RMAI_REGION_ANON);
	BAD(RMAI_MSG_CREATE, 0, (m->name.attr.nr_nodes = 1,
				 m->name.attr.nodes[0].epoch = 1));

	BAD(RMAI_MSG_GETATTR, 1, a->id = 0);
	BAD(RMAI_MSG_GETATTR, 1, a->nr_nodes = 0);
	BAD(RMAI_MSG_GETATTR, 1, a->nr_nodes = RMAI_WIRE_NODES + 1);
	BAD(RMAI_MSG_GETATTR, 1, a->nodes[0].id = 0);
	BAD(RMAI_MSG_GETATTR, 1, a->nodes[0].id = RMAI_WIRE_NODES + 1);
	BAD(RMAI_MSG_GETATTR, 1, (a->nr_nodes = 64, a->nodes[63].id = a->nodes[0].id));
	BAD(RMAI_MSG_GETATTR, 1, a->owner = 0);
	BAD(RMAI_MSG_GETATTR, 1, a->owner = RMAI_WIRE_NODES + 1);
	BAD(RMAI_MSG_GETATTR, 1, a->vmr_size = 0);
	BAD(RMAI_MSG_GETATTR, 1, (a->vmr_size = 4097, a->stripe = 4097));
	BAD(RMAI_MSG_GETATTR, 1, (a->vmr_size = RMAI_VMR_MAX + 4096,
				  a->stripe = a->vmr_size));
	BAD(RMAI_MSG_GETATTR, 1, a->stripe = 0);
	BAD(RMAI_MSG_GETATTR, 1, a->stripe = a->vmr_size + 2048);
	BAD(RMAI_MSG_GETATTR, 1, (a->vmr_size = 4096, a->stripe = 1ULL << 62));
	BAD(RMAI_MSG_GETATTR, 1, a->size = 1ULL << 62);
	BAD(RMAI_MSG_GETATTR, 1, (a->addr = 4096, a->length = 0));
	BAD(RMAI_MSG_GETATTR, 1, (a->addr = 0, a->length = 4096));
	BAD(RMAI_MSG_GETATTR, 1, (a->addr = 4097, a->length = 4096));
	BAD(RMAI_MSG_GETATTR, 1, a->mode = 010000);
	BAD(RMAI_MSG_GETATTR, 1, a->uid = (u32)-1);
	BAD(RMAI_MSG_GETATTR, 1, a->gid = (u32)-1);
	BAD(RMAI_MSG_GETATTR, 1, a->seals = 0x10);
	BAD(RMAI_MSG_GETATTR, 1, a->on_loss = 3);
	BAD(RMAI_MSG_GETATTR, 1, a->fetch = RMAI_FETCH_ALL + 1);
	BAD(RMAI_MSG_GETATTR, 1, (a->cache_max = 4096, a->cache_min = 4097));
	BAD(RMAI_MSG_GETATTR, 1, a->flags = RMAI_REGION_LOST);

	BAD(RMAI_MSG_SETATTR, 0, m->setattr.id = 0);
	BAD(RMAI_MSG_SETATTR, 0, m->setattr.mask = RMAI_SET_ALL + 1);
	BAD(RMAI_MSG_SETATTR, 0, m->setattr.mask = RMAI_SET_SIZE | RMAI_SET_EXTEND);
	BAD(RMAI_MSG_SETATTR, 0, (m->setattr.mask = RMAI_SET_VMR_SIZE,
				  m->setattr.attr.vmr_size = 0,
				  m->setattr.attr.stripe = 0));
	BAD(RMAI_MSG_SETATTR, 0, (m->setattr.mask = RMAI_SET_LAYOUT,
				  m->setattr.attr.nr_nodes = 0));
	BAD(RMAI_MSG_SEAL, 0, m->setattr.mask = RMAI_SET_SIZE);
	BAD(RMAI_MSG_SEAL, 0, m->setattr.attr.seals = 0x20);

	BAD(RMAI_MSG_OPEN, 0, m->open.id = 0);
	BAD(RMAI_MSG_OPEN, 0, m->open.addr = 4096);
	BAD(RMAI_MSG_ATTACH, 0, m->open.addr = 0);
	BAD(RMAI_MSG_ATTACH, 0, m->open.addr = 1ULL << 62);
	BAD(RMAI_MSG_ATTACH, 0, m->open.access = 1);
	BAD(RMAI_MSG_CLOSE, 0, m->id.id = 0);
	BAD(RMAI_MSG_LOOKUP, 1, m->id.id = 0);

	BAD(RMAI_MSG_KEYS, 0, m->keys.nr = 0);
	BAD(RMAI_MSG_KEYS, 1, m->keys.nr = RMAI_WIRE_KEYS + 1);
	BAD(RMAI_MSG_KEYS, 0, (m->keys.first = U64_MAX, m->keys.nr = 2));
	BAD(RMAI_MSG_KEYS, 1, m->keys.keys[0].len = 0);
	BAD(RMAI_MSG_KEYS, 1, m->keys.keys[0].len = 4097);
	BAD(RMAI_MSG_KEYS, 1, m->keys.keys[0].addr = U64_MAX - 4094);
	BAD(RMAI_MSG_WRITE, 0, (m->io.len = 0, m->io.key.len = 0));
	BAD(RMAI_MSG_WRITE, 0, m->io.key.len = m->io.len + 1);
	BAD(RMAI_MSG_WRITE, 1, m->io.len = RMAI_WIRE_DATA_MAX + 1);
	BAD(RMAI_MSG_WRITE, 0, m->io.off = (1ULL << 62) - m->io.len);
	BAD(RMAI_MSG_WRITE, 0, m->io.off = U64_MAX);
	BAD(RMAI_MSG_WRITE, 0, m->io.ahead = (1ULL << 62) - m->io.off);
	BAD(RMAI_MSG_WRITE, 1, m->io.ahead = 1);
	BAD(RMAI_MSG_PUBLISH, 0, m->publish.id = 0);
	BAD(RMAI_MSG_PUBLISH, 0, m->publish.old = 0);
	BAD(RMAI_MSG_PUBLISH, 0, m->publish.old = m->publish.id);
	BAD(RMAI_MSG_PUBLISH, 0, m->publish.generation = 0);
	BAD(RMAI_MSG_PUBLISH, 0, m->publish.len = 0);
	BAD(RMAI_MSG_PUBLISH, 0, m->publish.from_len = 0);
	BAD(RMAI_MSG_PUBLISH, 0, m->publish.from_len = RMAI_WIRE_NAME + 1);
	BAD(RMAI_MSG_PUBLISH, 0, m->publish.name[0] = '/');
	BAD(RMAI_MSG_VMRS, 0, m->vmrs.what = 0);
	BAD(RMAI_MSG_VMRS, 0, m->vmrs.nr = 1);
	BAD(RMAI_MSG_VMRS, 0, (m->vmrs.what = RMAI_VMRS_HOT, m->vmrs.first = 1));
	BAD(RMAI_MSG_VMRS, 1, m->vmrs.nr = RMAI_WIRE_VMRS + 1);
	BAD(RMAI_MSG_VMRS, 1, (m->vmrs.nr = 1,
			       m->vmrs.vmrs[0].owner = RMAI_WIRE_NODES + 1));
	BAD(RMAI_MSG_VMRS, 1, (m->vmrs.what = RMAI_VMRS_LOST, m->vmrs.first = 2,
			       m->vmrs.nr = 1, m->vmrs.vmrs[0].vmr = 1));
	BAD(RMAI_MSG_RESET, 0, m->reset.nr = 0);
	BAD(RMAI_MSG_RESET, 0, (m->reset.first = (1ULL << 50) - 1, m->reset.nr = 2));
	BAD(RMAI_MSG_RESET, 0, m->reset.first = 1ULL << 50);
	BAD(RMAI_MSG_KEYS, 0, m->keys.gen = 1);
	BAD(RMAI_MSG_KEYS, 0, m->keys.size = 1ULL << 62);

	BAD(RMAI_MSG_GET_S, 0, m->get.id = 0);
	BAD(RMAI_MSG_GET_S, 0, m->get.vmr = 1ULL << 50);
	BAD(RMAI_MSG_GET_S, 0, m->get.size = 1ULL << 62);
	BAD(RMAI_MSG_GET_S, 0, (m->get.flags = 0, m->get.seq = 1));
	BAD(RMAI_MSG_GET_S, 0, (m->get.flags = RMAI_VMR_HAVE, m->get.seq = 0));
	BAD(RMAI_MSG_GET_X, 1, m->get.flags = RMAI_VMR_HOLE);
	BAD(RMAI_MSG_WRITE, 0, m->io.token = 0);
	BAD(RMAI_MSG_RECALL, 0, m->recall.grant = 0);
	BAD(RMAI_MSG_GET_X, 0, m->get.gen = 1);
	BAD(RMAI_MSG_GET_X, 0, m->get.flags = RMAI_VMR_DROP);
	BAD(RMAI_MSG_GET_X, 1, m->get.seq = 0);
	BAD(RMAI_MSG_PUT, 0, m->get.flags = RMAI_VMR_HAVE);
	BAD(RMAI_MSG_INV, 0, m->inv.id = 0);
	BAD(RMAI_MSG_INV, 0, m->inv.nr = 0);
	BAD(RMAI_MSG_INV, 0, m->inv.nr = RMAI_WIRE_INVS + 1);
	BAD(RMAI_MSG_INV, 0, m->inv.vmrs[0].seq = 0);
	BAD(RMAI_MSG_INV, 0, m->inv.vmrs[m->inv.nr - 1].vmr = 1ULL << 50);
	BAD(RMAI_MSG_INV, 0, (m->inv.nr = 2, m->inv.vmrs[1] = m->inv.vmrs[0]));
	BAD(RMAI_MSG_INV, 1, m->ack.bytes = 1ULL << 62);
	BAD(RMAI_MSG_RECALL, 0, m->recall.id = 0);
	BAD(RMAI_MSG_RECALL, 0, m->recall.vmr = 1ULL << 50);
	BAD(RMAI_MSG_RECALL, 0, m->recall.seq = 0);
	BAD(RMAI_MSG_RECALL, 0, m->recall.off = 4097);
	BAD(RMAI_MSG_RECALL, 0, m->recall.off = 1ULL << 62);
	BAD(RMAI_MSG_RECALL, 0, m->recall.flags = 8);
	BAD(RMAI_MSG_RECALL, 0, m->recall.nr = 0);
	BAD(RMAI_MSG_RECALL, 0, m->recall.nr = RMAI_WIRE_RECALL_KEYS + 1);
	BAD(RMAI_MSG_RECALL, 0, m->recall.keys[0].len = 0);
	BAD(RMAI_MSG_RECALL, 0, m->recall.keys[0].addr = U64_MAX - 4094);
#undef BAD

	/* and one that is allowed: a LINK that took its name from no region */
	make(test, &rng, RMAI_MSG_LINK, true, 0);
	m->id.id = 0;
	KUNIT_EXPECT_GT(test, rmai_wire_encode(m, c->again), 0);
}

/* An error has no body, except that a refused HELLO says who refuses, and why */
static void errors_have_no_body(struct kunit *test)
{
	struct codec *c = test->priv;
	u64 rng = SEED;
	u8 type;

	for (type = 1; type < RMAI_MSG_NR; type++) {
		make(test, &rng, type, true, -EPERM);
		if (type == RMAI_MSG_HELLO) {
			KUNIT_EXPECT_EQ(test, sizeof(struct wire_hdr) +
					sizeof(struct wire_hello), c->len);
			continue;
		}
		KUNIT_EXPECT_EQ(test, sizeof(struct wire_hdr), c->len);
		c->len++;
		KUNIT_EXPECT_EQ(test, -EPROTO, decode(c));
	}
}

static void dirents(struct kunit *test)
{
	struct codec *c = test->priv;
	struct rmai_msg_readdir *rd = &c->msg.readdir;
	const char *name;
	u64 id, cookie, rng = SEED;
	char buf[8];
	size_t pos;
	int n, len;

	gen_msg(&rng, RMAI_MSG_READDIR, true, 0, &c->msg);
	memset(rd, 0, sizeof(*rd));
	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_wire_add_dirent(rd, 0, 1, "a", 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_wire_add_dirent(rd, 1, 0, "a", 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_wire_add_dirent(rd, 1, 1, "..", 2));
	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_wire_add_dirent(rd, 1, 1, "a/b", 3));
	KUNIT_EXPECT_EQ(test, 0, rd->nr);

	for (n = 0; ; n++) {
		len = scnprintf(buf, sizeof(buf), "r%d", n);
		if (rmai_wire_add_dirent(rd, n + 100, n + 1, buf, len))
			break;
	}
	KUNIT_EXPECT_EQ(test, n, rd->nr);
	KUNIT_EXPECT_EQ(test, n, rd->cookie);
	KUNIT_EXPECT_GT(test, n, RMAI_WIRE_DIRENTS / 24);
	/* full for this one, but not for what still fits */
	KUNIT_EXPECT_EQ(test, -ENOSPC, rmai_wire_add_dirent(rd, 1, n + 1, buf, len));
	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_wire_add_dirent(rd, 1, n, buf, len));

	c->len = rmai_wire_encode(&c->msg, c->wire);
	KUNIT_ASSERT_GT(test, c->len, 0);
	KUNIT_ASSERT_EQ(test, 0, decode(c));
	rd = &c->out.readdir;
	for (n = 0, pos = 0; (len = rmai_wire_dirent(rd, &pos, &id, &cookie, &name)); n++) {
		scnprintf(buf, sizeof(buf), "r%d", n);
		KUNIT_EXPECT_EQ(test, strlen(buf), len);
		KUNIT_EXPECT_MEMEQ(test, name, buf, len);
		KUNIT_EXPECT_EQ(test, n + 100, id);
		KUNIT_EXPECT_EQ(test, n + 1, cookie);
	}
	KUNIT_EXPECT_EQ(test, n, rd->nr);
	KUNIT_EXPECT_EQ(test, pos, rd->bytes);

	/* a reader must get on: cookies grow, and the end is said */
	rd->cookie++;
	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_wire_encode(&c->out, c->again));
	rd->cookie--;
	rd->nr++;
	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_wire_encode(&c->out, c->again));
	rd->nr = 0;
	rd->bytes = 0;
	rd->eof = 0;
	KUNIT_EXPECT_EQ(test, -EINVAL, rmai_wire_encode(&c->out, c->again));
	rd->eof = 1;
	KUNIT_EXPECT_GT(test, rmai_wire_encode(&c->out, c->again), 0);
}

static void texts(struct kunit *test)
{
	unsigned int i, j;

	KUNIT_EXPECT_STREQ(test, "HELLO", rmai_msg_name(RMAI_MSG_HELLO));
	KUNIT_EXPECT_STREQ(test, "WRITE", rmai_msg_name(RMAI_MSG_WRITE));
	KUNIT_EXPECT_STREQ(test, "?", rmai_msg_name(0));
	KUNIT_EXPECT_STREQ(test, "?", rmai_msg_name(RMAI_MSG_NR));
	for (i = 0; i < RMAI_REFUSE_NR; i++) {
		KUNIT_ASSERT_NOT_NULL(test, rmai_refusal_name(i));
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_STRNEQ(test, rmai_refusal_name(i),
					    rmai_refusal_name(j));
	}
	KUNIT_EXPECT_NOT_NULL(test, rmai_refusal_name(0xffff));
}

static struct kunit_case wire_cases[] = {
	KUNIT_CASE(round_trip),
	KUNIT_CASE(fields),
	KUNIT_CASE(truncated),
	KUNIT_CASE(bit_flips),
	KUNIT_CASE(other_version),
	KUNIT_CASE(hostile_counts),
	KUNIT_CASE(bad_header),
	KUNIT_CASE(bad_bodies),
	KUNIT_CASE(errors_have_no_body),
	KUNIT_CASE(dirents),
	KUNIT_CASE(texts),
	{}
};

static struct kunit_suite wire_suite = {
	.name = "rmai_wire",
	.init = codec_init,
	.test_cases = wire_cases,
};

kunit_test_suite(wire_suite);

MODULE_DESCRIPTION("KUnit test of the RMAI wire protocol");
MODULE_LICENSE("GPL");

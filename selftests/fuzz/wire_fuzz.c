// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes the wire protocol's codec (mm/rmai/wire.c), compiled for user space.
 *
 * Inputs are valid messages of every type, the same after a few mutations that
 * know where lengths and counts are, and garbage. For every input:
 *
 *  - the codec stays inside the input and inside the message (ASan, UBSan);
 *  - what it accepts it also encodes, to the same bytes again;
 *  - what it accepts keeps the promises of wire.h, checked here by other code than
 *    the codec's own;
 *  - what the generator made is accepted.
 *
 * Inputs follow from the seed alone. Prints KTAP: for requests and replies of each
 * type how many inputs were accepted and rejected; neither may be 0.
 *
 * With -DLIBFUZZER the same checks run under clang's -fsanitize=fuzzer.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "wire_user.h"
#include "vmr.h"
#include "wire_gen.h"

#define INPUT_MAX	(RMAI_WIRE_MAX + 512)	/* some are too long */
#define HDR		40			/* bytes of a header */
#define HDR_TYPE	5			/* where these are in it */
#define HDR_FLAGS	6
#define HDR_LENGTH	8
#define HDR_STATUS	20

static struct rmai_msg msg;			/* what is being decoded */
static u8 input[INPUT_MAX];
static size_t input_len;
static unsigned long input_nr;
static u64 seed = 1;

static void dump_input(void)
{
	size_t i;

	fprintf(stderr, "# seed %llu, input %lu, %zu bytes:", (unsigned long long)seed,
		input_nr, input_len);
	for (i = 0; i < input_len; i++)
		fprintf(stderr, "%s%02x", i % 32 ? "" : "\n# ", input[i]);
	fprintf(stderr, "\n");
}

static void broken(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "# %s %s: ", rmai_msg_name(msg.type),
		msg.flags & RMAI_MSG_F_REPLY ? "reply" : "request");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	dump_input();
	fprintf(stderr, "Bail out! the codec broke a promise\n");
#ifdef LIBFUZZER
	abort();
#endif
	exit(1);
}

#define promise(cond) do { if (!(cond)) broken("not so: %s", #cond); } while (0)

/* Offsets in a region whose attributes were accepted: is the arithmetic safe? */
static void check_geometry(const struct rmai_wire_attr *a)
{
	struct rmai_geom g = { a->size, a->vmr_size, a->stripe, a->nr_nodes };
	static const u32 key_bytes[] = { 4096, 12288, 1 << 20, 2 << 20, 1 << 30 };
	u64 offs[] = { 0, a->size / 2, a->size - 1, a->size, a->change,
		       RMAI_WIRE_SIZE_LIMIT - 1 };
	struct rmai_span v, k;
	size_t i, j;

	promise(rmai_geom_valid(&g));
	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		u64 off = offs[i] % RMAI_WIRE_SIZE_LIMIT;

		v = rmai_vmr_span(&g, off);
		promise(v.off <= off && off - v.off < g.vmr_size);
		promise(rmai_vmr_index(&g, off) == v.off / g.vmr_size);
		promise(v.len <= g.vmr_size && v.len % 4096 == 0);
		promise(off >= g.size || off - v.off < v.len);
		promise(rmai_home_slot(&g, off) < g.nr_nodes);
		promise(rmai_home_run(&g, v.off, v.len) == v.len);
		for (j = 0; j < ARRAY_SIZE(key_bytes); j++) {
			u64 nr = rmai_key_number(&g, key_bytes[j], off);

			k = rmai_key_span(&g, key_bytes[j], nr);
			promise(off >= g.size || (k.off <= off && off - k.off < k.len));
			promise(k.len <= key_bytes[j]);
			promise(rmai_home_run(&g, k.off, k.len) == k.len);
			k = rmai_key_span(&g, key_bytes[j], a->ctime_ns);
			promise(!k.len || rmai_key_number(&g, key_bytes[j], k.off) ==
					  a->ctime_ns);
		}
	}
}

static void check_attr(const struct rmai_wire_attr *a, bool whole)
{
	u16 i, j;

	promise(a->nr_nodes <= 64);
	for (i = 0; i < a->nr_nodes; i++) {
		promise(a->nodes[i].id >= 1 && a->nodes[i].id <= 64);
		for (j = 0; j < i; j++)
			promise(a->nodes[i].id != a->nodes[j].id);
	}
	promise(a->mode <= 07777);
	promise(!(a->seals & ~0xfU));
	promise(a->on_loss <= 2);
	promise(a->fetch <= 0x3f);
	promise(!a->cache_max || a->cache_min <= a->cache_max);
	promise(!(a->flags & ~RMAI_REGION_ANON));
	promise(a->owner <= 64);
	promise(a->vmr_size % 4096 == 0 && a->vmr_size <= 1 << 30);
	promise(a->stripe % 4096 == 0);
	promise(!(a->size >> 62) && !(a->addr >> 62) && !(a->length >> 62));
	promise(!(a->stripe >> 62));
	if (!whole)
		return;
	promise(a->id && a->owner && a->nr_nodes && a->vmr_size && a->stripe);
	promise(a->stripe % a->vmr_size == 0);
	promise(!a->addr == !a->length && a->addr % 4096 == 0);
	check_geometry(a);
}

static void check_name(const char *name, size_t len)
{
	size_t i;

	promise(len >= 1 && len <= 255);
	for (i = 0; i < len; i++)
		promise(name[i] && name[i] != '/');
	promise(!(len == 1 && name[0] == '.'));
	promise(!(len == 2 && name[0] == '.' && name[1] == '.'));
}

static void check_dirents(const struct rmai_msg_readdir *rd)
{
	size_t pos = 0, bytes = 0;
	u64 id, cookie, last = 0;
	const char *name;
	int len, nr = 0;

	promise(rd->bytes <= sizeof(rd->data));
	promise(rd->nr || rd->eof);
	while ((len = rmai_wire_dirent(rd, &pos, &id, &cookie, &name)) > 0) {
		promise(name >= (const char *)rd->data + 17);
		promise(name + len <= (const char *)rd->data + rd->bytes);
		promise(id && cookie > last);
		check_name(name, len);
		last = cookie;
		bytes += 17 + len;
		nr++;
	}
	promise(nr == rd->nr && bytes == rd->bytes);
	promise(!nr || last == rd->cookie);
}

static void check_request(void)
{
	u16 i;

	promise(msg.status == 0);
	switch (msg.type) {
	case RMAI_MSG_HELLO:
		promise(!msg.dst_epoch && !msg.hello.refusal);
		break;
	case RMAI_MSG_CREATE:
		check_attr(&msg.name.attr, false);
		promise(!msg.name.len == !!(msg.name.attr.flags & RMAI_REGION_ANON));
		promise(msg.name.name[msg.name.len] == 0);
		if (msg.name.len)
			check_name(msg.name.name, msg.name.len);
		break;
	case RMAI_MSG_LOOKUP:
	case RMAI_MSG_LINK:
	case RMAI_MSG_UNLINK:
		check_name(msg.name.name, msg.name.len);
		promise(msg.name.name[msg.name.len] == 0);
		promise(!msg.name.id == (msg.type == RMAI_MSG_LOOKUP));
		break;
	case RMAI_MSG_SETATTR:
	case RMAI_MSG_SEAL:
	case RMAI_MSG_ADDR:
	case RMAI_MSG_TRUNC:
	case RMAI_MSG_FREEZE:
		promise(msg.setattr.id && !(msg.setattr.mask & ~0x1fffU));
		check_attr(&msg.setattr.attr, false);
		break;
	case RMAI_MSG_OPEN:
		promise(msg.open.id);
		break;
	case RMAI_MSG_ATTACH:
		promise(msg.open.addr && !(msg.open.addr >> 62));
		promise(!(msg.open.access & ~6U));
		break;
	case RMAI_MSG_WRITE:
		promise(msg.io.key.len == msg.io.len);
		promise(msg.io.key.addr + msg.io.key.len > msg.io.key.addr);
		promise(!((msg.io.off + msg.io.ahead) >> 62));
		break;
	case RMAI_MSG_PUBLISH:
		promise(msg.publish.id && msg.publish.old && msg.publish.generation);
		promise(msg.publish.id != msg.publish.old);
		check_name(msg.publish.name, msg.publish.len);
		check_name(msg.publish.from, msg.publish.from_len);
		promise(!msg.publish.name[msg.publish.len]);
		promise(!msg.publish.from[msg.publish.from_len]);
		break;
	case RMAI_MSG_VMRS:
		promise(!msg.vmrs.nr);
		break;
	case RMAI_MSG_RESET:
		promise(msg.reset.nr);
		break;
	case RMAI_MSG_READDIR:
		promise(!msg.readdir.nr && !msg.readdir.bytes);
		break;
	case RMAI_MSG_GET_S:
	case RMAI_MSG_GET_X:
	case RMAI_MSG_PUT:
		promise(!msg.get.seq == !(msg.get.flags & 1) && !msg.get.gen);
		promise(!(msg.get.flags & ~(msg.type == RMAI_MSG_PUT ? 2U : 1U)));
		break;
	case RMAI_MSG_INV:
		promise(msg.inv.id && msg.inv.nr >= 1 && msg.inv.nr <= 64);
		for (i = 0; i < msg.inv.nr; i++)
			promise(msg.inv.vmrs[i].seq && !(msg.inv.vmrs[i].vmr >> 50) &&
				(!i || msg.inv.vmrs[i].vmr > msg.inv.vmrs[i - 1].vmr));
		break;
	case RMAI_MSG_RECALL:
		promise(msg.recall.id && msg.recall.seq && !(msg.recall.vmr >> 50));
		promise(msg.recall.nr >= 1 && msg.recall.nr <= 128);
		promise(!(msg.recall.off >> 62) && msg.recall.off % 4096 == 0);
		promise(!(msg.recall.flags & ~6U));
		for (i = 0; i < msg.recall.nr; i++) {
			const struct rmai_wire_key *k = &msg.recall.keys[i];

			promise(k->len && k->len % 4096 == 0);
			promise(k->addr + k->len > k->addr);
		}
		break;
	case RMAI_MSG_KEYS:
		promise(!msg.keys.gen);
		break;
	}
}

static void check_reply(void)
{
	u16 i;

	promise(msg.status <= 0 && msg.status >= -4095);
	if (msg.status)
		return;
	switch (msg.type) {
	case RMAI_MSG_CREATE:
	case RMAI_MSG_GETATTR:
	case RMAI_MSG_SETATTR:
	case RMAI_MSG_SEAL:
	case RMAI_MSG_OPEN:
	case RMAI_MSG_ADDR:
	case RMAI_MSG_ATTACH:
		check_attr(&msg.attr.attr, true);
		break;
	case RMAI_MSG_LOOKUP:
	case RMAI_MSG_UNLINK:
	case RMAI_MSG_PUBLISH:
		promise(msg.id.id);
		break;
	case RMAI_MSG_READDIR:
		check_dirents(&msg.readdir);
		break;
	case RMAI_MSG_KEYS:
		for (i = 0; i < msg.keys.nr; i++) {
			const struct rmai_wire_key *k = &msg.keys.keys[i];

			promise(k->len && k->len % 4096 == 0);
			promise(k->addr + k->len > k->addr);
		}
		break;
	}
}

static void check_accepted(void)
{
	const struct rmai_msg_hello *h = &msg.hello;
	size_t i;

	promise(msg.type >= 1 && msg.type <= 28 && msg.flags <= 1);
	promise(msg.src >= 1 && msg.src <= 64 && msg.dst >= 1 && msg.dst <= 64);
	promise(msg.epoch);
	if (msg.flags)
		check_reply();
	else
		check_request();
	switch (msg.type) {
	case RMAI_MSG_HELLO:
		promise(h->refusal < RMAI_REFUSE_NR && h->role >= 1 && h->role <= 3);
		promise((u64)h->page_size * h->key_pages <= 1 << 30);
		promise(h->lease_ms <= 86400000);
		promise(h->page_size >= 4096 && h->key_pages);
		promise(memchr(h->cluster, 0, 33) && h->cluster[0]);
		for (i = 0; h->cluster[i]; i++)
			promise(h->cluster[i] > 32 && h->cluster[i] < 127);
		break;
	case RMAI_MSG_KEYS:
		if (msg.status)
			break;
		promise(msg.keys.id && msg.keys.nr >= 1 && msg.keys.nr <= 192);
		promise(msg.keys.first + msg.keys.nr > msg.keys.first);
		promise(!(msg.keys.size >> 62));
		break;
	case RMAI_MSG_GET_S:
	case RMAI_MSG_GET_X:
	case RMAI_MSG_PUT:
		if (msg.status || (msg.flags && msg.type == RMAI_MSG_PUT))
			break;
		promise(msg.get.id && !(msg.get.vmr >> 50) && !(msg.get.size >> 62));
		promise(!msg.flags || msg.get.seq);
		promise(!(msg.get.flags & ~(msg.flags && msg.type == RMAI_MSG_GET_S ? 9U : 3U)));
		break;
	case RMAI_MSG_VMRS:
		if (msg.status)
			break;
		promise(msg.vmrs.id && msg.vmrs.nr <= 64 && !(msg.vmrs.first >> 50));
		promise(msg.vmrs.what == 1 || msg.vmrs.what == 2);
		promise(msg.vmrs.what == 2 || !msg.vmrs.first);
		for (i = 0; i < msg.vmrs.nr; i++) {
			promise(!(msg.vmrs.vmrs[i].vmr >> 50));
			promise(msg.vmrs.vmrs[i].owner <= 64);
			promise(msg.vmrs.what == 1 || msg.vmrs.vmrs[i].vmr >=
				(i ? msg.vmrs.vmrs[i - 1].vmr + 1 : msg.vmrs.first));
		}
		break;
	case RMAI_MSG_RESET:
		if (msg.status)
			break;
		promise(msg.reset.id && !(msg.reset.first >> 50) && !(msg.reset.nr >> 51));
		promise(msg.reset.first + msg.reset.nr <= 1ULL << 50);
		break;
	case RMAI_MSG_WRITE:
		if (msg.status)
			break;
		promise(msg.io.id && msg.io.len >= 1 && msg.io.len <= 1 << 20);
		promise(!((msg.io.off + msg.io.len) >> 62));
		break;
	}
}

/* Decode the input and check all that must hold. Returns what decode did. */
static int one(void)
{
	static const u8 fills[] = { 0x00, 0xa5, 0xff };
	u8 fill = fills[input_nr / 100 % ARRAY_SIZE(fills)];
	static u8 again[RMAI_WIRE_MAX];
	/* of the input's size, so that ASan sees a byte too far */
	void *buf = malloc(input_len ?: 1);
	int ret, len;

	memcpy(buf, input, input_len);
	/* what the message held before must not matter */
	memset(&msg, fill, sizeof(msg));
	ret = rmai_wire_decode(buf, input_len, &msg);
	free(buf);
	if (ret) {
		if (ret != -EPROTO && ret != -EPROTONOSUPPORT)
			broken("decode returned %d", ret);
		return ret;
	}
	memset(again, ~fill, sizeof(again));
	len = rmai_wire_encode(&msg, again);
	if (len != (int)input_len)
		broken("%zu bytes accepted, encode returned %d", input_len, len);
	if (memcmp(again, input, len))
		broken("accepted, but encoded to other bytes");
	check_accepted();
	return 0;
}

#ifdef LIBFUZZER

int fuzz_input(const u8 *data, size_t size) __asm__("LLVMFuzzerTestOneInput");

int fuzz_input(const u8 *data, size_t size)
{
	if (size > sizeof(input))
		return 0;
	input_nr++;
	input_len = size;
	memcpy(input, data, size);
	one();
	return 0;
}

#else /* !LIBFUZZER */

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#else
static void __sanitizer_set_death_callback(void (*callback)(void)) { }
#endif

/* What became of the inputs that were meant as requests, replies of each type */
static struct outcome {
	unsigned long accepted;
	unsigned long rejected;
} outcomes[RMAI_MSG_NR][2], garbage, versions;

static void put_le(size_t off, u64 value, size_t size)
{
	for (; size && off < input_len; size--, off++, value >>= 8)
		input[off] = value;
}

static u64 interesting(u64 *rng)
{
	static const u64 values[] = {
		0, 1, 2, 63, 64, 65, 127, 128, 191, 192, 193, 254, 255, 256, 3839,
		3840, 3841, 4095, 4096, 4097, 07777, 010000, 0x7fff, 0x8000, 0xffff,
		0x10000, 0xfffff, 0x100000, 0x100001, 0x40000000, 0x40001000,
		0x7fffffff, 0x80000000, 0xffffffff, 1ULL << 32, 1ULL << 52,
		(1ULL << 62) - 1, 1ULL << 62, 1ULL << 63, ~0ULL, ~0ULL - 4095,
	};

	return values[gen_below(rng, ARRAY_SIZE(values))];
}

/* Make room for, or take away, @n bytes at @off */
static void move_tail(size_t off, long n)
{
	size_t end;

	if (n < 0 && off - n > input_len)
		n = -(long)(input_len - off);
	if (n > 0 && input_len + n > INPUT_MAX)
		n = INPUT_MAX - input_len;
	end = input_len + n;
	if (n < 0)
		memmove(input + off, input + off - n, input_len - off + n);
	else
		memmove(input + off + n, input + off, input_len - off);
	input_len = end;
}

static u64 get_le16(size_t off)
{
	return off + 2 <= input_len ? input[off] | input[off + 1] << 8 : 0;
}

/*
 * Change the count at @off, and with it the number of entries, of @size bytes, that
 * begin at @first.
 */
static void mutate_count(u64 *rng, size_t off, size_t first, size_t size)
{
	size_t old = get_le16(off), new, i;
	long change;

	switch (gen_below(rng, 3)) {
	case 0:
		new = interesting(rng) & 0xffff;
		break;
	case 1:
		new = old + gen_below(rng, 9) - 4;
		break;
	default:			/* as many as a message takes */
		new = size ? (RMAI_WIRE_MAX - first) / size : old;
		break;
	}
	if (first + old * size > input_len || new * size > INPUT_MAX)
		return;
	change = (long)(new - old) * (long)size;
	move_tail(first + (new < old ? new : old) * size, change);
	put_le(off, new, 2);
	for (i = first + old * size; i < first + new * size && i < input_len; i++)
		input[i] = old ? input[i - size] + !((i - first) % size) :
				 (u8)gen_u64(rng);
}

/* Put another name, most often a bad one, where one of @len bytes is */
static void mutate_name(u64 *rng, size_t off, size_t *len)
{
	static const char * const names[] = { ".", "..", "/", "a/b", "", "...", ".a" };
	const char *name = names[gen_below(rng, ARRAY_SIZE(names))];
	size_t new = strlen(name);

	if (off + *len > input_len || off + new > INPUT_MAX)
		return;
	if (*len && !gen_below(rng, 4)) {
		input[off + gen_below(rng, *len)] = 0;
		return;
	}
	move_tail(off, (long)new - (long)*len);
	memcpy(input + off, name, new);
	*len = new;
}

/* Changes that agree with themselves: counts, and names with their lengths */
static void mutate_structure(u64 *rng)
{
	const size_t keys = 34, readdir = 14, dirent = 17, name = 22, setattr = 20,
		     inv = 18, recall = 54, publish = 32, vmrs = 36;
	bool reply = input[HDR_FLAGS] & RMAI_MSG_F_REPLY;
	size_t attr = 0, len, old;

	if (input_len <= HDR)
		return;
	switch (input[HDR_TYPE]) {
	case RMAI_MSG_LOOKUP:
	case RMAI_MSG_LINK:
	case RMAI_MSG_UNLINK:
	case RMAI_MSG_CREATE:
		if (reply) {
			attr = HDR;
			break;
		}
		len = get_le16(HDR + name - 2);
		attr = HDR + name + len;
		if (input[HDR_TYPE] == RMAI_MSG_CREATE && gen_bool(rng))
			break;
		if (gen_bool(rng)) {
			mutate_count(rng, HDR + name - 2, HDR + name, 1);
			return;
		}
		mutate_name(rng, HDR + name, &len);
		put_le(HDR + name - 2, len, 2);
		return;
	case RMAI_MSG_READDIR:
		if (!reply)
			return;
		if (gen_bool(rng) || input_len < HDR + readdir + dirent) {
			mutate_count(rng, HDR + readdir - 2, HDR + readdir, 1);
			return;
		}
		if (gen_bool(rng)) {
			put_le(HDR + 8, get_le16(HDR + 8) + gen_below(rng, 3) - 1, 2);
			return;
		}
		len = input[HDR + readdir + dirent - 1];
		old = len;
		mutate_name(rng, HDR + readdir + dirent, &len);
		put_le(HDR + readdir + dirent - 1, len, 1);
		put_le(HDR + readdir - 2, get_le16(HDR + readdir - 2) + len - old, 2);
		return;
	case RMAI_MSG_KEYS:
		mutate_count(rng, HDR + keys - 2, HDR + keys, reply ? 16 : 0);
		return;
	case RMAI_MSG_PUBLISH:
		if (reply)
			return;
		if (gen_bool(rng)) {
			mutate_count(rng, HDR + publish - 2, HDR + publish, 1);
			return;
		}
		len = get_le16(HDR + publish - 4);
		mutate_name(rng, HDR + publish, &len);
		put_le(HDR + publish - 4, len, 2);
		return;
	case RMAI_MSG_VMRS:
		mutate_count(rng, HDR + vmrs - 2, HDR + vmrs, 38);
		return;
	case RMAI_MSG_INV:
		if (!reply)
			mutate_count(rng, HDR + inv - 2, HDR + inv, 24);
		return;
	case RMAI_MSG_RECALL:
		if (!reply)
			mutate_count(rng, HDR + recall - 2, HDR + recall, 16);
		return;
	case RMAI_MSG_SETATTR:
	case RMAI_MSG_SEAL:
	case RMAI_MSG_ADDR:
	case RMAI_MSG_TRUNC:
	case RMAI_MSG_FREEZE:
		attr = HDR + (reply ? 0 : setattr);
		break;
	default:
		attr = HDR;
		break;
	}
	mutate_count(rng, attr + 134, attr + 136, 10);
}

static void mutate_once(u64 *rng)
{
	size_t off = gen_below(rng, input_len + 1), n = 1 + gen_size(rng, 300);
	size_t from = gen_below(rng, input_len + 1), i;
	u8 copy[300];

	switch (gen_below(rng, 12)) {
	case 0:
	case 1:
		if (off < input_len)
			input[off] ^= 1 << gen_below(rng, 8);
		break;
	case 2:
		put_le(off, gen_u64(rng), 1);
		break;
	case 3:
		put_le(off, interesting(rng), 2);
		break;
	case 4:
		put_le(off, interesting(rng), 4);
		break;
	case 5:
		put_le(off, interesting(rng), 8);
		break;
	case 6:
		if (off < input_len)
			input[off] += gen_bool(rng) ? 1 : -1;
		break;
	case 7:				/* cut short */
		input_len = off;
		break;
	case 8:				/* lengthen */
		for (i = 0; i < n && input_len < INPUT_MAX; i++)
			input[input_len++] = n & 1 ? gen_u64(rng) : 0;
		break;
	case 9:				/* take something out */
		move_tail(off, -(long)n);
		break;
	case 10:			/* insert, or overwrite with, another part */
		n = min(min(n, sizeof(copy)), input_len - from);
		memcpy(copy, input + from, n);
		if (gen_bool(rng))
			move_tail(off, n);
		for (i = 0; i < n && off + i < input_len; i++)
			input[off + i] = copy[i];
		break;
	case 11:			/* another message's header, this one's body */
		if (input_len < HDR)
			break;
		input[HDR_TYPE] = gen_below(rng, RMAI_MSG_NR + 1);
		input[HDR_FLAGS] = gen_below(rng, 3);
		if (gen_bool(rng))
			put_le(HDR_STATUS, -gen_below(rng, 5000), 4);
		break;
	}
}

static void mutate(u64 *rng)
{
	unsigned int nr = 1 + gen_below(rng, 4);
	u8 header[HDR];

	memcpy(header, input, HDR);
	if (gen_below(rng, 4))
		while (nr--)
			mutate_once(rng);
	else
		mutate_structure(rng);
	/* Most mutants get past the header's checks, to try those of the body */
	if (input_len >= HDR && gen_below(rng, 4))
		memcpy(input, header, HDR);
	if (gen_below(rng, 8))
		put_le(HDR_LENGTH, input_len, 4);
}

static void make_valid(u64 *rng, unsigned long nr)
{
	unsigned long n = nr % (3 * (RMAI_MSG_NR - 1));
	bool reply = n % 3;
	s32 status = n % 3 == 2 ? -(s32)(1 + gen_below(rng, 4095)) : 0;
	static struct rmai_msg made;
	int len;

	gen_msg(rng, 1 + n / 3, reply, status, &made);
	len = rmai_wire_encode(&made, input);
	msg = made;
	input_len = len > 0 ? len : 0;
	if (len < 0)
		broken("encode of a generated message returned %d", len);
}

static void count(struct outcome *o, int ret)
{
	if (ret)
		o->rejected++;
	else
		o->accepted++;
}

static void fuzz_one(u64 *rng)
{
	unsigned int kind = gen_below(rng, 32);
	struct outcome *o;
	size_t i, keep;
	int ret;

	make_valid(rng, input_nr);
	o = &outcomes[input[HDR_TYPE]][input[HDR_FLAGS]];
	if (kind < 4) {
		/* as it is */
		if (one())
			broken("a valid message was rejected");
		o->accepted++;
		return;
	}
	if (kind < 6) {
		/* garbage, with or without a header before it */
		keep = kind == 4 ? HDR : gen_below(rng, HDR);
		input_len = keep + gen_size(rng, INPUT_MAX - HDR);
		for (i = keep; i < input_len; i++)
			input[i] = gen_u64(rng);
		put_le(HDR_LENGTH, input_len, 4);
		count(&garbage, one());
		return;
	}
	if (kind == 6) {
		/* another version's, body unknown, perhaps incomplete */
		input[4] = gen_u64(rng);
		input_len = 5 + gen_below(rng, input_len - 4);
		ret = one();
		if (input[4] != RMAI_WIRE_VERSION && ret != -EPROTONOSUPPORT)
			broken("decode of version %u returned %d", input[4], ret);
		count(&versions, ret);
		return;
	}
	mutate(rng);
	count(o, one());
}

static int report(void)
{
	unsigned int type, reply, nr = 0, failed = 0;
	struct outcome all = { garbage.accepted, garbage.rejected };

	printf("1..%d\n", 2 * (RMAI_MSG_NR - 1) + 2);
	for (type = 1; type < RMAI_MSG_NR; type++) {
		for (reply = 0; reply < 2; reply++) {
			struct outcome *o = &outcomes[type][reply];
			bool ok = o->accepted && o->rejected;

			printf("%sok %u %s %s: %lu accepted, %lu rejected\n",
			       ok ? "" : "not ", ++nr, rmai_msg_name(type),
			       reply ? "reply" : "request", o->accepted, o->rejected);
			failed += !ok;
			all.accepted += o->accepted;
			all.rejected += o->rejected;
		}
	}
	printf("%sok %u garbage: %lu accepted, %lu rejected\n",
	       garbage.rejected ? "" : "not ", ++nr, garbage.accepted,
	       garbage.rejected);
	printf("%sok %u other versions: %lu refused\n",
	       versions.rejected ? "" : "not ", ++nr, versions.rejected);
	failed += !garbage.rejected + !versions.rejected;
	printf("# %lu inputs from seed %llu: %lu accepted, %lu rejected\n", input_nr,
	       (unsigned long long)seed, all.accepted + versions.accepted,
	       all.rejected + versions.rejected);
	return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	unsigned long inputs = 1000000;
	u64 rng;
	int opt;

	while ((opt = getopt(argc, argv, "n:s:")) != -1) {
		switch (opt) {
		case 'n':
			inputs = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		default:
			fprintf(stderr, "usage: %s [-n INPUTS] [-s SEED]\n", argv[0]);
			return 2;
		}
	}
	__sanitizer_set_death_callback(dump_input);
	rng = seed * 0x9e3779b97f4a7c15ULL ?: 1;
	printf("KTAP version 1\n");
	for (; input_nr < inputs; input_nr++)
		fuzz_one(&rng);
	return report();
}

#endif /* LIBFUZZER */

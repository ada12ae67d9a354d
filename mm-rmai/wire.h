/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The wire protocol: message types, their decoded form, and the codec.
 *
 * The codec (wire.c) is pure: bytes in, struct rmai_msg out, no allocation, no
 * global state. It also compiles in user space, where it is fuzzed.
 *
 * Every request has exactly one reply, of the same type with RMAI_MSG_F_REPLY
 * and the same xid. All requests are idempotent, so that a caller may send one
 * again after it has lost a connection.
 */
#ifndef _RMAI_WIRE_H
#define _RMAI_WIRE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
#endif

#define RMAI_WIRE_MAGIC		0x49414d52	/* "RMAI" */
#define RMAI_WIRE_VERSION	3
#define RMAI_WIRE_MAX		4096		/* bytes of a message */
#define RMAI_WIRE_NODES		64		/* node ids are 1 .. 64 */
#define RMAI_WIRE_NAME		255		/* bytes of a name, no NUL, no '/' */
#define RMAI_WIRE_CLUSTER	32		/* bytes of a cluster name */
#define RMAI_WIRE_KEYS		192		/* keys in one KEYS reply */
#define RMAI_WIRE_DIRENTS	3840		/* bytes of entries in one READDIR reply */
#define RMAI_WIRE_DATA_MAX	0x100000	/* bytes of one WRITE */
#define RMAI_WIRE_LEASE_MAX	86400000	/* milliseconds */
#define RMAI_WIRE_INVS		64		/* VMRs in one INV */
#define RMAI_WIRE_RECALL_KEYS	128		/* keys in one RECALL */
#define RMAI_WIRE_VMRS		64		/* VMRs in one VMRS reply */
#define RMAI_WIRE_SIZE_LIMIT	0x4000000000000000ULL	/* sizes, offsets, addresses are below */

/**
 * enum rmai_msg_type - what a message asks for
 * @RMAI_MSG_HELLO: first message each way; the reply accepts or refuses
 * @RMAI_MSG_PING: heartbeat; carries the sender's pool
 * @RMAI_MSG_LOOKUP: name -> region id (to the name's node)
 * @RMAI_MSG_CREATE: make a region (to the name's node, which becomes its owner)
 * @RMAI_MSG_LINK: make or replace a name of a region (to the name's node)
 * @RMAI_MSG_UNLINK: remove a name if it names that region (to the name's node)
 * @RMAI_MSG_READDIR: names after a cookie (to each memory node)
 * @RMAI_MSG_GETATTR: attributes (to the owner)
 * @RMAI_MSG_SETATTR: change attributes, size included (to the owner)
 * @RMAI_MSG_SEAL: add seals (to the owner)
 * @RMAI_MSG_OPEN: the sender has the region open (to the owner)
 * @RMAI_MSG_CLOSE: and no longer
 * @RMAI_MSG_UNREF: the region has lost a name (name's node to owner)
 * @RMAI_MSG_ADDR: assign the symmetric address (to the owner)
 * @RMAI_MSG_ATTACH: address -> attributes (to the address's node)
 * @RMAI_MSG_TRUNC: drop stored bytes past a size (owner to home)
 * @RMAI_MSG_FREEZE: refuse writes from now on (owner to home)
 * @RMAI_MSG_FREE: drop all of a region (owner to homes and openers)
 * @RMAI_MSG_KEYS: keys of a region's chunks (to a home)
 * @RMAI_MSG_WRITE: home reads bytes from the sender's memory and stores them
 * @RMAI_MSG_GET_S: the sender wants to read a VMR of an open region (to its home);
 *	the reply grants it
 * @RMAI_MSG_GET_X: the sender wants to write it
 * @RMAI_MSG_PUT: the sender wants to give back what it may have written
 * @RMAI_MSG_INV: drop these VMRs, which others will write (home to a reader)
 * @RMAI_MSG_RECALL: write a VMR back, and no longer write it (home to the writer)
 * @RMAI_MSG_PUBLISH: a sealed region takes the place of another (to the name's node)
 * @RMAI_MSG_VMRS: VMRs that are fought over, or lost (to a home)
 * @RMAI_MSG_RESET: lost VMRs may be used again, as they are stored (to a home)
 */
enum rmai_msg_type {
	RMAI_MSG_HELLO		= 1,
	RMAI_MSG_PING		= 2,
	RMAI_MSG_LOOKUP		= 3,
	RMAI_MSG_CREATE		= 4,
	RMAI_MSG_LINK		= 5,
	RMAI_MSG_UNLINK		= 6,
	RMAI_MSG_READDIR	= 7,
	RMAI_MSG_GETATTR	= 8,
	RMAI_MSG_SETATTR	= 9,
	RMAI_MSG_SEAL		= 10,
	RMAI_MSG_OPEN		= 11,
	RMAI_MSG_CLOSE		= 12,
	RMAI_MSG_UNREF		= 13,
	RMAI_MSG_ADDR		= 14,
	RMAI_MSG_ATTACH		= 15,
	RMAI_MSG_TRUNC		= 16,
	RMAI_MSG_FREEZE		= 17,
	RMAI_MSG_FREE		= 18,
	RMAI_MSG_KEYS		= 19,
	RMAI_MSG_WRITE		= 20,
	RMAI_MSG_GET_S		= 21,
	RMAI_MSG_GET_X		= 22,
	RMAI_MSG_PUT		= 23,
	RMAI_MSG_INV		= 24,
	RMAI_MSG_RECALL		= 25,
	RMAI_MSG_PUBLISH	= 26,
	RMAI_MSG_VMRS		= 27,
	RMAI_MSG_RESET		= 28,
	/* private: */
	RMAI_MSG_NR
};

#define RMAI_MSG_F_REPLY	0x01	/* header flags */

/* Why a HELLO is refused (struct rmai_msg_hello.refusal in its reply) */
enum rmai_refusal {
	RMAI_REFUSE_NONE	= 0,
	RMAI_REFUSE_VERSION	= 1,	/* another wire version */
	RMAI_REFUSE_CLUSTER	= 2,	/* another cluster's name */
	RMAI_REFUSE_WINDOW	= 3,	/* another address window or page size */
	RMAI_REFUSE_MEMBERS	= 4,	/* another list of memory nodes */
	RMAI_REFUSE_NOT_ME	= 5,	/* dst is not the id of this node */
	RMAI_REFUSE_UNKNOWN	= 6,	/* src is not configured here */
	RMAI_REFUSE_DUPLICATE	= 7,	/* src's id is configured at another address,
					 * or is this node's own
					 */
	RMAI_REFUSE_ROLE	= 8,	/* src has another role in the configuration here */
	RMAI_REFUSE_NR
};

/* A region's attributes as they travel */
struct rmai_wire_attr {
	u64	id;			/* never 0 */
	u64	owner_epoch;
	u64	size;
	u64	addr;			/* 0: none assigned */
	u64	length;			/* reserved at addr */
	u64	vmr_size;
	u64	stripe;
	u64	ctime_ns;
	u64	mtime_ns;
	u64	change;			/* counts changes of the attributes */
	u32	mode;			/* permission bits, 07777 at most */
	u32	uid;
	u32	gid;
	u32	nlink;
	u32	seals;			/* F_SEAL_SEAL|SHRINK|GROW|WRITE */
	u32	on_loss;		/* enum rmai_on_loss */
	u32	flags;			/* RMAI_REGION_ANON */
	u32	fetch;			/* RMAI_FETCH_* */
	u32	generation;		/* counts from 1; 0 where it does not matter */
	u64	cache_min;		/* bytes that a node keeps of it */
	u64	cache_max;		/* and keeps at most, 0: any */
	u16	owner;			/* node id */
	u16	nr_nodes;		/* 1 .. RMAI_WIRE_NODES */
	struct {
		u16	id;
		u64	epoch;		/* incarnation that holds the data */
	} nodes[RMAI_WIRE_NODES];
};

struct rmai_wire_key {
	u64	addr;
	u32	rkey;
	u32	len;
};

struct rmai_msg_hello {			/* request and reply */
	u64	window_start;
	u64	window_size;
	u64	members;		/* hash of the memory nodes' ids and addresses */
	u64	pool_total;		/* bytes */
	u64	pool_used;
	u32	lease_ms;		/* of the sender, see struct rmai_config */
	u32	page_size;
	u32	key_pages;		/* most pages one of the sender's keys covers */
	u16	role;			/* RMAI_ROLE_* */
	u16	refusal;		/* reply: enum rmai_refusal */
	char	cluster[RMAI_WIRE_CLUSTER + 1];	/* NUL-terminated when decoded */
};

struct rmai_msg_ping {			/* request and reply */
	u64	pool_total;
	u64	pool_used;
	u32	lease_ms;		/* of the sender; the reply lets it begin anew */
};

struct rmai_msg_name {			/* LOOKUP, CREATE, LINK, UNLINK requests */
	u64	id;			/* LINK, UNLINK: region; CREATE: 0 */
	u64	token;			/* CREATE: the caller's, so that a repeat is known;
					 * LINK: incarnation of the region's owner
					 */
	u32	flags;			/* RMAI_NAME_* */
	u16	len;			/* of name; 0 only for an anonymous CREATE */
	char	name[RMAI_WIRE_NAME + 1];	/* NUL-terminated when decoded */
	struct rmai_wire_attr attr;	/* CREATE: wanted mode, uid, gid, size, vmr_size,
					 * stripe, flags, nodes (ids; epochs 0); else absent
					 */
};

#define RMAI_NAME_EXCL		0x1	/* LINK: fail with EEXIST rather than replace */
#define RMAI_NAME_RENAMED	0x2	/* UNLINK: the region has got another name */

/* GETATTR, CLOSE, UNREF, FREE requests; LOOKUP, LINK, UNLINK, PUBLISH replies */
struct rmai_msg_id {
	u64	id;			/* LINK reply: the region that lost the name, or 0 */
	u64	owner_epoch;
};

struct rmai_msg_open {			/* OPEN, ATTACH requests */
	u64	id;			/* OPEN */
	u64	addr;			/* ATTACH */
	u32	uid;			/* ATTACH: fsuid, fsgid of the caller */
	u32	gid;
	u32	access;			/* ATTACH: MAY_READ(4) | MAY_WRITE(2) */
};

struct rmai_msg_setattr {		/* SETATTR, SEAL, ADDR, TRUNC, FREEZE requests */
	u64	id;
	u64	owner_epoch;
	u32	mask;			/* RMAI_SET_* (SETATTR only) */
	struct rmai_wire_attr attr;	/* whole; SEAL and FREEZE: seals; TRUNC: size;
					 * ADDR: length
					 */
};

#define RMAI_SET_MODE		0x001
#define RMAI_SET_UID		0x002
#define RMAI_SET_GID		0x004
#define RMAI_SET_SIZE		0x008	/* exactly; may shrink */
#define RMAI_SET_EXTEND		0x010	/* size = max(size, this) */
#define RMAI_SET_MTIME		0x020
#define RMAI_SET_VMR_SIZE	0x040	/* this and the next two: empty regions only */
#define RMAI_SET_STRIPE		0x080
#define RMAI_SET_LAYOUT		0x100
#define RMAI_SET_ON_LOSS	0x200
#define RMAI_SET_FETCH		0x400
#define RMAI_SET_CACHE		0x800
#define RMAI_SET_GENERATION	0x1000	/* at least this; sealed regions only */
#define RMAI_SET_ALL		0x1fff

/* CREATE, GETATTR, SETATTR, SEAL, OPEN, ADDR, ATTACH replies */
struct rmai_msg_attr {
	struct rmai_wire_attr attr;
};

struct rmai_msg_readdir {		/* READDIR request; reply: entries follow */
	u64	cookie;			/* 0: from the start; reply: of the last entry */
	u16	nr;			/* reply */
	u16	eof;			/* reply: no more */
	u16	bytes;			/* reply: of data */
	/* reply: nr x { le64 id, le64 cookie, u8 len, name } */
	u8	data[RMAI_WIRE_DIRENTS];
};

struct rmai_msg_keys {
	u64	id;
	u64	owner_epoch;
	u64	home_epoch;		/* request: must be the home's own */
	u64	first;			/* key number, see vmr.h */
	u64	size;			/* of the region, as the sender knows it */
	u32	gen;			/* reply: see struct rmai_msg_get */
	u16	nr;			/* wanted; reply: given, at least 1 */
	struct rmai_wire_key keys[RMAI_WIRE_KEYS];	/* reply */
};

struct rmai_msg_io {			/* WRITE; reply: len done */
	u64	id;
	u64	owner_epoch;
	u64	home_epoch;
	u64	off;			/* in the region */
	u64	token;			/* the sender's, so that a repeat is known; not 0 */
	u32	len;			/* 1 .. RMAI_WIRE_DATA_MAX; equals key.len in a request */
	u64	ahead;			/* request: from off on, so many bytes are going to be
					 * written: they may be taken from readers at once; or 0
					 */
	struct rmai_wire_key key;	/* the sender's memory */
};

/* GET_S, GET_X, PUT; the reply to PUT has none */
struct rmai_msg_get {
	u64	id;
	u64	owner_epoch;
	u64	home_epoch;		/* request: must be the home's own */
	u64	vmr;			/* index, see vmr.h */
	u64	size;			/* of the region, as the sender knows it */
	u64	seq;			/* reply: of the grant; request: of the one under
					 * which it has the bytes (RMAI_VMR_HAVE), else 0
					 */
	u32	gen;			/* reply: earlier keys are void; request: 0 */
	u32	flags;			/* RMAI_VMR_HAVE (GET_S, GET_X), RMAI_VMR_DROP (PUT) */
};

/* GET: the sender has the bytes already; reply: and they are good still */
#define RMAI_VMR_HAVE		0x1
/* GET_S reply: it has never been written: zeros, to be had without a READ */
#define RMAI_VMR_HOLE		0x8
/* PUT, RECALL: nothing is to stay at the writer; else it may go on reading */
#define RMAI_VMR_DROP		0x2
/* RECALL: no more parts of the VMR follow */
#define RMAI_VMR_LAST		0x4

struct rmai_msg_inv {			/* INV request */
	u64	id;
	u64	owner_epoch;
	u16	nr;			/* 1 .. RMAI_WIRE_INVS */
	struct {
		u64	vmr;		/* growing */
		u64	seq;		/* of this invalidation, not 0 */
		u64	grant;		/* of the last grant to the receiver; 0: unknown */
	} vmrs[RMAI_WIRE_INVS];
};

struct rmai_msg_recall {		/* RECALL request */
	u64	id;
	u64	owner_epoch;
	u64	vmr;
	u64	seq;			/* not 0 */
	u64	grant;			/* under which the receiver may write it, not 0 */
	u64	off;			/* first byte of keys[0], in the region; page aligned */
	u32	flags;			/* RMAI_VMR_DROP, RMAI_VMR_LAST */
	u16	nr;			/* 1 .. RMAI_WIRE_RECALL_KEYS */
	struct rmai_wire_key keys[RMAI_WIRE_RECALL_KEYS];	/* one after the other */
};

struct rmai_msg_ack {			/* INV, RECALL replies */
	u64	bytes;			/* written back */
};

struct rmai_msg_publish {		/* PUBLISH request */
	u64	id;			/* region that is to have the name, sealed */
	u64	owner_epoch;		/* of its owner */
	u64	old;			/* region that must have it now */
	u32	generation;		/* of @id, from then on */
	u16	len;			/* of name */
	u16	from_len;		/* of from */
	char	name[RMAI_WIRE_NAME + 1];	/* NUL-terminated when decoded */
	char	from[RMAI_WIRE_NAME + 1];	/* the name that @id loses; likewise */
};

struct rmai_msg_vmrs {			/* VMRS */
	u64	id;
	u64	owner_epoch;
	u64	home_epoch;		/* request: must be the home's own */
	u64	first;			/* LOST: from this index on */
	u16	what;			/* RMAI_VMRS_* */
	u16	nr;			/* reply: HOT: hottest first; LOST: growing indices */
	struct {
		u64	vmr;		/* index, see vmr.h */
		u64	readers;	/* nodes that have got it to read, by id - 1 */
		u64	writers;	/* and to write */
		u32	moves;		/* from one writer to another node */
		u32	invs;		/* times that readers were told to drop it */
		u32	recalls;	/* times that a writer had to write it back */
		u16	owner;		/* writes it, or was lost with it; 0: nobody */
	} vmrs[RMAI_WIRE_VMRS];
};

struct rmai_msg_reset {			/* RESET */
	u64	id;
	u64	owner_epoch;
	u64	home_epoch;		/* request: must be the home's own */
	u64	first;			/* index of a VMR */
	u64	nr;			/* VMRs from there on; reply: of them, those reset */
};

#define RMAI_ROLE_MEMORY	0x1
#define RMAI_ROLE_COMPUTE	0x2

/**
 * struct rmai_msg - a message, decoded
 * @type: enum rmai_msg_type
 * @flags: RMAI_MSG_F_*
 * @src: sending node
 * @dst: node it is meant for
 * @epoch: incarnation of @src
 * @dst_epoch: incarnation of @dst that the sender believes in; 0 in a HELLO request
 * @xid: names a request among those outstanding; its reply repeats it
 * @status: reply: 0 or a negative errno (-4095 .. -1); then there is no body,
 *	except in a HELLO reply
 */
struct rmai_msg {
	u8	type;
	u8	flags;
	u16	src;
	u16	dst;
	u64	epoch;
	u64	dst_epoch;
	u32	xid;
	s32	status;
	/* private: which of them follows from type and flags, see below */
	union {
		struct rmai_msg_hello	hello;
		struct rmai_msg_ping	ping;
		struct rmai_msg_name	name;
		struct rmai_msg_id	id;
		struct rmai_msg_open	open;
		struct rmai_msg_setattr	setattr;
		struct rmai_msg_attr	attr;
		struct rmai_msg_readdir	readdir;
		struct rmai_msg_keys	keys;
		struct rmai_msg_io	io;
		struct rmai_msg_get	get;
		struct rmai_msg_inv	inv;
		struct rmai_msg_recall	recall;
		struct rmai_msg_ack	ack;
		struct rmai_msg_publish	publish;
		struct rmai_msg_vmrs	vmrs;
		struct rmai_msg_reset	reset;
	};
};

/*
 * Bodies of replies: HELLO hello; PING ping; LOOKUP, LINK, UNLINK, PUBLISH id; CREATE,
 * GETATTR, SETATTR, SEAL, OPEN, ADDR, ATTACH attr; READDIR readdir; KEYS keys;
 * WRITE io (key absent); GET_S, GET_X get; INV, RECALL ack; VMRS vmrs; RESET reset;
 * CLOSE, UNREF, TRUNC, FREEZE, FREE, PUT none.
 */

/**
 * rmai_wire_encode() - turn a message into bytes
 * @msg: the message; must be valid
 * @buf: RMAI_WIRE_MAX bytes of room
 *
 * Return: number of bytes, or -EINVAL for what would not decode.
 */
int rmai_wire_encode(const struct rmai_msg *msg, void *buf);

/**
 * rmai_wire_decode() - turn bytes into a message
 * @buf: what came
 * @len: bytes of it
 * @msg: filled in; contents undefined on error
 *
 * Checks every length, count, node, size, flag and name against the limits of
 * this file and of uapi/linux/rmai.h; what it lets through is well-formed (but
 * may still name regions or nodes that do not exist).
 *
 * Return: 0; -EPROTO for bytes that are no message; -EPROTONOSUPPORT for another
 * version (then src, dst and type are filled in if the header is complete).
 */
int rmai_wire_decode(const void *buf, size_t len, struct rmai_msg *msg);

bool rmai_wire_name_ok(const char *name, size_t len);
bool rmai_wire_cluster_ok(const char *name, size_t len);
const char *rmai_msg_name(u8 type);		/* "HELLO", ... or "?" */
const char *rmai_refusal_name(u16 refusal);	/* a sentence for the log */

/**
 * rmai_wire_dirent() - walk the entries of a READDIR reply
 * @rd: the reply
 * @pos: 0 to begin with; moved on
 * @id: region
 * @cookie: to go on after this entry
 * @name: points into @rd, not terminated
 *
 * Return: length of the name, or 0 at the end.
 */
int rmai_wire_dirent(const struct rmai_msg_readdir *rd, size_t *pos, u64 *id,
		     u64 *cookie, const char **name);

/**
 * rmai_wire_add_dirent() - append an entry to a READDIR reply
 * @rd: the reply; its nr, bytes and cookie must be 0 to begin with
 * @id: region, not 0
 * @cookie: to go on after this entry, larger than that of the one before
 * @name: need not be terminated
 * @len: of @name
 *
 * Sets @rd->cookie, too. A reply without entries must have eof set.
 *
 * Return: 0, -ENOSPC when the message is full, or -EINVAL for what would not be
 * accepted (a bad name, an id of 0, a cookie that does not grow).
 */
int rmai_wire_add_dirent(struct rmai_msg_readdir *rd, u64 id, u64 cookie,
			 const char *name, size_t len);

#endif /* _RMAI_WIRE_H */

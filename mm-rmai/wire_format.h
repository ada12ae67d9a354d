/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What messages look like on the wire: a header, then at most one body. Little
 * endian, without padding. wire.c says which body goes with which message and
 * what is allowed in it; wire.h says what the fields mean.
 *
 * A new version of the protocol may change anything but the header.
 */
#ifndef _RMAI_WIRE_FORMAT_H
#define _RMAI_WIRE_FORMAT_H

/* The start of every message, in every version of the protocol */
struct wire_hdr {
	__le32	magic;
	u8	version;
	u8	type;
	u8	flags;
	u8	reserved;
	__le32	length;			/* of the whole message */
	__le32	xid;
	__le16	src;
	__le16	dst;
	__le32	status;			/* two's complement */
	__le64	epoch;
	__le64	dst_epoch;
} __packed;
static_assert(sizeof(struct wire_hdr) == 40);

struct wire_hello {
	__le64	window_start;
	__le64	window_size;
	__le64	members;
	__le64	pool_total;
	__le64	pool_used;
	__le32	lease_ms;
	__le32	page_size;
	__le32	key_pages;
	__le16	role;
	__le16	refusal;
	char	cluster[RMAI_WIRE_CLUSTER];	/* padded with NULs */
} __packed;
static_assert(sizeof(struct wire_hello) == 88);

struct wire_ping {
	__le64	pool_total;
	__le64	pool_used;
	__le32	lease_ms;
} __packed;
static_assert(sizeof(struct wire_ping) == 20);

struct wire_name {
	__le64	id;
	__le64	token;
	__le32	flags;
	__le16	len;
	char	name[];
} __packed;
static_assert(sizeof(struct wire_name) == 22);

struct wire_node {
	__le64	epoch;
	__le16	id;
} __packed;
static_assert(sizeof(struct wire_node) == 10);

struct wire_attr {
	__le64	id;
	__le64	owner_epoch;
	__le64	size;
	__le64	addr;
	__le64	length;
	__le64	vmr_size;
	__le64	stripe;
	__le64	ctime_ns;
	__le64	mtime_ns;
	__le64	change;
	__le64	cache_min;
	__le64	cache_max;
	__le32	mode;
	__le32	uid;
	__le32	gid;
	__le32	nlink;
	__le32	seals;
	__le32	on_loss;
	__le32	flags;
	__le32	fetch;
	__le32	generation;
	__le16	owner;
	__le16	nr_nodes;
	struct wire_node nodes[];
} __packed;
static_assert(sizeof(struct wire_attr) == 136);

struct wire_id {
	__le64	id;
	__le64	owner_epoch;
} __packed;
static_assert(sizeof(struct wire_id) == 16);

struct wire_open {
	__le64	id;
	__le64	addr;
	__le32	uid;
	__le32	gid;
	__le32	access;
} __packed;
static_assert(sizeof(struct wire_open) == 28);

struct wire_setattr {
	__le64	id;
	__le64	owner_epoch;
	__le32	mask;
} __packed;
static_assert(sizeof(struct wire_setattr) == 20);

struct wire_readdir {			/* a request is the cookie alone */
	__le64	cookie;
	__le16	nr;
	__le16	eof;
	__le16	bytes;
	u8	data[];
} __packed;
static_assert(sizeof(struct wire_readdir) == 14);

struct wire_dirent {
	__le64	id;
	__le64	cookie;
	u8	len;
	char	name[];
} __packed;
static_assert(sizeof(struct wire_dirent) == 17);

struct wire_key {
	__le64	addr;
	__le32	rkey;
	__le32	len;
} __packed;
static_assert(sizeof(struct wire_key) == 16);

struct wire_keys {			/* a request has no keys */
	__le64	id;
	__le64	owner_epoch;
	__le64	home_epoch;
	__le64	first;
	__le64	size;
	__le32	gen;
	__le16	nr;
	struct wire_key keys[];
} __packed;
static_assert(sizeof(struct wire_keys) == 46);

struct wire_io {			/* a request has a key behind it */
	__le64	id;
	__le64	owner_epoch;
	__le64	home_epoch;
	__le64	off;
	__le64	token;
	__le32	len;
	__le64	ahead;
} __packed;
static_assert(sizeof(struct wire_io) == 52);

struct wire_get {
	__le64	id;
	__le64	owner_epoch;
	__le64	home_epoch;
	__le64	vmr;
	__le64	size;
	__le64	seq;
	__le32	gen;
	__le32	flags;
} __packed;
static_assert(sizeof(struct wire_get) == 56);

struct wire_inv {
	__le64	id;
	__le64	owner_epoch;
	__le16	nr;
	struct {
		__le64	vmr;
		__le64	seq;
		__le64	grant;
	} __packed vmrs[];
} __packed;
static_assert(sizeof(struct wire_inv) == 18);

struct wire_recall {
	__le64	id;
	__le64	owner_epoch;
	__le64	vmr;
	__le64	seq;
	__le64	grant;
	__le64	off;
	__le32	flags;
	__le16	nr;
	struct wire_key keys[];
} __packed;
static_assert(sizeof(struct wire_recall) == 54);

struct wire_ack {
	__le64	bytes;
} __packed;
static_assert(sizeof(struct wire_ack) == 8);

struct wire_publish {			/* then both names */
	__le64	id;
	__le64	owner_epoch;
	__le64	old;
	__le32	generation;
	__le16	len;
	__le16	from_len;
	char	names[];
} __packed;
static_assert(sizeof(struct wire_publish) == 32);

struct wire_vmrs {			/* a request has no VMRs */
	__le64	id;
	__le64	owner_epoch;
	__le64	home_epoch;
	__le64	first;
	__le16	what;
	__le16	nr;
	struct {
		__le64	vmr;
		__le64	readers;
		__le64	writers;
		__le32	moves;
		__le32	invs;
		__le32	recalls;
		__le16	owner;
	} __packed vmrs[];
} __packed;
static_assert(sizeof(struct wire_vmrs) == 36);

struct wire_reset {
	__le64	id;
	__le64	owner_epoch;
	__le64	home_epoch;
	__le64	first;
	__le64	nr;
} __packed;
static_assert(sizeof(struct wire_reset) == 40);

/* No body outgrows a message, so that put functions need not check */
#define ATTR_MAX	(sizeof(struct wire_attr) + \
			 RMAI_WIRE_NODES * sizeof(struct wire_node))
static_assert(sizeof(struct wire_hdr) + sizeof(struct wire_name) +
	      RMAI_WIRE_NAME + ATTR_MAX <= RMAI_WIRE_MAX);
static_assert(sizeof(struct wire_hdr) + sizeof(struct wire_readdir) +
	      RMAI_WIRE_DIRENTS <= RMAI_WIRE_MAX);
static_assert(sizeof(struct wire_hdr) + sizeof(struct wire_keys) +
	      RMAI_WIRE_KEYS * sizeof(struct wire_key) <= RMAI_WIRE_MAX);
static_assert(sizeof(struct wire_hdr) + sizeof(struct wire_inv) +
	      RMAI_WIRE_INVS * 24 <= RMAI_WIRE_MAX);
static_assert(sizeof(struct wire_hdr) + sizeof(struct wire_vmrs) +
	      RMAI_WIRE_VMRS * 38 <= RMAI_WIRE_MAX);
static_assert(sizeof(struct wire_hdr) + sizeof(struct wire_recall) +
	      RMAI_WIRE_RECALL_KEYS * sizeof(struct wire_key) <= RMAI_WIRE_MAX);

#endif /* _RMAI_WIRE_FORMAT_H */

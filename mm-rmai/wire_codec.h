/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the codec share: wire.c, wire_region.c and wire_bytes.c.
 */
#ifndef _RMAI_WIRE_CODEC_H
#define _RMAI_WIRE_CODEC_H

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

#define PAGE_MIN	RMAI_VMR_MIN	/* smallest page that a node can have */

/* What of the received bytes has not been decoded yet */
struct input {
	const u8	*p;
	size_t		left;
};

static inline const void *take(struct input *in, size_t len)
{
	const u8 *p = in->p;

	if (in->left < len)
		return NULL;
	in->p += len;
	in->left -= len;
	return p;
}

static inline bool is_reply(const struct rmai_msg *msg)
{
	return msg->flags & RMAI_MSG_F_REPLY;
}

static inline bool node_ok(u16 id)
{
	return id >= 1 && id <= RMAI_WIRE_NODES;
}

static inline bool is_multiple(u64 value, u64 of)
{
	u64 rest;

	div64_u64_rem(value, of, &rest);
	return !rest;
}

static inline bool range_ok(u64 addr, u64 len)
{
	return len && addr <= U64_MAX - len;
}

/**
 * struct body - one kind of body, see wire.c
 * @ok: is it within the limits?
 * @put: message -> bytes; returns their end
 * @get: bytes -> message
 */
struct body {
	bool (*ok)(const struct rmai_msg *msg);
	void *(*put)(const struct rmai_msg *msg, void *p);
	bool (*get)(struct rmai_msg *msg, struct input *in);
};

#define BODY(b) const struct body rmai_##b##_body = { b##_ok, b##_put, b##_get }

/* wire_region.c */
extern const struct body rmai_region_body;
extern const struct body rmai_name_body;
extern const struct body rmai_id_body;
extern const struct body rmai_open_body;
extern const struct body rmai_setattr_body;
extern const struct body rmai_readdir_body;
extern const struct body rmai_publish_body;

/* wire_bytes.c */
extern const struct body rmai_keys_body;
extern const struct body rmai_io_body;
extern const struct body rmai_get_body;
extern const struct body rmai_inv_body;
extern const struct body rmai_recall_body;
extern const struct body rmai_ack_body;
extern const struct body rmai_vmrs_body;
extern const struct body rmai_reset_body;

#endif /* _RMAI_WIRE_CODEC_H */

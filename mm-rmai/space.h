/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The symmetric address space: one node's slice of the cluster's window.
 *
 * The window is cut in RMAI_WIRE_NODES equal slices; node n owns slice n - 1, so
 * an address names its node by arithmetic. The owner hands out ranges of its
 * slice from a maple tree (whose entries are the regions), and keeps freed
 * ranges in quarantine for a while, so that an address of something freed does
 * not soon mean something else.
 */
#ifndef _RMAI_SPACE_H
#define _RMAI_SPACE_H

#include <linux/list.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>

/**
 * struct rmai_space - a slice
 * @start: first address
 * @size: bytes
 * @lock: guards the rest
 * @mt: ranges in use (entry: owner's pointer) or in quarantine (XA_ZERO_ENTRY)
 * @quarantine: of freed ranges, oldest first
 * @quarantine_ms: how long a freed range is not reused; may change
 * @used: bytes handed out
 */
struct rmai_space {
	u64			start;
	u64			size;
	struct mutex		lock;
	struct maple_tree	mt;
	struct list_head	quarantine;
	const unsigned int	*quarantine_ms;
	u64			used;
};

/* Slice of node @node (1 ..) in the window; 0 on success, -EINVAL */
int rmai_window_slice(u64 window_start, u64 window_size, unsigned int node,
		      u64 *start, u64 *size);
/* Node (1 ..) whose slice holds @addr, or 0 */
unsigned int rmai_window_node(u64 window_start, u64 window_size, u64 addr);
/* Is this a window that nodes can use: page and PMD aligned slices, user addresses */
bool rmai_window_valid(u64 window_start, u64 window_size);

void rmai_space_init(struct rmai_space *sp, u64 start, u64 size,
		     const unsigned int *quarantine_ms);
void rmai_space_destroy(struct rmai_space *sp);
/*
 * Hand out @len bytes (rounded up to @align, a power of two, at least PMD_SIZE)
 * for @owner. Quarantined ranges whose time is up are reused first; before
 * failing, the oldest of the quarantine is given up. -ENOMEM, -EINVAL.
 */
int rmai_space_alloc(struct rmai_space *sp, u64 len, u64 align, void *owner,
		     u64 *addr);
void rmai_space_free(struct rmai_space *sp, u64 addr);
/* Who has the range that holds @addr, or NULL (free or in quarantine) */
void *rmai_space_lookup(struct rmai_space *sp, u64 addr);

#endif /* _RMAI_SPACE_H */

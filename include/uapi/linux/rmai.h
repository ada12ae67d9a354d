/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * RMAI: remote shared memory for AI inference, user-space interface.
 *
 * A region is a file of an rmaifs mount (or an anonymous MAP_RMAI mapping).
 * All sizes and offsets are in bytes unless the name says otherwise.
 */
#ifndef _UAPI_LINUX_RMAI_H
#define _UAPI_LINUX_RMAI_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* mmap(2) flag, valid with MAP_SHARED_VALIDATE only; see mmap_rmai(2) */
#ifndef MAP_RMAI
#define MAP_RMAI		0x800000
#endif

#define RMAI_SUPER_MAGIC	0x524d4149	/* statfs.f_type, "RMAI" */

#define RMAI_MAX_NODES		64		/* node ids are 1 .. 64 */
#define RMAI_NAME_MAX		255		/* bytes of a region's name */
#define RMAI_VMR_MIN		4096ULL
#define RMAI_VMR_MAX		(1ULL << 30)
#define RMAI_VMR_DEFAULT	(2ULL << 20)

/* What a fault does when its data cannot be had (struct rmai_attr.on_loss) */
enum rmai_on_loss {
	RMAI_ON_LOSS_DEFAULT	= 0,	/* the node's on_loss setting */
	RMAI_ON_LOSS_BLOCK	= 1,	/* wait, killably, until the data is back */
	RMAI_ON_LOSS_SIGBUS	= 2,	/* SIGBUS after the cluster's loss_tmo_ms */
};

/* struct rmai_attr.flags (read only) */
#define RMAI_REGION_SEALED	(1U << 0)	/* F_SEAL_WRITE|GROW|SHRINK are set */
#define RMAI_REGION_ANON	(1U << 1)	/* made by MAP_ANONYMOUS|MAP_RMAI */
#define RMAI_REGION_LOST	(1U << 2)	/* a node it lived on has rebooted */

/* struct rmai_attr.mask: what RMAI_IOC_SETATTR changes */
#define RMAI_ATTR_VMR_SIZE	(1U << 0)	/* region must be empty, else EBUSY */
#define RMAI_ATTR_STRIPE	(1U << 1)	/* likewise */
#define RMAI_ATTR_LAYOUT	(1U << 2)	/* likewise */
#define RMAI_ATTR_ON_LOSS	(1U << 3)
#define RMAI_ATTR_ALL		0xfU

/**
 * struct rmai_attr - attributes of a region (RMAI_IOC_GETATTR, RMAI_IOC_SETATTR)
 * @mask: SETATTR: RMAI_ATTR_* bits to change; GETATTR: ignored, 0 on return
 * @flags: RMAI_REGION_*; must be 0 for SETATTR
 * @region_id: identity in the cluster, never reused
 * @addr: symmetric address, 0 while none has been assigned
 * @length: bytes of address space reserved at @addr
 * @size: file size
 * @vmr_size: multiple of 4096, RMAI_VMR_MIN .. RMAI_VMR_MAX
 * @stripe: bytes that go to one memory node before the next one's turn, a
 *	multiple of @vmr_size; 0 in SETATTR: choose
 * @owner: node that holds the region's metadata
 * @seals: F_SEAL_* bits
 * @on_loss: enum rmai_on_loss
 * @nr_nodes: entries of @nodes in use
 * @nodes: ids of the memory nodes that hold the data, in stripe order
 * @reserved: 0
 */
struct rmai_attr {
	__u32	mask;
	__u32	flags;
	__u64	region_id;
	__u64	addr;
	__u64	length;
	__u64	size;
	__u64	vmr_size;
	__u64	stripe;
	__u32	owner;
	__u32	seals;
	__u32	on_loss;
	__u32	nr_nodes;
	__u8	nodes[RMAI_MAX_NODES];
	__u64	reserved[4];		/* must be 0 */
};

/**
 * struct rmai_region_stat - what this node did for a region (RMAI_IOC_STAT)
 * @home_bytes: authoritative bytes stored on this node
 * @replica_bytes: bytes of read-only replicas on this node
 * @fault_major: faults that waited for a transfer
 * @fault_minor: faults that found their page here
 * @fetch_vmrs: VMR transfers started
 * @fetch_bytes: bytes brought in by them
 * @fetch_errors: VMR transfers that failed for good
 * @rdma_reads: one-sided READ operations
 * @fault_wait_ns: total time that faults waited
 * @reserved: 0
 */
struct rmai_region_stat {
	__u64	home_bytes;
	__u64	replica_bytes;
	__u64	fault_major;
	__u64	fault_minor;
	__u64	fetch_vmrs;
	__u64	fetch_bytes;
	__u64	fetch_errors;
	__u64	rdma_reads;
	__u64	fault_wait_ns;
	__u64	reserved[7];
};

/**
 * struct rmai_open_addr - open a region by address (RMAI_IOC_OPEN_ADDR)
 * @addr: any address inside the region's symmetric range
 * @flags: O_RDONLY or O_RDWR, optionally O_CLOEXEC
 * @reserved: 0
 *
 * Issued on any file or directory of an rmaifs mount; returns a new file
 * descriptor. This is how an anonymous region gets one (to seal it, say).
 */
struct rmai_open_addr {
	__u64	addr;
	__u32	flags;
	__u32	reserved;
};

#define RMAI_IOC_MAGIC		0xBC
#define RMAI_IOC_GETATTR	_IOR(RMAI_IOC_MAGIC, 1, struct rmai_attr)
#define RMAI_IOC_SETATTR	_IOWR(RMAI_IOC_MAGIC, 2, struct rmai_attr)
#define RMAI_IOC_STAT		_IOR(RMAI_IOC_MAGIC, 3, struct rmai_region_stat)
#define RMAI_IOC_OPEN_ADDR	_IOW(RMAI_IOC_MAGIC, 4, struct rmai_open_addr)

#endif /* _UAPI_LINUX_RMAI_H */

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

/* What a node fetches of a region beyond what is touched (struct rmai_attr.fetch) */
#define RMAI_FETCH_ADVICE	(1U << 0)	/* madvise(2), readahead(2): as asked */
#define RMAI_FETCH_SEQ		(1U << 1)	/* sequential and strided runs of VMRs */
#define RMAI_FETCH_SCHEDULE	(1U << 2)	/* the order of the last pass, replayed */
#define RMAI_FETCH_NEXT		(1U << 3)	/* what followed what was touched before */
#define RMAI_FETCH_AUTO		(1U << 4)	/* and less than a VMR, if that is used better */
#define RMAI_FETCH_LONG		(1U << 5)	/* runs of 12 MiB and more */
#define RMAI_FETCH_ALL		0x3fU
#define RMAI_FETCH_DEFAULT	(RMAI_FETCH_ADVICE | RMAI_FETCH_LONG)

/* struct rmai_attr.flags (read only) */
#define RMAI_REGION_SEALED	(1U << 0)	/* F_SEAL_WRITE|GROW|SHRINK are set */
#define RMAI_REGION_ANON	(1U << 1)	/* made by MAP_ANONYMOUS|MAP_RMAI */
#define RMAI_REGION_LOST	(1U << 2)	/* a node it lived on has rebooted */

/* struct rmai_attr.mask: what RMAI_IOC_SETATTR changes */
#define RMAI_ATTR_VMR_SIZE	(1U << 0)	/* region must be empty, else EBUSY */
#define RMAI_ATTR_STRIPE	(1U << 1)	/* likewise */
#define RMAI_ATTR_LAYOUT	(1U << 2)	/* likewise */
#define RMAI_ATTR_ON_LOSS	(1U << 3)
#define RMAI_ATTR_FETCH		(1U << 4)
#define RMAI_ATTR_CACHE		(1U << 5)	/* cache_min and cache_max */
#define RMAI_ATTR_ALL		0x3fU

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
 * @fetch: RMAI_FETCH_*
 * @generation: 1 for a new region; one that was published (RMAI_IOC_PUBLISH) has one
 *	more than the region that had its name before, at least; read only
 * @cache_min: bytes of replicas that each node keeps while other regions have more than
 *	theirs
 * @cache_max: bytes of replicas that each node keeps at most; 0: no limit but the node's
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
	__u32	fetch;
	__u32	generation;
	__u64	cache_min;
	__u64	cache_max;
	__u64	reserved[1];		/* must be 0 */
};

/**
 * struct rmai_region_stat - what this node did for a region (RMAI_IOC_STAT)
 * @home_bytes: authoritative bytes stored on this node
 * @replica_bytes: bytes of replicas on this node
 * @fault_major: faults that waited for a transfer
 * @fault_minor: faults that found their page here
 * @fetch_vmrs: VMR transfers started
 * @fetch_bytes: bytes brought in by them
 * @fetch_errors: VMR transfers that failed for good
 * @rdma_reads: one-sided READ operations
 * @fault_wait_ns: total time that faults waited
 * @get_s: VMRs that this node asked for, to read (open regions only, as the rest)
 * @get_x: VMRs that it asked for, to write
 * @inv_sent: INV messages that it sent as a home
 * @inv_received: INV messages that it carried out
 * @recalls: RECALL messages that it carried out
 * @writebacks: of these, the ones that wrote something back
 * @pingpongs: VMRs homed here that went from one writer to another node
 * @fetch_size: bytes that are fetched for a page that is touched: the VMR size, with
 *	RMAI_FETCH_AUTO perhaps less
 * @huge_bytes: bytes of @home_bytes and @replica_bytes in folios that a single PMD entry
 *	can map
 * @prefetch_advice_hits: VMRs fetched ahead for madvise(2) and the like, and used
 * @prefetch_advice_waste: of these, the ones that were dropped before
 * @prefetch_seq_hits: likewise, of VMRs that continued a run (RMAI_FETCH_SEQ, _LONG)
 * @prefetch_seq_waste: and dropped
 * @prefetch_schedule_hits: that came next in the last pass (RMAI_FETCH_SCHEDULE)
 * @prefetch_schedule_waste: and dropped
 * @prefetch_next_hits: that had followed what was used (RMAI_FETCH_NEXT)
 * @prefetch_next_waste: and dropped
 * @prefetch_late: of all hits, those that were still on their way
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
	__u64	get_s;
	__u64	get_x;
	__u64	inv_sent;
	__u64	inv_received;
	__u64	recalls;
	__u64	writebacks;
	__u64	pingpongs;
	__u64	fetch_size;
	__u64	huge_bytes;
	__u64	prefetch_advice_hits;
	__u64	prefetch_advice_waste;
	__u64	prefetch_seq_hits;
	__u64	prefetch_seq_waste;
	__u64	prefetch_schedule_hits;
	__u64	prefetch_schedule_waste;
	__u64	prefetch_next_hits;
	__u64	prefetch_next_waste;
	__u64	prefetch_late;
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

/**
 * struct rmai_publish - a sealed region takes the place of another (RMAI_IOC_PUBLISH)
 * @name: of the region that is replaced, in the same rmaifs; NUL-terminated
 * @old: a file descriptor of it: it is replaced only if the name still stands for it;
 *	-1: whatever it stands for
 * @generation: of the new region, on return
 * @reserved: 0
 *
 * Issued on a file descriptor of the new region, which has a name itself and loses that
 * one. Who has the old region open or mapped keeps it; it is freed when nobody has.
 */
struct rmai_publish {
	__u8	name[RMAI_NAME_MAX + 1];
	__s32	old;
	__u32	generation;
	__u64	reserved;
};

/* struct rmai_vmrs.what */
#define RMAI_VMRS_HOT	1		/* those fought over, the worst first */
#define RMAI_VMRS_LOST	2		/* those lost with their last writer, in order */
#define RMAI_VMRS_MAX	64		/* entries of one RMAI_IOC_VMRS */

/**
 * struct rmai_vmr - what its home knows of a VMR of an open region
 * @vmr: index: offset / vmr_size
 * @readers: nodes that have got it to read, by id - 1
 * @writers: nodes that have got it to write
 * @moves: how often it went from one writer to another node
 * @invs: how often readers were told to drop it
 * @recalls: how often a writer had to write it back
 * @home: node that stores it
 * @owner: node that may write it now, or was lost with what it wrote; 0: none
 * @reserved: 0
 *
 * Nodes and times are counted since the region was made, or since nobody had the VMR.
 */
struct rmai_vmr {
	__u64	vmr;
	__u64	readers;
	__u64	writers;
	__u32	moves;
	__u32	invs;
	__u32	recalls;
	__u16	home;
	__u16	owner;
	__u64	reserved;
};

/**
 * struct rmai_vmrs - ask the homes of an open region for VMRs (RMAI_IOC_VMRS)
 * @vmrs: address of @nr struct rmai_vmr
 * @first: RMAI_VMRS_LOST: from this index on; on return where to go on, 0: that was
 *	all. Else 0
 * @missing: on return the homes that could not be asked, by id - 1
 * @what: RMAI_VMRS_*
 * @nr: room, 1 .. RMAI_VMRS_MAX; on return how many there are
 */
struct rmai_vmrs {
	__u64	vmrs;
	__u64	first;
	__u64	missing;
	__u32	what;
	__u32	nr;
};

/**
 * struct rmai_reset - lost VMRs may be used again (RMAI_IOC_RESET)
 * @first: index of a VMR
 * @nr: VMRs from there on; on return, of them those that were lost
 *
 * They then hold what their home has: what was last written back or written with
 * write(2), and zeros where nothing was. Takes a file descriptor open for writing.
 */
struct rmai_reset {
	__u64	first;
	__u64	nr;
};

#define RMAI_IOC_MAGIC		0xBC
#define RMAI_IOC_GETATTR	_IOR(RMAI_IOC_MAGIC, 1, struct rmai_attr)
#define RMAI_IOC_SETATTR	_IOWR(RMAI_IOC_MAGIC, 2, struct rmai_attr)
#define RMAI_IOC_STAT		_IOR(RMAI_IOC_MAGIC, 3, struct rmai_region_stat)
#define RMAI_IOC_OPEN_ADDR	_IOW(RMAI_IOC_MAGIC, 4, struct rmai_open_addr)
#define RMAI_IOC_PUBLISH	_IOWR(RMAI_IOC_MAGIC, 5, struct rmai_publish)
#define RMAI_IOC_VMRS		_IOWR(RMAI_IOC_MAGIC, 6, struct rmai_vmrs)
#define RMAI_IOC_RESET		_IOWR(RMAI_IOC_MAGIC, 7, struct rmai_reset)

#endif /* _UAPI_LINUX_RMAI_H */

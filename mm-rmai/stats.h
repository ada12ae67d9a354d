/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters of this node: per CPU, summed when read. Shown one per file in
 * /sys/kernel/mm/rmai/stats/<name>. Events only count up; gauges go up and down
 * and are 0 again when everything was given back.
 */
#ifndef _RMAI_STATS_H
#define _RMAI_STATS_H

#include <linux/percpu.h>
#include <linux/types.h>

/* name, what it counts (the text goes to the ABI document) */
#define RMAI_EVENTS(X)							\
	X(fault_major)		/* faults that waited for a transfer */	\
	X(fault_minor)		/* faults whose page was here */	\
	X(fault_sigbus)		/* faults that ended in SIGBUS */	\
	X(fault_wait_ns)	/* time that faults waited */		\
	X(fetch_vmrs)		/* VMR transfers begun */		\
	X(fetch_bytes)		/* bytes that they brought */		\
	X(fetch_retries)	/* chunks asked for again after an error */ \
	X(fetch_errors)		/* VMR transfers given up */		\
	X(evict_vmrs)		/* replicas of VMRs dropped for want of room */ \
	X(evict_bytes)		/* bytes that they had */		\
	X(evict_flushes)	/* TLB flushes that it took */		\
	X(evict_waits)		/* transfers that waited for an eviction */ \
	X(evict_looks)		/* VMRs looked at to find those to be dropped */ \
	X(prefetch_advice_hits)	/* VMRs fetched as madvise(2) asked for, and used */ \
	X(prefetch_advice_waste) /* of these, dropped before they were */ \
	X(prefetch_seq_hits)	/* of those that continue a run */	\
	X(prefetch_seq_waste)						\
	X(prefetch_schedule_hits) /* of those that came next in the last pass */ \
	X(prefetch_schedule_waste)					\
	X(prefetch_next_hits)	/* of those that had followed before */	\
	X(prefetch_next_waste)						\
	X(prefetch_late)	/* of the hits, those that were still on their way */ \
	X(rdma_reads)		/* one-sided READs begun */		\
	X(rdma_read_bytes)	/* bytes that they brought */		\
	X(loop_copy_ns)		/* time that transport loop copied for them */ \
	X(io_write_bytes)	/* bytes written through to homes */	\
	X(get_s)		/* GET_S sent: VMRs asked for, to read */ \
	X(get_x)		/* GET_X sent: VMRs asked for, to write */ \
	X(grants)		/* GET_S and GET_X granted as a home */	\
	X(inv_sent)		/* INV sent as a home */		\
	X(inv_received)		/* INV carried out */			\
	X(recalls_sent)		/* RECALL sent as a home */		\
	X(recalls)		/* RECALL carried out */		\
	X(writebacks)		/* of these, with something written back */ \
	X(writeback_bytes)	/* bytes written back */		\
	X(pingpongs)		/* VMRs moved from a writer to another node, as a home */ \
	X(holdoffs)		/* waits because a VMR had just been granted */ \
	X(unused_grants)	/* withdrawn, though it had not been used yet */ \
	X(leases_lapsed)	/* homes that were silent for lease_ms */ \
	X(vmrs_poisoned)	/* VMRs lost with their writer, as a home */ \
	X(msgs_sent)		/* messages */				\
	X(msgs_received)						\
	X(msgs_bad)		/* dropped with their connection */	\
	X(reconnects)		/* connections made again */

#define RMAI_GAUGES(X)							\
	X(regions)		/* regions owned by this node */	\
	X(regions_open)		/* regions open or mapped on this node */ \
	X(home_pages)		/* authoritative pages stored here */	\
	X(replica_pages)	/* pages of replicas here, summed when read */ \
	X(mrs)			/* memory registrations */		\
	X(address_bytes)	/* of this node's slice in use */

enum rmai_stat {
#define X(name) RMAI_STAT_##name,
	RMAI_EVENTS(X)
	RMAI_GAUGES(X)
#undef X
	RMAI_STAT_NR
};

struct rmai_stats {
	s64	v[RMAI_STAT_NR];
};

DECLARE_PER_CPU(struct rmai_stats, rmai_stats);

#define rmai_count(name, n) this_cpu_add(rmai_stats.v[RMAI_STAT_##name], (n))

s64 rmai_stat_sum(enum rmai_stat stat);

/*
 * cluster.c. Pages of replicas are not counted as they come and go, for mm drops
 * clean pages in more ways than it tells of, but summed over the inodes.
 */
s64 rmai_replica_pages(void);

/*
 * sysfs.c. /sys/kernel/mm/rmai/{state,node_id,epoch}, stats/, and nodes/<id>/
 * {state,epoch,role,addr,pool_bytes,pool_used_bytes,last_error} for each
 * configured node while online.
 */
struct rmai_cluster;

int rmai_sysfs_init(void);
int rmai_sysfs_online(struct rmai_cluster *rc);
void rmai_sysfs_offline(struct rmai_cluster *rc);

/* What sysfs shows of a node: filled in by peer.c */
struct rmai_node_info {
	u16		id;
	u16		role;
	const char	*state;		/* self, up, connecting, down, refused */
	u64		epoch;		/* 0: never seen */
	u64		pool_total;
	u64		pool_used;
	char		last_error[96];	/* sentence, or "" */
};

/* 0, or -ENOENT when the node is not configured */
int rmai_node_info(struct rmai_cluster *rc, u16 id, struct rmai_node_info *info);
/* of this node; 0 when offline */
u64 rmai_cluster_epoch(struct rmai_cluster *rc);

#endif /* _RMAI_STATS_H */

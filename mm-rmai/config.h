/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A node's configuration, as configfs fills it in and the core uses it.
 */
#ifndef _RMAI_CONFIG_H
#define _RMAI_CONFIG_H

#include <linux/mutex.h>
#include <linux/socket.h>
#include "wire.h"

/**
 * struct rmai_node_config - a configured node
 * @id: 1 .. RMAI_WIRE_NODES; 0: not configured
 * @role: RMAI_ROLE_*
 * @addr: IP address and port it listens on; ss_family 0: not set
 * @loop: a peer inside this kernel (transport "loop")
 */
struct rmai_node_config {
	u16			id;
	u16			role;
	struct sockaddr_storage	addr;
	bool			loop;
};

/**
 * struct rmai_config - all of it
 * @node_id: this node; 0: not set
 * @cluster: name; peers of another are refused
 * @window_start: first address of the cluster's window
 * @window_size: bytes of it
 * @pool_bytes: memory that this node offers; 0 unless it is a memory node
 * @loss_tmo_ms: after this, what an unreachable node holds counts as lost
 * @heartbeat_ms: a peer is pinged this often
 * @dead_ms: and its connection is given up after this long a silence
 * @on_loss: RMAI_ON_LOSS_BLOCK or RMAI_ON_LOSS_SIGBUS, for regions without their own
 * @quarantine_ms: freed addresses rest this long
 * @cache_bytes: replicas on this node may have so many; 0: as memory allows
 * @lease_ms: what a node was granted of open regions ends, if its home has not
 *	answered for this long
 * @holdoff_us: and is kept this long once it is used
 * @nodes: by id - 1
 *
 * Frozen while online, but for loss_tmo_ms, heartbeat_ms, dead_ms, on_loss,
 * quarantine_ms, cache_bytes, lease_ms and holdoff_us.
 */
struct rmai_config {
	u16			node_id;
	char			cluster[RMAI_WIRE_CLUSTER + 1];
	u64			window_start;
	u64			window_size;
	u64			pool_bytes;
	unsigned int		loss_tmo_ms;
	unsigned int		heartbeat_ms;
	unsigned int		dead_ms;
	unsigned int		on_loss;
	unsigned int		quarantine_ms;
	u64			cache_bytes;
	unsigned int		lease_ms;
	unsigned int		holdoff_us;
	struct rmai_node_config	nodes[RMAI_WIRE_NODES];
};

#define RMAI_DEFAULT_PORT		5471
#define RMAI_DEFAULT_WINDOW_START	(48ULL << 40)
#define RMAI_DEFAULT_WINDOW_SIZE	(32ULL << 40)
#define RMAI_DEFAULT_LOSS_TMO_MS	10000
#define RMAI_DEFAULT_HEARTBEAT_MS	1000
#define RMAI_DEFAULT_DEAD_MS		5000
#define RMAI_DEFAULT_QUARANTINE_MS	60000
#define RMAI_DEFAULT_LEASE_MS		5000
#define RMAI_DEFAULT_HOLDOFF_US		500
#define RMAI_MAX_HOLDOFF_US		1000000

/* configfs.c owns these; the lock is held around rmai_node_online/offline */
extern struct rmai_config rmai_config;
extern struct mutex rmai_config_lock;

/*
 * cluster.c. rmai_node_online(): -EINVAL (with a message that says what is
 * missing), -EADDRINUSE, -ENODEV, -EOPNOTSUPP (no transport), -ENOMEM.
 * rmai_node_offline(): -EBUSY while rmaifs is mounted by users or regions are
 * open or mapped here.
 */
int rmai_node_online(const struct rmai_config *cfg);
int rmai_node_offline(void);
bool rmai_node_is_online(void);

int rmai_configfs_init(void);

#endif /* _RMAI_CONFIG_H */

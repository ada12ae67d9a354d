/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RMAI core: the objects of a node, and who may call what.
 *
 * Lock order (outer first):
 *
 *   inode->i_rwsem
 *     mmap_lock / VMA lock
 *       rmai_fetch.post
 *         rmai_cache.sem (cache.c); also under s_umount, for writing
 *           folio lock
 *             i_mmap_rwsem
 *       rmai_inode.home_sem
 *         folio lock
 *           xarray lock of rmai_inode.replicas
 *             xarray lock of rmai_inode.fetches, rmai_fetch.lock (softirq safe)
 *           list_lru locks of cache.c
 *             xarray lock of rmai_inode.cached
 *               inode->i_lock
 *           rmai_prefetch.lock
 *           rmai_peer.lock, other xarray locks (softirq safe)
 *       rmai_inode.auto_lock: nothing is taken under it
 *   rmai_inode.open_mutex, rmai_region.lock: held over calls to peers, never
 *   taken under any of the locks above but i_rwsem.
 *     rmai_inode.mrs_lock: held while memory is registered, which waits for what the
 *     connection has to send first; home_sem is taken under it
 *   rmai_cluster.names_lock, .made_lock: held over allocations; xarray locks alone are
 *   taken under them, and they under i_rwsem.
 *
 * Nothing waits for the network under mmap_lock, a VMA lock, a page table lock
 * or i_mmap_rwsem; so none of what is taken under them may be held over such a wait.
 * A folio of a replica is locked while its data is on the way; the peer that is awaited
 * needs no lock of ours to send it. Under rmai_fetch.post and rmai_cache.sem such a folio
 * is only tried to lock, but for those of an inode that nobody has any more.
 */
#ifndef _RMAI_INTERNAL_H
#define _RMAI_INTERNAL_H

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/rmai.h>
#include <linux/rwsem.h>
#include <linux/scatterlist.h>
#include <linux/semaphore.h>
#include <linux/xarray.h>
#include <uapi/linux/rmai.h>

#include "auto.h"
#include "cache.h"
#include "coherence.h"
#include "config.h"
#include "prefetch.h"
#include "space.h"
#include "stats.h"
#include "vmr.h"
#include "wire.h"

#define RMAI_ALL_SEALS	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define RMAI_SEALED	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Of the RMAI_MAX_REQS requests under way on a connection, for INV and RECALL alone */
#define RMAI_COH_REQS	8

struct rmai_owed;
struct rmai_peer;

/**
 * struct rmai_cluster - one node's membership in a cluster
 *
 * A kernel has one that the administrator configured, and one more for each
 * peer of transport "loop".
 *
 * @cfg: configuration; the fields that may change online are read with READ_ONCE
 * @self: this node's id
 * @epoch: this node's incarnation
 * @xprt: endpoint
 * @peers: configured nodes by id - 1, NULL for none and for @self
 * @sb: rmaifs super block; its inodes are the regions this node knows
 * @mnt: internal mount, which keeps @sb
 * @rx_wq: decodes what comes in; nothing on it blocks
 * @serve_wq: handlers of requests; they may call other nodes
 * @coh_wq: handlers of INV and RECALL; they call nobody
 * @fetch_wq: transfers that could not be finished at once
 * @names_lock: guards @names and @names_by_cookie
 * @names: names that hash to this node, by name
 * @names_by_cookie: the same in readdir order
 * @next_cookie: for xa_alloc_cyclic
 * @names_wait: for a name to be claimed no more
 * @owed: what other nodes have still to be told of names; under @names_lock
 * @owed_work: tells them
 * @regions: regions owned by this node, by id
 * @next_id: of the next region
 * @made_lock: guards @made and @made_next
 * @made: creations of late, so that a repeated CREATE is known
 * @made_next: the entry of @made to be used next
 * @next_token: for WRITEs
 * @space: this node's slice of the window
 * @pool_used: home pages
 * @users: regions open on this node, and threads that begin to use it
 * @freeing: regions that some node has still to be told to drop
 * @stopping: going offline
 * @links_lock: guards @links
 * @links: connections in any state
 * @links_wait: for a link to leave @links
 * @list: in rmai_clusters
 */
struct rmai_cluster {
	struct rmai_config	cfg;
	u16			self;
	u64			epoch;
	struct rmai_xprt	*xprt;
	struct rmai_peer	*peers[RMAI_WIRE_NODES];
	struct super_block	*sb;
	struct vfsmount		*mnt;
	struct workqueue_struct	*rx_wq;
	struct workqueue_struct	*serve_wq;
	struct workqueue_struct	*coh_wq;
	struct workqueue_struct	*fetch_wq;
	struct mutex		names_lock;
	DECLARE_HASHTABLE(names, 10);
	struct xarray		names_by_cookie;
	u32			next_cookie;
	wait_queue_head_t	names_wait;
	struct list_head	owed;
	struct delayed_work	owed_work;
	struct xarray		regions;
	atomic64_t		next_id;
	struct mutex		made_lock;
	struct {
		u64		token;
		u64		id;
	} made[256];
	unsigned int		made_next;
	atomic64_t		next_token;
	struct rmai_space	space;
	atomic64_t		pool_used;
	atomic_t		users;
	atomic_t		freeing;
	bool			stopping;
	spinlock_t		links_lock;
	struct list_head	links;
	wait_queue_head_t	links_wait;
	struct list_head	list;
};

/**
 * enum rmai_peer_state - of a connection to a peer
 * @RMAI_PEER_DOWN: none
 * @RMAI_PEER_CONNECTING: being made, or its HELLO not yet answered
 * @RMAI_PEER_REFUSED: the last HELLO was refused; tried again later
 * @RMAI_PEER_UP: calls are served
 */
enum rmai_peer_state {
	RMAI_PEER_DOWN,
	RMAI_PEER_CONNECTING,
	RMAI_PEER_REFUSED,
	RMAI_PEER_UP,
};

/**
 * struct rmai_link - the core's side of a connection
 * @ref: references; the last one frees
 * @users: threads inside calls of the transport; the link is torn down at 0
 * @rc: whose
 * @conn: transport's side, valid while @users may be got
 * @peer: known once the HELLO has been checked, else NULL
 * @dead: no new users
 * @idle: completed when @users is 0
 * @has_conn: completed when @conn is set
 * @kill_work: tears down; also the timeout of the HELLO of an incoming one
 * @opened: jiffies when the connection came up
 * @node: in rc->links
 */
struct rmai_link {
	refcount_t		ref;
	atomic_t		users;
	struct rmai_cluster	*rc;
	struct rmai_conn	*conn;
	struct rmai_peer	*peer;
	bool			dead;
	struct completion	idle;
	struct completion	has_conn;
	struct delayed_work	kill_work;
	unsigned long		opened;
	struct list_head	node;
};

/**
 * struct rmai_peer - another node
 * @rc: whose peer
 * @id: node id
 * @lock: guards the fields down to @last_error; softirq safe
 * @state: enum rmai_peer_state
 * @link: the connection, also while it is being made
 * @epoch: incarnation last seen, 0: never
 * @forgot: of all others nothing is left here
 * @last_rx: jiffies when something last came
 * @down_since: jiffies since when it has not been up
 * @retry_at: jiffies of the next attempt to connect
 * @key_bytes: most bytes that one of its keys covers
 * @pool_total: bytes that it offers, as it said last
 * @pool_used: bytes of them in use
 * @was_up: it has been up since this node went online
 * @last_error: why it is not up
 * @calls: requests in flight by xid
 * @next_xid: for xa_alloc_cyclic
 * @slots: bounds the requests in flight, but for
 * @coh_slots: INV and RECALL
 * @wait: for @state, @forgot and the end of @link
 * @tick: connects, pings, notices silence
 * @ping_work: sends a ping
 * @ping_out: a ping has not been answered yet
 * @forget_work: forgets earlier incarnations
 * @lease_ms: for which it keeps what this node grants it, as it said last
 * @lease_until: jiffies when what it has granted this node ends; under @lock
 * @lease_broken: it ends now, with the connection that it was had on; under @lock
 * @lapses: how often that has come to pass; a grant asked for before is void
 * @lease_work: then drops it
 * @reading: bytes of fetches in flight from it
 * @streams: fetches that wait for their turn (stream.c); under @lock
 * @stored: WRITEs of its that were carried out of late, so that a repeat is known;
 *	under @lock
 * @next_stored: the entry of @stored to be used next
 */
struct rmai_peer {
	struct rmai_cluster	*rc;
	u16			id;
	spinlock_t		lock;
	enum rmai_peer_state	state;
	struct rmai_link	*link;
	u64			epoch;
	u64			forgot;
	unsigned long		last_rx;
	unsigned long		down_since;
	unsigned long		retry_at;
	u32			key_bytes;
	u64			pool_total;
	u64			pool_used;
	bool			was_up;
	char			last_error[96];
	struct xarray		calls;
	u32			next_xid;
	struct semaphore	slots;
	struct semaphore	coh_slots;
	wait_queue_head_t	wait;
	struct delayed_work	tick;
	struct work_struct	ping_work;
	atomic_t		ping_out;
	struct work_struct	forget_work;
	u32			lease_ms;
	unsigned long		lease_until;
	bool			lease_broken;
	u32			lapses;
	struct delayed_work	lease_work;
	atomic64_t		reading;
	struct list_head	streams;
	u64			stored[2 * RMAI_MAX_REQS];
	unsigned int		next_stored;
};

/**
 * struct rmai_region - what the owner knows of a region
 * @id: identity
 * @rcu: for freeing
 * @ref: references
 * @lock: guards the rest; held over calls to homes
 * @attr: attributes
 * @openers: nodes that have it open, by id - 1
 * @knowers: nodes that were told of it and may have cached something
 * @gone: being freed
 * @rc: for @free_work
 * @free_work: tells nodes to drop what they have of it
 */
struct rmai_region {
	u64			id;
	struct rcu_head		rcu;
	refcount_t		ref;
	struct mutex		lock;
	struct rmai_wire_attr	attr;
	DECLARE_BITMAP(openers, RMAI_WIRE_NODES);
	DECLARE_BITMAP(knowers, RMAI_WIRE_NODES);
	bool			gone;
	struct rmai_cluster	*rc;
	struct delayed_work	free_work;
};

/**
 * struct rmai_inode - a region as this node sees it: file, replica cache, store
 * @vfs: the inode; its page cache holds replicas and homed pages alike
 * @rc: whose
 * @id: region
 * @geom: geometry; fixed once the region has data. @geom.size may lag i_size
 * @attr_lock: guards @attr
 * @attr: attributes last heard from the owner
 * @attr_time: jiffies of it
 * @sealed: F_SEAL_WRITE|GROW|SHRINK are set: immutable
 * @size_dirty: i_size is ahead of what the owner knows
 * @lost: a node that it lived on has rebooted
 * @freed: the owner has freed it
 * @open_mutex: serialises telling the owner of first open and last close
 * @opens: open files on this node
 * @told_open: the owner knows
 * @counted_open: in rc->users
 * @close_work: tells the owner of the last close
 * @fetches: transfers by VMR index: under way, or failed of late
 * @auto_lock: guards @fetch_auto
 * @fetch_auto: how much to fetch at a time (auto.c)
 * @cached: replicas by VMR index (cache.c)
 * @own: these in the order in which it is their turn, by rmai_cached.kept; under the lock
 *	of @cached
 * @isolated: pages of those that cache.c is about to drop
 * @prefetch: what is fetched ahead; NULL as long as nothing was
 * @replicas: what this node was granted of it while it is open, by VMR index (struct
 *	rmai_replica)
 * @dirs: what other nodes were granted of what is stored here, by VMR index (struct
 *	rmai_dir)
 * @dirs_kept: of them, those that are kept for what they count; under the lock of @dirs
 * @dir_seq: numbers of grants, INV and RECALL
 * @keys_gen: generation of the keys given to peers; earlier ones are void
 * @trunc_from: bytes from here on are being cut off
 * @keys: peers' keys by key number (struct rmai_wire_key)
 * @home_sem: write: pages are dropped, or frozen; read: pages are made. Never held
 *	over a wait for the network
 * @frozen: no more stores
 * @flags: RMAI_HOME_HELD
 * @stores: WRITEs of peers under way
 * @home_pages: pages stored here
 * @mrs: keys given to peers, by key number (struct rmai_mr)
 * @mrs_lock: guards @mrs
 * @stat: RMAI_IOC_STAT
 */
struct rmai_inode {
	struct inode		vfs;
	struct rmai_cluster	*rc;
	u64			id;
	struct rmai_geom	geom;
	spinlock_t		attr_lock;
	struct rmai_wire_attr	attr;
	unsigned long		attr_time;
	bool			sealed;
	bool			size_dirty;
	bool			lost;
	bool			freed;
	struct mutex		open_mutex;
	atomic_t		opens;
	bool			told_open;
	bool			counted_open;
	struct work_struct	close_work;
	struct xarray		fetches;
	spinlock_t		auto_lock;
	struct rmai_auto	fetch_auto;
	struct xarray		cached;
	struct list_head	own[2];
	atomic_long_t		isolated;
	struct rmai_prefetch	*prefetch;
	struct xarray		replicas;
	struct xarray		dirs;
	unsigned int		dirs_kept;
	atomic64_t		dir_seq;
	u32			keys_gen;
	u64			trunc_from;
	struct xarray		keys;
	struct rw_semaphore	home_sem;
	bool			frozen;
	unsigned long		flags;
	atomic_t		stores;
	atomic64_t		home_pages;
	struct xarray		mrs;
	struct mutex		mrs_lock;
	struct {
		atomic64_t	fault_major;
		atomic64_t	fault_minor;
		atomic64_t	fetch_vmrs;
		atomic64_t	fetch_bytes;
		atomic64_t	fetch_errors;
		atomic64_t	rdma_reads;
		atomic64_t	fault_wait_ns;
		atomic64_t	get_s;
		atomic64_t	get_x;
		atomic64_t	inv_sent;
		atomic64_t	inv_received;
		atomic64_t	recalls;
		atomic64_t	writebacks;
		atomic64_t	pingpongs;
		atomic64_t	prefetch_hits[RMAI_FORESIGHTS];
		atomic64_t	prefetch_waste[RMAI_FORESIGHTS];
		atomic64_t	prefetch_late;
	} stat;
};

/* rmai_inode.flags: a reference to the inode is held because bytes are stored here */
#define RMAI_HOME_HELD	0

static inline struct rmai_inode *RMAI_I(const struct inode *inode)
{
	return container_of(inode, struct rmai_inode, vfs);
}

/* Immutable? If so, its geometry and layout may be read without a lock */
static inline bool rmai_is_sealed(const struct rmai_inode *ri)
{
	/* Pairs with rmai_inode_update() */
	return smp_load_acquire(&ri->sealed);
}

static inline u16 rmai_id_owner(u64 id)
{
	return id >> 56;
}

/* Is this region's byte @off stored on this node? */
bool rmai_is_home(const struct rmai_inode *ri, u64 off);

/* cluster.c */
struct rmai_cluster *rmai_cluster_get_main(void);
void rmai_cluster_put(struct rmai_cluster *rc);
int rmai_memory_nodes(struct rmai_cluster *rc, u16 *ids);
extern const struct rmai_xprt_events rmai_xprt_events;

/* loop.c */
int rmai_loop_init(void);
void rmai_loop_addr(u16 id, struct sockaddr_storage *addr);

/* link.c */
struct rmai_link *rmai_link_new(struct rmai_cluster *rc, struct rmai_peer *peer);
void rmai_link_free(struct rmai_link *link);
bool rmai_link_enter(struct rmai_link *link);
void rmai_link_put(struct rmai_link *link);
bool rmai_link_detach(struct rmai_link *link, enum rmai_peer_state state, const char *why);
void rmai_link_kill(struct rmai_link *link, const char *why);

/* peer.c */
int rmai_peers_start(struct rmai_cluster *rc);
void rmai_peers_stop(struct rmai_cluster *rc);
void rmai_peers_free(struct rmai_cluster *rc);
struct rmai_link *rmai_peer_link_get(struct rmai_peer *peer);
void rmai_peer_state(struct rmai_peer *peer, enum rmai_peer_state state, const char *why);
void rmai_hello_fill(struct rmai_cluster *rc, struct rmai_msg_hello *h);
void rmai_peer_drop(struct rmai_peer *peer, const char *why);
void rmai_peer_heard(struct rmai_link *link);
void rmai_peer_established(struct rmai_link *link);
void rmai_peer_hello(struct rmai_link *link, const struct rmai_msg *req,
		     struct rmai_msg *rep);
void rmai_peer_hello_reply(struct rmai_link *link, const struct rmai_msg *rep);
int rmai_peer_wait_up(struct rmai_peer *peer, unsigned long deadline);
int rmai_peer_pause(struct rmai_peer *peer, unsigned long deadline);

static inline struct rmai_peer *rmai_peer(struct rmai_cluster *rc, u16 id)
{
	return id >= 1 && id <= RMAI_WIRE_NODES ? rc->peers[id - 1] : NULL;
}

/* Can this node be called just now? */
static inline bool rmai_node_up(struct rmai_cluster *rc, u16 id)
{
	struct rmai_peer *peer = rmai_peer(rc, id);

	return id == rc->self || (peer && READ_ONCE(peer->state) == RMAI_PEER_UP);
}

/* incarnation.c */
u64 rmai_node_epoch(struct rmai_cluster *rc, u16 id);
bool rmai_node_lost(struct rmai_cluster *rc, u16 id, u64 epoch);
void rmai_incarnation_seen(struct rmai_peer *peer, u64 epoch);
void rmai_forget_work(struct work_struct *work);
int rmai_forget_wait(struct rmai_link *link, const struct rmai_msg *msg);

/* rpc.c */
void rmai_msg_init(struct rmai_msg *msg, u8 type);
struct rmai_msg *rmai_msg_alloc(gfp_t gfp, u8 type);
int rmai_call(struct rmai_cluster *rc, u16 node, struct rmai_msg *msg);

/**
 * struct rmai_call_one - one of several calls made at once
 * @node: whom
 * @msg: request, then reply
 * @err: what rmai_call() would return
 * @state: of rpc.c
 */
struct rmai_call_one {
	u16			node;
	struct rmai_msg		*msg;
	int			err;
	struct rmai_call_state	*state;
};

void rmai_call_all(struct rmai_cluster *rc, struct rmai_call_one *calls, int nr);
int rmai_send_hello(struct rmai_link *link, u16 dst);
void rmai_calls_fail(struct rmai_peer *peer, struct rmai_link *link);
void rmai_rx(struct rmai_recv *recv);

/* hwpoison.c */
bool rmai_pages_broken(struct folio *folio, pgoff_t index, pgoff_t nr);
struct folio *rmai_whole_folio(struct address_space *mapping, pgoff_t index, pgoff_t nr);
void rmai_broken_split(struct address_space *mapping, pgoff_t index);
int rmai_error_remove_folio(struct address_space *mapping, struct folio *folio);

/* inject.c */
#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
bool rmai_msg_lost(const struct rmai_msg *msg);
#else
static inline bool rmai_msg_lost(const struct rmai_msg *msg)
{
	return false;
}
#endif

/* serve.c: the handler of each request; -> rpc.c */
int rmai_serve(struct rmai_cluster *rc, struct rmai_link *link, struct rmai_msg *req,
	       struct rmai_msg *rep);

/* names.c */
u16 rmai_name_node(struct rmai_cluster *rc, const char *name, size_t len);
int rmai_names_lookup(struct rmai_cluster *rc, const struct rmai_msg_name *nm,
		      struct rmai_msg_id *out);
int rmai_names_add(struct rmai_cluster *rc, const struct rmai_msg_name *nm,
		   u64 id, u64 owner_epoch, bool excl, struct rmai_msg_id *old);
int rmai_names_remove(struct rmai_cluster *rc, const struct rmai_msg_name *nm);
int rmai_names_list(struct rmai_cluster *rc, struct rmai_msg_readdir *rd);
int rmai_names_claim(struct rmai_cluster *rc, const struct rmai_msg_publish *p);
void rmai_names_settle(struct rmai_cluster *rc, const struct rmai_msg_publish *p,
		       bool take);
void rmai_names_purge(struct rmai_cluster *rc, u16 owner, u64 epoch);
void rmai_names_destroy(struct rmai_cluster *rc);

/* publish.c */
#define RMAI_RENAME_PUBLISH	BIT(31)		/* of ->rename, beside RENAME_* */
long rmai_ioc_publish(struct file *file, struct rmai_publish __user *arg);
int rmai_publish_rename(struct rmai_cluster *rc, struct dentry *old, struct dentry *new);
int rmai_publish_serve(struct rmai_cluster *rc, const struct rmai_msg_publish *p,
		       struct rmai_msg_id *out);
struct rmai_owed *rmai_owed_alloc(u16 len);
void rmai_owe_unref(struct rmai_cluster *rc, struct rmai_owed *o, u64 id);
void rmai_unref(struct rmai_cluster *rc, struct rmai_owed *o, u64 id);
void rmai_owed_work(struct work_struct *work);
void rmai_owed_destroy(struct rmai_cluster *rc);

/* vmrs.c */
long rmai_ioc_vmrs(struct rmai_inode *ri, struct rmai_vmrs __user *arg);
long rmai_ioc_reset(struct file *file, struct rmai_reset __user *arg);
int rmai_vmrs_serve(struct rmai_cluster *rc, const struct rmai_msg_vmrs *req,
		    struct rmai_msg_vmrs *rep);
int rmai_reset_serve(struct rmai_cluster *rc, const struct rmai_msg_reset *req,
		     struct rmai_msg_reset *rep);

/* owner.c */
int rmai_owner_create(struct rmai_cluster *rc, u16 src,
		      const struct rmai_msg_name *nm, struct rmai_wire_attr *out);
int rmai_owner_getattr(struct rmai_cluster *rc, u16 src, u64 id, u64 epoch,
		       struct rmai_wire_attr *out);
int rmai_owner_setattr(struct rmai_cluster *rc, u16 src, u8 type,
		       const struct rmai_msg_setattr *sa, struct rmai_wire_attr *out);
int rmai_owner_open(struct rmai_cluster *rc, u16 src, u64 id,
		    struct rmai_wire_attr *out);
int rmai_owner_close(struct rmai_cluster *rc, u16 src, u64 id);
int rmai_owner_unref(struct rmai_cluster *rc, u64 id);
int rmai_owner_attach(struct rmai_cluster *rc, u16 src,
		      const struct rmai_msg_open *op, struct rmai_wire_attr *out);
void rmai_owner_node_gone(struct rmai_cluster *rc, u16 node);
void rmai_owner_destroy(struct rmai_cluster *rc);

/* home.c */
struct rmai_inode *rmai_home_get(struct rmai_cluster *rc, u64 id);
void rmai_size_grow(struct rmai_inode *ri, u64 size);

/**
 * struct rmai_home_mr - a key given to peers
 * @mr: registration
 * @sgl: the memory
 * @len: bytes of it
 * @old: the one before, for who has just been told of it
 * @nr_folios: entries of @folios
 * @folios: references: what a peer can reach is neither migrated nor freed
 */
struct rmai_home_mr {
	struct rmai_mr		*mr;
	struct scatterlist	*sgl;
	u64			len;
	struct rmai_home_mr	*old;
	unsigned int		nr_folios;
	struct folio		*folios[];
};

struct rmai_home_mr *rmai_home_mr_make(struct rmai_inode *ri, struct rmai_conn *conn,
				       struct rmai_span span, bool write);
void rmai_home_mr_free(struct rmai_inode *ri, struct rmai_home_mr *hm);
int rmai_rdma_wait(struct rmai_link *link, const struct rmai_key *key,
		   struct scatterlist *sgl, unsigned int nents, bool write);
struct folio *rmai_home_folio(struct rmai_inode *ri, pgoff_t index, u64 end,
			      gfp_t gfp);
void rmai_home_key_revoke(struct rmai_inode *ri, u64 off);
int rmai_home_keys(struct rmai_cluster *rc, u16 src,
		   const struct rmai_msg_keys *req,
		   struct rmai_msg_keys *rep);
int rmai_home_write(struct rmai_cluster *rc, u16 src, const struct rmai_msg_io *io);
int rmai_home_trunc(struct rmai_cluster *rc, u16 src,
		    const struct rmai_msg_setattr *sa);
int rmai_home_freeze(struct rmai_cluster *rc, u16 src,
		     struct rmai_msg_setattr *sa);
void rmai_home_free(struct rmai_cluster *rc, u16 src, u64 id);
void rmai_home_free_owned(struct rmai_cluster *rc, u16 owner, u64 epoch);

/* directory.c, dir_home.c, dir_vmrs.c: who has what of the regions stored here */
int rmai_dir_serve(struct rmai_cluster *rc, const struct rmai_link *link,
		   const struct rmai_msg *msg, struct rmai_msg *rep);
bool rmai_dir_may(struct rmai_inode *ri, pgoff_t index, bool write);
bool rmai_dir_wanted(struct rmai_inode *ri, pgoff_t index, bool set);
bool rmai_dir_lost(struct rmai_inode *ri, pgoff_t index);
int rmai_dir_home(struct rmai_inode *ri, pgoff_t index, bool write);
int rmai_dir_from(struct rmai_inode *ri, enum rmai_dir_event event, u64 first, u64 end);
void rmai_dir_ahead(struct rmai_inode *ri, u64 off, u64 len);
void rmai_dir_vmrs(struct rmai_inode *ri, struct rmai_msg_vmrs *v);
int rmai_dir_reset(struct rmai_inode *ri, u64 first, u64 end, u64 *nr);
void rmai_dir_destroy(struct rmai_inode *ri);

/* grant.c: what this node has of regions stored elsewhere */
bool rmai_replica_may(struct rmai_inode *ri, pgoff_t index, bool write);
bool rmai_replica_owned(struct rmai_inode *ri, u64 vmr);
bool rmai_replica_wanted(struct rmai_inode *ri, pgoff_t index, bool set);
int rmai_grant_get(struct rmai_inode *ri, u64 vmr, u64 end, bool write, bool wait,
		   u32 *gen, bool *hole);
void rmai_grant_settle(struct rmai_inode *ri, u64 vmr);
int rmai_grants_put(struct rmai_inode *ri, u64 off, u64 end, bool drop);
void rmai_replicas_destroy(struct rmai_inode *ri);

/* invalidate.c: and how it ends */
int rmai_inv_serve(struct rmai_cluster *rc, u16 src, const struct rmai_msg_inv *inv,
		   struct rmai_msg_ack *ack);
int rmai_recall_serve(struct rmai_cluster *rc, u16 src, const struct rmai_msg_recall *r,
		      struct rmai_msg_ack *ack);
void rmai_replicas_lapse(struct rmai_inode *ri, u16 home);
void rmai_replica_resume(struct rmai_inode *ri, u64 vmr);

/* lease.c */
void rmai_lease_begin(struct rmai_peer *peer);
void rmai_lease_extend(struct rmai_peer *peer, unsigned long since, u32 lease_ms);
void rmai_lease_work(struct work_struct *work);
unsigned long rmai_lease_end(struct rmai_peer *peer);
int rmai_lease_wait(struct rmai_cluster *rc, u16 node);

/* inode.c: regions as inodes */
struct inode *rmai_iget(struct rmai_cluster *rc, u64 id);
struct inode *rmai_iget_attr(struct rmai_cluster *rc,
			     const struct rmai_wire_attr *attr);
void rmai_inode_update(struct rmai_inode *ri, const struct rmai_wire_attr *attr);
int rmai_inode_refresh(struct rmai_inode *ri);
int rmai_inode_setattr(struct rmai_inode *ri, u8 type, u32 mask,
		       const struct rmai_wire_attr *want);
int rmai_inode_flush_size(struct rmai_inode *ri);
int rmai_region_open(struct rmai_inode *ri);
void rmai_region_opened(struct rmai_inode *ri);
void rmai_region_close(struct rmai_inode *ri);
void rmai_inode_close_work(struct work_struct *work);
bool rmai_owner_lost(struct rmai_inode *ri);
bool rmai_region_lost(struct rmai_inode *ri);
struct rmai_inode *rmai_inode_known(struct rmai_cluster *rc, u64 id);

/* super.c, dir.c, file.c, attr.c */
extern struct file_system_type rmai_fs_type;
extern const struct inode_operations rmai_dir_iops;
extern const struct file_operations rmai_dir_fops;
extern const struct dentry_operations rmai_dentry_ops;
extern const struct inode_operations rmai_file_iops;
extern const struct file_operations rmai_file_fops;
extern const struct address_space_operations rmai_aops;
struct inode *rmai_attach(struct rmai_cluster *rc, u64 addr, bool write);
int rmai_mount_internal(struct rmai_cluster *rc);
int rmai_super_init(void);
int rmai_create_region(struct rmai_cluster *rc, struct rmai_msg *msg, u16 node,
		       umode_t mode);
long rmai_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
struct file *rmai_file_of(struct inode *inode, const char *name, int flags);
ssize_t rmai_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t rmai_write_iter(struct kiocb *iocb, struct iov_iter *from);

/* mmap.c */
extern const struct vm_operations_struct rmai_vm_ops;
int rmai_file_mmap(struct file *file, struct vm_area_struct *vma);
unsigned long rmai_get_unmapped_area(struct file *file, unsigned long addr,
				     unsigned long len, unsigned long pgoff,
				     unsigned long flags);

/* fault.c */
vm_fault_t rmai_fault(struct vm_fault *vmf);
vm_fault_t rmai_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end);
vm_fault_t rmai_page_mkwrite(struct vm_fault *vmf);

/* keys.c */
struct rmai_peer *rmai_fetch_peer(struct rmai_inode *ri, u64 off, u64 *epoch);
bool rmai_key_cached(struct rmai_inode *ri, u64 nr, u32 gen, struct rmai_key *key);
void rmai_key_forget(struct rmai_inode *ri, u64 nr);
int rmai_keys_get(struct rmai_inode *ri, u64 off, u64 end);
void rmai_keys_destroy(struct rmai_inode *ri);

/* fetch.c */
struct rmai_fetch;
struct rmai_fetch *rmai_fetch_get(struct rmai_inode *ri, pgoff_t index,
				  bool again, bool write);
int rmai_fetch_begin(struct rmai_inode *ri, pgoff_t index);
void rmai_fetch_void(struct rmai_inode *ri, u64 vmr, bool is_void);
bool rmai_fetch_coming(struct rmai_inode *ri, u64 vmr);
int rmai_fetch_wait(struct rmai_fetch *f, pgoff_t index, bool write);
int rmai_fetch_failed(struct rmai_fetch *f);
void rmai_fetch_put(struct rmai_fetch *f);
void rmai_fetches_destroy(struct rmai_inode *ri);

/* replica.c */
bool rmai_page_here(struct rmai_inode *ri, pgoff_t index);
struct folio *rmai_replica_folio(struct rmai_inode *ri, pgoff_t index);
void rmai_replicas_drop(struct rmai_inode *ri, pgoff_t first, pgoff_t last,
			bool all_cpus);
unsigned int rmai_folio_order(pgoff_t index, pgoff_t end, unsigned int max);
int rmai_for_folios(struct rmai_inode *ri, u64 first, u64 nr,
		    int (*fn)(struct address_space *mapping, struct folio *folio, void *arg),
		    void *arg);
bool rmai_folio_take(struct address_space *mapping, struct folio *folio, bool pins);

#endif /* _RMAI_INTERNAL_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RMAI: what mm/ and fs/ need to know of it, and the interface between the
 * core (mm/rmai/) and its transports (drivers/infiniband/ulp/rmai/,
 * mm/rmai/loop.c).
 */
#ifndef _LINUX_RMAI_H
#define _LINUX_RMAI_H

#include <linux/errno.h>
#include <linux/list.h>
#include <linux/socket.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct file;
struct folio;
struct vm_area_struct;

#ifdef CONFIG_RMAI

/**
 * is_file_rmai() - is this a region of an rmaifs?
 * @file: any open file
 */
bool is_file_rmai(const struct file *file);

/**
 * rmai_fcntl_seals() - F_ADD_SEALS and F_GET_SEALS on a region
 * @file: a region
 * @cmd: F_ADD_SEALS or F_GET_SEALS
 * @arg: F_SEAL_* bits to add
 *
 * Return: what memfd_fcntl() would, or the errno of a call to the owner.
 */
long rmai_fcntl_seals(struct file *file, unsigned int cmd, unsigned int arg);

/**
 * rmai_mmap_prepare() - mmap(2) of a region, before mmap_lock is taken
 * @filep: the file; for MAP_ANONYMOUS NULL, and set to the region's
 * @addr: as given to mmap(2)
 * @len: likewise
 * @prot: likewise
 * @flags: likewise
 * @pgoff: likewise; set for an attach to the middle of a region
 *
 * Calls to other nodes that a mapping needs are made here.
 *
 * Return: 0 or the errno for mmap(2), see mmap_rmai(2).
 */
int rmai_mmap_prepare(struct file **filep, unsigned long addr,
		      unsigned long len, unsigned long prot,
		      unsigned long flags, unsigned long *pgoff);

/**
 * rmai_mmap_mask() - flags that MAP_SHARED_VALIDATE of this file takes beside the usual
 * @file: any file
 */
unsigned long rmai_mmap_mask(const struct file *file);

/**
 * rmai_mremap_check() - may this mapping be moved or resized?
 * @vma: any mapping
 * @old_len: bytes
 * @new_len: bytes
 * @moves: MREMAP_FIXED or MREMAP_DONTUNMAP
 *
 * Return: 0, or -EINVAL when @vma is at its symmetric address and would move or
 * grow.
 */
int rmai_mremap_check(const struct vm_area_struct *vma, unsigned long old_len,
		      unsigned long new_len, bool moves);

/**
 * rmai_madvise_dontneed() - MADV_DONTNEED: drop replicas that nobody has mapped now
 * @vma: any mapping
 * @start: address in it, a whole page
 * @end: address in it
 *
 * Context: after the page table entries are gone; mmap_lock is held.
 */
void rmai_madvise_dontneed(struct vm_area_struct *vma, unsigned long start,
			   unsigned long end);

/**
 * rmai_populate_len() - how much of a new mapping is populated at once
 * @file: of the mapping, or NULL
 * @flags: as given to mmap(2)
 * @len: bytes that were asked for
 *
 * Return: @len; less for MAP_POPULATE of more of a region than its budget holds.
 */
unsigned long rmai_populate_len(const struct file *file, unsigned long flags,
				unsigned long len);

/**
 * rmai_folio_is_replica() - can what this folio holds be fetched again?
 * @folio: any, locked
 *
 * Return: true for a clean folio of a region.
 */
bool rmai_folio_is_replica(struct folio *folio);

/**
 * rmai_folio_is_store() - does this folio hold the only copy of a region's data?
 * @folio: any, locked
 *
 * Return: true for a dirty folio of a region.
 */
bool rmai_folio_is_store(struct folio *folio);

#else

static inline bool is_file_rmai(const struct file *file)
{
	return false;
}

static inline long rmai_fcntl_seals(struct file *file, unsigned int cmd,
				    unsigned int arg)
{
	return -EINVAL;
}

static inline int rmai_mmap_prepare(struct file **filep, unsigned long addr,
				    unsigned long len, unsigned long prot,
				    unsigned long flags, unsigned long *pgoff)
{
	return 0;
}

static inline unsigned long rmai_mmap_mask(const struct file *file)
{
	return 0;
}

static inline int rmai_mremap_check(const struct vm_area_struct *vma,
				    unsigned long old_len,
				    unsigned long new_len, bool moves)
{
	return 0;
}

static inline void rmai_madvise_dontneed(struct vm_area_struct *vma,
					 unsigned long start, unsigned long end)
{
}

static inline unsigned long rmai_populate_len(const struct file *file,
					      unsigned long flags,
					      unsigned long len)
{
	return len;
}

static inline bool rmai_folio_is_replica(struct folio *folio)
{
	return false;
}

static inline bool rmai_folio_is_store(struct folio *folio)
{
	return false;
}

#endif /* CONFIG_RMAI */

/*
 * Transport interface.
 *
 * A transport moves messages and data between nodes; it knows nothing of
 * regions. The core opens one &struct rmai_xprt (its endpoint), which listens,
 * and has at most one live &struct rmai_conn per peer.
 *
 *  - Messages are at most RMAI_MSG_MAX bytes, ordered and reliable while the
 *    connection lives. There are no credits on the wire: each side has at most
 *    RMAI_MAX_REQS requests outstanding on a connection and each request has
 *    one reply, so that RMAI_NR_RECVS posted buffers always suffice. A peer
 *    that breaks this loses its connection.
 *  - Data is moved one-sidedly between scatterlists and (addr, rkey) pairs
 *    that the other side made with ->reg().
 *
 * Upcalls (struct rmai_xprt_events) may come in softirq context and must not
 * sleep, but for ->accept, ->connected and ->closed, which come in process
 * context.
 */
#define RMAI_MSG_MAX	4096
#define RMAI_MAX_REQS	32
#define RMAI_NR_RECVS	(2 * RMAI_MAX_REQS + 8)

struct rmai_xprt;
struct rmai_conn;
struct scatterlist;

/**
 * struct rmai_recv - a received message, lent to the core
 * @work: for the core's use
 * @conn: where it came from
 * @buf: the bytes, RMAI_MSG_MAX of room
 * @len: how many
 *
 * Goes back with ->recv_done(), after which the transport posts it again.
 */
struct rmai_recv {
	struct work_struct	work;
	struct rmai_conn	*conn;
	void			*buf;
	u32			len;
};

/**
 * struct rmai_key - names a peer's memory for one-sided access
 * @addr: start, as the owner's device sees it
 * @rkey: remote key
 * @len: bytes
 */
struct rmai_key {
	u64	addr;
	u32	rkey;
	u32	len;
};

/**
 * struct rmai_rdma - one one-sided operation
 * @conn: set by ->rdma()
 * @key: the peer's memory; exactly @key.len bytes are moved
 * @sgl: local memory of @key.len bytes, the caller's until @done; entries may
 *	begin anywhere in a page and be longer than one
 * @nents: entries of @sgl
 * @write: true: local to remote; false: remote to local
 * @done: called exactly once if ->rdma() returned 0; @err is 0 or a negative
 *	errno. After it the device no longer touches @sgl. May come in softirq
 *	context, and from inside ->rdma() itself, which it must not call. For a
 *	@write 0 does not say yet that the peer has the data (iWARP: not even that
 *	it may be written): it has when a message sent after @done arrives.
 * @priv: for the transport
 */
struct rmai_rdma {
	struct rmai_conn	*conn;
	struct rmai_key		key;
	struct scatterlist	*sgl;
	unsigned int		nents;
	bool			write;
	void			(*done)(struct rmai_rdma *op, int err);
	void			*priv;
};

/* Memory registered for peers; embedded by transports */
struct rmai_mr {
	struct rmai_key		key;
};

/**
 * struct rmai_xprt_events - upcalls from a transport
 * @accept: a peer has connected; process context. Return 0 to keep the
 *	connection (the core may send from then on, and set conn->priv).
 * @connected: an outgoing ->connect() has succeeded; process context
 * @recv: a message has come; must end in ->recv_done(), sooner or later. Not
 *	before ->accept or ->connected has returned.
 * @closed: the connection is dead (@err: negative errno why; -ECONNREFUSED,
 *	-ETIMEDOUT, -EHOSTUNREACH, -ECONNRESET...), or an outgoing connect has
 *	failed; once per connection, process context, and not after ->disconnect()
 *	has returned. Nothing has been freed: the core calls ->disconnect() later,
 *	not from inside the upcall.
 */
struct rmai_xprt_events {
	int	(*accept)(struct rmai_conn *conn);
	void	(*connected)(struct rmai_conn *conn);
	void	(*recv)(struct rmai_recv *recv);
	void	(*closed)(struct rmai_conn *conn, int err);
};

/**
 * struct rmai_transport_ops - a transport
 * @owner: module, held while a node that uses the transport is online
 * @name: what configfs calls it
 * @list: the core's
 * @open: make an endpoint that listens at @addr; may sleep. ERR_PTR: -ENODEV
 *	no RDMA device has this address, -EADDRINUSE, -ENOMEM. @context is kept in
 *	xprt->context. Sets xprt->max_key_pages.
 * @close: end it; every connection was disconnected, every MR deregistered
 * @connect: begin to connect to @addr, with conn->priv = @priv; asynchronous:
 *	->connected or ->closed follows, perhaps before it returns. May sleep.
 * @abort: make every operation of a connection end soon: threads inside ->send(),
 *	->rdma() and ->reg() return, what is queued or in flight calls back with an
 *	error; later calls give -ENOTCONN. @conn stays valid. Any number of times;
 *	may sleep, but not for the peer.
 * @disconnect: end a connection (in any state; no thread is inside another call
 *	for it); returns when no upcall runs, none will come, and every ->rdma() has
 *	called back (with -ECONNRESET where it was cut short). recvs lent to the core
 *	may still be out; they are given back by ->recv_done() as ever. May sleep.
 *	Drops the core's reference: @conn is gone, but for what lent recvs need.
 * @send: send @len bytes, copied; may sleep (only for a send slot, and not
 *	longer than the connection lives). -ENOTCONN, -ENOMEM, -EINTR: killed
 *	meanwhile, nothing was sent.
 * @recv_done: give a received message back; any context
 * @rdma: start @op; process context; sleeps only for memory, never for the
 *	network: more operations than the queue pair takes are queued. Returns 0
 *	or -ENOTCONN, -ENOMEM, -EINVAL (then ->done is not called).
 * @reg: register memory so that peers may read (@write: or write) it.
 *	At most xprt->max_key_pages pages; entries but the first begin on a page,
 *	entries but the last end on one. The key is valid for every connection of
 *	@conn's endpoint, and outlives @conn. Sleeps. ERR_PTR(-ENOTCONN, -ENOMEM,
 *	-EIO).
 * @dereg: end a registration: when it returns no peer can reach the memory. Sleeps.
 */
struct rmai_transport_ops {
	struct module		*owner;
	const char		*name;
	struct list_head	list;

	struct rmai_xprt *(*open)(const struct sockaddr_storage *addr,
				  const struct rmai_xprt_events *events,
				  void *context);
	void (*close)(struct rmai_xprt *xprt);
	struct rmai_conn *(*connect)(struct rmai_xprt *xprt,
				     const struct sockaddr_storage *addr,
				     void *priv);
	void (*abort)(struct rmai_conn *conn);
	void (*disconnect)(struct rmai_conn *conn);
	int (*send)(struct rmai_conn *conn, const void *buf, u32 len);
	void (*recv_done)(struct rmai_recv *recv);
	int (*rdma)(struct rmai_conn *conn, struct rmai_rdma *op);
	struct rmai_mr *(*reg)(struct rmai_conn *conn, struct scatterlist *sgl,
			       unsigned int nents, bool write);
	void (*dereg)(struct rmai_xprt *xprt, struct rmai_mr *mr);
};

/**
 * struct rmai_xprt - a node's endpoint of a transport; embedded by transports
 * @ops: the transport
 * @events: upcalls
 * @context: the core's
 * @max_key_pages: most pages one ->reg() takes (device limit, at most 512)
 * @dev_name: RDMA device, for messages
 */
struct rmai_xprt {
	const struct rmai_transport_ops	*ops;
	const struct rmai_xprt_events	*events;
	void				*context;
	u32				max_key_pages;
	const char			*dev_name;
};

/**
 * struct rmai_conn - a connection to a peer; embedded by transports
 * @xprt: its endpoint
 * @priv: the core's
 * @addr: the peer's address
 * @incoming: the peer connected to us
 */
struct rmai_conn {
	struct rmai_xprt	*xprt;
	void			*priv;
	struct sockaddr_storage	addr;
	bool			incoming;
};

int rmai_transport_register(struct rmai_transport_ops *ops);
void rmai_transport_unregister(struct rmai_transport_ops *ops);

#endif /* _LINUX_RMAI_H */

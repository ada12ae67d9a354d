/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RMAI over RDMA: internal interface.
 *
 *   main.c	endpoints, devices that come and go, module
 *   conn.c	connections: their states and their end
 *   cm.c	how they come about: RDMA CM, queue pairs
 *   msg.c	messages (SEND)
 *   rw.c	one-sided operations (READ, WRITE)
 *   mr.c	memory that peers may reach (REG_MR)
 *   fault.c	fault injection
 *
 * Lock order, outermost first:
 *
 *   rmai_rdma_mutex		list of endpoints; held while one goes down
 *     xprt->dev_sem		read: the device stays; write: it goes
 *     conn->upcall_lock	one process-context upcall at a time
 *     conn->start_lock		operations are started one by one, in order
 *       xprt->lock		lists of connections and registrations
 *         conn->lock		state, slots, queues
 *
 * The two spinlocks are taken with interrupts off: messages may be given back
 * in any context. The core's upcalls are made without either.
 */
#ifndef _RMAI_RDMA_H
#define _RMAI_RDMA_H

#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/rmai.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>

/* Registrations under way at once on a connection */
#define RMAI_RDMA_NR_REGS	8

/**
 * struct rmai_rdma_xprt - an endpoint: one address on one RDMA device
 * @xprt: what the core sees
 * @ref: the core's, and one per connection
 * @node: in rmai_rdma_xprts, under rmai_rdma_mutex
 * @dev: the device that owns the address; valid under @dev_sem while @pd is set
 * @pd: one for all connections, so that a key is valid on each of them; NULL
 *	once the device is gone
 * @dev_sem: keeps @dev and @pd
 * @addr: where it listens
 * @listen_id: listener
 * @lock: guards what follows
 * @down: no more connections
 * @conns: connections that have hardware resources
 * @nr_incoming: how many of them peers have opened
 * @mrs: registrations
 * @idle: woken when one leaves @conns
 * @close_work: what ->close() does not wait for
 * @name: device name; outlives the device
 */
struct rmai_rdma_xprt {
	struct rmai_xprt	xprt;
	struct kref		ref;
	struct list_head	node;
	struct ib_device	*dev;
	struct ib_pd		*pd;
	struct rw_semaphore	dev_sem;
	struct sockaddr_storage	addr;
	struct rdma_cm_id	*listen_id;

	spinlock_t		lock;		/* what follows */
	bool			down;
	struct list_head	conns;
	unsigned int		nr_incoming;
	struct list_head	mrs;
	wait_queue_head_t	idle;
	struct work_struct	close_work;
	char			name[IB_DEVICE_NAME_MAX];
};

/*
 * A connection's states; there is no way back:
 *
 *   CONNECTING -- RDMA CM: established --> GREETING -- see cm.c --> UP
 *       |                                     |                     |
 *       +--------------- rmai_rdma_conn_kill() ---------------------+--> DEAD
 */
enum rmai_rdma_state {
	RMAI_RDMA_CONNECTING,
	RMAI_RDMA_GREETING,
	RMAI_RDMA_UP,
	RMAI_RDMA_DEAD,
};

/* A send slot: free, or with the device */
struct rmai_rdma_send {
	struct ib_cqe		cqe;
	struct rmai_rdma_conn	*conn;
	struct list_head	node;
	void			*buf;
	u64			dma;
};

/* A receive buffer: with the device, held back, or with the core */
struct rmai_rdma_recv {
	struct rmai_recv	recv;
	struct ib_cqe		cqe;
	struct list_head	node;
	u64			dma;
};

/**
 * struct rmai_rdma_conn - a connection
 * @conn: what the core sees
 * @xprt: endpoint
 * @ref: the core's, one per lent message, one for the hardware resources
 * @node: in xprt->conns
 * @id: RDMA CM identifier
 * @cq: completions of both queues
 * @qp: queue pair; NULL until it is made
 * @port_num: device port
 * @peer_reads: incoming: READs that the peer can take, 0: it did not say
 * @work: does greetings, upcalls, and the end of the connection
 * @connect_work: makes the queue pair and connects or accepts; software iWARP
 *	sleeps for TCP in there, which must not hold up the RDMA CM's one worker
 * @deadline: gives up a connect
 * @greet: asks @work to greet once more
 * @greet_ms: after how long; @work's
 * @greeted: the peer's greeting has come; @work's
 * @users: threads that use @id or @qp; 1 is the connection's own
 * @users_gone: no thread will any more
 * @torn: hardware resources are freed, every operation has called back
 * @upcall_lock: serializes ->accept, ->connected, ->closed with ->disconnect()
 * @announced: the core knows of this connection
 * @detached: the core wants no more upcalls
 * @lock: guards what follows
 * @state: see above
 * @was_up: was RMAI_RDMA_UP once
 * @greet_due: @greet has asked
 * @err: why it is dead
 * @nr_sends: slots in @sends that have a mapped buffer
 * @sends: send slots
 * @send_free: those that are free
 * @send_wait: waits for a slot of @send_free or @reg_avail, or for death
 * @nr_recvs: buffers in @recvs that are mapped
 * @recvs: receive buffers
 * @recv_open: messages go to the core right away
 * @held: messages that came before the core knew the connection
 * @reg_avail: send queue entries left for REG_MR
 * @start_lock: see above
 * @start_work: starts queued operations when others have made room
 * @queue: parts of operations that wait for room in the send queue
 * @posted: parts that the device has and may use the memory of
 * @wr_avail: send queue entries left for operations
 * @wr_max: @wr_avail when there are none
 * @nr_inflight: parts with the device
 * @part_ents: most scatterlist entries of a part
 * @part_pages: most pages of a part if an MR is its local end
 */
struct rmai_rdma_conn {
	struct rmai_conn	conn;
	struct rmai_rdma_xprt	*xprt;
	struct kref		ref;
	struct list_head	node;

	struct rdma_cm_id	*id;
	struct ib_cq		*cq;
	struct ib_qp		*qp;
	u32			port_num;
	u8			peer_reads;

	struct work_struct	work;
	struct work_struct	connect_work;
	struct delayed_work	deadline;
	struct delayed_work	greet;
	unsigned int		greet_ms;
	bool			greeted;
	refcount_t		users;
	struct completion	users_gone;
	struct completion	torn;

	struct mutex		upcall_lock;	/* announced, detached */
	bool			announced;
	bool			detached;

	spinlock_t		lock;		/* what follows */
	enum rmai_rdma_state	state;
	bool			was_up;
	bool			greet_due;
	int			err;

	unsigned int		nr_sends;
	struct rmai_rdma_send	*sends;
	struct list_head	send_free;
	wait_queue_head_t	send_wait;

	unsigned int		nr_recvs;
	struct rmai_rdma_recv	*recvs;
	bool			recv_open;
	struct list_head	held;

	unsigned int		reg_avail;

	struct mutex		start_lock;	/* order of starts */
	struct work_struct	start_work;
	struct list_head	queue;
	struct list_head	posted;
	unsigned int		wr_avail;
	unsigned int		wr_max;
	unsigned int		nr_inflight;
	unsigned int		part_ents;
	unsigned int		part_pages;
};

static inline struct rmai_rdma_xprt *to_rdma_xprt(struct rmai_xprt *xprt)
{
	return container_of(xprt, struct rmai_rdma_xprt, xprt);
}

static inline struct rmai_rdma_conn *to_rdma_conn(struct rmai_conn *conn)
{
	return container_of(conn, struct rmai_rdma_conn, conn);
}

/* main.c */
extern struct workqueue_struct *rmai_rdma_wq;
struct rmai_rdma_xprt *rmai_rdma_xprt_get(struct rmai_rdma_xprt *xprt);
void rmai_rdma_xprt_put(struct rmai_rdma_xprt *xprt);

/* conn.c */
struct rmai_rdma_conn *rmai_rdma_conn_alloc(struct rmai_rdma_xprt *xprt,
					    struct rdma_cm_id *id,
					    const void *addr);
bool rmai_rdma_conn_enter(struct rmai_rdma_conn *conn);
void rmai_rdma_conn_exit(struct rmai_rdma_conn *conn);
void rmai_rdma_conn_put(struct rmai_rdma_conn *conn);
void rmai_rdma_conn_kill(struct rmai_rdma_conn *conn, int err);
int rmai_rdma_conn_wc_err(struct rmai_rdma_conn *conn, const struct ib_wc *wc,
			  const char *what);
void rmai_rdma_abort(struct rmai_conn *rc);
void rmai_rdma_disconnect(struct rmai_conn *rc);

/* cm.c */
struct rmai_conn *rmai_rdma_connect(struct rmai_xprt *rx,
				    const struct sockaddr_storage *addr,
				    void *priv);
void rmai_rdma_connect_work(struct work_struct *work);
int rmai_rdma_cm_handler(struct rdma_cm_id *id, struct rdma_cm_event *event);
int rmai_rdma_listen_handler(struct rdma_cm_id *id,
			     struct rdma_cm_event *event);
void rmai_rdma_conn_free_qp(struct rmai_rdma_conn *conn);
void rmai_rdma_greet(struct rmai_rdma_conn *conn);
void rmai_rdma_greet_timer(struct work_struct *work);

/* msg.c */
int rmai_rdma_msg_alloc(struct rmai_rdma_conn *conn);
int rmai_rdma_msg_post_recvs(struct rmai_rdma_conn *conn);
struct rmai_rdma_recv *rmai_rdma_msg_held(struct rmai_rdma_conn *conn);
int rmai_rdma_post_recv(struct rmai_rdma_conn *conn, struct rmai_rdma_recv *r);
int rmai_rdma_msg_greet(struct rmai_rdma_conn *conn, const void *buf, u32 len);
void rmai_rdma_msg_open(struct rmai_rdma_conn *conn);
void rmai_rdma_msg_unmap(struct rmai_rdma_conn *conn);
void rmai_rdma_msg_free(struct rmai_rdma_conn *conn);
int rmai_rdma_send(struct rmai_conn *rc, const void *buf, u32 len);
void rmai_rdma_recv_done(struct rmai_recv *r);

/* rw.c */
void rmai_rdma_rw_init(struct rmai_rdma_conn *conn);
void rmai_rdma_rw_attr(struct rmai_rdma_conn *conn,
		       struct ib_qp_init_attr *attr);
unsigned int rmai_rdma_rw_max_wr(struct rmai_rdma_conn *conn);
void rmai_rdma_rw_limits(struct rmai_rdma_conn *conn, unsigned int nr_wr);
void rmai_rdma_rw_stop(struct rmai_rdma_conn *conn);
void rmai_rdma_rw_end(struct rmai_rdma_conn *conn);
int rmai_rdma_rw(struct rmai_conn *rc, struct rmai_rdma *op);

/* mr.c */
struct rmai_mr *rmai_rdma_reg(struct rmai_conn *rc, struct scatterlist *sgl,
			      unsigned int nents, bool write);
void rmai_rdma_dereg(struct rmai_xprt *rx, struct rmai_mr *mr);
void rmai_rdma_mrs_end(struct rmai_rdma_xprt *xprt);

/* fault.c */
enum rmai_rdma_fault {
	RMAI_RDMA_FAIL_SEND,
	RMAI_RDMA_FAIL_RDMA,
	RMAI_RDMA_FAIL_REG,
	RMAI_RDMA_FAIL_CONN,
	RMAI_RDMA_NR_FAULTS
};

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
void rmai_rdma_fault_init(void);
void rmai_rdma_fault_exit(void);
bool rmai_rdma_should_fail(enum rmai_rdma_fault fault);
void rmai_rdma_inject_loss(struct rmai_rdma_conn *conn);
#else
static inline void rmai_rdma_fault_init(void) { }
static inline void rmai_rdma_fault_exit(void) { }
static inline bool rmai_rdma_should_fail(enum rmai_rdma_fault fault)
{
	return false;
}

static inline void rmai_rdma_inject_loss(struct rmai_rdma_conn *conn) { }
#endif

#endif /* _RMAI_RDMA_H */

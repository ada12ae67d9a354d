/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Transfers of VMRs: what fetch.c (who may join, and waits), fetch_op.c (READs),
 * fetch_work.c (what cannot be done in a fault) and stream.c (whose turn it is) share.
 */
#ifndef _RMAI_FETCH_H
#define _RMAI_FETCH_H

#include "chunk.h"
#include "internal.h"

/**
 * struct rmai_fetch - transfer of a VMR, or of parts of one
 * @ref: the table's and each user's
 * @ri: region; its inode is held until @done
 * @peer: home
 * @vmr: index
 * @span: the VMR, page-rounded
 * @chunk: bytes that are waited for at a time; the least of @wants
 * @post: guards @wants, @posting, @max_order, and that a piece is posted once
 * @wants: what is to be fetched (struct rmai_want), in the order of who came
 * @first: of who began it
 * @stop: nothing is fetched any more that nobody waits for
 * @max_order: of folios that memory was found for
 * @posting: the work item runs, will run, or stands in line; counts in @in_flight
 * @in_flight: operations, plus @posting; the work item ends the fetch when it is 0
 * @stream: in peer->streams, under peer->lock
 * @streamed: has been there
 * @lock: guards @failed, and whether folios become uptodate; softirq safe
 * @ops: all operations; under @post
 * @failed: of these, the ones to be tried again
 * @err: why it failed; valid when @done
 * @done: nothing is in flight any more
 * @open: the region is: nothing is posted before it is granted
 * @write: the right to write it is wanted
 * @granted: it was
 * @asking: it is being asked for, which may take as long as others use it
 * @is_void: it was withdrawn: what arrives is not good; under @lock
 * @gen: generation that keys must have at least
 * @hole: nothing is stored of it: zeros
 * @arrived: something has
 * @overdue: who waited was told that it is lost, though the transport has not yet
 *	ended what is in flight; so is who comes now
 * @deadline: jiffies when what cannot be had counts as lost
 * @users: who may still want it
 * @wait: for pages, and for @done
 * @begun: from rmai_prefetch_begun()
 * @memcg: of who began it: what the work adds is charged to it, too
 * @work: posts what a fault could not, retries, ends
 */
struct rmai_fetch {
	refcount_t		ref;
	struct rmai_inode	*ri;
	struct rmai_peer	*peer;
	u64			vmr;
	struct rmai_span	span;
	u64			chunk;
	struct mutex		post;
	struct list_head	wants;
	struct rmai_want	first;
	bool			stop;
	unsigned int		max_order;
	bool			posting;
	atomic_t		in_flight;
	struct list_head	stream;
	bool			streamed;
	spinlock_t		lock;
	struct list_head	ops;
	struct list_head	failed;
	int			err;
	bool			done;
	bool			open;
	bool			write;
	bool			granted;
	bool			asking;
	bool			is_void;
	u32			gen;
	bool			hole;
	bool			arrived;
	bool			overdue;
	unsigned long		deadline;
	atomic_t		users;
	wait_queue_head_t	wait;
	u64			begun;
	struct mem_cgroup	*memcg;
	struct work_struct	work;
};

/**
 * struct rmai_fetch_op - one READ
 * @rdma: operation
 * @f: of which fetch
 * @all: in f->ops
 * @node: in f->failed
 * @index: first page
 * @nr: pages
 * @nents: entries of @sgl, one for each folio
 * @sgl: locked folios that are not uptodate; unlocked when the READ has succeeded
 */
struct rmai_fetch_op {
	struct rmai_rdma	rdma;
	struct rmai_fetch	*f;
	struct list_head	all;
	struct list_head	node;
	pgoff_t			index;
	pgoff_t			nr;
	unsigned int		nents;
	struct scatterlist	sgl[];
};

static inline bool rmai_fetch_is_done(const struct rmai_fetch *f)
{
	/* Pairs with rmai_fetch_end(): f->err is valid */
	return smp_load_acquire(&f->done);
}

/* fetch.c */
void rmai_fetch_free(struct rmai_fetch *f);
bool rmai_on_loss_blocks(struct rmai_inode *ri);
unsigned long rmai_fetch_until(void);

/* fetch_op.c */
int rmai_want_post(struct rmai_fetch *f, struct rmai_want *w, struct rmai_span piece);
void rmai_fetch_op_post(struct rmai_fetch_op *op, const struct rmai_key *key,
			u64 key_off);
void rmai_fetch_op_abandon(struct rmai_fetch_op *op);

/* fetch_work.c */
void rmai_fetch_work(struct work_struct *work);

/* stream.c */
bool rmai_stream_wait(struct rmai_fetch *f, u64 bytes, bool end);
void rmai_stream_kick(struct rmai_fetch *f);
void rmai_stream_next(struct rmai_peer *peer);

#endif /* _RMAI_FETCH_H */

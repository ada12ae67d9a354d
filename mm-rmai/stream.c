// SPDX-License-Identifier: GPL-2.0
/*
 * What nobody waits for yet goes behind what somebody waits for.
 *
 * A connection moves READs one after the other. So what is fetched ahead, of a VMR or of
 * several, is posted only while less than RMAI_STREAM_BYTES are in flight from its home:
 * four READs of the largest size, one of which moves while the others wait for their turn.
 * That is more than bandwidth times latency of any fabric of today (25 GB/s in 100 us are
 * 2.5 MB), for who posts the next one has to get a CPU first: soft iWARP is a seventh
 * slower with two, without RMAI as well. It is the most that a chunk which is touched now
 * has before it. Whoever may not post stands in line; each READ that ends lets the first
 * one go on.
 */
#include "fetch.h"

#define RMAI_STREAM_BYTES	(4 * RMAI_BLOCK)

static bool rmai_stream_full(struct rmai_peer *peer, u64 bytes)
{
	u64 reading = atomic64_read(&peer->reading);

	return reading && reading + bytes > RMAI_STREAM_BYTES;
}

/**
 * rmai_stream_wait() - stand in line, if need be
 * @f: fetch; its work item is running, or has not been queued yet
 * @bytes: to be posted, though nobody waits for it
 * @end: not before a READ has ended
 *
 * Return: false: post it. True: @f is in line, and its work is queued when its turn comes;
 * the caller may let go of f->post, and not touch it again.
 */
bool rmai_stream_wait(struct rmai_fetch *f, u64 bytes, bool end)
{
	unsigned long flags;
	bool full;

	spin_lock_irqsave(&f->peer->lock, flags);
	/* What ends later than this finds it in line */
	full = end ? atomic64_read(&f->peer->reading) :
		     rmai_stream_full(f->peer, bytes);
	/* One that has begun is finished first: half of two VMRs is of less use */
	if (full && f->streamed)
		list_add(&f->stream, &f->peer->streams);
	else if (full)
		list_add_tail(&f->stream, &f->peer->streams);
	f->streamed = true;
	spin_unlock_irqrestore(&f->peer->lock, flags);
	return full;
}

/**
 * rmai_stream_kick() - something else is to be done for a fetch
 * @f: fetch; if it stands in line, it goes on now
 *
 * Context: any.
 */
void rmai_stream_kick(struct rmai_fetch *f)
{
	unsigned long flags;
	bool stood;

	spin_lock_irqsave(&f->peer->lock, flags);
	stood = !list_empty(&f->stream);
	list_del_init(&f->stream);
	spin_unlock_irqrestore(&f->peer->lock, flags);
	if (stood)
		queue_work(f->ri->rc->fetch_wq, &f->work);
}

/**
 * rmai_stream_next() - somebody has posted, or a READ has ended
 * @peer: to whom
 *
 * Context: any.
 */
void rmai_stream_next(struct rmai_peer *peer)
{
	struct rmai_fetch *f, *first = NULL;
	unsigned long flags;

	spin_lock_irqsave(&peer->lock, flags);
	if (!rmai_stream_full(peer, RMAI_BLOCK)) {
		/* What somebody has begun to use, before what somebody may use */
		first = list_first_entry_or_null(&peer->streams, struct rmai_fetch,
						 stream);
		list_for_each_entry(f, &peer->streams, stream) {
			if (atomic_read(&f->users)) {
				first = f;
				break;
			}
		}
		if (first)
			list_del_init(&first->stream);
	}
	spin_unlock_irqrestore(&peer->lock, flags);
	/* In line it counts as being posted, so it is there until its work has run */
	if (first)
		queue_work(first->ri->rc->fetch_wq, &first->work);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * A queue for threads, see ms_queue.h. Nothing in here knows that they may be on
 * different machines.
 *
 * With MS_QUEUE_BUG set to a number it is wrong in one of the ways in which such a
 * queue can be, for the proof that the test finds that.
 */
#include "ms_queue.h"

#ifndef MS_QUEUE_BUG
#define MS_QUEUE_BUG	0
#endif

#if MS_QUEUE_BUG
#include <sched.h>
#define WRONG(n)	(MS_QUEUE_BUG == (n) && !sched_yield())
#else
#define WRONG(n)	(MS_QUEUE_BUG == (n))
#endif

static struct ms_node *new_node(void *(*alloc)(size_t size), void *item)
{
	struct ms_node *n = alloc(sizeof(*n));

	if (!n)
		return NULL;
	atomic_init(&n->next, NULL);
	n->item = WRONG(3) ? NULL : item;
	return n;
}

bool ms_init(struct ms_queue *q, void *(*alloc)(size_t size))
{
	struct ms_node *n = new_node(alloc, NULL);

	atomic_init(&q->head, n);
	atomic_init(&q->tail, n);
	return n;
}

bool ms_put(struct ms_queue *q, void *item, void *(*alloc)(size_t size))
{
	struct ms_node *n = new_node(alloc, item), *tail, *next;

	if (!n)
		return false;
	for (;;) {
		tail = atomic_load(&q->tail);
		next = atomic_load(&tail->next);
		if (tail != atomic_load(&q->tail))
			continue;
		if (next) {	/* somebody's put is half-way: help */
			atomic_compare_exchange_weak(&q->tail, &tail, next);
			continue;
		}
		if (WRONG(1)) {	/* not compared: two elements at one place, one is lost */
			atomic_store(&tail->next, n);
			break;
		}
		if (atomic_compare_exchange_weak(&tail->next, &next, n))
			break;
	}
	if (WRONG(3))		/* what should have been done before it could be seen */
		n->item = item;
	atomic_compare_exchange_strong(&q->tail, &tail, n);
	return true;
}

bool ms_get(struct ms_queue *q, void **item)
{
	struct ms_node *head, *tail, *next;

	for (;;) {
		head = atomic_load(&q->head);
		tail = atomic_load(&q->tail);
		next = atomic_load(&head->next);
		if (head != atomic_load(&q->head))
			continue;
		if (!next)
			return false;
		if (head == tail) {
			atomic_compare_exchange_weak(&q->tail, &tail, next);
			continue;
		}
		*item = next->item;
		if (WRONG(2)) {	/* not compared: two threads get one element */
			atomic_store(&q->head, next);
			return true;
		}
		if (atomic_compare_exchange_weak(&q->head, &head, next))
			return true;
	}
}

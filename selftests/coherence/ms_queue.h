/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A queue for any number of threads, without locks (Michael and Scott 1996), in C11.
 *
 * Elements are not freed one by one: who owns the memory frees all of it at the end.
 * (So no element is used again while somebody may still look at it.)
 */
#ifndef _MS_QUEUE_H
#define _MS_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct ms_node {
	struct ms_node *_Atomic	next;
	void			*item;
};

struct ms_queue {
	struct ms_node *_Atomic	head __attribute__((aligned(64)));
	struct ms_node *_Atomic	tail __attribute__((aligned(64)));
};

/* All but ms_init() may be called by any thread at any time; false: no memory, empty */
bool ms_init(struct ms_queue *q, void *(*alloc)(size_t size));
bool ms_put(struct ms_queue *q, void *item, void *(*alloc)(size_t size));
bool ms_get(struct ms_queue *q, void **item);

#endif /* _MS_QUEUE_H */

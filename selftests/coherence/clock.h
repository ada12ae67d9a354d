/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Times of several machines in one order, without trusting their clocks.
 *
 * Clocks of nodes differ, drift, and stand still while a guest is paused. So none is
 * compared with another. A referee (linear --referee, on a node that lives as long as
 * the test) answers datagrams with stamps of its own clock. Each process asks it again
 * and again, and logs
 *
 *	s SEND STAMP RECV
 *
 * with SEND and RECV of its own clock. The stamp was made between them. So what began
 * at local time t, after a sample was received (RECV <= t), began after its STAMP was
 * made; what ended before one was sent (t <= SEND) ended before its STAMP was made.
 * An operation's interval is widened to such stamps, which all come from one clock,
 * the referee's: one that precedes another by stamps does so in reality, whatever the
 * clocks do, as long as each of them does not run backwards. A lost datagram, or a
 * pause, only makes intervals wider.
 *
 * What is lost: a stale read goes unnoticed if it is late by less than the two samples
 * around it, some ten milliseconds, and its own process has seen nothing newer (the
 * checker knows program order, too). linear --plant measures that for a history.
 */
#ifndef _COHERENCE_CLOCK_H
#define _COHERENCE_CLOCK_H

#include <stdint.h>
#include <stdio.h>

/* When a question was sent and its answer received, by our clock; and the stamp in it */
struct clock_sample {
	int64_t	send, stamp, recv;
};

/**
 * struct clock_log - samples, in order
 * @id: of the referee
 * @nr: how many
 * @samples: in the order of their making
 */
struct clock_log {
	uint64_t		id;
	size_t			nr;
	struct clock_sample	*samples;
};

int clock_referee(uint16_t port);
void clock_start(const char *server, const char *path, unsigned int period_ms);
void clock_stop(void);
int64_t clock_local(void);
void clock_skew(int64_t offset_ns, int64_t drift_ppm);

void clock_read(struct clock_log *log, const char *path);
int64_t clock_before(const struct clock_log *log, int64_t t);
int64_t clock_stalled(const struct clock_log *log, int64_t t, int64_t within);
int64_t clock_after(const struct clock_log *log, int64_t t);

#endif /* _COHERENCE_CLOCK_H */

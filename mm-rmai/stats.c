// SPDX-License-Identifier: GPL-2.0
/*
 * Counters of this node: one set per CPU, so that counting costs one
 * instruction and no shared cache line; readers pay for the sum.
 */
#include <linux/cpumask.h>

#include "stats.h"

DEFINE_PER_CPU(struct rmai_stats, rmai_stats);

/**
 * rmai_stat_sum() - value of a counter
 * @stat: which
 *
 * CPUs that are offline are summed too: what they counted stays counted. The
 * sum is no snapshot: a gauge that is changed meanwhile may be off by what
 * was just added on one CPU and taken away on another.
 *
 * Context: process.
 * Return: events since boot, or the gauge's value now.
 */
s64 rmai_stat_sum(enum rmai_stat stat)
{
	s64 sum = 0;
	int cpu;

	if (stat == RMAI_STAT_replica_pages)
		return rmai_replica_pages();
	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(rmai_stats, cpu).v[stat]);
	return sum;
}

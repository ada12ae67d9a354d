#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_cycles.sh [COUNT]: on two compute nodes at once, so many times (1000): create,
# fill, seal, map, check, unmap, unlink; by four processes on each, so that a cycle need not
# wait for others' messages. Then nothing may be left anywhere.
#
#	node 1		memory
#	node 2, 3	compute
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
count=${1:-1000}

# Four processes, with a fourth of the cycles each; all of them are waited for
cycles() {
	local i pids=() rc=0
	for i in 0 1 2 3; do
		region cycle $(((count + i) / 4)) "cycle-$RMAI_NODE-$i" 100K 32K &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i" || rc=1; done
	return $rc
}

meet begin
on 1 || check "$count cycles" cycles
meet cycled
check "no name is left" test -z "$(ls /rmai)"
within 30 gauges_are_0
check "nothing is left" gauges_are_0
meet end

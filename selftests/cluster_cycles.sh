#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_cycles.sh [COUNT]: on two compute nodes at once, so many times: create, fill,
# seal, map, check, unmap, unlink. Then nothing may be left anywhere.
#
#	node 1		memory
#	node 2, 3	compute
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
count=${1:-1000}

meet begin
if ! on 1; then
	check "$count cycles" region cycle "$count" "cycle-$RMAI_NODE" 100K 32K
fi
meet cycled
check "no name is left" test -z "$(ls /rmai)"
within 30 gauges_are_0
check "nothing is left" gauges_are_0
meet end

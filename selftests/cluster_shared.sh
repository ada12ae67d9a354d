#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_shared.sh [N]: nodes count together, and share a lock-free queue that was
# written for the threads of one process; each does it N times (1000).
#
#	node 1		memory		(home)
#	others		compute
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 2
count=${1:-1000}
wait_s=$(slow && echo 600 || echo 200)

together() {	# together NAME PROGRAM VMR ARG...: a worker on each node
	local name="$1, $3 VMRs" program=$2 vmr=$3 f=/rmai/shared
	shift 3
	on 1 && check "$name: a region" region create $f "vmr=$vmr" nodes=1
	meet shared
	check "$name" "$program" --file $f --vmr "$vmr" --workers "$RMAI_NODES" \
		--worker $((RMAI_NODE - 1)) --timeout "$wait_s" "$@"
	meet shared
	on 1 && rm -f $f
	meet shared
}

for vmr in 4K 64K; do
	together "counters" counter $vmr --threads 2 --counts "$count"
	together "queue" queue $vmr --items "$count"
done
# More than one MiB moves for each count
together "counters" counter 2M --threads 2 --counts $((count / 10 + 1))
meet end

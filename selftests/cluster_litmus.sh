#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_litmus.sh [ROUNDS]: what a node sees of writes by others, and in which order:
# litmus tests (coherence/litmus_tests.h) in an open region, 1000 rounds each unless told
# otherwise, most of them with other rounds in the same VMRs; then a few in regions of other
# kinds. In each, variables are in one VMR, then in VMRs of their own; workers meet
# through the region itself.
#
#	node 1, 2	memory		(homes)
#	others		compute
#
# Two to four nodes, each of which is writer and reader in turn, the homes, too.
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 2
rounds=${1:-1000}
wait_s=$(slow && echo 600 || echo 200)

# litmus_on NAME WORKERS ROUNDS "REGION-ATTRIBUTES" ARG...: worker W runs on node
# W % nodes + 1. Worker 0's results are the test's.
litmus_on() {
	local name=$1 workers=$2 rounds=$3 attrs=$4 w pids=() f=/rmai/litmus rc=0 vmr
	shift 4
	vmr=${attrs#vmr=}
	# shellcheck disable=SC2086	# words
	on 1 && check "$name: a region ($attrs)" region create $f $attrs
	meet litmus
	for ((w = RMAI_NODE - 1; w < workers; w += RMAI_NODES)); do
		litmus --file $f --workers "$workers" --worker $w --rounds "$rounds" \
			--vmr "${vmr%% *}" --timeout "$wait_s" "$@" >"$RMAI_OUT/litmus$w" 2>&1 &
		pids+=($!)
	done
	for w in "${pids[@]}"; do wait "$w" || rc=1; done
	if on 1; then
		# Its lines are tests of this one
		while read -r line; do
			case $line in
			ok* | "not ok"*)
				nr=$((nr + 1))
				[ "${line%% *}" = ok ] || bad=$((bad + 1))
				sed -E "s/^(not )?ok [0-9]*/\1ok $nr $name:/" <<<"$line"
				;;
			"#"*) echo "$line" ;;
			esac
		done <"$RMAI_OUT/litmus0"
		rm -f $f
	fi
	check "$name: all workers of this node have ended well" [ $rc = 0 ] ||
		for ((w = RMAI_NODE - 1; w < workers; w += RMAI_NODES)); do
			sed 's/^/# /' "$RMAI_OUT/litmus$w"
		done
	meet litmus
}

n=$RMAI_NODES
most=$((rounds < 5000 ? rounds : 5000)) few=$((most / 20))
litmus_on "4K VMRs" "$n" $few "vmr=4K nodes=1"
# Four rounds share a VMR, so that it may be fought over in the middle of a round
litmus_on "4 rounds share a VMR" "$n" $few "vmr=4K nodes=1" --pack 4 --pass 64
# Each time that a VMR moves serves more of them
many=$((rounds - 2 * few))
some=$((many / 3 < 2000 ? many / 3 : 2000))
litmus_on "32 rounds share a VMR" "$n" $some "vmr=4K nodes=1" --pack 32 --pass 256
# What is more than that goes on before the VMR moves: fewer rounds meet, but there are many
litmus_on "64 rounds share a larger VMR" "$n" $((many - some)) "vmr=64K nodes=1" \
	--pack 64 --pass 1024 --period 500
# Several processes of a node; IRIW has four threads
[ "$n" -ge 4 ] ||
	litmus_on "4 processes" 4 $few "vmr=4K nodes=1" --test MP,IRIW,WRC,2+2W
litmus_on "64K VMRs" "$n" $few "vmr=64K nodes=1"
# The variables of one test on two homes
litmus_on "2 homes" "$n" $few "vmr=4K stripe=4K nodes=1,2"
meet end

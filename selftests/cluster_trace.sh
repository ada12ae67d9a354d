#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_trace.sh [OPS]: the state changes of the coherence protocol that the kernel
# traces are those that its model makes (trace_check.sh). Nodes use the words of a region
# at random, drop VMRs and write them back; then
# messages are lost, too; then they count together.
#
#	node 1	memory	(home)
#	node 2	compute
#	node 3	compute
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
ops=${1:-1500}
wait_s=$(slow && echo 300 || echo 100)
tracing=/sys/kernel/tracing
echo 300 >$cfg/heartbeat_ms
[ -d $tracing/events/rmai ] || mount -t tracefs tracefs $tracing 2>/dev/null
[ -d $tracing/events/rmai ] || { check "tracepoints" false; exit 1; }
if on 1; then
	linear --referee 7747 &
	referee=$!
fi

# traced NAME COMMAND...: run it, then look at this node's trace
traced() {
	local name=$1 log=$RMAI_OUT/trace-${1// /-}-$RMAI_NODE
	shift
	echo 0 >$tracing/tracing_on
	echo 16384 >$tracing/buffer_size_kb
	echo >$tracing/trace
	echo 1 >$tracing/events/rmai/rmai_dir_state/enable
	echo 1 >$tracing/events/rmai/rmai_replica_state/enable
	echo 1 >$tracing/tracing_on
	meet traced
	check "$name" "$@"
	meet traced
	echo 0 >$tracing/tracing_on
	cat $tracing/trace >"$log"
	check "$name: the model makes these changes, too" "$here/coherence/trace_check.sh" "$log"
	some() {
		local n
		n=$(grep -cE 'rmai_(dir|replica)_state: ' "$log")
		echo "$n events"
		[ "$n" -ge 100 ]
	}
	[ "$name" = words ] || return
	check "$name: there are some" some
	awk '!/_state: / || ++n % 10' "$log" >"$tmp/holes"
	check "$name: if some were missing, that would be seen" fails "not as in the model" \
		"$here/coherence/trace_check.sh" "$tmp/holes"
}
words() {
	linear --file /rmai/trace --workers 3 --worker $((RMAI_NODE - 1)) \
		--proc $((RMAI_NODE * 1000 - RMAI_NODE + 1)) --dir "$d" --vmrs 16 --words 2 \
		--ops "$1" --evict 10 --syscalls 10 --clock 10.77.0.1:7747 --timeout "$wait_s"
}
begin() {	# begin NAME
	d=$RMAI_OUT/trace-$1
	on 1 && mkdir "$d" && check "$1: a region" region create /rmai/trace vmr=4K on_loss=block nodes=1
	meet begin
}
gone() {
	meet gone
	on 1 && rm -f /rmai/trace
	meet gone
}

begin words
traced words words "$ops"
gone
if [ -d "$dbg/rmai" ]; then
	begin lost
	for how in lose_request lose_reply; do
		echo 0x3e00000 >"$dbg/rmai/$how/types"	# GET_S to RECALL
		inject "rmai/$how" 2 10
	done
	traced "lost messages" words $((ops / 3))
	inject rmai/lose_request 0
	inject rmai/lose_reply 0
	gone
fi
begin counters
counters() {
	counter --file /rmai/trace --vmr 4K --workers 3 --worker $((RMAI_NODE - 1)) \
		--timeout "$wait_s" --threads 2 --counts 200
}
traced counters counters
gone
[ -z "${referee:-}" ] || kill "$referee"
meet end

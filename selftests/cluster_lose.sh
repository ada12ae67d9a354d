#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_lose.sh [MESSAGE|alloc...]: each message of the coherence protocol is lost, three
# times on each node that sends it: the request, or its reply, so that the other side
# carries it out twice. "alloc": allocations of RMAI fail, on all nodes (debug kernel).
# Meanwhile the nodes read, write and exchange words of a region, drop VMRs and write them
# back. The history has to be linearizable, and no operation may fail because of a message.
#
#	node 1	memory	(home)
#	node 2	compute
#	node 3	compute
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
[ $# -gt 0 ] || set -- GET_S GET_X PUT INV RECALL KEYS WRITE alloc
# enum rmai_msg_type
declare -A type=([KEYS]=19 [WRITE]=20 [GET_S]=21 [GET_X]=22 [PUT]=23 [INV]=24 [RECALL]=25)
ops=$(slow && echo 150 || echo 400)
wait_s=$(slow && echo 300 || echo 100)
runs=0
echo 300 >$cfg/heartbeat_ms
if on 1; then
	linear --referee 7747 &
	referee=$!
fi

lose() {	# lose HOW TYPE: three of those that come
	printf '%#x\n' $((1 << $2)) >"$dbg/rmai/$1/types" && inject "rmai/$1" 50 3
}
work() {	# work NAME REGION DIRECTORY: this node's part
	check "$1: worker" linear --file "$2" --workers 3 --worker $((RMAI_NODE - 1)) \
		--proc $((RMAI_NODE * 1000 - RMAI_NODE + 1)) --dir "$3" --vmrs 16 --words 2 \
		--ops "$ops" --evict 10 --syscalls 10 --clock 10.77.0.1:7747 --timeout "$wait_s"
}
right() {	# right DIRECTORY MOST-THAT-FAILED
	linear --check --min-ops "$ops" "$1"/*.log >"$1/verdict"
	local rc=$?
	cat "$1/verdict"
	[ $rc = 0 ] && [ "$(sed -n 's/.*operations (\([0-9]*\) may.*/\1/p' "$1/verdict")" -le "$2" ]
}
region_for() {	# region_for NAME: $f, and a directory for its logs
	runs=$((runs + 1)) f=/rmai/lose d=$RMAI_OUT/lose-$((runs))-${1//[^A-Za-z_]/-}
	if on 1; then
		rm -f $f
		mkdir "$d"
		check "$1: a region" region create $f vmr=4K on_loss=block nodes=1
	fi
	meet begin
}

# How many were lost, on each node; known to all after the barrier
lost() {
	local n
	n=$(cat "$d"/lost-* | paste -sd +)
	echo "$n messages"
	[ $((n)) -gt 0 ]
}

lose_msg() {	# lose_msg MESSAGE lose_request|lose_reply
	local name="$1, ${2#lose_}" try
	# There may be few of them, and each is lost by chance
	for ((try = 1; try <= 5; try++)); do
		region_for "$name"
		lose "$2" "${type[$1]}" || exit 1
		work "$name" $f "$d"
		echo $((3 - $(cat "$dbg/rmai/$2/times"))) >"$d/lost-$RMAI_NODE"
		inject "rmai/$2" 0
		meet worked
		on 1 && check "$name: linearizable, nothing failed" right "$d" 0 && rm -f $f
		meet checked
		if lost >/dev/null; then break; fi
	done
	on 1 && check "$name: was lost" lost
	check "$name: nothing that was written" nothing_given_up
	meet lost
}

lose_alloc() {	# lose_alloc failslab|fail_page_alloc
	region_for "$1"
	inject_rmai "$1" 2 || exit 1
	work "$1" $f "$d"
	inject "$1" 0
	meet worked
	if on 1; then
		# Some fail: with ENOMEM, or their process has to try again
		check "$1: linearizable" right "$d" 1000000
		rm -f $f
	fi
	meet checked
	region_for "after $1"
	work "after $1" $f "$d"
	meet worked
	on 1 && check "after $1: linearizable, nothing failed" right "$d" 0 && rm -f $f
}

for what; do
	if [ "$what" != alloc ]; then
		for how in lose_request lose_reply; do
			lose_msg "$what" $how
		done
	elif can_inject_rmai; then
		for how in failslab fail_page_alloc; do
			lose_alloc $how
			meet checked
		done
	else
		on 1 && skip "allocations fail" "no stack trace filter: debug kernel only"
	fi
done
[ -z "${referee:-}" ] || kill "$referee"
meet end

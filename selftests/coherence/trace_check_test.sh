#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests of trace_check.sh: traces that are as in the model, and some that are not.
set -u
here=$(dirname "$(readlink -f "$0")")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
nr=0 failed=0 args=()
echo "KTAP version 1"

# Lines "d from to node seq" or "r from to seq" as tracefs prints them, of node 1 or 2
trace() {
	local kind from to a b n=0
	echo "# tracer: nop"
	while read -r kind from to a b; do
		n=$((n + 1))
		case $kind in
		d) echo "    kworker/u8:3-77 [001] ..... 12.$n: rmai_dir_state: self=1 region=1a00 vmr=7" \
			"from=$from to=$to node=$a seq=$b" ;;
		r) echo "   touch-123     [000] ..... 12.$n: rmai_replica_state: self=2 region=1a00 vmr=7" \
			"from=$from to=$to seq=$a" ;;
		*) echo "$kind $from $to $a $b" ;;
		esac
	done
}

# expect STATUS REGEX NAME: of the trace on standard input
expect() {
	local status=$1 re=$2 name=$3 said rc
	trace >"$tmp/trace"
	said=$("$here/trace_check.sh" "${args[@]}" "$tmp/trace" 2>&1)
	rc=$?
	nr=$((nr + 1))
	if [ "$rc" = "$status" ] && grep -qE "$re" <<<"$said"; then
		echo "ok $nr $name"
	else
		while IFS= read -r line; do echo "# $line"; done <<<"status $rc: $said"
		echo "not ok $nr $name"
		failed=$((failed + 1))
	fi
}

expect 0 '^7 changes of directories, 5 of replicas, .*; 0 not' "readers, a writer, a recall" <<'T'
d UNUSED SHARED 2 1
d SHARED SHARED 3 2
r I FETCH_S 0
r FETCH_S S 1
d SHARED INVALIDATING 0 3
r S I 3
d INVALIDATING EXCLUSIVE 3 4
d EXCLUSIVE RECALLING 0 5
d RECALLING SHARED 2 6
r I FETCH_S 0
r FETCH_S S 6
d SHARED EXCLUSIVE 2 7
T
expect 0 '; 0 not' "write-back that fails once" <<'T'
r I FETCH_X 0
r FETCH_X X 4
r X WRITEBACK 6
r WRITEBACK X 6
r X WRITEBACK 6
r WRITEBACK I 6
T
expect 0 '; 0 not' "a confirmed grant keeps its number" <<'T'
d UNUSED EXCLUSIVE 2 4
d EXCLUSIVE RECALLING 0 6
d RECALLING EXCLUSIVE 0 6
d EXCLUSIVE EXCLUSIVE 2 4
d EXCLUSIVE RECALLING 0 8
T
expect 0 '1 began anew; 0 not' "the inode had gone" <<'T'
r I FETCH_S 0
r FETCH_S S 1
r I FETCH_S 0
T
expect 0 'lost 1 times; 0 not' "events were lost" <<'T'
d UNUSED SHARED 2 1
CPU:1 [LOST 5 EVENTS]
d EXCLUSIVE RECALLING 0 9
T
expect 1 'model has no home INVALIDATING -> RECALLING' "a change that the model has not: home" <<'T'
d SHARED INVALIDATING 0 3
d INVALIDATING RECALLING 0 4
T
expect 1 'model has no replica I -> X' "a change that the model has not: replica" <<'T'
r I X 3
T
expect 1 'model has no home POISONED -> SHARED' "poison that wears off" <<'T'
d RECALLING POISONED 2 3
d POISONED SHARED 3 4
T
expect 1 'it was SHARED before' "a change that nobody saw" <<'T'
d UNUSED SHARED 2 1
d EXCLUSIVE RECALLING 0 5
T
expect 1 'number 3 after 5' "a number that goes back" <<'T'
d UNUSED SHARED 2 5
d SHARED INVALIDATING 0 3
T
expect 1 'granted under 3 after INV or RECALL 4' "a void grant that is used" <<'T'
r I FETCH_S 0
r FETCH_S S 2
r S I 4
r I FETCH_S 0
r FETCH_S S 3
T
expect 1 'model has no home UNUSED -> BROKEN' "a state that does not exist" <<'T'
d UNUSED BROKEN 2 5
T
expect 1 'not to be understood' "an event without a number" <<'T'
d UNUSED SHARED 2
T
expect 1 'no events' "a trace without events" <<'T'
T
# The table counts: without a row of it a good trace is bad
args=(--table "$tmp/table")
grep -vE '^replica S .* I$' "$here"/../../Documentation/mm/rmai/model/transitions.tab >"$tmp/table"
expect 1 'model has no replica S -> I' "a table without that row" <<'T'
r S I 3
T
echo "1..$nr"
[ $failed = 0 ]

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tests of coherence on this machine: processes that share a file of tmpfs, which
# is coherent, so all have to succeed; then on memory, programs and histories that are
# broken on purpose, each of which has to be found. Needs no kernel of ours.
# shellcheck source=../lib.sh
. "$(dirname "$(readlink -f "$0")")/../lib.sh"
[ -x "$bin/litmus-broken" ] || { echo "Bail out! programs are not built (make check)"; exit 1; }
f=/dev/shm/coherence.$$
referee=
# shellcheck disable=SC2329	# by trap
tidy() {
	[ -z "$referee" ] || kill "$referee"
	rm -f "$f"
	end
}
trap tidy EXIT
run() { rm -f "$f"; timeout 60 "$@" --file "$f" --timeout 20; }

### what is right
litmus_well() {	# litmus_well WORKERS ROUNDS ARG...: one line of what it prints
	local w=$1 n=$2
	shift 2
	run litmus --workers "$w" --rounds "$n" "$@" >"$tmp/litmus" ||
		{ cat "$tmp/litmus"; return 1; }
	grep -c '^ok' "$tmp/litmus" | tr '\n' ' '
	echo "tests, $n rounds each; of SB's weak outcome:" \
		"$(sed -n 's/^ok.* SB,.* workers, \([0-9]*\) weak.*/\1/p' "$tmp/litmus" | paste -sd ,)"
}
check "litmus, 2 workers" litmus_well 2 2000 --pass 500 --pack 16 --in-step
check "litmus, 4 workers" litmus_well 4 200 --pass 50 --pack 16 --in-step
check "litmus, 3 workers, by pace" litmus_well 3 20000 --pass 1000
check "litmus, 64 KiB VMRs" litmus_well 2 1000 --vmr 64K
check "litmus ends if a worker is missing" fails "waited 1 s for a barrier" \
	timeout 20 litmus --file "$f" --workers 2 --worker 0 --timeout 1
rm -f "$f"
check "counter" run counter --counts 50000
check "queue" run queue --items 20000
check "queue: as it was written, with threads and malloc" queue --malloc --items 20000

### what is not
# Each broken memory fails these tests, and what SB shows does not count
all="MP SB+fence SB+xchg LB IRIW WRC CoRR CoWW 2+2W"
found() {	# found HOW TEST...: each test of these, in both layouts, in one of a few runs
	local how=$1 t l n=0 try
	shift
	: >"$tmp/broken"
	for try in 1 2 3 4 5; do
		n=0
		status 1 run litmus-broken --workers 4 --rounds 600 --pass 100 --pack 16 --in-step \
			--broken "$how" >>"$tmp/broken"
		for t; do
			for l in "one VMR" "VMRs of their own"; do
				case "$t, $l" in Co*own) continue ;; esac
				grep '^not ok' "$tmp/broken" | grep -qF " $t, $l:" || continue 3
				n=$((n + 1))
			done
		done
		echo "$n found, in run $try"
		return
	done
	grep "^ok" "$tmp/broken"
	return 1
}
for how in order lost late; do
	read -r -a tests <<<"$all"
	check "litmus: memory broken by \"$how\"" found $how "${tests[@]}"
done
check "litmus: memory broken by \"stale\"" found stale MP SB+fence SB+xchg IRIW WRC
check "counter: plain additions lose counts" fails "counts are lost" run counter --plain
for i in 1 2 3; do
	check "queue: bug $i" fails "not a queue" run "queue-bug$i" --items 5000
done

### histories
quiet() { status "$@" >"$tmp/quiet" || { cat "$tmp/quiet"; return 1; }; }
check "linear: the checker agrees with one that tries all orders" \
	linear --self-test 300000 --seed "$RANDOM"
for h in "$here"/histories/*.hist; do
	name=${h##*/}
	name=${name%.hist}
	case $name in
	good-*) check "linear: $name" linear --check "$h" ;;
	*)
		re=$(sed -n 's/^# expect: //p' "$h")
		check "linear: $name" fails "${re:-no expectation}" linear --check "$h"
		check "linear: $name: its status" quiet 1 linear --check "$h"
		;;
	esac
done
# Process 2 stood still from 100 to 900 ms; its clock says 110 ms when it reads
lin_stall() { linear --check --stall "$1" "$here"/histories/stall.log; }
check "linear: old bytes after a stop: not linearizable" fails stale lin_stall 0
check "linear: but as documented within the time of a lease" lin_stall 50
check "linear: and not after it" fails stale lin_stall 5
history() {	# history ARG...: record one
	rm -rf "$tmp/h"
	mkdir "$tmp/h"
	run linear --workers 3 --dir "$tmp/h" "$@" >"$tmp/run" 2>&1 || { cat "$tmp/run"; return 1; }
	sed -n '/^seed\|killed/p' "$tmp/run" | paste -sd ' '
}
lin() {
	linear --check "$@" "$tmp"/h/*.log >"$tmp/lin" 2>&1
	local rc=$?
	grep -v '^#  ' "$tmp/lin"
	return $rc
}
planted() { lin --plant 50 >"$tmp/planted" && tail -n 1 "$tmp/planted"; }
check "linear: 3 x 2 threads record" history --threads 2 --ops 90000 --vmrs 4
check "linear: their history" lin --min-ops 500000
check "linear: in it" planted
check "linear: processes are killed, VMRs dropped, read(2) and write(2) used" \
	history --ops 200000 --kill 20 --evict 2 --syscalls 20
check "linear: their history" lin --min-ops 300000
# stale HISTORY-ARG...: reads are stale at random, for a moment, and not every recording has
# one that times and order prove; one of a few has
stale() {
	local try
	for try in 1 2 3 4 5; do
		history --broken "$@" >/dev/null || return
		lin >"$tmp/verdict"
		case $? in
		0) ;;
		1) echo "in recording $try"; return ;;
		*) cat "$tmp/verdict"; return 1 ;;
		esac
	done
	cat "$tmp/verdict"
	return 1
}
check "linear: reads that are stale are found" stale --ops 200000
linear --referee 7747 >"$tmp/referee" 2>&1 &
referee=$!
check "linear: clocks that are wrong, and a referee" \
	history --ops 300000 --kill 50 --clock 127.0.0.1:7747 --skew 3000
check "linear: their history" lin --min-ops 500000
check "linear: in it" planted
sed -i 's/ clock .*/ clock host/' "$tmp"/h/*.log
check "linear: without the referee's times it would seem wrong" status 1 lin
check "linear: reads that are stale, by wrong clocks, are found" \
	stale --ops 300000 --clock 127.0.0.1:7747 --skew 3000

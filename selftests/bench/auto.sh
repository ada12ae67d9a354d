#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# auto.sh BIN RUNS PATTERN...: the guests' side. Uses regions of fixed VMR sizes, and a new
# one whose fetch size is chosen, in different ways. All begin with nothing here, and
# what the new one needs to learn is part of its time. $RMAI_OUT/PATTERN gets a line for each
# run: MB/s, bytes fetched over bytes touched, and faults for each MB touched, of the best
# fixed size; then those of the chosen one.
# shellcheck source=guest.sh
. "$(dirname "$(readlink -f "$0")")/guest.sh"
PATH=$1:$PATH
budget=/sys/kernel/config/rmai/cache_bytes
fixed=(4K 64K 2M)

use() {	# use PATTERN REGION SEED
	local opts=(-r "$3")

	[ "$1" != random ] || opts+=(-n 300)
	# The more uses, the more is here already: the same for all that are not too slow
	[ "$1" != zipf ] || opts+=(-n 120 -s 20)
	bench-auto "${opts[@]}" "$1" "bench-$2"
}

line() {	# line JSON: what $RMAI_OUT/PATTERN gets of it
	local key

	for key in mb_per_s fetched_over_touched faults_per_mb; do
		field $key <<<"$1" || exit 1
	done | paste -sd' '
}

measure() {	# measure PATTERN SEED
	local out best=0 best_out='' vmr rate

	for vmr in "${fixed[@]}"; do
		out=$(use "$1" "$vmr" "$2") || exit 1
		echo "$out"
		rate=$(field mb_per_s <<<"$out")
		if larger "$rate" "$best"; then best=$rate best_out=$out; fi
	done
	out=$(use "$1" auto "$2") || exit 1
	echo "$out"
	echo "$(line "$best_out") $(line "$out")" >>"$RMAI_OUT/$1"
}

if [ "$RMAI_NODE" = 1 ]; then
	for vmr in "${fixed[@]}"; do
		bench-touch make -v "$vmr" "bench-$vmr" 128M || exit 1
	done
fi
for pattern in "${@:3}"; do
	for ((i = 1; i <= $2; i++)); do
		if [ "$RMAI_NODE" = 1 ]; then
			rm -f /rmai/bench-auto
			bench-touch make -a -v 2M bench-auto 128M || exit 1
		fi
		rmai-barrier "made-$pattern-$i" || exit 1
		if [ "$RMAI_NODE" != 1 ]; then
			[ "$pattern" != zipf ] || echo 32M >$budget || exit 1
			measure "$pattern" "$i"
			echo 0 >$budget
		fi
		rmai-barrier "used-$pattern-$i" || exit 1
	done
done
[ "$RMAI_NODE" != 1 ] || rm /rmai/bench-*

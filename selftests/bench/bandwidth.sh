#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bandwidth.sh BIN BYTES PAIRS: the guests' side. First finds the settings that the
# raw fabric is fastest with, then measures in turn: the best of those, and a cold
# sequential touch of a region by page faults. $RMAI_OUT/pairs gets a line for each
# pair: MB/s of ib_read_bw, of the sleeping READ loop, of the touch, of one with
# MADV_SEQUENTIAL, and of the loop when it does not read into the same buffers over and
# over, but into as much memory as is touched. Each is that of some rounds in turn: of
# one alone what else the machine does is too much.
# BYTES 0 leaves the touch out, for a fabric without a cluster.
# shellcheck source=guest.sh
. "$(dirname "$(readlink -f "$0")")/guest.sh"
bin=$1 bytes=$2 pairs=$3
PATH=$bin:$PATH
search=$((32 << 20))		# bytes read with each setting
raw_bytes=$((bytes ? bytes : search))
rounds=4			# of a pair; even

# size, depth, QPs
ib_ways=("65536 16 1" "65536 128 1" "65536 32 4" "1048576 8 1" "1048576 4 2"
	"2097152 1 1" "2097152 2 1" "2097152 8 1" "2097152 1 4")
loop_ways=(1 2 4)

best_of() {	# best_of FUNCTION WAY...: $way is the fastest
	local w best=0

	for w in "${@:2}"; do
		# shellcheck disable=SC2086	# a way is words
		$1 $w $search
		if larger "$rate" "$best"; then best=$rate way=$w; fi
	done
	larger "$best" 0 || die "no way of reading works"
}

measure_raw() {
	# shellcheck disable=SC2086
	measure_ib $ib_way "$raw_bytes"
	ib=$rate
	measure_loop "$loop_way" "$raw_bytes"
	loop=$rate
	measure_loop "$loop_way" "$raw_bytes" -w
	wide=$rate
	if ! { larger "$ib" 0 && larger "$loop" 0; }; then
		die "the raw fabric works no longer"
	fi
}

# touched OPTION...: cold; $rate is MB/s
touched() {
	local out

	rate=0
	[ "$bytes" != 0 ] || return 0
	out=$(bench-touch touch "$@" bench-bw) || die "bench-touch"
	echo "$out"
	rate=$(field mb_per_s <<<"$out") || die "bench-touch: $out"
}

measure_touch() {
	touched
	touch=$rate
	touched -s
	advised=$rate
}

# Rates of all bytes of some rounds; 0 if one of them did not work
of_rounds() {
	awk '{ for (i = 1; i <= NF; i++) if ($i > 0) { t[i] += 1 / $i; n[i]++ } }
		END { for (i = 1; i <= NF; i++) printf "%.3f%s", n[i] == NR ? NR / t[i] : 0, i < NF ? " " : "\n" }'
}

measure_pair() {
	local i

	for ((i = 0; i < rounds; i++)); do
		# Each goes first as often as the other: what drifts, drifts for both
		if [ $((i % 2)) = 0 ]; then
			measure_raw
			measure_touch
		else
			measure_touch
			measure_raw
		fi
		echo "$ib $loop $touch $advised $wide" >>"$RMAI_OUT/rounds"
	done
	tail -n $rounds "$RMAI_OUT/rounds" | of_rounds >>"$RMAI_OUT/pairs"
}

client() {
	local i

	best_of measure_ib "${ib_ways[@]}"
	ib_way=$way
	best_of measure_loop "${loop_ways[@]}"
	loop_way=$way
	echo "$ib_way" >"$RMAI_OUT/ib_way"
	echo "$loop_way" >"$RMAI_OUT/loop_way"
	: >"$RMAI_OUT/pairs"
	: >"$RMAI_OUT/rounds"
	for ((i = 0; i < pairs; i++)); do
		measure_pair
	done
	ask end
}

if [ "$RMAI_NODE" = 1 ]; then
	if [ "$bytes" != 0 ]; then bench-touch make -v 2M bench-bw "$bytes" || exit 1; fi
	rmai-barrier made || exit 1
	server
else
	rmai-barrier made || exit 1
	client
fi

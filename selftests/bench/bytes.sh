#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bytes.sh BIN MODEL PROMPT TOKENS VMR_SIZE: the guests' side. Node 1 loads MODEL,
# node 2 runs inference on it twice, the first time cold. $RMAI_OUT gets, for each
# RUN, cold and warm: RUN.json and RUN.touched by moe-run, RUN.bytes (fetched), and
# RUN.vmrs: bytes of the VMRs in which something was read.
# shellcheck source=guest.sh
. "$(dirname "$(readlink -f "$0")")/guest.sh"
PATH=$1:$PATH
model=$2 prompt=$3 tokens=$4 vmr=$5
stats=/sys/kernel/mm/rmai/stats

# touched RANGES SIZE: the last VMR ends with the file's last page
touched() {
	awk -v vmr="$vmr" -v size="$2" '
		BEGIN { end = int((size + 4095) / 4096) * 4096 }
		{
			for (i = int($1 / vmr); i <= int(($1 + $2 - 1) / vmr); i++)
				hit[i] = 1
		}
		END {
			for (i in hit)
				sum += (i + 1) * vmr <= end ? vmr : end - i * vmr
			printf "%d\n", sum
		}' "$1"
}

infer() {
	local out=$RMAI_OUT/$1 before

	before=$(cat $stats/fetch_bytes)
	moe-run --model /rmai/bench-model --mmap rmai --prompt "$prompt" --tokens "$tokens" \
		--stats "$out.json" --touched "$out.touched" || die "$1: moe-run"
	echo $(($(cat $stats/fetch_bytes) - before)) >"$out.bytes"
	touched "$out.touched" "$(stat -c %s /rmai/bench-model)" >"$out.vmrs"
	[ "$(cat $stats/fetch_errors)" = 0 ] || die "$1: fetch errors"
}

if [ "$RMAI_NODE" = 1 ]; then
	rmaictl load --vmr-size "$vmr" "$model" bench-model || die "rmaictl load"
fi
rmai-barrier loaded || exit 1
if [ "$RMAI_NODE" != 1 ]; then
	infer cold
	infer warm
	cmp <(grep '"tokens"' "$RMAI_OUT/cold.json") <(grep '"tokens"' "$RMAI_OUT/warm.json") ||
		die "the tokens of the two runs differ"
fi
rmai-barrier inferred

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fabric.sh RESULT: the guests' side of measuring the raw fabric. Node 1 serves,
# node 2 reads from it with ib_read_bw, a few ways; the best one, in bytes per
# second, goes to RESULT, which both must see.
#
# -e: sleep for completions. A polling client steals the CPU that soft RDMA needs.

result=$1
port=18515
# size in bytes, depth, reads
ways=("65536 128 1024" "1048576 8 64" "2097152 2 32")

say() { echo "demo: $*"; }

bw() {
	local opts=(-d "${RMAI_FABRIC}0" -F -e -p "$port")

	# iWARP connects through rdma_cm only
	if [ "$RMAI_FABRIC" = siw ]; then opts+=(-R); else opts+=(-m 4096); fi
	# shellcheck disable=SC2086	# $1 is three numbers
	set -- $1 "${@:2}"
	ib_read_bw "${opts[@]}" -s "$1" -t "$2" -n "$3" "${@:4}"
}

# One connection only is made, so that a look at the port must not be one
listening() {
	grep -qi ":$(printf %04x $port) 00000000:0000 0A" /proc/net/tcp ||
		{ [ "$RMAI_FABRIC" = siw ] && rdma resource show cm_id 2>/dev/null | grep -q LISTEN; }
}

best=0
for way in "${ways[@]}"; do
	if [ "$RMAI_NODE" = 1 ]; then
		bw "$way" &
		for ((i = 0; i < 300; i++)); do
			listening && break
			sleep 0.1
		done
		rmai-barrier ready
		wait $! || exit 1
	else
		rmai-barrier ready
		out=$(bw "$way" node1) || { echo "$out"; exit 1; }
		echo "$out"
		# perftest's MB are MiB; the last line has the average in column 4
		rate=$(awk '$1 ~ /^[0-9]+$/ && NF >= 5 { r = $4 } END { printf "%d", r * 1048576 }' <<<"$out")
		[ "$rate" -gt 0 ] || exit 1
		say "ib_read_bw, ${way% * *} bytes: $((rate / 1000000)) MB/s"
		[ "$rate" -le "$best" ] || best=$rate
	fi
	rmai-barrier read
done
[ "$RMAI_NODE" = 1 ] || echo "$best" >"$result"

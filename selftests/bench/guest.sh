# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# For sourcing by the guests' side of a benchmark. Node 1 serves, node 2 measures.
# What the host is to get goes to $RMAI_OUT.
set -u -o pipefail

cfg=/sys/kernel/config/rmai
port=18515
limit_s=45			# of one measurement

die() {
	echo "FAILED: $*"
	exit 1
}

# field KEY: that number of a line of JSON, as our programs print it
field() {
	sed -n "s/.*\"$1\": \(-\{0,1\}[0-9.][0-9.]*\).*/\1/p" | grep .
}

# larger A B, as decimal numbers
larger() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > b) }'; }

# with_room NAME BYTES VMR_SIZE CACHE_BYTES COMMAND...: node 1 makes a region, of which node 2
# may have so much while it does COMMAND
with_room() {
	[ "$RMAI_NODE" != 1 ] || bench-touch make -v "$3" "$1" "$2" || exit 1
	rmai-barrier made || exit 1
	if [ "$RMAI_NODE" != 1 ]; then
		echo "$4" >$cfg/cache_bytes || exit 1
		"${@:5}" || exit 1
		echo 0 >$cfg/cache_bytes
	fi
	rmai-barrier used || exit 1
	[ "$RMAI_NODE" != 1 ] || rm "/rmai/$1"
}

# loop_cluster POOL_BYTES: this node, which has none yet, and a memory node by transport loop
loop_cluster() {
	local i

	{
		mkdir $cfg/nodes/1 $cfg/nodes/2 && echo memory,compute >$cfg/nodes/1/role &&
			echo memory >$cfg/nodes/2/role && echo loop >$cfg/nodes/2/transport &&
			echo 1 >$cfg/node_id && echo "$1" >$cfg/pool_bytes &&
			echo 1 >$cfg/online && mkdir -p /rmai && mount -t rmaifs rmai /rmai
	} || die "no cluster"
	for ((i = 0; i < 100; i++)); do
		[ "$(cat /sys/kernel/mm/rmai/nodes/2/state)" = up ] && return
		sleep 0.1
	done
	die "the memory node does not come up"
}

# ib_read_bw with what all its runs have in common.
# -e: sleep for completions. A polling client takes the CPU that soft RDMA needs.
ib_bw() {
	local opts=(-d "${RMAI_FABRIC}0" -F -e -N -p "$port")

	# iWARP connects through rdma_cm only. Elsewhere -u: a large READ takes longer
	# than the default of 67 ms, and is not to be sent again for that
	if [ "$RMAI_FABRIC" = siw ]; then opts+=(-R); else opts+=(-u 18); fi
	timeout -k 5 $limit_s ib_read_bw "${opts[@]}" "$@"
}

# Somebody listens on $port. No connection is made: servers take one only
listening() {
	grep -qi ":$(printf %04x $port) 00000000:0000 0A" /proc/net/tcp ||
		rdma resource show cm_id 2>/dev/null | grep -q "LISTEN.*:$port"
}

# server: node 1's part. Runs what node 2 asks for, once for each time
server() {
	local what i pid

	while :; do
		rmai-barrier next || exit 1
		read -r -a what <"$RMAI_OUT/next" || exit 1
		case ${what[0]} in
		end) return ;;
		ib) ib_bw "${what[@]:1}" & ;;
		loop) timeout $limit_s bench-raw serve 0.0.0.0 $port & ;;
		*) die "what is \"${what[*]}\"?" ;;
		esac
		pid=$!
		for ((i = 0; i < 300; i++)); do
			if listening || ! kill -0 $pid 2>/dev/null; then break; fi
			sleep 0.1
		done
		rmai-barrier listening || { kill $pid; exit 1; }
		rmai-barrier read || { kill $pid; exit 1; }
		# Whether it worked is for the client to say
		wait $pid || echo "server: ${what[*]}: failed"
	done
}

# ask WHAT...: node 2 has node 1 start a server
ask() {
	echo "$*" >"$RMAI_OUT/next" && rmai-barrier next || exit 1
	[ "$1" = end ] || rmai-barrier listening || exit 1
}

# measure_ib SIZE DEPTH QPS TOTAL, measure_loop DEPTH TOTAL [OPTION...]: $rate is the rate in
# 10^6 bytes per second; 0 if it did not work
measure_ib() {
	local n=$(($4 / $1 / $3)) out i
	local opts=(-s "$1" -t "$2" -q "$3" -n $((n > 5 ? n : 5)))

	rate=0
	for i in 1 2 3; do
		ask ib "${opts[@]}"
		out=$(ib_bw "${opts[@]}" node1 2>&1) || echo "$out"
		rmai-barrier read || exit 1
		# It measures the CPU's clock first, and reports nothing if that was uneven
		[[ $out = *"Correlation coefficient"* ]] || break
		echo "no report: $i"
	done
	# perftest's MB are MiB; the average is column 4 of the last line
	rate=$(awk '$1 ~ /^[0-9]+$/ && NF >= 5 { r = $4 } END { printf "%.3f", r * 1.048576 }' <<<"$out")
	echo "ib_read_bw -s $1 -t $2 -q $3: $rate MB/s"
}

measure_loop() {
	local out

	ask loop
	out=$(timeout $limit_s bench-raw read -t "$1" -n "$2" "${@:3}" node1 $port) || out=
	rmai-barrier read || exit 1
	rate=$(field mb_per_s <<<"$out") || rate=0
	echo "sleeping READ loop, 2 MiB, depth $1${3+ ($3)}: $rate MB/s"
}

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_pressure.sh [SECONDS]: a region that is four times as large as the memory of a
# compute node is swept over, for 60 seconds or as long as is said, while another process
# takes all the memory that it can get. Nothing but that is killed, and no byte is wrong.
#
#	node 1	memory
#	node 2	compute, small: --mem 2800,512
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 2
# The network adapter takes what it needs in softirq from this reserve
on 2 && echo 16384 >/proc/sys/vm/min_free_kbytes
seconds=${1:-60}
f=/rmai/pressure

# Of what node 2 has been given, four times as much; it says how much that is
if on 2; then
	total=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
	echo $((total * 4)) >"$RMAI_OUT/mib"
fi
meet sized
mib=$(cat "$RMAI_OUT/mib")
if on 1; then
	check "a region of $mib MiB" eval "region create $f vmr=1M nodes=1 fetch=advice,seq,schedule &&
		region fill $f ${mib}M 7 && region seal $f"
fi
meet made

killed() { awk '/^oom_kill / { print $2 }' /proc/vmstat; }

# The hog has half of the memory, touches it all again and again, and takes more until it is
# killed; then another one comes
hog() {
	while :; do
		choom -n 1000 -- hog "$(awk '/^MemTotal/ { print int($2 / 2048) }' /proc/meminfo)" \
			>>"$tmp/hogs" 2>&1
	done
}

# More has come than there is memory for
enough() { [ "$(stat fetch_vmrs)" -gt $((mib / 4)) ]; }

# Sweeps, each of which checks a byte of each page, in orders that are foretold and not; for
# longer on a kernel that is too slow to bring enough
sweep() {
	local end=$((SECONDS + seconds)) n=0 left rc
	while left=$((end - SECONDS)) && { [ $left -gt 0 ] || ! enough; }; do
		timeout -s TERM $((left > 0 ? left + 1 : seconds)) \
			region map $f 7 step=4K >"$tmp/swept"
		rc=$?
		[ $rc = 0 ] && n=$((n + 1))
		[ $rc = 0 ] || [ $rc = 124 ] || { cat "$tmp/swept"; echo "status $rc"; return 1; }
	done
	echo "$n whole sweeps"
}

only_hogs_died() {
	local died hogs
	died=$(killed)
	hogs=$(dmesg | grep -c 'Killed process .* (hog)')
	echo "$((died - before)) OOM kills, $hogs of them hogs, $(wc -l <"$tmp/hogs") began;" \
		"$(stat evict_vmrs) VMRs evicted, $(stat fetch_vmrs) fetched"
	[ "$((died - before))" = "$hogs" ] || return
	# Each wants half of the memory
	[ "$hogs" -gt 0 ] && enough
}

if on 2; then
	before=$(killed)
	: >"$tmp/hogs"
	hog &
	pid=$!
	check "sweeps for $seconds s beside a hog" sweep
	kill $pid
	pkill -x hog -P $pid
	wait $pid 2>/dev/null
	check "hogs were killed, and nothing else" only_hogs_died
	# What was fetched ahead is given up when there is no memory: nobody waits for it
	say "$(stat fetch_errors) fetches were given up"
	check "and all can be read" region map $f 7 from=0 len=16M
fi
meet swept
on 1 && rm $f
within 30 gauges_are_0
check "nothing is left" gauges_are_0
meet end

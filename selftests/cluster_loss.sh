#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_loss.sh [FAULT...]: a memory node is lost while others read from it.
# Readers block or get SIGBUS, as their region says, in time; SIGKILL always works;
# what is elsewhere is read on; when the node is back, so is what it held, unless
# it has rebooted: then that is gone, and never old bytes or zeros.
#
#	node 1	memory; suffers pause, cut, blackhole, kill, reset
#	node 2	memory; well
#	node 3	compute; reads, and says what happens to node 1
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
loss=4000
grace=2000
# Set while online, and again after a reboot
echo $loss >$cfg/loss_tmo_ms
echo 300 >$cfg/heartbeat_ms
echo 2000 >$cfg/dead_ms

if ! on 3; then
	[ -z "${RMAI_REBOOT:-}" ] || say "boot $RMAI_REBOOT"
	meet end
	exit 0
fi
[ $# -gt 0 ] || set -- pause cut blackhole kill reset
size=$(slow && echo 1M || echo 4M)
now() { date +%s%3N; }

# owned NAME OWNER ON_LOSS NODES SEED: a sealed region whose owner is that node; its
# name, which depends on that, is in $region
owned() {
	local i
	for ((i = 0; i < 64; i++)); do
		region=/rmai/$1$i
		region create "$region" vmr=64K on_loss="$3" nodes="$4" >/dev/null || return
		[ "$(region attr "$region" | sed -n 's/^owner=//p')" = "$2" ] && break
		rm "$region"
	done
	region fill "$region" "$size" "$5" >/dev/null && region seal "$region" >/dev/null
}
make_all() {
	# Bytes on node 1; known to node 1 (a), or to node 2 (b)
	owned sigbus_a 1 sigbus 1 1 || return; sigbus_a=$region
	owned sigbus_b 2 sigbus 1 2 || return; sigbus_b=$region
	owned block_a 1 block 1 3 || return; block_a=$region
	owned block_b 2 block 1 4 || return; block_b=$region
	# Not touched by any of it
	owned other 2 block 2 5 || return; other=$region
	# Open, and known to node 2
	open=/rmai/open-$fault
	region create "$open" vmr=64K nodes=1 && region fill "$open" 100K 8
}

# A reader in the background that drops its replicas and reads again, for ever or so
declare -A pid
reader() {	# reader NAME REGION SEED SECONDS: ${pid[NAME]}
	region loop "$2" "$3" "$4" >"$tmp/$1" 2>&1 &
	pid[$1]=$!
}
alive() { kill -0 "$1" 2>/dev/null; }
reads() {	# until something is being fetched
	local n
	n=$(stat fetch_vmrs)
	within 30 eval "[ \$(stat fetch_vmrs) -gt $((n + 20)) ]"
}

# sigbus PID NAME: it must end by SIGBUS, when an access has waited for no longer
# than loss_tmo_ms + 2 s. Until that access it may have read what it had.
sigbus() {
	local rc
	wait "$1"
	rc=$?
	[ $rc = 7 ] || { cat "$tmp/$2"; echo "status $rc"; return 1; }
	cp "$tmp/$2" "$tmp/values"
	echo "SIGBUS after $(value waited) s (loss_tmo_ms $loss)"
	awk -v w="$(value waited)" -v max=$((loss + grace)) 'BEGIN { exit w * 1000 > max }'
}

# killed PID: SIGKILL ends it at once
killed() {
	local start
	alive "$1" || { echo "it has ended before"; return 1; }
	start=$(now)
	kill -KILL "$1"
	wait "$1"
	[ $? = 137 ] || return
	echo "gone after $(($(now) - start)) ms"
	[ $(($(now) - start)) -le 1000 ]
}

blocked() {	# blocked PID: it waits, and goes on waiting
	alive "$1" || return
	sleep 1
	alive "$1"
}

ended_well() {	# ended_well PID NAME
	wait "$1" && tr '\n' ' ' <"$tmp/$2" && return
	cat "$tmp/$2"
	return 1
}

ends_in_error() {	# ends_in_error PID NAME: SIGBUS or an error, no bytes
	local rc
	wait "$1"
	rc=$?
	[ $rc = 7 ] || [ $rc = 1 ] || { cat "$tmp/$2"; echo "status $rc"; return 1; }
	echo "status $rc"
}

bounded() {	# bounded COMMAND...: it ends in time, with an error (ls may list the rest)
	local start rc
	start=$(now)
	timeout -s KILL 60 "$@" >/dev/null 2>&1
	rc=$?
	echo "status $rc after $(($(now) - start)) ms"
	[ $rc != 0 ] || [ "$1" = ls ] || return
	[ $(($(now) - start)) -le $((loss + grace)) ]
}

for fault; do
	case $fault in
	pause) undo=resume reborn= ;;
	cut | blackhole) undo=heal reborn= ;;
	kill) undo=start reborn=1 ;;
	reset) undo='' reborn=1 ;;
	esac
	say "$fault"
	check "$fault: regions are made" make_all || break
	epoch=$(cat $mm/nodes/1/epoch)
	exec 8<"$sigbus_a"
	reader sigbus_a "$sigbus_a" 1 100
	reader sigbus_b "$sigbus_b" 2 100
	reader block_a "$block_a" 3 22
	reader block_b "$block_b" 4 22
	reader doomed "$block_b" 4 100
	reader other "$other" 5 12
	check "$fault: all are read" reads
	rmai-fault "$fault" 1 || break
	if [ "$fault" != reset ]; then
		check "$fault: owned there too: SIGBUS in time" sigbus "${pid[sigbus_a]}" sigbus_a
		check "$fault: owned elsewhere: SIGBUS in time" sigbus "${pid[sigbus_b]}" sigbus_b
		check "$fault: on_loss=block blocks" blocked "${pid[block_a]}"
		check "$fault: owned elsewhere, too" alive "${pid[block_b]}"
		check "$fault: SIGKILL ends a reader that waits" killed "${pid[doomed]}"
		check "$fault: a new reader gets an error in time" bounded region map "$sigbus_b" 2
		check "$fault: read(2), too" bounded region read "$sigbus_b" 2
		check "$fault: so does a writer of an open region" \
			bounded region fill "$open" 100K 9
		check "$fault: ls ends in time" bounded ls -l /rmai
		check "$fault: an address of node 1 cannot be attached" fails "Host is down" \
			region attach 0x300000000000 4096 1
		check "$fault: what is on node 2 is read meanwhile" region loop "$other" 5 1
		[ -z "$undo" ] || check "$fault: $undo" rmai-fault "$undo" 1
	fi
	check "$fault: what is on node 2 was read all the time" ended_well "${pid[other]}" other
	if [ -n "$reborn" ]; then
		newer() { [ "$(cat $mm/nodes/1/epoch)" != "$epoch" ] && peer_is 1 up; }
		check "$fault: node 1 is back, in another epoch" within 100 newer
		if [ "$fault" = reset ]; then
			check "$fault: readers of what is gone end" ends_in_error "${pid[sigbus_a]}" sigbus_a
			check "$fault: also those of regions owned elsewhere" \
				ends_in_error "${pid[sigbus_b]}" sigbus_b
			check "$fault: all of them" ends_in_error "${pid[doomed]}" doomed
		fi
		# What blocked has nothing to wait for any more
		check "$fault: on_loss=block ends when it is gone for good" \
			ends_in_error "${pid[block_a]}" block_a
		check "$fault: also if owned elsewhere" ends_in_error "${pid[block_b]}" block_b
		check "$fault: the names of what node 1 owned are gone" within 20 \
			eval '! ls /rmai 2>/dev/null | grep _a'
		check "$fault: what node 2 owns cannot be read" fails "sigbus|Input/output|Stale" \
			region map "$sigbus_b" 2
		check "$fault: by read(2) neither" fails "Input/output|Stale" region read "$sigbus_b" 2
		check "$fault: what was open of it cannot be mapped" fails "Stale" \
			region map /proc/self/fd/8 1
		check "$fault: and is said to be lost" test \
			$(($(region attr "$sigbus_b" | sed -n 's/^flags=//p') & 4)) = 4
	else
		check "$fault: node 1 is up again" within 60 peer_is 1 up
		check "$fault: in the same epoch" is $mm/nodes/1/epoch "$epoch"
		check "$fault: who was blocked has gone on, with the right bytes" \
			ended_well "${pid[block_a]}" block_a
		check "$fault: the same for a region owned elsewhere" ended_well "${pid[block_b]}" block_b
		check "$fault: what gave SIGBUS can be read again" region map "$sigbus_a" 1
		check "$fault: owned elsewhere, too" region map "$sigbus_b" 2
		check "$fault: and the open one be written" region fill "$open" 100K 10
		check "$fault: and read" region read "$open" 10
	fi
	check "$fault: nothing was lost on node 2" region map "$other" 5 cold
	exec 8<&-
	for f in "$open" "$sigbus_a" "$sigbus_b" "$block_a" "$block_b" "$other"; do
		[ ! -e "$f" ] || check "$fault: unlink ${f#/rmai/}" rm "$f"
	done
	check "$fault: a new region" owned new 1 sigbus 1,2 6
	check "$fault: is read" region map "$region" 6
	rm "$region"
	check "$fault: no replica is left" within 30 is $mm/stats/replica_pages 0
	check "$fault: nor anything open" within 30 is $mm/stats/regions_open 0
done
meet end

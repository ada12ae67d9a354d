#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_linear.sh [--ops N] [--seed N] [PHASE...]: three nodes read, write and exchange
# words of an open region at random, while bad things happen to them; afterwards the
# history of each word must be linearizable (coherence/linear_check.c). At least 5000
# operations a phase; all phases are repeated until there are N (20000).
#
#	node 1	memory	home and referee of time; suffers in phase "home"
#	node 2	compute	suffers; in phase "home" it does what node 1 does otherwise
#	node 3	compute	suffers
#
# Phases: calm (VMRs are dropped and written back, as in all), links (pause, cut,
# blackhole), power (kill, reset), home (pause, cut). Each has a region of its own, and
# each fault once, for seldom is a VMR with an owner that is lost ever used again. A
# node that was killed comes back with new processes; what it alone had is lost, and
# access to it fails from then on. Times of the guests are made comparable by asking a
# referee over UDP (coherence/clock.h).
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
ops=20000 seed=$(date +%N)
while [ $# -gt 0 ]; do
	case $1 in
	--ops) ops=$2; shift ;;
	--seed) seed=$2; shift ;;
	*) break ;;
	esac
	shift
done
[ $# -gt 0 ] || set -- calm links power home
phases=()
for ((i = 1; (i - 1) * $# * 5000 < ops; i++)); do phases+=("${@/%/-$i}"); done
boot=${RMAI_REBOOT:-0}
dir=$RMAI_OUT/linear
wait_s=$(slow && echo 600 || echo 200)
words="--vmrs 64 --words 2"
# A guest that was paused may load old bytes while it has a lease by its own clock, see
# memory-model.rst; a work item then drops them
lease_ms=1000 stall_ms=1500

# Set while online, and again after a reboot
echo 4000 >$cfg/loss_tmo_ms
echo 300 >$cfg/heartbeat_ms
echo 2000 >$cfg/dead_ms
[ ! -e $cfg/lease_ms ] || echo $lease_ms >$cfg/lease_ms

if [ "$boot" = 0 ]; then
	# Decimal, also with zeros in front
	on 1 && rm -rf "$dir" && mkdir "$dir" && echo "$((10#$seed))" >"$dir/seed"
	meet seed
fi
seed=$(cat "$dir/seed")
say "seed $seed"
RANDOM=$((seed % 32768 + RMAI_NODE))
between() { sleep "$(awk -v a="$1" -v b="$2" -v r=$RANDOM 'BEGIN { print a + (b - a) * r / 32768 }')"; }

if on 1; then
	linear --referee 7747 &
	referee=$!
fi

# Clean page cache goes at any time, pages move, and reclaim looks at what is left; it says
# EAGAIN when that was not enough
check "pages can be moved and reclaimed" eval "[ -w /proc/sys/vm/compact_memory ] &&
	[ -w /sys/fs/cgroup/memory.reclaim ]"
squeeze() {
	echo 3 >/proc/sys/vm/drop_caches
	echo 1 >/proc/sys/vm/compact_memory
	echo 32M >/sys/fs/cgroup/memory.reclaim
}
while sleep 2; do squeeze 2>/dev/null; done &
dropper=$!

# harm FAULT NODE: and undo it, when it has been noticed, or before
harm() {
	local fault=$1 node=$2 epoch
	epoch=$(cat $mm/nodes/"$node"/epoch)
	echo "$(date +%T) $fault $node" >>"$dir/$phase/nemesis"
	case $fault in
	pause | cut | blackhole)
		rmai-fault "$fault" "$node" || return
		between 0.1 6
		rmai-fault "$([ "$fault" = pause ] && echo resume || echo heal)" "$node" || return
		within 60 peer_is "$node" up
		;;
	kill)
		rmai-fault kill "$node" || return
		between 0.1 6
		rmai-fault start "$node" && within 100 reborn "$node" "$epoch"
		;;
	reset)
		rmai-fault reset "$node" && within 100 reborn "$node" "$epoch"
		;;
	esac
}
# It runs the script again when its worker has a log
reborn() {
	peer_is "$1" up && [ "$(cat "$mm/nodes/$1/epoch")" != "$2" ] &&
		[ -n "$(find "$dir/$phase" -name "$1???.log" -newer "$dir/$phase/nemesis")" ]
}

# The check wants as many, and says so
enough() { [ "$(cat "$d"/*.log 2>/dev/null | grep -c '^[rwc].*[0-9]$')" -ge 5000 ]; }

# All have the region open: to open it while its home is away may fail
begun() { [ "$(find "$d" -name '*.log' | wc -l)" -ge "$RMAI_NODES" ]; }

# nemesis FAULT...: each once, on node 2 or 3, or on 1; then until there were operations
# enough
nemesis() {
	local todo=("$@") i node
	within "$wait_s" begun || return
	while [ ${#todo[@]} -gt 0 ]; do
		between 1 3
		kill -0 "$worker" || return
		i=$((RANDOM % ${#todo[@]})) node=1
		on 1 && node=$((2 + RANDOM % 2))
		harm "${todo[$i]}" "$node" || return
		unset "todo[$i]"
		todo=("${todo[@]}")
	done
	for ((i = SECONDS + wait_s; SECONDS < i; )); do
		if enough; then break; fi
		sleep 2
	done
	cut -d ' ' -f 2- "$d/nemesis" | paste -sd ,
}

for phase in "${phases[@]}"; do
	d=$dir/$phase f=/rmai/linear-$phase
	driver=1 faults=
	case ${phase%-*} in
	links) faults="pause cut blackhole" ;;
	power) faults="kill reset" ;;
	home) faults="pause cut" driver=2 ;;
	esac
	if [ "$boot" = 0 ]; then
		echo "linear: phase $phase begins" >/dev/kmsg
		if on 1; then
			mkdir "$d"
			check "$phase: a region" region create "$f" vmr=4K on_loss=sigbus nodes=1
			# What is there when a worker of another node begins
			check "$phase: its size" truncate -s $((65 * 4096)) "$f"
			echo "$phase" >"$dir/phase"
			: >"$d/nemesis"
		fi
		meet "begin-$phase"
	else
		# Come back in the middle of it
		[ "$phase" = "$(cat "$dir/phase")" ] || continue
		say "boot $boot, in phase $phase"
	fi
	# shellcheck disable=SC2086
	linear --file "$f" --workers 3 --worker $((RMAI_NODE - 1)) --seed $((seed + boot)) \
		--proc $((RMAI_NODE * 1000 - RMAI_NODE + 1 + boot)) --dir "$d" $words \
		--ops 1 --stop "$d/stop" --pace 1000 --evict 20 --syscalls 5 \
		--clock 10.77.0.1:7747 --timeout "$wait_s" >"$tmp/worker" 2>&1 &
	worker=$!
	boot=0
	if on $driver; then
		# shellcheck disable=SC2086
		check "$phase: nemesis" nemesis $faults
		: >"$d/stop"
	fi
	worker_ends() { wait "$worker"; local rc=$?; cat "$tmp/worker"; return $rc; }
	check "$phase: worker" worker_ends
	[ "${phase%-*}" != calm ] || check "$phase: nothing that was written" nothing_given_up "phase $phase begins"
	meet "end-$phase"
	if on 1; then
		checked() {
			linear --check --min-ops 5000 --stall $stall_ms --seed "$seed" "$d"/*.log
		}
		planted() {
			linear --check --plant 20 --stall $stall_ms --seed "$seed" "$d"/*.log >"$tmp/planted" 2>&1 ||
				{ cat "$tmp/planted"; return 1; }
			tail -n 1 "$tmp/planted"
		}
		check "$phase: linearizable" checked &&
			check "$phase: stale reads would be found" planted
		rm -f "$f"
	fi
done
kill $dropper
[ -z "${referee:-}" ] || kill "$referee"
meet end

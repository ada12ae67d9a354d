#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_inject.sh [WHAT...]: operations of the transport and allocations fail, by
# the kernel's fault injection. What is done then succeeds, perhaps after retries, or
# fails with an error; never is a byte wrong, and nothing is left behind.
#
#	node 1	memory
#	node 2	compute
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 2
[ $# -gt 0 ] ||
	set -- fail_rdma fail_send fail_reg fail_conn failslab fail_page_alloc rename everywhere join
size=$(slow && echo 256K || echo 1M)
rounds=$(slow && echo 3 || echo 6)
# What is lost is lost soon, so that errors come in time
echo 3000 >$cfg/loss_tmo_ms

has() { [ -d "$dbg/$1" ] || [ -d "$dbg/rmai_rdma/$1" ]; }

# clean COMMAND...: it may fail, but not with wrong bytes (3), a hang, or a crash
ok=0 errors=0
clean() {
	local rc
	timeout -s KILL 100 "$@" >"$tmp/one" 2>&1
	rc=$?
	case $rc.$1 in
	0.*) ok=$((ok + 1)) ;;
	1.* | 7.* | 2.ls) errors=$((errors + 1)) ;;
	*)
		cat "$tmp/one"
		echo "status $rc: $*"
		return 1
		;;
	esac
}

# Where faults are injected no other file system shall be asked for anything: the
# program lies in memory, and is static
cp "$bin/region" /dev/shm/ && PATH=/dev/shm:$PATH

# All that a node does with regions, again and again
work() {
	local i name
	ok=0 errors=0
	for ((i = 0; i < rounds; i++)); do
		name=inject-$i
		cd /rmai || return
		clean region map sealed 1 cold && clean region read sealed 1 &&
			clean region map soft 2 cold || return
		clean region read open 3 || return
		# A load: create, write, seal, read back
		clean region create "$name" vmr=12K || return
		clean region fill "$name" 100K 4 || return
		if [ "$(head -c 102401 "$name" 2>/dev/null | wc -c)" = 102400 ] && [ $errors = 0 ]; then
			clean region seal "$name" && clean region map "$name" 4 || return
		fi
		clean rm -f "$name" || return
		clean ls /rmai || return
	done
	cd /
	echo "$ok operations succeeded, $errors failed"
}
# A rename(2) in which the first, second ... allocation fails: the region never loses
# all its names, and no name stays that cannot be removed or made again
rename_once() {	# rename_once NTH: counts in failed, half
	local from=/rmai/inject-from to=/rmai/inject-to
	region create $from vmr=4K && region fill $from 4K 1 || return
	region rename $from $to "$1" || failed=$((failed + 1))
	if [ -e $from ] && [ -e $to ]; then half=$((half + 1)); fi
	if [ -e $from ]; then
		region read $from 1 || return
	else
		region read $to 1 && mv $to $from || return
	fi
	# The region goes; a second name may be left, of nothing
	rm $from && region create $from vmr=4K && region create $to vmr=4K && rm $from $to
}
renames() {
	local nth half=0 failed=0 was=0 idle=0
	# A debug kernel allocates more often. When none has failed for long there are no more
	for ((nth = 1; nth <= 200 && half < 2 && idle < 20; nth++)); do
		rename_once $nth >"$tmp/rename" 2>&1 || { cat "$tmp/rename"; return 1; }
		idle=$((failed == was ? idle + 1 : 0)) was=$failed
	done
	echo "$failed of $((nth - 1)) failed, $half of them half-way"
	[ $half -gt 0 ]
}
# A write(2) whose connection dies under it, before the home is asked, goes over the next one
writes_go_on() {
	local i again
	again=$(stat reconnects)
	for i in 1 2 3; do
		inject fail_conn 100 1 && timeout -s KILL 20 region fill /rmai/open "$size" 3 &&
			inject fail_conn 0 && within 20 region read /rmai/open 3 || return
	done
	echo "$(($(stat reconnects) - again)) reconnects"
	[ $(($(stat reconnects) - again)) -ge 3 ]
}
# After it nothing is wrong, and all works
well() {
	region map /rmai/sealed 1 cold && region map /rmai/soft 2 cold && region read /rmai/open 3
}
none_left() {
	local f
	for f in /rmai/inject-*; do
		[ ! -e "$f" ] || rm "$f" || return
	done
}

if on 1; then
	region create /rmai/sealed vmr=64K on_loss=block && region fill /rmai/sealed "$size" 1 &&
		region seal /rmai/sealed
	region create /rmai/soft vmr=4K on_loss=sigbus && region fill /rmai/soft 256K 2 &&
		region seal /rmai/soft
	region create /rmai/open vmr=64K && region fill /rmai/open "$size" 3
fi >"$tmp/made"
meet made

for what; do
	case $what in
	fail_*[!c])
		has "$what" || { on 2 && skip "$what" "no CONFIG_FAULT_INJECTION_DEBUG_FS"; continue; }
		percent=5
		[ "$what" != fail_conn ] || percent=1
		# The reader's side, then the home's
		for side in 2 1; do
			meet "$what-$side"
			on $side && { inject "$what" $percent || exit 1; }
			meet "$what-$side"
			if on 2; then
				retries=$(stat fetch_retries) again=$(stat reconnects)
				check "$what on node $side, $percent %: no wrong bytes" work
				say "$what: $(($(stat fetch_retries) - retries)) chunks retried," \
					"$(($(stat reconnects) - again)) reconnects"
			fi
			meet "$what-$side"
			on $side && inject "$what" 0
			meet "$what-$side"
			on 2 && check "$what on node $side: all is well after it" within 20 well
			[ "$side.$what" != 1.fail_conn ] || ! on 2 ||
				check "a write goes on over the next connection" writes_go_on
		done
		;;
	failslab | fail_page_alloc)
		on 2 || continue
		has "$what" || { skip "$what" "not in this kernel"; continue; }
		echo Y >"$dbg/$what/task-filter"
		echo N >"$dbg/$what/ignore-gfp-wait"
		[ ! -e "$dbg/$what/min-order" ] || echo 0 >"$dbg/$what/min-order"
		[ ! -e "$dbg/$what/ignore-gfp-highmem" ] || echo N >"$dbg/$what/ignore-gfp-highmem"
		inject "$what" 10 || exit 1
		export RMAI_FAIL=1
		check "$what, 10 %, of the program: no wrong bytes" work
		unset RMAI_FAIL
		inject "$what" 0
		check "$what: all is well after it" within 20 well
		;;
	rename)
		on 2 || continue
		has failslab || { skip "rename" "no failslab in this kernel"; continue; }
		echo N >"$dbg/failslab/ignore-gfp-wait"
		check "rename with allocations that fail" renames
		;;
	everywhere)
		# Whatever RMAI allocates, in whichever task, on both nodes
		if ! can_inject_rmai; then
			on 2 && skip "failslab in all of RMAI" "no stack trace filter: debug kernel only"
			continue
		fi
		for f in failslab fail_page_alloc; do
			meet "$f"
			inject_rmai $f 5 || exit 1
			meet "$f"
			on 2 && check "$f, 5 %, in all of RMAI on both nodes: no wrong bytes" work
			meet "$f"
			inject $f 0
			meet "$f"
			on 2 && check "$f in all of RMAI: all is well after it" within 20 well
		done
		;;
	join)
		meet join
		on 2 || continue
		umount /rmai || exit 1
		tried=0 came=0
		joins() {
			local i
			for ((i = 0; i < 20; i++)); do
				echo 0 >$cfg/online || return
				# From certain failure to hardly any
				inject failslab $((20 - i))
				tried=$((tried + 1))
				RMAI_FAIL=1 region put online 1 2>>"$tmp/joins" && came=$((came + 1))
				inject failslab 0
			done
			echo "$came of $tried attempts to go online succeeded"
			sort "$tmp/joins" | uniq -c
			[ "$came" -lt "$tried" ]
		}
		cd $cfg || exit 1
		echo Y >$dbg/failslab/task-filter
		check "going online with allocations that fail" joins
		echo 1 >$cfg/online
		cd / || exit 1
		check "then without" within 20 peer_is 1 up
		check "rmaifs" mount -t rmaifs rmai /rmai
		check "all is well after it" within 20 well
		;;
	esac
done
meet end
on 2 && check "what was half made can be removed" none_left
meet end
on 1 && rm -f /rmai/*
meet end
within 30 gauges_are_0
check "nothing is left" gauges_are_0
meet end

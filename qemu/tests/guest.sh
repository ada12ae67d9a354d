#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the harness's own tests run in guests: guest.sh WHAT
fail() {
	echo "FAIL: $*"
	exit 1
}
reaches() {
	ping -q -c 1 -W "${2:-2}" "10.77.0.$1" >/dev/null
}
reaches_in_time() {
	local i
	for ((i = 0; i < 20; i++)); do reaches "$1" 1 && return; done
	return 1
}

case $1 in
environment)
	[ "$RMAI_NODES" = 2 ] || fail RMAI_NODES
	[ "$RMAI_ROLE" = "$([ "$RMAI_NODE" = 1 ] && echo memory || echo compute)" ] || fail RMAI_ROLE
	[ "$RMAI_ADDR" = "10.77.0.$RMAI_NODE" ] || fail RMAI_ADDR
	[ "$RMAI_ADDR_1" = 10.77.0.1 ] || fail RMAI_ADDR_1
	[ "$#/$2/$3" = "3/two words/\$x'" ] || fail "arguments: $*"
	[ "$PWD" = "$RMAI_CWD" ] || fail "working directory: $PWD"
	[ -z "${RMAI_REBOOT:-}" ] || fail RMAI_REBOOT
	touch /root-is-writable "$RMAI_TOP/so-is-the-repo" || fail "no overlay"
	[ "$(cat /sys/class/net/eth0/mtu)" = 9000 ] || fail "MTU"
	rdma link show | grep -q "link ${RMAI_FABRIC}0/1 state ACTIVE" || fail "no RDMA link"
	echo "written by $RMAI_NODE" >"$RMAI_OUT/from-$RMAI_NODE"
	rmai-barrier written || fail barrier
	[ "$(cat "$RMAI_OUT/from-$((3 - RMAI_NODE))")" = "written by $((3 - RMAI_NODE))" ] ||
		fail "the other node's file"
	reaches $((3 - RMAI_NODE)) || fail ping
	# A barrier keeps who comes early, and can be used again
	for i in 1 2 3; do
		[ "$RMAI_NODE" = 2 ] && sleep 0.5
		date +%s.%N >"$RMAI_OUT/time-$RMAI_NODE-$i"
		rmai-barrier again || fail "barrier $i"
		late=$(cat "$RMAI_OUT/time-2-$i") || fail "passed barrier $i too early"
		echo "barrier $i: node 2 came at $late"
	done
	# Data over the RDMA link itself
	if [ "$RMAI_NODE" = 1 ]; then
		timeout 30 rping -s -a "$RMAI_ADDR" -C 3 -v &
		until rdma resource show cm_id | grep -q LISTEN; do
			kill -0 $! || fail rping
			sleep 0.1
		done
		rmai-barrier listens
		wait $! || fail rping
	else
		rmai-barrier listens
		timeout 30 rping -c -a "$RMAI_ADDR_1" -C 3 -v || fail rping
	fi
	;;
exit)	# exit NODE STATUS
	[ "$RMAI_NODE" != "$2" ] || exit "$3"
	;;
oops)
	[ "$RMAI_NODE" != 2 ] || echo c >/proc/sysrq-trigger
	rmai-barrier never
	;;
hang)
	[ "$RMAI_NODE" != 1 ] || while :; do sleep 1; done
	;;
die)
	[ "$RMAI_NODE" != 1 ] || poweroff -f
	;;
warn)
	echo WARNING >/sys/kernel/debug/provoke-crash/DIRECT
	;;
leave)	# a node that does not come to a barrier
	[ "$RMAI_NODE" = 2 ] || rmai-barrier meet
	;;
on)
	[ "$RMAI_NODE" = 2 ] || fail "runs on node $RMAI_NODE"
	reaches 1 || fail "node 1 is not there"
	rmai-barrier alone || fail "barrier of one"
	;;
kmsg)
	echo "$2" >/dev/kmsg
	;;
wait)	# until the host says so
	touch "$RMAI_OUT/started-$RMAI_NODE"
	until [ -e "$RMAI_OUT/end" ]; do sleep 0.2; done
	;;
disk)
	s=$(date +%s%N)
	dd if=/dev/vda of=/dev/null bs=1M iflag=direct 2>/dev/null || fail "no disk"
	ms=$((($(date +%s%N) - s) / 1000000))
	size=$(blockdev --getsize64 /dev/vda)
	echo "$size bytes in $ms ms"
	[ "$size" = "$2" ] || fail "size $size"
	[ "$ms" -ge "$3" ] || fail "too fast: $ms ms"
	;;
faults)
	if [ -n "${RMAI_REBOOT:-}" ]; then
		echo "boot $RMAI_REBOOT again"
		touch "$RMAI_OUT/again-$RMAI_REBOOT"
		rmai-barrier "reboot-$RMAI_REBOOT" || fail barrier
		[ "$RMAI_REBOOT" = 2 ] && exit 0
		sleep 1000
	fi
	if [ "$RMAI_NODE" = 1 ]; then
		for pair in "cut heal" "blackhole heal" "pause resume"; do
			reaches 2 || fail "node 2 before ${pair% *}"
			rmai-fault "${pair% *}" 2 || fail "${pair% *}"
			reaches 2 1 && fail "node 2 answers after ${pair% *}"
			rmai-fault "${pair#* }" 2 || fail "${pair#* }"
			reaches_in_time 2 || fail "node 2 does not answer after ${pair#* }"
			echo "${pair}: ok"
		done
		rmai-fault kill 9 2>/dev/null && fail "a node that is not there"
		rmai-fault frobnicate 2 2>/dev/null && fail "a fault that is not there"
		rmai-fault start 2 2>/dev/null && fail "started twice"
		rmai-fault reset 2 || fail reset
		rmai-barrier reboot-1 || fail "barrier with a node that was reset"
		[ -e "$RMAI_OUT/again-1" ] || fail "node 2 has not run its script again"
		rmai-fault kill 2 || fail kill
		reaches 2 1 && fail "a killed node answers"
		rmai-barrier without-2 1 || fail barrier
		rmai-fault start 2 || fail start
		rmai-barrier reboot-2 || fail "barrier with a node that was killed and started"
		reaches 2 || fail "node 2 after all that"
		exit 0
	fi
	sleep 1000
	;;
kill)
	[ "$RMAI_NODE" = 1 ] || { sleep 1000; exit 1; }
	rmai-fault kill 2 || fail kill
	rmai-barrier alone || fail "the dead are waited for"
	;;
*)
	fail "what?"
	;;
esac

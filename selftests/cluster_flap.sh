#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_flap.sh [N]: the cable of a home is pulled and put back N times (4), with messages
# on their way each time: everybody comes back to it. Then a reader stands still for longer
# than its lease, and its clock with it. Then the home hangs, and has yet to hear that a
# region was closed: that node leaves without it.
#
#	node 1	memory	(home) suffers
#	node 2	compute	pulls the cable
#	node 3	compute	reads, leaves
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
times=${1:-4} f=/rmai/flap
echo 2000 >$cfg/loss_tmo_ms
echo 300 >$cfg/heartbeat_ms
echo 1500 >$cfg/dead_ms
RANDOM=$((RMAI_NODE + 1))

on 1 && check "a region" region create $f vmr=4K on_loss=sigbus nodes=1 &&
	check "its size" truncate -s 4M $f
meet begin
while [ ! -e "$RMAI_OUT/over" ]; do
	dd if=/dev/zero of=$f bs=4096 seek=$((RANDOM % 1024)) count=1 conv=notrunc
	dd if=$f of=/dev/null bs=4096 skip=$((RANDOM % 1024)) count=1
done >/dev/null 2>&1 &
busy=$!
if on 2; then
	for ((i = 1; i <= times; i++)); do
		rmai-fault cut 1
		sleep $((RANDOM % 3)).$((RANDOM % 10))
		rmai-fault heal 1
		check "cut $i: node 1 is up again" within 60 peer_is 1 up
	done
	: >"$RMAI_OUT/over"
fi
wait $busy
meet cuts
others_up() {
	local n
	for n in 1 2 3; do on "$n" || peer_is "$n" up || return; done
}
check "all others are up" within 60 others_up
meet up
on 2 && check "what is there can be written" region fill $f 4M 9
meet written
check "and read" region read $f 9

# The home goes on without the reader. When that goes on, it is connected again in a small part
# of the lease that it still has by its own clock, and must not read what it had
has() {
	values share load $f 4096 && grep -x "value=$1" "$tmp/values" && return
	cat "$tmp/values"
	return 1
}
not_up() { ! peer_is "$1" up; }
echo 6000 >$cfg/lease_ms
exec 7<>$f
on 1 && check "the home stores" share store $f 4096 1111
meet stored
on 3 && check "node 3 reads that" has 1111
meet stands
if on 1; then
	check "node 3 stands still" rmai-fault pause 3
	# Else the message to it would be what it finds when it goes on
	check "is not connected" within 60 not_up 3
	check "the home stores without it" share store $f 4096 2222
	check "it goes on" rmai-fault resume 3
fi
meet goes-on
on 3 && check "it is connected" within 60 peer_is 1 up && check "and reads that" within 15 has 2222
exec 7<&-
meet reads

online() { echo "$1" >$cfg/online; }
if on 3; then
	exec 8<>$f
	rmai-fault pause 1
	exec 8<&-
	umount /rmai
	check "it is not open any more, though its home has not heard" \
		within 30 is $mm/stats/regions_open 0
	check "this node goes offline" online 0
	rmai-fault resume 1
	check "and comes back" online 1
	check "with its file system" mount -t rmaifs rmai /rmai
	check "to all others" within 60 others_up
fi
meet back
on 1 && check "unlink" rm $f
meet end

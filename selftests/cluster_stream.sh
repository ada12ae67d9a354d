#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Large VMRs arrive in pieces: what is touched first, the rest behind it. Whoever touches
# whatever of them gets the right bytes, however they are cut, dropped, written elsewhere,
# cut off, or lost half-way.
#
#	node 1	memory; is killed at the end
#	node 2	memory
#	node 3	compute
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
cd /rmai || exit 1
# VMR size and region size; what is left for the last VMR differs
cuts="16M:48M 16M:$((40 * 1048576 + 12345)) 3M:20M $((5 * 1048576 + 4096)):24M $((2 * 1048576 + 4096)):$((9 * 1048576 + 1)) 512K:5M"
! slow || cuts="16M:17M $((2 * 1048576 + 4096)):$((5 * 1048576 + 1))"

[ -z "${RMAI_REBOOT:-}" ] || { meet end; exit 0; }

### sealed
for cut in $cuts; do
	vmr=${cut%:*} size=${cut#*:}
	if on 1; then
		check "VMRs of $vmr, $size" eval "region create s vmr=$vmr nodes=1,2 &&
			region fill s $size 1 && region seal s"
	fi
	meet "sealed-$cut"
	if on 3; then
		check "VMRs of $vmr, $size: in order" region map s 1 cold
		check "VMRs of $vmr, $size: by read(2)" eval "region drop s; region read s 1"
		check "VMRs of $vmr, $size: 8 threads, anywhere" stream read s 1 8 2
		check "VMRs of $vmr, $size: dropped meanwhile" stream read s 1 8 2 pageout
	fi
	meet "read-$cut"
	on 1 && rm s
	meet "gone-$cut"
done
on 3 && check "no replica is left" within 30 is $mm/stats/replica_pages 0
on 3 && check "nothing has failed" is $mm/stats/fetch_errors 0

### a budget that is smaller than a VMR
if on 1; then region create s vmr=16M nodes=1 && region fill s 48M 1 && region seal s; fi
meet budget
if on 3; then
	echo 8M >$cfg/cache_bytes
	check "a budget of half a VMR: 8 threads, anywhere" stream read s 1 8 1
	echo 0 >$cfg/cache_bytes
fi
meet budget
on 1 && rm s

### open: others write to a VMR that is being fetched
if on 1; then region create o vmr=16M nodes=1 >/dev/null && truncate -s 32M o; fi
meet open
exec 7<>o
# Again and again: each time it is taken from a node that is still fetching it
count=$(slow && echo 20 || echo 60) times=$(slow && echo 2 || echo 10)
add() {
	local i
	for i in $(seq "$times"); do
		share add o $((RMAI_NODE * 5 * 1048576)) 2 "$count" || return
	done
}
on 2 3 && check "two nodes add in one VMR" add
count=$((count * times))
meet open
on 2 && check "both see the other's" eval \
	"[ \$(share load o 15M | sed -n s/^value=//p) = \$((2 * $count)) ]"
on 3 && check "both see the other's" eval \
	"[ \$(share load o 10M | sed -n s/^value=//p) = \$((2 * $count)) ]"
for i in 1 2 3; do
	meet "fill-$i"
	on 2 && check "node 2 fills 32 MiB by stores" share fill o 0 32M "$i"
	meet "filled-$i"
	if on 3; then
		# While node 1 takes the end of it away: what is left is right
		share touch o 0 32M 64K >/dev/null 2>&1 &
		check "it is cut off while it is fetched" truncate -s 5M o
		wait $!
		check "and grows again" truncate -s 32M o
		check "what was left is right" share check o 0 5M "$i"
		check "and the rest is zeros" cmp -n $((27 * 1048576)) -i $((5 * 1048576)):0 o /dev/zero
	fi
done
meet filled
on 2 && check "node 2 sees the same" eval \
	"share check o 0 5M 3 && cmp -n $((27 * 1048576)) -i $((5 * 1048576)):0 o /dev/zero"
exec 7<&-
meet closed
on 1 && rm o

### the home is lost half-way
echo 3000 >$cfg/loss_tmo_ms
size=$(slow && echo 32M || echo 96M)
meet loss
if on 1; then
	region create l vmr=16M nodes=1 on_loss=sigbus >/dev/null && region fill l "$size" 4 &&
		region seal l
fi
meet made
on 3 || { meet end; exit 0; }
stream partial l 4 "$tmp/ready" >"$tmp/partial" 2>&1 &
pid=$!
within 60 test -e "$tmp/ready" || exit 1
check "node 1 is killed" rmai-fault kill 1
check "and is found to be dead" within 30 eval "! peer_is 1 up"
rm "$tmp/ready"
arrived() {
	local rc
	wait $pid
	rc=$?
	cat "$tmp/partial"
	return $rc
}
check "what had arrived is right, the rest gives SIGBUS" arrived
check "node 1 comes back" rmai-fault start 1
check "and is up" within 100 peer_is 1 up
# Who owned it may have been node 1
rm -f l
check "no replica is left" within 30 is $mm/stats/replica_pages 0
meet end

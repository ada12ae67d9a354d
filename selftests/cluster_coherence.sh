#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# An open region is shared memory: what one node stores, all others see, and the
# price of it, in messages.
#
#	node 1	memory (the home)
#	node 2	memory
#	node 3	compute
#	node 4	compute, if there is one
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
nodes=$(seq "$RMAI_NODES")
f=/rmai/shared
on 1 && region create $f vmr=64K nodes=1 >/dev/null && truncate -s 8M $f
meet made
# Kept open, so that replicas stay from one command to the next
exec 7<>$f

# counter NAME: of this region on this node
counter() { share stat $f | sed -n "s/^$1=//p"; }
mark() { share stat $f >"$tmp/mark"; }
# grew NAME N: since mark
grew() {
	local d=$(($(counter "$1") - $(sed -n "s/^$1=//p" "$tmp/mark")))
	[ $d = "$2" ] || { echo "$1 grew by $d, not $2"; return 1; }
}
grown() { while [ $# -gt 0 ]; do grew "$1" "$2" || return; shift 2; done; }
loads() {
	if values share load $f "$1" && [ "$(value value)" = "$2" ]; then return 0; fi
	cat "$tmp/values"
	return 1
}

### a store is seen by all
for writer in $nodes; do
	meet seen
	on "$writer" && check "node $writer stores" share store $f 4096 $((writer * 1111))
	meet seen
	check "and node $RMAI_NODE sees it" loads 4096 $((writer * 1111))
	# All have it now
	meet seen
	on "$writer" && check "node $writer stores again" share store $f 4096 $((writer * 2222))
	meet seen
	check "and node $RMAI_NODE sees that" loads 4096 $((writer * 2222))
done
meet seen
on 2 && check "node 2 fills 1 MiB by stores" share fill $f 1M 1M 5
meet seen
check "all see every byte" share check $f 1M 1M 5
meet seen
on 3 && check "node 3 fills half of it" share fill $f 1M 512K 6
meet seen
check "all see both halves" eval "share check $f 1M 512K 6 && share check $f 1536K 512K 5"

### read(2), write(2) and mmap agree
meet io
on 3 && check "node 3 stores" share fill $f 2M 300000 7
meet io
check "read(2) sees it everywhere" share pread $f 2M 300000 7
meet io
for writer in 1 2 3; do
	on "$writer" && check "node $writer writes with write(2)" share pwrite $f 2097000 300000 $((writer + 10))
	meet io
	check "loads see it" share check $f 2097000 300000 $((writer + 10))
	check "and read(2)" share pread $f 2097000 300000 $((writer + 10))
	meet io
done

### what it costs
meet cost
check "read" share touch $f 3M 64K 4096
meet cost
mark
check "reading it again" share check $f 3M 64K 1234567 >/dev/null
meet cost
nr=$((nr - 1)); [ $bad -gt 0 ] && bad=$((bad - 1))
check "costs no message and no fault that waits" \
	grown get_s 0 get_x 0 inv_sent 0 inv_received 0 recalls 0 fault_major 0 fetch_vmrs 0
meet cost
mark
meet cost
others=$((RMAI_NODES - 2))
on 2 && check "node 2 writes what all have" share store $f 3M 77
meet cost
case $RMAI_NODE in
1)	check "the home has sent an INV to each other node" grown inv_sent $others get_x 0 get_s 0;;
2)	check "by one GET_X, and no READ" grown get_x 1 get_s 0 rdma_reads 0 inv_received 0;;
*)	check "each other node has received one" grown inv_received 1 get_s 0 get_x 0;;
esac
meet cost
check "and sees it" loads 3M 77
meet cost
check "64 VMRs are read" share touch $f 4M 4M 4096
meet cost
mark
meet cost
on 1 && check "all 64 are written over with write(2)" dd if=/dev/zero of=$f bs=1M seek=4 count=4 conv=notrunc status=none
meet cost
case $RMAI_NODE in
1)	check "by an INV for each MiB to each other node" grown inv_sent $((4 * (RMAI_NODES - 1)));;
*)	check "received" grown inv_received 4;;
esac
meet cost
check "64 VMRs are read again" share touch $f 4M 4M 4096
meet cost
mark
meet cost
on 1 && check "they are cut off" truncate -s 4M $f
meet cost
case $RMAI_NODE in
1)	check "by one INV to each other node" grown inv_sent $((RMAI_NODES - 1));;
*)	check "received" grown inv_received 1;;
esac
meet cost
on 3 && check "made longer again" truncate -s 8M $f
meet cost
check "what was cut off is zeros" cmp -n 4194304 -i 4194304:0 $f /dev/zero

### sealing
meet seal
if on 2; then
	mkfifo "$tmp/hold"
	share hold $f 5M 1 <"$tmp/hold" >"$tmp/held" &
	exec 6>"$tmp/hold"
	within 30 grep -q stored "$tmp/held"
fi
meet seal
on 1 && check "not while node 2 has it mapped writable" fails "busy" region seal $f
meet seal
if on 2; then exec 6>&-; wait; fi
meet seal
on 3 && check "node 3 stores" share fill $f 5M 128K 9
meet seal
on 1 && check "then it is sealed" region seal $f
meet seal
check "with what was stored last" share pread $f 5M 128K 9
meet seal
exec 7<&-
on 1 && rm $f

### atomics
f=/rmai/count
meet count
on 1 && region create $f vmr=4K nodes=1 >/dev/null && truncate -s 64K $f
meet count
exec 7<>$f
n=$(slow && echo 200 || echo 2000)
meet count
check "2 threads add $n each" share add $f 8192 2 "$n"
meet count
check "the sum is exact" loads 8192 $((RMAI_NODES * 2 * n))
meet count
case $RMAI_NODE in 1) say "pingpongs $(counter pingpongs)";; *) say "get_x $(counter get_x) recalls $(counter recalls)";; esac

### msync, and the end of the last user
meet sync
if on 3; then
	check "node 3 stores" share store $f 0 5
	mark
	check "msync" share sync $f 0 4096
	share store $f 0 6
	exec 7<&-
fi
meet sync
if ! on 3; then check "all see it" loads 0 6; fi
meet sync
exec 7<&-
on 1 && rm $f

meet end
within 30 gauges_are_0
check "nothing is left of it" gauges_are_0
meet end

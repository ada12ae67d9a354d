#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What /sys/kernel/config/rmai takes and refuses, on a machine that is not
# online, as root. One node and its loop peer are enough. KTAP.
set -u

C=/sys/kernel/config/rmai
S=/sys/kernel/mm/rmai
nr=0 failed=0

result() {	# STATUS DESCRIPTION
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr $2"
	else
		failed=$((failed + 1))
		echo "not ok $nr $2"
	fi
}

skip_all() {
	echo "1..0 # SKIP $1"
	exit 4
}

# The errno of a write, as a name: strace-free, from bash's own message
put() {	# FILE VALUE
	local msg
	# printf is a builtin, so that bash reports the error of its write
	msg=$({ printf '%s\n' "$2" >"$1"; } 2>&1) && { echo OK; return; }
	errno_of "$msg"
}

errno_of() {
	case $1 in
	*"Invalid argument"*) echo EINVAL ;;
	*"resource busy"*) echo EBUSY ;;
	*"already in use"*) echo EADDRINUSE ;;
	*"out of range"* | *"result too large"*) echo ERANGE ;;
	*"File exists"*) echo EEXIST ;;
	*"Permission denied"*) echo EACCES ;;
	*) echo "? $1" ;;
	esac
}

is() {	# WANT GOT DESCRIPTION
	if [ "$1" = "$2" ]; then
		result 0 "$3"
	else
		result 1 "$3: wanted '$1', got '$2'"
	fi
}

refuses() {	# ATTR ERRNO VALUE...
	local a=$1 want=$2 v before
	shift 2
	before=$(cat "$C/$a")
	for v; do
		is "$want" "$(put "$C/$a" "$v")" "$a='${v:0:40}': $want"
	done
	is "$before" "$(cat "$C/$a")" "$a is still '$before'"
}

takes() {	# ATTR VALUE [SHOWN]
	is OK "$(put "$C/$1" "$2")" "$1='$2'"
	is "${3-$2}" "$(cat "$C/$1")" "$1 reads '${3-$2}'"
}

try() {	# COMMAND...
	local msg
	msg=$(LC_ALL=C "$@" 2>&1) && { echo OK; return; }
	errno_of "$msg"
}

dmesg_has() { dmesg | grep -q "rmai: .*$1"; result $? "log: $1"; }

[ "$(id -u)" = 0 ] || skip_all "needs root"
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config ||
	skip_all "no configfs"
[ -d $C ] || skip_all "this kernel has no RMAI"
[ "$(cat $C/online)" = 0 ] || skip_all "this node is online"
[ -z "$(ls $C/nodes)" ] || skip_all "nodes are configured already"
export LC_ALL=C
cleanup() {
	echo 0 >$C/online
	rmdir $C/nodes/* 2>/dev/null
}
trap cleanup EXIT

echo "TAP version 13"

is offline "$(cat $S/state)" "state is offline"
is 0 "$(cat $S/epoch)" "epoch is 0"
[ ! -e $S/nodes ]; result $? "no nodes/ in sysfs"
bad=0
for f in "$S"/stats/*; do
	[[ $(cat "$f") =~ ^-?[0-9]+$ ]] || bad=1
done
result $bad "each counter is a number"

refuses node_id EINVAL 65 -1 x '' 1x
refuses node_id ERANGE 65536
refuses node_id EINVAL 0
takes node_id 64
takes node_id 1

refuses cluster EINVAL '' 'two words' "$(printf 'x%.0s' {1..33})" $'a\001b'
takes cluster "$(printf 'x%.0s' {1..32})"
takes cluster rmai

refuses loss_tmo_ms EINVAL 0 -1 1s 86400001
takes loss_tmo_ms 1500
takes loss_tmo_ms 10000
refuses heartbeat_ms EINVAL 0 9 5000 6000
refuses dead_ms EINVAL 1000 999
takes dead_ms 2000
takes heartbeat_ms 500
takes heartbeat_ms 1000
takes dead_ms 5000
refuses on_loss EINVAL ignore BLOCK 1
takes on_loss sigbus
takes on_loss block
takes quarantine_ms 0
takes quarantine_ms 60000

refuses window_start EINVAL 0x1000 127T 1x K
refuses window_start ERANGE 20000000000000000000 17000000P
refuses window_size EINVAL 0 4096 100T
takes window_size 16T 0x100000000000
takes window_start 64T 0x400000000000
takes window_start 0x300000000000
takes window_size 0x200000000000

refuses pool_bytes EINVAL 1 1000T 1.5G
takes pool_bytes 64M 67108864
takes pool_bytes 0

for d in 0 65 01 +1 1a x 1000; do
	is EINVAL "$(try mkdir $C/nodes/$d)" "mkdir nodes/$d: EINVAL"
done
for d in 1 2 64; do
	is OK "$(try mkdir $C/nodes/$d)" "mkdir nodes/$d"
done
is EEXIST "$(try mkdir $C/nodes/1)" "mkdir nodes/1 again: EEXIST"
is "" "$(cat $C/nodes/1/addr)" "no address to begin with"
is 5471 "$(cat $C/nodes/1/port)" "default port"
is memory,compute "$(cat $C/nodes/1/role)" "default role"
is rdma "$(cat $C/nodes/1/transport)" "default transport"

refuses nodes/1/addr EINVAL 1.2.3 1.2.3.4.5 256.1.1.1 0.0.0.0 224.0.0.1 \
	255.255.255.255 :: ff02::1 ::ffff:10.0.0.1 host 10.0.0.1:5471 \
	10.0.0.1/24 fd00::1%lo fe80::1%nosuchif "$(printf '1%.0s' {1..100})"
takes nodes/1/addr 10.0.0.1
takes nodes/2/addr fd00::2
takes nodes/64/addr fe80::64%lo fe80::64%1
is EADDRINUSE "$(put $C/nodes/2/addr 10.0.0.1)" "address of node 1: EADDRINUSE"
is OK "$(put $C/nodes/2/port 5472)" "another port"
is OK "$(put $C/nodes/2/addr 10.0.0.1)" "address of node 1, another port"
is EADDRINUSE "$(put $C/nodes/2/port 5471)" "port of node 1: EADDRINUSE"
is 5472 "$(cat $C/nodes/2/port)" "port unchanged"
is OK "$(put $C/nodes/1/addr 10.0.0.1)" "one's own address again"
refuses nodes/2/port EINVAL 0 -1 port
refuses nodes/2/port ERANGE 65536
refuses nodes/2/role EINVAL '' gpu compute,memory memory+compute
takes nodes/2/role compute
takes nodes/2/role memory
refuses nodes/2/transport EINVAL tcp ''
takes nodes/2/transport loop

is OK "$(try rmdir $C/nodes/2)" "rmdir nodes/2"
is OK "$(try mkdir $C/nodes/2)" "mkdir nodes/2"
is "" "$(cat $C/nodes/2/addr)" "it is as new: no address"
is 5471 "$(cat $C/nodes/2/port)" "it is as new: default port"

refuses online EINVAL x 2
is OK "$(try rmdir $C/nodes/64)" "rmdir nodes/64"
is OK "$(try rmdir $C/nodes/1)" "rmdir nodes/1"
[ "$(put $C/online 1)" != OK ]; result $? "not online without a node 1"
is 0 "$(cat $C/online)" "still offline"
is OK "$(try rmdir $C/nodes/2)" "rmdir works after a failed online"

mkdir $C/nodes/1 $C/nodes/2
for n in 1 2; do
	echo 127.0.0.1 >$C/nodes/$n/addr
	echo loop >$C/nodes/$n/transport
	[ $n = 2 ] || echo 5473 >$C/nodes/$n/port
done
is OK "$(put $C/online 1)" "online"
is OK "$(put $C/online 1)" "online again: nothing happens"
is 1 "$(cat $C/online)" "online reads 1"
is online "$(cat $S/state)" "state is online"
[ "$(cat $S/epoch)" != 0 ]; result $? "epoch is set"
is "1 2 " "$(cd $S/nodes && printf '%s ' *)" "sysfs has nodes 1 and 2"
is self "$(cat $S/nodes/1/state)" "node 1 is this node"
is 127.0.0.1:5473 "$(cat $S/nodes/1/addr)" "its address"
ram=$(awk '/^MemTotal/ { print $2 * 1024 }' /proc/meminfo)
pool=$(cat $C/pool_bytes)
[ "$pool" -gt $((ram / 2)) ] && [ "$pool" -lt "$ram" ]
result $? "pool of a memory node: $pool of $ram bytes"
for a in node_id=2 cluster=other window_start=64T window_size=16T \
	pool_bytes=1M nodes/2/addr=127.0.0.2 nodes/2/port=1 \
	nodes/2/role=memory nodes/2/transport=rdma; do
	is EBUSY "$(put "$C/${a%%=*}" "${a#*=}")" "online: ${a%%=*} is frozen"
done
for a in loss_tmo_ms=9000 heartbeat_ms=900 dead_ms=4000 on_loss=sigbus \
	quarantine_ms=1000; do
	takes "${a%%=*}" "${a#*=}"
done
is EBUSY "$(try mkdir $C/nodes/3)" "online: mkdir is refused"
is EBUSY "$(try rmdir $C/nodes/2)" "online: rmdir is refused"
is 127.0.0.1 "$(cat $C/nodes/2/addr)" "and has changed nothing"
is OK "$(put $C/online 0)" "offline"
is offline "$(cat $S/state)" "state is offline"
is 0 "$(cat $C/pool_bytes)" "pool_bytes is what was written"
[ ! -e $S/nodes ]; result $? "no nodes/ in sysfs"
is OK "$(try rmdir $C/nodes/2)" "rmdir works again"
for a in loss_tmo_ms=10000 dead_ms=5000 heartbeat_ms=1000 on_loss=block \
	quarantine_ms=60000; do
	takes "${a%%=*}" "${a#*=}"
done

dmesg_has "node 2: 10.0.0.1:5471 is already the address of node 1"
dmesg_has "is frozen while the node is online"
dmesg_has "nodes/65: the name must be a node's id"

# Going online and offline against mkdir, rmdir and readers
end=$((SECONDS + 5))
while [ $SECONDS -lt $end ]; do mkdir $C/nodes/9; rmdir $C/nodes/9; done 2>/dev/null &
while [ $SECONDS -lt $end ]; do cat $S/nodes/*/* $S/epoch; done >/dev/null 2>&1 &
ons=0
while [ $SECONDS -lt $end ]; do
	echo 1 >$C/online && ons=$((ons + 1))
	echo 0 >$C/online
done 2>/dev/null
wait
rmdir $C/nodes/9 2>/dev/null
[ $ons -gt 0 ]; result $? "$ons times online beside mkdir, rmdir and readers"
is 0 "$(cat $C/online)" "and offline"

echo "1..$nr"
echo "# $((nr - failed)) passed, $failed failed, 0 skipped"
[ $failed = 0 ]

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Garbage on the listening port, and peers that break the protocol: the connection
# goes, a message says why, the node and its other peers do not notice. Run with
# --no-cluster.
#
#	node 1	memory; the victim
#	node 2	attacks from user space; configured as a compute node, never online
#	node 3	compute; reads from node 1 all the while
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
[ -d $cfg ] || skip_all "this kernel has no CONFIG_RMAI"
[ "$(cat $cfg/online)" = 0 ] || skip_all "must be run with --no-cluster"
[ -x "$bin/garbage" ] || skip_all "librdmacm was not there to build garbage"

set_up() {
	local id
	for id in 1 2 3; do
		mkdir $cfg/nodes/$id && echo 10.77.0.$id >$cfg/nodes/$id/addr || return
		echo compute >$cfg/nodes/$id/role
	done
	echo memory >$cfg/nodes/1/role
	echo "$RMAI_NODE" >$cfg/node_id
	echo 1 >$cfg/online || return
	within 30 peer_is $((4 - RMAI_NODE)) up && mount -t rmaifs rmai /rmai
}
size=$(slow && echo 512K || echo 2M)

if ! on 2; then
	check "nodes 1 and 3 are up" set_up
fi
meet up
if on 1; then
	check "a region" region create /rmai/file vmr=64K
	region fill /rmai/file "$size" 5
	check "sealed" region seal /rmai/file
	# One that may suffer: a peer of the cluster is allowed to change it
	for name in victim cut; do
		region create /rmai/$name vmr=64K && region fill /rmai/$name 1M 6
		region attr /rmai/$name | sed -n 's/^region_id=//p' >"$RMAI_OUT/$name"
	done
fi
rm -f "$RMAI_OUT/done"
meet region

# garbage MODE MESSAGE [COUNT [NAME]]: node 2 attacks, node 1 says so
attack() {
	local mode=$1 count=${3:-10} name=${4:-victim}
	meet attack
	on 2 && check "$mode" timeout 240 garbage 10.77.0.1 "$mode" "$count" 2 "$(cat "$RMAI_OUT/$name")"
	meet attacked
	on 1 && [ -n "$2" ] && check "$mode: is said to be \"$2\"" said "$2"
}
# Of this node's queue pairs only the one to node 3 is left
one_peer() {
	local n
	n=$(rdma resource show qp | grep -c 'type RC.*comm \[\?rmai\|type RC.*comm \[')
	[ "$n" -le 1 ] || { rdma resource show qp; return 1; }
}
# Nobody else has it open: its pages go with its name
ends_with_name() {
	local before
	before=$(stat home_pages)
	rm /rmai/cut && within 10 fewer_pages "$before"
}
fewer_pages() { [ "$(stat home_pages)" -lt "$1" ]; }
said() { dmesg | grep -E -m 1 "rmai.*($1)"; }

if on 3; then
	# Reads on while the others fight
	(
		n=0
		while [ ! -e "$RMAI_OUT/done" ]; do
			region map /rmai/file 5 cold >"$tmp/reader" 2>&1 || { cat "$tmp/reader"; exit 1; }
			n=$((n + 1))
		done
		echo "$n rounds"
	) >"$tmp/reads" 2>&1 &
	reader=$!
fi
bad_before=$(stat msgs_bad 2>/dev/null)
n=$(slow && echo 1 || echo 4)
# The kernel prints ten messages of a kind in 5 s: those that drop much come last
attack good ''
attack reborn 'node 2 has rebooted: what it held is lost' 1 cut
on 1 && check "what the old one had open ends with its name" ends_with_name
attack not-rmai 'does not speak RMAI'
attack oversize ''
attack version 'another version of the protocol'
attack no-hello 'no HELLO before it'
attack twice 'a HELLO out of place'
attack wrong-hello 'refused 10.77.0.2.*is not configured here'
attack wrong-header 'not from the node that said HELLO|meant for another node|answered what was not asked'
attack silent 'dropped 10.77.0.2.*no HELLO$'
attack random 'does not speak RMAI' $((5 * n))
attack random-greeted 'dropped 10.77.0.2.*not a message' $((5 * n))
attack flood ''
attack mutants '' $((100 * n))
attack storm '' $((25 * n))
attack good ''
if on 1; then
	check "bad messages were counted" test $(($(stat msgs_bad) - bad_before)) -ge $((5 * n))
	say "$(($(stat msgs_bad) - bad_before)) bad messages"
	check "node 1 is online" is $cfg/online 1
	check "connections of the attacker are gone" within 60 one_peer
fi
touch "$RMAI_OUT/done"
if on 3; then
	check "node 3 has read from node 1 all the while" wait "$reader"
	cat "$tmp/reads"
	check "node 3 was never cut off" peer_is 1 up
	check "a new file" eval 'echo well >/rmai/well'
	check "is read" is /rmai/well well
fi
meet well
if ! on 2; then
	on 1 && rm -f /rmai/*
	meet clean 2
	check "umount" umount /rmai
	meet umounted 2
	# What node 2 has made under its name goes when it is seen in a new epoch
fi
meet end

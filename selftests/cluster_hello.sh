#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Who may join a cluster, and what is said to who may not: on both sides a
# message that names the reason. Run with --no-cluster.
#
#	node 1	memory, online all the time
#	node 2	tries to join with one thing wrong after the other; memory at last
#	node 3	joins as it should; compute
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
[ -d $cfg ] || skip_all "this kernel has no CONFIG_RMAI"
[ "$(cat $cfg/online)" = 0 ] || skip_all "must be run with --no-cluster"

set_to() { echo "$2" >"$cfg/$1"; }
# node ID ADDRESS ROLE: one directory below nodes/
node() {
	mkdir "$cfg/nodes/$1" && set_to "nodes/$1/addr" "$2" && set_to "nodes/$1/role" "$3"
}
config() {	# as it should be; then what the arguments say: KEY=VALUE
	local kv
	node 1 10.77.0.1 memory && node 2 10.77.0.2 memory && node 3 10.77.0.3 compute &&
		set_to node_id "$RMAI_NODE" || return
	for kv; do set_to "${kv%%=*}" "${kv#*=}" || return; done
}
leave() {
	set_to online 0 || return
	rmdir $cfg/nodes/*/
}
said() { dmesg | grep -E "rmai: .*$1"; }

# refused REASON COMMAND...: configured by that command this node is refused by node 1
refused() {
	local reason=$1 peer=${peer:-1}
	shift
	"$@" && set_to online 1 || return
	within 20 grep -q "refused: .*$reason" "$mm/nodes/$peer/last_error" || return
	grep -q "^\(refused\|connecting\)" "$mm/nodes/$peer/state" || { echo "not refused"; return 1; }
	said "node $peer at 10.77.0.1:5471: refused: .*$reason" >/dev/null || { echo "no message"; return 1; }
	cat "$mm/nodes/$peer/last_error"
	leave
}

as_other_id() {	# as_other_id ID: this machine claims to be another node
	node 1 10.77.0.1 memory && node "$1" 10.77.0.2 compute && set_to node_id "$1"
}
swapped() {	# what is node 1 is taken for node 2
	node 2 10.77.0.1 memory && node 3 10.77.0.2 compute && set_to node_id 3
}
more_members() { config nodes/3/role=memory,compute; }

if on 1; then
	check "node 1 is online" eval 'config && set_to online 1'
	check "what it is cannot be changed any more" fails "busy" set_to node_id 2
	check "nor the cluster's name" fails "busy" set_to cluster other
	check "nor a node's address" fails "busy" set_to nodes/2/addr 10.77.0.9
fi
meet online
if on 2; then
	# What its own configuration tells
	check "no node_id" fails "Invalid" eval 'node 1 10.77.0.1 memory && set_to online 1'
	check "is said to be so" said "node_id is not set"
	rmdir $cfg/nodes/1
	check "an address twice" fails "in use" config nodes/3/addr=10.77.0.2
	check "is said to be so" said "already the address of node"
	rmdir $cfg/nodes/*/
	check "not in its own list" fails "Invalid" eval 'node 1 10.77.0.1 memory && set_to node_id 2 && set_to online 1'
	check "is said to be so" said "this node, 2, is not in nodes/"
	check "an address that is not its own" fails "No such device|not available|Cannot assign" \
		eval 'node 2 10.77.0.77 memory && set_to online 1'
	check "is said to be so" said "cannot listen at 10.77.0.77"
	rmdir $cfg/nodes/*/
	check "no memory node at all" fails "Invalid" \
		eval 'node 1 10.77.0.1 compute && node 2 10.77.0.2 compute && set_to online 1'
	check "is said to be so" said "no node has the role memory"
	rmdir $cfg/nodes/*/
	# What the other one does not like
	check "another cluster's name" refused "belongs to another cluster" config cluster=other
	set_to cluster rmai
	window=$(cat $cfg/window_size)
	check "another window" refused "another address window" \
		config window_size=$((window / 2))
	set_to window_size "$window"
	check "another role" refused "another role" config nodes/2/role=memory,compute
	check "another list of memory nodes" refused "another list of memory nodes" more_members
	check "an id that node 1 does not know" refused "not configured here" as_other_id 4
	check "an id that another node has" refused "an id that another node has" as_other_id 3
	peer=2 check "node 1 under another id" refused "another id" swapped
fi
meet refused
if on 1; then
	check "node 1 has said whom it refused, and why" said "refused 10.77.0.2.*node 2.*another cluster"
	for why in "another address window" "another role" "another list of memory nodes" \
		"not configured here" "an id that another node has" "another id"; do
		check "also: $why" said "refused 10.77.0.2.*$why"
	done
	check "it is online still" is $cfg/online 1
	check "and up for none of them" eval '! grep -q "^up" '"$mm"'/nodes/2/state'
fi
meet right
on 1 || check "joins with the right configuration" eval 'config && set_to online 1'
for ((i = 1; i <= 3; i++)); do
	on $i || check "node $i is up" within 30 peer_is $i up
done
meet up
check "no error is left" test -z "$(cat $mm/nodes/*/last_error)"
check "rmaifs" mount -t rmaifs rmai /rmai
on 3 && echo works >/rmai/file
meet file
check "works on all of them" is /rmai/file works
meet file

# Leaving and coming back: another epoch
on 3 && epoch=$(cat $mm/epoch)
on 1 && epoch=$(cat $mm/nodes/3/epoch)
if on 3; then
	check "umount" umount /rmai
	check "node 3 leaves" leave
fi
meet left
on 3 || check "node 3 is seen to be gone" within 20 eval '! peer_is 3 up'
meet gone
on 3 && check "node 3 comes back" eval 'config && set_to online 1'
on 3 || check "it is up again" within 30 peer_is 3 up
meet back
on 3 && check "in a new epoch" test "$(cat $mm/epoch)" -gt "$epoch"
on 1 && check "which the others know" test "$(cat $mm/nodes/3/epoch)" -gt "$epoch"
if on 3; then
	within 30 peer_is 1 up && within 30 peer_is 2 up
	check "rmaifs again" mount -t rmaifs rmai /rmai
	check "works again" is /rmai/file works
fi
meet end

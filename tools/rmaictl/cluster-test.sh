#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# rmaictl in a cluster, as root, in guests that are not online yet:
#
#	qemu/run --no-cluster --roles memory,memory,compute tools/rmaictl/cluster-test.sh
#
# Node 1 loads, node 3 looks. KTAP from each node.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
RMAICTL=${RMAICTL:-$here/../../out/tools/rmaictl}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C
nr=0 failed=0 out='' status=0
me=${RMAI_NODE:?}
last=${RMAI_NODES:?}

ok() {	# STATUS DESCRIPTION
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr node $me: $2"
	else
		failed=$((failed + 1))
		echo "not ok $nr node $me: $2"
		printf '# status %s\n%s\n%s\n' "$status" "$out" "$(cat "$tmp/err")" | sed 's/^/#   /'
	fi
}

ctl() {
	out=$("$RMAICTL" "$@" 2>"$tmp/err")
	status=$?
}

prints() { [ "$status" = 0 ] && grep -qE -- "$1" <<<"$out"; ok $? "$2"; }
exits() { [ "$status" = "$1" ] && grep -qE -- "$2" "$tmp/err"; ok $? "$3"; }

json() {	# PYTHON-EXPRESSION-OF-j DESCRIPTION
	python3 -c 'import json, sys
j = json.loads(sys.argv[1])
sys.exit(not eval(sys.argv[2]))' "$out" "$1" 2>>"$tmp/err"
	ok $? "$2"
}

[ -x "$RMAICTL" ] || { echo "1..0 # SKIP $RMAICTL is not built"; exit 4; }
[ -d /sys/kernel/mm/rmai ] || { echo "1..0 # SKIP this kernel has no RMAI"; exit 4; }
echo "TAP version 13"

umount /sys/kernel/config 2>/dev/null
ctl status
prints "this node is offline" "status: offline"
nodes=()
for ((i = 1; i <= last; i++)); do
	role=memory
	[ "$i" -lt "$last" ] || role=compute
	nodes+=(--node "$i=10.77.0.$i,role=$role")
done

# What is wrong with a join is said, and leaves the node offline and unconfigured
if [ "$me" = 1 ]; then
	ctl join --id 1 --node 1=10.99.0.1
	exits 1 "no RDMA device has this node's address" "join with an address that is not there"
	grep -q "kernel: .*cannot listen at 10.99.0.1" "$tmp/err"; ok $? "with the kernel's words"
	[ -z "$(ls /sys/kernel/config/rmai/nodes)" ]; ok $? "and no nodes stay configured"
	ctl join --id 1 --node 1=10.77.0.1 --node 2=10.77.0.1
	exits 1 "node 2: cannot set addr.*another node, has the address" "join with an address twice"
	ctl join --id 1 --node 1=10.77.0.1,role=compute
	exits 1 "kernel: .*no node has the role memory" "join without a memory node"
	ctl join --id 1 --node 1=10.77.0.1 --node 2=10.77.0.99 --wait 1
	exits 1 "node 2 \(10.77.0.99:5471\) is (down|connecting)" "join, and a node is not there"
	grep -q "after 1 s 1 of 2 nodes were not up" "$tmp/err"; ok $? "which is said after the time"
	ctl leave
	prints offline "leave"
	ctl join --id 1 "${nodes[@]}" --cluster other --wait 0
	[ "$status" = 0 ]; ok $? "join of a cluster of another name"
fi
rmai-barrier other
if [ "$me" = 2 ]; then
	ctl join --id 2 "${nodes[@]}" --wait 3
	exits 1 "node 1 .* is refused: .*cluster" "a node of another cluster is refused, which join tells"
	ctl leave
fi
rmai-barrier other-done
[ "$me" != 1 ] || ctl leave

rmai-barrier offline
# Whichever address is this machine's says which node it is
ctl join "${nodes[@]}" --cluster rmai --pool 256M --wait 60 --mount
prints "node $me is online, with all $last nodes up" "join"
ctl join --id "$me" "${nodes[@]}"
exits 1 "online already" "join again"
ctl status --json
json "j['node_id'] == $me and all(n['state'] in ('self', 'up') for n in j['nodes'])" "status: all up"
json "j['pool_bytes'] == $((last - 1)) << 28" "status: the pools of the memory nodes"
ctl leave
exits 1 "mounted at /rmai" "leave while rmaifs is mounted"

rmai-barrier joined
if [ "$me" = 1 ]; then
	head -c 5000001 /dev/urandom >"$tmp/model"
	ctl load --verify --vmr 128K --layout 2,1 --stripe 256K "$tmp/model" model
	prints "loaded and sealed: 4.77 MiB" "load"
	grep -q '%' "$tmp/err"; [ $? = 1 ]; ok $? "no progress bar without a terminal"
	sha256sum <"$tmp/model" >"$RMAI_OUT/model.sha"
	ctl load "$tmp/model" model
	exits 1 "File exists" "load does not replace"
	ctl load --json "$tmp/model" second
	json "j['size'] == 5000001 and j['sealed']" "load --json"
	truncate -s 400M "$tmp/big"
	[ "$last" -gt 2 ] || truncate -s 300M "$tmp/big"
	ctl load --layout 1 "$tmp/big" big
	exits 1 "cannot write at .*pool is full" "load of what does not fit"
	[ ! -e /rmai/big ]; ok $? "leaves nothing"
	ctl create --size 1M --vmr 12K open
	prints "/rmai/open made: 1 MiB, VMRs of 12 KiB" "create"
	ctl create open
	exits 1 "File exists" "create again"
	ctl create --layout "$last" nowhere
	exits 1 "is every node a memory node" "create on a compute node"
	[ ! -e /rmai/nowhere ]; ok $? "leaves nothing"
	# Interrupted
	truncate -s 200M "$tmp/big"
	"$RMAICTL" load "$tmp/big" stopped 2>"$tmp/err" >/dev/null &
	until [ -s /rmai/stopped ]; do sleep 0.05; done
	kill -TERM $!
	wait $!
	status=$?
	exits 1 "interrupted by Terminated" "load, terminated"
	[ ! -e /rmai/stopped ]; ok $? "leaves nothing"
fi
rmai-barrier loaded

ctl ls
prints "^model +4.77 MiB +128 KiB +1  sealed .* 2,1 by 256 KiB$" "ls"
prints "^open +1 MiB +12 KiB +1  open" "ls: an open one"
ctl ls --json
json "[r['name'] for r in j] == ['model', 'open', 'second']" "ls --json"
rmai-barrier listed
if [ "$me" = "$last" ]; then
	[ "$(sha256sum </rmai/model)" = "$(cat "$RMAI_OUT/model.sha")" ]
	ok $? "the bytes that were loaded"
	ctl seal open
	prints "/rmai/open sealed" "seal from another node"
	ctl seal open
	prints "/rmai/open sealed" "seal again"
	ctl stat model --json
	json "j['sealed'] and j['layout'] == [2, 1] and j['vmr_size'] == 131072" "stat --json"
	json "j['stat']['home_bytes'] == 0" "stat: nothing is at home on a compute node"
	ctl stat model none
	exits 1 "none: No such file" "stat of one that is not there"
	grep -q "VMR size *128 KiB" <<<"$out"; ok $? "and of the other one"
	ctl stats --json
	json "j['fetch_errors'] == 0 and j['msgs_sent'] > 0" "stats --json"
	ctl publish second model --replaces 2
	exits 1 "is of generation 1, not 2" "publish over another generation"
	ctl publish second model
	prints "/rmai/model published: generation 2" "publish"
	ctl stat model
	prints "generation +2" "which stat shows"
	ctl publish second model
	exits 1 "second: No such file" "publish what has been published"
	ctl publish model open
	prints "/rmai/open published: generation 2" "publish under another name"
	head -c 300000 /dev/urandom >"$tmp/small"
	ctl load --replace --json "$tmp/small" open
	json "j['generation'] == 3 and j['sealed']" "load --replace"
	ctl stat open --json
	json "j['vmr_size'] == 2 << 20 and j['size'] == 300000" "with the attributes of what was there"
	cmp -s "$tmp/small" /rmai/open; ok $? "and new bytes"
	ctl load --replace "$tmp/small" none
	exits 1 "none: No such file" "load --replace of nothing"
	[ "$(ls /rmai)" = open ]; ok $? "nothing stays under other names"
	ctl hot open
	prints "no VMR was taken from a node: it is sealed" "hot"
	ctl poison open
	prints "no VMR is lost" "poison"
	rm /rmai/open
fi
rmai-barrier removed
ctl leave --unmount
prints "offline" "leave --unmount"
ctl status
prints "this node is offline" "status: offline"
echo "1..$nr"
[ $failed = 0 ]

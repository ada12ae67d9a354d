#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests of rmaictl and librmai on this machine, as KTAP. Needs no RMAI: configfs
# and sysfs are directories made here. $RMAICTL is the program (out/tools/rmaictl).
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
RMAICTL=${RMAICTL:-$here/../../out/tools/rmaictl}
[ -x "$RMAICTL" ] || { echo "1..0 # SKIP $RMAICTL is not built"; exit 4; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C
cfg=$tmp/configfs sys=$tmp/sysfs
nr=0 failed=0 out='' err='' status=0

ok() {	# STATUS DESCRIPTION
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr $2"
	else
		failed=$((failed + 1))
		echo "not ok $nr $2"
		printf '# status %s\n%s\n%s\n' "$status" "$out" "$err" | sed 's/^/#   /'
	fi
}

ctl() {	# COMMAND [OPTION...]
	local cmd=$1
	shift
	out=$("$RMAICTL" "$cmd" --configfs "$cfg" --sysfs "$sys" "$@" 2>"$tmp/err")
	status=$?
	err=$(cat "$tmp/err")
}

exits() {	# STATUS TEXT-OF-STDERR DESCRIPTION
	[ "$status" = "$1" ] && grep -qF -- "$2" <<<"$err"
	ok $? "$3"
}

prints() { [ "$status" = 0 ] && grep -qE -- "$1" <<<"$out"; ok $? "$2"; }

# JSON is read by a program that did not write it
json() {	# PYTHON-EXPRESSION-OF-j DESCRIPTION
	python3 -c 'import json, sys
j = json.loads(sys.argv[1])
sys.exit(not eval(sys.argv[2]))' "$out" "$1" 2>>"$tmp/err"
	ok $? "$2"
}

wrote() { [ "$(cat "$cfg/$1" 2>/dev/null)" = "$2" ]; ok $? "$1 is '$2'"; }

node() {	# ID STATE ROLE POOL USED [LAST-ERROR]
	local d=$sys/nodes/$1
	mkdir -p "$d"
	echo "$2" >"$d/state"
	echo "$3" >"$d/role"
	echo "10.0.0.$1:5471" >"$d/addr"
	echo 1234567890123 >"$d/epoch"
	echo "$4" >"$d/pool_bytes"
	echo "$5" >"$d/pool_used_bytes"
	echo "${6-}" >"$d/last_error"
}

fresh() {
	rm -rf "$cfg" "$sys"
	mkdir -p "$cfg/nodes" "$sys/stats"
	echo 0 >"$cfg/online"
	echo rmai >"$cfg/cluster"
	echo online >"$sys/state"
	echo 1 >"$sys/node_id"
	echo 987654321 >"$sys/epoch"
}

echo "TAP version 13"

# Usage
for c in join leave status create load set seal publish ls stat hot poison stats; do
	out=$("$RMAICTL" $c --help 2>"$tmp/err"); status=$? err=$(cat "$tmp/err")
	prints "Usage: rmaictl $c .*OPTION" "$c --help"
	grep -q -- --json <<<"$out"; ok $? "$c --help has --json"
	ctl $c --nonsense
	exits 2 "nonsense" "$c --nonsense: usage error"
done
out=$("$RMAICTL" --help); status=$?; err=''
prints "join .*" "rmaictl --help lists the commands"
err=$("$RMAICTL" 2>&1); status=$?; out=''
exits 2 "Usage:" "no command: usage error"
err=$("$RMAICTL" explode 2>&1); status=$?
exits 2 "'explode' is no command" "unknown command: usage error"

fresh
bad_options() {	# TEXT COMMAND ARG...
	local text=$1
	shift
	ctl "$@"
	exits 2 "$text" "${*:1:8}: usage error"
}
bad_options "from 1 to 64" join --id 0
bad_options "takes a generation" publish a b --replaces 0
bad_options "name of a region is missing" publish a
bad_options "'c' is too much" publish a b c
bad_options "too much without --reset" poison a 1
bad_options "from 1 to 64" join --id 65
bad_options "from 1 to 64" join --id 1x
bad_options "from 1 to 64" join --node 0=10.0.0.1
bad_options "is not ID=ADDR" join --node 10.0.0.1
bad_options "not an IPv4 or IPv6 address" join --node 1=host
bad_options "not an IPv4 or IPv6 address" join --node 1=10.0.0
bad_options "from 1 to 65535" join --node 1=10.0.0.1:0
bad_options "from 1 to 65535" join --node 1=10.0.0.1:65536
bad_options "from 1 to 65535" join --node 1=10.0.0.1:
bad_options "is not [ADDRESS]" join --node '1=[fd00::1'
bad_options "is not [ADDRESS]" join --node '1=[fd00::1]x'
bad_options "is not memory" join --node 1=10.0.0.1,role=gpu
bad_options "neither rdma nor loop" join --node 1=10.0.0.1,transport=tcp
bad_options "there is no 'color'" join --node 1=10.0.0.1,color=red
bad_options "is not NAME=VALUE" join --node 1=10.0.0.1,memory
bad_options "is given twice" join --node 1=10.0.0.1 --node 1=10.0.0.2
bad_options "is too long" join --node "1=$(printf 'x%.0s' {1..300})"
bad_options "is not a size" join --pool lots
bad_options "is not a size" join --pool -1
bad_options "is not a size" join --pool 99999999999P
bad_options "is not a number of milliseconds" join --loss-tmo 1s
bad_options "neither block nor sigbus" join --on-loss ignore
bad_options "cluster needs a value" join --cluster ''
bad_options "number of seconds" join --wait soon
bad_options "number of seconds" join --wait nan
bad_options "too much" join 1
bad_options "too much" leave now
bad_options "too much" status now
bad_options "number of seconds" stats --delta 0
bad_options "number of seconds" stats --watch x
bad_options "name of a region is missing" create
bad_options "too much" create a b
bad_options "name of a region is missing" seal
bad_options "name of a region is missing" stat
bad_options "too much" ls a
bad_options "the file is missing" load
bad_options "name of the region is missing" load a
bad_options "too much" load a b c
bad_options "multiple of 4K" create --vmr 4095 a
bad_options "multiple of 4K" create --vmr 0 a
bad_options "multiple of 4K" create --vmr 2G a
bad_options "multiple of 4K" load --vmr-size 6K a b
bad_options "multiple of the VMR size" create --stripe 5000 a
bad_options "not a multiple of the VMR size" create --vmr 3M --stripe 4M a
bad_options "ids of different memory nodes" create --layout 1,1 a
bad_options "ids of different memory nodes" create --layout 65 a
bad_options "ids of different memory nodes" create --layout 1, a
bad_options "ids of different memory nodes" create --layout '' a
bad_options "block, sigbus or default" create --on-loss x a
bad_options "--fetch: none" create --fetch x a
bad_options "--fetch: none" create --fetch seq,,next a
bad_options "--fetch: none" create --fetch seq,seq a
bad_options "--fetch: none" create --fetch none,seq a
bad_options "--fetch: none" set --fetch '' a
bad_options "--cache-min takes" set --cache-min lots a
bad_options "--cache-max takes" set --cache-max -1 a
bad_options "is more than" create --cache-min 2M --cache-max 1M a
bad_options "name of a region is missing" set --fetch seq
bad_options "set: what" set a
bad_options "--size takes" create --size 1..5G a
bad_options "--size takes" create --size 9E a

# Join
fresh
ctl join --id 1
exits 1 "there are no nodes" "join without nodes"
ctl join --id 3 --node 1=10.0.0.1
exits 1 "add --node 3=ADDR" "join without its own node"
ctl join --node 1=198.51.100.1 --node 2=203.0.113.77
exits 1 "give --id" "join, and no address is this machine's"
ctl join --node 1=127.0.0.1 --node 2=::1
exits 1 "both this machine's" "join, and two addresses are this machine's"
ctl join --id 1 --node 1=
exits 1 "has no address" "join, and a node has no address"
[ -z "$(ls "$cfg/nodes")" ]; ok $? "nothing has been written so far"

node 1 self memory 4294967296 1073741824
node 2 up compute 0 0
ctl join --id 1 --node 1=10.0.0.1,role=memory --node '2=[fd00::2]:6000,role=memory+compute,transport=loop' \
	--cluster lab --pool 1.5G --loss-tmo 2500 --on-loss sigbus
prints "node 1 is online, with all 2 nodes up" "join"
wrote node_id 1
wrote cluster lab
wrote pool_bytes 1610612736
wrote loss_tmo_ms 2500
wrote on_loss sigbus
wrote nodes/1/addr 10.0.0.1
wrote nodes/1/role memory
wrote nodes/2/addr fd00::2
wrote nodes/2/port 6000
wrote nodes/2/role memory,compute
wrote nodes/2/transport loop
wrote online 1
[ ! -e "$cfg/heartbeat_ms" ] && [ ! -e "$cfg/nodes/1/port" ]
ok $? "what was not given is not written"
ctl join --id 1 --node 1=10.0.0.1
exits 1 "online already; rmaictl leave first" "join again"
ctl leave
prints "offline" "leave"
wrote online 0
ctl leave --json
json 'j == {"state": "offline"}' "leave --json"

fresh
node 1 self memory 4294967296 0
node 2 connecting memory 0 0
node 3 refused compute 0 0 'it belongs to cluster "other"'
nodes=(--node "1=10.0.0.1" --node "2=10.0.0.2" --node "3=10.0.0.3")
ctl join --id 1 "${nodes[@]}" --wait 0.3
exits 1 'node 3 (10.0.0.3:5471) is refused: it belongs to cluster "other"' \
	"join tells which node is not up, and why"
grep -q 'after 0 s 2 of 3 nodes were not up' <<<"$err"; ok $? "and that it has waited"
fresh
node 1 self memory 4294967296 0
node 2 connecting memory 0 0
ctl join --id 1 "${nodes[@]}" --wait 0 --json
json 'j["state"] == "online" and j["nodes_down"] == 1 and j["nodes"][1]["state"] == "connecting"' \
	"join --wait 0 --json"
[ "$status" = 0 ]; ok $? "join --wait 0 does not wait"
fresh
node 1 self memory 4294967296 0
node 2 connecting memory 0 0
(sleep 0.5; echo up >"$sys/nodes/2/state") &
ctl join --id 1 "${nodes[@]}" --wait 20
prints "all 2 nodes up" "join waits for a node to come up"
wait

fresh
rm -rf "$cfg/nodes/"*
chmod a-w "$cfg/nodes"
if [ "$(id -u)" != 0 ]; then
	ctl join --id 1 "${nodes[@]}"
	exits 1 "this takes root" "join without permission"
else
	nr=$((nr + 1)); echo "ok $nr join without permission # SKIP runs as root"
fi
chmod u+w "$cfg/nodes"
mkdir -p "$cfg/nodes/7/busy"
ctl join --id 1 "${nodes[@]}"
exits 1 "cannot remove $cfg/nodes/7" "join, and an earlier node cannot be removed"
wrote online 0
fresh
ctl join --id 1 "${nodes[@]}"
exits 1 "shows no nodes" "join, and nothing is to be seen of the nodes"
fresh
rm "$cfg/online"; mkdir "$cfg/online"
ctl join --id 1 "${nodes[@]}"
exits 1 "cannot go online" "join, and going online fails"
cfg=$tmp/nowhere ctl join --id 1 "${nodes[@]}"
exits 1 "$tmp/nowhere" "join without configfs"

# Configuration file
fresh
node 2 self memory 4294967296 0
cat >"$tmp/rmai.conf" <<-EOT
	# everything
	cluster = lab   ; the same on all nodes
	pool_bytes=2G

	[rmai]
	node_id = 2
	window_start = 64T
	window_size = 0x100000000000
	loss_tmo_ms = 4000
	heartbeat_ms = 300
	dead_ms = 900
	on_loss = block
	quarantine_ms = 0
	[node 1]
	addr = fe80::1%lo
	port = 6001
	role = compute
	[ node 2 ]
	addr = 10.0.0.2
	role = memory
	transport = rdma
EOT
ctl join --config "$tmp/rmai.conf" --cluster other --node 1=10.0.0.9
prints "node 2 is online" "join --config"
wrote cluster other
wrote node_id 2
wrote pool_bytes 2147483648
wrote window_start 70368744177664
wrote window_size 17592186044416
wrote loss_tmo_ms 4000
wrote heartbeat_ms 300
wrote dead_ms 900
wrote quarantine_ms 0
wrote nodes/1/addr 10.0.0.9
wrote nodes/2/role memory
[ ! -e "$cfg/nodes/1/port" ]; ok $? "--node replaces the file's node"
bad_file() {	# TEXT LINE...
	local text=$1
	shift
	fresh
	printf '%s\n' "[node 1]" "addr = 10.0.0.1" "$@" >"$tmp/bad.conf"
	ctl join --id 1 --config "$tmp/bad.conf"
	exits 1 "$tmp/bad.conf:$((2 + $#)): $text" "in a file: ${*: -1}"
}
bad_file "'what' is not NAME = VALUE" what
bad_file "there is no setting 'color'" "[rmai]" "color = red"
bad_file "node 1: there is no 'cluster'" "cluster = x"
bad_file "section 'nodes' is neither" "[nodes]"
bad_file "'[node 2' has no ']'" "[node 2"
bad_file "node id '99'" "[node 99]"
bad_file "section 'node' is neither" "[node ]"
bad_file "node id '2 3'" "[node 2 3]"
bad_file "node 1 is given twice" "[node 2]" "[node 1]"
bad_file "node 1: port '0'" "port = 0"
bad_file "pool_bytes 'x'" "[rmai]" "pool_bytes = x"
bad_file "cluster needs a value" "[rmai]" "cluster ="
ctl join --id 1 --config "$tmp/none.conf"
exits 1 "none.conf: No such file" "a file that is not there"
head -c 65536 /dev/urandom >"$tmp/bad.conf"
ctl join --id 1 --config "$tmp/bad.conf"
[ "$status" = 1 ]; ok $? "a file of garbage"

# Status
fresh
node 1 self memory,compute 4294967296 1073741824
node 2 up memory 4294967296 0
node 10 down compute 0 0 'no answer for 5000 ms'
ctl status
prints "node 1 is online in cluster rmai, epoch 987654321; 2 of 3 nodes up; pool 8 GiB, 1 GiB used" \
	"status: summary"
prints "^ +1  self +memory,compute  10.0.0.1:5471 +1234567890123  4 GiB  1 GiB \(25 %\)  -$" \
	"status: a node"
prints "^  10  down .* - +-  no answer for 5000 ms$" "status: a node that is down, and why"
ctl status --json
json 'j["node_id"] == 1 and j["state"] == "online" and j["epoch"] == 987654321' "status --json"
json 'j["pool_bytes"] == 8 << 30 and j["pool_used_bytes"] == 1 << 30' "status --json: pool"
json '[n["id"] for n in j["nodes"]] == [1, 2, 10]' "status --json: nodes by id"
json 'j["nodes"][2]["last_error"] == "no answer for 5000 ms"' "status --json: error"
echo 'quote " and \ backslash' >"$sys/nodes/2/last_error"
ctl status --json
json 'j["nodes"][1]["last_error"] == "quote \" and \\ backslash"' "status --json: quoting"
rm -r "$sys/nodes"; echo offline >"$sys/state"
ctl status
prints "this node is offline; rmaictl join" "status: offline"
ctl status --json
json 'j["state"] == "offline" and j["nodes"] == []' "status --json: offline"
sys=$tmp/nowhere ctl status
exits 1 "this kernel has no RMAI" "status without RMAI"
sys=$tmp/nowhere ctl status --json
json '"no RMAI" in j["error"]' "an error with --json is JSON"

# Counters
fresh
echo 5 >"$sys/stats/fault_major"
echo 3145728 >"$sys/stats/fetch_bytes"
echo 1500000 >"$sys/stats/fault_wait_ns"
echo -2 >"$sys/stats/home_pages"
ctl stats
prints "^fault_major +5 *$" "stats: a number"
prints "^fetch_bytes +3145728 +3 MiB$" "stats: bytes"
prints "^fault_wait_ns +1500000 +1.500 ms$" "stats: time"
prints "^home_pages +-2 +-8 KiB$" "stats: pages, negative"
ctl stats --json
json 'j == {"fault_major": 5, "fetch_bytes": 3145728, "fault_wait_ns": 1500000, "home_pages": -2}' \
	"stats --json"
(sleep 0.3; echo 12 >"$sys/stats/fault_major") &
ctl stats --delta 1 --json
json 'j["fault_major"] == 7 and j["fetch_bytes"] == 0' "stats --delta"
wait
timeout 1 "$RMAICTL" stats --sysfs "$sys" --watch 0.2 >"$tmp/watch"
[ "$(grep -c fault_major "$tmp/watch")" -ge 2 ]; ok $? "stats --watch goes on"
sys=$tmp/nowhere ctl stats
exits 1 "this kernel has no RMAI" "stats without RMAI"
echo x >"$sys/stats/fault_major"
ctl stats
exits 1 "$sys" "stats of garbage"

# Regions, where there is no rmaifs
echo data >"$tmp/file"; : >"$tmp/empty"; mkdir "$tmp/mnt"
ctl create --mount "$tmp/mnt" region
exits 1 "not on an rmaifs" "create elsewhere"
[ ! -e "$tmp/mnt/region" ]; ok $? "and nothing is left"
ctl load --mount "$tmp/mnt" "$tmp/file" region
exits 1 "not on an rmaifs" "load elsewhere"
[ ! -e "$tmp/mnt/region" ]; ok $? "and nothing is left"
cp "$tmp/file" "$tmp/mnt/there"
ctl load --mount "$tmp/mnt" "$tmp/file" there
exits 1 "File exists; remove it first" "load does not replace"
cmp -s "$tmp/file" "$tmp/mnt/there"; ok $? "and leaves what is there"
ctl load --mount "$tmp/mnt" "$tmp/none" region
exits 1 "none: No such file" "load of nothing"
ctl load --mount "$tmp/mnt" "$tmp/empty" region
exits 1 "is empty" "load of an empty file"
ctl load --mount "$tmp/mnt" /dev/zero region
exits 1 "not a regular file" "load of a device"
ctl load --json --mount "$tmp/mnt" "$tmp/file" there
json '"File exists" in j["error"]' "load --json: error"
ctl seal "$tmp/mnt/there"
exits 1 "is not a region" "seal of another file"
ctl stat "$tmp/mnt/there" "$tmp/mnt/none"
exits 1 "none: No such file" "stat of several: each error is told"
grep -q "there is not a region" <<<"$err"; ok $? "of the other one too"
ctl ls --mount "$tmp/mnt"
exits 1 "is not an rmaifs" "ls elsewhere"
if grep -q ' - rmaifs ' /proc/self/mountinfo; then
	nr=$((nr + 1)); echo "ok $nr ls without a mount # SKIP an rmaifs is mounted"
else
	ctl ls
	exits 1 "no rmaifs is mounted" "ls without a mount"
fi
ctl create --mount "$tmp/mnt" "$(printf 'x%.0s' {1..256})"
exits 1 "a name has 1 to 255 bytes" "create: name too long"

echo "1..$nr"
echo "# $((nr - failed)) passed, $failed failed"
[ $failed = 0 ]

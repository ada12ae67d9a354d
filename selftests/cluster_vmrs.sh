#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What users are told of single VMRs: which are fought over and by whom (rmaictl hot),
# which were lost with the node that was writing them; and how these are used again
# (rmaictl poison).
#
#	node 1, 2	memory
#	node 3		compute; is reset
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
tools=${RMAI_TOOLS:-$here/../out/tools}
[ -x "$tools/rmaictl" ] || tools=$here/../../../rmai/rmaictl
[ -x "$tools/rmaictl" ] || skip_all "rmaictl is not built (make tools)"
command -v python3 >/dev/null || skip_all "needs python3, to read JSON"
PATH=$tools:$PATH
f=/rmai/fought
if [ -n "${RMAI_REBOOT:-}" ]; then
	meet reborn
	meet end
	exit 0
fi

# json PYTHON-EXPRESSION-OF-j COMMAND...
json() {
	local expr=$1
	shift
	"$@" >"$tmp/json" || return
	python3 -c 'import json, sys
j = json.load(open(sys.argv[1]))
sys.exit(not eval(sys.argv[2]))' "$tmp/json" "$expr" || { cat "$tmp/json"; return 1; }
}
says() {	# says REGEX COMMAND...
	local re=$1
	shift
	"$@" >"$tmp/text" 2>&1 || { cat "$tmp/text"; return 1; }
	grep -E "$re" "$tmp/text" || { cat "$tmp/text"; return 1; }
}

### VMRs that are fought over
on 1 && region create $f vmr=64K stripe=64K nodes=1,2 >/dev/null && truncate -s 1M $f
meet made
exec 7<>$f
check "nothing is fought over yet" says "no VMR was taken" rmaictl hot $f
meet calm
n=$(slow && echo 5 || echo 20)
# In turns: so each takes it from the one before, however fast they are
turns() {	# turns COUNT OFFSET
	local i who
	for ((i = 0; i < $1; i++)); do
		for who in 1 2 3; do
			on $who && check "turn $i: adding to a word at $2" share add $f "$2" 1 "$n"
			meet turn
		done
	done
}
# VMRs 4 (home 1) and 7 (home 2) are counters of all; 9 is filled by node 3, and read
turns 2 458752
turns 4 262144
on 3 && share store $f 589824 5
meet fought
share load $f 589824 >/dev/null
share load $f 0 >/dev/null
meet read
check "node $RMAI_NODE: they are listed, the worst first" json \
	"[v['vmr'] for v in j[:2]] == [4, 7] and j[0]['moves'] > j[1]['moves'] > 0" \
	rmaictl hot --json $f
check "with their homes" json "[v['home'] for v in j[:2]] == [1, 2]" rmaictl hot --json $f
check "and who fights" json "j[0]['writers'] == [1, 2, 3] and j[1]['writers'] == [1, 2, 3]" \
	rmaictl hot --json $f
check "what was only read is not" json "not [v for v in j if v['vmr'] == 0]" rmaictl hot --json $f
check "what was read by others cost a write-back" json \
	"[v for v in j if v['vmr'] == 9][0]['recalls'] == 1" rmaictl hot --json $f
check "for people" says "^ *4 +0x40000 +[0-9]+ +[0-9]+ +[0-9]+ +1 +" rmaictl hot $f
meet listed
exec 7<&-
on 1 && rm $f
meet removed

### VMRs that are lost
f=/rmai/lost
if on 1; then
	region create $f vmr=64K stripe=64K nodes=1,2 >/dev/null && truncate -s 1M $f
	chmod 644 $f
fi
meet lost
exec 7<>$f
check "nothing is lost" says "no VMR is lost" rmaictl poison $f
if on 3; then
	# At home: 11 in VMR 2 (home 1), 22 in VMR 3 (home 2), nothing in VMR 5
	share store $f 131072 11
	share store $f 196608 22
	share sync $f 0 1048576
	for off in 131072 196608 327680; do
		mkfifo "$tmp/hold-$off"
		share hold $f $off 99 <"$tmp/hold-$off" >"$tmp/held-$off" &
		exec 5>"$tmp/hold-$off"
		check "VMR $((off / 65536)) is being written" within 30 grep -q stored "$tmp/held-$off"
	done
fi
meet dirty
if on 3; then
	# Its power goes
	sleep 100
fi
if on 2; then
	epoch=$(cat $mm/nodes/3/epoch)
	newer() { [ "$(cat $mm/nodes/3/epoch)" != "$epoch" ] && peer_is 3 up; }
	rmai-fault reset 3
	check "node 3 is back, in another epoch" within 100 newer
	meet reborn
	check "what it was writing is lost: SIGBUS" status 135 share load $f 131072
	check "read(2): EIO" fails "Input/output error" share pread $f 196608 8 1
	check "they are listed" json "[(v['vmr'], v['home'], v['owner']) for v in j] == \
		[(2, 1, 3), (3, 2, 3), (5, 2, 3)]" rmaictl poison --json $f
	check "for people" says "VMR 2, offset 0x20000: lost with node 3; stored on node 1" \
		rmaictl poison $f
	check "it cannot be sealed" fails "." region seal $f
	check "the rest can be used" share store $f 0 1
	if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
		check "only who may write it resets them" fails "Permission denied" \
			setpriv --reuid 12345 --clear-groups rmaictl poison --reset $f
	fi
	check "one that there is not" fails "not one of its 16" rmaictl poison --reset $f 16
	check "one is reset" says "1 VMR can be used" rmaictl poison --reset $f 2
	check "it holds what was last written back" says "value=11" share load $f 131072
	check "the others are lost still" json "[v['vmr'] for v in j] == [3, 5]" rmaictl poison --json $f
	check "once more, for nothing" says "0 VMRs can" rmaictl poison --reset $f 2
	check "the rest is reset" json "j['reset'] == 2" rmaictl poison --reset --json $f
	check "the same with it" says "value=22" share load $f 196608
	check "zeros where nothing was" says "value=0" share load $f 327680
	check "it can be written" share store $f 327680 7
	check "none is lost" says "no VMR is lost" rmaictl poison $f
fi
on 1 && meet reborn
meet end
if on 1; then
	check "the home has it, too" says "value=7" share load $f 327680
	check "and it can be sealed" region seal $f
	rm $f
fi
exec 7<&-

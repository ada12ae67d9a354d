#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A sealed region takes the place of another in one step: who reads the old one goes on
# with its bytes, who opens the name gets the new ones, and the old one is gone when
# nobody has it. Publishers may be many, be killed, or lose the node that keeps the name;
# messages may be lost, and allocations fail.
#
#	node 1, 2	memory
#	node 3		compute
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
nodes=$(seq "$RMAI_NODES")
size=$(slow && echo 512K || echo 2M)
f=/rmai/model
# Node 1 dies at last; what it had to say is said by then
if [ -n "${RMAI_REBOOT:-}" ]; then
	meet reborn
	meet end
	exit 0
fi

sealed() {	# sealed NAME SEED [NODES]
	region create "/rmai/$1" vmr=64K nodes="${3:-1,2}" >/dev/null &&
		region fill "/rmai/$1" "$size" "$2" >/dev/null && region seal "/rmai/$1" >/dev/null
}
attr() { region attr "$1" | sed -n "s/^$2=//p"; }
generation() { attr "${1:-$f}" generation; }
publishes() {	# publishes NEW GENERATION [old=PATH]
	local said
	said=$(region publish "/rmai/$1" model "${@:3}" | head -n 1)
	[ "$said" = "generation=$2" ] || { echo "$said"; return 1; }
}
refused() {	# refused ERRNO NEW NAME [old=PATH]
	local said
	said=$(region publish "/rmai/$2" "${@:3}" 2>&1 | head -n 1)
	[ "$said" = "errno=$1" ] || { echo "$said"; return 1; }
}

### readers keep what they have
on 1 && check "a model is made" sealed model 1
meet made
exec 7<$f
if ! on 1; then
	region loop $f 1 6 >"$tmp/loop" 2>&1 &
	loop=$!
fi
meet reading
if on 1; then
	check "so is its successor" sealed next 2
	check "which is published" publishes next 2
	check "and has lost its own name" test ! -e /rmai/next
fi
meet published
check "node $RMAI_NODE: the name has the new bytes" region map $f 2
check "read(2), too" region read $f 2
check "and generation 2" test "$(generation)" = 2
check "what was open has the old ones" region map /proc/self/fd/7 1 cold
check "and generation 1" test "$(generation /proc/self/fd/7)" = 1
check "the regions have ids of their own" test \
	"$(attr $f region_id)" != "$(attr /proc/self/fd/7 region_id)"
if ! on 1; then
	wait "$loop"
	check "who was reading meanwhile has seen the old bytes alone" test $? = 0
	say "$(tr '\n' ' ' <"$tmp/loop")"
fi
meet kept
exec 7<&-
meet closed
pages=$(($(numfmt --from=iec "$size") / 4096))
homes() { [ "$(stat home_pages)" -le $pages ] || { echo "$(stat home_pages) pages"; return 1; }; }
check "the old one is freed when nobody has it open any more" within 30 homes

### what is refused
meet errors
if on 3; then
	check "an open region" region create /rmai/open vmr=64K
	check "a sealed one" sealed other 3
	check "what is not sealed cannot be published" refused EINVAL open model
	check "nor take the place of what is not" refused EINVAL other open
	check "there must be such a name" refused ENOENT other nothing
	check "not itself" refused EINVAL other other
	check "a name is a name" refused EINVAL other a/b
	check "an empty one is not" refused EINVAL other ""
	check "the old one is of this file system" refused EXDEV other model old=/etc/passwd
	check "and has that name" refused ESTALE other model old=/rmai/other
	check "after all that it is as it was" region map $f 2
	check "generation" test "$(generation)" = 2
	exec 8</rmai/other
	rm /rmai/other
	check "what has lost its name has none to give up" refused ENOENT ../proc/self/fd/8 model
	exec 8<&-
	rm /rmai/open
	if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
		check "a region of somebody else" sealed theirs 3
		chmod 644 /rmai/theirs
		check "only by who may rename it" eval 'setpriv --reuid 12345 --clear-groups \
			region publish /rmai/theirs model | grep -q errno=EPERM'
		rm /rmai/theirs
	fi
fi
meet errors

### many publishers: one wins each time
rounds=$(slow && echo 3 || echo 8)
for ((i = 1; i <= rounds; i++)); do
	check "round $i: node $RMAI_NODE has a successor" sealed "next-$RMAI_NODE" $((10 * i + RMAI_NODE))
	exec 7<$f
	meet all-have
	region publish "/rmai/next-$RMAI_NODE" model old=/proc/self/fd/7 2>&1 | head -n 1 \
		>"$RMAI_OUT/said-$i-$RMAI_NODE"
	meet all-tried
	exec 7<&-
	won=0 winner=0
	for n in $nodes; do
		grep -q generation= "$RMAI_OUT/said-$i-$n" && won=$((won + 1)) winner=$n
	done
	check "round $i: one has won" test $won = 1
	check "round $i: it is what is published" region map $f $((10 * i + winner))
	[ "$winner" = "$RMAI_NODE" ] || {
		check "round $i: node $RMAI_NODE has been told why not" \
			grep -E 'ESTALE|EBUSY' "$RMAI_OUT/said-$i-$RMAI_NODE"
		rm "/rmai/next-$RMAI_NODE"
	}
	meet all-seen
done
check "generations have grown" test "$(generation)" -ge $((2 + rounds))

### readers that open it all the time
meet stream
versions=$(slow && echo 5 || echo 15)
base=$(generation)
if on 2; then
	stream() {
		local i
		for ((i = base + 1; i <= base + versions; i++)); do
			sealed next $i && publishes next $i || return
		done
	}
	check "node 2 publishes $versions versions" stream
else
	# Of what was opened, all bytes are of its generation, which never falls
	follow() {
		local g=$base last=$base seen=0
		until [ "$g" = $((base + versions)) ]; do
			exec 7<$f || return
			g=$(generation /proc/self/fd/7)
			if [ "$g" != "$base" ]; then
				region map /proc/self/fd/7 "$g" >"$tmp/map" || { cat "$tmp/map"; return 1; }
			fi
			[ "$g" -ge "$last" ] || { echo "$g after $last"; return 1; }
			[ "$g" = "$last" ] || seen=$((seen + 1))
			last=$g
			exec 7<&-
		done
		echo "saw $seen of $versions"
	}
	check "node $RMAI_NODE: each is whole" follow
fi
meet stream

### a publisher is killed at any moment
if on 3; then
	settled() { [ ! -e /rmai/next ] || [ "$(generation)" = "$1" ]; }
	torn() {
		local i before after had killed=0 done=0
		before=$(generation)
		for ((i = 0; i < $(slow && echo 5 || echo 25); i++)); do
			sealed next $((before + 1)) || return
			region publish /rmai/next model >/dev/null 2>&1 &
			sleep 0.0$((RANDOM % 6))
			kill -KILL $! 2>/dev/null && killed=$((killed + 1))
			wait $! 2>/dev/null
			# What the node of the name was asked to do it does
			within 10 settled "$before" || return
			after=$(generation)
			had=/rmai/next
			if [ "$after" != "$before" ]; then
				done=$((done + 1))
				region map $f "$after" >"$tmp/map" || { cat "$tmp/map"; return 1; }
			else
				region map $f "$before" >"$tmp/map" || { cat "$tmp/map"; return 1; }
				[ -e $had ] || { echo "$had is gone, and $f is old"; return 1; }
				rm $had
			fi
			before=$after
		done
		echo "$killed killed, $done of $i published"
	}
	check "a publisher that is killed has published, or has not" torn
fi
meet torn
check "nothing of old ones is left" within 30 homes
on 1 && rm $f

# kept_by NODE PREFIX: a region whose name that node keeps, in $kept
kept_by() {
	local i
	for ((i = 0; i < 100; i++)); do
		region create "/rmai/$2$i" vmr=64K nodes="$1" >/dev/null || return
		[ "$(attr "/rmai/$2$i" owner)" = "$1" ] && { kept=$2$i; return; }
		rm "/rmai/$2$i"
	done
	return 1
}
fill() { region fill "/rmai/$1" 128K "$2" >/dev/null && region seal "/rmai/$1" >/dev/null; }

### messages are lost: the one to the node of the name, and those that it sends
meet lose
declare -A type=([UNLINK]=6 [SETATTR]=9 [UNREF]=13 [PUBLISH]=26)
lost_once() {	# lost_once HOW
	local n
	n=$(cat "$RMAI_OUT/lost-$1"-* | paste -sd +)
	[ $((n)) = 1 ] || { echo "$n messages were lost"; return 1; }
}
no_more_than() { [ "$(stat regions)" -le "$1" ]; }
if [ -d $dbg/rmai/lose_request ]; then
	echo 300 >$cfg/heartbeat_ms
	on 3 && check "a name that node 1 keeps" kept_by 1 lose && name=$kept && fill "$name" 1
	seed=1
	for what in PUBLISH SETATTR UNLINK UNREF; do for how in request reply; do
		# The first of them all is replaced: its owner is the node of the name
		[ $what$how != PUBLISHrequest ] || on 1 2 ||
			{ kept_by 2 first && fill "$kept" 1 && region publish "/rmai/$kept" "$name"; } >/dev/null
		seed=$((seed + 1))
		on 3 && check "a region of node 2" kept_by 2 "heir" && fill "$kept" $seed
		meet ready
		before=$(stat regions)
		printf '%#x\n' $((1 << type[$what])) >"$dbg/rmai/lose_$how/types"
		inject rmai/lose_$how 100 1
		meet armed
		if on 3; then
			check "$what, $how lost: published" region publish "/rmai/$kept" "$name"
			check "$what, $how lost: with its bytes" region map "/rmai/$name" $seed
			check "$what, $how lost: its own name is gone" within 20 test ! -e "/rmai/$kept"
		fi
		meet published
		on 2 && check "$what, $how lost: the old one is freed" within 20 no_more_than $((before - 1))
		echo $((1 - $(cat "$dbg/rmai/lose_$how/times"))) >"$RMAI_OUT/lost-$what-$how-$RMAI_NODE"
		inject rmai/lose_$how 0
		meet counted
		on 3 && check "$what, $how: was lost" lost_once "$what-$how"
	done; done
	on 3 && rm "/rmai/$name"
else
	skip "messages are lost" "no fault injection in this kernel"
fi

### allocations fail, one after the other: nothing is half
meet alloc
nths() {
	local nth failed=0
	echo N >$dbg/failslab/ignore-gfp-wait
	# Up to the last one that it makes
	for ((nth = 1; nth <= 200; nth++)); do
		sealed next 2 || return
		if region publish /rmai/next "$target" nth=$nth >"$tmp/nth" 2>&1; then
			[ ! -e /rmai/next ] && region read "/rmai/$target" 2 >/dev/null || return
			sealed old 1 && mv /rmai/old "/rmai/$target" || return
			if grep -q unused "$tmp/nth"; then break; fi
			continue
		fi
		failed=$((failed + 1))
		# Told only of what was done, or refused: then it is as it was
		if [ -e /rmai/next ]; then
			region read "/rmai/$target" 1 >/dev/null && rm /rmai/next || return
		else
			region read "/rmai/$target" 2 >/dev/null || return
			sealed old 1 && mv /rmai/old "/rmai/$target" || return
		fi
	done
	echo "$failed publishings failed, of $((nth - 1)) allocations"
	[ $failed -gt 5 ] && [ $nth -le 200 ]
}
if on 1 && [ -d $dbg/failslab ]; then
	kept_by 1 alloc && fill "$kept" 1
	target=$kept
	check "publishing with allocations that fail" nths
	rm "/rmai/$target"
fi
meet removed
within 30 gauges_are_0
check "nothing of anything is" gauges_are_0
meet removed

### the node of the name is lost
meet loss
if on 3; then
	epoch=$(cat $mm/nodes/1/epoch)
	check "a name that node 1 keeps" kept_by 1 old
	old=$kept
	region fill "/rmai/$old" "$size" 1 >/dev/null && region seal "/rmai/$old" >/dev/null
	for i in new newer; do
		check "a region of node 2" kept_by 2 $i
		region fill "/rmai/$kept" "$size" 2 >/dev/null && region seal "/rmai/$kept" >/dev/null
		[ $i = newer ] || check "is published there" region publish "/rmai/$kept" "$old"
	done
	exec 7<"/rmai/$old"
	check "and read" region map /proc/self/fd/7 2
	rmai-fault reset 1
	newer() { [ "$(cat $mm/nodes/1/epoch)" != "$epoch" ] && peer_is 1 up; }
	check "publishing ends in an error while the node of the name is away" \
		fails "errno=|No such file|Host is down" timeout 60 region publish "/rmai/$kept" "$old"
	check "it is back, and has forgotten the name" within 100 newer
	check "what was published there is still read by who has it" region map /proc/self/fd/7 2 cold
	check "there is no such name" refused ENOENT "$kept" "$old"
	check "what was not published has its own name still" region map "/rmai/$kept" 2
	check "the name is made again" within 30 region create "/rmai/$old" vmr=64K nodes=2
	region seal "/rmai/$old" >/dev/null
	check "and published under" region publish "/rmai/$kept" "$old"
	check "with the right bytes" region map "/rmai/$old" 2
	exec 7<&-
	rm "/rmai/$old"
	meet reborn
elif on 2; then
	meet reborn
fi
meet end

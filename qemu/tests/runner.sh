#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/runtests counts: on tables whose results are known.
top=$(readlink -f "$(dirname "$0")/../..")
# shellcheck source=ktap.sh
. "$top/qemu/tests/ktap.sh"
dir=$(mktemp -d)
trap 'rm -rf "$dir" "$KTAP_OUT"' EXIT
export RMAI_RESULTS=$dir/out

table() {	# table "NAME SCRIPT TIMEOUT"...
	local l name text timeout
	for l; do
		read -r name text timeout <<<"$l"
		printf '#!/bin/sh\n%s\n' "${text//_/ }" | tr ';' '\n' >"$dir/$name"
		chmod +x "$dir/$name"
		echo "$name $dir/$name host - - - ${timeout:-10}"
	done >"$dir/list"
}
says() {	# says STATUS LAST-LINE OPTION...
	local want=$1 line=$2 is
	shift 2
	"$top/scripts/runtests" --no-build --list "$dir/list" "$@" >"$dir/stdout"
	is=$?
	cat "$dir/stdout"
	[ "$is" = "$want" ] || { echo "exit status $is"; return 1; }
	[ "$(tail -n 1 "$dir/stdout")" = "$line" ]
}
printed() { grep -qE -- "$1" "$dir/stdout"; }
explained() {
	grep -B 2 "not ok 2 y" "$dir/stdout" | grep "^ *# why" && ! printed "# of x"
}
reaped() { ! pgrep -f "$dir/slow" >/dev/null; }

table "a true" "b echo_ok_1_x;echo_ok_2_y"
check "two tests, three results" says 0 "3 passed, 0 failed, 0 skipped"
table "a true" "b echo_ok_1_x;echo_not_ok_2_y;exit_1"
check "a failed result" says 1 "2 passed, 1 failed, 0 skipped"
check "is named" printed "^# failed: b: y"
table "b echo_\\#_of_x;echo_ok_1_x;echo_\\#_why;echo_\\#_and_how;echo_not_ok_2_y;exit_1"
check "another, with a word on it" says 1 "1 passed, 1 failed, 0 skipped"
check "which comes before it" explained
table "b echo_not_ok_2_y"
check "a test that hides it behind exit status 0" says 1 "0 passed, 1 failed, 0 skipped"
table "b echo_ok_2_y;exit_3"
check "a test that says ok and fails" says 1 "1 passed, 1 failed, 0 skipped"
table "a true" "b echo_SKIP_no_peers;exit_4"
check "a skip is no failure" says 0 "1 passed, 0 failed, 1 skipped"
check "and says why" printed "^ok . b # SKIP no peers"
table "b echo_ok_1_x;echo_ok_2_y_\\#_SKIP_why"
check "one skipped of two results" says 0 "1 passed, 0 failed, 1 skipped"
table "slow sleep_100 1"
check "a test that takes too long" says 1 "0 passed, 1 failed, 0 skipped"
check "is gone" reaped
table "a echo_boo;exit_1"
check "the log of a failure" says 1 "0 passed, 1 failed, 0 skipped"
check "is shown" printed "^# host.log: boo"
table "a true" "b false"
check "a test picked by name" says 0 "1 passed, 0 failed, 0 skipped" a
check "a name that is not there" fails "no test of that name" "$top/scripts/runtests" --no-build \
	--list "$dir/list" nosuch
echo "x y z" >"$dir/list"
check "a table that is wrong" fails "line 1 is not" "$top/scripts/runtests" --no-build --list "$dir/list"
interrupted() {
	table "slow exec_sleep_100 200"
	"$top/scripts/runtests" --no-build --list "$dir/list" >"$dir/stdout" &
	until pgrep -f "$dir/slow" >/dev/null || pgrep -f '^sleep 100$' >/dev/null; do sleep 0.1; done
	kill -TERM $!
	wait $! && return 1
	[[ $(tail -n 1 "$dir/stdout") = *" 1 failed, "* ]]
}
check "interrupted, it still ends with the totals, and fails" interrupted
ktap_end

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# figure_test.sh BENCH_FIGURE: are its medians, marks and refusals right? Prints KTAP.
fig=$1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
nr=0 failed=0

check() {	# check NAME COMMAND...
	name=$1
	shift
	nr=$((nr + 1))
	if "$@" >"$dir/log" 2>&1; then
		echo "ok $nr $name"
	else
		sed 's/^/# /' "$dir/log"
		echo "not ok $nr $name"
		failed=1
	fi
}

fails() { if "$@"; then return 1; fi; }

add() { "$fig" add --dir "$dir" --unit u "$@"; }

row() { "$fig" table "$dir" | grep "^| $1 " | grep -F "$2"; }

add --op ">=" --goal 0.8 up-held 0.9 0.1 0.81 0.7 0.8 || failed=1
add --op ">=" --goal 0.8 up-missed 0.79 0.9 0.7 || failed=1
add --op "<=" --goal 64 down-held 64 || failed=1
add --op "<=" --goal 64 down-missed 64 66 || failed=1
add --op "==" --goal 0 same-held 0 || failed=1
add --op "==" --goal 0 same-missed 1 || failed=1
echo "TAP version 13"
for f in up down same; do
	check "$f: a goal that is met" row $f-held "| ok |"
	check "$f: one that is not" row $f-missed "| **MISSED** |"
done
check "median of five" row up-held "| 0.800 |"
check "median of three, unsorted" row up-missed "| 0.790 |"
check "median of two" row down-missed "| 65 |"
check "the file says it, too" grep -q '"value":0.79,' "$dir/up-missed.json"
check "no run" fails add --op "==" --goal 0 none
check "a run that is no number" fails add --op "==" --goal 0 words 1 x
check "a run that is not finite" fails add --op "==" --goal 0 nan nan
check "no goal" fails add --op "==" none 1
check "an unknown comparison" fails add --op "<" --goal 0 less 1
check "a name that leaves the directory" fails add --op "==" --goal 0 ../up 1
echo '{"name": "half"}' >"$dir/half.json"
check "a table with half a figure" fails "$fig" table "$dir"
echo "1..$nr"
exit $failed

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In a guest booted with kunit.enable=1: what the kernel's unit tests said, one
# line for each case. kunit.sh SUITE-PATTERN...
shopt -s nullglob extglob
dir=/sys/kernel/debug/kunit
nr=0 rc=0
for pattern; do
	# shellcheck disable=SC2206	# a pattern
	suites=("$dir"/$pattern/results)
	if [ ${#suites[@]} = 0 ]; then
		nr=$((nr + 1)) rc=1
		echo "not ok $nr no suite named $pattern in this kernel"
	fi
	for f in "${suites[@]}"; do
		suite=$(basename "$(dirname "$f")")
		cases=0
		while read -r line; do
			nr=$((nr + 1)) cases=$((cases + 1))
			[[ $line != not* ]] || rc=1
			# "ok 3 name" becomes "ok NR suite.name"
			echo "${line%%ok *}ok $nr $suite.${line#*ok +([0-9]) }"
		done < <(sed -nE 's/^ {4}((not )?ok [0-9].*)/\1/p' "$f")
		[ $cases != 0 ] || { nr=$((nr + 1)) rc=1; echo "not ok $nr $suite has no results"; }
		grep -E '^ *# ' "$f"
	done
done
echo "1..$nr"
exit $rc

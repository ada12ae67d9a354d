#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mm_guest.sh DIR CATEGORY...: runs the kernel's selftests of mm, which were built in DIR,
# inside of a guest. $RMAI_OUT/results gets "CATEGORY: pass|fail|skip TEST" for each.
cp -r "$1" /dev/shm/mm && cd /dev/shm/mm || exit 1
shift

# khugepaged prints no results but its own: "# Run test: NAME", then "... OK" or "... Fail"
khugepaged() {
	awk -v category="$1" '
		function result() { if (name) print category ": " (bad ? "fail" : "pass") " " name }
		sub(/^# Run test: /, "") { result(); name = "khugepaged " $0; bad = 0; next }
		/Fail/ { bad = 1 }
		/^(not )?ok / { result(); name = "" }' "$2"
}

for category; do
	log=$RMAI_OUT/log.$category ended=pass
	timeout -k 10 900 ./run_vmtests.sh -t "$category" >"$log" 2>&1
	# Then what it has printed is not all
	case $? in 124 | 137) ended=fail ;; esac
	echo "$category: $ended to end within 900 s"
	khugepaged "$category" "$log" | sort -u
	# "ok 3 name" and "not ok", of the tests and, in comments, of parts of them; some names
	# have a figure in them that is another in each run
	sed -nE "s/^(# )*ok [0-9]+ (.* )?# SKIP.*/$category: skip \2/p; t
		s/^(# )*ok [0-9]+ (.*)/$category: pass \2/p; t
		s/^(# )*not ok [0-9]+ (.*)/$category: fail \2/p" "$log" |
		sed -E 's/ # exit=.*//; s/0x[0-9a-f]+/X/g
			s/(Extra pages|a child with) [0-9].*/\1/' | sort -u
done >"$RMAI_OUT/results"
exit 0

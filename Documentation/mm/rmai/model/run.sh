#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [NAME-PATTERN...]: check the model of the coherence protocol with spin, in
# the configurations that are listed in "configs". Prints KTAP. Needs spin and a C
# compiler, and up to 3 GiB of memory; what it makes goes to $RMAI_OUT or a temporary
# directory. A pattern is for KIND.NAME, as in run.sh 'bug.*'.
set -u
here=$(dirname "$(readlink -f "$0")")
patterns=("$@")
mem_mb=3000		# of one run of the checker
depth=4000000
some_min=1		# minutes for each configuration of kind "some"

if [ -n "${RMAI_OUT:-}" ]; then
	out=$RMAI_OUT/model
else
	out=$(mktemp -d)
	trap 'rm -rf "$out"' EXIT
fi
mkdir -p "$out" || exit 1
echo "KTAP version 1"
command -v spin >/dev/null || {
	echo "1..0 # SKIP no spin: install the package of that name"
	exit 4
}

nr=0 failed=0
# result ok|"not ok" TEXT
result() {
	nr=$((nr + 1))
	echo "$1 $nr $2"
	[ "$1" = ok ] || failed=$((failed + 1))
}

# The table as C, for the model to assert
table() {
	awk '!/^#/ && NF {
		p = $1 == "home" ? "RMAI_DIR_" : "RMAI_REPLICA_"
		printf "%s(%s, %s, %s, \"%s %s %s\")\n", $1, p $2, $3, p $4, $2, $3, $4
	}' "$here/transitions.tab"
}

# build DIR DEFINES CFLAGS
build() {
	rm -rf "$1"
	mkdir -p "$1"
	cp "$here"/*.pml "$1"
	table >"$1/table.h"
	# shellcheck disable=SC2086	# words
	(cd "$1" && spin $2 -a rmai.pml >spin.log 2>&1 && [ ! -s spin.log ] &&
		cc -O1 -w -DNOREDUCE -DNOFAIR -DMEMLIM=$mem_mb $3 -o pan pan.c 2>cc.log)
}

# figure WORD: from the output of the checker
figure() {
	sed -nE "$1" "$dir/pan.log" | head -n 1
}

# check KIND NAME DEFINES [REASON]
check() {
	local kind=$1 name=$2 defs=$3 reason=${4:-} cflags="-DSAFETY" run="-m$depth" what said
	local states errors start=$SECONDS
	dir=$out/$kind.$name
	case $kind in
	progress) cflags="-DNP" run+=" -l" ;;
	some) cflags="-DSAFETY -DBITSTATE" run="-m200000 -w31 -Q$some_min" ;;
	bug)
		defs+=" -DSEEDED -DBUG_$name"
		[ "$reason" != cycle ] || cflags="-DNP" run+=" -l"
		# Found at once: to compile takes longer than to run
		cflags+=" -O0"
		;;
	esac
	what="$kind $name ($defs)"
	if ! build "$dir" "$defs" "$cflags"; then
		sed 's/^/# /' "$dir"/*.log
		result "not ok" "$what: does not compile"
		return
	fi
	# shellcheck disable=SC2086	# words
	(cd "$dir" && ./pan $run >pan.log 2>&1)
	states=$(figure 's/^ *([0-9.e+]+) states, stored.*/\1/p')
	errors=$(figure 's/.*errors: ([0-9]+).*/\1/p')
	said=$(figure 's/^why: (.*)/\1/p')
	: "${said:=$(figure 's/^pan:1: (.*) \(at depth.*/\1/p')}"
	if [ "$kind" = bug ]; then
		if [ "${errors:-0}" != 0 ] && grep -qE "$reason" <<<"$said"; then
			result ok "$what: found after ${states:-?} states: $said"
		else
			result "not ok" "$what: ${said:-not found in ${states:-?} states}"
		fi
		return
	fi
	if [ "$errors" != 0 ] || [ -z "$states" ]; then
		tail -n 5 "$dir/pan.log" | sed 's/^/# /'
		result "not ok" "$what: ${said:-no verdict}; trail in $dir"
	elif [ "$kind" != some ] && grep -qiE 'truncated|max search depth|out of memory' "$dir/pan.log"; then
		result "not ok" "$what: not exhaustive"
	else
		case $kind in
		some) what+=": not exhaustive," ;;
		*) what+=": exhaustive," ;;
		esac
		result ok "$what $states states, $((SECONDS - start)) s, no error"
	fi
}

wanted() {	# wanted KIND.NAME
	local p
	[ ${#patterns[@]} != 0 ] || return 0
	for p in "${patterns[@]}"; do
		# shellcheck disable=SC2053	# a pattern
		[[ $1 = $p ]] && return 0
	done
	return 1
}

while IFS= read -r line; do
	read -r kind name rest <<<"$line"
	[[ -n $kind && $kind != \#* ]] || continue
	reason=''
	if [ "$kind" = bug ]; then
		reason=${rest##*$'\t'}
		rest=${rest%"$reason"}
	fi
	wanted "$kind.$name" || continue
	check "$kind" "$name" "$(xargs <<<"$rest")" "$reason"
done <"$here/configs"

# Whatever the table has was taken by some configuration without a bug
if [ ${#patterns[@]} = 0 ]; then
	unused=$(table | sed -E 's/^(home|replica)\(.*"(.*)"\)$/\1 \2/' | while read -r row; do
		cat "$out"/{all,progress,some}.*/pan.log | grep -q "^taken: $row " || echo "$row"
	done)
	if [ -z "$unused" ]; then
		result ok "each of the $(table | wc -l) rows of transitions.tab was taken"
	else
		while read -r row; do echo "# never taken: $row"; done <<<"$unused"
		result "not ok" "transitions.tab has rows that the model never takes"
	fi
fi
echo "1..$nr"
[ $failed = 0 ]

# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# For sourcing, by the tests: where things are, results as KTAP, counters, waits.
#
# A test of a cluster runs on every node of it at once (qemu/run does that), with
# RMAI_NODE, RMAI_NODES, RMAI_ROLE and rmai-barrier; "on N..." picks who does what.
here=$(dirname "$(readlink -f "$0")")
# shellcheck disable=SC2034	# used by whoever sources this
cfg=/sys/kernel/config/rmai
mm=/sys/kernel/mm/rmai

# Programs are built into OUTPUT: here (kernel tree), or out/selftests (repository)
bin=$here
[ -x "$bin/region" ] || bin=$here/../out/selftests
[ -n "${RMAI_BIN:-}" ] && bin=$RMAI_BIN
PATH=$bin:$PATH
tmp=$(mktemp -d)
nr=0 bad=0 skips=0

say() { echo "# $*"; }

end() {
	local rc=$?
	rm -rf "$tmp"
	echo "1..$nr"
	[ $rc = 0 ] || exit $rc
	[ $bad = 0 ] || exit 1
	[ $skips -lt "$nr" ] || [ "$nr" = 0 ] || exit 4
	exit 0
}

skip_all() {
	echo "1..0 # SKIP $*"
	rm -rf "$tmp"
	trap - EXIT
	exit 4
}

# check NAME COMMAND...: ok if it succeeds; what it printed follows the name if it is
# one line, and is shown if it fails
check() {
	local name=$1 rc line
	shift
	nr=$((nr + 1))
	"$@" >"$tmp/said" 2>&1
	rc=$?
	if [ $rc = 0 ]; then
		line=$(grep -v '^$' "$tmp/said" | tr '\n' ' ')
		[ ${#line} -lt 200 ] || line=
		echo "ok $nr $name${line:+: ${line% }}"
	else
		sed 's/^/# /' "$tmp/said"
		echo "not ok $nr $name # status $rc"
		bad=$((bad + 1))
	fi
	return $rc
}

skip() {	# skip NAME REASON
	nr=$((nr + 1)) skips=$((skips + 1))
	echo "ok $nr $1 # SKIP $2"
}

# fails REGEX COMMAND...: for check: it must fail, and say that
fails() {
	local re=$1 said
	shift
	if said=$("$@" 2>&1); then
		echo "$said"
		echo "succeeded: $*"
		return 1
	fi
	grep -E -m 1 -- "$re" <<<"$said" && return
	echo "$said"
	echo "did not say: $re"
	return 1
}

# status N COMMAND...: for check: it must end with this status
status() {
	local want=$1 rc
	shift
	"$@"
	rc=$?
	[ $rc = "$want" ] && return
	echo "status $rc, not $want: $*"
	return 1
}

# within SECONDS COMMAND...: poll until it succeeds
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >"$tmp/within" 2>&1; do
		if [ $SECONDS -gt $end ]; then
			cat "$tmp/within"
			echo "not in time: $*"
			return 1
		fi
		sleep 0.05
	done
}

stat() { cat "$mm/stats/$1"; }
peer_is() { [ "$(cat "$mm/nodes/$1/state")" = "$2" ]; }
is() { [ "$(cat "$1")" = "$2" ] || { echo "$1: $(cat "$1"), not $2"; return 1; }; }

# A home and a writer that do not agree on who has a VMR say so; so do nodes that lose a peer
nothing_given_up() {	# nothing_given_up [MARK]: since MARK went to /dev/kmsg, if it is still there
	! dmesg | awk -v mark="${1:-no mark}" 'index($0, mark) { n = 0; next } { line[n++] = $0 }
		END { for (i = 0; i < n; i++) print line[i] }' | grep "VMR [0-9]*.* is lost"
}

gauges="regions regions_open home_pages replica_pages mrs address_bytes"
gauges_are_0() {
	local g v rc=0
	for g in $gauges; do
		v=$(stat "$g")
		[ "$v" = 0 ] || { echo "$g $v"; rc=1; }
	done
	return $rc
}

# value KEY: of the last "key=value" output, which is in $tmp/values
value() { sed -n "s/^$1=//p" "$tmp/values" | tail -n 1; }
values() { "$@" >"$tmp/values" 2>"$tmp/err"; local rc=$?; cat "$tmp/err"; return $rc; }

# on NODE...: is this one of them?
on() {
	local n
	# shellcheck disable=SC2153	# from the harness
	for n; do [ "$RMAI_NODE" = "$n" ] && return; done
	return 1
}

meet() { rmai-barrier "$@" || { echo "Bail out! barrier $*"; exit 1; }; }

# need_cluster N: skip unless run on so many nodes by qemu/run
need_cluster() {
	[ -n "${RMAI_NODES:-}" ] || skip_all "needs a cluster of $1 nodes: see qemu/run"
	[ "$RMAI_NODES" -ge "$1" ] || skip_all "needs $1 nodes, there are $RMAI_NODES"
	[ -x "$bin/region" ] || { echo "Bail out! programs are not built (make tools)"; exit 1; }
}

# The debug kernel, or one that finds data races: they take smaller sizes
slow() { [ -n "${RMAI_SLOW:-}" ]; }

trap end EXIT
echo "TAP version 13"

# Faults from inside, by the kernel's fault injection
dbg=/sys/kernel/debug
inject() {	# inject WHAT PERCENT [TIMES]: on this node, until told otherwise
	local dir=$dbg/$1
	[ -d "$dir" ] || dir=$dbg/rmai_rdma/$1
	[ -d "$dir" ] || { echo "no $1 in debugfs"; return 1; }
	echo 0 >"$dir/verbose" && echo 1 >"$dir/interval" && echo "${3:--1}" >"$dir/times" &&
		echo "$2" >"$dir/probability"
}
# Whatever RMAI allocates, in whichever task
can_inject_rmai() { [ -e $dbg/failslab/require-start ]; }
inject_rmai() {	# inject_rmai failslab|fail_page_alloc PERCENT
	local range
	# What is called rmai_ and stands together is mm/rmai; init sections are gone
	range=$(awk '$2 ~ /[tT]/ && $3 ~ /^rmai_(space_|request_work|serve$|fault$|home_|owner_|fetch_)/ { print $1 }' \
		/proc/kallsyms | sort | sed -n '1p;$p')
	echo "0x${range%%$'\n'*}" >"$dbg/$1/require-start"
	echo "0x${range##*$'\n'}" >"$dbg/$1/require-end"
	echo 32 >"$dbg/$1/stacktrace-depth"
	echo N >"$dbg/$1/task-filter"
	echo N >"$dbg/$1/ignore-gfp-wait"
	inject "$1" "$2"
}

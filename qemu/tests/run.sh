#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The harness tested: what must succeed does, and what must fail is seen to fail.
# Needs a base kernel, with or without RMAI. run.sh [KERNEL]
top=$(readlink -f "$(dirname "$0")/../..")
# shellcheck source=ktap.sh
. "$top/qemu/tests/ktap.sh"
# shellcheck source=../../scripts/lib.sh
. "$top/scripts/lib.sh"
kernel=$(bzimage "${1:-base}") || exit 1
# Of RMAI_OUT runtests has made sure: what this says goes there, too
out=${RMAI_OUT:-$top/out/harness}
[ -n "${RMAI_OUT:-}" ] || rm -rf "$out"
mkdir -p "$out"
cd "$top" || exit 1
guest=$top/qemu/tests/guest.sh

run() {	# run NAME OPTION... -- WHAT...: guest.sh WHAT on a cluster
	local name=$1 opts=()
	shift
	while [ "$1" != -- ]; do opts+=("$1"); shift; done
	shift
	"$top/qemu/run" --no-cluster --kernel "$kernel" --out "$out/$name" --timeout 90 \
		"${opts[@]}" "$guest" "$@"
}
exits() {	# exits STATUS COMMAND...
	local want=$1 is
	shift
	"$@"
	is=$?
	[ "$is" = "$want" ] || { echo "exit status $is, not $want"; return 1; }
}
on_host() {	# qemu/fault while a run is going on
	run host --nodes 2 -- wait &
	until [ -e "$out/host/started-1" ] && [ -e "$out/host/started-2" ]; do
		sleep 0.3
		kill -0 $! || return 1
	done
	"$top/qemu/fault" --out "$out/host" kill 2 || return 1
	fails "is off" "$top/qemu/fault" --out "$out/host" pause 2 || return 1
	touch "$out/host/end"
	wait $!
}
second() {	# a run in a directory that is in use
	run busy -- wait &
	until [ -e "$out/busy/started-1" ]; do sleep 0.3; kill -0 $! || return 1; done
	fails "in use" run busy -- wait || return 1
	touch "$out/busy/end"
	wait $!
}
interrupt() {	# no guest survives the run
	"$top/qemu/run" --no-cluster --kernel "$kernel" --out "$out/intr" "$guest" wait &
	until [ -e "$out/intr/started-1" ]; do sleep 0.3; kill -0 $! || return 1; done
	kill -TERM $!
	wait $! && return 1
	! pgrep -af "$out/intr/.run/conf"
}
as_user() {
	local home
	home=$(mktemp -d) || return 1
	cp "$kernel" "$home/bzImage" && chmod 755 "$home" && chmod 644 "$home/bzImage" &&
		mkdir "$home/out" && chown nobody "$home" "$home/out" &&
		setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME="$home" \
			RMAI_CACHE="$home/cache" RMAI_ACCEL=tcg \
			"$top/qemu/run" --no-cluster --kernel "$home/bzImage" --out "$home/out" \
			--roles memory,compute --timeout 120 "$guest" environment "two words" "\$x'"
	local rc=$?
	cp -r "$home/out" "$out/user"
	rm -rf "$home"
	return "$rc"
}
blocked_tasks() {
	grep -q "Show Blocked State" "$out/hang/node1.console"
}

check "scan-dmesg finds each kind of splat" "$top/qemu/tests/scan.sh"
check "environment, barrier, files, rxe" run environment --roles memory,compute -- \
	environment "two words" "\$x'"
check "the same on siw, over the switch" run siw --fabric siw --net switch --roles memory,compute -- \
	environment "two words" "\$x'"
check "--on runs on one node" run on --nodes 2 --on 2 -- on
truncate -s 8M "$out/image"
check "--drive, throttled to 4 MiB/s" run disk --drive "1:$out/image:4194304" -- disk 8388608 900
check "cut, blackhole, pause, reset, kill and start from inside" run faults --nodes 2 -- faults
check "the same over the switch" run faults-switch --nodes 2 --net switch -- faults
check "a node killed on purpose is not counted" run kill --nodes 2 -- kill
check "faults from the host" on_host
check "a script that exits 1 fails" fails "node2: script exit status 1" \
	run exit1 --nodes 2 -- exit 2 1
check "a script that skips" exits 4 run exit4 --nodes 2 -- exit 2 4
check "an oops fails" fails "node2: died.*" run oops --nodes 2 -- oops
check "and is shown" grep -q "Kernel panic" "$out/oops/node2.console"
check "a hang fails" fails "node1: timeout after 30 s: runs its script" \
	run hang --nodes 2 --timeout 30 -- hang
check "and shows the blocked tasks" blocked_tasks
check "a guest that goes away fails" fails "node1: died" run die --nodes 2 -- die
check "a WARN fails" fails "WARNING: " run warn -- warn
check "unless it is allowed" run allowed --allow "WARNING: harness test" -- kmsg "WARNING: harness test"
check "a splat in the log of a successful script fails" fails "BUG: harness" \
	run kmsg -- kmsg "BUG: harness test"
check "a barrier that can no longer be reached fails" fails "node1: script exit status 1" \
	run leave --nodes 2 -- leave
check "a kernel that does not boot fails" fails "timeout after 15 s: boots" \
	run noboot --timeout 15 --append init=/bin/cat -- exit 0 0
check "a missing kernel is said" fails "no kernel" "$top/qemu/run" --kernel "$out/none" "$guest"
check "a missing script is said" fails "not an executable" "$top/qemu/run" --kernel "$kernel" "$out/none"
check "one run at a time in a directory" second
check "an interrupted run leaves no guest" interrupt
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	if setpriv --reuid=nobody --regid=nogroup --clear-groups test -r "$guest"; then
		check "an ordinary user can run it" as_user
	else
		skip "an ordinary user can run it" "nobody cannot read $top"
	fi
elif [ "$(id -u)" != 0 ]; then
	skip "an ordinary user can run it" "all of this has run as one"
else
	skip "an ordinary user can run it" "no setpriv"
fi
ktap_end

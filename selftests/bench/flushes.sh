#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# flushes.sh BIN RUNS: on one node of 4 CPUs, with a memory node by transport loop.
# Evicts 64 mapped VMRs of 2 MiB, mapped in each way, and has as many of an open region
# invalidated; $RMAI_OUT/WAY gets a line of JSON each time.
# shellcheck source=guest.sh
. "$(dirname "$(readlink -f "$0")")/guest.sh"
PATH=$1:$PATH

mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
loop_cluster 400M
bench-touch make -v 2M -n 2 bench-flushes 256M || die "no region"
bench-touch make -o -v 2M -n 2 bench-open 128M || die "no open region"
truncate -s 256M /rmai/bench-open
for ((i = 0; i < $2; i++)); do
	bench-flushes bench-flushes 64 >>"$RMAI_OUT/pmd" || exit 1
	bench-flushes -s bench-flushes 64 >>"$RMAI_OUT/pmd-scattered" || exit 1
	bench-flushes -p bench-flushes 64 >>"$RMAI_OUT/pte" || exit 1
	bench-flushes -p -s bench-flushes 64 >>"$RMAI_OUT/pte-scattered" || exit 1
	bench-flushes -w bench-open 64 >>"$RMAI_OUT/inv-write" || exit 1
	bench-flushes -t bench-open 64 >>"$RMAI_OUT/inv-cut" || exit 1
	bench-flushes -t -p -s bench-open 64 >>"$RMAI_OUT/inv-cut-scattered" || exit 1
done
# What was to be mapped by PMD entries was, and the rest was not
grep -q '"pmd_bytes": 134217728' "$RMAI_OUT/pmd" || die "not mapped by PMD entries"
grep -q '"pmd_bytes": 0,' "$RMAI_OUT/pte" || die "not mapped by PTEs"
rm /rmai/bench-flushes /rmai/bench-open && umount /rmai && echo 0 >$cfg/online

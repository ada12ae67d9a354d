#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stream.sh BIN WHAT RUNS: the guests' side. What a fault waits for in a VMR of 16 MiB:
# "first", its first byte beside that of a VMR of 256 KiB; "chunks", 8 threads at once.
# $RMAI_OUT/WHAT gets a line of JSON each time.
# shellcheck source=guest.sh
. "$(dirname "$(readlink -f "$0")")/guest.sh"
PATH=$1:$PATH
way=$2

if [ "$RMAI_NODE" = 1 ]; then
	bench-touch make -v 16M bench-large 112M || exit 1
	[ "$way" = chunks ] || bench-touch make -v 256K bench-small 2M || exit 1
fi
rmai-barrier made || exit 1
if [ "$RMAI_NODE" != 1 ]; then
	: >"$RMAI_OUT/$way"
	for ((i = 0; i < $3; i++)); do
		case $way in
		first) bench-stream first bench-small bench-large ;;
		chunks) bench-stream chunks bench-large ;;
		esac >>"$RMAI_OUT/$way" || exit 1
	done
fi
rmai-barrier measured || exit 1
[ "$RMAI_NODE" != 1 ] || rm /rmai/bench-*

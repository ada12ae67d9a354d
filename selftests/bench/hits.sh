#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# hits.sh BIN BYTES VMR_SIZE BUDGET RUNS: the guests' side. Eight threads use the VMRs
# of a region by a Zipf distribution, with room for a part of them; RUNS times without
# and with sweeps over all of it in between. $RMAI_OUT/hits and $RMAI_OUT/sweeps get a
# line of JSON each time.
# shellcheck source=guest.sh
. "$(dirname "$(readlink -f "$0")")/guest.sh"
PATH=$1:$PATH

use() {	# use BUDGET RUNS
	local i

	: >"$RMAI_OUT/hits"
	: >"$RMAI_OUT/sweeps"
	for ((i = 1; i <= $2; i++)); do
		# Each begins with an empty cache
		echo 4096 >$cfg/cache_bytes && sleep 1 && echo "$1" >$cfg/cache_bytes || return
		bench-hits -s "$i" bench-hits "$1" >>"$RMAI_OUT/hits" || return
		bench-hits -s $((100 + i)) -n 10000 -w 3 bench-hits "$1" >>"$RMAI_OUT/sweeps" || return
	done
}
with_room bench-hits "$2" "$3" "$4" use "$4" "$5"

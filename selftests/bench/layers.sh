#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# layers.sh BIN BYTES VMR_SIZE LAYER_BYTES BUDGET RUNS: the guests' side. Sweeps over a
# region with room for a part of it, RUNS times, each time over a new one, whose order is not
# known; $RMAI_OUT/layers gets a line of JSON each time.
# shellcheck source=guest.sh
. "$(dirname "$(readlink -f "$0")")/guest.sh"
PATH=$1:$PATH

sweep() { bench-layers bench-layers "$1" >>"$RMAI_OUT/layers"; }

[ "$RMAI_NODE" = 1 ] || : >"$RMAI_OUT/layers"
for ((i = 1; i <= $6; i++)); do
	with_room bench-layers "$2" "$3" "$5" sweep "$4" || exit 1
done

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# touch.sh BIN BYTES VMR_SIZE:RUNS...: the guests' side. Touches a region of BYTES,
# cold, RUNS times for each VMR size; $RMAI_OUT/touch-VMR_SIZE gets a line of JSON
# for each time.
# shellcheck source=guest.sh
. "$(dirname "$(readlink -f "$0")")/guest.sh"
PATH=$1:$PATH
bytes=$2

for spec in "${@:3}"; do
	vmr=${spec%:*} runs=${spec#*:}
	if [ "$RMAI_NODE" = 1 ]; then
		bench-touch make -v "$vmr" "bench-$vmr" "$bytes" || exit 1
	fi
	rmai-barrier "made-$vmr" || exit 1
	if [ "$RMAI_NODE" != 1 ]; then
		: >"$RMAI_OUT/touch-$vmr"
		for ((i = 0; i < runs; i++)); do
			bench-touch touch "bench-$vmr" >>"$RMAI_OUT/touch-$vmr" || exit 1
		done
	fi
	rmai-barrier "touched-$vmr" || exit 1
	# One at a time: the next one may need the memory
	[ "$RMAI_NODE" != 1 ] || rm "/rmai/bench-$vmr" || exit 1
done

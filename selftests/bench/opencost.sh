#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# opencost.sh BIN BYTES PAIRS: the guests' side. Node 1 makes two regions of which nothing is
# fetched ahead, one sealed, one open, and a sealed one with what is the default; node 2 touches
# all of each, cold; again and again. $RMAI_OUT/pairs gets a line each time: bytes/s of the open
# one, of the sealed one, of the one of which VMRs are fetched ahead.
# shellcheck source=guest.sh
. "$(dirname "$(readlink -f "$0")")/guest.sh"
PATH=$1:$PATH

rate() {	# rate NAME: touch it
	bench-touch touch "$1" >"$tmp" || exit 1
	sed -n 's/.*"seconds": \([0-9.]*\).*/\1/p' "$tmp" | awk -v n="$bytes" '{ printf "%.0f\n", n / $1 }'
}

bytes=$2
tmp=$(mktemp)
# New ones each time: what a node has of an open region it keeps
for ((i = 0; i < $3; i++)); do
	if [ "$RMAI_NODE" = 1 ]; then
		bench-touch make -f -v 2M -n 1 sealed "$bytes" || die "no region"
		bench-touch make -fo -v 2M -n 1 open "$bytes" || die "no open region"
		bench-touch make -v 2M -n 1 ahead "$bytes" || die "no third region"
	fi
	rmai-barrier made || exit 1
	if [ "$RMAI_NODE" = 2 ]; then
		# Which is first changes
		if ((i % 2)); then
			o=$(rate open) && s=$(rate sealed) || exit 1
		else
			s=$(rate sealed) && o=$(rate open) || exit 1
		fi
		a=$(rate ahead) || exit 1
		echo "$o $s $a" >>"$RMAI_OUT/pairs"
		echo "open $o, sealed $s, ahead $a bytes/s"
	fi
	rmai-barrier touched || exit 1
	[ "$RMAI_NODE" != 1 ] || rm /rmai/sealed /rmai/open /rmai/ahead
done
rm -f "$tmp"

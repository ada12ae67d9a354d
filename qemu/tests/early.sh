#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# early.sh [N]: N connections (100) between nodes 1 and 2, whose first message may be there
# before the side that accepts has finished, for the other nodes keep the machine busy. All
# must be heard: siw lost some, see patches/. Run with --no-cluster, on 6 nodes or so.
n=${1:-100}
case $RMAI_NODE in
1)
	rping -s -a "$RMAI_ADDR" -P -S 64 >/dev/null 2>&1 &
	until rdma resource show cm_id | grep -q LISTEN; do
		kill -0 $! || exit 1
		sleep 0.1
	done
	for ((i = 0; i < 3; i++)); do
		(while :; do :; done) &
	done
	rmai-barrier listens
	rmai-barrier end
	# shellcheck disable=SC2046
	kill $(jobs -p)
	exit 0
	;;
2)
	rmai-barrier listens
	lost=0
	for ((i = 0; i < n; i++)); do
		timeout 10 rping -c -a "$RMAI_ADDR_1" -C 1 -S 64 >/dev/null 2>&1 || lost=$((lost + 1))
	done
	echo "$lost of $n connections hung"
	rmai-barrier end
	[ "$lost" = 0 ]
	;;
*)
	rmai-barrier listens
	(while :; do :; done) &
	rmai-barrier end
	kill $!
	;;
esac

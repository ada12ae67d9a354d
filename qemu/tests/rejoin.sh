#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In a cluster of three: nodes that go away and come back are in the cluster again,
# with /rmai mounted, and run the script anew.
# shellcheck source=ktap.sh
. "$(dirname "$(readlink -f "$0")")/ktap.sh"
state() { cat "/sys/kernel/mm/rmai/nodes/$1/state"; }
becomes() {	# becomes NODE STATE; the run's timeout bounds it
	until [ "$(state "$1")" = "$2" ]; do sleep 0.2; done
}
again() {
	rmai-fault "$1" "$2" && rmai-barrier back 2
}

if [ -n "${RMAI_REBOOT:-}" ]; then
	check "node $RMAI_NODE is back, and /rmai is mounted" test -e /rmai/x
	check "it sees node 1" becomes 1 up
	rmai-barrier back 2
	ktap_end
fi
if [ "$RMAI_NODE" != 1 ]; then
	sleep 1000
	exit 1
fi
echo hello >/rmai/x
check "node 2 is reset and comes back" again reset 2
check "it is up" becomes 2 up
check "node 2 is killed" rmai-fault kill 2
check "node 3 too" rmai-fault kill 3
check "both are seen to be down" eval "becomes 2 down && becomes 3 down"
check "node 3 is started while node 2 is down" again start 3
check "it is up" becomes 3 up
check "node 2 is down still" test "$(state 2)" = down
check "and is known to be" test "$(rmai-ctl alive)" = "1 3"
ktap_end

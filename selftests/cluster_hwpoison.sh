#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_hwpoison.sh: the memory breaks in which a home stores a page. It is lost, for
# the home and for others: SIGBUS, or EIO. What others have of it stays good, and so does
# the rest. When the region has gone the page is not used again.
#
#	node 1	memory
#	node 2	compute; has replicas, and keys
#	node 3	compute; comes later
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
size=8M at=3148K	# a page of VMR 49

broken() {	# broken STATUS COMMAND...: the status, and nothing wrong before
	status "$@" >"$tmp/broken" 2>&1 || { cat "$tmp/broken"; return 1; }
	! grep -q '^wrong=' "$tmp/broken"
}
parts() {	# parts FILE SEED: what no key goes with that covers the page
	region map "$1" "$2" cold len=2M && region map "$1" "$2" from=4M len=4M
}
corrupted() { awk '/^HardwareCorrupted:/ { print $2 }' /proc/meminfo; }

for kind in sealed open; do
	f=/rmai/$kind
	on 1 && check "$kind: a region" region create $f vmr=64K on_loss=block nodes=1 &&
		check "$kind: filled" region fill $f $size 5 &&
		{ [ $kind = open ] || check "$kind: sealed" region seal $f; }
	meet made
	on 2 && check "$kind: node 2 has keys and replicas" region map $f 5
	meet used
	on 1 && before=$(corrupted) && check "$kind: memory breaks" region break $f $at
	meet broken
	if on 1; then
		more() { [ "$(corrupted)" -gt "$before" ]; }
		check "$kind: mm knows" more
		check "$kind: home: read(2)" broken 1 region read $f 5
		check "$kind: home: a mapping" broken 7 region map $f 5 from=3M len=1M
		check "$kind: home: the rest" region map $f 5 from=4M
		[ $kind = sealed ] ||
			check "$kind: home: it cannot be written either" broken 1 region fill $f $size 6
	fi
	meet home
	on 2 && [ $kind = sealed ] && check "$kind: node 2: what is here is good" region map $f 5
	if on 3; then
		if [ $kind = sealed ]; then
			check "$kind: node 3: the rest" parts $f 5
			check "$kind: node 3: read(2)" broken 1 region read $f 5
		fi
		check "$kind: node 3: a mapping" broken 7 region map $f 5 from=3M len=1M
	fi
	meet seen
	on 1 && rm $f
	meet gone
done
meet end
within 30 gauges_are_0
check "nothing is left" gauges_are_0
# Most of the memory is used once: a broken page would be found by who gets it
if on 1; then
	check "another region" region create /rmai/again vmr=64K nodes=1
	check "in the same memory" region fill /rmai/again 512M 7
	check "all of it is good" region map /rmai/again 7 step=4K
	rm /rmai/again
fi
meet end

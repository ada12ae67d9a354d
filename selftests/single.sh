#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# single.sh [PROGRAM...]: the tests that need one machine. Unless rmaifs is mounted
# at /rmai already, a cluster of three nodes is made inside of this kernel, by
# transport loop:
#
#	node 1 (this one)   memory,compute
#	node 2, 3 (loop)    memory
#
# and taken down at the end, when nothing may be left of it.
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

[ $# -gt 0 ] || set -- rmai_fs rmai_seal rmai_publish rmai_attr rmai_mmap rmai_mmap_data rmai_fault \
	rmai_leak rmai_mm rmai_mm_advice rmai_mm_proc rmai_mm_gup rmai_mm_page rmai_mm_cgroup
[ "$(id -u)" = 0 ] || skip_all "must be root"
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config 2>/dev/null
[ -d $cfg ] || skip_all "this kernel has no CONFIG_RMAI, or no configfs is mounted"
[ -x "$bin/$1" ] || { echo "Bail out! $bin/$1 is not built"; exit 1; }

set_to() { echo "$2" >"$cfg/$1" || { echo "cannot set $1 to $2"; return 1; }; }
set_up() {
	local id
	for id in 1 2 3; do mkdir "$cfg/nodes/$id" || return; done
	set_to nodes/1/role memory,compute && set_to nodes/2/role memory &&
		set_to nodes/2/transport loop && set_to nodes/3/role memory &&
		set_to nodes/3/transport loop && set_to node_id 1 || return
	set_to pool_bytes 96M && set_to online 1 || return
	within 20 peer_is 2 up && within 20 peer_is 3 up || return
	mkdir -p /rmai && mount -t rmaifs rmai /rmai
}
busy() { ! set_to "$@" 2>/dev/null; }

# charged: a VMR of several chunks, all but the first of which are fetched by a work
# item, belongs to the memory cgroup of the program that touched it
charged() {
	local cg=$tmp/cgroup file rc
	mkdir -p "$cg" && mount -t cgroup2 none "$cg" || return
	echo +memory >"$cg/cgroup.subtree_control" && mkdir "$cg/reader" || return
	region create /rmai/charged vmr=16M nodes=2 && region fill /rmai/charged 16M 1 &&
		region seal /rmai/charged || return
	(echo $BASHPID >"$cg/reader/cgroup.procs" && region map /rmai/charged 1 cold step=4K) || return
	file=$(sed -n 's/^file //p' "$cg/reader/memory.stat")
	echo "$file bytes of page cache"
	[ "$file" -ge $((16 << 20)) ]
	rc=$?
	rm /rmai/charged
	rmdir "$cg/reader" && umount "$cg" && rmdir "$cg" && return $rc
}

# may_sleep: suspend, as far as to the freezer, which thaws again at once
may_sleep() {
	local rc=0
	echo 0 >/sys/module/suspend/parameters/pm_test_delay &&
		echo freezer >/sys/power/pm_test || return
	echo freeze >/sys/power/state || rc=1
	echo none >/sys/power/pm_test
	return $rc
}

# disk: a file on a block device, in RMAI_BLOCK: on ext4, or the device itself where the
# kernel has no ext4. Only of a RAM disk that nobody uses: it is empty
disk() {
	local dev=/dev/ram0
	[ -b $dev ] && cmp -s -n $((64 << 20)) $dev /dev/zero || return
	export RMAI_BLOCK=$dev
	grep -qw ext4 /proc/filesystems && mkdir -p "$tmp/disk" &&
		mkfs.ext4 -q $dev 64M 2>/dev/null && mount -t ext4 $dev "$tmp/disk" || return
	RMAI_BLOCK=$tmp/disk/file
	touch "$RMAI_BLOCK"
}

ours=
if ! grep -q ' rmaifs ' /proc/mounts; then
	if [ "$(cat $cfg/online)" = 1 ]; then skip_all "online, but rmaifs is not mounted"; fi
	check "offline there is no rmaifs" fails "unknown filesystem type|offline" mount -t rmaifs rmai /mnt
	check "nor an anonymous region" test "$(region try mmap-anon 1M)" = ENODEV
	check "a cluster inside one kernel" set_up || exit 1
	ours=1
fi
disk
for program; do
	say "$program"
	start=$SECONDS
	# Its own KTAP lines count
	"$bin/$program" 2>&1
	rc=$?
	say "$program: $((SECONDS - start)) s"
	if [ $rc = 0 ] || [ $rc = 4 ]; then continue; fi
	bad=$((bad + 1))
done
if mountpoint -q "$tmp/disk"; then umount "$tmp/disk"; fi
if [ -n "$ours" ]; then
	if grep -q memory /proc/cgroups; then
		check "replicas are charged to who faulted" charged
	else
		skip "replicas are charged to who faulted" "no CONFIG_MEMCG"
	fi
	within 20 gauges_are_0
	check "nothing is left of what was made" gauges_are_0
	touch /rmai/held && exec 5<>/rmai/held
	check "not offline with rmaifs in use" busy online 0
	exec 5>&-
	check "not offline with rmaifs mounted" busy online 0
	check "a node is not removed while online" fails "busy" rmdir $cfg/nodes/3
	check "umount" umount /rmai
	check "offline" set_to online 0
	within 20 gauges_are_0
	check "and all that was stored is gone" gauges_are_0
	# Online it may not: rmai_mm_cgroup
	if [ -w /sys/power/pm_test ]; then
		check "offline it may sleep" may_sleep
	else
		skip "offline it may sleep" "no CONFIG_SUSPEND, or no CONFIG_PM_DEBUG"
	fi
	check "online again" set_to online 1
	check "mount again" mount -t rmaifs rmai /rmai
	check "it is empty" test -z "$(ls /rmai)"
	check "umount again" umount /rmai
	check "offline again" set_to online 0
	check "nodes are removed" rmdir $cfg/nodes/1 $cfg/nodes/2 $cfg/nodes/3
fi

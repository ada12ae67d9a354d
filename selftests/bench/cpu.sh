#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cpu.sh BIN BYTES RUNS: on one node whose clock counts instructions, with a memory node by
# transport loop. First touch of a sealed region, and of files of tmpfs and hugetlbfs,
# all of BYTES; $RMAI_OUT/WHAT gets a line of JSON each time, $RMAI_OUT/copy what the loop
# transport copied in the meantime.
# shellcheck source=guest.sh
. "$(dirname "$(readlink -f "$0")")/guest.sh"
PATH=$1:$PATH
bytes=$2 dir=$(mktemp -d)

loop_cluster $((2 * bytes))
copied() { cat /sys/kernel/mm/rmai/stats/loop_copy_ns; }

# The region, then each file system by itself: none shall want for memory
for vmr in 2M 4K; do
	bench-touch make -v $vmr -n 2 bench-cpu "$bytes" || die "no region"
	for ((i = 0; i < $3; i++)); do
		begin=$(copied)
		bench-cpu -r /rmai/bench-cpu >>"$RMAI_OUT/rmai-$vmr" || exit 1
		echo "{ \"ns\": $(($(copied) - begin)) }" >>"$RMAI_OUT/copy-$vmr"
	done
	rm /rmai/bench-cpu
done
umount /rmai && echo 0 >$cfg/online || exit 1
for huge in always never; do
	for ((i = 0; i < $3; i++)); do
		mount -t tmpfs -o huge=$huge,size=$((2 * bytes)) tmpfs "$dir" &&
			truncate -s "$bytes" "$dir/file" &&
			bench-cpu "$dir/file" >>"$RMAI_OUT/tmpfs-$huge" && umount "$dir" || exit 1
	done
done
echo $((bytes >> 21)) >/proc/sys/vm/nr_hugepages
for ((i = 0; i < $3; i++)); do
	mount -t hugetlbfs -o pagesize=2M none "$dir" && truncate -s "$bytes" "$dir/file" &&
		bench-cpu "$dir/file" >>"$RMAI_OUT/hugetlbfs" && umount "$dir" || exit 1
done
rmdir "$dir"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# guest.sh BIN MODEL PROMPT TOKENS: the guests' side of demo.sh. The first memory
# node loads MODEL into two regions, of 4 KiB and of 2 MiB VMRs; the compute node
# runs the same prompt on it four ways. What each way cost goes to $RMAI_OUT:
# NAME.json and NAME.touched by moe-run, NAME.counters by this script.
# Lines that begin with "demo: " are for people.
set -u
bin=$1 model=$2 prompt=$3 tokens=$4
stats=/sys/kernel/mm/rmai/stats
export PATH="$bin:$PATH"

say() { echo "demo: $*"; }

die() {
	say "FAILED: $*"
	exit 1
}

mib() { awk -v n="$1" 'BEGIN { printf "%.1f MiB", n / 1048576 }'; }

# Everything that counts up, "NAME VALUE" a line
counters() {
	local f

	for f in "$stats"/*; do echo "${f##*/} $(cat "$f")"; done
	[ ! -e /sys/block/vda/stat ] || awk '{ print "disk_reads", $1; print "disk_bytes", $3 * 512 }' \
		/sys/block/vda/stat
}

load_models() {
	local size=$1 name=$2 t=$SECONDS

	say "loads $(mib "$(stat -c %s "$model")") into /rmai/$name, VMRs of $size"
	rmaictl load --vmr-size "$size" "$model" "$name" || die "rmaictl load $name"
	say "/rmai/$name is loaded and sealed, $((SECONDS - t)) s"
}

# infer NAME FILE HOW: one of the four ways
infer() {
	local name=$1 out=$RMAI_OUT/$1

	moe-run --help >/dev/null	# the program itself is in memory
	counters >/tmp/before
	moe-run --model "$2" --mmap "$3" --prompt "$prompt" --tokens "$tokens" \
		--stats "$out.json" --touched "$out.touched" || die "$name: moe-run"
	counters >/tmp/after
	awk 'NR == FNR { v[$1] = $2; next } { print $1, $2 - v[$1] }' \
		/tmp/before /tmp/after >"$out.counters"
	say "$name: $(awk -F'[:,]' '/"total_s"/ { t = $2 } /"time_to_first_token_s"/ { f = $2 }
		END { printf "first token after %.1f s, all after %.1f s", f, t }' "$out.json")"
}

drop_caches() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

compute() {
	local t

	mkdir -p /run/disk
	mount -t ext4 -o ro /dev/vda /run/disk || die "cannot mount the disk"

	say "checks the disk's rate"
	t=$(date +%s%N)
	dd if=/dev/vda of=/dev/null bs=1M count=16 iflag=direct status=none || die "dd"
	echo $((16 * 1048576 * 1000 / (($(date +%s%N) - t) / 1000000))) >"$RMAI_OUT/disk_rate"

	drop_caches
	say "(a) local disk, cold"
	infer local /run/disk/model.safetensors local
	umount /run/disk

	say "(b) RMAI, VMRs of 4 KiB, cold"
	infer vmr4k /rmai/demo-4k.safetensors rmai
	say "(c) RMAI, VMRs of 2 MiB, cold"
	infer vmr2m /rmai/demo-2m.safetensors rmai
	say "(d) RMAI, once more, warm"
	infer warm /rmai/demo-2m.safetensors rmai
}

if [ "$RMAI_NODE" = 1 ]; then
	load_models 4K demo-4k.safetensors
	load_models 2M demo-2m.safetensors
fi
rmai-barrier loaded || die "the model was not loaded"
[ "$RMAI_ROLE" != compute ] || compute
# Memory nodes serve until the compute node has what it wants
rmai-barrier computed

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make demo" shows: MoE inference out of other machines' memory, beside the
# same from a local disk. Needs the patched kernel and the programs of tools/.
set -u -o pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../../scripts/lib.sh
. "$here/../../scripts/lib.sh"

usage() {
	cat <<-EOF
	usage: demo.sh [OPTION...]
	Boots two memory nodes and a compute node, loads a model into /rmai, and runs one
	prompt on it four ways: (a) from a local disk, cold, (b) from RMAI with VMRs of 4 KiB
	and (c) of 2 MiB, cold, (d) from RMAI again. Ends with a table of what each cost, and
	fails unless all four gave the same tokens and moved no byte that they need not.
	  --fabric F     rxe or siw (rxe)
	  --prompt FILE  the text to continue (a line of English)
	  --tokens N     how many tokens to generate (24)
	  --seed N       of the model's random weights (1)
	  --bin DIR      where moe-gen, moe-run and rmaictl are (out/tools)
	  --out DIR      where everything goes (out/demo)
	The disk is a virtio disk throttled to 1/11.7 of the fabric, as measured first: the
	ratio that the RMAI paper had. That is emulation; the ratio is an input, not a result.
	EOF
}

fabric=rxe prompt='' tokens=24 seed=1
bin=$RMAI_TOP/out/tools out=$RMAI_TOP/out/demo
while [ $# -gt 0 ]; do
	case $1 in
	--fabric) fabric=$2 ;;
	--prompt) prompt=$2 ;;
	--tokens) tokens=$2 ;;
	--seed) seed=$2 ;;
	--bin) bin=$2 ;;
	--out) out=$2 ;;
	-h | --help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift 2 || { usage >&2; exit 2; }
done

for p in moe-gen moe-run rmaictl; do
	[ -x "$bin/$p" ] || die "no $bin/$p (make tools)"
done
PATH=$PATH:/usr/sbin:/sbin
for p in mke2fs ib_read_bw qemu-system-x86_64; do
	command -v $p >/dev/null || die "$p is not installed"
done
mkdir -p "$out" || exit 1
out=$(readlink -f "$out") bin=$(readlink -f "$bin")
if [ -z "$prompt" ]; then
	prompt=$out/prompt
	printf 'The model that is larger than one machine' >"$prompt"
fi
prompt=$(readlink -e "$prompt") || die "no such prompt"
model=$out/model/model.safetensors

say() { printf '[%4d s] %s\n' $SECONDS "$*"; }

# Shows what the guests say to people; the rest is in their logs
progress() {
	sed -un 's/^\(node[0-9]*\): demo: /\1: /p' | while read -r line; do say "$line"; done
}

make_model() {
	local size

	mkdir -p "$out/model"
	say "writes a model of random weights (seed $seed)"
	"$bin/moe-gen" --seed "$seed" --out "$model" || return
	size=$(stat -c %s "$model")
	say "puts a copy on the compute node's disk"
	rm -f "$out/disk.img"
	mke2fs -q -F -t ext4 -b 4096 -m 0 -O ^has_journal -d "$out/model" "$out/disk.img" \
		"$((size / 1024 + 16384))k" >/dev/null
}

measure_fabric() {
	say "measures the raw fabric ($fabric) between two guests"
	rm -f "$out/fabric/rate"
	"$RMAI_TOP/qemu/run" --nodes 2 --no-cluster --fabric "$fabric" --out "$out/fabric" -v \
		"$here/fabric.sh" "$out/fabric/rate" | progress && [ -s "$out/fabric/rate" ]
}

run_cluster() {
	local run=$out/cluster

	say "boots two memory nodes and a compute node"
	rm -rf "$run"
	"$RMAI_TOP/qemu/run" --roles memory,memory,compute --fabric "$fabric" --out "$run" \
		--timeout 600 --drive "3:$out/disk.img:$disk_rate" -v \
		"$here/guest.sh" "$bin" "$model" "$prompt" "$tokens" | progress
}

make_model || die "no model"
measure_fabric || die "the fabric could not be measured; see $out/fabric"
fabric_rate=$(cat "$out/fabric/rate")
disk_rate=$((fabric_rate * 10 / 117))
say "fabric: $((fabric_rate / 1000000)) MB/s; the disk gets 1/11.7 of it"
run_cluster || {
	tail -n 5 "$out"/cluster/node[123].log >&2
	die "the run failed; see $out/cluster"
}
say "done"
exec "$here/report.sh" "$out/cluster" "$model" "$fabric" "$fabric_rate"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Measures the figures of one benchmark. See usage().
set -u -o pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../../scripts/lib.sh
. "$here/../../scripts/lib.sh"

usage() {
	cat <<-EOF
	usage: selftests/bench/run.sh [OPTION...] BENCH...
	  faults-2m   page faults of touching all of a region (goals: VMRs of 2 MiB)
	  rdma-ops    RDMA READs of the same
	  bandwidth   of a cold touch, over that of the raw fabric in the same run
	  bytes       fetched by inference, against the VMRs that it touched
	  hits        of a cache that holds a quarter of a region, against those of an LRU
	  flushes     TLB flushes of evicting 64 mapped VMRs of 2 MiB; and of invalidating them,
	              with the messages that it took
	  open-cost   bandwidth of a cold touch of an open region, over that of a sealed one
	  cpu         instructions of the kernel to fetch and map, beside tmpfs and hugetlbfs
	  first-byte  the wait for a byte of a VMR of 16 MiB, over that of one of 256 KiB
	  auto        of vmr=auto over the best fixed VMR size, for ways of using a region
	  chunks      8 threads' waits in one VMR of 16 MiB, over its time on the wire
	  layer-sweep  passes over a region that does not fit, computing as long as it takes
	              to bring it
	Options:
	  --fabrics F,F  of rdma-ops and bandwidth (rxe,siw); the others take the first one
	  --kernel K     base, or what else qemu/run takes
	  --bytes N      size of the region (134217728)
	  --patterns P,P  of auto (sequential,zipf,strided,random)
	  --pairs N      measurements of bandwidth and open-cost, each beside what it is compared to (5)
	  --out DIR      for figures, NAME.json, and the table of all, table.md (out/bench)
	Exit status: 0 if all was measured, whether or not the goals were met.
	EOF
}

fabrics=rxe,siw kernel=base bytes=$((128 << 20)) pairs=5 out=$RMAI_TOP/out/bench
patterns=sequential,zipf,strided,random
while [ $# -gt 0 ]; do
	case $1 in
	--fabrics) fabrics=$2; shift ;;
	--kernel) kernel=$2; shift ;;
	--bytes) bytes=$2; shift ;;
	--pairs) pairs=$2; shift ;;
	--patterns) patterns=$2; shift ;;
	--out) out=$2; shift ;;
	-h | --help) usage; exit 0 ;;
	-*) usage >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done
[ $# -gt 0 ] || { usage >&2; exit 2; }
mkdir -p "$out" || exit 1
out=$(readlink -f "$out")
IFS=, read -r -a fabric <<<"$fabrics"
bin=$RMAI_TOP/out/selftests/bench
tools=$RMAI_TOP/out/tools
mib=$((bytes >> 20))
vmr=$((2 << 20))

make -s -C "$here" OUTPUT="$bin" >&2 || die "the programs do not compile"

figure() {	# figure NAME OP GOAL UNIT NOTES RUN...
	"$bin/bench-figure" add --dir "$out" --op "$2" --goal "$3" --unit "$4" \
		--notes "$5" "$1" "${@:6}" || die "no figure $1"
}

# guests DIR FABRIC SECONDS SCRIPT [ARG...]
guests() {
	local dir=$out/$1

	rm -rf "$dir"
	"$RMAI_TOP/qemu/run" --roles memory,compute --kernel "$kernel" --fabric "$2" \
		--out "$dir" --timeout "$3" "$here/$4" "${@:5}" >&2 || {
		tail -n 5 "$dir/node1.log" "$dir/node2.log" >&2
		die "${4%.sh} could not be measured"
	}
}

# values FILE KEY: of every line; there must be some
values() {
	sed -n "s/.*\"$2\": \(-\{0,1\}[0-9.]*\).*/\1/p" "$1" | grep . || die "no $2 in $1"
}

bench_faults_2m() {
	local dir=faults-2m.${fabric[0]} major minor small
	local note="$mib MiB, cold, a word of each page, in order; getrusage; ${fabric[0]}"

	rm -f "$out"/faults-*.json
	guests "$dir" "${fabric[0]}" 900 touch.sh "$bin" "$bytes" 2M:3 4K:1
	mapfile -t major < <(values "$out/$dir/touch-2M" majflt)
	mapfile -t minor < <(values "$out/$dir/touch-2M" minflt)
	mapfile -t small < <(values "$out/$dir/touch-4K" majflt)
	[ "${#major[@]} ${#minor[@]} ${#small[@]}" = "3 3 1" ] || die "runs are missing"
	figure faults-2m-major "<=" $((bytes / vmr)) faults "VMRs of 2 MiB; $note" "${major[@]}"
	figure faults-2m-minor "<=" $((bytes / vmr)) faults "VMRs of 2 MiB; $note" "${minor[@]}"
	figure faults-4k-major "<=" $((bytes / 4096)) faults \
		"VMRs of 4 KiB, for reference; $note" "${small[@]}"
}

bench_rdma_ops() {
	local f dir max runs

	rm -f "$out"/rdma-ops-*.json
	for f in "${fabric[@]}"; do
		dir=rdma-ops.$f
		# A READ cannot fill more than one memory registration has pages
		case $f in
		rxe) max=$((512 * 4096)) ;;
		siw) max=$((256 * 4096)) ;;
		esac
		guests "$dir" "$f" 300 touch.sh "$bin" "$bytes" 2M:3
		mapfile -t runs < <(values "$out/$dir/touch-2M" rdma_reads)
		[ ${#runs[@]} = 3 ] || die "runs are missing"
		figure "rdma-ops-$f" "<=" $((bytes / max)) READs \
			"of $mib MiB, cold, VMRs of 2 MiB; no more than $f's registrations of $((max >> 20)) MiB make necessary" \
			"${runs[@]}"
	done
}

bench_bandwidth() {
	local f dir runs note

	rm -f "$out"/bandwidth-*.json
	for f in "${fabric[@]}"; do
		dir=bandwidth.$f
		guests "$dir" "$f" 1500 bandwidth.sh "$bin" "$bytes" "$pairs"
		# Raw is the better one of both ways
		mapfile -t runs < <(awk '{ raw = $1 > $2 ? $1 : $2; printf "%.4f\n", $3 / raw }' \
			"$out/$dir/pairs")
		[ ${#runs[@]} = "$pairs" ] || die "$pairs pairs are not in $out/$dir/pairs"
		note=$(awk -v ib="$(cat "$out/$dir/ib_way")" -v loop="$(cat "$out/$dir/loop_way")" '
			function med(v, n,   i, j, t) {
				for (i = 2; i <= n; i++)
					for (j = i; j > 1 && v[j] < v[j - 1]; j--) {
						t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
					}
				return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
			}
			{ a[NR] = $1; b[NR] = $2; c[NR] = $3; d[NR] = $4; e[NR] = $5 }
			END {
				split(ib, w, " ")
				printf "medians: touch %.1f MB/s, advised %.1f MB/s; ", \
					med(c, NR), med(d, NR)
				printf "raw: ib_read_bw -e -s %d -t %d -q %d %.1f MB/s, ", \
					w[1], w[2], w[3], med(a, NR)
				printf "sleeping 2 MiB READs, depth %d, %.1f MB/s; ", loop, med(b, NR)
				printf "these into memory of their own %.1f MB/s", med(e, NR)
			}' "$out/$dir/pairs") || exit 1
		figure "bandwidth-$f" ">=" 0.95 "of raw" \
			"$mib MiB, cold, VMRs of 2 MiB, beside raw in each run; $note" "${runs[@]}"
		mapfile -t runs < <(awk '{ raw = $1 > $2 ? $1 : $2; printf "%.4f\n", $4 / raw }' \
			"$out/$dir/pairs")
		figure "bandwidth-$f-advised" ">=" 0.95 "of raw" \
			"the same after madvise(MADV_SEQUENTIAL)" "${runs[@]}"
	done
}

bench_bytes() {
	local dir=bytes.${fabric[0]} model=$out/bytes.model/model.safetensors want p
	local prompt=$out/bytes.model/prompt

	for p in moe-gen moe-run rmaictl; do
		[ -x "$tools/$p" ] || die "no $tools/$p (make tools)"
	done
	rm -f "$out"/bytes-*.json
	mkdir -p "$out/bytes.model"
	"$tools/moe-gen" --out "$model" || die "no model"
	printf 'The model that is larger than one machine' >"$prompt"
	guests "$dir" "${fabric[0]}" 600 bytes.sh "$tools" "$model" "$prompt" 16 $vmr
	rm "$model"
	want=$(cat "$out/$dir/cold.vmrs")
	figure bytes-cold "==" "$want" bytes \
		"fetched by inference, cold; goal: the VMRs (2 MiB) in which it read; the model has $(values "$out/$dir/cold.json" model_bytes)" \
		"$(cat "$out/$dir/cold.bytes")"
	figure bytes-warm "==" 0 bytes "fetched by the same, once more" "$(cat "$out/$dir/warm.bytes")"
}

bench_hits() {
	local dir=hits.${fabric[0]} kept over swept most f
	local note="8 threads, Zipf(1.5) over 256 VMRs of 64 KiB, cache_bytes for 64; ${fabric[0]}"

	rm -f "$out"/hits-*.json
	guests "$dir" "${fabric[0]}" 900 hits.sh "$bin" $((16 << 20)) 64K $((4 << 20)) 3
	mapfile -t over < <(values "$out/$dir/hits" over_lru)
	mapfile -t swept < <(values "$out/$dir/sweeps" over_lru)
	mapfile -t kept < <(values "$out/$dir/sweeps" hot_kept)
	mapfile -t most < <(for f in hits sweeps; do values "$out/$dir/$f" most_pages; done)
	[ "${#over[@]} ${#swept[@]} ${#kept[@]} ${#most[@]}" = "3 3 3 6" ] || die "runs are missing"
	figure hits-over-lru ">=" 1 "of an LRU's" \
		"hit ratio over that of an exact LRU on the same trace; $note" "${over[@]}"
	figure hits-over-lru-swept ">=" 1 "of an LRU's" \
		"the same, with three sweeps over the region in between; $note" "${swept[@]}"
	figure hits-hot-kept ">=" 0.9 "of the hot set" \
		"of the 32 hottest VMRs, those still here after a sweep; the least of three; $note" "${kept[@]}"
	figure hits-most-resident "<=" $(((4 << 20) / 4096 + 8 * 16)) pages \
		"ever resident; goal: the budget and a VMR for each thread; $note" "${most[@]}"
}

bench_flushes() {
	local dir=flushes.loop how runs note

	rm -f "$out"/flushes-*.json "$out"/inv-*.json
	rm -rf "${out:?}/$dir"
	"$RMAI_TOP/qemu/run" --nodes 1 --no-cluster --smp 4 --mem 1536 --kernel "$kernel" \
		--out "$out/$dir" --timeout 300 "$here/flushes.sh" "$bin" 3 >&2 || {
		tail -n 5 "$out/$dir/node1.log" >&2
		die "flushes could not be measured"
	}
	for how in pmd pmd-scattered pte pte-scattered; do
		mapfile -t runs < <(values "$out/$dir/$how" asked)
		[ ${#runs[@]} = 3 ] || die "runs are missing"
		note="64 VMRs of 2 MiB, mapped by ${how%-scattered}s, evicted together"
		[ "$how" = "${how%-scattered}" ] || note+=", every other VMR of the region"
		figure "flushes-$how" "<=" 2 flushes \
			"$note; process on 4 CPUs; counted by the kernel's tlb_flush events" "${runs[@]}"
	done
	for how in write cut cut-scattered; do
		note="64 mapped VMRs of 2 MiB of an open region, one node; "
		case $how in
		write) note+="by one write(2)" ;;
		cut) note+="by truncate(2)" ;;
		cut-scattered) note+="by truncate(2), every other VMR of the region, PTEs" ;;
		esac
		mapfile -t runs < <(values "$out/$dir/inv-$how" asked)
		[ ${#runs[@]} = 3 ] || die "runs are missing"
		figure "inv-flushes-$how" "<=" 1 flushes "$note; process on 4 CPUs" "${runs[@]}"
		mapfile -t runs < <(values "$out/$dir/inv-$how" invs)
		figure "inv-messages-$how" "==" 1 INVs "$note" "${runs[@]}"
		mapfile -t runs < <(values "$out/$dir/inv-$how" acks)
		figure "inv-acks-$how" "==" 1 ACKs "$note" "${runs[@]}"
	done
}

bench_open_cost() {
	local dir=open-cost.${fabric[0]} runs note

	rm -f "$out"/open-cost-*.json
	guests "$dir" "${fabric[0]}" 900 opencost.sh "$bin" "$bytes" "$pairs"
	mapfile -t runs < <(awk '{ printf "%.4f\n", $1 / $2 }' "$out/$dir/pairs")
	[ ${#runs[@]} = "$pairs" ] || die "$pairs pairs are not in $out/$dir/pairs"
	note=$(awk '{ printf "%s%.1f and %.1f (%.1f)", (NR > 1 ? ", " : ""), $2 / 1e6, $1 / 1e6, $3 / 1e6 }' \
		"$out/$dir/pairs")
	figure "open-cost-${fabric[0]}" ">=" 0.85 "of a sealed region's" \
		"$mib MiB, cold, in order, VMRs of 2 MiB; nothing fetched ahead of either; sealed and open in turns (and sealed with what is fetched ahead by default), MB/s: $note" "${runs[@]}"
}

# per_gib FILE COPIES BYTES: instructions for a GiB without copies, of each line
per_gib() {
	paste <(values "$1" ns) <(values "$1" idle_ns) <(values "$2" ns) |
		awk -v bytes="$3" '{ printf "%.0f\n", ($1 - $2 - $3) * 1073741824 / bytes }'
}

bench_cpu() {
	local dir=cpu.loop size=$((256 << 20)) what f runs base
	local note="first touch of 256 MiB, a word of each page, in order; qemu -icount"

	rm -f "$out"/cpu-*.json
	rm -rf "${out:?}/$dir"
	"$RMAI_TOP/scripts/kernel" mm >/dev/null || die "no kernel with hugetlbfs"
	"$RMAI_TOP/qemu/run" --nodes 1 --no-cluster --icount --mem 1536 --kernel mm \
		--out "$out/$dir" --timeout 900 "$here/cpu.sh" "$bin" $size 3 >&2 || {
		tail -n 5 "$out/$dir/node1.log" >&2
		die "cpu could not be measured"
	}
	sed 's/.*/{ "ns": 0 }/' "$out/$dir/copy-2M" >"$out/$dir/none"
	mapfile -t base < <(per_gib "$out/$dir/tmpfs-always" "$out/$dir/none" $size)
	for what in tmpfs-always tmpfs-never hugetlbfs; do
		mapfile -t runs < <(per_gib "$out/$dir/$what" "$out/$dir/none" $size)
		[ ${#runs[@]} = 3 ] || die "runs are missing"
		figure "cpu-$what" ">=" 0 instructions/GiB "for comparison, with zeroing; $note" \
			"${runs[@]}"
	done
	for f in 2M 4K; do
		mapfile -t runs < <(per_gib "$out/$dir/rmai-$f" "$out/$dir/copy-$f" $size)
		[ ${#runs[@]} = 3 ] || die "runs are missing"
		figure "cpu-rmai-${f,,}" "<=" $((base[1] * 3 / 2)) instructions/GiB \
			"VMRs of $f, loop transport, without its copying; goal: 1.5 times tmpfs with huge=always; $note" \
			"${runs[@]}"
	done
}

bench_first_byte() {
	local dir=first-byte.${fabric[0]} runs

	rm -f "$out"/first-byte*.json
	guests "$dir" "${fabric[0]}" 600 stream.sh "$bin" first 3
	mapfile -t runs < <(values "$out/$dir/first" ratio)
	[ ${#runs[@]} = 3 ] || die "runs are missing"
	figure first-byte "<=" 1.3 "of that of 256 KiB" \
		"wait for a byte of a cold VMR of 16 MiB over that of one of 256 KiB; medians of 21; ${fabric[0]}" \
		"${runs[@]}"
}

bench_chunks() {
	local dir=chunks.${fabric[0]} first last
	local note="8 threads touch a cold VMR of 16 MiB at once, 2 MiB from each other; ${fabric[0]}"

	rm -f "$out"/chunks*.json
	guests "$dir" "${fabric[0]}" 600 stream.sh "$bin" chunks 3
	mapfile -t first < <(values "$out/$dir/chunks" first)
	mapfile -t last < <(values "$out/$dir/chunks" last)
	[ "${#first[@]} ${#last[@]}" = "3 3" ] || die "runs are missing"
	figure chunks-last "<=" 1.2 "of the wire time" "the last one's wait; $note" "${last[@]}"
	figure chunks-first "<=" 0.3 "of the wire time" "the first one's wait; $note" "${first[@]}"
}

bench_auto() {
	local dir=auto.${fabric[0]} pattern runs list counts
	local note="128 MiB, fetch size from 4 KiB to 2 MiB, learnt afresh each time; ${fabric[0]}"

	rm -f "$out"/auto-*.json
	IFS=, read -r -a list <<<"$patterns"
	guests "$dir" "${fabric[0]}" 1500 auto.sh "$bin" 3 "${list[@]}"
	for pattern in "${list[@]}"; do
		mapfile -t runs < <(awk '{ printf "%.4f\n", $4 / $1 }' "$out/$dir/$pattern")
		[ ${#runs[@]} = 3 ] || die "runs are missing"
		counts=$(awk '{ printf "%s%.3f/%.3f, %.3f/%.3f", (NR > 1 ? "; " : ""), $5, $2, $6, $3 }' \
			"$out/$dir/$pattern")
		figure "auto-$pattern" ">=" 0.9 "of the best fixed" \
			"MB/s touched over that of the best VMR size of 4 KiB, 64 KiB, 2 MiB; $note; of each run bytes fetched over bytes touched, and faults per MB touched, over those of the best size: $counts" \
			"${runs[@]}"
	done
	[[ ,$patterns, == *,random,* ]] || return 0
	mapfile -t runs < <(cut -d' ' -f5 "$out/$dir/random")
	figure auto-random-bytes "<=" 4 "of those touched" \
		"bytes fetched over bytes touched, single pages; $note" "${runs[@]}"
}

# layer_sweep VMR_SIZE NAME
layer_sweep() {
	local dir=$2.${fabric[0]} none seq schedule
	local note="second pass over 24 layers of 4 MiB of a new region, VMRs of ${1}iB, cache_bytes 48 MiB; total over the larger one of transfer (a pass without computing and without fetching ahead, right before) and computing (as long; nanosleep(2), as a CPU waits for an accelerator, for the guest's CPU is its network adapter); ${fabric[0]}"

	guests "$dir" "${fabric[0]}" 900 layers.sh "$bin" $((96 << 20)) "$1" $((4 << 20)) $((48 << 20)) 3
	mapfile -t none < <(values "$out/$dir/layers" none)
	mapfile -t seq < <(values "$out/$dir/layers" seq)
	mapfile -t schedule < <(values "$out/$dir/layers" schedule)
	[ "${#none[@]} ${#seq[@]} ${#schedule[@]}" = "3 3 3" ] || die "runs are missing"
	figure "$2-schedule" "<=" 1.15 "of the larger one" \
		"RMAI_FETCH_SCHEDULE; $note" "${schedule[@]}"
	figure "$2-seq" "<=" 1.15 "of the larger one" "RMAI_FETCH_SEQ; $note" "${seq[@]}"
	figure "$2-none" ">=" 1.15 "of the larger one" \
		"nothing fetched ahead, for reference; $note" "${none[@]}"
}

bench_layer_sweep() {
	rm -f "$out"/layer-sweep-*.json
	layer_sweep 1M layer-sweep
	layer_sweep 2M layer-sweep-2m
}

for bench; do
	declare -F "bench_${bench//-/_}" >/dev/null || die "no such benchmark: $bench"
	"bench_${bench//-/_}"
done
"$bin/bench-figure" table "$out" >"$out/.table.md" || exit 1
mv "$out/.table.md" "$out/table.md"
cat "$out/table.md"

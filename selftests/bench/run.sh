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
	Options:
	  --fabrics F,F  of rdma-ops and bandwidth (rxe,siw); the others take the first one
	  --kernel K     base, or what else qemu/run takes
	  --bytes N      size of the region (134217728)
	  --pairs N      measurements of bandwidth, each beside one of the raw fabric (5)
	  --out DIR      for figures, NAME.json, and the table of all, table.md (out/bench)
	Exit status: 0 if all was measured, whether or not the goals were met.
	EOF
}

fabrics=rxe,siw kernel=base bytes=$((128 << 20)) pairs=5 out=$RMAI_TOP/out/bench
while [ $# -gt 0 ]; do
	case $1 in
	--fabrics) fabrics=$2; shift ;;
	--kernel) kernel=$2; shift ;;
	--bytes) bytes=$2; shift ;;
	--pairs) pairs=$2; shift ;;
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
			{ a[NR] = $1; b[NR] = $2; c[NR] = $3 }
			END {
				split(ib, w, " ")
				printf "medians: touch %.1f MB/s; ", med(c, NR)
				printf "raw: ib_read_bw -e -s %d -t %d -q %d %.1f MB/s, ", \
					w[1], w[2], w[3], med(a, NR)
				printf "sleeping 2 MiB READs, depth %d, %.1f MB/s", loop, med(b, NR)
			}' "$out/$dir/pairs") || exit 1
		figure "bandwidth-$f" ">=" 0.80 "of raw" \
			"$mib MiB, cold, VMRs of 2 MiB, beside raw in each run; $note" "${runs[@]}"
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

for bench; do
	case $bench in
	faults-2m | rdma-ops | bandwidth | bytes) "bench_${bench//-/_}" ;;
	*) die "no such benchmark: $bench" ;;
	esac
done
"$bin/bench-figure" table "$out" >"$out/.table.md" || exit 1
mv "$out/.table.md" "$out/table.md"
cat "$out/table.md"

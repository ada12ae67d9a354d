#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# report.sh DIR MODEL FABRIC RATE: the table at the end of demo.sh, from what
# guest.sh left in DIR. Exit status 1 if the four runs differ in a token, or if
# RMAI brought other bytes than those of the VMRs that were touched.
set -u
dir=$1 model=$2 fabric=$3 rate=$4
runs=(local vmr4k vmr2m warm)
size=$(stat -c %s "$model") || exit 1

# json RUN KEY, counter RUN NAME: a figure; it must be there
json() {
	sed -n "s/^  \"$2\": \(.*[^,]\),\{0,1\}\$/\1/p" "$dir/$1.json" | grep . ||
		{ echo "report.sh: no $2 in $dir/$1.json" >&2; echo missing; }
}

counter() {
	awk -v n="$2" '$1 == n { print $2; ok = 1 } END { exit !ok }' "$dir/$1.counters" ||
		{ echo "report.sh: no $2 in $dir/$1.counters" >&2; echo missing; }
}

# row LABEL VALUE...
row() { printf '%-34s%14s%14s%14s%14s\n' "$@"; }

# of KEY FUNCTION [SCALE FORMAT]: that figure of each run into $v
of() {
	local r x

	v=()
	for r in "${runs[@]}"; do
		x=$($2 "$r" "$1")
		[ $# -lt 4 ] || x=$(awk -v x="$x" -v s="$3" -v f="$4" 'BEGIN { printf f, x * s }')
		v+=("$x")
	done
}

# touched RUN VMR_SIZE: bytes of the VMRs in which a byte was read. The last VMR
# ends with the file's last page.
touched() {
	awk -v vmr="$2" -v size="$size" '
		BEGIN { end = int((size + 4095) / 4096) * 4096 }
		{
			for (i = int($1 / vmr); i <= int(($1 + $2 - 1) / vmr); i++)
				hit[i] = 1
		}
		END {
			for (i in hit)
				sum += (i + 1) * vmr <= end ? vmr : end - i * vmr
			printf "%d", sum
		}' "$dir/$1.touched"
}

rule=$(printf '%.0s-' {1..90})
mib="%.1f"
echo
echo "Mixture of experts, $((size >> 20)) MiB of weights, $(json local prompt_tokens) tokens of prompt," \
	"$(json local generated_tokens) generated."
echo "Fabric: $fabric between emulated machines, $((rate / 1000000)) MB/s raw. Disk (emulation): virtio-blk" \
	"throttled to 1/11.7"
echo "of that, measured $(awk -v r="$(cat "$dir/disk_rate")" 'BEGIN { printf "%.1f", r / 1e6 }') MB/s." \
	"Absolute times are those of emulated processors."
echo
row "" "(a) disk" "(b) RMAI" "(c) RMAI" "(d) RMAI"
row "" "cold" "4 KiB VMRs" "2 MiB VMRs" "warm"
echo "$rule"
of time_to_first_token_s json 1 %.2f; row "time to first token, s" "${v[@]}"
of tokens_per_s json 1 %.2f; row "tokens/s after that" "${v[@]}"
of total_s json 1 %.2f; row "all tokens, s" "${v[@]}"
of majflt json; row "page faults, major" "${v[@]}"
of minflt json; row "page faults, minor" "${v[@]}"
of fault_major counter; row "  of RMAI, that waited for data" "${v[@]}"
of fault_minor counter; row "  of RMAI, data was here" "${v[@]}"
v=()
for r in "${runs[@]}"; do
	v+=("$(awk -v t="$(json "$r" total_s)" -v u="$(json "$r" user_s)" 'BEGIN { printf "%.2f", t - u }')")
done
row "time in fault handling, s" "${v[@]}"
of fault_wait_ns counter 1e-9 %.2f; row "  of it waiting for RMAI data" "${v[@]}"
of fetch_bytes counter 9.5367431640625e-7 $mib; row "over the wire, MiB" "${v[@]}"
of fetch_bytes counter "$(awk -v s="$size" 'BEGIN { print 100 / s }')" "%.1f %%"
row "  of the model" "${v[@]}"
of fetch_vmrs counter; row "VMRs fetched" "${v[@]}"
of rdma_reads counter; row "RDMA operations" "${v[@]}"
of disk_bytes counter 9.5367431640625e-7 $mib; row "from the disk, MiB" "${v[@]}"
echo "$rule"
echo "Experts touched: $(json local experts_touched) of $(json local experts)." \
	"Time in fault handling: all that was not user time."
echo "An expert has $(awk -v b="$(json local expert_bytes)" 'BEGIN { printf "%.1f", b / 1048576 }') MiB:" \
	"a VMR of 2 MiB brings neighbours, too; real ones have 128 MiB and more."
echo

rc=0
verdict() {
	local ok=$1
	shift
	if [ "$ok" = 0 ]; then echo "ok: $*"; else echo "FAILED: $*"; rc=1; fi
}

for key in tokens logits_hash; do
	of $key json
	[ "${v[0]}" != missing ] && [ "${v[0]}" = "${v[1]}" ] && [ "${v[0]}" = "${v[2]}" ] &&
		[ "${v[0]}" = "${v[3]}" ]
	verdict $? "${key/_/ } identical in all four"
done
for way in vmr4k:4096 vmr2m:2097152; do
	r=${way%:*}
	want=$(touched "$r" "${way#*:}") got=$(counter "$r" fetch_bytes)
	[ "$want" = "$got" ]
	verdict $? "$r: $got bytes came, the VMRs that were touched are $want"
done
got=$(counter warm fetch_bytes)
[ "$got" = 0 ]
verdict $? "warm: $got bytes came, all was here"
of fetch_errors counter
[ "${v[*]}" = "0 0 0 0" ]
verdict $? "fetch errors: ${v[*]}"
for r in vmr4k vmr2m warm; do
	[ "$(json $r mmap)" = '"rmai"' ] || verdict 1 "$r was not mapped with MAP_RMAI"
done
exit $rc

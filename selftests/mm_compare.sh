#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mm_compare.sh [CATEGORY...]: the kernel's own selftests of mm (tools/testing/selftests/mm)
# have the same results on a kernel with RMAI and its patches as on one of the same
# configuration without them. On the host; CATEGORIES are those of run_vmtests.sh. Some
# tests are a matter of chance: one whose results differ is run, with its category, up to
# four times more on both kernels, and must then have had a result in common.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../scripts/lib.sh
. "$here/../scripts/lib.sh"
least=1
[ $# -gt 0 ] || {
	least=250
	set -- mmap gup_test userfaultfd compaction mlock process_mrelease mremap hugetlb hugevm \
		madv_populate memfd_secret ksm ksm_numa pkey soft_dirty pagemap cow thp migration \
		mkdirty mdwe
}
out=${RMAI_OUT:-$RMAI_TOP/out/mm-compare}
programs=$RMAI_CACHE/mm-selftests
mkdir -p "$out" "$programs"
nr=0 bad=0
result() {	# result STATUS NAME
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr $2"
	else
		echo "not ok $nr $2"
		bad=$((bad + 1))
	fi
}

build() {
	local tree rc
	tree=$(pristine) || return
	"$RMAI_TOP/scripts/kernel" mm >/dev/null &&
		"$RMAI_TOP/scripts/kernel" mm-pristine >/dev/null || return
	RMAI_TREE=$tree kmake "$RMAI_CACHE/build-mm-pristine$RMAI_SUFFIX" headers >/dev/null || return
	# khugepaged.c of 6.12.y lacks the header with KSFT_SKIP
	make -s -j"$(nproc)" -C "$tree/tools/testing/selftests/mm" OUTPUT="$programs" CC=gcc \
		EXTRA_CFLAGS=-DKSFT_SKIP=4 \
		KHDR_INCLUDES="-isystem $RMAI_CACHE/build-mm-pristine$RMAI_SUFFIX/usr/include"
	rc=$?
	# What it writes into the tree, which is to stay as it came
	rm -f "$tree"/tools/testing/selftests/mm/local_config.*
	[ $rc = 0 ] || return
	cp "$tree"/tools/testing/selftests/mm/*.sh "$programs/"
}

# guest KERNEL DIR CATEGORY...
guest() {
	local kernel=$1 dir=$2
	shift 2
	# Some of them make the kernel warn, of themselves
	"$RMAI_TOP/qemu/run" --nodes 1 --no-cluster --kernel "$kernel" --smp 2 --mem 4096 \
		--timeout 3000 --allow . --out "$dir" "$here/mm_guest.sh" "$programs" "$@" \
		>"$dir.run" 2>&1 || { tail -n 3 "$dir.run" >&2; return 1; }
	cat "$dir"/results
}

# both CATEGORY...: side by side, for they take long
both() {
	local pid rc

	guest mm "$out/mm" "$@" >>"$out/with" &
	pid=$!
	guest mm-pristine "$out/mm-pristine" "$@" >>"$out/without"
	rc=$?
	wait $pid && return $rc
}

echo "TAP version 13"
build >"$out/build" 2>&1 || { tail -n 20 "$out/build"; echo "Bail out! they do not build"; exit 1; }
rm -f "$out/with" "$out/without"
both "$@"
result $? "they run on both kernels"
# Tests, as CATEGORY: TEST, and those of them that have had one and the same result on both
tests() { sed -E 's/: (pass|fail|skip) /: /' "$@" | sort -u; }
agree() { comm -12 <(sort -u "$out/with") <(sort -u "$out/without") | tests; }
for ((i = 0; i < 4; i++)); do
	mapfile -t again < <(comm -23 <(tests "$out/with" "$out/without") <(agree) |
		cut -d : -f 1 | sort -u)
	[ ${#again[@]} -gt 0 ] || break
	echo "# once more, on both: ${again[*]}"
	both "${again[@]}"
done
while IFS= read -r test; do
	agree | grep -qxF -- "$test"
	result $? "$test"
done < <(tests "$out/with" "$out/without")
[ "$nr" -gt $least ] || result 1 "there are more than $least tests"
echo "1..$nr"
[ $bad = 0 ]

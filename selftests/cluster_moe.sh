#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A mixture-of-experts model computes the same from a local file and from regions of
# any VMR size; the compute node fetches what was touched, and nothing twice.
#
#	node 1, 2   memory
#	node 3      compute
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
moe=${RMAI_MOE:-$here/../out/tools}
[ -x "$moe/moe-run" ] || moe=$here/../../../rmai/moe
[ -x "$moe/moe-run" ] || skip_all "moe-gen and moe-run are not built (make tools)"
PATH=$moe:$PATH
vmrs="4096 2097152 3149824"
tokens=$(slow && echo 4 || echo 16)
size=(--dim 128 --layers 3 --heads 4 --kv-heads 2 --experts 8 --ff 192)
slow && size=(--dim 64 --layers 2 --heads 2 --kv-heads 1 --experts 8 --ff 96)

model() { moe-gen --seed 7 "${size[@]}" --out "$1" >/dev/null; }
run() {	# run FILE HOW NAME
	moe-run --model "$1" --mmap "$2" --prompt "$tmp/prompt" --tokens "$tokens" \
		--stats "$tmp/$3.json" --logits "$tmp/$3.logits" --touched "$tmp/$3.touched" \
		>"$tmp/$3.out" || { cat "$tmp/$3.out"; return 1; }
	grep -E '"(tokens|logits_hash)"' "$tmp/$3.json" >"$tmp/$3.tokens"
}
# Bytes of the VMRs that were touched: what has to be fetched
touched() {	# touched FILE VMR SIZE
	awk -v vmr="$2" -v size="$3" '{
		for (v = int($1 / vmr); v <= int(($1 + $2 - 1) / vmr); v++) seen[v] = 1
	} END {
		end = int((size + 4095) / 4096) * 4096
		for (v in seen) n += (v + 1) * vmr > end ? end - v * vmr : vmr
		print n + 0
	}' "$1"
}

echo "The expert that nobody asked for" >"$tmp/prompt"
if on 1; then
	check "a model" model "$tmp/model"
	for v in $vmrs; do
		region create "/rmai/moe-$v" vmr="$v" nodes=1,2 &&
			check "loaded, VMR $v" cp "$tmp/model" "/rmai/moe-$v" && region seal "/rmai/moe-$v"
	done
fi
meet loaded
if on 3; then
	check "the same model, made here" model "$tmp/model"
	bytes=$(/usr/bin/stat -c %s "$tmp/model")
	check "from a local file" run "$tmp/model" local local
	say "model of $bytes bytes, $tokens tokens"
	for v in $vmrs; do
		check "from RMAI, VMR $v" run "/rmai/moe-$v" rmai "rmai-$v"
		check "VMR $v: the same tokens" cmp "$tmp/local.tokens" "$tmp/rmai-$v.tokens"
		check "VMR $v: the same logits, bit by bit" cmp "$tmp/local.logits" "$tmp/rmai-$v.logits"
	done
	for v in $vmrs; do
		f=/rmai/moe-$v
		check "VMR $v: what the run above has left is dropped" region drop "$f"
		before=$(stat fetch_bytes)
		check "VMR $v: once more, cold" run "$f" rmai cold
		fetched=$(($(stat fetch_bytes) - before))
		check "VMR $v: fetched are the VMRs that were touched, $fetched of $bytes bytes" \
			test $fetched = "$(touched "$tmp/cold.touched" "$v" "$bytes")"
		before=$(stat fetch_bytes)
		check "VMR $v: warm" run "$f" rmai warm
		check "VMR $v: warm: nothing is fetched" test "$(stat fetch_bytes)" = "$before"
		check "VMR $v: the same logits" cmp "$tmp/local.logits" "$tmp/warm.logits"
	done
fi
meet computed
on 1 && rm -f /rmai/moe-*
meet end

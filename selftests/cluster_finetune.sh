#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_finetune.sh [STEPS]: one node changes the experts' weights of a model in place
# (4 steps), and publishes it after each, while others infer. What a reader computes is
# what one published version computes, never of a mix: each makes all versions for
# itself, from the same bytes, on local memory, and compares tokens and logits.
#
#	node 1		memory; infers
#	node 2		compute; trains
#	others		compute; infer
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
tools=${RMAI_MOE:-$here/../out/tools}
[ -x "$tools/moe-tune" ] || tools=$here/../../../rmai/moe
for p in moe-gen moe-run moe-tune rmaictl; do
	[ -x "$tools/$p" ] || skip_all "$p is not built (make tools)"
done
PATH=$tools:$PATH
steps=${1:-4}
tokens=12
vmr=256K
size=(--dim 96 --layers 3 --heads 4 --kv-heads 2 --experts 8 --ff 128)
slow && size=(--dim 64 --layers 2 --heads 2 --kv-heads 1 --experts 8 --ff 96) tokens=4
echo "What the expert has learned" >"$tmp/prompt"

infer() {	# infer FILE HOW NAME: $tmp/NAME.tokens
	moe-run --model "$1" --mmap "$2" --prompt "$tmp/prompt" --tokens "$tokens" \
		--stats "$tmp/$3.json" >"$tmp/$3.out" 2>&1 || { cat "$tmp/$3.out"; return 1; }
	grep -E '"(tokens|logits_hash)"' "$tmp/$3.json" >"$tmp/$3.tokens"
}
# Which version has computed this? Its number is in $version
is_version() {
	for ((version = 0; version <= steps; version++)); do
		cmp -s "$tmp/$1.tokens" "$tmp/v$version.tokens" && return
	done
	echo "these tokens are of no version that was published:"
	cat "$tmp/$1.tokens"
	return 1
}
generation() { region attr "${1:-/rmai/model}" | sed -n 's/^generation=//p'; }

versions() {
	local s
	moe-gen --seed 7 "${size[@]}" --out "$tmp/model" >/dev/null || return
	infer "$tmp/model" local v0 || return
	for ((s = 1; s <= steps; s++)); do
		moe-tune --model "$tmp/model" --step $s >/dev/null && infer "$tmp/model" local v$s || return
		[ $s -gt 2 ] || cp "$tmp/model" "$tmp/model-$s"
	done
	echo "$(cat "$tmp"/v*.tokens | grep '"tokens"' | sort -u | wc -l) of $((steps + 1)) differ in their tokens"
	[ "$(for ((s = 0; s <= steps; s++)); do cksum <"$tmp/v$s.tokens"; done | sort -u | wc -l)" = $((steps + 1)) ]
}
# The first half of step 1, the rest of step 2
mix() {
	local half=$(($(/usr/bin/stat -c %s "$tmp/model-1") / 2))
	{ head -c $half "$tmp/model-1"; tail -c +$((half + 1)) "$tmp/model-2"; } >"$tmp/mixed" &&
		infer "$tmp/mixed" local mixed
}

publish() {
	rmaictl load --quiet --replace /rmai/work model
}
train() {
	local s n
	for ((s = 1; s <= steps; s++)); do
		# Each reader has begun to infer with what there is
		for n in $(seq "$RMAI_NODES"); do
			on "$n" || within 120 test -e "$RMAI_OUT/infers-$n-$s" || return
		done
		moe-tune --model /rmai/work --step $s && publish || return
	done
}
# Goes on until the last version is there
readers_loop() {
	local g0 g1 runs=0 over=0 held=0 last=0
	while [ "$last" -lt "$steps" ]; do
		g0=$(generation)
		exec 7</rmai/model
		# For the trainer: all that is needed for step g0 is under way here
		: >"$RMAI_OUT/infers-$RMAI_NODE-$g0"
		infer /rmai/model rmai now && is_version now || return
		runs=$((runs + 1))
		[ "$version" -ge "$last" ] || { echo "version $version after $last"; return 1; }
		last=$version
		g1=$(generation)
		if [ "$g0" != "$g1" ]; then
			over=$((over + 1))
			# What was opened before has not changed
			infer /proc/self/fd/7 rmai held && is_version held || return
			[ "$version" = $(($(generation /proc/self/fd/7) - 1)) ] ||
				{ echo "generation $(generation /proc/self/fd/7) computes as version $version"; return 1; }
			held=$((held + 1))
		fi
		exec 7<&-
	done
	echo "$runs inferences, $over while something was published, $held again on the old one"
	[ $over -gt 0 ]
}

check "node $RMAI_NODE: every version, on local memory" versions
check "a mix of two versions is made" mix
check "and found to be none" fails "of no version" is_version mixed
if on 2; then
	moe-gen --seed 7 "${size[@]}" --out "$tmp/model" >/dev/null
	check "the model is loaded: generation 1" rmaictl load --quiet --vmr $vmr --layout 1 "$tmp/model" model
	check "and a copy to work on" region create /rmai/work vmr=$vmr nodes=1
	cp "$tmp/model" /rmai/work
fi
meet loaded
if on 2; then
	check "node 2 trains, $steps steps, and publishes each" train
	check "the last is of generation $((steps + 1))" test "$(generation)" = $((steps + 1))
else
	check "node $RMAI_NODE: what is computed is of one version each time" readers_loop
fi
meet trained
on 2 && rm -f /rmai/model /rmai/work
meet removed
within 30 gauges_are_0
check "nothing is left of any version" gauges_are_0
meet end

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests of moe-gen, moe-run and moe-tune on this machine, as KTAP. Needs no RMAI.
# $OUT is where make has put the programs.

here=$(cd "$(dirname "$0")" && pwd) || exit 1
OUT=${OUT:-$here/../../out/tools}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
skip=4

tests=(
	same_seed_same_bytes other_seed_other_bytes known_bytes to_stdout
	layout_is_page_aligned
	known_tokens deterministic reference_f32 reference_bf16 reference_odd_shape
	reference_can_fail
	hits_add_up only_touched_experts_matter touched_experts_matter
	tune_is_known tune_experts_alone tune_matters
	hostile_headers hostile_models garbage_weights bad_options bad_prompts
	truncated_while_mapped full_disk
	mmap_rmai_elsewhere mmap_auto
	builds_agree sanitizers fuzz valgrind_clean
)

# About 6 MiB, and one of the smallest possible for the slow ones
small=(--dim 128 --layers 4 --experts 8 --ff 112)
tiny=(--dim 32 --layers 2 --heads 4 --kv-heads 2 --experts 4 --ff 48)

gen() { "${BIN:-$OUT}/moe-gen" "$@"; }
run() { "${BIN:-$OUT}/moe-run" "$@"; }
tune() { "${BIN:-$OUT}/moe-tune" "$@"; }
sha() { sha256sum "$1" | cut -d' ' -f1; }

# Prints a field of the text report
field() { sed -n "s/^$1 *//p"; }

# run_hash MODEL [OPTION...]: the hash of all logits
run_hash() {
	local model=$1
	shift
	run --model "$model" --prompt "$tmp/prompt" --tokens 16 "$@" | field 'logits hash'
}

# fails STATUS MESSAGE COMMAND...: it must exit so, and say so on stderr
fails() {
	local want=$1 text=$2 status
	shift 2
	"$@" >"$tmp/stdout" 2>"$tmp/stderr"
	status=$?
	if [ $status -ne "$want" ]; then
		msg="exit $status, not $want, from: $* ($(tail -n1 "$tmp/stderr"))"
		return 1
	fi
	if ! grep -qF -- "$text" "$tmp/stderr"; then
		msg="said \"$(head -n1 "$tmp/stderr")\" instead of \"$text\""
		return 1
	fi
}

same_seed_same_bytes() {
	gen --seed 5 "${small[@]}" --out "$tmp/a" && gen --seed 5 "${small[@]}" --out "$tmp/b" &&
		msg="$(stat -c %s "$tmp/a") bytes" && cmp -s "$tmp/a" "$tmp/b"
}

other_seed_other_bytes() {
	gen --seed 6 "${small[@]}" --out "$tmp/b" && ! cmp -s "$tmp/a" "$tmp/b" &&
		[ "$(stat -c %s "$tmp/a")" = "$(stat -c %s "$tmp/b")" ]
}

known_bytes() {
	msg=$(sha "$tmp/tiny")
	[ "$msg" = 2251c17f75b448b9e73bdae18857cd0f8069b4b1d2815aa4fc10b4ba3fc16f1a ] || return 1
	msg=$(sha "$tmp/tiny16")
	[ "$msg" = e67bf018a3443ceaa2237675ae1d70c9efe7f7a6338717bc6ec4d11df114f1e8 ]
}

to_stdout() {
	gen "${tiny[@]}" --out - | cmp -s - "$tmp/tiny"
}

# Every weight matrix that can lie on pages of its own must
layout_is_page_aligned() {
	run --model "$tmp/small" --prompt "$tmp/prompt" --touched "$tmp/t" >/dev/null || return 1
	msg="$(grep -c . "$tmp/t") ranges"
	awk '$3 ~ /proj|experts|embed/ { n++; bad += $1 % 4096 && $2 >= 4096 }
	     END { exit !(n > 16 && !bad) }' "$tmp/t"
}

known_tokens() {
	msg=$(run --model "$tmp/small" --prompt "$tmp/prompt" --tokens 16 | field 'tokens ')
	[ "$msg" = "196 167 167 167 69 17 171 225 211 235 69 17 171 16 85 182" ] || return 1
	[ "$(run_hash "$tmp/small")" = 0ae95814890805f2 ]
}

deterministic() {
	local a b
	a=$(run_hash "$tmp/small") && b=$(run_hash "$tmp/small") && msg=$a &&
		[ -n "$a" ] && [ "$a" = "$b" ]
}

# reference MODEL: moe-run against reference.py, logits and tokens
reference() {
	local mine theirs

	if ! command -v python3 >/dev/null; then
		msg="no python3"
		return $skip
	fi
	mine=$(run --model "$1" --prompt "$tmp/prompt" --tokens 12 --logits "$tmp/logits" |
		field 'tokens ') || return 1
	theirs=$(python3 "$here/reference.py" "$1" "$tmp/prompt" 12 "$tmp/logits" 2>"$tmp/note")
	msg=$(tail -n1 "$tmp/note")
	[ -n "$mine" ] && [ "$mine" = "$theirs" ]
}

reference_f32() { reference "$tmp/tiny"; }
reference_bf16() { reference "$tmp/tiny16"; }

# Nothing here is a multiple of the arithmetic's eight lanes
reference_odd_shape() {
	gen --seed 9 --dim 30 --layers 3 --heads 3 --kv-heads 1 --experts 5 --top-k 3 \
		--ff 43 --vocab 259 --out "$tmp/odd" && reference "$tmp/odd"
}

# One weight of the last norm changed behind moe-run's back
reference_can_fail() {
	local status

	cp "$tmp/tiny" "$tmp/bent"
	printf '\0\0\0\100' | dd of="$tmp/bent" bs=1 conv=notrunc status=none \
		seek=$(($(stat -c %s "$tmp/bent") - 4))
	reference "$tmp/tiny" || return
	python3 "$here/reference.py" "$tmp/bent" "$tmp/prompt" 12 "$tmp/logits" \
		>/dev/null 2>"$tmp/note"
	status=$?
	msg=$(tail -n1 "$tmp/note")
	[ $status -eq 1 ] && [[ $msg == *expected* ]]
}

# Each token visits two experts in each of four layers
hits_add_up() {
	local json="$tmp/json" sum tokens touched

	run --model "$tmp/small" --prompt "$tmp/prompt" --tokens 16 --stats "$json" \
		--touched "$tmp/t" >/dev/null || return 1
	sum=$(sed -n '/"expert_hits"/,$p' "$json" | tr -c '0-9\n' ' ' |
		awk '{ for (i = 1; i <= NF; i++) n += $i } END { print n }')
	tokens=$(($(stat -c %s "$tmp/prompt") + 16 - 1))
	touched=$(grep -c 'experts.*w1' "$tmp/t")
	msg="$sum visits, $touched of 32 experts"
	[ "$sum" -eq $((tokens * 2 * 4)) ] && [ "$touched" -lt 32 ] &&
		grep -q "\"experts_touched\": $touched," "$json"
}

# scribble touched|untouched: overwrites such parts of a copy of the model
scribble() {
	run --model "$tmp/small" --prompt "$tmp/prompt" --tokens 16 --touched "$tmp/t" \
		>/dev/null || return 1
	if [ "$1" = untouched ]; then
		# keep what was read, on top of noise
		head -c "$(stat -c %s "$tmp/small")" /dev/urandom >"$tmp/bent"
		sort -n "$tmp/t" | while read -r off len _; do
			dd if="$tmp/small" of="$tmp/bent" bs=64K conv=notrunc status=none \
				iflag=skip_bytes,count_bytes oflag=seek_bytes \
				skip="$off" seek="$off" count="$len"
		done
	else
		cp "$tmp/small" "$tmp/bent"
		grep 'experts.*w2' "$tmp/t" | head -n1 | while read -r off len _; do
			dd if=/dev/zero of="$tmp/bent" bs=64K conv=notrunc status=none \
				iflag=count_bytes oflag=seek_bytes seek="$off" count="$len"
		done
	fi
}

only_touched_experts_matter() {
	scribble untouched || return 1
	msg="$(cmp -l "$tmp/small" "$tmp/bent" | wc -l) bytes overwritten"
	! cmp -s "$tmp/small" "$tmp/bent" &&
		[ "$(run_hash "$tmp/small")" = "$(run_hash "$tmp/bent")" ]
}

touched_experts_matter() {
	scribble touched || return 1
	[ "$(run_hash "$tmp/small")" != "$(run_hash "$tmp/bent")" ]
}

# raw LENGTH HEADER DATA_BYTES: a file with that length field
raw() {
	local i len=$1

	for ((i = 0; i < 8; i++)); do
		# shellcheck disable=SC2059
		printf "\\x$(printf %02x $((len >> 8 * i & 255)))"
	done >"$tmp/bad"
	printf '%s' "$2" >>"$tmp/bad"
	head -c "$3" /dev/zero >>"$tmp/bad"
}

# refused MESSAGE HEADER DATA_BYTES
refused() {
	raw ${#2} "$2" "$3"
	nr=$((nr + 1))
	fails 1 "$1" run --model "$tmp/bad" --prompt "$tmp/prompt"
}

hostile_headers() {
	local nr=0 t='"dtype":"F32","shape":[2],"data_offsets":[0,8]' deep

	: >"$tmp/bad"
	fails 1 "empty" run --model "$tmp/bad" --prompt "$tmp/prompt" || return 1
	printf '1234567' >"$tmp/bad"
	fails 1 "too short" run --model "$tmp/bad" --prompt "$tmp/prompt" || return 1
	raw 100 '{}' 0
	fails 1 "does not fit" run --model "$tmp/bad" --prompt "$tmp/prompt" || return 1
	raw 104857601 '{}' 0
	fails 1 "must be at most 104857600" run --model "$tmp/bad" --prompt "$tmp/prompt" || return 1
	raw -1 '{}' 0
	fails 1 "must be at most" run --model "$tmp/bad" --prompt "$tmp/prompt" || return 1
	raw -8 '{}' 0
	fails 1 "must be at most" run --model "$tmp/bad" --prompt "$tmp/prompt" || return 1
	deep=$(printf '[%.0s' {1..5000})

	refused "expected '{'" '' 0 &&
	refused "expected '{'" '[]' 0 &&
	refused "expected '\"'" '{' 0 &&
	refused "no tensors" '{}' 0 &&
	refused "unterminated string" '{"a' 0 &&
	refused "unterminated string" "{\"a\\" 0 &&
	refused "unterminated string" '{"a\"' 0 &&
	refused "bad escape" '{"a\x":{}}' 0 &&
	refused "short \\u escape" '{"a\u12"' 0 &&
	refused "bad \\u escape" '{"a\u12g4":{}}' 0 &&
	refused "lone surrogate" '{"a\ud800":{}}' 0 &&
	refused "lone surrogate" '{"a\udc00":{}}' 0 &&
	refused "lone surrogate" '{"a\ud800\u0041":{}}' 0 &&
	refused "NUL in a string" '{"a\u0000b":{}}' 0 &&
	refused "control character" $'{"a\n":{}}' 0 &&
	refused "expected ':'" '{"a" {}}' 0 &&
	refused "expected '{'" '{"a":"b"}' 0 &&
	refused "expected '{'" "{\"a\":$deep" 0 &&
	refused "expected ','" "{\"a\":{$t} \"b\":{}}" 8 &&
	refused "expected '\"'" "{\"a\":{$t},}" 8 &&
	refused "bytes behind the object" "{\"a\":{$t}}x" 8 &&
	refused "unknown key" '{"a":{"dtyp":"F32"}}' 0 &&
	refused "dtype comes twice" '{"a":{"dtype":"F32","dtype":"F32"}}' 0 &&
	refused "unknown dtype" '{"a":{"dtype":"F99"}}' 0 &&
	refused "no shape" '{"a":{"dtype":"F32","data_offsets":[0,4]}}' 4 &&
	refused "no data_offsets" '{"a":{"dtype":"F32","shape":[1]}}' 4 &&
	refused "no dtype" '{"a":{"shape":[1],"data_offsets":[0,4]}}' 4 &&
	refused "more than 8 dimensions" '{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1]}}' 0 &&
	refused "non-negative integer" '{"a":{"shape":[-1]}}' 0 &&
	refused "expected an integer" '{"a":{"shape":[1.5]}}' 0 &&
	refused "leading zero" '{"a":{"shape":[01]}}' 0 &&
	refused "number too large" '{"a":{"shape":[99999999999999999999]}}' 0 &&
	refused "its shape overflows" \
		'{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}' 0 &&
	refused "its shape overflows" \
		'{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}' 0 &&
	refused "outside of the data" '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}' 7 &&
	refused "outside of the data" '{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}' 8 &&
	refused "outside of the data" \
		'{"a":{"dtype":"F32","shape":[2],"data_offsets":[9223372036854775800,9223372036854775807]}}' 8 &&
	refused "data_offsets span 8" '{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}' 8 &&
	refused "expected ']'" '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}' 8 &&
	refused "misaligned" "{\"a\":{$t}}$(printf '%*s' $(((3 - ${#t}) & 3)) '')" 8 &&
	refused "overlap" \
		'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}' 3 &&
	refused "hole of 1 bytes" \
		'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}' 5 &&
	refused "1 bytes behind the last" '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}' 3 &&
	refused "tensor a comes twice" \
		'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}' 4 &&
	refused "__metadata__ comes twice" '{"__metadata__":{"a":"b"},"__metadata__":{}}' 0 &&
	refused "expected '\"'" '{"__metadata__":{"a":1}}' 0 &&
	refused "key k comes twice" \
		'{"__metadata__":{"k":"1","k":"2"},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}' 1 &&
	msg="$((nr + 6)) headers refused, each with its reason"
}

# bent_model MESSAGE SED: the tiny model with its header edited, of equal length
bent_model() {
	LC_ALL=C sed -z "$2" "$tmp/tiny" >"$tmp/bad"
	if cmp -s "$tmp/bad" "$tmp/tiny"; then
		msg="\"$2\" changed nothing"
		return 1
	fi
	nr=$((nr + 1))
	fails 1 "$1" run --model "$tmp/bad" --prompt "$tmp/prompt"
}

hostile_models() {
	local nr=0

	bent_model "no hidden_size" 's/hidden_size/hidden_sizf/' &&
	bent_model 'hidden_size is "3x"' 's/hidden_size":"32/hidden_size":"3x/' &&
	bent_model 'is "-2"' 's/hidden_size":"32/hidden_size":"-2/' &&
	bent_model "even multiple" 's/hidden_size":"32/hidden_size":"30/' &&
	bent_model "multiple of num_key_value_heads" 's/key_value_heads":"2/key_value_heads":"3/' &&
	bent_model "more than num_local_experts" 's/experts_per_tok":"2/experts_per_tok":"9/' &&
	bent_model "num_hidden_layers is 0" 's/hidden_layers":"2/hidden_layers":"0/' &&
	bent_model "no tensor model.layers.2.input_layernorm" 's/hidden_layers":"2/hidden_layers":"3/' &&
	bent_model "shape must be [47, 32]" 's/intermediate_size":"48/intermediate_size":"47/' &&
	bent_model "vocab_size is 128" 's/vocab_size":"256/vocab_size":"128/' &&
	bent_model "rope_theta" 's/rope_theta":"1000000/rope_theta":"nan    /' &&
	bent_model "rope_theta must be" 's/rope_theta":"1000000/rope_theta":"0000000/' &&
	bent_model "no tensor model.norm.weight" 's/model\.norm/model.morn/' &&
	bent_model "is U32, must be F32 or BF16" 's/"dtype":"F32"/"dtype":"U32"/' &&
	bent_model "shape must be [32]" 's/\(model.norm.weight":{"dtype":"F32","shape":\)\[32\]\([^ ]*\) /\1[4,8]\2/' &&
	msg="$nr models refused, each with its reason"
}

# Not a number, infinite, anything: nothing to crash on, or to choose no expert
garbage_weights() {
	local header size fill

	size=$(stat -c %s "$tmp/tiny")
	header=$(run --model "$tmp/tiny" --prompt "$tmp/prompt" --touched /dev/stdout |
		sed -n 's/^0 \([0-9]*\) header$/\1/p')
	for fill in '\377' '\177' '\200' random; do
		head -c "$header" "$tmp/tiny" >"$tmp/bad"
		if [ $fill = random ]; then
			head -c $((size - header)) /dev/urandom
		else
			head -c $((size - header)) /dev/zero | tr '\0' $fill
		fi >>"$tmp/bad"
		run --model "$tmp/bad" --prompt "$tmp/prompt" >"$tmp/note" 2>&1 || {
			msg="$fill: $(tail -n1 "$tmp/note")"
			return 1
		}
		grep -q 'experts touched  *[1-8] of 8' "$tmp/note" || return 1
	done
}

# The same step changes the same bytes to the same, another one to others
tune_is_known() {
	local m
	for m in tiny tiny16; do
		cp "$tmp/$m" "$tmp/a" && cp "$tmp/$m" "$tmp/b" || return
		tune --model "$tmp/a" --step 3 >/dev/null && tune --model "$tmp/b" --step 3 >/dev/null &&
			cmp -s "$tmp/a" "$tmp/b" && ! cmp -s "$tmp/a" "$tmp/$m" || return
		cp "$tmp/$m" "$tmp/b" && tune --model "$tmp/b" --step 4 >/dev/null || return
		! cmp -s "$tmp/a" "$tmp/b" || return
	done
}

tune_experts_alone() {
	if ! command -v python3 >/dev/null; then
		msg="no python3"
		return $skip
	fi
	cp "$tmp/small" "$tmp/a" && tune --model "$tmp/a" --step 1 >/dev/null || return
	msg=$(python3 - "$tmp/small" "$tmp/a" <<-'END'
		import json, struct, sys
		a, b = (open(f, "rb").read() for f in sys.argv[1:3])
		data = 8 + struct.unpack("<Q", a[:8])[0]
		assert a[:data] == b[:data]
		changed = 0
		for name, t in json.loads(a[8:data]).items():
		    if name == "__metadata__":
		        continue
		    begin, end = (data + o for o in t["data_offsets"])
		    assert (a[begin:end] != b[begin:end]) == (".experts." in name), name
		    changed += a[begin:end] != b[begin:end]
		print(changed, "tensors changed")
	END
	)
}

tune_matters() {
	cp "$tmp/small" "$tmp/a" && tune --model "$tmp/a" --step 1 >/dev/null || return
	msg="$(run_hash "$tmp/small") to $(run_hash "$tmp/a")"
	[ "$(run_hash "$tmp/small")" != "$(run_hash "$tmp/a")" ] && [ -n "$(run_hash "$tmp/a")" ]
}

bad_options() {
	fails 1 "--out is missing" gen &&
	fails 1 "num_key_value_heads" gen --out "$tmp/x" --heads 6 --dim 36 --kv-heads 4 &&
	fails 1 "is not a number" gen --out "$tmp/x" --layers 2x &&
	fails 1 "num_hidden_layers is 0" gen --out "$tmp/x" --layers 0 &&
	fails 1 "neither F32 nor BF16" gen --out "$tmp/x" --dtype F16 &&
	fails 1 "--skew" gen --out "$tmp/x" --skew nan &&
	fails 1 "No such file or directory" gen --out "$tmp/none/x" &&
	[ ! -e "$tmp/x" ] &&
	fails 1 "--model is missing" run --prompt "$tmp/prompt" &&
	fails 1 "--prompt is missing" run --model "$tmp/tiny" &&
	fails 1 "--tokens" run --model "$tmp/tiny" --prompt "$tmp/prompt" --tokens 0 &&
	fails 1 "--mmap" run --model "$tmp/tiny" --prompt "$tmp/prompt" --mmap remote &&
	fails 1 "unrecognized option" run --nonsense &&
	fails 1 "No such file or directory" run --model "$tmp/none" --prompt "$tmp/prompt" &&
	fails 1 "not a regular file" run --model "$tmp" --prompt "$tmp/prompt" &&
	fails 1 "--step is missing" tune --model "$tmp/tiny" &&
	fails 1 "--step" tune --model "$tmp/tiny" --step 0 &&
	fails 1 "--rate" tune --model "$tmp/tiny" --step 1 --rate 1 &&
	fails 1 "No such file or directory" tune --model "$tmp/none" --step 1 &&
	fails 1 "Is a directory" tune --model "$tmp" --step 1 &&
	tune --help | grep -q Usage &&
	run --help | grep -q Usage && gen --help | grep -q Usage
}

bad_prompts() {
	: >"$tmp/empty"
	head -c 2048 /dev/zero >"$tmp/long"
	head -c 1048577 /dev/zero >"$tmp/longer"
	fails 1 "the prompt is empty" run --model "$tmp/tiny" --prompt "$tmp/empty" &&
	fails 1 "more than the model's 2048" run --model "$tmp/tiny" --prompt "$tmp/long" &&
	fails 1 "longer than 1048576" run --model "$tmp/tiny" --prompt "$tmp/longer"
}

# moe-run waits for a reader of the fifo while its file is cut short
truncated_while_mapped() {
	local pid status i

	cp "$tmp/tiny" "$tmp/cut"
	mkfifo "$tmp/fifo"
	run --model "$tmp/cut" --prompt "$tmp/prompt" --logits "$tmp/fifo" \
		>/dev/null 2>"$tmp/stderr" &
	pid=$!
	for ((i = 0; i < 500; i++)); do
		grep -qsF "$tmp/cut" /proc/$pid/maps "/proc/$(pgrep -P $pid -x moe-run)/maps" && break
		sleep 0.02
	done
	truncate -s 4096 "$tmp/cut"
	cat "$tmp/fifo" >/dev/null
	wait $pid
	status=$?
	msg=$(tail -n1 "$tmp/stderr")
	[ $status -eq 2 ] && [[ $msg =~ SIGBUS:.*at\ byte\ [0-9]+\ cannot\ be\ had ]]
}

full_disk() {
	fails 1 "No space left" gen "${tiny[@]}" --out /dev/full && [ -c /dev/full ] &&
	fails 1 "No space left" run --model "$tmp/tiny" --prompt "$tmp/prompt" --stats /dev/full &&
	fails 1 "No space left" run --model "$tmp/tiny" --prompt "$tmp/prompt" --touched /dev/full &&
	run --model "$tmp/tiny" --prompt "$tmp/prompt" 2>"$tmp/stderr" >/dev/full
	[ $? -eq 1 ] && grep -q "No space left" "$tmp/stderr"
}

# This directory is on no rmaifs, so the flag must not be swallowed
mmap_rmai_elsewhere() {
	fails 1 "not on an rmaifs, or the kernel has no RMAI" \
		run --model "$tmp/tiny" --prompt "$tmp/prompt" --mmap rmai
}

mmap_auto() {
	local a b
	a=$(run_hash "$tmp/small" --mmap auto) && b=$(run_hash "$tmp/small") &&
		msg=$a && [ -n "$a" ] && [ "$a" = "$b" ]
}

# Optimised or not, by another compiler, with FMA and wide vectors or without:
# every build must make the same weights and compute the same bits
builds_agree() {
	local want builds=0 cc flags

	want="$(sha "$tmp/small") $(run_hash "$tmp/small")"
	while read -r cc flags; do
		command -v "$cc" >/dev/null || continue
		make -s -C "$here" OUT="$tmp/other" CC="$cc" CFLAGS="$flags" all 2>"$tmp/note" || {
			# not every compiler knows every machine as "native"
			grep -q 'march=' "$tmp/note" && continue
			msg="does not build: $cc $flags"
			return 1
		}
		BIN=$tmp/other gen --seed 3 "${small[@]}" --out "$tmp/b" || return 1
		msg="differs: $cc $flags"
		[ "$want" = "$(sha "$tmp/b") $(BIN=$tmp/other run_hash "$tmp/b")" ] || return 1
		builds=$((builds + 1))
		rm -rf "$tmp/other"
	done <<-EOF
		cc -O0
		cc -O3
		cc -O3 -march=native
		clang -O2
		clang -O3 -march=native
	EOF
	msg="$builds other builds, $want"
	[ $builds -ge 2 ]
}

have_sanitizers() {
	echo 'int main(void) { return 0; }' >"$tmp/probe.c"
	if ! ${CC:-cc} -fsanitize=address,undefined -o "$tmp/probe" "$tmp/probe.c" 2>/dev/null; then
		msg="the compiler has no sanitizers"
		return $skip
	fi
	make -s -C "$here" OUT="$OUT" SAN=1 all
}

# The tests that feed it the worst, once more
sanitizers() {
	local t BIN nr=0

	have_sanitizers || return
	BIN=$OUT/san
	for t in known_bytes to_stdout known_tokens layout_is_page_aligned hostile_headers \
			hostile_models garbage_weights bad_options bad_prompts full_disk truncated_while_mapped; do
		rm -f "$tmp/fifo"
		$t || {
			msg="$t: $msg"
			return 1
		}
		nr=$((nr + 1))
	done
	gen "${tiny[@]}" --out "$tmp/b" && cmp -s "$tmp/tiny" "$tmp/b" || return 1
	msg="$nr tests under ASan and UBSan"
}

fuzz() {
	local runs=${FUZZ_RUNS:-100000} seed=${FUZZ_SEED:-$(date +%s)}

	have_sanitizers || return
	msg="seed $seed"
	"$OUT/san/moe-fuzz" "$tmp/tiny" "$runs" "$seed" >"$tmp/note" 2>"$tmp/stderr" || return 1
	msg="$(cat "$tmp/note"); seed $seed"
}

valgrind_clean() {
	if ! command -v valgrind >/dev/null; then
		msg="no valgrind"
		return $skip
	fi
	valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=all \
		"$OUT/moe-run" --model "$tmp/tiny" --prompt "$tmp/prompt" --tokens 8 \
		--touched "$tmp/t" --logits "$tmp/logits" >/dev/null 2>"$tmp/note" &&
	valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=all \
		"$OUT/moe-gen" "${tiny[@]}" --dtype BF16 --out "$tmp/b" 2>"$tmp/note"
}

for p in moe-gen moe-run; do
	if [ ! -x "$OUT/$p" ]; then
		echo "$0: no $OUT/$p: run make first" >&2
		exit 1
	fi
done
printf 'In the beginning' >"$tmp/prompt"
gen --seed 3 "${small[@]}" --out "$tmp/small" &&
gen "${tiny[@]}" --out "$tmp/tiny" &&
gen "${tiny[@]}" --dtype BF16 --out "$tmp/tiny16" || exit 1

passed=0 failed=0 skipped=0 n=0
echo "KTAP version 1"
echo "1..${#tests[@]}"
for t in "${tests[@]}"; do
	n=$((n + 1))
	msg=
	$t
	case $? in
	0)
		passed=$((passed + 1))
		echo "ok $n $t${msg:+ # $msg}"
		;;
	"$skip")
		skipped=$((skipped + 1))
		echo "ok $n $t # SKIP $msg"
		;;
	*)
		failed=$((failed + 1))
		echo "not ok $n $t${msg:+ # $msg}"
		;;
	esac
done
echo "# $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]

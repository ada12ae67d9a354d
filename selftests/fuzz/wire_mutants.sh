#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Can the fuzzer fail? Takes one check or one field at a time out of a copy of the
# codec, and expects the fuzzer to notice each time. Prints KTAP.
#
#	wire_mutants.sh WIRE_C OBJECTS COMPILER FLAGS...
#
# OBJECTS is a directory with wire_fuzz.o and vmr.o, for files of ours too.

set -u
wire=$1
dir=$2
shift 2				# "$@" compiles, from here on
inputs=300000

# what is missing: how sed takes it out
mutants() {
	cat <<-'END'
	end of input: s/in->left < len/0/
	length in the header: s/ || le32_to_cpu(w->length) != len//
	bytes after the body: s/ && !in\.left//
	reserved byte: s/w->reserved || //
	positive status: s/msg->status <= 0 && //
	largest node id: s/id >= 1 && id <= RMAI_WIRE_NODES/id >= 1/
	padding of the cluster name: s/if (w->cluster\[i\])/if (0)/
	number of nodes: s/a->nr_nodes > RMAI_WIRE_NODES/0/
	node twice in a layout: s/if (seen & bit)/if (0)/
	stripe not of whole VMRs: s/ && is_multiple(a->stripe, a->vmr_size)//
	largest VMR: s/a->vmr_size <= RMAI_VMR_MAX && //
	length of a name: s/n->len > RMAI_WIRE_NAME/0/
	slash in a name: s/memchr(name, '.', len) || //
	dot-dot: s/ || (len == 2 && name\[1\] == '.')//
	bytes of entries: s/^\tif (rd->bytes > sizeof(rd->data))/\tif (0)/
	order of cookies: s/cookie <= last || //
	number of entries: s/ && nr == rd->nr//
	number of keys: s/k->nr > RMAI_WIRE_KEYS/0/
	key around the end of memory: s/len && addr <= U64_MAX - len/len/
	key of another length: s/io->key\.len == io->len && *$/1 \&\&/
	decoding of gid: s/^\ta->gid = .*//
	encoding of mtime: s/^\tw->mtime_ns = .*//
	decoding of no entries: s/^\trd->nr = 0;//
	END
}

nr=0
failed=0
result() {
	nr=$((nr + 1))
	echo "$1 $nr without $2: $3"
	[ "$1" = ok ] || failed=$((failed + 1))
}

# try WHAT EXPR COMPILER FLAGS...
try() {
	what=$1
	expr=$2
	shift 2
	sed "$expr" "$wire" > "$dir/wire.c"
	if cmp -s "$wire" "$dir/wire.c"; then
		result "not ok" "$what" "nothing like it in $wire"
	elif ! "$@" -iquote "$(dirname "$wire")" -w -o "$dir/wire_mutant" \
			"$dir/wire.c" "$dir/wire_fuzz.o" "$dir/vmr.o" 2> "$dir/log"; then
		result "not ok" "$what" "does not compile, see $dir/log"
	elif "$dir/wire_mutant" -n "$inputs" > "$dir/log" 2>&1; then
		result "not ok" "$what" "not noticed in $inputs inputs"
	else
		why=$(sed -n -f "$dir/why.sed" "$dir/log")
		if [ -n "$why" ]; then
			result ok "$what" "noticed: $why"
		else
			result "not ok" "$what" "failed with no reason, see $dir/log"
		fi
	fi
}

# The first line of the fuzzer's, of UBSan's or of ASan's verdict
cat > "$dir/why.sed" <<'END'
/^# [A-Z]/ { s/^# //p; q }
/runtime error/ { s/.*runtime error: //p; q }
/^SUMMARY/ { s/^SUMMARY: //p; q }
END

echo "KTAP version 1"
echo "1..$(mutants | wc -l)"
mutants > "$dir/list"
while IFS= read -r line; do
	try "${line%%: *}" "${line#*: }" "$@"
done < "$dir/list"
echo "# $((nr - failed)) of $nr broken codecs were noticed"
[ "$failed" -eq 0 ]

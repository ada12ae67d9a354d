#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Can the fuzzer fail? Takes one check or one field at a time out of a copy of the
# codec, and expects the fuzzer to notice each time. Prints KTAP.
#
#	wire_mutants.sh SOURCES OBJECTS COMPILER FLAGS...
#
# SOURCES is the directory of the codec (wire*.c); OBJECTS one with wire_fuzz.o and
# vmr.o, for files of ours too.

set -u
rmai=$1
dir=$2
shift 2				# "$@" compiles, from here on
inputs=2000000

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
	slash in a name: s/memchr(name, '.', len) || //
	dot-dot: s/ || (len == 2 && name\[1\] == '.')//
	bytes of entries: s/^\tif (rd->bytes > sizeof(rd->data))/\tif (0)/
	order of cookies: s/cookie <= last || //
	number of entries: s/ && nr == rd->nr//
	number of keys: s/k->nr > RMAI_WIRE_KEYS/0/
	key around the end of memory: s/len && addr <= U64_MAX - len/len/
	key of another length: s/io->key\.len == io->len && *$/1 \&\&/
	number of invalidations: s/v->nr > RMAI_WIRE_INVS || //
	order of invalidations: s/ || (i \&\& v->vmrs\[i\]\.vmr <= v->vmrs\[i - 1\]\.vmr)//
	number of recall keys: s/r->nr > RMAI_WIRE_RECALL_KEYS/0/
	bytes without their grant: s/ \&\& !g->seq == !(g->flags & RMAI_VMR_HAVE)//
	sources of fetches: s/ && !(a->fetch & ~RMAI_FETCH_ALL)//
	least and most of a cache: s/^\t *(!a->cache_max .*//
	length of a name: s/if (len > RMAI_WIRE_NAME)/if (0)/
	region that takes its own place: s/ \&\& p->id != p->old//
	name that is given up: s/rmai_wire_name_ok(p->from, p->from_len)/1/
	number of VMRs: s/v->nr > RMAI_WIRE_VMRS || //
	order of lost VMRs: s/if (lost \&\& v->vmrs/if (0 \&\& v->vmrs/
	bytes ahead: s/io->ahead >= RMAI_WIRE_SIZE_LIMIT - io->off/0/
	end of a reset: s/r->nr <= RMAI_WIRE_SIZE_LIMIT \/ RMAI_VMR_MIN - r->first/1/
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
	same=yes
	for file in wire.c wire_bytes.c wire_region.c wire_codec.h; do
		sed "$expr" "$rmai/$file" > "$dir/$file"
		cmp -s "$rmai/$file" "$dir/$file" || same=
	done
	if [ "$same" ]; then
		result "not ok" "$what" "nothing like it in $rmai"
	elif ! "$@" -iquote "$rmai" -w -o "$dir/wire_mutant" "$dir"/wire*.c \
			"$dir/wire_fuzz.o" "$dir/vmr.o" 2> "$dir/log"; then
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

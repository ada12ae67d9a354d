#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A cluster at its daily work: one address on all nodes, one name space, bytes that
# are the same wherever they are read, and what it costs to read them.
#
#	node 1, 2   memory      (homes)
#	node 3      compute     (reader)
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 3
cd /rmai || exit 1

# same WHAT FILE-PREFIX: did every node write the same into its file?
same() {
	local n v first=
	for ((n = 1; n <= RMAI_NODES; n++)); do
		v=$(cat "$RMAI_OUT/$1-$n") || return
		[ -n "$v" ] || { echo "node $n has none"; return 1; }
		: "${first:=$v}"
		[ "$v" = "$first" ] || { echo "$v on node $n, $first on node 1"; return 1; }
	done
	echo "$first"
}

### one address
size=$(slow && echo 1M || echo 4M)
if on 1; then
	check "a region striped over nodes 1 and 2" region create /rmai/addr vmr=64K stripe=256K nodes=1,2
	check "filled" region fill /rmai/addr "$size" 1
	check "sealed" region seal /rmai/addr
fi
meet addr
check "named: mapped, every byte right" values region map /rmai/addr 1
value addr >"$RMAI_OUT/addr-$RMAI_NODE"
on 3 && check "a byte that is wrong would be found" status 3 region map /rmai/addr 99
meet addr
check "named: the same address on all nodes" same addr

if on 1; then
	mkfifo "$tmp/hold"
	region anon "$size" 2 16 "$RMAI_OUT/anon" <"$tmp/hold" &
	exec 6>"$tmp/hold"
	check "anonymous: made, filled, sealed" within 60 test -s "$RMAI_OUT/anon"
fi
meet anon
if ! on 1; then
	check "anonymous: attached by its address, every byte right" \
		values region attach "$(cat "$RMAI_OUT/anon")" "$size" 2
	value addr >"$RMAI_OUT/anon-$RMAI_NODE"
else
	cp "$RMAI_OUT/anon" "$RMAI_OUT/anon-1"
fi
meet anon
check "anonymous: the same address on all nodes" same anon
if on 1; then
	exec 6>&-
	check "anonymous: ends with its last user" wait $!
fi
meet anon
if on 3; then
	gone() { fails "No such file" region attach "$(cat "$RMAI_OUT/anon")" "$size" 2; }
	check "anonymous: and cannot be attached any more" within 20 gone
fi

### one name space
rm -f /rmai/addr 2>/dev/null
meet names
on 3 && check "node 3 makes a file" eval 'echo three >/rmai/from3'
meet names
check "all nodes list it" test "$(ls /rmai)" = from3
check "all nodes read it" test "$(cat /rmai/from3)" = three
meet names
on 2 && check "node 2 renames it" mv /rmai/from3 /rmai/by2
meet names
check "all nodes see the new name alone" test "$(ls /rmai)" = by2
check "the old one is gone" fails "No such file" cat /rmai/from3
check "it is the same file" test "$(cat /rmai/by2)" = three
meet names
if on 1; then
	check "node 1 changes mode and size" chmod 640 /rmai/by2
	check "appends" eval 'echo one >>/rmai/by2'
fi
meet names
within 5 test "$(/usr/bin/stat -c '%a %s' /rmai/by2)" = "640 10"
check "all nodes see that" test "$(/usr/bin/stat -c '%a %s' /rmai/by2)" = "640 10"
check "and read it" test "$(tr '\n' ' ' </rmai/by2)" = "three one "
meet names
on 1 && exec 7</rmai/by2
meet names
on 3 && check "node 3 unlinks what node 1 has open" rm /rmai/by2
meet names
check "gone for all" test -z "$(ls /rmai)"
if on 1; then
	check "but for who has it open" test "$(head -n 1 <&7)" = three
	exec 7<&-
fi
meet names
# All at once
won=0
for ((i = 0; i < 20; i++)); do
	: >"/rmai/n$RMAI_NODE-$i" || break
	# One of the three makes it; bash opens with O_EXCL
	( set -o noclobber; echo "$RMAI_NODE" >"/rmai/race-$i" ) 2>/dev/null && won=$((won + 1))
done
echo $won >"$RMAI_OUT/won-$RMAI_NODE"
meet names
check "60 files made by three nodes at once, and 20 by whoever was first" \
	test "$(printf '%s\n' /rmai/* | wc -l)" = 80
check "each of the 20 by one node" test $(($(cat "$RMAI_OUT"/won-[123] | paste -sd+))) = 20
meet names
rm -f /rmai/n"$RMAI_NODE"-*
on 2 && rm -f /rmai/race-*
meet names
check "all are gone again" test -z "$(ls /rmai)"

### the same bytes
mb=$(slow && echo 4 || echo 24)
meet data
n=0
for vmr in 4096 2M 3149824; do
	n=$((n + 1)) f=/rmai/data$n
	if on 1; then
		head -c $((mb * 1048576 + 777)) /dev/urandom >"$tmp/data"
		check "VMR $vmr: made" region create $f vmr=$vmr nodes=1,2
		check "VMR $vmr: $mb MiB copied in by cp" cp "$tmp/data" $f
		sha256sum <"$tmp/data" >"$RMAI_OUT/sum$n"
	fi
	meet data
	# Unsealed: read through from the homes
	if on 2 && [ $n = 2 ]; then
		check "VMR $vmr: unsealed, read by another node" \
			test "$(sha256sum <$f)" = "$(cat "$RMAI_OUT/sum$n")"
	fi
	on 1 && check "VMR $vmr: sealed" region seal $f
	meet data
	if on 3; then
		check "VMR $vmr: read(2)" test "$(sha256sum <$f)" = "$(cat "$RMAI_OUT/sum$n")"
		check "VMR $vmr: copied out by cp" cp $f "$tmp/out"
		check "VMR $vmr: the copy" test "$(sha256sum <"$tmp/out")" = "$(cat "$RMAI_OUT/sum$n")"
		rm -f "$tmp/out"
	fi
	check "VMR $vmr: writing a sealed file" fails "not permitted" eval "echo x >>$f"
	meet data
	on 1 && rm -f $f "$tmp/data"
done

### written from afar
meet write
on 1 && check "a file on node 1" region create /rmai/far vmr=12K nodes=1
meet write
if on 3; then
	head -c 300001 /dev/urandom >"$RMAI_OUT/far"
	check "node 3 writes it" cp "$RMAI_OUT/far" /rmai/far
fi
meet write
check "all nodes read what it wrote" cmp /rmai/far "$RMAI_OUT/far"
meet write
if on 2; then
	printf 'in the middle' | dd of=/rmai/far bs=13 seek=10001 conv=notrunc status=none
	printf 'in the middle' | dd of="$RMAI_OUT/far" bs=13 seek=10001 conv=notrunc status=none
	check "node 2 changes its middle, and cuts it" truncate -s 200002 /rmai/far
	truncate -s 200002 "$RMAI_OUT/far"
fi
meet write
check "all nodes see that" cmp /rmai/far "$RMAI_OUT/far"
meet write
on 1 && rm -f /rmai/far

### what it costs
cost() {	# cost FILE MAX-MAJOR MAX-MINOR FETCHED-BYTES
	values region map "$1" 7 step=4096 || return
	echo "$(value bytes) bytes touched: $(value major) major, $(value minor) minor faults," \
		"$(value fetch_bytes) bytes fetched in $(value fetch_vmrs) VMRs, $(value seconds) s"
	[ "$(value major)" -le "$2" ] && [ "$(value minor)" -le "$3" ] &&
		[ "$(value fetch_bytes)" = "$4" ]
}
big=$(slow && echo 16 || echo 128)
meet cost
if on 1; then
	region create /rmai/cost2m vmr=2M nodes=1,2 && region fill /rmai/cost2m "${big}M" 7 &&
		region seal /rmai/cost2m
	region create /rmai/cost4k vmr=4K nodes=1,2 && region fill /rmai/cost4k 2M 7 &&
		region seal /rmai/cost4k
fi
meet cost
if on 3; then
	n=$((big / 2))
	check "$big MiB cold, VMR 2 MiB: at most $n major and $n minor faults, each byte once" \
		cost /rmai/cost2m $n $n $((big << 20))
	check "again, warm: no major fault, no byte" cost /rmai/cost2m 0 $n 0
	check "and every byte right" region map /rmai/cost2m 7
	check "2 MiB cold, VMR 4 KiB: a major fault for each page" cost /rmai/cost4k 520 520 2097152
	check "again, warm" cost /rmai/cost4k 0 520 0
	# A part brings its own VMRs and no more
	bytes=$(stat fetch_bytes)
	check "a byte of each other VMR" region map /rmai/cost2m 7 cold step=4M
	check "brings those VMRs" test $(($(stat fetch_bytes) - bytes)) = $((big << 19))
fi

### and nothing is left
meet end
on 1 && rm -f /rmai/*
cd / || exit 1
meet end
within 30 gauges_are_0
check "nothing is left of it" gauges_are_0
meet end

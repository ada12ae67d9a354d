#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cluster_prefetch.sh [TEST...]: what is fetched ahead of its use, and how much of it is
# used; that it stops at the budget; budgets of single regions; and that nothing is left
# hanging when the region, its node or its reader goes meanwhile.
#
#	node 1	memory
#	node 2	compute: touches VMRs in some order, and looks at the counters
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need_cluster 2
[ $# -gt 0 ] || set -- off runs long advised schedule next wrong budget willneed populate min max looks unlink kill cut
budget=$cfg/cache_bytes
vmr=$((128 << 10)) vmrs=64
f=/rmai/ahead g=/rmai/other
pause=$(slow && echo 60 || echo 20)

make_region() {	# make_region PATH SEED FETCH
	region create "$1" vmr=$vmr nodes=1 fetch="$3" >/dev/null &&
		region fill "$1" $((vmrs * vmr)) "$2" >/dev/null && region seal "$1" >/dev/null
}
if on 1; then
	check "two regions" eval "make_region $f 1 advice && make_region $g 2 advice"
	meet made
	meet end
	exit
fi
on 2 || { meet made; meet end; exit; }
meet made

of() { share stat "$1" | sed -n "s/^$2=//p"; }	# of PATH COUNTER
counts() { share stat $f | grep prefetch; }
# since NAME: what a counter of $f is more than in $tmp/before
before() { share stat "$f" >"$tmp/before"; }
since() { echo $(($(of $f "$1") - $(sed -n "s/^$1=//p" "$tmp/before"))); }
cold() { region drop $f >/dev/null && region drop $g >/dev/null && before; }
fetch() { region set $f fetch="$1" >/dev/null; }
# is NAME OP N: and says what it was
is_now() {
	local v
	v=$(since "$1")
	echo "$1 $v"
	test "$v" "$2" "$3" || { counts; return 1; }
}
# touch_vmrs VMRS [PAUSE [OPTION]]
touch_vmrs() { region touch $f 1 "$1" pause="${2:-$pause}" ${3:+"$3"}; }
all_of() { for s in advice seq schedule next; do echo prefetch_${s}_"$1"; done; }
none() {	# nothing was fetched ahead
	local c
	for c in $(all_of hits) $(all_of waste); do is_now "$c" -eq 0 || return; done
}

t_off() {
	cold && touch_vmrs 0-31 0 >/dev/null && is_now fetch_vmrs -eq 32 && none
}

t_runs() {
	fetch seq && cold && touch_vmrs 0-63 && is_now prefetch_seq_hits -ge 56 &&
		is_now prefetch_seq_waste -eq 0 || return
	# Every fourth, backwards: nothing in between is fetched
	cold && touch_vmrs 60-0/4 && is_now prefetch_seq_hits -ge 10 &&
		is_now fetch_vmrs -le 16 || return
	# Not from an open region
	region create /rmai/open vmr=$vmr nodes=1 fetch=seq &&
		region fill /rmai/open $((16 * vmr)) 3 && region drop /rmai/open &&
		region touch /rmai/open 3 0-15 pause="$pause" &&
		[ "$(of /rmai/open prefetch_seq_hits)" = 0 ] && rm /rmai/open
}

# By default: after 12 MiB, 96 VMRs, and no more than a quarter of that
t_long() {
	local l=/rmai/long f=/rmai/long
	region create $l vmr=$vmr nodes=1 >/dev/null && region fill $l $((200 * vmr)) 4 >/dev/null &&
		region seal $l >/dev/null && region drop $l >/dev/null && before || return
	region touch $l 4 0-89 >/dev/null && is_now fetch_vmrs -eq 90 && none || return
	region drop $l >/dev/null && before && region touch $l 4 0-149 pause="$pause" >/dev/null &&
		is_now prefetch_seq_hits -ge 40 && is_now fetch_vmrs -le $((150 + 38)) || return
	# Not where it is switched off, nor where runs are short
	region set $l fetch=advice >/dev/null && region drop $l >/dev/null && before &&
		region touch $l 4 0-199 >/dev/null && is_now fetch_vmrs -eq 200 && none || return
	region set $l fetch=advice,long >/dev/null && region drop $l >/dev/null && before &&
		region touch $l 4 0-89,91-180,182-199 >/dev/null &&
		is_now fetch_vmrs -eq 198 && none &&
		region touch $l 4 0-199 >/dev/null && is_now fetch_vmrs -eq 200 && none &&
		region drop $l >/dev/null && before &&
		region touch $l 4 20-109,120-189,0-10 >/dev/null && is_now fetch_vmrs -eq 171 && none &&
		rm $l
}

# MADV_SEQUENTIAL is an advice, and MADV_RANDOM another; both end with the mapping
t_advised() {
	fetch advice && cold && touch_vmrs 0-63 "" advice=sequential &&
		is_now prefetch_seq_hits -ge 56 && is_now prefetch_seq_waste -eq 0 &&
		cold && touch_vmrs 0-31 && is_now fetch_vmrs -eq 32 && none || return
	# From the first one on
	cold && touch_vmrs 5 1000 advice=sequential && is_now fetch_vmrs -ge 2 || return
	fetch none && cold && touch_vmrs 0-31 "" advice=sequential && none || return
	fetch seq && cold && touch_vmrs 0-31 "" advice=random && none
}

# The same order twice. A run in it would be no proof
order=$(for ((i = 0; i < vmrs; i++)); do printf '%d,' $((i * 19 % vmrs)); done)
order=${order%,}

t_schedule() {
	fetch schedule && cold && touch_vmrs "$order" 0 && none || return
	cold && touch_vmrs "$order" && is_now prefetch_schedule_hits -ge 56 &&
		is_now prefetch_schedule_waste -le 1 && is_now fetch_vmrs -eq $vmrs || return
	# With room for a quarter of it, from one pass to the next
	echo $((16 * vmr)) >$budget && cold &&
		region touch $f 1 "$order" pause="$pause" passes=4 &&
		is_now prefetch_schedule_hits -ge $((4 * vmrs * 8 / 10)) &&
		is_now prefetch_schedule_waste -le $((4 * vmrs / 10)) &&
		is_now fetch_vmrs -le $((4 * vmrs * 11 / 10))
}

# Groups of four VMRs, one of two after another, as experts are picked
t_next() {
	local s='' i
	for ((i = 0; i < 12; i++)); do s+="0-3,$((i % 2 ? 20 : 40))-$((i % 2 ? 23 : 43)),12-15,30-33,55-58,"; done
	fetch next && echo $((14 * vmr)) >$budget && cold && touch_vmrs "${s%,}" &&
		is_now prefetch_next_hits -ge 80 || return
	say "of $(since fetch_vmrs) VMRs fetched $(since prefetch_next_hits) were foretold, $(since prefetch_next_waste) in vain"
	[ "$(since prefetch_next_waste)" -le "$(since prefetch_next_hits)" ]
}

# A run that ends, and then no order at all: what was fetched ahead for it is little, is
# the first to go, and nothing more follows
# What the run has foretold may still be on its way
settled() {
	local before
	before=$(since fetch_vmrs)
	sleep 0.5
	[ "$(since fetch_vmrs)" = "$before" ]
}
t_wrong() {
	local n
	fetch seq && cold && touch_vmrs 0-15 && within 20 settled || return
	n=$(since fetch_vmrs)
	[ "$n" -gt 16 ] || { echo "nothing was ahead"; return 1; }
	touch_vmrs 60,31,55,40,62,27,50,37,58,45,24,53 && is_now fetch_vmrs -le $((n + 16)) || return
	# With a budget for what is here, and no more, one that is touched takes the place of
	# one that was not
	echo $((($(since fetch_vmrs) + 2) * vmr)) >$budget &&
		region touch $g 2 0-11 pause="$pause" || return
	is_now prefetch_seq_waste -ge 1 && touch_vmrs 0-15 0 && is_now fetch_errors -eq 0
}

# advise PATH: WILLNEED on all of it, which holds until fd 5 is closed
advise() { exec 5> >(region willneed "$1" >/dev/null 2>&1); }

resident_is_within() { [ "$(stat replica_pages)" -le $(($1 >> 12)) ] || { stat replica_pages; return 1; }; }

test_resident() { [ "$(of "$1" replica_bytes)" = $(($2 * vmr)) ] || { of "$1" replica_bytes; return 1; }; }

# A part of $g is in use; WILLNEED on all of $f, four times the budget, fills what is left
# and stops, and takes nothing of what is in use
t_willneed() {
	local user rc
	fetch advice && cold && echo $((16 * vmr)) >$budget || return
	region touch $g 2 0-5 passes=100000 pause=2 >/dev/null &
	user=$!
	within 10 test_resident $g 6 && before && willneed_beside
	rc=$?
	kill $user
	return $rc
}

willneed_beside() {
	local n evicted
	evicted=$(stat evict_bytes)
	advise $f
	n=-1
	while [ "$n" != "$(since fetch_vmrs)" ]; do n=$(since fetch_vmrs); sleep 1; done
	resident_is_within $((16 * vmr)) && is_now fetch_vmrs -ge 8 && is_now fetch_vmrs -le 10 ||
		return
	echo "$(since fetch_vmrs) fetched, $(($(stat evict_bytes) - evicted)) bytes dropped"
	test_resident $g 6 && [ "$(stat evict_bytes)" = "$evicted" ] || return
	n=$(since fetch_vmrs)
	touch_vmrs 0-$((n - 1)) 0 && is_now prefetch_advice_hits -ge $((n - 1))
}

# Of what is larger than the budget as much is populated as there is room for, once
t_populate() {
	fetch none && cold && echo $((16 * vmr)) >$budget && region populate $f &&
		resident_is_within $((16 * vmr)) && is_now fetch_vmrs -le 16 && is_now fetch_vmrs -ge 12
}

t_budget() {
	local i most=0 n
	# Fetching ahead never goes beyond it, nor do the others
	fetch advice,seq,schedule,next && cold && echo $((12 * vmr)) >$budget || return
	region touch $f 1 0-63,63-0,0-60/3 pause=5 passes=2 &
	while kill -0 $! 2>/dev/null; do
		n=$(stat replica_pages)
		[ "$n" -le "$most" ] || most=$n
	done
	wait $! || return
	echo "at most $most pages of $((12 * vmr >> 12)) and a VMR"
	[ "$most" -le $((13 * vmr >> 12)) ]
}

# cache_min of $f is left alone by a sweep over $g, though it is not used
t_min() {
	local n
	fetch none && region set $f cache_min=$((8 * vmr)) && cold && echo $((16 * vmr)) >$budget || return
	touch_vmrs 0-11 0 && region touch $g 2 0-63 passes=2 && before || return
	n=$(($(of $f replica_bytes) / vmr))
	echo "$n of 8 VMRs have stayed"
	[ $n -ge 8 ] && [ $n -le 9 ] && resident_is_within $((17 * vmr)) || return
	# Where all is protected a region takes from itself
	region set $g cache_min=$((16 * vmr)) && region touch $g 2 0-63 &&
		resident_is_within $((17 * vmr)) && region set $g cache_min=0 &&
		region set $f cache_min=0 && region touch $g 2 0-63 passes=2 || return
	n=$(($(of $f replica_bytes) / vmr))
	echo "$n without it"
	[ $n -lt 8 ]
}

# cache_max bounds a region though the node has room
t_max() {
	local n most=0 pid
	fetch advice,seq && region set $f cache_max=$((8 * vmr)) && cold || return
	region touch $g 2 0-7 >/dev/null
	region touch $f 1 0-63 pause=5 passes=3 &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		n=$(of $f replica_bytes)
		[ "$n" -le "$most" ] || most=$n
	done
	wait $pid || return
	echo "at most $((most / vmr)) VMRs of 8, and one"
	[ "$most" -le $((9 * vmr)) ] && [ "$most" -ge $((6 * vmr)) ] || return
	# Not at the cost of the others
	[ "$(of $g replica_bytes)" = $((8 * vmr)) ] && region set $f cache_max=0 || return
	cold && region touch $f 1 0-63 && [ "$(of $f replica_bytes)" = $((vmrs * vmr)) ]
}

# looks N COMMAND...: entries of the cache that it looked at, for each of N VMRs
looks() {
	local n
	n=$(stat evict_looks)
	"${@:2}" >/dev/null || return
	echo $((($(stat evict_looks) - n) / $1))
}

# What others have here, or is protected, is not gone through for each VMR that goes
t_looks() {
	local n
	fetch none && region set $f cache_max=$((8 * vmr)) && cold && region touch $g 2 0-63 || return
	n=$(looks $((vmrs - 8)) touch_vmrs 0-63 0) && region set $f cache_max=0 || return
	echo "cache_max: $n looks for each VMR that went"
	[ "$n" -le 8 ] || return
	region set $g cache_min=$((vmrs * vmr)) && cold && region touch $g 2 0-63 &&
		echo $(((vmrs + 16) * vmr)) >$budget || return
	n=$(looks $((vmrs - 16)) touch_vmrs 0-63 0) && region set $g cache_min=0 || return
	echo "cache_min: $n looks for each"
	[ "$n" -le 24 ] && test_resident $g $vmrs
}

no_replicas() { [ "$(stat replica_pages)" = 0 ] || { stat replica_pages; return 1; }; }

t_unlink() {
	make_region /rmai/gone 5 advice,seq,schedule,next || return
	advise /rmai/gone
	region touch /rmai/gone 5 0-63 pause=5 &
	rm /rmai/gone
	wait $! || return
	exec 5>&-
	region drop $f >/dev/null && region drop $g >/dev/null && within 20 no_replicas
}

t_kill() {
	local pids
	fetch advice,seq,schedule,next && cold || return
	region willneed $f </dev/zero >/dev/null 2>&1 &
	pids=$!
	region touch $f 1 0-63 pause=5 >/dev/null 2>&1 &
	sleep 0.2
	kill -KILL $pids $!
	wait $pids $!
	within 10 is $mm/stats/regions_open 0
}

t_cut() {
	fetch advice,seq,schedule,next && region set $f on_loss=block >/dev/null && cold || return
	region touch $f 1 0-63 pause=$((2 * pause)) >"$tmp/cut" 2>&1 &
	sleep 0.3
	rmai-fault cut 1
	sleep 3
	rmai-fault heal 1
	wait $! || { cat "$tmp/cut"; return 1; }
	fetch advice && cold && touch_vmrs 0-63 0 && is_now fetch_errors -eq 0
}

for t; do
	case $t in
	off) name="nothing but what is touched" ;;
	runs) name="runs: sequential, strided, backwards" ;;
	long) name="by default only what continues a long run" ;;
	advised) name="MADV_SEQUENTIAL, MADV_RANDOM" ;;
	schedule) name="the order of the last pass" ;;
	next) name="what followed what" ;;
	wrong) name="a run that ends: cancelled" ;;
	budget) name="never more than the budget" ;;
	willneed) name="WILLNEED stops at the budget, and leaves what is in use" ;;
	populate) name="MAP_POPULATE stops at the budget" ;;
	min) name="cache_min of a region" ;;
	max) name="cache_max of a region" ;;
	looks) name="how many VMRs are looked at for each that goes" ;;
	unlink) name="the region is unlinked meanwhile" ;;
	kill) name="the readers are killed meanwhile" ;;
	cut) name="the node is cut off meanwhile" ;;
	esac
	check "$name" "t_$t"
	exec 5>&-
	echo 0 >$budget
done
check "no error" test "$(stat fetch_errors)" -le "$(case " $* " in *" cut "*) echo 99;; *) echo 0;; esac)"
rm -f $f $g
within 20 gauges_are_0
meet end

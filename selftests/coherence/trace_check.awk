# SPDX-License-Identifier: GPL-2.0
#
# See trace_check.sh. What is checked of each change:
#  - the model makes it, for whatever event;
#  - it begins where the last one of this VMR on this node has ended, or with nothing
#    (the inode had gone, and with it all that was known), unless events were lost;
#  - numbers of the home grow; only a grant that is confirmed keeps its own;
#  - a replica is not granted under a number below that of an INV or RECALL that it
#    has carried out.

BEGIN {
	while ((r = (getline line < table)) > 0) {
		if (line ~ /^#/ || split(line, w) != 4)
			continue
		row[w[1], w[2], w[4]] = 1
		rows++
	}
	if (r < 0 || !rows) {
		print "trace_check: nothing in " table
		failed = 1
		exit 1
	}
	first["home"] = "UNUSED"
	first["replica"] = "I"
}

function bad(what)
{
	nr_bad++
	print FILENAME ":" FNR ": " what ": " $0
}

# Events are missing: what the next one begins with is not known
/LOST [0-9]+ EVENTS/ {
	for (k in last)
		delete last[k]
	lost++
	next
}

/rmai_dir_state: |rmai_replica_state: / {
	who = /rmai_dir_state: / ? "home" : "replica"
	for (k in f)
		delete f[k]
	for (i = 1; i <= NF; i++)
		if ((eq = index($i, "=")) > 1)
			f[substr($i, 1, eq - 1)] = substr($i, eq + 1)
	if (!("self" in f) || !("region" in f) || !("vmr" in f) || !("from" in f) ||
	    !("to" in f) || f["seq"] !~ /^[0-9]+$/) {
		bad("not to be understood")
		next
	}
	nr[who]++
	from = f["from"]
	to = f["to"]
	seq = f["seq"] + 0
	key = who SUBSEP f["self"] SUBSEP f["region"] SUBSEP f["vmr"]
	if (!((who, from, to) in row))
		bad("the model has no " who " " from " -> " to)
	else
		taken[who " " from " " to]++
	if ((key in last) && last[key] != from) {
		if (from == first[who])
			forgotten++
		else
			bad("it was " last[key] " before")
	}
	last[key] = to
	if (who == "home") {
		if ((key in seen) && seq < seen[key] &&
		    !(from == "EXCLUSIVE" && to == "EXCLUSIVE"))
			bad("number " seq " after " seen[key])
		seen[key] = seq
	} else if (to == "I" || to == "WRITEBACK") {
		if (seq > told[key])
			told[key] = seq
	} else if (from ~ /^FETCH_/ && (to == "S" || to == "X") && seq <= told[key]) {
		bad("granted under " seq " after INV or RECALL " told[key])
	}
}

END {
	if (failed)
		exit 1
	printf "%d changes of directories, %d of replicas, %d kinds of %d rows", \
		nr["home"], nr["replica"], length_of(taken), rows
	if (forgotten)
		printf "; %d began anew", forgotten
	if (lost)
		printf "; events were lost %d times", lost
	printf "; %d not as in the model\n", nr_bad
	if (!nr["home"] && !nr["replica"])
		print "trace_check: no events: are rmai_dir_state and rmai_replica_state enabled?"
	exit nr_bad || !(nr["home"] || nr["replica"])
}

function length_of(a,	k, n)
{
	n = 0
	for (k in a)
		n++
	return n
}

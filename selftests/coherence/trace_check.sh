#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# trace_check.sh [--table FILE] [TRACE...]: does a running kernel change the states of
# VMRs as the model of the coherence protocol does? Reads what tracefs's "trace" had to
# say of rmai_dir_state and rmai_replica_state, of one node or of several one after the
# other, and compares each change with Documentation/mm/rmai/model/transitions.tab. Exit
# status 0: all is as in the model; 1: it is not, or there was nothing to be seen.

here=$(dirname "$(readlink -f "$0")")
table=
for f in "$here/../.." "$here/../../../../.."; do
	[ -n "$table" ] || [ ! -r "$f/Documentation/mm/rmai/model/transitions.tab" ] ||
		table=$f/Documentation/mm/rmai/model/transitions.tab
done
case ${1:-} in
--table)
	table=$2
	shift 2
	;;
-*)
	sed -n 's/^# //p' "$0" | sed 1d >&2
	exit 2
	;;
esac
[ -r "$table" ] || { echo "trace_check: no table: give --table FILE" >&2; exit 2; }
exec awk -v table="$table" -f "$here/trace_check.awk" -- "${@:--}"

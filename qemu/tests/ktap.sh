# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# For sourcing: results as KTAP. Source it, call "check" and "skip", and end with
# "ktap_end". Output of a failed command is shown as comments.
ktap_nr=0 ktap_failed=0
KTAP_OUT=$(mktemp)
echo "TAP version 13"

# check NAME COMMAND...: ok if the command succeeds
check() {
	local name=$1
	shift
	ktap_nr=$((ktap_nr + 1))
	if "$@" >"$KTAP_OUT" 2>&1; then
		echo "ok $ktap_nr $name"
	else
		sed 's/^/# /' "$KTAP_OUT"
		echo "not ok $ktap_nr $name"
		ktap_failed=$((ktap_failed + 1))
		return 1
	fi
}

# fails REGEX COMMAND...: for check: the command must fail, and say REGEX
fails() {
	local re=$1 said
	shift
	if said=$("$@" 2>&1); then
		echo "$said"
		echo "succeeded, but should have failed: $*"
		return 1
	fi
	echo "$said"
	grep -qE "$re" <<<"$said" || { echo "did not say: $re"; return 1; }
}

# skip NAME REASON
skip() {
	ktap_nr=$((ktap_nr + 1))
	echo "ok $ktap_nr $1 # SKIP $2"
}

ktap_end() {
	rm -f "$KTAP_OUT"
	echo "1..$ktap_nr"
	[ $ktap_failed = 0 ]
	exit
}

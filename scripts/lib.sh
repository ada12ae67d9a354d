# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# For sourcing: where things are.
RMAI_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# Sources, trees, objects and the compiler's cache; shared by all clones of a user
RMAI_CACHE=${RMAI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rmai}
export RMAI_TOP RMAI_CACHE

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

warn() {
	echo "${0##*/}: warning: $*" >&2
}

# hostd: prints the path of the program that supervises guests, compiled if need be
hostd() {
	local sum bin
	sum=$(cat "$RMAI_TOP"/qemu/host/*.[ch] | sha256sum | cut -c1-16)
	bin=$RMAI_CACHE/host/hostd-$sum
	if [ ! -x "$bin" ]; then
		mkdir -p "$RMAI_CACHE/host"
		${CC:-cc} -O2 -Wall -Wextra -D_GNU_SOURCE -o "$bin.$$" \
			"$RMAI_TOP"/qemu/host/*.c >&2 || return 1
		mv "$bin.$$" "$bin"
	fi
	echo "$bin"
}

# bzimage base|debug|FILE|DIR: the path of that kernel
bzimage() {
	local f=$1
	case $1 in
	base | debug) f=$RMAI_CACHE/build-$1/arch/x86/boot/bzImage ;;
	esac
	[ ! -d "$f" ] || f=$f/arch/x86/boot/bzImage
	[ -r "$f" ] || { echo "no kernel $f (make kernel)" >&2; return 1; }
	readlink -f "$f"
}

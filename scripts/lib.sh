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
	base | debug | kcsan | poison | mm | mm-pristine) f=$RMAI_CACHE/build-$1$RMAI_SUFFIX/arch/x86/boot/bzImage ;;
	esac
	[ ! -d "$f" ] || f=$f/arch/x86/boot/bzImage
	[ -r "$f" ] || { echo "no kernel $f (make kernel)" >&2; return 1; }
	readlink -f "$f"
}

# The tree and the builds of a KERNEL_SRC of the user's own stand beside ours
RMAI_SUFFIX=${KERNEL_SRC:+-$(basename "$KERNEL_SRC")}
RMAI_TREE=${RMAI_TREE:-$RMAI_CACHE/tree$RMAI_SUFFIX}
export RMAI_SUFFIX RMAI_TREE

# config_lines FILE: without comments and empty lines
config_lines() {
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$RMAI_TOP/scripts/config/$1"
}

# pristine: prints the directory of the unpatched kernel; scripts/prepare makes it
pristine() {
	local d
	if [ -n "${KERNEL_SRC:-}" ]; then
		readlink -e "$KERNEL_SRC"
		return
	fi
	d=$RMAI_CACHE/pristine/linux-$(config_lines kernel-version)
	[ -d "$d" ] || d=$(find "$RMAI_CACHE/pristine" -maxdepth 1 -name 'linux-6.12.*' \
		2>/dev/null | sort -V | tail -n 1)
	[ -n "$d" ] && echo "$d"
}

# new_files: "SOURCE<tab>DESTINATION" for each new file, relative to the repo and
# to the kernel tree. Uncommitted files count, ignored ones do not.
new_files() {
	local f
	(cd "$RMAI_TOP" && {
		git ls-files -co --exclude-standard 2>/dev/null ||
			find . -type f ! -path './.*' ! -path './out/*' -printf '%P\n'
	}) | sort -u | while read -r f; do
		[ -f "$RMAI_TOP/$f" ] || continue
		case /$f in
		*/.*) ;;
		/mm-rmai/*) printf '%s\tmm/rmai/%s\n' "$f" "${f#mm-rmai/}" ;;
		/Kconfig.rmai) printf '%s\tmm/rmai/Kconfig\n' "$f" ;;
		/drivers/* | /include/* | /Documentation/*) printf '%s\t%s\n' "$f" "$f" ;;
		/selftests/*) printf '%s\ttools/testing/selftests/rmai/%s\n' "$f" "${f#selftests/}" ;;
		/tools/*) printf '%s\ttools/rmai/%s\n' "$f" "${f#tools/}" ;;
		esac
	done
}

# series: the patches, in order, as paths
series() {
	[ -f "$RMAI_TOP/patches/series" ] || return 0
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' -e "s|^|$RMAI_TOP/patches/|" "$RMAI_TOP/patches/series"
}

# patch_files PATCH...: the files that they touch
patch_files() {
	[ $# = 0 ] || sed -n 's|^+++ b/\([^[:space:]]*\).*|\1|p' "$@" | sort -u
}

# lock_tree -s|-x: the tree is not to change (builds), or ours alone (prepare); file
# descriptor 9 holds it until the script ends
lock_tree() {
	mkdir -p "$(dirname "$RMAI_TREE")"
	exec 9>"$RMAI_TREE.lock"
	flock -n "$1" 9 && return
	echo "${0##*/}: waiting for what goes on in $RMAI_TREE" >&2
	flock "$1" 9
}

# kmake DIR ARG...: make in the prepared tree with its objects in DIR. The same
# variables everywhere: another value of any would build everything anew.
kmake() {
	local dir=$1
	shift
	CCACHE_DIR=$RMAI_CACHE/ccache CCACHE_BASEDIR=${RMAI_BASEDIR-$RMAI_CACHE} \
		nice -n 5 make -C "$RMAI_TREE" O="$dir" CC="ccache gcc" KBUILD_BUILD_TIMESTAMP=@1 \
		KBUILD_BUILD_USER=rmai KBUILD_BUILD_HOST=rmai -j"${JOBS:-$(nproc)}" "$@" \
		8>&- 9>&-	# the locks are the caller's, and end with it
}

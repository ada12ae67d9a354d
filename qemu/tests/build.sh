#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/prepare, refresh and export, on a kernel of four files and a copy of the
# scripts in a repository of its own.
top=$(readlink -f "$(dirname "$0")/../..")
# shellcheck source=ktap.sh
. "$top/qemu/tests/ktap.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir" "$KTAP_OUT"' EXIT
export XDG_CACHE_HOME=$dir/cache KERNEL_SRC=$dir/linux
unset RMAI_CACHE RMAI_TREE
mkdir -p "$dir/linux/mm" "$dir/linux/fs" "$dir/repo/patches" "$dir/repo/mm-rmai" "$dir/repo/scripts"
cd "$dir/linux" || exit 1
echo "# Kbuild" >Kbuild
printf 'kernelversion:\n\t@echo 6.12.0\n' >Makefile
seq 1 40 >mm/mmap.c
seq 1 40 >fs/fcntl.c
touch -d '2020-01-01' Kbuild Makefile mm/mmap.c fs/fcntl.c

cd "$dir/repo" || exit 1
cp -r "$top/scripts/prepare" "$top/scripts/refresh" "$top/scripts/export" "$top/scripts/lib.sh" \
	"$top/scripts/config" scripts/
git init -q
git config user.name Tester
git config user.email tester@example.org
echo "int rmai;" >mm-rmai/core.c
echo "config RMAI" >Kconfig.rmai
make_patch() {	# make_patch NAME FILE SED: a patch on top of the series
	local d
	d=$(mktemp -d "$dir/patch.XXXXXX")
	mkdir -p "$d/a/${2%/*}" "$d/b/${2%/*}"
	cp "$KERNEL_SRC/$2" "$d/a/$2"
	[ -e patches/series ] && while read -r p; do
		grep -q "b/$2" "patches/$p" && patch -s -d "$d/a" -p1 -i "$PWD/patches/$p"
	done <patches/series
	sed "$3" "$d/a/$2" >"$d/b/$2"
	{
		printf 'From: A Person <a@example.org>\nDate: Mon, 2 Nov 2026 10:00:00 +0000\n'
		printf 'Subject: [PATCH] %s: why\n\nBecause of %s.\n\nSigned-off-by: A Person <a@example.org>\n---\n' "$1" "$1"
		echo " $2 | 2 +-"
		echo
		echo "diff --git a/$2 b/$2"
		(cd "$d" && diff -u "a/$2" "b/$2")
	} >"patches/$1.patch"
	echo "$1.patch" >>patches/series
}
make_patch 0001-mmap mm/mmap.c 's/^10$/ten/'
make_patch 0002-mmap-more mm/mmap.c 's/^30$/thirty/'
git add -A
git commit -q -m all
tree=$dir/cache/rmai/tree-linux
prepare() { scripts/prepare "$@"; }

has() { grep -qx "$1" "$2"; }
lacks() { ! grep -qx "$1" "$2"; }
same_dates() { [ "$(stat -c %Y "$tree"/mm/mmap.c "$tree"/mm/rmai/core.c)" = "$dates" ]; }

# dpkg's database is read, nothing is installed: every package is there or make check would not run
check "prepare makes a tree" prepare
check "it holds the patches" has ten "$tree/mm/mmap.c"
check "both of them" has thirty "$tree/mm/mmap.c"
check "and new files where they belong" has "int rmai;" "$tree/mm/rmai/core.c"
check "Kconfig.rmai is mm/rmai/Kconfig" has "config RMAI" "$tree/mm/rmai/Kconfig"
touch -d 2021-01-01 "$tree/mm/mmap.c" "$tree/mm/rmai/core.c"
dates=$(stat -c %Y "$tree"/mm/mmap.c "$tree"/mm/rmai/core.c)
touch mm-rmai/core.c
check "prepare again" prepare
check "what has not changed keeps its date" same_dates
echo "int more;" >mm-rmai/more.c
check "an uncommitted file comes along" prepare
check "it is there" test -f "$tree/mm/rmai/more.c"
rm mm-rmai/more.c
check "a removed file" prepare
check "vanishes" test ! -e "$tree/mm/rmai/more.c"
cp patches/series "$dir/series"
sed -i 2d patches/series
check "a patch taken out of the series" prepare
check "is out of the tree" lacks thirty "$tree/mm/mmap.c"
: >patches/series
check "the last patch taken out" prepare
check "leaves the pristine file" cmp "$tree/mm/mmap.c" "$KERNEL_SRC/mm/mmap.c"
cp "$dir/series" patches/series

sed -i.bak 's/^ 9$/ nine/' patches/0001-mmap.patch
check "a patch with fuzz is refused" fails "does not apply" prepare
mv patches/0001-mmap.patch.bak patches/0001-mmap.patch
echo "nowhere.patch" >>patches/series
check "a missing patch is refused" fails "nowhere.patch" prepare
cp "$dir/series" patches/series
mkdir -p include
echo x >"$dir/linux/include-me"
mkdir -p drivers && mkdir -p "$dir/linux/drivers" && echo old >"$dir/linux/drivers/old.c" && echo new >drivers/old.c
check "a new file that the kernel has is refused" fails "belong in patches" prepare
rm -r drivers "$dir/linux/drivers" "$dir/linux/include-me"
check "all is well again" prepare

sed -i 's/^20$/twenty/' "$tree/mm/mmap.c"
echo "int edited;" >>"$tree/mm/rmai/core.c"
check "edits in the tree: --strict refuses" fails "was edited in" prepare --strict
check "edits in the tree are kept" prepare
check "they are there still" has twenty "$tree/mm/mmap.c"
cp mm-rmai/core.c "$dir/core.c"
echo "int other;" >>mm-rmai/core.c
check "edits on both sides are refused" fails "edited both" prepare
check "refresh refuses them, too" fails "both sides" scripts/refresh
cp "$dir/core.c" mm-rmai/core.c
check "refresh" scripts/refresh
check "brings a new file's edit back" has "int edited;" mm-rmai/core.c
check "and a patched file's into the last patch that touches it" grep -qx +twenty patches/0002-mmap-more.patch
check "not into another" lacks +twenty patches/0001-mmap.patch
check "the patch keeps its message" has "Because of 0002-mmap-more." patches/0002-mmap-more.patch
check "the tree has no edits after that" prepare --strict
sed -i 's/^5$/five/' "$tree/fs/fcntl.c"
check "an edit that no patch owns is an error" fails "no patch touches it" scripts/refresh
check "--to makes a patch of it" scripts/refresh --to 0003-fcntl.patch
check "which is in the series" has 0003-fcntl.patch patches/series
check "and holds it" has +five patches/0003-fcntl.patch
echo "int fresh;" >"$tree/mm/rmai/fresh.c"
check "refresh finds a file made in the tree" scripts/refresh
check "and takes it" has "int fresh;" mm-rmai/fresh.c
rm -rf "$tree"
check "from nothing" prepare
check "the same tree comes out" has five "$tree/fs/fcntl.c"

check "export" scripts/export "$dir/mails"
apply_mails() {
	cp -a "$KERNEL_SRC" "$dir/am" && cd "$dir/am" && git init -q && git add -A &&
		git -c user.name=T -c user.email=t@example.org commit -q -m pristine &&
		rm "$dir"/mails/0000-* &&
		git -c user.name=T -c user.email=t@example.org am -q "$dir"/mails/*.patch &&
		diff -r -x .git -x .rmai "$dir/am" "$tree"
}
check "its mails make the prepared tree out of a pristine one" apply_mails
ktap_end

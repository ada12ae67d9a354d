#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scan-dmesg on lines that kernels print: bad ones are found, each alone, and good
# ones are not.
top=$(readlink -f "$(dirname "$0")/../..")
f=$(mktemp)
trap 'rm -f "$f"' EXIT
rc=0
while read -r line; do
	printf 'before\n[    1.0] %s\nafter\n' "$line" >"$f"
	if "$top/qemu/scan-dmesg" "$f" >/dev/null; then
		echo "not found: $line"
		rc=1
	fi
done <<'BAD'
BUG: unable to handle page fault for address: ffffffffff
kernel BUG at mm/rmap.c:1043!
WARNING: CPU: 0 PID: 1 at mm/rmai/fault.c:1 f+0x1/0x2
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: inconsistent lock state
WARNING: suspicious RCU usage
WARNING: Nested lock was not taken
BUG: KASAN: slab-use-after-free in f+0x1/0x2
BUG: sleeping function called from invalid context at mm/slab.h:1
BUG: scheduling while atomic: kworker/0:1/2/0x00000100
BUG: Bad page state in process a  pfn:1
BUG: Bad rss-counter state mm:1 type:MM_FILEPAGES val:1
BUG: workqueue leaked lock or atomic: kworker
INFO: task rmai:1 blocked for more than 60 seconds.
INFO: trying to register non-static key.
rcu: INFO: rcu_sched self-detected stall on CPU
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
watchdog: BUG: soft lockup - CPU#0 stuck for 22s!
general protection fault, probably for non-canonical address
Oops: 0000 [#1] SMP
Kernel panic - not syncing: sysrq triggered crash
UBSAN: array-index-out-of-bounds in a.c:1:1
ODEBUG: free active (active state 0) object: 1
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
unreferenced object 0xffff888100000000 (size 64):
list_add corruption. prev->next should be next
refcount_t: underflow; use-after-free.
BUG rmai_req (Not tainted): Objects remaining in rmai_req on __kmem_cache_shutdown()
VFS: Busy inodes after unmount of rmai. Self-destruct in 5 seconds.
a: page allocation failure: order:4, mode:0x1
pagealloc: memory corruption
pagealloc: single bit error
BAD
cat >"$f" <<'GOOD'
[    0.0] tsc: Unable to calibrate against PIT
[    1.0] rmai: node 2 is up
[    1.0] FAULT_INJECTION: forcing a failure.
[    1.0] sysrq: Show Blocked State
[    1.0] rdma_rxe: loaded
[    1.0] random: crng init done
GOOD
"$top/qemu/scan-dmesg" "$f" || { echo "found in a good log"; rc=1; }
# race ACCESS FRAME...: a report of KCSAN with that stack of one access
race() {
	echo "=================================================================="
	echo "BUG: KCSAN: data-race in $2 / tick"
	echo
	echo "$1 to 0xffff888006 of 4 bytes by task 66 on cpu 1:"
	shift
	printf ' %s+0x1/0x2\n' "$@"
	printf '\nread to 0xffff888006 of 4 bytes by task 67 on cpu 0:\n tick+0x1/0x2\n f+0x1/0x2\n\n'
	echo "value changed: 0x1 -> 0x2"
	echo "=================================================================="
}
others() {
	race write tock a b c d rmai_deep
	race "write (marked)" rmai_fetch_lock
	race write list_lru_add rmai_cached_list
}
for ours in "write: rmai_fetch_end" "write: xas_store xa_store rmai_fetch_end" \
	"assert no writes: rmai_fetch_end"; do
	# shellcheck disable=SC2086	# functions
	{ others; race "${ours%:*}" ${ours#*:}; race read a; } >"$f"
	if "$top/qemu/scan-dmesg" "$f" >/dev/null; then
		echo "not found: a race in $ours"
		rc=1
	fi
done
{ others; race read a; } >"$f"
"$top/qemu/scan-dmesg" "$f" || { echo "races of others are found"; rc=1; }
printf 'x\nWARNING: known\n' >"$f"
"$top/qemu/scan-dmesg" "--allow=WARNING: known" "$f" || { echo "--allow does not"; rc=1; }
exit $rc

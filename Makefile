# SPDX-License-Identifier: GPL-2.0
#
# "make help" tells what there is. Everything that is made goes to out/ and to the
# cache ($RMAI_CACHE, by default ~/.cache/rmai).

NODES ?= 3
FABRIC ?= rxe
ONLY ?=
V ?=
run = scripts/runtests $(if $(V),-v)

help:
	@echo "make demo                  MoE inference out of other machines' memory, in guests"
	@echo "make demo-finetune         a model is trained and published while others infer"
	@echo "make check                 all tests, on the base and the debug kernel"
	@echo "make check-base            those on the base kernel and on the host"
	@echo "make check-debug           those on the debug kernel"
	@echo "make quick                 those that need no guest"
	@echo "make kunit                 the kernel's unit tests"
	@echo "make fuzz                  the wire codec, with as many inputs as INPUTS says"
	@echo "make model                 the protocol, checked exhaustively"
	@echo "make bench [ONLY=NAME]     figures: faults, bandwidth against the raw fabric, ..."
	@echo "make shell [NODES=3]       a cluster with a console on each node [FABRIC=rxe|siw]"
	@echo "make check-kcsan           those for which data races matter, on a kernel that finds them"
	@echo "make kernel, kernel-debug  only build the kernels; the last line is the bzImage"
	@echo "make tools                 rmaictl and the example programs, into out/tools"
	@echo "make check-long            longer runs, and on the debug kernel what check leaves out"
	@echo "make check-size            CONFIG_RMAI=n leaves the size of vmlinux as it was"
	@echo "make export [OUT=DIR]      everything as mails for git am"
	@echo "make clean, distclean      remove out/; and all trees and kernels in the cache"
	@echo "ONLY=NAME picks tests by name for check*, too; V=1 shows their output."
	@echo "scripts/prepare, refresh and check are for working on the kernel."

demo: kernel tools
	tools/demo/demo.sh --fabric $(FABRIC)

demo-finetune: kernel tools
	@$(run) -v --no-build --fabric $(FABRIC) finetune

check: packages
	@$(run) $(ONLY)

check-base: packages
	@$(run) --kernel base $(ONLY)

check-debug: packages
	@$(run) --kernel debug $(ONLY)

check-kcsan: packages
	@$(run) --list selftests/kcsan.list $(ONLY)

check-long: packages
	@$(run) --list selftests/long.list $(ONLY)

quick: packages
	@$(run) --host --no-build $(ONLY)

kunit: packages
	@$(run) kunit

fuzz: packages
	@$(run) --no-build 'fuzz*'

model: packages
	@$(run) --list selftests/long.list --no-build model

bench: packages
	@$(run) -v --list selftests/bench/bench.list $(ONLY)

packages:
	@scripts/prepare --packages

kernel: packages
	@scripts/kernel base

kernel-debug: packages
	@scripts/kernel debug

# Each directory's own Makefile knows how; OUT is where
tools:
	@set -e; for m in tools/*/Makefile selftests/Makefile; do \
		[ -e $$m ] || continue; \
		$(MAKE) --no-print-directory -C $${m%/Makefile} OUT=$(CURDIR)/out/$${m%%/*} \
			OUTPUT=$(CURDIR)/out/$${m%%/*}; \
	done

shell: kernel tools
	qemu/shell --fabric $(FABRIC) $(NODES)

check-size: packages
	scripts/check --size

export: OUT ?= out/mails
export:
	scripts/export $(OUT)

clean:
	rm -rf out

distclean: clean
	@dir=$${RMAI_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/rmai}; \
	echo "Removing $$dir/tree* and $$dir/build-*; compiler cache and pristine source stay"; \
	rm -rf "$$dir"/tree* "$$dir"/build-*

.PHONY: help demo demo-finetune check check-base check-debug check-kcsan check-long quick kunit fuzz model bench packages \
	kernel kernel-debug tools shell check-size export clean distclean

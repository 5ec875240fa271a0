# SPDX-License-Identifier: GPL-2.0
# The front door. The work is done by tools/build, tools/vm, tools/run, tools/check, tools/bench,
# tools/compare.

.DEFAULT_GOAL := help
.NOTPARALLEL:

JOBS	?= $(shell nproc)
PORT	?= 8080
export JOBS KERNEL_SRC ACCEL DOCROOT PORT SMOKE SUITE DEBUG BENCH QUICK PROFILE COMPARE ONLY WIDE

define HELP
make run [DOCROOT=dir] [PORT=8080]   build everything, boot it in QEMU, serve the directory
make run SMOKE=1 [DOCROOT=dir]       the same, fetch and compare every file, power off
make check [SUITE=name]              all tests, or one suite ("make check SUITE=list" names them)
make bench [BENCH=name] [QUICK=1]    all benchmarks, or one ("make bench BENCH=list"); quick: fewer
                                     sizes and repeats (PROFILE=1: also where instructions go)
make compare [COMPARE=part] [WIDE=1] fsx's kin, stress-ng and the kernel's selftests on a pristine and
                                     on the patched kernel; WIDE=1: with more options in both

make tree       assemble the patched kernel tree in build/linux
make kernel     build it (DEBUG=1: the kernel with KASAN, lockdep and the like)
make series     export a series for "git am" to build/series, and check that it applies
make lib        build libiolite
make install    install library, headers, pkg-config and man pages (DESTDIR=, PREFIX=/usr/local)
make clean      remove build/; downloads and the compiler cache stay

KERNEL_SRC=dir  a Linux 7.3 tree of your own instead of Debian's package
JOBS=n          jobs of a build (default: one a processor)
ACCEL=tcg|kvm   how QEMU runs the guest (default: tcg, which works everywhere)

Logs are in build/logs. Downloads and the compiler cache are in $$XDG_CACHE_HOME/iolite
(default ~/.cache/iolite).
endef

help:
	$(info $(HELP))
	@:

setup:
	@tools/build/setup.sh

tree: setup
	@src=$$(tools/build/fetch.sh) && tools/build/tree.py "$$src"

kernel: tree
	@tools/build/kernel.sh $(if $(DEBUG),debug,prod)

series: tree
	@src=$$(tools/build/fetch.sh) && tools/build/series.py "$$src"

lib: setup
	@+tools/build/component.sh libiolite userspace/libiolite all

server: lib
	@+tools/build/component.sh server tools/httpd all

selftests: kernel
	@tools/build/selftests.sh

run:
	@tools/run/precheck.sh
	@+$(MAKE) --no-print-directory kernel server DEBUG=
	@tools/run/run.py

check: setup
	@tools/check/check.py

bench: kernel lib server
	@+tools/build/component.sh bench tools/bench all
	@tools/bench/bench.py

compare: setup
	@tools/build/setup.sh compare
	@+$(MAKE) --no-print-directory tree lib
	@src=$$(tools/build/fetch.sh) && tools/compare/pristine.sh "$$src"
	@tools/build/kernel.sh pristine$(if $(WIDE),-wide)
	@tools/build/kernel.sh $(if $(WIDE),wide,prod)
	@+tools/build/component.sh compare tools/compare all
	@tools/compare/compare.py

install: lib
	@+$(MAKE) --no-print-directory -s -C userspace/libiolite install \
		$(if $(DESTDIR),DESTDIR="$$(realpath -m "$(DESTDIR)")")

clean:
	rm -rf build

.PHONY: help setup tree kernel series lib server selftests run check bench compare install clean

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds the pristine kernel's selftests once, for both kernels, in build/compare/kselftest.

. "$(dirname "$0")/../build/common.sh"

tree=$build/pristine
installed=$build/compare/kselftest
made=$build/compare/kselftest.made
[ ! "$made" -nt "$tree.made-of" ] || [ ! "$made" -nt "$0" ] || exit 0

targets=(mm splice tmpfs memfd filesystems filesystems/epoll filesystems/eventfd
	filesystems/statmount exec mincore cachestat pipe proc net net/af_unix net/lib)
log=$logs/compare-selftests.log
say "building the kernel's selftests (log: $log)"
mkdir -p "$installed" "$logs"
rm -rf "$installed"
unset MAKEFLAGS MFLAGS
# Some programs need a compiler for BPF and are left out: what is missing in the end is
# seen by what uses it.
make -k -C "$tree/tools/testing/selftests" "TARGETS=${targets[*]}" \
	"O=$tree/out-pristine${WIDE:+-wide}" "INSTALL_PATH=$installed" \
	"-j${JOBS:-1}" install > "$log" 2>&1 < /dev/null ||
	[ -x "$installed/mm/cow" ] || die "building the selftests failed (log: $log)"
# Documentation and generators; large, and nothing here runs them
rm -rf "$installed/net/lib/ynl" "$installed/net/lib/specs" "$installed/net/ynl"
touch "$made"

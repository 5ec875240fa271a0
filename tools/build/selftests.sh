#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds the kernel's selftests of IO-Lite and installs them in build/kselftest.

. "$(dirname "$0")/common.sh"

made=$build/kselftest.made
[ ! "$made" -nt "$build/linux.made-of" ] || exit 0

log=$logs/selftests.log
touch "$made.new"
unset MAKEFLAGS MFLAGS
make -C "$build/linux/tools/testing/selftests" TARGETS=iolite \
	"KHDR_INCLUDES=-isystem $build/linux/out-prod/usr/include" \
	"OUTPUT=$build/kselftest.obj" "INSTALL_PATH=$build/kselftest" FORCE_TARGETS=1 \
	"-j${JOBS:-1}" install > "$log" 2>&1 < /dev/null ||
	die "building the selftests failed (log: $log)"
mv "$made.new" "$made"

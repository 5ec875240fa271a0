#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# pristine.sh PRISTINE: copies a pristine tree to build/pristine, so that the kernel to
# compare with is built there as the patched one is in build/linux.

. "$(dirname "$0")/../build/common.sh"

pristine=${1:?usage: pristine.sh PRISTINE}
record=$build/pristine.made-of
identity="$pristine $(stat -c %y "$pristine/Makefile")"
# A tree of the user's own may have changed anywhere; Debian's does not.
[ -n "${KERNEL_SRC:-}" ] || [ "$identity" != "$(cat "$record" 2> /dev/null)" ] || exit 0

need_space "$build" 3 "copying the pristine kernel"
say "copying $pristine to $build/pristine"
changed=$(rsync -ai --delete --exclude=.git --exclude='/out-*' "$pristine/" "$build/pristine/")
[ -z "$changed" ] && [ -e "$record" ] || echo "$identity" > "$record"

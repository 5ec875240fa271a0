#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# component.sh NAME DIR TARGET: makes one of the user-space parts, quietly, with a log.

. "$(dirname "$0")/common.sh"

name=$1 dir=$2 target=$3
mkdir -p "$logs"
log=$logs/$name.log
export PATH=/usr/lib/ccache:$PATH CCACHE_DIR=$cache/ccache
unset MAKEFLAGS MFLAGS
make -C "$root/$dir" "-j${JOBS:-1}" "$target" > "$log" 2>&1 < /dev/null || {
	grep -E 'error|Error ' "$log" | head -n 5 >&2
	die "building $name failed (log: $log)"
}

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What every step of the build shares. Sourced.

set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck disable=SC2034  # for those who source this
build=$root/build
# shellcheck disable=SC2034
logs=$build/logs
# shellcheck disable=SC2034
cache=${XDG_CACHE_HOME:-$HOME/.cache}/iolite
# shellcheck disable=SC2034
series=7.3	# the kernel that patches/ are made for

die()
{
	echo "iolite: $*" >&2
	exit 1
}

say()
{
	echo "== $*"
}

# need_space DIR GIGABYTES FOR
need_space()
{
	local dir=$1
	until [ -d "$dir" ]; do dir=$(dirname "$dir"); done
	local free
	free=$(($(df --output=avail -k "$dir" | tail -n 1) / 1048576))
	[ "$free" -ge "$2" ] ||
		die "$3 needs $2 GB below $1 and $free GB are free there: make room and try again"
}

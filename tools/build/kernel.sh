#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernel.sh prod|debug|off: builds build/linux as build/linux/out-prod, out-debug, or
# out-off, which is out-prod without CONFIG_IOLITE. For "make compare" there are more: pristine,
# which is out-prod of build/pristine, the tree without the patches; and wide and
# pristine-wide, which are prod and pristine with more options, so that more tests run.
#
# The object directory lies inside the tree: then the compiler sees relative
# paths only, and the compiler cache serves every clone.

. "$(dirname "$0")/common.sh"

usage="usage: kernel.sh prod|debug|off|pristine|wide|pristine-wide"
kind=${1:?$usage}
tree=$build/linux
log=$logs/kernel-$kind.log
jobs=${JOBS:-$(nproc)}

fragments=("$root/tools/vm/configs/prod.config")
edit=
without='s/^\(CONFIG_IOLITE[A-Z_]*\)=y/\1=n/'
case $kind in
prod)	label="production kernel" ;;
debug)	label="debug kernel"
	fragments+=("$root/tools/vm/configs/debug.config") ;;
off)	label="kernel without IO-Lite"
	edit=$without ;;
pristine) label="pristine kernel"
	edit=$without
	tree=$build/pristine ;;
wide)	label="kernel with more options"
	fragments+=("$root/tools/compare/wide.config") ;;
pristine-wide) label="pristine kernel with more options"
	fragments+=("$root/tools/compare/wide.config")
	edit=$without
	tree=$build/pristine ;;
*)	die "$usage" ;;
esac
out=$tree/out-$kind

up_to_date()
{
	local made=$out/.made source
	[ -e "$made" ] || return 1
	for source in "$tree.made-of" "${fragments[@]}"; do
		[ "$made" -nt "$source" ] || return 1
	done
}

up_to_date && exit 0

# Two builds of one kernel at a time would spoil each other.
mkdir -p "$out" "$logs"
exec 9> "$out/.lock"
flock -n 9 || { say "waiting for another build of the $label"; flock 9; }
up_to_date && exit 0

need_space "$build" 3 "building the $label"
export PATH=/usr/lib/ccache:$PATH CCACHE_DIR=$cache/ccache
unset MAKEFLAGS MFLAGS
make=(make -C "$tree" "O=$out" "-j$jobs")

# What several fragments set is as the last of them has it.
wanted()
{
	sed "$edit" "${fragments[@]}" | grep '^CONFIG_' | tac | awk -F= '!seen[$1]++' | tac
}

configure()
{
	"${make[@]}" tinyconfig
	wanted >> "$out/.config"
	"${make[@]}" olddefconfig
}

# Every option asked for must have come about: a missing dependency drops one silently.
check_config()
{
	local line option lost=()
	while IFS= read -r line; do
		option=${line%%=*}
		case $line in
		*=n) ! grep -q "^$option=" "$out/.config" || lost+=("$line") ;;
		*) grep -qxF "$line" "$out/.config" || lost+=("$line") ;;
		esac
	done < <(wanted)
	[ ${#lost[@]} = 0 ] || die "the $label cannot be configured with ${lost[*]} (log: $log)"
}

asked=$({ wanted; cat "$tree/mm/Kconfig.iolite" 2> /dev/null || :; } | sha256sum)
if [ "$asked" != "$(cat "$out/.asked" 2> /dev/null)" ]; then
	configure > "$log" 2>&1 || die "configuring the $label failed (log: $log)"
	check_config
	echo "$asked" > "$out/.asked"
fi

say "building the $label (log: $log)"
touch "$out/.making"
"$root/tools/build/progress.py" "$label" "$log" "$cache/objects-$kind" \
	"${make[@]}" bzImage headers 9>&-
mv "$out/.making" "$out/.made"

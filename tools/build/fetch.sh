#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Sees that a pristine kernel tree is there and prints its path: the user's own
# (KERNEL_SRC=) or that of Debian's package, unpacked once in the cache.

. "$(dirname "$0")/common.sh"

version_of()
{
	sed -n 's/^VERSION = //p; s/^PATCHLEVEL = //p' "$1/Makefile" | paste -sd .
}

if [ -n "${KERNEL_SRC:-}" ]; then
	[ -f "$KERNEL_SRC/Kbuild" ] ||
		die "KERNEL_SRC=$KERNEL_SRC is not a kernel tree: name a directory with Linux $series in it"
	[ "$(version_of "$KERNEL_SRC")" = "$series" ] ||
		die "KERNEL_SRC=$KERNEL_SRC is Linux $(version_of "$KERNEL_SRC") and the patches are for $series: check out v$series there or leave KERNEL_SRC out"
	[ ! -e "$KERNEL_SRC/.config" ] ||
		die "KERNEL_SRC=$KERNEL_SRC was built in: run \"make mrproper\" there first"
	realpath "$KERNEL_SRC"
	exit 0
fi

package=linux-source-$series
suite=trixie-backports
tree=$cache/linux-$series

if [ -e "$tree/Kbuild" ]; then
	echo "$tree"
	exit 0
fi

mkdir -p "$cache" "$logs"
exec 3>&1 1>&2
log=$logs/fetch.log
: > "$log"

# Lists of this build's own: no privilege needed, the system's untouched.
work=$cache/apt
apt()
{
	apt-get -q -o "Dir::State::Lists=$work/lists" -o Dir::Cache::pkgcache= \
		-o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root -o Debug::NoLocking=true "$@"
}

# Succeeds only if every list came: apt-get takes a mirror that does not answer for a warning.
apt_update()
{
	apt "$@" update > "$log" 2>&1 && ! grep -q '^Err:\|^W: Failed' "$log"
}

# The mirror that this machine uses for its own release
mirror()
{
	local codename
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	# shellcheck disable=SC2016  # apt-get expands these
	"$1" indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v codename="$codename" '$2 == codename && $3 == "main" { print $1; exit }'
}

download()
{
	need_space "$cache" 1 "downloading the kernel source"
	mkdir -p "$work/lists/partial" "$work/partial"
	say "downloading $package (log: $log)"
	local site
	site=$(mirror apt-get)
	# A machine whose lists were never fetched, as in a container, does not tell.
	if [ -z "$site" ]; then
		apt_update || true
		site=$(mirror apt)
	fi
	[ -n "$site" ] ||
		die "apt knows no mirror of Debian that answers, is there a network? See $log, then try again or give KERNEL_SRC="

	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site $suite main" \
		> "$work/sources.list"
	local ours=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=-)
	apt_update "${ours[@]}" ||
		die "the list of $suite cannot be had from $site, is there a network? See $log, then try again or give KERNEL_SRC="
	(cd "$work/partial" && apt "${ours[@]}" download "$package") >> "$log" 2>&1 ||
		die "$suite has no $package that can be had from $site: see $log or give KERNEL_SRC="
	mv "$work/partial/$package"_*.deb "$work/"
}

find_deb()
{
	find "$cache/apt" -maxdepth 1 -name "${package}_*.deb" 2> /dev/null | sort | tail -n 1
}

[ -n "$(find_deb)" ] || download
need_space "$cache" 3 "unpacking the kernel source"
say "unpacking $(basename "$(find_deb)")"
rm -rf "$tree.new"
mkdir "$tree.new"
dpkg-deb --fsys-tarfile "$(find_deb)" |
	tar -xO "./usr/src/$package.tar.xz" | tar -xJ -C "$tree.new" --strip-components=1
mv "$tree.new" "$tree"
echo "$tree" >&3

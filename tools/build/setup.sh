#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Installs the Debian packages that the build and the tests need and that are missing;
# "setup.sh compare" those that "make compare" needs besides.

. "$(dirname "$0")/common.sh"

packages=(
	# the kernel
	gcc libc6-dev make bison flex bc libelf-dev rsync patch git xz-utils python3 ccache
	ca-certificates debian-archive-keyring
	# library and server
	pkg-config liburing-dev libhttp-parser-dev
	# the guest, and what runs in it
	qemu-system-x86 e2fsprogs xfsprogs btrfs-progs dosfstools iproute2 mount util-linux procps
	# benchmarks
	libabsl-dev
	# clients and checks
	curl wrk netbase shellcheck python3-sphinx python3-yaml g++ man-db binutils
	spin
)
# the programs that are compared, and what the kernel's selftests are built with
[ "${1:-}" != compare ] || packages+=(stress-ng fio libfuse-dev libnuma-dev libcap-dev)

case $root in
*[[:space:]:]*) die "the kernel cannot be built below \"$root\": move the checkout to a path without blanks and colons" ;;
esac

command -v dpkg-query > /dev/null ||
	die "this builds on Debian 12 or newer, with its packages: use such a machine or container"

missing=()
for package in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] ||
		missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
	as_root=(sudo)
	# Without a terminal nobody can answer sudo's question.
	[ -t 0 ] || as_root=(sudo -n)
	"${as_root[@]}" true 2> /dev/null ||
		die "packages are missing, ask an administrator for: apt-get install ${missing[*]}"
fi

mkdir -p "$logs"
say "installing ${missing[*]} (log: $logs/setup.log)"
apt()
{
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Use-Pty=0 "$@" \
		>> "$logs/setup.log" 2>&1 < /dev/null
}
: > "$logs/setup.log"
apt update ||
	die "apt-get update failed, is there a network? See $logs/setup.log, then try again"
apt install --no-install-recommends "${missing[@]}" ||
	die "apt-get install failed, see $logs/setup.log, mend it and try again"

#!/bin/sh
# SPDX-License-Identifier: MIT
# What make install leaves is enough to build and run a program.
cd "$(dirname "$0")/.." || exit 1
. tests/tap.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
root=$dir/root lib=/opt/iol/lib64

make -s install BUILD="$BUILD" DESTDIR="$root" PREFIX=/opt/iol LIBDIR=$lib > "$dir/log" 2>&1
ok $? "make install"
sed 's/^/# /' "$dir/log"
(cd "$root" && find . -type f -o -type l) | sed -n '/^\.\/opt\/iol\//!p' > "$dir/astray"
[ ! -s "$dir/astray" ]
ok $? "nothing lies outside of PREFIX"
[ -f "$root/opt/iol/share/man/man7/iolite.7" ]
ok $? "the man pages are there"

cat > "$dir/hello.c" << 'EOF'
#include <iolite.h>
#include <linux/errno.h>
#include <string.h>
int main(void)
{
	struct iolite *io;
	int ret = iol_open(&io, 8);

	if (!ret)
		iol_close(io);
	/* IO-Lite, a kernel without it, or a machine that forbids io_uring */
	return ret && ret != -EOPNOTSUPP && ret != -ENOSYS && ret != -EPERM;
}
EOF
export PKG_CONFIG_PATH="$root$lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
if command -v pkg-config > /dev/null; then
	flags=$(pkg-config --cflags --libs libiolite)
	ok $? "pkg-config finds the library and liburing"
else
	skip "no pkg-config"
	flags="-I$root/opt/iol/include -L$root$lib -liolite -luring"
fi
# shellcheck disable=SC2086
${CC:-cc} -std=c11 -Wall -Wextra -Werror "$dir/hello.c" -o "$dir/shared" $flags
ok $? "a program links with the shared library"
LD_LIBRARY_PATH="$root$lib" "$dir/shared"
ok $? "and runs"
# shellcheck disable=SC2086
${CC:-cc} "$dir/hello.c" -o "$dir/static" -I"$root/opt/iol/include" \
	"$root$lib/libiolite.a" -luring && "$dir/static"
ok $? "a program links with the static library and runs"

sed -n '/^```c$/,/^```$/{/^```/d;p}' README.md > "$dir/readme.c"
${CC:-cc} -Wall -Wextra -Werror -I"$root/opt/iol/include" -c "$dir/readme.c" -o "$dir/readme.o"
ok $? "the program in the README compiles"
finish

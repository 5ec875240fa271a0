#!/bin/sh
# SPDX-License-Identifier: MIT
# Header, version script, library and man pages name the same calls.
cd "$(dirname "$0")/.." || exit 1
. tests/tap.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Declared, and the inline functions beside them
sed -n 's/^[a-z].*[ *]\(iol_[a-z_]*\)(.*/\1/p; s/^extern .* \(iol_[a-z_]*\);/\1/p' \
	include/iolite.h | sort > "$dir/header"
grep -A1 '^static inline' include/iolite.h |
	sed -n 's/^static.*[ *]\(iol_[a-z_]*\)(.*/\1/p' | sort > "$dir/inline"
comm -23 "$dir/header" "$dir/inline" > "$dir/declared"
sed -n 's/^\t*\(iol_[a-z_]*\);/\1/p' libiolite.map | sort > "$dir/map"
nm -D --defined-only "$BUILD/libiolite.so" |
	sed -n 's/.* [A-Z] \(iol_.*\)@@LIBIOLITE_.*/\1/p' | sort > "$dir/library"
nm -D --defined-only "$BUILD/libiolite.so" | grep -v 'LIBIOLITE_' > "$dir/unversioned"

same "the version script has what the header declares" "$dir/declared" "$dir/map"
same "the library exports what the version script has" "$dir/map" "$dir/library"
[ ! -s "$dir/unversioned" ]
ok $? "every exported symbol has a version"
[ -s "$dir/inline" ]
ok $? "inline functions were found"

# Two helpers and a variable that other pages explain have none of their own.
grep -vx 'iol_first_op\|iol_prep\|iol_prep_edit' "$dir/header" > "$dir/documented"
ls man | sed -n 's/\.3$//p' | sort > "$dir/pages"
same "every call has a man page, every man page a call" "$dir/documented" "$dir/pages"

readelf -d "$BUILD/libiolite.so" | grep -q 'SONAME.*\[libiolite.so.1\]'
ok $? "the library's name is libiolite.so.1"
finish

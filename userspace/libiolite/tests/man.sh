#!/bin/sh
# SPDX-License-Identifier: MIT
# The man pages format without warnings, and belong together.
cd "$(dirname "$0")/.." || exit 1
. tests/tap.sh
out=$(mktemp)
trap 'rm -f "$out"' EXIT

for page in man/*.[37]; do
	target=$(sed -n 's/^\.so man3\///p' "$page")
	if [ -n "$target" ]; then
		name=$(basename "$page" .3)
		[ -f "man/$target" ] && grep -q "^\.BI.* $name(\|^\.BI.*\*$name(" "man/$target" &&
			sed -n '/^\.SH NAME/,/^\.SH SYNOPSIS/p' "man/$target" | grep -qw "$name"
		ok $? "$page leads to a page that names it and shows its prototype"
		continue
	fi
	if command -v mandoc > /dev/null; then
		mandoc -T lint -W warning "$page" > "$out" 2>&1
	else
		man --warnings=w -E UTF-8 -l -Tutf8 -Z "$page" 2> "$out" > /dev/null
	fi
	sed 's/^/# /' "$out"
	[ ! -s "$out" ]
	ok $? "$page formats without warnings"

	# What it refers to is there, where it is ours.
	missing=
	for ref in $(sed -n 's/^\.BR \(iol[a-z_]*\) (\([37]\)).*/\1.\2/p' "$page"); do
		[ -f "man/$ref" ] || missing="$missing $ref"
	done
	[ -z "$missing" ] || echo "# missing:$missing"
	[ -z "$missing" ]
	ok $? "$page refers to pages that exist"
done
finish

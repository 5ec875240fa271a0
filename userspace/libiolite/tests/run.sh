#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs the TAP programs given, shows what they say, and ends in one line:
# N passed, N failed, N skipped.
export LC_ALL=C
out=$(mktemp)
trap 'rm -f "$out"' EXIT
passed=0 failed=0 skipped=0

for t in "$@"; do
	name=${t##*/}
	echo "# $name"
	# 124 is timeout's own status
	timeout "${TIMEOUT:-300}" "$t" > "$out" 2>&1
	status=$?
	cat "$out"
	f=$(grep -c '^not ok' "$out")
	s=$(grep -c '^ok.*# SKIP' "$out")
	p=$(($(grep -c '^ok' "$out") - s))
	# A program that died, or left out its plan, has failed whatever it said.
	if [ "$f" -eq 0 ] && { [ $status -ne 0 ] || ! grep -q "^1\.\.$((p + s))\$" "$out"; }; then
		echo "not ok - $name ended with status $status"
		f=1
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

# SPDX-License-Identifier: MIT
# Sourced by the shell tests; see tap.h.
export LC_ALL=C
n=0 failures=0

# ok COMMAND-STATUS NAME
ok() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failures=$((failures + 1))
	fi
}

# same NAME EXPECTED-FILE SEEN-FILE
same() {
	diff "$2" "$3" | sed 's/^/# /'
	cmp -s "$2" "$3"
	ok $? "$1"
}

skip() {
	n=$((n + 1))
	echo "ok $n # SKIP $1"
}

finish() {
	echo "1..$n"
	exit $((failures != 0))
}

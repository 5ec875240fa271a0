#!/bin/bash
# SPDX-License-Identifier: MIT
# All tests of the server on the machine that it runs on, in a directory that
# changes while it is served; then that nothing is left of it. Prints TAP.

here=$(dirname "$(realpath "$0")")
server=${SERVER:-$here/../../../build/httpd/iolite-httpd}
work=$(mktemp -d) || exit
limits=(--header-timeout 5 --idle-timeout 6 --send-timeout 5 --max-requests 300
	--max-connections 1200)

# or packets that were sent wait on another processor for the next one there, and hold memory
{ echo 0 > /proc/sys/net/core/skb_defer_max; } 2> /dev/null

"$here/run.py" --make-docroot "$work/www" || exit
"$server" --root "$work/www" --bind 127.0.0.1 --port 8080 --stats-port 8081 --threads 2 \
	--access-log "$work/access.log" "${limits[@]}" 2> "$work/server" &
pid=$!
sleep 1
"$here/run.py" --url http://127.0.0.1:8080 --docroot "$work/www" --live --pid $pid \
	--stats-url http://127.0.0.1:8081/ --access-log "$work/access.log" "${limits[@]}" "$@"
status=$?
kill $pid 2> /dev/null
wait $pid || { echo "# exit status $?"; echo "not ok 1000 - the server ends well"; status=1; }
sed 's/^/# /' "$work/server"

# What --file-valid allows to be believed is, and no longer.
echo first > "$work/www/valid.txt"
"$server" --root "$work/www" --bind 127.0.0.1 --port 8082 --threads 1 --file-valid 10 \
	2>> "$work/server" &
pid=$!
seen()
{
	curl --silent --retry 5 --retry-connrefused --max-time 10 http://127.0.0.1:8082/valid.txt
}
at_first=$(seen)
echo second > "$work/www/valid.new" && mv "$work/www/valid.new" "$work/www/valid.txt"
soon=$(seen)
sleep 11
later=$(seen)
if [ "$at_first $soon $later" = "first first second" ]; then
	echo "ok 1002 - a file is believed for --file-valid seconds"
else
	echo "# at first \"$at_first\", soon \"$soon\", later \"$later\""
	echo "not ok 1002 - a file is believed for --file-valid seconds"
	status=1
fi
kill $pid && wait $pid

left()
{
	for name in buffers aggregates nodes slots pools pool_pages file_pages; do
		value=$(cat /sys/kernel/mm/iolite/$name 2> /dev/null) && [ "$value" = 0 ] ||
			echo -n "$name $value "
	done
}
# what the network still holds goes when it was acknowledged
for _ in {1..50}; do
	[ -z "$(left)" ] && break
	sleep 0.2
done
if [ -n "$(left)" ]; then
	echo "# $(left)"
	echo "not ok 1001 - the kernel keeps nothing of it"
	status=1
else
	echo "ok 1001 - the kernel keeps nothing of it"
fi
rm -rf "$work"
exit $status

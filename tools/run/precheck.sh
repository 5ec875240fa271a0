#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What "make run" can know to be wrong before it builds anything.

. "$(dirname "$0")/../build/common.sh"

port=${PORT:-8080}

if [ -n "${DOCROOT:-}" ]; then
	[ -d "$DOCROOT" ] || die "DOCROOT=$DOCROOT is no directory: name the one to be served"
	if [ ! -r "$DOCROOT" ] || [ ! -x "$DOCROOT" ]; then
		die "DOCROOT=$DOCROOT cannot be read: change its permissions or name another directory"
	fi
fi
if ! [[ $port =~ ^[0-9]{1,5}$ ]] || [ "$port" -lt 1 ] || [ "$port" -gt 65535 ]; then
	die "PORT=$port is no port: give a number from 1 to 65535"
fi
if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then
	die "port $port is in use: stop its owner or give another, as in PORT=8081"
fi
[ -e "$build/linux.made-of" ] || need_space "$build" 6 "the first build"

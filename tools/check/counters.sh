#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs the workload of counters.c, in the guest: 16 folios of one page, and one large folio.

set -e
mkdir /tmp/tmpfs /tmp/ext4
truncate -s 64M /tmp/disk
mkfs.ext4 -q /tmp/disk
mount -o loop /tmp/disk /tmp/ext4
"$(dirname "$0")/../../build/check/counters" /tmp/tmpfs 16 /tmp/ext4 1

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Runs in the guest: the programs NUMBER.run of the job directory, one after the other.
# compare.py has put before it: first, last, bin, selftests (a directory or nothing), and
# holder (1: IO-Lite is busy with the same files).

: "${first:?}" "${last:?}" "${bin:?}"
export job=/run/job bin fs=/tmp/fs kselftest=/tmp/fs/ext4/kselftest
mkdir -p $fs/tmpfs $fs/ext4 $fs/xfs $fs/btrfs
mount -t tmpfs -o size=1G tmpfs $fs/tmpfs
truncate -s 1G /tmp/{ext4,xfs,btrfs}.img
mkfs.ext4 -q -F -b 4096 -E lazy_itable_init=1 /tmp/ext4.img
mkfs.xfs -q -f /tmp/xfs.img
mkfs.btrfs -q -f /tmp/btrfs.img
mount -o loop /tmp/ext4.img $fs/ext4
mount -o loop /tmp/xfs.img $fs/xfs
mount -o loop /tmp/btrfs.img $fs/btrfs
chmod 1777 $fs/*

# remount FILE-SYSTEM: what is on the disk is all that is left of its files.
remount()
{
	[ "$1" != tmpfs ] || return 0
	local tries=50
	# Whoever looks at open files has one open for a moment.
	until umount "$fs/$1"; do
		[ $((tries--)) -gt 0 ] || return 1
		sleep 0.1
	done
	mount -o loop "/tmp/$1.img" "$fs/$1"
}
export -f remount

if [ -n "$selftests" ]; then
	# They write to where they are, and some want a file system with a disk.
	cp -r "$selftests" $kselftest
	echo 64 > /proc/sys/vm/nr_hugepages
fi
if [ -n "$holder" ]; then
	"$bin/holder" $fs/* > $job/holder.out 2>&1 &
	holder_pid=$!
fi

cd /tmp || exit
for ((n = first; n < last; n++)); do
	read -r name limit < $job/$n.name
	echo "compare: begin ${name//%/ }" > /dev/kmsg
	date +%s > $job/$n.begun
	timeout -k 5 "$limit" bash $job/$n.run > $job/$n.out 2>&1 < /dev/null
	echo $? > $job/$n.new
	mv $job/$n.new $job/$n.status
	rm -rf /tmp/tmp.*
done

if [ -n "$holder" ]; then
	echo "compare: begin holder" > /dev/kmsg
	kill "$holder_pid"
	wait "$holder_pid"
	echo $? > $job/holder.status
	grep . /sys/kernel/mm/iolite/* > $job/iolite
fi

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Process 1 of the guest. The root is the host's file tree, read-only; this gives
# it places to write to, a network, and runs the job that the host left in the
# job share. The job's exit status goes back by the same share.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/tmp LC_ALL=C.UTF-8

power_off()
{
	echo 1 > /proc/sys/kernel/sysrq
	echo o > /proc/sysrq-trigger
	# Process 1 must not end before that, and can start no program any more.
	read -r _ <> /run/never
}

mount -t proc proc /proc
mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd

# The checkout may lie below a directory that gets a tmpfs: keep it in sight.
checkout=$(sed -n 's/.* iolite_checkout=\([^ ]*\).*/\1/p' /proc/cmdline)
mount -t tmpfs tmpfs /mnt
mkdir /mnt/checkout
mount --bind "$checkout" /mnt/checkout
for dir in /run /tmp /var/tmp; do
	mount -t tmpfs tmpfs "$dir"
done
chmod 1777 /tmp /var/tmp /dev/shm
mkfifo /run/never
if [ ! -e "$checkout/tools/vm/init.sh" ]; then
	mkdir -p "$checkout"
	mount --bind /mnt/checkout "$checkout"
fi
umount -l /mnt

# cache=none: host and guest look at the same file while both are running
mkdir -p /run/job
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none job /run/job || power_off

mount -t debugfs debug /sys/kernel/debug 2>/dev/null
mount -t tracefs trace /sys/kernel/tracing 2>/dev/null
mount -t cgroup2 cgroup /sys/fs/cgroup 2>/dev/null
ulimit -l unlimited
ulimit -n 65536

ip link set lo up
if [ -e /run/job/network ]; then
	read -r address gateway < /run/job/network
	ip address add "$address" dev eth0
	ip link set eth0 up
	[ -z "$gateway" ] || ip route add default via "$gateway"
fi

cd "$checkout" || power_off
setsid bash /run/job/job.sh > /run/job/output 2>&1 < /dev/null
status=$?

# What nobody points to any more after two scans is a leak; objects younger than
# five seconds are not looked at.
if [ -e /run/job/want-kmemleak ] && [ -e /sys/kernel/debug/kmemleak ]; then
	sleep 6
	echo scan > /sys/kernel/debug/kmemleak
	sleep 6
	echo scan > /sys/kernel/debug/kmemleak
	cat /sys/kernel/debug/kmemleak > /run/job/kmemleak
fi

echo $status > /run/job/status
sync
power_off

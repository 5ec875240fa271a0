// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel does to cached pages by itself, each followed by a write: none
 * of it changes a byte of the file.
 */
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iolite_ways.h"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

static int then_write(struct subject *s, const char *other)
{
	return result(pwrite(s->fd, other, s->len, s->off), s->len);
}

static void load(const char *map)
{
	int off;

	for (off = 0; off < SIZE; off += PAGE)
		*(volatile const char *)(map + off);
}

/* What madvise(2) does to pages that are mapped; it may well refuse, as to busy ones */
static int advised(struct subject *s, int advice, int off, int len)
{
	char *map = map_file(s, PROT_READ);
	int ret;

	if (!map)
		return -errno;
	load(map);
	ret = madvise(map + off, len, advice);
	if (ret && (errno == EINVAL || errno == ENOSYS || errno == EPERM))
		ret = -EOPNOTSUPP;
	else
		ret = 0;
	munmap(map, MAP_SIZE);
	return ret;
}

static int pageout(struct subject *s, const char *other)
{
	int ret = advised(s, MADV_PAGEOUT, 0, MAP_SIZE);

	return ret ? ret : then_write(s, other);
}

/* Moves the pages elsewhere, and is done with the ones that they were on */
static int soft_offline(struct subject *s, const char *other)
{
	int ret = advised(s, MADV_SOFT_OFFLINE, s->off & ~(off_t)(PAGE - 1), PAGE);

	return ret ? ret : then_write(s, other);
}

static int remove_by_madvise(struct subject *s, const char *other)
{
	off_t off = s->off & ~(off_t)(PAGE - 1);
	size_t len = off + 2 * PAGE > MAP_SIZE ? PAGE : 2 * PAGE;
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	int ret;

	if (!map)
		return -errno;
	load(map);
	ret = result(madvise(map + off, len, MADV_REMOVE), 0);
	munmap(map, MAP_SIZE);
	return ret;
}

static int drop_from_cache(struct subject *s, const char *other)
{
	int ret = -fs_cold(s->fd);

	return ret ? -ret : then_write(s, other);
}

static int compact(struct subject *s, const char *other)
{
	int ret = write_file("/proc/sys/vm/compact_memory", "1");

	return ret ? ret : then_write(s, other);
}

/* The write waits until the file system is thawed */
static int freeze(struct subject *s, const char *other)
{
	int dir = open(fs_dir(s->fs), O_RDONLY), status, ret;
	pid_t pid;

	ret = result(ioctl(dir, FIFREEZE, 0), 0);
	if (ret) {
		close(dir);
		return ret;
	}
	pid = fork();
	if (!pid)
		_exit(then_write(s, other) ? 1 : 0);
	usleep(20000);
	ret = pid < 0 || waitpid(pid, &status, WNOHANG) ? -EIO : 0;
	ioctl(dir, FITHAW, 0);
	close(dir);
	if (!ret && (waitpid(pid, &status, 0) != pid || status))
		ret = -EIO;
	return ret;
}

static int remount(struct subject *s, const char *other)
{
	int ret = result(mount(NULL, fs_dir(s->fs), NULL, MS_REMOUNT | MS_NOATIME, NULL), 0);

	return ret ? ret : then_write(s, other);
}

const struct way mm_ways[] = {
	{ .name = "MADV_PAGEOUT and write", .change = pageout, .exact = true },
	{ .name = "MADV_SOFT_OFFLINE and write", .change = soft_offline },
	{ .name = "MADV_REMOVE", .change = remove_by_madvise, .not_on = BIT_OF(FS_VFAT) },
	{ .name = "drop from the cache and write", .change = drop_from_cache, .exact = true },
	{ .name = "compaction and write", .change = compact, .once = true },
	{ .name = "freeze", .change = freeze, .once = true,
	  .not_on = BIT_OF(FS_TMPFS) | BIT_OF(FS_HUGE) | BIT_OF(FS_OVERLAY) |
		    BIT_OF(FS_VFAT) },
	{ .name = "remount and write", .change = remount, .once = true },
	{ }
};

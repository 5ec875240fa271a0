// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "iolite_fs.h"

#define TOP	"/tmp"

struct fs_state {
	const char	*name;
	const char	*mkfs;		/* NULL: needs no device */
	const char	*image_size;	/* the least that mkfs accepts */
	const char	*dir;
	char		missing[128];
};

static struct fs_state fs_states[FS_NR] = {
	[FS_TMPFS] = { "tmpfs", NULL, NULL, TOP },
	[FS_HUGE]  = { "tmpfs", NULL, NULL, TOP "/huge" },
	[FS_EXT4]  = { "ext4", "mkfs.ext4 -F -b 4096 -E lazy_itable_init=1", "64M", TOP "/ext4" },
	[FS_XFS]   = { "xfs", "mkfs.xfs -f", "300M", TOP "/xfs" },
};

static bool mount_fs(const struct fs_state *f)
{
	char command[512];

	if (mkdir(f->dir, 0755))
		return false;
	if (!f->mkfs)
		return !mount("iolite", f->dir, f->name, 0, "huge=always");
	snprintf(command, sizeof(command),
		 "cd %s; (truncate -s %s ../%s.img && %s ../%s.img && mount -o loop ../%s.img .) >/dev/null 2>&1",
		 f->dir, f->image_size, f->name, f->mkfs, f->name, f->name);
	return system(command) == 0;
}

/* Loop devices are let go by the kernel when the namespace goes with its last process */
static bool private_tmpfs(void)
{
	return !unshare(CLONE_NEWNS) &&
	       !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("iolite", TOP, "tmpfs", 0, "size=90%");
}

void fs_mount_all(void)
{
	bool own = geteuid() == 0 && private_tmpfs();
	struct statfs st;
	int i;

	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	if (!own && (statfs("/dev/shm", &st) || access("/dev/shm", W_OK)))
		snprintf(fs_states[FS_TMPFS].missing, sizeof(fs_states[0].missing),
			 "no tmpfs: /dev/shm is not writable");
	if (!own)
		fs_states[FS_TMPFS].dir = "/dev/shm";

	for (i = FS_TMPFS + 1; i < FS_NR; i++) {
		struct fs_state *f = &fs_states[i];

		if (!own)
			snprintf(f->missing, sizeof(f->missing), "%s: needs root", f->name);
		else if (!mount_fs(f))
			snprintf(f->missing, sizeof(f->missing), "%s: %s", f->name, f->mkfs ?
				 "no mkfs, no loop device or not in the kernel" :
				 "the kernel has no huge pages");
	}
}

const char *fs_missing(enum fs fs)
{
	return fs_states[fs].missing[0] ? fs_states[fs].missing : NULL;
}

int fs_file(enum fs fs, int flags, char *path)
{
	char name[PATH_MAX];
	int fd;

	snprintf(name, sizeof(name), "%s/iolite-XXXXXX", fs_states[fs].dir);
	fd = mkostemp(name, flags);
	if (fd < 0)
		return -errno;
	if (path)
		memcpy(path, name, sizeof(name));
	else
		unlink(name);
	return fd;
}

int fs_cold(int fd)
{
	return fsync(fd) ? -errno : -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

int fs_drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	int ret = 0;

	if (fd < 0)
		return -errno;
	sync();
	if (write(fd, "3", 1) != 1)
		ret = -errno;
	close(fd);
	return ret;
}

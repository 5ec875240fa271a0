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
#include <sys/swap.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "iolite_fs.h"

#define TOP	"/tmp"

struct fs_state {
	const char	*type;
	const char	*mkfs;		/* NULL: needs no device */
	const char	*image_size;	/* enough for mkfs, and for all tests of a program */
	const char	*options;	/* of mount */
	char		dir[32];
	char		missing[128];
};

const char * const fs_names[FS_NR] = {
	[FS_TMPFS] = "tmpfs",
	[FS_HUGE] = "huge",
	[FS_EXT4] = "ext4",
	[FS_XFS] = "xfs",
	[FS_EXT4_1K] = "ext4_1k",
	[FS_EXT4_JOURNAL] = "ext4_journal",
	[FS_EXT4_NODELALLOC] = "ext4_nodelalloc",
	[FS_EXT2] = "ext2",
	[FS_BTRFS] = "btrfs",
	[FS_VFAT] = "vfat",
	[FS_OVERLAY] = "overlay",
};

#define MKFS_EXT4	"mkfs.ext4 -F -E lazy_itable_init=1 -b "

static struct fs_state fs_states[FS_NR] = {
	[FS_TMPFS] = { "tmpfs", .dir = TOP },
	[FS_HUGE]  = { "tmpfs", .options = "huge=always" },
	[FS_EXT4]  = { "ext4", MKFS_EXT4 "4096", "300M", "loop" },
	[FS_XFS]   = { "xfs", "mkfs.xfs -f", "320M", "loop" },
	[FS_EXT4_1K] = { "ext4", MKFS_EXT4 "1024", "300M", "loop" },
	[FS_EXT4_JOURNAL] = { "ext4", MKFS_EXT4 "4096", "300M", "loop,data=journal" },
	[FS_EXT4_NODELALLOC] = { "ext4", MKFS_EXT4 "4096", "300M", "loop,nodelalloc" },
	[FS_EXT2]  = { "ext2", "mkfs.ext2 -F -b 4096", "300M", "loop" },
	[FS_BTRFS] = { "btrfs", "mkfs.btrfs -f", "400M", "loop" },
	[FS_VFAT]  = { "vfat", "mkfs.vfat -F 32", "300M", "loop" },
	[FS_OVERLAY] = { "overlay", .options =
		"lowerdir=" TOP "/ext4/l,upperdir=" TOP "/ext4/u,workdir=" TOP "/ext4/w" },
};

static bool shell(const char *command)
{
	return system(command) == 0;
}

static bool make_fs(enum fs fs)
{
	const struct fs_state *f = &fs_states[fs];
	char command[256];

	if (fs == FS_OVERLAY)
		return !mkdir(TOP "/ext4/l", 0755) && !mkdir(TOP "/ext4/u", 0755) &&
		       !mkdir(TOP "/ext4/w", 0755);
	if (!f->mkfs)
		return true;
	snprintf(command, sizeof(command), "(truncate -s %s %s.img && %s %s.img) >/dev/null 2>&1",
		 f->image_size, f->dir, f->mkfs, f->dir);
	return shell(command);
}

static bool mount_fs(enum fs fs)
{
	const struct fs_state *f = &fs_states[fs];
	char command[256];

	snprintf(command, sizeof(command), "mount -t %s -o %s %s%s %s >/dev/null 2>&1", f->type,
		 f->options, f->mkfs ? f->dir : "iolite", f->mkfs ? ".img" : "", f->dir);
	return shell(command);
}

/* Loop devices are let go by the kernel when the namespace goes with its last process */
static bool private_tmpfs(void)
{
	return !unshare(CLONE_NEWNS) &&
	       !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("iolite", TOP, "tmpfs", 0, "size=90%");
}

static bool own;	/* mount namespace */

void fs_mount(enum fs fs)
{
	struct fs_state *f = &fs_states[fs];

	snprintf(f->dir, sizeof(f->dir), TOP "/%s", fs_names[fs]);
	if (!own)
		snprintf(f->missing, sizeof(f->missing), "%s: needs root", fs_names[fs]);
	else if (mkdir(f->dir, 0755) || !make_fs(fs) || !mount_fs(fs))
		snprintf(f->missing, sizeof(f->missing), "%s: %s", fs_names[fs], f->mkfs ?
			 "no mkfs, no loop device or not in the kernel" : "not in the kernel");
}

void fs_mount_all(void)
{
	struct statfs st;
	enum fs fs;

	own = geteuid() == 0 && private_tmpfs();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	if (!own && (statfs("/dev/shm", &st) || access("/dev/shm", W_OK)))
		snprintf(fs_states[FS_TMPFS].missing, sizeof(fs_states[0].missing),
			 "no tmpfs: /dev/shm is not writable");
	if (!own)
		strcpy(fs_states[FS_TMPFS].dir, "/dev/shm");
	for (fs = FS_TMPFS + 1; fs < FS_USUAL; fs++)
		fs_mount(fs);
}

int fs_remount(enum fs fs)
{
	char command[128];

	/* overlayfs lies on ext4 */
	if (fs == FS_EXT4)
		umount(fs_states[FS_OVERLAY].dir);
	/* by the program, which lets go of the loop device */
	snprintf(command, sizeof(command), "umount %s", fs_states[fs].dir);
	return shell(command) && mount_fs(fs) ? 0 : -EBUSY;
}

bool fs_on_device(enum fs fs)
{
	return fs_states[fs].mkfs;
}

const char *fs_dir(enum fs fs)
{
	return fs_states[fs].dir;
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

#define SWAP	TOP "/swap.img"

static char swap_device[32];

/* All of its pages are there from the start, and nobody's */
bool fs_swap_on(void)
{
	FILE *f = popen("head -c 64M /dev/zero > " SWAP " && mkswap " SWAP " >/dev/null 2>&1 && "
			"losetup --show -f " SWAP " 2>/dev/null", "r");
	bool ok = f && fgets(swap_device, sizeof(swap_device), f);

	if (f)
		pclose(f);
	swap_device[strcspn(swap_device, "\n")] = 0;
	return ok && !swapon(swap_device, 0);
}

void fs_swap_off(void)
{
	char command[64];

	if (swapoff(swap_device))
		printf("# FAILED: swapoff: %s\n", strerror(errno));
	snprintf(command, sizeof(command), "losetup -d %s", swap_device);
	if (system(command))
		printf("# losetup -d failed\n");
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A directory on each file system that the tests run on.  As root they are
 * mounted in a mount namespace of the test program's own: tmpfs, and the others
 * on loop devices in files of that tmpfs.
 */
#ifndef IOLITE_FS_H
#define IOLITE_FS_H

#include <stdbool.h>

enum fs {
	FS_TMPFS,
	FS_HUGE,	/* tmpfs with large folios */
	FS_EXT4,
	FS_XFS,
	FS_USUAL,	/* those above */
	FS_EXT4_1K = FS_USUAL,
	FS_EXT4_JOURNAL,
	FS_EXT4_NODELALLOC,
	FS_EXT2,	/* by ext4's code */
	FS_BTRFS,
	FS_VFAT,
	FS_OVERLAY,	/* over ext4 */
	FS_NR,
};

extern const char * const fs_names[FS_NR];

/* Before any test: one mount serves all tests of a program */
void fs_mount_all(void);	/* FS_USUAL */
void fs_mount(enum fs fs);

/* Why a file system is not there, or NULL */
const char *fs_missing(enum fs fs);

/* Opens a file that has no other user; @path has room for PATH_MAX, or is NULL */
int fs_file(enum fs fs, int flags, char *path);

/* What is on a device can be mounted again, by who is the only one to use it */
bool fs_on_device(enum fs fs);
int fs_remount(enum fs fs);
const char *fs_dir(enum fs fs);

/* The next read of the file has to go to the device, if there is one */
int fs_cold(int fd);
int fs_drop_caches(void);

/* Swap for tmpfs, in its own; of programs that are root's, and after fs_mount_all() */
bool fs_swap_on(void);
void fs_swap_off(void);

#define FS_VARIANTS(fixture)						\
	FIXTURE_VARIANT(fixture) { enum fs fs; };			\
	FIXTURE_VARIANT_ADD(fixture, tmpfs) { .fs = FS_TMPFS };		\
	FIXTURE_VARIANT_ADD(fixture, huge) { .fs = FS_HUGE };		\
	FIXTURE_VARIANT_ADD(fixture, ext4) { .fs = FS_EXT4 };		\
	FIXTURE_VARIANT_ADD(fixture, xfs) { .fs = FS_XFS }

#define NEED_FS(fs) do {						\
	if (fs_missing(fs))						\
		SKIP(return, "%s", fs_missing(fs));			\
} while (0)

#define FS_HARNESS_MAIN							\
	int main(int argc, char **argv)					\
	{								\
		fs_mount_all();						\
		return test_harness_run(argc, argv);			\
	}

#endif /* IOLITE_FS_H */

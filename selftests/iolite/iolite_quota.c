// SPDX-License-Identifier: GPL-2.0
/*
 * WRITE to files by reference meets a quota: it writes and fails as write(2) does,
 * and what it did not write is paid for by nobody (I9).
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE	4096
#define PAGES	16
#define SIZE	(PAGES * PAGE)

#define IMAGE	"/tmp/quota.img"
#define MNT	"/tmp/quota"
#define OWNER	1000
#define LIMIT	(10 * PAGE)

#define ON_IMAGE	"truncate -s 64M " IMAGE " && "
#define MKFS_EXT4	ON_IMAGE "mkfs.ext4 -q -F -b 4096 -O quota " IMAGE
#define MKFS_XFS	ON_IMAGE "mkfs.xfs -q -f --unsupported " IMAGE

FIXTURE(quota) {
	struct stat_objects before;
	struct ring r;
	int pages, chunks;
	int fd, mnt;
	char *data, *expected, *seen;
	char what[256];
};

FIXTURE_VARIANT(quota) { const char *mkfs, *mount; };
FIXTURE_VARIANT_ADD(quota, tmpfs) { "true", "-t tmpfs -o usrquota iolite" };
FIXTURE_VARIANT_ADD(quota, ext4) { MKFS_EXT4, "-o loop,usrquota " IMAGE };
FIXTURE_VARIANT_ADD(quota, ext4_nodelalloc) { MKFS_EXT4, "-o loop,usrquota,nodelalloc " IMAGE };
FIXTURE_VARIANT_ADD(quota, xfs) { MKFS_XFS, "-o loop,uquota " IMAGE };

static bool mount_it(const char *mkfs, const char *mount)
{
	char command[512];

	mkdir(MNT, 0700);
	snprintf(command, sizeof(command), "(%s && mount %s " MNT ") >/dev/null 2>&1", mkfs, mount);
	return !system(command);
}

/* Whoever has this capability is not held to limits */
static int obey_limits(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &header, caps))
		return -1;
	caps[0].effective &= ~(1U << CAP_SYS_RESOURCE);
	return syscall(SYS_capset, &header, caps);
}

static int quota_limit(int mnt)
{
	struct dqblk quota = { .dqb_bhardlimit = LIMIT / 1024, .dqb_valid = QIF_BLIMITS };

	return syscall(SYS_quotactl_fd, mnt, QCMD(Q_SETQUOTA, USRQUOTA), OWNER, &quota);
}

/* Bytes that the owner has to pay for */
static long quota_used(int mnt)
{
	struct dqblk quota = {};

	if (syscall(SYS_quotactl_fd, mnt, QCMD(Q_GETQUOTA, USRQUOTA), OWNER, &quota))
		return -1;
	return quota.dqb_curspace;
}

FIXTURE_SETUP(quota)
{
	if (geteuid())
		SKIP(return, "file systems are mounted by root");
	if (!mount_it(variant->mkfs, variant->mount))
		SKIP(return, "no mkfs, no loop device, or no quotas in the kernel");
	ASSERT_EQ(0, obey_limits());
	OPEN_RING(&self->r, 8);
	stat_objects_get(&self->before);
	self->pages = pool_create_flags(&self->r, IOLITE_POOL_PAGES, 0);
	self->chunks = pool_create(&self->r, 0);
	ASSERT_GE(self->chunks, 0);
	self->mnt = open(MNT, O_RDONLY | O_DIRECTORY);
	ASSERT_GE(self->mnt, 0);
	ASSERT_EQ(0, quota_limit(self->mnt));
	self->fd = open(MNT "/file", O_RDWR | O_CREAT, 0600);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, fchown(self->fd, OWNER, OWNER));
	self->data = xmalloc(SIZE);
	self->expected = xmalloc(SIZE);
	self->seen = xmalloc(SIZE);
	fill_pattern(self->data, SIZE, 31);
}

FIXTURE_TEARDOWN(quota)
{
	close(self->fd);
	close(self->mnt);
	close(self->pages);
	close(self->chunks);
	ring_close(&self->r);
	umount(MNT);
	unlink(IMAGE);
	free(self->data);
	free(self->expected);
	free(self->seen);
}

/* Makes the file anew: nothing, or a hole */
static int file_anew(int fd, int size)
{
	if (ftruncate(fd, 0) || fsync(fd))
		return -1;
	return ftruncate(fd, size);
}

TEST_F_TIMEOUT(quota, ends_a_write, 120)
{
	struct io_uring_sqe sqe;
	int large, hole;

	for (large = 0; large < 2; large++) {
		for (hole = 0; hole < 2; hole++) {
			int size = hole ? SIZE : 0, ours, control;
			long written = stat_get("written_bytes");
			long copied = stat_get("copied_file_write"), paid;

			ASSERT_EQ(0, file_anew(self->fd, size));
			control = pwrite(self->fd, self->data, SIZE, 0);
			if (control < 0)
				control = -errno;
			ASSERT_EQ(0, fsync(self->fd));
			paid = quota_used(self->mnt);

			ASSERT_EQ(0, file_anew(self->fd, size));
			ASSERT_EQ(SIZE, op_alloc(&self->r, 0, large ? self->chunks : self->pages,
						 self->data, SIZE));
			sqe = sqe_write(&self->r, 0, self->fd, 0, 0);
			ours = ring_run(&self->r, &sqe);
			ASSERT_EQ(0, fsync(self->fd));
			TH_LOG("%s, %s: write(2) %d, by reference %d; paid for %ld and %ld",
			       large ? "chunks" : "pages", hole ? "hole" : "end", control, ours,
			       paid, quota_used(self->mnt));
			EXPECT_TRUE(ours == -EDQUOT || (ours > 0 && ours <= LIMIT));
			EXPECT_GE(LIMIT, quota_used(self->mnt));
			if (ours == control)
				EXPECT_EQ(paid, quota_used(self->mnt));
			if (ours < 0)
				ours = 0;
			written = stat_get("written_bytes") - written;
			copied = stat_get("copied_file_write") - copied;
			EXPECT_EQ(ours, written + copied);
			/* of a chunk that is too large for the quota, what fits is copied */
			if (!large)
				EXPECT_EQ(0, copied);

			memset(self->expected, 0, SIZE);
			memcpy(self->expected, self->data, ours);
			if (!hole)
				size = ours;
			ASSERT_EQ(0, fs_cold(self->fd));
			ASSERT_EQ(size, pread_full(self->fd, self->seen, SIZE, 0));
			EXPECT_SAME(self->expected, self->seen, size);
			ASSERT_EQ(SIZE, agg_bytes(&self->r, 0, self->seen, SIZE));
			EXPECT_SAME(self->data, self->seen, SIZE);
			op_free(&self->r, 0, 1);
		}
	}
	ASSERT_EQ(0, file_anew(self->fd, 0));
	EXPECT_EQ(0, quota_used(self->mnt));
	close(self->pages);
	close(self->chunks);
	self->pages = -1;
	self->chunks = -1;
	EXPECT_EQ(0, stat_objects_wait(&self->before, self->what, sizeof(self->what)))
		TH_LOG("%s", self->what);
}

FS_HARNESS_MAIN

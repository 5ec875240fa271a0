// SPDX-License-Identifier: GPL-2.0
/* Ways to change ranges of a file: truncation, fallocate(2), sharing of blocks */
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "iolite_ways.h"

/* From fs/ext4/ext4.h */
struct move_extent {
	__u32	reserved;
	__u32	donor_fd;
	__u64	orig_start;	/* in blocks, as all that follow */
	__u64	donor_start;
	__u64	len;
	__u64	moved_len;
};
#define EXT4_IOC_MOVE_EXT	_IOWR('f', 15, struct move_extent)

/* Which of the file systems can what: the others are tested to refuse it */
#define ALL		((1U << FS_NR) - 1)
#define EXT4		(BIT_OF(FS_EXT4) | BIT_OF(FS_EXT4_1K) | BIT_OF(FS_EXT4_JOURNAL) | \
			 BIT_OF(FS_EXT4_NODELALLOC))
#define OVER_EXT4	(EXT4 | BIT_OF(FS_OVERLAY))
#define REFLINK		(BIT_OF(FS_XFS) | BIT_OF(FS_BTRFS))

static int truncate_to(struct subject *s, off_t size)
{
	return result(ftruncate(s->fd, size), 0);
}

static int truncate_to_nothing(struct subject *s, const char *other)
{
	return truncate_to(s, 0);
}

static int truncate_within_a_page(struct subject *s, const char *other)
{
	return truncate_to(s, s->off);
}

/* What was cut off comes back as zeroes */
static int truncate_down_and_up(struct subject *s, const char *other)
{
	int ret = truncate_to(s, s->off);

	return ret ? ret : truncate_to(s, SIZE);
}

static int truncate_up(struct subject *s, const char *other)
{
	return truncate_to(s, SIZE + 5 * PAGE);
}

static int truncate_and_write(struct subject *s, const char *other)
{
	int ret = truncate_to(s, 0);

	return ret ? ret : result(pwrite(s->fd, other, SIZE, 0), SIZE);
}

/* The part between the old end and the new bytes becomes zeroes */
static int write_beyond_the_end(struct subject *s, const char *other)
{
	return result(pwrite(s->fd, other, 100, SIZE + 300), 100);
}

/* Of whole pages, about where the state has its spot */
static int whole_pages(struct subject *s, int mode)
{
	off_t off = s->off & ~(off_t)(PAGE - 1);

	/* such a range must end before the file does */
	if (mode == FALLOC_FL_COLLAPSE_RANGE && off + 3 * PAGE > SIZE)
		off -= 4 * PAGE;
	return result(fallocate(s->fd, mode, off, 3 * PAGE), 0);
}

static int punch(struct subject *s, const char *other)
{
	return whole_pages(s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

static int punch_unaligned(struct subject *s, const char *other)
{
	return result(fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				s->off, s->len), 0);
}

static int punch_within_a_page(struct subject *s, const char *other)
{
	return result(fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				s->off + 10, 200), 0);
}

static int zero_range(struct subject *s, const char *other)
{
	return result(fallocate(s->fd, FALLOC_FL_ZERO_RANGE, s->off, s->len), 0);
}

static int collapse_range(struct subject *s, const char *other)
{
	return whole_pages(s, FALLOC_FL_COLLAPSE_RANGE);
}

static int insert_range(struct subject *s, const char *other)
{
	return whole_pages(s, FALLOC_FL_INSERT_RANGE);
}

/* Changes no byte that was there */
static int allocate(struct subject *s, const char *other)
{
	return result(fallocate(s->fd, 0, s->off, SIZE), 0);
}

static int clone_range_into(struct subject *s, const char *other)
{
	struct file_clone_range range = {
		.src_fd = other_file_beside(s, other), .src_offset = 2 * PAGE,
		.src_length = 3 * PAGE, .dest_offset = s->off & ~(off_t)(PAGE - 1),
	};
	int ret = result(ioctl(s->fd, FICLONERANGE, &range), 0);

	close(range.src_fd);
	return ret;
}

/* A clone is made of it, and then both are written to */
static int clone_and_write(struct subject *s, const char *other)
{
	char *seen = xmalloc(SIZE), *old = xmalloc(SIZE);
	int clone = fs_file(s->fs, 0, NULL);
	int ret = result(pread_full(s->fd, old, SIZE, 0), SIZE);

	if (!ret)
		ret = result(ioctl(clone, FICLONE, s->fd), 0);
	if (!ret)
		ret = result(pwrite(clone, "\376", 1, s->off), 1);
	if (!ret)
		ret = result(pwrite(s->fd, other, s->len, s->off), s->len);
	old[s->off] = '\376';
	if (!ret && (pread_full(clone, seen, SIZE, 0) != SIZE || !same_bytes(old, seen, SIZE)))
		ret = -EILSEQ;
	close(clone);
	free(seen);
	free(old);
	return ret;
}

/* The blocks are exchanged for those of another file with the same bytes */
static int dedupe(struct subject *s, const char *other)
{
	struct {
		struct file_dedupe_range	range;
		struct file_dedupe_range_info	info;
	} arg = {
		.range = { .src_length = 4 * PAGE, .dest_count = 1 },
		.info = { .dest_fd = s->fd },
	};
	char *bytes = xmalloc(SIZE);
	int from, ret = result(pread_full(s->fd, bytes, SIZE, 0), SIZE);

	if (ret)
		return ret;
	from = other_file_beside(s, bytes);
	free(bytes);
	ret = result(ioctl(from, FIDEDUPERANGE, &arg), 0);
	close(from);
	if (!ret && arg.info.status)
		ret = arg.info.status < 0 ? arg.info.status : -EIO;
	if (!ret)
		ret = result(pwrite(s->fd, other, s->len, s->off), s->len);
	return ret == -EINVAL ? -EOPNOTSUPP : ret;
}

/* What e4defrag does: the file keeps its bytes, in other blocks */
static int move_extents(struct subject *s, const char *other)
{
	int block = s->fs == FS_EXT4_1K ? 1024 : PAGE;
	struct move_extent move = { .len = 16 * PAGE / block };
	int donor = fs_file(s->fs, 0, NULL), ret;

	ret = result(fallocate(donor, 0, 0, 16 * PAGE), 0);
	if (!ret) {
		fsync(s->fd);
		move.donor_fd = donor;
		ret = result(ioctl(s->fd, EXT4_IOC_MOVE_EXT, &move), 0);
	}
	close(donor);
	if (ret == -ENODATA)	/* nothing but holes there */
		ret = 0;
	if (!ret)
		ret = result(pwrite(s->fd, other, s->len, s->off), s->len);
	return ret;
}

/* From now on its data goes through the journal */
static int journal_data(struct subject *s, const char *other)
{
	int flags, ret = result(ioctl(s->fd, FS_IOC_GETFLAGS, &flags), 0);

	flags |= FS_JOURNAL_DATA_FL;
	if (!ret)
		ret = result(ioctl(s->fd, FS_IOC_SETFLAGS, &flags), 0);
	if (ret == -EPERM)	/* overlayfs passes other flags on, but not this one */
		ret = -EOPNOTSUPP;
	if (!ret)
		ret = result(pwrite(s->fd, other, s->len, s->off), s->len);
	return ret;
}

const struct way range_ways[] = {
	{ .name = "truncate to nothing", .change = truncate_to_nothing },
	{ .name = "truncate within a page", .change = truncate_within_a_page },
	{ .name = "truncate down and up", .change = truncate_down_and_up },
	{ .name = "truncate up", .change = truncate_up },
	{ .name = "truncate and write", .change = truncate_and_write },
	{ .name = "write beyond the end", .change = write_beyond_the_end },
	{ .name = "punch", .change = punch, .not_on = BIT_OF(FS_VFAT) },
	{ .name = "punch unaligned", .change = punch_unaligned, .not_on = BIT_OF(FS_VFAT) },
	{ .name = "punch within a page",
	  .change = punch_within_a_page, .not_on = BIT_OF(FS_VFAT) },
	{ .name = "zero range", .change = zero_range, .not_on = ALL & ~(OVER_EXT4 | REFLINK) },
	{ .name = "collapse range",
	  .change = collapse_range, .not_on = ALL & ~(OVER_EXT4 | BIT_OF(FS_XFS)) },
	{ .name = "insert range",
	  .change = insert_range, .not_on = ALL & ~(OVER_EXT4 | BIT_OF(FS_XFS)) },
	{ .name = "allocate", .change = allocate, .not_on = BIT_OF(FS_EXT2) },
	{ .name = "reflink into it", .change = clone_range_into, .not_on = ALL & ~REFLINK },
	{ .name = "reflink of it and write",
	  .change = clone_and_write, .not_on = ALL & ~REFLINK },
	{ .name = "dedupe and write", .change = dedupe, .not_on = ALL & ~REFLINK },
	{ .name = "move of extents and write",
	  .change = move_extents, .not_on = ALL & ~(EXT4 & ~BIT_OF(FS_EXT4_JOURNAL)) },
	{ .name = "chattr +j and write", .change = journal_data, .lasting = true,
	  .not_on = ALL & ~(EXT4 | BIT_OF(FS_EXT2)) },
	{ }
};

// SPDX-License-Identifier: GPL-2.0
/*
 * WRITE to files by reference, and the file system or the device fails: no byte
 * of the buffer changes (I1), the file is what write(2) would have left (I9),
 * and nothing is left behind (I6).
 *
 * The device is a loop device over a file in a tmpfs of limited size. What was
 * punched out of that file cannot be written once the tmpfs is full.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE	4096
#define PAGES	16
#define SIZE	(PAGES * PAGE)

#define STORE	"/tmp/store"
#define IMAGE	STORE "/image"
#define FILLER	STORE "/filler"
#define MNT	"/tmp/device"
#define MB	(1 << 20)
#define JUNK	0x5a

static bool shell(const char *format, ...)
{
	char command[256];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command) == 0;
}

static bool fs_on(const char *options)
{
	return shell("mount -o loop,%s " IMAGE " " MNT, options);
}

static bool fs_off(void)
{
	return shell("umount " MNT);
}

/*
 * All of the image has memory, so that nothing fails that is not meant to, and junk where
 * nothing was written: what somebody else has left in blocks that are free again.
 */
static const char *device_make(const char *mkfs, const char *options, unsigned int mb)
{
	char *junk = xmalloc(MB);
	unsigned int i;
	bool ok;
	int fd;

	memset(junk, JUNK, MB);

	if (geteuid())
		return "devices are made by root";
	mkdir(STORE, 0700);
	mkdir(MNT, 0700);
	if (!shell("mount -t tmpfs -o size=%uM iolite " STORE, mb + 8))
		return "no tmpfs";
	fd = open(IMAGE, O_RDWR | O_CREAT, 0600);
	ok = fd >= 0;
	for (i = 0; ok && i < mb; i++)
		ok = pwrite(fd, junk, MB, i * MB) == MB;
	close(fd);
	free(junk);
	ok = ok && shell("%s " IMAGE " >/dev/null 2>&1", mkfs) && fs_on(options);
	return ok ? NULL : "no mkfs, no loop device or not in the kernel";
}

static void device_remove(void)
{
	umount(MNT);
	umount(STORE);
	rmdir(MNT);
	rmdir(STORE);
}

/* Not a byte more for whoever has the tmpfs in @dir */
static int fill_up(const char *dir, const char *filler)
{
	struct statfs st;
	int fd = open(filler, O_RDWR | O_CREAT, 0600), ret = -1;

	if (fd >= 0 && !statfs(dir, &st))
		ret = posix_fallocate(fd, 0, st.f_bfree * st.f_bsize);
	close(fd);
	return ret;
}

/* Takes the memory of a file's blocks away from the device */
static int punch_out(int file)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extents[32];
	} f = { .map = { .fm_length = SIZE, .fm_flags = FIEMAP_FLAG_SYNC, .fm_extent_count = 32 } };
	int image = open(IMAGE, O_RDWR), ret = image < 0 ? -1 : 0;
	unsigned int i;

	if (ioctl(file, FS_IOC_FIEMAP, &f.map) || !f.map.fm_mapped_extents)
		ret = -1;
	for (i = 0; !ret && i < f.map.fm_mapped_extents; i++)
		ret = fallocate(image, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				f.extents[i].fe_physical, f.extents[i].fe_length);
	close(image);
	return ret;
}

static int write_at(struct ring *r, unsigned int slot, int fd, __u64 off)
{
	struct io_uring_sqe sqe = sqe_write(r, slot, fd, 0, 0);

	op_edit(r, slot, IOLITE_EDIT_SEEK, 0, 0, SEEK_SET);
	sqe.off = off;
	return ring_run(r, &sqe);
}

FIXTURE(device) {
	struct stat_objects before;
	struct ring r;
	int pages, chunks;
	int fd;
	char *data, *other, *seen;
	char what[256];
};

#define MKFS_EXT4	"mkfs.ext4 -q -F -m 0 -E nodiscard -b 4096 "

FIXTURE_VARIANT(device) { const char *name, *mkfs, *options; unsigned int mb; };
FIXTURE_VARIANT_ADD(device, ext4) { "ext4", MKFS_EXT4, "rw", 16 };
FIXTURE_VARIANT_ADD(device, ext4_nodelalloc) { "ext4_nodelalloc", MKFS_EXT4, "nodelalloc", 16 };
FIXTURE_VARIANT_ADD(device, xfs) { "xfs", "mkfs.xfs -q -f -K --unsupported", "rw", 64 };
FIXTURE_VARIANT_ADD(device, btrfs) { "btrfs", "mkfs.btrfs -q -f -K", "rw", 128 };

FIXTURE_SETUP(device)
{
	const char *missing;

	OPEN_RING(&self->r, 8);
	missing = device_make(variant->mkfs, variant->options, variant->mb);
	if (missing)
		SKIP(return, "%s: %s", variant->name, missing);
	stat_objects_get(&self->before);
	self->pages = pool_create_flags(&self->r, IOLITE_POOL_PAGES, 0);
	self->chunks = pool_create(&self->r, 0);
	ASSERT_GE(self->chunks, 0);
	self->fd = open(MNT "/file", O_RDWR | O_CREAT, 0600);
	ASSERT_GE(self->fd, 0);
	self->data = xmalloc(SIZE);
	self->other = xmalloc(SIZE);
	self->seen = xmalloc(SIZE);
	fill_pattern(self->data, SIZE, 31);
	fill_pattern(self->other, SIZE, 32);
}

FIXTURE_TEARDOWN(device)
{
	close(self->fd);
	close(self->pages);
	close(self->chunks);
	ring_close(&self->r);
	device_remove();
	free(self->data);
	free(self->other);
	free(self->seen);
}

/* The file, as the cache has it, and as the file system finds it after a mount */
#define EXPECT_FILE(expected, len) do {					\
	ASSERT_EQ((len), pread_full(self->fd, self->seen, SIZE, 0));	\
	EXPECT_SAME(expected, self->seen, len);				\
	ASSERT_EQ(0, fsync(self->fd));					\
	close(self->fd);						\
	ASSERT_TRUE(fs_off());						\
	ASSERT_TRUE(fs_on(variant->options));				\
	self->fd = open(MNT "/file", O_RDWR);				\
	ASSERT_GE(self->fd, 0);						\
	ASSERT_EQ((len), pread_full(self->fd, self->seen, SIZE, 0));	\
	EXPECT_SAME(expected, self->seen, len);				\
} while (0)

#define EXPECT_AGG(slot) do {						\
	ASSERT_EQ(SIZE, agg_bytes(&self->r, slot, self->seen, SIZE));	\
	EXPECT_SAME(self->data, self->seen, SIZE);			\
} while (0)

#define EXPECT_NOTHING_LEFT() do {					\
	op_free(&self->r, 0, 2);					\
	close(self->pages);						\
	close(self->chunks);						\
	self->pages = self->chunks = -1;				\
	EXPECT_EQ(0, stat_objects_wait(&self->before, self->what, sizeof(self->what))) \
		TH_LOG("%s", self->what);				\
} while (0)

/* ---- Write-back of a chunk fails ---- */

TEST_F_TIMEOUT(device, cannot_be_written_to, 60)
{
	int large;

	/* it puts what is overwritten to another place, so nothing was punched out */
	if (!strcmp(variant->name, "btrfs"))
		SKIP(return, "btrfs does not overwrite in place");
	for (large = 0; large < 2; large++) {
		TH_LOG("%s", large ? "chunks" : "pages");
		ASSERT_EQ(SIZE, pwrite(self->fd, self->other, SIZE, 0));
		ASSERT_EQ(0, fs_cold(self->fd));
		ASSERT_EQ(0, punch_out(self->fd));
		ASSERT_EQ(0, fill_up(STORE, FILLER));

		ASSERT_EQ(SIZE, op_alloc(&self->r, 0, large ? self->chunks : self->pages,
					 self->data, SIZE));
		ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
		EXPECT_EQ(-1, fsync(self->fd));
		EXPECT_AGG(0);
		/* whatever the file is now: reading it changes nothing */
		pread(self->fd, self->seen, SIZE, 0);
		EXPECT_AGG(0);

		/* the device is well again, and so is the file */
		ASSERT_EQ(0, unlink(FILLER));
		ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
		ASSERT_EQ(0, fsync(self->fd));
		EXPECT_FILE(self->data, SIZE);
		EXPECT_AGG(0);
	}
	EXPECT_NOTHING_LEFT();
}

/* Blocks of the image that look like a leaf of an extent tree, saved */
static unsigned int leaves_find(int image, off_t *at, char *saved, unsigned int max)
{
	unsigned int nr = 0;
	char block[PAGE];
	off_t off;

	for (off = 0; nr < max && pread(image, block, PAGE, off) == PAGE; off += PAGE) {
		const unsigned short *header = (const void *)block;

		/* magic, entries, max, depth */
		if (header[0] != 0xf30a || header[1] < 5 || header[2] < 300 || header[3])
			continue;
		memcpy(saved + nr * PAGE, block, PAGE);
		at[nr++] = off;
	}
	return nr;
}

#define MAX_LEAVES	16

/*
 * ext4 finds no block when it writes back, and gives up: what it had in the cache
 * is read again by the next reader, but not into the chunk that others hold.
 */
TEST_F_TIMEOUT(device, blocks_cannot_be_found, 60)
{
	char *saved, junk[PAGE];
	off_t at[MAX_LEAVES];
	unsigned int i, nr;
	int image, large;

	if (strcmp(variant->name, "ext4"))
		SKIP(return, "the tree that is broken is ext4's");
	image = open(IMAGE, O_RDWR);
	ASSERT_GE(image, 0);
	saved = xmalloc(MAX_LEAVES * PAGE);
	memset(junk, 0x5a, PAGE);
	for (large = 0; large < 2; large++) {
		/* more extents than the inode has room for */
		ASSERT_EQ(0, ftruncate(self->fd, 0));
		for (i = 0; i < PAGES; i += 2)
			ASSERT_EQ(PAGE, pwrite(self->fd, self->other, PAGE, i * PAGE));
		close(self->fd);
		ASSERT_TRUE(fs_off());
		nr = leaves_find(image, at, saved, MAX_LEAVES);
		ASSERT_LT(0, nr);
		ASSERT_GT(MAX_LEAVES, nr);
		ASSERT_TRUE(fs_on(variant->options));
		self->fd = open(MNT "/file", O_RDWR);
		ASSERT_GE(self->fd, 0);

		ASSERT_EQ(SIZE, op_alloc(&self->r, 0, large ? self->chunks : self->pages,
					 self->data, SIZE));
		ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
		ASSERT_EQ(0, write_file("/proc/sys/vm/drop_caches", "3"));
		for (i = 0; i < nr; i++)
			ASSERT_EQ(PAGE, pwrite(image, junk, PAGE, at[i]));
		EXPECT_EQ(-1, fsync(self->fd));
		EXPECT_AGG(0);
		ASSERT_EQ(0, write_file("/proc/sys/vm/drop_caches", "3"));
		for (i = 0; i < nr; i++)
			ASSERT_EQ(PAGE, pwrite(image, saved + i * PAGE, PAGE, at[i]));
		pread(self->fd, self->seen, SIZE, 0);
		EXPECT_AGG(0);

		ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
		EXPECT_FILE(self->data, SIZE);
	}
	EXPECT_NOTHING_LEFT();
	close(image);
	free(saved);
}

/* ---- No room in the middle of a write ---- */

/* Nothing but @pages is free any more */
static int leave_room(unsigned int pages)
{
	int room = open(MNT "/room", O_RDWR | O_CREAT, 0600), fd, ret;
	off_t end = 0, n;

	ret = pages ? posix_fallocate(room, 0, pages * PAGE) : 0;
	close(room);
	fd = open(MNT "/filler", O_RDWR | O_CREAT, 0600);
	for (n = 16 * MB; n >= PAGE; n /= 4) {
		while (!fallocate(fd, 0, end, n))
			end += n;
		sync();
	}
	close(fd);
	ret |= unlink(MNT "/room");
	sync();
	return ret;
}

TEST_F_TIMEOUT(device, is_full_in_the_middle, 120)
{
	/* where the file ends: with the write, before, and in the middle of it */
	static const int ends[] = { SIZE, 0, 5 * PAGE + 100 };
	unsigned int i;
	int large;

	ASSERT_EQ(0, leave_room(10));
	for (large = 0; large < 2; large++) {
		for (i = 0; i < ARRAY_LEN(ends); i++) {
			int size = ends[i], ours, control;
			struct stat st;

			/* write(2) first, in the same place */
			ASSERT_EQ(0, ftruncate(self->fd, size));
			sync();
			control = pwrite(self->fd, self->data, SIZE, 0);
			if (control < 0)
				control = -errno;
			ASSERT_EQ(0, ftruncate(self->fd, 0));
			fsync(self->fd);
			sync();

			ASSERT_EQ(0, ftruncate(self->fd, size));
			ASSERT_EQ(SIZE, op_alloc(&self->r, 0, large ? self->chunks : self->pages,
						 self->data, SIZE));
			ours = write_at(&self->r, 0, self->fd, 0);
			TH_LOG("%s, end at %d: write(2) %d, by reference %d",
			       large ? "chunks" : "pages", size, control, ours);
			EXPECT_TRUE(ours > 0 || ours == -ENOSPC);
			EXPECT_GT(SIZE, ours);
			if (ours < 0)
				ours = 0;
			ASSERT_EQ(0, fstat(self->fd, &st));
			if (size < ours)
				size = ours;
			EXPECT_EQ(size, st.st_size);
			EXPECT_AGG(0);
			memset(self->other, 0, SIZE);
			memcpy(self->other, self->data, ours);
			EXPECT_FILE(self->other, size);
			EXPECT_AGG(0);
			op_free(&self->r, 0, 1);
			ASSERT_EQ(0, ftruncate(self->fd, 0));
			fsync(self->fd);
		}
	}
	EXPECT_NOTHING_LEFT();
}

/* Nothing at all: what is there stays, in the cache and on the device */
TEST_F_TIMEOUT(device, is_full_from_the_first, 120)
{
	int large;

	for (large = 0; large < 2; large++) {
		int ours;

		ASSERT_EQ(0, ftruncate(self->fd, 0));
		ASSERT_EQ(0, ftruncate(self->fd, SIZE));
		/* one block is there, the others are not; dirty the second time */
		memset(self->other, 0, SIZE);
		fill_pattern(self->other, PAGE, 33);
		ASSERT_EQ(PAGE, pwrite(self->fd, self->other, PAGE, 0));
		ASSERT_EQ(0, fsync(self->fd));
		ASSERT_EQ(SIZE, pread_full(self->fd, self->seen, SIZE, 0));
		if (large) {
			self->other[7]++;
			ASSERT_EQ(1, pwrite(self->fd, self->other + 7, 1, 7));
		}
		ASSERT_EQ(0, leave_room(0));
		ASSERT_EQ(SIZE, op_alloc(&self->r, 0, large ? self->chunks : self->pages,
					 self->data, SIZE));
		ours = write_at(&self->r, 0, self->fd, 0);
		TH_LOG("%s: %d", large ? "chunks" : "pages", ours);
		EXPECT_GT(SIZE, ours);
		if (ours > 0)
			memcpy(self->other, self->data, ours);
		EXPECT_AGG(0);
		EXPECT_FILE(self->other, SIZE);
		op_free(&self->r, 0, 1);
		ASSERT_EQ(0, unlink(MNT "/filler"));
	}
	EXPECT_NOTHING_LEFT();
}

#define POKES	50

struct poke { int fd; sem_t start, done; };

/* Writes a byte that is there already, a bit later each time; a full device may refuse */
static void *poke_byte(void *arg)
{
	struct sched_param param = { .sched_priority = 1 };
	struct poke *poke = arg;
	int i;

	sched_setscheduler(0, SCHED_FIFO, &param);
	for (i = 1; i <= POKES; i++) {
		sem_wait(&poke->start);
		usleep(i * 20);
		pwrite(poke->fd, "x", 1, 7);
		sem_post(&poke->done);
	}
	return NULL;
}

/*
 * Somebody else changes a byte as soon as the inode is free: of what was there before,
 * and not of a copy of what has failed, which would be written back then. On the same
 * CPU, and with a higher priority, he is not a moment late.
 */
TEST_F_TIMEOUT(device, is_full_and_others_write, 120)
{
	struct poke poke = { self->fd };
	int i, ours, failed = 0;
	pthread_t thread;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));
	sem_init(&poke.start, 0, 0);
	sem_init(&poke.done, 0, 0);

	ASSERT_EQ(0, ftruncate(self->fd, SIZE));
	memset(self->other, 0, SIZE);
	fill_pattern(self->other, PAGE, 33);
	self->other[7] = 'x';
	ASSERT_EQ(PAGE, pwrite(self->fd, self->other, PAGE, 0));
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, leave_room(0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, poke_byte, &poke));
	for (i = 1; i <= POKES; i++) {
		ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->chunks, self->data, SIZE));
		sem_post(&poke.start);
		ours = write_at(&self->r, 0, self->fd, 0);
		sem_wait(&poke.done);
		op_free(&self->r, 0, 1);
		/* some were first, and the write came to less than a chunk */
		if (ours > 0) {
			ASSERT_EQ(PAGE, ours);
			ASSERT_EQ(PAGE, pwrite(self->fd, self->other, PAGE, 0));
		} else {
			failed++;
		}
		ASSERT_EQ(PAGE, pread(self->fd, self->seen, PAGE, 0));
		ASSERT_TRUE(same_bytes(self->other, self->seen, PAGE));
		fdatasync(self->fd);
	}
	pthread_join(thread, NULL);
	TH_LOG("%d of %d writes failed", failed, POKES);
	EXPECT_FILE(self->other, SIZE);
	EXPECT_NOTHING_LEFT();
}

/* What a failed write leaves of the last page is what was there, and not of the chunk */
TEST_F_TIMEOUT(device, is_full_where_the_file_ends_in_a_page, 60)
{
	const off_t end = 2 * PAGE + 100;
	int ours;

	ASSERT_EQ(0, ftruncate(self->fd, end));
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, leave_room(0));
	ASSERT_EQ(PAGE, op_alloc(&self->r, 0, self->pages, self->data, PAGE));
	ours = write_at(&self->r, 0, self->fd, 2 * PAGE);
	TH_LOG("%d", ours);
	memset(self->other, 0, SIZE);
	if (ours > 0)
		memcpy(self->other + 2 * PAGE, self->data, ours);
	ASSERT_EQ(PAGE, agg_bytes(&self->r, 0, self->seen, PAGE));
	EXPECT_SAME(self->data, self->seen, PAGE);
	EXPECT_FILE(self->other, ours > 0 ? 3 * PAGE : end);
	EXPECT_NOTHING_LEFT();
}

#define FOLIO	(4 * PAGE)
#define FILES	16

/* A file whose last folio has a block that is missing, as read-ahead has it in the cache */
static int file_with_a_hole(unsigned int nr, const char *bytes)
{
	off_t base = (nr + 1) * 2 * FOLIO, pos;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), MNT "/file%u", nr);
	fd = open(path, O_RDWR | O_CREAT, 0600);

	for (pos = 0; pos < base + 3 * PAGE; pos += PAGE)
		if (pos != base + PAGE && pwrite(fd, bytes, PAGE, pos) != PAGE)
			return -1;
	return pwrite(fd, bytes, 100, pos) == 100 && !fs_cold(fd) ? fd : -1;
}

/*
 * ext4 finds no block for a part of a large folio, truncates the file, and clears the
 * rest of what became a folio of its own: not of a chunk, which would fit there now.
 */
TEST_F_TIMEOUT(device, is_full_in_a_folio_beyond_the_end, 120)
{
	int fds[FILES], i, failed = 0;
	char page[PAGE];
	off_t pos;

	for (i = 0; i < FILES; i++) {
		fds[i] = file_with_a_hole(i, self->other);
		ASSERT_GE(fds[i], 0);
	}
	ASSERT_EQ(0, leave_room(0));
	for (i = 0; i < FILES; i++) {
		for (pos = 0; pread(fds[i], page, PAGE, pos) > 0; pos += PAGE)
			;
		ASSERT_EQ(FOLIO, op_alloc(&self->r, 0, self->pages, self->data, FOLIO));
		failed += write_at(&self->r, 0, fds[i], (i + 1) * 2 * FOLIO) < FOLIO;
		ASSERT_EQ(FOLIO, agg_bytes(&self->r, 0, self->seen, FOLIO));
		ASSERT_TRUE(same_bytes(self->data, self->seen, FOLIO));
		fsync(fds[i]);
		ASSERT_EQ(FOLIO, agg_bytes(&self->r, 0, self->seen, FOLIO));
		ASSERT_TRUE(same_bytes(self->data, self->seen, FOLIO));
		op_free(&self->r, 0, 1);
		close(fds[i]);
	}
	TH_LOG("%d of %d writes failed", failed, FILES);
	EXPECT_NOTHING_LEFT();
}

/* ---- Memory that cannot be had ---- */

#define INJECT	"/sys/kernel/debug/"

FIXTURE(memory) {
	struct stat_objects before;
	struct ring r;
	int pages, chunks;
	int fd;
	char *data, *other, *seen;
	char what[256];
};

FIXTURE_VARIANT(memory) { enum fs fs; };
FIXTURE_VARIANT_ADD(memory, tmpfs) { .fs = FS_TMPFS };
FIXTURE_VARIANT_ADD(memory, ext4) { .fs = FS_EXT4 };
FIXTURE_VARIANT_ADD(memory, xfs) { .fs = FS_XFS };
FIXTURE_VARIANT_ADD(memory, btrfs) { .fs = FS_BTRFS };

static const char * const kinds[] = { "failslab", "fail_page_alloc" };

static int inject(const char *kind, const char *what, int value)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), INJECT "%s/%s", kind, what);
	snprintf(text, sizeof(text), "%d", value);
	return write_file(path, text);
}

static long injections_left(const char *kind)
{
	char path[128];

	snprintf(path, sizeof(path), INJECT "%s/times", kind);
	return read_number(path);
}

/* Of this task, and of io-wq's threads that work for it */
static int inject_into_this_task(void)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		ret |= inject(kinds[i], "probability", 0);
		ret |= inject(kinds[i], "ignore-gfp-wait", 0);
		ret |= inject(kinds[i], "task-filter", 1);
		ret |= inject(kinds[i], "interval", 1);
		inject(kinds[i], "verbose", 0);
	}
	ret |= inject("fail_page_alloc", "min-order", 0);
	ret |= inject("fail_page_alloc", "ignore-gfp-highmem", 0);
	return ret | write_file("/proc/thread-self/make-it-fail", "1");
}

static void inject_no_more(void)
{
	unsigned int i;

	write_file("/proc/thread-self/make-it-fail", "0");
	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		inject(kinds[i], "probability", 0);
		inject(kinds[i], "space", 0);
		inject(kinds[i], "times", 1);
		inject(kinds[i], "task-filter", 0);
		inject(kinds[i], "ignore-gfp-wait", 1);
	}
}

FIXTURE_SETUP(memory)
{
	if (!iolite_present())
		SKIP(return, "the kernel has no IO-Lite");
	NEED_FS(variant->fs);
	if (geteuid() || inject_into_this_task())
		SKIP(return, "needs root, debugfs and CONFIG_FAULT_INJECTION");
	/* before its threads are made, as they inherit make-it-fail */
	ASSERT_EQ(0, ring_open(&self->r, 8));
	stat_objects_get(&self->before);
	self->pages = pool_create_flags(&self->r, IOLITE_POOL_PAGES, 0);
	self->chunks = pool_create(&self->r, 0);
	ASSERT_GE(self->chunks, 0);
	self->fd = fs_file(variant->fs, 0, NULL);
	ASSERT_GE(self->fd, 0);
	self->data = xmalloc(SIZE);
	self->other = xmalloc(SIZE);
	self->seen = xmalloc(SIZE);
	fill_pattern(self->data, SIZE, 31);
}

FIXTURE_TEARDOWN(memory)
{
	inject_no_more();
	close(self->fd);
	close(self->pages);
	close(self->chunks);
	ring_close(&self->r);
	free(self->data);
	free(self->other);
	free(self->seen);
}

enum before { HOLE, CLEAN, DIRTY };

static void prepare(struct _test_data_memory *self, int state)
{
	if (ftruncate(self->fd, 0) || ftruncate(self->fd, SIZE))
		abort();
	memset(self->other, 0, SIZE);
	if (state == HOLE)
		return;
	fill_pattern(self->other, SIZE, 32);
	if (pwrite(self->fd, self->other, SIZE, 0) != SIZE)
		abort();
	if (state == CLEAN)
		fsync(self->fd);
}

/* One allocation fails, a later one each time, until none does */
static void fail_each(struct __test_metadata *_metadata, struct _test_data_memory *self,
		      const char *kind, int step, int state, bool large)
{
	int space, failed = 0, hit = 0;

	for (space = 0; space < 1000 * step; space += step) {
		int ret, done;
		long left;

		prepare(self, state);
		ASSERT_EQ(SIZE, op_alloc(&self->r, 0, large ? self->chunks : self->pages,
					 self->data, SIZE));
		inject(kind, "space", space);
		inject(kind, "times", 1);
		inject(kind, "probability", 100);
		ret = write_at(&self->r, 0, self->fd, 0);
		inject(kind, "probability", 0);
		left = injections_left(kind);
		hit += !left;
		failed += ret != SIZE;
		done = ret < 0 ? 0 : ret;
		/* what was not reported as written is as it was */
		memcpy(self->other, self->data, done);
		ASSERT_EQ(SIZE, pread_full(self->fd, self->seen, SIZE, 0));
		EXPECT_SAME(self->other, self->seen, SIZE)
			TH_LOG("%s %d, state %d: %d", kind, space, state, ret);
		ASSERT_EQ(0, fs_cold(self->fd));
		ASSERT_EQ(SIZE, pread_full(self->fd, self->seen, SIZE, 0));
		EXPECT_SAME(self->other, self->seen, SIZE)
			TH_LOG("%s %d, state %d, on its device: %d", kind, space, state, ret);
		ASSERT_EQ(SIZE, agg_bytes(&self->r, 0, self->seen, SIZE));
		EXPECT_SAME(self->data, self->seen, SIZE);
		op_free(&self->r, 0, 1);
		/* grows, as there are so many */
		if (space >= 10 * step)
			space += space / 4 / step * step;
		if (left)
			break;
	}
	TH_LOG("%s, state %d, %s: failed %d times, the write %d", kind, state,
	       large ? "chunks" : "pages", hit, failed);
}

#define MEMORY_TEST(name, state)						\
	TEST_F_TIMEOUT(memory, cannot_be_had_over_ ## name, 180)		\
	{									\
		int large;							\
										\
		for (large = 0; large < 2; large++) {				\
			fail_each(_metadata, self, "failslab", 128, state, large); \
			fail_each(_metadata, self, "fail_page_alloc", 1, state, large); \
		}								\
		inject_no_more();						\
		close(self->pages);						\
		close(self->chunks);						\
		self->pages = self->chunks = -1;				\
		EXPECT_EQ(0, stat_objects_wait(&self->before, self->what,	\
					       sizeof(self->what)))		\
			TH_LOG("%s", self->what);				\
	}

MEMORY_TEST(a_hole, HOLE)
MEMORY_TEST(what_is_clean, CLEAN)
MEMORY_TEST(what_is_dirty, DIRTY)

int main(int argc, char **argv)
{
	fs_mount_all();
	fs_mount(FS_BTRFS);
	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * WRITE to files by reference: the page cache's page is the buffer's page, the
 * file is what write(2) would have made of it (I9), and no byte of the buffer
 * changes whatever is done to the file afterwards (I1).
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE	4096
#define PAGES	16
#define SIZE	(PAGES * PAGE)

FIXTURE(ref) {
	struct ring r;
	int pages;		/* a pool of single pages, */
	int chunks;		/* and one of as large ones as there are */
	int fd;
	char path[4096];
	char *data;
	char *other;
	char *seen;
};

FS_VARIANTS(ref);
FIXTURE_VARIANT_ADD(ref, ext4_nodelalloc) { .fs = FS_EXT4_NODELALLOC };
FIXTURE_VARIANT_ADD(ref, btrfs) { .fs = FS_BTRFS };

FIXTURE_SETUP(ref)
{
	OPEN_RING(&self->r, 8);
	NEED_FS(variant->fs);
	self->pages = pool_create_flags(&self->r, IOLITE_POOL_PAGES, 0);
	ASSERT_GE(self->pages, 0);
	self->chunks = pool_create(&self->r, 0);
	ASSERT_GE(self->chunks, 0);
	self->fd = fs_file(variant->fs, 0, self->path);
	ASSERT_GE(self->fd, 0);
	self->data = xmalloc(SIZE);
	self->other = xmalloc(2 * SIZE);
	self->seen = xmalloc(2 * SIZE);
	fill_pattern(self->data, SIZE, 21);
	fill_pattern(self->other, 2 * SIZE, 22);
}

FIXTURE_TEARDOWN(ref)
{
	unlink(self->path);
	close(self->fd);
	close(self->pages);
	close(self->chunks);
	ring_close(&self->r);
	free(self->data);
	free(self->other);
	free(self->seen);
}

static int write_at(struct ring *r, unsigned int slot, int fd, __u64 off)
{
	struct io_uring_sqe sqe = sqe_write(r, slot, fd, 0, 0);

	op_edit(r, slot, IOLITE_EDIT_SEEK, 0, 0, SEEK_SET);
	sqe.off = off;
	return ring_run(r, &sqe);
}

static off_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -errno : st.st_size;
}

/* What WRITE takes, by reference and by copy */
struct moved { long by_ref, copied; };

static struct moved moved_now(void)
{
	return (struct moved){ stat_get("written_bytes"), stat_get("copied_file_write") };
}

#define EXPECT_MOVED(before, ref, copy) do {				\
	struct moved _now = moved_now();				\
	EXPECT_EQ((ref), _now.by_ref - (before).by_ref);		\
	EXPECT_EQ((copy), _now.copied - (before).copied);		\
} while (0)

/* The file, as read(2) has it now, and as the device has it */
#define EXPECT_FILE(fd, expected, len) do {				\
	ASSERT_EQ((len), pread_full(fd, self->seen, 2 * SIZE, 0));	\
	EXPECT_SAME(expected, self->seen, len);				\
	ASSERT_EQ(0, fs_cold(fd));					\
	ASSERT_EQ((len), pread_full(fd, self->seen, 2 * SIZE, 0));	\
	EXPECT_SAME(expected, self->seen, len);				\
} while (0)

#define EXPECT_AGG(slot, expected, len) do {				\
	ASSERT_EQ((len), agg_bytes(&self->r, slot, self->seen, len));	\
	EXPECT_SAME(expected, self->seen, len);				\
} while (0)

/* ---- I2: what is taken, and what is copied ---- */

TEST_F(ref, whole_pages_are_not_copied)
{
	struct moved m = moved_now();

	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
	EXPECT_MOVED(m, SIZE, 0);
	EXPECT_FILE(self->fd, self->data, SIZE);
	EXPECT_AGG(0, self->data, SIZE);
}

TEST_F(ref, large_chunks_go_where_large_folios_do)
{
	bool large = variant->fs != FS_TMPFS;
	struct moved m = moved_now();

	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->chunks, self->data, SIZE));
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
	EXPECT_MOVED(m, large ? SIZE : 0, large ? 0 : SIZE);
	EXPECT_FILE(self->fd, self->data, SIZE);
}

TEST_F(ref, chunks_between_their_places_are_copied)
{
	struct moved m = moved_now();

	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->chunks, self->data, SIZE));
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, PAGE));
	EXPECT_MOVED(m, 0, SIZE);
	memset(self->other, 0, PAGE);
	memcpy(self->other + PAGE, self->data, SIZE);
	EXPECT_FILE(self->fd, self->other, SIZE + PAGE);
}

TEST_F(ref, tails_and_unaligned_writes_are_copied)
{
	struct moved m = moved_now();

	ASSERT_EQ(SIZE - 100, op_alloc(&self->r, 0, self->pages, self->data, SIZE - 100));
	ASSERT_EQ(SIZE - 100, write_at(&self->r, 0, self->fd, 0));
	EXPECT_MOVED(m, SIZE - PAGE, PAGE - 100);
	EXPECT_FILE(self->fd, self->data, SIZE - 100);

	m = moved_now();
	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 100));
	EXPECT_MOVED(m, 0, SIZE);
	memcpy(self->other, self->data, 100);
	memcpy(self->other + 100, self->data, SIZE);
	EXPECT_FILE(self->fd, self->other, SIZE + 100);
}

static __u64 pfn_of(int pagemap, const void *at)
{
	__u64 entry;

	(void)*(volatile const char *)at;
	if (pread(pagemap, &entry, 8, (uintptr_t)at / PAGE * 8) != 8 || !(entry >> 63))
		return 0;
	return entry & ((1ULL << 55) - 1);
}

TEST_F(ref, the_page_of_the_file_is_the_page_of_the_buffer)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	char *buffer, *file;
	unsigned int i;

	if (geteuid() || pagemap < 0)
		SKIP(return, "page frames are shown to root only");
	ASSERT_EQ(0, ring_join(&self->r));
	ASSERT_EQ(SIZE, op_alloc_writable(&self->r, 0, self->pages, SIZE, &buffer));
	memcpy(buffer, self->data, SIZE);
	ASSERT_EQ(0, op_seal(&self->r, 0));
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
	file = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, file);
	for (i = 0; i < SIZE; i += PAGE) {
		ASSERT_NE(0, pfn_of(pagemap, buffer + i));
		ASSERT_EQ(pfn_of(pagemap, buffer + i), pfn_of(pagemap, file + i));
	}
	EXPECT_SAME(self->data, file, SIZE);
	munmap(file, SIZE);
	close(pagemap);
}

TEST_F(ref, appending_takes_pages_where_the_file_ends_with_one)
{
	int fd = open(self->path, O_WRONLY | O_APPEND);
	struct moved m;

	ASSERT_EQ(PAGE, pwrite(self->fd, self->other, PAGE, 0));
	m = moved_now();
	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	ASSERT_EQ(SIZE, write_at(&self->r, 0, fd, 0));
	/* there the first page made room for all */
	if (variant->fs != FS_HUGE)
		EXPECT_MOVED(m, SIZE, 0);
	memcpy(self->other + PAGE, self->data, SIZE);
	EXPECT_FILE(self->fd, self->other, PAGE + SIZE);
	close(fd);
}

/* btrfs writes what has checksums through its cache, whatever was asked for. */
TEST_F(ref, direct_writes_that_are_carried_out_in_the_cache_are_counted)
{
	long direct = stat_get("direct_bytes");
	int fd = open(self->path, O_RDWR | O_DIRECT);
	bool device = variant->fs != FS_TMPFS && variant->fs != FS_HUGE &&
		      variant->fs != FS_BTRFS;
	struct moved m = moved_now();

	ASSERT_LE(0, fd);
	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	ASSERT_EQ(SIZE, write_at(&self->r, 0, fd, 0));
	if (variant->fs == FS_BTRFS)
		EXPECT_MOVED(m, 0, SIZE);
	else
		EXPECT_MOVED(m, device ? 0 : SIZE, 0);
	EXPECT_EQ(device ? SIZE : 0, stat_get("direct_bytes") - direct);
	EXPECT_FILE(self->fd, self->data, SIZE);
	EXPECT_AGG(0, self->data, SIZE);
	close(fd);
}

/* ---- Over what is cached already ---- */

enum state { CLEAN, DIRTY, MAPPED, HELD, COLD, NR_STATES };

TEST_F(ref, cached_pages_are_replaced)
{
	int state, reader = open(self->path, O_RDONLY);

	for (state = 0; state < NR_STATES; state++) {
		bool tmpfs = variant->fs == FS_TMPFS || variant->fs == FS_HUGE;
		char *map = NULL;
		struct moved m;

		TH_LOG("state %d", state);
		/* page by page: so are the folios */
		ASSERT_EQ(0, ftruncate(self->fd, 0));
		for (int i = 0; i < 2 * SIZE; i += PAGE)
			ASSERT_EQ(PAGE, pwrite(self->fd, self->other + i, PAGE, i));
		if (state != DIRTY)
			ASSERT_EQ(0, fsync(self->fd));
		if (state == COLD)
			ASSERT_EQ(0, fs_cold(self->fd));
		if (state == MAPPED) {
			/* by a descriptor that cannot make it writable */
			map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, reader, 0);
			ASSERT_NE(MAP_FAILED, map);
			EXPECT_SAME(self->other, map, SIZE);
		}
		if (state == HELD)
			ASSERT_EQ(SIZE, op_read(&self->r, 1, self->fd, 0, SIZE));

		ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
		m = moved_now();
		ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
		if (variant->fs != FS_HUGE)
			EXPECT_MOVED(m, SIZE, 0);
		if (map)
			EXPECT_SAME(self->data, map, SIZE);
		/* I1 */
		if (state == HELD)
			EXPECT_AGG(1, self->other, SIZE);
		ASSERT_EQ(2 * SIZE, pread_full(self->fd, self->seen, 2 * SIZE, 0));
		EXPECT_SAME(self->data, self->seen, SIZE);
		EXPECT_SAME(self->other + SIZE, self->seen + SIZE, SIZE);
		if (!tmpfs) {
			if (map)
				munmap(map, SIZE);
			ASSERT_EQ(0, fs_cold(self->fd));
			ASSERT_EQ(2 * SIZE, pread_full(self->fd, self->seen, 2 * SIZE, 0));
			EXPECT_SAME(self->data, self->seen, SIZE);
			EXPECT_SAME(self->other + SIZE, self->seen + SIZE, SIZE);
		} else if (map) {
			munmap(map, SIZE);
		}
		op_free(&self->r, 0, 2);
	}
	close(reader);
}

/* Single pages in the cache make room for a chunk, if they can be read again */
TEST_F(ref, small_clean_folios_make_room)
{
	bool device = variant->fs != FS_TMPFS && variant->fs != FS_HUGE;
	struct moved m;

	ASSERT_EQ(0, posix_fadvise(self->fd, 0, 0, POSIX_FADV_RANDOM));
	for (int i = 0; i < 2 * SIZE; i += PAGE)
		ASSERT_EQ(PAGE, pwrite(self->fd, self->other + i, PAGE, i));
	ASSERT_EQ(0, fsync(self->fd));
	/* one of them is held */
	ASSERT_EQ(PAGE, op_read(&self->r, 1, self->fd, 0, PAGE));
	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->chunks, self->data, SIZE));
	m = moved_now();
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
	if (device)
		EXPECT_MOVED(m, SIZE, 0);
	EXPECT_AGG(1, self->other, PAGE);
	memcpy(self->other, self->data, SIZE);
	EXPECT_FILE(self->fd, self->other, 2 * SIZE);
}

TEST_F(ref, the_same_pages_again_cost_nothing)
{
	struct moved m;

	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
	m = moved_now();
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
	EXPECT_MOVED(m, SIZE, 0);
	EXPECT_FILE(self->fd, self->data, SIZE);
}

/* ---- One buffer in several places ---- */

TEST_F(ref, one_buffer_in_two_files_and_in_flight)
{
	int second = fs_file(variant->fs, 0, NULL), out, in, sent;
	struct moved m;

	ASSERT_GE(second, 0);
	ASSERT_EQ(0, tcp_pair(&out, &in));
	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	sent = op_write(&self->r, 0, out, 0, MSG_DONTWAIT);
	ASSERT_LT(0, sent);
	m = moved_now();
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
	ASSERT_EQ(SIZE, write_at(&self->r, 0, second, 0));
	/* a page has one place in one file */
	EXPECT_MOVED(m, SIZE, SIZE);
	/* at other places of the same file, too */
	ASSERT_EQ(SIZE, write_at(&self->r, 0, second, SIZE));
	EXPECT_MOVED(m, SIZE, 2 * SIZE);
	ASSERT_EQ(0, ftruncate(second, SIZE));

	ASSERT_EQ(SIZE, pwrite(self->fd, self->other, SIZE, 0));
	ASSERT_EQ(sent, read_full(in, self->seen, sent));
	EXPECT_SAME(self->data, self->seen, sent);
	EXPECT_FILE(second, self->data, SIZE);
	EXPECT_FILE(self->fd, self->other, SIZE);
	EXPECT_AGG(0, self->data, SIZE);
	close(out);
	close(in);
	close(second);
}

/*
 * The page went to the file for good: the pool must not use it again, neither while
 * the file has it nor later, and it does not count as the pool's any more.
 */
TEST_F(ref, what_the_file_has_is_not_recycled)
{
	long file_pages = stat_settled("file_pages"), pool_pages = stat_get("pool_pages");
	unsigned int i;

	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	EXPECT_EQ(file_pages, stat_wait("file_pages", file_pages));
	EXPECT_EQ(pool_pages, stat_wait("pool_pages", pool_pages));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(SIZE, op_alloc(&self->r, i % 4, self->pages, self->other, SIZE));
		if (i % 4 == 3)
			ASSERT_EQ(4, op_free(&self->r, 0, 4));
	}
	EXPECT_FILE(self->fd, self->data, SIZE);
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	ASSERT_EQ(SIZE, pwrite(self->fd, self->other, SIZE, 0));
	EXPECT_AGG(0, self->data, SIZE);
	EXPECT_FILE(self->fd, self->other, SIZE);
}

/* ---- I1: whatever is done to the file afterwards ---- */

static void store(int fd, const char *from)
{
	char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		abort();
	memcpy(map, from, SIZE);
	munmap(map, SIZE);
}

static void change(int fd, int how, const char *with)
{
	switch (how) {
	case 0:
		if (pwrite(fd, with, 1, 5 * PAGE + 7) != 1 || pwrite(fd, with, SIZE, 0) != SIZE)
			abort();
		break;
	case 1:
		store(fd, with);
		break;
	case 2:
		/* what lies beyond the end is cleared, by truncation and write-back */
		if (ftruncate(fd, 3 * PAGE + 100) || fsync(fd) || ftruncate(fd, SIZE))
			abort();
		break;
	case 3:
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, SIZE - 200))
			abort();
		break;
	case 4:
		if (fsync(fd) || pwrite(fd, with, SIZE, 0) != SIZE)
			abort();
		break;
	case 5:
		if (ftruncate(fd, 0) || pwrite(fd, with, SIZE, 0) != SIZE)
			abort();
		break;
	}
}

#define NR_CHANGES	6

TEST_F_TIMEOUT(ref, buffers_do_not_change_with_the_file, 60)
{
	int control = fs_file(variant->fs, 0, NULL), how, large;

	ASSERT_GE(control, 0);
	for (how = 0; how < 2 * NR_CHANGES; how++) {
		large = how / NR_CHANGES;
		TH_LOG("change %d, %s", how % NR_CHANGES, large ? "chunks" : "pages");
		ASSERT_EQ(0, ftruncate(self->fd, 0));
		ASSERT_EQ(0, ftruncate(control, 0));
		ASSERT_EQ(SIZE, pwrite(control, self->data, SIZE, 0));
		ASSERT_EQ(SIZE, op_alloc(&self->r, 0, large ? self->chunks : self->pages,
					 self->data, SIZE));
		ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
		/* read again by reference: dirty, but sealed from the first on */
		ASSERT_EQ(SIZE, op_read(&self->r, 1, self->fd, 0, SIZE));
		change(self->fd, how % NR_CHANGES, self->other);
		change(control, how % NR_CHANGES, self->other);
		EXPECT_AGG(0, self->data, SIZE);
		EXPECT_AGG(1, self->data, SIZE);
		ASSERT_EQ(SIZE, pread_full(control, self->other + SIZE, SIZE, 0));
		EXPECT_FILE(self->fd, self->other + SIZE, SIZE);
		EXPECT_AGG(0, self->data, SIZE);
		op_free(&self->r, 0, 2);
	}
	close(control);
}

/* Whenever a part of the file was cut off, has the rest written to the device at once */
static void write_back_what_is_cut(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		if (fd < 0 || fstat(fd, &st))
			abort();
		if (st.st_size && st.st_size < SIZE)
			sync_file_range(fd, 0, SIZE, SYNC_FILE_RANGE_WRITE);
	}
}

/*
 * Truncation sets the end of the file first, and then makes sure that it lies in no
 * sealed folio. Between the two it removes mappings: here there are so many that
 * write-back has the time to find the end in the middle of a chunk. It leaves the rest
 * of that alone (I1).
 */
TEST_F_TIMEOUT(ref, writeback_races_with_truncation, 60)
{
	int status, round, i;
	struct moved before;
	pid_t syncer;
	off_t end;

	ASSERT_EQ(0, ftruncate(self->fd, SIZE));
	syncer = fork();
	ASSERT_GE(syncer, 0);
	if (!syncer)
		write_back_what_is_cut(self->path);
	/* private, as buffers are not put where somebody might map them writable */
	for (i = 0; i < 500; i++)
		ASSERT_NE(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, self->fd, SIZE));
	for (round = 0; round < 16; round++) {
		/* XFS clears the rest of a block itself before, but not the rest of a folio */
		end = 8 * PAGE + (round & 2 ? round : 0);
		ASSERT_EQ(SIZE, op_alloc(&self->r, 0, round % 2 ? self->chunks : self->pages,
					 self->data, SIZE));
		before = moved_now();
		ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
		if (!(round % 2))
			EXPECT_MOVED(before, SIZE, 0);
		ASSERT_EQ(0, ftruncate(self->fd, end));
		ASSERT_EQ(SIZE, agg_bytes(&self->r, 0, self->seen, SIZE));
		ASSERT_TRUE(same_bytes(self->data, self->seen, SIZE)) {
			TH_LOG("round %d", round);
		}
		ASSERT_EQ(0, ftruncate(self->fd, SIZE));
		ASSERT_EQ(SIZE, pread_full(self->fd, self->seen, SIZE, 0));
		memset(self->other, 0, SIZE);
		memcpy(self->other, self->data, end);
		ASSERT_TRUE(same_bytes(self->other, self->seen, SIZE));
		ASSERT_EQ(0, ftruncate(self->fd, 0));
		ASSERT_EQ(0, ftruncate(self->fd, SIZE));
	}
	kill(syncer, SIGKILL);
	ASSERT_EQ(syncer, waitpid(syncer, &status, 0));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
}

/*
 * XFS looks at dirty folios of what it takes for a hole, to clear them in a batch: over
 * a hole into which blocks are to be put by a write nearby. A chunk there is sealed for good.
 */
TEST_F(ref, part_of_a_chunk_over_a_shared_hole_can_be_cut_off)
{
	int clone = fs_file(variant->fs, 0, NULL), ret;

	ASSERT_EQ(PAGE, pwrite(self->fd, self->other, PAGE, 0));
	ASSERT_EQ(0, ftruncate(self->fd, SIZE));
	ASSERT_EQ(0, fsync(self->fd));
	ret = ioctl(clone, FICLONE, self->fd);
	close(clone);
	if (ret)
		SKIP(return, "the file system shares no blocks: %s", strerror(errno));

	ASSERT_EQ(PAGE, pwrite(self->fd, self->data, PAGE, 0));
	ASSERT_EQ(PAGE, op_alloc(&self->r, 0, self->pages, self->data + 4 * PAGE, PAGE));
	ASSERT_EQ(PAGE, write_at(&self->r, 0, self->fd, 4 * PAGE));
	ASSERT_EQ(0, ftruncate(self->fd, 4 * PAGE + 100));
	ASSERT_EQ(0, ftruncate(self->fd, SIZE));

	memset(self->data + PAGE, 0, 3 * PAGE);
	EXPECT_AGG(0, self->data + 4 * PAGE, PAGE);
	memset(self->data + 4 * PAGE + 100, 0, SIZE - 4 * PAGE - 100);
	EXPECT_FILE(self->fd, self->data, SIZE);
}

/* ---- I9: limits and failures are those of write(2) ---- */

/* No byte beyond a limit may be in the file, not even beyond its end */
TEST_F(ref, size_limit_inside_a_page)
{
	struct rlimit limit = { .rlim_cur = 5000, .rlim_max = RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	EXPECT_EQ(5000, write_at(&self->r, 0, self->fd, 0));
	ASSERT_EQ(SIZE, op_alloc(&self->r, 1, self->chunks, self->data, SIZE));
	EXPECT_EQ(5000, write_at(&self->r, 1, self->fd, 0));
	limit.rlim_cur = RLIM_INFINITY;
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	EXPECT_EQ(5000, size_of(self->fd));
	ASSERT_EQ(0, ftruncate(self->fd, 2 * PAGE));
	memset(self->other, 0, 2 * PAGE);
	memcpy(self->other, self->data, 5000);
	EXPECT_FILE(self->fd, self->other, 2 * PAGE);
}

TEST_F(ref, full_file_system_keeps_what_fits)
{
	char dir[] = "/tmp/iolite-full-XXXXXX", text[128];
	int fd;

	if (variant->fs != FS_TMPFS || geteuid())
		SKIP(return, "a small tmpfs is mounted for it, by root");
	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(text, sizeof(text), "mount -t tmpfs -o size=16k iolite %s", dir);
	ASSERT_EQ(0, system(text));
	snprintf(text, sizeof(text), "%s/file", dir);
	fd = open(text, O_RDWR | O_CREAT, 0600);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	EXPECT_EQ(4 * PAGE, write_at(&self->r, 0, fd, 0));
	EXPECT_EQ(-ENOSPC, write_at(&self->r, 0, fd, 4 * PAGE));
	EXPECT_EQ(4 * PAGE, size_of(fd));
	EXPECT_FILE(fd, self->data, 4 * PAGE);
	EXPECT_AGG(0, self->data, SIZE);
	close(fd);
	snprintf(text, sizeof(text), "umount %s", dir);
	EXPECT_EQ(0, system(text));
	rmdir(dir);
}

TEST_F(ref, files_mapped_writable_get_copies)
{
	char *map;
	struct moved m;

	ASSERT_EQ(0, ftruncate(self->fd, SIZE));
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	map[0] = 1;
	m = moved_now();
	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
	EXPECT_MOVED(m, 0, SIZE);
	EXPECT_SAME(self->data, map, SIZE);
	memcpy(map, self->other, SIZE);
	EXPECT_AGG(0, self->data, SIZE);
	munmap(map, SIZE);
	EXPECT_FILE(self->fd, self->other, SIZE);
}

TEST_F(ref, mappings_made_later_do_not_reach_the_buffer)
{
	char *map;

	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	/* read first, then store */
	EXPECT_SAME(self->data, map, SIZE);
	memcpy(map, self->other, SIZE);
	EXPECT_AGG(0, self->data, SIZE);
	munmap(map, SIZE);
	EXPECT_FILE(self->fd, self->other, SIZE);
}

/* I5: what a buffer holds of a file counts as such, and at the limit it is copied */
TEST_F(ref, at_the_limit_of_held_pages_bytes_are_copied)
{
	long limit = sysctl_get("iolite_max_user_pages"), held = stat_settled("file_pages");
	struct moved m = moved_now();

	if (geteuid())
		SKIP(return, "the limit is set by root");
	ASSERT_EQ(0, sysctl_set("iolite_max_user_pages", held + 4));
	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pages, self->data, SIZE));
	EXPECT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0));
	ASSERT_EQ(0, sysctl_set("iolite_max_user_pages", limit));
	EXPECT_MOVED(m, 4 * PAGE, SIZE - 4 * PAGE);
	EXPECT_EQ(held + 4, stat_get("file_pages"));
	EXPECT_FILE(self->fd, self->data, SIZE);
}

/* I6 */
TEST_F(ref, nothing_is_left_behind)
{
	struct stat_objects before;
	char what[256];
	struct ring r;
	int pool, i;

	stat_objects_get(&before);
	OPEN_RING(&r, 4);
	for (i = 0; i < 20; i++) {
		pool = pool_create_flags(&r, i % 2 ? IOLITE_POOL_PAGES : 0, 0);
		ASSERT_EQ(SIZE, op_alloc(&r, 0, pool, self->data, SIZE));
		ASSERT_EQ(SIZE, write_at(&r, 0, self->fd, i % 3 * SIZE));
		ASSERT_EQ(SIZE, op_read(&r, 1, self->fd, i % 3 * SIZE, SIZE));
		close(pool);
		if (i % 4)
			op_free(&r, 0, 2);
	}
	ring_close(&r);
	EXPECT_EQ(0, stat_objects_wait(&before, what, sizeof(what)))
		TH_LOG("%s", what);
}

/* Many writers to many places; one after the other is killed in the middle */
TEST_F_TIMEOUT(ref, killed_writers_leave_nothing, 60)
{
	long buffers = stat_settled("buffers"), file_pages = stat_get("file_pages");
	long pool_pages = stat_get("pool_pages");
	int i;

	for (i = 0; i < 8; i++) {
		pid_t pid = fork();

		ASSERT_GE(pid, 0);
		if (!pid) {
			struct ring r;
			int pool, k;

			if (ring_open(&r, 4))
				_exit(1);
			pool = pool_create_flags(&r, i % 2 ? IOLITE_POOL_PAGES : 0, 0);
			for (k = 0;; k++) {
				op_alloc(&r, 0, pool, self->data, SIZE);
				write_at(&r, 0, self->fd, k % 5 * (SIZE / 2));
			}
		}
		usleep(100000 + i * 7000);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	}
	EXPECT_EQ(buffers, stat_wait("buffers", buffers));
	EXPECT_EQ(file_pages, stat_wait("file_pages", file_pages));
	EXPECT_EQ(pool_pages, stat_wait("pool_pages", pool_pages));
}

int main(int argc, char **argv)
{
	fs_mount_all();
	fs_mount(FS_EXT4_NODELALLOC);
	fs_mount(FS_BTRFS);
	return test_harness_run(argc, argv);
}

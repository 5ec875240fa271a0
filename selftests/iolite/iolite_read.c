// SPDX-License-Identifier: GPL-2.0
/* READ: the same bytes, positions and errors as read(2) (I9), by reference (I2) */
#include <linux/fs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE		4096
#define FILE_SIZE	(73 * PAGE + 123)	/* ends within a page */

FIXTURE(file) {
	struct ring r;
	int fd;
	char path[4096];
	char *data;		/* what the file holds */
	char *seen;
};

FS_VARIANTS(file);

FIXTURE_SETUP(file)
{
	OPEN_RING(&self->r, 8);
	NEED_FS(variant->fs);
	ASSERT_EQ(0, ring_join(&self->r));
	self->data = xmalloc(FILE_SIZE);
	self->seen = xmalloc(FILE_SIZE + PAGE);
	fill_pattern(self->data, FILE_SIZE, variant->fs);
	self->fd = fs_file(variant->fs, 0, self->path);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(FILE_SIZE, write_full(self->fd, self->data, FILE_SIZE));
	/* dirty folios may be copied */
	ASSERT_EQ(0, fsync(self->fd));
}

FIXTURE_TEARDOWN(file)
{
	unlink(self->path);
	close(self->fd);
	ring_close(&self->r);
	free(self->data);
	free(self->seen);
}

static const unsigned int offsets[] = {
	0, 1, PAGE - 1, PAGE + 1, 16 * PAGE, 70 * PAGE + 5,
	FILE_SIZE - 1, FILE_SIZE, FILE_SIZE + 10 * PAGE,
};

static const unsigned int sizes[] = {
	0, 1, PAGE - 1, PAGE, 5 * PAGE, 33 * PAGE + 17, FILE_SIZE + PAGE,
};

/* A READ and a pread(2) of the same range agree in result and bytes */
static void check_read(struct __test_metadata *_metadata, struct ring *r, int fd,
		       char *seen, unsigned int off, unsigned int size)
{
	char *expected = xmalloc(size);
	int res = pread_full(fd, expected, size, off);

	ASSERT_EQ(res, op_read(r, 0, fd, off, size))
		TH_LOG("%u bytes at %u", size, off);
	EXPECT_EQ(res, op_length(r, 0));
	ASSERT_EQ(res, agg_bytes(r, 0, seen, res));
	EXPECT_SAME(expected, seen, res)
		TH_LOG("%u bytes at %u, by a socket", size, off);
	memset(seen, 0, res);
	ASSERT_EQ(res, agg_bytes_mapped(r, 0, seen, res));
	EXPECT_SAME(expected, seen, res)
		TH_LOG("%u bytes at %u, by the window", size, off);
	free(expected);
}

TEST_F_TIMEOUT(file, bytes_are_those_of_pread, 60)
{
	unsigned int i, k;

	for (i = 0; i < ARRAY_LEN(offsets); i++)
		for (k = 0; k < ARRAY_LEN(sizes); k++)
			check_read(_metadata, &self->r, self->fd, self->seen, offsets[i],
				   sizes[k]);
}

TEST_F(file, bytes_are_right_with_a_cold_cache)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(offsets); i++) {
		ASSERT_EQ(0, fs_cold(self->fd));
		ASSERT_LE(0, op_read(&self->r, 0, self->fd, offsets[i], 20 * PAGE));
		check_read(_metadata, &self->r, self->fd, self->seen, offsets[i], 20 * PAGE);
	}
	ASSERT_EQ(0, fs_cold(self->fd));
	ASSERT_EQ(FILE_SIZE, op_read(&self->r, 0, self->fd, 0, FILE_SIZE));
	ASSERT_EQ(FILE_SIZE, agg_bytes(&self->r, 0, self->seen, FILE_SIZE));
	EXPECT_SAME(self->data, self->seen, FILE_SIZE);
}

/* Why bytes were copied, since boot */
static void log_copies(void)
{
	static const char * const reasons[] = {
		"fs", "direct", "special", "mapped", "pinned", "busy", "hole",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(reasons); i++) {
		char name[32];

		snprintf(name, sizeof(name), "copied_%s", reasons[i]);
		fprintf(stderr, "# %s %ld\n", name, stat_get(name));
	}
}

/* I2, the proof by counters */
TEST_F(file, cached_file_is_read_without_a_copy)
{
	long copied, shared;

	ASSERT_EQ(FILE_SIZE, pread_full(self->fd, self->seen, FILE_SIZE, 0));
	copied = stat_copied();
	shared = stat_get("shared_bytes");
	ASSERT_EQ(FILE_SIZE, op_read(&self->r, 0, self->fd, 0, FILE_SIZE));
	EXPECT_EQ(copied, stat_copied())
		log_copies();
	EXPECT_EQ(shared + FILE_SIZE, stat_get("shared_bytes"));
	ASSERT_EQ(FILE_SIZE - 5000, op_read(&self->r, 0, self->fd, 5000, FILE_SIZE));
	EXPECT_EQ(copied, stat_copied());
	EXPECT_EQ(shared + 2 * FILE_SIZE - 5000, stat_get("shared_bytes"));
}

TEST_F(file, cold_file_is_read_without_a_copy)
{
	long copied, shared;

	ASSERT_EQ(0, fs_cold(self->fd));
	copied = stat_copied();
	shared = stat_get("shared_bytes");
	ASSERT_EQ(FILE_SIZE, op_read(&self->r, 0, self->fd, 0, FILE_SIZE));
	EXPECT_EQ(copied, stat_copied());
	EXPECT_EQ(shared + FILE_SIZE, stat_get("shared_bytes"));
}

/* Page frame number behind an address of this process, or 0 */
static __u64 pfn_of(int pagemap, const void *at)
{
	__u64 entry;

	if (pread(pagemap, &entry, 8, (uintptr_t)at / PAGE * 8) != 8 || !(entry >> 63))
		return 0;
	return entry & ((1ULL << 55) - 1);
}

/* I2, the proof by physical address */
/*
 * Of such a file only what nobody else holds is sealed. A page that is about to become
 * active is held by a batch of the CPU, though nobody reads it: how often it has to be
 * used for that is the kernel's business.
 */
TEST_F(file, file_that_was_mapped_writable_is_read_without_a_copy)
{
	char *map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	const int len = 4 * PAGE;
	int used, i, off;
	cpu_set_t cpu;
	long copied;

	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));
	ASSERT_NE(MAP_FAILED, map);
	munmap(map, FILE_SIZE);
	copied = stat_copied();
	for (used = 0; used < 5; used++) {
		off = used * len;
		for (i = 0; i < used; i++)
			ASSERT_EQ(len, pread_full(self->fd, self->seen, len, off));
		ASSERT_EQ(len, op_read(&self->r, 0, self->fd, off, len));
		EXPECT_EQ(copied, stat_copied())
			TH_LOG("used %d times", used);
		ASSERT_EQ(len, agg_bytes(&self->r, 0, self->seen, len));
		EXPECT_SAME(self->data + off, self->seen, len);
	}
}

TEST_F(file, page_behind_a_mapped_slice_is_the_page_of_the_cache)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	unsigned int at = 0, i, same = 0;
	struct iolite_extent ext[128];
	char *map;
	int nr;

	if (geteuid() || pagemap < 0)
		SKIP(return, "page frame numbers need root and CONFIG_PROC_PAGE_MONITOR");
	ASSERT_EQ(FILE_SIZE, op_read(&self->r, 0, self->fd, 0, FILE_SIZE));
	nr = op_map(&self->r, 0, ext, ARRAY_LEN(ext), 0);
	ASSERT_LT(0, nr);
	map = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, map);

	for (i = 0; i < (unsigned int)nr; i++) {
		char *slice = (char *)(uintptr_t)ext[i].addr;
		unsigned int k;

		/* the last page holds bytes beyond the file's end and may be a copy (I3) */
		for (k = 0; k + PAGE <= ext[i].len; k += PAGE) {
			EXPECT_EQ(*(volatile char *)(slice + k), *(volatile char *)(map + at + k));
			ASSERT_NE(0, pfn_of(pagemap, map + at + k));
			ASSERT_EQ(pfn_of(pagemap, map + at + k), pfn_of(pagemap, slice + k))
				TH_LOG("at offset %u of the file", at + k);
			same++;
		}
		at += ext[i].len;
	}
	EXPECT_EQ(FILE_SIZE, at);
	EXPECT_EQ(FILE_SIZE / PAGE, same);
	munmap(map, FILE_SIZE);
	close(pagemap);
}

TEST_F(file, whoever_watches_is_told)
{
	int watch = inotify_init1(IN_NONBLOCK);

	ASSERT_LE(0, inotify_add_watch(watch, self->path, IN_ACCESS | IN_MODIFY));
	ASSERT_EQ(100, op_read(&self->r, 0, self->fd, 0, 100));
	EXPECT_EQ(IN_ACCESS, events_of(watch));
	close(watch);
}

TEST_F(file, position_is_used_and_moved_by_minus_one)
{
	ASSERT_EQ(100, lseek(self->fd, 100, SEEK_SET));
	ASSERT_EQ(5000, op_read(&self->r, 0, self->fd, -1, 5000));
	EXPECT_EQ(5100, lseek(self->fd, 0, SEEK_CUR));
	ASSERT_EQ(5000, agg_bytes(&self->r, 0, self->seen, 5000));
	EXPECT_SAME(self->data + 100, self->seen, 5000);
	ASSERT_EQ(FILE_SIZE - 5100, op_read(&self->r, 0, self->fd, -1, FILE_SIZE));
	EXPECT_EQ(FILE_SIZE, lseek(self->fd, 0, SEEK_CUR));
	EXPECT_EQ(0, op_read(&self->r, 0, self->fd, -1, FILE_SIZE));
	EXPECT_EQ(FILE_SIZE, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(file, explicit_offset_leaves_the_position)
{
	ASSERT_EQ(77, lseek(self->fd, 77, SEEK_SET));
	ASSERT_EQ(1000, op_read(&self->r, 0, self->fd, 5, 1000));
	EXPECT_EQ(77, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(file, end_of_file_is_an_empty_aggregate)
{
	ASSERT_EQ(0, op_read(&self->r, 3, self->fd, FILE_SIZE, 1));
	EXPECT_EQ(0, op_length(&self->r, 3));
	ASSERT_EQ(0, op_read(&self->r, IOLITE_SLOT_ALLOC, self->fd, FILE_SIZE + PAGE, 1));
	EXPECT_EQ(0, op_length(&self->r, cqe_slot(self->r.cqe_flags)));
}

TEST_F(file, negative_offset_is_invalid_as_for_pread)
{
	EXPECT_EQ(-EINVAL, op_read(&self->r, 0, self->fd, -2, 1));
	EXPECT_EQ(-EINVAL, op_read(&self->r, 0, self->fd, 1ULL << 63, 1));
	EXPECT_EQ(-ENOENT, op_length(&self->r, 0));
}

TEST_F(file, longest_request_reads_the_whole_file)
{
	ASSERT_EQ(FILE_SIZE, op_read(&self->r, 0, self->fd, 0, ~0U));
	ASSERT_EQ(FILE_SIZE, agg_bytes(&self->r, 0, self->seen, FILE_SIZE));
	EXPECT_SAME(self->data, self->seen, FILE_SIZE);
}

TEST_F(file, append_adds_to_the_aggregate)
{
	struct io_uring_sqe sqe = sqe_read(&self->r, 0, self->fd, 10000, 200);

	sqe.ioprio = IOLITE_READ_APPEND;
	EXPECT_EQ(-ENOENT, ring_run(&self->r, &sqe));
	ASSERT_EQ(300, op_read(&self->r, 0, self->fd, 0, 300));
	EXPECT_EQ(200, ring_run(&self->r, &sqe));
	EXPECT_EQ(500, op_length(&self->r, 0));
	ASSERT_EQ(500, agg_bytes(&self->r, 0, self->seen, 500));
	EXPECT_SAME(self->data, self->seen, 300);
	EXPECT_SAME(self->data + 10000, self->seen + 300, 200);
}

TEST_F(file, append_that_fails_leaves_the_aggregate)
{
	int wo = open(self->path, O_WRONLY);
	struct io_uring_sqe sqe = sqe_read(&self->r, 0, wo, 0, 200);

	ASSERT_EQ(300, op_read(&self->r, 0, self->fd, 0, 300));
	sqe.ioprio = IOLITE_READ_APPEND;
	EXPECT_EQ(-EBADF, ring_run(&self->r, &sqe));
	EXPECT_EQ(300, op_length(&self->r, 0));
	close(wo);
}

TEST_F(file, write_only_fd_is_a_bad_fd)
{
	int fd = open(self->path, O_WRONLY);

	EXPECT_EQ(-EBADF, op_read(&self->r, 0, fd, 0, 100));
	EXPECT_EQ(-ENOENT, op_length(&self->r, 0));
	close(fd);
}

TEST_F(file, directories_and_path_fds_cannot_be_read)
{
	int dir = open("/", O_RDONLY | O_DIRECTORY), path = open(self->path, O_PATH);
	char c;

	EXPECT_EQ(-1, read(dir, &c, 1));
	EXPECT_EQ(-errno, op_read(&self->r, 0, dir, 0, 100));
	EXPECT_EQ(-EBADF, op_read(&self->r, 0, path, 0, 100));
	close(dir);
	close(path);
}

TEST_F(file, nowait_reads_what_is_cached_and_nothing_else)
{
	struct io_uring_sqe sqe = sqe_read(&self->r, 0, self->fd, 0, 100);
	int tries, res;

	sqe.rw_flags = RWF_NOWAIT;
	ASSERT_EQ(FILE_SIZE, pread_full(self->fd, self->seen, FILE_SIZE, 0));
	if (variant->fs == FS_TMPFS || variant->fs == FS_HUGE) {
		/* as preadv2() says */
		EXPECT_EQ(-EOPNOTSUPP, ring_run(&self->r, &sqe));
		return;
	}
	EXPECT_EQ(100, ring_run(&self->r, &sqe));
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	/* a journal may hold on to a folio for a while */
	for (tries = 0, res = 100; tries < 100 && res == 100; tries++) {
		ASSERT_EQ(0, fs_cold(self->fd));
		res = ring_run(&self->r, &sqe);
		op_free(&self->r, 0, 1);
	}
	EXPECT_EQ(-EAGAIN, res);
}

/*
 * I2: the device writes into the buffers. The cache must not be shared, as a
 * concurrent O_DIRECT write bypasses it; but it is all that tmpfs has.
 */
TEST_F(file, direct_reads_land_in_buffers_without_copies)
{
	bool device = variant->fs == FS_EXT4 || variant->fs == FS_XFS;
	int fd = open(self->path, O_RDONLY | O_DIRECT);
	long direct = stat_get("direct_bytes"), shared = stat_get("shared_bytes");
	long copied = stat_copied();

	if (fd < 0)
		SKIP(return, "the file system has no O_DIRECT");
	ASSERT_EQ(8 * PAGE, op_read(&self->r, 0, fd, 2 * PAGE, 8 * PAGE));
	ASSERT_EQ(8 * PAGE, agg_bytes(&self->r, 0, self->seen, 8 * PAGE));
	EXPECT_SAME(self->data + 2 * PAGE, self->seen, 8 * PAGE);
	EXPECT_EQ(direct + (device ? 8 * PAGE : 0), stat_get("direct_bytes"));
	EXPECT_EQ(shared + (device ? 0 : 8 * PAGE), stat_get("shared_bytes"));
	EXPECT_EQ(copied, stat_copied());

	/* the tail of the file */
	ASSERT_EQ(PAGE + 123, op_read(&self->r, 0, fd, 72 * PAGE, 4 * PAGE));
	ASSERT_EQ(PAGE + 123, agg_bytes(&self->r, 0, self->seen, PAGE + 123));
	EXPECT_SAME(self->data + 72 * PAGE, self->seen, PAGE + 123);
	close(fd);
}

TEST_F(file, holes_read_as_zeroes)
{
	int fd = fs_file(variant->fs, 0, NULL);
	unsigned int off;

	ASSERT_EQ(0, ftruncate(fd, 60 * PAGE + 77));
	ASSERT_EQ(1000, pwrite(fd, self->data, 1000, 20 * PAGE + 500));
	ASSERT_EQ(PAGE, pwrite(fd, self->data, PAGE, 40 * PAGE));
	ASSERT_EQ(0, fsync(fd));
	for (off = 0; off < 60 * PAGE; off += 7 * PAGE + 13)
		check_read(_metadata, &self->r, fd, self->seen, off, 30 * PAGE);
	close(fd);
}

TEST_F(file, file_that_was_just_written_reads_right)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		char text[32];
		int len = snprintf(text, sizeof(text), "version %u", i);

		ASSERT_EQ(len, pwrite(self->fd, text, len, 3 * PAGE - 4));
		ASSERT_EQ(len, op_read(&self->r, 0, self->fd, 3 * PAGE - 4, len));
		ASSERT_EQ(len, agg_bytes(&self->r, 0, self->seen, len));
		EXPECT_SAME(text, self->seen, len);
	}
}

TEST_F(file, held_pages_are_counted_and_given_back)
{
	long before = stat_settled("file_pages");

	ASSERT_EQ(10 * PAGE, op_read(&self->r, 0, self->fd, 0, 10 * PAGE));
	EXPECT_LE(before + 10, stat_get("file_pages"));
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	EXPECT_EQ(before, stat_wait("file_pages", before));
}

TEST_F(file, slices_survive_close_and_unlink)
{
	int fd = fs_file(variant->fs, 0, NULL);

	ASSERT_EQ(FILE_SIZE, write_full(fd, self->data, FILE_SIZE));
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(FILE_SIZE, op_read(&self->r, 0, fd, 0, FILE_SIZE));
	close(fd);
	if (!geteuid())
		ASSERT_EQ(0, fs_drop_caches());
	ASSERT_EQ(FILE_SIZE, agg_bytes(&self->r, 0, self->seen, FILE_SIZE));
	EXPECT_SAME(self->data, self->seen, FILE_SIZE);
}

TEST_F(file, several_reads_can_be_in_flight)
{
	struct io_uring_cqe cqe;
	unsigned int i;

	ASSERT_EQ(0, fs_cold(self->fd));
	for (i = 0; i < 7; i++) {
		struct io_uring_sqe sqe = sqe_read(&self->r, i, self->fd, i * 5000, 9000);

		sqe.user_data = i;
		ring_put(&self->r, &sqe);
	}
	ASSERT_EQ(7, ring_submit(&self->r));
	for (i = 0; i < 7; i++) {
		ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
		EXPECT_EQ(9000, cqe.res);
	}
	for (i = 0; i < 7; i++) {
		ASSERT_EQ(9000, agg_bytes(&self->r, i, self->seen, 9000));
		EXPECT_SAME(self->data + i * 5000, self->seen, 9000);
	}
}

/* ---- what is not a regular file ---- */

FIXTURE(special) {
	struct ring r;
	int null;
	char seen[8192];
};

FIXTURE_SETUP(special)
{
	OPEN_RING(&self->r, 4);
	self->null = open("/dev/null", O_RDONLY);
}

FIXTURE_TEARDOWN(special)
{
	close(self->null);
	ring_close(&self->r);
}

/* A counted copy of what is there */
static void check_special(struct __test_metadata *_metadata, struct _test_data_special *self,
			  int fd, const char *expected, int len)
{
	long before = stat_get("copied_special");

	ASSERT_EQ(len, op_read(&self->r, 0, fd, -1, len));
	EXPECT_EQ(before + len, stat_get("copied_special"));
	ASSERT_EQ(len, agg_bytes(&self->r, 0, self->seen, len));
	EXPECT_SAME(expected, self->seen, len);
}

TEST_F(special, device_is_copied)
{
	static const char zeroes[8192];
	int fd = open("/dev/zero", O_RDONLY);

	ASSERT_GE(fd, 0);
	check_special(_metadata, self, fd, zeroes, sizeof(zeroes));
	close(fd);
	fd = open("/dev/null", O_RDONLY);
	EXPECT_EQ(0, op_read(&self->r, 0, fd, -1, 100));
	close(fd);
}

TEST_F(special, proc_file_is_copied)
{
	int fd = open("/proc/version", O_RDONLY);
	char expected[512];
	int len = pread(fd, expected, sizeof(expected), 0);

	ASSERT_GT(len, 0);
	ASSERT_EQ(len, op_read(&self->r, 0, fd, 0, sizeof(expected)));
	ASSERT_EQ(len, agg_bytes(&self->r, 0, self->seen, len));
	EXPECT_SAME(expected, self->seen, len);
	close(fd);
}

/* Its pages can be pinned without a write fault, so it is never sealed */
TEST_F(special, memfd_is_copied)
{
	int fd = memfd_create("iolite", 0);
	char old[5000];
	long before = stat_get("copied_fs");

	fill_pattern(self->seen, 5000, 3);
	ASSERT_EQ(5000, write(fd, self->seen, 5000));
	ASSERT_EQ(5000, op_read(&self->r, 0, fd, 0, 8192));
	EXPECT_EQ(before + 5000, stat_get("copied_fs"));
	ASSERT_EQ(12, pwrite(fd, "new contents", 12, 0));
	ASSERT_EQ(5000, agg_bytes(&self->r, 0, old, 5000));
	EXPECT_SAME(self->seen, old, 5000);
	close(fd);
}

TEST_F(special, pipe_is_copied)
{
	int fd[2];

	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ(9, write(fd[1], "from pipe", 9));
	check_special(_metadata, self, fd[0], "from pipe", 9);
	ASSERT_EQ(3, write(fd[1], "abc", 3));
	EXPECT_EQ(3, op_read(&self->r, 0, fd[0], -1, 100));
	close(fd[1]);
	EXPECT_EQ(0, op_read(&self->r, 0, fd[0], -1, 100));
	close(fd[0]);
}

TEST_F(special, empty_pipe_is_waited_for)
{
	struct io_uring_sqe sqe;
	struct io_uring_cqe cqe;
	int fd[2];

	ASSERT_EQ(0, pipe(fd));
	sqe = sqe_read(&self->r, 0, fd[0], -1, 100);
	ring_put(&self->r, &sqe);
	ASSERT_EQ(1, ring_submit(&self->r));
	EXPECT_EQ(-ETIME, ring_reap(&self->r, &cqe, 50));
	ASSERT_EQ(4, write(fd[1], "late", 4));
	ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(4, cqe.res);
	ASSERT_EQ(4, agg_bytes(&self->r, 0, self->seen, 4));
	EXPECT_SAME("late", self->seen, 4);
	close(fd[0]);
	close(fd[1]);
}

TEST_F(special, nowait_on_an_empty_pipe_says_so)
{
	struct io_uring_sqe sqe;
	int fd[2];

	ASSERT_EQ(0, pipe(fd));
	sqe = sqe_read(&self->r, 0, fd[0], -1, 100);
	sqe.rw_flags = RWF_NOWAIT;
	EXPECT_EQ(-EAGAIN, ring_run(&self->r, &sqe));
	close(fd[0]);
	close(fd[1]);
}

TEST_F(special, waiting_read_can_be_cancelled)
{
	struct io_uring_sqe cancel = { .opcode = IORING_OP_ASYNC_CANCEL, .fd = -1, .addr = 5 };
	struct io_uring_sqe sqe;
	struct io_uring_cqe cqe;
	int fd[2], i;

	ASSERT_EQ(0, pipe(fd));
	sqe = sqe_read(&self->r, 0, fd[0], -1, 100);
	sqe.user_data = 5;
	ring_put(&self->r, &sqe);
	ASSERT_EQ(1, ring_submit(&self->r));
	EXPECT_EQ(-ETIME, ring_reap(&self->r, &cqe, 50));
	ring_put(&self->r, &cancel);
	ASSERT_EQ(1, ring_submit(&self->r));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
		if (cqe.user_data == 5)
			EXPECT_TRUE(cqe.res == -ECANCELED || cqe.res == -EINTR)
				TH_LOG("seen %d", cqe.res);
	}
	EXPECT_EQ(-ENOENT, op_length(&self->r, 0));
	close(fd[0]);
	close(fd[1]);
}

/*
 * More requests wait than there are slots. Who finds none when bytes have come leaves
 * them where they are, as nobody could have them again. Who that is does not matter.
 */
static void check_no_slot(struct __test_metadata *_metadata, struct _test_data_special *self,
			  unsigned int flags)
{
	int a[2], b[2], i, late, ok = -1, bytes = 0;
	struct io_uring_cqe cqe;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, op_read(&self->r, i, self->null, -1, 1));
	for (i = 0; i < 2; i++) {
		struct io_uring_sqe sqe;

		ASSERT_EQ(0, unix_pair(SOCK_STREAM, &a[i], &b[i]));
		sqe = sqe_read(&self->r, IOLITE_SLOT_ALLOC, b[i], -1, 100);
		sqe.user_data = i;
		sqe.flags = flags;
		ring_put(&self->r, &sqe);
	}
	ASSERT_EQ(2, ring_submit(&self->r));
	EXPECT_EQ(-ETIME, ring_reap(&self->r, &cqe, 5));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(5, write(a[i], i ? "right" : "left!", 5));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
		if (cqe.res < 0) {
			EXPECT_EQ(-ENFILE, cqe.res);
			late = cqe.user_data;
			bytes += recv(b[late], self->seen, 100, MSG_DONTWAIT);
			EXPECT_SAME(late ? "right" : "left!", self->seen, 5);
		} else {
			EXPECT_EQ(3, cqe_slot(cqe.flags));
			ok = cqe.user_data;
			bytes += cqe.res;
		}
	}
	EXPECT_EQ(10, bytes);
	EXPECT_EQ(3, op_free(&self->r, 0, 3));
	if (ok >= 0) {
		ASSERT_EQ(5, agg_bytes(&self->r, 3, self->seen, 5));
		EXPECT_SAME(ok ? "right" : "left!", self->seen, 5);
		EXPECT_EQ(1, op_free(&self->r, 3, 1));
	}
	for (i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

TEST_F(special, who_finds_no_slot_takes_no_bytes)
{
	check_no_slot(_metadata, self, 0);
}

TEST_F_TIMEOUT(special, who_finds_no_slot_takes_no_bytes_in_a_worker, 60)
{
	int i;

	for (i = 0; i < 200; i++)
		check_no_slot(_metadata, self, IOSQE_ASYNC);
}

static int read_nowait(struct ring *r, int fd, unsigned int len)
{
	struct io_uring_sqe sqe = sqe_read(r, 0, fd, -1, len);

	sqe.rw_flags = RWF_NOWAIT;
	return ring_run(r, &sqe);
}

/* What does not fit into the buffers of a read would be lost (I9). */
TEST_F(special, message_is_read_whole_or_stays)
{
	long max = sysctl_get("iolite_max_pool_bytes");
	const int len = 400000, sndbuf = 1 << 20;
	char *data = xmalloc(len), *seen = xmalloc(len);
	int a, b;

	if (geteuid())
		SKIP(return, "changing a sysctl needs root");
	fill_pattern(data, len, 7);
	ASSERT_EQ(0, unix_pair(SOCK_SEQPACKET, &a, &b));
	ASSERT_EQ(0, setsockopt(a, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf)));
	ASSERT_EQ(len, send(a, data, len, 0));
	ASSERT_EQ(4, send(a, "next", 4, 0));
	/* the ring's pool for copies is made now, with the limit that there is */
	ASSERT_EQ(0, op_read(&self->r, 0, self->null, -1, 1));
	ASSERT_EQ(0, sysctl_set("iolite_max_pool_bytes", stat_settled("pool_pages") * 4096 + 24576));
	EXPECT_EQ(-ENOBUFS, op_read(&self->r, 0, b, -1, len + 100));
	ASSERT_EQ(0, sysctl_set("iolite_max_pool_bytes", max));
	ASSERT_EQ(len, op_read(&self->r, 0, b, -1, len + 100));
	ASSERT_EQ(len, agg_bytes(&self->r, 0, seen, len));
	EXPECT_SAME(data, seen, len);
	/* however much is asked for */
	ASSERT_EQ(4, op_read(&self->r, 0, b, -1, 1U << 30));
	ASSERT_EQ(4, agg_bytes(&self->r, 0, seen, 4));
	EXPECT_SAME("next", seen, 4);
	EXPECT_EQ(-EAGAIN, read_nowait(&self->r, b, 1U << 30));
	ASSERT_EQ(4, send(a, "last", 4, 0));
	check_special(_metadata, self, b, "last", 4);
	close(a);
	EXPECT_EQ(0, op_read(&self->r, 0, b, -1, 100));
	close(b);
	free(data);
	free(seen);
}

TEST_F(special, sockets_are_copied)
{
	int a, b;

	ASSERT_EQ(0, unix_pair(SOCK_STREAM, &a, &b));
	ASSERT_EQ(11, write(a, "from a unix", 11));
	check_special(_metadata, self, b, "from a unix", 11);
	close(a);
	EXPECT_EQ(0, op_read(&self->r, 0, b, -1, 100));
	close(b);

	ASSERT_EQ(0, tcp_pair(&a, &b));
	ASSERT_EQ(8, write(a, "from tcp", 8));
	check_special(_metadata, self, b, "from tcp", 8);
	close(a);
	close(b);
}

TEST_F(special, empty_socket_is_waited_for)
{
	struct io_uring_sqe sqe;
	struct io_uring_cqe cqe;
	int a, b;

	ASSERT_EQ(0, tcp_pair(&a, &b));
	sqe = sqe_read(&self->r, 0, b, -1, 100);
	ring_put(&self->r, &sqe);
	ASSERT_EQ(1, ring_submit(&self->r));
	EXPECT_EQ(-ETIME, ring_reap(&self->r, &cqe, 50));
	ASSERT_EQ(4, write(a, "late", 4));
	ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(4, cqe.res);
	close(a);
	close(b);
}

FS_HARNESS_MAIN

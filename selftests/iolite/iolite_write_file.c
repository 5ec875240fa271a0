// SPDX-License-Identifier: GPL-2.0
/* WRITE to files and pipes has the rules of write(2) (I9) */
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE	4096
#define SIZE	(20 * PAGE + 55)

FIXTURE(file) {
	struct ring r;
	int pool;
	int fd;
	char path[4096];
	char *data;
	char *seen;
};

FS_VARIANTS(file);

FIXTURE_SETUP(file)
{
	OPEN_RING(&self->r, 8);
	NEED_FS(variant->fs);
	self->pool = pool_create(&self->r, 0);
	ASSERT_GE(self->pool, 0);
	self->fd = fs_file(variant->fs, 0, self->path);
	ASSERT_GE(self->fd, 0);
	self->data = xmalloc(SIZE);
	self->seen = xmalloc(2 * SIZE);
	fill_pattern(self->data, SIZE, 11);
	ASSERT_EQ(SIZE, op_alloc(&self->r, 0, self->pool, self->data, SIZE));
}

FIXTURE_TEARDOWN(file)
{
	unlink(self->path);
	close(self->fd);
	close(self->pool);
	ring_close(&self->r);
	free(self->data);
	free(self->seen);
}

static int write_at(struct ring *r, unsigned int slot, int fd, __u64 off, unsigned int len,
		    unsigned int rw_flags)
{
	struct io_uring_sqe sqe = sqe_write(r, slot, fd, len, rw_flags);

	sqe.off = off;
	return ring_run(r, &sqe);
}

static off_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -errno : st.st_size;
}

/* I2; iolite_write_ref.c has what is written by reference */
TEST_F(file, bytes_arrive_and_each_copy_is_counted)
{
	long copied = stat_get("copied_file_write"), by_ref = stat_get("written_bytes");

	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0, 0, 0));
	EXPECT_EQ(copied + by_ref + SIZE,
		  stat_get("copied_file_write") + stat_get("written_bytes"));
	EXPECT_EQ(SIZE, size_of(self->fd));
	ASSERT_EQ(SIZE, pread_full(self->fd, self->seen, SIZE, 0));
	EXPECT_SAME(self->data, self->seen, SIZE);
}

TEST_F(file, offsets_inside_and_beyond_the_file_work)
{
	static const unsigned int offsets[] = { 1, PAGE - 1, 5 * PAGE, 50 * PAGE + 3 };
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(offsets); i++) {
		ASSERT_EQ(0, op_edit(&self->r, 0, IOLITE_EDIT_SEEK, 0, 0, SEEK_SET));
		ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, offsets[i], 0, 0));
		ASSERT_EQ(SIZE, pread_full(self->fd, self->seen, SIZE, offsets[i]));
		EXPECT_SAME(self->data, self->seen, SIZE);
	}
	EXPECT_EQ(0, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(file, whoever_watches_is_told)
{
	int watch = inotify_init1(IN_NONBLOCK);

	ASSERT_LE(0, inotify_add_watch(watch, self->path, IN_ACCESS | IN_MODIFY));
	ASSERT_EQ(100, write_at(&self->r, 0, self->fd, 0, 100, 0));
	EXPECT_EQ(IN_MODIFY, events_of(watch));
	close(watch);
}

TEST_F(file, position_is_used_and_moved_by_minus_one)
{
	ASSERT_EQ(500, lseek(self->fd, 500, SEEK_SET));
	ASSERT_EQ(3000, write_at(&self->r, 0, self->fd, -1, 3000, 0));
	EXPECT_EQ(3500, lseek(self->fd, 0, SEEK_CUR));
	ASSERT_EQ(SIZE - 3000, write_at(&self->r, 0, self->fd, -1, 0, 0));
	EXPECT_EQ(500 + SIZE, lseek(self->fd, 0, SEEK_CUR));
	ASSERT_EQ(SIZE, pread_full(self->fd, self->seen, SIZE, 500));
	EXPECT_SAME(self->data, self->seen, SIZE);
}

TEST_F(file, cursor_is_used_and_moved)
{
	ASSERT_EQ(100, op_edit(&self->r, 0, IOLITE_EDIT_SEEK, 0, 100, SEEK_SET));
	ASSERT_EQ(50, write_at(&self->r, 0, self->fd, 0, 50, 0));
	EXPECT_EQ(150, op_edit(&self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	ASSERT_EQ(50, pread(self->fd, self->seen, 100, 0));
	EXPECT_SAME(self->data + 100, self->seen, 50);
}

TEST_F(file, append_mode_writes_at_the_end)
{
	int fd = open(self->path, O_WRONLY | O_APPEND);

	ASSERT_EQ(10, pwrite(self->fd, "0123456789", 10, 0));
	ASSERT_EQ(100, write_at(&self->r, 0, fd, 0, 100, 0));
	EXPECT_EQ(110, size_of(fd));
	ASSERT_EQ(100, write_at(&self->r, 0, self->fd, 0, 100, RWF_APPEND));
	EXPECT_EQ(210, size_of(fd));
	ASSERT_EQ(200, pread(self->fd, self->seen, 200, 10));
	EXPECT_SAME(self->data, self->seen, 200);
	close(fd);
}

TEST_F(file, read_only_fd_is_a_bad_fd)
{
	int fd = open(self->path, O_RDONLY);

	EXPECT_EQ(-EBADF, write_at(&self->r, 0, fd, 0, 0, 0));
	EXPECT_EQ(0, op_edit(&self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	close(fd);
}

TEST_F(file, negative_offset_is_invalid)
{
	EXPECT_EQ(-EINVAL, write_at(&self->r, 0, self->fd, -2, 0, 0));
	EXPECT_EQ(-EINVAL, write_at(&self->r, 0, self->fd, 1ULL << 63, 0, 0));
}

TEST_F(file, size_limit_of_the_process_holds)
{
	struct rlimit limit = { .rlim_cur = 5000, .rlim_max = RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &limit));
	limit.rlim_cur = 5000;
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	EXPECT_EQ(5000, write_at(&self->r, 0, self->fd, 0, 0, 0));
	EXPECT_EQ(5000, op_edit(&self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	EXPECT_EQ(-EFBIG, write_at(&self->r, 0, self->fd, 5000, 0, 0));
	EXPECT_EQ(5000, size_of(self->fd));
	limit.rlim_cur = RLIM_INFINITY;
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
}

TEST_F_TIMEOUT(file, full_file_system_is_told, 60)
{
	off_t off = 0, step = 16 << 20;
	int res;

	if (variant->fs != FS_EXT4)
		SKIP(return, "only the small ext4 image is filled");
	/* quickly, and then what is left by WRITE */
	while (step >= PAGE) {
		if (fallocate(self->fd, 0, off, step))
			step /= 2;
		else
			off += step;
	}
	while ((res = write_at(&self->r, 0, self->fd, off, 0, 0)) > 0) {
		off += res;
		ASSERT_EQ(0, op_edit(&self->r, 0, IOLITE_EDIT_SEEK, 0, 0, SEEK_SET));
	}
	EXPECT_EQ(-ENOSPC, res);
}

TEST_F(file, writing_a_file_to_itself_duplicates_it)
{
	ASSERT_EQ(SIZE, write_at(&self->r, 0, self->fd, 0, 0, 0));
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(SIZE, op_read(&self->r, 1, self->fd, 0, SIZE));
	ASSERT_EQ(SIZE, write_at(&self->r, 1, self->fd, SIZE, 0, 0));
	ASSERT_EQ(0, op_edit(&self->r, 1, IOLITE_EDIT_SEEK, 0, 0, SEEK_SET));
	/* and over itself, shifted: the source is a snapshot (I1) */
	ASSERT_EQ(SIZE, write_at(&self->r, 1, self->fd, 1, 0, 0));
	ASSERT_EQ(2 * SIZE, pread_full(self->fd, self->seen, 2 * SIZE, 0));
	EXPECT_SAME(self->data, self->seen, 1);
	EXPECT_SAME(self->data, self->seen + 1, SIZE);
	EXPECT_SAME(self->data + 1, self->seen + SIZE + 1, SIZE - 1);
}

TEST_F(file, direct_write_gives_the_same_bytes)
{
	int fd = open(self->path, O_RDWR | O_DIRECT);
	long copied = stat_copied();

	if (fd < 0)
		SKIP(return, "the file system has no O_DIRECT");
	ASSERT_EQ(16 * PAGE, write_at(&self->r, 0, fd, 0, 16 * PAGE, 0));
	/* tmpfs has nothing but its cache */
	if (variant->fs == FS_EXT4 || variant->fs == FS_XFS)
		EXPECT_EQ(copied, stat_copied());
	ASSERT_EQ(16 * PAGE, pread_full(self->fd, self->seen, 16 * PAGE, 0));
	EXPECT_SAME(self->data, self->seen, 16 * PAGE);
	close(fd);
}

TEST_F(file, rwf_flags_are_those_of_pwritev2)
{
	EXPECT_EQ(100, write_at(&self->r, 0, self->fd, 0, 100, RWF_DSYNC));
	EXPECT_EQ(100, write_at(&self->r, 0, self->fd, 0, 100, RWF_SYNC));
	EXPECT_EQ(-EOPNOTSUPP, write_at(&self->r, 0, self->fd, 0, 100, 1U << 30));
	EXPECT_EQ(200, op_edit(&self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
}

TEST_F(file, write_free_empties_the_slot)
{
	struct io_uring_sqe sqe = sqe_write(&self->r, 0, self->fd, 0, 0);

	sqe.ioprio = IOLITE_WRITE_FREE;
	ASSERT_EQ(SIZE, ring_run(&self->r, &sqe));
	EXPECT_EQ(-ENOENT, op_length(&self->r, 0));
}

/* ---- pipes ---- */

FIXTURE(pipe) {
	struct ring r;
	int pool;
	int fd[2];
	char *data;
	char *seen;
};

#define PIPE_SIZE	65536
#define LONG		(4 * PIPE_SIZE)

FIXTURE_SETUP(pipe)
{
	OPEN_RING(&self->r, 8);
	self->pool = pool_create(&self->r, 0);
	ASSERT_GE(self->pool, 0);
	ASSERT_EQ(0, pipe(self->fd));
	self->data = xmalloc(LONG);
	self->seen = xmalloc(LONG);
	fill_pattern(self->data, LONG, 12);
	ASSERT_EQ(LONG, op_alloc(&self->r, 0, self->pool, self->data, LONG));
}

FIXTURE_TEARDOWN(pipe)
{
	close(self->fd[0]);
	close(self->fd[1]);
	close(self->pool);
	ring_close(&self->r);
	free(self->data);
	free(self->seen);
}

TEST_F(pipe, bytes_arrive)
{
	ASSERT_EQ(1000, write_at(&self->r, 0, self->fd[1], -1, 1000, 0));
	ASSERT_EQ(1000, read_full(self->fd[0], self->seen, 1000));
	EXPECT_SAME(self->data, self->seen, 1000);
}

TEST_F(pipe, full_pipe_is_waited_for)
{
	unsigned int done = 0;

	while (done < LONG) {
		struct io_uring_sqe sqe = sqe_write(&self->r, 0, self->fd[1], 0, 0);
		struct io_uring_cqe cqe;

		sqe.off = -1;
		ring_put(&self->r, &sqe);
		ASSERT_EQ(1, ring_submit(&self->r));
		ASSERT_EQ(PAGE, read_full(self->fd[0], self->seen + done, PAGE));
		done += PAGE;
		while (ring_reap(&self->r, &cqe, 10) == -ETIME) {
			ASSERT_EQ(PAGE, read_full(self->fd[0], self->seen + done, PAGE));
			done += PAGE;
		}
		ASSERT_LT(0, cqe.res);
		/* what is in the pipe already */
		while (done < (unsigned int)op_edit(&self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0)) {
			ssize_t n = read(self->fd[0], self->seen + done, LONG - done);

			ASSERT_LT(0, n);
			done += n;
		}
	}
	EXPECT_SAME(self->data, self->seen, LONG);
}

TEST_F(pipe, nowait_on_a_full_pipe_says_so)
{
	int res;

	while ((res = write_at(&self->r, 0, self->fd[1], -1, 0, RWF_NOWAIT)) > 0)
		;
	EXPECT_EQ(-EAGAIN, res);
}

TEST_F(pipe, without_a_reader_is_broken_without_killing_the_test)
{
	signal(SIGPIPE, SIG_IGN);
	close(self->fd[0]);
	EXPECT_EQ(-EPIPE, write_at(&self->r, 0, self->fd[1], -1, 1000, 0));
}

FS_HARNESS_MAIN

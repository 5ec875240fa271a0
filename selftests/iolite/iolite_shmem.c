// SPDX-License-Identifier: GPL-2.0
/*
 * WRITE by reference to holes of tmpfs: many chunks at a time, by whoever submits, and
 * all the same what write(2) would have made of the file (I9).
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE	4096
#define PAGES	80		/* more than what goes at a time */
#define SIZE	(PAGES * PAGE)
#define ROUNDS	60

FIXTURE(hole) {
	struct ring r;
	int pool;
	int fd;
	char path[4096];
	char *data;
	char *seen;
};

FIXTURE_VARIANT(hole) { enum fs fs; };
FIXTURE_VARIANT_ADD(hole, tmpfs) { .fs = FS_TMPFS };
FIXTURE_VARIANT_ADD(hole, huge) { .fs = FS_HUGE };

FIXTURE_SETUP(hole)
{
	OPEN_RING(&self->r, 4);
	NEED_FS(variant->fs);
	self->pool = pool_create_flags(&self->r, IOLITE_POOL_PAGES, 0);
	ASSERT_LE(0, self->pool);
	self->fd = fs_file(variant->fs, 0, self->path);
	ASSERT_LE(0, self->fd);
	self->data = xmalloc(SIZE);
	self->seen = xmalloc(SIZE);
	fill_pattern(self->data, SIZE, 31);
}

FIXTURE_TEARDOWN(hole)
{
	unlink(self->path);
	close(self->fd);
	close(self->pool);
	ring_close(&self->r);
	free(self->data);
	free(self->seen);
}

/* Slot 0 becomes the data, in pages of its own, as a page is in one file only */
static int make_source(struct ring *r, int pool, const char *data)
{
	op_free(r, 0, 1);
	return op_alloc(r, 0, pool, data, SIZE);
}

static int write_at(struct ring *r, int fd, __u64 off)
{
	struct io_uring_sqe sqe = sqe_write(r, 0, fd, 0, 0);

	sqe.off = off;
	return ring_run(r, &sqe);
}

#define EXPECT_WRITTEN(by_ref) do {						\
	ASSERT_EQ(SIZE, pread_full(self->fd, self->seen, SIZE, 0));		\
	EXPECT_SAME(self->data, self->seen, SIZE);				\
	ASSERT_EQ(SIZE, agg_bytes(&self->r, 0, self->seen, SIZE));		\
	EXPECT_SAME(self->data, self->seen, SIZE);				\
	EXPECT_EQ((by_ref), stat_get("written_bytes") - before);		\
} while (0)

static long blocks_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -errno : st.st_blocks;
}

static long free_blocks(int fd)
{
	struct statvfs st;

	return fstatvfs(fd, &st) ? -errno : (long)st.f_bfree;
}

/* A worker could not have done it before the call returns, as it has to wake up. */
TEST_F(hole, is_filled_by_whoever_submits)
{
	long before = stat_get("written_bytes");
	struct io_uring_sqe sqe;
	struct io_uring_cqe cqe;

	ASSERT_EQ(SIZE, make_source(&self->r, self->pool, self->data));
	sqe = sqe_write(&self->r, 0, self->fd, 0, 0);
	sqe.off = 0;
	ring_put(&self->r, &sqe);
	ASSERT_EQ(1, ring_submit(&self->r));
	ASSERT_EQ(0, ring_reap(&self->r, &cqe, 0));
	EXPECT_EQ(SIZE, cqe.res);
	EXPECT_WRITTEN(SIZE);
}

TEST_F(hole, ends_where_something_is_cached)
{
	static const int cached[] = { 0, 7, 33, 79 };
	long before;
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ftruncate(self->fd, 0));
		ASSERT_EQ(1, pwrite(self->fd, "x", 1, cached[i] * PAGE + 100));
		ASSERT_EQ(SIZE, make_source(&self->r, self->pool, self->data));
		before = stat_get("written_bytes");
		ASSERT_EQ(SIZE, write_at(&self->r, self->fd, 0));
		/* with large folios one page may have made room for all */
		EXPECT_WRITTEN(variant->fs == FS_TMPFS ? SIZE :
			       stat_get("written_bytes") - before);
	}
}

TEST_F(hole, beyond_the_end_is_filled_and_reads_as_zeroes_before)
{
	static char zeroes[3 * PAGE];

	ASSERT_EQ(SIZE, make_source(&self->r, self->pool, self->data));
	ASSERT_EQ(SIZE, write_at(&self->r, self->fd, 3 * PAGE));
	ASSERT_EQ(3 * PAGE, pread_full(self->fd, self->seen, 3 * PAGE, 0));
	EXPECT_SAME(zeroes, self->seen, 3 * PAGE);
	ASSERT_EQ(SIZE, pread_full(self->fd, self->seen, SIZE, 3 * PAGE));
	EXPECT_SAME(self->data, self->seen, SIZE);
}

/* As many blocks as write(2) takes, and all come back. */
TEST_F(hole, is_accounted_for)
{
	long nothing = free_blocks(self->fd), i;

	ASSERT_EQ(SIZE, pwrite(self->fd, self->data, SIZE, 0));
	EXPECT_EQ(SIZE / 512, variant->fs == FS_TMPFS ? blocks_of(self->fd) : SIZE / 512);
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_EQ(nothing, free_blocks(self->fd));

	ASSERT_EQ(SIZE, make_source(&self->r, self->pool, self->data));
	ASSERT_EQ(SIZE, write_at(&self->r, self->fd, 0));
	EXPECT_EQ(SIZE / 512, blocks_of(self->fd));
	EXPECT_EQ(nothing - SIZE / PAGE, free_blocks(self->fd));
	for (i = 0; i < SIZE; i += 2 * PAGE)
		ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, i,
				       PAGE));
	EXPECT_EQ(SIZE / 512 / 2, blocks_of(self->fd));
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_EQ(0, blocks_of(self->fd));
	EXPECT_EQ(nothing, free_blocks(self->fd));
}

/* What was accounted for and is not used comes back: here the second half is no chunk */
TEST_F(hole, is_accounted_for_where_the_source_ends)
{
	int small = pool_create_flags(&self->r, 0, 0);
	long nothing = free_blocks(self->fd), before = stat_get("written_bytes");
	int i;

	ASSERT_EQ(SIZE / 2, op_alloc(&self->r, 0, self->pool, self->data, SIZE / 2));
	for (i = SIZE / 2; i < SIZE; i += PAGE / 4) {
		ASSERT_EQ(PAGE / 4, op_alloc(&self->r, 1, small, self->data + i, PAGE / 4));
		ASSERT_LE(0, op_edit(&self->r, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
		ASSERT_EQ(1, op_free(&self->r, 1, 1));
	}
	ASSERT_EQ(SIZE, write_at(&self->r, self->fd, 0));
	EXPECT_WRITTEN(SIZE / 2);
	if (variant->fs == FS_TMPFS)
		EXPECT_EQ(SIZE / 512, blocks_of(self->fd));
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_EQ(0, blocks_of(self->fd));
	EXPECT_EQ(nothing, free_blocks(self->fd));
	close(small);
}

/* ---- others at the same time ---- */

struct other {
	int fd;
	const char *map;
	atomic_bool stop;
	atomic_ulong done;
};

static void *faults(void *arg)
{
	struct other *o = arg;
	unsigned int seed = 7;

	while (!o->stop) {
		(void)*(volatile const char *)(o->map + random_below(&seed, PAGES) * PAGE);
		o->done++;
	}
	return NULL;
}

/* Reading a hole by a mapping puts a page of zeroes there, without the inode's lock. */
TEST_F_TIMEOUT(hole, is_filled_while_others_fault_pages_into_it, 120)
{
	int fd = open(self->path, O_RDONLY), i;
	struct other o = { .fd = fd };
	pthread_t thread;

	ASSERT_EQ(0, ftruncate(self->fd, SIZE));
	o.map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, o.map);
	ASSERT_EQ(0, pthread_create(&thread, NULL, faults, &o));
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				       SIZE));
		fill_pattern(self->data, SIZE, i);
		ASSERT_EQ(SIZE, make_source(&self->r, self->pool, self->data));
		ASSERT_EQ(SIZE, write_at(&self->r, self->fd, 0));
		ASSERT_SAME(self->data, o.map, SIZE);
		ASSERT_EQ(SIZE, agg_bytes(&self->r, 0, self->seen, SIZE));
		ASSERT_SAME(self->data, self->seen, SIZE);
	}
	o.stop = true;
	pthread_join(thread, NULL);
	EXPECT_NE(0, o.done);
	munmap((void *)o.map, SIZE);
	close(fd);
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_EQ(0, blocks_of(self->fd));
}

static void *cuts(void *arg)
{
	struct other *o = arg;
	unsigned int seed = 9;

	while (!o->stop) {
		off_t at = random_below(&seed, SIZE);

		if (random_below(&seed, 2))
			ftruncate(o->fd, at);
		else
			fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
				  random_below(&seed, 20 * PAGE) + 1);
		if (pwrite(o->fd, "other", 5, random_below(&seed, SIZE)) == 5)
			o->done++;
	}
	return NULL;
}

TEST_F_TIMEOUT(hole, is_filled_while_others_cut_and_write, 120)
{
	struct other o = { .fd = self->fd };
	long nothing = free_blocks(self->fd);
	pthread_t thread;
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, cuts, &o));
	for (i = 0; i < ROUNDS; i++) {
		fill_pattern(self->data, SIZE, i);
		ASSERT_EQ(SIZE, make_source(&self->r, self->pool, self->data));
		ASSERT_EQ(SIZE, write_at(&self->r, self->fd, 0));
		ASSERT_EQ(SIZE, agg_bytes(&self->r, 0, self->seen, SIZE));
		ASSERT_SAME(self->data, self->seen, SIZE);
	}
	o.stop = true;
	pthread_join(thread, NULL);
	EXPECT_NE(0, o.done);
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_EQ(0, blocks_of(self->fd));
	EXPECT_EQ(nothing, free_blocks(self->fd));
	/* and again alone, so that nothing was left wrong */
	ASSERT_EQ(SIZE, make_source(&self->r, self->pool, self->data));
	ASSERT_EQ(SIZE, write_at(&self->r, self->fd, 0));
	ASSERT_EQ(SIZE, pread_full(self->fd, self->seen, SIZE, 0));
	EXPECT_SAME(self->data, self->seen, SIZE);
}

static void *appends(void *arg)
{
	struct other *o = arg;
	char page[PAGE];

	memset(page, 'o', PAGE);
	while (!o->stop)
		if (write(o->fd, page, PAGE) == PAGE)
			o->done++;
	return NULL;
}

#define RECORD	9	/* pages, the last of them no chunk */

/* A hole is filled with what is a chunk. What is not comes behind it all the same (I9). */
TEST_F_TIMEOUT(hole, is_appended_to_in_one_piece, 120)
{
	int small = pool_create_flags(&self->r, 0, 0), i, j, pages = 0, others = 0;
	int fd = open(self->path, O_WRONLY | O_APPEND);
	struct other o = { .fd = open(self->path, O_WRONLY | O_APPEND) };
	pthread_t thread;

	memset(self->data, 'r', RECORD * PAGE);
	ASSERT_EQ(0, pthread_create(&thread, NULL, appends, &o));
	for (i = 0; i < ROUNDS; i++) {
		op_free(&self->r, 0, 1);
		ASSERT_EQ((RECORD - 1) * PAGE, op_alloc(&self->r, 0, self->pool, self->data,
							(RECORD - 1) * PAGE));
		for (j = 0; j < 4; j++) {
			ASSERT_EQ(PAGE / 4, op_alloc(&self->r, 1, small, self->data, PAGE / 4));
			ASSERT_LE(0, op_edit(&self->r, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
			ASSERT_EQ(1, op_free(&self->r, 1, 1));
		}
		ASSERT_EQ(RECORD * PAGE, write_at(&self->r, fd, 0));
	}
	o.stop = true;
	pthread_join(thread, NULL);
	for (i = 0; pread_full(self->fd, self->seen, PAGE, (off_t)i * PAGE) == PAGE; i++) {
		if (self->seen[0] == 'r') {
			ASSERT_SAME(self->data, self->seen, PAGE);
			pages++;
			continue;
		}
		ASSERT_EQ(0, pages % RECORD)
			TH_LOG("torn at page %d", i);
		others++;
	}
	EXPECT_EQ(ROUNDS * RECORD, pages);
	EXPECT_EQ(o.done, others);
	close(o.fd);
	close(fd);
	close(small);
}

FS_HARNESS_MAIN

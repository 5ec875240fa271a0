// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that cannot be had, at each place where it is asked for: the operation
 * fails with one of the errors that it documents or is done, what it was given
 * is as before, and nothing leaks (I6).
 *
 * /proc/self/fail-nth lets the n-th allocation of this task fail, so that the
 * tests count n up until an operation is through without having met it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE	4096
#define MAX_NTH	400

#define INJECT	"/sys/kernel/debug/"

/* Also those that may sleep, and of single pages */
static int configure(const char *kind)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), INJECT "%s/ignore-gfp-wait", kind);
	ret = write_file(path, "N");
	snprintf(path, sizeof(path), INJECT "%s/verbose", kind);
	write_file(path, "0");
	return ret;
}

static const char *cannot_inject(void)
{
	if (geteuid())
		return "injecting faults needs root";
	if (access("/proc/self/fail-nth", W_OK))
		return "the kernel has no CONFIG_FAULT_INJECTION";
	if (configure("failslab"))
		return "no failslab: debugfs is not mounted or CONFIG_FAILSLAB is off";
	if (configure("fail_page_alloc"))
		return "no fail_page_alloc: CONFIG_FAIL_PAGE_ALLOC is off";
	write_file(INJECT "fail_page_alloc/min-order", "0");
	return NULL;
}

FIXTURE(fault) {
	struct stat_objects before;
	struct ring r;
	int pool, fd, sock[2];
	char *data;
	char what[512];
};

static int open_all(struct _test_data_fault *self)
{
	if (ring_open(&self->r, 8) || ring_join(&self->r))
		return -EIO;
	self->pool = pool_create(&self->r, 0);
	if (self->pool < 0 || unix_pair(SOCK_STREAM, &self->sock[0], &self->sock[1]))
		return -EIO;
	if (op_alloc(&self->r, 0, self->pool, self->data, 10000) != 10000 ||
	    op_read(&self->r, 1, self->fd, 100, 10000) != 10000)
		return -EIO;
	return 0;
}

static void close_all(struct _test_data_fault *self)
{
	ring_close(&self->r);
	close(self->pool);
	close(self->sock[0]);
	close(self->sock[1]);
}

FIXTURE_SETUP(fault)
{
	if (!iolite_present())
		SKIP(return, "the kernel has no IO-Lite");
	if (cannot_inject())
		SKIP(return, "%s", cannot_inject());
	self->data = xmalloc(16 * PAGE);
	fill_pattern(self->data, 16 * PAGE, 1);
	self->fd = fs_file(FS_TMPFS, 0, NULL);
	ASSERT_EQ(16 * PAGE, write_full(self->fd, self->data, 16 * PAGE));
	stat_objects_get(&self->before);
}

FIXTURE_TEARDOWN(fault)
{
	close(self->fd);
	free(self->data);
}

static int fail_nth(unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	return write_file("/proc/thread-self/fail-nth", text);
}

/* What is left of the count-down: 0 if an allocation has failed */
static int fail_left(void)
{
	char text[16] = "";
	int fd = open("/proc/thread-self/fail-nth", O_RDONLY), left = -1;

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		left = atoi(text);
	close(fd);
	return left;
}

typedef int (*op_fn)(struct _test_data_fault *self);

static bool documented(int res)
{
	return res >= 0 || res == -ENOMEM || res == -EAGAIN || res == -ENOBUFS ||
	       res == -EFAULT || res == -ENFILE || res == -EBADF;
}

static void check(struct __test_metadata *_metadata, struct _test_data_fault *self, op_fn op)
{
	char *seen = xmalloc(20000);
	unsigned int n, failed = 0;

	for (n = 1; n < MAX_NTH; n++) {
		int res, left;

		ASSERT_EQ(0, open_all(self));
		fail_nth(n);
		res = op(self);
		left = fail_left();
		fail_nth(0);
		EXPECT_TRUE(documented(res))
			TH_LOG("allocation %u: %d", n, res);
		failed += res < 0;
		/* the ring still works, and slot 0 begins with what it held */
		if (op_length(&self->r, 0) >= 10000) {
			EXPECT_EQ(10000, agg_bytes(&self->r, 0, seen, 10000));
			EXPECT_SAME(self->data, seen, 10000)
				TH_LOG("allocation %u", n);
		}
		close_all(self);
		if (left > 0)
			break;
	}
	TH_LOG("%u allocations failed one by one, %u times the operation did", n - 1, failed);
	EXPECT_GT(MAX_NTH, n);
	EXPECT_EQ(0, stat_objects_wait(&self->before, self->what, sizeof(self->what)))
		TH_LOG("%s", self->what);
	free(seen);
}

static int alloc_small(struct _test_data_fault *self)
{
	return op_alloc(&self->r, 2, self->pool, self->data, 100);
}

static int alloc_large(struct _test_data_fault *self)
{
	return op_alloc(&self->r, IOLITE_SLOT_ALLOC, self->pool, self->data, 60000);
}

static int alloc_writable(struct _test_data_fault *self)
{
	char *at;

	return op_alloc_writable(&self->r, 2, self->pool, 60000, &at);
}

static int read_cached(struct _test_data_fault *self)
{
	return op_read(&self->r, 2, self->fd, 0, 16 * PAGE);
}

static int read_special(struct _test_data_fault *self)
{
	int fd = open("/dev/zero", O_RDONLY), ret = fd;

	if (fd >= 0)
		ret = op_read(&self->r, 2, fd, -1, 30000);
	else
		ret = -errno;
	close(fd);
	return ret;
}

static int read_append(struct _test_data_fault *self)
{
	struct io_uring_sqe sqe = sqe_read(&self->r, 0, self->fd, 0, 16 * PAGE);

	sqe.ioprio = IOLITE_READ_APPEND;
	return ring_run(&self->r, &sqe);
}

static int write_socket(struct _test_data_fault *self)
{
	return op_write(&self->r, 1, self->sock[0], 0, MSG_DONTWAIT);
}

static int write_file_copy(struct _test_data_fault *self)
{
	struct io_uring_sqe sqe = sqe_write(&self->r, 1, self->fd, 5000, 0);

	sqe.off = 20 * PAGE;
	return ring_run(&self->r, &sqe);
}

static int concat(struct _test_data_fault *self)
{
	return op_edit(&self->r, 0, IOLITE_EDIT_CONCAT, 1, 0, 0);
}

/* Beyond what an aggregate keeps in itself */
static int concat_to_a_tree(struct _test_data_fault *self)
{
	int i, ret = 0;

	for (i = 0; i < 8 && ret >= 0; i++)
		ret = op_edit(&self->r, 0, IOLITE_EDIT_CONCAT, 0, 0, 0);
	return ret;
}

static int split(struct _test_data_fault *self)
{
	return op_edit(&self->r, 1, IOLITE_EDIT_SPLIT, 2, 5000, 0);
}

static int truncate_a_tree(struct _test_data_fault *self)
{
	int ret = concat_to_a_tree(self);

	return ret < 0 ? ret : op_edit(&self->r, 0, IOLITE_EDIT_TRUNCATE, 0, 11111, 0);
}

static int replace_in_a_tree(struct _test_data_fault *self)
{
	int ret = concat_to_a_tree(self);

	return ret < 0 ? ret : op_edit(&self->r, 0, IOLITE_EDIT_REPLACE, 1, 15000, 30000);
}

static int dup_into_free_slot(struct _test_data_fault *self)
{
	return op_edit(&self->r, 0, IOLITE_EDIT_DUP, IOLITE_SLOT_ALLOC, 0, 0);
}

static int map(struct _test_data_fault *self)
{
	struct iolite_extent ext[8];
	int ret = op_map(&self->r, 0, ext, ARRAY_LEN(ext), 0);

	return ret < 0 ? ret : op_map(&self->r, 1, ext, ARRAY_LEN(ext), 0);
}

static int register_and_unregister(struct _test_data_fault *self)
{
	struct ring other;
	int ret = ring_setup(&other, 4, 0), pool;

	if (ret)
		return ret;
	ret = ring_table(&other, 100);
	if (!ret) {
		pool = pool_create(&other, 0);
		ret = pool < 0 ? pool : 0;
		close(pool);
	}
	ring_close(&other);
	return ret;
}

static int join(struct _test_data_fault *self)
{
	munmap(self->r.window, self->r.table.window_size);
	self->r.window = NULL;
	return ring_join(&self->r);
}

#define FAULT_TEST(op)							\
	TEST_F_TIMEOUT(fault, in_ ## op ## _is_survived, 60)		\
	{								\
		check(_metadata, self, op);				\
	}

FAULT_TEST(alloc_small)
FAULT_TEST(alloc_large)
FAULT_TEST(alloc_writable)
FAULT_TEST(read_cached)
FAULT_TEST(read_special)
FAULT_TEST(read_append)
FAULT_TEST(write_socket)
FAULT_TEST(write_file_copy)
FAULT_TEST(concat)
FAULT_TEST(concat_to_a_tree)
FAULT_TEST(split)
FAULT_TEST(truncate_a_tree)
FAULT_TEST(replace_in_a_tree)
FAULT_TEST(dup_into_free_slot)
FAULT_TEST(map)
FAULT_TEST(register_and_unregister)
FAULT_TEST(join)

/* What was taken from a pipe cannot be given back. Pages, as they take a tree to keep. */
TEST_F_TIMEOUT(fault, in_reading_a_pipe_loses_nothing, 60)
{
	long max = sysctl_get("iolite_max_pool_bytes"), pages = 0;
	const int len = 15 * PAGE;
	char *seen = xmalloc(len);
	unsigned int n, round = 0, failed = 0;
	int p[2];

	/* which one is the n-th differs a little from one time to the next */
	for (n = 1; n < MAX_NTH; n++) {
		int res, left, got = 0;

		ASSERT_EQ(0, open_all(self));
		if (!pages)
			pages = stat_settled("pool_pages");
		ASSERT_EQ(pages, stat_wait("pool_pages", pages));
		ASSERT_EQ(0, sysctl_set("iolite_max_pool_bytes", pages * PAGE + len));
		ASSERT_EQ(0, pipe(p));
		ASSERT_EQ(len, write_full(p[1], self->data, len));
		fail_nth(n);
		res = op_read(&self->r, 2, p[0], -1, len);
		left = fail_left();
		fail_nth(0);
		failed += res < 0;
		EXPECT_TRUE(documented(res))
			TH_LOG("allocation %u: %d", n, res);
		if (res < 0)
			res = op_read(&self->r, 2, p[0], -1, len);
		while (res > 0) {
			ASSERT_EQ(res, agg_bytes(&self->r, 2, seen + got, res));
			got += res;
			if (got == len)
				break;
			ASSERT_EQ(1, op_free(&self->r, 2, 1));
			res = op_read(&self->r, 2, p[0], -1, len - got);
		}
		EXPECT_EQ(len, got);
		EXPECT_SAME(self->data, seen, len)
			TH_LOG("allocation %u", n);
		close(p[0]);
		close(p[1]);
		close_all(self);
		ASSERT_EQ(0, sysctl_set("iolite_max_pool_bytes", max));
		if (left > 0 && ++round == 6)
			break;
		if (left > 0)
			n = 0;
	}
	TH_LOG("the read failed %u times", failed);
	EXPECT_EQ(6, round);
	EXPECT_EQ(0, stat_objects_wait(&self->before, self->what, sizeof(self->what)))
		TH_LOG("%s", self->what);
	free(seen);
}

/* ---- large folios, of which no copy can be had ---- */

#define LARGE	(1 << 20)

/* No allocation of this task of more than a page succeeds, the page cache's included */
static void fail_large(bool on)
{
	/* Off first: without the order, or for all tasks, everything would fail. */
	write_file(INJECT "fail_page_alloc/probability", "0");
	write_file("/proc/self/make-it-fail", on ? "1" : "0");
	write_file(INJECT "fail_page_alloc/ignore-gfp-highmem", on ? "N" : "Y");
	write_file(INJECT "fail_page_alloc/min-order", on ? "1" : "0");
	write_file(INJECT "fail_page_alloc/task-filter", on ? "Y" : "N");
	write_file(INJECT "fail_page_alloc/times", on ? "-1" : "1");
	if (on)
		write_file(INJECT "fail_page_alloc/probability", "100");
}

FIXTURE(large) {
	struct ring r;
	char *data, *seen;
	int fd;
};

FIXTURE_VARIANT(large) { enum fs fs; };
FIXTURE_VARIANT_ADD(large, ext4) { .fs = FS_EXT4 };
FIXTURE_VARIANT_ADD(large, xfs) { .fs = FS_XFS };

FIXTURE_SETUP(large)
{
	OPEN_RING(&self->r, 8);
	NEED_FS(variant->fs);
	if (cannot_inject())
		SKIP(return, "%s", cannot_inject());
	self->data = xmalloc(LARGE);
	self->seen = xmalloc(LARGE);
	fill_pattern(self->data, LARGE, 1);
	self->fd = fs_file(variant->fs, 0, NULL);
	ASSERT_EQ(LARGE, write_full(self->fd, self->data, LARGE));
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(LARGE, op_read(&self->r, 0, self->fd, 0, LARGE));
}

FIXTURE_TEARDOWN(large)
{
	ring_close(&self->r);
	close(self->fd);
	free(self->data);
	free(self->seen);
}

/* Nobody depends on what readers do (I5): neither -ENOMEM nor a wait */
TEST_F_TIMEOUT(large, held_folio_hinders_no_writer, 60)
{
	long dropped = stat_get("dropped_folios");
	const int end = LARGE / 2 + 1234;
	int ret, off;

	fail_large(true);
	for (off = 100; off < LARGE; off += LARGE / 8) {
		ret = pwrite(self->fd, "x", 1, off);
		if (ret != 1)
			break;
	}
	if (ret == 1)
		ret = ftruncate(self->fd, end);
	fail_large(false);
	ASSERT_EQ(0, ret)
		TH_LOG("errno %d at %d", errno, off);
	ASSERT_EQ(LARGE, agg_bytes(&self->r, 0, self->seen, LARGE));
	EXPECT_SAME(self->data, self->seen, LARGE)
		TH_LOG("the snapshot");
	for (off = 100; off < LARGE; off += LARGE / 8)
		self->data[off] = 'x';
	ASSERT_EQ(end, pread_full(self->fd, self->seen, LARGE, 0));
	EXPECT_SAME(self->data, self->seen, end)
		TH_LOG("the file");
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, fs_cold(self->fd));
	ASSERT_EQ(end, pread_full(self->fd, self->seen, LARGE, 0));
	EXPECT_SAME(self->data, self->seen, end)
		TH_LOG("the file on its disk");
	EXPECT_LT(dropped, stat_get("dropped_folios"));
}

/*
 * Likewise of what was written by reference and is dirty still: it is written back
 * first, and the flusher is not kept from that by truncation.
 */
TEST_F_TIMEOUT(large, held_dirty_folio_hinders_no_truncation, 60)
{
	const int end = LARGE / 2 + 1234;
	long by_ref = stat_get("written_bytes");
	int pool = pool_create(&self->r, 0), ret;
	struct io_uring_sqe sqe;

	ASSERT_GE(pool, 0);
	op_free(&self->r, 0, 1);
	fill_pattern(self->data, LARGE, 2);
	ASSERT_EQ(LARGE, op_alloc(&self->r, 0, pool, self->data, LARGE));
	sqe = sqe_write(&self->r, 0, self->fd, 0, 0);
	sqe.off = 0;
	ASSERT_EQ(LARGE, ring_run(&self->r, &sqe));
	ASSERT_EQ(LARGE, stat_get("written_bytes") - by_ref);

	fail_large(true);
	ret = ftruncate(self->fd, end);
	fail_large(false);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(LARGE, agg_bytes(&self->r, 0, self->seen, LARGE));
	EXPECT_SAME(self->data, self->seen, LARGE)
		TH_LOG("the buffer");
	ASSERT_EQ(end, pread_full(self->fd, self->seen, LARGE, 0));
	EXPECT_SAME(self->data, self->seen, end)
		TH_LOG("the file");
	ASSERT_EQ(0, fs_cold(self->fd));
	ASSERT_EQ(end, pread_full(self->fd, self->seen, LARGE, 0));
	EXPECT_SAME(self->data, self->seen, end)
		TH_LOG("the file on its disk");
	close(pool);
}

FS_HARNESS_MAIN

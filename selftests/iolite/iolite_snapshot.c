// SPDX-License-Identifier: GPL-2.0
/*
 * I1: what was read stays as it was read, whatever is done to the file.
 *
 * Each test reads a whole file into an aggregate, changes the file, and then
 * looks at the aggregate twice (through the window and through a socket), and at
 * the file, which must be the same as a twin to which the same was done while
 * nobody had read it; also after fsync and with a cold cache.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE	4096
#define SIZE	(40 * PAGE + 1234)
#define ROOM	(SIZE + 64 * PAGE)	/* for what a test makes of it */

struct subject {
	int	fd;
	char	path[4096];
	char	*map;		/* made before the file was read, or NULL */
};

FIXTURE(snapshot) {
	struct ring r;
	struct subject file, twin;
	char *data;
	char *other;		/* as long, and different */
	char *seen, *expected;
};

FIXTURE_VARIANT(snapshot) {
	enum fs fs;
	bool dirty;
};

/* tmpfs has no other state; on the others a dirty folio is read by counted copy */
FIXTURE_VARIANT_ADD(snapshot, tmpfs) { .fs = FS_TMPFS, .dirty = true };
FIXTURE_VARIANT_ADD(snapshot, huge) { .fs = FS_HUGE, .dirty = true };
FIXTURE_VARIANT_ADD(snapshot, ext4) { .fs = FS_EXT4 };
FIXTURE_VARIANT_ADD(snapshot, ext4_dirty) { .fs = FS_EXT4, .dirty = true };
FIXTURE_VARIANT_ADD(snapshot, xfs) { .fs = FS_XFS };
FIXTURE_VARIANT_ADD(snapshot, xfs_dirty) { .fs = FS_XFS, .dirty = true };

static int make_subject(struct subject *s, enum fs fs, bool dirty, const char *data)
{
	s->fd = fs_file(fs, 0, s->path);
	if (s->fd < 0)
		return s->fd;
	if (write_full(s->fd, data, SIZE) != SIZE)
		return -EIO;
	return dirty ? 0 : fsync(s->fd);
}

static void drop_subject(struct subject *s)
{
	if (s->map)
		munmap(s->map, SIZE);
	unlink(s->path);
	close(s->fd);
}

FIXTURE_SETUP(snapshot)
{
	OPEN_RING(&self->r, 8);
	NEED_FS(variant->fs);
	ASSERT_EQ(0, ring_join(&self->r));
	self->data = xmalloc(SIZE);
	self->other = xmalloc(SIZE);
	self->seen = xmalloc(ROOM);
	self->expected = xmalloc(ROOM);
	fill_pattern(self->data, SIZE, 1);
	fill_pattern(self->other, SIZE, 2);
	ASSERT_EQ(0, make_subject(&self->file, variant->fs, variant->dirty, self->data));
	ASSERT_EQ(0, make_subject(&self->twin, variant->fs, variant->dirty, self->data));
}

FIXTURE_TEARDOWN(snapshot)
{
	drop_subject(&self->file);
	drop_subject(&self->twin);
	ring_close(&self->r);
	free(self->data);
	free(self->other);
	free(self->seen);
	free(self->expected);
}

/* ---- what is done to the file: 0, or -EOPNOTSUPP where the file system cannot ---- */

typedef int (*change_fn)(struct subject *s, const char *other);

static int result(long ret, long expected)
{
	return ret == expected ? 0 : ret < 0 ? -errno : -EIO;
}

static int write_one_byte(struct subject *s, const char *other)
{
	return result(pwrite(s->fd, "\377", 1, 17 * PAGE + 5), 1);
}

static int write_every_page(struct subject *s, const char *other)
{
	int off, ret = 0;

	for (off = 0; off < SIZE && !ret; off += PAGE)
		ret = result(pwrite(s->fd, other + off, 3, off), 3);
	return ret;
}

static int overwrite(struct subject *s, const char *other)
{
	return result(pwrite(s->fd, other, SIZE, 0), SIZE);
}

static int overwrite_unaligned(struct subject *s, const char *other)
{
	return result(pwrite(s->fd, other, SIZE - 777, 333), SIZE - 777);
}

static int pwritev2_synced(struct subject *s, const char *other)
{
	struct iovec iov[] = { { (void *)other, 5000 }, { (void *)other + 9000, 11000 } };

	return result(pwritev2(s->fd, iov, 2, 777, RWF_DSYNC), 16000);
}

static int append(struct subject *s, const char *other)
{
	return result(pwrite(s->fd, other, 3 * PAGE, SIZE), 3 * PAGE);
}

static int truncate_to_nothing(struct subject *s, const char *other)
{
	return result(ftruncate(s->fd, 0), 0);
}

static int truncate_within_a_page(struct subject *s, const char *other)
{
	return result(ftruncate(s->fd, 10 * PAGE + 99), 0);
}

/* The part that was cut off must come back as zeroes, without having been zeroed in place */
static int truncate_down_and_up(struct subject *s, const char *other)
{
	int ret = result(ftruncate(s->fd, 10 * PAGE + 99), 0);

	return ret ? ret : result(ftruncate(s->fd, SIZE), 0);
}

static int truncate_up(struct subject *s, const char *other)
{
	return result(ftruncate(s->fd, SIZE + 5 * PAGE), 0);
}

static int truncate_and_write_again(struct subject *s, const char *other)
{
	int ret = truncate_to_nothing(s, other);

	return ret ? ret : overwrite(s, other);
}

static int open_with_truncation(struct subject *s, const char *other)
{
	int fd = open(s->path, O_WRONLY | O_TRUNC);
	int ret = result(write(fd, other, 5000), 5000);

	close(fd);
	return ret;
}

static int punch(struct subject *s, const char *other)
{
	return result(fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				5 * PAGE, 7 * PAGE), 0);
}

static int punch_unaligned(struct subject *s, const char *other)
{
	return result(fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				5 * PAGE + 100, 7 * PAGE + 50), 0);
}

static int punch_within_a_page(struct subject *s, const char *other)
{
	return result(fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				5 * PAGE + 100, 200), 0);
}

static int zero_range(struct subject *s, const char *other)
{
	return result(fallocate(s->fd, FALLOC_FL_ZERO_RANGE, 3 * PAGE + 7, 20 * PAGE), 0);
}

static int collapse_range(struct subject *s, const char *other)
{
	return result(fallocate(s->fd, FALLOC_FL_COLLAPSE_RANGE, 4 * PAGE, 8 * PAGE), 0);
}

static int insert_range(struct subject *s, const char *other)
{
	return result(fallocate(s->fd, FALLOC_FL_INSERT_RANGE, 4 * PAGE, 8 * PAGE), 0);
}

static int write_direct(struct subject *s, const char *other)
{
	int fd = open(s->path, O_WRONLY | O_DIRECT), ret;
	void *buf;

	if (fd < 0 || posix_memalign(&buf, PAGE, 16 * PAGE))
		return -EOPNOTSUPP;
	memcpy(buf, other, 16 * PAGE);
	ret = result(pwrite(fd, buf, 16 * PAGE, 3 * PAGE), 16 * PAGE);
	free(buf);
	close(fd);
	return ret;
}

/* A file with the other bytes, without a name */
static int other_file(const char *other)
{
	int fd = memfd_create("other", 0);

	if (fd >= 0 && write_full(fd, other, SIZE) != SIZE)
		return -EIO;
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* The same on the file system of the subject, so that blocks can be shared */
static int other_file_beside(struct subject *s, const char *other)
{
	char name[4096 + 16];
	int fd;

	snprintf(name, sizeof(name), "%s.from", s->path);
	fd = open(name, O_RDWR | O_CREAT, 0600);
	unlink(name);
	if (fd >= 0 && (write_full(fd, other, SIZE) != SIZE || fsync(fd)))
		return -EIO;
	return fd;
}

static int copy_file_range_into(struct subject *s, const char *other)
{
	int from = other_file_beside(s, other), ret;
	loff_t in = 0, out = 1000;

	ret = result(copy_file_range(from, &in, s->fd, &out, 20000, 0), 20000);
	close(from);
	return ret;
}

static int clone_range_into(struct subject *s, const char *other)
{
	struct file_clone_range range = {
		.src_fd = other_file_beside(s, other),
		.src_offset = 2 * PAGE, .src_length = 9 * PAGE, .dest_offset = 5 * PAGE,
	};
	int ret = result(ioctl(s->fd, FICLONERANGE, &range), 0);

	close(range.src_fd);
	return ret == -ENOTTY ? -EOPNOTSUPP : ret;
}

static int splice_into(struct subject *s, const char *other)
{
	loff_t off = 2 * PAGE;
	int fd[2], ret;

	if (pipe(fd))
		return -errno;
	ret = result(write(fd[1], other, 8 * PAGE), 8 * PAGE);
	if (!ret)
		ret = result(splice(fd[0], NULL, s->fd, &off, 8 * PAGE, 0), 8 * PAGE);
	close(fd[0]);
	close(fd[1]);
	return ret;
}

static int sendfile_into(struct subject *s, const char *other)
{
	int from = other_file(other), ret;
	off_t off = 0;

	lseek(s->fd, 3000, SEEK_SET);
	ret = result(sendfile(s->fd, from, &off, 30000), 30000);
	close(from);
	return ret;
}

static int io_uring_write(struct subject *s, const char *other)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_WRITE, .fd = s->fd,
		.addr = (uintptr_t)other, .len = 50000, .off = 100,
	};
	struct ring r;
	int ret;

	if (ring_setup(&r, 4, 0))
		return -EIO;
	ret = ring_run(&r, &sqe);
	ring_close(&r);
	return ret == 50000 ? 0 : ret < 0 ? ret : -EIO;
}

static int iolite_write(struct subject *s, const char *other)
{
	struct ring r;
	int ret;

	if (ring_open(&r, 4))
		return -EIO;
	ret = op_alloc(&r, 0, pool_create(&r, 0), other, 50000);
	if (ret == 50000)
		ret = op_write(&r, 0, s->fd, 0, 0);
	ring_close(&r);
	return ret == 50000 ? 0 : ret < 0 ? ret : -EIO;
}

static int rename_over(struct subject *s, const char *other)
{
	char name[4096 + 16];
	int fd, ret;

	snprintf(name, sizeof(name), "%s.new", s->path);
	fd = open(name, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return -errno;
	if (write_full(fd, other, SIZE) != SIZE)
		return -EIO;
	ret = result(rename(name, s->path), 0);
	/* the old contents are gone but for us */
	close(s->fd);
	s->fd = fd;
	return ret;
}

static char *map_file(struct subject *s, int prot)
{
	char *map = mmap(NULL, SIZE, prot, MAP_SHARED, s->fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* Continues whatever faults: a page that a copy has replaced does once more */
static void *continue_faults(void *arg)
{
	int uffd = *(int *)arg;
	struct uffd_msg msg;

	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT) {
		struct uffdio_continue go = {
			.range.start = msg.arg.pagefault.address & ~(__u64)(PAGE - 1),
			.range.len = PAGE,
		};

		ioctl(uffd, UFFDIO_CONTINUE, &go);
	}
	return NULL;
}

/* UFFDIO_CONTINUE puts what is in the cache into the page table without a fault */
static int store_after_uffd_continue(struct subject *s, const char *other)
{
	size_t len = (SIZE + PAGE - 1) & ~(size_t)(PAGE - 1);
	int uffd = syscall(__NR_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY), off;
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MINOR_SHMEM };
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MINOR };
	struct uffdio_continue go = { };
	int ret = -EOPNOTSUPP;
	pthread_t handler;

	if (!map)
		return -errno;
	reg.range.start = go.range.start = (uintptr_t)map;
	reg.range.len = go.range.len = len;
	if (uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api) && !ioctl(uffd, UFFDIO_REGISTER, &reg)) {
		ret = ioctl(uffd, UFFDIO_CONTINUE, &go) || go.mapped != (__s64)len ? -EIO : 0;
		pthread_create(&handler, NULL, continue_faults, &uffd);
		for (off = 0; !ret && off < SIZE; off += 3 * PAGE)
			map[off + 17] ^= 0x33;
		pthread_cancel(handler);
		pthread_join(handler, NULL);
	}
	munmap(map, SIZE);
	close(uffd);
	return ret;
}

static int store_through_map(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	int off;

	if (!map)
		return -errno;
	for (off = 0; off < SIZE; off += 3 * PAGE)
		map[off + 9] ^= 0x55;
	return result(munmap(map, SIZE), 0);
}

/* Puts every page into the page table by a load */
static void load_pages(const char *map)
{
	int off;

	for (off = 0; off < SIZE; off += PAGE)
		*(volatile const char *)(map + off);
}

/* A load may put a writable entry into the page table, for the page and its neighbours */
static int load_and_store_through_map(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	int off;

	if (!map)
		return -errno;
	load_pages(map);
	for (off = 0; off < SIZE; off += PAGE)
		map[off + 9] ^= 0x55;
	return result(munmap(map, SIZE), 0);
}

static int store_after_mprotect(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ);
	int off;

	if (!map)
		return -errno;
	load_pages(map);
	if (mprotect(map, SIZE, PROT_READ | PROT_WRITE))
		return -errno;
	for (off = 0; off < SIZE; off += 2 * PAGE)
		map[off + 9] ^= 0x55;
	return result(munmap(map, SIZE), 0);
}

static int read_into_map(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	int from = other_file(other), ret;

	if (!map)
		return -errno;
	ret = result(read(from, map + 100, 20000), 20000);
	munmap(map, SIZE);
	close(from);
	return ret;
}

/* By get_user_pages(), not by a fault of the process */
static int proc_mem_into_map(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	int mem = open("/proc/self/mem", O_RDWR), ret;

	if (!map || mem < 0)
		return -EOPNOTSUPP;
	ret = result(pwrite(mem, other, 20000, (uintptr_t)map + 100), 20000);
	munmap(map, SIZE);
	close(mem);
	return ret;
}

static int direct_read_into_map(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	int from = other_file_beside(s, other), ret;

	if (!map)
		return -errno;
	if (fcntl(from, F_SETFL, O_DIRECT))
		return -EOPNOTSUPP;
	ret = result(pread(from, map, 8 * PAGE, 0), 8 * PAGE);
	munmap(map, SIZE);
	close(from);
	return ret;
}

static int store_through_private_map(struct subject *s, const char *other)
{
	char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, s->fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	memset(map, 0xee, SIZE);
	return result(munmap(map, SIZE), 0);
}

/* Its folios go elsewhere, with other bytes */
static int unlink_and_fill_memory(struct subject *s, const char *other)
{
	char *memory;

	unlink(s->path);
	close(s->fd);
	s->fd = memfd_create("instead", 0);
	memory = malloc(8 << 20);
	if (!memory)
		return -ENOMEM;
	memset(memory, 0xdd, 8 << 20);
	free(memory);
	return 0;
}

static int store_through_old_map(struct subject *s, const char *other)
{
	int off;

	for (off = 0; off < SIZE; off += 2 * PAGE)
		s->map[off + 77] ^= 0x55;
	return 0;
}

/* ---- the check ---- */

static off_t file_bytes(struct subject *s, char *to)
{
	struct stat st;

	if (fstat(s->fd, &st) || st.st_size > ROOM ||
	    pread_full(s->fd, to, st.st_size, 0) != st.st_size)
		return -EIO;
	return st.st_size;
}

static void compare_files(struct __test_metadata *_metadata, struct _test_data_snapshot *self,
			  const char *when)
{
	off_t len = file_bytes(&self->twin, self->expected);

	ASSERT_LE(0, len);
	ASSERT_EQ(len, file_bytes(&self->file, self->seen))
		TH_LOG("%s", when);
	EXPECT_SAME(self->expected, self->seen, len)
		TH_LOG("the file, %s", when);
}

static void compare_snapshot(struct __test_metadata *_metadata, struct _test_data_snapshot *self,
			     const char *when)
{
	ASSERT_EQ(SIZE, op_length(&self->r, 0));
	memset(self->seen, 0, SIZE);
	ASSERT_EQ(SIZE, agg_bytes_mapped(&self->r, 0, self->seen, SIZE));
	EXPECT_SAME(self->data, self->seen, SIZE)
		TH_LOG("the snapshot by the window, %s", when);
	memset(self->seen, 0, SIZE);
	ASSERT_EQ(SIZE, agg_bytes(&self->r, 0, self->seen, SIZE));
	EXPECT_SAME(self->data, self->seen, SIZE)
		TH_LOG("the snapshot by a socket, %s", when);
}

static void check(struct __test_metadata *_metadata, struct _test_data_snapshot *self,
		  change_fn change)
{
	struct iolite_extent ext[64];
	int ret;

	ASSERT_EQ(SIZE, op_read(&self->r, 0, self->file.fd, 0, SIZE));
	/* once mapped before, and once after the change */
	ASSERT_LT(0, op_map(&self->r, 0, ext, ARRAY_LEN(ext), 0));
	EXPECT_EQ(0, signal_of_read((char *)(uintptr_t)ext[0].addr));

	ret = change(&self->file, self->other);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "the file system cannot do this");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, change(&self->twin, self->other));

	compare_snapshot(_metadata, self, "after the change");
	compare_files(_metadata, self, "after the change");
	ASSERT_EQ(0, fsync(self->file.fd));
	ASSERT_EQ(0, fsync(self->twin.fd));
	compare_files(_metadata, self, "after fsync");
	ASSERT_EQ(0, fs_cold(self->file.fd));
	ASSERT_EQ(0, fs_cold(self->twin.fd));
	compare_files(_metadata, self, "from a cold cache");
	compare_snapshot(_metadata, self, "from a cold cache");

	/* and the same once more, now that the folios have been through it */
	ret = change(&self->file, self->data);
	if (!ret && !change(&self->twin, self->data)) {
		compare_snapshot(_metadata, self, "after the second change");
		compare_files(_metadata, self, "after the second change");
	}
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	compare_files(_metadata, self, "after the snapshot has gone");
}

#define SNAPSHOT_TEST(change)						\
	TEST_F_TIMEOUT(snapshot, survives_ ## change, 60)		\
	{								\
		check(_metadata, self, change);				\
	}

SNAPSHOT_TEST(write_one_byte)
SNAPSHOT_TEST(write_every_page)
SNAPSHOT_TEST(overwrite)
SNAPSHOT_TEST(overwrite_unaligned)
SNAPSHOT_TEST(pwritev2_synced)
SNAPSHOT_TEST(append)
SNAPSHOT_TEST(truncate_to_nothing)
SNAPSHOT_TEST(truncate_within_a_page)
SNAPSHOT_TEST(truncate_down_and_up)
SNAPSHOT_TEST(truncate_up)
SNAPSHOT_TEST(truncate_and_write_again)
SNAPSHOT_TEST(open_with_truncation)
SNAPSHOT_TEST(punch)
SNAPSHOT_TEST(punch_unaligned)
SNAPSHOT_TEST(punch_within_a_page)
SNAPSHOT_TEST(zero_range)
SNAPSHOT_TEST(collapse_range)
SNAPSHOT_TEST(insert_range)
SNAPSHOT_TEST(write_direct)
SNAPSHOT_TEST(copy_file_range_into)
SNAPSHOT_TEST(clone_range_into)
SNAPSHOT_TEST(splice_into)
SNAPSHOT_TEST(sendfile_into)
SNAPSHOT_TEST(io_uring_write)
SNAPSHOT_TEST(iolite_write)
SNAPSHOT_TEST(rename_over)
SNAPSHOT_TEST(store_through_map)
SNAPSHOT_TEST(store_after_uffd_continue)
SNAPSHOT_TEST(load_and_store_through_map)
SNAPSHOT_TEST(store_after_mprotect)
SNAPSHOT_TEST(read_into_map)
SNAPSHOT_TEST(proc_mem_into_map)
SNAPSHOT_TEST(direct_read_into_map)
SNAPSHOT_TEST(store_through_private_map)

TEST_F(snapshot, survives_unlink_and_reuse_of_memory)
{
	ASSERT_EQ(SIZE, op_read(&self->r, 0, self->file.fd, 0, SIZE));
	ASSERT_EQ(0, unlink_and_fill_memory(&self->file, self->other));
	compare_snapshot(_metadata, self, "after unlink");
}

/* A writable mapping that exists already makes the read a counted copy, not a wrong one */
TEST_F(snapshot, survives_stores_through_a_mapping_that_was_there_before)
{
	long mapped = stat_get("copied_mapped");
	int off;

	self->file.map = map_file(&self->file, PROT_READ | PROT_WRITE);
	self->twin.map = map_file(&self->twin, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, self->file.map);
	ASSERT_NE(NULL, self->twin.map);
	for (off = 0; off < SIZE; off += PAGE) {
		self->file.map[off] = self->data[off];
		self->twin.map[off] = self->data[off];
	}
	check(_metadata, self, store_through_old_map);
	TH_LOG("%ld of %d bytes were copied because the file was mapped",
	       stat_get("copied_mapped") - mapped, SIZE);
}

/* The same, but the mapping is opened for writing only later */
TEST_F(snapshot, survives_stores_through_a_mapping_that_was_read_only_before)
{
	self->file.map = map_file(&self->file, PROT_READ);
	self->twin.map = map_file(&self->twin, PROT_READ);
	load_pages(self->file.map);
	ASSERT_EQ(SIZE, op_read(&self->r, 0, self->file.fd, 0, SIZE));
	ASSERT_EQ(0, mprotect(self->file.map, SIZE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, store_through_old_map(&self->file, self->other));
	ASSERT_EQ(0, mprotect(self->twin.map, SIZE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, store_through_old_map(&self->twin, self->other));
	compare_snapshot(_metadata, self, "after mprotect");
	compare_files(_metadata, self, "after mprotect");
}

/* A long-term pin is DMA at any time: such a folio is copied when it is read */
TEST_F(snapshot, survives_a_device_that_writes_into_pinned_pages)
{
	struct iovec iov = { .iov_len = 16 * PAGE };
	struct io_uring_sqe sqe = { .opcode = IORING_OP_READ_FIXED, .len = 10 * PAGE };
	int from = other_file(self->other), ret;
	struct ring r;

	ASSERT_EQ(0, ring_setup(&r, 4, 0));
	self->file.map = map_file(&self->file, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, self->file.map);
	iov.iov_base = self->file.map;
	ret = ring_register(&r, IORING_REGISTER_BUFFERS, &iov, 1);
	if (ret)
		SKIP(return, "pages of this file system cannot be pinned for long: %d", ret);
	ASSERT_EQ(SIZE, op_read(&self->r, 0, self->file.fd, 0, SIZE));
	sqe.fd = from;
	sqe.addr = (uintptr_t)self->file.map;
	ASSERT_EQ(10 * PAGE, ring_run(&r, &sqe));
	compare_snapshot(_metadata, self, "after the pages were written to");
	ring_close(&r);
	close(from);
}

/*
 * Some direct reads store by plain references, got by a mapping that may be gone
 * by then.  A pipe's reference stands for them here: of a file that was mapped
 * for writing, only what nobody holds is sealed.
 */
TEST_F(snapshot, copies_what_may_still_be_stored_to_by_an_old_mapping)
{
	long pinned = stat_get("copied_pinned");
	loff_t off = 0;
	int p[2];

	self->file.map = map_file(&self->file, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, self->file.map);
	load_pages(self->file.map);
	ASSERT_EQ(0, munmap(self->file.map, SIZE));
	self->file.map = NULL;
	ASSERT_EQ(0, fsync(self->file.fd));

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(PAGE, splice(self->file.fd, &off, p[1], NULL, PAGE, 0));
	ASSERT_EQ(PAGE, op_read(&self->r, 0, self->file.fd, 0, PAGE));
	EXPECT_EQ(PAGE, stat_get("copied_pinned") - pinned);
	ASSERT_EQ(PAGE, read_full(p[0], self->seen, PAGE));
	pinned = stat_get("copied_pinned");
	ASSERT_EQ(PAGE, op_read(&self->r, 1, self->file.fd, 0, PAGE));
	EXPECT_EQ(0, stat_get("copied_pinned") - pinned);
	close(p[0]);
	close(p[1]);
}

TEST_F(snapshot, of_part_of_a_file_survives_too)
{
	const unsigned int off = 5 * PAGE + 100, len = 9 * PAGE;

	ASSERT_EQ((int)len, op_read(&self->r, 0, self->file.fd, off, len));
	ASSERT_EQ(0, overwrite(&self->file, self->other));
	ASSERT_EQ((int)len, agg_bytes(&self->r, 0, self->seen, len));
	EXPECT_SAME(self->data + off, self->seen, len);
}

TEST_F(snapshot, many_versions_live_side_by_side)
{
	unsigned int i;

	for (i = 0; i < 6; i++) {
		char byte = 'a' + i;

		ASSERT_EQ(1, pwrite(self->file.fd, &byte, 1, 2 * PAGE + 1));
		ASSERT_EQ(4 * PAGE, op_read(&self->r, i, self->file.fd, 0, 4 * PAGE));
	}
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(4 * PAGE, agg_bytes(&self->r, i, self->seen, 4 * PAGE));
		self->data[2 * PAGE + 1] = 'a' + i;
		EXPECT_SAME(self->data, self->seen, 4 * PAGE)
			TH_LOG("version %u", i);
	}
}

/* I7: a folio that nobody holds any more is written in place */
TEST_F(snapshot, that_has_gone_costs_no_copy)
{
	long cow, again;

	ASSERT_EQ(SIZE, op_read(&self->r, 0, self->file.fd, 0, SIZE));
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	cow = stat_get("copied_cow");
	ASSERT_EQ(0, overwrite(&self->file, self->other));
	again = stat_get("copied_cow");
	TH_LOG("%ld of %d bytes were copied on write after all", again - cow, SIZE);
	EXPECT_GT(SIZE, again - cow);
}

TEST_F(snapshot, write_that_may_not_block_is_right_or_refused)
{
	struct iovec iov = { self->other, SIZE };
	ssize_t ret;

	ASSERT_EQ(SIZE, op_read(&self->r, 0, self->file.fd, 0, SIZE));
	ret = pwritev2(self->file.fd, &iov, 1, 0, RWF_NOWAIT);
	if (ret < 0) {
		EXPECT_TRUE(errno == EAGAIN || errno == EOPNOTSUPP)
			TH_LOG("errno %d", errno);
		ret = 0;
	}
	ASSERT_EQ(ret, pwrite(self->twin.fd, self->other, ret, 0));
	compare_snapshot(_metadata, self, "after RWF_NOWAIT");
	compare_files(_metadata, self, "after RWF_NOWAIT");
}

/* ---- a race: writers and readers at once ---- */

TEST_F_TIMEOUT(snapshot, is_one_of_the_versions_while_a_writer_runs, 60)
{
	unsigned int i, k, bad = 0;
	time_t until = time(NULL) + 2;
	int status;
	pid_t pid;

	/* every version is PAGE bytes of one value, written by one write(2) */
	memset(self->other, 0, PAGE);
	ASSERT_EQ(PAGE, pwrite(self->file.fd, self->other, PAGE, 0));
	pid = fork();
	if (!pid) {
		for (i = 1;; i++) {
			memset(self->other, i, PAGE);
			if (pwrite(self->file.fd, self->other, PAGE, 0) != PAGE)
				_exit(1);
		}
	}
	for (i = 0; !bad && time(NULL) < until; i++) {
		char first[PAGE];

		ASSERT_EQ(PAGE, op_read(&self->r, 0, self->file.fd, 0, PAGE));
		ASSERT_EQ(PAGE, agg_bytes(&self->r, 0, first, PAGE));
		for (k = 0; k < 3; k++) {
			ASSERT_EQ(PAGE, agg_bytes(&self->r, 0, self->seen, PAGE));
			bad += !same_bytes(first, self->seen, PAGE);
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(0, bad)
		TH_LOG("a snapshot changed between two looks");
	TH_LOG("%u snapshots", i);
}

/* ---- on the wire ---- */

#define WIRE_SIZE	(256 << 10)

struct wire {
	int	out, in;
	char	*old, *new, *seen;
	int	fd;
};

static int open_wire(struct wire *w, enum fs fs)
{
	int small = 4096;

	w->old = xmalloc(WIRE_SIZE);
	w->new = xmalloc(WIRE_SIZE);
	w->seen = xmalloc(WIRE_SIZE);
	memset(w->old, 'o', WIRE_SIZE);
	memset(w->new, 'n', WIRE_SIZE);
	w->fd = fs_file(fs, 0, NULL);
	if (w->fd < 0 || write_full(w->fd, w->old, WIRE_SIZE) != WIRE_SIZE || fsync(w->fd))
		return -EIO;
	if (tcp_pair(&w->out, &w->in))
		return -EIO;
	/* most of it waits in the sender's queue */
	setsockopt(w->in, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	return set_sndbuf(w->out, 2 * WIRE_SIZE);
}

static void close_wire(struct wire *w)
{
	close(w->out);
	close(w->in);
	close(w->fd);
	free(w->old);
	free(w->new);
	free(w->seen);
}

/* The slow reader begins to read */
static int read_wire(struct wire *w, int len)
{
	int large = 4 * WIRE_SIZE;

	setsockopt(w->in, SOL_SOCKET, SO_RCVBUF, &large, sizeof(large));
	return read_full(w->in, w->seen, len);
}

static unsigned int bytes_of(const char *p, size_t len, char c)
{
	unsigned int n = 0;

	while (len--)
		n += *p++ == c;
	return n;
}

TEST_F_TIMEOUT(snapshot, on_the_wire_arrives_as_it_was_read, 60)
{
	int sent, queued;
	struct wire w;

	ASSERT_EQ(0, open_wire(&w, variant->fs));
	ASSERT_EQ(WIRE_SIZE, op_read(&self->r, 0, w.fd, 0, WIRE_SIZE));
	sent = op_write(&self->r, 0, w.out, 0, MSG_DONTWAIT);
	ASSERT_LT(0, sent);
	/* nothing but the socket remembers it */
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	ASSERT_EQ(WIRE_SIZE, pwrite(w.fd, w.new, WIRE_SIZE, 0));
	ASSERT_EQ(0, ftruncate(w.fd, 5));
	ASSERT_EQ(sent, read_wire(&w, sent));
	EXPECT_SAME(w.old, w.seen, sent);
	close_wire(&w);

	/* for comparison; what sendfile(2) does is no failure of ours */
	ASSERT_EQ(0, open_wire(&w, variant->fs));
	ASSERT_EQ(0, fcntl(w.out, F_SETFL, O_NONBLOCK));
	lseek(w.fd, 0, SEEK_SET);
	queued = sendfile(w.out, w.fd, NULL, WIRE_SIZE);
	ASSERT_LT(0, queued);
	ASSERT_EQ(WIRE_SIZE, pwrite(w.fd, w.new, WIRE_SIZE, 0));
	ASSERT_EQ(queued, read_wire(&w, queued));
	TH_LOG("IO-Lite: 0 of %d bytes changed on the wire; sendfile: %u of %d", sent,
	       bytes_of(w.seen, queued, 'n'), queued);
	close_wire(&w);
}

FS_HARNESS_MAIN

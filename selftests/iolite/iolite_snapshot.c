// SPDX-License-Identifier: GPL-2.0
/*
 * I1: what was read stays as it was read, whatever is done to the file.
 *
 * The ways to change a file are iolite_matrix's. Here is what is not about one
 * change: many versions, what a snapshot that has gone costs, what is copied at
 * once, races, and the wire.
 */
#include <fcntl.h>
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
FIXTURE_VARIANT_ADD(snapshot, ext4_nodelalloc) { .fs = FS_EXT4_NODELALLOC };
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

/* Its folios go elsewhere, with other bytes */
TEST_F(snapshot, survives_unlink_and_reuse_of_memory)
{
	const size_t much = 8 << 20;
	char *memory = xmalloc(much);

	ASSERT_EQ(SIZE, op_read(&self->r, 0, self->file.fd, 0, SIZE));
	unlink(self->file.path);
	close(self->file.fd);
	self->file.fd = -1;
	memset(memory, 0xdd, much);
	free(memory);
	compare_snapshot(_metadata, self, "after unlink");
}

/* A page that broke leaves the cache, even though it cannot leave the snapshot */
TEST_F(snapshot, survives_memory_failure)
{
	char *map;
	int off;

	if (variant->dirty)
		SKIP(return, "what is not on a device is lost");
	/* pages of their own: a large folio cannot be split while it is held */
	for (off = 0; off < SIZE; off += PAGE)
		ASSERT_EQ(1, pwrite(self->file.fd, self->data + off, 1, off));
	ASSERT_EQ(0, fs_cold(self->file.fd));
	ASSERT_EQ(0, posix_fadvise(self->file.fd, 0, 0, POSIX_FADV_RANDOM));
	ASSERT_EQ(SIZE, pread_full(self->file.fd, self->seen, SIZE, 0));

	ASSERT_EQ(SIZE, op_read(&self->r, 0, self->file.fd, 0, SIZE));
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->file.fd, 3 * PAGE);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(self->data[3 * PAGE], map[0]);
	/* It has another user: that makes it fail, and changes nothing else. */
	if (madvise(map, PAGE, MADV_HWPOISON) && errno != EBUSY)
		SKIP(return, "MADV_HWPOISON: %s", strerror(errno));
	EXPECT_EQ(self->data[3 * PAGE], map[0]);
	munmap(map, PAGE);
	compare_snapshot(_metadata, self, "after the page broke");
	compare_files(_metadata, self, "after the page broke");

	ASSERT_EQ(SIZE, pwrite(self->file.fd, self->other, SIZE, 0));
	ASSERT_EQ(SIZE, pwrite(self->twin.fd, self->other, SIZE, 0));
	ASSERT_EQ(0, fs_cold(self->file.fd));
	compare_snapshot(_metadata, self, "after a write");
	compare_files(_metadata, self, "after a write");
}

/* On tmpfs it stays in the file, uncharged. A copy in its place could not be charged. */
TEST_F(snapshot, of_a_page_that_broke_hinders_no_truncation)
{
	int status;

	if (variant->fs != FS_TMPFS && variant->fs != FS_HUGE)
		SKIP(return, "what is on a device leaves the cache");
	ASSERT_EQ(SIZE, op_read(&self->r, 0, self->file.fd, 0, SIZE));
	if (!fork()) {
		char *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->file.fd, 3 * PAGE);

		if (map == MAP_FAILED || self->data[3 * PAGE] != map[0])
			_exit(1);
		/* who has it mapped is told by a signal, or may be */
		_exit(madvise(map, PAGE, MADV_HWPOISON) && errno != EBUSY ? 2 : 0);
	}
	wait(&status);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		SKIP(return, "MADV_HWPOISON is not there");
	ASSERT_TRUE(!status || WIFSIGNALED(status));
	ASSERT_EQ(0, ftruncate(self->file.fd, 3 * PAGE + 100));
	ASSERT_EQ(0, ftruncate(self->file.fd, PAGE));
	ASSERT_EQ(PAGE, pread_full(self->file.fd, self->seen, PAGE, 0));
	EXPECT_SAME(self->data, self->seen, PAGE);
	ASSERT_EQ(SIZE, agg_bytes(&self->r, 0, self->seen, SIZE));
	/* of a large folio no copy can be had: it is cleared where the file has ended */
	EXPECT_SAME(self->data, self->seen, variant->fs == FS_HUGE ? PAGE : 3 * PAGE);
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
	int p[2], at;
	char *map;

	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->file.fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	for (at = 0; at < SIZE; at += PAGE)
		EXPECT_EQ(self->data[at], map[at]);
	ASSERT_EQ(0, munmap(map, SIZE));
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

/* A mapping that is older than what makes the file one of ours counts as well */
TEST_F(snapshot, copies_what_was_mapped_while_data_was_journalled)
{
	int flags, journal, p[2];
	loff_t off = 0;
	char *map;

	if (variant->fs != FS_EXT4_NODELALLOC)
		SKIP(return, "needs ext4 and no delayed allocation");
	ASSERT_EQ(0, ioctl(self->file.fd, FS_IOC_GETFLAGS, &flags));
	journal = flags | FS_JOURNAL_DATA_FL;
	ASSERT_EQ(0, ioctl(self->file.fd, FS_IOC_SETFLAGS, &journal));
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->file.fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, ioctl(self->file.fd, FS_IOC_SETFLAGS, &flags));
	EXPECT_EQ(self->data[0], map[0]);
	ASSERT_EQ(0, munmap(map, SIZE));
	ASSERT_EQ(0, fsync(self->file.fd));

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(PAGE, splice(self->file.fd, &off, p[1], NULL, PAGE, 0));
	off = stat_get("copied_pinned");
	ASSERT_EQ(PAGE, op_read(&self->r, 0, self->file.fd, 0, PAGE));
	EXPECT_EQ(PAGE, stat_get("copied_pinned") - off);
	close(p[0]);
	close(p[1]);
}

TEST_F(snapshot, of_part_of_a_file_survives_too)
{
	const unsigned int off = 5 * PAGE + 100, len = 9 * PAGE;

	ASSERT_EQ((int)len, op_read(&self->r, 0, self->file.fd, off, len));
	ASSERT_EQ(SIZE, pwrite(self->file.fd, self->other, SIZE, 0));
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
	ASSERT_EQ(SIZE, pwrite(self->file.fd, self->other, SIZE, 0));
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

/* ---- others ---- */

static void *store_two(void *arg)
{
	char *map = arg;

	map[3 * PAGE] = 'x';
	map[4 * PAGE] = 'x';
	return NULL;
}

/* A page table is emptied to replace a page. Who watches stores by it must not miss one. */
TEST_F_TIMEOUT(snapshot, stores_that_userfaultfd_watches_are_still_seen, 60)
{
	int uffd = syscall(__NR_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY), i;
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
	};
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect wp = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	struct pollfd seen = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;
	pthread_t storer;
	char *map;

	if (variant->fs != FS_TMPFS && variant->fs != FS_HUGE)
		SKIP(return, "userfaultfd is for tmpfs");
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		SKIP(return, "no userfaultfd that protects shared memory");
	ASSERT_EQ(SIZE, op_read(&self->r, 0, self->file.fd, 0, SIZE));
	map = mmap(NULL, 40 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->file.fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	reg.range = (struct uffdio_range){ (uintptr_t)map, 40 * PAGE };
	wp.range = reg.range;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_REGISTER, &reg));
	for (i = 0; i < 40; i++)
		(void)*(volatile char *)(map + i * PAGE);
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_WRITEPROTECT, &wp));

	/* replaces the page, with large folios the others, too */
	ASSERT_EQ(5, pwrite(self->file.fd, "other", 5, 3 * PAGE));
	ASSERT_EQ(0, pthread_create(&storer, NULL, store_two, map));
	wp.mode = 0;
	wp.range.len = PAGE;
	for (i = 3; i < 5; i++) {
		ASSERT_EQ(1, poll(&seen, 1, IOLITE_TIMEOUT_MS))
			TH_LOG("the store to page %d was not seen", i);
		ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));
		EXPECT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
		EXPECT_TRUE(msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP);
		EXPECT_EQ((uintptr_t)map + i * PAGE, msg.arg.pagefault.address);
		wp.range.start = (uintptr_t)map + i * PAGE;
		ASSERT_EQ(0, ioctl(uffd, UFFDIO_WRITEPROTECT, &wp));
	}
	pthread_join(storer, NULL);
	ASSERT_EQ(SIZE, agg_bytes(&self->r, 0, self->seen, SIZE));
	EXPECT_SAME(self->data, self->seen, SIZE);
	munmap(map, 40 * PAGE);
	close(uffd);
}

int main(int argc, char **argv)
{
	fs_mount_all();
	fs_mount(FS_EXT4_NODELALLOC);
	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/* TRANSMIT: a header and a file, or an aggregate, to a socket in one request */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE		4096
#define FILE_SIZE	((1 << 20) + 1234)
#define HEADER		IOLITE_TRANSMIT_HEADER_MAX
#define ROOM		(FILE_SIZE + HEADER)

enum kind { TCP, UNIX_STREAM };

FIXTURE(transmit) {
	struct ring r;
	int pool, file, out, in;
	char *header, *data;
	char *seen;
};

FIXTURE_VARIANT(transmit) { enum fs fs; enum kind kind; unsigned int ring; };
FIXTURE_VARIANT_ADD(transmit, tmpfs_tcp) { .fs = FS_TMPFS, .kind = TCP };
FIXTURE_VARIANT_ADD(transmit, huge_tcp) { .fs = FS_HUGE, .kind = TCP };
FIXTURE_VARIANT_ADD(transmit, ext4_tcp) { .fs = FS_EXT4, .kind = TCP };
FIXTURE_VARIANT_ADD(transmit, xfs_tcp) { .fs = FS_XFS, .kind = TCP };
FIXTURE_VARIANT_ADD(transmit, ext4_unix) { .fs = FS_EXT4, .kind = UNIX_STREAM };
FIXTURE_VARIANT_ADD(transmit, sqpoll) {
	.fs = FS_EXT4,
	.ring = IORING_SETUP_SQPOLL,
};

FIXTURE_VARIANT_ADD(transmit, defer_taskrun) {
	.fs = FS_EXT4,
	.ring = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
};

static int pair(enum kind kind, int *a, int *b)
{
	return kind == TCP ? tcp_pair(a, b) : unix_pair(SOCK_STREAM, a, b);
}

FIXTURE_SETUP(transmit)
{
	if (!iolite_present())
		SKIP(return, "the kernel has no IO-Lite");
	ASSERT_EQ(0, ring_setup(&self->r, 64, variant->ring));
	ASSERT_EQ(0, ring_table(&self->r, 8));
	NEED_FS(variant->fs);
	self->pool = pool_create(&self->r, 0);
	self->data = xmalloc(FILE_SIZE);
	self->header = xmalloc(HEADER);
	self->seen = xmalloc(ROOM);
	fill_pattern(self->data, FILE_SIZE, 1);
	fill_pattern(self->header, HEADER, 2);
	self->file = fs_file(variant->fs, 0, NULL);
	ASSERT_EQ(FILE_SIZE, write_full(self->file, self->data, FILE_SIZE));
	ASSERT_EQ(0, fsync(self->file));
	ASSERT_EQ(0, pair(variant->kind, &self->out, &self->in));
}

FIXTURE_TEARDOWN(transmit)
{
	ring_close(&self->r);
	close(self->pool);
	close(self->file);
	close(self->out);
	close(self->in);
	free(self->data);
	free(self->header);
	free(self->seen);
}

static void put(struct ring *r, struct io_uring_sqe sqe, __u64 user_data)
{
	sqe.user_data = user_data;
	ring_put(r, &sqe);
}

/* Takes @len bytes as they come, slowly if @pause */
struct receiver {
	pthread_t	thread;
	int		fd;
	char		*seen;
	int		len, got;
	int		pause;
};

static void *receive(void *arg)
{
	struct receiver *rx = arg;
	ssize_t n = 1;

	for (rx->got = 0; rx->got < rx->len && n > 0; rx->got += n) {
		if (rx->pause)
			usleep(rx->pause);
		n = recv(rx->fd, rx->seen + rx->got, rx->len - rx->got, 0);
	}
	return NULL;
}

static void begin_receiving(struct receiver *rx, int fd, char *seen, int len, int pause)
{
	*rx = (struct receiver){ .fd = fd, .seen = seen, .len = len, .pause = pause };
	pthread_create(&rx->thread, NULL, receive, rx);
}

/* Runs @sqe, and checks that the header and @body arrive and that nothing else does */
static void expect_all(struct __test_metadata *_metadata, struct _test_data_transmit *self,
		       const struct io_uring_sqe *sqe, const char *body, int len)
{
	int head = sqe->addr3;
	struct receiver rx;
	char more;

	begin_receiving(&rx, self->in, self->seen, head + len, 0);
	ASSERT_EQ(head + len, ring_run(&self->r, sqe));
	pthread_join(rx.thread, NULL);
	ASSERT_EQ(head + len, rx.got);
	EXPECT_SAME(self->header, self->seen, head);
	EXPECT_SAME(body, self->seen + head, len);
	EXPECT_EQ(-1, recv(self->in, &more, 1, MSG_DONTWAIT));
}

TEST_F_TIMEOUT(transmit, header_and_file_arrive_and_only_the_header_is_copied, 60)
{
	static const int heads[] = { 0, 1, 200, 1024, 1025, HEADER };
	static const int sizes[] = { 1, 100, PAGE - 1, PAGE, 16 * PAGE, FILE_SIZE };
	unsigned int h, s;

	for (h = 0; h < ARRAY_LEN(heads); h++) {
		for (s = 0; s < ARRAY_LEN(sizes); s++) {
			int off = (FILE_SIZE - sizes[s]) / 3;
			struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, self->header,
							       heads[h], self->file, sizes[s],
							       off);
			long sent = stat_get("sent_bytes"), copied = stat_copied();
			long alloc = stat_get("copied_alloc");

			expect_all(_metadata, self, &sqe, self->data + off, sizes[s]);
			/* I2; a header that a full socket sent away is copied again */
			EXPECT_EQ(heads[h] + sizes[s], stat_get("sent_bytes") - sent);
			EXPECT_EQ(stat_get("copied_alloc") - alloc, stat_copied() - copied);
			EXPECT_LE(heads[h], stat_copied() - copied);
			EXPECT_GE(64 * heads[h], stat_copied() - copied);
		}
	}
}

TEST_F(transmit, no_bytes_of_the_file_is_just_the_header)
{
	struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, self->header, 77,
					       self->file, 0, 0);

	expect_all(_metadata, self, &sqe, NULL, 0);
	sqe = sqe_transmit(&self->r, self->out, NULL, 0, self->file, 0, 0);
	EXPECT_EQ(0, ring_run(&self->r, &sqe));
}

/* Corked bytes would arrive after 200 ms or more */
TEST_F(transmit, beyond_the_end_of_file_it_is_short_and_nothing_is_held_back)
{
	struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, self->header, 50,
					       self->file, 10 * PAGE, FILE_SIZE - 100);
	struct pollfd p = { .fd = self->in, .events = POLLIN };

	EXPECT_EQ(150, ring_run(&self->r, &sqe));
	EXPECT_EQ(1, poll(&p, 1, 100));
	ASSERT_EQ(150, recv(self->in, self->seen, ROOM, 0));
	EXPECT_SAME(self->data + FILE_SIZE - 100, self->seen + 50, 100);
	sqe.off = FILE_SIZE;
	EXPECT_EQ(50, ring_run(&self->r, &sqe));
	EXPECT_EQ(1, poll(&p, 1, 100));
	ASSERT_EQ(50, recv(self->in, self->seen, ROOM, 0));
	sqe.addr = 0;
	sqe.addr3 = 0;
	EXPECT_EQ(0, ring_run(&self->r, &sqe));
}

TEST_F(transmit, from_a_cold_cache)
{
	struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, self->header, 200,
					       self->file, FILE_SIZE, 0);
	long copied = stat_copied();

	ASSERT_EQ(0, fs_cold(self->file));
	expect_all(_metadata, self, &sqe, self->data, FILE_SIZE);
	EXPECT_GT(64 * HEADER, stat_copied() - copied);
}

TEST_F(transmit, forced_into_a_worker)
{
	struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, self->header, 200,
					       self->file, FILE_SIZE, 0);

	sqe.flags = IOSQE_ASYNC;
	expect_all(_metadata, self, &sqe, self->data, FILE_SIZE);
	ASSERT_EQ(FILE_SIZE, op_read(&self->r, 0, self->file, 0, FILE_SIZE));
	sqe = sqe_transmit(&self->r, self->out, self->header, 200, 0, 0, 0);
	sqe.ioprio = IOLITE_TRANSMIT_SLOT;
	sqe.flags = IOSQE_ASYNC;
	expect_all(_metadata, self, &sqe, self->data, FILE_SIZE);
}

/* A receiver that is slow costs nothing but its socket (I5), and gets it all */
TEST_F_TIMEOUT(transmit, slow_receiver_holds_no_pages, 60)
{
	struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, self->header, 200,
					       self->file, FILE_SIZE, 0);
	long held = stat_settled("file_pages"), buffers = stat_settled("buffers");
	struct io_uring_cqe cqe;
	struct receiver rx;

	ASSERT_LE(0, set_sndbuf(self->out, 4 * PAGE));
	put(&self->r, sqe, 1);
	ASSERT_EQ(1, ring_submit(&self->r));
	EXPECT_EQ(-ETIME, ring_reap(&self->r, &cqe, 50));
	EXPECT_EQ(held, stat_get("file_pages"));
	EXPECT_EQ(buffers, stat_get("buffers"));
	begin_receiving(&rx, self->in, self->seen, FILE_SIZE + 200, 200);
	ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(FILE_SIZE + 200, cqe.res);
	pthread_join(rx.thread, NULL);
	ASSERT_EQ(FILE_SIZE + 200, rx.got);
	EXPECT_SAME(self->header, self->seen, 200);
	EXPECT_SAME(self->data, self->seen + 200, FILE_SIZE);
}

/* I1: what the socket has taken stays as it was */
TEST_F(transmit, what_was_taken_does_not_change)
{
	struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, NULL, 0, self->file,
					       FILE_SIZE, 0);
	char *other = xmalloc(FILE_SIZE);
	int sent;

	ASSERT_LE(0, set_sndbuf(self->out, 64 * PAGE));
	sqe.msg_flags = MSG_DONTWAIT;
	sent = ring_run(&self->r, &sqe);
	ASSERT_LT(0, sent);
	memset(other, 'x', FILE_SIZE);
	ASSERT_EQ(FILE_SIZE, pwrite(self->file, other, FILE_SIZE, 0));
	ASSERT_EQ(0, ftruncate(self->file, 5));
	ASSERT_EQ(sent, read_full(self->in, self->seen, sent));
	EXPECT_SAME(self->data, self->seen, sent);
	free(other);
}

TEST_F(transmit, full_socket_refuses_who_does_not_wait)
{
	struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, self->header, 200,
					       self->file, FILE_SIZE, 0);
	int sent = 0, res;

	sqe.msg_flags = MSG_DONTWAIT;
	while ((res = ring_run(&self->r, &sqe)) > 0) {
		sent += res;
		ASSERT_GT(64 * FILE_SIZE, sent);
	}
	EXPECT_EQ(-EAGAIN, res);
}

TEST_F(transmit, bytes_that_cannot_be_shared_are_copied_and_counted)
{
	struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, NULL, 0, self->file,
					       FILE_SIZE, 0);
	char *map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->file, 0);
	long mapped = stat_get("copied_mapped");

	ASSERT_NE(MAP_FAILED, map);
	expect_all(_metadata, self, &sqe, self->data, FILE_SIZE);
	EXPECT_LE(FILE_SIZE, stat_get("copied_mapped") - mapped);
	munmap(map, FILE_SIZE);
}

TEST_F(transmit, file_of_the_rings_table)
{
	struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, self->header, 10, 1,
					       FILE_SIZE, 0);
	int files[2] = { -1, self->file };

	ASSERT_EQ(0, ring_register(&self->r, IORING_REGISTER_FILES, files, 2));
	sqe.ioprio = IOLITE_TRANSMIT_FIXED_FILE;
	expect_all(_metadata, self, &sqe, self->data, FILE_SIZE);
	sqe.file_index = 0;
	EXPECT_EQ(-EBADF, ring_run(&self->r, &sqe));
	sqe.file_index = 2;
	EXPECT_EQ(-EBADF, ring_run(&self->r, &sqe));
}

/* ---- of aggregates ---- */

static struct io_uring_sqe sqe_slot(struct _test_data_transmit *self, unsigned int slot,
				    unsigned int head, unsigned int len, __u64 off)
{
	struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, self->header, head, slot,
					       len, off);

	sqe.ioprio = IOLITE_TRANSMIT_SLOT;
	return sqe;
}

TEST_F(transmit, aggregate_stays_as_it_is)
{
	struct io_uring_sqe sqe = sqe_slot(self, 0, 200, 0, 0);

	ASSERT_EQ(FILE_SIZE, op_read(&self->r, 0, self->file, 0, FILE_SIZE));
	ASSERT_EQ(5, op_edit(&self->r, 0, IOLITE_EDIT_SEEK, 0, 5, SEEK_SET));
	expect_all(_metadata, self, &sqe, self->data, FILE_SIZE);
	sqe = sqe_slot(self, 0, 0, 0, FILE_SIZE - 10);
	expect_all(_metadata, self, &sqe, self->data + FILE_SIZE - 10, 10);
	sqe = sqe_slot(self, 0, 1, 3 * PAGE, 100);
	expect_all(_metadata, self, &sqe, self->data + 100, 3 * PAGE);
	sqe = sqe_slot(self, 0, 20, 0, FILE_SIZE);
	expect_all(_metadata, self, &sqe, NULL, 0);
	EXPECT_EQ(5, op_edit(&self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	EXPECT_EQ(FILE_SIZE, op_length(&self->r, 0));
	sqe = sqe_slot(self, 0, 0, 0, FILE_SIZE + 1);
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
}

TEST_F_TIMEOUT(transmit, slot_may_be_emptied_and_changed_while_it_waits, 60)
{
	struct io_uring_sqe sqe = sqe_slot(self, 0, 200, 0, 0);
	struct io_uring_cqe cqe;
	struct receiver rx;

	ASSERT_EQ(FILE_SIZE, op_read(&self->r, 0, self->file, 0, FILE_SIZE));
	ASSERT_LE(0, set_sndbuf(self->out, 4 * PAGE));
	put(&self->r, sqe, 1);
	ASSERT_EQ(1, ring_submit(&self->r));
	EXPECT_EQ(-ETIME, ring_reap(&self->r, &cqe, 20));
	EXPECT_LE(0, op_edit(&self->r, 0, IOLITE_EDIT_TRUNCATE, 0, 5, 0));
	EXPECT_EQ(1, op_free(&self->r, 0, 1));
	ASSERT_EQ(4, op_alloc(&self->r, 0, self->pool, "else", 4));
	begin_receiving(&rx, self->in, self->seen, FILE_SIZE + 200, 0);
	ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(FILE_SIZE + 200, cqe.res);
	pthread_join(rx.thread, NULL);
	EXPECT_SAME(self->data, self->seen + 200, FILE_SIZE);
}

TEST_F(transmit, one_aggregate_goes_to_many_sockets_at_once)
{
	enum { MANY = 16 };
	int out[MANY], in[MANY], i;
	struct receiver rx[MANY];
	struct io_uring_cqe cqe;
	char *seen[MANY];
	struct ring r;

	ASSERT_EQ(0, ring_setup(&r, MANY, 0));
	ASSERT_EQ(0, ring_table(&r, 4));
	ASSERT_EQ(FILE_SIZE, op_read(&r, 0, self->file, 0, FILE_SIZE));
	for (i = 0; i < MANY; i++) {
		struct io_uring_sqe sqe;

		ASSERT_EQ(0, pair(variant->kind, &out[i], &in[i]));
		sqe = sqe_transmit(&r, out[i], self->header, 100, 0, 0, 0);
		sqe.ioprio = IOLITE_TRANSMIT_SLOT;
		put(&r, sqe, i);
		seen[i] = xmalloc(ROOM);
		begin_receiving(&rx[i], in[i], seen[i], FILE_SIZE + 100, 0);
	}
	ASSERT_EQ(MANY, ring_submit(&r));
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, ring_reap(&r, &cqe, IOLITE_TIMEOUT_MS));
		EXPECT_EQ(FILE_SIZE + 100, cqe.res);
	}
	for (i = 0; i < MANY; i++) {
		pthread_join(rx[i].thread, NULL);
		EXPECT_SAME(self->header, seen[i], 100);
		EXPECT_SAME(self->data, seen[i] + 100, FILE_SIZE);
		free(seen[i]);
		close(out[i]);
		close(in[i]);
	}
	ring_close(&r);
}

/* ---- what is refused ---- */

TEST_F(transmit, wrong_sources_and_sockets_are_refused)
{
	struct io_uring_sqe good = sqe_transmit(&self->r, self->out, self->header, 10,
						self->file, 10, 0), bad;
	int dir = open("/", O_RDONLY), p[2], dgram[2], wronly;

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, unix_pair(SOCK_DGRAM, &dgram[0], &dgram[1]));
	wronly = open("/tmp", O_TMPFILE | O_WRONLY, 0600);
	ASSERT_GE(wronly, 0);
#define REFUSED(error, change) do {					\
	bad = good;							\
	change;								\
	EXPECT_EQ(error, ring_run(&self->r, &bad))			\
		TH_LOG(#change);					\
} while (0)
	REFUSED(-ENOTSOCK, bad.fd = self->file);
	REFUSED(-ENOTSOCK, bad.fd = p[1]);
	REFUSED(-EOPNOTSUPP, bad.fd = dgram[0]);
	REFUSED(-EBADF, bad.fd = -1);
	REFUSED(-EISDIR, bad.file_index = dir);
	REFUSED(-EINVAL, bad.file_index = p[0]);
	REFUSED(-EINVAL, bad.file_index = self->in);
	REFUSED(-EBADF, bad.file_index = wronly);
	REFUSED(-EBADF, bad.file_index = -1);
	REFUSED(-EBADF, bad.file_index = 1000000);
	REFUSED(-EINVAL, bad.off = -1);
	REFUSED(-EINVAL, bad.off = 1ULL << 63);
	REFUSED(-EINVAL, bad.addr3 = HEADER + 1);
	REFUSED(-EINVAL, bad.addr3 = 0);
	REFUSED(-EFAULT, bad.addr = 8);
	REFUSED(-EINVAL, bad.ioprio = IOLITE_TRANSMIT_SLOT | IOLITE_TRANSMIT_FIXED_FILE);
	REFUSED(-EINVAL, bad.ioprio = 4);
	REFUSED(-ENOENT, (bad.ioprio = IOLITE_TRANSMIT_SLOT, bad.file_index = 7));
	REFUSED(-EINVAL, (bad.ioprio = IOLITE_TRANSMIT_SLOT, bad.file_index = 8));
	/* nothing of all that has left */
	EXPECT_EQ(-1, recv(self->in, self->seen, ROOM, MSG_DONTWAIT));
	EXPECT_EQ(20, ring_run(&self->r, &good));
	close(dir);
	close(p[0]);
	close(p[1]);
	close(dgram[0]);
	close(dgram[1]);
	close(wronly);
}

TEST_F(transmit, unsealed_aggregate_and_missing_table_are_refused)
{
	struct io_uring_sqe sqe;
	struct ring r;
	char *at;

	ASSERT_EQ(0, ring_join(&self->r));
	ASSERT_EQ(PAGE, op_alloc_writable(&self->r, 0, self->pool, PAGE, &at));
	sqe = sqe_slot(self, 0, 0, 0, 0);
	EXPECT_EQ(-EBUSY, ring_run(&self->r, &sqe));
	ASSERT_LE(0, op_seal(&self->r, 0));
	EXPECT_EQ(PAGE, ring_run(&self->r, &sqe));

	ASSERT_EQ(0, ring_setup(&r, 4, 0));
	sqe = sqe_transmit(&self->r, self->out, NULL, 0, self->file, 10, 0);
	EXPECT_EQ(-ENXIO, ring_run(&r, &sqe));
	ring_close(&r);
}

TEST_F(transmit, short_one_breaks_a_chain)
{
	struct io_uring_sqe nop = { .opcode = IORING_OP_NOP, .fd = -1 };
	struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, NULL, 0, self->file, 20,
					       FILE_SIZE - 10);
	struct io_uring_cqe cqe;
	int i;

	sqe.flags = IOSQE_IO_LINK;
	put(&self->r, sqe, 1);
	put(&self->r, nop, 2);
	ASSERT_EQ(2, ring_submit(&self->r));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
		EXPECT_EQ(cqe.user_data == 1 ? 10 : -ECANCELED, cqe.res);
	}
}

TEST_F(transmit, cancelled_one_tells_what_it_has_sent)
{
	struct io_uring_sqe cancel = { .opcode = IORING_OP_ASYNC_CANCEL, .fd = -1, .addr = 1 };
	struct io_uring_sqe sqe = sqe_transmit(&self->r, self->out, self->header, 200,
					       self->file, FILE_SIZE, 0);
	struct io_uring_cqe cqe;
	int sent = 0, i;

	ASSERT_LE(0, set_sndbuf(self->out, 4 * PAGE));
	put(&self->r, sqe, 1);
	ASSERT_EQ(1, ring_submit(&self->r));
	EXPECT_EQ(-ETIME, ring_reap(&self->r, &cqe, 50));
	put(&self->r, cancel, 2);
	ASSERT_EQ(1, ring_submit(&self->r));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
		if (cqe.user_data == 1)
			sent = cqe.res;
		else
			EXPECT_EQ(0, cqe.res);
	}
	ASSERT_LT(200, sent);
	ASSERT_GT(FILE_SIZE, sent);
	ASSERT_EQ(sent, read_full(self->in, self->seen, sent));
	EXPECT_SAME(self->data, self->seen + 200, sent - 200);
	EXPECT_EQ(-1, recv(self->in, self->seen, 1, MSG_DONTWAIT));
}

/* I6 */
TEST_F_TIMEOUT(transmit, requests_that_wait_leave_nothing_behind, 60)
{
	struct stat_objects before;
	char what[512];
	int slot;

	stat_objects_get(&before);
	for (slot = 0; slot < 2; slot++) {
		struct io_uring_sqe sqe;
		int out, in, file = dup(self->file);
		struct ring r;

		ASSERT_EQ(0, ring_setup(&r, 4, variant->ring));
		ASSERT_EQ(0, ring_table(&r, 4));
		ASSERT_EQ(0, pair(variant->kind, &out, &in));
		ASSERT_LE(0, set_sndbuf(out, 4 * PAGE));
		ASSERT_EQ(FILE_SIZE, op_read(&r, 0, file, 0, FILE_SIZE));
		sqe = sqe_transmit(&r, out, self->header, 200, slot ? 0 : file, FILE_SIZE, 0);
		sqe.ioprio = slot ? IOLITE_TRANSMIT_SLOT : 0;
		put(&r, sqe, 1);
		ASSERT_EQ(1, ring_submit(&r));
		ring_close(&r);
		close(file);
		close(out);
		close(in);
	}
	EXPECT_EQ(0, stat_objects_wait(&before, what, sizeof(what)))
		TH_LOG("%s", what);
}

FS_HARNESS_MAIN

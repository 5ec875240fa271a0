// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite together with the rest of io_uring: links, flags of an SQE, modes of a
 * ring, cancellation; and what is refused:
 *	rings that poll for completions (IORING_SETUP_IOPOLL): -EOPNOTSUPP
 *	provided buffers (IOSQE_BUFFER_SELECT): -EOPNOTSUPP, see iolite_fields
 *	the table of one ring in another ring: -ENXIO
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define BIG	(1U << 20)

/* A ring with a table, and something at each end */
struct env {
	struct ring r;
	int pool;
	int file;
	int sock[2];
};

static int open_all(struct env *e, unsigned int flags)
{
	int ret = ring_setup(&e->r, 64, flags);

	if (!ret)
		ret = ring_table(&e->r, 8);
	if (ret)
		return ret;
	e->pool = pool_create(&e->r, 0);
	if (e->pool < 0)
		return e->pool;
	e->file = fs_file(FS_TMPFS, 0, NULL);
	if (e->file < 0 || write(e->file, "body of a file", 14) != 14)
		return -EIO;
	return unix_pair(SOCK_STREAM, &e->sock[0], &e->sock[1]);
}

static void close_all(struct env *e)
{
	close(e->pool);
	close(e->file);
	close(e->sock[0]);
	close(e->sock[1]);
	ring_close(&e->r);
}

FIXTURE(uring) {
	struct env e;
};

FIXTURE_SETUP(uring)
{
	if (!iolite_present())
		SKIP(return, "the kernel has no IO-Lite");
	ASSERT_EQ(0, open_all(&self->e, 0));
}

FIXTURE_TEARDOWN(uring)
{
	close_all(&self->e);
}

static void put(struct ring *r, struct io_uring_sqe sqe, unsigned int flags, __u64 user_data)
{
	sqe.flags |= flags;
	sqe.user_data = user_data;
	ring_put(r, &sqe);
}

static struct io_uring_sqe sqe_nop(void)
{
	return (struct io_uring_sqe){ .opcode = IORING_OP_NOP };
}

/* Results by user_data, which is 0 .. nr - 1 */
static int reap_all(struct ring *r, int *res, unsigned int nr)
{
	struct io_uring_cqe cqe;
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++) {
		ret = ring_reap(r, &cqe, IOLITE_TIMEOUT_MS);
		if (ret)
			return ret;
		if (cqe.user_data >= nr)
			return -ERANGE;
		res[cqe.user_data] = cqe.res;
	}
	return 0;
}

/* ---- links ---- */

TEST_F(uring, response_is_one_submission)
{
	struct io_uring_sqe sqe;
	char seen[22];
	int res[4];

	ASSERT_EQ(8, op_alloc(&self->e.r, 1, self->e.pool, "header: ", 8));
	put(&self->e.r, sqe_read(&self->e.r, 2, self->e.file, 0, 14), IOSQE_IO_LINK, 0);
	put(&self->e.r, sqe_edit(&self->e.r, 1, IOLITE_EDIT_CONCAT, 2, 0, 0), IOSQE_IO_LINK, 1);
	put(&self->e.r, sqe_write(&self->e.r, 1, self->e.sock[0], 0, MSG_WAITALL), IOSQE_IO_LINK,
	    2);
	sqe = sqe_op(&self->e.r, IOLITE_OP_FREE, 1);
	sqe.len = 2;
	put(&self->e.r, sqe, 0, 3);
	ASSERT_EQ(4, ring_submit(&self->e.r));
	ASSERT_EQ(0, reap_all(&self->e.r, res, 4));
	EXPECT_EQ(14, res[0]);
	EXPECT_EQ(22, res[1]);
	EXPECT_EQ(22, res[2]);
	EXPECT_EQ(2, res[3]);
	ASSERT_EQ(22, read_full(self->e.sock[1], seen, 22));
	EXPECT_SAME("header: body of a file", seen, 22);
}

TEST_F(uring, failure_breaks_the_chain)
{
	int res[3];

	put(&self->e.r, sqe_read(&self->e.r, 2, self->e.pool, 0, 14), IOSQE_IO_LINK, 0);
	put(&self->e.r, sqe_edit(&self->e.r, 1, IOLITE_EDIT_CONCAT, 2, 0, 0), IOSQE_IO_LINK, 1);
	put(&self->e.r, sqe_write(&self->e.r, 1, self->e.sock[0], 0, 0), 0, 2);
	ASSERT_EQ(3, ring_submit(&self->e.r));
	ASSERT_EQ(0, reap_all(&self->e.r, res, 3));
	EXPECT_GT(0, res[0]);
	EXPECT_EQ(-ECANCELED, res[1]);
	EXPECT_EQ(-ECANCELED, res[2]);
}

TEST_F(uring, hard_link_goes_on_after_a_failure)
{
	int res[2];

	put(&self->e.r, sqe_read(&self->e.r, 2, self->e.pool, 0, 14), IOSQE_IO_HARDLINK, 0);
	put(&self->e.r, sqe_read(&self->e.r, 2, self->e.file, 0, 14), 0, 1);
	ASSERT_EQ(2, ring_submit(&self->e.r));
	ASSERT_EQ(0, reap_all(&self->e.r, res, 2));
	EXPECT_GT(0, res[0]);
	EXPECT_EQ(14, res[1]);
}

TEST_F(uring, short_write_breaks_the_chain)
{
	char *data = calloc(1, BIG);
	int res[2];

	ASSERT_EQ(BIG, (unsigned int)op_alloc(&self->e.r, 0, self->e.pool, data, BIG));
	put(&self->e.r, sqe_write(&self->e.r, 0, self->e.sock[0], 0, MSG_DONTWAIT), IOSQE_IO_LINK,
	    0);
	put(&self->e.r, sqe_nop(), 0, 1);
	ASSERT_EQ(2, ring_submit(&self->e.r));
	ASSERT_EQ(0, reap_all(&self->e.r, res, 2));
	EXPECT_GT(res[0], 0);
	EXPECT_LT((unsigned int)res[0], BIG);
	EXPECT_EQ(-ECANCELED, res[1]);
	free(data);
}

/* ---- flags of an SQE ---- */

TEST_F(uring, every_operation_works_from_io_wq)
{
	struct iolite_extent ext;
	struct io_uring_sqe sqe;
	char seen[14];

	ASSERT_EQ(0, ring_join(&self->e.r));
#define RUN_ASYNC(s) ({ sqe = (s); sqe.flags |= IOSQE_ASYNC; ring_run(&self->e.r, &sqe); })
	EXPECT_EQ(5, RUN_ASYNC(sqe_alloc(&self->e.r, 0, self->e.pool, "async", 5)));
	EXPECT_EQ(0, RUN_ASYNC(sqe_op(&self->e.r, IOLITE_OP_SEAL, 0)));
	EXPECT_EQ(14, RUN_ASYNC(sqe_read(&self->e.r, 1, self->e.file, 0, 100)));
	EXPECT_EQ(19, RUN_ASYNC(sqe_edit(&self->e.r, 0, IOLITE_EDIT_CONCAT, 1, 0, 0)));
	EXPECT_EQ(14, RUN_ASYNC(sqe_write(&self->e.r, 1, self->e.sock[0], 0, 0)));
	ASSERT_EQ(14, read_full(self->e.sock[1], seen, 14));
	EXPECT_SAME("body of a file", seen, 14);
	sqe = sqe_op(&self->e.r, IOLITE_OP_MAP, 0);
	sqe.addr = (uintptr_t)&ext;
	sqe.len = 1;
	EXPECT_EQ(1, RUN_ASYNC(sqe));
	EXPECT_SAME("async", (void *)(uintptr_t)ext.addr, 5);
	sqe = sqe_op(&self->e.r, IOLITE_OP_FREE, 0);
	sqe.len = 2;
	EXPECT_EQ(2, RUN_ASYNC(sqe));
#undef RUN_ASYNC
}

TEST_F(uring, write_from_io_wq_waits_for_room)
{
	char *data = xmalloc(BIG), *seen = xmalloc(BIG);
	struct io_uring_cqe cqe;

	fill_pattern(data, BIG, 3);
	ASSERT_EQ(BIG, (unsigned int)op_alloc(&self->e.r, 0, self->e.pool, data, BIG));
	put(&self->e.r, sqe_write(&self->e.r, 0, self->e.sock[0], 0, MSG_WAITALL), IOSQE_ASYNC, 0);
	ASSERT_EQ(1, ring_submit(&self->e.r));
	ASSERT_EQ(BIG, (unsigned int)read_full(self->e.sock[1], seen, BIG));
	ASSERT_EQ(0, ring_reap(&self->e.r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(BIG, (unsigned int)cqe.res);
	EXPECT_SAME(data, seen, BIG);
	free(data);
	free(seen);
}

TEST_F(uring, fixed_files_serve_read_write_and_alloc)
{
	int files[] = { self->e.pool, self->e.file, self->e.sock[0] };
	struct io_uring_sqe sqe;
	char seen[14];

	ASSERT_EQ(0, ring_register(&self->e.r, IORING_REGISTER_FILES, files, 3));
#define RUN_FIXED(s) ({ sqe = (s); sqe.flags |= IOSQE_FIXED_FILE; ring_run(&self->e.r, &sqe); })
	EXPECT_EQ(3, RUN_FIXED(sqe_alloc(&self->e.r, 0, 0, "abc", 3)));
	EXPECT_EQ(14, RUN_FIXED(sqe_read(&self->e.r, 1, 1, 0, 14)));
	EXPECT_EQ(14, RUN_FIXED(sqe_write(&self->e.r, 1, 2, 0, 0)));
	EXPECT_EQ(-EBADF, RUN_FIXED(sqe_read(&self->e.r, 1, 3, 0, 14)));
#undef RUN_FIXED
	ASSERT_EQ(14, read_full(self->e.sock[1], seen, 14));
	EXPECT_SAME("body of a file", seen, 14);
}

TEST_F(uring, success_without_a_cqe_where_asked)
{
	struct io_uring_cqe cqe;

	put(&self->e.r, sqe_read(&self->e.r, 0, self->e.file, 0, 14), IOSQE_CQE_SKIP_SUCCESS, 1);
	put(&self->e.r, sqe_read(&self->e.r, 0, self->e.pool, 0, 14), IOSQE_CQE_SKIP_SUCCESS, 2);
	ASSERT_EQ(2, ring_submit(&self->e.r));
	ASSERT_EQ(0, ring_reap(&self->e.r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(2, cqe.user_data);
	EXPECT_GT(0, cqe.res);
	EXPECT_EQ(-ETIME, ring_reap(&self->e.r, &cqe, 50));
	EXPECT_EQ(14, op_length(&self->e.r, 0));
}

TEST_F(uring, registered_personality_is_taken_and_unknown_one_refused)
{
	struct io_uring_sqe sqe = sqe_read(&self->e.r, 0, self->e.file, 0, 14);
	int id = ring_register(&self->e.r, IORING_REGISTER_PERSONALITY, NULL, 0);

	ASSERT_LT(0, id);
	sqe.personality = id;
	EXPECT_EQ(14, ring_run(&self->e.r, &sqe));
	sqe.personality = id + 1;
	EXPECT_EQ(-EINVAL, ring_run(&self->e.r, &sqe));
}

TEST_F(uring, drain_waits_for_a_write_in_flight)
{
	char *data = calloc(1, BIG), *seen = xmalloc(BIG);
	struct io_uring_cqe cqe;

	ASSERT_EQ(BIG, (unsigned int)op_alloc(&self->e.r, 0, self->e.pool, data, BIG));
	put(&self->e.r, sqe_write(&self->e.r, 0, self->e.sock[0], 0, MSG_WAITALL), 0, 1);
	put(&self->e.r, sqe_edit(&self->e.r, 0, IOLITE_EDIT_TELL, 0, 0, 0), IOSQE_IO_DRAIN, 2);
	ASSERT_EQ(2, ring_submit(&self->e.r));
	EXPECT_EQ(-ETIME, ring_reap(&self->e.r, &cqe, 50));
	ASSERT_EQ(BIG, (unsigned int)read_full(self->e.sock[1], seen, BIG));
	ASSERT_EQ(0, ring_reap(&self->e.r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(1, cqe.user_data);
	ASSERT_EQ(0, ring_reap(&self->e.r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(2, cqe.user_data);
	EXPECT_EQ(BIG, (unsigned int)cqe.res);
	free(data);
	free(seen);
}

/* ---- cancellation ---- */

/* A WRITE that waits for its socket; user_data 1 */
static int start_blocked_write(struct env *e, char *data, unsigned int link)
{
	struct io_uring_cqe cqe;

	fill_pattern(data, BIG, 5);
	if (op_alloc(&e->r, 0, e->pool, data, BIG) != BIG)
		return -EIO;
	put(&e->r, sqe_write(&e->r, 0, e->sock[0], 0, MSG_WAITALL), link, 1);
	if (link)
		return 0;
	if (ring_submit(&e->r) != 1)
		return -EIO;
	return ring_reap(&e->r, &cqe, 50) == -ETIME ? 0 : -EALREADY;
}

/* What a cancelled write has sent is what the cursor and the peer say */
static void check_partial(struct __test_metadata *_metadata, struct env *e,
			  const char *data, int res)
{
	char *seen = xmalloc(BIG);

	ASSERT_LT(0, res);
	ASSERT_GT(BIG, (unsigned int)res);
	EXPECT_EQ(res, op_edit(&e->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	shutdown(e->sock[0], SHUT_WR);
	EXPECT_EQ(res, read_full(e->sock[1], seen, BIG));
	EXPECT_SAME(data, seen, res);
	free(seen);
}

TEST_F(uring, cancelled_write_tells_what_it_has_sent)
{
	struct io_uring_sqe cancel = { .opcode = IORING_OP_ASYNC_CANCEL, .fd = -1, .addr = 1 };
	struct io_uring_cqe cqe;
	char *data = xmalloc(BIG);
	int res = 0, i;

	ASSERT_EQ(0, start_blocked_write(&self->e, data, 0));
	put(&self->e.r, cancel, 0, 2);
	ASSERT_EQ(1, ring_submit(&self->e.r));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_reap(&self->e.r, &cqe, IOLITE_TIMEOUT_MS));
		if (cqe.user_data == 1)
			res = cqe.res;
		else
			EXPECT_EQ(0, cqe.res);
	}
	check_partial(_metadata, &self->e, data, res);
	free(data);
}

TEST_F(uring, write_with_nothing_sent_is_cancelled)
{
	struct io_uring_sqe cancel = { .opcode = IORING_OP_ASYNC_CANCEL, .fd = -1, .addr = 3 };
	struct io_uring_cqe cqe;
	char *data = xmalloc(BIG);
	int i;

	ASSERT_EQ(BIG, (unsigned int)op_alloc(&self->e.r, 0, self->e.pool, data, BIG));
	ASSERT_LT(0, op_write(&self->e.r, 0, self->e.sock[0], 0, MSG_DONTWAIT));
	ASSERT_EQ(-EAGAIN, op_write(&self->e.r, 0, self->e.sock[0], 0, MSG_DONTWAIT));
	put(&self->e.r, sqe_write(&self->e.r, 0, self->e.sock[0], 0, 0), 0, 3);
	put(&self->e.r, cancel, 0, 4);
	ASSERT_EQ(2, ring_submit(&self->e.r));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_reap(&self->e.r, &cqe, IOLITE_TIMEOUT_MS));
		EXPECT_EQ(cqe.user_data == 3 ? -ECANCELED : 0, cqe.res);
	}
	/* and its aggregate is free for others */
	EXPECT_EQ(0, op_edit(&self->e.r, 0, IOLITE_EDIT_SEEK, 0, 0, SEEK_SET));
	free(data);
}

TEST_F(uring, linked_timeout_ends_a_write)
{
	struct __kernel_timespec ts = { .tv_nsec = 50 * 1000 * 1000 };
	struct io_uring_sqe timeout = {
		.opcode = IORING_OP_LINK_TIMEOUT, .fd = -1,
		.addr = (uintptr_t)&ts, .len = 1,
	};
	struct io_uring_cqe cqe;
	char *data = xmalloc(BIG);
	int res = 0, i;

	ASSERT_EQ(0, start_blocked_write(&self->e, data, IOSQE_IO_LINK));
	put(&self->e.r, timeout, 0, 2);
	ASSERT_EQ(2, ring_submit(&self->e.r));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_reap(&self->e.r, &cqe, IOLITE_TIMEOUT_MS));
		if (cqe.user_data == 1)
			res = cqe.res;
	}
	check_partial(_metadata, &self->e, data, res);
	free(data);
}

TEST_F(uring, ring_with_a_write_in_flight_can_be_closed)
{
	long before = stat_settled("aggregates");
	char *data = xmalloc(BIG);

	ASSERT_EQ(0, start_blocked_write(&self->e, data, 0));
	ring_close(&self->e.r);
	EXPECT_EQ(before, stat_wait("aggregates", before));
	free(data);
}

/* ---- the table belongs to one ring ---- */

TEST_F(uring, other_ring_does_not_see_the_slots)
{
	struct ring other;

	ASSERT_EQ(3, op_alloc(&self->e.r, 0, self->e.pool, "abc", 3));
	ASSERT_EQ(0, ring_setup(&other, 8, 0));
	other.table.first_op = self->e.r.table.first_op;
	EXPECT_EQ(-ENXIO, op_length(&other, 0));
	ASSERT_EQ(0, ring_table(&other, 1));
	EXPECT_EQ(-ENOENT, op_length(&other, 0));
	ring_close(&other);
}

TEST_F(uring, cloning_registered_buffers_clones_no_slots)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov = { page, 4096 };
	struct io_uring_clone_buffers clone = { .src_fd = self->e.r.fd };
	struct ring other;

	ASSERT_EQ(3, op_alloc(&self->e.r, 0, self->e.pool, "abc", 3));
	ASSERT_EQ(0, ring_register(&self->e.r, IORING_REGISTER_BUFFERS, &iov, 1));
	ASSERT_EQ(0, ring_setup(&other, 8, 0));
	other.table.first_op = self->e.r.table.first_op;
	ASSERT_EQ(0, ring_register(&other, IORING_REGISTER_CLONE_BUFFERS, &clone, 1));
	EXPECT_EQ(-ENXIO, op_length(&other, 0));
	EXPECT_EQ(3, op_length(&self->e.r, 0));
	ring_close(&other);
}

/* ---- modes of a ring ---- */

FIXTURE(mode) {
	struct env e;
};

FIXTURE_VARIANT(mode) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(mode, sqpoll) {
	.flags = IORING_SETUP_SQPOLL,
};

FIXTURE_VARIANT_ADD(mode, defer_taskrun) {
	.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
};

FIXTURE_VARIANT_ADD(mode, coop_taskrun) {
	.flags = IORING_SETUP_COOP_TASKRUN,
};

FIXTURE_VARIANT_ADD(mode, submit_all) {
	.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP,
};

FIXTURE_SETUP(mode)
{
	if (!iolite_present())
		SKIP(return, "the kernel has no IO-Lite");
	ASSERT_EQ(0, open_all(&self->e, variant->flags));
}

FIXTURE_TEARDOWN(mode)
{
	close_all(&self->e);
}

TEST_F(mode, file_and_memory_reach_a_socket)
{
	char seen[20];

	ASSERT_EQ(6, op_alloc(&self->e.r, 0, self->e.pool, "head: ", 6));
	ASSERT_EQ(14, op_read(&self->e.r, 1, self->e.file, 0, 100));
	ASSERT_EQ(20, op_edit(&self->e.r, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
	ASSERT_EQ(20, op_write(&self->e.r, 0, self->e.sock[0], 0, 0));
	ASSERT_EQ(20, read_full(self->e.sock[1], seen, 20));
	EXPECT_SAME("head: body of a file", seen, 20);
	EXPECT_EQ(2, op_free(&self->e.r, 0, 2));
}

TEST_F(mode, window_works)
{
	struct iolite_extent ext;
	char *at;

	ASSERT_EQ(0, ring_join(&self->e.r));
	ASSERT_EQ(5000, op_alloc_writable(&self->e.r, 0, self->e.pool, 5000, &at));
	memcpy(at, "written in place", 17);
	EXPECT_EQ(0, op_seal(&self->e.r, 0));
	EXPECT_EQ(1, op_map(&self->e.r, 0, &ext, 1, 0));
	EXPECT_STREQ("written in place", (char *)(uintptr_t)ext.addr);
}

TEST_F(mode, blocked_write_resumes)
{
	char *data = xmalloc(BIG), *seen = xmalloc(BIG);
	struct io_uring_cqe cqe;
	unsigned int done = 0;

	fill_pattern(data, BIG, 9);
	ASSERT_EQ(BIG, (unsigned int)op_alloc(&self->e.r, 0, self->e.pool, data, BIG));
	put(&self->e.r, sqe_write(&self->e.r, 0, self->e.sock[0], 0, MSG_WAITALL), 0, 1);
	ASSERT_EQ(1, ring_submit(&self->e.r));
	/* a ring with deferred task work makes progress only when it is entered */
	while (ring_reap(&self->e.r, &cqe, 10) == -ETIME) {
		ssize_t ret = recv(self->e.sock[1], seen + done, BIG - done, MSG_DONTWAIT);

		if (ret > 0)
			done += ret;
	}
	ASSERT_EQ((ssize_t)(BIG - done), read_full(self->e.sock[1], seen + done, BIG - done));
	EXPECT_EQ(BIG, (unsigned int)cqe.res);
	EXPECT_SAME(data, seen, BIG);
	free(data);
	free(seen);
}

TEST_F(mode, slots_survive_a_resize_of_the_ring)
{
	struct io_uring_params p = { .sq_entries = 128, .cq_entries = 256,
				     .flags = IORING_SETUP_CQSIZE };
	struct ring *r = &self->e.r;
	int ret;

	ASSERT_EQ(14, op_read(r, 3, self->e.file, 0, 100));
	ret = ring_register(r, IORING_REGISTER_RESIZE_RINGS, &p, 1);
	if (!(variant->flags & IORING_SETUP_DEFER_TASKRUN)) {
		EXPECT_EQ(-EINVAL, ret);
		EXPECT_EQ(14, op_length(r, 3));
		return;
	}
	ASSERT_EQ(0, ret);
	munmap(r->mem, r->mem_len);
	munmap(r->sqes, r->sqes_len);
	p.flags = r->p.flags;
	r->p = p;
	r->mem_len = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	r->mem = mmap(NULL, r->mem_len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		      IORING_OFF_SQ_RING);
	r->sqes_len = p.sq_entries * sizeof(struct io_uring_sqe);
	r->sqes = mmap(NULL, r->sqes_len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		       IORING_OFF_SQES);
	ASSERT_NE(MAP_FAILED, r->mem);
	ASSERT_NE(MAP_FAILED, r->sqes);
	r->cqes = (struct io_uring_cqe *)((char *)r->mem + p.cq_off.cqes);
	EXPECT_EQ(14, op_length(r, 3));
	EXPECT_EQ(14, op_write(r, 3, self->e.sock[0], 0, 0));
}

TEST(ring_that_polls_for_completions_is_refused)
{
	struct ring r, other;
	unsigned int op;

	if (!iolite_present())
		SKIP(return, "the kernel has no IO-Lite");
	ASSERT_EQ(0, ring_setup(&r, 8, IORING_SETUP_IOPOLL));
	ASSERT_EQ(0, ring_open(&other, 1));
	EXPECT_EQ(-EOPNOTSUPP, ring_table(&r, 4));
	r.table.first_op = other.table.first_op;
	for (op = 0; op < IOLITE_NR_OPS; op++) {
		struct io_uring_sqe sqe = sqe_op(&r, op, 0);

		EXPECT_GT(0, ring_run(&r, &sqe))
			TH_LOG("opcode %u", op);
	}
	ring_close(&r);
	ring_close(&other);
}

FS_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * Every bit of every SQE field that an operation does not use must be refused,
 * for what is ignored today can never get a meaning.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

enum { SLOT_DATA, SLOT_SECOND, SLOT_WRITABLE, SLOT_SCRATCH, NR_SLOTS };

FIXTURE(fields) {
	struct ring r;
	int pool;
	int file;
	int sock[2];
	struct iolite_extent ext[4];
	__u64 addr;
	char drain[4096];
};

FIXTURE_SETUP(fields)
{
	OPEN_RING(&self->r, NR_SLOTS);
	ASSERT_EQ(0, ring_join(&self->r));
	self->pool = pool_create(&self->r, 0);
	ASSERT_GE(self->pool, 0);
	self->file = fs_file(FS_TMPFS, 0, NULL);
	ASSERT_GE(self->file, 0);
	ASSERT_EQ(4, write(self->file, "file", 4));
	ASSERT_EQ(0, unix_pair(SOCK_STREAM, &self->sock[0], &self->sock[1]));
	ASSERT_EQ(8, op_alloc(&self->r, SLOT_DATA, self->pool, "contents", 8));
	ASSERT_EQ(4, op_alloc(&self->r, SLOT_SECOND, self->pool, "more", 4));
}

FIXTURE_TEARDOWN(fields)
{
	close(self->pool);
	close(self->file);
	close(self->sock[0]);
	close(self->sock[1]);
	ring_close(&self->r);
}

/* ---- what can be altered ---- */

enum field { IOPRIO, FD, OFF, ADDR, LEN, OPFLAGS, BUF_INDEX, ADDR3, PAD2, NR_FIELDS };

static const struct {
	const char	*name;
	size_t		off, size;
} field_at[NR_FIELDS] = {
#define AT(name)	{ #name, offsetof(struct io_uring_sqe, name), \
			  sizeof(((struct io_uring_sqe *)0)->name) }
	[IOPRIO] = AT(ioprio), [FD] = AT(fd), [OFF] = AT(off), [ADDR] = AT(addr),
	[LEN] = AT(len), [OPFLAGS] = AT(msg_flags), [BUF_INDEX] = AT(buf_index),
	[ADDR3] = AT(addr3), [PAD2] = AT(__pad2[0]),
#undef AT
};

#define ANY	(~0ULL)

struct row {
	const char	*name;
	enum iolite_op	op;
	enum iolite_edit edit;
	unsigned int	slot;
	__u64		may[NR_FIELDS];	/* bits that have a meaning */
};

static const struct row rows[] = {
	{ "alloc", IOLITE_OP_ALLOC, 0, SLOT_SCRATCH,
	  { [IOPRIO] = IOLITE_ALLOC_WRITABLE, [FD] = ANY, [ADDR] = ANY, [LEN] = ANY } },
	{ "seal", IOLITE_OP_SEAL, 0, SLOT_DATA, {} },
	{ "read", IOLITE_OP_READ, 0, SLOT_SCRATCH,
	  { [IOPRIO] = IOLITE_READ_APPEND, [FD] = ANY, [OFF] = ANY, [LEN] = ANY,
	    [OPFLAGS] = ANY } },
	{ "write to a socket", IOLITE_OP_WRITE, 0, SLOT_DATA,
	  { [IOPRIO] = IOLITE_WRITE_POLL_FIRST | IOLITE_WRITE_FREE, [FD] = ANY,
	    [LEN] = ANY, [ADDR] = ANY, [ADDR3] = ANY,
	    [OPFLAGS] = MSG_MORE | MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL } },
	{ "transmit", IOLITE_OP_TRANSMIT, 0, SLOT_DATA,
	  { [IOPRIO] = IOLITE_TRANSMIT_SLOT | IOLITE_TRANSMIT_FIXED_FILE, [FD] = ANY,
	    [OFF] = ANY, [LEN] = ANY, [ADDR] = ANY, [ADDR3] = 2 * IOLITE_TRANSMIT_HEADER_MAX - 1,
	    [OPFLAGS] = MSG_MORE | MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL } },
	{ "concat", IOLITE_OP_EDIT, IOLITE_EDIT_CONCAT, SLOT_DATA,
	  { [IOPRIO] = IOLITE_EDIT_CONSUME, [ADDR3] = ANY, [OPFLAGS] = ANY } },
	{ "prepend", IOLITE_OP_EDIT, IOLITE_EDIT_PREPEND, SLOT_DATA,
	  { [IOPRIO] = IOLITE_EDIT_CONSUME, [ADDR3] = ANY, [OPFLAGS] = ANY } },
	{ "split", IOLITE_OP_EDIT, IOLITE_EDIT_SPLIT, SLOT_DATA,
	  { [OFF] = ANY, [ADDR3] = ANY, [OPFLAGS] = ANY } },
	{ "dup", IOLITE_OP_EDIT, IOLITE_EDIT_DUP, SLOT_DATA,
	  { [ADDR3] = ANY, [OPFLAGS] = ANY } },
	{ "truncate", IOLITE_OP_EDIT, IOLITE_EDIT_TRUNCATE, SLOT_DATA,
	  { [OFF] = ANY, [OPFLAGS] = ANY } },
	{ "replace", IOLITE_OP_EDIT, IOLITE_EDIT_REPLACE, SLOT_DATA,
	  { [IOPRIO] = IOLITE_EDIT_CONSUME, [OFF] = ANY, [ADDR] = ANY, [ADDR3] = ANY,
	    [OPFLAGS] = ANY } },
	{ "seek", IOLITE_OP_EDIT, IOLITE_EDIT_SEEK, SLOT_DATA,
	  { [OFF] = ANY, [ADDR] = ANY, [OPFLAGS] = ANY } },
	{ "tell", IOLITE_OP_EDIT, IOLITE_EDIT_TELL, SLOT_DATA, { [OPFLAGS] = ANY } },
	{ "length", IOLITE_OP_EDIT, IOLITE_EDIT_LENGTH, SLOT_DATA, { [OPFLAGS] = ANY } },
	{ "map", IOLITE_OP_MAP, 0, SLOT_DATA,
	  { [OFF] = ANY, [ADDR] = ANY, [LEN] = ANY } },
	{ "free", IOLITE_OP_FREE, 0, SLOT_SCRATCH, { [LEN] = ANY } },
};

/* An SQE that succeeds, any number of times */
static struct io_uring_sqe good_sqe(struct _test_data_fields *self, const struct row *row)
{
	struct io_uring_sqe sqe = sqe_op(&self->r, row->op, row->slot);

	switch (row->op) {
	case IOLITE_OP_ALLOC:
		return sqe_alloc(&self->r, row->slot, self->pool, "new", 3);
	case IOLITE_OP_READ:
		return sqe_read(&self->r, row->slot, self->file, 0, 4);
	case IOLITE_OP_WRITE:
		return sqe_write(&self->r, row->slot, self->sock[0], 1, 0);
	case IOLITE_OP_TRANSMIT:
		return sqe_transmit(&self->r, self->sock[0], "hd", 2, self->file, 1, 0);
	case IOLITE_OP_EDIT:
		sqe.msg_flags = row->edit;
		if (row->may[ADDR3])
			sqe.addr3 = row->edit == IOLITE_EDIT_SPLIT || row->edit == IOLITE_EDIT_DUP ?
				    SLOT_SCRATCH : SLOT_SECOND;
		if (row->edit == IOLITE_EDIT_TRUNCATE || row->edit == IOLITE_EDIT_SPLIT)
			sqe.off = 4;
		break;
	case IOLITE_OP_MAP:
		sqe.addr = (uintptr_t)self->ext;
		sqe.len = ARRAY_LEN(self->ext);
		break;
	case IOLITE_OP_FREE:
		sqe.len = 1;
		break;
	default:
		break;
	}
	return sqe;
}

TEST_F_TIMEOUT(fields, each_unused_bit_is_refused, 60)
{
	unsigned int i, f, bit, refused = 0;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct io_uring_sqe good = good_sqe(self, &rows[i]);

		for (f = 0; f < NR_FIELDS; f++) {
			if (f == FD)
				continue;
			for (bit = 0; bit < 8 * field_at[f].size; bit++) {
				struct io_uring_sqe bad = good;
				int res;

				if (rows[i].may[f] & (1ULL << bit))
					continue;
				((char *)&bad)[field_at[f].off + bit / 8] ^= 1 << bit % 8;
				res = ring_run(&self->r, &bad);
				ASSERT_EQ(-EINVAL, res)
					TH_LOG("%s: bit %u of %s", rows[i].name, bit,
					       field_at[f].name);
				refused++;
			}
		}
		ASSERT_LE(0, ring_run(&self->r, &good))
			TH_LOG("%s, nothing wrong", rows[i].name);
		/* TRUNCATE and SPLIT have shortened it */
		ASSERT_EQ(8, op_alloc(&self->r, SLOT_DATA, self->pool, "contents", 8));
	}
	EXPECT_LT(2000, refused);
}

TEST_F(fields, fd_is_minus_one_where_there_is_no_file)
{
	static const int wrong[] = { 0, 1, 63, 1 << 20, -2, -100 };
	unsigned int i, k;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].may[FD])
			continue;
		for (k = 0; k < ARRAY_LEN(wrong); k++) {
			struct io_uring_sqe bad = good_sqe(self, &rows[i]);

			bad.fd = wrong[k];
			EXPECT_EQ(-EINVAL, ring_run(&self->r, &bad))
				TH_LOG("%s: fd %d", rows[i].name, wrong[k]);
		}
	}
}

TEST_F(fields, closed_fd_is_a_bad_fd)
{
	struct io_uring_sqe sqe;
	int fd = dup(0);

	close(fd);
	sqe = sqe_alloc(&self->r, SLOT_SCRATCH, fd, "new", 3);
	EXPECT_EQ(-EBADF, ring_run(&self->r, &sqe));
	sqe = sqe_read(&self->r, SLOT_SCRATCH, fd, 0, 4);
	EXPECT_EQ(-EBADF, ring_run(&self->r, &sqe));
	sqe = sqe_write(&self->r, SLOT_DATA, fd, 0, 0);
	EXPECT_EQ(-EBADF, ring_run(&self->r, &sqe));
}

TEST_F(fields, unknown_edits_are_refused)
{
	static const __u32 wrong[] = { IOLITE_NR_EDITS, IOLITE_NR_EDITS + 1, 256, 1U << 31, ~0U };
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(wrong); i++)
		EXPECT_EQ(-EINVAL, op_edit(&self->r, SLOT_DATA, wrong[i], 0, 0, 0))
			TH_LOG("edit %u", wrong[i]);
}

TEST_F(fields, unknown_whence_is_refused)
{
	__u64 whence;

	for (whence = 3; whence < 8; whence++)
		EXPECT_EQ(-EINVAL, op_edit(&self->r, SLOT_DATA, IOLITE_EDIT_SEEK, 0, 0, whence));
	EXPECT_EQ(-EINVAL, op_edit(&self->r, SLOT_DATA, IOLITE_EDIT_SEEK, 0, 0, 1ULL << 32));
	EXPECT_EQ(-EINVAL, op_edit(&self->r, SLOT_DATA, IOLITE_EDIT_SEEK, 0, 0, ~0ULL));
}

/* Only the upper half being set must not turn the second slot into slot 1 */
TEST_F(fields, second_slot_is_checked_in_all_its_bits)
{
	struct io_uring_sqe sqe = sqe_edit(&self->r, SLOT_DATA, IOLITE_EDIT_CONCAT,
					   SLOT_SECOND, 0, 0);

	sqe.addr3 |= 1ULL << 32;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
	sqe.addr3 = ~0ULL;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
	sqe.msg_flags = IOLITE_EDIT_DUP;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
}

TEST_F(fields, unknown_rwf_flags_are_refused_as_by_preadv2)
{
	struct io_uring_sqe sqe = sqe_read(&self->r, SLOT_SCRATCH, self->file, 0, 4);
	char buf[4];
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		int seen, expected = preadv2(self->file, &iov, 1, 0, 1U << bit);

		if (expected < 0)
			expected = -errno;
		sqe.rw_flags = 1U << bit;
		seen = ring_run(&self->r, &sqe);
		/* polled reads are for rings that poll, as with IORING_OP_READ */
		if (sqe.rw_flags == RWF_HIPRI && seen == -EINVAL)
			continue;
		EXPECT_EQ(expected, seen)
			TH_LOG("flag %#x", 1U << bit);
	}
}

TEST_F(fields, file_write_has_no_destination_address)
{
	struct io_uring_sqe sqe = sqe_write(&self->r, SLOT_DATA, self->file, 0, 0);

	sqe.addr = 1;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
	sqe.addr = 0;
	sqe.addr3 = 1;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
}

TEST_F(fields, socket_write_has_no_position)
{
	struct io_uring_sqe sqe = sqe_write(&self->r, SLOT_DATA, self->sock[0], 0, 0);

	sqe.off = 1;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
}

TEST_F(fields, provided_buffers_are_refused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct io_uring_sqe sqe = good_sqe(self, &rows[i]);

		sqe.flags = IOSQE_BUFFER_SELECT;
		EXPECT_EQ(-EOPNOTSUPP, ring_run(&self->r, &sqe))
			TH_LOG("%s", rows[i].name);
	}
}

TEST_F(fields, unknown_sqe_flags_are_refused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct io_uring_sqe sqe = good_sqe(self, &rows[i]);

		sqe.flags = 1U << 7;
		EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe))
			TH_LOG("%s", rows[i].name);
	}
}

/* Nothing but the completion would tell which slot it is */
TEST_F(fields, any_free_slot_needs_a_completion)
{
	struct io_uring_sqe sqe;

	sqe = sqe_alloc(&self->r, IOLITE_SLOT_ALLOC, self->pool, "new", 3);
	sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
	sqe = sqe_read(&self->r, IOLITE_SLOT_ALLOC, self->file, 0, 3);
	sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
	sqe = sqe_edit(&self->r, SLOT_DATA, IOLITE_EDIT_DUP, IOLITE_SLOT_ALLOC, 0, 0);
	sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
}

TEST_F(fields, append_needs_a_slot_to_add_to)
{
	struct io_uring_sqe sqe = sqe_read(&self->r, IOLITE_SLOT_ALLOC, self->file, 0, 3);

	sqe.ioprio = IOLITE_READ_APPEND;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
}

TEST_F(fields, poll_first_is_for_sockets)
{
	struct io_uring_sqe sqe = sqe_write(&self->r, SLOT_DATA, self->file, 0, 0);

	sqe.ioprio = IOLITE_WRITE_POLL_FIRST;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
}

TEST_F(fields, pool_fd_must_be_a_pool)
{
	struct io_uring_sqe sqe = sqe_alloc(&self->r, SLOT_SCRATCH, self->file, "new", 3);

	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
	sqe.fd = self->sock[0];
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
	sqe.fd = self->r.fd;
	EXPECT_GT(0, ring_run(&self->r, &sqe));
}

TEST_F(fields, bad_user_addresses_fault)
{
	void *bad = (void *)8;

	EXPECT_EQ(-EFAULT, op_alloc(&self->r, SLOT_SCRATCH, self->pool, bad, 16));
	EXPECT_EQ(-ENOENT, op_length(&self->r, SLOT_SCRATCH));
	EXPECT_EQ(-EFAULT, op_map(&self->r, SLOT_DATA, bad, 1, 0));
}

TEST_F(fields, empty_requests_are_refused_or_do_nothing)
{
	char *at;

	EXPECT_EQ(0, op_alloc(&self->r, SLOT_SCRATCH, self->pool, "x", 0));
	EXPECT_EQ(0, op_length(&self->r, SLOT_SCRATCH));
	EXPECT_EQ(-EINVAL, op_alloc_writable(&self->r, SLOT_SCRATCH, self->pool, 0, &at));
	EXPECT_EQ(-EINVAL, op_map(&self->r, SLOT_DATA, self->ext, 0, 0));
	EXPECT_EQ(-EINVAL, op_free(&self->r, SLOT_SCRATCH, 0));
	EXPECT_EQ(0, op_read(&self->r, SLOT_SCRATCH, self->file, 0, 0));
}

FS_HARNESS_MAIN

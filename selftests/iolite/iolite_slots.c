// SPDX-License-Identifier: GPL-2.0
/* Slots: explicit and allocated, empty, full, out of range, busy */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"

#define NR_SLOTS	4

FIXTURE(slots) {
	struct ring r;
	int pool;
	int sock[2];
};

FIXTURE_SETUP(slots)
{
	OPEN_RING(&self->r, NR_SLOTS);
	self->pool = pool_create(&self->r, 0);
	ASSERT_GE(self->pool, 0);
	ASSERT_EQ(0, unix_pair(SOCK_STREAM, &self->sock[0], &self->sock[1]));
}

FIXTURE_TEARDOWN(slots)
{
	close(self->pool);
	close(self->sock[0]);
	close(self->sock[1]);
	ring_close(&self->r);
}

/* Every operation on the given slot; EDIT with each of its edits */
static int run_all(struct ring *r, int pool, int sock, unsigned int slot, int expected,
		   bool with_fillers, char *which, size_t len)
{
	struct iolite_extent ext;
	int res, i;

#define TRY(call) do {								\
	res = call;								\
	if (res != expected) {							\
		snprintf(which, len, "%s gives %d, not %d", #call, res, expected); \
		return 1;							\
	}									\
} while (0)
	if (with_fillers) {
		TRY(op_alloc(r, slot, pool, "data", 4));
		TRY(op_read(r, slot, pool, 0, 4));
	}
	TRY(op_seal(r, slot));
	TRY(op_write(r, slot, sock, 0, 0));
	TRY(op_map(r, slot, &ext, 1, 0));
	for (i = 0; i < IOLITE_NR_EDITS; i++)
		TRY(op_edit(r, slot, i, i == IOLITE_EDIT_TRUNCATE || i == IOLITE_EDIT_SEEK ||
			    i == IOLITE_EDIT_TELL || i == IOLITE_EDIT_LENGTH ? 0 : 1, 0, 0));
#undef TRY
	return 0;
}

TEST_F(slots, out_of_the_table_is_invalid)
{
	static const unsigned int wrong[] = { NR_SLOTS, NR_SLOTS + 1, 1U << 16, 1U << 31, ~1U };
	char which[256] = "";
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		EXPECT_EQ(0, run_all(&self->r, self->pool, self->sock[0], wrong[i], -EINVAL, true,
				     which, sizeof(which)))
			TH_LOG("slot %u: %s", wrong[i], which);
		EXPECT_EQ(-EINVAL, op_free(&self->r, wrong[i], 1));
	}
}

TEST_F(slots, any_free_slot_is_no_slot_to_take_from)
{
	char which[256] = "";

	EXPECT_EQ(0, run_all(&self->r, self->pool, self->sock[0], IOLITE_SLOT_ALLOC, -EINVAL,
			     false, which, sizeof(which)))
		TH_LOG("%s", which);
	EXPECT_EQ(-EINVAL, op_free(&self->r, IOLITE_SLOT_ALLOC, 1));
}

TEST_F(slots, empty_slot_has_no_entry)
{
	char which[256] = "";

	ASSERT_EQ(4, op_alloc(&self->r, 1, self->pool, "data", 4));
	EXPECT_EQ(0, run_all(&self->r, self->pool, self->sock[0], 0, -ENOENT, false,
			     which, sizeof(which)))
		TH_LOG("%s", which);
}

TEST_F(slots, empty_second_slot_has_no_entry)
{
	static const enum iolite_edit edits[] = {
		IOLITE_EDIT_CONCAT, IOLITE_EDIT_PREPEND, IOLITE_EDIT_REPLACE,
	};
	unsigned int i;

	ASSERT_EQ(4, op_alloc(&self->r, 0, self->pool, "data", 4));
	for (i = 0; i < ARRAY_LEN(edits); i++) {
		EXPECT_EQ(-ENOENT, op_edit(&self->r, 0, edits[i], 1, 0, 0));
		EXPECT_EQ(-EINVAL, op_edit(&self->r, 0, edits[i], NR_SLOTS, 0, 0));
	}
	EXPECT_EQ(-EINVAL, op_edit(&self->r, 0, IOLITE_EDIT_SPLIT, NR_SLOTS, 2, 0));
	EXPECT_EQ(-EINVAL, op_edit(&self->r, 0, IOLITE_EDIT_DUP, NR_SLOTS, 0, 0));
	EXPECT_EQ(4, op_length(&self->r, 0));
}

TEST_F(slots, without_a_table_there_is_no_address)
{
	char which[256] = "";

	ASSERT_EQ(0, ring_register(&self->r, IOLITE_UNREGISTER_TABLE, NULL, 0));
	EXPECT_EQ(0, run_all(&self->r, self->pool, self->sock[0], 0, -ENXIO, true,
			     which, sizeof(which)))
		TH_LOG("%s", which);
	EXPECT_EQ(-ENXIO, op_free(&self->r, 0, 1));
	EXPECT_EQ(-ENXIO, op_alloc(&self->r, IOLITE_SLOT_ALLOC, self->pool, "data", 4));
}

TEST_F(slots, allocated_slots_are_told_by_the_cqe_until_the_table_is_full)
{
	unsigned int i, slot, seen = 0;

	for (i = 0; i < NR_SLOTS; i++) {
		ASSERT_EQ(1, op_alloc(&self->r, IOLITE_SLOT_ALLOC, self->pool, &"abcd"[i], 1));
		slot = cqe_slot(self->r.cqe_flags);
		ASSERT_LT(slot, NR_SLOTS);
		EXPECT_EQ(0, seen & (1 << slot))
			TH_LOG("slot %u was given twice", slot);
		seen |= 1 << slot;
	}
	EXPECT_EQ(-ENFILE, op_alloc(&self->r, IOLITE_SLOT_ALLOC, self->pool, "x", 1));
	EXPECT_EQ(-ENFILE, op_edit(&self->r, 0, IOLITE_EDIT_DUP, IOLITE_SLOT_ALLOC, 0, 0));
	EXPECT_EQ(-ENFILE, op_edit(&self->r, 0, IOLITE_EDIT_SPLIT, IOLITE_SLOT_ALLOC, 0, 0));
	EXPECT_EQ(1, op_length(&self->r, 0));

	ASSERT_EQ(1, op_free(&self->r, 2, 1));
	ASSERT_EQ(1, op_alloc(&self->r, IOLITE_SLOT_ALLOC, self->pool, "x", 1));
	EXPECT_EQ(2, cqe_slot(self->r.cqe_flags));
}

TEST_F(slots, failed_allocation_takes_no_slot)
{
	unsigned int i;

	for (i = 0; i < 2 * NR_SLOTS; i++)
		ASSERT_EQ(-EFAULT, op_alloc(&self->r, IOLITE_SLOT_ALLOC, self->pool, (void *)8, 1));
	for (i = 0; i < NR_SLOTS; i++)
		ASSERT_EQ(1, op_alloc(&self->r, IOLITE_SLOT_ALLOC, self->pool, "x", 1));
}

TEST_F(slots, filling_a_slot_replaces_what_it_held)
{
	long before = stat_settled("aggregates");
	char seen[3];

	ASSERT_EQ(3, op_alloc(&self->r, 0, self->pool, "old", 3));
	ASSERT_EQ(3, op_alloc(&self->r, 0, self->pool, "new", 3));
	ASSERT_EQ(3, agg_bytes(&self->r, 0, seen, 3));
	EXPECT_SAME("new", seen, 3);
	EXPECT_EQ(before + 1, stat_wait("aggregates", before + 1));
}

TEST_F(slots, filling_that_fails_leaves_what_the_slot_held)
{
	char seen[3];

	ASSERT_EQ(3, op_alloc(&self->r, 0, self->pool, "old", 3));
	EXPECT_EQ(-EFAULT, op_alloc(&self->r, 0, self->pool, (void *)8, 3));
	ASSERT_EQ(3, agg_bytes(&self->r, 0, seen, 3));
	EXPECT_SAME("old", seen, 3);
}

TEST_F(slots, free_empties_a_range_and_tells_how_many_were_full)
{
	unsigned int i;

	for (i = 0; i < NR_SLOTS; i++)
		ASSERT_EQ(1, op_alloc(&self->r, i, self->pool, "x", 1));
	EXPECT_EQ(-EINVAL, op_free(&self->r, 1, NR_SLOTS));
	EXPECT_EQ(-EINVAL, op_free(&self->r, 1, ~0U));
	EXPECT_EQ(1, op_length(&self->r, 1));

	EXPECT_EQ(2, op_free(&self->r, 1, 2));
	EXPECT_EQ(1, op_length(&self->r, 0));
	EXPECT_EQ(-ENOENT, op_length(&self->r, 1));
	EXPECT_EQ(-ENOENT, op_length(&self->r, 2));
	EXPECT_EQ(1, op_length(&self->r, 3));
	EXPECT_EQ(2, op_free(&self->r, 0, NR_SLOTS));
	EXPECT_EQ(0, op_free(&self->r, 0, NR_SLOTS));
}

/* ---- unsealed ---- */

TEST_F(slots, unsealed_aggregate_is_busy_until_it_is_sealed)
{
	static const enum iolite_edit edits[] = {
		IOLITE_EDIT_CONCAT, IOLITE_EDIT_PREPEND, IOLITE_EDIT_SPLIT, IOLITE_EDIT_DUP,
		IOLITE_EDIT_TRUNCATE, IOLITE_EDIT_REPLACE, IOLITE_EDIT_SEEK, IOLITE_EDIT_TELL,
	};
	struct iolite_extent ext;
	unsigned int i;
	char *at;

	ASSERT_EQ(0, ring_join(&self->r));
	ASSERT_EQ(4, op_alloc(&self->r, 1, self->pool, "data", 4));
	ASSERT_EQ(100, op_alloc_writable(&self->r, 0, self->pool, 100, &at));
	EXPECT_EQ(-EBUSY, op_write(&self->r, 0, self->sock[0], 0, 0));
	for (i = 0; i < ARRAY_LEN(edits); i++) {
		bool two = edits[i] < IOLITE_EDIT_TRUNCATE || edits[i] == IOLITE_EDIT_REPLACE;

		EXPECT_EQ(-EBUSY, op_edit(&self->r, 0, edits[i], two ? 1 : 0, 0, 0))
			TH_LOG("edit %u", edits[i]);
	}
	EXPECT_EQ(-EBUSY, op_edit(&self->r, 1, IOLITE_EDIT_CONCAT, 0, 0, 0));
	EXPECT_EQ(-EBUSY, op_edit(&self->r, 1, IOLITE_EDIT_REPLACE, 0, 0, 0));
	EXPECT_EQ(100, op_length(&self->r, 0));
	EXPECT_EQ(1, op_map(&self->r, 0, &ext, 1, 0));
	EXPECT_EQ(at, (char *)(uintptr_t)ext.addr);

	EXPECT_EQ(0, op_seal(&self->r, 0));
	EXPECT_EQ(100, op_write(&self->r, 0, self->sock[0], 0, 0));
}

TEST_F(slots, sealing_twice_does_nothing)
{
	ASSERT_EQ(4, op_alloc(&self->r, 1, self->pool, "data", 4));
	EXPECT_EQ(0, op_seal(&self->r, 1));
	EXPECT_EQ(0, op_seal(&self->r, 1));
}

TEST_F(slots, unsealed_aggregate_can_be_freed)
{
	long before = stat_settled("buffers");
	char *at;

	ASSERT_EQ(0, ring_join(&self->r));
	ASSERT_EQ(100000, op_alloc_writable(&self->r, 0, self->pool, 100000, &at));
	*at = 'x';
	EXPECT_EQ(1, op_free(&self->r, 0, 1));
	EXPECT_EQ(before, stat_wait("buffers", before));
	EXPECT_EQ(SIGSEGV, signal_of_read(at));
}

/* ---- in use by a request ---- */

/* Leaves a WRITE of slot 0 waiting for room in a socket that is full */
static int wait_for_full_socket(struct _test_data_slots *self, char *data, unsigned int len)
{
	struct io_uring_sqe sqe;
	struct io_uring_cqe cqe;
	int ret;

	set_sndbuf(self->sock[0], 4096);
	fill_pattern(data, len, 1);
	ret = op_alloc(&self->r, 0, self->pool, data, len);
	if (ret < 0)
		return ret;
	sqe = sqe_write(&self->r, 0, self->sock[0], 0, MSG_WAITALL);
	sqe.user_data = 77;
	ring_put(&self->r, &sqe);
	ret = ring_submit(&self->r);
	if (ret != 1)
		return -EIO;
	return ring_reap(&self->r, &cqe, 100) == -ETIME ? 0 : -EALREADY;
}

TEST_F(slots, aggregate_in_flight_is_busy_but_can_be_looked_at)
{
	static char data[1 << 20], seen[1 << 20];
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, wait_for_full_socket(self, data, sizeof(data)));
	ASSERT_EQ(4, op_alloc(&self->r, 1, self->pool, "data", 4));

	EXPECT_EQ(-EBUSY, op_write(&self->r, 0, self->sock[0], 0, 0));
	EXPECT_EQ(-EBUSY, op_edit(&self->r, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
	EXPECT_EQ(-EBUSY, op_edit(&self->r, 0, IOLITE_EDIT_PREPEND, 1, 0, 0));
	EXPECT_EQ(-EBUSY, op_edit(&self->r, 0, IOLITE_EDIT_SPLIT, 2, 4, 0));
	EXPECT_EQ(-EBUSY, op_edit(&self->r, 0, IOLITE_EDIT_TRUNCATE, 0, 0, 0));
	EXPECT_EQ(-EBUSY, op_edit(&self->r, 0, IOLITE_EDIT_REPLACE, 1, 0, 1));
	EXPECT_EQ(-EBUSY, op_edit(&self->r, 0, IOLITE_EDIT_SEEK, 0, 0, SEEK_SET));
	EXPECT_EQ(sizeof(data), (size_t)op_length(&self->r, 0));
	EXPECT_EQ(sizeof(data),
		  (size_t)op_edit(&self->r, 1, IOLITE_EDIT_CONCAT, 0, 0, 0) - 4);

	ASSERT_EQ(sizeof(seen), (size_t)read_full(self->sock[1], seen, sizeof(seen)));
	ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(77, cqe.user_data);
	EXPECT_EQ(sizeof(data), (size_t)cqe.res);
	EXPECT_SAME(data, seen, sizeof(seen));
	EXPECT_EQ(0, op_edit(&self->r, 0, IOLITE_EDIT_TRUNCATE, 0, 0, 0));
}

TEST_F(slots, freeing_an_aggregate_in_flight_empties_only_the_slot)
{
	static char data[1 << 20], seen[1 << 20];
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, wait_for_full_socket(self, data, sizeof(data)));
	EXPECT_EQ(1, op_free(&self->r, 0, 1));
	EXPECT_EQ(-ENOENT, op_length(&self->r, 0));

	ASSERT_EQ(sizeof(seen), (size_t)read_full(self->sock[1], seen, sizeof(seen)));
	EXPECT_SAME(data, seen, sizeof(seen));
	ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(sizeof(data), (size_t)cqe.res);
}

TEST_F(slots, replacing_an_aggregate_in_flight_changes_only_the_slot)
{
	static char data[1 << 20], seen[1 << 20];
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, wait_for_full_socket(self, data, sizeof(data)));
	EXPECT_EQ(3, op_alloc(&self->r, 0, self->pool, "new", 3));

	ASSERT_EQ(sizeof(seen), (size_t)read_full(self->sock[1], seen, sizeof(seen)));
	EXPECT_SAME(data, seen, sizeof(seen));
	ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(sizeof(data), (size_t)cqe.res);
	EXPECT_EQ(3, op_length(&self->r, 0));
}

/* I6: the request holds the aggregate when the table goes */
TEST_F(slots, unregistering_with_a_request_in_flight_lets_it_finish)
{
	static char data[1 << 20], seen[1 << 20];
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, wait_for_full_socket(self, data, sizeof(data)));
	EXPECT_EQ(0, ring_register(&self->r, IOLITE_UNREGISTER_TABLE, NULL, 0));
	ASSERT_EQ(sizeof(seen), (size_t)read_full(self->sock[1], seen, sizeof(seen)));
	EXPECT_SAME(data, seen, sizeof(seen));
	ASSERT_EQ(0, ring_reap(&self->r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(sizeof(data), (size_t)cqe.res);
}

TEST_HARNESS_MAIN

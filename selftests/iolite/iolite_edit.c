// SPDX-License-Identifier: GPL-2.0
/* EDIT against a plain array of bytes: each edit by itself, then all at random */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"

#define NR_SLOTS	8	/* the last is for agg_bytes() */
#define NR_MODELS	(NR_SLOTS - 1)

FIXTURE(edit) {
	struct ring r;
	int pool;
};

FIXTURE_SETUP(edit)
{
	OPEN_RING(&self->r, NR_SLOTS);
	self->pool = pool_create(&self->r, 0);
	ASSERT_GE(self->pool, 0);
	ASSERT_EQ(10, op_alloc(&self->r, 0, self->pool, "0123456789", 10));
	ASSERT_EQ(3, op_alloc(&self->r, 1, self->pool, "abc", 3));
}

FIXTURE_TEARDOWN(edit)
{
	close(self->pool);
	ring_close(&self->r);
}

#define EXPECT_SLOT(text, slot) do {						\
	char _seen[256];							\
	int _len = strlen(text);						\
										\
	EXPECT_EQ(_len, op_length(&self->r, slot));				\
	EXPECT_EQ(_len, agg_bytes(&self->r, slot, _seen, sizeof(_seen)));	\
	EXPECT_SAME(text, _seen, _len);						\
} while (0)

static int edit(struct _test_data_edit *self, unsigned int slot, enum iolite_edit op,
		unsigned int slot2, __u64 off, __u64 addr)
{
	return op_edit(&self->r, slot, op, slot2, off, addr);
}

TEST_F(edit, concat_joins_and_leaves_the_second)
{
	EXPECT_EQ(13, edit(self, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
	EXPECT_SLOT("0123456789abc", 0);
	EXPECT_SLOT("abc", 1);
}

TEST_F(edit, concat_with_itself_doubles)
{
	EXPECT_EQ(20, edit(self, 0, IOLITE_EDIT_CONCAT, 0, 0, 0));
	EXPECT_SLOT("01234567890123456789", 0);
}

TEST_F(edit, prepend_joins_in_front)
{
	EXPECT_EQ(13, edit(self, 0, IOLITE_EDIT_PREPEND, 1, 0, 0));
	EXPECT_SLOT("abc0123456789", 0);
	EXPECT_SLOT("abc", 1);
}

TEST_F(edit, consume_empties_the_second_slot)
{
	static const enum iolite_edit ops[] = {
		IOLITE_EDIT_CONCAT, IOLITE_EDIT_PREPEND, IOLITE_EDIT_REPLACE,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(ops); i++) {
		struct io_uring_sqe sqe = sqe_edit(&self->r, 0, ops[i], 1, 0, 0);

		ASSERT_EQ(3, op_alloc(&self->r, 1, self->pool, "abc", 3));
		sqe.ioprio = IOLITE_EDIT_CONSUME;
		EXPECT_LE(0, ring_run(&self->r, &sqe));
		EXPECT_EQ(-ENOENT, op_length(&self->r, 1));
	}
	EXPECT_SLOT("abcabc0123456789abc", 0);
}

TEST_F(edit, failed_consume_keeps_both)
{
	struct io_uring_sqe sqe = sqe_edit(&self->r, 0, IOLITE_EDIT_REPLACE, 1, 11, 0);

	sqe.ioprio = IOLITE_EDIT_CONSUME;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
	EXPECT_SLOT("0123456789", 0);
	EXPECT_SLOT("abc", 1);
}

TEST_F(edit, split_cuts_at_every_offset)
{
	unsigned int at;

	for (at = 0; at <= 13; at++) {
		char head[16] = "0123456789abc", *tail = strdup(head + at);

		ASSERT_EQ(10, op_alloc(&self->r, 0, self->pool, "0123456789", 10));
		ASSERT_EQ(13, edit(self, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
		EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_SPLIT, 2, at, 0));
		head[at] = 0;
		EXPECT_SLOT(head, 0);
		EXPECT_SLOT(tail, 2);
		free(tail);
	}
	EXPECT_EQ(-EINVAL, edit(self, 0, IOLITE_EDIT_SPLIT, 2, 14, 0));
	EXPECT_EQ(-EINVAL, edit(self, 0, IOLITE_EDIT_SPLIT, 2, ~0ULL, 0));
	EXPECT_EQ(-EINVAL, edit(self, 0, IOLITE_EDIT_SPLIT, 2, 1ULL << 32, 0));
}

TEST_F(edit, nothing_is_split_copied_or_consumed_into_itself)
{
	struct io_uring_sqe sqe = sqe_edit(&self->r, 0, IOLITE_EDIT_CONCAT, 0, 0, 0);

	EXPECT_EQ(-EINVAL, edit(self, 0, IOLITE_EDIT_SPLIT, 0, 4, 0));
	EXPECT_EQ(-EINVAL, edit(self, 0, IOLITE_EDIT_DUP, 0, 0, 0));
	sqe.ioprio = IOLITE_EDIT_CONSUME;
	EXPECT_EQ(-EINVAL, ring_run(&self->r, &sqe));
	EXPECT_SLOT("0123456789", 0);
}

TEST_F(edit, split_and_dup_find_a_free_slot)
{
	unsigned int slot;

	EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_SPLIT, IOLITE_SLOT_ALLOC, 4, 0));
	slot = cqe_slot(self->r.cqe_flags);
	EXPECT_SLOT("456789", slot);
	EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_DUP, IOLITE_SLOT_ALLOC, 0, 0));
	EXPECT_NE(slot, cqe_slot(self->r.cqe_flags));
	EXPECT_SLOT("0123", cqe_slot(self->r.cqe_flags));
}

TEST_F(edit, dup_is_independent)
{
	EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_DUP, 2, 0, 0));
	EXPECT_EQ(13, edit(self, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
	EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_TRUNCATE, 0, 1, 0));
	EXPECT_SLOT("0", 0);
	EXPECT_SLOT("0123456789", 2);
	EXPECT_LE(0, op_free(&self->r, 0, 1));
	EXPECT_SLOT("0123456789", 2);
}

TEST_F(edit, truncate_keeps_the_front_and_never_extends)
{
	EXPECT_EQ(-EINVAL, edit(self, 0, IOLITE_EDIT_TRUNCATE, 0, 11, 0));
	EXPECT_EQ(-EINVAL, edit(self, 0, IOLITE_EDIT_TRUNCATE, 0, ~0ULL, 0));
	EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_TRUNCATE, 0, 10, 0));
	EXPECT_SLOT("0123456789", 0);
	EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_TRUNCATE, 0, 7, 0));
	EXPECT_SLOT("0123456", 0);
	EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_TRUNCATE, 0, 0, 0));
	EXPECT_SLOT("", 0);
}

TEST_F(edit, replace_inserts_overwrites_and_deletes)
{
	EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_REPLACE, 1, 2, 3));
	EXPECT_SLOT("01abc56789", 0);
	EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_REPLACE, 1, 10, 0));
	EXPECT_SLOT("01abc56789abc", 0);
	EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_REPLACE, 1, 0, 13));
	EXPECT_SLOT("abc", 0);
	EXPECT_LE(0, edit(self, 1, IOLITE_EDIT_TRUNCATE, 0, 0, 0));
	EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_REPLACE, 1, 1, 1));
	EXPECT_SLOT("ac", 0);
}

TEST_F(edit, replace_outside_is_refused)
{
	EXPECT_EQ(-EINVAL, edit(self, 0, IOLITE_EDIT_REPLACE, 1, 11, 0));
	EXPECT_EQ(-EINVAL, edit(self, 0, IOLITE_EDIT_REPLACE, 1, 8, 3));
	EXPECT_EQ(-EINVAL, edit(self, 0, IOLITE_EDIT_REPLACE, 1, 1, ~0ULL));
	EXPECT_EQ(-EINVAL, edit(self, 0, IOLITE_EDIT_REPLACE, 1, ~0ULL, 2));
	EXPECT_SLOT("0123456789", 0);
}

TEST_F(edit, replace_by_itself_nests)
{
	EXPECT_LE(0, edit(self, 1, IOLITE_EDIT_REPLACE, 1, 1, 1));
	EXPECT_SLOT("aabcc", 1);
}

TEST_F(edit, seek_moves_the_cursor_from_start_cursor_and_end)
{
	EXPECT_EQ(0, edit(self, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	EXPECT_EQ(4, edit(self, 0, IOLITE_EDIT_SEEK, 0, 4, SEEK_SET));
	EXPECT_EQ(6, edit(self, 0, IOLITE_EDIT_SEEK, 0, 2, SEEK_CUR));
	EXPECT_EQ(5, edit(self, 0, IOLITE_EDIT_SEEK, 0, -1, SEEK_CUR));
	EXPECT_EQ(7, edit(self, 0, IOLITE_EDIT_SEEK, 0, -3, SEEK_END));
	EXPECT_EQ(10, edit(self, 0, IOLITE_EDIT_SEEK, 0, 0, SEEK_END));
	EXPECT_EQ(10, edit(self, 0, IOLITE_EDIT_TELL, 0, 0, 0));
}

TEST_F(edit, seek_outside_is_refused_and_moves_nothing)
{
	static const struct { __s64 off; int whence; } wrong[] = {
		{ -1, SEEK_SET }, { 11, SEEK_SET }, { -5, SEEK_CUR }, { 7, SEEK_CUR },
		{ 1, SEEK_END }, { -11, SEEK_END }, { INT64_MAX, SEEK_CUR },
		{ INT64_MIN, SEEK_CUR }, { INT64_MAX, SEEK_END }, { INT64_MIN, SEEK_END },
		{ INT64_MAX, SEEK_SET }, { INT64_MIN, SEEK_SET },
	};
	unsigned int i;

	ASSERT_EQ(4, edit(self, 0, IOLITE_EDIT_SEEK, 0, 4, SEEK_SET));
	for (i = 0; i < ARRAY_LEN(wrong); i++)
		EXPECT_EQ(-EINVAL, edit(self, 0, IOLITE_EDIT_SEEK, 0, wrong[i].off,
					wrong[i].whence))
			TH_LOG("%lld from %d", wrong[i].off, wrong[i].whence);
	EXPECT_EQ(4, edit(self, 0, IOLITE_EDIT_TELL, 0, 0, 0));
}

TEST_F(edit, cursor_is_copied_by_dup_and_clamped_by_what_shortens)
{
	ASSERT_EQ(8, edit(self, 0, IOLITE_EDIT_SEEK, 0, 8, SEEK_SET));
	ASSERT_LE(0, edit(self, 0, IOLITE_EDIT_DUP, 2, 0, 0));
	EXPECT_EQ(8, edit(self, 2, IOLITE_EDIT_TELL, 0, 0, 0));
	ASSERT_LE(0, edit(self, 2, IOLITE_EDIT_TRUNCATE, 0, 5, 0));
	EXPECT_EQ(5, edit(self, 2, IOLITE_EDIT_TELL, 0, 0, 0));

	ASSERT_LE(0, edit(self, 0, IOLITE_EDIT_SPLIT, 3, 6, 0));
	EXPECT_EQ(6, edit(self, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	EXPECT_EQ(0, edit(self, 3, IOLITE_EDIT_TELL, 0, 0, 0));

	ASSERT_LE(0, edit(self, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
	EXPECT_EQ(6, edit(self, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	ASSERT_LE(0, edit(self, 0, IOLITE_EDIT_PREPEND, 1, 0, 0));
	EXPECT_EQ(6, edit(self, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	ASSERT_LE(0, edit(self, 0, IOLITE_EDIT_REPLACE, 1, 0, 12));
	EXPECT_EQ(3, edit(self, 0, IOLITE_EDIT_TELL, 0, 0, 0));
}

/* ---- limits ---- */

TEST_F(edit, aggregate_over_the_byte_limit_is_too_big_and_stays_as_it_was)
{
	int before = op_length(&self->r, 0), ret;

	/* doubles until it may not */
	while ((ret = edit(self, 0, IOLITE_EDIT_CONCAT, 0, 0, 0)) > 0)
		before = ret;
	EXPECT_EQ(-E2BIG, ret);
	EXPECT_EQ(before, op_length(&self->r, 0));
	EXPECT_EQ(-E2BIG, edit(self, 0, IOLITE_EDIT_PREPEND, 0, 0, 0));
	EXPECT_EQ(-E2BIG, edit(self, 0, IOLITE_EDIT_REPLACE, 0, 1, 1));
	EXPECT_EQ(before, op_length(&self->r, 0));
	EXPECT_LE((__u64)before, self->r.table.max_bytes);
}

TEST_F(edit, aggregate_over_the_slice_limit_is_too_big_and_stays_as_it_was)
{
	unsigned int slices = 1;
	int before;

	/* one byte a slice, so that the limit on bytes is far away */
	ASSERT_EQ(1, op_alloc(&self->r, 0, self->pool, "x", 1));
	while (slices * 2 <= self->r.table.max_slices) {
		ASSERT_LT(0, edit(self, 0, IOLITE_EDIT_CONCAT, 0, 0, 0));
		slices *= 2;
	}
	before = op_length(&self->r, 0);
	EXPECT_EQ(slices, (unsigned int)before);
	EXPECT_EQ(-E2BIG, edit(self, 0, IOLITE_EDIT_CONCAT, 0, 0, 0));
	EXPECT_EQ(before, op_length(&self->r, 0));
}

/* The promise of sharing: many slices cost nothing to duplicate */
TEST_F(edit, dup_of_many_slices_takes_no_nodes)
{
	long nodes;
	int i;

	for (i = 0; i < 12; i++)
		ASSERT_LT(0, edit(self, 0, IOLITE_EDIT_CONCAT, 0, 0, 0));
	/* The ring of the test before is torn down in the background. */
	do {
		nodes = stat_get("nodes");
		usleep(100000);
	} while (nodes != stat_get("nodes"));
	EXPECT_LE(0, edit(self, 0, IOLITE_EDIT_DUP, 2, 0, 0));
	EXPECT_EQ(nodes, stat_get("nodes"));
}

/* ---- at random ---- */

struct model {
	char		*bytes;
	size_t		len;
	size_t		cursor;
	bool		full;
};

#define MODEL_MAX	20000

static void model_set(struct model *m, const char *bytes, size_t len, size_t cursor)
{
	char *copy = xmalloc(len);

	memcpy(copy, bytes, len);
	free(m->bytes);
	*m = (struct model){ .bytes = copy, .len = len, .full = true,
			     .cursor = cursor < len ? cursor : len };
}

/* Bytes [off, off + del) of m become those of with */
static void model_replace(struct model *m, size_t off, size_t del, const struct model *with)
{
	size_t len = m->len - del + with->len;
	char *bytes = xmalloc(len);

	memcpy(bytes, m->bytes, off);
	memcpy(bytes + off, with->bytes, with->len);
	memcpy(bytes + off + with->len, m->bytes + off + del, m->len - off - del);
	model_set(m, bytes, len, m->cursor);
	free(bytes);
}

/* One random edit on both; returns what EDIT has to return */
static int random_edit(struct ring *r, struct model *m, unsigned int *rnd, char *what,
		       size_t what_len, int *expected)
{
	unsigned int op = random_below(rnd, IOLITE_EDIT_TELL);
	unsigned int s = random_below(rnd, NR_MODELS), t = random_below(rnd, NR_MODELS);
	size_t off = random_below(rnd, m[s].len + 1);
	size_t del = random_below(rnd, m[s].len - off + 1);
	bool consume = random_below(rnd, 4) == 0 && op != IOLITE_EDIT_SPLIT &&
		       op != IOLITE_EDIT_DUP && op != IOLITE_EDIT_TRUNCATE &&
		       op != IOLITE_EDIT_SEEK && s != t;
	struct io_uring_sqe sqe;

	/* it would only grow */
	if (m[s].len + m[t].len > MODEL_MAX)
		op = IOLITE_EDIT_TRUNCATE;
	if (op == IOLITE_EDIT_TRUNCATE)
		consume = false;
	snprintf(what, what_len,
		 "edit %u of slot %u (%zu bytes) with %u (%zu), off %zu, addr %zu%s", op, s,
		 m[s].len, t, m[t].len, off, del, consume ? ", consume" : "");

	switch (op) {
	case IOLITE_EDIT_CONCAT:
		sqe = sqe_edit(r, s, op, t, 0, 0);
		model_replace(&m[s], m[s].len, 0, &m[t]);
		*expected = m[s].len;
		break;
	case IOLITE_EDIT_PREPEND:
		sqe = sqe_edit(r, s, op, t, 0, 0);
		model_replace(&m[s], 0, 0, &m[t]);
		*expected = m[s].len;
		break;
	case IOLITE_EDIT_SPLIT:
		sqe = sqe_edit(r, s, op, t, off, 0);
		if (s == t) {
			*expected = -EINVAL;
			break;
		}
		model_set(&m[t], m[s].bytes + off, m[s].len - off, 0);
		model_set(&m[s], m[s].bytes, off, m[s].cursor);
		*expected = 0;
		break;
	case IOLITE_EDIT_DUP:
		sqe = sqe_edit(r, s, op, t, 0, 0);
		if (s == t) {
			*expected = -EINVAL;
			break;
		}
		model_set(&m[t], m[s].bytes, m[s].len, m[s].cursor);
		*expected = 0;
		break;
	case IOLITE_EDIT_TRUNCATE:
		sqe = sqe_edit(r, s, op, 0, off, 0);
		model_set(&m[s], m[s].bytes, off, m[s].cursor);
		*expected = 0;
		break;
	case IOLITE_EDIT_REPLACE:
		sqe = sqe_edit(r, s, op, t, off, del);
		model_replace(&m[s], off, del, &m[t]);
		*expected = 0;
		break;
	default:
		sqe = sqe_edit(r, s, IOLITE_EDIT_SEEK, 0, off, SEEK_SET);
		m[s].cursor = off;
		*expected = off;
		break;
	}
	if (consume) {
		sqe.ioprio = IOLITE_EDIT_CONSUME;
		m[t].full = false;
	}
	return ring_run(r, &sqe);
}

TEST_F_TIMEOUT(edit, random_edits_agree_with_a_byte_array, 60)
{
	const char *given = getenv("IOLITE_SEED");
	unsigned int seed = given ? atoi(given) : time(NULL), rnd = seed;
	struct model m[NR_MODELS] = {};
	static char data[300], seen[2 * MODEL_MAX];
	char what[160];
	unsigned int i, step;
	int res, expected;

	TH_LOG("IOLITE_SEED=%u", seed);
	for (step = 0; step < 3000; step++) {
		for (i = 0; i < NR_MODELS; i++) {
			unsigned int len = 1 + random_below(&rnd, sizeof(data) - 1);

			if (m[i].full)
				continue;
			fill_pattern(data, len, rnd);
			ASSERT_EQ(len, (unsigned int)op_alloc(&self->r, i, self->pool, data, len));
			model_set(&m[i], data, len, 0);
		}
		res = random_edit(&self->r, m, &rnd, what, sizeof(what), &expected);
		ASSERT_EQ(expected, res) TH_LOG("step %u: %s", step, what);

		for (i = 0; i < NR_MODELS; i++) {
			if (!m[i].full) {
				ASSERT_EQ(-ENOENT, op_length(&self->r, i));
				continue;
			}
			ASSERT_EQ(m[i].len, (size_t)op_length(&self->r, i))
				TH_LOG("slot %u after step %u: %s", i, step, what);
			ASSERT_EQ(m[i].cursor,
				  (size_t)op_edit(&self->r, i, IOLITE_EDIT_TELL, 0, 0, 0))
				TH_LOG("slot %u after step %u: %s", i, step, what);
		}
		/* reading them back costs most */
		i = random_below(&rnd, NR_MODELS);
		if (step % 16 || !m[i].full)
			continue;
		ASSERT_EQ(m[i].len, (size_t)agg_bytes(&self->r, i, seen, sizeof(seen)));
		ASSERT_SAME(m[i].bytes, seen, m[i].len)
			TH_LOG("slot %u after step %u: %s", i, step, what);
	}
	for (i = 0; i < NR_MODELS; i++)
		free(m[i].bytes);
}

TEST_HARNESS_MAIN

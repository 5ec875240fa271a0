// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of aggregates, most of them against plain arrays of bytes.
 */

#include <kunit/static_stub.h>
#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/highmem.h>
#include <linux/iolite.h>
#include <linux/moduleparam.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "iolite_agg.h"

#define NR_BUFS		8
#define BUF_BYTES	4096U
#define NR_MODELS	6
#define MODEL_BYTES	8192U
#define RANDOM_STEPS	10000
#define MANY_SLICES	100000
#define SPLIT_SLICES	600

static uint seed;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "of the random operations; 0 takes a new one each time");

/* An aggregate and what must be in it */
struct model {
	struct iolite_agg agg;
	u32 len;
	u32 cursor;
	u8 bytes[MODEL_BYTES];
};

struct agg_test {
	struct iolite_pool *pool;
	struct iolite_buf *bufs[NR_BUFS];
	u8 data[NR_BUFS][BUF_BYTES];	/* the same bytes as in bufs */
	struct model models[NR_MODELS];
	u8 scratch[2 * MODEL_BYTES];
	struct bio_vec bvecs[64];
	struct rnd_state rnd;
	long nodes_before;
	/* of allocations of nodes */
	unsigned int allocs;
	unsigned int fail_at;		/* this one fails, counted from 1 */
	unsigned int fail_one_in;
	bool failed;
};

static u32 rnd_below(struct agg_test *t, u32 limit)
{
	return prandom_u32_state(&t->rnd) % limit;
}

static struct iolite_agg_node *counted_node_mem(void)
{
	struct agg_test *t = kunit_get_current_test()->priv;

	t->allocs++;
	if (t->allocs == t->fail_at || (t->fail_one_in && !rnd_below(t, t->fail_one_in))) {
		t->failed = true;
		return NULL;
	}
	return kmem_cache_alloc(iolite_agg_cache, GFP_KERNEL_ACCOUNT);
}

static int agg_test_init(struct kunit *test)
{
	struct agg_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct iolite_agg agg;
	struct iolite_agg_iter it;
	struct iolite_slice slice;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	test->priv = t;
	t->nodes_before = iolite_stat_read(IOLITE_STAT_NODES);
	prandom_seed_state(&t->rnd, 1);
	KUNIT_ASSERT_EQ(test, iolite_pool_create(current_user(), 0, 0, &t->pool), 0);
	for (i = 0; i < NR_BUFS; i++) {
		iolite_agg_init(&agg);
		KUNIT_ASSERT_EQ(test, iolite_pool_alloc(t->pool, BUF_BYTES, &agg), 0);
		KUNIT_EXPECT_FALSE(test, iolite_agg_sealed(&agg));
		iolite_agg_iter_init(&it, &agg, 0);
		KUNIT_ASSERT_TRUE(test, iolite_agg_iter_next(&it, &slice));
		KUNIT_ASSERT_EQ(test, slice.len, BUF_BYTES);
		prandom_bytes_state(&t->rnd, t->data[i], BUF_BYTES);
		memcpy_to_folio(slice.buf->folio, slice.buf->offset, t->data[i], BUF_BYTES);
		iolite_agg_seal(&agg);
		KUNIT_EXPECT_TRUE(test, iolite_agg_sealed(&agg));
		t->bufs[i] = iolite_buf_get(slice.buf);
		iolite_agg_destroy(&agg);
	}
	kunit_activate_static_stub(test, iolite_agg_node_mem, counted_node_mem);
	return 0;
}

static void agg_test_exit(struct kunit *test)
{
	struct agg_test *t = test->priv;
	int i;

	if (!t)
		return;
	for (i = 0; i < NR_MODELS; i++)
		iolite_agg_destroy(&t->models[i].agg);
	/* The test's own reference is the last one, or slices leak theirs. */
	for (i = 0; i < NR_BUFS && t->bufs[i]; i++) {
		KUNIT_EXPECT_EQ(test, refcount_read(&t->bufs[i]->ref), 1);
		iolite_buf_put(t->bufs[i]);
	}
	KUNIT_EXPECT_EQ(test, iolite_stat_read(IOLITE_STAT_NODES), t->nodes_before);
	if (t->pool)
		iolite_pool_put(t->pool);
}

/* Appends a slice; the aggregate gets a reference of its own. */
static int append(struct agg_test *t, struct iolite_agg *agg, u32 buf, u32 off, u32 len)
{
	int err = iolite_agg_append(agg, iolite_buf_get(t->bufs[buf]), off, len);

	if (err)
		iolite_buf_put(t->bufs[buf]);
	return err;
}

/* Checks what every node promises; returns false after the first complaint. */
static bool check_tree(struct kunit *test, const struct iolite_agg_node *node, bool root)
{
	u32 nr = 0, len = 0, i, min = IOLITE_AGG_NODE_MIN;

	if (root)
		min = node->level ? 2 : IOLITE_AGG_INLINE + 1;
	if (node->level >= IOLITE_AGG_MAX_DEPTH || node->n < min || node->n > IOLITE_AGG_NODE_MAX) {
		KUNIT_FAIL(test, "node of level %u with %u entries, at least %u expected",
			   node->level, node->n, min);
		return false;
	}
	for (i = 0; i < node->n; i++) {
		const union iolite_agg_entry *e = &node->e[i];

		if (!node->level) {
			nr++;
			len += e->slice.len;
			if (!e->slice.len) {
				KUNIT_FAIL(test, "empty slice");
				return false;
			}
			continue;
		}
		nr += e->child.nr;
		len += e->child.len;
		if (e->child.node->level != node->level - 1 || e->child.node->nr != e->child.nr ||
		    e->child.node->len != e->child.len) {
			KUNIT_FAIL(test, "level %u: entry %u, %u; its child at level %u: %u, %u",
				   node->level, e->child.nr, e->child.len,
				   e->child.node->level, e->child.node->nr,
				   e->child.node->len);
			return false;
		}
		if (!check_tree(test, e->child.node, false))
			return false;
	}
	if (nr != node->nr || len != node->len)
		KUNIT_FAIL(test, "node says %u slices, %u bytes; its entries %u, %u",
			   node->nr, node->len, nr, len);
	return nr == node->nr && len == node->len;
}

static void check_shape(struct kunit *test, const struct iolite_agg *agg)
{
	KUNIT_EXPECT_EQ(test, !!agg->root, agg->nr > IOLITE_AGG_INLINE);
	if (!agg->root)
		return;
	KUNIT_EXPECT_EQ(test, agg->root->nr, agg->nr);
	KUNIT_EXPECT_EQ(test, agg->root->len, agg->len);
	check_tree(test, agg->root, true);
}

static void expect_bytes(struct kunit *test, const u8 *seen, const u8 *expected, u32 len,
			 const char *how)
{
	u32 i = 0;

	if (!memcmp(seen, expected, len))
		return;
	while (seen[i] == expected[i])
		i++;
	KUNIT_FAIL(test, "%s: byte %u of %u is %#x, expected %#x", how, i, len,
		   seen[i], expected[i]);
}

static void check_model(struct kunit *test, const struct model *m)
{
	struct agg_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, m->agg.len, m->len);
	KUNIT_EXPECT_EQ(test, m->agg.cursor, m->cursor);
	KUNIT_EXPECT_TRUE(test, iolite_agg_sealed(&m->agg));
	check_shape(test, &m->agg);
	KUNIT_EXPECT_EQ(test, iolite_agg_copy_out(&m->agg, 0, t->scratch, sizeof(t->scratch)),
			m->len);
	expect_bytes(test, t->scratch, m->bytes, m->len, "copy_out");
}

/* Reads a random range slice by slice, and as bvecs. */
static void check_range(struct kunit *test, const struct model *m)
{
	struct agg_test *t = test->priv;
	u32 pos = rnd_below(t, m->len + 2), want = rnd_below(t, MODEL_BYTES);
	u32 max = 1 + rnd_below(t, ARRAY_SIZE(t->bvecs));
	struct iolite_agg_iter it;
	struct iolite_slice slice;
	u32 at = pos, nr, i;
	size_t bytes;

	iolite_agg_iter_init(&it, &m->agg, pos);
	while (iolite_agg_iter_next(&it, &slice)) {
		KUNIT_ASSERT_LE(test, at + slice.len, m->len);
		memcpy_from_folio(t->scratch, slice.buf->folio, slice.buf->offset + slice.off,
				  slice.len);
		expect_bytes(test, t->scratch, m->bytes + at, slice.len, "slice");
		at += slice.len;
	}
	KUNIT_EXPECT_EQ(test, at, max(pos, m->len));

	nr = iolite_agg_bvecs(&m->agg, pos, want, t->bvecs, max, &bytes);
	at = pos;
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_GT(test, t->bvecs[i].bv_len, 0);
		KUNIT_ASSERT_LE(test, at + t->bvecs[i].bv_len, m->len);
		expect_bytes(test, bvec_virt(&t->bvecs[i]), m->bytes + at, t->bvecs[i].bv_len,
			     "bvec");
		at += t->bvecs[i].bv_len;
	}
	KUNIT_EXPECT_EQ(test, bytes, at - pos);
	if (nr < max)
		KUNIT_EXPECT_EQ(test, bytes, min(want, m->len - min(pos, m->len)));
}

static void step_append(struct kunit *test, struct model *m)
{
	struct agg_test *t = test->priv;
	u32 buf = rnd_below(t, NR_BUFS), off = rnd_below(t, BUF_BYTES), count = rnd_below(t, 40);
	u32 len, nr;
	int err;

	while (count--) {
		/* One in two goes on where the last one ended. */
		if (off == BUF_BYTES || rnd_below(t, 2)) {
			buf = rnd_below(t, NR_BUFS);
			off = rnd_below(t, BUF_BYTES);
		}
		len = min(1 + rnd_below(t, 32), BUF_BYTES - off);
		if (m->len + len > MODEL_BYTES)
			return;
		t->failed = false;
		nr = m->agg.nr;
		err = append(t, &m->agg, buf, off, len);
		KUNIT_EXPECT_EQ(test, err, t->failed ? -ENOMEM : 0);
		if (err) {
			KUNIT_EXPECT_EQ(test, m->agg.nr, nr);
			return;
		}
		memcpy(m->bytes + m->len, t->data[buf] + off, len);
		m->len += len;
		off += len;
	}
}

/* In the model, @len bytes at @off become those of @with, which may be @m. */
static void model_replace(struct agg_test *t, struct model *m, u32 off, u32 len,
			  const struct model *with)
{
	u32 with_len = with->len;

	memcpy(t->scratch, with->bytes, with_len);
	memmove(m->bytes + off + with_len, m->bytes + off + len, m->len - off - len);
	memcpy(m->bytes + off, t->scratch, with_len);
	m->len += with_len - len;
	m->cursor = min(m->cursor, m->len);
}

static void step_seek(struct kunit *test, struct model *m)
{
	struct agg_test *t = test->priv;
	int whence = rnd_below(t, 4);	/* 3 is none of SEEK_SET, SEEK_CUR, SEEK_END */
	s64 base[] = { 0, m->cursor, m->len, 0 };
	s64 off = (s64)rnd_below(t, 2 * m->len + 2) - m->len;
	s64 pos = base[whence] + off;

	if (whence == 3 || pos < 0 || pos > m->len)
		pos = -EINVAL;
	else
		m->cursor = pos;
	KUNIT_EXPECT_EQ(test, iolite_agg_seek(&m->agg, off, whence), pos);
}

/* One random operation on two random aggregates, which may be the same one */
static void random_step(struct kunit *test)
{
	struct agg_test *t = test->priv;
	struct model *m = &t->models[rnd_below(t, NR_MODELS)];
	struct model *o = &t->models[rnd_below(t, NR_MODELS)];
	u32 at = rnd_below(t, m->len + 1), len = rnd_below(t, m->len - at + 1);
	u32 op = rnd_below(t, 12);
	int err;

	/* No room in the model for the sum: make some. */
	if (m->len + o->len > MODEL_BYTES && (op == 3 || op == 4 || op == 7)) {
		op = 6;
		at = rnd_below(t, m->len / 4 + 1);
	}

	t->failed = false;
	switch (op) {
	case 0:
	case 1:
	case 2:
		step_append(test, m);
		break;
	case 3:
		err = iolite_agg_concat(&m->agg, &o->agg);
		KUNIT_EXPECT_EQ(test, err, t->failed ? -ENOMEM : 0);
		if (!err)
			model_replace(t, m, m->len, 0, o);
		break;
	case 4:
		err = iolite_agg_prepend(&m->agg, &o->agg);
		KUNIT_EXPECT_EQ(test, err, t->failed ? -ENOMEM : 0);
		if (!err)
			model_replace(t, m, 0, 0, o);
		break;
	case 5:
		if (m == o)
			break;
		iolite_agg_destroy(&o->agg);
		o->len = 0;
		o->cursor = 0;
		err = iolite_agg_split(&m->agg, at, &o->agg);
		KUNIT_EXPECT_EQ(test, err, t->failed ? -ENOMEM : 0);
		if (err)
			break;
		o->len = m->len - at;
		memcpy(o->bytes, m->bytes + at, o->len);
		m->len = at;
		m->cursor = min(m->cursor, at);
		break;
	case 6:
		err = iolite_agg_truncate(&m->agg, at);
		KUNIT_EXPECT_EQ(test, err, t->failed ? -ENOMEM : 0);
		if (err)
			break;
		m->len = at;
		m->cursor = min(m->cursor, at);
		break;
	case 7:
		err = iolite_agg_replace(&m->agg, at, len, &o->agg);
		KUNIT_EXPECT_EQ(test, err, t->failed ? -ENOMEM : 0);
		if (!err)
			model_replace(t, m, at, len, o);
		break;
	case 8:
		if (m == o)
			break;
		iolite_agg_destroy(&o->agg);
		iolite_agg_dup(&m->agg, &o->agg);
		memcpy(o->bytes, m->bytes, m->len);
		o->len = m->len;
		o->cursor = m->cursor;
		break;
	case 9:
		step_seek(test, m);
		break;
	case 10:
		check_range(test, m);
		break;
	case 11:
		if (rnd_below(t, 8))
			break;
		iolite_agg_destroy(&m->agg);
		m->len = 0;
		m->cursor = 0;
		break;
	}
	check_model(test, m);
	check_model(test, o);
}

static void random_steps(struct kunit *test)
{
	struct agg_test *t = test->priv;
	u32 used = seed ?: get_random_u32();
	int i, j;

	kunit_info(test, "iolite_agg_test.seed=%u\n", used);
	prandom_seed_state(&t->rnd, used);
	for (i = 1; i <= RANDOM_STEPS; i++) {
		random_step(test);
		/* Those that were not touched share with those that were. */
		for (j = 0; i % 16 == 0 && j < NR_MODELS; j++)
			check_model(test, &t->models[j]);
		if (test->status == KUNIT_FAILURE) {
			kunit_info(test, "stopped after step %d\n", i);
			return;
		}
	}
}

static void random_operations_do_what_they_do_to_bytes(struct kunit *test)
{
	random_steps(test);
}

static void operations_without_memory_change_nothing(struct kunit *test)
{
	struct agg_test *t = test->priv;

	t->fail_one_in = 12;
	random_steps(test);
}

/* Fills @agg with @nr one-byte slices that cannot be merged. */
static void fill(struct kunit *test, struct iolite_agg *agg, u32 nr)
{
	struct agg_test *t = test->priv;
	u32 i;

	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, append(t, agg, i % NR_BUFS, i % BUF_BYTES, 1), 0);
	KUNIT_ASSERT_EQ(test, agg->nr, nr);
}

/* Every allocation of one operation on a deep tree fails once. */
static void each_allocation_may_fail(struct kunit *test)
{
	struct agg_test *t = test->priv;
	struct iolite_agg *agg = &t->models[0].agg, *other = &t->models[1].agg;
	struct iolite_agg *copy = &t->models[2].agg, *tail = &t->models[3].agg;
	struct iolite_agg_node *root;
	unsigned int n;
	int err, op;

	fill(test, agg, 3000);
	fill(test, other, 40);
	for (op = 0; op < 6; op++) {
		for (n = 1, err = -ENOMEM; err; n++) {
			KUNIT_ASSERT_LE(test, n, 200);
			iolite_agg_destroy(copy);
			iolite_agg_destroy(tail);
			iolite_agg_dup(agg, copy);
			root = copy->root;
			t->allocs = 0;
			t->fail_at = n;
			switch (op) {
			case 0:
				err = append(t, copy, 0, 100, 1);
				break;
			case 1:
				err = iolite_agg_concat(copy, other);
				break;
			case 2:
				err = iolite_agg_prepend(copy, other);
				break;
			case 3:
				err = iolite_agg_truncate(copy, 1777);
				break;
			case 4:
				err = iolite_agg_replace(copy, 1000, 1000, other);
				break;
			case 5:
				err = iolite_agg_split(copy, 1777, tail);
				break;
			}
			t->fail_at = 0;
			check_shape(test, copy);
			check_shape(test, tail);
			if (!err)
				break;
			KUNIT_EXPECT_EQ(test, err, -ENOMEM);
			KUNIT_EXPECT_EQ(test, copy->len, 3000);
			/* Append may have begun to unshare, the others may not. */
			if (op)
				KUNIT_EXPECT_PTR_EQ(test, copy->root, root);
			check_shape(test, agg);
		}
		KUNIT_EXPECT_GT(test, n, 1);
	}
}

/* Adds @nr slices of two bytes to the end of a model. */
static void add_pairs(struct kunit *test, struct model *m, u32 nr)
{
	struct agg_test *t = test->priv;
	u32 buf, off;

	while (nr--) {
		buf = m->agg.nr % NR_BUFS;
		off = rnd_below(t, BUF_BYTES - 1);
		memcpy(m->bytes + m->len, t->data[buf] + off, 2);
		m->len += 2;
		KUNIT_ASSERT_EQ(test, append(t, &m->agg, buf, off, 2), 0);
	}
}

/* Splits at each byte, between slices and in one, and compares both parts. */
static void split_everywhere(struct kunit *test, const struct model *m)
{
	struct agg_test *t = test->priv;
	struct model *head = &t->models[4], *tail = &t->models[5];
	u32 at;

	for (at = 1; at < m->len; at++) {
		iolite_agg_dup(&m->agg, &head->agg);
		KUNIT_ASSERT_EQ(test, iolite_agg_split(&head->agg, at, &tail->agg), 0);
		head->len = at;
		tail->len = m->len - at;
		memcpy(head->bytes, m->bytes, head->len);
		memcpy(tail->bytes, m->bytes + at, tail->len);
		check_model(test, head);
		check_model(test, tail);
		iolite_agg_destroy(&head->agg);
		iolite_agg_destroy(&tail->agg);
	}
	check_model(test, m);
}

/* Trees as appending leaves them, and as joining small ones does, of one to four levels */
static void trees_can_be_split_anywhere(struct kunit *test)
{
	struct agg_test *t = test->priv;
	struct model *m = &t->models[0], *piece = &t->models[1];
	u32 nr;

	for (nr = 1; nr <= SPLIT_SLICES; nr = nr * 3 / 2 + 5) {
		iolite_agg_destroy(&m->agg);
		m->len = 0;
		add_pairs(test, m, nr);
		split_everywhere(test, m);

		iolite_agg_destroy(&m->agg);
		m->len = 0;
		while (m->agg.nr < nr) {
			iolite_agg_destroy(&piece->agg);
			piece->len = 0;
			add_pairs(test, piece, 1 + rnd_below(t, 40));
			memmove(m->bytes + piece->len, m->bytes, m->len);
			memcpy(m->bytes, piece->bytes, piece->len);
			m->len += piece->len;
			KUNIT_ASSERT_EQ(test, iolite_agg_prepend(&m->agg, &piece->agg), 0);
		}
		split_everywhere(test, m);
	}
}

static void small_aggregates_allocate_nothing(struct kunit *test)
{
	struct agg_test *t = test->priv;
	struct iolite_agg *agg = &t->models[0].agg, *other = &t->models[1].agg;

	t->fail_one_in = 1;
	fill(test, agg, 1);
	KUNIT_EXPECT_EQ(test, iolite_agg_concat(agg, agg), 0);
	KUNIT_EXPECT_EQ(test, iolite_agg_prepend(agg, agg), 0);
	KUNIT_EXPECT_EQ(test, agg->nr, IOLITE_AGG_INLINE);
	iolite_agg_dup(agg, other);
	KUNIT_EXPECT_EQ(test, iolite_agg_replace(agg, 1, 2, other), -ENOMEM);
	KUNIT_EXPECT_EQ(test, iolite_agg_truncate(other, 2), 0);
	KUNIT_EXPECT_EQ(test, iolite_agg_replace(agg, 1, 2, other), 0);
	KUNIT_EXPECT_EQ(test, append(t, agg, 0, 7, 1), -ENOMEM);
	KUNIT_EXPECT_EQ(test, agg->nr, IOLITE_AGG_INLINE);
	KUNIT_EXPECT_NULL(test, agg->root);
}

static void contiguous_slices_become_one(struct kunit *test)
{
	struct agg_test *t = test->priv;
	struct iolite_agg *agg = &t->models[0].agg, *copy = &t->models[1].agg;
	u32 i, nr;

	for (nr = 1; nr <= 100; nr++) {
		KUNIT_ASSERT_EQ(test, append(t, agg, nr % NR_BUFS, 0, 1), 0);
		iolite_agg_destroy(copy);
		iolite_agg_dup(agg, copy);
		for (i = 1; i < 5; i++)
			KUNIT_ASSERT_EQ(test, append(t, agg, nr % NR_BUFS, i, 1), 0);
		KUNIT_EXPECT_EQ(test, agg->nr, nr);
		KUNIT_EXPECT_EQ(test, agg->len, 5 * nr);
		KUNIT_EXPECT_EQ(test, copy->len, 5 * nr - 4);
		check_shape(test, agg);
		check_shape(test, copy);
	}
}

static void bvecs_join_what_lies_together(struct kunit *test)
{
	struct agg_test *t = test->priv;
	struct iolite_agg *agg = &t->models[0].agg, *other = &t->models[1].agg;
	struct iolite_buf *buf = t->bufs[0];
	size_t bytes;

	KUNIT_ASSERT_EQ(test, append(t, agg, 0, 100, 50), 0);
	KUNIT_ASSERT_EQ(test, append(t, other, 0, 150, 25), 0);
	KUNIT_ASSERT_EQ(test, append(t, other, 0, 176, 4), 0);
	KUNIT_ASSERT_EQ(test, iolite_agg_concat(agg, other), 0);
	KUNIT_EXPECT_EQ(test, agg->nr, 3);

	KUNIT_EXPECT_EQ(test, iolite_agg_bvecs(agg, 10, 1000, t->bvecs, 8, &bytes), 2);
	KUNIT_EXPECT_EQ(test, bytes, 69);
	KUNIT_EXPECT_EQ(test, t->bvecs[0].bv_len, 65);
	KUNIT_EXPECT_PTR_EQ(test, t->bvecs[0].bv_page,
			    folio_page(buf->folio, (buf->offset + 110) / PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, t->bvecs[0].bv_offset, (buf->offset + 110) % PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, t->bvecs[1].bv_len, 4);
	KUNIT_EXPECT_EQ(test, iolite_agg_bvecs(agg, 10, 1000, t->bvecs, 1, &bytes), 1);
	KUNIT_EXPECT_EQ(test, bytes, 65);
	KUNIT_EXPECT_EQ(test, iolite_agg_bvecs(agg, 10, 65, t->bvecs, 8, &bytes), 1);
	KUNIT_EXPECT_EQ(test, bytes, 65);
	KUNIT_EXPECT_EQ(test, iolite_agg_bvecs(agg, 10, 0, t->bvecs, 8, &bytes), 0);
	KUNIT_EXPECT_EQ(test, bytes, 0);
	KUNIT_EXPECT_EQ(test, iolite_agg_bvecs(agg, 79, 1000, t->bvecs, 8, &bytes), 0);
	KUNIT_EXPECT_EQ(test, bytes, 0);
	KUNIT_EXPECT_EQ(test, iolite_agg_bvecs(agg, 10, 1000, t->bvecs, 0, &bytes), 0);
	KUNIT_EXPECT_EQ(test, bytes, 0);
}

static void positions_outside_are_refused(struct kunit *test)
{
	struct agg_test *t = test->priv;
	struct iolite_agg *agg = &t->models[0].agg, *other = &t->models[1].agg;
	u32 nr;

	for (nr = 0; nr <= 20; nr += 10) {
		iolite_agg_destroy(agg);
		fill(test, agg, nr);
		KUNIT_EXPECT_EQ(test, iolite_agg_split(agg, nr + 1, other), -EINVAL);
		KUNIT_EXPECT_EQ(test, iolite_agg_truncate(agg, nr + 1), -EINVAL);
		KUNIT_EXPECT_EQ(test, iolite_agg_truncate(agg, U64_MAX), -EINVAL);
		KUNIT_EXPECT_EQ(test, iolite_agg_replace(agg, nr + 1, 0, other), -EINVAL);
		KUNIT_EXPECT_EQ(test, iolite_agg_replace(agg, nr, 1, other), -EINVAL);
		KUNIT_EXPECT_EQ(test, iolite_agg_replace(agg, 1, U64_MAX, other), -EINVAL);
		KUNIT_EXPECT_EQ(test, iolite_agg_seek(agg, nr + 1, SEEK_SET), -EINVAL);
		KUNIT_EXPECT_EQ(test, iolite_agg_seek(agg, S64_MAX, SEEK_END), -EINVAL);
		KUNIT_EXPECT_EQ(test, iolite_agg_seek(agg, S64_MIN, SEEK_CUR), -EINVAL);
		KUNIT_EXPECT_EQ(test, append(t, agg, 0, 0, 0), -EINVAL);
		KUNIT_EXPECT_EQ(test, append(t, agg, 0, BUF_BYTES, 1), -EINVAL);
		KUNIT_EXPECT_EQ(test, append(t, agg, 0, 1, BUF_BYTES), -EINVAL);
		KUNIT_EXPECT_EQ(test, append(t, agg, 0, 1, U32_MAX), -EINVAL);
		KUNIT_EXPECT_EQ(test, append(t, agg, 0, U32_MAX, 1), -EINVAL);
		KUNIT_EXPECT_EQ(test, agg->nr, nr);
		KUNIT_EXPECT_EQ(test, agg->cursor, 0);
		KUNIT_EXPECT_EQ(test, other->nr, 0);
	}
}

/* Doubles @agg by adding it to itself. */
static void grow(struct kunit *test, struct iolite_agg *agg, unsigned int times)
{
	while (times--)
		KUNIT_ASSERT_EQ(test, iolite_agg_concat(agg, agg), 0);
}

static void slices_are_limited(struct kunit *test)
{
	struct agg_test *t = test->priv;
	struct iolite_agg *agg = &t->models[0].agg, *one = &t->models[1].agg;

	fill(test, one, 1);
	fill(test, agg, 16);
	grow(test, agg, 16);
	KUNIT_ASSERT_EQ(test, agg->nr, IOLITE_AGG_MAX_SLICES);
	KUNIT_EXPECT_EQ(test, append(t, agg, 0, 0, 1), -E2BIG);
	KUNIT_EXPECT_EQ(test, iolite_agg_concat(agg, one), -E2BIG);
	KUNIT_EXPECT_EQ(test, iolite_agg_prepend(agg, one), -E2BIG);
	KUNIT_EXPECT_EQ(test, iolite_agg_replace(agg, 100, 0, one), -E2BIG);
	KUNIT_EXPECT_EQ(test, iolite_agg_concat(agg, agg), -E2BIG);
	/* No new slice is needed for these. */
	KUNIT_EXPECT_EQ(test, append(t, agg, 15 % NR_BUFS, 16, 5), 0);
	KUNIT_EXPECT_EQ(test, iolite_agg_replace(agg, 100, 1, one), 0);
	KUNIT_EXPECT_EQ(test, agg->nr, IOLITE_AGG_MAX_SLICES);
	KUNIT_EXPECT_EQ(test, agg->len, IOLITE_AGG_MAX_SLICES + 5);
}

static void bytes_are_limited(struct kunit *test)
{
	struct agg_test *t = test->priv;
	struct iolite_agg *agg = &t->models[0].agg, *part = &t->models[1].agg;
	u64 len;

	KUNIT_ASSERT_EQ(test, append(t, agg, 0, 0, BUF_BYTES), 0);
	grow(test, agg, 18);
	len = agg->len;
	KUNIT_EXPECT_EQ(test, iolite_agg_concat(agg, agg), -E2BIG);
	KUNIT_EXPECT_EQ(test, iolite_agg_prepend(agg, agg), -E2BIG);
	KUNIT_EXPECT_EQ(test, iolite_agg_replace(agg, len / 2, 1, agg), -E2BIG);
	KUNIT_EXPECT_EQ(test, agg->len, len);
	iolite_agg_dup(agg, part);
	KUNIT_ASSERT_EQ(test, iolite_agg_truncate(part, IOLITE_AGG_MAX_BYTES - len), 0);
	KUNIT_EXPECT_EQ(test, iolite_agg_concat(agg, part), 0);
	KUNIT_EXPECT_EQ(test, agg->len, IOLITE_AGG_MAX_BYTES);
	KUNIT_EXPECT_EQ(test, append(t, agg, 1, 0, 1), -E2BIG);
	KUNIT_EXPECT_EQ(test, iolite_agg_seek(agg, 0, SEEK_END), IOLITE_AGG_MAX_BYTES);
}

struct cost {
	unsigned int dup;
	unsigned int concat;
	unsigned int split;
};

/* Allocations that operations on an aggregate of @nr slices need at most */
static struct cost cost_at(struct kunit *test, u32 nr)
{
	struct agg_test *t = test->priv;
	struct iolite_agg *agg = &t->models[0].agg, *copy = &t->models[1].agg;
	struct iolite_agg *tail = &t->models[2].agg;
	struct cost cost = { };
	int i;

	iolite_agg_destroy(agg);
	fill(test, agg, nr);
	check_shape(test, agg);
	for (i = 0; i < 200; i++) {
		t->allocs = 0;
		iolite_agg_dup(agg, copy);
		cost.dup = max(cost.dup, t->allocs);
		t->allocs = 0;
		KUNIT_ASSERT_EQ(test, iolite_agg_split(copy, rnd_below(t, nr), tail), 0);
		cost.split = max(cost.split, t->allocs);
		t->allocs = 0;
		KUNIT_ASSERT_EQ(test, iolite_agg_concat(tail, copy), 0);
		cost.concat = max(cost.concat, t->allocs);
		KUNIT_EXPECT_EQ(test, tail->nr, nr);
		if (i % 50 == 0)
			check_shape(test, tail);
		iolite_agg_destroy(copy);
		iolite_agg_destroy(tail);
	}
	kunit_info(test, "%u slices: nodes for dup %u, concat %u, split %u\n", nr,
		   cost.dup, cost.concat, cost.split);
	return cost;
}

static void costs_do_not_grow_with_slices(struct kunit *test)
{
	struct agg_test *t = test->priv;
	struct cost few, many;

	t->allocs = 0;
	few = cost_at(test, 16);
	many = cost_at(test, MANY_SLICES);
	KUNIT_EXPECT_EQ(test, many.dup, 0);
	KUNIT_EXPECT_LE(test, many.concat, 4 * few.concat);
	KUNIT_EXPECT_LE(test, many.split, 4 * few.split);
}

static void appending_copies_nothing_of_its_own(struct kunit *test)
{
	struct agg_test *t = test->priv;
	struct iolite_agg *agg = &t->models[0].agg, *copy = &t->models[1].agg;

	fill(test, agg, MANY_SLICES);
	/* Nodes that are left behind are 11 of 15 full. */
	KUNIT_EXPECT_LE(test, t->allocs, MANY_SLICES / 10 + IOLITE_AGG_MAX_DEPTH);

	/* What is shared is copied once, on the way to the last slice. */
	iolite_agg_dup(agg, copy);
	t->allocs = 0;
	KUNIT_EXPECT_EQ(test, append(t, agg, 0, 0, 1), 0);
	KUNIT_EXPECT_LE(test, t->allocs, 2 * IOLITE_AGG_MAX_DEPTH);
	t->allocs = 0;
	KUNIT_EXPECT_EQ(test, append(t, agg, 1, 0, 1), 0);
	KUNIT_EXPECT_LE(test, t->allocs, 1);
	KUNIT_EXPECT_EQ(test, copy->nr, MANY_SLICES);
	check_shape(test, copy);
	check_shape(test, agg);
}

static struct kunit_case agg_test_cases[] = {
	KUNIT_CASE(random_operations_do_what_they_do_to_bytes),
	KUNIT_CASE(operations_without_memory_change_nothing),
	KUNIT_CASE(each_allocation_may_fail),
	KUNIT_CASE(trees_can_be_split_anywhere),
	KUNIT_CASE(small_aggregates_allocate_nothing),
	KUNIT_CASE(contiguous_slices_become_one),
	KUNIT_CASE(bvecs_join_what_lies_together),
	KUNIT_CASE(positions_outside_are_refused),
	KUNIT_CASE(slices_are_limited),
	KUNIT_CASE(bytes_are_limited),
	KUNIT_CASE(costs_do_not_grow_with_slices),
	KUNIT_CASE(appending_copies_nothing_of_its_own),
	{ }
};

static struct kunit_suite agg_test_suite = {
	.name = "iolite_agg",
	.init = agg_test_init,
	.exit = agg_test_exit,
	.test_cases = agg_test_cases,
};

kunit_test_suite(agg_test_suite);

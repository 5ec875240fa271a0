// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of sealing: what cannot be reached from user space everywhere.
 */
#include <kunit/test.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/iolite.h>
#include <linux/iolite_cow.h>
#include <linux/mm.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>

struct cow_test {
	struct file *file;
	struct folio *held;	/* sealed, of page 0 */
};

static int cow_test_init(struct kunit *test)
{
	struct cow_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->file = shmem_file_setup("iolite_cow_test", PAGE_SIZE, EMPTY_VMA_FLAGS);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->file));
	/* as if it were of a mounted tmpfs */
	mapping_set_iolite(t->file->f_mapping);
	t->held = shmem_read_folio(t->file->f_mapping, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->held));
	folio_fill_tail(t->held, 0, "sealed", 7);
	/* A batch on its way to the LRU would hold it, too. */
	lru_add_drain_all();
	KUNIT_ASSERT_EQ(test, iolite_seal_folio(t->held, false), 0);
	test->priv = t;
	return 0;
}

static void cow_test_exit(struct kunit *test)
{
	struct cow_test *t = test->priv;

	if (!t)
		return;
	if (t->held)
		folio_put(t->held);
	fput(t->file);
}

/* A device may write to what is pinned: never to what is sealed (I1) */
static void pinning_for_a_device_gives_another_folio(struct kunit *test)
{
	struct cow_test *t = test->priv;
	struct folio *pinned;
	pgoff_t offset;

	KUNIT_ASSERT_EQ(test, memfd_pin_folios(t->file, 0, PAGE_SIZE - 1, &pinned, 1, &offset), 1);
	KUNIT_EXPECT_PTR_NE(test, pinned, t->held);
	KUNIT_EXPECT_FALSE(test, folio_test_sealed(pinned));
	KUNIT_EXPECT_TRUE(test, folio_test_sealed(t->held));
	KUNIT_EXPECT_MEMEQ(test, folio_address(pinned), folio_address(t->held), PAGE_SIZE);
	/* and while it is pinned, it is copied instead of sealed */
	KUNIT_EXPECT_GT(test, iolite_seal_folio(pinned, false), 0);
	unpin_folios(&pinned, 1);
	folio_get(pinned);
	KUNIT_EXPECT_EQ(test, iolite_seal_folio(pinned, false), 0);
	folio_put(pinned);
}

static void folio_that_nobody_holds_is_pinned_as_it_is(struct kunit *test)
{
	struct cow_test *t = test->priv;
	struct folio *pinned, *held = t->held;
	pgoff_t offset;

	folio_put(held);
	t->held = NULL;
	KUNIT_ASSERT_EQ(test, memfd_pin_folios(t->file, 0, PAGE_SIZE - 1, &pinned, 1, &offset), 1);
	KUNIT_EXPECT_PTR_EQ(test, pinned, held);
	KUNIT_EXPECT_FALSE(test, folio_test_sealed(pinned));
	unpin_folios(&pinned, 1);
}

static void held_folio_is_replaced_and_lives_on(struct kunit *test)
{
	struct cow_test *t = test->priv;
	struct folio *folio;

	folio_get(t->held);
	folio_lock(t->held);
	folio = iolite_write_folio(t->held, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	KUNIT_EXPECT_PTR_NE(test, folio, t->held);
	KUNIT_EXPECT_TRUE(test, folio_test_locked(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_locked(t->held));
	KUNIT_EXPECT_NULL(test, t->held->mapping);
	memset(folio_address(folio), 'x', PAGE_SIZE);
	KUNIT_EXPECT_STREQ(test, (char *)folio_address(t->held), "sealed");
	folio_unlock(folio);
	folio_put(folio);
}

static void writer_that_may_not_sleep_is_sent_away(struct kunit *test)
{
	struct cow_test *t = test->priv;

	folio_get(t->held);
	folio_lock(t->held);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(iolite_write_folio(t->held, true)), -EAGAIN);
	KUNIT_EXPECT_FALSE(test, folio_test_locked(t->held));
	KUNIT_EXPECT_TRUE(test, folio_test_sealed(t->held));
}

/* Coda's files are mapped from those that they are stored in, which others write to. */
static void file_that_maps_another_is_not_shared(struct kunit *test)
{
	struct cow_test *t = test->priv;
	struct address_space *own;
	struct kiocb kiocb;
	struct bio_vec bvec;
	struct file *file;
	unsigned int nr;

	file = shmem_file_setup("iolite_cow_test", PAGE_SIZE, EMPTY_VMA_FLAGS);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	own = file->f_mapping;
	file->f_mapping = t->file->f_mapping;
	init_sync_kiocb(&kiocb, file);
	KUNIT_EXPECT_EQ(test, iolite_gather(&kiocb, PAGE_SIZE, &bvec, 1, &nr), -ENOTBLK);
	KUNIT_EXPECT_EQ(test, nr, 0);
	file->f_mapping = own;
	fput(file);
}

static struct kunit_case cow_test_cases[] = {
	KUNIT_CASE(pinning_for_a_device_gives_another_folio),
	KUNIT_CASE(folio_that_nobody_holds_is_pinned_as_it_is),
	KUNIT_CASE(held_folio_is_replaced_and_lives_on),
	KUNIT_CASE(writer_that_may_not_sleep_is_sent_away),
	KUNIT_CASE(file_that_maps_another_is_not_shared),
	{ }
};

static struct kunit_suite cow_test_suite = {
	.name = "iolite_cow",
	.init = cow_test_init,
	.exit = cow_test_exit,
	.test_cases = cow_test_cases,
};

kunit_test_suite(cow_test_suite);

// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of writing by reference: a write that fails takes its chunk out of the
 * page cache again (I9), but nothing that was written. A file system of the test's own
 * fails where it is told to.
 */
#include <kunit/test.h>
#include <linux/backing-dev.h>
#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/iolite.h>
#include <linux/iolite_write.h>
#include <linux/pagemap.h>
#include <linux/sched/user.h>
#include <linux/uio.h>

struct write_test {
	struct super_block	sb;
	struct inode		inode;
	struct file		file;
	struct backing_dev_info	*bdi;
	struct iolite_pool	*pool;
	struct iolite_agg	agg;	/* two chunks of a page, if not said otherwise */
	int			ret[2];	/* what writing them comes to */
	bool			late;	/* what fails does when the page was written */
	int			flags;	/* IOCB_* */
	int			written_back;
};

static struct file_system_type write_test_type = { .name = "iolite_write_test" };

static int write_test_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	struct write_test *t = container_of(mapping->host, struct write_test, inode);
	struct folio *folio = filemap_lock_folio(mapping, 0);

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	folio_clear_dirty(folio);
	folio_unlock(folio);
	folio_put(folio);
	t->written_back++;
	return 0;
}

static const struct address_space_operations write_test_aops = {
	.writepages	= write_test_writepages,
	.dirty_folio	= noop_dirty_folio,
	.migrate_folio	= filemap_migrate_folio,
};

static const struct address_space_operations write_test_buffer_aops = {
	.dirty_folio	  = noop_dirty_folio,
	.invalidate_folio = block_invalidate_folio,
	.migrate_folio	  = buffer_migrate_folio,
};

static ssize_t write_agg(struct write_test *t)
{
	struct kiocb kiocb = { .ki_filp = &t->file, .ki_flags = t->flags };
	struct bio_vec bvecs[2];
	struct iov_iter iter;
	size_t bytes;
	unsigned int nr;

	nr = iolite_agg_bvecs(&t->agg, 0, t->agg.len, bvecs, 2, &bytes);
	iov_iter_bvec(&iter, ITER_SOURCE, bvecs, nr, bytes);
	return iolite_write_iter(&kiocb, &iter, &t->agg, 0);
}

static int write_page(struct kiocb *iocb, struct iov_iter *iter, unsigned int index)
{
	struct write_test *t = container_of(iocb->ki_filp, struct write_test, file);
	int ret = t->ret[index], copied;
	struct folio *folio;

	folio = __filemap_get_folio(iocb->ki_filp->f_mapping, index,
				    FGP_WRITEBEGIN | fgf_set_order(iov_iter_count(iter)),
				    GFP_KERNEL);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	if (!ret || t->late) {
		copied = copy_folio_from_iter_atomic(folio, 0, PAGE_SIZE, iter);
		if (folio->mapping->a_ops == &write_test_buffer_aops)
			create_empty_buffers(folio, PAGE_SIZE, BIT(BH_Uptodate) | BIT(BH_Dirty));
		folio_mark_dirty(folio);
		/* for who writes back */
		if (folio_test_large(folio))
			xa_set_mark(&iocb->ki_filp->f_mapping->i_pages, 0, PAGECACHE_TAG_DIRTY);
		ret = ret ?: copied;
	}
	folio_unlock(folio);
	folio_put(folio);
	return ret;
}

static ssize_t write_test_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	ssize_t written = 0;
	unsigned int index;

	for (index = 0; index < 2; index++) {
		int ret = write_page(iocb, iter, index);

		if (ret < 0) {
			iolite_write_failed(written);
			return written ?: ret;
		}
		written += ret;
	}
	return written;
}

static const struct file_operations write_test_fops = { .write_iter = write_test_write_iter };

/* The aggregate becomes @len bytes in chunks of @pool. */
static void fill(struct kunit *test, struct iolite_pool *pool, size_t len)
{
	struct write_test *t = test->priv;
	struct kvec bytes = { kunit_kzalloc(test, len, GFP_KERNEL), len };
	struct iov_iter iter;

	KUNIT_ASSERT_NOT_NULL(test, bytes.iov_base);
	memset(bytes.iov_base, 'x', len);
	iov_iter_kvec(&iter, ITER_SOURCE, &bytes, 1, len);
	KUNIT_ASSERT_EQ(test, iolite_pool_copy_in(pool, &iter, &t->agg), 0);
}

static int write_test_init(struct kunit *test)
{
	struct write_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct address_space *mapping;

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->bdi = bdi_alloc(NUMA_NO_NODE);
	KUNIT_ASSERT_NOT_NULL(test, t->bdi);
	test->priv = t;
	t->sb.s_type = &write_test_type;
	t->sb.s_bdi = t->bdi;
	t->sb.s_blocksize_bits = PAGE_SHIFT;
	inode_init_once(&t->inode);
	KUNIT_ASSERT_EQ(test, inode_init_always(&t->sb, &t->inode), 0);
#ifdef CONFIG_CGROUP_WRITEBACK
	t->inode.i_wb = &t->bdi->wb;
#endif
	mapping = t->inode.i_mapping;
	mapping->a_ops = &write_test_aops;
	mapping_set_iolite(mapping);
	t->file.f_op = &write_test_fops;
	t->file.f_inode = &t->inode;
	t->file.f_mapping = mapping;

	iolite_agg_init(&t->agg);
	KUNIT_ASSERT_EQ(test, 0,
			iolite_pool_create(current_user(), IOLITE_POOL_PAGES, 0, &t->pool));
	fill(test, t->pool, 2 * PAGE_SIZE);
	return 0;
}

static struct folio *cached(struct write_test *t, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(t->inode.i_mapping, index);

	if (IS_ERR(folio))
		return NULL;
	folio_put(folio);
	return folio;
}

static void write_test_exit(struct kunit *test)
{
	struct write_test *t = test->priv;
	pgoff_t index;

	if (!t)
		return;
	/* they were not accounted as dirty */
	for (index = 0; index < 2; index++)
		if (cached(t, index))
			folio_clear_dirty(cached(t, index));
	truncate_inode_pages(t->inode.i_mapping, 0);
	iolite_agg_destroy(&t->agg);
	if (t->pool)
		iolite_pool_put(t->pool);
#ifdef CONFIG_CGROUP_WRITEBACK
	t->inode.i_wb = NULL;
#endif
	__destroy_inode(&t->inode);
	bdi_put(t->bdi);
}

static bool is_dirty_and_sealed(struct write_test *t, pgoff_t index)
{
	struct folio *folio = cached(t, index);

	return folio && folio_test_dirty(folio) && folio_test_sealed(folio);
}

static void chunk_of_a_failed_write_leaves_the_cache(struct kunit *test)
{
	struct write_test *t = test->priv;

	t->ret[0] = -ENOSPC;
	KUNIT_EXPECT_EQ(test, write_agg(t), -ENOSPC);
	KUNIT_EXPECT_NULL(test, cached(t, 0));
	KUNIT_EXPECT_NULL(test, cached(t, 1));
}

static void what_was_written_before_stays(struct kunit *test)
{
	struct write_test *t = test->priv;

	t->ret[1] = -ENOSPC;
	KUNIT_EXPECT_EQ(test, write_agg(t), PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, is_dirty_and_sealed(t, 0));
	KUNIT_EXPECT_NULL(test, cached(t, 1));
}

/* The file system's failure comes before it looks for the second page */
static void also_if_no_chunk_was_taken(struct kunit *test)
{
	struct write_test *t = test->priv;
	struct folio *busy;

	busy = filemap_alloc_folio(GFP_KERNEL, 0, NULL);
	KUNIT_ASSERT_NOT_NULL(test, busy);
	KUNIT_ASSERT_EQ(test, 0, filemap_add_folio(t->inode.i_mapping, busy, 1, GFP_KERNEL));
	folio_unlock(busy);
	folio_put(busy);
	t->ret[1] = -ENOSPC;
	KUNIT_EXPECT_EQ(test, write_agg(t), PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, is_dirty_and_sealed(t, 0));
	KUNIT_EXPECT_PTR_EQ(test, cached(t, 1), busy);
	KUNIT_EXPECT_FALSE(test, folio_test_sealed(busy));
}

/* As what ext4 fails with when it has told the journal */
static void what_fails_when_it_was_written_stays(struct kunit *test)
{
	struct write_test *t = test->priv;

	t->inode.i_mapping->a_ops = &write_test_buffer_aops;
	t->late = true;
	t->ret[0] = -EIO;
	KUNIT_EXPECT_EQ(test, write_agg(t), -EIO);
	KUNIT_EXPECT_TRUE(test, is_dirty_and_sealed(t, 0));
}

static void nor_does_one_stay_that_had_to_sleep(struct kunit *test)
{
	struct write_test *t = test->priv;

	t->flags = IOCB_NOWAIT;
	t->ret[0] = -EAGAIN;
	KUNIT_EXPECT_EQ(test, write_agg(t), -EAGAIN);
	KUNIT_EXPECT_NULL(test, cached(t, 0));
	t->ret[0] = 0;
	KUNIT_EXPECT_EQ(test, write_agg(t), 2 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, cached(t, 0));
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(cached(t, 0)));
}

/* What is not on the device yet is not taken away by a write of the same that fails */
static void nor_is_an_earlier_write_lost(struct kunit *test)
{
	struct write_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, write_agg(t), 2 * PAGE_SIZE);
	t->ret[0] = -ENOSPC;
	KUNIT_EXPECT_EQ(test, write_agg(t), -ENOSPC);
	KUNIT_EXPECT_TRUE(test, is_dirty_and_sealed(t, 0));
	KUNIT_EXPECT_TRUE(test, is_dirty_and_sealed(t, 1));
	/* when it is on the device, there is nothing to take back */
	folio_clear_dirty(cached(t, 0));
	KUNIT_EXPECT_EQ(test, write_agg(t), -ENOSPC);
	KUNIT_EXPECT_NOT_NULL(test, cached(t, 0));
}

/* As on XFS, if what it knows of the blocks is out of date once it has the folio */
static void part_of_a_chunk_is_written_back_and_the_rest_goes(struct kunit *test)
{
	struct write_test *t = test->priv;
	struct iolite_pool *pool;

	mapping_set_large_folios(t->inode.i_mapping);
	iolite_agg_destroy(&t->agg);
	iolite_agg_init(&t->agg);
	KUNIT_ASSERT_EQ(test, iolite_pool_create(current_user(), 0, 0, &pool), 0);
	fill(test, pool, 4 * PAGE_SIZE);
	iolite_pool_put(pool);
	t->ret[1] = -ENOSPC;
	KUNIT_EXPECT_EQ(test, write_agg(t), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, t->written_back, 1);
	KUNIT_EXPECT_NULL(test, cached(t, 0));
}

static struct kunit_case write_test_cases[] = {
	KUNIT_CASE(chunk_of_a_failed_write_leaves_the_cache),
	KUNIT_CASE(what_was_written_before_stays),
	KUNIT_CASE(also_if_no_chunk_was_taken),
	KUNIT_CASE(what_fails_when_it_was_written_stays),
	KUNIT_CASE(nor_does_one_stay_that_had_to_sleep),
	KUNIT_CASE(nor_is_an_earlier_write_lost),
	KUNIT_CASE(part_of_a_chunk_is_written_back_and_the_rest_goes),
	{ }
};

static struct kunit_suite write_test_suite = {
	.name = "iolite_write",
	.init = write_test_init,
	.exit = write_test_exit,
	.test_cases = write_test_cases,
};

kunit_test_suite(write_test_suite);

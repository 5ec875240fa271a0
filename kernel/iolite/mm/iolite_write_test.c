// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of writing by reference: a write that fails, and another one of the
 * same aggregate that comes before the first has taken its chunk out of the page
 * cache again. A file system of the test's own lets it come there.
 */
#include <kunit/test.h>
#include <linux/backing-dev.h>
#include <linux/fs.h>
#include <linux/iolite.h>
#include <linux/iolite_cow.h>
#include <linux/pagemap.h>
#include <linux/sched/user.h>
#include <linux/uio.h>

struct write_test {
	struct super_block	sb;
	struct inode		inode;
	struct file		file;
	struct backing_dev_info	*bdi;
	struct iolite_pool	*pool;
	struct iolite_agg	agg;	/* one page */
	int			ret[2];	/* what writes come to, the inner one's second */
	int			depth;
	bool			nested;
	ssize_t			inner;
};

static struct file_system_type write_test_type = { .name = "iolite_write_test" };

static const struct address_space_operations write_test_aops = {
	.dirty_folio	= noop_dirty_folio,
	.migrate_folio	= filemap_migrate_folio,
};

static ssize_t write_agg(struct write_test *t)
{
	struct kiocb kiocb = { .ki_filp = &t->file };
	struct bio_vec bvec;
	struct iov_iter iter;
	size_t bytes;
	unsigned int nr;

	nr = iolite_agg_bvecs(&t->agg, 0, PAGE_SIZE, &bvec, 1, &bytes);
	iov_iter_bvec(&iter, ITER_SOURCE, &bvec, nr, bytes);
	return iolite_write_iter(&kiocb, &iter, &t->agg, 0);
}

/* Another task's write, by this one */
static void write_inner(struct write_test *t)
{
	struct iolite_write *outer = current->iolite_write;

	current->iolite_write = NULL;
	t->nested = false;
	t->depth++;
	t->inner = write_agg(t);
	t->depth--;
	current->iolite_write = outer;
}

static ssize_t write_test_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct write_test *t = container_of(iocb->ki_filp, struct write_test, file);
	int ret = t->ret[t->depth];
	struct folio *folio;

	folio = __filemap_get_folio(iocb->ki_filp->f_mapping, 0,
				    FGP_WRITEBEGIN | fgf_set_order(PAGE_SIZE), GFP_KERNEL);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	if (!ret) {
		ret = copy_folio_from_iter_atomic(folio, 0, PAGE_SIZE, iter);
		iocb->ki_pos += ret;
		folio_mark_dirty(folio);
	}
	folio_unlock(folio);
	folio_put(folio);
	/* and nothing is locked */
	if (t->nested)
		write_inner(t);
	return ret;
}

static const struct file_operations write_test_fops = { .write_iter = write_test_write_iter };

static int write_test_init(struct kunit *test)
{
	struct write_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct address_space *mapping;
	struct kvec page;
	struct iov_iter iter;

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
	page.iov_base = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	page.iov_len = PAGE_SIZE;
	KUNIT_ASSERT_NOT_NULL(test, page.iov_base);
	memset(page.iov_base, 'x', PAGE_SIZE);
	iov_iter_kvec(&iter, ITER_SOURCE, &page, 1, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, iolite_pool_copy_in(t->pool, &iter, &t->agg), 0);
	return 0;
}

static struct folio *cached(struct write_test *t)
{
	struct folio *folio = filemap_get_folio(t->inode.i_mapping, 0);

	if (IS_ERR(folio))
		return NULL;
	folio_put(folio);
	return folio;
}

static void write_test_exit(struct kunit *test)
{
	struct write_test *t = test->priv;

	if (!t)
		return;
	/* it was not accounted as dirty */
	if (cached(t))
		folio_clear_dirty(cached(t));
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

static void chunk_of_a_failed_write_leaves_the_cache(struct kunit *test)
{
	struct write_test *t = test->priv;

	t->ret[0] = -ENOSPC;
	KUNIT_EXPECT_EQ(test, write_agg(t), -ENOSPC);
	KUNIT_EXPECT_NULL(test, cached(t));
}

static void not_from_under_a_later_write(struct kunit *test)
{
	struct write_test *t = test->priv;
	struct folio *folio;

	t->ret[0] = -ENOSPC;
	t->nested = true;
	KUNIT_EXPECT_EQ(test, write_agg(t), -ENOSPC);
	KUNIT_EXPECT_EQ(test, t->inner, PAGE_SIZE);
	folio = cached(t);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_sealed(folio));
}

static void nor_from_under_an_earlier_one(struct kunit *test)
{
	struct write_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, write_agg(t), PAGE_SIZE);
	t->ret[0] = -ENOSPC;
	KUNIT_EXPECT_EQ(test, write_agg(t), -ENOSPC);
	KUNIT_ASSERT_NOT_NULL(test, cached(t));
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(cached(t)));
}

static void last_one_to_fail_takes_it_out(struct kunit *test)
{
	struct write_test *t = test->priv;

	t->ret[0] = -ENOSPC;
	t->ret[1] = -EDQUOT;
	t->nested = true;
	KUNIT_EXPECT_EQ(test, write_agg(t), -ENOSPC);
	KUNIT_EXPECT_EQ(test, t->inner, -EDQUOT);
	KUNIT_EXPECT_NULL(test, cached(t));
}

static struct kunit_case write_test_cases[] = {
	KUNIT_CASE(chunk_of_a_failed_write_leaves_the_cache),
	KUNIT_CASE(not_from_under_a_later_write),
	KUNIT_CASE(nor_from_under_an_earlier_one),
	KUNIT_CASE(last_one_to_fail_takes_it_out),
	{ }
};

static struct kunit_suite write_test_suite = {
	.name = "iolite_write",
	.init = write_test_init,
	.exit = write_test_exit,
	.test_cases = write_test_cases,
};

kunit_test_suite(write_test_suite);

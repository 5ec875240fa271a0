// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: writing aggregates by reference to holes of tmpfs.
 *
 * Files of tmpfs are mostly of single pages. What generic_perform_write() and
 * shmem_get_folio() do for each is most of such a write, as nothing is copied. Where
 * nothing is cached or swapped out, chunks go into the page cache many at a time
 * instead, and nobody has to wait for anything but memory. The rest of a write is
 * left to generic_perform_write().
 */
#include <linux/folio_batch.h>
#include <linux/fs.h>
#include <linux/iolite_write.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/uio.h>
#include <linux/vmstat.h>
#include <linux/xarray.h>

#include "internal.h"
#include "iolite.h"

/* Do the same counters count both? Charged to one obj_cgroup, they belong to one cgroup. */
static bool iolite_count_together(const struct folio *a, const struct folio *b)
{
#ifdef CONFIG_MEMCG
	if (a->memcg_data != b->memcg_data)
		return false;
#endif
	return folio_pgdat(a) == folio_pgdat(b);
}

/* Pages from @first on are cached, all of them counted like @first. */
static void iolite_count_cached(struct folio *first, long nr)
{
	lruvec_stat_mod_folio(first, NR_FILE_PAGES, nr);
	lruvec_stat_mod_folio(first, NR_SHMEM, nr);
}

/* As shmem_alloc_and_add_folio() has them before they are added; how many, from the first */
static unsigned int iolite_shmem_charge(struct address_space *mapping, pgoff_t index,
					struct folio_batch *fbatch, gfp_t gfp)
{
	unsigned int i;

	for (i = 0; i < folio_batch_count(fbatch); i++) {
		struct folio *folio = fbatch->folios[i];

		if (mem_cgroup_charge(folio, NULL, gfp))
			break;
		__folio_set_locked(folio);
		__folio_set_swapbacked(folio);
		folio_ref_add(folio, folio_nr_pages(folio));
		folio->mapping = mapping;
		folio->index = index;
		index += folio_nr_pages(folio);
		folio_set_referenced(folio);
		/* as noop_dirty_folio() */
		folio_set_dirty(folio);
		flush_dcache_folio(folio);
	}
	return i;
}

/* As shmem_add_to_page_cache(): the first @nr of the batch; how many, from the first */
static unsigned int iolite_shmem_add(struct address_space *mapping, struct folio_batch *fbatch,
				     unsigned int nr, gfp_t gfp)
{
	XA_STATE(xas, &mapping->i_pages, 0);
	struct folio *folio, *first;
	unsigned int i = 0;
	long pages;

	do {
		first = NULL;
		pages = 0;
		xas_lock_irq(&xas);
		for (; i < nr; i++) {
			folio = fbatch->folios[i];
			xas_set_order(&xas, folio->index, folio_order(folio));
			/* A fault may have been here before. */
			if (folio_test_large(folio) ? xas_find_conflict(&xas) : xas_load(&xas))
				xas_set_err(&xas, -EEXIST);
			else
				xas_store(&xas, folio);
			if (xas_error(&xas))
				break;
			mapping->nrpages += folio_nr_pages(folio);
			if (first && !iolite_count_together(first, folio)) {
				iolite_count_cached(first, pages);
				pages = 0;
			}
			if (!pages)
				first = folio;
			pages += folio_nr_pages(folio);
			if (folio_test_pmd_mappable(folio))
				lruvec_stat_mod_folio(folio, NR_SHMEM_THPS, folio_nr_pages(folio));
		}
		if (pages)
			iolite_count_cached(first, pages);
		xas_unlock_irq(&xas);
	} while (xas_nomem(&xas, gfp));

	return i;
}

/*
 * Moves what of the batch can be had into the page cache. How many bytes, from the first
 * on. The rest stays with its buffers, and is given away: it is copied from there.
 */
static size_t iolite_shmem_fill_some(struct inode *inode, loff_t pos, struct folio_batch *fbatch,
				     gfp_t gfp)
{
	struct address_space *mapping = inode->i_mapping;
	unsigned int charged, added, i;
	struct folio *folio;
	size_t bytes = 0;

	charged = iolite_shmem_charge(mapping, pos >> PAGE_SHIFT, fbatch, gfp);
	if (charged)
		folio_throttle_swaprate(fbatch->folios[0], gfp);
	added = iolite_shmem_add(mapping, fbatch, charged, gfp);
	for (i = 0; i < added; i++)
		bytes += folio_size(fbatch->folios[i]);
	if (bytes && pos + bytes > inode->i_size)
		i_size_write(inode, pos + bytes);

	for (i = 0; i < folio_batch_count(fbatch); i++) {
		folio = fbatch->folios[i];
		if (i < added) {
			if (folio_test_pmd_mappable(folio))
				count_vm_event(THP_FILE_ALLOC);
			count_mthp_stat(folio_order(folio), MTHP_STAT_SHMEM_ALLOC);
			folio_add_lru(folio);
		} else if (i < charged) {
			folio->mapping = NULL;
			folio_ref_sub(folio, folio_nr_pages(folio));
		}
		if (i < charged)
			folio_unlock(folio);
		folio_put(folio);
	}
	return bytes;
}

/* Fills the hole that a write begins with; how many bytes, by which @iocb and @from advance */
static size_t iolite_shmem_fill(struct kiocb *iocb, struct iov_iter *from)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	struct inode *inode = mapping->host;
	pgoff_t index = iocb->ki_pos >> PAGE_SHIFT;
	gfp_t gfp = mapping_gfp_mask(mapping) & GFP_RECLAIM_MASK;
	loff_t end = iocb->ki_pos + iov_iter_count(from);
	pgoff_t hole_end = end >> PAGE_SHIFT;
	unsigned long orders, pages, cached = index;
	struct folio_batch fbatch;
	size_t bytes, done = 0;
	unsigned int order;

	if (!PAGE_ALIGNED(iocb->ki_pos) || hole_end == index)
		return 0;
	/* Of a file on its way to another kernel; mounts have no files with other seals. */
	if (SHMEM_I(inode)->flags & SHMEM_F_MAPPING_FROZEN ||
	    SHMEM_I(inode)->seals & ~F_SEAL_SEAL)
		return 0;
	if (xa_find(&mapping->i_pages, &cached, hole_end - 1, XA_PRESENT))
		hole_end = cached;
	orders = shmem_allowable_huge_orders(inode, NULL, index, end, false);
	order = orders ? highest_order(orders) : 0;

	/* Those that are not needed are given back by shmem_recalc_inode(). */
	pages = hole_end - index;
	if (!pages || !iolite_has_source(mapping, index, order) ||
	    shmem_inode_acct_blocks(inode, pages))
		return 0;
	do {
		folio_batch_init(&fbatch);
		iolite_take_sources(mapping, iocb->ki_pos >> PAGE_SHIFT, hole_end, order, gfp,
				    &fbatch);
		bytes = iolite_shmem_fill_some(inode, iocb->ki_pos, &fbatch, gfp);
		iolite_written(bytes);
		done += bytes;
		cond_resched();
	} while (bytes && !fatal_signal_pending(current));
	shmem_recalc_inode(inode, pages, 0);
	return done;
}

/**
 * iolite_shmem_write_iter - shmem_file_write_iter() for a task that writes an aggregate
 * @iocb: file and position
 * @from: the aggregate's bytes
 *
 * Return: what ->write_iter() returns.
 */
ssize_t iolite_shmem_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = iocb->ki_filp->f_mapping->host;
	bool nowait = iolite_writes_nowait();
	ssize_t ret, rest;

	if (!nowait)
		inode_lock(inode);
	else if (!inode_trylock(inode))
		return -EAGAIN;
	ret = generic_write_checks(iocb, from);
	if (ret <= 0)
		goto unlock;
	ret = kiocb_modified(iocb);
	if (ret)
		goto unlock;
	ret = iolite_shmem_fill(iocb, from);
	if (!iov_iter_count(from))
		goto unlock;
	/* What was begun is finished under the lock: others append. */
	rest = -EAGAIN;
	if (ret || !nowait) {
		iolite_seal_targets();
		rest = generic_perform_write(iocb, from);
	}
	ret = rest > 0 ? ret + rest : ret ?: rest;
unlock:
	inode_unlock(inode);
	return ret;
}

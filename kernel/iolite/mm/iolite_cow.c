// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: sealing page-cache folios, and copy on write by migration (I1).
 *
 * The flag PG_sealed says that the folio may be held by somebody to whom its
 * bytes were promised not to change.  Rules:
 *
 *  - It goes from clear to set under the folio lock, only while the folio is
 *    uptodate, nobody can store to it through a mapping or by DMA and, where
 *    there is write-back, clean: bytes beyond the end of the file may have been
 *    stored before, and have to be cleared in place by write-back.  A sealed
 *    folio has none, and write-back leaves it alone: what was written by
 *    reference (iolite_write.c) is sealed from the first on, and dirty.
 *  - It goes from set to clear under the folio lock, and only if nobody holds
 *    the folio.  A reader takes its reference first and looks at the flag
 *    then; a writer clears the flag first and looks at the reference count
 *    then.  One of the two sees the other.
 *  - Whoever changes bytes holds the folio lock and has seen the flag clear, or
 *    made it so by iolite_write_folio().  A store through a shared mapping has
 *    seen it clear in the fault that made the mapping writable; while such
 *    mappings exist, nothing of the file is sealed.
 *
 * Lock order: mmap_lock or VMA lock, folio lock, i_mmap_rwsem, page table lock.
 */
#include <linux/backing-dev.h>
#include <linux/iolite.h>
#include <linux/iolite_cow.h>
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "internal.h"

/* The references of the caller, of private data, and of the mapping: those of nobody else */
static __always_inline long iolite_own_refs(const struct folio *folio)
{
	return 1 + folio_test_private(folio) + (folio->mapping ? folio_nr_pages(folio) : 0);
}

/* Does anybody hold the folio besides? It is not mapped. */
static __always_inline bool iolite_folio_held(struct folio *folio, long own)
{
	if (likely(folio_ref_count(folio) <= own))
		return false;
	/* A batch on its way to the LRU, or within it, holds a reference, often this CPU's. */
	lru_add_drain();
	return folio_ref_count(folio) > own;
}

/**
 * iolite_unmap_folio - no page table is to have the folio
 * @folio: locked
 *
 * As for migration: unmap_mapping_folio(), which is for truncation, forgets what
 * userfaultfd has protected.
 *
 * Context: may sleep.
 */
void iolite_unmap_folio(struct folio *folio)
{
	try_to_unmap(folio, TTU_SYNC | TTU_SPLIT_HUGE_PMD | TTU_IGNORE_MLOCK);
	/* That may give up, and then bytes would change. */
	if (folio_mapped(folio))
		unmap_mapping_folio(folio);
}

/*
 * The reference count says who holds the folio only if it is not mapped: fork()
 * and munmap() change it at any time.  No new mapping can come while the folio
 * is locked.
 */
static bool iolite_unmap(struct folio *folio, bool nowait)
{
	if (!folio_mapped(folio))
		return true;
	if (nowait)
		return false;
	iolite_unmap_folio(folio);
	return true;
}

/**
 * iolite_seal_folio - promise that the folio's bytes do not change while held
 * @folio: page-cache folio with a reference of the caller's, not locked by it
 * @nowait: do not sleep
 *
 * The promise holds as long as the caller, or anyone who got a reference from
 * it, keeps its reference.
 *
 * Return: 0, or a positive enum iolite_copy_reason if the folio must be copied
 * instead, or -EAGAIN if it had to sleep, or -EINTR.
 */
int iolite_seal_folio(struct folio *folio, bool nowait)
{
	struct address_space *mapping;
	int ret = 0;

	/* The caller's reference comes first; pairs with iolite_unseal(). */
	smp_mb();
	if (folio_test_sealed(folio))
		return 0;

	if (!folio_trylock(folio)) {
		if (nowait)
			return -EAGAIN;
		ret = folio_lock_killable(folio);
		if (ret)
			return ret;
	}
	mapping = folio->mapping;
	if (folio_test_sealed(folio))
		goto unlock;
	ret = IOLITE_COPY_FS;
	if (mapping && !mapping_iolite(mapping))
		goto unlock;
	ret = IOLITE_COPY_BUSY;
	if (!mapping || !folio_test_uptodate(folio) || folio_contain_hwpoisoned_page(folio))
		goto unlock;
	if ((folio_test_dirty(folio) || folio_test_writeback(folio)) &&
	    mapping_can_writeback(mapping))
		goto unlock;
	/*
	 * From here on faults of new writable mappings look at the flag.  Those
	 * of mappings that did not see AS_IOLITE_SEALED are counted already:
	 * pairs with mapping_set_was_writably_mapped(), behind the increment.
	 */
	if (!mapping_iolite_sealed(mapping))
		set_bit(AS_IOLITE_SEALED, &mapping->flags);
	smp_mb(); /* the flag before the count */
	ret = IOLITE_COPY_MAPPED;
	if (mapping_writably_mapped(mapping))
		goto unlock;
	/* Whoever unmaps has taken its references, or stored, before. */
	smp_rmb();
	ret = IOLITE_COPY_PINNED;
	if (folio_maybe_dma_pinned(folio))
		goto unlock;
	/*
	 * Some writers hold a plain reference (FOLL_GET): network file systems,
	 * of the buffers of their direct reads.  They got it by a mapping.
	 */
	if (mapping_was_writably_mapped(mapping) &&
	    (!iolite_unmap(folio, nowait) || iolite_folio_held(folio, iolite_own_refs(folio))))
		goto unlock;
	folio_set_sealed(folio);
	ret = 0;
unlock:
	folio_unlock(folio);
	return ret;
}

/*
 * Clear the flag if nobody holds the folio; folio locked.  All that most writers pay.
 * Of who holds it already, it is not clear for a moment: those who write in place look
 * at it without the folio lock (iolite_inplace.c).
 */
static __always_inline bool iolite_unseal(struct folio *folio, bool nowait)
{
	long own;

	if (!iolite_unmap(folio, nowait))
		return false;
	own = iolite_own_refs(folio);
	if (iolite_folio_held(folio, own))
		return false;
	folio_clear_sealed(folio);
	/* Pairs with iolite_seal_folio(). */
	smp_mb__after_atomic();
	if (likely(folio_ref_count(folio) <= own)) {
		iolite_stat_add(IOLITE_STAT_UNSEALED_FOLIOS, 1);
		return true;
	}
	/* A reader that saw it clear waits for the folio lock. */
	folio_set_sealed(folio);
	return false;
}

/* A copy mostly counts where the original did, and there is nothing to move. */
static bool iolite_same_stats(struct folio *a, struct folio *b)
{
	bool same;

	rcu_read_lock();
	same = folio_zone(a) == folio_zone(b) && folio_lruvec(a) == folio_lruvec(b);
	rcu_read_unlock();
	return same;
}

static void iolite_cached_stats(struct folio *folio, bool dirty, long nr)
{
	enum node_stat_item thps = NR_FILE_THPS;

	lruvec_stat_mod_folio(folio, NR_FILE_PAGES, nr);
	if (folio_test_swapbacked(folio)) {
		lruvec_stat_mod_folio(folio, NR_SHMEM, nr);
		thps = NR_SHMEM_THPS;
	}
	if (folio_test_pmd_mappable(folio))
		lruvec_stat_mod_folio(folio, thps, nr);
	/* Without write-back (tmpfs) dirty is just "do not drop". */
	if (dirty && !folio_test_swapbacked(folio)) {
		lruvec_stat_mod_folio(folio, NR_FILE_DIRTY, nr);
		zone_stat_mod_folio(folio, NR_ZONE_WRITE_PENDING, nr);
	}
}

/**
 * iolite_migrate_shared - copy a folio and switch the mapping to the copy
 * @mapping: of both
 * @dst: new, locked, not yet in a mapping
 * @src: locked, not under write-back, not mapped by page tables, maybe held by
 *	readers who keep it
 * @src_private: moves to @dst
 *
 * What __migrate_folio() does for MIGRATE_SHARED.  A @dst that is sealed has its
 * contents already, see iolite_write.c.  The reference count of @src
 * is never frozen: its readers take and drop plain references at any moment.
 * The switch is made like that of replace_page_cache_folio(): lookups check the
 * mapping again once they have a reference.
 *
 * @src stays on the LRU, and stays charged to the memory cgroup that had it in
 * its cache until the last reader lets go: an skb pays for bytes, not for folios.
 *
 * Return: 0 or -EHWPOISON.
 */
int iolite_migrate_shared(struct address_space *mapping, struct folio *dst,
			  struct folio *src, void *src_private)
{
	XA_STATE(xas, &mapping->i_pages, src->index);
	long nr = folio_nr_pages(src);
	bool dirty;
	int ret;

	/* memory_failure() has uncharged it, too: what takes its place could not be charged. */
	if (folio_contain_hwpoisoned_page(src))
		return -EHWPOISON;
	if (!folio_test_sealed(dst)) {
		ret = folio_mc_copy(dst, src);
		if (ret)
			return ret;
	}

	mem_cgroup_replace_folio(src, dst);

	dst->index = src->index;
	dst->mapping = mapping;
	folio_ref_add(dst, nr);
	if (folio_test_swapbacked(src))
		__folio_set_swapbacked(dst);
	if (folio_test_referenced(src))
		folio_set_referenced(dst);
	if (folio_test_active(src))
		folio_set_active(dst);
	if (folio_test_workingset(src))
		folio_set_workingset(dst);
	if (folio_test_mappedtodisk(src))
		folio_set_mappedtodisk(dst);
	/* The tag in the mapping stays. */
	dirty = folio_test_clear_dirty(src);
	if (dirty)
		folio_set_dirty(dst);
	/* Of what is dirty, it is counted. */
	if (folio_test_clear_dropbehind(src))
		folio_set_dropbehind(dst);
	if (src_private)
		folio_attach_private(dst, folio_detach_private(src));
	folio_mark_uptodate(dst);

	xas_lock_irq(&xas);
	xas_store(&xas, dst);
	src->mapping = NULL;
	if (!iolite_same_stats(src, dst)) {
		iolite_cached_stats(src, dirty, -nr);
		iolite_cached_stats(dst, dirty, nr);
	}
	xas_unlock_irq(&xas);

	folio_put_refs(src, nr);
	return 0;
}

/*
 * Put a copy of a held folio into its place.  @folio is locked, with the
 * caller's reference; on success the copy is, and @folio is unlocked and put.
 *
 * A copy may not be had of a large folio if memory is fragmented.  Then a clean
 * one just leaves the cache, to be read again: -ESTALE.
 */
static struct folio *iolite_cow(struct folio *folio)
{
	struct address_space *mapping = folio->mapping;
	/* The folio lock is held, so no recursion into the file system. */
	gfp_t gfp = (mapping_gfp_mask(mapping) & ~__GFP_FS) | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;
	int ret = -ENOMEM;
	struct folio *copy;

	/* Of what was written by reference */
	folio_wait_writeback(folio);

	copy = filemap_alloc_folio(gfp, folio_order(folio), NULL);
	if (!copy)
		goto drop;
	__folio_set_locked(copy);

	ret = mapping->a_ops->migrate_folio(mapping, copy, folio, MIGRATE_SHARED);
	if (ret) {
		folio_unlock(copy);
		folio_put(copy);
		goto drop;
	}
	folio_add_lru(copy);
	iolite_stat_add(IOLITE_STAT_COW_FOLIOS, 1);
	iolite_count_copy(IOLITE_COPY_COW, folio_size(copy));

	folio_unlock(folio);
	folio_put(folio);
	return copy;
drop:
	if (!mapping_can_writeback(mapping) || folio_unmap_invalidate(mapping, folio, gfp) < 0)
		return ERR_PTR(ret);
	iolite_stat_add(IOLITE_STAT_DROPPED_FOLIOS, 1);
	return ERR_PTR(-ESTALE);
}

/*
 * Could a folio of which no copy can be had leave the cache, once it is written
 * back? Who is in a transaction must not wait for that.
 */
static bool iolite_can_clean(struct folio *folio)
{
	return folio->mapping && mapping_can_writeback(folio->mapping) &&
	       folio_test_dirty(folio) && !current->journal_info;
}

static noinline struct folio *iolite_replace(struct folio *folio, bool nowait)
{
	struct address_space *mapping = folio->mapping;
	loff_t pos = folio_pos(folio);
	size_t size = folio_size(folio);
	struct folio *copy;
	bool write;

	if (nowait) {
		iolite_stat_add(IOLITE_STAT_COW_AGAIN, 1);
		copy = ERR_PTR(-EAGAIN);
	} else {
		copy = iolite_cow(folio);
	}
	if (IS_ERR(copy)) {
		write = !nowait && iolite_can_clean(folio);
		folio_unlock(folio);
		folio_put(folio);
		if (write && !filemap_write_and_wait_range(mapping, pos, pos + size - 1))
			copy = ERR_PTR(-ESTALE);
	}
	return copy;
}

/**
 * iolite_write_folio - make a sealed page-cache folio's bytes safe to change
 * @folio: locked, with a reference of the caller's
 * @nowait: do not sleep
 *
 * Return: @folio, or the folio that took its place in the mapping, locked and
 * referenced for the caller in @folio's stead; or an ERR_PTR, with @folio
 * unlocked and put: -EAGAIN if it had to sleep, -ESTALE if @folio left the
 * cache and is to be looked up again, -ENOMEM.
 */
struct folio *iolite_write_folio(struct folio *folio, bool nowait)
{
	if (likely(iolite_unseal(folio, nowait)))
		return folio;
	return iolite_replace(folio, nowait);
}

/*
 * For truncation, without memory for a copy: let a dirty folio be written, with
 * its lock free, so that it can leave the cache.
 */
static void iolite_truncate_wait(struct folio *folio)
{
	struct address_space *mapping = folio->mapping;
	loff_t pos = folio_pos(folio);
	bool write = iolite_can_clean(folio);

	if (write) {
		folio_unlock(folio);
		filemap_write_and_wait_range(mapping, pos, pos + folio_size(folio) - 1);
	}
	schedule_timeout_uninterruptible(1);
	if (write)
		folio_lock(folio);
}

/**
 * iolite_write_sealed - iolite_write_folio() for the end of ->write_begin()
 * @foliop: the folio, sealed, and in exchange what took its place
 *
 * Return: 0, or an error with the folio unlocked and put.
 */
int iolite_write_sealed(struct folio **foliop)
{
	struct folio *folio = *foliop;

	if (likely(iolite_unseal(folio, false)))
		return 0;
	folio = iolite_replace(folio, false);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	*foliop = folio;
	return 0;
}

/**
 * iolite_truncate_folio - iolite_write_folio() for callers that cannot fail
 * @folio: locked, with a reference of the caller's
 *
 * Return: @folio or the copy in its place; NULL if @folio left the cache, which
 * memory does not: it was unlocked and put, and the caller has to look again.
 */
struct folio *iolite_truncate_folio(struct folio *folio)
{
	struct folio *copy;

	/* Truncation cannot fail: wait for memory, for write-back, or for the readers. */
	while (folio->mapping && folio_test_sealed(folio) && !iolite_unseal(folio, false)) {
		copy = iolite_cow(folio);
		if (!IS_ERR(copy))
			return copy;
		/* There is no copy of what the hardware has lost, and in memory none else. */
		if (PTR_ERR(copy) == -EHWPOISON && !iolite_can_clean(folio))
			break;
		if (PTR_ERR(copy) != -ESTALE)
			iolite_truncate_wait(folio);
	}
	if (folio->mapping)
		return folio;
	folio_unlock(folio);
	folio_put(folio);
	return NULL;
}

/* A fault found a folio that iolite_write_folio() has made this of: take it again. */
static vm_fault_t iolite_fault_again(struct folio *folio)
{
	if (folio == ERR_PTR(-ESTALE))
		return VM_FAULT_NOPAGE;
	if (IS_ERR(folio))
		return vmf_error(PTR_ERR(folio));
	folio_unlock(folio);
	folio_put(folio);
	return VM_FAULT_NOPAGE;
}

vm_fault_t __iolite_shared_fault(struct folio *folio)
{
	struct folio *writable = iolite_write_folio(folio, false);

	return writable == folio ? 0 : iolite_fault_again(writable);
}

/**
 * __iolite_pin_folio - pin a page-cache folio for DMA that may write to it
 * @mapping: of the file
 * @folio: found there, with a reference of the caller's, not locked
 *
 * For memfd_pin_folios(), which does not come by a write fault.
 *
 * Return: the folio at its place, pinned; -EAGAIN if a writer replaced @folio,
 * or -ENOMEM.
 */
struct folio *__iolite_pin_folio(struct address_space *mapping, struct folio *folio)
{
	struct folio *old = folio;
	int ret = -EAGAIN;

	folio_lock(folio);
	if (folio->mapping == mapping && folio_test_sealed(folio) &&
	    !iolite_unseal(folio, false)) {
		folio_get(old);
		folio = iolite_cow(old);
		if (IS_ERR(folio)) {
			folio_unlock(old);
			folio_put(old);
			return folio;
		}
	}
	/* Under the lock: whoever seals next sees it pinned. */
	if (folio->mapping == mapping && !folio_test_sealed(folio))
		ret = try_grab_folio(folio, 1, FOLL_PIN);
	folio_unlock(folio);
	if (folio != old)
		folio_put(folio);
	return ret ? ERR_PTR(ret) : folio;
}

vm_fault_t __iolite_wp_shared(struct vm_fault *vmf, struct folio *folio)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;

	/*
	 * A sealer that has not seen this mapping of the file holds the folio
	 * lock, see iolite_seal_folio(); later ones do not seal.
	 */
	if (folio_trylock(folio)) {
		bool sealed = folio_test_sealed(folio);

		folio_unlock(folio);
		if (!sealed)
			return 0;
	}

	folio_get(folio);
	pte_unmap_unlock(vmf->pte, vmf->ptl);
	folio_lock(folio);
	if (folio->mapping == mapping && folio_test_sealed(folio))
		folio = iolite_write_folio(folio, false);
	return iolite_fault_again(folio);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: writing aggregates to files by reference.
 *
 * A file system writes as ever: it looks a folio up, locked and for writing,
 * copies bytes into it, and marks it dirty. While a task writes an aggregate, a
 * lookup of what a chunk of a pool covers wholly finds that chunk: it is put
 * into the page cache where there was nothing, or into the place of the folio
 * that was there. What is to be copied from it is there already. So all the
 * rest, limits, quotas, journals, times and errors, is that of write(2) (I9).
 *
 * The chunk is sealed, as its buffer may be held for long, and sent, and mapped.
 * It is the one kind of folio that is sealed while it is dirty or under
 * write-back.
 */
#include <linux/backing-dev.h>
#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/iolite.h>
#include <linux/iolite_write.h>
#include <linux/migrate.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/uio.h>

#include "internal.h"
#include "iolite.h"

/**
 * struct iolite_write - what a task writes to a file
 * @mapping: of the file; NULL if nothing is taken by reference, but copies are seen
 * @iocb: its position does not move before the call is over
 * @iter: the file system's, to see how much is left
 * @agg: the source
 * @start: where in @agg the call begins
 * @it: behind @slice, as it is asked for slices one after the other
 * @at: where in @agg @slice begins, or U64_MAX if it was not set yet
 * @slice: the one that was asked for last
 * @last: the chunk that was taken for the page cache, or found there, last; @agg holds it
 * @last_at: where in @agg @last begins
 * @last_by_ref: bytes of @last in @by_ref
 * @keep: @last took the place of a dirty folio, or was there before this write
 * @nowait: of tmpfs, which knows nothing of IOCB_NOWAIT
 * @by_ref: bytes that did not have to be copied
 * @copied: bytes that were, if @mapping is NULL
 */
struct iolite_write {
	struct address_space	*mapping;
	struct kiocb		*iocb;
	struct iov_iter		*iter;
	const struct iolite_agg	*agg;
	u64			start;
	struct iolite_agg_iter	it;
	u64			at;
	struct iolite_slice	slice;
	struct iolite_buf	*last;
	u64			last_at;
	size_t			last_by_ref;
	bool			keep;
	bool			nowait;
	size_t			by_ref;
	size_t			copied;
};

/*
 * The chunk that goes to @pos of the file as a whole, or NULL. What was read from a file
 * is copied, also to where it came from: should the write fail, it is not to take out
 * what somebody else wrote.
 */
static struct iolite_buf *iolite_source(struct address_space *mapping, loff_t pos)
{
	struct iolite_write *write = current->iolite_write;
	const struct iolite_slice *slice = &write->slice;
	u64 at;

	if (write->mapping != mapping || pos < write->iocb->ki_pos)
		return NULL;
	at = write->start + (pos - write->iocb->ki_pos);
	if (at >= write->agg->len)
		return NULL;
	if (at != write->at) {
		if (write->at == U64_MAX || at != write->it.pos)
			iolite_agg_iter_init(&write->it, write->agg, at);
		write->at = at;
		iolite_agg_iter_next(&write->it, &write->slice);
	}
	if (slice->buf->origin != IOLITE_POOL || slice->off || slice->buf->offset ||
	    slice->len != folio_size(slice->buf->folio))
		return NULL;
	return slice->buf;
}

/* @buf's folio, which is locked, is in the page cache because of this write, or will be. */
static void iolite_set_last(struct iolite_buf *buf, bool keep)
{
	struct iolite_write *write = current->iolite_write;

	if (write->last == buf)
		return;
	write->last = buf;
	write->last_at = write->at;
	write->last_by_ref = 0;
	write->keep = keep;
}

/**
 * __iolite_is_source - is a folio written to itself?
 * @folio: locked, of the page cache
 *
 * Return: whether it is what the task that calls is writing to its place.
 */
bool __iolite_is_source(struct folio *folio)
{
	struct iolite_buf *buf = iolite_source(folio->mapping, folio_pos(folio));

	return buf && buf->folio == folio;
}
EXPORT_SYMBOL_GPL(__iolite_is_source);

/**
 * iolite_copy_to_itself - copy_folio_from_iter_atomic() of what is in its place already
 * @folio: of the page cache, locked
 * @offset: in @folio
 * @bytes: how many
 * @i: of bvecs; is advanced. What of it lies in one folio is one bvec.
 *
 * If nothing is taken by reference, counts what is going to be copied.
 *
 * Return: how many bytes there was no need to copy, and are counted; 0 to copy.
 */
size_t iolite_copy_to_itself(struct folio *folio, size_t offset, size_t bytes,
			     struct iov_iter *i)
{
	struct iolite_write *write = current->iolite_write;

	bytes = min(bytes, iov_iter_count(i));
	if (!write->mapping) {
		write->copied += bytes;
		return 0;
	}
	if (!bytes || i->iov_offset >= i->bvec->bv_len ||
	    page_address(i->bvec->bv_page) + i->bvec->bv_offset + i->iov_offset !=
	    folio_address(folio) + offset)
		return 0;
	bytes = min_t(size_t, bytes, i->bvec->bv_len - i->iov_offset);
	write->by_ref += bytes;
	write->last_by_ref += bytes;
	iov_iter_advance(i, bytes);
	return bytes;
}

/* The source of @index, if it is a chunk of a suitable size that can be had. */
static struct iolite_buf *iolite_suitable(struct address_space *mapping, pgoff_t index,
					  unsigned int min_order, unsigned int max_order)
{
	struct iolite_buf *buf = iolite_source(mapping, (loff_t)index << PAGE_SHIFT);
	struct folio *folio;

	if (!buf || READ_ONCE(buf->given))
		return NULL;
	/* ext4 may have begun to journal the file's data. */
	if (!mapping_iolite(mapping))
		return NULL;
	folio = buf->folio;
	/* What is mapped by something else than the file would never be unmapped. */
	if (folio_order(folio) < min_order || folio_order(folio) > max_order ||
	    folio_mapped(folio) || !IS_ALIGNED(index, folio_nr_pages(folio)) ||
	    iov_iter_count(current->iolite_write->iter) < folio_size(folio))
		return NULL;
	return buf;
}

/* Returns the chunk sealed and uptodate, with a reference of the caller's. */
static struct folio *iolite_take(struct iolite_buf *buf, gfp_t gfp)
{
	struct folio *folio = buf->folio;

	if (!iolite_pool_give(buf, gfp | __GFP_RETRY_MAYFAIL | __GFP_NOWARN))
		return NULL;
	folio_mark_uptodate(folio);
	iolite_set_last(buf, false);
	folio_get(folio);
	return folio;
}

/**
 * __iolite_take_source - a new folio for the page cache, with its contents
 * @mapping: of the file that is written to
 * @index: where in it; nothing is cached there
 * @order: at most; as many bytes are going to be written
 * @gfp: as for the allocation of a folio
 *
 * Return: the folio, sealed and uptodate, for filemap_add_folio() or the like,
 * with a reference of the caller's; NULL if an ordinary one has to be allocated.
 */
struct folio *__iolite_take_source(struct address_space *mapping, pgoff_t index,
				   unsigned int order, gfp_t gfp)
{
	struct iolite_buf *buf;

	buf = iolite_suitable(mapping, index, mapping_min_folio_order(mapping), order);
	if (!buf)
		return NULL;
	/* What is cached of the rest must go. */
	if (folio_test_large(buf->folio)) {
		loff_t start = (loff_t)index << PAGE_SHIFT;
		loff_t last = start + folio_size(buf->folio) - 1;

		if (filemap_range_has_page(mapping, start, last)) {
			invalidate_mapping_pages(mapping, index, last >> PAGE_SHIFT);
			if (filemap_range_has_page(mapping, start, last))
				return NULL;
		}
	}
	return iolite_take(buf, gfp & GFP_RECLAIM_MASK);
}

/**
 * iolite_has_source - is a chunk of a suitable size written to a place?
 * @mapping: of the file that the task is writing an aggregate to
 * @index: the place
 * @order: at most
 *
 * Return: whether it is, and can be had.
 */
bool iolite_has_source(struct address_space *mapping, pgoff_t index, unsigned int order)
{
	return iolite_suitable(mapping, index, 0, order);
}

/**
 * iolite_take_sources - new folios for a hole of a file, with their contents
 * @mapping: of the file that the task is writing an aggregate to
 * @index: of the first
 * @end: behind the hole
 * @order: at most
 * @gfp: how to charge for them
 * @fbatch: empty; gets them, one behind the other, each sealed and uptodate, with a
 *	reference of the caller's
 */
void iolite_take_sources(struct address_space *mapping, pgoff_t index, pgoff_t end,
			 unsigned int order, gfp_t gfp, struct folio_batch *fbatch)
{
	struct iolite_buf *buf;
	struct folio *folio;

	do {
		buf = index < end ? iolite_suitable(mapping, index, 0, order) : NULL;
		if (!buf || folio_nr_pages(buf->folio) > end - index)
			return;
		folio = iolite_take(buf, gfp);
		if (!folio)
			return;
		index += folio_nr_pages(folio);
	} while (folio_batch_add(fbatch, folio));
}

/**
 * iolite_written - what iolite_take_sources() gave is in its place
 * @bytes: of these, from the first on; the kiocb and the iterator of the write advance
 */
void iolite_written(size_t bytes)
{
	struct iolite_write *write = current->iolite_write;

	write->by_ref += bytes;
	write->start += bytes;
	write->iocb->ki_pos += bytes;
	iov_iter_advance(write->iter, bytes);
}

/**
 * iolite_writes_nowait - must the task that writes an aggregate not wait for others?
 *
 * Return: whether it must not.
 */
bool iolite_writes_nowait(void)
{
	return current->iolite_write->nowait;
}

/* Others attach something else. */
static bool iolite_has_buffers(const struct address_space *mapping)
{
	return mapping->a_ops->migrate_folio == buffer_migrate_folio;
}

static struct buffer_head *iolite_buffers(struct folio *folio)
{
	return iolite_has_buffers(folio->mapping) ? folio_buffers(folio) : NULL;
}

/* Is every block of a dirty folio dirty? No, if only the file system could say. */
static bool iolite_all_dirty(struct folio *folio)
{
	struct buffer_head *head = iolite_buffers(folio), *bh = head;

	if (!folio_test_large(folio))
		return true;
	if (!head)
		return false;
	do {
		if (!buffer_dirty(bh))
			return false;
		bh = bh->b_this_page;
	} while (bh != head);
	return true;
}

/*
 * Puts the source in the place of @folio, which is locked, with the caller's
 * reference. Returns the source, likewise; NULL with nothing changed; or, with @folio
 * unlocked and put, -ESTALE if it was a smaller one and made room, -EAGAIN if it had
 * to sleep.
 */
static struct folio *iolite_exchange(struct folio *folio, unsigned int order, bool nowait)
{
	struct address_space *mapping = folio->mapping;
	struct iolite_buf *buf;
	struct folio *source;

	if (folio_test_writeback(folio) || !folio_test_uptodate(folio) ||
	    folio_test_dropbehind(folio) || folio_contain_hwpoisoned_page(folio))
		return NULL;
	/*
	 * The file system may fail after this, and what was written before must not be
	 * lost then, nor what was not become dirty. tmpfs does not fail.
	 */
	if (folio_test_dirty(folio) && mapping_can_writeback(mapping) &&
	    !iolite_all_dirty(folio))
		return NULL;
	/* A device, or who has references, may be writing to it. */
	if (!folio_test_sealed(folio) && (mapping_was_writably_mapped(mapping) ||
					  folio_maybe_dma_pinned(folio)))
		return NULL;
	buf = iolite_suitable(mapping, folio->index, folio_order(folio), order);
	if (!buf)
		return NULL;
	/* Buffers may be locked, and to unmap sleeps. */
	if (nowait && (folio_buffers(folio) || folio_mapped(folio))) {
		folio_unlock(folio);
		folio_put(folio);
		return ERR_PTR(-EAGAIN);
	}

	if (folio_order(buf->folio) > folio_order(folio)) {
		if (!mapping_can_writeback(mapping) || folio_test_dirty(folio) ||
		    folio_unmap_invalidate(mapping, folio, GFP_NOFS) < 0)
			return NULL;
		folio_unlock(folio);
		folio_put(folio);
		return ERR_PTR(-ESTALE);
	}

	/* The folio lock is held, so no recursion into the file system. */
	source = iolite_take(buf, nowait ? GFP_NOWAIT : GFP_NOFS);
	if (!source)
		return NULL;
	current->iolite_write->keep = folio_test_dirty(folio);
	if (folio_mapped(folio))
		iolite_unmap_folio(folio);
	__folio_set_locked(source);
	if (mapping->a_ops->migrate_folio(mapping, source, folio, MIGRATE_SHARED)) {
		folio_unlock(source);
		folio_put(source);
		return NULL;
	}
	folio_add_lru(source);
	folio_unlock(folio);
	folio_put(folio);
	return source;
}

/**
 * iolite_write_begin - bytes of a page-cache folio are about to be written
 * @folio: locked, with a reference of the caller's; sealed, or the task writes
 *	an aggregate
 * @order: as many bytes are going to be written from the folio's first on
 * @nowait: do not sleep
 *
 * Return: as iolite_write_folio(); or the source of the write, sealed.
 */
struct folio *iolite_write_begin(struct folio *folio, unsigned int order, bool nowait)
{
	struct iolite_write *write = current->iolite_write;

	if (write) {
		struct iolite_buf *buf = write->last;
		struct folio *source;

		/* A chunk is in one place only, and stays where it was taken for. */
		if (buf && buf->folio == folio)
			return folio;
		buf = iolite_source(folio->mapping, folio_pos(folio));
		if (buf && buf->folio == folio) {
			/* An earlier write put it there. */
			iolite_set_last(buf, true);
			return folio;
		}
		source = iolite_exchange(folio, order, nowait);
		if (source)
			return source;
	}
	return folio_test_sealed(folio) ? iolite_write_folio(folio, nowait) : folio;
}

/**
 * iolite_write_source - iolite_write_begin() for a sealed folio of tmpfs
 * @foliop: the folio, and in exchange what took its place
 *
 * Return: 0, or an error with the folio unlocked and put.
 */
int iolite_write_source(struct folio **foliop)
{
	struct folio *folio = *foliop;

	folio = iolite_write_begin(folio, mapping_max_folio_order(folio->mapping), false);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	*foliop = folio;
	return 0;
}

/**
 * iolite_seal_targets - prepare what the task writes next for being replaced
 *
 * tmpfs looks only at sealed folios when it writes, to cost nothing else. So seal
 * what is to be replaced.
 */
void iolite_seal_targets(void)
{
	struct iolite_write *write = current->iolite_write;
	struct address_space *mapping = write->mapping;
	loff_t pos = write->iocb->ki_pos;
	pgoff_t index = pos >> PAGE_SHIFT;
	pgoff_t end = (pos + iov_iter_count(write->iter) - 1) >> PAGE_SHIFT;
	struct folio_batch fbatch;
	unsigned int i;

	if (iov_iter_count(write->iter) < PAGE_SIZE)
		return;
	folio_batch_init(&fbatch);
	while (filemap_get_folios(mapping, &index, end, &fbatch)) {
		for (i = 0; i < folio_batch_count(&fbatch); i++)
			iolite_seal_folio(fbatch.folios[i], write->nowait);
		folio_batch_release(&fbatch);
		cond_resched();
	}
}

static bool iolite_can_take(struct kiocb *iocb)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;

	if (iocb->ki_flags & IOCB_DIRECT || !mapping_iolite(mapping) ||
	    !iolite_maps_itself(iocb->ki_filp) || IS_DAX(mapping->host))
		return false;
	/* Blocks smaller than a page may be written one at a time, and fail. */
	if (i_blocksize(mapping->host) < PAGE_SIZE)
		return false;
	/* As in iolite_seal_folio() */
	if (!mapping_iolite_sealed(mapping))
		set_bit(AS_IOLITE_SEALED, &mapping->flags);
	smp_mb(); /* the flag before the count */
	return !mapping_writably_mapped(mapping);
}

/*
 * A file system found blocks for some of the folio, and gave up. Those that are new are
 * zero then, and written back, as they have who knows what on the device.
 */
static void iolite_zero_new_blocks(struct folio *folio)
{
	struct buffer_head *head = iolite_buffers(folio), *bh = head;

	do {
		if (buffer_dirty(bh))
			folio_zero_range(folio, bh_offset(bh), bh->b_size);
		else
			clear_buffer_uptodate(bh);
		bh = bh->b_this_page;
	} while (bh != head);
	folio_clear_uptodate(folio);
}

/*
 * The file system gave up on the chunk that it had found or put into the cache last.
 * Readers are to see what was there before. A part from @start on was written if @partly.
 */
static void iolite_forget_source(struct iolite_write *write, loff_t start, bool partly)
{
	struct address_space *mapping = write->mapping;
	struct folio *folio = write->last->folio;

	/* tmpfs does not fail once it has the folio. */
	if (write->keep || !mapping_can_writeback(mapping))
		return;
	/* Which part that is only the file system could say: it writes that back. */
	if (partly && !iolite_has_buffers(mapping))
		filemap_write_and_wait_range(mapping, start, start + folio_size(folio) - 1);
	folio_get(folio);
	folio_lock(folio);
	if (folio->mapping != mapping)
		goto unlock;
	folio_wait_writeback(folio);
	if (folio_test_dirty(folio)) {
		/* What failed came after all was written. */
		if (!iolite_buffers(folio) || iolite_all_dirty(folio))
			goto unlock;
		/* Without memory for a copy it is written back as it is, and may leave. */
		folio = iolite_truncate_folio(folio);
		if (!folio)
			return;
		folio_wait_writeback(folio);
	}
	if (!folio_test_dirty(folio))
		truncate_inode_folio(mapping, folio);
	else if (iolite_buffers(folio) && !folio_test_sealed(folio))
		iolite_zero_new_blocks(folio);
unlock:
	folio_unlock(folio);
	folio_put(folio);
}

/**
 * __iolite_write_failed - what a task writes to a file from @pos on is not going to be there
 * @pos: what lies before is, or was there already
 *
 * If a chunk was put there, what was there before comes back. That is done while the
 * inode is locked: later, other writers could have made a copy of the chunk, to change
 * a part of it, and it could not be told apart. Who stores to a mapping that was made
 * meanwhile still can, and keeps what he found there. The file system may also be going to look up
 * folios for writing, to clear what it finds, which must not be the aggregate's. So what
 * the call still writes is copied.
 *
 * Context: nothing but the inode is locked. May sleep.
 */
void __iolite_write_failed(loff_t pos)
{
	struct iolite_write *write = current->iolite_write;
	loff_t start;

	current->iolite_write = NULL;
	if (!write->last)
		return;
	start = write->iocb->ki_pos + (write->last_at - write->start);
	if (start + (loff_t)folio_size(write->last->folio) <= pos)
		return;
	write->by_ref -= write->last_by_ref;
	iolite_forget_source(write, start, start < pos);
}
EXPORT_SYMBOL_GPL(__iolite_write_failed);

/**
 * iolite_write_iter - write an aggregate to a file
 * @iocb: file, position and flags, of the synchronous kind
 * @iter: the bytes
 * @agg: what @iter refers to; does not change meanwhile
 * @start: where in @agg
 *
 * Whole folios of pools are put into the page cache where that is possible, and
 * the rest is copied, and counted. The caller has checked what vfs_write()
 * checks.
 *
 * Return: what ->write_iter() returns.
 */
ssize_t iolite_write_iter(struct kiocb *iocb, struct iov_iter *iter,
			  const struct iolite_agg *agg, u64 start)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	struct iolite_write write = {
		.mapping = mapping,
		.iocb	 = iocb,
		.iter	 = iter,
		.agg	 = agg,
		.start	 = start,
		.at	 = U64_MAX,
	};
	bool take;
	ssize_t ret;

	/* tmpfs ignores the former, and refuses the latter */
	if (shmem_mapping(mapping)) {
		write.nowait = iocb->ki_flags & IOCB_NOWAIT;
		iocb->ki_flags &= ~(IOCB_DIRECT | IOCB_NOWAIT);
	}
	take = iolite_can_take(iocb);
	if (!take)
		write.mapping = NULL;
	/* What is written directly may end in the cache all the same. */
	if (take || iocb->ki_flags & IOCB_DIRECT)
		current->iolite_write = &write;
	if (take && shmem_mapping(mapping))
		ret = iolite_shmem_write_iter(iocb, iter);
	else if (write.nowait)
		ret = -EAGAIN;
	else
		ret = iocb->ki_filp->f_op->write_iter(iocb, iter);
	current->iolite_write = NULL;
	if (write.nowait)
		iocb->ki_flags |= IOCB_NOWAIT;

	if (ret > 0) {
		size_t moved = min_t(size_t, write.by_ref, ret);

		if (iocb->ki_flags & IOCB_DIRECT) {
			moved = ret - min_t(size_t, write.copied, ret);
			iolite_stat_add(IOLITE_STAT_DIRECT_BYTES, moved);
		} else {
			iolite_stat_add(IOLITE_STAT_WRITTEN_BYTES, moved);
		}
		if (ret > moved)
			iolite_count_copy(IOLITE_COPY_FILE_WRITE, ret - moved);
	}
	return ret;
}

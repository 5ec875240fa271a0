/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writing aggregates to files by reference: what the paths that look up, make
 * and fill page-cache folios for writing call.
 */
#ifndef _LINUX_IOLITE_WRITE_H
#define _LINUX_IOLITE_WRITE_H

#include <linux/iolite_cow.h>
#include <linux/sched.h>

struct folio_batch;
struct iov_iter;
struct kiocb;

struct folio *iolite_write_begin(struct folio *folio, unsigned int order, bool nowait);
struct folio *__iolite_take_source(struct address_space *mapping, pgoff_t index,
				   unsigned int order, gfp_t gfp);
bool __iolite_is_source(struct folio *folio);
int iolite_write_source(struct folio **foliop);
void __iolite_write_failed(loff_t pos);
bool iolite_has_source(struct address_space *mapping, pgoff_t index, unsigned int order);
void iolite_take_sources(struct address_space *mapping, pgoff_t index, pgoff_t end,
			 unsigned int order, gfp_t gfp, struct folio_batch *fbatch);
void iolite_written(size_t bytes);
bool iolite_writes_nowait(void);
void iolite_seal_targets(void);
ssize_t iolite_shmem_write_iter(struct kiocb *iocb, struct iov_iter *from);
size_t iolite_copy_to_itself(struct folio *folio, size_t offset, size_t bytes,
			     struct iov_iter *i);

static inline bool iolite_task_writes(void)
{
#ifdef CONFIG_IOLITE
	return unlikely(current->iolite_write);
#else
	return false;
#endif
}

/**
 * iolite_is_source - is a folio written to itself?
 * @folio: locked, of the page cache
 *
 * Return: whether it is part of the aggregate that the task is writing to a file,
 * and in its place already.
 */
static inline bool iolite_is_source(struct folio *folio)
{
	return iolite_task_writes() && __iolite_is_source(folio);
}

/**
 * iolite_take_source - a new folio for the page cache, with its contents
 * @mapping: of the file that is written to
 * @index: where in it; nothing is cached there
 * @order: at most; as many bytes are going to be written
 * @gfp: as for the allocation of a folio
 *
 * Return: a folio, with a reference of the caller's, if the task is writing one
 * there by reference; else NULL.
 */
static inline struct folio *iolite_take_source(struct address_space *mapping, pgoff_t index,
					       unsigned int order, gfp_t gfp)
{
	return iolite_task_writes() ? __iolite_take_source(mapping, index, order, gfp) : NULL;
}

/**
 * iolite_write_failed - what is written to a file from @pos on is not going to be there
 * @pos: what lies before is, or was there already
 *
 * Called before the file system looks for what to undo, and in any case while the inode
 * is locked, and nothing else.
 */
static inline void iolite_write_failed(loff_t pos)
{
	if (iolite_task_writes())
		__iolite_write_failed(pos);
}

/**
 * iolite_must_look - has a writer to call iolite_write_begin()?
 * @folio: locked, of the page cache
 *
 * Return: whether it is sealed, or the task is writing an aggregate.
 */
static inline bool iolite_must_look(const struct folio *folio)
{
	return unlikely(folio_test_sealed(folio)) || iolite_task_writes();
}

#endif /* _LINUX_IOLITE_WRITE_H */

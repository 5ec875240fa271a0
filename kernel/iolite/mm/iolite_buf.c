// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: the lifetime of buffers.
 */
#include <linux/init.h>
#include <linux/iolite.h>
#include <linux/mm.h>
#include <linux/sched/user.h>
#include <linux/slab.h>

#include "iolite.h"

static struct kmem_cache *iolite_buf_cache __ro_after_init;

/**
 * iolite_buf_alloc - a buffer with one reference and no memory yet
 * @origin: where the memory is going to come from
 * @folio: the memory; the buffer takes over the caller's reference
 * @offset: bytes from the start of @folio
 * @len: bytes
 *
 * Return: the buffer, or NULL with the reference left to the caller.
 */
struct iolite_buf *iolite_buf_alloc(enum iolite_origin origin, struct folio *folio,
				    u32 offset, u32 len)
{
	struct iolite_buf *buf = kmem_cache_alloc(iolite_buf_cache, IOLITE_GFP);

	if (!buf)
		return NULL;
	refcount_set(&buf->ref, 1);
	buf->origin = origin;
	buf->sealed = true;
	buf->folio = folio;
	buf->offset = offset;
	buf->len = len;
	buf->window_pgoff = 0;
	buf->generation = 0;
	iolite_stat_add(IOLITE_STAT_BUFS, 1);
	return buf;
}

/**
 * iolite_buf_free_struct - free a buffer that has given up its memory
 * @buf: without references
 */
void iolite_buf_free_struct(struct iolite_buf *buf)
{
	iolite_stat_add(IOLITE_STAT_BUFS, -1);
	kmem_cache_free(iolite_buf_cache, buf);
}

/**
 * __iolite_buf_free - the last reference is gone; use iolite_buf_put()
 * @buf: without references
 *
 * May sleep: the window's page tables are emptied before the memory goes.
 */
void __iolite_buf_free(struct iolite_buf *buf)
{
	if (buf->window_pgoff)
		iolite_window_release(buf);

	switch (buf->origin) {
	case IOLITE_FILE:
		iolite_uncharge_pages(buf->user, folio_nr_pages(buf->folio));
		free_uid(buf->user);
		folio_put(buf->folio);
		break;
	case IOLITE_POOL:
		iolite_pool_release(buf);
		break;
	}
	iolite_buf_free_struct(buf);
}

/**
 * iolite_charge_pages - charge page-cache pages that a buffer holds to a user (I5)
 * @user: who reads
 * @nr: pages
 *
 * Return: 0 or -EDQUOT.
 */
int iolite_charge_pages(struct user_struct *user, long nr)
{
	if (atomic_long_add_return(nr, &user->iolite_pages) >
	    READ_ONCE(sysctl_iolite_max_user_pages)) {
		atomic_long_sub(nr, &user->iolite_pages);
		return -EDQUOT;
	}
	iolite_stat_add(IOLITE_STAT_FILE_PAGES, nr);
	return 0;
}

/**
 * iolite_uncharge_pages - undo iolite_charge_pages()
 * @user: as charged
 * @nr: pages
 */
void iolite_uncharge_pages(struct user_struct *user, long nr)
{
	atomic_long_sub(nr, &user->iolite_pages);
	iolite_stat_add(IOLITE_STAT_FILE_PAGES, -nr);
}

static int __init iolite_buf_init(void)
{
	iolite_buf_cache = KMEM_CACHE(iolite_buf, SLAB_ACCOUNT | SLAB_PANIC);
	return 0;
}
subsys_initcall(iolite_buf_init);

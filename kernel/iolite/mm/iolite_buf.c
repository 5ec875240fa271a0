// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: the lifetime of buffers.
 */
#include <linux/init.h>
#include <linux/iolite.h>
#include <linux/memcontrol.h>
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
	buf->given = false;
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
		iolite_uncharge_pages(buf->user, buf->objcg, folio_nr_pages(buf->folio));
		obj_cgroup_put(buf->objcg);
		free_uid(buf->user);
		folio_put(buf->folio);
		break;
	case IOLITE_POOL:
		if (buf->given)
			iolite_pool_release_given(buf);
		else
			iolite_pool_release(buf);
		break;
	}
	iolite_buf_free_struct(buf);
}

/**
 * iolite_current_objcg - whom to charge in iolite_charge_pages()
 *
 * Return: the current task's memory cgroup, with a reference for
 * obj_cgroup_put(); NULL for the root's, which has no limit.
 */
#ifdef CONFIG_MEMCG
struct obj_cgroup *iolite_current_objcg(void)
{
	struct obj_cgroup *objcg;

	if (mem_cgroup_disabled())
		return NULL;
	objcg = current_obj_cgroup();
	if (obj_cgroup_is_root(objcg))
		return NULL;
	/* The task may be moved to another cgroup while it sleeps. */
	obj_cgroup_get(objcg);
	return objcg;
}

static int iolite_charge_memcg(struct obj_cgroup *objcg, long nr, gfp_t gfp)
{
	return objcg ? obj_cgroup_charge(objcg, gfp, nr * PAGE_SIZE) : 0;
}

static void iolite_uncharge_memcg(struct obj_cgroup *objcg, long nr)
{
	if (objcg)
		obj_cgroup_uncharge(objcg, nr * PAGE_SIZE);
}
#else
struct obj_cgroup *iolite_current_objcg(void)
{
	return NULL;
}

static int iolite_charge_memcg(struct obj_cgroup *objcg, long nr, gfp_t gfp)
{
	return 0;
}

static void iolite_uncharge_memcg(struct obj_cgroup *objcg, long nr)
{
}
#endif

/**
 * iolite_charge_pages - charge a reader for page-cache pages that buffers hold (I5)
 * @user: who reads
 * @objcg: iolite_current_objcg() of the reader
 * @nr: pages
 * @gfp: how to reclaim; the OOM killer is not to come for this
 *
 * Whoever reads pays, besides the cgroup that has the page in its cache. The
 * latter pays for a writer's copy, too, while the page is held: a reader can
 * push another cgroup no further than his own limit lets him.
 *
 * Return: 0, -EDQUOT at the user's limit, -ENOMEM at the memory cgroup's.
 */
int iolite_charge_pages(struct user_struct *user, struct obj_cgroup *objcg, long nr, gfp_t gfp)
{
	if (atomic_long_add_return(nr, &user->iolite_pages) >
	    READ_ONCE(sysctl_iolite_max_user_pages)) {
		atomic_long_sub(nr, &user->iolite_pages);
		return -EDQUOT;
	}
	if (iolite_charge_memcg(objcg, nr, gfp)) {
		atomic_long_sub(nr, &user->iolite_pages);
		return -ENOMEM;
	}
	iolite_stat_add(IOLITE_STAT_FILE_PAGES, nr);
	return 0;
}

/**
 * iolite_uncharge_pages - undo iolite_charge_pages()
 * @user: as charged
 * @objcg: as charged
 * @nr: pages
 */
void iolite_uncharge_pages(struct user_struct *user, struct obj_cgroup *objcg, long nr)
{
	iolite_uncharge_memcg(objcg, nr);
	atomic_long_sub(nr, &user->iolite_pages);
	iolite_stat_add(IOLITE_STAT_FILE_PAGES, -nr);
}

static int __init iolite_buf_init(void)
{
	iolite_buf_cache = KMEM_CACHE(iolite_buf, SLAB_ACCOUNT | SLAB_PANIC);
	return 0;
}
subsys_initcall(iolite_buf_init);

// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: pools, allocators of buffers whose memory has one access list.
 *
 * A pool's memory comes in chunks, folios as large as the page allocator has
 * them.  A chunk is one buffer, or holds several small ones.  The pool owns one
 * page reference to each of its chunks; an skb that sends from a chunk holds its
 * own.  When the last buffer of a chunk is gone, the chunk is used again once
 * the page reference count says that no skb holds it either, so that a sealed
 * byte never changes under anybody (I1).
 *
 * Every chunk is charged to the memory cgroup of whoever allocates, and counts
 * towards the limits of the pool and of the user who made it until it goes back
 * to the page allocator, or into the page cache of a file (I5). So a pool whose
 * memory is still in skbs when nobody has the pool any more stays until they are
 * done: an skb counts bytes, and a byte holds a chunk.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/iolite.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "iolite.h"

#define IOLITE_POOL_MAX_ORDER	min(9, MAX_PAGE_ORDER)
#define IOLITE_POOL_ORDERS	10

/* Buffers up to this size share a chunk; headers of responses are smaller. */
#define IOLITE_SMALL_MAX	(PAGE_SIZE / 4)
#define IOLITE_SMALL_ALIGN	L1_CACHE_BYTES

/* How many chunks that an skb held are looked at for each allocation */
#define IOLITE_REAP_BATCH	8

/* and at once, with a lock held or by the pools that have ended */
#define IOLITE_REAP_MAX		1024

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "iolite."

/*
 * Chunks that fill a PMD entry are read-only in the kernel's direct map while they are
 * sealed.  Smaller ones would break the map into small pages for good.
 */
bool iolite_hardened __ro_after_init;
module_param_named(hardened, iolite_hardened, bool, 0444);
MODULE_PARM_DESC(hardened, "make large sealed buffers of pools read-only for the kernel");

/**
 * struct iolite_pool - an allocator of buffers
 * @ref: held by the pool's file, rings, and buffers
 * @flags: IOLITE_POOL_*
 * @user: who made the pool; its memory counts as his
 * @max_bytes: limit on @bytes
 * @lock: protects all below, and folio->private of chunks
 * @bytes: memory in chunks
 * @kept: memory in @free
 * @free: chunks without buffers that nobody else holds, by order
 * @pending: chunks without buffers that had other references when last seen
 * @small: the chunk that small buffers are cut from, or NULL
 * @small_used: bytes of @small handed out since it was last empty
 * @ended: in iolite_ended, without references, until skbs are done with @pending
 *
 * A chunk counts its buffers in folio->private, and is linked by folio->lru
 * while it has none.  folio->index is 1 while the kernel cannot write to it.
 */
struct iolite_pool {
	refcount_t		ref;
	unsigned int		flags;
	struct user_struct	*user;
	u64			max_bytes;
	spinlock_t		lock;		/* protects all below */
	u64			bytes;
	u64			kept;
	struct list_head	free[IOLITE_POOL_ORDERS];
	struct list_head	pending;
	struct folio		*small;
	u32			small_used;
	struct list_head	ended;
};

static const struct file_operations iolite_pool_fops;

static void iolite_pools_end(struct work_struct *work);
static DECLARE_DELAYED_WORK(iolite_end_work, iolite_pools_end);
static DEFINE_SPINLOCK(iolite_ended_lock);
static LIST_HEAD(iolite_ended);			/* under iolite_ended_lock */
static unsigned long iolite_end_delay;		/* jiffies, likewise */

/**
 * iolite_pool_create - make an empty pool
 * @user: whose memory its memory counts as
 * @flags: IOLITE_POOL_*
 * @max_bytes: memory at most; 0 for the default, which is also the most that
 *	can be asked for
 * @poolp: out: the pool, with one reference
 *
 * Return: 0, -EINVAL for unknown flags, -E2BIG for too much, -ENOMEM.
 */
int iolite_pool_create(struct user_struct *user, unsigned int flags, u64 max_bytes,
		       struct iolite_pool **poolp)
{
	u64 limit = READ_ONCE(sysctl_iolite_max_pool_bytes);
	struct iolite_pool *pool;
	int i;

	if (flags & ~(IOLITE_POOL_SHARE_WHOLE | IOLITE_POOL_PAGES))
		return -EINVAL;
	if (max_bytes > limit)
		return -E2BIG;
	pool = kzalloc_obj(*pool, IOLITE_GFP);
	if (!pool)
		return -ENOMEM;
	refcount_set(&pool->ref, 1);
	pool->flags = flags;
	pool->user = get_uid(user);
	pool->max_bytes = max_bytes ?: limit;
	spin_lock_init(&pool->lock);
	for (i = 0; i < IOLITE_POOL_ORDERS; i++)
		INIT_LIST_HEAD(&pool->free[i]);
	INIT_LIST_HEAD(&pool->pending);
	iolite_stat_add(IOLITE_STAT_POOLS, 1);
	*poolp = pool;
	return 0;
}

/**
 * iolite_pool_get - take a reference
 * @pool: the pool
 *
 * Return: @pool.
 */
struct iolite_pool *iolite_pool_get(struct iolite_pool *pool)
{
	refcount_inc(&pool->ref);
	return pool;
}

/**
 * iolite_pool_seal - mark memory that is filled
 * @folio: a chunk
 *
 * Who gets it by an skb, and does not know whose it is, still sees that it must
 * not be written to.  A chunk for small buffers may get more of them; its pool
 * alone writes to what was not handed out yet.  May sleep.
 */
void iolite_pool_seal(struct folio *folio)
{
	if (folio_test_sealed(folio))
		return;
	folio_set_sealed(folio);
	if (!iolite_hardened || folio_size(folio) < PMD_SIZE)
		return;
	/* Not every architecture can; and there may be no memory to split a larger entry. */
	if (!set_memory_ro((unsigned long)folio_address(folio), folio_nr_pages(folio))) {
		folio->index = 1;
		iolite_stat_add(IOLITE_STAT_READONLY_PAGES, folio_nr_pages(folio));
	}
}

/* Let the kernel write to a chunk again; false if it cannot. May sleep. */
static bool iolite_chunk_soften(struct folio *folio)
{
	if (!folio->index)
		return true;
	/* Needs no memory, as the entry was made for just this chunk. */
	if (WARN_ON_ONCE(set_memory_rw((unsigned long)folio_address(folio),
				       folio_nr_pages(folio))))
		return false;
	folio->index = 0;
	iolite_stat_add(IOLITE_STAT_READONLY_PAGES, -folio_nr_pages(folio));
	return true;
}

/* The chunk is the pool's no more; iolite_chunks_free() @drop without the lock. */
static void iolite_chunk_drop(struct iolite_pool *pool, struct folio *folio,
			      struct list_head *drop)
{
	pool->bytes -= folio_size(folio);
	atomic_long_sub(folio_size(folio), &pool->user->iolite_pool_bytes);
	iolite_stat_add(IOLITE_STAT_POOL_PAGES, -folio_nr_pages(folio));
	folio->private = NULL;
	list_add(&folio->lru, drop);
}

static void iolite_chunks_drop(struct iolite_pool *pool, struct list_head *chunks,
			       struct list_head *drop)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, chunks, lru) {
		list_del(&folio->lru);
		iolite_chunk_drop(pool, folio, drop);
	}
}

/* Back to the page allocator. What cannot be made writable for it is better lost. */
static void iolite_chunks_free(struct list_head *drop)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, drop, lru) {
		list_del(&folio->lru);
		if (iolite_chunk_soften(folio))
			folio_put(folio);
		cond_resched();
	}
}

/*
 * A pool without references gives up what no skb has; true if that is all.  Looks at
 * no more than *@max chunks that have to stay.
 */
static bool iolite_pool_drained(struct iolite_pool *pool, unsigned int *max)
{
	struct folio *folio, *next;
	LIST_HEAD(stay);
	LIST_HEAD(drop);

	list_for_each_entry_safe(folio, next, &pool->pending, lru) {
		cond_resched();
		if (folio_ref_count(folio) > 1) {
			if (!*max)
				break;
			--*max;
			list_move_tail(&folio->lru, &stay);
			continue;
		}
		list_del(&folio->lru);
		iolite_chunk_drop(pool, folio, &drop);
	}
	/* those come last the next time */
	list_splice_tail(&stay, &pool->pending);
	iolite_chunks_free(&drop);
	return list_empty(&pool->pending);
}

static void iolite_pool_free(struct iolite_pool *pool)
{
	free_uid(pool->user);
	kfree(pool);
	iolite_stat_add(IOLITE_STAT_POOLS, -1);
}

/*
 * Pools that have ended while skbs have their memory.  Skbs are mostly done soon, and
 * some never: however many those are, they cost the same.
 */
static void iolite_pools_end(struct work_struct *work)
{
	unsigned int max = IOLITE_REAP_MAX;
	struct iolite_pool *pool;
	LIST_HEAD(stay);

	spin_lock(&iolite_ended_lock);
	while (max && !list_empty(&iolite_ended)) {
		pool = list_first_entry(&iolite_ended, struct iolite_pool, ended);
		list_del(&pool->ended);
		spin_unlock(&iolite_ended_lock);
		if (iolite_pool_drained(pool, &max))
			iolite_pool_free(pool);
		else
			list_add_tail(&pool->ended, &stay);
		spin_lock(&iolite_ended_lock);
	}
	list_splice_tail(&stay, &iolite_ended);
	if (!max) {
		/* Somebody has very many; do not let others wait for them. */
		queue_delayed_work(system_dfl_wq, &iolite_end_work, max(HZ / 64, 1));
	} else if (!list_empty(&iolite_ended)) {
		queue_delayed_work(system_dfl_wq, &iolite_end_work, iolite_end_delay);
		iolite_end_delay = min(2 * iolite_end_delay, (unsigned long)HZ);
	}
	spin_unlock(&iolite_ended_lock);
}

/**
 * iolite_pool_put - drop a reference
 * @pool: the pool; goes with the last reference, and when no skb has its memory.
 *	May sleep.
 */
void iolite_pool_put(struct iolite_pool *pool)
{
	unsigned int max = IOLITE_REAP_BATCH;
	LIST_HEAD(drop);
	int i;

	if (!refcount_dec_and_test(&pool->ref))
		return;
	/* Without buffers: nobody but us sees the lists any more. */
	for (i = 0; i < IOLITE_POOL_ORDERS; i++)
		iolite_chunks_drop(pool, &pool->free[i], &drop);
	iolite_chunks_free(&drop);
	if (pool->small)
		list_add_tail(&pool->small->lru, &pool->pending);
	if (iolite_pool_drained(pool, &max)) {
		iolite_pool_free(pool);
		return;
	}
	spin_lock(&iolite_ended_lock);
	list_add_tail(&pool->ended, &iolite_ended);
	/* Its skbs may be done soon. The next look is brought forward once at most. */
	if (iolite_end_delay != 1) {
		iolite_end_delay = 1;
		mod_delayed_work(system_dfl_wq, &iolite_end_work, 1);
	} else {
		queue_delayed_work(system_dfl_wq, &iolite_end_work, 1);
	}
	spin_unlock(&iolite_ended_lock);
}

static int iolite_pool_file_release(struct inode *inode, struct file *file)
{
	iolite_pool_put(file->private_data);
	return 0;
}

static const struct file_operations iolite_pool_fops = {
	.owner		= THIS_MODULE,
	.release	= iolite_pool_file_release,
	.llseek		= noop_llseek,
};

/**
 * iolite_pool_install_fd - give a pool a file descriptor
 * @pool: the file takes over the caller's reference on success
 *
 * Return: the file descriptor, close-on-exec, or a negative errno.
 */
int iolite_pool_install_fd(struct iolite_pool *pool)
{
	return anon_inode_getfd("[iolite-pool]", &iolite_pool_fops, pool, O_RDWR | O_CLOEXEC);
}

/**
 * iolite_pool_from_file - the pool behind a file descriptor
 * @file: any file
 *
 * Return: the pool, without a reference of its own, or NULL if @file is none.
 */
struct iolite_pool *iolite_pool_from_file(struct file *file)
{
	return file->f_op == &iolite_pool_fops ? file->private_data : NULL;
}

/**
 * iolite_pool_shares_whole - may pages be mapped that hold other bytes too?
 * @pool: the pool
 *
 * Return: whether the pool was made with IOLITE_POOL_SHARE_WHOLE.
 */
bool iolite_pool_shares_whole(const struct iolite_pool *pool)
{
	return pool->flags & IOLITE_POOL_SHARE_WHOLE;
}

/*
 * What a pool keeps for reuse others cannot have: of the same user, as it counts
 * as his, or of the same memory cgroup.  So it keeps little.
 */
static u64 iolite_pool_keep(void)
{
	return READ_ONCE(sysctl_iolite_max_pool_bytes) / 64;
}

/* The chunk may go on to @drop, see iolite_chunk_drop(). */
static void iolite_pool_link(struct iolite_pool *pool, struct folio *folio,
			     struct list_head *drop)
{
	lockdep_assert_held(&pool->lock);
	if (folio_ref_count(folio) > 1) {
		list_add_tail(&folio->lru, &pool->pending);
	} else if (pool->kept + folio_size(folio) <= iolite_pool_keep()) {
		pool->kept += folio_size(folio);
		list_add(&folio->lru, &pool->free[folio_order(folio)]);
	} else {
		iolite_chunk_drop(pool, folio, drop);
	}
}

/* Chunks are let go by skbs about in the order in which they became pending. */
static void iolite_pool_reap(struct iolite_pool *pool, unsigned long max,
			     struct list_head *drop)
{
	struct folio *folio, *next, *last;

	lockdep_assert_held(&pool->lock);
	if (list_empty(&pool->pending))
		return;
	last = list_last_entry(&pool->pending, struct folio, lru);
	list_for_each_entry_safe(folio, next, &pool->pending, lru) {
		list_del(&folio->lru);
		iolite_pool_link(pool, folio, drop);
		if (folio == last || !--max)
			break;
	}
}

static bool iolite_pool_reserve(struct iolite_pool *pool, u64 bytes)
{
	lockdep_assert_held(&pool->lock);
	if (pool->bytes + bytes > pool->max_bytes)
		return false;
	if (atomic_long_add_return(bytes, &pool->user->iolite_pool_bytes) >
	    READ_ONCE(sysctl_iolite_max_pool_bytes)) {
		atomic_long_sub(bytes, &pool->user->iolite_pool_bytes);
		return false;
	}
	pool->bytes += bytes;
	return true;
}

/* Give up chunks without buffers, those of this pool at least. */
static void iolite_pool_shrink(struct iolite_pool *pool, struct list_head *drop)
{
	int order;

	lockdep_assert_held(&pool->lock);
	for (order = 0; order < IOLITE_POOL_ORDERS; order++)
		iolite_chunks_drop(pool, &pool->free[order], drop);
	pool->kept = 0;
}

/*
 * Gives up what nobody uses, until @bytes are reserved or all chunks were looked at:
 * those that are looked at for each allocation may all be some slow receiver's.
 */
static bool iolite_pool_make_room(struct iolite_pool *pool, u64 bytes, struct list_head *drop)
{
	u64 chunks;

	lockdep_assert_held(&pool->lock);
	for (chunks = pool->bytes >> PAGE_SHIFT;; chunks -= IOLITE_REAP_MAX) {
		iolite_pool_reap(pool, IOLITE_REAP_MAX, drop);
		iolite_pool_shrink(pool, drop);
		if (iolite_pool_reserve(pool, bytes))
			return true;
		if (chunks <= IOLITE_REAP_MAX || list_empty(&pool->pending))
			return false;
		cond_resched_lock(&pool->lock);
	}
}

static struct folio *iolite_chunk_get(struct iolite_pool *pool, unsigned int order, bool zero)
{
	gfp_t gfp = order ? GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_NORETRY : IOLITE_GFP;
	struct folio *folio;
	LIST_HEAD(drop);
	bool room;

	spin_lock(&pool->lock);
	iolite_pool_reap(pool, IOLITE_REAP_BATCH, &drop);
	folio = list_first_entry_or_null(&pool->free[order], struct folio, lru);
	if (folio) {
		pool->kept -= folio_size(folio);
		list_del(&folio->lru);
		folio->private = (void *)1UL;
		spin_unlock(&pool->lock);
		iolite_chunks_free(&drop);
		if (!iolite_chunk_soften(folio))
			return ERR_PTR(-ENOMEM);
		folio_clear_sealed(folio);	/* nobody else holds it */
		if (zero)
			folio_zero_range(folio, 0, folio_size(folio));
		return folio;
	}
	room = iolite_pool_reserve(pool, PAGE_SIZE << order);
	if (!room)
		room = iolite_pool_make_room(pool, PAGE_SIZE << order, &drop);
	spin_unlock(&pool->lock);
	iolite_chunks_free(&drop);
	if (!room)
		return ERR_PTR(-ENOBUFS);

	if (zero)
		gfp |= __GFP_ZERO;
	folio = folio_alloc(gfp, order);
	if (!folio) {
		spin_lock(&pool->lock);
		pool->bytes -= PAGE_SIZE << order;
		spin_unlock(&pool->lock);
		atomic_long_sub(PAGE_SIZE << order, &pool->user->iolite_pool_bytes);
		return ERR_PTR(-ENOMEM);
	}
	folio->private = (void *)1UL;
	folio->index = 0;
	iolite_stat_add(IOLITE_STAT_POOL_PAGES, 1L << order);
	return folio;
}

/**
 * iolite_pool_release - take back the memory of a buffer whose life has ended
 * @buf: of origin IOLITE_POOL
 */
void iolite_pool_release(struct iolite_buf *buf)
{
	struct iolite_pool *pool = buf->pool;
	struct folio *folio = buf->folio;
	LIST_HEAD(drop);

	spin_lock(&pool->lock);
	folio->private = (void *)((unsigned long)folio->private - 1);
	if (!folio->private) {
		if (folio != pool->small)
			iolite_pool_link(pool, folio, &drop);
		else if (folio_ref_count(folio) == 1)
			pool->small_used = 0;
	}
	spin_unlock(&pool->lock);
	iolite_chunks_free(&drop);
	iolite_pool_put(pool);
}

/**
 * iolite_pool_give - a chunk that is one buffer leaves its pool for the page cache
 * @buf: sealed, of origin IOLITE_POOL, all of its folio
 * @gfp: how to charge for it
 *
 * The memory then counts as other pages of files that buffers hold do, until
 * @buf lets go of it. What the page cache charges for is the caller's business.
 *
 * Return: whether it was done: not if it was before, or at a limit.
 */
bool iolite_pool_give(struct iolite_buf *buf, gfp_t gfp)
{
	struct iolite_pool *pool = buf->pool;
	struct folio *folio = buf->folio;
	long nr = folio_nr_pages(folio);
	struct obj_cgroup *objcg;
	bool given;

	if (READ_ONCE(buf->given))
		return false;
	objcg = iolite_current_objcg();
	if (iolite_charge_pages(pool->user, objcg, nr, gfp)) {
		obj_cgroup_put(objcg);
		return false;
	}
	spin_lock(&pool->lock);
	given = buf->given;
	if (!given) {
		WRITE_ONCE(buf->given, true);
		buf->objcg = objcg;
		folio->private = NULL;
		pool->bytes -= folio_size(folio);
	}
	spin_unlock(&pool->lock);
	if (given) {
		iolite_uncharge_pages(pool->user, objcg, nr);
		obj_cgroup_put(objcg);
		return false;
	}
	atomic_long_sub(folio_size(folio), &pool->user->iolite_pool_bytes);
	iolite_stat_add(IOLITE_STAT_POOL_PAGES, -nr);
	memcg_kmem_uncharge_page(&folio->page, folio_order(folio));
	/* The page cache writes to it, and frees it, once nobody else holds it. */
	if (!iolite_chunk_soften(folio)) {
		folio_get(folio);
		return false;
	}
	folio_set_sealed(folio);
	return true;
}

/**
 * iolite_pool_release_given - the end of a buffer after iolite_pool_give()
 * @buf: without references
 */
void iolite_pool_release_given(struct iolite_buf *buf)
{
	iolite_uncharge_pages(buf->pool->user, buf->objcg, folio_nr_pages(buf->folio));
	obj_cgroup_put(buf->objcg);
	folio_put(buf->folio);
	iolite_pool_put(buf->pool);
}

/* A part of the chunk for small buffers, at *@offset. */
static struct folio *iolite_small_get(struct iolite_pool *pool, size_t len, u32 *offset)
{
	struct folio *folio, *old;
	LIST_HEAD(drop);

	len = ALIGN(len, IOLITE_SMALL_ALIGN);
	spin_lock(&pool->lock);
	while (!pool->small || pool->small_used + len > PAGE_SIZE) {
		spin_unlock(&pool->lock);
		folio = iolite_chunk_get(pool, 0, false);
		if (IS_ERR(folio)) {
			iolite_chunks_free(&drop);
			return folio;
		}
		spin_lock(&pool->lock);
		old = pool->small;
		pool->small = folio;
		pool->small_used = 0;
		/* The chunk itself counts as a buffer only until it is here. */
		folio->private = NULL;
		if (old && !old->private)
			iolite_pool_link(pool, old, &drop);
	}
	folio = pool->small;
	*offset = pool->small_used;
	pool->small_used += len;
	folio->private = (void *)((unsigned long)folio->private + 1);
	spin_unlock(&pool->lock);
	iolite_chunks_free(&drop);
	return folio;
}

static struct iolite_buf *iolite_pool_wrap(struct iolite_pool *pool, struct folio *folio,
					   u32 offset, u32 len)
{
	struct iolite_buf tmp = { .pool = pool, .folio = folio };
	struct iolite_buf *buf = iolite_buf_alloc(IOLITE_POOL, folio, offset, len);

	iolite_pool_get(pool);
	if (!buf) {
		iolite_pool_release(&tmp);
		return ERR_PTR(-ENOMEM);
	}
	buf->pool = pool;
	return buf;
}

/**
 * iolite_pool_buf - a buffer of whole pages
 * @pool: where from
 * @want: bytes wished for
 * @zero: clear all of it
 *
 * Return: a buffer, sealed by default, of @want bytes or as many as one chunk
 * has; -ENOBUFS at the pool's limit, -ENOMEM.
 */
struct iolite_buf *iolite_pool_buf(struct iolite_pool *pool, size_t want, bool zero)
{
	unsigned int order = pool->flags & IOLITE_POOL_PAGES ? 0 :
			     min(get_order(want), IOLITE_POOL_MAX_ORDER);
	struct folio *folio;

	/* Rather two chunks than one that is more than a quarter unused */
	if (order && want < (PAGE_SIZE << order) / 4 * 3)
		order--;
	folio = iolite_chunk_get(pool, order, zero);
	while (IS_ERR(folio) && order) {
		/* One page is as good as any if memory or room is short */
		order = PTR_ERR(folio) == -ENOMEM && order > PAGE_ALLOC_COSTLY_ORDER ?
			PAGE_ALLOC_COSTLY_ORDER : 0;
		folio = iolite_chunk_get(pool, order, zero);
	}
	if (IS_ERR(folio))
		return ERR_CAST(folio);
	return iolite_pool_wrap(pool, folio, 0, min(want, folio_size(folio)));
}

/**
 * iolite_pool_alloc - writable buffers for data to be produced in place
 * @pool: where from
 * @len: bytes, not 0
 * @agg: gets the buffers, unsealed and zeroed; on errors those made so far
 *
 * Return: 0, -ENOBUFS at the pool's limit, -ENOMEM, -E2BIG, -EINTR if killed.
 */
int iolite_pool_alloc(struct iolite_pool *pool, size_t len, struct iolite_agg *agg)
{
	while (len) {
		struct iolite_buf *buf;
		int ret;

		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		buf = iolite_pool_buf(pool, len, true);
		if (IS_ERR(buf))
			return PTR_ERR(buf);
		buf->sealed = false;
		len -= buf->len;
		ret = iolite_agg_append(agg, buf, 0, buf->len);
		if (ret) {
			iolite_buf_put(buf);
			return ret;
		}
	}
	return 0;
}

/**
 * iolite_pool_copy_in - sealed buffers with the contents of an iterator
 * @pool: where from
 * @from: source; all of it is copied, and counted
 * @agg: gets the buffers; on errors those made so far
 *
 * Return: 0, -EFAULT, -ENOBUFS at the pool's limit, -ENOMEM, -E2BIG, -EINTR if
 * killed.
 */
int iolite_pool_copy_in(struct iolite_pool *pool, struct iov_iter *from, struct iolite_agg *agg)
{
	while (iov_iter_count(from)) {
		size_t len = iov_iter_count(from);
		struct iolite_buf *buf;
		int ret = -EFAULT;

		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		if (len <= IOLITE_SMALL_MAX && !iolite_pool_shares_whole(pool)) {
			struct folio *folio;
			u32 offset;

			folio = iolite_small_get(pool, len, &offset);
			if (IS_ERR(folio))
				return PTR_ERR(folio);
			buf = iolite_pool_wrap(pool, folio, offset, len);
		} else {
			buf = iolite_pool_buf(pool, len, iolite_pool_shares_whole(pool));
		}
		if (IS_ERR(buf))
			return PTR_ERR(buf);

		if (copy_folio_from_iter(buf->folio, buf->offset, buf->len, from) == buf->len)
			ret = iolite_agg_append(agg, buf, 0, buf->len);
		if (ret) {
			iolite_buf_put(buf);
			return ret;
		}
		iolite_pool_seal(buf->folio);
		iolite_count_copy(IOLITE_COPY_ALLOC, buf->len);
	}
	return 0;
}

/**
 * iolite_pool_header - memory for bytes that leave at once
 * @pool: where from
 * @from: the bytes, which are copied, and counted
 * @len: how many, a page at most
 * @buf: gets folio and offset; not a buffer with a life of its own.
 *	iolite_pool_release() gives the memory back
 *
 * Return: 0, -EFAULT, -ENOBUFS at the pool's limit, -ENOMEM.
 */
int iolite_pool_header(struct iolite_pool *pool, const void __user *from, size_t len,
		       struct iolite_buf *buf)
{
	if (len <= IOLITE_SMALL_MAX) {
		buf->folio = iolite_small_get(pool, len, &buf->offset);
	} else {
		buf->folio = iolite_chunk_get(pool, 0, false);
		buf->offset = 0;
	}
	if (IS_ERR(buf->folio))
		return PTR_ERR(buf->folio);
	buf->pool = iolite_pool_get(pool);
	if (copy_from_user(folio_address(buf->folio) + buf->offset, from, len)) {
		iolite_pool_release(buf);
		return -EFAULT;
	}
	iolite_pool_seal(buf->folio);
	iolite_count_copy(IOLITE_COPY_ALLOC, len);
	return 0;
}

/**
 * iolite_agg_seal - from now on no byte of the aggregate's buffers changes
 * @agg: whose buffers to seal; those that are sealed already stay so
 *
 * Revokes the producer's write access. May sleep.
 */
void iolite_agg_seal(struct iolite_agg *agg)
{
	struct iolite_agg_iter it;
	struct iolite_slice slice;

	iolite_agg_iter_init(&it, agg, 0);
	while (iolite_agg_iter_next(&it, &slice)) {
		if (slice.buf->sealed)
			continue;
		iolite_window_seal(slice.buf);
		iolite_pool_seal(slice.buf->folio);
	}
	agg->unsealed = false;
}

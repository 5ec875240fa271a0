// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: a ring's table of aggregates, and what is done to them in place.
 * Reading and writing is in iolite_rw.c.
 *
 * An aggregate is named by its slot in the table and worked on under
 * ->uring_lock.  Requests that have to drop that lock in between, or that wait,
 * pin their aggregate: see struct io_iolite.
 *
 * Lock order: ->uring_lock, mmap_lock (by faults on user memory), and then the
 * locks of mm/iolite*.c.  Joining the window comes from mmap(2) with mmap_lock
 * held and does not take ->uring_lock.
 */
#include <linux/kernel.h>
#include <linux/cred.h>
#include <linux/errno.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/io_uring.h>
#include <linux/iolite.h>
#include <linux/nospec.h>
#include <linux/sched/user.h>
#include <linux/slab.h>

#include <uapi/linux/io_uring.h>
#include <uapi/linux/iolite.h>

#include "io_uring.h"
#include "alloc_cache.h"
#include "iolite.h"

#define IO_IOLITE_FEATURES \
	(IOLITE_FEAT_FILE_REF | IOLITE_FEAT_SEND_REF | IOLITE_FEAT_SNAPSHOT)

static_assert(IOLITE_REGISTER_TABLE == IORING_REGISTER_IOLITE);
static_assert(IOLITE_UNREGISTER_TABLE == IORING_UNREGISTER_IOLITE);
static_assert(IOLITE_REGISTER_POOL == IORING_REGISTER_IOLITE_POOL);
static_assert(IORING_OP_IOLITE_ALLOC + IOLITE_NR_OPS == IORING_OP_IOLITE_TRANSMIT + 1);

/* ---- Aggregates and their slots ---- */

/**
 * io_iolite_new - make an empty aggregate
 * @ctx: ring that has a table
 *
 * Return: the aggregate, with one reference that io_iolite_install() takes over
 * or io_iolite_put() drops; or NULL.
 */
struct io_iolite *io_iolite_new(struct io_ring_ctx *ctx)
{
	struct io_iolite *obj;

	obj = io_cache_alloc(&ctx->iolite->cache, IOLITE_GFP);
	if (!obj)
		return NULL;
	obj->refs = 1;
	obj->busy = false;
	iolite_agg_init(&obj->agg);
	iolite_stat_add(IOLITE_STAT_AGGS, 1);
	return obj;
}

/**
 * io_iolite_put - drop a reference to an aggregate
 * @ctx: the aggregate's ring, which may have lost its table in the meantime
 * @obj: the aggregate
 */
void io_iolite_put(struct io_ring_ctx *ctx, struct io_iolite *obj)
{
	lockdep_assert_held(&ctx->uring_lock);

	if (--obj->refs)
		return;
	iolite_agg_destroy(&obj->agg);
	iolite_stat_add(IOLITE_STAT_AGGS, -1);
	if (ctx->iolite)
		io_cache_free(&ctx->iolite->cache, obj);
	else
		kfree(obj);
}

/**
 * io_iolite_lookup - find the aggregate that a slot names
 * @ctx: ring
 * @slot: number from user space
 *
 * Return: the aggregate, or an ERR_PTR: -ENXIO without a table, -EINVAL beyond
 * its end, -ENOENT if the slot is empty.
 */
struct io_iolite *io_iolite_lookup(struct io_ring_ctx *ctx, u32 slot)
{
	struct io_iolite_table *table = ctx->iolite;

	lockdep_assert_held(&ctx->uring_lock);

	if (unlikely(!table))
		return ERR_PTR(-ENXIO);
	if (unlikely(slot >= table->nr))
		return ERR_PTR(-EINVAL);
	return table->slots[array_index_nospec(slot, table->nr)] ?: ERR_PTR(-ENOENT);
}

/**
 * io_iolite_find_slot - find the slot that a result goes to
 * @ctx: ring
 * @slot: number from user space, or IOLITE_SLOT_ALLOC
 *
 * Return: the slot, which stays as it is while ->uring_lock is held; or -ENXIO
 * without a table, -EINVAL beyond its end, -ENFILE if no slot is free.
 */
int io_iolite_find_slot(struct io_ring_ctx *ctx, u32 slot)
{
	struct io_iolite_table *table = ctx->iolite;

	lockdep_assert_held(&ctx->uring_lock);

	if (unlikely(!table))
		return -ENXIO;
	if (slot == IOLITE_SLOT_ALLOC) {
		slot = find_next_zero_bit(table->bitmap, table->nr, table->hint);
		if (slot == table->nr)
			slot = find_first_zero_bit(table->bitmap, table->nr);
		return slot < table->nr ? slot : -ENFILE;
	}
	if (unlikely(slot >= table->nr))
		return -EINVAL;
	return array_index_nospec(slot, table->nr);
}

/**
 * io_iolite_install - put an aggregate into a slot, in place of what it held
 * @ctx: ring
 * @slot: from io_iolite_find_slot()
 * @obj: aggregate; the caller's reference becomes the slot's
 */
void io_iolite_install(struct io_ring_ctx *ctx, u32 slot, struct io_iolite *obj)
{
	struct io_iolite_table *table = ctx->iolite;
	struct io_iolite *old = table->slots[slot];

	table->slots[slot] = obj;
	if (old) {
		io_iolite_put(ctx, old);
		return;
	}
	__set_bit(slot, table->bitmap);
	table->hint = slot + 1;
}

/**
 * io_iolite_clear - empty a slot
 * @ctx: ring
 * @slot: a number below the table's size
 *
 * Return: whether there was an aggregate in it.  A request that has pinned the
 * aggregate keeps it.
 */
bool io_iolite_clear(struct io_ring_ctx *ctx, u32 slot)
{
	struct io_iolite_table *table = ctx->iolite;
	struct io_iolite *obj = table->slots[slot];

	if (!obj)
		return false;
	table->slots[slot] = NULL;
	__clear_bit(slot, table->bitmap);
	table->hint = slot;
	io_iolite_put(ctx, obj);
	return true;
}

/* ---- Registration ---- */

static void io_iolite_table_free(struct io_iolite_table *table)
{
	io_alloc_cache_free(&table->cache, kfree);
	if (table->pool)
		iolite_pool_put(table->pool);
	free_uid(table->user);
	bitmap_free(table->bitmap);
	kvfree(table);
}

static struct io_iolite_table *io_iolite_table_alloc(unsigned int nr)
{
	struct io_iolite_table *table;

	table = kvzalloc_flex(*table, slots, nr, IOLITE_GFP);
	if (!table)
		return NULL;
	table->nr = nr;
	table->user = get_uid(current_user());
	table->bitmap = bitmap_zalloc(nr, IOLITE_GFP);
	if (!table->bitmap ||
	    io_alloc_cache_init(&table->cache, IO_ALLOC_CACHE_MAX,
				sizeof(struct io_iolite), 0)) {
		io_iolite_table_free(table);
		return NULL;
	}
	return table;
}

/**
 * io_register_iolite - give a ring a table of aggregates
 * @ctx: ring, ->uring_lock held
 * @arg: struct iolite_reg_table of the caller
 *
 * Return: 0 or a negative errno.
 */
int io_register_iolite(struct io_ring_ctx *ctx, struct iolite_reg_table __user *arg)
{
	struct io_iolite_table *table;
	struct iolite_reg_table reg;

	if (ctx->flags & IORING_SETUP_IOPOLL)
		return -EOPNOTSUPP;
	if (copy_from_user(&reg, arg, sizeof(reg)))
		return -EFAULT;
	if (reg.size != sizeof(reg) || reg.flags || !mem_is_zero(reg.resv, sizeof(reg.resv)))
		return -EINVAL;
	if (!reg.nr_slots || reg.nr_slots > IOLITE_MAX_SLOTS)
		return -EINVAL;
	if (reg.nr_slots > READ_ONCE(sysctl_iolite_max_slots))
		return -E2BIG;
	if (ctx->iolite)
		return -EBUSY;

	reg.first_op = IORING_OP_IOLITE_ALLOC;
	reg.nr_ops = IOLITE_NR_OPS;
	reg.max_slices = IOLITE_AGG_MAX_SLICES;
	reg.max_bytes = IOLITE_AGG_MAX_BYTES;
	reg.window_base = iolite_window_base();
	reg.window_size = iolite_window_size();
	reg.features = IO_IOLITE_FEATURES;

	table = io_iolite_table_alloc(reg.nr_slots);
	if (!table)
		return -ENOMEM;
	if (copy_to_user(arg, &reg, sizeof(reg))) {
		io_iolite_table_free(table);
		return -EFAULT;
	}
	iolite_stat_add(IOLITE_STAT_SLOTS, table->nr);
	ctx->iolite = table;
	return 0;
}

/**
 * io_unregister_iolite - take a ring's table away and empty its slots
 * @ctx: ring, ->uring_lock held
 *
 * Requests keep what they have pinned, but find no slot for a result.
 *
 * Return: 0, or -ENXIO if there is no table.
 */
int io_unregister_iolite(struct io_ring_ctx *ctx)
{
	struct io_iolite_table *table = ctx->iolite;
	unsigned int slot;

	if (!table)
		return -ENXIO;
	for_each_set_bit(slot, table->bitmap, table->nr)
		io_iolite_clear(ctx, slot);
	ctx->iolite = NULL;
	iolite_stat_add(IOLITE_STAT_SLOTS, -(long)table->nr);
	io_iolite_table_free(table);
	return 0;
}

/**
 * io_register_iolite_pool - make a pool
 * @arg: struct iolite_reg_pool of the caller
 *
 * Return: 0 or a negative errno.
 */
int io_register_iolite_pool(struct iolite_reg_pool __user *arg)
{
	struct iolite_reg_pool reg;
	struct iolite_pool *pool;
	int ret;

	if (copy_from_user(&reg, arg, sizeof(reg)))
		return -EFAULT;
	if (reg.size != sizeof(reg) || reg.flags & ~(IOLITE_POOL_SHARE_WHOLE | IOLITE_POOL_PAGES) ||
	    reg.resv || !mem_is_zero(reg.resv2, sizeof(reg.resv2)))
		return -EINVAL;
	/* an fd is no good to who cannot be told of it */
	if (put_user(-1, &arg->fd))
		return -EFAULT;

	ret = iolite_pool_create(current_user(), reg.flags, reg.max_bytes, &pool);
	if (ret)
		return ret;
	ret = iolite_pool_install_fd(pool);
	if (ret < 0) {
		iolite_pool_put(pool);
		return ret;
	}
	if (put_user(ret, &arg->fd)) {
		close_fd(ret);
		return -EFAULT;
	}
	return 0;
}

/* ---- Requests ---- */

/**
 * io_iolite_prep_slot - check what all opcodes have in common
 * @req: request
 * @sqe: its submission queue entry
 * @slot: set to the number in file_index
 *
 * Return: 0 or -EINVAL.
 */
int io_iolite_prep_slot(struct io_kiocb *req, const struct io_uring_sqe *sqe, u32 *slot)
{
	if (sqe->buf_index || sqe->__pad2[0])
		return -EINVAL;
	*slot = READ_ONCE(sqe->file_index);
	return 0;
}

/* And those that have no file. */
static int io_iolite_prep_nofile(struct io_kiocb *req, const struct io_uring_sqe *sqe,
				 u32 *slot)
{
	if (READ_ONCE(sqe->fd) != -1 || req->flags & REQ_F_FIXED_FILE)
		return -EINVAL;
	return io_iolite_prep_slot(req, sqe, slot);
}

static int io_iolite_complete(struct io_kiocb *req, int ret, u32 cflags)
{
	if (ret < 0)
		req_set_fail(req);
	io_req_set_res(req, ret, cflags);
	return IOU_COMPLETE;
}

struct io_iolite_alloc {
	struct file			*file;
	u64				addr;
	u32				len;
	u32				slot;
	u16				flags;
};

int io_iolite_alloc_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_iolite_alloc *al = io_kiocb_to_cmd(req, struct io_iolite_alloc);

	al->addr = READ_ONCE(sqe->addr);
	al->len = READ_ONCE(sqe->len);
	al->flags = READ_ONCE(sqe->ioprio);
	if (al->flags & ~IOLITE_ALLOC_WRITABLE)
		return -EINVAL;
	if (sqe->off || sqe->msg_flags || sqe->addr3)
		return -EINVAL;
	if (io_iolite_prep_slot(req, sqe, &al->slot))
		return -EINVAL;
	/* only the completion would tell which slot it is */
	if (al->slot == IOLITE_SLOT_ALLOC && req->flags & REQ_F_CQE_SKIP)
		return -EINVAL;
	if (al->flags & IOLITE_ALLOC_WRITABLE && !al->len)
		return -EINVAL;
	return 0;
}

static int io_iolite_alloc_writable(struct io_iolite_alloc *al, struct iolite_pool *pool,
				    struct io_iolite *obj)
{
	u64 addr;
	int ret;

	ret = iolite_pool_alloc(pool, al->len, &obj->agg);
	if (ret)
		return ret;
	ret = iolite_window_map_writable(&obj->agg, &addr);
	if (ret)
		return ret;
	return put_user(addr, (u64 __user *)u64_to_user_ptr(al->addr));
}

static int io_iolite_alloc_copy(struct io_iolite_alloc *al, struct iolite_pool *pool,
				struct io_iolite *obj)
{
	struct iov_iter from;
	int ret;

	ret = import_ubuf(ITER_SOURCE, u64_to_user_ptr(al->addr), al->len, &from);
	if (ret)
		return ret;
	return iolite_pool_copy_in(pool, &from, &obj->agg);
}

static int __io_iolite_alloc(struct io_ring_ctx *ctx, struct io_iolite_alloc *al)
{
	struct iolite_pool *pool;
	struct io_iolite *obj;
	int slot, ret;

	pool = iolite_pool_from_file(al->file);
	if (!pool)
		return -EINVAL;
	if (al->len > IOLITE_AGG_MAX_BYTES)
		return -E2BIG;
	slot = io_iolite_find_slot(ctx, al->slot);
	if (slot < 0)
		return slot;
	obj = io_iolite_new(ctx);
	if (!obj)
		return -ENOMEM;

	if (al->flags & IOLITE_ALLOC_WRITABLE)
		ret = io_iolite_alloc_writable(al, pool, obj);
	else
		ret = io_iolite_alloc_copy(al, pool, obj);
	if (ret) {
		io_iolite_put(ctx, obj);
		return ret;
	}
	io_iolite_install(ctx, slot, obj);
	return slot;
}

int io_iolite_alloc(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_iolite_alloc *al = io_kiocb_to_cmd(req, struct io_iolite_alloc);
	int slot;

	io_ring_submit_lock(req->ctx, issue_flags);
	slot = __io_iolite_alloc(req->ctx, al);
	io_ring_submit_unlock(req->ctx, issue_flags);

	if (slot < 0)
		return io_iolite_complete(req, slot, 0);
	return io_iolite_complete(req, al->len, io_iolite_cqe_flags(al->slot, slot));
}

struct io_iolite_seal {
	struct file			*file;
	u32				slot;
};

int io_iolite_seal_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_iolite_seal *seal = io_kiocb_to_cmd(req, struct io_iolite_seal);

	if (sqe->off || sqe->addr || sqe->len || sqe->msg_flags || sqe->addr3)
		return -EINVAL;
	return io_iolite_prep_nofile(req, sqe, &seal->slot);
}

int io_iolite_seal(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_iolite_seal *seal = io_kiocb_to_cmd(req, struct io_iolite_seal);
	struct io_iolite *obj;
	int ret;

	io_ring_submit_lock(req->ctx, issue_flags);
	obj = io_iolite_lookup(req->ctx, seal->slot);
	ret = PTR_ERR_OR_ZERO(obj);
	if (!ret && !iolite_agg_sealed(&obj->agg))
		iolite_agg_seal(&obj->agg);
	io_ring_submit_unlock(req->ctx, issue_flags);
	return io_iolite_complete(req, ret, 0);
}

struct io_iolite_edit {
	struct file			*file;
	u64				off;
	u64				addr;
	u32				slot;
	u32				other;
	u32				op;
	u16				flags;
};

/* Which fields an edit uses, and what else it can take. */
static const struct {
	bool off;
	bool addr;
	bool other;	/* addr3 is a slot ... */
	bool consume;	/* ... that can be emptied */
	bool makes;	/* ... that is filled */
} io_iolite_edits[IOLITE_NR_EDITS] = {
	[IOLITE_EDIT_CONCAT]	= { .other = true, .consume = true },
	[IOLITE_EDIT_PREPEND]	= { .other = true, .consume = true },
	[IOLITE_EDIT_SPLIT]	= { .off = true, .other = true, .makes = true },
	[IOLITE_EDIT_DUP]	= { .other = true, .makes = true },
	[IOLITE_EDIT_TRUNCATE]	= { .off = true },
	[IOLITE_EDIT_REPLACE]	= { .off = true, .addr = true, .other = true, .consume = true },
	[IOLITE_EDIT_SEEK]	= { .off = true, .addr = true },
};

int io_iolite_edit_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_iolite_edit *ed = io_kiocb_to_cmd(req, struct io_iolite_edit);
	u64 addr3 = READ_ONCE(sqe->addr3);
	u32 op = READ_ONCE(sqe->msg_flags);

	ed->off = READ_ONCE(sqe->off);
	ed->addr = READ_ONCE(sqe->addr);
	ed->flags = READ_ONCE(sqe->ioprio);
	if (sqe->len || op >= IOLITE_NR_EDITS)
		return -EINVAL;
	op = array_index_nospec(op, IOLITE_NR_EDITS);
	if (io_iolite_prep_nofile(req, sqe, &ed->slot))
		return -EINVAL;

	if ((ed->off && !io_iolite_edits[op].off) ||
	    (ed->addr && !io_iolite_edits[op].addr) ||
	    addr3 > (io_iolite_edits[op].other ? U32_MAX : 0))
		return -EINVAL;
	if (ed->flags & ~(io_iolite_edits[op].consume ? IOLITE_EDIT_CONSUME : 0))
		return -EINVAL;
	if (ed->flags & IOLITE_EDIT_CONSUME && addr3 == ed->slot)
		return -EINVAL;
	if (io_iolite_edits[op].makes &&
	    (addr3 == ed->slot ||
	     (addr3 == IOLITE_SLOT_ALLOC && req->flags & REQ_F_CQE_SKIP)))
		return -EINVAL;
	if (op == IOLITE_EDIT_SEEK && ed->addr > SEEK_END)
		return -EINVAL;
	ed->op = op;
	ed->other = addr3;
	return 0;
}

/* Edits that put another aggregate's bytes into @obj */
static int io_iolite_edit_join(struct io_ring_ctx *ctx, struct io_iolite_edit *ed,
			       struct io_iolite *obj)
{
	struct io_iolite *other = io_iolite_lookup(ctx, ed->other);
	int ret;

	if (IS_ERR(other))
		return PTR_ERR(other);
	if (!iolite_agg_sealed(&other->agg))
		return -EBUSY;

	if (ed->op == IOLITE_EDIT_CONCAT)
		ret = iolite_agg_concat(&obj->agg, &other->agg);
	else if (ed->op == IOLITE_EDIT_PREPEND)
		ret = iolite_agg_prepend(&obj->agg, &other->agg);
	else
		ret = iolite_agg_replace(&obj->agg, ed->off, ed->addr, &other->agg);
	if (!ret && ed->flags & IOLITE_EDIT_CONSUME)
		io_iolite_clear(ctx, ed->other);
	return ret;
}

/* Edits that fill another slot out of @obj; returns that slot */
static int io_iolite_edit_make(struct io_ring_ctx *ctx, struct io_iolite_edit *ed,
			       struct io_iolite *obj)
{
	struct io_iolite *made;
	int slot, ret = 0;

	slot = io_iolite_find_slot(ctx, ed->other);
	if (slot < 0)
		return slot;
	made = io_iolite_new(ctx);
	if (!made)
		return -ENOMEM;
	if (ed->op == IOLITE_EDIT_DUP)
		iolite_agg_dup(&obj->agg, &made->agg);
	else
		ret = iolite_agg_split(&obj->agg, ed->off, &made->agg);
	if (ret) {
		io_iolite_put(ctx, made);
		return ret;
	}
	io_iolite_install(ctx, slot, made);
	return slot;
}

static int __io_iolite_edit(struct io_ring_ctx *ctx, struct io_iolite_edit *ed, u32 *cflags)
{
	struct io_iolite *obj = io_iolite_lookup(ctx, ed->slot);
	int ret;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (ed->op == IOLITE_EDIT_LENGTH)
		return obj->agg.len;
	if (!iolite_agg_sealed(&obj->agg))
		return -EBUSY;
	if (ed->op == IOLITE_EDIT_TELL)
		return obj->agg.cursor;
	if (obj->busy && ed->op != IOLITE_EDIT_DUP)
		return -EBUSY;

	switch (ed->op) {
	case IOLITE_EDIT_CONCAT:
	case IOLITE_EDIT_PREPEND:
		return io_iolite_edit_join(ctx, ed, obj) ?: obj->agg.len;
	case IOLITE_EDIT_REPLACE:
		return io_iolite_edit_join(ctx, ed, obj);
	case IOLITE_EDIT_TRUNCATE:
		return iolite_agg_truncate(&obj->agg, ed->off);
	case IOLITE_EDIT_SEEK:
		return iolite_agg_seek(&obj->agg, ed->off, ed->addr);
	}
	ret = io_iolite_edit_make(ctx, ed, obj);
	if (ret < 0)
		return ret;
	*cflags = io_iolite_cqe_flags(ed->other, ret);
	return 0;
}

int io_iolite_edit(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_iolite_edit *ed = io_kiocb_to_cmd(req, struct io_iolite_edit);
	u32 cflags = 0;
	int ret;

	io_ring_submit_lock(req->ctx, issue_flags);
	ret = __io_iolite_edit(req->ctx, ed, &cflags);
	io_ring_submit_unlock(req->ctx, issue_flags);
	return io_iolite_complete(req, ret, cflags);
}

struct io_iolite_map {
	struct file			*file;
	u64				off;
	u64				addr;
	u32				nr;
	u32				slot;
};

int io_iolite_map_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_iolite_map *map = io_kiocb_to_cmd(req, struct io_iolite_map);

	map->off = READ_ONCE(sqe->off);
	map->addr = READ_ONCE(sqe->addr);
	map->nr = READ_ONCE(sqe->len);
	if (!map->nr || sqe->msg_flags || sqe->addr3)
		return -EINVAL;
	return io_iolite_prep_nofile(req, sqe, &map->slot);
}

int io_iolite_map(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_iolite_map *map = io_kiocb_to_cmd(req, struct io_iolite_map);
	struct io_iolite *obj;
	int ret;

	io_ring_submit_lock(req->ctx, issue_flags);
	obj = io_iolite_lookup(req->ctx, map->slot);
	if (IS_ERR(obj))
		ret = PTR_ERR(obj);
	else if (map->off > obj->agg.len)
		ret = -EINVAL;
	else
		ret = iolite_window_map(&obj->agg, map->off, u64_to_user_ptr(map->addr),
					map->nr);
	io_ring_submit_unlock(req->ctx, issue_flags);
	return io_iolite_complete(req, ret, 0);
}

struct io_iolite_free {
	struct file			*file;
	u32				slot;
	u32				nr;
};

int io_iolite_free_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_iolite_free *fr = io_kiocb_to_cmd(req, struct io_iolite_free);

	fr->nr = READ_ONCE(sqe->len);
	if (!fr->nr || sqe->off || sqe->addr || sqe->msg_flags || sqe->addr3)
		return -EINVAL;
	return io_iolite_prep_nofile(req, sqe, &fr->slot);
}

/* Returns how many slots there was something in */
static int __io_iolite_free(struct io_ring_ctx *ctx, struct io_iolite_free *fr)
{
	struct io_iolite_table *table = ctx->iolite;
	u32 i, slot, freed = 0;

	if (!table)
		return -ENXIO;
	if (fr->slot >= table->nr || fr->nr > table->nr - fr->slot)
		return -EINVAL;
	slot = array_index_nospec(fr->slot, table->nr);
	for (i = 0; i < fr->nr; i++)
		freed += io_iolite_clear(ctx, slot + i);
	return freed;
}

int io_iolite_free(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_iolite_free *fr = io_kiocb_to_cmd(req, struct io_iolite_free);
	int ret;

	io_ring_submit_lock(req->ctx, issue_flags);
	ret = __io_iolite_free(req->ctx, fr);
	io_ring_submit_unlock(req->ctx, issue_flags);
	return io_iolite_complete(req, ret, 0);
}

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_IOLITE_H
#define IOU_IOLITE_H

#include <linux/errno.h>
#include <linux/io_uring_types.h>
#include <linux/iolite.h>

struct sock;

#ifdef CONFIG_IOLITE

/**
 * struct io_iolite - an aggregate as a ring knows it
 * @refs: by the slot that names it, and by each request that works on it
 * @busy: a request that may run without ->uring_lock needs it unchanged, and
 *	alone moves its cursor
 * @agg: what it is all about
 *
 * Everything is protected by ->uring_lock, but for this: who has set @busy may
 * look at @agg's slices without it, and who has not put the aggregate into a
 * slot yet may do as he likes.
 */
struct io_iolite {
	unsigned int			refs;
	bool				busy;
	struct iolite_agg		agg;
};

/**
 * struct io_iolite_table - the aggregates of a ring
 * @nr: number of @slots
 * @hint: where to look for a free slot first
 * @bitmap: set for slots in use
 * @cache: of struct io_iolite, so that a response needs no allocator
 * @pool: for what READ has to copy; NULL before the first READ
 * @user: charged for what READ holds of files; who registered the table
 * @slots: aggregates, NULL where empty
 *
 * All under ->uring_lock.
 */
struct io_iolite_table {
	unsigned int			nr;
	unsigned int			hint;
	unsigned long			*bitmap;
	struct io_alloc_cache		cache;
	struct iolite_pool		*pool;
	struct user_struct		*user;
	struct io_iolite		*slots[] __counted_by(nr);
};

int io_register_iolite(struct io_ring_ctx *ctx, struct iolite_reg_table __user *arg);
int io_unregister_iolite(struct io_ring_ctx *ctx);
int io_register_iolite_pool(struct iolite_reg_pool __user *arg);

struct io_iolite *io_iolite_new(struct io_ring_ctx *ctx);
void io_iolite_put(struct io_ring_ctx *ctx, struct io_iolite *obj);
struct io_iolite *io_iolite_lookup(struct io_ring_ctx *ctx, u32 slot);
int io_iolite_find_slot(struct io_ring_ctx *ctx, u32 slot);
void io_iolite_install(struct io_ring_ctx *ctx, u32 slot, struct io_iolite *obj);
bool io_iolite_clear(struct io_ring_ctx *ctx, u32 slot);
int io_iolite_prep_slot(struct io_kiocb *req, const struct io_uring_sqe *sqe, u32 *slot);

/*
 * A request takes an aggregate that is to stay as it is although ->uring_lock
 * is dropped, and gives it back.
 */
static inline void io_iolite_pin(struct io_iolite *obj)
{
	obj->refs++;
	obj->busy = true;
}

static inline void io_iolite_unpin(struct io_ring_ctx *ctx, struct io_iolite *obj)
{
	obj->busy = false;
	io_iolite_put(ctx, obj);
}

/* The flags of a completion that tell which free slot was found */
static inline u32 io_iolite_cqe_flags(u32 wanted, u32 slot)
{
	return wanted == IOLITE_SLOT_ALLOC ? slot << IOLITE_CQE_SLOT_SHIFT : 0;
}

static inline bool io_iolite_is_window(unsigned long pgoff)
{
	return pgoff == IOLITE_OFF_WINDOW >> PAGE_SHIFT;
}

int io_iolite_alloc_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_iolite_alloc(struct io_kiocb *req, unsigned int issue_flags);
int io_iolite_seal_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_iolite_seal(struct io_kiocb *req, unsigned int issue_flags);
int io_iolite_edit_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_iolite_edit(struct io_kiocb *req, unsigned int issue_flags);
int io_iolite_map_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_iolite_map(struct io_kiocb *req, unsigned int issue_flags);
int io_iolite_free_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_iolite_free(struct io_kiocb *req, unsigned int issue_flags);

/* iolite_rw.c */
int io_iolite_read_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_iolite_read(struct io_kiocb *req, unsigned int issue_flags);
void io_iolite_read_fail(struct io_kiocb *req);
void io_iolite_read_cleanup(struct io_kiocb *req);
int io_iolite_write_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_iolite_write(struct io_kiocb *req, unsigned int issue_flags);
void io_iolite_write_fail(struct io_kiocb *req);
void io_iolite_write_cleanup(struct io_kiocb *req);
int io_iolite_sink_start(struct io_ring_ctx *ctx, struct iolite_sink *sink,
			 unsigned int issue_flags);
void io_iolite_sink_end(struct iolite_sink *sink, unsigned int issue_flags);
bool io_iolite_is_memory(const struct file *file);
bool io_iolite_takes_pages(const struct sock *sk);
size_t io_iolite_send_max(const struct sock *sk);
void io_iolite_poll_again(struct io_kiocb *req);

/* iolite_transmit.c */
int io_iolite_transmit_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_iolite_transmit(struct io_kiocb *req, unsigned int issue_flags);
void io_iolite_transmit_fail(struct io_kiocb *req);
void io_iolite_transmit_cleanup(struct io_kiocb *req);

#else

static inline int io_register_iolite(struct io_ring_ctx *ctx, void __user *arg)
{
	return -EOPNOTSUPP;
}

static inline int io_unregister_iolite(struct io_ring_ctx *ctx)
{
	return -EOPNOTSUPP;
}

static inline int io_register_iolite_pool(void __user *arg)
{
	return -EOPNOTSUPP;
}

static inline bool io_iolite_is_window(unsigned long pgoff)
{
	return false;
}

#endif /* CONFIG_IOLITE */
#endif

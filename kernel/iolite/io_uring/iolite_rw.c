// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: from files to aggregates, and from aggregates to sockets and files.
 *
 * READ gathers what it reads in an aggregate of its own, and puts that into its
 * slot when it is done.  WRITE pins the aggregate in its slot and moves the
 * cursor as it goes.  Both do in one attempt what they can without waiting, and
 * then go on where they were: once poll says so, once a folio is unlocked, or
 * in io-wq.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/io_uring.h>
#include <linux/iolite.h>
#include <linux/iolite_cow.h>
#include <linux/net.h>
#include <linux/pagemap.h>
#include <linux/poll.h>
#include <linux/sched/user.h>
#include <linux/shmem_fs.h>
#include <linux/skmsg.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <linux/uio.h>
#include <net/hotdata.h>
#include <net/sock.h>

#include <uapi/linux/io_uring.h>
#include <uapi/linux/iolite.h>

#include "io_uring.h"
#include "filetable.h"
#include "iolite.h"
#include "poll.h"

/* As many bvecs as are kept on the stack */
#define IO_IOLITE_BVECS		16

/* How often a socket may be polled without taking anything, as in poll.c */
#define IO_IOLITE_POLL_RETRIES	128

/* ---- Files, either way ---- */

static bool io_iolite_supports_nowait(struct io_kiocb *req, __poll_t mask)
{
	if (req->flags & REQ_F_SUPPORT_NOWAIT)
		return true;
	if (io_file_can_poll(req)) {
		struct poll_table_struct pt = { ._key = mask };

		return vfs_poll(req->file, &pt) & mask;
	}
	return false;
}

/**
 * io_iolite_is_memory - may a file be used without IOCB_NOWAIT where nobody may wait?
 * @file: any
 *
 * tmpfs knows nothing of IOCB_NOWAIT, but waits for nothing but swap either.
 *
 * Return: whether it is a file of tmpfs, none of it swapped out.
 */
bool io_iolite_is_memory(const struct file *file)
{
	return shmem_mapping(file->f_mapping) && iolite_maps_itself(file) &&
	       !READ_ONCE(SHMEM_I(file_inode(file))->swapped);
}

/* Without an iterator there is only ->read(), which wants user memory. */
static int io_iolite_check_file(struct file *file, int ddir)
{
	bool read = ddir == READ;

	if (!(file->f_mode & (read ? FMODE_READ : FMODE_WRITE)))
		return -EBADF;
	if (!(file->f_mode & (read ? FMODE_CAN_READ : FMODE_CAN_WRITE)))
		return -EINVAL;
	if (read ? !file->f_op->read_iter : !file->f_op->write_iter)
		return S_ISDIR(file_inode(file)->i_mode) ? -EISDIR : -EOPNOTSUPP;
	return 0;
}

/*
 * Sets up one attempt.  It is synchronous as far as the file can tell, so the
 * kiocb may live on the stack.  Direct I/O would wait for the device then, so
 * unless it was asked not to be punted it is left to io-wq.
 */
static int io_iolite_init_kiocb(struct io_kiocb *req, struct kiocb *kiocb, int ddir,
				rwf_t rw_flags, unsigned int issue_flags)
{
	struct file *file = req->file;
	int ret;

	ret = io_iolite_check_file(file, ddir);
	if (unlikely(ret))
		return ret;
	if (!(req->flags & REQ_F_FIXED_FILE))
		req->flags |= io_file_get_flags(file);

	init_sync_kiocb(kiocb, file);
	ret = kiocb_set_rw_flags(kiocb, rw_flags, ddir);
	if (unlikely(ret))
		return ret;
	if (kiocb->ki_flags & IOCB_HIPRI)
		return -EINVAL;

	/* as in io_rw_init_file() */
	if (kiocb->ki_flags & IOCB_NOWAIT ||
	    (file->f_flags & O_NONBLOCK && !(req->flags & REQ_F_SUPPORT_NOWAIT)))
		req->flags |= REQ_F_NOWAIT;

	if (!(issue_flags & IO_URING_F_NONBLOCK)) {
		kiocb->ki_flags &= ~IOCB_NOWAIT;
		return 0;
	}
	if (ddir == READ && io_iolite_is_memory(file))
		return 0;
	/* iolite_shmem_write_iter() finds out whether it needs to wait. */
	if (!(ddir == WRITE && io_iolite_is_memory(file)) &&
	    !io_iolite_supports_nowait(req, ddir == READ ? EPOLLIN : EPOLLOUT))
		return -EAGAIN;
	if (kiocb->ki_flags & IOCB_DIRECT && !(req->flags & REQ_F_NOWAIT))
		return -EAGAIN;
	kiocb->ki_flags |= IOCB_NOWAIT;
	return 0;
}

/* Position -1 is the file's own, which is read once and written back at last. */
static int io_iolite_verify_area(struct io_kiocb *req, struct kiocb *kiocb, int ddir,
				 loff_t *pos, size_t len)
{
	loff_t *ppos = pos;

	if (*pos == -1) {
		if (req->file->f_mode & FMODE_STREAM) {
			*pos = 0;
			ppos = NULL;
		} else {
			*pos = req->file->f_pos;
			req->flags |= REQ_F_CUR_POS;
		}
	}
	kiocb->ki_pos = *pos;
	return rw_verify_area(ddir, req->file, ppos, len);
}

/* Whether a short transfer is worth another attempt */
static bool io_iolite_is_storage(struct io_kiocb *req)
{
	umode_t mode = file_inode(req->file)->i_mode;

	return S_ISREG(mode) || S_ISBLK(mode);
}

/* ---- READ ---- */

/**
 * struct io_iolite_read - a READ
 * @file: read from
 * @obj: what was read so far; NULL before the first attempt and at the end
 * @target: pinned, with IOLITE_READ_APPEND: what @obj will be added to
 * @pos: where to go on
 * @len: bytes in all
 * @slot: from the SQE
 * @rw_flags: from the SQE
 * @flags: IOLITE_READ_*
 */
struct io_iolite_read {
	struct file			*file;
	struct io_iolite		*obj;
	struct io_iolite		*target;
	loff_t				pos;
	u32				len;
	u32				slot;
	rwf_t				rw_flags;
	u16				flags;
};

int io_iolite_read_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_iolite_read *rd = io_kiocb_to_cmd(req, struct io_iolite_read);

	rd->obj = NULL;
	rd->target = NULL;
	rd->pos = READ_ONCE(sqe->off);
	rd->len = min_t(u32, READ_ONCE(sqe->len), MAX_RW_COUNT);
	rd->rw_flags = (__force rwf_t)READ_ONCE(sqe->rw_flags);
	rd->flags = READ_ONCE(sqe->ioprio);
	if (rd->flags & ~IOLITE_READ_APPEND)
		return -EINVAL;
	if (sqe->addr || sqe->addr3)
		return -EINVAL;
	if (io_iolite_prep_slot(req, sqe, &rd->slot))
		return -EINVAL;
	/* nothing to add to; or only the completion would tell which slot it is */
	if (rd->slot == IOLITE_SLOT_ALLOC &&
	    (rd->flags & IOLITE_READ_APPEND || req->flags & REQ_F_CQE_SKIP))
		return -EINVAL;
	return 0;
}

static struct io_iolite *io_iolite_read_append(struct io_kiocb *req, struct io_iolite_read *rd)
{
	struct io_iolite *target = io_iolite_lookup(req->ctx, rd->slot);
	u32 room;

	if (IS_ERR(target))
		return target;
	if (target->busy || !iolite_agg_sealed(&target->agg))
		return ERR_PTR(-EBUSY);
	room = IOLITE_AGG_MAX_BYTES - target->agg.len;
	if (rd->len && !room)
		return ERR_PTR(-E2BIG);
	/* A file can be read again. */
	if (target->agg.nr > IOLITE_AGG_MAX_SLICES - IOLITE_AGG_INLINE &&
	    !io_iolite_is_storage(req))
		return ERR_PTR(-E2BIG);
	rd->len = min(rd->len, room);
	return target;
}

static int io_iolite_read_start(struct io_kiocb *req, struct io_iolite_read *rd)
{
	struct io_iolite *target = NULL;

	if (rd->flags & IOLITE_READ_APPEND) {
		target = io_iolite_read_append(req, rd);
		if (IS_ERR(target))
			return PTR_ERR(target);
	}
	rd->obj = io_iolite_new(req->ctx);
	if (!rd->obj)
		return -ENOMEM;
	if (target) {
		io_iolite_pin(target);
		rd->target = target;
	}
	req->flags |= REQ_F_NEED_CLEANUP;
	return 0;
}

/**
 * io_iolite_sink_start - who pays for what an attempt of a request reads
 * @ctx: ring
 * @sink: gets the pool and the user of the ring's table, which may have changed
 *	since the last attempt, or be gone
 * @issue_flags: of the attempt
 *
 * Return: 0, to be followed by io_iolite_sink_end(), -ENXIO without a table,
 * -ENOMEM.
 */
int io_iolite_sink_start(struct io_ring_ctx *ctx, struct iolite_sink *sink,
			 unsigned int issue_flags)
{
	struct io_iolite_table *table;
	int ret = -ENXIO;

	io_ring_submit_lock(ctx, issue_flags);
	table = ctx->iolite;
	if (unlikely(!table))
		goto unlock;
	ret = table->pool ? 0 : iolite_pool_create(table->user, 0, 0, &table->pool);
	if (unlikely(ret))
		goto unlock;
	sink->pool = table->pool;
	sink->user = table->user;
	/* Without the lock the table may go while they are needed. */
	if (issue_flags & IO_URING_F_UNLOCKED) {
		iolite_pool_get(sink->pool);
		get_uid(sink->user);
	}
unlock:
	io_ring_submit_unlock(ctx, issue_flags);
	return ret;
}

/**
 * io_iolite_sink_end - the end of an attempt
 * @sink: of io_iolite_sink_start()
 * @issue_flags: the same
 */
void io_iolite_sink_end(struct iolite_sink *sink, unsigned int issue_flags)
{
	if (issue_flags & IO_URING_F_UNLOCKED) {
		free_uid(sink->user);
		iolite_pool_put(sink->pool);
	}
}

/*
 * Puts what was read where it belongs, however little it is.  Returns its
 * length, or an error if it has no place any more.
 */
static int io_iolite_read_finish(struct io_kiocb *req, struct io_iolite_read *rd)
{
	struct io_ring_ctx *ctx = req->ctx;
	struct io_iolite *obj = rd->obj;
	int ret, len = obj->agg.len;
	u32 cflags = 0;

	if (rd->target) {
		ret = iolite_agg_concat(&rd->target->agg, &obj->agg);
		io_iolite_unpin(ctx, rd->target);
		io_iolite_put(ctx, obj);
	} else {
		ret = io_iolite_find_slot(ctx, rd->slot);
		if (ret >= 0) {
			cflags = io_iolite_cqe_flags(rd->slot, ret);
			io_iolite_install(ctx, ret, obj);
		} else {
			io_iolite_put(ctx, obj);
		}
	}
	rd->obj = NULL;
	rd->target = NULL;
	req->flags &= ~REQ_F_NEED_CLEANUP;
	if (ret < 0)
		return ret;

	if (req->flags & REQ_F_CUR_POS)
		req->file->f_pos = rd->pos;
	if (len)
		fsnotify_access(req->file);
	io_req_set_res(req, len, cflags);
	return len;
}

/* The folio that the read waits for was unlocked; as in io_async_buf_func() */
static int io_iolite_folio_unlocked(struct wait_queue_entry *wait, unsigned int mode,
				    int sync, void *arg)
{
	struct wait_page_queue *wpq = container_of(wait, struct wait_page_queue, wait);
	struct wait_page_key *key = arg;

	if (!wake_page_match(wpq, key))
		return 0;
	list_del_init(&wait->entry);
	io_req_task_queue(wait->private);
	return 1;
}

/*
 * Lets the next attempt wait for a folio by call-back instead of in io-wq.
 * Returns false where only io-wq will do.
 */
static bool io_iolite_arm_folio_wait(struct io_kiocb *req, struct kiocb *kiocb)
{
	struct wait_page_queue *wait;

	/* -EAGAIN is what was asked for with NOWAIT */
	if (req->flags & REQ_F_NOWAIT || kiocb->ki_flags & IOCB_DIRECT)
		return false;
	/* what is read into buffers first has nowhere to leave them while it waits */
	if (!mapping_iolite(req->file->f_mapping) ||
	    !(req->file->f_op->fop_flags & FOP_BUFFER_RASYNC))
		return false;
	if (!req_has_async_data(req) && !io_uring_alloc_async_data(NULL, req))
		return false;

	wait = req->async_data;
	wait->wait.func = io_iolite_folio_unlocked;
	wait->wait.private = req;
	wait->wait.flags = 0;
	INIT_LIST_HEAD(&wait->wait.entry);
	kiocb->ki_flags |= IOCB_WAITQ;
	kiocb->ki_flags &= ~IOCB_NOWAIT;
	kiocb->ki_waitq = wait;
	return true;
}

/*
 * Reads on until there is enough, the file ends, an error occurs, or it would
 * have to wait: the latter with -EAGAIN, or -EIOCBQUEUED if it is being waited.
 */
static int io_iolite_read_on(struct io_kiocb *req, struct io_iolite_read *rd,
			     struct iolite_sink *sink, unsigned int issue_flags)
{
	struct iolite_agg *agg = &rd->obj->agg;
	struct kiocb kiocb;
	bool nowait;
	ssize_t ret;

	ret = io_iolite_init_kiocb(req, &kiocb, READ, rd->rw_flags, issue_flags);
	if (unlikely(ret))
		return ret;
	ret = io_iolite_verify_area(req, &kiocb, READ, &rd->pos, rd->len - agg->len);
	if (unlikely(ret))
		return ret;

	sink->agg = agg;
	nowait = kiocb.ki_flags & IOCB_NOWAIT;
	while (agg->len < rd->len) {
		ret = iolite_read_iter(&kiocb, rd->len - agg->len, sink);
		/* nothing but retrying is left then, and that may be going on */
		if (ret == -EIOCBQUEUED)
			return ret;
		rd->pos = kiocb.ki_pos;
		if (ret == -EOPNOTSUPP && nowait)
			ret = -EAGAIN;
		if (!ret || agg->len == rd->len || (ret < 0 && ret != -EAGAIN))
			break;
		/* a short read from something else is all there is for now */
		if (!io_iolite_is_storage(req) || io_file_can_poll(req))
			break;
		if (ret == -EAGAIN && (!nowait || kiocb.ki_flags & IOCB_WAITQ))
			break;
		if (nowait && !io_iolite_arm_folio_wait(req, &kiocb)) {
			ret = -EAGAIN;
			break;
		}
	}
	return min_t(ssize_t, ret, 0);
}

static int __io_iolite_read(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_iolite_read *rd = io_kiocb_to_cmd(req, struct io_iolite_read);
	struct io_ring_ctx *ctx = req->ctx;
	struct iolite_sink sink __uninitialized;
	int ret;

	ret = io_iolite_sink_start(ctx, &sink, issue_flags);
	if (unlikely(ret))
		return ret;
	io_ring_submit_lock(ctx, issue_flags);
	/* What a stream gave is gone from there: without a slot for it do not read. */
	ret = io_iolite_find_slot(ctx, rd->slot);
	if (likely(ret >= 0))
		ret = rd->obj ? 0 : io_iolite_read_start(req, rd);
	io_ring_submit_unlock(ctx, issue_flags);
	if (likely(!ret))
		ret = io_iolite_read_on(req, rd, &sink, issue_flags);
	io_iolite_sink_end(&sink, issue_flags);
	if (ret == -EIOCBQUEUED)
		return IOU_ISSUE_SKIP_COMPLETE;
	/* io_iolite_read_fail() minds what was read before the error */
	if (ret < 0)
		return ret;

	io_ring_submit_lock(ctx, issue_flags);
	ret = io_iolite_read_finish(req, rd);
	io_ring_submit_unlock(ctx, issue_flags);
	if (ret < 0)
		io_req_set_res(req, ret, 0);
	if (ret != rd->len)
		req_set_fail(req);
	return IOU_COMPLETE;
}

int io_iolite_read(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_iolite_read *rd = io_kiocb_to_cmd(req, struct io_iolite_read);
	int ret;

	/* An attempt that does not block keeps the lock, so that a free slot stays free. */
	if (rd->slot == IOLITE_SLOT_ALLOC && issue_flags & IO_URING_F_UNLOCKED &&
	    (issue_flags & IO_URING_F_NONBLOCK ||
	     (io_file_can_poll(req) &&
	      io_file_get_flags(req->file) & REQ_F_SUPPORT_NOWAIT))) {
		io_ring_submit_lock(req->ctx, issue_flags);
		ret = __io_iolite_read(req, (issue_flags & ~IO_URING_F_UNLOCKED) |
				       IO_URING_F_NONBLOCK);
		io_ring_submit_unlock(req->ctx, issue_flags);
		if (ret != -EAGAIN || issue_flags & IO_URING_F_NONBLOCK)
			return ret;
	}
	return __io_iolite_read(req, issue_flags);
}

void io_iolite_read_fail(struct io_kiocb *req)
{
	struct io_iolite_read *rd = io_kiocb_to_cmd(req, struct io_iolite_read);

	if (rd->obj && rd->obj->agg.len)
		io_iolite_read_finish(req, rd);
}

void io_iolite_read_cleanup(struct io_kiocb *req)
{
	struct io_iolite_read *rd = io_kiocb_to_cmd(req, struct io_iolite_read);

	if (rd->target)
		io_iolite_unpin(req->ctx, rd->target);
	io_iolite_put(req->ctx, rd->obj);
}

/* ---- WRITE ---- */

/**
 * struct io_iolite_write - a WRITE
 * @file: written to
 * @obj: pinned; NULL before the first attempt and at the end
 * @pos: where to go on in a file
 * @len: bytes in all; from the SQE before the first attempt
 * @done: bytes written
 * @slot: from the SQE
 * @op_flags: msg_flags or rw_flags from the SQE
 * @flags: IOLITE_WRITE_*
 * @addr_len: of the destination in ->async_data, or 0
 */
struct io_iolite_write {
	struct file			*file;
	struct io_iolite		*obj;
	loff_t				pos;
	u32				len;
	u32				done;
	u32				slot;
	u32				op_flags;
	u16				flags;
	u16				addr_len;
};

int io_iolite_write_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_iolite_write *wr = io_kiocb_to_cmd(req, struct io_iolite_write);
	void __user *addr = u64_to_user_ptr(READ_ONCE(sqe->addr));
	u64 addr_len = READ_ONCE(sqe->addr3);

	wr->obj = NULL;
	wr->done = 0;
	wr->pos = READ_ONCE(sqe->off);
	wr->len = READ_ONCE(sqe->len);
	wr->op_flags = READ_ONCE(sqe->msg_flags);
	wr->flags = READ_ONCE(sqe->ioprio);
	if (wr->flags & ~(IOLITE_WRITE_POLL_FIRST | IOLITE_WRITE_FREE))
		return -EINVAL;
	if (!addr != !addr_len || addr_len > sizeof(struct sockaddr_storage))
		return -EINVAL;
	if (io_iolite_prep_slot(req, sqe, &wr->slot))
		return -EINVAL;

	wr->addr_len = addr_len;
	if (!addr)
		return 0;
	if (!io_uring_alloc_async_data(NULL, req))
		return -ENOMEM;
	return move_addr_to_kernel(addr, addr_len, req->async_data);
}

static int io_iolite_write_start(struct io_kiocb *req, struct io_iolite_write *wr)
{
	struct io_iolite *obj = io_iolite_lookup(req->ctx, wr->slot);
	u32 left;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (obj->busy || !iolite_agg_sealed(&obj->agg))
		return -EBUSY;
	left = obj->agg.len - obj->agg.cursor;
	wr->len = wr->len ? min(wr->len, left) : left;
	wr->obj = obj;
	io_iolite_pin(obj);
	req->flags |= REQ_F_NEED_CLEANUP;
	return 0;
}

static struct bio_vec *io_iolite_bvecs_alloc(const struct iolite_agg *agg,
					     struct bio_vec *on_stack, unsigned int *max)
{
	*max = IO_IOLITE_BVECS;
	if (agg->nr <= IO_IOLITE_BVECS)
		return on_stack;
	*max = min(agg->nr, UIO_MAXIOV);
	return kmalloc_array(*max, sizeof(struct bio_vec), IOLITE_GFP);
}

/* A sockmap's verdict program gets a copy. */
static bool io_iolite_in_sockmap(const struct sock *sk)
{
	bool ret = false;

#ifdef CONFIG_NET_SOCK_MSG
	rcu_read_lock();
	ret = sk_psock(sk);
	rcu_read_unlock();
#endif
	return ret;
}

/**
 * io_iolite_takes_pages - may a socket be written to with MSG_SPLICE_PAGES?
 * @sk: any
 *
 * Other protocols ignore it and copy, or do strange things.  IP clears the flag
 * where it copies a datagram.
 *
 * Return: whether it may; else the stack copies.
 */
bool io_iolite_takes_pages(const struct sock *sk)
{
	switch (sk->sk_family) {
	case AF_INET:
	case AF_INET6:
		if (sk->sk_type == SOCK_STREAM)
			return sk->sk_protocol == IPPROTO_TCP &&
			       sk->sk_route_caps & NETIF_F_SG && !io_iolite_in_sockmap(sk);
		return sk->sk_type == SOCK_DGRAM && sk->sk_protocol == IPPROTO_UDP;
	case AF_UNIX:
		return sk->sk_type == SOCK_STREAM;
	}
	return false;
}

/**
 * io_iolite_send_max - bytes to give to a stream socket at once
 * @sk: the socket
 *
 * A UNIX socket looks at its limit before a packet only, and fills that with as
 * many pages as it is given.  So give it no more at once than it would take of
 * bytes.  TCP has a limit of its own.
 *
 * Return: bytes at most.
 */
size_t io_iolite_send_max(const struct sock *sk)
{
	if (sk->sk_family != AF_UNIX)
		return SIZE_MAX;
	return READ_ONCE(sk->sk_sndbuf) / 2;
}

static ssize_t io_iolite_send_stream(struct socket *sock, struct msghdr *msg,
				     const struct iolite_agg *agg, size_t len)
{
	size_t bytes, sent = 0, max = io_iolite_send_max(sock->sk);
	struct bio_vec bvecs[IO_IOLITE_BVECS] __uninitialized;
	unsigned int nr, flags = msg->msg_flags;
	ssize_t ret;

	do {
		nr = iolite_agg_bvecs(agg, agg->cursor + sent, min(len - sent, max), bvecs,
				      ARRAY_SIZE(bvecs), &bytes);
		iov_iter_bvec(&msg->msg_iter, ITER_SOURCE, bvecs, nr, bytes);
		msg->msg_flags = sent + bytes < len ? flags | MSG_MORE : flags;
		ret = sock_sendmsg(sock, msg);
		if (ret <= 0)
			break;
		sent += ret;
	} while (ret == bytes && sent < len);

	return sent ?: ret;
}

static unsigned int io_iolite_bvec_pages(const struct bio_vec *bvecs, unsigned int nr)
{
	unsigned int i, pages = 0;

	for (i = 0; i < nr; i++)
		pages += DIV_ROUND_UP(offset_in_page(bvecs[i].bv_offset) + bvecs[i].bv_len,
				      PAGE_SIZE);
	return pages;
}

/*
 * A message leaves in one piece or not at all.  A packet has only so many
 * frags: rather than to fail, a message in more pages than that is copied.
 */
static ssize_t io_iolite_send_message(struct socket *sock, struct msghdr *msg,
				      const struct iolite_agg *agg, size_t len)
{
	struct bio_vec on_stack[IO_IOLITE_BVECS], *bvecs;
	ssize_t ret = -EMSGSIZE;
	unsigned int nr, max;
	size_t bytes;

	bvecs = io_iolite_bvecs_alloc(agg, on_stack, &max);
	if (!bvecs)
		return -ENOMEM;
	nr = iolite_agg_bvecs(agg, agg->cursor, len, bvecs, max, &bytes);
	if (bytes == len) {
		if (io_iolite_bvec_pages(bvecs, nr) >
		    READ_ONCE(net_hotdata.sysctl_max_skb_frags))
			msg->msg_flags &= ~MSG_SPLICE_PAGES;
		iov_iter_bvec(&msg->msg_iter, ITER_SOURCE, bvecs, nr, bytes);
		ret = sock_sendmsg(sock, msg);
	}
	if (bvecs != on_stack)
		kfree(bvecs);
	return ret;
}

#define IO_IOLITE_MSG_FLAGS	(MSG_MORE | MSG_NOSIGNAL | MSG_WAITALL | MSG_DONTWAIT)

static ssize_t io_iolite_send(struct io_kiocb *req, struct io_iolite_write *wr,
			      struct socket *sock, unsigned int issue_flags)
{
	const struct iolite_agg *agg = &wr->obj->agg;
	size_t len = wr->len - wr->done;
	struct msghdr msg = { };
	ssize_t ret;

	if (wr->op_flags & ~IO_IOLITE_MSG_FLAGS || (wr->pos && wr->pos != -1))
		return -EINVAL;
	if (!len)
		return 0;
	if (wr->op_flags & MSG_DONTWAIT)
		req->flags |= REQ_F_NOWAIT;
	if (wr->flags & IOLITE_WRITE_POLL_FIRST && !(req->flags & REQ_F_POLLED))
		return -EAGAIN;

	if (wr->addr_len) {
		msg.msg_name = req->async_data;
		msg.msg_namelen = wr->addr_len;
	}
	/* waiting for all is our business: TLS would refuse the flag */
	msg.msg_flags = (wr->op_flags & ~MSG_WAITALL) | MSG_NOSIGNAL;
	if (issue_flags & IO_URING_F_NONBLOCK)
		msg.msg_flags |= MSG_DONTWAIT;
	if (io_iolite_takes_pages(sock->sk))
		msg.msg_flags |= MSG_SPLICE_PAGES;

	if (sock->type == SOCK_STREAM)
		ret = io_iolite_send_stream(sock, &msg, agg, len);
	else
		ret = io_iolite_send_message(sock, &msg, agg, len);
	if (ret <= 0)
		return ret;
	/* who copies takes the flag away */
	if (msg.msg_flags & MSG_SPLICE_PAGES)
		iolite_stat_add(IOLITE_STAT_SENT_BYTES, ret);
	else
		iolite_count_copy(IOLITE_COPY_SPECIAL, ret);
	return ret;
}

/* Writes one bvec array full, under freeze protection as vfs_write() has it */
static ssize_t io_iolite_write_iter(struct kiocb *kiocb, struct iov_iter *iter,
				    const struct iolite_agg *agg, u64 start)
{
	struct file *file = kiocb->ki_filp;
	ssize_t ret;

	if (!(kiocb->ki_flags & IOCB_NOWAIT))
		file_start_write(file);
	else if (!file_start_write_trylock(file))
		return -EAGAIN;
	ret = iolite_write_iter(kiocb, iter, agg, start);
	file_end_write(file);

	if (ret > 0)
		fsnotify_modify(file);
	return ret;
}

static ssize_t io_iolite_write_file(struct io_kiocb *req, struct io_iolite_write *wr,
				    unsigned int issue_flags)
{
	struct bio_vec on_stack[IO_IOLITE_BVECS], *bvecs;
	const struct iolite_agg *agg = &wr->obj->agg;
	size_t bytes, done = 0, len = wr->len - wr->done;
	struct file *file = req->file;
	struct iov_iter iter;
	unsigned int nr, max;
	struct kiocb kiocb;
	ssize_t ret;

	if (wr->addr_len || wr->flags & IOLITE_WRITE_POLL_FIRST)
		return -EINVAL;
	ret = io_iolite_init_kiocb(req, &kiocb, WRITE, (__force rwf_t)wr->op_flags,
				   issue_flags);
	if (ret)
		return ret;
	if (kiocb.ki_flags & IOCB_NOWAIT && req->flags & REQ_F_ISREG &&
	    !(kiocb.ki_flags & IOCB_DIRECT) && !(file->f_op->fop_flags & FOP_BUFFER_WASYNC) &&
	    !io_iolite_is_memory(file))
		return -EAGAIN;
	ret = io_iolite_verify_area(req, &kiocb, WRITE, &wr->pos, len);
	if (ret || !len)
		return ret;

	bvecs = io_iolite_bvecs_alloc(agg, on_stack, &max);
	if (!bvecs)
		return -ENOMEM;
	kiocb.ki_flags |= IOCB_WRITE;
	do {
		nr = iolite_agg_bvecs(agg, agg->cursor + done, len - done, bvecs, max, &bytes);
		iov_iter_bvec(&iter, ITER_SOURCE, bvecs, nr, bytes);
		ret = io_iolite_write_iter(&kiocb, &iter, agg, agg->cursor + done);
		if (ret <= 0)
			break;
		done += ret;
	} while (ret == bytes && done < len);
	if (bvecs != on_stack)
		kfree(bvecs);

	wr->pos = kiocb.ki_pos;
	if (done && req->flags & REQ_F_CUR_POS)
		file->f_pos = wr->pos;
	if (ret == -EOPNOTSUPP && kiocb.ki_flags & IOCB_NOWAIT)
		ret = -EAGAIN;
	return done ?: ret;
}

/* Whether to go on after a transfer that fell short */
static bool io_iolite_write_more(struct io_kiocb *req, struct io_iolite_write *wr,
				 struct socket *sock, unsigned int issue_flags)
{
	if (sock)
		return wr->op_flags & MSG_WAITALL && sock->type == SOCK_STREAM;
	return issue_flags & IO_URING_F_NONBLOCK && !(req->flags & REQ_F_NOWAIT) &&
	       io_iolite_is_storage(req);
}

/**
 * io_iolite_poll_again - a socket took some bytes, so let it be polled again
 * @req: the request
 *
 * A socket that takes some bytes each time it is polled is not stuck, and must
 * not end up in io-wq however slow its peer is.
 */
void io_iolite_poll_again(struct io_kiocb *req)
{
	if (req->flags & REQ_F_POLLED)
		req->apoll->poll.retries = IO_IOLITE_POLL_RETRIES;
}

static void io_iolite_write_finish(struct io_kiocb *req, struct io_iolite_write *wr)
{
	struct io_ring_ctx *ctx = req->ctx;

	if (wr->flags & IOLITE_WRITE_FREE && wr->done == wr->len &&
	    io_iolite_lookup(ctx, wr->slot) == wr->obj)
		io_iolite_clear(ctx, wr->slot);
	io_iolite_unpin(ctx, wr->obj);
	wr->obj = NULL;
	req->flags &= ~REQ_F_NEED_CLEANUP;
}

int io_iolite_write(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_iolite_write *wr = io_kiocb_to_cmd(req, struct io_iolite_write);
	struct socket *sock = sock_from_file(req->file);
	struct io_ring_ctx *ctx = req->ctx;
	ssize_t ret;
	bool more;

	if (!wr->obj) {
		io_ring_submit_lock(ctx, issue_flags);
		ret = io_iolite_write_start(req, wr);
		io_ring_submit_unlock(ctx, issue_flags);
		if (unlikely(ret))
			return ret;
	}

	if (sock)
		ret = io_iolite_send(req, wr, sock, issue_flags);
	else
		ret = io_iolite_write_file(req, wr, issue_flags);
	/* io_iolite_write_fail() minds what was written before the error */
	if (ret < 0)
		return ret;

	io_ring_submit_lock(ctx, issue_flags);
	wr->obj->agg.cursor += ret;
	wr->done += ret;
	more = ret && wr->done < wr->len && io_iolite_write_more(req, wr, sock, issue_flags);
	/* by hand: who reaps the completion may use the aggregate at once */
	if (!more)
		io_iolite_write_finish(req, wr);
	io_ring_submit_unlock(ctx, issue_flags);
	if (more) {
		io_iolite_poll_again(req);
		return -EAGAIN;
	}

	if (wr->done < wr->len)
		req_set_fail(req);
	io_req_set_res(req, wr->done, 0);
	return IOU_COMPLETE;
}

void io_iolite_write_fail(struct io_kiocb *req)
{
	struct io_iolite_write *wr = io_kiocb_to_cmd(req, struct io_iolite_write);

	if (wr->done)
		req->cqe.res = wr->done;
}

void io_iolite_write_cleanup(struct io_kiocb *req)
{
	struct io_iolite_write *wr = io_kiocb_to_cmd(req, struct io_iolite_write);

	io_iolite_unpin(req->ctx, wr->obj);
}

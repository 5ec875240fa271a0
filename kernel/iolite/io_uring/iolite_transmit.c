// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: TRANSMIT, a header and bytes of a file or of an aggregate to a stream
 * socket in one request.
 *
 * The fast path of a server makes no objects: the header is copied into a pool's
 * chunk, the file's folios are sealed and referenced for as long as
 * sock_sendmsg() takes to take references of its own.  What a full socket does
 * not take is let go and read again when there is room, so that a slow receiver
 * holds nothing but what is in its socket.
 */
#include <linux/kernel.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/io_uring.h>
#include <linux/iolite.h>
#include <linux/net.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <linux/uio.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>

#include <uapi/linux/io_uring.h>
#include <uapi/linux/iolite.h>

#include "io_uring.h"
#include "filetable.h"
#include "iolite.h"
#include "rsrc.h"

/* Bvecs of one sendmsg(), on the stack: a packet has 17 frags */
#define IO_IOLITE_TRANSMIT_BVECS	34
/* and in a page, where the bytes lie in many folios: each sendmsg() ends with a small packet */
#define IO_IOLITE_TRANSMIT_MANY		(PAGE_SIZE / sizeof(struct bio_vec))

/* Read at once where the bytes have to be copied: no more than the socket has room for */
#define IO_IOLITE_TRANSMIT_COPY		SZ_256K

/*
 * Internal to flags: the stack was told that more comes; the source was found;
 * what comes next has to be read by io-wq
 */
#define IO_IOLITE_CORKED		BIT(13)
#define IO_IOLITE_STARTED		BIT(14)
#define IO_IOLITE_WAIT_FOR_FILE		BIT(15)

/**
 * struct io_iolite_transmit - a TRANSMIT
 * @file: socket
 * @from: source, if a file by its descriptor
 * @node: or by its index in the ring's table
 * @obj: or a duplicate of the aggregate, once ->uring_lock was dropped
 * @pos: next byte of the source
 * @header: next byte of the header, in user memory
 * @len: bytes of the source to come
 * @done: bytes sent, header included
 * @source: file_index of the SQE
 * @header_len: bytes of the header to come
 * @flags: IOLITE_TRANSMIT_*, and those above
 * @msg_flags: from the SQE
 */
struct io_iolite_transmit {
	struct file			*file;
	union {
		struct file		*from;
		struct io_rsrc_node	*node;
		struct io_iolite	*obj;
	};
	u64				pos;
	void __user			*header;
	u32				len;
	u32				done;
	u32				source;
	u16				header_len;
	u16				flags;
	u32				msg_flags;
};

#define IO_IOLITE_TRANSMIT_FLAGS	(IOLITE_TRANSMIT_SLOT | IOLITE_TRANSMIT_FIXED_FILE)
#define IO_IOLITE_TRANSMIT_MSG_FLAGS	(MSG_MORE | MSG_NOSIGNAL | MSG_WAITALL | MSG_DONTWAIT)

int io_iolite_transmit_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_iolite_transmit *tx = io_kiocb_to_cmd(req, struct io_iolite_transmit);
	u64 header_len = READ_ONCE(sqe->addr3);

	tx->from = NULL;
	tx->done = 0;
	tx->pos = READ_ONCE(sqe->off);
	tx->len = min_t(u32, READ_ONCE(sqe->len), MAX_RW_COUNT - IOLITE_TRANSMIT_HEADER_MAX);
	tx->header = u64_to_user_ptr(READ_ONCE(sqe->addr));
	tx->flags = READ_ONCE(sqe->ioprio);
	tx->msg_flags = READ_ONCE(sqe->msg_flags);
	if (tx->flags & ~IO_IOLITE_TRANSMIT_FLAGS ||
	    tx->flags == IO_IOLITE_TRANSMIT_FLAGS ||
	    tx->msg_flags & ~IO_IOLITE_TRANSMIT_MSG_FLAGS)
		return -EINVAL;
	if (header_len > IOLITE_TRANSMIT_HEADER_MAX || (!header_len && tx->header))
		return -EINVAL;
	tx->header_len = header_len;
	if (tx->pos > LLONG_MAX)
		return -EINVAL;
	if (tx->msg_flags & MSG_DONTWAIT)
		req->flags |= REQ_F_NOWAIT;
	return io_iolite_prep_slot(req, sqe, &tx->source);
}

/* ---- The source ---- */

static int io_iolite_transmit_fixed(struct io_kiocb *req, struct io_iolite_transmit *tx,
				    unsigned int issue_flags)
{
	struct io_ring_ctx *ctx = req->ctx;
	struct io_rsrc_node *node;

	io_ring_submit_lock(ctx, issue_flags);
	node = io_rsrc_node_lookup(&ctx->file_table.data, tx->source);
	if (node)
		node->refs++;
	io_ring_submit_unlock(ctx, issue_flags);
	tx->node = node;
	return node ? 0 : -EBADF;
}

static struct file *io_iolite_transmit_from(struct io_iolite_transmit *tx)
{
	return tx->flags & IOLITE_TRANSMIT_FIXED_FILE ? io_slot_file(tx->node) : tx->from;
}

/* The slot may be emptied, or the aggregate changed, while the lock is not held. */
static int io_iolite_transmit_keep(struct io_kiocb *req, struct io_iolite_transmit *tx)
{
	struct io_iolite *from = io_iolite_lookup(req->ctx, tx->source);
	struct io_iolite *obj;

	if (IS_ERR(from))
		return PTR_ERR(from);
	obj = io_iolite_new(req->ctx);
	if (!obj)
		return -ENOMEM;
	iolite_agg_dup(&from->agg, &obj->agg);
	tx->obj = obj;
	return 0;
}

static int io_iolite_transmit_slot(struct io_kiocb *req, struct io_iolite_transmit *tx)
{
	struct io_iolite *obj = io_iolite_lookup(req->ctx, tx->source);
	u64 left;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (!iolite_agg_sealed(&obj->agg))
		return -EBUSY;
	if (tx->pos > obj->agg.len)
		return -EINVAL;
	/* the result has to fit, with the header */
	left = min(obj->agg.len - tx->pos, MAX_RW_COUNT - IOLITE_TRANSMIT_HEADER_MAX);
	tx->len = tx->len ? min(tx->len, left) : left;
	return 0;
}

static int io_iolite_transmit_start(struct io_kiocb *req, struct io_iolite_transmit *tx,
				    unsigned int issue_flags)
{
	struct file *from;
	int ret;

	tx->flags |= IO_IOLITE_STARTED;
	req->flags |= REQ_F_NEED_CLEANUP;
	if (tx->flags & IOLITE_TRANSMIT_SLOT) {
		io_ring_submit_lock(req->ctx, issue_flags);
		ret = io_iolite_transmit_slot(req, tx);
		if (!ret && issue_flags & IO_URING_F_UNLOCKED)
			ret = io_iolite_transmit_keep(req, tx);
		io_ring_submit_unlock(req->ctx, issue_flags);
		return ret;
	}
	if (tx->flags & IOLITE_TRANSMIT_FIXED_FILE) {
		ret = io_iolite_transmit_fixed(req, tx, issue_flags);
		if (ret)
			return ret;
	} else {
		tx->from = io_file_get_normal(req, tx->source);
		if (!tx->from)
			return -EBADF;
	}
	from = io_iolite_transmit_from(tx);
	if (!(from->f_mode & FMODE_READ))
		return -EBADF;
	if (!S_ISREG(file_inode(from)->i_mode))
		return S_ISDIR(file_inode(from)->i_mode) ? -EISDIR : -EINVAL;
	if (!from->f_op->read_iter)
		return -EOPNOTSUPP;
	return 0;
}

/* Sets up one read at ->pos; -EAGAIN where it would have to sleep and may not. */
static int io_iolite_transmit_kiocb(struct io_iolite_transmit *tx, struct kiocb *kiocb,
				    unsigned int issue_flags)
{
	struct file *from = io_iolite_transmit_from(tx);
	loff_t pos = tx->pos;
	int ret;

	init_sync_kiocb(kiocb, from);
	kiocb->ki_pos = pos;
	/* a socket takes bytes in no alignment that direct reads could go on from */
	kiocb->ki_flags &= ~IOCB_DIRECT;
	ret = rw_verify_area(READ, from, &pos, tx->len);
	if (unlikely(ret))
		return ret;
	/* in io-wq reading may sleep, even where sending has to be polled */
	if (issue_flags & IO_URING_F_IOWQ || io_iolite_is_memory(from))
		return 0;
	if (!(from->f_mode & FMODE_NOWAIT))
		return -EAGAIN;
	kiocb->ki_flags |= IOCB_NOWAIT;
	return 0;
}

/* ---- Sending ---- */

/**
 * struct io_iolite_parts - what one sendmsg() is to send
 * @bvecs: of all of it, header first; @few, or a page for as many as go into it
 * @max: room in @bvecs
 * @nr: bvecs
 * @bytes: bytes
 * @header: memory of the header, not counted as a buffer
 * @header_len: bytes of it
 * @folios: bvecs, from the end, whose folios were gathered and are to be put
 * @more: there is more to come
 * @copied: @copy has buffers that some bvecs lie in, as bytes had to be copied
 * @copy: only initialised if @copied
 * @few: room for as many bvecs as most have
 *
 * Lives on the stack, where it would cost as much to clear as to use.
 */
struct io_iolite_parts {
	struct bio_vec		*bvecs;
	unsigned int		max;
	unsigned int		nr;
	size_t			bytes;
	struct iolite_buf	header;
	unsigned int		header_len;
	unsigned int		folios;
	bool			more;
	bool			copied;
	struct iolite_agg	copy;
	struct bio_vec		few[IO_IOLITE_TRANSMIT_BVECS];
};

static void io_iolite_parts_put(struct io_iolite_parts *parts)
{
	while (parts->folios--)
		folio_put(page_folio(parts->bvecs[--parts->nr].bv_page));
	if (parts->header_len)
		iolite_pool_release(&parts->header);
	if (unlikely(parts->copied))
		iolite_agg_destroy(&parts->copy);
	if (parts->bvecs != parts->few)
		kfree(parts->bvecs);
}

/* All bvecs are used: makes room for more, or returns false. */
static bool io_iolite_parts_grow(struct io_iolite_parts *parts)
{
	struct bio_vec *many;

	if (parts->bvecs != parts->few)
		return false;
	many = kmalloc_array(IO_IOLITE_TRANSMIT_MANY, sizeof(*many), GFP_KERNEL | __GFP_NOWARN);
	if (!many)
		return false;
	memcpy(many, parts->few, parts->nr * sizeof(*many));
	parts->bvecs = many;
	parts->max = IO_IOLITE_TRANSMIT_MANY;
	return true;
}

static int io_iolite_parts_header(struct io_iolite_transmit *tx, struct iolite_pool *pool,
				  struct io_iolite_parts *parts)
{
	int ret;

	ret = iolite_pool_header(pool, tx->header, tx->header_len, &parts->header);
	if (ret)
		return ret;
	bvec_set_folio(&parts->bvecs[0], parts->header.folio, tx->header_len,
		       parts->header.offset);
	parts->nr = 1;
	parts->header_len = tx->header_len;
	return 0;
}

/* The next bytes of the file, by reference or, where that is impossible, copied */
static ssize_t io_iolite_parts_file(struct io_iolite_transmit *tx, const struct sock *sk,
				    struct iolite_sink *sink, struct io_iolite_parts *parts,
				    size_t len, unsigned int issue_flags)
{
	struct kiocb kiocb __uninitialized;
	unsigned int nr;
	size_t bytes;
	ssize_t ret, more;

	ret = io_iolite_transmit_kiocb(tx, &kiocb, issue_flags);
	if (unlikely(ret))
		return ret;
	ret = iolite_gather(&kiocb, len, parts->bvecs + parts->nr, parts->max - parts->nr, &nr);
	parts->nr += nr;
	parts->folios = nr;
	if (unlikely(ret == -ENOTBLK)) {
		size_t room = clamp(sk_stream_wspace(sk), (int)PAGE_SIZE, IO_IOLITE_TRANSMIT_COPY);

		iolite_agg_init(&parts->copy);
		parts->copied = true;
		sink->agg = &parts->copy;
		ret = iolite_read_iter(&kiocb, min(len, room), sink);
		if (ret > 0) {
			parts->nr += iolite_agg_bvecs(&parts->copy, 0, ret,
						      parts->bvecs + parts->nr,
						      parts->max - parts->nr, &bytes);
			ret = bytes;
		}
	} else if (ret > 0 && ret < len && parts->nr == parts->max && io_iolite_parts_grow(parts)) {
		more = iolite_gather(&kiocb, len - ret, parts->bvecs + parts->nr,
				     parts->max - parts->nr, &nr);
		parts->nr += nr;
		parts->folios += nr;
		/* an error comes again, when its turn has come */
		ret += max(more, 0);
	}
	if (ret > 0) {
		fsnotify_access(kiocb.ki_filp);
		/* what is asked for beyond the end must not hold back what is before */
		if (tx->pos + ret < i_size_read(file_inode(kiocb.ki_filp)))
			parts->more = ret < tx->len;
	}
	return ret;
}

static ssize_t io_iolite_parts_slot(struct io_kiocb *req, struct io_iolite_transmit *tx,
				    struct io_iolite_parts *parts, size_t len)
{
	/* without a duplicate the lock was held since io_iolite_transmit_slot() */
	struct io_iolite *obj = tx->obj ?: io_iolite_lookup(req->ctx, tx->source);
	size_t bytes, more;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	parts->nr += iolite_agg_bvecs(&obj->agg, tx->pos, len, parts->bvecs + parts->nr,
				      parts->max - parts->nr, &bytes);
	if (bytes < len && parts->nr == parts->max && io_iolite_parts_grow(parts)) {
		parts->nr += iolite_agg_bvecs(&obj->agg, tx->pos + bytes, len - bytes,
					      parts->bvecs + parts->nr, parts->max - parts->nr,
					      &more);
		bytes += more;
	}
	parts->more = bytes < tx->len;
	return bytes;
}

/*
 * What is corked has to be pushed if nothing comes any more. TCP marks a packet for
 * that; TLS would send a record, and wait for a peer with ->uring_lock held.
 */
static bool io_iolite_may_cork(const struct sock *sk)
{
	return sk_is_tcp(sk) && !READ_ONCE(inet_csk(sk)->icsk_ulp_ops);
}

static ssize_t io_iolite_parts_send(struct io_iolite_transmit *tx, struct socket *sock,
				    struct io_iolite_parts *parts, unsigned int issue_flags)
{
	struct msghdr msg = { };
	unsigned int copied;
	ssize_t ret;

	msg.msg_flags = (tx->msg_flags & MSG_MORE) | MSG_NOSIGNAL;
	tx->flags &= ~IO_IOLITE_CORKED;
	if (parts->more && io_iolite_may_cork(sock->sk)) {
		msg.msg_flags |= MSG_MORE;
		tx->flags |= IO_IOLITE_CORKED;
	}
	if (issue_flags & IO_URING_F_NONBLOCK || tx->msg_flags & MSG_DONTWAIT)
		msg.msg_flags |= MSG_DONTWAIT;
	if (io_iolite_takes_pages(sock->sk))
		msg.msg_flags |= MSG_SPLICE_PAGES;
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, parts->bvecs, parts->nr, parts->bytes);
	ret = sock_sendmsg(sock, &msg);
	if (ret <= 0)
		return ret;

	/* who copies takes the flag away */
	if (msg.msg_flags & MSG_SPLICE_PAGES)
		iolite_stat_add(IOLITE_STAT_SENT_BYTES, ret);
	else
		iolite_count_copy(IOLITE_COPY_SPECIAL, ret);

	tx->done += ret;
	copied = min_t(size_t, ret, parts->header_len);
	tx->header += copied;
	tx->header_len -= copied;
	tx->pos += ret - copied;
	tx->len -= ret - copied;
	return ret;
}

/*
 * How much of the body to offer to the socket at once: no more than it has room for,
 * and the packet that goes beyond.  What a full one sends away was looked up, and its
 * header copied, in vain.
 */
static size_t io_iolite_transmit_room(const struct io_iolite_transmit *tx, const struct sock *sk,
				      unsigned int issue_flags)
{
	int room = READ_ONCE(sk->sk_sndbuf) - READ_ONCE(sk->sk_wmem_queued);

	if (unlikely(sk->sk_family == AF_UNIX))
		return io_iolite_send_max(sk);
	if (likely(room > 0))
		return (size_t)room + SZ_64K;
	/* As tcp_poll() says it; errors are for sock_sendmsg() to tell. */
	if ((issue_flags & IO_URING_F_NONBLOCK || tx->msg_flags & MSG_DONTWAIT) &&
	    sk_is_tcp(sk) && !READ_ONCE(sk->sk_err) &&
	    !(READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN))
		return 0;
	return SZ_64K;
}

/*
 * One sendmsg().  Returns 1 if there is more to do and room for it, 0 if all was
 * sent or the source has ended, or -EAGAIN: with IO_IOLITE_WAIT_FOR_FILE for the
 * file, else for the socket.
 */
static int io_iolite_transmit_some(struct io_kiocb *req, struct io_iolite_transmit *tx,
				   struct socket *sock, struct iolite_sink *sink,
				   unsigned int issue_flags)
{
	bool slot = tx->flags & IOLITE_TRANSMIT_SLOT;
	struct io_iolite_parts parts __uninitialized;
	ssize_t ret = 0;
	size_t len;

	len = min_t(size_t, tx->len, io_iolite_transmit_room(tx, sock->sk, issue_flags));
	parts.bvecs = parts.few;
	parts.max = ARRAY_SIZE(parts.few);
	parts.nr = 0;
	parts.folios = 0;
	parts.header_len = 0;
	parts.more = false;
	parts.copied = false;
	if (tx->len && !len)
		goto full;
	if (tx->header_len) {
		ret = io_iolite_parts_header(tx, sink->pool, &parts);
		if (ret)
			goto out;
	}

	if (len && slot)
		ret = io_iolite_parts_slot(req, tx, &parts, len);
	else if (len)
		ret = io_iolite_parts_file(tx, sock->sk, sink, &parts, len, issue_flags);
	if (ret < 0) {
		/* From io-wq, where reading may sleep, it is what the file has to say. */
		if (ret == -EAGAIN && issue_flags & IO_URING_F_IOWQ)
			req->flags |= REQ_F_NOWAIT;
		else if (ret == -EAGAIN)
			tx->flags |= IO_IOLITE_WAIT_FOR_FILE;
		goto out;
	}
	/* the end of the file: what is missing makes the request short */
	if (!ret && tx->len) {
		tx->len = 0;
		req_set_fail(req);
	}
	parts.bytes = parts.header_len + ret;
	ret = 0;
	if (!parts.bytes)
		goto out;

	ret = io_iolite_parts_send(tx, sock, &parts, issue_flags);
	if (ret != -EAGAIN && (ret <= 0 || ret == parts.bytes)) {
		if (ret > 0)
			ret = tx->len || tx->header_len;
		goto out;
	}
full:
	ret = slot && !tx->obj ? io_iolite_transmit_keep(req, tx) : 0;
	ret = ret ?: -EAGAIN;
out:
	io_iolite_parts_put(&parts);
	return ret;
}

static int io_iolite_transmit_all(struct io_kiocb *req, struct io_iolite_transmit *tx,
				  struct socket *sock, unsigned int issue_flags)
{
	const struct proto_ops *ops = READ_ONCE(sock->ops);
	struct io_ring_ctx *ctx = req->ctx;
	struct iolite_sink sink __uninitialized;
	u32 done = tx->done;
	int ret;

	ret = io_iolite_sink_start(ctx, &sink, issue_flags);
	if (unlikely(ret))
		return ret;
	do {
		ret = io_iolite_transmit_some(req, tx, sock, &sink, issue_flags);
		/* A peer that is fast enough takes all of it at once. */
		if (unlikely(ret > 0 && fatal_signal_pending(current)))
			ret = -EINTR;
	} while (ret > 0);
	io_iolite_sink_end(&sink, issue_flags);

	/* nothing comes any more, as with sendfile(2) */
	if (ret != -EAGAIN && tx->flags & IO_IOLITE_CORKED && !(tx->msg_flags & MSG_MORE) &&
	    ops->splice_eof)
		ops->splice_eof(sock);
	if (tx->done != done)
		io_iolite_poll_again(req);
	return ret;
}

int io_iolite_transmit(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_iolite_transmit *tx = io_kiocb_to_cmd(req, struct io_iolite_transmit);
	struct socket *sock = sock_from_file(req->file);
	bool for_file;
	int ret;

	if (unlikely(!sock))
		return -ENOTSOCK;
	if (unlikely(sock->type != SOCK_STREAM))
		return -EOPNOTSUPP;
	if (!(tx->flags & IO_IOLITE_STARTED)) {
		ret = io_iolite_transmit_start(req, tx, issue_flags);
		if (unlikely(ret))
			return ret;
	}

	for_file = tx->flags & IO_IOLITE_WAIT_FOR_FILE;
	tx->flags &= ~IO_IOLITE_WAIT_FOR_FILE;
	ret = io_iolite_transmit_all(req, tx, sock,
				     for_file ? issue_flags | IO_URING_F_NONBLOCK : issue_flags);
	if (tx->flags & IO_IOLITE_WAIT_FOR_FILE) {
		io_queue_iowq(req);
		return IOU_ISSUE_SKIP_COMPLETE;
	}
	/* what had to be read was, so back to where sockets are polled */
	if (ret == -EAGAIN && for_file && !(req->flags & REQ_F_NOWAIT)) {
		io_req_task_queue(req);
		return IOU_ISSUE_SKIP_COMPLETE;
	}
	if (ret < 0)
		return ret;
	io_req_set_res(req, tx->done, 0);
	return IOU_COMPLETE;
}

void io_iolite_transmit_fail(struct io_kiocb *req)
{
	struct io_iolite_transmit *tx = io_kiocb_to_cmd(req, struct io_iolite_transmit);

	if (tx->done)
		req->cqe.res = tx->done;
}

void io_iolite_transmit_cleanup(struct io_kiocb *req)
{
	struct io_iolite_transmit *tx = io_kiocb_to_cmd(req, struct io_iolite_transmit);

	if (!tx->from)
		return;
	if (tx->flags & IOLITE_TRANSMIT_SLOT)
		io_iolite_put(req->ctx, tx->obj);
	else if (tx->flags & IOLITE_TRANSMIT_FIXED_FILE)
		io_put_rsrc_node(req->ctx, tx->node);
	else
		fput(tx->from);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: reading files into aggregates.
 *
 * Files whose folios can be sealed are read through their own ->read_iter()
 * with an iterator that takes references instead of bytes, so that locking,
 * readahead, end of file and IOCB_NOWAIT are those of read(2) (I9).  All others
 * are read into buffers of a pool, and the bytes are counted (I2).
 */
#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/iolite.h>
#include <linux/iolite_cow.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/sched/user.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/uio.h>
#include <linux/xarray.h>
#include <net/sock.h>

#include "iolite.h"

/* Copies are made in pieces: a special file may deliver less than it is asked for. */
#define IOLITE_COPY_PIECE	SZ_256K
#define IOLITE_COPY_BVECS	16

/* Pages that are charged in advance, as many as a memory cgroup's stock has */
#define IOLITE_CHARGE_BATCH	64L

/* Charge for a few folios at once, and near a limit folio by folio. */
static int iolite_sink_charge(struct iolite_sink *sink, long nr, size_t left)
{
	long some = max(nr, min_t(long, DIV_ROUND_UP(left, PAGE_SIZE), IOLITE_CHARGE_BATCH));
	gfp_t gfp = sink->nowait ? GFP_NOWAIT : IOLITE_GFP;
	int ret = -EDQUOT;

	if (sink->charged >= nr)
		return 0;
	if (some > nr && !sink->near_limit)
		ret = iolite_charge_pages(sink->user, sink->objcg, some, gfp);
	if (ret) {
		sink->near_limit = some > nr;
		some = nr;
		ret = iolite_charge_pages(sink->user, sink->objcg, some, gfp);
	}
	if (!ret)
		sink->charged += some;
	return ret;
}

/* A sealed folio's bytes become a slice. */
static int iolite_sink_ref(struct iolite_sink *sink, struct folio *folio, size_t offset,
			   size_t bytes, size_t left)
{
	long nr = folio_nr_pages(folio);
	struct iolite_buf *buf;
	int ret;

	ret = iolite_sink_charge(sink, nr, left);
	if (ret)
		return ret;
	buf = iolite_buf_alloc(IOLITE_FILE, folio, offset, bytes);
	if (!buf)
		return -ENOMEM;
	folio_get(folio);
	sink->charged -= nr;
	buf->user = get_uid(sink->user);
	buf->objcg = sink->objcg;
	if (buf->objcg)
		obj_cgroup_get(buf->objcg);
	ret = iolite_agg_append(sink->agg, buf, 0, bytes);
	if (ret)
		iolite_buf_put(buf);
	return ret;
}

/* For who sends the bytes at once, and holds them no longer than that */
static size_t iolite_sink_bvec(struct iov_iter *i, struct folio *folio, size_t offset,
			       size_t bytes)
{
	struct iolite_sink *sink = i->iolite;
	int ret = iolite_seal_folio(folio, sink->nowait);

	if (ret || sink->nr == sink->max) {
		sink->error = ret > 0 ? -ENOTBLK : ret ?: -ENOSPC;
		return 0;
	}
	folio_get(folio);
	bvec_set_folio(&sink->bvecs[sink->nr++], folio, bytes, offset);
	i->count -= bytes;
	return bytes;
}

/* Bytes of @page, or zeroes, become a slice of a new pool buffer. */
static ssize_t iolite_sink_bytes(struct iolite_sink *sink, struct page *page, size_t offset,
				 size_t bytes, enum iolite_copy_reason reason)
{
	struct iolite_buf *buf;
	int ret;

	buf = iolite_pool_buf(sink->pool, bytes, !page || iolite_pool_shares_whole(sink->pool));
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	bytes = buf->len;
	if (page) {
		size_t done = 0;

		while (done < bytes) {
			size_t from = offset + done;
			size_t part = min(bytes - done, PAGE_SIZE - max(offset_in_page(from),
									offset_in_page(done)));

			memcpy_page(folio_page(buf->folio, done >> PAGE_SHIFT),
				    offset_in_page(done), page + (from >> PAGE_SHIFT),
				    offset_in_page(from), part);
			done += part;
		}
	}
	ret = iolite_agg_append(sink->agg, buf, 0, bytes);
	if (ret) {
		iolite_buf_put(buf);
		return ret;
	}
	iolite_pool_seal(buf->folio);
	iolite_count_copy(reason, bytes);
	return bytes;
}

static size_t iolite_sink_all(struct iov_iter *i, struct page *page, size_t offset,
			      size_t bytes, enum iolite_copy_reason reason)
{
	struct iolite_sink *sink = i->iolite;
	size_t done = 0;

	if (sink->bvecs) {
		sink->error = -ENOTBLK;
		return 0;
	}
	while (done < bytes) {
		ssize_t ret = iolite_sink_bytes(sink, page, offset + done, bytes - done, reason);

		if (ret < 0) {
			sink->error = ret;
			break;
		}
		done += ret;
	}
	i->count -= done;
	return done;
}

/**
 * iolite_sink_page - copy_folio_to_iter() and copy_page_to_iter() for ITER_IOLITE
 * @i: the iterator
 * @page: uptodate, of the page cache, with a reference of the caller's
 * @offset: first byte, counted from that of @page, and in its folio
 * @bytes: how many
 *
 * Return: bytes taken; fewer than @bytes on errors, which iolite_read_iter()
 * returns.
 */
size_t iolite_sink_page(struct iov_iter *i, struct page *page, size_t offset, size_t bytes)
{
	struct iolite_sink *sink = i->iolite;
	struct folio *folio = page_folio(page);
	int ret;

	offset += folio_page_idx(folio, page) << PAGE_SHIFT;
	bytes = min(bytes, i->count);
	if (!bytes)
		return 0;
	if (sink->bvecs)
		return iolite_sink_bvec(i, folio, offset, bytes);
	ret = iolite_seal_folio(folio, sink->nowait);
	if (ret > 0)
		return iolite_sink_all(i, folio_page(folio, 0), offset, bytes, ret);
	if (!ret)
		ret = iolite_sink_ref(sink, folio, offset, bytes, i->count);
	if (ret) {
		sink->error = ret;
		return 0;
	}
	iolite_stat_add(IOLITE_STAT_SHARED_BYTES, bytes);
	i->count -= bytes;
	return bytes;
}

/*
 * For who sends the bytes at once: as iolite_sink_page(), of a sealed folio, with
 * the reference.
 */
static bool iolite_sink_sealed(struct iov_iter *i, struct folio *folio, size_t offset,
			       size_t bytes)
{
	struct iolite_sink *sink = i->iolite;

	if (!sink->bvecs || sink->nr == sink->max || !folio_test_sealed(folio))
		return false;
	bvec_set_folio(&sink->bvecs[sink->nr++], folio, bytes, offset);
	i->count -= bytes;
	return true;
}

/**
 * iolite_sink_cached - take what a file has in the page cache, folio by folio
 * @iocb: file and position, which advances; the file system can be read without a
 *	lock
 * @i: of type ITER_IOLITE
 *
 * Does in one walk what ->read_iter() does by a lookup for each folio.  Ends at the
 * first that is not there, or not ready to be read.
 *
 * Return: bytes taken; see also iolite_sink_full().
 */
size_t iolite_sink_cached(struct kiocb *iocb, struct iov_iter *i)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	XA_STATE(xas, &mapping->i_pages, iocb->ki_pos >> PAGE_SHIFT);
	loff_t pos = iocb->ki_pos, size;
	size_t offset, bytes, took;
	struct folio *folio;
	pgoff_t next;

	rcu_read_lock();
	for (folio = xas_load(&xas); folio && i->count; folio = xas_next(&xas)) {
		if (xas_retry(&xas, folio))
			continue;
		if (xa_is_value(folio) || xa_is_sibling(folio))
			break;
		if (!folio_try_get(folio)) {
			xas_reset(&xas);
			continue;
		}
		/* The size after the folio, or bytes behind a truncation could be read. */
		size = i_size_read(mapping->host);
		if (unlikely(folio != xas_reload(&xas) || pos >= size ||
			     !folio_test_uptodate(folio) ||
			     folio_contain_hwpoisoned_page(folio))) {
			folio_put(folio);
			break;
		}
		offset = offset_in_folio(folio, pos);
		bytes = min3((size_t)(size - pos), folio_size(folio) - offset, i->count);
		if (!offset)
			folio_mark_accessed(folio);

		/* A successful folio_try_get() is a full barrier: the reference, then the flag */
		if (likely(iolite_sink_sealed(i, folio, offset, bytes))) {
			pos += bytes;
			if (folio_test_large(folio))
				xas_set(&xas, folio_next_index(folio));
			continue;
		}

		rcu_read_unlock();
		took = iolite_sink_page(i, folio_page(folio, 0), offset, bytes);
		next = folio_next_index(folio);
		folio_put(folio);
		pos += took;
		cond_resched();
		rcu_read_lock();
		if (took < bytes)
			break;
		xas_set(&xas, next);
	}
	rcu_read_unlock();

	took = pos - iocb->ki_pos;
	iocb->ki_pos = pos;
	return took;
}

/**
 * iolite_sink_zero - iov_iter_zero() for ITER_IOLITE
 * @i: the iterator
 * @bytes: how many
 *
 * Return: as for iolite_sink_page()
 */
size_t iolite_sink_zero(struct iov_iter *i, size_t bytes)
{
	return iolite_sink_all(i, NULL, 0, min(bytes, i->count), IOLITE_COPY_HOLE);
}

/**
 * iolite_sink_full - has what is behind an iterator refused to take more?
 * @i: of type ITER_IOLITE
 *
 * Return: whether it has; iolite_read_iter() knows why.
 */
bool iolite_sink_full(const struct iov_iter *i)
{
	return i->iolite->error;
}

static bool iolite_can_share(const struct file *file)
{
	return mapping_iolite(file->f_mapping) && iolite_maps_itself(file) &&
	       !IS_DAX(file_inode(file));
}

static ssize_t iolite_read_ref(struct kiocb *iocb, size_t len, struct iolite_sink *sink)
{
	struct iov_iter iter = {
		.iter_type	= ITER_IOLITE,
		.data_source	= ITER_SOURCE,
		.count		= len,
		.iolite		= sink,
	};
	ssize_t ret;

	sink->error = 0;
	sink->charged = 0;
	sink->near_limit = false;
	ret = iocb->ki_filp->f_op->read_iter(iocb, &iter);
	if (sink->charged)
		iolite_uncharge_pages(sink->user, sink->objcg, sink->charged);
	/* The file system only knows that the iterator refused: -EFAULT, or nothing */
	if (ret <= 0 && sink->error)
		ret = sink->error;
	return ret;
}

/*
 * The length of the message that comes next, as what there is no room for would be lost;
 * 0 if that is not known, or of a stream; or an error. Other families do not tell, or take
 * it for a read. Packets of pipes are no larger than a page.
 */
static int iolite_next_message(struct kiocb *iocb)
{
	struct socket *sock = sock_from_file(iocb->ki_filp);
	unsigned int flags = MSG_PEEK | MSG_TRUNC;
	struct msghdr msg = { };

	if (!sock || sock->type == SOCK_STREAM || READ_ONCE(sock->sk->sk_peek_off) >= 0)
		return 0;
	if (sock->sk->sk_family != AF_UNIX && sock->sk->sk_family != AF_INET &&
	    sock->sk->sk_family != AF_INET6)
		return 0;
	/* as sock_read_iter() */
	if (iocb->ki_filp->f_flags & O_NONBLOCK || iocb->ki_flags & IOCB_NOWAIT)
		flags |= MSG_DONTWAIT;
	return kernel_recvmsg(sock, &msg, NULL, 0, 0, flags);
}

/* One call of ->read_iter() into new buffers; a direct read lands there by DMA... */
static ssize_t iolite_read_piece(struct kiocb *iocb, size_t len, size_t message,
				 struct iolite_sink *sink, enum iolite_copy_reason reason)
{
	struct bio_vec bvecs[IOLITE_COPY_BVECS] __uninitialized;
	struct iolite_buf *bufs[IOLITE_COPY_BVECS] __uninitialized;
	/* Device drivers have been seen to return more than they stored. */
	bool zero = reason == IOLITE_COPY_SPECIAL || iolite_pool_shares_whole(sink->pool);
	/* What a stream gave is gone from there: keeping it must not need memory. */
	unsigned int max = reason == IOLITE_COPY_SPECIAL ? IOLITE_AGG_INLINE : IOLITE_COPY_BVECS;
	size_t room = 0, left;
	struct iov_iter iter;
	unsigned int nr, i;
	ssize_t ret;

	for (nr = 0; room < len && nr < max; nr++) {
		struct iolite_buf *buf = iolite_pool_buf(sink->pool, len - room, zero);

		if (IS_ERR(buf)) {
			ret = PTR_ERR(buf);
			goto put;
		}
		bufs[nr] = buf;
		bvec_set_folio(&bvecs[nr], buf->folio, buf->len, 0);
		room += buf->len;
	}
	if (unlikely(room < message)) {
		ret = -ENOBUFS;
		goto put;
	}

	iov_iter_bvec(&iter, ITER_DEST, bvecs, nr, room);
	ret = iocb->ki_filp->f_op->read_iter(iocb, &iter);
	if (WARN_ON_ONCE(ret == -EIOCBQUEUED))
		ret = -EIO;

	left = max(ret, 0);
	for (i = 0; i < nr && left; i++) {
		size_t bytes = min(left, bufs[i]->len);
		int err = iolite_agg_append(sink->agg, bufs[i], 0, bytes);

		if (err) {
			/* What is not kept was not read, where there is a position. */
			iocb->ki_pos -= left;
			ret -= left;
			if (!ret)
				ret = err;
			break;
		}
		iolite_pool_seal(bufs[i]->folio);
		bufs[i] = NULL;
		/* ... unless the file system fell back to its cache and said so */
		if (reason == IOLITE_COPY_DIRECT && iocb->ki_flags & IOCB_DIRECT)
			iolite_stat_add(IOLITE_STAT_DIRECT_BYTES, bytes);
		else
			iolite_count_copy(reason, bytes);
		left -= bytes;
	}
put:
	for (i = 0; i < nr; i++)
		if (bufs[i])
			iolite_buf_put(bufs[i]);
	return ret;
}

static ssize_t iolite_read_copy(struct kiocb *iocb, size_t len, struct iolite_sink *sink,
				enum iolite_copy_reason reason)
{
	bool regular = S_ISREG(file_inode(iocb->ki_filp)->i_mode);
	ssize_t done = 0, ret, message = 0;
	size_t most = IOLITE_COPY_PIECE;

	if (reason == IOLITE_COPY_SPECIAL)
		message = iolite_next_message(iocb);
	if (message < 0)
		return message;
	if (message)
		most = message;
	do {
		size_t piece = min(len - done, most);

		ret = iolite_read_piece(iocb, piece, message ? piece : 0, sink, reason);
		if (ret <= 0)
			break;
		done += ret;
		/* What a pipe or device has now is all there is, as in read(2) */
		if (ret < piece || !regular)
			break;
		cond_resched();
	} while (done < len);

	return done ?: ret;
}

/**
 * iolite_read_iter - read from a file into an aggregate
 * @iocb: file, position and flags, of the synchronous kind (no ->ki_complete);
 *	the position advances as for ->read_iter()
 * @len: bytes wanted, not 0
 * @sink: where to
 *
 * The caller has checked what vfs_read() checks.
 *
 * Return: bytes read, 0 at the end of the file, or what ->read_iter() returns
 * as errors; -EDQUOT at the user's limit of held pages, -ENOBUFS at the pool's
 * limit, -E2BIG if the aggregate cannot take more.  With an error, nothing was
 * read and the aggregate is unchanged.
 */
ssize_t iolite_read_iter(struct kiocb *iocb, size_t len, struct iolite_sink *sink)
{
	struct file *file = iocb->ki_filp;
	ssize_t ret;

	/* Who waits for a folio by call-back must not sleep for another. */
	sink->nowait = iocb->ki_flags & (IOCB_NOWAIT | IOCB_WAITQ);
	sink->bvecs = NULL;

	/* tmpfs ignores it */
	if (shmem_mapping(file->f_mapping))
		iocb->ki_flags &= ~IOCB_DIRECT;
	if (iocb->ki_flags & IOCB_DIRECT) {
		/* Waits for the device */
		if (sink->nowait)
			return -EAGAIN;
		return iolite_read_copy(iocb, len, sink, IOLITE_COPY_DIRECT);
	}
	if (!S_ISREG(file_inode(file)->i_mode))
		return iolite_read_copy(iocb, len, sink, IOLITE_COPY_SPECIAL);
	if (!iolite_can_share(file)) {
		/* It could a moment ago. The file system would wait with our buffers. */
		if (iocb->ki_flags & IOCB_WAITQ)
			return -EAGAIN;
		return iolite_read_copy(iocb, len, sink, IOLITE_COPY_FS);
	}
	sink->objcg = iolite_current_objcg();
	ret = iolite_read_ref(iocb, len, sink);
	obj_cgroup_put(sink->objcg);
	return ret;
}

/**
 * iolite_gather - refer to bytes of a file for a moment
 * @iocb: as for iolite_read_iter()
 * @len: bytes wanted, not 0
 * @bvecs: get the bytes; each has a reference to its folio, for folio_put()
 * @max: size of @bvecs
 * @nr: set to how many bvecs are used, also on errors
 *
 * No buffer is made and nobody is charged, so it is for bytes that go elsewhere
 * before the caller returns. They do not change while the references are held,
 * by the caller or by who gets references from it.
 *
 * Return: bytes, 0 at the end of the file, -ENOTBLK if the next bytes have to be
 * copied and iolite_read_iter() has to do it, or what ->read_iter() returns.
 */
ssize_t iolite_gather(struct kiocb *iocb, size_t len, struct bio_vec *bvecs, unsigned int max,
		      unsigned int *nr)
{
	struct iolite_sink sink = {
		.bvecs	= bvecs,
		.max	= max,
		.nowait	= iocb->ki_flags & IOCB_NOWAIT,
	};
	ssize_t ret = -ENOTBLK;

	if (!(iocb->ki_flags & IOCB_DIRECT) && iolite_can_share(iocb->ki_filp))
		ret = iolite_read_ref(iocb, len, &sink);
	if (ret > 0)
		iolite_stat_add(IOLITE_STAT_SHARED_BYTES, ret);
	*nr = sink.nr;
	return ret;
}

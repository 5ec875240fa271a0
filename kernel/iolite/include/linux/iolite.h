/* SPDX-License-Identifier: GPL-2.0 */
/*
 * IO-Lite: immutable buffers, aggregates of slices, pools and the window.
 *
 * Layers: mm/iolite*.c knows of memory and files, io_uring/iolite.c of rings.
 * Documentation/mm/iolite.rst has the invariants I1 to I9 that comments cite.
 */
#ifndef _LINUX_IOLITE_H
#define _LINUX_IOLITE_H

#include <linux/bvec.h>
#include <linux/gfp_types.h>
#include <linux/percpu.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <uapi/linux/iolite.h>

struct file;
struct folio;
struct iolite_pool;
struct obj_cgroup;
struct user_struct;
struct vm_area_struct;

/*
 * For what user space can ask for without bound: charged to the caller, who gets
 * an error at his memory cgroup's limit instead of the OOM killer (I5).
 */
#define IOLITE_GFP	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

enum iolite_origin {
	IOLITE_POOL,		/* memory of an iolite_pool */
	IOLITE_FILE,		/* a sealed page-cache folio */
};

/**
 * struct iolite_buf - a run of bytes with one owner of lifetime
 * @ref: held by slices of aggregates and by requests; an skb takes an ordinary
 *	reference on @folio instead
 * @origin: where @folio comes from
 * @sealed: no byte changes any more; goes from false to true once, under the
 *	window lock if the buffer has a window address
 * @given: @folio was put into a page cache; it is not going back to its pool
 * @folio: the memory; the buffer holds one reference
 * @offset: of the first byte in @folio
 * @len: bytes
 * @pool: owner of the memory and of a reference, if @origin is IOLITE_POOL
 * @user: charged for the folio's pages, if @origin is IOLITE_FILE
 * @objcg: likewise, also if @given
 * @window_pgoff: page index in the window plus 1, or 0; window lock
 * @generation: names the contents together with the window address (I8);
 *	0 before the buffer has an address; window lock
 */
struct iolite_buf {
	refcount_t		ref;
	u8			origin;
	bool			sealed;
	bool			given;
	struct folio		*folio;
	u32			offset;
	u32			len;
	union {
		struct iolite_pool	*pool;
		struct user_struct	*user;
	};
	unsigned long		window_pgoff;
	u64			generation;
	struct obj_cgroup	*objcg;
};

void __iolite_buf_free(struct iolite_buf *buf);

static inline struct iolite_buf *iolite_buf_get(struct iolite_buf *buf)
{
	refcount_inc(&buf->ref);
	return buf;
}

/* May sleep: a buffer with a window address leaves all page tables first. */
static inline void iolite_buf_put(struct iolite_buf *buf)
{
	if (refcount_dec_and_test(&buf->ref))
		__iolite_buf_free(buf);
}

/* ---- Aggregates: mm/iolite_agg.c ---- */

#define IOLITE_AGG_MAX_SLICES	(1U << 20)
#define IOLITE_AGG_MAX_BYTES	((u64)INT_MAX & PAGE_MASK)	/* a CQE's res holds any length */
#define IOLITE_AGG_INLINE	4

struct iolite_slice {
	struct iolite_buf	*buf;
	u32			off;	/* from the buffer's first byte */
	u32			len;
};

struct iolite_agg_node;

/**
 * struct iolite_agg - an ordered list of slices plus a cursor
 * @len: bytes
 * @cursor: position of the next write, 0 .. @len
 * @nr: slices
 * @unsealed: some buffer was not sealed when it was added; iolite_agg_seal()
 *	clears this
 * @root: persistent tree of slices, shared between aggregates; NULL while the
 *	slices fit into @slices
 * @slices: the slices of a small aggregate; each owns a reference to its buffer
 *
 * Not locked: the owner (a ring, under its lock) serialises.  What @root points
 * to is immutable and may be shared by aggregates of different owners.
 */
struct iolite_agg {
	u64			len;
	u64			cursor;
	u32			nr;
	bool			unsealed;
	struct iolite_agg_node	*root;
	struct iolite_slice	slices[IOLITE_AGG_INLINE];
};

void iolite_agg_init(struct iolite_agg *agg);
void iolite_agg_destroy(struct iolite_agg *agg);
int iolite_agg_append(struct iolite_agg *agg, struct iolite_buf *buf, u32 off, u32 len);
int iolite_agg_concat(struct iolite_agg *agg, const struct iolite_agg *tail);
int iolite_agg_prepend(struct iolite_agg *agg, const struct iolite_agg *head);
int iolite_agg_split(struct iolite_agg *agg, u64 at, struct iolite_agg *tail);
void iolite_agg_dup(const struct iolite_agg *agg, struct iolite_agg *copy);
int iolite_agg_truncate(struct iolite_agg *agg, u64 len);
int iolite_agg_replace(struct iolite_agg *agg, u64 off, u64 len, const struct iolite_agg *with);
s64 iolite_agg_seek(struct iolite_agg *agg, s64 off, int whence);
bool iolite_agg_sealed(const struct iolite_agg *agg);
size_t iolite_agg_copy_out(const struct iolite_agg *agg, u64 pos, void *to, size_t len);
unsigned int iolite_agg_bvecs(const struct iolite_agg *agg, u64 pos, size_t len,
			      struct bio_vec *bvecs, unsigned int max, size_t *bytes);

/* Visits slices in order from a byte position on; see iolite_agg_iter_next() */
#define IOLITE_AGG_MAX_DEPTH	9
struct iolite_agg_iter {
	const struct iolite_agg	*agg;
	u64			pos;	/* of the next slice's first byte */
	u32			skip;	/* bytes of the next slice before pos */
	u32			idx;	/* of the next inline slice */
	int			depth;	/* of the leaf in path; at[] of it is the next slice */
	const struct iolite_agg_node *path[IOLITE_AGG_MAX_DEPTH];
	u16			at[IOLITE_AGG_MAX_DEPTH];
};

void iolite_agg_iter_init(struct iolite_agg_iter *it, const struct iolite_agg *agg, u64 pos);
bool iolite_agg_iter_next(struct iolite_agg_iter *it, struct iolite_slice *slice);

/* ---- Statistics and limits: mm/iolite_stat.c ---- */

/* Why bytes were copied (I2); names in iolite_copy_names[] */
enum iolite_copy_reason {
	IOLITE_COPY_ALLOC,	/* user memory into a new buffer */
	IOLITE_COPY_FS,		/* the file system cannot share folios */
	IOLITE_COPY_DIRECT,	/* the file system fell back from a direct read */
	IOLITE_COPY_SPECIAL,	/* not a regular file */
	IOLITE_COPY_MAPPED,	/* the file is mapped writable and shared */
	IOLITE_COPY_PINNED,	/* the folio may be pinned for DMA */
	IOLITE_COPY_BUSY,	/* dirty or under write-back or not wholly uptodate */
	IOLITE_COPY_HOLE,	/* zeroes for a hole */
	IOLITE_COPY_EDGE,	/* part of a page that also holds other bytes was mapped */
	IOLITE_COPY_FILE_WRITE,	/* an aggregate was written to a file */
	IOLITE_COPY_COW,	/* a writer met a sealed folio that is held */
	IOLITE_COPY_NR,
};

enum iolite_stat {
	IOLITE_STAT_BUFS,
	IOLITE_STAT_AGGS,
	IOLITE_STAT_NODES,
	IOLITE_STAT_SLOTS,
	IOLITE_STAT_POOLS,
	IOLITE_STAT_POOL_PAGES,		/* in buffers and kept for reuse */
	IOLITE_STAT_READONLY_PAGES,	/* of pools, read-only for the kernel */
	IOLITE_STAT_FILE_PAGES,		/* held */
	IOLITE_STAT_WINDOW_PAGES,	/* addresses in use */
	IOLITE_STAT_GRANTS,
	IOLITE_STAT_DOMAINS,
	/* events, ever growing */
	IOLITE_STAT_SHARED_BYTES,	/* read by reference */
	IOLITE_STAT_SENT_BYTES,		/* written to sockets by reference */
	IOLITE_STAT_WRITTEN_BYTES,	/* written to files by reference */
	IOLITE_STAT_DIRECT_BYTES,	/* read and written between buffers and devices */
	IOLITE_STAT_COW_FOLIOS,
	IOLITE_STAT_UNSEALED_FOLIOS,	/* written in place again, nobody held them */
	IOLITE_STAT_COW_AGAIN,		/* writers refused with -EAGAIN */
	IOLITE_STAT_DROPPED_FOLIOS,	/* left the cache, as no copy could be had */
	IOLITE_STAT_INPLACE_REFUSED,	/* writers who did not know that memory was shared */
	IOLITE_STAT_NR,
};

struct iolite_counters {
	long	stat[IOLITE_STAT_NR];
	u64	copied[IOLITE_COPY_NR];
};

DECLARE_PER_CPU(struct iolite_counters, iolite_counters);

/**
 * iolite_stat_add - add to a statistic
 * @stat: which
 * @n: how much; negative where a gauge goes down
 */
static inline void iolite_stat_add(enum iolite_stat stat, long n)
{
	this_cpu_add(iolite_counters.stat[stat], n);
}

/**
 * iolite_count_copy - count bytes that were copied instead of referenced (I2)
 * @reason: why
 * @bytes: how many
 */
static inline void iolite_count_copy(enum iolite_copy_reason reason, size_t bytes)
{
	this_cpu_add(iolite_counters.copied[reason], bytes);
}

long iolite_stat_read(enum iolite_stat stat);

extern unsigned long sysctl_iolite_max_user_pages;
extern unsigned long sysctl_iolite_max_pool_bytes;
extern unsigned int sysctl_iolite_max_slots;

/* ---- Pools: mm/iolite_pool.c ---- */

int iolite_pool_create(struct user_struct *user, unsigned int flags, u64 max_bytes,
		       struct iolite_pool **poolp);
int iolite_pool_install_fd(struct iolite_pool *pool);
struct iolite_pool *iolite_pool_from_file(struct file *file);
struct iolite_pool *iolite_pool_get(struct iolite_pool *pool);
void iolite_pool_put(struct iolite_pool *pool);
int iolite_pool_alloc(struct iolite_pool *pool, size_t len, struct iolite_agg *agg);
int iolite_pool_header(struct iolite_pool *pool, const void __user *from, size_t len,
		       struct iolite_buf *buf);
void iolite_pool_release(struct iolite_buf *buf);
int iolite_pool_copy_in(struct iolite_pool *pool, struct iov_iter *from, struct iolite_agg *agg);
void iolite_agg_seal(struct iolite_agg *agg);

/* ---- The window: mm/iolite_window.c ---- */

unsigned long iolite_window_base(void);
unsigned long iolite_window_size(void);
int iolite_window_mmap(struct vm_area_struct *vma);
int iolite_window_map(struct iolite_agg *agg, u64 pos, struct iolite_extent __user *to,
		      unsigned int nr);
int iolite_window_map_writable(struct iolite_agg *agg, u64 *addr);

/* ---- Files: mm/iolite_file.c ---- */

/**
 * struct iolite_sink - where iolite_read_iter() leaves what it read
 * @agg: receives the slices; more than was there before even if an error is
 *	returned in the end
 * @bvecs: receives references to folios instead, see iolite_gather()
 * @max: size of @bvecs
 * @nr: used of @bvecs
 * @pool: memory for what has to be copied
 * @user: charged for held page-cache pages
 * @objcg: likewise; set by iolite_read_iter()
 * @charged: pages that @user and @objcg were charged for and nothing holds yet
 * @near_limit: charge no more than what is needed at once
 * @nowait: do not sleep; set from the kiocb
 * @error: why the iterator took less than it was offered
 */
struct iolite_sink {
	struct iolite_agg	*agg;
	struct bio_vec		*bvecs;
	unsigned int		max;
	unsigned int		nr;
	struct iolite_pool	*pool;
	struct user_struct	*user;
	struct obj_cgroup	*objcg;
	long			charged;
	bool			near_limit;
	bool			nowait;
	int			error;
};

ssize_t iolite_read_iter(struct kiocb *iocb, size_t len, struct iolite_sink *sink);
size_t iolite_sink_cached(struct kiocb *iocb, struct iov_iter *i);
bool iolite_sink_full(const struct iov_iter *i);
ssize_t iolite_write_iter(struct kiocb *iocb, struct iov_iter *iter,
			  const struct iolite_agg *agg, u64 start);
ssize_t iolite_gather(struct kiocb *iocb, size_t len, struct bio_vec *bvecs, unsigned int max,
		      unsigned int *nr);

#endif /* _LINUX_IOLITE_H */

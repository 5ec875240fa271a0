/* SPDX-License-Identifier: MIT */
/*
 * libiolite: IO-Lite aggregates beside liburing, or without it.
 *
 * Two ways to use it.  The iol_prep_*() functions fill a submission queue entry
 * of a ring that is the program's own, as liburing's io_uring_prep_*() do;
 * aggregates are then slot numbers of that ring's table.  The synchronous calls
 * work on a struct iolite, which hides a small ring; aggregates are then
 * struct iol_agg.  Functions return 0 or a count, or a negative errno.
 *
 * iolite(7) explains the terms; each call has a page of its own.
 */
#ifndef IOLITE_H
#define IOLITE_H

#include <liburing.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <iolite/linux_iolite.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Set-up ---- */

int iol_init(struct io_uring *ring, unsigned int slots, unsigned int flags);
int iol_exit(struct io_uring *ring);
const struct iolite_reg_table *iol_info(void);
int iol_join(struct io_uring *ring);
int iol_leave(void);
int iol_pool_create(struct io_uring *ring, uint64_t max_bytes, unsigned int flags);

/* ---- Requests on the program's own ring ---- */

/* Set by iol_init(); before that, an opcode that no kernel knows. */
extern unsigned int iol_first_op;

static inline void iol_prep(struct io_uring_sqe *sqe, enum iolite_op op, int fd,
			    unsigned int slot, const void *addr, unsigned int len,
			    uint64_t off)
{
	io_uring_prep_rw((int)(iol_first_op + (unsigned int)op), sqe, fd, addr, len, off);
	sqe->file_index = slot;
}

/* IOLITE_* flags of the request's opcode; call it after iol_prep_*(). */
static inline void iol_sqe_set_flags(struct io_uring_sqe *sqe, unsigned int flags)
{
	sqe->ioprio = (__u16)flags;
}

/* The slot that the kernel chose for a request with IOLITE_SLOT_ALLOC. */
static inline unsigned int iol_cqe_slot(const struct io_uring_cqe *cqe)
{
	return cqe->flags >> IOLITE_CQE_SLOT_SHIFT;
}

static inline void iol_prep_alloc(struct io_uring_sqe *sqe, int pool, unsigned int slot,
				  const void *data, unsigned int len)
{
	iol_prep(sqe, IOLITE_OP_ALLOC, pool, slot, data, len, 0);
}

static inline void iol_prep_alloc_writable(struct io_uring_sqe *sqe, int pool,
					   unsigned int slot, uint64_t *addr,
					   unsigned int len)
{
	iol_prep(sqe, IOLITE_OP_ALLOC, pool, slot, addr, len, 0);
	iol_sqe_set_flags(sqe, IOLITE_ALLOC_WRITABLE);
}

static inline void iol_prep_seal(struct io_uring_sqe *sqe, unsigned int slot)
{
	iol_prep(sqe, IOLITE_OP_SEAL, -1, slot, NULL, 0, 0);
}

/* off: position in the file, or -1 for the file's own */
static inline void iol_prep_read(struct io_uring_sqe *sqe, int fd, unsigned int slot,
				 unsigned int len, int64_t off)
{
	iol_prep(sqe, IOLITE_OP_READ, fd, slot, NULL, len, (uint64_t)off);
}

/* To a file or pipe; len 0: all that is left after the cursor. */
static inline void iol_prep_write(struct io_uring_sqe *sqe, int fd, unsigned int slot,
				  unsigned int len, int64_t off)
{
	iol_prep(sqe, IOLITE_OP_WRITE, fd, slot, NULL, len, (uint64_t)off);
}

/* To a connected socket; len 0: all that is left after the cursor. */
static inline void iol_prep_send(struct io_uring_sqe *sqe, int sockfd, unsigned int slot,
				 unsigned int len, int msg_flags)
{
	iol_prep(sqe, IOLITE_OP_WRITE, sockfd, slot, NULL, len, 0);
	sqe->msg_flags = (__u32)msg_flags;
}

static inline void iol_prep_sendto(struct io_uring_sqe *sqe, int sockfd, unsigned int slot,
				   unsigned int len, int msg_flags,
				   const struct sockaddr *addr, socklen_t addrlen)
{
	iol_prep(sqe, IOLITE_OP_WRITE, sockfd, slot, addr, len, 0);
	sqe->msg_flags = (__u32)msg_flags;
	sqe->addr3 = addrlen;
}

/*
 * A header and then bytes of a file to a stream socket, in one request; off is
 * the position in the file.
 */
static inline void iol_prep_transmit(struct io_uring_sqe *sqe, int sockfd,
				     const void *header, unsigned int header_len,
				     int fd, unsigned int len, uint64_t off, int msg_flags)
{
	iol_prep(sqe, IOLITE_OP_TRANSMIT, sockfd, (unsigned int)fd,
		 header_len ? header : NULL, len, off);
	sqe->addr3 = header_len;
	sqe->msg_flags = (__u32)msg_flags;
}

/* The same of an aggregate, whose cursor stays; len 0: all that is left after off. */
static inline void iol_prep_transmit_slot(struct io_uring_sqe *sqe, int sockfd,
					  const void *header, unsigned int header_len,
					  unsigned int slot, unsigned int len,
					  uint64_t off, int msg_flags)
{
	iol_prep(sqe, IOLITE_OP_TRANSMIT, sockfd, slot, header_len ? header : NULL, len, off);
	iol_sqe_set_flags(sqe, IOLITE_TRANSMIT_SLOT);
	sqe->addr3 = header_len;
	sqe->msg_flags = (__u32)msg_flags;
}

static inline void iol_prep_edit(struct io_uring_sqe *sqe, enum iolite_edit edit,
				 unsigned int slot, uint64_t off, uint64_t arg,
				 unsigned int other)
{
	iol_prep(sqe, IOLITE_OP_EDIT, -1, slot, NULL, 0, off);
	sqe->msg_flags = (__u32)edit;
	sqe->addr = arg;
	sqe->addr3 = other;
}

static inline void iol_prep_concat(struct io_uring_sqe *sqe, unsigned int slot,
				   unsigned int tail)
{
	iol_prep_edit(sqe, IOLITE_EDIT_CONCAT, slot, 0, 0, tail);
}

static inline void iol_prep_prepend(struct io_uring_sqe *sqe, unsigned int slot,
				    unsigned int head)
{
	iol_prep_edit(sqe, IOLITE_EDIT_PREPEND, slot, 0, 0, head);
}

static inline void iol_prep_split(struct io_uring_sqe *sqe, unsigned int slot,
				  uint64_t off, unsigned int tail)
{
	iol_prep_edit(sqe, IOLITE_EDIT_SPLIT, slot, off, 0, tail);
}

static inline void iol_prep_dup(struct io_uring_sqe *sqe, unsigned int slot,
				unsigned int copy)
{
	iol_prep_edit(sqe, IOLITE_EDIT_DUP, slot, 0, 0, copy);
}

static inline void iol_prep_truncate(struct io_uring_sqe *sqe, unsigned int slot,
				     uint64_t len)
{
	iol_prep_edit(sqe, IOLITE_EDIT_TRUNCATE, slot, len, 0, 0);
}

static inline void iol_prep_replace(struct io_uring_sqe *sqe, unsigned int slot,
				    uint64_t off, uint64_t len, unsigned int with)
{
	iol_prep_edit(sqe, IOLITE_EDIT_REPLACE, slot, off, len, with);
}

static inline void iol_prep_seek(struct io_uring_sqe *sqe, unsigned int slot, int64_t off,
				 int whence)
{
	iol_prep_edit(sqe, IOLITE_EDIT_SEEK, slot, (uint64_t)off, (uint64_t)whence, 0);
}

static inline void iol_prep_tell(struct io_uring_sqe *sqe, unsigned int slot)
{
	iol_prep_edit(sqe, IOLITE_EDIT_TELL, slot, 0, 0, 0);
}

static inline void iol_prep_length(struct io_uring_sqe *sqe, unsigned int slot)
{
	iol_prep_edit(sqe, IOLITE_EDIT_LENGTH, slot, 0, 0, 0);
}

static inline void iol_prep_map(struct io_uring_sqe *sqe, unsigned int slot,
				struct iolite_extent *extents, unsigned int nr,
				uint64_t off)
{
	iol_prep(sqe, IOLITE_OP_MAP, -1, slot, extents, nr, off);
}

static inline void iol_prep_free(struct io_uring_sqe *sqe, unsigned int slot,
				 unsigned int nr)
{
	iol_prep(sqe, IOLITE_OP_FREE, -1, slot, NULL, nr, 0);
}

/* ---- Synchronous calls ---- */

struct iolite;
struct iol_agg;

int iol_open(struct iolite **io, unsigned int slots);
void iol_close(struct iolite *io);

/*
 * Where a call makes an aggregate, *agg is either NULL and receives a new one,
 * or names one whose contents are replaced, as with getline(3).
 */
ssize_t iol_read(struct iolite *io, struct iol_agg **agg, int fd, size_t len, int64_t off);
int iol_from_memory(struct iolite *io, struct iol_agg **agg, const void *data, size_t len);
int iol_alloc(struct iolite *io, struct iol_agg **agg, size_t len, void **data);
int iol_seal(struct iol_agg *agg);
void iol_free(struct iol_agg *agg);

ssize_t iol_write(struct iol_agg *agg, int fd, size_t len, int64_t off);
ssize_t iol_send(struct iol_agg *agg, int sockfd, size_t len, int msg_flags);

ssize_t iol_concat(struct iol_agg *agg, struct iol_agg *tail);
ssize_t iol_prepend(struct iol_agg *agg, struct iol_agg *head);
int iol_split(struct iol_agg *agg, uint64_t off, struct iol_agg **tail);
int iol_dup(struct iol_agg *agg, struct iol_agg **copy);
int iol_truncate(struct iol_agg *agg, uint64_t len);
int iol_replace(struct iol_agg *agg, uint64_t off, uint64_t len, struct iol_agg *with);
ssize_t iol_seek(struct iol_agg *agg, int64_t off, int whence);
ssize_t iol_tell(struct iol_agg *agg);
ssize_t iol_length(struct iol_agg *agg);

/* ---- The bytes of an aggregate ---- */

int iol_map(struct iol_agg *agg, struct iolite_extent *extents, unsigned int nr,
	    uint64_t off);

struct iol_slice {
	const void	*data;
	size_t		len;
	uint64_t	generation;	/* (data, generation) never names two contents */
};

/* Fields belong to the library. */
struct iol_slices {
	struct iol_agg		*agg;
	uint64_t		off;	/* of the first byte not mapped yet */
	unsigned int		next;
	unsigned int		nr;
	struct iolite_extent	extents[16];
};

void iol_slices_begin(struct iol_slices *it, struct iol_agg *agg, uint64_t off);
int iol_slices_next(struct iol_slices *it, struct iol_slice *slice);

ssize_t iol_to_memory(struct iol_agg *agg, void *buf, size_t len, uint64_t off);
int iol_compare(struct iol_agg *a, struct iol_agg *b, uint64_t *where);
int iol_checksum(struct iol_agg *agg, uint64_t off, uint64_t len);

#ifdef __cplusplus
}
#endif

#endif /* IOLITE_H */

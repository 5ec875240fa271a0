/* SPDX-License-Identifier: MIT */
/*
 * Sending by io_uring: all connections that are idle get their next response
 * in one system call.
 */
#ifndef RINGS_H
#define RINGS_H

#include <liburing.h>

#include "ftt.h"

/* Fixed files: the sockets are 0 .. conns - 1 */
#define FIXED_FILE	MAX_CONNS
#define FIXED_MORE	(MAX_CONNS + 1)	/* the mechanism's own */
#define NR_FIXED	(MAX_CONNS + 1 + 2 * MAX_CONNS)

struct ring;

/*
 * Queues what comes next of the response on connection @i; *done is set if that
 * is its end. The last request's user_data is i, and its result has to be
 * *expect; the others must not complete, or complete with user_data OTHER.
 */
typedef void (*queue_response)(struct cell *c, unsigned int i, size_t *at, size_t *expect);

#define OTHER	UINT64_MAX

struct ring {
	struct io_uring	uring;
	int		files[NR_FIXED];
	size_t		at[MAX_CONNS];		/* queued of the response */
	size_t		expect[MAX_CONNS];	/* result of what is in flight */
	unsigned int	left[MAX_CONNS];
};

void ring_open(struct cell *c, struct ring *r);
void ring_round(struct cell *c, struct ring *r, unsigned int responses, queue_response queue);
void ring_close(struct ring *r);
struct io_uring_sqe *ring_sqe(struct ring *r);

/* All but the last of a response */
static inline void ring_link(struct io_uring_sqe *sqe)
{
	sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = OTHER;
}

#endif

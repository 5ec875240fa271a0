/* SPDX-License-Identifier: MIT */
/* What the files of the library share. */
#ifndef LIBIOLITE_LIB_H
#define LIBIOLITE_LIB_H

#include <errno.h>
#include "iolite.h"

/* As read(2) and write(2): more than this is not moved at once. */
#define IOL_MAX_RW	0x7ffff000U

/* Names the slot of its index in its context, or is in the list of free handles. */
struct iol_agg {
	struct iolite	*io;
	struct iol_agg	*next_free;
};

struct iolite {
	struct io_uring	ring;
	int		pool;		/* fd, -1 until the first allocation */
	bool		joined;
	uint64_t	last_id;	/* user_data of the latest request */
	unsigned int	pending;	/* completions to come */
	struct io_uring_sqe *unsent;	/* queued, but refused; the next request takes it */
	struct iol_agg	*free;
	struct iol_agg	aggs[];
};

static inline unsigned int iol_slot(const struct iol_agg *agg)
{
	return (unsigned int)(agg - agg->io->aggs);
}

static inline unsigned int iol_clamp_len(size_t len)
{
	return len < IOL_MAX_RW ? (unsigned int)len : IOL_MAX_RW;
}

/* context.c */
int iol_run(struct iolite *io, const struct io_uring_sqe *request);
int iol_target(struct iolite *io, struct iol_agg **agg, struct iol_agg **target);
int iol_made(struct iol_agg **agg, struct iol_agg *target, int ret);

/* window.c */
int iol_context_join(struct iolite *io);

#endif /* LIBIOLITE_LIB_H */

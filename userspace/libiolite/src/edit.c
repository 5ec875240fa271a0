/* SPDX-License-Identifier: MIT */
/* Changes to the list of slices and to the cursor; no byte is touched. */
#include "lib.h"

ssize_t iol_concat(struct iol_agg *agg, struct iol_agg *tail)
{
	struct io_uring_sqe sqe;

	if (agg->io != tail->io)
		return -EXDEV;
	iol_prep_concat(&sqe, iol_slot(agg), iol_slot(tail));
	return iol_run(agg->io, &sqe);
}

ssize_t iol_prepend(struct iol_agg *agg, struct iol_agg *head)
{
	struct io_uring_sqe sqe;

	if (agg->io != head->io)
		return -EXDEV;
	iol_prep_prepend(&sqe, iol_slot(agg), iol_slot(head));
	return iol_run(agg->io, &sqe);
}

int iol_split(struct iol_agg *agg, uint64_t off, struct iol_agg **tail)
{
	struct io_uring_sqe sqe;
	struct iol_agg *to;
	int ret;

	ret = iol_target(agg->io, tail, &to);
	if (ret < 0)
		return ret;
	iol_prep_split(&sqe, iol_slot(agg), off, iol_slot(to));
	return iol_made(tail, to, iol_run(agg->io, &sqe));
}

int iol_dup(struct iol_agg *agg, struct iol_agg **copy)
{
	struct io_uring_sqe sqe;
	struct iol_agg *to;
	int ret;

	ret = iol_target(agg->io, copy, &to);
	if (ret < 0)
		return ret;
	iol_prep_dup(&sqe, iol_slot(agg), iol_slot(to));
	return iol_made(copy, to, iol_run(agg->io, &sqe));
}

int iol_truncate(struct iol_agg *agg, uint64_t len)
{
	struct io_uring_sqe sqe;

	iol_prep_truncate(&sqe, iol_slot(agg), len);
	return iol_run(agg->io, &sqe);
}

int iol_replace(struct iol_agg *agg, uint64_t off, uint64_t len, struct iol_agg *with)
{
	struct io_uring_sqe sqe;

	if (agg->io != with->io)
		return -EXDEV;
	iol_prep_replace(&sqe, iol_slot(agg), off, len, iol_slot(with));
	return iol_run(agg->io, &sqe);
}

ssize_t iol_seek(struct iol_agg *agg, int64_t off, int whence)
{
	struct io_uring_sqe sqe;

	iol_prep_seek(&sqe, iol_slot(agg), off, whence);
	return iol_run(agg->io, &sqe);
}

ssize_t iol_tell(struct iol_agg *agg)
{
	struct io_uring_sqe sqe;

	iol_prep_tell(&sqe, iol_slot(agg));
	return iol_run(agg->io, &sqe);
}

ssize_t iol_length(struct iol_agg *agg)
{
	struct io_uring_sqe sqe;

	iol_prep_length(&sqe, iol_slot(agg));
	return iol_run(agg->io, &sqe);
}

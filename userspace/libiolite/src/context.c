/* SPDX-License-Identifier: MIT */
/* The hidden ring of the synchronous calls: one request at a time. */
#include <stdlib.h>
#include <unistd.h>
#include "lib.h"

#define DEFAULT_SLOTS	256
#define RING_ENTRIES	4	/* a request and its cancellation, with room to spare */

static void put_handle(struct iol_agg *agg)
{
	agg->next_free = agg->io->free;
	agg->io->free = agg;
}

int iol_open(struct iolite **iop, unsigned int slots)
{
	struct iolite *io;
	int ret;

	if (!slots)
		slots = DEFAULT_SLOTS;
	if (slots > IOLITE_MAX_SLOTS)
		return -EINVAL;
	io = calloc(1, sizeof(*io) + slots * sizeof(io->aggs[0]));
	if (!io)
		return -ENOMEM;
	io->pool = -1;

	ret = io_uring_queue_init(RING_ENTRIES, &io->ring, 0);
	if (ret < 0)
		goto out_free;
	ret = iol_init(&io->ring, slots, 0);
	if (ret < 0)
		goto out_ring;

	while (slots--) {
		io->aggs[slots].io = io;
		put_handle(&io->aggs[slots]);
	}
	*iop = io;
	return 0;

out_ring:
	io_uring_queue_exit(&io->ring);
out_free:
	free(io);
	return ret;
}

void iol_close(struct iolite *io)
{
	if (!io)
		return;
	if (io->joined)
		iol_leave();
	if (io->pool >= 0)
		close(io->pool);
	io_uring_queue_exit(&io->ring);
	free(io);
}

/* What *agg names, or a free handle. */
int iol_target(struct iolite *io, struct iol_agg **agg, struct iol_agg **target)
{
	if (*agg) {
		*target = *agg;
		return (*agg)->io == io ? 0 : -EXDEV;
	}
	*target = io->free;
	if (!*target)
		return -ENFILE;
	io->free = (*target)->next_free;
	return 0;
}

/* Ends what iol_target() began: the caller gets a new handle only with contents. */
int iol_made(struct iol_agg **agg, struct iol_agg *target, int ret)
{
	if (ret >= 0)
		*agg = target;
	else if (!*agg)
		put_handle(target);
	return ret;
}

static int submit(struct iolite *io, const struct io_uring_sqe *request, uint64_t id)
{
	struct io_uring_sqe *sqe = io->unsent;
	int ret;

	if (!sqe)
		sqe = io_uring_get_sqe(&io->ring);
	*sqe = *request;
	sqe->user_data = id;

	ret = io_uring_submit_and_wait(&io->ring, 1);
	/* A signal interrupts only the wait: what was to be submitted has been. */
	if (ret < 0 && ret != -EINTR) {
		io->unsent = sqe;
		return ret;
	}
	io->unsent = NULL;
	io->pending++;
	return 0;
}

/* Takes the completions that are there off the queue, and the result of id. */
static void reap(struct iolite *io, uint64_t id, int *res)
{
	struct io_uring_cqe *cqe;

	while (io->pending && !io_uring_peek_cqe(&io->ring, &cqe)) {
		if (cqe->user_data == id)
			*res = cqe->res;
		io_uring_cqe_seen(&io->ring, cqe);
		io->pending--;
	}
}

/*
 * A signal handler ran.  What has begun is stopped, or waited for where it
 * cannot be stopped (a disk); what was already done is reported as a count.
 */
static int interrupt(struct iolite *io, uint64_t id)
{
	struct io_uring_sqe cancel;
	struct io_uring_cqe *cqe;
	int ret, res = -EIO;

	io_uring_prep_cancel64(&cancel, id, 0);
	submit(io, &cancel, ++io->last_id);	/* failure: it is waited for */

	for (reap(io, id, &res); io->pending; reap(io, id, &res)) {
		ret = io_uring_wait_cqe(&io->ring, &cqe);
		if (ret < 0 && ret != -EINTR)
			return ret;
	}
	return res == -ECANCELED ? -EINTR : res;
}

int iol_run(struct iolite *io, const struct io_uring_sqe *request)
{
	uint64_t id = ++io->last_id;
	int ret, res = -EIO;

	ret = submit(io, request, id);
	if (ret < 0)
		return ret;
	reap(io, id, &res);
	return io->pending ? interrupt(io, id) : res;
}

void iol_free(struct iol_agg *agg)
{
	struct io_uring_sqe sqe;

	if (!agg)
		return;
	iol_prep_free(&sqe, iol_slot(agg), 1);
	iol_run(agg->io, &sqe);
	put_handle(agg);
}

/* SPDX-License-Identifier: MIT */
/* Aggregates out of files and memory, and into files and sockets. */
#include "lib.h"

ssize_t iol_read(struct iolite *io, struct iol_agg **agg, int fd, size_t len, int64_t off)
{
	struct io_uring_sqe sqe;
	struct iol_agg *to;
	int ret;

	ret = iol_target(io, agg, &to);
	if (ret < 0)
		return ret;
	iol_prep_read(&sqe, fd, iol_slot(to), iol_clamp_len(len), off);
	return iol_made(agg, to, iol_run(io, &sqe));
}

ssize_t iol_write(struct iol_agg *agg, int fd, size_t len, int64_t off)
{
	struct io_uring_sqe sqe;

	iol_prep_write(&sqe, fd, iol_slot(agg), iol_clamp_len(len), off);
	return iol_run(agg->io, &sqe);
}

/*
 * Waits for all as send(2) does.  Not by MSG_WAITALL, which TLS in the kernel
 * does not know.
 */
ssize_t iol_send(struct iol_agg *agg, int sockfd, size_t len, int msg_flags)
{
	struct io_uring_sqe sqe;
	size_t done = 0;
	int ret;

	do {
		iol_prep_send(&sqe, sockfd, iol_slot(agg),
			      len ? iol_clamp_len(len - done) : 0, msg_flags);
		ret = iol_run(agg->io, &sqe);
		if (ret > 0)
			done += (size_t)ret;
	} while (ret > 0 && done != len && !(msg_flags & MSG_DONTWAIT));

	return done ? (ssize_t)done : ret;
}

static int pool_of(struct iolite *io)
{
	if (io->pool < 0)
		io->pool = iol_pool_create(&io->ring, 0, 0);
	return io->pool;
}

int iol_from_memory(struct iolite *io, struct iol_agg **agg, const void *data, size_t len)
{
	struct io_uring_sqe sqe;
	struct iol_agg *to;
	int pool, ret;

	if (len > iol_info()->max_bytes)
		return -E2BIG;
	pool = pool_of(io);
	if (pool < 0)
		return pool;
	ret = iol_target(io, agg, &to);
	if (ret < 0)
		return ret;
	iol_prep_alloc(&sqe, pool, iol_slot(to), data, (unsigned int)len);
	ret = iol_made(agg, to, iol_run(io, &sqe));
	return ret < 0 ? ret : 0;
}

int iol_alloc(struct iolite *io, struct iol_agg **agg, size_t len, void **data)
{
	struct io_uring_sqe sqe;
	struct iol_agg *to;
	uint64_t addr = 0;
	int pool, ret;

	if (len > iol_info()->max_bytes)
		return -E2BIG;
	pool = pool_of(io);
	if (pool < 0)
		return pool;
	ret = iol_context_join(io);
	if (ret < 0)
		return ret;
	ret = iol_target(io, agg, &to);
	if (ret < 0)
		return ret;
	iol_prep_alloc_writable(&sqe, pool, iol_slot(to), &addr, (unsigned int)len);
	ret = iol_made(agg, to, iol_run(io, &sqe));
	if (ret < 0)
		return ret;
	*data = (void *)(uintptr_t)addr;
	return 0;
}

int iol_seal(struct iol_agg *agg)
{
	struct io_uring_sqe sqe;

	iol_prep_seal(&sqe, iol_slot(agg));
	return iol_run(agg->io, &sqe);
}

/* SPDX-License-Identifier: MIT */
/* What the tests that run on an IO-Lite kernel share. */
#ifndef GUEST_H
#define GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <iolite.h>
#include "tap.h"

/* The same numbers at every run, so that a failure comes back. */
__attribute__((unused))
static uint32_t any(uint32_t below)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 20) % below;
}

__attribute__((unused))
static unsigned char *any_bytes(size_t len)
{
	unsigned char *p = malloc(len + 1);
	size_t i;

	must(p);
	for (i = 0; i < len; i++)
		p[i] = (unsigned char)any(256);
	return p;
}

/* A file without a name, with these contents. */
__attribute__((unused))
static int file_of(const void *data, size_t len)
{
	char path[] = "/tmp/iolite-XXXXXX";
	int fd = mkstemp(path);

	must(fd >= 0 && !unlink(path));
	must(pwrite(fd, data, len, 0) == (ssize_t)len);
	return fd;
}

/* Whether an aggregate has exactly these bytes; says where it does not. */
__attribute__((unused))
static int holds(struct iol_agg *agg, const void *data, size_t len)
{
	unsigned char *seen = malloc(len + 1);
	const unsigned char *want = data;
	ssize_t n;
	size_t i;

	must(seen);
	n = iol_to_memory(agg, seen, len + 1, 0);
	for (i = 0; n > 0 && i < (size_t)n && i < len && seen[i] == want[i]; i++)
		;
	free(seen);
	if (n == (ssize_t)len && i == len)
		return 1;
	printf("# expected %zu bytes, saw %zd, the first %zu as expected\n", len, n, i);
	return 0;
}

/* Runs one request to its end. */
__attribute__((unused))
static int finish_one(struct io_uring *ring, unsigned int *slot)
{
	struct io_uring_cqe *cqe;
	int res;

	must(io_uring_submit_and_wait(ring, 1) == 1);
	must(!io_uring_wait_cqe(ring, &cqe));
	res = cqe->res;
	if (slot)
		*slot = iol_cqe_slot(cqe);
	io_uring_cqe_seen(ring, cqe);
	return res;
}

/* RUN(&ring, iol_prep_free(sqe, 0, 1)): the result of the request */
#define RUN(ring, prep) ({					\
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);	\
								\
	prep;							\
	finish_one(ring, NULL);					\
})

/* The same, and the slot that the kernel chose */
#define RUN_SLOT(ring, slot, prep) ({				\
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);	\
								\
	prep;							\
	finish_one(ring, slot);					\
})

#endif /* GUEST_H */

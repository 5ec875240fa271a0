// SPDX-License-Identifier: MIT
/*
 * What dup, seek, split, concat, truncate and free cost on aggregates of 1 to
 * 1 000 000 slices, through a ring: each alone in a system call, and 64 at a time.
 *
 * Prints a line for each measured section, in their order: operation, slices,
 * requests in the section, requests in a system call.  Each section is there
 * for several rounds, and the first round warms up.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iolite.h>

#include "mark.h"

#define SLICE	1024
#define BATCH	64
#define ROUNDS	4

enum {
	KEPT,
	POWER,
	COPIES,				/* of KEPT; after the split, its first half */
	TAILS = COPIES + BATCH,
	HELD = TAILS + BATCH,		/* what others share with COPIES and TAILS */
	HELD_TAILS = HELD + BATCH,
	NR_SLOTS = HELD_TAILS + BATCH,
};

static struct io_uring ring;

static void check(int ret, const char *what)
{
	if (ret < 0)
		errx(1, "%s: %s", what, strerror(-ret));
}

static void reap(unsigned int nr, const char *what)
{
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;

	io_uring_for_each_cqe(&ring, head, cqe) {
		check(cqe->res, what);
		seen++;
	}
	io_uring_cq_advance(&ring, seen);
	if (seen != nr)
		errx(1, "%s: %u completions of %u", what, seen, nr);
}

static void submit(unsigned int nr, const char *what)
{
	check(io_uring_submit_and_wait(&ring, nr), what);
	reap(nr, what);
}

/* Slices of one buffer that are not neighbours, lest they become one */
static void build(unsigned int slices, int pool)
{
	static char bytes[SLICE];

	iol_prep_alloc(io_uring_get_sqe(&ring), pool, POWER, bytes, SLICE);
	submit(1, "alloc");
	iol_prep_dup(io_uring_get_sqe(&ring), POWER, KEPT);
	iol_prep_truncate(io_uring_get_sqe(&ring), KEPT, 0);
	submit(2, "empty");
	for (; slices; slices >>= 1) {
		if (slices & 1) {
			iol_prep_concat(io_uring_get_sqe(&ring), KEPT, POWER);
			submit(1, "build");
		}
		if (slices > 1) {
			iol_prep_concat(io_uring_get_sqe(&ring), POWER, POWER);
			submit(1, "double");
		}
	}
	iol_prep_free(io_uring_get_sqe(&ring), POWER, 1);
	submit(1, "free");
}

struct work {
	unsigned int	slices;
	unsigned int	batch;
	uint64_t	middle;		/* of the bytes, and in the middle of a slice */
};

static void prep_dup(struct io_uring_sqe *sqe, unsigned int i, const struct work *w)
{
	(void)w;
	iol_prep_dup(sqe, KEPT, COPIES + i);
}

static void prep_seek(struct io_uring_sqe *sqe, unsigned int i, const struct work *w)
{
	iol_prep_seek(sqe, COPIES + i, (int64_t)w->middle, SEEK_SET);
}

static void prep_split(struct io_uring_sqe *sqe, unsigned int i, const struct work *w)
{
	iol_prep_split(sqe, COPIES + i, w->middle, TAILS + i);
}

/* So that nothing that concat meets is its own: it may change no node in place. */
static void prep_hold(struct io_uring_sqe *sqe, unsigned int i, const struct work *w)
{
	(void)w;
	iol_prep_dup(sqe, COPIES + i, HELD + i);
}

static void prep_hold_tail(struct io_uring_sqe *sqe, unsigned int i, const struct work *w)
{
	(void)w;
	iol_prep_dup(sqe, TAILS + i, HELD_TAILS + i);
}

static void prep_concat(struct io_uring_sqe *sqe, unsigned int i, const struct work *w)
{
	(void)w;
	iol_prep_concat(sqe, COPIES + i, TAILS + i);
}

static void prep_free_others(struct io_uring_sqe *sqe, unsigned int i, const struct work *w)
{
	(void)w;
	iol_prep_free(sqe, TAILS + 3 * i, 3);
}

static void prep_truncate(struct io_uring_sqe *sqe, unsigned int i, const struct work *w)
{
	iol_prep_truncate(sqe, COPIES + i, w->middle);
}

static void prep_free(struct io_uring_sqe *sqe, unsigned int i, const struct work *w)
{
	(void)w;
	iol_prep_free(sqe, COPIES + i, 1);
}

static const struct step {
	const char	*name;
	void		(*prep)(struct io_uring_sqe *sqe, unsigned int i, const struct work *w);
	int		measured;
} steps[] = {
	{ "dup",	prep_dup,	1 },
	{ "seek",	prep_seek,	1 },
	{ "split",	prep_split,	1 },
	{ "hold",	prep_hold,	0 },
	{ "hold",	prep_hold_tail,	0 },
	{ "concat",	prep_concat,	1 },
	{ "free",	prep_free_others, 0 },
	{ "truncate",	prep_truncate,	1 },
	{ "free",	prep_free,	1 },
};

static void run(const struct step *step, const struct work *w)
{
	unsigned int i, j;

	if (step->measured)
		mark_begin();
	for (i = 0; i < BATCH; i += w->batch) {
		for (j = 0; j < w->batch; j++)
			step->prep(io_uring_get_sqe(&ring), i + j, w);
		submit(w->batch, step->name);
	}
	if (step->measured) {
		mark_end();
		printf("%s %u %u %u\n", step->name, w->slices, BATCH, w->batch);
	}
}

int main(void)
{
	static const unsigned int sizes[] = { 1, 16, 256, 4096, 65536, 1000000 };
	static const unsigned int batches[] = { BATCH, 1 };
	unsigned int i, j, k, round;
	int pool;

	check(io_uring_queue_init(BATCH, &ring, IORING_SETUP_SINGLE_ISSUER |
				  IORING_SETUP_DEFER_TASKRUN), "io_uring");
	check(io_uring_register_ring_fd(&ring), "ring fd");
	check(iol_init(&ring, NR_SLOTS, 0), "IO-Lite");
	pool = iol_pool_create(&ring, 0, 0);
	check(pool, "pool");

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct work w = {
			.slices = sizes[i],
			.middle = sizes[i] / 2 * (uint64_t)SLICE + SLICE / 2,
		};

		build(sizes[i], pool);
		for (j = 0; j < 2; j++) {
			w.batch = batches[j];
			for (round = 0; round < ROUNDS; round++)
				for (k = 0; k < sizeof(steps) / sizeof(steps[0]); k++)
					run(&steps[k], &w);
		}
	}
	return 0;
}

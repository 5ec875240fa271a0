// SPDX-License-Identifier: MIT
/*
 * IO-Lite: the file read for each response, or an aggregate of it that is kept.
 *
 * A header is made for each response, as servers must.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <iolite.h>

#include "rings.h"

#define KEPT		0	/* the only slot */

struct sender {
	struct ring	ring;
};

static void check(int ret, const char *what)
{
	if (ret < 0)
		errx(1, "%s: %s", what, strerror(-ret));
}

static struct sender *iolite_open(struct cell *c)
{
	struct sender *s = must(calloc(1, sizeof(*s)));

	c->state = s;
	ring_open(c, &s->ring);
	check(iol_init(&s->ring.uring, KEPT + 1, 0), "iol_init");
	return s;
}

static void iolite_close(struct cell *c)
{
	struct sender *s = c->state;

	iol_exit(&s->ring.uring);
	ring_close(&s->ring);
	free(s);
}

/* ---- Read each time ---- */

static void iolite_read_open(struct cell *c)
{
	iolite_open(c);
}

static void iolite_read_queue(struct cell *c, unsigned int i, size_t *at, size_t *expect)
{
	struct sender *s = c->state;
	struct io_uring_sqe *sqe = ring_sqe(&s->ring);

	iol_prep_transmit(sqe, (int)i, c->header, (unsigned int)c->header_len, FIXED_FILE,
			  (unsigned int)c->size, 0, 0);
	iol_sqe_set_flags(sqe, IOLITE_TRANSMIT_FIXED_FILE);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = i;
	*at = *expect = c->header_len + c->size;
}

static void iolite_read_round(struct cell *c, unsigned int responses)
{
	ring_round(c, c->state, responses, iolite_read_queue);
}

const struct mechanism iolite_read = {
	"IO-Lite", iolite_read_open, iolite_read_round, iolite_close
};

/* ---- Kept ---- */

static void iolite_kept_open(struct cell *c)
{
	struct sender *s = iolite_open(c);
	struct io_uring_cqe *cqe;

	iol_prep_read(ring_sqe(&s->ring), c->file, KEPT, (unsigned int)c->size, 0);
	check(io_uring_submit_and_wait(&s->ring.uring, 1), "submit");
	check(io_uring_wait_cqe(&s->ring.uring, &cqe), "wait");
	check(cqe->res, "the kept aggregate");
	io_uring_cqe_seen(&s->ring.uring, cqe);
}

static void iolite_kept_queue(struct cell *c, unsigned int i, size_t *at, size_t *expect)
{
	struct sender *s = c->state;
	struct io_uring_sqe *sqe = ring_sqe(&s->ring);

	iol_prep_transmit_slot(sqe, (int)i, c->header, (unsigned int)c->header_len, KEPT,
			       (unsigned int)c->size, 0, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = i;
	*at = *expect = c->header_len + c->size;
}

static void iolite_kept_round(struct cell *c, unsigned int responses)
{
	ring_round(c, c->state, responses, iolite_kept_queue);
}

const struct mechanism iolite_kept = {
	"IO-Lite kept", iolite_kept_open, iolite_kept_round, iolite_close
};

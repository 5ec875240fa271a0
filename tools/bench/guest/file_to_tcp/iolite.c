// SPDX-License-Identifier: MIT
/*
 * IO-Lite: the file read for each response, or an aggregate of it that is kept.
 *
 * A header is made for each response, as servers must; it goes into a buffer of
 * a pool.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <iolite.h>

#include "rings.h"

#define FIXED_POOL	FIXED_MORE

/* Slots: one a connection, and the kept aggregate */
#define KEPT		MAX_CONNS
#define NR_SLOTS	(MAX_CONNS + 1)

struct sender {
	struct ring	ring;
	int		pool;
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
	check(iol_init(&s->ring.uring, NR_SLOTS, 0), "iol_init");
	s->pool = iol_pool_create(&s->ring.uring, 0, 0);
	check(s->pool, "iol_pool_create");
	check(io_uring_register_files_update(&s->ring.uring, FIXED_POOL, &s->pool, 1),
	      "register the pool");
	return s;
}

static void iolite_close(struct cell *c)
{
	struct sender *s = c->state;

	iol_exit(&s->ring.uring);
	ring_close(&s->ring);
	close(s->pool);
	free(s);
}

static void queue_header(struct cell *c, struct sender *s, unsigned int i)
{
	struct io_uring_sqe *sqe = ring_sqe(&s->ring);

	iol_prep_alloc(sqe, FIXED_POOL, i, c->header, (unsigned int)c->header_len);
	sqe->flags |= IOSQE_FIXED_FILE;
	ring_link(sqe);
}

static void queue_send(struct cell *c, struct sender *s, unsigned int i, unsigned int slot,
		       unsigned int flags, size_t *at, size_t *expect)
{
	struct io_uring_sqe *sqe = ring_sqe(&s->ring);

	iol_prep_send(sqe, (int)i, slot, 0, MSG_NOSIGNAL | MSG_WAITALL);
	iol_sqe_set_flags(sqe, flags);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = i;
	*at = *expect = c->header_len + c->size;
}

/* ---- Read each time ---- */

static void iolite_read_open(struct cell *c)
{
	iolite_open(c);
}

static void iolite_read_queue(struct cell *c, unsigned int i, size_t *at, size_t *expect)
{
	struct sender *s = c->state;
	struct io_uring_sqe *sqe;

	if (c->header_len)
		queue_header(c, s, i);
	sqe = ring_sqe(&s->ring);
	iol_prep_read(sqe, FIXED_FILE, i, (unsigned int)c->size, 0);
	if (c->header_len)
		iol_sqe_set_flags(sqe, IOLITE_READ_APPEND);
	sqe->flags |= IOSQE_FIXED_FILE;
	ring_link(sqe);
	queue_send(c, s, i, i, IOLITE_WRITE_FREE, at, expect);
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
	unsigned int wait = 1;

	iol_prep_read(ring_sqe(&s->ring), c->file, KEPT, (unsigned int)c->size, 0);
	/* Without a header each connection's duplicate is sent from, and then rewound. */
	for (unsigned int i = 0; i < c->conns && !c->header_len; i++, wait++)
		iol_prep_dup(ring_sqe(&s->ring), KEPT, i);
	check(io_uring_submit_and_wait(&s->ring.uring, wait), "submit");
	while (!io_uring_peek_cqe(&s->ring.uring, &cqe)) {
		check(cqe->res, "the kept aggregate");
		io_uring_cqe_seen(&s->ring.uring, cqe);
	}
}

static void iolite_kept_queue(struct cell *c, unsigned int i, size_t *at, size_t *expect)
{
	struct sender *s = c->state;
	struct io_uring_sqe *sqe;

	if (c->header_len) {
		queue_header(c, s, i);
		sqe = ring_sqe(&s->ring);
		iol_prep_concat(sqe, i, KEPT);
	} else {
		sqe = ring_sqe(&s->ring);
		iol_prep_seek(sqe, i, 0, SEEK_SET);
	}
	ring_link(sqe);
	queue_send(c, s, i, i, c->header_len ? IOLITE_WRITE_FREE : 0, at, expect);
}

static void iolite_kept_round(struct cell *c, unsigned int responses)
{
	ring_round(c, c->state, responses, iolite_kept_queue);
}

const struct mechanism iolite_kept = {
	"IO-Lite kept", iolite_kept_open, iolite_kept_round, iolite_close
};

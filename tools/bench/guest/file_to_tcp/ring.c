// SPDX-License-Identifier: MIT
/*
 * The mechanisms of io_uring that every kernel has: splice through a pipe, SEND_ZC.
 */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rings.h"

#define PIPE_SIZE	(1 << 20)
#define HUGE_PAGE	((size_t)2 << 20)

static void queue_header(struct cell *c, struct ring *r, unsigned int i)
{
	struct io_uring_sqe *sqe = ring_sqe(r);

	io_uring_prep_send(sqe, (int)i, c->header, c->header_len, MSG_MORE | MSG_WAITALL);
	sqe->flags |= IOSQE_FIXED_FILE;
	ring_link(sqe);
}

/* ---- splice through a pipe ---- */

struct splicer {
	struct ring	ring;
	int		pipes[MAX_CONNS][2];
};

static void splice_open(struct cell *c)
{
	struct splicer *s = must(calloc(1, sizeof(*s)));

	c->state = s;
	ring_open(c, &s->ring);
	for (unsigned int i = 0; i < c->conns; i++) {
		if (pipe(s->pipes[i]) || fcntl(s->pipes[i][0], F_SETPIPE_SZ, PIPE_SIZE) < 0)
			err(1, "pipe");
		if (io_uring_register_files_update(&s->ring.uring, FIXED_MORE + 2 * i,
						   s->pipes[i], 2) != 2)
			errx(1, "the pipes cannot be registered");
	}
}

static void splice_close(struct cell *c)
{
	struct splicer *s = c->state;

	ring_close(&s->ring);
	for (unsigned int i = 0; i < c->conns; i++) {
		close(s->pipes[i][0]);
		close(s->pipes[i][1]);
	}
	free(s);
}

static void splice_queue(struct cell *c, unsigned int i, size_t *at, size_t *expect)
{
	struct splicer *s = c->state;
	int in = FIXED_MORE + 2 * (int)i, out = in + 1;
	struct io_uring_sqe *sqe;
	size_t pos, len;

	if (!*at && c->header_len) {
		queue_header(c, &s->ring, i);
		*at = c->header_len;
	}
	pos = *at - c->header_len;
	len = c->size - pos < PIPE_SIZE ? c->size - pos : PIPE_SIZE;

	sqe = ring_sqe(&s->ring);
	io_uring_prep_splice(sqe, FIXED_FILE, (int64_t)pos, out, -1, (unsigned int)len,
			     SPLICE_F_FD_IN_FIXED);
	sqe->flags |= IOSQE_FIXED_FILE;
	ring_link(sqe);

	sqe = ring_sqe(&s->ring);
	io_uring_prep_splice(sqe, in, -1, (int)i, -1, (unsigned int)len, SPLICE_F_FD_IN_FIXED |
			     (pos + len < c->size ? SPLICE_F_MORE : 0));
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = i;
	*at += len;
	*expect = len;
}

static void splice_round(struct cell *c, unsigned int responses)
{
	ring_round(c, c->state, responses, splice_queue);
}

const struct mechanism splice_pipe = {
	"splice", splice_open, splice_round, splice_close
};

/* ---- SEND_ZC from mmap ---- */

struct zc {
	struct ring	ring;
	char		*data;
	size_t		mapped;
	struct iovec	iov[2];
	struct msghdr	msg;
};

static void zc_open(struct cell *c)
{
	struct zc *zc = must(calloc(1, sizeof(*zc)));

	c->state = zc;
	ring_open(c, &zc->ring);
	zc->mapped = c->size;
	zc->data = mmap(NULL, c->size, PROT_READ, MAP_SHARED | MAP_POPULATE, c->file, 0);
	if (zc->data == MAP_FAILED)
		err(1, "mmap");
	zc->iov[0] = (struct iovec){ c->header, c->header_len };
	zc->iov[1] = (struct iovec){ zc->data, c->size };
	zc->msg = (struct msghdr){ .msg_iov = zc->iov, .msg_iovlen = 2 };
}

static void zc_close(struct cell *c)
{
	struct zc *zc = c->state;

	ring_close(&zc->ring);
	munmap(zc->data, zc->mapped);
	free(zc);
}

static void zc_queue(struct cell *c, unsigned int i, size_t *at, size_t *expect)
{
	struct zc *zc = c->state;
	struct io_uring_sqe *sqe = ring_sqe(&zc->ring);

	if (c->header_len)
		io_uring_prep_sendmsg_zc(sqe, (int)i, &zc->msg, MSG_WAITALL);
	else
		io_uring_prep_send_zc(sqe, (int)i, zc->data, c->size, MSG_WAITALL, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = i;
	*at = *expect = c->header_len + c->size;
}

static void zc_round(struct cell *c, unsigned int responses)
{
	ring_round(c, c->state, responses, zc_queue);
}

const struct mechanism send_zc = {
	"SEND_ZC", zc_open, zc_round, zc_close
};

/* ---- SEND_ZC from registered memory ---- */

/*
 * A file's own pages cannot be registered, as that takes pages that the program
 * may write.  So it is a private copy, in huge pages, which are the best that
 * registered memory can be.
 */
static void zc_fixed_open(struct cell *c)
{
	struct zc *zc = must(calloc(1, sizeof(*zc)));
	struct iovec iov;
	uintptr_t aligned;

	c->state = zc;
	ring_open(c, &zc->ring);
	zc->mapped = (c->size + 2 * HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	zc->data = mmap(NULL, zc->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	if (zc->data == MAP_FAILED)
		err(1, "mmap");
	madvise(zc->data, zc->mapped, MADV_HUGEPAGE);
	aligned = ((uintptr_t)zc->data + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	zc->iov[0].iov_base = (void *)aligned;
	for (size_t at = 0; at < c->size; ) {
		ssize_t n = pread(c->file, (char *)aligned + at, c->size - at, (off_t)at);

		if (n <= 0)
			err(1, "pread");
		at += (size_t)n;
	}
	iov = (struct iovec){ (void *)aligned, c->size };
	if (io_uring_register_buffers(&zc->ring.uring, &iov, 1))
		errx(1, "the buffer cannot be registered");
}

static void zc_fixed_queue(struct cell *c, unsigned int i, size_t *at, size_t *expect)
{
	struct zc *zc = c->state;
	struct io_uring_sqe *sqe;

	if (c->header_len)
		queue_header(c, &zc->ring, i);
	sqe = ring_sqe(&zc->ring);
	io_uring_prep_send_zc_fixed(sqe, (int)i, zc->iov[0].iov_base, c->size, MSG_WAITALL, 0, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = i;
	*at = c->header_len + c->size;
	*expect = c->size;
}

static void zc_fixed_round(struct cell *c, unsigned int responses)
{
	ring_round(c, c->state, responses, zc_fixed_queue);
}

const struct mechanism send_zc_fixed = {
	"SEND_ZC registered", zc_fixed_open, zc_fixed_round, zc_close
};

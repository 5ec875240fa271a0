// SPDX-License-Identifier: MIT
#include "rings.h"

#include <err.h>
#include <errno.h>
#include <string.h>

#define ENTRIES		1024
#define COMPLETIONS	8192

void ring_open(struct cell *c, struct ring *r)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_CQSIZE,
		.cq_entries = COMPLETIONS,
	};
	int ret = io_uring_queue_init_params(ENTRIES, &r->uring, &params);

	if (ret)
		errx(1, "io_uring_queue_init: %s", strerror(-ret));
	for (unsigned int i = 0; i < NR_FIXED; i++)
		r->files[i] = i < c->conns ? c->fds[i] : -1;
	r->files[FIXED_FILE] = c->file;
	ret = io_uring_register_files(&r->uring, r->files, NR_FIXED);
	if (!ret)
		ret = io_uring_register_ring_fd(&r->uring) != 1;
	if (ret)
		errx(1, "io_uring_register: %s", strerror(-ret));
}

void ring_close(struct ring *r)
{
	io_uring_queue_exit(&r->uring);
}

struct io_uring_sqe *ring_sqe(struct ring *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);

	if (!sqe)
		errx(1, "the submission queue is full");
	return sqe;
}

static void queue_next(struct cell *c, struct ring *r, unsigned int i, queue_response queue)
{
	queue(c, i, &r->at[i], &r->expect[i]);
}

void ring_round(struct cell *c, struct ring *r, unsigned int responses, queue_response queue)
{
	size_t end = c->header_len + c->size;
	unsigned int busy = c->conns, in_flight = c->conns;

	for (unsigned int i = 0; i < c->conns; i++) {
		r->left[i] = responses;
		r->at[i] = 0;
		queue_next(c, r, i, queue);
	}
	while (busy) {
		struct io_uring_cqe *cqe;
		unsigned int head, nr = 0;
		/* half of them, lest those that are quick wait for those that are not */
		int ret = io_uring_submit_and_wait(&r->uring, (in_flight + 1) / 2);

		if (ret < 0 && ret != -EINTR)
			errx(1, "io_uring_submit_and_wait: %s", strerror(-ret));
		io_uring_for_each_cqe(&r->uring, head, cqe) {
			unsigned int i = (unsigned int)cqe->user_data;

			nr++;
			if (cqe->flags & IORING_CQE_F_NOTIF)
				continue;
			if (cqe->user_data == OTHER)
				errx(1, "a linked request: %s", strerror(-cqe->res));
			if (cqe->res != (int)r->expect[i])
				errx(1, "result %d, expected %zu", cqe->res, r->expect[i]);
			in_flight--;
			if (r->at[i] == end) {
				r->at[i] = 0;
				if (!--r->left[i]) {
					busy--;
					continue;
				}
			}
			queue_next(c, r, i, queue);
			in_flight++;
		}
		io_uring_cq_advance(&r->uring, nr);
	}
}

// SPDX-License-Identifier: MIT
/* A kernel without IO-Lite is told apart from wrong use, by one error. */
#include <errno.h>
#include <string.h>
#include <iolite.h>
#include "tap.h"

int main(void)
{
	struct iolite *io = NULL;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	int ret;

	ret = io_uring_queue_init(4, &ring, 0);
	if (ret < 0) {
		printf("# io_uring_queue_init: %s\n", strerror(-ret));
		skip("this machine has no io_uring");
		return done();
	}
	ret = iol_init(&ring, 1, 0);
	if (!ret) {
		skip("this kernel has IO-Lite");
		io_uring_queue_exit(&ring);
		return done();
	}

	is(ret, -EOPNOTSUPP, "iol_init()");
	is(iol_init(&ring, 0, 0), -EINVAL, "wrong use stays -EINVAL");
	is(iol_open(&io, 0), -EOPNOTSUPP, "iol_open()");
	ok(!io, "iol_open() leaves no context");
	ok(!iol_info(), "iol_info()");

	sqe = io_uring_get_sqe(&ring);
	iol_prep_free(sqe, 0, 1);
	is(io_uring_submit_and_wait(&ring, 1), 1, "a request is submitted");
	is(io_uring_wait_cqe(&ring, &cqe), 0, "completes");
	is(cqe->res, -EINVAL, "and fails");
	io_uring_queue_exit(&ring);
	return done();
}

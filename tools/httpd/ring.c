// SPDX-License-Identifier: MIT
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

struct io_uring_sqe *ring_sqes(struct io_uring *ring, unsigned int nr)
{
	while (io_uring_sq_space_left(ring) < nr) {
		int n = io_uring_submit(ring);

		if (n < 0 && n != -EAGAIN && n != -EBUSY && n != -EINTR) {
			log_error("io_uring_submit: %s", strerror(-n));
			abort();
		}
	}
	return io_uring_get_sqe(ring);
}

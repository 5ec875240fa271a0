/* SPDX-License-Identifier: MIT */
/*
 * A kernel with IO-Lite, as far as the synchronous calls can tell: it stands in
 * for liburing's system calls (ld --wrap), and keeps aggregates as arrays.
 */
#ifndef FAKE_H
#define FAKE_H

#include <iolite.h>

#define FAKE_FIRST_OP	70
#define FAKE_WINDOW	0x7e0000000000ULL
#define FAKE_WINDOW_SIZE (1ULL << 30)
#define FAKE_RING_FD	1000
#define FAKE_SLOTS	8
#define FAKE_MAX_BYTES	(1U << 20)

struct fake {
	/* What the kernel shall do */
	int	register_result;	/* of every registration, if not 0 */
	int	submit_result;		/* of the next submission, if not 0 */
	int	op_result;		/* of the next request, if not 0 */
	size_t	slice_size;		/* ALLOC makes slices of so many bytes */
	bool	hold;			/* the next request blocks, a signal arrives */
	int	held_result;		/* of a blocked request that is cancelled */
	bool	held_first;		/* its completion comes before the cancellation's */

	/* What it has seen */
	unsigned int	registrations;
	unsigned int	last_register;
	unsigned int	maps, unmaps;	/* of the window */
	unsigned int	requests;
	struct io_uring_sqe last;
	unsigned int	slots_used;
	unsigned int	rings;
};

extern struct fake fake;

/* Forgets everything, and frees the memory of aggregates. */
void fake_reset(void);

#endif /* FAKE_H */

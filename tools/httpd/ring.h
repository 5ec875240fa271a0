/* SPDX-License-Identifier: MIT */
/* Submission entries, and how a completion finds its owner. */
#ifndef HTTPD_RING_H
#define HTTPD_RING_H

#include <liburing.h>
#include <stdint.h>

/* In the low bits of user_data, below an address from malloc(). */
enum ring_tag {
	TAG_NONE,	/* nobody waits for it */
	TAG_ACCEPT,
	TAG_STOP,
	TAG_RECV,
	TAG_SEND,
	TAG_KEEP,
	TAG_MASK = 7,
};

/*
 * The first of nr entries that are submitted together, so that a chain of
 * links is not cut; get the others with io_uring_get_sqe().
 */
struct io_uring_sqe *ring_sqes(struct io_uring *ring, unsigned int nr);

static inline void ring_tag(struct io_uring_sqe *sqe, void *owner, enum ring_tag tag)
{
	io_uring_sqe_set_data64(sqe, (uintptr_t)owner | tag);
}

#endif

/* SPDX-License-Identifier: MIT */
/* A connection: read a request, send its response, again. */
#ifndef HTTPD_CONN_H
#define HTTPD_CONN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include "request.h"
#include "response.h"
#include "ring.h"

struct worker;

/* What a connection waits for; each has one time limit, so a queue is in order. */
enum wait {
	WAIT_REQUEST,	/* for the rest of a request */
	WAIT_IDLE,	/* for the first byte of one */
	WAIT_SEND,
	WAIT_LINGER,	/* for the client to close after our last byte */
	WAIT_MEMORY,	/* for another try */
	WAIT_NR,
	WAIT_NOTHING = WAIT_NR,
};

struct conn {
	TAILQ_ENTRY(conn)	all;
	struct conn		*next_spare;
	TAILQ_ENTRY(conn)	queue;		/* worker.waiting[wait] */
	struct worker		*worker;
	enum wait		wait;
	time_t			deadline;
	int			fd;
	bool			closing;	/* goes when nothing is in flight */
	bool			receiving;
	bool			sending;
	bool			timed_out;	/* the receive was ended for that */
	bool			responding;
	unsigned int		nr_requests;
	uint64_t		acked;		/* TCP's count at the last look */
	char			peer[INET6_ADDRSTRLEN];

	struct request		req;
	char			*buf;
	size_t			cap;
	size_t			len;		/* bytes in buf */
	size_t			used;		/* bytes of it that were parsed */

	struct response		resp;
	unsigned int		part;		/* where the response is */
	size_t			text_pos;	/* in all of its text */
	unsigned int		memory_waits;	/* in a row */
	uint64_t		sent;
};

/* conn.c */
void conn_open(struct worker *w, int fd);
void conns_free_spare(struct worker *w);
void conn_received(struct conn *c, int res);
void conn_wait(struct conn *c, enum wait wait);
void conn_expired(struct conn *c);
void conn_respond_error(struct conn *c, unsigned int status);
void conn_response_done(struct conn *c, bool complete);
void conn_close(struct conn *c);
/* Closes it at once and tells the client: what it was sent is not the whole. */
void conn_reset(struct conn *c);
void conn_drain(struct conn *c);

/* send.c */
void send_begin(struct conn *c);
/* Goes on with the next part, or with what an error has left of one. */
void send_next(struct conn *c);
void send_completed(struct conn *c, int res);
/* Tells a client that there is no room. */
void send_refusal(int fd);

#endif

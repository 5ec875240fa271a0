/* SPDX-License-Identifier: MIT */
/* A thread with a ring, a listening socket and connections of its own. */
#ifndef HTTPD_WORKER_H
#define HTTPD_WORKER_H

#include <liburing.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "conn.h"
#include "files.h"
#include "log.h"
#include "options.h"
#include "response.h"
#include "stats.h"

/* What all workers share. */
struct server {
	const struct options	*options;
	int			root;
	int			log_fd;		/* -1: none */
	atomic_uint		nr_conns;	/* held below options->max_connections */
	sem_t			ready;		/* posted by each worker: see worker.error */
};

struct worker {
	struct stats		stats;
	struct server		*server;
	pthread_t		thread;
	int			error;		/* of the start: negative errno */
	const char		*failed;	/* what that error was about */
	int			listen_fd;
	int			stop_fd;	/* eventfd: shut down gracefully */
	uint64_t		stop_value;
	struct io_uring		ring;
	struct files		files;
	struct access_log	log;
	struct response_clock	clock;
	time_t			uptime;		/* seconds; what time limits are set by */
	bool			accepting;	/* an accept request is in flight */
	bool			draining;
	time_t			drain_until;
	TAILQ_HEAD(, conn)	conns;
	struct conn		*spare;		/* see conn_free() */
	unsigned int		nr_spare;
	TAILQ_HEAD(conn_queue, conn) waiting[WAIT_NR];
};

/* Starts the thread; server->ready tells when it serves, or has failed. */
int worker_start(struct worker *w, struct server *server, int listen_fd);
/* Lets it finish what it is doing, within the time limit; then join it. */
void worker_stop(struct worker *w);

#endif

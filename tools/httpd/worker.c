// SPDX-License-Identifier: MIT
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <iolite.h>

#define SQ_ENTRIES	4096
#define CQ_ENTRIES	16384
#define FORCE_SECONDS	5	/* after the drain, for what was cut off to end */

static void accept_begin(struct worker *w)
{
	struct io_uring_sqe *sqe = ring_sqes(&w->ring, 1);

	io_uring_prep_multishot_accept(sqe, w->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	ring_tag(sqe, w, TAG_ACCEPT);
	w->accepting = true;
}

static void accepted(struct worker *w, const struct io_uring_cqe *cqe)
{
	struct server *server = w->server;

	if (!(cqe->flags & IORING_CQE_F_MORE))
		w->accepting = false;
	if (cqe->res < 0) {
		/* tried again at the next tick, when descriptors may be free again */
		if (!w->draining && cqe->res != -ECONNABORTED)
			log_error("accept: %s", strerror(-cqe->res));
		return;
	}
	if (w->draining) {
		close(cqe->res);
	} else if (atomic_fetch_add(&server->nr_conns, 1) >= server->options->max_connections) {
		atomic_fetch_sub(&server->nr_conns, 1);
		stats_add(&w->stats, STAT_connections_refused, 1);
		send_refusal(cqe->res);
		close(cqe->res);
	} else {
		conn_open(w, cqe->res);
	}
	if (!w->accepting && !w->draining)
		accept_begin(w);
}

static void drain_begin(struct worker *w)
{
	struct io_uring_sqe *sqe = ring_sqes(&w->ring, 1);
	struct conn *c, *next;

	w->draining = true;
	w->drain_until = w->uptime + w->server->options->drain_timeout;
	io_uring_prep_cancel64(sqe, (uintptr_t)w | TAG_ACCEPT, 0);
	ring_tag(sqe, NULL, TAG_NONE);
	shutdown(w->listen_fd, SHUT_RD);
	for (c = TAILQ_FIRST(&w->conns); c; c = next) {
		next = TAILQ_NEXT(c, all);
		conn_drain(c);
	}
}

static void completed(struct worker *w, const struct io_uring_cqe *cqe)
{
	enum ring_tag tag = cqe->user_data & TAG_MASK;
	void *owner = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG_MASK);

	switch (tag) {
	case TAG_ACCEPT:
		accepted(w, cqe);
		break;
	case TAG_STOP:
		drain_begin(w);
		break;
	case TAG_RECV:
		conn_received(owner, cqe->res);
		break;
	case TAG_SEND:
		send_completed(owner, cqe->res);
		break;
	case TAG_KEEP:
		files_keep_done(&w->files, owner, cqe->res);
		break;
	default:
		break;
	}
}

static void expire(struct worker *w)
{
	for (int i = 0; i < WAIT_NR; i++) {
		struct conn *c;

		while ((c = TAILQ_FIRST(&w->waiting[i])) && c->deadline <= w->uptime)
			conn_expired(c);
	}
}

/* Once a second. */
static void tick(struct worker *w)
{
	struct conn *c, *next;

	response_clock_set(&w->clock, time(NULL));
	expire(w);
	access_log_flush(&w->log);
	if (!w->accepting && !w->draining)
		accept_begin(w);
	if (w->draining && w->uptime >= w->drain_until) {
		for (c = TAILQ_FIRST(&w->conns); c; c = next) {
			next = TAILQ_NEXT(c, all);
			conn_reset(c);
		}
	}
}

static bool finished(const struct worker *w)
{
	return w->draining && (TAILQ_EMPTY(&w->conns) ||
			       w->uptime >= w->drain_until + FORCE_SECONDS);
}

/* Time limits must not follow the wall clock's jumps. */
static time_t seconds_up(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

static void serve(struct worker *w)
{
	struct __kernel_timespec second = { .tv_sec = 1 };

	while (!finished(w)) {
		struct io_uring_cqe *cqe;
		unsigned int head, ready, nr = 0;
		time_t last = w->uptime;
		int error;

		error = io_uring_submit_and_wait_timeout(&w->ring, &cqe, 1, &second, NULL);
		if (error < 0 && error != -ETIME && error != -EINTR && error != -EAGAIN &&
		    error != -EBUSY) {
			log_error("io_uring_enter: %s", strerror(-error));
			abort();
		}
		w->uptime = seconds_up();
		w->files.round++;
		ready = io_uring_cq_ready(&w->ring);
		io_uring_for_each_cqe(&w->ring, head, cqe) {
			if (nr == ready)
				break;
			completed(w, cqe);
			nr++;
		}
		io_uring_cq_advance(&w->ring, nr);
		/* last, or what is late for being unseen would look too late */
		if (w->uptime != last)
			tick(w);
	}
	access_log_flush(&w->log);
	conns_free_spare(w);
	files_empty(&w->files);
}

/* The ring belongs to the thread that made it, so this runs there. */
static int ring_begin(struct worker *w)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE,
		.cq_entries = CQ_ENTRIES,
	};
	int error;

	w->failed = "io_uring_setup";
	error = io_uring_queue_init_params(SQ_ENTRIES, &w->ring, &params);
	if (error)
		return error;
	w->failed = "iol_init";
	error = iol_init(&w->ring, KEPT_MAX, 0);
	if (error)
		return error;
	files_init(&w->files, w->server->root, w->server->options->file_valid, &w->ring,
		   &w->stats);
	return 0;
}

/* The ring's end empties what slots are left. */
static void ring_end(struct worker *w)
{
	io_uring_submit(&w->ring);
	io_uring_queue_exit(&w->ring);
	close(w->listen_fd);
	close(w->stop_fd);
	text_free(&w->log.lines);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct io_uring_sqe *sqe;

	w->error = ring_begin(w);
	if (!w->error) {
		w->uptime = seconds_up();
		tick(w);
		sqe = ring_sqes(&w->ring, 1);
		io_uring_prep_read(sqe, w->stop_fd, &w->stop_value, sizeof(w->stop_value), 0);
		ring_tag(sqe, w, TAG_STOP);
		io_uring_submit(&w->ring);
	}
	sem_post(&w->server->ready);
	if (!w->error) {
		serve(w);
		ring_end(w);
	}
	return NULL;
}

int worker_start(struct worker *w, struct server *server, int listen_fd)
{
	w->server = server;
	w->listen_fd = listen_fd;
	w->log.fd = server->log_fd;
	TAILQ_INIT(&w->conns);
	for (int i = 0; i < WAIT_NR; i++)
		TAILQ_INIT(&w->waiting[i]);
	w->failed = "eventfd";
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (w->stop_fd < 0)
		return -errno;
	w->failed = "pthread_create";
	return -pthread_create(&w->thread, NULL, worker_main, w);
}

void worker_stop(struct worker *w)
{
	uint64_t one = 1;

	while (write(w->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

// SPDX-License-Identifier: MIT
#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker.h"

#define BUF_START	2048
/* Beyond a header of the full size, some of the next request or a body. */
#define BUF_MAX		(REQUEST_MAX_HEADER + 4096)
#define LINGER_SECONDS	2
#define SPARE_MAX	256	/* connections, with buffers of the first size */
#define MEMORY_SECONDS	1

static unsigned int seconds(const struct conn *c, enum wait wait)
{
	const struct options *o = c->worker->server->options;

	switch (wait) {
	case WAIT_REQUEST:
		return o->header_timeout;
	case WAIT_IDLE:
		return o->idle_timeout;
	case WAIT_SEND:
		return o->send_timeout;
	case WAIT_LINGER:
		return LINGER_SECONDS;
	default:
		return MEMORY_SECONDS;
	}
}

void conn_wait(struct conn *c, enum wait wait)
{
	struct worker *w = c->worker;

	if (c->wait != WAIT_NOTHING)
		TAILQ_REMOVE(&w->waiting[c->wait], c, queue);
	c->wait = wait;
	if (wait == WAIT_NOTHING)
		return;
	/* one more, because the first second may be nearly over */
	c->deadline = w->uptime + seconds(c, wait) + 1;
	TAILQ_INSERT_TAIL(&w->waiting[wait], c, queue);
}

static void name_peer(struct conn *c)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	strcpy(c->peer, "-");
	if (c->worker->log.fd < 0 || getpeername(c->fd, (struct sockaddr *)&addr, &len))
		return;
	if (addr.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&addr)->sin_addr, c->peer,
			  sizeof(c->peer));
	else if (addr.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&addr)->sin6_addr, c->peer,
			  sizeof(c->peer));
}

static void conn_release(struct conn *c)
{
	text_free(&c->resp.text);
	free(c->buf);
	free(c);
}

void conns_free_spare(struct worker *w)
{
	struct conn *c;

	while ((c = w->spare)) {
		w->spare = c->next_spare;
		conn_release(c);
	}
	w->nr_spare = 0;
}

/* A new one, or a spare one: the next client is often there when one leaves. */
static struct conn *conn_alloc(struct worker *w)
{
	struct conn *c = w->spare;

	if (c) {
		char *buf = c->buf;
		struct text text = c->resp.text;

		w->spare = c->next_spare;
		w->nr_spare--;
		memset(c, 0, sizeof(*c));
		c->buf = buf;
		c->resp.text = text;
	} else {
		c = calloc(1, sizeof(*c));
		if (!c)
			return NULL;
		c->buf = malloc(BUF_START);
		if (!c->buf) {
			free(c);
			return NULL;
		}
	}
	c->cap = BUF_START;
	return c;
}

static void conn_free(struct conn *c)
{
	struct worker *w = c->worker;

	conn_wait(c, WAIT_NOTHING);
	response_reset(&c->resp, &w->files);
	close(c->fd);
	TAILQ_REMOVE(&w->conns, c, all);
	atomic_fetch_sub(&w->server->nr_conns, 1);
	stats_add(&w->stats, STAT_connections_open, -1);
	if (w->nr_spare < SPARE_MAX && c->cap == BUF_START && c->resp.text.cap <= BUF_START) {
		c->next_spare = w->spare;
		w->spare = c;
		w->nr_spare++;
	} else {
		conn_release(c);
	}
}

static bool response_begun(const struct conn *c)
{
	return c->responding && c->resp.nr_parts;
}

static void count_response(struct conn *c, bool complete)
{
	static const enum counter classes[] = {
		STAT_responses_2xx, STAT_responses_2xx, STAT_responses_2xx,
		STAT_responses_3xx, STAT_responses_4xx, STAT_responses_5xx,
	};
	struct worker *w = c->worker;
	uint64_t body = c->sent > c->resp.head ? c->sent - c->resp.head : 0;

	stats_add(&w->stats, classes[c->resp.status / 100], 1);
	if (!complete)
		stats_add(&w->stats, STAT_responses_aborted, 1);
	access_log_add(&w->log, c->peer, w->clock.now, c->buf, c->len, c->resp.status, body);
	c->responding = false;
}

/* Whatever is in flight ends soon once the socket is shut down. */
void conn_close(struct conn *c)
{
	if (!c->receiving && !c->sending) {
		if (response_begun(c))
			count_response(c, false);
		conn_free(c);
	} else if (!c->closing) {
		c->closing = true;
		conn_wait(c, WAIT_NOTHING);
		shutdown(c->fd, SHUT_RDWR);
	}
}

void conn_reset(struct conn *c)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_close(c);
}

static void conn_receive(struct conn *c, bool poll_first)
{
	struct io_uring_sqe *sqe = ring_sqes(&c->worker->ring, 1);

	io_uring_prep_recv(sqe, c->fd, c->buf + c->len, c->cap - c->len, 0);
	if (poll_first)
		sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
	ring_tag(sqe, c, TAG_RECV);
	c->receiving = true;
}

/* Closing with unread bytes would reset the connection, and lose our last ones. */
static void conn_linger(struct conn *c)
{
	c->len = 0;
	shutdown(c->fd, SHUT_WR);
	conn_wait(c, WAIT_LINGER);
	conn_receive(c, false);
}

static void conn_send(struct conn *c)
{
	if (c->resp.text.failed) {	/* no memory to say so */
		conn_reset(c);
		return;
	}
	c->responding = true;
	send_begin(c);
}

void conn_respond_error(struct conn *c, unsigned int status)
{
	struct worker *w = c->worker;
	bool close = c->resp.close;

	response_reset(&c->resp, &w->files);
	c->resp.close = close || status != 503;
	response_error(&c->resp, &w->clock, status, c->req.parser.method == HTTP_HEAD);
	conn_send(c);
}

static void conn_respond(struct conn *c)
{
	struct worker *w = c->worker;
	bool last = c->nr_requests >= w->server->options->max_requests || w->draining;

	response_make(&c->resp, &w->files, &w->clock, &c->req, c->buf, last);
	conn_send(c);
}

static bool make_room(struct conn *c)
{
	size_t cap = c->cap * 2 < BUF_MAX ? c->cap * 2 : BUF_MAX;
	char *buf;

	if (c->len < c->cap)
		return true;
	buf = cap > c->cap ? realloc(c->buf, cap) : NULL;
	if (!buf)
		return false;
	c->buf = buf;
	c->cap = cap;
	return true;
}

/* Looks at what arrived; waits for more, or answers. */
static void conn_process(struct conn *c)
{
	int status = request_parse(&c->req, c->buf, &c->used, &c->len);

	if (!status && make_room(c)) {
		/* the limit is for the whole request: only its first byte starts it */
		if (c->wait != WAIT_REQUEST)
			conn_wait(c, WAIT_REQUEST);
		conn_receive(c, false);
		return;
	}
	if (!status)
		status = -503;

	stats_add(&c->worker->stats, STAT_requests, 1);
	c->nr_requests++;
	if (status == 1) {
		conn_respond(c);
	} else {
		c->resp.close = true;
		conn_respond_error(c, (unsigned int)-status);
	}
}

void conn_received(struct conn *c, int res)
{
	struct worker *w = c->worker;

	c->receiving = false;
	if (c->closing) {
		conn_close(c);
	} else if (c->wait == WAIT_LINGER) {
		if (res > 0)
			conn_receive(c, false);
		else
			conn_close(c);
	} else if (c->timed_out && c->len) {
		stats_add(&w->stats, STAT_requests, 1);
		c->resp.close = true;
		conn_respond_error(c, 408);
	} else if (res <= 0) {
		conn_close(c);
	} else {
		c->len += (size_t)res;
		conn_process(c);
	}
}

void conn_open(struct worker *w, int fd)
{
	struct conn *c = conn_alloc(w);

	if (!c) {
		close(fd);
		atomic_fetch_sub(&w->server->nr_conns, 1);
		return;
	}
	c->worker = w;
	c->wait = WAIT_NOTHING;
	c->fd = fd;
	name_peer(c);
	request_init(&c->req);
	TAILQ_INSERT_TAIL(&w->conns, c, all);
	stats_add(&w->stats, STAT_connections, 1);
	stats_add(&w->stats, STAT_connections_open, 1);
	conn_wait(c, WAIT_REQUEST);
	conn_receive(c, false);
}

/* complete: all bytes that the header promised have been sent */
void conn_response_done(struct conn *c, bool complete)
{
	struct worker *w = c->worker;

	count_response(c, complete);
	if (!complete) {
		conn_reset(c);
		return;
	}
	if (c->resp.close || w->draining) {
		bool said_so = c->req.complete && !c->req.keep_alive && c->len == c->used;

		response_reset(&c->resp, &w->files);
		if (said_so)	/* and so sends no more */
			conn_close(c);
		else
			conn_linger(c);
		return;
	}
	response_reset(&c->resp, &w->files);
	memmove(c->buf, c->buf + c->used, c->len - c->used);
	c->len -= c->used;
	c->used = 0;
	request_init(&c->req);
	if (c->len) {
		conn_wait(c, WAIT_REQUEST);
		conn_process(c);
	} else {
		conn_wait(c, WAIT_IDLE);
		conn_receive(c, true);
	}
}

/* Has the client taken anything since the last look?  If it has all, the file is slow. */
static bool send_progresses(struct conn *c)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	bool progress;

	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return false;
	progress = info.tcpi_bytes_acked != c->acked ||
		   (!info.tcpi_unacked && !info.tcpi_notsent_bytes);
	c->acked = info.tcpi_bytes_acked;
	return progress;
}

void conn_expired(struct conn *c)
{
	struct worker *w = c->worker;

	switch (c->wait) {
	case WAIT_REQUEST:
		stats_add(&w->stats, STAT_timeouts_header, 1);
		c->timed_out = true;
		conn_wait(c, WAIT_NOTHING);
		shutdown(c->fd, SHUT_RD);	/* ends the receive, not the sending */
		break;
	case WAIT_SEND:
		if (send_progresses(c)) {
			conn_wait(c, WAIT_SEND);
		} else {
			stats_add(&w->stats, STAT_timeouts_send, 1);
			conn_reset(c);
		}
		break;
	case WAIT_MEMORY:
		if (c->memory_waits++ < w->server->options->send_timeout) {
			send_next(c);
		} else {
			log_error("gave up waiting for memory to go on with a response");
			conn_reset(c);
		}
		break;
	case WAIT_IDLE:
		stats_add(&w->stats, STAT_timeouts_idle, 1);
		conn_close(c);
		break;
	default:
		conn_close(c);
	}
}

void conn_drain(struct conn *c)
{
	if (c->wait == WAIT_IDLE || (c->wait == WAIT_REQUEST && !c->len))
		conn_close(c);
}

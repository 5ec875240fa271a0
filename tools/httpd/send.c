// SPDX-License-Identifier: MIT
/*
 * A part of a response, which is text followed by bytes of a file, is one request:
 *
 *	TRANSMIT  text, and the kept aggregate of the file, or the file itself
 *	SEND      text, where no file follows
 *
 * The kernel goes on until the client has taken all of it.  What it has not yet
 * taken of a file is not held for it, so clients that stall cost little.  The
 * text is copied when it is sent, and has to stay until then.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <iolite.h>

#include "conn.h"
#include "worker.h"

#define TRANSMIT_MAX	(1u << 30)	/* bytes of a file in one request, whose length has 32 bits */

/* Needs neither memory nor a request; the client may not get it, though. */
void send_refusal(int fd)
{
	static const char refusal[] =
		"HTTP/1.1 503 Service Unavailable\r\nServer: iolite-httpd\r\nRetry-After: 1\r\n"
		"Content-Length: 0\r\nConnection: close\r\n\r\n";

	send(fd, refusal, sizeof(refusal) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool use_kept(struct conn *c)
{
	struct file *file = c->resp.file;

	if (file->kept == KEPT_NO)
		files_keep(&c->worker->files, file, c->worker->clock.now);
	return file->kept == KEPT_YES;
}

void send_next(struct conn *c)
{
	const struct part *part = &c->resp.parts[c->part];
	const char *text = c->resp.text.s + c->text_pos;
	const struct file *file = c->resp.file;
	uint32_t len = part->len < TRANSMIT_MAX ? (uint32_t)part->len : TRANSMIT_MAX;
	bool from_file = len && part->text <= IOLITE_TRANSMIT_HEADER_MAX;
	bool last = c->part + 1 == c->resp.nr_parts && part->len == (from_file ? len : 0);
	/* the end of the connection, if it is one, leaves with the last bytes */
	int flags = MSG_NOSIGNAL | MSG_WAITALL | (!last || c->resp.close ? MSG_MORE : 0);
	bool kept = from_file && use_kept(c);
	struct io_uring_sqe *sqe = ring_sqes(&c->worker->ring, 1);

	if (kept) {
		iol_prep_transmit_slot(sqe, c->fd, text, (unsigned int)part->text, file->slot, len,
				       part->off, flags);
		stats_add(&c->worker->stats, STAT_kept_hits, 1);
	} else if (from_file) {
		iol_prep_transmit(sqe, c->fd, text, (unsigned int)part->text, file->fd, len,
				  part->off, flags);
	} else {
		io_uring_prep_send(sqe, c->fd, text, part->text, flags);
	}
	ring_tag(sqe, c, TAG_SEND);
	c->sending = true;
	conn_wait(c, WAIT_SEND);
}

void send_begin(struct conn *c)
{
	c->part = 0;
	c->text_pos = 0;
	c->sent = 0;
	send_next(c);
}

static bool is_shortage(int error)
{
	return error == -ENOMEM || error == -ENOBUFS || error == -EDQUOT || error == -EAGAIN;
}

static void shortage(struct conn *c)
{
	struct worker *w = c->worker;

	stats_add(&w->stats, STAT_memory_retries, 1);
	files_shed(&w->files);
	if (c->sent) {
		conn_wait(c, WAIT_MEMORY);
	} else if (c->resp.status != 503) {
		conn_respond_error(c, 503);
	} else {
		/* there is no memory even for this page */
		send_refusal(c->fd);
		c->resp.close = true;
		conn_response_done(c, true);
	}
}

static bool is_connected(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) && info.tcpi_state != TCP_CLOSE;
}

static void send_failed(struct conn *c, int error)
{
	/* an error of the file, unless the client has gone */
	if (c->resp.file && is_connected(c->fd)) {
		log_error("%s: cannot read: %s", c->resp.file->path, strerror(-error));
		if (!c->sent) {
			conn_respond_error(c, 500);
			return;
		}
	}
	conn_response_done(c, false);
}

static void file_ended(struct conn *c)
{
	stats_add(&c->worker->stats, STAT_responses_truncated, 1);
	log_error("%s: became shorter while it was sent", c->resp.file->path);
	conn_response_done(c, false);
}

static void advance(struct conn *c, size_t bytes)
{
	struct part *part = &c->resp.parts[c->part];
	size_t text = bytes < part->text ? bytes : part->text;

	stats_add(&c->worker->stats, STAT_bytes_sent, (long)bytes);
	stats_add(&c->worker->stats, STAT_memory_bytes, (long)text);
	c->sent += bytes;
	c->text_pos += text;
	part->text -= text;
	part->off += bytes - text;
	part->len -= bytes - text;
	if (!part->text && !part->len)
		c->part++;
}

void send_completed(struct conn *c, int res)
{
	c->sending = false;
	if (res > 0)
		advance(c, (size_t)res);
	if (c->closing) {
		conn_close(c);
	} else if (res > 0) {
		c->memory_waits = 0;
		if (c->part == c->resp.nr_parts)
			conn_response_done(c, true);
		else
			send_next(c);
	} else if (!res) {
		file_ended(c);
	} else if (is_shortage(res)) {
		shortage(c);
	} else {
		send_failed(c, res);
	}
}

// SPDX-License-Identifier: MIT
/*
 * Responses leave in chains of linked requests on the connection's slot:
 *
 *	ALLOC   text of the part	-> slot
 *	READ    of the file, appended	-> slot		or CONCAT of its kept aggregate
 *	WRITE   slot to the socket, emptying the slot
 *
 * A hot file's answer, header and all, is the same for everybody until the
 * date in it changes.  Whoever comes first in a second makes it; then it is
 *
 *	DUP     the file's answer	-> slot
 *	WRITE   slot to the socket, emptying the slot
 *
 * One chain, and so one submission, carries the header and up to PIECE_MAX bytes
 * of the file; the next piece is read when the socket has taken this one.  If
 * a request fails or reads less than asked, the kernel cancels those after it,
 * so that nothing was sent which could not be answered otherwise.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <iolite.h>

#include "conn.h"
#include "worker.h"

/*
 * A piece is held until the socket has taken it, so they grow with what the
 * client has taken: many clients that stall must not hold all there is.
 */
#define PIECE_MIN	(32 * 1024)
#define PIECE_START	(128 * 1024)
#define PIECE_MAX	(512 * 1024)

/* Needs neither an aggregate nor a request; the client may not get it, though. */
void send_refusal(int fd)
{
	static const char refusal[] =
		"HTTP/1.1 503 Service Unavailable\r\nServer: iolite-httpd\r\nRetry-After: 1\r\n"
		"Content-Length: 0\r\nConnection: close\r\n\r\n";

	send(fd, refusal, sizeof(refusal) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool last_piece(const struct conn *c)
{
	const struct part *part = &c->resp.parts[c->part];

	return c->part + 1 == c->resp.nr_parts &&
	       c->part_text + c->chain.text == part->text &&
	       c->part_file + c->chain.file == part->len;
}

static void submit_write(struct conn *c, struct io_uring_sqe *sqe)
{
	/* the end of the connection, if it is one, leaves with the last bytes */
	bool more = !last_piece(c) || c->resp.close;
	int flags = MSG_NOSIGNAL | MSG_WAITALL | (more ? MSG_MORE : 0);

	iol_prep_send(sqe, c->fd, c->slot, 0, flags);
	iol_sqe_set_flags(sqe, IOLITE_WRITE_FREE);
	ring_tag(sqe, c, TAG_WRITE);
	c->chain.in_flight++;
}

/* What the slot holds goes out without being put together again. */
static void resubmit_write(struct conn *c)
{
	c->chain.held = false;
	conn_wait(c, WAIT_SEND);
	submit_write(c, ring_sqes(&c->worker->ring, 1));
}

static bool use_kept(struct conn *c, const struct part *part)
{
	struct file *file = c->resp.file;

	if (!file || c->part_file || part->off || part->len != (uint64_t)file->st.st_size)
		return false;
	if (file->kept == KEPT_NO)
		files_keep(&c->worker->files, file, c->worker->clock.now);
	return file->kept == KEPT_YES;
}

/* The answer can be had, or it is this response's turn to make it. */
static bool use_answer(const struct conn *c)
{
	const struct file *file = c->resp.file;

	return c->chain.kept && c->resp.plain && !c->part_text &&
	       (file->answer_at == c->worker->clock.now || !file->answering);
}

static void submit_answer(struct conn *c)
{
	struct file *file = c->resp.file;
	unsigned int answer = files_answer(file);
	time_t now = c->worker->clock.now;
	struct io_uring *ring = &c->worker->ring;
	struct io_uring_sqe *sqe = ring_sqes(ring, 4);

	if (file->answer_at != now) {
		file->answer_at = 0;
		file->answering = true;
		if (!file->has_answer)
			stats_add(&c->worker->stats, STAT_answers_kept, 1);
		file->has_answer = true;
		c->chain.answer = now;
		iol_prep_alloc(sqe, c->worker->pool, answer, c->resp.text.s,
			       (unsigned int)c->chain.text);
		sqe->flags |= IOSQE_IO_LINK;
		ring_tag(sqe, c, TAG_ALLOC);
		sqe = io_uring_get_sqe(ring);
		iol_prep_concat(sqe, answer, file->slot);
		sqe->flags |= IOSQE_IO_LINK;
		ring_tag(sqe, c, TAG_ANSWER);
		sqe = io_uring_get_sqe(ring);
		c->chain.in_flight += 2;
	}
	iol_prep_dup(sqe, answer, c->slot);
	sqe->flags |= IOSQE_IO_LINK;
	ring_tag(sqe, c, TAG_CONCAT);
	c->chain.in_flight++;
	submit_write(c, io_uring_get_sqe(ring));
}

static void submit_chain(struct conn *c)
{
	const struct part *part = &c->resp.parts[c->part];
	size_t text = part->text - c->part_text;
	uint64_t pos = part->off + c->part_file;
	uint64_t file = part->len - c->part_file;
	bool kept = use_kept(c, part);
	struct io_uring *ring = &c->worker->ring;
	struct io_uring_sqe *sqe;

	if (text > PIECE_MAX) {
		text = PIECE_MAX;
		file = 0;
	}
	/* pieces end where folios do */
	if (!kept && file > c->piece - pos % c->piece)
		file = c->piece - pos % c->piece;
	c->chain = (struct chain){ .text = (uint32_t)text, .file = (uint32_t)file,
				   .kept = kept && file };
	c->slot_used = true;
	conn_wait(c, WAIT_SEND);
	if (use_answer(c)) {
		submit_answer(c);
		return;
	}

	sqe = ring_sqes(ring, 3);
	if (text) {
		iol_prep_alloc(sqe, c->worker->pool, c->slot, c->resp.text.s + c->text_pos,
			       (unsigned int)text);
		sqe->flags |= IOSQE_IO_LINK;
		ring_tag(sqe, c, TAG_ALLOC);
		c->chain.in_flight++;
		sqe = io_uring_get_sqe(ring);
	}
	if (file) {
		if (c->chain.kept) {
			iol_prep_concat(sqe, c->slot, c->resp.file->slot);
			ring_tag(sqe, c, TAG_CONCAT);
		} else {
			iol_prep_read(sqe, c->resp.file->fd, c->slot, (unsigned int)file,
				      (int64_t)pos);
			if (text)
				iol_sqe_set_flags(sqe, IOLITE_READ_APPEND);
			ring_tag(sqe, c, TAG_READ);
			c->chain.reading = true;
		}
		sqe->flags |= IOSQE_IO_LINK;
		c->chain.in_flight++;
		sqe = io_uring_get_sqe(ring);
	}
	submit_write(c, sqe);
}

void send_begin(struct conn *c)
{
	c->part = 0;
	c->text_pos = 0;
	c->part_text = 0;
	c->part_file = 0;
	c->piece = PIECE_START;
	c->sent = 0;
	submit_chain(c);
}

void send_again(struct conn *c)
{
	if (c->chain.held)
		resubmit_write(c);
	else
		submit_chain(c);
}

static bool is_shortage(int error)
{
	return error == -ENOMEM || error == -ENOBUFS || error == -EDQUOT || error == -EAGAIN;
}

/* Nothing of this chain was sent. */
static void chain_failed(struct conn *c, int error)
{
	struct worker *w = c->worker;

	if (is_shortage(error)) {
		stats_add(&w->stats, STAT_memory_retries, 1);
		files_shed(&w->files);
		if (c->chain.file && !c->chain.kept && c->piece > PIECE_MIN) {
			c->piece /= 2;
			submit_chain(c);
		} else if (c->sent) {
			conn_wait(c, WAIT_MEMORY);
		} else if (c->resp.status != 503) {
			conn_respond_error(c, 503);
		} else {
			/* there is no memory even for this page */
			send_refusal(c->fd);
			c->resp.close = true;
			conn_response_done(c, true);
		}
		return;
	}
	log_error("%s: cannot read: %s", c->resp.file ? c->resp.file->path : "(no file)",
		  strerror(-error));
	if (!c->sent && c->resp.status != 500)
		conn_respond_error(c, 500);
	else
		conn_response_done(c, false);
}

static void file_ended(struct conn *c)
{
	stats_add(&c->worker->stats, STAT_responses_truncated, 1);
	log_error("%s: became shorter while it was sent", c->resp.file->path);
	conn_response_done(c, false);
}

/* The chain's text and the first read bytes of its file are with the socket. */
static void chain_sent(struct conn *c, uint32_t read)
{
	const struct part *part = &c->resp.parts[c->part];

	c->slot_used = false;
	c->memory_waits = 0;
	c->text_pos += c->chain.text;
	c->part_text += c->chain.text;
	c->part_file += read;
	if (c->chain.kept)
		stats_add(&c->worker->stats, STAT_kept_hits, 1);
	if (c->chain.file && !read) {
		file_ended(c);
		return;
	}
	if (c->part_text == part->text && c->part_file == part->len) {
		c->part++;
		c->part_text = 0;
		c->part_file = 0;
	}
	if (c->part == c->resp.nr_parts) {
		conn_response_done(c, true);
	} else {
		if (c->piece < PIECE_MAX)
			c->piece *= 2;
		submit_chain(c);
	}
}

static void chain_done(struct conn *c)
{
	struct chain *chain = &c->chain;
	uint32_t read = chain->kept ? chain->file : chain->read > 0 ? (uint32_t)chain->read : 0;

	if (chain->write > 0)
		stats_add(&c->worker->stats, STAT_bytes_sent, chain->write);
	if (c->closing) {
		conn_close(c);
		return;
	}
	chain->length = chain->text + read;
	if (chain->write > 0) {
		chain->written += (uint32_t)chain->write;
		c->sent += (uint32_t)chain->write;
		if (chain->written < chain->length)
			resubmit_write(c);
		else
			chain_sent(c, read);
	} else if (chain->write == -ECANCELED && chain->error) {
		chain_failed(c, chain->error);
	} else if (chain->write == -ECANCELED && read) {
		resubmit_write(c);	/* a short read broke the chain */
	} else if ((chain->write == -ECANCELED || !chain->write) && chain->file) {
		file_ended(c);
	} else if (is_shortage(chain->write)) {
		stats_add(&c->worker->stats, STAT_memory_retries, 1);
		chain->held = true;
		conn_wait(c, WAIT_MEMORY);
	} else {
		conn_response_done(c, false);
	}
}

void send_completed(struct conn *c, enum ring_tag tag, int res)
{
	struct chain *chain = &c->chain;

	if (tag == TAG_WRITE)
		chain->write = res;
	else if (res < 0 && !chain->error)
		chain->error = res;
	if (tag == TAG_ANSWER) {
		c->resp.file->answering = false;
		if (res > 0)
			c->resp.file->answer_at = chain->answer;
	}
	if (tag == TAG_READ) {
		chain->read = res;
		chain->reading = false;
	}
	if (tag == TAG_ALLOC && res > 0)
		stats_add(&c->worker->stats, STAT_memory_bytes, res);
	if (!--chain->in_flight)
		chain_done(c);
}

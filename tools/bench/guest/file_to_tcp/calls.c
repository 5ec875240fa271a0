// SPDX-License-Identifier: MIT
/*
 * The mechanisms that are system calls: read + send, sendfile, MSG_ZEROCOPY.
 *
 * With one connection calls block.  With several they do not: each connection
 * that can take more gets a response in turn, and epoll, edge-triggered, is only
 * asked when none can.  A response is pushed at its end, and not before.
 */
#include "ftt.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define CHUNK		(128 * 1024)	/* of a file, in a buffer */
#define REAP_AFTER	32		/* sends with MSG_ZEROCOPY */

struct conn {
	int		fd;
	unsigned int	left;		/* responses */
	size_t		at;		/* in the response */
	/* read + send */
	char		*buf;
	size_t		buf_at, buf_len;
	/* MSG_ZEROCOPY */
	unsigned int	unreaped;
};

struct calls {
	struct conn	conns[MAX_CONNS];
	char		*mapping;
	int		epoll;
};

/* 1 if the response is with the socket, 0 if the socket is full */
typedef int (*send_response)(struct cell *c, struct conn *conn);

static void calls_open(struct cell *c)
{
	struct calls *calls = must(calloc(1, sizeof(*calls)));

	c->state = calls;
	calls->epoll = epoll_create1(0);
	for (unsigned int i = 0; i < c->conns; i++) {
		struct conn *conn = &calls->conns[i];
		struct epoll_event event = { .events = EPOLLOUT | EPOLLET, .data.ptr = conn };

		conn->fd = c->fds[i];
		if (c->conns > 1 && (fcntl(conn->fd, F_SETFL, O_NONBLOCK) ||
				     epoll_ctl(calls->epoll, EPOLL_CTL_ADD, conn->fd, &event)))
			err(1, "epoll");
	}
}

static void calls_close(struct cell *c)
{
	struct calls *calls = c->state;

	for (unsigned int i = 0; i < c->conns; i++)
		free(calls->conns[i].buf);
	if (calls->mapping)
		munmap(calls->mapping, c->size);
	close(calls->epoll);
	free(calls);
}

static void calls_round(struct cell *c, unsigned int responses, send_response send_it)
{
	struct calls *calls = c->state;
	struct conn *ready[MAX_CONNS];
	struct epoll_event events[MAX_CONNS];
	unsigned int nr_ready = 0, busy = c->conns;

	for (unsigned int i = 0; i < c->conns; i++) {
		calls->conns[i].left = responses;
		ready[nr_ready++] = &calls->conns[i];
	}
	while (busy) {
		unsigned int still = 0;

		for (unsigned int i = 0; i < nr_ready; i++) {
			struct conn *conn = ready[i];

			if (!send_it(c, conn))
				continue;
			conn->at = 0;
			if (--conn->left)
				ready[still++] = conn;
			else
				busy--;
		}
		nr_ready = still;
		if (!nr_ready && busy) {
			int n = epoll_wait(calls->epoll, events, MAX_CONNS, -1);

			for (int i = 0; i < n; i++) {
				struct conn *conn = events[i].data.ptr;

				if (conn->left)
					ready[nr_ready++] = conn;
			}
		}
	}
}

static bool full(const char *what)
{
	if (errno != EAGAIN)
		err(1, "%s", what);
	return true;
}

/* ---- read + send ---- */

static void read_send_open(struct cell *c)
{
	struct calls *calls;

	calls_open(c);
	calls = c->state;
	for (unsigned int i = 0; i < c->conns; i++)
		calls->conns[i].buf = must(malloc(c->header_len + CHUNK));
}

/* The next piece of the response; the first begins with the header */
static void read_send_fill(struct cell *c, struct conn *conn)
{
	size_t head = conn->at ? 0 : c->header_len;
	ssize_t n;

	memcpy(conn->buf, c->header, head);
	n = pread(c->file, conn->buf + head, CHUNK, (off_t)(conn->at + head - c->header_len));
	if (n <= 0)
		err(1, "pread");
	conn->buf_len = head + (size_t)n;
	conn->buf_at = 0;
}

static int read_send_response(struct cell *c, struct conn *conn)
{
	size_t end = c->header_len + c->size;

	while (conn->at < end) {
		size_t left;
		ssize_t n;

		if (conn->buf_at == conn->buf_len)
			read_send_fill(c, conn);
		left = conn->buf_len - conn->buf_at;
		n = send(conn->fd, conn->buf + conn->buf_at, left,
			 conn->at + left < end ? MSG_MORE : 0);
		if (n < 0 && full("send"))
			return 0;
		conn->buf_at += (size_t)n;
		conn->at += (size_t)n;
	}
	return 1;
}

static void read_send_round(struct cell *c, unsigned int responses)
{
	calls_round(c, responses, read_send_response);
}

const struct mechanism read_send = {
	"read+send", read_send_open, read_send_round, calls_close
};

/* ---- sendfile, with MSG_MORE for the header ---- */

static int sendfile_response(struct cell *c, struct conn *conn)
{
	size_t end = c->header_len + c->size;
	ssize_t n;

	while (conn->at < end) {
		if (conn->at < c->header_len) {
			n = send(conn->fd, c->header + conn->at, c->header_len - conn->at,
				 MSG_MORE);
		} else {
			off_t pos = (off_t)(conn->at - c->header_len);

			n = sendfile(conn->fd, c->file, &pos, end - conn->at);
		}
		if (n < 0 && full("sendfile"))
			return 0;
		conn->at += (size_t)n;
	}
	return 1;
}

static void sendfile_round(struct cell *c, unsigned int responses)
{
	calls_round(c, responses, sendfile_response);
}

const struct mechanism sendfile_more = {
	"sendfile", calls_open, sendfile_round, calls_close
};

/* ---- MSG_ZEROCOPY from mmap ---- */

static void zerocopy_open(struct cell *c)
{
	struct calls *calls;
	int one = 1;

	calls_open(c);
	calls = c->state;
	calls->mapping = mmap(NULL, c->size, PROT_READ, MAP_SHARED | MAP_POPULATE, c->file, 0);
	if (calls->mapping == MAP_FAILED)
		err(1, "mmap");
	for (unsigned int i = 0; i < c->conns; i++)
		if (setsockopt(c->fds[i], SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
			err(1, "SO_ZEROCOPY");
}

/* Notifications that follow each other come as one. */
static void zerocopy_reap(struct conn *conn)
{
	char control[128];
	struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };

	while (recvmsg(conn->fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		msg.msg_controllen = sizeof(control);
	conn->unreaped = 0;
}

static int zerocopy_response(struct cell *c, struct conn *conn)
{
	struct calls *calls = c->state;
	size_t end = c->header_len + c->size;

	while (conn->at < end) {
		struct iovec iov[2];
		struct msghdr msg = { .msg_iov = iov };
		size_t body = conn->at > c->header_len ? conn->at - c->header_len : 0;
		ssize_t n;

		if (conn->at < c->header_len)
			iov[msg.msg_iovlen++] = (struct iovec){
				c->header + conn->at, c->header_len - conn->at };
		iov[msg.msg_iovlen++] = (struct iovec){ calls->mapping + body, c->size - body };
		n = sendmsg(conn->fd, &msg, MSG_ZEROCOPY);
		if (n < 0 && errno == ENOBUFS && conn->unreaped) {
			zerocopy_reap(conn);
			continue;
		}
		if (n < 0 && full("sendmsg"))
			return 0;
		conn->at += (size_t)n;
		if (++conn->unreaped >= REAP_AFTER)
			zerocopy_reap(conn);
	}
	return 1;
}

static void zerocopy_round(struct cell *c, unsigned int responses)
{
	calls_round(c, responses, zerocopy_response);
}

const struct mechanism msg_zerocopy = {
	"MSG_ZEROCOPY", zerocopy_open, zerocopy_round, calls_close
};

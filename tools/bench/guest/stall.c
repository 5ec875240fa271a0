// SPDX-License-Identifier: MIT
/*
 * A server with one file and no manners: sends it to whoever connects.
 *
 *	stall MECHANISM FILE PORT
 *
 * read+send	64 KiB at a time through a buffer that each connection has
 * sendfile	what the socket takes
 * iolite-read	an aggregate that each connection reads for itself
 * iolite-kept	a copy of one aggregate
 * iolite-transmit	the file, by TRANSMIT
 * iolite-transmit-kept	one aggregate, by TRANSMIT
 *
 * Clients do not read what they are sent, and the memory that this takes is
 * what the benchmark wants to know.  Each mechanism is written as a server would
 * have it: the next bytes are read when the socket has taken the last ones.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iolite.h>

#define CHUNK		65536
#define MAX_CLIENTS	4096

static int file;
static size_t size;
static int listener;

struct client {
	int	fd;
	off_t	pos;		/* of the next byte to be read from the file */
	char	*buf;
	size_t	sent;		/* bytes of buf */
	size_t	len;		/* bytes in buf */
};

/* 1: all is sent; 0: the socket is full */
static int send_copy(struct client *c)
{
	ssize_t n;

	if (!c->buf && !(c->buf = malloc(CHUNK)))
		err(1, "malloc");
	for (;;) {
		if (c->sent == c->len) {
			n = pread(file, c->buf, CHUNK, c->pos);
			if (n <= 0)
				return 1;
			c->pos += n;
			c->len = (size_t)n;
			c->sent = 0;
		}
		n = send(c->fd, c->buf + c->sent, c->len - c->sent, MSG_NOSIGNAL);
		if (n < 0)
			return errno != EAGAIN;
		c->sent += (size_t)n;
	}
}

static int send_by_sendfile(struct client *c)
{
	while ((size_t)c->pos < size)
		if (sendfile(c->fd, file, &c->pos, size - (size_t)c->pos) < 0)
			return errno != EAGAIN;
	return 1;
}

static void serve_by_epoll(int (*send_some)(struct client *c))
{
	struct epoll_event event = { .events = EPOLLIN };
	int ep = epoll_create1(0);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &event))
		err(1, "epoll");
	for (;;) {
		struct client *c;

		if (epoll_wait(ep, &event, 1, -1) != 1)
			continue;
		c = event.data.ptr;
		if (!c) {
			int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

			if (fd < 0)
				err(1, "accept");
			c = calloc(1, sizeof(*c));
			if (!c)
				err(1, "malloc");
			c->fd = fd;
			event = (struct epoll_event){ .events = EPOLLOUT | EPOLLET,
						      .data.ptr = c };
			epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
		}
		if (send_some(c)) {
			close(c->fd);
			free(c->buf);
			free(c);
		}
	}
}

static int check(int ret, const char *what)
{
	if (ret < 0)
		errx(1, "%s: %s", what, strerror(-ret));
	return ret;
}

enum { ACCEPT = MAX_CLIENTS, FILLED };

static const int flags = MSG_WAITALL | MSG_NOSIGNAL;

static void transmit(struct io_uring *ring, int fd, int kept)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (kept)
		iol_prep_transmit_slot(sqe, fd, NULL, 0, MAX_CLIENTS, 0, 0, flags);
	else
		iol_prep_transmit(sqe, fd, NULL, 0, file, (unsigned int)size, 0, flags);
	io_uring_sqe_set_data64(sqe, (unsigned int)fd);
}

static void fill_and_write(struct io_uring *ring, int fd, int kept)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	unsigned int slot = (unsigned int)fd;

	if (kept)
		iol_prep_dup(sqe, MAX_CLIENTS, slot);
	else
		iol_prep_read(sqe, file, slot, (unsigned int)size, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, FILLED);
	sqe = io_uring_get_sqe(ring);
	iol_prep_send(sqe, fd, slot, 0, flags);
	iol_sqe_set_flags(sqe, IOLITE_WRITE_FREE);
	io_uring_sqe_set_data64(sqe, slot);
}

static void begin_accept(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, ACCEPT);
}

static void serve_by_iolite(void (*begin_send)(struct io_uring *ring, int fd, int kept), int kept)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_CQSIZE,
		.cq_entries = 2 * MAX_CLIENTS,
	};
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	check(io_uring_queue_init_params(64, &ring, &params), "io_uring");
	check(iol_init(&ring, MAX_CLIENTS + 1, 0), "IO-Lite");
	if (kept) {
		iol_prep_read(io_uring_get_sqe(&ring), file, MAX_CLIENTS, (unsigned int)size, 0);
		check(io_uring_submit_and_wait(&ring, 1), "submit");
		check(io_uring_wait_cqe(&ring, &cqe), "wait");
		check(cqe->res, "read");
		io_uring_cqe_seen(&ring, cqe);
	}
	begin_accept(&ring);
	for (;;) {
		check(io_uring_submit(&ring), "submit");
		check(io_uring_wait_cqe(&ring, &cqe), "wait");
		if (cqe->user_data == ACCEPT) {
			if (check(cqe->res, "accept") >= MAX_CLIENTS)
				errx(1, "too many clients");
			begin_send(&ring, cqe->res, kept);
			if (!(cqe->flags & IORING_CQE_F_MORE))
				begin_accept(&ring);
		} else if (cqe->user_data == FILLED) {
			check(cqe->res, "read");
		} else {
			close((int)cqe->user_data);
		}
		io_uring_cqe_seen(&ring, cqe);
	}
}

static void listen_on(int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int one = 1;

	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(listener, MAX_CLIENTS))
		err(1, "port %d", port);
}

int main(int argc, char **argv)
{
	struct stat st;

	if (argc != 4)
		errx(2, "usage: stall MECHANISM FILE PORT");
	file = open(argv[2], O_RDONLY);
	if (file < 0 || fstat(file, &st))
		err(1, "%s", argv[2]);
	size = (size_t)st.st_size;
	listen_on(atoi(argv[3]));

	if (!strcmp(argv[1], "read+send"))
		serve_by_epoll(send_copy);
	else if (!strcmp(argv[1], "sendfile"))
		serve_by_epoll(send_by_sendfile);
	else if (!strcmp(argv[1], "iolite-read"))
		serve_by_iolite(fill_and_write, 0);
	else if (!strcmp(argv[1], "iolite-kept"))
		serve_by_iolite(fill_and_write, 1);
	else if (!strcmp(argv[1], "iolite-transmit"))
		serve_by_iolite(transmit, 0);
	else if (!strcmp(argv[1], "iolite-transmit-kept"))
		serve_by_iolite(transmit, 1);
	errx(2, "%s is no mechanism", argv[1]);
}

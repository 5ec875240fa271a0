// SPDX-License-Identifier: MIT
/*
 * Sends one buffer to many sockets: all of them share the one copy, and each
 * has a cursor of its own.
 *
 *	broadcast PORT CLIENTS < MESSAGE
 *
 * waits for so many clients, then sends all of them the message.
 */
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <iolite.h>

#define MESSAGE_SLOT	0	/* client i has slot i + 1 */
#define MAX_CLIENTS	1000

static int check(int ret, const char *what)
{
	if (ret < 0)
		errx(1, "%s: %s", what, strerror(-ret));
	return ret;
}

static int listen_on(int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons((in_port_t)port),
		.sin_addr.s_addr = htonl(INADDR_ANY),
	};
	int sock = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(sock, (struct sockaddr *)&addr, sizeof(addr)) || listen(sock, SOMAXCONN))
		err(1, "port %d", port);
	return sock;
}

/* A copy of the aggregate and, when that is made, its way to the client. */
static void send_to(struct io_uring *ring, int client, unsigned int slot)
{
	struct io_uring_sqe *sqe;

	sqe = io_uring_get_sqe(ring);
	iol_prep_dup(sqe, MESSAGE_SLOT, slot);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS);
	io_uring_sqe_set_data64(sqe, slot);

	sqe = io_uring_get_sqe(ring);
	iol_prep_send(sqe, client, slot, 0, MSG_WAITALL | MSG_NOSIGNAL);
	iol_sqe_set_flags(sqe, IOLITE_WRITE_FREE);
	io_uring_sqe_set_data64(sqe, slot);
}

int main(int argc, char **argv)
{
	static char message[1 << 20];
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int sock, pool, client, i, n, bad = 0;
	size_t len;

	n = argc == 3 ? atoi(argv[2]) : 0;
	if (n < 1 || n > MAX_CLIENTS)
		errx(2, "usage: broadcast PORT CLIENTS < MESSAGE");
	len = fread(message, 1, sizeof(message), stdin);
	sock = listen_on(atoi(argv[1]));

	check(io_uring_queue_init(2 * MAX_CLIENTS + 1, &ring, 0), "io_uring");
	check(iol_init(&ring, MAX_CLIENTS + 1, 0), "IO-Lite");
	pool = check(iol_pool_create(&ring, 0, 0), "pool");

	sqe = io_uring_get_sqe(&ring);
	iol_prep_alloc(sqe, pool, MESSAGE_SLOT, message, (unsigned int)len);
	io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
	io_uring_sqe_set_data64(sqe, 0);
	for (i = 1; i <= n; i++) {
		client = accept(sock, NULL, NULL);
		if (client < 0)
			err(1, "accept");
		send_to(&ring, client, (unsigned int)i);
	}
	check(io_uring_submit(&ring), "submit");

	for (i = 0; i < n; i++) {
		check(io_uring_wait_cqe(&ring, &cqe), "wait");
		if (cqe->res != (int)len) {
			warnx("client %llu: %s", (unsigned long long)cqe->user_data,
			      cqe->res < 0 ? strerror(-cqe->res) : "cut short");
			bad = 1;
		}
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return bad;
}

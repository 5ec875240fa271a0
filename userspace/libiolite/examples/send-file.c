// SPDX-License-Identifier: MIT
/*
 * Sends a file with a header to a TCP server, in one system call and without
 * touching a byte of the file.
 *
 *	send-file FILE HOST PORT
 */
#include <err.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <iolite.h>

enum { MESSAGE, BODY, NR_SLOTS };

static int connect_to(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai;
	int ret, sock;

	ret = getaddrinfo(host, port, &hints, &ai);
	if (ret)
		errx(1, "%s:%s: %s", host, port, gai_strerror(ret));
	sock = socket(ai->ai_family, SOCK_STREAM, 0);
	if (sock < 0 || connect(sock, ai->ai_addr, ai->ai_addrlen))
		err(1, "%s:%s", host, port);
	freeaddrinfo(ai);
	return sock;
}

static int check(int ret, const char *what)
{
	if (ret < 0)
		errx(1, "%s: %s", what, strerror(-ret));
	return ret;
}

int main(int argc, char **argv)
{
	static const char *const steps[] = { "header", "read", "join", "send" };
	struct io_uring_sqe *sqe[4];
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	struct stat st;
	char header[64];
	int file, sock, pool, len, i, bad = 0;

	if (argc != 4)
		errx(2, "usage: send-file FILE HOST PORT");
	file = open(argv[1], O_RDONLY);
	if (file < 0 || fstat(file, &st))
		err(1, "%s", argv[1]);
	sock = connect_to(argv[2], argv[3]);
	len = snprintf(header, sizeof(header), "Content-Length: %lld\r\n\r\n",
		       (long long)st.st_size);

	check(io_uring_queue_init(4, &ring, 0), "io_uring");
	check(iol_init(&ring, NR_SLOTS, 0), "IO-Lite");
	pool = check(iol_pool_create(&ring, 0, 0), "pool");

	for (i = 0; i < 4; i++)
		sqe[i] = io_uring_get_sqe(&ring);
	iol_prep_alloc(sqe[0], pool, MESSAGE, header, (unsigned int)len);
	iol_prep_read(sqe[1], file, BODY, (unsigned int)st.st_size, 0);
	iol_prep_concat(sqe[2], MESSAGE, BODY);
	iol_prep_send(sqe[3], sock, MESSAGE, 0, MSG_WAITALL);

	/* Each begins when the one before it has succeeded. */
	for (i = 0; i < 4; i++) {
		sqe[i]->user_data = (unsigned int)i;
		if (i < 3)
			io_uring_sqe_set_flags(sqe[i], IOSQE_IO_LINK);
	}
	check(io_uring_submit_and_wait(&ring, 4), "submit");

	for (i = 0; i < 4; i++) {
		check(io_uring_wait_cqe(&ring, &cqe), "wait");
		if (cqe->res < 0) {
			warnx("%s: %s", steps[cqe->user_data], strerror(-cqe->res));
			bad = 1;
		}
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return bad;
}

// SPDX-License-Identifier: MIT
/* What is sent arrives; short sends go on; waiting can be interrupted. */
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include "guest.h"

static struct iolite *io;

static void tcp_pair(int fds[2])
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	must(listener >= 0 && !bind(listener, (struct sockaddr *)&addr, len));
	must(!listen(listener, 1) && !getsockname(listener, (struct sockaddr *)&addr, &len));
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	must(fds[0] >= 0 && !connect(fds[0], (struct sockaddr *)&addr, len));
	fds[1] = accept(listener, NULL, NULL);
	must(fds[1] >= 0);
	close(listener);
}

static void unix_pair(int fds[2])
{
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

/* Takes bytes from a socket, slowly, and says whether they are the right ones. */
struct receiver {
	pthread_t		thread;
	int			fd;
	const unsigned char	*want;
	size_t			len;
	bool			good;
};

static void *receive(void *arg)
{
	struct receiver *r = arg;
	unsigned char buf[30000];
	size_t got = 0;
	ssize_t n;

	while ((n = recv(r->fd, buf, sizeof(buf), 0)) > 0) {
		if (got + (size_t)n > r->len || memcmp(buf, r->want + got, (size_t)n))
			return NULL;
		got += (size_t)n;
		if (any(8) == 0)
			usleep(1000);
	}
	r->good = !n && got == r->len;
	return NULL;
}

static void begin_receiving(struct receiver *r, int fd, const void *want, size_t len)
{
	*r = (struct receiver){ .fd = fd, .want = want, .len = len };
	must(!pthread_create(&r->thread, NULL, receive, r));
}

/* Header, a file and a trailer, through a socket that is full again and again. */
static void whole_messages(void (*pair)(int fds[2]), const char *name)
{
	const size_t len = (5 << 20) + 321;
	unsigned char *data = any_bytes(len);
	struct iol_agg *head = NULL, *body = NULL, *tail = NULL;
	int fds[2], file = file_of(data + 100, len - 200);
	struct receiver r;

	pair(fds);
	must(!iol_from_memory(io, &head, data, 100));
	must(!iol_from_memory(io, &tail, data + len - 100, 100));
	must(iol_read(io, &body, file, len, 0) == (ssize_t)len - 200);
	must(iol_concat(head, body) > 0 && iol_concat(head, tail) == (ssize_t)len);

	begin_receiving(&r, fds[1], data, len);
	is(iol_send(head, fds[0], 0, 0), len, "%s: all is sent", name);
	is(iol_tell(head), len, "%s: the cursor is at the end", name);
	is(iol_send(head, fds[0], 0, 0), 0, "%s: nothing is left", name);
	shutdown(fds[0], SHUT_WR);
	pthread_join(r.thread, NULL);
	ok(r.good, "%s: what arrives is what was sent", name);

	is(iol_seek(head, 0, SEEK_SET), 0, "%s: again", name);
	is(iol_send(head, fds[0], 0, 0), -EPIPE, "%s: after shutdown, without a signal", name);
	iol_free(head);
	iol_free(body);
	iol_free(tail);
	close(fds[0]);
	close(fds[1]);
	close(file);
	free(data);
}

static void short_sends(void)
{
	const size_t len = 16 << 20;
	unsigned char *data = any_bytes(len);
	struct iol_agg *agg = NULL;
	struct receiver r;
	ssize_t n, sent;
	int fds[2], tries = 0;

	tcp_pair(fds);
	must(!iol_from_memory(io, &agg, data, len));
	sent = iol_send(agg, fds[0], 0, MSG_DONTWAIT);
	ok(sent > 0 && sent < (ssize_t)len, "what the socket takes at once");
	is(iol_tell(agg), sent, "the cursor is there");
	while ((n = iol_send(agg, fds[0], 0, MSG_DONTWAIT)) > 0)
		sent += n;
	is(n, -EAGAIN, "a full socket");

	begin_receiving(&r, fds[1], data, len);
	while (sent < (ssize_t)len && tries++ < 100000) {
		n = iol_send(agg, fds[0], 65536, tries % 2 ? MSG_DONTWAIT : 0);
		if (n > 0)
			sent += n;
		else if (n != -EAGAIN)
			break;
	}
	is(sent, len, "the same call, repeated, goes on");
	shutdown(fds[0], SHUT_WR);
	pthread_join(r.thread, NULL);
	ok(r.good, "without a byte lost or twice");
	iol_free(agg);
	close(fds[0]);
	close(fds[1]);
	free(data);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void interruption(void)
{
	const size_t len = 16 << 20;
	unsigned char *data = any_bytes(len);
	struct sigaction act = { .sa_handler = on_alarm };
	struct iol_agg *agg = NULL;
	ssize_t sent, n;
	int fds[2], idle;

	tcp_pair(fds);
	must(!iol_from_memory(io, &agg, data, len));
	sigaction(SIGALRM, &act, NULL);
	alarm(1);
	sent = iol_send(agg, fds[0], 0, 0);
	ok(sent > 0 && sent < (ssize_t)len, "a signal stops a send, which tells its part");
	is(iol_tell(agg), sent, "the cursor is there");

	/* TCP may find room again, as its buffers grow: until it does not. */
	for (idle = 0; idle < 5; usleep(100000)) {
		n = iol_send(agg, fds[0], 0, MSG_DONTWAIT);
		idle = n > 0 ? 0 : idle + 1;
		sent += n > 0 ? n : 0;
	}
	must(sent < (ssize_t)len);
	alarm(1);
	is(iol_send(agg, fds[0], 0, 0), -EINTR, "nothing was sent");
	is(iol_tell(agg), sent, "the cursor stays");
	is(iol_truncate(agg, 0), 0, "the aggregate is free to be changed");
	iol_free(agg);
	close(fds[0]);
	close(fds[1]);
	free(data);
}

static void datagrams(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t to_len = sizeof(to);
	unsigned char *data = any_bytes(70000), seen[70000];
	int from = socket(AF_INET, SOCK_DGRAM, 0), at = socket(AF_INET, SOCK_DGRAM, 0), pool;
	struct io_uring ring;

	must(from >= 0 && at >= 0 && !bind(at, (struct sockaddr *)&to, to_len));
	must(!getsockname(at, (struct sockaddr *)&to, &to_len));
	must(!io_uring_queue_init(4, &ring, 0) && !iol_init(&ring, 2, 0));
	pool = iol_pool_create(&ring, 0, 0);

	must(RUN(&ring, iol_prep_alloc(sqe, pool, 0, data, 3000)) == 3000);
	must(RUN(&ring, iol_prep_alloc(sqe, pool, 1, data + 3000, 67000)) == 67000);
	is(RUN(&ring, iol_prep_send(sqe, from, 0, 0, 0)), -EDESTADDRREQ, "no destination");
	is(RUN(&ring, iol_prep_sendto(sqe, from, 0, 1000, 0, (struct sockaddr *)&to, to_len)),
	   1000, "a datagram out of a part");
	is(recv(at, seen, sizeof(seen), 0), 1000, "arrives");
	ok(!memcmp(seen, data, 1000), "as it was");
	is(RUN(&ring, iol_prep_sendto(sqe, from, 0, 0, 0, (struct sockaddr *)&to, to_len)),
	   2000, "the rest");
	is(recv(at, seen, sizeof(seen), 0), 2000, "arrives");
	ok(!memcmp(seen, data + 1000, 2000), "as it was");
	is(RUN(&ring, iol_prep_sendto(sqe, from, 1, 0, 0, (struct sockaddr *)&to, to_len)),
	   -EMSGSIZE, "too long for a datagram");
	is(RUN(&ring, iol_prep_tell(sqe, 1)), 0, "the cursor stays");
	is(RUN(&ring, iol_prep_sendto(sqe, from, 1, 1, 0, (struct sockaddr *)&to, 200)),
	   -EINVAL, "an address that is too long");
	io_uring_queue_exit(&ring);
	close(from);
	close(at);
	close(pool);
	free(data);
}

static void flags(void)
{
	struct io_uring ring;
	char seen[16];
	int fds[2], pool;

	unix_pair(fds);
	must(!io_uring_queue_init(4, &ring, 0) && !iol_init(&ring, 2, 0));
	pool = iol_pool_create(&ring, 0, 0);

	must(RUN(&ring, iol_prep_alloc(sqe, pool, 0, "0123456789", 10)) == 10);
#define WITH(flags, prep) RUN(&ring, (prep, iol_sqe_set_flags(sqe, flags)))
	is(WITH(IOLITE_WRITE_FREE, iol_prep_send(sqe, fds[0], 0, 4, 0)), 4,
	   "IOLITE_WRITE_FREE with a part");
	is(RUN(&ring, iol_prep_length(sqe, 0)), -ENOENT,
	   "empties the slot once what was asked for is written");
	must(RUN(&ring, iol_prep_alloc(sqe, pool, 0, "456789", 6)) == 6);
	is(WITH(IOLITE_WRITE_POLL_FIRST, iol_prep_send(sqe, fds[0], 0, 0, 0)), 6,
	   "IOLITE_WRITE_POLL_FIRST");
	is(recv(fds[1], seen, sizeof(seen), MSG_DONTWAIT), 10, "all arrives");
	ok(!memcmp(seen, "0123456789", 10), "in order");
	is(RUN(&ring, iol_prep_send(sqe, fds[0], 0, 0, MSG_OOB)), -EINVAL, "other flags");
	is(WITH(IOLITE_WRITE_FREE, iol_prep_send(sqe, -1, 0, 0, 0)), -EBADF, "no socket");
	is(RUN(&ring, iol_prep_length(sqe, 0)), 6, "a failure keeps the slot");
#undef WITH
	io_uring_queue_exit(&ring);
	close(fds[0]);
	close(fds[1]);
	close(pool);
}

/* An aggregate that waits for its socket cannot be changed, but can be copied. */
static void busy(void)
{
	const unsigned int len = 16 << 20;
	unsigned char *data = any_bytes(len);
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	struct receiver r;
	int fds[2], pool;

	tcp_pair(fds);
	must(!io_uring_queue_init(4, &ring, 0) && !iol_init(&ring, 3, 0));
	pool = iol_pool_create(&ring, 0, 0);
	must(RUN(&ring, iol_prep_alloc(sqe, pool, 0, data, len)) == (int)len);
	must(RUN(&ring, iol_prep_alloc(sqe, pool, 1, "x", 1)) == 1);

	sqe = io_uring_get_sqe(&ring);
	iol_prep_send(sqe, fds[0], 0, 0, MSG_WAITALL);
	io_uring_sqe_set_data64(sqe, 1);
	must(io_uring_submit(&ring) == 1);

	is(RUN(&ring, iol_prep_concat(sqe, 0, 1)), -EBUSY, "concat");
	is(RUN(&ring, iol_prep_truncate(sqe, 0, 0)), -EBUSY, "truncate");
	is(RUN(&ring, iol_prep_seek(sqe, 0, 0, SEEK_SET)), -EBUSY, "seek");
	is(RUN(&ring, iol_prep_send(sqe, fds[0], 0, 0, 0)), -EBUSY, "a second send");
	is(RUN(&ring, iol_prep_length(sqe, 0)), len, "length");
	is(RUN(&ring, iol_prep_dup(sqe, 0, 2)), 0, "dup");
	is(RUN(&ring, iol_prep_truncate(sqe, 2, 5)), 0, "the copy is free");
	is(RUN(&ring, iol_prep_free(sqe, 0, 1)), 1, "free empties the slot");

	begin_receiving(&r, fds[1], data, len);
	must(!io_uring_wait_cqe(&ring, &cqe));
	is(cqe->res, len, "the send goes on to its end");
	io_uring_cqe_seen(&ring, cqe);
	shutdown(fds[0], SHUT_WR);
	pthread_join(r.thread, NULL);
	ok(r.good, "and all arrives");
	io_uring_queue_exit(&ring);
	close(fds[0]);
	close(fds[1]);
	close(pool);
	free(data);
}

int main(void)
{
	must(!iol_open(&io, 0));
	whole_messages(tcp_pair, "TCP");
	whole_messages(unix_pair, "UNIX");
	short_sends();
	interruption();
	datagrams();
	flags();
	busy();
	iol_close(io);
	return done();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The counters behind the figures of the benchmarks, on a fixed workload: 64
 * responses of a 200-byte header and a 64 KiB file, to 64 TCP connections, in
 * one system call.  Exact numbers, which do not depend on the machine.  TRANSMIT
 * is looked at twice: first while all it has sent is in the sockets.
 *
 *	counters DIRECTORY SLICES...	slices of a 64 KiB file in that directory
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iolite.h>

#include "tap.h"

#define NR		64
#define HEADER		200
#define BODY		65536
#define SQES		(4 * NR)

enum { KEPT = NR, NR_SLOTS };

static struct io_uring ring;
static int pool, file;
static int sockets[NR];
static pid_t reader;
static char header[HEADER], body[BODY];
static unsigned int enters;

/* ---- What the kernel counts ---- */

#define COUNTERS(X)	X(buffers) X(aggregates) X(nodes) X(file_pages) X(shared_bytes)	\
			X(sent_bytes) X(copied_bytes) X(copied_alloc) X(cow_folios)
enum {
#define X(name) name,
	COUNTERS(X)
#undef X
	NR_COUNTERS
};

static const char *const names[] = {
#define X(name) #name,
	COUNTERS(X)
#undef X
};

struct counters { long long v[NR_COUNTERS]; };

static struct counters look(void)
{
	struct counters c = { 0 };
	char path[64];

	for (int i = 0; i < NR_COUNTERS; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/sys/kernel/mm/iolite/%s", names[i]);
		f = fopen(path, "r");
		must(f && fscanf(f, "%lld", &c.v[i]) == 1);
		fclose(f);
	}
	return c;
}

static struct counters since(const struct counters *before)
{
	struct counters c = look();

	for (int i = 0; i < NR_COUNTERS; i++)
		c.v[i] -= before->v[i];
	return c;
}

/* The network lets go of what was delivered when that is acknowledged. */
static struct counters when_quiet(const struct counters *before)
{
	struct counters c;

	for (int tries = 0; tries < 100; tries++) {
		c = since(before);
		if (!c.v[buffers] && !c.v[aggregates])
			break;
		usleep(50000);
	}
	return c;
}

/* ---- The other side ---- */

static int wrong(const char *buf, size_t len, size_t pos)
{
	for (size_t i = 0; i < len; i++, pos++)
		if (buf[i] != (pos < HEADER ? header[pos] : body[pos - HEADER]))
			return 1;
	return 0;
}

/* Reads a response from each; exits with the number of wrong ones. */
static void read_all(void)
{
	int bad = 0;

	for (int i = 0; i < NR; i++) {
		static char buf[16384];
		size_t pos = 0;

		while (pos < HEADER + BODY) {
			ssize_t n = recv(sockets[i], buf, sizeof(buf), 0);

			if (n <= 0 || pos + (size_t)n > HEADER + BODY ||
			    wrong(buf, (size_t)n, pos))
				break;
			pos += (size_t)n;
		}
		bad += pos != HEADER + BODY;
	}
	_exit(bad);
}

static void begin_reader(int *ours)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0), room = 2 * (HEADER + BODY), status;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(!bind(listener, (struct sockaddr *)&addr, sizeof(addr)) && !listen(listener, NR) &&
	     !getsockname(listener, (struct sockaddr *)&addr, &len));
	for (int i = 0; i < NR; i++) {
		sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
		must(!connect(sockets[i], (struct sockaddr *)&addr, len));
		ours[i] = accept(listener, NULL, NULL);
		/* room for a response that nobody reads yet */
		must(ours[i] >= 0 && !setsockopt(ours[i], SOL_SOCKET, SO_SNDBUF, &room,
						 sizeof(room)));
	}
	close(listener);
	reader = fork();
	must(reader >= 0);
	if (!reader) {
		raise(SIGSTOP);
		read_all();
	}
	must(waitpid(reader, &status, WUNTRACED) == reader && WIFSTOPPED(status));
	for (int i = 0; i < NR; i++)
		close(sockets[i]);
}

static int end_reader(const int *ours)
{
	int status;

	must(waitpid(reader, &status, 0) == reader);
	for (int i = 0; i < NR; i++)
		close(ours[i]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- The workload ---- */

static struct io_uring_sqe *get_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	must(sqe);
	return sqe;
}

/* Submits nr requests and waits for all in one system call. The failed ones. */
static int run(unsigned int nr)
{
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;
	int failed = 0;

	enters++;
	must(io_uring_submit_and_wait(&ring, nr) == (int)nr);
	io_uring_for_each_cqe(&ring, head, cqe) {
		failed += cqe->res < 0;
		seen++;
	}
	io_uring_cq_advance(&ring, seen);
	return failed + (seen != nr);
}

static unsigned int transmit(int sock, int kept)
{
	if (kept)
		iol_prep_transmit_slot(get_sqe(), sock, header, HEADER, KEPT, 0, 0, 0);
	else
		iol_prep_transmit(get_sqe(), sock, header, HEADER, file, BODY, 0, 0);
	return 1;
}

static unsigned int put_together(int sock, unsigned int slot, int kept)
{
	struct io_uring_sqe *sqe = get_sqe();

	iol_prep_alloc(sqe, pool, slot, header, HEADER);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	sqe = get_sqe();
	if (kept) {
		iol_prep_concat(sqe, slot, KEPT);
	} else {
		iol_prep_read(sqe, file, slot, BODY, 0);
		iol_sqe_set_flags(sqe, IOLITE_READ_APPEND);
	}
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	sqe = get_sqe();
	iol_prep_send(sqe, sock, slot, 0, MSG_WAITALL | MSG_NOSIGNAL);
	iol_sqe_set_flags(sqe, IOLITE_WRITE_FREE);
	return 3;
}

static void responses(const char *what, const char *name, int by_transmit, int kept)
{
	struct counters before = look(), c;
	unsigned int requests = 0;
	int ours[NR];

	begin_reader(ours);
	enters = 0;
	for (unsigned int i = 0; i < NR; i++)
		requests += by_transmit ? transmit(ours[i], kept) : put_together(ours[i], i, kept);
	if (!by_transmit)
		kill(reader, SIGCONT);
	is(run(requests), 0, "%s, %s: requests that failed", name, what);
	if (by_transmit) {
		c = since(&before);
		is(c.v[buffers], 0, "%s, %s: buffers, all being in the sockets", name, what);
		is(c.v[aggregates], 0, "%s, %s: aggregates then", name, what);
		is(c.v[nodes], 0, "%s, %s: nodes then", name, what);
		is(c.v[file_pages], 0, "%s, %s: file pages then", name, what);
		kill(reader, SIGCONT);
	}
	is(end_reader(ours), 0, "%s, %s: wrong responses", name, what);
	c = when_quiet(&before);
	is(enters, 1, "%s, %s: system calls for %d responses", name, what, NR);
	is(c.v[copied_bytes], NR * HEADER, "%s, %s: bytes copied", name, what);
	is(c.v[copied_alloc], NR * HEADER, "%s, %s: bytes copied for headers", name, what);
	is(c.v[shared_bytes], kept ? 0 : NR * BODY, "%s, %s: bytes read by reference", name, what);
	is(c.v[sent_bytes], NR * (HEADER + BODY), "%s, %s: bytes sent by reference", name, what);
	is(c.v[cow_folios], 0, "%s, %s: folios copied", name, what);
	is(c.v[buffers], 0, "%s, %s: buffers left", name, what);
	is(c.v[aggregates], 0, "%s, %s: aggregates left", name, what);
	is(c.v[nodes], 0, "%s, %s: nodes left", name, what);
	is(c.v[file_pages], 0, "%s, %s: file pages left", name, what);
}

/* A buffer holds one reference to a folio, and copies of an aggregate share it. */
static void references(const char *name, int slices)
{
	struct counters before = look(), c;

	for (unsigned int i = 0; i < NR; i++)
		iol_prep_read(get_sqe(), file, i, BODY, 0);
	is(run(NR), 0, "%s: reads that failed", name);
	c = since(&before);
	is(c.v[buffers], NR * slices, "%s: folio references of %d reads", name, NR);
	is(c.v[copied_bytes], 0, "%s: bytes copied by reads", name);

	iol_prep_free(get_sqe(), 0, NR);
	must(!run(1));
	for (unsigned int i = 0; i < NR; i++)
		iol_prep_dup(get_sqe(), KEPT, i);
	is(run(NR), 0, "%s: copies of an aggregate that failed", name);
	c = since(&before);
	is(c.v[buffers], 0, "%s: folio references of %d copies", name, NR);
	is(c.v[nodes], 0, "%s: nodes of %d copies", name, NR);
	iol_prep_free(get_sqe(), 0, NR);
	must(!run(1));
}

static void workload(const char *directory, int slices)
{
	const char *name = strrchr(directory, '/') + 1;
	char path[256];

	snprintf(path, sizeof(path), "%s/counters", directory);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	must(file >= 0 && write(file, body, BODY) == BODY && !fsync(file));

	iol_prep_read(get_sqe(), file, KEPT, BODY, 0);
	must(!run(1));
	responses("reading each time", name, 0, 0);
	responses("kept aggregate", name, 0, 1);
	responses("TRANSMIT of the file", name, 1, 0);
	responses("TRANSMIT of the aggregate", name, 1, 1);
	references(name, slices);
	iol_prep_free(get_sqe(), KEPT, 1);
	must(!run(1));
	close(file);
}

int main(int argc, char **argv)
{
	for (int i = 0; i < HEADER; i++)
		header[i] = (char)('a' + i % 26);
	for (int i = 0; i < BODY; i++)
		body[i] = (char)(i * 7 + i / 251);
	must(!io_uring_queue_init(SQES, &ring, IORING_SETUP_SINGLE_ISSUER |
				  IORING_SETUP_DEFER_TASKRUN));
	must(!iol_init(&ring, NR_SLOTS, 0));
	pool = iol_pool_create(&ring, 0, 0);
	must(pool >= 0);
	for (int i = 1; i + 1 < argc; i += 2)
		workload(argv[i], atoi(argv[i + 1]));
	return done();
}

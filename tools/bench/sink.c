// SPDX-License-Identifier: MIT
/*
 * Receives what senders send, and drops it as cheaply as can be; or compares it.
 *
 *	sink ADDRESS
 *
 * Serves one sender after the other; wire.h says what they speak.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#define PIECE		(4 << 20)
#define RCVBUF		(8 << 20)

/* Where a patient sink reads */
#define PATIENCE	(1 << 20)
#define NAP_NS		50000

struct conn {
	int		fd;
	uint64_t	left;		/* bytes of this round */
	uint64_t	at;		/* in the response, when comparing */
};

static struct conn *conns;
static unsigned int nr_conns;
static int listener, poller;

/* The response that is expected, when comparing */
static uint8_t *expected;
static uint64_t expected_len;
static uint64_t wrong;
static bool patient;

static void compare(struct conn *c, const uint8_t *got, size_t len)
{
	while (len) {
		size_t n = len < expected_len - c->at ? len : expected_len - c->at;

		if (wrong == WIRE_OK && memcmp(got, expected + c->at, n))
			for (size_t i = 0; i < n && wrong == WIRE_OK; i++)
				if (got[i] != expected[c->at + i])
					wrong = c->at + i;
		c->at = (c->at + n) % expected_len;
		got += n;
		len -= n;
	}
}

/* One recv(); false if there is nothing now */
static bool receive(struct conn *c)
{
	static uint8_t buf[1 << 16];
	size_t most = expected ? sizeof(buf) : PIECE;
	ssize_t n;

	n = recv(c->fd, expected ? buf : NULL, c->left < most ? c->left : most,
		 expected ? 0 : MSG_TRUNC);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0)
		err(1, "a sender is gone");
	if (expected)
		compare(c, buf, (size_t)n);
	c->left -= (uint64_t)n;
	return true;
}

/* What is there to be read */
static uint64_t queued(struct conn *c)
{
	int bytes;

	if (ioctl(c->fd, FIONREAD, &bytes))
		err(1, "FIONREAD");
	return (uint64_t)bytes;
}

/*
 * How often and when a sender is acknowledged is a matter of luck between two
 * machines, and costs the sender thousands of instructions each time.  So read,
 * and thereby acknowledge, only once all connections have got what they are to
 * get, or as much of it as fits well into a receive buffer.
 */
static void receive_patiently(void)
{
	struct timespec nap = { .tv_nsec = NAP_NS };
	int zero = 0;
	bool more = true;

	while (more) {
		more = false;
		for (unsigned int i = 0; i < nr_conns; i++)
			setsockopt(conns[i].fd, IPPROTO_TCP, TCP_QUICKACK, &zero, sizeof(zero));
		for (unsigned int i = 0; i < nr_conns; i++) {
			uint64_t want = conns[i].left < PATIENCE ? conns[i].left : PATIENCE;

			while (queued(&conns[i]) < want)
				nanosleep(&nap, NULL);
		}
		for (unsigned int i = 0; i < nr_conns; i++) {
			if (conns[i].left)
				receive(&conns[i]);
			more |= conns[i].left;
		}
	}
}

static void receive_round(uint64_t responses)
{
	uint64_t bytes = responses * expected_len;
	struct epoll_event events[64];
	unsigned int busy = nr_conns;

	wrong = WIRE_OK;
	for (unsigned int i = 0; i < nr_conns; i++)
		conns[i].left = bytes;
	if (patient) {
		receive_patiently();
		return;
	}
	if (nr_conns == 1) {
		while (conns[0].left)
			receive(&conns[0]);
		return;
	}
	while (busy) {
		int n = epoll_wait(poller, events, 64, -1);

		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			if (c->left && receive(c) && !c->left)
				busy--;
		}
	}
}

static void open_round(const struct wire_msg *msg)
{
	expected_len = msg->header + msg->size;
	patient = msg->how == WIRE_PATIENT;
	if (msg->how == WIRE_VERIFY) {
		expected = malloc(expected_len);
		if (!expected)
			err(1, "malloc");
		for (uint64_t i = 0; i < expected_len; i++)
			expected[i] = wire_response(msg->header, msg->size, i);
	}
	nr_conns = msg->connections;
	conns = calloc(nr_conns, sizeof(*conns));
	poller = epoll_create1(0);
	if (!conns || poller < 0)
		err(1, "conns");
	for (unsigned int i = 0; i < nr_conns; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &conns[i] };

		conns[i].fd = accept(listener, NULL, NULL);
		if (conns[i].fd < 0)
			err(1, "accept");
		if (nr_conns > 1 && (fcntl(conns[i].fd, F_SETFL, O_NONBLOCK) ||
				     epoll_ctl(poller, EPOLL_CTL_ADD, conns[i].fd, &event)))
			err(1, "epoll");
	}
}

static void close_round(void)
{
	for (unsigned int i = 0; i < nr_conns; i++)
		close(conns[i].fd);
	close(poller);
	free(conns);
	free(expected);
	conns = NULL;
	expected = NULL;
}

static void serve(int control)
{
	struct wire_msg msg;

	while (recv(control, &msg, sizeof(msg), MSG_WAITALL) == sizeof(msg)) {
		struct wire_answer answer = { .wrong = WIRE_OK };

		if (msg.kind == WIRE_OPEN) {
			open_round(&msg);
		} else if (msg.kind == WIRE_ROUND) {
			receive_round(msg.responses);
			answer.wrong = wrong;
		} else {
			close_round();
		}
		if (send(control, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
			break;
	}
	close(control);
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(WIRE_PORT) };
	int one = 1, rcvbuf = RCVBUF;

	if (argc != 2 || !inet_aton(argv[1], &addr.sin_addr))
		errx(2, "usage: sink ADDRESS");
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (setsockopt(listener, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)))
		setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 1024))
		err(1, "%s", argv[1]);
	for (;;) {
		int control = accept(listener, NULL, NULL);

		if (control < 0)
			err(1, "accept");
		setsockopt(control, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		serve(control);
	}
}

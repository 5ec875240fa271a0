// SPDX-License-Identifier: MIT
/*
 * Sends files to a sink over TCP, by one mechanism after the other.
 *
 *	file_to_tcp make DIRECTORY SIZE...	writes the files
 *	file_to_tcp run count|time|verify < cells
 *
 * A line of cells: MECHANISM FILE SIZE HEADER CONNECTIONS ADDRESS RESPONSES
 * where the last are responses on each connection in a round.  After rounds that
 * do not count, count marks sections for tools/bench/insns.c and stops once
 * they agree; time measures time; verify has the sink compare what it gets.  For
 * each cell a line is printed: "cell ROUNDS", then the nanoseconds of each round
 * with time, and name=bytes for what IO-Lite copied in all its rounds.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ftt.h"
#include "mark.h"
#include "wire.h"

#define WARM_UP		3	/* rounds */
#define COUNT_MIN	3
#define COUNT_MAX	9
#define TIME_ROUNDS	5
#define AGREE		50	/* half of the rounds within a 50th */

#define PATIENCE_S	120	/* with the sink */

static const struct mechanism *const mechanisms[] = {
	&read_send, &sendfile_more, &splice_pipe, &send_zc, &send_zc_fixed, &msg_zerocopy,
	&iolite_read, &iolite_kept, NULL
};

static const char *const reasons[] = {
	"alloc", "fs", "direct", "special", "mapped", "pinned", "busy", "hole", "edge", NULL
};

enum mode { COUNT, TIME, VERIFY };

void *must(void *memory)
{
	if (!memory)
		err(1, "malloc");
	return memory;
}

/* ---- Files ---- */

/* Each in one write, so that its folios are as large as the file system makes them */
static void make_files(const char *directory, char **sizes)
{
	for (; *sizes; sizes++) {
		size_t size = strtoul(*sizes, NULL, 10);
		uint8_t *data = must(malloc(size));
		char path[256];
		int fd;

		for (size_t i = 0; i < size; i++)
			data[i] = wire_byte(size, i);
		snprintf(path, sizeof(path), "%s/%zu", directory, size);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		if (fd < 0 || write(fd, data, size) != (ssize_t)size || fsync(fd) || close(fd))
			err(1, "%s", path);
		free(data);
	}
}

/* ---- What was counted ---- */

static unsigned long long number_in(const char *path)
{
	unsigned long long number = 0;
	FILE *f = fopen(path, "r");

	if (!f || fscanf(f, "%llu", &number) != 1)
		number = 0;
	if (f)
		fclose(f);
	return number;
}

static void copied(unsigned long long *bytes)
{
	for (unsigned int i = 0; reasons[i]; i++) {
		char path[80];

		snprintf(path, sizeof(path), "/sys/kernel/mm/iolite/copied_%s", reasons[i]);
		bytes[i] = number_in(path);
	}
}

/* Instructions of the last section; the host writes that while the guest runs. */
static double last_counted(void)
{
	unsigned long user = 0, kernel = 0;
	char line[512];
	FILE *f = fopen("/run/job/insns", "r");

	if (!f)
		err(1, "/run/job/insns");
	if (!fseek(f, -(long)sizeof(line) / 2, SEEK_END))
		fgets(line, sizeof(line), f);
	else
		rewind(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "{\"user\": %lu, \"kernel\": %lu", &user, &kernel);
	fclose(f);
	return (double)user + (double)kernel;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Whether the middle half of the rounds lies closely together */
static bool agree(const double *values, unsigned int nr)
{
	double sorted[COUNT_MAX];

	memcpy(sorted, values, nr * sizeof(*values));
	qsort(sorted, nr, sizeof(*sorted), by_value);
	return (sorted[nr * 3 / 4] - sorted[nr / 4]) * AGREE <= sorted[nr / 2];
}

/* ---- Rounds ---- */

static void tell(int control, const struct wire_msg *msg)
{
	if (send(control, msg, sizeof(*msg), MSG_NOSIGNAL) != sizeof(*msg))
		err(1, "the sink");
}

static uint64_t hear(int control)
{
	struct wire_answer answer;
	ssize_t n;

	do {	/* task work of a ring interrupts it, as there is a time limit */
		n = recv(control, &answer, sizeof(answer), MSG_WAITALL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		printf("WRONG: some bytes never came\n");
		exit(0);
	}
	if (n != sizeof(answer))
		err(1, "the sink");
	return answer.wrong;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void do_round(const struct mechanism *m, struct cell *c, int control,
		     unsigned int responses)
{
	uint64_t wrong;

	m->round(c, responses);
	wrong = hear(control);
	if (wrong != WIRE_OK)
		printf("WRONG byte %llu of a response\n", (unsigned long long)wrong);
}

static void measure(enum mode mode, const struct mechanism *m, struct cell *c, int control,
		    unsigned int responses)
{
	struct wire_msg msg = { .kind = WIRE_ROUND, .responses = responses };
	unsigned int rounds = mode == COUNT ? COUNT_MAX : mode == TIME ? TIME_ROUNDS : 1;
	unsigned int warm_up = mode == COUNT ? WARM_UP : mode == TIME;
	unsigned long long before[16], after[16];
	double values[COUNT_MAX];
	unsigned int nr;

	for (nr = 0; nr < warm_up; nr++) {
		tell(control, &msg);
		do_round(m, c, control, responses);
	}
	copied(before);
	for (nr = 0; nr < rounds; nr++) {
		double begun;

		if (mode == COUNT && nr >= COUNT_MIN && agree(values, nr))
			break;
		tell(control, &msg);
		begun = now();
		if (mode == COUNT)
			mark_begin();
		do_round(m, c, control, responses);
		if (mode == COUNT)
			mark_end();
		values[nr] = mode == COUNT ? last_counted() : now() - begun;
	}
	copied(after);
	printf("cell %u", nr);
	for (unsigned int i = 0; i < nr && mode == TIME; i++)
		printf(" %.0f", values[i]);
	for (unsigned int i = 0; reasons[i]; i++)
		if (after[i] != before[i])
			printf(" %s=%llu", reasons[i], after[i] - before[i]);
	printf("\n");
	fflush(stdout);
}

/* ---- Cells ---- */

static int connect_to(const struct sockaddr_in *sink)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)sink, sizeof(*sink)))
		err(1, "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void run_cell(enum mode mode, const struct mechanism *m, struct cell *c,
		     const struct sockaddr_in *sink, unsigned int responses)
{
	struct wire_msg msg = { .kind = WIRE_OPEN, .connections = c->conns, .size = c->size,
				.header = (uint32_t)c->header_len };
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int control = connect_to(sink);

	setsockopt(control, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	/* In this machine a patient sink would be counted, too. */
	msg.how = mode == VERIFY ? WIRE_VERIFY :
		  mode == COUNT && sink->sin_addr.s_addr != htonl(INADDR_LOOPBACK) ? WIRE_PATIENT :
		  WIRE_PROMPT;

	c->header = must(malloc(c->header_len + 1));
	for (size_t i = 0; i < c->header_len; i++)
		c->header[i] = (char)wire_response((uint32_t)c->header_len, c->size, i);
	tell(control, &msg);
	for (unsigned int i = 0; i < c->conns; i++)
		c->fds[i] = connect_to(sink);
	hear(control);

	m->open(c);
	measure(mode, m, c, control, responses);
	m->close(c);

	for (unsigned int i = 0; i < c->conns; i++)
		close(c->fds[i]);
	msg.kind = WIRE_CLOSE;
	tell(control, &msg);
	hear(control);
	close(control);
	free(c->header);
}

static const struct mechanism *mechanism_of(const char *name)
{
	for (unsigned int i = 0; mechanisms[i]; i++)
		if (!strcmp(mechanisms[i]->name, name))
			return mechanisms[i];
	errx(2, "%s: no such mechanism", name);
}

static void run_cells(enum mode mode)
{
	char name[32], path[256], address[32];
	struct sockaddr_in sink = { .sin_family = AF_INET, .sin_port = htons(WIRE_PORT) };
	unsigned int responses;
	struct cell c;
	int n;

	/* The names of mechanisms may have blanks. */
	while ((n = scanf(" %31[^\t]\t%255s %zu %zu %u %31s %u", name, path, &c.size,
			  &c.header_len, &c.conns, address, &responses)) == 7) {
		if (c.conns < 1 || c.conns > MAX_CONNS || !inet_aton(address, &sink.sin_addr))
			errx(2, "%s: wrong cell", name);
		c.file = open(path, O_RDONLY);
		if (c.file < 0)
			err(1, "%s", path);
		run_cell(mode, mechanism_of(name), &c, &sink, responses);
		close(c.file);
	}
	if (n != EOF)
		errx(2, "wrong line of cells");
}

int main(int argc, char **argv)
{
	if (argc > 3 && !strcmp(argv[1], "make")) {
		make_files(argv[2], argv + 3);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "run")) {
		run_cells(!strcmp(argv[2], "count") ? COUNT :
			  !strcmp(argv[2], "time") ? TIME : VERIFY);
		return 0;
	}
	errx(2, "usage: file_to_tcp make DIRECTORY SIZE... | run count|time|verify");
}

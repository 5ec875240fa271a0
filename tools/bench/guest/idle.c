// SPDX-License-Identifier: MIT
/*
 * The paths that IO-Lite's hooks lie on, used as programs without IO-Lite use
 * them.  Run on a kernel with and on one without CONFIG_IOLITE it shows what
 * having the option costs.
 *
 *	idle DIRECTORY...
 *
 * Prints a line for each measured section, in their order: path, name of the
 * directory's last component, operations.  Each section is there for several
 * rounds, and the first round warms up.
 */
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mark.h"

#define KIB		1024
#define FILE_SIZE	(4096 * KIB)
#define PAGE		4096
#define AROUND		(64 * KIB)	/* what one read fault maps */
#define SEND_BURST	8		/* messages that a window takes without an acknowledgement */
#define ROUNDS		16

static char buf[64 * KIB];
static int file, sock[2];
static const char *place;

static void report(const char *path, unsigned int ops)
{
	printf("%s %s %u\n", path, place, ops);
}

static void expect(ssize_t is, size_t should, const char *what)
{
	if (is != (ssize_t)should)
		err(1, "%s", what);
}

static void reads(const char *name, size_t size)
{
	off_t pos;

	mark_begin();
	for (pos = 0; pos < FILE_SIZE; pos += (off_t)size)
		expect(pread(file, buf, size, pos), size, name);
	mark_end();
	report(name, (unsigned int)(FILE_SIZE / size));
}

static void writes(const char *name, size_t size)
{
	off_t pos;

	mark_begin();
	for (pos = 0; pos < FILE_SIZE; pos += (off_t)size)
		expect(pwrite(file, buf, size, pos), size, name);
	mark_end();
	report(name, (unsigned int)(FILE_SIZE / size));
}

static void drain(size_t bytes)
{
	while (bytes) {
		ssize_t n = recv(sock[1], buf, bytes < sizeof(buf) ? bytes : sizeof(buf), 0);

		if (n <= 0)
			err(1, "recv");
		bytes -= (size_t)n;
	}
}

static void sends(void)
{
	int i;

	mark_begin();
	for (i = 0; i < SEND_BURST; i++)
		expect(send(sock[0], buf, PAGE, 0), PAGE, "send");
	mark_end();
	report("send-4K", SEND_BURST);
	drain(SEND_BURST * PAGE);
}

static void sendfiles(void)
{
	off_t pos = 0;
	int i;

	mark_begin();
	for (i = 0; i < SEND_BURST; i++)
		expect(sendfile(sock[0], file, &pos, PAGE), PAGE, "sendfile");
	mark_end();
	report("sendfile-4K", SEND_BURST);
	drain(SEND_BURST * PAGE);
}

static volatile char *map(int prot)
{
	void *p = mmap(NULL, FILE_SIZE, prot, MAP_SHARED, file, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

static void read_faults(void)
{
	volatile char *p = map(PROT_READ);
	size_t pos;

	mark_begin();
	for (pos = 0; pos < FILE_SIZE; pos += AROUND)
		(void)p[pos];
	mark_end();
	report("read-fault", FILE_SIZE / AROUND);
	munmap((void *)p, FILE_SIZE);
}

/* Of clean pages: where the file system wants to know, it is told of each. */
static void write_faults(void)
{
	volatile char *p;
	size_t pos;

	if (fsync(file))
		err(1, "fsync");
	p = map(PROT_READ | PROT_WRITE);
	mark_begin();
	for (pos = 0; pos < FILE_SIZE; pos += PAGE)
		p[pos] = 1;
	mark_end();
	report("write-fault", FILE_SIZE / PAGE);
	munmap((void *)p, FILE_SIZE);
}

static void open_file(const char *directory)
{
	char path[4096];
	off_t pos;

	snprintf(path, sizeof(path), "%s/idle", directory);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (file < 0)
		err(1, "%s", path);
	for (pos = 0; pos < FILE_SIZE; pos += (off_t)sizeof(buf))
		expect(pwrite(file, buf, sizeof(buf), pos), sizeof(buf), path);
	unlink(path);
	place = strrchr(directory, '/');
	place = place ? place + 1 : directory;
}

static void connect_sockets(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&addr, &len))
		err(1, "listen");
	sock[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (sock[0] < 0 || connect(sock[0], (struct sockaddr *)&addr, len))
		err(1, "connect");
	sock[1] = accept(listener, NULL, NULL);
	setsockopt(sock[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	close(listener);
}

int main(int argc, char **argv)
{
	int i, round;

	connect_sockets();
	for (i = 1; i < argc; i++) {
		open_file(argv[i]);
		for (round = 0; round < ROUNDS; round++) {
			reads("read-4K", PAGE);
			reads("read-64K", sizeof(buf));
			writes("write-4K", PAGE);
			writes("write-64K", sizeof(buf));
			sends();
			sendfiles();
			read_faults();
			write_faults();
		}
		close(file);
	}
	return 0;
}

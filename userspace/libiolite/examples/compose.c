// SPDX-License-Identifier: MIT
/*
 * Composes a response out of pieces of several files, with the synchronous
 * calls: a line of its own before each piece, as in a multipart message.
 *
 *	compose OUT FILE OFFSET LENGTH [FILE OFFSET LENGTH]...
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <iolite.h>

static ssize_t check(ssize_t ret, const char *what)
{
	if (ret < 0)
		errx(1, "%s: %s", what, strerror((int)-ret));
	return ret;
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags, 0666);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

int main(int argc, char **argv)
{
	struct iol_agg *response = NULL, *head = NULL, *piece = NULL;
	struct iolite *io;
	char line[128];
	ssize_t len, done;
	int out, fd, i;

	if (argc < 5 || (argc - 2) % 3)
		errx(2, "usage: compose OUT FILE OFFSET LENGTH [FILE OFFSET LENGTH]...");
	out = open_or_die(argv[1], O_WRONLY | O_CREAT | O_TRUNC);
	check(iol_open(&io, 0), "IO-Lite");
	check(iol_from_memory(io, &response, "", 0), "response");

	for (i = 2; i < argc; i += 3) {
		fd = open_or_die(argv[i], O_RDONLY);
		len = check(iol_read(io, &piece, fd, strtoull(argv[i + 2], NULL, 0),
				     strtoll(argv[i + 1], NULL, 0)), argv[i]);
		close(fd);
		snprintf(line, sizeof(line), "--\r\nContent-Length: %zd\r\n\r\n", len);
		check(iol_from_memory(io, &head, line, strlen(line)), "head");
		check(iol_concat(response, head), "concat");
		check(iol_concat(response, piece), "concat");
	}

	len = check(iol_length(response), "length");
	for (done = 0; done < len; )
		done += check(iol_write(response, out, 0, -1), argv[1]);
	printf("%zd bytes, Internet checksum %#06zx\n", len,
	       (size_t)check(iol_checksum(response, 0, UINT64_MAX), "checksum"));
	iol_close(io);
	return 0;
}

// SPDX-License-Identifier: MIT
/*
 * Tells one client outside of the guest how the guest is doing:
 *
 *	meter PORT [FILE...]
 *
 * For each byte that it receives it answers with a line that begins with "==",
 * after having begun (b) or ended (e) a measured section, or having sent the
 * files below and its arguments (m), each after a line with its name.  In
 * between it sleeps.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mark.h"

#define IOLITE "/sys/kernel/mm/iolite/"

static void send_file(FILE *to, const char *path)
{
	char line[512];
	FILE *from = fopen(path, "r");

	if (!from)
		return;
	fprintf(to, "= %s\n", path);
	while (fgets(line, sizeof(line), from))
		fputs(line, to);
	fclose(from);
}

static void send_state(FILE *to, char **files)
{
	char path[sizeof(IOLITE) + 256];
	struct dirent *entry;
	DIR *dir;

	send_file(to, "/proc/meminfo");
	send_file(to, "/proc/slabinfo");
	send_file(to, "/proc/net/sockstat");
	send_file(to, "/proc/net/snmp");
	for (; *files; files++)
		send_file(to, *files);
	dir = opendir(IOLITE);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), IOLITE "%s", entry->d_name);
		if (entry->d_name[0] != '.')
			send_file(to, path);
	}
	closedir(dir);
}

static int wait_for_client(int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0), client;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1))
		err(1, "port %d", port);
	client = accept(fd, NULL, NULL);
	if (client < 0)
		err(1, "accept");
	close(fd);
	return client;
}

int main(int argc, char **argv)
{
	FILE *out;
	char command;
	int client;

	if (argc < 2)
		errx(2, "usage: meter PORT [FILE...]");
	client = wait_for_client(atoi(argv[1]));
	out = fdopen(client, "w");
	if (!out)
		err(1, "fdopen");
	while (read(client, &command, 1) == 1) {
		if (command == 'b')
			mark_begin();
		else if (command == 'e')
			mark_end();
		else if (command == 'm')
			send_state(out, argv + 2);
		fputs("==\n", out);
		fflush(out);
	}
	return 0;
}

// SPDX-License-Identifier: MIT
#include "statsport.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "stats.h"
#include "worker.h"

int stats_listen(uint16_t port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int one = 1, fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 16)) {
		log_error("Cannot listen on port %u of 127.0.0.1: %s; choose another with "
			  "--stats-port.", port, strerror(errno));
		exit(1);
	}
	return fd;
}

static void collect(struct text *t, struct worker *const *workers, unsigned int nr)
{
	struct stats *all[nr];

	for (unsigned int i = 0; i < nr; i++)
		all[i] = &workers[i]->stats;
	stats_text(t, all, nr);
}

/* What is asked for does not matter: there is one page. */
void stats_serve(int listen_fd, struct worker *const *workers, unsigned int nr)
{
	struct timeval second = { .tv_sec = 1 };
	struct text page = { 0 }, answer = { 0 };
	char request[4096];
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
	if (recv(fd, request, sizeof(request), 0) > 0) {
		collect(&page, workers, nr);
		text_printf(&answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
			    "Content-Length: %zu\r\nConnection: close\r\n\r\n", page.len);
		text_add(&answer, page.s, page.len);
		send(fd, answer.s, answer.len, MSG_NOSIGNAL);
	}
	close(fd);
	text_free(&page);
	text_free(&answer);
}

void stats_report(struct worker *const *workers, unsigned int nr)
{
	struct text line = { 0 };

	collect(&line, workers, nr);
	for (size_t i = 0; i < line.len; i++) {
		if (line.s[i] == ' ')
			line.s[i] = '=';
		else if (line.s[i] == '\n')
			line.s[i] = ' ';
	}
	fprintf(stderr, "iolite-httpd: stats %.*s\n", (int)line.len, line.s);
	text_free(&line);
}

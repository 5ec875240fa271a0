/* SPDX-License-Identifier: MIT */
#ifndef HTTPD_LOG_H
#define HTTPD_LOG_H

#include <stdint.h>
#include <time.h>

#include "text.h"

/* A line to standard error, with the program's name before it. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One thread's lines of the access log, until they are written. */
struct access_log {
	int		fd;		/* -1: none */
	struct text	lines;
	time_t		stamp_time;
	char		stamp[32];	/* of stamp_time */
};

/* Common log format: the request's first line is cut off and escaped. */
void access_log_add(struct access_log *log, const char *peer, time_t now, const char *request,
		    size_t len, unsigned int status, uint64_t bytes);
void access_log_flush(struct access_log *log);

#endif

// SPDX-License-Identifier: MIT
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_BYTES	(32 * 1024)
#define MAX_LINE	2048		/* bytes of a request's first line */

void log_error(const char *format, ...)
{
	char line[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n > 0)
		fprintf(stderr, "iolite-httpd: %s\n", line);
}

static const char *stamp(struct access_log *log, time_t now)
{
	struct tm tm;

	if (log->stamp_time != now && localtime_r(&now, &tm)) {
		strftime(log->stamp, sizeof(log->stamp), "%d/%b/%Y:%H:%M:%S %z", &tm);
		log->stamp_time = now;
	}
	return log->stamp;
}

void access_log_add(struct access_log *log, const char *peer, time_t now, const char *request,
		    size_t len, unsigned int status, uint64_t bytes)
{
	size_t n = 0;

	if (log->fd < 0)
		return;
	while (len && (*request == '\r' || *request == '\n')) {
		request++;
		len--;
	}
	while (n < len && n < MAX_LINE && request[n] != '\r' && request[n] != '\n')
		n++;

	text_printf(&log->lines, "%s - - [%s] \"", peer, stamp(log, now));
	text_add_log(&log->lines, request, n);
	text_printf(&log->lines, "\" %u ", status);
	if (bytes)
		text_printf(&log->lines, "%ju\n", (uintmax_t)bytes);
	else
		text_printf(&log->lines, "-\n");
	if (log->lines.len >= FLUSH_BYTES)
		access_log_flush(log);
}

/* A full disk costs lines, not the service. */
void access_log_flush(struct access_log *log)
{
	size_t done = 0;

	while (done < log->lines.len) {
		ssize_t n = write(log->fd, log->lines.s + done, log->lines.len - done);

		if (n > 0) {
			done += (size_t)n;
		} else if (n < 0 && errno != EINTR) {
			log_error("cannot write the access log: %s", strerror(errno));
			break;
		}
	}
	text_reset(&log->lines);
}

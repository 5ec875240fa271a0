/* SPDX-License-Identifier: MIT */
/*
 * What to send: text made here (headers, pages) and ranges of one file, in
 * parts of some text followed by some of the file.
 */
#ifndef HTTPD_RESPONSE_H
#define HTTPD_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "files.h"
#include "range.h"
#include "request.h"
#include "text.h"

/* What is left to send of it. */
struct part {
	size_t		text;	/* bytes of response.text, after the previous part's */
	uint64_t	off;	/* in the file */
	uint64_t	len;
};

struct response {
	unsigned int	status;
	bool		close;		/* the connection, afterwards */
	struct text	text;
	size_t		head;		/* bytes of the header in it */
	struct file	*file;		/* a reference, or NULL */
	unsigned int	nr_parts;
	struct part	parts[RANGES_MAX + 1];
};

/* What headers begin with in this second. */
struct response_clock {
	time_t	now;
	char	date[DATE_SIZE];
	char	ok[DATE_SIZE + 64];	/* the first lines of an answer with status 200 */
};

void response_clock_set(struct response_clock *clock, time_t now);

/* buf holds the request; close says that the connection cannot go on. */
void response_make(struct response *r, struct files *files, const struct response_clock *clock,
		   const struct request *req, const char *buf, bool close);
/* An answer without a request, or to one that could not be read. */
void response_error(struct response *r, const struct response_clock *clock, unsigned int status,
		    bool head_only);
void response_reset(struct response *r, struct files *files);

#endif

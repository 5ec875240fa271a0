/* SPDX-License-Identifier: MIT */
#ifndef HTTPD_REQUEST_H
#define HTTPD_REQUEST_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_MAX_HEADER	16384	/* bytes, request line included */
#define REQUEST_MAX_TARGET	8000	/* bytes */
#define REQUEST_MAX_FIELDS	100
#define REQUEST_MAX_BODY	65536	/* bytes; nobody wants them, so they are dropped */

enum request_field {
	FIELD_HOST,
	FIELD_IF_MATCH,
	FIELD_IF_MODIFIED_SINCE,
	FIELD_IF_NONE_MATCH,
	FIELD_IF_RANGE,
	FIELD_IF_UNMODIFIED_SINCE,
	FIELD_RANGE,
	FIELD_NR,
};

/* Offsets, because the buffer may move while a request arrives. */
struct request_span {
	size_t	off;
	size_t	len;
};

struct request {
	http_parser		parser;
	struct request_span	target;
	struct request_span	name;		/* of the header field that is being read */
	struct request_span	value;
	bool			has_value;	/* even an empty one */
	struct request_span	fields[FIELD_NR];
	unsigned int		seen[FIELD_NR];	/* times that the field occurred */
	unsigned int		nr_fields;
	size_t			head;		/* bytes of the header; 0 until it is complete */
	uint64_t		body;		/* bytes of it, framing included, that arrived */
	bool			has_target;	/* the request line is complete */
	bool			head_ends;
	bool			keep_alive;
	bool			complete;
	const char		*base;		/* of the buffer during request_parse() */
};

void request_init(struct request *req);

/*
 * Parses what arrived: buf[*used .. *len).  Advances *used, and cuts the body
 * out of the buffer by reducing *len and *used.  Returns 1 if the request is
 * complete, 0 if more is needed, or minus the status to answer with.
 */
int request_parse(struct request *req, char *buf, size_t *used, size_t *len);

#endif

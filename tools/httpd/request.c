// SPDX-License-Identifier: MIT
#include "request.h"

#include <string.h>
#include <strings.h>

#define NAME(s) { s, sizeof(s) - 1 }
static const struct {
	const char	*s;
	size_t		len;
} field_names[FIELD_NR] = {
	[FIELD_HOST]			= NAME("host"),
	[FIELD_IF_MATCH]		= NAME("if-match"),
	[FIELD_IF_MODIFIED_SINCE]	= NAME("if-modified-since"),
	[FIELD_IF_NONE_MATCH]		= NAME("if-none-match"),
	[FIELD_IF_RANGE]		= NAME("if-range"),
	[FIELD_IF_UNMODIFIED_SINCE]	= NAME("if-unmodified-since"),
	[FIELD_RANGE]			= NAME("range"),
};

/* The parser hands a field over in as many pieces as the network did. */
static void extend(struct request *req, struct request_span *span, const char *at, size_t len)
{
	size_t off = (size_t)(at - req->base);

	if (!span->len)
		span->off = off;
	span->len = off + len - span->off;
}

static void field_done(struct request *req)
{
	if (!req->name.len)
		return;
	req->nr_fields++;
	for (int i = 0; i < FIELD_NR; i++) {
		if (field_names[i].len != req->name.len ||
		    strncasecmp(field_names[i].s, req->base + req->name.off, req->name.len))
			continue;
		if (!req->seen[i]++)
			req->fields[i] = req->value;
		break;
	}
	req->name.len = 0;
	req->value.len = 0;
	req->has_value = false;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
	struct request *req = parser->data;

	extend(req, &req->target, at, len);
	return 0;
}

static int on_field(http_parser *parser, const char *at, size_t len)
{
	struct request *req = parser->data;

	req->has_target = true;
	if (req->head)		/* a trailer of the body: nobody asked for it */
		return 0;
	if (req->has_value)
		field_done(req);
	extend(req, &req->name, at, len);
	return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
	struct request *req = parser->data;

	if (!req->head) {
		req->has_value = true;
		extend(req, &req->value, at, len);
	}
	return 0;
}

/* The pause tells where the header ends, and lets it be judged before the body. */
static int on_head(http_parser *parser)
{
	struct request *req = parser->data;

	field_done(req);
	req->has_target = true;
	req->keep_alive = http_should_keep_alive(parser);
	/* an offer to speak another protocol is declined by not taking it up */
	parser->upgrade = 0;
	req->head_ends = true;
	http_parser_pause(parser, 1);
	return 0;
}

static int on_complete(http_parser *parser)
{
	struct request *req = parser->data;

	req->complete = true;
	http_parser_pause(parser, 1);
	return 0;
}

static const http_parser_settings settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_message_complete = on_complete,
};

void request_init(struct request *req)
{
	memset(req, 0, sizeof(*req));
	http_parser_init(&req->parser, HTTP_REQUEST);
	req->parser.data = req;
}

/* A word where the method belongs, as far as it arrived, is one that we do not know. */
static bool starts_with_word(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && ((s[n] >= 'A' && s[n] <= 'Z') || (n && (s[n] == '-' || s[n] == '_'))))
		n++;
	return n && (n == len || s[n] == ' ');
}

static int error_status(const struct request *req, const char *buf, size_t len)
{
	switch (HTTP_PARSER_ERRNO(&req->parser)) {
	case HPE_INVALID_METHOD:
		while (len && (*buf == '\r' || *buf == '\n')) {
			buf++;
			len--;
		}
		return starts_with_word(buf, len) ? 501 : 400;
	case HPE_INVALID_VERSION:
		return 505;
	case HPE_HEADER_OVERFLOW:
		return 431;
	default:
		return 400;
	}
}

static int check_head(const struct request *req)
{
	const http_parser *parser = &req->parser;

	if (parser->http_major != 1)
		return 505;
	if (req->nr_fields > REQUEST_MAX_FIELDS)
		return 431;
	if (req->seen[FIELD_HOST] > 1 || (parser->http_minor >= 1 && !req->seen[FIELD_HOST]))
		return 400;
	if (parser->method != HTTP_GET && parser->method != HTTP_HEAD)
		return 405;
	/* all ones: no Content-Length */
	if (parser->content_length != UINT64_MAX && parser->content_length > REQUEST_MAX_BODY)
		return 413;
	return 0;
}

/* Returns 0 or the status of an error. */
static int parse_head(struct request *req, char *buf, size_t *used, size_t len)
{
	int status;

	*used += http_parser_execute(&req->parser, &settings, buf + *used, len - *used);
	if (req->target.len > REQUEST_MAX_TARGET)
		return 414;
	if (req->head_ends) {
		status = check_head(req);
		if (status)
			return status;
		req->head = *used + 1;	/* the parser stopped at the last line feed */
		if (req->head > REQUEST_MAX_HEADER)
			return 431;
		http_parser_pause(&req->parser, 0);
		return 0;
	}
	if (HTTP_PARSER_ERRNO(&req->parser) != HPE_OK)
		return error_status(req, buf, len);
	if (!req->parser.http_major && req->parser.http_minor)
		return 505;	/* HTTP/0.9: no header will follow */
	if (len >= REQUEST_MAX_HEADER)
		return req->has_target ? 431 : 414;
	return 0;
}

static int parse_body(struct request *req, char *buf, size_t *used, size_t *len)
{
	size_t n = http_parser_execute(&req->parser, &settings, buf + *used, *len - *used);

	if (HTTP_PARSER_ERRNO(&req->parser) != HPE_OK && !req->complete)
		return 400;
	*used += n;
	req->body += *used > req->head ? *used - req->head : 0;
	if (req->body > REQUEST_MAX_BODY)
		return 413;
	if (*used > req->head) {
		memmove(buf + req->head, buf + *used, *len - *used);
		*len -= *used - req->head;
		*used = req->head;
	}
	return 0;
}

int request_parse(struct request *req, char *buf, size_t *used, size_t *len)
{
	int status;

	req->base = buf;
	if (!req->head) {
		status = parse_head(req, buf, used, *len);
		if (status)
			return -status;
	}
	if (req->head) {
		status = parse_body(req, buf, used, len);
		if (status)
			return -status;
	}
	return req->complete;
}

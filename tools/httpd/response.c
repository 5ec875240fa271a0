// SPDX-License-Identifier: MIT
#include "response.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "etag.h"
#include "listing.h"
#include "target.h"

#define BOUNDARY_SIZE 24	/* random hex digits and NUL */

/* What goes into making one response. */
struct making {
	struct response			*r;
	struct files			*files;
	const struct response_clock	*clock;
	const struct request		*req;
	const char			*buf;
	bool				head_only;
	struct request_span		query;	/* with its question mark, or empty */
	char				path[PATH_MAX];
};

static const char *reason(unsigned int status)
{
	switch (status) {
	case 200: return "OK";
	case 206: return "Partial Content";
	case 301: return "Moved Permanently";
	case 304: return "Not Modified";
	case 400: return "Bad Request";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 408: return "Request Timeout";
	case 412: return "Precondition Failed";
	case 413: return "Content Too Large";
	case 414: return "URI Too Long";
	case 416: return "Range Not Satisfiable";
	case 431: return "Request Header Fields Too Large";
	case 500: return "Internal Server Error";
	case 501: return "Not Implemented";
	case 503: return "Service Unavailable";
	case 505: return "HTTP Version Not Supported";
	}
	return "Error";
}

#define FIRST_LINES "HTTP/1.1 %u %s\r\nServer: iolite-httpd\r\nDate: %s\r\n"

void response_clock_set(struct response_clock *clock, time_t now)
{
	clock->now = now;
	date_format(now, clock->date);
	snprintf(clock->ok, sizeof(clock->ok), FIRST_LINES, 200, reason(200), clock->date);
}

static void head_begin(struct response *r, const struct response_clock *clock, unsigned int status)
{
	r->status = status;
	if (status == 200)
		text_add_string(&r->text, clock->ok);
	else
		text_printf(&r->text, FIRST_LINES, status, reason(status), clock->date);
}

/* Also for HTTP/1.0, where keeping the connection has to be said. */
static void head_end(struct response *r)
{
	text_add_string(&r->text, r->close ? "Connection: close\r\n\r\n" :
					     "Connection: keep-alive\r\n\r\n");
	r->head = r->text.len;
}

static void add_part(struct response *r, uint64_t off, uint64_t len)
{
	size_t before = 0;

	for (unsigned int i = 0; i < r->nr_parts; i++)
		before += r->parts[i].text;
	r->parts[r->nr_parts++] = (struct part){ r->text.len - before, off, len };
}

/* Ends a response of which all but the status and the extra fields is text. */
static void text_response(struct response *r, const char *type, const char *body, size_t len,
			  bool head_only)
{
	text_printf(&r->text, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, len);
	head_end(r);
	if (!head_only)
		text_add(&r->text, body, len);
	add_part(r, 0, 0);
}

static void status_page(struct response *r, bool head_only)
{
	struct text page = { 0 };

	text_printf(&page, "<!doctype html>\n<title>%u %s</title>\n<h1>%u %s</h1>\n", r->status,
		    reason(r->status), r->status, reason(r->status));
	text_response(r, "text/html; charset=utf-8", page.s, page.len, head_only);
	text_free(&page);
}

void response_error(struct response *r, const struct response_clock *clock, unsigned int status,
		    bool head_only)
{
	head_begin(r, clock, status);
	if (status == 405)
		text_printf(&r->text, "Allow: GET, HEAD\r\n");
	if (status == 503)
		text_printf(&r->text, "Retry-After: 1\r\n");
	status_page(r, head_only);
}

static void error_response(struct making *m, unsigned int status)
{
	response_error(m->r, m->clock, status, m->head_only);
}

static unsigned int status_of(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -ELOOP:
	case -ENAMETOOLONG:
		return 404;
	case -EACCES:
	case -EPERM:
	case -EXDEV:	/* openat2(): the path leads out of the root */
		return 403;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -EAGAIN:
		return 503;
	}
	return 500;
}

static const char *field(const struct making *m, enum request_field which, size_t *len)
{
	if (!m->req->seen[which])
		return NULL;
	*len = m->req->fields[which].len;
	return m->buf + m->req->fields[which].off;
}

static bool field_date(const struct making *m, enum request_field which, time_t *when)
{
	size_t len;
	const char *s = field(m, which, &len);

	return s && date_parse(s, len, m->clock->now, when);
}

/* RFC 9110 section 13.2.2: the status that the conditions ask for, or 0. */
static unsigned int precondition(const struct making *m, const struct file *file)
{
	time_t mtime = file->st.st_mtim.tv_sec;
	const char *s;
	time_t when;
	size_t len;

	s = field(m, FIELD_IF_MATCH, &len);
	if (s) {
		if (!etag_listed(s, len, file->etag, true))
			return 412;
	} else if (field_date(m, FIELD_IF_UNMODIFIED_SINCE, &when) && mtime > when) {
		return 412;
	}

	s = field(m, FIELD_IF_NONE_MATCH, &len);
	if (s)
		return etag_listed(s, len, file->etag, false) ? 304 : 0;
	if (field_date(m, FIELD_IF_MODIFIED_SINCE, &when) && mtime <= when)
		return 304;
	return 0;
}

/* Without If-Range, or if it names the file as it is. */
static bool range_applies(const struct making *m, const struct file *file)
{
	size_t len;
	const char *s = field(m, FIELD_IF_RANGE, &len);
	time_t when;

	if (m->req->parser.method != HTTP_GET || m->req->seen[FIELD_RANGE] != 1)
		return false;
	if (!s)
		return true;
	if (len && (*s == '"' || *s == 'W'))
		return len == strlen(file->etag) && !memcmp(s, file->etag, len);
	return field_date(m, FIELD_IF_RANGE, &when) && when == file->st.st_mtim.tv_sec;
}

static void add_validators(struct response *r, const struct file *file)
{
	text_add_string(&r->text, file->validators);
}

static void whole_file(struct making *m, struct file *file)
{
	struct response *r = m->r;

	head_begin(r, m->clock, 200);
	text_add_string(&r->text, file->whole);
	head_end(r);
	add_part(r, 0, m->head_only ? 0 : (uint64_t)file->st.st_size);
}

static void one_range(struct making *m, struct file *file, const struct byte_range *range)
{
	struct response *r = m->r;

	head_begin(r, m->clock, 206);
	add_validators(r, file);
	text_printf(&r->text, "Content-Type: %s\r\nContent-Length: %ju\r\n"
		    "Content-Range: bytes %ju-%ju/%ju\r\n", file->type, (uintmax_t)range->len,
		    (uintmax_t)range->off, (uintmax_t)(range->off + range->len - 1),
		    (uintmax_t)file->st.st_size);
	head_end(r);
	add_part(r, range->off, range->len);
}

static void add_part_head(struct text *t, const struct file *file, const char *boundary,
			  const struct byte_range *range)
{
	text_printf(t, "\r\n--%s\r\nContent-Type: %s\r\nContent-Range: bytes %ju-%ju/%ju\r\n\r\n",
		    boundary, file->type, (uintmax_t)range->off,
		    (uintmax_t)(range->off + range->len - 1), (uintmax_t)file->st.st_size);
}

static void many_ranges(struct making *m, struct file *file, const struct byte_range *ranges,
			int nr)
{
	struct response *r = m->r;
	struct text measure = { 0 };
	uint64_t total = 0, random = 0;
	char boundary[BOUNDARY_SIZE];

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint64_t)m->clock->now;
	snprintf(boundary, sizeof(boundary), "%016jx", (uintmax_t)random);
	for (int i = 0; i < nr; i++) {
		add_part_head(&measure, file, boundary, &ranges[i]);
		total += ranges[i].len;
	}
	text_printf(&measure, "\r\n--%s--\r\n", boundary);
	total += measure.len;
	r->text.failed |= measure.failed;
	text_free(&measure);

	head_begin(r, m->clock, 206);
	add_validators(r, file);
	text_printf(&r->text, "Content-Type: multipart/byteranges; boundary=%s\r\n"
		    "Content-Length: %ju\r\n", boundary, (uintmax_t)total);
	head_end(r);
	for (int i = 0; i < nr; i++) {
		add_part_head(&r->text, file, boundary, &ranges[i]);
		add_part(r, ranges[i].off, ranges[i].len);
	}
	text_printf(&r->text, "\r\n--%s--\r\n", boundary);
	add_part(r, 0, 0);
}

static void file_response(struct making *m, struct file *file)
{
	struct byte_range ranges[RANGES_MAX];
	struct response *r = m->r;
	unsigned int status = precondition(m, file);
	size_t len = 0;
	const char *s;
	int nr = 0;

	if (status == 304) {
		head_begin(r, m->clock, 304);
		add_validators(r, file);
		head_end(r);
		add_part(r, 0, 0);
		return;
	}
	if (status) {
		error_response(m, status);
		return;
	}
	if (range_applies(m, file)) {
		s = field(m, FIELD_RANGE, &len);
		nr = range_parse(s, len, (uint64_t)file->st.st_size, ranges);
	}
	if (nr < 0) {
		head_begin(r, m->clock, 416);
		text_printf(&r->text, "Content-Range: bytes */%ju\r\n",
			    (uintmax_t)file->st.st_size);
		status_page(r, m->head_only);
	} else if (nr == 0) {
		whole_file(m, file);
	} else if (nr == 1) {
		one_range(m, file, &ranges[0]);
	} else {
		many_ranges(m, file, ranges, nr);
	}
}

static void listing_response(struct making *m)
{
	struct text page = { 0 };
	int error = listing_make(&page, m->files->root, m->path);

	if (error) {
		error_response(m, status_of(error));
	} else {
		head_begin(m->r, m->clock, 200);
		text_printf(&m->r->text, "Cache-Control: no-cache\r\n");
		text_response(m->r, "text/html; charset=utf-8", page.s, page.len, m->head_only);
	}
	text_free(&page);
}

/*
 * The path is written anew from its decoded form: a target such as "//host/.."
 * or one with a line break in it must not become a location of its own.
 */
static void redirect_response(struct making *m)
{
	head_begin(m->r, m->clock, 301);
	text_printf(&m->r->text, "Location: /");
	text_add_url(&m->r->text, m->path);
	text_printf(&m->r->text, "/");
	text_add(&m->r->text, m->buf + m->query.off, m->query.len);
	text_printf(&m->r->text, "\r\n");
	status_page(m->r, m->head_only);
}

/* Returns 0 or the status to answer with. */
static unsigned int read_target(struct making *m)
{
	const struct request_span *target = &m->req->target;
	const char *raw = m->buf + target->off, *path;
	struct http_parser_url url;
	int error;

	http_parser_url_init(&url);
	if (http_parser_parse_url(raw, target->len, 0, &url))
		return 400;
	if (url.field_set & (1 << UF_QUERY)) {
		m->query.off = target->off + url.field_data[UF_QUERY].off - 1;
		m->query.len = url.field_data[UF_QUERY].len + 1;
	}
	if (url.field_set & (1 << UF_PATH)) {
		path = raw + url.field_data[UF_PATH].off;
		error = target_decode(path, url.field_data[UF_PATH].len, m->path,
				      sizeof(m->path) - sizeof("index.html"));
	} else {
		error = target_decode("/", 1, m->path, sizeof(m->path));
	}
	return error == -ENAMETOOLONG ? 414 : error ? 400 : 0;
}

static void path_response(struct making *m)
{
	size_t len = strlen(m->path);
	bool is_dir = !len || m->path[len - 1] == '/';
	int error;

	if (is_dir)
		strcpy(m->path + len, "index.html");
	error = files_get(m->files, m->path, m->clock->now, &m->r->file);
	m->path[len] = 0;
	if (!error)
		file_response(m, m->r->file);
	else if (is_dir && (error == -ENOENT || error == -EISDIR))
		listing_response(m);
	else if (!is_dir && error == -EISDIR)
		redirect_response(m);
	else
		error_response(m, status_of(error));
}

void response_make(struct response *r, struct files *files, const struct response_clock *clock,
		   const struct request *req, const char *buf, bool close)
{
	struct making m;
	unsigned int status;

	/* all but the path, which is large */
	m.r = r;
	m.files = files;
	m.clock = clock;
	m.req = req;
	m.buf = buf;
	m.head_only = req->parser.method == HTTP_HEAD;
	m.query = (struct request_span){ 0 };

	status = read_target(&m);
	r->close = close || !req->keep_alive;
	if (status)
		error_response(&m, status);
	else
		path_response(&m);
}

void response_reset(struct response *r, struct files *files)
{
	if (r->file)
		files_put(files, r->file);
	r->file = NULL;
	r->nr_parts = 0;
	r->close = false;
	text_reset(&r->text);
}

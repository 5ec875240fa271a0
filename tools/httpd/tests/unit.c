// SPDX-License-Identifier: MIT
/* The parts of the server that need no ring, under ASan and UBSan. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "date.h"
#include "etag.h"
#include "mime.h"
#include "range.h"
#include "request.h"
#include "target.h"
#include "text.h"

static int nr, failed;

static void check(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void check(bool ok, const char *format, ...)
{
	va_list args;

	printf("%sok %d - ", ok ? "" : "not ", ++nr);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	failed += !ok;
}

/* A copy without a NUL after it, so that reading too far is seen. */
static char *exact(const char *s, size_t len)
{
	char *copy = malloc(len ? len : 1);

	memcpy(copy, s, len);
	return copy;
}

static void test_ranges(void)
{
	static const struct {
		const char	*header;
		uint64_t	size;
		int		nr;
		struct byte_range r[2];
	} cases[] = {
		{ "bytes=0-0", 10, 1, { { 0, 1 } } },
		{ "bytes=0-", 10, 1, { { 0, 10 } } },
		{ "bytes=3-5", 10, 1, { { 3, 3 } } },
		{ "bytes=3-99", 10, 1, { { 3, 7 } } },
		{ "bytes=-3", 10, 1, { { 7, 3 } } },
		{ "bytes=-99", 10, 1, { { 0, 10 } } },
		{ "bytes=0-1,4-5", 10, 2, { { 0, 2 }, { 4, 2 } } },
		{ "bytes= 0-1 ,\t4-5", 10, 2, { { 0, 2 }, { 4, 2 } } },
		{ "bytes=,0-1,,", 10, 1, { { 0, 2 } } },
		{ "BYTES=0-1", 10, 1, { { 0, 2 } } },
		{ "bytes=0-1,20-30", 10, 1, { { 0, 2 } } },
		{ "bytes=9-9", 10, 1, { { 9, 1 } } },
		{ "bytes=0-18446744073709551615", 10, 1, { { 0, 10 } } },
		{ "bytes=0-99999999999999999999999", 10, 1, { { 0, 10 } } },
		{ "bytes=99999999999999999999999-", 10, -ERANGE, { { 0 } } },
		{ "bytes=10-", 10, -ERANGE, { { 0 } } },
		{ "bytes=-0", 10, -ERANGE, { { 0 } } },
		{ "bytes=0-", 0, -ERANGE, { { 0 } } },
		{ "bytes=-5", 0, -ERANGE, { { 0 } } },
		{ "bytes=5-3", 10, 0, { { 0 } } },
		{ "bytes=", 10, 0, { { 0 } } },
		{ "bytes=,", 10, 0, { { 0 } } },
		{ "bytes=-", 10, 0, { { 0 } } },
		{ "bytes=a-b", 10, 0, { { 0 } } },
		{ "bytes=1-2x", 10, 0, { { 0 } } },
		{ "bytes=1 2", 10, 0, { { 0 } } },
		{ "bytes 1-2", 10, 0, { { 0 } } },
		{ "lines=1-2", 10, 0, { { 0 } } },
		{ "", 10, 0, { { 0 } } },
		{ "bytes=0-9,0-9", 10, 0, { { 0 } } },
		{ "bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,"
		  "14-14,15-15,16-16", 100, 0, { { 0 } } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct byte_range r[RANGES_MAX] = { 0 };
		size_t len = strlen(cases[i].header);
		char *s = exact(cases[i].header, len);
		int n = range_parse(s, len, cases[i].size, r);
		bool ok = n == cases[i].nr;

		for (int j = 0; ok && j < n; j++)
			ok = r[j].off == cases[i].r[j].off && r[j].len == cases[i].r[j].len;
		check(ok, "range \"%s\" of %ju bytes gives %d (expected %d)", cases[i].header,
		      (uintmax_t)cases[i].size, n, cases[i].nr);
		free(s);
	}
}

static void test_dates(void)
{
	static const struct {
		const char	*text;
		bool		ok;
		time_t		when;
	} cases[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", true, 784111777 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", true, 784111777 },
		{ "Sun Nov  6 08:49:37 1994", true, 784111777 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", true, 0 },
		{ "Wednesday, 01-Jan-20 00:00:00 GMT", true, 1577836800 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT x", false, 0 },
		{ "Sun, 06 Nov 1994 08:49:37", false, 0 },
		{ "Sun, 06 Nop 1994 08:49:37 GMT", false, 0 },
		{ "Sun, 32 Nov 1994 08:49:37 GMT", false, 0 },
		{ "Sun, 06 Nov 1994 24:49:37 GMT", false, 0 },
		{ "", false, 0 },
		{ "yesterday", false, 0 },
		{ "Sunnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn", false, 0 },
	};
	char text[DATE_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].text);
		char *s = exact(cases[i].text, len);
		time_t when = 0;
		bool ok = date_parse(s, len, 1800000000, &when);

		check(ok == cases[i].ok && (!ok || when == cases[i].when),
		      "date \"%s\" is read as %jd", cases[i].text, (intmax_t)when);
		free(s);
	}
	date_format(784111777, text);
	check(!strcmp(text, "Sun, 06 Nov 1994 08:49:37 GMT"), "a date is written as %s", text);
	date_format((time_t)1 << 60, text);
	check(strlen(text) == DATE_SIZE - 1, "an absurd date still has the format: %s", text);
}

static void test_targets(void)
{
	static const struct {
		const char	*raw;
		size_t		len;
		int		error;
		const char	*path;
	} cases[] = {
#define T(raw, error, path) { raw, sizeof(raw) - 1, error, path }
		T("/", 0, ""),
		T("/a/b.txt", 0, "a/b.txt"),
		T("//a///b/", 0, "a/b/"),
		T("/a%20b%2fc", 0, "a b/c"),
		T("/%2F%2Fetc", 0, "etc"),
		T("/%41%6a", 0, "Aj"),
		T("/../x", 0, "../x"),
		T("/%2e%2e/x", 0, "../x"),
		T("/%", -EINVAL, ""),
		T("/%4", -EINVAL, ""),
		T("/%zz", -EINVAL, ""),
		T("/a%00b", -EINVAL, ""),
		T("/a\0b", -EINVAL, ""),
		T("", -EINVAL, ""),
		T("a", -EINVAL, ""),
		T("/12345678901234567", -ENAMETOOLONG, ""),
		T("/1234567890123456", -ENAMETOOLONG, ""),
		T("/123456789012345", 0, "123456789012345"),
#undef T
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[16];
		char *s = exact(cases[i].raw, cases[i].len);
		int error = target_decode(s, cases[i].len, path, sizeof(path));

		check(error == cases[i].error && (error || !strcmp(path, cases[i].path)),
		      "target \"%s\" gives %d \"%s\"", cases[i].raw, error, error ? "" : path);
		free(s);
	}
}

static void test_etags(void)
{
	static const struct {
		const char	*list;
		bool		strong, found;
	} cases[] = {
		{ "\"1-2-3\"", true, true },
		{ "W/\"1-2-3\"", false, true },
		{ "W/\"1-2-3\"", true, false },
		{ "\"x\", \"1-2-3\"", true, true },
		{ "\"x\",W/\"y\" , \"1-2-3\"  ", true, true },
		{ "*", true, true },
		{ " * ", true, true },
		{ "\"1-2-\"", false, false },
		{ "1-2-3", false, false },
		{ "\"1-2-3", false, false },
		{ "\"*\"", false, false },
		{ "W/", false, false },
		{ "", false, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].list);
		char *s = exact(cases[i].list, len);
		bool found = etag_listed(s, len, "\"1-2-3\"", cases[i].strong);

		check(found == cases[i].found, "etag is %sin the list %s", found ? "" : "not ",
		      cases[i].list);
		free(s);
	}
}

static void test_text(void)
{
	struct text t = { 0 };

	text_add_html(&t, "<a href=\"x\">&'");
	text_add(&t, "", 1);
	check(!strcmp(t.s, "&lt;a href=&quot;x&quot;&gt;&amp;&#39;"), "HTML is escaped: %s", t.s);
	text_reset(&t);
	text_add_url(&t, "a b/?#%\xc3\xa4:\n~");
	text_add(&t, "", 1);
	check(!strcmp(t.s, "a%20b/%3F%23%25%C3%A4%3A%0A~"), "URLs are escaped: %s", t.s);
	text_reset(&t);
	text_add_log(&t, "GET \"\\\x1b\n\0x", 9);
	text_add(&t, "", 1);
	check(!strcmp(t.s, "GET \\x22\\x5C\\x1B\\x0A\\x00"), "log lines are escaped: %s", t.s);
	text_reset(&t);
	for (int i = 0; i < 2000; i++)
		text_printf(&t, "%04d", i);
	check(t.len == 8000 && !memcmp(t.s + 7996, "1999", 4), "text grows to %zu bytes", t.len);
	text_free(&t);
	check(!strcmp(mime_type("a/B.HTML"), "text/html; charset=utf-8") &&
	      !strcmp(mime_type("x.zst"), "application/zstd") &&
	      !strcmp(mime_type("x.7z"), "application/x-7z-compressed") &&
	      !strcmp(mime_type(".html"), "application/octet-stream") &&
	      !strcmp(mime_type("a.html/b"), "application/octet-stream"),
	      "types follow the extension");
}

/* Parses the request as it would arrive in pieces of the given size. */
static int parse(const char *text, size_t len, size_t piece, struct request *req, char **bufp,
		 size_t *left)
{
	size_t used = 0, have = 0, taken = 0;
	char *buf = NULL;
	int status = 0;

	request_init(req);
	while (!status && taken < len) {
		size_t n = len - taken < piece ? len - taken : piece;
		char *more = malloc(have + n);	/* moves each time, as a buffer may */

		if (have)
			memcpy(more, buf, have);
		memcpy(more + have, text + taken, n);
		free(buf);
		buf = more;
		have += n;
		taken += n;
		status = request_parse(req, buf, &used, &have);
	}
	*bufp = buf;
	*left = have - used + len - taken;
	return status;
}

static void test_requests(void)
{
	static char many[16000], long_target[9000], fat[20000], body[70000];
	struct {
		const char	*name, *text;
		size_t		len;
		int		status;
		size_t		left;
	} cases[] = {
#define R(name, text, status, left) { name, text, sizeof(text) - 1, status, left }
		R("a plain request", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 1, 0),
		R("line feeds alone", "GET /x HTTP/1.1\nHost: a\n\n", 1, 0),
		R("empty lines before", "\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", 1, 0),
		R("HTTP/1.0 without Host", "HEAD /x HTTP/1.0\r\n\r\n", 1, 0),
		R("the next request stays", "GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y", 1, 6),
		R("a body is dropped",
		  "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET", 1, 3),
		R("a chunked body is dropped",
		  "GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		  "3\r\nabc\r\n0\r\nHost: b\r\n\r\nGET /", 1, 5),
		R("an offer to upgrade",
		  "GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 1, 0),
		R("half a request", "GET /x HTTP/1.1\r\nHost: a\r\n", 0, 0),
		R("no Host", "GET /x HTTP/1.1\r\n\r\n", -400, 0),
		R("a field without a value, then Host", "GET /x HTTP/1.1\r\nA:\r\nHost: a\r\n\r\n",
		  1, 0),
		R("two Hosts, one behind a field without a value",
		  "GET /x HTTP/1.1\r\nHost: a\r\nA: \r\nHost: b\r\n\r\n", -400, 0),
		R("two Hosts", "GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", -400, 0),
		R("length and chunks", "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n", -400, 0),
		R("two lengths", "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
		  "Content-Length: 4\r\n\r\n", -400, 0),
		R("a wrong length", "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", -400, 0),
		R("a space before the colon", "GET /x HTTP/1.1\r\nHost : a\r\n\r\n", -400, 0),
		R("TLS", "\x16\x03\x01\x02", -400, 0),
		R("POST", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", -405, 0),
		R("CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", -405, 0),
		R("an unknown method", "BREW /x HTTP/1.1\r\nHost: a\r\n\r\n", -501, 0),
		R("HTTP/2", "GET /x HTTP/2.0\r\nHost: a\r\n\r\n", -505, 0),
		R("HTTP/0.9", "GET /x\r\n", -505, 0),
		R("a huge body", "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n", -413, 0),
#undef R
		{ "a long target", long_target, sizeof(long_target), -414, 0 },
		{ "many fields", many, 0, -431, 0 },
		{ "a fat field", fat, sizeof(fat), -431, 0 },
		{ "a long chunked body", body, sizeof(body), -413, 0 },
	};
	static const size_t pieces[] = { 1, 7, 4096, 100000 };
	size_t n = sizeof(cases) / sizeof(cases[0]);

	memset(long_target, 'a', sizeof(long_target));
	memcpy(long_target, "GET /", 5);
	memset(fat, 'a', sizeof(fat));
	memcpy(fat, "GET / HTTP/1.1\r\nX: ", 19);
	strcpy(many, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < 120; i++)
		strcat(many, "X: y\r\n");
	strcat(many, "\r\n");
	cases[n - 3].len = strlen(many);
	n = (size_t)sprintf(body, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	while (n + 6 <= sizeof(body)) {
		memcpy(body + n, "1\r\nx\r\n", 6);
		n += 6;
	}
	cases[sizeof(cases) / sizeof(cases[0]) - 1].len = n;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t j = 0; j < sizeof(pieces) / sizeof(pieces[0]); j++) {
			struct request req;
			size_t left;
			char *buf;
			int status = parse(cases[i].text, cases[i].len, pieces[j], &req, &buf, &left);
			bool ok = status == cases[i].status;

			if (ok && status == 1)
				ok = left == cases[i].left && req.target.len == 2 &&
				     !memcmp(buf + req.target.off, "/x", 2) &&
				     (!req.seen[FIELD_HOST] ||
				      (req.fields[FIELD_HOST].len == 1 &&
				       buf[req.fields[FIELD_HOST].off] == 'a'));
			check(ok, "%s, in pieces of %zu: %d (expected %d), %zu bytes left",
			      cases[i].name, pieces[j], status, cases[i].status, left);
			free(buf);
		}
	}
}

int main(void)
{
	test_ranges();
	test_dates();
	test_targets();
	test_etags();
	test_text();
	test_requests();
	printf("1..%d\n", nr);
	return failed ? 1 : 0;
}

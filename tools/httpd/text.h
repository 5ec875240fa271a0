/* SPDX-License-Identifier: MIT */
/* Growing text, and the escapes that HTTP, HTML and log lines need. */
#ifndef HTTPD_TEXT_H
#define HTTPD_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char	*s;
	size_t	len;
	size_t	cap;
	bool	failed;		/* no memory: what follows was dropped */
};

void text_add(struct text *t, const char *s, size_t n);
void text_add_string(struct text *t, const char *s);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_html(struct text *t, const char *s);
void text_add_url(struct text *t, const char *s);
void text_add_log(struct text *t, const char *s, size_t n);
void text_reset(struct text *t);
void text_free(struct text *t);

#endif

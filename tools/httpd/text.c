// SPDX-License-Identifier: MIT
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool text_reserve(struct text *t, size_t n)
{
	size_t cap = t->cap ? t->cap : 512;
	char *s;

	if (t->failed)
		return false;
	while (cap - t->len < n)
		cap *= 2;
	if (cap == t->cap)
		return true;
	s = realloc(t->s, cap);
	if (!s) {
		t->failed = true;
		return false;
	}
	t->s = s;
	t->cap = cap;
	return true;
}

void text_add(struct text *t, const char *s, size_t n)
{
	if (!n || !text_reserve(t, n))
		return;
	memcpy(t->s + t->len, s, n);
	t->len += n;
}

void text_add_string(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list args;
	size_t room;
	int n;

	if (t->failed)
		return;
	room = t->cap - t->len;
	va_start(args, format);
	n = vsnprintf(room ? t->s + t->len : NULL, room, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= room) {
		if (!text_reserve(t, (size_t)n + 1))
			return;
		va_start(args, format);
		vsnprintf(t->s + t->len, (size_t)n + 1, format, args);
		va_end(args);
	}
	t->len += (size_t)n;
}

void text_add_html(struct text *t, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&':
			text_add(t, "&amp;", 5);
			break;
		case '<':
			text_add(t, "&lt;", 4);
			break;
		case '>':
			text_add(t, "&gt;", 4);
			break;
		case '"':
			text_add(t, "&quot;", 6);
			break;
		case '\'':
			text_add(t, "&#39;", 5);
			break;
		default:
			text_add(t, s, 1);
		}
	}
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* A path: slashes stay, and so does nothing else that has a meaning in a URL. */
void text_add_url(struct text *t, const char *s)
{
	for (; *s; s++) {
		if (is_alnum(*s) || strchr("-._~/", *s))
			text_add(t, s, 1);
		else
			text_printf(t, "%%%02X", (unsigned char)*s);
	}
}

/* What a client sent must not end a line, a quote or a terminal's patience. */
void text_add_log(struct text *t, const char *s, size_t n)
{
	for (; n; n--, s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			text_printf(t, "\\x%02X", c);
		else
			text_add(t, s, 1);
	}
}

void text_reset(struct text *t)
{
	t->len = 0;
	t->failed = false;
}

void text_free(struct text *t)
{
	free(t->s);
	*t = (struct text){ 0 };
}

// SPDX-License-Identifier: MIT
#include "range.h"

#include <errno.h>
#include <stdbool.h>
#include <strings.h>

struct cursor {
	const char *s;
	const char *end;
};

static bool at(const struct cursor *c, char want)
{
	return c->s < c->end && *c->s == want;
}

static void skip_space(struct cursor *c)
{
	while (at(c, ' ') || at(c, '\t'))
		c->s++;
}

/* Digits beyond 64 bits saturate: such a position is past any file's end. */
static bool number(struct cursor *c, uint64_t *value)
{
	const char *start = c->s;
	uint64_t v = 0;

	for (; c->s < c->end && *c->s >= '0' && *c->s <= '9'; c->s++) {
		unsigned int digit = (unsigned int)(*c->s - '0');

		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
			v = UINT64_MAX;
	}
	*value = v;
	return c->s > start;
}

/* One range: false if malformed; len 0 if it lies outside of the file. */
static bool one_range(struct cursor *c, uint64_t size, struct byte_range *r)
{
	uint64_t first, last;

	if (at(c, '-')) {
		c->s++;
		if (!number(c, &last))
			return false;
		r->len = last < size ? last : size;
		r->off = size - r->len;
		return true;
	}
	if (!number(c, &first) || !at(c, '-'))
		return false;
	c->s++;
	if (number(c, &last)) {
		if (last < first)
			return false;
	} else {
		last = UINT64_MAX;
	}
	r->off = first;
	r->len = 0;
	if (first < size)
		r->len = (last < size - 1 ? last : size - 1) - first + 1;
	return true;
}

int range_parse(const char *s, size_t len, uint64_t size, struct byte_range ranges[RANGES_MAX])
{
	struct cursor c = { s, s + len };
	uint64_t total = 0;
	int seen = 0, nr = 0;

	if (len < 6 || strncasecmp(s, "bytes=", 6))
		return 0;
	c.s += 6;
	for (;;) {
		struct byte_range r;

		skip_space(&c);
		if (at(&c, ',')) {
			c.s++;
			continue;
		}
		if (c.s == c.end)
			break;
		if (!one_range(&c, size, &r) || ++seen > RANGES_MAX)
			return 0;
		skip_space(&c);
		if (c.s < c.end && *c.s != ',')
			return 0;
		if (r.len) {
			ranges[nr++] = r;
			total += r.len;
		}
	}
	if (!seen)
		return 0;
	if (!nr)
		return -ERANGE;
	return nr > 1 && total > size ? 0 : nr;
}

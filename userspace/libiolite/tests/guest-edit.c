// SPDX-License-Identifier: MIT
/*
 * Edits, checked against plain arrays of bytes under random operations, and
 * each by itself.
 */
#include "guest.h"

#define NR	6
#define MAX	200000

static struct iolite *io;

struct pair {
	struct iol_agg	*agg;
	size_t		len, cursor;
	unsigned char	bytes[MAX];
};

static struct pair pairs[NR];

static void renew(struct pair *p)
{
	unsigned char *data;
	int fd;

	p->len = any(5000);
	p->cursor = 0;
	data = any_bytes(p->len);
	memcpy(p->bytes, data, p->len);
	if (any(2)) {
		must(!iol_from_memory(io, &p->agg, data, p->len));
	} else {
		fd = file_of(data, p->len);
		must(iol_read(io, &p->agg, fd, p->len, 0) == (ssize_t)p->len);
		close(fd);
	}
	free(data);
}

static void clamp(struct pair *p)
{
	if (p->cursor > p->len)
		p->cursor = p->len;
}

static bool replace(struct pair *p, size_t off, size_t len, struct pair *with)
{
	static unsigned char copy[MAX];
	size_t with_len = with->len;

	if (p->len + with_len - len > MAX) {
		renew(p);
		return true;
	}
	if (iol_replace(p->agg, off, len, with->agg))
		return false;
	memcpy(copy, with->bytes, with_len);
	memmove(p->bytes + off + with_len, p->bytes + off + len, p->len - off - len);
	memcpy(p->bytes + off, copy, with_len);
	p->len += with_len - len;
	clamp(p);
	return true;
}

static bool join(struct pair *p, struct pair *other, bool front)
{
	static unsigned char copy[MAX];
	size_t other_len = other->len, len = p->len + other_len;

	if (len > MAX) {
		renew(p);
		return true;
	}
	if ((front ? iol_prepend : iol_concat)(p->agg, other->agg) != (ssize_t)len)
		return false;
	memcpy(copy, other->bytes, other_len);
	if (front) {
		memmove(p->bytes + other_len, p->bytes, p->len);
		memcpy(p->bytes, copy, other_len);
	} else {
		memcpy(p->bytes + p->len, copy, other_len);
	}
	p->len = len;
	return true;
}

static bool split(struct pair *p, struct pair *tail)
{
	size_t at = any((uint32_t)p->len + 1);

	if (p == tail)
		return iol_split(p->agg, at, &tail->agg) == -EINVAL;
	if (iol_split(p->agg, at, &tail->agg))
		return false;
	tail->len = p->len - at;
	tail->cursor = 0;
	memcpy(tail->bytes, p->bytes + at, tail->len);
	p->len = at;
	clamp(p);
	return true;
}

static bool dup_pair(struct pair *p, struct pair *copy)
{
	if (p == copy)
		return iol_dup(p->agg, &copy->agg) == -EINVAL;
	if (iol_dup(p->agg, &copy->agg))
		return false;
	copy->len = p->len;
	copy->cursor = p->cursor;
	memcpy(copy->bytes, p->bytes, p->len);
	return true;
}

static bool step(void)
{
	struct pair *p = &pairs[any(NR)], *q = &pairs[any(NR)];
	size_t off = any((uint32_t)p->len + 1);

	switch (any(9)) {
	case 0:
		renew(p);
		return true;
	case 1:
		return join(p, q, false);
	case 2:
		return join(p, q, true);
	case 3:
		return split(p, q);
	case 4:
		return dup_pair(p, q);
	case 5:
		if (any(4))
			return true;
		if (iol_truncate(p->agg, off))
			return false;
		p->len = off;
		clamp(p);
		return true;
	case 6:
	case 7:
		return replace(p, off, any((uint32_t)(p->len - off) + 1), q);
	}
	p->cursor = off;
	return iol_seek(p->agg, (int64_t)off, SEEK_SET) == (ssize_t)off;
}

static bool as_the_model(struct pair *p)
{
	return iol_length(p->agg) == (ssize_t)p->len &&
	       iol_tell(p->agg) == (ssize_t)p->cursor && holds(p->agg, p->bytes, p->len);
}

static void random_operations(void)
{
	int i, j, bad = 0;

	for (i = 0; i < NR; i++)
		renew(&pairs[i]);
	for (i = 0; i < 3000 && !bad; i++) {
		if (!step()) {
			printf("# step %d failed\n", i);
			bad++;
		}
		for (j = 0; j < NR && i % 20 == 0; j++)
			bad += !as_the_model(&pairs[j]);
	}
	for (j = 0; j < NR; j++)
		bad += !as_the_model(&pairs[j]);
	is(bad, 0, "3000 random operations do what they do to arrays of bytes");
	for (j = 0; j < NR; j++)
		iol_free(pairs[j].agg);
}

static struct iol_agg *from(const char *text)
{
	struct iol_agg *agg = NULL;

	must(!iol_from_memory(io, &agg, text, strlen(text)));
	return agg;
}

static void seeking(void)
{
	struct iol_agg *agg = from("0123456789"), *tail = NULL;

	is(iol_tell(agg), 0, "a new aggregate's cursor");
	is(iol_seek(agg, 4, SEEK_SET), 4, "SEEK_SET");
	is(iol_seek(agg, 3, SEEK_CUR), 7, "SEEK_CUR");
	is(iol_seek(agg, -5, SEEK_CUR), 2, "SEEK_CUR, back");
	is(iol_seek(agg, -1, SEEK_END), 9, "SEEK_END");
	is(iol_seek(agg, 1, SEEK_END), -EINVAL, "beyond the end");
	is(iol_seek(agg, -1, SEEK_SET), -EINVAL, "before the beginning");
	is(iol_seek(agg, INT64_MAX, SEEK_CUR), -EINVAL, "far beyond");
	is(iol_seek(agg, INT64_MIN, SEEK_CUR), -EINVAL, "far before");
	is(iol_seek(agg, 0, 3), -EINVAL, "from where");
	is(iol_tell(agg), 9, "failures leave the cursor");
	is(iol_split(agg, 5, &tail), 0, "split");
	is(iol_tell(agg), 5, "a cursor beyond the end is moved to it");
	is(iol_tell(tail), 0, "a tail's cursor");
	iol_free(agg);
	iol_free(tail);
}

static void outside(void)
{
	struct iol_agg *agg = from("0123456789"), *with = from("abc"), *tail = NULL;

	is(iol_truncate(agg, 11), -EINVAL, "truncate does not extend");
	is(iol_split(agg, 11, &tail), -EINVAL, "split beyond the end");
	ok(!tail, "no tail");
	is(iol_replace(agg, 11, 0, with), -EINVAL, "replace beyond the end");
	is(iol_replace(agg, 5, 6, with), -EINVAL, "replace over the end");
	is(iol_replace(agg, 5, UINT64_MAX, with), -EINVAL, "replace far over the end");
	ok(holds(agg, "0123456789", 10), "failures change nothing");
	is(iol_replace(agg, 10, 0, with), 0, "insert at the end");
	is(iol_replace(agg, 2, 6, with), 0, "replace in the middle");
	ok(holds(agg, "01abc89abc", 10), "the result");
	is(iol_concat(agg, agg), 20, "with itself");
	ok(holds(agg, "01abc89abc01abc89abc", 20), "twice");
	iol_free(agg);
	iol_free(with);
}

static void limits(void)
{
	struct iol_agg *agg = from("0123456789abcdef");
	ssize_t n, len = 16;

	do {
		n = iol_concat(agg, agg);
		if (n > 0)
			len = n;
	} while (n > 0);
	is(n, -E2BIG, "doubled until it is too big");
	is(iol_length(agg), len, "the last good length stays");
	ok((uint64_t)len <= iol_info()->max_bytes, "within the limit");
	is(iol_truncate(agg, 16), 0, "cut");
	ok(holds(agg, "0123456789abcdef", 16), "it is good again");
	iol_free(agg);
}

int main(void)
{
	must(!iol_open(&io, 0));
	random_operations();
	seeking();
	outside();
	limits();
	iol_close(io);
	return done();
}

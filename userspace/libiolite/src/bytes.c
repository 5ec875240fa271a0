/* SPDX-License-Identifier: MIT */
/* Helpers that look at the bytes. */
#include <string.h>
#include "lib.h"

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

ssize_t iol_to_memory(struct iol_agg *agg, void *buf, size_t len, uint64_t off)
{
	struct iol_slices it;
	struct iol_slice slice;
	size_t done = 0, n;
	int ret;

	iol_slices_begin(&it, agg, off);
	while (done < len) {
		ret = iol_slices_next(&it, &slice);
		if (ret < 0)
			return ret;
		if (!ret)
			break;
		n = min_size(slice.len, len - done);
		memcpy((char *)buf + done, slice.data, n);
		done += n;
	}
	return (ssize_t)done;
}

/* Goes to the next slice when this one is used up; as iol_slices_next(). */
static int refill(struct iol_slices *it, struct iol_slice *slice)
{
	return slice->len ? 1 : iol_slices_next(it, slice);
}

static void skip(struct iol_slice *slice, size_t n)
{
	slice->data = (const char *)slice->data + n;
	slice->len -= n;
}

static size_t equal_bytes(const unsigned char *a, const unsigned char *b, size_t len)
{
	size_t i = 0;

	if (!memcmp(a, b, len))
		return len;
	while (a[i] == b[i])
		i++;
	return i;
}

int iol_compare(struct iol_agg *a, struct iol_agg *b, uint64_t *where)
{
	struct iol_slices it_a, it_b;
	struct iol_slice sa = { .len = 0 }, sb = { .len = 0 };
	uint64_t pos = 0;
	size_t n, equal;
	int more_a, more_b;

	iol_slices_begin(&it_a, a, 0);
	iol_slices_begin(&it_b, b, 0);
	for (;;) {
		more_a = refill(&it_a, &sa);
		if (more_a < 0)
			return more_a;
		more_b = refill(&it_b, &sb);
		if (more_b < 0)
			return more_b;
		if (!more_a || !more_b)
			break;

		n = min_size(sa.len, sb.len);
		equal = equal_bytes(sa.data, sb.data, n);
		pos += equal;
		if (equal < n)
			break;
		skip(&sa, n);
		skip(&sb, n);
	}
	if (!more_a && !more_b)
		return 0;
	if (where)
		*where = pos;
	return 1;
}

/*
 * Sum of the bytes as big-endian 16-bit numbers, the first byte of which is
 * the high one if odd is false.  RFC 1071.
 */
static uint64_t sum_bytes(const unsigned char *p, size_t len, bool odd)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum += (i & 1) == odd ? (uint64_t)p[i] << 8 : p[i];
	return sum;
}

int iol_checksum(struct iol_agg *agg, uint64_t off, uint64_t len)
{
	struct iol_slices it;
	struct iol_slice slice;
	uint64_t done = 0, sum = 0;
	size_t n;
	int ret;

	iol_slices_begin(&it, agg, off);
	while (done < len) {
		ret = iol_slices_next(&it, &slice);
		if (ret < 0)
			return ret;
		if (!ret)
			break;
		n = slice.len < len - done ? slice.len : (size_t)(len - done);
		sum += sum_bytes(slice.data, n, done & 1);
		done += n;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (int)(~sum & 0xffff);
}

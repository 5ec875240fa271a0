// SPDX-License-Identifier: MIT
/* The synchronous calls, on a stand-in for the kernel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fake.h"
#include "tap.h"

static struct iolite *io;

static void begin(void)
{
	fake_reset();
	must(!iol_open(&io, FAKE_SLOTS));
}

static void end(const char *what)
{
	iol_close(io);
	is(fake.rings, 0, "%s: no ring is left", what);
	is(fake.maps, fake.unmaps, "%s: the window is left", what);
}

static struct iol_agg *from(const void *data, size_t len)
{
	struct iol_agg *agg = NULL;

	must(!iol_from_memory(io, &agg, data, len));
	return agg;
}

static void handles_are_made_and_reused(void)
{
	struct iol_agg *aggs[FAKE_SLOTS + 1] = { NULL }, *old;
	int i;

	begin();
	for (i = 0; i < FAKE_SLOTS; i++)
		must(!iol_from_memory(io, &aggs[i], "x", 1));
	is(iol_from_memory(io, &aggs[i], "x", 1), -ENFILE, "all slots are used");
	ok(!aggs[i], "no handle without an aggregate");

	old = aggs[3];
	is(iol_from_memory(io, &aggs[3], "xyz", 3), 0, "contents are replaced");
	ok(aggs[3] == old, "the handle stays");
	is(iol_length(aggs[3]), 3, "the contents are new");

	iol_free(aggs[3]);
	is(iol_length(old), -ENOENT, "a freed aggregate is gone");
	is(iol_dup(aggs[2], &aggs[i]), 0, "a freed handle can be had again");
	iol_free(NULL);
	end("handles");
}

static void failures_leave_handles(void)
{
	struct iol_agg *agg = NULL, *kept;
	int i;

	begin();
	for (i = 0; i < 2 * FAKE_SLOTS; i++) {
		fake.op_result = -EIO;
		if (iol_read(io, &agg, 0, 1, 0) != -EIO || agg)
			break;
	}
	is(i, 2 * FAKE_SLOTS, "a failed read makes no handle, and loses none");

	kept = agg = from("abc", 3);
	fake.op_result = -EIO;
	is(iol_read(io, &agg, 0, 1, 0), -EIO, "a failed read into an aggregate");
	ok(agg == kept, "keeps its handle");
	is(iol_length(agg), 3, "and its contents");
	is(iol_from_memory(io, &agg, "", FAKE_MAX_BYTES + 1UL), -E2BIG, "too long");
	is(iol_from_memory(io, &agg, "", 1UL << 32), -E2BIG, "longer than a request can say");
	is(iol_alloc(io, &agg, 1UL << 32, &(void *){ NULL }), -E2BIG, "and when writable");
	end("failures");
}

static void contexts_do_not_mix(void)
{
	struct iol_agg *a, *b = NULL;
	struct iolite *other;
	unsigned int before;

	begin();
	must(!iol_open(&other, FAKE_SLOTS));
	a = from("a", 1);
	must(!iol_from_memory(other, &b, "b", 1));
	before = fake.requests;
	is(iol_concat(a, b), -EXDEV, "concat");
	is(iol_prepend(a, b), -EXDEV, "prepend");
	is(iol_replace(a, 0, 1, b), -EXDEV, "replace");
	is(iol_dup(a, &b), -EXDEV, "dup");
	is(iol_split(a, 0, &b), -EXDEV, "split");
	is(iol_read(io, &b, 0, 1, 0), -EXDEV, "read");
	is(fake.requests, before, "the kernel is not asked");
	iol_close(other);
	end("contexts");
}

static void arguments_arrive(void)
{
	struct iol_agg *a, *b;

	begin();
	a = from("abcdef", 6);
	b = from("xyz", 3);

	fake.op_result = 9;
	is(iol_prepend(a, b), 9, "prepend returns the length");
	is(fake.last.msg_flags, IOLITE_EDIT_PREPEND, "prepend");
	is(iol_replace(a, 1, 2, b), 0, "replace");
	is(fake.last.off, 1, "replace: offset");
	is(fake.last.addr, 2, "replace: length");
	is(iol_truncate(a, 4), 0, "truncate");
	is(fake.last.off, 4, "truncate: length");
	fake.op_result = 5;
	is(iol_seek(a, -1, SEEK_END), 5, "seek");
	is((int64_t)fake.last.off, -1, "seek: offset");
	is(fake.last.addr, SEEK_END, "seek: whence");
	fake.op_result = 5;
	is(iol_tell(a), 5, "tell");
	is(iol_seal(a), 0, "seal");
	is(fake.last.opcode, FAKE_FIRST_OP + IOLITE_OP_SEAL, "seal: opcode");

	is(iol_send(a, 7, 0, MSG_MORE), 0, "send");
	is(fake.last.msg_flags, MSG_MORE, "send: flags");
	is(iol_write(a, 7, 1UL << 40, -1), 0, "write of more than fits");
	is(fake.last.len, 0x7ffff000, "is cut as write(2) cuts it");
	is((int64_t)fake.last.off, -1, "write: position");
	is(fake.last.fd, 7, "write: file");
	end("arguments");
}

static void sends_go_on(void)
{
	struct iol_agg *a;
	unsigned int before;

	begin();
	a = from("abcdef", 6);
	before = fake.requests;
	fake.op_result = 4;
	is(iol_send(a, 7, 0, 0), 4, "all that is left");
	is(fake.requests, before + 2, "is asked for until nothing is");
	fake.op_result = 4;
	is(iol_send(a, 7, 4, 0), 4, "as much as was asked for");
	is(fake.requests, before + 3, "needs no second request");
	fake.op_result = 4;
	is(iol_send(a, 7, 6, 0), 4, "less than was asked for");
	is(fake.requests, before + 5, "needs one");
	is(fake.last.len, 2, "for the rest");
	fake.op_result = 4;
	is(iol_send(a, 7, 6, MSG_DONTWAIT), 4, "a part");
	is(fake.requests, before + 6, "is good enough for MSG_DONTWAIT");
	fake.op_result = -EPIPE;
	is(iol_send(a, 7, 6, 0), -EPIPE, "an error");
	end("sends");
}

static void random_bytes(unsigned char *p, size_t len)
{
	while (len--)
		*p++ = (unsigned char)(rand() >> 7);
}

static int reference_checksum(const unsigned char *p, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (int)(~sum & 0xffff);
}

/* Slices of every small size, so that batches, odd borders and ends all occur. */
static void bytes_come_back(void)
{
	unsigned char data[61], back[64];
	size_t size, off, len, bad_copy = 0, bad_sum = 0;
	struct iol_agg *agg;

	random_bytes(data, sizeof(data));
	begin();
	for (size = 1; size <= sizeof(data); size++) {
		fake.slice_size = size;
		agg = from(data, sizeof(data));
		for (off = 0; off <= sizeof(data); off++) {
			len = sizeof(data) - off;
			memset(back, 0, sizeof(back));
			bad_copy += iol_to_memory(agg, back, sizeof(back), off) != (ssize_t)len ||
				    memcmp(back, data + off, len);
			len /= 2;
			bad_copy += iol_to_memory(agg, back, len, off) != (ssize_t)len;
			bad_sum += iol_checksum(agg, off, len) !=
				   reference_checksum(data + off, len);
			bad_sum += iol_checksum(agg, off, UINT64_MAX) !=
				   reference_checksum(data + off, sizeof(data) - off);
		}
		iol_free(agg);
	}
	is(bad_copy, 0, "bytes come back as they were, from any offset");
	is(bad_sum, 0, "iol_checksum() is RFC 1071's");

	agg = from(data, 1);
	is(iol_to_memory(agg, back, 1, 2), -EINVAL, "beyond the end");
	is(iol_checksum(agg, 2, 1), -EINVAL, "checksum beyond the end");
	is(fake.maps, 1, "the window is joined once");
	end("bytes");
}

static void comparison_finds_the_first_difference(void)
{
	unsigned char data[100];
	struct iol_agg *a, *b;
	uint64_t where;
	size_t i, bad = 0;

	random_bytes(data, sizeof(data));
	begin();
	fake.slice_size = 7;
	a = from(data, sizeof(data));
	fake.slice_size = 5;
	b = from(data, sizeof(data));
	where = 12345;
	is(iol_compare(a, b, &where), 0, "equal, cut differently");
	is(where, 12345, "no position of a difference");
	is(iol_compare(a, a, NULL), 0, "equal to itself");
	iol_free(b);

	for (i = 0; i < sizeof(data); i++) {
		data[i] ^= 1;
		b = from(data, sizeof(data));
		bad += iol_compare(a, b, &where) != 1 || where != i;
		data[i] ^= 1;
		iol_free(b);

		b = from(data, i);
		bad += iol_compare(a, b, &where) != 1 || where != i;
		bad += iol_compare(b, a, &where) != 1 || where != i;
		iol_free(b);
	}
	is(bad, 0, "a difference, or the end of one, is found where it is");
	iol_free(a);
	is(iol_compare(a, a, NULL), -ENOENT, "nothing to compare");
	end("comparison");
}

static void slices_are_visited_in_order(void)
{
	char data[40] = "0123456789012345678901234567890123456789";
	struct iol_slices it;
	struct iol_slice slice;
	struct iol_agg *agg;
	size_t pos = 3;
	int ret, nr = 0;

	begin();
	fake.slice_size = 2;
	agg = from(data, sizeof(data));
	iol_slices_begin(&it, agg, pos);
	while ((ret = iol_slices_next(&it, &slice)) == 1) {
		if (memcmp(slice.data, data + pos, slice.len) || !slice.generation)
			break;
		pos += slice.len;
		nr++;
	}
	is(ret, 0, "ends with 0");
	is(pos, sizeof(data), "after the last byte");
	is(nr, 19, "one call a slice, the first one cut");
	is(iol_slices_next(&it, &slice), 0, "and stays there");
	iol_slices_begin(&it, agg, 0);
	fake.op_result = -ENXIO;
	is(iol_slices_next(&it, &slice), -ENXIO, "errors are passed on");
	end("slices");
}

static void writable_memory_is_handed_out(void)
{
	struct iol_agg *agg = NULL;
	char *data, back[5];

	begin();
	is(iol_alloc(io, &agg, 5, (void **)&data), 0, "alloc");
	is(fake.maps, 1, "joins the window");
	memcpy(data, "hello", 5);
	is(iol_seal(agg), 0, "seal");
	is(iol_to_memory(agg, back, 5, 0), 5, "the bytes");
	ok(!memcmp(back, "hello", 5), "are what was stored");
	end("writable memory");
}

static void signals_interrupt(void)
{
	struct iol_agg *agg;
	int first;

	begin();
	agg = from("abc", 3);
	for (first = 0; first < 2; first++) {
		fake.held_first = first;
		fake.hold = true;
		fake.held_result = -ECANCELED;
		is(iol_send(agg, 7, 0, 0), -EINTR, "nothing was done");
		fake.hold = true;
		fake.held_result = 2;
		is(iol_send(agg, 7, 0, 0), 2, "what was done is reported");
		is(iol_length(agg), 3, "the next call gets its own result");
	}
	end("signals");
}

static void failed_submissions_do_not_run_later(void)
{
	struct iol_agg *agg;
	unsigned int before;
	int i;

	begin();
	agg = from("abc", 3);
	before = fake.requests;
	for (i = 0; i < 10; i++) {
		fake.submit_result = -ENOMEM;
		if (iol_truncate(agg, 0) != -ENOMEM)
			break;
	}
	is(i, 10, "the error is returned, however often");
	is(iol_length(agg), 3, "the next call gets its own result");
	is(fake.requests, before + 1, "and runs alone");
	end("failed submissions");
}

int main(void)
{
	handles_are_made_and_reused();
	failures_leave_handles();
	contexts_do_not_mix();
	arguments_arrive();
	sends_go_on();
	bytes_come_back();
	comparison_finds_the_first_difference();
	slices_are_visited_in_order();
	writable_memory_is_handed_out();
	signals_interrupt();
	failed_submissions_do_not_run_later();
	fake_reset();
	return done();
}

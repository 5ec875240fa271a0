// SPDX-License-Identifier: MIT
/* What is mapped can be read, and nothing else can; stores end with the seal. */
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include "guest.h"

static struct iolite *io;
static sigjmp_buf fault;

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(fault, 1);
}

static bool readable(const void *p)
{
	if (sigsetjmp(fault, 1))
		return false;
	(void)*(const volatile char *)p;
	return true;
}

static bool writable(void *p)
{
	volatile char *c = p;

	if (sigsetjmp(fault, 1))
		return false;
	*c = *c;
	return true;
}

static void mapping(void)
{
	unsigned char *data = any_bytes(300000);
	int fd = file_of(data, 300000), nr, ret;
	struct iol_agg *agg = NULL, *head = NULL;
	struct iolite_extent ext[2], again[2];
	struct iol_slices it;
	struct iol_slice s;
	const char *base = (const char *)(uintptr_t)iol_info()->window_base;
	size_t pos = 0;

	must(iol_read(io, &agg, fd, 300000, 0) == 300000);
	must(!iol_from_memory(io, &head, "head", 4) && iol_prepend(agg, head) == 300004);
	nr = iol_map(agg, ext, 2, 0);
	is(nr, 2, "the first two slices");
	is(ext[0].len, 4, "the header's slice");
	ok((const char *)(uintptr_t)ext[0].addr >= base &&
	   (const char *)(uintptr_t)ext[0].addr < base + iol_info()->window_size,
	   "lies in the window");
	ok(!memcmp((void *)(uintptr_t)ext[0].addr, "head", 4), "the header's bytes");
	is(iol_map(agg, again, 2, 0), 2, "mapped again");
	ok(again[0].addr == ext[0].addr && again[0].generation == ext[0].generation,
	   "it is where it was");
	is(iol_map(agg, again, 1, 2), 1, "from the middle of a slice");
	is(again[0].len, 2, "the rest of it");
	is(again[0].addr, ext[0].addr + 2, "at its address");
	is(iol_map(agg, ext, 1, 300004), 0, "at the end");
	is(iol_map(agg, ext, 1, 300005), -EINVAL, "beyond the end");
	is(iol_map(agg, ext, 0, 0), -EINVAL, "no room");
	is(iol_map(agg, (void *)16, 1, 0), -EFAULT, "nowhere");

	iol_slices_begin(&it, agg, 4);
	while ((ret = iol_slices_next(&it, &s)) > 0 && !memcmp(s.data, data + pos, s.len))
		pos += s.len;
	is(ret, 0, "all slices are visited");
	is(pos, 300000, "to the end");

	iol_slices_begin(&it, agg, 4);
	must(iol_slices_next(&it, &s) == 1);
	ok(readable(s.data), "a mapped slice can be read");
	ok(!writable((void *)(uintptr_t)s.data), "not stored to");
	iol_free(agg);
	ok(!readable(s.data), "nor read when nobody holds it");
	iol_free(head);
	close(fd);
	free(data);
}

static void producing(void)
{
	struct iol_agg *agg = NULL, *copy = NULL;
	const size_t len = (2 << 20) + 5000;
	unsigned char *data;
	size_t i, zero;
	int fd = file_of("", 0);

	is(iol_alloc(io, &agg, 0, (void **)&data), -EINVAL, "no bytes");
	is(iol_alloc(io, &agg, len, (void **)&data), 0, "writable memory");
	for (i = 0, zero = 0; i < len; i++)
		zero += !data[i];
	is(zero, len, "is zeroes");
	for (i = 0; i < len; i++)
		data[i] = (unsigned char)(i * 7);

	is(iol_length(agg), len, "its length");
	is(iol_dup(agg, &copy), -EBUSY, "it cannot be copied yet");
	is(iol_write(agg, fd, 0, 0), -EBUSY, "nor written");
	is(iol_truncate(agg, 1), -EBUSY, "nor changed");
	is(iol_seal(agg), 0, "seal");
	is(iol_seal(agg), 0, "once more");
	ok(!writable(data) && !writable(data + len - 1), "it cannot be stored to");
	for (i = 0; i < len && data[i] == (unsigned char)(i * 7); i++)
		;
	is(i, len, "the bytes are what was stored");
	is(iol_dup(agg, &copy), 0, "it can be copied");
	is(iol_write(agg, fd, 0, 0), len, "and written");
	is(iol_compare(agg, copy, NULL), 0, "both have the same bytes");
	iol_free(agg);
	ok(readable(data), "a copy keeps the bytes");
	iol_free(copy);
	ok(!readable(data), "until it goes");

	is(iol_alloc(io, &agg, 100, (void **)&data), 0, "memory that is not sealed");
	iol_free(agg);
	ok(!writable(data), "goes when it is freed");
	close(fd);
}

static void children(void)
{
	struct iol_agg *agg = NULL;
	struct iolite *own;
	struct iol_slices it;
	struct iol_slice s;
	int status;
	pid_t pid;

	must(!iol_from_memory(io, &agg, "inherited?", 10));
	iol_slices_begin(&it, agg, 0);
	must(iol_slices_next(&it, &s) == 1 && readable(s.data));
	pid = fork();
	if (!pid) {
		if (readable(s.data))
			_exit(1);
		agg = NULL;
		if (iol_open(&own, 0) || iol_from_memory(own, &agg, "own", 3))
			_exit(2);
		if (!holds(agg, "own", 3))
			_exit(3);
		_exit(readable(s.data) ? 4 : 0);
	}
	must(waitpid(pid, &status, 0) == pid);
	is(status, 0, "a child sees nothing of its parent's, and can join by itself");
	ok(readable(s.data), "the parent still does");
	iol_free(agg);
}

static void joining(void)
{
	struct iolite_extent ext;
	struct io_uring ring;
	uint64_t addr = 0;
	int pool;

	must(!io_uring_queue_init(4, &ring, 0) && !iol_init(&ring, 2, 0));
	pool = iol_pool_create(&ring, 0, 0);
	must(RUN(&ring, iol_prep_alloc(sqe, pool, 0, "abc", 3)) == 3);
	is(RUN(&ring, iol_prep_map(sqe, 0, &ext, 1, 0)), -ENXIO, "map before joining");
	is(RUN(&ring, iol_prep_alloc_writable(sqe, pool, 1, &addr, 10)), -ENXIO,
	   "writable memory before joining");
	is(iol_join(&ring), 0, "join");
	is(RUN(&ring, iol_prep_map(sqe, 0, &ext, 1, 0)), 1, "map");
	ok(readable((void *)(uintptr_t)ext.addr), "readable");
	is(RUN(&ring, iol_prep_alloc_writable(sqe, pool, 1, &addr, 10)), 10, "writable memory");
	ok(writable((void *)(uintptr_t)addr), "writable");
	is(RUN(&ring, iol_prep_seal(sqe, 1)), 0, "seal");
	ok(!writable((void *)(uintptr_t)addr), "not writable");
	is(iol_leave(), 0, "leave");
	ok(!readable((void *)(uintptr_t)ext.addr), "not readable");
	io_uring_queue_exit(&ring);
	close(pool);
}

int main(void)
{
	struct sigaction act = { .sa_handler = on_fault };

	sigaction(SIGSEGV, &act, NULL);
	joining();
	must(!iol_open(&io, 0));
	mapping();
	producing();
	children();
	iol_close(io);
	return done();
}

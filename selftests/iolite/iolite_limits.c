// SPDX-License-Identifier: GPL-2.0
/* Limits: who reaches one gets an error, and nobody else is hurt (I5) */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE		4096
#define FILE_PAGES	200
#define NOBODY		65534

/* ---- file pages, per user ---- */

FIXTURE(user) {
	struct ring r;
	int fd;
	long limit;		/* of the sysctl, before */
};

FIXTURE_SETUP(user)
{
	char *data;

	OPEN_RING(&self->r, 16);
	if (geteuid())
		SKIP(return, "changing a sysctl needs root");
	self->limit = sysctl_get("iolite_max_user_pages");
	ASSERT_LT(0, self->limit);
	data = xmalloc(FILE_PAGES * PAGE);
	fill_pattern(data, FILE_PAGES * PAGE, 1);
	self->fd = fs_file(FS_TMPFS, 0, NULL);
	ASSERT_EQ(FILE_PAGES * PAGE, write_full(self->fd, data, FILE_PAGES * PAGE));
	free(data);
}

FIXTURE_TEARDOWN(user)
{
	sysctl_set("iolite_max_user_pages", self->limit);
	close(self->fd);
	ring_close(&self->r);
}

/* The limit, relative to what root holds already */
static int limit_pages(long more)
{
	return sysctl_set("iolite_max_user_pages", stat_settled("file_pages") + more);
}

TEST_F(user, read_over_the_limit_is_short_and_then_refused)
{
	int res, held = 0, i;

	ASSERT_EQ(0, limit_pages(50));
	res = op_read(&self->r, 0, self->fd, 0, FILE_PAGES * PAGE);
	EXPECT_LT(0, res);
	EXPECT_GE(50 * PAGE, res);
	held = res;
	for (i = 1; i < 10 && held < FILE_PAGES * PAGE; i++) {
		res = op_read(&self->r, i, self->fd, held, PAGE);
		if (res <= 0)
			break;
		held += res;
	}
	EXPECT_EQ(-EDQUOT, res);
	EXPECT_GE(50 * PAGE, held);
	EXPECT_EQ(-ENOENT, op_length(&self->r, i));
}

TEST_F(user, freeing_makes_room)
{
	ASSERT_EQ(0, limit_pages(20));
	ASSERT_EQ(10 * PAGE, op_read(&self->r, 0, self->fd, 0, 10 * PAGE));
	ASSERT_EQ(10 * PAGE, op_read(&self->r, 1, self->fd, 10 * PAGE, 10 * PAGE));
	EXPECT_EQ(-EDQUOT, op_read(&self->r, 2, self->fd, 20 * PAGE, 10 * PAGE));
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	EXPECT_EQ(10 * PAGE, op_read(&self->r, 2, self->fd, 20 * PAGE, 10 * PAGE));
}

TEST_F(user, duplicates_are_not_charged_again)
{
	unsigned int i;

	ASSERT_EQ(0, limit_pages(10));
	ASSERT_EQ(10 * PAGE, op_read(&self->r, 0, self->fd, 0, 10 * PAGE));
	for (i = 1; i < 10; i++)
		EXPECT_EQ(0, op_edit(&self->r, 0, IOLITE_EDIT_DUP, i, 0, 0));
}

TEST_F(user, lowering_the_limit_takes_nothing_away)
{
	char *seen = xmalloc(100 * PAGE);

	ASSERT_EQ(100 * PAGE, op_read(&self->r, 0, self->fd, 0, 100 * PAGE));
	ASSERT_EQ(0, sysctl_set("iolite_max_user_pages", 0));
	EXPECT_EQ(-EDQUOT, op_read(&self->r, 1, self->fd, 0, PAGE));
	EXPECT_EQ(100 * PAGE, agg_bytes(&self->r, 0, seen, 100 * PAGE));
	free(seen);
}

/* Each of these buffers is on a page with others, so a private copy is mapped of each */
TEST_F(user, private_copies_of_edges_count)
{
	int pool = pool_create(&self->r, 0), i;
	struct iolite_extent extents[40];
	char bytes[64] = "edge";

	ASSERT_EQ(0, ring_join(&self->r));
	ASSERT_EQ(64, op_alloc(&self->r, 0, pool, bytes, 64));
	for (i = 1; i < 40; i++) {
		ASSERT_EQ(64, op_alloc(&self->r, 1, pool, bytes, 64));
		ASSERT_LE(0, op_edit(&self->r, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
		ASSERT_EQ(1, op_free(&self->r, 1, 1));
	}
	ASSERT_EQ(0, limit_pages(10));
	EXPECT_EQ(10, op_map(&self->r, 0, extents, 40, 0));
	EXPECT_EQ(-EDQUOT, op_map(&self->r, 0, extents, 30, 10 * 64));
	EXPECT_EQ(0, memcmp((char *)(uintptr_t)extents[9].addr, bytes, 64));
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	/* and they come back */
	for (i = 0; i < 10; i++)
		ASSERT_EQ(64, op_alloc(&self->r, i, pool, bytes, 64));
	for (i = 0; i < 10; i++)
		EXPECT_EQ(1, op_map(&self->r, i, extents, 1, 0));
	close(pool);
}

TEST_F(user, another_user_has_a_limit_of_his_own)
{
	int status;

	ASSERT_EQ(0, limit_pages(20));
	ASSERT_EQ(20 * PAGE, op_read(&self->r, 0, self->fd, 0, 20 * PAGE));
	EXPECT_EQ(-EDQUOT, op_read(&self->r, 1, self->fd, 20 * PAGE, PAGE));
	if (!fork()) {
		struct ring r;

		if (setuid(NOBODY) || ring_open(&r, 4))
			_exit(1);
		if (op_read(&r, 0, self->fd, 0, 20 * PAGE) != 20 * PAGE)
			_exit(2);
		_exit(op_read(&r, 1, self->fd, 20 * PAGE, PAGE) == -EDQUOT ? 0 : 3);
	}
	wait(&status);
	EXPECT_EQ(0, status);
}

/* A second ring must not be a way around */
TEST_F(user, limit_is_the_users_and_not_the_rings)
{
	struct ring other;

	ASSERT_EQ(0, limit_pages(20));
	ASSERT_EQ(0, ring_open(&other, 4));
	ASSERT_EQ(20 * PAGE, op_read(&self->r, 0, self->fd, 0, 20 * PAGE));
	EXPECT_EQ(-EDQUOT, op_read(&other, 0, self->fd, 20 * PAGE, PAGE));
	ring_close(&other);
}

TEST_F(user, ring_that_goes_gives_everything_back)
{
	long before = stat_settled("file_pages");
	struct ring other;

	ASSERT_EQ(0, limit_pages(20));
	ASSERT_EQ(0, ring_open(&other, 4));
	ASSERT_EQ(20 * PAGE, op_read(&other, 0, self->fd, 0, 20 * PAGE));
	ring_close(&other);
	EXPECT_EQ(before, stat_wait("file_pages", before));
	EXPECT_EQ(20 * PAGE, op_read(&self->r, 0, self->fd, 0, 20 * PAGE));
}

/* ---- bytes, per pool ---- */

FIXTURE(pool) {
	struct ring r;
	char *data;
};

#define CHUNK	(16 * PAGE)

FIXTURE_SETUP(pool)
{
	OPEN_RING(&self->r, 64);
	ASSERT_EQ(0, ring_join(&self->r));
	self->data = xmalloc(CHUNK);
	memset(self->data, 'S', CHUNK);
}

FIXTURE_TEARDOWN(pool)
{
	ring_close(&self->r);
	free(self->data);
}

TEST_F(pool, allocation_over_the_limit_is_refused_and_freeing_makes_room)
{
	int pool = pool_create(&self->r, 4 * CHUNK), res = 0;
	unsigned int i;

	ASSERT_GE(pool, 0);
	for (i = 0; i < 60; i++) {
		res = op_alloc(&self->r, i, pool, self->data, CHUNK);
		if (res < 0)
			break;
	}
	EXPECT_EQ(-ENOBUFS, res);
	EXPECT_GE(4, i);
	EXPECT_LE(2, i);
	EXPECT_EQ(-ENOENT, op_length(&self->r, i));
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	EXPECT_EQ(CHUNK, op_alloc(&self->r, 0, pool, self->data, CHUNK));
	EXPECT_EQ(-ENOBUFS, op_alloc(&self->r, i, pool, self->data, 64 * CHUNK));
	close(pool);
}

TEST_F(pool, one_that_is_full_does_not_hurt_another)
{
	int full = pool_create(&self->r, CHUNK), other = pool_create(&self->r, CHUNK);

	ASSERT_EQ(CHUNK, op_alloc(&self->r, 0, full, self->data, CHUNK));
	EXPECT_EQ(-ENOBUFS, op_alloc(&self->r, 1, full, self->data, CHUNK));
	EXPECT_EQ(CHUNK, op_alloc(&self->r, 1, other, self->data, CHUNK));
	close(full);
	close(other);
}

TEST_F(pool, all_of_a_user_share_a_limit)
{
	long max = sysctl_get("iolite_max_pool_bytes");
	long limit = stat_settled("pool_pages") * PAGE + 4 * CHUNK;
	int a, b, i, status;

	if (geteuid())
		SKIP(return, "changing a sysctl needs root");
	ASSERT_EQ(0, sysctl_set("iolite_max_pool_bytes", limit));
	a = pool_create(&self->r, 0);
	b = pool_create(&self->r, 0);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(CHUNK, op_alloc(&self->r, i, a, self->data, CHUNK));
	EXPECT_EQ(CHUNK, op_alloc(&self->r, i, b, self->data, CHUNK));
	EXPECT_EQ(-ENOBUFS, op_alloc(&self->r, i + 1, b, self->data, CHUNK));
	EXPECT_EQ(-ENOBUFS, op_alloc(&self->r, i + 1, a, self->data, CHUNK));
	if (!fork()) {
		struct ring r;

		if (setuid(NOBODY) || ring_open(&r, 4))
			_exit(1);
		_exit(op_alloc(&r, 0, pool_create(&r, 0), self->data, CHUNK) != CHUNK);
	}
	wait(&status);
	EXPECT_EQ(0, status);
	/* what one has given up the other can have, and have again */
	EXPECT_EQ(3, op_free(&self->r, 0, 3));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(CHUNK, op_alloc(&self->r, i, b, self->data, CHUNK));
	EXPECT_EQ(-ENOBUFS, op_alloc(&self->r, i, a, self->data, 100));
	EXPECT_EQ(3, op_free(&self->r, 0, 3));
	EXPECT_EQ(100, op_alloc(&self->r, 0, a, self->data, 100));
	close(a);
	close(b);
	EXPECT_EQ(0, sysctl_set("iolite_max_pool_bytes", max));
}

TEST_F(pool, larger_than_the_sysctl_is_refused)
{
	long max = sysctl_get("iolite_max_pool_bytes");

	ASSERT_LT(0, max);
	EXPECT_EQ(-E2BIG, pool_create(&self->r, max + 1));
	EXPECT_EQ(-E2BIG, pool_create(&self->r, ~0ULL));
}

TEST_F(pool, allocation_of_more_than_an_aggregate_holds_is_too_big)
{
	int pool = pool_create(&self->r, 0);
	char *at;

	EXPECT_EQ(-E2BIG, op_alloc(&self->r, 0, pool, self->data, ~0U));
	EXPECT_EQ(-E2BIG, op_alloc(&self->r, 0, pool, self->data, 1U << 31));
	EXPECT_EQ(-E2BIG, op_alloc_writable(&self->r, 0, pool, 1U << 31, &at));
	EXPECT_EQ(-ENOENT, op_length(&self->r, 0));
	close(pool);
}

TEST_F(pool, append_to_a_full_aggregate_is_too_big)
{
	int pool = pool_create(&self->r, 0), zero = open("/dev/zero", O_RDONLY);
	struct io_uring_sqe sqe = sqe_read(&self->r, 0, zero, -1, CHUNK);
	long long len = CHUNK, rest;

	ASSERT_EQ(CHUNK, op_alloc(&self->r, 0, pool, self->data, CHUNK));
	while (2 * len <= (long long)self->r.table.max_bytes) {
		len *= 2;
		ASSERT_EQ(len, op_edit(&self->r, 0, IOLITE_EDIT_CONCAT, 0, 0, 0));
	}
	/* and the rest, to the last byte */
	rest = self->r.table.max_bytes - len;
	ASSERT_EQ(0, op_edit(&self->r, 0, IOLITE_EDIT_DUP, 1, 0, 0));
	ASSERT_LE(0, op_edit(&self->r, 1, IOLITE_EDIT_TRUNCATE, 0, rest, 0));
	ASSERT_EQ(len + rest, op_edit(&self->r, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
	sqe.ioprio = IOLITE_READ_APPEND;
	EXPECT_EQ(-E2BIG, ring_run(&self->r, &sqe));
	EXPECT_EQ(len + rest, op_length(&self->r, 0));

	/* with a little room the read is short */
	ASSERT_LE(0, op_edit(&self->r, 0, IOLITE_EDIT_TRUNCATE, 0, len + rest - 100, 0));
	EXPECT_EQ(100, ring_run(&self->r, &sqe));
	EXPECT_EQ(len + rest, op_length(&self->r, 0));
	close(zero);
	close(pool);
}

TEST_F(pool, append_takes_the_last_slice_of_a_file_and_nothing_of_a_pipe)
{
	int pool = pool_create(&self->r, 0), file = fs_file(FS_TMPFS, 0, NULL), p[2];
	long slices = self->r.table.max_slices, len;
	struct io_uring_sqe sqe;
	char c;

	ASSERT_EQ(1, op_alloc(&self->r, 0, pool, self->data, 1));
	for (len = 1; len < slices; len *= 2)
		ASSERT_EQ(2 * len, op_edit(&self->r, 0, IOLITE_EDIT_CONCAT, 0, 0, 0));
	ASSERT_EQ(slices, len);
	ASSERT_LE(0, op_edit(&self->r, 0, IOLITE_EDIT_TRUNCATE, 0, slices - 1, 0));

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(1, write(p[1], "p", 1));
	sqe = sqe_read(&self->r, 0, p[0], -1, 1);
	sqe.ioprio = IOLITE_READ_APPEND;
	EXPECT_EQ(-E2BIG, ring_run(&self->r, &sqe));
	EXPECT_EQ(1, read(p[0], &c, 1));

	ASSERT_EQ(1, write(file, "f", 1));
	sqe = sqe_read(&self->r, 0, file, 0, 1);
	sqe.ioprio = IOLITE_READ_APPEND;
	EXPECT_EQ(1, ring_run(&self->r, &sqe));
	EXPECT_EQ(slices, op_length(&self->r, 0));
	EXPECT_EQ(-E2BIG, ring_run(&self->r, &sqe));
	close(p[0]);
	close(p[1]);
	close(file);
	close(pool);
}

/* Pages in flight are the pool's until the socket lets go of them */
TEST_F(pool, memory_held_by_a_socket_still_counts)
{
	int pool = pool_create(&self->r, CHUNK), a, b, i, res;
	char *seen = xmalloc(CHUNK);

	ASSERT_EQ(0, unix_pair(SOCK_STREAM, &a, &b));
	ASSERT_EQ(CHUNK, op_alloc(&self->r, 0, pool, self->data, CHUNK));
	ASSERT_EQ(CHUNK, op_write(&self->r, 0, a, 0, MSG_WAITALL));
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	EXPECT_EQ(-ENOBUFS, op_alloc(&self->r, 0, pool, self->data, CHUNK));
	ASSERT_EQ(CHUNK, read_full(b, seen, CHUNK));
	EXPECT_SAME(self->data, seen, CHUNK);
	for (i = 0; i < 100; i++) {
		res = op_alloc(&self->r, 0, pool, self->data, CHUNK);
		if (res != -ENOBUFS)
			break;
		usleep(10000);
	}
	EXPECT_EQ(CHUNK, res);
	close(a);
	close(b);
	close(pool);
	free(seen);
}

/* A socket counts bytes, and a byte holds a chunk. */
TEST_F(pool, memory_held_by_a_socket_counts_also_if_its_pool_is_closed)
{
	long max = sysctl_get("iolite_max_pool_bytes"), before = stat_settled("pool_pages");
	int pool, a, b, i, res = CHUNK;
	char what[256];
	struct stat_objects objects;

	if (geteuid())
		SKIP(return, "changing a sysctl needs root");
	stat_objects_get(&objects);
	ASSERT_EQ(0, unix_pair(SOCK_STREAM, &a, &b));
	ASSERT_EQ(0, sysctl_set("iolite_max_pool_bytes", before * PAGE + 4 * CHUNK));
	for (i = 0; i < 20; i++) {
		pool = pool_create(&self->r, 0);
		ASSERT_LE(0, pool);
		res = op_alloc(&self->r, 0, pool, self->data, CHUNK);
		if (res != CHUNK)
			break;
		ASSERT_LE(0, op_edit(&self->r, 0, IOLITE_EDIT_TRUNCATE, 0, 1, 0));
		ASSERT_EQ(1, op_write(&self->r, 0, a, 0, 0));
		ASSERT_EQ(1, op_free(&self->r, 0, 1));
		close(pool);
	}
	EXPECT_EQ(-ENOBUFS, res);
	EXPECT_GE(4, i);
	EXPECT_LE(2, i);
	/* read or not, the socket has them no more, which is noticed soon */
	close(a);
	close(b);
	for (i = 0; i < 300 && res == -ENOBUFS; i++) {
		usleep(10000);
		res = op_alloc(&self->r, 0, pool, self->data, CHUNK);
	}
	EXPECT_EQ(CHUNK, res);
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	close(pool);
	EXPECT_EQ(0, sysctl_set("iolite_max_pool_bytes", max));
	EXPECT_EQ(0, stat_objects_wait(&objects, what, sizeof(what)))
		TH_LOG("%s", what);
}

/* One page of @pool, in a skb that nobody reads; 0, or as much as @out has room for */
static int leave_a_page(struct ring *r, int pool, const char *data, int out)
{
	int res = op_alloc(r, 0, pool, data, PAGE);

	if (res != PAGE)
		return res;
	res = op_edit(r, 0, IOLITE_EDIT_TRUNCATE, 0, 1, 0);
	if (res >= 0)
		res = op_write(r, 0, out, 0, MSG_DONTWAIT);
	if (op_free(r, 0, 1) != 1)
		return -EIO;
	return res < 0 ? res : 0;
}

struct sockets {
	int out[128], in[128], nr;
};

static int more_sockets(struct sockets *s)
{
	if (s->nr == ARRAY_LEN(s->out) ||
	    unix_pair(SOCK_STREAM, &s->out[s->nr], &s->in[s->nr]))
		return -EIO;
	s->nr++;
	return 0;
}

/* So many pages, in as many sockets as that takes */
static int leave_pages(struct ring *r, int pool, const char *data, struct sockets *s, int pages)
{
	int res = -EAGAIN;

	for (s->nr = 0; pages; pages -= !res) {
		if (res == -EAGAIN && more_sockets(s))
			return -EIO;
		res = leave_a_page(r, pool, data, s->out[s->nr - 1]);
		if (res && res != -EAGAIN)
			return res;
	}
	return 0;
}

static void close_sockets(struct sockets *s)
{
	while (s->nr--) {
		close(s->out[s->nr]);
		close(s->in[s->nr]);
	}
}

/* What a slow receiver holds hides nothing, however much it is */
TEST_F_TIMEOUT(pool, memory_is_found_behind_thousands_of_pages_in_sockets, 60)
{
	const int slow = 5000, fast = 200;
	int pool = pool_create_flags(&self->r, IOLITE_POOL_PAGES, (slow + fast) * PAGE), i;
	struct sockets a, b;
	char seen[PAGE];

	ASSERT_LE(0, pool);
	ASSERT_EQ(0, leave_pages(&self->r, pool, self->data, &a, slow));
	ASSERT_EQ(0, leave_pages(&self->r, pool, self->data, &b, fast));
	EXPECT_EQ(-ENOBUFS, op_alloc(&self->r, 0, pool, self->data, PAGE));
	/* what is read is given back at once, other than what a socket had that is closed */
	for (i = 0; i < b.nr; i++)
		while (recv(b.in[i], seen, sizeof(seen), MSG_DONTWAIT) > 0)
			;
	EXPECT_EQ(PAGE, op_alloc(&self->r, 0, pool, self->data, PAGE));
	for (i = 1; i < 10; i++)
		EXPECT_EQ(CHUNK, op_alloc(&self->r, i, pool, self->data, CHUNK));
	close_sockets(&a);
	close_sockets(&b);
	close(pool);
}

/* Each is looked at until its memory is given back, and many cost no more than few */
TEST_F_TIMEOUT(pool, thousands_that_ended_with_memory_in_sockets_end, 120)
{
	const int pools = 2500;
	long before = stat_settled("pools");
	struct sockets s = { };
	int i, res = -EAGAIN;

	for (i = 0; i < pools; i += !res) {
		int pool = pool_create(&self->r, 0);

		ASSERT_LE(0, pool);
		if (res == -EAGAIN)
			ASSERT_EQ(0, more_sockets(&s));
		res = leave_a_page(&self->r, pool, self->data, s.out[s.nr - 1]);
		ASSERT_TRUE(!res || res == -EAGAIN);
		close(pool);
	}
	EXPECT_EQ(before + pools, stat_wait("pools", before + pools));
	/* none of those looks that the end of a pool brings about */
	usleep(300000);
	close_sockets(&s);
	EXPECT_EQ(before, stat_wait("pools", before));
}

/* ---- I3: recycled memory ---- */

static unsigned int nonzero_bytes(const char *p, size_t len)
{
	unsigned int n = 0;

	while (len--)
		n += *p++ != 0;
	return n;
}

TEST_F(pool, recycled_memory_is_zero)
{
	static const unsigned int sizes[] = { 1, 100, PAGE - 1, PAGE, 3 * PAGE + 5, CHUNK };
	int pool = pool_create(&self->r, 0);
	unsigned int i, k;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		char *at;

		for (k = 0; k < 20; k++)
			ASSERT_EQ(CHUNK, op_alloc(&self->r, k, pool, self->data, CHUNK));
		for (k = 20; k < 40; k++)
			ASSERT_EQ(200, op_alloc(&self->r, k, pool, self->data, 200));
		ASSERT_EQ(40, op_free(&self->r, 0, 40));
		ASSERT_EQ((int)sizes[i],
			  op_alloc_writable(&self->r, 0, pool, sizes[i], &at));
		/* to the end of the page, which is mapped too */
		EXPECT_EQ(0, nonzero_bytes(at, (sizes[i] + PAGE - 1) & ~(PAGE - 1)))
			TH_LOG("%u bytes", sizes[i]);
		ASSERT_EQ(1, op_free(&self->r, 0, 1));
	}
	close(pool);
}

TEST_F(pool, copied_in_memory_shows_nothing_behind_its_end)
{
	struct iolite_extent ext;
	int pool = pool_create(&self->r, 0);
	unsigned int k, len;

	for (len = 1; len < 3 * PAGE; len += 1111) {
		char *at, *page;

		for (k = 0; k < 20; k++)
			ASSERT_EQ(CHUNK, op_alloc(&self->r, k, pool, self->data, CHUNK));
		ASSERT_EQ(20, op_free(&self->r, 0, 20));
		ASSERT_EQ((int)len, op_alloc(&self->r, 0, pool, self->data, len));
		while (op_map(&self->r, 0, &ext, 1, len - 1) == 1) {
			at = (char *)(uintptr_t)ext.addr + ext.len;
			page = (char *)(((uintptr_t)at + PAGE - 1) & ~(PAGE - 1UL));
			EXPECT_EQ(0, nonzero_bytes(at, page - at))
				TH_LOG("%u bytes", len);
			break;
		}
		ASSERT_EQ(1, op_free(&self->r, 0, 1));
	}
	close(pool);
}

/* Two users share a pool: neither sees what the other left in it */
TEST_F(pool, recycled_memory_shows_nothing_to_another_user)
{
	int pool = pool_create(&self->r, 0), status;
	unsigned int k;

	for (k = 0; k < 20; k++)
		ASSERT_EQ(CHUNK, op_alloc(&self->r, k, pool, self->data, CHUNK));
	ASSERT_EQ(20, op_free(&self->r, 0, 20));
	if (!fork()) {
		struct ring r;
		char *at;

		if ((!geteuid() && setuid(NOBODY)) || ring_open(&r, 32) || ring_join(&r))
			_exit(1);
		for (k = 0; k < 20; k++) {
			if (op_alloc_writable(&r, k, pool, CHUNK, &at) != CHUNK)
				_exit(2);
			if (nonzero_bytes(at, CHUNK))
				_exit(3);
		}
		_exit(0);
	}
	wait(&status);
	EXPECT_EQ(0, status);
	close(pool);
}

/* ---- slots ---- */

TEST_F(pool, largest_table_works_to_its_last_slot)
{
	long max = sysctl_get("iolite_max_slots");
	struct ring r;
	int pool;

	ASSERT_EQ(0, ring_open(&r, max));
	pool = pool_create(&r, 0);
	ASSERT_EQ(5, op_alloc(&r, max - 1, pool, self->data, 5));
	EXPECT_EQ(5, op_length(&r, max - 1));
	EXPECT_EQ(-EINVAL, op_length(&r, max));
	EXPECT_EQ(1, op_free(&r, 0, max));
	close(pool);
	ring_close(&r);
}

FS_HARNESS_MAIN

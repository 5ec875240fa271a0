// SPDX-License-Identifier: GPL-2.0
/* WRITE to sockets: streams, datagrams, full sockets, flags of send(2) */
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE		4096
#define BIG		(3U << 19)
#define FILE_SIZE	(150 * PAGE + 99)

enum kind { TCP, UNIX_STREAM };

/* What all fixtures have: a pool, a file and its bytes */
struct env {
	struct ring r;
	int pool;
	int file;
	char *data;		/* BIG bytes; the file holds the first FILE_SIZE */
	char *seen;
};

static int env_open(struct env *e)
{
	int ret = ring_open(&e->r, 16);

	if (ret)
		return ret;
	e->data = xmalloc(BIG);
	e->seen = xmalloc(BIG);
	fill_pattern(e->data, BIG, 42);
	e->pool = pool_create(&e->r, 0);
	e->file = fs_file(FS_TMPFS, 0, NULL);
	if (e->pool < 0 || e->file < 0)
		return -EIO;
	return write_full(e->file, e->data, FILE_SIZE) == FILE_SIZE ? 0 : -EIO;
}

static void env_close(struct env *e)
{
	ring_close(&e->r);
	close(e->pool);
	close(e->file);
	free(e->data);
	free(e->seen);
}

#define OPEN_ENV(e) do {						\
	if (!iolite_present())						\
		SKIP(return, "the kernel has no IO-Lite");		\
	ASSERT_EQ(0, env_open(e));					\
} while (0)

/* ---- streams ---- */

FIXTURE(stream) {
	struct env e;
	struct ring *r;
	int out;		/* what is written to */
	int in;			/* and where it arrives */
};

FIXTURE_VARIANT(stream) {
	enum kind kind;
};

FIXTURE_VARIANT_ADD(stream, tcp) {
	.kind = TCP,
};

FIXTURE_VARIANT_ADD(stream, unix) {
	.kind = UNIX_STREAM,
};

static int stream_pair(enum kind kind, int *out, int *in)
{
	return kind == TCP ? tcp_pair(out, in) : unix_pair(SOCK_STREAM, out, in);
}

FIXTURE_SETUP(stream)
{
	OPEN_ENV(&self->e);
	self->r = &self->e.r;
	ASSERT_EQ(0, stream_pair(variant->kind, &self->out, &self->in));
}

FIXTURE_TEARDOWN(stream)
{
	close(self->out);
	close(self->in);
	env_close(&self->e);
}

static void put(struct ring *r, struct io_uring_sqe sqe, __u64 user_data)
{
	sqe.user_data = user_data;
	ring_put(r, &sqe);
}

TEST_F(stream, memory_arrives)
{
	ASSERT_EQ(5000, op_alloc(self->r, 0, self->e.pool, self->e.data, 5000));
	EXPECT_EQ(5000, op_write(self->r, 0, self->out, 0, 0));
	ASSERT_EQ(5000, read_full(self->in, self->e.seen, 5000));
	EXPECT_SAME(self->e.data, self->e.seen, 5000);
}

/* I2: the counters prove that nothing is copied on the way to the socket */
TEST_F(stream, file_arrives_by_reference)
{
	long copied, sent;

	ASSERT_EQ(16 * PAGE, op_read(self->r, 0, self->e.file, 0, 16 * PAGE));
	copied = stat_copied();
	sent = stat_get("sent_bytes");
	EXPECT_EQ(16 * PAGE, op_write(self->r, 0, self->out, 0, 0));
	EXPECT_EQ(copied, stat_copied());
	EXPECT_EQ(sent + 16 * PAGE, stat_get("sent_bytes"));
	ASSERT_EQ(16 * PAGE, read_full(self->in, self->e.seen, 16 * PAGE));
	EXPECT_SAME(self->e.data, self->e.seen, 16 * PAGE);
}

/*
 * The page may become a file's next, and would be mapped where the file does not know it.
 * Freed, it would show its next owner's bytes (I3).
 */
TEST_F(stream, pages_of_pools_are_not_mapped_by_zero_copy_receive)
{
	struct tcp_zerocopy_receive zc = { .length = PAGE };
	int pool = pool_create_flags(self->r, IOLITE_POOL_PAGES, 0);
	socklen_t len = sizeof(zc);
	struct pollfd in = { .fd = self->in, .events = POLLIN };
	char *map;

	if (variant->kind != TCP)
		SKIP(return, "TCP maps what it receives");
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->in, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(PAGE, op_alloc(self->r, 0, pool, self->e.data, PAGE));
	ASSERT_EQ(PAGE, op_write(self->r, 0, self->out, 0, 0));
	ASSERT_EQ(1, poll(&in, 1, IOLITE_TIMEOUT_MS));
	zc.address = (uintptr_t)map;
	ASSERT_EQ(0, getsockopt(self->in, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len));
	EXPECT_EQ(0, zc.length);
	EXPECT_EQ(PAGE, zc.recv_skip_hint);
	ASSERT_EQ(PAGE, read_full(self->in, self->e.seen, PAGE));
	EXPECT_SAME(self->e.data, self->e.seen, PAGE);
	munmap(map, PAGE);
	close(pool);
}

TEST_F(stream, write_starts_at_the_cursor_and_moves_it)
{
	ASSERT_EQ(1000, op_alloc(self->r, 0, self->e.pool, self->e.data, 1000));
	ASSERT_EQ(300, op_edit(self->r, 0, IOLITE_EDIT_SEEK, 0, 300, SEEK_SET));
	EXPECT_EQ(200, op_write(self->r, 0, self->out, 200, 0));
	EXPECT_EQ(500, op_edit(self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	EXPECT_EQ(500, op_write(self->r, 0, self->out, 0, 0));
	EXPECT_EQ(1000, op_edit(self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	EXPECT_EQ(0, op_write(self->r, 0, self->out, 0, 0));
	ASSERT_EQ(700, read_full(self->in, self->e.seen, 700));
	EXPECT_SAME(self->e.data + 300, self->e.seen, 700);
}

TEST_F(stream, asking_for_more_than_is_left_writes_what_is_left)
{
	ASSERT_EQ(100, op_alloc(self->r, 0, self->e.pool, self->e.data, 100));
	EXPECT_EQ(100, op_write(self->r, 0, self->out, 5000, 0));
	EXPECT_EQ(0, op_write(self->r, 0, self->out, 5000, 0));
}

TEST_F(stream, empty_aggregate_writes_nothing)
{
	ASSERT_EQ(0, op_read(self->r, 0, self->e.file, FILE_SIZE, 10));
	EXPECT_EQ(0, op_write(self->r, 0, self->out, 0, 0));
}

TEST_F(stream, write_free_empties_the_slot_when_all_is_written)
{
	struct io_uring_sqe sqe;

	ASSERT_EQ(1000, op_alloc(self->r, 0, self->e.pool, self->e.data, 1000));
	sqe = sqe_write(self->r, 0, self->out, 0, 0);
	sqe.ioprio = IOLITE_WRITE_FREE;
	EXPECT_EQ(1000, ring_run(self->r, &sqe));
	EXPECT_EQ(-ENOENT, op_length(self->r, 0));
}

TEST_F(stream, write_free_keeps_the_slot_after_a_short_write)
{
	struct io_uring_sqe sqe;

	ASSERT_EQ(BIG, (unsigned int)op_alloc(self->r, 0, self->e.pool, self->e.data, BIG));
	set_sndbuf(self->out, 65536);
	sqe = sqe_write(self->r, 0, self->out, 0, MSG_DONTWAIT);
	sqe.ioprio = IOLITE_WRITE_FREE;
	EXPECT_GT(BIG, (unsigned int)ring_run(self->r, &sqe));
	EXPECT_EQ(BIG, (unsigned int)op_length(self->r, 0));
}

TEST_F(stream, many_slices_arrive_in_order)
{
	char *expected = xmalloc(100 * 40);
	unsigned int i;

	ASSERT_EQ(0, op_read(self->r, 0, self->e.file, FILE_SIZE, 1));
	for (i = 0; i < 100; i++) {
		ASSERT_LT(0, op_alloc(self->r, 1, self->e.pool, self->e.data + i * 777, 17));
		ASSERT_LT(0, op_edit(self->r, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
		ASSERT_EQ(23, op_read(self->r, 1, self->e.file, i * 4321, 23));
		ASSERT_LT(0, op_edit(self->r, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
		memcpy(expected + i * 40, self->e.data + i * 777, 17);
		memcpy(expected + i * 40 + 17, self->e.data + i * 4321, 23);
	}
	EXPECT_EQ(4000, op_write(self->r, 0, self->out, 0, MSG_WAITALL));
	ASSERT_EQ(4000, read_full(self->in, self->e.seen, 4000));
	EXPECT_SAME(expected, self->e.seen, 4000);
	free(expected);
}

/* ---- a full socket ---- */

TEST_F(stream, short_write_tells_how_much_and_goes_on_where_it_stopped)
{
	unsigned int done = 0, rounds = 0;

	set_sndbuf(self->out, 65536);
	ASSERT_EQ(BIG, (unsigned int)op_alloc(self->r, 0, self->e.pool, self->e.data, BIG));
	while (done < BIG) {
		int res = op_write(self->r, 0, self->out, 0, MSG_DONTWAIT);

		/* loopback may be slow to make room */
		if (res == -EAGAIN) {
			struct pollfd p = { .fd = self->out, .events = POLLOUT };

			poll(&p, 1, 100);
			continue;
		}
		ASSERT_LT(0, res);
		ASSERT_EQ(res, read_full(self->in, self->e.seen + done, res));
		done += res;
		rounds++;
		ASSERT_EQ(done, (unsigned int)op_edit(self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	}
	EXPECT_LT(1, rounds);
	EXPECT_SAME(self->e.data, self->e.seen, BIG);
}

TEST_F(stream, full_socket_with_dontwait_says_so)
{
	int res;

	set_sndbuf(self->out, 65536);
	ASSERT_EQ(BIG, (unsigned int)op_alloc(self->r, 0, self->e.pool, self->e.data, BIG));
	while ((res = op_write(self->r, 0, self->out, 0, MSG_DONTWAIT)) > 0)
		;
	EXPECT_EQ(-EAGAIN, res);
}

TEST_F(stream, waitall_resumes_until_all_is_sent)
{
	struct io_uring_cqe cqe;

	set_sndbuf(self->out, 65536);
	ASSERT_EQ(BIG, (unsigned int)op_alloc(self->r, 0, self->e.pool, self->e.data, BIG));
	put(self->r, sqe_write(self->r, 0, self->out, 0, MSG_WAITALL), 1);
	ASSERT_EQ(1, ring_submit(self->r));
	EXPECT_EQ(-ETIME, ring_reap(self->r, &cqe, 50));
	ASSERT_EQ(BIG, (unsigned int)read_full(self->in, self->e.seen, BIG));
	ASSERT_EQ(0, ring_reap(self->r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(BIG, (unsigned int)cqe.res);
	EXPECT_EQ(BIG, (unsigned int)op_edit(self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	EXPECT_SAME(self->e.data, self->e.seen, BIG);
}

/* Counts the io-wq workers of this task by their names */
static unsigned int io_workers(void)
{
	FILE *ps = popen("cat /proc/[0-9]*/task/*/comm 2>/dev/null | grep -c '^iou-wrk-'", "r");
	unsigned int n = 0;

	if (!ps || fscanf(ps, "%u", &n) != 1)
		n = 0;
	if (ps)
		pclose(ps);
	return n;
}

TEST_F(stream, full_socket_is_polled_not_given_to_a_worker)
{
	unsigned int before = io_workers();
	struct io_uring_cqe cqe;

	set_sndbuf(self->out, 65536);
	ASSERT_EQ(BIG, (unsigned int)op_alloc(self->r, 0, self->e.pool, self->e.data, BIG));
	put(self->r, sqe_write(self->r, 0, self->out, 0, MSG_WAITALL), 1);
	ASSERT_EQ(1, ring_submit(self->r));
	EXPECT_EQ(-ETIME, ring_reap(self->r, &cqe, 50));
	EXPECT_EQ(before, io_workers());
}

TEST_F(stream, poll_first_waits_before_it_tries)
{
	struct io_uring_sqe sqe;
	struct io_uring_cqe cqe;

	set_sndbuf(self->out, 65536);
	ASSERT_EQ(BIG, (unsigned int)op_alloc(self->r, 0, self->e.pool, self->e.data, BIG));
	/* with room it goes at once */
	sqe = sqe_write(self->r, 0, self->out, 100, 0);
	sqe.ioprio = IOLITE_WRITE_POLL_FIRST;
	ASSERT_EQ(100, ring_run(self->r, &sqe));
	while (op_write(self->r, 0, self->out, 0, MSG_DONTWAIT) > 0)
		;
	sqe.user_data = 1;
	ring_put(self->r, &sqe);
	ASSERT_EQ(1, ring_submit(self->r));
	EXPECT_EQ(-ETIME, ring_reap(self->r, &cqe, 50));
	ASSERT_EQ(0, fcntl(self->in, F_SETFL, O_NONBLOCK));
	while (ring_reap(self->r, &cqe, 10) == -ETIME)
		read(self->in, self->e.seen, BIG);
	EXPECT_EQ(100, cqe.res);
}

/* Megabytes in random pieces, from a file and from memory */
TEST_F_TIMEOUT(stream, megabytes_arrive_whole, 60)
{
	unsigned int rnd = 7, off = 0;
	struct io_uring_cqe cqe;
	pid_t pid;
	int status, res;

	pid = fork();
	if (!pid) {
		close(self->out);
		if (read_full(self->in, self->e.seen, BIG) != BIG)
			_exit(1);
		_exit(same_bytes(self->e.data, self->e.seen, BIG) ? 0 : 2);
	}
	while (off < BIG) {
		unsigned int len = 1 + random_below(&rnd, 200000);

		if (len > BIG - off)
			len = BIG - off;
		res = off + len <= FILE_SIZE ?
		      op_read(self->r, 0, self->e.file, off, len) :
		      op_alloc(self->r, 0, self->e.pool, self->e.data + off, len);
		ASSERT_EQ(len, (unsigned int)res);
		put(self->r, sqe_write(self->r, 0, self->out, 0,
				       MSG_WAITALL | (len & 1 ? MSG_MORE : 0)), off);
		ASSERT_EQ(1, ring_submit(self->r));
		ASSERT_EQ(0, ring_reap(self->r, &cqe, IOLITE_TIMEOUT_MS));
		ASSERT_EQ(len, (unsigned int)cqe.res);
		off += len;
	}
	close(self->out);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* ---- ends ---- */

/* SIGPIPE would end the test */
TEST_F(stream, peer_that_is_gone_is_an_error_without_a_signal)
{
	int res, tries;

	ASSERT_EQ(1000, op_alloc(self->r, 0, self->e.pool, self->e.data, 1000));
	close(self->in);
	/* TCP learns of it by the answer to the first segment */
	for (tries = 0; tries < 100; tries++) {
		res = op_write(self->r, 0, self->out, 1, 0);
		if (res < 0)
			break;
		usleep(1000);
	}
	EXPECT_TRUE(res == -EPIPE || res == -ECONNRESET)
		TH_LOG("seen %d", res);
	EXPECT_EQ(-EPIPE, op_write(self->r, 0, self->out, 1, 0));
}

TEST_F(stream, shut_down_socket_is_a_broken_pipe)
{
	ASSERT_EQ(1000, op_alloc(self->r, 0, self->e.pool, self->e.data, 1000));
	ASSERT_EQ(0, shutdown(self->out, SHUT_WR));
	EXPECT_EQ(-EPIPE, op_write(self->r, 0, self->out, 0, 0));
	EXPECT_EQ(0, op_edit(self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
}

TEST_F(stream, peer_that_goes_wakes_the_waiting_write)
{
	struct io_uring_cqe cqe;

	set_sndbuf(self->out, 65536);
	ASSERT_EQ(BIG, (unsigned int)op_alloc(self->r, 0, self->e.pool, self->e.data, BIG));
	put(self->r, sqe_write(self->r, 0, self->out, 0, MSG_WAITALL), 1);
	ASSERT_EQ(1, ring_submit(self->r));
	EXPECT_EQ(-ETIME, ring_reap(self->r, &cqe, 50));
	close(self->in);
	ASSERT_EQ(0, ring_reap(self->r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_GT((int)BIG, cqe.res);
	EXPECT_NE(0, cqe.res);
}

TEST_F(stream, one_buffer_goes_to_many_by_dup)
{
	int out[8], in[8];
	unsigned int i;

	ASSERT_EQ(30000, op_read(self->r, 0, self->e.file, 500, 30000));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, stream_pair(variant->kind, &out[i], &in[i]));
		ASSERT_EQ(0, op_edit(self->r, 0, IOLITE_EDIT_DUP, i + 1, 0, 0));
	}
	for (i = 0; i < 8; i++)
		put(self->r, sqe_write(self->r, i + 1, out[i], 0, MSG_WAITALL), i);
	ASSERT_EQ(8, ring_submit(self->r));
	for (i = 0; i < 8; i++) {
		struct io_uring_cqe cqe;

		ASSERT_EQ(0, ring_reap(self->r, &cqe, IOLITE_TIMEOUT_MS));
		EXPECT_EQ(30000, cqe.res);
	}
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(30000, read_full(in[i], self->e.seen, 30000));
		EXPECT_SAME(self->e.data + 500, self->e.seen, 30000)
			TH_LOG("receiver %u", i);
		close(in[i]);
		close(out[i]);
	}
}

/* The socket, not IO-Lite, keeps the pages once they are sent */
TEST_F(stream, freed_and_rewritten_memory_does_not_change_what_was_sent)
{
	unsigned int i;

	ASSERT_EQ(60000, op_alloc(self->r, 0, self->e.pool, self->e.data, 60000));
	ASSERT_EQ(60000, op_write(self->r, 0, self->out, 0, MSG_WAITALL));
	ASSERT_EQ(1, op_free(self->r, 0, 1));
	for (i = 0; i < 20; i++) {
		memset(self->e.seen, i, 60000);
		ASSERT_EQ(60000, op_alloc(self->r, 0, self->e.pool, self->e.seen, 60000));
		ASSERT_EQ(1, op_free(self->r, 0, 1));
	}
	ASSERT_EQ(60000, read_full(self->in, self->e.seen, 60000));
	EXPECT_SAME(self->e.data, self->e.seen, 60000);
}

/* ---- MSG_MORE ---- */

TEST(more_holds_a_tcp_segment_back)
{
	struct env e;
	char seen[20];
	int out, in;

	if (!iolite_present())
		SKIP(return, "the kernel has no IO-Lite");
	ASSERT_EQ(0, env_open(&e));
	ASSERT_EQ(0, tcp_pair(&out, &in));
	ASSERT_EQ(10, op_alloc(&e.r, 0, e.pool, e.data, 10));
	ASSERT_EQ(5, op_write(&e.r, 0, out, 5, MSG_MORE));
	/* the kernel lets go of it after 200 ms at the latest */
	EXPECT_EQ(-1, recv(in, seen, sizeof(seen), MSG_DONTWAIT));
	ASSERT_EQ(5, op_write(&e.r, 0, out, 5, 0));
	ASSERT_EQ(10, recv(in, seen, sizeof(seen), 0));
	EXPECT_SAME(e.data, seen, 10);
	close(out);
	close(in);
	env_close(&e);
}

TEST(reset_by_the_peer_is_reported)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };
	struct env e;
	int out, in, res;

	if (!iolite_present())
		SKIP(return, "the kernel has no IO-Lite");
	ASSERT_EQ(0, env_open(&e));
	ASSERT_EQ(0, tcp_pair(&out, &in));
	ASSERT_EQ(10, op_alloc(&e.r, 0, e.pool, e.data, 10));
	ASSERT_EQ(0, setsockopt(in, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(in);
	usleep(10000);
	res = op_write(&e.r, 0, out, 5, 0);
	EXPECT_TRUE(res == -ECONNRESET || res == -EPIPE)
		TH_LOG("seen %d", res);
	close(out);
	env_close(&e);
}

TEST(socket_that_is_not_connected_is_refused)
{
	struct env e;
	int out = socket(AF_INET, SOCK_STREAM, 0);

	if (!iolite_present())
		SKIP(return, "the kernel has no IO-Lite");
	ASSERT_EQ(0, env_open(&e));
	ASSERT_EQ(10, op_alloc(&e.r, 0, e.pool, e.data, 10));
	EXPECT_EQ(-EPIPE, op_write(&e.r, 0, out, 5, 0));
	EXPECT_EQ(0, op_edit(&e.r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	close(out);
	env_close(&e);
}

/* ---- kTLS ---- */

#ifndef SOL_TLS
#define SOL_TLS	282
#endif
#ifndef TCP_ULP
#define TCP_ULP	31
#endif

static int start_tls(int out, int in)
{
	struct tls12_crypto_info_aes_gcm_128 key = {
		.info.version = TLS_1_2_VERSION,
		.info.cipher_type = TLS_CIPHER_AES_GCM_128,
	};

	return setsockopt(out, IPPROTO_TCP, TCP_ULP, "tls", 4) ||
	       setsockopt(in, IPPROTO_TCP, TCP_ULP, "tls", 4) ||
	       setsockopt(out, SOL_TLS, TLS_TX, &key, sizeof(key)) ||
	       setsockopt(in, SOL_TLS, TLS_RX, &key, sizeof(key)) ? -errno : 0;
}

FIXTURE(tls) {
	struct env e;
	int out, in;
};

FIXTURE_SETUP(tls)
{
	OPEN_ENV(&self->e);
	ASSERT_EQ(0, tcp_pair(&self->out, &self->in));
	if (start_tls(self->out, self->in))
		SKIP(return, "the kernel has no CONFIG_TLS or no AES-GCM");
}

FIXTURE_TEARDOWN(tls)
{
	close(self->out);
	close(self->in);
	env_close(&self->e);
}

/* I1: encryption must have a page of its own to write to */
TEST_F(tls, encrypted_bytes_arrive_and_leave_file_and_memory_alone)
{
	const int len = 20 * PAGE;
	struct env *e = &self->e;
	int slot;

	ASSERT_EQ(len, op_read(&e->r, 0, e->file, 0, len));
	ASSERT_EQ(len, op_alloc(&e->r, 1, e->pool, e->data, len));
	for (slot = 0; slot < 2; slot++) {
		ASSERT_EQ(len, op_write(&e->r, slot, self->out, 0, MSG_WAITALL));
		ASSERT_EQ(len, read_full(self->in, e->seen, len));
		EXPECT_SAME(e->data, e->seen, len)
			TH_LOG("received");
		ASSERT_EQ(len, agg_bytes(&e->r, slot, e->seen, len));
		EXPECT_SAME(e->data, e->seen, len)
			TH_LOG("the aggregate");
	}
	ASSERT_EQ(len, pread_full(e->file, e->seen, len, 0));
	EXPECT_SAME(e->data, e->seen, len)
		TH_LOG("the file");
}

/* There is no more to come, so what was sent leaves; nobody waits for the peer with it */
TEST_F_TIMEOUT(tls, transmit_of_a_file_that_gets_shorter_ends, 60)
{
	struct env *e = &self->e;
	struct io_uring_sqe sqe = sqe_transmit(&e->r, self->out, e->data, 200, e->file,
					       FILE_SIZE, 0);
	struct io_uring_cqe cqe;

	ASSERT_LE(0, set_sndbuf(self->out, 8 * PAGE));
	ring_put(&e->r, &sqe);
	ASSERT_EQ(1, ring_submit(&e->r));
	EXPECT_EQ(-ETIME, ring_reap(&e->r, &cqe, 50));
	ASSERT_EQ(0, ftruncate(e->file, 0));
	/* room is made once, and no more */
	ASSERT_EQ(16 * PAGE, read_full(self->in, e->seen, 16 * PAGE));
	ASSERT_EQ(0, ring_reap(&e->r, &cqe, IOLITE_TIMEOUT_MS));
	ASSERT_LT(16 * PAGE, cqe.res);
	ASSERT_GT(FILE_SIZE, cqe.res);
	ASSERT_EQ(cqe.res - 16 * PAGE, read_full(self->in, e->seen + 16 * PAGE,
						 cqe.res - 16 * PAGE));
	EXPECT_SAME(e->data, e->seen, 200);
	EXPECT_SAME(e->data, e->seen + 200, cqe.res - 200);
	EXPECT_EQ(-1, recv(self->in, e->seen, 1, MSG_DONTWAIT));
}

/* ---- datagrams ---- */

FIXTURE(udp) {
	struct env e;
	struct ring *r;
	int out, in;
	struct sockaddr_in to;
};

FIXTURE_SETUP(udp)
{
	socklen_t len = sizeof(self->to);

	OPEN_ENV(&self->e);
	self->r = &self->e.r;
	self->out = socket(AF_INET, SOCK_DGRAM, 0);
	self->in = socket(AF_INET, SOCK_DGRAM, 0);
	self->to.sin_family = AF_INET;
	self->to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ASSERT_EQ(0, bind(self->in, (void *)&self->to, len));
	ASSERT_EQ(0, getsockname(self->in, (void *)&self->to, &len));
}

FIXTURE_TEARDOWN(udp)
{
	close(self->out);
	close(self->in);
	env_close(&self->e);
}

TEST_F(udp, connected_write_is_one_datagram)
{
	static const unsigned int sizes[] = { 1, 100, 1472, 1473, 9000, 30000, 65000, 65507 };
	unsigned int i;

	ASSERT_EQ(0, connect(self->out, (void *)&self->to, sizeof(self->to)));
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		int len = sizes[i];

		ASSERT_EQ(len, op_read(self->r, 0, self->e.file, 77, len));
		ASSERT_EQ(len, op_write(self->r, 0, self->out, 0, 0))
			TH_LOG("%d bytes", len);
		ASSERT_EQ(len, recv(self->in, self->e.seen, BIG, 0));
		EXPECT_SAME(self->e.data + 77, self->e.seen, len);
	}
}

TEST_F(udp, too_large_a_datagram_is_refused_and_moves_nothing)
{
	ASSERT_EQ(0, connect(self->out, (void *)&self->to, sizeof(self->to)));
	ASSERT_EQ(65508, op_read(self->r, 0, self->e.file, 0, 65508));
	EXPECT_EQ(-EMSGSIZE, op_write(self->r, 0, self->out, 0, 0));
	EXPECT_EQ(0, op_edit(self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
	EXPECT_EQ(65507, op_write(self->r, 0, self->out, 65507, 0));
	ASSERT_EQ(65507, recv(self->in, self->e.seen, BIG, 0));
	EXPECT_SAME(self->e.data, self->e.seen, 65507);
	/* nothing of what was refused is in the way of the next */
	ASSERT_EQ(10, op_read(self->r, 0, self->e.file, 5, 10));
	EXPECT_EQ(10, op_write(self->r, 0, self->out, 0, 0));
	ASSERT_EQ(10, recv(self->in, self->e.seen, BIG, 0));
	EXPECT_SAME(self->e.data + 5, self->e.seen, 10);
}

TEST_F(udp, destination_address_is_used)
{
	struct io_uring_sqe sqe;

	ASSERT_EQ(500, op_alloc(self->r, 0, self->e.pool, self->e.data, 500));
	EXPECT_EQ(-EDESTADDRREQ, op_write(self->r, 0, self->out, 0, 0));
	sqe = sqe_write(self->r, 0, self->out, 0, 0);
	sqe.addr = (uintptr_t)&self->to;
	sqe.addr3 = sizeof(self->to);
	EXPECT_EQ(500, ring_run(self->r, &sqe));
	ASSERT_EQ(500, recv(self->in, self->e.seen, BIG, 0));
	EXPECT_SAME(self->e.data, self->e.seen, 500);
}

TEST_F(udp, wrong_destination_address_is_refused)
{
	struct io_uring_sqe sqe;

	ASSERT_EQ(500, op_alloc(self->r, 0, self->e.pool, self->e.data, 500));
	sqe = sqe_write(self->r, 0, self->out, 0, 0);
	sqe.addr = 8;
	sqe.addr3 = sizeof(self->to);
	EXPECT_EQ(-EFAULT, ring_run(self->r, &sqe));
	sqe.addr = (uintptr_t)&self->to;
	sqe.addr3 = 3;
	EXPECT_EQ(-EINVAL, ring_run(self->r, &sqe));
	sqe.addr3 = 10000;
	EXPECT_EQ(-EINVAL, ring_run(self->r, &sqe));
	sqe.addr3 = sizeof(self->to) | 1ULL << 32;
	EXPECT_EQ(-EINVAL, ring_run(self->r, &sqe));
}

TEST_F(udp, more_joins_writes_into_one_datagram)
{
	ASSERT_EQ(0, connect(self->out, (void *)&self->to, sizeof(self->to)));
	ASSERT_EQ(300, op_read(self->r, 0, self->e.file, 0, 300));
	EXPECT_EQ(100, op_write(self->r, 0, self->out, 100, MSG_MORE));
	EXPECT_EQ(-1, recv(self->in, self->e.seen, BIG, MSG_DONTWAIT));
	EXPECT_EQ(200, op_write(self->r, 0, self->out, 0, 0));
	ASSERT_EQ(300, recv(self->in, self->e.seen, BIG, 0));
	EXPECT_SAME(self->e.data, self->e.seen, 300);
}

/* ---- I2: a device that cannot gather makes the stack copy ---- */

#define DUMMY	"dummy0"

static int dummy_ioctl(unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), ret;

	strcpy(ifr->ifr_name, DUMMY);
	ret = ioctl(fd, request, ifr) ? -errno : 0;
	close(fd);
	return ret;
}

static int dummy_up(bool up)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0xc6336401),	/* 198.51.100.1 */
	};
	struct ifreq ifr = { };
	int ret = 0;

	if (up) {
		memcpy(&ifr.ifr_addr, &addr, sizeof(addr));
		ret = dummy_ioctl(SIOCSIFADDR, &ifr);
	}
	ifr.ifr_flags = up ? IFF_UP : 0;
	return ret ?: dummy_ioctl(SIOCSIFFLAGS, &ifr);
}

static int dummy_gathers(bool on)
{
	struct ethtool_value value = { .cmd = ETHTOOL_SSG, .data = on };
	struct ifreq ifr = { .ifr_data = (void *)&value };

	return dummy_ioctl(SIOCETHTOOL, &ifr);
}

TEST_F(udp, datagrams_that_the_stack_copies_are_counted)
{
	const int len = 1400;
	int gathers;

	if (geteuid() || if_nametoindex(DUMMY) == 0)
		SKIP(return, "needs root and the device " DUMMY " (CONFIG_DUMMY)");
	ASSERT_EQ(0, dummy_up(true));
	self->to.sin_addr.s_addr = htonl(0xc6336402);
	ASSERT_EQ(len, op_read(self->r, 0, self->e.file, 0, len));
	for (gathers = 0; gathers < 2; gathers++) {
		struct io_uring_sqe sqe = sqe_write(self->r, 0, self->out, 0, 0);
		long sent, copied;

		ASSERT_EQ(0, dummy_gathers(gathers));
		sent = stat_get("sent_bytes");
		copied = stat_get("copied_special");
		sqe.addr = (uintptr_t)&self->to;
		sqe.addr3 = sizeof(self->to);
		ASSERT_LE(0, op_edit(self->r, 0, IOLITE_EDIT_SEEK, 0, 0, SEEK_SET));
		EXPECT_EQ(len, ring_run(self->r, &sqe));
		EXPECT_EQ(gathers ? len : 0, stat_get("sent_bytes") - sent);
		EXPECT_EQ(gathers ? 0 : len, stat_get("copied_special") - copied);
	}
	EXPECT_EQ(0, dummy_up(false));
}

FIXTURE(message) {
	struct env e;
	struct ring *r;
	int out, in;
};

FIXTURE_VARIANT(message) {
	int type;
};

FIXTURE_VARIANT_ADD(message, unix_dgram) {
	.type = SOCK_DGRAM,
};

FIXTURE_VARIANT_ADD(message, unix_seqpacket) {
	.type = SOCK_SEQPACKET,
};

FIXTURE_SETUP(message)
{
	OPEN_ENV(&self->e);
	self->r = &self->e.r;
	ASSERT_EQ(0, unix_pair(variant->type, &self->out, &self->in));
}

FIXTURE_TEARDOWN(message)
{
	close(self->out);
	close(self->in);
	env_close(&self->e);
}

TEST_F(message, boundaries_are_kept)
{
	static const int sizes[] = { 1, 100, 5000, 60000 };
	unsigned int i, off = 0;

	ASSERT_EQ(65101, op_read(self->r, 0, self->e.file, 0, 65101));
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		ASSERT_EQ(sizes[i], op_write(self->r, 0, self->out, sizes[i], 0));
		ASSERT_EQ(sizes[i], recv(self->in, self->e.seen, BIG, 0));
		EXPECT_SAME(self->e.data + off, self->e.seen, sizes[i]);
		off += sizes[i];
	}
	EXPECT_EQ(0, op_write(self->r, 0, self->out, 0, 0));
}

TEST_F(message, too_large_a_message_is_refused_and_moves_nothing)
{
	ASSERT_EQ(BIG, (unsigned int)op_alloc(self->r, 0, self->e.pool, self->e.data, BIG));
	EXPECT_EQ(-EMSGSIZE, op_write(self->r, 0, self->out, 0, 0));
	EXPECT_EQ(0, op_edit(self->r, 0, IOLITE_EDIT_TELL, 0, 0, 0));
}

TEST_F(message, full_queue_is_waited_for)
{
	struct io_uring_cqe cqe;
	int res, queued = 0;

	ASSERT_EQ(10000, op_alloc(self->r, 0, self->e.pool, self->e.data, 10000));
	while ((res = op_write(self->r, 0, self->out, 100, MSG_DONTWAIT)) == 100) {
		queued++;
		ASSERT_LE(0, op_edit(self->r, 0, IOLITE_EDIT_SEEK, 0, 0, SEEK_SET));
		ASSERT_GT(100000, queued);
	}
	ASSERT_EQ(-EAGAIN, res);
	put(self->r, sqe_write(self->r, 0, self->out, 200, 0), 1);
	ASSERT_EQ(1, ring_submit(self->r));
	EXPECT_EQ(-ETIME, ring_reap(self->r, &cqe, 50));
	while (queued--)
		ASSERT_EQ(100, recv(self->in, self->e.seen, BIG, 0));
	ASSERT_EQ(0, ring_reap(self->r, &cqe, IOLITE_TIMEOUT_MS));
	EXPECT_EQ(200, cqe.res);
	ASSERT_EQ(200, recv(self->in, self->e.seen, BIG, 0));
	EXPECT_SAME(self->e.data, self->e.seen, 200);
}

FS_HARNESS_MAIN

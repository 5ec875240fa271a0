// SPDX-License-Identifier: GPL-2.0
/*
 * I6: whatever way a process ends, every counter is back where it began.
 *
 * What a child does is a function; how it ends is the fixture's variant, so that
 * each holding of resources meets each end.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE	4096
#define BIG	(1 << 18)

enum end { END_EXIT, END_EXEC, END_KILL, END_FAULT, END_CLOSE };

FIXTURE(end) {
	struct stat_objects before;
	char what[512];
	int ready[2];
};

FIXTURE_VARIANT(end) {
	enum end end;
};

FIXTURE_VARIANT_ADD(end, by_exit) { .end = END_EXIT };
FIXTURE_VARIANT_ADD(end, by_exec) { .end = END_EXEC };
FIXTURE_VARIANT_ADD(end, by_sigkill) { .end = END_KILL };
FIXTURE_VARIANT_ADD(end, by_a_fault) { .end = END_FAULT };
FIXTURE_VARIANT_ADD(end, by_closing_the_ring) { .end = END_CLOSE };

FIXTURE_SETUP(end)
{
	if (!iolite_present())
		SKIP(return, "the kernel has no IO-Lite");
	ASSERT_EQ(0, pipe(self->ready));
	stat_objects_get(&self->before);
}

FIXTURE_TEARDOWN(end)
{
	close(self->ready[0]);
}

/* A ring, its pool, and some of everything in its slots */
static int fill_ring(struct ring *r)
{
	static char data[100000];
	int pool, ret, fd = fs_file(FS_TMPFS, 0, NULL);
	struct iolite_extent ext[16];
	unsigned int i;
	char *at;

	if (ring_open(r, 64))
		return -EIO;
	/* threads are one domain: the first of them joins for all */
	ret = ring_join(r);
	if (ret && ret != -EEXIST)
		return ret;
	pool = pool_create(r, 0);
	if (pool < 0 || fd < 0 || write_full(fd, data, sizeof(data)) != sizeof(data))
		return -EIO;
	for (i = 0; i < 8; i++) {
		if (op_alloc(r, i, pool, data, 1 + i * 5000) < 0 ||
		    op_read(r, 8 + i, fd, i * 3000, 50000) < 0 ||
		    op_edit(r, i, IOLITE_EDIT_CONCAT, 8 + i, 0, 0) < 0 ||
		    op_edit(r, i, IOLITE_EDIT_DUP, 16 + i, 0, 0) < 0 ||
		    op_map(r, i, ext, ARRAY_LEN(ext), 0) < 0 ||
		    op_alloc_writable(r, 24 + i, pool, 1 + i * 7000, &at) < 0)
			return -EIO;
		*at = 'x';
	}
	/* a tree of slices */
	for (i = 0; i < 10; i++)
		if (op_edit(r, 0, IOLITE_EDIT_CONCAT, 0, 0, 0) < 0)
			return -EIO;
	return pool;
}

/*
 * A UNIX socket or one of TCP.  That would stay for a minute when it was closed, as long as
 * nobody takes what it still has to send, and so would the memory: it is told not to.
 */
static int any_pair(unsigned int which, int *a, int *b)
{
	struct linger none = { .l_onoff = 1 };
	int ret;

	if (!(which & 1))
		return unix_pair(SOCK_STREAM, a, b);
	ret = tcp_pair(a, b);
	if (!ret && (setsockopt(*a, SOL_SOCKET, SO_LINGER, &none, sizeof(none)) ||
		     setsockopt(*b, SOL_SOCKET, SO_LINGER, &none, sizeof(none))))
		ret = -errno;
	return ret;
}

static int hold_objects(struct ring *r)
{
	int ret = fill_ring(r);

	return ret < 0 ? ret : 0;
}

/* Writes that wait for their sockets, of both kinds, and a read that waits for a pipe */
static int hold_requests(struct ring *r)
{
	static char data[BIG];
	int pool = fill_ring(r), a[6], b[6], p[2], i;
	struct io_uring_sqe sqe;

	if (pool < 0)
		return pool;
	for (i = 0; i < 6; i++) {
		if (any_pair(i, &a[i], &b[i]))
			return -EIO;
		set_sndbuf(a[i], 4096);
		if (op_alloc(r, 40 + i, pool, data, BIG) != BIG)
			return -EIO;
	}
	if (pipe(p))
		return -EIO;
	for (i = 0; i < 6; i++) {
		sqe = sqe_write(r, 40 + i, a[i], 0, MSG_WAITALL);
		if (i >= 4) {
			sqe = sqe_transmit(r, a[i], data, 1000, 40 + i, 0, 0);
			sqe.ioprio = IOLITE_TRANSMIT_SLOT;
		}
		if (i & 2)
			sqe.flags = IOSQE_ASYNC;
		ring_put(r, &sqe);
	}
	sqe = sqe_read(r, 50, p[0], -1, 100);
	sqe.flags = IOSQE_IO_LINK;
	ring_put(r, &sqe);
	sqe = sqe_edit(r, 50, IOLITE_EDIT_CONCAT, 0, 0, 0);
	ring_put(r, &sqe);
	return ring_submit(r) == 8 ? 0 : -EIO;
}

/* Data that only sockets hold any more */
static int hold_data_in_sockets(struct ring *r)
{
	int a, b, i;

	if (fill_ring(r) < 0)
		return -EIO;
	for (i = 0; i < 6; i++) {
		if (any_pair(i, &a, &b))
			return -EIO;
		if (op_write(r, i, a, 0, MSG_DONTWAIT) <= 0 || op_free(r, i, 1) != 1)
			return -EIO;
	}
	return 0;
}

static void *thread_with_a_ring(void *arg)
{
	struct ring r;

	if (hold_requests(&r))
		_exit(9);
	pthread_barrier_wait(arg);
	pause();
	return NULL;
}

static int hold_by_threads(struct ring *r)
{
	static pthread_barrier_t barrier;
	pthread_t thread;
	int i;

	pthread_barrier_init(&barrier, NULL, 4);
	for (i = 0; i < 3; i++)
		if (pthread_create(&thread, NULL, thread_with_a_ring, &barrier))
			return -EIO;
	pthread_barrier_wait(&barrier);
	return hold_objects(r);
}

/* The ring has another process, which goes first */
static int hold_over_a_fork(struct ring *r)
{
	struct iolite_extent ext;
	int status;

	if (fill_ring(r) < 0)
		return -EIO;
	if (!fork())
		_exit(ring_join(r) || op_map(r, 1, &ext, 1, 0) != 1 ||
		      op_free(r, 2, 1) != 1);
	wait(&status);
	return status ? -EIO : 0;
}

static void child(enum end end, int ready, int (*hold)(struct ring *r))
{
	struct ring r;
	char ok = hold(&r) ? 'E' : 'K';

	if (write(ready, &ok, 1) != 1)
		_exit(1);
	switch (end) {
	case END_EXIT:
		_exit(0);
	case END_EXEC:
		execl("/bin/sleep", "sleep", "0.1", NULL);
		_exit(1);
	case END_KILL:
		pause();
		break;
	case END_FAULT:
		*(volatile char *)(uintptr_t)(r.table.window_base + r.table.window_size - 1) = 1;
		break;
	case END_CLOSE:
		ring_close(&r);
		_exit(0);
	}
	_exit(2);
}

static void check(struct __test_metadata *_metadata, struct _test_data_end *self, enum end end,
		  int (*hold)(struct ring *r))
{
	int status;
	char ok;
	pid_t pid;

	pid = fork();
	if (!pid)
		child(end, self->ready[1], hold);
	close(self->ready[1]);
	ASSERT_EQ(1, read(self->ready[0], &ok, 1));
	EXPECT_EQ('K', ok);
	if (end == END_KILL)
		kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(end == END_KILL ? SIGKILL : end == END_FAULT ? SIGSEGV : 0, WTERMSIG(status));
	EXPECT_EQ(0, stat_objects_wait(&self->before, self->what, sizeof(self->what)))
		TH_LOG("%s", self->what);
}

TEST_F_TIMEOUT(end, leaves_no_object, 60)
{
	check(_metadata, self, variant->end, hold_objects);
}

TEST_F_TIMEOUT(end, leaves_no_request, 60)
{
	check(_metadata, self, variant->end, hold_requests);
}

TEST_F_TIMEOUT(end, leaves_no_data_in_sockets, 60)
{
	check(_metadata, self, variant->end, hold_data_in_sockets);
}

TEST_F_TIMEOUT(end, leaves_nothing_of_threads, 60)
{
	if (variant->end == END_CLOSE)
		SKIP(return, "the other rings are the threads'");
	check(_metadata, self, variant->end, hold_by_threads);
}

TEST_F_TIMEOUT(end, leaves_nothing_of_a_shared_ring, 60)
{
	check(_metadata, self, variant->end, hold_over_a_fork);
}

/* ---- killed anywhere ---- */

/* Does anything, in any order, for ever; errors do not matter */
static void churn(unsigned int seed)
{
	static char data[200000];
	struct iolite_extent ext[8];
	/* of ext4 are not only in memory: reading may have to wait for a disk */
	int fd = fs_file(seed & 2 && !fs_missing(FS_EXT4) ? FS_EXT4 : FS_TMPFS, 0, NULL);
	int pool, a, b;
	struct io_uring_cqe cqe;
	struct ring r;
	char *at;

	if (write_full(fd, data, sizeof(data)) < 0 || ring_open(&r, 32) || ring_join(&r))
		_exit(1);
	pool = pool_create(&r, 0);
	if (any_pair(seed, &a, &b))
		_exit(1);
	for (;;) {
		unsigned int s = random_below(&seed, 32), t = random_below(&seed, 32);
		unsigned int len = 1 + random_below(&seed, 100000);
		struct io_uring_sqe sqe;

		switch (random_below(&seed, 13)) {
		case 0:
			op_alloc(&r, s, pool, data, len);
			break;
		case 1:
			op_alloc_writable(&r, s, pool, len, &at);
			break;
		case 2:
		case 3:
			op_read(&r, s, fd, random_below(&seed, sizeof(data)), len);
			break;
		case 4:
			op_edit(&r, s, random_below(&seed, IOLITE_NR_EDITS), t, 0, 0);
			break;
		case 5:
			op_map(&r, s, ext, ARRAY_LEN(ext), 0);
			break;
		case 6:
			op_free(&r, s, 1);
			break;
		case 7:
			op_seal(&r, s);
			break;
		case 8:
		case 9:
		case 10:
			/* these may wait; more of them must not pile up */
			sqe = sqe_write(&r, s, a, 0, MSG_WAITALL);
			if (random_below(&seed, 2)) {
				sqe = sqe_transmit(&r, a, data, t * 100, fd, len, t * 5000);
			} else if (random_below(&seed, 2)) {
				sqe = sqe_transmit(&r, a, data, t * 100, s, len, t * 100);
				sqe.ioprio = IOLITE_TRANSMIT_SLOT;
			}
			sqe.flags = random_below(&seed, 2) ? IOSQE_ASYNC : 0;
			sqe.user_data = 1;
			ring_put(&r, &sqe);
			ring_submit(&r);
			while (ring_reap(&r, &cqe, 1) == -ETIME)
				recv(b, data, sizeof(data), MSG_DONTWAIT);
			break;
		case 11:
			fs_cold(fd);
			break;
		default:
			pwrite(fd, data, len, 0);
			if (!random_below(&seed, 4) && ftruncate(fd, len))
				_exit(1);
			break;
		}
	}
}

#define WORKERS	4

TEST_F_TIMEOUT(end, of_many_at_random_leaves_nothing, 60)
{
	unsigned int seed = time(NULL), rnd = seed, kills = 0, i;
	time_t until = time(NULL) + 6;
	pid_t pids[WORKERS] = {};
	int status;

	if (variant->end != END_KILL)
		SKIP(return, "this is about SIGKILL");
	TH_LOG("seed %u", seed);
	while (time(NULL) < until) {
		i = random_below(&rnd, WORKERS);
		if (pids[i]) {
			kill(pids[i], SIGKILL);
			ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
			EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
				TH_LOG("a worker ended by itself: %#x", status);
			kills++;
		}
		pids[i] = fork();
		if (!pids[i])
			churn(rnd + i);
		usleep(random_below(&rnd, 40000));
	}
	for (i = 0; i < WORKERS; i++) {
		if (!pids[i])
			continue;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
	}
	TH_LOG("%u processes killed", kills);
	EXPECT_EQ(0, stat_objects_wait(&self->before, self->what, sizeof(self->what)))
		TH_LOG("%s", self->what);
}

FS_HARNESS_MAIN

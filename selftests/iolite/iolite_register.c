// SPDX-License-Identifier: GPL-2.0
/* Registration of the slot table and of pools; what a pool's fd can do */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"

/* ---- the table ---- */

FIXTURE(table) {
	struct ring r;
	struct iolite_reg_table t;
};

FIXTURE_SETUP(table)
{
	if (!iolite_present())
		SKIP(return, "the kernel has no IO-Lite");
	ASSERT_EQ(0, ring_setup(&self->r, 8, 0));
	self->t.size = sizeof(self->t);
	self->t.nr_slots = 16;
}

FIXTURE_TEARDOWN(table)
{
	ring_close(&self->r);
}

TEST_F(table, reports_opcodes_limits_and_window)
{
	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
	EXPECT_EQ(sizeof(self->t), self->t.size);
	EXPECT_EQ(16, self->t.nr_slots);
	EXPECT_GT(self->t.first_op, IORING_OP_NOP);
	EXPECT_LE(self->t.first_op + IOLITE_NR_OPS, 256);
	EXPECT_EQ(IOLITE_NR_OPS, self->t.nr_ops);
	EXPECT_GE(self->t.max_slices, 1024);
	EXPECT_GE(self->t.max_bytes, 1ULL << 30);
	EXPECT_NE(0, self->t.window_base);
	EXPECT_EQ(0, self->t.window_base % getpagesize());
	EXPECT_GE(self->t.window_size, 1ULL << 20);
	EXPECT_EQ(0, self->t.window_size % getpagesize());
	EXPECT_EQ(0, self->t.resv[0] | self->t.resv[1] | self->t.resv[2] | self->t.resv[3]);
}

TEST_F(table, every_ring_gets_the_same_window)
{
	struct ring other;

	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
	ASSERT_EQ(0, ring_open(&other, 1));
	EXPECT_EQ(self->t.window_base, other.table.window_base);
	EXPECT_EQ(self->t.window_size, other.table.window_size);
	ring_close(&other);
}

TEST_F(table, refuses_every_wrong_field)
{
	static const struct {
		const char *what;
		size_t off, size;
		__u64 value;
	} fields[] = {
#define F(name, v)	{ #name, offsetof(struct iolite_reg_table, name), \
			  sizeof(((struct iolite_reg_table *)0)->name), v }
		F(size, 0),
		F(size, sizeof(struct iolite_reg_table) - 8),
		F(size, sizeof(struct iolite_reg_table) + 8),
		F(size, ~0U),
		F(flags, 1),
		F(flags, 1U << 31),
		F(nr_slots, 0),
		F(resv[0], 1),
		F(resv[1], 1ULL << 63),
		F(resv[2], 1),
		F(resv[3], 1),
#undef F
	};
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(fields); i++) {
		struct iolite_reg_table t = self->t;

		memcpy((char *)&t + fields[i].off, &fields[i].value, fields[i].size);
		EXPECT_EQ(-EINVAL, ring_register(&self->r, IOLITE_REGISTER_TABLE, &t, 1))
			TH_LOG("%s = %llu", fields[i].what, fields[i].value);
	}
	EXPECT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
}

TEST_F(table, refuses_wrong_arguments)
{
	EXPECT_EQ(-EINVAL, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 0));
	EXPECT_EQ(-EINVAL, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 2));
	EXPECT_GT(0, ring_register(&self->r, IOLITE_REGISTER_TABLE, NULL, 1));
	EXPECT_EQ(-EFAULT, ring_register(&self->r, IOLITE_REGISTER_TABLE, (void *)8, 1));
}

TEST_F(table, answer_that_cannot_be_written_leaves_no_table)
{
	struct iolite_reg_table *t = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, t);
	*t = self->t;
	ASSERT_EQ(0, mprotect(t, getpagesize(), PROT_READ));
	EXPECT_EQ(-EFAULT, ring_register(&self->r, IOLITE_REGISTER_TABLE, t, 1));
	EXPECT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
}

TEST_F(table, second_registration_is_busy_and_unregistration_makes_room)
{
	EXPECT_EQ(-ENXIO, ring_register(&self->r, IOLITE_UNREGISTER_TABLE, NULL, 0));
	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
	EXPECT_EQ(-EBUSY, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
	EXPECT_EQ(-EINVAL, ring_register(&self->r, IOLITE_UNREGISTER_TABLE, &self->t, 0));
	EXPECT_EQ(-EINVAL, ring_register(&self->r, IOLITE_UNREGISTER_TABLE, NULL, 1));
	EXPECT_EQ(0, ring_register(&self->r, IOLITE_UNREGISTER_TABLE, NULL, 0));
	EXPECT_EQ(-ENXIO, ring_register(&self->r, IOLITE_UNREGISTER_TABLE, NULL, 0));
	EXPECT_EQ(0, ring_table(&self->r, 4));
}

TEST_F(table, size_is_limited_by_the_sysctl)
{
	long max = sysctl_get("iolite_max_slots");

	ASSERT_GT(max, 0);
	if (max < IOLITE_MAX_SLOTS) {
		self->t.nr_slots = max + 1;
		EXPECT_EQ(-E2BIG, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
	}
	self->t.nr_slots = IOLITE_MAX_SLOTS + 1;
	EXPECT_EQ(-EINVAL, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
	self->t.nr_slots = max;
	EXPECT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
	EXPECT_EQ(0, ring_register(&self->r, IOLITE_UNREGISTER_TABLE, NULL, 0));

	if (geteuid())
		SKIP(return, "changing a sysctl needs root");
	ASSERT_EQ(0, sysctl_set("iolite_max_slots", 10));
	self->t.nr_slots = 11;
	EXPECT_EQ(-E2BIG, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
	self->t.nr_slots = 10;
	EXPECT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
	EXPECT_EQ(0, sysctl_set("iolite_max_slots", max));
}

/* I6 */
TEST_F(table, slots_are_counted_and_given_back)
{
	long before = stat_settled("slots");

	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
	EXPECT_EQ(before + 16, stat_get("slots"));
	EXPECT_EQ(0, ring_register(&self->r, IOLITE_UNREGISTER_TABLE, NULL, 0));
	EXPECT_EQ(before, stat_wait("slots", before));
	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_TABLE, &self->t, 1));
	ring_close(&self->r);
	EXPECT_EQ(before, stat_wait("slots", before));
}

TEST_F(table, unregistering_frees_what_the_slots_held)
{
	long before = stat_settled("aggregates");
	int pool;

	ASSERT_EQ(0, ring_table(&self->r, 4));
	pool = pool_create(&self->r, 0);
	ASSERT_GE(pool, 0);
	EXPECT_EQ(4, op_alloc(&self->r, 0, pool, "data", 4));
	EXPECT_EQ(0, ring_register(&self->r, IOLITE_UNREGISTER_TABLE, NULL, 0));
	EXPECT_EQ(before, stat_wait("aggregates", before));
	EXPECT_EQ(0, ring_table(&self->r, 4));
	EXPECT_EQ(-ENOENT, op_length(&self->r, 0));
}

TEST_F(table, probe_lists_the_opcodes)
{
	size_t size = sizeof(struct io_uring_probe) + 256 * sizeof(struct io_uring_probe_op);
	struct io_uring_probe *probe = calloc(1, size);
	unsigned int i;

	ASSERT_NE(NULL, probe);
	ASSERT_EQ(0, ring_table(&self->r, 1));
	ASSERT_EQ(0, ring_register(&self->r, IORING_REGISTER_PROBE, probe, 256));
	ASSERT_GE(probe->last_op, self->r.table.first_op + IOLITE_NR_OPS - 1);
	for (i = 0; i < IOLITE_NR_OPS; i++)
		EXPECT_TRUE(probe->ops[self->r.table.first_op + i].flags & IO_URING_OP_SUPPORTED)
			TH_LOG("opcode %u", i);
	free(probe);
}

/* ---- restrictions ---- */

static int restrict_ring(struct ring *r, struct io_uring_restriction *res, unsigned int nr)
{
	int ret = ring_register(r, IORING_REGISTER_RESTRICTIONS, res, nr);

	return ret ? ret : ring_register(r, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

FIXTURE(restricted) {
	struct ring r;
};

FIXTURE_SETUP(restricted)
{
	if (!iolite_present())
		SKIP(return, "the kernel has no IO-Lite");
	ASSERT_EQ(0, ring_setup(&self->r, 8, IORING_SETUP_R_DISABLED));
}

FIXTURE_TEARDOWN(restricted)
{
	ring_close(&self->r);
}

TEST_F(restricted, ring_refuses_opcodes_that_are_not_listed)
{
	struct io_uring_restriction res = { .opcode = IORING_RESTRICTION_SQE_OP };

	ASSERT_EQ(0, ring_table(&self->r, 4));
	res.sqe_op = self->r.table.first_op + IOLITE_OP_FREE;
	ASSERT_EQ(0, restrict_ring(&self->r, &res, 1));
	EXPECT_EQ(0, op_free(&self->r, 0, 4));
	EXPECT_EQ(-EACCES, op_length(&self->r, 0));
	EXPECT_EQ(-EACCES, op_read(&self->r, 0, 0, 0, 1));
}

/* Numbers beyond IORING_REGISTER_LAST must not be taken for others, or slip through */
TEST_F(restricted, ring_refuses_registrations)
{
	struct io_uring_restriction res[] = {
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_BUFFERS },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_PROBE },
	};
	struct iolite_reg_table t = { .size = sizeof(t), .nr_slots = 4 };

	ASSERT_EQ(0, restrict_ring(&self->r, res, ARRAY_LEN(res)));
	EXPECT_EQ(-EACCES, ring_register(&self->r, IOLITE_REGISTER_TABLE, &t, 1));
	EXPECT_EQ(-EACCES, pool_create(&self->r, 0));
	EXPECT_EQ(-EACCES, ring_register(&self->r, IOLITE_UNREGISTER_TABLE, NULL, 0));
}

TEST_F(restricted, ring_allows_the_registrations_that_are_listed)
{
	struct io_uring_restriction res = {
		.opcode = IORING_RESTRICTION_REGISTER_OP,
		.register_op = IOLITE_REGISTER_POOL,
	};
	int pool;

	ASSERT_EQ(0, restrict_ring(&self->r, &res, 1));
	pool = pool_create(&self->r, 0);
	EXPECT_LE(0, pool);
	EXPECT_EQ(-EACCES, ring_table(&self->r, 4));
	close(pool);
}

/* A socket of the ring's table only, as for every other opcode */
TEST_F(restricted, ring_transmits_only_to_what_it_was_given)
{
	struct io_uring_restriction res[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE },
	};
	int file = open("/tmp", O_TMPFILE | O_RDWR, 0600), out, in;
	struct io_uring_sqe sqe;
	char seen[8];

	ASSERT_EQ(0, tcp_pair(&out, &in));
	ASSERT_EQ(4, write_full(file, "body", 4));
	ASSERT_EQ(0, ring_table(&self->r, 4));
	ASSERT_EQ(0, ring_register(&self->r, IORING_REGISTER_FILES, &out, 1));
	res[0].sqe_op = self->r.table.first_op + IOLITE_OP_TRANSMIT;
	ASSERT_EQ(0, restrict_ring(&self->r, res, ARRAY_LEN(res)));
	sqe = sqe_transmit(&self->r, out, "head", 4, file, 4, 0);
	EXPECT_EQ(-EACCES, ring_run(&self->r, &sqe));
	sqe.flags = IOSQE_FIXED_FILE;
	sqe.fd = 1;
	EXPECT_EQ(-EBADF, ring_run(&self->r, &sqe));
	sqe.fd = 0;
	EXPECT_EQ(8, ring_run(&self->r, &sqe));
	ASSERT_EQ(8, read_full(in, seen, 8));
	EXPECT_SAME("headbody", seen, 8);
	EXPECT_EQ(-1, recv(in, seen, 1, MSG_DONTWAIT));
	close(file);
	close(out);
	close(in);
}

/* ---- pools ---- */

FIXTURE(pool) {
	struct ring r;
	struct iolite_reg_pool p;
};

FIXTURE_SETUP(pool)
{
	OPEN_RING(&self->r, 8);
	self->p.size = sizeof(self->p);
}

FIXTURE_TEARDOWN(pool)
{
	ring_close(&self->r);
}

TEST_F(pool, is_a_close_on_exec_fd)
{
	long before = stat_settled("pools");

	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_POOL, &self->p, 1));
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->p.fd, F_GETFD));
	EXPECT_EQ(before + 1, stat_get("pools"));
	EXPECT_EQ(0, close(self->p.fd));
	EXPECT_EQ(before, stat_wait("pools", before));
}

TEST_F(pool, refuses_every_wrong_field)
{
	static const struct {
		const char *what;
		size_t off, size;
		__u64 value;
	} fields[] = {
#define F(name, v)	{ #name, offsetof(struct iolite_reg_pool, name), \
			  sizeof(((struct iolite_reg_pool *)0)->name), v }
		F(size, 0),
		F(size, sizeof(struct iolite_reg_pool) - 8),
		F(size, sizeof(struct iolite_reg_pool) + 8),
		F(flags, IOLITE_POOL_PAGES << 1),
		F(flags, 1U << 31),
		F(resv, 1),
		F(resv2[0], 1),
		F(resv2[1], 1),
		F(resv2[2], 1ULL << 63),
#undef F
	};
	long before = stat_settled("pools");
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(fields); i++) {
		struct iolite_reg_pool p = self->p;

		memcpy((char *)&p + fields[i].off, &fields[i].value, fields[i].size);
		EXPECT_EQ(-EINVAL, ring_register(&self->r, IOLITE_REGISTER_POOL, &p, 1))
			TH_LOG("%s = %llu", fields[i].what, fields[i].value);
	}
	EXPECT_EQ(-EINVAL, ring_register(&self->r, IOLITE_REGISTER_POOL, &self->p, 0));
	EXPECT_EQ(-EINVAL, ring_register(&self->r, IOLITE_REGISTER_POOL, &self->p, 2));
	EXPECT_EQ(-EFAULT, ring_register(&self->r, IOLITE_REGISTER_POOL, (void *)8, 1));
	EXPECT_EQ(before, stat_wait("pools", before));
}

TEST_F(pool, answer_that_cannot_be_written_leaves_no_pool_and_no_fd)
{
	struct iolite_reg_pool *p = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long before = stat_settled("pools");
	int next = dup(0);

	ASSERT_NE(MAP_FAILED, p);
	*p = self->p;
	ASSERT_EQ(0, mprotect(p, getpagesize(), PROT_READ));
	close(next);
	EXPECT_EQ(-EFAULT, ring_register(&self->r, IOLITE_REGISTER_POOL, p, 1));
	EXPECT_EQ(before, stat_wait("pools", before));
	EXPECT_EQ(next, dup(0));
}

TEST_F(pool, share_whole_is_a_known_flag)
{
	self->p.flags = IOLITE_POOL_SHARE_WHOLE;
	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_POOL, &self->p, 1));
	EXPECT_EQ(5, op_alloc(&self->r, 0, self->p.fd, "hello", 5));
	close(self->p.fd);
}

TEST_F(pool, fd_is_good_for_nothing_but_allocation)
{
	char c;

	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_POOL, &self->p, 1));
	EXPECT_EQ(-1, read(self->p.fd, &c, 1));
	EXPECT_EQ(-1, write(self->p.fd, "x", 1));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, self->p.fd, 0));
	close(self->p.fd);
}

TEST_F(pool, outlives_its_fd_as_long_as_a_buffer_does)
{
	char seen[5];
	long before = stat_settled("pools");

	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_POOL, &self->p, 1));
	ASSERT_EQ(5, op_alloc(&self->r, 0, self->p.fd, "hello", 5));
	close(self->p.fd);
	ASSERT_EQ(5, agg_bytes(&self->r, 0, seen, 5));
	EXPECT_SAME("hello", seen, 5);
	EXPECT_EQ(before + 1, stat_get("pools"));
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	EXPECT_EQ(before, stat_wait("pools", before));
}

static int send_fd(int sock, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static int receive_fd(int sock)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	char c;
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof(control.buf),
	};
	int fd = -1;

	if (recvmsg(sock, &msg, 0) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* A process of its own, with a ring of its own, allocates from the pool */
static int use_pool_elsewhere(int pool, int sock)
{
	struct ring r;
	char seen[6];

	if (sock >= 0)
		pool = receive_fd(sock);
	if (pool < 0 || ring_open(&r, 4))
		return 1;
	if (op_alloc(&r, 0, pool, "second", 6) != 6)
		return 2;
	if (agg_bytes(&r, 0, seen, 6) != 6 || memcmp(seen, "second", 6))
		return 3;
	return 0;
}

TEST_F(pool, can_be_inherited_over_fork)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_POOL, &self->p, 1));
	pid = fork();
	if (!pid)
		_exit(use_pool_elsewhere(self->p.fd, -1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(self->p.fd);
}

TEST_F(pool, can_be_passed_over_a_socket)
{
	long before = stat_settled("pools");
	int pair[2], status;
	pid_t pid;

	ASSERT_EQ(0, unix_pair(SOCK_STREAM, &pair[0], &pair[1]));
	pid = fork();
	if (!pid)
		_exit(use_pool_elsewhere(-1, pair[1]));
	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_POOL, &self->p, 1));
	ASSERT_EQ(0, send_fd(pair[0], self->p.fd));
	close(self->p.fd);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(pair[0]);
	close(pair[1]);
	EXPECT_EQ(before, stat_wait("pools", before));
}

TEST_F(pool, in_a_message_that_nobody_reads_goes_with_the_socket)
{
	long before = stat_settled("pools");
	int pair[2];

	ASSERT_EQ(0, unix_pair(SOCK_STREAM, &pair[0], &pair[1]));
	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_POOL, &self->p, 1));
	ASSERT_EQ(0, send_fd(pair[0], self->p.fd));
	close(self->p.fd);
	EXPECT_EQ(before + 1, stat_get("pools"));
	close(pair[0]);
	close(pair[1]);
	EXPECT_EQ(before, stat_wait("pools", before));
}

TEST_F(pool, needs_no_table)
{
	struct ring bare;
	int pool;

	ASSERT_EQ(0, ring_setup(&bare, 4, 0));
	pool = pool_create(&bare, 0);
	EXPECT_GE(pool, 0);
	close(pool);
	ring_close(&bare);
}

TEST_HARNESS_MAIN

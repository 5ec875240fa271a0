/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the IO-Lite tests share: a ring by bare system calls, so that a test
 * decides about every bit of an SQE, one function per opcode, contents that can
 * be checked at any offset, and the counters.
 *
 * Functions return 0 or a count, or a negative errno.
 */
#ifndef IOLITE_UTIL_H
#define IOLITE_UTIL_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/io_uring.h>
#include <linux/iolite.h>

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

/* Longer than anything takes on an emulated machine with a debug kernel */
#define IOLITE_TIMEOUT_MS	20000

struct ring {
	int			fd;
	struct io_uring_params	p;
	void			*mem;
	size_t			mem_len;
	struct io_uring_sqe	*sqes;
	size_t			sqes_len;
	struct io_uring_cqe	*cqes;
	unsigned int		sq_tail;	/* ours; published by ring_submit() */
	struct iolite_reg_table	table;
	char			*window;	/* NULL until ring_join() */
	__u32			cqe_flags;	/* of the last ring_run() */
};

/* ---- the ring ---- */

int ring_setup(struct ring *r, unsigned int entries, unsigned int flags);
int ring_register(struct ring *r, unsigned int op, void *arg, unsigned int nr);
int ring_table(struct ring *r, unsigned int slots);
int ring_open(struct ring *r, unsigned int slots);
int ring_join(struct ring *r);
void ring_close(struct ring *r);
void ring_put(struct ring *r, const struct io_uring_sqe *sqe);
int ring_submit(struct ring *r);
int ring_reap(struct ring *r, struct io_uring_cqe *cqe, int timeout_ms);
int ring_run(struct ring *r, const struct io_uring_sqe *sqe);
int pool_create(struct ring *r, __u64 max_bytes);
int pool_create_flags(struct ring *r, unsigned int flags, __u64 max_bytes);

/* The slot that an operation on IOLITE_SLOT_ALLOC has found */
static inline unsigned int cqe_slot(__u32 cqe_flags)
{
	return cqe_flags >> IOLITE_CQE_SLOT_SHIFT;
}

/* ---- operations: an SQE to be altered and put, or the whole thing at once ---- */

struct io_uring_sqe sqe_op(struct ring *r, enum iolite_op op, unsigned int slot);
struct io_uring_sqe sqe_alloc(struct ring *r, unsigned int slot, int pool, const void *from,
			      unsigned int len);
struct io_uring_sqe sqe_read(struct ring *r, unsigned int slot, int fd, __u64 off,
			     unsigned int len);
struct io_uring_sqe sqe_write(struct ring *r, unsigned int slot, int fd, unsigned int len,
			      unsigned int msg_flags);
struct io_uring_sqe sqe_transmit(struct ring *r, int sock, const void *header,
				 unsigned int header_len, unsigned int from, unsigned int len,
				 __u64 off);
struct io_uring_sqe sqe_edit(struct ring *r, unsigned int slot, enum iolite_edit edit,
			     unsigned int slot2, __u64 off, __u64 addr);

int op_alloc(struct ring *r, unsigned int slot, int pool, const void *from, unsigned int len);
int op_alloc_writable(struct ring *r, unsigned int slot, int pool, unsigned int len,
		      char **at);
int op_seal(struct ring *r, unsigned int slot);
int op_read(struct ring *r, unsigned int slot, int fd, __u64 off, unsigned int len);
int op_write(struct ring *r, unsigned int slot, int fd, unsigned int len,
	     unsigned int msg_flags);
int op_edit(struct ring *r, unsigned int slot, enum iolite_edit edit, unsigned int slot2,
	    __u64 off, __u64 addr);
int op_map(struct ring *r, unsigned int slot, struct iolite_extent *ext, unsigned int nr,
	   __u64 off);
int op_free(struct ring *r, unsigned int slot, unsigned int nr);
int op_length(struct ring *r, unsigned int slot);

/* ---- contents ---- */

void fill_pattern(void *to, size_t len, unsigned int seed);
unsigned int random_below(unsigned int *state, unsigned int limit);
bool same_bytes(const void *expected, const void *seen, size_t len);
void *xmalloc(size_t len);
int agg_bytes(struct ring *r, unsigned int slot, void *to, size_t len);
int agg_bytes_mapped(struct ring *r, unsigned int slot, void *to, size_t len);
ssize_t read_full(int fd, void *to, size_t len);
ssize_t write_full(int fd, const void *from, size_t len);
ssize_t pread_full(int fd, void *to, size_t len, off_t off);

/* ---- faults: the signal that one access got, or 0 ---- */

int signal_of_read(const volatile char *at);
int signal_of_write(volatile char *at);

/* ---- counters, sysctls ---- */

#define IOLITE_SYSFS	"/sys/kernel/mm/iolite/"

bool iolite_present(void);
long stat_get(const char *name);
long stat_settled(const char *name);
long stat_copied(void);
long stat_wait(const char *name, long value);

#define STAT_OBJECTS_MAX	16

/* The counters of things that exist, as they were when they were taken */
struct stat_objects {
	long	v[STAT_OBJECTS_MAX];
};

void stat_objects_get(struct stat_objects *s);
int stat_objects_wait(const struct stat_objects *s, char *what, size_t len);
long sysctl_get(const char *name);
int sysctl_set(const char *name, long value);
int write_file(const char *path, const char *text);
long read_number(const char *path);	/* or a negative errno */

/* The inotify events that one watched file has got: a mask, 0 if none */
unsigned int events_of(int inotify);

/* ---- sockets ---- */

int tcp_pair(int *a, int *b);
int unix_pair(int type, int *a, int *b);
int set_sndbuf(int fd, int bytes);

/* ---- for the harness ---- */

/* The part of a fixture's setup that all have in common */
#define OPEN_RING(r, slots) do {						\
	if (!iolite_present())							\
		SKIP(return, "the kernel has no IO-Lite");			\
	ASSERT_EQ(0, ring_open((r), (slots)));					\
} while (0)

/* Two runs of bytes are the same; else says where, and what */
#define EXPECT_SAME(expected, seen, len)	EXPECT_TRUE(same_bytes(expected, seen, len))
#define ASSERT_SAME(expected, seen, len)	ASSERT_TRUE(same_bytes(expected, seen, len))

#endif /* IOLITE_UTIL_H */

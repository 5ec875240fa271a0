// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fake.h"
#include "tap.h"

#define MAX_SLICES	64

struct slice {
	const char	*data;
	size_t		len;
};

struct aggregate {
	bool		used;
	unsigned int	nr;
	struct slice	slices[MAX_SLICES];
};

struct memory {
	struct memory	*next;
	char		data[];
};

struct fake fake;
static struct aggregate slots[FAKE_SLOTS];
static struct memory *memory;
static uint64_t held;		/* user_data of the blocked request, or 0 */

void fake_reset(void)
{
	struct memory *next;

	for (; memory; memory = next) {
		next = memory->next;
		free(memory);
	}
	memset(slots, 0, sizeof(slots));
	memset(&fake, 0, sizeof(fake));
	fake.slice_size = FAKE_MAX_BYTES;
	held = 0;
}

static char *new_memory(size_t len)
{
	struct memory *m = malloc(sizeof(*m) + len);

	must(m);
	m->next = memory;
	memory = m;
	return m->data;
}

static size_t length(const struct aggregate *agg)
{
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < agg->nr; i++)
		len += agg->slices[i].len;
	return len;
}

static void append(struct aggregate *agg, const char *data, size_t len)
{
	if (!len)
		return;
	must(agg->nr < MAX_SLICES);
	agg->slices[agg->nr++] = (struct slice){ data, len };
}

/* Appends the bytes [from, to) of src. */
static void append_range(struct aggregate *agg, const struct aggregate *src, size_t from,
			 size_t to)
{
	size_t pos = 0, a, b;
	unsigned int i;

	for (i = 0; i < src->nr; pos += src->slices[i++].len) {
		a = from > pos ? from - pos : 0;
		b = to < pos + src->slices[i].len ? to - pos : src->slices[i].len;
		if (to > pos && a < b)
			append(agg, src->slices[i].data + a, b - a);
	}
}

static int do_alloc(struct aggregate *agg, const struct io_uring_sqe *sqe)
{
	char *data = new_memory(sqe->len);
	size_t n, done;

	*agg = (struct aggregate){ .used = true };
	if (sqe->ioprio & IOLITE_ALLOC_WRITABLE) {
		memset(data, 0, sqe->len);
		*(uint64_t *)(uintptr_t)sqe->addr = (uintptr_t)data;
	} else {
		memcpy(data, (const void *)(uintptr_t)sqe->addr, sqe->len);
	}
	for (done = 0; done < sqe->len; done += n) {
		n = sqe->len - done < fake.slice_size ? sqe->len - done : fake.slice_size;
		append(agg, data + done, n);
	}
	return (int)sqe->len;
}

static int do_read(struct aggregate *agg, const struct io_uring_sqe *sqe)
{
	char *data = new_memory(sqe->len);
	ssize_t n = pread(sqe->fd, data, sqe->len, (off_t)sqe->off);

	if (n < 0)
		return -errno;
	*agg = (struct aggregate){ .used = true };
	append(agg, data, (size_t)n);
	return (int)n;
}

static int do_edit(struct aggregate *agg, const struct io_uring_sqe *sqe)
{
	struct aggregate *other = &slots[sqe->addr3], old = *agg;

	switch (sqe->msg_flags) {
	case IOLITE_EDIT_CONCAT:
		append_range(agg, other, 0, length(other));
		return (int)length(agg);
	case IOLITE_EDIT_DUP:
		*other = *agg;
		return 0;
	case IOLITE_EDIT_SPLIT:
		if (sqe->off > length(agg))
			return -EINVAL;
		*agg = *other = (struct aggregate){ .used = true };
		append_range(agg, &old, 0, sqe->off);
		append_range(other, &old, sqe->off, length(&old));
		return 0;
	case IOLITE_EDIT_LENGTH:
		return (int)length(agg);
	}
	return 0;
}

static int do_map(const struct aggregate *agg, const struct io_uring_sqe *sqe)
{
	struct iolite_extent *ext = (void *)(uintptr_t)sqe->addr;
	struct aggregate rest = { .nr = 0 };
	unsigned int i;

	if (sqe->off > length(agg))
		return -EINVAL;
	append_range(&rest, agg, sqe->off, length(agg));
	for (i = 0; i < rest.nr && i < sqe->len; i++)
		ext[i] = (struct iolite_extent){
			.addr = (uintptr_t)rest.slices[i].data,
			.len = (uint32_t)rest.slices[i].len,
			.generation = i + 1,
		};
	return (int)i;
}

static int do_request(const struct io_uring_sqe *sqe)
{
	struct aggregate *agg = &slots[sqe->file_index];
	int ret;

	fake.requests++;
	fake.last = *sqe;
	ret = fake.op_result;
	fake.op_result = 0;
	if (ret)
		return ret;
	must(sqe->file_index < FAKE_SLOTS);

	switch (sqe->opcode - FAKE_FIRST_OP) {
	case IOLITE_OP_ALLOC:
		return do_alloc(agg, sqe);
	case IOLITE_OP_READ:
		return do_read(agg, sqe);
	case IOLITE_OP_EDIT:
		return agg->used ? do_edit(agg, sqe) : -ENOENT;
	case IOLITE_OP_MAP:
		return agg->used ? do_map(agg, sqe) : -ENOENT;
	case IOLITE_OP_FREE:
		if (!agg->used)
			return -ENOENT;
		agg->used = false;
		return 0;
	}
	return 0;
}

static void complete(struct io_uring *ring, uint64_t user_data, int res)
{
	unsigned int tail = *ring->cq.ktail;

	must(tail - *ring->cq.khead < ring->cq.ring_entries);
	ring->cq.cqes[tail & ring->cq.ring_mask] = (struct io_uring_cqe){
		.user_data = user_data,
		.res = res,
	};
	*ring->cq.ktail = tail + 1;
}

static void cancel(struct io_uring *ring, const struct io_uring_sqe *sqe)
{
	must(held && sqe->addr == held);
	if (fake.held_first)
		complete(ring, held, fake.held_result);
	complete(ring, sqe->user_data, 0);
	if (!fake.held_first)
		complete(ring, held, fake.held_result);
	held = 0;
}

static void issue(struct io_uring *ring, const struct io_uring_sqe *sqe)
{
	if (sqe->opcode == IORING_OP_ASYNC_CANCEL) {
		cancel(ring, sqe);
	} else if (fake.hold) {
		fake.hold = false;
		held = sqe->user_data;
	} else {
		complete(ring, sqe->user_data, do_request(sqe));
	}
}

/* ---- In place of liburing ---- */

int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);
void __wrap_io_uring_queue_exit(struct io_uring *ring);
int __wrap_io_uring_register(unsigned int fd, unsigned int opcode, const void *arg,
			     unsigned int nr_args);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int wait_nr);
int __wrap___io_uring_get_cqe(struct io_uring *ring, struct io_uring_cqe **cqe,
			      unsigned int submit, unsigned int wait_nr, sigset_t *mask);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int __wrap_munmap(void *addr, size_t len);

int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags)
{
	unsigned int *heads = calloc(4, sizeof(*heads));

	must(heads && !flags);
	*ring = (struct io_uring){
		.ring_fd = FAKE_RING_FD,
		.features = IORING_FEAT_EXT_ARG,
		.sq = {
			.khead = &heads[0], .ktail = &heads[1], .ring_entries = entries,
			.ring_mask = entries - 1,
			.sqes = calloc(entries, sizeof(struct io_uring_sqe)),
		},
		.cq = {
			.khead = &heads[2], .ktail = &heads[3],
			.ring_entries = 2 * entries, .ring_mask = 2 * entries - 1,
			.cqes = calloc(2 * entries, sizeof(struct io_uring_cqe)),
		},
	};
	fake.rings++;
	return 0;
}

void __wrap_io_uring_queue_exit(struct io_uring *ring)
{
	free(ring->sq.khead);
	free(ring->sq.sqes);
	free(ring->cq.cqes);
	fake.rings--;
}

int __wrap_io_uring_register(unsigned int fd, unsigned int opcode, const void *arg,
			     unsigned int nr_args)
{
	struct iolite_reg_table *table = (void *)(uintptr_t)arg;
	struct iolite_reg_pool *pool = (void *)(uintptr_t)arg;

	must(fd == FAKE_RING_FD);
	fake.registrations++;
	fake.last_register = opcode;
	if (fake.register_result)
		return fake.register_result;

	switch (opcode) {
	case IOLITE_REGISTER_TABLE:
		must(nr_args == 1 && table->size == sizeof(*table) && !table->flags);
		table->first_op = FAKE_FIRST_OP;
		table->nr_ops = IOLITE_NR_OPS;
		table->max_bytes = FAKE_MAX_BYTES;
		table->window_base = FAKE_WINDOW;
		table->window_size = FAKE_WINDOW_SIZE;
		return 0;
	case IOLITE_UNREGISTER_TABLE:
		must(nr_args == 0 && !arg);
		return 0;
	case IOLITE_REGISTER_POOL:
		must(nr_args == 1 && pool->size == sizeof(*pool) && !pool->resv);
		pool->fd = dup(STDERR_FILENO);
		return 0;
	}
	return -EINVAL;
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int wait_nr)
{
	struct io_uring_sq *sq = &ring->sq;
	int ret = fake.submit_result, done = 0;

	must(wait_nr == 1);
	fake.submit_result = 0;
	if (ret)
		return ret;
	for (; *sq->khead != sq->sqe_tail; (*sq->khead)++, done++)
		issue(ring, &sq->sqes[*sq->khead & sq->ring_mask]);
	return done;
}

int __wrap___io_uring_get_cqe(struct io_uring *ring, struct io_uring_cqe **cqe,
			      unsigned int submit, unsigned int wait_nr, sigset_t *mask)
{
	must(!submit && !mask);
	if (*ring->cq.khead == *ring->cq.ktail) {
		must(!wait_nr);		/* or it would wait for ever */
		return -EAGAIN;
	}
	*cqe = &ring->cq.cqes[*ring->cq.khead & ring->cq.ring_mask];
	return 0;
}

void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	must(addr == (void *)FAKE_WINDOW && len == FAKE_WINDOW_SIZE);
	must(prot == (PROT_READ | PROT_WRITE));
	must(flags == (MAP_SHARED | MAP_FIXED_NOREPLACE));
	must(fd == FAKE_RING_FD && off == (off_t)IOLITE_OFF_WINDOW);
	fake.maps++;
	return addr;
}

int __wrap_munmap(void *addr, size_t len)
{
	must(addr == (void *)FAKE_WINDOW && len == FAKE_WINDOW_SIZE);
	fake.unmaps++;
	return 0;
}

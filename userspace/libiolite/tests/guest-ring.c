// SPDX-License-Identifier: MIT
/* The table, its slots, and the errors that all operations share. */
#include <limits.h>
#include "guest.h"

#define SLOTS	4

static struct io_uring ring;
static int pool;

#define MAX_SLOTS	"/proc/sys/vm/iolite_max_slots"

static void slot_limit(struct io_uring *other)
{
	struct iolite *io = NULL;
	char before[16] = "";
	int fd = open(MAX_SLOTS, O_RDWR);

	if (fd < 0) {
		skip("only root can set " MAX_SLOTS);
		return;
	}
	must(pread(fd, before, sizeof(before) - 1, 0) > 0 && pwrite(fd, "100", 3, 0) == 3);
	is(iol_init(other, 101, 0), -E2BIG, "more slots than the sysctl permits");
	is(iol_open(&io, 101), -E2BIG, "for a context too");
	ok(!io, "no context");
	is(iol_init(other, 100, 0), 0, "as many slots as the sysctl permits");
	is(iol_exit(other), 0, "and back");
	must(pwrite(fd, before, strlen(before), 0) > 0);
	close(fd);
}

static void registration(void)
{
	struct io_uring other;

	is(iol_init(&ring, SLOTS, 0), -EBUSY, "a ring has one table");
	is(iol_info()->nr_ops, IOLITE_NR_OPS, "iol_info(): operations");
	ok(iol_info()->max_bytes > 0 && iol_info()->max_bytes <= INT_MAX,
	   "iol_info(): a length fits into a completion");

	must(!io_uring_queue_init(4, &other, 0));
	is(iol_exit(&other), -ENXIO, "no table to take back");
	is(RUN(&other, iol_prep_length(sqe, 0)), -ENXIO, "no table to look into");
	is(RUN(&other, iol_prep_free(sqe, 0, 1)), -ENXIO, "no table to empty");
	is(iol_init(&other, 1, 0), 0, "a second ring has a table of its own");
	is(iol_exit(&other), 0, "which can be taken back");
	is(iol_init(&other, 1, 0), 0, "and given anew");

	is(iol_exit(&other), 0, "and taken back again");
	slot_limit(&other);
	io_uring_queue_exit(&other);

	must(!io_uring_queue_init(4, &other, IORING_SETUP_IOPOLL));
	is(iol_init(&other, 1, 0), -EOPNOTSUPP, "a ring that polls for completions");
	io_uring_queue_exit(&other);
}

static void pools(void)
{
	int fd;

	is(iol_pool_create(&ring, 0, ~0U), -EINVAL, "unknown flags of a pool");
	fd = iol_pool_create(&ring, 4096, IOLITE_POOL_SHARE_WHOLE);
	ok(fd >= 0, "a small pool");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "is close-on-exec");
	is(RUN(&ring, iol_prep_alloc(sqe, fd, 0, any_bytes(1 << 20), 1 << 20)), -ENOBUFS,
	   "a pool's limit");
	is(RUN(&ring, iol_prep_alloc(sqe, fd, 0, "abc", 3)), 3, "and within it");
	close(fd);
	is(RUN(&ring, iol_prep_length(sqe, 0)), 3, "a buffer outlives its pool's descriptor");
	is(RUN(&ring, iol_prep_alloc(sqe, fd, 0, "abc", 3)), -EBADF, "which is closed");
	is(RUN(&ring, iol_prep_alloc(sqe, STDERR_FILENO, 0, "abc", 3)), -EINVAL,
	   "a file that is no pool");
	is(RUN(&ring, iol_prep_alloc(sqe, pool, 0, (void *)16, 3)), -EFAULT,
	   "memory that cannot be read");
	is(RUN(&ring, iol_prep_length(sqe, 0)), 3, "a failure leaves the slot as it was");
	is(RUN(&ring, iol_prep_alloc(sqe, pool, 0, "", 0)), 0, "an empty aggregate");
	is(RUN(&ring, iol_prep_length(sqe, 0)), 0, "has no bytes");
	is(RUN(&ring, iol_prep_free(sqe, 0, SLOTS)), 1, "and fills a slot");
}

static void slots(void)
{
	unsigned int slot, i, seen = 0;

	for (i = 0; i < SLOTS; i++) {
		is(RUN_SLOT(&ring, &slot,
			    iol_prep_alloc(sqe, pool, IOLITE_SLOT_ALLOC, "abc", 3)), 3,
		   "any free slot");
		seen |= 1U << slot;
	}
	is(seen, (1U << SLOTS) - 1, "each slot was given once");
	is(RUN(&ring, iol_prep_alloc(sqe, pool, IOLITE_SLOT_ALLOC, "abc", 3)), -ENFILE,
	   "no slot is free");
	is(RUN(&ring, iol_prep_dup(sqe, 0, IOLITE_SLOT_ALLOC)), -ENFILE, "nor for a copy");
	is(RUN(&ring, iol_prep_free(sqe, 2, 1)), 1, "one is emptied");
	is(RUN_SLOT(&ring, &slot, iol_prep_dup(sqe, 0, IOLITE_SLOT_ALLOC)), 0, "and given");
	is(slot, 2, "to the copy");

	is(RUN(&ring, iol_prep_free(sqe, 0, SLOTS)), SLOTS, "all are emptied");
	is(RUN(&ring, iol_prep_free(sqe, 0, SLOTS)), 0, "empty slots are passed over");
	is(RUN(&ring, iol_prep_free(sqe, 1, SLOTS)), -EINVAL, "slots beyond the table");
	is(RUN(&ring, iol_prep_free(sqe, 0, 0)), -EINVAL, "no slots");
}

/* The same complaint about a slot from every operation that looks into one. */
static void complaints(unsigned int slot, int error, const char *what)
{
	struct iolite_extent ext;

	is(RUN(&ring, iol_prep_seal(sqe, slot)), error, "%s: seal", what);
	is(RUN(&ring, iol_prep_write(sqe, STDERR_FILENO, slot, 0, -1)), error, "%s: write", what);
	is(RUN(&ring, iol_prep_concat(sqe, slot, 0)), error, "%s: concat", what);
	is(RUN(&ring, iol_prep_concat(sqe, 0, slot)), error, "%s: concat with", what);
	is(RUN(&ring, iol_prep_prepend(sqe, slot, 0)), error, "%s: prepend", what);
	is(RUN(&ring, iol_prep_replace(sqe, slot, 0, 0, 0)), error, "%s: replace", what);
	is(RUN(&ring, iol_prep_split(sqe, slot, 0, 0)), error, "%s: split", what);
	is(RUN(&ring, iol_prep_dup(sqe, slot, 0)), error, "%s: dup", what);
	is(RUN(&ring, iol_prep_truncate(sqe, slot, 0)), error, "%s: truncate", what);
	is(RUN(&ring, iol_prep_seek(sqe, slot, 0, SEEK_SET)), error, "%s: seek", what);
	is(RUN(&ring, iol_prep_tell(sqe, slot)), error, "%s: tell", what);
	is(RUN(&ring, iol_prep_length(sqe, slot)), error, "%s: length", what);
	is(RUN(&ring, iol_prep_map(sqe, slot, &ext, 1, 0)), error, "%s: map", what);
}

static void wrong_slots(void)
{
	int file = file_of("abc", 3);

	is(RUN(&ring, iol_prep_alloc(sqe, pool, 0, "abc", 3)), 3, "a slot for comparison");
	complaints(1, -ENOENT, "an empty slot");
	complaints(SLOTS, -EINVAL, "a slot beyond the table");
	is(RUN(&ring, iol_prep_read(sqe, file, SLOTS, 1, 0)), -EINVAL, "read: beyond the table");
	is(RUN(&ring, iol_prep_alloc(sqe, pool, SLOTS, "", 1)), -EINVAL, "alloc: beyond it");
	is(RUN(&ring, iol_prep_dup(sqe, 0, SLOTS)), -EINVAL, "dup: copy beyond it");
	is(RUN(&ring, iol_prep_dup(sqe, 0, 0)), -EINVAL, "dup to itself");
	is(RUN(&ring, iol_prep_split(sqe, 0, 1, 0)), -EINVAL, "split to itself");
	close(file);
}

static void wrong_flags(void)
{
	int file = file_of("abc", 3);

#define WITH(flags, prep) RUN(&ring, (prep, iol_sqe_set_flags(sqe, flags)))
	is(WITH(1 << 15, iol_prep_alloc(sqe, pool, 0, "abc", 3)), -EINVAL, "alloc: flags");
	is(WITH(1, iol_prep_seal(sqe, 0)), -EINVAL, "seal: flags");
	is(WITH(1 << 15, iol_prep_read(sqe, file, 0, 1, 0)), -EINVAL, "read: flags");
	is(WITH(1 << 15, iol_prep_write(sqe, file, 0, 1, 0)), -EINVAL, "write: flags");
	is(WITH(1, iol_prep_dup(sqe, 0, 1)), -EINVAL, "dup consumes nothing");
	is(WITH(1, iol_prep_split(sqe, 0, 1, 1)), -EINVAL, "split consumes nothing");
	is(WITH(1, iol_prep_concat(sqe, 0, 0)), -EINVAL, "concat consumes another only");
	is(WITH(1, iol_prep_map(sqe, 0, NULL, 1, 0)), -EINVAL, "map: flags");
	is(WITH(1, iol_prep_free(sqe, 0, 1)), -EINVAL, "free: flags");
#undef WITH
	is(RUN(&ring, (iol_prep_length(sqe, 0), sqe->fd = 0)), -EINVAL, "a file where none is used");
	is(RUN(&ring, (iol_prep_length(sqe, 0), sqe->len = 1)), -EINVAL, "a length where none is used");
	is(RUN(&ring, (iol_prep_tell(sqe, 0), sqe->off = 1)), -EINVAL, "an offset where none is used");
	is(RUN(&ring, (iol_prep_free(sqe, 0, 1), sqe->buf_index = 1)), -EINVAL, "a buffer index");
	is(RUN(&ring, iol_prep_length(sqe, 0)), 3, "nothing was changed");
	close(file);
}

/* Header and body in one submission, and what happens when a link breaks. */
static void chains(void)
{
	unsigned char *data = any_bytes(10000);
	int file = file_of(data, 10000), broken, i, res[3];
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;

	for (broken = 0; broken < 2; broken++) {
		sqe = io_uring_get_sqe(&ring);
		iol_prep_alloc(sqe, pool, 0, "head", 4);
		io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
		io_uring_sqe_set_data64(sqe, 0);
		sqe = io_uring_get_sqe(&ring);
		iol_prep_read(sqe, file, 1, broken ? 10001 : 10000, 0);
		io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
		io_uring_sqe_set_data64(sqe, 1);
		sqe = io_uring_get_sqe(&ring);
		iol_prep_concat(sqe, 0, 1);
		iol_sqe_set_flags(sqe, IOLITE_EDIT_CONSUME);
		io_uring_sqe_set_data64(sqe, 2);
		must(io_uring_submit_and_wait(&ring, 3) == 3);
		for (i = 0; i < 3; i++) {
			must(!io_uring_wait_cqe(&ring, &cqe));
			res[cqe->user_data] = cqe->res;
			io_uring_cqe_seen(&ring, cqe);
		}
		is(res[0], 4, "chain: alloc");
		is(res[1], 10000, "chain: read");
		is(res[2], broken ? -ECANCELED : 10004, broken ?
		   "a short read breaks it" : "a whole one does not");
	}
	is(RUN(&ring, iol_prep_free(sqe, 0, SLOTS)), 2, "the consumed slot was empty before");
	free(data);
	close(file);
}

int main(void)
{
	must(!io_uring_queue_init(8, &ring, 0));
	must(!iol_init(&ring, SLOTS, 0));
	pool = iol_pool_create(&ring, 0, 0);
	must(pool >= 0);
	registration();
	pools();
	slots();
	wrong_slots();
	wrong_flags();
	chains();
	io_uring_queue_exit(&ring);
	return done();
}

// SPDX-License-Identifier: GPL-2.0
/* Ways to write to a file by system calls that write */
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "iolite_ways.h"

int result(long ret, long expected)
{
	if (ret == expected)
		return 0;
	if (ret >= 0)
		return -EIO;
	return errno == ENOTTY || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

int ring_result(int ret, int expected)
{
	return ret == expected ? 0 : ret < 0 ? ret : -EIO;
}

int other_file(const char *other)
{
	int fd = memfd_create("other", 0);

	if (fd >= 0 && write_full(fd, other, SIZE) != SIZE)
		return -EIO;
	lseek(fd, 0, SEEK_SET);
	return fd;
}

int other_file_beside(const struct subject *s, const char *other)
{
	int fd = fs_file(s->fs, 0, NULL);

	if (fd >= 0 && (write_full(fd, other, SIZE) != SIZE || fsync(fd)))
		return -EIO;
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* ---- write(2) and its relatives ---- */

static int one_byte(struct subject *s, const char *other)
{
	return result(pwrite(s->fd, "\377", 1, s->off), 1);
}

static int some(struct subject *s, const char *other)
{
	return result(pwrite(s->fd, other, s->len, s->off), s->len);
}

static int every_page(struct subject *s, const char *other)
{
	int off, ret = 0;

	for (off = 0; off < SIZE && !ret; off += PAGE)
		ret = result(pwrite(s->fd, other + off, 3, off), 3);
	return ret;
}

static int overwrite(struct subject *s, const char *other)
{
	return result(pwrite(s->fd, other, SIZE, 0), SIZE);
}

static int synced(struct subject *s, const char *other)
{
	int fd = open(s->path, O_WRONLY | O_SYNC);
	int ret = result(pwrite(fd, other, s->len, s->off), s->len);

	close(fd);
	return ret;
}

static int append(struct subject *s, const char *other)
{
	int fd = open(s->path, O_WRONLY | O_APPEND);
	int ret = result(write(fd, other, 2 * PAGE), 2 * PAGE);

	close(fd);
	return ret;
}

static int truncating_open(struct subject *s, const char *other)
{
	int fd = open(s->path, O_WRONLY | O_TRUNC);
	int ret = result(write(fd, other, 5000), 5000);

	close(fd);
	return ret;
}

/* The bytes come from the very pages that are written to, 100 bytes further on */
static int from_own_mapping(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ);
	size_t len = s->len / 2;
	int ret;

	if (!map)
		return -errno;
	/* what has no page yet is faulted in by the write */
	ret = result(pwrite(s->fd, map + s->off, len, s->off + 100), len);
	munmap(map, MAP_SIZE);
	return ret;
}

/* Only what was readable is written */
static int until_it_faults(struct subject *s, const char *other)
{
	char *bad = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov[] = { { (void *)other, 300 }, { bad, 200 } };
	ssize_t ret = pwritev(s->fd, iov, 2, s->off);

	munmap(bad, PAGE);
	/* some file systems write all of an iovec or nothing: the control tells */
	return ret == 300 || (ret < 0 && errno == EFAULT) ? 0 : result(ret, 300);
}

/* One flag each, at its own place; those that the file system cannot are left out */
static int pwritev2_flags(struct subject *s, const char *other)
{
	static const int flags[] = {
		RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND, RWF_NOAPPEND,
		RWF_ATOMIC, RWF_DONTCACHE, RWF_NOWAIT | RWF_DSYNC, RWF_SYNC | RWF_DONTCACHE,
	};
	size_t piece = s->len / ARRAY_LEN(flags), i;

	for (i = 0; i < ARRAY_LEN(flags); i++) {
		off_t off = s->off + i * piece;
		const char *from = other + off;
		struct iovec iov[] = { { (void *)from, 7 }, { (void *)from + 7, piece - 7 } };
		int fd = s->fd;
		ssize_t ret;

		if (flags[i] == RWF_NOAPPEND)
			fd = open(s->path, O_WRONLY | O_APPEND);
		ret = pwritev2(fd, iov, 2, off, flags[i]);
		if (fd != s->fd)
			close(fd);
		/* what may not wait, or is not known, leaves the work to others */
		if (ret >= 0 || errno == EAGAIN || errno == EOPNOTSUPP || errno == EINVAL) {
			size_t done = ret < 0 ? 0 : ret;

			ret = done + pwrite(s->fd, from + done, piece - done, off + done);
		}
		if (ret != (ssize_t)piece)
			return result(ret, piece);
	}
	return 0;
}

static int spliced(struct subject *s, const char *other)
{
	loff_t off = s->off;
	int fd[2], ret;

	if (pipe(fd))
		return -errno;
	ret = result(write(fd[1], other, s->len), s->len);
	if (!ret)
		ret = result(splice(fd[0], NULL, s->fd, &off, s->len, 0), s->len);
	close(fd[0]);
	close(fd[1]);
	return ret;
}

/* The pipe holds pages of the caller, whole */
static int vmspliced(struct subject *s, const char *other)
{
	size_t len = (s->len + PAGE - 1) & ~(PAGE - 1);
	char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov = { memory, len };
	loff_t off = s->off & ~(loff_t)(PAGE - 1);
	int fd[2], ret;

	if (memory == MAP_FAILED || pipe(fd))
		return -errno;
	memcpy(memory, other, len);
	ret = result(vmsplice(fd[1], &iov, 1, SPLICE_F_GIFT), len);
	if (!ret)
		ret = result(splice(fd[0], NULL, s->fd, &off, len, SPLICE_F_MOVE), len);
	close(fd[0]);
	close(fd[1]);
	munmap(memory, len);
	return ret;
}

static int sendfile_into(struct subject *s, const char *other)
{
	int from = other_file(other), ret;
	off_t off = 0;

	lseek(s->fd, s->off, SEEK_SET);
	ret = result(sendfile(s->fd, from, &off, s->len), s->len);
	close(from);
	return ret;
}

static int copy_file_range_into(struct subject *s, const char *other)
{
	int from = other_file_beside(s, other), ret;
	loff_t in = 0, out = s->off;

	ret = result(copy_file_range(from, &in, s->fd, &out, s->len, 0), s->len);
	close(from);
	return ret;
}

/* ---- io_uring and its predecessor ---- */

static int uring(struct subject *s, struct io_uring_sqe sqe, const void *fixed)
{
	struct iovec iov = { (void *)fixed, SIZE };
	struct ring r;
	int ret;

	if (ring_setup(&r, 4, 0))
		return -EIO;
	sqe.fd = s->fd;
	if (fixed)
		ret = ring_register(&r, IORING_REGISTER_BUFFERS, &iov, 1);
	else
		ret = 0;
	if (!ret)
		ret = ring_run(&r, &sqe);
	ring_close(&r);
	return ret;
}

static int uring_write(struct subject *s, const char *other)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_WRITE, .addr = (uintptr_t)other,
				    .len = s->len, .off = s->off };

	return ring_result(uring(s, sqe, NULL), s->len);
}

static int uring_write_async(struct subject *s, const char *other)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_WRITE, .addr = (uintptr_t)other,
				    .len = s->len, .off = s->off, .flags = IOSQE_ASYNC };

	return ring_result(uring(s, sqe, NULL), s->len);
}

/* Refused where it had to sleep, and then done by who may */
static int uring_writev_nowait(struct subject *s, const char *other)
{
	struct iovec iov[] = { { (void *)other, 99 }, { (void *)other + 99, s->len - 99 } };
	struct io_uring_sqe sqe = { .opcode = IORING_OP_WRITEV, .addr = (uintptr_t)iov, .len = 2,
				    .off = s->off, .rw_flags = RWF_NOWAIT };
	int ret = uring(s, sqe, NULL), done = ret < 0 ? 0 : ret;

	if (ret < 0 && ret != -EAGAIN && ret != -EOPNOTSUPP)
		return ret;
	return result(pwrite(s->fd, other + done, s->len - done, s->off + done), s->len - done);
}

static int uring_write_fixed(struct subject *s, const char *other)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_WRITE_FIXED, .addr = (uintptr_t)other,
				    .len = s->len, .off = s->off };

	return ring_result(uring(s, sqe, other), s->len);
}

static int aio(struct subject *s, const char *other)
{
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = s->fd,
			   .aio_buf = (uintptr_t)other, .aio_nbytes = s->len,
			   .aio_offset = s->off }, *cbs[] = { &cb };
	aio_context_t ctx = 0;
	struct io_event event = { };
	int ret;

	if (syscall(__NR_io_setup, 1, &ctx))
		return -errno;
	ret = result(syscall(__NR_io_submit, ctx, 1, cbs), 1);
	if (!ret)
		ret = result(syscall(__NR_io_getevents, ctx, 1, 1, &event, NULL), 1);
	syscall(__NR_io_destroy, ctx);
	return ret ? ret : event.res == (__s64)s->len ? 0 : -EIO;
}

/* ---- past the page cache ---- */

static void *aligned_copy(const char *other, size_t len)
{
	void *buf;

	if (posix_memalign(&buf, PAGE, len))
		abort();
	memcpy(buf, other, len);
	return buf;
}

static int direct(struct subject *s, const char *other)
{
	off_t off = s->off & ~(off_t)(PAGE - 1);
	size_t len = (s->len + PAGE - 1) & ~(PAGE - 1);
	void *buf = aligned_copy(other, len);
	int fd = open(s->path, O_WRONLY | O_DIRECT);
	int ret = result(pwrite(fd, buf, len, off), len);

	close(fd);
	free(buf);
	return ret;
}

static int uring_direct(struct subject *s, const char *other)
{
	off_t off = s->off & ~(off_t)(PAGE - 1);
	size_t len = (s->len + PAGE - 1) & ~(PAGE - 1);
	void *buf = aligned_copy(other, len);
	struct io_uring_sqe sqe = { .opcode = IORING_OP_WRITE, .addr = (uintptr_t)buf,
				    .len = len, .off = off };
	struct subject d = { .fd = open(s->path, O_WRONLY | O_DIRECT) };
	int ret = ring_result(uring(&d, sqe, NULL), len);

	close(d.fd);
	free(buf);
	return ret;
}

/* A file under a loop device is written to by a kernel thread */
static int by_loop_device(struct subject *s, const char *other)
{
	struct loop_config config = { .fd = s->fd, .block_size = 512,
				      .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR), loop, ret;
	off_t off = s->off & ~(off_t)511;
	char name[32];

	snprintf(name, sizeof(name), "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
	close(control);
	loop = open(name, O_RDWR);
	if (loop < 0)
		return -EOPNOTSUPP;
	ret = result(ioctl(loop, LOOP_CONFIGURE, &config), 0);
	if (!ret)
		ret = result(pwrite(loop, other, 512, off), 512);
	if (!ret)
		ret = result(fsync(loop), 0);
	ioctl(loop, LOOP_CLR_FD);
	close(loop);
	return ret;
}

/* ---- IO-Lite ---- */

static int iolite_write(struct subject *s, const char *other)
{
	int pool = -1, ret, len = s->len;
	struct ring r;

	if (s->control)
		return some(s, other);
	if (ring_open(&r, 4))
		return -EIO;
	pool = pool_create(&r, 0);
	ret = op_alloc(&r, 0, pool, other, len);
	if (ret == len) {
		struct io_uring_sqe sqe = sqe_write(&r, 0, s->fd, 0, 0);

		sqe.off = s->off;
		ret = ring_run(&r, &sqe);
	}
	ring_close(&r);
	close(pool);
	return ret == len ? 0 : ret < 0 ? ret : -EIO;
}

/* The aggregate holds the folios that are written to */
static int iolite_write_itself(struct subject *s, const char *other)
{
	int ret, len = s->len;
	char *bytes = xmalloc(len);
	struct ring r;

	if (s->control) {
		ret = pread(s->fd, bytes, len, s->off);
		ret = result(pwrite(s->fd, bytes, ret, s->off + 100), ret);
		free(bytes);
		return ret;
	}
	free(bytes);
	if (ring_open(&r, 4))
		return -EIO;
	ret = op_read(&r, 0, s->fd, s->off, len);
	if (ret > 0) {
		struct io_uring_sqe sqe = sqe_write(&r, 0, s->fd, 0, 0);

		sqe.off = s->off + 100;
		len = ret;
		ret = ring_run(&r, &sqe);
	}
	ring_close(&r);
	return ret == len ? 0 : ret < 0 ? ret : -EIO;
}

const struct way write_ways[] = {
	{ .name = "write of one byte", .change = one_byte },
	{ .name = "write of some pages", .change = some, .exact = true },
	{ .name = "write to every page", .change = every_page },
	{ .name = "write of all", .change = overwrite },
	{ .name = "O_SYNC write", .change = synced, .exact = true },
	{ .name = "O_APPEND write", .change = append },
	{ .name = "O_TRUNC and write", .change = truncating_open },
	{ .name = "write from its own mapping", .change = from_own_mapping },
	{ .name = "write that faults", .change = until_it_faults },
	{ .name = "pwritev2 with each flag", .change = pwritev2_flags },
	{ .name = "splice", .change = spliced, .exact = true },
	{ .name = "vmsplice and splice", .change = vmspliced },
	{ .name = "sendfile", .change = sendfile_into, .exact = true },
	{ .name = "copy_file_range", .change = copy_file_range_into, .exact = true },
	{ .name = "io_uring write", .change = uring_write, .exact = true },
	{ .name = "io_uring write by a worker", .change = uring_write_async, .exact = true },
	{ .name = "io_uring writev without waiting",
	  .change = uring_writev_nowait, .exact = true },
	{ .name = "io_uring write from a registered buffer",
	  .change = uring_write_fixed, .exact = true },
	{ .name = "aio write", .change = aio, .exact = true },
	{ .name = "O_DIRECT write", .change = direct },
	{ .name = "io_uring O_DIRECT write", .change = uring_direct },
	{ .name = "write to a loop device over it", .change = by_loop_device },
	{ .name = "WRITE", .change = iolite_write, .exact = true },
	{ .name = "WRITE of what was read from it", .change = iolite_write_itself },
	{ }
};

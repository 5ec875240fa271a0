// SPDX-License-Identifier: MIT
/*
 * Does random things to a file and knows what must be in it, as fsx does, which no
 * Debian package has:
 *
 *	exercise SEED OPERATIONS FILE
 *
 * A copy of the contents is kept in memory; every read is compared with it, and the
 * whole file every thousand operations, at the end, and again from the disk. What a file
 * system cannot do is left out. FILE.good has what must be in FILE after a remount.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_SIZE	(768u << 10)
#define MAX_LEN		(96u << 10)
#define BLOCK		4096u
#define PIPE_SIZE	(128 << 10)	/* more than MAX_LEN in pieces of pages */
#define LOG_SIZE	40

static const char *path;
static int fd, direct = -1, memory;
static int pipes[2];
static struct io_uring ring;
static uint8_t *good, *buf;
/*
 * A mapping for as long as the file is open; with even seeds there is none, as IO-Lite
 * does not refer to the pages of a file that is mapped so.
 */
static uint8_t *kept;
static int keeps;
static size_t size;

/* What was done last, for whoever looks for the cause of a failure */
static struct {
	const char	*what;
	size_t		off, len, size;
} done[LOG_SIZE];
static unsigned long step;

static uint64_t state;

static uint32_t random_below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % n;
}

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *why, ...)
{
	unsigned long i = step >= LOG_SIZE ? step - LOG_SIZE + 1 : 0;
	va_list args;

	for (; i <= step; i++)
		printf("# %lu: %s, offset %zu, length %zu, size before %zu\n", i,
		       done[i % LOG_SIZE].what, done[i % LOG_SIZE].off, done[i % LOG_SIZE].len,
		       done[i % LOG_SIZE].size);
	va_start(args, why);
	vprintf(why, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static void __attribute__((noreturn)) fail_errno(const char *call)
{
	fail("%s: %s", call, strerror(errno));
}

static void whole(ssize_t ret, size_t len, const char *call)
{
	if (ret < 0)
		fail_errno(call);
	if ((size_t)ret != len)
		fail("%s: %zd bytes instead of %zu", call, ret, len);
}

static void compare(const uint8_t *seen, size_t off, size_t len)
{
	size_t i;

	if (!memcmp(seen, good + off, len))
		return;
	for (i = 0; seen[i] == good[off + i]; i++)
		;
	fail("expected %02x at offset %zu, seen %02x", good[off + i], off + i, seen[i]);
}

/* New bytes for the range, in the copy; they name the step. */
static void invent(size_t off, size_t len)
{
	size_t i;

	if (off > size)
		memset(good + size, 0, off - size);
	for (i = 0; i < len; i++)
		good[off + i] = (uint8_t)(step * 7 + (off + i) / 64 + i % 3);
	if (off + len > size)
		size = off + len;
}

/* Zeroes in the copy, in what there is of the range */
static void forget(size_t off, size_t len)
{
	if (off < size)
		memset(good + off, 0, off + len < size ? len : size - off);
}

static void op_read(size_t off, size_t len)
{
	whole(pread(fd, buf, len, (off_t)off), len, "pread");
	compare(buf, off, len);
}

static void op_map_read(size_t off, size_t len)
{
	size_t head = off % BLOCK;
	uint8_t *map = mmap(NULL, head + len, PROT_READ, random_below(2) ? MAP_SHARED : MAP_PRIVATE,
			    fd, (off_t)(off - head));

	if (map == MAP_FAILED)
		fail_errno("mmap");
	compare(map + head, off, len);
	munmap(map, head + len);
}

static void op_kept_read(size_t off, size_t len)
{
	if (!keeps)
		return;
	compare(kept + off, off, len);
}

static void op_splice_read(size_t off, size_t len)
{
	loff_t at = (loff_t)off;
	size_t got = 0, taken = 0;
	ssize_t n;

	while (taken < len) {
		n = splice(fd, &at, pipes[1], NULL, len - got, SPLICE_F_NONBLOCK);
		if (n < 0 && errno != EAGAIN)
			fail_errno("splice from the file");
		if (n > 0)
			got += (size_t)n;
		n = read(pipes[0], buf + taken, got - taken);
		if (n <= 0)
			fail("pipe: %zd", n);
		taken += (size_t)n;
	}
	compare(buf, off, len);
}

static void op_sendfile_out(size_t off, size_t len)
{
	off_t at = (off_t)off;

	lseek(memory, 0, SEEK_SET);
	whole(sendfile(memory, fd, &at, len), len, "sendfile from the file");
	whole(pread(memory, buf, len, 0), len, "pread");
	compare(buf, off, len);
}

static void op_ring_read(size_t off, size_t len)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe;

	io_uring_prep_read(sqe, fd, buf, (unsigned int)len, off);
	if (io_uring_submit_and_wait(&ring, 1) != 1 || io_uring_wait_cqe(&ring, &cqe))
		fail("io_uring read");
	whole(cqe->res, len, "io_uring read");
	io_uring_cqe_seen(&ring, cqe);
	compare(buf, off, len);
}

static void op_direct_read(size_t off, size_t len)
{
	off -= off % BLOCK;
	whole(pread(direct, buf, (len + BLOCK - 1) / BLOCK * BLOCK, (off_t)off),
	      off + (len + BLOCK - 1) / BLOCK * BLOCK > size ? size - off :
	      (len + BLOCK - 1) / BLOCK * BLOCK, "O_DIRECT read");
	compare(buf, off, off + len > size ? size - off : len);
}

static void op_write(size_t off, size_t len)
{
	invent(off, len);
	whole(pwrite(fd, good + off, len, (off_t)off), len, "pwrite");
}

static void op_writev(size_t off, size_t len)
{
	size_t half = len / 3;
	struct iovec iov[2];

	invent(off, len);
	iov[0] = (struct iovec){ good + off, half };
	iov[1] = (struct iovec){ good + off + half, len - half };
	whole(pwritev2(fd, iov, 2, (off_t)off, random_below(10) ? 0 : RWF_DSYNC), len, "pwritev2");
}

static void op_append(size_t off, size_t len)
{
	struct iovec iov;

	off = size;
	if (off + len > MAX_SIZE)
		return;
	invent(off, len);
	iov = (struct iovec){ good + off, len };
	whole(pwritev2(fd, &iov, 1, 0, RWF_APPEND), len, "append");
}

static void op_ring_write(size_t off, size_t len)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe;

	invent(off, len);
	io_uring_prep_write(sqe, fd, good + off, (unsigned int)len, off);
	if (random_below(2))
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
	if (io_uring_submit_and_wait(&ring, 1) != 1 || io_uring_wait_cqe(&ring, &cqe))
		fail("io_uring write");
	whole(cqe->res, len, "io_uring write");
	io_uring_cqe_seen(&ring, cqe);
}

static void op_direct_write(size_t off, size_t len)
{
	off -= off % BLOCK;
	len = len < BLOCK ? BLOCK : len - len % BLOCK;
	invent(off, len);
	memcpy(buf, good + off, len);
	whole(pwrite(direct, buf, len, (off_t)off), len, "O_DIRECT write");
}

static void grow(size_t end)
{
	if (end > size && ftruncate(fd, (off_t)end))
		fail_errno("ftruncate");
}

static void op_map_write(size_t off, size_t len)
{
	size_t head = off % BLOCK;
	uint8_t *map;

	grow(off + len);
	invent(off, len);
	map = mmap(NULL, head + len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(off - head));
	if (map == MAP_FAILED)
		fail_errno("mmap");
	memcpy(map + head, good + off, len);
	if (!random_below(10) && msync(map, head + len, MS_SYNC))
		fail_errno("msync");
	munmap(map, head + len);
}

/* Through a mapping that was there before all that was done to the file meanwhile */
static void op_kept_write(size_t off, size_t len)
{
	if (!keeps)
		return;
	grow(off + len);
	invent(off, len);
	memcpy(kept + off, good + off, len);
}

static void op_splice_write(size_t off, size_t len)
{
	loff_t at = (loff_t)off;
	size_t in = 0, out = 0;
	struct iovec iov;
	ssize_t n;

	invent(off, len);
	memcpy(buf, good + off, len);
	while (out < len) {
		iov = (struct iovec){ buf + in, len - in };
		n = in < len ? vmsplice(pipes[1], &iov, 1, SPLICE_F_NONBLOCK) : 0;
		if (n < 0 && errno != EAGAIN)
			fail_errno("vmsplice");
		if (n > 0)
			in += (size_t)n;
		n = splice(pipes[0], NULL, fd, &at, in - out, 0);
		if (n <= 0)
			fail_errno("splice to the file");
		out += (size_t)n;
	}
}

static void op_sendfile_in(size_t off, size_t len)
{
	off_t at = 0;

	invent(off, len);
	whole(pwrite(memory, good + off, len, 0), len, "pwrite");
	lseek(fd, (off_t)off, SEEK_SET);
	whole(sendfile(fd, memory, &at, len), len, "sendfile to the file");
}

static void op_process_write(size_t off, size_t len)
{
	struct iovec local, remote;

	if (!keeps)
		return;
	grow(off + len);
	invent(off, len);
	local = (struct iovec){ good + off, len };
	remote = (struct iovec){ kept + off, len };
	whole(process_vm_writev(getpid(), &local, 1, &remote, 1, 0), len, "process_vm_writev");
}

static void op_copy_range(size_t off, size_t len)
{
	size_t to = random_below(MAX_SIZE - MAX_LEN);
	loff_t from_at = (loff_t)off, to_at = (loff_t)to;

	if (to < off + len && off < to + len)
		return;
	if (to > size)
		memset(good + size, 0, to - size);
	memcpy(good + to, good + off, len);
	if (to + len > size)
		size = to + len;
	while (len) {
		ssize_t n = copy_file_range(fd, &from_at, fd, &to_at, len, 0);

		if (n <= 0)
			fail_errno("copy_file_range");
		len -= (size_t)n;
	}
}

static int clone_works = 1;

static void op_clone(size_t off, size_t len)
{
	struct file_clone_range range;
	size_t to = random_below((MAX_SIZE - MAX_LEN) / BLOCK) * BLOCK;

	off -= off % BLOCK;
	len -= len % BLOCK;
	if (!clone_works || !len || to > size || (to < off + len && off < to + len))
		return;
	range = (struct file_clone_range){ fd, off, len, to };
	if (ioctl(fd, FICLONERANGE, &range)) {
		if (errno != EOPNOTSUPP && errno != ENOTTY)
			fail_errno("FICLONERANGE");
		clone_works = 0;
		return;
	}
	memcpy(good + to, good + off, len);
	if (to + len > size)
		size = to + len;
}

static void op_truncate(size_t off, size_t len)
{
	(void)len;
	if (ftruncate(fd, (off_t)off))
		fail_errno("ftruncate");
	if (off > size)
		memset(good + size, 0, off - size);
	size = off;
}

/* False where the file system has no such thing, which is not asked for again */
static int fallocate_works(int mode, size_t off, size_t len)
{
	static int missing[2 * FALLOC_FL_INSERT_RANGE];

	if (missing[mode])
		return 0;
	if (!fallocate(fd, mode, (off_t)off, (off_t)len))
		return 1;
	if (errno != EOPNOTSUPP)
		fail_errno("fallocate");
	missing[mode] = 1;
	return 0;
}

static void op_punch(size_t off, size_t len)
{
	if (fallocate_works(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len))
		forget(off, len);
}

static void op_zero(size_t off, size_t len)
{
	int keep = random_below(2) ? FALLOC_FL_KEEP_SIZE : 0;

	if (!fallocate_works(FALLOC_FL_ZERO_RANGE | keep, off, len))
		return;
	forget(off, len);
	if (!keep && off + len > size) {
		memset(good + size, 0, off + len - size);
		size = off + len;
	}
}

static void op_allocate(size_t off, size_t len)
{
	int keep = random_below(2) ? FALLOC_FL_KEEP_SIZE : 0;

	if (fallocate_works(keep, off, len) && !keep && off + len > size) {
		memset(good + size, 0, off + len - size);
		size = off + len;
	}
}

static void op_collapse(size_t off, size_t len)
{
	off -= off % BLOCK;
	len = len / BLOCK * BLOCK;
	if (!len || off + len >= size || !fallocate_works(FALLOC_FL_COLLAPSE_RANGE, off, len))
		return;
	memmove(good + off, good + off + len, size - off - len);
	size -= len;
}

static void op_insert(size_t off, size_t len)
{
	off -= off % BLOCK;
	len = len / BLOCK * BLOCK;
	if (!len || off >= size || size + len > MAX_SIZE ||
	    !fallocate_works(FALLOC_FL_INSERT_RANGE, off, len))
		return;
	memmove(good + off + len, good + off, size - off);
	memset(good + off, 0, len);
	size += len;
}

static void op_sync(size_t off, size_t len)
{
	(void)off;
	(void)len;
	if (random_below(2) ? fsync(fd) : fdatasync(fd))
		fail_errno("fsync");
}

static void op_drop(size_t off, size_t len)
{
	(void)off;
	(void)len;
	sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void map_kept(void)
{
	if (!keeps)
		return;
	kept = mmap(NULL, MAX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (kept == MAP_FAILED)
		fail_errno("mmap");
}

static void unmap_kept(void)
{
	if (keeps)
		munmap(kept, MAX_SIZE);
}

static void op_reopen(size_t off, size_t len)
{
	(void)off;
	(void)len;
	unmap_kept();
	close(fd);
	fd = open(path, O_RDWR);
	if (fd < 0)
		fail_errno("open");
	map_kept();
}

/* For a while there is no mapping that can write, so that the file may be referred to. */
static void op_unmap(size_t off, size_t len)
{
	(void)off;
	(void)len;
	unmap_kept();
	usleep(2000);
	map_kept();
}

enum { READS = 1, WRITES = 2 };

static const struct {
	const char	*name;
	void		(*run)(size_t off, size_t len);
	int		kind;		/* READS: within the file; WRITES: may make it longer */
	int		direct;
	int		weight;
} ops[] = {
	{ "read",		op_read,	READS,	0, 6 },
	{ "read mapped",	op_map_read,	READS,	0, 4 },
	{ "read kept mapping",	op_kept_read,	READS,	0, 3 },
	{ "splice out",		op_splice_read,	READS,	0, 3 },
	{ "sendfile out",	op_sendfile_out, READS,	0, 2 },
	{ "io_uring read",	op_ring_read,	READS,	0, 2 },
	{ "O_DIRECT read",	op_direct_read,	READS,	1, 1 },
	{ "write",		op_write,	WRITES,	0, 8 },
	{ "writev",		op_writev,	WRITES,	0, 3 },
	{ "append",		op_append,	WRITES,	0, 2 },
	{ "io_uring write",	op_ring_write,	WRITES,	0, 3 },
	{ "O_DIRECT write",	op_direct_write, WRITES, 1, 1 },
	{ "write mapped",	op_map_write,	WRITES,	0, 4 },
	{ "write kept mapping",	op_kept_write,	WRITES,	0, 4 },
	{ "splice in",		op_splice_write, WRITES, 0, 3 },
	{ "sendfile in",	op_sendfile_in,	WRITES,	0, 2 },
	{ "process_vm_writev",	op_process_write, WRITES, 0, 2 },
	{ "copy_file_range",	op_copy_range,	READS,	0, 2 },
	{ "clone",		op_clone,	READS,	0, 2 },
	{ "truncate",		op_truncate,	0,	0, 4 },
	{ "punch",		op_punch,	WRITES,	0, 3 },
	{ "zero range",		op_zero,	WRITES,	0, 2 },
	{ "allocate",		op_allocate,	WRITES,	0, 2 },
	{ "collapse",		op_collapse,	READS,	0, 2 },
	{ "insert",		op_insert,	READS,	0, 2 },
	{ "sync",		op_sync,	0,	0, 1 },
	{ "drop",		op_drop,	0,	0, 1 },
	{ "reopen",		op_reopen,	0,	0, 1 },
	{ "unmap",		op_unmap,	0,	0, 2 },
};

#define NR_OPS	((int)(sizeof(ops) / sizeof(ops[0])))

static void check_size(void)
{
	struct stat st;

	if (fstat(fd, &st))
		fail_errno("fstat");
	if ((size_t)st.st_size != size)
		fail("expected size %zu, seen %lld", size, (long long)st.st_size);
}

static int choose(void)
{
	static int sum;
	int at, i;

	if (!sum)
		for (i = 0; i < NR_OPS; i++)
			sum += ops[i].weight;
	at = (int)random_below((uint32_t)sum);
	for (i = 0; at >= ops[i].weight; i++)
		at -= ops[i].weight;
	return i;
}

static void one(void)
{
	int i = choose();
	size_t len = 1 + random_below(random_below(3) ? MAX_LEN / 8 : MAX_LEN);
	size_t off = random_below(MAX_SIZE - MAX_LEN);

	if (random_below(3) == 0)
		off -= off % BLOCK;
	if (ops[i].direct && direct < 0)
		return;
	if (ops[i].kind == READS) {
		if (!size)
			return;
		off %= size;
		if (len > size - off)
			len = size - off;
	}
	done[step % LOG_SIZE].what = ops[i].name;
	done[step % LOG_SIZE].off = off;
	done[step % LOG_SIZE].len = len;
	done[step % LOG_SIZE].size = size;
	ops[i].run(off, len);
	check_size();
	step++;
}

static void check_all(const char *when)
{
	done[step % LOG_SIZE].what = when;
	done[step % LOG_SIZE].off = 0;
	done[step % LOG_SIZE].len = size;
	done[step % LOG_SIZE].size = size;
	if (size)
		op_read(0, size);
}

static void set_up(void)
{
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		err(1, "%s", path);
	direct = open(path, O_RDWR | O_DIRECT);
	memory = memfd_create("exercise", 0);
	good = calloc(1, MAX_SIZE);
	buf = aligned_alloc(BLOCK, MAX_SIZE + BLOCK);
	if (memory < 0 || !good || !buf || pipe(pipes) ||
	    fcntl(pipes[0], F_SETPIPE_SZ, PIPE_SIZE) < 0 || io_uring_queue_init(4, &ring, 0))
		err(1, "set-up");
	map_kept();
}

static void save_good(void)
{
	char name[4096];
	FILE *f;

	snprintf(name, sizeof(name), "%s.good", path);
	f = fopen(name, "w");
	if (!f || fwrite(good, 1, size, f) != size || fclose(f))
		err(1, "%s", name);
}

int main(int argc, char **argv)
{
	unsigned long n;
	int f;

	if (argc != 4)
		errx(2, "usage: exercise SEED OPERATIONS FILE");
	state = strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15u + 1;
	keeps = strtol(argv[1], NULL, 0) & 1;
	n = strtoul(argv[2], NULL, 0);
	path = argv[3];
	setlinebuf(stdout);
	set_up();

	while (step < n) {
		one();
		if (step % 1000 == 0)
			check_all("read all");
	}
	check_all("read all at the end");
	unmap_kept();
	if (fsync(fd))
		fail_errno("fsync");
	f = open("/proc/sys/vm/drop_caches", O_WRONLY);
	if (f < 0 || write(f, "1", 1) != 1)
		err(1, "drop_caches");
	check_all("read all from the disk");
	save_good();
	return 0;
}

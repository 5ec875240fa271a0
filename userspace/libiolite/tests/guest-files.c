// SPDX-License-Identifier: MIT
/* Aggregates of files hold what read(2) returns, and keep it. */
#include <sys/stat.h>
#include "guest.h"

static struct iolite *io;

static void sizes_and_offsets(void)
{
	static const size_t sizes[] = {
		0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20, (3 << 20) + 123
	};
	unsigned char *data, *seen = malloc(4 << 20);
	struct iol_agg *agg = NULL;
	size_t i, size, len, off;
	ssize_t n, m;
	int fd, j, bad;

	must(seen);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size = sizes[i];
		data = any_bytes(size);
		fd = file_of(data, size);
		for (j = 0, bad = 0; j < 20; j++) {
			off = j ? any((uint32_t)size + 100) : 0;
			len = j ? any((uint32_t)size + 100) : size;
			m = pread(fd, seen, len, (off_t)off);
			n = iol_read(io, &agg, fd, len, (int64_t)off);
			bad += n != m || iol_length(agg) != n || !holds(agg, seen, (size_t)m);
		}
		is(bad, 0, "%zu bytes, read from anywhere", size);
		close(fd);
		free(data);
	}
	iol_free(agg);
	free(seen);
}

static void file_position(void)
{
	unsigned char *data = any_bytes(10000);
	struct iol_agg *agg = NULL;
	int fd = file_of(data, 10000);

	must(lseek(fd, 100, SEEK_SET) == 100);
	is(iol_read(io, &agg, fd, 5000, -1), 5000, "from the file's position");
	ok(holds(agg, data + 100, 5000), "the bytes");
	is(lseek(fd, 0, SEEK_CUR), 5100, "which is moved");
	is(iol_read(io, &agg, fd, 5000, 0), 5000, "from elsewhere");
	is(lseek(fd, 0, SEEK_CUR), 5100, "it is not");
	is(iol_read(io, &agg, fd, 100000, -1), 4900, "what is left");
	is(iol_read(io, &agg, fd, 100000, -1), 0, "the end");
	is(iol_length(agg), 0, "an empty aggregate");
	iol_free(agg);
	close(fd);
	free(data);
}

static void failures(void)
{
	struct iol_agg *agg = NULL, *more = NULL;
	int fd = file_of("abc", 3), wr, dir = open("/tmp", O_RDONLY);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	wr = open(path, O_WRONLY);
	must(wr >= 0 && dir >= 0);
	is(iol_read(io, &agg, -1, 3, 0), -EBADF, "no file");
	is(iol_read(io, &agg, wr, 3, 0), -EBADF, "a file that is not open for reading");
	is(iol_read(io, &agg, dir, 3, 0), -EISDIR, "a directory");
	is(iol_read(io, &agg, fd, 3, -2), -EINVAL, "a negative position");
	ok(!agg, "no aggregate");
	is(iol_read(io, &agg, fd, 3, 0), 3, "a good one");
	is(iol_read(io, &agg, dir, 3, 0), -EISDIR, "then a bad one");
	ok(holds(agg, "abc", 3), "leaves what was there");
	is(iol_write(agg, fd, 3, 0), 3, "write");
	is(iol_seek(agg, 0, SEEK_SET), 0, "seek");
	is(iol_write(agg, dir, 3, 0), -EBADF, "write to a file that is not open for writing");
	is(iol_tell(agg), 0, "the cursor stays");
	is(iol_dup(agg, &more), 0, "dup");
	close(fd);
	close(wr);
	close(dir);
	iol_free(agg);
	iol_free(more);
}

/* Each way to change a file, tried on one whose pages an aggregate holds. */
static void do_write(int fd)
{
	must(pwrite(fd, "changed", 7, 4000) == 7);
}

static void do_truncate(int fd)
{
	must(!ftruncate(fd, 1000));
}

static void do_punch(int fd)
{
	must(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 20000));
}

static void do_store(int fd)
{
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(p != MAP_FAILED);
	memset(p, 'x', 65536);
	munmap(p, 65536);
}

static void snapshots(void)
{
	static const struct {
		const char *name;
		void (*change)(int fd);
	} ways[] = {
		{ "write", do_write }, { "truncate", do_truncate },
		{ "punch hole", do_punch }, { "shared mapping", do_store },
	};
	unsigned char *data = any_bytes(65536), *now = malloc(65536);
	struct iol_agg *before = NULL, *after = NULL;
	size_t i;
	ssize_t n;
	int fd;

	must(now);
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		fd = file_of(data, 65536);
		must(iol_read(io, &before, fd, 65536, 0) == 65536);
		ways[i].change(fd);
		ok(holds(before, data, 65536), "%s: what was read stays", ways[i].name);
		n = pread(fd, now, 65536, 0);
		ok(n < 65536 || memcmp(now, data, 65536), "%s: the file changes", ways[i].name);
		is(iol_read(io, &after, fd, 65536, 0), n, "%s: read again", ways[i].name);
		ok(holds(after, now, (size_t)n), "%s: the change is seen", ways[i].name);
		is(iol_compare(before, after, NULL), 1, "%s: compare", ways[i].name);
		close(fd);
	}
	iol_free(before);
	iol_free(after);
	free(data);
	free(now);
}

/* Files that have no pages to share are read all the same. */
static void special_files(void)
{
	unsigned char *data = any_bytes(8192);
	struct iol_agg *agg = NULL;
	char text[4096];
	ssize_t n;
	int fd, fds[2], direct;

	fd = open("/proc/version", O_RDONLY);
	n = read(fd, text, sizeof(text));
	must(n > 0);
	is(iol_read(io, &agg, fd, sizeof(text), 0), n, "/proc/version");
	ok(holds(agg, text, (size_t)n), "/proc/version: the bytes");
	close(fd);

	must(!pipe(fds) && write(fds[1], "through a pipe", 14) == 14);
	is(iol_read(io, &agg, fds[0], 100, -1), 14, "a pipe");
	ok(holds(agg, "through a pipe", 14), "a pipe: the bytes");
	is(iol_write(agg, fds[1], 0, -1), 14, "into a pipe");
	is(read(fds[0], text, sizeof(text)), 14, "out of it");
	ok(!memcmp(text, "through a pipe", 14), "the bytes");
	close(fds[1]);
	is(iol_read(io, &agg, fds[0], 100, -1), 0, "the end of a pipe");
	close(fds[0]);

	fd = file_of(data, 8192);
	must(!ftruncate(fd, 100000));
	n = iol_read(io, &agg, fd, 200000, 0);
	is(n, 100000, "a hole");
	ok(iol_to_memory(agg, text, 4096, 50000) == 4096 &&
	   !text[0] && !memcmp(text, text + 1, 4095), "is zeroes");

	snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
	direct = open(text, O_RDONLY | O_DIRECT);
	if (direct >= 0) {
		is(iol_read(io, &agg, direct, 8192, 0), 8192, "O_DIRECT");
		ok(holds(agg, data, 8192), "O_DIRECT: the bytes");
		close(direct);
	} else {
		skip("no O_DIRECT in /tmp");
	}
	close(fd);
	iol_free(agg);
	free(data);
}

static void writing(void)
{
	unsigned char *data = any_bytes(100000), *seen = malloc(200000);
	struct iol_agg *agg = NULL, *tail = NULL;
	int fd = file_of("", 0);

	must(seen && !iol_from_memory(io, &agg, data, 50000) &&
	     !iol_from_memory(io, &tail, data + 50000, 50000));
	is(iol_concat(agg, tail), 100000, "two halves");
	is(iol_write(agg, fd, 30000, 12345), 30000, "a part");
	is(iol_tell(agg), 30000, "moves the cursor");
	is(iol_write(agg, fd, 0, 12345 + 30000), 70000, "the rest");
	is(iol_write(agg, fd, 0, 0), 0, "nothing is left");
	is(pread(fd, seen, 200000, 0), 112345, "the file's length");
	ok(!memcmp(seen + 12345, data, 100000), "the file's bytes");

	is(iol_seek(agg, -10, SEEK_END), 99990, "the last ten bytes");
	must(lseek(fd, 5, SEEK_SET) == 5);
	is(iol_write(agg, fd, 0, -1), 10, "at the file's position");
	is(lseek(fd, 0, SEEK_CUR), 15, "which is moved");
	ok(pread(fd, seen, 10, 5) == 10 && !memcmp(seen, data + 99990, 10), "the bytes");

	must(!fcntl(fd, F_SETFL, O_APPEND));
	iol_seek(agg, 0, SEEK_SET);
	is(iol_write(agg, fd, 7, -1), 7, "appended");
	ok(pread(fd, seen, 100, 112345) == 7 && !memcmp(seen, data, 7), "at the end");
	close(fd);
	iol_free(agg);
	iol_free(tail);
	free(data);
	free(seen);
}

int main(void)
{
	must(!iol_open(&io, 0));
	sizes_and_offsets();
	file_position();
	failures();
	snapshots();
	special_files();
	writing();
	iol_close(io);
	return done();
}

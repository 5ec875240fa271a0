// SPDX-License-Identifier: MIT
/*
 * What it costs to write bytes to a new file: by write(2) from memory and
 * copy_file_range(2) from another file, by reference from an aggregate of pool
 * buffers, and past the page cache from both.
 *
 *	write_by_ref DIRECTORY...
 *
 * Prints a line for each measured section, in their order: mechanism, name of the
 * directory's last component, bytes of a write, writes, bytes that IO-Lite says it
 * copied.  The first round warms up.  "WRONG ..." where a file has other bytes.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include <iolite.h>

#include "mark.h"

#define KIB		1024UL
#define MIB		(1024 * KIB)
#define MOST		(16 * MIB)
#define ROUNDS		4
/* Buffers that become folios of the file must not be larger than it has them. */
#define MOST_OF_FOLIO	MIB

enum { WHOLE, PART, NR_SLOTS };

static struct io_uring ring;
static unsigned char *bytes, *seen;
static const char *place;
static size_t folio_max;
static int source, pool;

static int submit(const char *what)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_submit_and_wait(&ring, 1);

	if (ret < 0 || io_uring_peek_cqe(&ring, &cqe))
		errx(1, "%s: %s", what, strerror(-ret));
	ret = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	if (ret < 0)
		errx(1, "%s: %s", what, strerror(-ret));
	return ret;
}

static long copied(void)
{
	long value = 0;
	FILE *f = fopen("/sys/kernel/mm/iolite/copied_file_write", "r");

	if (!f || fscanf(f, "%ld", &value) != 1)
		err(1, "copied_file_write");
	fclose(f);
	return value;
}

static void by_write(int file, size_t pos, size_t size)
{
	if (pwrite(file, bytes + pos, size, (off_t)pos) != (ssize_t)size)
		err(1, "write");
}

static void by_copy(int file, size_t pos, size_t size)
{
	off_t from = (off_t)pos, to = from;

	while (size) {
		ssize_t ret = copy_file_range(source, &from, file, &to, size, 0);

		if (ret <= 0)
			err(1, "copy_file_range");
		size -= (size_t)ret;
	}
}

static void by_reference(int file, size_t pos, size_t size)
{
	while (size) {
		size_t done;

		/* goes on at the cursor */
		iol_prep_write(io_uring_get_sqe(&ring), file, WHOLE, (unsigned int)size,
			       (int64_t)pos);
		done = (size_t)submit("write by reference");
		pos += done;
		size -= done;
	}
}

static const struct mechanism {
	const char	*name;
	void		(*write)(int file, size_t pos, size_t size);
	int		flags;
} mechanisms[] = {
	{ "write",		by_write,	0 },
	{ "copy_file_range",	by_copy,	0 },
	{ "IO-Lite",		by_reference,	0 },
	{ "O_DIRECT",		by_write,	O_DIRECT },
	{ "IO-Lite O_DIRECT",	by_reference,	O_DIRECT },
};

/* New buffers each time, as a program has that made the bytes: a page is in one file only. */
static void make_aggregate(size_t total, size_t piece)
{
	size_t pos;

	for (pos = 0; pos < total; pos += piece) {
		iol_prep_alloc(io_uring_get_sqe(&ring), pool, pos ? PART : WHOLE, bytes + pos,
			       (unsigned int)piece);
		submit("alloc");
		if (!pos)
			continue;
		iol_prep_concat(io_uring_get_sqe(&ring), WHOLE, PART);
		submit("concat");
		iol_prep_free(io_uring_get_sqe(&ring), PART, 1);
		submit("free");
	}
}

static void measure(const char *path, const struct mechanism *m, size_t size, size_t total)
{
	long before;
	size_t pos;
	int file, check;

	unlink(path);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC | m->flags, 0600);
	if (file < 0)
		err(1, "%s", path);
	if (m->write == by_reference)
		make_aggregate(total, size < folio_max ? size : folio_max);
	before = copied();
	mark_begin();
	for (pos = 0; pos < total; pos += size)
		m->write(file, pos, size);
	mark_end();
	printf("%s\t%s\t%zu\t%zu\t%ld\n", m->name, place, size, total / size, copied() - before);

	if (m->write == by_reference) {
		iol_prep_free(io_uring_get_sqe(&ring), WHOLE, 1);
		submit("free");
	}
	check = open(path, O_RDONLY);
	if (check < 0 || pread(check, seen, total, 0) != (ssize_t)total)
		err(1, "%s", path);
	if (memcmp(seen, bytes, total))
		printf("WRONG %s %s %zu\n", m->name, place, size);
	close(check);
	if (fsync(file))
		err(1, "fsync");
	close(file);
}

static void make_source(const char *directory)
{
	char path[4096];
	size_t pos;

	snprintf(path, sizeof(path), "%s/source", directory);
	source = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (source < 0)
		err(1, "%s", path);
	for (pos = 0; pos < MOST; pos += MIB)
		by_write(source, pos, MIB);
	if (fsync(source))
		err(1, "fsync");
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 16 * MIB };
	unsigned int j, k, round;
	char path[4096];
	struct statfs fs;
	struct stat st;
	int i, ret;
	size_t n;

	bytes = aligned_alloc(4 * KIB, MOST);
	seen = aligned_alloc(4 * KIB, MOST);
	if (!bytes || !seen)
		err(1, "memory");
	for (n = 0; n < MOST; n++)
		bytes[n] = (unsigned char)(n * 7 + (n >> 12) * 13 + (n >> 20));
	ret = io_uring_queue_init(4, &ring, IORING_SETUP_SINGLE_ISSUER |
				  IORING_SETUP_DEFER_TASKRUN);
	if (!ret)
		ret = iol_init(&ring, NR_SLOTS, 0);
	if (ret < 0)
		errx(1, "IO-Lite: %s", strerror(-ret));
	pool = iol_pool_create(&ring, 0, 0);
	if (pool < 0)
		errx(1, "pool: %s", strerror(-pool));

	for (i = 1; i < argc; i++) {
		place = strrchr(argv[i], '/');
		place = place ? place + 1 : argv[i];
		make_source(argv[i]);
		if (statfs(argv[i], &fs))
			err(1, "%s", argv[i]);
		/* tmpfs says so if it has larger ones */
		if (fstat(source, &st))
			err(1, "fstat");
		folio_max = fs.f_type == TMPFS_MAGIC && st.st_blksize == 4 * KIB ?
			    4 * KIB : MOST_OF_FOLIO;
		snprintf(path, sizeof(path), "%s/target", argv[i]);
		for (j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
			size_t total = sizes[j] < MIB ? MIB : sizes[j];

			for (k = 0; k < sizeof(mechanisms) / sizeof(mechanisms[0]); k++) {
				/* tmpfs has nothing past the page cache */
				if (mechanisms[k].flags && fs.f_type == TMPFS_MAGIC)
					continue;
				for (round = 0; round < ROUNDS; round++)
					measure(path, &mechanisms[k], sizes[j], total);
			}
		}
		close(source);
	}
	return 0;
}

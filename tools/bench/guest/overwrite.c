// SPDX-License-Identifier: MIT
/*
 * What it costs to overwrite cached files: one that IO-Lite never touched, one that
 * was read by reference and let go, and one of which somebody still holds what he
 * read, and must not see it change.
 *
 *	overwrite DIRECTORY...
 *
 * Prints a line for each measured section, in their order: state, name of the
 * directory's last component, bytes of a write, writes, folios replaced, bytes copied
 * for that.  The first round warms up.  "WRONG ..." where bytes are not what they
 * should be.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <iolite.h>

#include "mark.h"

#define KIB		1024UL
#define FILE_SIZE	(4096 * KIB)
#define ROUNDS		6
#define SLOT		0

enum state { PLAIN, RELEASED, HELD, NR_STATES };

static const char *const names[NR_STATES] = { "plain", "released", "held" };

static struct io_uring ring;
static unsigned char *now, *before, *seen;
static const char *place;
static int check_file;

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

static long counter(const char *name)
{
	char path[128];
	long value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/iolite/%s", name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%ld", &value) != 1)
		err(1, "%s", path);
	fclose(f);
	return value;
}

/* Other bytes each time, and others in each page */
static void fill(unsigned char *bytes, unsigned int round)
{
	unsigned int x = round * 2654435761U + 1;
	size_t i;

	for (i = 0; i < FILE_SIZE; i += sizeof(x)) {
		x = x * 1664525 + 1013904223;
		memcpy(bytes + i, &x, sizeof(x));
	}
}

static void read_by_reference(int file)
{
	struct io_uring_sqe *sqe;
	size_t done;

	for (done = 0; done < FILE_SIZE;) {
		sqe = io_uring_get_sqe(&ring);
		iol_prep_read(sqe, file, SLOT, (unsigned int)(FILE_SIZE - done), (int64_t)done);
		if (done)
			iol_sqe_set_flags(sqe, IOLITE_READ_APPEND);
		done += (size_t)submit("read");
	}
}

static void release(void)
{
	iol_prep_free(io_uring_get_sqe(&ring), SLOT, 1);
	submit("free");
}

static void compare(int file, const unsigned char *expected, const char *what, const char *state)
{
	if (pread(file, seen, FILE_SIZE, 0) != (ssize_t)FILE_SIZE)
		err(1, "%s", what);
	if (memcmp(seen, expected, FILE_SIZE))
		printf("WRONG %s of %s, %s\n", what, place, state);
}

static void check_held(const char *state)
{
	size_t done;

	for (done = 0; done < FILE_SIZE;) {
		iol_prep_write(io_uring_get_sqe(&ring), check_file, SLOT, 0, (int64_t)done);
		done += (size_t)submit("write");
	}
	compare(check_file, before, "snapshot", state);
}

static void overwrite(int file, enum state state, size_t size, unsigned int round)
{
	unsigned char *old = now;
	long folios, bytes;
	size_t pos;

	now = before;
	before = old;
	fill(now, round);

	/* what is dirty is copied for a reader */
	if (fsync(file))
		err(1, "fsync");
	if (state != PLAIN)
		read_by_reference(file);
	if (state == RELEASED)
		release();
	folios = counter("cow_folios");
	bytes = counter("copied_cow");
	mark_begin();
	for (pos = 0; pos < FILE_SIZE; pos += size)
		if (pwrite(file, now + pos, size, (off_t)pos) != (ssize_t)size)
			err(1, "write");
	mark_end();
	printf("%s %s %zu %zu %ld %ld\n", names[state], place, size, FILE_SIZE / size,
	       counter("cow_folios") - folios, counter("copied_cow") - bytes);
	compare(file, now, "file", names[state]);
	if (state == HELD) {
		check_held(names[state]);
		release();
	}
}

static void all_sizes(const char *directory, enum state state)
{
	static const size_t sizes[] = { 4 * KIB, 64 * KIB, 1024 * KIB };
	unsigned int i, round;
	char path[4096];
	int file;

	snprintf(path, sizeof(path), "%s/%s", directory, names[state]);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (file < 0)
		err(1, "%s", path);
	fill(now, 0);
	for (i = 0; i < 4; i++)
		if (pwrite(file, now + i * 1024 * KIB, 1024 * KIB, (off_t)(i * 1024 * KIB)) !=
		    (ssize_t)(1024 * KIB))
			err(1, "%s", path);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (round = 0; round < ROUNDS; round++)
			overwrite(file, state, sizes[i], i * ROUNDS + round + 1);
	unlink(path);
	close(file);
}

int main(int argc, char **argv)
{
	int i, ret;

	now = aligned_alloc(4 * KIB, FILE_SIZE);
	before = aligned_alloc(4 * KIB, FILE_SIZE);
	seen = aligned_alloc(4 * KIB, FILE_SIZE);
	check_file = open("/tmp/check", O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (!now || !before || !seen || check_file < 0)
		err(1, "/tmp/check");
	ret = io_uring_queue_init(4, &ring, IORING_SETUP_SINGLE_ISSUER |
				  IORING_SETUP_DEFER_TASKRUN);
	if (!ret)
		ret = iol_init(&ring, 4, 0);
	if (ret < 0)
		errx(1, "IO-Lite: %s", strerror(-ret));
	for (i = 1; i < argc; i++) {
		enum state state;

		place = strrchr(argv[i], '/');
		place = place ? place + 1 : argv[i];
		for (state = PLAIN; state < NR_STATES; state++)
			all_sizes(argv[i], state);
	}
	return 0;
}

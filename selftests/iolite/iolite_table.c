// SPDX-License-Identifier: GPL-2.0
/*
 * How files of each file system are read, and what a write to what is being read
 * does. Prints the table of Documentation/mm/iolite.rst, so that it comes from a
 * test and not from belief.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "iolite_fs.h"
#include "iolite_util.h"

#define PAGE	4096
#define SIZE	(4 * PAGE)

#define RULE	"# table: =============== ========= ========= ========= ========= ==========\n"
#define ROW	"# table: %-15s %-9s %-9s %-9s %-9s %s\n"

static const char * const reasons[] = {
	"fs", "direct", "special", "mapped", "pinned", "busy", "hole",
};

static struct ring ring;
static char *data, *seen;

/* "reference", or the reason of the copy */
static const char *read_how(unsigned int slot, int fd)
{
	long shared = stat_get("shared_bytes"), before[ARRAY_LEN(reasons)];
	char name[32];
	size_t i;

	for (i = 0; i < ARRAY_LEN(reasons); i++) {
		snprintf(name, sizeof(name), "copied_%s", reasons[i]);
		before[i] = stat_get(name);
	}
	if (op_read(&ring, slot, fd, 0, SIZE) != SIZE)
		return "?";
	if (stat_get("shared_bytes") - shared == SIZE)
		return "reference";
	for (i = 0; i < ARRAY_LEN(reasons); i++) {
		snprintf(name, sizeof(name), "copied_%s", reasons[i]);
		if (stat_get(name) - before[i] == SIZE)
			return reasons[i];
	}
	return "mixed";
}

/* What a write does to a page that slot 0 has, and that the file has, too */
static const char *write_how(int fd, bool *same)
{
	long cow = stat_get("cow_folios");
	const char *how = "in place";

	if (pwrite(fd, "other", 5, 100) != 5)
		return "?";
	if (stat_get("cow_folios") > cow)
		how = "new folio";
	*same = agg_bytes(&ring, 0, seen, SIZE) == SIZE && same_bytes(data, seen, SIZE);
	op_free(&ring, 0, 1);
	return how;
}

static int new_file(enum fs fs, bool hole)
{
	int fd = fs == FS_NR ? memfd_create("table", 0) : fs_file(fs, 0, NULL);

	if (hole)
		return ftruncate(fd, SIZE) ? -1 : fd;
	if (write_full(fd, data, SIZE) != SIZE || fsync(fd))
		return -1;
	return fd;
}

/* A row; true if the bytes that were read stayed as they were */
static bool look(enum fs fs)
{
	const char *clean, *dirty, *hole, *mapped, *written;
	int fd = new_file(fs, false), empty = new_file(fs, true);
	bool same = false;
	char *map;

	clean = read_how(0, fd);
	written = write_how(fd, &same);
	dirty = pwrite(fd, data, SIZE, 0) == SIZE ? read_how(1, fd) : "?";
	hole = read_how(1, empty);
	close(empty);
	op_free(&ring, 1, 1);
	/* no longer sealed */
	if (pwrite(fd, data, SIZE, 0) != SIZE || fsync(fd))
		return false;
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	mapped = map != MAP_FAILED ? read_how(1, fd) : "?";
	munmap(map, SIZE);
	close(fd);
	printf(ROW, fs == FS_NR ? "memfd" : fs_names[fs], clean, dirty, hole, mapped, written);
	op_free(&ring, 1, 1);
	return same && (!strcmp(clean, "reference") || strcmp(written, "new folio")) &&
	       (strcmp(clean, "reference") || !strcmp(written, "new folio"));
}

int main(void)
{
	enum fs fs;

	ksft_print_header();
	if (!iolite_present())
		ksft_exit_skip("the kernel has no IO-Lite\n");
	fs_mount_all();
	for (fs = FS_USUAL; fs < FS_NR; fs++)
		fs_mount(fs);
	data = xmalloc(SIZE);
	seen = xmalloc(SIZE);
	fill_pattern(data, SIZE, 1);
	if (ring_open(&ring, 2))
		ksft_exit_fail_msg("a ring cannot be had\n");
	ksft_set_plan(FS_NR + 1);
	printf(RULE ROW RULE, "File system", "Clean", "Dirty", "Hole", "Mapped", "Write");
	/* FS_NR is memfd, which is mounted nowhere */
	for (fs = 0; fs <= FS_NR; fs++) {
		if (fs < FS_NR && fs_missing(fs))
			ksft_test_result_skip("%s\n", fs_missing(fs));
		else
			ksft_test_result(look(fs), "%s\n", fs < FS_NR ? fs_names[fs] : "memfd");
	}
	printf(RULE);
	ring_close(&ring);
	ksft_finished();
}

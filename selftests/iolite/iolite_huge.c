// SPDX-License-Identifier: GPL-2.0
/*
 * I1 with folios that page tables map as a whole, on tmpfs: stores through PMDs,
 * splitting, and collapsing of pages that somebody holds.
 */
#include <limits.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE	4096
#define HUGE	(2 << 20)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

FIXTURE(huge) {
	struct ring r;
	int fd;
	char path[PATH_MAX];
	char *data, *seen, *map;
};

static int setup(struct _test_data_huge *self, enum fs fs)
{
	self->data = xmalloc(HUGE);
	self->seen = xmalloc(HUGE);
	fill_pattern(self->data, HUGE, 1);
	self->fd = fs_file(fs, 0, self->path);
	return write_full(self->fd, self->data, HUGE) == HUGE ? 0 : -EIO;
}

FIXTURE_SETUP(huge)
{
	OPEN_RING(&self->r, 4);
	NEED_FS(FS_HUGE);
}

FIXTURE_TEARDOWN(huge)
{
	unlink(self->path);
	close(self->fd);
	ring_close(&self->r);
}

/* Where a PMD can map it */
static char *map_aligned(int fd, int prot)
{
	char *room = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = (char *)(((uintptr_t)room + HUGE - 1) & ~(uintptr_t)(HUGE - 1));

	if (room == MAP_FAILED)
		return NULL;
	at = mmap(at, HUGE, prot, MAP_SHARED | MAP_FIXED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

/* Kilobytes of the mapping that PMDs map */
static long by_pmd(const char *map)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[256], start[32];
	bool ours = false;
	long found = -1;

	snprintf(start, sizeof(start), "%lx-", (unsigned long)map);
	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "-") && strstr(line, ":") && !strstr(line, "kB"))
			ours = !strncmp(line, start, strlen(start));
		else if (ours && sscanf(line, "ShmemPmdMapped: %ld", &found) == 1)
			break;
	}
	if (f)
		fclose(f);
	return found;
}

static void check(struct __test_metadata *_metadata, struct _test_data_huge *self,
		  const char *when)
{
	memset(self->seen, 0, HUGE);
	ASSERT_EQ(HUGE, agg_bytes(&self->r, 0, self->seen, HUGE));
	EXPECT_SAME(self->data, self->seen, HUGE)
		TH_LOG("the snapshot, %s", when);
}

static void store_and_check(struct __test_metadata *_metadata, struct _test_data_huge *self,
			    char *map)
{
	char *now = xmalloc(HUGE);
	int off;

	memcpy(now, self->data, HUGE);
	for (off = 0; off < HUGE; off += 37 * PAGE) {
		map[off + 5] ^= 0x55;
		now[off + 5] ^= 0x55;
	}
	check(_metadata, self, "after the stores");
	ASSERT_EQ(HUGE, pread_full(self->fd, self->seen, HUGE, 0));
	EXPECT_SAME(now, self->seen, HUGE)
		TH_LOG("the file");
	EXPECT_SAME(now, map, HUGE)
		TH_LOG("the mapping");
	munmap(map, HUGE);
	free(now);
}

TEST_F_TIMEOUT(huge, store_at_once, 60)
{
	char *map;

	ASSERT_EQ(0, setup(self, FS_HUGE));
	ASSERT_EQ(HUGE, op_read(&self->r, 0, self->fd, 0, HUGE));
	map = map_aligned(self->fd, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, map);
	store_and_check(_metadata, self, map);
}

/* The load maps all of it by a PMD, which must not be writable */
TEST_F_TIMEOUT(huge, store_to_what_a_load_has_mapped_by_a_pmd, 60)
{
	char *map;

	ASSERT_EQ(0, setup(self, FS_HUGE));
	ASSERT_EQ(HUGE, op_read(&self->r, 0, self->fd, 0, HUGE));
	map = map_aligned(self->fd, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, map);
	*(volatile char *)map;
	if (by_pmd(map) != HUGE / 1024)
		SKIP(return, "no page table maps it as a whole: %ld kB", by_pmd(map));
	store_and_check(_metadata, self, map);
}

TEST_F_TIMEOUT(huge, store_after_mprotect, 60)
{
	char *map;

	ASSERT_EQ(0, setup(self, FS_HUGE));
	ASSERT_EQ(HUGE, op_read(&self->r, 0, self->fd, 0, HUGE));
	map = map_aligned(self->fd, PROT_READ);
	ASSERT_NE(NULL, map);
	*(volatile char *)map;
	ASSERT_EQ(0, mprotect(map, HUGE, PROT_READ | PROT_WRITE));
	store_and_check(_metadata, self, map);
}

/* What was mapped for writing when it was read is copied */
TEST_F_TIMEOUT(huge, store_by_a_pmd_from_before, 60)
{
	char *map;

	ASSERT_EQ(0, setup(self, FS_HUGE));
	map = map_aligned(self->fd, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, map);
	map[0] = self->data[0];
	ASSERT_EQ(HUGE, op_read(&self->r, 0, self->fd, 0, HUGE));
	store_and_check(_metadata, self, map);
}

/* A PMD that maps the old folio read-only has to go when there is a new one */
TEST_F_TIMEOUT(huge, mapping_shows_what_was_written, 60)
{
	char *map;
	int fd;

	ASSERT_EQ(0, setup(self, FS_HUGE));
	fd = open(self->path, O_RDONLY);
	map = map_aligned(fd, PROT_READ);
	close(fd);
	ASSERT_NE(NULL, map);
	*(volatile char *)map;
	ASSERT_EQ(HUGE, op_read(&self->r, 0, self->fd, 0, HUGE));
	ASSERT_EQ(4, pwrite(self->fd, "abcd", 4, HUGE / 2));
	EXPECT_SAME("abcd", map + HUGE / 2, 4);
	check(_metadata, self, "after the write");
	munmap(map, HUGE);
}

TEST_F_TIMEOUT(huge, pages_are_split_by_truncation_and_holes, 60)
{
	ASSERT_EQ(0, setup(self, FS_HUGE));
	ASSERT_EQ(HUGE, op_read(&self->r, 0, self->fd, 0, HUGE));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       100 * PAGE + 77, 30 * PAGE));
	check(_metadata, self, "after a hole was punched");
	ASSERT_EQ(0, ftruncate(self->fd, 300 * PAGE + 11));
	check(_metadata, self, "after truncation");
	ASSERT_EQ(0, ftruncate(self->fd, HUGE));
	memset(self->data + 100 * PAGE + 77, 0, 30 * PAGE);
	memset(self->data + 300 * PAGE + 11, 0, HUGE - 300 * PAGE - 11);
	ASSERT_EQ(HUGE, pread_full(self->fd, self->seen, HUGE, 0));
	EXPECT_SAME(self->data, self->seen, HUGE)
		TH_LOG("the file");
}

/* What khugepaged does: small pages become one, where nobody holds them */
TEST_F_TIMEOUT(huge, small_pages_are_collapsed, 60)
{
	char *map;

	ASSERT_EQ(0, setup(self, FS_TMPFS));
	ASSERT_EQ(HUGE, op_read(&self->r, 0, self->fd, 0, HUGE));
	map = map_aligned(self->fd, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, map);
	EXPECT_NE(0, madvise(map, HUGE, MADV_COLLAPSE))
		TH_LOG("pages that are held were collapsed");
	check(_metadata, self, "after MADV_COLLAPSE");
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	munmap(map, HUGE);

	map = map_aligned(self->fd, PROT_READ);
	ASSERT_NE(NULL, map);
	if (madvise(map, HUGE, MADV_COLLAPSE))
		SKIP(return, "MADV_COLLAPSE: %s", strerror(errno));
	munmap(map, HUGE);
	ASSERT_EQ(HUGE, op_read(&self->r, 0, self->fd, 0, HUGE));
	map = map_aligned(self->fd, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, map);
	store_and_check(_metadata, self, map);
}

FS_HARNESS_MAIN

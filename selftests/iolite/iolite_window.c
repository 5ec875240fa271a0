// SPDX-License-Identifier: GPL-2.0
/* The window: who can read what (I3), at which address (I4), under which name (I8) */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE	4096

static char *page_of(const void *at)
{
	return (char *)((uintptr_t)at & ~(PAGE - 1UL));
}

static char *addr_of(const struct iolite_extent *ext)
{
	return (char *)(uintptr_t)ext->addr;
}

/* ---- joining ---- */

FIXTURE(join) {
	struct ring r;
	char *base;
	size_t size;
};

FIXTURE_SETUP(join)
{
	OPEN_RING(&self->r, 4);
	self->base = (char *)(uintptr_t)self->r.table.window_base;
	self->size = self->r.table.window_size;
}

FIXTURE_TEARDOWN(join)
{
	ring_close(&self->r);
}

static int try_join(struct _test_data_join *self, char *at, size_t size, int prot, int flags,
		    off_t off)
{
	void *ret = mmap(at, size, prot, flags, self->r.fd, off);

	if (ret == MAP_FAILED)
		return -errno;
	munmap(ret, size);
	return 0;
}

#define RW	(PROT_READ | PROT_WRITE)
#define SHARED	(MAP_SHARED | MAP_FIXED_NOREPLACE)

TEST_F(join, is_whole_shared_and_at_its_address)
{
	EXPECT_EQ(0, try_join(self, self->base, self->size, RW, SHARED, IOLITE_OFF_WINDOW));
	EXPECT_EQ(-EINVAL, try_join(self, self->base + PAGE, self->size, RW, SHARED,
				    IOLITE_OFF_WINDOW));
	EXPECT_EQ(-EINVAL, try_join(self, self->base - PAGE, self->size, RW, SHARED,
				    IOLITE_OFF_WINDOW));
	EXPECT_EQ(-EINVAL, try_join(self, self->base, self->size / 2, RW, SHARED,
				    IOLITE_OFF_WINDOW));
	EXPECT_EQ(-EINVAL, try_join(self, self->base, self->size + PAGE, RW, SHARED,
				    IOLITE_OFF_WINDOW));
	EXPECT_EQ(-EINVAL, try_join(self, self->base, PAGE, RW, SHARED, IOLITE_OFF_WINDOW));
	EXPECT_EQ(-EINVAL, try_join(self, self->base, self->size, RW,
				    MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
				    IOLITE_OFF_WINDOW));
	EXPECT_EQ(-EINVAL, try_join(self, self->base, self->size, RW, SHARED,
				    IOLITE_OFF_WINDOW + PAGE));
}

TEST_F(join, without_asking_for_an_address_it_is_there_or_nowhere)
{
	void *at = mmap(NULL, self->size, RW, MAP_SHARED, self->r.fd, IOLITE_OFF_WINDOW);

	EXPECT_TRUE(at == MAP_FAILED || at == self->base)
		TH_LOG("joined at %p instead of %p", at, self->base);
}

TEST_F(join, is_never_executable)
{
	/* where anonymous inodes live, nothing may be executed */
	EXPECT_EQ(-EPERM, try_join(self, self->base, self->size, RW | PROT_EXEC, SHARED,
				   IOLITE_OFF_WINDOW));
	ASSERT_EQ(0, ring_join(&self->r));
	EXPECT_EQ(-1, mprotect(self->base, self->size, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
}

TEST_F(join, twice_finds_the_address_taken)
{
	ASSERT_EQ(0, ring_join(&self->r));
	EXPECT_EQ(-EEXIST, try_join(self, self->base, self->size, RW, SHARED,
				    IOLITE_OFF_WINDOW));
}

TEST_F(join, is_counted_and_ended_by_munmap)
{
	long before = stat_settled("domains");

	ASSERT_EQ(0, ring_join(&self->r));
	EXPECT_EQ(before + 1, stat_get("domains"));
	EXPECT_EQ(0, munmap(self->base, self->size));
	self->r.window = NULL;
	EXPECT_EQ(before, stat_wait("domains", before));
	ASSERT_EQ(0, ring_join(&self->r));
	EXPECT_EQ(before + 1, stat_get("domains"));
}

TEST_F(join, is_needed_for_addresses)
{
	int pool = pool_create(&self->r, 0);
	struct iolite_extent ext;
	char *at;

	ASSERT_EQ(4, op_alloc(&self->r, 0, pool, "data", 4));
	EXPECT_EQ(-ENXIO, op_map(&self->r, 0, &ext, 1, 0));
	EXPECT_EQ(-ENXIO, op_alloc_writable(&self->r, 1, pool, 100, &at));
	EXPECT_EQ(-ENOENT, op_length(&self->r, 1));
	close(pool);
}

TEST_F(join, cannot_be_undone_or_moved_in_part)
{
	ASSERT_EQ(0, ring_join(&self->r));
	EXPECT_EQ(-1, munmap(self->base, PAGE));
	EXPECT_EQ(-1, munmap(self->base + 4 * PAGE, PAGE));
	EXPECT_EQ(-1, munmap(self->base + self->size - PAGE, PAGE));
	EXPECT_EQ(-1, mprotect(self->base + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(MAP_FAILED, mremap(self->base, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				     self->base - 16 * PAGE));
	EXPECT_EQ(MAP_FAILED, mremap(self->base, self->size, self->size + PAGE,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(MAP_FAILED, mremap(self->base, self->size, self->size,
				     MREMAP_MAYMOVE | MREMAP_FIXED, self->base - 2 * self->size));
	/* a second copy of a shared mapping, by the old size 0 */
	EXPECT_EQ(MAP_FAILED, mremap(self->base, 0, self->size, MREMAP_MAYMOVE));
	EXPECT_EQ(MAP_FAILED, mmap(self->base + PAGE, PAGE, RW,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

/* ---- access ---- */

FIXTURE(window) {
	struct ring r;
	int pool;
	struct iolite_extent ext[16];
};

FIXTURE_SETUP(window)
{
	OPEN_RING(&self->r, 16);
	ASSERT_EQ(0, ring_join(&self->r));
	self->pool = pool_create(&self->r, 0);
	ASSERT_GE(self->pool, 0);
}

FIXTURE_TEARDOWN(window)
{
	close(self->pool);
	ring_close(&self->r);
}

/* Fills a slot with memory of the given length and maps it: the address */
static char *alloc_mapped(struct _test_data_window *self, unsigned int slot, unsigned int len,
			  unsigned int seed)
{
	char *data = xmalloc(len), *at = NULL;

	fill_pattern(data, len, seed);
	if (op_alloc(&self->r, slot, self->pool, data, len) == (int)len &&
	    op_map(&self->r, slot, self->ext, 1, 0) == 1)
		at = addr_of(&self->ext[0]);
	free(data);
	return at;
}

TEST_F(window, address_that_was_not_granted_faults)
{
	char *base = self->r.window;
	size_t off;

	for (off = 0; off < self->r.table.window_size; off += self->r.table.window_size / 16) {
		EXPECT_EQ(SIGSEGV, signal_of_read(base + off));
		EXPECT_EQ(SIGSEGV, signal_of_write(base + off));
	}
	EXPECT_EQ(SIGSEGV, signal_of_read(base + self->r.table.window_size - 1));
}

TEST_F(window, neighbours_of_a_granted_page_fault)
{
	char *at = alloc_mapped(self, 0, 3 * PAGE, 1);

	ASSERT_NE(NULL, at);
	EXPECT_EQ(0, signal_of_read(at));
	EXPECT_EQ(0, signal_of_read(at + 3 * PAGE - 1));
	EXPECT_EQ(SIGSEGV, signal_of_read(at + 3 * PAGE));
	if (at > self->r.window)
		EXPECT_EQ(SIGSEGV, signal_of_read(at - 1));
}

TEST_F(window, mapped_memory_reads_right_and_cannot_be_stored_to)
{
	unsigned int off, len = 4 * PAGE - 5;	/* one run of pages */
	char *data = xmalloc(len), *at = alloc_mapped(self, 0, len, 2);

	ASSERT_NE(NULL, at);
	fill_pattern(data, len, 2);
	ASSERT_EQ(len, self->ext[0].len);
	EXPECT_EQ(0, self->ext[0].resv);
	EXPECT_SAME(data, at, len);
	for (off = 0; off < len; off += PAGE)
		EXPECT_EQ(SIGSEGV, signal_of_write(at + off));
	EXPECT_SAME(data, at, len);
	free(data);
}

TEST_F(window, store_before_any_load_faults_too)
{
	char *at = alloc_mapped(self, 0, PAGE, 2);

	EXPECT_EQ(SIGSEGV, signal_of_write(at));
	EXPECT_EQ(0, signal_of_read(at));
}

TEST_F(window, freed_address_faults)
{
	char *at = alloc_mapped(self, 0, 2 * PAGE, 3);

	EXPECT_EQ(0, signal_of_read(at));
	EXPECT_EQ(0, signal_of_read(at + PAGE));
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	EXPECT_EQ(SIGSEGV, signal_of_read(at));
	EXPECT_EQ(SIGSEGV, signal_of_read(at + PAGE));
}

TEST_F(window, buffer_of_two_aggregates_stays_until_the_last_is_freed)
{
	char *at = alloc_mapped(self, 0, PAGE, 4);

	ASSERT_EQ(0, op_edit(&self->r, 0, IOLITE_EDIT_DUP, 1, 0, 0));
	ASSERT_EQ(1, op_map(&self->r, 1, self->ext, 1, 0));
	EXPECT_EQ(at, addr_of(&self->ext[0]));
	ASSERT_EQ(1, op_free(&self->r, 0, 1));
	EXPECT_EQ(0, signal_of_read(at));
	ASSERT_EQ(1, op_free(&self->r, 1, 1));
	EXPECT_EQ(SIGSEGV, signal_of_read(at));
}

TEST_F(window, mapping_twice_gives_the_same_address_and_generation)
{
	struct iolite_extent again;

	ASSERT_NE(NULL, alloc_mapped(self, 0, 3 * PAGE, 5));
	ASSERT_EQ(1, op_map(&self->r, 0, &again, 1, 0));
	EXPECT_EQ(0, memcmp(&again, &self->ext[0], sizeof(again)));
}

TEST_F(window, map_starts_anywhere_and_fills_what_there_is_room_for)
{
	unsigned int i, pos = 0;
	char data[600];

	fill_pattern(data, sizeof(data), 6);
	ASSERT_EQ(100, op_alloc(&self->r, 0, self->pool, data, 100));
	for (i = 1; i < 6; i++) {
		ASSERT_EQ(100, op_alloc(&self->r, 1, self->pool, data + 100 * i, 100));
		ASSERT_LT(0, op_edit(&self->r, 0, IOLITE_EDIT_CONCAT, 1, 0, 0));
	}
	EXPECT_EQ(6, op_map(&self->r, 0, self->ext, 16, 0));
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(100, self->ext[i].len);
		EXPECT_SAME(data + pos, addr_of(&self->ext[i]), 100);
		pos += 100;
	}
	EXPECT_EQ(2, op_map(&self->r, 0, self->ext, 2, 150));
	EXPECT_EQ(50, self->ext[0].len);
	EXPECT_SAME(data + 150, addr_of(&self->ext[0]), 50);
	EXPECT_SAME(data + 200, addr_of(&self->ext[1]), 100);
	EXPECT_EQ(0, op_map(&self->r, 0, self->ext, 2, 600));
	EXPECT_EQ(-EINVAL, op_map(&self->r, 0, self->ext, 2, 601));
	EXPECT_EQ(-EINVAL, op_map(&self->r, 0, self->ext, 2, ~0ULL));
}

/* ---- produced in place ---- */

TEST_F(window, writable_buffer_is_zeroed_contiguous_and_writable_until_sealed)
{
	static const unsigned int sizes[] = { 1, 100, PAGE, PAGE + 1, 100 * PAGE + 7, 3 << 20 };
	unsigned int i, off;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		unsigned int len = sizes[i], nonzero = 0;
		char *data = xmalloc(len), *seen = xmalloc(len), *at;

		ASSERT_EQ((int)len, op_alloc_writable(&self->r, 0, self->pool, len, &at));
		for (off = 0; off < len; off++)
			nonzero += at[off] != 0;
		EXPECT_EQ(0, nonzero);
		fill_pattern(data, len, i);
		memcpy(at, data, len);
		ASSERT_EQ(0, op_seal(&self->r, 0));
		for (off = 0; off < len; off += PAGE)
			ASSERT_EQ(SIGSEGV, signal_of_write(at + off))
				TH_LOG("%u bytes, offset %u", len, off);
		EXPECT_SAME(data, at, len);
		ASSERT_EQ((int)len, agg_bytes(&self->r, 0, seen, len));
		EXPECT_SAME(data, seen, len);
		free(data);
		free(seen);
	}
}

/* I1: no store gets through, however the page came into the page table */
TEST_F(window, protection_changes_do_not_open_a_sealed_page)
{
	char *at, *base = self->r.window;
	size_t size = self->r.table.window_size;

	ASSERT_EQ(2 * PAGE, op_alloc_writable(&self->r, 0, self->pool, 2 * PAGE, &at));
	at[0] = 'a';
	ASSERT_EQ(0, op_seal(&self->r, 0));
	EXPECT_EQ(0, signal_of_read(at));
	EXPECT_EQ(0, signal_of_read(at + PAGE));
	if (!mprotect(base, size, PROT_READ))
		ASSERT_EQ(0, mprotect(base, size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(SIGSEGV, signal_of_write(at));
	EXPECT_EQ(SIGSEGV, signal_of_write(at + PAGE));
	EXPECT_EQ('a', at[0]);
	EXPECT_EQ(0, at[PAGE]);
}

TEST_F(window, protection_changes_do_not_close_an_unsealed_page)
{
	char *at, *base = self->r.window;
	size_t size = self->r.table.window_size;

	ASSERT_EQ(3 * PAGE, op_alloc_writable(&self->r, 0, self->pool, 3 * PAGE, &at));
	EXPECT_EQ(0, signal_of_read(at));
	EXPECT_EQ(0, signal_of_write(at + PAGE));
	if (mprotect(base, size, PROT_READ))
		return;
	EXPECT_EQ(SIGSEGV, signal_of_write(at));
	ASSERT_EQ(0, mprotect(base, size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, signal_of_write(at));
	EXPECT_EQ(0, signal_of_write(at + PAGE));
	EXPECT_EQ(0, signal_of_write(at + 2 * PAGE));
}

TEST_F(window, advice_does_not_lose_or_open_pages)
{
	char *at = alloc_mapped(self, 0, 2 * PAGE, 7), data[2 * PAGE];
	int status;

	fill_pattern(data, sizeof(data), 7);
	ASSERT_NE(NULL, at);
	EXPECT_SAME(data, at, sizeof(data));
	madvise(at, 2 * PAGE, MADV_DONTNEED);
	EXPECT_SAME(data, at, sizeof(data));
	madvise(at, 2 * PAGE, MADV_FREE);
	madvise(at, 2 * PAGE, MADV_REMOVE);
	madvise(at, 2 * PAGE, MADV_PAGEOUT);
	EXPECT_SAME(data, at, sizeof(data));
	EXPECT_EQ(SIGSEGV, signal_of_write(at));
	/* and it stays out of children */
	madvise(self->r.window, self->r.table.window_size, MADV_DOFORK);
	if (!fork())
		_exit(signal_of_read(at));
	wait(&status);
	EXPECT_EQ(SIGSEGV, WEXITSTATUS(status));
}

/* ---- processes ---- */

TEST_F(window, is_not_inherited_over_fork)
{
	char *at = alloc_mapped(self, 0, PAGE, 8);
	int status;

	EXPECT_EQ(0, signal_of_read(at));
	if (!fork())
		_exit(signal_of_read(at));
	wait(&status);
	EXPECT_EQ(SIGSEGV, WEXITSTATUS(status));
}

/* I4, I8: the ring is inherited, so the child maps the very same slot */
TEST_F(window, same_slice_has_the_same_name_in_every_process)
{
	char data[2 * PAGE], *at = alloc_mapped(self, 0, sizeof(data), 9);
	int status;

	fill_pattern(data, sizeof(data), 9);
	ASSERT_NE(NULL, at);
	if (!fork()) {
		struct iolite_extent ext;
		struct ring *r = &self->r;

		if (ring_join(r))
			_exit(1);
		if (signal_of_read(at) != SIGSEGV)
			_exit(2);
		if (op_map(r, 0, &ext, 1, 0) != 1)
			_exit(3);
		if (addr_of(&ext) != at || ext.generation != self->ext[0].generation)
			_exit(4);
		if (!same_bytes(data, at, sizeof(data)))
			_exit(5);
		_exit(signal_of_write(at) == SIGSEGV ? 0 : 6);
	}
	wait(&status);
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, signal_of_read(at));
}

/* The producer alone may store, and seals for all */
TEST_F(window, unsealed_memory_is_no_one_elses)
{
	int status;
	char *at;

	ASSERT_EQ(PAGE, op_alloc_writable(&self->r, 0, self->pool, PAGE, &at));
	at[0] = 'x';
	if (!fork()) {
		struct iolite_extent ext;

		if (ring_join(&self->r))
			_exit(1);
		if (signal_of_write(at) != SIGSEGV)
			_exit(2);
		if (op_map(&self->r, 0, &ext, 1, 0) == 1 && signal_of_write(at) != SIGSEGV)
			_exit(3);
		_exit(0);
	}
	wait(&status);
	EXPECT_EQ(0, status);
	EXPECT_EQ('x', at[0]);
	EXPECT_EQ(0, signal_of_write(at));
}

/* ---- I3: nothing but what was passed ---- */

static bool is_granted(const struct iolite_extent *ext, int nr, const char *at)
{
	while (nr--)
		if (at >= page_of(addr_of(&ext[nr])) &&
		    at < page_of(addr_of(&ext[nr]) + ext[nr].len + PAGE - 1))
			return true;
	return false;
}

/* Bytes of a page outside of [from, to) that are not zero */
static unsigned int foreign_bytes(const char *page, unsigned int from, unsigned int to)
{
	unsigned int i, n = 0;

	for (i = 0; i < PAGE; i++)
		if ((i < from || i >= to) && page[i])
			n++;
	return n;
}

TEST_F(window, slice_of_a_file_shows_no_other_byte_of_its_pages)
{
	static const struct { unsigned int off, len; } cases[] = {
		{ 0, 1 }, { 1, 1 }, { PAGE - 1, 1 }, { PAGE - 1, 2 }, { 100, 200 },
		{ 5, PAGE }, { 3 * PAGE, PAGE - 1 }, { 3 * PAGE + 1, 3 * PAGE },
		{ 7 * PAGE - 9, PAGE + 18 },
	};
	char *data = xmalloc(16 * PAGE);
	int fd = fs_file(FS_TMPFS, 0, NULL);
	unsigned int i;

	ASSERT_GE(fd, 0);
	memset(data, 'S', 16 * PAGE);
	ASSERT_EQ(16 * PAGE, write_full(fd, data, 16 * PAGE));
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		int nr, k;

		ASSERT_EQ((int)cases[i].len,
			  op_read(&self->r, 0, fd, cases[i].off, cases[i].len));
		nr = op_map(&self->r, 0, self->ext, 16, 0);
		ASSERT_LT(0, nr);
		for (k = 0; k < nr; k++) {
			char *at = addr_of(&self->ext[k]), *end = at + self->ext[k].len, *page;

			EXPECT_SAME(data, at, self->ext[k].len);
			for (page = page_of(at); page < end; page += PAGE)
				EXPECT_EQ(0, foreign_bytes(page, page < at ? at - page : 0,
							   end - page < PAGE ? end - page : PAGE))
					TH_LOG("file offset %u, %u bytes", cases[i].off,
					       cases[i].len);
			EXPECT_EQ(is_granted(self->ext, nr, page) ? 0 : SIGSEGV,
				  signal_of_read(page));
			EXPECT_EQ(is_granted(self->ext, nr, page_of(at) - 1) ? 0 : SIGSEGV,
				  signal_of_read(page_of(at) - 1));
		}
		ASSERT_EQ(1, op_free(&self->r, 0, 1));
	}
	close(fd);
	free(data);
}

/* I2: such an edge is a counted copy; whole pages are not */
TEST_F(window, only_edges_are_copied)
{
	char *data = xmalloc(8 * PAGE);
	int fd = fs_file(FS_TMPFS, 0, NULL);
	long edge;

	memset(data, 'S', 8 * PAGE);
	ASSERT_EQ(8 * PAGE, write_full(fd, data, 8 * PAGE));
	ASSERT_EQ(4 * PAGE, op_read(&self->r, 0, fd, PAGE, 4 * PAGE));
	edge = stat_get("copied_edge");
	ASSERT_LT(0, op_map(&self->r, 0, self->ext, 16, 0));
	EXPECT_EQ(edge, stat_get("copied_edge"));
	ASSERT_EQ(4 * PAGE, op_read(&self->r, 1, fd, PAGE + 100, 4 * PAGE));
	ASSERT_LT(0, op_map(&self->r, 1, self->ext, 16, 0));
	EXPECT_LT(edge, stat_get("copied_edge"));
	EXPECT_GE(edge + PAGE, stat_get("copied_edge"));
	close(fd);
	free(data);
}

TEST_F(window, small_buffers_of_one_pool_do_not_show_each_other)
{
	unsigned int i;

	for (i = 0; i < 8; i++) {
		char text[64];

		memset(text, 'A' + i, sizeof(text));
		ASSERT_EQ(64, op_alloc(&self->r, i, self->pool, text, sizeof(text)));
	}
	for (i = 0; i < 8; i++) {
		char *at;

		ASSERT_EQ(1, op_map(&self->r, i, self->ext, 1, 0));
		at = addr_of(&self->ext[0]);
		EXPECT_EQ('A' + (int)i, at[0]);
		EXPECT_EQ('A' + (int)i, at[63]);
		EXPECT_EQ(0, foreign_bytes(page_of(at), at - page_of(at), at - page_of(at) + 64))
			TH_LOG("buffer %u", i);
	}
}

/* The ring is shared, the domain is not: the child gets the half that it maps */
TEST_F(window, half_of_a_buffer_shows_another_process_that_half_only)
{
	char data[PAGE];
	int status;

	memset(data, 'S', PAGE / 2);
	memset(data + PAGE / 2, 'p', PAGE / 2);
	ASSERT_EQ(PAGE, op_alloc(&self->r, 0, self->pool, data, PAGE));
	ASSERT_EQ(0, op_edit(&self->r, 0, IOLITE_EDIT_SPLIT, 1, PAGE / 2, 0));
	if (!fork()) {
		struct iolite_extent ext;
		char *at;

		if (ring_join(&self->r) || op_map(&self->r, 1, &ext, 1, 0) != 1)
			_exit(1);
		at = addr_of(&ext);
		if (ext.len != PAGE / 2 || !same_bytes(data + PAGE / 2, at, PAGE / 2))
			_exit(2);
		_exit(foreign_bytes(page_of(at), at - page_of(at), PAGE) ? 3 : 0);
	}
	wait(&status);
	EXPECT_EQ(0, status);
}

TEST_F(window, pool_that_shares_whole_shows_whole_pages_without_a_copy)
{
	struct iolite_reg_pool p = { .size = sizeof(p), .flags = IOLITE_POOL_SHARE_WHOLE };
	long edge = stat_get("copied_edge");
	char data[PAGE];

	fill_pattern(data, PAGE, 3);
	ASSERT_EQ(0, ring_register(&self->r, IOLITE_REGISTER_POOL, &p, 1));
	ASSERT_EQ(PAGE, op_alloc(&self->r, 0, p.fd, data, PAGE));
	ASSERT_EQ(0, op_edit(&self->r, 0, IOLITE_EDIT_SPLIT, 1, 1000, 0));
	ASSERT_EQ(1, op_map(&self->r, 1, self->ext, 1, 0));
	EXPECT_SAME(data + 1000, addr_of(&self->ext[0]), PAGE - 1000);
	EXPECT_EQ(edge, stat_get("copied_edge"));
	close(p.fd);
}

/* Growing what was passed adds to the private copy, and the rest stays away */
TEST_F(window, second_slice_of_a_page_adds_to_the_first)
{
	int fd = fs_file(FS_TMPFS, 0, NULL);
	char data[PAGE], *at, *page;

	memset(data, 'S', PAGE);
	ASSERT_EQ(PAGE, write_full(fd, data, PAGE));
	ASSERT_EQ(PAGE, op_read(&self->r, 0, fd, 0, PAGE));
	ASSERT_EQ(0, op_edit(&self->r, 0, IOLITE_EDIT_SPLIT, 1, 1000, 0));
	ASSERT_EQ(0, op_edit(&self->r, 1, IOLITE_EDIT_SPLIT, 2, 1000, 0));
	ASSERT_EQ(1, op_map(&self->r, 0, self->ext, 1, 0));
	at = addr_of(&self->ext[0]);
	page = page_of(at);
	EXPECT_EQ(0, foreign_bytes(page, 0, 1000));
	ASSERT_EQ(1, op_map(&self->r, 2, self->ext, 1, 0));
	EXPECT_EQ(page + 2000, addr_of(&self->ext[0]));
	EXPECT_SAME(data, page, 1000);
	EXPECT_SAME(data, page + 2000, PAGE - 2000);
	EXPECT_EQ(0, page[1000]);
	EXPECT_EQ(0, page[1999]);
	close(fd);
}

/* ---- I8 ---- */

TEST_F(window, address_and_generation_never_name_two_contents)
{
	struct { __u64 addr, generation; } seen[200];
	unsigned int i, k, reused = 0;

	for (i = 0; i < ARRAY_LEN(seen); i++) {
		ASSERT_NE(NULL, alloc_mapped(self, 0, PAGE, i));
		seen[i].addr = self->ext[0].addr;
		seen[i].generation = self->ext[0].generation;
		EXPECT_NE(0, seen[i].generation);
		for (k = 0; k < i; k++) {
			if (seen[k].addr != seen[i].addr)
				continue;
			reused++;
			ASSERT_NE(seen[k].generation, seen[i].generation)
				TH_LOG("buffers %u and %u", k, i);
		}
		ASSERT_EQ(1, op_free(&self->r, 0, 1));
	}
	TH_LOG("%u addresses were used again", reused);
}

/* ---- other ways in ---- */

TEST_F(window, window_memory_can_be_written_by_write)
{
	char *at = alloc_mapped(self, 0, 2 * PAGE, 10), seen[2 * PAGE];
	int fd = fs_file(FS_TMPFS, 0, NULL);

	ASSERT_EQ(2 * PAGE, write(fd, at, 2 * PAGE));
	ASSERT_EQ(2 * PAGE, pread(fd, seen, sizeof(seen), 0));
	EXPECT_SAME(at, seen, 2 * PAGE);
	close(fd);
}

TEST_F(window, reads_into_the_window_fill_unsealed_memory_only)
{
	int fd = fs_file(FS_TMPFS, 0, NULL);
	char *sealed = alloc_mapped(self, 0, PAGE, 11), before = sealed[0], *at;

	ASSERT_EQ(PAGE, op_alloc_writable(&self->r, 1, self->pool, PAGE, &at));
	ASSERT_EQ(5, write(fd, "hello", 5));
	EXPECT_EQ(5, pread(fd, at, 5, 0));
	EXPECT_SAME("hello", at, 5);
	EXPECT_EQ(-1, pread(fd, sealed, 5, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(before, sealed[0]);
	EXPECT_EQ(-1, pread(fd, self->r.window + self->r.table.window_size - PAGE, 5, 0));
	close(fd);
}

TEST_F(window, proc_mem_and_process_vm_open_nothing)
{
	int mem = open("/proc/self/mem", O_RDWR);
	char *at = alloc_mapped(self, 0, PAGE, 12), data[PAGE], buf[16] = "XXXXXXXXXXXXXXX";
	char *closed = self->r.window + self->r.table.window_size - PAGE;
	struct iovec local = { buf, sizeof(buf) }, remote = { closed, sizeof(buf) };

	fill_pattern(data, PAGE, 12);
	EXPECT_EQ(0, signal_of_read(at));
	if (mem >= 0) {
		EXPECT_GE(0, pread(mem, buf, sizeof(buf), (uintptr_t)closed));
		EXPECT_GE(0, pwrite(mem, buf, sizeof(buf), (uintptr_t)at));
		close(mem);
	}
	EXPECT_GE(0, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	remote.iov_base = at;
	EXPECT_GE(0, process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_SAME(data, at, PAGE);
}

/* I1: a pin taken while the memory was writable must not outlast the seal */
TEST_F(window, registered_buffer_cannot_write_sealed_memory)
{
	int fd = fs_file(FS_TMPFS, 0, NULL);
	struct iovec iov = { .iov_len = PAGE };
	struct io_uring_sqe sqe = { .opcode = IORING_OP_READ_FIXED, .fd = fd, .len = 5 };
	char *at;

	ASSERT_EQ(5, write(fd, "hello", 5));
	ASSERT_EQ(PAGE, op_alloc_writable(&self->r, 0, self->pool, PAGE, &at));
	at[0] = 'a';
	iov.iov_base = at;
	if (!ring_register(&self->r, IORING_REGISTER_BUFFERS, &iov, 1)) {
		ASSERT_EQ(0, op_seal(&self->r, 0));
		sqe.addr = (uintptr_t)at;
		ring_run(&self->r, &sqe);
	} else {
		ASSERT_EQ(0, op_seal(&self->r, 0));
	}
	EXPECT_EQ('a', at[0]);
	EXPECT_NE(0, ring_register(&self->r, IORING_REGISTER_BUFFERS, &iov, 1));
	close(fd);
}

TEST_F(window, direct_io_from_the_window_works_or_faults)
{
	char path[4096], *at = alloc_mapped(self, 0, 4 * PAGE, 13), seen[4 * PAGE];
	int fd = fs_file(FS_TMPFS, O_DIRECT, path), res;

	if (fd < 0)
		SKIP(return, "tmpfs has no O_DIRECT");
	res = pwrite(fd, at, 4 * PAGE, 0);
	if (res < 0) {
		EXPECT_EQ(EFAULT, errno);
	} else {
		EXPECT_EQ(4 * PAGE, pread(open(path, O_RDONLY), seen, sizeof(seen), 0));
		EXPECT_SAME(at, seen, sizeof(seen));
	}
	unlink(path);
	close(fd);
}

FS_HARNESS_MAIN

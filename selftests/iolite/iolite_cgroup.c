// SPDX-License-Identifier: GPL-2.0
/* Memory cgroups: who allocates or holds is charged, and nobody else waits (I5) */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define PAGE		4096
#define CHUNK		(16 * PAGE)
#define HUGE_PAGE	(2 << 20)
#define MB		(1UL << 20)
#define CGROUP		"/tmp/iolite-cgroup"

FIXTURE(cgroup) {
	struct ring r;
	char *data;
};

FIXTURE_SETUP(cgroup)
{
	OPEN_RING(&self->r, 512);
	self->data = xmalloc(HUGE_PAGE);
	memset(self->data, 'S', HUGE_PAGE);
}

FIXTURE_TEARDOWN(cgroup)
{
	ring_close(&self->r);
	free(self->data);
}

static int make_cgroup(const char *name, unsigned long max)
{
	char path[256], text[32];

	mkdir(CGROUP, 0755);
	if (mount("none", CGROUP, "cgroup2", 0, NULL) && errno != EBUSY)
		return -errno;
	write_file(CGROUP "/cgroup.subtree_control", "+memory");
	snprintf(path, sizeof(path), CGROUP "/%s", name);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), CGROUP "/%s/memory.max", name);
	snprintf(text, sizeof(text), "%lu", max);
	return write_file(path, text);
}

static long cgroup_current(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), CGROUP "/%s/memory.current", name);
	return read_number(path);
}

/*
 * A task that has nothing left is killed by its next fault. With all its pages
 * its own and in memory, only what it asks for is charged.
 */
static int fault_nothing_more(void)
{
	volatile char stack[128 << 10];
	size_t at;

	for (at = 0; at < sizeof(stack); at += PAGE)
		stack[at] = 0;
	return mlockall(MCL_CURRENT);
}

/* In a cgroup of its own, with its exit status: 0 if all went well */
static int in_cgroup(const char *name, int (*job)(void *arg), void *arg)
{
	char path[256];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), CGROUP "/%s/cgroup.procs", name);
	pid = fork();
	if (!pid) {
		/* 0 is whoever writes */
		_exit(write_file(path, "0") ? 1 : job(arg));
	}
	waitpid(pid, &status, 0);
	return status;
}

/* Allocates until it may not any more */
static int alloc_many(void *data)
{
	int pool, res = 0, i;
	struct ring r;

	if (ring_open(&r, 1024) || fault_nothing_more())
		return 2;
	pool = pool_create(&r, 0);
	for (i = 0; i < 1000; i++) {
		res = op_alloc(&r, i, pool, data, CHUNK);
		if (res < 0)
			break;
		if (i == 64 && cgroup_current("limited") < 64 * CHUNK)
			return 3;
	}
	if (i > 16 * (int)MB / CHUNK)
		return 4;
	if (res != -ENOMEM)
		return 5;
	/* and what was given back can be had again */
	if (op_free(&r, 0, 10) != 10)
		return 6;
	return op_alloc(&r, 0, pool, data, CHUNK) == CHUNK ? 0 : 7;
}

TEST_F_TIMEOUT(cgroup, memory_is_charged_to_the_cgroup_of_who_allocates, 60)
{
	if (geteuid() || make_cgroup("limited", 16 * MB))
		SKIP(return, "a memory cgroup needs root, cgroup2 and CONFIG_MEMCG");
	EXPECT_EQ(0, in_cgroup("limited", alloc_many, self->data));

	/* nobody else has noticed */
	EXPECT_EQ(CHUNK, op_alloc(&self->r, 0, pool_create(&self->r, 0), self->data, CHUNK));
	rmdir(CGROUP "/limited");
	umount(CGROUP);
}

/* Reads a file that is in the cache for another cgroup until it may not any more */
static int hold_many(void *arg)
{
	int fd = *(int *)arg, i, res = 0;
	struct ring r;

	if (ring_open(&r, 1024) || fault_nothing_more())
		return 2;
	for (i = 0; i < 1000 && res >= 0; i++) {
		res = op_read(&r, i, fd, 0, 1);
		if (i == 4 && cgroup_current("reader") < 4 * HUGE_PAGE)
			return 3;
	}
	return res == -ENOMEM ? 0 : 4;
}

TEST_F_TIMEOUT(cgroup, held_pages_are_charged_to_the_cgroup_of_who_holds, 60)
{
	int fd;

	NEED_FS(FS_HUGE);
	if (geteuid() || make_cgroup("reader", 16 * MB))
		SKIP(return, "a memory cgroup needs root, cgroup2 and CONFIG_MEMCG");
	fd = fs_file(FS_HUGE, 0, NULL);
	ASSERT_EQ(HUGE_PAGE, write_full(fd, self->data, HUGE_PAGE));
	EXPECT_EQ(0, in_cgroup("reader", hold_many, &fd));
	close(fd);
	rmdir(CGROUP "/reader");
	umount(CGROUP);
}

/* ---- nobody else waits ---- */

#define REGIONS	200	/* of a page table each */

/*
 * Has page tables made by one system call while it is over memory.high with what
 * cannot be reclaimed: then who charges is made to sleep, for up to two seconds each
 * time.
 */
static int make_page_tables(void *arg)
{
	struct ring *r = arg;
	struct iolite_extent first, ext;
	void *fill = mmap(NULL, 8 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	r->window = NULL;	/* was the parent's */
	if (ring_join(r) || op_map(r, 0, &first, 1, 0) != 1)
		return 2;
	for (i = 1; i < REGIONS; i++)
		if (op_map(r, i, &ext, 1, 0) != 1 ||
		    ext.addr != first.addr + (unsigned long)i * HUGE_PAGE)
			return 3;
	if (fill == MAP_FAILED || mlock(fill, 8 * MB))
		return 4;
	if (write_file(CGROUP "/slow/memory.high", "1048576"))
		return 5;
	return madvise((void *)(uintptr_t)first.addr, REGIONS * (unsigned long)HUGE_PAGE,
		       MADV_POPULATE_READ) ? 6 : 0;
}

static bool was_throttled(const char *name)
{
	char path[256], text[512] = "", *at;
	int fd;

	snprintf(path, sizeof(path), CGROUP "/%s/memory.events", name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return false;
	close(fd);
	at = strstr(text, "high ");
	return at && atol(at + 5) > 0;
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* The window is the whole system's, and so is its lock */
TEST_F_TIMEOUT(cgroup, that_is_throttled_holds_up_nobody_else_in_the_window, 120)
{
	int fd, i, pool, status, slow = 0, rounds = 0;
	long limit = sysctl_get("iolite_max_user_pages");
	struct iolite_extent ext;
	struct ring mine;
	pid_t pid;

	NEED_FS(FS_HUGE);
	if (geteuid() || make_cgroup("slow", 1UL << 40))
		SKIP(return, "a memory cgroup needs root, cgroup2 and CONFIG_MEMCG");
	ASSERT_EQ(0, sysctl_set("iolite_max_user_pages", 1L << 30));
	/* one large folio, held by as many buffers as there are to be regions */
	fd = fs_file(FS_HUGE, 0, NULL);
	ASSERT_EQ(HUGE_PAGE, write_full(fd, self->data, HUGE_PAGE));
	ASSERT_EQ(0, ring_join(&self->r));
	for (i = 0; i < REGIONS; i++) {
		ASSERT_EQ(HUGE_PAGE, op_read(&self->r, i, fd, 0, HUGE_PAGE));
		ASSERT_EQ(1, op_map(&self->r, i, &ext, 1, 0));
	}

	pid = fork();
	if (!pid) {
		status = in_cgroup("slow", make_page_tables, &self->r);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 10);
	}
	ASSERT_EQ(0, ring_open(&mine, 4));
	pool = pool_create(&mine, 0);
	while (!waitpid(pid, &status, WNOHANG)) {
		long long begin = now_ms();
		char *at;

		ASSERT_EQ(PAGE, op_alloc_writable(&mine, 0, pool, PAGE, &at));
		*at = 1;
		ASSERT_EQ(1, op_free(&mine, 0, 1));
		slow += now_ms() - begin > 500;
		rounds++;
	}
	TH_LOG("%d rounds, %d of them slow", rounds, slow);
	EXPECT_EQ(0, status);
	EXPECT_TRUE(was_throttled("slow"));
	EXPECT_GE(1, slow);
	EXPECT_EQ(0, sysctl_set("iolite_max_user_pages", limit));
	close(pool);
	close(fd);
	ring_close(&mine);
	rmdir(CGROUP "/slow");
	umount(CGROUP);
}

FS_HARNESS_MAIN

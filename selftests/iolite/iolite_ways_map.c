// SPDX-License-Identifier: GPL-2.0
/* Ways to store to a file's pages through mappings */
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iolite_ways.h"

char *map_file(const struct subject *s, int prot)
{
	char *map = mmap(NULL, MAP_SIZE, prot, MAP_SHARED, s->fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* Puts every page into the page table by a load */
static void load(const char *map)
{
	int off;

	for (off = 0; off < SIZE; off += PAGE)
		*(volatile const char *)(map + off);
}

/* To some bytes of each page of the state's spot, and to one elsewhere */
static void store(const struct subject *s, char *map)
{
	size_t off;

	for (off = s->off; off < s->off + s->len; off += 333)
		map[off] ^= 0x55;
	map[2 * PAGE + 1] ^= 0x33;
}

static int done_with(char *map)
{
	return result(munmap(map, MAP_SIZE), 0);
}

static int store_at_once(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);

	if (!map)
		return -errno;
	store(s, map);
	return done_with(map);
}

/* A load may put writable entries into the page table, for the page and its neighbours */
static int store_after_load(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);

	if (!map)
		return -errno;
	load(map);
	store(s, map);
	return done_with(map);
}

static int store_after_mprotect(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ);

	if (!map)
		return -errno;
	load(map);
	if (mprotect(map, MAP_SIZE, PROT_READ | PROT_WRITE))
		return -errno;
	store(s, map);
	return done_with(map);
}

static int store_after_mprotect_away_and_back(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);

	if (!map)
		return -errno;
	load(map);
	map[s->off] ^= 1;
	if (mprotect(map, MAP_SIZE, PROT_NONE) || mprotect(map, MAP_SIZE, PROT_READ))
		return -errno;
	load(map);
	if (mprotect(map, MAP_SIZE, PROT_READ | PROT_WRITE))
		return -errno;
	store(s, map);
	return done_with(map);
}

static int store_after_mremap(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	char *to = mmap(NULL, MAP_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!map || to == MAP_FAILED)
		return -errno;
	load(map);
	map = mremap(map, MAP_SIZE, MAP_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (map == MAP_FAILED)
		return -errno;
	store(s, map);
	return done_with(map);
}

/* Parent and child each have page tables of their own */
static int store_after_fork(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	int status;
	pid_t pid;

	if (!map)
		return -errno;
	load(map);
	pid = fork();
	if (pid < 0) {
		done_with(map);
		return -ENOMEM;
	}
	if (!pid) {
		store(s, map);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status) {
		done_with(map);
		return -ECHILD;
	}
	map[s->off + 1] ^= 0x0f;
	return done_with(map);
}

static int store_after_populate(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);

	if (!map)
		return -errno;
	if (madvise(map, MAP_SIZE, MADV_POPULATE_WRITE))
		return -errno;
	store(s, map);
	return done_with(map);
}

/* One thread loads while the other stores: their faults meet */
static void *load_again_and_again(void *map)
{
	int i;

	for (i = 0; i < 20; i++) {
		madvise(map, MAP_SIZE, MADV_DONTNEED);
		load(map);
	}
	return NULL;
}

static int store_while_another_thread_loads(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	pthread_t thread;

	if (!map)
		return -errno;
	if (pthread_create(&thread, NULL, load_again_and_again, map)) {
		done_with(map);
		return -ENOMEM;
	}
	store(s, map);
	pthread_join(thread, NULL);
	return done_with(map);
}

/* Nothing of this reaches the file */
static int store_private(struct subject *s, const char *other)
{
	char *map = mmap(NULL, MAP_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, s->fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	load(map);
	store(s, map);
	return done_with(map);
}

/* Write-back clears what is beyond the end of the file, in place */
static int store_beyond_the_end(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	int ret;

	if (!map)
		return -errno;
	memset(map + SIZE, 0xbb, MAP_SIZE - SIZE);
	map[SIZE - 1] ^= 1;
	ret = result(msync(map, MAP_SIZE, MS_SYNC), 0);
	memset(map + SIZE, 0xcc, MAP_SIZE - SIZE);
	done_with(map);
	/* what comes to light must be zeroes */
	return ret ? ret : result(ftruncate(s->fd, SIZE + PAGE), 0);
}

/* Mapped before the file was read, and not touched until now */
static int map_before(struct subject *s, const char *other)
{
	s->map = map_file(s, PROT_READ | PROT_WRITE);
	return s->map ? 0 : -errno;
}

static int store_by_old_mapping(struct subject *s, const char *other)
{
	store(s, s->map);
	return 0;
}

static int map_read_only_before(struct subject *s, const char *other)
{
	s->map = map_file(s, PROT_READ);
	if (!s->map)
		return -errno;
	load(s->map);
	return 0;
}

static int store_by_old_mapping_after_mprotect(struct subject *s, const char *other)
{
	int ret = result(mprotect(s->map, MAP_SIZE, PROT_READ | PROT_WRITE), 0);

	if (!ret)
		store(s, s->map);
	return ret;
}

/* ---- the kernel stores ---- */

static int read_into(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	int from = other_file(other), ret;

	if (!map)
		return -errno;
	ret = result(read(from, map + s->off, s->len), s->len);
	close(from);
	done_with(map);
	return ret;
}

/* Pins the pages for a while, where the source is on a device */
static int direct_read_into(struct subject *s, const char *other)
{
	struct subject beside = { .fs = fs_missing(FS_EXT4) ? s->fs : FS_EXT4 };
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	int from = other_file_beside(&beside, other), ret;
	off_t off = s->off & ~(off_t)(PAGE - 1);
	size_t len = off + 4 * PAGE > MAP_SIZE ? MAP_SIZE - off : 4 * PAGE;

	if (!map)
		return -errno;
	if (fcntl(from, F_SETFL, O_DIRECT))
		return -EOPNOTSUPP;
	ret = result(pread(from, map + off, len, 0), len);
	close(from);
	done_with(map);
	return ret;
}

static int proc_mem(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	int mem = open("/proc/self/mem", O_RDWR), ret;

	if (!map || mem < 0)
		return -errno;
	ret = result(pwrite(mem, other, s->len, (uintptr_t)map + s->off), s->len);
	close(mem);
	done_with(map);
	return ret;
}

static int process_vm(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	struct iovec from = { (void *)other, s->len }, to = { map + s->off, s->len };
	int ret;

	if (!map)
		return -errno;
	ret = result(process_vm_writev(getpid(), &from, 1, &to, 1, 0), s->len);
	done_with(map);
	return ret;
}

static int poke(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	char *at = map + ((s->off + 7) & ~7);
	int status, ret = 0;
	pid_t pid;

	if (!map)
		return -errno;
	load(map);
	pid = fork();
	if (pid < 0) {
		done_with(map);
		return -ENOMEM;
	}
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
	    waitpid(pid, &status, __WALL) != pid || ptrace(PTRACE_POKEDATA, pid, at, 0x1234567L) ||
	    ptrace(PTRACE_POKEDATA, pid, map + 3 * PAGE, 0x89abcdefL))
		ret = -errno;
	kill(pid, SIGKILL);
	waitpid(pid, &status, __WALL);
	done_with(map);
	return ret;
}

/* An atomic operation in the kernel, with page faults switched off at first */
static int futex_op(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	uint32_t *at = (void *)(map + ((s->off + 3) & ~3)), own = 0;
	int ret;

	if (!map)
		return -errno;
	ret = result(syscall(__NR_futex, &own, FUTEX_WAKE_OP, 0, 0L, at,
			     FUTEX_OP(FUTEX_OP_ADD, 77, FUTEX_OP_CMP_EQ, 0)), 0);
	done_with(map);
	return ret;
}

/* ---- pinned for long ---- */

static int pin(struct subject *s)
{
	struct iovec iov = { s->map, 16 * PAGE };
	int ret = ring_setup(&s->ring, 4, 0);

	if (!ret)
		ret = ring_register(&s->ring, IORING_REGISTER_BUFFERS, &iov, 1);
	/* where dirty pages have to be announced there are no pins for long */
	return ret == -EFAULT ? -EOPNOTSUPP : ret;
}

static int store_to_pinned(struct subject *s, const char *other)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_READ_FIXED, .fd = other_file(other), .len = 3 * PAGE,
		.addr = (uintptr_t)s->map + (s->off > 12 * PAGE ? 12 * PAGE : s->off),
	};
	int ret = ring_result(ring_run(&s->ring, &sqe), 3 * PAGE);

	close(sqe.fd);
	ring_close(&s->ring);
	return ret;
}

static int pin_before(struct subject *s, const char *other)
{
	int ret = map_before(s, other);

	return ret ? ret : pin(s);
}

static int pin_and_store(struct subject *s, const char *other)
{
	char *old = s->map;
	int ret;

	s->map = map_file(s, PROT_READ | PROT_WRITE);
	if (!s->map)
		return -errno;
	ret = pin(s);
	if (!ret)
		ret = store_to_pinned(s, other);
	else
		ring_close(&s->ring);
	done_with(s->map);
	s->map = old;
	return ret;
}

/* ---- userfaultfd ---- */

static int uffd_open(__u64 features, char *map, __u64 mode)
{
	int uffd = syscall(__NR_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)map, .len = MAP_SIZE }, .mode = mode,
	};

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg)) {
		close(uffd);
		return -EOPNOTSUPP;
	}
	return uffd;
}

/* Continues whatever faults: a page that a copy has replaced does once more */
static void *continue_faults(void *arg)
{
	int uffd = *(int *)arg;
	struct uffd_msg msg;

	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT) {
		struct uffdio_continue go = {
			.range.start = msg.arg.pagefault.address & ~(__u64)(PAGE - 1),
			.range.len = PAGE,
		};

		ioctl(uffd, UFFDIO_CONTINUE, &go);
	}
	return NULL;
}

/* UFFDIO_CONTINUE puts what is in the cache into the page table without a fault */
static int uffd_continue(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	pthread_t handler;
	int uffd, off;

	if (!map)
		return -errno;
	uffd = uffd_open(UFFD_FEATURE_MINOR_SHMEM, map, UFFDIO_REGISTER_MODE_MINOR);
	if (uffd < 0) {
		done_with(map);
		return uffd;
	}
	for (off = 0; off < MAP_SIZE; off += PAGE) {
		struct uffdio_continue go = { .range = { (uintptr_t)map + off, PAGE } };

		/* but holes */
		ioctl(uffd, UFFDIO_CONTINUE, &go);
	}
	if (pthread_create(&handler, NULL, continue_faults, &uffd)) {
		close(uffd);
		done_with(map);
		return -ENOMEM;
	}
	map[PAGE + 1] ^= 0x11;
	map[SIZE - 1] ^= 0x22;
	pthread_cancel(handler);
	pthread_join(handler, NULL);
	close(uffd);
	return done_with(map);
}

/* Write protection that is taken away again must not make the entry writable by itself */
static int uffd_unprotect(struct subject *s, const char *other)
{
	char *map = map_file(s, PROT_READ | PROT_WRITE);
	struct uffdio_writeprotect wp = { .range = { (uintptr_t)map, MAP_SIZE },
					  .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	int uffd, ret;

	if (!map)
		return -errno;
	load(map);
	uffd = uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP, map, UFFDIO_REGISTER_MODE_WP);
	if (uffd < 0) {
		done_with(map);
		return uffd;
	}
	ret = result(ioctl(uffd, UFFDIO_WRITEPROTECT, &wp), 0);
	wp.mode = 0;
	if (!ret)
		ret = result(ioctl(uffd, UFFDIO_WRITEPROTECT, &wp), 0);
	if (!ret)
		store(s, map);
	close(uffd);
	done_with(map);
	return ret;
}

/* Others are tested to refuse it */
#define ONLY_TMPFS	(((1U << FS_NR) - 1) & ~(BIT_OF(FS_TMPFS) | BIT_OF(FS_HUGE)))

const struct way map_ways[] = {
	{ .name = "store", .change = store_at_once },
	{ .name = "load and store", .change = store_after_load },
	{ .name = "store after mprotect", .change = store_after_mprotect },
	{ .name = "store after mprotect away and back",
	  .change = store_after_mprotect_away_and_back },
	{ .name = "store after mremap", .change = store_after_mremap },
	{ .name = "store after fork", .change = store_after_fork },
	{ .name = "store after MADV_POPULATE_WRITE", .change = store_after_populate },
	{ .name = "store while others load", .change = store_while_another_thread_loads },
	{ .name = "store to a private mapping", .change = store_private },
	{ .name = "store beyond the end", .change = store_beyond_the_end },
	{ .name = "store by an old mapping",
	  .change = store_by_old_mapping, .before = map_before },
	{ .name = "store by an old mapping after mprotect",
	  .change = store_by_old_mapping_after_mprotect,
	  .before = map_read_only_before },
	{ .name = "read into a mapping", .change = read_into, .exact = true },
	{ .name = "O_DIRECT read into a mapping", .change = direct_read_into },
	{ .name = "/proc/pid/mem", .change = proc_mem, .exact = true },
	{ .name = "process_vm_writev", .change = process_vm, .exact = true },
	{ .name = "ptrace", .change = poke },
	{ .name = "futex operation", .change = futex_op },
	{ .name = "pages pinned before", .change = store_to_pinned, .before = pin_before,
	  .not_on = ONLY_TMPFS },
	{ .name = "pages pinned after", .change = pin_and_store,
	  .not_on = ONLY_TMPFS },
	{ .name = "UFFDIO_CONTINUE", .change = uffd_continue,
	  .not_on = ONLY_TMPFS },
	{ .name = "UFFDIO_WRITEPROTECT", .change = uffd_unprotect,
	  .not_on = ONLY_TMPFS },
	{ }
};

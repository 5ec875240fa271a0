/* SPDX-License-Identifier: MIT */
/* The window: mapped once per process, however many users it has there. */
#include <pthread.h>
#include <sys/mman.h>
#include "lib.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned int users;	/* under lock */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void parent_after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

/* The child does not inherit the mapping. */
static void child_after_fork(void)
{
	users = 0;
	pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, parent_after_fork, child_after_fork);
}

static int map_window(const struct iolite_reg_table *info, int ring_fd)
{
	void *base = (void *)(uintptr_t)info->window_base;
	void *addr;

	addr = mmap(base, info->window_size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED_NOREPLACE, ring_fd,
		    (off_t)IOLITE_OFF_WINDOW);
	return addr == MAP_FAILED ? -errno : 0;
}

int iol_join(struct io_uring *ring)
{
	const struct iolite_reg_table *info = iol_info();
	int ret = 0;

	if (!info)
		return -ENXIO;
	pthread_once(&once, watch_forks);

	pthread_mutex_lock(&lock);
	if (!users)
		ret = map_window(info, ring->ring_fd);
	if (!ret)
		users++;
	pthread_mutex_unlock(&lock);
	return ret;
}

int iol_leave(void)
{
	const struct iolite_reg_table *info = iol_info();
	int ret = 0;

	pthread_mutex_lock(&lock);
	if (!users)
		ret = -ENXIO;
	else if (!--users &&
		 munmap((void *)(uintptr_t)info->window_base, info->window_size))
		ret = -errno;
	pthread_mutex_unlock(&lock);
	return ret;
}

int iol_context_join(struct iolite *io)
{
	int ret;

	if (io->joined)
		return 0;
	ret = iol_join(&io->ring);
	if (!ret)
		io->joined = true;
	return ret;
}

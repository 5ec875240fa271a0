// SPDX-License-Identifier: MIT
/* Registration, its errors, and joining the window. */
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fake.h"
#include "tap.h"

static void check_errors(struct io_uring *ring)
{
	is(iol_init(ring, 0, 0), -EINVAL, "no slots");
	is(iol_init(ring, IOLITE_MAX_SLOTS + 1, 0), -EINVAL, "too many slots");
	is(iol_init(ring, 1, 1), -EINVAL, "unknown flags");
	is(fake.registrations, 0, "the kernel is not asked for what cannot be right");

	fake.register_result = -EINVAL;
	is(iol_init(ring, 1, 0), -EOPNOTSUPP, "a kernel without IO-Lite");
	is(iol_open(&(struct iolite *){ NULL }, 1), -EOPNOTSUPP,
	   "a kernel without IO-Lite, synchronously");
	fake.register_result = -EBUSY;
	is(iol_init(ring, 1, 0), -EBUSY, "other errors are passed on");
	is(iol_pool_create(ring, 0, 0), -EBUSY, "other errors are passed on for pools");
	fake.register_result = 0;

	ok(!iol_info(), "nothing is known after failures");
	is(iol_join(ring), -ENXIO, "no window is known before iol_init()");
	is(fake.maps, 0, "nothing is mapped before iol_init()");
}

static void check_init(struct io_uring *ring)
{
	is(iol_init(ring, IOLITE_MAX_SLOTS, 0), 0, "iol_init()");
	is(iol_first_op, FAKE_FIRST_OP, "the opcodes are the kernel's");
	ok(iol_info() && iol_info()->window_base == FAKE_WINDOW, "iol_info()");
	ok(iol_pool_create(ring, 0, IOLITE_POOL_SHARE_WHOLE) >= 0, "iol_pool_create()");
	is(iol_exit(ring), 0, "iol_exit()");
	is(fake.last_register, IOLITE_UNREGISTER_TABLE, "iol_exit() takes the table back");
}

static int child_joins_anew(struct io_uring *ring)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		fake.maps = 0;
		_exit(iol_leave() != -ENXIO || iol_join(ring) || fake.maps != 1);
	}
	must(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status == 0;
}

static void *join_and_leave(void *ring)
{
	for (int i = 0; i < 1000; i++)
		must(!iol_join(ring) && !iol_leave());
	return NULL;
}

static void check_join(struct io_uring *ring)
{
	pthread_t threads[4];
	unsigned int i;

	is(iol_leave(), -ENXIO, "leaving what was not joined");
	is(iol_join(ring), 0, "the first user joins");
	is(iol_join(ring), 0, "the second user joins");
	is(fake.maps, 1, "the window is mapped once");
	ok(child_joins_anew(ring), "a child begins without the window");
	is(iol_leave(), 0, "the first user leaves");
	is(fake.unmaps, 0, "the window stays for the second");
	is(iol_leave(), 0, "the second user leaves");
	is(fake.unmaps, 1, "the window goes with the last");

	for (i = 0; i < 4; i++)
		must(!pthread_create(&threads[i], NULL, join_and_leave, ring));
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	is(fake.maps, fake.unmaps, "threads that join and leave leave nothing");
}

int main(void)
{
	struct io_uring ring;

	fake_reset();
	must(!io_uring_queue_init(4, &ring, 0));
	check_errors(&ring);
	check_init(&ring);
	check_join(&ring);
	io_uring_queue_exit(&ring);
	is(fake.rings, 0, "no ring is left");
	return done();
}

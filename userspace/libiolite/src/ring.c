/* SPDX-License-Identifier: MIT */
/* A ring's table of aggregates, and pools. */
#include <pthread.h>
#include <stdatomic.h>
#include "lib.h"

/*
 * What registration tells is the same for every ring of a running kernel, but
 * for the number of slots.  It is written once, so that no ring's set-up races
 * with another ring's requests.
 */
static struct iolite_reg_table info;
static atomic_bool info_known;
static pthread_mutex_t info_lock = PTHREAD_MUTEX_INITIALIZER;

/* io_uring's opcodes are counted up from 0; this one is far from taken. */
unsigned int iol_first_op = 240;

static void remember(const struct iolite_reg_table *table)
{
	pthread_mutex_lock(&info_lock);
	if (!atomic_load(&info_known)) {
		info = *table;
		iol_first_op = table->first_op;
		atomic_store(&info_known, true);
	}
	pthread_mutex_unlock(&info_lock);
}

const struct iolite_reg_table *iol_info(void)
{
	return atomic_load(&info_known) ? &info : NULL;
}

int iol_init(struct io_uring *ring, unsigned int slots, unsigned int flags)
{
	struct iolite_reg_table table = {
		.size = sizeof(table),
		.nr_slots = slots,
	};
	int ret;

	/* With these checked here, -EINVAL has one meaning: IO-Lite is unknown. */
	if (!slots || slots > IOLITE_MAX_SLOTS || flags)
		return -EINVAL;

	ret = io_uring_register((unsigned int)ring->ring_fd, IOLITE_REGISTER_TABLE,
				&table, 1);
	if (ret == -EINVAL)
		return -EOPNOTSUPP;
	if (ret < 0)
		return ret;
	remember(&table);
	return 0;
}

int iol_exit(struct io_uring *ring)
{
	return io_uring_register((unsigned int)ring->ring_fd, IOLITE_UNREGISTER_TABLE,
				 NULL, 0);
}

int iol_pool_create(struct io_uring *ring, uint64_t max_bytes, unsigned int flags)
{
	struct iolite_reg_pool pool = {
		.size = sizeof(pool),
		.flags = flags,
		.max_bytes = max_bytes,
	};
	int ret;

	ret = io_uring_register((unsigned int)ring->ring_fd, IOLITE_REGISTER_POOL,
				&pool, 1);
	return ret < 0 ? ret : pool.fd;
}

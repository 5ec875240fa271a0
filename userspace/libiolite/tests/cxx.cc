// SPDX-License-Identifier: MIT
/* The header serves C++ too: every inline function compiles, and every call links. */
#include <cstdint>
#include <cstdio>
#include <iolite.h>

/* Taken, not called: linking is the test. */
static const void *const calls[] = {
	(void *)iol_init, (void *)iol_exit, (void *)iol_info, (void *)iol_join,
	(void *)iol_leave, (void *)iol_pool_create, (void *)iol_open, (void *)iol_close,
	(void *)iol_read, (void *)iol_from_memory, (void *)iol_alloc, (void *)iol_seal,
	(void *)iol_free, (void *)iol_write, (void *)iol_send, (void *)iol_concat,
	(void *)iol_prepend, (void *)iol_split, (void *)iol_dup, (void *)iol_truncate,
	(void *)iol_replace, (void *)iol_seek, (void *)iol_tell, (void *)iol_length,
	(void *)iol_map, (void *)iol_slices_begin, (void *)iol_slices_next,
	(void *)iol_to_memory, (void *)iol_compare, (void *)iol_checksum,
};

int main()
{
	io_uring_sqe sqe{};
	sockaddr addr{};
	std::uint64_t where = 0;
	iolite_extent extent{};

	iol_prep_alloc(&sqe, 1, 2, "data", 4);
	iol_prep_alloc_writable(&sqe, 1, 2, &where, 4);
	iol_prep_seal(&sqe, 2);
	iol_prep_read(&sqe, 1, 2, 3, -1);
	iol_prep_write(&sqe, 1, 2, 3, -1);
	iol_prep_send(&sqe, 1, 2, 3, MSG_MORE);
	iol_prep_sendto(&sqe, 1, 2, 3, 0, &addr, sizeof(addr));
	iol_prep_concat(&sqe, 2, 3);
	iol_prep_prepend(&sqe, 2, 3);
	iol_prep_split(&sqe, 2, 10, 3);
	iol_prep_dup(&sqe, 2, 3);
	iol_prep_truncate(&sqe, 2, 10);
	iol_prep_replace(&sqe, 2, 10, 20, 3);
	iol_prep_seek(&sqe, 2, -1, SEEK_END);
	iol_prep_tell(&sqe, 2);
	iol_prep_length(&sqe, 2);
	iol_prep_map(&sqe, 2, &extent, 1, 0);
	iol_prep_free(&sqe, 2, 1);
	iol_sqe_set_flags(&sqe, IOLITE_EDIT_CONSUME);

	bool good = sqe.file_index == 2 && sqe.ioprio == IOLITE_EDIT_CONSUME;
	for (const void *call : calls)
		good = good && call;
	std::printf("%sok 1 - the header in C++\n1..1\n", good ? "" : "not ");
	return !good;
}

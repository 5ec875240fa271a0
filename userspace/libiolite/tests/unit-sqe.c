// SPDX-License-Identifier: MIT
/* Each prep function fills each byte of the submission queue entry. */
#include <string.h>
#include <iolite.h>
#include "tap.h"

/* The entry as the kernel's ABI has it, not as liburing's unions name it. */
struct raw_sqe {
	uint8_t		opcode;
	uint8_t		flags;
	uint16_t	ioprio;
	int32_t		fd;
	uint64_t	off;
	uint64_t	addr;
	uint32_t	len;
	uint32_t	op_flags;
	uint64_t	user_data;
	uint16_t	buf_index;
	uint16_t	personality;
	uint32_t	file_index;
	uint64_t	addr3;
	uint64_t	pad2;
};

_Static_assert(sizeof(struct raw_sqe) == 64, "an SQE has 64 bytes");
_Static_assert(sizeof(struct io_uring_sqe) == 64, "an SQE has 64 bytes");

#define USER_DATA	0x7766554433221100ULL

static void expect(const struct io_uring_sqe *sqe, struct raw_sqe want, const char *what)
{
	const unsigned char *a = (const void *)sqe, *b = (const void *)&want;
	size_t i;

	want.opcode = (uint8_t)(want.opcode + iol_first_op);
	want.user_data = USER_DATA;
	if (ok(!memcmp(a, b, sizeof(want)), "%s", what))
		return;
	for (i = 0; i < sizeof(want); i++)
		if (a[i] != b[i])
			printf("# byte %zu: expected %02x, saw %02x\n", i, b[i], a[i]);
}

/* Old contents of the entry must not show through; user_data is the caller's. */
#define CHECK(call, ...) do {						\
	struct io_uring_sqe sqe;					\
									\
	memset(&sqe, 0xa5, sizeof(sqe));				\
	sqe.user_data = USER_DATA;					\
	call;								\
	expect(&sqe, (struct raw_sqe){ __VA_ARGS__ }, #call);		\
} while (0)

static void check_data(void)
{
	static const char data[] = "data";
	struct sockaddr_storage to;
	struct iolite_extent ext[3];
	uint64_t addr;

	CHECK(iol_prep_alloc(&sqe, 7, 3, data, 4),
	      .opcode = IOLITE_OP_ALLOC, .fd = 7, .addr = (uintptr_t)data, .len = 4,
	      .file_index = 3);
	CHECK(iol_prep_alloc(&sqe, 7, IOLITE_SLOT_ALLOC, data, 0xfffffff0U),
	      .opcode = IOLITE_OP_ALLOC, .fd = 7, .addr = (uintptr_t)data,
	      .len = 0xfffffff0U, .file_index = 0xffffffffU);
	CHECK(iol_prep_alloc_writable(&sqe, 7, 3, &addr, 4096),
	      .opcode = IOLITE_OP_ALLOC, .ioprio = 1, .fd = 7,
	      .addr = (uintptr_t)&addr, .len = 4096, .file_index = 3);
	CHECK(iol_prep_seal(&sqe, 3),
	      .opcode = IOLITE_OP_SEAL, .fd = -1, .file_index = 3);
	CHECK(iol_prep_read(&sqe, 5, 2, 4096, -1),
	      .opcode = IOLITE_OP_READ, .fd = 5, .off = ~0ULL, .len = 4096,
	      .file_index = 2);
	CHECK(iol_prep_read(&sqe, 5, 2, 4096, 1LL << 40),
	      .opcode = IOLITE_OP_READ, .fd = 5, .off = 1ULL << 40, .len = 4096,
	      .file_index = 2);
	CHECK(iol_prep_write(&sqe, 5, 2, 0, 512),
	      .opcode = IOLITE_OP_WRITE, .fd = 5, .off = 512, .file_index = 2);
	CHECK(iol_prep_send(&sqe, 5, 2, 100, MSG_MORE | MSG_WAITALL),
	      .opcode = IOLITE_OP_WRITE, .fd = 5, .len = 100,
	      .op_flags = MSG_MORE | MSG_WAITALL, .file_index = 2);
	CHECK(iol_prep_sendto(&sqe, 5, 2, 0, MSG_NOSIGNAL, (struct sockaddr *)&to, 28),
	      .opcode = IOLITE_OP_WRITE, .fd = 5, .addr = (uintptr_t)&to,
	      .op_flags = MSG_NOSIGNAL, .file_index = 2, .addr3 = 28);
	CHECK(iol_prep_transmit(&sqe, 5, data, 4, 6, 4096, 512, MSG_MORE),
	      .opcode = IOLITE_OP_TRANSMIT, .fd = 5, .off = 512, .addr = (uintptr_t)data,
	      .len = 4096, .op_flags = MSG_MORE, .file_index = 6, .addr3 = 4);
	CHECK(iol_prep_transmit_slot(&sqe, 5, data, 4, 2, 0, 9, MSG_MORE),
	      .opcode = IOLITE_OP_TRANSMIT, .ioprio = 1, .fd = 5, .off = 9,
	      .addr = (uintptr_t)data, .op_flags = MSG_MORE, .file_index = 2, .addr3 = 4);
	CHECK(iol_prep_transmit(&sqe, 5, data, 0, 6, 4096, 0, 0),
	      .opcode = IOLITE_OP_TRANSMIT, .fd = 5, .len = 4096, .file_index = 6);
	CHECK(iol_prep_map(&sqe, 2, ext, 3, 77),
	      .opcode = IOLITE_OP_MAP, .fd = -1, .off = 77, .addr = (uintptr_t)ext,
	      .len = 3, .file_index = 2);
	CHECK(iol_prep_free(&sqe, 2, 9),
	      .opcode = IOLITE_OP_FREE, .fd = -1, .len = 9, .file_index = 2);
}

static void check_edits(void)
{
	CHECK(iol_prep_concat(&sqe, 2, 3),
	      .opcode = IOLITE_OP_EDIT, .fd = -1, .op_flags = 0, .file_index = 2,
	      .addr3 = 3);
	CHECK(iol_prep_prepend(&sqe, 2, 3),
	      .opcode = IOLITE_OP_EDIT, .fd = -1, .op_flags = 1, .file_index = 2,
	      .addr3 = 3);
	CHECK(iol_prep_split(&sqe, 2, 1000, 3),
	      .opcode = IOLITE_OP_EDIT, .fd = -1, .op_flags = 2, .off = 1000,
	      .file_index = 2, .addr3 = 3);
	CHECK(iol_prep_dup(&sqe, 2, IOLITE_SLOT_ALLOC),
	      .opcode = IOLITE_OP_EDIT, .fd = -1, .op_flags = 3, .file_index = 2,
	      .addr3 = 0xffffffffU);
	CHECK(iol_prep_truncate(&sqe, 2, 1000),
	      .opcode = IOLITE_OP_EDIT, .fd = -1, .op_flags = 4, .off = 1000,
	      .file_index = 2);
	CHECK(iol_prep_replace(&sqe, 2, 1000, 24, 3),
	      .opcode = IOLITE_OP_EDIT, .fd = -1, .op_flags = 5, .off = 1000,
	      .addr = 24, .file_index = 2, .addr3 = 3);
	CHECK(iol_prep_seek(&sqe, 2, -5, SEEK_END),
	      .opcode = IOLITE_OP_EDIT, .fd = -1, .op_flags = 6,
	      .off = (uint64_t)-5, .addr = 2, .file_index = 2);
	CHECK(iol_prep_tell(&sqe, 2),
	      .opcode = IOLITE_OP_EDIT, .fd = -1, .op_flags = 7, .file_index = 2);
	CHECK(iol_prep_length(&sqe, 2),
	      .opcode = IOLITE_OP_EDIT, .fd = -1, .op_flags = 8, .file_index = 2);
}

static void check_flags(void)
{
	CHECK((iol_prep_send(&sqe, 5, 2, 0, 0),
	       iol_sqe_set_flags(&sqe, IOLITE_WRITE_FREE | IOLITE_WRITE_POLL_FIRST)),
	      .opcode = IOLITE_OP_WRITE, .ioprio = 3, .fd = 5, .file_index = 2);
	CHECK((iol_prep_read(&sqe, 5, 2, 1, 0),
	       io_uring_sqe_set_flags(&sqe, IOSQE_IO_LINK | IOSQE_FIXED_FILE),
	       iol_sqe_set_flags(&sqe, IOLITE_READ_APPEND)),
	      .opcode = IOLITE_OP_READ, .flags = IOSQE_IO_LINK | IOSQE_FIXED_FILE,
	      .ioprio = 1, .fd = 5, .len = 1, .file_index = 2);
}

int main(void)
{
	const struct io_uring_cqe cqe = { .flags = 0x1234U << 16 | IORING_CQE_F_MORE };

	check_data();
	check_edits();
	check_flags();
	is(iol_cqe_slot(&cqe), 0x1234, "iol_cqe_slot() takes the slot out of the flags");

	iol_first_op = 64;
	CHECK(iol_prep_free(&sqe, 2, 1),
	      .opcode = IOLITE_OP_FREE, .fd = -1, .len = 1, .file_index = 2);
	return done();
}

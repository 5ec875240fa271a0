/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * IO-Lite: one immutable copy of the data for files, sockets and programs.
 *
 * The opcodes are numbered from iolite_reg_table.first_op, which
 * IORING_REGISTER_IOLITE returns, so that a program built against one kernel
 * runs on another.  The numbers of the registrations are fixed, and lie far
 * beyond those that io_uring uses itself.
 */
#ifndef _UAPI_LINUX_IOLITE_H
#define _UAPI_LINUX_IOLITE_H

#include <linux/types.h>

/* io_uring_register(2) opcodes; arg points to one of the structs below, nr_args is 1 */
#define IOLITE_REGISTER_TABLE		200	/* struct iolite_reg_table */
#define IOLITE_UNREGISTER_TABLE		201	/* arg NULL, nr_args 0 */
#define IOLITE_REGISTER_POOL		202	/* struct iolite_reg_pool */

/* mmap(2) offset on the ring's fd that joins the window */
#define IOLITE_OFF_WINDOW		0x40000000ULL

/* Opcodes, relative to iolite_reg_table.first_op */
enum iolite_op {
	IOLITE_OP_ALLOC,
	IOLITE_OP_SEAL,
	IOLITE_OP_READ,
	IOLITE_OP_WRITE,
	IOLITE_OP_EDIT,
	IOLITE_OP_MAP,
	IOLITE_OP_FREE,
	IOLITE_OP_TRANSMIT,
	IOLITE_NR_OPS,
};

/*
 * The submission queue entry, for all opcodes: file_index names the aggregate's
 * slot, ioprio holds the IOLITE_* flags of the opcode, and every field that is
 * not listed for an opcode must be 0.  fd must be -1 where no file is listed.
 *
 *  ALLOC  fd pool; len bytes; addr user memory to copy from, or with
 *         IOLITE_ALLOC_WRITABLE pointer to a __u64 that gets the window address
 *  SEAL   -
 *  READ   fd file; off position or -1; len bytes; rw_flags RWF_*
 *  WRITE  fd socket or file; len bytes or 0 for all that is left; off position
 *         or -1 for files; msg_flags or rw_flags; addr and addr3 address and
 *         its length of the destination, for datagram sockets
 *  EDIT   msg_flags enum iolite_edit; off, addr, addr3 as listed there
 *  MAP    addr array of struct iolite_extent; len entries; off first byte
 *  FREE   len number of slots from file_index on
 *  TRANSMIT  fd stream socket; file_index file to read from, or with
 *         IOLITE_TRANSMIT_SLOT the slot of an aggregate; off position in it; len
 *         bytes, of an aggregate 0 for the rest; addr and addr3 header to be
 *         copied and sent before, and its length; msg_flags
 *
 * An operation that fills a slot replaces what the slot held.
 */
#define IOLITE_SLOT_ALLOC		(~0U)	/* file_index: any free slot ... */
/* ... which the completion names in its flags, if the operation succeeded: */
#define IOLITE_CQE_SLOT_SHIFT		16
#define IOLITE_MAX_SLOTS		65536U

/* ALLOC: leave the buffer writable at its window address until SEAL */
#define IOLITE_ALLOC_WRITABLE		(1U << 0)
/* READ: add to the aggregate in the slot instead of replacing it */
#define IOLITE_READ_APPEND		(1U << 0)
/* WRITE: wait for the socket to be writable before the first attempt */
#define IOLITE_WRITE_POLL_FIRST		(1U << 0)
/* WRITE: empty the slot once all that was asked for has been written */
#define IOLITE_WRITE_FREE		(1U << 1)
/* TRANSMIT: the source is an aggregate, which stays as it is, cursor included */
#define IOLITE_TRANSMIT_SLOT		(1U << 0)
/* TRANSMIT: the source is a file by its index in the ring's table of files */
#define IOLITE_TRANSMIT_FIXED_FILE	(1U << 1)
/* TRANSMIT: length of the header at most, in bytes */
#define IOLITE_TRANSMIT_HEADER_MAX	4096U
/* EDIT with a second slot: empty the second slot afterwards (not SPLIT, DUP) */
#define IOLITE_EDIT_CONSUME		(1U << 0)

/* In the table, S is the slot in file_index, T the slot in addr3 */
enum iolite_edit {
	IOLITE_EDIT_CONCAT,	/* S = S + T; returns the length of S */
	IOLITE_EDIT_PREPEND,	/* S = T + S; returns the length of S */
	IOLITE_EDIT_SPLIT,	/* T = bytes of S from off on, S keeps the rest */
	IOLITE_EDIT_DUP,	/* T = S, with its cursor; T may be IOLITE_SLOT_ALLOC */
	IOLITE_EDIT_TRUNCATE,	/* S keeps its first off bytes */
	IOLITE_EDIT_REPLACE,	/* addr bytes of S at off become the bytes of T */
	IOLITE_EDIT_SEEK,	/* cursor to off from SEEK_* in addr; returns it */
	IOLITE_EDIT_TELL,	/* returns the cursor */
	IOLITE_EDIT_LENGTH,	/* returns the length in bytes */
	IOLITE_NR_EDITS,
};

/* Where the bytes of one slice can be read; returned by MAP */
struct iolite_extent {
	__u64	addr;		/* in the window; the same in every process */
	__u64	generation;	/* (addr, generation) never names two contents */
	__u32	len;		/* bytes */
	__u32	resv;
};

/* Features, in iolite_reg_table.features */
#define IOLITE_FEAT_FILE_REF		(1ULL << 0)	/* files are read by reference */
#define IOLITE_FEAT_SEND_REF		(1ULL << 1)	/* sockets are sent to by reference */
#define IOLITE_FEAT_SNAPSHOT		(1ULL << 2)	/* copy on write for files */

struct iolite_reg_table {
	__u32	size;		/* in: sizeof(struct iolite_reg_table) */
	__u32	flags;		/* in: 0 */
	__u32	nr_slots;	/* in: 1 .. IOLITE_MAX_SLOTS */
	__u32	first_op;	/* out: opcode of IOLITE_OP_ALLOC */
	__u32	nr_ops;		/* out: IOLITE_NR_OPS of this kernel */
	__u32	max_slices;	/* out: slices in an aggregate at most */
	__u64	max_bytes;	/* out: bytes in an aggregate at most */
	__u64	window_base;	/* out: address to mmap the window at */
	__u64	window_size;	/* out: bytes */
	__u64	features;	/* out: IOLITE_FEAT_* */
	__u64	resv[4];	/* in: 0 */
};

/* Pool flags */
#define IOLITE_POOL_SHARE_WHOLE		(1U << 0)	/* map whole pages to whoever was passed a slice */
#define IOLITE_POOL_PAGES		(1U << 1)	/* memory in single pages, which any file takes */

struct iolite_reg_pool {
	__u32	size;		/* in: sizeof(struct iolite_reg_pool) */
	__u32	flags;		/* in: IOLITE_POOL_* */
	__u64	max_bytes;	/* in: memory of the pool at most; 0: the sysctl's default */
	__s32	fd;		/* out: the pool, close-on-exec */
	__u32	resv;		/* in: 0 */
	__u64	resv2[3];	/* in: 0 */
};

#endif /* _UAPI_LINUX_IOLITE_H */

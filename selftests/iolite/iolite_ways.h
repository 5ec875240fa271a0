/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ways to change a file, or the memory that caches it, for iolite_matrix.
 *
 * Each is done to a file that IO-Lite has read, and then to its control.
 */
#ifndef IOLITE_WAYS_H
#define IOLITE_WAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "iolite_fs.h"
#include "iolite_util.h"

#define PAGE		4096
#define SIZE		(16 * PAGE + 1234)	/* of a file, before */
#define ROOM		(SIZE + 64 * PAGE)	/* for what becomes of it */
#define MAP_SIZE	(17 * PAGE)

struct subject {
	enum fs		fs;
	bool		control;	/* IO-Lite must not touch it */
	int		fd;
	char		path[64];
	off_t		off;		/* where to strike: in the state's own spot */
	size_t		len;
	char		*map;		/* made before it was read, or NULL */
	struct ring	ring;		/* what a way keeps from before() on */
};

struct way {
	const char	*name;
	/* 0, or -EOPNOTSUPP where the file system or the kernel cannot */
	int		(*change)(struct subject *s, const char *other);
	/* before the file is read */
	int		(*before)(struct subject *s, const char *other);
	bool		once;		/* concerns all files at once */
	bool		exact;		/* puts @len bytes of @other to @off, and does no more */
	bool		lasting;	/* the file is not what it was for good */
	unsigned int	not_on;		/* BIT_OF() the file systems that cannot */
};

#define BIT_OF(fs)	(1U << (fs))

extern const struct way write_ways[], range_ways[], map_ways[], mm_ways[];

/* What a system call that should return @expected has: 0 or an error */
int result(long ret, long expected);
/* The same of what io_uring says, which is not in errno */
int ring_result(int ret, int expected);

/* Files with SIZE bytes of @other and no name: in memory, or on the same file system */
int other_file(const char *other);
int other_file_beside(const struct subject *s, const char *other);

char *map_file(const struct subject *s, int prot);

#endif /* IOLITE_WAYS_H */

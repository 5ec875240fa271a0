/* SPDX-License-Identifier: MIT */
/*
 * Sending a file to TCP connections by one mechanism or another.
 */
#ifndef FTT_H
#define FTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_CONNS	64

/* One combination of what is varied */
struct cell {
	int		file;
	size_t		size;
	char		*header;
	size_t		header_len;
	unsigned int	conns;
	int		fds[MAX_CONNS];		/* connected */
	void		*state;			/* of the mechanism */
};

struct mechanism {
	const char	*name;
	void		(*open)(struct cell *c);
	/* Sends @responses on each connection; all are with the sockets when it returns */
	void		(*round)(struct cell *c, unsigned int responses);
	void		(*close)(struct cell *c);
};

extern const struct mechanism read_send, sendfile_more, msg_zerocopy;		/* calls.c */
extern const struct mechanism splice_pipe, send_zc, send_zc_fixed;		/* ring.c */
extern const struct mechanism iolite_read, iolite_kept;				/* iolite.c */

void *must(void *memory);

#endif

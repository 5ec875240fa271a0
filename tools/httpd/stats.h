/* SPDX-License-Identifier: MIT */
#ifndef HTTPD_STATS_H
#define HTTPD_STATS_H

#include <stdatomic.h>

#include "text.h"

/* Each worker counts for itself; a reader adds them up. */
#define STATS(X)							\
	X(connections)		/* accepted */				\
	X(connections_open)						\
	X(connections_refused)	/* over the limit, answered with 503 */	\
	X(requests)							\
	X(responses_2xx)						\
	X(responses_3xx)						\
	X(responses_4xx)						\
	X(responses_5xx)						\
	X(responses_aborted)	/* the client left before the end */	\
	X(responses_truncated)	/* the file turned out shorter */	\
	X(bytes_sent)							\
	X(memory_bytes)		/* of them: headers, listings */	\
	X(timeouts_header)						\
	X(timeouts_idle)						\
	X(timeouts_send)						\
	X(memory_retries)	/* requests that met a limit of memory */ \
	X(files_cached)							\
	X(files_kept)		/* with their aggregate */		\
	X(kept_hits)		/* responses that needed no read */

enum counter {
#define X(name) STAT_##name,
	STATS(X)
#undef X
	STAT_NR
};

struct stats {
	_Alignas(64) atomic_long v[STAT_NR];
};

/* Only the owner writes, so no locked instruction is needed. */
static inline void stats_add(struct stats *s, enum counter which, long n)
{
	long v = atomic_load_explicit(&s->v[which], memory_order_relaxed);

	atomic_store_explicit(&s->v[which], v + n, memory_order_relaxed);
}

/* "name value" lines: the sums over nr stats, then the kernel's as iolite_*. */
void stats_text(struct text *t, struct stats *const *all, unsigned int nr);

#endif

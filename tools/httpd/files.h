/* SPDX-License-Identifier: MIT */
/*
 * Open files, kept for the next request together with what a response says of
 * them; the hottest small ones together with an aggregate of their contents.
 * Each worker has its own, so nothing here is locked.
 */
#ifndef HTTPD_FILES_H
#define HTTPD_FILES_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>

#include "date.h"
#include "etag.h"
#include "stats.h"

#define FILES_MAX	1024		/* open files that nobody is being sent */
#define FILES_BUCKETS	2048
#define KEPT_MAX	512		/* files with aggregates */
#define KEPT_FILE_BYTES	(1024 * 1024)
#define KEPT_BYTES	(64 * 1024 * 1024)

#define VALIDATORS_SIZE	(ETAG_SIZE + DATE_SIZE + 64)
#define WHOLE_SIZE	(VALIDATORS_SIZE + 128)

enum kept {
	KEPT_NO,
	KEPT_READING,	/* a READ into the slot is in flight */
	KEPT_YES,
};

struct file {
	LIST_ENTRY(file)	bucket;
	TAILQ_ENTRY(file)	age;		/* least recently used first */
	bool			cached;		/* can be found, and is on both lists */
	unsigned int		refs;		/* the cache's and one a user */
	int			fd;
	struct stat		st;
	time_t			checked;	/* when the path still led here */
	unsigned long		seen;		/* files.round when nothing had changed */
	unsigned int		hits;
	enum kept		kept;
	unsigned int		slot;		/* unless KEPT_NO */
	const char		*type;
	char			etag[ETAG_SIZE];
	char			validators[VALIDATORS_SIZE];	/* fields, with their line ends */
	char			whole[WHOLE_SIZE];	/* fields of a response with all of it */
	char			path[];
};

struct files {
	int			root;
	unsigned int		valid;		/* seconds that a look at a file is good for */
	struct io_uring		*ring;
	struct stats		*stats;
	/*
	 * Requests that were there before a file was looked at need no other look:
	 * whoever uses a newer round has to have received them before it began.
	 */
	unsigned long		round;
	LIST_HEAD(, file)	buckets[FILES_BUCKETS];
	TAILQ_HEAD(files_age, file) age;
	unsigned int		nr;
	size_t			kept_bytes;
	unsigned int		nr_free_slots;
	unsigned int		free_slots[KEPT_MAX];
};

/* Opens beneath root, and only there. Returns a descriptor or a negative errno. */
int files_open(int root, const char *path, int flags);

/* The aggregates of files take the ring's first KEPT_MAX slots. */
void files_init(struct files *fs, int root, unsigned int valid, struct io_uring *ring,
		struct stats *stats);

/*
 * Finds or opens a regular file.  Returns 0 and a reference, or a negative
 * errno: -EISDIR for a directory, -EACCES also for whatever else is no file.
 */
int files_get(struct files *fs, const char *path, time_t now, struct file **filep);
void files_put(struct files *fs, struct file *file);

/* Starts to read the file's aggregate if it has become hot. */
void files_keep(struct files *fs, struct file *file, time_t now);
/* The READ of files_keep() has ended. */
void files_keep_done(struct files *fs, struct file *file, int res);
/* Gives back all aggregates: memory is short. */
void files_shed(struct files *fs);
/* Closes everything that nobody uses. */
void files_empty(struct files *fs);

#endif

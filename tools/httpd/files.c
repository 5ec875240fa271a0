// SPDX-License-Identifier: MIT
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iolite.h>

#include "mime.h"
#include "ring.h"

#define HOT_HITS	2	/* requests before a file's aggregate is kept */
#define SETTLED_SECONDS	2	/* since the last change, lest a clock tick hide another */

int files_open(int root, const char *path, int flags)
{
	struct open_how how = {
		/* not to wait for the other end of a FIFO, not to get a terminal */
		.flags = (uint64_t)(flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int tries = 8;
	long fd;

	do {	/* -EAGAIN: something was renamed while ".." was resolved */
		fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || (errno == EAGAIN && --tries)));
	return fd < 0 ? -errno : (int)fd;
}

void files_init(struct files *fs, int root, unsigned int valid, struct io_uring *ring,
		struct stats *stats)
{
	fs->root = root;
	fs->valid = valid;
	fs->ring = ring;
	fs->stats = stats;
	TAILQ_INIT(&fs->age);
	for (unsigned int i = 0; i < KEPT_MAX; i++)
		fs->free_slots[fs->nr_free_slots++] = i;
}

static unsigned int bucket_of(const char *path)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 16777619u;
	return hash % FILES_BUCKETS;
}

static bool same_contents(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void file_unkeep(struct files *fs, struct file *file)
{
	struct io_uring_sqe *sqe = ring_sqes(fs->ring, 1);

	iol_prep_free(sqe, file->slot, 1);
	ring_tag(sqe, NULL, TAG_NONE);
	fs->free_slots[fs->nr_free_slots++] = file->slot;
	fs->kept_bytes -= (size_t)file->st.st_size;
	file->kept = KEPT_NO;
	stats_add(fs->stats, STAT_files_kept, -1);
}

void files_put(struct files *fs, struct file *file)
{
	if (--file->refs)
		return;
	if (file->kept != KEPT_NO)
		file_unkeep(fs, file);
	close(file->fd);
	free(file);
}

static void file_forget(struct files *fs, struct file *file)
{
	LIST_REMOVE(file, bucket);
	TAILQ_REMOVE(&fs->age, file, age);
	file->cached = false;
	fs->nr--;
	stats_add(fs->stats, STAT_files_cached, -1);
	files_put(fs, file);
}

/* An open file shows its own changes, but not that its name leads elsewhere. */
static bool still_valid(struct files *fs, struct file *file, time_t now)
{
	struct stat st;
	int fd;

	/* unsigned: a clock that was set back makes no look good for longer */
	if (file->seen == fs->round || (uint64_t)(now - file->checked) < fs->valid)
		return true;
	if (fstat(file->fd, &st) || !same_contents(&st, &file->st))
		return false;
	if (file->checked == now)
		goto out;
	fd = files_open(fs->root, file->path, O_PATH);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) || st.st_ino != file->st.st_ino || st.st_dev != file->st.st_dev) {
		close(fd);
		return false;
	}
	close(fd);
	file->checked = now;
out:
	file->seen = fs->round;
	return true;
}

static struct file *file_find(struct files *fs, const char *path)
{
	struct file *file;

	LIST_FOREACH(file, &fs->buckets[bucket_of(path)], bucket)
		if (!strcmp(file->path, path))
			return file;
	return NULL;
}

/* Once a file, and not once a response. */
static void format_fields(struct file *file)
{
	char modified[DATE_SIZE];

	etag_format(&file->st, file->etag);
	date_format(file->st.st_mtim.tv_sec, modified);
	snprintf(file->validators, sizeof(file->validators),
		 "ETag: %s\r\nLast-Modified: %s\r\nAccept-Ranges: bytes\r\n", file->etag, modified);
	snprintf(file->whole, sizeof(file->whole), "%sContent-Type: %s\r\nContent-Length: %ju\r\n",
		 file->validators, file->type, (uintmax_t)file->st.st_size);
}

static int file_open(struct files *fs, const char *path, time_t now, struct file **filep)
{
	size_t size = strlen(path) + 1;
	struct file *file;
	struct stat st;
	int fd, error;

	fd = files_open(fs->root, path, O_RDONLY);
	if (fd < 0)
		return fd;
	error = fstat(fd, &st) ? -errno :
		S_ISDIR(st.st_mode) ? -EISDIR :
		!S_ISREG(st.st_mode) ? -EACCES : 0;
	if (error)
		goto out_close;
	/* reads of the file may wait; only opening what is none must not */
	fcntl(fd, F_SETFL, 0);
	error = -ENOMEM;
	file = calloc(1, sizeof(*file) + size);
	if (!file)
		goto out_close;
	file->fd = fd;
	file->st = st;
	file->checked = now;
	file->type = mime_type(path);
	format_fields(file);
	memcpy(file->path, path, size);
	*filep = file;
	return 0;
out_close:
	close(fd);
	return error;
}

int files_get(struct files *fs, const char *path, time_t now, struct file **filep)
{
	struct file *file = file_find(fs, path);
	int error;

	if (file && !still_valid(fs, file, now)) {
		file_forget(fs, file);
		file = NULL;
	}
	if (file) {
		TAILQ_REMOVE(&fs->age, file, age);
	} else {
		error = file_open(fs, path, now, &file);
		if (error)
			return error;
		if (fs->nr == FILES_MAX)
			file_forget(fs, TAILQ_FIRST(&fs->age));
		LIST_INSERT_HEAD(&fs->buckets[bucket_of(path)], file, bucket);
		file->cached = true;
		file->refs = 1;
		fs->nr++;
		stats_add(fs->stats, STAT_files_cached, 1);
	}
	TAILQ_INSERT_TAIL(&fs->age, file, age);
	file->hits++;
	file->refs++;
	*filep = file;
	return 0;
}

void files_keep(struct files *fs, struct file *file, time_t now)
{
	struct io_uring_sqe *sqe;

	if (file->kept != KEPT_NO || !file->cached || file->hits < HOT_HITS ||
	    file->st.st_size > KEPT_FILE_BYTES || !file->st.st_size ||
	    now - file->st.st_mtim.tv_sec < SETTLED_SECONDS || !fs->nr_free_slots ||
	    fs->kept_bytes + (size_t)file->st.st_size > KEPT_BYTES)
		return;

	file->kept = KEPT_READING;
	file->slot = fs->free_slots[--fs->nr_free_slots];
	file->refs++;
	fs->kept_bytes += (size_t)file->st.st_size;
	stats_add(fs->stats, STAT_files_kept, 1);

	sqe = ring_sqes(fs->ring, 1);
	iol_prep_read(sqe, file->fd, file->slot, (unsigned int)file->st.st_size, 0);
	ring_tag(sqe, file, TAG_KEEP);
}

void files_keep_done(struct files *fs, struct file *file, int res)
{
	struct stat st;

	if (res == file->st.st_size && !fstat(file->fd, &st) && same_contents(&st, &file->st)) {
		file->kept = KEPT_YES;
	} else {
		file_unkeep(fs, file);
		file->hits = 0;
	}
	files_put(fs, file);
}

void files_shed(struct files *fs)
{
	struct file *file;

	TAILQ_FOREACH(file, &fs->age, age) {
		/* with other references a response may be about to use it */
		if (file->kept == KEPT_YES && file->refs == 1) {
			file_unkeep(fs, file);
			file->hits = 0;
		}
	}
}

void files_empty(struct files *fs)
{
	while (!TAILQ_EMPTY(&fs->age))
		file_forget(fs, TAILQ_FIRST(&fs->age));
}

// SPDX-License-Identifier: MIT
/*
 * Keeps IO-Lite busy with whatever files other programs work on, until SIGTERM:
 *
 *	holder DIRECTORY...
 *
 * Every regular file that a process has open on the file systems of the directories is
 * read into aggregates, which are kept for a while. The bytes of each are summed when
 * it is read and again before it is freed: a snapshot that has changed is a failure.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <iolite.h>

#define HELD		48
#define MAX_LEN		(256 << 10)
#define MAX_FS		8
#define TIMES		4		/* that a file is read at a time */

static struct {
	struct iol_agg	*agg;
	uint64_t	sum;
	ssize_t		len;
	char		what[80];
} held[HELD];

static struct iolite *io;
static dev_t devices[MAX_FS];
static int nr_devices;
static unsigned long long snapshots, bytes, refused, changed;
static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

/* FNV-1a, by words: programs wait for it. */
static uint64_t add_to_sum(uint64_t sum, const char *data, size_t len)
{
	uint64_t word;

	for (; len; data += sizeof(word), len -= sizeof(word)) {
		word = 0;
		if (len < sizeof(word)) {
			memcpy(&word, data, len);
			return (sum ^ word) * 0x100000001b3u;
		}
		memcpy(&word, data, sizeof(word));
		sum = (sum ^ word) * 0x100000001b3u;
	}
	return sum;
}

/* Of the bytes where they are; the slices of an aggregate stay as they are, too. */
static int sum_of(struct iol_agg *agg, uint64_t *sum)
{
	struct iol_slices it;
	struct iol_slice s;
	int ret;

	*sum = 0xcbf29ce484222325u;
	iol_slices_begin(&it, agg, 0);
	while ((ret = iol_slices_next(&it, &s)) > 0)
		*sum = add_to_sum(*sum, s.data, s.len);
	return ret;
}

static void drop(int i)
{
	uint64_t now;

	if (!held[i].agg)
		return;
	if (sum_of(held[i].agg, &now)) {
		refused++;
	} else if (now != held[i].sum) {
		changed++;
		printf("a snapshot changed: %zd bytes of %s\n", held[i].len, held[i].what);
	}
	iol_free(held[i].agg);
	held[i].agg = NULL;
}

static void take(int fd, off_t size, const char *what)
{
	int i = rand() % HELD;
	off_t off = rand() % 3 ? rand() % size : 0;

	drop(i);
	held[i].len = iol_read(io, &held[i].agg, fd, 1 + (size_t)(rand() % MAX_LEN), off);
	if (held[i].len <= 0 || sum_of(held[i].agg, &held[i].sum)) {
		refused += held[i].len != 0;
		iol_free(held[i].agg);
		held[i].agg = NULL;
		return;
	}
	snprintf(held[i].what, sizeof(held[i].what), "%s at %lld", what, (long long)off);
	snapshots++;
	bytes += (unsigned long long)held[i].len;
}

static int ours(const struct stat *st)
{
	if (!S_ISREG(st->st_mode) || !st->st_size)
		return 0;
	for (int i = 0; i < nr_devices; i++)
		if (devices[i] == st->st_dev)
			return 1;
	return 0;
}

static void look_at(int dir, const char *name)
{
	char what[48];
	struct stat st;
	int fd, i;

	if (fstatat(dir, name, &st, 0) || !ours(&st))
		return;
	fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	snprintf(what, sizeof(what), "inode %llu", (unsigned long long)st.st_ino);
	for (i = 0; i < TIMES; i++)
		take(fd, st.st_size, what);
	close(fd);
}

static void each(const char *path, void (*look)(int dir, const char *name))
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return;
	while (!stop && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			look(dirfd(dir), entry->d_name);
	closedir(dir);
}

static void look_at_process(int dir, const char *name)
{
	char path[300];

	(void)dir;
	if (name[0] < '0' || name[0] > '9' || atoi(name) == getpid())
		return;
	snprintf(path, sizeof(path), "/proc/%s/fd", name);
	each(path, look_at);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_term };
	struct stat st;
	int i, ret;

	if (argc < 2 || argc > 1 + MAX_FS)
		errx(2, "usage: holder DIRECTORY...");
	for (i = 1; i < argc; i++) {
		if (stat(argv[i], &st))
			err(2, "%s", argv[i]);
		devices[nr_devices++] = st.st_dev;
	}
	sigaction(SIGTERM, &sa, NULL);
	ret = iol_open(&io, 2 * HELD);
	if (ret)
		errx(2, "IO-Lite: %s", strerror(-ret));
	while (!stop) {
		each("/proc", look_at_process);
		usleep(1000);
	}
	for (i = 0; i < HELD; i++)
		drop(i);
	printf("%llu snapshots, %llu bytes, %llu refused, %llu changed\n",
	       snapshots, bytes, refused, changed);
	return changed != 0;
}

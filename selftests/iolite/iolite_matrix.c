// SPDX-License-Identifier: GPL-2.0
/*
 * I1, as a matrix: file systems x ways to change a file x states of its pages.
 *
 * A cell has two files with the same bytes in the same state. One is read into
 * an aggregate, the other is the control, which IO-Lite never touches. The same
 * is done to both. Then the aggregate must hold what was read, and the file be
 * the same as the control: after the change, after fsync, with a cold cache, and
 * after the file system was mounted again.
 *
 * One result for each way on each file system, with all states inside.
 *
 * iolite_matrix [-f file system] [-w way] [-s state] [-v]
 *	IOLITE_MATRIX=quick in the environment: fewer file systems and states
 */
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "iolite_ways.h"

#define TIMEOUT	120	/* seconds for one way on one file system */

enum state {
	SMALL,		/* clean, each page a folio of its own */
	LARGE,		/* clean, written at once: large folios where there are such */
	DIRTY,
	WRITEBACK,	/* being written to the device, when it is read */
	COLD,		/* not in the cache; of tmpfs, in swap */
	MAPPED,		/* read-only */
	RWMAPPED,	/* and was stored to by that mapping */
	HOLE,		/* a hole, and a part without bytes of its own */
	TAIL,		/* the last page, with garbage beyond the end of the file */
	SOCKET,		/* on its way to who does not receive; nobody else has it */
	STATES,
};

static const char * const state_names[STATES] = {
	"small", "large", "dirty", "writeback", "cold", "mapped", "rwmapped", "hole", "tail",
	"socket",
};

#define BIT_OF_STATE(s)	(1U << (s))

/* tmpfs has no device: always dirty */
#define NOT_TMPFS	(BIT_OF_STATE(DIRTY) | BIT_OF_STATE(WRITEBACK))
#define QUICK		(BIT_OF_STATE(LARGE) | BIT_OF_STATE(MAPPED) | BIT_OF_STATE(RWMAPPED) | \
			 BIT_OF_STATE(TAIL) | BIT_OF_STATE(SOCKET))
/* Of what is copied when it is read, the copy does not depend on much */
#define COPIED		(BIT_OF_STATE(LARGE) | BIT_OF_STATE(COLD) | BIT_OF_STATE(RWMAPPED) | \
			 BIT_OF_STATE(TAIL))

static const struct way * const all_ways[] = { write_ways, range_ways, map_ways, mm_ways };

struct cell {
	enum state	state;
	struct subject	file, control;
	char		*data;		/* what was read */
	int		out, in;	/* TCP */
	size_t		sent;
	bool		skipped;
};

static struct {
	const char	*fs, *way, *state;
	bool		verbose, quick;
} only;

static struct cell cells[STATES];
static struct ring ring;
static char *pattern, *other, *seen, *expected;
static const char *fs_name, *way_name;
static unsigned int fs_states;		/* worth to be looked at, a bit each */
static bool read_by_reference;
static bool swapping;
static int failures;

static void __attribute__((format(printf, 2, 3))) fail(const struct cell *c, const char *format, ...)
{
	va_list args;

	failures++;
	printf("# FAILED %s, %s, %s: ", fs_name, way_name,
	       c ? state_names[c->state] : "all states");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

/* ---- files in their states ---- */

static void name_subject(struct subject *s, enum state state, int way)
{
	snprintf(s->path, sizeof(s->path), "%s/m-%d-%s-%s", fs_dir(s->fs), way,
		 state_names[state], s->control ? "control" : "file");
}

static int write_pages(int fd, size_t step)
{
	size_t off, part;
	int ret = 0;

	for (off = 0; off < SIZE && !ret; off += step) {
		part = SIZE - off < step ? SIZE - off : step;
		ret = result(pwrite(fd, pattern + off, part, off), part);
	}
	return ret;
}

static int make_hole(int fd)
{
	int ret = result(ftruncate(fd, SIZE), 0);

	if (!ret)
		ret = result(pwrite(fd, pattern, 5 * PAGE + 300, 0), 5 * PAGE + 300);
	/* where that is possible; where not, it is a hole as well */
	if (!ret)
		fallocate(fd, 0, 7 * PAGE, 2 * PAGE);
	if (!ret)
		ret = result(pwrite(fd, pattern + 10 * PAGE, 2 * PAGE, 10 * PAGE), 2 * PAGE);
	return ret;
}

static int make_subject(struct subject *s, enum state state)
{
	int ret;

	s->off = state == TAIL ? SIZE - 900 : 5 * PAGE + 100;
	s->len = state == TAIL ? 700 : 2 * PAGE + 500;
	s->map = NULL;
	s->fd = open(s->path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (s->fd < 0)
		return -errno;
	if (state == HOLE)
		ret = make_hole(s->fd);
	else
		ret = write_pages(s->fd, state == LARGE ? SIZE : PAGE);
	if (!ret && state == TAIL) {
		char *map = map_file(s, PROT_READ | PROT_WRITE);

		if (!map)
			return -errno;
		memset(map + SIZE, 0xaa, MAP_SIZE - SIZE);
		munmap(map, MAP_SIZE);
	}
	return ret;
}

static long swapped_out(void)
{
	FILE *f = fopen("/proc/vmstat", "r");
	char line[128];
	long nr = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "pswpout %ld", &nr) == 1)
			break;
	if (f)
		fclose(f);
	return nr;
}

static int page_out(struct subject *s)
{
	char *map = map_file(s, PROT_READ);
	long before = swapped_out();
	int off, ret;

	if (!map)
		return -errno;
	for (off = 0; off < SIZE; off += PAGE)
		*(volatile char *)(map + off);
	ret = result(madvise(map, MAP_SIZE, MADV_PAGEOUT), 0);
	munmap(map, MAP_SIZE);
	return ret ? ret : swapped_out() > before ? 0 : -EIO;
}

/* What is clean and not held, which is all when it was synced */
static void drop_from_cache(const struct subject *s)
{
	posix_fadvise(s->fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* After all files were synced */
static int put_in_state(struct subject *s, enum state state)
{
	int fd, ret = 0, off;

	switch (state) {
	case DIRTY:
	case WRITEBACK:
		ret = write_pages(s->fd, PAGE);
		break;
	case COLD:
		if (s->fs == FS_TMPFS)
			ret = page_out(s);
		else
			drop_from_cache(s);
		break;
	case MAPPED:
		fd = open(s->path, O_RDONLY);
		s->map = mmap(NULL, MAP_SIZE, PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
		break;
	case RWMAPPED:
		s->map = map_file(s, PROT_READ | PROT_WRITE);
		break;
	default:
		break;
	}
	if (s->map == MAP_FAILED)
		return -errno;
	for (off = 0; s->map && off < SIZE; off += PAGE) {
		if (state == MAPPED)
			*(volatile char *)(s->map + off);
		else
			s->map[off] = pattern[off];
	}
	return ret;
}

static void drop_subject(struct subject *s)
{
	if (s->map)
		munmap(s->map, MAP_SIZE);
	if (s->ring.mem)
		ring_close(&s->ring);
	if (s->fd >= 0)
		close(s->fd);
}

/* ---- reading ---- */

static int send_off(struct cell *c)
{
	int ret = tcp_pair(&c->out, &c->in), large = 4 * SIZE;

	if (ret)
		return ret;
	setsockopt(c->in, SOL_SOCKET, SO_RCVBUF, &large, sizeof(large));
	set_sndbuf(c->out, 4 * SIZE);
	ret = op_write(&ring, c->state, c->out, 0, MSG_DONTWAIT);
	if (ret <= 0)
		return ret ? ret : -EIO;
	c->sent = ret;
	return op_free(&ring, c->state, 1) == 1 ? 0 : -EIO;
}

/* Of these all has to be read by reference, or there would be nothing to see */
#define BY_REFERENCE	(BIT_OF_STATE(SMALL) | BIT_OF_STATE(LARGE) | BIT_OF_STATE(SOCKET))

/* What was unmapped may be held by this CPU's batches on their way to the LRU */
static void drain_batches(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(page, PAGE, MADV_COLD);
	munmap(page, PAGE);
}

static int read_cell(struct cell *c, bool by_reference)
{
	long shared = stat_get("shared_bytes");
	struct iolite_extent ext[64];
	int ret;

	if (pread_full(c->control.fd, c->data, SIZE, 0) != SIZE)
		return -EIO;
	if (c->state == WRITEBACK)
		sync_file_range(c->file.fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	drain_batches();
	ret = op_read(&ring, c->state, c->file.fd, 0, SIZE);
	if (ret != SIZE)
		return ret < 0 ? ret : -EIO;
	shared = stat_get("shared_bytes") - shared;
	if (only.verbose)
		printf("# %s: %ld of %d bytes by reference\n", state_names[c->state], shared, SIZE);
	if (by_reference && (BY_REFERENCE & BIT_OF_STATE(c->state)) && shared != SIZE)
		fail(c, "%ld of %d bytes were read by reference", shared, SIZE);
	if (c->state == SOCKET)
		return send_off(c);
	/* some are in page tables of the window from now on, others come later */
	if (c->state % 2)
		ret = op_map(&ring, c->state, ext, ARRAY_LEN(ext), 0);
	return ret < 0 ? ret : 0;
}

static bool check_sent(struct cell *c, int flags)
{
	size_t len = 0;

	/* what the receiver does not have yet follows when it has made room */
	while (len < c->sent) {
		ssize_t ret = recv(c->in, seen + len, c->sent - len, flags);

		if (ret <= 0)
			break;
		len += ret;
		if (flags & MSG_PEEK)
			break;
	}
	if (!(flags & MSG_PEEK) && len < c->sent) {
		fail(c, "%zu of %zu bytes arrived", len, c->sent);
		return false;
	}
	return same_bytes(c->data, seen, len);
}

static void check_snapshot(struct cell *c, bool mapped, const char *when)
{
	ssize_t len;

	memset(seen, 0, SIZE);
	if (c->state == SOCKET) {
		if (!check_sent(c, mapped ? MSG_PEEK : 0))
			fail(c, "the bytes on the way changed %s", when);
		return;
	}
	len = mapped ? agg_bytes_mapped(&ring, c->state, seen, SIZE) :
		       agg_bytes(&ring, c->state, seen, SIZE);
	if (len != SIZE)
		fail(c, "of the snapshot %zd bytes are left %s", len, when);
	else if (!same_bytes(c->data, seen, SIZE))
		fail(c, "the snapshot changed %s", when);
}

static off_t bytes_of(const struct subject *s, char *to)
{
	struct stat st;

	if (fstat(s->fd, &st) || st.st_size > ROOM)
		return -EIO;
	return pread_full(s->fd, to, st.st_size, 0);
}

static void check_file(struct cell *c, const char *when)
{
	off_t len = bytes_of(&c->control, expected);

	if (bytes_of(&c->file, seen) != len)
		fail(c, "the file should have %lld bytes %s, not %lld", (long long)len, when,
		     (long long)bytes_of(&c->file, seen));
	else if (len > 0 && !same_bytes(expected, seen, len))
		fail(c, "the file is wrong %s", when);
	/* a mapping shows the file, never the snapshot */
	if (c->file.map && len > 0 &&
	    !same_bytes(expected, c->file.map, len < MAP_SIZE ? len : MAP_SIZE))
		fail(c, "a mapping shows something else than the file %s", when);
}

/* ---- one way on one file system ---- */

static void sync_all(void)
{
	int i;

	for (i = 0; i < STATES; i++) {
		if (cells[i].skipped)
			continue;
		if (syncfs(cells[i].file.fd))
			fail(NULL, "syncfs: %s", strerror(errno));
		return;
	}
}

static void change_cell(struct cell *c, const struct way *way)
{
	int ret = way->change(&c->file, other), control;

	if (ret == -EOPNOTSUPP) {
		c->skipped = true;
		return;
	}
	control = way->change(&c->control, other);
	if (ret || control)
		fail(c, "the change returned %d, that of the control %d", ret, control);
}

static struct cell *next_cell(struct cell *c)
{
	for (c = c ? c + 1 : cells; c < cells + STATES; c++)
		if (!c->skipped)
			return c;
	return NULL;
}

#define FOR_EACH_CELL(c)	for ((c) = next_cell(NULL); (c); (c) = next_cell(c))

static int prepare(enum fs fs, const struct way *way, int number)
{
	struct cell *c;
	int ret;

	if (ring_open(&ring, STATES) || ring_join(&ring))
		return -EIO;
	for (c = cells; c < cells + STATES; c++) {
		c->state = c - cells;
		c->skipped = only.state ? strcmp(only.state, state_names[c->state]) :
					  !(fs_states & BIT_OF_STATE(c->state));
		c->out = -1;
		c->in = -1;
		c->data = xmalloc(SIZE);
		c->file.fs = fs;
		c->control.fs = fs;
		c->control.control = true;
		name_subject(&c->file, c->state, number);
		name_subject(&c->control, c->state, number);
	}
	FOR_EACH_CELL(c) {
		ret = make_subject(&c->file, c->state);
		if (!ret)
			ret = make_subject(&c->control, c->state);
		if (ret) {
			fail(c, "its files cannot be made: %d", ret);
			return ret;
		}
	}
	sync_all();
	FOR_EACH_CELL(c) {
		ret = put_in_state(&c->file, c->state);
		if (!ret)
			ret = put_in_state(&c->control, c->state);
		/* one mapping is enough to look at */
		if (!ret && way->before && c->file.map) {
			c->skipped = true;
		} else if (!ret && way->before) {
			ret = way->before(&c->file, other);
			if (!ret)
				ret = way->before(&c->control, other);
		}
		if (ret == -EOPNOTSUPP) {
			c->skipped = true;
			continue;
		}
		if (!ret)
			ret = read_cell(c, read_by_reference && !way->before);
		if (ret) {
			fail(c, "it cannot be read: %d", ret);
			return ret;
		}
	}
	return 0;
}

static int run(enum fs fs, const struct way *way, int number)
{
	struct cell *c;
	int left = 0;

	if (prepare(fs, way, number))
		return KSFT_FAIL;
	FOR_EACH_CELL(c) {
		change_cell(c, way);
		if (c->skipped && !way->before)
			return KSFT_SKIP;
		if (way->once)
			break;
	}
	FOR_EACH_CELL(c) {
		left++;
		check_snapshot(c, true, "after the change");
		check_file(c, "after the change");
	}
	if (!left)
		return KSFT_SKIP;
	sync_all();
	FOR_EACH_CELL(c) {
		check_file(c, "after fsync");
		drop_from_cache(&c->file);
		drop_from_cache(&c->control);
		check_file(c, "from a cold cache");
		check_snapshot(c, false, "from a cold cache");
		if (c->state != SOCKET && op_free(&ring, c->state, 1) != 1)
			fail(c, "the slot was empty");
	}
	return failures ? KSFT_FAIL : KSFT_PASS;
}

static int child(enum fs fs, const struct way *way, int number)
{
	struct cell *c;
	int ret = run(fs, way, number);

	for (c = cells; c < cells + STATES; c++) {
		if (ret == KSFT_PASS && c->skipped && !only.state &&
		    (fs_states & BIT_OF_STATE(c->state)) && !way->before)
			printf("# %s, %s: cannot with state %s\n", fs_name, way_name,
			       state_names[c->state]);
		drop_subject(&c->file);
		drop_subject(&c->control);
		/* no need to look at them after the next mount, or there is none */
		if (c->skipped || ret != KSFT_PASS || !fs_on_device(fs)) {
			unlink(c->file.path);
			unlink(c->control.path);
		}
		close(c->out);
		close(c->in);
		free(c->data);
	}
	ring_close(&ring);
	fflush(stdout);
	return ret;
}

/* Says which of the states are looked at, and why not the others */
static void choose_states(enum fs fs)
{
	int fd = fs_file(fs, 0, NULL);
	long shared = stat_get("shared_bytes");
	enum state state;

	fs_states = BIT_OF_STATE(STATES) - 1;
	if (ring_open(&ring, 1) || write_full(fd, pattern, SIZE) != SIZE || fsync(fd) ||
	    op_read(&ring, 0, fd, 0, SIZE) != SIZE)
		printf("# FAILED %s: cannot be read\n", fs_names[fs]);
	ring_close(&ring);
	close(fd);
	read_by_reference = stat_get("shared_bytes") != shared;
	if (!read_by_reference)
		fs_states = COPIED;
	else if (!fs_on_device(fs))
		fs_states &= ~(swapping ? NOT_TMPFS : NOT_TMPFS | BIT_OF_STATE(COLD));
	/* all are large, larger than a mapping, and not swapped out by it */
	if (fs == FS_HUGE)
		fs_states &= ~(BIT_OF_STATE(SMALL) | BIT_OF_STATE(COLD));
	if (only.quick || fs == FS_EXT2)
		fs_states &= QUICK;
	printf("# %s is read by %s; states:", fs_names[fs],
	       read_by_reference ? "reference" : "copying");
	for (state = 0; state < STATES; state++)
		if (fs_states & BIT_OF_STATE(state))
			printf(" %s", state_names[state]);
	printf("\n");
}

/* ---- what a file system cannot do ---- */

static int try_anyway(enum fs fs, const struct way *way)
{
	struct subject s = { .fs = fs, .control = true };
	int ret;

	snprintf(s.path, sizeof(s.path), "%s/cannot", fs_dir(fs));
	ret = make_subject(&s, SMALL);
	if (!ret && way->before)
		ret = way->before(&s, other);
	if (!ret)
		ret = way->change(&s, other);
	drop_subject(&s);
	unlink(s.path);
	return ret;
}

static int refuses_the_rest(enum fs fs, const struct way *unused, int number)
{
	const struct way *way;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(all_ways); i++) {
		for (way = all_ways[i]; way->name; way++) {
			if (!(way->not_on & BIT_OF(fs)))
				continue;
			if (try_anyway(fs, way) == -EOPNOTSUPP)
				printf("# not on %s: %s\n", fs_name, way->name);
			else
				fail(NULL, "%s can be done: it belongs into the matrix", way->name);
		}
	}
	fflush(stdout);
	return failures ? KSFT_FAIL : KSFT_PASS;
}

/* ---- after the next mount ---- */

static void compare_pair(const char *name)
{
	struct subject a = { }, b = { };
	off_t len;
	int stem = strlen(name) - strlen("file");

	snprintf(a.path, sizeof(a.path), "%s", name);
	snprintf(b.path, sizeof(b.path), "%.*scontrol", stem, name);
	a.fd = open(a.path, O_RDONLY);
	b.fd = open(b.path, O_RDONLY);
	len = bytes_of(&b, expected);
	if (len < 0 || bytes_of(&a, seen) != len || !same_bytes(expected, seen, len)) {
		failures++;
		printf("# FAILED %s/%s: the file is wrong\n", fs_name, name);
	}
	close(a.fd);
	close(b.fd);
}

static int look_after_mount(enum fs fs, const struct way *way, int number)
{
	struct dirent *d;
	int pairs = 0;
	DIR *dir;

	if (fs_remount(fs)) {
		printf("# FAILED %s cannot be mounted again\n", fs_name);
		return KSFT_FAIL;
	}
	dir = opendir(fs_dir(fs));
	if (!dir || chdir(fs_dir(fs)))
		return KSFT_FAIL;
	while ((d = readdir(dir))) {
		size_t len = strlen(d->d_name);

		if (len > 5 && !strcmp(d->d_name + len - 5, "-file")) {
			compare_pair(d->d_name);
			pairs++;
		}
	}
	closedir(dir);
	printf("# %s: %d files compared after a new mount\n", fs_name, pairs);
	return failures ? KSFT_FAIL : KSFT_PASS;
}

/* ---- all of it ---- */

typedef int (*job_fn)(enum fs fs, const struct way *way, int number);

/* In a process of its own: one that hangs or dies costs one result */
static void report(job_fn job, enum fs fs, const struct way *way, int number, const char *what)
{
	struct timespec limit = { .tv_sec = TIMEOUT }, begin, end;
	char name[128];
	int status = 0;
	sigset_t set;
	pid_t pid;

	fs_name = fs_names[fs];
	way_name = what;
	snprintf(name, sizeof(name), "%s: %s", fs_name, way_name);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fflush(stdout);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	pid = fork();
	if (!pid) {
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		_exit(job(fs, way, number));
	}
	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (sigtimedwait(&set, NULL, &limit) < 0 && errno == EAGAIN) {
			kill(pid, SIGKILL);
			printf("# FAILED %s: not done after %d s\n", name, TIMEOUT);
			status = -1;
			break;
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (only.verbose)
		printf("# %ld ms\n", (end.tv_sec - begin.tv_sec) * 1000 +
		       (end.tv_nsec - begin.tv_nsec) / 1000000);
	if (status && !WIFEXITED(status))
		printf("# FAILED %s: ended by signal %d\n", name, WTERMSIG(status));
	if (status && WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP)
		ksft_test_result_skip("%s\n", name);
	else
		ksft_test_result(!status, "%s\n", name);
}

static unsigned int for_each_way(enum fs fs, bool count)
{
	const struct way *way;
	unsigned int i, number = 0, nr = 0;

	for (i = 0; i < ARRAY_LEN(all_ways); i++) {
		for (way = all_ways[i]; way->name; way++, number++) {
			if (only.way && !strstr(way->name, only.way))
				continue;
			if (way->not_on & BIT_OF(fs))
				continue;
			nr++;
			if (!count)
				report(child, fs, way, number, way->name);
		}
	}
	return nr;
}

static bool wanted(enum fs fs)
{
	if (only.quick)
		return fs == FS_TMPFS || fs == FS_EXT4 || fs == FS_XFS;
	return !only.fs || !strcmp(only.fs, fs_names[fs]);
}

int main(int argc, char **argv)
{
	unsigned int plan = 0;
	enum fs fs;
	int opt;

	while ((opt = getopt(argc, argv, "f:w:s:v")) > 0) {
		switch (opt) {
		case 'f': only.fs = optarg; break;
		case 'w': only.way = optarg; break;
		case 's': only.state = optarg; break;
		case 'v': only.verbose = true; break;
		default: return KSFT_FAIL;
		}
	}
	only.quick = getenv("IOLITE_MATRIX") && !strcmp(getenv("IOLITE_MATRIX"), "quick");
	ksft_print_header();
	if (!iolite_present())
		ksft_exit_skip("the kernel has no IO-Lite\n");
	fs_mount_all();
	swapping = geteuid() == 0 && fs_swap_on();
	for (fs = FS_USUAL; fs < FS_NR; fs++)
		if (wanted(fs))
			fs_mount(fs);
	pattern = xmalloc(SIZE);
	other = xmalloc(SIZE);
	seen = xmalloc(ROOM);
	expected = xmalloc(ROOM);
	fill_pattern(pattern, SIZE, 1);
	fill_pattern(other, SIZE, 2);

	for (fs = 0; fs < FS_NR; fs++)
		plan += !wanted(fs) ? 0 : fs_missing(fs) ? 1 :
			for_each_way(fs, true) + !only.way + fs_on_device(fs);
	ksft_set_plan(plan);
	for (fs = 0; fs < FS_NR; fs++) {
		if (!wanted(fs))
			continue;
		if (fs_missing(fs)) {
			ksft_test_result_skip("%s\n", fs_missing(fs));
			continue;
		}
		choose_states(fs);
		for_each_way(fs, false);
		if (!only.way)
			report(refuses_the_rest, fs, NULL, 0, "refuses the rest");
	}
	/* at the end, since overlayfs lies on another */
	for (fs = 0; fs < FS_NR; fs++)
		if (wanted(fs) && !fs_missing(fs) && fs_on_device(fs))
			report(look_after_mount, fs, NULL, 0, "after a new mount");
	if (swapping)
		fs_swap_off();
	ksft_finished();
}

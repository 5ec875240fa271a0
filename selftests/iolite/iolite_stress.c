// SPDX-License-Identifier: GPL-2.0
/*
 * I1 under stress: writers of all kinds, holders of snapshots and senders on the
 * same files, while memory is short, allocations fail and workers are killed.
 *
 * Each file has a model of its bytes in shared memory. A writer has a stripe of
 * each file for itself, with borders inside of pages, and does the same to model
 * and file; or it takes the whole file, does something to it and to a control
 * file, and compares the two. Holders and senders keep what they read, and
 * compare it with the model of that moment, or with their first look at it.
 * At last files and models are compared, also after a new mount, and everything
 * that was counted must be gone (I6).
 *
 * What a writer is about is written down, so that one that was killed leaves
 * nothing unknown but that range.
 *
 * iolite_stress [-t seconds] [-s seed]
 *	or IOLITE_STRESS_SECONDS, IOLITE_STRESS_SEED in the environment.
 * A worker does the same again if the seed is the same; who comes first, it
 * cannot say.
 */
#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "iolite_ways.h"

#define FILES_EACH	2
#define FILES		(FILES_EACH * FS_NR)
#define WRITERS		5
#define HOLDERS		3
#define SENDERS		2
#define WORKERS		(WRITERS + HOLDERS + SENDERS)
#define STRIPE		(SIZE / WRITERS)
#define SLOTS		12		/* snapshots at a time, of a holder */
#define QUEUE		8		/* transfers on their way, of a sender */
#define EVENTS		256		/* that are remembered */

/* What a worker may be in the middle of; of a dead one, what is not known */
struct intent {
	int	file;		/* or -1 */
	int	off, len;
};

/* What was done to a file, for who wants to know why it is wrong */
struct event {
	int		worker, file, off, len, ret;
	unsigned long	op;
	const char	*what;		/* of this program, which all of them are */
};

struct shared {
	volatile bool	stop;
	volatile int	failed;
	unsigned long	done[WORKERS];		/* operations */
	unsigned long	refused;		/* for want of memory and the like */
	unsigned long	snapshots, looks, sent, whole;
	struct intent	intents[WORKERS];
	unsigned int	nr_events;
	struct event	events[EVENTS];
	unsigned char	model[FILES][SIZE];
};

struct file {
	enum fs	fs;
	char	path[64];
	char	lock[64];
};

static struct shared *shared;
static struct file files[FILES];
static unsigned int nr_files;
static unsigned int seed, state;	/* of everything; of this worker */
static int self;			/* number of this worker */
static pid_t worker;			/* who this is */
static unsigned long op;		/* of this worker */
static char *bytes, *seen;
static bool injecting;

static __attribute__((format(printf, 1, 2))) void fail(const char *format, ...)
{
	va_list args;

	__atomic_fetch_add(&shared->failed, 1, __ATOMIC_RELAXED);
	printf("# FAILED, seed %u, worker %d, operation %lu: ", seed, self, op);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	shared->stop = true;
}

static unsigned int below(unsigned int limit)
{
	return random_below(&state, limit);
}

/* Goes with whoever dies holding it */
static int lock_file(const struct file *f, int how)
{
	int fd = open(f->lock, O_RDWR | O_CLOEXEC);

	while (flock(fd, how))
		;
	return fd;
}

/* ---- allocations that fail ---- */

#define INJECT	"/sys/kernel/debug/"

static bool configure_failures(const char *kind)
{
	static const char * const values[][2] = {
		{ "ignore-gfp-wait", "N" }, { "verbose", "0" }, { "task-filter", "Y" },
		{ "times", "-1" }, { "interval", "40" }, { "probability", "100" },
	};
	char path[128];
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(values); i++) {
		snprintf(path, sizeof(path), INJECT "%s/%s", kind, values[i][0]);
		if (write_file(path, values[i][1]))
			return false;
	}
	return true;
}

static void stop_failures(void)
{
	write_file(INJECT "failslab/probability", "0");
	write_file(INJECT "fail_page_alloc/probability", "0");
}

/* One in 40 of this worker's allocations; those for saying that it is enough, too */
static void let_fail(bool on)
{
	while (injecting && write_file("/proc/thread-self/make-it-fail", on ? "1" : "0"))
		;
}

static sigjmp_buf bus_jmp;

/* A page could not be had for a store */
static void on_bus(int sig)
{
	/* another thread cannot go back there, and a child shall not become a second worker */
	if (gettid() != worker)
		kill(getpid(), SIGKILL);
	siglongjmp(bus_jmp, 1);
}

/* ---- writers ---- */

static const struct way * const all_ways[] = { write_ways, range_ways, map_ways, mm_ways };

static const struct way *choose_way(enum fs fs, bool exact)
{
	for (;;) {
		const struct way *way = all_ways[below(ARRAY_LEN(all_ways))];
		unsigned int nr = 0;

		while (way[nr].name)
			nr++;
		way += below(nr);
		if (way->before || way->once || way->lasting ||
		    (way->not_on & BIT_OF(fs)))
			continue;
		if (!exact || way->exact)
			return way;
	}
}

/*
 * ext4 loses count of its preallocated blocks when an allocation fails while it finds
 * some, and is then stopped by its own BUG_ON(): there only readers are short of memory.
 */
static bool survives_failures(enum fs fs)
{
	return fs != FS_EXT4 && fs != FS_EXT4_1K;
}

static int do_way(const struct way *way, struct subject *s, bool may_fail)
{
	int ret;

	if (sigsetjmp(bus_jmp, 1)) {
		let_fail(false);
		return -ENOMEM;
	}
	let_fail(may_fail && survives_failures(s->fs));
	ret = way->change(s, bytes);
	let_fail(false);
	return ret;
}

static void open_subject(struct subject *s, int number)
{
	memset(s, 0, sizeof(*s));
	s->fs = files[number].fs;
	memcpy(s->path, files[number].path, sizeof(s->path));
	s->fd = open(s->path, O_RDWR | O_CLOEXEC);
}

/* The range is what the file has, whatever that is */
static void learn(const struct subject *s, int number, int off, int len)
{
	memset(shared->model[number] + off, 0, len);
	if (pread_full(s->fd, shared->model[number] + off, len, off) < 0)
		fail("%s cannot be read: %s", s->path, strerror(errno));
}

static void begin(int number, int off, int len)
{
	struct intent *intent = &shared->intents[self];

	intent->off = off;
	intent->len = len;
	__atomic_store_n(&intent->file, number, __ATOMIC_SEQ_CST);
}

static void end(void)
{
	__atomic_store_n(&shared->intents[self].file, -1, __ATOMIC_SEQ_CST);
}

static void note(int worker, int file, int off, int len, const char *what, int ret)
{
	unsigned int i = __atomic_fetch_add(&shared->nr_events, 1, __ATOMIC_RELAXED);
	struct event *e = &shared->events[i % EVENTS];

	*e = (struct event) { .worker = worker, .file = file, .off = off, .len = len,
			      .ret = ret, .op = op, .what = what };
}

static void tell_events(void)
{
	unsigned int i = shared->nr_events, first = i > EVENTS ? i - EVENTS : 0;

	for (i = first; i < shared->nr_events; i++) {
		const struct event *e = &shared->events[i % EVENTS];

		printf("# %s: worker %d, operation %lu: %d bytes at %d: %s: %d\n",
		       files[e->file].path, e->worker, e->op, e->len, e->off, e->what, e->ret);
	}
}

static void write_to_stripe(int number)
{
	const struct way *way = choose_way(files[number].fs, true);
	struct subject s;
	int lock, ret;

	open_subject(&s, number);
	s.len = 1 + below(below(4) ? STRIPE - 1 : 200);
	s.off = self * STRIPE + below(STRIPE - s.len);
	fill_pattern(bytes, SIZE, below(1 << 20));
	lock = lock_file(&files[number], LOCK_SH);
	begin(number, s.off, s.len);
	ret = do_way(way, &s, true);
	note(self, number, s.off, s.len, way->name, ret);
	if (ret) {
		/* how far it came is not known */
		learn(&s, number, s.off, s.len);
		__atomic_fetch_add(&shared->refused, 1, __ATOMIC_RELAXED);
	} else {
		memcpy(shared->model[number] + s.off, bytes, s.len);
	}
	end();
	close(s.fd);
	close(lock);
}

/* Who has a whole file to himself finds traces of those only who were killed */
static bool somebody_died_at(int number)
{
	int i;

	for (i = 0; i < WRITERS; i++)
		if (shared->intents[i].file == number)
			return true;
	return false;
}

static bool file_is_right(int number, int fd, const char *when)
{
	struct stat st;

	if (fstat(fd, &st) || st.st_size != SIZE || pread_full(fd, seen, SIZE, 0) != SIZE) {
		fail("%s has %lld bytes %s", files[number].path, (long long)st.st_size, when);
		return false;
	}
	if (same_bytes(shared->model[number], seen, SIZE))
		return true;
	fail("%s is not as its model, %s", files[number].path, when);
	return false;
}

/* Something is done to the whole file, and to a control */
static void change_all(int number)
{
	const struct way *way = choose_way(files[number].fs, false);
	struct subject s, control = { .fs = files[number].fs, .control = true };
	int lock, ret, control_ret = 0;
	char path[PATH_MAX];
	struct stat a, b;

	open_subject(&s, number);
	control.fd = fs_file(s.fs, 0, path);
	snprintf(control.path, sizeof(control.path), "%.60s", path);
	fill_pattern(bytes, SIZE, below(1 << 20));
	s.len = 500 + below(2 * PAGE);
	s.off = below(SIZE - PAGE - s.len);
	control.len = s.len;
	control.off = s.off;
	lock = lock_file(&files[number], LOCK_EX);
	if (somebody_died_at(number) || !file_is_right(number, s.fd, "before something"))
		goto out;
	begin(number, 0, SIZE);
	if (write_full(control.fd, shared->model[number], SIZE) == SIZE) {
		ret = do_way(way, &s, true);
		note(self, number, s.off, s.len, way->name, ret);
		if (!ret)
			control_ret = do_way(way, &control, false);
		if (!ret && !control_ret) {
			if (below(4) == 0 && fs_cold(s.fd))
				fail("%s: fsync: %s", s.path, strerror(errno));
			if (fstat(s.fd, &a) || fstat(control.fd, &b) || a.st_size != b.st_size)
				fail("%s: %lld bytes after %s, should be %lld", s.path,
				     (long long)a.st_size, way->name, (long long)b.st_size);
			if (ftruncate(control.fd, SIZE) ||
			    pread_full(control.fd, bytes, SIZE, 0) != SIZE)
				fail("a control cannot be read");
		}
		if (ftruncate(s.fd, SIZE))
			fail("%s cannot be made larger", s.path);
		memset(seen, 0, SIZE);
		if (!ret && !control_ret && (pread_full(s.fd, seen, SIZE, 0) != SIZE ||
					     !same_bytes(bytes, seen, SIZE)))
			fail("%s is not as its control after %s", s.path, way->name);
		__atomic_fetch_add(ret ? &shared->refused : &shared->whole, 1, __ATOMIC_RELAXED);
	}
	learn(&s, number, 0, SIZE);
	end();
out:
	close(lock);
	unlink(path);
	close(control.fd);
	close(s.fd);
}

static void be_writer(void)
{
	struct sigaction action = { .sa_handler = on_bus };
	void *frame;

	/* loads what pthread_cancel() needs, and would not get when allocations fail */
	backtrace(&frame, 1);
	sigaction(SIGBUS, &action, NULL);
	for (op = 0; !shared->stop; op++) {
		int number = below(nr_files);

		if (below(8))
			write_to_stripe(number);
		else
			change_all(number);
		shared->done[self]++;
	}
}

/* ---- who reads ---- */

struct snapshot {
	char	*bytes;		/* what it must be; NULL: none */
	int	len;
	int	file;
};

/* With the model of that moment, or without knowing what is read */
static int take(struct ring *r, unsigned int slot, struct snapshot *snap)
{
	int number = below(nr_files), off = below(SIZE - 1), len = 1 + below(SIZE - off), ret;
	int fd = open(files[number].path, O_RDONLY | O_CLOEXEC), lock = -1;
	bool known = below(3);

	if (known) {
		lock = lock_file(&files[number], LOCK_EX);
		known = !somebody_died_at(number);
	}
	snap->bytes = xmalloc(len);
	snap->file = number;
	let_fail(true);
	ret = op_read(r, slot, fd, off, len);
	let_fail(false);
	if (ret > 0 && known)
		memcpy(snap->bytes, shared->model[number] + off, ret);
	close(lock);
	close(fd);
	if (ret > 0 && !known)
		ret = agg_bytes(r, slot, snap->bytes, ret);
	if (ret <= 0) {
		free(snap->bytes);
		snap->bytes = NULL;
		__atomic_fetch_add(&shared->refused, 1, __ATOMIC_RELAXED);
		return ret;
	}
	snap->len = ret;
	__atomic_fetch_add(&shared->snapshots, 1, __ATOMIC_RELAXED);
	return ret;
}

static void look(struct ring *r, unsigned int slot, struct snapshot *snap)
{
	int ret;

	memset(seen, 0, snap->len);
	ret = below(2) ? agg_bytes(r, slot, seen, snap->len) :
			 agg_bytes_mapped(r, slot, seen, snap->len);
	if (ret < 0)
		__atomic_fetch_add(&shared->refused, 1, __ATOMIC_RELAXED);
	else if (ret != snap->len || !same_bytes(snap->bytes, seen, ret))
		fail("a snapshot of %s changed", files[snap->file].path);
	__atomic_fetch_add(&shared->looks, 1, __ATOMIC_RELAXED);
}

static void drop(struct ring *r, unsigned int slot, struct snapshot *snap)
{
	op_free(r, slot, 1);
	free(snap->bytes);
	snap->bytes = NULL;
}

static void be_holder(void)
{
	struct snapshot snaps[SLOTS] = { };
	struct ring r;

	if (ring_open(&r, SLOTS + 1) || ring_join(&r)) {
		fail("a ring cannot be had");
		return;
	}
	for (op = 0; !shared->stop; op++) {
		unsigned int slot = below(SLOTS);

		if (!snaps[slot].bytes)
			take(&r, slot, &snaps[slot]);
		else
			look(&r, slot, &snaps[slot]);
		if (snaps[slot].bytes && !below(4))
			drop(&r, slot, &snaps[slot]);
		shared->done[self]++;
	}
	for (op = 0; op < SLOTS; op++)
		if (snaps[op].bytes)
			look(&r, op, &snaps[op]);
	ring_close(&r);
}

/* The receiver is behind, so that what was sent waits in the socket */
static void receive(int in, struct snapshot *snap)
{
	ssize_t ret = read_full(in, seen, snap->len);

	if (ret != snap->len || !same_bytes(snap->bytes, seen, ret))
		fail("bytes of %s changed on their way", files[snap->file].path);
	__atomic_fetch_add(&shared->sent, 1, __ATOMIC_RELAXED);
	free(snap->bytes);
	snap->bytes = NULL;
}

static void be_sender(void)
{
	struct snapshot queue[QUEUE] = { };
	unsigned int head = 0, tail = 0;
	int out, in, ret, large = 2 << 20;
	struct ring r;

	if (ring_open(&r, 2) || tcp_pair(&out, &in)) {
		fail("a ring or connection cannot be had");
		return;
	}
	setsockopt(in, SOL_SOCKET, SO_RCVBUF, &large, sizeof(large));
	set_sndbuf(out, large);
	for (op = 0; !shared->stop; op++) {
		struct snapshot *snap = &queue[head % QUEUE];

		if (head - tail == QUEUE || (head != tail && !below(3))) {
			receive(in, &queue[tail++ % QUEUE]);
		} else if (take(&r, 0, snap) > 0) {
			let_fail(true);
			ret = op_write(&r, 0, out, 0, MSG_DONTWAIT);
			let_fail(false);
			op_free(&r, 0, 1);
			/* a part of it, or nothing, if there is no room */
			snap->len = ret;
			if (ret > 0)
				head++;
			else
				free(snap->bytes);
		}
		shared->done[self]++;
	}
	while (head != tail)
		receive(in, &queue[tail++ % QUEUE]);
	ring_close(&r);
	close(out);
	close(in);
}

/* ---- who makes it hard ---- */

#define CGROUP	"/tmp/cgroup"

static bool cgroup_on(void)
{
	mkdir(CGROUP, 0755);
	if (mount("none", CGROUP, "cgroup2", 0, NULL) && errno != EBUSY)
		return false;
	write_file(CGROUP "/cgroup.subtree_control", "+memory");
	mkdir(CGROUP "/stress", 0755);
	return !write_file(CGROUP "/stress/memory.max", "200M");
}

static void disturb(void)
{
	char text[32];

	switch (below(5)) {
	case 0:
		write_file("/proc/sys/vm/compact_memory", "1");
		break;
	case 1:
		snprintf(text, sizeof(text), "%uM", 1 + below(24));
		write_file(CGROUP "/stress/memory.reclaim", text);
		break;
	case 2:
		snprintf(text, sizeof(text), "%uM", 60 + below(100));
		write_file(CGROUP "/stress/memory.high", text);
		break;
	case 3:
		write_file(CGROUP "/stress/memory.high", "max");
		break;
	case 4:
		sync();
		break;
	}
}

/* Each of these may take long; whoever kills shall not wait for it */
static void be_disturber(void)
{
	while (!shared->stop) {
		usleep(200000);
		disturb();
	}
}

/* ---- the beginning and the end ---- */

static int make_files(void)
{
	static const enum fs on[] = { FS_TMPFS, FS_HUGE, FS_EXT4, FS_XFS, FS_EXT4_1K };
	unsigned int i, k;
	int fd;

	for (i = 0; i < ARRAY_LEN(on); i++) {
		for (k = 0; k < FILES_EACH && !fs_missing(on[i]); k++) {
			struct file *f = &files[nr_files];

			f->fs = on[i];
			snprintf(f->path, sizeof(f->path), "%s/stress-%u", fs_dir(f->fs), k);
			snprintf(f->lock, sizeof(f->lock), "/tmp/lock-%u", nr_files);
			close(open(f->lock, O_RDWR | O_CREAT, 0600));
			fill_pattern(shared->model[nr_files], SIZE, nr_files);
			fd = open(f->path, O_RDWR | O_CREAT, 0600);
			if (write_full(fd, shared->model[nr_files], SIZE) != SIZE || fsync(fd))
				return -EIO;
			close(fd);
			nr_files++;
		}
	}
	return nr_files ? 0 : -ENOENT;
}

static pid_t start(int number, unsigned int generation)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		fail("no process can be had");
	if (pid)
		return pid;
	/* a group for it and the children of its own */
	setpgid(0, 0);
	self = number;
	worker = getpid();
	state = (seed * 1000003 + number) * 7919 + generation;
	if (number < WORKERS)
		write_file(CGROUP "/stress/cgroup.procs", "0");
	if (number == WORKERS)
		be_disturber();
	else if (number < WRITERS)
		be_writer();
	else if (number < WRITERS + HOLDERS)
		be_holder();
	else
		be_sender();
	_exit(shared->failed ? KSFT_FAIL : KSFT_PASS);
}

/* Nobody whom it made goes on; what a dead writer was about is as the file has it */
static void bury(int number, pid_t pid)
{
	struct intent *intent = &shared->intents[number];
	int lock, was = intent->file;
	struct subject s;

	kill(-pid, SIGKILL);
	while (waitpid(-pid, NULL, 0) > 0)
		;
	if (was < 0)
		return;
	note(number, was, intent->off, intent->len, "killed in the middle", -EINTR);
	lock = lock_file(&files[was], LOCK_EX);
	open_subject(&s, was);
	if (intent->len == SIZE && ftruncate(s.fd, SIZE))
		fail("%s cannot be made larger", s.path);
	learn(&s, was, intent->off, intent->len);
	intent->file = -1;
	close(s.fd);
	close(lock);
}

static unsigned int kill_workers(pid_t *pids, int seconds)
{
	time_t until = time(NULL) + seconds;
	unsigned int killed = 0;
	int status, i;

	while (!shared->stop && time(NULL) < until) {
		pid_t pid;

		usleep(200000);
		i = below(10 * WORKERS);
		if (i < WORKERS && pids[i] > 0)
			kill(pids[i], SIGKILL);
		/* the OOM killer may have been here, too */
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			for (i = 0; i < WORKERS && pids[i] != pid; i++)
				;
			if (i == WORKERS)
				continue;
			if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
				fail("worker %d ended with status 0x%x", i, status);
			bury(i, pid);
			pids[i] = shared->stop ? -1 : start(i, ++killed);
		}
	}
	return killed;
}

static void last_look(bool remounted)
{
	unsigned int i;
	int fd;

	for (i = 0; i < nr_files; i++) {
		if (remounted && !fs_on_device(files[i].fs))
			continue;
		fd = open(files[i].path, O_RDWR);
		file_is_right(i, fd, remounted ? "after a new mount" : "at last");
		close(fd);
	}
}

static int number_of(const char *option, const char *variable, int otherwise)
{
	const char *text = option ? option : getenv(variable);

	return text ? atoi(text) : otherwise;
}

int main(int argc, char **argv)
{
	const char *option_t = NULL, *option_s = NULL;
	struct stat_objects before;
	unsigned long done[3] = { };
	pid_t pids[WORKERS], disturber;
	unsigned int killed;
	int opt, seconds, i, status;
	char what[512];
	bool swapping;
	enum fs fs;

	while ((opt = getopt(argc, argv, "t:s:")) > 0) {
		if (opt == 't')
			option_t = optarg;
		else if (opt == 's')
			option_s = optarg;
		else
			return KSFT_FAIL;
	}
	seconds = number_of(option_t, "IOLITE_STRESS_SECONDS", 40);
	seed = number_of(option_s, "IOLITE_STRESS_SEED", time(NULL) % 1000000);
	ksft_print_header();
	if (!iolite_present())
		ksft_exit_skip("the kernel has no IO-Lite\n");
	if (geteuid())
		ksft_exit_skip("needs root\n");
	ksft_set_plan(3);
	printf("# seed %u, %d s\n", seed, seconds);
	fs_mount_all();
	fs_mount(FS_EXT4_1K);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	bytes = xmalloc(ROOM);
	seen = xmalloc(ROOM);
	for (i = 0; i < WORKERS; i++)
		shared->intents[i].file = -1;
	if (shared == MAP_FAILED || make_files())
		ksft_exit_fail_msg("the files cannot be made\n");
	swapping = fs_swap_on();
	injecting = configure_failures("failslab") && configure_failures("fail_page_alloc") &&
		    !write_file(INJECT "fail_page_alloc/min-order", "0");
	printf("# swap: %s; memory cgroup: %s; failing allocations: %s\n",
	       swapping ? "yes" : "no", cgroup_on() ? "yes" : "no", injecting ? "yes" : "no");
	stat_objects_get(&before);

	/* the children of those who were killed, too */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	self = WORKERS;
	state = seed;
	for (i = 0; i < WORKERS; i++)
		pids[i] = start(i, 0);
	disturber = start(WORKERS, 0);
	killed = kill_workers(pids, seconds);
	shared->stop = true;
	waitpid(disturber, NULL, 0);
	for (i = 0; i < WORKERS; i++) {
		if (pids[i] < 0 || waitpid(pids[i], &status, 0) != pids[i])
			continue;
		if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
			fail("worker %d was ended by signal %d", i, WTERMSIG(status));
		bury(i, pids[i]);
		done[i < WRITERS ? 0 : i < WRITERS + HOLDERS ? 1 : 2] += shared->done[i];
	}
	stop_failures();
	printf("# %lu operations of writers (%lu of whole files), %lu of holders, %lu of senders\n",
	       done[0], shared->whole, done[1], done[2]);
	printf("# %lu snapshots, %lu looks at them, %lu transfers; %lu refused; %u workers killed\n",
	       shared->snapshots, shared->looks, shared->sent, shared->refused, killed);
	ksft_test_result(!shared->failed && shared->snapshots && shared->sent,
			 "no snapshot changed and every file was as its control\n");
	if (shared->failed)
		tell_events();
	i = shared->failed;
	last_look(false);
	if (swapping)
		fs_swap_off();
	for (fs = 0; fs < FS_NR; fs++)
		if (fs_on_device(fs) && !fs_missing(fs) && fs_dir(fs)[0] && fs_remount(fs))
			fail("%s cannot be mounted again", fs_names[fs]);
	last_look(true);
	ksft_test_result(i == shared->failed, "every file is as its model, also after a new mount\n");
	status = stat_objects_wait(&before, what, sizeof(what));
	if (status)
		printf("# %s\n", what);
	ksft_test_result(!status, "nothing is left\n");
	ksft_finished();
}

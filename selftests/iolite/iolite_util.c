// SPDX-License-Identifier: GPL-2.0
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "iolite_util.h"

/* ---- the ring ---- */

static unsigned int *sq_field(struct ring *r, unsigned int off)
{
	return (unsigned int *)((char *)r->mem + off);
}

int ring_setup(struct ring *r, unsigned int entries, unsigned int flags)
{
	size_t cq_end;

	memset(r, 0, sizeof(*r));
	r->p.flags = flags | IORING_SETUP_NO_SQARRAY;
	r->fd = syscall(__NR_io_uring_setup, entries, &r->p);
	if (r->fd < 0)
		return -errno;

	cq_end = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
	r->mem_len = cq_end;
	r->mem = mmap(NULL, r->mem_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		      r->fd, IORING_OFF_SQ_RING);
	r->sqes_len = r->p.sq_entries * sizeof(struct io_uring_sqe);
	r->sqes = mmap(NULL, r->sqes_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		       r->fd, IORING_OFF_SQES);
	if (r->mem == MAP_FAILED || r->sqes == MAP_FAILED)
		return -errno;
	r->cqes = (struct io_uring_cqe *)((char *)r->mem + r->p.cq_off.cqes);
	return 0;
}

int ring_register(struct ring *r, unsigned int op, void *arg, unsigned int nr)
{
	int ret = syscall(__NR_io_uring_register, r->fd, op, arg, nr);

	return ret < 0 ? -errno : ret;
}

/* The slots of this process's rings */
static long own_slots;

int ring_table(struct ring *r, unsigned int slots)
{
	int ret;

	memset(&r->table, 0, sizeof(r->table));
	r->table.size = sizeof(r->table);
	r->table.nr_slots = slots;
	ret = ring_register(r, IOLITE_REGISTER_TABLE, &r->table, 1);
	if (ret)
		r->table.nr_slots = 0;
	own_slots += r->table.nr_slots;
	return ret;
}

int ring_open(struct ring *r, unsigned int slots)
{
	int ret = ring_setup(r, 64, 0);

	return ret ? ret : ring_table(r, slots);
}

int ring_join(struct ring *r)
{
	void *base = (void *)(uintptr_t)r->table.window_base;
	void *at;

	at = mmap(base, r->table.window_size, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_FIXED_NOREPLACE, r->fd, IOLITE_OFF_WINDOW);
	if (at == MAP_FAILED)
		return -errno;
	r->window = at;
	return 0;
}

void ring_close(struct ring *r)
{
	if (r->window)
		munmap(r->window, r->table.window_size);
	if (r->mem)
		munmap(r->mem, r->mem_len);
	if (r->sqes)
		munmap(r->sqes, r->sqes_len);
	if (r->fd > 0)
		close(r->fd);
	own_slots -= r->table.nr_slots;
	memset(r, 0, sizeof(*r));
	r->fd = -1;
}

void ring_put(struct ring *r, const struct io_uring_sqe *sqe)
{
	r->sqes[r->sq_tail++ & (r->p.sq_entries - 1)] = *sqe;
}

int ring_submit(struct ring *r)
{
	unsigned int *tail = sq_field(r, r->p.sq_off.tail);
	unsigned int *head = sq_field(r, r->p.sq_off.head);
	unsigned int *sq_flags = sq_field(r, r->p.sq_off.flags);
	unsigned int nr = r->sq_tail - *tail;
	unsigned int flags = 0;
	int ret;

	/* pairs with the kernel's load of the tail: entries before it are whole */
	__atomic_store_n(tail, r->sq_tail, __ATOMIC_RELEASE);
	if (r->p.flags & IORING_SETUP_SQPOLL) {
		/* the kernel thread sets the flag, then looks at the tail again */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!(__atomic_load_n(sq_flags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP))
			return nr;
		flags |= IORING_ENTER_SQ_WAKEUP;
	}
	ret = syscall(__NR_io_uring_enter, r->fd, nr, 0, flags, NULL, 0);
	if (ret >= 0)
		return ret;
	ret = -errno;
	/* takes back what the kernel has not taken, or it would come before the next */
	if (!(r->p.flags & IORING_SETUP_SQPOLL)) {
		r->sq_tail = *head;
		*tail = *head;
	}
	return ret;
}

int ring_reap(struct ring *r, struct io_uring_cqe *cqe, int timeout_ms)
{
	unsigned int *head = sq_field(r, r->p.cq_off.head);
	unsigned int *tail = sq_field(r, r->p.cq_off.tail);
	struct __kernel_timespec ts = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = (timeout_ms % 1000) * 1000000LL,
	};
	struct io_uring_getevents_arg arg = { .ts = (uintptr_t)&ts };

	/* pairs with the kernel's release of the tail: the entry is whole */
	while (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE)) {
		int ret = syscall(__NR_io_uring_enter, r->fd, 0, 1,
				  IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
				  &arg, sizeof(arg));

		if (ret < 0 && errno != EINTR)
			return -errno;
	}
	*cqe = r->cqes[*head & (r->p.cq_entries - 1)];
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return 0;
}

/* Submits one request, waits for it, and returns its result */
int ring_run(struct ring *r, const struct io_uring_sqe *sqe)
{
	struct io_uring_cqe cqe;
	int ret;

	ring_put(r, sqe);
	ret = ring_submit(r);
	if (ret < 0)
		return ret;
	ret = ring_reap(r, &cqe, IOLITE_TIMEOUT_MS);
	if (ret < 0)
		return ret;
	r->cqe_flags = cqe.flags;
	return cqe.res;
}

int pool_create(struct ring *r, __u64 max_bytes)
{
	return pool_create_flags(r, 0, max_bytes);
}

int pool_create_flags(struct ring *r, unsigned int flags, __u64 max_bytes)
{
	struct iolite_reg_pool pool = {
		.size = sizeof(pool), .flags = flags, .max_bytes = max_bytes,
	};
	int ret = ring_register(r, IOLITE_REGISTER_POOL, &pool, 1);

	return ret < 0 ? ret : pool.fd;
}

/* ---- operations ---- */

struct io_uring_sqe sqe_op(struct ring *r, enum iolite_op op, unsigned int slot)
{
	return (struct io_uring_sqe){
		.opcode = r->table.first_op + op,
		.fd = -1,
		.file_index = slot,
	};
}

struct io_uring_sqe sqe_alloc(struct ring *r, unsigned int slot, int pool, const void *from,
			      unsigned int len)
{
	struct io_uring_sqe sqe = sqe_op(r, IOLITE_OP_ALLOC, slot);

	sqe.fd = pool;
	sqe.addr = (uintptr_t)from;
	sqe.len = len;
	return sqe;
}

struct io_uring_sqe sqe_read(struct ring *r, unsigned int slot, int fd, __u64 off,
			     unsigned int len)
{
	struct io_uring_sqe sqe = sqe_op(r, IOLITE_OP_READ, slot);

	sqe.fd = fd;
	sqe.off = off;
	sqe.len = len;
	return sqe;
}

struct io_uring_sqe sqe_write(struct ring *r, unsigned int slot, int fd, unsigned int len,
			      unsigned int msg_flags)
{
	struct io_uring_sqe sqe = sqe_op(r, IOLITE_OP_WRITE, slot);

	sqe.fd = fd;
	sqe.len = len;
	sqe.msg_flags = msg_flags;
	return sqe;
}

struct io_uring_sqe sqe_transmit(struct ring *r, int sock, const void *header,
				 unsigned int header_len, unsigned int from, unsigned int len,
				 __u64 off)
{
	struct io_uring_sqe sqe = sqe_op(r, IOLITE_OP_TRANSMIT, from);

	sqe.fd = sock;
	sqe.addr = header_len ? (uintptr_t)header : 0;
	sqe.addr3 = header_len;
	sqe.len = len;
	sqe.off = off;
	return sqe;
}

struct io_uring_sqe sqe_edit(struct ring *r, unsigned int slot, enum iolite_edit edit,
			     unsigned int slot2, __u64 off, __u64 addr)
{
	struct io_uring_sqe sqe = sqe_op(r, IOLITE_OP_EDIT, slot);

	sqe.msg_flags = edit;
	sqe.addr3 = slot2;
	sqe.off = off;
	sqe.addr = addr;
	return sqe;
}

int op_alloc(struct ring *r, unsigned int slot, int pool, const void *from, unsigned int len)
{
	struct io_uring_sqe sqe = sqe_alloc(r, slot, pool, from, len);

	return ring_run(r, &sqe);
}

int op_alloc_writable(struct ring *r, unsigned int slot, int pool, unsigned int len,
		      char **at)
{
	__u64 addr = 0;
	struct io_uring_sqe sqe = sqe_alloc(r, slot, pool, &addr, len);
	int ret;

	sqe.ioprio = IOLITE_ALLOC_WRITABLE;
	ret = ring_run(r, &sqe);
	*at = (char *)(uintptr_t)addr;
	return ret;
}

int op_seal(struct ring *r, unsigned int slot)
{
	struct io_uring_sqe sqe = sqe_op(r, IOLITE_OP_SEAL, slot);

	return ring_run(r, &sqe);
}

int op_read(struct ring *r, unsigned int slot, int fd, __u64 off, unsigned int len)
{
	struct io_uring_sqe sqe = sqe_read(r, slot, fd, off, len);

	return ring_run(r, &sqe);
}

int op_write(struct ring *r, unsigned int slot, int fd, unsigned int len,
	     unsigned int msg_flags)
{
	struct io_uring_sqe sqe = sqe_write(r, slot, fd, len, msg_flags);

	return ring_run(r, &sqe);
}

int op_edit(struct ring *r, unsigned int slot, enum iolite_edit edit, unsigned int slot2,
	    __u64 off, __u64 addr)
{
	struct io_uring_sqe sqe = sqe_edit(r, slot, edit, slot2, off, addr);

	return ring_run(r, &sqe);
}

int op_map(struct ring *r, unsigned int slot, struct iolite_extent *ext, unsigned int nr,
	   __u64 off)
{
	struct io_uring_sqe sqe = sqe_op(r, IOLITE_OP_MAP, slot);

	sqe.addr = (uintptr_t)ext;
	sqe.len = nr;
	sqe.off = off;
	return ring_run(r, &sqe);
}

int op_free(struct ring *r, unsigned int slot, unsigned int nr)
{
	struct io_uring_sqe sqe = sqe_op(r, IOLITE_OP_FREE, slot);

	sqe.len = nr;
	return ring_run(r, &sqe);
}

int op_length(struct ring *r, unsigned int slot)
{
	return op_edit(r, slot, IOLITE_EDIT_LENGTH, 0, 0, 0);
}

/* ---- contents ---- */

/* Differs at every offset that a page or folio might be mistaken by */
void fill_pattern(void *to, size_t len, unsigned int seed)
{
	unsigned char *p = to;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (i * 31 + (i >> 8) * 7 + (i >> 12) * 13 + (i >> 16) * 3 + seed * 101) % 251;
}

unsigned int random_below(unsigned int *state, unsigned int limit)
{
	*state = *state * 1103515245 + 12345;
	return limit ? (*state >> 8) % limit : 0;
}

bool same_bytes(const void *expected, const void *seen, size_t len)
{
	const unsigned char *e = expected, *s = seen;
	size_t at, bad = 0, i;

	if (!memcmp(e, s, len))
		return true;
	for (at = 0; e[at] == s[at]; at++)
		;
	for (i = at; i < len; i++)
		bad += e[i] != s[i];
	fprintf(stderr, "# at offset %zu of %zu: expected 0x%02x, seen 0x%02x; %zu bytes differ\n",
		at, len, e[at], s[at], bad);
	return false;
}

void *xmalloc(size_t len)
{
	void *p = malloc(len ? len : 1);

	if (!p)
		abort();
	return p;
}

/* What an aggregate holds, by way of a UNIX socket; neither it nor its cursor changes */
int agg_bytes(struct ring *r, unsigned int slot, void *to, size_t len)
{
	size_t done = 0;
	int copy, pair[2] = { -1, -1 }, ret;

	ret = op_edit(r, slot, IOLITE_EDIT_DUP, IOLITE_SLOT_ALLOC, 0, 0);
	if (ret < 0)
		return ret;
	copy = cqe_slot(r->cqe_flags);
	ret = op_edit(r, copy, IOLITE_EDIT_SEEK, 0, 0, SEEK_SET);
	if (ret >= 0)
		ret = unix_pair(SOCK_STREAM, &pair[0], &pair[1]);
	if (ret < 0)
		goto out_free;

	while (done < len) {
		size_t chunk = len - done < 32768 ? len - done : 32768;

		ret = op_write(r, copy, pair[0], chunk, 0);
		if (ret <= 0)
			break;
		if (read_full(pair[1], (char *)to + done, ret) != ret) {
			ret = -EIO;
			break;
		}
		done += ret;
	}
	close(pair[0]);
	close(pair[1]);
out_free:
	op_free(r, copy, 1);
	return ret < 0 ? ret : (int)done;
}

/* The same through the window, which the ring must have joined */
int agg_bytes_mapped(struct ring *r, unsigned int slot, void *to, size_t len)
{
	struct iolite_extent ext[64];
	size_t done = 0;

	while (done < len) {
		int i, nr = op_map(r, slot, ext, ARRAY_LEN(ext), done);

		if (nr < 0)
			return nr;
		if (!nr)
			break;
		for (i = 0; i < nr && done < len; i++) {
			size_t n = len - done < ext[i].len ? len - done : ext[i].len;

			memcpy((char *)to + done, (void *)(uintptr_t)ext[i].addr, n);
			done += n;
		}
	}
	return done;
}

ssize_t read_full(int fd, void *to, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t ret = read(fd, (char *)to + done, len - done);

		if (ret < 0)
			return -errno;
		if (!ret)
			break;
		done += ret;
	}
	return done;
}

ssize_t write_full(int fd, const void *from, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t ret = write(fd, (const char *)from + done, len - done);

		if (ret < 0)
			return -errno;
		done += ret;
	}
	return done;
}

ssize_t pread_full(int fd, void *to, size_t len, off_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t ret = pread(fd, (char *)to + done, len - done, off + done);

		if (ret < 0)
			return -errno;
		if (!ret)
			break;
		done += ret;
	}
	return done;
}

/* ---- faults ---- */

/*
 * A child would not do, for the window is not inherited over fork: the access is
 * made here, and the handler jumps out of it.
 */
static sigjmp_buf fault_jmp;
static volatile sig_atomic_t fault_signal;

static void on_fault(int sig)
{
	fault_signal = sig;
	siglongjmp(fault_jmp, 1);
}

static int signal_of(volatile char *at, bool store)
{
	struct sigaction action = { .sa_handler = on_fault }, segv, bus;

	fault_signal = 0;
	sigaction(SIGSEGV, &action, &segv);
	sigaction(SIGBUS, &action, &bus);
	if (!sigsetjmp(fault_jmp, 1)) {
		if (store)
			*at = 'X';
		else
			(void)*at;
	}
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	return fault_signal;
}

int signal_of_read(const volatile char *at)
{
	return signal_of((volatile char *)at, false);
}

int signal_of_write(volatile char *at)
{
	return signal_of(at, true);
}

/* ---- counters, sysctls ---- */

bool iolite_present(void)
{
	return !access(IOLITE_SYSFS "slots", F_OK);
}

long read_number(const char *path)
{
	char text[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return -EIO;
	text[len] = 0;
	return strtol(text, NULL, 10);
}

long stat_get(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), IOLITE_SYSFS "%s", name);
	return read_number(path);
}

/* Bytes copied for any reason */
long stat_copied(void)
{
	return stat_get("copied_bytes");
}

/*
 * Some objects go by RCU, task work or a work queue, so a counter is given a while.
 * @left is what remains of the patience, in steps of 10 ms.
 */
static long wait_for_stat(const char *name, long value, int *left)
{
	long seen;

	while ((seen = stat_get(name)) != value && (*left)-- > 0)
		usleep(10000);
	return seen;
}

/* A counter's value once nothing of the test before is being torn down any more */
long stat_settled(const char *name)
{
	long seen = stat_get(name), before;
	int quiet = 0, left = IOLITE_TIMEOUT_MS / 10;

	while (quiet < 20 && left-- > 0) {
		before = seen;
		usleep(10000);
		seen = stat_get(name);
		quiet = seen == before ? quiet + 1 : 0;
	}
	return seen;
}

long stat_wait(const char *name, long value)
{
	int left = IOLITE_TIMEOUT_MS / 10;

	return wait_for_stat(name, value, &left);
}

static const char * const object_names[] = {
	"buffers", "aggregates", "nodes", "slots", "pools", "pool_pages",
	"readonly_pages", "file_pages", "window_pages", "grants", "domains",
};

void stat_objects_get(struct stat_objects *s)
{
	unsigned int i;

	int left = IOLITE_TIMEOUT_MS / 10 / 4;

	/*
	 * Rings of tests before this one may still be there: the kernel takes them
	 * down later, on a busy machine much later. Slots go last of what a ring has.
	 */
	while (stat_get("slots") > own_slots && left-- > 0)
		usleep(10000);
	stat_settled("slots");
	for (i = 0; i < ARRAY_LEN(object_names); i++)
		s->v[i] = stat_get(object_names[i]);
}

/* 0 once every counter is back at @s; else @what says which is not */
int stat_objects_wait(const struct stat_objects *s, char *what, size_t len)
{
	int left = IOLITE_TIMEOUT_MS / 10;
	unsigned int i;
	int bad = 0;

	what[0] = 0;
	for (i = 0; i < ARRAY_LEN(object_names); i++) {
		long seen = wait_for_stat(object_names[i], s->v[i], &left);

		if (seen != s->v[i]) {
			snprintf(what + strlen(what), len - strlen(what), "%s: %ld, was %ld; ",
				 object_names[i], seen, s->v[i]);
			bad = -EBUSY;
		}
	}
	return bad;
}

long sysctl_get(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", name);
	return read_number(path);
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/*
 * An skb that was freed on another CPU than where it was made waits there for the next
 * packet to come, for ever on a machine that does nothing else, and holds its pages. The
 * counters are to show what IO-Lite holds.
 */
#define SKB_DEFER	"/proc/sys/net/core/skb_defer_max"

static char skb_defer[16];
static pid_t who_changed_it;

__attribute__((constructor)) static void free_skbs_at_once(void)
{
	snprintf(skb_defer, sizeof(skb_defer), "%ld", read_number(SKB_DEFER));
	if (!write_file(SKB_DEFER, "0"))
		who_changed_it = getpid();
}

__attribute__((destructor)) static void defer_skbs_again(void)
{
	if (who_changed_it == getpid())
		write_file(SKB_DEFER, skb_defer);
}

int sysctl_set(const char *name, long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", name);
	snprintf(text, sizeof(text), "%ld", value);
	return write_file(path, text);
}

unsigned int events_of(int inotify)
{
	struct inotify_event event;
	unsigned int mask = 0;

	/* a watched file, unlike a directory, has no names in its events */
	while (read(inotify, &event, sizeof(event)) == sizeof(event))
		mask |= event.mask;
	return mask;
}

/* ---- sockets ---- */

int tcp_pair(int *a, int *b)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener < 0 || bind(listener, (void *)&addr, len) || listen(listener, 1) ||
	    getsockname(listener, (void *)&addr, &len))
		return -errno;
	*a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*a < 0 || connect(*a, (void *)&addr, len))
		return -errno;
	*b = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	if (*b < 0 || setsockopt(*a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		return -errno;
	return 0;
}

int unix_pair(int type, int *a, int *b)
{
	int pair[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair))
		return -errno;
	*a = pair[0];
	*b = pair[1];
	return 0;
}

int set_sndbuf(int fd, int bytes)
{
	return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) ? -errno : 0;
}

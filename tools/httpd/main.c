// SPDX-License-Identifier: MIT
/* iolite-httpd: files to HTTP clients, from the page cache by reference. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "log.h"
#include "options.h"
#include "statsport.h"
#include "worker.h"

#define BACKLOG 4096

static _Noreturn void fail(const char *what, const char *which, int error)
{
	log_error("%s %s: %s.", what, which, strerror(error));
	exit(1);
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static struct addrinfo *resolve(const struct options *o)
{
	struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *info;
	char port[8];

	snprintf(port, sizeof(port), "%u", o->port);
	if (getaddrinfo(o->bind, port, &hints, &info)) {
		log_error("--bind takes a numeric address, not \"%s\".", o->bind);
		exit(2);
	}
	return info;
}

/* shared: several sockets of this process take turns at the same address */
static int bind_socket(const struct options *o, const struct addrinfo *info, bool shared)
{
	int one = 1;
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("Cannot make a socket for", o->bind, errno);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)))
		fail("Cannot share the port among threads on", o->bind, errno);
	if (bind(fd, info->ai_addr, info->ai_addrlen)) {
		if (errno == EADDRINUSE) {
			log_error("Port %u of %s is in use; choose another with --port.", o->port,
				  o->bind);
			exit(1);
		}
		fail("Cannot bind to", o->bind, errno);
	}
	return fd;
}

static void open_listeners(const struct options *o, int *fds)
{
	struct addrinfo *info = resolve(o);

	/* SO_REUSEPORT would silently share the port with another server, too */
	close(bind_socket(o, info, false));
	for (unsigned int i = 0; i < o->threads; i++)
		fds[i] = bind_socket(o, info, true);
	for (unsigned int i = 0; i < o->threads; i++)
		if (listen(fds[i], BACKLOG))
			fail("Cannot listen on", o->bind, errno);
	freeaddrinfo(info);
}

static int open_access_log(const struct options *o)
{
	int fd;

	if (!o->access_log)
		return -1;
	if (!strcmp(o->access_log, "-"))
		return STDOUT_FILENO;
	fd = open(o->access_log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		fail("Cannot open the access log", o->access_log, errno);
	return fd;
}

/* The workers keep their descriptor's number, and go on in the new file. */
static void reopen_access_log(const struct options *o, int log_fd)
{
	int fd;

	if (!o->access_log || log_fd == STDOUT_FILENO)
		return;
	fd = open(o->access_log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || dup3(fd, log_fd, O_CLOEXEC) < 0)
		log_error("cannot open %s anew: %s", o->access_log, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static _Noreturn void start_failed(const struct worker *w)
{
	if (w->error == -EOPNOTSUPP)
		log_error("This kernel has no IO-Lite; boot one that was built with CONFIG_IOLITE.");
	else if (w->error == -E2BIG)
		log_error("vm.iolite_max_slots is too small; raise it to %u.", KEPT_MAX);
	else
		log_error("Cannot start: %s: %s.", w->failed, strerror(-w->error));
	exit(1);
}

static struct worker **start_workers(struct server *server)
{
	unsigned int nr = server->options->threads;
	struct worker **workers = calloc(nr, sizeof(*workers));
	int *fds = calloc(nr, sizeof(*fds));

	if (!workers || !fds)
		fail("Cannot start", "threads", ENOMEM);
	open_listeners(server->options, fds);
	for (unsigned int i = 0; i < nr; i++) {
		workers[i] = aligned_alloc(_Alignof(struct worker), sizeof(struct worker));
		if (!workers[i])
			fail("Cannot start", "threads", ENOMEM);
		memset(workers[i], 0, sizeof(struct worker));
		workers[i]->error = worker_start(workers[i], server, fds[i]);
		if (workers[i]->error)
			start_failed(workers[i]);
	}
	for (unsigned int i = 0; i < nr; i++)
		while (sem_wait(&server->ready) && errno == EINTR)
			;
	for (unsigned int i = 0; i < nr; i++)
		if (workers[i]->error)
			start_failed(workers[i]);
	free(fds);
	return workers;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	/* before any thread exists, so that all inherit it */
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Returns when a signal asks for the end. */
static void watch(const struct server *server, struct worker *const *workers, int signals,
		  int stats_fd)
{
	const struct options *o = server->options;
	struct pollfd fds[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = stats_fd, .events = POLLIN },
	};
	int interval = o->stats_interval ? (int)o->stats_interval * 1000 : -1;
	struct signalfd_siginfo info;

	for (;;) {
		int n = poll(fds, 2, interval);

		if (n == 0)
			stats_report(&workers[0], o->threads);
		if (n <= 0)
			continue;
		if (fds[1].revents)
			stats_serve(stats_fd, workers, o->threads);
		if (!fds[0].revents || read(signals, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo != SIGHUP)
			return;
		reopen_access_log(o, server->log_fd);
	}
}

int main(int argc, char **argv)
{
	struct options options;
	struct server server = { .options = &options };
	struct worker **workers;
	int signals, stats_fd = -1;

	options_parse(&options, argc, argv);
	server.root = open(options.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (server.root < 0) {
		log_error("Cannot serve %s: %s.", options.root, strerror(errno));
		return 2;
	}
	raise_file_limit();
	server.log_fd = open_access_log(&options);
	sem_init(&server.ready, 0, 0);
	signals = open_signals();
	if (options.stats_port)
		stats_fd = stats_listen(options.stats_port);
	workers = start_workers(&server);
	log_error(strchr(options.bind, ':') ? "serving %s at http://[%s]:%u/ with %u thread%s" :
					      "serving %s at http://%s:%u/ with %u thread%s",
		  options.root, options.bind, options.port, options.threads,
		  options.threads == 1 ? "" : "s");

	watch(&server, workers, signals, stats_fd);

	for (unsigned int i = 0; i < options.threads; i++)
		worker_stop(workers[i]);
	for (unsigned int i = 0; i < options.threads; i++) {
		pthread_join(workers[i]->thread, NULL);
		free(workers[i]);
	}
	free(workers);
	return 0;
}

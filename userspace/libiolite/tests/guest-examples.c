// SPDX-License-Identifier: MIT
/* The examples run as they are. */
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "guest.h"

#define CLIENTS	20

static char examples[4096];

static pid_t start(const char *name, int in, char *const argv[])
{
	char path[4200];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s", examples, name);
	pid = fork();
	if (!pid) {
		if (in >= 0)
			dup2(in, STDIN_FILENO);
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execv(path, argv);
		perror(path);
		_exit(127);
	}
	must(pid > 0);
	return pid;
}

static int end(pid_t pid)
{
	int status;

	must(waitpid(pid, &status, 0) == pid);
	return status;
}

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	must(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static bool receives(int fd, const void *want, size_t len)
{
	char *seen = malloc(len + 1);
	bool good;

	must(seen);
	good = recv(fd, seen, len + 1, MSG_WAITALL) == (ssize_t)len && !memcmp(seen, want, len);
	free(seen);
	return good;
}

static void send_file(const char *path, const unsigned char *data, size_t len)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t addr_len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0), sock, n;
	char port[8], *want = malloc(len + 100);
	pid_t pid;

	must(want && !bind(listener, (struct sockaddr *)&addr, addr_len));
	must(!listen(listener, 1));
	must(!getsockname(listener, (struct sockaddr *)&addr, &addr_len));
	snprintf(port, sizeof(port), "%d", ntohs(addr.sin_port));
	pid = start("send-file", -1, (char *[]){ "send-file", (char *)path, "127.0.0.1", port, NULL });
	sock = accept(listener, NULL, NULL);
	n = sprintf(want, "Content-Length: %zu\r\n\r\n", len);
	memcpy(want + n, data, len);
	ok(receives(sock, want, len + (size_t)n), "send-file: header and file arrive");
	is(end(pid), 0, "send-file ends well");
	close(sock);
	close(listener);
	free(want);
}

static int connect_to(in_port_t port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0), tries;

	for (tries = 0; tries < 200; tries++) {
		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			return fd;
		usleep(50000);
	}
	return -1;
}

static void broadcast(const char *path, const unsigned char *data, size_t len)
{
	int socks[CLIENTS], in = open(path, O_RDONLY), i, good = 0;
	char nr[8];
	pid_t pid;

	snprintf(nr, sizeof(nr), "%d", CLIENTS);
	pid = start("broadcast", in, (char *[]){ "broadcast", "7654", nr, NULL });
	for (i = 0; i < CLIENTS; i++) {
		socks[i] = connect_to(7654);
		must(socks[i] >= 0);
	}
	for (i = 0; i < CLIENTS; i++) {
		good += receives(socks[i], data, len);
		close(socks[i]);
	}
	is(good, CLIENTS, "broadcast: every client gets the message");
	is(end(pid), 0, "broadcast ends well");
	close(in);
}

static void compose(const char *path, const unsigned char *data)
{
	static const char head1[] = "--\r\nContent-Length: 1000\r\n\r\n";
	static const char head2[] = "--\r\nContent-Length: 70000\r\n\r\n";
	char want[80000], seen[80000], *p = want;
	ssize_t n;
	int fd;

	is(end(start("compose", -1, (char *[]){ "compose", "/tmp/composed", (char *)path, "5", "1000",
						 (char *)path, "4096", "70000", NULL })), 0,
	   "compose ends well");
	p = mempcpy(p, head1, strlen(head1));
	p = mempcpy(p, data + 5, 1000);
	p = mempcpy(p, head2, strlen(head2));
	p = mempcpy(p, data + 4096, 70000);
	fd = open("/tmp/composed", O_RDONLY);
	n = read(fd, seen, sizeof(seen));
	is(n, p - want, "compose: the length");
	ok(n == p - want && !memcmp(seen, want, (size_t)n), "compose: the pieces");
	close(fd);
	unlink("/tmp/composed");
}

int main(int argc, char **argv)
{
	const size_t len = 500000;
	unsigned char *data = any_bytes(len);
	char *slash;

	/* beside the folder of this test */
	must(argc == 1 && realpath(argv[0], examples));
	slash = strrchr(examples, '/');
	strcpy(slash, "/../examples");

	write_file("/tmp/example-data", data, len);
	send_file("/tmp/example-data", data, len);
	broadcast("/tmp/example-data", data, len);
	compose("/tmp/example-data", data);
	unlink("/tmp/example-data");
	free(data);
	return done();
}

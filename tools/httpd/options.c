// SPDX-License-Identifier: MIT
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VERSION "1.0"

enum { OPT_BIND = 1, OPT_ACCESS_LOG, OPT_STATS_PORT, OPT_STATS_INTERVAL, OPT_THREADS,
       OPT_MAX_CONNECTIONS, OPT_MAX_REQUESTS, OPT_HEADER_TIMEOUT, OPT_IDLE_TIMEOUT,
       OPT_SEND_TIMEOUT, OPT_DRAIN_TIMEOUT, OPT_FILE_VALID, OPT_ROOT, OPT_PORT, OPT_HELP, OPT_VERSION };

static const struct option longopts[] = {
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "bind", required_argument, NULL, OPT_BIND },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
	{ "max-requests", required_argument, NULL, OPT_MAX_REQUESTS },
	{ "header-timeout", required_argument, NULL, OPT_HEADER_TIMEOUT },
	{ "idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT },
	{ "send-timeout", required_argument, NULL, OPT_SEND_TIMEOUT },
	{ "drain-timeout", required_argument, NULL, OPT_DRAIN_TIMEOUT },
	{ "file-valid", required_argument, NULL, OPT_FILE_VALID },
	{ "access-log", required_argument, NULL, OPT_ACCESS_LOG },
	{ "stats-port", required_argument, NULL, OPT_STATS_PORT },
	{ "stats-interval", required_argument, NULL, OPT_STATS_INTERVAL },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 }
};

static const char help[] =
"Usage: iolite-httpd --root DIR [OPTION]...\n"
"Serve the files beneath DIR over HTTP/1.1, from the page cache by reference.\n"
"\n"
"  --root DIR             directory to serve (required)\n"
"  --port N               TCP port (8080)\n"
"  --bind ADDR            numeric address to listen on (0.0.0.0)\n"
"  --threads N            threads, each with a ring of its own (one per CPU)\n"
"  --max-connections N    connections at the same time (4096)\n"
"  --max-requests N       requests on one connection (10000)\n"
"  --header-timeout N     seconds for a request to arrive (15)\n"
"  --idle-timeout N       seconds between requests (60)\n"
"  --send-timeout N       seconds without progress of a response (30)\n"
"  --drain-timeout N      seconds for responses to end after SIGTERM (10)\n"
"  --file-valid N         seconds that an open file is not looked at again (0)\n"
"  --access-log FILE      common log format; - for standard output\n"
"  --stats-port N         counters over HTTP on 127.0.0.1\n"
"  --stats-interval N     counters to standard error each N seconds\n"
"  --help, --version\n";

static _Noreturn void wrong(const char *name, const char *value, unsigned long min,
			    unsigned long max)
{
	fprintf(stderr, "iolite-httpd: --%s takes a number from %lu to %lu, not \"%s\".\n", name,
		min, max, value);
	exit(2);
}

static unsigned int number(const char *name, unsigned long min, unsigned long max)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(optarg, &end, 10);
	if (errno || end == optarg || *end || *optarg == '-' || value < min || value > max)
		wrong(name, optarg, min, max);
	return (unsigned int)value;
}

void options_parse(struct options *o, int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int opt, index = 0;

	*o = (struct options){
		.bind = "0.0.0.0",
		.port = 8080,
		.threads = cpus < 1 ? 1 : cpus > 64 ? 64 : (unsigned int)cpus,
		.max_connections = 4096,
		.max_requests = 10000,
		.header_timeout = 15,
		.idle_timeout = 60,
		.send_timeout = 30,
		.drain_timeout = 10,
	};

	while ((opt = getopt_long(argc, argv, "", longopts, &index)) != -1) {
		const char *name = longopts[index].name;

		switch (opt) {
		case OPT_ROOT:
			o->root = optarg;
			break;
		case OPT_PORT:
			o->port = (uint16_t)number(name, 1, 65535);
			break;
		case OPT_BIND:
			o->bind = optarg;
			break;
		case OPT_THREADS:
			o->threads = number(name, 1, 64);
			break;
		case OPT_MAX_CONNECTIONS:
			o->max_connections = number(name, 1, 60000);
			break;
		case OPT_MAX_REQUESTS:
			o->max_requests = number(name, 1, 1000000000);
			break;
		case OPT_HEADER_TIMEOUT:
			o->header_timeout = number(name, 1, 86400);
			break;
		case OPT_IDLE_TIMEOUT:
			o->idle_timeout = number(name, 1, 86400);
			break;
		case OPT_SEND_TIMEOUT:
			o->send_timeout = number(name, 1, 86400);
			break;
		case OPT_DRAIN_TIMEOUT:
			o->drain_timeout = number(name, 0, 86400);
			break;
		case OPT_FILE_VALID:
			o->file_valid = number(name, 0, 86400);
			break;
		case OPT_ACCESS_LOG:
			o->access_log = optarg;
			break;
		case OPT_STATS_PORT:
			o->stats_port = (uint16_t)number(name, 1, 65535);
			break;
		case OPT_STATS_INTERVAL:
			o->stats_interval = number(name, 1, 86400);
			break;
		case OPT_HELP:
			fputs(help, stdout);
			exit(0);
		case OPT_VERSION:
			puts("iolite-httpd " VERSION);
			exit(0);
		default:	/* getopt_long() has said what is wrong */
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "iolite-httpd: \"%s\" belongs to no option; see --help.\n",
			argv[optind]);
		exit(2);
	}
	if (!o->root) {
		fprintf(stderr, "iolite-httpd: name the directory to serve with --root DIR.\n");
		exit(2);
	}
}

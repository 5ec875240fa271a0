/* SPDX-License-Identifier: MIT */
#ifndef HTTPD_OPTIONS_H
#define HTTPD_OPTIONS_H

#include <stdint.h>

struct options {
	const char	*root;
	const char	*bind;
	const char	*access_log;		/* NULL: none; "-": standard output */
	uint16_t	port;
	uint16_t	stats_port;		/* 0: none */
	unsigned int	threads;
	unsigned int	max_connections;	/* of all threads together */
	unsigned int	max_requests;		/* on one connection */
	unsigned int	header_timeout;		/* these in seconds */
	unsigned int	idle_timeout;
	unsigned int	send_timeout;
	unsigned int	drain_timeout;
	unsigned int	file_valid;
	unsigned int	stats_interval;		/* 0: none */
};

/* Exits with status 2 and one sentence if the command line is wrong. */
void options_parse(struct options *o, int argc, char **argv);

#endif

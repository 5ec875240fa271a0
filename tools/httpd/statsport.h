/* SPDX-License-Identifier: MIT */
/* How the operator reads the counters. */
#ifndef HTTPD_STATSPORT_H
#define HTTPD_STATSPORT_H

#include <stdint.h>

struct worker;

/* A socket on 127.0.0.1; exits with one sentence if there can be none. */
int stats_listen(uint16_t port);
/* Answers one client. */
void stats_serve(int listen_fd, struct worker *const *workers, unsigned int nr);
/* All counters as one line on standard error. */
void stats_report(struct worker *const *workers, unsigned int nr);

#endif

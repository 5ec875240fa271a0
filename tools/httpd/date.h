/* SPDX-License-Identifier: MIT */
#ifndef HTTPD_DATE_H
#define HTTPD_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define DATE_SIZE	30	/* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL */

void date_format(time_t when, char to[DATE_SIZE]);

/* All three formats of RFC 9110 section 5.6.7; now resolves two-digit years. */
bool date_parse(const char *s, size_t len, time_t now, time_t *when);

#endif

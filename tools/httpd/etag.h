/* SPDX-License-Identifier: MIT */
#ifndef HTTPD_ETAG_H
#define HTTPD_ETAG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define ETAG_SIZE	56	/* three 64-bit numbers in hex, dashes, quotes, NUL */

void etag_format(const struct stat *st, char to[ETAG_SIZE]);

/* Is etag (a strong one, quoted) in the list, or is the list "*"? */
bool etag_listed(const char *list, size_t len, const char *etag, bool strong);

#endif

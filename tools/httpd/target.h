/* SPDX-License-Identifier: MIT */
#ifndef HTTPD_TARGET_H
#define HTTPD_TARGET_H

#include <stddef.h>

/*
 * Decodes the path of a request's target into a path relative to the root,
 * without leading or doubled slashes; a trailing slash stays.  Dot segments
 * stay too: openat2(RESOLVE_BENEATH) judges them.  Returns 0, -EINVAL for what
 * is no path (also a malformed escape and NUL), or -ENAMETOOLONG.
 */
int target_decode(const char *raw, size_t len, char *path, size_t size);

#endif

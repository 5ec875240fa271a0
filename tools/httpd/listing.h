/* SPDX-License-Identifier: MIT */
#ifndef HTTPD_LISTING_H
#define HTTPD_LISTING_H

#include "text.h"

/*
 * Writes the page for the directory at path (relative to the root, decoded,
 * with a trailing slash or empty).  Returns 0 or a negative errno.
 */
int listing_make(struct text *page, int root, const char *path);

#endif

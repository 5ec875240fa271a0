/* SPDX-License-Identifier: MIT */
#ifndef HTTPD_MIME_H
#define HTTPD_MIME_H

/* The Content-Type for a file's name, by its extension. */
const char *mime_type(const char *path);

#endif

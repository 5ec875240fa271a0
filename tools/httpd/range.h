/* SPDX-License-Identifier: MIT */
#ifndef HTTPD_RANGE_H
#define HTTPD_RANGE_H

#include <stddef.h>
#include <stdint.h>

#define RANGES_MAX	16	/* in one request; a header with more is ignored */

struct byte_range {
	uint64_t	off;
	uint64_t	len;
};

/*
 * Parses a Range header for a file of size bytes.  Returns how many ranges can
 * be satisfied, 0 if the header is to be ignored (malformed, another unit, too
 * many ranges, or together more than the file), or -ERANGE if none can be.
 */
int range_parse(const char *s, size_t len, uint64_t size, struct byte_range ranges[RANGES_MAX]);

#endif

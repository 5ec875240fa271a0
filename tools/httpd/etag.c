// SPDX-License-Identifier: MIT
#include "etag.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

void etag_format(const struct stat *st, char to[ETAG_SIZE])
{
	uint64_t mtime_ns = (uint64_t)st->st_mtim.tv_sec * 1000000000u +
			    (uint64_t)st->st_mtim.tv_nsec;

	snprintf(to, ETAG_SIZE, "\"%jx-%jx-%jx\"", (uintmax_t)st->st_ino,
		 (uintmax_t)st->st_size, (uintmax_t)mtime_ns);
}

bool etag_listed(const char *list, size_t len, const char *etag, bool strong)
{
	const char *end = list + len;
	size_t want = strlen(etag);

	while (list < end && strchr(" \t", *list))
		list++;
	while (end > list && strchr(" \t", end[-1]))
		end--;
	if (end - list == 1 && *list == '*')
		return true;

	while (list < end) {
		const char *close;
		bool weak = false;

		if (strchr(" \t,", *list)) {
			list++;
			continue;
		}
		if (end - list > 2 && !memcmp(list, "W/", 2)) {
			weak = true;
			list += 2;
		}
		if (*list != '"')
			return false;
		close = memchr(list + 1, '"', (size_t)(end - list - 1));
		if (!close)
			return false;
		close++;
		if ((size_t)(close - list) == want && !memcmp(list, etag, want) && !(weak && strong))
			return true;
		list = close;
	}
	return false;
}

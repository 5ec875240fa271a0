// SPDX-License-Identifier: MIT
#include "target.h"

#include <errno.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int target_decode(const char *raw, size_t len, char *path, size_t size)
{
	size_t n = 0;

	if (!len || raw[0] != '/')
		return -EINVAL;
	for (size_t i = 1; i < len; i++) {
		char c = raw[i];

		if (c == '%') {
			int high, low;

			if (len - i < 3)
				return -EINVAL;
			high = hex(raw[i + 1]);
			low = hex(raw[i + 2]);
			if (high < 0 || low < 0)
				return -EINVAL;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (!c)
			return -EINVAL;
		if (c == '/' && (!n || path[n - 1] == '/'))
			continue;
		if (n + 1 >= size)
			return -ENAMETOOLONG;
		path[n++] = c;
	}
	path[n] = 0;
	return 0;
}

// SPDX-License-Identifier: MIT
#include "stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_STATS "/sys/kernel/mm/iolite"

static const char *const names[STAT_NR] = {
#define X(name) #name,
	STATS(X)
#undef X
};

static void kernel_stat(struct text *t, int dir, const char *name)
{
	char value[32];
	ssize_t n;
	int fd;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, value, sizeof(value));
	close(fd);
	if (n > 0 && memchr(value, '\n', (size_t)n))
		text_printf(t, "iolite_%s %.*s", name, (int)n, value);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

void stats_text(struct text *t, struct stats *const *all, unsigned int nr)
{
	struct dirent **entries;
	int dir, n;

	for (int i = 0; i < STAT_NR; i++) {
		long sum = 0;

		for (unsigned int j = 0; j < nr; j++)
			sum += atomic_load_explicit(&all[j]->v[i], memory_order_relaxed);
		text_printf(t, "%s %ld\n", names[i], sum);
	}

	dir = open(KERNEL_STATS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return;
	n = scandirat(dir, ".", &entries, is_visible, by_name);
	for (int i = 0; i < n; i++) {
		kernel_stat(t, dir, entries[i]->d_name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	close(dir);
}

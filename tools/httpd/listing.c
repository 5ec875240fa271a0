// SPDX-License-Identifier: MIT
#include "listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"

#define MAX_ENTRIES 20000	/* names in one page */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(DIR *dir, char ***namesp, size_t *nrp)
{
	size_t nr = 0, cap = 0;
	char **names = NULL;
	struct dirent *entry;
	int error = 0;

	while (nr < MAX_ENTRIES) {
		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			error = -errno;
			break;
		}
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (nr == cap) {
			char **more;

			cap = cap ? cap * 2 : 64;
			more = realloc(names, cap * sizeof(*names));
			if (!more) {
				error = -ENOMEM;
				break;
			}
			names = more;
		}
		names[nr] = strdup(entry->d_name);
		if (!names[nr]) {
			error = -ENOMEM;
			break;
		}
		nr++;
	}
	*namesp = names;
	*nrp = nr;
	return error;
}

static void add_row(struct text *page, int dir, const char *name)
{
	struct stat st;
	char when[20] = "";
	struct tm tm;
	bool is_dir;

	/* what a link out of the root points to is nobody's business */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return;
	is_dir = S_ISDIR(st.st_mode);
	if (!is_dir && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return;
	if (gmtime_r(&st.st_mtim.tv_sec, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);

	text_printf(page, "<tr><td><a href=\"./");
	text_add_url(page, name);
	text_printf(page, is_dir ? "/\">" : "\">");
	text_add_html(page, name);
	text_printf(page, is_dir ? "/</a>" : "</a>");
	text_printf(page, "<td>%s<td>", when);
	if (S_ISREG(st.st_mode))
		text_printf(page, "%jd", (intmax_t)st.st_size);
	text_printf(page, "\n");
}

static void add_title(struct text *page, const char *path)
{
	text_printf(page, "Index of /");
	text_add_html(page, path);
}

int listing_make(struct text *page, int root, const char *path)
{
	char **names = NULL;
	size_t nr = 0;
	DIR *dir;
	int fd, error;

	fd = files_open(root, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		error = -errno;
		close(fd);
		return error;
	}
	error = read_names(dir, &names, &nr);
	if (error)
		goto out;
	qsort(names, nr, sizeof(*names), by_name);

	text_printf(page, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>");
	add_title(page, path);
	text_printf(page, "</title>\n<h1>");
	add_title(page, path);
	text_printf(page, "</h1>\n<table>\n<tr><th>Name<th>Modified (UTC)<th>Bytes\n");
	if (*path)
		text_printf(page, "<tr><td><a href=\"../\">../</a><td><td>\n");
	for (size_t i = 0; i < nr; i++)
		add_row(page, fd, names[i]);
	text_printf(page, "</table>\n");
	if (nr == MAX_ENTRIES)
		text_printf(page, "<p>Only the first %d names are shown.\n", MAX_ENTRIES);
	text_printf(page, "</html>\n");
	error = page->failed ? -ENOMEM : 0;
out:
	for (size_t i = 0; i < nr; i++)
		free(names[i]);
	free(names);
	closedir(dir);
	return error;
}

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

#define MAX_ROWS 20000	/* names in one page */

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_child(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
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
	struct dirent **entries;
	int fd, nr, error = 0;

	fd = files_open(root, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	nr = scandirat(fd, ".", &entries, is_child, by_name);
	if (nr < 0) {
		error = -errno;
		goto out_close;
	}

	text_printf(page, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>");
	add_title(page, path);
	text_printf(page, "</title>\n<h1>");
	add_title(page, path);
	text_printf(page, "</h1>\n<table>\n<tr><th>Name<th>Modified (UTC)<th>Bytes\n");
	if (*path)
		text_printf(page, "<tr><td><a href=\"../\">../</a><td><td>\n");
	for (int i = 0; i < nr; i++) {
		if (i < MAX_ROWS)
			add_row(page, fd, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	text_printf(page, "</table>\n");
	if (nr > MAX_ROWS)
		text_printf(page, "<p>Only the first %d names are shown.\n", MAX_ROWS);
	text_printf(page, "</html>\n");
	if (page->failed)
		error = -ENOMEM;
out_close:
	close(fd);
	return error;
}

/* SPDX-License-Identifier: MIT */
/* The bytes of an aggregate, where they are. */
#include "lib.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

int iol_map(struct iol_agg *agg, struct iolite_extent *extents, unsigned int nr,
	    uint64_t off)
{
	struct io_uring_sqe sqe;
	int ret;

	ret = iol_context_join(agg->io);
	if (ret < 0)
		return ret;
	iol_prep_map(&sqe, iol_slot(agg), extents, nr, off);
	return iol_run(agg->io, &sqe);
}

void iol_slices_begin(struct iol_slices *it, struct iol_agg *agg, uint64_t off)
{
	it->agg = agg;
	it->off = off;
	it->next = 0;
	it->nr = 0;
}

static int map_more(struct iol_slices *it)
{
	int i, nr;

	nr = iol_map(it->agg, it->extents, ARRAY_SIZE(it->extents), it->off);
	if (nr < 0)
		return nr;
	for (i = 0; i < nr; i++)
		it->off += it->extents[i].len;
	it->next = 0;
	it->nr = (unsigned int)nr;
	return nr;
}

int iol_slices_next(struct iol_slices *it, struct iol_slice *slice)
{
	const struct iolite_extent *ext;
	int ret;

	if (it->next == it->nr) {
		ret = map_more(it);
		if (ret <= 0)
			return ret;
	}
	ext = &it->extents[it->next++];
	slice->data = (const void *)(uintptr_t)ext->addr;
	slice->len = ext->len;
	slice->generation = ext->generation;
	return 1;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Aggregates: ordered lists of slices of immutable buffers, with a cursor.
 *
 * Up to IOLITE_AGG_INLINE slices are in the struct itself, and operations
 * whose results are that small allocate nothing and do not fail.  More slices
 * are in a tree (mm/iolite_agg_tree.c), never fewer.  No operation but
 * iolite_agg_copy_out() touches data, and none takes time in proportion to
 * slices, unless it drops the last reference to them.
 *
 * Operations that return an error leave every aggregate as it was.
 *
 * Positions and lengths are in bytes.  Callers serialise the operations on an
 * aggregate, reading ones against changing ones too.  Aggregates of different
 * owners share nodes and buffers, and need no common lock.  All operations are
 * for process context and may sleep, unless they say otherwise.
 */

#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/iolite.h>
#include <linux/overflow.h>
#include <linux/string.h>

#include "iolite_agg.h"

/**
 * iolite_agg_init - make an empty aggregate
 * @agg: uninitialised
 *
 * Context: any.
 */
void iolite_agg_init(struct iolite_agg *agg)
{
	*agg = (struct iolite_agg) { };
}

/* Lets go of the slices; the caller fills or initialises @agg next. */
static void agg_release(struct iolite_agg *agg)
{
	u32 i;

	if (agg->root) {
		iolite_tree_put(agg->root);
		return;
	}
	for (i = 0; i < agg->nr; i++)
		iolite_buf_put(agg->slices[i].buf);
}

/**
 * iolite_agg_destroy - let go of all slices
 * @agg: initialised; is empty afterwards and can be used again
 */
void iolite_agg_destroy(struct iolite_agg *agg)
{
	might_sleep();
	agg_release(agg);
	iolite_agg_init(agg);
}

/* A reference to the slices as a tree, NULL if there are none, or an error pointer */
static struct iolite_agg_node *agg_tree(const struct iolite_agg *agg)
{
	if (agg->root)
		return iolite_tree_get(agg->root);
	if (!agg->nr)
		return NULL;
	return iolite_tree_leaf(agg->slices, agg->nr);
}

/* Makes @tree, of which it consumes the reference, the contents of @agg. */
static void agg_fill(struct iolite_agg *agg, struct iolite_agg_node *tree)
{
	u32 i;

	agg->root = tree;
	agg->nr = tree ? tree->nr : 0;
	agg->len = tree ? tree->len : 0;
	agg->cursor = min(agg->cursor, agg->len);
	if (!tree || tree->nr > IOLITE_AGG_INLINE)
		return;

	/* So few are in a single leaf. */
	for (i = 0; i < agg->nr; i++) {
		agg->slices[i] = tree->e[i].slice;
		iolite_buf_get(agg->slices[i].buf);
	}
	agg->root = NULL;
	iolite_tree_put(tree);
}

static const struct iolite_slice *agg_last(const struct iolite_agg *agg)
{
	const struct iolite_agg_node *node = agg->root;

	if (!agg->nr)
		return NULL;
	if (!node)
		return &agg->slices[agg->nr - 1];
	while (node->level)
		node = node->e[node->n - 1].child.node;
	return &node->e[node->n - 1].slice;
}

/**
 * iolite_agg_append - add a slice of a buffer to the end
 * @agg: aggregate
 * @buf: buffer; the caller's reference is consumed on success only
 * @off: first byte, from the beginning of @buf
 * @len: bytes, at least 1
 *
 * A slice that goes on where the last one ends makes that one longer.  Takes
 * constant time on average while @agg shares nothing.
 *
 * Return: 0, -EINVAL if there are no such bytes in @buf, -E2BIG at the limit on
 * slices or bytes, or -ENOMEM.
 */
int iolite_agg_append(struct iolite_agg *agg, struct iolite_buf *buf, u32 off, u32 len)
{
	struct iolite_slice slice = { .buf = buf, .off = off, .len = len };
	const struct iolite_slice *last = agg_last(agg);
	bool merge;
	int err;

	if (!len || off > buf->len || len > buf->len - off)
		return -EINVAL;
	if (len > IOLITE_AGG_MAX_BYTES - agg->len)
		return -E2BIG;
	merge = last && last->buf == buf && last->off + last->len == off;
	if (!merge && agg->nr == IOLITE_AGG_MAX_SLICES)
		return -E2BIG;

	if (!agg->root && agg->nr == IOLITE_AGG_INLINE && !merge) {
		struct iolite_agg_node *tree = agg_tree(agg);

		if (IS_ERR(tree))
			return PTR_ERR(tree);
		/* Cannot fail: nothing is shared, and there is room in the leaf. */
		iolite_tree_append(&tree, &slice, false);
		agg_release(agg);
		agg_fill(agg, tree);
	} else if (agg->root) {
		err = iolite_tree_append(&agg->root, &slice, merge);
		if (err)
			return err;
		agg->nr = agg->root->nr;
		agg->len = agg->root->len;
	} else {
		if (merge)
			agg->slices[agg->nr - 1].len += len;
		else
			agg->slices[agg->nr++] = slice;
		agg->len += len;
	}

	if (!buf->sealed)
		agg->unsealed = true;
	/* The slice that it became part of has a reference already. */
	if (merge)
		iolite_buf_put(buf);
	return 0;
}

/**
 * iolite_agg_concat - add the slices of another aggregate to the end
 * @agg: aggregate; its cursor stays
 * @tail: what to add; does not change, and may be @agg
 *
 * Return: 0, -E2BIG if the result were over the limit on slices or bytes, or
 * -ENOMEM.
 */
int iolite_agg_concat(struct iolite_agg *agg, const struct iolite_agg *tail)
{
	struct iolite_agg_node *tree;
	u32 i, nr = tail->nr;
	u64 len = tail->len;

	if (len > IOLITE_AGG_MAX_BYTES - agg->len || nr > IOLITE_AGG_MAX_SLICES - agg->nr)
		return -E2BIG;

	if (agg->nr + nr <= IOLITE_AGG_INLINE) {
		for (i = 0; i < nr; i++) {
			agg->slices[agg->nr + i] = tail->slices[i];
			iolite_buf_get(tail->slices[i].buf);
		}
		agg->nr += nr;
		agg->len += len;
	} else {
		tree = iolite_tree_join(agg_tree(agg), agg_tree(tail));
		if (IS_ERR(tree))
			return PTR_ERR(tree);
		agg_release(agg);
		agg_fill(agg, tree);
	}
	agg->unsealed |= tail->unsealed;
	return 0;
}

/* Gives @agg the contents of @new, which is left with the old ones. */
static void agg_replace_contents(struct iolite_agg *agg, struct iolite_agg *new)
{
	new->cursor = min(agg->cursor, new->len);
	swap(*agg, *new);
}

/**
 * iolite_agg_prepend - put the slices of another aggregate in front
 * @agg: aggregate; the number of its cursor stays
 * @head: what comes first; does not change, and may be @agg
 *
 * Return: 0, -E2BIG if the result were over the limit on slices or bytes, or
 * -ENOMEM.
 */
int iolite_agg_prepend(struct iolite_agg *agg, const struct iolite_agg *head)
{
	struct iolite_agg new;
	int err;

	iolite_agg_dup(head, &new);
	err = iolite_agg_concat(&new, agg);
	if (!err)
		agg_replace_contents(agg, &new);
	iolite_agg_destroy(&new);
	return err;
}

static void split_inline(struct iolite_agg *agg, u64 at, struct iolite_agg *tail)
{
	struct iolite_slice *slice;
	u64 pos = 0;
	u32 i, nr = agg->nr;

	agg->nr = 0;
	for (i = 0; i < nr; i++) {
		slice = &agg->slices[i];
		if (pos < at)
			agg->nr++;
		if (pos >= at) {
			tail->slices[tail->nr++] = *slice;
		} else if (at - pos < slice->len) {
			u32 keep = at - pos;

			tail->slices[tail->nr++] = (struct iolite_slice) {
				.buf = iolite_buf_get(slice->buf),
				.off = slice->off + keep,
				.len = slice->len - keep,
			};
			pos += slice->len - keep;
			slice->len = keep;
		}
		pos += slice->len;
	}
	tail->len = agg->len - at;
	agg->len = at;
	agg->cursor = min(agg->cursor, at);
}

/**
 * iolite_agg_split - cut an aggregate in two
 * @agg: keeps the bytes before @at; its cursor is not beyond its new end
 * @at: position of the cut
 * @tail: empty; gets the bytes from @at on, with its cursor at 0
 *
 * Return: 0, -EINVAL if @at is beyond the end, or -ENOMEM.
 */
int iolite_agg_split(struct iolite_agg *agg, u64 at, struct iolite_agg *tail)
{
	struct iolite_agg_node *l, *r;
	int err;

	if (at > agg->len)
		return -EINVAL;
	if (at == agg->len)
		return 0;
	if (!at) {
		*tail = *agg;
		tail->cursor = 0;
		iolite_agg_init(agg);
		return 0;
	}

	if (agg->root) {
		err = iolite_tree_split(agg->root, at, &l, &r);
		if (err)
			return err;
		agg_release(agg);
		agg_fill(agg, l);
		agg_fill(tail, r);
	} else {
		split_inline(agg, at, tail);
	}
	tail->unsealed = agg->unsealed;
	return 0;
}

/**
 * iolite_agg_dup - make another aggregate of the same slices
 * @agg: aggregate; does not change
 * @copy: empty; gets the slices and the cursor
 */
void iolite_agg_dup(const struct iolite_agg *agg, struct iolite_agg *copy)
{
	u32 i;

	*copy = *agg;
	if (copy->root) {
		iolite_tree_get(copy->root);
		return;
	}
	for (i = 0; i < copy->nr; i++)
		iolite_buf_get(copy->slices[i].buf);
}

/**
 * iolite_agg_truncate - drop bytes from the end
 * @agg: aggregate; its cursor is not beyond its new end
 * @len: bytes to keep
 *
 * Return: 0, -EINVAL if there are fewer than @len bytes, or -ENOMEM.
 */
int iolite_agg_truncate(struct iolite_agg *agg, u64 len)
{
	struct iolite_agg tail;
	int err;

	iolite_agg_init(&tail);
	err = iolite_agg_split(agg, len, &tail);
	iolite_agg_destroy(&tail);
	return err;
}

/**
 * iolite_agg_replace - put other bytes in the place of a range
 * @agg: aggregate; the number of its cursor stays, unless that is beyond the end
 * @off: first byte to be replaced
 * @len: bytes to be replaced; with 0, @with is inserted
 * @with: what comes in their place, of any length; does not change, and may be
 *	@agg
 *
 * Return: 0, -EINVAL if the range is not within @agg, -E2BIG if the result were
 * over the limit on slices or bytes, or -ENOMEM.
 */
int iolite_agg_replace(struct iolite_agg *agg, u64 off, u64 len, const struct iolite_agg *with)
{
	struct iolite_agg new, old, rest;
	int err;

	if (off > agg->len || len > agg->len - off)
		return -EINVAL;

	iolite_agg_init(&old);
	iolite_agg_init(&rest);
	iolite_agg_dup(agg, &new);
	err = iolite_agg_split(&new, off, &old);
	if (!err)
		err = iolite_agg_split(&old, len, &rest);
	if (!err)
		err = iolite_agg_concat(&new, with);
	if (!err)
		err = iolite_agg_concat(&new, &rest);
	if (!err)
		agg_replace_contents(agg, &new);
	iolite_agg_destroy(&new);
	iolite_agg_destroy(&old);
	iolite_agg_destroy(&rest);
	return err;
}

/**
 * iolite_agg_seek - set the cursor
 * @agg: aggregate
 * @off: bytes, relative to what @whence says
 * @whence: SEEK_SET, SEEK_CUR or SEEK_END
 *
 * Context: any.
 * Return: the cursor, or -EINVAL if it were before the first byte or beyond the
 * end, or if @whence is something else.
 */
s64 iolite_agg_seek(struct iolite_agg *agg, s64 off, int whence)
{
	s64 pos;

	switch (whence) {
	case SEEK_SET:
		pos = 0;
		break;
	case SEEK_CUR:
		pos = agg->cursor;
		break;
	case SEEK_END:
		pos = agg->len;
		break;
	default:
		return -EINVAL;
	}
	if (check_add_overflow(pos, off, &pos) || pos < 0 || pos > agg->len)
		return -EINVAL;
	agg->cursor = pos;
	return pos;
}

/**
 * iolite_agg_sealed - may the bytes be shown to others?
 * @agg: aggregate
 *
 * Takes constant time.  An aggregate is unsealed from the first unsealed buffer
 * that it is given until iolite_agg_seal(), and so is what is made of it.
 *
 * Context: any.
 * Return: whether all buffers are known to be sealed.
 */
bool iolite_agg_sealed(const struct iolite_agg *agg)
{
	return !agg->unsealed;
}

/**
 * iolite_agg_iter_init - start to visit slices
 * @it: uninitialised
 * @agg: aggregate; must not change until the last iolite_agg_iter_next()
 * @pos: first byte to visit; nothing is visited if it is not below the length
 *
 * Context: any.
 */
void iolite_agg_iter_init(struct iolite_agg_iter *it, const struct iolite_agg *agg, u64 pos)
{
	const struct iolite_agg_node *node = agg->root;
	u32 i = 0;

	it->agg = agg;
	it->pos = pos;
	it->skip = 0;
	it->idx = 0;
	it->depth = 0;
	if (pos >= agg->len)
		return;

	if (!node) {
		while (pos >= agg->slices[it->idx].len)
			pos -= agg->slices[it->idx++].len;
		it->skip = pos;
		return;
	}
	for (;; node = node->e[i].child.node, it->depth++) {
		for (i = 0; pos >= iolite_agg_entry_len(node, i); i++)
			pos -= iolite_agg_entry_len(node, i);
		it->path[it->depth] = node;
		it->at[it->depth] = i;
		if (!node->level)
			break;
	}
	it->skip = pos;
}

/* The next slice in a tree; there is one. */
static const struct iolite_slice *iter_next_leaf(struct iolite_agg_iter *it)
{
	const struct iolite_agg_node *node = it->path[it->depth];

	while (it->at[it->depth] == node->n) {
		node = it->path[--it->depth];
		it->at[it->depth]++;
	}
	while (node->level) {
		node = node->e[it->at[it->depth]].child.node;
		it->path[++it->depth] = node;
		it->at[it->depth] = 0;
	}
	return &node->e[it->at[it->depth]++].slice;
}

/**
 * iolite_agg_iter_next - visit a slice
 * @it: from iolite_agg_iter_init()
 * @slice: gets the slice, the first one without the bytes before the start.
 *	Has no reference to the buffer of its own: the aggregate's is good until
 *	that changes.
 *
 * Context: any.
 * Return: false after the last slice.
 */
bool iolite_agg_iter_next(struct iolite_agg_iter *it, struct iolite_slice *slice)
{
	const struct iolite_agg *agg = it->agg;

	if (it->pos >= agg->len)
		return false;
	*slice = agg->root ? *iter_next_leaf(it) : agg->slices[it->idx++];
	slice->off += it->skip;
	slice->len -= it->skip;
	it->skip = 0;
	it->pos += slice->len;
	return true;
}

/**
 * iolite_agg_copy_out - copy bytes to kernel memory
 * @agg: aggregate
 * @pos: first byte to copy
 * @to: destination
 * @len: bytes to copy at most
 *
 * Does not count the copy: the caller knows the reason.
 *
 * Context: any.
 * Return: bytes copied; less than @len only at the end.
 */
size_t iolite_agg_copy_out(const struct iolite_agg *agg, u64 pos, void *to, size_t len)
{
	struct iolite_agg_iter it __uninitialized;
	struct iolite_slice slice;
	size_t done = 0, part;

	iolite_agg_iter_init(&it, agg, pos);
	while (done < len && iolite_agg_iter_next(&it, &slice)) {
		part = min_t(size_t, slice.len, len - done);
		memcpy_from_folio(to + done, slice.buf->folio, slice.buf->offset + slice.off, part);
		done += part;
	}
	return done;
}

/**
 * iolite_agg_bvecs - describe bytes as bvecs
 * @agg: aggregate
 * @pos: first byte
 * @len: bytes at most
 * @bvecs: to be filled; they have no references to the folios
 * @max: bvecs at most
 * @bytes: gets the number of bytes that the bvecs cover
 *
 * A bvec is a run of bytes of one folio, as long as it goes, however many
 * slices and pages that is.  None is empty.
 *
 * Context: any.
 * Return: number of bvecs; 0 only if @len or @max is, or at the end.
 */
unsigned int iolite_agg_bvecs(const struct iolite_agg *agg, u64 pos, size_t len,
			      struct bio_vec *bvecs, unsigned int max, size_t *bytes)
{
	struct folio *folio = NULL;
	struct iolite_agg_iter it __uninitialized;
	struct iolite_slice slice;
	size_t part, off, end = 0;
	unsigned int nr = 0;

	*bytes = 0;
	iolite_agg_iter_init(&it, agg, pos);
	while (*bytes < len && iolite_agg_iter_next(&it, &slice)) {
		part = min_t(size_t, slice.len, len - *bytes);
		off = (size_t)slice.buf->offset + slice.off;
		if (slice.buf->folio == folio && off == end) {
			bvecs[nr - 1].bv_len += part;
		} else if (nr < max) {
			folio = slice.buf->folio;
			bvec_set_folio(&bvecs[nr++], folio, part, off);
		} else {
			break;
		}
		end = off + part;
		*bytes += part;
	}
	return nr;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The persistent tree of slices of a large aggregate: a B+-tree whose nodes
 * are shared between aggregates by reference and copied where they change.
 *
 * A function that makes a tree out of trees ("consumes" them) takes over the
 * references that it is given, also when it fails; whoever wants to keep a
 * tree holds a reference of its own.  That is what makes the operations on
 * aggregates all-or-nothing: the old tree is let go when the new one is there.
 *
 * A node whose only reference is owned is changed in place.  So what an
 * operation has copied it does not copy again, and appending slice after slice
 * to an aggregate that shares nothing copies nothing.
 *
 * Recursion is bounded by IOLITE_AGG_MAX_DEPTH.
 */

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/init.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "iolite_agg.h"

#define NODE_MIN	IOLITE_AGG_NODE_MIN
#define NODE_MAX	IOLITE_AGG_NODE_MAX

/* Two nodes that are too many entries for one node have enough for two. */
static_assert(2 * NODE_MIN <= NODE_MAX + 1);
/* A tree of one level more than the limit has at least 2 * NODE_MIN^9 slices. */
static_assert(IOLITE_AGG_MAX_DEPTH == 9);
static_assert(2ULL * NODE_MIN * NODE_MIN * NODE_MIN * NODE_MIN * NODE_MIN * NODE_MIN *
	      NODE_MIN * NODE_MIN * NODE_MIN > IOLITE_AGG_MAX_SLICES);
/* Lengths of subtrees are u32. */
static_assert(IOLITE_AGG_MAX_BYTES <= U32_MAX);

VISIBLE_IF_KUNIT struct kmem_cache *iolite_agg_cache __ro_after_init;

static int __init iolite_agg_cache_init(void)
{
	iolite_agg_cache = KMEM_CACHE(iolite_agg_node,
				      SLAB_ACCOUNT | SLAB_HWCACHE_ALIGN | SLAB_PANIC);
	return 0;
}
subsys_initcall(iolite_agg_cache_init);

/* Apart from its caller for tests that count or refuse allocations. */
VISIBLE_IF_KUNIT struct iolite_agg_node *iolite_agg_node_mem(void)
{
	KUNIT_STATIC_STUB_REDIRECT(iolite_agg_node_mem);
	return kmem_cache_alloc(iolite_agg_cache, IOLITE_GFP);
}

static struct iolite_agg_node *node_new(u8 level)
{
	struct iolite_agg_node *node = iolite_agg_node_mem();

	if (!node)
		return NULL;
	refcount_set(&node->ref, 1);
	node->level = level;
	node->n = 0;
	node->nr = 0;
	node->len = 0;
	iolite_stat_add(IOLITE_STAT_NODES, 1);
	return node;
}

static void node_free(struct iolite_agg_node *node)
{
	unsigned int i;

	for (i = 0; i < node->n; i++) {
		struct iolite_agg_node *child = node->e[i].child.node;

		if (!node->level)
			iolite_buf_put(node->e[i].slice.buf);
		else if (refcount_dec_and_test(&child->ref))
			node_free(child);
	}
	kmem_cache_free(iolite_agg_cache, node);
	iolite_stat_add(IOLITE_STAT_NODES, -1);
	cond_resched();
}

/**
 * iolite_tree_put - let go of a tree
 * @node: root, or NULL or an error pointer, which are ignored
 *
 * Context: may sleep, as buffers may be freed.  A tree of a million slices
 * takes long to free; others get the CPU meanwhile.
 */
void iolite_tree_put(struct iolite_agg_node *node)
{
	if (!IS_ERR_OR_NULL(node) && refcount_dec_and_test(&node->ref))
		node_free(node);
}

static u32 entry_nr(const struct iolite_agg_node *node, unsigned int i)
{
	return node->level ? node->e[i].child.nr : 1;
}

/* The entry that hands the reference to @node over to a parent */
static union iolite_agg_entry node_entry(struct iolite_agg_node *node)
{
	return (union iolite_agg_entry) {
		.child = { .node = node, .nr = node->nr, .len = node->len },
	};
}

/* Moves @count entries with their references; both nodes are owned alone. */
static void node_move(struct iolite_agg_node *to, unsigned int to_at,
		      struct iolite_agg_node *from, unsigned int from_at, unsigned int count)
{
	unsigned int i;
	u32 nr = 0, len = 0;

	for (i = from_at; i < from_at + count; i++) {
		nr += entry_nr(from, i);
		len += iolite_agg_entry_len(from, i);
	}
	memmove(&to->e[to_at + count], &to->e[to_at], (to->n - to_at) * sizeof(to->e[0]));
	memcpy(&to->e[to_at], &from->e[from_at], count * sizeof(to->e[0]));
	to->n += count;
	to->nr += nr;
	to->len += len;
	from->n -= count;
	from->nr -= nr;
	from->len -= len;
	memmove(&from->e[from_at], &from->e[from_at + count],
		(from->n - from_at) * sizeof(from->e[0]));
}

/* Consumes the entry's reference; @node is owned alone and has room. */
static void node_insert(struct iolite_agg_node *node, unsigned int at,
			union iolite_agg_entry entry)
{
	if (at < node->n)
		memmove(&node->e[at + 1], &node->e[at], (node->n - at) * sizeof(entry));
	node->e[at] = entry;
	node->n++;
	node->nr += entry_nr(node, at);
	node->len += iolite_agg_entry_len(node, at);
}

/* Inserts @count entries into @to, with references of their own. */
static void node_share(struct iolite_agg_node *to, unsigned int to_at,
		       const union iolite_agg_entry *e, unsigned int count)
{
	const union iolite_agg_entry *end = e + count;

	if (to_at < to->n)
		memmove(&to->e[to_at + count], &to->e[to_at], (to->n - to_at) * sizeof(*e));
	memcpy(&to->e[to_at], e, count * sizeof(*e));
	to->n += count;
	if (to->level) {
		for (; e < end; e++) {
			iolite_tree_get(e->child.node);
			to->nr += e->child.nr;
			to->len += e->child.len;
		}
	} else {
		to->nr += count;
		for (; e < end; e++) {
			iolite_buf_get(e->slice.buf);
			to->len += e->slice.len;
		}
	}
}

static bool node_exclusive(const struct iolite_agg_node *node)
{
	if (refcount_read(&node->ref) != 1)
		return false;
	/*
	 * Reads by those who had the other references come before our writes;
	 * pairs with the release in refcount_dec_and_test().
	 */
	smp_acquire__after_ctrl_dep();
	return true;
}

/*
 * Makes *@node one that may be changed: by a copy in exchange for the reference,
 * unless that is the only one.  Returns false, with *@node as it was, if there
 * is no memory.
 */
static bool node_own(struct iolite_agg_node **node)
{
	struct iolite_agg_node *copy;

	if (node_exclusive(*node))
		return true;
	copy = node_new((*node)->level);
	if (!copy)
		return false;
	node_share(copy, 0, (*node)->e, (*node)->n);
	iolite_tree_put(*node);
	*node = copy;
	return true;
}

/**
 * iolite_tree_leaf - make a tree of a few slices
 * @slices: to be copied; the tree takes references of its own
 * @n: number of slices, 1 to IOLITE_AGG_NODE_MAX
 *
 * Return: the tree, or ERR_PTR(-ENOMEM).
 */
struct iolite_agg_node *iolite_tree_leaf(const struct iolite_slice *slices, unsigned int n)
{
	struct iolite_agg_node *leaf = node_new(0);
	unsigned int i;

	if (!leaf)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < n; i++) {
		iolite_buf_get(slices[i].buf);
		node_insert(leaf, i, (union iolite_agg_entry) { .slice = slices[i] });
	}
	return leaf;
}

/* Makes the path to the last slice one that may be changed, by level. */
static bool own_spine(struct iolite_agg_node **link,
		      struct iolite_agg_node *spine[IOLITE_AGG_MAX_DEPTH])
{
	struct iolite_agg_node *node;

	while (node_own(link)) {
		node = *link;
		spine[node->level] = node;
		if (!node->level)
			return true;
		link = &node->e[node->n - 1].child.node;
	}
	return false;
}

/* Brings the last entry up to date with what it points to. */
static void node_refresh_last(struct iolite_agg_node *node)
{
	union iolite_agg_entry *last = &node->e[node->n - 1];

	node->nr += last->child.node->nr - last->child.nr;
	node->len += last->child.node->len - last->child.len;
	*last = node_entry(last->child.node);
}

/* Moves a few entries of a full node, as many as are needed, into a new sibling. */
static void node_spill(struct iolite_agg_node *node, struct iolite_agg_node *sibling)
{
	node_move(sibling, 0, node, NODE_MAX - (NODE_MIN - 1), NODE_MIN - 1);
}

/**
 * iolite_tree_append - add a slice to the end of a tree
 * @root: the tree
 * @slice: what to add; the tree takes the reference to its buffer on success
 * @merge: @slice goes on where the last slice ends: make that longer instead.
 *	The reference stays with the caller then.
 *
 * What is not shared is changed in place.  On failure the tree holds the same
 * slices as before, perhaps in new nodes.
 *
 * Return: 0 or -ENOMEM.
 */
int iolite_tree_append(struct iolite_agg_node **root, const struct iolite_slice *slice,
		       bool merge)
{
	struct iolite_agg_node *spine[IOLITE_AGG_MAX_DEPTH];
	struct iolite_agg_node *spare[IOLITE_AGG_MAX_DEPTH];
	union iolite_agg_entry entry = { .slice = *slice };
	unsigned int level, top, nr_spare = 0;
	struct iolite_agg_node *node;

	if (!own_spine(root, spine))
		return -ENOMEM;
	top = (*root)->level;

	/* A full node needs a sibling, a full root also a new root above it. */
	while (!merge && nr_spare <= top && spine[nr_spare]->n == NODE_MAX) {
		spare[nr_spare] = node_new(nr_spare);
		if (!spare[nr_spare++])
			goto out_spare;
	}
	if (nr_spare == top + 1) {
		spare[nr_spare] = node_new(nr_spare);
		if (!spare[nr_spare++])
			goto out_spare;
	}

	if (merge) {
		spine[0]->e[spine[0]->n - 1].slice.len += slice->len;
		spine[0]->len += slice->len;
	}
	for (level = 0; level <= top; level++) {
		node = spine[level];
		if (level)
			node_refresh_last(node);
		if (level < nr_spare) {
			node_spill(node, spare[level]);
			node_insert(spare[level], spare[level]->n, entry);
			entry = node_entry(spare[level]);
		} else if (level == nr_spare && !merge) {
			node_insert(node, node->n, entry);
		}
	}
	if (nr_spare > top) {
		node_insert(spare[level], 0, node_entry(*root));
		node_insert(spare[level], 1, entry);
		*root = spare[level];
	}
	return 0;

out_spare:
	while (nr_spare--)
		iolite_tree_put(spare[nr_spare]);
	return -ENOMEM;
}

/*
 * Makes neighbours of one level, either perhaps a root, into one or two nodes
 * (pair[1] NULL or not) that have at least the minimum of entries if the pair
 * has.  Consumes the pair; on failure there is none.
 */
static int even_out(struct iolite_agg_node *pair[2])
{
	unsigned int half = (pair[0]->n + pair[1]->n) / 2;
	bool keep;

	if (pair[0]->n >= NODE_MIN && pair[1]->n >= NODE_MIN)
		return 0;

	if (pair[0]->n + pair[1]->n <= NODE_MAX) {
		keep = node_exclusive(pair[1]);
		if (!node_own(&pair[keep]))
			goto out_put;
		node_share(pair[keep], keep ? 0 : pair[0]->n, pair[!keep]->e, pair[!keep]->n);
		iolite_tree_put(pair[!keep]);
		pair[0] = pair[keep];
		pair[1] = NULL;
		return 0;
	}

	if (!node_own(&pair[0]) || !node_own(&pair[1]))
		goto out_put;
	if (pair[0]->n < half)
		node_move(pair[0], pair[0]->n, pair[1], 0, half - pair[0]->n);
	else
		node_move(pair[1], 0, pair[0], half, pair[0]->n - half);
	return 0;

out_put:
	iolite_tree_put(pair[0]);
	iolite_tree_put(pair[1]);
	return -ENOMEM;
}

/*
 * Adds @low, a tree of at most the same level, before or behind @tall.
 * Consumes both and gives one or two nodes of @tall's level, of which the
 * first, if it is the only one, may have too few entries just as @tall might.
 */
static int join_spine(struct iolite_agg_node *tall, struct iolite_agg_node *low, bool behind,
		      struct iolite_agg_node *pair[2])
{
	struct iolite_agg_node *child;
	unsigned int at;
	int err;

	if (tall->level == low->level) {
		pair[!behind] = tall;
		pair[behind] = low;
		return even_out(pair);
	}

	if (!node_own(&tall)) {
		iolite_tree_put(tall);
		iolite_tree_put(low);
		return -ENOMEM;
	}
	if (low->level == tall->level - 1 && low->n >= NODE_MIN) {
		at = behind ? tall->n : 0;
	} else {
		/* Take the child at the edge out, and put what it becomes in its place. */
		at = behind ? tall->n - 1 : 0;
		child = tall->e[at].child.node;
		tall->n--;
		tall->nr -= child->nr;
		tall->len -= child->len;
		memmove(&tall->e[at], &tall->e[at + 1], (tall->n - at) * sizeof(tall->e[0]));
		err = join_spine(child, low, behind, pair);
		if (err) {
			iolite_tree_put(tall);
			return err;
		}
		node_insert(tall, at++, node_entry(pair[0]));
		low = pair[1];
	}

	/* What is left of @low has enough entries to be a child of its own. */
	pair[0] = tall;
	pair[1] = NULL;
	if (!low)
		return 0;
	if (tall->n < NODE_MAX) {
		node_insert(tall, at, node_entry(low));
		return 0;
	}
	pair[1] = node_new(tall->level);
	if (!pair[1]) {
		iolite_tree_put(tall);
		iolite_tree_put(low);
		return -ENOMEM;
	}
	if (behind) {
		node_spill(tall, pair[1]);
		node_insert(pair[1], pair[1]->n, node_entry(low));
	} else {
		node_move(pair[1], 0, tall, NODE_MIN - 1, NODE_MAX - (NODE_MIN - 1));
		node_insert(tall, at, node_entry(low));
	}
	return 0;
}

/**
 * iolite_tree_join - concatenate two trees
 * @l: slices that come first
 * @r: slices that come next; may be the same tree
 *
 * Consumes both.  Either may be NULL, an empty tree, or an error pointer, so
 * that calls can be nested.  Time goes with the difference in height.
 *
 * Return: the tree, NULL if both are empty, or ERR_PTR(-ENOMEM).
 */
struct iolite_agg_node *iolite_tree_join(struct iolite_agg_node *l, struct iolite_agg_node *r)
{
	struct iolite_agg_node *pair[2], *root;
	int err;

	if (IS_ERR(l) || !r) {
		iolite_tree_put(r);
		return l;
	}
	if (IS_ERR(r) || !l) {
		iolite_tree_put(l);
		return r;
	}

	if (l->level >= r->level)
		err = join_spine(l, r, true, pair);
	else
		err = join_spine(r, l, false, pair);
	if (err)
		return ERR_PTR(err);
	if (!pair[1])
		return pair[0];

	root = node_new(pair[0]->level + 1);
	if (!root) {
		iolite_tree_put(pair[0]);
		iolite_tree_put(pair[1]);
		return ERR_PTR(-ENOMEM);
	}
	node_insert(root, 0, node_entry(pair[0]));
	node_insert(root, 1, node_entry(pair[1]));
	return root;
}

/**
 * struct cut_side - what lies on one side of a cut through a subtree
 * @part: one or two trees, in order.  If there was something to merge with, they
 *	are of the subtree's height and have enough entries for a child; at the
 *	edge of the whole tree one may be lower or thinner.
 * @merged: the slices of the neighbour on this side are in @part, too
 */
struct cut_side {
	struct iolite_agg_node *part[2];
	bool merged;
};

static void cut_put(const struct cut_side *side)
{
	iolite_tree_put(side->part[0]);
	iolite_tree_put(side->part[1]);
}

/*
 * Makes one side of a cut through @node: of @count of its entries, from @at on,
 * and of @below, what the cut through the next entry left on this side, or of
 * @edge, the part of a slice.  What would be too little for a node is merged with
 * @near, the next node of this level on this side, or NULL; so is what is left of
 * @near if @below has the slices of its nearest entry, as @taken says.
 * Consumes @below.
 */
static int cut_side(const struct iolite_agg_node *node, unsigned int at, unsigned int count,
		    const struct cut_side *below, const struct iolite_slice *edge,
		    const struct iolite_agg_node *near, bool taken, bool right,
		    struct cut_side *side)
{
	unsigned int nr_edge = edge ? 1 : !!below->part[0] + !!below->part[1];
	const union iolite_agg_entry *others = NULL;
	struct iolite_agg_node *part, *rest = NULL;
	unsigned int nr_others = 0, take = 0;

	side->merged = near && (taken || (nr_edge + count && nr_edge + count < NODE_MIN));
	if (side->merged) {
		/* All of its entries, or as many as make two nodes even */
		others = &near->e[right && taken];
		nr_others = near->n - taken;
		take = nr_others;
		if (take + count + nr_edge > NODE_MAX)
			take = (take - count - nr_edge) / 2;
	} else if (!count && !edge && !below->part[1]) {
		side->part[0] = below->part[0];
		return 0;
	} else if (node->level && count == 1 && !nr_edge) {
		side->part[0] = iolite_tree_get(node->e[at].child.node);
		return 0;
	}

	part = node_new(node->level);
	if (!part)
		goto out_put;
	if (take < nr_others) {
		rest = node_new(node->level);
		if (!rest)
			goto out_put;
		node_share(rest, 0, right ? others + take : others, nr_others - take);
	}

	if (!right) {
		if (take)
			node_share(part, 0, others + nr_others - take, take);
		node_share(part, part->n, &node->e[at], count);
	}
	if (edge) {
		iolite_buf_get(edge->buf);
		node_insert(part, part->n, (union iolite_agg_entry) { .slice = *edge });
	} else if (nr_edge) {
		node_insert(part, part->n, node_entry(below->part[0]));
		if (nr_edge > 1)
			node_insert(part, part->n, node_entry(below->part[1]));
	}
	if (right) {
		node_share(part, part->n, &node->e[at], count);
		if (take)
			node_share(part, part->n, others, take);
	}

	side->part[0] = right || !rest ? part : rest;
	side->part[1] = right || !rest ? rest : part;
	return 0;

out_put:
	iolite_tree_put(part);
	cut_put(below);
	return -ENOMEM;
}

/*
 * Cuts @node at byte @at into @l and @r.  @before and @behind are the next nodes of
 * its level, or NULL at the edges of the tree.  Each level makes the nodes that it
 * has at the edges of both trees once, from below.  @l and @r are empty before, and
 * undefined on failure.
 */
static int cut_node(const struct iolite_agg_node *node, u32 at,
		    const struct iolite_agg_node *before, const struct iolite_agg_node *behind,
		    struct cut_side *l, struct cut_side *r)
{
	struct cut_side below_l = { }, below_r = { };
	bool taken_l = false, taken_r = false;
	struct iolite_slice head, tail;
	bool in_slice = false;
	unsigned int i, next;
	int err;

	for (i = 0; at >= iolite_agg_entry_len(node, i); i++)
		at -= iolite_agg_entry_len(node, i);
	next = i;

	if (at && !node->level) {
		in_slice = true;
		next++;
		head = node->e[i].slice;
		tail = head;
		head.len = at;
		tail.off += at;
		tail.len -= at;
	} else if (at) {
		next++;
		err = cut_node(node->e[i].child.node, at,
			       i ? node->e[i - 1].child.node :
			       before ? before->e[before->n - 1].child.node : NULL,
			       next < node->n ? node->e[next].child.node :
			       behind ? behind->e[0].child.node : NULL, &below_l, &below_r);
		if (err)
			return err;
		/* What was merged was the nearest entry: here, or else of the next node. */
		taken_l = below_l.merged && !i;
		taken_r = below_r.merged && next == node->n;
		i -= below_l.merged && !taken_l;
		next += below_r.merged && !taken_r;
	}

	err = cut_side(node, 0, i, &below_l, in_slice ? &head : NULL, before, taken_l, false, l);
	if (err) {
		cut_put(&below_r);
		return err;
	}
	err = cut_side(node, next, node->n - next, &below_r, in_slice ? &tail : NULL, behind,
		       taken_r, true, r);
	if (err)
		cut_put(l);
	return err;
}

/**
 * iolite_tree_split - make two trees out of one
 * @node: the tree; stays as it is
 * @at: position of the cut in bytes, more than 0 and less than the tree's length
 * @l: gets the slices before the cut
 * @r: gets the slices behind it
 *
 * Return: 0, or -ENOMEM, and *@l and *@r are undefined then.
 */
int iolite_tree_split(const struct iolite_agg_node *node, u32 at,
		      struct iolite_agg_node **l, struct iolite_agg_node **r)
{
	struct cut_side left = { }, right = { };
	int err = cut_node(node, at, NULL, NULL, &left, &right);

	*l = left.part[0];
	*r = right.part[0];
	return err;
}

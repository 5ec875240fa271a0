/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tree of slices inside an aggregate: mm/iolite_agg.c and its test only.
 */
#ifndef _MM_IOLITE_AGG_H
#define _MM_IOLITE_AGG_H

#include <linux/err.h>
#include <linux/iolite.h>
#include <linux/kconfig.h>
#include <linux/refcount.h>

/* Entries of a node; fewer than the minimum are allowed in a root only */
#define IOLITE_AGG_NODE_MIN	5
#define IOLITE_AGG_NODE_MAX	15

/**
 * union iolite_agg_entry - what a node holds; each owns one reference
 * @slice: in a leaf
 * @child: in an inner node
 * @child.node: a subtree one level lower
 * @child.nr: slices in it
 * @child.len: bytes in it
 */
union iolite_agg_entry {
	struct iolite_slice slice;
	struct {
		struct iolite_agg_node *node;
		u32 nr;
		u32 len;
	} child;
};

/**
 * struct iolite_agg_node - node of a persistent B+-tree of slices
 * @ref: one for each parent, aggregate and function that works on it
 * @level: 0 in leaves, which are all at the same depth
 * @n: entries in use
 * @nr: slices below
 * @len: bytes below
 * @e: the entries, in order
 *
 * Immutable, and so readable without a lock, while more than one reference
 * exists.  Who owns the only one may change the node; a reference to it can
 * then come from nowhere else.
 */
struct iolite_agg_node {
	refcount_t ref;
	u8 level;
	u8 n;
	u32 nr;
	u32 len;
	union iolite_agg_entry e[IOLITE_AGG_NODE_MAX];
};

#if IS_ENABLED(CONFIG_KUNIT)
extern struct kmem_cache *iolite_agg_cache;
struct iolite_agg_node *iolite_agg_node_mem(void);
#endif

struct iolite_agg_node *iolite_tree_leaf(const struct iolite_slice *slices, unsigned int n);
void iolite_tree_put(struct iolite_agg_node *node);
int iolite_tree_append(struct iolite_agg_node **root, const struct iolite_slice *slice,
		       bool merge);
struct iolite_agg_node *iolite_tree_join(struct iolite_agg_node *l, struct iolite_agg_node *r);
int iolite_tree_split(const struct iolite_agg_node *node, u32 at,
		      struct iolite_agg_node **l, struct iolite_agg_node **r);

static inline struct iolite_agg_node *iolite_tree_get(struct iolite_agg_node *node)
{
	refcount_inc(&node->ref);
	return node;
}

static inline u32 iolite_agg_entry_len(const struct iolite_agg_node *node, unsigned int i)
{
	return node->level ? node->e[i].child.len : node->e[i].slice.len;
}

#endif /* _MM_IOLITE_AGG_H */

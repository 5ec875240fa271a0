// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: writers in place that did not know that the memory is shared (I1).
 */
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/iolite.h>
#include <linux/iolite_inplace.h>
#include <linux/once_lite.h>
#include <linux/printk.h>
#include <linux/skbuff.h>

#ifdef CONFIG_IOLITE_FAULT_INJECTION
/* Nobody who asks for the flag of an skb, sk_msg or pipe that says so is told. */
bool iolite_lose_shared_flags;
EXPORT_SYMBOL_GPL(iolite_lose_shared_flags);

/* Shows a test that it gets as far as the writer. */
static bool iolite_allow_inplace;

static int __init iolite_inplace_init(void)
{
	struct dentry *dir = debugfs_create_dir("iolite", NULL);

	debugfs_create_bool("lose_shared_flags", 0600, dir, &iolite_lose_shared_flags);
	debugfs_create_bool("allow_inplace", 0600, dir, &iolite_allow_inplace);
	return 0;
}
late_initcall(iolite_inplace_init);
#else
#define iolite_allow_inplace	false
#endif

/* The way on which the flag was lost is the bug; no WARN(), as nothing is broken yet. */
static void iolite_tell_inplace(unsigned long ip)
{
	pr_warn("iolite: kept %pS from writing to shared memory in place\n", (void *)ip);
	dump_stack();
}

/**
 * iolite_refuse_inplace - a flag was lost above sealed memory
 * @ip: of who would have written to it
 *
 * Return: true, the caller must copy or give up.
 */
bool iolite_refuse_inplace(unsigned long ip)
{
	if (iolite_allow_inplace)
		return false;
	iolite_stat_add(IOLITE_STAT_INPLACE_REFUSED, 1);
	DO_ONCE_LITE(iolite_tell_inplace, ip);
	return true;
}
EXPORT_SYMBOL_GPL(iolite_refuse_inplace);

/**
 * iolite_skb_sealed - iolite_page_sealed() for the frags of an skb
 * @skb: skb
 * @ip: who wants to write to them
 *
 * Return: whether any of them must not be written to.
 */
bool iolite_skb_sealed(const struct sk_buff *skb, unsigned long ip)
{
	int i;

	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		/* NULL if it is memory of a device */
		struct page *page = skb_frag_page(&skb_shinfo(skb)->frags[i]);

		if (page && iolite_page_sealed(page, ip))
			return true;
	}
	return false;
}
EXPORT_SYMBOL_GPL(iolite_skb_sealed);

/* An entry may lie in several folios that happen to be neighbours. */
static bool iolite_range_sealed(struct page *page, size_t offset, size_t len)
{
	struct page *end = page + DIV_ROUND_UP(offset + len, PAGE_SIZE);

	page += offset / PAGE_SIZE;
	while (page < end) {
		struct folio *folio = page_folio(page);

		if (folio_test_sealed(folio))
			return true;
		page += folio_nr_pages(folio) - folio_page_idx(folio, page);
	}
	return false;
}

/**
 * __iolite_sg_sealed - the way of iolite_sg_sealed() that needs no luck
 * @sg: scatterlist, or NULL
 * @len: bytes of it that may be written
 * @ip: who asked for that
 *
 * Return: whether any page must not be written to.
 */
bool __iolite_sg_sealed(struct scatterlist *sg, size_t len, unsigned long ip)
{
	while (sg && len) {
		size_t part = min_t(size_t, sg->length, len);

		if (part && unlikely(iolite_range_sealed(sg_page(sg), sg->offset, part)))
			return iolite_refuse_inplace(ip);
		len -= part;
		if (len)
			sg = sg_next(sg);
	}
	return false;
}
EXPORT_SYMBOL_GPL(__iolite_sg_sealed);

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sealed memory, for those who write in place to memory that came to them by an
 * skb, a scatterlist or a pipe (I1).
 *
 * That such memory is shared is told by flags above it (SKBFL_SHARED_FRAG, the
 * copy bits of an sk_msg, PIPE_BUF_FLAG_CAN_MERGE, the layout of a scatterlist),
 * which everybody must pass on.  Where one was lost, the memory still says so
 * itself: the writer copies, or gives up.
 */
#ifndef _LINUX_IOLITE_INPLACE_H
#define _LINUX_IOLITE_INPLACE_H

#include <linux/instruction_pointer.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>

struct sk_buff;

#ifdef CONFIG_IOLITE
bool iolite_refuse_inplace(unsigned long ip);
bool iolite_skb_sealed(const struct sk_buff *skb, unsigned long ip);
bool __iolite_sg_sealed(struct scatterlist *sg, size_t len, unsigned long ip);

/**
 * iolite_page_sealed - may a page not be written to in place?
 * @page: about to be written to, by who found no flag against that
 * @ip: who that is, for the kernel log
 *
 * Return: whether somebody was promised that the bytes do not change; counted.
 */
static inline bool iolite_page_sealed(struct page *page, unsigned long ip)
{
	return unlikely(folio_test_sealed(page_folio(page))) && iolite_refuse_inplace(ip);
}

/**
 * iolite_sg_sealed - iolite_page_sealed() for the destination of a request
 * @sg: scatterlist, or NULL
 * @len: bytes of it that may be written; it is not looked at beyond, as
 *	scatterlists without an end mark have been seen
 * @ip: who asked for that
 *
 * Return: whether any page must not be written to.
 */
static inline bool iolite_sg_sealed(struct scatterlist *sg, size_t len, unsigned long ip)
{
	/* Most are in the first entry, and in one page. */
	if (sg && len && len <= sg->length && sg->offset + len <= PAGE_SIZE)
		return iolite_page_sealed(sg_page(sg), ip);
	return __iolite_sg_sealed(sg, len, ip);
}
#else
/* No functions, so that nothing is left even of labels. */
#define iolite_page_sealed(page, ip)	false
#define iolite_skb_sealed(skb, ip)	false
#define iolite_sg_sealed(sg, len, ip)	false
#endif

/* A flag that says that memory is shared, unless it is lost on purpose */
#ifdef CONFIG_IOLITE_FAULT_INJECTION
extern bool iolite_lose_shared_flags;
#define iolite_shared_flag(flag)	((flag) && !READ_ONCE(iolite_lose_shared_flags))
#else
#define iolite_shared_flag(flag)	(flag)
#endif

#endif /* _LINUX_IOLITE_INPLACE_H */

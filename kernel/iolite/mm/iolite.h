/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of mm/iolite*.c share and nobody else needs. */
#ifndef _MM_IOLITE_H
#define _MM_IOLITE_H

#include <linux/iolite.h>

/* mm/iolite_buf.c */
struct iolite_buf *iolite_buf_alloc(enum iolite_origin origin, struct folio *folio,
				    u32 offset, u32 len);
void iolite_buf_free_struct(struct iolite_buf *buf);
struct obj_cgroup *iolite_current_objcg(void);
int iolite_charge_pages(struct user_struct *user, struct obj_cgroup *objcg, long nr,
			gfp_t gfp);
void iolite_uncharge_pages(struct user_struct *user, struct obj_cgroup *objcg, long nr);

/* mm/iolite_pool.c */
extern bool iolite_hardened;
struct iolite_buf *iolite_pool_buf(struct iolite_pool *pool, size_t want, bool zero);
bool iolite_pool_give(struct iolite_buf *buf, gfp_t gfp);
void iolite_pool_release_given(struct iolite_buf *buf);
void iolite_pool_seal(struct folio *folio);
bool iolite_pool_shares_whole(const struct iolite_pool *pool);

/* mm/iolite_window.c */
void iolite_window_release(struct iolite_buf *buf);
void iolite_window_seal(struct iolite_buf *buf);

#endif /* _MM_IOLITE_H */

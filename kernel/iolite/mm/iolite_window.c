// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: the window, one range of addresses with the same meaning everywhere.
 *
 * A buffer gets a run of window pages when it is first mapped (I4) and gives it
 * back at the end of its life.  A domain, one address space that joined, may
 * touch only what it was granted, page by page (I3):
 *
 *  - a page of which every byte was passed to it is mapped as it is;
 *  - of a page that holds other bytes too the domain gets a private copy that
 *    contains the passed bytes only, at the same address;
 *  - the pages of a buffer that it produces are mapped writable until sealed.
 *
 * Pages are mapped by number, as special entries, without references or
 * mapcount: a page-cache folio's rmap belongs to another mapping.  So they leave
 * all page tables before the buffer lets go of the folio, and nobody can pin
 * them through the window.  VM_MIXEDMAP and not VM_PFNMAP, so that
 * /proc/pid/pagemap shows which pages they are.
 *
 * Lock order: uring_lock, mmap_lock, iolite_window_lock, i_mmap_rwsem, page
 * table lock.  User memory is never touched under iolite_window_lock, for it
 * may lie in the window.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/iolite.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sched/user.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "internal.h"
#include "iolite.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "iolite."

static unsigned int window_shift __ro_after_init = CONFIG_IOLITE_WINDOW_SHIFT;
module_param(window_shift, uint, 0444);
MODULE_PARM_DESC(window_shift, "size of the window in bytes, log2");

static unsigned long window_base __ro_after_init;

static DEFINE_MUTEX(iolite_window_lock);
/* Buffers by window page; iolite_window_lock */
static struct maple_tree window_tree =
	MTREE_INIT_EXT(window_tree, MT_FLAGS_ALLOC_RANGE | MT_FLAGS_LOCK_EXTERN,
		       iolite_window_lock);
/* Domains; iolite_window_lock */
static LIST_HEAD(iolite_domains);
/* The last generation given out; iolite_window_lock */
static u64 iolite_generation;

/* What a domain's xarray holds for a window page; otherwise the private copy */
#define GRANT_READ	xa_mk_value(0)
#define GRANT_WRITE	xa_mk_value(1)

/**
 * struct iolite_domain - an address space that joined the window
 * @node: in iolite_domains
 * @file: the VMA's, which no other has: who has no grant is not looked at when
 *	pages leave page tables
 * @user: who joined; private copies count as pages that he holds
 * @grants: by window page; all under iolite_window_lock
 *
 * Belongs to the window's VMA in the address space, and goes with it.
 */
struct iolite_domain {
	struct list_head	node;
	struct file		*file;
	struct user_struct	*user;
	struct xarray		grants;
};

/**
 * iolite_window_base - where to map the window
 *
 * Return: the address, the same for the life of the system.
 */
unsigned long iolite_window_base(void)
{
	return window_base;
}

/**
 * iolite_window_size - the window's size
 *
 * Return: bytes.
 */
unsigned long iolite_window_size(void)
{
	return 1UL << window_shift;
}

static void iolite_zap(struct iolite_domain *domain, unsigned long pgoff, unsigned long nr)
{
	unmap_mapping_range(domain->file->f_mapping, (loff_t)pgoff << PAGE_SHIFT,
			    (loff_t)nr << PAGE_SHIFT, 1);
}

static bool iolite_has_grant(struct iolite_domain *domain, unsigned long pgoff, unsigned long nr)
{
	return xa_find(&domain->grants, &pgoff, pgoff + nr - 1, XA_PRESENT);
}

/* Window pages of a buffer; it begins in the first where it begins in its folio's page. */
static unsigned long iolite_buf_pages(const struct iolite_buf *buf)
{
	return PFN_UP(offset_in_page(buf->offset) + buf->len);
}

static unsigned long iolite_buf_pgoff(const struct iolite_buf *buf)
{
	return buf->window_pgoff - 1;
}

static struct page *iolite_buf_page(const struct iolite_buf *buf, unsigned long pgoff)
{
	return folio_page(buf->folio, (buf->offset >> PAGE_SHIFT) + pgoff - iolite_buf_pgoff(buf));
}

/* ---- Domains ---- */

/*
 * Under iolite_window_lock nobody may wait for his own memory cgroup, for all
 * others would wait for him.  So allocations there do not wait; when one fails,
 * make room after the lock was dropped, and try again.
 */
#define IOLITE_LOCKED_GFP	(GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN)
#define IOLITE_LOCKED_TRIES	64

/* A private copy; its memory cgroup pays as for any page that is allocated (I5). */
static struct page *iolite_copy_alloc(struct iolite_domain *domain)
{
	struct page *copy;

	if (atomic_long_inc_return(&domain->user->iolite_pages) >
	    READ_ONCE(sysctl_iolite_max_user_pages)) {
		atomic_long_dec(&domain->user->iolite_pages);
		return ERR_PTR(-EDQUOT);
	}
	copy = alloc_page(IOLITE_LOCKED_GFP | __GFP_ZERO);
	if (!copy) {
		atomic_long_dec(&domain->user->iolite_pages);
		return ERR_PTR(-ENOMEM);
	}
	return copy;
}

static void iolite_copy_free(struct iolite_domain *domain, struct page *copy)
{
	__free_page(copy);
	atomic_long_dec(&domain->user->iolite_pages);
}

static void iolite_grant_drop(struct iolite_domain *domain, void *grant)
{
	if (!xa_is_value(grant))
		iolite_copy_free(domain, grant);
	iolite_stat_add(IOLITE_STAT_GRANTS, -1);
}

/* mremap(2) makes a copy of the VMA before it asks, and drops it when refused. */
static void iolite_window_open(struct vm_area_struct *vma)
{
	vma->vm_private_data = NULL;
}

static void iolite_window_close(struct vm_area_struct *vma)
{
	struct iolite_domain *domain = vma->vm_private_data;
	unsigned long pgoff;
	void *grant;

	if (!domain)
		return;

	mutex_lock(&iolite_window_lock);
	list_del(&domain->node);
	mutex_unlock(&iolite_window_lock);

	/* Nobody finds it any more, and there may be many. */
	xa_for_each(&domain->grants, pgoff, grant) {
		iolite_grant_drop(domain, grant);
		cond_resched();
	}
	xa_destroy(&domain->grants);
	free_uid(domain->user);
	kfree(domain);
	iolite_stat_add(IOLITE_STAT_DOMAINS, -1);
}

static vm_fault_t iolite_window_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct iolite_domain *domain = vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGSEGV;
	unsigned int noreclaim;
	struct iolite_buf *buf;
	struct page *page;
	void *grant;

	if (!domain)
		return VM_FAULT_SIGSEGV;
	/* See IOLITE_LOCKED_GFP: the page table that is needed is there already... */
	if (vmf->prealloc_pte)
		pmd_install(vma->vm_mm, vmf->pmd, &vmf->prealloc_pte);

	mutex_lock(&iolite_window_lock);
	/* ... or, if it was reclaimed for being empty, made without waiting. */
	noreclaim = memalloc_noreclaim_save();
	grant = xa_load(&domain->grants, vmf->pgoff);
	buf = mtree_load(&window_tree, vmf->pgoff);
	if (!grant || WARN_ON_ONCE(!buf))
		goto unlock;
	page = xa_is_value(grant) ? iolite_buf_page(buf, vmf->pgoff) : grant;
	if (grant == GRANT_WRITE && !buf->sealed && (vma->vm_flags & VM_WRITE))
		ret = vmf_insert_mixed_mkwrite(vma, vmf->address, page_to_pfn(page));
	/* ->pfn_mkwrite() is there, so this maps it read-only */
	else if (!(vmf->flags & FAULT_FLAG_WRITE))
		ret = vmf_insert_mixed(vma, vmf->address, page_to_pfn(page));
unlock:
	memalloc_noreclaim_restore(noreclaim);
	mutex_unlock(&iolite_window_lock);
	return ret;
}

/*
 * A store to a page that is mapped read-only, for ever or because of mprotect().
 * Never let the caller make the entry writable: the buffer may be sealed by then.
 */
static vm_fault_t iolite_window_pfn_mkwrite(struct vm_fault *vmf)
{
	struct iolite_domain *domain = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGSEGV;
	struct iolite_buf *buf;

	mutex_lock(&iolite_window_lock);
	buf = mtree_load(&window_tree, vmf->pgoff);
	if (buf && !buf->sealed && xa_load(&domain->grants, vmf->pgoff) == GRANT_WRITE) {
		iolite_zap(domain, vmf->pgoff, 1);
		ret = VM_FAULT_NOPAGE;
	}
	mutex_unlock(&iolite_window_lock);
	return ret;
}

static int iolite_window_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static int iolite_window_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static const char *iolite_window_name(struct vm_area_struct *vma)
{
	return "[iolite]";
}

static const struct vm_operations_struct iolite_window_vm_ops = {
	.open		= iolite_window_open,
	.close		= iolite_window_close,
	.fault		= iolite_window_fault,
	.pfn_mkwrite	= iolite_window_pfn_mkwrite,
	.may_split	= iolite_window_may_split,
	.mremap		= iolite_window_mremap,
	.name		= iolite_window_name,
};

static const struct file_operations iolite_window_fops = { };

/**
 * iolite_window_mmap - join the window: the ring's ->mmap() at IOLITE_OFF_WINDOW
 * @vma: covers the whole window, shared; does not survive fork or execve
 *
 * Return: 0, -EINVAL for another address, size or a private mapping, -EACCES
 * for an executable one, -ENOMEM, -ENFILE, or what security modules say to the
 * file that it gets.
 */
int iolite_window_mmap(struct vm_area_struct *vma)
{
	struct iolite_domain *domain;
	struct file *file;

	if (vma->vm_start != window_base || vma->vm_end - vma->vm_start != iolite_window_size() ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;

	file = anon_inode_create_getfile("[iolite]", &iolite_window_fops, NULL, O_RDWR, NULL);
	if (IS_ERR(file))
		return PTR_ERR(file);
	domain = kzalloc_obj(*domain, IOLITE_GFP);
	if (!domain) {
		fput(file);
		return -ENOMEM;
	}
	domain->file = file;
	domain->user = get_uid(current_user());
	xa_init_flags(&domain->grants, XA_FLAGS_ACCOUNT);

	/* The VMA has the only reference, until after ->close(). */
	vma_set_file(vma, file);
	fput(file);
	vma->vm_pgoff = 0;
	vma->vm_private_data = domain;
	vma->vm_ops = &iolite_window_vm_ops;
	vm_flags_mod(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTCOPY | VM_DONTDUMP, VM_MAYEXEC);

	mutex_lock(&iolite_window_lock);
	list_add(&domain->node, &iolite_domains);
	mutex_unlock(&iolite_window_lock);
	iolite_stat_add(IOLITE_STAT_DOMAINS, 1);
	return 0;
}

/* The caller's, which lasts as long as mmap_lock is held. */
static struct iolite_domain *iolite_current_domain(void)
{
	struct vm_area_struct *vma;

	mmap_assert_locked(current->mm);
	vma = vma_lookup(current->mm, window_base);
	return vma && vma->vm_ops == &iolite_window_vm_ops ? vma->vm_private_data : NULL;
}

static bool iolite_make_room(void)
{
	struct page *page = alloc_page(IOLITE_GFP);

	if (!page)
		return false;
	__free_page(page);
	return !fatal_signal_pending(current);
}

/* ---- Addresses ---- */

static int iolite_window_alloc(struct iolite_buf *buf, unsigned long nr, unsigned long *pgoff)
{
	MA_STATE(mas, &window_tree, 0, 0);
	int ret;

	lockdep_assert_held(&iolite_window_lock);
	ret = mas_empty_area(&mas, 0, (iolite_window_size() >> PAGE_SHIFT) - 1, nr);
	if (ret)
		return -ENOSPC;
	*pgoff = mas.index;
	/* Not charged, so it waits for no memory cgroup. */
	ret = mas_store_gfp(&mas, buf, GFP_KERNEL);
	if (ret)
		return ret;
	iolite_stat_add(IOLITE_STAT_WINDOW_PAGES, nr);
	return 0;
}

static void iolite_window_name_buf(struct iolite_buf *buf, unsigned long pgoff)
{
	buf->window_pgoff = pgoff + 1;
	buf->generation = ++iolite_generation;
}

/**
 * iolite_window_release - a buffer that has an address ends its life
 * @buf: without references
 */
void iolite_window_release(struct iolite_buf *buf)
{
	unsigned long pgoff = iolite_buf_pgoff(buf), nr = iolite_buf_pages(buf), at;
	MA_STATE(mas, &window_tree, pgoff, pgoff + nr - 1);
	struct iolite_domain *domain;
	void *grant;

	mutex_lock(&iolite_window_lock);
	list_for_each_entry(domain, &iolite_domains, node) {
		if (!iolite_has_grant(domain, pgoff, nr))
			continue;
		iolite_zap(domain, pgoff, nr);
		xa_for_each_range(&domain->grants, at, grant, pgoff, pgoff + nr - 1) {
			xa_erase(&domain->grants, at);
			iolite_grant_drop(domain, grant);
		}
	}
	/* Over a range of its own, so that no memory is needed */
	WARN_ON_ONCE(mas_store_gfp(&mas, NULL, GFP_KERNEL | __GFP_NOFAIL));
	mutex_unlock(&iolite_window_lock);
	iolite_stat_add(IOLITE_STAT_WINDOW_PAGES, -nr);
}

/**
 * iolite_window_seal - from now on no byte of the buffer changes
 * @buf: of origin IOLITE_POOL, with a reference of the caller's
 */
void iolite_window_seal(struct iolite_buf *buf)
{
	struct iolite_domain *domain;
	unsigned long pgoff, nr;

	mutex_lock(&iolite_window_lock);
	buf->sealed = true;
	if (buf->window_pgoff) {
		pgoff = iolite_buf_pgoff(buf);
		nr = iolite_buf_pages(buf);
		list_for_each_entry(domain, &iolite_domains, node)
			if (iolite_has_grant(domain, pgoff, nr))
				iolite_zap(domain, pgoff, nr);
	}
	mutex_unlock(&iolite_window_lock);
}

/* ---- Grants ---- */

static int iolite_grant_store(struct iolite_domain *domain, unsigned long pgoff, void *grant)
{
	void *old = xa_store(&domain->grants, pgoff, grant, IOLITE_LOCKED_GFP);

	if (xa_is_err(old))
		return xa_err(old);
	iolite_stat_add(IOLITE_STAT_GRANTS, 1);
	if (old) {
		/* The private copy is in page tables of this domain at most. */
		iolite_zap(domain, pgoff, 1);
		iolite_grant_drop(domain, old);
	}
	return 0;
}

/* Let the domain read bytes @from to @to of a page of the buffer. */
static int iolite_grant_page(struct iolite_domain *domain, struct iolite_buf *buf,
			     unsigned long pgoff, unsigned int from, unsigned int to)
{
	void *grant = xa_load(&domain->grants, pgoff);
	bool whole = to - from == PAGE_SIZE ||
		     (buf->origin == IOLITE_POOL && iolite_pool_shares_whole(buf->pool));
	struct page *copy;
	int ret;

	if (grant && xa_is_value(grant))
		return 0;
	/* Its bytes are nobody's but the producer's yet. */
	if (!buf->sealed)
		return -EBUSY;
	if (whole)
		return iolite_grant_store(domain, pgoff, GRANT_READ);

	copy = grant;
	if (!copy) {
		copy = iolite_copy_alloc(domain);
		if (IS_ERR(copy))
			return PTR_ERR(copy);
	}
	memcpy_page(copy, from, iolite_buf_page(buf, pgoff), from, to - from);
	iolite_count_copy(IOLITE_COPY_EDGE, to - from);
	if (grant)
		return 0;
	ret = iolite_grant_store(domain, pgoff, copy);
	if (ret)
		iolite_copy_free(domain, copy);
	return ret;
}

static int __iolite_grant_slice(const struct iolite_slice *slice, struct iolite_extent *extent)
{
	struct iolite_domain *domain = iolite_current_domain();
	struct iolite_buf *buf = slice->buf;
	unsigned long start, end, at, pgoff;
	int ret = 0;

	lockdep_assert_held(&iolite_window_lock);
	if (!domain)
		return -ENXIO;
	if (!buf->window_pgoff) {
		ret = iolite_window_alloc(buf, iolite_buf_pages(buf), &pgoff);
		if (ret)
			return ret;
		iolite_window_name_buf(buf, pgoff);
	}
	start = (iolite_buf_pgoff(buf) << PAGE_SHIFT) + offset_in_page(buf->offset) + slice->off;
	end = start + slice->len;
	for (at = start; at < end && !ret; at = (at | ~PAGE_MASK) + 1)
		ret = iolite_grant_page(domain, buf, at >> PAGE_SHIFT, offset_in_page(at),
					min(end - (at & PAGE_MASK), PAGE_SIZE));
	extent->addr = window_base + start;
	extent->generation = buf->generation;
	extent->len = slice->len;
	extent->resv = 0;
	return ret;
}

/* Let the caller's domain write to a buffer that was not sealed yet. */
static int __iolite_grant_writable(struct iolite_buf *buf)
{
	struct iolite_domain *domain = iolite_current_domain();
	unsigned long at, end = iolite_buf_pgoff(buf) + iolite_buf_pages(buf);
	int ret = 0;

	lockdep_assert_held(&iolite_window_lock);
	if (!domain)
		return -ENXIO;
	for (at = iolite_buf_pgoff(buf); at < end && !ret; at++)
		if (!xa_load(&domain->grants, at))
			ret = iolite_grant_store(domain, at, GRANT_WRITE);
	return ret;
}

/* Lets the domain read the slice, and says where; or write to all of its buffer. */
static int iolite_grant_slice(const struct iolite_slice *slice, bool write,
			      struct iolite_extent *extent)
{
	int ret, tries = IOLITE_LOCKED_TRIES;

	/* What was granted before memory ran out is not granted again. */
	do {
		mmap_read_lock(current->mm);
		mutex_lock(&iolite_window_lock);
		if (write)
			ret = __iolite_grant_writable(slice->buf);
		else
			ret = __iolite_grant_slice(slice, extent);
		mutex_unlock(&iolite_window_lock);
		mmap_read_unlock(current->mm);
	} while (ret == -ENOMEM && tries-- && iolite_make_room());
	return ret;
}

/**
 * iolite_window_map - make slices readable to the calling process
 * @agg: whose slices
 * @pos: first byte
 * @to: out: where they can be read, one extent a slice
 * @nr: room in @to
 *
 * The grants last until the buffers end their life or the process leaves the
 * window.
 *
 * Return: number of extents filled in, -ENXIO if the process has not joined the
 * window, -EBUSY if another process still produces a buffer, -ENOSPC if the
 * window is full, -EDQUOT at the user's limit of held pages, -EFAULT, -ENOMEM,
 * -EINVAL for a position beyond the end.
 */
int iolite_window_map(struct iolite_agg *agg, u64 pos, struct iolite_extent __user *to,
		      unsigned int nr)
{
	struct iolite_extent extent;
	struct iolite_agg_iter it;
	struct iolite_slice slice;
	unsigned int done = 0;
	int ret = 0;

	if (pos > agg->len)
		return -EINVAL;
	iolite_agg_iter_init(&it, agg, pos);
	while (done < nr && iolite_agg_iter_next(&it, &slice)) {
		ret = iolite_grant_slice(&slice, false, &extent);
		if (ret)
			break;
		if (copy_to_user(&to[done], &extent, sizeof(extent))) {
			ret = -EFAULT;
			break;
		}
		done++;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	return done ?: ret;
}

/* Addresses for @nr pages, which all are @buf's until others get their part */
static int iolite_window_reserve(struct iolite_buf *buf, unsigned long nr, unsigned long *pgoff)
{
	int ret = -ENXIO;

	mmap_read_lock(current->mm);
	mutex_lock(&iolite_window_lock);
	if (iolite_current_domain())
		ret = iolite_window_alloc(buf, nr, pgoff);
	mutex_unlock(&iolite_window_lock);
	mmap_read_unlock(current->mm);
	return ret;
}

static void iolite_window_name_part(struct iolite_buf *buf, unsigned long pgoff)
{
	MA_STATE(mas, &window_tree, pgoff, pgoff + iolite_buf_pages(buf) - 1);

	mutex_lock(&iolite_window_lock);
	/* The run is reserved: what it costs to divide it is little. */
	mas_store_gfp(&mas, buf, GFP_KERNEL | __GFP_NOFAIL);
	iolite_window_name_buf(buf, pgoff);
	mutex_unlock(&iolite_window_lock);
}

/**
 * iolite_window_map_writable - let the calling process fill unsealed buffers
 * @agg: as filled by iolite_pool_alloc(), and known to nobody else yet
 * @addr: out: address of the first byte; the buffers follow without gaps
 *
 * Return: 0, -ENXIO if the process has not joined the window, -ENOSPC if the
 * window is full, -ENOMEM, -EINTR if killed. With an error the buffers may have
 * addresses, and the process access to some.
 */
int iolite_window_map_writable(struct iolite_agg *agg, u64 *addr)
{
	struct iolite_agg_iter it;
	struct iolite_slice slice;
	unsigned long pgoff;
	int ret;

	iolite_agg_iter_init(&it, agg, 0);
	if (WARN_ON_ONCE(!iolite_agg_iter_next(&it, &slice)))
		return -EINVAL;
	ret = iolite_window_reserve(slice.buf, PFN_UP(agg->len), &pgoff);
	if (ret)
		return ret;

	*addr = window_base + (pgoff << PAGE_SHIFT);
	/* There may be many, and others want the lock. All of the run has to get its owner. */
	do {
		iolite_window_name_part(slice.buf, pgoff);
		pgoff += iolite_buf_pages(slice.buf);
		if (!ret)
			ret = iolite_grant_slice(&slice, true, NULL);
		if (!ret && fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	} while (iolite_agg_iter_next(&it, &slice));
	return ret;
}

/* What programs get without asking for more; some tag what lies above. */
#ifdef DEFAULT_MAP_WINDOW
#define IOLITE_TASK_SIZE	min(DEFAULT_MAP_WINDOW, TASK_SIZE_MAX)
#else
#define IOLITE_TASK_SIZE	TASK_SIZE_MAX
#endif

static int __init iolite_window_init(void)
{
	/* Away from where programs, their heap and their stack are put */
	unsigned long first = ALIGN(IOLITE_TASK_SIZE / 8, SZ_1G);
	unsigned long room = IOLITE_TASK_SIZE / 4;

	window_shift = clamp(window_shift, 24U, 44U);
	window_base = first;
	if (room > iolite_window_size())
		window_base += get_random_long() % (room - iolite_window_size()) & ~(SZ_1G - 1UL);
	return 0;
}
late_initcall(iolite_window_init);

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sealed page-cache folios: what the paths that change a folio's bytes call.
 *
 * A folio is sealed when IO-Lite hands it out, and stays so until somebody
 * wants to write: a folio that nobody reads any more is then unsealed, one
 * that is still read is replaced in its mapping (I1).
 */
#ifndef _LINUX_IOLITE_COW_H
#define _LINUX_IOLITE_COW_H

#include <linux/mm.h>
#include <linux/pagemap.h>

enum migrate_mode;

/* Without CONFIG_IOLITE never called: then no folio is sealed. */
int iolite_seal_folio(struct folio *folio, bool nowait);
struct folio *iolite_write_folio(struct folio *folio, bool nowait);
int iolite_write_sealed(struct folio **foliop);
struct folio *iolite_truncate_folio(struct folio *folio);
void iolite_unmap_folio(struct folio *folio);
struct folio *__iolite_pin_folio(struct address_space *mapping, struct folio *folio);
vm_fault_t __iolite_shared_fault(struct folio *folio);
vm_fault_t __iolite_wp_shared(struct vm_fault *vmf, struct folio *folio);
int iolite_migrate_shared(struct address_space *mapping, struct folio *dst,
			  struct folio *src, void *src_private);

#ifdef CONFIG_IOLITE
/*
 * The inode's file system finds folios to write to with FGP_WRITE or one of
 * the calls below, and can migrate them.
 */
static inline void mapping_set_iolite(struct address_space *mapping)
{
	set_bit(AS_IOLITE, &mapping->flags);
}

static inline void mapping_clear_iolite(struct address_space *mapping)
{
	clear_bit(AS_IOLITE, &mapping->flags);
}

static inline bool mapping_iolite(const struct address_space *mapping)
{
	return test_bit(AS_IOLITE, &mapping->flags);
}

/* Is what is mapped of a file its own, and not another one's that it is stored in? */
static inline bool iolite_maps_itself(const struct file *file)
{
	return file->f_mapping == &file_inode(file)->i_data;
}

/* A folio of the mapping was sealed at some time. */
static inline bool mapping_iolite_sealed(const struct address_space *mapping)
{
	return test_bit(AS_IOLITE_SEALED, &mapping->flags);
}

/*
 * Whoever writes by a mapping may go on after it is unmapped, by references to
 * its pages: remember that there was one.
 */
static inline bool mapping_was_writably_mapped(const struct address_space *mapping)
{
	return test_bit(AS_WAS_WRITABLY_MAPPED, &mapping->flags);
}

static inline void mapping_set_was_writably_mapped(struct address_space *mapping)
{
	/* It was counted as writable; AS_IOLITE_SEALED is looked at next: iolite_seal_folio() */
	smp_mb__after_atomic();
	if (mapping_iolite(mapping) && !mapping_was_writably_mapped(mapping))
		set_bit(AS_WAS_WRITABLY_MAPPED, &mapping->flags);
}

#else
static inline void mapping_set_was_writably_mapped(struct address_space *mapping) { }
static inline void mapping_set_iolite(struct address_space *mapping) { }
static inline void mapping_clear_iolite(struct address_space *mapping) { }

static inline bool mapping_iolite_sealed(const struct address_space *mapping)
{
	return false;
}
#endif

/* For lookups, with FGP_LOCK, of folios whose bytes are going to be changed */
#define FGP_UNSEAL	(IS_ENABLED(CONFIG_IOLITE) ? FGP_WRITE : (__force fgf_t)0)

/**
 * iolite_truncates_sealed - is a part of a sealed folio about to be cleared?
 * @folio: locked, with a reference of the caller's
 * @start: first byte of the file to go
 * @end: last byte of the file to go
 *
 * Return: whether the caller has to replace @folio by what
 * iolite_truncate_folio() returns.
 */
static inline bool iolite_truncates_sealed(struct folio *folio, loff_t start, uoff_t end)
{
	return unlikely(folio_test_sealed(folio)) &&
	       (folio_pos(folio) < start || folio_next_pos(folio) - 1 > end);
}

/**
 * iolite_shared_fault - a folio is about to be mapped writable and shared
 * @folio: locked, with a reference of the fault's
 *
 * Return: 0 to go on with @folio, else it was unlocked and put, and the fault
 * returns this.
 */
static inline vm_fault_t iolite_shared_fault(struct folio *folio)
{
	if (likely(!folio_test_sealed(folio)))
		return 0;
	return __iolite_shared_fault(folio);
}

/**
 * iolite_wp_shared - a shared mapping of a folio is about to become writable
 * @vmf: the fault, with the page table locked
 * @folio: mapped at the fault's address
 *
 * Return: 0 to go on; else the page table is unlocked, and the fault returns this.
 */
static inline vm_fault_t iolite_wp_shared(struct vm_fault *vmf, struct folio *folio)
{
	if (likely(!mapping_iolite_sealed(vmf->vma->vm_file->f_mapping)))
		return 0;
	return __iolite_wp_shared(vmf, folio);
}

#endif /* _LINUX_IOLITE_COW_H */

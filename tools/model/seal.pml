/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The order of events that makes copy on write right (I1): a model for spin.
 *
 *	spin -DFILE -a seal.pml && gcc -DSAFETY -o pan pan.c && ./pan -m1000000
 *
 * explores every interleaving of one of the scenarios, FILE, REUSE, MAP, MAP_PINS, PIN or
 * BACK. With one of the faults below as another -D, it has to find an assertion that fails,
 * and "spin -DFILE -D... -p -t seal.pml" shows how. "make check SUITE=model" runs them all.
 *
 * Readers do what they do any number of times. With -DFOREVER so do writers and mappers: some
 * minutes and 4 GB (gcc -O2 -DSAFETY -DCOLLAPSE, pan -m20000000).
 *
 * There is one page of a file, and folios that come into its place and leave it.
 *
 *	slot, f[].mapping	the entry in i_pages; folio->mapping
 *	Reader, get()		filemap_read(), filemap_get_entry()
 *	  seal()		iolite_seal_folio()
 *	  the end		__iolite_buf_free(): iolite_window_release(), folio_put()
 *	Writer			__filemap_get_folio() with FGP_WRITE, by write(2) or with
 *				IOCB_NOWAIT
 *	  make_writable()	iolite_write_folio(): iolite_unmap(), iolite_unseal(),
 *				iolite_cow(), iolite_migrate_shared()
 *	Mapper			a shared mapping on tmpfs, which does not ask to be notified of
 *				writes: mmap_region(), vma_wants_writenotify(),
 *				iolite_shared_fault(), iolite_wp_shared(), munmap()
 *	Device			stores through that mapping, of the CPU and of those who got
 *				the page from it by get_user_pages()
 *	Pinner			memfd_pin_folios(): iolite_pin_folio()
 *	Flusher			write-back, which clears what is beyond the end of the file
 *	Evictor			reclaim, truncation, invalidation: the folio leaves the cache
 *	Stranger		another file, which gets the memory that was freed
 *
 * Memory is sequentially consistent but where a barrier makes it so. A pair of accesses
 * that a barrier orders is written barrier(first, second), and happens in either order
 * if a fault takes the barrier away: that is what a store buffer does to a store and a
 * load after it, and what some CPUs do to two loads. Order that comes from locks is not
 * in doubt here.
 *
 * What has to hold, at every step:
 *
 *  - nobody stores to a folio whose bytes are promised to somebody, or that a window shows;
 *  - no folio is freed that is promised, shown, mapped, in the cache or locked;
 *  - a file's reader gets its folios and no others;
 *  - what was written is in the cache when the folio is unlocked;
 *  - nobody is stuck (spin looks for that by itself).
 *
 * Faults, by a scenario that shows them:
 *
 *	FILE	NO_MB_REFERENCE_FLAG	seal: no smp_mb() between reference and flag
 *		NO_MB_FLAG_COUNT	unseal: no smp_mb__after_atomic()
 *		NOT_SET_AGAIN		unseal: leave the flag clear though the folio is held
 *		SEAL_UNLOCKED		seal: without the folio lock
 *		COPY_UNLOCKED		cow: lock the copy after it is in the mapping
 *		FREEZE			cow: freeze the reference count for the switch
 *		NO_RECHECK_WRITER	do not look at folio->mapping once it is locked
 *		PUT_BEFORE_ZAP		release: the reference before the window's page tables
 *	REUSE	NO_RECHECK_READER	do not look at the cache again after the reference
 *	MAP	NO_MB_SEALED_MAPPED	seal: no smp_mb() after AS_IOLITE_SEALED
 *		NO_MB_MMAP		mmap: no barrier between count and AS_IOLITE_SEALED
 *		COUNT_MAPPED		unseal: expect page tables' references, do not zap them
 *		NO_NOTIFY		mmap: map pages writable when they are read
 *		NO_LOOK_FAULT		the fault of a store does not look at the flag
 *		NO_LOOK_WP		nor does that of a store to a page that is mapped
 *		NO_LOOK_HELD		seal: do not look at AS_WAS_WRITABLY_MAPPED
 *		UNCOUNT_BEFORE_ZAP	munmap: i_mmap_writable before the page tables
 *	MAP_PINS NO_RMB_MAPPED_PINNED	seal: no smp_rmb() after mapping_writably_mapped()
 *		NO_LOOK_PINNED		seal: do not look at folio_maybe_dma_pinned()
 *	PIN	NO_LOOK_PINNED		the same
 *		PIN_UNLOCKED		memfd_pin_folios: pin after the folio is unlocked
 *	BACK	SEAL_DIRTY		seal: folios that are not clean
 *
 * MAP_PINS is MAP where everybody pins who stores by a reference, and sealing relies on
 * that. With the look at AS_WAS_WRITABLY_MAPPED, which MAP has, no order of the two loads
 * does harm: who may store holds a page table entry or a reference all the time that the
 * sealer has the folio locked.
 */

#define FOLIOS	3
#define NONE	FOLIOS

#define ordered(first, second)		first; second
#define unordered(first, second)	if :: first; second :: second; first fi

#ifdef NO_MB_REFERENCE_FLAG
#define reader_mb unordered
#else
#define reader_mb ordered
#endif
#ifdef NO_MB_FLAG_COUNT
#define writer_mb unordered
#else
#define writer_mb ordered
#endif
#ifdef NO_MB_SEALED_MAPPED
#define sealer_mb unordered
#else
#define sealer_mb ordered
#endif
#ifdef NO_RMB_MAPPED_PINNED
#define sealer_rmb unordered
#else
#define sealer_rmb ordered
#endif
#ifdef NO_MB_MMAP
#define mmap_mb unordered
#else
#define mmap_mb ordered
#endif

#ifdef MAP_PINS
#define NO_LOOK_HELD
#endif
#ifdef SEAL_DIRTY
#define may_be_sealed(x) true
#else
#define may_be_sealed(x) !f[x].dirty
#endif
#ifdef BACK
#define WRITE_BACK	true
#else
#define WRITE_BACK	false
#endif

mtype = { nothing, this_file, other_file };

typedef folio {
	byte ref;		/* 0: free memory */
	byte pins;		/* how many of these are of FOLL_PIN */
	mtype mapping;
	mtype bytes;		/* whose; stays when the folio leaves the cache */
	bool locked;
	bool sealed;
	bool dirty;		/* or under write-back */
	byte promised;		/* for how many it was found sealed, or sealed */
	byte shown;		/* in how many page tables of the window */
}

folio f[FOLIOS];
byte slot = 0;
bool as_sealed, as_was_mapped;	/* AS_IOLITE_SEALED, AS_WAS_WRITABLY_MAPPED */
byte i_mmap_writable;
byte pte = NONE;		/* of Mapper; has a reference */
bool pte_writable;

#define LOCALS	byte x = NONE, copy = NONE, count; bool got, yes

/* What was done may be done any number of times. */
#define again()							\
	x = NONE;						\
	count = 0;						\
	got = false;						\
	yes = false;						\
	if							\
	:: goto start						\
	:: skip							\
	fi

inline lock(x)
{
	atomic { !f[x].locked -> f[x].locked = true }
}

inline unlock(x)
{
	f[x].locked = false
}

/* Some of the bytes change. */
inline store(x)
{
	assert(f[x].ref && !f[x].promised && !f[x].shown)
}

inline put(x)
{
	atomic {
		assert(f[x].ref);
		f[x].ref--;
		if
		:: !f[x].ref ->
			assert(!f[x].promised && !f[x].shown && !f[x].locked && !f[x].pins);
			assert(slot != x && pte != x);
			f[x].mapping = nothing;
			f[x].bytes = nothing;
			f[x].sealed = false;
			f[x].dirty = false
		:: else
		fi
	}
}

inline unlock_and_put(x)
{
	unlock(x);
	put(x)
}

/* Memory for a new folio, or NONE. */
inline alloc(x)
{
	atomic {
		if
		:: !f[0].ref -> x = 0; f[x].ref = 1
		:: f[0].ref && !f[1].ref -> x = 1; f[x].ref = 1
		:: f[0].ref && f[1].ref && !f[2].ref -> x = 2; f[x].ref = 1
		:: else -> x = NONE
		fi
	}
}

/* A reference to x, if that is still what is in the cache. */
inline get(x, checks)
{
	atomic {		/* folio_try_get() */
		got = (f[x].ref > 0);
		f[x].ref = f[x].ref + got
	};
	if
	:: checks && got && slot != x -> put(x); got = false
	:: else
	fi
}

/* The folio in the cache, locked and referenced, or NONE. */
inline lookup(x, checks)
{
	do
	:: x = slot;
	   if
	   :: x == NONE -> break
	   :: else -> get(x, true)
	   fi;
	   if
	   :: got ->
		lock(x);
		if
		:: f[x].mapping == this_file || !checks -> break
		:: else -> unlock_and_put(x)
		fi
	   :: else
	   fi
	od
}

/* Page tables that show x; nobody can map it again while it is locked. */
inline zap(x)
{
	atomic {
		if
		:: pte == x -> pte = NONE; pte_writable = false; put(x)
		:: else
		fi
	}
}

/* got: somebody else may store to x, by a reference. yes: x is not mapped writable. */
inline look_for_others(x)
{
	got = false;
#ifndef NO_LOOK_PINNED
	got = f[x].pins;
#endif
#ifndef NO_LOOK_HELD
	if
	:: !got && as_was_mapped ->
		if
		:: yes -> zap(x)
		:: else
		fi;
		got = (f[x].ref > 2)
	:: else
	fi
#endif
}

/* yes: there is a promise. On entry, what the look at the flag without the lock said. */
inline seal(x)
{
	if
	:: !yes ->
#ifndef SEAL_UNLOCKED
		lock(x);
#endif
		if
		:: f[x].sealed -> yes = true
		:: !f[x].sealed && f[x].mapping != nothing && may_be_sealed(x) ->
			sealer_mb(as_sealed = true,
				  sealer_rmb(yes = !i_mmap_writable, look_for_others(x)));
			if
			:: yes && !got -> f[x].sealed = true
			:: else -> yes = false
			fi
		:: else
		fi;
#ifndef SEAL_UNLOCKED
		unlock(x)
#endif
	:: else
	fi
}

inline cow(x)
{
	alloc(copy);
	if
	:: copy != NONE ->
#ifndef COPY_UNLOCKED
		f[copy].locked = true;
#endif
		f[copy].bytes = this_file;
		f[copy].mapping = this_file;
		f[copy].ref++;
#ifdef FREEZE
		count = f[x].ref;
		f[x].ref = 0;
#endif
		slot = copy;
		f[x].mapping = nothing;
#ifdef FREEZE
		f[x].ref = count;
#endif
		put(x)
	:: copy == NONE ->	/* -ESTALE: clean folios just leave the cache */
		slot = NONE;
		f[x].mapping = nothing;
		put(x)
	:: copy == NONE		/* -ENOMEM */
	fi;
	unlock_and_put(x);
	x = copy;
#ifdef COPY_UNLOCKED
	if
	:: x != NONE -> lock(x)
	:: else
	fi;
#endif
	copy = NONE
}

/* x, locked, or what has taken its place; or NONE, and then x is unlocked and put. */
inline make_writable(x, nowait)
{
	if
	:: !f[x].sealed
	:: f[x].sealed && nowait && pte == x -> unlock_and_put(x); x = NONE
	:: f[x].sealed && !(nowait && pte == x) ->
#ifdef COUNT_MAPPED
		f[x].sealed = false;
		count = 2 + (pte == x);
		yes = (f[x].ref > count);
#else
		zap(x);
		writer_mb(f[x].sealed = false, yes = (f[x].ref > 2));
#endif
		if
		:: yes ->
#ifndef NOT_SET_AGAIN
			f[x].sealed = true;
#endif
			if
			:: nowait -> unlock_and_put(x); x = NONE
			:: else -> zap(x); cow(x)
			fi
		:: else
		fi
	fi
}

/* write(2), or a truncation that clears a part */
proctype Writer(bool nowait)
{
	LOCALS;

start:
#ifdef NO_RECHECK_WRITER
	lookup(x, false);
#else
	lookup(x, true);
#endif
	if
	:: x != NONE -> make_writable(x, nowait)
	:: else ->		/* the page is read, or new */
		alloc(x);
		if
		:: x != NONE ->
			f[x].locked = true;
			f[x].bytes = this_file;
			f[x].mapping = this_file;
			atomic {
				if
				:: slot == NONE -> slot = x; f[x].ref++
				:: else -> unlock_and_put(x); x = NONE
				fi
			}
		:: else
		fi
	fi;
	if
	:: x != NONE ->
		store(x);
		f[x].dirty = WRITE_BACK;
		store(x);
		assert(slot == x);
		unlock_and_put(x)
	:: else
	fi;
#ifdef FOREVER
	again()
#endif
}

proctype Reader()
{
	LOCALS;

start:
	do
	:: x = slot;
	   if
	   :: x == NONE -> goto done
	   :: else
	   fi;
#ifdef NO_RECHECK_READER
	   reader_mb(get(x, false), yes = f[x].sealed);
#else
	   reader_mb(get(x, true), yes = f[x].sealed);
#endif
	   if
	   :: got -> break
	   :: else
	   fi
	od;
	seal(x);
	if
	:: yes ->
		assert(f[x].bytes == this_file);
		f[x].promised++;
		if
		:: f[x].shown++
#ifdef PUT_BEFORE_ZAP
		   ; f[x].promised--; put(x); f[x].shown--; goto done
#else
		   ; f[x].shown--
#endif
		:: assert(f[x].ref); f[x].ref++; put(x)	/* an skb is cloned, and freed */
		fi;
		f[x].promised--
	:: else			/* copied */
	fi;
	put(x);
done:	again()
}

proctype Evictor()
{
	LOCALS;

	lookup(x, true);
	if
	:: x != NONE ->
		zap(x);
		slot = NONE;
		f[x].mapping = nothing;
		put(x);
		unlock_and_put(x)
	:: else
	fi
}

proctype Stranger()
{
	LOCALS;

	alloc(x);
	if
	:: x != NONE ->
		f[x].bytes = other_file;
		f[x].mapping = other_file;
		f[x].sealed = true;	/* it has readers, too */
		put(x)
	:: else
	fi
}

proctype Flusher()
{
	LOCALS;

	lookup(x, true);
	if
	:: x != NONE ->
		if
		:: f[x].dirty -> store(x); f[x].dirty = false
		:: else
		fi;
		unlock_and_put(x)
	:: else
	fi
}

proctype Pinner()
{
	LOCALS;

	lookup(x, true);
	if
	:: x != NONE -> make_writable(x, false)
	:: else
	fi;
	if
	:: x != NONE ->
#ifdef PIN_UNLOCKED
		unlock(x);
		f[x].pins++;
#else
		f[x].pins++;
		unlock(x);
#endif
		store(x);
		f[x].pins--;
		put(x)
	:: else
	fi
}

/* Stores of the CPU through the mapping, and of those who get the page from it. */
proctype Device()
{
	LOCALS;

	do
	:: atomic { pte != NONE && pte_writable -> store(pte) }
#ifndef MAP_PINS
	:: atomic { pte != NONE && pte_writable -> x = pte; f[x].ref++ };
	   store(x);		/* FOLL_GET */
	   put(x)
#endif
	:: atomic { pte != NONE && pte_writable -> x = pte; f[x].ref++; f[x].pins++ };
	   store(x);		/* FOLL_PIN */
	   f[x].pins--;
	   put(x)
	:: break
	od
}

inline pte_make_writable(x)
{
	atomic {
		if
		:: pte == x -> pte_writable = true
		:: else
		fi
	}
}

proctype Mapper()
{
	LOCALS;
	bool notify;

start:
	mmap_mb(i_mmap_writable++; as_was_mapped = true, notify = as_sealed);
#ifdef NO_NOTIFY
	notify = false;
#endif
#ifdef UNCOUNT_BEFORE_ZAP
	i_mmap_writable--;
#endif
	do
	:: pte == NONE ->
		lookup(x, true);
		if
		:: x != NONE ->	/* do_read_fault() */
			atomic { pte = x; pte_writable = !notify };
			unlock(x)
		:: x != NONE ->	/* do_shared_fault() */
#ifndef NO_LOOK_FAULT
			make_writable(x, false);
#endif
			if
			:: x != NONE -> atomic { pte = x; pte_writable = true }; unlock(x)
			:: else
			fi
		:: x == NONE
		fi
	:: atomic { pte != NONE && !pte_writable -> x = pte; f[x].ref++ };
		/* wp_page_shared() */
#ifdef NO_LOOK_WP
		yes = false;
#else
		yes = as_sealed;
#endif
		if
		:: yes && !f[x].locked -> yes = f[x].sealed
		:: else
		fi;
		if
		:: !yes -> pte_make_writable(x); put(x)
		:: else ->
			lock(x);
			if
			:: f[x].mapping == this_file -> make_writable(x, false)
			:: else
			fi;
			if
			:: x != NONE -> unlock_and_put(x)
			:: else
			fi
		fi
	:: break
	od;
	atomic {
		if
		:: pte != NONE -> x = pte; pte = NONE; pte_writable = false; put(x)
		:: else
		fi
	};
#ifndef UNCOUNT_BEFORE_ZAP
	i_mmap_writable--;
#endif
	notify = false;
#ifdef FOREVER
	again()
#endif

}

init {
	atomic {
		f[0].ref = 1;
		f[0].mapping = this_file;
		f[0].bytes = this_file;
		run Reader();
#ifdef FILE
		run Reader();
		run Writer(false);
		run Writer(true)
#endif
#ifdef REUSE
		run Writer(false);
		run Evictor();
		run Stranger()
#endif
#if defined(MAP) || defined(MAP_PINS)
		run Writer(false);
		run Mapper();
		run Device()
#endif
#ifdef PIN
		run Reader();
		run Writer(false);
		run Pinner()
#endif
#ifdef BACK
		run Reader();
		run Writer(false);
		run Flusher()
#endif
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * Where a measured section begins and ends.  Instructions that do nothing and
 * that no compiler emits; tools/bench/insns.c knows them.
 */
#ifndef MARK_H
#define MARK_H

static inline void mark_begin(void)
{
	__asm__ volatile("nopl 0x1017bec0(%%rax,%%rax)" : : : "memory");
}

static inline void mark_end(void)
{
	__asm__ volatile("nopl 0x1017bec1(%%rax,%%rax)" : : : "memory");
}

#endif

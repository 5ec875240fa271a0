// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A plugin for QEMU's emulator that counts what the guest executes in sections
 * that the guest marks (guest/mark.h):
 *
 *	-plugin insns.so,map=System.map,out=FILE[,profile=FILE]
 *
 * For each section, OUT gets a line, a JSON object with these numbers:
 *
 * user, kernel  instructions, by the half of the address space they are in
 * syscalls      entries of entry_SYSCALL_64
 * copied        bytes that the kernel's copy routines loaded, in runs of at
 *               least RUN_MIN: shorter ones are arguments and packet headers
 * summed        the same of its checksum routines
 * page_refs     atomic operations on the reference count of a struct page
 * atomics       all of the kernel's locked instructions
 *
 * With PROFILE, that file gets for each section the line "section N", then
 * "kernel INSTRUCTIONS ENTRIES FUNCTION" and "user INSTRUCTIONS ENTRIES ADDRESS"
 * (of the translated block), most expensive first.
 *
 * It counts right on one processor and with kernel addresses that are not
 * randomized.  Boot with noreplace-smp, or the kernel removes the lock prefixes.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- qemu-plugin.h, which Debian does not package: what is used of API version 1 ---- */

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { QEMU_PLUGIN_CB_NO_REGS };
enum { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W };
enum { QEMU_PLUGIN_INLINE_ADD_U64 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
		void (*cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
							size_t i);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op,
						     void *ptr, uint64_t imm);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
		void (*cb)(unsigned int cpu, void *data), int flags, void *data);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op,
						       void *ptr, uint64_t imm);
extern void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
		void (*cb)(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data),
		int flags, int rw, void *data);
extern unsigned int qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info);
extern bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);

EXPORT int qemu_plugin_version = 1;

/* ---- What is known of the kernel ---- */

#define RUN_MIN			128	/* bytes */

/* vmemmap with four and with five levels of page tables */
#define VMEMMAP4_BEGIN		0xffffea0000000000
#define VMEMMAP4_END		0xffffeb0000000000
#define VMEMMAP5_BEGIN		0xffd4000000000000
#define VMEMMAP5_END		0xffd6000000000000
#define PAGE_STRUCT_SIZE	64
#define PAGE_REFCOUNT_OFFSET	52

#define PREFIX_LOCK		0xf0

static const char *const copy_routines[] = {
	"rep_movs_alternative", "memcpy", "__memcpy", "memcpy_orig", "memmove", "__memmove",
	"copy_page", "copy_page_regs", "copy_mc_fragile", "copy_mc_enhanced_fast_string",
	"copy_to_nontemporal", "__copy_user_nocache", NULL
};

static const char *const sum_routines[] = {
	"csum_partial", "csum_partial_copy_generic", "do_csum", "ip_compute_csum", NULL
};

struct function {
	uint64_t	addr;
	const char	*name;
	uint64_t	insns;		/* filled for a profile only */
	uint64_t	entries;
};

/* A translated block; blocks are never forgotten, though QEMU may translate again. */
struct block {
	uint64_t	addr;
	uint64_t	insns;		/* in the block */
	uint64_t	executed;
};

/* Loads that follow each other in memory */
struct run {
	uint64_t	next;
	uint64_t	len;
	uint64_t	bytes;		/* in runs that are long enough */
};

static struct function *functions;
static size_t nr_functions;
static struct block **blocks;
static size_t nr_blocks;

static uint64_t syscall_entry;
static uint64_t syscalls, page_refs, atomics;
static struct run copied, summed;

static FILE *out, *profile;
static unsigned int section;

static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("insns: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* Room for one more in an array that doubles */
static void *grow(void *array, size_t nr, size_t size)
{
	if (nr & (nr - 1) || (nr && nr < 1024))
		return array;
	array = realloc(array, (nr < 1024 ? 1024 : nr * 2) * size);
	if (!array)
		die("out of memory");
	return array;
}

static bool in_kernel(uint64_t addr)
{
	return addr >> 63;
}

/* ---- System.map ---- */

static int by_address(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr ? 1 : strcmp(x->name, y->name);
}

static void read_map(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long addr;
	char type, name[256];

	if (!f)
		die("%s: %s", path, strerror(errno));
	while (fscanf(f, "%lx %c %255s", &addr, &type, name) == 3) {
		if (!strchr("tTwW", type))
			continue;
		functions = grow(functions, nr_functions, sizeof(*functions));
		functions[nr_functions++] = (struct function){ .addr = addr, .name = strdup(name) };
		if (!strcmp(name, "entry_SYSCALL_64"))
			syscall_entry = addr;
	}
	fclose(f);
	if (!syscall_entry)
		die("%s names no entry_SYSCALL_64", path);
	qsort(functions, nr_functions, sizeof(*functions), by_address);
}

/* The first of those with the greatest address that is not above @addr */
static struct function *function_at(uint64_t addr)
{
	size_t low = 0, high = nr_functions;

	if (!nr_functions || addr < functions[0].addr)
		return NULL;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (functions[middle].addr <= addr)
			low = middle;
		else
			high = middle;
	}
	while (low && functions[low - 1].addr == functions[low].addr)
		low--;
	return &functions[low];
}

/* Several names may have one address. */
static bool named(const struct function *f, const char *const *names)
{
	const struct function *end = functions + nr_functions;
	uint64_t addr;

	if (!f)
		return false;
	for (addr = f->addr; f < end && f->addr == addr; f++)
		for (const char *const *name = names; *name; name++)
			if (!strcmp(f->name, *name))
				return true;
	return false;
}

/* ---- Sections ---- */

static void run_close(struct run *run)
{
	if (run->len >= RUN_MIN)
		run->bytes += run->len;
	run->len = 0;
}

static void run_load(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
	struct run *run = data;
	unsigned int size = 1U << qemu_plugin_mem_size_shift(info);

	(void)cpu;
	if (vaddr != run->next)
		run_close(run);
	run->len += size;
	run->next = vaddr + size;
}

static void locked_store(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t vaddr,
			 void *data)
{
	(void)cpu;
	(void)data;
	if (!qemu_plugin_mem_is_store(info))
		return;
	atomics++;
	if ((vaddr >= VMEMMAP4_BEGIN && vaddr < VMEMMAP4_END) ||
	    (vaddr >= VMEMMAP5_BEGIN && vaddr < VMEMMAP5_END))
		page_refs += vaddr % PAGE_STRUCT_SIZE == PAGE_REFCOUNT_OFFSET;
}

static void section_begin(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	for (size_t i = 0; i < nr_blocks; i++)
		blocks[i]->executed = 0;
	syscalls = page_refs = atomics = 0;
	copied = summed = (struct run){ 0 };
}

static int by_insns(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	return x->insns < y->insns ? 1 : x->insns > y->insns ? -1 : 0;
}

static void print_profile(void)
{
	struct function *list = NULL;
	size_t nr = 0;

	for (size_t i = 0; i < nr_functions; i++)
		functions[i].insns = functions[i].entries = 0;
	for (size_t i = 0; i < nr_blocks; i++) {
		struct block *b = blocks[i];
		struct function *f = in_kernel(b->addr) ? function_at(b->addr) : NULL;

		if (!b->executed)
			continue;
		if (f) {
			f->insns += b->insns * b->executed;
			if (b->addr == f->addr)
				f->entries += b->executed;
			continue;
		}
		list = grow(list, nr, sizeof(*list));
		list[nr++] = (struct function){ .addr = b->addr, .insns = b->insns * b->executed,
						.entries = b->executed };
	}
	for (size_t i = 0; i < nr_functions; i++) {
		if (!functions[i].insns)
			continue;
		list = grow(list, nr, sizeof(*list));
		list[nr++] = functions[i];
	}
	qsort(list, nr, sizeof(*list), by_insns);
	fprintf(profile, "section %u\n", section);
	for (size_t i = 0; i < nr; i++) {
		if (list[i].name)
			fprintf(profile, "kernel %lu %lu %s\n", list[i].insns, list[i].entries,
				list[i].name);
		else
			fprintf(profile, "user %lu %lu %#lx\n", list[i].insns, list[i].entries,
				list[i].addr);
	}
	fflush(profile);
	free(list);
}

static void section_end(unsigned int cpu, void *data)
{
	uint64_t insns[2] = { 0 };

	(void)cpu;
	(void)data;
	for (size_t i = 0; i < nr_blocks; i++)
		insns[in_kernel(blocks[i]->addr)] += blocks[i]->insns * blocks[i]->executed;
	run_close(&copied);
	run_close(&summed);
	fprintf(out, "{\"user\": %lu, \"kernel\": %lu, \"syscalls\": %lu, \"copied\": %lu, "
		"\"summed\": %lu, \"page_refs\": %lu, \"atomics\": %lu}\n", insns[0], insns[1],
		syscalls, copied.bytes, summed.bytes, page_refs, atomics);
	fflush(out);
	if (profile)
		print_profile();
	section++;
}

/* ---- Translation ---- */

/* nopl 0x1017bec0+n(%rax,%rax,1): section begins (0) or ends (1) */
static void watch_mark(struct qemu_plugin_insn *insn)
{
	static const uint8_t mark[8] = { 0x0f, 0x1f, 0x84, 0x00, 0xc0, 0xbe, 0x17, 0x10 };
	const uint8_t *code = qemu_plugin_insn_data(insn);

	if (qemu_plugin_insn_size(insn) != sizeof(mark) || memcmp(code, mark, 4) ||
	    memcmp(code + 5, mark + 5, 3) || (code[4] & ~1) != mark[4])
		return;
	qemu_plugin_register_vcpu_insn_exec_cb(insn, code[4] & 1 ? section_end : section_begin,
					       QEMU_PLUGIN_CB_NO_REGS, NULL);
}

static void watch_kernel(struct qemu_plugin_insn *insn)
{
	uint64_t addr = qemu_plugin_insn_vaddr(insn);
	const struct function *f = function_at(addr);
	const uint8_t *code = qemu_plugin_insn_data(insn);

	if (named(f, copy_routines))
		qemu_plugin_register_vcpu_mem_cb(insn, run_load, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_R, &copied);
	else if (named(f, sum_routines))
		qemu_plugin_register_vcpu_mem_cb(insn, run_load, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_R, &summed);
	if (code[0] == PREFIX_LOCK)
		qemu_plugin_register_vcpu_mem_cb(insn, locked_store, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_W, NULL);
	if (addr == syscall_entry)
		qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
							   &syscalls, 1);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t nr = qemu_plugin_tb_n_insns(tb);
	struct block *block = malloc(sizeof(*block));

	(void)id;
	if (!block)
		die("out of memory");
	*block = (struct block){ .addr = qemu_plugin_tb_vaddr(tb), .insns = nr };
	blocks = grow(blocks, nr_blocks, sizeof(*blocks));
	blocks[nr_blocks++] = block;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
						 &block->executed, 1);
	for (size_t i = 0; i < nr; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (in_kernel(block->addr))
			watch_kernel(insn);
		else
			watch_mark(insn);
	}
}

static FILE *create(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		die("%s: %s", path, strerror(errno));
	return f;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			die("%s: not name=value", argv[i]);
		*value++ = 0;
		if (!strcmp(argv[i], "map"))
			read_map(value);
		else if (!strcmp(argv[i], "out"))
			out = create(value);
		else if (!strcmp(argv[i], "profile"))
			profile = create(value);
		else
			die("%s: no such option", argv[i]);
	}
	if (!out || !nr_functions)
		die("map= and out= are needed");
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * IO-Lite: statistics in /sys/kernel/mm/iolite, limits in /proc/sys/vm.
 *
 * The count of copied bytes is always on (I2), and every gauge is back where
 * it began when the last ring and pool are gone (I6).
 */
#include <linux/init.h>
#include <linux/iolite.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/sysctl.h>
#include <linux/sysfs.h>

DEFINE_PER_CPU(struct iolite_counters, iolite_counters);

unsigned long sysctl_iolite_max_user_pages __read_mostly;
unsigned long sysctl_iolite_max_pool_bytes __read_mostly;
unsigned int sysctl_iolite_max_slots __read_mostly = IOLITE_MAX_SLOTS;

/**
 * iolite_stat_read - sum of a statistic over all CPUs
 * @stat: which
 *
 * Return: the sum; exact only while nothing moves.
 */
long iolite_stat_read(enum iolite_stat stat)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(iolite_counters.stat[stat], cpu));
	return sum;
}

static u64 iolite_copied(enum iolite_copy_reason reason)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(iolite_counters.copied[reason], cpu));
	return sum;
}

struct iolite_stat_attr {
	struct kobj_attribute	attr;
	int			nr;
};

static ssize_t iolite_stat_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct iolite_stat_attr *sa = container_of(attr, struct iolite_stat_attr, attr);

	return sysfs_emit(buf, "%ld\n", iolite_stat_read(sa->nr));
}

static ssize_t iolite_copied_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct iolite_stat_attr *sa = container_of(attr, struct iolite_stat_attr, attr);

	return sysfs_emit(buf, "%llu\n", iolite_copied(sa->nr));
}

static ssize_t copied_bytes_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < IOLITE_COPY_NR; i++)
		sum += iolite_copied(i);
	return sysfs_emit(buf, "%llu\n", sum);
}

static struct kobj_attribute copied_bytes_attr = __ATTR_RO(copied_bytes);

#define IOLITE_ATTR(_name, _show, _nr)						\
	static struct iolite_stat_attr iolite_attr_##_name = {			\
		.attr = __ATTR(_name, 0444, _show, NULL), .nr = _nr }
#define STAT_ATTR(_name, _nr)	IOLITE_ATTR(_name, iolite_stat_show, IOLITE_STAT_##_nr)
#define COPY_ATTR(_name, _nr)	IOLITE_ATTR(_name, iolite_copied_show, IOLITE_COPY_##_nr)

STAT_ATTR(buffers, BUFS);
STAT_ATTR(aggregates, AGGS);
STAT_ATTR(nodes, NODES);
STAT_ATTR(slots, SLOTS);
STAT_ATTR(pools, POOLS);
STAT_ATTR(pool_pages, POOL_PAGES);
STAT_ATTR(readonly_pages, READONLY_PAGES);
STAT_ATTR(file_pages, FILE_PAGES);
STAT_ATTR(window_pages, WINDOW_PAGES);
STAT_ATTR(grants, GRANTS);
STAT_ATTR(domains, DOMAINS);
STAT_ATTR(shared_bytes, SHARED_BYTES);
STAT_ATTR(sent_bytes, SENT_BYTES);
STAT_ATTR(written_bytes, WRITTEN_BYTES);
STAT_ATTR(direct_bytes, DIRECT_BYTES);
STAT_ATTR(cow_folios, COW_FOLIOS);
STAT_ATTR(unsealed_folios, UNSEALED_FOLIOS);
STAT_ATTR(cow_again, COW_AGAIN);
STAT_ATTR(dropped_folios, DROPPED_FOLIOS);
STAT_ATTR(inplace_refused, INPLACE_REFUSED);
COPY_ATTR(copied_alloc, ALLOC);
COPY_ATTR(copied_fs, FS);
COPY_ATTR(copied_direct, DIRECT);
COPY_ATTR(copied_special, SPECIAL);
COPY_ATTR(copied_mapped, MAPPED);
COPY_ATTR(copied_pinned, PINNED);
COPY_ATTR(copied_busy, BUSY);
COPY_ATTR(copied_hole, HOLE);
COPY_ATTR(copied_edge, EDGE);
COPY_ATTR(copied_file_write, FILE_WRITE);
COPY_ATTR(copied_cow, COW);

#define ATTR_PTR(_name)	(&iolite_attr_##_name.attr.attr)

static struct attribute *iolite_attrs[] = {
	ATTR_PTR(buffers),
	ATTR_PTR(aggregates),
	ATTR_PTR(nodes),
	ATTR_PTR(slots),
	ATTR_PTR(pools),
	ATTR_PTR(pool_pages),
	ATTR_PTR(readonly_pages),
	ATTR_PTR(file_pages),
	ATTR_PTR(window_pages),
	ATTR_PTR(grants),
	ATTR_PTR(domains),
	ATTR_PTR(shared_bytes),
	ATTR_PTR(sent_bytes),
	ATTR_PTR(written_bytes),
	ATTR_PTR(direct_bytes),
	ATTR_PTR(cow_folios),
	ATTR_PTR(unsealed_folios),
	ATTR_PTR(cow_again),
	ATTR_PTR(dropped_folios),
	ATTR_PTR(inplace_refused),
	&copied_bytes_attr.attr,
	ATTR_PTR(copied_alloc),
	ATTR_PTR(copied_fs),
	ATTR_PTR(copied_direct),
	ATTR_PTR(copied_special),
	ATTR_PTR(copied_mapped),
	ATTR_PTR(copied_pinned),
	ATTR_PTR(copied_busy),
	ATTR_PTR(copied_hole),
	ATTR_PTR(copied_edge),
	ATTR_PTR(copied_file_write),
	ATTR_PTR(copied_cow),
	NULL,
};

static const struct attribute_group iolite_attr_group = {
	.name	= "iolite",
	.attrs	= iolite_attrs,
};

static unsigned int iolite_slots_limit = IOLITE_MAX_SLOTS;

static const struct ctl_table iolite_sysctls[] = {
	{
		.procname	= "iolite_max_user_pages",
		.data		= &sysctl_iolite_max_user_pages,
		.maxlen		= sizeof(sysctl_iolite_max_user_pages),
		.mode		= 0644,
		.proc_handler	= proc_doulongvec_minmax,
	},
	{
		.procname	= "iolite_max_pool_bytes",
		.data		= &sysctl_iolite_max_pool_bytes,
		.maxlen		= sizeof(sysctl_iolite_max_pool_bytes),
		.mode		= 0644,
		.proc_handler	= proc_doulongvec_minmax,
	},
	{
		.procname	= "iolite_max_slots",
		.data		= &sysctl_iolite_max_slots,
		.maxlen		= sizeof(sysctl_iolite_max_slots),
		.mode		= 0644,
		.proc_handler	= proc_douintvec_minmax,
		.extra1		= SYSCTL_ONE,
		.extra2		= &iolite_slots_limit,
	},
};

static int __init iolite_stat_init(void)
{
	/* A quarter of the memory each: enough to serve, not to starve others. */
	sysctl_iolite_max_user_pages = totalram_pages() / 4;
	sysctl_iolite_max_pool_bytes = (totalram_pages() / 4) << PAGE_SHIFT;

	register_sysctl_init("vm", iolite_sysctls);
	return sysfs_create_group(mm_kobj, &iolite_attr_group);
}
late_initcall(iolite_stat_init);

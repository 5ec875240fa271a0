# SPDX-License-Identifier: GPL-2.0
"""What is run on both kernels: the parts, and the programs of each.

A program has a name, which its results begin with, a command for the guest's shell, and
a limit in seconds. $fs is a directory with a file system of each kind below it, $bin has
this directory's own programs, $kselftest what selftests.sh installed.
"""

import os

FILE_SYSTEMS = ("tmpfs", "ext4", "xfs", "btrfs")


class Program:
    def __init__(self, name, command, limit):
        self.name, self.command, self.limit = name, command, limit


# ---- fsx and what is like it ----

# After it, the file as a new mount shows it
EXERCISE = ('$bin/exercise {seed} {operations} $fs/{where}/exercise && remount {where} && '
            'cmp $fs/{where}/exercise $fs/{where}/exercise.good')

# fio's examples have a job that works as fsx does; here with 4 KiB and with larger
# blocks, by all engines that a file system of the page cache has, and verified.
FIO = ("fio --name={name} --directory=$fs/{where} --size=2m --rw=randrw --rwmixwrite=40 "
       "--bs={block} --randseed={seed} --loops=2 --verify=crc32c --verify_fatal=1 "
       "--verify_backlog=16 --ioengine={engine} --output-format=terse {more}")

ENGINES = (
    ("psync", "psync", "4k", ""),
    ("psync-64k", "psync", "64k", "--fadvise_hint=0"),
    ("mmap", "mmap", "4k", ""),
    ("libaio", "libaio", "4k", "--iodepth=1"),
    ("io_uring", "io_uring", "16k", "--iodepth=8"),
    ("splice", "splice", "4k", ""),
    ("pvsync2", "pvsync2", "8k", "--fsync=16"),
    ("direct", "libaio", "4k", "--direct=1 --iodepth=4"),
    ("mixed", "psync", "4k", "--numjobs=2 --invalidate=0"),
)


def fsx():
    for where in FILE_SYSTEMS:
        for seed in (1, 2, 3, 4):
            yield Program(f"exercise/{where}/{seed}",
                          EXERCISE.format(seed=seed, operations=1000, where=where), 240)
        for name, engine, block, more in ENGINES:
            yield Program(f"fio/{where}/{name}",
                          FIO.format(name=name, where=where, block=block, seed=len(name),
                                     engine=engine, more=more), 60)


# ---- stress-ng ----

# Stressors of data in files run on every file system; each is bounded by its count of
# operations, and by seconds for a machine that is slow.
STRESS = ("stress-ng --{stressor} {workers} --{stressor}-ops {operations} {more} --verify "
          "--timeout 20 --temp-path $fs/{where} --no-rand-seed --oomable")

# stressor, operations, more options; a name of its own where it runs twice
DATA = (
    ("hdd", 400, "--hdd-bytes 4m --hdd-write-size 16k --hdd-opts wr-rnd,rd-rnd,fadv-normal"),
    ("hdd", 200, "--hdd-bytes 2m --hdd-opts iovec,fdatasync", "hdd-iovec"),
    ("hdd", 100, "--hdd-bytes 2m --hdd-opts direct,wr-seq,rd-seq", "hdd-direct"),
    ("aio", 200, ""),
    ("copy-file", 20, "--copy-file-bytes 128m"),
    ("fallocate", 20, "--fallocate-bytes 4m"),
    ("fpunch", 10, ""),
    ("fsize", 5, ""),
    ("iomix", 50, "--iomix-bytes 4m"),
    ("mmap", 4, "--mmap-bytes 2m --mmap-file --mmap-mprotect"),
    ("mmap", 4, "--mmap-bytes 2m --mmap-file --mmap-async", "mmap-async"),
    ("msync", 200, "--msync-bytes 2m"),
    ("msyncmany", 50, ""),
    ("readahead", 200, "--readahead-bytes 4m"),
    ("revio", 200, "--revio-bytes 4m"),
    ("seek", 500, "--seek-size 2m"),
    ("sendfile", 50, "--sendfile-size 1m"),
    ("splice", 500, ""),
    ("stackmmap", 4, ""),
    ("sync-file", 20, "--sync-file-bytes 2m"),
)

# The others run once, on tmpfs.
OTHERS = (
    # files
    ("access", 20, ""), ("chmod", 20, ""), ("dentry", 200, "--dentries 100"), ("dir", 100, ""),
    ("dup", 200, ""), ("eventfd", 500, ""), ("fcntl", 50, ""), ("fiemap", 50, ""),
    ("filename", 20, ""), ("flock", 200, ""), ("fstat", 50, ""), ("getdent", 50, ""),
    ("handle", 50, ""), ("inotify", 20, ""), ("io", 50, ""), ("lease", 50, ""), ("link", 20, ""),
    ("locka", 100, ""), ("lockf", 100, ""), ("lockofd", 100, ""), ("mknod", 20, ""),
    ("open", 500, ""), ("rename", 200, ""), ("symlink", 20, ""), ("touch", 100, ""),
    ("utime", 200, ""), ("xattr", 10, ""), ("zero", 500, ""), ("null", 500, ""),
    # memory that is mapped
    ("madvise", 10, ""), ("memfd", 10, "--memfd-bytes 4m --memfd-fds 16"), ("mincore", 20, ""),
    ("mlock", 50, ""), ("mmapaddr", 200, ""), ("mmapfixed", 50, ""), ("mmapfork", 1, ""),
    ("mmaphuge", 5, ""), ("mmapmany", 2, ""), ("mprotect", 100, ""),
    ("mremap", 10, "--mremap-bytes 2m"), ("munmap", 2, ""), ("pagemove", 20, ""),
    ("remap", 5, ""), ("rmap", 20, ""), ("fault", 200, ""), ("shm", 5, "--shm-bytes 2m"),
    ("shm-sysv", 5, "--shm-sysv-bytes 2m"), ("tmpfs", 50, ""), ("dev-shm", 5, ""),
    ("vm", 500, "--vm-bytes 4m"), ("vm-rw", 10, "--vm-rw-bytes 1m"), ("vm-addr", 5, ""),
    ("env", 5, ""), ("brk", 500, ""), ("stack", 20, ""), ("fork", 50, ""), ("vforkmany", 20, ""),
    # pipes, sockets
    ("vm-splice", 500, ""), ("tee", 200, ""), ("pipe", 2000, ""),
    ("ring-pipe", 200, "--ring-pipe-splice"), ("sock", 50, ""),
    ("sock", 50, "--sock-zerocopy --sock-opts sendmsg", "sock-zerocopy"),
    ("sockdiag", 50, ""), ("sockfd", 200, ""), ("sockmany", 20, ""), ("sockpair", 200, ""),
    ("udp", 100, ""), ("epoll", 100, ""), ("poll", 100, ""),
    # user space as the one who pages
    ("userfaultfd", 500, "--userfaultfd-bytes 4m"),
)


def stress():
    for where in ("tmpfs", "ext4", "xfs"):
        yield from (stressor(where, 2, *row) for row in DATA)
    yield from (stressor("tmpfs", 1, *row) for row in OTHERS)


def stressor(where, workers, name, operations, more, called=None):
    return Program(f"{called or name}/{where}",
                   STRESS.format(stressor=name, workers=workers, operations=operations,
                                 more=more, where=where), 45)


# ---- The kernel's selftests ----

# mm/run_vmtests.sh takes hours under TCG and reports whole programs; here each of its
# programs is one of its own, with arguments for a slow machine.
MM = (
    ("map_fixed_noreplace", "", 30), ("map_populate", "", 30), ("droppable", "", 60),
    ("gup_test", "-u -n 1 -m 16", 60), ("gup_test", "-a -n 1 -m 16", 60),
    ("gup_test", "-L -S -w -n 123 -m 16", 60),
    ("gup_test", "-ct -F 0x1 0 19 0x1000", 60), ("gup_longterm", "", 180),
    ("uffd-unit-tests", "", 600), ("uffd-stress", "anon 8 4", 120),
    ("uffd-stress", "shmem 8 4", 120), ("uffd-stress", "shmem-private 8 4", 120),
    ("uffd-wp-mremap", "", 90), ("mlock-random-test", "", 60), ("mlock2-tests", "", 60),
    ("mrelease_test", "", 60), ("mremap_test", "", 180), ("mremap_dontunmap", "", 60),
    ("guard-regions", "", 300), ("madv_populate", "", 60), ("process_madv", "", 60),
    ("merge", "", 60), ("memfd_secret", "", 60), ("ksm_tests", "-M -p 10", 60),
    ("ksm_tests", "-U", 60), ("ksm_tests", "-Z -p 10 -z 1", 60), ("ksm_functional_tests", "", 120),
    ("protection_keys_64", "", 120), ("soft-dirty", "", 120), ("pagemap_ioctl", "", 240),
    ("pfnmap", "", 60), ("cow", "", 300), ("khugepaged", "all:shmem", 240),
    ("khugepaged", "all:file $fs/xfs", 360), ("split_huge_page_test", "$fs/xfs", 240),
    ("transhuge-stress", "-d 2", 90), ("folio_split_race_test", "", 300), ("mkdirty", "", 60),
    ("mdwe_test", "", 60), ("mseal_test", "", 60), ("rmap", "", 120), ("memory-failure", "", 120),
    ("prctl_thp_disable", "", 60), ("compaction_test", "", 120), ("migration", "", 120),
    ("hugetlb-madvise", "", 60), ("hugetlb_dio", "", 60), ("hugetlb-mmap", "", 60),
    ("hugetlb_fault_after_madv", "", 240), ("thuge-gen", "", 60), ("on-fault-limit", "", 30),
)

# Directories of tests whose programs all run as they are
WHOLE = ("splice", "tmpfs", "memfd", "mincore", "cachestat", "exec", "filesystems",
         "filesystems/epoll", "filesystems/eventfd", "filesystems/statmount", "pipe", "proc",
         "net/af_unix")

# Of net, what is about sockets and their data and needs neither clang nor a tool
# that is not in this machine
NET = (
    "bind_timewait", "bind_wildcard", "epoll_busy_poll", "getsockopt_iter", "icmp_rfc4884",
    "ipv6_flowlabel_mgr", "ipv6_fragmentation", "reuseaddr_conflict", "reuseport_bpf",
    "reuseport_bpf_cpu", "reuseport_bpf_numa", "reuseport_dualstack", "sk_bind_sendto_listen",
    "sk_connect_zero_addr", "sk_so_peek_off", "so_incoming_cpu", "so_netns_cookie",
    "tap", "tcp_port_share", "tls", "udp_splice_checksum", "tun", "netlink-dumps", "socket",
    "big_tcp.sh", "bind_bhash.sh", "cmsg_ip.sh", "cmsg_so_mark.sh", "cmsg_so_priority.sh",
    "fin_ack_lat.sh", "gre_gso.sh", "io_uring_zerocopy_tx.sh", "ip_defrag.sh",
    "ip_local_port_range.sh", "ipv6_flowlabel.sh", "msg_zerocopy.sh", "psock_snd.sh",
    "reuseaddr_ports_exhausted.sh", "reuseport_addr_any.sh", "run_afpackettests",
    "run_netsocktests", "rxtimestamp.sh", "skf_net_off.sh", "stress_reuseport_listen.sh",
    "tcp_fastopen_backup_key.sh", "tcp_inq", "txtimestamp.sh", "txring_overwrite", "udpgro.sh",
    "udpgso.sh", "udpgso_bench.sh", "unicast_extensions.sh", "veth.sh",
)

NET_LIMIT = 150
WHOLE_LIMIT = 90
SLOW = {"epoll_wakeup_test": 240, "tls": 900, "unicast_extensions.sh": 300,
        "tcp_fastopen_backup_key.sh": 300, "cmsg_so_priority.sh": 300}
# These measure for as long as they are let.
LEFT_OUT = ("filesystems/file_stressor", "proc/proc-maps-race", "pipe/pipe_bench")


def selftests(installed):
    for name, arguments, limit in MM:
        called = " ".join([name, *[a for a in arguments.split() if not a.startswith("$")]])
        yield selftest("mm", called, f"./{name} {arguments}", limit)
    with open(os.path.join(installed, "kselftest-list.txt"), encoding="utf-8") as f:
        listed = [line.strip().split(":") for line in f if ":" in line and " " not in line.strip()]
    for directory, name in listed:
        if directory in WHOLE and f"{directory}/{name}" not in LEFT_OUT:
            yield selftest(directory, name, f"./{name}", SLOW.get(name, WHOLE_LIMIT))
    for name in NET:
        yield selftest("net", name, f"./{name}", SLOW.get(name, NET_LIMIT))


def selftest(directory, called, command, limit):
    return Program(f"{directory}/{called}", f"cd $kselftest/{directory} && {command}", limit)

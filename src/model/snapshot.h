/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What /proc and sock_diag told about processes at one moment: plain data, so that select and preflight are
 * tested without any process. proc/procfs.h makes one. */

#include "model/snap-mount.h"
#include "model/snap-numbers.h"
#include "model/snapshot-fd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Of SnapFd, SnapMap, SnapProcess: a new pointer is also released in snapshot.c, and sent and received in
 * proc/child.c. */

typedef struct SnapProcess {
        pid_t pid, ppid, pgid, sid;
        SnapNumbers own;
        pid_t *tids;
        size_t n_tids;
        uint64_t start; /* host's clock ticks; looked at from a carried session up to one less */
        char state;     /* R S D T t ..., Z from the first step of its end on */
        bool kernel_thread;
        char comm[64];
        char title[64];    /* what sshd's call themselves, conmon's container; else empty: arguments may be
                              secret */
        char *label;       /* AppArmor's, of the first thread; NULL: it does not run */
        char *exe;         /* readlink, " (deleted)" cut off; NULL for kernel threads and zombies */
        uid_t uid, euid;   /* real, effective */
        bool is_roots;     /* all its user ids are 0 */
        pid_t tracer;      /* who ptraces it, or 0 */
        int nice, ioprio;  /* ioprio_get(2)'s, which follows nice where it was never set */
        uint8_t *affinity; /* cpu_set_t of n_affinity bytes, only if not all CPUs that are online */
        size_t n_affinity;
        char *cgroup;                            /* v2 path, "/user.slice/..." */
        bool elsewhere;                          /* is in a group of another hierarchy, too */
        int tty_index;                           /* controlling terminal on devpts, else -1 */
        int seccomp;                             /* 0 none, 1 strict, 2 filter */
        bool no_new_privs, ambient, personality; /* has ambient capabilities, an odd personality(2) */
        uint64_t huge_page, huge;       /* size of the largest huge page, or 0; bytes in all that it maps */
        uint64_t unwritable;            /* bytes of private mappings that it must not write to */
        bool is_32bit, guarded, no_thp; /* all below 4 GiB; prctl: speculates less, no huge pages */
        SnapSlack *slacks;              /* of threads that do not have PID 1's */
        size_t n_slacks;
        bool has_core, numa, sealed; /* a thread: core scheduling; memory: a policy of NUMA, mseal(2) */
        int stop_signal;             /* what stopped it, if its parent has not asked yet; else 0 */
        bool resets, trapped;        /* a thread has SCHED_RESET_ON_FORK; a SIGTRAP waits for one */
        unsigned libraries;          /* SnapLibrary: what it maps of those that matter */
        uint64_t ns_pid, ns_mnt, ns_net, ns_user, ns_ipc, ns_uts, ns_cgroup; /* inode numbers */
        uint64_t rss_bytes; /* anonymous and shared memory, swap included: what its images would hold */
        uint64_t sysv_shm, n_open;      /* SysV shared mappings; descriptors, counted before the look */
        bool beyond, unreadable, stuck; /* more than is looked at; what root may not (FUSE); not in time */
        SnapMap *maps;
        size_t n_maps;
        int *mounts; /* ids of all that its program, directories, files, mappings and socket names lie on */
        size_t n_mounts;
        SnapFd *fds;
        size_t n_fds;
        char **watches; /* files that its inotify descriptors watch and that the next boot does not have */
        size_t n_watches;
        size_t first_child, next_sibling; /* snapshot_sort(): places in the list, from 1; 0: there is none */
} SnapProcess;

typedef struct SnapUnix {
        uint64_t ino, peer; /* peer 0: none */
        int type, state;    /* SOCK_STREAM ...; TCP_ESTABLISHED, TCP_LISTEN ... as unix_diag gives it */
        bool dead_peer;     /* it was connected and its peer has closed */
        char *path;         /* bound name, "@abstract", or NULL */
        bool is_volatile;   /* the bound name: as SnapFd's */
} SnapUnix;

#define SNAP_ULP_MAX 16 /* TCP_ULP_NAME_MAX, with its NUL */

typedef struct SnapInet {
        uint64_t ino;
        int family, protocol, state;   /* AF_INET/AF_INET6; IPPROTO_TCP/IPPROTO_UDP; TCP_ESTABLISHED ... */
        uint8_t local[16], remote[16]; /* network order; AF_INET: the first 4 bytes. v4-mapped stay v6 */
        uint16_t local_port, remote_port;
        uint32_t rqueue;        /* for TCP_LISTEN the accept queue */
        char ulp[SNAP_ULP_MAX]; /* what is between TCP and the program ("tls"); mostly "" */
        bool is_signed;         /* segments carry signatures (TCP_MD5SIG) */
        bool to_self; /* connected with an address of this machine, the loopback's or another one */
} SnapInet;

/* What the manager of a container calls it: not in /proc. */
typedef struct SnapContainer {
        char *shown, *name; /* as container_of() has it; "docker web" */
} SnapContainer;

typedef struct Snapshot {
        SnapProcess *processes;
        size_t n_processes;
        SnapUnix *unixes;
        size_t n_unixes;
        SnapInet *inets;
        size_t n_inets;
        SnapHolder *holders;
        size_t n_holders;
        SnapMount *mounts; /* in the order of mountinfo */
        size_t n_mounts;
        SnapContainer *containers; /* inspect/containers.h; none elsewhere */
        size_t n_containers;
        bool sorted; /* processes by PID, unixes and inets by inode, holders: snapshot_sort() was called */
        bool holders_cut;      /* not all who may hold something were looked at */
        uint16_t questions[2]; /* first and last port that the kernel gives to who has none; 0: not known */
        bool huge_by_boot;  /* each boot makes as many huge pages as now; asked only if a process has some */
        uint64_t huge_most; /* then: bytes in huge pages that a restore makes at most */
        bool strict;        /* the kernel promises no more memory than it has (vm.overcommit_memory=2) */
        uint64_t promisable; /* then: bytes that it may still promise */
        bool no_diag;        /* the kernel cannot list sockets (module gone): unixes and inets say nothing */
        bool sockets_late;   /* not all were listed in time: of the trees' own, too, some may be missing */
        bool ports_unknown; /* not all that wait at ports are known: no port is known to be a tree's alone */
        uint64_t own_mnt, own_net, own_pid, own_user, own_ipc, own_uts,
                        own_cgroup; /* namespaces of the one who looks */
} Snapshot;

Snapshot *snapshot_free(Snapshot *s);
static inline void snapshot_freep(Snapshot **p) {
        (void)snapshot_free(*p);
}

/* For fast look-ups; without it they search from the front. Pointers into the lists change. */
void snapshot_sort(Snapshot *s);

SnapNumbers snap_own_numbers(const SnapProcess *p); /* the host's where nobody asked for others */
void snap_process_done(SnapProcess *p);             /* what it holds, not the process itself */

/* NULL if there is none. */
const SnapProcess *snapshot_process(const Snapshot *s, pid_t pid);
const SnapUnix *snapshot_unix(const Snapshot *s, uint64_t ino);
const SnapInet *snapshot_inet(const Snapshot *s, uint64_t ino);
const SnapHolder *snapshot_holder(const Snapshot *s, FdKind kind, uint64_t id); /* one of them */
bool snapshot_is_held_by(const Snapshot *s, FdKind kind, uint64_t id, pid_t pid);

/* The name that no boot brings and that must be there again; NULL: none, as of logind's foreign FIFO. */
const char *snapshot_volatile_name(const Snapshot *s, const SnapFd *f);

/* PID 1 of the namespace that a tree came back in, and the one that is p's parent (NULL: it is none). */
bool snap_is_tree_init(const SnapProcess *p);
const SnapProcess *snapshot_tree_init(const Snapshot *s, const SnapProcess *p);

/* root and all its descendants, root first, parents before children. -ESRCH if root is not in the snapshot.
 * Caller frees *ret. */
int snapshot_tree(const Snapshot *s, pid_t root, const SnapProcess ***ret, size_t *ret_n);

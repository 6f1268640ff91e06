/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: what the files that look at processes share. */

#include "kernel/mounts.h"
#include "model/snapshot.h"

#include <stdatomic.h>

/* More than this is no session but an attack on whoever looks at it. Of processes there are as many as the
 * kernel allows: a bound here would let one user keep everybody from being carried. */
#define PROCFS_MAX_THREADS 65536u
#define PROCFS_MAX_FDS     65536u
#define PROCFS_MAX_MAPS    65536u
#define PROCFS_MAX_WATCHES 65536u /* of one tree */
#define PROCFS_MAX_SOCKETS (1u << 22)

/* Fill fds or maps of p; -ESRCH if it is gone by now. pid_dir is /proc/PID. */
int procfs_fds(int pid_dir, const Mounts *mounts, SnapProcess *p);
int procfs_maps(int pid_dir, const Mounts *mounts, SnapProcess *p);

/* Notes a mount with p, once; one that our namespace does not have is left out. */
int procfs_stands_on(const Mounts *mounts, SnapProcess *p, int mnt_id);
/* The one that a link of /proc/PID leads to, if it leads anywhere. */
int procfs_stands_by(int pid_dir, const char *link, const Mounts *mounts, SnapProcess *p);
/* Those of its program, root and working directory, descriptors. */
int procfs_mounts(int pid_dir, const Mounts *mounts, SnapProcess *p);
/* When sockets are known: those of their names, then fills s->mounts. `others`: of the trees' own mount
 * namespaces. */
int procfs_mounts_end(Mounts *mounts, Mounts *others, size_t n_others, Snapshot *s);

/* One process without, and with, what it holds (procfs.c). offset: procfs_start_offset()'s. -ESRCH and its
 * like if it is gone; what is in *p is released by snap_process_done() whatever the answer. */
int procfs_process(int proc, pid_t pid, uint64_t offset, SnapProcess *p);
int procfs_process_deep(int proc, const Mounts *mounts, SnapProcess *p);
/* The multicast groups that this machine receives, beyond those of the kernel's own; read when first asked
 * for. */
typedef struct Group {
        int family;
        unsigned interface;
        uint8_t address[16];
} Group;

typedef struct Groups {
        Group *list;
        size_t n;
        bool known;
} Groups;

void groups_done(Groups *groups);
/* Fills multicast and group of a socket. -ENOMEM. */
int procfs_multicast(int pidfd, Groups *groups, SnapFd *f);

/* Fills options, is_signed and is_corked of an internet socket. */
void procfs_options(int pidfd, SnapFd *f);

bool procfs_is_epoll(const SnapFd *f);
/* Notes epolls of p that watch what it does not have (SnapFd.has_stray). `tree`: p and whoever may share
 * them, parents before children. */
int procfs_strays(int proc, const SnapProcess *const *tree, size_t n, SnapProcess *p);
/* Of a process of the same /proc, by the directory of another one; 0: there is none. */
pid_t procfs_parent(int pid_dir, pid_t pid);
uint64_t procfs_start_offset(int proc);
bool procfs_is_gone(int r);
/* Fills only those, of one that cannot be in the way. */
void procfs_namespaces(int proc, SnapProcess *p);
void procfs_own(int proc, Snapshot *s);

/* The state in its stat; 0 if it is gone. */
char process_state(pid_t pid);

/* Sockets that processes of the snapshot have open, the peers of unix sockets, and whoever waits at a port;
 * unread netlink data. Sets no_diag instead of failing where the kernel cannot tell, ports_unknown where
 * others have more than `most`, and this and sockets_late at the deadline. */
typedef struct SocketBounds {
        size_t most;
        uint64_t deadline;
} SocketBounds;
int procfs_sockets(const Mounts *mounts, SocketBounds bounds, Snapshot *s);

/* Descriptors of a process, counted up to `limit` (then limit + 1 is the answer). */
uint64_t procfs_count_fds(int proc, pid_t pid, uint64_t limit);

/* Fills s->holders: a walk over the fds of every process that has none in the snapshot, as many as are
 * looked at within two seconds; or what such a walk, and a look at other trees, has found before. */
int procfs_holders(Snapshot *s);
int procfs_holders_before(const Snapshot *before, Snapshot *s);

/*
 * A child that looks (child.c). `work` runs in it, with a descriptor to send frames to; it calls
 * child_begins() for each process and child_step() for each little thing that it does. What it has begun
 * with last is child->page->at, without its pointers.
 */
typedef enum FrameKind { FRAME_END, FRAME_PROCESS, FRAME_HOLDERS } FrameKind;

typedef struct Frame {
        FrameKind kind;
        char *data;
        size_t size;
} Frame;

typedef struct ChildPage {
        _Atomic uint64_t steps;
        pid_t parent;
        int parent_fd;
        SnapProcess at;
} ChildPage;

typedef struct Child {
        pid_t pid;
        int fd;
        ChildPage *page;
        uint64_t steps, moved;
} Child;

#define CHILD_NONE ((Child){.fd = -1})

typedef int ChildWork(int fd, void *userdata);

int child_start(ChildWork *work, void *userdata, Child *ret);
/* 1: there is a frame, 0: it is through; -ETIMEDOUT: it does not come on, or the deadline has passed;
 * -EPIPE: it has died. Without sentences. */
int child_next(Child *c, uint64_t deadline, Frame *ret);
/* SIGKILL. It may still send until the time that is the answer; then nothing changes in its page any
 * more. */
uint64_t child_kill(Child *c);
void child_end(Child *c);

void procfs_frame_done(Frame *f);
int procfs_frame_process(const Frame *f, SnapProcess *ret);

/* In the child; elsewhere they do nothing. */
void child_step(void);
void child_begins(const SnapProcess *p);
bool child_is_talk(pid_t pid, int fd); /* the descriptor by which its parent listens to it */
int child_send(int fd, FrameKind kind, const void *data, size_t size);
int child_send_process(int fd, const SnapProcess *p);

/* Fills slacks, has_core, numa, sealed, by tids. A list is read for a tenth of a second at most. */
int procfs_lost(int pid_dir, SnapProcess *p);
/* Whether any of its memory has a policy of NUMA, its own or its process's; whether any is sealed. */
bool procfs_has_policy(int pid_dir);
bool procfs_has_seal(int pid_dir);

/* Whether /proc/PID/status says that the process itself has the processor speculate less than others. */
bool procfs_is_guarded(const char *status);

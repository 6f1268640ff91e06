/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A snapshot made by hand, for tests of the pure rooms. Included by the test's one .c file. */

#include "base/cleanup.h"
#include "model/model.h"
#include "model/snapshot.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

/* Descriptors of a process that has as many as it can get; three times something. The address sanitizer
 * copies an array whenever it grows, so that making them alone would take minutes. */
#ifdef __SANITIZE_ADDRESS__
#define MANY 6000u
#else
#define MANY 60000u
#endif

#define NS 4026531836u

static inline SnapProcess *world_process(Snapshot *s, pid_t pid, pid_t ppid, const char *comm,
                                         const char *cgroup) {
        SnapProcess p = {
                        .pid = pid,
                        .ppid = ppid,
                        .pgid = pid,
                        .sid = pid,
                        .start = (uint64_t)pid * 10,
                        .state = 'S',
                        .tty_index = -1,
                        .cgroup = cgroup ? strdup(cgroup) : NULL,
        };

        strcpy(p.comm, comm);
        p.exe = strdup(strcmp(comm, "sshd") == 0           ? "/usr/sbin/sshd"
                       : strcmp(comm, "sshd-session") == 0 ? "/usr/lib/openssh/sshd-session"
                                                           : "/usr/bin/x");
        p.ns_pid = p.ns_mnt = p.ns_net = p.ns_user = p.ns_ipc = p.ns_uts = NS;
        assert_int_equal(model_append(p.tids, p.n_tids, pid), 0);
        assert_int_equal(model_append(s->processes, s->n_processes, p), 0);
        return s->processes + s->n_processes - 1;
}

static inline SnapProcess *world_at(Snapshot *s, pid_t pid) {
        return (SnapProcess *)(uintptr_t)snapshot_process(s, pid);
}

/* The descriptor gets the next number. */
static inline SnapFd *world_fd(Snapshot *s, pid_t pid, FdKind kind, uint64_t ino, const char *target) {
        SnapProcess *p = world_at(s, pid);
        SnapFd f = {.fd = (int)p->n_fds, .kind = kind, .ino = ino, .pty_index = -1, .mnt_id = 30};

        f.target = strdup(target ? target : "");
        assert_int_equal(model_append(p->fds, p->n_fds, f), 0);
        return p->fds + p->n_fds - 1;
}

static inline SnapUnix *world_unix(Snapshot *s, uint64_t ino, uint64_t peer, int type, const char *path) {
        SnapUnix u = {.ino = ino, .peer = peer, .type = type, .state = TCP_ESTABLISHED};

        u.path = path ? strdup(path) : NULL;
        assert_int_equal(model_append(s->unixes, s->n_unixes, u), 0);
        return s->unixes + s->n_unixes - 1;
}

static inline SnapInet *world_tcp(Snapshot *s, uint64_t ino, int state, uint32_t local, uint16_t local_port,
                                  uint32_t remote, uint16_t remote_port) {
        SnapInet i = {.ino = ino, .family = AF_INET, .protocol = IPPROTO_TCP, .state = state};

        local = htonl(local);
        remote = htonl(remote);
        memcpy(i.local, &local, 4);
        memcpy(i.remote, &remote, 4);
        i.local_port = local_port;
        i.remote_port = remote_port;
        assert_int_equal(model_append(s->inets, s->n_inets, i), 0);
        return s->inets + s->n_inets - 1;
}

/* Something of the process lies on it. */
static inline SnapMount *world_mount(Snapshot *s, pid_t pid, int id, const char *type, const char *point,
                                     MountOrigin origin) {
        SnapProcess *p = world_at(s, pid);
        bool known = false;
        SnapMount m = {.id = id,
                       .source = strdup("/dev/loop0"),
                       .type = strdup(type),
                       .root = strdup("/"),
                       .point = strdup(point),
                       .origin = origin};

        assert_int_equal(model_append(p->mounts, p->n_mounts, id), 0);
        for (size_t i = 0; i < s->n_mounts; i++)
                known |= s->mounts[i].id == id;
        if (!known)
                assert_int_equal(model_append(s->mounts, s->n_mounts, m), 0);
        else
                snap_mount_done(&m);
        return s->mounts + s->n_mounts - 1;
}

static inline Snapshot *world_new(void) {
        Snapshot *s = calloc(1, sizeof *s);

        assert_non_null(s);
        s->own_mnt = s->own_net = s->own_pid = s->own_user = s->own_ipc = s->own_uts = NS;
        world_process(s, 1, 0, "systemd", "/init.scope");
        world_process(s, 2, 0, "kthreadd", "/")->kernel_thread = true;
        world_process(s, 3, 2, "kworker/0:0", "/")->kernel_thread = true;
        return s;
}

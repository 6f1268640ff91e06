/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Files, devices and the kernel's anonymous descriptors. docs/CRIU.md, "FIFOs and pipes", "Replaced files",
 * "What cannot be dumped". */

#include "base/cleanup.h"
#include "base/text.h"
#include "preflight/checks.h"

#include <string.h>
#include <sys/sysmacros.h>

#define MAJOR_MEM 1u /* null, zero, full, random, urandom, kmsg: stateless, every kernel has them */

static const char *noun(const SnapFd *f) {
        if (f->fd < 0)
                return "the working directory";
        return f->kind == FD_DIR ? "the directory" : f->kind == FD_FIFO ? "the FIFO" : "the file";
}

/* Which process a file in /proc tells of; 0: none. */
static pid_t proc_owner(const char *path) {
        char number[16];
        size_t l;
        pid_t pid;

        if (!starts_with(path, "/proc/"))
                return 0;
        path += strlen("/proc/");
        l = strcspn(path, "/");
        if (l >= sizeof number || !path[l])
                return 0;
        memcpy(number, path, l);
        number[l] = '\0';
        return parse_pid(number, &pid) < 0 ? 0 : pid;
}

/* CRIU, which is root, opens it again: by then the process of that number may be another one, or have become
 * root by running sudo, and its memory would be in the hands of who had it open before. */
static int check_proc(const Check *c, const SnapFd *f) {
        pid_t owner = f->kind == FD_DIR ? 0 : proc_owner(f->target);
        Who who;

        if (owner == 0 || owner == snap_own_numbers(c->p).pid)
                return 0;
        return note_refused(c, "proc-file", "close it, or stop the program",
                            "%s has %s open, which belongs to another process", check_who(c->p, &who),
                            f->target);
}

/* What no boot brings is put back with its owner; somebody who could only read it must not bring it about
 * that a file of root's is there again. */
static bool is_others(const Check *c, uid_t owner) {
        return owner != c->p->euid && c->p->euid != 0;
}

static int note_others(const Check *c, const char *path) {
        Who who;

        return note_refused(
                        c, "others-file", "close it, or stop the program",
                        "%s has %s open, which belongs to another user and exists only in memory or in /tmp",
                        check_who(c->p, &who), path);
}

/* journald archives them at each boot, and CRIU opens the new file of the same name. */
static bool is_journal(const SnapFd *f) {
        return f->kind == FD_FILE && ends_with(f->target, ".journal") &&
               (starts_with(f->target, "/var/log/journal/") || starts_with(f->target, "/run/log/journal/"));
}

/* A reader has many of them open, and loses one thing. */
static bool is_first_journal(const Check *c, const SnapFd *f) {
        for (const SnapFd *other = c->p->fds; other < f; other++)
                if (is_journal(other))
                        return false;
        return true;
}

static int check_named(const Check *c, const SnapFd *f) {
        Who who;

        if (f->kind == FD_FIFO && model_is_session_fifo(f->target) && f->uid == 0)
                return 0; /* logind's: made again (select/describe.c) */
        if (strcmp(f->target, "/secretmem") == 0)
                return note_refused(c, "memfd-secret", "stop the program before the reboot",
                                    "%s uses secret memory (memfd_secret), which cannot be read",
                                    check_who(c->p, &who));
        if (f->mnt_foreign)
                return note_refused(c, "foreign-mount", "close it, or stop the program",
                                    "%s has %s %s open through a mount that does not exist in this mount "
                                    "namespace",
                                    check_who(c->p, &who), noun(f), f->target);
        if (f->deleted && f->kind == FD_DIR && f->path_replaced)
                return note_refused(c, "directory-reused",
                                    "change to another directory, or stop the program",
                                    "%s has %s %s open, which was deleted; the restore would use the new "
                                    "directory of the same name instead",
                                    check_who(c->p, &who), noun(f), f->target);
        if (f->deleted)
                return 0; /* a ghost: its content goes into the images */
        if (f->unlinked && f->is_volatile)
                return note_refused(c, "lost-name", "close it, or restore its name",
                                    "%s has a file open whose name %s was removed; the file has another "
                                    "name and exists only in memory",
                                    check_who(c->p, &who), f->target);
        if (f->is_volatile && f->kind != FD_DIR && is_others(c, f->uid))
                return note_others(c, f->target);
        if (f->unlinked)
                return 0; /* CRIU gives it a name until the restore (image/remap.h) */
        if (f->path_replaced)
                return note_refused(c, "path-reused", "close it, or restore its name",
                                    "%s has a file open whose name %s now belongs to another file",
                                    check_who(c->p, &who), f->target);
        if (f->lease_breaks)
                return note_refused(c, "lease", "try again in a moment",
                                    "another program waits for the lease of %s on %s", check_who(c->p, &who),
                                    f->target);
        if (is_journal(f) && is_first_journal(c, f))
                return note_degraded(c, "journal-reader", "restart the program after the reboot",
                                     "%s reads the system journal; it will not get new messages, because "
                                     "the reboot rotates the files",
                                     check_who(c->p, &who));
        return check_proc(c, f); /* one that no boot brings is put back: save/files.c */
}

static int check_device(const Check *c, const SnapFd *f) {
        Who who;

        if (f->kind == FD_CHAR && major(f->rdev) == MAJOR_MEM)
                return 0;
        return note_refused(c, "device", "close it, or stop the program",
                            "%s has device %s open; CRIU cannot save the state of the device",
                            check_who(c->p, &who), f->target);
}

/* "mnt:[4026531841]": fine if it is a namespace that the next kernel has too, which is ours. */
static int check_namespace_file(const Check *c, const SnapFd *f) {
        const Snapshot *s = c->m->s;
        const SnapProcess *init = snapshot_tree_init(s, c->m->list[0]);
        const uint64_t ours[] = {init ? init->ns_mnt : s->own_mnt,
                                 init ? init->ns_pid : s->own_pid,
                                 s->own_net,
                                 s->own_user,
                                 s->own_ipc,
                                 s->own_uts};
        Who who;

        for (size_t i = 0; i < ELEMENTS(ours); i++)
                if (f->ino == ours[i])
                        return 0;
        return note_refused(c, "descriptor", "close it, or stop the program",
                            "%s has '%s' open, which CRIU does not support", check_who(c->p, &who),
                            f->target);
}

int check_file(const Check *c, const SnapFd *f) {
        switch (f->kind) {
        case FD_CHAR:
        case FD_BLOCK:
                return check_device(c, f);
        case FD_OTHER:
                return check_namespace_file(c, f);
        default:
                return check_named(c, f);
        }
}

#define MEMFD_MODE 0777u /* memfd_create(2) */

/* It comes back as one that somebody may write to, and the kernel executes none of those. */
int check_memfd(const Check *c, const SnapFd *f) {
        Who who;

        if (c->facts->criu.memfds)
                return 0;
        if ((f->mode & 07777) != MEMFD_MODE)
                return note_degraded(c, "memfd-mode", "install CRIU 3.19 or later",
                                     "%s has a file in memory (%s) of mode %03o; it will have mode %03o",
                                     check_who(c->p, &who), f->target, f->mode & 07777, MEMFD_MODE);
        if (!f->is_program)
                return 0;
        return note_degraded(
                        c, "memfd-program", "install CRIU 3.19 or later",
                        "%s has a program in memory (%s); it cannot be executed after the reboot, because "
                        "this CRIU opens it for writing",
                        check_who(c->p, &who), f->target);
}

int check_maps(const Check *c) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < c->p->n_maps; i++) {
                const SnapMap *m = c->p->maps + i;
                Who who;

                if (m->deleted || (m->unlinked && !m->is_volatile))
                        continue; /* its content goes into the images, or CRIU gives it another name */
                if (strcmp(m->path, "/secretmem") == 0)
                        r = note_refused(c, "memfd-secret", "stop the program before the reboot",
                                         "%s uses secret memory (memfd_secret), which cannot be read",
                                         check_who(c->p, &who));
                else if (m->unlinked)
                        r = note_refused(c, "lost-name", "restart the program",
                                         "%s maps a file whose name %s was removed; the file has another "
                                         "name and exists only in memory",
                                         check_who(c->p, &who), m->path);
                else if (m->is_volatile && is_others(c, m->uid))
                        r = note_others(c, m->path);
                else if (m->path_replaced)
                        r = note_refused(c, "path-reused", "restart the program",
                                         "%s maps a file whose name %s now belongs to another file",
                                         check_who(c->p, &who), m->path);
        }
        return r;
}

/* What CRIU cannot save, by the name that the kernel gives the descriptor. What is in neither list is
 * refused as unknown. */
static const struct {
        const char *target, *what, *noun, *remedy;
} anon_refused[] = {
                {"[io_uring]", "io-uring", "an io_uring",
                 "run the program without io_uring (Node.js: UV_USE_IO_URING=0)"},
                {"[userfaultfd]", "userfaultfd", "a userfaultfd", "stop the program before the reboot"},
                {"[perf_event]", "perf-event", "a performance counter", "stop perf or the profiler"},
                {"bpf-prog", "bpf", "a BPF program", "stop the program before the reboot"},
                {"bpf_link", "bpf", "a BPF link", "stop the program before the reboot"},
                {"bpf-link", "bpf", "a BPF link", "stop the program before the reboot"},
                {"btf", "bpf", "BPF type data", "stop the program before the reboot"},
                {"seccomp notify", "seccomp-listener", "a seccomp listener",
                 "stop the supervisor before the reboot"},
                {"[landlock-ruleset]", "landlock", "a landlock ruleset",
                 "stop the program before the reboot"},
                {"kvm-", "kvm", "a virtual machine",
                 "shut down or suspend the virtual machine before the reboot"},
};

static const char *const anon_allowed[] = {"[eventfd]", "[eventpoll]", "[signalfd]", "[timerfd]", "inotify",
                                           "[inotify]", "[fanotify]",  "fanotify",   "bpf-map"};

static int check_pidfd(const Check *c, const SnapFd *f) {
        Who who;

        if (!c->facts->criu.pidfds)
                return note_refused(c, "pidfd", "install CRIU 4.1 or later, or stop the program",
                                    "%s has a pidfd open, which this CRIU cannot save",
                                    check_who(c->p, &who));
        if (f->pidfd < 0 || members_have_process(c->m, f->pidfd))
                return 0;
        if (f->pidfd_parent && members_have_process(c->m, f->pidfd_parent))
                return 0; /* it began after the list of processes was read */
        return note_refused(c, "pidfd", "stop the program before the reboot",
                            "%s has a pidfd open for process %d, which is outside the tree",
                            check_who(c->p, &who), (int)f->pidfd);
}

static const SnapProcess *holder_of(const Check *c, uint64_t ino) {
        for (size_t i = 0; i < c->m->n; i++)
                for (size_t k = 0; k < c->m->list[i]->n_fds; k++)
                        if (c->m->list[i]->fds[k].ino == ino)
                                return c->m->list[i];
        return NULL;
}

static int check_stray(const Check *c, const SnapFd *f) {
        const SnapProcess *holder = holder_of(c, f->stray_ino);
        Who who, other;

        return note_refused(c, "epoll-shared", "stop the program before the reboot",
                            "%s has an epoll (descriptor %d) that watches a file that only %s has open, "
                            "which CRIU cannot save",
                            check_who(c->p, &who), f->fd,
                            holder ? check_who(holder, &other) : "another process");
}

int check_anon(const Check *c, const SnapFd *f) {
        const char *name = starts_with(f->target, "anon_inode:") ? f->target + strlen("anon_inode:")
                                                                 : f->target;
        Who who;

        if (f->pidfd || strcmp(name, "[pidfd]") == 0 || starts_with(name, "pidfd:"))
                return check_pidfd(c, f);
        if (f->has_stray)
                return check_stray(c, f);
        if (f->unread)
                return note_degraded(c, "inotify-unread", "let the program read them first",
                                     "%s has not read all events of its inotify; those will be lost",
                                     check_who(c->p, &who));
        for (size_t i = 0; i < ELEMENTS(anon_allowed); i++)
                if (strcmp(name, anon_allowed[i]) == 0)
                        return 0;
        for (size_t i = 0; i < ELEMENTS(anon_refused); i++)
                if (starts_with(name, anon_refused[i].target))
                        return note_refused(c, anon_refused[i].what, anon_refused[i].remedy,
                                            "%s has %s open, which CRIU cannot save", check_who(c->p, &who),
                                            anon_refused[i].noun);
        return note_refused(c, "descriptor", "close it, or stop the program",
                            "%s has '%s' open, which CRIU does not support", check_who(c->p, &who),
                            f->target);
}

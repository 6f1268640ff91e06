/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a process is: namespaces, tracing, state, its place in sessions, SysV memory. docs/CRIU.md,
 * "Process numbers", "What cannot be dumped". */

#include "model/container.h"
#include "model/label.h"
#include "preflight/checks.h"

#include <signal.h>
#include <string.h>

/* Its namespaces, its cgroup and its files are its manager's: one sentence instead of one for each. */
static int check_container(const Check *c, const char *container) {
        Who who;

        return note_refused(c, "container", "stop it before the reboot, and let its manager start it again",
                            "%s belongs to the container %s, and containers are not carried",
                            check_who(c->p, &who), container);
}

static int check_namespaces(const Check *c) {
        const Snapshot *s = c->m->s;
        const SnapProcess *init = snapshot_tree_init(s, c->m->list[0]);
        const struct {
                const char *name;
                uint64_t its, ours;
                const char *remedy;
        } spaces[] = {
                        {"mount", c->p->ns_mnt, init ? init->ns_mnt : s->own_mnt,
                         "for a unit: remove PrivateTmp=, ProtectSystem= and similar settings"},
                        {"PID", c->p->ns_pid, init ? init->ns_pid : s->own_pid,
                         "stop the program before the reboot"},
                        {"network", c->p->ns_net, s->own_net, "for a unit: remove PrivateNetwork="},
                        {"user", c->p->ns_user, s->own_user, "for a unit: remove PrivateUsers="},
                        {"IPC", c->p->ns_ipc, s->own_ipc, "for a unit: remove PrivateIPC="},
                        {"UTS", c->p->ns_uts, s->own_uts, "for a unit: remove ProtectHostname="},
                        {"cgroup", c->p->ns_cgroup, s->own_cgroup, "stop the program before the reboot"},
        };
        char container[CONTAINER_NAME_MAX];
        Who who;
        int r = 0;

        if (container_named(s, c->p, container))
                return check_container(c, container);
        for (size_t i = 0; r >= 0 && i < sizeof spaces / sizeof spaces[0]; i++)
                if (spaces[i].its && spaces[i].its != spaces[i].ours)
                        r = note_refused(c, "namespace", spaces[i].remedy, "%s runs in its own %s namespace",
                                         check_who(c->p, &who), spaces[i].name);
        return r;
}

static int check_state(const Check *c) {
        const SnapProcess *tracer;
        Who who, other;

        if (c->p->tracer) {
                tracer = snapshot_process(c->m->s, c->p->tracer);
                return note_refused(c, "traced", "detach the debugger or strace",
                                    "%s is traced by %s; CRIU must trace it, and a process can have only "
                                    "one tracer",
                                    check_who(c->p, &who),
                                    tracer ? check_who(tracer, &other) : "another process");
        }
        if (c->p->state == 'D')
                return note_ok(c, "busy",
                               "if this persists, check the file system or device that it waits for",
                               "%s is in an uninterruptible wait; the freeze waits for it, up to 10 s",
                               check_who(c->p, &who));
        return 0;
}

/* Only its parent, which has not asked yet, will see the difference. */
static int check_stopped(const Check *c) {
        int signal = c->p->stop_signal;
        Who who;

        if (signal == 0 || signal == SIGSTOP || (signal == SIGTSTP && c->facts->criu.stops))
                return 0;
        return note_ok(c, "stop-signal", NULL,
                       "%s was stopped by SIG%s; after the reboot it counts as stopped by SIGSTOP",
                       check_who(c->p, &who), sigabbrev_np(signal) ?: "?");
}

static int check_schedule(const Check *c) {
        Who who;

        if (!c->p->resets || c->facts->criu.resets)
                return 0;
        return note_refused(c, "reset-on-fork", "install CRIU 4.0 or later, or stop the program",
                            "%s has a scheduling policy that its children do not inherit "
                            "(SCHED_RESET_ON_FORK), which this CRIU cannot restore",
                            check_who(c->p, &who));
}

/* CRIU makes the leader of every session that it meets, dead or alive (docs/CRIU.md, "Process numbers"); one
 * that lives outside cannot be made. The root's own session is exempt, since CRIU puts a shell job into its
 * caller's. */
static int check_session(const Check *c) {
        const SnapProcess *root = c->m->list[0];
        Who who;

        if (c->p->sid == root->sid || members_have_process(c->m, c->p->sid))
                return 0;
        if (c->p->sid != 0 && !snapshot_process(c->m->s, c->p->sid))
                return 0;
        return note_refused(c, "session-leader", "carry the tree that contains the session leader",
                            "%s belongs to a session whose leader, process %d, is outside the tree",
                            check_who(c->p, &who), (int)c->p->sid);
}

/* What a process may not do must not come back as something that it may. */
static int check_privileges(const Check *c) {
        Who who;

        if (c->p->seccomp < 0 || c->p->seccomp > 2)
                return note_refused(c, "seccomp", "stop the program before the reboot",
                                    "%s uses an unknown seccomp mode (%d)", check_who(c->p, &who),
                                    c->p->seccomp);
        if (c->p->no_new_privs && !c->facts->criu.no_new_privs)
                return note_refused(c, "no-new-privs",
                                    "install CRIU 3.19 or later, or stop the program before the reboot",
                                    "%s has no_new_privs set, which this CRIU does not save",
                                    check_who(c->p, &who));
        return 0;
}

/* Of time and memory: it goes on, and does not notice. */
static int check_lost(const Check *c) {
        static const char *const remedy = "restart the program after the reboot";
        Who who;
        int r = 0;

        if (c->p->has_core)
                r = note_degraded(c, "core-scheduling", remedy,
                                  "%s will no longer have the processor cores that it runs on to itself and "
                                  "its like (PR_SCHED_CORE); CRIU does not restore it",
                                  check_who(c->p, &who));
        if (r >= 0 && c->p->numa)
                r = note_degraded(c, "memory-policy", remedy,
                                  "the memory of %s will no longer be placed by its NUMA policy; CRIU does "
                                  "not restore it",
                                  check_who(c->p, &who));
        if (r >= 0 && c->p->sealed)
                r = note_degraded(c, "sealed-memory", remedy,
                                  "memory of %s that is sealed against changes (mseal) will no longer be "
                                  "sealed; CRIU does not restore it",
                                  check_who(c->p, &who));
        return r;
}

/* Only the process itself could take these again. */
static int check_oddities(const Check *c) {
        Who who;
        int r = 0;

        if (c->p->elsewhere)
                r = note_degraded(
                                c, "cgroup-hierarchy",
                                "put the program into its group again after the reboot",
                                "%s will not be in its group of a cgroup v1 hierarchy: no boot mounts that",
                                check_who(c->p, &who));
        if (r >= 0 && c->p->ambient && !c->facts->criu.ambient)
                r = note_degraded(c, "ambient-capabilities",
                                  "install CRIU 4.1 or later, or restart the program after the reboot",
                                  "%s will lose its ambient capabilities, which this CRIU does not save",
                                  check_who(c->p, &who));
        if (r >= 0 && c->p->guarded)
                r = note_degraded(c, "speculation", "restart the program after the reboot",
                                  "%s has asked the kernel to restrict speculative execution "
                                  "(PR_SET_SPECULATION_CTRL); CRIU does not restore it",
                                  check_who(c->p, &who));
        if (r >= 0 && c->p->is_32bit)
                r = note_degraded(c, "interrupted-call", "restart the program if it exits",
                                  "a system call in which %s waits may fail with \"Interrupted system "
                                  "call\", because it is a 32 bit program",
                                  check_who(c->p, &who));
        if (r >= 0 && c->p->no_thp && !c->facts->criu.thp)
                r = note_degraded(c, "transparent-huge-pages", "restart the program after the reboot",
                                  "%s will get transparent huge pages, which it does not want "
                                  "(PR_SET_THP_DISABLE); this CRIU does not save that",
                                  check_who(c->p, &who));
        if (r >= 0 && c->p->personality)
                r = note_degraded(c, "personality", "restart the program after the reboot",
                                  "programs that %s starts later will run in the default execution domain "
                                  "(setarch); CRIU does not restore it",
                                  check_who(c->p, &who));
        return r;
}

/* One that nobody has loaded, as those that a profile in complain mode makes up, no boot will load. */
static int check_profiles(const Check *c) {
        const char *name, *rest = c->p->label;
        size_t length;
        Who who;

        if (!rest || !c->facts->profiles)
                return 0;
        while ((name = label_next(&rest, &length)))
                if (!label_is_loaded(c->facts->profiles, name, length))
                        return note_refused(c, "profile", "stop the program before the reboot",
                                            "%s runs under AppArmor profile %.*s, which is not loaded",
                                            check_who(c->p, &who), (int)length, name);
        return 0;
}

int check_process(const Check *c) {
        Who who;
        int r;

        if (c->p->kernel_thread || (c->p->state == 'Z' && !c->p->stuck))
                return 0;
        if (c->p->stuck)
                return note_refused(c, "stuck", "stop the program before the reboot",
                                    "reading %s timed out: it waits for a file system that does not answer "
                                    "(FUSE), or its user has too many processes, files or mappings",
                                    check_who(c->p, &who));
        if (c->p->beyond)
                return note_refused(
                                c, "too-much", "stop the program before the reboot",
                                "%s has more threads, open files, mappings or watches than can be checked",
                                check_who(c->p, &who));
        if (c->p->unreadable)
                return note_refused(c, "unreadable", "stop the program before the reboot",
                                    "%s has a file open that root cannot read, on a file system that a user "
                                    "mounted (FUSE)",
                                    check_who(c->p, &who));
        r = check_namespaces(c);
        if (r >= 0 && c->p->trapped && !c->facts->frozen) /* frozen: CRIU itself has looked */
                r = note_refused(c, "pending-trap", "let the program receive the signal, then try again",
                                 "%s has a pending SIGTRAP, which CRIU cannot save", check_who(c->p, &who));
        if (r >= 0 && !c->facts->frozen)
                r = check_state(c);
        if (r >= 0)
                r = check_stopped(c);
        if (r >= 0)
                r = check_schedule(c);
        if (r >= 0)
                r = check_session(c);
        if (r >= 0 && c->p->sysv_shm > 0)
                r = note_refused(c, "sysv-shm", "stop the program before the reboot",
                                 "%s uses SysV shared memory, which CRIU can save only with a whole IPC "
                                 "namespace",
                                 check_who(c->p, &who));
        if (r >= 0)
                r = check_privileges(c);
        if (r >= 0)
                r = check_profiles(c);
        if (r >= 0)
                r = check_lost(c);
        return r < 0 ? r : check_oddities(c);
}

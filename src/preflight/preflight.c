/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A refusal here costs the user a sentence; the same finding during the save costs a shutdown's time, and
 * during the restore the session. So whatever can only fail late is refused early, and where CRIU's answer
 * is not known the note says so.
 */

#include "preflight/preflight.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "criu/criu.h"
#include "preflight/bytes.h"
#include "preflight/checks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_fd(const Check *c, const SnapFd *f) {
        switch (f->kind) {
        case FD_FILE:
        case FD_DIR:
        case FD_FIFO:
        case FD_CHAR:
        case FD_BLOCK:
        case FD_OTHER:
                return check_file(c, f);
        case FD_MEMFD:
                return check_memfd(c, f);
        case FD_PTMX:
                return 0;
        case FD_TTY:
                return check_tty(c, f);
        case FD_PIPE:
                return check_pipe(c, f);
        case FD_UNIX:
                return check_unix(c, f);
        case FD_TCP:
        case FD_UDP:
                return check_inet(c, f);
        case FD_NETLINK:
        case FD_PACKET:
        case FD_SOCKET:
                return check_socket(c, f);
        case FD_ANON:
                return check_anon(c, f);
        }
        return 0;
}

static bool has_sockets(const Members *m) {
        return m->sockets.n > 0;
}

static int check_members(Check *c) {
        _cleanup_(seen_done) Seen seen = {0};
        int r;

        r = seen_make(c->m, &seen);
        for (size_t i = 0; r >= 0 && i < c->m->n; i++) {
                c->p = c->m->list[i];
                r = check_process(c);
                for (size_t k = 0; r >= 0 && k < c->p->n_fds; k++)
                        if (!seen_before(&seen, c->p->fds + k))
                                r = check_fd(c, c->p->fds + k);
                if (r >= 0)
                        r = check_maps(c);
        }
        if (r >= 0)
                r = check_huge(c);
        if (r >= 0)
                r = check_watches(c);
        if (r >= 0)
                r = check_mounts(c);
        return r < 0 ? r : check_reserved(c);
}

static int check_space(const Check *c, uint64_t need) {
        if (c->facts->wrong[FACT_STORE] || need <= c->facts->store_free)
                return 0;
        if (c->facts->frozen)
                return note_refused(c, "space",
                                    "free space in the store, or raise MaxUse= and MaxUsePerUser=",
                                    "this tree grew just before it was saved; %" PRIu64
                                    " MiB of the store are left for its user",
                                    c->facts->store_free / MIB);
        return note_refused(c, "space", "free space in the store, or set Store= to a larger file system",
                            "the store has %" PRIu64 " MiB free; the images of this tree need about %" PRIu64
                            " MiB",
                            c->facts->store_free / MIB, (need + MIB - 1) / MIB);
}

/* Counted before it was looked at: of a tree beyond its limits nothing else is known. Answer 1: it is. */
static int check_counts(const Check *c) {
        const PreflightFacts *f = c->facts;
        uint64_t files = 0, counted = 0;
        int r;

        if (f->max_processes && c->m->n > f->max_processes) {
                r = note_refused(c, "processes", "keep a smaller tree, or raise MaxProcesses=",
                                 "this tree has %zu processes; the limit is %" PRIu64 "", c->m->n,
                                 f->max_processes);
                return r < 0 ? r : 1;
        }
        for (size_t i = 0; i < c->m->n; i++) {
                files += c->m->list[i]->n_fds;
                counted += c->m->list[i]->n_open;
        }
        if (!f->max_files || (files <= f->max_files && counted <= f->max_files))
                return 0;
        r = note_refused(c, "files", "stop the programs that have them open, or raise MaxFiles=",
                         "this tree has more than %" PRIu64 " files open, which is the limit", f->max_files);
        return r < 0 ? r : 1;
}

static int check_names(const Check *c, uint64_t names) {
        if (!c->facts->max_files || names <= c->facts->max_files)
                return 0;
        return note_refused(
                        c, "names", "stop the programs that have them open, or raise MaxFiles=",
                        "this tree uses about %" PRIu64
                        " files and directories in memory or below /tmp; the limit for each user is %" PRIu64
                        "",
                        names, c->facts->max_files);
}

/* The hold is put on anew, everybody's at once, for each tree that stands frozen, while the others wait: of
 * 10,000 connections that takes up to 72 ms (sys/README.md), and the next kernel's initrd carries all of
 * them. Servers of thousands are below. */
#define CONNECTIONS_MAX 16384u

static int check_connections(const Check *c) {
        if (c->m->wires.n <= CONNECTIONS_MAX)
                return 0;
        return note_refused(c, "connections", "stop the programs that have them open",
                            "this tree has %zu TCP connections; the limit is %u", c->m->wires.n,
                            CONNECTIONS_MAX);
}

static int check_memory(const Check *c, uint64_t need) {
        if (!c->facts->encrypt || c->facts->wrong[FACT_ENCRYPT] || need <= c->facts->memory_free)
                return 0;
        return note_refused(c, "memory", "stop programs that use memory, or set Encrypt=no",
                            "the images of this tree are encrypted in memory and need about %" PRIu64
                            " MiB; %" PRIu64 " MiB are available",
                            (need + MIB - 1) / MIB, c->facts->memory_free / MIB);
}

static int check_tree(Check *c) {
        PreflightNeeds needs;
        int r;

        r = check_counts(c);
        if (r != 0)
                return r < 0 ? r : 0;
        r = check_members(c);
        if (r >= 0 && c->m->s->no_diag && has_sockets(c->m))
                r = note_refused(c, "socket-diag",
                                 "run modprobe -a unix_diag tcp_diag udp_diag; if an upgrade removed the "
                                 "modules of the running kernel, reinstall its package",
                                 "this kernel cannot list sockets (sock_diag), so CRIU cannot save them");
        if (r >= 0 && c->m->s->sockets_late && has_sockets(c->m))
                r = note_refused(c, "sockets-late", "find the program that has so many sockets (ss -s)",
                                 "listing the sockets of this machine timed out");
        if (r >= 0)
                r = preflight_needs(c->m->s, c->tree, &needs);
        if (r >= 0 && needs.ghost_max > CRIU_GHOST_MAX)
                r = note_refused(c, "ghost-size", "stop the program that has it open",
                                 "a deleted file of %" PRIu64 " MiB is open; CRIU can save at most 4095 MiB",
                                 needs.ghost_max / MIB);
        if (r >= 0)
                r = check_connections(c);
        if (r >= 0)
                r = check_names(c, needs.names);
        if (r >= 0)
                r = check_space(c, needs.bytes);
        return r < 0 ? r : check_memory(c, needs.bytes);
}

int preflight_tree(const Snapshot *s, const Tree *tree, const PreflightFacts *facts, Verdict *ret) {
        _cleanup_(members_done) Members m = {0};
        _cleanup_(verdict_done) Verdict v = {0};
        _cleanup_(note_groups_done) NoteGroups groups = {0};
        Check c = {.m = &m, .tree = tree, .facts = facts, .v = &v, .groups = &groups};
        const SnapProcess *root = snapshot_process(s, (pid_t)tree->root_pid);
        int r = preflight_facts_complete(facts);

        if (r < 0)
                return err_pass(r);
        if (!root || root->start != tree->root_start || root->state == 'Z') {
                r = note_refused(&c, "gone", NULL, "process %u has ended", tree->root_pid);
        } else {
                r = members_of(s, root->pid, &m);
                if (r >= 0)
                        r = check_tree(&c);
                if (r >= 0)
                        r = check_groups_end(&c);
        }
        if (r < 0)
                return err_pass(r);
        *ret = v;
        v = (Verdict){0};
        return 0;
}

int preflight_machine(const PreflightFacts *facts, Verdict *ret) {
        const VerdictLevel jump = facts->must_kexec || facts->encrypt ? VERDICT_REFUSED : VERDICT_DEGRADED;
        const char *no_kexec =
                        "use carryover reboot --no-kexec to reboot through the firmware, with a longer gap";
        const char *encrypted = "set Encrypt=no in carryover.conf(5) to reboot through the firmware";
        const char *loader = "use carryover reboot --no-kexec to leave the choice to the boot loader";
        const char *service = facts->masked ? "run systemctl unmask carryover.service, then systemctl start "
                                              "carryover.service"
                                            : "run systemctl start carryover.service";
        const char *inhibited = facts->overridden ? NULL
                                : facts->must_obey
                                                ? "wait for it, or use --ignore-inhibitors"
                                                : "wait for it, or use carryover reboot --ignore-inhibitors";
        const struct {
                PreflightFact fact;
                const char *what, *remedy;
                VerdictLevel level;
        } rows[] = {
                        {FACT_CRIU, "criu", NULL, VERDICT_REFUSED},
                        {FACT_TARGET, "target", NULL, VERDICT_REFUSED},
                        {FACT_SERVICE, "service", service, VERDICT_REFUSED},
                        {FACT_STORE, "store", NULL, VERDICT_REFUSED},
                        {FACT_RETRY, "retry-left", "run carryover restore to try again", VERDICT_DEGRADED},
                        {FACT_WAITING, "waiting", NULL, VERDICT_DEGRADED},
                        {FACT_PROFILES, "profiles", NULL, VERDICT_DEGRADED},
                        {FACT_HOLD, "hold",
                         "if an upgrade removed the modules of the running kernel, reinstall its package",
                         VERDICT_REFUSED},
                        {FACT_ENCRYPT, "encrypt", encrypted, VERDICT_REFUSED},
                        {FACT_KEXEC, "kexec", facts->encrypt ? encrypted : no_kexec, jump},
                        {FACT_KERNEL, "kernel", facts->encrypt ? encrypted : loader, jump},
                        {FACT_INHIBIT, "inhibited", inhibited,
                         facts->must_obey ? VERDICT_REFUSED : VERDICT_DEGRADED},
        };
        _cleanup_(verdict_done) Verdict v = {0};
        int r = preflight_facts_complete(facts);

        for (size_t i = 0; r >= 0 && i < ELEMENTS(rows); i++) {
                const char *wrong = facts->wrong[rows[i].fact];
                bool known = !(facts->not_known & UINT32_C(1) << rows[i].fact);

                if (wrong)
                        r = verdict_add(&v, known ? rows[i].level : VERDICT_DEGRADED, rows[i].what,
                                        known ? rows[i].remedy : NULL, "%s", wrong);
        }
        if (r >= 0 && facts->encrypt && !facts->wrong[FACT_ENCRYPT])
                r = verdict_add(&v, VERDICT_OK, "encrypted", NULL,
                                "images are encrypted, and only kexec carries the key: any other reboot, or "
                                "a power cut, ends everything that is kept");
        if (r < 0)
                return err_pass(r);
        *ret = v;
        v = (Verdict){0};
        return 0;
}

/* Needs. */

/* A file whose content is saved with the tree: it has no name (CRIU's ghost), or no boot brings it. CRIU
 * leaves out the holes of a ghost. How many a mapped file has is known only if it is open, too. */
typedef struct Content {
        uint64_t dev, ino, size, stored;
        bool ghost;
} Content;

static bool is_same(const Content *x, const Content *y) {
        return x->dev == y->dev && x->ino == y->ino;
}

/* Of one file that first which says least. */
static int by_file(const void *a, const void *b) {
        const Content *x = a, *y = b;

        if (x->dev != y->dev)
                return x->dev < y->dev ? -1 : 1;
        if (x->ino != y->ino)
                return x->ino < y->ino ? -1 : 1;
        return x->stored < y->stored ? -1 : x->stored > y->stored;
}

static Content content_of(const SnapFd *f) {
        bool holes = f->kind == FD_MEMFD || (f->deleted && f->used < f->size);

        return (Content){f->dev, f->ino, f->size, holes ? f->used : f->size,
                         f->kind == FD_FILE && f->deleted};
}

static size_t contents_of(const SnapProcess *p, Content *out) {
        size_t n = 0;

        for (size_t i = 0; i < p->n_fds; i++) {
                const SnapFd *f = p->fds + i;

                if ((f->kind == FD_FILE && (f->deleted || f->is_volatile)) ||
                    f->kind == FD_MEMFD) /* whether it is mapped or not */
                        out[n++] = content_of(f);
        }
        for (size_t i = 0; i < p->n_maps; i++) {
                const SnapMap *m = p->maps + i;

                if (m->deleted || m->is_volatile)
                        out[n++] = (Content){m->dev, m->ino, m->size, m->size, m->deleted};
        }
        return n;
}

int preflight_needs(const Snapshot *s, const Tree *tree, PreflightNeeds *ret) {
        _cleanup_(members_done) Members m = {0};
        _cleanup_(freep) Content *contents = NULL;
        PreflightNeeds needs = {0};
        size_t room = 1, n = 0;
        int r;

        r = members_of(s, (pid_t)tree->root_pid, &m);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; i < m.n; i++)
                room += m.list[i]->n_fds + m.list[i]->n_maps;
        contents = calloc(room, sizeof *contents);
        if (!contents)
                return -ENOMEM;
        for (size_t i = 0; i < m.n; i++) {
                needs.bytes = plus(needs.bytes, m.list[i]->rss_bytes);
                n += contents_of(m.list[i], contents + n);
        }
        r = volatile_names(&m, &needs);
        if (r >= 0)
                r = huge_bytes(&m, &needs.huge);
        if (r < 0)
                return err_pass(r);
        qsort(contents, n, sizeof *contents, by_file);
        for (size_t i = 0; i < n; i++) {
                if (i > 0 && is_same(contents + i, contents + i - 1))
                        continue;
                needs.bytes = plus(needs.bytes, contents[i].stored);
                if (contents[i].ghost && contents[i].size > needs.ghost_max)
                        needs.ghost_max = contents[i].size;
        }
        needs.bytes = plus(needs.bytes, needs.bytes / 5);
        *ret = needs;
        return 0;
}

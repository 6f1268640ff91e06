/* SPDX-License-Identifier: GPL-2.0-or-later */

/* How a finding becomes a note. What a program loses twenty times is said once, with a count: nobody reads
 * twenty lines. What refuses is said each time, since each must be done away with. */

#include "base/cleanup.h"
#include "base/text.h"
#include "preflight/checks.h"
#include "preflight/preflight.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *check_who(const SnapProcess *p, Who *buffer) {
        snprintf(buffer->text, sizeof buffer->text, "%s (%d)", p->comm, (int)p->pid);
        return buffer->text;
}

const char *check_holder(const Check *c, FdKind kind, uint64_t id, Who *buffer) {
        const SnapHolder *h = snapshot_holder(c->m->s, kind, id);
        const SnapProcess *p = h ? snapshot_process(c->m->s, h->pid) : NULL;

        buffer->text[0] = '\0';
        if (p)
                snprintf(buffer->text, sizeof buffer->text, " of %s (%d)", p->comm, (int)p->pid);
        return buffer->text;
}

static bool is_of(const NoteGroup *g, const Check *c, const char *what) {
        return strcmp(g->what, what) == 0 && strcmp(g->comm, c->p->comm) == 0;
}

/* Whether that program has such a note already; then it is counted. */
static bool group_counts(const Check *c, const char *what) {
        NoteGroups *groups = c->groups;

        for (size_t i = 0; i < groups->n; i++)
                if (is_of(groups->list + i, c, what)) {
                        groups->list[i].more++;
                        return true;
                }
        return false;
}

static int add_grouped(const Check *c, VerdictLevel level, const char *what, const char *remedy,
                       const char *text) {
        size_t before = c->v->n_notes;
        int r;

        if (group_counts(c, what))
                return 0;
        r = verdict_add(c->v, level, what, remedy, "%s", text);
        if (r < 0 || c->v->n_notes == before)
                return r;
        return model_append(c->groups->list, c->groups->n,
                            ((NoteGroup){.what = what, .comm = c->p->comm, .note = before}));
}

int check_note(const Check *c, VerdictLevel level, const char *what, const char *remedy, const char *format,
               ...) {
        _cleanup_(freep) char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return -ENOMEM;
        }
        if (level == VERDICT_REFUSED || !c->groups)
                return verdict_add(c->v, level, what, remedy, "%s", text);
        return add_grouped(c, level, what, remedy, text);
}

int check_groups_end(const Check *c) {
        for (size_t i = 0; i < c->groups->n; i++) {
                const NoteGroup *g = c->groups->list + i;
                VerdictNote *note = c->v->notes + g->note;
                char *text;

                if (g->more == 0)
                        continue;
                text = text_format("%s (and %zu more like this)", note->text, g->more);
                if (!text)
                        return -ENOMEM;
                free(note->text);
                note->text = text;
        }
        return 0;
}

void note_groups_done(NoteGroups *groups) {
        free(groups->list);
        *groups = (NoteGroups){0};
}

/* What may have been there between two looks only: a child that began after the list of processes was read,
 * a descriptor or name that is gone, a message, signal or connection that waits to be taken. */
static bool passes(const char *what) {
        static const char *const list[] = {
                        "accept-queue",   "directory-reused",
                        "epoll-shared",   "files-in-flight",
                        "gone",           "lease",
                        "lost-name",      "netlink-unread",
                        "path-reused",    "pending-trap",
                        "pidfd",          "proc-file",
                        "session-leader", "unix-late",
                        "unix-seqpacket", "unix-unaccepted",
                        "unix-unnamed",
        };

        for (size_t i = 0; i < ELEMENTS(list); i++)
                if (strcmp(what, list[i]) == 0)
                        return true;
        return false;
}

bool preflight_may_pass(const Verdict *v) {
        for (size_t i = 0; i < v->n_notes; i++)
                if (v->notes[i].level == VERDICT_REFUSED && !passes(v->notes[i].what))
                        return false;
        return v->level == VERDICT_REFUSED;
}

/* Open addressing, at most half full. */
int seen_make(const Members *m, Seen *ret) {
        size_t n = 16;

        for (size_t i = 0; i < m->n; i++)
                n += 2 * m->list[i]->n_fds;
        ret->slots = calloc(n, sizeof *ret->slots);
        ret->n = n;
        return ret->slots ? 0 : -ENOMEM;
}

void seen_done(Seen *seen) {
        free(seen->slots);
}

static bool same_object(const SnapFd *a, const SnapFd *b) {
        return a->kind == b->kind && a->ino == b->ino && a->dev == b->dev;
}

/* Anonymous descriptors share an inode without being the same; and some files are fine with one process and
 * not with another. */
bool seen_before(Seen *seen, const SnapFd *f) {
        size_t at = (f->ino * UINT64_C(0x9e3779b97f4a7c15) ^ f->dev) % seen->n;

        if (f->kind == FD_ANON || f->kind == FD_OTHER || f->is_volatile || starts_with(f->target, "/proc/"))
                return false;
        while (seen->slots[at]) {
                if (same_object(seen->slots[at], f))
                        return true;
                at = (at + 1) % seen->n;
        }
        seen->slots[at] = f;
        return false;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A session is found by its cgroup, "/user.slice/user-1000.slice/session-4.scope", which logind has PID 1
 * make, which no process of an ordinary user leaves, and into which none comes but by its parent. sshd
 * without PAM makes no session: its processes stay in the cgroup of ssh.service. There the way leads up
 * through the parents (sudo and su are just parents) to the topmost process below the listener: OpenSSH 9
 * calls it "sshd: joe [priv]", OpenSSH 10 sshd-session. The listener itself serves the next logins and
 * stays; a monitor whose listener was restarted has PID 1 for its parent, so the listener is known by what
 * it calls itself, if it is root's.
 */

#include "select/select.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "model/cgroup-path.h"
#include "select/tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct Target {
        enum { TARGET_SESSION, TARGET_PID, TARGET_UNIT } kind;
        char name[SESSION_ID_MAX]; /* session or unit */
        pid_t pid;
        uint64_t start; /* 0: any */
} Target;

/* Targets. */

static int target_syntax(const char *target) {
        return err_say(-EINVAL, "invalid target '%.64s': use session:ID, pid:NUMBER or unit:NAME", target);
}

static int target_pid(const char *target, const char *text, Target *ret) {
        char number[16];
        size_t l = strcspn(text, "@");

        if (l >= sizeof number)
                return target_syntax(target);
        memcpy(number, text, l);
        number[l] = '\0';
        if (parse_pid(number, &ret->pid) < 0)
                return target_syntax(target);
        if (text[l] == '@' && (parse_u64(text + l + 1, UINT64_MAX, &ret->start) < 0 || ret->start == 0))
                return target_syntax(target);
        ret->kind = TARGET_PID;
        return 0;
}

static bool unit_is_valid(const char *name) {
        static const char *const suffixes[] = {".service", ".scope", ".slice"};

        if (!name[0] || name[0] == '.' || strlen(name) >= sizeof((Target *)0)->name)
                return false;
        for (const char *p = name; *p; p++)
                if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@-:\\", *p))
                        return false;
        for (size_t i = 0; i < ELEMENTS(suffixes); i++)
                if (ends_with(name, suffixes[i]))
                        return true;
        return false;
}

static int target_unit(const char *target, const char *text, Target *ret) {
        char id[SESSION_ID_MAX];

        snprintf(ret->name, sizeof ret->name, strchr(text, '.') ? "%s" : "%s.service", text);
        if (strlen(text) >= sizeof ret->name || !unit_is_valid(ret->name))
                return target_syntax(target);
        ret->kind = TARGET_UNIT;
        if (cgroup_path_session(ret->name, id)) { /* another name of a session */
                ret->kind = TARGET_SESSION;
                memcpy(ret->name, id, sizeof id);
        }
        return 0;
}

static int target_parse(const char *target, Target *ret) {
        *ret = (Target){0};
        if (starts_with(target, "pid:"))
                return target_pid(target, target + 4, ret);
        if (starts_with(target, "unit:"))
                return target_unit(target, target + 5, ret);
        if (!starts_with(target, "session:") || !name_is_safe(target + 8) ||
            strlen(target + 8) >= sizeof ret->name)
                return target_syntax(target);
        ret->kind = TARGET_SESSION;
        strcpy(ret->name, target + 8);
        return 0;
}

int select_check(const char *target) {
        Target t;

        return err_pass(target_parse(target, &t));
}

/* The default: the caller's own session. */

static int target_of_caller(const SelectWorld *w, pid_t caller, Target *ret) {
        const SnapProcess *p = snapshot_process(w->all, caller), *top = NULL;
        uint32_t uid;

        *ret = (Target){0};
        /* Parents are finite: each step goes to another process, and a loop would need more steps than there
         * are. */
        for (size_t steps = 0; p && p->pid != 1 && steps <= w->all->n_processes; steps++) {
                if (cgroup_session(p->cgroup, &uid, ret->name)) {
                        ret->kind = TARGET_SESSION;
                        return 0;
                }
                if (select_is_listener(p))
                        break;
                top = p;
                p = snapshot_process(w->all, p->ppid);
        }
        if (!top || !select_is_sshd(top))
                return err_say(-ESRCH, "this command does not run in a login session: name a target, such "
                                       "as session:ID (see loginctl) or pid:NUMBER");
        ret->kind = TARGET_PID;
        ret->pid = top->pid;
        ret->start = top->start;
        return 0;
}

/* Roots. */

typedef struct Roots {
        const SnapProcess **list;
        size_t n;
} Roots;

static void roots_done(Roots *roots) {
        free(roots->list);
}

static const SnapProcess *parent_of(const Snapshot *s, const SnapProcess *p) {
        return p->ppid > 0 ? snapshot_process(s, p->ppid) : NULL;
}

static bool is_in_session(const SnapProcess *p, const char *id) {
        char its[SESSION_ID_MAX];
        uint32_t uid;

        return cgroup_session(p->cgroup, &uid, its) && strcmp(its, id) == 0;
}

static bool is_in(const SnapProcess *p, const Target *t) {
        return t->kind == TARGET_SESSION ? is_in_session(p, t->name) : cgroup_in_unit(p->cgroup, t->name);
}

/* A process of the target one of whose ancestors is of it belongs to that one's tree, also when the parents
 * in between are elsewhere. */
static bool has_ancestor_in(const Snapshot *s, const SnapProcess *p, const Target *t) {
        size_t steps = 0;

        for (p = parent_of(s, p); p && steps <= s->n_processes; p = parent_of(s, p), steps++)
                if (is_in(p, t) && !snap_is_tree_init(p))
                        return true;
        return false;
}

/* Ours: while a restore waits, such a process keeps each scope open (restore/scope.h). */
static bool is_scope_holder(const SnapProcess *p) {
        return p->uid == 0 && p->euid == 0 && p->exe && ends_with(p->exe, "/carryover-restore");
}

/* Ours, too: each of its children is a root, as if it were not there. */
static bool is_left_out(const SnapProcess *p) {
        return p->state == 'Z' || is_scope_holder(p) || snap_is_tree_init(p);
}

static int roots_in(const Snapshot *s, const Target *t, Roots *ret) {
        for (size_t i = 0; i < s->n_processes; i++) {
                const SnapProcess *p = s->processes + i;

                if (is_left_out(p) || !is_in(p, t) || has_ancestor_in(s, p, t))
                        continue;
                if (model_append(ret->list, ret->n, p) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static const Session *session_find(const SelectWorld *w, const char *id) {
        for (size_t i = 0; i < w->n_sessions; i++)
                if (strcmp(w->sessions[i]->id, id) == 0)
                        return w->sessions[i];
        return NULL;
}

/* Of a session that came back in a namespace, logind knows the init: its oldest child is who led it. Who
 * looks from inside sees that init as PID 1. 0: it has no leader. */
static pid_t leader_of(const Snapshot *s, const Session *session) {
        pid_t leader = session && session->has_leader ? (pid_t)session->leader : 0;
        const SnapProcess *p = leader ? snapshot_process(s, leader) ?: snapshot_process(s, 1) : NULL;
        const SnapProcess *oldest = NULL;

        if (!p || !snap_is_tree_init(p))
                return leader;
        for (size_t i = 0; i < s->n_processes; i++) {
                const SnapProcess *child = s->processes + i;

                if (child->ppid == p->pid && is_in_session(child, session->id) &&
                    (!oldest || child->start < oldest->start))
                        oldest = child;
        }
        return oldest ? oldest->pid : leader;
}

/* Whoever somebody else has let into his session must not crowd out what is his. */
static int rank_of(const SnapProcess *p, pid_t leader) {
        char id[SESSION_ID_MAX];
        uint32_t uid;

        if (leader ? leader == p->pid : select_is_sshd(p))
                return 0;
        return cgroup_session(p->cgroup, &uid, id) && p->uid != 0 && p->uid != uid ? 2 : 1;
}

static int compare_roots(const void *a, const void *b, void *userdata) {
        const SnapProcess *x = *(const SnapProcess *const *)a, *y = *(const SnapProcess *const *)b;
        const pid_t *leader = userdata;
        int x_rank = rank_of(x, *leader), y_rank = rank_of(y, *leader);

        if (x_rank != y_rank)
                return x_rank < y_rank ? -1 : 1;
        return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static int root_of_pid(const SelectWorld *w, const Target *t, Roots *ret) {
        const SnapProcess *p = snapshot_process(w->all, t->pid);

        if (!p || (t->start && p->start + 1 - t->start > 2)) /* off by one: model/snapshot.h */
                return err_say(-ESRCH, "process %d does not exist%s", (int)t->pid,
                               p ? " any more: another process now has its number" : "");
        if (p->state == 'Z')
                return err_say(-ESRCH, "process %d is a zombie", (int)t->pid);
        if (snap_is_tree_init(p))
                return err_say(-EPERM,
                               "process %d is carryover-init: keep the processes below it, or their session",
                               (int)t->pid);
        return model_append(ret->list, ret->n, p);
}

static int roots_find(const SelectWorld *w, const Target *t, const Session *session, Roots *ret) {
        pid_t leader = leader_of(w->all, session);
        int r;

        if (t->kind == TARGET_PID)
                return root_of_pid(w, t, ret);
        r = roots_in(w->all, t, ret);
        if (r < 0)
                return r;
        if (ret->n == 0 && t->kind == TARGET_UNIT)
                return err_say(-ESRCH,
                               "no process runs in system unit %s; to keep a process of a user unit, use "
                               "pid:NUMBER",
                               t->name);
        if (ret->n == 0)
                return err_say(-ESRCH, "session %s does not exist: see loginctl", t->name);
        qsort_r(ret->list, ret->n, sizeof *ret->list, compare_roots, &leader);
        return 0;
}

/* Trees. */

static int tree_named(const Target *t, size_t index, Tree *tree) {
        _cleanup_(freep) char *target = NULL, *base = NULL, *name = NULL;
        char unit[101]; /* leaves room in 128 bytes for what stands around it */
        int r;

        switch (t->kind) {
        case TARGET_SESSION:
                target = text_format("session:%s", t->name);
                base = text_format("session-%.100s", t->name);
                break;
        case TARGET_UNIT:
                snprintf(unit, sizeof unit, "%.100s", t->name);
                for (char *p = unit; *p; p++)
                        if (*p == '\\' || *p == ':')
                                *p = '_';
                target = text_format("unit:%s", t->name);
                base = text_format("unit-%s", unit);
                break;
        case TARGET_PID:
                target = text_format("pid:%d", (int)t->pid);
                base = text_format("pid-%d", (int)t->pid);
                break;
        }
        name = base ? (index == 0 ? strdup(base) : text_format("%s.%zu", base, index + 1)) : NULL;
        if (!target || !name)
                return -ENOMEM;
        r = model_set_string(&tree->target, target);
        return r < 0 ? r : model_set_string(&tree->name, name);
}

/* The number of a leader that has ended may be anybody's by now, and its session be there yet. */
static const Session *session_of_root(const SelectWorld *w, const Target *t, const SnapProcess *root) {
        if (t->kind == TARGET_SESSION)
                return session_find(w, t->name);
        for (size_t i = 0; i < w->n_sessions; i++)
                if (leader_of(w->all, w->sessions[i]) == root->pid &&
                    is_in_session(root, w->sessions[i]->id))
                        return w->sessions[i];
        return NULL;
}

static int tree_make(const SelectWorld *w, const Target *t, size_t index, const SnapProcess *root,
                     pid_t caller, Candidates *ret) {
        _cleanup_(tree_freep) Tree *tree = model_new(Tree, tree__init);
        int r = tree ? tree_named(t, index, tree) : -ENOMEM;

        if (r >= 0)
                r = select_fill(w->all, root, session_of_root(w, t, root), caller, tree);
        if (r >= 0 && tree->session && tree->session->has_leader)
                tree->session->leader = (uint32_t)leader_of(w->all, tree->session);
        return r < 0 ? r : candidates_add(ret, TAKE(tree));
}

/* Each is a CRIU of its own, and all of them stand side by side until the seal: who starts thousands of jobs
 * must not take a shutdown's time and memory. */
#define TREES_MAX 64u

static int note_refused(Verdict *problems, const char *target, const SnapProcess *root, int why) {
        char comm[sizeof root->comm];

        snprintf(comm, sizeof comm, "%s", root->comm);
        text_tame(comm);
        return verdict_add(problems, VERDICT_DEGRADED, "target-refused", NULL,
                           "%s is kept, but without process %d (%s): %s", target, (int)root->pid, comm,
                           err_text(why));
}

/* problems: as of resolve(). */
static int bound(const char *target, Verdict *problems, Roots *roots) {
        int r;

        if (roots->n <= TREES_MAX)
                return 0;
        r = err_say(-EPERM, "%s has %zu daemonised jobs; the limit is %u", target ?: "this session",
                    roots->n, TREES_MAX);
        if (!problems)
                return r;
        r = note_refused(problems, target, roots->list[TREES_MAX], r);
        roots->n = TREES_MAX;
        return r;
}

/* problems: where a tree that must not be carried is noted, and left out; NULL: it is the answer. */
static int resolve(const SelectWorld *w, const char *target, pid_t caller, Verdict *problems,
                   Candidates *ret) {
        _cleanup_(candidates_done) Candidates found = {0};
        _cleanup_(roots_done) Roots roots = {0};
        Target t;
        int r;

        r = target ? target_parse(target, &t) : target_of_caller(w, caller, &t);
        if (r >= 0)
                r = roots_find(w, &t, t.kind == TARGET_SESSION ? session_find(w, t.name) : NULL, &roots);
        if (r >= 0)
                r = bound(target, problems, &roots);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; r >= 0 && i < roots.n; i++) {
                r = tree_make(w, &t, i, roots.list[i], caller, &found);
                if (r == -EPERM && problems)
                        r = note_refused(problems, target, roots.list[i], r);
        }
        if (r < 0)
                return err_pass(r);
        *ret = found;
        found = (Candidates){0};
        return 0;
}

int select_resolve(const SelectWorld *w, const char *target, pid_t caller, Candidates *ret) {
        return resolve(w, target, caller, NULL, ret);
}

int select_resolve_each(const SelectWorld *w, const char *target, Verdict *problems, Candidates *ret) {
        return resolve(w, target, 0, problems, ret);
}

int select_stable(const Tree *tree, char **ret) {
        char *text = starts_with(tree->target, "pid:") ? text_format("pid:%" PRIu32 "@%" PRIu64,
                                                                     tree->root_pid, tree->root_start)
                                                       : strdup(tree->target);

        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Capabilities may be fewer (CRIU does not know the ambient set, and a kernel may have others), never more.
 * A label is compared only if it was one that confines.
 */

#include "rights/rights.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "proc/process-tree.h"
#include "proc/procfs.h"
#include "rights/foreign.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STATUS_MAX (64u << 10)

static const char *const same[] = {"Uid:", "Gid:", "Groups:", "Label:"};
static const char *const fewer[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};
static const char *const at_least[] = {"NoNewPrivs:", "Seccomp:", "Seccomp_filters:"};
static const char *const not_newly[] = {"Dumpable:"};

static char *value_of(const char *text, const char *key) {
        const char *p = procfs_field(text, key);
        size_t l = p ? strcspn(p, "\n") : 0;

        while (l > 0 && (p[l - 1] == ' ' || p[l - 1] == '\t'))
                l--;
        return p ? strndup(p, l) : strdup("");
}

static bool confines(const char *label) {
        return label[0] && strcmp(label, "unconfined") != 0;
}

static int more(const char *who, const char *key, const char *had, const char *has) {
        return err_say(-EPERM, "%s would have more privileges than before: %s %s, not %s", who, key,
                       has[0] ? has : "nothing", had[0] ? had : "nothing");
}

static int compare_same(const char *who, const char *key, const char *had, const char *has) {
        if (strcmp(had, has) == 0 || (strcmp(key, "Label:") == 0 && !confines(had)))
                return 0;
        return more(who, key, had, has);
}

static int compare_fewer(const char *who, const char *key, const char *had, const char *has) {
        return strtoull(has, NULL, 16) & ~strtoull(had, NULL, 16) ? more(who, key, had, has) : 0;
}

static int compare_at_least(const char *who, const char *key, const char *had, const char *has) {
        return strtoull(has, NULL, 10) < strtoull(had, NULL, 10) ? more(who, key, had, has) : 0;
}

/* What was not known then, as of a user who became root since, is judged by the rest. */
static int compare_not_newly(const char *who, const char *key, const char *had, const char *has) {
        return strcmp(had, "no") == 0 && strcmp(has, "yes") == 0 ? more(who, key, had, has) : 0;
}

static int compare_all(const char *who, const char *had, const char *has, const char *const *keys, size_t n,
                       int (*compare)(const char *who, const char *key, const char *had, const char *has)) {
        for (size_t i = 0; i < n; i++) {
                _cleanup_(freep) char *old = value_of(had, keys[i]), *new = value_of(has, keys[i]);
                int r = old && new ? compare(who, keys[i], old, new) : -ENOMEM;

                if (r < 0)
                        return r;
        }
        return 0;
}

int rights_compare(const char *who, const char *had, const char *has) {
        int r = compare_all(who, had, has, same, ELEMENTS(same), compare_same);

        if (r >= 0)
                r = compare_all(who, had, has, fewer, ELEMENTS(fewer), compare_fewer);
        if (r >= 0)
                r = compare_all(who, had, has, at_least, ELEMENTS(at_least), compare_at_least);
        if (r >= 0)
                r = compare_all(who, had, has, not_newly, ELEMENTS(not_newly), compare_not_newly);
        return r;
}

static int add_lines(FILE *out, const char *status, const char *const *keys, size_t n) {
        for (size_t i = 0; i < n; i++) {
                _cleanup_(freep) char *value = value_of(status, keys[i]);

                if (!value)
                        return -ENOMEM;
                if (value[0])
                        fprintf(out, "%s %s\n", keys[i], value);
        }
        return 0;
}

static uid_t effective_user(const char *text) {
        const char *p = procfs_field(text, "Uid:");
        unsigned uid = 0;

        if (p)
                (void)sscanf(p, "%*u %u", &uid);
        return uid;
}

/* Of a process that is not dumpable root owns the files in /proc, whatever user it has: so others of that
 * user cannot look into it. For one of root's that is all the same. */
static void add_dumpable(FILE *out, const char *status, pid_t pid, pid_t tid) {
        uid_t uid = effective_user(status);
        char path[64];
        struct stat st;

        snprintf(path, sizeof path, "/proc/%d/task/%d/environ", (int)pid, (int)tid);
        if (uid != 0 && stat(path, &st) >= 0)
                fprintf(out, "Dumpable: %s\n", st.st_uid == uid ? "yes" : "no");
}

/* There is none without an LSM. */
static void add_label(FILE *out, pid_t pid, pid_t tid) {
        _cleanup_(freep) char *label = NULL;
        char path[64];

        snprintf(path, sizeof path, "/proc/%d/task/%d/attr/current", (int)pid, (int)tid);
        if (file_slurp(AT_FDCWD, path, STATUS_MAX, &label, NULL) >= 0 && label[0])
                fprintf(out, "Label: %.*s\n", (int)strcspn(label, "\n"), label);
}

/* Answer 1: it is dead or gone. */
static int rights_read(pid_t pid, pid_t tid, char **ret, pid_t *ret_own) {
        _cleanup_(freep) char *status = NULL, *out = NULL;
        char path[64];
        size_t size;
        FILE *f;
        int r;

        snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)tid);
        r = file_slurp(AT_FDCWD, path, STATUS_MAX, &status, NULL);
        if (r == -ENOENT || r == -ESRCH ||
            (r >= 0 && procfs_field(status, "State:") && strchr("ZX", procfs_field(status, "State:")[0])))
                return 1;
        if (r < 0)
                return err_pass(r);
        f = open_memstream(&out, &size);
        if (!f)
                return -ENOMEM;
        r = add_lines(f, status, same, ELEMENTS(same));
        if (r >= 0)
                r = add_lines(f, status, fewer, ELEMENTS(fewer));
        if (r >= 0)
                r = add_lines(f, status, at_least, ELEMENTS(at_least));
        add_dumpable(f, status, pid, tid);
        add_label(f, pid, tid);
        if (fclose(f) != 0 || r < 0)
                return -ENOMEM;
        *ret_own = procfs_innermost(status, "NSpid:") ?: tid;
        *ret = TAKE(out);
        return 0;
}

typedef struct Look {
        Tree *noted;     /* what is filled */
        const Tree *had; /* or what is compared with */
        ForeignLook foreign;
} Look;

static int note_rights(Tree *tree, char *text, pid_t tid) {
        Rights *rights = NULL;
        int r;

        for (size_t i = tree->n_rights; i > 0 && !rights; i--)
                if (strcmp(tree->rights[i - 1]->text, text) == 0)
                        rights = tree->rights[i - 1];
        if (rights)
                return model_append(rights->tids, rights->n_tids, (uint32_t)tid);
        rights = model_new(Rights, rights__init);
        r = rights ? model_set_string(&rights->text, text) : -ENOMEM;
        if (r >= 0)
                r = model_append(rights->tids, rights->n_tids, (uint32_t)tid);
        if (r >= 0)
                r = model_append(tree->rights, tree->n_rights, rights);
        if (r < 0)
                model_free(rights);
        return r;
}

static int check_rights(const Tree *had, const char *text, pid_t tid) {
        char who[32];

        snprintf(who, sizeof who, "process %d", (int)tid);
        for (size_t i = 0; i < had->n_rights; i++)
                for (size_t k = 0; k < had->rights[i]->n_tids; k++)
                        if (had->rights[i]->tids[k] == (uint32_t)tid)
                                return rights_compare(who, had->rights[i]->text, text);
        return err_say(-EPERM, "%s did not exist when the tree was saved", who);
}

static int look_at_thread(Look *look, pid_t pid, pid_t tid) {
        _cleanup_(freep) char *text = NULL;
        pid_t own;
        int r = rights_read(pid, tid, &text, &own);

        if (r != 0)
                return r < 0 ? err_pass(r) : 0;
        r = look->noted ? note_rights(look->noted, text, own) : check_rights(look->had, text, own);
        if (r >= 0 && tid == pid)
                r = foreign_look(&look->foreign, pid, effective_user(text));
        return r < 0 ? err_pass(r) : 0;
}

static int look_at_process(Look *look, pid_t pid) {
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        char path[32];
        pid_t tid;
        int r = 0;

        snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
        d = opendir(path);
        while (d && r >= 0 && (e = readdir(d)))
                if (parse_pid(e->d_name, &tid) >= 0)
                        r = look_at_thread(look, pid, tid);
        return r;
}

static int look_at_all(Look *look, pid_t root) {
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n;
        int r;

        r = foreign_begin(&look->foreign);
        if (r >= 0)
                r = process_tree_list(root, &pids, &n);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = look_at_process(look, pids[i]);
        foreign_end(&look->foreign);
        return r < 0 ? err_pass(r) : 0;
}

int rights_note(Tree *tree) {
        return look_at_all(&(Look){.noted = tree, .foreign.noted = tree}, (pid_t)tree->root_pid);
}

int rights_check(const Tree *tree, pid_t root) {
        return look_at_all(&(Look){.had = tree, .foreign.had = tree}, root);
}

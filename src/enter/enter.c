/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The way in. */

#include "enter/enter.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "proc/ns.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

static const Tree *tree_named(const Ticket *report, const char *name) {
        for (size_t i = 0; i < report->n_trees; i++)
                if (strcmp(report->trees[i]->name, name) == 0 || strcmp(report->trees[i]->target, name) == 0)
                        return report->trees[i];
        return NULL;
}

int enter_find(const Ticket *report, const char *boot, const char *name, pid_t *ret) {
        const Tree *tree = NULL;

        if (report && report->new_boot && strcmp(report->new_boot, boot) == 0)
                tree = tree_named(report, name);
        if (!tree || !tree->outcome || tree->outcome->state != OUTCOME__STATE__CARRIED)
                return err_say(-ENOENT, "no tree '%s' was carried into this boot: see carryover status",
                               name);
        if (!tree->outcome->has_root_pid || strcmp(tree->outcome->mode ?: "", "namespace") != 0)
                return err_say(-EINVAL, "tree '%s' runs in the host's namespaces: nothing to enter", name);
        *ret = (pid_t)tree->outcome->root_pid;
        return 0;
}

int enter_tree(pid_t init, const char *const *command, int *ret) {
        const char *shell[] = {"/bin/sh", NULL};
        _cleanup_(closep) int pidfd = -1;
        const struct passwd *pw;
        int r;

        r = ns_open_tree(init, &pidfd);
        if (r < 0)
                return err_pass(r);
        if (!command[0]) {
                pw = getpwuid(getuid());
                if (pw && pw->pw_shell[0] == '/')
                        shell[0] = pw->pw_shell;
                command = shell;
        }
        return ns_run(pidfd, (char *const *)command, ret);
}

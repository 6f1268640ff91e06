/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "restore/terminals.h"

#include "base/err.h"
#include "base/fd.h"
#include "image/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The session's terminal is the one that logind and utmp are told of. */
static int session_follow(Tree *tree, uint32_t from, uint32_t to) {
        char old[16], new[16];

        snprintf(old, sizeof old, "pts/%u", from);
        snprintf(new, sizeof new, "pts/%u", to);
        if (!tree->session || !tree->session->tty || strcmp(tree->session->tty, old) != 0)
                return 0;
        return model_set_string(&tree->session->tty, new);
}

static int terminal_renumber(PtyReserve *ptys, Tree *tree, int images_fd, uint32_t from, CriuMaster *ret) {
        uint32_t to;
        int r, fd = pty_spare(ptys, &to);

        if (fd < 0)
                return err_pass(fd);
        *ret = (CriuMaster){to, fd};
        r = image_move_pty(images_fd, from, to);
        if (r >= 0)
                r = session_follow(tree, from, to);
        if (r >= 0)
                r = tree_degrade(tree, "terminal-number", NULL, "terminal pts/%u is now pts/%u", from, to);
        return r < 0 ? err_pass(r) : 0;
}

void terminals_close(Terminals *t) {
        while (t->n > 0)
                fd_close(t->masters[--t->n].fd);
        free(t->masters);
        *t = (Terminals){0};
}

int terminals_take(PtyReserve *ptys, Tree *tree, int images_fd, Terminals *ret) {
        Terminals t = {.masters = calloc(tree->n_ptys + 1, sizeof *t.masters)};
        int r = 0;

        if (!t.masters)
                return -ENOMEM;
        while (r >= 0 && t.n < tree->n_ptys) {
                CriuMaster *master = t.masters + t.n;

                *master = (CriuMaster){tree->ptys[t.n], pty_take(ptys, tree->ptys[t.n])};
                if (master->fd == -ENOENT)
                        r = terminal_renumber(ptys, tree, images_fd, tree->ptys[t.n], master);
                t.n++;
        }
        if (r < 0) {
                terminals_close(&t);
                return err_pass(r);
        }
        *ret = t;
        return 0;
}

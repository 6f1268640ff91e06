/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Files whose name is gone, and that have another one: a dump makes a link beside where they were, and
 * whoever finds that save dead must find the link without its images. */

#include "select/lost.h"

#include "model/members.h"

#include <string.h>

/* Nobody but who wants to cost time has more; the links of the others stay. */
#define LOST_MAX 4096u

static bool is_noted(const Traces *traces, const char *path, uint64_t inode) {
        for (size_t i = 0; i < traces->n_lost; i++)
                if (traces->lost[i]->inode == inode && strcmp(traces->lost[i]->path, path) == 0)
                        return true;
        return false;
}

static int note(Traces *traces, const char *path, uint64_t inode) {
        LostName *lost;
        int r;

        if (!path || path[0] != '/' || traces->n_lost == LOST_MAX || is_noted(traces, path, inode))
                return 0;
        lost = model_new(LostName, lost_name__init);
        if (!lost)
                return -ENOMEM;
        lost->inode = inode;
        r = model_set_string(&lost->path, path);
        if (r >= 0)
                r = model_append(traces->lost, traces->n_lost, lost);
        if (r < 0)
                model_free(lost);
        return r;
}

static int note_process(const SnapProcess *p, Traces *traces) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < p->n_fds; i++) {
                const SnapFd *f = p->fds + i;

                if (f->kind == FD_FILE && !f->deleted && (f->unlinked || f->path_replaced))
                        r = note(traces, f->target, f->ino);
        }
        for (size_t i = 0; r >= 0 && i < p->n_maps; i++) {
                const SnapMap *m = p->maps + i;

                if (!m->deleted && (m->unlinked || m->path_replaced))
                        r = note(traces, m->path, m->ino);
        }
        return r;
}

int lost_note(const SnapProcess *const *list, size_t n, Tree *tree) {
        Traces *traces = tree->traces ?: model_new(Traces, traces__init);
        int r = 0;

        if (!traces)
                return -ENOMEM;
        tree->traces = traces;
        for (size_t i = 0; i < traces->n_lost; i++)
                model_free(traces->lost[i]);
        traces->n_lost = 0;
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = note_process(list[i], traces);
        return r;
}

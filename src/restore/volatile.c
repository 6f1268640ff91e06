/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The files of all trees, before any of them runs. A tree that lacks one of its own does not come back, and
 * the others do. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "restore/files.h"
#include "restore/images.h"
#include "restore/needs.h"
#include "restore/restore.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

typedef struct Pending {
        const Tree *tree;
        ErrRecord *ret;
} Pending;

typedef struct Work {
        const Store *store;
        const ImageKeys *keys;
        int root_fd;
        FilesBack back;
} Work;

static int tree_files(Work *w, const Tree *tree) {
        for (size_t i = 0; i < tree->n_images; i++) {
                _cleanup_(closep) int images_fd = -1, fd = -1;
                int r;

                if (strcmp(tree->images[i]->name, STORE_VOLATILE) != 0)
                        continue;
                images_fd = store_tree_open(w->store, tree->name);
                if (images_fd < 0)
                        return err_pass(images_fd);
                if (store_tree_begun(images_fd)) /* it may use them */
                        return 0;
                r = needs_for_files(tree);
                if (r < 0)
                        return err_pass(r);
                fd = images_archive(w->keys, tree->images[i], images_fd);
                return fd < 0 ? err_pass(fd) : files_put_back(&w->back, fd, w->root_fd);
        }
        return 0;
}

static int last_frozen_first(const void *a, const void *b) {
        const Tree *x = ((const Pending *)a)->tree, *y = ((const Pending *)b)->tree;

        return x->frozen_at > y->frozen_at ? -1 : x->frozen_at < y->frozen_at;
}

/* A file that two trees share is put back as the one saw it that was frozen last. */
static void files_of_all(Work *w, Pending *pending, size_t n) {
        if (n > 0)
                qsort(pending, n, sizeof *pending, last_frozen_first);
        for (size_t i = 0; i < n; i++) {
                int r = tree_files(w, pending[i].tree);
                _cleanup_(freep) char *why = r < 0 ? strdup(err_text(r)) : NULL;

                if (r >= 0)
                        continue;
                /* Whatever it was: other numbers have a meaning for a tree. */
                (void)err_say(-ENOENT, "%s", why ?: "out of memory");
                *pending[i].ret = err_keep();
        }
}

int restore_files(const Store *store, const Ticket *ticket, const ImageKeys *keys, Timeline *timeline,
                  ErrRecord *ret_answers) {
        _cleanup_(freep) Pending *pending = calloc(ticket->n_trees ?: 1, sizeof *pending);
        _cleanup_(closep) int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        Work w = {.store = store, .keys = keys, .root_fd = root_fd};
        StepClock clock = step_begin();
        size_t n = 0;

        if (!pending)
                return -ENOMEM;
        for (size_t i = 0; i < ticket->n_trees; i++) {
                ret_answers[i] = (ErrRecord){0};
                if (ticket->trees[i]->outcome->state == OUTCOME__STATE__PENDING)
                        pending[n++] = (Pending){ticket->trees[i], ret_answers + i};
        }
        files_of_all(&w, pending, n);
        files_back_done(&w.back);
        step_end(timeline, "restore.files", NULL, clock);
        return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * How many names the save will put into the archive of files that no boot brings: each file, and each
 * directory that leads to one. Names are sorted, so that those in one directory stand together, and a
 * directory is counted where its name first comes up.
 */

#include "base/cleanup.h"
#include "files/pax.h"
#include "model/members.h"
#include "preflight/bytes.h"
#include "preflight/checks.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b) {
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t names_of(const Snapshot *s, const SnapProcess *p, const char **out) {
        size_t n = 0;

        for (size_t i = 0; i < p->n_fds; i++) {
                const char *name = snapshot_volatile_name(s, p->fds + i);

                if (name)
                        out[n++] = name;
        }
        for (size_t i = 0; i < p->n_maps; i++)
                if (p->maps[i].is_volatile)
                        out[n++] = p->maps[i].path;
        return n;
}

/* Those whose content goes along: a socket is made again without, and so is a directory. */
static size_t contents_of(const Snapshot *s, const SnapProcess *p, const char **out) {
        size_t n = 0;

        for (size_t i = 0; i < p->n_fds; i++)
                if (p->fds[i].kind != FD_UNIX && !p->fds[i].deleted && snapshot_volatile_name(s, p->fds + i))
                        out[n++] = p->fds[i].target;
        for (size_t i = 0; i < p->n_maps; i++)
                if (p->maps[i].is_volatile && !p->maps[i].deleted)
                        out[n++] = p->maps[i].path;
        return n;
}

static size_t room_for(const Members *m) {
        size_t room = 1;

        for (size_t i = 0; i < m->n; i++)
                room += m->list[i]->n_fds + m->list[i]->n_maps;
        return room;
}

static int check_watched(const Check *c, const char *path) {
        Who who;

        return note_refused(c, "inotify-file", "let it watch the directory, or stop the program",
                            "%s watches %s by inotify; the file exists only in memory or in /tmp, and no "
                            "process of this tree has it open",
                            check_who(c->p, &who), path);
}

int check_watches(Check *c) {
        _cleanup_(freep) const char **names = NULL;
        size_t n = 0, n_watches = 0;
        int r = 0;

        for (size_t i = 0; i < c->m->n; i++)
                n_watches += c->m->list[i]->n_watches;
        if (n_watches == 0)
                return 0;
        names = calloc(room_for(c->m), sizeof *names);
        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < c->m->n; i++)
                n += contents_of(c->m->s, c->m->list[i], names + n);
        qsort(names, n, sizeof *names, by_name);
        for (size_t i = 0; r >= 0 && i < c->m->n; i++) {
                size_t k = 0;

                c->p = c->m->list[i];
                while (k < c->p->n_watches && bsearch(c->p->watches + k, names, n, sizeof *names, by_name))
                        k++;
                if (k < c->p->n_watches) /* one of perhaps thousands */
                        r = check_watched(c, c->p->watches[k]);
        }
        return r;
}

/* Directories that lead to `name` and not to the one before. */
static size_t new_directories(const char *before, const char *name) {
        size_t common = 0, n = 0;

        for (size_t i = 0; name[i] && name[i] == before[i]; i++)
                if (name[i] == '/')
                        common = i + 1;
        for (const char *p = name + common; (p = strchr(p, '/')); p++)
                n += p > name; /* the root is always there */
        return n;
}

int volatile_names(const Members *m, PreflightNeeds *needs) {
        _cleanup_(freep) const char **names = NULL;
        size_t n = 0;
        const char *before = "";

        names = calloc(room_for(m), sizeof *names);
        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < m->n; i++)
                n += names_of(m->s, m->list[i], names + n);
        qsort(names, n, sizeof *names, by_name);
        for (size_t i = 0; i < n; before = names[i++]) {
                uint64_t more;

                if (strcmp(before, names[i]) == 0)
                        continue;
                more = 1 + new_directories(before, names[i]);
                needs->names = plus(needs->names, more);
                needs->bytes = plus(needs->bytes, more * (PAX_ENTRY_BYTES + 2 * strlen(names[i])));
        }
        return 0;
}

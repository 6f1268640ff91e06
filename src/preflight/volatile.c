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
        size_t room = 1, n = 0;
        const char *before = "";

        for (size_t i = 0; i < m->n; i++)
                room += m->list[i]->n_fds + m->list[i]->n_maps;
        names = calloc(room, sizeof *names);
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

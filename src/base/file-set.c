/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/file-set.h"

#include "base/cleanup.h"

#include <errno.h>
#include <search.h>

typedef struct Member {
        dev_t dev;
        ino_t ino;
        const char *name;
} Member;

static int by_file(const void *a, const void *b) {
        const Member *x = a, *y = b;

        if (x->dev != y->dev)
                return x->dev < y->dev ? -1 : 1;
        return x->ino < y->ino ? -1 : x->ino > y->ino;
}

int file_set_add(FileSet *set, dev_t dev, ino_t ino, const char *name) {
        _cleanup_(freep) Member *member = malloc(sizeof *member);
        Member *const *found;

        if (!member)
                return -ENOMEM;
        *member = (Member){dev, ino, name};
        found = tsearch(member, &set->root, by_file);
        if (!found)
                return -ENOMEM;
        if (*found == member)
                (void)TAKE(member);
        return 0;
}

const char *file_set_find(const FileSet *set, dev_t dev, ino_t ino) {
        const Member wanted = {.dev = dev, .ino = ino};
        Member *const *found = tfind(&wanted, &set->root, by_file);

        return found ? (*found)->name : NULL;
}

void file_set_done(FileSet *set) {
        tdestroy(set->root, free);
        *set = (FileSet){0};
}

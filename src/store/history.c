/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * One file for each save, "TIME-ID", so that their names sort by time. Of a report only what people are told
 * is kept: no addresses, no checksums, nothing of what a process is.
 */

#include "store/history.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "store/message.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY   "history"
#define TIME_DIGITS 20 /* of 64 bits */
#define ENTRIES_MAX 1000u

/* "01764421505000000-ID" */
static const char *id_of(const char *name) {
        return strspn(name, "0123456789") == TIME_DIGITS && name[TIME_DIGITS] == '-' && name_is_safe(name)
                               ? name + TIME_DIGITS + 1
                               : NULL;
}

static int newest_first(const void *a, const void *b) {
        return -strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct Names {
        char **list;
        size_t n;
} Names;

static void names_done(Names *names) {
        for (size_t i = 0; i < names->n; i++)
                free(names->list[i]);
        free(names->list);
}

static int names_list(int dir, Names *names) {
        _cleanup_(closedirp) DIR *d = NULL;
        int fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
        const struct dirent *e;
        int r = 0;

        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                r = err_born(-errno, "cannot list the history in the store");
                (void)fd_close(fd);
                return r;
        }
        rewinddir(d); /* both descriptors have one offset */
        while (r >= 0 && names->n < ENTRIES_MAX && (e = readdir(d))) {
                char *name = id_of(e->d_name) ? strdup(e->d_name) : NULL;

                if (!name)
                        continue;
                r = model_append(names->list, names->n, name);
                if (r < 0)
                        free(name);
        }
        if (names->n > 0)
                qsort(names->list, names->n, sizeof names->list[0], newest_first);
        return r;
}

/* What people are told of a tree; the rest is left out. Owns nothing. */
static Tree told_of(const Tree *tree) {
        Tree t = TREE__INIT;

        t.name = tree->name;
        t.target = tree->target;
        t.root_pid = tree->root_pid;
        t.root_start = tree->root_start;
        t.comm = tree->comm;
        t.uid = tree->uid;
        t.has_frozen_at = tree->has_frozen_at;
        t.frozen_at = tree->frozen_at;
        t.n_degraded = tree->n_degraded;
        t.degraded = tree->degraded;
        t.outcome = tree->outcome;
        return t;
}

static int write_short(int dir, const char *name, const Ticket *report) {
        _cleanup_(freep) Tree *trees = calloc(report->n_trees + 1, sizeof *trees);
        _cleanup_(freep) Tree **list = calloc(report->n_trees + 1, sizeof *list);
        Ticket t = *report;

        if (!trees || !list)
                return -ENOMEM;
        for (size_t i = 0; i < report->n_trees; i++) {
                trees[i] = told_of(report->trees[i]);
                list[i] = trees + i;
        }
        t.trees = list;
        t.n_conntrack = t.n_drivers = 0;
        t.instructions = NULL;
        t.has_image_key = false;
        return store_message_write(dir, name, CODEC_TICKET, &t.base);
}

static int directory(const Store *store) {
        int fd;

        if (mkdirat(store->fd, DIRECTORY, 0700) < 0 && errno != EEXIST)
                return err_born(-errno, "cannot create %s/" DIRECTORY, store->path);
        fd = openat(store->fd, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? err_born(-errno, "cannot open %s/" DIRECTORY, store->path) : fd;
}

/* The name that a save has already, whose report is told once more; or a new one. */
static void name_for(const Names *names, const Ticket *report, char out[static NAME_MAX]) {
        for (size_t i = 0; i < names->n; i++)
                if (strcmp(id_of(names->list[i]), report->id) == 0) {
                        snprintf(out, NAME_MAX, "%s", names->list[i]);
                        return;
                }
        snprintf(out, NAME_MAX, "%0*" PRIu64 "-%s", TIME_DIGITS, report->sealed_at ?: now_realtime(),
                 report->id);
}

int store_history_add(const Store *store, const Ticket *report) {
        _cleanup_(closep) int dir = name_is_safe(report->id) ? directory(store) : -EINVAL;
        _cleanup_(names_done) Names names = {0};
        char name[NAME_MAX];
        bool anew;
        int r;

        if (dir < 0)
                return err_pass(dir);
        r = names_list(dir, &names);
        if (r < 0)
                return err_pass(r);
        name_for(&names, report, name);
        anew = faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
        for (size_t i = STORE_HISTORY - anew; i < names.n; i++)
                if (unlinkat(dir, names.list[i], 0) < 0 && errno != ENOENT)
                        return err_born(-errno, "cannot remove %s/" DIRECTORY "/%s", store->path,
                                        names.list[i]);
        return write_short(dir, name, report);
}

void history_done(History *history) {
        for (size_t i = 0; i < history->n; i++)
                model_free(history->reports[i]);
        free(history->reports);
        free(history->damaged);
        *history = (History){0};
}

static int read_one(const Store *store, int dir, const char *name, History *h) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        int r = store_message_read(dir, DIRECTORY, name, CODEC_TICKET, (ProtobufCMessage **)&report);

        if (r == 1)
                return 0;
        if (r == 0)
                r = model_append(h->reports, h->n, report);
        if (r >= 0)
                report = NULL;
        if (r >= 0 || r == -ENOMEM || h->damaged)
                return r == -ENOMEM ? r : 0;
        h->damaged = text_format("%s/" DIRECTORY "/%s", store->path, name);
        return h->damaged ? 0 : -ENOMEM;
}

int store_history(const Store *store, History *ret) {
        _cleanup_(closep) int dir =
                        openat(store->fd, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_(history_done) History h = {0};
        _cleanup_(names_done) Names names = {0};
        int r;

        if (dir < 0 && errno != ENOENT)
                return err_born(-errno, "cannot open %s/" DIRECTORY, store->path);
        r = dir < 0 ? 0 : names_list(dir, &names);
        for (size_t i = 0; r >= 0 && i < names.n && i < STORE_HISTORY; i++)
                r = read_one(store, dir, names.list[i], &h);
        if (r < 0)
                return err_pass(r);
        *ret = h;
        h = (History){0};
        return 0;
}

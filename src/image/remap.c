/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What the images say about lost names is three files of CRIU's: remap-fpath.img says which entry of
 * files.img has none, and which ghost-file-ID.img or other entry stands for it. Only names are read here;
 * they came from a tree's owner, so what is removed is removed by its directory's descriptor.
 */

#include "image/remap.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "image/internal.h"
#include "model/model.h"

#include "criu-image.pb-c.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REMAP_LINKED 0u
#define REMAP_GHOST  1u

#define ANY_TIME INT64_MAX

/* What CRIU adds to a name: ".cr.ffffffff.ghost". */
#define MADE_MAX 18

/* Other names that are tried; their owner may be hostile. */
#define TRIES_MAX 20

struct Remap {
        uint32_t file, target; /* identities: in files.img; there or of a ghost file */
        bool linked, directory;
        char *path;
        char *made;    /* by CRIU; NULL for a directory, which is made at its path */
        char *shown;   /* where CRIU will link it for a moment; NULL if not known, or there already */
        char *missing; /* the uppermost directory above it that CRIU will have to make, or NULL */
};

typedef struct Name {
        uint32_t id;
        char *text;
} Name;

typedef struct Names {
        Name *items;
        size_t n;
} Names;

static void names_done(Names *names) {
        for (size_t i = 0; i < names->n; i++)
                free(names->items[i].text);
        free(names->items);
}

void remaps_done(Remaps *remaps) {
        for (size_t i = 0; i < remaps->n; i++) {
                free(remaps->items[i].path);
                free(remaps->items[i].made);
                free(remaps->items[i].shown);
                free(remaps->items[i].missing);
        }
        free(remaps->items);
        *remaps = (Remaps){0};
}

static int add_remap(const ProtobufCMessage *message, void *userdata) {
        const ImgRemap *m = (const ImgRemap *)message;
        Remaps *remaps = userdata;
        Remap remap = {.file = m->orig_id, .target = m->remap_id};

        if (!m->has_remap_type || m->remap_type > REMAP_GHOST)
                return 0;
        remap.linked = m->remap_type == REMAP_LINKED;
        return model_append(remaps->items, remaps->n, remap);
}

static int add_name(const ProtobufCMessage *message, void *userdata) {
        const ImgFile *file = (const ImgFile *)message;
        Names *names = userdata;
        Name name = {.id = file->id};
        int r;

        if (!file->reg || file->reg->name[0] != '/' || strlen(file->reg->name) >= PATH_MAX)
                return 0;
        name.text = strdup(file->reg->name);
        r = name.text ? model_append(names->items, names->n, name) : -ENOMEM;
        if (r < 0)
                free(name.text);
        return r;
}

static int by_id(const void *a, const void *b) {
        const Name *x = a, *y = b;

        return (x->id > y->id) - (x->id < y->id);
}

static const char *name_of(const Names *names, uint32_t id) {
        const Name key = {.id = id}, *found;

        found = names->n > 0 ? bsearch(&key, names->items, names->n, sizeof key, by_id) : NULL;
        return found ? found->text : NULL;
}

static int ghost_is_directory(int images_fd, uint32_t id, bool *ret) {
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        char name[40];
        int r;

        snprintf(name, sizeof name, "ghost-file-%x.img", id);
        r = image_first_message(images_fd, name, IMAGE_GHOST_FILE, &img_ghost__descriptor, &message);
        if (r < 0)
                return err_pass(r);
        *ret = S_ISDIR(((const ImgGhost *)message)->mode);
        return 0;
}

/* link_remap.ID, which is going to be removed. */
static bool is_link(const char *name) {
        uint64_t id;

        return starts_with(name, "link_remap.") &&
               parse_u64(name + strlen("link_remap."), UINT32_MAX, &id) >= 0;
}

static int remap_fill(int images_fd, const Names *names, Remap *remap) {
        const char *path = name_of(names, remap->file), *link = name_of(names, remap->target);
        int r = 0;

        if (!path || (remap->linked && (!link || !is_link(strrchr(link, '/') + 1))))
                return err_say(-EBADMSG, "image remap-fpath.img refers to a file that is not in files.img");
        if (!remap->linked)
                r = ghost_is_directory(images_fd, remap->target, &remap->directory);
        if (r < 0)
                return err_pass(r);
        remap->path = strdup(path);
        if (remap->linked)
                remap->made = strdup(link);
        else if (!remap->directory)
                remap->made = text_format("%s.cr.%x.ghost", path, remap->target);
        return remap->path && (remap->directory || remap->made) ? 0 : -ENOMEM;
}

int remaps_load(int images_fd, Remaps *ret) {
        _cleanup_(remaps_done) Remaps remaps = {0};
        _cleanup_(names_done) Names names = {0};
        int r;

        r = image_each_message(images_fd, "remap-fpath.img", IMAGE_REMAP_FPATH, &img_remap__descriptor,
                               add_remap, &remaps);
        if (r >= 0 && remaps.n > 0)
                r = image_each_message(images_fd, "files.img", IMAGE_FILES, &img_file__descriptor, add_name,
                                       &names);
        if (r < 0 && r != -ENOENT)
                return err_pass(r);
        if (names.n > 0)
                qsort(names.items, names.n, sizeof *names.items, by_id);
        r = 0;
        for (size_t i = 0; r >= 0 && i < remaps.n; i++)
                r = remap_fill(images_fd, &names, remaps.items + i);
        if (r < 0)
                return err_pass(r);
        *ret = remaps;
        remaps = (Remaps){0};
        return 0;
}

static bool is_there(const char *path) {
        struct stat st;

        return fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) >= 0;
}

/* The uppermost directory of a path that is not there; NULL if only the last is missing. */
static int missing_above(const char *path, char **ret) {
        for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                _cleanup_(freep) char *part = strndup(path, (size_t)(slash - path));

                if (!part)
                        return -ENOMEM;
                if (is_there(part))
                        continue;
                free(*ret);
                *ret = TAKE(part);
                return 0;
        }
        return 0;
}

static int by_number(const void *a, const void *b) {
        const uint64_t *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

static bool add_place(const char *path, RemapPlaces *places) {
        _cleanup_(by_inode_place_done) Place place = PLACE_NONE;
        struct stat st;
        uint64_t inode;

        if (!by_inode_place_open(path, &place) || fstat(place.dir_fd, &st) < 0)
                return false;
        inode = st.st_ino;
        return model_append(places->inodes, places->n, inode) >= 0;
}

/* Images may name as many as their owner likes, most of them in few directories. */
static void sort_places(RemapPlaces *places) {
        size_t n = 0;

        if (places->n > 0)
                qsort(places->inodes, places->n, sizeof *places->inodes, by_number);
        for (size_t i = 0; i < places->n; i++)
                if (n == 0 || places->inodes[n - 1] != places->inodes[i])
                        places->inodes[n++] = places->inodes[i];
        places->n = n;
}

void remaps_places(const Remaps *remaps, RemapPlaces *ret) {
        RemapPlaces places = {0};

        for (size_t i = 0; !places.anywhere && i < remaps->n; i++) {
                const Remap *remap = remaps->items + i;

                places.anywhere = remap->directory || !add_place(remap->path, &places) ||
                                  !add_place(remap->made, &places);
        }
        sort_places(&places);
        *ret = places;
}

void remap_places_done(RemapPlaces *places) {
        free(places->inodes);
        *places = (RemapPlaces){0};
}

bool remap_places_meet(const RemapPlaces *a, const RemapPlaces *b) {
        size_t i = 0, k = 0;

        if (a->anywhere || b->anywhere)
                return true;
        while (i < a->n && k < b->n)
                if (a->inodes[i] == b->inodes[k])
                        return true;
                else if (a->inodes[i] < b->inodes[k])
                        i++;
                else
                        k++;
        return false;
}

static int by_file(const void *a, const void *b) {
        const Remap *x = a, *y = b;

        return (x->file > y->file) - (x->file < y->file);
}

/* A name that is free, and leaves room for what CRIU makes of it: PATH.cr_link, as long as that is one. */
static int free_name(const char *path, uint32_t id, char **ret) {
        _cleanup_(freep) char *name = strdup(path);

        for (unsigned tries = 0; name && is_there(name); tries++) {
                _cleanup_(freep) char *taken = TAKE(name);
                const char *slash = strrchr(taken, '/');

                if (tries == TRIES_MAX)
                        return err_say(-EBUSY,
                                       "%s was replaced while a process of the tree had it open, and every "
                                       "alternative name is in use",
                                       path);
                if (strlen(slash + 1) + strlen(".cr_link") + MADE_MAX <= NAME_MAX)
                        name = text_format("%s.cr_link", taken);
                else
                        name = text_format("%.*s/%x.cr_link", (int)(slash - taken), taken, id);
        }
        if (!name)
                return -ENOMEM;
        if (strlen(name) + MADE_MAX >= PATH_MAX)
                return err_say(-ENAMETOOLONG,
                               "%s was replaced while a process of the tree had it open, and its name is "
                               "too long for a second one beside it",
                               path);
        *ret = TAKE(name);
        return 0;
}

static int rename_taken(ProtobufCMessage *message, const void *userdata) {
        const Remaps *remaps = userdata;
        ImgFile *file = (ImgFile *)message;
        const Remap key = {.file = file->id}, *found;
        char *name = NULL;
        int r;

        found = bsearch(&key, remaps->items, remaps->n, sizeof key, by_file);
        if (!found || found->directory || !file->reg || file->reg->name[0] != '/' ||
            !is_there(file->reg->name))
                return 0;
        r = free_name(file->reg->name, file->id, &name);
        if (r < 0)
                return err_pass(r);
        free(file->reg->name);
        file->reg->name = name;
        return 1;
}

int remaps_rename_taken(int images_fd) {
        _cleanup_(remaps_done) Remaps remaps = {0};
        int r;

        r = remaps_load(images_fd, &remaps);
        if (r < 0)
                return err_pass(r);
        if (remaps.n == 0)
                return 0;
        qsort(remaps.items, remaps.n, sizeof *remaps.items, by_file);
        r = image_rewrite_durably(images_fd, "files.img", IMAGE_FILES, &img_file__descriptor, rename_taken,
                                  &remaps);
        return r < 0 ? err_pass(r) : r;
}

static int check_directory(Remap *remap) {
        if (is_there(remap->path))
                return err_say(-EBUSY,
                               "the directory %s was deleted while a process of the tree used it, and a new "
                               "one exists; CRIU would use the new one: rename it",
                               remap->path);
        return missing_above(remap->path, &remap->missing);
}

static int check_file(Remap *remap) {
        char *shown = is_there(remap->path) ? text_format("%s.cr_link", remap->path) : strdup(remap->path);

        if (!shown)
                return -ENOMEM;
        if (is_there(shown)) {
                free(shown);
                return 0;
        }
        free(remap->shown);
        remap->shown = shown;
        return 0;
}

int remaps_check(Remaps *remaps) {
        int r = 0;

        remaps->checked = time(NULL);
        for (size_t i = 0; r >= 0 && i < remaps->n; i++) {
                Remap *remap = remaps->items + i;

                r = remap->directory ? check_directory(remap) : check_file(remap);
        }
        return r < 0 ? err_pass(r) : 0;
}

/* If it is older than `before`, and has more names than `kept`. */
static void remove_file(const char *path, time_t before, nlink_t kept) {
        _cleanup_(by_inode_place_done) Place place = PLACE_NONE;
        struct stat st;

        if (by_inode_place_open(path, &place) &&
            fstatat(place.dir_fd, place.name, &st, AT_SYMLINK_NOFOLLOW) >= 0 && st.st_mtime < before &&
            st.st_nlink > kept)
                (void)unlinkat(place.dir_fd, place.name, 0);
}

/* From below upwards, as far as they are empty. */
static void sweep_parents(const Remap *remap) {
        _cleanup_(freep) char *path = strdup(remap->path);

        while (path && strlen(path) > strlen(remap->missing)) {
                _cleanup_(by_inode_place_done) Place place = PLACE_NONE;

                *strrchr(path, '/') = '\0';
                if (!by_inode_place_open(path, &place) ||
                    unlinkat(place.dir_fd, place.name, AT_REMOVEDIR) < 0)
                        return;
        }
}

static void sweep(const Remap *remap, time_t checked, bool failed) {
        if (remap->missing)
                sweep_parents(remap);
        if (remap->shown && failed)
                remove_file(remap->shown, checked, 0);
        if (remap->made && !remap->linked)
                remove_file(remap->made, ANY_TIME, 0);
}

void remaps_sweep(const Remaps *remaps, bool failed) {
        ErrRecord kept = err_keep();

        for (size_t i = 0; i < remaps->n; i++)
                sweep(remaps->items + i, remaps->checked, failed);
        err_put_back(&kept);
}

void remaps_sweep_images(int images_fd, bool again) {
        _cleanup_(remaps_done) Remaps remaps = {0};
        ErrRecord kept = err_keep();

        if (remaps_load(images_fd, &remaps) >= 0)
                for (size_t i = 0; i < remaps.n; i++)
                        if (remaps.items[i].made && !(again && remaps.items[i].linked))
                                remove_file(remaps.items[i].made, ANY_TIME, remaps.items[i].linked ? 1 : 0);
        err_put_back(&kept);
}

static void remove_link(int dir_fd, const struct dirent *e, const Sought *sought, size_t n) {
        struct stat st;

        if (is_link(e->d_name) && fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
            S_ISREG(st.st_mode) && st.st_nlink > 1 && by_inode_sought(sought, n, st.st_ino))
                (void)unlinkat(dir_fd, e->d_name, 0);
}

void remaps_sweep_lost(const Tree *tree, Sweep *sweep) {
        size_t n = tree->traces ? tree->traces->n_lost : 0;
        _cleanup_(freep) Sought *sought = calloc(n ?: 1, sizeof *sought);
        ErrRecord kept = err_keep();

        if (!sought) {
                sweep->cut = true;
                return;
        }
        for (size_t i = 0; i < n; i++)
                sought[i] = (Sought){.path = tree->traces->lost[i]->path,
                                     .inode = tree->traces->lost[i]->inode};
        by_inode_sweep(sought, n, sweep, remove_link);
        err_put_back(&kept);
}

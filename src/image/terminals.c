/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * One pass finds the terminals, one puts them in order, one finds the numbers in use, one rewrites
 * files.img: each open /dev/tty gets the identity of the session's pty slave and, behind the entries that
 * were there, a path to it. A second run finds no master behind a slave, and no external terminal with the
 * number 5:0 that lacks a path, and changes nothing.
 */

#include "image/image.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "image/internal.h"
#include "model/model.h"

#include "criu-image.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#define FILE_REG 1u
#define FILE_TTY 11u
#define TTY_PTY  1u

typedef struct Terminal {
        uint32_t id, sid, rdev, index;
        bool slave, master; /* of a pty that the images recreate */
        bool passed;        /* while they are put in order */
} Terminal;

typedef struct Work {
        Terminal *terminals;
        size_t n_terminals;
        uint32_t highest;                 /* identity in files.img */
        ImageWriter first, others, added; /* what an image becomes, in this order */
        int changed;
} Work;

static void work_done(Work *w) {
        free(w->terminals);
        image_writer_done(&w->first);
        image_writer_done(&w->others);
        image_writer_done(&w->added);
}

static int note_terminal(Image *image, ProtobufCMessage *message, void *userdata) {
        Work *w = userdata;
        const ImgTtyInfo *info = (const ImgTtyInfo *)message;
        unsigned device = major(info->rdev);
        Terminal t = {
                        .id = info->id,
                        .sid = info->sid,
                        .rdev = info->rdev,
                        .index = info->pty ? info->pty->index : 0,
                        .master = info->type == TTY_PTY && info->pty && info->rdev == makedev(5, 2),
                        .slave = info->type == TTY_PTY && info->pty && device >= 136 && device <= 143,
        };

        (void)image;
        return model_append(w->terminals, w->n_terminals, t);
}

static int note_identity(Image *image, ProtobufCMessage *message, void *userdata) {
        Work *w = userdata;
        const ImgFile *file = (const ImgFile *)message;

        if (file->id == UINT32_MAX)
                return image_bad(image, "an id is out of range");
        if (file->id > w->highest)
                w->highest = file->id;
        return 0;
}

static Terminal *terminal_of(const Work *w, uint32_t id) {
        for (size_t i = 0; i < w->n_terminals; i++)
                if (w->terminals[i].id == id)
                        return w->terminals + i;
        return NULL;
}

static const Terminal *slave_of(const Work *w, uint32_t sid) {
        for (size_t i = 0; i < w->n_terminals; i++)
                if (w->terminals[i].slave && w->terminals[i].sid == sid)
                        return w->terminals + i;
        return NULL;
}

/* The path of the terminal, as an entry of its own. */
static int add_path(Work *w, const ImgTtyFile *tty, const Terminal *slave) {
        ImgRegFile reg = IMG_REG_FILE__INIT;
        ImgFile file = IMG_FILE__INIT;
        char path[32];

        snprintf(path, sizeof path, "/dev/pts/%u", slave->index);
        reg.id = file.id = ++w->highest;
        reg.has_flags = true;
        reg.flags = tty->flags;
        reg.has_pos = true;
        reg.fown = tty->fown;
        reg.name = path;
        file.type = FILE_REG;
        file.reg = &reg;
        return image_put_message(&w->added, &file.base);
}

static int fix_ctty(Work *w, ImgFile *file, const Terminal *terminal) {
        const Terminal *slave = slave_of(w, terminal->sid);
        int r;

        if (!slave)
                return err_say(-ENOENT,
                               "a program has /dev/tty open, but the tree does not contain the terminal of "
                               "its session (%u)",
                               terminal->sid);
        r = add_path(w, file->tty, slave);
        if (r < 0)
                return err_pass(r);
        file->tty->tty_info_id = slave->id;
        file->tty->has_regf_id = true;
        file->tty->regf_id = w->highest;
        w->changed++;
        return image_put_message(&w->others, &file->base);
}

static int copy_or_fix(Image *image, ProtobufCMessage *message, void *userdata) {
        Work *w = userdata;
        ImgFile *file = (ImgFile *)message;
        const Terminal *terminal =
                        file->type == FILE_TTY && file->tty ? terminal_of(w, file->tty->tty_info_id) : NULL;

        if (terminal && terminal->rdev == makedev(5, 0) && !file->tty->has_regf_id)
                return fix_ctty(w, file, terminal);
        return image_put_entry(&w->others, image->entry, image->entry_size);
}

static bool slave_has_passed(const Work *w, uint32_t index) {
        for (size_t i = 0; i < w->n_terminals; i++)
                if (w->terminals[i].slave && w->terminals[i].passed && w->terminals[i].index == index)
                        return true;
        return false;
}

static int copy_terminal(Image *image, ProtobufCMessage *message, void *userdata) {
        Work *w = userdata;
        Terminal *terminal = terminal_of(w, ((const ImgTtyInfo *)message)->id);

        if (!terminal)
                return image_bad(image, "it has changed");
        terminal->passed = true;
        if (!terminal->master || !slave_has_passed(w, terminal->index))
                return image_put_entry(&w->others, image->entry, image->entry_size);
        w->changed++;
        return image_put_entry(&w->first, image->entry, image->entry_size);
}

static int write_back(int images_fd, Work *w, const char *name) {
        int r = image_put(&w->first, w->others.data, w->others.size);

        if (r >= 0)
                r = image_put(&w->first, w->added.data, w->added.size);
        if (r >= 0)
                r = file_replace_early(images_fd, name, w->first.data, w->first.size);
        return r < 0 ? err_pass(r) : 0;
}

/* The order of tty-info.img is the one in which a restore sees the open files. */
static int masters_first(int images_fd, Work *w) {
        int r = image_put_head(&w->first, IMAGE_TTY_INFO);

        if (r >= 0)
                r = image_walk(images_fd, "tty-info.img", IMAGE_TTY_INFO, &img_tty_info__descriptor,
                               copy_terminal, w);
        if (r >= 0 && w->changed > 0)
                r = write_back(images_fd, w, "tty-info.img");
        image_writer_done(&w->first);
        image_writer_done(&w->others);
        return r < 0 ? err_pass(r) : 0;
}

static int fix_files(int images_fd, Work *w) {
        int before = w->changed, r;

        r = image_walk(images_fd, "files.img", IMAGE_FILES, &img_file__descriptor, note_identity, w);
        if (r >= 0)
                r = image_put_head(&w->first, IMAGE_FILES);
        if (r >= 0)
                r = image_walk(images_fd, "files.img", IMAGE_FILES, &img_file__descriptor, copy_or_fix, w);
        if (r >= 0 && w->changed > before)
                r = write_back(images_fd, w, "files.img");
        return r < 0 ? err_pass(r) : 0;
}

int image_fix_terminals(int images_fd) {
        _cleanup_(work_done) Work w = {0};
        int r;

        r = image_walk(images_fd, "tty-info.img", IMAGE_TTY_INFO, &img_tty_info__descriptor, note_terminal,
                       &w);
        if (r == -ENOENT) /* a tree without any terminal */
                return 0;
        if (r >= 0)
                r = masters_first(images_fd, &w);
        if (r >= 0)
                r = fix_files(images_fd, &w);
        return r < 0 ? err_pass(r) : w.changed;
}

int image_terminals(int images_fd, ImageTerminal **ret, size_t *ret_n) {
        _cleanup_(work_done) Work w = {0};
        _cleanup_(freep) ImageTerminal *found = NULL;
        size_t n = 0;
        int r;

        r = image_walk(images_fd, "tty-info.img", IMAGE_TTY_INFO, &img_tty_info__descriptor, note_terminal,
                       &w);
        if (r < 0 && r != -ENOENT) /* a tree without any terminal */
                return err_pass(r);
        for (size_t i = 0; i < w.n_terminals; i++) {
                ImageTerminal t = {.index = w.terminals[i].index};

                if (!w.terminals[i].master)
                        continue;
                if (t.index > IMAGE_PTY_MAX)
                        return err_say(-EBADMSG, "the images contain an invalid terminal pts/%u", t.index);
                for (size_t k = 0; k < w.n_terminals; k++)
                        if (w.terminals[k].slave && w.terminals[k].index == t.index &&
                            w.terminals[k].sid > 0)
                                t.leader = w.terminals[k].sid;
                if (model_append(found, n, t) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE(found);
        *ret_n = n;
        return 0;
}

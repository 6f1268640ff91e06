/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The commit points on disk. Every change of state is one rename in one directory, followed by an fsync of
 * it: a power cut leaves the state before or the state after. */

#include "store/store.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/text.h"
#include "files/space.h"
#include "model/codec.h"
#include "store/gone.h"
#include "store/message.h"
#include "store/room.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_DIR "/run/carryover"

/* A directory that nobody but root can reach into. */
static int private_directory(const char *path) {
        _cleanup_(closep) int fd = open_dirs(path, 0700);
        struct stat st;

        if (fd < 0)
                return err_pass(fd);
        if (fstat(fd, &st) < 0)
                return err_born(-errno, "cannot stat %s", path);
        if (st.st_uid != geteuid() || (st.st_mode & 077))
                return err_say(-EPERM,
                               "%s must be accessible to root only: run chown root: %s; chmod 0700 %s", path,
                               path, path);
        return TAKE_FD(fd);
}

int run_directory(void) {
        return private_directory(RUN_DIR);
}

static int subdirectory(int dir_fd, const char *name) {
        int fd;

        if (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
                return err_born(-errno, "cannot create the directory %s in the store", name);
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot open the directory %s in the store", name);
        return fd;
}

int store_open(const Config *config, Store *ret) {
        Store s = {.fd = private_directory(config->store)};

        if (s.fd < 0)
                return err_prefix(s.fd, "the store, see Store= in carryover.conf(5): ");
        snprintf(s.path, sizeof s.path, "%s", config->store);
        *ret = s;
        return 0;
}

void store_close(Store *store) {
        store->fd = fd_close(store->fd);
}

/* The name of a tree comes from a ticket or from us; both are checked, since it becomes a path. */
static int tree_parent(const Store *store, const char *tree) {
        if (!name_is_safe(tree))
                return err_say(-EINVAL, "invalid tree name: the path would be outside the store");
        return subdirectory(store->fd, "save");
}

int store_tree_create(const Store *store, const char *tree) {
        _cleanup_(closep) int save = tree_parent(store, tree), fd = -1;
        int r;

        if (save < 0)
                return err_pass(save);
        r = gone_directory(store->fd, save, tree);
        if (r < 0)
                return err_prefix(r, "removing an older save: ");
        fd = subdirectory(save, tree);
        if (fd < 0)
                return err_pass(fd);
        /* The seal makes durable what is in the store, and the images what is in them; this is between. */
        if (fsync(save) < 0)
                return err_born(-errno, "cannot sync the directory of %s to disk", tree);
        return TAKE_FD(fd);
}

int store_tree_open(const Store *store, const char *tree) {
        _cleanup_(closep) int save = tree_parent(store, tree);
        int fd;

        if (save < 0)
                return err_pass(save);
        fd = openat(save, tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot open the images %s/save/%s", store->path, tree);
        return fd;
}

/* Fine if there still is something in it. */
static int save_end(const Store *store) {
        if (unlinkat(store->fd, "save", AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENOTEMPTY &&
            errno != EEXIST)
                return err_born(-errno, "cannot remove %s/save", store->path);
        return 0;
}

int store_tree_remove(const Store *store, const char *tree) {
        _cleanup_(closep) int save = tree_parent(store, tree);
        int r = save < 0 ? save : gone_directory(store->fd, save, tree);

        return r < 0 ? err_pass(r) : save_end(store);
}

int store_tree_fail(const Store *store, const char *ticket_id, const char *tree, char **ret_path) {
        _cleanup_(closep) int save = -1, failed = -1, home = -1;
        _cleanup_(freep) char *path = NULL;

        if (!name_is_safe(ticket_id))
                return err_say(-EINVAL, "invalid ticket id");
        save = tree_parent(store, tree);
        if (save < 0)
                return err_pass(save);
        failed = subdirectory(store->fd, "failed");
        if (failed < 0)
                return err_pass(failed);
        home = subdirectory(failed, ticket_id);
        if (home < 0)
                return err_pass(home);
        path = text_format("%s/failed/%s/%s", store->path, ticket_id, tree);
        if (!path)
                return -ENOMEM;
        if (renameat(save, tree, home, tree) < 0)
                return err_born(-errno, "cannot move the images to %s", path);
        if (fsync(home) < 0 || fsync(failed) < 0 || fsync(save) < 0 || fsync(store->fd) < 0)
                return err_born(-errno, "cannot sync %s to disk", path);
        *ret_path = TAKE(path);
        return 0;
}

/* Where the images of a tree are or were: store_tree_fail() may have moved them. -ENOENT: nowhere. */
static int tree_home(const Store *store, const char *ticket_id, const char *tree) {
        char path[2 * NAME_MAX + 16];
        int fd;

        if (!name_is_safe(ticket_id) || !name_is_safe(tree))
                return err_say(-EINVAL, "invalid tree name: the path would be outside the store");
        snprintf(path, sizeof path, "save/%s", tree);
        fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) {
                snprintf(path, sizeof path, "failed/%s/%s", ticket_id, tree);
                fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        return fd < 0 ? err_born(-errno, "cannot open the images of %s", tree) : fd;
}

/* What a restore notes beside the images of a tree. */
static const char *const notes[] = {"begun", "runs", "done"};

/* What image/image.h and image/remap.h change for a restore. Each change makes a new file, and a link keeps
 * the old one; it ends like an image, and is one wherever those are removed. */
static const char *const rewritten[][2] = {
                {"files.img", "sealed-files.img"},
                {"tty-info.img", "sealed-tty-info.img"},
};

int store_tree_keep_sealed(int images_fd) {
        for (size_t i = 0; i < ELEMENTS(rewritten); i++)
                if (linkat(images_fd, rewritten[i][0], images_fd, rewritten[i][1], 0) < 0 &&
                    errno != ENOENT && errno != EEXIST)
                        return err_born(-errno, "cannot keep a copy of image %s", rewritten[i][0]);
        return 0;
}

int store_tree_retry(const Store *store, const char *ticket_id, const char *tree) {
        _cleanup_(closep) int save = tree_parent(store, tree), images = -1;
        char from[NAME_MAX + 16];

        if (save < 0)
                return err_pass(save);
        if (!name_is_safe(ticket_id))
                return err_say(-EINVAL, "invalid ticket id");
        images = tree_home(store, ticket_id, tree);
        if (images < 0)
                return err_pass(images);
        for (size_t i = 0; i < ELEMENTS(notes); i++)
                if (unlinkat(images, notes[i], 0) < 0 && errno != ENOENT)
                        return err_born(-errno, "cannot remove the notes on %s", tree);
        for (size_t i = 0; i < ELEMENTS(rewritten); i++)
                if (renameat(images, rewritten[i][1], images, rewritten[i][0]) < 0 && errno != ENOENT)
                        return err_born(-errno, "cannot restore image %s of %s", rewritten[i][0], tree);
        snprintf(from, sizeof from, "failed/%s", ticket_id);
        if (faccessat(save, tree, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
                _cleanup_(closep) int home =
                                openat(store->fd, from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

                if (home < 0 || renameat(home, tree, save, tree) < 0)
                        return err_born(-errno, "cannot move the images of %s back", tree);
                (void)unlinkat(store->fd, from, AT_REMOVEDIR); /* if it was the last one */
        }
        if (fsync(images) < 0 || fsync(save) < 0 || fsync(store->fd) < 0)
                return err_born(-errno, "cannot sync the images of %s to disk", tree);
        return 0;
}

int store_tree_discard(const Store *store, const char *tree) {
        _cleanup_(closep) int save = -1, fd = -1, failed = -1, last = -1;
        int r;

        save = tree_parent(store, tree);
        if (save < 0)
                return err_pass(save);
        fd = openat(save, tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : err_born(-errno, "cannot open the images of %s", tree);
        r = gone_images(store->fd, fd, tree);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; i < ELEMENTS(notes); i++)
                space_remove(fd, notes[i]);
        failed = subdirectory(store->fd, "failed");
        if (failed < 0)
                return err_pass(failed);
        last = subdirectory(failed, "last");
        if (last < 0)
                return err_pass(last);
        r = file_remove_tree(last, tree);
        if (r >= 0 && renameat(save, tree, last, tree) < 0)
                r = err_born(-errno, "cannot move the logs of %s", tree);
        return r < 0 ? err_pass(r) : 0;
}

bool store_bad(const Store *store) {
        return faccessat(store->fd, "ticket.bad", F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

static int away(const Store *store, const char *name) {
        if (unlinkat(store->fd, name, 0) < 0 && errno != ENOENT)
                return err_born(-errno, "cannot remove %s/%s", store->path, name);
        if (fsync(store->fd) < 0)
                return err_born(-errno, "cannot sync %s to disk", store->path);
        return 0;
}

int store_amend(const Store *store, const Ticket *ticket) {
        if (!store_is_sealed(store))
                return err_say(-ENOENT, "%s/ticket is already claimed", store->path);
        return store_message_write(store->fd, "ticket", CODEC_TICKET, &ticket->base);
}

static int rename_durably(const Store *store, const char *from, const char *to) {
        if (renameat(store->fd, from, store->fd, to) < 0)
                return err_born(-errno, "cannot rename %s/%s", store->path, from);
        if (fsync(store->fd) < 0)
                return err_born(-errno, "cannot sync %s to disk", store->path);
        return 0;
}

/* Names become paths and counts become waits, so what decodes is still looked at before it is believed. */
static int tree_check(const Tree *tree) {
        if (!name_is_safe(tree->name) || tree->root_pid < 2 || tree->root_pid > PID_MAX)
                return err_say(-EBADMSG, "the ticket contains an invalid tree");
        if (tree->has_init_pid &&
            (tree->init_pid < 2 || tree->init_pid > PID_MAX || !tree->has_own_root_pid ||
             tree->own_root_pid < 2 || tree->own_root_pid > PID_MAX))
                return err_say(-EBADMSG, "the ticket contains an invalid namespace");
        if (tree->slice && !unit_is_safe(tree->slice))
                return err_say(-EBADMSG, "the ticket contains an invalid slice name");
        if (tree->session && (!name_is_safe(tree->session->id) || !name_is_safe(tree->session->scope)))
                return err_say(-EBADMSG, "the ticket contains an invalid session");
        return 0;
}

static int ticket_check(const Ticket *ticket) {
        int r = name_is_safe(ticket->id) ? 0 : err_say(-EBADMSG, "the ticket has an invalid id");

        if (r >= 0 && ticket->has_image_key && ticket->image_key.len != DIGEST_KEY)
                r = err_say(-EBADMSG, "the ticket has an invalid key");
        for (size_t i = 0; r >= 0 && i < ticket->n_trees; i++) {
                if (ticket->trees[i]->n_images > 0 && !ticket->has_image_key)
                        r = err_say(-EBADMSG, "the ticket has images and no key for their checksums");
                else
                        r = tree_check(ticket->trees[i]);
        }
        return r < 0 ? err_pass(r) : 0;
}

static int refuse_older(const Store *store, const char *name) {
        return err_say(-EEXIST,
                       "%s/%s: an older save has not been restored yet: run systemctl restart "
                       "carryover-restore",
                       store->path, name);
}

static bool has(const Store *store, const char *name) {
        return faccessat(store->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

int store_vacant(const Store *store) {
        static const char *const names[] = {"ticket", "ticket.claimed"};

        for (size_t i = 0; i < ELEMENTS(names); i++)
                if (has(store, names[i]))
                        return refuse_older(store, names[i]);
        return 0;
}

static int ticket_read(const Store *store, const char *name, const char *bad, Ticket **ret) {
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        int r;

        r = store_message_read(store->fd, store->path, name, CODEC_TICKET, (ProtobufCMessage **)&ticket);
        if (r == 0)
                r = ticket_check(ticket);
        if (r == -EBADMSG) {
                int aside = rename_durably(store, name, bad);

                return aside < 0 ? err_pass(aside)
                                 : err_say(-EBADMSG,
                                           "%s/%s is truncated or modified; it was not used and is kept as "
                                           "%s/%s",
                                           store->path, name, store->path, bad);
        }
        if (r != 0)
                return r;
        *ret = TAKE(ticket);
        return 0;
}

int store_ticket(const Store *store, Ticket **ret) {
        return ticket_read(store, "ticket", "ticket.bad", ret);
}

bool store_is_sealed(const Store *store) {
        return has(store, "ticket");
}

int store_waiting(const Store *store, Ticket **ret) {
        return has(store, "ticket.claimed") ? refuse_older(store, "ticket.claimed")
                                            : store_ticket(store, ret);
}

/* Nobody may have claimed, or taken the place of, what the new ticket brings along. */
static int check_place(const Store *store, const Ticket *waiting) {
        _cleanup_(ticket_freep) Ticket *there = NULL;
        int r;

        if (!waiting)
                return store_vacant(store);
        r = store_waiting(store, &there);
        if (r == 1 || (r == 0 && strcmp(there->id, waiting->id) != 0))
                r = err_say(-ENOENT, "%s/ticket was replaced during the save", store->path);
        return r;
}

int store_seal(const Store *store, const Ticket *ticket, const Ticket *waiting) {
        int r = check_place(store, waiting);

        /* What the next boot would not believe must not be promised. */
        if (r >= 0)
                r = ticket_check(ticket);
        /* Durable with the seal itself. */
        if (r >= 0 && unlinkat(store->fd, "ticket.bad", 0) < 0 && errno != ENOENT)
                r = err_born(-errno, "cannot remove %s/ticket.bad", store->path);
        if (r < 0)
                return err_pass(r);
        r = store_reserve(store, ticket, false);
        if (r >= 0)
                r = store_message_write(store->fd, "ticket", CODEC_TICKET, &ticket->base);
        if (r >= 0)
                r = fault_point("seal:written");
        if (r < 0) {
                /* It may be there and only not known to be on disk, and the trees are going to live on. */
                ErrRecord why = err_keep();

                store_unreserve(store, ticket->id);
                (void)store_unseal(store, waiting);
                err_put_back(&why);
        }
        return r < 0 ? err_pass(r) : 0;
}

int store_unseal(const Store *store, const Ticket *waiting) {
        int r;

        if (!waiting)
                return away(store, "ticket");
        r = store_message_write(store->fd, "ticket", CODEC_TICKET, &waiting->base);
        if (r >= 0)
                (void)store_reserve(store, waiting, false); /* it is sealed, with room or without */
        return r < 0 ? err_pass(r) : 0;
}

int store_saving_begin(const Store *store, const Ticket *ticket) {
        return store_message_write(store->fd, "saving", CODEC_TICKET, &ticket->base);
}

int store_saving(const Store *store, Ticket **ret) {
        return ticket_read(store, "saving", "saving.bad", ret);
}

int store_saving_end(const Store *store) {
        return away(store, "saving");
}

/* units/carryover-ssh-again.timer looks for the file, too. */
int store_take_over(const Ticket *ticket) {
        _cleanup_(closep) int run = run_directory();

        return run < 0 ? err_pass(run) : file_replace(run, "claimed", ticket->id, strlen(ticket->id));
}

int store_claim(const Store *store, const Ticket *ticket) {
        /* The mark first: alone it means nothing, but a claim without it would look like another boot's. */
        int r = store_take_over(ticket);

        return r < 0 ? err_pass(r) : rename_durably(store, "ticket", "ticket.claimed");
}

int store_claimed(const Store *store, Ticket **ret, bool *ret_ours) {
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        _cleanup_(freep) char *mark = NULL;
        int r;

        r = ticket_read(store, "ticket.claimed", "ticket.bad", &ticket);
        if (r != 0)
                return r;
        r = file_slurp(AT_FDCWD, RUN_DIR "/claimed", 128, &mark, NULL);
        if (r < 0 && r != -ENOENT)
                return err_pass(r);
        *ret_ours = r >= 0 && strcmp(mark, ticket->id) == 0;
        *ret = TAKE(ticket);
        return 0;
}

bool store_tree_begun(int images_fd) {
        return faccessat(images_fd, "begun", F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

int store_tree_begin(int images_fd) {
        return space_replace(images_fd, "begun", "", 0);
}

int store_tree_runs(int images_fd, const Tree *tree) {
        return store_message_note(images_fd, "runs", CODEC_TREE, &tree->base);
}

int store_tree_done(const Store *store, const char *ticket_id, const Tree *tree) {
        _cleanup_(closep) int fd = tree_home(store, ticket_id, tree->name);

        return fd < 0 ? err_pass(fd) : store_message_note(fd, "done", CODEC_TREE, &tree->base);
}

/* What one of those notes says. Answer 1: there is none. */
static int tree_noted(int images_fd, const char *note, const char *name, Tree **ret) {
        _cleanup_(tree_freep) Tree *tree = NULL;
        int r;

        r = store_message_read(images_fd, name, note, CODEC_TREE, (ProtobufCMessage **)&tree);
        if (r == 0)
                r = tree_check(tree);
        if (r == 0 && (strcmp(tree->name, name) != 0 || !tree->outcome))
                r = err_say(-EBADMSG, "%s/%s belongs to another tree", name, note);
        if (r != 0)
                return err_pass(r);
        *ret = TAKE(tree);
        return 0;
}

int store_tree_ran(int images_fd, const char *name, Tree **ret) {
        return tree_noted(images_fd, "runs", name, ret);
}

int store_tree_outcome(const Store *store, const char *ticket_id, const char *name, Tree **ret) {
        _cleanup_(closep) int fd = tree_home(store, ticket_id, name);

        if (fd == -ENOENT)
                return 1;
        return fd < 0 ? err_pass(fd) : tree_noted(fd, "done", name, ret);
}

int store_tree_recall(const Store *store, const char *ticket_id, Tree **tree) {
        Tree *known = NULL;
        int r = store_tree_outcome(store, ticket_id, (*tree)->name, &known);

        if (r == 0) {
                model_free(*tree);
                *tree = known;
        }
        return r < 0 ? err_pass(r) : r;
}

int store_tree_empty(const Store *store, const char *tree) {
        _cleanup_(closep) int fd = store_tree_open(store, tree);

        return fd < 0 ? err_pass(fd) : gone_images(store->fd, fd, tree);
}

int store_report_write(const Store *store, const Ticket *report) {
        int r;

        r = store_message_note(store->fd, "report", CODEC_TICKET, &report->base);
        if (r < 0)
                return err_pass(r);
        /* What was given back needs its room again. */
        if (faccessat(store->fd, "ticket", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                store_unreserve(store, report->id);
        r = away(store, "ticket.claimed");
        return r < 0 ? err_pass(r) : save_end(store);
}

int store_give_back(const Store *store, const Ticket *rest) {
        int r = ticket_check(rest);

        return r < 0 ? err_pass(r) : store_message_note(store->fd, "ticket", CODEC_TICKET, &rest->base);
}

int store_report(const Store *store, Ticket **ret) {
        return ticket_read(store, "report", "report.bad", ret);
}

static int run_message(const char *name, CodecKind kind, ProtobufCMessage **ret) {
        _cleanup_(closep) int dir = run_directory();

        return dir < 0 ? err_pass(dir) : store_message_read(dir, RUN_DIR, name, kind, ret);
}

int run_keep_read(Keep **ret) {
        int r = run_message("keep", CODEC_KEEP, (ProtobufCMessage **)ret);

        if (r != 1)
                return r;
        *ret = model_new(Keep, keep__init);
        return *ret ? 0 : -ENOMEM;
}

int run_keep_write(const Keep *keep) {
        _cleanup_(closep) int dir = run_directory();

        return dir < 0 ? err_pass(dir) : store_message_write(dir, "keep", CODEC_KEEP, &keep->base);
}

int run_request_read(Request **ret) {
        return run_message("request", CODEC_REQUEST, (ProtobufCMessage **)ret);
}

int run_request_write(const Request *request) {
        _cleanup_(closep) int dir = run_directory();

        return dir < 0 ? err_pass(dir) : store_message_write(dir, "request", CODEC_REQUEST, &request->base);
}

int run_request_remove(void) {
        if (unlink(RUN_REQUEST) < 0 && errno != ENOENT)
                return err_born(-errno, "cannot remove " RUN_REQUEST);
        return 0;
}

int run_hold_read(Early **ret) {
        return run_message("hold", CODEC_EARLY, (ProtobufCMessage **)ret);
}

int run_hold_write(const Early *early) {
        _cleanup_(closep) int dir = run_directory();

        return dir < 0 ? err_pass(dir) : store_message_write(dir, "hold", CODEC_EARLY, &early->base);
}

int run_hold_remove(void) {
        if (unlink(RUN_DIR "/hold") < 0 && errno != ENOENT)
                return err_born(-errno, "cannot remove " RUN_DIR "/hold");
        return 0;
}

int run_unreported(bool unreported) {
        _cleanup_(closep) int dir = run_directory();

        if (dir < 0)
                return err_pass(dir);
        if (unreported)
                return file_replace(dir, "unreported", "", 0);
        if (unlinkat(dir, "unreported", 0) < 0 && errno != ENOENT)
                return err_born(-errno, "cannot remove " RUN_UNREPORTED);
        return 0;
}

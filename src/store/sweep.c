/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the store drops in its own time: images of trees that nobody will try again, and whatever is in
 * gone/. */

#include "store/sweep.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "files/wipe.h"
#include "image/remap.h"
#include "model/box.h"
#include "store/gone.h"
#include "store/message.h"
#include "store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A gigabyte takes seconds; nobody waits for it, but the restore's unit is up until then. */
#define WIPE_TIMEOUT (600 * USEC_PER_SEC)

typedef struct Age {
        const Store *store;
        const char *keep; /* the save whose trees may be tried again; NULL: nobody knows */
        time_t before;
        bool by_time;
} Age;

/* Links beside the files that had lost their names were kept for another try. */
static void forget_links(int home_fd, const char *name) {
        _cleanup_(closep) int fd = openat(home_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_(tree_freep) Tree *tree = NULL;
        Sweep sweep = by_inode_sweep_begin();

        if (fd >= 0 && store_message_read(fd, name, "done", CODEC_TREE, (ProtobufCMessage **)&tree) == 0)
                remaps_sweep_lost(tree, &sweep);
}

static int age_tree(int home_fd, const struct dirent *e, void *userdata) {
        const Age *age = userdata;
        struct stat st;

        if (fstatat(home_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_born(-errno, "cannot stat %s in the store", e->d_name);
        if (!S_ISDIR(st.st_mode) || (age->by_time && st.st_mtim.tv_sec >= age->before))
                return 0;
        forget_links(home_fd, e->d_name);
        return gone_directory(age->store->fd, home_fd, e->d_name);
}

static int age_save(int failed_fd, const struct dirent *e, void *userdata) {
        Age *age = userdata;
        int r;

        if (strcmp(e->d_name, "last") == 0 || entry_type(failed_fd, e) != DT_DIR)
                return 0; /* logs, which the next save that fails replaces */
        age->by_time = !age->keep || strcmp(age->keep, e->d_name) == 0;
        r = gone_each(failed_fd, e->d_name, age_tree, age);
        if (r == 0)
                (void)unlinkat(failed_fd, e->d_name, AT_REMOVEDIR); /* if there is nothing left in it */
        return r;
}

int store_age(const Store *store, uint64_t before_realtime) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        Age age = {.store = store, .before = (time_t)(before_realtime / USEC_PER_SEC)};
        int r;

        /* Whose trees are being restored, and may just have failed; or nobody can tell. */
        if (store_vacant(store) < 0 || store_bad(store))
                return 0;
        r = store_report(store, &report);
        if (r < 0)
                return err_pass(r);
        age.keep = report ? report->id : NULL;
        r = gone_each(store->fd, "failed", age_save, &age);
        return r < 0 ? err_pass(r) : 0;
}

typedef struct Wipe {
        uint64_t deadline;
        int stop_fd;
        int late; /* -ETIMEDOUT from the moment on in which files are only removed */
        bool reaches;
} Wipe;

/* An encrypted image is of no use to anybody. */
static bool is_box(int dir_fd, const char *name) {
        _cleanup_(closep) int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        return fd >= 0 && box_is(fd);
}

/* Answer 1: told to stop. */
static int wipe_entry(Wipe *w, int dir_fd, const struct dirent *e) {
        int r = 0;

        if (entry_type(dir_fd, e) != DT_REG)
                return 0;
        if (w->reaches && w->late >= 0 && !is_box(dir_fd, e->d_name))
                r = wipe_file(dir_fd, e->d_name, w->deadline, w->stop_fd);
        if (r == -ETIMEDOUT)
                w->late = r;
        else if (r != 0)
                return r;
        if (unlinkat(dir_fd, e->d_name, 0) < 0)
                return err_born(-errno, "cannot remove the image %s", e->d_name);
        return 0;
}

static int wipe_image(int dir_fd, const struct dirent *e, void *userdata) {
        return wipe_entry(userdata, dir_fd, e);
}

static int wipe_tree(int gone_fd, const struct dirent *e, void *userdata) {
        int r = entry_type(gone_fd, e) == DT_DIR ? gone_each(gone_fd, e->d_name, wipe_image, userdata) : 0;

        if (r == 0)
                r = file_remove_tree(gone_fd, e->d_name);
        return r;
}

int store_wipe(const Store *store, int stop_fd) {
        Wipe w = {.deadline = now_monotonic() + WIPE_TIMEOUT,
                  .stop_fd = stop_fd,
                  .reaches = wipe_reaches(store->fd)};
        int r;

        wipe_quietly();
        r = gone_each(store->fd, "gone", wipe_tree, &w);
        if (r != 0)
                return r < 0 ? err_pass(r) : r;
        if (unlinkat(store->fd, "gone", AT_REMOVEDIR) < 0 && errno != ENOENT)
                return err_born(-errno, "cannot remove %s/gone", store->path);
        return w.late < 0 ? err_say(-ETIMEDOUT, "overwriting the images timed out; the rest were removed "
                                                "without overwriting")
                          : 0;
}

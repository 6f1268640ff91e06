/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A line of mountinfo:
 *
 *         36 35 98:0 /directory/there /here rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 *
 * with blanks, tabs, line breaks and backslashes of names as "\040". The optional fields end with the "-".
 */

#include "kernel/mounts.h"

#include "base/await.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_one_of(const char *type, const char *const *names) {
        for (; *names; names++)
                if (strcmp(type, *names) == 0)
                        return true;
        return false;
}

static bool is_remote(const char *type) {
        static const char *const prefixes[] = {"fuse", "nfs", "cifs", "smb3", "9p", "ceph", "afs", "autofs"};

        for (size_t i = 0; i < ELEMENTS(prefixes); i++)
                if (starts_with(type, prefixes[i]))
                        return true;
        return false;
}

static bool is_octal(char c) {
        return c >= '0' && c <= '7';
}

static char *unescape(const char *text) {
        char *copy = text ? strdup(text) : NULL, *to = copy;

        for (const char *from = copy; from && *from; to++) {
                bool escaped = from[0] == '\\' && is_octal(from[1]) && is_octal(from[2]) &&
                               is_octal(from[3]);

                *to = escaped ? (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'))
                              : *from;
                from += escaped ? 4 : 1;
        }
        if (to)
                *to = '\0';
        return copy;
}

static int line_parse(char *line, MountLine *ret) {
        static const char *const memory[] = {"tmpfs", "ramfs", NULL};
        char *fields[5], *rest = line, *type, *source, *field;
        MountLine m = {0};

        for (size_t i = 0; i < ELEMENTS(fields); i++)
                fields[i] = strsep(&rest, " ");
        do
                field = strsep(&rest, " ");
        while (field && strcmp(field, "-") != 0);
        type = strsep(&rest, " ");
        source = strsep(&rest, " ");
        if (!type || !source || sscanf(fields[0], "%d", &m.at.id) != 1 ||
            sscanf(fields[1], "%d", &m.parent) != 1 || sscanf(fields[2], "%u:%u", &m.major, &m.minor) != 2)
                return err_say(-EBADMSG, "/proc/self/mountinfo has an invalid line");
        m.here = m.at.id;
        m.is_volatile = is_one_of(type, memory);
        m.is_remote = is_remote(type);
        m.at.root = unescape(fields[3]);
        m.at.point = unescape(fields[4]);
        m.at.type = unescape(type);
        m.at.source = unescape(source);
        if (!m.at.root || !m.at.point || !m.at.type || !m.at.source) {
                snap_mount_done(&m.at);
                return -ENOMEM;
        }
        *ret = m;
        return 0;
}

static int line_add(char *line, Mounts *ret) {
        MountLine m;
        int r = line_parse(line, &m);

        if (r < 0)
                return r;
        r = model_append(ret->list, ret->n, m);
        if (r < 0)
                snap_mount_done(&m.at);
        return r;
}

/* Line by line, without a bound in all: how long a line is, a user chooses by the name of his file system,
 * and how many there are, the kernel bounds. */
int mounts_parse(FILE *f, Mounts *ret) {
        _cleanup_(freep) char *line = NULL;
        size_t room = 0;
        ssize_t l;
        int r = 0;

        while (r >= 0 && (l = getline(&line, &room, f)) > 0) {
                line[l - 1] = line[l - 1] == '\n' ? '\0' : line[l - 1];
                r = line_add(line, ret);
        }
        if (r >= 0 && !feof(f))
                r = err_say(-EIO, "cannot read the list of mounts");
        if (r < 0)
                mounts_done(ret);
        return r < 0 ? err_pass(r) : 0;
}

int mounts_read(Mounts *ret) {
        _cleanup_(fclosep) FILE *f = fopen("/proc/thread-self/mountinfo", "re");

        if (!f)
                return err_born(-errno, "cannot read the list of mounts");
        return err_pass(mounts_parse(f, ret));
}

/* The same directory of the same file system on the same point. A /proc of its own shows what ours does, by
 * other numbers. */
static void find_here(const Mounts *ours, MountLine *m) {
        bool is_proc = strcmp(m->at.type, "proc") == 0;

        m->here = 0;
        m->is_elsewhere = true;
        for (size_t i = 0; i < ours->n && m->is_elsewhere; i++) {
                const MountLine *o = ours->list + i;
                bool is_same = o->major == m->major && o->minor == m->minor;

                if ((!is_same && !(is_proc && strcmp(o->at.type, "proc") == 0)) ||
                    strcmp(o->at.point, m->at.point) != 0 || strcmp(o->at.root, m->at.root) != 0)
                        continue;
                m->here = o->at.id;
                m->is_elsewhere = !is_same;
        }
}

int mounts_read_of(pid_t pid, const Mounts *ours, Mounts *ret) {
        _cleanup_(fclosep) FILE *f = NULL;
        char path[40];
        int r;

        snprintf(path, sizeof path, "/proc/%d/mountinfo", (int)pid);
        f = fopen(path, "re");
        if (!f)
                return errno == ENOENT || errno == ESRCH
                                       ? -ESRCH
                                       : err_born(-errno, "cannot read the mounts of process %d", (int)pid);
        r = mounts_parse(f, ret);
        for (size_t i = 0; r >= 0 && i < ret->n; i++)
                find_here(ours, ret->list + i);
        return r < 0 ? err_pass(r) : 0;
}

void mounts_done(Mounts *mounts) {
        for (size_t i = 0; i < mounts->n; i++)
                snap_mount_done(&mounts->list[i].at);
        free(mounts->list);
        *mounts = (Mounts){0};
}

const MountLine *mounts_by_id(const Mounts *mounts, int id) {
        for (size_t i = 0; i < mounts->n; i++)
                if (mounts->list[i].at.id == id)
                        return mounts->list + i;
        return NULL;
}

const MountLine *mounts_by_device(const Mounts *mounts, unsigned major, unsigned minor) {
        for (size_t i = 0; i < mounts->n; i++)
                if (mounts->list[i].major == major && mounts->list[i].minor == minor)
                        return mounts->list + i;
        return NULL;
}

static bool is_at_or_below(const char *path, const char *point) {
        size_t l = strcmp(point, "/") == 0 ? 0 : strlen(point);

        return strncmp(path, point, l) == 0 && (path[l] == '/' || path[l] == '\0');
}

/* What was mounted last on a point covers what was there. */
const MountLine *mounts_by_path(const Mounts *mounts, const char *path) {
        const MountLine *found = NULL;

        for (size_t i = 0; i < mounts->n; i++)
                if (is_at_or_below(path, mounts->list[i].at.point) &&
                    (!found || strlen(mounts->list[i].at.point) >= strlen(found->at.point)))
                        found = mounts->list + i;
        return found;
}

bool mount_forgets(const MountLine *mount, const char *path) {
        return mount && (mount->is_volatile || (!mount->is_remote && starts_with(path, "/tmp/")));
}

/* ---- what a tree stands on ---- */

static bool is_possible(const Mount *m) {
        return m->point[0] == '/' && m->point[1] && m->type[0] && !strstr(m->point, "/../") &&
               !ends_with(m->point, "/..");
}

static bool is_same(const MountLine *now, const Mount *was) {
        return strcmp(now->at.type, was->type) == 0 && strcmp(now->at.root, was->root) == 0 &&
               (!now->is_remote || starts_with(now->at.type, "fuseblk") ||
                strcmp(now->at.source, was->source) == 0);
}

/* autofs stands there itself until somebody asks, above, or on the point. */
static int say_missing(const MountLine *now, const Mount *was) {
        if (!now || strcmp(now->at.point, was->point) != 0 || strcmp(now->at.type, "autofs") == 0)
                (void)err_say(-ETIMEDOUT, "mount point %s, which has files of the tree, is not mounted",
                              was->point);
        else
                (void)err_say(-ETIMEDOUT, "%s of %s (%s) is mounted on %s; the tree needs %s of %s (%s)",
                              now->at.root, now->at.source, now->at.type, was->point, was->root, was->source,
                              was->type);
        return 1;
}

static int first_missing(const Mounts *mounts, const Tree *tree, const char *below, size_t *ret,
                         const MountLine **ret_now) {
        for (size_t i = 0; i < tree->n_mounts; i++) {
                const Mount *was = tree->mounts[i];
                const MountLine *now;

                if (!is_possible(was))
                        return err_say(-EBADMSG, "the ticket contains an invalid mount");
                now = mounts_by_path(mounts, was->point);
                if ((below && !is_at_or_below(was->point, below)) ||
                    (now && strcmp(now->at.point, was->point) == 0 && is_same(now, was)))
                        continue;
                *ret = i;
                *ret_now = now;
                return say_missing(now, was);
        }
        return 0;
}

int mounts_missing(const Mounts *mounts, const Tree *tree, const char *below) {
        const MountLine *now;
        size_t at;

        return first_missing(mounts, tree, below, &at, &now);
}

typedef struct Look {
        const Tree *tree;
        pid_t *askers; /* one for each mount; 0: not asked */
} Look;

/* Whoever looks for what lies behind an autofs has it mounted, or waits for that as long as it takes.
 * Between fork() and the end there is nothing that another thread could hold a lock of. Nothing of ours may
 * stay open with it, should it stay. */
static pid_t ask(const char *inside) {
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close_range(0, ~0u, 0);
        (void)access(inside, F_OK);
        _exit(0);
}

static int look_mounts(void *userdata, uint64_t *deadline) {
        Look *look = userdata;
        Mounts mounts = {0};
        const MountLine *now;
        size_t at;
        int r = mounts_read(&mounts);

        (void)deadline;
        if (r >= 0)
                r = first_missing(&mounts, look->tree, NULL, &at, &now);
        if (r == 1 && now && strcmp(now->at.type, "autofs") == 0 && look->askers[at] == 0) {
                _cleanup_(freep) char *inside = text_format("%s/.", look->tree->mounts[at]->point);

                look->askers[at] = inside ? ask(inside) : -1;
        }
        mounts_done(&mounts);
        return r;
}

/* One that hangs in the kernel all the same is left to whoever inherits it. */
static void askers_end(Look *look) {
        for (size_t i = 0; i < look->tree->n_mounts; i++) {
                if (look->askers[i] <= 0)
                        continue;
                (void)kill(look->askers[i], SIGKILL);
                (void)waitpid(look->askers[i], NULL, WNOHANG);
        }
}

int mounts_wait(const Tree *tree, uint64_t usec, int stop_fd) {
        _cleanup_(freep) pid_t *askers = calloc(tree->n_mounts ?: 1, sizeof *askers);
        _cleanup_(closep) int fd = open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC);
        Look look = {tree, askers};
        int r;

        if (!askers)
                return -ENOMEM;
        if (fd < 0)
                return err_born(-errno, "cannot watch the mounts for changes");
        r = await_change(&(Await){
                        .look = look_mounts,
                        .userdata = &look,
                        .event_fd = fd,
                        .events = POLLPRI,
                        .stop_fd = stop_fd,
                        .deadline_monotonic = now_monotonic() + usec,
                        .what = "mounts",
        });
        askers_end(&look);
        if (r == -ETIMEDOUT) {
                _cleanup_(freep) char *why = strdup(err_text(r));

                return err_say(r, "%s (waited %" PRIu64 " s)", why ?: "out of memory", usec / USEC_PER_SEC);
        }
        return r < 0 ? err_pass(r) : 0;
}

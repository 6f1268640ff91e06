/* SPDX-License-Identifier: GPL-2.0-or-later */

/* In /run/carryover: who is at work, and how far. The locks are those of a process, which no child inherits:
 * it is the kernel that takes them off, and that tells who has one. */

#include "store/run.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#define KEEP_WAIT (10 * USEC_PER_SEC)
#define HUGE_NOTE "huge-pages"

static int lock_open(const char *what) {
        _cleanup_(closep) int dir = run_directory();
        char name[32];
        int fd;

        if (dir < 0)
                return err_pass(dir);
        snprintf(name, sizeof name, "%s.lock", what);
        fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd < 0 ? err_born(-errno, "cannot open the lock %s", name) : fd;
}

int run_lock(const char *what) {
        _cleanup_(closep) int fd = lock_open(what);
        struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

        if (fd < 0)
                return err_pass(fd);
        if (fcntl(fd, F_SETLK, &all) == 0)
                return TAKE_FD(fd);
        return errno == EAGAIN || errno == EACCES
                               ? err_say(-EBUSY, "another %s is in progress: see carryover status", what)
                               : err_born(-errno, "cannot lock %s", what);
}

/* Answer 1: nobody. */
static int lock_owner(int fd, const char *what, pid_t *ret) {
        struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

        if (fcntl(fd, F_GETLK, &all) < 0)
                return err_born(-errno, "cannot query the lock %s", what);
        *ret = all.l_pid;
        return all.l_type == F_UNLCK;
}

int run_lock_is_free(const char *what) {
        _cleanup_(closep) int fd = lock_open(what);
        pid_t owner = 0;

        return fd < 0 ? err_pass(fd) : lock_owner(fd, what, &owner);
}

/* Its number is its own only as long as it has the lock, so that is asked behind the pidfd. */
static int owner_wait(int fd, const char *what, pid_t owner, int signal, uint64_t deadline) {
        _cleanup_(closep) int pidfd = pidfd_open(owner, 0);
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        pid_t still = 0;
        int n, r;

        r = lock_owner(fd, what, &still);
        if (r != 0 || pidfd < 0 || still != owner) /* the next look tells */
                return r < 0 ? r : 0;
        if (signal != 0 && pidfd_send_signal(pidfd, signal, NULL, 0) < 0 && errno != ESRCH)
                return err_born(-errno, "cannot signal process %d", (int)owner);
        while ((n = poll(&p, 1, deadline_ms(deadline))) < 0 && errno == EINTR)
                ;
        return n > 0 ? 0
                     : err_say(-ETIMEDOUT, "the running %s (process %d) does not terminate", what,
                               (int)owner);
}

int run_lock_wait(const char *what, int signal, uint64_t deadline) {
        _cleanup_(closep) int fd = lock_open(what);
        int r = fd, waited = 1;
        pid_t owner = 0;

        while (r >= 0) {
                r = lock_owner(fd, what, &owner);
                if (r == 1)
                        return waited;
                if (r == 0)
                        r = owner_wait(fd, what, owner, signal, deadline);
                waited = 0;
        }
        return err_pass(r);
}

/* Whoever has it reads and writes a small file and lets go; but a process can be stopped, and fcntl(2) waits
 * for ever or not at all. */
int run_keep_lock(void) {
        static const struct timespec moment = {.tv_nsec = 5000000};
        uint64_t deadline = now_monotonic() + KEEP_WAIT;
        int fd;

        while ((fd = run_lock("keep")) == -EBUSY && now_monotonic() < deadline)
                (void)nanosleep(&moment, NULL);
        return fd < 0 ? err_pass(fd) : fd;
}

int run_keep_change(int (*change)(Keep *keep, void *userdata), void *userdata) {
        _cleanup_(closep) int lock = run_keep_lock();
        _cleanup_(keep_freep) Keep *keep = NULL;
        int r = lock, changed = 0;

        if (r >= 0)
                r = run_keep_read(&keep);
        if (r >= 0)
                r = changed = change(keep, userdata);
        if (r > 0)
                r = run_keep_write(keep);
        return r < 0 ? err_pass(r) : changed;
}

/* Answer 1: the list has changed. */
static int add(Keep *keep, void *userdata) {
        const char *target = userdata;
        char *copy;
        int r;

        for (size_t i = 0; i < keep->n_targets; i++)
                if (strcmp(keep->targets[i], target) == 0)
                        return 0;
        copy = strdup(target);
        r = copy ? model_append(keep->targets, keep->n_targets, copy) : -ENOMEM;
        if (r < 0)
                free(copy);
        return r < 0 ? r : 1;
}

int run_keep_add(const char *target) {
        int r = run_keep_change(add, (void *)(uintptr_t)target);

        return r < 0 ? err_pass(r) : r == 0;
}

static bool matches(const char *kept, const char *wanted) {
        size_t l = strlen(wanted);

        if (strcmp(kept, wanted) == 0)
                return true;
        if (starts_with(wanted, "pid:"))
                return strncmp(kept, wanted, l) == 0 && kept[l] == '@';
        /* "unit:x" is "unit:x.service" */
        return starts_with(wanted, "unit:") && strncmp(kept, wanted, l) == 0 &&
               strcmp(kept + l, ".service") == 0;
}

/* Answer 1: the list has changed. */
static int take_off(Keep *keep, void *userdata) {
        const char *wanted = userdata;
        size_t left = 0;
        bool changed;

        for (size_t i = 0; i < keep->n_targets; i++)
                if (!wanted || matches(keep->targets[i], wanted))
                        free(keep->targets[i]);
                else
                        keep->targets[left++] = keep->targets[i];
        changed = left < keep->n_targets;
        keep->n_targets = left;
        return changed;
}

int run_keep_drop(const char *target) {
        int r = run_keep_change(take_off, (void *)(uintptr_t)target);

        return r < 0 ? err_pass(r) : r == 0;
}

int run_progress(const char *format, ...) {
        _cleanup_(closep) int dir = run_directory(), fd = -1;
        char line[512];
        va_list ap;
        int n;

        if (dir < 0)
                return err_pass(dir);
        fd = openat(dir, "progress", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return err_born(-errno, "cannot write " RUN_PROGRESS);
        va_start(ap, format);
        n = vsnprintf(line, sizeof line - 1, format, ap);
        va_end(ap);
        if (n > (int)sizeof line - 2)
                n = (int)sizeof line - 2;
        line[n++] = '\n';
        return fd_write_all(fd, line, (size_t)n);
}

int run_huge_read(RunHuge *ret) {
        _cleanup_(closep) int dir = run_directory();
        _cleanup_(freep) char *text = NULL;
        char *made;
        int r;

        if (dir < 0)
                return err_pass(dir);
        r = file_slurp(dir, HUGE_NOTE, 64, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? 1 : err_pass(r);
        made = text + strcspn(text, " ");
        if (*made)
                *made++ = '\0';
        if (parse_u64(text, UINT64_MAX, &ret->own) < 0 || parse_u64(made, UINT64_MAX, &ret->made) < 0)
                return err_say(-EBADMSG, "/run/carryover/" HUGE_NOTE " does not have two numbers");
        return 0;
}

int run_huge_write(const RunHuge *huge) {
        _cleanup_(closep) int dir = run_directory();
        char text[64];
        int n = snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64, huge->own, huge->made);

        return dir < 0 ? err_pass(dir) : file_replace(dir, HUGE_NOTE, text, (size_t)n);
}

int run_huge_remove(void) {
        _cleanup_(closep) int dir = run_directory();

        if (dir < 0)
                return err_pass(dir);
        if (unlinkat(dir, HUGE_NOTE, 0) < 0 && errno != ENOENT)
                return err_born(-errno, "cannot remove /run/carryover/" HUGE_NOTE);
        return 0;
}

int run_waits_for(const char *what) {
        _cleanup_(closep) int dir = run_directory();

        if (dir < 0)
                return err_pass(dir);
        if (unlinkat(dir, "waits-for", 0) < 0 && errno != ENOENT)
                return err_born(-errno, "cannot remove " RUN_WAITS_FOR);
        if (what && what[0] && symlinkat(what, dir, "waits-for") < 0)
                return err_born(-errno, "cannot write " RUN_WAITS_FOR);
        return 0;
}

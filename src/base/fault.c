/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/fault.h"

#if WITH_FAULTS

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char *const fault_names[] = {
                "save:noted",
                "save:begun",
                "save:after-hold",
                "save:before-freeze",
                "save:after-dump",
                "save:before-ready",
                "save:before-seal",
                "seal:written",
                "save:committed",
                "jump:before-load",
                "jump:loaded",
                "jump:last",
                "early:initramfs",
                "early:before-claim",
                "early:claimed",
                "restore:after-claim",
                "restore:begun",
                "restore:before-criu",
                "restore:made",
                "restore:running",
                "restore:noted",
                "restore:after-outcome",
                "restore:before-report",
                "restore:reported",
                NULL,
};

typedef enum Way { FAULT_NONE, FAULT_ERROR, FAULT_KILL, FAULT_CRASH, FAULT_HANG, FAULT_RUN } Way;

/* `wanted` is "NAME" or "NAME:WAY", up to a space or the end. */
static Way way_of(const char *wanted, const char *name) {
        static const char *const ways[] = {[FAULT_ERROR] = "",
                                           [FAULT_KILL] = ":kill",
                                           [FAULT_CRASH] = ":crash",
                                           [FAULT_HANG] = ":hang",
                                           [FAULT_RUN] = ":hook"};
        size_t l = strlen(name), w = strcspn(wanted, " \n");

        if (w < l || strncmp(wanted, name, l) != 0)
                return FAULT_NONE;
        for (Way way = FAULT_ERROR; way <= FAULT_RUN; way++)
                if (strlen(ways[way]) == w - l && strncmp(wanted + l, ways[way], w - l) == 0)
                        return way;
        return FAULT_NONE;
}

/* The first one to get there, of all processes of this boot. */
static bool is_first(const char *name) {
        _cleanup_(freep) char *mark = text_format(FAULT_DONE "%s", name);
        _cleanup_(closep) int fd =
                        mark ? open(mark, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

        return fd >= 0;
}

static void hang(const char *name) {
        _cleanup_(freep) char *line = text_format("<1>carryover: fault %s\n", name);
        int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

        if (fd >= 0 && line)
                (void)fd_write_all(fd, line, strlen(line));
        for (;;)
                pause();
}

static int run_hook(const char *name) {
        char *const words[] = {(char *)FAULT_HOOK, (char *)name, NULL};
        char *const environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
        int status;
        pid_t pid;

        if (posix_spawn(&pid, FAULT_HOOK, NULL, NULL, words, environment) != 0)
                return err_say(-ENOENT, "" FAULT_HOOK " does not exist or cannot be run");
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return 0;
}

/* What the words of a file want of this point; the last one counts. */
static Way wish_of(const char *path, const char *name) {
        static const char key[] = "carryover.fault=";
        _cleanup_(freep) char *text = NULL;
        Way way = FAULT_NONE;

        if (file_slurp(AT_FDCWD, path, 4096, &text, NULL) < 0)
                return FAULT_NONE;
        for (const char *word = text; (word = strstr(word, key));) {
                Way wanted = way_of(word += strlen(key), name);

                way = wanted == FAULT_NONE ? way : wanted;
        }
        return way;
}

int fault_point(const char *name) {
        ErrRecord kept = err_keep();
        Way way = wish_of(FAULT_WISHES, name);

        if (way == FAULT_NONE)
                way = wish_of("/proc/cmdline", name);
        err_put_back(&kept);
        if (way == FAULT_NONE || (way != FAULT_CRASH && !is_first(name)))
                return 0;
        if (way == FAULT_ERROR)
                return err_say(-EIO, "fault point %s", name);
        if (way == FAULT_RUN)
                return run_hook(name);
        if (way == FAULT_HANG)
                hang(name);
        (void)kill(getpid(), SIGKILL);
        return 0;
}

#endif

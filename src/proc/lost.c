/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a process has set for itself, of time and memory, that CRIU does not save: no file of its own tells
 * of it, so the lists of its memory are read. The kernel walks through all of it for these. Hence they are
 * read only where there is something to find, and no longer than is worth it.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "proc/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

#define LIST_USEC     (100 * USEC_PER_MSEC) /* some tens of GiB in small pages */
#define SMALL         64
#define DEFAULT_SLACK 50000

/* Whether a line is what is looked for. `head` is the first line of its mapping. */
typedef bool LineTest(const char *line, const char *head);

static bool is_policy(const char *line, const char *head) {
        const char *word = strchr(line, ' ');

        (void)head;
        return word && !starts_with(word, " default") && !starts_with(word, " local");
}

/* Some kernels seal what they themselves map into each process. */
static bool is_kernels(const char *head) {
        static const char *const names[] = {" [vdso]", " [vvar", " [vsyscall]", " [uprobes]"};

        for (size_t i = 0; i < ELEMENTS(names); i++)
                if (strstr(head, names[i]))
                        return true;
        return false;
}

static bool is_seal(const char *line, const char *head) {
        return starts_with(line, "VmFlags:") && strstr(line, " sl") && !is_kernels(head);
}

static bool is_head(const char *line) {
        return line[0] && strchr("0123456789abcdef", line[0]);
}

/* Who may not look is told nothing, nor is one told more than is seen in time. */
static bool list_has(int pid_dir, const char *name, LineTest *test) {
        _cleanup_(fclosep) FILE *file = NULL;
        _cleanup_(freep) char *line = NULL, *head = strdup("");
        uint64_t deadline = now_monotonic() + LIST_USEC;
        size_t room = 0;
        int fd = openat(pid_dir, name, O_RDONLY | O_CLOEXEC);

        file = fd < 0 ? NULL : fdopen(fd, "r");
        if (!file)
                (void)fd_close(fd);
        while (file && head && getline(&line, &room, file) > 0) {
                if (is_head(line)) {
                        child_step();
                        if (now_monotonic() > deadline)
                                return false;
                        free(head);
                        head = strdup(line);
                }
                if (head && test(line, head))
                        return true;
        }
        return false;
}

bool procfs_has_policy(int pid_dir) {
        return list_has(pid_dir, "numa_maps", is_policy);
}

bool procfs_has_seal(int pid_dir) {
        return list_has(pid_dir, "smaps", is_seal);
}

/* "0", "0-3". Memory of a single node is where it is, whatever was asked for. */
static bool has_nodes(void) {
        _cleanup_(freep) char *text = NULL;

        return file_slurp(AT_FDCWD, "/sys/devices/system/node/online", SMALL, &text, NULL) >= 0 &&
               strpbrk(text, ",-");
}

/* To seal nothing is allowed everywhere, if anything can be sealed. */
static bool has_seals(void) {
        return syscall(SYS_mseal, 0L, 0L, 0L) == 0;
}

/* 0: it is not known, or one of real time, which has none. */
static uint64_t slack_of(int dir, const char *path) {
        _cleanup_(freep) char *text = NULL;

        return file_slurp(dir, path, SMALL, &text, NULL) < 0 ? 0 : strtoull(text, NULL, 10);
}

/* After the restore it has that of CRIU, which is PID 1's (TimerSlackNSec= of system.conf). */
static bool has_slack(int pid_dir) {
        uint64_t slack = slack_of(pid_dir, "timerslack_ns"), first;

        if (slack == 0 || slack == DEFAULT_SLACK)
                return false;
        first = slack_of(pid_dir, "../1/timerslack_ns");
        return slack != (first ?: DEFAULT_SLACK);
}

void procfs_lost(int pid_dir, SnapProcess *p) {
        p->slack = has_slack(pid_dir);
        p->numa = has_nodes() && procfs_has_policy(pid_dir);
        p->sealed = has_seals() && procfs_has_seal(pid_dir);
}

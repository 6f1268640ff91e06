/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a process has set for itself, of time and memory, that CRIU does not save: of memory no file of its
 * own tells, so the lists of its memory are read. The kernel walks through all of it for these. Hence they
 * are read only where there is something to find, and no longer than is worth it.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/model.h"
#include "proc/internal.h"
#include "proc/procfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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

/* Only processors whose cores have siblings, and kernels that were built for it, know of any. */
static bool has_core(pid_t tid) {
        uint64_t cookie = 0;

        return prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, tid, 0 /* this thread alone */, &cookie) >= 0 &&
               cookie;
}

/* After the restore they have that of CRIU, which is PID 1's (TimerSlackNSec= of system.conf). */
static int look_at_threads(int pid_dir, SnapProcess *p) {
        const uint64_t usual = slack_of(pid_dir, "../1/timerslack_ns") ?: DEFAULT_SLACK;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < p->n_tids; i++) {
                SnapSlack slack = {.tid = p->tids[i]};
                char path[48];

                child_step();
                p->has_core = p->has_core || has_core(slack.tid);
                snprintf(path, sizeof path, "../%d/timerslack_ns", (int)slack.tid);
                slack.nsec = slack_of(pid_dir, path);
                if (slack.nsec == 0 || slack.nsec == usual)
                        continue;
                slack.tid = process_own_number(slack.tid);
                if (slack.tid > 0) /* else it has ended */
                        r = model_append(p->slacks, p->n_slacks, slack);
        }
        return r;
}

int procfs_lost(int pid_dir, SnapProcess *p) {
        p->numa = has_nodes() && procfs_has_policy(pid_dir);
        p->sealed = has_seals() && procfs_has_seal(pid_dir);
        return look_at_threads(pid_dir, p);
}

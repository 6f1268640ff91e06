/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The processes of a tree, by the kernel's lists of children, which are exact while the tree is frozen. */

#include "proc/process-tree.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/model.h"
#include "proc/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define TREE_MAX    65536u     /* as many as a snapshot allows */
#define THREADS_MAX (1u << 22) /* as many numbers as there are */

typedef struct Pids {
        pid_t *pid;
        size_t n;
} Pids;

static void pids_done(Pids *pids) {
        free(pids->pid);
}

static int pids_add(Pids *pids, pid_t pid) {
        if (pids->n >= TREE_MAX)
                return -E2BIG;
        return model_append(pids->pid, pids->n, pid);
}

/* Adds the children of one thread: a line of numbers. */
static int add_children_of_thread(Pids *pids, pid_t pid, const char *tid) {
        _cleanup_(freep) char *path = text_format("/proc/%d/task/%s/children", pid, tid);
        _cleanup_(freep) char *line = NULL;
        size_t size;
        char *rest, *word;
        int r;

        if (!path)
                return -ENOMEM;
        if (file_slurp(-1, path, TREE_MAX * 8, &line, &size) < 0)
                return 0; /* it is gone */
        for (word = strtok_r(line, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
                pid_t child;

                if (parse_pid(word, &child) < 0)
                        continue;
                r = pids_add(pids, child);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_children(Pids *pids, pid_t pid) {
        _cleanup_(closedirp) DIR *tasks = NULL;
        char path[64];
        struct dirent *entry;

        snprintf(path, sizeof path, "/proc/%d/task", pid);
        tasks = opendir(path);
        if (!tasks)
                return 0;
        while ((entry = readdir(tasks))) {
                int r;

                if (entry->d_name[0] == '.')
                        continue;
                r = add_children_of_thread(pids, pid, entry->d_name);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The descendants of root behind it, parents first. */
static int add_descendants(Pids *pids, pid_t root) {
        int r = add_children(pids, root);

        for (size_t i = 0; r >= 0 && i < pids->n; i++)
                if (pids->pid[i] != root)
                        r = add_children(pids, pids->pid[i]);
        return r;
}

int process_tree_list(pid_t root, pid_t **ret, size_t *ret_n) {
        _cleanup_(pids_done) Pids pids = {0};
        int r;

        r = pids_add(&pids, root);
        if (r >= 0)
                r = add_descendants(&pids, root);
        if (r < 0)
                return err_born(r, "cannot list the tree of process %d", root);
        *ret_n = pids.n;
        *ret = TAKE(pids.pid);
        return 0;
}

/* A thread that is gone has none. */
static int add_own_number(OwnNumbers *numbers, pid_t tid) {
        pid_t own = process_own_number(tid);

        if (numbers->n >= THREADS_MAX)
                return -E2BIG;
        return own > 0 ? model_append(numbers->list, numbers->n, ((OwnNumber){own, tid})) : 0;
}

static int add_own_numbers(OwnNumbers *numbers, pid_t pid) {
        _cleanup_(closedirp) DIR *tasks = NULL;
        struct dirent *entry;
        char path[32];
        pid_t tid;
        int r = 0;

        snprintf(path, sizeof path, "/proc/%d/task", pid);
        tasks = opendir(path);
        while (tasks && r >= 0 && (entry = readdir(tasks)))
                if (parse_pid(entry->d_name, &tid) >= 0)
                        r = add_own_number(numbers, tid);
        return r;
}

static int by_own_number(const void *a, const void *b) {
        return ((const OwnNumber *)a)->own - ((const OwnNumber *)b)->own;
}

int own_numbers_read(pid_t root, OwnNumbers *ret) {
        _cleanup_(own_numbers_done) OwnNumbers numbers = {0};
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n;
        int r;

        r = process_tree_list(root, &pids, &n);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = add_own_numbers(&numbers, pids[i]);
        if (r < 0)
                return err_born(r, "cannot list the threads of process %d", root);
        if (numbers.n > 0)
                qsort(numbers.list, numbers.n, sizeof *numbers.list, by_own_number);
        *ret = numbers;
        numbers = (OwnNumbers){0};
        return 0;
}

void own_numbers_done(OwnNumbers *numbers) {
        free(numbers->list);
        *numbers = (OwnNumbers){0};
}

pid_t own_numbers_here(const OwnNumbers *numbers, pid_t own) {
        const OwnNumber key = {.own = own}, *found = NULL;

        if (numbers->n > 0)
                found = bsearch(&key, numbers->list, numbers->n, sizeof key, by_own_number);
        return found ? found->here : -1;
}

void processes_kill(const pid_t *pids, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void)kill(pids[i], SIGKILL);
}

int processes_wait(const pid_t *pids, size_t n, uint64_t deadline) {
        for (size_t i = 0; i < n; i++) {
                _cleanup_(closep) int pidfd = pidfd_open(pids[i], 0);
                struct pollfd p = {.fd = pidfd, .events = POLLIN};
                int k;

                while (pidfd >= 0 && (k = poll(&p, 1, deadline_ms(deadline))) <= 0)
                        if (k == 0 || errno != EINTR)
                                return err_say(-ETIMEDOUT, "process %d cannot be killed", pids[i]);
        }
        return 0;
}

void process_kill_descendants(pid_t pid) {
        _cleanup_(pids_done) Pids pids = {0};

        (void)add_descendants(&pids, pid);
        for (size_t i = 0; i < pids.n; i++)
                (void)kill(pids.pid[i], SIGKILL);
}

int process_read(pid_t tid, uint64_t address, void *ret, size_t size) {
        struct iovec here = {.iov_base = ret, .iov_len = size};
        struct iovec there = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
        ssize_t k = process_vm_readv(tid, &here, 1, &there, 1, 0);

        return k < 0 ? -errno : (size_t)k == size ? 0 : -EFAULT;
}

/* One line of smaps: the head of a mapping, or its flags, which come last. */
static int read_smaps_line(const char *line, ProcessRange *at, ProcessRange **ranges, size_t *n) {
        uint64_t from, to;
        char end;

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 "%c", &from, &to, &end) == 3 && end == ' ')
                *at = (ProcessRange){from, to};
        if (!starts_with(line, "VmFlags:") || !strstr(line, " wf"))
                return 0;
        return model_append(*ranges, *n, *at);
}

static void closefilep(FILE **file) {
        if (*file)
                fclose(*file);
}

int process_wiped(pid_t pid, ProcessRange **ret, size_t *ret_n) {
        _cleanup_(freep) ProcessRange *ranges = NULL;
        _cleanup_(closefilep) FILE *file = NULL;
        _cleanup_(freep) char *line = NULL;
        ProcessRange at = {0};
        size_t n = 0, room = 0;
        char path[64];
        int r = 0;

        snprintf(path, sizeof path, "/proc/%d/smaps", pid);
        file = fopen(path, "re");
        if (!file && errno != ENOENT && errno != ESRCH)
                return err_born(-errno, "cannot read %s", path);
        while (r >= 0 && file && getline(&line, &room, file) > 0)
                r = read_smaps_line(line, &at, &ranges, &n);
        if (r < 0)
                return r;
        *ret = TAKE(ranges);
        *ret_n = n;
        return 0;
}

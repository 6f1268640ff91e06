/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The executable of a living process is held by a descriptor between the look and the change: a process that
 * executes something else meanwhile changes nothing about which file that is. That of a dead one is looked
 * for by its name and its inode. */

#include "criu/exec-bit.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "proc/process-tree.h"
#include "proc/procfs.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define ANY_EXEC (S_IXUSR | S_IXGRP | S_IXOTH)

static int change_mode(int path_fd, mode_t mode) {
        char link[FD_LINK_SIZE];

        return chmod(fd_link(path_fd, link), mode) < 0 ? -errno : 0;
}

static bool is_noted(const Tree *tree, uint64_t inode) {
        for (size_t i = 0; i < tree->n_exec_bits; i++)
                if (tree->exec_bits[i]->inode == inode)
                        return true;
        return false;
}

/* The name under which it was executed; whether it still has that is found out when it is looked for. */
static int name_of(const char *link, char **ret) {
        static const char gone[] = " (deleted)";
        char path[PATH_MAX];
        ssize_t n = readlink(link, path, sizeof path - 1);

        if (n <= 0 || path[0] != '/')
                return -ENOENT;
        path[n] = '\0';
        if (ends_with(path, gone))
                path[strlen(path) - strlen(gone)] = '\0';
        *ret = strdup(path);
        return *ret ? 0 : -ENOMEM;
}

static int note(Tree *tree, pid_t pid, const char *link, const struct stat *st) {
        ExecBit *bit = model_new(ExecBit, exec_bit__init);
        int r;

        if (!bit)
                return -ENOMEM;
        bit->pid = (uint32_t)(process_own_number(pid) ?: pid);
        bit->inode = st->st_ino;
        bit->mode = st->st_mode & ALLPERMS;
        r = name_of(link, &bit->path);
        if (r >= 0 || r == -ENOENT)
                r = model_append(tree->exec_bits, tree->n_exec_bits, bit);
        if (r < 0)
                model_free(bit);
        return r;
}

/* Answer 1, and a descriptor, if the executable of a process needs the bit. */
static int lacks_bit(const char *link, int *ret_fd, struct stat *ret) {
        _cleanup_(closep) int fd = open(link, O_PATH | O_CLOEXEC);

        if (fd < 0 || fstat(fd, ret) < 0) /* a zombie, or gone */
                return 0;
        if (!S_ISREG(ret->st_mode) || (ret->st_mode & ANY_EXEC))
                return 0;
        *ret_fd = TAKE_FD(fd);
        return 1;
}

static int find(Tree *tree, pid_t pid) {
        _cleanup_(closep) int fd = -1;
        char link[40];
        struct stat st;

        snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
        if (lacks_bit(link, &fd, &st) == 0 || st.st_nlink == 0 || is_noted(tree, st.st_ino))
                return 0;
        return note(tree, pid, link, &st);
}

static int lend(Tree *tree, pid_t pid) {
        _cleanup_(closep) int fd = -1;
        char link[40];
        struct stat st;
        int r;

        snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
        if (lacks_bit(link, &fd, &st) == 0)
                return 0;
        if (st.st_nlink > 0 && !is_noted(tree, st.st_ino))
                return err_say(-EAGAIN,
                               "the executable of process %d just lost its execute permission: try again",
                               (int)pid);
        r = change_mode(fd, (st.st_mode & ALLPERMS) | S_IXUSR);
        return r < 0 ? err_born(r,
                                "cannot set the execute permission of the executable of process %d, which "
                                "the restore requires",
                                (int)pid)
                     : 0;
}

static int each_process(Tree *tree, int (*what)(Tree *tree, pid_t pid)) {
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n;
        int r;

        r = process_tree_list((pid_t)tree->root_pid, &pids, &n);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = what(tree, pids[i]);
        return r < 0 ? err_pass(r) : 0;
}

int exec_bits_find(Tree *tree) {
        return each_process(tree, find);
}

int exec_bits_lend(Tree *tree) {
        int r = each_process(tree, lend);

        if (r >= 0)
                return 0;
        exec_bits_return(tree, (pid_t)tree->root_pid);
        return err_pass(r);
}

static void give_back(const ExecBit *bit, int fd) {
        struct stat st;

        if (fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) && st.st_ino == bit->inode &&
            (st.st_mode & ALLPERMS) == (bit->mode | S_IXUSR))
                (void)change_mode(fd, bit->mode);
}

/* The root's own /proc: a tree in a PID namespace has another one, with the numbers of the ticket. Where the
 * root is in a directory of its user's choice, what lies there as "proc" may be anything. */
static int open_proc_of(pid_t root) {
        _cleanup_(closep) int fd = -1;
        struct statfs fs;
        char path[40];

        snprintf(path, sizeof path, "/proc/%d/root/proc", (int)root);
        fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd >= 0 && fstatfs(fd, &fs) >= 0 && fs.f_type == PROC_SUPER_MAGIC ? TAKE_FD(fd) : -1;
}

void exec_bits_return(const Tree *tree, pid_t root) {
        _cleanup_(closep) int proc = tree->n_exec_bits > 0 ? open_proc_of(root) : -1;

        for (size_t i = 0; proc >= 0 && i < tree->n_exec_bits; i++) {
                _cleanup_(closep) int fd = -1;
                char path[24];

                snprintf(path, sizeof path, "%u/exe", tree->exec_bits[i]->pid);
                fd = openat(proc, path, O_PATH | O_CLOEXEC);
                give_back(tree->exec_bits[i], fd);
        }
}

static void lend_again(const ExecBit *bit, int fd) {
        struct stat st;

        if (fstat(fd, &st) >= 0 && (st.st_mode & ALLPERMS) == bit->mode)
                (void)change_mode(fd, bit->mode | S_IXUSR);
}

static bool file_at_its_name(const ExecBit *bit, int *ret) {
        _cleanup_(by_inode_place_done) Place place = PLACE_NONE;

        *ret = by_inode_place_open(bit->path, &place) ? by_inode_open(place.dir_fd, place.name, bit->inode)
                                                      : -ENOENT;
        return *ret >= 0;
}

static void give_back_entry(int dir_fd, const struct dirent *e, const Sought *sought, size_t n) {
        const Sought *found = by_inode_sought(sought, n, e->d_ino);
        _cleanup_(closep) int fd = found ? by_inode_open(dir_fd, e->d_name, found->inode) : -1;

        if (fd >= 0)
                give_back(found->of, fd);
}

static void lend_entry(int dir_fd, const struct dirent *e, const Sought *sought, size_t n) {
        const Sought *found = by_inode_sought(sought, n, e->d_ino);
        _cleanup_(closep) int fd = found ? by_inode_open(dir_fd, e->d_name, found->inode) : -1;

        if (fd >= 0)
                lend_again(found->of, fd);
}

/* Most are found under their name, whatever else lies beside them. */
static void each_file(const Tree *tree, Sweep *sweep, void (*what)(const ExecBit *bit, int fd),
                      SoughtEntry entry) {
        _cleanup_(freep) Sought *sought = calloc(tree->n_exec_bits ?: 1, sizeof *sought);
        size_t n = 0;

        for (size_t i = 0; sought && i < tree->n_exec_bits; i++) {
                const ExecBit *bit = tree->exec_bits[i];
                _cleanup_(closep) int fd = -1;

                if (!bit->path)
                        continue;
                if (file_at_its_name(bit, &fd))
                        what(bit, fd);
                else
                        sought[n++] = (Sought){.path = bit->path, .inode = bit->inode, .of = bit};
        }
        by_inode_sweep(sought, n, sweep, entry);
}

void exec_bits_return_files(const Tree *tree, Sweep *sweep) {
        each_file(tree, sweep, give_back, give_back_entry);
}

void exec_bits_lend_files(const Tree *tree) {
        Sweep sweep = by_inode_sweep_begin();

        each_file(tree, &sweep, lend_again, lend_entry);
}

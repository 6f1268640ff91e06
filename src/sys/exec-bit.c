/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Only the executable of a living process is touched, held by a descriptor between the look and the change:
 * a process that executes something else meanwhile changes nothing about which file that is. */

#include "sys/exec-bit.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "sys/criu-process.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANY_EXEC (S_IXUSR | S_IXGRP | S_IXOTH)

static int change_mode(int path_fd, mode_t mode) {
        char link[FD_LINK_SIZE];

        return chmod(fd_link(path_fd, link), mode) < 0 ? -errno : 0;
}

static int note(Tree *tree, pid_t pid, const struct stat *st) {
        ExecBit *bit = model_new(ExecBit, exec_bit__init);
        int r;

        if (!bit)
                return -ENOMEM;
        bit->pid = (uint32_t)pid;
        bit->inode = st->st_ino;
        bit->mode = st->st_mode & ALLPERMS;
        r = model_append(tree->exec_bits, tree->n_exec_bits, bit);
        if (r < 0)
                model_free(bit);
        return r;
}

static int lend(Tree *tree, pid_t pid) {
        _cleanup_(closep) int fd = -1;
        char path[40];
        struct stat st;
        int r;

        snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
        fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0) /* a zombie, or gone */
                return 0;
        if (!S_ISREG(st.st_mode) || (st.st_mode & ANY_EXEC))
                return 0;
        r = change_mode(fd, (st.st_mode & ALLPERMS) | S_IXUSR);
        if (r < 0)
                return err_born(r,
                                "cannot give the executable of process %d back its exec bit, without which "
                                "it cannot be restored",
                                (int)pid);
        return st.st_nlink > 0 ? note(tree, pid, &st) : 0;
}

int exec_bits_lend(Tree *tree) {
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n;
        int r;

        r = criu_tree_list((pid_t)tree->root_pid, &pids, &n);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = lend(tree, pids[i]);
        if (r >= 0)
                return 0;
        exec_bits_return(tree, (pid_t)tree->root_pid);
        return err_pass(r);
}

/* By the root's own /proc: a tree in a PID namespace has another one, with the numbers of the ticket. */
void exec_bits_return(const Tree *tree, pid_t root) {
        for (size_t i = 0; i < tree->n_exec_bits; i++) {
                const ExecBit *bit = tree->exec_bits[i];
                _cleanup_(closep) int fd = -1;
                char path[64];
                struct stat st;

                snprintf(path, sizeof path, "/proc/%d/root/proc/%u/exe", (int)root, bit->pid);
                fd = open(path, O_PATH | O_CLOEXEC);
                if (fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) && st.st_ino == bit->inode &&
                    (st.st_mode & ALLPERMS) == (bit->mode | S_IXUSR))
                        (void)change_mode(fd, bit->mode);
        }
}

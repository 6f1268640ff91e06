/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * enter ROOT TESTS COMMAND...: runs a command in a root directory of another Debian, in mount, PID and
 * network namespaces of its own. ROOT is mounted read-only, TESTS (the build directory's tests/) on /mnt, a
 * file system in memory on /run, /tmp and /dev. PID 1 is this program: it reaps, as init does, and ends with
 * the command's exit status, which ends everything else in there.
 *
 * Inherited descriptors are closed first: CRIU would find files of mounts that it does not see.
 */

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void die(const char *what) {
        fprintf(stderr, "enter: %s: %s\n", what, strerror(errno));
        exit(125);
}

static void must(int r, const char *what) {
        if (r < 0)
                die(what);
}

static void mount_on(const char *source, const char *target, const char *type, unsigned long flags,
                     const char *data) {
        if (mount(source, target, type, flags, data) < 0)
                die(target);
}

static void make_dev(void) {
        static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};

        mount_on("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=0755");
        for (size_t i = 0; i < ELEMENTS(nodes); i++) {
                char from[32], to[32];
                int fd;

                snprintf(from, sizeof from, "/dev/%s", nodes[i]);
                snprintf(to, sizeof to, "dev/%s", nodes[i]);
                fd = open(to, O_CREAT | O_CLOEXEC, 0600);
                must(fd, to);
                close(fd);
                mount_on(from, to, NULL, MS_BIND, NULL);
        }
        must(mkdir("dev/pts", 0755), "dev/pts");
        mount_on("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                 "newinstance,ptmxmode=0666,mode=0620");
        /* A node of its own beside pts, as on a machine; where nodes cannot be made, as in containers. */
        if (mknod("dev/ptmx", S_IFCHR | 0666, makedev(5, 2)) < 0)
                must(symlink("pts/ptmx", "dev/ptmx"), "dev/ptmx");
}

static void make_root(const char *root, const char *tests) {
        mount_on("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
        mount_on(root, root, NULL, MS_BIND, NULL);
        must(chdir(root), root);
        mount_on(tests, "mnt", NULL, MS_BIND, NULL);
        mount_on("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        mount_on("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        mount_on("cgroup2", "sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        mount_on("tmpfs", "run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
        mount_on("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
        make_dev();
        mount_on(NULL, root, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
        must((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
        must(umount2(".", MNT_DETACH), "leaving the old root");
        must(chdir("/"), "/");
}

static void loopback_up(void) {
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        must(fd, "socket");
        must(ioctl(fd, SIOCSIFFLAGS, &request), "lo");
        close(fd);
}

/* Until the command ends; what else ends before is only reaped. */
static int reap(pid_t command) {
        for (;;) {
                int status;
                pid_t pid = wait(&status);

                if (pid == command)
                        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
                if (pid < 0 && errno != EINTR)
                        die("wait");
        }
}

static pid_t start(char **command) {
        pid_t pid = fork();

        must(pid, "fork");
        if (pid == 0) {
                setsid();
                execvp(command[0], command);
                die(command[0]);
        }
        return pid;
}

int main(int argc, char **argv) {
        pid_t init;

        if (argc < 4) {
                fprintf(stderr, "usage: %s ROOT TESTS COMMAND...\n", argv[0]);
                return 2;
        }
        must(close_range(3, ~0u, 0), "close_range");
        must(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET), "unshare");
        init = fork();
        must(init, "fork");
        if (init == 0) {
                make_root(argv[1], argv[2]);
                loopback_up();
                return reap(start(argv + 3));
        }
        return reap(init);
}

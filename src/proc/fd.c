/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Descriptors of one process. Three looks at each: readlink for what it is called, stat through the magic
 * link for what it is, fdinfo for how it was opened. None of them opens the file, so a FIFO never blocks us
 * and a device never notices. The protocol of a socket comes from the extended attribute that sockfs gives
 * it, which works for protocols that no socket listing covers. Nor is a server asked, which may be
 * the user's own and never answer: what the kernel knows will do.
 */

#include "base/fd.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "kernel/watch.h"
#include "model/model.h"
#include "proc/huge.h"
#include "proc/internal.h"
#include "proc/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DELETED " (deleted)"

#define FDINFO_LIMIT (1u << 20)

static FdKind socket_kind(const char *protocol) {
        static const struct {
                const char *prefix;
                FdKind kind;
        } kinds[] = {
                        {"UNIX", FD_UNIX},       {"TCP", FD_TCP},       {"UDP", FD_UDP},
                        {"NETLINK", FD_NETLINK}, {"PACKET", FD_PACKET},
        };

        for (size_t i = 0; i < ELEMENTS(kinds); i++)
                if (starts_with(protocol, kinds[i].prefix))
                        return kinds[i].kind;
        return FD_SOCKET;
}

static int look_at_socket(int pid_dir, const char *link, SnapFd *f) {
        char path[64], protocol[32] = "";
        ssize_t l;

        snprintf(path, sizeof path, "/proc/self/fd/%d/%s", pid_dir, link);
        l = getxattr(path, "system.sockprotoname", protocol, sizeof protocol - 1);
        protocol[l < 0 ? 0 : l] = '\0';
        f->kind = socket_kind(protocol);
        if (f->kind != FD_SOCKET)
                return 0;
        free(f->target);
        f->target = strdup(protocol[0] ? protocol : "unknown");
        return f->target ? 0 : -ENOMEM;
}

/* 136..143 are pty slaves; 4:x consoles and serial lines; 5:0 /dev/tty, 5:1 /dev/console, 5:2 ptmx. Others
 * are known by name only. */
static FdKind device_kind(SnapFd *f) {
        unsigned major = major(f->rdev), minor = minor(f->rdev);

        if (major >= 136 && major <= 143) {
                f->pty_index = (int)minor;
                return FD_TTY;
        }
        if (major == 5 && minor == 2)
                return FD_PTMX;
        if (major == 4 || major == 5 || starts_with(f->target, "/dev/tty") ||
            starts_with(f->target, "/dev/hvc"))
                return FD_TTY;
        return FD_CHAR;
}

static FdKind kind_of(SnapFd *f) {
        if (starts_with(f->target, "anon_inode:") || starts_with(f->target, "pidfd:"))
                return FD_ANON;
        if (starts_with(f->target, "/memfd:"))
                return FD_MEMFD;
        switch (f->mode & S_IFMT) {
        case S_IFREG:
                /* ns/... links and whatever else has no place in a tree of directories */
                return f->target[0] == '/' ? FD_FILE : FD_OTHER;
        case S_IFDIR:
                return FD_DIR;
        case S_IFCHR:
                return device_kind(f);
        case S_IFBLK:
                return FD_BLOCK;
        case S_IFIFO:
                return starts_with(f->target, "pipe:") ? FD_PIPE : FD_FIFO;
        case S_IFSOCK:
                return FD_SOCKET;
        default:
                return f->target[0] == '/' ? FD_OTHER : FD_ANON;
        }
}

static int read_link(int pid_dir, const char *link, SnapFd *f) {
        char target[4096 + sizeof DELETED];
        ssize_t l = readlinkat(pid_dir, link, target, sizeof target - 1);

        if (l < 0)
                return err_errno();
        target[l] = '\0';
        f->unlinked = target[0] == '/' && ends_with(target, DELETED);
        if (f->unlinked)
                target[l - (ssize_t)strlen(DELETED)] = '\0';
        f->target = strdup(target);
        return f->target ? 0 : -ENOMEM;
}

static int read_stat(int pid_dir, const char *link, SnapFd *f, nlink_t *ret_nlink) {
        struct statx st;

        if (statx(pid_dir, link, AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &st) < 0)
                return -errno;
        f->dev = makedev(st.stx_dev_major, st.stx_dev_minor);
        f->ino = st.stx_ino;
        f->rdev = makedev(st.stx_rdev_major, st.stx_rdev_minor);
        f->mode = st.stx_mode;
        f->size = st.stx_size;
        f->used = st.stx_blocks * 512;
        f->uid = st.stx_uid;
        f->gid = st.stx_gid;
        *ret_nlink = st.stx_nlink;
        return 0;
}

static bool is_pidfd(const SnapFd *f) {
        return strcmp(f->target, "anon_inode:[pidfd]") == 0 || starts_with(f->target, "pidfd:");
}

/* "lock:\t1: LEASE  BREAKING  READ ...": one line for each lock that was taken through it. */
static bool breaks_lease(const char *text) {
        const char *line = text;

        while ((line = procfs_field(line, "lock:"))) {
                const char *end = line + strcspn(line, "\n"), *lease = strstr(line, ": LEASE "),
                           *state = strstr(line, " BREAKING ");

                if (lease && state && lease < state && state < end)
                        return true;
        }
        return false;
}

static int read_info(int pid_dir, SnapFd *f) {
        _cleanup_(freep) char *text = NULL;
        const char *p;
        char path[32];
        int r;

        snprintf(path, sizeof path, "fdinfo/%d", f->fd);
        r = file_slurp(pid_dir, path, FDINFO_LIMIT, &text, NULL);
        if (r < 0)
                return r;
        p = procfs_field(text, "flags:");
        f->flags = p ? (unsigned)strtoul(p, NULL, 8) : 0;
        p = procfs_field(text, "mnt_id:");
        f->mnt_id = p ? atoi(p) : -1;
        p = procfs_field(text, "scm_fds:");
        if (p && f->kind == FD_UNIX)
                f->in_flight = (unsigned)strtoul(p, NULL, 10);
        f->lease_breaks = f->kind == FD_FILE && breaks_lease(text);
        p = procfs_field(text, "tty-index:");
        if (p && f->kind == FD_PTMX)
                f->pty_index = atoi(p);
        /* Others' text may hold a user's own: older kernels show names of an io_uring's files as they
         * are. */
        p = is_pidfd(f) ? procfs_field(text, "Pid:") : NULL;
        if (p)
                f->pidfd = atoi(p) > 0 ? atoi(p) : -1;
        f->pidfd_parent = procfs_parent(pid_dir, f->pidfd);
        return 0;
}

/* A tmpfs is empty after the reboot, but it is mounted again: its own root directory is there. */
static bool is_mount_root(int pid_dir, const char *link) {
        struct statx st;

        return statx(pid_dir, link, AT_STATX_DONT_SYNC, STATX_TYPE, &st) >= 0 &&
               (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* Where it lives: only for what has a name in a file system that people use. */
static void place(int pid_dir, const char *link, const Mounts *mounts, SnapFd *f, nlink_t nlink) {
        const MountLine *mount = mounts_by_id(mounts, f->mnt_id);
        struct stat st;

        f->mnt_foreign = !mount && f->fd >= 0; /* nobody says which mount the working directory is on */
        if (!mount)
                mount = mounts_by_device(mounts, major(f->dev), minor(f->dev));
        f->is_volatile = mount_forgets(mount, f->target) &&
                         !(f->kind == FD_DIR && is_mount_root(pid_dir, link));
        f->deleted = nlink == 0;
        f->unlinked = f->unlinked && !f->deleted;
        if (f->mnt_foreign || !mount || mount->is_remote || mount->is_elsewhere ||
            (f->kind == FD_DIR && !f->deleted))
                return;
        f->path_replaced = fstatat(AT_FDCWD, f->target, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) >= 0 &&
                           (st.st_dev != f->dev || st.st_ino != f->ino);
}

/* Who holds a pipe open for both ways has both ends. Of a terminal without a number only /dev/tty is asked:
 * the driver of another one is anybody's. */
static bool may_hang_up(const SnapFd *f) {
        if (f->kind == FD_PIPE)
                return (f->flags & O_ACCMODE) != O_RDWR;
        return f->kind == FD_TTY && (f->pty_index >= 0 || f->rdev == makedev(5, 0));
}

/* Whether somebody has the other end of a pipe or a terminal is asked of itself, by a descriptor of our own
 * for a moment: a search through everybody's descriptors takes as long as somebody wants, and misses what is
 * under way in a socket. Who may not ask is told nothing. */
static bool is_hung_up(int pidfd, const SnapFd *f) {
        _cleanup_(closep) int fd = -1;
        struct pollfd p = {0};
        struct stat st;

        if (!may_hang_up(f))
                return false;
        fd = pidfd < 0 ? -1 : pidfd_getfd(pidfd, f->fd, 0);
        p.fd = fd;
        return fd >= 0 && fstat(fd, &st) >= 0 && ((st.st_mode ^ f->mode) & S_IFMT) == 0 &&
               st.st_ino == f->ino && st.st_rdev == f->rdev && poll(&p, 1, 0) == 1 &&
               (p.revents & (POLLHUP | POLLERR));
}

static uint32_t unread_events(int pidfd, const SnapFd *f) {
        _cleanup_(closep) int fd = pidfd < 0 ? -1 : pidfd_getfd(pidfd, f->fd, 0);
        int bytes = 0;

        return fd >= 0 && ioctl(fd, FIONREAD, &bytes) >= 0 && bytes > 0 ? (uint32_t)bytes : 0;
}

static bool is_program(int pidfd, const SnapFd *f) {
        _cleanup_(closep) int fd = -1;
        char head[4] = "";

        if (!(f->mode & 0111) || (f->flags & O_ACCMODE) == O_RDONLY)
                return false;
        fd = pidfd < 0 ? -1 : pidfd_getfd(pidfd, f->fd, 0);
        return fd >= 0 && pread(fd, head, sizeof head, 0) > 0 &&
               (memcmp(head, "\177ELF", 4) == 0 || memcmp(head, "#!", 2) == 0);
}

static bool is_inotify(const SnapFd *f) {
        return f->kind == FD_ANON && strstr(f->target, "inotify");
}

/* Of this process, which looks at one tree and ends (look.c). */
static WatchRoom watch_room = {PROCFS_MAX_WATCHES, 16u << 20};

static int read_watches(int pid_dir, const Mounts *mounts, const SnapFd *f, SnapProcess *p) {
        char path[32];
        int fd;

        snprintf(path, sizeof path, "fdinfo/%d", f->fd);
        fd = openat(pid_dir, path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? 0 : watches_read(fd, mounts, &watch_room, child_step, &p->watches, &p->n_watches);
}

static int fd_read(int pid_dir, int pidfd, const Mounts *mounts, Groups *groups, SnapFd *f) {
        nlink_t nlink = 1;
        char link[32];
        int r;

        snprintf(link, sizeof link, "fd/%d", f->fd);
        r = read_link(pid_dir, link, f);
        if (r >= 0)
                r = read_stat(pid_dir, link, f, &nlink);
        if (r < 0)
                return r;
        f->kind = kind_of(f);
        if (f->kind == FD_SOCKET)
                r = look_at_socket(pid_dir, link, f);
        if (r >= 0 && !procfs_is_epoll(f) && !is_inotify(f)) /* epoll.c, last of all */
                r = read_info(pid_dir, f);
        if (r < 0)
                return r;
        if (f->kind == FD_MEMFD) {
                f->huge_page = huge_page(pid_dir, link);
                f->is_program = is_program(pidfd, f);
        }
        if (f->kind == FD_UDP || f->kind == FD_SOCKET)
                r = procfs_multicast(pidfd, groups, f);
        if (r < 0)
                return r;
        f->hung_up = is_hung_up(pidfd, f);
        if (f->kind == FD_TCP || f->kind == FD_UDP)
                procfs_options(pidfd, f);
        if (is_inotify(f))
                f->unread = unread_events(pidfd, f);
        if (f->kind == FD_FILE || f->kind == FD_DIR || f->kind == FD_FIFO)
                place(pid_dir, link, mounts, f, nlink);
        return 0;
}

static int by_number(const void *a, const void *b) {
        return ((const SnapFd *)a)->fd - ((const SnapFd *)b)->fd;
}

/* The working directory is needed at the restore as an open one is. */
static int cwd_read(int pid_dir, const Mounts *mounts, SnapProcess *p) {
        SnapFd f = {.fd = -1, .kind = FD_DIR, .pty_index = -1, .mnt_id = -1};
        nlink_t nlink = 1;
        int r;

        r = read_link(pid_dir, "cwd", &f);
        if (r >= 0)
                r = read_stat(pid_dir, "cwd", &f, &nlink);
        if (r >= 0) {
                place(pid_dir, "cwd", mounts, &f, nlink);
                r = model_append(p->fds, p->n_fds, f);
        }
        if (r < 0)
                free(f.target);
        return r == -ENOENT ? -ESRCH : r;
}

int procfs_fds(int pid_dir, const Mounts *mounts, SnapProcess *p) {
        _cleanup_(closep) int pidfd = pidfd_open(p->pid, 0);
        _cleanup_(closedirp) DIR *d = NULL;
        _cleanup_(groups_done) Groups groups = {0};
        struct dirent *e;
        int dir, r;

        dir = openat(pid_dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = dir < 0 ? NULL : fdopendir(dir);
        if (!d) {
                (void)fd_close(dir);
                return errno == ENOENT || errno == ESRCH
                                       ? -ESRCH
                                       : err_born(-errno, "cannot list the descriptors of process %d",
                                                  (int)p->pid);
        }
        while ((e = readdir(d))) {
                SnapFd f = {.pty_index = -1};
                uint64_t number;

                child_step();
                if (parse_u64(e->d_name, INT32_MAX, &number) < 0 || child_is_talk(p->pid, (int)number))
                        continue;
                if (p->n_fds >= PROCFS_MAX_FDS)
                        return err_say(-E2BIG, "process %d has more than %u descriptors open", (int)p->pid,
                                       PROCFS_MAX_FDS);
                f.fd = (int)number;
                r = fd_read(pid_dir, pidfd, mounts, &groups, &f);
                if (r >= 0)
                        r = model_append(p->fds, p->n_fds, f);
                if (r >= 0)
                        continue;
                free(f.target);
                if (r != -ENOENT && r != -ESRCH) /* closed meanwhile */
                        return err_prefix(r, "descriptor %d of process %d: ", f.fd, (int)p->pid);
        }
        r = cwd_read(pid_dir, mounts, p);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; r >= 0 && i < p->n_fds; i++) {
                huge_add(p, p->fds[i].size, p->fds[i].huge_page);
                if (is_inotify(p->fds + i))
                        r = read_watches(pid_dir, mounts, p->fds + i, p);
        }
        if (r < 0)
                return r;
        qsort(p->fds, p->n_fds, sizeof *p->fds, by_number);
        return 0;
}

uint64_t procfs_count_fds(int proc, pid_t pid, uint64_t limit) {
        _cleanup_(closedirp) DIR *d = NULL;
        const struct dirent *e;
        uint64_t n = 0;
        char path[32];
        int dir;

        snprintf(path, sizeof path, "%d/fd", (int)pid);
        dir = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = dir < 0 ? NULL : fdopendir(dir);
        if (!d)
                (void)fd_close(dir);
        while (d && n <= limit && (e = readdir(d)))
                n += e->d_name[0] != '.';
        return n;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One descriptor in a snapshot. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum FdKind {
        FD_FILE, /* regular file */
        FD_DIR,
        FD_CHAR, /* character device that is no terminal */
        FD_BLOCK,
        FD_TTY,  /* terminal: pty slave, console, serial line */
        FD_PTMX, /* pty master; pty_index says which */
        FD_FIFO, /* named */
        FD_PIPE,
        FD_UNIX,
        FD_TCP,
        FD_UDP,
        FD_NETLINK,
        FD_PACKET,
        FD_SOCKET, /* any other socket; target has the protocol name if known ("MPTCP", "VSOCK") */
        FD_ANON,   /* anon_inode:[x]; target has "[x]" */
        FD_MEMFD,
        FD_OTHER,
} FdKind;

/* What both the look before and the look at the images say of SnapFd.in_flight. */
#define FILES_IN_FLIGHT_TEXT                                                                                \
        "a Unix socket has unread messages that carry open files, and these cannot be checked"

/* Options of internet sockets that CRIU does not save. */
typedef enum SnapOption {
        OPTION_USER_TIMEOUT = 1 << 0,
        OPTION_CONGESTION = 1 << 1,
        OPTION_DEFER_ACCEPT = 1 << 2,
        OPTION_SEGMENT = 1 << 3,
        OPTION_GRO = 1 << 4,
        OPTION_MULTICAST_IF = 1 << 5,
        OPTION_MULTICAST_TTL = 1 << 6,
        OPTION_MULTICAST_LOOP = 1 << 7,
        OPTION_NODELAY = 1 << 8,
        OPTION_CORK = 1 << 9,
} SnapOption;

typedef struct SnapFd {
        int fd; /* -1: the working directory */
        FdKind kind;
        char *target;       /* readlink of /proc/PID/fd/N, " (deleted)" cut off */
        bool deleted;       /* no link left */
        bool unlinked;      /* the name in target is gone, another is left */
        bool is_volatile;   /* the next boot does not have it: on tmpfs or ramfs, or below /tmp */
        bool path_replaced; /* the path names another file now; of directories only known of deleted ones */
        uint64_t dev, ino;  /* fstat; for sockets ino is the socket's */
        uint64_t rdev;
        mode_t mode;
        uint64_t size, used; /* used: without its holes */
        unsigned flags;      /* open flags, from fdinfo */
        int mnt_id;
        bool mnt_foreign;   /* opened through a mount that our namespace does not have */
        int pty_index;      /* FD_PTMX, and FD_TTY on devpts; else -1 */
        pid_t pidfd;        /* FD_ANON "[pidfd]": the process it names, -1 if that is dead; else 0 */
        pid_t pidfd_parent; /* its parent when the descriptor was looked at; 0: none */
        uint32_t unread;    /* FD_NETLINK: bytes in the receive queue; inotify: of events */
        unsigned in_flight; /* FD_UNIX: open files that lie unread in it */
        int multicast;      /* AF_INET, AF_INET6: it is a member of a group; 0: of none that is known */
        uint8_t group[16];  /* one of them; AF_INET: the first 4 bytes */
        bool lease_breaks;  /* FD_FILE: somebody waits for the lease on it */
        bool has_stray; /* an epoll that CRIU makes in this process watches a file that it has not open */
        int stray;      /* that file's number when it was added, and its inode */
        uint64_t stray_ino;
        uint64_t huge_page; /* FD_MEMFD: of this size, if they are huge; else 0 */
        bool is_program;    /* FD_MEMFD: open for writing, and could be executed */
        bool hung_up;       /* FD_PIPE, FD_TTY on devpts and /dev/tty: nobody has the other end */
        unsigned options;   /* FD_TCP, FD_UDP: SnapOption, of those that are not as by default */
        bool is_signed;     /* FD_TCP: its segments carry authentication (TCP-AO) */
        bool is_corked;     /* FD_UDP: it collects what will be one packet (UDP_CORK) */
        bool any_interface; /* FD_PACKET: known to be of no interface in particular */
        uid_t uid;
        gid_t gid;
} SnapFd;

/* Who outside the trees holds the other end of a pipe (id: inode), unix socket (its inode), terminal
 * (index), or a descriptor of the same internet socket (FD_UNIX, too; its inode), as far as it was found in
 * the time that this is worth: root's processes first, and of anybody's a part (proc/holders.c). */
typedef struct SnapHolder {
        FdKind kind;
        uint64_t id;
        pid_t pid;
        unsigned flags; /* open flags */
} SnapHolder;

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Of a snapshot: files that are mapped, and the mounts that something of its trees lies on. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A mapping of a file that the next boot may not have: gone, replaced or volatile. */
typedef struct SnapMap {
        char *path; /* " (deleted)" cut off */
        bool deleted, unlinked, path_replaced, is_volatile;
        uint64_t from, to, dev, ino; /* from and to: its first range, as map_files/ has it */
        uint64_t size;               /* of the whole file: that is what a ghost costs */
        uid_t uid;
} SnapMap;

/* How a program speaks D-Bus tells what it does when that connection ends. */
typedef enum SnapLibrary {
        LIBRARY_GIO = 1,
        LIBRARY_DBUS = 2,
} SnapLibrary;

typedef enum MountOrigin {
        MOUNT_UNKNOWN, /* nobody was asked */
        MOUNT_BROUGHT, /* each boot mounts it, or does when somebody asks for what is there */
        MOUNT_UNUSED,  /* there is a unit or a line in /etc/fstab (noauto) that nothing starts */
        MOUNT_BY_HAND, /* no boot knows of it */
} MountOrigin;

/* A mount of our namespace that something of the trees lies on. */
typedef struct SnapMount {
        int id;
        bool automounted;    /* by the autofs of a daemon that is not systemd */
        char *source, *type; /* "/dev/sda1", "server:/home"; "ext4" */
        char *root, *point;  /* which directory of the file system is where; names as they are */
        MountOrigin origin;
} SnapMount;

void snap_mount_done(SnapMount *m);

/* Whether every boot has it whatever is configured: the root, the kernel's own file systems, and memory that
 * systemd or a login mounts. */
bool snap_mount_is_given(const SnapMount *m);

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The files that a process maps. Only mappings whose file may be missing at the restore are
 * kept: a process maps some fifty libraries, and all that matters of them is whether they are still there.
 */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/model.h"
#include "proc/huge.h"
#include "proc/internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define DELETED    " (deleted)"
#define MAPS_LIMIT (16u << 20) /* 65530 mappings, vm.max_map_count's default, of 200 bytes */

static bool is_one_of(const char *type, const char *const *prefixes) {
        for (; *prefixes; prefixes++)
                if (starts_with(type, *prefixes))
                        return true;
        return false;
}

/* Memory that only looks like a file: the images hold it. */
static bool is_memory(const char *path) {
        static const char *const names[] = {"/memfd:", "/dev/zero", "/anon_hugepage", "/[aio]", NULL};

        return is_one_of(path, names);
}

static int map_find(const SnapProcess *p, uint64_t dev, uint64_t ino) {
        for (size_t i = 0; i < p->n_maps; i++)
                if (p->maps[i].dev == dev && p->maps[i].ino == ino)
                        return 1;
        return 0;
}

/* By its name alone: whoever maps another file of that name is told a little more than is true. */
static unsigned library_of(const char *path) {
        const char *name = strrchr(path, '/');

        if (name && starts_with(name, "/libgio-2.0.so"))
                return LIBRARY_GIO;
        return name && starts_with(name, "/libdbus-1.so") ? LIBRARY_DBUS : 0;
}

/* The mapped file itself is reached through map_files, whether it still has a name or not. */
static int map_look(int pid_dir, const Mounts *mounts, uint64_t from, uint64_t to, char *path,
                    SnapProcess *p) {
        bool gone = ends_with(path, DELETED);
        const MountLine *mount;
        char link[64];
        struct stat st, named;
        SnapMap m = {.from = from, .to = to};
        int r;

        if (gone)
                path[strlen(path) - strlen(DELETED)] = '\0';
        snprintf(link, sizeof link, "map_files/%" PRIx64 "-%" PRIx64, from, to);
        if (is_memory(path))
                huge_add(p, to - from, huge_page(pid_dir, link));
        if (starts_with(path, "/SYSV")) {
                p->sysv_shm++;
                return 0;
        }
        r = is_memory(path) ? 0 : procfs_stands_by(pid_dir, link, mounts, p);
        if (r < 0)
                return r;
        if (is_memory(path) || fstatat(pid_dir, link, &st, 0) < 0 || !S_ISREG(st.st_mode) ||
            map_find(p, st.st_dev, st.st_ino))
                return 0;
        mount = mounts_by_device(mounts, major(st.st_dev), minor(st.st_dev));
        m.dev = st.st_dev;
        m.ino = st.st_ino;
        m.size = (uint64_t)st.st_size;
        m.uid = st.st_uid;
        m.deleted = st.st_nlink == 0;
        m.unlinked = gone && !m.deleted;
        m.is_volatile = mount_forgets(mount, path);
        /* overlayfs and btrfs show another device in stat than in a mapping: only the inode can be
         * compared */
        if (!mount || !mount->is_remote)
                m.path_replaced = fstatat(AT_FDCWD, path, &named, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) >=
                                                  0 &&
                                  named.st_dev == st.st_dev && named.st_ino != st.st_ino;
        if (!m.deleted && !m.unlinked && !m.is_volatile && !m.path_replaced)
                return 0;
        m.path = strdup(path);
        r = m.path ? model_append(p->maps, p->n_maps, m) : -ENOMEM;
        if (r < 0)
                free(m.path);
        return r;
}

int procfs_maps(int pid_dir, const Mounts *mounts, SnapProcess *p) {
        _cleanup_(freep) char *text = NULL;
        char *state, *line;
        int r;

        r = file_slurp(pid_dir, "maps", MAPS_LIMIT, &text, NULL);
        p->is_32bit = r >= 0 && text[0]; /* all others have their stack above */
        for (line = r < 0 ? NULL : strtok_r(text, "\n", &state); r >= 0 && line;
             line = strtok_r(NULL, "\n", &state)) {
                char rights[5] = "";
                uint64_t from, to;
                int name = 0;

                child_step();
                if (sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2)
                        p->is_32bit = p->is_32bit && to <= UINT64_C(1) << 32;
                if (p->n_maps >= PROCFS_MAX_MAPS)
                        return err_say(-E2BIG, "process %d maps more than %u files", (int)p->pid,
                                       PROCFS_MAX_MAPS);
                if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %n", &from, &to, rights, &name) !=
                                    3 ||
                    to < from)
                        continue;
                if (rights[1] != 'w' && rights[3] == 'p')
                        p->unwritable += to - from;
                if (name == 0 || line[name] != '/')
                        continue;
                p->libraries |= library_of(line + name);
                r = map_look(pid_dir, mounts, from, to, line + name, p);
        }
        return r;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Which mounts a process stands on. A descriptor says it in its fdinfo; what is behind another link of /proc
 * is asked for the mount's number, without a look at the file's server. A socket keeps only the name that it
 * was bound to.
 */

#include "base/cleanup.h"
#include "base/err.h"
#include "model/model.h"
#include "proc/internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int procfs_stands_on(const Mounts *mounts, SnapProcess *p, int mnt_id) {
        const MountLine *mount = mounts_by_id(mounts, mnt_id);
        int id = mount ? mount->here ?: mnt_id : -1;

        if (!mount)
                return 0;
        for (size_t i = p->n_mounts; i > 0; i--) /* most often the one that was met last */
                if (p->mounts[i - 1] == id)
                        return 0;
        return model_append(p->mounts, p->n_mounts, id);
}

int procfs_stands_by(int pid_dir, const char *link, const Mounts *mounts, SnapProcess *p) {
        struct statx st;

        if (statx(pid_dir, link, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_MNT_ID, &st) < 0 ||
            !(st.stx_mask & STATX_MNT_ID))
                return 0;
        return procfs_stands_on(mounts, p, (int)st.stx_mnt_id);
}

int procfs_mounts(int pid_dir, const Mounts *mounts, SnapProcess *p) {
        static const char *const links[] = {"exe", "cwd", "root"};
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(links); i++)
                r = procfs_stands_by(pid_dir, links[i], mounts, p);
        for (size_t i = 0; r >= 0 && i < p->n_fds; i++)
                if (p->fds[i].target && p->fds[i].target[0] == '/')
                        r = procfs_stands_on(mounts, p, p->fds[i].mnt_id);
        return r;
}

static int sockets_stand_on(const Mounts *mounts, const Snapshot *s, SnapProcess *p) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < p->n_fds; i++) {
                const SnapUnix *u = p->fds[i].kind == FD_UNIX ? snapshot_unix(s, p->fds[i].ino) : NULL;
                const MountLine *mount =
                                u && u->path && u->path[0] == '/' ? mounts_by_path(mounts, u->path) : NULL;

                r = mount ? procfs_stands_on(mounts, p, mount->at.id) : 0;
        }
        return r;
}

static bool is_stood_on(const Snapshot *s, int id) {
        for (size_t i = 0; i < s->n_processes; i++)
                for (size_t k = 0; k < s->processes[i].n_mounts; k++)
                        if (s->processes[i].mounts[k] == id)
                                return true;
        return false;
}

static bool is_automounted(const Mounts *mounts, const MountLine *m) {
        const MountLine *on = mounts_by_id(mounts, m->parent);

        return on && strcmp(on->at.type, "autofs") == 0 && strcmp(on->at.source, "systemd-1") != 0;
}

/* Of another namespace those that are not ours: numbers of mounts are the machine's. */
static int add_mounts(Mounts *mounts, bool others, Snapshot *s) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < mounts->n; i++) {
                SnapMount *m = &mounts->list[i].at;

                if ((others && mounts->list[i].here) || !is_stood_on(s, m->id))
                        continue;
                m->automounted = is_automounted(mounts, mounts->list + i);
                r = model_append(s->mounts, s->n_mounts, *m);
                if (r >= 0)
                        *m = (SnapMount){0};
        }
        return r;
}

int procfs_mounts_end(Mounts *mounts, Mounts *others, size_t n_others, Snapshot *s) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < s->n_processes; i++)
                r = sockets_stand_on(mounts, s, s->processes + i);
        if (r >= 0)
                r = add_mounts(mounts, false, s);
        for (size_t i = 0; r >= 0 && i < n_others; i++)
                r = add_mounts(others + i, true, s);
        return r < 0 ? err_pass(r) : 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside restore: putting files back that no boot brings. */

#include <stddef.h>
#include <sys/stat.h>

/* What was put back until now: trees share files, and the first one brings them. Empty at the begin. */
typedef struct FilesBack {
        struct FileBack {
                dev_t dev;
                ino_t ino;
                int dir_fd; /* of a directory, which is root's until files_finish(); else -1 */
                struct stat wanted;
        } * items;
        size_t n;
} FilesBack;

/*
 * Puts back what an archive of the save holds, which was compared with the ticket before. `root_fd` is "/".
 *
 * As root in directories where others write, so: no symbolic link is followed, nothing that exists is
 * changed, and what is made belongs to nobody but root until it is complete. Something at a file's place is
 * fine if it is that very file (put back for another tree; or of the same kind, owner, size and time of
 * change, as on a disk that was not emptied); else -EEXIST. A directory may be there already if it has the
 * same owner. What an earlier call had not completed, because it died, is made anew or completed. Attributes
 * that the file system of today cannot hold are left out.
 */
int files_put_back(FilesBack *back, int archive_fd, int root_fd);

/* Gives the directories their owner, mode and times, when all archives are through. Empties *back. */
int files_finish(FilesBack *back);

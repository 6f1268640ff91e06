/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: putting files back that no boot brings. */

#include "base/file-set.h"

/* Files that were put back until now: trees share some, and the first one brings them. Empty at the
 * begin. */
typedef struct FilesBack {
        FileSet made;
} FilesBack;

void files_back_done(FilesBack *back);

/*
 * Puts back what an archive of the save holds, which was compared with the ticket before. `root_fd` is "/".
 *
 * As root in directories where others write, so: no symbolic link is followed, nothing that exists is
 * changed, and what is made belongs to nobody but root until it is complete. Something at a file's place is
 * fine if it is that very file (put back for another tree; or of the same kind, owner, size and time of
 * change, as on a disk that was not emptied); else -EEXIST. A directory may be there already if it has the
 * same owner. What an earlier call had not completed, because it died, is made anew or completed. Attributes
 * that the file system of today cannot hold are left out.
 *
 * An archive that fails leaves complete what it had come to, and nothing behind that the next one would
 * notice: no descriptor stays open.
 */
int files_put_back(FilesBack *back, int archive_fd, int root_fd);

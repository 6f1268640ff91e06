/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Files in a pax archive: content with its holes, owner, mode, times in nanoseconds and extended attributes
 * (an access list is one of them). An archive that is read back is data of a stranger: whatever pax_next()
 * returns has a clean path, an owner and a type that can be made again; what is at that path now is the
 * caller's to look at.
 */

#include <stdint.h>
#include <sys/stat.h>

typedef struct Pax Pax;

typedef struct PaxEntry {
        const char *path; /* absolute, no ".", ".." or empty parts; the archive's, until the next entry */
        const char *link; /* another name of the same file, of an entry before; else NULL */
        struct stat st;   /* mode with the type (file, directory or FIFO), owner, size, mtime, atime */
} PaxEntry;

/* No archive has more entries; one that is read and has more is damaged. It takes seconds to unpack so many,
 * and a boot waits for it. */
#define PAX_ENTRIES_MAX 131072u

/* About what an entry takes beside its content, its attributes and twice its names. */
#define PAX_ENTRY_BYTES 3072u

/* What an archive may take at most, holes included: its user chooses the names, the sizes and how many there
 * are, and time passes with each. */
typedef struct PaxLimits {
        uint64_t bytes, entries;
} PaxLimits;

/* fd stays the caller's and must outlive the archive. */
int pax_create(int fd, const PaxLimits *limits, Pax **ret);
int pax_open(int fd, Pax **ret);

/* Appends an entry. fd: where extended attributes and, of a regular file, st.st_size bytes of content come
 * from; an O_PATH one will do for anything else. Not looked at for a link. -EDQUOT, and nothing is written:
 * it takes more than is left of limits.bytes; -E2BIG: than limits.entries. -EAGAIN: a file with setuid or
 * setgid is not, behind its content, what entry->st says. Capabilities of a file are left out. */
int pax_add(Pax *pax, const PaxEntry *entry, int fd);

/* Everything that was appended is in the file. Without it the archive is cut short. */
int pax_finish(Pax *pax);

/* Answer 1: there is no further entry. -EBADMSG: cut short, or not what this program writes. */
int pax_next(Pax *pax, PaxEntry *ret);

/* Gives an empty file (or a directory, or a FIFO by O_PATH) what the entry has beside its owner, mode and
 * times. Attributes that the file system cannot hold are left out, and capabilities. */
int pax_unpack(Pax *pax, const PaxEntry *entry, int fd);

Pax *pax_free(Pax *pax);
static inline void pax_freep(Pax **p) {
        (void)pax_free(*p);
}

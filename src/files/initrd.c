/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * An initrd is a chain: archives that are not packed (microcode; in Debian 13 also modules and firmware that
 * are packed by themselves), zeros between them, and last the packed one with everything else. libarchive
 * unpacks, but ends at the first trailer; so the walk over the unpacked ones is ours, by their headers
 * alone, and libarchive gets what is left from the first packed byte on.
 */

#include "files/initrd.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER        110u /* of newc: magic and 13 numbers of 8 hexadecimal digits */
#define NAME_MAX_NEWC 4096u
#define AT_FILESIZE   (6u + 6 * 8)
#define AT_NAMESIZE   (6u + 11 * 8)

DEFINE_CLEANUP(struct archive *, archive_read_free)
DEFINE_CLEANUP(struct archive *, archive_write_free)
DEFINE_CLEANUP(struct archive_entry *, archive_entry_free)

static bool is_named(const char *path, const char *base_name) {
        const char *slash = strrchr(path, '/');

        return strcmp(slash ? slash + 1 : path, base_name) == 0;
}

static bool hex8(const char *digits, uint64_t *ret) {
        char text[9], *end;

        memcpy(text, digits, 8);
        text[8] = '\0';
        if (strspn(text, "0123456789abcdefABCDEF") != 8)
                return false;
        *ret = strtoul(text, &end, 16);
        return true;
}

static uint64_t aligned(uint64_t offset) {
        return (offset + 3) & ~UINT64_C(3);
}

/* Where the zeros from *offset on end. False at the end of the file. */
static bool skip_zeros(int fd, uint64_t *offset) {
        char buffer[4096];

        for (;;) {
                ssize_t k = pread(fd, buffer, sizeof buffer, (off_t)*offset);

                if (k <= 0)
                        return false;
                for (ssize_t i = 0; i < k; i++)
                        if (buffer[i]) {
                                *offset += (uint64_t)i;
                                return true;
                        }
                *offset += (uint64_t)k;
        }
}

/* One archive that is not packed, beginning at *offset, which then is behind its trailer. Answer 1: the name
 * is in it. */
static int walk_plain(int fd, uint64_t *offset, const char *base_name) {
        for (;;) {
                char header[HEADER], name[NAME_MAX_NEWC];
                uint64_t name_size, file_size;

                if (pread(fd, header, HEADER, (off_t)*offset) != HEADER ||
                    (memcmp(header, "070701", 6) != 0 && memcmp(header, "070702", 6) != 0) ||
                    !hex8(header + AT_FILESIZE, &file_size) || !hex8(header + AT_NAMESIZE, &name_size) ||
                    name_size == 0 || name_size > sizeof name ||
                    pread(fd, name, name_size, (off_t)(*offset + HEADER)) != (ssize_t)name_size ||
                    name[name_size - 1] != '\0')
                        return -EBADMSG;
                *offset = aligned(*offset + HEADER + name_size);
                if (strcmp(name, "TRAILER!!!") == 0)
                        return 0;
                if (is_named(name, base_name))
                        return 1;
                *offset = aligned(*offset + file_size);
        }
}

/* From *offset to the end: one packed archive. */
static int walk_packed(int fd, uint64_t offset, const char *base_name) {
        _cleanup_(archive_read_freep) struct archive *a = archive_read_new();
        struct archive_entry *e;
        int r;

        if (!a)
                return -ENOMEM;
        if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
                return -errno;
        archive_read_support_filter_all(a);
        archive_read_support_format_cpio(a);
        if (archive_read_open_fd(a, fd, 1u << 16) != ARCHIVE_OK)
                return -EBADMSG;
        while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
                const char *name = archive_entry_pathname(e);

                if (name && is_named(name, base_name))
                        return 1;
        }
        return r == ARCHIVE_EOF ? 0 : -EBADMSG;
}

int initrd_contains(const char *path, const char *base_name) {
        _cleanup_(closep) int fd = -1;
        uint64_t offset = 0;
        int r = 0;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return err_born(-errno, "cannot read initrd %s", path);
        while (r == 0 && skip_zeros(fd, &offset)) {
                char magic[6];

                if (pread(fd, magic, sizeof magic, (off_t)offset) != sizeof magic)
                        r = -EBADMSG;
                else if (memcmp(magic, "07070", 5) != 0) {
                        r = walk_packed(fd, offset, base_name);
                        break;
                } else
                        r = walk_plain(fd, &offset, base_name);
        }
        if (r < 0)
                return err_say(r, "initrd %s is damaged", path);
        return r;
}

static int cpio_entry(struct archive *a, const char *path, mode_t mode, size_t size) {
        _cleanup_(archive_entry_freep) struct archive_entry *e = archive_entry_new();

        if (!e)
                return -ENOMEM;
        archive_entry_set_pathname(e, path);
        archive_entry_set_mode(e, mode);
        archive_entry_set_nlink(e, S_ISDIR(mode) ? 2 : 1);
        archive_entry_set_size(e, (la_int64_t)size);
        if (archive_write_header(a, e) != ARCHIVE_OK)
                return err_say(-EIO, "cannot add %s to the initrd: %s", path, archive_error_string(a));
        return 0;
}

int initrd_cpio_with(const char *path, const void *data, size_t size, void **ret, size_t *ret_size) {
        _cleanup_(archive_write_freep) struct archive *a = archive_write_new();
        _cleanup_(freep) char *parent = strdup(path), *buffer = NULL;
        /* Headers of at most 512 bytes for each entry and the trailer, and the blocking to 512. */
        size_t entries = 2, room, used = 0;
        int r;

        if (!a || !parent)
                return -ENOMEM;
        for (const char *p = path; *p; p++)
                entries += *p == '/';
        room = size + strlen(path) * entries + entries * 512 + 1024;
        buffer = malloc(room);
        if (!buffer)
                return -ENOMEM;
        archive_write_set_format_cpio_newc(a);
        archive_write_set_bytes_per_block(a, 512);
        if (archive_write_open_memory(a, buffer, room, &used) != ARCHIVE_OK)
                return err_say(-EIO, "cannot add %s to the initrd: %s", path, archive_error_string(a));
        for (char *p = strchr(parent, '/'); p; p = strchr(p + 1, '/')) {
                *p = '\0';
                r = cpio_entry(a, parent, S_IFDIR | 0700, 0);
                if (r < 0)
                        return err_pass(r);
                *p = '/';
        }
        r = cpio_entry(a, path, S_IFREG | 0600, size);
        if (r < 0)
                return err_pass(r);
        if (archive_write_data(a, data, size) != (la_ssize_t)size || archive_write_close(a) != ARCHIVE_OK)
                return err_say(-EIO, "cannot add %s to the initrd: %s", path, archive_error_string(a));
        *ret = TAKE(buffer);
        *ret_size = used;
        return 0;
}

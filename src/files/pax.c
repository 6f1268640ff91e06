/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * libarchive reads and writes the format only. What it would make of an entry on disk it makes by path,
 * which is no way in a directory where somebody else can write; so files are opened and made by others, and
 * come here as descriptors. Extended attributes are passed on as bytes and not translated, so access lists
 * come along without further code.
 */

#include "files/pax.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"

#include <archive.h>
#include <archive_entry.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BLOCK      65536u
#define XATTR_SIZE 65536u /* XATTR_SIZE_MAX and XATTR_LIST_MAX of the kernel */

struct Pax {
        struct archive *archive;
        struct archive_entry *entry;
        bool writes;
        PaxLimits left;
        char path[PATH_MAX], link[PATH_MAX];
};

Pax *pax_free(Pax *pax) {
        if (!pax)
                return NULL;
        if (pax->writes) {
                (void)archive_write_free(pax->archive);
                archive_entry_free(pax->entry);
        } else
                (void)archive_read_free(pax->archive); /* its entry is the archive's */
        free(pax);
        return NULL;
}

static int failed(const Pax *pax, const char *what) {
        int r = archive_errno(pax->archive);

        return err_say(r > 0 && r < 4096 ? -r : -EIO, "cannot %s an archive of files: %s", what,
                       archive_error_string(pax->archive) ?: "out of memory");
}

/* Names are bytes to the kernel; BINARY keeps libarchive from translating them. One form of attributes is
 * enough. */
#define OPTIONS "hdrcharset=BINARY,xattrheader=SCHILY"

int pax_create(int fd, const PaxLimits *limits, Pax **ret) {
        _cleanup_(pax_freep) Pax *pax = calloc(1, sizeof *pax);

        if (!pax)
                return -ENOMEM;
        pax->writes = true;
        pax->left = *limits;
        if (pax->left.entries > PAX_ENTRIES_MAX)
                pax->left.entries = PAX_ENTRIES_MAX;
        pax->archive = archive_write_new();
        pax->entry = archive_entry_new();
        if (!pax->archive || !pax->entry)
                return -ENOMEM;
        if (archive_write_set_format_pax(pax->archive) != ARCHIVE_OK ||
            archive_write_set_options(pax->archive, OPTIONS) != ARCHIVE_OK ||
            archive_write_open_fd(pax->archive, fd) != ARCHIVE_OK)
                return failed(pax, "begin");
        *ret = TAKE(pax);
        return 0;
}

int pax_open(int fd, Pax **ret) {
        _cleanup_(pax_freep) Pax *pax = calloc(1, sizeof *pax);

        if (!pax)
                return -ENOMEM;
        pax->left.entries = PAX_ENTRIES_MAX;
        pax->archive = archive_read_new();
        if (!pax->archive)
                return -ENOMEM;
        if (archive_read_support_format_tar(pax->archive) != ARCHIVE_OK ||
            archive_read_open_fd(pax->archive, fd, BLOCK) != ARCHIVE_OK)
                return failed(pax, "open");
        *ret = TAKE(pax);
        return 0;
}

static int take(Pax *pax, uint64_t bytes) {
        if (bytes > pax->left.bytes)
                return err_say(-EDQUOT, "%s exceeds the size limit of the archive", pax->path);
        pax->left.bytes -= bytes;
        return 0;
}

static int take_entry(Pax *pax, const PaxEntry *entry, bool has_content) {
        uint64_t names = strlen(entry->path) + (entry->link ? strlen(entry->link) : 0);
        int r;

        if (pax->left.entries == 0)
                return err_say(-E2BIG, "%s exceeds the entry limit of the archive", pax->path);
        pax->left.entries--;
        r = take(pax, PAX_ENTRY_BYTES + 2 * names);
        return r < 0 || !has_content ? r : take(pax, (uint64_t)entry->st.st_size);
}

/* Attributes are asked for by a path, since O_PATH descriptors have no calls of their own for them. */
static int add_attribute(Pax *pax, const char *file, const char *name) {
        char value[XATTR_SIZE];
        ssize_t l = getxattr(file, name, value, sizeof value);

        if (l < 0)
                return err_born(-errno, "cannot read the attribute %s of %s", name, pax->path);
        if (take(pax, strlen(name) + (size_t)l) < 0)
                return err_pass(-EDQUOT);
        archive_entry_xattr_add_entry(pax->entry, name, value, (size_t)l);
        return 0;
}

/* The kernel takes a file's capabilities from it when anybody writes to it: whether the content that goes
 * along is still the one that they were given to, nobody can say afterwards. */
static bool is_carried(const char *attribute) {
        return strcmp(attribute, "security.capability") != 0;
}

static int add_attributes(Pax *pax, int fd) {
        char link[FD_LINK_SIZE], names[XATTR_SIZE];
        const char *file = fd_link(fd, link);
        ssize_t l;

        l = listxattr(file, names, sizeof names);
        if (l < 0 && errno != EOPNOTSUPP)
                return err_born(-errno, "cannot list the attributes of %s", pax->path);
        for (const char *name = names; name < names + l; name += strlen(name) + 1) {
                int r = is_carried(name) ? add_attribute(pax, file, name) : 0;

                if (r < 0)
                        return err_pass(r);
        }
        return 0;
}

/* Where the data are; a file without holes has one run, which needs no map. */
static int add_map(Pax *pax, int fd, off_t size) {
        off_t data = 0, hole;

        while (data < size) {
                data = lseek(fd, data, SEEK_DATA);
                if (data < 0 && errno == ENXIO)
                        break; /* nothing but a hole from there on */
                hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
                if (hole < 0)
                        return err_born(-errno, "cannot find holes in %s", pax->path);
                if (hole > size)
                        hole = size;
                if (data < size && (data > 0 || hole < size))
                        archive_entry_sparse_add_entry(pax->entry, data, hole - data);
                data = hole;
        }
        if (size > 0 && data < 0 && archive_entry_sparse_count(pax->entry) == 0)
                archive_entry_sparse_add_entry(pax->entry, size, 0); /* one hole, from begin to end */
        return 0;
}

/* The whole of it, holes as zeros: the archive leaves them out by the map. What others cut off meanwhile
 * becomes zeros at the end. */
static int add_content(Pax *pax, int fd, off_t size) {
        char buffer[BLOCK];
        off_t at = 0;

        while (at < size) {
                size_t want = size - at < (off_t)sizeof buffer ? (size_t)(size - at) : sizeof buffer;
                ssize_t k = pread(fd, buffer, want, at);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return err_born(-errno, "cannot read %s", pax->path);
                if (k == 0)
                        break;
                if (archive_write_data(pax->archive, buffer, (size_t)k) < 0)
                        return failed(pax, "write");
                at += k;
        }
        return 0;
}

/* setuid and setgid are with the entry already, and the kernel takes them from a file whose content changes.
 * What CRIU has noted by then has them, so without them nothing would come back. */
static int check_unchanged(const Pax *pax, const PaxEntry *entry, int fd) {
        struct stat now;

        if (!(entry->st.st_mode & (S_ISUID | S_ISGID)))
                return 0;
        if (fstat(fd, &now) < 0)
                return err_born(-errno, "cannot stat %s", pax->path);
        if (now.st_mode != entry->st.st_mode || now.st_ctim.tv_sec != entry->st.st_ctim.tv_sec ||
            now.st_ctim.tv_nsec != entry->st.st_ctim.tv_nsec)
                return err_say(-EAGAIN, "%s is setuid or setgid and changed during the save", pax->path);
        return 0;
}

static void describe(Pax *pax, const PaxEntry *entry) {
        const struct stat *st = &entry->st;
        struct archive_entry *e = pax->entry;

        archive_entry_clear(e);
        snprintf(pax->path, sizeof pax->path, "%s", entry->path);
        archive_entry_set_pathname(e, pax->path);
        archive_entry_set_mode(e, st->st_mode);
        archive_entry_set_uid(e, st->st_uid);
        archive_entry_set_gid(e, st->st_gid);
        archive_entry_set_size(e, S_ISREG(st->st_mode) && !entry->link ? st->st_size : 0);
        archive_entry_set_mtime(e, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
        archive_entry_set_atime(e, st->st_atim.tv_sec, st->st_atim.tv_nsec);
        if (entry->link)
                archive_entry_set_hardlink(e, entry->link);
}

int pax_add(Pax *pax, const PaxEntry *entry, int fd) {
        bool has_content = S_ISREG(entry->st.st_mode) && !entry->link;
        int r;

        describe(pax, entry);
        r = take_entry(pax, entry, has_content);
        if (r >= 0 && !entry->link)
                r = add_attributes(pax, fd);
        if (r >= 0 && has_content)
                r = add_map(pax, fd, entry->st.st_size);
        if (r < 0)
                return err_pass(r);
        if (archive_write_header(pax->archive, pax->entry) != ARCHIVE_OK)
                return failed(pax, "write");
        r = has_content ? add_content(pax, fd, entry->st.st_size) : 0;
        if (r >= 0 && has_content)
                r = check_unchanged(pax, entry, fd);
        return r < 0 ? err_pass(r) : 0;
}

int pax_finish(Pax *pax) {
        return archive_write_close(pax->archive) == ARCHIVE_OK ? 0 : failed(pax, "write");
}

/* Reading. */

/* A directory's name comes with a slash at its end. */
static bool copy_path(const char *path, char ret[static PATH_MAX]) {
        size_t l = path ? strlen(path) : 0;

        while (l > 1 && path[l - 1] == '/')
                l--;
        if (l < 2 || l >= PATH_MAX || path[0] != '/')
                return false;
        memcpy(ret, path, l);
        ret[l] = '\0';
        for (const char *p = ret; *p; p += strcspn(p, "/")) {
                size_t part = strcspn(++p, "/");

                if (part == 0 || part > NAME_MAX || (part == 1 && p[0] == '.') ||
                    (part == 2 && p[0] == '.' && p[1] == '.'))
                        return false;
        }
        return true;
}

static bool is_id(int64_t id) {
        return id >= 0 && id < UINT32_MAX; /* the last one means "as it is" to chown(2) */
}

static bool is_possible(const PaxEntry *entry, struct archive_entry *e) {
        mode_t type = entry->st.st_mode & S_IFMT;

        if (!is_id(archive_entry_uid(e)) || !is_id(archive_entry_gid(e)))
                return false;
        if (entry->link) /* an archive gives another name no type */
                return entry->st.st_size == 0;
        return type == S_IFREG ? entry->st.st_size >= 0
                               : (type == S_IFDIR || type == S_IFIFO) && entry->st.st_size == 0;
}

int pax_next(Pax *pax, PaxEntry *ret) {
        PaxEntry entry = {.path = pax->path};
        struct archive_entry *e;
        const char *link;
        int r = archive_read_next_header(pax->archive, &e);

        if (r == ARCHIVE_EOF)
                return 1;
        if (r != ARCHIVE_OK)
                return err_say(-EBADMSG, "the archive of files is damaged");
        if (pax->left.entries == 0)
                return err_say(-EBADMSG, "the archive of files has more entries than a save writes");
        pax->left.entries--;
        pax->entry = e;
        link = archive_entry_hardlink(e);
        if (!copy_path(archive_entry_pathname(e), pax->path) || (link && !copy_path(link, pax->link)))
                return err_say(-EBADMSG, "the archive of files contains an invalid path");
        entry.link = link ? pax->link : NULL;
        entry.st.st_mode = archive_entry_mode(e);
        entry.st.st_uid = (uid_t)archive_entry_uid(e);
        entry.st.st_gid = (gid_t)archive_entry_gid(e);
        entry.st.st_size = archive_entry_size(e);
        entry.st.st_mtim = (struct timespec){archive_entry_mtime(e), archive_entry_mtime_nsec(e)};
        entry.st.st_atim = (struct timespec){archive_entry_atime(e), archive_entry_atime_nsec(e)};
        if (!is_possible(&entry, e))
                return err_say(-EBADMSG, "the archive of files contains %s, whose type is not supported",
                               pax->path);
        *ret = entry;
        return 0;
}

static int unpack_attributes(Pax *pax, int fd) {
        const char *name;
        const void *value;
        char link[FD_LINK_SIZE];
        const char *file = fd_link(fd, link);
        size_t size;

        (void)archive_entry_xattr_reset(pax->entry);
        while (archive_entry_xattr_next(pax->entry, &name, &value, &size) == ARCHIVE_OK)
                if (is_carried(name) && setxattr(file, name, value, size, 0) < 0 && errno != EOPNOTSUPP)
                        return err_born(-errno, "cannot set the attribute %s of %s", name, pax->path);
        return 0;
}

static int write_at(int fd, const char *data, size_t n, int64_t at) {
        while (n > 0) {
                ssize_t k = pwrite(fd, data, n, at);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                data += k;
                n -= (size_t)k;
                at += k;
        }
        return 0;
}

static int unpack_content(Pax *pax, int64_t size, int fd) {
        const void *data;
        int64_t at;
        size_t n;
        int r;

        if (ftruncate(fd, size) < 0)
                return err_born(-errno, "cannot set the size of %s", pax->path);
        while ((r = archive_read_data_block(pax->archive, &data, &n, &at)) == ARCHIVE_OK) {
                if (at < 0 || at > size || n > (uint64_t)(size - at))
                        return err_say(-EBADMSG, "the archive of files has more data for %s than its size",
                                       pax->path);
                r = write_at(fd, data, n, at);
                if (r < 0)
                        return err_born(r, "cannot write %s", pax->path);
        }
        return r == ARCHIVE_EOF ? 0 : err_say(-EBADMSG, "the archive of files is damaged at %s", pax->path);
}

int pax_unpack(Pax *pax, const PaxEntry *entry, int fd) {
        int r = S_ISREG(entry->st.st_mode) ? unpack_content(pax, entry->st.st_size, fd) : 0;

        if (r >= 0)
                r = unpack_attributes(pax, fd);
        return r < 0 ? err_pass(r) : 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A tree's files that no boot brings, put back from an archive of a stranger's. A header of tar carries a
 * checksum that no mutation hits, so it is corrected here, header by header; an input that begins with an
 * odd byte is taken as it is. Nothing outside of the root directory may ever be made or changed, and in it
 * nothing that was there before.
 */

#include "fuzz.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "restore/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 512u

/* ustar: the size and the sum of a header, in octal. */
#define SIZE_AT 124
#define SUM_AT  148
#define SUM_N   8

static void correct_sum(uint8_t *header) {
        unsigned sum = 0;
        char text[SUM_N + 1];

        memset(header + SUM_AT, ' ', SUM_N);
        for (size_t i = 0; i < BLOCK; i++)
                sum += header[i];
        snprintf(text, sizeof text, "%06o", sum);
        memcpy(header + SUM_AT, text, SUM_N - 1); /* with the NUL; a blank stays behind it */
}

static void correct(uint8_t *data, size_t size) {
        static const uint8_t empty[BLOCK];

        for (size_t at = 0; at + BLOCK <= size;) {
                char octal[13] = "";
                uint64_t content;

                if (memcmp(data + at, empty, BLOCK) == 0) {
                        at += BLOCK;
                        continue;
                }
                correct_sum(data + at);
                memcpy(octal, data + at + SIZE_AT, sizeof octal - 1);
                content = strtoull(octal, NULL, 8);
                if (content > size)
                        return;
                at += BLOCK + (content + BLOCK - 1) / BLOCK * BLOCK;
        }
}

/* What was there before; ctime tells of every change. */
typedef struct Seen {
        const char *path;
        struct stat st;
} Seen;

static void see(const char *path, Seen *ret) {
        ret->path = path;
        EXPECT(lstat(path, &ret->st) == 0);
}

static void expect_as_seen(const Seen *seen) {
        struct stat st;

        EXPECT(lstat(seen->path, &st) == 0);
        EXPECT(st.st_ino == seen->st.st_ino && st.st_nlink == seen->st.st_nlink);
        EXPECT(st.st_mode == seen->st.st_mode && st.st_uid == seen->st.st_uid);
        EXPECT(st.st_ctim.tv_sec == seen->st.st_ctim.tv_sec &&
               st.st_ctim.tv_nsec == seen->st.st_ctim.tv_nsec);
}

static int is_entry(const struct dirent *e) {
        return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static size_t entries(const char *path) {
        struct dirent **list;
        int n = scandir(path, &list, is_entry, NULL);

        EXPECT(n >= 0);
        for (int i = 0; i < n; i++)
                free(list[i]);
        free(list);
        return (size_t)n;
}

static void make_world(void) {
        cell_put("/outside/file", "x", 1);
        cell_put("/root/tmp/theirs", "theirs", 6);
        cell_put("/root/run/user/7/file", "x", 1);
        EXPECT(chown("/root/tmp/theirs", 1001, 1001) == 0 && chmod("/root/tmp", 01777) == 0);
        EXPECT(symlink("../../outside", "/root/tmp/dir") == 0);
        EXPECT(symlink("/outside/file", "/root/tmp/link") == 0);
        EXPECT(mkfifo("/root/tmp/fifo", 0600) == 0);
}

static void put_back(int archive, int root_fd) {
        _cleanup_(files_back_done) FilesBack back = {0};

        for (int i = 0; i < 2; i++) { /* as for two trees that share files */
                (void)files_put_back(&back, archive, root_fd);
                EXPECT(lseek(archive, 0, SEEK_SET) == 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char *const paths[] = {
                        "/outside",       "/outside/file",  "/root/tmp/theirs",     "/root/tmp/dir",
                        "/root/tmp/link", "/root/tmp/fifo", "/root/run/user/7/file"};
        Part content = {data, size};
        bool as_it_is = part_byte(&content) & 1;
        _cleanup_(freep) uint8_t *copy = malloc(content.size + 1);
        Seen seen[ELEMENTS(paths)], tmp;
        int archive, root_fd;

        EXPECT(copy);
        if (content.size > 0)
                memcpy(copy, content.data, content.size);
        if (!as_it_is)
                correct(copy, content.size);
        cell_enter(true);
        make_world();
        for (size_t i = 0; i < ELEMENTS(paths); i++)
                see(paths[i], seen + i);
        archive = memfd_with("archive", copy, content.size);
        root_fd = open("/root", O_PATH | O_DIRECTORY | O_CLOEXEC);
        put_back(archive, root_fd);
        for (size_t i = 0; i < ELEMENTS(paths); i++)
                expect_as_seen(seen + i);
        see("/root/tmp", &tmp);
        EXPECT(tmp.st.st_mode == (S_IFDIR | 01777) && tmp.st.st_uid == 0 && tmp.st.st_gid == 0);
        EXPECT(entries("/outside") == 1 && entries("/") == 3);
        fd_close(root_fd);
        fd_close(archive);
        cell_leave();
        return 0;
}

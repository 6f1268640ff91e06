/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * CRIU's images: parts separated by "\n==\n", each a letter for the file and what is in it. Behind a small
 * letter the file is put together here: its magic numbers, then entries, each with its length, separated by
 * "\n--\n"; what stands behind "\n++\n" has none (queues, contents). Behind a capital letter it is the file
 * as it is.
 */

#include "fuzz.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "image/cure.h"
#include "image/image.h"
#include "image/internal.h"
#include "image/remap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
        const char *name;
        uint32_t magic; /* 0: none, bare bytes */
} files[26] = {
                {"/images/inventory.img", IMAGE_INVENTORY},
                {"/images/pstree.img", IMAGE_PSTREE},
                {"/images/files.img", IMAGE_FILES},
                {"/images/core-100.img", IMAGE_CORE},
                {"/images/tty-info.img", IMAGE_TTY_INFO},
                {"/images/tcp-stream-1f.img", IMAGE_TCP_STREAM},
                {"/images/tcp-stream-20.img", IMAGE_TCP_STREAM},
                {"/images/pagemap-100.img", IMAGE_PAGEMAP},
                {"/images/pages-1.img", 0},
                {"/images/remap-fpath.img", IMAGE_REMAP_FPATH},
                {"/images/ghost-file-1.img", IMAGE_GHOST_FILE},
                {"/images/ghost-file-2.img", IMAGE_GHOST_FILE},
                {"/images/pipes-data.img", 0x56453709},
                {"/images/sk-queues.img", 0x56264026},
                {"/images/ipcns-shm-1.img", 0x46283044},
                {"/images/novelty.img", 0x12345678},
                {"/images/core-103.img", IMAGE_CORE},
                {"/images/core-107.img", IMAGE_CORE},
                {"/images/mm-100.img", IMAGE_MM},
                {"/images/fdinfo-2.img", 0x56213732},
                {"/images/volatile.img", 0},
                {"/images/fifo-data.img", 0x59333054},
                {"/images/pagemap-shmem-5.img", IMAGE_PAGEMAP},
                {"/images/tty-data.img", 0x59413026},
                {"/images/tcp-stream-21.img", IMAGE_TCP_STREAM},
                {"/images/utsns-11.img", 0x54473203},
};

static void put_built(const char *name, uint32_t magic, Part content) {
        _cleanup_(image_writer_done) ImageWriter writer = {0};
        Part item;

        EXPECT(image_put_head(&writer, magic) >= 0);
        while (content.size > 0 && part_next(&content, "\n--\n", &item)) {
                Part bare = item, entry;

                if (part_next(&bare, "\n++\n", &entry) && entry.size > 0)
                        EXPECT(image_put_entry(&writer, entry.data, entry.size) >= 0);
                if (bare.data)
                        EXPECT(image_put(&writer, bare.data, bare.size) >= 0);
        }
        cell_put(name, writer.data, writer.size);
}

static void put_images(Part rest) {
        Part part;

        for (size_t i = 0; i <= 3; i++) /* which every dump has */
                put_built(files[i].name, files[i].magic, (Part){0});
        while (part_next(&rest, "\n==\n", &part)) {
                uint8_t letter = part_byte(&part);
                size_t which = ((letter | 0x20u) - 'a') % 26u;

                if (letter & 0x20 && files[which].magic)
                        put_built(files[which].name, files[which].magic, part);
                else
                        cell_put_part(files[which].name, part);
        }
}

/* Readers: whatever they say, they must say it of every input. */

static void expect_ascending(int r, uint32_t *numbers, size_t n) {
        if (r < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                EXPECT(i == 0 || numbers[i - 1] < numbers[i]);
                EXPECT(image_has_number(numbers, n, numbers[i]));
        }
        free(numbers);
}

static void look(int fd) {
        uint64_t huge[IMAGE_HUGE_SIZES];
        ImageTerminal *terminals;
        uint32_t *numbers = NULL, pid, sid;
        PeerStream *streams;
        size_t n = 0;
        int r;

        r = image_pids(fd, &numbers, &n);
        expect_ascending(r, numbers, n);
        r = image_processes(fd, &numbers, &n);
        expect_ascending(r, numbers, n);
        if (image_root(fd, &pid, &sid) >= 0)
                EXPECT(pid > 0 && pid <= 4194304 && sid <= 4194304);
        (void)image_huge_pages(fd, huge);
        if (image_streams(fd, &streams, &n) >= 0)
                free(streams);
        if (image_terminals(fd, &terminals, &n) >= 0)
                free(terminals);
}

/* Corrections: a second one has nothing to do. */

static bool has_terminal(const ImageTerminal *terminals, size_t n, uint32_t index) {
        for (size_t i = 0; i < n; i++)
                if (terminals[i].index == index)
                        return true;
        return false;
}

static void move_terminal(int fd) {
        enum { FREE = 999 };
        ImageTerminal *before, *after;
        size_t n, n_after;

        if (image_terminals(fd, &before, &n) < 0)
                return;
        if (n > 0 && !has_terminal(before, n, FREE) && image_move_pty(fd, before[0].index, FREE) >= 0) {
                EXPECT(image_terminals(fd, &after, &n_after) >= 0 && n_after == n);
                EXPECT(has_terminal(after, n, FREE) && !has_terminal(after, n, before[0].index));
                EXPECT(image_move_pty(fd, before[0].index, FREE) == -ENOENT);
                free(after);
        }
        free(before);
}

/* Whatever is asked for. */
static int read_memory(pid_t tid, uint64_t address, void *ret, size_t size, void *userdata) {
        (void)userdata;
        memset(ret, (int)(address >> 4), size);
        return tid > 0 ? 0 : -ESRCH;
}

static int wiped(pid_t pid, ImageRange **ret, size_t *ret_n, void *userdata) {
        (void)userdata;
        (void)pid;
        *ret = malloc(sizeof **ret);
        **ret = (ImageRange){0x1000, UINT64_MAX};
        *ret_n = 1;
        return 0;
}

static void cure(int fd) {
        int left = image_cure_calls(fd, read_memory, NULL);

        if (left >= 0)
                EXPECT(image_cure_calls(fd, read_memory, NULL) == left);
        if (image_cure_timers(fd, false) >= 0)
                EXPECT(image_cure_timers(fd, false) == 0);
        if (image_cure_maps(fd, wiped, NULL, 1 << 30) >= 0)
                EXPECT(image_cure_maps(fd, wiped, NULL, 1 << 30) == 0);
        if (image_cure_offsets(fd) >= 0)
                EXPECT(image_cure_offsets(fd) == 0);
        if (image_cure_loopback(fd) >= 0)
                EXPECT(image_cure_loopback(fd) == 0);
}

static void correct(int fd) {
        if (image_fix_tcp(fd) >= 0)
                EXPECT(image_fix_tcp(fd) == 0);
        if (image_fix_terminals(fd) >= 0)
                EXPECT(image_fix_terminals(fd) == 0);
        cure(fd);
        if (remaps_rename_taken(fd) >= 0)
                EXPECT(remaps_rename_taken(fd) == 0);
        move_terminal(fd);
}

/* Files that lost their names: what is removed for them is CRIU's or nobody's. */

static const char *const bystanders[] = {"/d/b", "/a", "/a.cr_link", "/d/link_remap.", "/d/link_remap.1x"};

/* With another name, as CRIU's links have. */
static void put_bystander(const char *path, size_t i) {
        char other[32];

        cell_put(path, "x", 1);
        snprintf(other, sizeof other, "/d/other-%zu", i);
        EXPECT(link(path, other) == 0);
}

static void sweep(int fd) {
        Remaps remaps = {0};

        for (size_t i = 0; i < ELEMENTS(bystanders); i++)
                put_bystander(bystanders[i], i);
        cell_put("/a.cr.1.ghost", "x", 1);
        cell_put("/d/link_remap.1", "x", 1);
        EXPECT(link("/d/link_remap.1", "/d/c") == 0);
        correct(fd);
        if (remaps_load(fd, &remaps) >= 0) {
                (void)remaps_check(&remaps);
                remaps_sweep(&remaps, false);
                remaps_sweep(&remaps, true);
                remaps_done(&remaps);
        }
        remaps_sweep_images(fd, false);
        for (size_t i = 0; i < ELEMENTS(bystanders); i++)
                EXPECT(access(bystanders[i], F_OK) == 0);
        EXPECT(access("/d/c", F_OK) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        bool sound;
        int fd;

        cell_enter(false);
        put_images((Part){data, size});
        fd = open("/images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        sound = image_verify(fd) >= 0;
        look(fd);
        sweep(fd);
        look(fd);
        if (sound)
                EXPECT(image_verify(fd) >= 0);
        fd_close(fd);
        cell_leave();
        return 0;
}

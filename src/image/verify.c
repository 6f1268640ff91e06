/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The last look before the original dies. It cannot tell whether CRIU saved the right things; it tells that
 * what CRIU wrote is what lies on disk: each file whole, of the type that its name says, its entries sound,
 * as many pages and queue bytes as the entries promise, and for each process and thread its registers.
 */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "image/image.h"
#include "image/internal.h"
#include "model/model.h"
#include "model/snapshot-fd.h"

#include "criu-image.pb-c.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum Shape {
        ENTRIES, /* nothing but entries */
        BARE,    /* no magic, no entries: another program's format */
        HEAD,    /* magic and a first entry, then what only CRIU's code tells apart; kept trees have none of
                    these (they are of IPC namespaces and BPF maps) */
        STREAM,  /* one entry, then two queues */
        PIPES,   /* each entry followed by its bytes */
        PACKETS, /* likewise */
        GHOST,   /* one entry, then chunks or bytes */
        PAGEMAP, /* head and entries that count the pages of another file */
} Shape;

typedef struct Type {
        const char *pattern;
        uint32_t magic;
        Shape shape;
} Type;

/* The first that matches; more special patterns first. */
static const Type types[] = {
                {"inventory.img", IMAGE_INVENTORY, ENTRIES},
                {"pstree.img", IMAGE_PSTREE, ENTRIES},
                {"files.img", IMAGE_FILES, ENTRIES},
                {"core-*.img", IMAGE_CORE, ENTRIES},
                {"ids-*.img", 0x54432030, ENTRIES},
                {"mm-*.img", IMAGE_MM, ENTRIES},
                {"fs-*.img", 0x51403912, ENTRIES},
                {"fdinfo-*.img", IMAGE_FDINFO, ENTRIES},
                {"creds-*.img", 0x54023547, ENTRIES},
                {"pagemap-*.img", IMAGE_PAGEMAP, PAGEMAP},
                {"pages-*.img", 0, BARE},
                {"tcp-stream-*.img", IMAGE_TCP_STREAM, STREAM},
                {"tty-info.img", IMAGE_TTY_INFO, ENTRIES},
                {"tty-data.img", 0x59413026, ENTRIES},
                {"pipes-data.img", 0x56453709, PIPES},
                {"fifo-data.img", 0x59333054, PIPES},
                {"sk-queues.img", 0x56264026, PACKETS},
                {"ghost-file-*.img", IMAGE_GHOST_FILE, GHOST},
                {"remap-fpath.img", IMAGE_REMAP_FPATH, ENTRIES},
                {"filelocks.img", 0x54323616, ENTRIES},
                {"eventpoll-tfd.img", 0x44433746, ENTRIES},
                {"inotify-wd.img", 0x54562009, ENTRIES},
                {"fanotify-mark.img", 0x56506035, ENTRIES},
                {"seccomp.img", 0x64413049, ENTRIES},
                {"cgroup.img", 0x59383330, ENTRIES},
                {"memfd.img", IMAGE_MEMFD, ENTRIES},
                {"timens-*.img", 0x43114433, ENTRIES},
                {"pidns-*.img", 0x61157326, ENTRIES},
                {"utsns-*.img", 0x54473203, ENTRIES},
                {"userns-*.img", 0x55474906, ENTRIES},
                {"netns-ct-*.img", 0, BARE},
                {"netns-exp-*.img", 0, BARE},
                {"netns-*.img", 0x55933752, ENTRIES},
                {"netdev-*.img", 0x57373951, ENTRIES},
                {"mountpoints-*.img", 0x55563928, ENTRIES},
                {"apparmor.img", 0x59423047, ENTRIES},
                {"cpuinfo.img", 0x61404013, ENTRIES},
                {"ipcns-shm-*.img", 0x46283044, HEAD},
                {"ipcns-msg-*.img", 0x55453737, HEAD},
                {"ipcns-sem-*.img", 0x59573019, HEAD},
                {"bpfmap-data.img", 0x64324033, HEAD},
                {"ifaddr-*.img", 0, BARE},
                {"route-*.img", 0, BARE},
                {"route6-*.img", 0, BARE},
                {"rule-*.img", 0, BARE},
                {"iptables-*.img", 0, BARE},
                {"ip6tables-*.img", 0, BARE},
                {"nftables-*.img", 0, BARE},
                {"tmpfs-*.img", 0, BARE},
                {"volatile.img", 0, BARE}, /* ours: store/store.h */
};

/* Flags of a run of pages, as 3.17.1 and later write them. */
#define PAGES_IN_PARENT 1u
#define PAGES_PRESENT   4u

static const Type *type_of(const char *name) {
        for (size_t i = 0; i < ELEMENTS(types); i++)
                if (fnmatch(types[i].pattern, name, 0) == 0)
                        return &types[i];
        return NULL;
}

static int walk_entries(Image *image) {
        int r;

        while ((r = image_next(image)) == 0)
                ;
        return r < 0 ? err_pass(r) : 0;
}

static int walk_head(Image *image) {
        int r = image_next(image);

        return r < 0 ? err_pass(r) : 0;
}

static int walk_stream(Image *image) {
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        const ImgTcpStream *stream;
        int r;

        r = image_next_message(image, &img_tcp_stream__descriptor, &message);
        if (r > 0)
                return image_bad(image, "it is empty");
        if (r < 0)
                return err_pass(r);
        stream = (const ImgTcpStream *)message;
        if (image_left(image) != (uint64_t)stream->inq_len + stream->outq_len)
                return image_bad(image, "its queues do not have the recorded length");
        return 0;
}

/* Entries of one type, each followed by as many bytes as length() says. */
static int walk_with_bytes(Image *image, const ProtobufCMessageDescriptor *type,
                           uint64_t (*length)(const ProtobufCMessage *message)) {
        for (;;) {
                _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
                int r = image_next_message(image, type, &message);

                if (r > 0)
                        return 0;
                if (r >= 0)
                        r = image_skip(image, length(message));
                if (r < 0)
                        return err_pass(r);
        }
}

static uint64_t pipe_length(const ProtobufCMessage *message) {
        return ((const ImgPipeData *)message)->bytes;
}

/* Descriptors that lie unread in a socket belong to no process, so nobody has looked at them. */
static int walk_packets(Image *image) {
        for (;;) {
                _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
                int r = image_next_message(image, &img_packet__descriptor, &message);

                if (r > 0)
                        return 0;
                if (r >= 0 && ((const ImgPacket *)message)->n_scm > 0)
                        return err_say(-EPERM, FILES_IN_FLIGHT_TEXT);
                if (r >= 0)
                        r = image_skip(image, ((const ImgPacket *)message)->length);
                if (r < 0)
                        return err_pass(r);
        }
}

static uint64_t chunk_length(const ProtobufCMessage *message) {
        return ((const ImgGhostChunk *)message)->len;
}

static int walk_ghost(Image *image) {
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        const ImgGhost *ghost;
        int r;

        r = image_next_message(image, &img_ghost__descriptor, &message);
        if (r > 0)
                return image_bad(image, "it is empty");
        if (r < 0)
                return err_pass(r);
        ghost = (const ImgGhost *)message;
        if (ghost->has_chunks && ghost->chunks)
                return walk_with_bytes(image, &img_ghost_chunk__descriptor, chunk_length);
        if (!S_ISREG(ghost->mode) && image_left(image) > 0)
                return image_bad(image, "it has unexpected data");
        return 0;
}

static uint64_t pages_in(const ImgPagemap *run) {
        bool present;

        if (run->has_flags)
                present = run->flags & PAGES_PRESENT;
        else
                present = !(run->has_in_parent && run->in_parent);
        if (!present)
                return 0;
        return run->has_nr_pages ? run->nr_pages : run->compat_nr_pages;
}

static int compare_pages(int images_fd, const Image *image, uint32_t id, uint64_t pages) {
        uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
        struct stat st = {0};
        char name[64];

        snprintf(name, sizeof name, "pages-%u.img", id);
        if (fstatat(images_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
                return err_born(-errno, "cannot stat image %s", name);
        if ((uint64_t)st.st_size % page_size != 0 || (uint64_t)st.st_size / page_size != pages)
                return err_say(-EBADMSG, "image %s has %" PRIu64 " bytes, but %s counts %" PRIu64 " pages",
                               name, (uint64_t)st.st_size, image->name, pages);
        return 0;
}

static int walk_pagemap(int images_fd, Image *image) {
        _cleanup_(image_message_freep) ProtobufCMessage *head = NULL;
        uint64_t pages = 0;
        int r;

        r = image_next_message(image, &img_pagemap_head__descriptor, &head);
        if (r > 0)
                return image_bad(image, "it is empty");
        if (r < 0)
                return err_pass(r);
        for (;;) {
                _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;

                r = image_next_message(image, &img_pagemap__descriptor, &message);
                if (r > 0)
                        break;
                if (r < 0)
                        return err_pass(r);
                if (__builtin_add_overflow(pages, pages_in((const ImgPagemap *)message), &pages))
                        return image_bad(image, "it counts too many pages");
        }
        return compare_pages(images_fd, image, ((const ImgPagemapHead *)head)->pages_id, pages);
}

static int walk(int images_fd, Image *image, Shape shape) {
        switch (shape) {
        case BARE:
                return 0;
        case HEAD:
                return walk_head(image);
        case STREAM:
                return walk_stream(image);
        case PIPES:
                return walk_with_bytes(image, &img_pipe_data__descriptor, pipe_length);
        case PACKETS:
                return walk_packets(image);
        case GHOST:
                return walk_ghost(image);
        case PAGEMAP:
                return walk_pagemap(images_fd, image);
        case ENTRIES:
                break;
        }
        return walk_entries(image);
}

static int verify_file(int images_fd, const char *name, void *userdata) {
        const Type *type = type_of(name);
        _cleanup_(image_close) Image image = {0};
        int r;

        if (type && type->shape == BARE)
                return 0;
        r = image_open(images_fd, name, &image);
        if (r < 0)
                return r == -ENOENT ? err_say(r, "image %s disappeared", name) : err_pass(r);
        r = type ? image_expect(&image, type->magic) : image_expect_any(&image);
        if (r >= 0)
                r = walk(images_fd, &image, type ? type->shape : ENTRIES);
        return r < 0 ? err_pass(r) : 0;
}

static int require(int images_fd, const char *name) {
        if (faccessat(images_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return err_say(-EBADMSG, "image %s is missing", name);
        return 0;
}

/* Each process and each of its threads has a core image. */
static int verify_cores(int images_fd) {
        _cleanup_(image_close) Image image = {0};
        int r;

        r = image_open(images_fd, "pstree.img", &image);
        if (r >= 0)
                r = image_expect(&image, IMAGE_PSTREE);
        while (r >= 0) {
                _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
                const ImgPstree *process;
                char name[64];

                r = image_next_message(&image, &img_pstree__descriptor, &message);
                if (r != 0)
                        break;
                process = (const ImgPstree *)message;
                snprintf(name, sizeof name, "core-%u.img", process->pid);
                r = require(images_fd, name);
                for (size_t i = 1; r >= 0 && i < process->n_threads; i++) { /* the first is the process */
                        snprintf(name, sizeof name, "core-%u.img", process->threads[i]);
                        r = require(images_fd, name);
                }
        }
        return r < 0 ? err_pass(r) : 0;
}

int image_verify(int images_fd) {
        static const char *const required[] = {"inventory.img", "pstree.img", "files.img"};
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(required); i++)
                r = require(images_fd, required[i]);
        if (r >= 0)
                r = image_each(images_fd, "", ".img", verify_file, NULL);
        if (r >= 0)
                r = verify_cores(images_fd);
        return r < 0 ? err_pass(r) : 0;
}

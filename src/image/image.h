/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * CRIU's image files, read and corrected through our own subset schemas (proto/criu-image.proto): protobuf-c
 * keeps unknown fields, so a rewritten entry is lossless. Every magic, count and length is checked; -EBADMSG
 * for anything odd. Each fix replaces its file in one step and is idempotent. Facts: docs/CRIU.md,
 * "Terminals" and "TCP".
 */

#include "model/model.h"
#include "model/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * tcp-stream-*.img: where the connection negotiated no window scaling, sets TCPI_OPT_WSCALE with both scales
 * 0, or the peer would see a window of 4 bytes; clears bit 0 of an odd timestamp, which means microseconds
 * to kernels >= 6.7 (docs/CRIU.md, "TCP"). Returns how many entries were changed.
 */
int image_fix_tcp(int images_fd);

/*
 * files.img: a program that opened /dev/tty while it was in the foreground (sudo, less, an editor) cannot be
 * dumped by CRIU as it is: its check of that terminal wants the session leader's group in front
 * (tty_verify_ctty). So the dump declares /dev/tty external (`tty[500:DEV]`), and here each such descriptor
 * becomes what it stood for: another open file of the pty slave that controls the session.
 * tty-info.img: a restore takes the first two open files of a pty for its two ends (tty_setup_slavery), and
 * gives what lay unread in one to the other; the order is that of this image. So the master comes before the
 * slave. Returns how many entries it changed or moved; -ENOENT if a session's terminal is not in the images.
 */
int image_fix_terminals(int images_fd);

/* Gives a terminal another index: tty-info.img (master and slave) and the slave's path in files.img. -ENOENT
 * if the images have no such index. */
int image_move_pty(int images_fd, uint32_t from, uint32_t to);

#define IMAGE_PTY_MAX 1048575u /* devpts minors */

/* A pty master that the images recreate, and the leader of the session that its slave controls (0: none). */
typedef struct ImageTerminal {
        uint32_t index, leader;
} ImageTerminal;

/* Caller frees *ret. -EBADMSG: an index beyond IMAGE_PTY_MAX. */
int image_terminals(int images_fd, ImageTerminal **ret, size_t *ret_n);

/* Every PID, TID, PGID, SID of pstree.img, each once, ascending; caller frees *ret. */
int image_pids(int images_fd, uint32_t **ret, size_t *ret_n);

/* The PIDs alone, likewise. Both are sorted, as image_has_number() wants them. */
int image_processes(int images_fd, uint32_t **ret, size_t *ret_n);
bool image_has_number(const uint32_t *sorted, size_t n, uint32_t number);

/* The connections whose peers may still send; the caller frees *ret. */
int image_streams(int images_fd, PeerStream **ret, size_t *ret_n);
/* The same in the tree's traces, for whoever cannot read its images, and from there; answer 1: an older save
 * has noted none. */
int image_streams_note(int images_fd, Tree *tree);
int image_streams_noted(const Tree *tree, PeerStream **ret, size_t *ret_n);

/* Gives each() what the descriptors of inotify watch, as far as it is watched by its path: that and its
 * inode. -ENOENT without a sentence if there is no files.img. */
int image_watches(int images_fd, int (*each)(const char *path, uint64_t ino, void *userdata),
                  void *userdata);

/*
 * The bytes in huge pages that a restore asks for at most, by the logarithm of the page's size; at 0 of the
 * kernel's default size. What is mapped twice counts twice. Whole pages.
 */
#define IMAGE_HUGE_SIZES 64
int image_huge_pages(int images_fd, uint64_t ret[static IMAGE_HUGE_SIZES]);

/* A quick walk that every *.img of a dump has a known magic and whole entries up to its end: what post-dump
 * trusts before the original dies. pages-*.img have no framing and are checked against their pagemap's page
 * count instead. */
int image_verify(int images_fd);

/* What all files in the directory take on disk. */
uint64_t images_bytes(int images_fd);

/* The root of the tree: its PID and SID. */
int image_root(int images_fd, uint32_t *ret_pid, uint32_t *ret_sid);

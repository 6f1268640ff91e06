/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Bringing trees back. flow decides what is restored and when the hold goes; this room does one tree at a
 * time, in any thread.
 *
 * Never starts a tree a second time (store_tree_begin), never executes anything from an image whose checksum
 * differs from the ticket's, never leaves a process behind when it fails: CRIU kills what it had built, and
 * nothing of it had run.
 */

#include "files/by-inode.h"
#include "image/image.h"
#include "restore/job.h"

/*
 * Puts back the files that no boot brings (STORE_VOLATILE), of every tree that is pending, before any of
 * them runs. To be called when the mounts are there and systemd-tmpfiles has emptied what it empties at
 * boot, and before users' processes are there. A tree whose files are not complete gets the reason into its
 * outcome, and restore_tree() gives that as its answer.
 */
void restore_files(const Store *store, const Ticket *ticket, const ImageKeys *keys, Timeline *timeline);

/*
 * Restores one tree into its scope: checks its images and decrypts them into memory (keys.box), waits for
 * its network and mounts, passes what lies outside, host PIDs first, a fresh PID namespace next. On success
 * tree->outcome says how; its state is left to the caller, since other threads read it. On failure the
 * sentence says which step; the images are left as they are. -ECANCELED: stop_fd, and nothing has begun.
 * -EALREADY: it had begun before, and nobody knows how it ended. -ETIMEDOUT: its network or a mount did not
 * come, or CRIU did not end.
 */
int restore_tree(const RestoreJob *job, Tree *tree);

/* The connections whose peers do not know yet what became of the tree (netlink/nudge.h), as those know them,
 * from the ticket; that of an older version leaves it to the images. Caller frees *ret. */
int restore_peers(const Store *store, const ImageKeys *keys, const Tree *tree, PeerStream **ret,
                  size_t *ret_n);

/* Whether its images are of no use without their key. */
bool restore_is_encrypted(const Store *store, const Tree *tree);

/* A tree that nobody will restore any more: removes what its save, and a restore that died, have left in the
 * directories of its files (image/remap.h). restore_tree() does so itself when it fails. Answer: whether its
 * restore had begun, so that it may have run. */
bool restore_abandon(const Store *store, const ImageKeys *keys, const Tree *tree, Sweep *sweep);

/* Notes with each tree of the ticket which instruction sets this machine lacks, and the saved one had. */
int restore_compare_cpu(const Ticket *ticket);

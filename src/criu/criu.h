/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * CRIU by RPC: `criu --no-default-config [argv] swrk FD`, one process per request, messages of
 * proto/criu-rpc.proto (our subset of CRIU's rpc.proto, wire compatible). CRIU is never patched, and its
 * command line is never used for a dump or restore. Thread safe: no state outside the arguments.
 */

#include "base/clock.h"
#include "config-build.h"
#include "criu/job.h"
#include "model/criu-saves.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct CriuFeatures {
        bool lock_skip;  /* network_lock SKIP is known (probed: 3.17.1 refuses it) */
        CriuSaves saves; /* criu_features_derive() */
        uint32_t major, minor, sub;
} CriuFeatures;

/* Fills in `saves`, which cannot be probed: it goes by the version. */
void criu_features_derive(CriuFeatures *f);

/* A machine at work answers in a second. CHECK runs iptables and nft the first time, and took 4 s on a
 * loaded one. Who must not give up early waits longer: behind a boot everything starts at once, and 30 s
 * were not enough for an emulated machine with twelve sessions. */
#define CRIU_PROBE_USEC (30 * USEC_PER_SEC)

/* Finds the executable, asks its version and probes its features. `criu` is an absolute path, or a name that
 * is looked up in /usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin. -ENOENT with a sentence that names the
 * package if there is none; -ETIMEDOUT if its answers take longer in all: a save that
 * begins meanwhile waits for them (flow/save-waiting.c). */
int criu_probe(const char *criu, uint64_t timeout_usec, CriuFeatures *ret);

/* `criu check` as RPC (CHECK): 0 if CRIU says that this kernel has what it needs; -EOPNOTSUPP with CRIU's
 * own last error line in the sentence. Fills CRIU's cache /run/criu.kdat, so worth calling once at boot. */
int criu_check(const char *criu, uint64_t timeout_usec);

/*
 * Whether this CRIU can restore on a kernel that does not run yet. Nothing of that kernel can be probed, so
 * versions are compared here; what the running kernel shares with it is left to the probes.
 * 0; -EOPNOTSUPP with a sentence that names the CRIU to install.
 */
int criu_fits_kernel(const CriuFeatures *features, const char *running, const char *target);

/* What keeps CRIU from following a user's links, and gives processes their terminals (hooks/). */
#define CRIU_PRELOAD LIBEXECDIR "/carryover-criu.so"

/*
 * Dumps or restores one tree. Always: tcp_established, ext_unix_sk, file_locks, link_remap, manage_cgroups
 * IGNORE. fds below 3 cannot be inherited (-EINVAL).
 *
 * On failure the sentence carries CRIU's own first error line from the log. The error number of a restore is
 * CRIU's where it gives one (-EEXIST: a PID is taken), else -EIO. What notify refused with is returned as it
 * is, with its sentence.
 *
 * Dump: a 0 of notify to post-dump commits. The whole tree is killed (by us) whatever becomes of CRIU, and
 * the only failure left is -ETIMEDOUT for a process that does not die. Its dead wait to be reaped by their
 * parents. Until then their numbers, and as SID or PGID those of others, cannot be restored (-EEXIST). Any
 * failure before: the tree lives. -EAGAIN: CRIU itself said no, and has put the tree back. What it stumbled
 * on may be over by now, so another dump can succeed.
 *
 * Restore: removes what each of its tries has left of files that had lost their names (image/remap.h).
 * -EBUSY if a deleted directory is there again. Two such restores at once, in one directory, destroy each
 * other. What runs of a tree whose restore failed has ended then, or the sentence says that it has not: it
 * is found by its numbers in the cgroup; if the caller is PID 1, it is everybody.
 */
int criu_dump(const CriuJob *job);
int criu_restore(const CriuJob *job, pid_t *ret_pid);

/* The first "Error (" line of a log in images_fd, without its time stamp and file position; empty string if
 * none. Caller frees. */
int criu_log_error(int images_fd, const char *log, char **ret);

/* Whether a process runs this CRIU (as in CriuJob), or one that a script of that name has started. A process
 * that a restore is making does, until it becomes the program that it was. */
bool criu_is_run_by(const char *criu, pid_t pid);

/* A CRIU whose client is dead finds that out with its next question, undoes what it has done and ends: waits
 * for all of them on this machine. -ETIMEDOUT if one is still there at the deadline. */
int criu_wait_orphans(const char *criu, uint64_t deadline_monotonic);

/* Ends a tree that must not live on, and no other process: its root is known by when it began, and the
 * others are stopped before they are looked for once more. Comes back when all are dead; -ETIMEDOUT if one
 * does not die. */
int criu_tree_end(pid_t root, uint64_t start);

/* Puts back to work the sockets of a tree that a killed CRIU left in TCP repair mode, in which no data
 * moves. */
int criu_tree_mend(pid_t root);

/* Appends CRIU's logs, of images that are in memory, to those beside the images in the store. They tell of
 * names and numbers, and nothing of what is in memory. */
int criu_keep_logs(int from_fd, int to_fd);

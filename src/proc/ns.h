/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The PID namespaces that trees come back in when their process numbers are taken: telling them from the
 * host's, and entering one. */

#include <stdbool.h>
#include <sys/types.h>

/* 1 if we are in the host's PID namespace, 0 if not. The host's is the one that the kernel starts with: who
 * jumps by kexec is no container. */
int ns_is_host(void);

/* Whether we are in the namespace of a tree: its PID 1 is a carryover-init. */
bool ns_is_inside(void);

/*
 * Opens the PID and mount namespaces of a tree by its init, whose host PID the report of this boot's restore
 * tells. Root runs programs in there. The number may belong to somebody else by now: -ESRCH with the
 * sentence unless it is a carryover-init of root's, with our root directory, that is PID 1 of a namespace
 * which is not ours, and not one of a user namespace. *ret is a pidfd.
 */
int ns_open_tree(pid_t init, int *ret);

/* The same, if `member` lives in both and has that number in there; else -ESRCH. */
int ns_open_tree_of(pid_t init, pid_t member, pid_t own_number, int *ret);

/*
 * Runs a program in the namespaces of *pidfd as who we are, in the foreground of our terminal if there is
 * one, and waits for it. argv is looked up in PATH there. *ret: exit status, 128 + signal, 127 if there is
 * no such program.
 */
int ns_run(int pidfd, char *const *argv, int *ret);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The jump, up to the loaded kernel: which one, whether it may be, and whether its initramfs knows what to
 * do with what we send along. Starting kexec.target is flow's.
 */

#include "kernel/kexec.h"
#include "model/candidate.h"
#include "model/config.h"
#include "model/model.h"

/*
 * Whether sessions can be carried into this kernel; nothing is loaded. -ENOENT: its modules are not there;
 * -EXDEV: its initrd was made without carryover's part. The sentence has the remedy. Reads the whole initrd:
 * about as long as unpacking it takes.
 */
int jump_check(const Kernel *kernel);

/* Loads the kernel with its initrd, `early` in a cpio archive behind it, and the running command line plus
 * append (may be NULL). Replaces what was loaded before; a failure leaves that as it was. */
int jump_load(const Kernel *kernel, const char *append, const Early *early);

/*
 * Loads the kernel now, with what is known now of the trees, and of those that wait for their restore (may
 * be NULL): a failure must be known before anything stops. If nothing that early boot needs to know changes
 * until the seal, this is the one that jumps, and the save need not load it again while the trees are
 * frozen; so it lifts the process numbers a little further than it must. The request then has what was
 * loaded, and (Encrypt=) the mark of its key.
 */
int jump_load_ahead(const Kernel *kernel, const char *append, const Config *config, const Candidates *trees,
                    const Ticket *waiting, Request *request);

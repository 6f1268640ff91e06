/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The jump, up to the loaded kernel: which one, whether it may be, and whether its initramfs knows what to
 * do with what we send along. Starting kexec.target is flow's.
 */

#include "kernel/kexec.h"
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

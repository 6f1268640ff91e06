/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Loading a kernel by kexec_file_load(2). */

#include "kernel/installed.h"

#include <stdbool.h>
#include <stddef.h>

/* The running command line without the boot loader's words (BOOT_IMAGE=, initrd=, kexec's own), plus append
 * if not NULL. Caller frees. */
int kernel_cmdline(const char *running, const char *append, char **ret);

/* 0 if this system may kexec: syscall present, kexec_load_disabled 0, lockdown not forbidding; else
 * -EPERM/-ENOSYS with the remedy. */
int kexec_allowed(void);

/* Loads kernel and an initrd that is kernel->initrd followed by `extra` (a cpio archive, 4-byte aligned by
 * us; may be NULL) through a memfd. A failure leaves whatever was loaded before. */
int kexec_load_kernel(const Kernel *kernel, const void *extra, size_t extra_size, const char *cmdline);

int kexec_loaded(void); /* 1/0 from /sys/kernel/kexec_loaded */
int kexec_unload(void); /* fine if none is */

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Kernels that are installed, and loading one by kexec_file_load(2). */

#include <stdbool.h>
#include <stddef.h>

typedef struct Kernel {
        char version[128]; /* as in uname -r */
        char image[256];   /* /boot/vmlinuz-VERSION */
        char initrd[256];  /* /boot/initrd.img-VERSION; empty if there is none */
} Kernel;

/* Compares two version strings in Debian's order (deb-version(7): digits as numbers, ~ before the end). <0,
 * 0, >0. */
int kernel_version_compare(const char *a, const char *b);

/* The newest installed kernel (version NULL) or exactly this one, with an initrd. -ENOENT with the versions
 * that there are. `boot` is the directory, "/boot". */
int kernel_find(const char *boot, const char *version, Kernel *ret);

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

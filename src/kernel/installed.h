/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Kernels that are installed, wherever this system keeps them. Nothing is ever written there. */

#define KERNEL_PATH 512

typedef struct Kernel {
        char version[128];        /* as in uname -r */
        char image[KERNEL_PATH];  /* /boot/vmlinuz-VERSION, for example */
        char initrd[KERNEL_PATH]; /* /boot/initrd.img-VERSION; empty if there is none */
} Kernel;

/* Compares two version strings in Debian's order (deb-version(7): digits as numbers, ~ before the end). <0,
 * 0, >0. */
int kernel_version_compare(const char *a, const char *b);

/* The newest installed kernel (version NULL) or exactly this one, with an initrd. -ENOENT with the versions
 * that there are, and why a place could not be looked at: of all places but /boot that is no error while
 * there is such a kernel. root is "" or a directory for tests. */
int kernel_find(const char *root, const char *version, Kernel *ret);

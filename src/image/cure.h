/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What CRIU would bring back wrongly is put right in its images, after the dump. Each cure leaves alone what
 * it does not recognise, and what is cured already. Facts: docs/KINDS.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads memory of a thread of the tree, by the images' numbers, which stands frozen: all `size` bytes, or a
 * negative errno. */
typedef int (*ImageRead)(pid_t tid, uint64_t address, void *ret, size_t size, void *userdata);

/*
 * core-*.img, x86-64: a system call that the freeze has interrupted comes back with EINTR. Where the kernel
 * would have begun the call again behind a stop, or where any program would be surprised by EINTR without a
 * signal, the thread begins it again: as the kernel does, two bytes back. A sleep goes on with what was
 * left.
 *
 * A thread that a signal is going to interrupt anyway keeps EINTR, or it would not wake up.
 *
 * Returns how many calls stay interrupted: begun again once already, and the kernel does not tell what they
 * were; their number is read out of the program's own code, if that is of a form that is known.
 */
int image_cure_calls(int images_fd, ImageRead read, void *userdata);

/*
 * files.img: a periodic timerfd that has rung and was not read shows no time until it rings, and CRIU would
 * disarm it: it rings at once instead, and at its interval from then on.
 *
 * core-*.img, unless `one_shots`: a CRIU before 4.1 arms no timer of setitimer(2) that has no interval: it
 * gets one of 34 years.
 *
 * Returns how many were corrected.
 */
int image_cure_timers(int images_fd, bool one_shots);

/* Addresses of a process, from and up to. */
typedef struct ImageRange {
        uint64_t from, to;
} ImageRange;

/* Which memory of a process of the tree, by the images' numbers, the kernel wipes in its children. The
 * caller frees *ret. */
typedef int (*ImageWiped)(pid_t pid, ImageRange **ret, size_t *ret_n, void *userdata);

/*
 * mm-*.img: memory that is wiped in children (MADV_WIPEONFORK, and MAP_DROPPABLE, in which the C library
 * keeps the state of getrandom) would come back without that before 4.2, and children would see the secret,
 * or draw the same random numbers. NULL: this CRIU saves it.
 *
 * For a private mapping of more than `most` bytes the restore reserves no memory (MAP_NORESERVE), or the
 * kernel refuses it: a program may map far more than there is, as long as it must not write there.
 *
 * Returns in how many processes something was put right.
 */
int image_cure_maps(int images_fd, ImageWiped wiped, void *userdata, uint64_t most);

/*
 * files.img, tcp-stream-*.img: of a connection whose ends are both in the tree, CRIU would send what was
 * never sent before the other end is there, and the kernel would answer with a reset. It counts as sent and
 * lost, and TCP sends it again. Returns how many connections were corrected.
 */
int image_cure_loopback(int images_fd);

/*
 * files.img: a program or library that is open, and not only mapped, would come back five bytes behind its
 * offset before 3.19: it loses its build id. Returns how many were corrected.
 */
int image_cure_offsets(int images_fd);

/*
 * tty-info.img: a terminal that has been hung up has no settings, and CRIU would not restore one that is
 * external (`tty[...]`) without. It gets some. Returns how many terminals were corrected.
 */
int image_cure_hung_up(int images_fd);

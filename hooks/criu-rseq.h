/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/types.h>

struct __ptrace_rseq_configuration;

/* What the kernel does with a thread that leaves a restartable sequence (rseq(2)) before its end: it goes on
 * where that sequence says. For a thread that is stopped by ptrace(2), if it is inside of one. */
void criu_rseq_abort(pid_t tid, const struct __ptrace_rseq_configuration *where);

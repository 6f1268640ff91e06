/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: one function per thing that a process can hold. Each adds its notes. */

#include "model/members.h"
#include "model/verdict.h"
#include "preflight/facts.h"

typedef struct Check {
        const Members *m;
        const Tree *tree;
        const PreflightFacts *facts;
        Verdict *v;
        const SnapProcess *p; /* the process at hand */
} Check;

/* "bash (123)". In one of the caller's buffers. */
typedef struct Who {
        char text[96];
} Who;

const char *check_who(const SnapProcess *p, Who *buffer);
/* " of tmux (77)", or "" if nobody is known to hold it. */
const char *check_holder(const Check *c, FdKind kind, uint64_t id, Who *buffer);

int check_process(const Check *c);
int check_mounts(const Check *c); /* of the whole tree */

/* Adds the names that no boot brings, and what they take in the archive. */
int volatile_names(const Members *m, PreflightNeeds *needs);

int check_file(const Check *c, const SnapFd *f); /* files, directories, FIFOs, devices */
int check_maps(const Check *c);
int check_anon(const Check *c, const SnapFd *f);

int check_tty(const Check *c, const SnapFd *f);
int check_pipe(const Check *c, const SnapFd *f);
int check_unix(const Check *c, const SnapFd *f);
int check_inet(const Check *c, const SnapFd *f);
int check_socket(const Check *c, const SnapFd *f);

#define note_refused(c, what, remedy, ...)  verdict_add((c)->v, VERDICT_REFUSED, what, remedy, __VA_ARGS__)
#define note_degraded(c, what, remedy, ...) verdict_add((c)->v, VERDICT_DEGRADED, what, remedy, __VA_ARGS__)
#define note_ok(c, what, remedy, ...)       verdict_add((c)->v, VERDICT_OK, what, remedy, __VA_ARGS__)

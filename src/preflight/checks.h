/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: one function per thing that a process can hold. Each adds its notes. */

#include "model/members.h"
#include "model/verdict.h"
#include "preflight/facts.h"

/* What one program loses in one way is one note (notes.c). */
typedef struct NoteGroup {
        const char *what, *comm;
        size_t note, more; /* place of the note; how many others it stands for */
} NoteGroup;

typedef struct NoteGroups {
        NoteGroup *list;
        size_t n;
} NoteGroups;

typedef struct Check {
        const Members *m;
        const Tree *tree;
        const PreflightFacts *facts;
        Verdict *v;
        NoteGroups *groups;
        const SnapProcess *p; /* the process at hand */
} Check;

/* "bash (123)". In one of the caller's buffers. */
typedef struct Who {
        char text[96];
} Who;

const char *check_who(const SnapProcess *p, Who *buffer);
/* " of tmux (77)", or "" if nobody is known to hold it. */
const char *check_holder(const Check *c, FdKind kind, uint64_t id, Who *buffer);

/* What was looked at already. Children inherit descriptors, and one finding of one file is one note, that of
 * the process nearest the root. */
typedef struct Seen {
        const SnapFd **slots;
        size_t n;
} Seen;

int seen_make(const Members *m, Seen *ret);
void seen_done(Seen *seen);
bool seen_before(Seen *seen, const SnapFd *f);

int check_process(const Check *c);
int check_mounts(const Check *c);   /* of the whole tree */
int check_huge(Check *c);           /* of the whole tree, one process after the other */
int check_watches(Check *c);        /* of the whole tree, one process after the other */
int check_reserved(const Check *c); /* of the whole tree */

/* Bytes in huge pages that the restore of a tree reserves. -ENOMEM. */
int huge_bytes(const Members *m, uint64_t *ret);

/* Adds the names that no boot brings, and what they take in the archive. */
int volatile_names(const Members *m, PreflightNeeds *needs);

int check_file(const Check *c, const SnapFd *f); /* files, directories, FIFOs, devices */
int check_memfd(const Check *c, const SnapFd *f);
int check_maps(const Check *c);
int check_anon(const Check *c, const SnapFd *f);

int check_tty(const Check *c, const SnapFd *f);
int check_pipe(const Check *c, const SnapFd *f);
int check_unix(const Check *c, const SnapFd *f);
int check_inet(const Check *c, const SnapFd *f);
int check_socket(const Check *c, const SnapFd *f);

/* Adds a note, or counts it with one that the program has already. `what` is a constant. */
int check_note(const Check *c, VerdictLevel level, const char *what, const char *remedy, const char *format,
               ...) __attribute__((format(printf, 5, 6)));
int check_groups_end(const Check *c); /* says the counts */
void note_groups_done(NoteGroups *groups);

#define note_refused(c, what, remedy, ...)  check_note(c, VERDICT_REFUSED, what, remedy, __VA_ARGS__)
#define note_degraded(c, what, remedy, ...) check_note(c, VERDICT_DEGRADED, what, remedy, __VA_ARGS__)
#define note_ok(c, what, remedy, ...)       check_note(c, VERDICT_OK, what, remedy, __VA_ARGS__)

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A machine that is not there: what flow and the steps ask of it is answered by the files of this directory,
 * one for each room. All that is known of it lies in memory that a child shares with its parent, so a test
 * runs a program in a child, has it die in the middle, and looks at what it left behind.
 *
 * Each question to a room is one event, "FUNCTION SUBJECT", in the order in which they came. A call can be
 * told to fail or to be the last thing that its process does. The store is the real one; store.c tells of
 * its calls. Fault points are calls as well: "fault_point save:noted".
 */

#include "model/model.h"
#include "netfilter/hold.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FAKE_TREES 8u
#define FAKE_BOOT  "00000000-0000-4000-8000-%012u"
/* The kernel that runs, and the one in /boot. */
#define FAKE_KERNEL "6.1.0-1-fake"
#define FAKE_NEXT   "6.1.0-2-fake"

typedef enum FakeLife { FAKE_RUNS, FAKE_FROZEN, FAKE_DEAD } FakeLife;

/* One process with one connection: its number is the remote port. */
typedef struct FakeTree {
        char name[32]; /* the ticket's: "pid-4000001" */
        pid_t pid;
        pid_t init, own; /* > 0: of the namespace that it lives in, and its number there */
        uint64_t start;
        FakeLife life;
        bool carries;       /* has a connection */
        unsigned image_kib; /* of its images, beside two small files */
        unsigned returned;  /* how often a restore has brought it back */
        char refusal[64];   /* what preflight says to it; empty: nothing */
        char loss[96];      /* likewise, but it is carried */
        char beyond[64];    /* what preflight says to it when it stands frozen */
        uint64_t huge;      /* bytes in huge pages; more than 0 are more than all trees may have */
} FakeTree;

typedef struct FakeMachine {
        unsigned boot; /* number */
        FakeTree trees[FAKE_TREES];
        size_t n_trees;
        char shutdown[16]; /* what the system goes down for; empty: it does not */
        int answer;        /* of whoever is asked; -ENOTTY at the begin: there is no terminal */
        bool cancelled;    /* the shutdown was taken back */
        unsigned soft_reboots;
        bool old_systemd; /* does not count them */
        bool hold;
        HoldBackend backend; /* that hold_set() finds, if it is asked for HOLD_AUTO */
        size_t n_held;       /* connections */
        bool guard_left;
        bool loaded; /* a kernel to jump into */
        char loaded_cmdline[4096];
        size_t loaded_size; /* of its early part, and that, cut */
        unsigned char loaded_part[4096];
        uint64_t pool; /* huge pages */
        bool has_key;  /* in the keyring */
        uint8_t key[32];
        char started[64];         /* the unit that was started last */
        uint64_t clock_offset;    /* usec that the clock is ahead */
        bool lock_skip;           /* this CRIU knows it */
        uint64_t probe_usec;      /* how long it was waited for when it was asked so */
        char machine_refusal[64]; /* what preflight says to the machine */
} FakeMachine;

extern FakeMachine *fake;

/* What PID 1 says of any unit's state; "active" at the begin. */
extern const char *fake_unit_state;

/* What polkit answers: 0, POLKIT_NO, POLKIT_CHALLENGE. */
extern int fake_polkit;

/* A machine in its first boot, with nothing in it, and no events. The first call makes the memory. */
void fake_begin(void);
/* Adds a tree that runs, "pid-PID"; the caller keeps it by run_keep_write() or by fake_keep(). */
FakeTree *fake_add_tree(pid_t pid);
/* All trees that there are now are on the keep list. */
void fake_keep(void);
FakeTree *fake_tree(pid_t pid); /* NULL if there is none */
/* The power goes, or the kernel changes: everything that lived is dead, /run/carryover is empty. */
void fake_reboot(void);
/* User space restarts, and kernel, boot id and /run stay. */
void fake_soft_reboot(void);

/* How the next calls end. `event` is "FUNCTION" or the whole event, "" is any; nth counts from now on, 1 is
 * the next. */
void fake_fail(const char *event, unsigned nth, int r);
void fake_die(const char *event, unsigned nth);
/* What happens while that call is made, each time; NULL: nothing. */
void fake_meanwhile(const char *event, void (*happens)(void));
/* Nothing more fails. */
void fake_heal(void);

/* Whether what was told to fail was asked for. A test that fails a call which nobody makes proves
 * nothing. */
bool fake_struck(void);
const char *fake_struck_event(void); /* the last such call; "": none was made */

/* How many events there are of this name, and the place of the first one from 0; -1: there is none. */
size_t fake_count(const char *event);
int fake_place(const char *event);
const char *fake_event(size_t i); /* NULL: no such */
void fake_forget_events(void);
void fake_print_events(void); /* for whoever looks for the cause of a failure */

/* Runs a program in a child: its exit status, or FAKE_DEAD if it died where it was told to. */
#define FAKE_DEAD 99
int fake_run(int (*program)(void *userdata), void *userdata);

/* For the rooms: notes the event; 0, or what it was told to fail with, with a sentence. */
int fake_call(const char *function, const char *format, ...) __attribute__((format(printf, 2, 3)));

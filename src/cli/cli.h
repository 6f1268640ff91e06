/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The verb table in main.c is the only place that knows the verbs and their options: dispatch, --help and
 * the shell's completion read it. A verb is one file with one function, whose return value is the exit
 * status.
 */

#include <stdbool.h>
#include <stddef.h>

typedef enum CliExit {
        CLI_OK = 0,
        CLI_FAILED = 1,
        CLI_USAGE = 2,
        CLI_NOTHING = 3, /* nothing is kept */
        CLI_REFUSED = 4, /* by preflight, or because it must never be carried */
} CliExit;

typedef enum CliJson { CLI_TEXT, CLI_JSON_SHORT, CLI_JSON_PRETTY } CliJson;

#define CLI_MAX_ARGS    64u /* a command to run in a tree */
#define CLI_MAX_OPTIONS 6u

typedef struct CliOption {
        const char *name;  /* without the dashes */
        const char *value; /* what stands for its value in the help, or NULL: it has none */
        const char *help;  /* NULL: not shown */
} CliOption;

typedef struct CliCall CliCall;

typedef struct CliVerb {
        const char *name;
        const char *args; /* as the help shows them, or "" */
        unsigned max;     /* arguments */
        bool needs_root;
        const char *help;                   /* NULL: not shown */
        CliOption options[CLI_MAX_OPTIONS]; /* ends with an empty one */
        int (*run)(const CliCall *call);
} CliVerb;

struct CliCall {
        const CliVerb *verb;
        const char *args[CLI_MAX_ARGS];
        size_t n_args;
        const char *values[CLI_MAX_OPTIONS]; /* as verb->options; "" for one without a value, NULL: not given
                                              */
        CliJson json;
        bool no_pager;
};

/* The value of an option of this verb ("" if it takes none), or NULL if it was not given. */
const char *cli_option(const CliCall *call, const char *name);

/* The argument at this place, or NULL. */
const char *cli_arg(const CliCall *call, size_t index);

/* Prints the one line on stderr that err_text(r) gives. Evaluates to the exit status: CLI_USAGE, CLI_REFUSED
 * or CLI_FAILED as the error of a target says (select/select.h), CLI_FAILED for any other. */
int cli_fail(int r);
int cli_fail_target(int r);

int verb_check(const CliCall *call);
int verb_drop(const CliCall *call);
int verb_enter(const CliCall *call);
int verb_keep(const CliCall *call);
int verb_list(const CliCall *call);
int verb_reboot(const CliCall *call);
int verb_restore(const CliCall *call);
int verb_status(const CliCall *call);

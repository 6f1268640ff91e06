/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The verb table in main.c is the only place that knows the verbs and their options: dispatch, --help and
 * the shell's completion read it. A verb is one file with one function, which returns the exit status: an
 * ExitStatus, but for enter, which passes on what the shell or command ended with.
 */

#include "base/exit.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum CliJson { CLI_TEXT, CLI_JSON_SHORT, CLI_JSON_PRETTY } CliJson;

#define CLI_MAX_ARGS    64u /* a command to run in a tree */
#define CLI_MAX_OPTIONS 10u

typedef struct CliOption {
        const char *name;  /* without the dashes */
        const char *value; /* what stands for its value in the help, or NULL: it has none */
        const char *help;  /* NULL: not shown */
        const char *bare;  /* what it means without a value; NULL: it needs one */
} CliOption;

typedef struct CliCall CliCall;

typedef struct CliVerb {
        const char *name;
        const char *args; /* as the help shows them, or "" */
        unsigned max;     /* arguments */
        bool needs_root;
        bool shows;                         /* obeys --json and --no-pager */
        const char *help;                   /* NULL: not shown */
        CliOption options[CLI_MAX_OPTIONS]; /* ends with an empty one */
        ExitStatus (*run)(const CliCall *call);
} CliVerb;

struct CliCall {
        const CliVerb *verb;
        const char *args[CLI_MAX_ARGS + 1]; /* ends with NULL */
        size_t n_args;
        const char *values[CLI_MAX_OPTIONS]; /* as verb->options; "": takes no value, NULL: not given */
        CliJson json;
        bool no_pager;
};

/* The value of an option of this verb ("" if it takes none), or NULL if it was not given. */
const char *cli_option(const CliCall *call, const char *name);

/* The argument at this place, or NULL. */
const char *cli_arg(const CliCall *call, size_t index);

/* Prints the one line on stderr that err_text(r) gives. Evaluates to the exit status: EXIT_USAGE,
 * EXIT_REFUSED or EXIT_FAILED as the error of a target says (select/select.h), EXIT_FAILED for any other. */
ExitStatus cli_fail(int r);
ExitStatus cli_fail_target(int r);

ExitStatus verb_cancel(const CliCall *call);
ExitStatus verb_check(const CliCall *call);
ExitStatus verb_drop(const CliCall *call);
ExitStatus verb_enter(const CliCall *call);
ExitStatus verb_keep(const CliCall *call);
ExitStatus verb_config(const CliCall *call);
ExitStatus verb_history(const CliCall *call);
ExitStatus verb_list(const CliCall *call);
ExitStatus verb_reboot(const CliCall *call);
ExitStatus verb_restore(const CliCall *call);
ExitStatus verb_status(const CliCall *call);

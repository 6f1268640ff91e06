/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Options may stand anywhere, as with systemctl; those of a verb only behind it, since before it nobody
 * knows yet whether the next word is a value. A usage error is one line that points to --help, and never the
 * help itself.
 */

#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/completion.h"
#include "config-build.h"

#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include <unistd.h>

#define N_SHOWS  2u /* of globals */
#define VERB_MAX 16u
#define SHORT    5u /* two letters of a shorter word make another one */

#define usage_error(format, ...) err_say(-EINVAL, format ": see carryover --help", ##__VA_ARGS__)

static ExitStatus verb_completion(const CliCall *call);
static ExitStatus verb_help(const CliCall *call);

static const CliVerb verbs[] = {
                {.name = "check",
                 .args = "[TARGET]",
                 .max = 1,
                 .needs_root = true,
                 .shows = true,
                 .help = "Check what can be carried and what would be lost",
                 .options = {{"all", NULL, "Everything that a reboot now would end"},
                             {"verbose", NULL, "With --all: also what the next boot starts"}},
                 .run = verb_check},
                {.name = "keep",
                 .args = "[TARGET]",
                 .max = 1,
                 .needs_root = true,
                 .shows = true,
                 .help = "Carry a target over the next reboot",
                 .run = verb_keep},
                {.name = "drop",
                 .args = "[TARGET]",
                 .max = 1,
                 .needs_root = true,
                 .help = "Stop keeping a target",
                 .options = {{"all", NULL, "Stop keeping all targets"}},
                 .run = verb_drop},
                {.name = "list",
                 .args = "",
                 .needs_root = true,
                 .shows = true,
                 .help = "List the kept trees",
                 .run = verb_list},
                {.name = "reboot",
                 .args = "",
                 .needs_root = true,
                 .help = "Carry the kept trees and this session into a new kernel",
                 .options = {{"kernel", "VERSION", "Boot this kernel instead of the newest"},
                             {"append", "WORDS", "Append words to its command line"},
                             {"no-kexec", NULL, "Reboot through the firmware"},
                             {"force", NULL, "Go on: trees that cannot be carried are not saved"},
                             {"yes", NULL, "Go on without a question if something else ends"},
                             {"no-ask", NULL, "Do not go on if something else ends"},
                             {"ignore-inhibitors", NULL, "Reboot even if somebody inhibits it"}},
                 .run = verb_reboot},
                {.name = "cancel",
                 .args = "",
                 .needs_root = true,
                 .help = "Cancel a reboot before it is too late",
                 .run = verb_cancel},
                {.name = "status",
                 .args = "[TREE]",
                 .max = 1,
                 .needs_root = true,
                 .shows = true,
                 .help = "Show the result of the last save",
                 .options = {{"steps", NULL, "Show where the time went"},
                             {"last", "N", "Show an older save, by its number in the history"},
                             {"svg", "FILE", "Draw the timeline into a file"},
                             {"openmetrics", NULL, "Print metrics for a monitoring system"}},
                 .run = verb_status},
                {.name = "history",
                 .args = "",
                 .needs_root = true,
                 .shows = true,
                 .help = "List the last saves",
                 .run = verb_history},
                {.name = "restore",
                 .args = "[TREE]",
                 .max = 1,
                 .needs_root = true,
                 .help = "Retry a tree that could not be restored",
                 .options = {{"force", NULL, "Also trees that may have run (work may be done twice)"}},
                 .run = verb_restore},
                {.name = "enter",
                 .args = "[TREE [-- CMD]]",
                 .max = CLI_MAX_ARGS,
                 .needs_root = true,
                 .help = "Run a shell on the host, or a command in a tree",
                 .run = verb_enter},
                {.name = "config",
                 .args = "",
                 .needs_root = true,
                 .shows = true,
                 .help = "Show the configuration and where it stands",
                 .run = verb_config},
                {.name = "help", .args = "[VERB]", .max = 1, .run = verb_help},
                {.name = "completion", .args = "[SHELL]", .max = 1, .run = verb_completion},
};

/* Those of every verb, but for the first two: of those that show something. */
static const CliOption globals[] = {
                {"json", "short|pretty", "Print JSON, on one line or indented", .bare = "short"},
                {"no-pager", NULL, "Do not use a pager"},
                {"help", NULL, "Show this help"},
                {"version", NULL, "Show the version"},
#if WITH_FAULTS
                {"list-faults", NULL, NULL},
#endif
};

const char *cli_option(const CliCall *call, const char *name) {
        for (size_t i = 0; i < CLI_MAX_OPTIONS && call->verb->options[i].name; i++)
                if (strcmp(call->verb->options[i].name, name) == 0)
                        return call->values[i];
        return NULL;
}

const char *cli_arg(const CliCall *call, size_t index) {
        return index < call->n_args ? call->args[index] : NULL;
}

ExitStatus cli_fail(int r) {
        fprintf(stderr, "carryover: %s\n", err_text(r));
        log_debug("%s", err_way());
        return EXIT_FAILED;
}

ExitStatus cli_fail_target(int r) {
        cli_fail(r);
        return r == -EINVAL ? EXIT_USAGE : r == -EPERM ? EXIT_REFUSED : EXIT_FAILED;
}

static const CliVerb *verb_find(const char *name) {
        for (size_t i = 0; i < ELEMENTS(verbs); i++)
                if (strcmp(verbs[i].name, name) == 0)
                        return verbs + i;
        return NULL;
}

/* How many characters must be put in, taken out or changed to make the name of a verb of a word. */
static size_t distance(const char *word, const char *name) {
        size_t row[VERB_MAX + 1], n = strnlen(name, VERB_MAX);

        for (size_t k = 0; k <= n; k++)
                row[k] = k;
        for (size_t i = 1; word[i - 1]; i++) {
                size_t corner = row[0];

                row[0] = i;
                for (size_t k = 1; k <= n; k++) {
                        size_t changed = corner + (word[i - 1] != name[k - 1]);

                        corner = row[k];
                        row[k] = MIN(changed, MIN(row[k], row[k - 1]) + 1);
                }
        }
        return row[n];
}

static int unknown_verb(const char *word) {
        const CliVerb *nearest = NULL;
        size_t least = strlen(word) < SHORT ? 2 : 3;

        for (size_t i = 0; i < ELEMENTS(verbs); i++) {
                size_t d = distance(word, verbs[i].name);

                if (d < least) {
                        least = d;
                        nearest = verbs + i;
                }
        }
        return nearest ? err_say(-EINVAL, "unknown verb '%.64s': did you mean '%s'?", word, nearest->name)
                       : usage_error("unknown verb '%.64s'", word);
}

/* Help. */

static void show_options(const CliOption *options, size_t n) {
        for (size_t i = 0; i < n && options[i].name; i++) {
                const CliOption *o = options + i;
                char left[64];

                if (!o->help)
                        continue;
                snprintf(left, sizeof left, "--%s%s%s%s%s", o->name, o->bare ? "[" : "", o->value ? "=" : "",
                         o->value ?: "", o->bare ? "]" : "");
                printf("  %-21s %s\n", left, o->help);
        }
}

static void show_targets(void) {
        printf("TARGET is one of:\n"
               "  session:ID            A login session, as loginctl shows it\n"
               "  pid:NUMBER            A process with its descendants\n"
               "  unit:NAME             The processes of a service or scope\n"
               "The default is the login session that the command runs in.\n\n");
}

static ExitStatus show_help(const CliVerb *verb) {
        bool shows = !verb || !verb->help || verb->shows;

        if (verb && verb->help) {
                printf("carryover %s%s%s%s\n\n%s.\n\n", verb->name, verb->args[0] ? " " : "", verb->args,
                       verb->options[0].name ? " [OPTION...]" : "", verb->help);
                if (strstr(verb->args, "TARGET"))
                        show_targets();
                printf("Options:\n");
                show_options(verb->options, CLI_MAX_OPTIONS);
        } else {
                printf("carryover [OPTION...] VERB [ARGUMENT...]\n\nCarry running sessions into another "
                       "kernel.\n\nVerbs:\n");
                for (size_t i = 0; i < ELEMENTS(verbs); i++) {
                        char left[64];

                        snprintf(left, sizeof left, "%s %s", verbs[i].name, verbs[i].args);
                        if (verbs[i].help)
                                printf("  %-21s %s\n", left, verbs[i].help);
                }
                printf("\n");
                show_targets();
                printf("Options:\n");
        }
        show_options(shows ? globals : globals + N_SHOWS, ELEMENTS(globals) - (shows ? 0 : N_SHOWS));
        if (!verb || !verb->help)
                printf("\nExit status: 0 success, 1 failure, 2 usage, 3 nothing kept, 4 refused.\n");
        return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

static ExitStatus verb_help(const CliCall *call) {
        const char *name = cli_arg(call, 0);
        const CliVerb *verb = name ? verb_find(name) : NULL;

        if (!name || verb)
                return show_help(verb);
        (void)cli_fail(unknown_verb(name));
        return EXIT_USAGE;
}

static ExitStatus verb_completion(const CliCall *call) {
        const CliTable table = {
                        .verbs = verbs,
                        .n_verbs = ELEMENTS(verbs),
                        .globals = globals,
                        .n_globals = ELEMENTS(globals),
                        .n_shows = N_SHOWS,
        };

        if (!completion_print(&table, cli_arg(call, 0) ?: "bash")) {
                (void)cli_fail(err_say(-EINVAL,
                                       "no completion for '%.64s': there is one for bash, zsh and fish",
                                       cli_arg(call, 0)));
                return EXIT_USAGE;
        }
        return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

/* The command line. */

typedef struct Parse {
        CliCall call;
        bool help, version, list_faults;
} Parse;

static int global_set(Parse *p, const CliOption *option, const char *value) {
        if (strcmp(option->name, "help") == 0)
                p->help = true;
        else if (strcmp(option->name, "version") == 0)
                p->version = true;
        else if (strcmp(option->name, "list-faults") == 0)
                p->list_faults = true;
        else if (strcmp(option->name, "no-pager") == 0)
                p->call.no_pager = true;
        /* Only --json is left, which parse_option() takes with a value.
         * NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
        else if (strcmp(value, "short") == 0)
                p->call.json = CLI_JSON_SHORT;
        else if (strcmp(value, "pretty") == 0)
                p->call.json = CLI_JSON_PRETTY;
        else if (strcmp(value, "off") == 0)
                p->call.json = CLI_TEXT;
        else
                return usage_error("--json= must be short, pretty or off, not '%.64s'", value);
        return 0;
}

/* An option of the verb wins over a global one of the same name. */
static const CliOption *option_find(const CliVerb *verb, const char *name, size_t length,
                                    size_t *ret_index) {
        for (size_t i = 0; verb && i < CLI_MAX_OPTIONS && verb->options[i].name; i++)
                if (strlen(verb->options[i].name) == length &&
                    memcmp(verb->options[i].name, name, length) == 0) {
                        *ret_index = i;
                        return verb->options + i;
                }
        *ret_index = CLI_MAX_OPTIONS;
        for (size_t i = 0; i < ELEMENTS(globals); i++)
                if (strlen(globals[i].name) == length && memcmp(globals[i].name, name, length) == 0)
                        return globals + i;
        return NULL;
}

/* `word` begins with "--"; the next one is taken as its value where it needs one. Returns how many words
 * were used. */
static int parse_option(Parse *p, const char *word, const char *next) {
        const char *name = word + 2, *equals = strchr(name, '='), *value = equals ? equals + 1 : NULL;
        const CliOption *option;
        size_t index;
        int used = 1, r;

        option = option_find(p->call.verb, name, equals ? (size_t)(equals - name) : strlen(name), &index);
        if (!option)
                return usage_error("unknown option %.64s%s%s", word, p->call.verb ? " for " : "",
                                   p->call.verb ? p->call.verb->name : "");
        if (value && !option->value)
                return usage_error("--%s takes no value", option->name);
        if (!value && option->bare) {
                value = option->bare;
        } else if (!value && option->value) {
                value = next;
                used = 2;
        }
        if (option->value && (!value || !value[0]))
                return usage_error("--%s needs a value: %s", option->name, option->value);
        if (index < CLI_MAX_OPTIONS) {
                p->call.values[index] = value ?: "";
                return used;
        }
        r = global_set(p, option, value);
        return r < 0 ? r : used;
}

static int parse_word(Parse *p, const char *word) {
        if (!p->call.verb) {
                p->call.verb = verb_find(word);
                return p->call.verb ? 1 : unknown_verb(word);
        }
        if (p->call.n_args >= p->call.verb->max)
                return p->call.verb->max == 0 ? usage_error("%s takes no arguments", p->call.verb->name)
                                              : usage_error("too many arguments: %s takes %s",
                                                            p->call.verb->name, p->call.verb->args);
        p->call.args[p->call.n_args++] = word;
        return 1;
}

static int parse(int argc, char **argv, Parse *p) {
        bool only_words = false;

        for (int i = 1; i < argc;) {
                const char *word = argv[i];
                int r = 1;

                if (!only_words && strcmp(word, "--") == 0)
                        only_words = true;
                else if (!only_words && strcmp(word, "-h") == 0)
                        p->help = true;
                else if (!only_words && starts_with(word, "--"))
                        r = parse_option(p, word, i + 1 < argc ? argv[i + 1] : NULL);
                else if (!only_words && word[0] == '-')
                        r = usage_error("unknown option %.64s", word);
                else
                        r = parse_word(p, word);
                if (r < 0)
                        return r;
                i += r;
        }
        if (p->help || p->version || p->list_faults)
                return 0;
        if (!p->call.verb)
                return usage_error("no verb given");
        if (p->call.json != CLI_TEXT && !p->call.verb->shows)
                return usage_error("%s prints no JSON", p->call.verb->name);
        return 0;
}

int main(int argc, char **argv) {
        Parse p = {0};
        int r;

        r = parse(argc, argv, &p);
        if (r < 0) {
                (void)cli_fail(r);
                return EXIT_USAGE;
        }
        if (p.help)
                return show_help(p.call.verb);
        if (p.version) {
                printf("carryover " PROJECT_VERSION "\n");
                return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
        }
#if WITH_FAULTS
        if (p.list_faults) {
                for (const char *const *name = fault_names; *name; name++)
                        puts(*name);
                return EXIT_OK;
        }
#endif
        /* Without a verb only --list-faults comes here, which is an option where it was answered above.
         * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        if (p.call.verb->needs_root && geteuid() != 0)
                return cli_fail(err_say(-EACCES, "%s needs root: try sudo carryover %s", p.call.verb->name,
                                        p.call.verb->name));
        return p.call.verb->run(&p.call);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each shell has its own way to offer words, and all of them run the same sh for what is there now: sessions
 * and units, trees of the last save (root alone may ask), kernels.
 */

#include "cli/completion.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

/* In single quotes of all three shells, so it must have none. */
static const char values[] =
                "case $1 in\n"
                "targets)\n"
                "    for s in /run/systemd/sessions/*; do\n"
                "        case $s in *.ref | */\\*) ;; *) echo \"session:${s##*/}\" ;; esac\n"
                "    done\n"
                "    systemctl list-units --plain --no-legend --type=service,scope 2>/dev/null |\n"
                "        while read -r u rest; do echo \"unit:$u\"; done ;;\n"
                "trees) carryover status --json 2>/dev/null | grep -o "
                "\"\\\"name\\\":\\\"[^\\\"]*\\\",\\\"target\\\"\" |\n"
                "        cut -d\\\" -f4 ;;\n"
                "kernels) for k in /lib/modules/*/modules.dep; do\n"
                "        k=${k%/*}; case $k in *\\*) ;; *) echo \"${k##*/}\" ;; esac\n"
                "    done ;;\n"
                "esac";

/* What the argument of a verb is, as the sh above names it; NULL: nothing that is there. */
static const char *kind_of(const CliVerb *verb) {
        return strstr(verb->args, "TARGET") ? "targets" : strstr(verb->args, "TREE") ? "trees" : NULL;
}

/* And of an option. */
static const char *kind_of_option(const CliOption *option) {
        return option->value && strcmp(option->value, "VERSION") == 0 ? "kernels" : NULL;
}

static void offer(const CliOption *options, size_t n) {
        for (size_t i = 0; i < n && options[i].name; i++)
                if (options[i].help)
                        printf(" --%s%s", options[i].name, options[i].value ? "=" : "");
}

static void offer_verbs(const CliTable *t) {
        for (size_t i = 0; i < t->n_verbs; i++)
                if (t->verbs[i].help)
                        printf(" %s", t->verbs[i].name);
}

/* Cases of a `case $verb in`, the same in bash and zsh: each sets words and kind. */
static void cases(const CliTable *t) {
        printf("    '' | help) words+=(");
        offer_verbs(t);
        printf(") ;;\n");
        for (size_t i = 0; i < t->n_verbs; i++) {
                const CliVerb *v = t->verbs + i;
                const char *kind = kind_of(v);

                if (!v->options[0].name && !kind && !v->shows)
                        continue;
                printf("    %s) words+=(", v->name);
                if (kind && strcmp(kind, "targets") == 0)
                        printf(" session: pid: unit:");
                offer(v->options, CLI_MAX_OPTIONS);
                offer(t->globals, v->shows ? t->n_shows : 0);
                printf(")%s%s ;;\n", kind ? " kind=" : "", kind ?: "");
        }
        printf("    completion) words+=(bash zsh fish) ;;\n    esac\n    case $cur in\n");
        for (size_t i = 0; i < t->n_verbs; i++)
                for (size_t k = 0; k < CLI_MAX_OPTIONS && t->verbs[i].options[k].name; k++) {
                        const CliOption *o = t->verbs[i].options + k;

                        if (kind_of_option(o))
                                printf("    --%s=*) kind=%s before=--%s= ;;\n", o->name, kind_of_option(o),
                                       o->name);
                }
        printf("    esac\n");
}

static void begin(const char *head) {
        printf("%s_carryover_values() {\n    sh -c '%s' sh \"$1\"\n}\n\n", head, values);
}

/* bash splits a word at ":" and "=" before it is completed: what stands before the last of them is taken
 * off. */
static void print_bash(const CliTable *t) {
        begin("# bash completion for carryover, made by `carryover completion bash`\n\n");
        printf("_carryover() {\n"
               "    local line=${COMP_LINE:0:COMP_POINT} cur verb= kind= before= word\n"
               "    local -a parts words=(");
        offer(t->globals + t->n_shows, t->n_globals - t->n_shows);
        printf(")\n"
               "    read -ra parts <<<\"$line\"\n"
               "    cur=${line##*[[:space:]]}\n"
               "    [[ -n $cur ]] && unset 'parts[-1]'\n"
               "    for word in \"${parts[@]:1}\"; do\n"
               "        [[ $word != -* ]] && { verb=$word; break; }\n"
               "    done\n"
               "    case $verb in\n");
        cases(t);
        printf("    [[ -n $kind ]] && mapfile -t parts < <(_carryover_values $kind) && "
               "words+=(\"${parts[@]/#/$before}\")\n"
               "    local typed=${cur%%\"${cur##*[:=]}\"}\n"
               "    COMPREPLY=()\n"
               "    for word in \"${words[@]}\"; do\n"
               "        [[ $word == \"$cur\"* ]] && COMPREPLY+=(\"${word#\"$typed\"}\")\n"
               "    done\n"
               "    [[ ${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace 2>/dev/null\n"
               "    return 0\n"
               "}\n"
               "complete -F _carryover carryover\n");
}

static void print_zsh(const CliTable *t) {
        begin("#compdef carryover\n# Made by `carryover completion zsh`.\n\n");
        printf("_carryover() {\n"
               "    local cur=${words[CURRENT]} verb= kind= before= word\n"
               "    local -a given=(\"${(@)words[2,CURRENT-1]}\")\n"
               "    local -a words=(");
        offer(t->globals + t->n_shows, t->n_globals - t->n_shows);
        printf(")\n"
               "    for word in $given; do\n"
               "        [[ $word != -* ]] && { verb=$word; break; }\n"
               "    done\n"
               "    case $verb in\n");
        cases(t);
        printf("    local -a live=(${(f)\"$(_carryover_values $kind)\"})\n"
               "    (( $#live )) && words+=(${before}${^live})\n"
               "    compadd -S '' -- ${(M)words:#*[=:]}\n"
               "    compadd -- ${words:#*[=:]}\n"
               "}\n\n"
               "[[ $funcstack[1] == _carryover ]] && _carryover \"$@\" || compdef _carryover carryover\n");
}

static void fish_options(const char *when, const CliOption *options, size_t n) {
        for (size_t i = 0; i < n && options[i].name; i++) {
                const CliOption *o = options + i;

                if (!o->help)
                        continue;
                printf("complete -c carryover%s -l %s -d '%s'%s", when, o->name, o->help,
                       o->value && !o->bare ? " -x" : "");
                if (kind_of_option(o))
                        printf(" -a '(__carryover_values %s)'", kind_of_option(o));
                putchar('\n');
        }
}

static void print_fish(const CliTable *t) {
        printf("# fish completion for carryover, made by `carryover completion fish`\n\n"
               "function __carryover_values\n    sh -c '%s' sh $argv\nend\n\ncomplete -c carryover -f\n",
               values);
        fish_options("", t->globals + t->n_shows, t->n_globals - t->n_shows);
        for (size_t i = 0; i < t->n_verbs; i++) {
                const CliVerb *v = t->verbs + i;
                char when[128];

                if (v->help)
                        printf("complete -c carryover -n '__fish_use_subcommand; or "
                               "__fish_seen_subcommand_from help' "
                               "-a %s -d '%s'\n",
                               v->name, v->help);
                snprintf(when, sizeof when, " -n '__fish_seen_subcommand_from %s'", v->name);
                if (kind_of(v))
                        printf("complete -c carryover%s -a '(__carryover_values %s)'\n", when, kind_of(v));
                fish_options(when, v->options, CLI_MAX_OPTIONS);
                fish_options(when, t->globals, v->shows ? t->n_shows : 0);
        }
        printf("complete -c carryover -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n");
}

bool completion_print(const CliTable *table, const char *shell) {
        static const struct {
                const char *shell;
                void (*print)(const CliTable *t);
        } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

        for (size_t i = 0; i < ELEMENTS(shells); i++)
                if (strcmp(shells[i].shell, shell) == 0) {
                        shells[i].print(table);
                        return true;
                }
        return false;
}

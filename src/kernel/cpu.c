/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The flags are the kernel's view: what it has switched off is not there for programs either. Many of them
 * are its own inventions, and come and go with its versions; hence the list. */

#include "kernel/cpu.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How the names of instruction sets begin. */
static const char *const prefixes[] = {
                "sse",       "ssse3",      "avx",   "amx",    "fma",      "f16c",  "aes",    "vaes",
                "pclmulqdq", "vpclmulqdq", "gfni",  "sha_",   "sha512",   "bmi",   "adx",    "abm",
                "cx16",      "fsgsbase",   "movbe", "movdir", "popcnt",   "rdpid", "rdrand", "rdseed",
                "rtm",       "clwb",       "pku",   "xsavec", "xsaveopt",
};

static bool is_instruction_set(const char *word) {
        for (size_t i = 0; i < ELEMENTS(prefixes); i++)
                if (starts_with(word, prefixes[i]))
                        return true;
        return false;
}

/* There each word is an instruction set that programs may ask for by getauxval(3), but for the kernel's own
 * two. */
static bool is_instruction_set_of_arm(const char *word) {
        return strcmp(word, "evtstrm") != 0 && strcmp(word, "cpuid") != 0;
}

static bool has_word(const char *words, const char *word) {
        size_t n = strlen(word);

        for (const char *p = words; (p = strstr(p, word)); p += n)
                if ((p == words || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
                        return true;
        return false;
}

/* `out` is as long as all words together. */
static void add_word(char *out, const char *word) {
        if (out[0])
                strcat(out, " ");
        strcat(out, word);
}

/* The first processor's; Linux starts no others that lack what this one has. x86 says "flags", arm64
 * "Features". */
static int flags_line(const char *cpuinfo, bool *ret_arm, char **ret) {
        _cleanup_(fclosep) FILE *file = fopen(cpuinfo, "re");
        _cleanup_(freep) char *line = NULL;
        size_t room = 0;

        if (!file)
                return err_born(-errno, "cannot read %s", cpuinfo);
        while (getline(&line, &room, file) > 0)
                if (starts_with(line, "flags") || starts_with(line, "Features")) {
                        *ret_arm = line[0] == 'F';
                        *ret = TAKE(line);
                        return 0;
                }
        return err_say(-ENODATA, "%s has neither a flags nor a Features line", cpuinfo);
}

int cpu_instructions(const char *cpuinfo, char **ret) {
        _cleanup_(freep) char *line = NULL, *words = NULL;
        char *save = NULL;
        bool arm = false;
        int r;

        r = flags_line(cpuinfo, &arm, &line);
        if (r < 0)
                return err_pass(r);
        words = calloc(1, strlen(line) + 1);
        if (!words)
                return -ENOMEM;
        (void)strtok_r(line, ":", &save);
        for (char *w = strtok_r(NULL, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save))
                if (arm ? is_instruction_set_of_arm(w) : is_instruction_set(w))
                        add_word(words, w);
        *ret = TAKE(words);
        return 0;
}

int cpu_lost(const char *before, const char *now, char **ret) {
        _cleanup_(freep) char *copy = strdup(before), *lost = calloc(1, strlen(before) + 1);
        char *save = NULL;

        if (!copy || !lost)
                return -ENOMEM;
        for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
                if (!has_word(now, w))
                        add_word(lost, w);
        *ret = TAKE(lost);
        return 0;
}

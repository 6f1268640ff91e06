/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The command `carryover`, called as a function on a machine of fakes. Included by the test's one .c
 * file. */

#include "tests/fakes/machine.h"

#include <sys/mman.h>

int carryover_main(int argc, char **argv);
#define main carryover_main
#include "../../src/cli/main.c"
#undef main

const char *const fault_names[] = {"cli:one", "cli:two", NULL};

/* What it wrote, and ended with. */
static char cli_out[1u << 16], cli_err[1u << 14];
static int cli_status;

static inline void cli_take(int fd, char *text, size_t size) {
        ssize_t n = pread(fd, text, size - 1, 0);

        assert_in_range(n, 0, (ssize_t)size - 2);
        text[n] = '\0';
        (void)close(fd);
}

/* out: where standard output goes, or -1: into cli_out. */
static inline int cli_call(int out, int argc, const char *const *words) {
        int kept_out, kept_err, text = memfd_create("out", MFD_CLOEXEC),
                                err = memfd_create("err", MFD_CLOEXEC);
        char *argv[16] = {(char *)"carryover"};

        assert_true(argc < 15 && text >= 0 && err >= 0);
        for (int i = 0; i < argc; i++)
                argv[i + 1] = (char *)words[i];
        (void)fflush(stdout);
        (void)fflush(stderr);
        kept_out = dup(STDOUT_FILENO);
        kept_err = dup(STDERR_FILENO);
        (void)dup2(out >= 0 ? out : text, STDOUT_FILENO);
        (void)dup2(err, STDERR_FILENO);
        cli_status = carryover_main(argc + 1, argv);
        (void)fflush(stdout);
        clearerr(stdout);
        (void)fflush(stderr);
        (void)dup2(kept_out, STDOUT_FILENO);
        (void)dup2(kept_err, STDERR_FILENO);
        (void)close(kept_out);
        (void)close(kept_err);
        cli_take(text, cli_out, sizeof cli_out);
        cli_take(err, cli_err, sizeof cli_err);
        return cli_status;
}

#define CLI_WORDS(...)                                                                                      \
        (int)ELEMENTS(((const char *const[]){__VA_ARGS__})), (const char *const[]) {                        \
                __VA_ARGS__                                                                                 \
        }

/* cli("check", "pid:1"): the exit status. */
#define cli(...) cli_call(-1, CLI_WORDS(__VA_ARGS__))

/* The same into a full disk. */
#define cli_full(...) cli_call_full(CLI_WORDS(__VA_ARGS__))

static inline int cli_call_full(int argc, const char *const *words) {
        int full = open("/dev/full", O_WRONLY | O_CLOEXEC), status;

        assert_true(full >= 0);
        status = cli_call(full, argc, words);
        (void)close(full);
        return status;
}

static inline size_t cli_lines(const char *text) {
        size_t n = 0;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

static inline void cli_shows(const char *what) {
        if (!strstr(cli_out, what))
                fail_msg("'%s' is not in: %s(on stderr: %s)", what, cli_out, cli_err);
}

/* One line on stderr that has these words. */
static inline void cli_says(const char *what) {
        if (!starts_with(cli_err, "carryover: ") || cli_lines(cli_err) != 1 || !strstr(cli_err, what))
                fail_msg("no one line with '%s' on stderr, but: %s", what, cli_err);
}

/* People may have 80 columns. */
static inline void cli_fits(void) {
        for (const char *line = cli_out; *line; line += strcspn(line, "\n") + 1)
                if (strcspn(line, "\n") > 80)
                        fail_msg("more than 80 columns: %s", line);
}

/* One JSON object: one line, or indented ones. */
static inline void cli_json(bool pretty) {
        size_t n = strlen(cli_out);

        assert_true(n > 3 && cli_out[0] == '{' && cli_out[n - 2] == '}' && cli_out[n - 1] == '\n');
        if (pretty)
                assert_true(cli_lines(cli_out) > 1);
        else
                assert_int_equal(cli_lines(cli_out), 1);
}

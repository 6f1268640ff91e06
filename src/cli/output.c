/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The pager runs as root here, so it is always less in its secure mode (no shell, no editor, no other
 * files), whatever PAGER says, and it leaves at once what fits on one screen.
 */

#include "cli/output.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/param.h>
#include <sys/wait.h>
#include <unistd.h>

#define NARROWEST        80u /* columns of a terminal */
#define NARROWEST_COLUMN 11u /* of a table that is cut: "session-42~" */

static struct {
        pid_t pager;
        size_t columns; /* of the terminal; 0: it is none */
        ReportStyle style;
} output;

static void run_pager(int from, int keep_out) {
        if (dup2(from, STDIN_FILENO) < 0)
                _exit(EXIT_FAILED);
        close(keep_out);
        setenv("LESS", "FRSXMK", 1);
        setenv("LESSSECURE", "1", 1);
        execl("/usr/bin/less", "less", (char *)NULL);
        /* There is none: pass on what comes. */
        execl("/bin/cat", "cat", (char *)NULL);
        _exit(EXIT_FAILED);
}

static void start_pager(void) {
        int pair[2];
        pid_t pid;

        if (pipe(pair) < 0)
                return;
        (void)fflush(stdout);
        pid = fork();
        if (pid == 0) {
                close(pair[1]);
                run_pager(pair[0], pair[1]);
        }
        close(pair[0]);
        if (pid > 0 && dup2(pair[1], STDOUT_FILENO) >= 0)
                output.pager = pid;
        close(pair[1]);
}

/* Of a terminal that does not say: what every one has. */
static size_t terminal_columns(void) {
        struct winsize size = {0};

        if (!isatty(STDOUT_FILENO))
                return 0;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < NARROWEST)
                return NARROWEST;
        return size.ws_col;
}

void output_begin(const CliCall *call) {
        output.columns = terminal_columns();
        output.style = report_style();
        if (call->json == CLI_TEXT && !call->no_pager && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO))
                start_pager();
}

void output_end(void) {
        int status;

        if (output.pager <= 0)
                return;
        (void)fflush(stdout);
        /* The pager sees the end of its input only when the last copy of the pipe is closed. */
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
        while (waitpid(output.pager, &status, 0) < 0 && errno == EINTR)
                ;
        output.pager = 0;
}

ReportStyle output_style(void) {
        return output.style;
}

ExitStatus output_finish(void) {
        int r = 0;

        if (fflush(stdout) != 0 || ferror(stdout))
                r = output.pager > 0 && errno == EPIPE ? 0 : err_born(-errno, "cannot write the output");
        output_end();
        return r < 0 ? cli_fail(r) : EXIT_OK;
}

/* What is cut ends with "~". */
static void table_row(const char *const *cells, const size_t *widths, size_t columns) {
        for (size_t c = 0; c < columns; c++) {
                size_t length = strlen(cells[c]), at = 0;

                if (c > 0)
                        fputs("  ", stdout);
                for (; cells[c][at] && at < widths[c]; at++)
                        if (at + 1 == widths[c] && length > widths[c])
                                fputc('~', stdout);
                        else
                                fputc(cells[c][at] < ' ' || cells[c][at] > '~' ? '?' : cells[c][at], stdout);
                for (; c + 1 < columns && at < widths[c]; at++)
                        fputc(' ', stdout);
        }
        fputc('\n', stdout);
}

/* The widest column gives way first. */
static void table_fit(size_t *widths, size_t columns, size_t room) {
        for (;;) {
                size_t sum = 2 * (columns - 1), widest = 0;

                for (size_t c = 0; c < columns; c++) {
                        sum += widths[c];
                        if (widths[c] > widths[widest])
                                widest = c;
                }
                if (sum <= room || widths[widest] <= NARROWEST_COLUMN)
                        return;
                widths[widest] -= MIN(sum - room, widths[widest] - NARROWEST_COLUMN);
        }
}

void output_table(const char *const *header, const char *const *cells, size_t columns, size_t n) {
        _cleanup_(freep) size_t *widths = calloc(columns, sizeof *widths);

        if (!widths)
                return;
        for (size_t c = 0; c < columns; c++) {
                widths[c] = strlen(header[c]);
                for (size_t i = 0; i < n; i++)
                        widths[c] = MAX(widths[c], strlen(cells[i * columns + c]));
        }
        if (output.columns > 0)
                table_fit(widths, columns, output.columns);
        table_row(header, widths, columns);
        for (size_t i = 0; i < n; i++)
                table_row(cells + i * columns, widths, columns);
}

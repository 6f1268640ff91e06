/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "cli/output.h"
#include "flow/keep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS 7u

typedef struct Row {
        char user[REPORT_USER_SIZE], pid[16];
} Row;

static void fill(const Candidate *c, Row *row, const char **cells) {
        const Tree *t = c->tree;

        report_user(t, row->user);
        snprintf(row->pid, sizeof row->pid, "%" PRIu32, t->root_pid);
        cells[0] = t->name;
        cells[1] = t->target;
        cells[2] = row->user;
        cells[3] = row->pid;
        cells[4] = "running";
        cells[5] = report_why_text(c->why) ?: "-";
        cells[6] = t->comm;
}

static int show_table(const Candidates *trees) {
        static const char *const header[COLUMNS] = {"NAME",  "TARGET", "USER",   "PID",
                                                    "STATE", "WHY",    "COMMAND"};
        size_t n = trees->n + trees->n_gone;
        _cleanup_(freep) const char **cells = calloc(n * COLUMNS, sizeof *cells);
        _cleanup_(freep) Row *rows = calloc(n, sizeof *rows);

        if (!cells || !rows)
                return -ENOMEM;
        for (size_t i = 0; i < trees->n; i++)
                fill(trees->items + i, rows + i, cells + i * COLUMNS);
        for (size_t i = 0; i < trees->n_gone; i++) {
                const char *const gone[COLUMNS] = {
                                "-", trees->gone[i], "-", "-", "gone", report_why_text(WHY_KEEP), "-"};

                memcpy(cells + (trees->n + i) * COLUMNS, gone, sizeof gone);
        }
        output_table(header, cells, COLUMNS, n);
        return 0;
}

ExitStatus verb_list(const CliCall *call) {
        _cleanup_(candidates_done) Candidates trees = {0};
        ExitStatus status;
        int r;

        r = keep_list(&trees);
        if (r < 0)
                return cli_fail(r);
        if (trees.n == 0 && trees.n_gone > 0)
                fprintf(stderr, "carryover: all that was kept has ended: run carryover drop --all\n");
        else if (trees.n == 0)
                fprintf(stderr, "carryover: nothing is kept: see carryover keep\n");
        if (trees.refused)
                fprintf(stderr, "carryover: %s\n", trees.refused);
        output_begin(call);
        if (call->json != CLI_TEXT)
                r = report_trees_json(stdout, &trees, call->json == CLI_JSON_PRETTY);
        else if (trees.n + trees.n_gone > 0)
                r = show_table(&trees);
        if (r < 0) {
                output_end();
                return cli_fail(r);
        }
        status = output_finish();
        return status == EXIT_OK && trees.n == 0 ? EXIT_NOTHING : status;
}

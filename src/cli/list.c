/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "cli/output.h"
#include "flow/keep.h"

#include <inttypes.h>
#include <stdio.h>

#define COLUMNS 6u

static int show_table(const Candidates *trees) {
        static const char *const header[COLUMNS] = {"NAME", "TARGET", "USER", "PID", "PROCESSES", "COMMAND"};
        const char **cells = calloc(trees->n * COLUMNS, sizeof *cells);
        char(*numbers)[3][16] = calloc(trees->n, sizeof *numbers);

        if (!cells || !numbers) {
                free(cells);
                free(numbers);
                return -ENOMEM;
        }
        for (size_t i = 0; i < trees->n; i++) {
                const Tree *t = trees->items[i].tree;
                const char **row = cells + i * COLUMNS;

                snprintf(numbers[i][0], sizeof numbers[i][0], "%" PRIu32, t->uid);
                snprintf(numbers[i][1], sizeof numbers[i][1], "%" PRIu32, t->root_pid);
                snprintf(numbers[i][2], sizeof numbers[i][2], "%zu", t->n_pids);
                row[0] = t->name;
                row[1] = t->target;
                row[2] = t->session && t->session->user[0] ? t->session->user : numbers[i][0];
                row[3] = numbers[i][1];
                row[4] = numbers[i][2];
                row[5] = t->comm;
        }
        output_table(header, cells, COLUMNS, trees->n);
        free(cells);
        free(numbers);
        return 0;
}

ExitStatus verb_list(const CliCall *call) {
        _cleanup_(candidates_done) Candidates trees = {0};
        ExitStatus status;
        int r;

        r = keep_list(&trees);
        if (r < 0)
                return cli_fail(r);
        if (trees.n == 0)
                fprintf(stderr, "carryover: nothing is kept: see carryover keep\n");
        if (trees.refused)
                fprintf(stderr, "carryover: %s\n", trees.refused);
        output_begin(call);
        if (call->json != CLI_TEXT)
                r = report_trees_json(stdout, &trees, call->json == CLI_JSON_PRETTY);
        else if (trees.n > 0)
                r = show_table(&trees);
        if (r < 0) {
                output_end();
                return cli_fail(r);
        }
        status = output_finish();
        return status == EXIT_OK && trees.n == 0 ? EXIT_NOTHING : status;
}

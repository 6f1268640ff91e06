/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "files/config.h"
#include "cli/output.h"
#include "report/config.h"

#include <stdio.h>

ExitStatus verb_config(const CliCall *call) {
        ConfigLine *lines;
        size_t n;
        int r = config_lines("", &lines, &n);

        if (r < 0)
                return cli_fail(r);
        output_begin(call);
        if (call->json == CLI_TEXT)
                report_config(stdout, lines, n);
        else
                r = report_config_json(stdout, lines, n, call->json == CLI_JSON_PRETTY);
        config_lines_free(lines, n);
        if (r >= 0)
                return output_finish();
        output_end();
        return cli_fail(r);
}

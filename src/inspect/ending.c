/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "inspect/ending.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "inspect/census.h"
#include "kernel/ids.h"
#include "report/census.h"
#include "tty/ask.h"

#include <string.h>
#include <unistd.h>

/* As many as fit on a terminal beside the rest. */
#define SHOWN_MAX 20u

void ending_done(Ending *ending) {
        census_done(&ending->shown);
        *ending = (Ending){0};
}

int ending_show(FILE *out, const Config *config, const Candidates *kept, bool forced, Ending *ending,
                Request *request) {
        _cleanup_(census_done) Census census = {0};
        int r = census_try(config, kept, &census);

        if (r >= 0)
                r = census_ended(&census, &request->ended, &request->n_ended);
        if (r < 0)
                return r;
        request->has_ended_unknown = request->ended_unknown = census.unknown != NULL;
        if (ending->agreed && census_within(&census, &ending->shown, forced))
                return 0;
        if (ending->agreed)
                fprintf(out, "Meanwhile, more would end than was shown.\n");
        report_census_lost(out, &census, SHOWN_MAX, (ReportStyle){.colour = isatty(fileno(out))});
        (void)fflush(out);
        ending_done(ending);
        ending->shown = TAKE(census);
        return census_ends(&ending->shown, forced) > 0;
}

int ending_ask(Ending *ending, bool may_ask) {
        char before[37], behind[37];
        int answer, r = system_boot_id(before);

        if (r < 0)
                return err_pass(r);
        answer = may_ask ? terminal_ask("Go on? [y/N] ") : -ENOTTY;
        if (answer < 0)
                return err_say(-ENOTTY,
                               "what is listed above would be lost: run carryover keep, or use --yes");
        r = answer > 0 ? system_boot_id(behind) : 0;
        if (r < 0)
                return err_pass(r);
        if (answer > 0 && strcmp(before, behind) != 0)
                return err_say(-ESTALE, "this session was carried into another boot while the question was "
                                        "open: run carryover reboot again");
        ending->agreed = answer > 0;
        return answer > 0;
}

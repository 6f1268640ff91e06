/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a reboot ends, shown to whoever wants it, and whether they have said yes to that. */

#include "model/candidate.h"
#include "model/census.h"
#include "model/config.h"
#include "model/model.h"

#include <stdio.h>

/* All zero: nothing was shown yet. */
typedef struct Ending {
        Census shown;
        bool agreed; /* to all that was shown */
} Ending;

void ending_done(Ending *ending);

/* Looks, and puts what ends into the request, for the report. Shows it, unless no more ends than was agreed
 * to. forced: --force was given (model/census.h). Answer 1: something ends, and nobody has agreed. */
int ending_show(FILE *out, const Config *config, const Candidates *kept, bool forced, Ending *ending,
                Request *request);

/*
 * Asks on the terminal. That may take hours: the caller holds no lock meanwhile, and looks at everything
 * anew behind it. Answer 1: they agree. 0: they do not. -ENOTTY: there is no terminal, or it must not be
 * asked. -ESTALE: this process is in another boot than when it asked, carried by somebody else's reboot.
 * Both with a sentence.
 */
int ending_ask(Ending *ending, bool may_ask);

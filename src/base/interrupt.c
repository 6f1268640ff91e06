/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t caught;

static void note(int signal) {
        (void)signal;
        caught = 1;
}

static bool is(void (*handler)(int)) {
        struct sigaction now = {0};

        return sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == handler;
}

/* SA_RESTART: what is under way is done, and then it is looked at. A sleep ends all the same (signal(7)). */
void interrupt_catch(void) {
        const struct sigaction catch = {.sa_handler = note, .sa_flags = SA_RESTART};

        if (is(SIG_DFL))
                (void)sigaction(SIGINT, &catch, NULL);
}

bool interrupt_caught(void) {
        return caught;
}

void interrupt_release(void) {
        const struct sigaction usual = {.sa_handler = SIG_DFL};

        caught = 0;
        if (is(note))
                (void)sigaction(SIGINT, &usual, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Signals that are blocked, pending (with their values, in order), handled on an alternate stack,
 * ignored. */

#include "pig.h"

#include <stdint.h>

#define STACK 65536

static char stack[STACK];
static volatile int seen[8], n_seen;
static volatile bool on_stack;

static void handle(int signal, siginfo_t *info, void *context) {
        char here;

        on_stack = (uintptr_t)&here - (uintptr_t)stack < STACK;
        if (n_seen < 8)
                seen[n_seen++] = signal == SIGUSR2 ? -1 : info->si_value.sival_int;
}

static void queue(int signal, int value) {
        CHECK(sigqueue(getpid(), signal, (union sigval){.sival_int = value}) == 0);
}

int main(void) {
        struct sigaction act = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART},
                         now;
        stack_t alternate = {.ss_sp = stack, .ss_size = STACK}, stack_now;
        sigset_t set, pending;

        pig_begin();
        sigemptyset(&act.sa_mask);
        sigaddset(&act.sa_mask, SIGTERM);
        CHECK(sigaltstack(&alternate, NULL) == 0);
        CHECK(sigaction(SIGRTMIN + 1, &act, NULL) == 0 && sigaction(SIGUSR2, &act, NULL) == 0);
        CHECK(signal(SIGHUP, SIG_IGN) != SIG_ERR);
        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN + 1);
        sigaddset(&set, SIGUSR2);
        CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
        queue(SIGRTMIN + 1, 11);
        queue(SIGRTMIN + 1, 22);
        queue(SIGRTMIN + 1, 33);
        CHECK(kill(getpid(), SIGUSR2) == 0);

        pig_wait();

        CHECK(sigaltstack(NULL, &stack_now) == 0);
        CHECK(stack_now.ss_sp == stack && stack_now.ss_size == STACK && !(stack_now.ss_flags & SS_DISABLE));
        CHECK(sigaction(SIGUSR2, NULL, &now) == 0);
        CHECK(now.sa_sigaction == handle && sigismember(&now.sa_mask, SIGTERM) == 1);
        CHECK((now.sa_flags & act.sa_flags) == act.sa_flags);
        CHECK(sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN);
        CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR2) &&
              sigismember(&pending, SIGRTMIN + 1));
        CHECK(n_seen == 0);
        CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
        CHECK(n_seen == 4 && on_stack);
        CHECK(seen[0] == 11 || seen[0] == -1); /* USR2 comes before or after the others */
        for (int i = 0, expected = 11; i < 4; i++)
                if (seen[i] != -1) {
                        CHECK(seen[i] == expected);
                        expected += 11;
                }
        pig_pass();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* tty/: nobody has a terminal but who is asked, by what the test has them answer. */

#include "base/err.h"
#include "tests/fakes/fake.h"
#include "tty/ask.h"
#include "tty/pty.h"
#include "tty/say.h"

int pty_reserve(const uint32_t *wanted, size_t n, PtyReserve **ret) {
        (void)wanted;
        *ret = NULL;
        return fake_call("pty_reserve", "%zu", n);
}

PtyReserve *pty_reserve_free(PtyReserve *reserve) {
        (void)reserve;
        return NULL;
}

int pty_take(PtyReserve *reserve, uint32_t index) {
        (void)reserve;
        (void)fake_call("pty_take", "%u", index);
        return err_say(-ENOENT, "terminal pts/%u does not exist", index);
}

size_t terminals_say(const TerminalLine *lines, size_t n) {
        (void)lines;
        (void)fake_call("terminals_say", "%zu", n);
        return n;
}

int terminal_ask(const char *question) {
        int r = fake_call("terminal_ask", "%s", question);

        return r < 0 ? r : fake->answer;
}

int terminal_tell(const char *tty, const char *text) {
        (void)text;
        return fake_call("terminal_tell", "%s", tty);
}

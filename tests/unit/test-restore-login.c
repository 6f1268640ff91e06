/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What of logind's record of a session is given back, and what is no longer true. */

#include "../../src/restore/login.c"

#include "../../src/systemd/login.c"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

static void text_is(const char *state_file, const char *tty, const char *expected) {
        _cleanup_(tree_freep) Tree *tree = model_new(Tree, tree__init);
        _cleanup_(freep) char *text = NULL;

        assert_non_null(tree);
        tree->session = model_new(Session, session__init);
        tree->outcome = model_new(Outcome, outcome__init);
        assert_non_null(tree->session);
        assert_non_null(tree->outcome);
        assert_int_equal(model_set_string(&tree->session->scope, "session-4.scope"), 0);
        assert_int_equal(model_set_string(&tree->session->state_file, state_file), 0);
        assert_int_equal(model_set_string(&tree->session->tty, tty), 0);
        tree->outcome->has_root_pid = true;
        tree->outcome->root_pid = 777;
        assert_int_equal(session_text(tree, &text), 0);
        assert_string_equal(text, expected);
}

static void test_leader_and_scope_are_the_new_ones(void **state) {
        text_is("# This is private data.\nUID=1000\nUSER=joe\nACTIVE=1\nSCOPE=session-4.scope\nLEADER=12\n"
                "FIFO=/run/systemd/sessions/4.ref\nREALTIME=5\nMONOTONIC=6\n",
                NULL,
                "# This is private "
                "data.\nUID=1000\nUSER=joe\nACTIVE=1\nFIFO=/run/systemd/sessions/4.ref\nREALTIME=5\n"
                "SCOPE=session-4.scope\nLEADER=777\n");
}

/* It was written while the system went down, and held what the old kernel's logind had stored elsewhere. */
static void test_what_died_with_the_old_kernel_goes(void **state) {
        text_is("UID=0\nSTOPPING=1\nSCOPE_JOB=/org/freedesktop/systemd1/job/9\nCONTROLLER=:1.2\n"
                "LEADER_FD_SAVED=1\nLEADER_PIDFDID=99\nLEADERSHIP=kept",
                NULL, "UID=0\nLEADERSHIP=kept\nSCOPE=session-4.scope\nLEADER=777\n");
}

/* logind may not have known it, its number may be another one, and whoever writes utmp may have made it
 * up. */
static void test_terminal(void **state) {
        text_is("UID=0\nTYPE=tty\n", "pts/3",
                "UID=0\nTYPE=tty\nSCOPE=session-4.scope\nLEADER=777\nTTY=pts/3\n");
        text_is("TTY=pts/1\nTTY_VALIDITY=from-utmp\n", "pts/3",
                "TTY_VALIDITY=from-utmp\nSCOPE=session-4.scope\nLEADER=777\nTTY=pts/3\n");
        text_is("UID=0\n", "pts/3\nUID=1", "UID=0\nSCOPE=session-4.scope\nLEADER=777\n");
}

/* As the next login would get it, or 0 without the right to count one. */
static uint64_t next_number(void) {
        uint64_t *number = mmap(NULL, sizeof *number, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                                0);
        uint64_t answer;
        pid_t pid;

        assert_true(number != MAP_FAILED);
        pid = fork();
        if (pid == 0) /* whose login it is cannot be taken back */
                _exit(number_next(number) < 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        answer = *number;
        assert_int_equal(munmap(number, sizeof *number), 0);
        return answer;
}

static void test_numbers_are_left_alone(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        uint64_t highest = next_number() + 30; /* the kernel's count is the machine's, and goes up only */
        char number[24];
        const char *const ids[] = {"c7", "4000000", number, "1"};

        if (highest == 30 || highest > LOGIN_NUMBER_MAX) {
                print_message("no right to count logins, or too many in this boot\n");
                skip();
        }
        ticket = model_new(Ticket, ticket__init);
        assert_non_null(ticket);
        snprintf(number, sizeof number, "%" PRIu64, highest);
        for (size_t i = 0; i < ELEMENTS(ids); i++) {
                Tree *tree = model_new(Tree, tree__init);

                tree->session = model_new(Session, session__init);
                assert_int_equal(model_set_string(&tree->session->id, ids[i]), 0);
                assert_int_equal(model_append(ticket->trees, ticket->n_trees, tree), 0);
        }
        assert_int_equal(restore_login_reserve(ticket), 0);
        assert_true(next_number() > highest);
        assert_int_equal(login_numbers_lift(LOGIN_NUMBER_MAX + 1), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_leader_and_scope_are_the_new_ones),
                        cmocka_unit_test(test_what_died_with_the_old_kernel_goes),
                        cmocka_unit_test(test_terminal),
                        cmocka_unit_test(test_numbers_are_left_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

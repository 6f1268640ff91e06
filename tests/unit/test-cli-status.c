/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What status says of each state that the store can be in, restore's refusals, and where colours and the
 * pager are. */

#include "base/clock.h"
#include "flow/metrics.h"
#include "store/history.h"
#include "tests/fakes/clock.h"
#include "tests/unit/cli-run.h"
#include "tests/unit/ticket.h"

#include <poll.h>
#include <pty.h>
#include <sys/stat.h>

#define FIRST  4000001u
#define SECOND 4000002u

static Store store;

static int set_up(void **state) {
        (void)fresh_machine(state);
        fake_on_sleep = NULL;
        store = machine_store();
        return 0;
}

static int tear_down(void **state) {
        store_close(&store);
        return 0;
}

static Ticket *two_trees(void) {
        Ticket *t = sample_ticket("aa");

        (void)sample_tree(t, "one", FIRST);
        (void)sample_tree(t, "two", SECOND);
        return t;
}

static void outcome(Tree *tree, Outcome__State state, const char *reason) {
        tree->outcome = model_new(Outcome, outcome__init);
        assert_non_null(tree->outcome);
        tree->outcome->state = state;
        if (reason)
                assert_int_equal(model_set_string(&tree->outcome->reason, reason), 0);
}

static void reported(Outcome__State first, Outcome__State second) {
        _cleanup_(ticket_freep) Ticket *t = two_trees();

        outcome(t->trees[0], first, "its first reason");
        outcome(t->trees[1], second, "its second reason");
        assert_int_equal(store_report_write(&store, t), 0);
}

static void test_history(void **state) {
        static const char *const kernels[] = {"6.1.0-54", "6.1.0-56"};

        assert_int_equal(cli("history"), EXIT_OK);
        cli_says("nothing has been carried yet: start with carryover check");
        assert_string_equal(cli_out, "");
        (void)setenv("TZ", "UTC", 1);
        for (unsigned i = 0; i < ELEMENTS(kernels); i++) {
                _cleanup_(ticket_freep) Ticket *t = two_trees();

                t->id[0] = (char)('a' + i);
                t->sealed_at = (1764421500u + i * 86400u) * USEC_PER_SEC;
                assert_int_equal(model_set_string(&t->new_kernel, kernels[i]), 0);
                outcome(t->trees[0], OUTCOME__STATE__CARRIED, NULL);
                outcome(t->trees[1], i ? OUTCOME__STATE__CARRIED : OUTCOME__STATE__LOST,
                        "its second reason");
                t->trees[0]->outcome->has_gap = true;
                t->trees[0]->outcome->gap = (19u + i) * USEC_PER_SEC;
                assert_int_equal(store_history_add(&store, t), 0);
        }
        assert_int_equal(cli("history"), EXIT_OK);
        assert_string_equal(cli_out, " NR  TIME              RESULT   CARRIED         GAP  LINUX\n"
                                     "  1  2025-11-30 13:05  carried  2 of 2       20.0 s  6.1.0-56\n"
                                     "  2  2025-11-29 13:05  partly   1 of 2       19.0 s  6.1.0-54\n");
        assert_string_equal(cli_err, "");
        assert_int_equal(cli("history", "--json"), EXIT_OK);
        assert_non_null(strstr(cli_out, "[{\"version\":"));
        assert_non_null(strstr(cli_out, "\"gap_usec\":19000000"));
        assert_int_equal(cli("status", "--last=2"), EXIT_FAILED);
        assert_non_null(strstr(cli_out, "Carried 1 of 2 to Linux 6.1.0-54"));
        assert_non_null(strstr(cli_out, "its second reason"));
        assert_null(strstr(cli_out, "State:"));
        assert_int_equal(cli("status", "--last=1"), EXIT_OK);
        assert_int_equal(cli("status", "--last=1", "--json"), EXIT_OK);
        assert_null(strstr(cli_out, "\"phase\""));
        assert_int_equal(cli("status", "--last=3"), EXIT_FAILED);
        cli_says("there are 2 saves in the history: see carryover history");
        assert_int_equal(cli("status", "--last=0"), EXIT_USAGE);
        cli_says("--last= takes a number from 1 to 20, and no tree");
        assert_int_equal(cli("status", "--last=1", "one"), EXIT_USAGE);
        assert_int_equal(truncate(MACHINE_STORE "/history/01764507900000000-ba", 9), -1);
        assert_int_equal(truncate(MACHINE_STORE "/history/00001764507900000000-ba", 9), 0);
        assert_int_equal(cli("history"), EXIT_OK);
        cli_says("a report is damaged and left out: remove " MACHINE_STORE
                 "/history/00001764507900000000-ba");
        assert_non_null(strstr(cli_out, "  1  2025-11-29"));
}

static void test_nothing(void **state) {
        assert_int_equal(cli("status"), EXIT_NOTHING);
        assert_string_equal(cli_out, "Nothing has been carried yet. Start with: carryover check\n"
                                     "     State: idle; nothing kept; no connections held\n");
        assert_string_equal(cli_err, "");
        assert_int_equal(cli("status", "--svg=/run/none.svg"), EXIT_FAILED);
        cli_says("nothing has been carried yet: see carryover check");
        assert_int_equal(access("/run/none.svg", F_OK), -1);
        (void)fake_add_tree((pid_t)FIRST);
        fake_keep();
        assert_int_equal(cli("status"), EXIT_OK);
        cli_shows("; 1 tree kept; ");
        assert_int_equal(cli("status", "one"), EXIT_FAILED);
        cli_says("nothing has been carried yet");
        assert_int_equal(cli("status", "--json=short"), EXIT_OK);
        cli_json(false);
        cli_shows("\"idle\"");
}

static void scheduled(const char *text) {
        int dir = open_dirs("/run/systemd/shutdown", 0755);

        assert_int_equal(file_replace(dir, "scheduled", text, strlen(text)), 0);
        (void)fd_close(dir);
}

/* As logind writes it, and as nobody does. */
static void test_scheduled(void **state) {
        (void)state;
        scheduled("USEC=1795957500000000\nWARN_WALL=1\nMODE=reboot\nUID=0\n");
        setenv("TZ", "UTC", 1);
        assert_int_equal(cli("status"), EXIT_NOTHING);
        cli_shows(" Scheduled: reboot at Sun 2026-11-29 13:05:00 UTC: nothing is kept\n");
        (void)fake_add_tree((pid_t)FIRST);
        fake_keep();
        assert_int_equal(cli("status"), EXIT_OK);
        cli_shows(" Scheduled: reboot at Sun 2026-11-29 13:05:00 UTC: kept trees will be carried\n");
        assert_int_equal(cli("status", "--json=short"), EXIT_OK);
        cli_json(false);
        cli_shows("\"scheduled\":{\"action\":\"reboot\",\"realtime_usec\":1795957500000000}");
        scheduled("USEC=x\nMODE=reboot\n");
        assert_int_equal(cli("status", "--json=short"), EXIT_OK);
        cli_shows("\"scheduled\":null");
        scheduled("USEC=1\nMODE=re\033boot\n");
        assert_int_equal(cli("status", "--json=short"), EXIT_OK);
        cli_shows("\"scheduled\":null");
        assert_int_equal(unlink("/run/systemd/shutdown/scheduled"), 0);
        assert_int_equal(cli("status"), EXIT_OK);
        assert_null(strstr(cli_out, "Scheduled"));
}

static void test_sealed(void **state) {
        _cleanup_(ticket_freep) Ticket *t = two_trees();

        reported(OUTCOME__STATE__FAILED, OUTCOME__STATE__FAILED); /* of an older save, and not shown */
        assert_int_equal(store_seal(&store, t, NULL), 0);
        fake->hold = true;
        fake->n_held = 1;
        assert_int_equal(cli("status"), EXIT_OK);
        cli_shows("State: sealed, waiting for the next boot; nothing kept; 1 connection held\n");
        assert_null(strstr(cli_out, "reason"));
        fake->n_held = 2;
        assert_int_equal(cli("status"), EXIT_OK);
        cli_shows("; 2 connections held\n");
        assert_int_equal(cli("status", "--json=pretty"), EXIT_OK);
        cli_json(true);
        cli_shows("\"sealed\"");
}

static void test_restoring(void **state) {
        _cleanup_(ticket_freep) Ticket *t = two_trees();

        assert_int_equal(store_seal(&store, t, NULL), 0);
        assert_int_equal(store_claim(&store, t), 0);
        assert_int_equal(cli("status"), EXIT_OK);
        cli_shows("State: restore in progress; ");

        /* one has failed already: that is told while the other one is under way */
        outcome(t->trees[0], OUTCOME__STATE__FAILED, "its image is truncated");
        (void)fd_close(store_tree_create(&store, "one"));
        assert_int_equal(store_tree_done(&store, t->id, t->trees[0]), 0);
        assert_int_equal(cli("status"), EXIT_FAILED);
        cli_shows("its image is truncated");

        fake_fail("store_tree_recall", 1, -EIO);
        assert_int_equal(cli("status"), EXIT_FAILED);
        cli_says("store_tree_recall was told to fail");
}

static void test_what_it_waits_for(void **state) {
        _cleanup_(ticket_freep) Ticket *t = two_trees();

        assert_int_equal(store_seal(&store, t, NULL), 0);
        assert_int_equal(store_claim(&store, t), 0);
        fake_fail("apparmor_missing one", 1, -ETIMEDOUT);
        assert_int_equal(cli("status"), EXIT_OK);
        cli_shows("apparmor_missing was told to fail");
}

/* The boot that had claimed it is over. */
static void test_interrupted(void **state) {
        _cleanup_(ticket_freep) Ticket *t = two_trees();

        assert_int_equal(store_seal(&store, t, NULL), 0);
        assert_int_equal(store_claim(&store, t), 0);
        fake_reboot();
        assert_int_equal(cli("status"), EXIT_FAILED);
        cli_shows("State: restore interrupted: its boot ended; ");
}

static void test_report(void **state) {
        reported(OUTCOME__STATE__CARRIED, OUTCOME__STATE__CARRIED);
        assert_int_equal(cli("status"), EXIT_OK);
        assert_true(starts_with(cli_out, "Carried 2 of 2 to Linux "));
        cli_shows("State: idle; ");
        cli_shows("one");
        cli_shows("two");

        reported(OUTCOME__STATE__CARRIED, OUTCOME__STATE__LOST);
        assert_int_equal(cli("status"), EXIT_FAILED);
        cli_shows("its second reason");
        assert_int_equal(cli("status", "one"), EXIT_OK);
        assert_null(strstr(cli_out, "its second reason"));
        assert_int_equal(cli("status", "two"), EXIT_FAILED);
        cli_shows("its second reason");
        assert_int_equal(cli("status", "three"), EXIT_FAILED);
        cli_says("the last save has no tree 'three': see carryover status");
        assert_string_equal(cli_out, "");
}

static void add_ended(Ticket *t) {
        Ended *ended = model_new(Ended, ended__init);

        assert_non_null(ended);
        assert_int_equal(model_set_string(&ended->what, "session 5 (ssh)") |
                                         model_set_string(&ended->user, "joe") |
                                         model_set_string(&ended->fate, "lost"),
                         0);
        assert_int_equal(model_append(t->ended, t->n_ended, ended), 0);
}

/* Whom nobody kept is in the verdict of the whole, and not in that of one tree. */
static void test_not_kept(void **state) {
        _cleanup_(ticket_freep) Ticket *t = two_trees(), *next = two_trees();

        add_ended(t);
        outcome(t->trees[0], OUTCOME__STATE__CARRIED, NULL);
        outcome(t->trees[1], OUTCOME__STATE__CARRIED, NULL);
        assert_int_equal(store_report_write(&store, t), 0);
        assert_int_equal(cli("status"), EXIT_FAILED);
        cli_shows("Carried 2 of 3 to Linux ");
        cli_shows("; 1 not kept.\n");
        cli_shows("  Not kept: session 5 (ssh) of joe\n");
        assert_int_equal(cli("status", "one"), EXIT_OK);
        assert_null(strstr(cli_out, "ot kept"));
        add_ended(next);
        assert_int_equal(store_seal(&store, next, NULL), 0);
        assert_int_equal(store_claim(&store, next), 0);
        assert_int_equal(cli("status"), EXIT_FAILED); /* that is known already */
        assert_int_equal(cli("status", "one"), EXIT_OK);
}

/* Steps of one tree are not the other one's. */
static void test_steps(void **state) {
        _cleanup_(ticket_freep) Ticket *t = two_trees();
        static const char *const trees[] = {"one", "two", NULL};
        _cleanup_(freep) char *picture = NULL;

        outcome(t->trees[0], OUTCOME__STATE__CARRIED, NULL);
        outcome(t->trees[1], OUTCOME__STATE__CARRIED, NULL);
        for (size_t i = 0; i < ELEMENTS(trees); i++) {
                Step *step = model_new(Step, step__init);

                assert_non_null(step);
                assert_int_equal(model_set_string(&step->name, trees[i] ? trees[i] : "everybody"), 0);
                if (trees[i])
                        assert_int_equal(model_set_string(&step->tree, trees[i]), 0);
                assert_int_equal(model_append(t->steps, t->n_steps, step), 0);
        }
        assert_int_equal(store_report_write(&store, t), 0);
        assert_int_equal(cli("status"), EXIT_OK);
        assert_null(strstr(cli_out, "STEP"));
        assert_int_equal(cli("status", "--steps"), EXIT_OK);
        cli_shows("STEP");
        cli_shows("everybody");
        assert_int_equal(cli("status", "two", "--json=short"), EXIT_OK);
        cli_json(false);
        cli_shows("everybody");
        cli_shows("\"two\"");
        assert_null(strstr(cli_out, "\"one\""));

        /* the same as a picture */
        assert_int_equal(cli("status", "two", "--svg=/run/a.svg"), EXIT_OK);
        assert_string_equal(cli_out, "");
        assert_int_equal(file_slurp(AT_FDCWD, "/run/a.svg", 65536, &picture, NULL), 0);
        assert_non_null(strstr(picture, ">everybody (0 ms)<"));
        assert_non_null(strstr(picture, ">two two (0 ms)<"));
        assert_null(strstr(picture, ">one one (0 ms)<"));
        assert_int_equal(cli("status", "--svg=/nowhere/a.svg"), EXIT_FAILED);
        cli_says("cannot write /nowhere/a.svg: No such file or directory");
        assert_int_equal(cli("status", "--svg=/dev/full"), EXIT_FAILED);
        cli_says("cannot write /dev/full: No space left on device");
        assert_int_equal(cli("status", "--svg=/run/a.svg", "--steps"), EXIT_USAGE);
        cli_says("exclude each other");
}

static void test_metrics(void **state) {
        struct stat st;
        FakeTree *tree = fake_add_tree((pid_t)FIRST);

        fake_keep();
        assert_int_equal(cli("status", "--openmetrics"), EXIT_OK);
        cli_shows("\ncarryover_kept_trees 1\n");
        cli_shows("\ncarryover_check{level=\"ok\"} 1\n");
        assert_null(strstr(cli_out, "carryover_last"));

        /* it is what was found out that counts, not how the last save ended */
        reported(OUTCOME__STATE__CARRIED, OUTCOME__STATE__LOST);
        snprintf(tree->refusal, sizeof tree->refusal, "it is refused");
        assert_int_equal(cli("status", "--openmetrics"), EXIT_OK);
        cli_shows("\ncarryover_check{level=\"refused\"} 1\n");
        cli_shows("\ncarryover_last_trees{outcome=\"lost\"} 1\n");
        assert_true(ends_with(cli_out, "\n# EOF\n"));
        assert_int_equal(cli("status", "--openmetrics", "--json"), EXIT_USAGE);
        cli_says("--json, --svg and --openmetrics exclude each other");
        assert_int_equal(cli("status", "--openmetrics", "one"), EXIT_USAGE);
        assert_int_equal(cli_full("status", "--openmetrics"), EXIT_FAILED);
        fake_fail("run_keep_read", 1, -EIO);
        assert_int_equal(cli("status", "--openmetrics"), EXIT_FAILED);
        assert_string_equal(cli_out, "");

        /* the file of the service */
        configure("MetricsDirectory=/run/textfiles\n");
        assert_int_equal(flow_metrics(), EXIT_FAILED);
        assert_int_equal(mkdir("/run/textfiles", 0755), 0);
        assert_int_equal(flow_metrics(), EXIT_OK);
        assert_int_equal(stat("/run/textfiles/carryover.prom", &st), 0);
        assert_int_equal(st.st_mode, S_IFREG | 0644);
        assert_true(st.st_size > 1000);
}

static void test_stopped(void **state) {
        _cleanup_(ticket_freep) Ticket *t = two_trees();

        outcome(t->trees[0], OUTCOME__STATE__CARRIED, NULL);
        outcome(t->trees[1], OUTCOME__STATE__CARRIED, NULL);
        assert_int_equal(model_set_string(&t->stopped, "the next kernel could not be loaded"), 0);
        assert_int_equal(store_report_write(&store, t), 0);
        assert_int_equal(cli("status"), EXIT_FAILED);
        cli_shows("the next kernel could not be loaded");
}

static void test_bad_ticket(void **state) {
        reported(OUTCOME__STATE__CARRIED, OUTCOME__STATE__CARRIED);
        assert_int_equal(file_replace(store.fd, "ticket", "cut", 3), 0);
        assert_int_equal(cli("status"), EXIT_FAILED); /* sets it aside */
        assert_int_equal(cli("status"), EXIT_FAILED);
        cli_shows("State: idle; "); /* what else there is to know is shown */
        cli_says("inspect " MACHINE_STORE "/ticket.bad, then remove it");
        assert_int_equal(unlinkat(store.fd, "ticket.bad", 0), 0);
        assert_int_equal(cli("status"), EXIT_OK);
}

static void test_cannot_look(void **state) {
        fake_fail("run_keep_read", 1, -EIO);
        assert_int_equal(cli("status"), EXIT_FAILED);
        cli_says("run_keep_read was told to fail");
        assert_string_equal(cli_out, "");
}

/* restore. */

static void failed(Outcome__State first, Outcome__State second) {
        static const char *const names[] = {"one", "two"};
        _cleanup_(ticket_freep) Ticket *t = two_trees();
        const Outcome__State states[] = {first, second};

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                outcome(t->trees[i], states[i], "a reason");
                if (states[i] == OUTCOME__STATE__CARRIED)
                        continue;
                (void)fd_close(store_tree_create(&store, names[i]));
                assert_int_equal(store_tree_fail(&store, t->id, names[i], &t->trees[i]->outcome->images), 0);
        }
        assert_int_equal(store_report_write(&store, t), 0);
}

static void test_restore_which(void **state) {
        assert_int_equal(cli("restore"), EXIT_FAILED);
        cli_says("nothing has been carried yet");
        failed(OUTCOME__STATE__FAILED, OUTCOME__STATE__FAILED);
        assert_int_equal(cli("restore"), EXIT_USAGE);
        cli_says("name one: one, two");
        assert_int_equal(cli("restore", "three"), EXIT_FAILED);
        cli_says("no tree 'three'");
        failed(OUTCOME__STATE__CARRIED, OUTCOME__STATE__LOST);
        assert_int_equal(cli("restore"), EXIT_FAILED);
        cli_says("nothing to restore");
        assert_int_equal(cli("restore", "one"), EXIT_REFUSED);
        cli_says("one is running: it was carried");
        assert_int_equal(cli("restore", "two"), EXIT_REFUSED);
        cli_says("use --force to restore it anyway");
        assert_string_equal(fake->started, "");
}

static void came_back(void) {
        _cleanup_(ticket_freep) Ticket *t = NULL;
        Store own = machine_store();

        assert_int_equal(store_ticket(&own, &t), 0);
        assert_int_equal(store_claim(&own, t), 0);
        for (size_t i = 0; i < t->n_trees; i++)
                if (!t->trees[i]->outcome)
                        outcome(t->trees[i], OUTCOME__STATE__CARRIED, NULL);
        t->has_done_at = true;
        assert_int_equal(store_report_write(&own, t), 0);
        store_close(&own);
}

static void test_restore(void **state) {
        failed(OUTCOME__STATE__FAILED, OUTCOME__STATE__LOST);
        fake_on_sleep = came_back;
        assert_int_equal(cli("restore"), EXIT_OK); /* that it is back, not that all are */
        cli_shows("restoring one\n");
        assert_string_equal(fake->started, "carryover-restore.service");
        fake->started[0] = '\0';
        assert_int_equal(cli("restore", "--force", "two"), EXIT_OK);
        cli_shows("restoring two\n");
        assert_string_equal(fake->started, "carryover-restore.service");
}

/* The terminal. */

static const char colour[] = "\033[";

/* What a terminal gets to see. A pager that does not leave by itself is a failure of the test's timeout. */
static void on_terminal(int argc, const char *const *words) {
        const struct winsize size = {.ws_row = 60, .ws_col = 80};
        int master, slave, kept_in = dup(STDIN_FILENO);
        size_t n = 0;

        assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
        (void)dup2(slave, STDIN_FILENO);
        (void)cli_call(slave, argc, words);
        (void)dup2(kept_in, STDIN_FILENO);
        (void)close(kept_in);
        for (;;) {
                struct pollfd p = {.fd = master, .events = POLLIN};
                ssize_t got;

                if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLIN))
                        break;
                got = read(master, cli_out + n, sizeof cli_out - 1 - n);
                if (got <= 0)
                        break;
                n += (size_t)got;
        }
        cli_out[n] = '\0';
        (void)close(slave);
        (void)close(master);
}

static void test_terminal(void **state) {
        reported(OUTCOME__STATE__CARRIED, OUTCOME__STATE__CARRIED);
        (void)setenv("TERM", "xterm", 1);
        (void)unsetenv("NO_COLOR");
        on_terminal(CLI_WORDS("status", "--no-pager"));
        cli_shows(colour);
        cli_shows("State: idle; ");
        (void)setenv("NO_COLOR", "1", 1);
        on_terminal(CLI_WORDS("status", "--no-pager"));
        assert_null(strstr(cli_out, colour));
        cli_shows("State: idle; ");
        (void)setenv("NO_COLOR", "", 1); /* as no-color.org has it */
        on_terminal(CLI_WORDS("status", "--no-pager"));
        cli_shows(colour);
        (void)setenv("TERM", "dumb", 1);
        on_terminal(CLI_WORDS("status", "--no-pager"));
        assert_null(strstr(cli_out, colour));
        (void)setenv("TERM", "xterm", 1);
        assert_int_equal(cli("status"), EXIT_OK); /* a file is none */
        assert_null(strstr(cli_out, colour));
        on_terminal(CLI_WORDS("status", "--json=short"));
        assert_int_equal(cli_out[0], '{');
}

/* A row is a line, however long what it tells of is called; who reads it with a program gets it whole. */
static void test_table_fits(void **state) {
        static const char name[] = "a-unit-whose-name-is-very-long";
        FakeTree *tree = fake_add_tree((pid_t)FIRST);

        snprintf(tree->name, sizeof tree->name, "%s", name);
        assert_int_equal(cli("keep", "unit:a-unit-whose-name-is-very-long"), EXIT_OK);
        on_terminal(CLI_WORDS("list", "--no-pager"));
        assert_int_equal(cli_lines(cli_out), 2);
        for (const char *line = cli_out; *line; line += strcspn(line, "\n") + 1)
                assert_in_range(strcspn(line, "\r\n"), 40, 80);
        cli_shows("~  unit:");
        cli_shows("  running  keep  job");
        assert_int_equal(cli("list"), EXIT_OK);
        cli_shows(name);
}

/* Behind it the command goes on, with the exit status that it has without. */
static void test_pager(void **state) {
        reported(OUTCOME__STATE__CARRIED, OUTCOME__STATE__LOST);
        (void)setenv("TERM", "xterm", 1);
        (void)setenv("PAGER", "/bin/false", 1);
        on_terminal(CLI_WORDS("status"));
        assert_int_equal(cli_status, EXIT_FAILED);
        cli_shows("State: idle; ");
        cli_shows("its second reason");
        assert_string_equal(cli_err, "");
}

#define WITH_SET_UP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                        WITH_SET_UP(test_history),
                        WITH_SET_UP(test_nothing),
                        WITH_SET_UP(test_sealed),
                        WITH_SET_UP(test_restoring),
                        WITH_SET_UP(test_what_it_waits_for),
                        WITH_SET_UP(test_interrupted),
                        WITH_SET_UP(test_report),
                        WITH_SET_UP(test_not_kept),
                        WITH_SET_UP(test_steps),
                        WITH_SET_UP(test_metrics),
                        WITH_SET_UP(test_stopped),
                        WITH_SET_UP(test_bad_ticket),
                        WITH_SET_UP(test_cannot_look),
                        WITH_SET_UP(test_restore_which),
                        WITH_SET_UP(test_restore),
                        WITH_SET_UP(test_table_fits),
                        WITH_SET_UP(test_scheduled),
                        WITH_SET_UP(test_terminal),
                        WITH_SET_UP(test_pager),
        };
        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

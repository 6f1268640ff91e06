/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The verbs with the real flow on a machine of fakes: what they do, what they print where, what they end
 * with. The words that the command refuses, its help and its completion are tests/style/check-cli's. */

#include "tests/fakes/clock.h"
#include "tests/unit/cli-run.h"

#include <sys/wait.h>

#define FIRST  4000001
#define SECOND 4000002

#define FIRST_KEPT "pid:4000001@4000001"

static int set_up(void **state) {
        (void)fresh_machine(state);
        (void)fake_add_tree(FIRST);
        (void)fake_add_tree(SECOND);
        fake_on_sleep = NULL;
        return 0;
}

static size_t kept(void) {
        _cleanup_(keep_freep) Keep *keep = NULL;

        assert_int_equal(run_keep_read(&keep), 0);
        return keep->n_targets;
}

/* The command line. */

static const CliCall *parsed(Parse *p, int argc, const char *const *words) {
        char *argv[16] = {(char *)"carryover"};

        *p = (Parse){0};
        for (int i = 0; i < argc; i++)
                argv[i + 1] = (char *)words[i];
        assert_int_equal(parse(argc + 1, argv, p), 0);
        return &p->call;
}

#define PARSED(p, ...) parsed(p, CLI_WORDS(__VA_ARGS__))

static void test_words(void **state) {
        const CliCall *call;
        Parse p;

        call = PARSED(&p, "reboot", "--kernel", "6.1", "--append=a b=c", "--force");
        assert_string_equal(call->verb->name, "reboot");
        assert_string_equal(cli_option(call, "kernel"), "6.1");
        assert_string_equal(cli_option(call, "append"), "a b=c");
        assert_string_equal(cli_option(call, "force"), "");
        assert_null(cli_option(call, "no-kexec"));
        assert_null(cli_option(call, "no-such"));
        assert_null(cli_arg(call, 0));

        call = PARSED(&p, "--json", "check", "pid:1");
        assert_int_equal(call->json, CLI_JSON_SHORT);
        assert_string_equal(cli_arg(call, 0), "pid:1");
        call = PARSED(&p, "list", "--json=short", "--json=pretty");
        assert_int_equal(call->json, CLI_JSON_PRETTY);
        call = PARSED(&p, "list", "--json=short", "--json=off", "--no-pager");
        assert_int_equal(call->json, CLI_TEXT);
        assert_true(call->no_pager);

        call = PARSED(&p, "enter", "a", "--", "ls", "--json=x", "-h", "--");
        assert_int_equal(call->n_args, 5);
        assert_string_equal(cli_arg(call, 2), "--json=x");
        assert_string_equal(cli_arg(call, 4), "--");
        assert_null(cli_arg(call, 5));
        assert_false(p.help);

        /* whoever asks for help need not know the verb yet */
        (void)PARSED(&p, "--help");
        assert_true(p.help && !p.call.verb);
}

static void wrong(int argc, const char *const *words, const char *says) {
        assert_int_equal(cli_call(-1, argc, words), EXIT_USAGE);
        cli_says(says);
        cli_says(": see carryover --help");
        assert_string_equal(cli_out, "");
}

static void test_wrong_words(void **state) {
        wrong(CLI_WORDS("--kernel=6.1", "reboot"), "unknown option --kernel=6.1"); /* of no verb yet */
        wrong(CLI_WORDS("reboot", "--append"), "--append needs a value: WORDS");
        wrong(CLI_WORDS("status", "--force"), "unknown option --force for status");
        wrong(CLI_WORDS("restore", "--force=yes"), "--force takes no value");
        wrong(CLI_WORDS("--", "--frob"), "unknown verb '--frob'");
        wrong(CLI_WORDS("--no-pager"), "no verb given");
        wrong(CLI_WORDS("drop", "-a"), "unknown option -a");
}

/* What a script has asked for must have come to it. */
static void test_full_disk(void **state) {
        assert_int_equal(cli_full("--help"), EXIT_FAILED);
        assert_int_equal(cli_full("drop", "--help"), EXIT_FAILED);
        assert_int_equal(cli_full("help"), EXIT_FAILED);
        assert_int_equal(cli_full("completion"), EXIT_FAILED);
        assert_int_equal(cli_full("--version"), EXIT_FAILED);
        fake_keep();
        assert_int_equal(cli_full("check", "pid:4000001"), EXIT_FAILED);
        cli_says("cannot write the output");
        assert_int_equal(cli_full("list", "--json=short"), EXIT_FAILED);
        cli_says("cannot write the output");
        assert_int_equal(cli_full("status"), EXIT_FAILED);
        cli_says("cannot write the output");
}

static void test_list_faults(void **state) {
        assert_int_equal(cli("--list-faults"), EXIT_OK);
        assert_string_equal(cli_out, "cli:one\ncli:two\n");
        assert_int_equal(cli("--help"), EXIT_OK);
        assert_null(strstr(cli_out, "list-faults"));
}

/* check. */

static void test_check(void **state) {
        assert_int_equal(cli("check", "pid:4000001"), EXIT_OK);
        cli_shows("pid-4000001 - ok\n");
        cli_shows("this machine - ok\n");
        assert_string_equal(cli_err, "");
        assert_null(strstr(cli_out, "4000002"));
        assert_int_equal(kept(), 0);
        assert_int_equal(access(MACHINE_STORE, F_OK), -1); /* it changes nothing */

        assert_int_equal(cli("check", "unit:pid-4000002"), EXIT_OK);
        cli_shows("unit:pid-4000002.service");

        assert_int_equal(cli("check", "pid:4000001", "--json=short"), EXIT_OK);
        cli_json(false);
        cli_shows("\"level\":\"ok\"");
        assert_int_equal(cli("check", "pid:4000001", "--json=pretty"), EXIT_OK);
        cli_json(true);
}

static void test_check_lossy(void **state) {
        strcpy(fake->trees[0].loss, "Its shared memory with a very long sentence, so long that no terminal");
        assert_int_equal(cli("check", "pid:4000001"), EXIT_OK);
        cli_shows("pid-4000001 - degraded\n");
        cli_fits();
        assert_string_equal(cli_err, "");
}

static void test_check_refused(void **state) {
        strcpy(fake->trees[0].refusal, "it has an io_uring");
        assert_int_equal(cli("check", "pid:4000001"), EXIT_REFUSED);
        cli_shows("pid-4000001 - refused\n");
        cli_says("cannot be carried: ");
        cli_says("it has an io_uring");
        assert_int_equal(cli("check", "pid:4000001", "--json=short"), EXIT_REFUSED);
        cli_json(false);
        cli_shows("\"level\":\"refused\"");

        assert_int_equal(cli("check", "pid:4000002"), EXIT_OK);
        strcpy(fake->machine_refusal, "there is no CRIU");
        assert_int_equal(cli("check", "pid:4000002"), EXIT_REFUSED);
        cli_shows("this machine - refused\n");
        cli_says("there is no CRIU");
}

static void test_check_all(void **state) {
        assert_int_equal(cli("check", "--all"), EXIT_REFUSED);
        cli_shows("WHAT                 USER  FATE  WHY\n"
                  "pid-4000001.service  1000  lost  not enabled; not kept: carryover keep\n"
                  "                                 unit:pid-4000001\n");
        cli_shows("\n0 carried, 0 with losses, 2 lost\n0 services start anew\n");
        cli_fits();
        assert_string_equal(cli_err, "");
        assert_int_equal(kept(), 0);
        assert_int_equal(access(MACHINE_STORE, F_OK), -1);

        fake_keep();
        strcpy(fake->trees[0].loss, "something is lost");
        assert_int_equal(cli("check", "--all"), EXIT_REFUSED); /* reboot would ask */
        cli_shows("pid-4000001.service  1000  with losses  something is lost\n"
                  "pid-4000002.service  1000  carried\n");
        cli_shows("\n1 carried, 1 with losses, 0 lost; about 1 MiB of ");
        cli_fits();
        assert_int_equal(cli("check", "--all", "--json=short"), EXIT_REFUSED);
        cli_json(false);
        cli_shows("\"fate\":\"with losses\"");
        fake->trees[0].loss[0] = '\0';
        assert_int_equal(cli("check", "--all", "--json=pretty", "--verbose"), EXIT_OK);
        cli_json(true);

        strcpy(fake->machine_refusal, "there is no CRIU");
        assert_int_equal(cli("check", "--all"), EXIT_REFUSED);
        cli_shows("0 carried, 0 with losses, 2 lost");
        cli_shows("\n0 services start anew\n\n");
        cli_shows("this machine - refused\n");
        cli_shows("there is no CRIU\n");

        fake->n_trees = 0; /* nobody is there to lose anything, and reboot would be refused */
        assert_int_equal(cli("check", "--all"), EXIT_REFUSED);
        fake->machine_refusal[0] = '\0';
        assert_int_equal(cli("check", "--all"), EXIT_OK);
        cli_shows("0 carried, 0 with losses, 0 lost");
}

static void test_check_all_what(void **state) {
        assert_int_equal(cli("check", "--all", "pid:4000001"), EXIT_USAGE);
        cli_says("not both");
        assert_int_equal(cli("check", "--verbose"), EXIT_USAGE);
        cli_says("--verbose needs --all");
        assert_string_equal(cli_out, "");
        assert_int_equal(cli_full("check", "--all"), EXIT_FAILED);
        cli_says("cannot write the output");
        fake_fail("snapshot_take", 2, -EIO);
        assert_int_equal(cli("check", "--all"), EXIT_FAILED);
        cli_says("snapshot_take was told to fail");
        fake_heal();
        fake_fail("bus_unit_facts", 1, -EIO); /* is no reason to leave anything out */
        assert_int_equal(cli("check", "--all"), EXIT_REFUSED);
        cli_shows("cannot determine whether");
        cli_shows("0 carried, 0 with losses, 2 lost");
}

static void test_check_what(void **state) {
        assert_int_equal(cli("check", "pid:4000003"), EXIT_FAILED);
        cli_says("4000003");
        assert_int_equal(cli("check", "4000001"), EXIT_USAGE);
        cli_says("invalid target");
        assert_int_equal(cli("check"), EXIT_FAILED);
        cli_says("does not run in a login session");
        assert_string_equal(cli_out, "");
        fake_fail("snapshot_take", 1, -EIO);
        assert_int_equal(cli("check", "pid:4000001"), EXIT_FAILED);
        cli_says("snapshot_take was told to fail");
        fake_fail("snapshot_look", 1, -EIO);
        assert_int_equal(cli("check", "pid:4000001"), EXIT_FAILED);
        cli_says("snapshot_look was told to fail");
        assert_string_equal(cli_out, "");
}

static void test_broken_config(void **state) {
        configure("Nonsense=yes\n");
        assert_int_equal(cli("check", "pid:4000001"), EXIT_FAILED);
        cli_says("Nonsense");
        assert_int_equal(cli("list"), EXIT_FAILED);
        cli_says("Nonsense");
        assert_int_equal(cli("status"), EXIT_FAILED);
        cli_says("Nonsense");
        assert_int_equal(cli("reboot"), EXIT_FAILED);
        cli_says("Nonsense");
        assert_int_equal(cli("restore"), EXIT_FAILED);
        cli_says("Nonsense");
}

/* keep, drop, list. */

static void test_keep(void **state) {
        assert_int_equal(cli("keep", "pid:4000001"), EXIT_OK);
        cli_shows("pid-4000001 - ok\n");
        cli_shows("pid:4000001 is kept.\n");
        assert_string_equal(cli_err, "");
        assert_int_equal(kept(), 1);
        assert_int_equal(fake_count("stop_order"), 1);

        assert_int_equal(cli("keep", "pid:4000001"), EXIT_OK);
        cli_shows("pid:4000001 is already kept.\n");
        assert_int_equal(kept(), 1);

        assert_int_equal(cli("keep", "unit:pid-4000002", "--json=short"), EXIT_OK);
        cli_json(false); /* and no sentence behind it */
        assert_int_equal(kept(), 2);
}

static void test_not_kept(void **state) {
        strcpy(fake->trees[0].refusal, "it has an io_uring");
        assert_int_equal(cli("keep", "pid:4000001"), EXIT_REFUSED);
        cli_says("not kept: ");
        assert_int_equal(kept(), 0);
        assert_int_equal(fake_count("stop_order"), 0);

        assert_int_equal(cli("keep", "pid:4000003"), EXIT_FAILED);
        assert_int_equal(cli("keep", "nonsense"), EXIT_USAGE);

        /* a shutdown would end it before the save */
        fake_fail("stop_order", 1, -EIO);
        assert_int_equal(cli("keep", "pid:4000002"), EXIT_FAILED);
        cli_says("stop_order was told to fail");
        assert_int_equal(kept(), 0);
}

/* Two that keep something of one unit write one file. */
static void test_keep_one_at_a_time(void **state) {
        int ready[2], over[2], status;
        char byte = 0;
        pid_t other;

        assert_int_equal(pipe(ready), 0);
        assert_int_equal(pipe(over), 0);
        other = fork();
        if (other == 0) {
                close(over[1]);
                if (run_keep_lock() < 0 || write(ready[1], &byte, 1) != 1)
                        _exit(1);
                _exit(read(over[0], &byte, 1) != 0);
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        assert_int_equal(cli("keep", "pid:4000001"), EXIT_FAILED);
        cli_says("another keep is in progress");
        assert_int_equal(fake_count("stop_order"), 0);

        close(over[1]);
        assert_int_equal(waitpid(other, &status, 0), other);
        assert_int_equal(status, 0);
        assert_int_equal(cli("keep", "pid:4000001"), EXIT_OK);
        close(ready[0]);
        close(ready[1]);
        close(over[0]);
}

static void test_keep_without_modules(void **state) {
        fake_fail("kmod_load", 1, -ENOENT);
        assert_int_equal(cli("keep", "pid:4000001"), EXIT_OK);
        cli_says("some kernel modules could not be loaded");
        assert_int_equal(kept(), 1);
}

static void test_drop(void **state) {
        fake_keep();
        assert_int_equal(cli("drop", "pid:400000"), EXIT_NOTHING); /* the beginning of both */
        cli_says("pid:400000 is not kept: see carryover list");
        assert_int_equal(kept(), 2);
        assert_int_equal(cli("drop", "pid:4000002"), EXIT_OK);
        assert_string_equal(cli_err, "");
        assert_string_equal(cli_out, "");
        assert_int_equal(kept(), 1);
        fake->trees[0].life = FAKE_DEAD; /* what has ended can be dropped, too */
        assert_int_equal(cli("drop", FIRST_KEPT), EXIT_OK);
        assert_int_equal(kept(), 0);

        assert_int_equal(cli("keep", "unit:pid-4000002"), EXIT_OK);
        assert_int_equal(cli("drop", "unit:pid-400000"), EXIT_NOTHING);
        assert_int_equal(cli("drop", "unit:pid-4000002"), EXIT_OK);
        assert_int_equal(kept(), 0);
}

static void test_drop_all(void **state) {
        assert_int_equal(cli("drop", "--all"), EXIT_NOTHING);
        cli_says("nothing is kept");
        fake_keep();
        assert_int_equal(cli("drop", "--all", "pid:4000001"), EXIT_USAGE);
        cli_says("not both");
        assert_int_equal(cli("drop", "nonsense"), EXIT_USAGE);
        cli_says("invalid target");
        assert_int_equal(cli("drop"), EXIT_FAILED);
        cli_says("does not run in a login session");
        assert_int_equal(kept(), 2);
        assert_int_equal(cli("drop", "--all"), EXIT_OK);
        assert_int_equal(kept(), 0);
}

static void test_list(void **state) {
        assert_int_equal(cli("list"), EXIT_NOTHING);
        cli_says("nothing is kept: see carryover keep");
        assert_string_equal(cli_out, "");
        assert_int_equal(cli("list", "--json=short"), EXIT_NOTHING);
        cli_json(false);

        fake_keep();
        assert_int_equal(cli("list"), EXIT_OK);
        assert_string_equal(cli_out, "NAME         TARGET       USER  PID      STATE    WHY   COMMAND\n"
                                     "pid-4000001  pid:4000001  1000  4000001  running  keep  job\n"
                                     "pid-4000002  pid:4000002  1000  4000002  running  keep  job\n");
        assert_string_equal(cli_err, "");
        cli_fits();
        assert_int_equal(cli("list", "--json=pretty"), EXIT_OK);
        cli_json(true);

        cli_shows("\"why\":\"keep\"");
        cli_shows("\"gone\":[");
        fake_fail("run_keep_read", 1, -EIO);
        assert_int_equal(cli("list"), EXIT_FAILED);
        cli_says("run_keep_read was told to fail");
}

/* What has ended is not passed over: its user may believe it kept. */
static void test_list_gone(void **state) {
        fake_keep();
        fake->trees[0].life = FAKE_DEAD;
        assert_int_equal(cli("list"), EXIT_OK);
        cli_shows("pid-4000002  pid:4000002          1000  4000002  running  keep  job\n"
                  "-            pid:4000001@4000001  -     -        gone     keep  -\n");
        assert_string_equal(cli_err, "");
        cli_fits();
        assert_int_equal(cli("status", "--json"), EXIT_OK);
        cli_shows("\"kept\":1,\"gone\":1,");
        assert_int_equal(cli("list", "--json"), EXIT_OK);
        cli_shows("\"gone\":[{\"target\":\"pid:4000001@4000001\",\"why\":\"keep\",\"state\":\"gone\"}]");
        fake->trees[1].life = FAKE_DEAD;
        assert_int_equal(cli("list"), EXIT_NOTHING);
        assert_int_equal(cli_lines(cli_out), 3);
        cli_says("all that was kept has ended: run carryover drop --all");
        assert_int_equal(cli("status"), EXIT_NOTHING); /* as long as there was no save */
        assert_int_equal(cli("drop", FIRST_KEPT), EXIT_OK);
        assert_int_equal(cli("list"), EXIT_NOTHING);
        assert_int_equal(cli_lines(cli_out), 2);
}

static void test_user_names(void **state) {
        int etc = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(file_replace(etc, "passwd", "joe:x:1000:", 11), 0);
        fake_keep();
        assert_int_equal(cli("list"), EXIT_OK);
        cli_shows("  joe   ");
        assert_int_equal(cli("list", "--json"), EXIT_OK);
        cli_shows("\"user\":\"joe\"");
        assert_int_equal(cli("check", "pid:4000001"), EXIT_OK);
        cli_shows("job (4000001) of joe, ");
        assert_int_equal(unlinkat(etc, "passwd", 0), 0);
        (void)close(etc);
}

/* reboot. */

/* As the restore does, but for the trees. */
static void answer_well(void) {
        _cleanup_(ticket_freep) Ticket *report = model_new(Ticket, ticket__init);
        _cleanup_(request_freep) Request *request = NULL;
        Store store = machine_store();

        assert_int_equal(run_request_read(&request), 0);
        assert_non_null(request);
        report->has_request_at = report->has_done_at = true;
        report->request_at = request->realtime;
        assert_int_equal(model_set_string(&report->id, "aa") | model_set_string(&report->version, "1") |
                                         model_set_string(&report->old_boot, "b") |
                                         model_set_string(&report->old_kernel, "k") |
                                         model_set_string(&report->machine, "m") |
                                         model_set_string(&report->action, "kexec") |
                                         model_set_string(&report->hold_backend, "auto"),
                         0);
        assert_int_equal(store_report_write(&store, report), 0);
        assert_int_equal(run_request_remove(), 0);
        store_close(&store);
}

static void nobody(void) {
        (void)run_request_remove();
}

static void test_reboot(void **state) {
        fake_keep();
        fake_on_sleep = answer_well;
        assert_int_equal(cli("reboot", "--kernel=6.1.0-9-x", "--append", "quiet debug"), EXIT_OK);
        cli_shows("keeping pid-4000001 of 1000 (job)\nkeeping pid-4000002 of 1000 (job)\njumping into Linux "
                  "6.1.0-9-x\n");
        assert_string_equal(fake->started, "kexec.target");
        assert_true(fake_count("kernel_find 6.1.0-9-x") > 0);
        assert_non_null(strstr(fake->loaded_cmdline, "quiet debug"));

        assert_int_equal(cli("reboot", "--no-kexec"), EXIT_OK);
        cli_shows("rebooting\n");
        assert_string_equal(fake->started, "reboot.target");
}

/* Whose work ends is said before it does, and stays in the report. */
static Request *request;

static void read_request(void) {
        if (!request)
                assert_int_equal(run_request_read(&request), 0);
        nobody();
}

static void test_reboot_ends_others(void **state) {
        assert_int_equal(cli("keep", "pid:4000001"), EXIT_OK);
        fake_on_sleep = read_request;
        assert_int_equal(cli("reboot", "--yes"), EXIT_FAILED);
        assert_int_equal(fake_count("terminal_ask"), 0);
        cli_shows("This reboot ends:\n"
                  "WHAT                 USER  FATE  WHY\n"
                  "pid-4000002.service  1000  lost  not enabled; not kept: carryover keep\n"
                  "                                 unit:pid-4000002\n"
                  "\nkeeping pid-4000001 of 1000 (job)\n");
        assert_null(strstr(cli_out, "pid-4000001.service"));
        assert_non_null(request);
        assert_int_equal(request->n_ended, 1);
        assert_string_equal(request->ended[0]->what, "pid-4000002.service");
        assert_string_equal(request->ended[0]->user, "1000");
        assert_string_equal(request->ended[0]->fate, "lost");
        model_free(TAKE(request));
}

/* Nothing is begun of it. */
static void assert_not_rebooted(const char *why) {
        assert_int_equal(cli_status, EXIT_REFUSED);
        cli_shows("This reboot ends:\n");
        assert_string_equal(cli_err, why);
        assert_string_equal(fake->started, "");
        assert_false(fake->loaded);
        assert_int_equal(fake_count("stop_order"), 0);
}

static const char no_terminal[] = "carryover: not rebooted: what is listed above would be lost: run "
                                  "carryover keep, or use --yes\n";

static void test_reboot_asks(void **state) {
        assert_int_equal(cli("keep", "pid:4000001"), EXIT_OK);
        fake_forget_events(); /* keep orders the stop, too */
        fake_on_sleep = nobody;
        cli("reboot");
        assert_not_rebooted(no_terminal);
        fake->answer = 1; /* a terminal, and who sits there would say yes */
        cli("reboot", "--no-ask");
        assert_not_rebooted(no_terminal);
        assert_int_equal(fake_count("terminal_ask"), 1);
        fake->answer = 0;
        cli("reboot");
        assert_not_rebooted("carryover: not rebooted\n");
        fake->answer = 1;
        assert_int_equal(cli("reboot"), EXIT_FAILED);
        assert_int_equal(fake_count("terminal_ask Go on? [y/N] "), 3);
        assert_string_equal(fake->started, "kexec.target");
}

static void somebody_else_reboots(void) {
        fake->boot += 2; /* the session is carried, with its question */
}

static void test_reboot_asks_in_another_boot(void **state) {
        assert_int_equal(cli("keep", "pid:4000001"), EXIT_OK);
        fake_forget_events();
        fake_on_sleep = nobody;
        fake->answer = 1;
        fake_meanwhile("terminal_ask", somebody_else_reboots);
        cli("reboot");
        fake_meanwhile("", NULL);
        assert_not_rebooted("carryover: not rebooted: this session was carried into another boot while the "
                            "question was open: run carryover reboot again\n");
        assert_int_equal(fake_count("terminal_ask"), 1);
}

/* Its own losses count, and what nobody can see. */
static void test_reboot_asks_for_losses(void **state) {
        fake_keep();
        fake_on_sleep = nobody;
        strcpy(fake->trees[1].loss, "its clock is late");
        cli("reboot");
        assert_not_rebooted(no_terminal);
        cli_shows("with losses  its clock is late");
        assert_int_equal(cli("reboot", "--yes"), EXIT_FAILED);
        fake->started[0] = fake->trees[1].loss[0] = '\0';
        fake_fail("login_sessions", 3, -EIO);
        assert_int_equal(cli("reboot"), EXIT_REFUSED);
        cli_shows("cannot tell what that is: login_sessions was told to fail");
        assert_string_equal(fake->started, "");
}

/* --force accepts what is kept and cannot be saved, and nothing else. */
static void test_reboot_force_is_no_yes(void **state) {
        fake_keep();
        fake_on_sleep = nobody;
        strcpy(fake->trees[0].refusal, "it has an io_uring");
        assert_int_equal(cli("reboot", "--yes"), EXIT_REFUSED);
        cli_says("or use --force to leave it behind");
        assert_int_equal(cli("reboot", "--force"), EXIT_FAILED);
        assert_string_equal(fake->started, "kexec.target");
        assert_int_equal(fake_count("terminal_ask"), 0);
        fake->started[0] = '\0';
        strcpy(fake->trees[1].loss, "its clock is late");
        assert_int_equal(cli("reboot", "--force"), EXIT_REFUSED);
        assert_string_equal(cli_err, no_terminal);
        assert_string_equal(fake->started, "");
}

static void test_reboot_nobody_answers(void **state) {
        fake_keep();
        fake_on_sleep = nobody;
        assert_int_equal(cli("reboot"), EXIT_FAILED);
        cli_says("no answer: see journalctl");
}

static void test_reboot_refused(void **state) {
        fake_on_sleep = nobody;
        assert_int_equal(cli("reboot"), EXIT_NOTHING);
        cli_says("nothing is kept, and this is not a login session");
        fake_keep();
        strcpy(fake->trees[0].refusal, "it has an io_uring");
        assert_int_equal(cli("reboot"), EXIT_REFUSED);
        cli_says("not rebooted: ");
        cli_says("or use --force to leave it behind");
        assert_string_equal(fake->started, "");
        assert_false(fake->loaded);
        assert_int_equal(cli("reboot", "--force"), EXIT_FAILED);
        assert_string_equal(fake->started, "kexec.target");

        fake->started[0] = '\0';
        strcpy(fake->machine_refusal, "there is no CRIU");
        assert_int_equal(cli("reboot", "--force"), EXIT_REFUSED);
        assert_null(strstr(cli_err, "--force"));
        assert_string_equal(fake->started, "");
        strcpy(fake->shutdown, "reboot");
        assert_int_equal(cli("reboot"), EXIT_FAILED);
        cli_says("is already in progress");
}

static void test_needs_root(void **state) {
        assert_int_equal(seteuid(65534), 0);
        cli("list");
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(cli_status, EXIT_FAILED);
        cli_says("list needs root: try sudo carryover list");
}

#define WITH_SET_UP(test) cmocka_unit_test_setup(test, set_up)

static void shows(const char *what) {
        if (!strstr(cli_out, what))
                fail_msg("no '%s' in: %s", what, cli_out);
}

static void test_config(void **state) {
        configure("Notify=no\nCriu=/opt/a-rather-long-directory/criu\n");
        assert_int_equal(cli("config"), EXIT_OK);
        shows("Notify=no                        # /etc/carryover/carryover.conf:2\n");
        shows("Criu=/opt/a-rather-long-directory/criu # /etc/carryover/carryover.conf:3\n");
        shows("MaxUse=90%                       # default\n");
        assert_int_equal(cli("config", "--json"), EXIT_OK);
        shows("{\"name\":\"Notify\",\"value\":\"no\",\"file\":\"/etc/carryover/"
              "carryover.conf\",\"line\":2}");
        shows("{\"name\":\"MaxUse\",\"value\":\"90%\",\"file\":null,\"line\":null}");
        configure("Notify=perhaps\n");
        assert_int_equal(cli("config"), EXIT_FAILED);
        cli_says("invalid value for Notify=");
        assert_int_equal(cli_full("config"), EXIT_FAILED);
        assert_int_equal(cli("config", "Notify"), EXIT_USAGE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        WITH_SET_UP(test_words),
                        WITH_SET_UP(test_wrong_words),
                        WITH_SET_UP(test_full_disk),
                        WITH_SET_UP(test_list_faults),
                        WITH_SET_UP(test_check),
                        WITH_SET_UP(test_check_lossy),
                        WITH_SET_UP(test_check_refused),
                        WITH_SET_UP(test_check_all),
                        WITH_SET_UP(test_check_all_what),
                        WITH_SET_UP(test_check_what),
                        WITH_SET_UP(test_broken_config),
                        WITH_SET_UP(test_keep),
                        WITH_SET_UP(test_not_kept),
                        WITH_SET_UP(test_keep_one_at_a_time),
                        WITH_SET_UP(test_keep_without_modules),
                        WITH_SET_UP(test_drop),
                        WITH_SET_UP(test_drop_all),
                        WITH_SET_UP(test_list),
                        WITH_SET_UP(test_list_gone),
                        WITH_SET_UP(test_user_names),
                        WITH_SET_UP(test_reboot),
                        WITH_SET_UP(test_reboot_ends_others),
                        WITH_SET_UP(test_reboot_asks),
                        WITH_SET_UP(test_reboot_asks_in_another_boot),
                        WITH_SET_UP(test_reboot_asks_for_losses),
                        WITH_SET_UP(test_reboot_force_is_no_yes),
                        WITH_SET_UP(test_reboot_nobody_answers),
                        WITH_SET_UP(test_reboot_refused),
                        WITH_SET_UP(test_config),
                        WITH_SET_UP(test_needs_root),
        };
        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

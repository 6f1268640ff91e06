/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The server on a machine of fakes, with a socket on whose other end everything has been said already. */

#include "varlink/server.h"

#include "base/text.h"
#include "store/history.h"
#include "tests/fakes/machine.h"
#include "tests/unit/ticket.h"
#include "varlink/methods.h"
#include "varlink/wire.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FIRST 4000001u
#define PEER  4000009
#define CALL  "{\"method\":\"io.carryover."
#define ASK   "{\"method\":\"org.varlink.service."

static const PolkitSubject root = {.pid = PEER, .pidfd = -1};
static char answers[65536];
static size_t n_answers;

static int take(int fd) {
        ssize_t n;
        size_t have = 0;

        while ((n = recv(fd, answers + have, sizeof answers - 1 - have, MSG_DONTWAIT)) > 0)
                have += (size_t)n;
        answers[have] = '\0';
        n_answers = 0;
        for (size_t i = 0; i < have; i++)
                n_answers += answers[i] == '\0';
        return (int)have;
}

/* What the server ends with; what it said is in `answers`, up to the first NUL. */
static int say_as(uid_t uid, const char *bytes, size_t size) {
        int ends[2], r;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(send(ends[1], bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL), size);
        assert_int_equal(shutdown(ends[1], SHUT_WR), 0);
        r = server_run(ends[0], &(PolkitSubject){.uid = uid, .pid = PEER, .pidfd = -1});
        (void)close(ends[0]);
        (void)take(ends[1]);
        (void)close(ends[1]);
        return r;
}

static void call(const char *message) {
        assert_int_equal(say_as(0, message, strlen(message) + 1), 0);
        assert_int_equal(n_answers, 1);
}

static void answer_has(const char *what) {
        if (!strstr(answers, what))
                fail_msg("'%s' is not in: %s", what, answers);
}

static void test_info(void **state) {
        call(ASK "GetInfo\"}");
        answer_has("{\"parameters\":{\"vendor\":\"carryover\"");
        answer_has("\"interfaces\":[\"io.carryover\",\"org.varlink.service\"]");
        call(ASK "GetInterfaceDescription\",\"parameters\":{\"interface\":\"io.carryover\"}}");
        answer_has("interface io.carryover\\n");
        answer_has("method Status(tree: ?string, allowInteractiveAuthentication: ?bool) -> (");
        call(ASK "GetInterfaceDescription\",\"parameters\":{\"interface\":\"io.other\"}}");
        answer_has("{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":\"io."
                   "other\"}}");
        call(ASK "GetInterfaceDescription\"}");
        answer_has("InvalidParameter\",\"parameters\":{\"parameter\":\"interface\"}}");
}

static void test_verbs(void **state) {
        _cleanup_(ticket_freep) Ticket *t = sample_ticket("aa");
        Store store = machine_store();
        FakeTree *tree;

        call(CALL "Status\"}");
        answer_has("{\"parameters\":{\"phase\":\"idle\"");
        call(CALL "History\",\"parameters\":{}}");
        answer_has("{\"parameters\":{\"reports\":[]");
        call(CALL "List\",\"parameters\":null}");
        answer_has("{\"trees\":[],\"machine\":null,\"gone\":[]}");

        (void)sample_tree(t, "one", FIRST);
        t->trees[0]->outcome = model_new(Outcome, outcome__init);
        t->trees[0]->outcome->state = OUTCOME__STATE__CARRIED;
        assert_int_equal(store_report_write(&store, t), 0);
        assert_int_equal(store_history_add(&store, t), 0);
        store_close(&store);
        call(CALL "Status\",\"parameters\":{\"tree\":\"one\"}}");
        answer_has("\"verdict\":\"carried\"");
        answer_has("\"phase\":\"idle\"");
        call(CALL "Status\",\"parameters\":{\"tree\":\"two\"}}");
        answer_has("{\"error\":\"io.carryover.Failed\",\"parameters\":{\"message\":\"the last save has no "
                   "tree 'two'");
        call(CALL "History\"}");
        answer_has("{\"reports\":[{\"version\":");

        tree = fake_add_tree((pid_t)FIRST);
        fake_keep();
        call(CALL "List\"}");
        answer_has("\"state\":\"running\"");
        snprintf(tree->refusal, sizeof tree->refusal, "it is refused");
        call(CALL "Check\",\"parameters\":{\"target\":\"pid:4000001\"}}");
        answer_has("\"text\":\"it is refused\"");
        call(CALL "Check\",\"parameters\":{\"target\":\"nonsense\"}}");
        answer_has("io.carryover.Failed");
        answer_has("invalid target");
        call(CALL "CheckAll\"}");
        answer_has("{\"parameters\":{\"things\":[");
        fake_fail("run_keep_read", 1, -EIO);
        call(CALL "List\"}");
        answer_has("run_keep_read was told to fail");
}

/* What acts does what the verb does. */
static void test_keep(void **state) {
        FakeTree *tree = fake_add_tree((pid_t)FIRST);

        call(CALL "Drop\",\"parameters\":{\"target\":\"pid:4000001\"}}");
        answer_has("{\"error\":\"io.carryover.NotKept\",\"parameters\":{}}");
        call(CALL "Drop\"}");
        answer_has("{\"parameter\":\"target\"}");
        snprintf(tree->refusal, sizeof tree->refusal, "it is refused");
        call(CALL "Keep\",\"parameters\":{\"target\":\"pid:4000001\"}}");
        answer_has("{\"error\":\"io.carryover.Refused\",\"parameters\":{\"message\":\"it is refused; "
                   "wait\"}}");
        call(CALL "List\"}");
        answer_has("{\"trees\":[],");
        tree->refusal[0] = '\0';
        call(CALL "Keep\",\"parameters\":{\"target\":\"pid:4000001\"}}");
        answer_has("\"level\":\"ok\"");
        call(CALL "List\"}");
        answer_has("\"why\":\"keep\"");
        fake_fail("kmod_load", 1, -ENOENT);
        call(CALL "Keep\",\"parameters\":{\"target\":\"pid:4000001\"}}");
        answer_has("\"machine\":{\"level\":\"degraded\",\"notes\":[{\"level\":\"degraded\",\"what\":"
                   "\"modules\",");
        answer_has("some kernel modules could not be loaded; a save may fail");
        call(CALL "DropAll\"}");
        assert_string_equal(answers, "{\"parameters\":{}}");
        call(CALL "DropAll\"}");
        answer_has("NotKept");
}

/* Each refusal has its name, and leaves nothing of itself. */
static void refused(const char *error, const char *sentence) {
        answer_has(error);
        answer_has(sentence);
        assert_int_equal(fake->started[0], '\0');
        assert_int_equal(access(RUN_REQUEST, F_OK), -1);
        assert_false(fake->loaded);
}

static void test_reboot_refuses(void **state) {
        FakeTree *tree;

        call(CALL "Reboot\"}");
        refused("io.carryover.NothingKept\"", "run carryover keep TARGET");
        tree = fake_add_tree((pid_t)FIRST);
        fake_keep();
        call(CALL "Reboot\",\"parameters\":{\"yes\":\"true\"}}");
        refused("InvalidParameter\"", "{\"parameter\":\"yes\"}");
        call(CALL "Reboot\",\"parameters\":{\"append\":\"init=/bin/sh\"}}");
        refused("InvalidParameter\"", "{\"parameter\":\"append\"}");
        snprintf(tree->refusal, sizeof tree->refusal, "it is refused");
        call(CALL "Reboot\"}");
        refused("io.carryover.Refused\"", "it is refused");
        tree->refusal[0] = '\0';
        (void)fake_add_tree((pid_t)FIRST + 1);
        call(CALL "Reboot\"}");
        refused("io.carryover.WouldEnd\"", "1 would be lost or would have losses: call CheckAll");
        fake_keep();
        strcpy(fake->shutdown, "poweroff");
        call(CALL "Reboot\"}");
        refused("io.carryover.Busy\"", "a shutdown (poweroff) is already in progress");
        fake->shutdown[0] = '\0';
        fake_fail("kexec_load_kernel", 1, -EIO);
        call(CALL "Reboot\"}");
        refused("io.carryover.Failed\"", "kexec_load_kernel was told to fail");
}

static void test_inhibited(void **state) {
        static const char lock[] = "WHAT=shutdown\nMODE=block\nUID=0\nPID=812\nWHO=apt\nWHY=upgrade\n";
        int dir = open_dirs("/run/systemd/inhibit", 0755);
        _cleanup_(closep) int fd = -1;

        (void)fake_add_tree((pid_t)FIRST);
        fake_keep();
        assert_int_equal(file_replace(dir, "1", lock, strlen(lock)), 0);
        assert_int_equal(mkfifoat(dir, "1.ref", 0600), 0);
        fd = openat(dir, "1.ref", O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        call(CALL "Reboot\"}");
        refused("io.carryover.Inhibited\"", "inhibits a shutdown: upgrade");
        call(CALL "Reboot\",\"parameters\":{\"ignore_inhibitors\":true}}");
        answer_has("{\"parameters\":{\"new\":{\"kernel\":");
        assert_int_equal(file_remove_tree(dir, "1"), 0);
        (void)fd_close(dir);
}

static void test_reboot(void **state) {
        sigset_t set;

        (void)fake_add_tree((pid_t)FIRST);
        fake_keep();
        (void)fake_add_tree((pid_t)FIRST + 1);
        call(CALL "Reboot\",\"parameters\":{\"yes\":true}}");
        answer_has("{\"parameters\":{\"new\":{\"kernel\":");
        answer_has("\"keeps\":{\"trees\":[{\"name\":");
        assert_string_equal(fake->started, "kexec.target");
        assert_int_equal(access(RUN_REQUEST, F_OK), 0);
        assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &set), 0);
        assert_int_equal(sigismember(&set, SIGTERM), 0);
}

static void test_reboot_by_firmware(void **state) {
        (void)fake_add_tree((pid_t)FIRST);
        fake_keep();
        call(CALL "Reboot\",\"parameters\":{\"no_kexec\":true}}");
        answer_has("{\"parameters\":{\"new\":null,");
        assert_string_equal(fake->started, "reboot.target");
        assert_false(fake->loaded);
}

static void shutdown_stops_us(void) {
        assert_int_equal(kill(getpid(), SIGTERM), 0);
}

/* The shutdown stops this very process: who asked for it has the answer before. */
static void test_told_before_it_ends(void **state) {
        static const char words[] = CALL "Reboot\"}";
        int ends[2], status;
        pid_t child;

        (void)fake_add_tree((pid_t)FIRST);
        fake_keep();
        fake_meanwhile("bus_start_unit kexec.target", shutdown_stops_us);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(send(ends[1], words, sizeof words, 0), sizeof words);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
                _exit(server_run(ends[0], &root) == 0 ? 0 : 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        assert_true(take(ends[1]) > 0);
        assert_int_equal(n_answers, 1);
        answer_has("{\"parameters\":{\"new\":");
        (void)close(ends[0]);
        (void)close(ends[1]);
}

/* One whole message. */
static void hear(int fd) {
        size_t have = 0;

        do
                assert_int_equal(recv(fd, answers + have, 1, 0), 1);
        while (answers[have++]);
}

/* Told at once, and again after a change; the end is the peer's. */
static void test_subscribe(void **state) {
        static const char words[] = CALL "Subscribe\",\"more\":true}";
        static const char *const verdicts[] = {"\"verdict\":\"carried\"", "\"verdict\":\"failed\""};
        const struct timeval patience = {.tv_sec = 30};
        Store store = machine_store();
        int ends[2], status;
        pid_t child;

        call(CALL "Subscribe\"}");
        answer_has("org.varlink.service.ExpectedMore");
        fake_fail("store_open", 1, -EIO);
        call(words);
        answer_has("{\"error\":\"io.carryover.Failed\",\"parameters\":{\"message\":\"store_open was told to "
                   "fail");
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
        assert_int_equal(send(ends[1], words, sizeof words, 0), sizeof words);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                (void)close(ends[1]);
                _exit(server_run(ends[0], &root) == 0 ? 0 : 1);
        }
        (void)close(ends[0]);
        hear(ends[1]);
        answer_has("{\"continues\":true,\"parameters\":{\"phase\":\"idle\"");
        for (size_t i = 0; i < ELEMENTS(verdicts); i++) {
                _cleanup_(ticket_freep) Ticket *t = sample_ticket("aa");

                (void)sample_tree(t, "one", FIRST);
                t->trees[0]->outcome = model_new(Outcome, outcome__init);
                t->trees[0]->outcome->state = i ? OUTCOME__STATE__FAILED : OUTCOME__STATE__CARRIED;
                assert_int_equal(store_report_write(&store, t), 0);
                hear(ends[1]);
                answer_has("{\"continues\":true,");
                answer_has(verdicts[i]);
        }
        store_close(&store);
        (void)close(ends[1]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

static void test_many(void **state) {
        static const char three[] = ASK "GetInfo\"}\0" CALL "Status\",\"oneway\":true}\0" CALL "List\"}";

        assert_int_equal(say_as(0, three, sizeof three), 0);
        assert_int_equal(n_answers, 2);
        /* the end comes in the middle of the third */
        assert_int_equal(say_as(0, three, sizeof three - 1), 0);
        assert_int_equal(n_answers, 1);
        assert_int_equal(say_as(0, "", 0), 0);
        assert_int_equal(n_answers, 0);
}

static const struct {
        const char *method, *action;
} guarded[] = {
                {"Check", "inspect"},   {"CheckAll", "inspect"},  {"Drop", "keep"},    {"DropAll", "keep"},
                {"History", "inspect"}, {"Keep", "keep"},         {"List", "inspect"}, {"Reboot", "reboot"},
                {"Status", "inspect"},  {"Subscribe", "inspect"},
};

static void call_as_user(const char *method, const char *parameters) {
        _cleanup_(freep) char *text =
                        text_format(CALL "%s\",\"more\":true,\"parameters\":{%s}}", method, parameters);

        assert_int_equal(say_as(1000, text, strlen(text) + 1), 0);
        assert_int_equal(n_answers, 1);
}

/* Everybody may ask what there is, and of all else polkit is asked. */
static void test_others(void **state) {
        static const char info[] = ASK "GetInfo\"}";

        assert_int_equal(say_as(1000, info, sizeof info), 0);
        answer_has("\"vendor\"");
        assert_int_equal(fake_count("polkit_check"), 0);
        for (size_t i = 0; i < ELEMENTS(guarded); i++) {
                _cleanup_(freep) char *asked =
                                text_format("polkit_check 1000 io.carryover.%s", guarded[i].action);

                (void)fresh_machine(state);
                fake_polkit = POLKIT_NO;
                call_as_user(guarded[i].method, "");
                assert_string_equal(
                                answers,
                                "{\"error\":\"org.varlink.service.PermissionDenied\",\"parameters\":{}}\n");
                assert_int_equal(fake_count(asked), 1);
                fake_polkit = POLKIT_CHALLENGE;
                call_as_user(guarded[i].method, "");
                answer_has("\"io.carryover.InteractiveAuthenticationRequired\"");
                fake_fail("polkit_check", 1, -ENOENT);
                call_as_user(guarded[i].method, "");
                answer_has("{\"error\":\"io.carryover.Failed\",\"parameters\":{\"message\":\"polkit_check "
                           "was told to fail");
                assert_int_equal(fake->started[0], '\0');
        }
        fake_polkit = 0;
}

/* It is asked whether it may ask for a password only where the caller allows that; and never about root. */
static void test_permitted(void **state) {
        static const char subscribe[] = CALL "Subscribe\",\"more\":true}";

        (void)fake_add_tree((pid_t)FIRST);
        call_as_user("List", "");
        answer_has("{\"parameters\":{\"trees\":[]");
        assert_int_equal(fake_count("polkit_check 1000 io.carryover.inspect interactive"), 0);
        call_as_user("Keep", "\"target\":\"pid:4000001\",\"allowInteractiveAuthentication\":true");
        answer_has("\"level\":\"ok\"");
        assert_int_equal(fake_count("polkit_check 1000 io.carryover.keep interactive"), 1);
        call_as_user("List", "\"allowInteractiveAuthentication\":1");
        answer_has("{\"parameter\":\"allowInteractiveAuthentication\"}");
        call_as_user("Reboot", "");
        answer_has("{\"parameters\":{\"new\":");
        assert_string_equal(fake->started, "kexec.target");
        (void)fresh_machine(state);
        call(CALL "List\",\"parameters\":{\"allowInteractiveAuthentication\":true}}");
        answer_has("\"trees\"");
        assert_int_equal(say_as(1000, subscribe, sizeof subscribe), 0);
        answer_has("{\"continues\":true,");
        assert_int_equal(fake_count("polkit_check"), 1);
}

static void test_wrong_calls(void **state) {
        static const struct {
                const char *message, *answer;
        } cases[] = {
                        {CALL "Destroy\"}",
                         "MethodNotFound\",\"parameters\":{\"method\":\"io.carryover.Destroy\"}"},
                        {"{\"method\":\"io.other.Status\"}",
                         "InterfaceNotFound\",\"parameters\":{\"interface\":\"io.other\"}"},
                        {"{\"method\":\"Status\"}",
                         "InterfaceNotFound\",\"parameters\":{\"interface\":\"\"}"},
                        {"{\"method\":\"\"}", "InterfaceNotFound"},
                        {CALL "Status\",\"parameters\":{\"tree\":1}}",
                         "InvalidParameter\",\"parameters\":{\"parameter\":\"tree\"}"},
                        {CALL "Status\",\"parameters\":{\"tree\":\"a\\u0000b\"}}",
                         "{\"parameter\":\"tree\"}"},
                        {CALL "Status\",\"parameters\":{\"three\":\"x\"}}", "{\"parameter\":\"three\"}"},
                        {CALL "List\",\"parameters\":{\"tree\":\"x\"}}", "{\"parameter\":\"tree\"}"},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                call(cases[i].message);
                answer_has(cases[i].answer);
        }
}

/* What is no call ends the connection, and whatever comes behind it is not looked at. */
static void test_no_calls(void **state) {
        static const char *const messages[] = {
                        "",
                        "nonsense",
                        "[]",
                        "1",
                        "{}",
                        "{\"method\":1}",
                        "{\"method\":\"a\\u0000b\"}",
                        "{\"method\":null}",
                        ASK "GetInfo\"} x",
                        ASK "GetInfo\"",
                        ASK "GetInfo\xff\"}",
                        ASK "GetInfo\",\"parameters\":[]}",
                        ASK "GetInfo\",\"oneway\":1}",
                        ASK "GetInfo\",\"more\":\"true\"}",
                        ASK "GetInfo\",\"other\":1}",
                        "{\"method\":\"x\",\"parameters\":{\"a\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}}",
        };
        static const char good[] = ASK "GetInfo\"}";

        for (size_t i = 0; i < ELEMENTS(messages); i++) {
                size_t n = strlen(messages[i]) + 1;
                char bytes[512];

                memcpy(bytes, messages[i], n);
                memcpy(bytes + n, good, sizeof good);
                assert_int_equal(say_as(0, bytes, n + sizeof good), -EINVAL);
                assert_int_equal(n_answers, 0);
        }
}

static void test_too_long(void **state) {
        static char bytes[WIRE_MESSAGE_MAX + 1];
        static const char good[] = ASK "GetInfo\"}";

        memset(bytes, ' ', sizeof bytes);
        assert_int_equal(say_as(0, bytes, sizeof bytes), -EMSGSIZE);
        assert_int_equal(n_answers, 0);
        /* the longest that is taken */
        memcpy(bytes + WIRE_MESSAGE_MAX - sizeof good, good, sizeof good);
        assert_int_equal(say_as(0, bytes, WIRE_MESSAGE_MAX), 0);
        assert_int_equal(n_answers, 1);
}

/* Whoever asks and does not listen: nobody is killed by a signal. */
static void test_deaf(void **state) {
        static const char info[] = ASK "GetInfo\"}";
        int ends[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(send(ends[1], info, sizeof info, 0), sizeof info);
        (void)close(ends[1]);
        assert_int_equal(server_run(ends[0], &root), -EPIPE);
        (void)close(ends[0]);
}

/* Silent for too long, in the middle of a message. */
static void test_silent(void **state) {
        const char *text;
        size_t size;
        int ends[2];
        Wire wire;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        wire = (Wire){.fd = ends[0]};
        assert_int_equal(send(ends[1], "half", 4, 0), 4);
        assert_int_equal(wire_receive(&wire, 1000, &text, &size), -ETIMEDOUT);
        /* and it does not read what it is sent */
        memset(answers, 'x', sizeof answers - 1);
        answers[sizeof answers - 1] = '\0';
        for (int i = 0; i < 100; i++) {
                int r = wire_send(&wire, answers, 1000);

                if (r < 0) {
                        assert_int_equal(r, -ETIMEDOUT);
                        break;
                }
                assert_int_not_equal(i, 99);
        }
        wire_done(&wire);
        (void)close(ends[0]);
        (void)close(ends[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_info, fresh_machine),
                        cmocka_unit_test_setup(test_verbs, fresh_machine),
                        cmocka_unit_test_setup(test_keep, fresh_machine),
                        cmocka_unit_test_setup(test_reboot_refuses, fresh_machine),
                        cmocka_unit_test_setup(test_inhibited, fresh_machine),
                        cmocka_unit_test_setup(test_reboot, fresh_machine),
                        cmocka_unit_test_setup(test_reboot_by_firmware, fresh_machine),
                        cmocka_unit_test_setup(test_told_before_it_ends, fresh_machine),
                        cmocka_unit_test_setup(test_subscribe, fresh_machine),
                        cmocka_unit_test_setup(test_many, fresh_machine),
                        cmocka_unit_test_setup(test_others, fresh_machine),
                        cmocka_unit_test_setup(test_permitted, fresh_machine),
                        cmocka_unit_test_setup(test_wrong_calls, fresh_machine),
                        cmocka_unit_test_setup(test_no_calls, fresh_machine),
                        cmocka_unit_test_setup(test_too_long, fresh_machine),
                        cmocka_unit_test_setup(test_deaf, fresh_machine),
                        cmocka_unit_test_setup(test_silent, fresh_machine),
        };
        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The first moments of a boot, in the initramfs and in the real root: each step stands alone, a failure is
 * said and the next step is taken. Needs root: /run, /etc and /proc/cmdline are of the test's own.
 */

#include "early/early.h"

#include "files/initrd.h"
#include "model/codec.h"
#include "netfilter/hold.h"
#include "tests/unit/sealed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#define INITRAMFS "/run/initramfs"

/* An event is short: the begin of the sentence, and its end. */
static void say(int priority, const char *sentence) {
        size_t l = strlen(sentence);

        (void)priority;
        (void)fake_call("say", "%.60s", sentence);
        (void)fake_call("say_end", "%s", sentence + (l > 60 ? l - 60 : 0));
}

static bool is_said(const char *text) {
        for (size_t i = 0; fake_event(i); i++)
                if (strncmp(fake_event(i), "say", 3) == 0 && strstr(fake_event(i), text))
                        return true;
        return false;
}

static int service(void *userdata) {
        Config config;
        int n;

        (void)userdata;
        (void)config_load_anyway("", &config);
        n = early_service(&config, say);
        durable_end();
        return n;
}

/* Its end is outside again, where what it has covered is counted. */
static int initramfs(void *userdata) {
        _cleanup_(closep) int outside = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        int n;

        (void)userdata;
        if (outside < 0 || chroot(INITRAMFS) < 0 || chdir("/") < 0)
                return 77;
        n = early_initramfs(say);
        return fchdir(outside) < 0 || chroot(".") < 0 ? 77 : n;
}

/* Held, and claimed: the restore takes it up from there. Numbers first, then the hold, then the claim. */
static void test_claims(void **state) {
        sealed_two();
        assert_int_equal(fake_run(service, NULL), 0);
        assert_false(in_store("ticket"));
        assert_true(in_store("ticket.claimed"));
        assert_int_equal(access("/run/carryover/claimed", F_OK), 0);
        assert_true(fake->hold && fake->guard_left);
        assert_int_equal(fake->n_held, 2);
        assert_int_equal(fake_place("system_pids_lift 20000"), 0);
        assert_true(is_before("system_pids_lift 4000002", "hold_set 2"));
        assert_true(is_before("hold_set 2", "store_claim"));
        assert_true(is_before("store_claim", "hold_guard_leave 2"));
        assert_int_equal(fake_count("kmod_load"), 1);
        is_on_disk();
}

/* The initramfs has put it on: its modules are there, and it is set once more. */
static void test_hold_stands(void **state) {
        sealed_two();
        fake->hold = true;
        assert_int_equal(fake_run(service, NULL), 0);
        assert_int_equal(fake_count("kmod_load"), 0);
        assert_int_equal(fake_count("hold_set 2"), 1);
}

/* A step that fails is counted and said, and no other one is left out. */
static void test_each_step_alone(void **state) {
        static const char *const steps[] = {"system_pids_lift 20000", "system_pids_lift 4000002",
                                            "kmod_load", "hold_set", "hold_guard_leave"};

        for (size_t i = 0; i < ELEMENTS(steps); i++) {
                sealed_two();
                fake_fail(steps[i], 1, -EIO);
                assert_int_equal(fake_run(service, NULL), 1);
                assert_true(fake_struck());
                assert_int_equal(fake_count("say"), 1);
                assert_true(in_store("ticket.claimed"));
                assert_int_equal(fake_count("hold_guard_leave"), 1);
        }
}

/* The new kernel lacks what the old one had. */
static void test_other_backend(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        _cleanup_(store_close) Store store = {.fd = -1};

        sealed_two();
        store = machine_store();
        assert_int_equal(store_ticket(&store, &ticket), 0);
        assert_int_equal(model_set_string(&ticket->hold_backend, "iptables"), 0);
        assert_int_equal(store_amend(&store, ticket), 0);
        fake_fail("hold_set", 1, -EOPNOTSUPP);
        assert_int_equal(fake_run(service, NULL), 0);
        assert_true(fake->hold);
        assert_int_equal(fake_count("hold_set 2"), 2);
        assert_true(in_store("ticket.claimed"));
}

/* Nothing is claimed that is not durably so: the next boot, or the restore, claims it. */
static void test_claim_fails(void **state) {
        static const char *const steps[] = {"fault_point early:before-claim", "store_claim",
                                            "renameat ticket.claimed"};

        for (size_t i = 0; i < ELEMENTS(steps); i++) {
                sealed_two();
                fake_fail(steps[i], 1, -EIO);
                assert_int_equal(fake_run(service, NULL), 1);
                assert_true(fake_struck());
                assert_true(is_said("nothing is restored"));
                assert_true(in_store("ticket"));
                assert_true(fake->hold); /* for the restore, which claims it */
                is_on_disk();
        }
}

/* Power that goes at each step: the ticket is there for the next boot, sealed or claimed, and whole. */
static void test_dies(void **state) {
        static const char *const steps[] = {"system_pids_lift", "hold_set", "fault_point early:before-claim",
                                            "store_claim",      "renameat", "fault_point early:claimed",
                                            "hold_guard_leave"};

        for (size_t i = 0; i < ELEMENTS(steps); i++) {
                _cleanup_(ticket_freep) Ticket *ticket = NULL;
                _cleanup_(store_close) Store store = {.fd = -1};
                bool ours = true;

                sealed_two();
                fake_die(steps[i], 1);
                assert_int_equal(fake_run(service, NULL), FAKE_DEAD);
                fake_heal();
                sealed_reboot();
                assert_int_equal(fake_run(service, NULL), 0);
                store = machine_store();
                assert_int_equal(store_claimed(&store, &ticket, &ours), 0);
                assert_true(ours);
                assert_int_equal(ticket->n_trees, 2);
                assert_true(fake->hold && fake->guard_left);
        }
}

/* A boot that had claimed ended during the restore: the rest is this one's. */
static void test_takes_over(void **state) {
        sealed_two();
        assert_int_equal(fake_run(service, NULL), 0);
        sealed_reboot();
        assert_int_equal(fake_run(service, NULL), 0);
        assert_true(is_said("ended during the restore"));
        assert_int_equal(fake_count("store_take_over"), 1);
        assert_true(in_store("ticket.claimed"));
        assert_int_equal(access("/run/carryover/claimed", F_OK), 0);
        assert_true(fake->hold);
}

/* Started twice in one boot: the hold and the claim are the restore's. */
static void test_claimed_in_this_boot(void **state) {
        sealed_two();
        assert_int_equal(fake_run(service, NULL), 0);
        fake_forget_events();
        assert_int_equal(fake_run(service, NULL), 0);
        assert_true(fake->hold);
        assert_int_equal(fake_count("hold_clear"), 0);
        assert_int_equal(fake_count("store_claim"), 0);
        assert_int_equal(fake_count("store_take_over"), 0);
}

static void test_no_ticket(void **state) {
        (void)fresh_machine(NULL);
        sealed_reboot();
        assert_int_equal(fake_run(service, NULL), 0);
        assert_int_equal(fake_count("hold_set"), 0);
        fake->hold = true;
        assert_int_equal(fake_run(service, NULL), 0);
        assert_false(fake->hold);
        assert_true(is_said("removing the hold"));
        fake->hold = true;
        fake_fail("hold_clear", 1, -EIO);
        assert_int_equal(fake_run(service, NULL), 1);
        assert_true(fake->hold);
        assert_true(is_said("the hold could not be removed"));
}

/* Nobody knows where the ticket is. */
static void test_partial_configuration(void **state) {
        (void)fresh_machine(NULL);
        configure("Store=elsewhere\n");
        sealed_reboot();
        fake->hold = true;
        assert_int_equal(fake_run(service, NULL), 1);
        assert_true(fake->hold);
}

/* Refused as a whole and set aside; a hold would be one for nobody. */
static void test_damaged_ticket(void **state) {
        sealed_two();
        fake->hold = true;
        assert_int_equal(truncate(MACHINE_STORE "/ticket", 40), 0);
        assert_int_equal(fake_run(service, NULL), 1);
        assert_true(in_store("ticket.bad"));
        assert_false(in_store("ticket.claimed"));
        assert_true(in_store("save/pid-4000001/core-1.img"));
        assert_false(fake->hold);
        assert_true(is_said("truncated or modified"));
}

static void test_store_cannot_be_opened(void **state) {
        sealed_two();
        fake_fail("store_open", 1, -EIO);
        assert_int_equal(fake_run(service, NULL), 1);
        assert_true(is_said("nothing is restored"));
        assert_true(in_store("ticket"));
}

/* Modules of the network devices, by names that are names. */
static void test_drivers(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        _cleanup_(store_close) Store store = {.fd = -1};

        sealed_two();
        store = machine_store();
        assert_int_equal(store_ticket(&store, &ticket), 0);
        assert_int_equal(model_append(ticket->drivers, ticket->n_drivers, strdup("virtio_net")), 0);
        assert_int_equal(model_append(ticket->drivers, ticket->n_drivers, strdup("../x")), 0);
        assert_int_equal(store_amend(&store, ticket), 0);
        fake_fail("kmod_load virtio_net", 1, -EIO);
        assert_int_equal(fake_run(service, NULL), 1);
        assert_int_equal(fake_count("kmod_load virtio_net"), 1);
        assert_int_equal(fake_count("kmod_load ../x"), 0);
        assert_true(in_store("ticket.claimed"));
}

static void test_off(void **state) {
        sealed_two();
        boot_with("root=/dev/vda carryover=off quiet");
        assert_true(early_off());
        fake->hold = true;
        assert_int_equal(fake_run(service, NULL), 0);
        assert_true(is_said("disabled by carryover=off"));
        assert_true(in_store("ticket"));
        assert_int_equal(fake_count("hold_set"), 0);
        assert_int_equal(fake_count("hold_clear"), 0);
        assert_int_equal(fake_count("system_pids_lift 20000"), 1);
}

/* Words behind "--" are for init. */
static void test_not_off(void **state) {
        boot_with("root=/dev/vda xcarryover=off carryover=offline -- carryover=off");
        assert_false(early_off());
}

/* An initramfs with that message in it, or none. */
static void make_initramfs(const Early *early) {
        _cleanup_(closep) int dir = -1;
        _cleanup_(freep) void *bytes = NULL;
        size_t size;

        (void)umount2(INITRAMFS, MNT_DETACH);
        (void)mkdir(INITRAMFS, 0755);
        assert_int_equal(mount("tmpfs", INITRAMFS, "tmpfs", 0, "mode=0755"), 0);
        if (!early)
                return;
        dir = open_dirs(INITRAMFS "/carryover", 0755);
        assert_true(dir >= 0);
        assert_int_equal(codec_encode(CODEC_EARLY, &early->base, &bytes, &size), 0);
        assert_int_equal(file_replace(dir, "early", bytes, size), 0);
}

static Early message(void) {
        static uint8_t v4[] = {192, 0, 2, 1}, key[BOX_KEY] = {7};
        static Connection c;
        static Connection *items[] = {&c};
        Early e = EARLY__INIT;

        connection__init(&c);
        c.local = c.remote = (ProtobufCBinaryData){sizeof v4, v4};
        c.local_port = c.remote_port = 22;
        e.ticket_id = (char *)SEALED_ID;
        e.hold_backend = (char *)"nftables";
        e.max_pid = 4000002;
        e.connections = items;
        e.n_connections = 1;
        e.has_store_key = true;
        e.store_key = (ProtobufCBinaryData){sizeof key, key};
        return e;
}

static void test_initramfs(void **state) {
        Early e = message();

        (void)fresh_machine(NULL);
        make_initramfs(&e);
        assert_int_equal(fake_run(initramfs, NULL), 0);
        assert_true(fake->hold && fake->has_key);
        assert_int_equal(fake->key[0], 7);
        assert_int_equal(fake->n_held, 1);
        assert_true(is_before("store_key_put", "system_pids_lift 4000002"));
        assert_true(is_before("system_pids_lift 4000002", "kmod_load"));
        assert_true(is_before("kmod_load", "hold_set 1"));
        assert_int_equal(early_modules()[0] != NULL, true);
}

static void test_initramfs_steps(void **state) {
        static const char *const steps[] = {"store_key_put", "system_pids_lift", "kmod_load", "hold_set"};
        Early e = message();

        for (size_t i = 0; i < ELEMENTS(steps); i++) {
                (void)fresh_machine(NULL);
                make_initramfs(&e);
                fake_fail(steps[i], 1, -EIO);
                assert_int_equal(fake_run(initramfs, NULL), 1);
                assert_true(fake_struck());
                assert_int_equal(fake_count("hold_set"), 1);
                assert_true(is_said("with failures"));
        }
        e.store_key.len = 3;
        (void)fresh_machine(NULL);
        make_initramfs(&e);
        assert_int_equal(fake_run(initramfs, NULL), 1);
        assert_false(fake->has_key);
        assert_true(fake->hold);
        fake_fail("fault_point early:initramfs", 1, -EIO);
        assert_int_equal(fake_run(initramfs, NULL), 1);
}

/* A boot that was no jump, one that is disabled by carryover=off, a message that was altered, and a root
 * that is none of an initramfs. */
static void test_initramfs_does_nothing(void **state) {
        Early e = message();
        int fd, dir;

        (void)fresh_machine(NULL);
        make_initramfs(NULL);
        assert_int_equal(fake_run(initramfs, NULL), 0);
        assert_int_equal(fake_count("say"), 0);
        make_initramfs(&e);
        dir = open_dirs(INITRAMFS "/proc", 0755);
        assert_true(dir >= 0);
        assert_int_equal(file_replace(dir, "cmdline", "carryover=off\n", 14), 0);
        assert_int_equal(fake_run(initramfs, NULL), 0);
        assert_true(is_said("disabled by carryover=off"));
        assert_int_equal(unlinkat(dir, "cmdline", 0), 0);
        fd_close(dir);
        fd = open(INITRAMFS "/carryover/early", O_WRONLY | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, 30), 0);
        fd_close(fd);
        assert_int_equal(fake_run(initramfs, NULL), 1);
        assert_int_equal(early_initramfs(say), 1);
        assert_true(is_said("not running in an initramfs"));
        assert_int_equal(fake_count("hold_set"), 0);
        assert_int_equal(fake_count("system_pids_lift"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_claims),
                        cmocka_unit_test(test_hold_stands),
                        cmocka_unit_test(test_each_step_alone),
                        cmocka_unit_test(test_other_backend),
                        cmocka_unit_test(test_claim_fails),
                        cmocka_unit_test(test_dies),
                        cmocka_unit_test(test_takes_over),
                        cmocka_unit_test(test_claimed_in_this_boot),
                        cmocka_unit_test(test_no_ticket),
                        cmocka_unit_test(test_partial_configuration),
                        cmocka_unit_test(test_damaged_ticket),
                        cmocka_unit_test(test_store_cannot_be_opened),
                        cmocka_unit_test(test_drivers),
                        cmocka_unit_test_teardown(test_off, boot_ends),
                        cmocka_unit_test_teardown(test_not_off, boot_ends),
                        cmocka_unit_test(test_initramfs),
                        cmocka_unit_test(test_initramfs_steps),
                        cmocka_unit_test(test_initramfs_does_nothing),
        };

        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

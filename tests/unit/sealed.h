/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A sealed ticket of the fake machine (tests/fakes/), in a store on a file system of its own, and what
 * docs/RELIABILITY.md promises of it. Included by the test's one .c file.
 */

#include "base/cleanup.h"
#include "base/fd.h"
#include "flow/flow.h"
#include "model/digest.h"
#include "report/report.h"
#include "restore/restore.h"
#include "store/store.h"
#include "systemd/cgroup.h"
#include "tests/fakes/durable.h"
#include "tests/fakes/fake.h"
#include "tests/fakes/machine.h"
#include "tests/unit/ticket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SEALED_ID  "aa"
#define FIRST_PID  4000001
#define SECOND_PID 4000002

/* Where a tree lives: before it was saved in a service, and in its scope since it was restored. Who is none
 * of them holds a scope open. */
int cgroup_of(pid_t pid, char **ret) {
        const FakeTree *t = fake_tree(pid);
        char path[128] = "/fake.slice/fake.scope";

        if (t && t->life == FAKE_DEAD)
                return -ESRCH;
        if (t)
                snprintf(path, sizeof path,
                         t->returned > 0 ? "/system.slice/carryover-%s.scope" : "/system.slice/%s.service",
                         t->name);
        *ret = strdup(path);
        return *ret ? 0 : -ENOMEM;
}

int cgroup_open_procs(const char *path) {
        int r = fake_call("cgroup_open_procs", "%s", path);

        return r < 0 ? r : open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static inline int run_restore(void *userdata) {
        int status = flow_restore();

        (void)userdata;
        durable_end();
        return status;
}

static inline bool in_store(const char *name) {
        char path[256];

        snprintf(path, sizeof path, MACHINE_STORE "/%s", name);
        return access(path, F_OK) >= 0;
}

static inline void add_image(const Store *store, Tree *tree, const char *name) {
        _cleanup_(closep) int home = store_tree_open(store, tree->name), fd = -1;
        ImageFile *image = model_new(ImageFile, image_file__init);
        uint8_t digest[32];

        assert_true(home >= 0 && image);
        assert_int_equal(file_replace(home, name, tree->name, strlen(tree->name)), 0);
        fd = openat(home, name, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(digest_image(fd, sample_key, digest, &image->size), 0);
        assert_int_equal(model_set_string(&image->name, name), 0);
        assert_int_equal(model_set_bytes(&image->digest, digest, sizeof digest), 0);
        assert_int_equal(model_append(tree->images, tree->n_images, image), 0);
}

static inline void add_peer(Tree *tree) {
        static const uint8_t v4[] = {192, 0, 2, 1}, v6[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};
        Connection *c = model_new(Connection, connection__init);
        Stream *s = model_new(Stream, stream__init);

        tree->traces = model_new(Traces, traces__init);
        assert_true(c && s && tree->traces);
        assert_int_equal(model_set_bytes(&c->local, v4, 4) | model_set_bytes(&c->remote, v4, 4), 0);
        assert_int_equal(model_set_bytes(&s->local, v6, 16) | model_set_bytes(&s->remote, v6, 16), 0);
        c->local_port = s->local_port = 22;
        c->remote_port = s->remote_port = tree->root_pid & 0xffff;
        assert_int_equal(model_append(tree->connections, tree->n_connections, c), 0);
        assert_int_equal(model_append(tree->traces->streams, tree->traces->n_streams, s), 0);
}

/* Dead, with its images in the store. It is the ticket's. */
static inline Tree *sealed_tree(const Store *store, Ticket *ticket, pid_t pid) {
        FakeTree *dead = fake_tree(pid) ?: fake_add_tree(pid);
        Tree *tree = sample_tree(ticket, dead->name, (uint32_t)pid);
        int home = store_tree_create(store, tree->name);

        assert_true(home >= 0);
        fd_close(home);
        dead->life = FAKE_DEAD;
        tree->root_start = dead->start;
        tree->has_frozen_at = true;
        tree->frozen_at = 1;
        tree->has_huge_bytes = true;
        tree->huge_bytes = 4 << 20;
        assert_int_equal(model_set_string(&tree->target, dead->name), 0);
        assert_int_equal(model_append(tree->pids, tree->n_pids, (uint32_t)pid), 0);
        assert_int_equal(model_append(tree->ids, tree->n_ids, (uint32_t)pid), 0);
        add_image(store, tree, "inventory.img");
        add_image(store, tree, "core-1.img");
        add_peer(tree);
        return tree;
}

static inline Ticket *sealed_ticket(void) {
        Ticket *ticket = sample_ticket(SEALED_ID);
        char boot[37];

        snprintf(boot, sizeof boot, FAKE_BOOT, fake->boot);
        assert_int_equal(model_set_string(&ticket->old_boot, boot), 0);
        ticket->sealed_at = 1;
        return ticket;
}

/* In a machine that is fresh: the next boot begins, with nothing done in it. */
static inline void sealed_reboot(void) {
        fake_reboot();
        fake_forget_events();
        durable_watch("/var/lib");
}

/* Two trees are sealed, in the boot after their save. */
static inline void sealed_two(void) {
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        _cleanup_(store_close) Store store = {.fd = -1};

        (void)fresh_machine(NULL);
        ticket = sealed_ticket();
        store = machine_store();
        (void)sealed_tree(&store, ticket, FIRST_PID);
        (void)sealed_tree(&store, ticket, SECOND_PID);
        assert_int_equal(store_seal(&store, ticket, NULL), 0);
        sealed_reboot();
}

/* Both were asked for, and in this order. */
static inline bool is_before(const char *first, const char *second) {
        return fake_place(first) >= 0 && fake_place(first) < fake_place(second);
}

static inline Ticket *sealed_report(void) {
        _cleanup_(store_close) Store store = {.fd = -1};
        Ticket *report = NULL;

        store = machine_store();
        assert_int_equal(store_report(&store, &report), 0);
        return report;
}

static inline Outcome__State outcome_of(const Ticket *report, pid_t pid) {
        const Tree *tree = ticket_find(report, fake_tree(pid)->name);

        assert_non_null(tree);
        return report_state(tree);
}

/* Its images are where the report says, for `carryover restore`. */
static inline bool images_are_kept(const Ticket *report, pid_t pid) {
        const Tree *tree = ticket_find(report, fake_tree(pid)->name);
        char path[512];

        if (!tree || !tree->outcome || !tree->outcome->images)
                return false;
        snprintf(path, sizeof path, "%s/core-1.img", tree->outcome->images);
        return access(path, F_OK) >= 0;
}

static inline void is_on_disk(void) {
        if (durable_violation())
                fail_msg("%s", durable_violation());
}

/* Sets what the kernel was started with. */
static inline void boot_with(const char *cmdline) {
        FILE *f = fopen("/run/cmdline", "we");

        assert_non_null(f);
        fprintf(f, "%s\n", cmdline);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(mount("/run/cmdline", "/proc/cmdline", NULL, MS_BIND, NULL), 0);
}

/* A test teardown. */
static inline int boot_ends(void **state) {
        (void)state;
        (void)umount2("/proc/cmdline", MNT_DETACH);
        return 0;
}

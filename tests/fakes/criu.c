/* SPDX-License-Identifier: GPL-2.0-or-later */

/* criu/: a dump that writes two small files and freezes the tree, a restore that brings it back. */

#include "criu/criu.h"
#include "criu/exec-bit.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/text.h"
#include "tests/fakes/fake.h"

#include <fcntl.h>
#include <string.h>

static const char *name_of(pid_t pid) {
        const FakeTree *t = fake_tree(pid);

        return t ? t->name : "?";
}

int criu_probe(const char *criu, uint64_t timeout_usec, CriuFeatures *ret) {
        (void)criu;
        fake->probe_usec = timeout_usec;
        *ret = (CriuFeatures){.lock_skip = fake->lock_skip, .major = 4, .minor = 1};
        criu_features_derive(ret);
        return fake_call("criu_probe", "%s", "");
}

int criu_check(const char *criu, uint64_t timeout_usec) {
        (void)criu;
        (void)timeout_usec;
        return fake_call("criu_check", "%s", "");
}

int criu_fits_kernel(const CriuFeatures *features, const char *running, const char *target) {
        (void)features;
        (void)running;
        return fake_call("criu_fits_kernel", "%s", target);
}

static int write_images(const CriuJob *job, const FakeTree *t) {
        static const char *const files[] = {"inventory.img", "core-1.img"};
        static const char block[1024];
        _cleanup_(closep) int fd = openat(job->images_fd, "pages-1.img",
                                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int r = fd < 0 ? -errno : 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(files); i++)
                r = file_replace(job->images_fd, files[i], t->name, strlen(t->name));
        for (unsigned i = 0; r >= 0 && i < t->image_kib; i++)
                r = fd_write_all(fd, block, sizeof block);
        return r;
}

/* As in criu.h: what notify refuses undoes all, and behind its 0 to post-dump the tree dies. */
int criu_dump(const CriuJob *job) {
        FakeTree *t = fake_tree(job->pid);
        int r = fake_call("criu_dump", "%s", name_of(job->pid));

        if (r >= 0 && (!t || t->life == FAKE_DEAD))
                r = err_say(-ESRCH, "process %d does not exist", (int)job->pid);
        if (r >= 0)
                r = job->notify("pre-dump", job->pid, job->userdata);
        if (r < 0)
                return err_pass(r);
        t->life = FAKE_FROZEN;
        r = job->notify("query-ext-files", job->pid, job->userdata);
        if (r >= 0)
                r = write_images(job, t);
        if (r >= 0)
                r = fake_call("criu_dump_images", "%s", t->name);
        if (r >= 0)
                r = job->notify("post-dump", job->pid, job->userdata);
        t->life = r < 0 ? FAKE_RUNS : FAKE_DEAD;
        if (r >= 0)
                (void)fault_point("save:committed");
        return r < 0 ? err_pass(r) : fake_call("criu_dump_end", "%s", t->name);
}

int criu_restore(const CriuJob *job, pid_t *ret_pid) {
        static const char *const scripts[] = {"pre-restore", "post-restore", "pre-resume"};
        FakeTree *t = NULL;
        _cleanup_(freep) char *text = NULL;
        int r = file_slurp(job->images_fd, "core-1.img", 64, &text, NULL);

        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; i < fake->n_trees; i++)
                if (strcmp(fake->trees[i].name, text) == 0)
                        t = fake->trees + i;
        r = fake_call("criu_restore", "%s", text);
        if (r >= 0 && (!t || t->life != FAKE_DEAD))
                r = err_say(-EEXIST, "%s cannot be restored", text);
        for (size_t i = 0; r >= 0 && job->notify && i < ELEMENTS(scripts); i++)
                r = job->notify(scripts[i], i > 0 ? t->pid : 0, job->userdata);
        if (r < 0)
                return err_pass(r);
        t->life = FAKE_RUNS;
        t->returned++;
        *ret_pid = t->pid;
        if (job->notify)
                (void)job->notify("post-resume", t->pid, job->userdata);
        return 0;
}

bool criu_is_run_by(const char *criu, pid_t pid) {
        (void)criu;
        (void)pid;
        return false;
}

/* Those whose client is dead let go. */
int criu_wait_orphans(const char *criu, uint64_t deadline_monotonic) {
        (void)criu;
        (void)deadline_monotonic;
        for (size_t i = 0; i < fake->n_trees; i++)
                if (fake->trees[i].life == FAKE_FROZEN)
                        fake->trees[i].life = FAKE_RUNS;
        return fake_call("criu_wait_orphans", "%s", "");
}

int criu_tree_end(pid_t root, uint64_t start) {
        FakeTree *t = fake_tree(root);
        int r = fake_call("criu_tree_end", "%s", name_of(root));

        if (r >= 0 && t && t->start == start)
                t->life = FAKE_DEAD;
        return r;
}

int criu_tree_mend(pid_t root) {
        return fake_call("criu_tree_mend", "%s", name_of(root));
}

int criu_keep_logs(int from_fd, int to_fd) {
        (void)from_fd;
        (void)to_fd;
        return fake_call("criu_keep_logs", "%s", "");
}

int exec_bits_find(Tree *tree) {
        return fake_call("exec_bits_find", "%s", tree->name);
}

int exec_bits_lend(Tree *tree) {
        return fake_call("exec_bits_lend", "%s", tree->name);
}

void exec_bits_return(const Tree *tree, pid_t root) {
        (void)root;
        (void)fake_call("exec_bits_return", "%s", tree->name);
}

void exec_bits_return_files(const Tree *tree, Sweep *sweep) {
        (void)sweep;
        (void)fake_call("exec_bits_return_files", "%s", tree->name);
}

void exec_bits_lend_files(const Tree *tree) {
        (void)fake_call("exec_bits_lend_files", "%s", tree->name);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Order inside post-dump, where the tree stands frozen and nothing is lost yet: last look at the outside,
 * files that no boot brings, corrections to the images, verification, encryption, checksums, disk, and then
 * the question whether it may die.
 *
 * Images that are to be encrypted are made and corrected in memory, and what is on disk is never anything
 * but encrypted. */

#include "save/save.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/text.h"
#include "criu/exec-bit.h"
#include "files/memory.h"
#include "image/cure.h"
#include "image/image.h"
#include "image/remap.h"
#include "kernel/apparmor.h"
#include "kernel/hugepages.h"
#include "model/box.h"
#include "model/codec.h"
#include "netfilter/hold.h"
#include "proc/process-tree.h"
#include "rights/rights.h"
#include "save/files.h"
#include "store/room.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct Work {
        const SaveJob *job;
        Tree *tree;
        int home_fd;   /* in the store */
        int images_fd; /* what CRIU writes: the same, or in memory until it is encrypted */
        StepClock dump;
        Snapshot *snapshot;  /* of the frozen tree */
        OwnNumbers numbers;  /* likewise, if it has a PID namespace of its own */
        uint32_t *pids_here; /* then: its processes by our numbers, once tree->pids has its own */
        size_t n_pids_here;
        bool committed;
} Work;

static int encrypt(const Work *w, const char *name) {
        _cleanup_(closep) int from = -1, to = -1;
        int r;

        from = openat(w->images_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (from < 0)
                return err_born(-errno, "cannot read image %s", name);
        to = openat(w->home_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to < 0)
                return err_born(-errno, "cannot create image %s", name);
        r = box_seal(w->job->keys.box, name, from, to);
        return r < 0 ? err_pass(r) : 0;
}

/* As it lies in the store. */
static int note_image(const ImageKeys *keys, Tree *tree, int dir_fd, const char *name) {
        ImageFile *file = model_new(ImageFile, image_file__init);
        _cleanup_(closep) int fd = -1;
        uint8_t digest[CODEC_DIGEST];
        int r;

        if (!file)
                return -ENOMEM;
        fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        r = fd < 0 ? err_born(-errno, "cannot read image %s", name)
                   : digest_image(fd, keys->digest, digest, &file->size);
        if (r >= 0)
                r = model_set_string(&file->name, name);
        if (r >= 0)
                r = model_set_bytes(&file->digest, digest, sizeof digest);
        if (r >= 0)
                r = model_append(tree->images, tree->n_images, file);
        if (r < 0) {
                model_free(file);
                return err_pass(r);
        }
        tree->has_image_bytes = true;
        tree->image_bytes += file->size;
        return 0;
}

static int note_images(Work *w) {
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        int fd;

        fd = openat(w->images_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                fd_close(fd);
                return err_born(-errno, "cannot list the images");
        }
        while ((e = readdir(d))) {
                int r = 0;

                if (!ends_with(e->d_name, ".img"))
                        continue;
                if (w->job->keys.box)
                        r = encrypt(w, e->d_name);
                if (r >= 0)
                        r = note_image(&w->job->keys, w->tree, w->home_fd, e->d_name);
                if (r < 0)
                        return err_pass(r);
        }
        return w->tree->n_images > 0 ? 0 : err_say(-EBADMSG, "CRIU reported success but wrote no image");
}

/* By number, or as the usual ones. Larger ones come from a pool that each boot makes. */
static int note_huge(Tree *tree, int images_fd) {
        uint64_t sums[IMAGE_HUGE_SIZES], bytes;
        int r = image_huge_pages(images_fd, sums);

        if (r < 0)
                return err_pass(r);
        if (__builtin_add_overflow(sums[0], sums[HUGE_PAGE_SHIFT], &bytes))
                bytes = UINT64_MAX;
        tree->has_huge_bytes = bytes > 0;
        tree->huge_bytes = bytes;
        return 0;
}

static int note_ids(Tree *tree, int images_fd) {
        _cleanup_(freep) uint32_t *ids = NULL;
        size_t n;
        int r;

        r = image_pids(images_fd, &ids, &n);
        if (r < 0)
                return err_pass(r);
        free(tree->ids);
        tree->ids = TAKE(ids);
        tree->n_ids = n;
        return 0;
}

/* From here on the tree is known by the numbers that it comes back with, unless it goes on living. */
static int note_own_pids(Work *w) {
        _cleanup_(freep) uint32_t *pids = NULL;
        Tree *tree = w->tree;
        size_t n;
        int r;

        if (!tree->has_init_pid)
                return 0;
        r = image_processes(w->images_fd, &pids, &n);
        if (r < 0)
                return err_pass(r);
        if (!image_has_number(pids, n, tree->own_root_pid))
                return err_say(-EBADMSG, "the images do not contain process %u", tree->own_root_pid);
        w->pids_here = tree->pids;
        w->n_pids_here = tree->n_pids;
        tree->pids = TAKE(pids);
        tree->n_pids = n;
        return 0;
}

static void own_pids_end(Work *w) {
        if (!w->committed && w->pids_here) {
                free(w->tree->pids);
                w->tree->pids = TAKE(w->pids_here);
                w->tree->n_pids = w->n_pids_here;
        }
        free(TAKE(w->pids_here));
}

/* Not later than now: a restore that is bound to fail costs the session. */
static int check_remaps(int images_fd) {
        _cleanup_(remaps_done) Remaps remaps = {0};
        int r = remaps_load(images_fd, &remaps);

        if (r >= 0)
                r = remaps_check(&remaps);
        return r < 0 ? err_pass(r) : 0;
}

/* CRIU asks for files outside when the tree stands and no socket has been saved yet: a connection that was
 * opened a moment ago is held before a packet could reach it that its image has not. */
static int look_frozen(Work *w) {
        return w->snapshot ? 0 : w->job->frozen(w->tree, &w->snapshot, w->job->userdata);
}

/* The images have the numbers of the tree's own PID namespace. A number that nobody has any more is that of
 * nobody here, either. */
static int read_memory(pid_t tid, uint64_t address, void *ret, size_t size, void *userdata) {
        const Work *w = userdata;

        if (w->tree->has_init_pid)
                tid = own_numbers_here(&w->numbers, tid);
        return tid > 0 ? process_read(tid, address, ret, size) : -ESRCH;
}

static int wiped(pid_t pid, ImageRange **ret, size_t *ret_n, void *userdata) {
        const Work *w = userdata;

        if (w->tree->has_init_pid)
                pid = own_numbers_here(&w->numbers, pid);
        return pid > 0 ? process_wiped(pid, (ProcessRange **)ret, ret_n) : 0;
}

/* What comes back wrongly all the same is noted: late, but not silently. */
static int cure(Work *w) {
        int left = 0, r = 0;

        if (w->tree->has_init_pid)
                r = own_numbers_read((pid_t)w->tree->root_pid, &w->numbers);
        if (r >= 0)
                r = left = image_cure_calls(w->images_fd, read_memory, w);

        if (r >= 0)
                r = image_cure_timers(w->images_fd, w->job->features->saves.one_shots);
        if (r >= 0) /* half: the next kernel may have a little less, and no swap yet */
                r = image_cure_maps(w->images_fd, w->job->features->saves.wipes ? NULL : wiped, w,
                                    memory_total() / 2);
        if (r >= 0)
                r = image_cure_loopback(w->images_fd);
        if (r >= 0)
                r = image_cure_hung_up(w->images_fd);
        if (r >= 0 && !w->job->features->saves.offsets)
                r = image_cure_offsets(w->images_fd);
        if (r < 0)
                return err_pass(r);
        if (left == 0)
                return 0;
        return tree_degrade(w->tree, "interrupted-call", "restart the program if it exits",
                            "%d system calls in which its programs wait will fail with \"Interrupted system "
                            "call\"",
                            left);
}

static int post_dump(Work *w) {
        StepClock clock = step_begin();
        int r;

        step_end(w->job->timeline, "save.dump", w->tree->name, w->dump);
        r = fault_point("save:after-dump");
        if (r >= 0)
                r = look_frozen(w);
        if (r >= 0)
                r = rights_note(w->tree);
        if (r >= 0)
                r = apparmor_note(w->tree);
        if (r >= 0)
                r = files_save(w->snapshot, w->tree, &(PaxLimits){w->job->max_bytes, w->job->max_names},
                               w->images_fd);
        if (r >= 0)
                r = image_fix_tcp(w->images_fd);
        if (r >= 0)
                r = image_fix_terminals(w->images_fd);
        if (r >= 0)
                r = cure(w);
        if (r >= 0)
                r = image_verify(w->images_fd);
        if (r >= 0)
                r = image_streams_note(w->images_fd, w->tree);
        if (r >= 0)
                r = note_huge(w->tree, w->images_fd);
        if (r >= 0)
                r = check_remaps(w->images_fd);
        if (r >= 0)
                r = note_ids(w->tree, w->images_fd);
        if (r >= 0)
                r = note_own_pids(w);
        if (r >= 0)
                r = note_images(w);
        if (r >= 0 && w->tree->image_bytes > w->job->max_bytes)
                r = err_say(-EDQUOT, "the images exceed the space in the store that is left for the user");
        if (r >= 0)
                r = store_tree_reserve(w->home_fd, w->tree);
        if (r >= 0)
                r = sync_tree(w->home_fd);
        if (r >= 0)
                r = fault_point("save:before-ready");
        step_end(w->job->timeline, "save.verify", w->tree->name, clock);
        if (r >= 0)
                r = w->job->ready(w->tree, w->job->userdata);
        if (r < 0)
                return err_pass(r);
        w->committed = true;
        return 0;
}

static int on_notify(const char *script, pid_t pid, void *userdata) {
        Work *w = userdata;

        (void)pid;
        if (strcmp(script, "pre-dump") == 0) {
                w->tree->has_frozen_at = true;
                w->tree->frozen_at = now_realtime();
                return fault_point("save:before-freeze");
        }
        if (strcmp(script, "query-ext-files") == 0)
                return look_frozen(w);
        return strcmp(script, "post-dump") == 0 ? post_dump(w) : 0;
}

/* What a CRIU that was killed has left is taken away: links, and the lock on the connections. */
static int tree_lives_on(const Tree *tree, int images_fd, Sweep *sweep) {
        exec_bits_return(tree, (pid_t)tree->root_pid);
        if (images_fd >= 0)
                remaps_sweep_images(images_fd, false);
        remaps_sweep_lost(tree, sweep); /* where they were in memory, and that is gone */
        return hold_remove_criu_table(tree_own_root(tree));
}

int save_mend(const Store *store, const Tree *tree, Sweep *sweep) {
        _cleanup_(closep) int images_fd = store_tree_open(store, tree->name);
        int r = criu_tree_mend((pid_t)tree->root_pid), end = 0;

        end = tree_lives_on(tree, images_fd, sweep);
        return r < 0 ? err_pass(r) : end;
}

static uint64_t time_left(const SaveJob *job) {
        uint64_t now = now_monotonic(), left = job->deadline > now ? job->deadline - now : 1;

        return left < job->config->criu_usec ? left : job->config->criu_usec;
}

static int dump(Work *w) {
        _cleanup_(freep) const char **externals = calloc(w->tree->n_externals + 1, sizeof *externals);
        size_t n = 0;
        int r;

        if (!externals)
                return -ENOMEM;
        for (size_t i = 0; i < w->tree->n_externals; i++)
                if (w->tree->externals[i]->dump_key[0])
                        externals[n++] = w->tree->externals[i]->dump_key;
        r = exec_bits_lend(w->tree);
        if (r < 0)
                return err_pass(r);
        w->dump = step_begin();
        r = criu_dump(&(CriuJob){
                        .criu = w->job->config->criu,
                        .preload = CRIU_PRELOAD,
                        .images_fd = w->images_fd,
                        .pid = (pid_t)w->tree->root_pid,
                        .init = w->tree->has_init_pid ? (pid_t)w->tree->init_pid : 0,
                        .own_pid = (pid_t)tree_own_root(w->tree),
                        .shell_job = w->tree->has_shell_job && w->tree->shell_job,
                        .lock_skip = w->job->features->lock_skip,
                        .saves = w->job->features->saves,
                        .ghost_limit = CRIU_GHOST_MAX,
                        .externals = externals,
                        .max_bytes = w->job->max_bytes,
                        .timeout_usec = time_left(w->job),
                        .cgroup_procs_fd = -1,
                        .notify = on_notify,
                        .userdata = w,
        });
        snapshot_freep(&w->snapshot);
        own_numbers_done(&w->numbers);
        own_pids_end(w);
        if (!w->committed) {
                ErrRecord kept = err_keep();
                Sweep sweep = by_inode_sweep_begin();
                bool blocked = tree_lives_on(w->tree, w->images_fd, &sweep) < 0;

                err_put_back(&kept);
                if (blocked)
                        err_prefix(r, "connections of the tree may be blocked until the next boot; ");
        }
        return r < 0 ? err_pass(r) : 0;
}

int save_tree(const SaveJob *job, Tree *tree) {
        _cleanup_(closep) int home_fd = store_tree_create(job->store, tree->name), memory_fd = -1;
        Work w = {.job = job, .tree = tree, .home_fd = home_fd, .images_fd = home_fd};
        ErrRecord kept;
        int r;

        if (home_fd < 0)
                return err_pass(home_fd);
        if (!job->keys.box)
                return dump(&w);
        w.images_fd = memory_fd = memory_directory();
        if (memory_fd < 0)
                return err_pass(memory_fd);
        r = dump(&w);
        kept = err_keep();
        (void)criu_keep_logs(memory_fd, home_fd); /* nobody needs them but who asks why */
        err_put_back(&kept);
        return r;
}

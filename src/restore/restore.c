/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * One tree, in the order in which things can still be refused: what costs nothing if it fails comes first,
 * CRIU last. Until CRIU has let the tree run, a failure leaves nothing but the images.
 */

#include "restore/restore.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/text.h"
#include "criu/exec-bit.h"
#include "files/memory.h"
#include "image/image.h"
#include "image/remap.h"
#include "model/box.h"
#include "model/codec.h"
#include "netlink/network.h"
#include "proc/cpu.h"
#include "proc/rights.h"
#include "restore/files.h"
#include "restore/init.h"
#include "restore/needs.h"
#include "restore/outside.h"
#include "restore/process.h"
#include "restore/running.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Opens an image that is as the ticket says. */
static int image_open_checked(const ImageKeys *keys, const ImageFile *file, int images_fd) {
        _cleanup_(closep) int fd = -1;
        uint8_t digest[CODEC_DIGEST];
        uint64_t size;
        int r;

        if (!name_is_safe(file->name))
                return err_say(-EBADMSG, "the ticket names an impossible image");
        fd = openat(images_fd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot open the image %s", file->name);
        r = digest_fd(fd, keys->digest, digest, &size);
        if (r < 0)
                return err_pass(r);
        if (size != file->size || file->digest.len != sizeof digest ||
            memcmp(digest, file->digest.data, sizeof digest) != 0)
                return err_say(-EBADMSG,
                               "the image %s was altered since it was sealed; nothing of it was used",
                               file->name);
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_born(-errno, "cannot rewind the image %s", file->name);
        return TAKE_FD(fd);
}

static int images_check(const ImageKeys *keys, const Tree *tree, int images_fd) {
        for (size_t i = 0; i < tree->n_images; i++) {
                _cleanup_(closep) int fd = image_open_checked(keys, tree->images[i], images_fd);

                if (fd < 0)
                        return err_pass(fd);
        }
        return 0;
}

/* Memory and files in memory: all of the size, and only CRIU and files_put_back() read them. */
static bool is_bulk(const char *name) {
        return starts_with(name, "pages-") || strcmp(name, STORE_VOLATILE) == 0;
}

static int image_decrypt(const uint8_t *key, const ImageFile *file, int home_fd, int to_dir_fd) {
        _cleanup_(closep) int from = -1, to = -1;
        int r;

        if (!name_is_safe(file->name))
                return err_say(-EBADMSG, "the ticket names an impossible image");
        from = openat(home_fd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (from < 0)
                return err_born(-errno, "cannot open the image %s", file->name);
        to = openat(to_dir_fd, file->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to < 0)
                return err_born(-errno, "cannot create the image %s in memory", file->name);
        r = box_open(key, file->name, from, to);
        if (r >= 0 && lseek(to, 0, SEEK_SET) < 0)
                r = err_born(-errno, "cannot rewind the image %s", file->name);
        return r < 0 ? err_pass(r) : TAKE_FD(to);
}

/* All images of a tree are encrypted, or none is; trees of two saves may be in one ticket. */
static bool has_boxes(const Tree *tree, int home_fd) {
        _cleanup_(closep) int fd = -1;

        if (tree->n_images > 0 && name_is_safe(tree->images[0]->name))
                fd = openat(home_fd, tree->images[0]->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        return fd >= 0 && box_is(fd);
}

bool restore_is_encrypted(const Store *store, const Tree *tree) {
        _cleanup_(closep) int home_fd = store_tree_open(store, tree->name);

        return home_fd >= 0 && has_boxes(tree, home_fd);
}

/* The images as CRIU wrote them: those in the store, or a copy in memory, decrypted. */
static int images_readable(const ImageKeys *keys, const Tree *tree, int home_fd, bool bulk) {
        bool boxes = keys->box && has_boxes(tree, home_fd);
        _cleanup_(closep) int fd = boxes ? memory_directory() : openat(home_fd, ".", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return boxes ? err_pass(fd) : err_born(-errno, "cannot open the images of %s", tree->name);
        for (size_t i = 0; boxes && i < tree->n_images; i++) {
                _cleanup_(closep) int image = -1;

                if (!bulk && is_bulk(tree->images[i]->name))
                        continue;
                image = image_decrypt(keys->box, tree->images[i], home_fd, fd);
                if (image < 0)
                        return err_pass(image);
        }
        return TAKE_FD(fd);
}

/* The archive of a tree's files, as the save wrote it. */
static int archive_open(const ImageKeys *keys, const ImageFile *file, int home_fd) {
        _cleanup_(closep) int fd = image_open_checked(keys, file, home_fd), memory = -1;

        if (fd < 0 || !keys->box || !box_is(fd))
                return fd < 0 ? err_pass(fd) : TAKE_FD(fd);
        memory = memory_directory();
        return memory < 0 ? err_pass(memory) : image_decrypt(keys->box, file, home_fd, memory);
}

static int tree_files(const Store *store, const ImageKeys *keys, const Tree *tree, FilesBack *back,
                      int root_fd) {
        for (size_t i = 0; i < tree->n_images; i++) {
                _cleanup_(closep) int images_fd = -1, fd = -1;
                int r;

                if (strcmp(tree->images[i]->name, STORE_VOLATILE) != 0)
                        continue;
                images_fd = store_tree_open(store, tree->name);
                if (images_fd < 0)
                        return err_pass(images_fd);
                if (store_tree_begun(images_fd)) /* it may use them */
                        return 0;
                r = needs_for_files(tree);
                if (r < 0)
                        return err_pass(r);
                fd = archive_open(keys, tree->images[i], images_fd);
                return fd < 0 ? err_pass(fd) : files_put_back(back, fd, root_fd);
        }
        return 0;
}

static int last_frozen_first(const void *a, const void *b) {
        const Tree *x = *(Tree *const *)a, *y = *(Tree *const *)b;

        return x->frozen_at > y->frozen_at ? -1 : x->frozen_at < y->frozen_at;
}

/* A file that two trees share is put back as the one saw it that was frozen last. */
static void files_of_all(const Store *store, const ImageKeys *keys, Tree **trees, size_t n, int root_fd) {
        _cleanup_(files_back_done) FilesBack back = {0};
        int r;

        if (n > 0)
                qsort(trees, n, sizeof *trees, last_frozen_first);
        for (size_t i = 0; i < n; i++) {
                r = tree_files(store, keys, trees[i], &back, root_fd);
                (void)model_set_string(&trees[i]->outcome->reason, r < 0 ? err_text(r) : NULL);
        }
}

void restore_files(const Store *store, const Ticket *ticket, const ImageKeys *keys, Timeline *timeline) {
        _cleanup_(freep) Tree **pending = calloc(ticket->n_trees ?: 1, sizeof *pending);
        _cleanup_(closep) int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        StepClock clock = step_begin();
        size_t n = 0;

        for (size_t i = 0; pending && i < ticket->n_trees; i++)
                if (ticket->trees[i]->outcome->state == OUTCOME__STATE__PENDING)
                        pending[n++] = ticket->trees[i];
        files_of_all(store, keys, pending, n, root_fd);
        step_end(timeline, "restore.files", NULL, clock);
}

/* The session's terminal is the one that logind and utmp are told of. */
static int session_follow(Tree *tree, uint32_t from, uint32_t to) {
        char old[16], new[16];

        snprintf(old, sizeof old, "pts/%u", from);
        snprintf(new, sizeof new, "pts/%u", to);
        if (!tree->session || !tree->session->tty || strcmp(tree->session->tty, old) != 0)
                return 0;
        return model_set_string(&tree->session->tty, new);
}

static int terminal_renumber(const RestoreJob *job, Tree *tree, int images_fd, uint32_t from,
                             CriuMaster *ret) {
        uint32_t to;
        int r, fd = pty_spare(job->ptys, &to);

        if (fd < 0)
                return err_pass(fd);
        *ret = (CriuMaster){to, fd};
        r = image_move_pty(images_fd, from, to);
        if (r >= 0)
                r = session_follow(tree, from, to);
        if (r >= 0)
                r = tree_degrade(tree, "terminal-number", NULL, "the terminal pts/%u is pts/%u now", from,
                                 to);
        return r < 0 ? err_pass(r) : 0;
}

/* Masters with the numbers of the tree's terminals, out of the reserve. */
typedef struct Masters {
        CriuMaster *items;
        size_t n;
} Masters;

static void masters_close(Masters *m) {
        while (m->n > 0)
                fd_close(m->items[--m->n].fd);
        free(m->items);
        *m = (Masters){0};
}

static int masters_take(const RestoreJob *job, Tree *tree, int images_fd, Masters *m) {
        int r = 0;

        m->items = calloc(tree->n_ptys + 1, sizeof *m->items);
        if (!m->items)
                return -ENOMEM;
        while (r >= 0 && m->n < tree->n_ptys) {
                CriuMaster *master = m->items + m->n;

                *master = (CriuMaster){tree->ptys[m->n], pty_take(job->ptys, tree->ptys[m->n])};
                if (master->fd == -ENOENT)
                        r = terminal_renumber(job, tree, images_fd, tree->ptys[m->n], master);
                m->n++;
        }
        return r < 0 ? err_pass(r) : 0;
}

/* A number is taken if /proc answers for it: processes and threads alike, zombies too. */
static uint32_t first_taken(const Tree *tree) {
        char path[32];

        for (size_t i = 0; i < tree->n_ids; i++) {
                snprintf(path, sizeof path, "/proc/%u", tree->ids[i]);
                if (access(path, F_OK) >= 0)
                        return tree->ids[i];
        }
        return 0;
}

static int in_host(Tree *tree, CriuJob *criu) {
        uint32_t taken = first_taken(tree);
        pid_t pid;
        int r;

        if (taken)
                return err_say(-EEXIST, "process number %u is taken", taken);
        r = criu_restore(criu, &pid);
        if (r < 0)
                return err_pass(r);
        processes_adjust(tree->processes, tree->n_processes);
        return running_outcome(tree, "host", pid);
}

static int in_namespace(int home_fd, Tree *tree, CriuJob *criu) {
        pid_t pid;
        int r;

        for (size_t i = 0; i < criu->n_masters; i++) /* carryover-init makes them again */
                criu->masters[i].fd = fd_close(criu->masters[i].fd);
        r = namespace_restore(criu, tree, &pid);
        if (r < 0)
                return err_pass(r);
        running_note(home_fd, tree, "namespace", pid);
        return running_outcome(tree, "namespace", pid);
}

static int run_criu(const RestoreJob *job, int home_fd, Tree *tree, CriuJob *criu) {
        _cleanup_(freep) char *why = NULL;
        int r;

        if (job->config->pid_mode == PID_MODE_NAMESPACE)
                return in_namespace(home_fd, tree, criu);
        r = in_host(tree, criu);
        if (r == -EEXIST && job->config->pid_mode == PID_MODE_HOST)
                return err_prefix(r, "PidMode=host allows no namespace, and ");
        if (r != -EEXIST)
                return r < 0 ? err_pass(r) : 0;
        why = strdup(err_text(r));
        r = in_namespace(home_fd, tree, criu);
        if (r >= 0)
                (void)tree_degrade(tree, "pid-namespace",
                                   "`carryover enter` gives a shell in the host's namespaces",
                                   "the tree lives in a PID namespace of its own: %s", why ?: "no memory");
        return r < 0 ? err_pass(r) : 0;
}

static void turn_end(pthread_mutex_t **lock) {
        if (*lock)
                pthread_mutex_unlock(*lock);
}

static int told_to_stop(const RestoreJob *job) {
        struct pollfd p = {.fd = job->stop_fd, .events = POLLIN};

        return poll(&p, 1, 0) > 0 ? err_say(-ECANCELED, "told to stop waiting for another tree") : 0;
}

/* image/remap.h: why only one at a time. Before it has begun: whoever dies while it waits has not lost it.
 * The CRIU of a start before this one may still be at work. */
static int turn_take(const RestoreJob *job, int images_fd, pthread_mutex_t **ret) {
        _cleanup_(remaps_done) Remaps remaps = {0};
        int r, stop;

        r = remaps_load(images_fd, &remaps);
        if (r < 0)
                return err_pass(r);
        if (remaps.n == 0)
                return 0;
        pthread_mutex_lock(job->remaps_lock);
        *ret = job->remaps_lock;
        r = told_to_stop(job);
        if (r < 0)
                return err_pass(r);
        r = criu_wait_orphans(job->config->criu, now_monotonic() + job->config->criu_usec);
        stop = told_to_stop(job); /* that may have taken a while: who is told to stop begins nothing */
        return stop < 0 ? err_pass(stop) : err_pass(r);
}

typedef struct Moments {
        const Tree *tree;
        int home_fd;
} Moments;

/* When CRIU has made the tree, in the last moment before it runs, and in the first. */
static int on_notify(const char *script, pid_t pid, void *userdata) {
        const Moments *m = userdata;

        if (strcmp(script, "post-restore") == 0)
                return fault_point("restore:made");
        if (strcmp(script, "post-resume") == 0) {
                (void)fault_point("restore:running"); /* too late for an error, not for our death */
                running_note(m->home_fd, m->tree, "host", pid);
        }
        return strcmp(script, "pre-resume") == 0 ? err_pass(rights_check(m->tree, pid)) : 0;
}

static int with_outside(const RestoreJob *job, Tree *tree, int procs_fd, int home_fd, int images_fd,
                        const Masters *masters, bool tcp_close) {
        Moments moments = {.tree = tree, .home_fd = home_fd};
        StepClock clock = step_begin();
        Outside outside = {0};
        int r, end;

        r = outside_open(job, tree, &outside);
        if (r < 0)
                return err_pass(r);
        r = network_mtu_begin(tree);
        if (r >= 0)
                r = fault_point("restore:before-criu");
        if (r >= 0) {
                CriuJob criu = {
                                .criu = job->config->criu,
                                .preload = CRIU_PRELOAD,
                                .images_fd = images_fd,
                                .shell_job = tree->has_shell_job && tree->shell_job,
                                .lock_skip = job->features->lock_skip,
                                .tcp_close = tcp_close,
                                .fds = outside.fds,
                                .n_fds = outside.n,
                                .masters = masters->items,
                                .n_masters = masters->n,
                                .timeout_usec = job->config->criu_usec,
                                .cgroup_procs_fd = procs_fd,
                                .notify = on_notify,
                                .userdata = &moments,
                };
                r = run_criu(job, home_fd, tree, &criu);
        }
        end = network_mtu_end(tree);
        if (r >= 0 && end < 0)
                (void)tree_degrade(tree, "segment-size", "ip route del by hand", "%s", err_text(end));
        outside_close(&outside);
        step_end(job->timeline, "restore.criu", tree->name, clock);
        return r < 0 ? err_pass(r) : 0;
}

static int images_take(const RestoreJob *job, const Tree *tree, int home_fd, int *ret_images_fd) {
        StepClock clock = step_begin();
        int fd, r;

        r = images_check(&job->keys, tree, home_fd);
        if (r >= 0)
                r = fd = images_readable(&job->keys, tree, home_fd, true);
        step_end(job->timeline, "restore.check", tree->name, clock);
        if (r < 0)
                return err_pass(r);
        *ret_images_fd = fd;
        return 0;
}

static int begin(const RestoreJob *job, Tree *tree, int home_fd, int images_fd, int procs_fd,
                 bool tcp_close) {
        _cleanup_(masters_close) Masters masters = {0};
        int r;

        r = store_tree_begin(home_fd);
        if (r >= 0)
                r = fault_point("restore:begun");
        if (r >= 0 && !has_boxes(tree, home_fd))
                r = store_tree_keep_sealed(home_fd);
        if (r >= 0)
                r = masters_take(job, tree, images_fd, &masters);
        if (r >= 0)
                r = with_outside(job, tree, procs_fd, home_fd, images_fd, &masters, tcp_close);
        return r < 0 ? err_pass(r) : 0;
}

static int restore_opened(const RestoreJob *job, Tree *tree, int home_fd, int *ret_images_fd) {
        _cleanup_(turn_end) pthread_mutex_t *turn = NULL;
        bool tcp_close;
        int procs_fd, r;

        if (tree->outcome->reason)
                return err_say(-ENOENT, "%s", tree->outcome->reason);
        if (store_tree_begun(home_fd)) /* before its peers wait for the network, too */
                return running_adopt(job, home_fd, tree);
        r = images_take(job, tree, home_fd, ret_images_fd);
        if (r >= 0)
                r = needs_wait(job, tree, &tcp_close);
        if (r >= 0)
                r = job->ready(tree, &procs_fd, job->userdata);
        if (r >= 0)
                r = turn_take(job, *ret_images_fd, &turn);
        if (r >= 0)
                r = begin(job, tree, home_fd, *ret_images_fd, procs_fd, tcp_close);
        return r < 0 ? err_pass(r) : 0;
}

static void keep_logs(const Tree *tree, int images_fd, int home_fd) {
        ErrRecord kept = err_keep();

        if (images_fd >= 0 && has_boxes(tree, home_fd))
                (void)criu_keep_logs(images_fd, home_fd); /* nobody needs them but who asks why */
        err_put_back(&kept);
}

int restore_tree(const RestoreJob *job, Tree *tree) {
        _cleanup_(closep) int home_fd = store_tree_open(job->store, tree->name), images_fd = -1;
        Sweep sweep;
        int r;

        if (home_fd < 0)
                return err_pass(home_fd);
        exec_bits_lend_files(tree); /* a try that failed has given it back */
        r = restore_opened(job, tree, home_fd, &images_fd);
        keep_logs(tree, images_fd, home_fd);
        if (r >= 0) {
                exec_bits_return(tree, (pid_t)tree->outcome->root_pid);
                return 0;
        }
        if (r == -ECANCELED)
                return err_pass(r);
        sweep = by_inode_sweep_begin();
        exec_bits_return_files(tree, &sweep);
        pthread_mutex_lock(job->remaps_lock);
        remaps_sweep_images(images_fd >= 0 ? images_fd : home_fd,
                            true); /* those that it cannot read it leaves */
        pthread_mutex_unlock(job->remaps_lock);
        return err_pass(r);
}

static bool is_address(const uint8_t mapped[static 16], ProtobufCBinaryData address) {
        static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

        if (address.len == 4)
                return memcmp(mapped, prefix, sizeof prefix) == 0 &&
                       memcmp(mapped + 12, address.data, 4) == 0;
        return address.len == 16 && memcmp(mapped, address.data, 16) == 0;
}

/* A peer knows a connection that this machine's own NAT changes by the other address of ours. Under its own,
 * a segment would be a second flow to connection tracking, which gives it another port. */
static void stream_outside(const Tree *tree, PeerStream *stream) {
        for (size_t i = 0; i < tree->n_wires; i++) {
                const Connection *wire = tree->wires[i];

                if (wire->remote_port != stream->remote_port || !is_address(stream->remote, wire->remote) ||
                    (wire->local.len != 4 && wire->local.len != 16))
                        continue;
                memcpy(stream->local + 16 - wire->local.len, wire->local.data, wire->local.len);
                stream->local_port = (uint16_t)wire->local_port;
                return;
        }
}

/* Without the bulk. */
static int small_images(const Store *store, const ImageKeys *keys, const Tree *tree) {
        _cleanup_(closep) int home_fd = store_tree_open(store, tree->name);

        return home_fd < 0 ? home_fd : images_readable(keys, tree, home_fd, false);
}

/* As the ticket has them; an older one leaves them to the images. */
static int tree_streams(const Store *store, const ImageKeys *keys, const Tree *tree, PeerStream **ret,
                        size_t *ret_n) {
        _cleanup_(closep) int images_fd = -1;
        int r = image_streams_noted(tree, ret, ret_n);

        if (r <= 0)
                return r;
        r = images_fd = small_images(store, keys, tree);
        return r < 0 ? r : image_streams(images_fd, ret, ret_n);
}

int restore_peers(const Store *store, const ImageKeys *keys, const Tree *tree, PeerStream **ret,
                  size_t *ret_n) {
        int r = tree_streams(store, keys, tree, ret, ret_n);

        for (size_t i = 0; r >= 0 && i < *ret_n; i++)
                stream_outside(tree, *ret + i);
        return r < 0 ? err_pass(r) : 0;
}

bool restore_abandon(const Store *store, const ImageKeys *keys, const Tree *tree, Sweep *sweep) {
        _cleanup_(closep) int home_fd = store_tree_open(store, tree->name), images_fd = -1;

        exec_bits_return_files(tree, sweep);
        if (home_fd >= 0)
                images_fd = images_readable(keys, tree, home_fd, false);
        if (images_fd >= 0)
                remaps_sweep_images(images_fd, true);
        return home_fd >= 0 && store_tree_begun(home_fd);
}

int restore_compare_cpu(const Ticket *ticket) {
        _cleanup_(freep) char *now = NULL, *lost = NULL;
        int r;

        if (!ticket->instructions)
                return 0;
        r = cpu_instructions("/proc/cpuinfo", &now);
        if (r >= 0)
                r = cpu_lost(ticket->instructions, now, &lost);
        for (size_t i = 0; r >= 0 && lost[0] && i < ticket->n_trees; i++)
                r = tree_degrade(ticket->trees[i], "processor",
                                 "end and start anew what began on the other one",
                                 "the processor lacks %s, and a program that uses it is killed", lost);
        return r < 0 ? err_pass(r) : 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * driver ours|bare PIG IMAGES: one guinea pig's two lives. It is saved, killed and restored either by
 * carryover's code (the rooms criu and image, with the images checked, corrected and synced in post-dump) or
 * by the criu command with the same options, and woken to judge itself. Prints one line of JSON. Stands for
 * the outside world too: it is the peer of the pig's connection.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "criu/criu.h"
#include "files/memory.h"
#include "image/cure.h"
#include "image/image.h"
#include "proc/process-tree.h"
#include "rights/rights.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT      "/run/pig.out"
#define PATIENCE    (60 * USEC_PER_SEC)
#define GHOST_LIMIT (64u << 20)

#define JOE 1000

/* Of a pig in a PID namespace of its own: free in ours, too. */
#define OWN_NUMBER 20000

typedef struct Trial {
        const char *images; /* path */
        int images_fd;
        pid_t pid;
        pid_t init;                     /* > 0: of the namespace that it lives in as OWN_NUMBER */
        bool job;                       /* no session leader */
        uint64_t dump, restore, checks; /* microseconds; checks are part of dump */
        int tcp_fixed;
        Tree rights; /* what its processes may do */
} Trial;

static _Noreturn void finish(const Trial *trial, const char *result, const char *why) {
        printf("{\"result\": \"%s\", \"dump_us\": %llu, \"checks_us\": %llu, \"restore_us\": %llu, "
               "\"tcp_fixed\": %d, \"why\": \"",
               result, (unsigned long long)trial->dump, (unsigned long long)trial->checks,
               (unsigned long long)trial->restore, trial->tcp_fixed);
        for (; *why; why++)
                if (*why >= ' ' && *why != '"' && *why != '\\')
                        putchar(*why);
        printf("\"}\n");
        exit(strcmp(result, "PASS") == 0 ? 0 : 1);
}

static void must(const Trial *trial, int r, const char *step) {
        if (r < 0) {
                _cleanup_(freep) char *why = text_format("%s: %s", step, err_text(r));

                finish(trial, "FAIL", why ? why : step);
        }
}

static void *echo(void *listener) {
        _cleanup_(closep) int fd = accept4((int)(intptr_t)listener, NULL, NULL, SOCK_CLOEXEC);
        char buffer[4096];
        ssize_t k;

        while ((k = read(fd, buffer, sizeof buffer)) > 0)
                if (fd_write_all(fd, buffer, (size_t)k) < 0)
                        break;
        return NULL;
}

/* The peer of a pig that wants one: an echo server for one connection, at PIG_PORT. */
static int start_peer(void) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof a;
        pthread_t thread;
        char port[16];
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 || listen(fd, 1) < 0 ||
            getsockname(fd, (struct sockaddr *)&a, &size) < 0)
                return -errno;
        snprintf(port, sizeof port, "%d", ntohs(a.sin_port));
        setenv("PIG_PORT", port, 1);
        return -pthread_create(&thread, NULL, echo, (void *)(intptr_t)fd);
}

static _Noreturn void become_pig(const char *pig) {
        int in = open("/dev/null", O_RDONLY), out = open(OUTPUT, O_WRONLY | O_CREAT | O_APPEND, 0600);

        dup2(in, 0);
        dup2(out, 1);
        dup2(out, 2);
        close_range(3, ~0u, 0);
        execl(pig, pig, (char *)NULL);
        _exit(127);
}

/* As a session leader; or as the child of one that is gone, so that it has become our child. */
static pid_t start_pig(const char *pig, bool leader) {
        int tell[2];
        pid_t pid, child = -1;

        if (pipe2(tell, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid == 0) {
                setsid();
                if (leader || (child = fork()) == 0)
                        become_pig(pig);
                _exit(write(tell[1], &child, sizeof child) == sizeof child ? 0 : 1);
        }
        close(tell[1]);
        if (pid > 0 && !leader) {
                child = read(tell[0], &child, sizeof child) == sizeof child ? child : -1;
                (void)waitpid(pid, NULL, 0);
                pid = child;
        }
        close(tell[0]);
        return pid < 0 ? -ECHILD : pid;
}

static _Noreturn void become_init(const char *pig, int tell) {
        int number = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
        pid_t pid;

        (void)prctl(PR_SET_NAME, "carryover-init");
        (void)setsid();
        if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
            mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ||
            dprintf(number, "%d", OWN_NUMBER - 1) < 0 || (pid = fork()) < 0)
                _exit(1);
        if (pid == 0) {
                (void)setsid();
                become_pig(pig);
        }
        if (write(tell, &pid, sizeof pid) != sizeof pid)
                _exit(1);
        (void)close_range(3, ~0u, 0);
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
                ;
        _exit(0);
}

/* Below an init like carryover's: a child of ours, and the pig is its only one. */
static int start_pig_inside(Trial *trial, const char *pig) {
        _cleanup_(freep) pid_t *pids = NULL;
        pid_t own = 0;
        int tell[2];
        size_t n;

        if (pipe2(tell, O_CLOEXEC) < 0 || unshare(CLONE_NEWPID) < 0)
                return -errno;
        trial->init = fork();
        if (trial->init == 0)
                _exit(unshare(CLONE_NEWNS) < 0 ? 1 : (become_init(pig, tell[1]), 1));
        (void)setns(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC), CLONE_NEWPID);
        close(tell[1]);
        if (read(tell[0], &own, sizeof own) != sizeof own || own != OWN_NUMBER ||
            process_tree_list(trial->init, &pids, &n) < 0 || n != 2)
                return -ECHILD;
        close(tell[0]);
        return pids[1];
}

/* Waits until the pig's output ends with this line. */
static int wait_output(const char *line) {
        _cleanup_(closep) int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        uint64_t deadline = now_monotonic() + PATIENCE;

        if (watch < 0 || inotify_add_watch(watch, "/run", IN_MODIFY) < 0)
                return err_born(-errno, "cannot watch the pig's output");
        for (;;) {
                struct pollfd p = {.fd = watch, .events = POLLIN};
                _cleanup_(freep) char *text = NULL;
                char events[4096];
                size_t size;

                if (file_slurp(-1, OUTPUT, 65536, &text, &size) >= 0 && ends_with(text, line))
                        return 0;
                if (text && strstr(text, "FAIL"))
                        return err_say(-EIO, "the pig says %s", text);
                if (poll(&p, 1, deadline_ms(deadline)) == 0)
                        return err_say(-ETIMEDOUT, "the pig says nothing");
                (void)!read(watch, events, sizeof events);
        }
}

/* The end of a process that need not be our child. */
static int wait_death(pid_t pid, int pidfd) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};

        if (poll(&p, 1, (int)(PATIENCE / USEC_PER_MSEC)) != 1)
                return err_say(-ETIMEDOUT, "it does not end");
        (void)waitpid(pid, NULL, WNOHANG);
        return 0;
}

static int note_rights(Trial *trial) {
        trial->rights.root_pid = (uint32_t)trial->pid;
        return rights_note(&trial->rights);
}

static int read_memory(pid_t tid, uint64_t address, void *ret, size_t size, void *userdata) {
        _cleanup_(own_numbers_done) OwnNumbers numbers = {0};
        const Trial *trial = userdata;

        if (trial->init > 0 && own_numbers_read(trial->pid, &numbers) >= 0)
                tid = own_numbers_here(&numbers, tid);
        return process_read(tid, address, ret, size);
}

static int wiped(pid_t pid, ImageRange **ret, size_t *ret_n, void *userdata) {
        (void)userdata;
        return process_wiped(pid, (ProcessRange **)ret, ret_n);
}

static int check_images(const char *script, pid_t pid, void *userdata) {
        Trial *trial = userdata;
        uint64_t begin = now_monotonic();
        int r;

        if (strcmp(script, "pre-resume") == 0)
                return rights_check(&trial->rights, pid);
        if (strcmp(script, "post-dump") != 0)
                return 0;
        r = image_verify(trial->images_fd);
        if (r >= 0)
                r = trial->tcp_fixed = image_fix_tcp(trial->images_fd);
        if (r >= 0)
                r = image_cure_calls(trial->images_fd, read_memory, trial);
        if (r > 0)
                r = err_say(-ENODATA, "%d calls stay interrupted", r);
        if (r >= 0)
                r = image_cure_timers(trial->images_fd, true);
        if (r >= 0)
                r = image_cure_maps(trial->images_fd, wiped, NULL, memory_total() / 2);
        if (r >= 0)
                r = image_cure_loopback(trial->images_fd);
        if (r >= 0)
                r = sync_tree(trial->images_fd);
        if (r >= 0)
                r = note_rights(trial);
        trial->checks = now_monotonic() - begin;
        return r < 0 ? err_pass(r) : 0;
}

static CriuJob job_of(Trial *trial) {
        return (CriuJob){.criu = "criu",
                         .preload = "/mnt/native/carryover-criu-native.so",
                         .images_fd = trial->images_fd,
                         .pid = trial->pid,
                         .init = trial->init,
                         .own_pid = OWN_NUMBER,
                         .shell_job = trial->job,
                         .lock_skip = true,
                         .saves = {.stops = true, .rseq = true, .barriers = true},
                         .ghost_limit = GHOST_LIMIT,
                         .timeout_usec = PATIENCE,
                         .cgroup_procs_fd = -1,
                         .notify = check_images,
                         .userdata = trial};
}

static int dump_ours(Trial *trial) {
        CriuJob job = job_of(trial);

        return criu_dump(&job);
}

static int restore_ours(Trial *trial) {
        CriuJob job = job_of(trial);
        pid_t pid;
        int r = criu_restore(&job, &pid);

        if (trial->init > 0) /* it is ours now */
                trial->pid = OWN_NUMBER;
        if (r >= 0 && pid != trial->pid)
                return err_say(-EIO, "it came back as process %d", pid);
        return r;
}

static int run_criu(const char *const *words) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                int null = open("/dev/null", O_RDWR);

                dup2(null, 0);
                dup2(null, 1);
                dup2(null, 2);
                execvp("criu", (char *const *)words);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                return err_born(-errno, "cannot run criu");
        return status == 0 ? 0 : err_say(-EIO, "criu failed with status %d", status);
}

static int dump_bare(Trial *trial) {
        char pid[16], limit[16];
        const char *words[] = {"criu",
                               "dump",
                               "--no-default-config",
                               "-D",
                               trial->images,
                               "-t",
                               pid,
                               "--tcp-established",
                               "--ext-unix-sk",
                               "--file-locks",
                               "--link-remap",
                               "--manage-cgroups=ignore",
                               "--network-lock",
                               "skip",
                               "--ghost-limit",
                               limit,
                               "-v4",
                               "-o",
                               "dump.log",
                               NULL};

        snprintf(pid, sizeof pid, "%d", trial->pid);
        snprintf(limit, sizeof limit, "%u", GHOST_LIMIT);
        return run_criu(words);
}

static int restore_bare(Trial *trial) {
        const char *words[] = {"criu",
                               "restore",
                               "--no-default-config",
                               "-D",
                               trial->images,
                               "-d",
                               "--tcp-established",
                               "--ext-unix-sk",
                               "--file-locks",
                               "--link-remap",
                               "--manage-cgroups=ignore",
                               "-v4",
                               "-o",
                               "restore.log",
                               NULL};

        return run_criu(words);
}

/* How the failure looks from inside of CRIU, for a bare run. */
static void blame(const Trial *trial, int r, const char *log, const char *step) {
        _cleanup_(freep) char *reason = NULL;

        if (r < 0 && criu_log_error(trial->images_fd, log, &reason) == 0 && *reason)
                finish(trial, "FAIL", reason);
        must(trial, r, step);
}

/* The numbers are needed again: until the last of the tree is reaped. Its orphans are ours (subreaper). */
static void reap_all(void) {
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
                ;
}

static int say_no(const char *script, pid_t pid, void *userdata) {
        return starts_with(script, "post-") ? err_say(-ENOTRECOVERABLE, "no, thank you") : 0;
}

static void expect(const Trial *trial, int r, int expected, const char *text) {
        if (r != expected || !strstr(err_text(r), text))
                finish(trial, "FAIL", r < 0 ? err_text(r) : "what should fail is a success");
}

/* A first restore that ends in nothing. */
static void be_denied(Trial *trial) {
        CriuJob job = job_of(trial);
        pid_t pid;

        job.notify = say_no;
        expect(trial, criu_restore(&job, &pid), -ENOTRECOVERABLE, "no, thank you");
        reap_all();
}

/* It would come back with a file that it had not: the very last moment. */
static void be_robbed(Trial *trial) {
        CriuJob job = job_of(trial);
        Tree had = trial->rights;
        pid_t pid;

        trial->rights.n_foreign = 0;
        expect(trial, criu_restore(&job, &pid), -EPERM, "which is not the file it had open");
        reap_all();
        trial->rights = had;
}

/* Its user runs already, and has a link to a directory of root's where one of his was. */
static void be_swapped(Trial *trial, const char *own, const char *away) {
        static const char target[] = "/run/roots";
        CriuJob job = job_of(trial);
        pid_t pid;
        int r;

        must(trial, mkdir(target, 0755), "directory");
        must(trial, rename(own, away), "away");
        must(trial, symlink(target, own), "link");
        must(trial, lchown(own, JOE, JOE), "link");
        r = criu_restore(&job, &pid);
        if (r >= 0 || !strstr(err_text(r), "Too many levels of symbolic links"))
                finish(trial, "FAIL", r < 0 ? err_text(r) : "a link of the user's was followed");
        reap_all();
        must(trial, rmdir(target), "something was made in root's directory");
        must(trial, unlink(own), "link");
        must(trial, rename(away, own), "back");
}

/* The root waits for the other end of its own memory's image. */
static void be_stuck(Trial *trial) {
        _cleanup_(freep) char *name = text_format("mm-%d.img", trial->pid);
        CriuJob job = job_of(trial);
        pid_t pid;

        must(trial, name ? renameat(trial->images_fd, name, trial->images_fd, "aside") : -1, "aside");
        must(trial, mkfifoat(trial->images_fd, name, 0600), "FIFO");
        job.timeout_usec = USEC_PER_SEC;
        expect(trial, criu_restore(&job, &pid), -ETIMEDOUT, "within 1.0 s");
        reap_all();
        must(trial, renameat(trial->images_fd, "aside", trial->images_fd, name), "back");
}

static atomic_bool forking;

static void *fork_often(void *userdata) {
        while (forking) {
                pid_t pid = fork();

                if (pid == 0)
                        _exit(0);
                (void)waitpid(pid, NULL, 0);
        }
        return NULL;
}

/* As carryover-restore has it: other trees' threads make processes, too, and hold the locks of libc that
 * belong to that. */
static int restore_beside_forks(Trial *trial) {
        pthread_t threads[4];
        int r;

        forking = true;
        for (size_t i = 0; i < ELEMENTS(threads); i++)
                must(trial, -pthread_create(threads + i, NULL, fork_often, NULL), "thread");
        for (int i = 0; i < 10; i++)
                be_denied(trial);
        r = restore_ours(trial);
        forking = false;
        for (size_t i = 0; i < ELEMENTS(threads); i++)
                (void)pthread_join(threads[i], NULL);
        return r;
}

static void die_and_return(Trial *trial, const char *way) {
        bool ours = strcmp(way, "bare") != 0;
        uint64_t begin;
        int r;

        begin = now_monotonic();
        r = ours ? dump_ours(trial) : dump_bare(trial);
        trial->dump = now_monotonic() - begin;
        if (ours)
                must(trial, r, "dump");
        blame(trial, r, "dump.log", "dump");
        reap_all();

        if (strcmp(way, "denied") == 0)
                be_denied(trial);
        if (strcmp(way, "robbed") == 0)
                be_robbed(trial);
        if (strcmp(way, "swapped") == 0) {
                be_swapped(trial, "/dev/shm/joe/bound", "/dev/shm/joe/away");
                be_swapped(trial, "/dev/shm/joe/gone", "/dev/shm/joe/away");
        }
        if (strcmp(way, "stuck") == 0)
                be_stuck(trial);
        begin = now_monotonic();
        if (strcmp(way, "forking") == 0)
                r = restore_beside_forks(trial);
        else
                r = ours ? restore_ours(trial) : restore_bare(trial);
        trial->restore = now_monotonic() - begin;
        if (ours)
                must(trial, r, "restore");
        blame(trial, r, "restore.log", "restore");
}

/* Its images are larger than they may be: it goes on. */
static void be_too_large(Trial *trial) {
        CriuJob job = job_of(trial);

        job.max_bytes = 4096;
        expect(trial, criu_dump(&job), -EDQUOT, "the images exceed");
}

/* CRIU cannot write an image, says so by itself, and lets go: the next try succeeds. */
static void be_disturbed(Trial *trial) {
        CriuJob job = job_of(trial);

        must(trial, mkdirat(trial->images_fd, "pages-1.img", 0700), "directory");
        expect(trial, criu_dump(&job), -EAGAIN, "CRIU cannot save the tree: ");
        must(trial, unlinkat(trial->images_fd, "pages-1.img", AT_REMOVEDIR), "directory");
}

static void be_refused(Trial *trial) {
        CriuJob job = job_of(trial);

        job.notify = say_no;
        expect(trial, criu_dump(&job), -ENOTRECOVERABLE, "no, thank you");
}

static void hang(Trial *trial) {
        CriuJob job = job_of(trial);

        must(trial, mkfifoat(trial->images_fd, "pages-1.img", 0600), "FIFO");
        job.timeout_usec = USEC_PER_SEC;
        expect(trial, criu_dump(&job), -ETIMEDOUT, "within 1.0 s");
}

static void live_twice(Trial *trial, const char *pig, const char *way) {
        static const char below[] = "inside-";
        bool inside = starts_with(way, below);
        _cleanup_(closep) int pidfd = -1;

        way += inside ? strlen(below) : 0;
        must(trial, start_peer(), "peer");
        trial->job = ends_with(pig, "-job");
        trial->pid = inside ? start_pig_inside(trial, pig) : start_pig(pig, !trial->job);
        must(trial, trial->pid, "start");
        must(trial, wait_output("ready\n"), "first life");

        if (strcmp(way, "large") == 0) {
                be_disturbed(trial);
                be_too_large(trial);
        }
        if (strcmp(way, "refused") == 0)
                be_refused(trial);
        else if (strcmp(way, "hung") == 0)
                hang(trial);
        else
                die_and_return(trial, way);

        pidfd = pidfd_open(trial->pid, 0);
        must(trial, kill(trial->pid, SIGUSR1) < 0 ? -errno : 0, "wake");
        must(trial, wait_death(trial->pid, pidfd), "second life");
        must(trial, wait_output("ready\nPASS\n"), "second life");
}

int main(int argc, char **argv) {
        Trial trial = {.images_fd = -1, .rights = TREE__INIT};

        if (argc != 4) {
                fprintf(stderr, "usage: %s WAY PIG IMAGES\n", argv[0]);
                return 2;
        }
        trial.images = argv[3];
        must(&trial, prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -errno : 0, "subreaper");
        must(&trial, make_dirs(argv[3], 0700), "images");
        trial.images_fd = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(&trial, trial.images_fd < 0 ? -errno : 0, "images");
        /* Fills CRIU's cache, as carryover does once at each boot, so that neither side pays for it. */
        must(&trial, criu_check("criu", CRIU_PROBE_USEC), "check");
        live_twice(&trial, argv[2], argv[1]);
        finish(&trial, "PASS", "");
}

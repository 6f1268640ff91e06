/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A look at processes whose user wants it to take long, never to end, or to see what is not there. */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "proc/internal.h"
#include "proc/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/mempolicy.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CROWD       200
#define CROWD_FILES 19000
#define PATIENCE    (20 * USEC_PER_SEC) /* each took longer, or for ever */
#define PAGE        4096u

static uint64_t begin;

static void hurry(void) {
        begin = now_monotonic();
}

static void expect_soon(void) {
        assert_true(now_monotonic() - begin < PATIENCE);
}

/* Forks; the child runs `be` and is not seen before it says so. */
static pid_t start(void (*be)(int ready)) {
        int ready[2];
        pid_t pid;
        char c = 0;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void)setpgid(0, 0);
                close(ready[0]);
                be(ready[1]);
                _exit(1);
        }
        close(ready[1]);
        if (read(ready[0], &c, 1) != 1)
                c = 's';
        close(ready[0]);
        if (c == 's') {
                (void)kill(-pid, SIGKILL);
                (void)waitpid(pid, NULL, 0);
                skip();
        }
        return pid;
}

static void stop(pid_t pid) {
        assert_int_equal(kill(-pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void wait_for_ever(int ready) {
        (void)!write(ready, "r", 1);
        for (;;)
                pause();
}

/* Many processes with one table of descriptors. */
static void be_crowd(int ready) {
        const struct rlimit limit = {CROWD_FILES + 100, CROWD_FILES + 100};

        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        for (int i = 0; i < CROWD_FILES; i++)
                if (fcntl(ready, F_DUPFD, 10) < 0)
                        return;
        for (int i = 0; i < CROWD; i++) {
                long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

                if (pid < 0)
                        return;
                if (pid == 0)
                        for (;;)
                                pause();
        }
        wait_for_ever(ready);
}

static void be_nobody(int ready) {
        wait_for_ever(ready);
}

static void test_crowd_of_others(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        pid_t crowd = start(be_crowd), own = start(be_nobody);

        hurry();
        assert_int_equal(snapshot_take(SNAP_FULL, &own, 1, &s), 0);
        expect_soon();
        assert_true(snapshot_process(s, own)->n_fds > 0);
        assert_non_null(snapshot_process(s, crowd));
        stop(own);
        stop(crowd);
}

static void test_crowd_that_is_kept(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL, *frozen = NULL;
        _cleanup_(freep) const SnapProcess **tree = NULL;
        pid_t crowd = start(be_crowd), own = start(be_nobody), roots[] = {crowd, own};
        SnapLook look = {.depth = SNAP_FULL, .roots = roots, .n = 2, .max_files = 65536};
        uint64_t counted = 0;
        size_t n;

        hurry();
        assert_int_equal(snapshot_look(&look, &s), 0);
        assert_int_equal(snapshot_tree(s, crowd, &tree, &n), 0);
        assert_int_equal(n, CROWD + 1);
        for (size_t i = 0; i < n; i++) {
                counted += tree[i]->n_open;
                assert_int_equal(tree[i]->n_fds, 0); /* it was not looked at */
        }
        assert_true(counted == 65537);
        assert_true(snapshot_process(s, own)->n_fds > 0);
        look.max_processes = 100;
        assert_int_equal(snapshot_frozen(crowd, &look, s, &frozen), -E2BIG);
        assert_int_equal(snapshot_frozen(own, &look, s, &frozen), 0);
        assert_true(snapshot_process(frozen, own)->n_fds > 0 && frozen->n_processes <= 2);
        expect_soon();
        stop(own);
        stop(crowd);
}

/* FUSE. One file, whose server answers all but what is in it. */

static size_t answer_of(const struct fuse_in_header *q, void *out) {
        struct fuse_init_out *init = out;
        struct fuse_attr_out *attr = out;

        switch (q->opcode) {
        case FUSE_INIT:
                *init = (struct fuse_init_out){.major = 7, .minor = 31, .max_write = PAGE, .time_gran = 1};
                return sizeof *init;
        case FUSE_GETATTR:
                *attr = (struct fuse_attr_out){
                                .attr_valid = 1000,
                                .attr = {.ino = 1, .size = PAGE, .nlink = 1, .blksize = PAGE}};
                attr->attr.mode = S_IFREG | 0644;
                return sizeof *attr;
        case FUSE_OPEN:
                *(struct fuse_open_out *)out = (struct fuse_open_out){0};
                return sizeof(struct fuse_open_out);
        default:
                return 0;
        }
}

/* Says so when it is asked for what is in it. */
static _Noreturn void serve(int device, int asked) {
        static union {
                struct fuse_in_header head;
                char room[1 << 18];
        } q;
        struct {
                struct fuse_out_header head;
                char body[512];
        } a;

        while (read(device, &q, sizeof q) > 0) {
                size_t size = 0;

                if (q.head.opcode == FUSE_READ && write(asked, "", 1) == 1)
                        continue;
                memset(&a, 0, sizeof a);
                size = answer_of(&q.head, a.body);
                a.head.unique = q.head.unique;
                a.head.error = size ? 0 : -ENOSYS;
                a.head.len = (uint32_t)(sizeof a.head + size);
                (void)!write(device, &a, a.head.len);
        }
        _exit(0);
}

/* A descriptor of that file, or -1. */
static int silent_file(int asked) {
        char point[] = "/tmp/carryover-test-XXXXXX", options[128];
        int device, file = mkostemp(point, O_CLOEXEC), fd = -1;
        struct stat st;

        device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        snprintf(options, sizeof options, "fd=%d,rootmode=100000,user_id=0,group_id=0", device);
        if (file >= 0 && device >= 0 && unshare(CLONE_NEWNS) == 0 &&
            mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
            mount("silent", point, "fuse", MS_NOSUID | MS_NODEV, options) == 0) {
                if (fork() == 0)
                        serve(device, asked);
                device = fd_close(device); /* or the file system outlives its server */
                fd = open(point, O_RDONLY | O_CLOEXEC);
                if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_size != PAGE))
                        fd = -1;
        }
        (void)fd_close(device);
        (void)fd_close(file);
        (void)umount2(point, MNT_DETACH);
        (void)unlink(point);
        return fd;
}

static void *hold_lock(void *page) {
        int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
        char c;

        (void)!pread(fd, &c, 1, (off_t)(uintptr_t)page);
        return NULL;
}

static void *wait_for_lock(void *unused) {
        (void)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return unused;
}

/* Whether one of its threads waits in the kernel and takes no signals. */
static bool is_stuck(pid_t pid) {
        _cleanup_(closedirp) DIR *d = NULL;
        const struct dirent *e;
        char path[300];
        bool found = false;

        snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
        d = opendir(path);
        while (d && !found && (e = readdir(d))) {
                _cleanup_(freep) char *stat = NULL;

                snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)pid, e->d_name);
                found = e->d_name[0] != '.' && file_slurp(AT_FDCWD, path, 65536, &stat, NULL) >= 0 &&
                        strstr(stat, ") D ");
        }
        return found;
}

static void wait_stuck(pid_t pid) {
        uint64_t deadline = now_monotonic() + PATIENCE;

        while (!is_stuck(pid)) {
                if (now_monotonic() > deadline)
                        fail_msg("it does not come to wait");
                sched_yield();
        }
}

/* One thread reads that file with the lock on the mappings in hand, another one waits for this lock, and
 * whoever comes then waits behind it. */
static void be_locked(int ready) {
        pthread_t holder, waiter;
        int asked[2], fd;
        void *page;
        char c;

        (void)prctl(PR_SET_NAME, "sshd");
        fd = pipe2(asked, O_CLOEXEC) < 0 ? -1 : silent_file(asked[1]);
        page = fd < 0 ? MAP_FAILED : mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
        if (page == MAP_FAILED || pthread_create(&holder, NULL, hold_lock, page) != 0 ||
            read(asked[0], &c, 1) != 1 || write(ready, "r", 1) != 1 ||
            pthread_create(&waiter, NULL, wait_for_lock, NULL) != 0)
                return;
        for (;;)
                pause();
}

static void test_silent(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL, *all = NULL, *frozen = NULL;
        pid_t pid = start(be_locked), own = start(be_nobody), roots[] = {pid, own};

        wait_stuck(pid);
        hurry();
        assert_int_equal(snapshot_take(SNAP_FULL, roots, 2, &s), 0);
        assert_true(snapshot_process(s, pid)->stuck);
        assert_true(snapshot_process(s, own)->n_fds > 0 && !snapshot_process(s, own)->stuck);
        assert_int_equal(snapshot_take(SNAP_PROCESSES, NULL, 0, &all), 0);
        if (geteuid() == 0) { /* it calls itself "sshd" */
                assert_true(snapshot_process(all, pid)->stuck);
                assert_int_equal(snapshot_process(all, pid)->ppid, getpid());
        }
        assert_int_equal(snapshot_frozen(pid, &(SnapLook){0}, NULL, &frozen), 0);
        assert_true(snapshot_process(frozen, pid)->stuck);
        expect_soon();
        stop(own);
        stop(pid);
}

static void forget_sockets(Snapshot *s) {
        for (size_t i = 0; i < s->n_unixes; i++)
                free(s->unixes[i].path);
        s->n_unixes = s->n_inets = 0;
        free(s->unixes);
        free(s->inets);
        s->unixes = NULL;
        s->inets = NULL;
        s->sorted = false;
}

static int udp_socket(void) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(fd, (void *)&a, sizeof a), 0);
        return fd;
}

/* Others have more sockets than are noted, or so many that they are not listed in time. */
static void test_sockets(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int theirs = udp_socket(), ours;
        pid_t own = getpid(), other = start(be_nobody);
        Mounts mounts = {0};
        struct stat st;

        close(theirs);
        ours = udp_socket();
        assert_int_equal(fstat(ours, &st), 0);
        assert_int_equal(snapshot_take(SNAP_FULL, &own, 1, &s), 0);
        if (s->no_diag)
                skip();
        assert_false(s->ports_unknown || s->sockets_late);
        forget_sockets(s);
        assert_int_equal(procfs_sockets(&mounts, (SocketBounds){0, UINT64_MAX}, s), 0);
        assert_true(s->ports_unknown && !s->sockets_late);
        assert_non_null(snapshot_inet(s, st.st_ino));
        forget_sockets(s);
        s->ports_unknown = false;
        assert_int_equal(procfs_sockets(&mounts, (SocketBounds){100000, 0}, s), 0);
        assert_true(s->ports_unknown && s->sockets_late);
        stop(other);
        close(ours);
}

static unsigned forks;      /* so far */
static unsigned forks_left; /* until one that ends at once; 0: none does */

static void count_fork(void) {
        forks++;
        if (forks_left > 0)
                forks_left--;
}

static void end_at_once(void) {
        if (forks_left == 1)
                _exit(1);
}

/* The child that looks ends before it has begun: no processes at all is not what it has seen. */
static void test_no_look(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int r;

        assert_int_equal(pthread_atfork(NULL, count_fork, end_at_once), 0);
        forks_left = 1;
        r = snapshot_take(SNAP_PROCESSES, NULL, 0, &s);
        forks_left = 0;
        assert_int_equal(r, -EIO);
}

/* Nobody else was found who has what the tree has: it is known that not all were looked at, when the tree
 * stands frozen, too. The child that looks for them is the last one; how many come before it depends on who
 * is in the way on this machine, which may change from one look to the next. */
static void test_holders_cut(void **state) {
        pid_t own = start(be_nobody);
        bool cut = false;

        for (unsigned tries = 0; tries < 16 && !cut; tries++) {
                _cleanup_(snapshot_freep) Snapshot *whole = NULL, *s = NULL, *frozen = NULL;
                int r;

                forks = 0;
                assert_int_equal(snapshot_take(SNAP_FULL, &own, 1, &whole), 0);
                forks_left = forks;
                r = snapshot_take(SNAP_FULL, &own, 1, &s);
                forks_left = 0;
                if (r < 0)
                        continue;
                cut = s->holders_cut;
                assert_int_equal(snapshot_frozen(own, &(SnapLook){0}, s, &frozen), 0);
                assert_int_equal(frozen->holders_cut, cut);
        }
        assert_true(cut);
        stop(own);
}

/* As /proc has it: descriptor `fd` of a directory that is no process's. */
static void fake_fd(int dir, int fd, const char *target, const char *info) {
        _cleanup_(closep) int file = -1;
        char path[64];

        snprintf(path, sizeof path, "fd/%s", target);
        file = openat(dir, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* the link must lead somewhere */
        assert_true(file >= 0);
        snprintf(path, sizeof path, "fd/%d", fd);
        assert_int_equal(symlinkat(target, dir, path), 0);
        closep(&file);
        snprintf(path, sizeof path, "fdinfo/%d", fd);
        file = openat(dir, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(fd_write_all(file, info, strlen(info)), 0);
}

/* Older kernels show the names of the files of an io_uring as they are, with the ends of lines in them. */
static void test_name_like_a_pidfd(void **state) {
        char base[] = "/tmp/test-proc-XXXXXX";
        _cleanup_(closep) int dir = -1;
        SnapProcess p = {.pid = getpid()};
        const Mounts mounts = {0};

        (void)state;
        assert_non_null(mkdtemp(base));
        dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkdirat(dir, "fd", 0700) | mkdirat(dir, "fdinfo", 0700) |
                                         symlinkat("/", dir, "cwd"),
                         0);
        fake_fd(dir, 500, "anon_inode:[io_uring]", "flags:\t02\nUserFiles:\t1\n    0: x\nPid:\t1\n");
        fake_fd(dir, 501, "anon_inode:[pidfd]", "flags:\t02\nPid:\t7\n");
        fake_fd(dir, 502, "pidfd:[9]", "flags:\t02\nPid:\t-1\n");
        assert_int_equal(procfs_fds(dir, &mounts, &p), 0);
        assert_int_equal(p.n_fds, 4); /* the working directory first */
        assert_int_equal(p.fds[1].pidfd, 0);
        assert_int_equal(p.fds[2].pidfd, 7);
        assert_int_equal(p.fds[3].pidfd, -1);
        snap_process_done(&p);
        assert_int_equal(file_remove_tree(AT_FDCWD, base), 0);
}

/* One node is enough to set a policy; a look at all of a process asks only where there are more. */
static void test_memory_policy(void **state) {
        _cleanup_(closep) int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        unsigned long nodes = 1;
        void *memory;

        (void)state;
        assert_false(procfs_has_policy(self));
        if (access("/proc/self/numa_maps", R_OK) < 0 ||
            syscall(SYS_set_mempolicy, MPOL_BIND, &nodes, 8 * sizeof nodes) < 0)
                skip();
        assert_true(procfs_has_policy(self));
        assert_int_equal(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0), 0);
        assert_false(procfs_has_policy(self));
        memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(memory != MAP_FAILED);
        assert_int_equal(syscall(SYS_mbind, memory, 4096, MPOL_INTERLEAVE, &nodes, 8 * sizeof nodes, 0), 0);
        assert_true(procfs_has_policy(self));
        munmap(memory, 4096);
}

/* Few machines let a process choose, so this is what Linux says where one does. */
static void test_speculation(void **state) {
        (void)state;
        assert_false(procfs_is_guarded("Speculation_Store_Bypass:\tthread vulnerable\n"
                                       "SpeculationIndirectBranch:\tconditional enabled\n"));
        assert_false(procfs_is_guarded("Speculation_Store_Bypass:\tglobally mitigated\n"));
        assert_false(procfs_is_guarded("SpeculationIndirectBranch:\talways enabled\n"));
        assert_true(procfs_is_guarded("Name:\tx\nSpeculation_Store_Bypass:\tthread mitigated\n"));
        assert_true(procfs_is_guarded("Speculation_Store_Bypass:\tthread force mitigated\n"));
        assert_true(procfs_is_guarded("Speculation_Store_Bypass:\tthread vulnerable\n"
                                      "SpeculationIndirectBranch:\tconditional force disabled\n"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_speculation),       cmocka_unit_test(test_memory_policy),
                        cmocka_unit_test(test_crowd_of_others),   cmocka_unit_test(test_crowd_that_is_kept),
                        cmocka_unit_test(test_name_like_a_pidfd), cmocka_unit_test(test_silent),
                        cmocka_unit_test(test_no_look),           cmocka_unit_test(test_holders_cut),
                        cmocka_unit_test(test_sockets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

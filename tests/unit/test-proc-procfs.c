/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A snapshot of this test itself and of children whose state is known. What needs root (other users'
 * processes) is left to the machines. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "kernel/ids.h"
#include "proc/procfs.h"
#include "tests/unit/child.h"
#include "tests/unit/look.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <pty.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_processes(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        pid_t child = child_start("a) S 1 (b\n", -1);
        const SnapProcess *p, *init;
        uint64_t start;

        assert_int_equal(snapshot_take(SNAP_PROCESSES, NULL, 0, &s), 0);
        p = snapshot_process(s, child);
        assert_non_null(p);
        assert_string_equal(p->comm, "a) S 1 (b\n");
        assert_int_equal(p->ppid, getpid());
        assert_int_equal(p->pgid, getpgrp());
        assert_int_equal(p->sid, getsid(0));
        assert_int_equal(p->state, 'S');
        assert_int_equal(p->uid, getuid());
        assert_non_null(p->exe);
        assert_false(p->kernel_thread);
        assert_int_equal(process_start_time(child, &start), 0);
        assert_true(p->start == start && start > 0);
        assert_true(p->n_fds == 0);
        init = snapshot_process(s, 1);
        assert_non_null(init);
        assert_int_equal(init->ppid, 0);
        kill(child, SIGKILL);
        assert_int_equal(waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
        assert_int_equal(process_start_time(child, &start), -ESRCH); /* dead is dead, reaped or not */
        child_end(child);
        assert_int_equal(process_start_time(child, &start), -ESRCH);
}

/* What tells a container's name, if it is root's; nobody else's arguments are looked at, and no more than
 * 4095 bytes of them, wherever these end. */
static void test_container(void **state) {
        static const char conmon[] = "printf conmon >/proc/self/comm; echo; read x",
                          conmom[] = "printf conmom >/proc/self/comm; echo; read x";
        static char pad[4095 - sizeof "-n" + 1 - sizeof "sh" - sizeof "-c" - sizeof conmon -
                        sizeof "conmon"];
        const struct {
                const char *script, *arguments[5], *title;
        } table[] = {
                        {conmon, {"-c", "0123", "-n", "web", "-p"}, "web"},
                        {conmon, {"-c", "0123", "-n"}, ""},
                        {conmon, {pad, "-n", "web"}, ""},
                        {conmon, {pad, "-name", "web"}, ""},
                        {conmon, {pad + 4, "-n", "web", "-p"}, ""},
                        {conmon, {pad + 5, "-n", "web", "-p"}, "web"},
                        {conmom, {"-c", "0123", "-n", "web"}, ""},
        };

        memset(pad, 'x', sizeof pad - 1);
        for (size_t i = 0; i < ELEMENTS(table); i++) {
                _cleanup_(snapshot_freep) Snapshot *s = NULL;
                int in[2], out[2];
                char c;
                pid_t pid;

                assert_int_equal(pipe(in) | pipe(out), 0);
                pid = fork();
                if (pid == 0) {
                        dup2(in[0], 0);
                        dup2(out[1], 1);
                        execl("/bin/sh", "sh", "-c", table[i].script, "conmon", table[i].arguments[0],
                              table[i].arguments[1], table[i].arguments[2], table[i].arguments[3],
                              table[i].arguments[4], NULL);
                        _exit(1);
                }
                assert_int_equal(read(out[0], &c, 1), 1);
                assert_int_equal(snapshot_take(SNAP_PROCESSES, NULL, 0, &s), 0);
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                close(in[0]), close(in[1]), close(out[0]), close(out[1]);
                assert_false(snapshot_process(s, pid)->stuck); /* what reads it has not died of it */
                assert_string_equal(snapshot_process(s, pid)->title, geteuid() == 0 ? table[i].title : "");
        }
}

static void test_kernel_thread(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        const SnapProcess *p;

        assert_int_equal(snapshot_take(SNAP_PROCESSES, NULL, 0, &s), 0);
        p = snapshot_process(s, 2);
        if (!p || strcmp(p->comm, "kthreadd") != 0)
                skip(); /* a PID namespace of its own */
        assert_true(p->kernel_thread);
        assert_null(p->exe);
}

static void test_depth(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        pid_t self = getpid(), child = child_start(NULL, -1);
        const SnapProcess *p;

        assert_int_equal(snapshot_take(SNAP_FULL, (pid_t[]){self, child, 4194304}, 3, &s), 0);
        p = snapshot_process(s, child);
        assert_non_null(p);
        assert_int_equal(p->n_tids, 1);
        assert_int_equal(p->tids[0], child);
        assert_true(p->n_fds >= 3);
        assert_true(p->ns_net == s->own_net && p->ns_mnt == s->own_mnt && p->ns_pid == s->own_pid);
        assert_true(p->ns_net != 0);
        assert_true(p->rss_bytes > 4096);
        p = snapshot_process(s, 1);
        assert_int_equal(p->n_fds, 0);
        child_end(child);
}

static void test_files(void **state) {
        char dir[] = "/tmp/carryover-test-XXXXXX", path[64], fifo[64];
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_(closep) int kept = -1, gone = -1, replaced = -1, f = -1, d = -1, null = -1, memory = -1;
        const SnapProcess *p;

        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof path, "%s/f", dir);
        gone = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(gone, 12345), 0);
        unlink(path);
        replaced = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        snprintf(fifo, sizeof fifo, "%s/g", dir);
        assert_int_equal(rename(path, fifo), 0);
        assert_int_equal(link(fifo, path), 0);
        unlink(path);
        kept = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        unlink(fifo);
        assert_int_equal(mkfifo(fifo, 0600), 0);
        f = open(fifo, O_RDWR | O_CLOEXEC);
        d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        memory = memfd_create("x", MFD_CLOEXEC);

        p = look_at(getpid(), &s);
        assert_int_equal(fd_of(p, gone)->kind, FD_FILE);
        assert_true(fd_of(p, gone)->deleted);
        assert_true(fd_of(p, gone)->size == 12345);
        assert_string_equal(fd_of(p, gone)->target, path);
        assert_int_equal(fd_of(p, kept)->kind, FD_FILE);
        assert_false(fd_of(p, kept)->deleted);
        assert_false(fd_of(p, kept)->path_replaced);
        assert_false(fd_of(p, kept)->mnt_foreign);
        assert_int_equal(fd_of(p, kept)->flags & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
        assert_int_equal(fd_of(p, kept)->mode, S_IFREG | 0640);
        assert_int_equal(fd_of(p, f)->kind, FD_FIFO);
        assert_string_equal(fd_of(p, f)->target, fifo);
        assert_int_equal(fd_of(p, d)->kind, FD_DIR);
        assert_int_equal(fd_of(p, null)->kind, FD_CHAR);
        assert_int_equal(fd_of(p, memory)->kind, FD_MEMFD);
        unlink(path);
        unlink(fifo);
        rmdir(dir);
}

static void test_replaced_file(void **state) {
        char dir[] = "/tmp/carryover-test-XXXXXX", path[64], other[64];
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_(closep) int fd = -1, new = -1;
        const SnapProcess *p;
        void *map;

        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof path, "%s/f", dir);
        snprintf(other, sizeof other, "%s/g", dir);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(fd, 8192), 0);
        map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
        assert_true(map != MAP_FAILED);
        new = open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(rename(other, path), 0);
        p = look_at(getpid(), &s);
        assert_true(fd_of(p, fd)->deleted && fd_of(p, fd)->path_replaced);
        assert_false(fd_of(p, new)->path_replaced);
        if (geteuid() == 0) { /* map_files is root's */
                const SnapMap *found = NULL;

                for (size_t i = 0; i < p->n_maps; i++)
                        if (strcmp(p->maps[i].path, path) == 0)
                                found = p->maps + i;
                assert_non_null(found);
                assert_true(found->deleted && found->size == 8192);
        }
        munmap(map, 4096);
        unlink(path);
        rmdir(dir);
}

/* As dpkg leaves a file of which somebody has made a hard link; and a directory that is there again. */
static void test_lost_name(void **state) {
        char dir[] = "/tmp/carryover-test-XXXXXX", path[64], kept[64], gone[64];
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_(closep) int fd = -1, dir_fd = -1;
        const SnapProcess *p;

        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof path, "%s/f", dir);
        snprintf(kept, sizeof kept, "%s/kept", dir);
        snprintf(gone, sizeof gone, "%s/gone", dir);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0 && link(path, kept) == 0 && unlink(path) == 0);
        assert_int_equal(mkdir(gone, 0700), 0);
        dir_fd = open(gone, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(dir_fd >= 0 && rmdir(gone) == 0);
        p = look_at(getpid(), &s);
        assert_true(fd_of(p, fd)->unlinked);
        assert_false(fd_of(p, fd)->deleted || fd_of(p, fd)->path_replaced);
        assert_string_equal(fd_of(p, fd)->target, path);
        assert_true(fd_of(p, dir_fd)->deleted);
        assert_false(fd_of(p, dir_fd)->unlinked || fd_of(p, dir_fd)->path_replaced);

        s = snapshot_free(s);
        assert_int_equal(mkdir(gone, 0700), 0);
        p = look_at(getpid(), &s);
        assert_true(fd_of(p, dir_fd)->deleted && fd_of(p, dir_fd)->path_replaced);
        unlink(kept);
        rmdir(gone);
        rmdir(dir);
}

static void test_volatile(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        char path[] = "/dev/shm/carryover-test-XXXXXX";
        _cleanup_(closep) int fd = mkostemp(path, O_CLOEXEC), below = -1, top = -1;
        struct stat root, shm;
        const SnapProcess *p;

        if (fd < 0 || stat("/", &root) < 0 || stat("/dev/shm", &shm) < 0 || root.st_dev == shm.st_dev)
                skip();
        (void)mkdir("/dev/shm/carryover-test-dir", 0700);
        below = open("/dev/shm/carryover-test-dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        top = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        p = look_at(getpid(), &s);
        assert_true(fd_of(p, fd)->is_volatile);
        assert_true(fd_of(p, below)->is_volatile);
        assert_false(fd_of(p, top)->is_volatile); /* mounted again at boot */
        unlink(path);
        rmdir("/dev/shm/carryover-test-dir");
}

static void test_terminals(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL, *after = NULL;
        int master, slave;
        const SnapProcess *p;
        const SnapHolder *h;
        pid_t child;

        assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
        p = look_at(getpid(), &s);
        assert_int_equal(fd_of(p, master)->kind, FD_PTMX);
        assert_int_equal(fd_of(p, slave)->kind, FD_TTY);
        assert_true(fd_of(p, slave)->pty_index >= 0);
        assert_int_equal(fd_of(p, slave)->pty_index, fd_of(p, master)->pty_index);

        /* a tree that holds only the slave: who has the master is found outside */
        child = child_start(NULL, -1);
        assert_int_equal(snapshot_take(SNAP_FULL, &child, 1, &after), 0);
        h = snapshot_holder(after, FD_PTMX, (uint64_t)fd_of(p, master)->pty_index);
        assert_non_null(h);
        assert_int_equal(h->pid, getpid());
        child_end(child);
        close(master);
        close(slave);
}

static void test_unix(void **state) {
        struct sockaddr_un_small {
                sa_family_t family;
                char path[40];
        } address = {.family = AF_UNIX};
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int pair[2], half[2], listener;
        const SnapProcess *p;
        const SnapUnix *u;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, half), 0);
        close(half[1]);
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        snprintf(address.path + 1, sizeof address.path - 1, "carryover-test-%d", (int)getpid());
        assert_int_equal(bind(listener, (void *)&address,
                              (socklen_t)(sizeof(sa_family_t) + 1 + strlen(address.path + 1))),
                         0);
        assert_int_equal(listen(listener, 1), 0);
        p = look_at(getpid(), &s);
        if (s->no_diag)
                skip();
        assert_int_equal(fd_of(p, pair[0])->kind, FD_UNIX);
        u = snapshot_unix(s, fd_of(p, pair[0])->ino);
        assert_non_null(u);
        assert_int_equal(u->type, SOCK_STREAM);
        assert_int_equal(u->state, TCP_ESTABLISHED);
        assert_true(u->peer == fd_of(p, pair[1])->ino);
        assert_false(u->dead_peer);
        u = snapshot_unix(s, fd_of(p, half[0])->ino);
        assert_true(u->peer == 0 && u->dead_peer);
        u = snapshot_unix(s, fd_of(p, listener)->ino);
        assert_int_equal(u->state, TCP_LISTEN);
        assert_true(starts_with(u->path, "@carryover-test-"));
        close(pair[0]);
        close(pair[1]);
        close(half[0]);
        close(listener);
}

static void test_inet(void **state) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int listener, client, accepted, udp;
        socklen_t l = sizeof a;
        const SnapProcess *p;
        const SnapInet *i;

        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (void *)&a, sizeof a), 0);
        assert_int_equal(listen(listener, 4), 0);
        assert_int_equal(getsockname(listener, (void *)&a, &l), 0);
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (void *)&a, sizeof a), 0);
        accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        udp = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        p = look_at(getpid(), &s);
        if (s->no_diag)
                skip();
        assert_int_equal(fd_of(p, client)->kind, FD_TCP);
        assert_int_equal(fd_of(p, udp)->kind, FD_UDP);
        i = snapshot_inet(s, fd_of(p, client)->ino);
        assert_non_null(i);
        assert_int_equal(i->state, TCP_ESTABLISHED);
        assert_int_equal(i->protocol, IPPROTO_TCP);
        assert_int_equal(i->remote_port, ntohs(a.sin_port));
        assert_memory_equal(i->remote, &a.sin_addr, 4);
        assert_true(i->to_self);
        i = snapshot_inet(s, fd_of(p, listener)->ino);
        assert_int_equal(i->state, TCP_LISTEN);
        assert_int_equal(i->local_port, ntohs(a.sin_port));
        assert_non_null(snapshot_inet(s, fd_of(p, accepted)->ino));
        close(listener);
        close(client);
        close(accepted);
        close(udp);
}

/* Another address of the machine is no more another machine than the loopback's is. */
static void test_inet_own(void **state) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a4d0001)};
        int listener, client, netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        socklen_t l = sizeof a;
        const SnapProcess *p;

        if (netns < 0 || unshare(CLONE_NEWNET) < 0)
                skip();
        assert_int_equal(system("ip link set lo up && ip address add 10.77.0.1/32 dev lo"), 0);
        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (void *)&a, sizeof a), 0);
        assert_int_equal(listen(listener, 4), 0);
        assert_int_equal(getsockname(listener, (void *)&a, &l), 0);
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (void *)&a, sizeof a), 0);
        p = look_at(getpid(), &s);
        if (!s->no_diag)
                assert_true(snapshot_inet(s, fd_of(p, client)->ino)->to_self);
        close(listener);
        close(client);
        assert_int_equal(setns(netns, CLONE_NEWNET), 0);
        close(netns);
}

static void test_odd_descriptors(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int epoll = epoll_create1(EPOLL_CLOEXEC), pair[2], packet, pidfd;
        pid_t child = child_start(NULL, -1);
        const SnapProcess *p;

        pidfd = (int)syscall(SYS_pidfd_open, child, 0);
        packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        assert_int_equal(pipe2(pair, O_CLOEXEC | O_DIRECT), 0);
        p = look_at(getpid(), &s);
        assert_int_equal(fd_of(p, epoll)->kind, FD_ANON);
        assert_string_equal(fd_of(p, epoll)->target, "anon_inode:[eventpoll]");
        assert_int_equal(fd_of(p, pair[0])->kind, FD_PIPE);
        assert_true(fd_of(p, pair[1])->flags & O_DIRECT);
        assert_true(fd_of(p, pair[0])->ino == fd_of(p, pair[1])->ino);
        assert_int_equal(fd_of(p, pidfd)->kind, FD_ANON);
        assert_int_equal(fd_of(p, pidfd)->pidfd, child);
        assert_int_equal(fd_of(p, pidfd)->pidfd_parent, getpid());
        if (packet >= 0) {
                assert_int_equal(fd_of(p, packet)->kind, FD_PACKET);
                assert_true(fd_of(p, packet)->any_interface || s->no_diag);
        }
        if (packet >= 0 && !s->no_diag) {
                struct packet_mreq member = {.mr_ifindex = 1, .mr_type = PACKET_MR_ALLMULTI};
                struct sockaddr_ll lo = {.sll_family = AF_PACKET, .sll_ifindex = 1};

                assert_int_equal(setsockopt(packet, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &member,
                                            sizeof member),
                                 0);
                p = look_at(getpid(), &s);
                assert_false(fd_of(p, packet)->any_interface);
                assert_int_equal(setsockopt(packet, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &member,
                                            sizeof member),
                                 0);
                assert_int_equal(bind(packet, (struct sockaddr *)&lo, sizeof lo), 0);
                p = look_at(getpid(), &s);
                assert_false(fd_of(p, packet)->any_interface);
        }
        fd_close(packet);
        child_end(child);
        close(epoll);
        close(pair[0]);
        close(pair[1]);
        close(pidfd);
}

/* A terminal whose master is open, and then is not. */
static void test_hung_up(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;

        (void)state;
        assert_true(master >= 0);
        assert_int_equal(unlockpt(master), 0);
        slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(slave >= 0);
        assert_false(fd_of(look_at(getpid(), &s), slave)->hung_up);
        assert_true(fd_of(look_at(getpid(), &s), slave)->pty_index >= 0);
        close(master);
        assert_true(fd_of(look_at(getpid(), &s), slave)->hung_up);
        assert_true(fd_of(look_at(getpid(), &s), slave)->pty_index >= 0);
        close(slave);
}

/* A pipe with both ends here, one that nobody reads, one that nobody writes, and one that somebody else
 * might. */
static void test_pipe_ends(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL, *after = NULL;
        int whole[2], unread[2], unwritten[2];
        const SnapProcess *p;
        pid_t child;

        assert_int_equal(pipe2(whole, O_CLOEXEC), 0);
        assert_int_equal(pipe2(unread, O_CLOEXEC), 0);
        assert_int_equal(pipe2(unwritten, O_CLOEXEC), 0);
        close(unread[0]);
        close(unwritten[1]);
        p = look_at(getpid(), &s);
        assert_false(fd_of(p, whole[0])->hung_up || fd_of(p, whole[1])->hung_up);
        assert_true(fd_of(p, unread[1])->hung_up);
        assert_true(fd_of(p, unwritten[0])->hung_up);
        child = child_start(NULL, -1);
        close(whole[1]); /* the child has it */
        p = look_at(getpid(), &s);
        assert_false(fd_of(p, whole[0])->hung_up);
        assert_int_equal(snapshot_take(SNAP_FULL, &child, 1, &after), 0);
        assert_true(fd_of(snapshot_process(after, child), unread[1])->hung_up);
        child_end(child);
        p = look_at(getpid(), &s);
        assert_true(fd_of(p, whole[0])->hung_up);
        close(whole[0]);
        close(unread[1]);
        close(unwritten[0]);
}

/* `carryover reboot` looks at the tree that it is in: what it opens for that must not be a reason to refuse
 * it. */
static void test_own_look(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        const SnapProcess *p = look_at(getpid(), &s);

        for (size_t k = 0; k < p->n_fds; k++)
                assert_false(p->fds[k].kind == FD_ANON && strstr(p->fds[k].target, "pidfd"));
}

static void test_pipe_holder(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL, *frozen = NULL;
        const SnapHolder *h;
        int pair[2];
        struct stat st;
        pid_t child;

        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        assert_int_equal(fstat(pair[0], &st), 0);
        child = child_start(NULL, -1);
        assert_int_equal(snapshot_take(SNAP_FULL, &child, 1, &s), 0);
        h = snapshot_holder(s, FD_PIPE, st.st_ino);
        assert_non_null(h);
        assert_int_equal(h->pid, getpid());
        assert_int_equal(snapshot_frozen(child, &(SnapLook){0}, s, &frozen),
                         0); /* from what was seen before */
        h = snapshot_holder(frozen, FD_PIPE, st.st_ino);
        assert_true(h && h->pid == getpid());
        child_end(child);
        close(pair[0]);
        close(pair[1]);
}

/* A listener that a parent has left to its child is the parent's, too. */
static void test_listener_holder(void **state) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const SnapHolder *h;
        struct stat st;
        pid_t child;

        assert_int_equal(bind(listener, (void *)&a, sizeof a), 0);
        assert_int_equal(listen(listener, 4), 0);
        assert_int_equal(fstat(listener, &st), 0);
        child = child_start(NULL, -1);
        assert_int_equal(snapshot_take(SNAP_FULL, &child, 1, &s), 0);
        assert_false(s->holders_cut);
        assert_true(s->questions[0] > 0 && s->questions[0] <= s->questions[1]);
        h = snapshot_holder(s, FD_UNIX, st.st_ino);
        assert_non_null(h);
        assert_int_equal(h->pid, getpid());
        child_end(child);
        close(listener);
}

static void test_sysv_and_affinity(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int id = shmget(IPC_PRIVATE, 4096, 0600);
        cpu_set_t all, one;
        const SnapProcess *p;
        void *at;

        assert_true(id >= 0);
        at = shmat(id, NULL, 0);
        assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
        assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
        CPU_ZERO(&one);
        for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
                if (CPU_ISSET(i, &all))
                        CPU_SET(i, &one);
        assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
        p = look_at(getpid(), &s);
        assert_true(p->sysv_shm == 1);
        if (CPU_COUNT(&all) > 1) {
                assert_true(p->n_affinity == sizeof one);
                assert_memory_equal(p->affinity, &one, sizeof one);
        }
        assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
        shmdt(at);
}

static void test_ids(void **state) {
        char id[37], release[128];

        assert_int_equal(system_boot_id(id), 0);
        assert_int_equal(strlen(id), 36);
        assert_int_equal(system_kernel(release), 0);
        assert_true(release[0] >= '1' && release[0] <= '9');
        assert_int_equal(system_pids_lift(0), -ERANGE);
        assert_int_equal(system_pids_lift(4194304), -ERANGE);
}

/* Shown by a child in a time namespace, as a carried session is: the host's ticks, but for the rounding. */
static void test_start_in_time_namespace(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        pid_t self = getpid(), pid;
        uint64_t here;
        int status;

        assert_int_equal(process_start_time(self, &here), 0);
        pid = fork();
        if (pid == 0) {
                uint64_t there;

                if (unshare(CLONE_NEWTIME) < 0 ||
                    file_put("/proc/self/timens_offsets", "7 12345 678000000\n") < 0)
                        _exit(77);
                pid = fork(); /* the namespace is the children's */
                if (pid == 0) {
                        if (process_start_time(self, &there) < 0 || here - there > 1 ||
                            snapshot_take(SNAP_PROCESSES, NULL, 0, &s) < 0 ||
                            here - snapshot_process(s, self)->start > 1)
                                _exit(1);
                        _exit(0);
                }
                _exit(waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                skip();
        assert_int_equal(status, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_processes),
                        cmocka_unit_test(test_container),
                        cmocka_unit_test(test_kernel_thread),
                        cmocka_unit_test(test_depth),
                        cmocka_unit_test(test_files),
                        cmocka_unit_test(test_replaced_file),
                        cmocka_unit_test(test_lost_name),
                        cmocka_unit_test(test_volatile),
                        cmocka_unit_test(test_terminals),
                        cmocka_unit_test(test_unix),
                        cmocka_unit_test(test_inet),
                        cmocka_unit_test(test_inet_own),
                        cmocka_unit_test(test_odd_descriptors),
                        cmocka_unit_test(test_pipe_ends),
                        cmocka_unit_test(test_hung_up),
                        cmocka_unit_test(test_own_look),
                        cmocka_unit_test(test_pipe_holder),
                        cmocka_unit_test(test_listener_holder),
                        cmocka_unit_test(test_sysv_and_affinity),
                        cmocka_unit_test(test_ids),
                        cmocka_unit_test(test_start_in_time_namespace),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

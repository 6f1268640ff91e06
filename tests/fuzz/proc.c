/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What the processes of a user can make /proc, and logind's files, say: their names, their cgroups, what
 * their descriptors are called. Parts separated by "\n==\n", each a letter for the file, for some a digit
 * for the process (100 and up), and the text. The snapshot that results is selected from, described, judged
 * and shown; whatever was in it, the ticket of its trees must be one that the store will take, or one user's
 * process keeps everybody from being carried.
 */

#include "fuzz.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "kernel/cpu.h"
#include "preflight/preflight.h"
#include "proc/procfs.h"
#include "report/trees.h"
#include "select/select.h"
#include "store/store.h"
#include "systemd/cgroup.h"
#include "systemd/login.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <json-c/json.h>

#define FIRST     100
#define PROCESSES 4

static pid_t process_of(uint8_t digit) {
        return FIRST + digit % PROCESSES;
}

static void put_of(pid_t pid, const char *name, Part content) {
        char path[64];

        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
        cell_put_part(path, content);
}

/* A descriptor: its number, what it is called up to the end of the line, fdinfo. What it is called exists,
 * as well as that can be done. */
static void put_fd(pid_t pid, Part content) {
        unsigned number = part_byte(&content) % 64;
        char target[PATH_MAX], link[64], name[32];
        _cleanup_(closep) int dir = -1;

        part_word(&content, '\n', target, sizeof target);
        snprintf(link, sizeof link, "/proc/%d/fd/%u", (int)pid, number);
        snprintf(name, sizeof name, "fdinfo/%u", number);
        put_of(pid, name, content);
        (void)symlink(target, link);
        if (target[0] == '/') {
                cell_put(target, "", 0);
                return;
        }
        if (target[0] == '\0' || strchr(target, '/'))
                return;
        snprintf(link, sizeof link, "/proc/%d/fd", (int)pid);
        dir = open(link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (strncmp(target, "pipe:", 5) == 0)
                (void)mkfifoat(dir, target, 0600);
        else
                (void)mknodat(dir, target, strncmp(target, "socket:", 7) == 0 ? S_IFSOCK : S_IFREG, 0);
}

static void put_session(Part content) {
        char path[64];

        snprintf(path, sizeof path, "/run/systemd/sessions/%u", part_byte(&content) % 10u);
        cell_put_part(path, content);
}

static void put_link(pid_t pid, const char *name, Part content) {
        char target[PATH_MAX], link[64];

        part_word(&content, '\0', target, sizeof target);
        snprintf(link, sizeof link, "/proc/%d/%s", (int)pid, name);
        (void)symlink(target, link);
}

static void put_process_file(uint8_t letter, Part part) {
        pid_t pid = process_of(part_byte(&part));

        switch (letter) {
        case 'S':
                put_of(pid, "stat", part);
                break;
        case 'T':
                put_of(pid, "status", part);
                break;
        case 'G':
                put_of(pid, "cgroup", part);
                break;
        case 'C':
                put_of(pid, "cmdline", part);
                break;
        case 'M':
                put_of(pid, "maps", part);
                break;
        case 'P':
                put_of(pid, "personality", part);
                break;
        case 'X':
                put_link(pid, "exe", part);
                break;
        case 'W':
                put_link(pid, "cwd", part);
                break;
        case 'F':
                put_fd(pid, part);
        }
}

static void put_file(Part part) {
        uint8_t letter = part_byte(&part);

        switch (letter) {
        case 'm':
                cell_put_part("/proc/thread-self/mountinfo", part);
                break;
        case 'n':
                cell_put_part("/proc/thread-self/net/netlink", part);
                break;
        case 'o':
                cell_put_part("/proc/self/timens_offsets", part);
                break;
        case 'c':
                cell_put_part("/proc/cpuinfo", part);
                break;
        case 'u':
                cell_put_part("/run/utmp", part);
                break;
        case 'g':
                cell_put_part("/sys/fs/cgroup/x/cgroup.procs", part);
                break;
        case 'l':
                put_session(part);
                break;
        default:
                put_process_file(letter, part);
        }
}

/* Every process as far as it must be there at all; which are, the input says by their status. */
static void make_world(void) {
        static const char stat[] = "100 (x) S 1 100 100 34816 100 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0\n";

        EXPECT(make_dirs("/dev/pts", 0755) >= 0 && make_dirs("/tmp", 0755) >= 0);
        cell_put("/proc/thread-self/mountinfo", "30 1 0:26 / /tmp rw - tmpfs tmpfs rw\n", 37);
        cell_put("/tmp/f", "f", 1);
        (void)mknod("/dev/pts/0", S_IFCHR | 0620, makedev(136, 0));
        (void)mknod("/dev/ptmx", S_IFCHR | 0666, makedev(5, 2));
        (void)mknod("/dev/tty", S_IFCHR | 0666, makedev(5, 0));
        for (pid_t pid = FIRST; pid < FIRST + PROCESSES; pid++) {
                char path[64];

                snprintf(path, sizeof path, "/proc/%d/map_files", (int)pid);
                EXPECT(make_dirs(path, 0755) >= 0);
                snprintf(path, sizeof path, "/proc/%d/map_files/1000-2000", (int)pid);
                EXPECT(symlink("/tmp/f", path) == 0);
                snprintf(path, sizeof path, "/proc/%d/task/%d", (int)pid, (int)pid);
                EXPECT(make_dirs(path, 0755) >= 0);
                snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
                EXPECT(make_dirs(path, 0755) >= 0);
                snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
                cell_put(path, "", 0);
                snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
                cell_put(path, "", 0);
                snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
                cell_put(path, "0::/user.slice/user-0.slice/session-1.scope\n", 44);
                snprintf(path, sizeof path, "/proc/%d/personality", (int)pid);
                cell_put(path, "00000000\n", 9);
                snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
                cell_put(path, stat, sizeof stat - 1);
        }
}

/* Sockets come from the kernel and not from a file, so they are added: eight bytes each, for a descriptor of
 * the snapshot what it is and what the kernel would tell of it. */
static void add_socket(Snapshot *s, const uint8_t bytes[static 8]) {
        static const FdKind kinds[] = {FD_UNIX, FD_TCP, FD_UDP, FD_NETLINK, FD_SOCKET, FD_PTMX, FD_TTY};
        SnapProcess *p = s->processes + bytes[0] % s->n_processes;
        SnapFd *f = p->n_fds > 0 ? p->fds + bytes[1] % p->n_fds : NULL;
        SnapUnix u = {.ino = bytes[3], .peer = bytes[4], .type = bytes[5] % 6, .state = bytes[6] % 12};
        SnapInet i = {.ino = bytes[3], .family = bytes[4] & 1 ? AF_INET : AF_INET6, .state = bytes[6] % 12};

        if (f) {
                f->kind = kinds[bytes[2] % ELEMENTS(kinds)];
                f->ino = bytes[3];
                f->pty_index = f->kind >= FD_TTY && f->kind <= FD_PTMX ? bytes[4] % 4 : -1;
        }
        if (bytes[2] & 8) {
                i.protocol = bytes[5] & 1 ? IPPROTO_TCP : IPPROTO_UDP;
                i.local[0] = i.remote[3] = bytes[7];
                i.local_port = bytes[5];
                i.remote_port = bytes[6];
                EXPECT(model_append(s->inets, s->n_inets, i) == 0);
        } else {
                u.path = bytes[7] ? strdup(bytes[7] & 1 ? "/run/dbus/system_bus_socket" : "@x") : NULL;
                EXPECT(model_append(s->unixes, s->n_unixes, u) == 0);
        }
}

static void add_sockets(Snapshot *s, Part bytes) {
        for (; s->n_processes > 0 && bytes.size >= 8; bytes.data += 8, bytes.size -= 8)
                add_socket(s, bytes.data);
        snapshot_sort(s);
}

static void show(Tree *tree, const Verdict *verdict) {
        const ReportStyle style = {0};
        Candidate one = {.tree = tree, .verdict = *verdict};
        const Candidates all = {.items = &one, .n = 1, .judged = true, .machine = *verdict};
        struct json_object *o;
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        EXPECT(out);
        report_tree(out, &one, style);
        EXPECT(fclose(out) == 0 && is_printable(text, size));
        free(text);
        out = open_memstream(&text, &size);
        EXPECT(out && report_trees_json(out, &all, true) >= 0);
        EXPECT(fclose(out) == 0);
        o = json_tokener_parse(text);
        EXPECT(o);
        json_object_put(o);
        free(text);
}

static void judge(const Snapshot *s, Tree *tree) {
        const PreflightFacts facts = {.not_asked = UINT32_MAX};
        PreflightNeeds needs;
        Verdict verdict = {0};
        char *stable = NULL;

        EXPECT(select_stable(tree, &stable) >= 0);
        EXPECT(tree->root_start == 0 || select_check(stable) >= 0); /* 0: only the kernel began then */
        free(stable);
        if (select_describe(s, tree) < 0)
                return;
        EXPECT(preflight_tree(s, tree, &facts, &verdict) >= 0);
        EXPECT(preflight_needs(s, tree, &needs) >= 0);
        show(tree, &verdict);
        verdict_done(&verdict);
}

/* As the save would, with what is selected. */
static void seal(const Candidates *trees) {
        static char id[] = "0123456789abcdef", empty[] = "";
        const Config config = {.store = "/store"};
        _cleanup_(freep) Tree **all = candidates_trees(trees);
        Ticket ticket = TICKET__INIT;
        Store store;

        EXPECT(all);
        ticket.id = id;
        ticket.version = ticket.old_boot = ticket.old_kernel = ticket.machine = empty;
        ticket.action = ticket.hold_backend = empty;
        ticket.trees = all;
        ticket.n_trees = trees->n;
        EXPECT(store_open(&config, &store) >= 0);
        EXPECT(store_seal(&store, &ticket, NULL) >= 0);
        EXPECT(file_remove_tree(store.fd, "ticket") >= 0);
        store_close(&store);
}

static void select_from(const Snapshot *s, Session *const *sessions, size_t n_sessions) {
        static const char *const targets[] = {NULL,          "session:1", "session:2",   "pid:100",
                                              "pid:102@500", "unit:x",    "unit:y.slice"};
        const SelectWorld world = {.all = s, .sessions = sessions, .n_sessions = n_sessions};

        for (size_t i = 0; i < ELEMENTS(targets); i++) {
                _cleanup_(candidates_done) Candidates found = {0};

                if (select_resolve(&world, targets[i], FIRST + 1, &found) < 0)
                        continue;
                EXPECT(found.n > 0);
                for (size_t k = 0; k < found.n; k++)
                        judge(s, found.items[k].tree);
                seal(&found);
        }
}

/* This /proc has no descriptors of ours: the one that is read through gets its link for that long. */
static void use_cgroup(void) {
        _cleanup_(freep) char *path = NULL;
        _cleanup_(freep) pid_t *pids = NULL;
        _cleanup_(closep) int fd = -1;
        char file[PATH_MAX], link[32];
        size_t n = 0;

        if (cgroup_of(FIRST, &path) < 0)
                return;
        fd = cgroup_open_procs(path);
        if (fd < 0)
                return;
        snprintf(file, sizeof file, "/sys/fs/cgroup%s/cgroup.procs", path);
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (make_dirs("/proc/self/fd", 0755) < 0 ||
            symlink(file, link) < 0) /* the input has something there */
                return;
        (void)cgroup_procs_pids(fd, &pids, &n);
        for (size_t i = 0; i < n; i++)
                EXPECT(pids[i] > 0 && pids[i] <= 4194304);
        EXPECT(unlink(link) == 0);
}

static void use_proc(Part sockets, bool is_plain) {
        static const pid_t roots[] = {FIRST, FIRST + 2};
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_(freep) char *words = NULL, *lost = NULL;
        Session **sessions = NULL;
        size_t n = 0;
        int r;

        if (cpu_instructions("/proc/cpuinfo", &words) >= 0) {
                EXPECT(cpu_lost(words, words, &lost) >= 0 && lost[0] == '\0');
        }
        use_cgroup();
        if (login_sessions("", &sessions, &n) < 0)
                n = 0;
        r = snapshot_take(SNAP_FULL, roots, ELEMENTS(roots), &s);
        /* Or this world lacks a file that is read by now, and no input would come far. */
        EXPECT(!is_plain || (r >= 0 && s->n_processes == PROCESSES));
        if (r >= 0) {
                add_sockets(s, sockets);
                select_from(s, sessions, n);
        }
        if (n > 0)
                login_sessions_free(sessions, n);
        else
                free(sessions);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Part rest = {data, size}, part, sockets = {0};

        cell_enter(false);
        make_world();
        while (part_next(&rest, "\n==\n", &part))
                if (part.size > 0 && part.data[0] == 'v')
                        sockets = (Part){part.data + 1, part.size - 1};
                else
                        put_file(part);
        use_proc(sockets, size == 0);
        cell_leave();
        return 0;
}

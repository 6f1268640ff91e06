/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * One process. /proc is read one process at a time while all of them run: whatever disappears between two
 * reads was not there. Which are read, and how much of them, is in look.c; it has a child do it.
 */

#include "proc/procfs.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/cgroup-path.h"
#include "model/model.h"
#include "proc/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/kdev_t.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* Of /proc/PID/stat's flags, PF_EXITING and PF_KTHREAD: ABI by use, ps relies on them. */
#define FLAG_EXITING      0x00000004u
#define FLAG_KTHREAD      0x00200000u
#define MAJOR_PTS_FIRST   136
#define MAJOR_PTS_LAST    143
#define IOPRIO_WHO_THREAD 1
#define TICKS_PER_SEC     100 /* USER_HZ: what /proc counts in, on every architecture of ours */
#define NSEC_PER_TICK     10000000
#define SMALL_FILE        (64u << 10) /* stat, status, cgroup: below 8 KiB in practice */

/* A process that vanished shows as any of these, depending on how far it had come. */
bool procfs_is_gone(int r) {
        return r == -ENOENT || r == -ESRCH || r == -ENOTDIR;
}

static int open_process(int proc, pid_t pid) {
        char name[16];
        int fd;

        snprintf(name, sizeof name, "%d", (int)pid);
        fd = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT || errno == ESRCH
                                       ? -ESRCH
                                       : err_born(-errno, "cannot open /proc/%d", (int)pid);
        return fd;
}

const char *procfs_field(const char *text, const char *key) {
        size_t l = strlen(key);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, l) == 0)
                        return line + l + strspn(line + l, " \t");
        }
        return NULL;
}

/* The numbers stand there from the outermost namespace that the reader sees to the innermost. */
pid_t procfs_innermost(const char *status, const char *key) {
        const char *line = procfs_field(status, key), *end, *last;
        char number[16];
        pid_t pid;

        if (!line)
                return 0;
        end = line + strcspn(line, "\n");
        for (last = end; last > line && last[-1] != '\t'; last--)
                ;
        snprintf(number, sizeof number, "%.*s", (int)(end - last), last);
        return parse_pid(number, &pid) < 0 ? 0 : pid;
}

static uint64_t status_number(const char *status, const char *key) {
        const char *p = procfs_field(status, key);

        return p ? strtoull(p, NULL, 10) : 0;
}

static bool has_signal(const char *status, const char *key, int signal) {
        const char *p = procfs_field(status, key);

        return p && (strtoull(p, NULL, 16) & (UINT64_C(1) << (signal - 1)));
}

static int tty_index(int tty_nr) {
        unsigned device = (unsigned)tty_nr, major = (device >> 8) & 0xfff;

        if (major < MAJOR_PTS_FIRST || major > MAJOR_PTS_LAST)
                return -1;
        return (int)((device & 0xff) | ((device >> 12) & 0xfff00));
}

/* The last field says what stopped a process, until its parent has asked for it by wait(2). */
static int stop_signal_of(char state, const char *stat) {
        const char *last = strrchr(stat, ' ');

        return state == 'T' && last ? (int)strtoul(last + 1, NULL, 10) & 0x7f : 0;
}

/* The name stands in parentheses and may hold any character, ')' too: the numbers begin behind the last
 * one. */
static int read_stat(int dir, SnapProcess *p) {
        _cleanup_(freep) char *text = NULL;
        unsigned long long start;
        int r, tty_nr, ppid, pgid, sid, nice;
        unsigned flags;
        char *open, *close, state;
        size_t l;

        r = file_slurp(dir, "stat", SMALL_FILE, &text, NULL);
        if (r < 0)
                return r;
        open = strchr(text, '(');
        close = strrchr(text, ')');
        if (!open || !close || close < open)
                return err_say(-EBADMSG, "/proc/%d/stat has no name in parentheses", (int)p->pid);
        if (sscanf(close + 1, " %c %d %d %d %d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %d %*d %*d %llu",
                   &state, &ppid, &pgid, &sid, &tty_nr, &flags, &nice, &start) != 8)
                return err_say(-EBADMSG, "/proc/%d/stat has too few fields", (int)p->pid);
        l = (size_t)(close - open - 1);
        if (l >= sizeof p->comm)
                l = sizeof p->comm - 1;
        memcpy(p->comm, open + 1, l);
        p->state = flags & FLAG_EXITING ? 'Z' : state; /* with much memory it takes its time to get there */
        p->ppid = ppid;
        p->pgid = pgid;
        p->sid = sid;
        p->start = start;
        p->nice = nice;
        p->tty_index = tty_nr ? tty_index(tty_nr) : -1;
        p->kernel_thread = flags & FLAG_KTHREAD;
        p->stop_signal = stop_signal_of(state, text);
        return 0;
}

/* In hexadecimal digits. One who may not look at it is told nothing. It waits for a process that executes a
 * program just now, as status does not. */
static int read_personality(int dir, SnapProcess *p) {
        _cleanup_(freep) char *text = NULL;
        int r = file_slurp(dir, "personality", SMALL_FILE, &text, NULL);

        if (r < 0 && r != -EACCES && r != -EPERM)
                return r;
        p->personality = r >= 0 && strtoull(text, NULL, 16) != 0;
        return 0;
}

bool procfs_is_guarded(const char *status) {
        static const char *const fields[] = {"Speculation_Store_Bypass:", "SpeculationIndirectBranch:"},
                                 *const answers[] = {"thread mitigated", "thread force mitigated",
                                                     "conditional disabled", "conditional force disabled"};

        for (size_t i = 0; i < ELEMENTS(fields); i++) {
                const char *line = procfs_field(status, fields[i]);

                for (size_t k = 0; line && k < ELEMENTS(answers); k++)
                        if (starts_with(line, answers[k]))
                                return true;
        }
        return false;
}

static int read_status(int dir, SnapProcess *p) {
        _cleanup_(freep) char *text = NULL;
        unsigned saved = 1, files = 1;
        const char *line;
        int r = file_slurp(dir, "status", SMALL_FILE, &text, NULL);

        if (r < 0)
                return r;
        p->uid = (uid_t)status_number(text, "Uid:");
        p->euid = p->uid;
        line = procfs_field(text, "Uid:");
        if (line)
                (void)sscanf(line, "%*u %u %u %u", &p->euid, &saved, &files);
        p->is_roots = p->uid == 0 && p->euid == 0 && saved == 0 && files == 0;
        line = procfs_field(text, "CapAmb:");
        p->ambient = line && strtoull(line, NULL, 16) != 0;
        p->own = (SnapNumbers){procfs_innermost(text, "NSpid:"), procfs_innermost(text, "NSpgid:"),
                               procfs_innermost(text, "NSsid:")};
        p->tracer = (pid_t)status_number(text, "TracerPid:");
        p->seccomp = (int)status_number(text, "Seccomp:");
        p->guarded = procfs_is_guarded(text);
        line = procfs_field(text, "THP_enabled:");
        p->no_thp = line && *line == '0';
        p->no_new_privs = status_number(text, "NoNewPrivs:") != 0;
        p->rss_bytes = (status_number(text, "RssAnon:") + status_number(text, "RssShmem:") +
                        status_number(text, "VmSwap:") + status_number(text, "HugetlbPages:"))
                       << 10;
        return 0;
}

static int read_cgroup(int dir, SnapProcess *p) {
        _cleanup_(freep) char *text = NULL;
        const char *path;
        int r = file_slurp(dir, "cgroup", SMALL_FILE, &text, NULL);

        if (r < 0)
                return r;
        p->elsewhere = cgroup_text_is_elsewhere(text);
        path = procfs_field(text, "0::");
        if (!path)
                return 0; /* no unified hierarchy */
        p->cgroup = strndup(path, strcspn(path, "\n"));
        return p->cgroup ? 0 : -ENOMEM;
}

static int read_exe(int dir, SnapProcess *p) {
        char path[4096];
        ssize_t l = readlinkat(dir, "exe", path, sizeof path - 1);

        if (l < 0)
                return 0; /* a kernel thread, a zombie, or gone: the next read tells */
        path[l] = '\0';
        if (ends_with(path, " (deleted)"))
                path[l - 10] = '\0';
        p->exe = strdup(path);
        return p->exe ? 0 : -ENOMEM;
}

/* conmon --api-version 1 -c ID ... -n NAME ...: the container's name. What does not lie in so many bytes is
 * not found. */
static void container_name(int fd, SnapProcess *p) {
        char text[4096];
        ssize_t l = read(fd, text, sizeof text - 1);

        if (l <= 0)
                return;
        text[l] = '\0';
        for (const char *word = text, *next; word < text + l; word = next) {
                next = word + strlen(word) + 1;
                if (strcmp(word, "-n") != 0 || next >= text + l || next + strlen(next) >= text + l)
                        continue;
                snprintf(p->title, sizeof p->title, "%s", next);
                return;
        }
}

/* sshd writes its role over its arguments, and nothing else tells its listener from a session's monitor
 * whose listener was restarted. Arguments are memory of the process, which may be a file of its user's own
 * making: only root's are read. */
static void read_title(int dir, SnapProcess *p) {
        bool is_conmon = strcmp(p->comm, "conmon") == 0;
        _cleanup_(closep) int fd = -1;
        ssize_t l;

        if (!p->is_roots || !(is_conmon || strcmp(p->comm, "sshd") == 0 || starts_with(p->comm, "sshd-")))
                return;
        fd = openat(dir, "cmdline", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        if (is_conmon) {
                container_name(fd, p);
                return;
        }
        l = read(fd, p->title, sizeof p->title - 1);
        p->title[l < 0 ? 0 : l] = '\0';
}

int procfs_process(int proc, pid_t pid, uint64_t offset, SnapProcess *p) {
        _cleanup_(closep) int dir = -1;
        int r;

        *p = (SnapProcess){.pid = pid, .tty_index = -1};
        dir = open_process(proc, pid);
        if (dir < 0)
                return dir;
        r = read_stat(dir, p);
        p->start -= offset;
        if (r >= 0)
                child_begins(p);
        if (r >= 0)
                r = read_status(dir, p);
        if (r >= 0)
                r = read_cgroup(dir, p);
        if (r >= 0)
                r = read_exe(dir, p);
        if (r >= 0)
                read_title(dir, p);
        return r;
}

/* In the time namespace of a carried session everybody seems to have started earlier or later (docs/CRIU.md,
 * "Time"): /proc shows each reader his own time, rounded down after the offset is added. */
uint64_t procfs_start_offset(int proc) {
        _cleanup_(freep) char *text = NULL;
        const char *p;
        long long sec;
        long nsec;

        if (file_slurp(proc, "self/timens_offsets", SMALL_FILE, &text, NULL) < 0)
                return 0; /* a kernel without them */
        p = procfs_field(text, "boottime");
        if (!p || sscanf(p, "%lld %ld", &sec, &nsec) != 2)
                return 0;
        return (uint64_t)(sec * TICKS_PER_SEC + (nsec + NSEC_PER_TICK - 1) / NSEC_PER_TICK);
}

static uint64_t namespace_of(int dir, const char *name) {
        struct stat st;
        char path[32];

        snprintf(path, sizeof path, "ns/%s", name);
        return fstatat(dir, path, &st, 0) < 0 ? 0 : st.st_ino;
}

/* Of a thread alone, or of the whole process: in each thread's. */
static bool is_trapped(int task_dir, const char *tid) {
        _cleanup_(freep) char *text = NULL;
        char path[32];

        snprintf(path, sizeof path, "%.16s/status", tid);
        if (file_slurp(task_dir, path, SMALL_FILE, &text, NULL) < 0)
                return false; /* it has ended */
        return has_signal(text, "SigPnd:", SIGTRAP) || has_signal(text, "ShdPnd:", SIGTRAP);
}

static void read_namespaces(int dir, SnapProcess *p) {
        p->ns_pid = namespace_of(dir, "pid");
        p->ns_mnt = namespace_of(dir, "mnt");
        p->ns_net = namespace_of(dir, "net");
        p->ns_user = namespace_of(dir, "user");
        p->ns_ipc = namespace_of(dir, "ipc");
        p->ns_uts = namespace_of(dir, "uts");
        p->ns_cgroup = namespace_of(dir, "cgroup");
}

static bool resets(pid_t tid) {
        int policy = sched_getscheduler(tid);

        return policy > 0 && policy & SCHED_RESET_ON_FORK; /* negative: it has ended */
}

static int read_threads(int dir, SnapProcess *p) {
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        int fd;

        fd = openat(dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                (void)fd_close(fd);
                return -ESRCH;
        }
        while ((e = readdir(d))) {
                pid_t tid;

                child_step();
                if (parse_pid(e->d_name, &tid) < 0)
                        continue;
                if (p->n_tids >= PROCFS_MAX_THREADS)
                        return err_say(-E2BIG, "process %d has more than %u threads", (int)p->pid,
                                       PROCFS_MAX_THREADS);
                if (model_append(p->tids, p->n_tids, tid) < 0)
                        return -ENOMEM;
                p->resets = p->resets || resets(tid);
                p->trapped = p->trapped || is_trapped(dirfd(d), e->d_name);
        }
        return 0;
}

/* What CRIU leaves behind of how a process is scheduled. */
static int read_schedule(SnapProcess *p) {
        cpu_set_t cpus;
        long ioprio;

        ioprio = syscall(SYS_ioprio_get, IOPRIO_WHO_THREAD, p->pid);
        p->ioprio = ioprio < 0 ? 0 : (int)ioprio;
        CPU_ZERO(&cpus);
        if (sched_getaffinity(p->pid, sizeof cpus, &cpus) < 0 || CPU_COUNT(&cpus) >= get_nprocs())
                return 0;
        /* Kept as bytes, whatever the set is made of. NOLINTNEXTLINE(clang-analyzer-unix.MallocSizeof) */
        p->affinity = malloc(sizeof cpus);
        if (!p->affinity)
                return -ENOMEM;
        memcpy(p->affinity, &cpus, sizeof cpus);
        p->n_affinity = sizeof cpus;
        return 0;
}

int procfs_process_deep(int proc, const Mounts *mounts, SnapProcess *p) {
        _cleanup_(closep) int dir = -1;
        int r;

        dir = open_process(proc, p->pid);
        if (dir < 0)
                return dir;
        r = read_threads(dir, p);
        if (r < 0 || p->state == 'Z')
                return r;
        read_namespaces(dir, p);
        (void)file_slurp(dir, "attr/apparmor/current", SMALL_FILE, &p->label, NULL);
        r = read_schedule(p);
        if (r >= 0)
                r = read_personality(dir, p);
        if (r >= 0)
                r = procfs_fds(dir, mounts, p);
        if (r >= 0)
                r = procfs_maps(dir, mounts, p);
        if (r >= 0)
                r = procfs_lost(dir, p);
        if (r >= 0)
                r = procfs_mounts(dir, mounts, p);
        return r;
}

void procfs_namespaces(int proc, SnapProcess *p) {
        _cleanup_(closep) int dir = open_process(proc, p->pid);

        if (dir >= 0)
                read_namespaces(dir, p);
}

void procfs_own(int proc, Snapshot *s) {
        _cleanup_(closep) int dir = openat(proc, "self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        SnapProcess self = {0};

        if (dir < 0)
                return;
        read_namespaces(dir, &self);
        s->own_mnt = self.ns_mnt;
        s->own_net = self.ns_net;
        s->own_pid = self.ns_pid;
        s->own_user = self.ns_user;
        s->own_ipc = self.ns_ipc;
        s->own_uts = self.ns_uts;
        s->own_cgroup = self.ns_cgroup;
}

pid_t procfs_parent(int pid_dir, pid_t pid) {
        _cleanup_(closep) int dir = -1;
        SnapProcess p = {0};
        char path[32];

        snprintf(path, sizeof path, "../%d", (int)pid);
        dir = pid > 0 ? openat(pid_dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        return dir < 0 || read_stat(dir, &p) < 0 ? 0 : p.ppid;
}

static int process_look(pid_t pid, SnapProcess *ret) {
        _cleanup_(closep) int proc = -1, dir = -1;
        SnapProcess p = {.pid = pid};
        int r;

        proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (proc < 0)
                return err_born(-errno, "cannot open /proc");
        dir = open_process(proc, pid);
        r = dir < 0 ? dir : read_stat(dir, &p);
        if (procfs_is_gone(r) || (r >= 0 && p.state == 'Z'))
                return err_say(-ESRCH, "process %d does not exist", (int)pid);
        if (r < 0)
                return err_pass(r);
        p.start -= procfs_start_offset(proc);
        *ret = p;
        return 0;
}

pid_t process_own_number(pid_t pid) {
        _cleanup_(freep) char *text = NULL;
        char path[32];

        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        return file_slurp(AT_FDCWD, path, SMALL_FILE, &text, NULL) < 0 ? 0
                                                                       : procfs_innermost(text, "NSpid:");
}

char process_state(pid_t pid) {
        SnapProcess p;

        return process_look(pid, &p) >= 0 ? p.state : 0;
}

bool process_is_traced(pid_t pid) {
        return process_state(pid) == 't';
}

int process_start_time(pid_t pid, uint64_t *ret) {
        SnapProcess p;
        int r = process_look(pid, &p);

        if (r < 0)
                return err_pass(r);
        *ret = p.start;
        return 0;
}

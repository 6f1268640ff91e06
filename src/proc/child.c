/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The child that looks. A process may wait for ever with one of its locks in hand, for a page of a file
 * system that its own user serves (FUSE): whoever then reads its mappings, its arguments, what its epoll
 * descriptors wait for, or has the last hold on its memory, waits with it, root or not, and some of it
 * cannot be killed. So we never look ourselves: a child does, and is left behind when it does not come on.
 *
 * It is a fork of us that only reads /proc, so it knows what we know, and what it sends has our own form.
 * One page is shared: there it counts its steps, so that slow and stuck can be told apart without a message
 * for each.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "proc/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* No step takes as long where nobody stands in its way: one system call, perhaps to a disk that is busy. */
#define STALL_USEC (3 * USEC_PER_SEC)
#define PULSE_USEC (100 * USEC_PER_MSEC)
/* Time to die in, for one that can. */
#define END_USEC (200 * USEC_PER_MSEC)
/* As much as PROCFS_MAX_FDS descriptors and mappings take with the longest names that there are. */
#define FRAME_MAX (UINT64_C(1) << 30)

/* In the child only. */
static ChildPage *own_page;

void child_step(void) {
        if (own_page)
                atomic_fetch_add_explicit(&own_page->steps, 1, memory_order_relaxed);
}

void child_begins(const SnapProcess *p) {
        if (!own_page)
                return;
        own_page->at = *p;
        child_step();
}

bool child_is_talk(pid_t pid, int fd) {
        return own_page && own_page->parent == pid && own_page->parent_fd == fd;
}

/* Nothing of ours may stay open with it, should it stay. */
static _Noreturn void become_child(int fd, ChildPage *page, ChildWork *work, void *userdata) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        own_page = page;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int i = 0; i < 3 && null >= 0; i++)
                (void)dup2(null, i);
        if (fd > 3)
                (void)close_range(3, (unsigned)fd - 1, 0);
        (void)close_range((unsigned)fd + 1, ~0u, 0);
        _exit(work(fd, userdata) < 0 || child_send(fd, FRAME_END, NULL, 0) < 0 ? 1 : 0);
}

static int above_stdio(int fd) {
        int higher = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        (void)fd_close(fd);
        return higher;
}

int child_start(ChildWork *work, void *userdata, Child *ret) {
        _cleanup_(child_end) Child c = CHILD_NONE;
        _cleanup_(closep) int theirs = -1;
        int ends[2];

        c.page = mmap(NULL, sizeof *c.page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (c.page == MAP_FAILED) {
                c.page = NULL;
                return -ENOMEM;
        }
        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_born(-errno, "cannot create a pipe");
        c.fd = above_stdio(ends[0]);
        theirs = above_stdio(ends[1]);
        if (c.fd < 0 || theirs < 0)
                return err_born(-errno, "cannot create a pipe");
        c.page->parent = getpid();
        c.page->parent_fd = c.fd;
        c.pid = fork();
        if (c.pid == 0)
                become_child(theirs, c.page, work, userdata);
        if (c.pid < 0) {
                c.pid = 0;
                return err_born(-errno, "cannot start the process that reads /proc");
        }
        c.moved = now_monotonic();
        *ret = c;
        c = CHILD_NONE;
        return 0;
}

uint64_t child_kill(Child *c) {
        c->moved = now_monotonic();
        if (c->pid > 0)
                (void)kill(c->pid, SIGKILL);
        return c->moved + END_USEC;
}

/* SIGKILL, and not for ever: what the kernel does not let die stays, with nothing of ours but its memory.
 * The pidfd is only opened now: who looks may be in the tree that is looked at, which one would have
 * refused. */
void child_end(Child *c) {
        struct pollfd p = {.fd = c->pid > 0 ? pidfd_open(c->pid, 0) : -1, .events = POLLIN};
        uint64_t deadline = child_kill(c);
        int n;

        c->fd = fd_close(c->fd);
        if (c->pid > 0) {
                while ((n = poll(&p, p.fd >= 0, deadline_ms(deadline))) < 0 && errno == EINTR)
                        ;
                (void)waitpid(c->pid, NULL, n > 0 ? 0 : WNOHANG);
        }
        (void)fd_close(p.fd);
        if (c->page)
                (void)munmap(c->page, sizeof *c->page);
        *c = CHILD_NONE;
}

/* One that waits for a processor is not stuck. */
static bool has_moved(Child *c) {
        uint64_t steps = atomic_load_explicit(&c->page->steps, memory_order_relaxed), now = now_monotonic();

        if (steps != c->steps || now - c->moved < STALL_USEC) {
                if (steps != c->steps)
                        c->moved = now;
                c->steps = steps;
                return true;
        }
        if (process_state(c->pid) != 'R')
                return false;
        c->moved = now;
        return true;
}

static int wait_readable(Child *c, uint64_t deadline) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};

        for (;;) {
                uint64_t now = now_monotonic(), pulse = now + PULSE_USEC;
                int n;

                if (now >= deadline)
                        return -ETIMEDOUT;
                n = poll(&p, 1, deadline_ms(pulse < deadline ? pulse : deadline));
                if (n > 0)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return err_born(-errno, "cannot wait for the process that reads /proc");
                if (!has_moved(c))
                        return -ETIMEDOUT;
        }
}

typedef struct FrameHead {
        uint64_t kind, size;
} FrameHead;

int child_next(Child *c, uint64_t deadline, Frame *ret) {
        _cleanup_(freep) char *data = NULL;
        FrameHead head;
        int r;

        r = wait_readable(c, deadline);
        if (r < 0)
                return r;
        c->moved = now_monotonic();
        r = fd_read_all(c->fd, &head, sizeof head);
        if (r >= 0 && head.size > FRAME_MAX)
                r = -EFBIG;
        if (r < 0)
                return r == -ENODATA ? -EPIPE : r; /* it has died */
        data = malloc(head.size ?: 1);
        if (!data)
                return -ENOMEM;
        r = fd_read_all(c->fd, data, head.size);
        if (r < 0)
                return r == -ENODATA ? -EPIPE : r;
        *ret = (Frame){.kind = (FrameKind)head.kind, .data = TAKE(data), .size = head.size};
        return ret->kind == FRAME_END ? 0 : 1;
}

int child_send(int fd, FrameKind kind, const void *data, size_t size) {
        FrameHead head = {kind, size};
        int r = fd_write_all(fd, &head, sizeof head);

        return r < 0 ? r : fd_write_all(fd, data, size);
}

void procfs_frame_done(Frame *f) {
        free(f->data);
        *f = (Frame){0};
}

/* A process in one piece: the struct, then whatever its pointers lead to, in a fixed order. */

static void put(FILE *out, const void *data, size_t size) {
        if (size > 0)
                (void)fwrite(data, 1, size, out);
}

/* The length counts the NUL; 0: NULL. */
static void put_text(FILE *out, const char *text) {
        size_t l = text ? strlen(text) + 1 : 0;

        put(out, &l, sizeof l);
        put(out, text ?: "", l);
}

int child_send_process(int fd, const SnapProcess *p) {
        _cleanup_(freep) char *data = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&data, &size);
        bool failed;

        if (!out)
                return -ENOMEM;
        put(out, p, sizeof *p);
        put_text(out, p->label);
        put_text(out, p->exe);
        put_text(out, p->cgroup);
        put(out, p->tids, p->n_tids * sizeof *p->tids);
        put(out, p->affinity, p->n_affinity);
        put(out, p->slacks, p->n_slacks * sizeof *p->slacks);
        put(out, p->mounts, p->n_mounts * sizeof *p->mounts);
        put(out, p->maps, p->n_maps * sizeof *p->maps);
        put(out, p->fds, p->n_fds * sizeof *p->fds);
        put(out, p->watches, p->n_watches * sizeof *p->watches);
        for (size_t i = 0; i < p->n_maps; i++)
                put_text(out, p->maps[i].path);
        for (size_t i = 0; i < p->n_fds; i++)
                put_text(out, p->fds[i].target);
        for (size_t i = 0; i < p->n_watches; i++)
                put_text(out, p->watches[i]);
        failed = ferror(out);
        return fclose(out) != 0 || failed ? -ENOMEM : child_send(fd, FRAME_PROCESS, data, size);
}

typedef struct Rest {
        const char *at;
        size_t size;
        int r;
} Rest;

static void *get(Rest *rest, size_t size) {
        void *copy = size > 0 && size <= rest->size ? malloc(size) : NULL;

        if (!copy) {
                if (size > 0 && rest->r >= 0)
                        rest->r = size <= rest->size ? -ENOMEM : -EBADMSG;
                return NULL;
        }
        memcpy(copy, rest->at, size);
        rest->at += size;
        rest->size -= size;
        return copy;
}

static void *get_list(Rest *rest, size_t *n, size_t size) {
        void *list = *n <= rest->size / size ? get(rest, *n * size) : NULL;

        if (!list && *n > 0) {
                rest->r = rest->r ?: -EBADMSG;
                *n = 0;
        }
        return list;
}

static char *get_text(Rest *rest) {
        size_t l = 0;
        char *text;

        if (rest->size < sizeof l)
                rest->r = rest->r ?: -EBADMSG;
        else {
                memcpy(&l, rest->at, sizeof l);
                rest->at += sizeof l;
                rest->size -= sizeof l;
        }
        text = get(rest, l);
        if (text)
                text[l - 1] = '\0';
        return text;
}

int procfs_frame_process(const Frame *f, SnapProcess *ret) {
        Rest rest = {f->data, f->size, 0};
        SnapProcess p;

        if (f->kind != FRAME_PROCESS || f->size < sizeof p)
                return -EBADMSG;
        memcpy(&p, rest.at, sizeof p);
        rest.at += sizeof p;
        rest.size -= sizeof p;
        p.label = get_text(&rest);
        p.exe = get_text(&rest);
        p.cgroup = get_text(&rest);
        p.tids = get_list(&rest, &p.n_tids, sizeof *p.tids);
        p.affinity = get_list(&rest, &p.n_affinity, 1);
        p.slacks = get_list(&rest, &p.n_slacks, sizeof *p.slacks);
        p.mounts = get_list(&rest, &p.n_mounts, sizeof *p.mounts);
        p.maps = get_list(&rest, &p.n_maps, sizeof *p.maps);
        p.fds = get_list(&rest, &p.n_fds, sizeof *p.fds);
        p.watches = get_list(&rest, &p.n_watches, sizeof *p.watches);
        for (size_t i = 0; i < p.n_maps; i++)
                p.maps[i].path = get_text(&rest);
        for (size_t i = 0; i < p.n_fds; i++)
                p.fds[i].target = get_text(&rest);
        for (size_t i = 0; i < p.n_watches; i++)
                p.watches[i] = get_text(&rest);
        if (rest.r < 0) {
                snap_process_done(&p);
                return rest.r;
        }
        *ret = p;
        return 0;
}

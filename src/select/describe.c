/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What of a tree lies outside CRIU's images. The rules, all from runs (docs/CRIU.md,
 * "Sockets with a peer outside", "FIFOs and pipes", "Terminals"):
 *
 *  - logind's FIFO was opened in logind's mount namespace, so CRIU cannot find it. It is declared by mount
 *    and inode. Any other FIFO is CRIU's. Only root's own path is declared, since restore makes the FIFO
 *    there as root.
 *  - A stream socket whose peer is alive outside is declared at dump and inherited at restore. One whose
 *    peer has closed must be left alone (declaring it makes CRIU 3.17.1 wait for ever).
 *  - A pipe whose other end is outside needs nothing at dump, and an inherited end at restore.
 *  - A terminal whose master is outside is declared at both.
 *  - Connections whose packets can leave the machine are held. IPv4 in IPv6 sockets is written as IPv4,
 *    since that is what the packets are. Of UDP the ports are held, as those of listeners are.
 */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "model/members.h"
#include "select/lost.h"
#include "select/ports.h"
#include "select/select.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/ioprio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#define JOURNAL_STDOUT "/run/systemd/journal/stdout"

static void external_freep(External **p) {
        model_free(*p);
}

static int external_add(Tree *tree, External__Kind kind, const char *dump_key, const char *restore_key,
                        const char *path, const SnapFd *f, External **ret) {
        _cleanup_(external_freep) External *e = NULL;
        int r;

        e = model_new(External, external__init);
        if (!e)
                return -ENOMEM;
        e->kind = kind;
        e->has_flags = true;
        e->flags = f->flags;
        r = model_set_string(&e->dump_key, dump_key);
        if (r >= 0)
                r = model_set_string(&e->restore_key, restore_key);
        if (r >= 0 && path)
                r = model_set_string(&e->path, path);
        if (r >= 0)
                r = model_append(tree->externals, tree->n_externals, e);
        if (r < 0)
                return r;
        if (ret)
                *ret = e;
        e = NULL;
        return 0;
}

static int add_fifo(Tree *tree, const SnapFd *f) {
        External *e = NULL;
        char key[64];
        int r;

        if (!model_is_session_fifo(f->target) || f->uid != 0)
                return 0;
        snprintf(key, sizeof key, "file[%x:%" PRIx64 "]", (unsigned)f->mnt_id, f->ino);
        r = external_add(tree, EXTERNAL__KIND__FIFO, key, key, f->target, f, &e);
        if (r < 0 || !e)
                return r;
        e->has_mode = e->has_uid = e->has_gid = true;
        e->mode = f->mode & 07777;
        e->uid = f->uid;
        e->gid = f->gid;
        return 0;
}

static bool is_bus(const char *path) {
        return strcmp(path, "/run/dbus/system_bus_socket") == 0 ||
               (starts_with(path, "/run/user/") && ends_with(path, "/bus"));
}

static int set_label(External *e, const char *comm) {
        int r = model_set_string(&e->label, comm);

        /* It becomes a line of the journal's header: a name with a line break would add lines of its own. */
        for (char *p = e->label; r >= 0 && *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        *p = '?';
        return r;
}

static int add_unix(const Members *m, Tree *tree, const SnapProcess *p, const SnapFd *f) {
        const SnapUnix *u = snapshot_unix(m->s, f->ino), *peer;
        External__Kind kind = EXTERNAL__KIND__STREAM;
        char dump_key[40], restore_key[40];
        External *e = NULL;
        const char *path;
        int r;

        if (!u || u->type != SOCK_STREAM || u->state == TCP_LISTEN || u->peer == 0 ||
            members_have_socket(m, u->peer))
                return 0;
        peer = snapshot_unix(m->s, u->peer);
        path = peer ? peer->path : NULL;
        if (path && strcmp(path, JOURNAL_STDOUT) == 0)
                kind = EXTERNAL__KIND__JOURNAL_STREAM;
        else if (path && is_bus(path))
                kind = EXTERNAL__KIND__BUS;
        snprintf(dump_key, sizeof dump_key, "unix[%" PRIu64 "]", f->ino);
        snprintf(restore_key, sizeof restore_key, "socket:[%" PRIu64 "]", f->ino);
        r = external_add(tree, kind, dump_key, restore_key, path && path[0] == '/' ? path : NULL, f, &e);
        if (r >= 0 && e && kind == EXTERNAL__KIND__JOURNAL_STREAM)
                r = set_label(e, p->comm);
        return r;
}

static int add_pipe(const Members *m, Tree *tree, const SnapFd *f) {
        char key[40];

        if (members_pipe(m, f->ino) != PIPE_OUTSIDE)
                return 0;
        snprintf(key, sizeof key, "pipe:[%" PRIu64 "]", f->ino);
        return external_add(tree, EXTERNAL__KIND__PIPE, "", key, NULL, f, NULL);
}

static int add_tty(const Members *m, Tree *tree, const SnapFd *f) {
        char key[64], path[32];

        snprintf(key, sizeof key, "tty[%" PRIx64 ":%" PRIx64 "]", f->rdev, f->dev);
        if (f->rdev == makedev(5, 0)) /* /dev/tty: image_fix_terminals() makes it what it stands for */
                return external_add(tree, EXTERNAL__KIND__TTY, key, "", NULL, f, NULL);
        if (f->pty_index < 0 || members_have_master(m, f->pty_index))
                return 0;
        snprintf(path, sizeof path, "/dev/pts/%d", f->pty_index);
        return external_add(tree, EXTERNAL__KIND__TTY, key, key, f->hung_up ? NULL : path, f, NULL);
}

static int add_master(Tree *tree, const SnapFd *f) {
        if (f->pty_index < 0)
                return 0;
        return model_append(tree->ptys, tree->n_ptys, (uint32_t)f->pty_index);
}

/* Where neither logind nor utmp knows the terminal of a session: its leader, sshd, holds the master. */
static int note_terminal(Tree *tree, const SnapProcess *root) {
        char tty[16];

        if (!tree->session || tree->session->tty || !tree->session->has_leader ||
            (pid_t)tree->session->leader != root->pid)
                return 0;
        for (size_t k = 0; k < root->n_fds; k++) {
                if (root->fds[k].kind != FD_PTMX || root->fds[k].pty_index < 0)
                        continue;
                snprintf(tty, sizeof tty, "pts/%d", root->fds[k].pty_index);
                return model_set_string(&tree->session->tty, tty);
        }
        return 0;
}

/* TCP and UDP. */

static void connection_freep(Connection **p) {
        model_free(*p);
}

static int connection_of(const SnapInet *i, Connection **ret) {
        _cleanup_(connection_freep) Connection *c = model_new(Connection, connection__init);
        int r;

        if (!c)
                return -ENOMEM;
        c->local_port = i->local_port;
        c->remote_port = i->remote_port;
        r = inet_set_address(&c->local, i->family, i->local);
        if (r >= 0)
                r = inet_set_address(&c->remote, i->family, i->remote);
        if (r >= 0)
                *ret = TAKE(c);
        return r;
}

/* Held, or of UDP only waited for. */
static int add_connection(Tree *tree, const SnapInet *i) {
        Connection *c = NULL;
        int r = connection_of(i, &c);

        if (r >= 0 && i->protocol == IPPROTO_UDP)
                r = model_append(tree->datagrams, tree->n_datagrams, c);
        else if (r >= 0)
                r = model_append(tree->connections, tree->n_connections, c);
        if (r < 0)
                model_free(c);
        return r;
}

static int add_local(Tree *tree, const SnapInet *i) {
        ProtobufCBinaryData address = {0};
        int r;

        r = inet_set_address(&address, i->family, i->local);
        if (r < 0)
                return r;
        if (inet_is_any(address) || inet_is_multicast(address)) {
                free(address.data);
                return 0;
        }
        if (i->protocol == IPPROTO_UDP)
                r = model_append(tree->binds, tree->n_binds, address);
        else
                r = model_append(tree->listens, tree->n_listens, address);
        if (r < 0)
                free(address.data);
        return r;
}

static int add_inet(const Members *m, Tree *tree, const SnapFd *f) {
        const SnapInet *i = snapshot_inet(m->s, f->ino);

        if (!i)
                return 0;
        if (i->protocol == IPPROTO_UDP)
                return i->state == TCP_ESTABLISHED ? add_connection(tree, i) : add_local(tree, i);
        if (i->state == TCP_LISTEN)
                return add_local(tree, i);
        if (!members_is_connected(i))
                return 0;
        /* Who begins to connect to port 0 is never answered: there is nothing to hold. */
        if (i->remote_port != 0 && !members_have_other_end(m, i))
                return add_connection(tree, i);
        /* Nobody outside sees it, but its address must be there. */
        return inet_is_loopback(i) ? 0 : add_local(tree, i);
}

/* What CRIU does not carry of a process. */

static bool ioprio_is_set(const SnapProcess *p) {
        int class = IOPRIO_PRIO_CLASS(p->ioprio), level = (int)(IOPRIO_PRIO_DATA(p->ioprio) & 7);

        /* Where nobody set one, the kernel shows the level that follows from nice. */
        if (class == IOPRIO_CLASS_BE)
                return level != (p->nice + 20) / 5;
        return class == IOPRIO_CLASS_RT || class == IOPRIO_CLASS_IDLE;
}

static int add_slack(Process *x, const SnapSlack *from) {
        TimerSlack *slack = model_new(TimerSlack, timer_slack__init);
        int r;

        if (!slack)
                return -ENOMEM;
        slack->tid = (uint32_t)from->tid;
        slack->nsec = from->nsec;
        r = model_append(x->slacks, x->n_slacks, slack);
        if (r < 0)
                model_free(slack);
        return r;
}

static int add_process(Tree *tree, const SnapProcess *p) {
        Process *x;
        int r = 0;

        if (p->n_affinity == 0 && p->n_slacks == 0 && !ioprio_is_set(p))
                return 0;
        x = model_new(Process, process__init);
        if (!x)
                return -ENOMEM;
        x->pid = (uint32_t)snap_own_numbers(p).pid;
        x->has_ioprio = ioprio_is_set(p);
        x->ioprio = p->ioprio;
        if (p->n_affinity > 0) {
                x->has_affinity = true;
                r = model_set_bytes(&x->affinity, p->affinity, p->n_affinity);
        }
        for (size_t i = 0; r >= 0 && i < p->n_slacks; i++)
                r = add_slack(x, p->slacks + i);
        if (r >= 0)
                r = model_append(tree->processes, tree->n_processes, x);
        if (r < 0)
                model_free(x);
        return r;
}

static int add_mount(Tree *tree, const SnapMount *from) {
        Mount *m = model_new(Mount, mount__init);
        int r;

        if (!m)
                return -ENOMEM;
        r = model_set_string(&m->source, from->source);
        if (r >= 0)
                r = model_set_string(&m->type, from->type);
        if (r >= 0)
                r = model_set_string(&m->root, from->root);
        if (r >= 0)
                r = model_set_string(&m->point, from->point);
        if (r >= 0)
                r = model_append(tree->mounts, tree->n_mounts, m);
        if (r < 0)
                model_free(m);
        return r;
}

static int add_mounts(const Members *m, Tree *tree) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < m->s->n_mounts; i++) {
                const SnapMount *mount = m->s->mounts + i;

                if (!snap_mount_is_given(mount) && members_stand_on(m, mount->id))
                        r = add_mount(tree, mount);
        }
        return r;
}

static int add_fd(const Members *m, Tree *tree, const SnapProcess *p, const SnapFd *f) {
        switch (f->kind) {
        case FD_FIFO:
                return add_fifo(tree, f);
        case FD_UNIX:
                return add_unix(m, tree, p, f);
        case FD_PIPE:
                return add_pipe(m, tree, f);
        case FD_TTY:
                return add_tty(m, tree, f);
        case FD_PTMX:
                return add_master(tree, f);
        case FD_TCP:
        case FD_UDP:
                return add_inet(m, tree, f);
        default:
                return 0;
        }
}

#define FREE_MESSAGES(tree, field)                                                                          \
        do {                                                                                                \
                for (size_t i_ = 0; i_ < (tree)->n_##field; i_++)                                           \
                        model_free((tree)->field[i_]);                                                      \
                free((tree)->field);                                                                        \
                (tree)->field = NULL;                                                                       \
                (tree)->n_##field = 0;                                                                      \
        } while (0)

static void forget_addresses(ProtobufCBinaryData **list, size_t *n) {
        for (size_t i = 0; i < *n; i++)
                free((*list)[i].data);
        free(*list);
        *list = NULL;
        *n = 0;
}

static void forget(Tree *tree) {
        FREE_MESSAGES(tree, externals);
        FREE_MESSAGES(tree, connections);
        FREE_MESSAGES(tree, datagrams);
        FREE_MESSAGES(tree, ports);
        FREE_MESSAGES(tree, processes);
        FREE_MESSAGES(tree, mounts);
        forget_addresses(&tree->listens, &tree->n_listens);
        forget_addresses(&tree->binds, &tree->n_binds);
        free(tree->ptys);
        tree->ptys = NULL;
        tree->n_ptys = 0;
}

/* What a descriptor stands for. Descriptors that are shared or duplicated are one thing to CRIU. */
typedef struct Thing {
        const SnapProcess *process;
        const SnapFd *fd;
        size_t order; /* in which they were met: the first one's flags count */
} Thing;

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int thing_compare(const SnapFd *x, const SnapFd *y) {
        const int parts[] = {COMPARE(x->kind, y->kind), COMPARE(x->ino, y->ino),
                             COMPARE(x->dev, y->dev),   COMPARE(x->mnt_id, y->mnt_id),
                             COMPARE(x->rdev, y->rdev), COMPARE(x->pty_index, y->pty_index)};

        for (size_t i = 0; i < ELEMENTS(parts); i++)
                if (parts[i])
                        return parts[i];
        return 0;
}

static int by_thing(const void *a, const void *b) {
        const Thing *x = a, *y = b;
        int order = thing_compare(x->fd, y->fd);

        return order ? order : COMPARE(x->order, y->order);
}

/* Sorted, so that many thousands are told apart in no time: a shutdown waits for it. */
static int things_of(const Members *m, Thing **ret, size_t *ret_n) {
        size_t n = 0, at = 0;
        Thing *things;

        for (size_t i = 0; i < m->n; i++)
                n += m->list[i]->n_fds;
        things = calloc(n + 1, sizeof *things);
        if (!things)
                return -ENOMEM;
        for (size_t i = 0; i < m->n; i++)
                for (size_t k = 0; k < m->list[i]->n_fds; k++, at++)
                        things[at] = (Thing){m->list[i], m->list[i]->fds + k, at};
        qsort(things, n, sizeof *things, by_thing);
        *ret = things;
        *ret_n = n;
        return 0;
}

static int check_seen(const SnapProcess *p) {
        if (p->beyond)
                return err_say(-E2BIG,
                               "process %d has more threads, open files, mappings or watches than can be "
                               "checked",
                               (int)p->pid);
        if (p->stuck)
                return err_say(-ETIMEDOUT, "reading process %d timed out", (int)p->pid);
        return p->unreadable ? err_say(-EACCES, "process %d has a file open that cannot be read",
                                       (int)p->pid)
                             : 0;
}

int select_describe(const Snapshot *full, Tree *tree) {
        _cleanup_(members_done) Members m = {0};
        _cleanup_(freep) Thing *things = NULL;
        size_t n = 0;
        int r;

        r = members_of(full, (pid_t)tree->root_pid, &m);
        if (r >= 0)
                r = things_of(&m, &things, &n);
        if (r < 0)
                return err_pass(r);
        forget(tree);
        for (size_t i = 0; r >= 0 && i < m.n; i++)
                r = check_seen(m.list[i]) ?: add_process(tree, m.list[i]);
        for (size_t i = 0; r >= 0 && i < n; i++)
                if (i == 0 || thing_compare(things[i - 1].fd, things[i].fd) != 0)
                        r = add_fd(&m, tree, things[i].process, things[i].fd);
        if (r >= 0)
                r = ports_describe(&m, tree);
        if (r >= 0)
                r = add_mounts(&m, tree);
        if (r >= 0)
                r = lost_note(m.list, m.n, tree);
        if (r >= 0)
                r = note_terminal(tree, m.list[0]);
        return r < 0 ? err_pass(r) : 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Limits are files. What a unit may reach is decided by programs that are attached to its cgroup, which the
 * kernel lists but does not explain: by what they are attached to one can tell which property it was. */

#include "systemd/cgroup-limits.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/cgroup-path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PER_SEC 1000000u

void cgroup_bar_done(CgroupBar *bar) {
        free(bar->text);
        free(bar->remedy);
        *bar = (CgroupBar){0};
}

static int bar_set(CgroupBar *bar, const char *cgroup, const char *what, const char *properties) {
        if (bar->text)
                return 0;
        bar->text = text_format(
                        "%s restricts its processes (%s); they would be restored without this restriction",
                        cgroup, what);
        bar->remedy = text_format(
                        "remove %s from the unit if the processes do not need it, or keep something else",
                        properties);
        return bar->text && bar->remedy ? 0 : -ENOMEM;
}

/* The text of a file in the cgroup without its newline; "" if there is none: that controller is not on. */
static int read_text(int dir_fd, const char *name, char **ret) {
        char *text = NULL;
        int r = file_slurp(dir_fd, name, 4096, &text, NULL);

        if (r == -ENOENT || r == -ENODEV)
                text = strdup("");
        else if (r < 0)
                return err_pass(r);
        if (!text)
                return -ENOMEM;
        text[strcspn(text, "\n")] = '\0';
        *ret = text;
        return 0;
}

static bool is_open(const char *text) {
        return !text[0] || strcmp(text, "max") == 0;
}

static int lower(int dir_fd, const char *name, protobuf_c_boolean *has, uint64_t *limit) {
        _cleanup_(freep) char *text = NULL;
        uint64_t value;
        int r = read_text(dir_fd, name, &text);

        if (r < 0 || is_open(text))
                return r;
        r = parse_u64(text, UINT64_MAX, &value);
        if (r < 0)
                return err_born(r, "%s of a cgroup is not a number", name);
        if (!*has || value < *limit)
                *limit = value;
        *has = true;
        return 0;
}

/* "QUOTA PERIOD", in microseconds. */
static int lower_cpu(int dir_fd, Limits *l) {
        _cleanup_(freep) char *text = NULL;
        uint64_t quota, period, per_sec;
        char *space;
        int r = read_text(dir_fd, "cpu.max", &text);

        if (r < 0 || !text[0] || starts_with(text, "max"))
                return r;
        space = strchr(text, ' ');
        if (space)
                *space++ = '\0';
        if (!space || parse_u64(text, UINT64_MAX / PER_SEC, &quota) < 0 ||
            parse_u64(space, UINT32_MAX, &period) < 0 || period == 0)
                return err_say(-EBADMSG, "cpu.max of a cgroup is not a valid quota");
        per_sec = quota * PER_SEC / period;
        if (l->has_cpu_per_sec && l->cpu_per_sec <= per_sec)
                return 0;
        l->has_cpu_per_sec = l->has_cpu_period = true;
        l->cpu_per_sec = per_sec > 0 ? per_sec : 1;
        l->cpu_period = period;
        return 0;
}

static int lower_all(int dir_fd, Limits *l) {
        int r = lower(dir_fd, "memory.max", &l->has_memory_max, &l->memory_max);

        if (r >= 0)
                r = lower(dir_fd, "memory.high", &l->has_memory_high, &l->memory_high);
        if (r >= 0)
                r = lower(dir_fd, "memory.swap.max", &l->has_memory_swap_max, &l->memory_swap_max);
        if (r >= 0)
                r = lower(dir_fd, "pids.max", &l->has_tasks_max, &l->tasks_max);
        return r < 0 ? r : lower_cpu(dir_fd, l);
}

static int look_for_files(int dir_fd, const char *cgroup, CgroupBar *bar) {
        static const struct {
                const char *file, *property;
        } rows[] = {
                        {"io.max", "IOReadBandwidthMax= and similar settings"},
                        {"cpuset.cpus", "AllowedCPUs="},
                        {"cpuset.mems", "AllowedMemoryNodes="},
                        {"memory.zswap.max", "MemoryZSwapMax="},
                        {"hugetlb.2MB.max", "hugetlb.2MB.max"},
                        {"hugetlb.1GB.max", "hugetlb.1GB.max"},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(rows); i++) {
                _cleanup_(freep) char *text = NULL;

                r = read_text(dir_fd, rows[i].file, &text);
                if (r >= 0 && !is_open(text))
                        r = bar_set(bar, cgroup, rows[i].property, rows[i].property);
        }
        return r;
}

/* How many programs are attached there; what this kernel does not know has none. */
static int programs(int dir_fd, unsigned type, uint32_t *ret) {
        union bpf_attr attr = {.query.target_fd = (uint32_t)dir_fd, .query.attach_type = type};

        *ret = 0;
        if (syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof attr) < 0)
                return errno == EINVAL || errno == ENOSYS || errno == EBADF || errno == EOPNOTSUPP
                                       ? 0
                                       : err_born(-errno, "cannot query the BPF programs of a cgroup");
        *ret = attr.query.prog_cnt;
        return 0;
}

static int look_for_programs(int dir_fd, const char *cgroup, CgroupBar *bar) {
        static const struct {
                unsigned from, to;
                const char *property;
        } rows[] = {
                        {BPF_CGROUP_DEVICE, BPF_CGROUP_DEVICE, "DevicePolicy=, DeviceAllow="},
                        {BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS,
                         "IPAddressDeny=, RestrictNetworkInterfaces=, IPAccounting="},
                        {BPF_CGROUP_INET4_BIND, BPF_CGROUP_INET6_BIND, "SocketBindDeny=, SocketBindAllow="},
                        {BPF_CGROUP_INET_SOCK_CREATE, BPF_CGROUP_SOCK_OPS, "BPFProgram="},
                        {BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_UDP6_SENDMSG, "BPFProgram="},
                        {BPF_CGROUP_SYSCTL, BPF_CGROUP_SETSOCKOPT, "BPFProgram="},
                        {BPF_CGROUP_INET4_GETPEERNAME, BPF_CGROUP_INET_SOCK_RELEASE, "BPFProgram="},
        };
        int r = 0;

        for (size_t i = 0; i < ELEMENTS(rows); i++)
                for (unsigned type = rows[i].from; r >= 0 && type <= rows[i].to; type++) {
                        uint32_t n;

                        r = programs(dir_fd, type, &n);
                        if (r >= 0 && n > 0)
                                r = bar_set(bar, cgroup, rows[i].property, rows[i].property);
                }
        return r;
}

static int look_at(int root_fd, const char *cgroup, Limits *limits, CgroupBar *bar) {
        _cleanup_(closep) int fd = open_beneath(root_fd, cgroup + 1, O_RDONLY | O_DIRECTORY, 0);
        int r;

        if (fd == -ENOENT)
                return 0;
        if (fd < 0)
                return err_pass(fd);
        r = lower_all(fd, limits);
        if (r >= 0)
                r = look_for_files(fd, cgroup, bar);
        if (r >= 0)
                r = look_for_programs(fd, cgroup, bar);
        return r < 0 ? err_pass(r) : 0;
}

int cgroup_limits_beside(const char *root, const char *cgroup, const char *other, Limits *limits,
                         CgroupBar *bar) {
        _cleanup_(closep) int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(freep) char *path = strdup(cgroup);
        const char *first;
        int r = 0;

        if (root_fd < 0)
                return err_born(-errno, "cannot open %s", root);
        if (!path)
                return -ENOMEM;
        /* From below upwards: the sentence names the narrowest. */
        first = path + (cgroup_beside(cgroup, other) - cgroup);
        while (r >= 0 && path + strlen(path) > first) {
                r = look_at(root_fd, path, limits, bar);
                *strrchr(path, '/') = '\0';
        }
        return r < 0 ? err_pass(r) : 0;
}

int cgroup_limits(const char *root, const char *cgroup, Limits *limits, CgroupBar *bar) {
        return err_pass(cgroup_limits_beside(root, cgroup, cgroup, limits, bar));
}

static bool is_tighter(protobuf_c_boolean has, uint64_t value, protobuf_c_boolean other, uint64_t than) {
        return has && (!other || value < than);
}

bool cgroup_limits_are_tighter(const Limits *a, const Limits *b) {
        return is_tighter(a->has_memory_max, a->memory_max, b->has_memory_max, b->memory_max) ||
               is_tighter(a->has_memory_high, a->memory_high, b->has_memory_high, b->memory_high) ||
               is_tighter(a->has_memory_swap_max, a->memory_swap_max, b->has_memory_swap_max,
                          b->memory_swap_max) ||
               is_tighter(a->has_cpu_per_sec, a->cpu_per_sec, b->has_cpu_per_sec, b->cpu_per_sec);
}

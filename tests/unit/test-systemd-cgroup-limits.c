/* SPDX-License-Identifier: GPL-2.0-or-later */

/* On files that look like a cgroup's, and on the real thing where this machine has it. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/cgroup-path.h"
#include "systemd/cgroup-limits.h"
#include "tests/unit/made.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define UNIT "/user.slice/user-1000.slice/user@1000.service/app.slice/his.service"

static char root[] = "/tmp/carryover-test-XXXXXX";

static void put(const char *cgroup, const char *file, const char *text) {
        _cleanup_(freep) char *path = text_format("%s%s", root, cgroup);

        assert_non_null(path);
        make_file(path, file, text);
}

static int set_up(void **state) {
        memcpy(strrchr(root, '-') + 1, "XXXXXX", 6);
        return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state) {
        const char *name = strrchr(root, '/') + 1;
        _cleanup_(closep) int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return file_remove_tree(tmp, name);
}

/* What holds is the lowest of all that lie between the slice and the process. */
static void test_lowest(void **state) {
        _cleanup_(cgroup_bar_done) CgroupBar bar = {0};
        Limits l = LIMITS__INIT;

        put("/user.slice", "memory.max", "1000\n"); /* comes back with the slice */
        put("/user.slice/user-1000.slice", "pids.max", "10\n");
        put("/user.slice/user-1000.slice/user@1000.service", "memory.max", "3000000\n");
        put("/user.slice/user-1000.slice/user@1000.service", "pids.max", "77\n");
        put("/user.slice/user-1000.slice/user@1000.service/app.slice", "cpu.max", "50000 100000\n");
        put(UNIT, "memory.max", "2000000\n");
        put(UNIT, "memory.high", "max\n");
        put(UNIT, "memory.swap.max", "0\n");
        put(UNIT, "cpu.max", "max 100000\n");
        put(UNIT, "io.max", "");
        put(UNIT, "cpuset.cpus", "\n");
        assert_int_equal(cgroup_limits(root, UNIT, &l, &bar), 0);
        assert_null(bar.text);
        assert_true(l.has_memory_max && l.memory_max == 2000000);
        assert_false(l.has_memory_high);
        assert_true(l.has_memory_swap_max && l.memory_swap_max == 0);
        assert_true(l.has_tasks_max && l.tasks_max == 77);
        assert_true(l.has_cpu_per_sec && l.cpu_per_sec == 500000 && l.cpu_period == 100000);
}

static void test_nothing(void **state) {
        _cleanup_(cgroup_bar_done) CgroupBar bar = {0};
        Limits l = LIMITS__INIT;

        put("/user.slice/user-0.slice/session-4.scope", "memory.max", "max\n");
        assert_int_equal(cgroup_limits(root, "/user.slice/user-0.slice/session-4.scope", &l, &bar), 0);
        assert_int_equal(cgroup_limits(root, "/gone.slice/x.scope", &l, &bar), 0);
        assert_int_equal(cgroup_limits(root, "/", &l, &bar), 0);
        assert_null(bar.text);
        assert_false(l.has_memory_max || l.has_tasks_max || l.has_cpu_per_sec);
        put("/user.slice/user-0.slice/session-4.scope", "pids.max", "many\n");
        assert_true(cgroup_limits(root, "/user.slice/user-0.slice/session-4.scope", &l, &bar) < 0);
}

/* A member's slice that its root is not in does not come back. */
static void test_other_slice(void **state) {
        static const char session[] = "/user.slice/user-1000.slice/session-4.scope",
                          member[] = "/user.slice/tight.slice/x.scope";
        _cleanup_(cgroup_bar_done) CgroupBar bar = {0};
        Limits l = LIMITS__INIT, same = LIMITS__INIT;

        put("/user.slice", "memory.max", "1000\n"); /* both are in it */
        put("/user.slice/tight.slice", "memory.max", "2000000\n");
        put("/user.slice/tight.slice", "cpuset.cpus", "0\n");
        put(member, "memory.max", "max\n");
        put(session, "memory.max", "3000000\n");
        assert_int_equal(cgroup_limits_beside(root, member, session, &l, &bar), 0);
        assert_true(l.has_memory_max && l.memory_max == 2000000);
        assert_true(bar.text && strstr(bar.text, "/user.slice/tight.slice restricts"));
        cgroup_bar_done(&bar);
        assert_int_equal(cgroup_limits_beside(root, session, session, &same, &bar), 0);
        assert_true(same.memory_max == 3000000 && !bar.text);
        assert_true(cgroup_limits_are_tighter(&l, &same));
}

/* What a scope is not made with. */
static void test_bars(void **state) {
        static const char *const rows[][3] = {
                        {"io.max", "8:0 rbps=1048576 wbps=max riops=max wiops=max\n", "IOReadBandwidthMax="},
                        {"cpuset.cpus", "0-1\n", "AllowedCPUs="},
                        {"hugetlb.2MB.max", "0\n", "hugetlb"},
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                _cleanup_(freep) char *cgroup = text_format("/system.slice/x%zu.service", i);
                _cleanup_(cgroup_bar_done) CgroupBar bar = {0};
                Limits l = LIMITS__INIT;

                put(cgroup, rows[i][0], rows[i][1]);
                assert_int_equal(cgroup_limits(root, cgroup, &l, &bar), 0);
                assert_non_null(bar.text);
                assert_non_null(strstr(bar.text, rows[i][2]));
                assert_non_null(bar.remedy);
        }
}

static void test_tighter(void **state) {
        Limits a = LIMITS__INIT, b = LIMITS__INIT;

        assert_false(cgroup_limits_are_tighter(&a, &b));
        a.has_tasks_max = true;
        a.tasks_max = 9;
        assert_false(cgroup_limits_are_tighter(&a, &b));
        a.has_memory_max = true;
        a.memory_max = 9;
        assert_true(cgroup_limits_are_tighter(&a, &b));
        assert_false(cgroup_limits_are_tighter(&b, &a));
        b.has_memory_max = true;
        b.memory_max = 8;
        assert_false(cgroup_limits_are_tighter(&a, &b));
}

/* As DevicePolicy= does: `return 1`. */
static int attach_device_filter(int cgroup_fd) {
        const struct bpf_insn program[] = {
                        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
                        {.code = BPF_JMP | BPF_EXIT},
        };
        union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                               .insns = (uintptr_t)program,
                               .insn_cnt = ELEMENTS(program),
                               .license = (uintptr_t) "GPL"};
        int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
        union bpf_attr attach = {.target_fd = (uint32_t)cgroup_fd,
                                 .attach_bpf_fd = (uint32_t)fd,
                                 .attach_type = BPF_CGROUP_DEVICE};

        return fd < 0 ? -1 : (int)syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach);
}

static void test_filter(void **state) {
        _cleanup_(freep) char *path = text_format("%s/carryover-test.scope", root);
        _cleanup_(cgroup_bar_done) CgroupBar bar = {0};
        _cleanup_(closep) int fd = -1;
        Limits l = LIMITS__INIT;
        bool attached;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("cgroup2", root, "cgroup2", 0, NULL) < 0) {
                skip();
                return;
        }
        assert_true(mkdir(path, 0755) == 0);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(cgroup_limits(root, "/carryover-test.scope", &l, &bar), 0);
        assert_null(bar.text);
        attached = attach_device_filter(fd) == 0;
        if (attached)
                assert_int_equal(cgroup_limits(root, "/carryover-test.scope", &l, &bar), 0);
        fd = fd_close(fd);
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(umount(root), 0);
        if (!attached)
                skip();
        else
                assert_true(bar.text && strstr(bar.text, "DevicePolicy="));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_lowest, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_nothing, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_other_slice, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_bars, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_filter, set_up, tear_down),
                        cmocka_unit_test(test_tighter),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

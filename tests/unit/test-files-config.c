/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Configuration and logind's state files, in a root directory of the test's own. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "files/config.h"
#include "systemd/login.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utmpx.h>

#include <cmocka.h>

static char root[] = "/tmp/carryover-test-XXXXXX";

static void put_bytes(const char *path, const void *data, size_t size, mode_t mode) {
        char full[256], *slash;
        int fd;

        snprintf(full, sizeof full, "%s%s", root, path);
        slash = strrchr(full, '/');
        *slash = '\0';
        assert_int_equal(make_dirs(full, 0755), 0);
        *slash = '/';
        unlink(full);
        fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, data, size), 0);
        assert_int_equal(fchmod(fd, mode), 0);
        close(fd);
}

static void put(const char *path, const char *text) {
        put_bytes(path, text, strlen(text), 0644);
}

static int clean(void **state) {
        int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)file_remove_tree(fd, "etc");
        (void)file_remove_tree(fd, "usr");
        (void)file_remove_tree(fd, "run");
        close(fd);
        return 0;
}

static void refuses(const char *text, const char *sentence) {
        Config c = {.store = "untouched"};
        int r;

        put("/etc/carryover/carryover.conf", text);
        r = config_load(root, &c);
        assert_int_equal(r, -EINVAL);
        if (!strstr(err_text(r), sentence))
                fail_msg("'%s' does not say '%s'", err_text(r), sentence);
        assert_string_equal(c.store, "untouched");
}

static void test_defaults(void **state) {
        Config a, b;

        memset(&a, 0, sizeof a);
        memset(&b, 0, sizeof b);
        config_defaults(&a);
        assert_int_equal(config_load(root, &b), 0);
        assert_string_equal(b.store, "/var/lib/carryover");
        assert_false(b.keep_ssh);
        assert_true(a.criu_usec == b.criu_usec && a.settle_usec == 20000000);
}

/* The example's commented lines are the defaults, all of them. */
static void test_example(void **state) {
        _cleanup_(freep) char *text = NULL;
        Config a, b;
        size_t n = 0;

        assert_int_equal(file_slurp(AT_FDCWD, CARRYOVER_CONF, 65536, &text, NULL), 0);
        for (char *p = text; p; p = strchr(p, '\n')) {
                p += *p == '\n';
                if (p[0] == '#' && p[1] >= 'A' && p[1] <= 'Z' && strchr(p, '=') &&
                    strcspn(p, "=") < strcspn(p, " \n")) {
                        p[0] = ' ';
                        n++;
                }
        }
        assert_int_equal(n, 19);
        put("/usr/lib/carryover/carryover.conf", text);
        config_defaults(&a);
        assert_int_equal(config_load(root, &b), 0);
        assert_string_equal(a.store, b.store);
        assert_string_equal(a.criu, b.criu);
        assert_true(a.keep_ssh == b.keep_ssh && a.keep_images == b.keep_images && a.hold == b.hold &&
                    !a.encrypt && !b.encrypt && a.notify && b.notify && a.send_failed == b.send_failed &&
                    a.pid_mode == b.pid_mode && a.tcp_close == b.tcp_close &&
                    a.settle_usec == b.settle_usec && a.criu_usec == b.criu_usec &&
                    a.network_usec == b.network_usec && a.mount_usec == b.mount_usec);
        assert_true(a.max_use.percent == b.max_use.percent && a.max_processes == b.max_processes &&
                    a.max_use_per_user.percent == b.max_use_per_user.percent && a.max_files == b.max_files);
}

/* Where each of them stands, in the words that stand there. */
static void test_lines(void **state) {
        ConfigLine *lines;
        char path[PATH_MAX];
        size_t n;

        put("/usr/lib/carryover/carryover.conf", "[Carryover]\nHold=iptables\nMaxUse=10G\n");
        put("/etc/carryover/carryover.conf.d/9.conf", "[Carryover]\n\n MaxUse = 5%  \n");
        assert_int_equal(config_lines(root, &lines, &n), 0);
        assert_int_equal(n, 19);
        for (size_t i = 0; i < n; i++) {
                if (strcmp(lines[i].name, "MaxUse") == 0) {
                        snprintf(path, sizeof path, "%s/etc/carryover/carryover.conf.d/9.conf", root);
                        assert_string_equal(lines[i].value, "5%");
                        assert_string_equal(lines[i].path, path);
                        assert_int_equal(lines[i].number, 3);
                } else if (strcmp(lines[i].name, "Hold") == 0) {
                        assert_string_equal(lines[i].value, "iptables");
                        assert_int_equal(lines[i].number, 2);
                } else
                        assert_null(lines[i].path);
                if (strcmp(lines[i].name, "SettleTimeoutSec") == 0)
                        assert_string_equal(lines[i].value, "20s");
        }
        config_lines_free(lines, n);
        put("/etc/carryover/carryover.conf.d/9.conf", "[Carryover]\nMaxUse=much\n");
        assert_int_equal(config_lines(root, &lines, &n), -EINVAL);
}

static void test_order(void **state) {
        Config c;

        put("/usr/lib/carryover/carryover.conf", "[Carryover]\nHold=iptables\nCriu=a\nPidMode=auto\n");
        put("/etc/carryover/carryover.conf", "# x\n\n[Carryover]\n  Criu = b \r\n");
        put("/usr/lib/carryover/carryover.conf.d/50-a.conf", "[Carryover]\nStore=/a\n");
        put("/usr/local/lib/carryover/carryover.conf", "[Carryover]\nCriu=l\nPidMode=host\n");
        put("/usr/lib/carryover/carryover.conf.d/60-b.conf",
            "[Carryover]\nKeepImages=yes\nTcpClose=yes\nEncrypt=yes\nNotify=no\n");
        put("/run/carryover/carryover.conf.d/50-a.conf", "[Carryover]\nKeepSshSessions=on\n");
        put("/etc/carryover/carryover.conf.d/40-z.conf",
            "[Carryover]\nStore=/z/y\nCriuTimeoutSec=2min\nSettleTimeoutSec=500ms\nNetworkTimeoutSec=7\n"
            "MaxUse=10G\nMaxUsePerUser=5%\nMaxProcesses=7\nMaxFiles=9\n");
        put("/etc/carryover/carryover.conf.d/ignored", "nonsense\n");
        assert_int_equal(config_load(root, &c), 0);
        assert_int_equal(c.hold, HOLD_IPTABLES);
        assert_string_equal(c.criu, "b");
        assert_int_equal(c.pid_mode, PID_MODE_HOST);
        assert_string_equal(c.store, "/z/y");
        assert_true(c.max_use.bytes == UINT64_C(10) << 30 && c.max_use.percent == 0);
        assert_true(c.max_use_per_user.percent == 5 && c.max_processes == 7 && c.max_files == 9);
        assert_true(c.keep_images && c.keep_ssh && c.tcp_close && c.encrypt && !c.notify);
        assert_true(c.criu_usec == 120000000 && c.settle_usec == 500000 && c.network_usec == 7000000);
}

static void test_mask(void **state) {
        char path[256];
        Config c;

        put("/usr/lib/carryover/carryover.conf.d/50-a.conf", "[Carryover]\nStore=/a\n");
        put("/etc/carryover/carryover.conf.d/x.conf", "");
        snprintf(path, sizeof path, "%s/etc/carryover/carryover.conf.d/50-a.conf", root);
        assert_int_equal(symlink("/dev/null", path), 0);
        assert_int_equal(config_load(root, &c), 0);
        assert_string_equal(c.store, "/var/lib/carryover");
}

static void test_refusals(void **state) {
        refuses("[Carryover]\nStroe=/x\n", "carryover.conf:2: unknown setting Stroe=");
        refuses("[Carryover]\nHold=pf\n",
                "invalid value for Hold=: 'pf'; expected auto, iptables or nftables");
        refuses("[Carryover]\nStore=var\n", "an absolute path");
        refuses("[Carryover]\nStore=/a/../b\n", "an absolute path");
        refuses("[Carryover]\nCriu=../criu\n", "an absolute path or a name");
        refuses("[Carryover]\nCriuTimeoutSec=0\n", "a time like");
        refuses("[Carryover]\nMaxUse=0%\n", "a size like 512M or 10G, or a percentage");
        refuses("[Carryover]\nMaxUse=101%\n", "a percentage");
        refuses("[Carryover]\nMaxUsePerUser=1X\n", "a percentage");
        refuses("[Carryover]\nMaxUsePerUser=18446744073709551615K\n", "a percentage");
        refuses("[Carryover]\nMaxUsePerUser=\n", "a percentage");
        refuses("[Carryover]\nMaxProcesses=0\n", "a number");
        refuses("[Carryover]\nMaxFiles=many\n", "a number");
        refuses("[Carryover]\nCriuTimeoutSec=25h\n", "a time like");
        refuses("[Carryover]\nCriuTimeoutSec=18446744073709551615min\n", "a time like");
        refuses("[Carryover]\nCriuTimeoutSec=infinity\n", "a time like");
        refuses("[Carryover]\nKeepImages=maybe\n", "yes or no");
        refuses("[Carryover]\nSendReports=never\n", "always or failed");
        refuses("[Carryover]\nKeepImages\n", "expected Name=value");
        refuses("KeepImages=yes\n", "before the [Carryover] section");
        refuses("[carryover]\n", "unknown section [carryover]");
}

static void test_hostile(void **state) {
        char path[256];
        Config c;

        put_bytes("/etc/carryover/carryover.conf", "[Carryover]\n\0x", 14, 0644);
        assert_int_equal(config_load(root, &c), -EINVAL);
        put_bytes("/etc/carryover/carryover.conf", "[Carryover]\n", 12, 0664);
        assert_int_equal(config_load(root, &c), -EPERM);
        snprintf(path, sizeof path, "%s/etc/carryover/carryover.conf", root);
        unlink(path);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(config_load(root, &c), -EINVAL);
        unlink(path);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(config_load(root, &c), -EINVAL);
        rmdir(path);
        put("/etc/carryover/carryover.conf.d/a.conf", "[Carryover]\n");
        snprintf(path, sizeof path, "%s/etc/carryover/carryover.conf.d", root);
        assert_int_equal(chmod(path, 0777), 0);
        assert_int_equal(config_load(root, &c), -EPERM);
        assert_int_equal(chmod(path, 0755), 0);
        if (geteuid() == 0) {
                snprintf(path, sizeof path, "%s/etc/carryover/carryover.conf.d/a.conf", root);
                assert_int_equal(chown(path, 65534, 65534), 0);
                assert_int_equal(config_load(root, &c), -EPERM);
        }
}

static void test_sessions(void **state) {
        struct utmpx entry = {.ut_type = USER_PROCESS, .ut_pid = 4711, .ut_line = "pts/3", .ut_user = "joe"};
        Session **list, *s;
        size_t n;

        assert_int_equal(login_sessions(root, &list, &n), 0);
        assert_int_equal(n, 0);
        put("/run/systemd/sessions/4",
            "# private\nUID=1000\nUSER=joe\nSTATE=active\nSCOPE=session-4.scope\nSERVICE=sshd\n"
            "REMOTE_HOST=\"192.0.2.7\"\nLEADER=4711\nXSERVICE=x\n");
        put("/run/systemd/sessions/10",
            "UID=0\nUSER=root\nSCOPE=session-10.scope\nSERVICE=login\nTTY=tty1\n");
        put("/run/systemd/sessions/c1", "UID=0\nUSER=root\nCLASS=manager\n");
        put("/run/systemd/sessions/11", "UID=0\nUSER=root\nSCOPE=../session 11.scope\n");
        put_bytes("/run/utmp", &entry, sizeof entry, 0644);
        assert_int_equal(login_sessions(root, &list, &n), 0);
        assert_int_equal(n, 2);
        s = list[0];
        assert_string_equal(s->id, "4");
        assert_int_equal(s->uid, 1000);
        assert_string_equal(s->user, "joe");
        assert_string_equal(s->scope, "session-4.scope");
        assert_true(s->has_leader && s->leader == 4711);
        assert_string_equal(s->remote_host, "192.0.2.7");
        assert_true(login_is_ssh(s));
        assert_true(s->has_utmp && s->utmp.len == sizeof entry);
        assert_memory_equal(s->utmp.data, &entry, sizeof entry);
        assert_string_equal(s->tty, "pts/3");
        assert_string_equal(list[1]->id, "10");
        assert_false(login_is_ssh(list[1]));
        assert_false(list[1]->has_utmp);
        login_sessions_free(list, n);
        assert_int_equal(login_session(root, "5", &s), 1);
        assert_int_equal(login_session(root, "../sessions/4", &s), 1);
        put("/run/systemd/sessions/6", "UID=x\nSCOPE=session-6.scope\n");
        assert_int_equal(login_session(root, "6", &s), -EBADMSG);
}

/* For what must go on: what can be read counts, and the first error is the one that is told. */
static void test_anyway(void **state) {
        Config c;
        int r;

        assert_int_equal(config_load_anyway(root, &c), 0);
        assert_false(c.partial);
        put("/etc/carryover/carryover.conf", "[Carryover]\nPidMode=what\nStore=/data\nHold=x\n");
        put("/etc/carryover/carryover.conf.d/1.conf", "[Carryover]\nKeepImages=yes\n");
        put_bytes("/etc/carryover/carryover.conf.d/2.conf", "[Carryover]\nStore=/evil\n", 24, 0666);
        put("/etc/carryover/carryover.conf.d/3.conf", "[Other]\nStore=/other\n");
        r = config_load_anyway(root, &c);
        assert_int_equal(r, -EINVAL);
        assert_non_null(strstr(err_text(r), "carryover.conf:2"));
        assert_true(c.partial);
        assert_true(c.keep_images);
        assert_string_equal(c.store, "/data");
        assert_int_equal(c.pid_mode, PID_MODE_AUTO);
        assert_int_equal(config_load(root, &c), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_defaults, clean),
                        cmocka_unit_test_setup(test_example, clean),
                        cmocka_unit_test_setup(test_lines, clean),
                        cmocka_unit_test_setup(test_order, clean),
                        cmocka_unit_test_setup(test_mask, clean),
                        cmocka_unit_test_setup(test_refusals, clean),
                        cmocka_unit_test_setup(test_hostile, clean),
                        cmocka_unit_test_setup(test_anyway, clean),
                        cmocka_unit_test_setup(test_sessions, clean),
        };
        int r;

        if (!mkdtemp(root))
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        (void)clean(NULL);
        rmdir(root);
        return r;
}

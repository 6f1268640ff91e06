/* SPDX-License-Identifier: GPL-2.0-or-later */

/* mountinfo, and waiting for mounts: in a mount namespace of its own; needs root. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "kernel/mounts.h"
#include "proc/procfs.h"
#include "systemd/bus.h"
#include "tests/unit/init.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define LINES                                                                                               \
        "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"                                          \
        "30 22 0:25 / /tmp rw,nosuid - tmpfs tmpfs rw\n"                                                    \
        "40 22 0:50 / /home rw shared:3 master:4 - autofs systemd-1 rw,fd=41\n"                             \
        "41 40 0:51 /export /home rw,relatime shared:5 - nfs4 srv:/export rw,vers=4.2\n"                    \
        "50 22 7:0 / /mnt/with\\040blank\\134 rw - ext4 /dev/loop\\0400 rw\n"                               \
        "51 22 7:1 /sub /mnt rw - xfs  rw\n"                                                                \
        "52 51 7:2 / /mnt/ram rw - ramfs none rw\n"

static int parse(const char *lines, Mounts *ret) {
        _cleanup_(fclosep) FILE *f = fmemopen((char *)(uintptr_t)lines, strlen(lines), "r");

        assert_non_null(f);
        return mounts_parse(f, ret);
}

static Mounts parsed(const char *lines) {
        Mounts mounts = {0};

        assert_int_equal(parse(lines, &mounts), 0);
        return mounts;
}

static void test_parse(void **state) {
        Mounts m = parsed(LINES);

        assert_int_equal(m.n, 7);
        assert_string_equal(m.list[4].at.point, "/mnt/with blank\\");
        assert_string_equal(m.list[4].at.source, "/dev/loop 0");
        assert_string_equal(m.list[3].at.source, "srv:/export");
        assert_string_equal(m.list[3].at.root, "/export");
        assert_string_equal(m.list[3].at.type, "nfs4");
        assert_int_equal(m.list[3].parent, 40);
        assert_string_equal(m.list[5].at.source, "");
        assert_true(m.list[3].is_remote && m.list[2].is_remote && !m.list[0].is_remote);
        assert_true(m.list[1].is_volatile && m.list[6].is_volatile && !m.list[5].is_volatile);
        assert_ptr_equal(mounts_by_id(&m, 41), m.list + 3);
        assert_ptr_equal(mounts_by_device(&m, 7, 1), m.list + 5);
        assert_ptr_equal(mounts_by_path(&m, "/home/joe"), m.list + 3); /* what covers */
        assert_ptr_equal(mounts_by_path(&m, "/homeless"), m.list);
        assert_ptr_equal(mounts_by_path(&m, "/mnt/ram"), m.list + 6);
        assert_ptr_equal(mounts_by_path(&m, "/mnt/ramp"), m.list + 5);
        mounts_done(&m);
}

static void test_parse_bad(void **state) {
        static const char *const bad[] = {"22 1 254:0 / / rw", "x 1 254:0 / / rw - ext4 /dev/vda rw",
                                          "22 1 254 / / rw - ext4 /dev/vda rw", "22 1 254:0 / / rw - ext4"};
        Mounts m = {0};

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                assert_int_equal(parse(bad[i], &m), -EBADMSG);
                assert_int_equal(m.n, 0);
        }
}

static Tree *tree_on(const char *source, const char *type, const char *root, const char *point) {
        Tree *tree = model_new(Tree, tree__init);
        Mount *m = model_new(Mount, mount__init);

        assert_true(tree && m);
        assert_int_equal(model_set_string(&tree->name, "t"), 0);
        assert_int_equal(model_set_string(&tree->target, "t"), 0);
        assert_int_equal(model_set_string(&tree->comm, "t"), 0);
        assert_int_equal(model_set_string(&m->source, source), 0);
        assert_int_equal(model_set_string(&m->type, type), 0);
        assert_int_equal(model_set_string(&m->root, root), 0);
        assert_int_equal(model_set_string(&m->point, point), 0);
        assert_int_equal(model_append(tree->mounts, tree->n_mounts, m), 0);
        return tree;
}

static int missing(const char *source, const char *type, const char *root, const char *point) {
        _cleanup_(tree_freep) Tree *tree = tree_on(source, type, root, point);
        Mounts m = parsed(LINES);
        int r = mounts_missing(&m, tree, NULL);

        mounts_done(&m);
        return r;
}

static void test_missing(void **state) {
        _cleanup_(tree_freep) Tree *tree = tree_on("x", "ext4", "/", "/srv");
        Mounts m = parsed(LINES);

        assert_int_equal(missing("srv:/export", "nfs4", "/export", "/home"), 0);
        assert_int_equal(missing("/dev/sdb", "xfs", "/sub", "/mnt"), 0); /* a disk's name may change */
        assert_int_equal(missing("other:/export", "nfs4", "/export", "/home"), 1);
        assert_string_equal(err_text(-ETIMEDOUT), "/export of srv:/export (nfs4) is mounted on /home; the "
                                                  "tree needs /export of other:/export (nfs4)");
        assert_int_equal(missing("srv:/export", "nfs4", "/", "/home"), 1);
        assert_int_equal(missing("/dev/sdb", "ext4", "/sub", "/mnt"), 1);
        assert_int_equal(missing("srv:/a", "nfs4", "/", "/home/joe"), 1);
        assert_string_equal(err_text(-ETIMEDOUT),
                            "mount point /home/joe, which has files of the tree, is not mounted");
        assert_int_equal(missing("x", "ext4", "/", "srv"), -EBADMSG);
        assert_int_equal(missing("x", "ext4", "/", "/srv/../etc"), -EBADMSG);
        assert_int_equal(missing("x", "", "/", "/srv"), -EBADMSG);
        assert_int_equal(mounts_missing(&m, tree, "/tmp"), 0);
        assert_int_equal(mounts_missing(&m, tree, "/srv"), 1);
        mounts_done(&m);
}

static char where[] = "/tmp/test-mounts.XXXXXX";

static void *later(void *userdata) {
        usleep(200 * 1000); /* so that the other thread waits; the test holds without it, too */
        if (mount("other", where, "tmpfs", 0, "size=1m") < 0)
                fail_msg("cannot mount: %m");
        return NULL;
}

/* Nothing looks at the clock: the kernel tells of each mount. */
static void test_wait(void **state) {
        _cleanup_(tree_freep) Tree *tree = tree_on("one", "tmpfs", "/", where);
        _cleanup_(closep) int stop = eventfd(1, EFD_CLOEXEC);
        pthread_t thread;

        assert_int_equal(mounts_wait(tree, 50000, -1), -ETIMEDOUT);
        assert_non_null(strstr(err_text(-ETIMEDOUT), "is not mounted (waited 0 s)"));
        assert_int_equal(mounts_wait(tree, 20000000, stop), -ECANCELED);
        assert_int_equal(pthread_create(&thread, NULL, later, NULL), 0);
        assert_int_equal(mounts_wait(tree, 20000000, -1), 0);
        pthread_join(thread, NULL);
        assert_int_equal(mount("two", where, "ramfs", 0, NULL), 0); /* covers it */
        assert_int_equal(mounts_wait(tree, 0, -1), -ETIMEDOUT);
        assert_non_null(strstr(err_text(-ETIMEDOUT), "(ramfs) is mounted on"));
        assert_int_equal(umount(where), 0);
        assert_int_equal(mounts_wait(tree, 0, -1), 0);
}

/* Of each way in which a process can have something of a mount, one at a time. */
static void expect_stood_on(const char *how, bool is) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        pid_t self = getpid();
        bool found = false;

        assert_int_equal(snapshot_take(SNAP_FULL, &self, 1, &s), 0);
        for (size_t i = 0; i < s->n_mounts; i++)
                found |= strcmp(s->mounts[i].point, where) == 0 && strcmp(s->mounts[i].type, "tmpfs") == 0;
        if (found != is)
                fail_msg("%s: the mount is %sknown", how, found ? "" : "not ");
        for (size_t i = 0; i < s->n_mounts; i++)
                assert_true(s->mounts[i].origin == MOUNT_UNKNOWN);
}

static void test_snapshot(void **state) {
        char path[64];
        void *map;
        int fd;

        expect_stood_on("nothing", false);
        snprintf(path, sizeof path, "%s/f", where);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0 && ftruncate(fd, 4096) == 0);
        expect_stood_on("a file", true);
        map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        assert_true(map != MAP_FAILED);
        fd_close(fd);
        expect_stood_on("a mapping", true);
        assert_int_equal(munmap(map, 4096), 0);
        expect_stood_on("nothing", false);
        assert_int_equal(chdir(where), 0);
        expect_stood_on("the working directory", true);
        assert_int_equal(chdir("/"), 0);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        {
                struct sockaddr_un name = {.sun_family = AF_UNIX};

                snprintf(name.sun_path, sizeof name.sun_path, "%s/s", where);
                assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
        }
        expect_stood_on("a socket's name", true);
        fd_close(fd);
        expect_stood_on("nothing", false);
}

/* As anybody who may mount can name his file systems: the list is longer than 32 MiB. */
/* One that has a /proc of its own, and a mount that we do not have. */
static void test_of_another_namespace(void **state) {
        Mounts ours = {0}, theirs = {0};
        size_t here = 0, own = 0;
        pid_t init;

        need_root(state);
        init = start_init("carryover-init");
        assert_int_equal(mounts_read(&ours), 0);
        assert_int_equal(mounts_read_of(init, &ours, &theirs), 0);
        assert_int_equal(mounts_read_of(4194305, &ours, &theirs), -ESRCH);
        for (size_t i = 0; i < theirs.n; i++) {
                const MountLine *m = theirs.list + i, *same = m->here ? mounts_by_id(&ours, m->here) : NULL;

                assert_null(mounts_by_id(&ours, m->at.id));
                if (strcmp(m->at.point, "/") == 0)
                        assert_non_null(same);
                if (same) {
                        assert_string_equal(same->at.point, m->at.point);
                        here += !m->is_elsewhere;
                        own += m->is_elsewhere;
                }
        }
        assert_int_equal(here, ours.n);
        assert_int_equal(own, 1); /* the /proc of its own */
        assert_string_equal(theirs.list[theirs.n - 1].at.point, "/proc");
        mounts_done(&ours);
        mounts_done(&theirs);
}

static void test_long_list(void **state) {
        char source[4000];
        Mounts m = {0};
        int n = 0, r;

        memset(source, ' ', sizeof source - 1); /* each is four in the list */
        source[sizeof source - 1] = '\0';
        assert_int_equal(mount(source, where, "tmpfs", 0, "size=1m"), 0);
        while (n < 2200 && mount(where, where, NULL, MS_BIND, NULL) == 0)
                n++;
        r = mounts_read(&m);
        while (umount2(where, MNT_DETACH) == 0)
                ;
        assert_int_equal(n, 2200);
        assert_int_equal(r, 0);
        assert_true(m.n > 2200);
        assert_string_equal(m.list[m.n - 1].at.source, source);
        mounts_done(&m);
}

static void expect_name(const char *point, const char *unit) {
        _cleanup_(freep) char *name = bus_mount_unit(point);

        assert_string_equal(name, unit);
}

static void test_unit_name(void **state) {
        expect_name("/", "-.mount");
        expect_name("/home", "home.mount");
        expect_name("/srv/my-disk", "srv-my\\x2ddisk.mount");
        expect_name("/mnt/with blank\\", "mnt-with\\x20blank\\x5c.mount");
        expect_name("/.hidden/a.b", "\\x2ehidden-a.b.mount");
        expect_name("/a//b/", "a-b.mount");
        expect_name("/\xc3\xa4", "\\xc3\\xa4.mount");
}

/* Private: what others mount meanwhile would be the last of the list. */
static int set_up(void **state) {
        return unshare(CLONE_NEWNS) == 0 && mkdtemp(where) &&
                                               mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
                               ? 0
                               : -1;
}

static int tear_down(void **state) {
        (void)umount2(where, MNT_DETACH);
        return rmdir(where);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_parse),
                        cmocka_unit_test(test_parse_bad),
                        cmocka_unit_test(test_missing),
                        cmocka_unit_test(test_unit_name),
                        cmocka_unit_test(test_wait),
                        cmocka_unit_test(test_snapshot),
                        cmocka_unit_test_teardown(test_of_another_namespace, kill_inits),
                        cmocka_unit_test(test_long_list),
        };

        if (geteuid() != 0)
                return 77;
        return cmocka_run_group_tests(tests, set_up, tear_down);
}

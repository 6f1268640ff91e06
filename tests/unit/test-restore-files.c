/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Files are put back below a directory of the test's own, in which others were before. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "files/pax.h"
#include "restore/files.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#define JOE     1000
#define MALLORY 1001

typedef struct World {
        char path[64];
        int root, archive;
        Pax *pax;
        FilesBack back;
} World;

static const struct timespec then = {1234567890, 987654321};

static void begin(World *w) {
        w->archive = memfd_create("archive", MFD_CLOEXEC);
        assert_int_equal(pax_create(w->archive, &(PaxLimits){UINT64_MAX, UINT64_MAX}, &w->pax), 0);
}

static int setup(void **state) {
        World *w = calloc(1, sizeof *w);

        if (geteuid() != 0) { /* other people's files can be made by root only */
                free(w);
                *state = NULL;
                return 0;
        }
        strcpy(w->path, "/tmp/carryover-test-XXXXXX");
        assert_non_null(mkdtemp(w->path));
        w->root = open(w->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkdirat(w->root, "tmp", 0700), 0);
        assert_int_equal(fchmodat(w->root, "tmp", 01777, 0), 0);
        begin(w);
        *state = w;
        return 0;
}

static int teardown(void **state) {
        World *w = *state;

        if (!w)
                return 0;
        (void)pax_free(w->pax);
        files_back_done(&w->back);
        fd_close(w->archive);
        fd_close(w->root);
        assert_int_equal(file_remove_tree(AT_FDCWD, w->path), 0);
        free(w);
        return 0;
}

static World *world(void **state) {
        if (!*state)
                skip();
        return *state;
}

static void add(World *w, const char *path, mode_t mode, uid_t uid, const char *content) {
        _cleanup_(closep) int fd = memfd_with("content", content ?: "", content ? strlen(content) : 0);
        PaxEntry e = {.path = path};

        assert_int_equal(fchmod(fd, mode & ALLPERMS), 0); /* setuid is looked at twice */
        assert_int_equal(fstat(fd, &e.st), 0);
        e.st.st_mode = mode;
        e.st.st_uid = uid;
        e.st.st_gid = uid;
        e.st.st_mtim = e.st.st_atim = then;
        assert_int_equal(pax_add(w->pax, &e, fd), 0);
}

static void archive_ready(World *w) {
        assert_int_equal(pax_finish(w->pax), 0);
        w->pax = pax_free(w->pax);
        assert_int_equal(lseek(w->archive, 0, SEEK_SET), 0);
}

static int put(World *w) {
        int r;

        archive_ready(w);
        r = files_put_back(&w->back, w->archive, w->root);
        w->archive = fd_close(w->archive);
        begin(w);
        return r;
}

/* As the only one, or the last one. */
static int put_back(World *w) {
        int r = put(w);

        files_back_done(&w->back);
        return r;
}

static void expect(const World *w, const char *path, mode_t mode, uid_t uid, const char *content) {
        _cleanup_(freep) char *text = NULL;
        struct stat st;

        assert_int_equal(fstatat(w->root, path, &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mode, mode);
        assert_int_equal(st.st_uid, uid);
        assert_int_equal(st.st_gid, uid);
        assert_int_equal(st.st_mtim.tv_sec, then.tv_sec);
        assert_int_equal(st.st_mtim.tv_nsec, then.tv_nsec);
        if (!content)
                return;
        assert_int_equal(file_slurp(w->root, path, 1000, &text, NULL), 0);
        assert_string_equal(text, content);
}

static void refused(World *w, const char *why) {
        int r = put_back(w);

        assert_true(r < 0);
        if (!strstr(err_text(r), why))
                fail_msg("'%s' does not say '%s'", err_text(r), why);
}

static bool is_there(const World *w, const char *path) {
        return faccessat(w->root, path, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

static void put_there(const World *w, const char *path, uid_t uid, const char *content) {
        _cleanup_(closep) int fd = openat(w->root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_int_equal(fd_write_all(fd, content, strlen(content)), 0);
        assert_int_equal(fchown(fd, uid, uid), 0);
}

/* In a process that the kernel kills at the first file of more than `size` bytes. */
static void put_killed(World *w, rlim_t size) {
        const struct rlimit limit = {size, size};
        pid_t child;
        int status;

        archive_ready(w);
        child = fork();
        if (child == 0) {
                (void)signal(SIGXFSZ, SIG_DFL); /* as it is; cmocka may not want to know */
                (void)setrlimit(RLIMIT_FSIZE, &limit);
                (void)files_put_back(&w->back, w->archive, w->root);
                _exit(0);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
        w->archive = fd_close(w->archive);
        begin(w);
}

static void full_path(const World *w, const char *path, char full[static PATH_MAX]) {
        snprintf(full, PATH_MAX, "%s/%s", w->path, path);
}

static void put_mark(const World *w, const char *path) {
        char full[PATH_MAX];

        full_path(w, path, full);
        assert_int_equal(setxattr(full, "trusted.carryover", "", 0, 0), 0);
}

static bool is_marked(const World *w, const char *path) {
        char full[PATH_MAX];

        full_path(w, path, full);
        return getxattr(full, "trusted.carryover", NULL, 0) >= 0;
}

static void test_put_back(void **state) {
        World *w = world(state);
        PaxEntry link = {.path = "/tmp/joe/inner/other", .link = "/tmp/joe/inner/file"};
        struct stat a, b;

        add(w, "/tmp", S_IFDIR | S_ISVTX | 0777, 0, NULL);
        add(w, "/tmp/joe", S_IFDIR | 0500, JOE, NULL);
        add(w, "/tmp/joe/inner", S_IFDIR | S_ISGID | 0750, JOE, NULL);
        add(w, "/tmp/joe/inner/file", S_IFREG | S_ISUID | 0640, JOE, "what was in it");
        link.st.st_mode = S_IFREG;
        link.st.st_uid = JOE;
        assert_int_equal(pax_add(w->pax, &link, -1), 0);
        add(w, "/tmp/joe/fifo", S_IFIFO | 0620, JOE, NULL);
        add(w, "/top", S_IFREG | 0600, 0, "");
        assert_int_equal(put_back(w), 0);
        expect(w, "tmp/joe", S_IFDIR | 0500, JOE, NULL);
        expect(w, "tmp/joe/inner", S_IFDIR | S_ISGID | 0750, JOE, NULL);
        expect(w, "tmp/joe/inner/file", S_IFREG | S_ISUID | 0640, JOE, "what was in it");
        expect(w, "tmp/joe/fifo", S_IFIFO | 0620, JOE, NULL);
        expect(w, "top", S_IFREG | 0600, 0, "");
        assert_int_equal(fstatat(w->root, "tmp/joe/inner/file", &a, 0), 0);
        assert_int_equal(fstatat(w->root, "tmp/joe/inner/other", &b, 0), 0);
        assert_int_equal(a.st_ino, b.st_ino);

        /* Once more, as after a jump that did not happen, when a stranger puts them back: all is there. */
        add(w, "/tmp/joe", S_IFDIR | 0500, JOE, NULL);
        add(w, "/tmp/joe/inner", S_IFDIR | 0750, JOE, NULL);
        add(w, "/tmp/joe/inner/file", S_IFREG | 0640, JOE, "what was in it");
        assert_int_equal(pax_add(w->pax, &link, -1), 0);
        add(w, "/tmp/joe/fifo", S_IFIFO | 0620, JOE, NULL);
        assert_int_equal(put_back(w), 0);
        expect(w, "tmp/joe/inner/file", S_IFREG | S_ISUID | 0640, JOE, "what was in it");
}

/* Of two trees that share a file the one that comes first brings it. */
static void test_shared(void **state) {
        World *w = world(state);

        add(w, "/tmp/dir", S_IFDIR | 0700, JOE, NULL);
        add(w, "/tmp/dir/log", S_IFREG | 0600, JOE, "one, two");
        assert_int_equal(put(w), 0);
        add(w, "/tmp/dir", S_IFDIR | 0700, JOE, NULL);
        add(w, "/tmp/dir/log", S_IFREG | 0600, JOE, "one");
        add(w, "/tmp/dir/own", S_IFREG | 0600, JOE, "own");
        assert_int_equal(put_back(w), 0);
        expect(w, "tmp/dir/log", S_IFREG | 0600, JOE, "one, two");
        expect(w, "tmp/dir/own", S_IFREG | 0600, JOE, "own");
        expect(w, "tmp/dir", S_IFDIR | 0700, JOE, NULL);
}

/* A link that waits in a directory of everybody's leads nowhere. */
static void test_links_in_the_way(void **state) {
        World *w = world(state);

        assert_int_equal(mkdirat(w->root, "etc", 0755), 0);
        assert_int_equal(symlinkat("../etc", w->root, "tmp/dir"), 0);
        assert_int_equal(symlinkat("../etc/passwd", w->root, "tmp/file"), 0);
        add(w, "/tmp/file", S_IFREG | 0666, JOE, "joe::0:0");
        refused(w, "/tmp/file already exists");
        add(w, "/tmp/dir/passwd", S_IFREG | 0666, JOE, "joe::0:0");
        refused(w, "/tmp/dir/passwd");
        add(w, "/tmp/dir", S_IFDIR | 0777, JOE, NULL);
        refused(w, "/tmp/dir already exists");
        add(w, "/tmp/file", S_IFIFO | 0666, JOE, NULL);
        refused(w, "/tmp/file already exists");
        assert_false(is_there(w, "etc/passwd"));
        assert_int_equal(unlinkat(w->root, "tmp/dir", 0), 0);
        assert_int_equal(unlinkat(w->root, "tmp/file", 0), 0);
}

static void test_taken(void **state) {
        World *w = world(state);
        _cleanup_(freep) char *text = NULL;

        /* Somebody else's, and one's own that is another. */
        put_there(w, "tmp/theirs", MALLORY, "same size");
        put_there(w, "tmp/mine", JOE, "same size");
        add(w, "/tmp/theirs", S_IFREG | 0666, JOE, "what it was");
        refused(w, "/tmp/theirs already exists");
        add(w, "/tmp/mine", S_IFREG | 0666, JOE, "same_size");
        refused(w, "/tmp/mine already exists");
        assert_int_equal(file_slurp(w->root, "tmp/mine", 100, &text, NULL), 0);
        assert_string_equal(text, "same size");

        /* A directory of somebody else's would give him what is put into it. */
        assert_int_equal(mkdirat(w->root, "tmp/tmux-1000", 0777), 0);
        assert_int_equal(fchownat(w->root, "tmp/tmux-1000", MALLORY, MALLORY, 0), 0);
        add(w, "/tmp/tmux-1000", S_IFDIR | 0700, JOE, NULL);
        add(w, "/tmp/tmux-1000/secret", S_IFREG | 0600, JOE, "x");
        refused(w, "/tmp/tmux-1000 already exists");
        assert_false(is_there(w, "tmp/tmux-1000/secret"));
}

/* A restore that was killed has left a directory that is still root's, and half a file: by the mark it is
 * known for its own. Without one it is root's, and not to be given away. */
static void test_killed(void **state) {
        World *w = world(state);

        assert_int_equal(mkdirat(w->root, "tmp/root", 0700), 0);
        add(w, "/tmp/root", S_IFDIR | 0700, JOE, NULL);
        refused(w, "/tmp/root already exists");
        put_there(w, "tmp/file", 0, "x");
        add(w, "/tmp/file", S_IFREG | 0600, JOE, "x y z");
        refused(w, "/tmp/file already exists");

        for (int i = 0; i < 2; i++) { /* and once more by the next start */
                add(w, "/tmp/dir", S_IFDIR | 0750, JOE, NULL);
                add(w, "/tmp/dir/inner", S_IFDIR | 0750, JOE, NULL);
                add(w, "/tmp/dir/inner/whole", S_IFREG | 0600, JOE, "whole");
                add(w, "/tmp/dir/inner/half", S_IFREG | 0600, JOE, "half and half");
                put_killed(w, 6);
                assert_true(is_marked(w, "tmp/dir") && is_marked(w, "tmp/dir/inner"));
                assert_true(is_marked(w, "tmp/dir/inner/half"));
                expect(w, "tmp/dir/inner/whole", S_IFREG | 0600, JOE, "whole");
        }
        put_mark(w, "tmp/file");
        add(w, "/tmp/file", S_IFREG | 0600, JOE, "x y z");
        add(w, "/tmp/dir", S_IFDIR | 0750, JOE, NULL);
        add(w, "/tmp/dir/inner", S_IFDIR | 0750, JOE, NULL);
        add(w, "/tmp/dir/inner/whole", S_IFREG | 0600, JOE, "whole");
        add(w, "/tmp/dir/inner/half", S_IFREG | 0600, JOE, "half and half");
        assert_int_equal(put_back(w), 0);
        expect(w, "tmp/file", S_IFREG | 0600, JOE, "x y z");
        expect(w, "tmp/dir", S_IFDIR | 0750, JOE, NULL);
        expect(w, "tmp/dir/inner", S_IFDIR | 0750, JOE, NULL);
        expect(w, "tmp/dir/inner/whole", S_IFREG | 0600, JOE, "whole");
        expect(w, "tmp/dir/inner/half", S_IFREG | 0600, JOE, "half and half");
        assert_false(is_marked(w, "tmp/dir") || is_marked(w, "tmp/dir/inner") ||
                     is_marked(w, "tmp/dir/inner/half") || is_marked(w, "tmp/file"));
}

/* Where one entry cannot be, those before it are whole. */
static void test_half(void **state) {
        World *w = world(state);

        add(w, "/tmp/dir", S_IFDIR | 0750, JOE, NULL);
        add(w, "/tmp/dir/a", S_IFREG | 0600, JOE, "a");
        add(w, "/nowhere/b", S_IFREG | 0600, JOE, "b");
        refused(w, "/nowhere/b");
        expect(w, "tmp/dir", S_IFDIR | 0750, JOE, NULL);
        expect(w, "tmp/dir/a", S_IFREG | 0600, JOE, "a");
}

static void test_no_room(void **state) {
        static char content[1 << 20];
        World *w = world(state);
        char path[PATH_MAX];

        full_path(w, "tmp", path);
        if (mount("tmpfs", path, "tmpfs", 0, "size=64k,mode=1777") < 0)
                skip();
        memset(content, 'x', sizeof content - 1);
        add(w, "/tmp/big", S_IFREG | 0600, JOE, content);
        refused(w, "No space left on device");
        assert_false(is_there(w, "tmp/big"));
        assert_int_equal(umount(path), 0);
}

static void test_runtime_directory(void **state) {
        World *w = world(state);
        char path[PATH_MAX];
        struct stat st;

        full_path(w, "run/user/1000", path);
        add(w, "/run", S_IFDIR | 0755, 0, NULL);
        add(w, "/run/user", S_IFDIR | 0755, 0, NULL);
        add(w, "/run/user/1000", S_IFDIR | 0700, JOE, NULL);
        add(w, "/run/user/1000/file", S_IFREG | 0600, JOE, "x");
        assert_int_equal(put_back(w), 0);
        expect(w, "run/user/1000/file", S_IFREG | 0600, JOE, "x");
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_uid, JOE);
        assert_int_equal(st.st_mode, S_IFDIR | 0700);
        assert_int_equal(umount(path), 0); /* which it was not without a mount */
        assert_false(is_there(w, "run/user/1000/file"));
}

/* One user's directories need no descriptors that the next user's would lack. */
static void test_many_directories(void **state) {
        World *w = world(state);
        struct rlimit before, few;
        char path[64];

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        few = before;
        few.rlim_cur = 40;
        for (int i = 0; i < 100; i++) {
                snprintf(path, sizeof path, "/tmp/many%02d", i);
                add(w, path, S_IFDIR | 0750, MALLORY, NULL);
        }
        for (size_t i = 0; i < 100; i++) { /* and as deep */
                char deep[256] = "/tmp/a";

                for (size_t k = 0; k < i; k++)
                        strcat(deep, "/b");
                add(w, deep, S_IFDIR | 0750, MALLORY, NULL);
        }
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        assert_int_equal(put(w), 0);
        add(w, "/tmp/joe", S_IFDIR | 0750, JOE, NULL);
        add(w, "/tmp/joe/file", S_IFREG | 0600, JOE, "x");
        assert_int_equal(put(w), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        expect(w, "tmp/many99", S_IFDIR | 0750, MALLORY, NULL);
        expect(w, "tmp/a", S_IFDIR | 0750, MALLORY, NULL);
        expect(w, "tmp/a/b/b/b", S_IFDIR | 0750, MALLORY, NULL);
        expect(w, "tmp/joe", S_IFDIR | 0750, JOE, NULL);
        expect(w, "tmp/joe/file", S_IFREG | 0600, JOE, "x");
}

/* With it, root gives files to others; without, that fails as it does where a quota forbids it. */
static void may_chown(bool may) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2];

        assert_int_equal(syscall(SYS_capget, &header, data), 0);
        if (may)
                data[0].effective |= 1u << CAP_CHOWN;
        else
                data[0].effective &= ~(1u << CAP_CHOWN);
        assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

/* What one user may not have is his tree's affair. */
static void test_owner_fails(void **state) {
        World *w = world(state);
        int one, other;

        add(w, "/tmp/joe", S_IFDIR | 0750, JOE, NULL);
        add(w, "/tmp/joe/inner", S_IFDIR | 0750, JOE, NULL);
        may_chown(false);
        one = put(w);
        assert_true(one < 0);
        assert_non_null(strstr(err_text(one), "/tmp/joe"));
        add(w, "/tmp/root", S_IFDIR | 0750, 0, NULL);
        add(w, "/tmp/root/file", S_IFREG | 0600, 0, "x");
        other = put(w);
        may_chown(true);
        assert_int_equal(other, 0);
        expect(w, "tmp/root", S_IFDIR | 0750, 0, NULL);
        expect(w, "tmp/root/file", S_IFREG | 0600, 0, "x");
        assert_false(is_marked(w, "tmp/root"));

        /* The cause is gone, and it is tried again. */
        add(w, "/tmp/joe", S_IFDIR | 0750, JOE, NULL);
        add(w, "/tmp/joe/inner", S_IFDIR | 0750, JOE, NULL);
        assert_int_equal(put_back(w), 0);
        expect(w, "tmp/joe", S_IFDIR | 0750, JOE, NULL);
        expect(w, "tmp/joe/inner", S_IFDIR | 0750, JOE, NULL);
        assert_false(is_marked(w, "tmp/joe") || is_marked(w, "tmp/joe/inner"));
}

/* An access list of a directory is for what is made in it later, not for what was there. */
static void test_inherited(void **state) {
        static const uint8_t list[] = {2,    0,    0,    0,    1,    0,    7,    0,    0xff, 0xff, 0xff,
                                       0xff, 2,    0,    7,    0,    0xe9, 3,    0,    0,    4,    0,
                                       0,    0,    0xff, 0xff, 0xff, 0xff, 0x10, 0,    7,    0,    0xff,
                                       0xff, 0xff, 0xff, 0x20, 0,    0,    0,    0xff, 0xff, 0xff, 0xff};
        World *w = world(state);
        char full[PATH_MAX];

        full_path(w, "tmp", full);
        if (setxattr(full, "system.posix_acl_default", list, sizeof list, 0) < 0)
                skip();
        add(w, "/tmp/secret", S_IFREG | 0660, JOE, "x");
        add(w, "/tmp/dir", S_IFDIR | 0770, JOE, NULL);
        add(w, "/tmp/fifo", S_IFIFO | 0660, JOE, NULL);
        assert_int_equal(put_back(w), 0);
        full_path(w, "tmp/secret", full);
        assert_int_equal(getxattr(full, "system.posix_acl_access", NULL, 0), -1);
        full_path(w, "tmp/fifo", full);
        assert_int_equal(getxattr(full, "system.posix_acl_access", NULL, 0), -1);
        full_path(w, "tmp/dir", full);
        assert_int_equal(getxattr(full, "system.posix_acl_access", NULL, 0), -1);
        assert_int_equal(getxattr(full, "system.posix_acl_default", NULL, 0), -1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_put_back, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_links_in_the_way, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_taken, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_half, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_runtime_directory, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_many_directories, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_owner_fails, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_inherited, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

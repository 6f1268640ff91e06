/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a user does to the names of his files while CRIU restores them as root. Below a directory of the
 * test's own, whose way is root's. */

#include "hooks/criu-paths.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* The object itself, not its library: nothing of it may be left to libc. */
#include "hooks/criu-paths.c"

#define JOE 1000

typedef struct World {
        char path[64]; /* root's; holds "victim", "own" (joe's, with "file") and "link", joe's, to ".." */
        char buffer[256];
} World;

static const char *in(World *w, const char *name) {
        snprintf(w->buffer, sizeof w->buffer, "%s/%s", w->path, name);
        return w->buffer;
}

static void make(World *w, const char *name, uid_t uid) {
        int fd = open(in(w, name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fchown(fd, uid, uid), 0);
        fd_close(fd);
}

static void make_link(World *w, const char *target, const char *name, uid_t uid) {
        assert_int_equal(symlink(target, in(w, name)), 0);
        assert_int_equal(lchown(in(w, name), uid, uid), 0);
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
        make(w, "victim", 0);
        assert_int_equal(mkdir(in(w, "own"), 0755), 0);
        assert_int_equal(chown(in(w, "own"), JOE, JOE), 0);
        make(w, "own/file", JOE);
        make_link(w, "..", "own/up", JOE);
        make_link(w, "../victim", "own/last", JOE);
        make_link(w, "own", "roots", 0);
        *state = w;
        return 0;
}

static int teardown(void **state) {
        World *w = *state;

        if (w)
                assert_int_equal(remove_tree(AT_FDCWD, w->path), 0);
        free(w);
        return 0;
}

static World *world(void **state) {
        if (!*state)
                skip();
        return *state;
}

static uid_t owner(World *w, const char *name) {
        struct stat st;

        assert_int_equal(lstat(in(w, name), &st), 0);
        return st.st_uid;
}

static bool is_there(World *w, const char *name) {
        return faccessat(AT_FDCWD, in(w, name), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void opens(int dir, const char *name, int error) {
        int fd = paths_open(dir, name, O_RDONLY | O_CLOEXEC, 0);

        if (error)
                assert_int_equal(errno, error);
        assert_int_equal(fd >= 0, error == 0);
        fd_close(fd);
}

static void test_open(void **state) {
        World *w = world(state);
        _cleanup_(closep) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        opens(AT_FDCWD, in(w, "own/file"), 0);
        opens(root, in(w, "own/file") + 1, 0);
        opens(AT_FDCWD, in(w, "roots/file"), 0);
        opens(AT_FDCWD, in(w, "own/last"), ELOOP);
        opens(AT_FDCWD, in(w, "own/up/victim"), ELOOP);
        opens(root, in(w, "own/up/victim") + 1, ELOOP);
        opens(AT_FDCWD, in(w, "own/file/x"), ENOTDIR);
        opens(AT_FDCWD, in(w, "none/x"), ENOENT);
        opens(AT_FDCWD, "/proc/self/root/etc", 0); /* CRIU's own affair */
        opens(AT_FDCWD, "/", 0);

        /* A link of root's that lies with joe may be joe's in the next moment. */
        make_link(w, "..", "own/roots", 0);
        opens(AT_FDCWD, in(w, "own/roots/victim"), ELOOP);
        make_link(w, "round", "round", 0);
        opens(AT_FDCWD, in(w, "round/x"), ELOOP);
}

static void test_change_names(void **state) {
        World *w = world(state);
        char other[256];

        snprintf(other, sizeof other, "%s/own/second", w->path);
        assert_int_equal(paths_link(AT_FDCWD, in(w, "own/file"), AT_FDCWD, other, 0), 0);
        assert_int_equal(paths_rename(other, in(w, "own/third")), 0);
        assert_int_equal(paths_unlink(AT_FDCWD, in(w, "own/third"), 0), 0);
        assert_false(is_there(w, "own/third"));

        snprintf(other, sizeof other, "%s/own/up/planted", w->path);
        assert_int_equal(paths_link(AT_FDCWD, in(w, "own/file"), AT_FDCWD, other, 0), -1);
        assert_int_equal(errno, ELOOP);
        assert_int_equal(paths_rename(in(w, "own/file"), other), -1);
        assert_int_equal(paths_mkdir(AT_FDCWD, other, 0777), -1);
        assert_int_equal(paths_mknod(other, S_IFIFO | 0666, 0), -1);
        assert_int_equal(paths_symlink("x", other), -1);
        assert_int_equal(paths_open(AT_FDCWD, other, O_WRONLY | O_CREAT | O_EXCL, 0666), -1);
        assert_int_equal(paths_unlink(AT_FDCWD, in(w, "own/up/victim"), 0), -1);
        assert_false(is_there(w, "planted"));
        assert_true(is_there(w, "victim"));
}

static int owned(World *w, const char *name) {
        return paths_chown(AT_FDCWD, in(w, name), JOE, JOE, 0);
}

static void test_owner_of_what_was_made(void **state) {
        World *w = world(state);
        char other[256];
        struct stat st;

        assert_int_equal(owned(w, "victim"), -1);
        assert_int_equal(errno, EPERM);
        fd_close(paths_open(AT_FDCWD, in(w, "own/ghost"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        assert_int_equal(owned(w, "own/ghost"), 0);
        assert_int_equal(paths_chmod(AT_FDCWD, in(w, "own/ghost"), 04755, 0), 0);
        assert_int_equal(stat(in(w, "own/ghost"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 04755);
        assert_int_equal(owner(w, "own/ghost"), JOE);

        /* The race: between the making and the giving, joe puts something of root's in its place. */
        fd_close(paths_open(AT_FDCWD, in(w, "own/race"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        snprintf(other, sizeof other, "%s/own/away", w->path);
        assert_int_equal(rename(in(w, "own/race"), other), 0);
        make_link(w, "../victim", "own/race", JOE);
        assert_int_equal(owned(w, "own/race"), -1);
        assert_int_equal(paths_chmod(AT_FDCWD, in(w, "own/race"), 04777, 0), -1);
        make(w, "own/secret", 0); /* root's, but joe may give it another name */
        snprintf(other, sizeof other, "%s/own/secret", w->path);
        assert_int_equal(rename(other, in(w, "own/race")), 0);
        assert_int_equal(owned(w, "own/race"), -1);
        assert_int_equal(owner(w, "own/race"), 0);
        assert_int_equal(owner(w, "victim"), 0);

        assert_int_equal(paths_mkdir(AT_FDCWD, in(w, "own/made"), 0700), 0);
        assert_int_equal(owned(w, "own/made"), 0);
        assert_int_equal(paths_mkdir(AT_FDCWD, in(w, "own/race"), 0700), -1); /* there already */
        assert_int_equal(owned(w, "own/race"), -1);
        assert_int_equal(paths_mknod(in(w, "own/fifo"), S_IFIFO | 0600, 0), 0);
        assert_int_equal(owned(w, "own/fifo"), 0);
}

static socklen_t address(struct sockaddr_un *sa, const char *path) {
        *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
        strcpy(sa->sun_path, path);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static void test_sockets(void **state) {
        World *w = world(state);
        _cleanup_(closep) int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                              client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un sa;
        socklen_t size = address(&sa, in(w, "own/up/socket"));

        assert_int_equal(paths_bind(server, (struct sockaddr *)&sa, size), -1);
        assert_int_equal(errno, ELOOP);
        assert_false(is_there(w, "socket"));
        size = address(&sa, in(w, "roots/socket")); /* as by /var/run */
        assert_int_equal(paths_bind(server, (struct sockaddr *)&sa, size), 0);
        assert_int_equal(owned(w, "own/socket"), 0);
        assert_int_equal(listen(server, 1), 0);

        make_link(w, "socket", "own/other", JOE);
        size = address(&sa, in(w, "own/other"));
        assert_int_equal(paths_connect(client, (struct sockaddr *)&sa, size), -1);
        size = address(&sa, in(w, "own/socket"));
        assert_int_equal(paths_connect(client, (struct sockaddr *)&sa, size), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_open, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_change_names, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_owner_of_what_was_made, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_sockets, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

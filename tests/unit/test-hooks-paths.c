/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a user does to the names of his files while CRIU restores them as root: below a directory of the
 * test's own, whose way is root's alone, in /dev/shm, and by names that begin where no user's files are. */

#include "hooks/criu-paths.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* The objects themselves, not their library: nothing of it may be left to libc. */
#include "hooks/criu-paths.c"
#include "hooks/criu-walk.c"

#define JOE 1000

typedef struct World {
        bool shared;   /* others may make names above it */
        char path[80]; /* root's; holds "victim", "own" (joe's, with "file") and "link", joe's, to ".." */
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

static int setup_in(void **state, const char *before, const char *base, bool shared) {
        World *w = calloc(1, sizeof *w);

        if (geteuid() != 0) { /* other people's files can be made by root only */
                free(w);
                *state = NULL;
                return 0;
        }
        w->shared = shared;
        snprintf(w->path, sizeof w->path, "%s%s/carryover-test-XXXXXX", before, base);
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

static int setup(void **state) {
        return setup_in(state, "", "/run", false);
}

static int setup_shm(void **state) {
        return setup_in(state, "", "/dev/shm", true);
}

static int setup_proc(void **state) {
        return setup_in(state, "/proc/..", "/run", false);
}

static int setup_dev(void **state) {
        return setup_in(state, "/dev/../sys/..", "/dev/shm", true);
}

static int teardown(void **state) {
        World *w = *state;

        if (w)
                assert_int_equal(file_remove_tree(AT_FDCWD, w->path), 0);
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
        opens(AT_FDCWD, in(w, "roots/file"), w->shared ? ELOOP : 0);
        opens(AT_FDCWD, in(w, "own/last"), ELOOP);
        opens(AT_FDCWD, in(w, "own/up/victim"), ELOOP);
        opens(root, in(w, "own/up/victim") + 1, ELOOP);
        opens(AT_FDCWD, in(w, "own/file/x"), ENOTDIR);
        opens(AT_FDCWD, in(w, "none/x"), ENOENT);
        opens(AT_FDCWD, in(w, "own/./../victim"), 0);
        opens(AT_FDCWD, in(w, "own/up/../victim"), ELOOP);
        opens(AT_FDCWD, "/", 0);
        make_link(w, "round", "round", 0);
        opens(AT_FDCWD, in(w, "round/x"), ELOOP);
}

/* CRIU's own, of what it holds itself; and what somebody else may make of such a name. */
static void test_kernels_names(void **state) {
        World *w = world(state);
        _cleanup_(closep) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
                              held = open(w->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        char link[FD_LINK_SIZE], below[64];

        opens(AT_FDCWD, fd_link(held, link), 0);
        opens(root, link + 1, ELOOP); /* as an image would have it */
        opens(AT_FDCWD, "/proc/self/status", 0);
        opens(root, "proc/self/status", 0);
        opens(AT_FDCWD, "/proc/mounts", 0);
        opens(AT_FDCWD, "/proc/self/ns/mnt", 0);
        opens(AT_FDCWD, "/dev/null", 0);
        opens(root, "dev/null", 0);
        opens(AT_FDCWD, "/dev/stdin", 0);
        snprintf(below, sizeof below, "%s/victim", link);
        opens(AT_FDCWD, below, ELOOP);
        assert_int_equal(paths_unlink(AT_FDCWD, below, 0), -1);
        assert_true(is_there(w, "victim"));
        opens(AT_FDCWD, "/proc/self/root/etc", ELOOP);
        opens(AT_FDCWD, "/proc/thread-self/cwd/etc", ELOOP);
        opens(AT_FDCWD, "/dev/fd/../root/etc", ELOOP);
        opens(held, "victim", 0);
        assert_int_equal(paths_chdir(link), 0);
        opens(AT_FDCWD, "victim", 0);
        assert_int_equal(paths_unlink(AT_FDCWD, "own/up/victim", 0), -1);
        assert_int_equal(errno, ELOOP);
        assert_int_equal(paths_chdir(in(w, "own/up")), -1);
        assert_int_equal(paths_chdir("/"), 0);
}

/* Links of root's, where somebody else may have put them. */
static void test_roots_links(void **state) {
        World *w = world(state);

        make_link(w, "..", "own/roots", 0); /* joe may give it another name */
        opens(AT_FDCWD, in(w, "own/roots/victim"), ELOOP);
        assert_int_equal(mkdir(in(w, "own/dir"), 0755), 0); /* and its directory */
        make_link(w, "../..", "own/dir/roots", 0);
        opens(AT_FDCWD, in(w, "own/dir/roots/victim"), ELOOP);
        opens(AT_FDCWD, in(w, "own/dir/../../roots/file"), ELOOP); /* not as long as it came by joe's */

        assert_int_equal(mkdir(in(w, "staff"), 0775), 0);
        assert_int_equal(chmod(in(w, "staff"), 0775), 0);
        make_link(w, "..", "staff/roots", 0); /* moved there out of joe's */
        opens(AT_FDCWD, in(w, "staff/roots/victim"), ELOOP);

        assert_int_equal(mkdir(in(w, "medium"), 0755), 0);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("medium", in(w, "medium"), "tmpfs", 0, "mode=0755") < 0)
                skip();
        make_link(w, "..", "medium/roots", 0); /* as the medium says */
        opens(AT_FDCWD, in(w, "medium/roots/victim"), ELOOP);
        assert_int_equal(umount(in(w, "medium")), 0);
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

static void test_dots(void **state) {
        static const char *const names[] = {"own/..", "own/.", "own/dir/../.."};
        World *w = world(state);
        char other[256];

        assert_int_equal(mkdir(in(w, "own/dir"), 0755), 0);
        snprintf(other, sizeof other, "%s/own/file", w->path);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                assert_int_equal(paths_unlink(AT_FDCWD, in(w, names[i]), AT_REMOVEDIR), -1);
                assert_int_equal(errno, EINVAL);
                assert_int_equal(paths_rename(in(w, names[i]), other), -1);
                assert_int_equal(paths_rename(other, in(w, names[i])), -1);
                assert_int_equal(paths_link(AT_FDCWD, other, AT_FDCWD, in(w, names[i]), 0), -1);
                assert_int_equal(paths_mknod(in(w, names[i]), S_IFIFO | 0600, 0), -1);
                assert_int_equal(paths_symlink("x", in(w, names[i])), -1);
                assert_int_equal(paths_mkdir(AT_FDCWD, in(w, names[i]), 0700), -1);
                assert_int_equal(errno, EEXIST);
                assert_int_equal(paths_chown(AT_FDCWD, in(w, names[i]), JOE, JOE, 0), -1);
                assert_int_equal(paths_chmod(AT_FDCWD, in(w, names[i]), 0777, 0), -1);
        }
        assert_int_equal(owner(w, "."), 0);
        assert_int_equal(paths_unlink(AT_FDCWD, in(w, "own/dir/../file"), 0), 0);
}

/* CRIU keeps a file without a name alive by another one beside it, as it saves. */
static void test_link_of_what_is_open(void **state) {
        World *w = world(state);
        _cleanup_(closep) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
                              fd = open(in(w, "own/file"), O_RDONLY | O_CLOEXEC);
        char name[256];

        snprintf(name, sizeof name, ".%s/own/link_remap.5", w->path);
        assert_int_equal(paths_link(fd, "", root, name, AT_EMPTY_PATH), 0);
        assert_true(is_there(w, "own/link_remap.5"));
        snprintf(name, sizeof name, ".%s/own/up/link_remap.5", w->path);
        assert_int_equal(paths_link(fd, "", root, name, AT_EMPTY_PATH), -1);
        assert_int_equal(errno, ELOOP);
        assert_false(is_there(w, "link_remap.5"));
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

static void test_times(void **state) {
        static const struct timespec times[2] = {{1, 0}, {1, 0}};
        World *w = world(state);
        struct stat st;

        assert_int_equal(paths_utimens(in(w, "own/up/victim"), times), -1);
        assert_int_equal(paths_utimens(in(w, "victim"), times), -1); /* not made here */
        assert_int_equal(errno, EPERM);
        assert_int_equal(paths_symlink("/nowhere", in(w, "own/ghost")), 0);
        assert_int_equal(paths_utimens(in(w, "own/ghost"), times), 0);
        assert_int_equal(lstat(in(w, "own/ghost"), &st), 0);
        assert_int_equal(st.st_mtim.tv_sec, 1);
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
        size = address(&sa, in(w, w->shared ? "own/socket" : "roots/socket")); /* as by /var/run */
        assert_int_equal(paths_bind(server, (struct sockaddr *)&sa, size), 0);
        assert_int_equal(owned(w, "own/socket"), 0);
        assert_int_equal(listen(server, 1), 0);

        make_link(w, "socket", "own/other", JOE);
        size = address(&sa, in(w, "own/other"));
        assert_int_equal(paths_connect(client, (struct sockaddr *)&sa, size), -1);
        size = address(&sa, in(w, "own/socket"));
        assert_int_equal(paths_connect(client, (struct sockaddr *)&sa, size), 0);
}

/* By a name of CRIU's own as it is while it restores, and by one that is relative. */
static void test_sockets_elsewhere(void **state) {
        World *w = world(state);
        _cleanup_(closep) int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                              held = open(w->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct sockaddr_un sa;
        char name[64];
        socklen_t size;

        snprintf(name, sizeof name, "/proc/self/fd/%d/planted", held);
        size = address(&sa, name);
        assert_int_equal(paths_bind(server, (struct sockaddr *)&sa, size), -1);
        assert_int_equal(errno, ELOOP);
        assert_int_equal(paths_chdir(w->path), 0);
        size = address(&sa, "/proc/self/cwd/planted");
        assert_int_equal(paths_bind(server, (struct sockaddr *)&sa, size), -1);
        size = address(&sa, "own/up/planted");
        assert_int_equal(paths_bind(server, (struct sockaddr *)&sa, size), -1);
        assert_int_equal(errno, ELOOP);
        assert_false(is_there(w, "planted"));
        size = address(&sa, "own/socket");
        assert_int_equal(paths_bind(server, (struct sockaddr *)&sa, size), 0);
        assert_int_equal(paths_chdir("/"), 0);
}

/* The race: joe changes the way behind the look, and the kernel goes by it. */
static void test_socket_led_away(void **state) {
        World *w = world(state);
        _cleanup_(closep) int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un sa;
        socklen_t size;
        Place place;

        if (ioctl(server, SIOCUNIXFILE, 0) < 0 && errno == EPERM)
                skip(); /* root, but without its rights */
        assert_int_equal(by_inode_place_open(AT_FDCWD, in(w, "own/planted"), &place), 0);
        size = address(&sa, in(w, "own/up/planted"));
        assert_int_equal(bind(server, (struct sockaddr *)&sa, size), 0);
        assert_true(is_there(w, "planted"));
        assert_int_equal(place_close(&place, note_socket(server, &place)), -1);
        assert_false(is_there(w, "planted"));
        assert_int_equal(owned(w, "own/planted"), -1);
}

#define WITH(test)                                                                                          \
        {#test, test, setup, teardown, NULL}, {#test " in /dev/shm", test, setup_shm, teardown, NULL},      \
                        {#test " by /proc", test, setup_proc, teardown, NULL}, {                            \
#test " by /dev", test, setup_dev, teardown, NULL                                           \
        }

int main(void) {
        const struct CMUnitTest tests[] = {
                        WITH(test_open),
                        WITH(test_change_names),
                        WITH(test_dots),
                        WITH(test_link_of_what_is_open),
                        WITH(test_owner_of_what_was_made),
                        WITH(test_times),
                        WITH(test_sockets),
                        WITH(test_sockets_elsewhere),
                        WITH(test_socket_led_away),
                        cmocka_unit_test_setup_teardown(test_kernels_names, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_roots_links, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

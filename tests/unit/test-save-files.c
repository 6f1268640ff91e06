/* SPDX-License-Identifier: GPL-2.0-or-later */

/* This process saves its own files, below /tmp and wherever memory is. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "files/pax.h"
#include "image/internal.h"
#include "proc/procfs.h"
#include "save/files.h"
#include "store/store.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct World {
        char path[64]; /* holds: images/ */
        int dir, images;
        PaxLimits limits;
        void (*meanwhile)(const struct World *w); /* between the look and the save; NULL: nothing */
        char text[4096]; /* what is in the archive, a line for each entry below path: type, name, content or
                            link */
} World;

static int setup(void **state) {
        World *w = calloc(1, sizeof *w);

        if (geteuid() != 0) { /* map_files is root's */
                free(w);
                *state = NULL;
                return 0;
        }
        strcpy(w->path, "/tmp/carryover-test-XXXXXX");
        assert_non_null(mkdtemp(w->path));
        w->limits = (PaxLimits){1 << 20, 1000};
        w->dir = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkdirat(w->dir, "images", 0700), 0);
        w->images = openat(w->dir, "images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = w;
        return 0;
}

static int teardown(void **state) {
        World *w = *state;

        if (!w)
                return 0;
        fd_close(w->images);
        fd_close(w->dir);
        assert_int_equal(chdir("/"), 0);
        assert_int_equal(file_remove_tree(AT_FDCWD, w->path), 0);
        free(w);
        return 0;
}

static World *world(void **state) {
        if (!*state)
                skip();
        return *state;
}

static int make(const World *w, const char *name, const char *content) {
        int fd = openat(w->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, content, strlen(content)), 0);
        return fd;
}

/* The executable, and whatever else of this process lies outside of its world, may be files in /tmp as well,
 * if the clone is there: none of the test's business. */
static void forget_the_clone(const World *w, Snapshot *s) {
        size_t self = 0;
        SnapProcess *p;

        while (s->processes[self].pid != getpid())
                self++;
        p = s->processes + self;
        for (size_t i = 0; i < p->n_maps; i++)
                if (!p->maps[i].path || !starts_with(p->maps[i].path, w->path))
                        p->maps[i].is_volatile = false;
        for (size_t i = 0; i < p->n_fds; i++)
                if (p->fds[i].kind != FD_UNIX &&
                    (!p->fds[i].target || !starts_with(p->fds[i].target, w->path)))
                        p->fds[i].is_volatile = false;
}

static int save(World *w) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        Tree tree = TREE__INIT;
        pid_t self = getpid();

        tree.root_pid = (uint32_t)self;
        assert_int_equal(snapshot_take(SNAP_FULL, &self, 1, &s), 0);
        forget_the_clone(w, s);
        if (w->meanwhile)
                w->meanwhile(w);
        (void)unlinkat(w->images, STORE_VOLATILE, 0);
        return files_save(s, &tree, &w->limits, w->images);
}

static char kind(mode_t mode) {
        return S_ISDIR(mode) ? 'd' : S_ISFIFO(mode) ? 'p' : '-';
}

static void describe(World *w, Pax *pax, const PaxEntry *e) {
        size_t l = strlen(w->text), own = strlen(w->path);
        char content[64] = "";

        if (!starts_with(e->path, w->path))
                return;
        if (S_ISREG(e->st.st_mode) && !e->link) {
                _cleanup_(closep) int fd = memfd_with("", "", 0);

                assert_int_equal(pax_unpack(pax, e, fd), 0);
                assert_true(pread(fd, content, sizeof content - 1, 0) >= 0);
        }
        snprintf(w->text + l, sizeof w->text - l, "%c%o %s %s\n", kind(e->st.st_mode), e->st.st_mode & 07777,
                 e->path + own, e->link ? e->link + own : content);
}

static void expect(World *w, const char *text) {
        _cleanup_(closep) int fd = openat(w->images, STORE_VOLATILE, O_RDONLY | O_CLOEXEC);
        _cleanup_(pax_freep) Pax *pax = NULL;
        PaxEntry e;
        int r;

        w->text[0] = '\0';
        assert_int_equal(pax_open(fd, &pax), 0);
        while ((r = pax_next(pax, &e)) == 0)
                describe(w, pax, &e);
        assert_int_equal(r, 1);
        assert_string_equal(w->text, text);
}

static void test_files(void **state) {
        World *w = world(state);
        _cleanup_(closep) int a = make(w, "a", "content of a"), dir = -1, in = -1, other = -1, fifo = -1,
                              gone = -1;
        char path[PATH_MAX];

        assert_true(a >= 0);
        assert_int_equal(mkdirat(w->dir, "a.dir", 01770), 0);
        assert_int_equal(fchmodat(w->dir, "a.dir", 01770, 0), 0);
        assert_int_equal(mkdirat(w->dir, "a.dir/cwd", 0700), 0);
        assert_int_equal(mkdirat(w->dir, "b", 0700), 0);
        dir = openat(w->dir, "a.dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        in = make(w, "a.dir/in", "inside");
        assert_int_equal(linkat(w->dir, "a.dir/in", w->dir, "in", 0), 0);
        other = openat(w->dir, "in", O_RDONLY | O_CLOEXEC);
        assert_int_equal(mkfifoat(w->dir, "fifo", 0620), 0);
        assert_int_equal(fchmodat(w->dir, "fifo", 0620, 0), 0);
        fifo = openat(w->dir, "fifo", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        gone = make(w, "b/gone", "CRIU's business");
        assert_int_equal(unlinkat(w->dir, "b/gone", 0), 0);
        snprintf(path, sizeof path, "%s/a.dir/cwd", w->path);
        assert_int_equal(chdir(path), 0);
        assert_int_equal(save(w), 0);
        expect(w, "d700  \n"
                  "-640 /a content of a\n"
                  "d1770 /a.dir \n"
                  "d700 /a.dir/cwd \n"
                  "-640 /a.dir/in inside\n"
                  "d700 /b \n"
                  "p620 /fifo \n"
                  "d700 /images \n"
                  "-640 /in /a.dir/in\n");
}

/* Mapped and closed; and a socket, which CRIU binds again if its directory is there. */
static void test_map_and_socket(void **state) {
        World *w = world(state);
        _cleanup_(closep) int fd = make(w, "map", "before"),
                              sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        char *map;

        assert_int_equal(mkdirat(w->dir, "sockets", 0700), 0);
        snprintf(sa.sun_path, sizeof sa.sun_path, "%s//sockets/../sockets/s", w->path);
        assert_int_equal(bind(sock, (struct sockaddr *)&sa, sizeof sa), 0);
        assert_int_equal(listen(sock, 1), 0);
        map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(map != MAP_FAILED);
        fd = fd_close(fd);
        memcpy(map, "after", 5);
        assert_int_equal(save(w), 0);
        expect(w, "d700  \nd700 /images \n-640 /map aftere\nd700 /sockets \n");
        munmap(map, 4096);
}

/* Its user made it larger after it was looked at; no byte of it may cost time. */
static void test_too_large(void **state) {
        World *w = world(state);
        _cleanup_(closep) int fd = make(w, "large", "x");

        assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
        assert_int_equal(save(w), -EDQUOT);
        assert_non_null(strstr(err_text(-EDQUOT), "/large"));
}

/* Directories cost as files do: two files here, a thousand names. */
static void test_many_directories(void **state) {
        World *w = world(state);
        _cleanup_(closep) int top = openat(w->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int fds[2];
        struct stat st;

        for (int i = 0; i < 2; i++) {
                int dir = fcntl(top, F_DUPFD_CLOEXEC, 0);

                for (int k = 0; k < 500; k++) {
                        int inner;

                        assert_int_equal(mkdirat(dir, i ? "a" : "b", 0700), 0);
                        inner = openat(dir, i ? "a" : "b", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                        fd_close(dir);
                        dir = inner;
                }
                fds[i] = openat(dir, "x", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                assert_true(fds[i] >= 0);
                fd_close(dir);
        }
        assert_int_equal(save(w), -EDQUOT);
        assert_int_equal(fstatat(w->images, STORE_VOLATILE, &st, 0), 0);
        assert_true(st.st_size < 1 << 20);

        w->limits = (PaxLimits){16 << 20, 1000};
        assert_int_equal(save(w), -E2BIG);
        w->limits.entries = 2000;
        assert_int_equal(save(w), 0);
        fd_close(fds[1]);
        fd_close(fds[0]);
}

static void test_lost_name(void **state) {
        World *w = world(state);
        _cleanup_(closep) int fd = make(w, "name", "x");

        assert_true(fd >= 0);
        assert_int_equal(linkat(w->dir, "name", w->dir, "other", 0), 0);
        assert_int_equal(unlinkat(w->dir, "name", 0), 0);
        assert_int_equal(save(w), -ESTALE);
        assert_non_null(strstr(err_text(-ESTALE), "/name"));
}

static void take_the_name(const World *w) {
        assert_int_equal(renameat(w->dir, "other", w->dir, "name"), 0);
}

/* CRIU would open the other file. */
static void test_taken_name(void **state) {
        World *w = world(state);
        _cleanup_(closep) int fd = make(w, "name", "x"), other = make(w, "other", "y");

        assert_true(fd >= 0 && other >= 0);
        w->meanwhile = take_the_name;
        assert_int_equal(save(w), -ESTALE);
        assert_non_null(strstr(err_text(-ESTALE), "/name"));
}

/* files.img with a descriptor of inotify that watches one path. */
static void put_watch(const World *w, const char *path, uint64_t ino) {
        _cleanup_(image_writer_done) ImageWriter writer = {0};
        ImgHandle handle = IMG_HANDLE__INIT;
        ImgWatch watch = IMG_WATCH__INIT, *watches[] = {&watch};
        ImgInotify inotify = IMG_INOTIFY__INIT;
        ImgFile file = IMG_FILE__INIT;

        handle.path = (char *)path;
        watch.f_handle = &handle;
        watch.i_ino = ino;
        inotify.n_wd = 1;
        inotify.wd = watches;
        file.ify = &inotify;
        assert_int_equal(image_put_head(&writer, IMAGE_FILES), 0);
        assert_int_equal(image_put_message(&writer, &file.base), 0);
        assert_int_equal(file_replace(w->images, "files.img", writer.data, writer.size), 0);
}

static uint64_t inode_of(const World *w, const char *name) {
        struct stat st;

        assert_int_equal(fstatat(w->dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
        return st.st_ino;
}

static const char *in(const World *w, const char *name, char path[static PATH_MAX]) {
        snprintf(path, PATH_MAX, "%s/%s", w->path, name);
        return path;
}

static void test_watched(void **state) {
        World *w = world(state);
        _cleanup_(closep) int file = -1;
        char path[PATH_MAX];

        assert_int_equal(mkdirat(w->dir, "in", 0751), 0);
        assert_int_equal(fchmodat(w->dir, "in", 0751, 0), 0);
        put_watch(w, in(w, "in", path), inode_of(w, "in"));
        assert_int_equal(save(w), 0);
        expect(w, "d700  \nd700 /images \nd751 /in \n");
        put_watch(w, in(w, "in", path), inode_of(w, "in") + 1);
        assert_int_equal(save(w), -ESTALE);
        put_watch(w, in(w, "gone", path), 1);
        assert_int_equal(save(w), -ESTALE);
        put_watch(w, "relative", 1);
        assert_int_equal(save(w), -EBADMSG);
        put_watch(w, "/proc", 1); /* that every boot has */
        assert_int_equal(save(w), 0);

        file = make(w, "in/file", "text");
        put_watch(w, in(w, "in/file", path), inode_of(w, "in/file"));
        assert_int_equal(save(w), 0);
        expect(w, "d700  \nd700 /images \nd751 /in \n-640 /in/file text\n");
        file = fd_close(file);
        assert_int_equal(save(w), -EPERM);
}

/* Whichever of those that are open it is. */
static void test_watched_among_many(void **state) {
        static const char *const names[] = {"e", "d", "c", "b", "a"};
        World *w = world(state);
        int files[ELEMENTS(names)];
        char path[PATH_MAX];

        for (size_t i = 0; i < ELEMENTS(names); i++)
                files[i] = make(w, names[i], "text");
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                put_watch(w, in(w, names[i], path), inode_of(w, names[i]));
                assert_int_equal(save(w), 0);
        }
        for (size_t i = 0; i < ELEMENTS(names); i++)
                close(files[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_map_and_socket, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_many_directories, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_lost_name, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_taken_name, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_watched, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_watched_among_many, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

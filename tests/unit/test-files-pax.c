/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What went into an archive comes out of it, and what others put there does not. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "files/pax.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB   (1 << 20)
#define BLOCK 10240 /* an archive is a multiple of it, with zeros at its end */

typedef struct World {
        int archive, file; /* file: on /dev/shm or wherever holes and attributes are */
        Pax *pax;
} World;

static int temporary(void) {
        int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        return fd >= 0 ? fd : open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int setup(void **state) {
        World *w = calloc(1, sizeof *w);

        w->archive = memfd_create("archive", MFD_CLOEXEC);
        w->file = temporary();
        assert_int_equal(pax_create(w->archive, &(PaxLimits){UINT64_MAX, UINT64_MAX}, &w->pax), 0);
        *state = w;
        return w->file < 0 ? -1 : 0;
}

static int teardown(void **state) {
        World *w = *state;

        (void)pax_free(w->pax);
        fd_close(w->archive);
        fd_close(w->file);
        free(w);
        return 0;
}

static PaxEntry file_entry(const World *w, const char *path) {
        PaxEntry e = {.path = path};

        assert_int_equal(fstat(w->file, &e.st), 0);
        e.st.st_mtim = (struct timespec){1234567890, 123456789};
        e.st.st_uid = 1000;
        e.st.st_gid = 3000000; /* more than octal digits of the old header hold */
        e.st.st_mode = S_IFREG | (e.st.st_mode & ALLPERMS);
        return e;
}

static void add(World *w, const PaxEntry *e) {
        assert_int_equal(pax_add(w->pax, e, w->file), 0);
}

static void read_back(World *w) {
        assert_int_equal(pax_finish(w->pax), 0);
        w->pax = pax_free(w->pax);
        assert_int_equal(lseek(w->archive, 0, SEEK_SET), 0);
        assert_int_equal(pax_open(w->archive, &w->pax), 0);
}

static void test_round_trip(void **state) {
        static const char name[] = "/tmp/\xff\xfe a\nb/\xc3\xa4";
        _cleanup_(closep) int out = temporary();
        World *w = *state;
        PaxEntry e, got;
        char text[6] = "";
        struct stat st;
        bool has_attributes;

        assert_int_equal(pwrite(w->file, "begin", 5, 0), 5);
        assert_int_equal(pwrite(w->file, "middle", 6, 20 * MIB), 6);
        assert_int_equal(ftruncate(w->file, 50 * MIB), 0);
        has_attributes = fsetxattr(w->file, "user.carryover", "a\0b", 3, 0) >= 0;
        assert_int_equal(fchmod(w->file, S_ISUID | 0640), 0);
        e = file_entry(w, name);
        add(w, &e);
        read_back(w);
        assert_true(lseek(w->archive, 0, SEEK_END) < MIB); /* the holes stayed out */
        assert_int_equal(lseek(w->archive, 0, SEEK_SET), 0);
        w->pax = pax_free(w->pax);
        assert_int_equal(pax_open(w->archive, &w->pax), 0);

        assert_int_equal(pax_next(w->pax, &got), 0);
        assert_string_equal(got.path, name);
        assert_null(got.link);
        assert_int_equal(got.st.st_mode, e.st.st_mode);
        assert_int_equal(got.st.st_uid, 1000);
        assert_int_equal(got.st.st_gid, 3000000);
        assert_int_equal(got.st.st_size, 50 * MIB);
        assert_int_equal(got.st.st_mtim.tv_sec, 1234567890);
        assert_int_equal(got.st.st_mtim.tv_nsec, 123456789);
        assert_int_equal(got.st.st_atim.tv_sec, e.st.st_atim.tv_sec);
        assert_int_equal(pax_unpack(w->pax, &got, out), 0);
        assert_int_equal(fstat(out, &st), 0);
        assert_int_equal(st.st_size, 50 * MIB);
        assert_true(st.st_blocks < 2 * MIB / 512);
        assert_int_equal(pread(out, text, 6, 20 * MIB), 6);
        assert_memory_equal(text, "middle", 6);
        assert_int_equal(pread(out, text, 5, 0), 5);
        assert_memory_equal(text, "begin", 5);
        if (has_attributes) {
                assert_int_equal(fgetxattr(out, "user.carryover", text, sizeof text), 3);
                assert_memory_equal(text, "a\0b", 3);
        }
        assert_int_equal(pax_next(w->pax, &got), 1);
}

/* Nothing but a hole, nothing at all, and no hole. */
static void test_sizes(void **state) {
        static const off_t sizes[] = {5 * MIB, 0, 3};
        static const char *const names[] = {"/a/hole", "/a/empty", "/a/abc"};
        World *w = *state;

        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                PaxEntry e;

                assert_int_equal(ftruncate(w->file, sizes[i]), 0);
                if (sizes[i] == 3)
                        assert_int_equal(pwrite(w->file, "abc", 3, 0), 3);
                e = file_entry(w, names[i]);
                add(w, &e);
        }
        read_back(w);
        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                _cleanup_(closep) int out = temporary();
                struct stat st;
                PaxEntry got;
                char text[3];

                assert_int_equal(pax_next(w->pax, &got), 0);
                assert_string_equal(got.path, names[i]);
                assert_int_equal(got.st.st_size, sizes[i]);
                assert_int_equal(pax_unpack(w->pax, &got, out), 0);
                assert_int_equal(fstat(out, &st), 0);
                assert_int_equal(st.st_size, sizes[i]);
                if (sizes[i] == 3) {
                        assert_int_equal(pread(out, text, 3, 0), 3);
                        assert_memory_equal(text, "abc", 3);
                } else
                        assert_int_equal(st.st_blocks, 0);
        }
        read_back(w);
}

static void test_kinds(void **state) {
        _cleanup_(closep) int dir = open("/tmp", O_PATH | O_CLOEXEC);
        World *w = *state;
        PaxEntry e = file_entry(w, "/run/dir"), got;

        e.st.st_mode = S_IFDIR | S_ISVTX | 0777;
        assert_int_equal(pax_add(w->pax, &e, dir), 0);
        e.path = "/run/fifo";
        e.st.st_mode = S_IFIFO | 0600;
        add(w, &e);
        e.path = "/run/link";
        e.link = "/run/file";
        e.st.st_mode = S_IFREG | 0600;
        e.st.st_size = 77; /* another name brings no content */
        add(w, &e);
        read_back(w);
        assert_int_equal(pax_next(w->pax, &got), 0);
        assert_string_equal(got.path, "/run/dir");
        assert_int_equal(got.st.st_mode, S_IFDIR | S_ISVTX | 0777);
        assert_int_equal(pax_next(w->pax, &got), 0);
        assert_true(S_ISFIFO(got.st.st_mode));
        assert_int_equal(pax_next(w->pax, &got), 0);
        assert_string_equal(got.path, "/run/link");
        assert_string_equal(got.link, "/run/file");
        assert_int_equal(pax_next(w->pax, &got), 1);
}

static void refused(const char *path, const char *link, mode_t mode, uid_t uid) {
        void *state = NULL;
        PaxEntry e, got;
        World *w;

        assert_int_equal(setup(&state), 0);
        w = state;
        e = file_entry(w, path);
        e.link = link;
        e.st.st_mode = mode;
        e.st.st_uid = uid;
        add(w, &e);
        read_back(w);
        if (pax_next(w->pax, &got) != -EBADMSG)
                fail_msg("%s of mode %o and %u was taken", path, (unsigned)mode, (unsigned)uid);
        teardown(&state);
}

static void test_hostile(void **state) {
        static const char *const paths[] = {"etc/shadow", "/tmp/../etc/shadow", "/..", "/tmp/./x",
                                            "//x",        "/tmp//x/file",       "./x", "/tmp/a/..",
                                            "/."};

        for (size_t i = 0; i < ELEMENTS(paths); i++) {
                refused(paths[i], NULL, S_IFREG | 0600, 0);
                refused("/tmp/x", paths[i], S_IFREG | 0600, 0);
        }
        refused("/tmp/x", NULL, S_IFCHR | 0600, 0);
        refused("/tmp/x", NULL, S_IFBLK | 0600, 0);
        refused("/tmp/x", NULL, S_IFLNK | 0600, 0);
        refused("/tmp/x", NULL, S_IFREG | 0600, UINT32_MAX);
}

static void test_cut_short(void **state) {
        static char content[65536];
        World *w = *state;
        PaxEntry e, got;
        off_t size;
        int r;

        assert_int_equal(pwrite(w->file, content, sizeof content, 4 * MIB), sizeof content);
        e = file_entry(w, "/tmp/x");
        add(w, &e);
        read_back(w);
        size = lseek(w->archive, 0, SEEK_END) - BLOCK;
        assert_true(size > BLOCK);
        for (off_t l = size; l > 0; l -= 512) {
                _cleanup_(closep) int out = temporary();

                w->pax = pax_free(w->pax);
                assert_int_equal(ftruncate(w->archive, l), 0);
                assert_int_equal(lseek(w->archive, 0, SEEK_SET), 0);
                r = pax_open(w->archive, &w->pax);
                if (r >= 0)
                        r = pax_next(w->pax, &got);
                if (r == 0)
                        r = pax_unpack(w->pax, &got, out);
                assert_int_equal(r, -EBADMSG);
        }
        w->pax = pax_free(w->pax);
        assert_int_equal(lseek(w->archive, 0, SEEK_SET), 0);
        assert_int_equal(ftruncate(w->archive, 0), 0);
        for (int i = 0; i < 1000; i++)
                assert_int_equal(write(w->archive, "this is no archive", 18), 18);
        assert_int_equal(lseek(w->archive, 0, SEEK_SET), 0);
        r = pax_open(w->archive, &w->pax);
        assert_true((r < 0 ? r : pax_next(w->pax, &got)) < 0);
}

/* Instead of the one that setup() has begun. */
static void begin(World *w, PaxLimits limits) {
        w->pax = pax_free(w->pax);
        assert_int_equal(ftruncate(w->archive, 0), 0);
        assert_int_equal(lseek(w->archive, 0, SEEK_SET), 0);
        assert_int_equal(pax_create(w->archive, &limits, &w->pax), 0);
}

static int add_bytes(World *w, PaxEntry *e, off_t size) {
        begin(w, (PaxLimits){6000, 2});
        assert_int_equal(ftruncate(w->file, size), 0);
        e->st.st_size = size;
        return pax_add(w->pax, e, w->file);
}

/* Whatever an entry consists of counts, and what was counted covers what is written. */
static void test_limits(void **state) {
        _cleanup_(closep) int dir = open("/tmp", O_PATH | O_CLOEXEC);
        char name[PATH_MAX] = "", link[FD_LINK_SIZE], value[2000] = "";
        World *w = *state;
        PaxEntry e;
        int n = 0, r;

        while (strlen(name) < 3000)
                strcat(name, "/long-name");
        e = file_entry(w, name);
        e.st.st_mode = S_IFDIR | 0700;
        begin(w, (PaxLimits){100000, 1000});
        while ((r = pax_add(w->pax, &e, dir)) == 0)
                n++;
        assert_int_equal(r, -EDQUOT);
        assert_true(n > 5);
        assert_int_equal(pax_finish(w->pax), 0);
        assert_true(lseek(w->archive, 0, SEEK_END) < 100000 + BLOCK);

        e = file_entry(w, "/tmp/x");
        assert_int_equal(add_bytes(w, &e, 3000), -EDQUOT);
        assert_int_equal(add_bytes(w, &e, 2000), 0);
        if (setxattr(fd_link(w->file, link), "trusted.x", value, sizeof value, 0) >= 0)
                assert_int_equal(add_bytes(w, &e, 2000), -EDQUOT);
}

/* The kernel takes the bit off whoever writes; a process with that right may leave it. */
static void test_changed_meanwhile(void **state) {
        static const mode_t bits[] = {S_ISUID | 0700, S_ISGID | 0710};
        World *w = *state;
        PaxEntry e;

        for (size_t i = 0; i < ELEMENTS(bits); i++) {
                assert_int_equal(fchmod(w->file, bits[i]), 0);
                e = file_entry(w, "/tmp/x");
                assert_int_equal(pax_add(w->pax, &e, w->file), 0);
                assert_int_equal(fchmod(w->file, bits[i] & 0777), 0);
                assert_int_equal(pax_add(w->pax, &e, w->file), -EAGAIN);
                assert_int_equal(fchmod(w->file, bits[i]), 0);
                e.st.st_ctim.tv_nsec ^= 1; /* its mode alone is the same again */
                assert_int_equal(pax_add(w->pax, &e, w->file), -EAGAIN);
        }
        assert_int_equal(fchmod(w->file, 0600), 0);
        e = file_entry(w, "/tmp/x");
        e.st.st_ctim.tv_sec--; /* a log that another process writes to */
        assert_int_equal(pax_add(w->pax, &e, w->file), 0);
}

#define CAPABILITY "security.capability"
#define AS_LONG    "user.carryover-test"

static int has_attribute(int fd, const char *name) {
        char link[FD_LINK_SIZE];

        return getxattr(fd_link(fd, link), name, NULL, 0) >= 0;
}

/* Neither into an archive, nor out of one that somebody else has written. */
static void test_capabilities(void **state) {
        static const uint8_t value[20] = {1, 0, 0, 2, 0, 4}; /* cap_net_bind_service, effective */
        _cleanup_(closep) int out = temporary();
        static char bytes[16384];
        World *w = *state;
        PaxEntry e, got;
        ssize_t n;
        char *at;

        if (fsetxattr(w->file, CAPABILITY, value, sizeof value, 0) < 0 ||
            fsetxattr(w->file, AS_LONG, value, sizeof value, 0) < 0)
                skip();
        e = file_entry(w, "/tmp/x");
        add(w, &e);
        read_back(w);
        n = pread(w->archive, bytes, sizeof bytes, 0);
        assert_true(n > 0);
        assert_null(memmem(bytes, (size_t)n, CAPABILITY, strlen(CAPABILITY)));
        at = memmem(bytes, (size_t)n, AS_LONG, strlen(AS_LONG));
        assert_non_null(at);
        assert_int_equal(pwrite(w->archive, CAPABILITY, strlen(CAPABILITY), at - bytes), strlen(CAPABILITY));
        w->pax = pax_free(w->pax);
        assert_int_equal(lseek(w->archive, 0, SEEK_SET), 0);
        assert_int_equal(pax_open(w->archive, &w->pax), 0);
        assert_int_equal(pax_next(w->pax, &got), 0);
        assert_int_equal(pax_unpack(w->pax, &got, out), 0);
        assert_false(has_attribute(out, CAPABILITY));
}

/* One header, again and again. */
static pid_t write_many(int fd, const char header[static 512], size_t n) {
        pid_t child = fork();

        if (child == 0) {
                int r = 0;

                for (size_t i = 0; r >= 0 && i < n; i++)
                        r = fd_write_all(fd, header, 512);
                _exit(r < 0);
        }
        return child;
}

static void test_too_many(void **state) {
        _cleanup_(closep) int dir = open("/tmp", O_PATH | O_CLOEXEC), from = -1;
        World *w = *state;
        char header[512];
        PaxEntry e, got;
        int r, pipe_fds[2];
        pid_t child;

        begin(w, (PaxLimits){UINT64_MAX, 1});
        e = file_entry(w, "/tmp/x");
        e.st.st_mode = S_IFDIR | 0700;
        assert_int_equal(pax_add(w->pax, &e, dir), 0);
        assert_int_equal(pax_add(w->pax, &e, dir), -E2BIG);

        /* As somebody else wrote it. */
        assert_int_equal(pax_finish(w->pax), 0);
        w->pax = pax_free(w->pax);
        assert_int_equal(pread(w->archive, header, sizeof header, 1024), sizeof header); /* behind pax's */
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        from = pipe_fds[0];
        child = write_many(pipe_fds[1], header, PAX_ENTRIES_MAX + 1);
        assert_true(child > 0);
        fd_close(pipe_fds[1]);
        assert_int_equal(pax_open(from, &w->pax), 0);
        for (size_t i = 0; i < PAX_ENTRIES_MAX; i++)
                assert_int_equal(pax_next(w->pax, &got), 0);
        r = pax_next(w->pax, &got);
        assert_int_equal(r, -EBADMSG);
        assert_non_null(strstr(err_text(r), "more entries than"));
        from = fd_close(from);
        assert_int_equal(waitpid(child, NULL, 0), child);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
                        cmocka_unit_test(test_hostile),
                        cmocka_unit_test_setup_teardown(test_cut_short, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_changed_meanwhile, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_capabilities, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

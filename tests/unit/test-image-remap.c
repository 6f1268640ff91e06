/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Images that speak of files in a directory of the test's own, and what is made and removed there. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "image/internal.h"
#include "image/remap.h"

#include "criu-image.pb-c.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LINKED 0
#define GHOST  1

static char top[] = "/tmp/carryover-test-XXXXXX";
static int dir = -1;
static ImageWriter files, remaps_image;

static int set_up(void **state) {
        (void)state;
        memcpy(strrchr(top, '-') + 1, "XXXXXX", 6);
        if (!mkdtemp(top) || (dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
                return -1;
        return image_put_head(&files, IMAGE_FILES) | image_put_head(&remaps_image, IMAGE_REMAP_FPATH);
}

static int tear_down(void **state) {
        (void)state;
        image_writer_done(&files);
        image_writer_done(&remaps_image);
        files = remaps_image = (ImageWriter){0};
        dir = fd_close(dir);
        return file_remove_tree(AT_FDCWD, top);
}

static void add_file(uint32_t id, const char *name) {
        ImgFile file = IMG_FILE__INIT;
        ImgRegFile reg = IMG_REG_FILE__INIT;
        char path[320];

        snprintf(path, sizeof path, "%s/%s", top, name);
        reg.id = file.id = id;
        reg.name = path;
        file.type = 1;
        file.reg = &reg;
        assert_int_equal(image_put_message(&files, &file.base), 0);
}

static void add_remap(uint32_t id, uint32_t target, uint32_t type) {
        ImgRemap remap = IMG_REMAP__INIT;

        remap.orig_id = id;
        remap.remap_id = target;
        remap.has_remap_type = true;
        remap.remap_type = type;
        assert_int_equal(image_put_message(&remaps_image, &remap.base), 0);
}

static void add_ghost(uint32_t id, mode_t mode) {
        _cleanup_(image_writer_done) ImageWriter writer = {0};
        ImgGhost ghost = IMG_GHOST__INIT;
        char name[40];

        ghost.mode = mode;
        snprintf(name, sizeof name, "ghost-file-%x.img", id);
        assert_int_equal(image_put_head(&writer, IMAGE_GHOST_FILE), 0);
        assert_int_equal(image_put_message(&writer, &ghost.base), 0);
        assert_int_equal(file_replace(dir, name, writer.data, writer.size), 0);
}

static int load(Remaps *ret) {
        assert_int_equal(file_replace(dir, "files.img", files.data, files.size), 0);
        assert_int_equal(file_replace(dir, "remap-fpath.img", remaps_image.data, remaps_image.size), 0);
        return remaps_load(dir, ret);
}

/* As old as what comes from images, or made just now. */
static void touch(const char *name, bool old) {
        _cleanup_(closep) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        const struct timespec times[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

        assert_true(fd >= 0);
        if (old)
                assert_int_equal(futimens(fd, times), 0);
}

static void name_also(const char *name, const char *other) {
        assert_int_equal(linkat(dir, name, dir, other, 0), 0);
}

static bool is_there(const char *name) {
        struct stat st;

        return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_none(void **state) {
        _cleanup_(remaps_done) Remaps remaps = {0};

        assert_int_equal(remaps_load(dir, &remaps), 0);
        assert_int_equal(remaps.n, 0);
}

/* A dump leaves a link, and a restore that failed its short-lived second name. */
static void test_linked(void **state) {
        _cleanup_(remaps_done) Remaps remaps = {0};

        add_file(2, "prog");
        add_file(3, "link_remap.3");
        add_remap(2, 3, LINKED);
        touch("kept", true);
        touch("prog", true); /* another one */
        name_also("kept", "link_remap.3");
        assert_int_equal(load(&remaps), 0);
        assert_int_equal(remaps.n, 1);
        assert_int_equal(remaps_check(&remaps), 0);
        name_also("kept", "prog.cr_link");
        remaps_sweep(&remaps, true);
        assert_true(is_there("kept") && is_there("prog") && is_there("link_remap.3"));
        assert_false(is_there("prog.cr_link"));
        remaps_sweep_images(dir, true); /* a retry needs it */
        assert_true(is_there("link_remap.3"));
        remaps_sweep_images(dir, false);
        assert_true(is_there("kept") && is_there("prog"));
        assert_false(is_there("link_remap.3"));
}

static void test_last_name(void **state) {
        Remaps remaps;

        add_file(2, "prog");
        add_file(3, "link_remap.3");
        add_remap(2, 3, LINKED);
        touch("link_remap.3", true);
        assert_int_equal(load(&remaps), 0);
        remaps_done(&remaps);
        remaps_sweep_images(dir, false);
        assert_true(is_there("link_remap.3"));
}

static RemapPlaces places(void) {
        _cleanup_(remaps_done) Remaps remaps = {0};
        RemapPlaces ret;

        assert_int_equal(load(&remaps), 0);
        remaps_places(&remaps, &ret);
        return ret;
}

/* Each directory once, whatever name leads there. */
static void test_places(void **state) {
        _cleanup_(remap_places_done) RemapPlaces one = {0}, two = {0};
        struct stat st;

        assert_int_equal(mkdirat(dir, "a", 0700) | mkdirat(dir, "b", 0700), 0);
        add_file(2, "a/lib");
        add_remap(2, 0x1f, GHOST);
        add_ghost(0x1f, S_IFREG | 0755);
        add_file(3, "a/prog");
        add_file(4, "a/link_remap.4");
        add_remap(3, 4, LINKED);
        one = places();
        assert_int_equal(fstatat(dir, "a", &st, 0), 0);
        assert_int_equal(one.n, 1);
        assert_int_equal(one.inodes[0], st.st_ino);
        assert_false(one.anywhere);
        add_file(5, "b/prog");
        add_file(6, "b/link_remap.6");
        add_remap(5, 6, LINKED);
        two = places();
        assert_int_equal(two.n, 2);
        assert_true(two.inodes[0] < two.inodes[1] && !two.anywhere);
        assert_true(remap_places_meet(&one, &two) && remap_places_meet(&two, &one));
        assert_int_equal(fstatat(dir, "b", &st, 0), 0);
        assert_false(remap_places_meet(&one, &(RemapPlaces){.inodes = &st.st_ino, .n = 1}));
        assert_false(remap_places_meet(&(RemapPlaces){.inodes = &st.st_ino, .n = 1}, &one));
}

/* What cannot be looked at, and a directory that has to be made, may be anywhere. */
static void test_anywhere(void **state) {
        _cleanup_(remap_places_done) RemapPlaces gone = {0}, linked = {0}, made = {0}, none = {0};

        add_file(2, "gone/prog");
        add_file(3, "gone/link_remap.3");
        add_remap(2, 3, LINKED);
        gone = places();
        assert_true(gone.anywhere);
        assert_true(remap_places_meet(&gone, &none) && remap_places_meet(&none, &gone));
        assert_int_equal(symlinkat("/", dir, "gone"), 0);
        linked = places();
        assert_true(linked.anywhere);
        assert_int_equal(unlinkat(dir, "gone", 0) | mkdirat(dir, "gone", 0700), 0);
        add_file(4, "directory");
        add_remap(4, 0x20, GHOST);
        add_ghost(0x20, S_IFDIR | 0755);
        made = places();
        assert_true(made.anywhere);
}

/* CRIU was killed, or took the ghost away itself. */
static void test_ghost(void **state) {
        _cleanup_(remaps_done) Remaps remaps = {0};

        add_file(2, "lib");
        add_remap(2, 0x1f, GHOST);
        add_file(3, "old");
        add_remap(3, 0x20, GHOST);
        add_ghost(0x1f, S_IFREG | 0755);
        add_ghost(0x20, S_IFREG | 0755);
        touch("lib", true); /* the new one */
        assert_int_equal(load(&remaps), 0);
        assert_int_equal(remaps_check(&remaps), 0);
        touch("lib.cr.1f.ghost", true);
        name_also("lib.cr.1f.ghost", "lib.cr_link");
        touch("old", true);
        remaps_sweep(&remaps, true);
        assert_true(is_there("lib"));
        assert_false(is_there("lib.cr.1f.ghost") || is_there("lib.cr_link") || is_there("old"));

        touch("lib.cr.1f.ghost", true);
        remaps_sweep_images(dir, true); /* no retry needs this */
        assert_false(is_there("lib.cr.1f.ghost"));
}

static char *name_now(uint32_t id) {
        _cleanup_(image_close) Image image = {0};

        assert_int_equal(image_open(dir, "files.img", &image), 0);
        assert_int_equal(image_expect(&image, IMAGE_FILES), 0);
        for (;;) {
                _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
                const ImgFile *file;

                assert_int_equal(image_next_message(&image, &img_file__descriptor, &message), 0);
                file = (const ImgFile *)message;
                if (file->id == id)
                        return strdup(strrchr(file->reg->name, '/') + 1);
        }
}

static void has_name(uint32_t id, const char *expected) {
        _cleanup_(freep) char *name = name_now(id);

        assert_string_equal(name, expected);
}

/* Only what has lost its name to somebody else gets another one. */
static void test_rename_taken(void **state) {
        _cleanup_(remaps_done) Remaps remaps = {0};
        char longest[256];

        memset(longest, 'x', 240);
        longest[240] = '\0';
        add_file(2, "lib");
        add_remap(2, 1, GHOST);
        add_file(3, "gone");
        add_remap(3, 2, GHOST);
        add_file(4, "lib"); /* the new one, in use as well */
        add_file(5, "directory");
        add_remap(5, 3, GHOST);
        add_file(6, longest);
        add_remap(6, 4, GHOST);
        for (uint32_t id = 1; id <= 4; id++)
                add_ghost(id, id == 3 ? S_IFDIR | 0755 : S_IFREG | 0755);
        touch("lib", true);
        touch("directory", true);
        touch(longest, true);
        assert_int_equal(load(&remaps), 0);
        assert_int_equal(remaps_rename_taken(dir), 2);
        assert_int_equal(remaps_rename_taken(dir), 0);
        has_name(2, "lib.cr_link");
        has_name(3, "gone");
        has_name(4, "lib");
        has_name(5, "directory");
        has_name(6, "6.cr_link");
        touch("lib.cr_link", true);
        assert_int_equal(remaps_rename_taken(dir), 1);
        has_name(2, "lib.cr_link.cr_link");
        strcpy(longest, "lib.cr_link");
        for (unsigned i = 0; i < 25; i++)
                touch(strcat(longest, ".cr_link"), true);
        assert_int_equal(remaps_rename_taken(dir), -EBUSY);
        assert_non_null(strstr(err_text(-EBUSY), "alternative name is in use"));
}

/* What was there before, or is new, is somebody else's. */
static void test_not_ours(void **state) {
        _cleanup_(remaps_done) Remaps remaps = {0};

        add_file(2, "a");
        add_remap(2, 1, GHOST);
        add_ghost(1, S_IFREG | 0755);
        add_file(3, "b");
        add_remap(3, 2, GHOST);
        add_ghost(2, S_IFREG | 0755);
        touch("a", true);
        touch("a.cr_link", true);
        assert_int_equal(load(&remaps), 0);
        assert_int_equal(remaps_check(&remaps), 0);
        touch("b", false);
        remaps_sweep(&remaps, true);
        assert_true(is_there("a") && is_there("a.cr_link") && is_there("b"));
}

static void test_no_links_followed(void **state) {
        _cleanup_(remaps_done) Remaps remaps = {0};

        assert_int_equal(mkdirat(dir, "real", 0700), 0);
        assert_int_equal(symlinkat("real", dir, "way"), 0);
        touch("real/lib.cr.1.ghost", true);
        add_file(2, "way/lib");
        add_remap(2, 1, GHOST);
        add_ghost(1, S_IFREG | 0755);
        assert_int_equal(load(&remaps), 0);
        remaps_sweep(&remaps, true);
        remaps_sweep_images(dir, false);
        assert_true(is_there("real/lib.cr.1.ghost"));
}

static void test_directory(void **state) {
        _cleanup_(remaps_done) Remaps remaps = {0};

        assert_int_equal(mkdirat(dir, "here", 0700), 0);
        add_file(2, "here/gone/below/it");
        add_remap(2, 1, GHOST);
        add_ghost(1, S_IFDIR | 0755);
        assert_int_equal(load(&remaps), 0);
        assert_int_equal(remaps_check(&remaps), 0);
        assert_int_equal(mkdirat(dir, "here/gone", 0700), 0); /* CRIU makes them, and removes the last */
        assert_int_equal(mkdirat(dir, "here/gone/below", 0700), 0);
        remaps_sweep(&remaps, true);
        assert_true(is_there("here"));
        assert_false(is_there("here/gone"));

        assert_int_equal(mkdirat(dir, "here/gone", 0700), 0);
        assert_int_equal(mkdirat(dir, "here/gone/below", 0700), 0);
        assert_int_equal(remaps_check(&remaps), 0);
        assert_int_equal(symlinkat("/", dir, "here/gone/below/it"), 0);
        assert_int_equal(remaps_check(&remaps), -EBUSY);
        assert_non_null(strstr(err_text(-EBUSY), "here/gone/below/it"));
}

static void test_hostile(void **state) {
        Remaps remaps = {0};

        add_file(2, "prog");
        add_file(3, "passwd");
        add_remap(2, 3, LINKED);
        assert_int_equal(load(&remaps), -EBADMSG);
        add_remap(9, 9, LINKED);
        assert_int_equal(load(&remaps), -EBADMSG);
        assert_int_equal(remaps.n, 0);
}

static void test_no_ghost(void **state) {
        Remaps remaps = {0};

        add_file(2, "prog");
        add_remap(2, 7, GHOST);
        assert_int_equal(load(&remaps), -ENOENT);
}

static void sweep_lost(const Tree *tree) {
        Sweep sweep = by_inode_sweep_begin();

        remaps_sweep_lost(tree, &sweep);
        assert_int_equal(by_inode_sweep_end(&sweep), 0);
}

/* Without images: what a save that was killed, or is thrown away, has left. */
static void test_lost(void **state) {
        char path[] = "/tmp/carryover-lost-XXXXXX";
        LostName lost = LOST_NAME__INIT, *list[] = {&lost};
        _cleanup_(freep) char *gone = NULL;
        _cleanup_(closep) int fd = -1;
        Traces traces = TRACES__INIT;
        Tree tree = TREE__INIT;
        struct stat st;

        assert_non_null(mkdtemp(path));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(mknodat(fd, "other", S_IFREG | 0600, 0), 0);
        assert_int_equal(linkat(fd, "other", fd, "link_remap.5", 0), 0);
        assert_int_equal(linkat(fd, "other", fd, "link_remap.x", 0), 0);
        assert_int_equal(mknodat(fd, "link_remap.6", S_IFREG | 0600, 0), 0);
        assert_int_equal(linkat(fd, "link_remap.6", fd, "another", 0), 0);
        assert_int_equal(fstatat(fd, "other", &st, 0), 0);
        gone = text_format("%s/gone", path);
        lost.path = gone;
        lost.inode = st.st_ino;
        traces.lost = list;
        traces.n_lost = 1;
        sweep_lost(&tree); /* an older save */
        tree.traces = &traces;
        sweep_lost(&tree);
        assert_int_equal(faccessat(fd, "link_remap.5", F_OK, 0), -1);
        assert_int_equal(faccessat(fd, "link_remap.x", F_OK, 0), 0);
        assert_int_equal(faccessat(fd, "link_remap.6", F_OK, 0), 0);
        assert_int_equal(unlinkat(fd, "link_remap.x", 0), 0);
        assert_int_equal(renameat(fd, "other", fd, "link_remap.7"), 0); /* the last one that it has */
        sweep_lost(&tree);
        assert_int_equal(faccessat(fd, "link_remap.7", F_OK, 0), 0);
        assert_int_equal(file_remove_tree(AT_FDCWD, path), 0);
}

#define CROWD 500u

/* CROWD files, each with a link of ours, in a directory; as a tree that has lost the names of all. */
static Tree *crowd(const char *name) {
        Tree *tree = model_new(Tree, tree__init);

        assert_int_equal(mkdirat(dir, name, 0700), 0);
        assert_non_null(tree);
        tree->traces = model_new(Traces, traces__init);
        assert_non_null(tree->traces);
        for (unsigned i = 0; i < CROWD; i++) {
                LostName *lost = model_new(LostName, lost_name__init);
                char other[40], link[60];
                struct stat st;

                snprintf(other, sizeof other, "%s/%u", name, i);
                snprintf(link, sizeof link, "%s/link_remap.%u", name, i);
                touch(other, false);
                name_also(other, link);
                assert_int_equal(fstatat(dir, other, &st, 0), 0);
                assert_non_null(lost);
                lost->inode = st.st_ino;
                lost->path = text_format("%s/%s/gone-%u", top, name, i);
                assert_non_null(lost->path);
                assert_int_equal(model_append(tree->traces->lost, tree->traces->n_lost, lost), 0);
        }
        return tree;
}

static unsigned links_in(const char *name) {
        unsigned n = 0;

        for (unsigned i = 0; i < CROWD; i++) {
                char link[60];

                snprintf(link, sizeof link, "%s/link_remap.%u", name, i);
                n += is_there(link);
        }
        return n;
}

/* However many files have lost their name in a directory, it is read once. */
static void test_lost_in_one_directory(void **state) {
        _cleanup_(tree_freep) Tree *tree = crowd("one");
        Sweep sweep = by_inode_sweep_begin();

        sweep.max_entries = 2 * CROWD + 2;
        remaps_sweep_lost(tree, &sweep);
        assert_int_equal(by_inode_sweep_end(&sweep), 0);
        assert_int_equal(links_in("one"), 0);
}

/* A tree has a number of entries, whatever one before it took; and all share the time. */
static void test_lost_in_a_crowd(void **state) {
        _cleanup_(tree_freep) Tree *first = crowd("first"), *second = crowd("second");
        Sweep sweep = by_inode_sweep_begin();
        unsigned left;

        sweep.max_entries = CROWD;
        remaps_sweep_lost(first, &sweep);
        left = links_in("first");
        assert_true(left >= CROWD / 4 && sweep.cut);
        assert_int_equal(by_inode_sweep_end(&sweep), -ETIMEDOUT);
        remaps_sweep_lost(second, &sweep);
        assert_true(links_in("second") < CROWD);
        sweep = by_inode_sweep_begin();
        sweep.usec = 0;
        remaps_sweep_lost(first, &sweep);
        assert_int_equal(links_in("first"), left);
        assert_true(sweep.cut);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_linked, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_last_name, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_anywhere, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_ghost, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_rename_taken, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_not_ours, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_no_links_followed, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_directory, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_no_ghost, set_up, tear_down),
                        cmocka_unit_test(test_lost),
                        cmocka_unit_test_setup_teardown(test_lost_in_one_directory, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_lost_in_a_crowd, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

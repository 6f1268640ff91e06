/* SPDX-License-Identifier: GPL-2.0-or-later */

/* image/: the images of a fake dump are in order, with nothing in them to correct. */

#include "image/image.h"
#include "image/cure.h"
#include "image/remap.h"
#include "tests/fakes/fake.h"

#include <stdlib.h>
#include <string.h>

int image_fix_tcp(int images_fd) {
        (void)images_fd;
        return fake_call("image_fix_tcp", "%s", "");
}

int image_fix_terminals(int images_fd) {
        (void)images_fd;
        return fake_call("image_fix_terminals", "%s", "");
}

int image_cure_calls(int images_fd, ImageRead read, void *userdata) {
        (void)userdata;
        (void)images_fd;
        (void)read;
        return fake_call("image_cure_calls", "%s", "");
}

int image_cure_timers(int images_fd, bool one_shots) {
        (void)images_fd;
        return fake_call("image_cure_timers", "%s", one_shots ? "one_shots" : "");
}

int image_cure_maps(int images_fd, ImageWiped wiped, void *userdata, uint64_t most) {
        (void)userdata;
        (void)images_fd;
        (void)most;
        return fake_call("image_cure_maps", "%s", wiped ? "wiped" : "");
}

int image_cure_offsets(int images_fd) {
        (void)images_fd;
        return fake_call("image_cure_offsets", "%s", "");
}

int image_cure_loopback(int images_fd) {
        (void)images_fd;
        return fake_call("image_cure_loopback", "%s", "");
}

int image_huge_pages(int images_fd, uint64_t ret[static IMAGE_HUGE_SIZES]) {
        (void)images_fd;
        memset(ret, 0, IMAGE_HUGE_SIZES * sizeof *ret);
        ret[0] = 2 << 20;
        ret[21] = 4 << 20;
        ret[30] = 1 << 30;
        return 0;
}

int image_watches(int images_fd, int (*each)(const char *path, uint64_t ino, void *userdata),
                  void *userdata) {
        (void)images_fd;
        (void)each;
        (void)userdata;
        return 0;
}

int image_verify(int images_fd) {
        (void)images_fd;
        return fake_call("image_verify", "%s", "");
}

int image_pids(int images_fd, uint32_t **ret, size_t *ret_n) {
        int r = fake_call("image_pids", "%s", "");

        (void)images_fd;
        *ret = NULL;
        *ret_n = 0;
        return r;
}

int image_processes(int images_fd, uint32_t **ret, size_t *ret_n) {
        uint32_t *list = NULL;
        size_t n = 0;
        int r = fake_call("image_processes", "%s", "");

        (void)images_fd;
        for (size_t i = 0; r >= 0 && i < fake->n_trees; i++)
                if (fake->trees[i].own > 0)
                        r = model_append(list, n, (uint32_t)fake->trees[i].own);
        *ret = list;
        *ret_n = n;
        return r;
}

int image_streams(int images_fd, PeerStream **ret, size_t *ret_n) {
        (void)images_fd;
        *ret = NULL;
        *ret_n = 0;
        return fake_call("image_streams", "%s", "");
}

int image_streams_note(int images_fd, Tree *tree) {
        (void)images_fd;
        return fake_call("image_streams_note", "%s", tree->name);
}

int image_streams_noted(const Tree *tree, PeerStream **ret, size_t *ret_n) {
        *ret = NULL;
        *ret_n = 0;
        return fake_call("image_streams_noted", "%s", tree->name);
}

int image_move_pty(int images_fd, uint32_t from, uint32_t to) {
        (void)images_fd;
        (void)to;
        return fake_call("image_move_pty", "%u", from);
}

int remaps_load(int images_fd, Remaps *ret) {
        (void)images_fd;
        *ret = (Remaps){0};
        return fake_call("remaps_load", "%s", "");
}

int remaps_rename_taken(int images_fd) {
        (void)images_fd;
        return fake_call("remaps_rename_taken", "%s", "");
}

int remaps_check(Remaps *remaps) {
        (void)remaps;
        return fake_call("remaps_check", "%s", "");
}

void remaps_sweep(const Remaps *remaps, bool failed) {
        (void)remaps;
        (void)fake_call("remaps_sweep", "%s", failed ? "failed" : "");
}

void remaps_sweep_images(int images_fd, bool again) {
        (void)images_fd;
        (void)fake_call("remaps_sweep_images", "%s", again ? "again" : "");
}

void remaps_sweep_lost(const Tree *tree, Sweep *sweep) {
        (void)sweep;
        (void)fake_call("remaps_sweep_lost", "%s", tree->name);
}

int image_terminals(int images_fd, ImageTerminal **ret, size_t *ret_n) {
        (void)images_fd;
        *ret = NULL;
        *ret_n = 0;
        return fake_call("image_terminals", "%s", "");
}

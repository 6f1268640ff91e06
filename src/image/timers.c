/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "image/cure.h"

#include "base/err.h"
#include "image/internal.h"

#include "criu-image.pb-c.h"

#include <errno.h>

#define FILE_TIMERFD 17u

/* 34 years. alarm(0) answers what is left in an unsigned int once it has rung, and programs take it for an
 * int. */
#define NEVER (UINT64_C(1) << 30)

static int ring_at_once(ProtobufCMessage *message, const void *userdata) {
        const ImgFile *file = (const ImgFile *)message;
        ImgTimerfd *t = file->tfd;

        (void)userdata;
        if (file->type != FILE_TIMERFD || !t || t->ticks == 0 || t->vsec || t->vnsec ||
            (!t->isec && !t->insec))
                return 0;
        t->vnsec = 1;
        return 1;
}

static int give_interval(ImgItimer *t) {
        if (t->isec || t->iusec || (!t->vsec && !t->vusec))
                return 0;
        t->isec = NEVER;
        return 1;
}

static int arm(ProtobufCMessage *message, const void *userdata) {
        const ImgCore *core = (const ImgCore *)message;
        ImgTimers *timers = core->tc ? core->tc->timers : NULL;

        (void)userdata;
        if (!timers)
                return 0;
        return give_interval(timers->real) | give_interval(timers->virt) | give_interval(timers->prof);
}

static int arm_file(int images_fd, const char *name, void *userdata) {
        int *cured = userdata;
        int r = image_rewrite(images_fd, name, IMAGE_CORE, &img_core__descriptor, arm, NULL);

        if (r < 0)
                return err_pass(r);
        *cured += r;
        return 0;
}

int image_cure_timers(int images_fd, bool one_shots) {
        int cured, r;

        cured = r = image_rewrite(images_fd, "files.img", IMAGE_FILES, &img_file__descriptor, ring_at_once,
                                  NULL);
        if (r == -ENOENT)
                return err_say(r, "the images have no files.img");
        if (r >= 0 && !one_shots)
                r = image_each(images_fd, "core-", ".img", arm_file, &cured);
        return r < 0 ? err_pass(r) : cured;
}

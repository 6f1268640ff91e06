/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Of a terminal that has been hung up the kernel tells no settings, so CRIU's image has none; but of one
 * that is external its restore wants them all. Nobody sees them: the descriptor that it is given is hung up
 * as soon as the restore is over. */

#include "image/cure.h"

#include "base/err.h"
#include "image/internal.h"

#include "criu-image.pb-c.h"

#include <errno.h>
#include <stdlib.h>

#define EXTERNAL_TTY 5u
#define N_CC         19u /* of the kernel's struct termios, and of CRIU's check */

static ImgTermios *no_settings(void) {
        ImgTermios *t = malloc(sizeof *t);

        if (!t)
                return NULL;
        img_termios__init(t);
        t->c_cc = calloc(N_CC, sizeof *t->c_cc);
        t->n_c_cc = t->c_cc ? N_CC : 0;
        return t;
}

static bool has_all(const ImgTermios *t) {
        return t && t->n_c_cc >= N_CC;
}

/* What is made goes with the message. */
static int give_settings(ProtobufCMessage *message, const void *userdata) {
        ImgTtyInfo *info = (ImgTtyInfo *)message;

        (void)userdata;
        if (info->type != EXTERNAL_TTY || info->termios || info->termios_locked || info->winsize)
                return 0;
        info->termios = no_settings();
        info->termios_locked = no_settings();
        info->winsize = malloc(sizeof *info->winsize);
        if (info->winsize)
                img_winsize__init(info->winsize);
        return has_all(info->termios) && has_all(info->termios_locked) && info->winsize ? 1 : -ENOMEM;
}

int image_cure_hung_up(int images_fd) {
        int r = image_rewrite(images_fd, "tty-info.img", IMAGE_TTY_INFO, &img_tty_info__descriptor,
                              give_settings, NULL);

        return r == -ENOENT ? 0 : err_pass(r); /* a tree without any terminal */
}

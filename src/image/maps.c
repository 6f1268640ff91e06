/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * CRIU saves some of the advice that a program gave the kernel about its memory, but before 4.2 not that a
 * child must not see it; and the last thing that its restore does with a mapping is all the advice that its
 * image has.
 *
 * CRIU maps what it fills writable, whatever it was, and with it what a child shares with its parent; before
 * 4.0 what lies below such memory, too. The kernel then wants room for all of it, and refuses at once what
 * exceeds memory and swap, unless it is told not to reserve any.
 */

#include "image/cure.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "image/internal.h"

#include "criu-image.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

typedef struct Cure {
        ImageRange *wiped;
        size_t n_wiped;
        uint64_t most; /* that is reserved at once */
} Cure;

static void cure_done(Cure *cure) {
        free(cure->wiped);
}

/* For anything else the kernel would refuse it, and the restore would fail. */
static bool can_be_wiped(const ImgVma *vma) {
        const uint32_t wanted = MAP_PRIVATE | MAP_ANONYMOUS;

        return (vma->flags & (MAP_SHARED | wanted)) == wanted;
}

static int mark_wiped(const ImgMm *mm, const Cure *cure) {
        int changed = 0;
        size_t at = 0;

        for (size_t i = 0; i < mm->n_vmas; i++) { /* both ascend */
                ImgVma *vma = mm->vmas[i];

                while (at < cure->n_wiped && cure->wiped[at].to <= vma->start)
                        at++;
                if (at == cure->n_wiped)
                        break;
                if (vma->start < cure->wiped[at].from || vma->end > cure->wiped[at].to ||
                    !can_be_wiped(vma) || (vma->madv & UINT64_C(1) << MADV_WIPEONFORK))
                        continue;
                vma->has_madv = true;
                vma->madv |= UINT64_C(1) << MADV_WIPEONFORK;
                changed = 1;
        }
        return changed;
}

/* Huge pages are not ordinary memory: without a reservation a program may get SIGBUS instead. */
static bool is_reserved(const ImgVma *vma, uint64_t most) {
        return !(vma->flags & (MAP_SHARED | MAP_HUGETLB | MAP_NORESERVE)) && vma->end > vma->start &&
               vma->end - vma->start > most;
}

static int mark(ProtobufCMessage *message, const void *userdata) {
        const ImgMm *mm = (const ImgMm *)message;
        const Cure *cure = userdata;
        int changed = mark_wiped(mm, cure);

        for (size_t i = 0; i < mm->n_vmas; i++) {
                if (!is_reserved(mm->vmas[i], cure->most))
                        continue;
                mm->vmas[i]->flags |= MAP_NORESERVE;
                changed = 1;
        }
        return changed;
}

typedef struct Walk {
        int images_fd;
        ImageWiped wiped;
        uint64_t most;
        void *userdata;
        int cured;
} Walk;

static int cure_process(const ProtobufCMessage *message, void *userdata) {
        const ImgPstree *p = (const ImgPstree *)message;
        Walk *walk = userdata;
        _cleanup_(cure_done) Cure cure = {.most = walk->most};
        char name[32];
        int r;

        snprintf(name, sizeof name, "mm-%" PRIu32 ".img", p->pid);
        r = walk->wiped ? walk->wiped((pid_t)p->pid, &cure.wiped, &cure.n_wiped, walk->userdata) : 0;
        if (r < 0)
                return err_pass(r);
        r = image_rewrite(walk->images_fd, name, IMAGE_MM, &img_mm__descriptor, mark, &cure);
        if (r == -ENOENT && cure.n_wiped == 0) /* a zombie has no memory */
                return 0;
        if (r == -ENOENT)
                return err_say(-ENODATA, "the images have no %s", name);
        if (r < 0)
                return err_pass(r);
        walk->cured += r;
        return 0;
}

int image_cure_maps(int images_fd, ImageWiped wiped, void *userdata, uint64_t most) {
        Walk walk = {.images_fd = images_fd, .wiped = wiped, .userdata = userdata, .most = most};
        int r;

        r = image_each_message(images_fd, "pstree.img", IMAGE_PSTREE, &img_pstree__descriptor, cure_process,
                               &walk);
        if (r == -ENOENT)
                return err_say(r, "the images have no pstree.img");
        return r < 0 ? err_pass(r) : walk.cured;
}

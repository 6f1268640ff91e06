/* SPDX-License-Identifier: GPL-2.0-or-later */

/* CRIU saves some of the advice that a program gave the kernel about its memory, but before 4.2 not this
 * one; and the last thing that its restore does with a mapping is all the advice that its image has. */

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

typedef struct Ranges {
        ImageRange *items;
        size_t n;
} Ranges;

static void ranges_done(Ranges *ranges) {
        free(ranges->items);
}

/* For anything else the kernel would refuse it, and the restore would fail. */
static bool can_be_wiped(const ImgVma *vma) {
        const uint32_t wanted = MAP_PRIVATE | MAP_ANONYMOUS;

        return (vma->flags & (MAP_SHARED | wanted)) == wanted;
}

static int mark(ProtobufCMessage *message, const void *userdata) {
        const ImgMm *mm = (const ImgMm *)message;
        const Ranges *ranges = userdata;
        int changed = 0;
        size_t at = 0;

        for (size_t i = 0; i < mm->n_vmas; i++) { /* both ascend */
                ImgVma *vma = mm->vmas[i];

                while (at < ranges->n && ranges->items[at].to <= vma->start)
                        at++;
                if (at == ranges->n)
                        break;
                if (vma->start < ranges->items[at].from || vma->end > ranges->items[at].to ||
                    !can_be_wiped(vma) || (vma->madv & UINT64_C(1) << MADV_WIPEONFORK))
                        continue;
                vma->has_madv = true;
                vma->madv |= UINT64_C(1) << MADV_WIPEONFORK;
                changed = 1;
        }
        return changed;
}

typedef struct Walk {
        int images_fd;
        ImageWiped wiped;
        int cured;
} Walk;

static int cure_process(const ProtobufCMessage *message, void *userdata) {
        const ImgPstree *p = (const ImgPstree *)message;
        _cleanup_(ranges_done) Ranges ranges = {0};
        Walk *walk = userdata;
        char name[32];
        int r;

        snprintf(name, sizeof name, "mm-%" PRIu32 ".img", p->pid);
        r = walk->wiped((pid_t)p->pid, &ranges.items, &ranges.n);
        if (r < 0)
                return err_pass(r);
        if (ranges.n == 0)
                return 0;
        r = image_rewrite(walk->images_fd, name, IMAGE_MM, &img_mm__descriptor, mark, &ranges);
        if (r == -ENOENT)
                return err_say(-ENODATA, "the images have no %s", name);
        if (r < 0)
                return err_pass(r);
        walk->cured += r;
        return 0;
}

int image_cure_maps(int images_fd, ImageWiped wiped) {
        Walk walk = {.images_fd = images_fd, .wiped = wiped};
        int r;

        r = image_each_message(images_fd, "pstree.img", IMAGE_PSTREE, &img_pstree__descriptor, cure_process,
                               &walk);
        if (r == -ENOENT)
                return err_say(r, "the images have no pstree.img");
        return r < 0 ? err_pass(r) : walk.cured;
}

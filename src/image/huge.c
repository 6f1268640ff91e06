/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/err.h"
#include "image/image.h"
#include "image/internal.h"

#include "criu-image.pb-c.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SIZE_SHIFT 26 /* MAP_HUGE_SHIFT */
#define SIZE_MASK  63u

/* More than any machine has is as good as all. */
static void add(uint64_t *sums, uint32_t flags, uint64_t bytes) {
        unsigned which = flags >> SIZE_SHIFT & SIZE_MASK;
        uint64_t page = which ? UINT64_C(1) << which : 1, whole;

        if (__builtin_add_overflow(bytes, page - 1, &whole))
                whole = UINT64_MAX;
        whole = whole / page * page;
        if (__builtin_add_overflow(sums[which], whole, &sums[which]))
                sums[which] = UINT64_MAX / page * page;
}

static int add_maps(const ProtobufCMessage *message, void *userdata) {
        const ImgMm *mm = (const ImgMm *)message;

        for (size_t i = 0; i < mm->n_vmas; i++) {
                const ImgVma *vma = mm->vmas[i];

                if (vma->end < vma->start)
                        return -EBADMSG;
                if (vma->flags & MAP_HUGETLB)
                        add(userdata, vma->flags, vma->end - vma->start);
        }
        return 0;
}

static int add_mm(int images_fd, const char *name, void *userdata) {
        return image_each_message(images_fd, name, IMAGE_MM, &img_mm__descriptor, add_maps, userdata);
}

static int add_memfd(const ProtobufCMessage *message, void *userdata) {
        const ImgMemfd *file = (const ImgMemfd *)message;

        if (file->has_hugetlb_flag)
                add(userdata, file->hugetlb_flag, file->size);
        return 0;
}

int image_huge_pages(int images_fd, uint64_t ret[static IMAGE_HUGE_SIZES]) {
        uint64_t sums[IMAGE_HUGE_SIZES] = {0};
        int r;

        r = image_each(images_fd, "mm-", ".img", add_mm, sums);
        if (r >= 0)
                r = image_each_message(images_fd, "memfd.img", IMAGE_MEMFD, &img_memfd__descriptor,
                                       add_memfd, sums);
        if (r < 0 && r != -ENOENT)
                return err_pass(r);
        memcpy(ret, sums, sizeof sums);
        return 0;
}

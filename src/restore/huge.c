/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "restore/huge.h"

#include "base/err.h"
#include "files/memory.h"
#include "kernel/hugepages.h"

/* No more than there is memory. */
static uint64_t bounded(uint64_t bytes, unsigned which) {
        uint64_t page = which ? UINT64_C(1) << which : UINT64_C(1) << 21;
        uint64_t memory = memory_total() / page * page;

        return bytes < memory ? bytes : memory;
}

int huge_begin(int images_fd, Huge *ret) {
        ErrRecord kept;
        Huge huge = {0};
        int r = image_huge_pages(images_fd, huge.bytes);

        if (r < 0)
                return err_pass(r);
        kept = err_keep();
        for (unsigned i = 0; i < IMAGE_HUGE_SIZES; i++) {
                huge.bytes[i] = bounded(huge.bytes[i], i);
                if (huge.bytes[i] > 0 &&
                    hugepages_allow(i ? UINT64_C(1) << i : 0, (int64_t)huge.bytes[i]) < 0)
                        huge.bytes[i] = 0;
        }
        err_put_back(&kept);
        *ret = huge;
        return 0;
}

void huge_end(Huge *huge) {
        ErrRecord kept = err_keep();

        for (unsigned i = 0; i < IMAGE_HUGE_SIZES; i++)
                if (huge->bytes[i] > 0)
                        (void)hugepages_allow(i ? UINT64_C(1) << i : 0, -(int64_t)huge->bytes[i]);
        *huge = (Huge){0};
        err_put_back(&kept);
}

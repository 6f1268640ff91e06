/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What would fail after the jump is refused here, while every session still lives. An initrd that was made
 * before carryover was installed would boot, but without the hold: the new kernel's first answer to the
 * peers of the carried connections would be a reset.
 *
 * The early part is looked for by its program. Both the initramfs-tools hook and the dracut module install
 * it together with the script that calls it, at places of their own.
 */

#include "jump/jump.h"

#include "base/err.h"
#include "base/fd.h"
#include "files/initrd.h"
#include "model/codec.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A kernel without its modules, as a half-done installation leaves it, finds neither disk nor network. */
static int check_modules(const Kernel *kernel) {
        char path[sizeof kernel->version + 32];

        snprintf(path, sizeof path, "/lib/modules/%s/modules.dep", kernel->version);
        if (access(path, F_OK) < 0)
                return err_say(-ENOENT,
                               "the modules of kernel %s are missing in /lib/modules: run 'apt-get install "
                               "--reinstall linux-image-%s'",
                               kernel->version, kernel->version);
        return 0;
}

int jump_check(const Kernel *kernel) {
        int r;

        r = check_modules(kernel);
        if (r >= 0)
                r = initrd_contains(kernel->initrd, INITRD_PROGRAM);
        if (r < 0)
                return err_pass(r);
        if (r == 0)
                return err_say(-EXDEV,
                               "%s does not contain carryover: run 'update-initramfs -u -k %s' (or 'dracut "
                               "--force --kver %s')",
                               kernel->initrd, kernel->version, kernel->version);
        return 0;
}

int jump_load(const Kernel *kernel, const char *append, const Early *early) {
        _cleanup_(freep) char *running = NULL, *cmdline = NULL;
        _cleanup_(freep) void *message = NULL, *archive = NULL;
        size_t message_size, archive_size;
        int r;

        r = file_slurp(AT_FDCWD, "/proc/cmdline", 16384, &running, NULL);
        if (r >= 0)
                r = kernel_cmdline(running, append, &cmdline);
        if (r >= 0)
                r = codec_encode(CODEC_EARLY, &early->base, &message, &message_size);
        if (r >= 0)
                r = initrd_cpio_with(INITRD_EARLY, message, message_size, &archive, &archive_size);
        if (r >= 0)
                r = kexec_load_kernel(kernel, archive, archive_size, cmdline);
        /* There may be a key in it. */
        if (message)
                explicit_bzero(message, message_size);
        if (archive)
                explicit_bzero(archive, archive_size);
        return r < 0 ? err_pass(r) : 0;
}

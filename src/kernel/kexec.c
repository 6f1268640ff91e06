/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Loading the next kernel. kexec_file_load(2) rather than kexec_load(2): the kernel itself reads image and
 * initrd from descriptors, checks signatures and builds the boot parameters, so none of that is ours, and it
 * is the only call that Secure Boot permits.
 *
 * The initrd that it reads is a memfd: the distribution's file, streamed, and our small archive behind it.
 * The kernel unpacks archives one after the other, so ours only adds its file to the root of the initramfs.
 * Nothing in /boot is ever written.
 */

#include "kernel/kexec.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* x86 and arm64 kernels take no more (COMMAND_LINE_SIZE), the NUL included. */
#define CMDLINE_MAX 2048u

/* An lz4 stream ends only at a zero length word, and the unpacker skips zeros between archives: so at least
 * this many zeros follow the distribution's part, whatever packed it. */
#define INITRD_GAP 8u

/* Words that describe how the running kernel was loaded, not how it is to run. carryover=off is the way out
 * of one boot; a jump that carries sessions and then leaves them in the store would be absurd. */
static bool word_is_dropped(const char *word, size_t n) {
        static const char *const dropped[] = {"BOOT_IMAGE=",  "initrd=",    "kexec_jump_back_entry=",
                                              "elfcorehdr=",  "acpi_rsdp=", "retain_initrd",
                                              "carryover=off"};

        for (size_t i = 0; i < ELEMENTS(dropped); i++) {
                size_t l = strlen(dropped[i]);

                if (n >= l && strncmp(word, dropped[i], l) == 0 && (n == l || dropped[i][l - 1] == '='))
                        return true;
        }
        return false;
}

/* Length of the word at `text`; double quotes hold blanks together, as the kernel reads it. */
static size_t word_length(const char *text) {
        bool quoted = false;
        size_t n = 0;

        for (; text[n] && (quoted || !isspace((unsigned char)text[n])); n++)
                if (text[n] == '"')
                        quoted = !quoted;
        return n;
}

static int line_add(char line[static CMDLINE_MAX], const char *word, size_t n) {
        size_t l = strlen(line);

        if (n == 0)
                return 0;
        if (l + (l > 0) + n >= CMDLINE_MAX)
                return err_say(-E2BIG, "the command line for the next kernel is longer than %u bytes",
                               CMDLINE_MAX - 1);
        if (l > 0)
                line[l++] = ' ';
        memcpy(line + l, word, n);
        line[l + n] = '\0';
        return 0;
}

/* What stands behind a word "--" belongs to init, so `append` goes before it. */
int kernel_cmdline(const char *running, const char *append, char **ret) {
        char line[CMDLINE_MAX] = "";
        bool appended = !append;
        int r;

        for (const char *p = append; p && *p; p++)
                if (iscntrl((unsigned char)*p))
                        return err_say(-EINVAL, "the words to append contain a control character");
        for (const char *p = running;;) {
                size_t n;

                while (isspace((unsigned char)*p))
                        p++;
                n = word_length(p);
                if (!appended && (n == 0 || (n == 2 && strncmp(p, "--", 2) == 0))) {
                        r = line_add(line, append, strlen(append));
                        if (r < 0)
                                return err_pass(r);
                        appended = true;
                }
                if (n == 0)
                        break;
                if (!word_is_dropped(p, n)) {
                        r = line_add(line, p, n);
                        if (r < 0)
                                return err_pass(r);
                }
                p += n;
        }
        *ret = strdup(line);
        return *ret ? 0 : -ENOMEM;
}

/* 0, a number of one line, or the default if there is no such file. */
static uint64_t number_file(const char *path, uint64_t absent) {
        _cleanup_(freep) char *text = NULL;
        uint64_t v;

        if (file_slurp(AT_FDCWD, path, 64, &text, NULL) < 0)
                return absent;
        text[strcspn(text, "\n")] = '\0';
        return parse_u64(text, UINT64_MAX, &v) < 0 ? absent : v;
}

static long load(int kernel_fd, int initrd_fd, const char *cmdline, unsigned long flags) {
        return syscall(SYS_kexec_file_load, kernel_fd, initrd_fd,
                       cmdline ? (unsigned long)strlen(cmdline) + 1 : 0UL, cmdline, flags);
}

static bool locked_down(void) {
        _cleanup_(freep) char *text = NULL;

        if (file_slurp(AT_FDCWD, "/sys/kernel/security/lockdown", 256, &text, NULL) < 0)
                return false;
        return !strstr(text, "[none]");
}

/*
 * Lockdown (integrity or confidentiality) is no refusal here: it forbids kexec_load(2), and permits
 * kexec_file_load(2) of an image whose signature checks, as those of Debian do. Whether this one does is
 * known when it is loaded, and load_failed() says what it then means.
 */
int kexec_allowed(void) {
        if (number_file("/proc/sys/kernel/kexec_load_disabled", 0) != 0)
                return err_say(-EPERM, "kexec is disabled until the next boot (kernel.kexec_load_disabled = "
                                       "1): remove the sysctl setting, or use --no-kexec");
        if (number_file("/proc/sys/kernel/kexec_load_limit_reboot", UINT64_MAX) == 0)
                return err_say(-EPERM, "the limit for loading kernels is reached until the next boot "
                                       "(kernel.kexec_load_limit_reboot = 0): remove the sysctl setting, or "
                                       "use --no-kexec");
        /* No flag has this value: a kernel that has the call and lets us use it says EINVAL, and does
         * nothing. */
        if (load(-1, -1, NULL, ~0UL) >= 0 || errno == EINVAL)
                return 0;
        if (errno == ENOSYS)
                return err_say(-ENOSYS, "this kernel does not support kexec_file_load: use --no-kexec");
        return err_born(-errno, "kexec is not permitted on this system (CAP_SYS_BOOT is required)");
}

static int load_failed(int r, const Kernel *kernel) {
        if ((r == -EPERM && locked_down()) || r == -EKEYREJECTED || r == -ENOKEY || r == -EBADMSG)
                return err_born(r,
                                "kernel %s has no signature that this locked-down system trusts; install "
                                "a signed kernel, or use --no-kexec",
                                kernel->image);
        if (r == -ENOEXEC)
                return err_born(r, "%s is not a kernel that kexec can load", kernel->image);
        return err_born(r, "cannot load kernel %s", kernel->image);
}

static int stream(int from, int to, const char *path, size_t *ret_size) {
        size_t total = 0;

        for (;;) {
                ssize_t k = sendfile(to, from, NULL, 16u << 20);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return err_born(-errno, "cannot copy %s", path);
                if (k == 0)
                        break;
                total += (size_t)k;
        }
        *ret_size = total;
        return 0;
}

static int initrd_with(const Kernel *kernel, const void *extra, size_t extra_size) {
        static const char zeros[INITRD_GAP + 4] = {0};
        _cleanup_(closep) int fd = -1, in = -1;
        size_t size = 0, gap;
        int r;

        in = open(kernel->initrd, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (in < 0)
                return err_born(-errno, "cannot read initrd %s", kernel->initrd);
        fd = memfd_create("carryover-initrd", MFD_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot allocate memory for the initrd");
        r = stream(in, fd, kernel->initrd, &size);
        if (r < 0)
                return err_pass(r);
        if (extra_size > 0) {
                gap = INITRD_GAP + (4 - size % 4) % 4;
                r = fd_write_all(fd, zeros, gap);
                if (r >= 0)
                        r = fd_write_all(fd, extra, extra_size);
                if (r < 0)
                        return err_pass(r);
        }
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_born(-errno, "cannot rewind the initrd");
        return TAKE_FD(fd);
}

int kexec_load_kernel(const Kernel *kernel, const void *extra, size_t extra_size, const char *cmdline) {
        _cleanup_(closep) int kernel_fd = -1, initrd_fd = -1;

        kernel_fd = open(kernel->image, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (kernel_fd < 0)
                return err_born(-errno, "cannot read kernel %s", kernel->image);
        initrd_fd = initrd_with(kernel, extra, extra_size);
        if (initrd_fd < 0)
                return err_pass(initrd_fd);
        if (load(kernel_fd, initrd_fd, cmdline, 0) < 0)
                return load_failed(-errno, kernel);
        return 0;
}

int kexec_loaded(void) {
        return number_file("/sys/kernel/kexec_loaded", 0) != 0;
}

int kexec_unload(void) {
        if (load(-1, -1, NULL, KEXEC_FILE_UNLOAD) < 0)
                return err_born(-errno, "cannot unload the next kernel");
        return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* kernel/: one kernel beside the one that runs; every module, mount and profile is there. */

#include "base/err.h"
#include "kernel/apparmor.h"
#include "kernel/cpu.h"
#include "kernel/hugepages.h"
#include "kernel/ids.h"
#include "kernel/kexec.h"
#include "kernel/kmod.h"
#include "kernel/mounts.h"
#include "tests/fakes/fake.h"

#include <stdio.h>
#include <string.h>

int kernel_find(const char *root, const char *version, Kernel *ret) {
        int r = fake_call("kernel_find", "%s", version ? version : "");

        *ret = (Kernel){0};
        snprintf(ret->version, sizeof ret->version, "%s", version ? version : FAKE_NEXT);
        snprintf(ret->image, sizeof ret->image, "%s/boot/vmlinuz-%.100s", root, ret->version);
        snprintf(ret->initrd, sizeof ret->initrd, "%s/boot/initrd.img-%.100s", root, ret->version);
        return r;
}

int kexec_allowed(void) {
        return fake_call("kexec_allowed", "%s", "");
}

int kexec_load_kernel(const Kernel *kernel, const void *extra, size_t extra_size, const char *cmdline) {
        int r = fake_call("kexec_load_kernel", "%s", kernel->version);

        if (r >= 0 && (!extra || extra_size == 0))
                r = err_say(-EINVAL, "the next kernel would have no early part");
        if (r < 0)
                return r;
        fake->loaded = true;
        fake->loaded_size = extra_size;
        memcpy(fake->loaded_part, extra,
               extra_size < sizeof fake->loaded_part ? extra_size : sizeof fake->loaded_part);
        snprintf(fake->loaded_cmdline, sizeof fake->loaded_cmdline, "%s", cmdline);
        return 0;
}

int kexec_loaded(void) {
        return fake->loaded;
}

int kexec_unload(void) {
        int r = fake_call("kexec_unload", "%s", "");

        fake->loaded = fake->loaded && r < 0;
        return r;
}

int hugepages_look(HugePool *ret) {
        int r = fake_call("hugepages_look", "%s", "");

        *ret = (HugePool){.pages = fake->pool, .free = fake->pool};
        return r;
}

int hugepages_set(uint64_t pages) {
        int r = fake_call("hugepages_set", "%u", (unsigned)pages);

        if (r >= 0)
                fake->pool = pages;
        return r;
}

int kmod_load(const char *const *names) {
        return fake_call("kmod_load", "%s", names[0] ? names[0] : "") < 0;
}

int apparmor_read(char **ret) {
        (void)ret;
        return fake_call("apparmor_read", "%s", "") ?: 1;
}

int apparmor_note(Tree *tree) {
        return fake_call("apparmor_note", "%s", tree->name);
}

int apparmor_missing(const Tree *tree) {
        return fake_call("apparmor_missing", "%s", tree->name);
}

int apparmor_wait(const Tree *tree, uint64_t usec, int stop_fd) {
        (void)usec;
        (void)stop_fd;
        return fake_call("apparmor_wait", "%s", tree->name);
}

int mounts_read(Mounts *ret) {
        *ret = (Mounts){0};
        return fake_call("mounts_read", "%s", "");
}

int mounts_missing(const Mounts *mounts, const Tree *tree, const char *below) {
        (void)mounts;
        (void)below;
        return fake_call("mounts_missing", "%s", tree->name);
}

int mounts_wait(const Tree *tree, uint64_t usec, int stop_fd) {
        (void)usec;
        (void)stop_fd;
        return fake_call("mounts_wait", "%s", tree->name);
}

int cpu_instructions(const char *cpuinfo, char **ret) {
        int r = fake_call("cpu_instructions", "%s", cpuinfo);

        if (r < 0)
                return r;
        *ret = strdup("sse2 avx");
        return *ret ? 0 : -ENOMEM;
}

int system_kernel(char release[static 128]) {
        snprintf(release, 128, "%s", fake->boot % 2 ? FAKE_KERNEL : FAKE_NEXT);
        return fake_call("system_kernel", "%s", "");
}

int system_boot_id(char id[static 37]) {
        snprintf(id, 37, FAKE_BOOT, fake->boot);
        return fake_call("system_boot_id", "%s", "");
}

int system_pids_lift(uint32_t pid) {
        return fake_call("system_pids_lift", "%u", pid);
}

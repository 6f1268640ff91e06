/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A kernel is an image, an initrd and a directory of modules, and each system puts the first two elsewhere.
 * Three places are looked at, in this order; the first that has an image has it, and likewise the initrd:
 *
 *   /boot                 vmlinuz-VERSION; initrds by several names, as the tools of the systems call them
 *   /usr/lib/modules      VERSION/vmlinuz, where the package leaves it for kernel-install
 *   loader/entries        the entries of the Boot Loader Specification, as kernel-install writes them
 *
 * Of an entry only those versions count that have modules here: an EFI partition may hold other systems'
 * too. Behind /efi may stand an automount whose disk is gone: what cannot be looked at has nothing, and only
 * who then finds no kernel hears of it. Without /boot nobody knows which is the newest.
 */

#include "kernel/installed.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_KERNELS 64u
#define ENTRY_MAX   (64u << 10)

typedef struct Installed {
        const char *root;
        Kernel kernels[MAX_KERNELS];
        size_t n;
        char missed[320]; /* "; " and why the first place that could not be looked at could not be */
} Installed;

/* Where a character stands in Debian's order: the tilde before the end of the text, letters before the
 * rest. */
static int rank(unsigned char c) {
        if (c == '~')
                return -1;
        if (c == '\0' || isdigit(c))
                return 0;
        if (isalpha(c))
                return c;
        return c + 256;
}

int kernel_version_compare(const char *a, const char *b) {
        while (*a || *b) {
                size_t na, nb;
                int d;

                while ((*a && !isdigit((unsigned char)*a)) || (*b && !isdigit((unsigned char)*b))) {
                        d = rank((unsigned char)*a) - rank((unsigned char)*b);
                        if (d != 0)
                                return d;
                        a += *a != '\0';
                        b += *b != '\0';
                }
                a += strspn(a, "0");
                b += strspn(b, "0");
                na = strspn(a, "0123456789");
                nb = strspn(b, "0123456789");
                if (na != nb)
                        return na < nb ? -1 : 1;
                d = strncmp(a, b, na);
                if (d != 0)
                        return d;
                a += na;
                b += nb;
        }
        return 0;
}

/* A version as it may stand in the name of a file in /boot; backups of package tools are not kernels. */
static bool version_is_plausible(const char *version) {
        if (!isdigit((unsigned char)version[0]) || strlen(version) >= sizeof((Kernel *)NULL)->version)
                return false;
        if (version[strspn(version, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+~-")])
                return false;
        return !ends_with(version, ".old") && !ends_with(version, ".bak") && !strstr(version, ".dpkg-");
}

/* ROOT + path, if there is such a file and it is not empty; else "". */
static void file_at(char out[static KERNEL_PATH], const char *root, const char *path) {
        struct stat st;

        if (path[0] != '/' || strstr(path, "/../") ||
            snprintf(out, KERNEL_PATH, "%s%s", root, path) >= KERNEL_PATH || stat(out, &st) < 0 ||
            !S_ISREG(st.st_mode) || st.st_size == 0)
                out[0] = '\0';
}

/* The kernel of that version; NULL if there are too many. */
static Kernel *kernel_of(Installed *all, const char *version) {
        Kernel *k = all->kernels;

        for (; k < all->kernels + all->n; k++)
                if (strcmp(k->version, version) == 0)
                        return k;
        if (all->n == MAX_KERNELS)
                return NULL;
        all->n++;
        snprintf(k->version, sizeof k->version, "%s", version);
        return k;
}

/* Fills what nobody had: an initrd alone is no kernel, but may complete one. */
static void add(Installed *all, const char *version, const char *image, const char *initrd) {
        Kernel *k = image[0] ? kernel_of(all, version) : NULL;

        if (!k)
                return;
        if (!k->image[0])
                snprintf(k->image, sizeof k->image, "%s", image);
        if (!k->initrd[0])
                snprintf(k->initrd, sizeof k->initrd, "%s", initrd);
}

/* By initramfs-tools, dracut, SUSE's dracut, and by the name of the kernel's package (Arch Linux). */
static void initrd_named(char out[static KERNEL_PATH], const char *root, const char *version,
                         const char *package) {
        static const struct {
                const char *before, *after;
                bool package;
        } names[] = {{"initrd.img-", "", false},
                     {"initramfs-", ".img", false},
                     {"initrd-", "", false},
                     {"initramfs-", ".img", true}};
        char path[KERNEL_PATH];

        out[0] = '\0';
        for (size_t i = 0; !out[0] && i < ELEMENTS(names); i++) {
                const char *name = names[i].package ? package : version;

                if (name[0] && snprintf(path, sizeof path, "/boot/%s%s%s", names[i].before, name,
                                        names[i].after) < KERNEL_PATH)
                        file_at(out, root, path);
        }
}

static void add_from_boot(Installed *all, const char *name) {
        char path[KERNEL_PATH], image[KERNEL_PATH], initrd[KERNEL_PATH];
        const char *version = name + strlen("vmlinuz-");

        if (!starts_with(name, "vmlinuz-") || !version_is_plausible(version))
                return;
        snprintf(path, sizeof path, "/boot/%s", name);
        file_at(image, all->root, path);
        initrd_named(initrd, all->root, version, "");
        add(all, version, image, initrd);
}

/* pkgbase, a file of Arch Linux: "linux", "linux-lts". */
static void package_of(char out[static NAME_MAX], const char *root, const char *version) {
        _cleanup_(freep) char *text = NULL;
        char path[KERNEL_PATH];

        out[0] = '\0';
        if (snprintf(path, sizeof path, "%s/usr/lib/modules/%s/pkgbase", root, version) >= KERNEL_PATH ||
            file_slurp(AT_FDCWD, path, NAME_MAX - 1, &text, NULL) < 0)
                return;
        text[strcspn(text, "\n")] = '\0';
        if (name_is_safe(text))
                snprintf(out, NAME_MAX, "%s", text);
}

static void add_from_modules(Installed *all, const char *version) {
        char path[KERNEL_PATH], image[KERNEL_PATH], initrd[KERNEL_PATH], package[NAME_MAX];

        if (!version_is_plausible(version) ||
            snprintf(path, sizeof path, "/usr/lib/modules/%s/vmlinuz", version) >= KERNEL_PATH)
                return;
        file_at(image, all->root, path);
        package_of(package, all->root, version);
        initrd_named(initrd, all->root, version, package);
        add(all, version, image, initrd);
}

static bool has_modules(const char *root, const char *version) {
        char path[KERNEL_PATH];

        return snprintf(path, sizeof path, "%s/usr/lib/modules/%s", root, version) < KERNEL_PATH &&
               access(path, F_OK) == 0;
}

/* The value of a line "key value", if this is the line of that key; its first word, cut off in place. */
static char *value_of(char *line, const char *key) {
        size_t n = strlen(key);

        if (strncmp(line, key, n) != 0 || !isblank((unsigned char)line[n]))
                return NULL;
        line += n + strspn(line + n, " \t");
        line[strcspn(line, " \t\r")] = '\0';
        return line;
}

/* Paths begin at the partition. Of several initrds the last is the system's: what stands before is
 * microcode, and the processor has that by now. */
static void add_from_entry(Installed *all, const char *boot, const char *name) {
        char path[KERNEL_PATH], image[KERNEL_PATH] = "", initrd[KERNEL_PATH] = "";
        _cleanup_(freep) char *text = NULL;
        const char *version = NULL, *value;
        char *save = NULL;

        if (!ends_with(name, ".conf") ||
            snprintf(path, sizeof path, "%s%s/loader/entries/%s", all->root, boot, name) >= KERNEL_PATH ||
            file_slurp(AT_FDCWD, path, ENTRY_MAX, &text, NULL) < 0)
                return;
        snprintf(path, sizeof path, "%s%s", all->root, boot);
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                if ((value = value_of(line, "version")))
                        version = value;
                else if ((value = value_of(line, "linux")))
                        file_at(image, path, value);
                else if ((value = value_of(line, "initrd")))
                        file_at(initrd, path, value);
        }
        if (version && version_is_plausible(version) && has_modules(all->root, version))
                add(all, version, image, initrd);
}

/* Calls add() for each name in ROOT + dir; a directory that is not there has none. */
static int each_name(Installed *all, const char *dir, const char *boot) {
        _cleanup_(closedirp) DIR *d = NULL;
        char path[KERNEL_PATH];
        struct dirent *de;

        snprintf(path, sizeof path, "%s%s", all->root, dir);
        d = opendir(path);
        if (!d)
                return errno == ENOENT || errno == ENOTDIR
                                       ? 0
                                       : err_born(-errno, "cannot look for kernels in %s", path);
        while ((de = readdir(d))) {
                if (boot)
                        add_from_entry(all, boot, de->d_name);
                else if (strcmp(dir, "/boot") == 0)
                        add_from_boot(all, de->d_name);
                else
                        add_from_modules(all, de->d_name);
        }
        return 0;
}

static int look(Installed *all) {
        static const struct {
                const char *dir, *boot;
        } places[] = {
                        {"/boot", NULL},
                        {"/usr/lib/modules", NULL},
                        {"/boot/loader/entries", "/boot"},
                        {"/efi/loader/entries", "/efi"},
                        {"/boot/efi/loader/entries", "/boot/efi"},
        };

        for (size_t i = 0; i < ELEMENTS(places); i++) {
                int r = each_name(all, places[i].dir, places[i].boot);

                if (r < 0 && i == 0)
                        return err_pass(r);
                if (r < 0 && !all->missed[0])
                        snprintf(all->missed, sizeof all->missed, "; %s", err_text(r));
        }
        return 0;
}

/* A kernel that is unpacked but not yet configured has no initrd: it is no candidate for the newest. */
int kernel_find(const char *root, const char *version, Kernel *ret) {
        _cleanup_(freep) Installed *all = calloc(1, sizeof *all);
        const Kernel *best = NULL;
        char there[512] = "";
        int r;

        if (!all)
                return -ENOMEM;
        all->root = root;
        r = look(all);
        if (r < 0)
                return err_pass(r);
        for (const Kernel *k = all->kernels; k < all->kernels + all->n; k++) {
                size_t l = strlen(there);

                snprintf(there + l, sizeof there - l, "%s%.127s%s", l ? ", " : "", k->version,
                         k->initrd[0] ? "" : " (no initrd)");
                if (version ? strcmp(k->version, version) == 0
                            : k->initrd[0] && (!best ||
                                               kernel_version_compare(k->version, best->version) > 0))
                        best = k;
        }
        if (version && best && !best->initrd[0])
                return err_say(-ENOENT,
                               "kernel %s has no initrd: run 'update-initramfs -c -k %s' (or 'dracut --kver "
                               "%s')%s",
                               version, version, version, all->missed);
        if (!best)
                return version ? err_say(-ENOENT, "kernel %s is not installed; available: %s%s", version,
                                         there[0] ? there : "none", all->missed)
                               : err_say(-ENOENT, "no installed kernel has an initrd; available: %s%s",
                                         there[0] ? there : "none", all->missed);
        *ret = *best;
        return 0;
}

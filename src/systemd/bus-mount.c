/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Where a mount comes from. systemd has a unit for each line of mountinfo; one that it has only from there
 * has no file. One that has a file and that nothing starts (noauto in /etc/fstab) is not mounted by a boot
 * either. autofs is asked for what is below it.
 */

#include "systemd/bus.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define UNIT      "org.freedesktop.systemd1.Unit"
#define TRANSIENT "/run/systemd/transient/"

/* As systemd.unit(5), "String Escaping for Inclusion in Unit Names", has it for paths. */
char *bus_mount_unit(const char *point) {
        static const char hex[] = "0123456789abcdef";
        size_t l = strlen(point), at = 0;
        char *name = malloc(l * 4 + sizeof "-.mount");

        if (!name)
                return NULL;
        point += strspn(point, "/");
        for (const char *p = point; *p; p++) {
                bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                             (*p >= '0' && *p <= '9') || *p == ':' || *p == '_' || (*p == '.' && p > point);

                if (*p == '/' && (p[1] == '/' || !p[1]))
                        continue;
                if (*p == '/')
                        name[at++] = '-';
                else if (plain)
                        name[at++] = *p;
                else {
                        name[at++] = '\\';
                        name[at++] = 'x';
                        name[at++] = hex[(unsigned char)*p >> 4];
                        name[at++] = hex[*p & 15];
                }
        }
        strcpy(name + at, at == 0 ? "-.mount" : ".mount");
        return name;
}

static int is_started(Bus *bus, const char *unit) {
        static const char *const by[] = {"RequiredBy", "WantedBy", "BoundBy", "TriggeredBy"};
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTS(by); i++)
                r = bus_unit_has_any(bus, unit, by[i]);
        return r;
}

int bus_mount_origin(Bus *bus, const SnapMount *mount, MountOrigin *ret) {
        _cleanup_(freep) char *unit = bus_mount_unit(mount->point), *file = NULL;
        int r;

        if (!unit)
                return -ENOMEM;
        *ret = MOUNT_BROUGHT;
        if (mount->automounted || strcmp(mount->type, "autofs") == 0 || strcmp(mount->type, "zfs") == 0)
                return 0;
        *ret = MOUNT_BY_HAND;
        if (strlen(unit) > 255) /* systemd has no unit of such a name */
                return 0;
        r = bus_unit_property(bus, unit, UNIT, "FragmentPath", &file);
        if (r < 0)
                return err_pass(r);
        if (!file[0] || starts_with(file, TRANSIENT))
                return 0;
        r = is_started(bus, unit);
        if (r < 0)
                return err_pass(r);
        *ret = r > 0 ? MOUNT_BROUGHT : MOUNT_UNUSED;
        return 0;
}

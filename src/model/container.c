/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/container.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "model/cgroup-path.h"

#include <stdio.h>
#include <string.h>

/* As much of an id as podman and docker show. */
#define ID_SHOWN 12u

static size_t part_length(const char *path) {
        return strcspn(path, "/");
}

static void fill(char ret[static CONTAINER_NAME_MAX], const char *maker, const char *id, size_t n) {
        snprintf(ret, CONTAINER_NAME_MAX, "%s %.*s", maker, (int)n, id);
}

static bool unit_in(const char *unit, size_t n, char ret[static CONTAINER_NAME_MAX]) {
        static const struct {
                const char *before, *behind, *maker;
                size_t shown;
        } forms[] = {
                        {"libpod-conmon-", ".scope", "podman", ID_SHOWN},
                        {"libpod-", ".scope", "podman", ID_SHOWN},
                        {"docker-", ".scope", "docker", ID_SHOWN},
                        {"crio-conmon-", ".scope", "cri-o", ID_SHOWN},
                        {"crio-", ".scope", "cri-o", ID_SHOWN},
                        {"cri-containerd-", ".scope", "containerd", ID_SHOWN},
                        {"lxc.payload.", "", "lxc", 64},
                        {"lxc.monitor.", "", "lxc", 64},
        };

        for (size_t i = 0; i < ELEMENTS(forms); i++) {
                size_t b = strlen(forms[i].before), e = strlen(forms[i].behind);

                if (n <= b + e || memcmp(unit, forms[i].before, b) != 0 ||
                    memcmp(unit + n - e, forms[i].behind, e) != 0)
                        continue;
                fill(ret, forms[i].maker, unit + b, n - b - e < forms[i].shown ? n - b - e : forms[i].shown);
                return true;
        }
        return false;
}

bool container_of_unit(const char *unit, char ret[static CONTAINER_NAME_MAX]) {
        return unit_in(unit, strlen(unit), ret);
}

/* machined's, of nspawn and libvirt; and docker's where it makes cgroups without systemd. */
static bool path_in(const char *cgroup, const char *unit, size_t n, char ret[static CONTAINER_NAME_MAX]) {
        static const char before[] = "machine-", behind[] = ".scope";
        size_t b = strlen(before), e = strlen(behind);

        if (starts_with(cgroup, "/machine.slice/") && n > b + e && memcmp(unit, before, b) == 0 &&
            memcmp(unit + n - e, behind, e) == 0) {
                fill(ret, "machine", unit + b, n - b - e < 200 ? n - b - e : 200);
                return true;
        }
        if (n != strlen("docker") || memcmp(unit, "docker", n) != 0 || unit[n] != '/' ||
            part_length(unit + n + 1) == 0)
                return false;
        unit += n + 1;
        n = part_length(unit);
        fill(ret, "docker", unit, n < ID_SHOWN ? n : ID_SHOWN);
        return true;
}

bool container_of(const char *cgroup, char ret[static CONTAINER_NAME_MAX]) {
        const char *unit;
        size_t n;

        if (!cgroup)
                return false;
        unit = cgroup_below_slices(cgroup);
        unit += *unit == '/';
        n = part_length(unit);
        return unit_in(unit, n, ret) || path_in(cgroup, unit, n, ret);
}

bool container_docker_id(const char *cgroup, char ret[static CONTAINER_ID_SIZE]) {
        char name[CONTAINER_NAME_MAX];
        const char *id;

        if (!container_of(cgroup, name) || !starts_with(name, "docker "))
                return false;
        id = cgroup_below_slices(cgroup);
        id += *id == '/';
        if (!starts_with(id, "docker-") && !starts_with(id, "docker/"))
                return false;
        id += strlen("docker-");
        if (strspn(id, "0123456789abcdef") != CONTAINER_ID_SIZE - 1 ||
            !strchr("./", id[CONTAINER_ID_SIZE - 1]))
                return false;
        snprintf(ret, CONTAINER_ID_SIZE, "%s", id);
        return true;
}

/* Root in a container without a user namespace is root here too, and calls itself and what it makes below
 * its container's scope what it likes. The scope that podman asks of PID 1 for conmon holds no container. */
bool container_is_watcher(const SnapProcess *p) {
        const char *unit = cgroup_below_slices(p->cgroup ?: "");

        return p->title[0] && p->is_roots && strcmp(p->comm, "conmon") == 0 &&
               starts_with(unit, "/libpod-conmon-") && ends_with(unit, ".scope") && !strchr(unit + 1, '/');
}

bool container_named(const Snapshot *s, const SnapProcess *p, char ret[static CONTAINER_NAME_MAX]) {
        char other[CONTAINER_NAME_MAX];

        if (!container_of(p->cgroup, ret))
                return false;
        for (size_t i = 0; i < s->n_containers; i++)
                if (strcmp(s->containers[i].shown, ret) == 0) {
                        snprintf(ret, CONTAINER_NAME_MAX, "%s", s->containers[i].name);
                        return true;
                }
        for (size_t i = 0; i < s->n_processes; i++) {
                const SnapProcess *q = s->processes + i;

                if (!container_is_watcher(q) || !container_of(q->cgroup, other) || strcmp(other, ret) != 0)
                        continue;
                fill(ret, "podman", q->title, strlen(q->title));
                break;
        }
        return true;
}

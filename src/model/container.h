/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Containers, by the cgroups that their managers make: "podman 0123456789ab", "docker 0123456789ab", "lxc
 * web", "machine deb" (machined's: nspawn, libvirt). For podman and docker that is as much of an id as they
 * show themselves.
 *
 * Each container of podman has a watcher, conmon, whose arguments have the container's name:
 * SnapProcess.title of one that is root's. Of a user's containers the id has to do, since nobody's arguments
 * but root's are read. What docker calls one stands in docker's own files (inspect/containers.h).
 */

#include "model/snapshot.h"

#include <stdbool.h>

#define CONTAINER_NAME_MAX 256u /* with the NUL; longer ones are cut */

#define CONTAINER_ID_SIZE 65u /* a whole id, with the NUL */

/* The container that a cgroup is, or lies in, as far as that is root's word (model/cgroup-path.h). */
bool container_of(const char *cgroup, char ret[static CONTAINER_NAME_MAX]);

/* The same of the name of a unit, whoever's manager has that. */
bool container_of_unit(const char *unit, char ret[static CONTAINER_NAME_MAX]);

/* Whether it is the watcher of a container of podman, whose title is that container's name: root's conmon
 * in the scope that podman makes for it. */
bool container_is_watcher(const SnapProcess *p);

/* The whole id of a container of docker's: so many lower-case hexadecimal digits, and nothing else. */
bool container_docker_id(const char *cgroup, char ret[static CONTAINER_ID_SIZE]);

/* "podman web", or as container_of() has it if nobody tells a name. */
bool container_named(const Snapshot *s, const SnapProcess *p, char ret[static CONTAINER_NAME_MAX]);

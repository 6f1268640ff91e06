/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What docker calls its containers: "Name" in /var/lib/docker/containers/ID/config.v2.json, root's file. Of
 * what has no such file, one that is no JSON or larger than 1 MiB, or no name that docker would give, the id
 * has to do; so it has where docker's data lie elsewhere, and behind so many containers that nobody reads
 * their names.
 */

#include "model/snapshot.h"

/* Below `root` ("" but in tests). -ENOMEM. */
int containers_name(const char *root, Snapshot *s);

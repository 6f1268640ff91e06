/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The file holds labels and variables of whoever made the container: what is in it is anybody's. */

#include "inspect/containers.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/container.h"
#include "model/model.h"
#include "json/reading.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CONFIG_MAX     (1u << 20)
#define CONTAINERS_MAX 200u /* a look at a machine must not take long */

static bool is_docker_name(const char *name) {
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

        return n > 0 && !name[n] && name[0] != '-' && name[0] != '.';
}

/* "docker web". Answer 1: it tells none. */
static int name_of(const char *root, const char *id, char **ret) {
        _cleanup_(freep) char *path =
                        text_format("%s/var/lib/docker/containers/%s/config.v2.json", root, id);
        _cleanup_(json_done) JsonObject config = {0};
        _cleanup_(freep) char *text = NULL;
        const char *name;
        size_t size;
        int r;

        if (!path)
                return -ENOMEM;
        r = file_slurp(AT_FDCWD, path, CONFIG_MAX, &text, &size);
        if (r >= 0)
                r = json_read(text, size, &config);
        if (r >= 0)
                r = json_get_text(&config, "Name", &name);
        if (r == -ENOMEM)
                return r;
        if (r != 0)
                return 1;
        name += *name == '/';
        if (!is_docker_name(name))
                return 1;
        *ret = text_format("docker %s", name);
        return *ret ? 0 : -ENOMEM;
}

static bool is_known(const Snapshot *s, const char *shown) {
        for (size_t i = 0; i < s->n_containers; i++)
                if (strcmp(s->containers[i].shown, shown) == 0)
                        return true;
        return false;
}

static int add(Snapshot *s, const char *shown, const char *name) {
        SnapContainer c = {.shown = strdup(shown), .name = strdup(name)};
        int r = c.shown && c.name ? model_append(s->containers, s->n_containers, c) : -ENOMEM;

        if (r < 0) {
                free(c.shown);
                free(c.name);
        }
        return r;
}

/* One without a name is known, too: it is asked for once. */
int containers_name(const char *root, Snapshot *s) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < s->n_processes && s->n_containers < CONTAINERS_MAX; i++) {
                char id[CONTAINER_ID_SIZE], shown[CONTAINER_NAME_MAX];
                const char *cgroup = s->processes[i].cgroup;
                _cleanup_(freep) char *name = NULL;

                if (!container_docker_id(cgroup, id) || !container_of(cgroup, shown) || is_known(s, shown))
                        continue;
                r = name_of(root, id, &name);
                if (r >= 0)
                        r = add(s, shown, name ?: shown);
        }
        return r < 0 ? r : 0;
}

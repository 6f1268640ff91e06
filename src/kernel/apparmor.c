/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * apparmor.service is one way in which profiles are loaded, and in parts; snapd and libvirt have their own.
 * So what counts is whether the kernel has them. Each change of its policy makes `revision` readable.
 */

#include "kernel/apparmor.h"

#include "base/await.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/label.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PROFILES       "/sys/kernel/security/apparmor/profiles"
#define REVISION       "/sys/kernel/security/apparmor/revision"
#define PROFILES_LIMIT (16u << 20) /* a snap brings ten or so, each below 300 bytes */
#define LABEL          "Label: "

int apparmor_read(char **ret) {
        int r = file_slurp(AT_FDCWD, PROFILES, PROFILES_LIMIT, ret, NULL);

        return r == -ENOENT || r == -EINVAL ? 1 : r < 0 ? err_pass(r) : 0;
}

static int note(Tree *tree, const char *name, size_t length) {
        char *copy;
        int r;

        for (size_t i = 0; i < tree->n_profiles; i++)
                if (strlen(tree->profiles[i]) == length && strncmp(tree->profiles[i], name, length) == 0)
                        return 0;
        copy = strndup(name, length);
        r = copy ? model_append(tree->profiles, tree->n_profiles, copy) : -ENOMEM;
        if (r < 0)
                free(copy);
        return r;
}

static int note_label(Tree *tree, const char *rights) {
        const char *line = starts_with(rights, LABEL) ? rights : strstr(rights, "\n" LABEL), *name;
        _cleanup_(freep) char *label = NULL;
        size_t length;
        int r = 0;

        if (!line)
                return 0;
        line += (*line == '\n') + strlen(LABEL);
        label = strndup(line, strcspn(line, "\n"));
        if (!label)
                return -ENOMEM;
        for (const char *rest = label; r >= 0 && (name = label_next(&rest, &length));)
                r = note(tree, name, length);
        return r;
}

int apparmor_note(Tree *tree) {
        int r = 0;

        for (size_t i = 0; i < tree->n_profiles; i++)
                free(tree->profiles[i]);
        tree->n_profiles = 0;
        if (access(PROFILES, F_OK) < 0)
                return 0;
        for (size_t i = 0; r >= 0 && i < tree->n_rights; i++)
                r = note_label(tree, tree->rights[i]->text);
        return r;
}

int apparmor_missing(const Tree *tree) {
        _cleanup_(freep) char *list = NULL;
        int r;

        if (tree->n_profiles == 0)
                return 0;
        r = apparmor_read(&list);
        if (r < 0)
                return err_pass(r);
        if (r > 0)
                return err_say(-EOPNOTSUPP,
                               "the tree ran under AppArmor profile %s, but this kernel runs without "
                               "AppArmor",
                               tree->profiles[0]);
        for (size_t i = 0; i < tree->n_profiles; i++) {
                if (label_is_loaded(list, tree->profiles[i], strlen(tree->profiles[i])))
                        continue;
                (void)err_say(-ETIMEDOUT, "AppArmor profile %s, under which the tree ran, is not loaded",
                              tree->profiles[i]);
                return 1;
        }
        return 0;
}

static int look_profiles(void *userdata, uint64_t *deadline) {
        (void)deadline;
        return apparmor_missing(userdata);
}

static int drain(int fd) {
        char number[32];

        return read(fd, number, sizeof number) < 0 && errno != EAGAIN && errno != EINTR
                               ? err_born(-errno, "cannot watch the AppArmor profiles for changes")
                               : 0;
}

int apparmor_wait(const Tree *tree, uint64_t usec, int stop_fd) {
        _cleanup_(closep) int fd = -1;
        int r = apparmor_missing(tree);

        if (r <= 0)
                return r;
        fd = open(REVISION, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot watch the AppArmor profiles for changes");
        return await_change(&(Await){
                        .look = look_profiles,
                        .userdata = (void *)tree,
                        .event_fd = fd,
                        .events = POLLIN,
                        .drain = drain,
                        .stop_fd = stop_fd,
                        .deadline_monotonic = now_monotonic() + usec,
                        .what = "AppArmor's profiles",
        });
}

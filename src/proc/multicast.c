/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Whether a socket is a member of a multicast group. No list tells whose a membership is, but the kernel
 * answers who asks a socket for the filter of a group: EADDRNOTAVAIL if it is no member. So each group that
 * this machine receives is asked for, by a descriptor of our own for a moment.
 */

#include "base/cleanup.h"
#include "base/fd.h"
#include "model/model.h"
#include "proc/internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#define GROUPS_MAX  512u /* how many there are is anybody's to choose, and each socket is asked for each */
#define GROUPS_FILE (1u << 20)

void groups_done(Groups *groups) {
        free(groups->list);
        *groups = (Groups){0};
}

static int group_add(Groups *groups, Group group) {
        return groups->n >= GROUPS_MAX ? 0 : model_append(groups->list, groups->n, group);
}

/* An interface's line "4\teth0 ...", then for each group "\t\t\t\t010000E0 ...": four bytes as one number of
 * ours. Everybody is a member of 224.0.0.1. */
static int read_v4(Groups *groups) {
        _cleanup_(freep) char *text = NULL;
        uint32_t value, all = htonl(INADDR_ALLHOSTS_GROUP);
        unsigned interface = 0;
        char *state, *line;
        int r = 0;

        if (file_slurp(AT_FDCWD, "/proc/thread-self/net/igmp", GROUPS_FILE, &text, NULL) < 0)
                return 0;
        for (line = strtok_r(text, "\n", &state); r >= 0 && line; line = strtok_r(NULL, "\n", &state))
                if (line[0] != '\t')
                        (void)sscanf(line, "%u", &interface);
                else if (sscanf(line, " %8" SCNx32, &value) == 1 && value != all) {
                        Group group = {.family = AF_INET, .interface = interface};

                        memcpy(group.address, &value, sizeof value);
                        r = group_add(groups, group);
                }
        return r;
}

static bool parse_hex(const char *text, uint8_t out[static 16]) {
        for (size_t i = 0; i < 16; i++) {
                unsigned byte;

                if (sscanf(text + 2 * i, "%2x", &byte) != 1)
                        return false;
                out[i] = (uint8_t)byte;
        }
        return true;
}

/* All nodes, of a link or an interface, and those that every address of its own is asked for by
 * (ff02::1:ff..). */
static bool is_kernels(const uint8_t address[static 16]) {
        static const uint8_t nodes[14] = {0}, solicited[11] = {[9] = 1, [10] = 0xff};

        if (address[1] > 2)
                return false;
        return (memcmp(address + 2, nodes, 13) == 0 && address[15] == 1) ||
               memcmp(address + 2, solicited, sizeof solicited) == 0;
}

static int read_v6(Groups *groups) {
        _cleanup_(freep) char *text = NULL;
        char *state, *line, hex[33];
        int r = 0;

        if (file_slurp(AT_FDCWD, "/proc/thread-self/net/igmp6", GROUPS_FILE, &text, NULL) < 0)
                return 0;
        for (line = strtok_r(text, "\n", &state); r >= 0 && line; line = strtok_r(NULL, "\n", &state)) {
                Group group = {.family = AF_INET6};

                if (sscanf(line, "%u %*s %32s", &group.interface, hex) == 2 && strlen(hex) == 32 &&
                    parse_hex(hex, group.address) && !is_kernels(group.address))
                        r = group_add(groups, group);
        }
        return r;
}

static int groups_read(Groups *groups) {
        int r = read_v4(groups);

        if (r >= 0)
                r = read_v6(groups);
        groups->known = true;
        return r;
}

static bool is_member(int fd, const Group *group) {
        struct group_filter filter = {.gf_interface = group->interface};
        socklen_t length = GROUP_FILTER_SIZE(0);
        int level = group->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;

        if (group->family == AF_INET) {
                struct sockaddr_in a = {.sin_family = AF_INET};

                memcpy(&a.sin_addr, group->address, sizeof a.sin_addr);
                memcpy(&filter.gf_group, &a, sizeof a);
        } else {
                struct sockaddr_in6 a = {.sin6_family = AF_INET6};

                memcpy(&a.sin6_addr, group->address, sizeof a.sin6_addr);
                memcpy(&filter.gf_group, &a, sizeof a);
        }
        return getsockopt(fd, level, MCAST_MSFILTER, &filter, &length) >= 0;
}

int procfs_multicast(int pidfd, Groups *groups, SnapFd *f) {
        _cleanup_(closep) int fd = -1;
        int r = groups->known ? 0 : groups_read(groups);

        if (r < 0 || groups->n == 0)
                return r;
        fd = pidfd < 0 ? -1 : pidfd_getfd(pidfd, f->fd, 0);
        for (size_t i = 0; fd >= 0 && i < groups->n; i++) {
                child_step();
                if (!is_member(fd, groups->list + i))
                        continue;
                f->multicast = groups->list[i].family;
                memcpy(f->group, groups->list[i].address, sizeof f->group);
                break;
        }
        return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The kernel keeps its promises to programs, but CRIU looks behind them: now and then a new kernel breaks
 * every restore until CRIU follows. What a running kernel is good for is tried out (probe.c); for the
 * one that is to be jumped into there is only this list. The numbers are issues of CRIU's, at
 * github.com/checkpoint-restore/criu.
 */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "criu/criu.h"
#include "kernel/installed.h"

/* Ascending. */
static const struct {
        const char *kernel; /* from this one on */
        uint32_t major, minor, sub;
        const char *why;
} needed[] = {
                {"6.13", 4, 1, 0, "it does not support a part of the vDSO"}, /* #2532 */
                {"6.16", 4, 2, 0, "it fails on every internet socket"},      /* #2705 */
                {"7.1", 4, 2, 1, "it requires UDP-Lite, which was removed"}, /* #3002 */
};

static bool is_older(const CriuFeatures *f, uint32_t major, uint32_t minor, uint32_t sub) {
        if (f->major != major)
                return f->major < major;
        if (f->minor != minor)
                return f->minor < minor;
        return f->sub < sub;
}

/*
 * No request tells these, and no option gives them away. So the version does, by the release that has the
 * change of CRIU's history. A distribution that took one of them over earlier is asked for more than it
 * needs.
 */
void criu_features_derive(CriuFeatures *f) {
        f->saves = (CriuSaves){
                        .stops = !is_older(f, 3, 18, 0),        /* c7858ba42 */
                        .rseq = !is_older(f, 3, 18, 0),         /* f8da250bb */
                        .no_new_privs = !is_older(f, 3, 19, 0), /* a605cc9f3 */
                        .barriers = !is_older(f, 3, 19, 0),     /* e07155e19 */
                        .offsets = !is_older(f, 3, 19, 0),      /* a77185dae */
                        .memfds = !is_older(f, 3, 19, 0),       /* c9b2633ca */
                        .thp = !is_older(f, 3, 19, 0),          /* 21ce76263 */
                        .resets = !is_older(f, 4, 0, 0),        /* 75fed59ef */
                        .tcp_options = !is_older(f, 4, 0, 0),   /* 1cb75c0b1 */
                        .as_it_was = !is_older(f, 4, 0, 0),     /* 8f0e200e6 */
                        .ambient = !is_older(f, 4, 1, 0),       /* 6f8efad30 */
                        .pidfds = !is_older(f, 4, 1, 0),        /* 1ce408ffa */
                        .one_shots = !is_older(f, 4, 1, 0),     /* 09dc2e958 */
                        .wipes = !is_older(f, 4, 2, 0),         /* af5412a43 */
        };
}

int criu_fits_kernel(const CriuFeatures *features, const char *running, const char *target) {
        for (size_t i = ELEMENTS(needed); i-- > 0;) {
                if (kernel_version_compare(target, needed[i].kernel) < 0 ||
                    kernel_version_compare(running, needed[i].kernel) >= 0 ||
                    !is_older(features, needed[i].major, needed[i].minor, needed[i].sub))
                        continue;
                return err_say(-EOPNOTSUPP,
                               "CRIU %u.%u.%u cannot restore on Linux %s (since %s %s): install package "
                               "criu %u.%u.%u or later, or choose an older kernel with --kernel",
                               features->major, features->minor, features->sub, target, needed[i].kernel,
                               needed[i].why, needed[i].major, needed[i].minor, needed[i].sub);
        }
        return 0;
}

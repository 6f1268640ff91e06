/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * carryover-early --initramfs      from the initramfs script: lift the process numbers, put the hold on
 * carryover-early                  carryover-early.service: the same in the real root, and the claim
 * carryover-early --list-modules   for the initramfs hooks: what they must pack
 *
 * Never fails a boot: the exit status is EXIT_OK unless the arguments are wrong.
 */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/exit.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "early/early.h"
#include "files/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* The only log that an initramfs has; one write is one record. (dprintf() would fail: it seeks first.) */
static void say_kmsg(int priority, const char *sentence) {
        _cleanup_(closep) int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);
        _cleanup_(freep) char *line = text_format("<%d>carryover: %s\n", priority, sentence);

        if (fd >= 0 && line)
                (void)fd_write_all(fd, line, strlen(line));
}

static void say_log(int priority, const char *sentence) {
        log_line(priority, "%s", sentence);
}

static ExitStatus in_initramfs(void) {
        if (early_initramfs(say_kmsg) > 0)
                say_kmsg(LOG_WARNING, "continuing boot");
        return EXIT_OK;
}

static ExitStatus in_system(void) {
        Config config;

        log_failed(config_load_anyway("", &config), "using the readable files and defaults");
        (void)early_service(&config, say_log);
        return EXIT_OK;
}

static ExitStatus list_modules(void) {
        for (const char *const *m = early_modules(); *m; m++)
                puts(*m);
        return EXIT_OK;
}

int main(int argc, char *argv[]) {
        if (argc == 1)
                return in_system();
        if (argc == 2 && strcmp(argv[1], "--initramfs") == 0)
                return in_initramfs();
        if (argc == 2 && strcmp(argv[1], "--list-modules") == 0)
                return list_modules();
        fputs("usage: carryover-early [--initramfs | --list-modules]\n", stderr);
        return EXIT_USAGE;
}

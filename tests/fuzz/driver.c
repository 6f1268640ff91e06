/* SPDX-License-Identifier: GPL-2.0-or-later */

/* In place of an engine: gives the fuzzer each file that is named, and each file in a directory that is
 * named. How builds without libFuzzer run over the corpus, and how a finding is looked at in a debugger. */

#include "fuzz.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (1u << 20)

static bool run_file(int dir_fd, const char *name) {
        _cleanup_(freep) char *bytes = NULL;
        _cleanup_(freep) uint8_t *exact = NULL;
        size_t size;
        int r = file_slurp(dir_fd, name, INPUT_MAX, &bytes, &size);

        if (r < 0) {
                fprintf(stderr, "%s: %s\n", name, err_text(r));
                return false;
        }
        /* Without the NUL that file_slurp() puts behind, so that a sanitizer sees who reads on. */
        exact = malloc(size ?: 1);
        if (!exact)
                return false;
        memcpy(exact, bytes, size);
        puts(name);
        fflush(stdout); /* the last one printed is the finding */
        LLVMFuzzerTestOneInput(exact, size);
        return true;
}

static int is_visible(const struct dirent *e) {
        return e->d_name[0] != '.';
}

/* How many there were, or -1. */
static int run_directory(const char *path) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent **list;
        bool ok = true;
        int n = scandir(path, &list, is_visible, alphasort);

        if (fd < 0 || n < 0) {
                perror(path);
                return -1;
        }
        for (int i = 0; i < n; i++) {
                ok = ok && run_file(fd, list[i]->d_name);
                free(list[i]);
        }
        free(list);
        return ok ? n : -1;
}

int main(int argc, char **argv) {
        int total = 0;

        LLVMFuzzerInitialize(&argc, &argv);
        for (int i = 1; i < argc; i++) {
                struct stat st;
                int n = stat(argv[i], &st) < 0 ? -1
                        : S_ISDIR(st.st_mode)  ? run_directory(argv[i])
                                               : (run_file(AT_FDCWD, argv[i]) ? 1 : -1);

                if (n < 0)
                        return 1;
                total += n;
        }
        printf("%d inputs\n", total);
        return total > 0 ? 0 : 1;
}

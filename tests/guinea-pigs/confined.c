/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A program that nobody of its user's may look into, behind two seccomp filters. */

#include "pig.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <sys/prctl.h>

static int filters(void) {
        FILE *status = fopen("/proc/self/status", "r");
        char line[256];
        int n = -1;

        while (status && fgets(line, sizeof line, status))
                if (sscanf(line, "Seccomp_filters: %d", &n) == 1)
                        break;
        if (status)
                fclose(status);
        return n;
}

int main(void) {
        static struct sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
        static const struct sock_fprog program = {1, allow};

        pig_begin();
        for (int i = 0; i < 2; i++)
                CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
        CHECK(filters() == 2);
        CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);

        pig_wait();

        CHECK(prctl(PR_GET_DUMPABLE) == 0);
        CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
        CHECK(filters() == 2);
        pig_pass();
}

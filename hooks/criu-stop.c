/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A job that Ctrl-Z has stopped (SIGTSTP), or that wanted to read or write its terminal from the background
 * (SIGTTIN, SIGTTOU), is stopped like one that got SIGSTOP: the signal is gone, and says only why. CRIU
 * before 3.18 knows SIGSTOP alone and gives the tree up, "unsupported stop signal 20"; later ones know
 * SIGTSTP, too. They ask ptrace for the number, and ask here: what they do not know is SIGSTOP to them.
 *
 * CARRYOVER_STOPS=all: SIGTSTP is not known.
 *
 * CARRYOVER_RSEQ=all: where ptrace says of a thread that it has a rseq area, criu-rseq.c looks at it.
 */

#include "criu-rseq.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_unknown(int signal) {
        return signal == SIGTTIN || signal == SIGTTOU || (signal == SIGTSTP && getenv("CARRYOVER_STOPS"));
}

static bool is_peek(int request) {
        return request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER;
}

long ptrace(enum __ptrace_request request, ...) {
        siginfo_t *info;
        void *address, *data;
        long r, word;
        va_list words;
        pid_t pid;

        va_start(words, request);
        pid = va_arg(words, pid_t);
        address = va_arg(words, void *);
        data = va_arg(words, void *);
        va_end(words);
        /* The system call stores the word, where libc's function returns it. */
        r = syscall(SYS_ptrace, (int)request, pid, address, is_peek(request) ? &word : data);
        if (r >= 0 && is_peek(request)) {
                errno = 0;
                return word;
        }
        info = data;
        if (r >= 0 && request == PTRACE_GETSIGINFO && info->si_code >> 8 == PTRACE_EVENT_STOP &&
            is_unknown(info->si_signo))
                info->si_signo = SIGSTOP;
        if (r == sizeof(struct __ptrace_rseq_configuration) && request == PTRACE_GET_RSEQ_CONFIGURATION &&
            getenv("CARRYOVER_RSEQ"))
                criu_rseq_abort(pid, data);
        return r;
}

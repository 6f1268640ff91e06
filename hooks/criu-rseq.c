/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A thread that the freeze has met inside of a restartable sequence must begin it anew, for what it knows of
 * its processor is over. The kernel sees to that whenever it lets the thread go on, but CRIU lets its own
 * code run in the thread first, and the kernel forgets the sequence. CRIU before 3.18 puts only the first
 * thread of a process right (its f8da250bb); the others would go on in the middle.
 *
 * CRIU asks ptrace where a thread's rseq area is before it reads the registers. So by then they are right.
 * Nothing is done that the kernel would not do if the thread went on, and what the kernel would end the
 * process for is left alone. The memory is the thread's own: so is the address at which it goes on.
 */

#include "criu-rseq.h"

#include <errno.h>
#include <linux/rseq.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGNATURE sizeof(uint32_t)
#define AT_IP     (16 * sizeof(uint64_t)) /* in struct user of x86-64: RIP of <sys/reg.h> */

/* The system call itself: ptrace() comes by here. It stores the word. */
static bool peek(pid_t tid, uint64_t address, uint64_t *ret) {
        return syscall(SYS_ptrace, PTRACE_PEEKDATA, tid, address, ret) >= 0;
}

static bool read_words(pid_t tid, uint64_t address, uint64_t *ret, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!peek(tid, address + i * sizeof *ret, ret + i))
                        return false;
        return true;
}

/* The sequence that a thread has said it is in; it may have left it since. */
static bool sequence_of(pid_t tid, const struct __ptrace_rseq_configuration *where, struct rseq_cs *ret) {
        uint64_t at, flags, words[sizeof *ret / sizeof(uint64_t)], signature;

        if (where->rseq_abi_pointer == 0 ||
            !peek(tid, where->rseq_abi_pointer + offsetof(struct rseq, rseq_cs), &at) || at == 0 ||
            !peek(tid, where->rseq_abi_pointer + offsetof(struct rseq, flags), &flags) ||
            !read_words(tid, at, words, sizeof words / sizeof *words))
                return false;
        memcpy(ret, words, sizeof *ret);
        return (uint32_t)flags == 0 && ret->flags == 0 && ret->version == 0 &&
               ret->abort_ip - ret->start_ip >= ret->post_commit_offset &&
               peek(tid, ret->abort_ip - SIGNATURE, &signature) && (uint32_t)signature == where->signature;
}

void criu_rseq_abort(pid_t tid, const struct __ptrace_rseq_configuration *where) {
        struct rseq_cs sequence;
        uint64_t at;
        int before = errno;

        if (syscall(SYS_ptrace, PTRACE_PEEKUSER, tid, AT_IP, &at) >= 0 &&
            sequence_of(tid, where, &sequence) && at - sequence.start_ip < sequence.post_commit_offset)
                (void)syscall(SYS_ptrace, PTRACE_POKEUSER, tid, AT_IP, sequence.abort_ip);
        errno = before;
}

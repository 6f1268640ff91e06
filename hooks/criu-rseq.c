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

#include <elf.h>
#include <errno.h>
#include <linux/rseq.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#define SIGNATURE sizeof(uint32_t)

/* The system call itself: ptrace() comes by here. It stores the word. */
static bool peek(pid_t tid, uint64_t address, uint64_t *ret) {
        return syscall(SYS_ptrace, PTRACE_PEEKDATA, tid, address, ret) >= 0;
}

/* Where a thread goes on. */
#ifdef __aarch64__
static bool ip_transfer(pid_t tid, long get_or_set, struct user_regs_struct *regs) {
        struct iovec all = {.iov_base = regs, .iov_len = sizeof *regs};

        return syscall(SYS_ptrace, get_or_set, tid, (long)NT_PRSTATUS, &all) >= 0 &&
               all.iov_len == sizeof *regs;
}

static bool ip_get(pid_t tid, uint64_t *ret) {
        struct user_regs_struct regs;
        bool got = ip_transfer(tid, PTRACE_GETREGSET, &regs);

        if (got)
                *ret = regs.pc;
        return got;
}

static bool ip_set(pid_t tid, uint64_t ip) {
        struct user_regs_struct regs;

        if (!ip_transfer(tid, PTRACE_GETREGSET, &regs))
                return false;
        regs.pc = ip;
        return ip_transfer(tid, PTRACE_SETREGSET, &regs);
}
#else
#define AT_IP (16 * sizeof(uint64_t)) /* in struct user of x86-64: RIP of <sys/reg.h> */

static bool ip_get(pid_t tid, uint64_t *ret) {
        return syscall(SYS_ptrace, PTRACE_PEEKUSER, tid, AT_IP, ret) >= 0;
}

static bool ip_set(pid_t tid, uint64_t ip) {
        return syscall(SYS_ptrace, PTRACE_POKEUSER, tid, AT_IP, ip) >= 0;
}
#endif

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

        if (ip_get(tid, &at) && sequence_of(tid, where, &sequence) &&
            at - sequence.start_ip < sequence.post_commit_offset)
                (void)ip_set(tid, sequence.abort_ip);
        errno = before;
}

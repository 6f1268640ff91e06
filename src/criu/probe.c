/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What this CRIU can do, by trying it. An option on the command line that it does not know makes it exit
 * before it answers anything; so asking for its version with `--network-lock skip` in front answers two
 * questions at once, without privileges and without touching the kernel.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "criu/criu.h"
#include "criu/internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_MAX 65536u

typedef struct Answer {
        RpcResponse *response; /* NULL: it ended without one */
        char *output;          /* what it printed; NULL if that could not be read */
        int status;
} Answer;

static void answer_done(Answer *a) {
        rpc_response_freep(&a->response);
        free(a->output);
}

/* One request, one response. A CRIU that ends without a response is an answer here, not an error. */
static int ask_once(const char *criu, const char *const *options, uint64_t deadline, RpcRequest *request,
                    Answer *ret) {
        _cleanup_(criu_process_done) CriuProcess process = CRIU_PROCESS_NONE;
        _cleanup_(answer_done) Answer answer = {0};
        _cleanup_(closep) int out = memfd_with("criu-output", "", 0);
        size_t size;
        int r;

        if (out < 0)
                return err_pass(out);
        r = criu_spawn(&(CriuSpawn){.criu = criu,
                                    .options = options,
                                    .output_fd = out,
                                    .cgroup_procs_fd = -1},
                       &process);
        if (r < 0)
                return err_pass(r);
        r = criu_send(&process, request);
        if (r < 0)
                return err_pass(r);
        r = criu_receive(&process, deadline, &answer.response);
        if (r == -ETIMEDOUT)
                return err_say(r, "%s does not answer", criu);
        if (r < 0 && r != -ECONNRESET)
                return err_pass(r);
        criu_end(&process, deadline, &answer.status);
        if (lseek(out, 0, SEEK_SET) == 0)
                (void)fd_slurp(out, OUTPUT_MAX, &answer.output, &size);
        *ret = answer;
        answer = (Answer){0};
        return 0;
}

/* 1: it ended before it answered. */
static int ask_version(const char *criu, const char *const *options, uint64_t deadline, CriuFeatures *ret) {
        _cleanup_(answer_done) Answer answer = {0};
        RpcRequest request = RPC_REQUEST__INIT;
        const RpcVersion *version;
        int r;

        request.type = RPC_KIND__VERSION;
        r = ask_once(criu, options, deadline, &request, &answer);
        if (r < 0)
                return err_pass(r);
        if (!answer.response)
                return 1;
        version = answer.response->version;
        if (!answer.response->success || !version || version->major_number < 0 || version->minor_number < 0)
                return err_say(-EBADMSG, "%s does not report its version", criu);
        ret->major = (uint32_t)version->major_number;
        ret->minor = (uint32_t)version->minor_number;
        ret->sub = version->has_sublevel && version->sublevel > 0 ? (uint32_t)version->sublevel : 0;
        return 0;
}

int criu_probe(const char *criu, uint64_t timeout_usec, CriuFeatures *ret) {
        static const char *const lock_skip[] = {"--network-lock", "skip", NULL};
        uint64_t deadline = now_monotonic() + timeout_usec;
        CriuFeatures features = {0};
        int r;

        r = ask_version(criu, lock_skip, deadline, &features);
        if (r < 0)
                return err_pass(r);
        features.lock_skip = r == 0;
        if (r > 0) {
                r = ask_version(criu, NULL, deadline, &features);
                if (r < 0)
                        return err_pass(r);
                if (r > 0)
                        return err_say(-EIO, "%s exited without an answer: set Criu= to a CRIU program",
                                       criu);
        }
        criu_features_derive(&features);
        *ret = features;
        return 0;
}

/* The last error that CRIU printed, shortened in place; NULL if there is none. */
static char *last_error(char *output) {
        char *found = NULL, *next = output;

        while (next && (next = strstr(next, "Error (")) && (next = strstr(next, "): ")))
                found = next += 3;
        if (found)
                found[strcspn(found, "\r\n")] = '\0';
        return found;
}

/* Older ones insist on an images directory, which they only enter: any will do. "-" sends the log to
 * stdout. */
int criu_check(const char *criu, uint64_t timeout_usec) {
        _cleanup_(closep) int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(answer_done) Answer answer = {0};
        _cleanup_(freep) char *fate = NULL;
        RpcOptions options = RPC_OPTIONS__INIT;
        RpcRequest request = RPC_REQUEST__INIT;
        const char *reason;
        int r;

        if (directory < 0)
                return err_born(-errno, "cannot open /");
        options.images_dir_fd = directory;
        options.log_file = (char *)"-";
        request.type = RPC_KIND__CHECK;
        request.opts = &options;
        r = ask_once(criu, NULL, now_monotonic() + timeout_usec, &request, &answer);
        if (r < 0)
                return err_pass(r);
        if (answer.response && answer.response->success)
                return 0;
        reason = last_error(answer.output);
        if (!reason && answer.response)
                reason = answer.response->cr_errmsg;
        if (!reason && !answer.response)
                reason = fate = criu_status_text(answer.status);
        return err_say(-EOPNOTSUPP, "CRIU does not work on this kernel, install a newer CRIU: %s",
                       reason ? reason : "no reason given");
}

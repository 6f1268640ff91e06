/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a peer sends to the server of Varlink: the input is all of it. The peer is not root, so that nothing
 * but the protocol is asked. */

#include "fuzz.h"

#include "varlink/methods.h"
#include "varlink/server.h"

#include <json-c/json.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWERS_MAX (1u << 20)

/* Nobody is asked here. */
int polkit_check(const PolkitSubject *subject, const char *action, bool interactive) {
        return interactive ? POLKIT_CHALLENGE : POLKIT_NO;
}

/* Each reply is an object with the parameters, and has an error or none. */
static void expect_replies(const char *text, size_t size, size_t calls) {
        EXPECT(size == 0 || text[size - 1] == '\0');
        for (size_t at = 0; at < size; at += strlen(text + at) + 1) {
                struct json_object *reply = json_tokener_parse(text + at), *value;

                EXPECT(calls-- > 0);
                EXPECT(reply && json_object_object_get_ex(reply, "parameters", &value));
                EXPECT(json_object_is_type(value, json_type_object));
                EXPECT(!json_object_object_get_ex(reply, "error", &value) ||
                       json_object_is_type(value, json_type_string));
                json_object_put(reply);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static char answers[ANSWERS_MAX];
        const int room = ANSWERS_MAX;
        size_t have = 0, calls = 0;
        int ends[2];
        ssize_t n;

        if (size > 4096) /* what a socket takes without a reader, with the answers to it */
                return 0;
        cell_enter(false);
        EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        EXPECT(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) == 0);
        EXPECT(send(ends[1], data, size, MSG_DONTWAIT) == (ssize_t)size);
        EXPECT(shutdown(ends[1], SHUT_WR) == 0);
        (void)server_run(ends[0], &(PolkitSubject){.uid = 1000, .pid = 1, .pidfd = -1});
        close(ends[0]);
        while ((n = recv(ends[1], answers + have, sizeof answers - have, 0)) > 0)
                have += (size_t)n;
        close(ends[1]);
        for (size_t i = 0; i < size; i++)
                calls += data[i] == '\0';
        expect_replies(answers, have, calls);
        cell_leave();
        return 0;
}
